//! What the operator says of itself: logs, metrics, and whether it is alive.

mod backups;
mod exposition;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{self, Registry, Unit};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::Filter;

use self::backups::Backups;
pub use self::exposition::MetricsFormat;
use self::process::Process;
use crate::domain::account::TransactionKind;
use crate::domain::clocks::OtherClock;
use crate::domain::object_key::Kind;
use crate::provisioning::DirectoryError;
use crate::store::{Receipt, Refusal};

/// How long the loop may stand still before the operator counts as dead.
const LIVENESS_TIMEOUT: Duration = Duration::from_secs(60);

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Objects that stand in the queue.
    pub queue: Gauge,
    /// Rounds that the store couldn't be used in.
    pub store_errors: Counter,
    /// Objects whose change an application holds up.
    pub held_up: Gauge,
    /// Accounts whose `User` isn't there.
    pub orphans: Gauge,
    /// How often the cluster was put back to an earlier time.
    pub rollbacks: Counter,
    /// Objects whose changes the store refuses again and again.
    pub refused: Gauge,
    /// Whether this operator works, 1, or stands by, 0.
    pub leader: Gauge,
    /// For how many seconds whoever holds the Lease that this operator waits for hasn't claimed the
    /// store.
    pub leader_unclaimed: Gauge,
    /// Months that are over by this machine's clock and aren't closed, because no other clock
    /// agrees.
    pub unclosed_months: Gauge,
    /// By how many seconds months are closed ahead of the clock.
    pub closed_ahead: Gauge,
    users: Family<ReasonLabels, Gauge>,
    clock_skew: Family<ClockLabels, Gauge>,
    commands: Family<CommandLabels, Counter>,
    commits: Histogram,
    writes: Family<WriteLabels, Counter>,
    status_latency: Histogram,
    attempts: Family<AttemptLabels, Counter>,
    pending: Family<DirectoryLabels, Gauge>,
    drift: Family<DirectoryLabels, Counter>,
    refused_entries: Family<DirectoryLabels, Gauge>,
    up: Family<DirectoryLabels, Gauge>,
    transactions: Family<TransactionLabels, Gauge>,
    overdue: Family<OverdueLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransactionLabels {
    r#type: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OverdueLabels {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    directory: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectoryLabels {
    directory: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClockLabels {
    clock: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    result: &'static str,
}

/// Registers a metric under `roster_` and its name, and returns it.
fn add<M: registry::Metric + Clone>(r: &mut Registry, name: &str, help: &str, metric: M) -> M {
    r.register(name, help, metric.clone());
    metric
}

/// Registers a metric in seconds; the unit is appended to its name.
fn add_seconds<M: registry::Metric + Clone>(
    r: &mut Registry,
    name: &str,
    help: &str,
    metric: M,
) -> M {
    r.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let r = registry.sub_registry_with_prefix("roster");
        let durations = || Histogram::new(exponential_buckets(0.000_5, 2.0, 14));
        r.register(
            "build",
            "Which roster this is",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            users: add(
                r,
                "users",
                "Users, by the reason of their condition Ready; Unknown until they have one",
                Family::default(),
            ),
            queue: add(r, "workqueue_depth", "Objects in the work queue", Gauge::default()),
            store_errors: add(
                r,
                "store_errors",
                "Rounds in which the store couldn't be used",
                Counter::default(),
            ),
            held_up: add(
                r,
                "store_locked_objects",
                "Objects whose change waits for the store, mostly for an application's locks",
                Gauge::default(),
            ),
            orphans: add(
                r,
                "orphaned_accounts",
                "Live accounts whose User doesn't exist",
                Gauge::default(),
            ),
            rollbacks: add(
                r,
                "cluster_rollbacks",
                "How often resourceVersions went backwards, as after a restore of etcd",
                Counter::default(),
            ),
            refused: add(
                r,
                "refused_objects",
                "Objects whose changes the store refuses again and again",
                Gauge::default(),
            ),
            leader: add(
                r,
                "leader",
                "Whether this operator is the leader (1) or stands by (0)",
                Gauge::default(),
            ),
            leader_unclaimed: add_seconds(
                r,
                "leader_unclaimed",
                "How long the holder of the Lease that this operator waits for hasn't claimed the store",
                Gauge::default(),
            ),
            unclosed_months: add(
                r,
                "unclosed_months",
                "Months that are over by this machine's clock alone, so that they aren't closed",
                Gauge::default(),
            ),
            closed_ahead: add_seconds(
                r,
                "closed_ahead",
                "How far ahead of the clock months are closed",
                Gauge::default(),
            ),
            clock_skew: add_seconds(
                r,
                "clock_skew",
                "How far this machine's clock is ahead of another",
                Family::default(),
            ),
            commands: add(
                r,
                "store_commands",
                "Commands that the store answered, by result",
                Family::default(),
            ),
            commits: add_seconds(
                r,
                "commit_duration",
                "How long a batch of commands took to commit",
                durations(),
            ),
            writes: add(
                r,
                "kube_writes",
                "Writes to the API server, by kind and result",
                Family::default(),
            ),
            status_latency: add_seconds(
                r,
                "status_latency",
                "How long it took from a decision about an object until the API server had its status or finalizer",
                Histogram::new(exponential_buckets(0.002, 2.0, 16)),
            ),
            attempts: add(
                r,
                "provisioning_attempts",
                "Entries that a directory answered, by result",
                Family::default(),
            ),
            pending: add(
                r,
                "provisioning_pending",
                "Entries that a directory has yet to acknowledge",
                Family::default(),
            ),
            drift: add(
                r,
                "directory_drift",
                "Entries that were changed in a directory by others and then repaired",
                Family::default(),
            ),
            refused_entries: add(
                r,
                "directory_refused_entries",
                "Entries that a directory refuses, so that it has something older or nothing",
                Family::default(),
            ),
            up: add(
                r,
                "directory_up",
                "Whether a directory answers (1), or is down and probed (0)",
                Family::default(),
            ),
            transactions: add(
                r,
                "transactions",
                "Transactions in flight, by type and state",
                Family::default(),
            ),
            overdue: add(
                r,
                "transactions_overdue",
                "Transactions that passed their deadline, by type",
                Family::default(),
            ),
            registry,
        }
    }
}

