//! Finds the objects to reconcile because others changed.
//!
//! The cache's index names them. What only follows from a change has low priority: one change may
//! reach thousands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{COUNT_DEBOUNCE, in_force, revision};
use crate::controller::cache::{AppliedLinks, ClusterCache};
use crate::controller::observe::Snapshot;
use crate::domain::account::{Account, AccountId, Revision};
use crate::domain::email::Email;
use crate::domain::inheritance::{ChainLink, inherits_from};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::user::EmailHolder;
use crate::plan::{AddressMove, Blocked, Decision, DomainPlan, Meta, Plan, listing_of, user};
use crate::store::{Receipt, StoreError};
use crate::workqueue::{DueKeys, Priority};

/// Users that wait for others, and dependents that are found when the next round begins.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    /// The users whose heirs are to be reconciled, by priority and namespace. Many changes of a
    /// round may reach the same heirs, which are found once.
    heirs_of: BTreeMap<(Priority, String), BTreeSet<String>>,
    /// The namespaces in which a listing changed: addresses may count to another listing of theirs
    /// now.
    relisted: BTreeSet<String>,
    waiting_for_administrator: BTreeSet<ObjectKey>,
    /// The users that wait to take over an account, and which.
    takeovers: HashMap<ObjectKey, AccountId>,
    /// The objects whose commit failed and may have been done all the same, with the revision that
    /// it was planned from: no dependent was enqueued after it.
    uncertain_commits: HashMap<ObjectKey, Option<Revision>>,
}

impl Dependents {
    pub(super) fn has_gathered(&self) -> bool {
        !self.heirs_of.is_empty() || !self.relisted.is_empty()
    }

    /// Returns the dependents of all that changed since the last round began.
    pub(super) fn take_gathered(&mut self, cache: &ClusterCache) -> DueKeys {
        let mut due = DueKeys::default();
        for namespace in std::mem::take(&mut self.relisted) {
            due.now(cache.keys(Kind::OrgEmailDomain, Some(&namespace)));
        }
        for ((priority, namespace), users) in std::mem::take(&mut self.heirs_of) {
            due.put(cache.heirs(&namespace, users.iter().map(String::as_str)), priority);
        }
        due
    }

    /// Reconciles a user's heirs, direct and indirect, when the next round begins.
    pub(super) fn gather_heirs(&mut self, priority: Priority, namespace: &str, user: &str) {
        self.heirs_of.entry((priority, namespace.to_owned())).or_default().insert(user.to_owned());
    }

