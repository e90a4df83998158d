//! What the store refused, and who waits for what.

use tokio::time::Instant;

use crate::controller::observe::Snapshot;
use crate::controller::reconciler::{Reconciler, in_force};
use crate::domain::object_key::ObjectKey;
use crate::plan::{Blocked, Decision, FinalizerAction, user};
use crate::store::{Refusal, Store};
use crate::workqueue::Priority;

/// How often in a row the store may refuse what is planned for an object before somebody is told:
/// by then 15 s went by.
const REPORT_AFTER: u32 = 6;

impl<S: Store> Reconciler<S> {
    /// The store saw something that the snapshot didn't show: the next look will. Where it doesn't,
    /// again and again, somebody is told.
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

    /// Notes that the store doesn't refuse anything of an object now.
    pub(super) fn forget_refusals(&mut self, key: &ObjectKey) {
        if self.refused.remove(key).is_some() {
            self.count_refused();
        }
    }

    /// Notes who depends on whom, who waits for control, and who for an account.
    pub(super) fn record_applied(
        &mut self,
        key: &ObjectKey,
        snapshot: &Snapshot,
        decision: &Decision,
    ) {
        if let Snapshot::User(user) = snapshot {
            let in_force = user.account.as_ref().map(in_force);
            let follows = in_force.as_ref().and_then(|account| account.follows.clone());
            let undeclared = follows.is_some() && follows.as_deref() != user::follows(&user.spec);
            if self.cache.record_applied(key, in_force) {
                if undeclared {
                    // Nobody could know until now that those behind it are behind whom it follows.
                    self.gather_heirs(Priority::Low, &key.namespace, &key.name);
                }
                if user.meta.deleting {
                    // Nor whether it takes the account of its name along.
                    self.enqueue_waiting_for_administrator(&key.namespace);
                }
            }
        }
        let left_behind = match snapshot {
            Snapshot::User(user) if decision.plan.is_none() => user.left_behind(),
            Snapshot::User(_) | Snapshot::Group(_) | Snapshot::Domain(_) => None,
        };
        match left_behind {
            Some(account) => self.takeovers.insert(key.clone(), account.id),
            None => self.takeovers.remove(key),
        };
        if decision.blocked.iter().any(|why| matches!(why, Blocked::LastAdministrator { .. })) {
            self.waiting_for_administrator.insert(key.clone());
        } else {
            self.waiting_for_administrator.remove(key);
        }
    }
}
