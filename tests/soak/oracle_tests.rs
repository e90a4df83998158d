//! The oracles complain of what is planted by hand, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use roster_test_support::chaos::driver::PASSWORDS;
use roster_test_support::cluster::{With, group, user};
use roster_test_support::{base64, needles};
use serde_json::{Value, json};

use crate::declarations::Declarations;
use crate::ledger::{Fault, Latency, Ledger, back_by, working};
use crate::rules::{self, Held};
use crate::{clocks, left_behind};

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn declared(name: &str) -> Value {
    user(name).with("/metadata/namespace", "acme").with("/metadata/uid", format!("uid-of-{name}"))
}

fn granted(name: &str, grants: &[&str]) -> Value {
    declared(name).with("/spec/permissions/grants", json!(grants))
}

fn held(name: &str, permissions: &[&str]) -> Held {
    Held {
        account: format!("account-of-{name}"),
        namespace: "acme".to_owned(),
        owner: name.to_owned(),
        owner_uid: format!("uid-of-{name}"),
        enabled: true,
        permissions: permissions.iter().map(|&one| one.to_owned()).collect(),
    }
}

/// Expects exactly as many complaints as texts, each with its text.
#[track_caller]
fn check(found: &[String], texts: &[&str]) {
    let all = texts.len() == found.len()
        && texts.iter().zip(found).all(|(text, found)| found.contains(text));
    assert!(all, "expected {texts:?}: {found:#?}");
}

