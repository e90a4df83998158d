//! A password stands in its Secret and, hashed, in the store; nowhere else, however it is written.

use std::cell::RefCell;
use std::fs;

use roster_test_support::cluster::middlebox::{Fault, Middlebox, Scope};
use roster_test_support::cluster::{Operator, Output, With, condition, domain, eventually, passed};
use roster_test_support::needles::{Places, found as found_of};
use serde_json::json;

use crate::CLUSTER;
use crate::acme::{Acme, secret, user_with_password};

const SET: &str = "nine lorries & leave/at dawn?";
const REJECTED: &str = "quartz/lantern & zebra?";
const ROTATED: &str = "seven foxes + guard/the mill&";
const OWN: &str = "eleven violins = under/water?";
const KEPT: &str = "twelve magpies & steal/silver?";
const WRONG: &str = "thirteen anvils + fall/slowly?";

const PLANTED: [&str; 6] = [SET, REJECTED, ROTATED, OWN, KEPT, WRONG];

/// How the places that belong to the store are called.
const STORES: &str = "the store's ";

/// Returns where any of the planted passwords is.
fn found(places: &Places) -> Vec<String> {
    found_of(&PLANTED, places)
}

/// What was said on the command line so far.
#[derive(Default)]
struct Said(RefCell<Places>);

impl Said {
    /// Notes what a command said, and returns its exit code.
    fn hear(&self, what: &str, output: Output) -> Option<i32> {
        self.0
            .borrow_mut()
            .push((format!("the output of {what}"), (output.stdout + &output.stderr).into_bytes()));
        output.code
    }
}

/// Lives through everything that is ever done with a password.
fn live(acme: &Acme, said: &Said) {
    let (organization, operator) = (&acme.organization, &acme.operator);
    let login = acme.login_name("alice");
    let log_in = |who: &str, password: &str| said.hear("roster login", acme.log_in(who, password));
    let put = |password: &str| {
        let data = json!({"stringData": {"password": password, "again": password}});
        passed(organization.admin().patch("Secret", "alice-password", &data));
    };
    organization.until_ready("UserGroup", "users");
    let list = json!({"spec": {"selfService": ["Phone", "Password"]}});
    passed(organization.admin().patch("UserGroup", "users", &list));
    organization.until_ready("UserGroup", "users");
    acme.create(&secret("bob", KEPT));
    acme.create(&user_with_password("bob"));
    acme.create(&secret("alice", SET).with("/stringData/again", SET));
    let alice =
        user_with_password("alice").with("/spec/passwordSecretRef/confirmationKey", "again");
    acme.create(&alice.with("/spec/deletionProtection", "Disabled"));
    organization.until_ready("User", "bob");
    organization.until_ready("User", "alice");
    assert_eq!(log_in(&login, SET), Some(0));
    assert_eq!(log_in(&login, WRONG), Some(1));
    assert_eq!(log_in("alice@acme.example", WRONG), Some(1));

    put(&format!("{REJECTED}\u{7}"));
    organization.until_reason("User", "alice", "PasswordRejected");
    acme.directory.behaves(&json!({"down": true}));
    put(ROTATED);
    organization.until_reason("User", "alice", "DirectoryUnavailable");
    acme.directory.has_a_good_day();
    organization.until("User", "alice", "settled", |alice| {
        condition(alice, "Ready")["reason"] == "Reconciled"
            && alice["status"]["transaction"]["type"] == "PasswordChange"
    });
    assert_eq!(log_in(&login, ROTATED), Some(0));

    let own = |what: &[&str], first: &str, second: &str| {
        let arguments = [&["self", &login], what].concat();
        said.hear("roster self", operator.roster(&arguments, &format!("{first}\n{second}\n")))
    };
    assert_eq!(own(&["--set-password"], ROTATED, &format!("{REJECTED}\u{7}")), Some(1));
    assert_eq!(own(&["--set-password"], WRONG, OWN), Some(1));
    assert_eq!(own(&["--set-password"], ROTATED, OWN), Some(0));
    eventually("her own is set", || (acme.journaled("alice", "PasswordChange") == 2).then_some(()));
    let in_flight =
        "SELECT count(*) FROM transactions WHERE completed_at IS NULL AND superseded_at IS NULL";
    eventually("the directory has it", || (operator.count(in_flight) == 0).then_some(()));
    assert_eq!(own(&["--set", "phone=1", "-o", "json"], OWN, ""), Some(0));
    assert_eq!(log_in(&login, OWN), Some(0));

    acme.edit("alice", &json!({"state": "Disabled"}));
    organization.until("User", "alice", "disabled", |alice| alice["status"]["state"] == "Disabled");
    assert_eq!(log_in(&login, OWN), Some(1));
}

