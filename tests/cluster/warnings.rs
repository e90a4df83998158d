//! What kubectl warns of: exactly the edits that people take for something else.

use roster_test_support::cluster::{With, user};
use serde_json::{Value, json};

use crate::CLUSTER;

/// Returns the warnings that kubectl printed, without what comes before each.
#[track_caller]
fn warnings(stderr: &str) -> Vec<&str> {
    let start = "Warning: Validation failed for ValidatingAdmissionPolicy 'please-note.roster.rs' \
                 with binding 'please-note.roster.rs': ";
    stderr
        .lines()
        .filter(|line| line.contains("Warning"))
        .map(|line| line.strip_prefix(start).unwrap_or_else(|| panic!("another warning: {line}")))
        .collect()
}

#[track_caller]
fn check_create(user: &Value, expected: &[&str]) {
    let output = CLUSTER
        .organization()
        .kubectl(&["create", "--dry-run=server", "-f", "-"], &user.to_string());
    assert_eq!(warnings(&output.stderr), expected);
    output.expect_success();
}

#[track_caller]
fn check_edit(before: &Value, patch: &Value, expected: &[&str]) {
    let organization = CLUSTER.organization();
    organization.has(before);
    let patch = patch.to_string();
    let output = organization
        .kubectl(&["patch", "rusr", "alice", "--dry-run=server", "--type=merge", "-p", &patch], "");
    assert_eq!(warnings(&output.stderr), expected);
    output.expect_success();
}

#[track_caller]
fn check_delete(user: &Value, expected: &[&str]) {
    let organization = CLUSTER.organization();
    organization.has(user);
    let output = organization.kubectl(&["delete", "rusr", "alice", "--dry-run=server"], "");
    assert_eq!(warnings(&output.stderr), expected);
}

const CHARGE: &str = "an additional charge applies to alice for every calendar month in which the account exists, \
    also while disabled";
const UNAPPROVED: &str = "no account is created for alice until spec.chargeApproved is true; from then on an additional \
    charge applies for every calendar month in which the account exists, also while disabled";
const ADDED: &str = "adding permissions doesn't create an account for alice as long as spec.chargeApproved isn't true";
const REMOVED: &str = "removing permissions neither deletes the account of alice nor stops its billing; \
    kubectl delete users.roster.rs does";
const LEFT: &str = "leaving the group drivers neither deletes the account of alice nor stops its billing; \
    kubectl delete users.roster.rs does";
const DISABLED: &str =
    "disabling alice doesn't stop its billing; kubectl delete users.roster.rs does";
const DELETED: &str = "deleting alice can't be undone, and this month is still billed in full";
const DELETED_EARLY: &str = "deleting alice can't be undone, and if it has an account by now, this month is still billed in full";
const RETAINED: &str = "deletionPolicy Retain: the account of alice stays and is still billed; only the User is deleted";

fn unapproved() -> Value {
    user("alice").without("/spec/chargeApproved")
}

fn with_permissions() -> Value {
    user("alice")
        .with("/spec/permissions/grants", json!(["orders:read", "orders:write"]))
        .with("/spec/permissions/from", json!({"name": "bob", "mode": "Inherit"}))
        .with("/spec/groupRef/name", "drivers")
}

#[test]
fn creating_a_user_says_that_a_charge_follows() {
    check_create(&user("alice"), &[CHARGE]);
    check_create(&with_permissions(), &[CHARGE]);
}

#[test]
fn creating_a_user_before_the_charge_is_approved_says_that_no_account_follows() {
    check_create(&unapproved(), &[UNAPPROVED]);
    check_create(&unapproved().with("/spec/chargeApproved", false), &[UNAPPROVED]);
    check_create(
        &unapproved().with("/spec/permissions/grants", json!(["orders:read"])),
        &[UNAPPROVED, ADDED],
    );
}

#[test]
fn creating_a_user_with_a_generated_name_warns_as_well() {
    let nameless = user("alice").without("/metadata/name").with("/metadata/generateName", "alice-");
    let output = CLUSTER
        .organization()
        .kubectl(&["create", "--dry-run=server", "-f", "-"], &nameless.to_string());
    let said = warnings(&output.stderr);
    assert!(said.len() == 1 && said[0].starts_with("an additional charge applies to "), "{said:?}");
}

#[test]
fn approving_the_charge_later_says_that_it_follows() {
    check_edit(&unapproved(), &json!({"spec": {"chargeApproved": true}}), &[CHARGE]);
}

