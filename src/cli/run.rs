//! `roster run`

pub(super) mod startup;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use kube::runtime::events::{Recorder, Reporter as Signature};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::startup::{RunError, Startup};
use super::progress::ProgressReport;
use super::{Failure, examples};
use crate::config::{self, Shared};
use crate::controller::clocks::ServerClock;
use crate::controller::leader_election::Leadership;
use crate::controller::list_watch::Watches;
use crate::controller::object_writer::ObjectWriter;
use crate::controller::passwords::PasswordVerifier;
use crate::controller::reconciler::{Reconciler, Settings};
use crate::controller::watches::watch_all;
use crate::controller::{self, Executors, policies};
use crate::domain::billing::BillingTimeZone;
use crate::domain::organization::CustomerId;
use crate::provisioning::worker::ProvisioningWorker;
use crate::provisioning::{Directory, DirectoryError};
use crate::redact;
use crate::store::sql::SqlStore;
use crate::telemetry::{self, Health, Metrics};

/// How many cluster events may wait; a faster watch is held back.
const MAX_EVENTS: usize = 4096;

/// How often a start that takes long is compared with readiness.
const READINESS_POLL: Duration = Duration::from_millis(100);

/// A watch is silent for at most 5 minutes; a write answers in seconds or is tried again.
const WATCH_TIMEOUT: Duration = Duration::from_secs(330);
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the operator waits for the API server's clock before it begins without it. The server
/// has just answered which cluster this is.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `roster run`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("All namespaces, with a store in a file that is created", "roster run --store 'sqlite://roster.db?mode=rwc'"),
    ("One namespace, with a store in PostgreSQL and provisioning to LDAP",
     "PGPASSFILE=pgpass roster run -n acme --store postgres://roster@db.acme.example/roster \\\n    --directory 'ldaps://ldap.acme.example/dc=acme,dc=example?bind-dn=cn=roster,dc=acme,dc=example&password-file=bind'"),
]))]
pub(super) struct RunArgs {
    /// Reconciles this namespace only; may be given several times. Without it, all.
    #[arg(short, long = "namespace", alias = "organization", env = "ROSTER_NAMESPACE", value_delimiter = ',', value_parser = namespace, value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// A directory that accounts are provisioned to; may be given several times, in the environment
    /// with spaces between. `scim+https://HOST/v2?token-file=PATH`,
    /// `ldaps://HOST/dc=acme,dc=example?bind-dn=DN&password-file=PATH`, either also with
    /// `ca-file=PATH` and `name=NAME`; `rehearsal:///FOLDER` is a stand-in for tests.
    #[arg(long = "directory", env = "ROSTER_DIRECTORY", value_delimiter = ' ', value_parser = directory, value_name = "URL")]
    directories: Vec<Directory>,
    /// The time zone whose calendar months are billed, by its IANA name, such as America/Phoenix.
    #[arg(long, env = "ROSTER_BILLING_TIME_ZONE", default_value = "UTC", value_name = "TZ")]
    billing_time_zone: BillingTimeZone,
    /// When a transaction is overdue.
    #[arg(long, env = "ROSTER_TRANSACTION_DEADLINE", default_value = "20m", value_parser = config::duration, value_name = "DURATION")]
    transaction_deadline: Duration,
    /// How often all objects are reconciled without a change.
    #[arg(long, env = "ROSTER_RESYNC", default_value = "10m", value_parser = config::duration, value_name = "DURATION")]
    resync: Duration,
    /// How often the entry of every account is compared in each directory, and drift is repaired.
    #[arg(long, env = "ROSTER_DIRECTORY_RESYNC", default_value = "6h", value_parser = config::duration, value_name = "DURATION")]
    directory_resync: Duration,
    /// The namespace of the Lease for leader election, if the store is in PostgreSQL [default: the
    /// pod's own namespace, outside a cluster roster-system]
    #[arg(long, env = "ROSTER_LEASE_NAMESPACE", value_parser = namespace, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// Takes over a store that belongs to another cluster, whose operator is gone; from then on it
    /// belongs to this one.
    #[arg(long, env = "ROSTER_ACCEPT_CLUSTER", value_parser = BoolishValueParser::new())]
    accept_cluster: bool,
    /// Takes over from operators of some of the same namespaces, or with other directories, that
    /// are gone without having released their claim.
    #[arg(long, env = "ROSTER_SUPERSEDE", value_parser = BoolishValueParser::new())]
    supersede: bool,
    /// The folder that backups of the store are in, for the metric `roster_backup_timestamp_seconds`:
    /// when the newest was taken. Without the folder there is no such metric.
    #[arg(long, env = "ROSTER_BACKUP_TO", value_name = "DIR")]
    backup_to: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "ROSTER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// What is logged, such as `debug` or `roster=debug,kube=info`.
    #[arg(long, env = "ROSTER_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    #[command(flatten)]
    shared: Shared,
}

