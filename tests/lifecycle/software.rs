//! Software that reads SCIM and LDAP: people stand there as declared, each once, whatever becomes
//! of the operator and the wire.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{LdapConnAsync, Scope, SearchEntry};
use reqwest::Method;
use roster_test_support::cluster::{
    PATIENCE, With, condition, eventually, group, passed, run, user, within,
};
use roster_test_support::scim_server::ScimServer;
use roster_test_support::slapd;
use serde_json::{Value, json};

use crate::acme::{Acme, secret, user_with_password};
use crate::meter::{Fate, Meter};

const OLD: &str = "nine lorries leave at dawn";
const NEW: &str = "seven foxes guard the mill";

/// An organization whose operator brings its people to a SCIM server and to slapd, over a wire that
/// can be cut.
struct Software {
    acme: Acme,
    scim: Arc<ScimServer>,
    slapd: slapd::Server,
    wire: Meter,
}

/// What slapd has of a person.
#[derive(Debug, PartialEq, Eq)]
struct Person {
    mail: String,
    groups: Vec<String>,
}

/// How long an operator takes to bring what is to be brought at once.
const ALL_AT_ONCE: Duration = Duration::from_secs(15);

impl Software {
    fn start(arguments: &[&str]) -> Self {
        let (scim, slapd, wire) = (ScimServer::start(), slapd::Server::start(), Meter::new());
        let at = |port: u16| wire.before(SocketAddr::from(([127, 0, 0, 1], port))).port();
        let scim_url = scim.address().replacen(
            &format!(":{}/", scim.port()),
            &format!(":{}/", at(scim.port())),
            1,
        );
        let ldap_url = slapd.url_at(at(slapd.port()));
        let acme = Acme::start(
            &[&["--directory", &scim_url, "--directory", &ldap_url], arguments].concat(),
        );
        Self { acme, scim, slapd, wire }
    }

    fn login(&self, name: &str) -> String {
        self.acme.login_name(name)
    }

