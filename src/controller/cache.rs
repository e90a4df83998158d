//! The cluster as last observed, with an index of dependents.

mod index;
mod object;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource as _;
use kube::api::ObjectMeta;

pub use self::index::AppliedLinks;
use self::index::{Reach, UserIndex, users_under};
use self::object::seen;
pub use self::object::{CachedObject, HasConditions, Objects, Origin, within};
use super::cluster_event::{CachedSecret, number};
use crate::api::lenient::{Lenient, Readable};
use crate::api::status::Condition;
use crate::api::user::DeletionPolicy;
use crate::api::{
    self, OrgEmailDomain, OrgEmailDomainSpec, OrgEmailDomainStatus, User, UserGroup, UserGroupSpec,
    UserGroupStatus, UserSpec, UserStatus,
};
use crate::domain::email::{Email, EmailError};
use crate::domain::group::GroupContent;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::{Deleting, Meta};

/// A kind that the operator manages.
pub trait ManagedResource:
    Readable + kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
{
    /// What it is.
    const KIND: Kind;
    /// What it asks for.
    type Spec: PartialEq + serde::Serialize;
    /// The type of its status.
    type Status: HasConditions;

    /// Takes the object apart.
    fn parts(self) -> (ObjectMeta, Self::Spec, Option<Self::Status>);
    /// Returns where the cache keeps objects of this kind.
    fn objects(cache: &mut ClusterCache) -> &mut Objects<Self::Spec, Self::Status>;
}

/// A namespace as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedNamespace {
    /// The value of the label `roster.rs/customer-id`.
    pub customer_id: Option<String>,
    /// Whether it is on its way out.
    pub terminating: bool,
}

/// What was last seen of the cluster.
#[derive(Debug, Default)]
pub struct ClusterCache {
    /// The namespaces.
    pub namespaces: BTreeMap<String, CachedNamespace>,
    /// The users.
    pub users: Objects<UserSpec, UserStatus>,
    /// The groups.
    pub groups: Objects<UserGroupSpec, UserGroupStatus>,
    /// The listed domains.
    pub domains: Objects<OrgEmailDomainSpec, OrgEmailDomainStatus>,
    /// The Secrets of our type.
    pub secrets: BTreeMap<(String, String), CachedSecret>,
    /// How many users there are for each reason of their condition `Ready`, zeros included.
    pub users_by_reason: BTreeMap<&'static str, i64>,
    /// Whether the `User` of each account that wasn't released counts as present, observed or not.
    pub presumes_owners: bool,
    namespace_versions: HashMap<String, u64>,
    emails: HashMap<(String, String), Result<Email, EmailError>>,
    in_force: HashMap<(String, String), AppliedLinks>,
    index: UserIndex,
}

impl ClusterCache {
    /// Stores an object. Returns its key if something changed that a decision depends on. A status
    /// alone doesn't count where a watch reports it, because only the operator writes it; an older
    /// version than the known one changes nothing.
    pub fn upsert<K: ManagedResource>(
        &mut self,
        object: Lenient<K>,
        origin: Origin,
    ) -> Option<ObjectKey> {
        let Lenient { object, unreadable, has_foreign_status } = object;
        let (metadata, spec, status) = object.parts();
        let mut seen = seen(metadata, spec, status.unwrap_or_default());
        seen.meta.unreadable = unreadable;
        seen.has_foreign_status = has_foreign_status;
        let place = (seen.meta.namespace.clone(), seen.meta.name.clone());
        let key = ObjectKey::new(K::KIND, &place.0, &place.1);
        let objects = K::objects(self);
        let before = objects.get(&place);
        let told =
            |before: &CachedObject<_, _>| before.meta != seen.meta || before.spec != seen.spec;
        let changed = match (before, origin) {
            (None, _) => true,
            (Some(before), Origin::Watch) if seen.version > 0 && before.version >= seen.version => {
                return None;
            }
            (Some(before), Origin::Watch) => told(before),
            (Some(before), Origin::List(version)) if before.version > version.max(seen.version) => {
                return None;
            }
            // No watch reported what differs: what waits for it, such as a write that counts on the
            // version, is reconciled again.
            (Some(before), Origin::List(_) | Origin::Anew) => {
                told(before)
                    || before.version != seen.version
                    || before.status != seen.status
                    || before.finalizers != seen.finalizers
            }
        };
        if !changed && origin != Origin::Watch {
            return None;
        }
        self.unindex(&key);
        let after = seen.ready_reason();
        let before = K::objects(self).insert(place, seen);
        let before = before.as_ref().map(CachedObject::ready_reason);
        if K::KIND == Kind::User {
            self.count_user(before, Some(after));
        }
        self.reindex(&key);
        changed.then_some(key)
    }