    /// Records what others depend on, as far as an account shows it.
    pub(super) fn record_unowned(
        &mut self,
        cache: &mut ClusterCache,
        user: &ObjectKey,
        account: Option<AppliedLinks>,
    ) {
        if cache.record_applied(user, account) {
            // Until now the cache couldn't tell that its heirs are its source's, too.
            self.gather_heirs(Priority::Low, &user.namespace, &user.name);
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.waiting_for_administrator.remove(key);
        self.takeovers.remove(key);
        self.uncertain_commits.remove(key);
    }

    /// Whether a user waits to take over an account.
    pub(super) fn takes_over(&self, key: &ObjectKey) -> bool {
        self.takeovers.contains_key(key)
    }

    pub(super) fn taking_over(&self, is_one: impl Fn(&AccountId) -> bool) -> Vec<ObjectKey> {
        let waiting = self.takeovers.iter().filter(|(_, account)| is_one(account));
        waiting.map(|(user, _)| user.clone()).collect()
    }

    /// Records what a decision shows: which links are applied, and which user waits for an
    /// administrator or an account.
    pub(super) fn record_decision(
        &mut self,
        cache: &mut ClusterCache,
        (key, snapshot, decision): &(ObjectKey, Snapshot, Decision),
    ) -> DueKeys {
        let mut due = DueKeys::default();
        if let Snapshot::User(user) = snapshot {
            let links = user.account.as_ref().map(in_force);
            let source = links.as_ref().and_then(|links| links.follows.clone());
            let is_undeclared = source.is_some() && source.as_deref() != user::follows(&user.spec);
            if cache.record_applied(key, links) {
                if is_undeclared {
                    // Until now the cache couldn't tell that its heirs are its source's, too.
                    self.gather_heirs(Priority::Low, &key.namespace, &key.name);
                }
                if user.meta.deleting {
                    // Nor that it takes the account of its name along.
                    due.now(self.waiting_for_administrator(&key.namespace));
                }
            }
            match user.left_behind().filter(|_| decision.plan.is_none()) {
                Some(account) => self.takeovers.insert(key.clone(), account.id),
                None => self.takeovers.remove(key),
            };
        }
        if decision.blocked.iter().any(|why| matches!(why, Blocked::LastAdministrator { .. })) {
            self.waiting_for_administrator.insert(key.clone());
        } else {
            self.waiting_for_administrator.remove(key);
        }
        due
    }

    /// Records whether a commit of these decisions may have been done though it failed.
    pub(super) fn record_outcome<T>(
        &mut self,
        decided: &[(ObjectKey, Snapshot, Decision)],
        outcome: &Result<T, StoreError>,
    ) {
        let planned = decided.iter().filter(|(_, _, decision)| decision.plan.is_some());
        match outcome {
            Err(error) if error.is_about_data() => {}
            Err(_) => self
                .uncertain_commits
                .extend(planned.map(|(key, snapshot, _)| (key.clone(), revision(snapshot)))),
            Ok(_) => planned.for_each(|(key, ..)| _ = self.uncertain_commits.remove(key)),
        }
    }

    /// Returns everything in an organization in which a commit was done though it failed.
    pub(super) fn after_uncertain(
        &mut self,
        cache: &ClusterCache,
        decided: &[(ObjectKey, Snapshot, Decision)],
    ) -> DueKeys {
        let mut due = DueKeys::default();
        for (key, snapshot, decision) in decided {
            let Some(before) = self.uncertain_commits.get(key) else { continue };
            if decision.plan.is_none() || *before != revision(snapshot) {
                self.uncertain_commits.remove(key);
                due.low(all_in(cache, &key.namespace));
            }
        }
        due
    }

    /// Returns the dependents of a change that the store confirmed.
    pub(super) fn after_commit(
        &mut self,
        cache: &ClusterCache,
        snapshot: &Snapshot,
        plan: Option<&Plan>,
        receipt: &Receipt,
    ) -> DueKeys {
        let mut due = DueKeys::default();
        let Meta { namespace, name, .. } = snapshot.meta();
        match snapshot {
            Snapshot::User(user) => {
                let after = match receipt {
                    Receipt::Account(account) => Some(account.as_ref()),
                    Receipt::Deleted { .. } | Receipt::Done => None,
                };
                let change = AccountDiff { user, before: user.account.as_ref(), after };
                due.now(change.waiting_for_names(cache));
                self.enqueue_relatives(cache, &change, &mut due);
                if let Some(Plan::Account(plan)) = plan {
                    enqueue_moved(cache, user, &plan.moves, &mut due);
                    if !plan.freezes.is_empty() {
                        self.gather_heirs(Priority::Low, namespace, name);
                    }
                }
                enqueue_counts(cache, change.counted(), &mut due);
            }
            Snapshot::Group(_) => {
                due.low(cache.of_group(namespace, name));
                due.now(self.waiting_for_administrator(namespace));
            }
            Snapshot::Domain(domain) => {
                let before = domain.listings.get(name);
                let after = match plan {
                    Some(Plan::Domain(DomainPlan::Put { listing, .. })) => Some(listing),
                    _ => None,
                };
                let domains = before.into_iter().chain(after);
                let domains: BTreeSet<_> = domains.map(|it| it.domain.to_string()).collect();
                self.relisted.insert(namespace.clone());
                due.now(domains.iter().flat_map(|domain| cache.of_domain(namespace, domain)));
            }
        }
        due
    }

    /// Enqueues users whose permissions follow from an account, and who wait to copy it.
    fn enqueue_relatives(
        &mut self,
        cache: &ClusterCache,
        change: &AccountDiff<'_>,
        due: &mut DueKeys,
    ) {
        let AccountDiff { user, before, after } = change;
        let Meta { namespace, name, .. } = &user.meta;
        if let Some(before) = before.filter(|before| before.owner.name != *name) {
            // It was taken over: its former name has no heirs any more.
            self.gather_heirs(Priority::Low, namespace, &before.owner.name);
            due.low([ObjectKey::new(Kind::User, namespace, &before.owner.name)]);
        }
        let before = before.filter(|before| before.owner.name == *name);
        if before.map(ChainLink::of) != after.map(ChainLink::of) {
            self.gather_heirs(Priority::Low, namespace, name);
        }
        if before.is_some() != after.is_some() {
            due.now(cache.followers(namespace, name));
            due.now(cache.copiers(namespace, name));
        }
        due.now(self.waiting_for_administrator(namespace));
    }

    fn waiting_for_administrator(&self, namespace: &str) -> Vec<ObjectKey> {
        let waiting = self.waiting_for_administrator.iter();
        waiting.filter(|key| key.namespace == namespace).cloned().collect()
    }

    /// Returns the dependents of a `User` that arrived or changed: those that name it as their
    /// source wait for it, or for the end of its deletion, or inherit through what it declares.
    pub(super) fn after_upsert(
        &mut self,
        cache: &ClusterCache,
        key: &ObjectKey,
        came_or_goes: bool,
    ) -> DueKeys {
        let mut due = DueKeys::default();
        let Some(user) = cache.user(key) else { return due };
        let has_no_account = user.status.account_id.is_none();
        if came_or_goes && user.meta.deleting {
            let links = cache.in_force(&key.namespace, &key.name);
            let group = links.map_or(&user.spec.group_ref.name, |links| &links.group).clone();
            let source = links.and_then(|links| links.follows.clone());
            enqueue_counts(cache, counting(cache, &key.namespace, group, source), &mut due);
            self.gather_heirs(Priority::Low, &key.namespace, &key.name);
            due.now(self.waiting_for_administrator(&key.namespace));
        } else if came_or_goes || has_no_account {
            self.gather_heirs(Priority::Low, &key.namespace, &key.name);
            due.low(cache.copiers(&key.namespace, &key.name));
        }
        due
    }

    /// Returns the dependents of an object that is gone, with what was applied of its account.
    pub(super) fn after_removal(
        &mut self,
        cache: &ClusterCache,
        key: &ObjectKey,
        links: Option<AppliedLinks>,
    ) -> DueKeys {
        let mut due = DueKeys::default();
        let ObjectKey { namespace, name, .. } = key;
        if key.kind == Kind::Secret {
            due.now(cache.of_secret(namespace, name));
            return due;
        }
        if key.kind == Kind::User {
            if let Some(AppliedLinks { group, follows, .. }) = links {
                // A released account counts again.
                due.after(COUNT_DEBOUNCE, counting(cache, namespace, group, follows));
            }
            due.now(self.waiting_for_administrator(namespace));
            due.now(abandoned(cache, namespace));
            self.gather_heirs(Priority::High, namespace, name);
            due.now(cache.copiers(namespace, name));
        }
        if key.kind == Kind::UserGroup {
            due.now(cache.of_group(namespace, name));
        }
        due.now([key.clone(), ObjectKey::new(Kind::Organization, namespace, "")]);
        due
    }
}

struct AccountDiff<'a> {
    user: &'a user::UserSnapshot,
    before: Option<&'a Account>,
    after: Option<&'a Account>,
}