fn directory(text: &str) -> Result<Directory, DirectoryError> {
    Directory::open(text)
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    // A namespace's name is a DNS label, as a customer ID is.
    CustomerId::parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| "a namespace's name is a DNS label such as acme".to_owned())
}

/// Runs the operator until a stop signal: exit code 0 then, 1 if another operator took over.
pub(super) fn run(arguments: RunArgs) -> Result<ExitCode, Failure> {
    check_names(&arguments.directories)?;
    let progress = ProgressReport::start_logged("starting");
    start_logging(&arguments.log, progress.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run_operator(arguments, &progress));
    // An operator that lost leadership doesn't wait for requests that are in flight.
    runtime.shutdown_background();
    ended
}

/// Refuses two directories of one name: what one confirmed would count for the other.
fn check_names(directories: &[Directory]) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match directories.iter().find(|directory| !names.insert(directory.name())) {
        None => Ok(()),
        Some(twice) => {
            let name = twice.name();
            Err(format!(
                "two directories have the name {name}: give one of them another with ?name=NAME"
            )
            .into())
        }
    }
}

/// Logs to stderr: text for a terminal, JSON lines for everything else.
fn start_logging(filter: &str, progress: ProgressReport) -> Result<(), Failure> {
    let logs = tracing_subscriber::fmt::layer().with_writer(progress);
    let registry = tracing_subscriber::registry();
    if std::io::stderr().is_terminal() {
        registry.with(logs.with_filter(telemetry::log_filter(filter)?)).init();
    } else {
        registry
            .with(logs.json().flatten_event(true).with_filter(telemetry::log_filter(filter)?))
            .init();
    }
    Ok(())
}

