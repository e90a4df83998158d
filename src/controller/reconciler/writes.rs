//! Writes to the API server, and their results.

use tokio::time::Instant;

use crate::controller::list_watch::Relist;
use crate::controller::object_writer;
use crate::controller::object_writer::{QueuedUpdate, Write, WriteResult};
use crate::controller::reconciler::Reconciler;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::redact::redact;
use crate::store::Store;

impl<S: Store> Reconciler<S> {
    /// Returns the writes that are due: updates that change something, default groups and Events.
    pub fn writes(&mut self) -> Vec<Write> {
        let mut writes = self
            .other_writes
            .split_off(self.other_writes.len().saturating_sub(self.updates.room()));
        self.metrics.users(&self.cache.users_by_reason);
        for (key, queued) in self.updates.take(Instant::now()) {
            let QueuedUpdate { uid, update, since, .. } = queued;
            match object_writer::patch(&self.cache, &key, &uid, update, self.clocks.now()) {
                Some(patch) => {
                    let version = self.cache.version(&key);
                    self.updates.begin(key, version, since);
                    writes.push(Write::Patch(patch));
                }
                None => self.updates.skip(&key),
            }
        }
        writes
    }

    /// Applies the result of a write.
    pub fn on_write_result(&mut self, key: ObjectKey, answer: WriteResult) {
        let now = Instant::now();
        self.metrics.kube_write(key.kind, answer.result());
        let update = self.updates.end(&key, now);
        if let Some((_, since)) = update.filter(|_| answer.is_written()) {
            self.metrics.status_written(now - since);
        }
        let (before, after) = (update.map_or(0, |(version, _)| version), answer.version());
        if (1..before).contains(&after) {
            // A write only makes an object newer.
            self.roll_back(key.kind, before, after);
            self.lists.request_relist(Relist::RolledBack);
        }
        let changed = match answer {
            WriteResult::User(user) => self.cache.upsert_written(*user),
            WriteResult::Group(group) => self.cache.upsert_written(*group),
            WriteResult::Domain(domain) => self.cache.upsert_written(*domain),
            WriteResult::Done => None,
            WriteResult::Released { uid } => {
                self.final_events.remove(&uid);
                self.cache.record_released(&key, &uid);
                None
            }
            WriteResult::Conflict => return self.retry(key, now),
            WriteResult::Failed(error) => {
                self.default_groups.write_failed(&key);
                let (kind, namespace): (&str, _) = (key.kind.into(), &key.namespace);
                tracing::warn!(
                    kind,
                    namespace,
                    error = redact(&error),
                    "write to the API server failed, retrying"
                );
                return self.retry(key, now);
            }
        };
        self.updates.succeeded(&key);
        self.enqueue(changed);
    }

    /// Reconciles an object again whose write failed, with growing delay.
    fn retry(&mut self, key: ObjectKey, now: Instant) {
        if key.kind == Kind::Organization || self.cache.about(&key).is_some() {
            let at = self.updates.failed(&key, now);
            self.queue.enqueue(key, at);
        }
    }
}
