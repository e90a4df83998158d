//! Passwords come from Secrets of roster's type, and from nothing else.

use roster_test_support::cluster::{With, condition, eventually, passed, user};
use serde_json::{Value, json};

use crate::acme::{Acme, secret, secret_of, user_with_password};

const FIRST: &str = "nine lorries leave at dawn";
const SECOND: &str = "seven foxes guard the mill";

/// Waits until a `User` is as asked, and its last transaction is a complete one of this type.
#[track_caller]
fn until_over(acme: &Acme, name: &str, kind: &str) -> Value {
    acme.organization.until("User", name, kind, |user| {
        let last = &user["status"]["transaction"];
        condition(user, "Ready")["reason"] == "Reconciled"
            && last["type"] == kind
            && last["state"] == "Completed"
    })
}

fn message(user: &Value) -> &str {
    condition(user, "Ready")["message"].as_str().expect("a message")
}

#[test]
fn a_new_password_in_the_secret_replaces_the_old_one_with_one_write_to_the_store() {
    let acme = Acme::start(&[]);
    acme.create(&secret("alice", FIRST));
    acme.create(&user_with_password("alice"));
    let alice = acme.organization.until_ready("User", "alice");
    assert_eq!(condition(&alice, "LoginReady")["reason"], "PasswordSet");
    assert!(acme.lets_in("alice", FIRST));
    assert!(!acme.lets_in("alice", SECOND));
    assert!(!acme.lets_in("alice", ""));

    let revision =
        || acme.operator.count("SELECT revision FROM accounts WHERE owner_name = 'alice'");
    let before = revision();
    acme.put_password("alice", SECOND);
    until_over(&acme, "alice", "PasswordChange");
    assert!(!acme.lets_in("alice", FIRST));
    assert!(acme.lets_in("alice", SECOND));
    assert_eq!(revision(), before + 1);
    assert_eq!(acme.journaled("alice", "PasswordChange"), 1);
    assert_eq!(acme.journaled("alice", "Create"), 1);
}

#[test]
fn a_secret_that_changed_without_a_new_password_writes_nothing() {
    let acme = Acme::start(&[]);
    for name in ["alice", "bob"] {
        acme.create(&secret(name, FIRST));
        acme.create(&user_with_password(name));
        acme.organization.until_ready("User", name);
    }
    let reads = || {
        let asked = acme.organization.requests_about_secrets();
        asked.iter().filter(|request| **request == "get secrets alice-password").count()
    };
    let state = || (acme.row("alice"), acme.versions().remove("User/alice"));
    let (before, reads_before) = (state(), reads());
    let label = json!({"metadata": {"labels": {"some": "label"}}});
    passed(acme.organization.admin().patch("Secret", &secret_of("alice"), &label));
    eventually("the Secret is looked at", || (reads() > reads_before).then_some(()));
    // The judge takes one after the other: what it does about bob's password comes after what it
    // did about alice's.
    acme.put_password("bob", SECOND);
    until_over(&acme, "bob", "PasswordChange");
    acme.put_password("bob", FIRST);
    eventually("bob's second change is over", || {
        (acme.journaled("bob", "PasswordChange") == 2).then_some(())
    });
    assert_eq!(state(), before);
    assert_eq!(acme.journaled("alice", "PasswordChange"), 0);
    assert!(acme.lets_in("alice", FIRST));
}

#[test]
fn a_secret_of_another_type_counts_as_missing_until_one_of_the_right_type_is_there() {
    let acme = Acme::start(&[]);
    acme.create(&secret("alice", FIRST).with("/type", "Opaque"));
    acme.create(&user_with_password("alice"));
    let alice = acme.organization.until_reason("User", "alice", "PasswordSecretNotFound");
    assert!(message(&alice).contains("alice-password of type roster.rs/password"), "{alice:#}");
    assert!(message(&alice).contains("a Secret's type can't be changed"), "{alice:#}");
    assert_eq!(alice["status"]["accountId"], Value::Null);
    assert_eq!(
        acme.organization
            .requests_about_secrets()
            .iter()
            .filter(|request| request.starts_with("get"))
            .count(),
        0
    );

    passed(acme.organization.admin().delete("Secret", &secret_of("alice")));
    acme.create(&secret("alice", FIRST));
    acme.organization.until_ready("User", "alice");
    assert!(acme.lets_in("alice", FIRST));

    passed(acme.organization.admin().delete("Secret", &secret_of("alice")));
    acme.create(&secret("alice", SECOND).with("/type", "Opaque"));
    let alice = acme.organization.until_reason("User", "alice", "PasswordSecretNotFound");
    assert!(
        message(&alice).contains("there is no Secret alice-password of type roster.rs/password"),
        "{alice:#}"
    );
    assert!(
        message(&alice).ends_with("The password that was set before stays in force until then"),
        "{alice:#}"
    );
    assert_eq!(condition(&alice, "LoginReady")["reason"], "PasswordSet");
    assert_eq!(alice["status"]["state"], "Enabled");
    assert!(acme.lets_in("alice", FIRST));
    assert!(!acme.lets_in("alice", SECOND));
}

