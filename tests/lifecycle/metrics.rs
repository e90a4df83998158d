//! What a scraper sees.

use std::collections::BTreeSet;
use std::fs;
use std::time::UNIX_EPOCH;

use roster_test_support::cluster::{Operator, eventually, passed};
use serde_json::json;

use crate::acme::{Acme, secret, user_with_password};

/// What Prometheus sends where nothing else is configured.
const PROMETHEUS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Returns the media type and the lines of the metrics.
fn scrape(operator: &Operator, accept: &str) -> (String, Vec<String>) {
    let (status, answer) = operator.page_as("/metrics", accept);
    assert_eq!(status, 200, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let is_type = |line: &&str| line.to_ascii_lowercase().starts_with("content-type:");
    let media_type = head.lines().find(is_type).expect("a media type");
    let media_type = media_type.split_once(": ").expect("a value").1.to_owned();
    (media_type, body.lines().map(str::to_owned).collect())
}

/// Returns the number behind a name and its labels.
fn value(lines: &[String], name: &str) -> Option<f64> {
    let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

#[test]
fn a_scraper_is_served_the_format_that_it_asks_for() {
    let acme = Acme::start(&[]);
    let (media_type, text) = scrape(&acme.operator, "*/*");
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.contains(&"# TYPE roster_store_errors_total counter".to_owned()), "{text:#?}");
    let (media_type, open) = scrape(&acme.operator, PROMETHEUS);
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.contains(&"# TYPE roster_store_errors counter".to_owned()), "{open:#?}");
    assert_eq!(open.last().map(String::as_str), Some("# EOF"));
    let families = |lines: &[String]| -> BTreeSet<String> {
        let samples = lines.iter().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(['{', ' ']).next().expect("a name").to_owned()).collect()
    };
    assert_eq!(families(&text), families(&open));
}

#[test]
fn a_scraper_sees_users_directories_latencies_backups_and_the_process() {
    let backups = tempfile::tempdir().expect("a folder");
    let folder = backups.path().to_str().expect("a path in UTF-8");
    let acme = Acme::start(&["--backup-to", folder]);
    acme.create(&secret("alice", "nine lorries leave at dawn"));
    acme.create(&user_with_password("alice"));
    acme.create(&user_with_password("bob"));
    acme.organization.until_ready("User", "alice");
    acme.organization.until_reason("User", "bob", "PasswordSecretNotFound");

    let metric = |name: &str| value(&scrape(&acme.operator, "*/*").1, name);
    let until = |name: &str, expected: f64| {
        eventually(name, || (metric(name) == Some(expected)).then_some(()));
    };
    let version = env!("CARGO_PKG_VERSION");
    until(&format!("roster_build_info{{version=\"{version}\"}}"), 1.0);
    until("roster_users{reason=\"Reconciled\"}", 1.0);
    until("roster_users{reason=\"PasswordSecretNotFound\"}", 1.0);
    assert!(metric("roster_commit_duration_seconds_count") >= Some(1.0));
    assert!(metric("roster_status_latency_seconds_count") >= Some(2.0));

    let up = format!("roster_directory_up{{directory=\"{}\"}}", acme.directory.url());
    until(&up, 1.0);
    acme.directory.behaves(&json!({"down": true}));
    acme.edit("alice", &json!({"role": "Dispatcher"}));
    until(&up, 0.0);
    acme.directory.has_a_good_day();
    until(&up, 1.0);

    assert_eq!(metric("roster_backup_timestamp_seconds"), Some(0.0));
    fs::write(backups.path().join("monday.db"), "a backup").expect("the file can be written");
    let written = fs::metadata(backups.path().join("monday.db")).and_then(|file| file.modified());
    let written = written.expect("the file is there").duration_since(UNIX_EPOCH);
    let now = written.expect("1970 is over").as_secs_f64();
    let taken = metric("roster_backup_timestamp_seconds").expect("there is a backup");
    assert!((now - taken).abs() < 0.01, "{taken} isn't {now}");

    let lines = scrape(&acme.operator, "*/*").1;
    let process = |name: &str| value(&lines, name).expect("the kernel says so");
    let pid = acme.operator.pid();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = limit.and_then(|line| line.split_whitespace().next()).expect("a limit");
    assert_eq!(process("process_max_fds"), limit.parse::<f64>().expect("a number"));
    assert!(process("process_open_fds") > 3.0);
    assert!(process("process_cpu_seconds_total") > 0.0);
    assert!(process("process_resident_memory_bytes") > 1e6);
    assert!((now - process("process_start_time_seconds")).abs() < 600.0);

    passed(acme.organization.admin().delete("User", "bob"));
    until("roster_users{reason=\"PasswordSecretNotFound\"}", 0.0);
}
