//! What an operator acquires before it reconciles: the Lease, or the lock on a store in a file; the
//! store; and its claim on the store.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::RunArgs;
use crate::backoff::ExponentialBackoff;
use crate::cli::Failure;
use crate::clock::Clock;
use crate::controller::StopReason;
use crate::controller::leader_election::{self, LeaderElector, Leadership, Look};
use crate::provisioning::Directory;
use crate::redact::chain;
use crate::redact::redact;
use crate::store::StoreError;
use crate::store::claims::{Claim, ClaimError, ClaimGrant, CommitPosition};
use crate::store::sql::{FileLock, SqlStore};
use crate::telemetry::{Health, Metrics};

/// The namespace whose uid identifies a cluster.
const CLUSTER: &str = "kube-system";

/// The file in which a pod reads its own namespace.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The namespace of the Lease for an operator outside a cluster.
const USUAL_NAMESPACE: &str = "roster-system";

/// How long an operator with overlapping namespaces or with other directories may still run: one
/// whose namespaces or directories changed gets its stop signal only once its successor is ready.
const REPLACEMENT: Duration = Duration::from_secs(60);

/// How long the holder of the Lease may take to claim the store before a replica that stands by
/// reports that it isn't ready: the holder doesn't work.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(60);

/// The delay before the first retry.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// The longest delay between retries while a server is unreachable.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How long the API server may take to return the uid of the cluster.
const ANSWER: Duration = Duration::from_secs(10);

/// How often a waiting operator feeds its liveness probe.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why an operator ends without a stop signal.
pub(super) enum RunError {
    /// It lost leadership or its claim.
    Deposed(StopReason),
    /// It can't start or go on.
    Failed(Failure),
}