#[test]
fn a_right_that_nobody_declares_is_found() {
    let (mut declarations, at) = (Declarations::default(), Instant::now());
    declarations.note_user(at, &granted("alice", &["orders:read"]));
    declarations.note_user(
        at,
        &declared("bob")
            .with("/spec/permissions/from", json!({"name": "alice", "mode": "Inherit"})),
    );
    declarations.note_user(at, &declared("carol").with("/spec/groupRef/name", "drivers"));
    declarations.note_group(
        at,
        &group("drivers")
            .with("/metadata/namespace", "acme")
            .with("/spec/permissions", json!(["routes:read"])),
    );
    let rights = |held: Held| rules::rights(&[held], &declarations, |_| (at, at + seconds(1)));
    check(&rights(held("alice", &["orders:read"])), &[]);
    check(&rights(held("bob", &["orders:read"])), &[]);
    check(&rights(held("carol", &["routes:read"])), &[]);
    check(
        &rights(held("alice", &["orders:read", "payroll:read"])),
        &[r#"has ["payroll:read"], which nobody declares"#],
    );
    check(&rights(held("bob", &["routes:read"])), &["account-of-bob"]);
    check(&rights(held("carol", &["*"])), &[r#"["*"]"#]);
}

#[test]
fn a_revocation_that_is_not_in_force_in_time_is_found() {
    let (mut declarations, at) = (Declarations::default(), Instant::now());
    declarations.note_user(at, &granted("alice", &["orders:read"]));
    declarations
        .note_user(at + seconds(10), &granted("alice", &[]).with("/spec/state", "Disabled"));
    let rights = |from, to| {
        let span = move |_: &Held| (at + seconds(from), at + seconds(to));
        rules::rights(&[held("alice", &["orders:read"])], &declarations, span)
    };
    check(&rights(5, 20), &[]);
    check(&rights(11, 20), &["which nobody declares", "is enabled, and declared to be disabled"]);
}

#[test]
fn an_edit_that_takes_too_long_while_a_leader_works_is_found() {
    let latency = |took, net| Latency {
        revocation: true,
        took: seconds(took),
        net: seconds(net),
        beside: [Fault::CasesLocked].into(),
    };
    check(&rules::late(&[latency(90, 3), latency(4, 4)], seconds(5)), &[]);
    check(
        &rules::late(&[latency(90, 6)], seconds(5)),
        &["of which 6.0s while a leader worked, beside {CasesLocked}"],
    );
}

#[test]
fn time_counts_while_a_leader_works() {
    let at = Instant::now();
    let availability =
        vec![(at, vec![true]), (at + seconds(10), vec![false]), (at + seconds(30), vec![true])];
    assert_eq!(working(&availability, 0, at + seconds(5), at + seconds(40)), seconds(15));
    assert_eq!(working(&availability, 0, at + seconds(12), at + seconds(20)), seconds(0));
    assert_eq!(back_by(&availability, 0, at + seconds(40), seconds(15)), at + seconds(5));
    assert_eq!(back_by(&availability, 0, at + seconds(40), seconds(5)), at + seconds(35));
}

#[test]
fn a_time_of_transition_that_moves_without_one_is_found() {
    let says = |status: &str, time: &str| {
        let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": time});
        declared("alice").with("/status/conditions", json!([condition]))
    };
    check(&rules::transitions(&says("True", "12:00"), &says("False", "12:01")), &[]);
    check(&rules::transitions(&says("True", "12:00"), &says("True", "12:00")), &[]);
    check(
        &rules::transitions(&says("True", "12:00"), &says("True", "12:01")),
        &["Ready of \"alice\" in \"acme\" stayed \"True\""],
    );
}

#[test]
fn permissions_that_do_not_follow_from_the_resources_are_found() {
    let users = [
        granted("alice", &["orders:read"]).with("/spec/groupRef/name", "drivers"),
        declared("bob").with("/spec/permissions/from", json!({"name": "alice", "mode": "Inherit"})),
        declared("ada").with("/spec/groupRef/name", "administrators"),
    ];
    let groups = [group("drivers")
        .with("/metadata/namespace", "acme")
        .with("/spec/permissions", json!(["routes:read"]))];
    let found = |held: Held| rules::permissions(&users, &groups, &[held]);
    check(&found(held("alice", &["orders:read", "routes:read"])), &[]);
    check(&found(held("bob", &["orders:read"])), &[]);
    check(&found(held("ada", &["*"])), &[]);
    check(&found(held("alice", &["orders:read"])), &["the resources say"]);
    check(&found(held("bob", &["orders:read", "routes:read"])), &["bob in acme has"]);
    check(&found(held("ada", &[])), &["ada in acme has {}"]);
}

#[test]
fn a_write_where_nothing_changed_is_found() {
    let state = |version: &str| BTreeMap::from([("User/alice".to_owned(), version.to_owned())]);
    check(&rules::unchanged(&state("1"), &state("1")), &[]);
    check(&rules::unchanged(&state("1"), &state("2")), &["User/alice"]);
    check(&rules::unchanged(&state("1"), &BTreeMap::new()), &["is None"]);
}

#[test]
fn a_month_that_is_closed_early_and_a_line_that_is_missing_are_found() {
    let closed = [("2026-10".to_owned(), 100), ("2026-11".to_owned(), 200)];
    check(&rules::closed_months(&closed, 200), &[]);
    check(
        &rules::closed_months(&closed, 199),
        &["the month 2026-11 was closed before it was over"],
    );
    let names = BTreeSet::from(["alice".to_owned(), "bob".to_owned()]);
    let billed = ["alice.acme", "bob.acme"].map(str::to_owned);
    check(&clocks::bill(&names, "acme", &billed), &[]);
    check(&clocks::bill(&names, "acme", &billed[1..]), &["alice.acme has 0 lines"]);
    check(
        &clocks::bill(&names, "acme", &[&billed[..], &billed[..1]].concat()),
        &["alice.acme has 2 lines"],
    );
}

#[test]
fn an_account_that_is_taken_with_more_than_was_authorized_is_found() {
    let thief = declared("keeper").with("/spec/groupRef/name", "ghosts");
    check(&left_behind::reached(&[held("keeper", &["orders:read"])], &thief), &[]);
    let former = Held { owner_uid: "another".to_owned(), ..held("keeper", &["vault:open"]) };
    check(&left_behind::reached(&[former], &thief), &[]);
    check(
        &left_behind::reached(&[held("keeper", &["vault:open"])], &thief),
        &["a User of the group \"ghosts\" took"],
    );
}

#[test]
fn who_lives_on_without_a_namespace_and_an_organization_without_control_are_found() {
    let accounts = [held("kept", &["*"]), held("bob", &["*"])];
    let released = BTreeSet::from(["kept".to_owned()]);
    check(&rules::left_behind(&accounts[..1], "acme", &released), &[]);
    check(&rules::left_behind(&accounts, "acme", &released), &["bob of acme has an account"]);
    let organizations = BTreeSet::from(["acme".to_owned()]);
    check(&rules::control(&accounts, &organizations), &[]);
    let disabled = [Held { enabled: false, ..held("ada", &["*"]) }, held("bob", &["orders:read"])];
    check(
        &rules::control(&disabled, &organizations),
        &["acme has no enabled user with full control"],
    );
}

#[test]
fn a_panic_and_a_password_in_a_log_are_found_in_any_form() {
    let log = |text: String| vec![("operator.log".to_owned(), text.into_bytes())];
    check(&rules::panics(&log("all is well".to_owned())), &[]);
    check(
        &rules::panics(&log("thread 'main' panicked at src/main.rs".to_owned())),
        &["operator.log"],
    );
    let found = |text: String| needles::found(&PASSWORDS, &log(text));
    check(&found("password policy".to_owned()), &[]);
    for password in PASSWORDS {
        assert!(
            found(format!("data: {password} 17")).iter().any(|found| found.contains("as it is"))
        );
        assert!(
            !found(format!("data: {}", base64::encode(format!("{password} 17").as_bytes())))
                .is_empty()
        );
    }
}

#[test]
fn a_transaction_that_is_silently_late_is_found() {
    let late = [("acme".to_owned(), "alice".to_owned())];
    check(&rules::overdue(&late, &late.iter().cloned().collect()), &[]);
    check(&rules::overdue(&late, &BTreeSet::new()), &["a transaction of alice in acme is late"]);
}

#[test]
fn a_complaint_is_kept_once_and_told_with_its_oracle() {
    let ledger = Ledger::new();
    for _ in 0..2 {
        ledger.judged("O20 control", vec!["acme has nobody".to_owned()]);
    }
    assert_eq!(ledger.complaints(), ["O20 control: acme has nobody"]);
}