    fn count_user(&mut self, before: Option<&'static str>, after: Option<&'static str>) {
        for (reason, change) in
            before.map(|one| (one, -1)).into_iter().chain(after.map(|one| (one, 1)))
        {
            *self.users_by_reason.entry(reason).or_default() += change;
        }
    }

    /// Stores the object that the API server returned for a write, unless it is gone since.
    pub fn upsert_written<K: ManagedResource>(&mut self, object: Lenient<K>) -> Option<ObjectKey> {
        let place = (object.meta().namespace.clone()?, object.meta().name.clone()?);
        let still_there = K::objects(self)
            .get(&place)
            .is_some_and(|seen| Some(&seen.meta.uid) == object.meta().uid.as_ref());
        if still_there { self.upsert(object, Origin::Watch) } else { None }
    }

    /// Returns the known version if a list that should be newer has an older one: then the cluster
    /// was rolled back.
    #[must_use]
    pub fn contradicts(&self, key: &ObjectKey, found: u64, listed: u64) -> Option<u64> {
        let known = self.version(key);
        (found > 0 && found < known && known <= listed).then_some(known)
    }

    /// Returns the version of an object as it was last seen; 0 where none is known.
    #[must_use]
    pub fn version(&self, key: &ObjectKey) -> u64 {
        match key.kind {
            Kind::Secret => {
                let seen = self.secrets.get(&(key.namespace.clone(), key.name.clone()));
                number(seen.map(|seen| seen.resource_version.as_str()))
            }
            Kind::Organization => {
                self.namespace_versions.get(&key.namespace).copied().unwrap_or_default()
            }
            Kind::OrgEmailDomain | Kind::UserGroup | Kind::User => {
                self.about(key).map(|(.., version)| version).unwrap_or_default()
            }
        }
    }

    /// Records that the operator's finalizer is off an object, which is about to go.
    ///
    /// The API server answers the patch that takes the last finalizer off with the object as it
    /// was.
    pub fn record_released(&mut self, key: &ObjectKey, uid: &str) {
        fn release_retained<S, T>(seen: Option<&mut CachedObject<S, T>>, uid: &str) {
            if let Some(seen) = seen.filter(|seen| seen.meta.uid == uid) {
                seen.finalizers.retain(|finalizer| finalizer != api::FINALIZER);
                seen.meta.has_finalizer = false;
            }
        }
        let place = (key.namespace.clone(), key.name.clone());
        match key.kind {
            Kind::OrgEmailDomain => release_retained(self.domains.get_mut(&place), uid),
            Kind::UserGroup => release_retained(self.groups.get_mut(&place), uid),
            Kind::User => release_retained(self.users.get_mut(&place), uid),
            Kind::Organization | Kind::Secret => {}
        }
    }

    pub(crate) fn user(&self, key: &ObjectKey) -> Option<&CachedObject<UserSpec, UserStatus>> {
        self.users.get(&(key.namespace.clone(), key.name.clone()))
    }

    pub(crate) fn group(
        &self,
        key: &ObjectKey,
    ) -> Option<&CachedObject<UserGroupSpec, UserGroupStatus>> {
        self.groups.get(&(key.namespace.clone(), key.name.clone()))
    }