    /// Asks the SCIM server as other software does.
    fn ask_scim(&self, method: Method, path: &str, body: &Value) -> Value {
        let address = self.scim.address();
        let base = address
            .split('?')
            .next()
            .unwrap_or_default()
            .trim_start_matches("scim+")
            .trim_end_matches('/');
        run(async {
            // Whoever comes first has installed it for all.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let request =
                client.request(method, format!("{base}{path}")).bearer_auth(self.scim.token());
            let request = if body.is_null() { request } else { request.json(body) };
            let answer = request.send().await.expect("it answers");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            let text = answer.text().await.expect("it answers whole");
            if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).expect("it answers with JSON")
            }
        })
    }

    /// Returns everything that the SCIM server has of a kind.
    fn in_scim(&self, kind: &str) -> Vec<Value> {
        let listed = self.ask_scim(Method::GET, &format!("/{kind}?count=1000"), &Value::Null);
        listed["Resources"].as_array().cloned().unwrap_or_default()
    }

    /// Returns what the SCIM server has of somebody, who is there once.
    #[track_caller]
    fn scim_user(&self, name: &str) -> Value {
        let login = self.login(name);
        let mut found: Vec<Value> =
            self.in_scim("Users").into_iter().filter(|user| user["userName"] == login).collect();
        assert_eq!(found.len(), 1, "{login} in SCIM: {found:?}");
        found.remove(0)
    }

    /// Returns the login names by the SCIM groups that roster made for the organization; empty ones
    /// have nobody.
    fn scim_groups(&self) -> BTreeSet<(String, String)> {
        let users = self.in_scim("Users");
        let login = |id: &Value| {
            users
                .iter()
                .find(|user| user["id"] == *id)
                .map(|user| user["userName"].as_str().unwrap_or_default())
        };
        let mut members = BTreeSet::new();
        for group in self.in_scim("Groups") {
            for member in group["members"].as_array().into_iter().flatten() {
                let login =
                    login(&member["value"]).unwrap_or("somebody who isn't there").to_owned();
                let is_new = members
                    .insert((group["displayName"].as_str().unwrap_or_default().to_owned(), login));
                assert!(is_new, "{member} stands twice in {group}");
            }
        }
        members
    }

    /// Returns what slapd has of somebody, who is there at most once.
    fn in_ldap(&self, name: &str) -> Option<Person> {
        let login = self.login(name);
        run(async {
            let (connection, mut ldap) =
                LdapConnAsync::new(&self.plain_ldap()).await.expect("slapd listens");
            ldap3::drive!(connection);
            let bound = ldap
                .simple_bind(&format!("cn=admin,{}", slapd::BASE), &self.slapd.password())
                .await;
            bound.and_then(ldap3::LdapResult::success).expect("the administrator may bind");
            let filter = format!("(uid={login})");
            let attributes = ["mail", "memberOf"];
            let found = ldap
                .search(slapd::BASE, Scope::Subtree, &filter, attributes)
                .await
                .expect("slapd answers");
            let mut entries: Vec<SearchEntry> = found
                .success()
                .expect("it is found")
                .0
                .into_iter()
                .map(SearchEntry::construct)
                .collect();
            assert!(entries.len() < 2, "{login} in LDAP: {entries:?}");
            let mut attributes = entries.pop()?.attrs;
            let mut groups = attributes.remove("memberOf").unwrap_or_default();
            groups.sort();
            Some(Person { mail: attributes.remove("mail").unwrap_or_default().join(","), groups })
        })
    }

    fn plain_ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.slapd.port())
    }

    /// Whether slapd lets somebody in.
    fn binds(&self, name: &str, password: &str) -> bool {
        let dn = format!("uid={},ou=people,{}", self.login(name), slapd::BASE);
        run(async {
            let (connection, mut ldap) =
                LdapConnAsync::new(&self.plain_ldap()).await.expect("slapd listens");
            ldap3::drive!(connection);
            ldap.simple_bind(&dn, password).await.expect("slapd answers").rc == 0
        })
    }

    fn group_dn(&self, name: &str) -> String {
        format!("cn={}.{name},ou=groups,{}", self.acme.organization.name, slapd::BASE)
    }

    fn is_settled(&self, name: &str) -> bool {
        self.acme.organization.admin().get("User", name).is_some_and(|user| {
            let looked = user["status"]["observedGeneration"] == user["metadata"]["generation"];
            looked && condition(&user, "Ready")["reason"] == "Reconciled"
        })
    }

    /// Kills the operator at each request to a directory, one later each time, until it is through.
    #[allow(clippy::print_stdout, reason = "how often is worth knowing")]
    fn kill_until(&mut self, what: &str, is_through: impl Fn(&Self) -> bool) {
        for requests in 0..200 {
            let fate = if requests % 2 == 0 { Fate::Lost } else { Fate::Done };
            self.wire.cut_after(requests, fate);
            self.acme.operator.restart();
            let through = within(ALL_AT_ONCE, || match is_through(self) {
                true => Some(true),
                false => self.wire.is_cut().then_some(false),
            });
            let through = through.unwrap_or_else(|| {
                // All that is brought at once was. What takes a way in is complete once nothing can
                // come late any more, a minute after the operator took over; killed again then, it
                // would begin that minute anew.
                self.wire.mend();
                within(PATIENCE, || is_through(self).then_some(true))
                    .unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
            });
            if through {
                println!("{what}: the operator was killed {requests} times");
                return;
            }
            self.acme.operator.kill();
        }
        panic!("{what}: killed 200 times, and not through");
    }
}