/// Gathers everything that there is, but what stands under the Secrets' own keys; that is returned
/// apart.
fn gathered(acme: &Acme, said: &Said, since: i64) -> (Places, Places) {
    let (organization, operator) = (&acme.organization, &acme.operator);
    for arguments in [
        vec!["users", "-o", "json"],
        vec!["why", "-n", &organization.name, "bob", "orders:read"],
        vec!["copy", "-n", &organization.name, "bob", "carol"],
        vec!["password-policy"],
    ] {
        let what = format!("roster {}", arguments[0]);
        let output = if arguments[0] == "password-policy" {
            roster_test_support::cluster::run_roster(&arguments, "")
        } else {
            operator.roster(&arguments, "")
        };
        said.hear(&what, output);
    }
    let all = [
        "get",
        "users.roster.rs,usergroups,orgemaildomains,events,namespaces",
        "-o",
        "yaml",
        "--show-managed-fields",
    ];
    said.hear("kubectl get", organization.kubectl(&all, ""));
    let mut places = said.0.take();
    places.push(("the operator's output".to_owned(), operator.log().into_bytes()));
    for page in ["/metrics", "/healthz", "/readyz"] {
        places.push((page.to_owned(), operator.page(page).1.into_bytes()));
    }
    places.extend(operator.store_files());
    let files = acme.directory.files().into_iter();
    places.extend(files.map(|(name, (_, content))| {
        (format!("the directory's {name}"), [name.into_bytes(), content].concat())
    }));
    for log in
        fs::read_dir(organization.logs()).expect("the logs can be read").filter_map(Result::ok)
    {
        let content = fs::read(log.path()).expect("a log can be read");
        places
            .push((format!("the control plane's {}", log.file_name().to_string_lossy()), content));
    }
    let etcd = organization.etcd_contents().1.into_iter().chain(organization.etcd_history(since));
    let own = format!("/registry/secrets/{}/", organization.name);
    let (secrets, others): (Places, Places) = etcd.partition(|(key, _)| key.starts_with(&own));
    places.extend(
        others
            .into_iter()
            .map(|(key, value)| (format!("etcd's {key}"), [key.into_bytes(), value].concat())),
    );
    (places, secrets)
}

#[test]
fn a_password_is_nowhere_but_in_its_secret_and_hashed_in_the_store() {
    let acme = Acme::start(&["--log", "trace"]);
    let since = acme.organization.etcd_contents().0;
    let said = Said::default();
    live(&acme, &said);
    let hash = acme
        .operator
        .text("SELECT password_hash FROM accounts WHERE owner_name = 'alice'")
        .expect("a hash");
    let declared = acme
        .operator
        .text("SELECT secret_hash FROM accounts WHERE owner_name = 'alice'")
        .expect("a hash");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let (places, _) = gathered(&acme, &said, since);
    assert_eq!(found(&places), Vec::<String>::new());

    passed(acme.organization.admin().delete("User", "alice"));
    acme.organization.until_gone("User", "alice");
    assert_eq!(said.hear("roster login", acme.log_in(&acme.login_name("alice"), OWN)), Some(1));
    assert_eq!(said.hear("roster login", acme.log_in(&acme.login_name("bob"), KEPT)), Some(0));
    let (places, secrets) = gathered(&acme, &said, since);
    assert_eq!(found(&places), Vec::<String>::new());
    assert!(places.len() > 100, "everything was looked at: {} places", places.len());
    // The search finds what is there: each of them that ever stood in a Secret.
    let there = found(&secrets);
    for planted in [SET, REJECTED, ROTATED, KEPT] {
        assert!(
            there.iter().any(|hit| hit.starts_with(&format!("{planted:?} as it is"))),
            "{planted} in {there:?}"
        );
    }

    // Hashes stay in the store alone, and not even there once the account is gone: of a server's
    // files that holds only after it has cleaned up in its own time, so there it is the rows that
    // are looked at.
    let rows = acme.operator.store_version();
    let in_rows = rows.iter().map(|rows| ("the store's rows".to_owned(), rows.clone()));
    let places: Places =
        places.into_iter().filter(|(name, _)| !name.starts_with(STORES)).chain(in_rows).collect();
    let holding = |hash: &str| -> Vec<String> {
        let holds =
            |place: &[u8]| place.windows(hash.len()).any(|window| window == hash.as_bytes());
        places.iter().filter(|(_, place)| holds(place)).map(|(name, _)| name.clone()).collect()
    };
    assert_eq!((holding(&hash), holding(&declared)), (vec![], vec![]));
    let bobs = acme
        .operator
        .text("SELECT password_hash FROM accounts WHERE owner_name = 'bob'")
        .expect("a hash");
    assert!(holding(&bobs).iter().all(|place| place.starts_with(STORES)), "{:?}", holding(&bobs));
    assert!(!holding(&bobs).is_empty());
}