    pub(crate) fn domain(
        &self,
        key: &ObjectKey,
    ) -> Option<&CachedObject<OrgEmailDomainSpec, OrgEmailDomainStatus>> {
        self.domains.get(&(key.namespace.clone(), key.name.clone()))
    }

    /// Returns what an object has beside its spec, its finalizers and its version.
    #[must_use]
    pub fn about(&self, key: &ObjectKey) -> Option<(&Meta, &[String], u64)> {
        fn of<S, T>(seen: &CachedObject<S, T>) -> (&Meta, &[String], u64) {
            (&seen.meta, &seen.finalizers, seen.version)
        }
        match key.kind {
            Kind::OrgEmailDomain => self.domain(key).map(of),
            Kind::UserGroup => self.group(key).map(of),
            Kind::User => self.user(key).map(of),
            Kind::Organization | Kind::Secret => None,
        }
    }

    /// Whether an object is there.
    #[must_use]
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.about(key).is_some()
    }

    /// Takes an object out. Returns whether it was there.
    pub fn remove(&mut self, key: &ObjectKey) -> bool {
        self.unindex(key);
        let place = (key.namespace.clone(), key.name.clone());
        match key.kind {
            Kind::Secret => self.secrets.remove(&place).is_some(),
            Kind::Organization => {
                self.namespace_versions.remove(&key.namespace);
                self.namespaces.remove(&key.namespace).is_some()
            }
            Kind::OrgEmailDomain => self.domains.remove(&place).is_some(),
            Kind::UserGroup => self.groups.remove(&place).is_some(),
            Kind::User => {
                let removed = self.users.remove(&place);
                self.count_user(removed.as_ref().map(CachedObject::ready_reason), None);
                let was_there = removed.is_some();
                // Its account may stay, and follows others as before.
                self.reindex(key);
                was_there
            }
        }
    }

    /// Stores the metadata of a password Secret. Returns whether it has another version than the
    /// known one.
    pub fn upsert_secret(&mut self, key: &ObjectKey, seen: CachedSecret, origin: Origin) -> bool {
        let version = number(Some(&seen.resource_version));
        if origin == Origin::Watch && version > 0 && self.version(key) > version {
            return false;
        }
        let place = (key.namespace.clone(), key.name.clone());
        self.secrets.insert(place, seen.clone()).as_ref() != Some(&seen)
    }

    /// Stores a namespace. Returns its key if something changed that a decision depends on.
    pub fn upsert_namespace(&mut self, namespace: &Namespace, origin: Origin) -> Option<ObjectKey> {
        let name = namespace.metadata.name.clone()?;
        let key = ObjectKey::new(Kind::Organization, &name, "");
        let version = number(namespace.metadata.resource_version.as_deref());
        if origin == Origin::Watch && version > 0 && self.version(&key) > version {
            return None;
        }
        self.namespace_versions.insert(name.clone(), version);
        let label =
            namespace.metadata.labels.as_ref().and_then(|labels| labels.get(api::CUSTOMER_ID));
        let terminating = namespace.metadata.deletion_timestamp.is_some();
        let seen = CachedNamespace {
            customer_id: label.filter(|label| !label.is_empty()).cloned(),
            terminating,
        };
        let before = self.namespaces.insert(name, seen.clone());
        (before.as_ref() != Some(&seen)).then_some(key)
    }

    /// Returns the keys of all objects of a kind, in one namespace or in all.
    #[must_use]
    pub fn keys(&self, kind: Kind, namespace: Option<&str>) -> Vec<ObjectKey> {
        fn of<S, T>(
            objects: &Objects<S, T>,
            kind: Kind,
            namespace: Option<&str>,
        ) -> Vec<ObjectKey> {
            match namespace {
                Some(namespace) => within(objects, namespace)
                    .map(|(name, _)| ObjectKey::new(kind, namespace, name))
                    .collect(),
                None => objects
                    .keys()
                    .map(|(namespace, name)| ObjectKey::new(kind, namespace, name))
                    .collect(),
            }
        }
        match kind {
            Kind::Secret => {
                let places =
                    self.secrets.keys().filter(|(of, _)| namespace.is_none_or(|only| only == of));
                places.map(|(namespace, name)| ObjectKey::new(kind, namespace, name)).collect()
            }
            Kind::Organization => {
                let names = self
                    .namespaces
                    .keys()
                    .filter(|name| namespace.is_none_or(|only| only == *name));
                names.map(|name| ObjectKey::new(kind, name, "")).collect()
            }
            Kind::OrgEmailDomain => of(&self.domains, kind, namespace),
            Kind::UserGroup => of(&self.groups, kind, namespace),
            Kind::User => of(&self.users, kind, namespace),
        }
    }

    /// Records the links of a user's account that others depend on, which may lag behind the spec.
    /// Returns whether they changed.
    pub fn record_applied(&mut self, key: &ObjectKey, in_force: Option<AppliedLinks>) -> bool {
        let place = (key.namespace.clone(), key.name.clone());
        if self.in_force.get(&place) == in_force.as_ref() {
            return false;
        }
        self.unindex(key);
        match in_force {
            Some(in_force) => self.in_force.insert(place, in_force),
            None => self.in_force.remove(&place),
        };
        self.reindex(key);
        true
    }

    /// Returns what of a user's account others depend on.
    #[must_use]
    pub fn in_force(&self, namespace: &str, user: &str) -> Option<&AppliedLinks> {
        self.in_force.get(&(namespace.to_owned(), user.to_owned()))
    }

    /// Whether an account is known whose `User` of this name isn't there.
    #[must_use]
    pub fn is_unowned(&self, key: &ObjectKey) -> bool {
        // Mostly there are none.
        let is_there = || {
            self.index.unowned.contains(&(
                key.namespace.clone(),
                key.name.clone(),
                key.name.clone(),
            ))
        };
        key.kind == Kind::User && !self.index.unowned.is_empty() && is_there()
    }

    /// Returns the accounts whose `User` isn't there, as far as they are known.
    pub fn unowned(&self) -> impl Iterator<Item = ObjectKey> {
        self.index
            .unowned
            .iter()
            .map(|(namespace, _, name)| ObjectKey::new(Kind::User, namespace, name))
    }

    /// Returns how many `User`s there are, and accounts without one.
    #[must_use]
    pub fn owners_known(&self) -> usize {
        self.users.len() + self.index.unowned.len()
    }

    /// Returns the names of the next `User`s, there or not, after one, or after a part of all: at
    /// most so many.
    #[must_use]
    pub fn owners_after(
        &self,
        after: Option<&(String, String)>,
        part: f64,
        most: usize,
    ) -> Vec<(String, String)> {
        let left_out = (self.users.len() as f64 * part.clamp(0.0, 1.0)) as usize;
        let after = after.or_else(|| self.users.keys().nth(left_out.checked_sub(1)?));
        let users =
            self.users.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let unowned =
            after.map(|(namespace, name)| (namespace.clone(), name.clone(), name.clone()));
        let unowned = self
            .index
            .unowned
            .range((unowned.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let users = users.take(most).map(|(place, _)| place.clone());
        let mut next: Vec<(String, String)> = users
            .chain(unowned.take(most).map(|(namespace, _, name)| (namespace.clone(), name.clone())))
            .collect();
        next.sort_unstable();
        next.truncate(most);
        next
    }

    /// Whether a namespace holds an object that stays, other than the two default groups.
    #[must_use]
    pub fn is_inhabited(&self, namespace: &str) -> bool {
        let declared = |name: &str| GroupContent::built_in(name).is_none();
        within(&self.users, namespace).any(|(_, seen)| !seen.meta.deleting)
            || within(&self.domains, namespace).any(|(_, seen)| !seen.meta.deleting)
            || within(&self.groups, namespace)
                .any(|(name, seen)| !seen.meta.deleting && declared(name))
    }

    /// Whether a namespace is going, and has no `User` any more.
    #[must_use]
    pub fn is_abandoned(&self, namespace: &str) -> bool {
        self.is_going(namespace) && within(&self.users, namespace).next().is_none()
    }

    /// Returns the address that a user asks for.
    #[must_use]
    pub fn email(&self, namespace: &str, user: &str) -> Option<&Result<Email, EmailError>> {
        self.emails.get(&(namespace.to_owned(), user.to_owned()))
    }

    /// Returns the users that are being deleted with their accounts; in a namespace that is being
    /// deleted, also those that will be.
    #[must_use]
    pub fn deleting(&self, namespace: &str) -> Deleting {
        let leaving = users_under(&self.index.leaving, namespace, "", Reach::Exactly);
        let deleted: Deleting = leaving.into_iter().map(|key| key.name).collect();
        let last = self.is_going(namespace).then(|| {
            let last = within(&self.users, namespace).filter(|(_, seen)| !seen.meta.deleting);
            Arc::new(last.map(|(name, _)| name.to_owned()).collect())
        });
        Deleting { last, ..deleted }
    }

    /// Whether a user is being deleted, and its account with it.
    #[must_use]
    pub fn takes_account(&self, namespace: &str, user: &str) -> bool {
        let place = (namespace.to_owned(), user.to_owned());
        let Some(user) = self.users.get(&place) else { return false };
        let is_its_own =
            self.in_force.get(&place).is_none_or(|account| account.owner_uid == user.meta.uid);
        user.meta.deleting && user.spec.deletion_policy == DeletionPolicy::Delete && is_its_own
    }

    fn is_going(&self, namespace: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|seen| seen.terminating)
    }
}

