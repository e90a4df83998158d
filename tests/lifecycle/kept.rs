//! Accounts that are kept without a `User`, and who takes them over. What becomes of those that are
//! deleted, protected or taken back under their own name is in `tests/cluster/accounts.rs`.

use roster_test_support::cluster::{Organization, With, passed, refused, user};
use serde_json::{Value, json};

use crate::acme::{Acme, secret, user_with_password};

const PASSWORD: &str = "nine lorries leave at dawn";

/// Gives a group of people a right in an organization.
#[track_caller]
fn bind(organization: &Organization, group: &str, rules: &Value) {
    let name = format!("{}-{group}", organization.name);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    });
    passed(organization.admin().create(&role));
    passed(organization.admin().create(&binding));
}

/// Has the `User` alice go, and her account stay. Returns the account's id.
#[track_caller]
fn keep_alice(acme: &Acme) -> String {
    acme.create(&secret("alice", PASSWORD));
    acme.create(
        &user_with_password("alice")
            .with("/spec/deletionPolicy", "Retain")
            .with("/spec/role", "Dispatcher"),
    );
    acme.create(&user("bob"));
    let id = acme.organization.until_ready("User", "alice")["status"]["accountId"]
        .as_str()
        .expect("an id")
        .to_owned();
    acme.organization.until_ready("User", "bob");
    acme.operator.execute(&format!(
        "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ('1', 'x', 'Lost parcel', '{id}')"
    ));
    let written = acme.directory.entry(&id).expect("the directory has her");
    passed(acme.organization.as_user("olga").delete("User", "alice"));
    acme.organization.until_gone("User", "alice");
    assert!(acme.lets_in("alice", PASSWORD), "she is protected, kept, and may log in");
    assert_eq!(
        acme.operator.count("SELECT count(*) FROM cases WHERE owner_account_id IS NOT NULL"),
        1
    );
    assert_eq!(
        acme.directory.entry(&id).expect("the directory keeps her")["person"],
        written["person"]
    );
    assert_eq!(acme.journaled("alice", "Delete"), 0);
    id
}

#[test]
fn an_account_that_is_kept_goes_to_another_user_by_adoption_with_the_verb_and_not_without() {
    let acme = Acme::start(&[]);
    let id = keep_alice(&acme);
    let heir =
        user("alicia").with("/spec/email", "alice@acme.example").with("/spec/role", "Dispatcher");

    acme.create(&heir.clone().without("/spec/role"));
    acme.organization.until_reason("User", "alicia", "EmailTaken");
    passed(acme.organization.admin().delete("User", "alicia"));
    acme.organization.until_gone("User", "alicia");

    bind(
        &acme.organization,
        "role-givers",
        &json!([
            {"apiGroups": ["roster.rs"], "resources": ["permissions"], "verbs": ["grant"]},
        ]),
    );
    bind(
        &acme.organization,
        "adopters",
        &json!([
            {"apiGroups": ["roster.rs"], "resources": ["accounts"], "resourceNames": [id], "verbs": ["adopt"]},
        ]),
    );
    let adopts = heir.with("/spec/adopt", id.clone());
    let groups = ["helpdesk", "approvers", "role-givers", "adopters"];
    roster_test_support::cluster::eventually("the rights are known", || {
        acme.organization.as_member("anna", &groups).dry_run().create(&adopts).is_ok().then_some(())
    });
    refused(
        acme.organization.as_member("hans", &groups[..3]).create(&adopts),
        &format!("adopting an account needs the verb adopt on accounts.roster.rs/{id}"),
    );
    passed(acme.organization.as_member("anna", &groups).create(&adopts));
    let alicia = acme.organization.until_ready("User", "alicia");
    assert_eq!(alicia["status"]["accountId"], id);
    assert_eq!(
        alicia["status"]["loginName"],
        acme.login_name("alice"),
        "a login name is for the life of the account"
    );
    assert!(acme.lets_in("alice", PASSWORD), "nothing of the account is lost");
    assert_eq!(acme.operator.count("SELECT count(*) FROM lifetimes"), 2, "hers and bob's");
    assert_eq!(
        acme.operator.count("SELECT count(*) FROM cases WHERE owner_account_id IS NOT NULL"),
        1
    );

    // Whose own User is there can't be adopted, nor can who never was.
    let bobs = acme.account_id("bob");
    for (name, account) in
        [("mallory", bobs.as_str()), ("trudy", "0193a4b0-0000-7000-8000-000000000001")]
    {
        acme.create(&user(name).with("/spec/adopt", account));
        let thief = acme.organization.until_reason("User", name, "NotAdoptable");
        assert_eq!(thief["status"]["accountId"], Value::Null);
    }
    assert_eq!(acme.operator.count("SELECT count(*) FROM lifetimes"), 2);
}

#[test]
fn an_account_that_is_kept_is_taken_back_by_its_name_with_the_charge_approved() {
    let acme = Acme::start(&[]);
    let id = keep_alice(&acme);
    let again = user("alice").with("/spec/role", "Driver");
    acme.create(&again.without("/spec/chargeApproved"));
    acme.organization.until_reason("User", "alice", "ChargeNotApproved");
    assert_eq!(
        acme.operator.text("SELECT role FROM accounts WHERE owner_name = 'alice'").as_deref(),
        Some("Dispatcher")
    );
    acme.edit("alice", &json!({"chargeApproved": true}));
    let alice = acme.organization.until_ready("User", "alice");
    assert_eq!(alice["status"]["accountId"], id);
    acme.organization.until_event("AccountTakenBack");
    assert_eq!(
        acme.operator.text("SELECT role FROM accounts WHERE owner_name = 'alice'").as_deref(),
        Some("Driver")
    );
    assert!(acme.lets_in("alice", PASSWORD));
    assert_eq!(acme.operator.count("SELECT count(*) FROM lifetimes"), 2, "hers and bob's");
}

#[test]
fn a_user_that_was_let_go_and_created_anew_while_the_operator_watches_takes_its_account_back() {
    let acme = Acme::start(&[]);
    acme.create(&secret("alice", PASSWORD));
    acme.create(&user_with_password("alice"));
    let before = acme.organization.until_ready("User", "alice");
    let releaser = acme.organization.as_member("rosa", &["administrators", "releasers"]);
    let released =
        json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
    passed(releaser.patch("User", "alice", &released));
    passed(releaser.delete("User", "alice"));
    acme.organization.until_gone("User", "alice");
    acme.create(&user_with_password("alice"));
    let after = acme.organization.until_ready("User", "alice");
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["accountId"], before["status"]["accountId"]);
    acme.organization.until_event("AccountTakenBack");
    assert!(acme.lets_in("alice", PASSWORD));
    assert_eq!(
        (acme.journaled("alice", "Create"), acme.journaled("alice", "PasswordChange")),
        (1, 0)
    );
    assert_eq!(acme.operator.count("SELECT count(*) FROM lifetimes"), 1);
}