const FIRST: &str = "fourteen kettles * under/bridges?";
const SECOND: &str = "fifteen marbles * over/meadows?";

/// What is known of a person, beside the password.
const PERSONAL: [&str; 4] = ["zenobia.quux", "acme.example", "Zenobia Q. Quux", "+1 602 555 0177"];

/// Has every answer spoilt in every way, and searches what the operator says at a level.
fn check_spoilt_answers(level: &str, texts: &[&'static str]) {
    let organization = CLUSTER.organization();
    let admin = organization.admin();
    passed(admin.create(&domain("acme.example")));
    passed(admin.create(&secret("zenobia", FIRST)));
    let profile = json!({"displayName": "Zenobia Q. Quux", "phone": "+1 602 555 0177"});
    let zenobia = user_with_password("zenobia").with("/spec/email", "zenobia.quux@acme.example");
    passed(admin.create(&zenobia.with("/spec/profile", profile)));
    let middlebox = Middlebox::start(&organization);
    let mut operator =
        Operator::start_at(&organization, &middlebox.kubeconfig(&organization), &["--log", level]);
    organization.until_ready("User", "zenobia");
    let mut password = FIRST;
    for fault in Fault::ALL {
        let spoilt = |scope, at_least| {
            eventually(&format!("{scope:?} spoilt by {fault:?}"), || {
                (middlebox.spoilt() >= at_least).then_some(())
            });
        };
        middlebox.spoils(Some((fault, Scope::Secrets)));
        password = if password == FIRST { SECOND } else { FIRST };
        passed(admin.patch(
            "Secret",
            "zenobia-password",
            &json!({"stringData": {"password": password}}),
        ));
        spoilt(Scope::Secrets, 1);
        middlebox.spoils(Some((fault, Scope::Writes)));
        passed(admin.patch("User", "zenobia", &json!({"spec": {"role": format!("{fault:?}")}})));
        spoilt(Scope::Writes, 1);
        middlebox.spoils(Some((fault, Scope::Everything)));
        passed(admin.patch("User", "zenobia", &json!({"spec": {"teams": ["night-shift"]}})));
        passed(admin.patch("User", "zenobia", &json!({"spec": {"teams": null}})));
        spoilt(Scope::Everything, 1);
        operator.restart();
        spoilt(Scope::Everything, 5);
        middlebox.spoils(None);
        operator.until_it_works();
    }
    organization.until("User", "zenobia", "settled", |user| {
        condition(user, "Ready")["reason"] == "Reconciled"
            && user["status"]["observedGeneration"] == user["metadata"]["generation"]
    });
    let login = format!("zenobia.{}", organization.name);
    eventually("the last password is in force", || {
        (operator.roster(&["login", &login], password).code == Some(0)).then_some(())
    });
    let log = operator.log();
    assert!(
        log.contains("can't be read, trying again") && log.contains("watch failed, restarting"),
        "the faults were met"
    );
    let events = organization.kubectl(&["get", "events", "-o", "yaml"], "").expect_success();
    let statuses = organization
        .kubectl(&["get", "users.roster.rs,usergroups,orgemaildomains", "-o", "yaml"], "")
        .expect_success();
    let mut places: Places = vec![
        ("the log".to_owned(), log.into_bytes()),
        ("Events".to_owned(), events.into_bytes()),
        ("metrics".to_owned(), operator.page("/metrics").1.into_bytes()),
    ];
    assert_eq!(found_of(texts, &places), Vec::<String>::new());
    places.push(("statuses".to_owned(), statuses.into_bytes()));
    assert_eq!(found_of(&[FIRST, SECOND], &places), Vec::<String>::new());
}

#[test]
fn of_an_answer_that_cannot_be_read_nothing_is_logged_or_told() {
    check_spoilt_answers("info", &[&[FIRST, SECOND], PERSONAL.as_slice()].concat());
}

#[test]
fn of_a_secret_that_cannot_be_read_nothing_is_logged_at_any_level() {
    check_spoilt_answers("trace", &[FIRST, SECOND]);
}
