//! `roster billing report` without a cluster: what it prints, what it closes, and a million lives.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster::clock::Clock;
use roster::domain::account::{Account, TransactionKind};
use roster::domain::billing::{BillingTimeZone, Month};
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{CommitTime, Receipt, Store};
use roster_test_support::plans;
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A store in a file, in which things happen at any time.
struct Kept {
    runtime: Runtime,
    store: SqlStore,
    folder: TempDir,
}

impl Kept {
    /// A store whose operator bills by a time zone.
    fn new(zone: &str) -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let store = runtime.block_on(async {
            let store = SqlStore::open(&format!("{}?mode=rwc", url(&folder))).await.unwrap();
            store.close_months(&zone.parse().unwrap(), time("2020-01-01T00:00:00Z")).await.unwrap();
            plans::commit(&store, plans::put_domain("acme", "acme.example")).await.unwrap();
            store
        });
        Self { runtime, store, folder }
    }

    fn commit(&self, plan: Plan, now: &str) -> Option<Account> {
        let occasion = CommitTime { now: time(now), deadline: time(now) };
        let answer = self.runtime.block_on(self.store.commit(&[plan], occasion)).unwrap().remove(0);
        if let Receipt::Account(account) = answer.unwrap() { Some(*account) } else { None }
    }

    fn born(&self, name: &str, now: &str) -> Account {
        self.commit(plans::create(name, &format!("{name}@acme.example")), now).unwrap()
    }

    fn roster(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command
            .args(["billing", "report", "--store", &url(&self.folder)])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What the report of a month prints.
    #[track_caller]
    fn report(&self, month: &str, more: &[&str]) -> String {
        let output = self.roster(&[&["--month", month], more].concat());
        let (said, message) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}{message}");
        said
    }

    #[track_caller]
    fn json(&self, month: &str, more: &[&str]) -> Value {
        serde_json::from_str(&self.report(month, &[&["-o", "json"], more].concat())).unwrap()
    }

    #[track_caller]
    fn check_fault(&self, arguments: &[&str], text: &str) {
        let output = self.roster(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(output.stdout.is_empty());
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    }

    /// Closes what is over, as the operator does.
    fn close(&self) {
        self.runtime
            .block_on(
                self.store.close_months(&"America/Phoenix".parse().unwrap(), Clock::SYSTEM.now()),
            )
            .unwrap();
    }

    fn closed(&self) -> usize {
        self.runtime.block_on(self.store.calendar()).unwrap().closed.len()
    }
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/roster.db", folder.path().display())
}

/// Alice lives, bob was disabled, carol lived for a day; in Phoenix, in March 2025.
fn three() -> Kept {
    let kept = Kept::new("America/Phoenix");
    kept.born("alice", "2025-01-15T12:00:00Z");
    let bob = kept.born("bob", "2025-03-01T07:00:00.000001Z");
    let carol = kept.born("carol", "2025-03-10T12:00:00Z");
    kept.commit(plans::switch(&bob, TransactionKind::Disable), "2025-03-20T12:00:00Z");
    kept.commit(plans::delete(&carol), "2025-03-11T12:00:00Z");
    kept
}

/// The same, where the operator closed what was over.
fn three_closed() -> Kept {
    let kept = three();
    kept.close();
    kept
}

