//! Applies events of the cluster to the cache, and enqueues what they affect.

use kube::Resource as _;
use tokio::time::Instant;

use crate::api::Lenient;
use crate::controller::cache;
use crate::controller::cache::{ClusterCache, Origin};
use crate::controller::cluster_event::{ClusterEvent, WatchListing};
use crate::controller::list_sync::Completed;
use crate::controller::list_watch::Relist;
use crate::controller::object_writer::Write;
use crate::controller::reconciler::Reconciler;
use crate::controller::reconciler::dependents::{all_in, competing_users};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::store::Store;

impl<S: Store> Reconciler<S> {
    /// Applies an event.
    pub fn apply_event(&mut self, news: ClusterEvent) {
        match news {
            ClusterEvent::RolledBack { kind, known, found } => self.roll_back(kind, known, found),
            ClusterEvent::ListStarted(scope) => {
                let known = self.cache.keys(scope.kind, scope.namespace.as_deref());
                self.lists.started(scope, known);
            }
            ClusterEvent::Listed { listing, item } => self.apply_listed(&listing, *item),
            ClusterEvent::ListCompleted(scope) => {
                let Some(Completed { gone, is_first_sync }) = self.lists.completed(&scope) else {
                    return;
                };
                gone.iter().for_each(|key| self.remove(key));
                if is_first_sync {
                    tracing::info!(users = self.cache.users.len(), "initial list complete");
                    self.resync();
                }
            }
            ClusterEvent::Deleted(key, version) => {
                self.lists.watched(&key);
                // The object of this name that is known may be the next one already.
                if version == 0 || self.cache.version(&key) <= version {
                    self.remove(&key);
                }
            }
            ClusterEvent::WatchFailed(scope) => {
                self.lists.watch_failed(scope, Instant::now());
            }
            object => {
                if let Some(key) = object.key() {
                    self.lists.watched(&key);
                }
                self.apply_object(object, Origin::Watch);
            }
        }
    }

    fn apply_listed(&mut self, listing: &WatchListing, object: ClusterEvent) {
        let Some(key) = object.key().filter(|key| self.lists.named(listing, key)) else { return };
        let is_first = self.lists.is_unlisted(&listing.scope);
        let contradicts = self.cache.contradicts(&key, object.version(), listing.version);
        match contradicts.filter(|_| !is_first) {
            Some(known) => {
                self.roll_back(key.kind, known, object.version());
                self.lists.request_relist(Relist::RolledBack);
            }
            None => self.apply_object(
                object,
                if is_first { Origin::Anew } else { Origin::List(listing.version) },
            ),
        }
    }

    /// Forgets what a rollback of the cluster made obsolete, and decides nothing until everything
    /// is listed again.
    pub(super) fn roll_back(&mut self, kind: Kind, known: u64, found: u64) {
        let kind: &str = kind.into();
        tracing::warn!(
            kind,
            known,
            found,
            "resource versions went backwards, as after a restore of etcd: listing everything anew"
        );
        self.metrics.rollbacks.inc();
        self.lists.rolled_back();
        self.default_groups.rolled_back();
        self.other_writes.retain(|write| matches!(write, Write::Event { .. }));
        self.updates.forget_waiting();
        self.passwords.distrust_versions();
    }

    /// Returns why everything must be listed again, if it must.
    pub fn take_relist(&mut self) -> Option<Relist> {
        self.lists.take_relist()
    }

    fn apply_object(&mut self, object: ClusterEvent, origin: Origin) {
        match object {
            ClusterEvent::Namespace(namespace) => {
                if let Some(key) = self.cache.upsert_namespace(&namespace, origin) {
                    let within = all_in(&self.cache, &key.namespace);
                    self.enqueue(within.into_iter().chain([key]));
                }
            }
            ClusterEvent::User(user) => self.upsert(*user, origin),
            ClusterEvent::Group(group) => self.upsert(*group, origin),
            ClusterEvent::Domain(domain) => self.upsert(*domain, origin),
            ClusterEvent::Secret { key, seen } => {
                if self.cache.upsert_secret(&key, seen, origin) {
                    self.enqueue(self.cache.of_secret(&key.namespace, &key.name));
                }
            }
            ClusterEvent::RolledBack { .. }
            | ClusterEvent::ListStarted(_)
            | ClusterEvent::Listed { .. }
            | ClusterEvent::ListCompleted(_)
            | ClusterEvent::Deleted(..)
            | ClusterEvent::WatchFailed(_) => {}
        }
    }

    fn upsert<K: cache::ManagedResource>(&mut self, object: Lenient<K>, origin: Origin) {
        let name = (
            object.meta().namespace.clone().unwrap_or_default(),
            object.meta().name.clone().unwrap_or_default(),
        );
        let key = ObjectKey::new(K::KIND, name.0, name.1);
        let standing = |cache: &ClusterCache| {
            let takes_account =
                key.kind == Kind::User && cache.takes_account(&key.namespace, &key.name);
            cache.about(&key).map(|(meta, ..)| (meta.uid.clone(), meta.deleting, takes_account))
        };
        let before = standing(&self.cache);
        if let Some((uid, ..)) =
            before.as_ref().filter(|(uid, ..)| object.meta().uid.as_ref() != Some(uid))
        {
            // It was deleted and created again while no watch reported it.
            self.final_events.remove(uid);
            self.clear_in_flight(uid);
        }
        if let Some(key) = self.cache.upsert(object, origin) {
            if key.kind == Kind::User {
                let after = standing(&self.cache);
                let due = self.dependents.after_upsert(&self.cache, &key, before != after);
                self.queue.enqueue_all(due);
            }
            let organization = ObjectKey::new(Kind::Organization, &key.namespace, "");
            self.default_groups.observed(&key);
            // A group that is being deleted takes no new members: the status of those that wait to
            // join changes.
            if key.kind == Kind::UserGroup
                && self.cache.group(&key).is_some_and(|group| group.meta.deleting)
            {
                self.enqueue(self.cache.of_group(&key.namespace, &key.name));
            }
            self.enqueue([key, organization]);
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.queue.succeeded(key);
        self.updates.succeeded(key);
        self.dependents.forget(key);
        self.forget_refusals(key);
        self.isolated.remove(key);
        self.passwords.forget(key);
        let uid = self.cache.about(key).map(|(meta, ..)| meta.uid.clone());
        if let Some(uid) = uid {
            self.final_events.remove(&uid);
            self.clear_in_flight(&uid);
        }
        let links = self.cache.in_force(&key.namespace, &key.name).cloned();
        let others =
            if key.kind == Kind::User { competing_users(&self.cache, key) } else { vec![] };
        if self.cache.remove(key) {
            // The account that it may leave behind blocks them in another way now.
            self.enqueue(others);
            self.queue.enqueue_all(self.dependents.after_removal(&self.cache, key, links));
        }
    }
}
