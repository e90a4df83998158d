//! Which of several replicas works: the one that holds a Lease and renews it.
//!
//! Clocks of machines differ, so no replica compares a time in a Lease with its clock: a candidate
//! measures how long the Lease hasn't changed, and the holder how long it hasn't been renewed. A
//! Lease keeps two replicas from working at once as long as both check their clocks before each
//! step; for a step that was begun before a pause and ends after it, the store checks the epoch.
//!
//! Every client that may edit Leases in the namespace may write anything into this one, so nothing
//! in it is trusted: an unrenewed Lease is taken after this operator's own duration, whatever the
//! Lease has, and the store bounds the numbers in its annotations before it uses them.

mod lease;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use self::lease::{
    CLAIMED_BY, COMMITS, EPOCH, LeaseIdentity, ObservedLease, Unclaimed, bare, let_go_of,
};
pub use self::lease::{Look, holder, holder_of, lease_name, progress_of, shown};
use crate::backoff::jitter;
use crate::clock::Clock;
use crate::redact::redact;
use crate::store::claims::CommitPosition;

/// How often a Lease is read again at once, after another client wrote to it.
const LOOKS_AT_ONCE: usize = 3;

/// By how much candidates' intervals differ, so that they don't all read at once.
const SPREAD: Range<f64> = 0.8..1.2;

/// How often is looked and renewed, and how long is waited.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimings {
    /// How long a Lease that isn't renewed keeps others away; written into it in whole seconds.
    pub duration: Duration,
    /// How often the holder renews.
    pub renewal: Duration,
    /// When a holder that couldn't renew ends, since it last began to: before others may come.
    pub deadline: Duration,
    /// About how often candidates read the Lease.
    pub look: Duration,
    /// How long a request may take.
    pub patience: Duration,
}

impl Default for LeaseTimings {
    fn default() -> Self {
        let [duration, renewal, deadline, look, patience] =
            [10, 2, 7, 1, 3].map(Duration::from_secs);
        Self { duration, renewal, deadline, look, patience }
    }
}

/// Why a holder isn't one any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeadershipLost {
    /// It couldn't renew in time: others may have taken it.
    #[error("the Lease wasn't renewed in time")]
    Late,
    /// Another has it.
    #[error("{0} has taken the Lease")]
    Taken(String),
    /// Another client took it away.
    #[error("somebody has emptied the Lease")]
    Emptied,
}

#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("no answer within {0:?}")]
    Silence(Duration),
    #[error("somebody else writes to it all the time")]
    Contended,
    #[error("{}", redact(.0))]
    Api(#[from] kube::Error),
}

impl LeaseError {
    fn is(&self, code: u16) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == code)
    }

    /// Whether the API server may have refused what is written on the Lease, such as more than
    /// there is room for; what etcd finds too large is a 500.
    fn may_be_about_content(&self) -> bool {
        [413, 422, 500].iter().any(|code| self.is(*code))
    }
}

/// Waits for a Lease.
#[derive(Clone)]
pub struct LeaderElector {
    leases: Api<Lease>,
    candidate: LeaseIdentity,
    rhythm: LeaseTimings,
}

impl LeaderElector {
    /// Returns an elector on the Lease of these namespaces, which is itself in the namespace
    /// `place`.
    #[must_use]
    pub fn new(client: Client, place: &str, namespaces: &BTreeSet<String>, holder: &str) -> Self {
        let rhythm = LeaseTimings::default();
        let candidate = LeaseIdentity {
            name: lease_name(namespaces),
            holder: holder.to_owned(),
            namespaces: namespaces.clone(),
            duration: rhythm.duration,
        };
        Self { leases: Api::namespaced(client, place), candidate, rhythm }
    }

    /// Returns the same elector in another rhythm.
    #[must_use]
    pub fn with_timings(self, rhythm: LeaseTimings) -> Self {
        Self {
            candidate: LeaseIdentity { duration: rhythm.duration, ..self.candidate },
            rhythm,
            ..self
        }
    }

