//! The event loop around the reconciler: it receives events, runs rounds, and sends writes.
//!
//! One task owns the [`Reconciler`], so there are no locks. Writes to the API server run while the
//! next batch is committed, and their results come back as events.

pub mod billing_periods;
pub mod cache;
pub mod clocks;
pub mod cluster_event;
pub mod leader_election;
pub mod list_sync;
pub mod list_watch;
pub mod object_writer;
pub mod observe;
pub mod passwords;
pub mod policies;
pub mod reconciler;
mod round_budget;
pub mod user_list;
pub mod watches;

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::watch as signal;
use tokio::time::{Instant, MissedTickBehavior};

use self::cluster_event::ClusterEvent;
use self::leader_election::{Leadership, LeadershipLost};
use self::list_watch::Watches;
use self::object_writer::ObjectWriter;
use self::passwords::PasswordVerifier;
use self::reconciler::Reconciler;
use crate::provisioning::worker::ProvisioningWorker;
use crate::store::{Store, StoreError};
use crate::telemetry::Health;

/// How many events are applied before the loop does anything else.
const NEWS_AT_ONCE: usize = 1024;

const SELF_SERVICE_POLL: Duration = Duration::from_secs(2);

/// How often the loop reports that it is alive while it waits for the store.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long it may wait for the store before it counts as stuck after all. A statement may take
/// seconds, and a round has many.
const ROUND_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the last writes may take when the operator shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where another replica waits to take over, which makes the writes that are left.
const HANDOVER_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Tasks outside the loop that write to Kubernetes and directories and check passwords; each
/// returns its results to the loop.
pub struct Executors {
    /// Sends writes to the API server.
    pub writer: ObjectWriter,
    /// Checks passwords in Secrets.
    pub verifier: PasswordVerifier,
    /// Sends entries to directories.
    pub worker: ProvisioningWorker,
    /// Starts new lists.
    pub watches: Watches,
}

/// Why an operator must stop at once, without a last status write.
#[derive(Debug, thiserror::Error)]
pub enum StopReason {
    /// It lost the Lease.
    #[error(transparent)]
    Lease(#[from] LeadershipLost),
    /// The store refuses its claim, or can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until the stop signal, then finishes the pending writes. Returns the store.
///
/// # Errors
/// When its leadership ends, or the store says that another operator has taken over.
pub async fn run<S: Store>(
    reconciler: Reconciler<S>,
    executors: Executors,
    news: Receiver<ClusterEvent>,
    stop: signal::Receiver<bool>,
    (leadership, health): (&Leadership, &Health),
) -> Result<S, StopReason> {
    tokio::select! {
        biased;
        lost = leadership.lost() => Err(lost.into()),
        // What is under way ends with it: tasks that have begun a write are aborted.
        end = Box::pin(event_loop(reconciler, executors, news, stop, (leadership, health))) => end,
    }
}

async fn event_loop<S: Store>(
    mut reconciler: Reconciler<S>,
    executors: Executors,
    mut news: Receiver<ClusterEvent>,
    mut stop: signal::Receiver<bool>,
    (leadership, health): (&Leadership, &Health),
) -> Result<S, StopReason> {
    let Executors { mut writer, mut verifier, mut worker, watches } = executors;
    let mut members = tokio::time::interval(SELF_SERVICE_POLL);
    members.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    while leadership.is_current() {
        reconciler.writes().into_iter().for_each(|write| writer.send(write));
        reconciler
            .password_checks()
            .into_iter()
            .for_each(|(key, question)| verifier.ask(key, question));
        alive(health, reconciler.provisioning_tasks())
            .await
            .into_iter()
            .for_each(|delivery| worker.send(delivery));
        alive(health, reconciler.take_group_cleanup())
            .await
            .iter()
            .for_each(|groups| worker.clean_up_groups(groups));
        if let Some(error) = reconciler.take_superseded() {
            return Err(error.into());
        }
        reconciler.take_relist().into_iter().for_each(|why| watches.relist(why));
        health.progress(reconciler.is_up_to_date());
        tokio::select! {
            _ = stop.changed() => return drain(reconciler, writer, leadership).await,
            (key, answer) = writer.answer() => {
                watches.observe(key.kind, answer.version());
                reconciler.on_write_result(key, answer);
            }
            (key, question, verdict) = verifier.verdict() => reconciler.on_password_checked(&key, question, verdict),
            (directory, entry, answer) = worker.answer() => {
                reconciler.on_provisioned(&directory, &entry, answer);
                // All answers that are there are handled before the next tasks: their claim is
                // checked once.
                for (directory, entry, answer) in worker.answers() {
                    reconciler.on_provisioned(&directory, &entry, answer);
                }
            }
            Some(item) = news.recv() => {
                reconciler.apply_event(item);
                // Lists that arrive faster than they are applied must not hold up the rounds.
                for item in std::iter::from_fn(|| news.try_recv().ok()).take(NEWS_AT_ONCE) {
                    reconciler.apply_event(item);
                }
            }
            () = until(reconciler.next_work_due()) => {}
            () = until(reconciler.round_due()) => health.store_answered(alive(health, reconciler.run_once()).await),
            () = until(Some(reconciler.period_close_due())) => alive(health, reconciler.close_periods()).await,
            _ = heartbeat.tick() => {}
            _ = members.tick() => alive(health, reconciler.poll_self_service()).await,
        }
        if let Some(error) = reconciler.take_superseded() {
            return Err(error.into());
        }
    }
    Err(leadership.lost().await.into())
}

async fn drain<S: Store>(
    mut reconciler: Reconciler<S>,
    mut writer: ObjectWriter,
    leadership: &Leadership,
) -> Result<S, StopReason> {
    let patience = if leadership.has_successors() { HANDOVER_DRAIN_TIMEOUT } else { DRAIN_TIMEOUT };
    let last = Instant::now() + patience;
    while !reconciler.is_drained() && Instant::now() < last && leadership.is_current() {
        reconciler.writes().into_iter().for_each(|write| writer.send(write));
        tokio::select! {
            () = until(Some(last)) => {}
            () = until(reconciler.writes_due()) => {}
            (key, answer) = writer.answer() => reconciler.on_write_result(key, answer),
        }
    }
    tracing::info!("stopped");
    Ok(reconciler.into_store())
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for the store, and reports meanwhile that the loop is alive: a restart doesn't help
/// against a slow store.
async fn alive<T>(health: &Health, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let stuck = Instant::now() + ROUND_TIMEOUT;
    loop {
        match tokio::time::timeout(HEARTBEAT, &mut work).await {
            Ok(done) => return done,
            Err(_) if Instant::now() < stuck => health.lives(),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_operator_whose_store_is_slow_is_alive_and_one_that_is_stuck_is_not() {
        let health = Health::default();
        let looks = async {
            for minutes in 1..30 {
                tokio::time::sleep(Duration::from_secs(60)).await;
                assert_eq!(health.is_alive(), minutes < 11, "after {minutes} minutes");
            }
        };
        let slow = alive(&health, tokio::time::sleep(Duration::from_secs(29 * 60)));
        tokio::join!(slow, looks);
        assert!(!health.is_alive());
        let slow = alive(&health, tokio::time::sleep(Duration::from_secs(300)));
        slow.await;
        assert!(health.is_alive());
    }
}
