//! Commits that the store refused.

use tokio::time::Instant;

use crate::controller::observe::Snapshot;
use crate::controller::reconciler::Reconciler;
use crate::domain::object_key::ObjectKey;
use crate::plan::{Blocked, Decision, FinalizerAction};
use crate::store::{Refusal, Store};

/// How often in a row the store may refuse an object's plan before its status reports that: 15 s
/// have passed by then.
const REPORT_AFTER: u32 = 6;

impl<S: Store> Reconciler<S> {
    /// Reconciles an object again whose plan the store refused, because the snapshot was outdated.
    /// If that happens again and again, the status reports it.
    pub(super) fn requeue(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        mut decision: Decision,
        refusal: Refusal,
    ) {
        let (kind, refused): (&str, &str) = (key.kind.into(), refusal.into());
        tracing::debug!(kind, refusal = refused, "commit refused, requeueing");
        let times = self.refused.entry(key.clone()).or_default();
        *times = times.saturating_add(1);
        let times = *times;
        self.count_refused();
        self.queue.retry(key.clone(), Instant::now());
        if times < REPORT_AFTER {
            return;
        }
        if times.is_multiple_of(REPORT_AFTER) && (times / REPORT_AFTER).is_power_of_two() {
            let uid = &snapshot.meta().uid;
            tracing::warn!(kind, uid, refusal = refused, times, "commit refused again and again");
        }
        let has_status = match snapshot {
            Snapshot::User(_) => true,
            Snapshot::Group(group) => group.spec.is_some(),
            Snapshot::Domain(domain) => domain.spec.is_some(),
        };
        if has_status {
            decision.blocked.insert(0, Blocked::RefusedByStore { why: refusal.to_string() });
            decision.finalizer = FinalizerAction::Keep;
            self.report_status(key, snapshot, &decision, None);
        }
    }

    pub(super) fn count_refused(&self) {
        let lasting = self.refused.values().filter(|times| **times >= REPORT_AFTER).count();
        self.metrics.refused.set(i64::try_from(lasting).unwrap_or(i64::MAX));
    }

    /// Records that the store refuses nothing of an object now.
    pub(super) fn forget_refusals(&mut self, key: &ObjectKey) {
        if self.refused.remove(key).is_some() {
            self.count_refused();
        }
    }
}
