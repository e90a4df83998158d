//! Effects on Kubernetes: the loop around the pipeline observe -> decide -> commit -> report.
//!
//! One task owns the [`Pipeline`], so nothing is locked. Writes to the API server are under way
//! while the next group is committed, and their answers come back like news.

pub mod billing_periods;
pub mod cache;
pub mod clocks;
pub mod leader_election;
pub mod list_watch;
pub mod object_writer;
pub mod observe;
pub mod passwords;
pub mod policies;
pub mod reconciler;
mod round_budget;
pub mod user_list;
pub mod watches;
pub mod workqueue;

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::watch as signal;
use tokio::time::{Instant, MissedTickBehavior};

use self::leader_election::{Lost, Tenure};
use self::list_watch::Watches;
use self::object_writer::Reporter;
use self::passwords::Judge;
use self::reconciler::Pipeline;
use self::watches::News;
use crate::provisioning::worker::Courier;
use crate::store::{Store, StoreError};
use crate::telemetry::Health;

/// How many pieces of news are taken in before anything else is done.
const NEWS_AT_ONCE: usize = 1024;

/// How often the store is asked whether members changed something of themselves.
const MEMBERS_SEEN: Duration = Duration::from_secs(2);

/// How often the loop says that it isn't stuck: it waits for the store, and each call of the store
/// ends.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long it may wait for that before it counts as stuck after all. Each statement has seconds,
/// and of those a round has many.
const LONGEST_ROUND: Duration = Duration::from_secs(600);

/// How long the last writes may take when the operator is told to stop.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// How long they may take where another waits to take over, which then makes those that are left.
const LAST_WRITES_BEFORE_A_SUCCESSOR: Duration = Duration::from_secs(1);

/// Those who act on the world for the loop, and hand back what became of it.
pub struct Hands {
    /// Writes to Kubernetes.
    pub reporter: Reporter,
    /// Judges passwords.
    pub judge: Judge,
    /// Brings directories up to date.
    pub courier: Courier,
    /// Has everything listed anew.
    pub watches: Watches,
}

/// Why an operator may not work any more. It has stopped at once, and told nobody.
#[derive(Debug, thiserror::Error)]
pub enum Deposed {
    /// By the Lease.
    #[error(transparent)]
    Lease(#[from] Lost),
    /// By the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Works until it is told to stop, then finishes the writes that are under way. Returns the store.
///
/// # Errors
/// When its tenure ends, or the store says that another operator has taken over.
pub async fn operate<S: Store>(
    pipeline: Pipeline<S>,
    hands: Hands,
    news: Receiver<News>,
    stop: signal::Receiver<bool>,
    (tenure, health): (&Tenure, &Health),
) -> Result<S, Deposed> {
    tokio::select! {
        biased;
        lost = tenure.lost() => Err(lost.into()),
        // What is under way ends with it: tasks that have begun a write are aborted.
        end = Box::pin(work(pipeline, hands, news, stop, (tenure, health))) => end,
    }
}

async fn work<S: Store>(
    mut pipeline: Pipeline<S>,
    hands: Hands,
    mut news: Receiver<News>,
    mut stop: signal::Receiver<bool>,
    (tenure, health): (&Tenure, &Health),
) -> Result<S, Deposed> {
    let Hands { mut reporter, mut judge, mut courier, watches } = hands;
    let mut members = tokio::time::interval(MEMBERS_SEEN);
    members.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    while tenure.stands() {
        pipeline.writes().into_iter().for_each(|write| reporter.send(write));
        pipeline.questions().into_iter().for_each(|(key, question)| judge.ask(key, question));
        alive(health, pipeline.deliveries())
            .await
            .into_iter()
            .for_each(|delivery| courier.send(delivery));
        alive(health, pipeline.take_tidying()).await.iter().for_each(|groups| courier.tidy(groups));
        if let Some(error) = pipeline.take_superseded() {
            return Err(error.into());
        }
        pipeline.take_relist().into_iter().for_each(|why| watches.relist(why));
        health.progress(pipeline.is_up_to_date());
        tokio::select! {
            _ = stop.changed() => return finish(pipeline, reporter, tenure).await,
            (key, answer) = reporter.answer() => {
                watches.observe(key.kind, answer.version());
                pipeline.take_answer(key, answer);
            }
            (key, question, verdict) = judge.verdict() => pipeline.take_verdict(&key, question, verdict),
            (directory, entry, answer) = courier.answer() => {
                pipeline.take_delivery(&directory, &entry, answer);
                // The store is asked once for all that there is room for now.
                for (directory, entry, answer) in courier.answers() {
                    pipeline.take_delivery(&directory, &entry, answer);
                }
            }
            Some(item) = news.recv() => {
                pipeline.take_news(item);
                // Whoever lists faster than this is taken in isn't to hold up the rounds.
                for item in std::iter::from_fn(|| news.try_recv().ok()).take(NEWS_AT_ONCE) {
                    pipeline.take_news(item);
                }
            }
            () = until(pipeline.errands_due()) => {}
            () = until(pipeline.round_due()) => health.store_answered(alive(health, pipeline.round()).await),
            () = until(Some(pipeline.months_due())) => alive(health, pipeline.close_months()).await,
            _ = heartbeat.tick() => {}
            _ = members.tick() => alive(health, pipeline.see_members()).await,
        }
        if let Some(error) = pipeline.take_superseded() {
            return Err(error.into());
        }
    }
    Err(tenure.lost().await.into())
}

async fn finish<S: Store>(
    mut pipeline: Pipeline<S>,
    mut reporter: Reporter,
    tenure: &Tenure,
) -> Result<S, Deposed> {
    let patience =
        if tenure.has_successors() { LAST_WRITES_BEFORE_A_SUCCESSOR } else { LAST_WRITES };
    let last = Instant::now() + patience;
    while !pipeline.everything_is_told() && Instant::now() < last && tenure.stands() {
        pipeline.writes().into_iter().for_each(|write| reporter.send(write));
        tokio::select! {
            () = until(Some(last)) => {}
            () = until(pipeline.writes_due()) => {}
            (key, answer) = reporter.answer() => pipeline.take_answer(key, answer),
        }
    }
    tracing::info!("stopped");
    Ok(pipeline.into_store())
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
    let stuck = Instant::now() + LONGEST_ROUND;
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