#[test]
fn a_password_is_confirmed_where_a_key_for_that_is_named() {
    let acme = Acme::start(&[]);
    let again = |text: &str| json!({"stringData": {"again": text}});
    acme.create(&secret("alice", FIRST).with("/stringData/again", SECOND));
    acme.create(
        &user_with_password("alice").with("/spec/passwordSecretRef/confirmationKey", "again"),
    );
    let alice = acme.organization.until_reason("User", "alice", "PasswordRejected");
    assert!(message(&alice).contains("must be the same where it is entered again"), "{alice:#}");
    assert_eq!(condition(&alice, "Stalled")["status"], "True");
    passed(acme.organization.admin().patch("Secret", &secret_of("alice"), &again(FIRST)));
    acme.organization.until_ready("User", "alice");
    assert!(acme.lets_in("alice", FIRST));

    acme.edit("alice", &json!({"passwordSecretRef": {"key": "missing"}}));
    let alice = acme.organization.until_reason("User", "alice", "PasswordSecretNotFound");
    assert!(message(&alice).contains("the Secret alice-password has no key missing"), "{alice:#}");
    acme.edit("alice", &json!({"passwordSecretRef": {"key": null, "confirmationKey": "gone"}}));
    acme.organization.until("User", "alice", "told which key", |alice| {
        condition(alice, "Ready")["message"]
            .as_str()
            .is_some_and(|message| message.contains("has no key gone"))
    });
    assert!(acme.lets_in("alice", FIRST));
}

#[track_caller]
fn check_rejected(acme: &Acme, name: &str, password: &str, unmet: &[&str]) {
    acme.create(&secret(name, password).with("/stringData/again", "something else"));
    acme.create(&user_with_password(name).with("/spec/passwordSecretRef/confirmationKey", "again"));
    let user = acme.organization.until_reason("User", name, "PasswordRejected");
    let all = [
        "one line without control characters",
        "at least 15 characters",
        "at most 128 characters",
        "hard to guess",
        "must not be the login name",
        "must be the same where it is entered again",
    ];
    let named: Vec<&str> =
        all.into_iter().filter(|requirement| message(&user).contains(requirement)).collect();
    assert_eq!(named, unmet);
    assert!(!user["status"].to_string().contains(password.trim()), "{user:#}");
    assert_eq!(user["status"]["accountId"], Value::Null);
}

#[test]
fn a_rejected_password_is_told_every_requirement_that_it_does_not_meet_and_nothing_of_itself() {
    let acme = Acme::start(&[]);
    let (control, short, long) =
        ("one line without control characters", "at least 15 characters", "at most 128 characters");
    let (guessable, own, again) = (
        "hard to guess",
        "must not be the login name",
        "must be the same where it is entered again",
    );
    check_rejected(&acme, "alice", "qx7\u{7}zp", &[control, short, guessable, again]);
    let own_name = acme.login_name("bob");
    check_rejected(&acme, "bob", &own_name, &[short, guessable, own, again]);
    check_rejected(&acme, "carol", &"lorries at dawn, ".repeat(8), &[long, again]);

    // An account that is there keeps its password.
    acme.create(&secret("dave", FIRST));
    acme.create(&user_with_password("dave"));
    acme.organization.until_ready("User", "dave");
    acme.put_password("dave", "password");
    acme.organization.until_reason("User", "dave", "PasswordRejected");
    assert!(acme.lets_in("dave", FIRST));
    assert!(!acme.lets_in("dave", "password"));
}

#[test]
fn who_has_a_password_keeps_it_when_the_secret_goes_and_when_nobody_names_it_any_more() {
    let acme = Acme::start(&[]);
    acme.create(&secret("alice", FIRST));
    acme.create(&user_with_password("alice"));
    acme.organization.until_ready("User", "alice");
    passed(acme.organization.admin().delete("Secret", &secret_of("alice")));
    let alice = acme.organization.until_reason("User", "alice", "PasswordSecretNotFound");
    assert_eq!(condition(&alice, "Reconciling")["status"], "True");
    assert!(acme.lets_in("alice", FIRST));
    acme.edit("alice", &json!({"passwordSecretRef": null}));
    let alice = acme.organization.until_ready("User", "alice");
    assert_eq!(condition(&alice, "LoginReady")["reason"], "PasswordSet");
    assert!(acme.lets_in("alice", FIRST));
    assert_eq!(acme.journaled("alice", "PasswordChange"), 0);
}

#[test]
fn a_restart_with_unchanged_secrets_reads_none_of_them_and_writes_nothing() {
    let mut acme = Acme::start(&[]);
    let names: Vec<String> = (1..=20).map(|number| format!("user-{number}")).collect();
    for name in &names {
        acme.create(&secret(name, &format!("{FIRST} {number}", number = name.len())));
        acme.create(&user_with_password(name));
    }
    names.iter().for_each(|name| drop(acme.organization.until_ready("User", name)));
    let state = |acme: &Acme| -> Vec<_> {
        let versions = acme.versions();
        names
            .iter()
            .map(|name| (acme.row(name), versions[&format!("User/{name}")].clone()))
            .collect()
    };
    acme.operator.kill();
    let before = state(&acme);
    let organization = &acme.organization;
    let (asked_before, listed_before) =
        (organization.requests_about_secrets().len(), organization.lists_of_secrets());
    acme.operator.restart();
    acme.operator.until_it_works();
    // What the operator does about somebody new comes after what it had to do about everybody else.
    for name in ["zoe", "zita"] {
        acme.create(&user(name));
        acme.organization.until_ready("User", name);
    }
    let asked = acme.organization.requests_about_secrets().split_off(asked_before);
    assert!(asked.is_empty(), "no Secret is read: {asked:?}");
    let listed = acme.organization.lists_of_secrets() > listed_before;
    assert!(listed, "the audit log has the operator's requests about Secrets");
    assert_eq!(state(&acme), before);
}
