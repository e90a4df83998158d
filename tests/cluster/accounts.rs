//! The main job: declared people become accounts, and what changes about them follows.

use roster_test_support::cluster::{
    Operator, Organization, With, condition, domain, group, passed, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

/// An organization that lists acme.example, with its operator.
fn organization() -> (Organization, Operator) {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let operator = Operator::start(&organization);
    (organization, operator)
}

fn edit(organization: &Organization, name: &str, spec: &Value) -> Value {
    passed(organization.admin().patch("User", name, &json!({"spec": spec})));
    organization.until_ready("User", name)
}

#[test]
fn a_user_becomes_an_account_with_everything_the_spec_says() {
    let (organization, operator) = organization();
    let profile = json!({
        "displayName": "Alice Smith", "phone": "+1 602 555 0100", "timeZone": "America/Phoenix", "notifications": ["CaseAssigned"],
        "address": {"street": ["1 Main St"], "locality": "Phoenix", "region": "AZ", "postalCode": "85001", "country": "US"},
    });
    let alice = user("alice")
        .with("/spec/profile", profile.clone())
        .with("/spec/email", "Alice@ACME.example")
        .with("/spec/role", "Dispatcher")
        .with("/spec/teams", json!(["night-shift"]))
        .with("/spec/groupRef", json!({"name": "administrators"}))
        .with("/spec/permissions", json!({"grants": ["orders:read"]}));
    passed(organization.admin().create(&alice));
    let status = organization.until_ready("User", "alice")["status"].clone();

    let login = format!("alice.{}", organization.name);
    assert_eq!(
        operator.users(),
        [json!({
            "organization": organization.name, "user": "alice", "loginName": login, "email": "alice@acme.example", "state": "Enabled",
            "group": "administrators", "role": "Dispatcher", "teams": ["night-shift"], "profile": profile,
            "permissions": ["*", "orders:read"], "selfService": [], "inTransaction": false,
        })]
    );
    assert_eq!(status["state"], "Enabled");
    assert_eq!(status["loginName"], login);
    assert_eq!(status["email"], "alice@acme.example");
    assert_eq!(status["group"], "administrators");
    assert_eq!(status["permissions"]["effective"], json!(["*", "orders:read"]));
    assert_eq!(status["permissions"]["source"], "Own");
    assert_eq!(status["transaction"]["type"], "Create");
    assert_eq!(status["transaction"]["state"], "Completed");
    assert_eq!(status["accountId"].as_str().expect("an account has an id").len(), 36);
    let said: Vec<String> =
        status["conditions"].as_array().expect("conditions").iter().map(in_words).collect();
    assert_eq!(
        said,
        [
            "Ready=True Reconciled",
            "InTransaction=False Idle",
            "LoginReady=False PasswordNotSet",
            "Billable=True Enabled",
            "PermissionsResolved=True Resolved",
            "EmailAccepted=True Accepted"
        ]
    );
}

fn in_words(condition: &Value) -> String {
    let word = |field: &str| condition[field].as_str().expect("a word").to_owned();
    format!("{}={} {}", word("type"), word("status"), word("reason"))
}

#[test]
fn an_edit_takes_effect_and_leaves_the_account_the_same_one() {
    let (organization, operator) = organization();
    passed(
        organization
            .admin()
            .create(&group("drivers").with("/spec/permissions", json!(["routes:read"]))),
    );
    passed(
        organization
            .admin()
            .create(&user("alice").with("/spec/permissions", json!({"grants": ["a", "b"]}))),
    );
    let id = organization.until_ready("User", "alice")["status"]["accountId"].clone();

    edit(&organization, "alice", &json!({"profile": {"displayName": "Alice Jones", "phone": "1"}}));
    edit(&organization, "alice", &json!({"permissions": {"grants": ["b", "c"]}}));
    edit(&organization, "alice", &json!({"email": "jones@acme.example"}));
    let moved = edit(&organization, "alice", &json!({"groupRef": {"name": "drivers"}}));
    assert_eq!(moved["status"]["permissions"]["effective"], json!(["b", "c", "routes:read"]));
    assert_eq!(moved["status"]["accountId"], id);

    let disabled = edit(&organization, "alice", &json!({"state": "Disabled"}));
    assert_eq!(disabled["status"]["state"], "Disabled");
    assert_eq!(disabled["status"]["transaction"]["type"], "Disable");
    assert_eq!(in_words(condition(&disabled, "Billable")), "Billable=True DisabledStillBilled");
    let enabled = edit(&organization, "alice", &json!({"state": "Enabled"}));
    assert_eq!(enabled["status"]["transaction"]["type"], "Enable");

    let stored = &operator.users()[0];
    assert_eq!(stored["email"], "jones@acme.example");
    assert_eq!(stored["profile"], json!({"displayName": "Alice Jones", "phone": "1"}));
    assert_eq!(stored["permissions"], json!(["b", "c", "routes:read"]));
}

#[test]
fn a_group_that_changes_changes_its_members_at_once() {
    let (organization, operator) = organization();
    passed(
        organization
            .admin()
            .create(&group("drivers").with("/spec/permissions", json!(["routes:read"]))),
    );
    passed(
        organization
            .admin()
            .create(&user("alice").with("/spec/groupRef", json!({"name": "drivers"}))),
    );
    organization.until_ready("User", "alice");
    passed(organization.admin().patch(
        "UserGroup",
        "drivers",
        &json!({"spec": {"permissions": ["x"], "fullControl": true}}),
    ));
    organization.until("User", "alice", "told", |alice| {
        alice["status"]["permissions"]["effective"] == json!(["*", "x"])
    });
    assert_eq!(operator.users()[0]["permissions"], json!(["*", "x"]));
    organization.until("UserGroup", "drivers", "counted", |group| group["status"]["members"] == 1);
}

#[test]
fn every_organization_has_administrators_and_users_and_their_edits_stay() {
    let (organization, _operator) = organization();
    let administrators = organization.until_ready("UserGroup", "administrators");
    assert_eq!(administrators["spec"]["fullControl"], true);
    assert_eq!(administrators["metadata"]["finalizers"], json!(["roster.rs/account"]));
    organization.until_ready("UserGroup", "users");
    passed(organization.admin().patch(
        "UserGroup",
        "users",
        &json!({"spec": {"permissions": ["cases:read"]}}),
    ));
    let users = organization.until_ready("UserGroup", "users");
    assert_eq!(users["spec"]["permissions"], json!(["cases:read"]));
    passed(organization.admin().delete("UserGroup", "users"));
    let again = organization.until("UserGroup", "users", "created anew", |group| {
        group["metadata"]["uid"] != users["metadata"]["uid"]
    });
    assert_eq!(again["spec"]["permissions"], Value::Null);
}

#[test]
fn deleting_a_user_erases_the_account_unassigns_its_cases_and_frees_its_name() {
    let (organization, operator) = organization();
    passed(
        organization.admin().create(&user("alice").with("/spec/deletionProtection", "Disabled")),
    );
    let first = organization.until_ready("User", "alice");
    let id = first["status"]["accountId"].as_str().expect("an id").to_owned();
    operator.execute(&format!(
        "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ('1', 'x', 'Lost parcel', '{id}')"
    ));

    passed(organization.admin().delete("User", "alice"));
    organization.until_gone("User", "alice");
    assert!(operator.users().is_empty());
    assert_eq!(operator.count("SELECT count(*) FROM cases WHERE owner_account_id IS NULL"), 1);
    let told = organization.until_event("AccountDeleted");
    assert!(told.contains("without an owner: 1"), "{told}");

    passed(organization.admin().create(&user("alice")));
    let second = organization.until_ready("User", "alice");
    assert_ne!(second["status"]["accountId"], id, "a re-created User is a new account");
    assert_eq!(operator.count("SELECT count(*) FROM lifetimes"), 2);
}

#[test]
fn the_operator_holds_a_protected_account_even_where_the_api_let_the_deletion_through() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    // Without an account in its status the policy lets a deletion pass.
    passed(organization.operators_account().patch_status(
        "User",
        "alice",
        &json!({"accountId": null}),
    ));
    passed(organization.admin().delete("User", "alice"));
    organization.until_reason("User", "alice", "DeletionProtected");
    assert_eq!(operator.users().len(), 1);
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"deletionProtection": "Disabled"}}),
    ));
    organization.until_gone("User", "alice");
    assert!(operator.users().is_empty());
}