#[test]
fn a_report_is_printed_as_a_table_as_json_as_csv_and_as_yaml() {
    let kept = three_closed();
    assert_eq!(
        kept.report("2025-03", &[]),
        "Month: 2025-03 (America/Phoenix), closed\n\
         Total: 3\n\
         \n\
         ORGANIZATION   LOGIN        STATE      FROM                               TO\n\
         acme           alice.acme   Enabled    2025-03-01T00:00:00-07:00          <none>\n\
         acme           bob.acme     Disabled   2025-03-01T00:00:00.000001-07:00   <none>\n\
         acme           carol.acme   Deleted    2025-03-10T05:00:00-07:00          2025-03-11T05:00:00-07:00\n"
    );
    let csv = "organization,loginName,state,from,to\n\
               acme,alice.acme,Enabled,2025-03-01T00:00:00-07:00,\n\
               acme,bob.acme,Disabled,2025-03-01T00:00:00.000001-07:00,\n\
               acme,carol.acme,Deleted,2025-03-10T05:00:00-07:00,2025-03-11T05:00:00-07:00\n";
    assert_eq!(kept.report("2025-03", &["-o", "csv"]), csv);
    let line = |login: &str, state: &str, from: &str, to: Value| json!({"organization": "acme", "loginName": login, "state": state, "from": from, "to": to});
    let whole = json!({
        "month": "2025-03", "provisional": false, "timeZone": "America/Phoenix", "total": 3,
        "lines": [
            line("alice.acme", "Enabled", "2025-03-01T00:00:00-07:00", Value::Null),
            line("bob.acme", "Disabled", "2025-03-01T00:00:00.000001-07:00", Value::Null),
            line("carol.acme", "Deleted", "2025-03-10T05:00:00-07:00", json!("2025-03-11T05:00:00-07:00")),
        ],
    });
    assert_eq!(kept.json("2025-03", &[]), whole);
    assert_eq!(
        serde_saphyr::from_str::<Value>(&kept.report("2025-03", &["-o", "yaml"])).unwrap(),
        whole
    );
    assert!(kept.report("2025-03", &["-o", "json"]).ends_with("  \"total\": 3\n}\n"));
}

#[test]
fn a_report_of_one_organization_has_only_its_logins_and_one_of_nobody_is_empty() {
    let kept = three_closed();
    assert_eq!(kept.json("2025-03", &["--organization", "acme"])["total"], 3);
    let empty = json!({"month": "2025-03", "provisional": false, "timeZone": "America/Phoenix", "lines": [], "total": 0});
    assert_eq!(kept.json("2025-03", &["--organization", "other"]), empty);
    let said = kept.report("2025-03", &["--organization", "other", "-o", "yaml"]);
    assert_eq!(serde_saphyr::from_str::<Value>(&said).unwrap(), empty);
    let before = kept.json("2024-06", &[]);
    assert_eq!((&before["provisional"], &before["total"]), (&json!(false), &json!(0)));
    assert_eq!(kept.report("2024-06", &["-o", "csv"]), "organization,loginName,state,from,to\n");
}

#[test]
fn the_report_of_a_closed_month_never_changes_by_a_byte() {
    let kept = three_closed();
    let formats = ["table", "json", "csv", "yaml"];
    let print = || {
        formats
            .map(|format| ["2025-02", "2025-03"].map(|month| kept.report(month, &["-o", format])))
    };
    let before = print();
    let alice = kept.runtime.block_on(plans::find(&kept.store, "alice")).unwrap();
    let alice = kept
        .commit(plans::switch(&alice, TransactionKind::Disable), "2025-03-25T00:00:00Z")
        .unwrap();
    kept.commit(plans::delete(&alice), "2025-03-26T00:00:00Z");
    kept.born("dave", "2025-03-02T00:00:00Z");
    kept.commit(plans::recreate("carol", "carol@acme.example"), "2025-02-02T00:00:00Z");
    let elsewhere: BillingTimeZone = "Pacific/Auckland".parse().unwrap();
    kept.runtime.block_on(kept.store.close_months(&elsewhere, Clock::SYSTEM.now())).unwrap();
    assert_eq!(print(), before);
}