#[test]
fn adding_permissions_before_the_charge_is_approved_says_that_no_account_follows() {
    check_edit(
        &unapproved(),
        &json!({"spec": {"permissions": {"grants": ["orders:read"]}}}),
        &[ADDED],
    );
    check_edit(
        &unapproved(),
        &json!({"spec": {"permissions": {"from": {"name": "bob", "mode": "Clone"}}}}),
        &[ADDED],
    );
}

#[test]
fn adding_permissions_afterwards_says_nothing() {
    let grants =
        json!({"spec": {"permissions": {"grants": ["orders:read", "orders:write", "cases:read"]}}});
    check_edit(&with_permissions(), &grants, &[]);
    check_edit(
        &user("alice"),
        &json!({"spec": {"permissions": {"from": {"name": "bob", "mode": "Inherit"}}}}),
        &[],
    );
}

#[test]
fn removing_permissions_says_that_the_account_stays() {
    check_edit(&with_permissions(), &json!({"spec": {"permissions": null}}), &[REMOVED]);
    check_edit(&with_permissions(), &json!({"spec": {"permissions": {"from": null}}}), &[REMOVED]);
    check_edit(
        &with_permissions(),
        &json!({"spec": {"permissions": {"from": {"name": "carol"}}}}),
        &[REMOVED],
    );
    check_edit(
        &with_permissions(),
        &json!({"spec": {"permissions": {"grants": ["orders:read"]}}}),
        &[REMOVED],
    );
    check_edit(
        &with_permissions(),
        &json!({"spec": {"permissions": {"grants": ["cases:read", "orders:read"]}}}),
        &[REMOVED],
    );
}

#[test]
fn leaving_a_group_says_that_the_account_stays() {
    check_edit(&with_permissions(), &json!({"spec": {"groupRef": {"name": "users"}}}), &[LEFT]);
    check_edit(&with_permissions(), &json!({"spec": {"groupRef": null}}), &[LEFT]);
}

#[test]
fn disabling_a_user_says_that_it_is_still_billed() {
    check_edit(&user("alice"), &json!({"spec": {"state": "Disabled"}}), &[DISABLED]);
}

#[test]
fn deleting_a_user_says_that_it_is_final_and_billed() {
    let unprotected = user("alice").with("/spec/deletionProtection", "Disabled");
    check_delete(
        &unprotected.clone().with("/status/accountId", "0193a4b0-0000-7000-8000-000000000001"),
        &[DELETED],
    );
    check_delete(&unprotected, &[DELETED_EARLY]);
    check_delete(&user("alice").with("/spec/deletionPolicy", "Retain"), &[RETAINED]);
}

#[test]
fn every_other_edit_says_nothing() {
    let disabled = with_permissions().with("/spec/state", "Disabled");
    for patch in [
        json!({"metadata": {"labels": {"some": "edit"}}}),
        json!({"metadata": {"annotations": {"roster.rs/paused": "true"}}}),
        json!({"spec": {"email": "alice@new.example"}}),
        json!({"spec": {"profile": {"phone": "1"}, "role": "Dispatcher", "teams": ["night-shift"]}}),
        json!({"spec": {"permissions": {"grants": ["orders:write", "orders:read"]}}}),
        json!({"spec": {"state": "Disabled", "deletionProtection": "Disabled"}}),
        json!({"spec": {"state": "Enabled", "passwordSecretRef": {"name": "alice-password"}}}),
    ] {
        check_edit(&disabled, &patch, &[]);
    }
}

#[test]
fn a_user_that_is_being_deleted_is_not_warned_of() {
    let organization = CLUSTER.organization();
    organization.has(&with_permissions());
    organization.admin().delete("User", "alice").expect("it has no account");
    let patch = r#"{"spec": {"permissions": null}}"#;
    let edited = organization.kubectl(&["patch", "rusr", "alice", "--type=merge", "-p", patch], "");
    assert!(warnings(&edited.stderr).is_empty(), "{edited:?}");
    let deleted = organization.kubectl(&["delete", "rusr", "alice", "--wait=false"], "");
    assert!(warnings(&deleted.stderr).is_empty(), "{deleted:?}");
}

#[test]
fn several_things_at_once_are_said_one_by_one() {
    let patch = json!({"spec": {"permissions": null, "state": "Disabled", "groupRef": null}});
    check_edit(&with_permissions(), &patch, &[REMOVED, LEFT, DISABLED]);
}