async fn run_operator(arguments: RunArgs, progress: &ProgressReport) -> Result<ExitCode, Failure> {
    let metrics = Arc::new(Metrics::with_backups(arguments.backup_to.clone()));
    let health = Arc::new(Health::default());
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("can't listen on {listen}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    tokio::spawn(telemetry::serve(listener, metrics.clone(), health.clone()));

    let stop = stop_signal()?;
    tokio::spawn(finish_when_ready(progress.clone(), health.clone()));
    let shared = &arguments.shared;
    let startup = Startup::new(shared.store.url_to_create()?, &arguments, shared.clock())?;
    let config = Config::infer().await?;
    let Some(leadership) = until_stopped(
        &stop,
        startup.leadership(client(&config, WATCH_TIMEOUT)?, (&health, &metrics)),
    )
    .await
    else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut ended = Box::pin(run_as_leader(
        &startup,
        arguments,
        config,
        (&leadership, &health, &metrics),
        stop,
    ))
    .await;
    metrics.leader.set(0);
    // The successor needs the Lease alone: releasing a former claim is harmless, however late.
    leadership.release_lease().await;
    if let Ok(Some(store)) = &mut ended {
        resign(store).await;
    }
    match ended {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(RunError::Failed(failure)) => Err(failure),
        Err(RunError::Deposed(why)) => {
            tracing::error!(why = redact::chain(&why), "lost leadership, exiting");
            Ok(ExitCode::from(1))
        }
    }
}

/// Shows the progress of the start until the operator is ready, or stands by.
async fn finish_when_ready(progress: ProgressReport, health: Arc<Health>) {
    while !health.is_ready() {
        tokio::time::sleep(READINESS_POLL).await;
    }
    progress.finish();
}

/// Returns the future's output, or `None` where a stop signal comes first.
async fn until_stopped<T>(
    stop: &watch::Receiver<bool>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut stop = stop.clone();
    tokio::select! {
        biased;
        _ = stop.wait_for(|stopped| *stopped) => None,
        outcome = future => Some(outcome),
    }
}

/// Claims the store and runs the operator on it. Returns the store after a stop signal, if it was
/// claimed by then.
async fn run_as_leader(
    startup: &Startup,
    arguments: RunArgs,
    config: Config,
    (leadership, health, metrics): (&Leadership, &Health, &Arc<Metrics>),
    stop: watch::Receiver<bool>,
) -> Result<Option<SqlStore>, RunError> {
    let (watching, writing) = (client(&config, WATCH_TIMEOUT)?, client(&config, WRITE_TIMEOUT)?);
    let claimed = async {
        policies::report_gaps(&writing).await;
        startup.claim(&writing, leadership, health).await
    };
    let claimed = tokio::select! {
        biased;
        lost = leadership.lost() => return Err(RunError::Deposed(lost.into())),
        claimed = until_stopped(&stop, claimed) => claimed,
    };
    let Some(store) = claimed.transpose()? else { return Ok(None) };
    metrics.leader.set(1);
    let server_clock = ServerClock::of(writing.clone());
    let read = async {
        // Nothing is dated by this machine's clock alone, but a proxy may remove the Date header.
        if !tokio::time::timeout(CLOCK_TIMEOUT, server_clock.was_read()).await.unwrap_or(false) {
            tracing::warn!(
                "the API server's clock can't be read: transactions are dated by this machine's clock alone"
            );
        }
    };
    tokio::select! {
        biased;
        lost = leadership.lost() => return Err(RunError::Deposed(lost.into())),
        reached = until_stopped(&stop, read) => if reached.is_none() { return Ok(Some(store)) },
    }
    let signature =
        Signature { controller: "roster".to_owned(), instance: std::env::var("HOSTNAME").ok() };
    let verifier = PasswordVerifier::new(writing.clone()).map_err(Failure::from)?;
    let executors = Executors {
        worker: ProvisioningWorker::new(arguments.directories, Arc::new(verifier.reader())),
        verifier,
        writer: ObjectWriter::new(writing.clone(), Recorder::new(writing, signature)),
        watches: Watches::default(),
    };
    let (send_events, events) = mpsc::channel(MAX_EVENTS);
    let scopes = watch_all(&watching, &arguments.namespaces, &send_events, &executors.watches);
    let settings = Settings {
        resync: arguments.resync,
        directory_resync: arguments.directory_resync,
        transaction_deadline: arguments.transaction_deadline.try_into().map_err(Failure::from)?,
        clock: startup.clock,
        directories: startup.directories.clone(),
        billing_zone: arguments.billing_time_zone,
    };
    let reconciler =
        Reconciler::new(store, settings, scopes, metrics.clone()).with_server_clock(server_clock);
    Ok(Some(controller::run(reconciler, executors, events, stop, (leadership, health)).await?))
}

/// Releases the claim and closes the store, for a bounded time: a successor doesn't need it.
async fn resign(store: &mut SqlStore) {
    let resigned = async {
        let resigned = store.resign().await;
        store.close().await;
        resigned
    };
    match tokio::time::timeout(WRITE_TIMEOUT, resigned).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = redact::chain(&error), "the claim couldn't be released")
        }
        Err(_) => tracing::warn!("the claim couldn't be released in time"),
    }
}

/// Returns a client that neither retries by itself nor waits for ever: the queue does the one, and
/// a hanging reply must not stop an object's work.
pub(super) fn client(config: &Config, timeout: Duration) -> Result<Client, kube::Error> {
    let mut config = config.clone();
    config.default_retry = false;
    config.read_timeout = Some(timeout);
    Client::try_from(config)
}

/// Returns a signal that turns true at SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (send, receive) = watch::channel(false);
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down, draining writes");
        // The receiver lives as long as the operator works.
        let _ = send.send(true);
    });
    Ok(receive)
}
