//! The status of objects with pending work while the store is unavailable.

use tokio::time::Instant;

use crate::api::UserStatus;
use crate::controller::cache;
use crate::controller::cache::{ClusterCache, HasConditions};
use crate::controller::object_writer::ObjectUpdate;
use crate::controller::reconciler::{Reconciler, stored_account};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::{Blocked, StoreTrouble, status, user};
use crate::store::{Store, StoreError};
use crate::workqueue::Priority;

impl<S: Store> Reconciler<S> {
    /// Reports an unavailable store in the status of objects with pending work; the others keep
    /// theirs.
    pub(super) fn on_store_error(&mut self, keys: Vec<ObjectKey>, error: StoreError) {
        if error.ends_the_work() {
            // The new leader writes their status, or this operator after a restart.
            self.superseded = Some(error);
            return;
        }
        self.metrics.store_errors.inc();
        tracing::error!(error = %crate::redact::chain(&error), objects = keys.len(), "store unavailable, retrying");
        let trouble = if error.is_locked_out() { StoreTrouble::Busy } else { StoreTrouble::Away };
        for key in keys {
            self.report_waiting(&key, None, trouble, false);
            self.queue.retry(key, Instant::now());
        }
    }

    /// Reports that the store doesn't take pending work now, beside what it has of a `User` where
    /// that is known. Work is pending if the spec is newer than the status, or `is_planned`.
    pub(super) fn report_waiting(
        &mut self,
        key: &ObjectKey,
        user: Option<&user::UserSnapshot>,
        trouble: StoreTrouble,
        is_planned: bool,
    ) {
        let uid = self.cache.about(key).map(|(meta, ..)| meta.uid.clone());
        let (Some(uid), Some(mut report)) =
            (uid, store_unavailable_status(&self.cache, key, trouble, is_planned))
        else {
            return;
        };
        if let (ObjectUpdate::User(waits), Some(user)) = (&mut report, user) {
            let blocked = [Blocked::StoreUnavailable(trouble)];
            let found = status::of_user(
                user,
                stored_account(user, None),
                &blocked,
                &self.settings.billing_zone,
            );
            let observed = waits.observed_generation;
            let conditions =
                status::store_unavailable(&found.conditions, observed.unwrap_or(-1), trouble);
            **waits = UserStatus { observed_generation: observed, conditions, ..found };
        }
        self.updates.put(key.clone(), uid, report, Priority::High, Instant::now());
    }
}

/// Returns the status of an object with pending work while the store doesn't take it.
fn store_unavailable_status(
    cache: &ClusterCache,
    key: &ObjectKey,
    trouble: StoreTrouble,
    is_planned: bool,
) -> Option<ObjectUpdate> {
    let pending = Pending { trouble, is_planned };
    match key.kind {
        Kind::User => {
            pending.status(cache.user(key)).map(|status| ObjectUpdate::User(Box::new(status)))
        }
        Kind::UserGroup => {
            pending.status(cache.group(key)).map(|status| ObjectUpdate::Group(Box::new(status)))
        }
        Kind::OrgEmailDomain => {
            pending.status(cache.domain(key)).map(|status| ObjectUpdate::Domain(Box::new(status)))
        }
        Kind::Organization | Kind::Secret => None,
    }
}

/// What keeps the store from taking work, and whether there surely is some.
#[derive(Clone, Copy)]
struct Pending {
    trouble: StoreTrouble,
    is_planned: bool,
}

impl Pending {
    fn status<S, T: HasConditions>(self, seen: Option<&cache::CachedObject<S, T>>) -> Option<T> {
        let seen = seen?;
        let observed = seen.status.observed_generation().unwrap_or(-1);
        let mut status = seen.status.clone();
        *status.conditions_mut() =
            status::store_unavailable(seen.status.conditions(), observed, self.trouble);
        (self.is_planned || seen.meta.deleting || observed != seen.meta.generation)
            .then_some(status)
    }
}