    /// Waits until the Lease is free and takes it; it is renewed from then on. Reports each attempt
    /// in vain.
    pub async fn acquire(&self, mut looked: impl FnMut(Look)) -> Leadership {
        let (mut seen, mut said, mut unclaimed) = (None, None, Unclaimed::default());
        loop {
            let (heard, say) = match self.attempt(&mut seen).await {
                Ok(Some((lease, begun))) => return self.keep(lease, begun),
                Ok(None) => (
                    true,
                    seen.as_ref()
                        .and_then(|seen: &ObservedLease| holder_of(&seen.lease))
                        .map(shown),
                ),
                Err(problem) => (false, Some(problem.to_string())),
            };
            let lease = seen.as_ref().map(|seen| &seen.lease);
            looked(if heard { unclaimed.look(lease, Instant::now()) } else { Look::Unanswered });
            if say != said {
                let lease = &self.candidate.name;
                match &say {
                    Some(holder) if heard => {
                        tracing::info!(lease, holder, "standing by: another operator has the Lease")
                    }
                    Some(error) => {
                        tracing::warn!(lease, error, "leader lease read failed, retrying")
                    }
                    None => {}
                }
                said = say;
            }
            sleep(jitter(self.rhythm.look, SPREAD)).await;
        }
    }

    /// Reads the Lease, and takes it if it is free. Returns it as it was taken, and when taking it
    /// began.
    async fn attempt(
        &self,
        seen: &mut Option<ObservedLease>,
    ) -> Result<Option<(Lease, Instant)>, LeaseError> {
        let found = self.asked(self.leases.get_opt(&self.candidate.name)).await?;
        let begun = Instant::now();
        *seen = found.map(|lease| ObservedLease::after(seen.take(), lease, begun));
        if seen
            .as_ref()
            .is_some_and(|seen| !seen.is_free(&self.candidate.holder, self.rhythm.duration, begun))
        {
            return Ok(None);
        }
        match self.write(seen.as_ref().map(|seen| &seen.lease)).await {
            Ok(lease) => Ok(Some((lease, begun))),
            Err(problem) if problem.is(409) => Ok(None),
            // It went meanwhile; of a Lease that is new, it is the namespace that isn't there.
            Err(problem) if problem.is(404) && seen.is_some() => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Writes the Lease as this candidate's, unless another client wrote to it since it was read.
    async fn write(&self, lease: Option<&Lease>) -> Result<Lease, LeaseError> {
        let held = self.candidate.holding(lease, Clock::SYSTEM.now());
        let (name, parameters) = (&self.candidate.name, PostParams::default());
        if lease.is_none() {
            return self.asked(self.leases.create(&parameters, &held)).await;
        }
        match self.asked(self.leases.replace(name, &parameters, &held)).await {
            Err(problem) if problem.may_be_about_content() => {
                self.asked(self.leases.replace(name, &parameters, &bare(&held))).await
            }
            written => written,
        }
    }

    async fn asked<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, LeaseError> {
        timeout(self.rhythm.patience, request)
            .await
            .map_err(|_| LeaseError::Silence(self.rhythm.patience))?
            .map_err(LeaseError::Api)
    }

    /// Renews a Lease that was taken, in a task of its own.
    fn keep(&self, lease: Lease, begun: Instant) -> Leadership {
        let until = begun + self.rhythm.deadline;
        tracing::info!(
            lease = self.candidate.name,
            holder = self.candidate.holder,
            "acquired leader lease"
        );
        let (announce, standing) = watch::channel(LeaseState::Until(until));
        let (let_go, asked) = oneshot::channel();
        let (progress, noted) = watch::channel(progress_of(&lease));
        let keeper =
            LeaseRenewer { elector: self.clone(), lease, until, announce, progress: noted };
        Leadership {
            lease: Some(HeldLease {
                standing,
                let_go,
                progress,
                keeper: tokio::spawn(keeper.keep(begun, asked)),
            }),
        }
    }
}

/// How it stands with a Lease that was taken.
#[derive(Clone, Debug)]
enum LeaseState {
    /// It is held until then, unless it is renewed.
    Until(Instant),
    Lost(LeadershipLost),
}

struct LeaseRenewer {
    elector: LeaderElector,
    lease: Lease,
    /// When it is lost unless it is renewed.
    until: Instant,
    announce: watch::Sender<LeaseState>,
    /// The holder's progress, which is written to the Lease.
    progress: watch::Receiver<CommitPosition>,
}

impl LeaseRenewer {
    /// Renews until the Lease is lost or released; if the leadership is dropped, lets it expire.
    async fn keep(mut self, mut begun: Instant, mut asked: oneshot::Receiver<()>) {
        let mut next = begun + self.elector.rhythm.renewal;
        loop {
            let until = self.until;
            let renewed = async {
                sleep_until(next.min(until)).await;
                // After a pause the time may be over before anything was tried.
                if until <= Instant::now() {
                    return Ok(Some(LeadershipLost::Late));
                }
                begun = Instant::now();
                timeout_at(until, self.renew()).await.unwrap_or(Ok(Some(LeadershipLost::Late)))
            };
            let renewed = tokio::select! {
                biased;
                asked = &mut asked => return if asked.is_ok() { self.release().await },
                renewed = renewed => renewed,
            };
            let lost = match renewed {
                _ if until <= Instant::now() => Some(LeadershipLost::Late),
                Ok(None) => {
                    self.until = begun + self.elector.rhythm.deadline;
                    next = begun + self.elector.rhythm.renewal;
                    None
                }
                Ok(lost) => lost,
                Err(problem) => {
                    tracing::warn!(error = %problem, "leader lease renewal failed, retrying");
                    next = Instant::now() + jitter(self.elector.rhythm.look, SPREAD);
                    None
                }
            };
            let standing = lost.clone().map_or(LeaseState::Until(self.until), LeaseState::Lost);
            if self.announce.send(standing).is_err() || lost.is_some() {
                return;
            }
        }
    }

    /// Renews the Lease. Returns why it is lost, where it is.
    async fn renew(&mut self) -> Result<Option<LeadershipLost>, LeaseError> {
        let mut there = true;
        for _ in 0..LOOKS_AT_ONCE {
            self.note_progress();
            match self.elector.write(there.then_some(&self.lease)).await {
                Ok(lease) => {
                    self.lease = lease;
                    return Ok(None);
                }
                Err(problem) if problem.is(409) || (problem.is(404) && there) => {}
                Err(problem) => return Err(problem),
            }
            // Another client wrote to it, or it was deleted, or an answer got lost.
            let found = self
                .elector
                .asked(self.elector.leases.get_opt(&self.elector.candidate.name))
                .await?;
            there = found.is_some();
            let Some(lease) = found else { continue };
            match holder_of(&lease) {
                Some(holder) if holder == self.elector.candidate.holder => self.lease = lease,
                Some(holder) => return Ok(Some(LeadershipLost::Taken(shown(holder)))),
                None => return Ok(Some(LeadershipLost::Emptied)),
            }
        }
        Err(LeaseError::Contended)
    }

    fn note_progress(&mut self) {
        let progress = *self.progress.borrow();
        // Also where the Lease names more: only its holder knows, so that was written by another
        // client.
        if progress != progress_of(&self.lease) {
            let annotations = self.lease.metadata.annotations.get_or_insert_default();
            annotations.insert(EPOCH.to_owned(), progress.epoch.to_string());
            annotations.insert(COMMITS.to_owned(), progress.commits.to_string());
        }
        // The holder's progress is known from its claim in the store on.
        let has_claimed = self.progress.has_changed().unwrap_or(false);
        if has_claimed {
            let annotations = self.lease.metadata.annotations.get_or_insert_default();
            annotations.insert(CLAIMED_BY.to_owned(), self.elector.candidate.holder.clone());
        }
    }

    /// Empties the Lease, so that another may take it at once; where that fails, it expires.
    async fn release(mut self) {
        let (name, parameters) = (self.elector.candidate.name.clone(), PostParams::default());
        let name = &name;
        let emptied = timeout(self.elector.rhythm.patience, async {
            for _ in 0..LOOKS_AT_ONCE {
                self.note_progress();
                let free = let_go_of(&self.lease, Clock::SYSTEM.now());
                match self.elector.leases.replace(name, &parameters, &free).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    outcome => return outcome.map(drop),
                }
                // A renewal that was under way was done all the same.
                match self.elector.leases.get_opt(name).await? {
                    Some(lease) if holder_of(&lease) == Some(&self.elector.candidate.holder) => {
                        self.lease = lease
                    }
                    _ => return Ok(()),
                }
            }
            Ok(())
        });
        match emptied.await {
            Ok(Ok(())) => tracing::info!(lease = name, "released leader lease"),
            Ok(Err(error)) => tracing::warn!(
                error = redact(&error),
                "leader lease release failed, it expires by itself"
            ),
            Err(_) => {
                tracing::warn!("leader lease release timed out, it expires by itself")
            }
        }
    }
}

/// The right to work, until it is released or lost.
pub struct Leadership {
    lease: Option<HeldLease>,
}

struct HeldLease {
    standing: watch::Receiver<LeaseState>,
    let_go: oneshot::Sender<()>,
    progress: watch::Sender<CommitPosition>,
    keeper: JoinHandle<()>,
}

impl Leadership {
    /// Returns the right to work of the only operator that there can be.
    #[must_use]
    pub fn unelected() -> Self {
        Self { lease: None }
    }