impl Metrics {
    /// Returns the metrics of an operator whose backups are in a folder, if they are.
    #[must_use]
    pub fn with_backups(folder: Option<PathBuf>) -> Self {
        let mut metrics = Self::default();
        if let Some(folder) = folder {
            metrics.registry.register_collector(Box::new(Backups { folder }));
        }
        metrics
    }

    /// Notes how many users there are for each reason, also where there are none any more.
    pub fn users(&self, by_reason: &BTreeMap<&'static str, i64>) {
        for (&reason, &users) in by_reason {
            self.users.get_or_create(&ReasonLabels { reason }).set(users);
        }
    }

    /// Notes how long an object's status or finalizer took to be written.
    pub fn status_written(&self, took: Duration) {
        self.status_latency.observe(took.as_secs_f64());
    }

    /// Counts the answers of a commit.
    pub fn committed(&self, answers: &[Result<Receipt, Refusal>], took: Duration) {
        self.commits.observe(took.as_secs_f64());
        for answer in answers {
            let result = match answer {
                Ok(_) => "committed",
                Err(refusal) => (*refusal).into(),
            };
            self.commands.get_or_create(&CommandLabels { result }).inc();
        }
    }

    /// Notes how far this machine's clock is ahead of another.
    pub fn clock_skew(&self, clock: OtherClock, skew: SignedDuration) {
        self.clock_skew.get_or_create(&ClockLabels { clock: clock.into() }).set(skew.as_secs());
    }

    /// Counts the answer of a directory.
    pub fn provisioning_attempt(&self, directory: &str, problem: Option<&DirectoryError>) {
        let result = problem.map_or("acknowledged", Into::into);
        self.attempts
            .get_or_create(&AttemptLabels { directory: directory.to_owned(), result })
            .inc();
    }