#[test]
fn a_group_and_a_domain_stay_until_nobody_uses_them() {
    let (organization, _operator) = organization();
    passed(organization.admin().create(&group("drivers")));
    let alice = user("alice")
        .with("/spec/groupRef", json!({"name": "drivers"}))
        .with("/spec/deletionProtection", "Disabled");
    passed(organization.admin().create(&alice));
    organization.until_ready("User", "alice");
    // Before the counts have followed, the API server lets them go and the finalizer holds them.
    for (kind, name, count) in
        [("UserGroup", "drivers", "members"), ("OrgEmailDomain", "acme.example", "users")]
    {
        passed(organization.operators_account().patch_status(kind, name, &json!({count: 0})));
        passed(organization.admin().delete(kind, name));
        organization.until_reason(kind, name, "InUse");
    }
    let late = user("late").with("/spec/groupRef", json!({"name": "drivers"}));
    passed(organization.admin().create(&late));
    organization.until_reason("User", "late", "GroupNotFound");
    passed(organization.admin().delete("User", "alice"));
    for (kind, name) in
        [("User", "alice"), ("UserGroup", "drivers"), ("OrgEmailDomain", "acme.example")]
    {
        organization.until_gone(kind, name);
    }
}

#[test]
fn a_paused_user_waits_with_its_spec_and_its_deletion() {
    let (organization, operator) = organization();
    passed(
        organization.admin().create(
            &user("alice").with("/metadata/annotations", json!({"roster.rs/paused": "true"})),
        ),
    );
    let paused = organization.until_reason("User", "alice", "Paused");
    assert_eq!(condition(&paused, "Reconciling")["status"], "True");
    assert!(operator.users().is_empty());
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"metadata": {"annotations": {"roster.rs/paused": null}}}),
    ));
    organization.until_ready("User", "alice");
}

