//! A directory that is silent: what is overdue says so, and what takes rights away doesn't wait for
//! it.

use roster_test_support::cluster::{condition, eventually};
use serde_json::json;

use crate::acme::{Acme, secret, user_with_password};

const OLD: &str = "nine lorries leave at dawn";
const NEW: &str = "seven foxes guard the mill";

/// Returns the number behind a metric.
#[track_caller]
fn metric(acme: &Acme, name: &str) -> i64 {
    let page = acme.operator.page("/metrics").1;
    let number =
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(" 0").trim().parse();
    number.expect("a number")
}

#[test]
fn a_silent_directory_makes_a_transaction_overdue_and_keeps_nobody_from_being_disabled() {
    let acme = Acme::start(&["--transaction-deadline", "10s"]);
    acme.create(&secret("alice", OLD));
    acme.create(&user_with_password("alice"));
    let id = acme.organization.until_ready("User", "alice")["status"]["accountId"]
        .as_str()
        .expect("an id")
        .to_owned();

    acme.directory.behaves(&json!({"silent": true}));
    acme.put_password("alice", NEW);
    let alice = acme.organization.until_reason("User", "alice", "PasswordChange");
    assert_eq!(alice["status"]["state"], "ChangingPassword");
    assert_eq!(condition(&alice, "InTransaction")["status"], "True");
    assert_eq!(alice["status"]["transaction"]["state"], "InProgress");

    let alice = acme.organization.until_reason("User", "alice", "DeadlineExceeded");
    assert_eq!(alice["status"]["transaction"]["type"], "PasswordChange");
    assert_eq!(alice["status"]["transaction"]["state"], "Overdue");
    assert_eq!(condition(&alice, "Stalled")["status"], "True");
    assert_eq!(condition(&alice, "Stalled")["reason"], "DeadlineExceeded");
    let message = condition(&alice, "Ready")["message"].as_str().expect("a message");
    assert!(message.contains(&acme.directory.url()), "{message}");
    acme.organization.until_event("DeadlineExceeded");
    assert_eq!(metric(&acme, r#"roster_transactions{type="PasswordChange",state="Overdue"}"#), 1);
    assert_eq!(metric(&acme, r#"roster_transactions_overdue_total{type="PasswordChange"}"#), 1);
    assert!(acme.lets_in("alice", NEW), "the store has it, whatever the directory says");
    assert!(!acme.lets_in("alice", OLD));

    acme.edit("alice", &json!({"state": "Disabled"}));
    let login = acme.login_name("alice");
    eventually("she is refused", || (acme.log_in(&login, NEW).code == Some(1)).then_some(()));
    assert_eq!(
        acme.directory.entry(&id).expect("it has her")["person"]["active"],
        true,
        "the directory is silent still"
    );
    let alice = acme
        .organization
        .until("User", "alice", "Disabling", |alice| alice["status"]["state"] == "Disabling");
    assert_eq!(alice["status"]["transaction"]["type"], "Disable");

    acme.directory.has_a_good_day();
    let alice = acme.organization.until_ready("User", "alice");
    assert_eq!(alice["status"]["state"], "Disabled");
    assert_eq!(alice["status"]["transaction"]["type"], "Disable");
    assert_eq!(alice["status"]["transaction"]["state"], "Completed");
    assert_eq!(condition(&alice, "Stalled"), &serde_json::Value::Null);
    assert_eq!(acme.directory.entry(&id).expect("it has her")["person"]["active"], false);
    assert_eq!(
        acme.operator.count("SELECT count(*) FROM transactions WHERE superseded_at IS NOT NULL"),
        1
    );
    let in_flight =
        "SELECT count(*) FROM transactions WHERE completed_at IS NULL AND superseded_at IS NULL";
    assert_eq!(acme.operator.count(in_flight), 0);
    eventually("nothing is in flight", || {
        let page = acme.operator.page("/metrics").1;
        let gauges = page.lines().filter(|line| line.starts_with("roster_transactions{"));
        gauges.into_iter().all(|line| line.ends_with(" 0")).then_some(())
    });
    assert!(!acme.lets_in("alice", NEW));
}
