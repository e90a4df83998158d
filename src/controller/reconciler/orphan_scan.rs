//! What no watch reports: accounts without a `User`, and self-service changes.

use std::collections::BTreeSet;

use crate::controller::cache::ClusterCache;
use crate::domain::account::DeletedAccount;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::store::{Store, StoreError, UserName};

/// Scans the store with every resync, and polls it for self-service changes in between.
#[derive(Debug)]
pub(super) struct OrphanScan {
    pub(super) is_due: bool,
    /// The namespaces that this operator manages; `None` for all. Other operators manage the
    /// store's others.
    namespaces: Option<BTreeSet<String>>,
    newest_change: i64,
}

impl OrphanScan {
    pub(super) fn new(namespaces: Option<BTreeSet<String>>) -> Self {
        Self { is_due: false, namespaces, newest_change: 0 }
    }

    /// Whether this operator manages a namespace, which may be gone.
    fn manages(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace))
    }

    /// Returns the deleted accounts that some directory has yet to drop.
    pub(super) async fn pending_deletions<S: Store>(
        &self,
        store: &S,
    ) -> Result<Vec<DeletedAccount>, StoreError> {
        let mut deleted = store.pending_deletions().await?;
        deleted.retain(|deleted| self.manages(&deleted.namespace));
        Ok(deleted)
    }

    /// Returns the accounts whose `User` isn't there, and those known before that are gone.
    pub(super) async fn orphans<S: Store>(
        &self,
        cache: &ClusterCache,
        store: &S,
        takes_over: impl Fn(&ObjectKey) -> bool,
    ) -> Result<(Vec<UserName>, Vec<ObjectKey>), StoreError> {
        let is_orphan = |(namespace, name): &UserName| {
            let key = ObjectKey::new(Kind::User, namespace, name);
            cache.namespaces.contains_key(namespace) && (!cache.has(&key) || takes_over(&key))
        };
        let owners = store.owners().await?;
        let orphans: BTreeSet<UserName> = owners.into_iter().filter(is_orphan).collect();
        let is_gone =
            |key: &ObjectKey| !orphans.contains(&(key.namespace.clone(), key.name.clone()));
        let gone = cache.unowned().filter(is_gone).collect();
        Ok((orphans.into_iter().collect(), gone))
    }

    /// Returns the users that changed something of themselves since the last poll; the first poll
    /// returns all, because their accounts may have been read before the changes were made.
    pub(super) async fn poll_self_service<S: Store>(
        &mut self,
        cache: &ClusterCache,
        store: &S,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let (newest, mut users) = store.self_service_changes(self.newest_change).await?;
        self.newest_change = newest;
        users.retain(|(namespace, _)| self.manages(namespace));
        // Directories get the change of an account without a `User`, which only a scan finds.
        self.is_due |= users.iter().any(|user| !cache.users.contains_key(user));
        let key = |(namespace, name)| ObjectKey::new(Kind::User, namespace, name);
        Ok(users.into_iter().map(key).collect())
    }
}