    /// Notes how many entries a directory has yet to confirm.
    pub fn provisioning_pending(&self, directory: &str, entries: usize) {
        let gauge =
            self.pending.get_or_create(&DirectoryLabels { directory: directory.to_owned() });
        gauge.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Counts an entry that somebody else changed in a directory.
    pub fn drifted(&self, directory: &str) {
        self.drift.get_or_create(&DirectoryLabels { directory: directory.to_owned() }).inc();
    }

    /// Notes how many entries a directory refuses.
    pub fn refused_entries(&self, directory: &str, entries: usize) {
        let gauge = self
            .refused_entries
            .get_or_create(&DirectoryLabels { directory: directory.to_owned() });
        gauge.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Notes whether a directory answers.
    pub fn directory_up(&self, directory: &str, is_up: bool) {
        let gauge = self.up.get_or_create(&DirectoryLabels { directory: directory.to_owned() });
        gauge.set(i64::from(is_up));
    }

    /// Counts a transaction that was in flight before, or is now, and whether it is overdue.
    pub fn transactions(
        &self,
        before: Option<(TransactionKind, bool)>,
        after: Option<(TransactionKind, bool)>,
    ) {
        let gauge = |(kind, overdue): (TransactionKind, bool)| {
            let state = if overdue { "Overdue" } else { "InProgress" };
            self.transactions
                .get_or_create(&TransactionLabels { r#type: kind.as_str(), state })
                .clone()
        };
        before.map(|before| gauge(before).dec());
        after.map(|after| gauge(after).inc());
        if let Some((kind, true)) = after.filter(|_| before != after) {
            self.overdue.get_or_create(&OverdueLabels { r#type: kind.as_str() }).inc();
        }
    }

    /// Counts a write to the API server, by the kind of the object and the result.
    pub fn kube_write(&self, kind: Kind, result: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind: kind.into(), result }).inc();
    }

    /// Returns all metrics as text.
    #[must_use]
    pub fn text(&self, format: MetricsFormat) -> String {
        exposition::text(&self.registry, format)
    }
}

/// Whether the operator is alive and ready, fed by the progress of its loop.
#[derive(Debug)]
pub struct Health {
    progress: Mutex<Instant>,
    synced: AtomicBool,
    store: AtomicBool,
    standing_by: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            progress: Mutex::new(Instant::now()),
            synced: AtomicBool::new(false),
            store: AtomicBool::new(true),
            standing_by: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// Notes that the loop went round, and whether everything was listed.
    pub fn progress(&self, synced: bool) {
        self.lives();
        self.synced.store(synced, Ordering::Relaxed);
        self.standing_by.store(false, Ordering::Relaxed);
    }

    /// Notes that the operator isn't stuck, whatever it is at.
    pub fn lives(&self) {
        *self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    /// Notes that the operator waits for another's end, and whether it could take over now.
    pub fn stand_by(&self, could_take_over: bool) {
        self.progress(false);
        self.standing_by.store(could_take_over, Ordering::Relaxed);
    }

    /// Notes whether the store answered.
    pub fn store_answered(&self, answered: bool) {
        self.store.store(answered, Ordering::Relaxed);
    }

    /// Whether the loop went round lately.
    pub fn is_alive(&self) -> bool {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed()
            < LIVENESS_TIMEOUT
    }

    /// Whether the operator works (everything listed, the store there) or stands by for one that
    /// does: with only the one that works ready, a rolling update would wait for ever for the
    /// other.
    pub fn is_ready(&self) -> bool {
        let works = self.synced.load(Ordering::Relaxed) && self.store.load(Ordering::Relaxed);
        self.is_alive() && (works || self.standing_by.load(Ordering::Relaxed))
    }
}

/// The modules whose words may be logged. The others quote what came over the wire, at one level or
/// another: the Kubernetes client an answer that it can't read, its watcher an error with all its
/// words, PostgreSQL's client what a trigger says. So a module that isn't known not to stays
/// silent, whatever level was asked for.
const DISCREET: &[&str] = &[
    "roster",
    "kube_client::client::builder",
    "kube_runtime::utils",
    "hyper",
    "hyper_util",
    "rustls",
    "sqlx::query",
    "sqlx::pool",
];

/// Whether what a module says may be logged.
fn is_discreet(module: &str) -> bool {
    let is_within = |discreet: &&str| {
        module.strip_prefix(*discreet).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    DISCREET.iter().any(is_within)
}

/// Returns what is logged of what was asked for with `--log`.
///
/// # Errors
/// When that isn't a filter.
pub fn log_filter<S>(
    asked: &str,
) -> Result<impl Filter<S> + use<S>, tracing_subscriber::filter::ParseError>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let discreet = filter_fn(|metadata| is_discreet(metadata.target()));
    Ok(EnvFilter::try_new(asked)?.and(discreet))
}

/// Serves `/healthz`, `/readyz` and `/metrics` until the process ends.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(
    listener: tokio::net::TcpListener,
    metrics: std::sync::Arc<Metrics>,
    health: std::sync::Arc<Health>,
) -> std::io::Result<()> {
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::routing::get;
    let verdict = |good: bool| {
        if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not now\n") }
    };
    let (alive, ready) = (health.clone(), health);
    let scrape = async move |headers: HeaderMap| {
        let accepted =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let format = MetricsFormat::accepted(&accepted.collect::<Vec<_>>().join(","));
        // It reads files, and a network's file system may let one wait for ever.
        let text = tokio::task::spawn_blocking(move || metrics.text(format)).await;
        ([(header::CONTENT_TYPE, format.content_type())], text.unwrap_or_default())
    };
    let pages = axum::Router::new()
        .route("/healthz", get(async move || verdict(alive.is_alive())))
        .route("/readyz", get(async move || verdict(ready.is_ready())))
        .route("/metrics", get(scrape));
    axum::serve(listener, pages).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_quote_what_they_received_are_never_logged() {
        for silent in [
            "kube_client::client",
            "kube_client::config",
            "kube_runtime::watcher",
            "sqlx::postgres::notice",
            "rosters",
        ] {
            assert!(!is_discreet(silent), "{silent}");
        }
        for heard in
            ["roster", "roster::controller::watches", "kube_client::client::builder", "sqlx::query"]
        {
            assert!(is_discreet(heard), "{heard}");
        }
        assert!(log_filter::<tracing_subscriber::Registry>("kube_client=trace,info").is_ok());
        assert!(log_filter::<tracing_subscriber::Registry>("roster=loud").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_alive_while_its_loop_goes_round_and_ready_once_everything_was_listed() {
        let health = Health::default();
        assert!(health.is_alive() && !health.is_ready());
        health.progress(true);
        assert!(health.is_ready());
        health.store_answered(false);
        assert!(health.is_alive() && !health.is_ready());
        health.store_answered(true);
        health.stand_by(true);
        assert!(health.is_ready());
        health.stand_by(false);
        assert!(health.is_alive() && !health.is_ready());
        health.stand_by(true);
        health.progress(false);
        assert!(!health.is_ready(), "whoever takes over has yet to list everything");
        health.progress(true);
        assert!(health.is_ready());
        tokio::time::advance(LIVENESS_TIMEOUT).await;
        assert!(!health.is_alive() && !health.is_ready());
    }
}
