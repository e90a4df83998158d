//! What members change of themselves.

use std::time::{Duration, Instant};

use roster_test_support::cluster::{With, eventually, passed};
use serde_json::{Value, json};

use crate::acme::{Acme, secret, user_with_password};

const DECLARED: &str = "nine lorries leave at dawn";
const OWN: &str = "seven foxes guard the mill";

/// An organization where alice may change her phone and her password.
fn with_alice() -> Acme {
    let acme = Acme::start(&[]);
    acme.organization.until_ready("UserGroup", "users");
    let list = json!({"spec": {"selfService": ["Phone", "Password"]}});
    passed(acme.organization.admin().patch("UserGroup", "users", &list));
    acme.organization.until_ready("UserGroup", "users");
    acme.create(&secret("alice", DECLARED));
    acme.create(&user_with_password("alice").with("/spec/profile/phone", "+1 602 555 0100"));
    acme.organization.until_ready("User", "alice");
    acme
}

#[test]
fn a_members_own_value_is_in_the_status_within_seconds_and_stays_until_the_spec_changes_it() {
    let acme = with_alice();
    let login = acme.login_name("alice");
    acme.operator
        .roster(&["self", &login, "--set", "phone=+1 602 555 0199"], DECLARED)
        .expect_success();
    let changed = Instant::now();
    let phone =
        |number: &'static str| move |alice: &Value| alice["status"]["profile"]["phone"] == number;
    acme.organization.until("User", "alice", "told", phone("+1 602 555 0199"));
    println!("shown {} ms after the change", changed.elapsed().as_millis());
    assert!(changed.elapsed() < Duration::from_secs(10));
    acme.edit("alice", &json!({"role": "Dispatcher"}));
    let alice = acme.organization.until_ready("User", "alice");
    assert!(phone("+1 602 555 0199")(&alice), "another edit leaves it: {alice:#}");
    assert_eq!(acme.operator.users()[0]["profile"]["phone"], "+1 602 555 0199");

    let refused = acme.operator.roster(&["self", &login, "--set", "name=Eve"], DECLARED);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("selfService of the group users doesn't list Name"),
        "{refused:?}"
    );

    acme.edit("alice", &json!({"profile": {"phone": "+1 602 555 0111"}}));
    let alice = acme.organization.until_ready("User", "alice");
    assert_eq!(alice["status"]["profile"], Value::Null, "it is as the spec says");
    assert_eq!(acme.operator.users()[0]["profile"]["phone"], "+1 602 555 0111");
}

#[test]
fn a_members_own_password_stays_until_another_one_comes_from_the_secret() {
    let mut acme = with_alice();
    let login = acme.login_name("alice");
    let changed =
        acme.operator.roster(&["self", &login, "--set-password"], &format!("{DECLARED}\n{OWN}\n"));
    changed.expect_success();
    let is_over = |alice: &Value| {
        alice["status"]["transaction"]["type"] == "PasswordChange"
            && alice["status"]["transaction"]["state"] == "Completed"
    };
    acme.organization.until("User", "alice", "told", is_over);
    assert!(acme.lets_in("alice", OWN));
    assert!(!acme.lets_in("alice", DECLARED));

    acme.operator.restart();
    acme.operator.until_it_works();
    acme.edit("alice", &json!({"role": "Dispatcher"}));
    acme.organization.until_ready("User", "alice");
    assert!(acme.lets_in("alice", OWN), "a restart doesn't undo it");

    acme.put_password("alice", "eleven violins under water");
    eventually("the Secret's new one is set", || {
        (acme.journaled("alice", "PasswordChange") == 2).then_some(())
    });
    assert!(acme.lets_in("alice", "eleven violins under water"));
    assert!(!acme.lets_in("alice", OWN));
}
