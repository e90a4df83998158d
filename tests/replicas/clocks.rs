//! Operators on machines whose clock is wrong, and what that does to bills.

use std::process::Command;

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::wrong_clock::{DAY, WrongClock};
use roster_test_support::cluster::{Organization, Output, eventually, run, run_roster};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::serving::Serving;

const DAYS: i64 = 40;

/// Runs a subcommand on the store, as an administrator of the cluster.
fn roster(serving: &Serving, arguments: &[&str]) -> Output {
    let kubeconfig = serving.organization.file("x").with_file_name("admin.kubeconfig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    let output = command
        .args(arguments)
        .args(["--store", &serving.store])
        .env("KUBECONFIG", kubeconfig)
        .output();
    let output = output.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints texts");
    Output {
        success: output.status.success(),
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The report of the month in which alice was created.
fn report(serving: &Serving, more: &[&str]) -> Value {
    let alice = "SELECT CAST(MIN(created_at) AS TEXT) FROM lifetimes";
    let created: i64 = serving.texts(alice)[0].parse().expect("microseconds");
    let month = jiff::Timestamp::from_microsecond(created).unwrap().to_string()[..7].to_owned();
    let arguments =
        [&["billing", "report", "--month", &month, "-o", "json", "--store", &serving.store], more]
            .concat();
    serde_json::from_str(&run_roster(&arguments, "").expect_success()).expect("JSON")
}

/// Returns an organization in which alice was hired under a clock that is right, and whose operator
/// was stopped.
fn with_alice(store: impl FnOnce(&Organization) -> String) -> Serving {
    let organization = CLUSTER.organization();
    let store = store(&organization);
    let serving = Serving::of(organization, store);
    let mut operator = Replica::start(&serving.organization, &serving.store, &[]);
    operator.until_it_works();
    serving.found_organization();
    serving.hire(&["alice"]);
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    serving
}

fn in_a_file(organization: &Organization) -> String {
    format!("sqlite://{}?mode=rwc", organization.file("roster.db").display())
}

fn latest(serving: &Serving) -> i64 {
    serving.number(
        "SELECT MAX(latest) FROM (SELECT MAX(created_at) AS latest FROM lifetimes UNION ALL SELECT MAX(deleted_at) FROM lifetimes \
         UNION ALL SELECT MAX(started_at) FROM transactions UNION ALL SELECT MAX(ends_at) FROM closed_months) AS times",
    )
}

/// Has an operator work under a wrong clock, and returns it.
#[track_caller]
fn a_wrong_clock_does_no_harm(serving: &Serving) -> Replica {
    let before = serving.number("SELECT COUNT(*) FROM closed_months");
    let clock = WrongClock::ahead_by(&serving.organization, DAYS);
    let operator = Replica::start_in(&serving.organization, &clock.environment(), &serving.store);
    operator.until_it_works();
    serving.hire(&["bob"]);
    serving.dismiss("alice");
    eventually("it says why no month is closed", || {
        operator.says("closing can't be undone").then_some(())
    });
    assert!(operator.metric("roster_unclosed_months").is_some_and(|months| months > 0));
    let skew =
        operator.metric("roster_clock_skew_seconds{clock=\"api_server\"}").expect("it is told");
    assert!((skew - DAYS * DAY).abs() < 60, "{skew}");
    assert_eq!(serving.number("SELECT COUNT(*) FROM closed_months"), before);
    let now = roster::clock::Clock::SYSTEM.now().as_microsecond();
    assert!(latest(serving) < now + 60_000_000, "nothing is dated in the future");
    let report = report(serving, &[]);
    assert_eq!((&report["provisional"], &report["total"]), (&json!(true), &json!(2)));
    operator
}

#[test]
fn under_a_clock_that_is_far_ahead_no_month_is_closed_and_nothing_is_dated_in_the_future() {
    drop(a_wrong_clock_does_no_harm(&with_alice(in_a_file)));
}

#[test]
fn under_a_clock_that_is_far_ahead_a_store_in_postgresql_comes_to_no_harm_either() {
    let database = run(Database::new());
    let serving = with_alice(|_| database.url());
    let _operator = a_wrong_clock_does_no_harm(&serving);
    let found = serving.found();
    assert!(
        found
            .iter()
            .any(|(kind, object)| kind == "ClocksDiffer"
                && object.starts_with("whoever holds lease")),
        "{found:?}"
    );
}

#[test]
fn a_rehearsal_closes_months_by_the_offset_that_it_declares_and_they_can_be_opened_again() {
    let serving = with_alice(in_a_file);
    let offset = format!("+{DAYS}d");
    let mut operator =
        Replica::start(&serving.organization, &serving.store, &["--clock-offset", &offset]);
    operator.until_it_works();
    assert!(operator.says("the clock is moved by --clock-offset"));
    eventually("the month is closed", || operator.says("billing period closed").then_some(()));
    eventually("it is all", || (report(&serving, &[])["provisional"] == false).then_some(()));
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    // By the real clock that was too early.
    let operator = Replica::start(&serving.organization, &serving.store, &[]);
    operator.until_it_works();
    eventually("it says so", || operator.says("a time within closed months").then_some(()));
    assert!(operator.metric("roster_closed_ahead_seconds").is_some_and(|seconds| seconds > 0));
    serving.hire(&["bob"]);
    let found = roster(&serving, &["doctor"]).stdout;
    let cure = found
        .lines()
        .skip_while(|line| !line.contains("MonthsClosedEarly"))
        .find(|line| line.contains("Cure:"));
    let cure = cure
        .expect("it is found")
        .trim()
        .trim_start_matches("Cure: roster ")
        .split(',')
        .next()
        .unwrap()
        .to_owned();
    let cure: Vec<&str> = cure.split(' ').collect();
    let planned = roster(&serving, &cure).expect_success();
    assert!(
        planned.contains("would become open again") && planned.contains("Nothing was changed."),
        "{planned}"
    );
    assert_eq!(report(&serving, &[])["provisional"], false);
    let refused = roster(&serving, &[&cure[..], &["--confirm", "none"]].concat());
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let confirm: Vec<&str> =
        planned.trim().rsplit("--confirm ").next().unwrap().split(' ').collect();
    let done =
        roster(&serving, &[&cure[..], &["--confirm"], &confirm[..]].concat()).expect_success();
    assert!(
        done.contains("became open again")
            && done.contains("lifetimes.created_at became the present time"),
        "{done}"
    );
    let report = report(&serving, &[]);
    assert_eq!((&report["provisional"], &report["total"]), (&json!(true), &json!(2)));
    let found = serving.found();
    assert!(found.is_empty(), "{found:?}");
    // What is over stays closed.
    let over = cure[3];
    let before = serving.texts(
        "SELECT month FROM closed_months WHERE month < (SELECT MAX(month) FROM closed_months)",
    );
    let earlier = before.last().cloned().unwrap_or_else(|| "2020-01".to_owned());
    let refused = roster(&serving, &["billing", "reopen", "--after", &earlier]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains(&format!("{over} is over")),
        "{}",
        refused.stderr
    );
}