#[test]
fn the_running_month_is_provisional_and_one_to_come_is_refused() {
    let kept = three_closed();
    let running = Month::containing(Clock::SYSTEM.now(), &"America/Phoenix".parse().unwrap());
    let report = kept.json(&running.to_string(), &[]);
    assert_eq!((&report["provisional"], &report["total"]), (&json!(true), &json!(2)));
    assert!(kept.report(&running.to_string(), &[]).contains(", provisional\n"));
    assert_eq!(kept.json(&running.previous().to_string(), &[])["provisional"], false);
    let csv = kept.roster(&["--month", &running.to_string(), "-o", "csv"]);
    assert!(String::from_utf8_lossy(&csv.stderr).contains("this is provisional"));
    let next = running.next().unwrap().next().unwrap().to_string();
    kept.check_fault(&["--month", &next], &format!("{next} hasn't begun yet"));
    let by_default: Value = serde_json::from_slice(&kept.roster(&["-o", "json"]).stdout).unwrap();
    assert_eq!(by_default, report, "the month is the current one by default");
    for bad in ["2025-13", "2025-3", "03-2025", "soon"] {
        kept.check_fault(&["--month", bad], "YYYY-MM");
    }
}

#[test]
fn a_month_that_ended_while_nobody_worked_is_provisional_until_an_operator_closes_it() {
    let kept = three();
    assert_eq!(kept.json("2025-03", &[])["provisional"], true, "one clock alone closes nothing");
    assert_eq!(kept.json("2024-06", &[])["provisional"], true);
    assert_eq!(kept.closed(), 0);
    kept.close();
    assert_eq!(kept.json("2025-03", &[])["provisional"], false);
    assert_eq!(
        kept.json("2024-06", &[])["provisional"],
        false,
        "nothing can happen any more in a month before"
    );
}

#[test]
fn a_rehearsal_with_another_clock_closes_nothing_that_isnt_over() {
    let kept = three_closed();
    let running = Month::containing(Clock::SYSTEM.now(), &"America/Phoenix".parse().unwrap());
    kept.json("2025-03", &[]);
    let closed = kept.closed();
    let report = kept.json(&running.to_string(), &["--clock-offset", "+40d"]);
    assert_eq!((&report["provisional"], &report["total"]), (&json!(true), &json!(2)));
    assert_eq!(kept.closed(), closed);
    assert_eq!(kept.json(&running.to_string(), &[])["provisional"], true);
    let back = kept.json("2025-03", &["--clock-offset=-3000d"]);
    assert_eq!(back["provisional"], false, "closed is closed");
}

#[test]
fn a_store_whose_operator_named_no_time_zone_is_billed_in_utc_and_provisionally() {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let store = runtime.block_on(SqlStore::open(&format!("{}?mode=rwc", url(&folder)))).unwrap();
    let kept = Kept { runtime, store, folder };
    kept.runtime
        .block_on(plans::commit(&kept.store, plans::put_domain("acme", "acme.example")))
        .unwrap();
    kept.born("alice", "2025-01-15T12:00:00Z");
    let report = kept.json("2025-03", &[]);
    assert_eq!(
        (&report["provisional"], &report["timeZone"], &report["total"]),
        (&json!(true), &json!("UTC"), &json!(1))
    );
    assert_eq!(kept.closed(), 0);
}

#[test]
fn no_month_is_opened_again_by_one_clock_or_by_one_that_was_moved() {
    let kept = three_closed();
    let fails = |arguments: &[&str], text: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args([
            "billing",
            "reopen",
            "--store",
            &url(&kept.folder),
            "--after",
            "2025-02",
            "--confirm",
            "2025-03..2025-04",
        ]);
        let output = command
            .args(arguments)
            .env("KUBECONFIG", "/nowhere")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    };
    let closed = kept.closed();
    fails(&[], "no cluster is known");
    fails(&["--clock-offset=-900d"], "--clock-offset says nothing of which months are over");
    assert_eq!(kept.closed(), closed);
}

#[test]
fn the_operator_refuses_a_time_zone_that_isnt_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["run", "--billing-time-zone", "Mars/Olympus"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("IANA name, such as UTC or America/Phoenix")
    );
}

/// A life as it stands in the table.
struct Bare {
    id: String,
    organization: String,
    login: String,
    created: i64,
    deleted: Option<i64>,
    state: String,
}

const DAY: i64 = 86_400_000_000;
const LIVES: i64 = 1_000_000;
/// 2022-11-01, from which on there are 36 months.
const FIRST_DAY: i64 = 19_297;