impl AccountDiff<'_> {
    /// Returns the users that ask for an address or username which the account no longer has.
    fn waiting_for_names(&self, cache: &ClusterCache) -> Vec<ObjectKey> {
        let Self { user, before: Some(before), after } = self else { return vec![] };
        let Meta { namespace, name, .. } = &user.meta;
        let mut waiting = vec![];
        // The status of the new owner reports the account from now on.
        let has_another_owner = after.is_some_and(|after| after.owner.uid != before.owner.uid);
        let email = &before.content.email;
        if has_another_owner || after.is_none_or(|after| after.content.email != *email) {
            waiting.extend(cache.asking_for_email(namespace, email));
        }
        if has_another_owner || after.is_none() {
            waiting.extend(cache.asking_for_username(namespace, before.login_name.parts().0));
        }
        waiting.retain(|key| key.name != *name);
        waiting
    }

    /// Returns the listings, groups and sources whose counts the change alters.
    fn counted(&self) -> Vec<ObjectKey> {
        let namespace = &self.user.meta.namespace;
        let counting = |account: &Account| {
            let listings = &self.user.organization.record.listings;
            let listing = listing_of(listings, account.content.email.domain());
            let listing = listing.map(|name| ObjectKey::new(Kind::OrgEmailDomain, namespace, name));
            let source =
                inherits_from(account).map(|name| ObjectKey::new(Kind::User, namespace, name));
            let group = ObjectKey::new(Kind::UserGroup, namespace, &account.content.group);
            listing.into_iter().chain(source).chain([group]).collect::<BTreeSet<_>>()
        };
        let before = self.before.map(counting).unwrap_or_default();
        let after = self.after.map(counting).unwrap_or_default();
        before.symmetric_difference(&after).cloned().collect()
    }
}