impl From<StopReason> for RunError {
    fn from(why: StopReason) -> Self {
        Self::Deposed(why)
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<kube::Error> for RunError {
    fn from(error: kube::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What an operator starts with: its store, its claim, and the lock or Lease that it needs.
pub(super) struct Startup {
    store: String,
    claim: Claim,
    lease_namespace: String,
    pub(super) clock: Clock,
    /// The names of the directories that transactions wait for.
    pub(super) directories: BTreeSet<String>,
    /// The lock on a store in a file; a store in PostgreSQL has a Lease.
    sole: Option<FileLock>,
}

impl Startup {
    /// Reads the arguments, and locks a store in a file.
    ///
    /// # Errors
    /// When the store is in a file and has an operator already, or its address is none.
    pub(super) fn new(
        store: String,
        arguments: &RunArgs,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let holder = leader_election::holder(&host());
        let sole = FileLock::claim(&store, &holder)?;
        let directories: BTreeSet<String> =
            arguments.directories.iter().map(Directory::name).map(str::to_owned).collect();
        let claim = Claim {
            namespaces: arguments.namespaces.iter().cloned().collect(),
            holder,
            cluster: String::new(),
            known: CommitPosition::default(),
            accept_cluster: arguments.accept_cluster,
            // The lock proves that every other operator has ended.
            supersede: arguments.supersede || sole.is_some(),
            directories: Some(directories.clone()),
        };
        let lease_namespace = arguments.lease_namespace.clone().unwrap_or_else(own_namespace);
        Ok(Self { store, claim, lease_namespace, clock, directories, sole })
    }

    /// Waits until this operator is the leader.
    pub(super) async fn leadership(
        &self,
        client: Client,
        (health, metrics): (&Health, &Metrics),
    ) -> Leadership {
        if self.sole.is_some() {
            return Leadership::unelected();
        }
        let elector = LeaderElector::new(
            client,
            &self.lease_namespace,
            &self.claim.namespaces,
            &self.claim.holder,
        );
        let mut told = false;
        let looked = |look: Look| {
            let unclaimed = if let Look::Unclaimed(time) = look { time } else { Duration::ZERO };
            metrics.leader_unclaimed.set(i64::try_from(unclaimed.as_secs()).unwrap_or(i64::MAX));
            let led = unclaimed < CLAIM_TIMEOUT;
            if !led && !told {
                tracing::warn!(
                    seconds = unclaimed.as_secs(),
                    "nobody works: whoever holds the Lease hasn't claimed the store; if it isn't one of roster's operators, see who may edit Leases in its namespace"
                );
            }
            told = !led;
            health.stand_by(look != Look::Unanswered && led);
        };
        let leadership = elector.acquire(looked).await;
        metrics.leader_unclaimed.set(0);
        health.progress(false);
        leadership
    }

    /// Opens the store and claims it, retrying what may recover without a change.
    pub(super) async fn claim(
        &self,
        client: &Client,
        leadership: &Leadership,
        health: &Health,
    ) -> Result<SqlStore, RunError> {
        let mut claimed = Box::pin(self.claimed(client, leadership, health));
        loop {
            match timeout(HEARTBEAT, &mut claimed).await {
                Ok(claimed) => return claimed,
                Err(_) => health.lives(),
            }
        }
    }

    async fn claimed(
        &self,
        client: &Client,
        leadership: &Leadership,
        health: &Health,
    ) -> Result<SqlStore, RunError> {
        let claim = Claim {
            cluster: cluster(client).await,
            known: leadership.known(),
            ..self.claim.clone()
        };
        let (mut waiting, mut since) = (Retry::default(), None);
        loop {
            let error = match self.attempt(&claim).await {
                Ok((mut store, reign)) => {
                    store.tell_progress(leadership.progress());
                    tell(&claim, &reign);
                    return Ok(store);
                }
                Err(error) => error,
            };
            match error {
                ClaimError::Overlapping { .. } | ClaimError::OtherDirectories { .. }
                    if since.get_or_insert_with(Instant::now).elapsed() < REPLACEMENT =>
                {
                    health.stand_by(true);
                    waiting.after(&error.to_string(), MIN_WAIT).await;
                }
                ClaimError::Store(StoreError::Database(_)) if self.sole.is_none() => {
                    health.progress(false);
                    waiting.after(&chain(&error), MAX_WAIT).await;
                }
                ClaimError::Store(error @ StoreError::Superseded { .. }) => {
                    return Err(StopReason::Store(error).into());
                }
                error => return Err(RunError::Failed(error.into())),
            }
        }
    }

    async fn attempt(&self, claim: &Claim) -> Result<(SqlStore, ClaimGrant), ClaimError> {
        let mut store = SqlStore::open(&self.store).await?;
        let reign = store.claim(claim, self.clock.now()).await?;
        Ok((store, reign))
    }
}

fn tell(claim: &Claim, reign: &ClaimGrant) {
    if reign.known_was_ignored {
        tracing::warn!(
            known_epoch = claim.known.epoch,
            known_commits = claim.known.commits,
            "somebody edited the Lease: no operator of this store can have written this epoch, so it is ignored and overwritten; see who may edit Leases in its namespace"
        );
    }
    if let Some(absurd_epoch) = reign.absurd_epoch {
        tracing::warn!(
            absurd_epoch,
            epoch = reign.epoch,
            "the store had taken over an epoch from a Lease that somebody edited: epochs are counted anew"
        );
    }
    if reign.rolled_back {
        tracing::warn!(
            known_epoch = claim.known.epoch,
            known_commits = claim.known.commits,
            "the store was put back to an earlier time, or is another one: directories are brought everything again; `roster doctor` says what else is amiss"
        );
    }
    if let Some(former) = &reign.former_cluster {
        tracing::warn!(
            former,
            cluster = claim.cluster,
            "the store belonged to another cluster and belongs to this one from now on: leave --accept-cluster out from the next start on"
        );
    }
    tracing::info!(epoch = reign.epoch, holder = claim.holder, "claimed the store");
}

/// Backs off, and logs an error when it differs from the one before.
#[derive(Default)]
struct Retry {
    failing: Option<(String, ExponentialBackoff)>,
}

impl Retry {
    async fn after(&mut self, error: &str, at_most: Duration) {
        let same = self.failing.take().filter(|(before, _)| before == error);
        let (_, backoff) = self.failing.insert(same.unwrap_or_else(|| {
            tracing::error!(error, "startup failed, retrying");
            (error.to_owned(), ExponentialBackoff::new(MIN_WAIT, at_most))
        }));
        sleep(backoff.next_delay()).await;
    }
}

/// Returns the uid of this cluster, retrying until the API server returns it.
async fn cluster(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut waiting = Retry::default();
    loop {
        let error = match timeout(ANSWER, namespaces.get(CLUSTER)).await {
            Ok(Ok(namespace)) => match namespace.metadata.uid {
                Some(uid) => return uid,
                None => "it has no uid".to_owned(),
            },
            Ok(Err(error)) => redact(&error),
            Err(_) => format!("no answer within {ANSWER:?}"),
        };
        let error = format!(
            "the namespace {CLUSTER}, whose uid the cluster is known by, can't be read: {error}"
        );
        waiting.after(&error, MAX_WAIT).await;
    }
}

/// Returns the default namespace of the Lease: the pod's own, outside a cluster `roster-system`.
pub(in crate::cli) fn own_namespace() -> String {
    let own = std::fs::read_to_string(OWN_NAMESPACE).unwrap_or_default();
    let own = own.trim();
    if own.is_empty() { USUAL_NAMESPACE.to_owned() } else { own.to_owned() }
}

/// Returns the name of the pod, else of the host.
fn host() -> String {
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).or_else(of_kernel);
    named
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_waits_become_longer_and_begin_anew_when_something_else_is_wrong() {
        let mut waiting = Retry::default();
        for (error, seconds) in [
            ("away", 1),
            ("away", 2),
            ("away", 4),
            ("away", 8),
            ("away", 10),
            ("away", 10),
            ("refused", 1),
        ] {
            let begun = Instant::now();
            waiting.after(error, MAX_WAIT).await;
            assert_eq!(begun.elapsed().as_secs(), seconds, "{error}");
        }
    }
}