#[test]
fn without_the_admission_policy_the_operator_puts_the_finalizer_on_first() {
    let (organization, operator) = organization();
    // A release takes the finalizer off for good; the operator is then in the place of an older
    // cluster's.
    let with = user("alice").with("/metadata/annotations", json!({"roster.rs/paused": "true"}));
    passed(organization.admin().create(&with));
    organization.until_reason("User", "alice", "Paused");
    let released = json!({"metadata": {"finalizers": null, "annotations": {"roster.rs/release": "true", "roster.rs/paused": null}}});
    passed(organization.admin().patch("User", "alice", &released));
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"metadata": {"annotations": {"roster.rs/release": null}}}),
    ));
    let alice = organization.until_ready("User", "alice");
    assert_eq!(alice["metadata"]["finalizers"], json!(["roster.rs/account"]));
    assert_eq!(operator.users().len(), 1);
}

#[test]
fn a_released_user_is_left_alone_with_its_account_until_somebody_takes_it_up_again() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("alice")));
    passed(organization.admin().create(&user("bob")));
    organization.until_ready("User", "alice");
    let released = json!({"metadata": {"finalizers": null, "annotations": {"roster.rs/release": "true"}}, "spec": {"role": "Driver"}});
    passed(organization.admin().patch("User", "alice", &released));
    // What the operator does about bob's later edit comes after what it had to do about alice's.
    edit(&organization, "bob", &json!({"role": "Dispatcher"}));
    let alice = organization.admin().get("User", "alice").expect("she is there");
    assert_eq!(alice["metadata"]["finalizers"], Value::Null);
    assert_eq!(operator.users()[0]["role"], Value::Null);
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"metadata": {"annotations": {"roster.rs/release": null}}}),
    ));
    organization.until_ready("User", "alice");
    assert_eq!(operator.users()[0]["role"], "Driver");
}

#[test]
fn a_user_that_comes_back_under_its_name_takes_its_account_back_with_an_event() {
    let (organization, mut operator) = organization();
    passed(
        organization.admin().create(&user("alice").with("/spec/deletionProtection", "Disabled")),
    );
    let id = organization.until_ready("User", "alice")["status"]["accountId"].clone();
    operator.kill();
    let released =
        json!({"metadata": {"finalizers": null, "annotations": {"roster.rs/release": "true"}}});
    passed(organization.admin().patch("User", "alice", &released));
    passed(organization.admin().delete("User", "alice"));
    organization.until_gone("User", "alice");
    passed(organization.admin().create(&user("alice")));
    operator.restart();
    assert_eq!(organization.until_ready("User", "alice")["status"]["accountId"], id);
    organization.until_event("AccountTakenBack");
    assert_eq!(operator.count("SELECT count(*) FROM lifetimes"), 1);
}

#[test]
fn it_is_ready_measured_and_ends_when_asked_to() {
    let (organization, mut operator) = organization();
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    assert_eq!(operator.page("/healthz").0, 200);
    assert_eq!(operator.page("/readyz").0, 200);
    let metrics = operator.page("/metrics").1;
    assert!(metrics.contains("roster_store_commands_total{result=\"committed\"}"), "{metrics}");
    assert!(operator.terminate().success());
    let log = operator.log();
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "every line of the log is JSON:\n{log}"
    );
    assert!(!log.contains("alice"), "neither a name nor an address is in the log:\n{log}");
}
