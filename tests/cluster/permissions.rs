//! Where permissions come from: followed, cloned, copied and given by groups, on the real parts.

use std::time::{Duration, Instant};

use kube::api::{Api, ListParams, PostParams};
use roster::api::User;
use roster_test_support::cluster::{
    Operator, Organization, With, condition, domain, eventually, group, passed, refused, run, user,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::CLUSTER;

/// An organization that lists acme.example, with its operator.
fn organization() -> (Organization, Operator) {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let operator = Operator::start(&organization);
    organization.until_ready("OrgEmailDomain", "acme.example");
    (organization, operator)
}

fn granted(name: &str, grants: &[&str]) -> Value {
    user(name).with("/spec/permissions/grants", json!(grants))
}

fn inheriting(name: &str, from: &str) -> Value {
    user(name).with("/spec/permissions/from", json!({"name": from, "mode": "Inherit"}))
}

fn cloning(name: &str, from: &str) -> Value {
    user(name).with("/spec/permissions/from", json!({"name": from, "mode": "Clone"}))
}

fn edit(organization: &Organization, name: &str, spec: &Value) -> Value {
    passed(organization.admin().patch("User", name, &json!({"spec": spec})))
}

/// Waits until a user's status tells these permissions in effect.
#[track_caller]
fn until_effective(organization: &Organization, name: &str, permissions: &[&str]) -> Value {
    let wanted = json!(permissions);
    organization.until("User", name, &format!("allowed {permissions:?}"), |user| {
        user["status"]["permissions"]["effective"] == wanted
    })
}

/// Creates many objects, as fast as the API server takes them.
fn create_all(organization: &Organization, users: Vec<Value>) {
    let api: Api<User> = organization.admin().api();
    run(async {
        let mut writes = JoinSet::new();
        for user in users {
            while writes.len() >= 32 {
                writes.join_next().await;
            }
            let api = api.clone();
            writes.spawn(async move {
                let user: User = serde_json::from_value(user).expect("a User");
                api.create(&PostParams::default(), &user).await.expect("it can be created");
            });
        }
        writes.join_all().await;
    });
}

/// Returns how many users there are of whom something holds.
fn how_many(organization: &Organization, holds: impl Fn(&User) -> bool) -> usize {
    let api: Api<User> = organization.admin().api();
    run(async { api.list(&ListParams::default()).await })
        .expect("users can be listed")
        .iter()
        .filter(|user| holds(user))
        .count()
}

fn tells(user: &User, permission: &str) -> bool {
    let permissions = user.status.as_ref().and_then(|status| status.permissions.as_ref());
    permissions.is_some_and(|told| told.effective.iter().any(|effective| effective == permission))
}

#[test]
fn heirs_follow_every_change_of_an_ancestor_in_the_store_and_in_their_status() {
    let (organization, operator) = organization();
    let admin = organization.admin();
    passed(
        admin.create(&inheriting("carol", "bob").with("/spec/permissions/grants", json!(["c"]))),
    );
    passed(admin.create(&inheriting("bob", "alice")));
    organization.until_reason("User", "carol", "SourceNotReady");
    organization.until_reason("User", "bob", "SourceNotFound");
    passed(admin.create(&granted("alice", &["a"])));
    let carol = until_effective(&organization, "carol", &["a", "c"]);
    assert_eq!(carol["status"]["permissions"]["source"], "Inherited");
    assert_eq!(carol["status"]["permissions"]["chain"], json!(["bob", "alice"]));
    let login = format!("carol.{}", organization.name);
    let stored = |login: &str| {
        let users = operator.users();
        users.iter().find(|row| row["loginName"] == *login).expect("the account is there")["permissions"].clone()
    };
    assert_eq!(stored(&login), json!(["a", "c"]));

    edit(&organization, "alice", &json!({"permissions": {"grants": ["b"]}, "state": "Disabled"}));
    until_effective(&organization, "carol", &["b", "c"]);
    assert_eq!(stored(&login), json!(["b", "c"]));
    organization.until("User", "alice", "counted", |alice| alice["status"]["heirs"] == 1);
    edit(&organization, "bob", &json!({"permissions": {"from": null, "grants": ["own"]}}));
    until_effective(&organization, "carol", &["c", "own"]);
    organization.until("User", "alice", "counted", |alice| alice["status"]["heirs"] == 0);
}

#[test]
fn a_source_with_heirs_stays_until_they_follow_somebody_else() {
    let (organization, _operator) = organization();
    let admin = organization.admin();
    passed(admin.create(&granted("alice", &["a"]).with("/spec/deletionProtection", "Disabled")));
    passed(admin.create(&inheriting("bob", "alice")));
    until_effective(&organization, "bob", &["a"]);
    organization.until("User", "alice", "counted", |alice| alice["status"]["heirs"] == 1);
    refused(
        admin.delete("User", "alice"),
        "'in-use.roster.rs' denied request: User alice can't be deleted",
    );

    // Where the count was late, the finalizer holds it.
    passed(organization.operators_account().patch_status("User", "alice", &json!({"heirs": 0})));
    passed(admin.delete("User", "alice"));
    let held = organization.until_reason("User", "alice", "InUse");
    let said = condition(&held, "Ready")["message"].as_str().expect("a message").to_owned();
    assert!(said.contains("others inherit from it (bob)"), "{said}");
    let late = passed(admin.create(&inheriting("late", "alice")));
    let late = organization.until_reason(
        "User",
        late["metadata"]["name"].as_str().expect("a name"),
        "SourceNotFound",
    );
    let said =
        condition(&late, "PermissionsResolved")["message"].as_str().expect("a message").to_owned();
    assert!(said.contains("the User alice is being deleted"), "{said}");
    edit(&organization, "bob", &json!({"permissions": {"from": null}}));
    organization.until_gone("User", "alice");
    until_effective(&organization, "bob", &[]);
}

#[test]
fn a_clone_is_taken_once_and_survives_its_source() {
    let (organization, mut operator) = organization();
    let admin = organization.admin();
    let source = passed(
        admin.create(&granted("alice", &["a"]).with("/spec/deletionProtection", "Disabled")),
    );
    passed(admin.create(&cloning("bob", "alice")));
    let bob = until_effective(&organization, "bob", &["a"]);
    let clone = bob["status"]["clone"].clone();
    assert_eq!(
        (&clone["name"], &clone["uid"], &clone["generation"]),
        (&json!("alice"), &source["metadata"]["uid"], &json!(1))
    );
    assert_eq!(bob["status"]["permissions"]["source"], "Cloned");

    edit(&organization, "alice", &json!({"permissions": {"grants": ["other"]}}));
    organization.until_ready("User", "alice");
    passed(admin.delete("User", "alice"));
    organization.until_gone("User", "alice");
    passed(admin.create(&granted("alice", &["anew"])));
    organization.until_ready("User", "alice");
    operator.kill();
    operator.restart();
    edit(&organization, "bob", &json!({"role": "Driver"}));
    let bob = organization.until_ready("User", "bob");
    assert_eq!(
        (&bob["status"]["permissions"]["effective"], &bob["status"]["clone"]),
        (&json!(["a"]), &clone)
    );
    edit(&organization, "bob", &json!({"permissions": {"from": null}}));
    until_effective(&organization, "bob", &[]);
}

#[test]
fn a_copy_stands_by_itself_under_a_placeholder_until_it_has_an_address() {
    let (organization, operator) = organization();
    let admin = organization.admin();
    let alice = user("alice")
        .with("/spec/role", "Driver")
        .with("/spec/teams", json!(["night"]))
        .with("/spec/profile/phone", "1");
    passed(admin.create(&alice));
    let copy = |name: &str| {
        user(name)
            .without("/spec/email")
            .without("/spec/profile")
            .with("/spec/copyOf", json!({"name": "alice"}))
    };
    passed(admin.create(&copy("bob")));
    let bob = organization.until_ready("User", "bob");
    assert_eq!(bob["status"]["email"], "alice@acme.example (Copy 1)");
    assert_eq!(bob["status"]["copy"]["number"], 1);
    assert_eq!(condition(&bob, "LoginReady")["reason"], "EmailIsPlaceholder");
    passed(admin.create(&copy("carol").with("/spec/profile", json!({"displayName": "Carol"}))));
    assert_eq!(
        organization.until_ready("User", "carol")["status"]["email"],
        "alice@acme.example (Copy 2)"
    );

    edit(&organization, "alice", &json!({"role": "Chief"}));
    edit(&organization, "bob", &json!({"email": "bob@acme.example"}));
    let bob = organization.until_ready("User", "bob");
    assert_eq!(bob["status"]["email"], "bob@acme.example");
    assert_eq!(condition(&bob, "LoginReady")["reason"], "PasswordNotSet");
    let users = operator.users();
    let stored =
        users.iter().find(|row| row["email"] == "bob@acme.example").expect("the account is there");
    assert_eq!(
        (&stored["role"], &stored["teams"], &stored["profile"]["phone"]),
        (&json!("Driver"), &json!(["night"]), &json!("1"))
    );
    let stored = users
        .iter()
        .find(|row| row["email"] == "alice@acme.example (Copy 2)")
        .expect("the account is there");
    assert_eq!(stored["profile"]["displayName"], "Carol");
    refused(
        admin.patch("User", "bob", &json!({"spec": {"email": null}})),
        "email can be changed but not removed",
    );
}

#[test]
fn the_last_administrator_stays_whatever_takes_them_away() {
    let (organization, _operator) = organization();
    let admin = organization.admin();
    let member = |name: &str, of: &str| {
        user(name)
            .with("/spec/groupRef", json!({"name": of}))
            .with("/spec/deletionProtection", "Disabled")
    };
    passed(admin.create(&group("chiefs").with("/spec/fullControl", true)));
    organization.until_ready("UserGroup", "chiefs");
    passed(admin.create(&member("alice", "chiefs")));
    passed(admin.create(&member("bob", "users")));
    organization.until_ready("User", "alice");
    organization.until_ready("User", "bob");

    let disabled = edit(&organization, "alice", &json!({"state": "Disabled", "role": "Chief"}));
    assert_eq!(disabled["spec"]["state"], "Disabled");
    let alice = organization.until_reason("User", "alice", "LastAdministrator");
    assert_eq!(alice["status"]["state"], "Enabled");
    edit(&organization, "alice", &json!({"state": "Enabled", "groupRef": {"name": "users"}}));
    let alice = organization.until_reason("User", "alice", "LastAdministrator");
    assert_eq!(alice["status"]["group"], "chiefs");
    edit(&organization, "alice", &json!({"groupRef": {"name": "chiefs"}}));
    organization.until_ready("User", "alice");
    passed(admin.patch("UserGroup", "chiefs", &json!({"spec": {"fullControl": false}})));
    organization.until_reason("UserGroup", "chiefs", "LastAdministrator");
    assert_eq!(until_effective(&organization, "alice", &["*"])["status"]["state"], "Enabled");
    passed(admin.delete("User", "alice"));
    organization.until_reason("User", "alice", "LastAdministrator");

    edit(&organization, "bob", &json!({"groupRef": {"name": "administrators"}}));
    organization.until_gone("User", "alice");
    organization.until_ready("UserGroup", "chiefs");
    passed(admin.delete("User", "bob"));
    organization.until_gone("User", "bob");
}

#[test]
fn what_was_changed_in_the_store_by_nobody_who_may_is_put_back_and_said() {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let operator = Operator::start_with(&organization, &["--resync", "2s"]);
    passed(organization.admin().create(&user("alice").with("/spec/profile/phone", "1")));
    organization.until_ready("User", "alice");
    operator.execute(
        r#"UPDATE accounts SET
            profile = REPLACE(profile, '"phone":"1"', '"phone":"666"'), grants = '["stolen"]'"#,
    );
    let said = organization.until_event("ValuesPutBack");
    assert!(said.contains("it is as declared again"), "{said}");
    let stored = &operator.users()[0];
    assert_eq!((&stored["profile"]["phone"], &stored["permissions"]), (&json!("1"), &json!([])));
}

#[test]
fn a_loop_of_3_among_1000_users_concerns_nobody_outside_it_and_heals_when_it_is_cut() {
    const OTHERS: usize = 997;
    let (organization, operator) = organization();
    let on_it = ["alice", "bob", "carol"];
    for (name, grant) in on_it.iter().zip(["a", "b", "c"]) {
        passed(organization.admin().create(&granted(name, &[grant, "shared"])));
    }
    // Every tenth is an heir of somebody on the loop.
    let others = (0..OTHERS).map(|number| {
        let name = format!("user-{number:03}");
        if number % 10 == 0 {
            inheriting(&name, on_it[number / 10 % 3])
        } else {
            granted(&name, &["x"])
        }
    });
    create_all(&organization, others.collect());
    let ready = |user: &User| {
        let status = user.status.as_ref();
        status.is_some_and(|status| {
            serde_json::to_value(&status.conditions).expect("JSON")[0]["status"] == "True"
        })
    };
    eventually("everybody is Ready", || {
        (how_many(&organization, ready) == OTHERS + 3).then_some(())
    });

    std::thread::scope(|scope| {
        for (name, source) in [("alice", "bob"), ("bob", "carol"), ("carol", "alice")] {
            let organization = &organization;
            scope.spawn(move || {
                edit(
                    organization,
                    name,
                    &json!({"permissions": {"from": {"name": source, "mode": "Inherit"}}}),
                )
            });
        }
    });
    for name in on_it {
        let user = organization.until_reason("User", name, "InheritanceCycle");
        assert_eq!(condition(&user, "Stalled")["status"], "True");
        let said = condition(&user, "Ready")["message"].as_str().expect("a message").to_owned();
        assert!(on_it.iter().all(|other| said.contains(other)), "the whole loop is named: {said}");
    }
    assert_eq!(how_many(&organization, ready), OTHERS, "everybody else is unaffected");

    // Each still has its own grants, and a revocation by all who grant it reaches all.
    for name in on_it {
        edit(&organization, name, &json!({"permissions": {"grants": [name[..1]]}}));
    }
    eventually("nobody is allowed what nobody on the loop is granted", || {
        (operator.count("SELECT count(*) FROM roster_accounts WHERE permissions LIKE '%shared%'")
            == 0)
            .then_some(())
    });
    eventually("everybody is told so", || {
        (how_many(&organization, |user| tells(user, "shared")) == 0).then_some(())
    });

    edit(&organization, "carol", &json!({"permissions": {"from": null}}));
    for (name, permissions) in
        [("alice", &["a", "b", "c"][..]), ("bob", &["b", "c"]), ("carol", &["c"])]
    {
        until_effective(&organization, name, permissions);
        organization.until_ready("User", name);
    }
    eventually("every heir follows again", || {
        (how_many(&organization, |user| tells(user, "c")) == 3 + OTHERS.div_ceil(10)).then_some(())
    });
}

/// How many heirs there are; 10000 are as many as the design speaks of.
fn heirs() -> usize {
    std::env::var("ROSTER_HEIRS")
        .map_or(2000, |heirs| heirs.parse().expect("ROSTER_HEIRS is a number"))
}

#[test]
fn a_change_of_the_source_of_thousands_is_in_force_at_once_and_holds_nobody_up() {
    let heirs = heirs();
    let (organization, operator) = organization();
    passed(organization.admin().create(&granted("template", &["old"])));
    organization.until_ready("User", "template");
    let to_be_ready = |name: &str| {
        let started = Instant::now();
        passed(organization.admin().create(&user(name)));
        organization.until_ready("User", name);
        started.elapsed()
    };
    let idle = to_be_ready("idle");
    let began = Instant::now();
    create_all(
        &organization,
        (0..heirs).map(|number| inheriting(&format!("heir-{number:05}"), "template")).collect(),
    );
    let patience = Duration::from_secs(60 + u64::try_from(heirs).expect("a number") / 50);
    let told = |permission: &'static str| {
        let told =
            || (how_many(&organization, |user| tells(user, permission)) > heirs).then_some(());
        roster_test_support::cluster::within(patience, told)
            .unwrap_or_else(|| panic!("not everybody was told {permission}"));
    };
    told("old");
    let created = began.elapsed();
    organization.until("User", "template", "counted", |user| user["status"]["heirs"] == heirs);

    let writes = || {
        organization
            .requests_of_the_operator()
            .iter()
            .filter(|request| request.contains(" heir-"))
            .count()
    };
    let before = writes();
    let began = Instant::now();
    edit(&organization, "template", &json!({"permissions": {"grants": ["new"]}}));
    let all = i64::try_from(heirs).expect("a number") + 1;
    eventually("the change is in force for all", || {
        let count = |query| operator.count(query);
        (count("SELECT count(*) FROM roster_accounts WHERE permissions LIKE '%new%'") == all
            && count("SELECT count(*) FROM roster_accounts WHERE permissions LIKE '%old%'") == 0)
            .then_some(())
    });
    let in_force = began.elapsed();
    let written = writes() - before;
    let late = to_be_ready("late");
    let written_meanwhile = writes() - before - written;
    told("new");
    let all_told = began.elapsed();
    assert_eq!(writes() - before, heirs, "one status write for each heir");
    println!(
        "{heirs} heirs: created and told in {created:.2?}; a change in force for all after {in_force:.2?} and told after \
         {all_told:.2?}; a user created after {written} of these writes was Ready after {late:.2?} and {written_meanwhile} \
         more, an idle one after {idle:.2?}"
    );
    assert!(written + written_meanwhile < heirs, "the user was created in the middle of it");
    assert!(written_meanwhile < heirs / 4, "a new user doesn't wait for what nobody waits for");
}
