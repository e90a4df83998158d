//! What many ask at the same time, put together into few requests.
//!
//! There is no timer: the first request goes at once, and those that arrive meanwhile go together.
//! A cancelled one is left out. What fails, or may fail, for being together is sent one by one, and
//! what takes long holds up no other batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::transport::URGENT;
use crate::provisioning::DirectoryError;

/// How long a batch may take. The requester gives up not much later, and a later result comes too
/// late.
const LONGEST_WORK: Duration = Duration::from_secs(20);

/// How long a batch holds up the next. One that takes longer goes on by itself.
const GIVES_WAY: Duration = Duration::from_millis(500);

/// The most batches of one kind that begin at once; more than one only where there is a whole batch
/// more.
const MAX_WORKERS: usize = 4;

/// A queue of questions of one kind. What waits in it isn't printed.
pub(super) struct RequestQueue<Q, A> {
    most: usize,
    workers: usize,
    is_urgent: bool,
    state: Mutex<State<Q, A>>,
}

struct State<Q, A> {
    waiting: VecDeque<(Q, Answer<A>)>,
    workers: usize,
}

type Answer<A> = oneshot::Sender<Result<A, DirectoryError>>;

pub(super) enum RequestOutcome<A> {
    /// Each question's answer, in its place.
    Answers(Vec<Result<A, DirectoryError>>),
    /// No outcome is known, which may be the fault of one request: each is sent alone.
    Split,
}

impl<Q: Clone + Send + 'static, A: Send + 'static> RequestQueue<Q, A> {
    /// Returns a queue whose batches have at most so many questions.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Self::with_workers(most, MAX_WORKERS, false)
    }

    /// Returns one for what takes rights away.
    pub(super) fn urgent(most: usize) -> Arc<Self> {
        Self::with_workers(most, MAX_WORKERS, true)
    }

    /// Returns a queue that has one batch under way at a time.
    pub(super) fn one_by_one(most: usize) -> Arc<Self> {
        Self::with_workers(most, 1, false)
    }

    fn with_workers(most: usize, workers: usize, is_urgent: bool) -> Arc<Self> {
        Arc::new(Self {
            most,
            workers,
            is_urgent,
            state: Mutex::new(State { waiting: VecDeque::new(), workers: 0 }),
        })
    }

    /// Asks, together with others; `work` answers a batch, or has it split where it is of several.
    pub(super) async fn ask<F, W>(
        self: &Arc<Self>,
        question: Q,
        work: F,
    ) -> Result<A, DirectoryError>
    where
        F: Fn(Vec<Q>) -> W + Send + Sync + 'static,
        W: Future<Output = RequestOutcome<A>> + Send,
    {
        let (sender, answer) = oneshot::channel();
        if self.put(question, sender) {
            let mut worker = Worker { queue: self.clone(), counts: true };
            let work = Arc::new(work);
            tokio::spawn(async move {
                // Requests that start at the same time join.
                tokio::task::yield_now().await;
                while let Some((questions, senders)) = worker.next_batch() {
                    let batch = worker.queue.clone().begin(questions, senders, work.clone());
                    if worker.queue.workers == 1 {
                        let _ = batch.await;
                    } else {
                        // What takes long goes on by itself.
                        let _ = tokio::time::timeout(GIVES_WAY, batch).await;
                    }
                }
            });
        }
        answer.await.unwrap_or(Err(DirectoryError::Timeout))
    }

    /// Begins a batch, which sends its answers itself.
    fn begin<F, W>(
        self: Arc<Self>,
        questions: Vec<Q>,
        mut senders: Vec<Answer<A>>,
        work: Arc<F>,
    ) -> JoinHandle<()>
    where
        F: Fn(Vec<Q>) -> W + Send + Sync + 'static,
        W: Future<Output = RequestOutcome<A>> + Send,
    {
        let is_urgent = self.is_urgent;
        tokio::spawn(URGENT.scope(is_urgent, async move {
            let nobody_waits = join_all(senders.iter_mut().map(oneshot::Sender::closed));
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(LONGEST_WORK, work(questions.clone())) => outcome.ok(),
                _ = nobody_waits => None,
            };
            match outcome {
                Some(RequestOutcome::Answers(answers)) => {
                    for (sender, answer) in senders.into_iter().zip(answers) {
                        let _ = sender.send(answer);
                    }
                }
                Some(RequestOutcome::Split) if questions.len() > 1 => {
                    for (question, sender) in questions.into_iter().zip(senders) {
                        drop(self.clone().begin(vec![question], vec![sender], work.clone()));
                    }
                }
                Some(RequestOutcome::Split) | None => {}
            }
        }))
    }

    /// Whether it takes another worker.
    fn put(&self, question: Q, sender: Answer<A>) -> bool {
        let mut state = self.lock();
        state.waiting.push_back((question, sender));
        let takes_another = state.workers == 0
            || (state.workers < self.workers && state.waiting.len() >= self.most);
        state.workers += usize::from(takes_another);
        takes_another
    }
}

