//! What no watch tells of: accounts without a `User`, and what members changed of themselves.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::controller::cache::AppliedLinks;
use crate::controller::observe;
use crate::controller::reconciler::{Reconciler, in_force};
use crate::domain::account::DeletedAccount;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::provisioning::Entry;
use crate::store::{Store, StoreError, UserName};
use crate::workqueue::Priority;

impl<S: Store> Reconciler<S> {
    /// With every resync, looks at what no `User` leads to: accounts that are gone and that
    /// directories still have, and accounts whose `User` isn't there.
    pub(super) async fn scan_orphans(&mut self) -> Result<(), StoreError> {
        if !self.scan_due {
            return Ok(());
        }
        if !self.settings.directories.is_empty() {
            let mut departures = self.store.pending_deletions().await?;
            departures.retain(|departure| self.manages(&departure.namespace));
            departures.iter().for_each(|departure| self.provision_deletion(departure));
        }
        let is_owned = |user: &UserName| {
            let key = ObjectKey::new(Kind::User, &user.0, &user.1);
            self.cache.has(&key) && !self.takeovers.contains_key(&key)
        };
        let is_orphan =
            |user: &UserName| self.cache.namespaces.contains_key(&user.0) && !is_owned(user);
        let mut orphans: Vec<UserName> =
            self.store.owners().await?.into_iter().filter(is_orphan).collect();
        orphans.sort_unstable();
        self.metrics.orphans.set(i64::try_from(orphans.len()).unwrap_or(i64::MAX));
        let is_gone = |key: &ObjectKey| {
            orphans.binary_search(&(key.namespace.clone(), key.name.clone())).is_err()
        };
        let gone: Vec<ObjectKey> = self.cache.unowned().filter(is_gone).collect();
        gone.iter().for_each(|key| self.record_unowned(key, None));
        self.observe_unowned(&orphans).await?;
        if !self.settings.directories.is_empty() {
            let namespaces: Vec<String> = self.cache.namespaces.keys().cloned().collect();
            self.group_cleanup = Some(observe::groups(&self.store, &namespaces).await?);
        }
        self.scan_due = false;
        Ok(())
    }

    /// Looks at accounts whose `User` isn't there: has directories brought up to them, as the store
    /// has them now, and remembers whom they follow.
    pub(super) async fn observe_unowned(&mut self, names: &[UserName]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let found = observe::with_permissions(&self.cache, &self.store, names).await?;
        let mut gone: BTreeSet<ObjectKey> = names
            .iter()
            .map(|(namespace, name)| ObjectKey::new(Kind::User, namespace, name))
            .collect();
        for (account, effective) in found {
            let user = ObjectKey::new(Kind::User, &account.namespace, &account.owner.name);
            gone.remove(&user);
            self.record_unowned(&user, Some(in_force(&account)));
            if !self.settings.directories.is_empty() {
                let entry = Entry::of(&account, &effective);
                self.provisioning.enqueue(&user, &entry, &account.confirmed, None, Instant::now());
            }
        }
        gone.iter().for_each(|user| self.record_unowned(user, None));
        self.flush_soon(Instant::now());
        Ok(())
    }

    fn record_unowned(&mut self, user: &ObjectKey, account: Option<AppliedLinks>) {
        if self.cache.record_applied(user, account) {
            // Nobody could know until now that those behind it are behind whom it follows.
            self.gather_heirs(Priority::Low, &user.namespace, &user.name);
        }
    }

    /// Whether it works in a namespace, which may be gone. In others of the store other operators
    /// do.
    fn manages(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace))
    }

    pub(super) fn provision_deletion(&mut self, departure: &DeletedAccount) {
        let DeletedAccount {
            account, namespace, owner, login_name, transaction, confirmed, ..
        } = departure;
        let mut entry = Entry::gone(*account, transaction.revision, namespace);
        entry.former_login_name = Some(login_name.to_string());
        let user = ObjectKey::new(Kind::User, namespace, &owner.name);
        self.provisioning.enqueue(&user, &entry, confirmed, None, Instant::now());
    }

    /// Looks at those who changed something of themselves in the store since the last time; the
    /// first time at all of them, since nobody knows which changes were there when everything was
    /// looked at.
    ///
    /// Whoever may not work on learns of it here within seconds: what directories are brought may
    /// be on its way for longer.
    pub async fn poll_self_service(&mut self) {
        if !self.is_synced() {
            // What was begun before everything is listed anew is on its way still.
            self.superseded = self
                .store
                .check_claim()
                .await
                .err()
                .filter(StoreError::ends_the_work)
                .or(self.superseded.take());
            return;
        }
        let (newest, mut users) = match self.store.self_service_changes(self.member_changes).await {
            Ok(changed) => changed,
            Err(error) => {
                // A store that is away is told of by those who have work for it.
                self.superseded =
                    Some(error).filter(StoreError::ends_the_work).or(self.superseded.take());
                return;
            }
        };
        self.member_changes = newest;
        users.retain(|(namespace, _)| self.manages(namespace));
        // Nobody looks at an account without a `User`, and directories are to have what its member
        // changed.
        self.scan_due |= users.iter().any(|user| !self.cache.users.contains_key(user));
        if self.scan_due {
            self.save_acks_at.get_or_insert_with(Instant::now);
        }
        self.enqueue(
            users.into_iter().map(|(namespace, name)| ObjectKey::new(Kind::User, namespace, name)),
        );
    }
}