/// Makes a million lives of 400,000 logins in 40 organizations over three years: some last no time,
/// some a minute, some weeks, some go on; some begin and end at midnight; some are disabled from
/// the beginning, or now and then.
async fn fill(connection: &mut SqliteConnection) {
    let lives = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {LIVES}), \
         drawn AS (SELECT i, i % 400000 AS login, i / 400000 AS turn, (i * 2654435761) % 4294967296 AS h, \
            (i * 40503 + 12345) % 65536 AS g FROM n), \
         placed AS (SELECT *, {FIRST_DAY} * {DAY} + turn * 365 * {DAY} + (h % 25000000) * 1000000 + g AS begun, \
            CASE WHEN i % 10 = 0 THEN 0 WHEN i % 10 < 3 THEN (g % 60) * 1000000 WHEN i % 10 < 6 THEN (g % 864000) * 1000000 \
            ELSE (g * 97 % 6400000) * 1000000 END AS lasts FROM drawn), \
         whole AS (SELECT *, CASE WHEN i % 97 = 3 THEN begun - begun % {DAY} ELSE begun END AS created FROM placed) \
         INSERT INTO lifetimes (account_id, namespace, login_name, created_at, deleted_at, state_at_creation) \
         SELECT printf('00000000-0000-7000-8000-%012d', i), 'org' || (login % 40), 'u' || login || '.org' || (login % 40), created, \
            CASE WHEN login % 5 = 0 AND i + 400000 >= {LIVES} THEN NULL \
                 WHEN i % 97 = 3 THEN created + lasts - lasts % {DAY} ELSE created + lasts END, \
            CASE WHEN i % 7 = 0 THEN 'Disabled' ELSE 'Enabled' END FROM whole"
    );
    let switches = |every: i64, revision: i64, days: i64, one: &str, other: &str| {
        format!(
            "INSERT INTO switches SELECT account_id, {revision}, created_at + {days} * {DAY}, CASE WHEN state_at_creation = 'Enabled' \
             THEN '{one}' ELSE '{other}' END FROM lifetimes WHERE CAST(substr(account_id, 25) AS INTEGER) % {every} = 0 \
             AND (deleted_at IS NULL OR deleted_at > created_at + {days} * {DAY})"
        )
    };
    let journal =
        [switches(6, 2, 3, "Disabled", "Enabled"), switches(12, 4, 20, "Enabled", "Disabled")];
    for statement in ["PRAGMA synchronous = OFF".to_owned(), lives].into_iter().chain(journal) {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
    }
}

async fn every_life(connection: &mut SqliteConnection) -> Vec<Bare> {
    let rows = sqlx::query(
        "SELECT account_id, namespace, login_name, created_at, deleted_at, state_at_creation FROM lifetimes",
    );
    let rows = rows.fetch_all(connection).await.unwrap();
    let bare = rows.iter().map(|row| Bare {
        id: row.get(0),
        organization: row.get(1),
        login: row.get(2),
        created: row.get(3),
        deleted: row.get(4),
        state: row.get(5),
    });
    bare.collect()
}

