//! What many ask at the same time, put together into few requests.
//!
//! There is no timer: whoever comes first goes at once, and who comes meanwhile goes together. What nobody waits for any
//! more is left out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::directory::DirectoryError;

/// The most batches of one kind that are under way at once; more than one only where there is a whole batch more.
const MOST_WORKERS: usize = 4;

/// A queue of questions of one kind.
#[derive(Debug)]
pub(super) struct Queue<Q, A> {
    most: usize,
    workers: usize,
    state: Mutex<State<Q, A>>,
}

#[derive(Debug)]
struct State<Q, A> {
    waiting: VecDeque<(Q, Answer<A>)>,
    workers: usize,
}

/// Where the answer to a question goes.
type Answer<A> = oneshot::Sender<Result<A, DirectoryError>>;

impl<Q: Send + 'static, A: Send + 'static> Queue<Q, A> {
    /// Returns a queue whose batches have at most so many questions.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Self::with_workers(most, MOST_WORKERS)
    }

    /// Returns a queue that has one batch under way at a time.
    pub(super) fn one_by_one(most: usize) -> Arc<Self> {
        Self::with_workers(most, 1)
    }

    fn with_workers(most: usize, workers: usize) -> Arc<Self> {
        Arc::new(Self { most, workers, state: Mutex::new(State { waiting: VecDeque::new(), workers: 0 }) })
    }

    /// Asks, together with others; `work` answers a batch, each question in its place.
    ///
    /// # Errors
    /// Those of the answer.
    pub(super) async fn ask<F, W>(self: &Arc<Self>, question: Q, work: F) -> Result<A, DirectoryError>
    where
        F: Fn(Vec<Q>) -> W + Send + 'static,
        W: Future<Output = Vec<Result<A, DirectoryError>>> + Send,
    {
        let (sender, answer) = oneshot::channel();
        if self.put(question, sender) {
            let mut worker = Worker { queue: self.clone(), counts: true };
            tokio::spawn(async move {
                // Who starts at the same time comes along.
                tokio::task::yield_now().await;
                while let Some((questions, senders)) = worker.next_batch() {
                    for (sender, answer) in senders.into_iter().zip(work(questions).await) {
                        let _ = sender.send(answer);
                    }
                }
            });
        }
        answer.await.unwrap_or(Err(DirectoryError::Silent))
    }

    /// Whether it takes another worker.
    fn put(&self, question: Q, sender: Answer<A>) -> bool {
        let mut state = self.lock();
        state.waiting.push_back((question, sender));
        let takes_another = state.workers == 0 || (state.workers < self.workers && state.waiting.len() >= self.most);
        state.workers += usize::from(takes_another);
        takes_another
    }

    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever takes batches; it counts until it is gone, however it goes.
struct Worker<Q: Send + 'static, A: Send + 'static> {
    queue: Arc<Queue<Q, A>>,
    counts: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Worker<Q, A> {
    /// Takes the next batch. Without one the worker is no more, so that whoever comes next starts another.
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

impl<Q: Send + 'static, A: Send + 'static> Drop for Worker<Q, A> {
    fn drop(&mut self) {
        if self.counts {
            self.queue.lock().workers -= 1;
        }
    }
}