macro_rules! managed_resource {
    ($kind:ident, $spec:ident, $status:ident, $objects:ident) => {
        impl ManagedResource for $kind {
            const KIND: Kind = Kind::$kind;
            type Spec = $spec;
            type Status = $status;

            fn parts(self) -> (ObjectMeta, Self::Spec, Option<Self::Status>) {
                (self.metadata, self.spec, self.status)
            }

            fn objects(cache: &mut ClusterCache) -> &mut Objects<Self::Spec, Self::Status> {
                &mut cache.$objects
            }
        }

        impl HasConditions for $status {
            fn observed_generation(&self) -> Option<i64> {
                self.observed_generation
            }

            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }

            fn conditions_mut(&mut self) -> &mut Vec<Condition> {
                &mut self.conditions
            }
        }
    };
}

managed_resource!(User, UserSpec, UserStatus, users);
managed_resource!(UserGroup, UserGroupSpec, UserGroupStatus, groups);
managed_resource!(OrgEmailDomain, OrgEmailDomainSpec, OrgEmailDomainStatus, domains);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_that_is_deleted_takes_no_account_along_that_is_not_its_own() {
        let mut cache = ClusterCache::default();
        let metadata = json!({
            "namespace": "acme", "name": "root", "uid": "second", "resourceVersion": "1",
            "deletionTimestamp": "2026-11-30T12:00:00Z", "finalizers": ["acme.example/hold"],
        });
        cache.upsert::<User>(
            serde_json::from_value(json!({"metadata": metadata, "spec": {}})).unwrap(),
            Origin::Anew,
        );
        let key = ObjectKey::new(Kind::User, "acme", "root");
        for (owner, leaves) in [("first", false), ("second", true)] {
            let in_force = AppliedLinks {
                group: "administrators".to_owned(),
                follows: None,
                owner_uid: owner.to_owned(),
            };
            cache.record_applied(&key, Some(in_force));
            assert_eq!(cache.deleting("acme").contains("root"), leaves, "the account of {owner}");
        }
    }
}