async fn every_switch(connection: &mut SqliteConnection) -> HashMap<String, Vec<(i64, String)>> {
    let mut switches: HashMap<String, Vec<(i64, String)>> = HashMap::new();
    let rows = sqlx::query(
        "SELECT account_id, switched_at, state FROM switches ORDER BY account_id, revision",
    );
    for row in rows.fetch_all(connection).await.unwrap() {
        switches.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    switches
}

/// The bill of a month as one would make it by going through everybody who ever lived, as CSV.
fn naive(
    lives: &[Bare],
    switches: &HashMap<String, Vec<(i64, String)>>,
    start: i64,
    end: i64,
) -> String {
    let mut billed: BTreeMap<(&str, &str), Vec<&Bare>> = BTreeMap::new();
    for life in lives {
        let at_once =
            life.deleted == Some(life.created) && start <= life.created && life.created < end;
        if at_once || life.created.max(start) < life.deleted.unwrap_or(i64::MAX).min(end) {
            billed.entry((&life.organization, &life.login)).or_default().push(life);
        }
    }
    let mut text = "organization,loginName,state,from,to\n".to_owned();
    let shown =
        |time: i64| Timestamp::from_microsecond(time).unwrap().to_string().replace('Z', "+00:00");
    for ((organization, login), mut lives) in billed {
        lives.sort_by_key(|life| life.created);
        let (first, last) = (lives[0], lives[lives.len() - 1]);
        let to = last.deleted.filter(|deleted| *deleted < end);
        let history = switches.get(&last.id).into_iter().flatten();
        let state = history
            .filter(|(at, _)| *at < end)
            .map(|(_, state)| state)
            .next_back()
            .unwrap_or(&last.state);
        let state = if to.is_some() { "Deleted" } else { state };
        let to = to.map_or_else(String::new, shown);
        text +=
            &format!("{organization},{login},{state},{},{to}\n", shown(first.created.max(start)));
    }
    text
}

/// Runs a report in no more memory than it may have, and returns what it printed, and its highest
/// resident memory as far as it was seen, in kilobytes.
fn run_within(megabytes: u64, url: &str, month: &str, output: &str) -> (String, u64) {
    let script = format!("ulimit -v {}; exec \"$@\"", megabytes * 1024);
    let mut child = Command::new("bash")
        .args([
            "-c",
            &script,
            "report",
            env!("CARGO_BIN_EXE_roster"),
            "billing",
            "report",
            "--store",
            url,
        ])
        .args(["--month", month, "-o", output])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().unwrap();
    let (mut printed, mut piece, mut highest) = (vec![], vec![0; 1 << 18], 0);
    loop {
        let read = std::io::Read::read(&mut out, &mut piece).unwrap();
        let seen = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = seen
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        highest = highest.max(peak.unwrap_or_default());
        if read == 0 {
            break;
        }
        printed.extend_from_slice(&piece[..read]);
    }
    assert!(child.wait().unwrap().success(), "{month} as {output}");
    (String::from_utf8(printed).unwrap(), highest)
}

/// Prints times and memory (`cargo test -- --nocapture`).
#[test]
fn a_million_lives_are_billed_rightly_in_seconds_and_in_little_memory() {
    let kept = Kept::new("UTC");
    let (lives, switches) = kept.runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url(&kept.folder)).await.unwrap();
        fill(&mut connection).await;
        (every_life(&mut connection).await, every_switch(&mut connection).await)
    });
    assert_eq!(lives.len(), 1_000_000);
    let (mut day, mut whole, mut longest, mut highest, mut count) =
        (FIRST_DAY, Duration::ZERO, Duration::ZERO, 0, 0);
    for number in 0..36_i64 {
        let (year, month) = (2022 + (10 + number) / 12, (10 + number) % 12 + 1);
        let days = match month {
            2 if year == 2024 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let expected = naive(&lives, &switches, day * DAY, (day + days) * DAY);
        let month = format!("{year}-{month:02}");
        let begun = Instant::now();
        let (printed, peak) = run_within(512, &url(&kept.folder), &month, "csv");
        let took = begun.elapsed();
        assert!(printed == expected, "the report of {month} isn't what it should be");
        (whole, longest, highest) = (whole + took, longest.max(took), highest.max(peak));
        count += printed.lines().count() - 1;
        day += days;
        if number == 20 {
            let (json, _) = run_within(512, &url(&kept.folder), &month, "json");
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["total"], expected.lines().count() - 1);
            run_within(512, &url(&kept.folder), &month, "table");
            run_within(512, &url(&kept.folder), &month, "yaml");
        }
    }
    println!(
        "36 reports of {count} lines in all took {whole:?}, the longest {longest:?}, in {highest} kB at most"
    );
    assert!(longest <= Duration::from_secs(10), "a report took {longest:?}");
    assert!(highest <= 512 * 1024, "a report took {highest} kB");
}
