//! Compares accounts with their entries in directories, and reports drift.

use std::time::Duration;

use tokio::time::Instant;

use super::Reconciler;
use super::event_notes::drifted;
use super::provisioning::ACK_RETRY;
use crate::controller::observe;
use crate::domain::account::Account;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::permission::Permissions;
use crate::provisioning::Entry;
use crate::provisioning::queue::{Comparable, Page};
use crate::store::{Store, StoreError, UserName};

/// Returns how much of the current period has passed by the clock, so that the next leader goes on
/// where the last one was.
pub(super) fn gone(period: Duration, now: jiff::Timestamp) -> f64 {
    let period = i128::try_from(period.as_nanos()).unwrap_or(i128::MAX).max(1);
    let gone = now.as_nanosecond().rem_euclid(period);
    gone as f64 / period as f64
}

impl<S: Store> Reconciler<S> {
    /// Reads the accounts whose entries are compared next.
    pub(super) async fn compare(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        for page in self.provisioning.pages_due(now) {
            let total = self.cache.owners_known();
            let names = self.cache.owners_after(page.after.as_ref(), page.from, Page::size(total));
            match self.read(&names).await {
                Ok(found) => {
                    let accounts: Vec<Comparable> = found.into_iter().map(comparable).collect();
                    self.provisioning.compare(&page, (&names, total), &accounts, now);
                }
                Err(error) => {
                    self.provisioning.postpone(&page, now + ACK_RETRY);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Returns accounts with their permissions, without those that can't be read.
    async fn read(&self, names: &[UserName]) -> Result<Vec<(Account, Permissions)>, StoreError> {
        match observe::with_permissions(&self.cache, &self.store, names).await {
            Err(error) if error.is_about_data() => {}
            found => return found,
        }
        let mut found = vec![];
        for name in names {
            match observe::with_permissions(&self.cache, &self.store, std::slice::from_ref(name))
                .await
            {
                Err(error) if error.is_about_data() => {}
                one => found.extend(one?),
            }
        }
        Ok(found)
    }

    /// Reports the entries that were changed in a directory by someone else.
    pub(super) fn report_drift(&mut self) {
        for drift in self.provisioning.take_drift() {
            let directory = &drift.directory;
            let uid = self.cache.about(&drift.user).map(|(meta, ..)| meta.uid.clone());
            let has_user = uid.as_ref() == Some(&drift.owner);
            tracing::warn!(directory, account = %drift.account, uid = has_user.then_some(&drift.owner), "somebody else changed an entry in a directory, it is put back");
            self.metrics.drifted(directory);
            self.other_writes.extend(has_user.then(|| drifted(drift)));
        }
    }
}

fn comparable((account, effective): (Account, Permissions)) -> Comparable {
    Comparable {
        user: ObjectKey::new(Kind::User, &account.namespace, &account.owner.name),
        owner: account.owner.uid.clone(),
        entry: Entry::of(&account, &effective),
        confirmed: account.confirmed,
    }
}