impl<Q, A> RequestQueue<Q, A> {
    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> fmt::Debug for RequestQueue<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("most", &self.most).finish_non_exhaustive()
    }
}

/// A worker that takes batches; it counts until it is dropped.
struct Worker<Q, A> {
    queue: Arc<RequestQueue<Q, A>>,
    counts: bool,
}

impl<Q, A> Worker<Q, A> {
    /// Takes the next batch. Without one the worker ends, and the next request starts another.
    fn next_batch(&mut self) -> Option<(Vec<Q>, Vec<Answer<A>>)> {
        let mut state = self.queue.lock();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        let end = state.waiting.len().min(self.queue.most);
        if end == 0 {
            state.workers -= 1;
            self.counts = false;
            return None;
        }
        Some(state.waiting.drain(..end).unzip())
    }
}

impl<Q, A> Drop for Worker<Q, A> {
    fn drop(&mut self) {
        if self.counts {
            self.queue.lock().workers -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Default)]
    struct Batches(Mutex<Vec<Vec<u32>>>);

    impl Batches {
        async fn answer(
            self: Arc<Self>,
            gate: Arc<Semaphore>,
            questions: Vec<u32>,
        ) -> RequestOutcome<u32> {
            self.0.lock().unwrap().push(questions.clone());
            gate.acquire().await.unwrap().forget();
            RequestOutcome::Answers(
                questions.into_iter().map(|question| Ok(question * 2)).collect(),
            )
        }
    }

    fn ask(
        queue: &Arc<RequestQueue<u32, u32>>,
        batches: &Arc<Batches>,
        gate: &Arc<Semaphore>,
        question: u32,
    ) -> impl Future<Output = Result<u32, DirectoryError>> + use<> {
        let (queue, batches, gate) = (queue.clone(), batches.clone(), gate.clone());
        async move {
            queue
                .ask(question, move |questions| batches.clone().answer(gate.clone(), questions))
                .await
        }
    }

    #[tokio::test]
    async fn who_comes_at_the_same_time_goes_together_and_each_gets_their_own_answer() {
        let (queue, batches, gate) =
            (RequestQueue::new(25), Arc::new(Batches::default()), Arc::new(Semaphore::new(100)));
        let answers = join_all((0..60).map(|number| ask(&queue, &batches, &gate, number))).await;
        assert_eq!(answers, (0..60).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        let sizes: Vec<usize> = batches.0.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [25, 25, 10]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_left_out() {
        let (queue, batches, gate) = (
            RequestQueue::one_by_one(25),
            Arc::new(Batches::default()),
            Arc::new(Semaphore::new(0)),
        );
        let first = tokio::spawn(ask(&queue, &batches, &gate, 1));
        while batches.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let (second, third) = (
            tokio::spawn(ask(&queue, &batches, &gate, 2)),
            tokio::spawn(ask(&queue, &batches, &gate, 3)),
        );
        while queue.lock().waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.is_err());
        gate.add_permits(10);
        assert_eq!((first.await.unwrap(), third.await.unwrap()), (Ok(2), Ok(6)));
        assert_eq!(*batches.0.lock().unwrap(), [vec![1], vec![3]]);
    }

    #[tokio::test]
    async fn work_that_fails_badly_leaves_room_for_the_next() {
        let queue = RequestQueue::<u32, u32>::one_by_one(25);
        let panics = |questions: Vec<u32>| async move {
            if questions[0] == 1 { panic!("badly") } else { RequestOutcome::Answers(vec![Ok(7)]) }
        };
        assert_eq!(queue.ask(1, panics).await, Err(DirectoryError::Timeout));
        assert_eq!(queue.ask(2, panics).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_holds_up_no_other_batch() {
        let queue = RequestQueue::<u32, u32>::new(2);
        let work = |questions: Vec<u32>| async move {
            if questions.contains(&0) {
                std::future::pending::<()>().await;
            }
            RequestOutcome::Answers(questions.into_iter().map(Ok).collect())
        };
        let begun = tokio::time::Instant::now();
        let stuck: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn({
                    let queue = queue.clone();
                    async move { queue.ask(0, work).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(queue.ask(1, work).await, Ok(1));
        assert!(begun.elapsed() < GIVES_WAY * 2, "{:?}", begun.elapsed());
        assert!(stuck.iter().all(|one| !one.is_finished()));
    }

    #[tokio::test]
    async fn what_fails_together_is_asked_one_by_one_and_whoever_fails_then_does_so_alone() {
        let queue = RequestQueue::<u32, u32>::new(25);
        let work = |questions: Vec<u32>| async move {
            match questions[..] {
                [0] => RequestOutcome::Answers(vec![Err(DirectoryError::Conflict)]),
                _ if questions.contains(&0) => RequestOutcome::Split,
                _ => RequestOutcome::Answers(questions.into_iter().map(Ok).collect()),
            }
        };
        let answers = join_all((0..5).map(|number| queue.ask(number, work))).await;
        assert_eq!(answers, [Err(DirectoryError::Conflict), Ok(1), Ok(2), Ok(3), Ok(4)]);
    }
}
