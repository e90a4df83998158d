//! The statuses and finalizers that follow from what the store confirmed or refused.

use tokio::time::Instant;

use crate::controller::object_writer::ObjectUpdate;
use crate::controller::observe::Snapshot;
use crate::controller::reconciler::Reconciler;
use crate::controller::reconciler::event_notes::farewell;
use crate::domain::account::AccountId;
use crate::domain::object_key::ObjectKey;
use crate::plan::status::StoredAccount;
use crate::plan::{Blocked, Decision, FinalizerAction, status, user};
use crate::store::{Receipt, Store};

impl<S: Store> Reconciler<S> {
    pub(super) fn report(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        decision: &Decision,
        receipt: Option<&Receipt>,
    ) {
        self.queue.succeeded(&key);
        self.forget_refusals(&key);
        if !decision.blocked.iter().any(|why| matches!(why, Blocked::StoreUnavailable(_))) {
            self.end_isolation(&key);
        }
        self.report_status(key, snapshot, decision, receipt);
    }

    pub(super) fn report_status(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        decision: &Decision,
        receipt: Option<&Receipt>,
    ) {
        let (uid, is_ours) = (
            snapshot.meta().uid.clone(),
            snapshot.meta().deleting || snapshot.meta().has_finalizer,
        );
        let hold = match receipt {
            // The finalizer stays until every directory has confirmed it.
            Some(Receipt::Deleted(departure)) if departure.transaction.in_flight() => {
                FinalizerAction::Keep
            }
            _ => decision.finalizer,
        };
        let report = match (hold, &mut *snapshot) {
            // It was released: its status isn't the operator's any more.
            (FinalizerAction::Keep, _) if !is_ours => return,
            (FinalizerAction::Keep, Snapshot::User(user)) => {
                let found = stored_account(user, receipt);
                let account = provisioned_account(user, found);
                self.schedule_provisioning(&key, user, found);
                if let Some(lost) = decision.deprovisions {
                    self.provisioning.deprovision(&key, lost, Instant::now());
                }
                // The entry that was just enqueued is missing there now.
                self.add_missing_in_directories(&key, user, account);
                let found = stored_account(user, receipt);
                ObjectUpdate::User(Box::new(status::of_user(
                    user,
                    found,
                    &decision.blocked,
                    &self.settings.billing_zone,
                )))
            }
            (FinalizerAction::Keep, Snapshot::Group(group)) if group.spec.is_some() => {
                ObjectUpdate::Group(Box::new(status::of_group(group, &decision.blocked)))
            }
            (FinalizerAction::Keep, Snapshot::Domain(domain)) if domain.spec.is_some() => {
                ObjectUpdate::Domain(Box::new(status::of_listing(domain, &decision.blocked)))
            }
            (FinalizerAction::Keep, Snapshot::Group(_) | Snapshot::Domain(_)) => return,
            (hold, _) => {
                // The store returns once what became of the account, and removing the finalizer may
                // take several tries.
                self.final_events
                    .extend(farewell(snapshot, receipt).map(|said| (uid.clone(), said)));
                self.clear_in_flight(&uid);
                ObjectUpdate::Hold { hold, farewell: self.final_events.get(&uid).cloned() }
            }
        };
        let lane = report.priority(&self.cache, &key);
        self.updates.put(key, uid, report, lane, Instant::now());
    }
}

pub(super) fn stored_account<'a>(
    user: &'a user::UserSnapshot,
    receipt: Option<&'a Receipt>,
) -> StoredAccount<'a> {
    match receipt {
        Some(Receipt::Account(account)) => StoredAccount::Account(account),
        Some(Receipt::Deleted(departure)) => StoredAccount::Departed(departure),
        Some(Receipt::Done) | None => {
            // An account that another User of this name left behind isn't reported as this one's.
            let account =
                user.account.as_ref().filter(|account| account.owner.uid == user.meta.uid);
            let departed = user.departure.as_ref().map(StoredAccount::Departed);
            account.map(StoredAccount::Account).or(departed).unwrap_or(StoredAccount::Nothing)
        }
    }
}

/// Returns the account that is provisioned for a `User`, though it may not own it yet.
pub(super) fn provisioned_account(
    user: &user::UserSnapshot,
    found: StoredAccount<'_>,
) -> Option<AccountId> {
    match found {
        StoredAccount::Account(account) => Some(account.id),
        StoredAccount::Departed(departure) => Some(departure.account),
        StoredAccount::Nothing => user.left_behind().map(|account| account.id),
    }
}
