//! What people see in kubectl: tables, short names, selectors, explanations.

use roster_test_support::cluster::{Organization, With, domain, group, passed, user};
use serde_json::json;

use crate::CLUSTER;

const MOMENT: &str = "2026-11-22T03:00:00Z";

fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": format!("{reason} it is"),
        "lastTransitionTime": MOMENT, "observedGeneration": 1,
    })
}

fn settled() -> Organization {
    let organization = CLUSTER.organization();
    let conditions = [
        condition("Ready", "True", "Reconciled"),
        condition("LoginReady", "False", "AccountDisabled"),
        condition("Billable", "True", "DisabledStillBilled"),
    ];
    organization.has(&user("carol").with("/spec/state", "Disabled").with(
        "/status",
        json!({
            "observedGeneration": 1, "state": "Disabled", "loginName": "carol.acme", "email": "carol@acme.example",
            "group": "users", "billing": {"since": "2026-11"}, "conditions": conditions,
            "permissions": {"effective": ["orders:read"], "total": 1, "digest": "0", "source": "Inherited"},
        }),
    ));
    organization.has(&user("alice"));
    organization.has(
        &group("drivers")
            .with("/spec/selfService", json!(["Name", "Phone"]))
            .with("/status", json!({"members": 3, "conditions": [conditions[0]]})),
    );
    organization.has(
        &domain("acme.example").with("/status", json!({"users": 1, "conditions": [conditions[0]]})),
    );
    organization
}

/// Returns the cells of a table's rows; columns are two spaces or more apart.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

#[test]
fn users_are_listed_with_what_matters() {
    let table = settled().kubectl(&["get", "users.roster.rs"], "").expect_success();
    let rows = cells(&table);
    assert_eq!(
        rows[0],
        ["NAME", "EMAIL", "GROUP", "STATUS", "READY", "REASON", "LOGIN-READY", "AGE"],
        "{table}"
    );
    assert_eq!(
        rows[2][..7],
        ["carol", "carol@acme.example", "users", "Disabled", "True", "Reconciled", "False"],
        "{table}"
    );
}

#[test]
fn users_are_listed_with_everything_on_request() {
    let table = settled().kubectl(&["get", "users.roster.rs", "-o", "wide"], "").expect_success();
    let rows = cells(&table);
    assert_eq!(
        rows[0][8..],
        ["LOGIN", "SOURCE", "PERMISSIONS", "BILLABLE", "SINCE", "MESSAGE"],
        "{table}"
    );
    assert_eq!(
        rows[2][8..],
        ["carol.acme", "Inherited", "1", "True", "2026-11", "Reconciled it is"],
        "{table}"
    );
}

#[test]
fn groups_and_domains_are_listed_with_what_matters() {
    let organization = settled();
    let table = organization.kubectl(&["get", "usergroups"], "").expect_success();
    let rows = cells(&table);
    assert_eq!(
        rows[0],
        ["NAME", "MEMBERS", "FULL-CONTROL", "SELF-SERVICE", "READY", "AGE"],
        "{table}"
    );
    assert_eq!(rows[1][..5], ["drivers", "3", "false", r#"["Name","Phone"]"#, "True"], "{table}");
    let table = organization.kubectl(&["get", "orgemaildomains"], "").expect_success();
    let rows = cells(&table);
    assert_eq!(rows[0], ["NAME", "DOMAIN", "SUBDOMAINS", "USERS", "READY", "AGE"], "{table}");
    assert_eq!(rows[1][..5], ["acme.example", "acme.example", "false", "1", "True"], "{table}");
}

#[test]
fn short_names_and_the_category_work() {
    let organization = settled();
    for (word, expected) in [
        ("rusr", "user.roster.rs/alice\nuser.roster.rs/carol\n"),
        ("rgrp", "usergroup.roster.rs/drivers\n"),
        ("rdom", "orgemaildomain.roster.rs/acme.example\n"),
    ] {
        assert_eq!(
            organization.kubectl(&["get", word, "-o", "name"], "").expect_success(),
            expected
        );
    }
    let all = organization.kubectl(&["get", "roster", "-o", "name"], "").expect_success();
    let mut all: Vec<_> = all.lines().collect();
    all.sort_unstable();
    let expected = [
        "orgemaildomain.roster.rs/acme.example",
        "user.roster.rs/alice",
        "user.roster.rs/carol",
        "usergroup.roster.rs/drivers",
    ];
    assert_eq!(all, expected);
}

#[test]
fn users_are_selected_by_email_group_and_state() {
    let organization = settled();
    for (selector, expected) in [
        ("spec.email=alice@acme.example", "user.roster.rs/alice\n"),
        ("spec.groupRef.name=users", "user.roster.rs/alice\nuser.roster.rs/carol\n"),
        ("spec.groupRef.name=drivers", ""),
        ("spec.state=Disabled", "user.roster.rs/carol\n"),
    ] {
        let found =
            organization.kubectl(&["get", "rusr", "-o", "name", "--field-selector", selector], "");
        assert_eq!(found.expect_success(), expected, "{selector}");
    }
}

#[test]
fn users_are_sorted_by_email() {
    let sorted = settled()
        .kubectl(&["get", "rusr", "-o", "name", "--sort-by=.status.email"], "")
        .expect_success();
    assert_eq!(sorted.lines().last(), Some("user.roster.rs/carol"), "{sorted}");
}

#[test]
fn before_the_first_look_the_observed_generation_is_minus_one() {
    let organization = CLUSTER.organization();
    for object in
        [user("alice"), group("drivers"), group("bare").without("/spec"), domain("acme.example")]
    {
        let created = passed(organization.admin().create(&object));
        assert_eq!(created["status"], json!({"observedGeneration": -1}));
    }
}

#[test]
fn a_misspelt_field_is_refused_by_kubectl() {
    let misspelt = user("alice").with("/spec/passwordRef", "alice-password");
    let output = CLUSTER.organization().kubectl(&["create", "-f", "-"], &misspelt.to_string());
    assert!(!output.success);
    assert!(output.stderr.contains(r#"unknown field "spec.passwordRef""#), "{}", output.stderr);
}

#[track_caller]
fn check_explained(field: &str, texts: &[&str]) {
    let explained = CLUSTER.organization().kubectl(&["explain", field], "").expect_success();
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in texts {
        assert!(explained.contains(text), "{field} doesn't say {text:?}:\n{explained}");
    }
}

#[test]
fn fields_are_explained() {
    check_explained("users.roster.rs", &["A person of the organization", "What is asked for."]);
    check_explained(
        "users.roster.rs.spec.permissions",
        &[
            "What the person may do beside what their group may.",
            "The person's own permissions, such as `orders:read`. At most 256 of 125 characters.",
            "Another User whose permissions this one inherits (followed for ever) or clones (once).",
        ],
    );
    check_explained(
        "users.roster.rs.spec.permissions.from.mode",
        &["ENUM: Inherit Clone", "`Inherit` follows every later change"],
    );
    check_explained(
        "users.roster.rs.spec.chargeApproved",
        &["Without it no account is created; once given it can't be taken back."],
    );
    check_explained(
        "usergroups.spec.selfService",
        &["Which of their own details members may change."],
    );
    check_explained("orgemaildomains.spec.includeSubdomains", &["Whether addresses in subdomains"]);
}
