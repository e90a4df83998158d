//! Who is looked at because of what became of others.
//!
//! Dependants are found through the cache's index, and what only follows stands behind what
//! somebody waits for.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{COUNT_DEBOUNCE, Reconciler, revision};
use crate::controller::observe::Snapshot;
use crate::domain::account::Account;
use crate::domain::inheritance::{ChainLink, inherits_from};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::user::EmailHolder;
use crate::plan::{AddressMove, Decision, DomainPlan, Meta, Plan, listing_of, user};
use crate::store::{Receipt, Store};
use crate::workqueue::Priority;

impl<S: Store> Reconciler<S> {
    /// Wakes everybody in an organization in which a commit was done though it failed.
    pub(super) fn enqueue_after_uncertain(&mut self, decided: &[(ObjectKey, Snapshot, Decision)]) {
        for (key, snapshot, decision) in decided {
            let Some(before) = self.uncertain_commits.get(key) else { continue };
            if decision.plan.is_none() || *before != revision(snapshot) {
                self.uncertain_commits.remove(key);
                let kinds = [Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
                let all: Vec<_> = kinds
                    .into_iter()
                    .flat_map(|kind| self.cache.keys(kind, Some(&key.namespace)))
                    .collect();
                self.enqueue_low(all);
            }
        }
    }

    /// Wakes whom a committed change concerns.
    pub(super) fn enqueue_dependents(
        &mut self,
        snapshot: &Snapshot,
        plan: Option<&Plan>,
        receipt: &Receipt,
    ) {
        match snapshot {
            Snapshot::User(user) => {
                let after = match receipt {
                    Receipt::Account(account) => Some(account.as_ref()),
                    Receipt::Deleted { .. } | Receipt::Done => None,
                };
                self.enqueue_after_account(&user.meta, user.account.as_ref(), after);
                self.enqueue_relatives(&user.meta, user.account.as_ref(), after);
                if let Some(Plan::Account(plan)) = plan {
                    self.enqueue_after_moves(user, &plan.moves);
                    if !plan.freezes.is_empty() {
                        self.gather_heirs(Priority::Low, &user.meta.namespace, &user.meta.name);
                    }
                }
                self.enqueue_counts(user, after);
            }
            Snapshot::Group(group) => {
                self.enqueue_low(self.cache.of_group(&group.meta.namespace, &group.meta.name));
                self.enqueue_waiting_for_administrator(&group.meta.namespace);
            }
            Snapshot::Domain(domain) => {
                let namespace = &domain.meta.namespace;
                let before = domain
                    .listings
                    .get(&domain.meta.name)
                    .map(|listing| listing.domain.to_string());
                let after = match plan {
                    Some(Plan::Domain(DomainPlan::Put { listing, .. })) => {
                        Some(listing.domain.to_string())
                    }
                    _ => None,
                };
                let concerned: BTreeSet<String> = before.into_iter().chain(after).collect();
                let users: Vec<_> = concerned
                    .iter()
                    .flat_map(|domain| self.cache.of_domain(namespace, domain))
                    .collect();
                self.relisted.insert(namespace.clone());
                self.enqueue(users);
            }
        }
    }

    /// Wakes who asked for what an account no longer has.
    fn enqueue_after_account(
        &mut self,
        meta: &Meta,
        before: Option<&Account>,
        after: Option<&Account>,
    ) {
        let Some(before) = before else { return };
        let mut waiting = vec![];
        // An account that was left behind and has a User again is told of as that one's.
        let has_another_owner = after.is_some_and(|after| after.owner.uid != before.owner.uid);
        if has_another_owner
            || after.is_none_or(|after| after.content.email != before.content.email)
        {
            waiting.extend(self.cache.asking_for_email(&meta.namespace, &before.content.email));
        }
        if has_another_owner || after.is_none() {
            waiting.extend(
                self.cache.asking_for_username(&meta.namespace, before.login_name.parts().0),
            );
        }
        self.enqueue(waiting.into_iter().filter(|key| key.name != meta.name));
    }

    /// Wakes whose permissions follow from the account's, and who waits to copy something of it.
    fn enqueue_relatives(
        &mut self,
        Meta { namespace, name, .. }: &Meta,
        before: Option<&Account>,
        after: Option<&Account>,
    ) {
        if let Some(before) = before.filter(|before| before.owner.name != *name) {
            // It was taken over: nobody of its former name is followed any more.
            self.gather_heirs(Priority::Low, namespace, &before.owner.name);
            self.enqueue_low([ObjectKey::new(Kind::User, namespace, &before.owner.name)]);
        }
        let before = before.filter(|before| before.owner.name == *name);
        if before.map(ChainLink::of) != after.map(ChainLink::of) {
            self.gather_heirs(Priority::Low, namespace, name);
        }
        if before.is_some() != after.is_some() {
            self.enqueue(self.cache.followers(namespace, name));
            self.enqueue(self.cache.copiers(namespace, name));
        }
        self.enqueue_waiting_for_administrator(namespace);
    }

    pub(super) fn enqueue_waiting_for_administrator(&mut self, namespace: &str) {
        let waiting: Vec<ObjectKey> = self
            .waiting_for_administrator
            .iter()
            .filter(|key| key.namespace == namespace)
            .cloned()
            .collect();
        self.enqueue(waiting);
    }

    /// Wakes who moved to another address with somebody else's plan, and who asked for the address
    /// before.
    fn enqueue_after_moves(&mut self, user: &user::UserSnapshot, moves: &[AddressMove]) {
        let soon = Instant::now() + COUNT_DEBOUNCE;
        for (EmailHolder { account, .. }, moved) in user.contest.rivals.iter().zip(moves) {
            let namespace = &account.namespace;
            self.enqueue([ObjectKey::new(Kind::User, namespace, &account.owner.name)]);
            self.enqueue(self.cache.asking_for_email(namespace, &account.content.email));
            for email in [&account.content.email, &moved.to] {
                if let Some(name) = listing_of(&user.organization.record.listings, email.domain()) {
                    self.queue.enqueue(ObjectKey::new(Kind::OrgEmailDomain, namespace, name), soon);
                }
            }
        }
    }

    /// Lets the groups and domains whose counts changed tell them soon, at once where one waits to
    /// go.
    fn enqueue_counts(&mut self, user: &user::UserSnapshot, after: Option<&Account>) {
        let namespace = &user.meta.namespace;
        let uses = |account: &Account| {
            let listings = &user.organization.record.listings;
            let listing = listing_of(listings, account.content.email.domain());
            let listing = listing.map(|name| ObjectKey::new(Kind::OrgEmailDomain, namespace, name));
            let source =
                inherits_from(account).map(|name| ObjectKey::new(Kind::User, namespace, name));
            listing
                .into_iter()
                .chain(source)
                .chain([ObjectKey::new(Kind::UserGroup, namespace, &account.content.group)])
                .collect::<BTreeSet<_>>()
        };
        let before = user.account.as_ref().map(uses).unwrap_or_default();
        let after = after.map(uses).unwrap_or_default();
        let now = Instant::now();
        for key in before.symmetric_difference(&after) {
            let goes = self.cache.about(key).is_some_and(|(meta, ..)| meta.deleting);
            self.queue.enqueue(key.clone(), if goes { now } else { now + COUNT_DEBOUNCE });
        }
    }

    /// A user on its way out is no member, heir or user any more: wakes what may go for that
    /// reason, and who waits to follow it.
    fn enqueue_after_deletion(&mut self, key: &ObjectKey) {
        let place = (key.namespace.clone(), key.name.clone());
        let Some(user) = self.cache.users.get(&place) else { return };
        let mut concerned = self.cache.keys(Kind::OrgEmailDomain, Some(&key.namespace));
        let in_force = self.cache.in_force(&key.namespace, &key.name);
        let group = in_force.map_or(&user.spec.group_ref.name, |account| &account.group);
        concerned.push(ObjectKey::new(Kind::UserGroup, &key.namespace, group));
        let source = in_force.and_then(|account| account.follows.clone());
        concerned.extend(source.map(|name| ObjectKey::new(Kind::User, &key.namespace, name)));
        let goes = |key: &ObjectKey| self.cache.about(key).is_some_and(|(meta, ..)| meta.deleting);
        let (going, staying): (Vec<_>, Vec<_>) = concerned.into_iter().partition(goes);
        self.enqueue(going);
        // They count it no more.
        let soon = Instant::now() + COUNT_DEBOUNCE;
        staying.into_iter().for_each(|key| self.queue.enqueue(key, soon));
        self.gather_heirs(Priority::Low, &key.namespace, &key.name);
        self.enqueue_waiting_for_administrator(&key.namespace);
    }

    /// Wakes what may go with its namespace because no `User` is left there.
    pub(super) fn enqueue_abandoned(&mut self, namespace: &str) {
        if self.cache.is_abandoned(namespace) {
            let groups = self.cache.keys(Kind::UserGroup, Some(namespace));
            self.enqueue(
                groups.into_iter().chain(self.cache.keys(Kind::OrgEmailDomain, Some(namespace))),
            );
        }
    }

    /// Returns the other users who ask for the address or the username that a user asks for: they
    /// are told whether it is there.
    pub(super) fn competing_users(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        let ObjectKey { namespace, name, .. } = key;
        let Some(user) = self.cache.users.get(&(namespace.clone(), name.clone())) else {
            return vec![];
        };
        let email = self.cache.email(namespace, name).and_then(|email| email.as_ref().ok());
        let mut others =
            email.map(|email| self.cache.asking_for_email(namespace, email)).unwrap_or_default();
        others.extend(
            self.cache.asking_for_username(namespace, user.spec.username.as_ref().unwrap_or(name)),
        );
        others.retain(|other| other.name != *name);
        others
    }

    /// Wakes who named a user that wasn't there, is on its way out, or has no account and so leads
    /// on by what it declares.
    pub(super) fn enqueue_after_upsert(&mut self, key: &ObjectKey, came_or_goes: bool) {
        let place = (key.namespace.clone(), key.name.clone());
        let Some(user) = self.cache.users.get(&place) else { return };
        let (leaving, declares) = (user.meta.deleting, user.status.account_id.is_none());
        if came_or_goes && leaving {
            self.enqueue_after_deletion(key);
        } else if came_or_goes || declares {
            self.gather_heirs(Priority::Low, &key.namespace, &key.name);
            self.enqueue_low(self.cache.copiers(&key.namespace, &key.name));
        }
    }
}