    /// Whether others wait to take over.
    #[must_use]
    pub fn has_successors(&self) -> bool {
        self.lease.is_some()
    }

    /// Returns how far the holders of the Lease came, as they noted on it.
    #[must_use]
    pub fn known(&self) -> CommitPosition {
        self.lease.as_ref().map_or_else(CommitPosition::default, |lease| *lease.progress.borrow())
    }

    /// Returns where to report the holder's progress, which is written to the Lease with each
    /// renewal and when it is released.
    #[must_use]
    pub fn progress(&self) -> watch::Sender<CommitPosition> {
        self.lease.as_ref().map_or_else(watch::Sender::default, |lease| lease.progress.clone())
    }

    /// Whether it lasts at this moment: checked before each step, so that a replica that was paused
    /// takes no further step.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| match &*lease.standing.borrow() {
            LeaseState::Until(until) => Instant::now() < *until,
            LeaseState::Lost(_) => false,
        })
    }

    /// Waits until it is lost.
    pub async fn lost(&self) -> LeadershipLost {
        let Some(lease) = &self.lease else { return std::future::pending().await };
        let mut standing = lease.standing.clone();
        loop {
            let until = match &*standing.borrow_and_update() {
                LeaseState::Lost(why) => return why.clone(),
                LeaseState::Until(until) => *until,
            };
            if until <= Instant::now() {
                return LeadershipLost::Late;
            }
            if let Ok(Err(_)) = timeout_at(until, standing.changed()).await {
                // The renewal has ended.
                sleep_until(until).await;
            }
        }
    }

    /// Lets go of it, so that another may work at once.
    pub async fn release_lease(self) {
        let Some(HeldLease { standing: _, let_go, progress: _, keeper }) = self.lease else {
            return;
        };
        // If the renewal has ended, there is nothing to release.
        if let_go.send(()).is_ok() && keeper.await.is_err() {
            tracing::error!("leader lease was not released, it expires by itself");
        }
    }
}

#[cfg(test)]
mod tests;
