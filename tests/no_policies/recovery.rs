//! What the doctor finds in a cluster, and what a cluster does after a restore.

use std::path::Path;
use std::process::Command;

use roster::controller::policies::{MUTATING, VALIDATING};
use roster_test_support::cluster::{Operator, Organization, condition, domain, passed, user};
use serde_json::{Value, json};

use crate::CLUSTER;

/// An organization with an operator, and these users, each with an account.
fn with_users(names: &[&str]) -> (Organization, Operator) {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    passed(organization.admin().create(&domain("acme.example")));
    for name in names {
        passed(organization.admin().create(&user(name)));
        organization.until_ready("User", name);
    }
    (organization, operator)
}

/// What the doctor finds in the organization, to somebody with this kubeconfig: severity, kind and
/// object.
#[track_caller]
fn found(organization: &Organization, operator: &Operator, kubeconfig: &Path) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["doctor", "-o", "json", "-n", &organization.name, "--store", &operator.store()])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("the binary runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["cluster"], true);
    let words = |finding: &Value| {
        ["severity", "finding", "object"]
            .map(|field| finding[field].as_str().expect("a text"))
            .join(" ")
    };
    said["findings"].as_array().expect("a list").iter().map(words).collect()
}

/// The kubeconfig of somebody who may look at roster's kinds and at nothing else.
fn viewers_kubeconfig(organization: &Organization) -> std::path::PathBuf {
    let text =
        organization.kubectl(&["config", "view", "--raw", "-o", "json"], "").expect_success();
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["users"][0]["user"]["as"] = json!("vera");
    config["users"][0]["user"]["as-groups"] = json!(["viewers"]);
    let file = organization.file("viewer.kubeconfig");
    std::fs::write(&file, config.to_string()).expect("the file can be written");
    file
}

#[test]
fn the_doctor_names_lost_and_ownerless_accounts_and_the_policies_that_are_missing() {
    let (organization, operator) = with_users(&["alice", "bob", "carol"]);
    let admin = organization.file("x").with_file_name("admin.kubeconfig");
    let mut missing: Vec<String> =
        VALIDATING.names.iter().map(|policy| format!("Error PolicyMissing {policy}")).collect();
    missing.sort();
    let optional = format!("Note PolicyMissing {}", MUTATING.names[0]);
    assert_eq!(
        found(&organization, &operator, &admin),
        [&missing[..], std::slice::from_ref(&optional)].concat()
    );

    let account = |name: &str| {
        organization.admin().get("User", name).expect("it is there")["status"]["accountId"].clone()
    };
    let carols = account("carol");
    let released =
        json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
    passed(organization.admin().patch("User", "carol", &released));
    passed(organization.admin().delete("User", "carol"));
    organization.until_gone("User", "carol");
    operator.execute("DELETE FROM accounts WHERE owner_name = 'bob'");
    let name = &organization.name;
    let lost = format!("Error AccountLost user {name}/bob");
    let orphan =
        format!("Warning Orphan account {} of {name}/carol", carols.as_str().expect("an id"));
    let all = found(&organization, &operator, &admin);
    assert_eq!(all, [&missing[..], &[lost.clone(), orphan.clone(), optional]].concat());

    let unknown = ["mutating", "validating"]
        .map(|kind| format!("Warning PoliciesUnknown the {kind} admission policies"));
    assert_eq!(
        found(&organization, &operator, &viewers_kubeconfig(&organization)),
        [&[lost][..], &unknown, &[orphan]].concat()
    );
}

#[test]
fn after_a_restore_nobody_who_is_newer_than_the_backup_gets_a_new_account_in_silence() {
    let (organization, mut operator) = with_users(&["alice"]);
    let copy = organization.file("copy.db").display().to_string();
    operator.roster(&["backup", &copy], "").expect_success();
    passed(organization.admin().create(&user("dave")));
    organization.until_ready("User", "dave");
    let refused = operator.roster(&["restore", &copy], "");
    assert_eq!(
        (refused.code, refused.stderr.contains("is in use")),
        (Some(2), true),
        "{refused:?}"
    );
    assert!(operator.terminate().success());
    operator.roster(&["restore", &copy], "").expect_success();
    operator.restart();
    let dave = organization.until_reason("User", "dave", "AccountLost");
    assert_eq!(condition(&dave, "Ready")["status"], "False");
    organization.until_ready("User", "alice");
    assert_eq!(operator.users().len(), 1);
    // Given up on purpose, and made anew.
    passed(organization.admin().patch(
        "User",
        "dave",
        &json!({"spec": {"deletionProtection": "Disabled"}}),
    ));
    passed(organization.admin().delete("User", "dave"));
    organization.until_gone("User", "dave");
    passed(organization.admin().create(&user("dave")));
    organization.until_ready("User", "dave");
    assert_eq!(operator.users().len(), 2);
}
