//! `roster run`

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kube::runtime::events::{Recorder, Reporter as Signature};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Failure, block_on};
use crate::config::{self, Shared};
use crate::controller::passwords::Judge;
use crate::controller::pipeline::{Pipeline, Settings};
use crate::controller::provisioning::Courier;
use crate::controller::report::Reporter;
use crate::controller::watch::watch_all;
use crate::controller::{Hands, operate, policies};
use crate::directory::{Directory, DirectoryError};
use crate::domain::billing::Zone;
use crate::domain::organization::CustomerId;
use crate::store::Store;
use crate::store::sql::SqlStore;
use crate::telemetry::{self, Health, Metrics};

/// How many pieces of news may wait; a watch that is faster waits itself.
const NEWS: usize = 4096;

/// A watch is silent for at most 5 minutes; a write answers in seconds or is tried again.
const WATCH_TIMEOUT: Duration = Duration::from_secs(330);
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// Arguments of `roster run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Works in this namespace only; may be given several times. Without it, in all.
    #[arg(long = "namespace", env = "ROSTER_NAMESPACE", value_delimiter = ',', value_parser = namespace, value_name = "NS")]
    namespaces: Vec<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "ROSTER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// How often everything is compared whole.
    #[arg(long, env = "ROSTER_RESYNC", default_value = "10m", value_parser = config::duration, value_name = "DURATION")]
    resync: Duration,
    /// When a transaction is overdue.
    #[arg(long, env = "ROSTER_TRANSACTION_DEADLINE", default_value = "20m", value_parser = config::duration, value_name = "DURATION")]
    transaction_deadline: Duration,
    /// A directory that is brought up to date; may be given several times. `rehearsal:///FOLDER` is a stand-in for tests.
    #[arg(long = "directory", env = "ROSTER_DIRECTORY", value_delimiter = ',', value_parser = directory, value_name = "URL")]
    directories: Vec<Directory>,
    /// The time zone whose calendar months are billed, by its IANA name, such as America/Phoenix.
    #[arg(long, env = "ROSTER_BILLING_TIME_ZONE", default_value = "UTC", value_name = "TZ")]
    billing_time_zone: Zone,
    /// What is logged, such as `debug` or `roster=debug,kube=info`.
    #[arg(long, env = "ROSTER_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
}

fn directory(text: &str) -> Result<Directory, DirectoryError> {
    Directory::open(text)
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    // A namespace's name is a DNS label, as a customer ID is.
    CustomerId::parse(text).map(|_| text.to_owned()).map_err(|_| "a namespace's name is a DNS label such as acme".to_owned())
}

/// Runs the operator until it is told to stop.
pub(super) fn run(shared: &Shared, arguments: Arguments) -> Result<(), Failure> {
    start_logging(&arguments.log)?;
    block_on(work(shared, arguments))
}

/// Logs to stderr: text for a terminal, JSON lines for everything else.
fn start_logging(filter: &str) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init()
    } else {
        logs.json().flatten_event(true).init()
    }
    Ok(())
}

async fn work(shared: &Shared, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { namespaces, listen, resync, transaction_deadline, directories, billing_time_zone, log: _ } = arguments;
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("can't listen on {listen}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    tokio::spawn(telemetry::serve(listener, metrics.clone(), health.clone()));

    let store = SqlStore::open(&shared.store).await?;
    let names: BTreeSet<String> = directories.iter().map(|directory| directory.name().to_owned()).collect();
    store.use_directories(&names, shared.clock().now()).await?;
    let config = Config::infer().await?;
    let (watching, writing) = (client(&config, WATCH_TIMEOUT)?, client(&config, WRITE_TIMEOUT)?);
    policies::report_missing(&writing).await;
    let signature = Signature { controller: "roster".to_owned(), instance: std::env::var("HOSTNAME").ok() };
    let hands = Hands {
        judge: Judge::new(writing.clone())?,
        courier: Courier::new(directories),
        reporter: Reporter::new(writing.clone(), Recorder::new(writing, signature)),
    };

    let (send_news, news) = mpsc::channel(NEWS);
    let scopes = watch_all(&watching, &namespaces, &send_news);
    let transaction_deadline = transaction_deadline.try_into()?;
    let settings =
        Settings { resync, transaction_deadline, clock: shared.clock(), directories: names, billing_zone: billing_time_zone };
    let pipeline = Pipeline::new(store, settings, scopes, metrics);
    operate(pipeline, hands, news, stop_signal()?, health).await;
    Ok(())
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
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop, finishing what is under way");
        // The receiver lives as long as the operator works.
        let _ = send.send(true);
    });
    Ok(receive)
}
