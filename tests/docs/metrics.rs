//! The metrics, from the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;
use roster::domain::account::TransactionKind;
use roster::domain::clocks::OtherClock;
use roster::domain::object_key::Kind;
use roster::provisioning::DirectoryError;
use roster::store::Refusal;
use roster::telemetry::{Metrics, MetricsFormat};

use super::read;

const HEAD: &str = "\
# Metrics

Served on `/metrics` in Prometheus' text format, or in OpenMetrics to a scraper that asks for it. None has the name of a person or an object in a label. What to alert on is in
[Monitor](../how-to/monitoring.md).

| metric | type | labels | meaning |
|---|---|---|---|
";

/// Returns the page.
pub(super) fn page() -> String {
    let text = used().text(MetricsFormat::OpenMetrics);
    let labels = labels(&text);
    let mut page = HEAD.to_owned();
    let mut names = BTreeSet::new();
    let described = Regex::new(r"(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)").unwrap();
    for found in described.captures_iter(&text) {
        let (name, kind) = (&found[1], &found[3]);
        let suffix = if kind == "counter" { "_total" } else { "" };
        let labels = labels.get(&format!("{name}{suffix}")).cloned().unwrap_or_default();
        let meaning = found[2].trim_end_matches('.');
        let _ = writeln!(page, "| `{name}{suffix}` | {kind} | {labels} | {meaning} |");
        names.insert(name.to_owned());
    }
    let registered = Regex::new(r#"add(_seconds)?\(\s*r,\s*"(\w+)""#).unwrap();
    let registered: BTreeSet<String> = registered
        .captures_iter(&read("src/telemetry.rs"))
        .map(|found| {
            format!("roster_{}{}", &found[2], found.get(1).map_or("", |unit| unit.as_str()))
        })
        .collect();
    // A family without a value isn't printed, so each has to be used below.
    let unused: Vec<&String> = registered.difference(&names).collect();
    assert!(unused.is_empty(), "`used` doesn't use {unused:?}");
    page
}

/// Returns metrics in which every family has a value.
fn used() -> Metrics {
    let metrics = Metrics::with_backups(Some("backups".into()));
    metrics.users(&[("REASON", 0)].into());
    metrics.directory_up("DIRECTORY", true);
    metrics.committed(&[Err(Refusal::Stale)], Duration::ZERO);
    metrics.clock_skew(OtherClock::Store, SignedDuration::ZERO);
    metrics.provisioning_attempt("DIRECTORY", Some(&DirectoryError::Timeout));
    metrics.provisioning_pending("DIRECTORY", 0);
    metrics.drifted("DIRECTORY");
    metrics.refused_entries("DIRECTORY", 0);
    metrics.transactions(None, Some((TransactionKind::Create, true)));
    metrics.kube_write(Kind::User, "RESULT");
    metrics
}

/// Returns the names of each metric's labels.
fn labels(text: &str) -> BTreeMap<String, String> {
    let line = Regex::new(r"(?m)^(\w+)\{([^}]*)\}").unwrap();
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    line.captures_iter(text)
        .map(|found| {
            let labels = label.captures_iter(&found[2]).map(|it| format!("`{}`", &it[1]));
            (found[1].to_owned(), labels.collect::<Vec<_>>().join(", "))
        })
        .collect()
}