#[test]
fn people_stand_in_scim_and_ldap_once_however_often_the_operator_is_killed() {
    let mut software = Software::start(&[]);
    let acme = &software.acme;
    software.wire.cut();
    acme.create(&group("dispatchers").with("/spec/permissions", json!(["cases:read"])));
    for name in ["alice", "bob", "carol", "dave"] {
        acme.create(&secret(name, OLD));
        acme.create(&user_with_password(name).with("/spec/deletionProtection", "Disabled"));
    }
    acme.create(
        &user("erin")
            .with("/spec/permissions", json!({"from": {"name": "alice", "mode": "Inherit"}})),
    );
    let everybody = ["alice", "bob", "carol", "dave", "erin"];
    software.kill_until("everybody is created", |software| {
        everybody.iter().all(|name| software.is_settled(name))
    });
    for name in everybody {
        assert_eq!(software.scim_user(name)["externalId"], software.acme.account_id(name));
        assert_eq!(
            software.in_ldap(name).expect("slapd has them").groups,
            [software.group_dn("users")]
        );
    }
    assert_eq!((software.binds("alice", OLD), software.binds("alice", NEW)), (true, false));
    let at_first: Vec<Value> =
        ["alice", "bob", "dave", "erin"].map(|name| software.scim_user(name)["id"].clone()).into();

    software.wire.cut();
    let acme = &software.acme;
    acme.edit(
        "alice",
        &json!({"permissions": {"grants": ["orders:read"]}, "email": "alice.smith@acme.example"}),
    );
    acme.put_password("alice", NEW);
    acme.edit("bob", &json!({"state": "Disabled"}));
    passed(acme.organization.admin().delete("User", "carol"));
    acme.edit(
        "dave",
        &json!({"groupRef": {"name": "dispatchers"}, "profile": {"displayName": "Dave White"}}),
    );
    let revision = "SELECT count(*) FROM accounts WHERE owner_name = 'alice' AND email = 'alice.smith@acme.example'";
    let member = |group: &str, name: &str| {
        (format!("{}/{group}", acme.organization.name), acme.login_name(name))
    };
    let memberships: BTreeSet<(String, String)> = [
        member("users", "alice"),
        member("users", "bob"),
        member("dispatchers", "dave"),
        member("users", "erin"),
    ]
    .into();
    // What isn't a transaction is brought after the User is settled, so each directory is asked for
    // it.
    software.kill_until("everything is changed", |software| {
        let in_ldap = |name: &str| software.in_ldap(name).expect("slapd has them");
        software.acme.organization.admin().get("User", "carol").is_none()
            && ["alice", "bob", "dave", "erin"].iter().all(|name| software.is_settled(name))
            && software.acme.operator.count(revision) == 1
            && software.binds("alice", NEW)
            && in_ldap("alice").mail == "alice.smith@acme.example"
            && in_ldap("dave").groups == [software.group_dn("dispatchers")]
            && software.scim_user("alice")["emails"][0]["value"] == "alice.smith@acme.example"
            && ["alice", "erin"]
                .iter()
                .all(|name| software.scim_user(name)["entitlements"][0]["value"] == "orders:read")
            && software.scim_user("dave")["displayName"] == "Dave White"
            && software.scim_groups() == memberships
    });

    let now: Vec<Value> =
        ["alice", "bob", "dave", "erin"].map(|name| software.scim_user(name)["id"].clone()).into();
    assert_eq!(now, at_first, "they are the same entries");
    assert_eq!(software.in_scim("Users").len(), 4);
    assert_eq!(software.scim_user("bob")["active"], false);
    assert_eq!(
        software.in_ldap("dave").map(|dave| dave.groups),
        Some(vec![software.group_dn("dispatchers")])
    );
    assert_eq!(software.in_ldap("carol"), None);
    assert_eq!(
        (software.binds("alice", OLD), software.binds("bob", OLD), software.binds("carol", OLD)),
        (false, false, false)
    );
    assert!(software.binds("dave", OLD));
}

