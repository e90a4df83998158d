//! Effects on Kubernetes: the loop around the reconciler observe -> decide -> commit -> report.
//!
//! One task owns the [`Reconciler`], so nothing is locked. Writes to the API server are under way
//! while the next group is committed, and their answers come back like news.

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

/// How many pieces of news are taken in before anything else is done.
const NEWS_AT_ONCE: usize = 1024;

/// How often the store is asked whether members changed something of themselves.
const SELF_SERVICE_POLL: Duration = Duration::from_secs(2);

/// How often the loop says that it isn't stuck: it waits for the store, and each call of the store
/// ends.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long it may wait for that before it counts as stuck after all. Each statement has seconds,
/// and of those a round has many.
const ROUND_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the last writes may take when the operator is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long they may take where another waits to take over, which then makes those that are left.
const HANDOVER_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Those who act on the cache for the loop, and hand back what became of it.
pub struct Executors {
    /// Writes to Kubernetes.
    pub writer: ObjectWriter,
    /// Judges passwords.
    pub verifier: PasswordVerifier,
    /// Brings directories up to date.
    pub worker: ProvisioningWorker,
    /// Has everything listed anew.
    pub watches: Watches,
}

/// Why an operator may not work any more. It has stopped at once, and told nobody.
#[derive(Debug, thiserror::Error)]
pub enum StopReason {
    /// By the Lease.
    #[error(transparent)]
    Lease(#[from] LeadershipLost),
    /// By the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Works until it is told to stop, then finishes the writes that are under way. Returns the store.
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
                // The store is asked once for all that there is room for now.
                for (directory, entry, answer) in worker.answers() {
                    reconciler.on_provisioned(&directory, &entry, answer);
                }
            }
            Some(item) = news.recv() => {
                reconciler.apply_event(item);
                // Whoever lists faster than this is taken in isn't to hold up the rounds.
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

/// Waits for the store. A store that is slow isn't a loop that is stuck: nothing would be better
/// for a restart.
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