/// Enqueues objects whose counts change: one that is being deleted may wait for just that, the
/// others report what many changes add up to.
fn enqueue_counts(cache: &ClusterCache, keys: Vec<ObjectKey>, due: &mut DueKeys) {
    let is_deleting = |key: &ObjectKey| cache.about(key).is_some_and(|(meta, ..)| meta.deleting);
    let (deleting, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_deleting);
    due.now(deleting);
    due.after(COUNT_DEBOUNCE, others);
}

/// Enqueues the users that another one's plan moved to other addresses, and who asked for the ones
/// that they had.
fn enqueue_moved(
    cache: &ClusterCache,
    user: &user::UserSnapshot,
    moves: &[AddressMove],
    due: &mut DueKeys,
) {
    for (EmailHolder { account, .. }, moved) in user.contest.rivals.iter().zip(moves) {
        let namespace = &account.namespace;
        due.now([ObjectKey::new(Kind::User, namespace, &account.owner.name)]);
        due.now(cache.asking_for_email(namespace, &account.content.email));
        let listing = |email: &Email| {
            let name = listing_of(&user.organization.record.listings, email.domain())?;
            Some(ObjectKey::new(Kind::OrgEmailDomain, namespace, name))
        };
        due.after(
            COUNT_DEBOUNCE,
            [&account.content.email, &moved.to].into_iter().filter_map(listing),
        );
    }
}

/// Returns what counts an account: the listings of its organization, its group and its source.
fn counting(
    cache: &ClusterCache,
    namespace: &str,
    group: String,
    source: Option<String>,
) -> Vec<ObjectKey> {
    let mut counting = cache.keys(Kind::OrgEmailDomain, Some(namespace));
    counting.push(ObjectKey::new(Kind::UserGroup, namespace, group));
    counting.extend(source.map(|name| ObjectKey::new(Kind::User, namespace, name)));
    counting
}

pub(super) fn all_in(cache: &ClusterCache, namespace: &str) -> Vec<ObjectKey> {
    let kinds = [Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
    kinds.into_iter().flat_map(|kind| cache.keys(kind, Some(namespace))).collect()
}

/// Returns the groups and listings that may go with their namespace because it has no `User` left.
fn abandoned(cache: &ClusterCache, namespace: &str) -> Vec<ObjectKey> {
    if !cache.is_abandoned(namespace) {
        return vec![];
    }
    let kinds = [Kind::UserGroup, Kind::OrgEmailDomain];
    kinds.into_iter().flat_map(|kind| cache.keys(kind, Some(namespace))).collect()
}

/// Returns the other users that ask for the address or the username that a user asks for: their
/// status says whether it is there.
pub(super) fn competing_users(cache: &ClusterCache, key: &ObjectKey) -> Vec<ObjectKey> {
    let ObjectKey { namespace, name, .. } = key;
    let Some(user) = cache.user(key) else { return vec![] };
    let email = cache.email(namespace, name).and_then(|email| email.as_ref().ok());
    let mut others =
        email.map(|email| cache.asking_for_email(namespace, email)).unwrap_or_default();
    let username = user.spec.username.as_ref().unwrap_or(name);
    others.extend(cache.asking_for_username(namespace, username));
    others.retain(|other| other.name != *name);
    others
}