#[test]
fn directories_that_cannot_be_reached_make_transactions_overdue_and_hold_up_nothing_else() {
    let software = Software::start(&["--transaction-deadline", "3s"]);
    let acme = &software.acme;
    for name in ["alice", "bob", "carol"] {
        acme.create(&secret(name, OLD));
        acme.create(&user_with_password(name).with("/spec/deletionProtection", "Disabled"));
    }
    for name in ["alice", "bob", "carol"] {
        acme.organization.until_ready("User", name);
    }
    software.wire.cut();
    acme.edit("alice", &json!({"state": "Disabled"}));
    passed(acme.organization.admin().delete("User", "bob"));
    acme.create(&user("dave"));
    for name in ["alice", "bob", "dave"] {
        let overdue = acme.organization.until_reason("User", name, "DeadlineExceeded");
        assert_eq!(overdue["status"]["transaction"]["state"], "Overdue");
        let message =
            condition(&overdue, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        assert!(
            message.contains("scim+http://")
                && message.contains("ldap://")
                && message.contains("can't be reached"),
            "{message}"
        );
        assert!(!message.contains("token") && !message.contains("password"), "{message}");
    }
    assert!(!acme.lets_in("alice", OLD), "the store doesn't wait");
    acme.edit("carol", &json!({"profile": {"displayName": "Carol Young"}, "permissions": {"grants": ["orders:read"]}}));
    let carol = acme
        .organization
        .until("User", "carol", "changed", |carol| carol["status"]["permissions"]["total"] == 1);
    assert_eq!(carol["status"]["state"], "Enabled");
    assert!(acme.lets_in("carol", OLD), "the store has it in force");
    let carol = acme.organization.until_reason("User", "carol", "DirectoryUnavailable");
    assert_eq!(condition(&carol, "DirectoriesCurrent")["status"], "False");

    software.wire.mend();
    acme.organization.until_gone("User", "bob");
    acme.organization.until_ready("User", "alice");
    acme.organization.until_ready("User", "dave");
    eventually("the directories have it all", || {
        let carol = software.scim_user("carol");
        (carol["displayName"] == "Carol Young"
            && carol["entitlements"][0]["value"] == "orders:read")
            .then_some(())
    });
    let logins: BTreeSet<String> = software
        .in_scim("Users")
        .iter()
        .map(|user| user["userName"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(logins, ["alice", "carol", "dave"].map(|name| software.login(name)).into());
    assert_eq!(software.in_scim("Users").len(), 3);
    assert_eq!(
        (software.scim_user("alice")["active"].clone(), software.binds("alice", OLD)),
        (json!(false), false)
    );
    assert_eq!((software.in_ldap("bob"), software.binds("carol", OLD)), (None, true));
}

#[test]
fn whom_a_directory_refuses_says_why_and_goes_on_by_themselves_once_it_is_put_right() {
    let software = Software::start(&[]);
    let acme = &software.acme;
    let other = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": software.login("alice")});
    let id =
        software.ask_scim(Method::POST, "/Users", &other)["id"].as_str().expect("an id").to_owned();
    acme.create(&user("alice"));
    acme.create(&user("bob"));
    acme.organization.until_ready("User", "bob");
    let alice = acme.organization.until_reason("User", "alice", "DirectoryRefused");
    let message = condition(&alice, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.contains("userName") && message.contains(&acme.account_id("alice")),
        "{message}"
    );
    let operation = json!({"op": "add", "path": "externalId", "value": acme.account_id("alice")});
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
    software.ask_scim(Method::PATCH, &format!("/Users/{id}"), &patch);
    acme.organization.until_ready("User", "alice");
    assert_eq!(software.scim_user("alice")["id"], id, "the entry that was there is hers now");
}

#[test]
fn neither_a_token_nor_a_password_is_told_to_anybody_but_the_directories() {
    let software = Software::start(&["--log", "trace"]);
    let acme = &software.acme;
    acme.create(&secret("alice", OLD));
    acme.create(&user_with_password("alice"));
    acme.organization.until_ready("User", "alice");
    assert!(software.binds("alice", OLD));
    acme.put_password("alice", NEW);
    eventually("the new password is in force", || software.binds("alice", NEW).then_some(()));
    acme.organization.until_ready("User", "alice");
    let (log, metrics) = (acme.operator.log(), acme.operator.page("/metrics").1);
    let alice = acme.organization.admin().get("User", "alice").expect("she is there").to_string();
    let secrets =
        [OLD.to_owned(), NEW.to_owned(), software.scim.token(), software.slapd.password()];
    for (text, what) in [(&log, "log"), (&metrics, "metrics"), (&alice, "User")] {
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!text.contains(secret.as_str()), "secret {number} stands in the {what}");
        }
    }
    assert!(log.len() > 10_000, "it was told to log everything");
}
