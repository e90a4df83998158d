//! Objects whose change waits for a lock that an application holds in the store.
//!
//! They are retried with growing delay, in a commit of their own after all others, and their status
//! says what they wait for.

use std::collections::HashMap;

use tokio::time::Instant;

use super::Reconciler;
use crate::controller::object_writer::{EventNote, Write};
use crate::controller::observe::Snapshot;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::StoreTrouble;
use crate::store::Store;

/// How often in a row a change has to be held up before that is reported: most locks are gone at
/// the second attempt.
const REPORT_AFTER: u32 = 2;

/// The objects whose change waits, and how often each was held up.
#[derive(Debug, Default)]
pub(super) struct Isolated(HashMap<ObjectKey, u32>);

impl Isolated {
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.0.contains_key(key)
    }

    /// Counts that an object was held up. Returns how often it was.
    fn add(&mut self, key: &ObjectKey) -> u32 {
        let times = self.0.entry(key.clone()).or_default();
        *times = times.saturating_add(1);
        *times
    }

    /// Forgets an object. Returns how often it was held up.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> u32 {
        self.0.remove(key).unwrap_or_default()
    }

    fn in_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        self.0.keys().filter(|key| key.namespace == namespace).cloned().collect()
    }

    pub(super) fn held_up(&self) -> usize {
        self.0.values().filter(|times| **times >= REPORT_AFTER).count()
    }
}

impl<S: Store> Reconciler<S> {
    /// Retries an object later whose change the store doesn't take now, and reports why.
    pub(super) fn isolate(&mut self, key: ObjectKey, snapshot: &Snapshot, trouble: StoreTrouble) {
        let times = self.isolated.add(&key);
        if times == REPORT_AFTER {
            let uid = self.cache.about(&key).map(|(meta, ..)| meta.uid.clone()).unwrap_or_default();
            let (kind, namespace, why) = (<&str>::from(key.kind), &key.namespace, said(trouble));
            tracing::warn!(kind, namespace, uid, why, "change waits for the store, backing off");
            if key.kind != Kind::Organization {
                let note = format!("{why}: the condition Ready in the status says what to do");
                let said = EventNote { reason: "StoreUnavailable".to_owned(), note, warning: true };
                self.other_writes.push(Write::Event { key: key.clone(), uid, said });
            }
        }
        let user = match snapshot {
            Snapshot::User(user) => Some(user.as_ref()),
            Snapshot::Group(_) | Snapshot::Domain(_) => None,
        };
        // Also where the spec was reconciled already, and the change follows from something else.
        self.report_waiting(&key, user, trouble, times >= REPORT_AFTER);
        self.queue.retry(key, Instant::now());
    }

    /// Records that an object's change is committed, or that there is none any more. Others in its
    /// organization may have waited for the same lock.
    pub(super) fn end_isolation(&mut self, key: &ObjectKey) {
        let times = self.isolated.remove(key);
        if times >= REPORT_AFTER {
            tracing::info!(
                kind = <&str>::from(key.kind),
                namespace = key.namespace,
                times,
                "change was committed after waiting for the store"
            );
        }
        if times > 0 {
            self.enqueue(self.isolated.in_namespace(&key.namespace));
        }
    }
}

fn said(trouble: StoreTrouble) -> &'static str {
    match trouble {
        StoreTrouble::Away => "the store can't be reached",
        StoreTrouble::Busy => "an application keeps the whole store locked",
        StoreTrouble::Locked => "an application has locked what the change needs in the store",
        StoreTrouble::Slow => "the store had no time left for the change",
    }
}
