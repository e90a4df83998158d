//! The decision, pure: from a snapshot of one object to what is asked of the store and of
//! Kubernetes.
//!
//! Nothing here reads a clock, a client or a coin; what a decision needs stands in its snapshot.
//! The rooms: [`user`], [`user_group`] and [`org_email_domain`] decide, [`permission_source`] where a user's
//! permissions come from, [`status`] says what the resource's status is once the store has
//! answered.

pub mod adoption;
pub mod blocked;
mod cycles;
pub mod directories;
pub mod in_flight;
pub mod org_email_domain;
pub mod organization;
pub mod permission_source;
pub mod profile;
pub mod status;
pub mod unreadable;
pub mod user;
pub mod user_group;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use self::blocked::{Blocked, StoreTrouble};
use crate::api::lenient::Unreadable;
use crate::domain::account::{
    Account, AccountId, AccountSpec, Confirmations, LoginState, Owner, Revision, SecretPassword,
    TransactionId, TransactionKind,
};
use crate::domain::email::{Domain, Email};
use crate::domain::group::GroupContent;
use crate::domain::inheritance;
use crate::domain::organization::{CustomerId, CustomerIdError, LoginName, Organization};
use crate::domain::password::PasswordHash;
use crate::domain::permission::Permissions;
use crate::domain::self_service::ProfileChange;

/// What every resource has beside its spec, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The namespace, which stands for the organization.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Tells a re-created object from the one before.
    pub uid: String,
    /// Counts the changes of the spec.
    pub generation: i64,
    /// Whether somebody deleted it, and only finalizers hold it.
    pub deleting: bool,
    /// Whether `roster.rs/paused` makes its spec and deletion wait.
    pub paused: bool,
    /// Whether our finalizer holds it.
    pub has_finalizer: bool,
    /// Whether `roster.rs/release` asks us to let go of it for good.
    pub release_requested: bool,
    /// What of its spec this version doesn't understand.
    pub unreadable: Unreadable,
}

/// What is known of the organization that an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationFacts {
    /// The namespace.
    pub namespace: String,
    /// The customer ID that the namespace presents now.
    pub customer_id: Result<CustomerId, CustomerIdError>,
    /// What the store knows of it.
    pub record: OrganizationRecord,
    /// The groups that are being deleted, and take no new members.
    pub deleting_groups: BTreeSet<String>,
    /// The `OrgEmailDomain`s that are being deleted, and take no new addresses.
    pub deleting_listings: BTreeSet<String>,
    /// The `User`s that are being deleted, and who counts then.
    pub deleting_users: Deleting,
}

/// Who of an organization is on the way out, by the names of their `User`s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleting {
    /// Those that are being deleted with their accounts: they don't count as members, heirs or
    /// users. The account of one that is retained stays, and counts before and after.
    pub deleted: Arc<BTreeSet<String>>,
    /// Where the namespace is being deleted too, those that aren't yet. Nobody else keeps anybody
    /// there: an account without a `User` outlives the namespace, and nobody could say anything
    /// about it there.
    pub last: Option<Arc<BTreeSet<String>>>,
}

impl Deleting {
    /// Whether the account of the `User` of this name is on its way out with it.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        self.deleted.contains(user)
    }

    /// Whether the account of the `User` of this name counts as an heir's, a user's or an
    /// administrator's who stays.
    #[must_use]
    pub fn stays(&self, user: &str) -> bool {
        match &self.last {
            Some(last) => last.contains(user),
            None => !self.contains(user),
        }
    }
}

impl FromIterator<String> for Deleting {
    fn from_iter<T: IntoIterator<Item = String>>(deleted: T) -> Self {
        Self { deleted: Arc::new(deleted.into_iter().collect()), last: None }
    }
}

/// What the store knows of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationRecord {
    /// The customer ID that the organization's first account claimed, if there was one.
    pub claimed: Option<CustomerId>,
    /// Whether another namespace claimed the customer ID that the organization presents now.
    pub taken: bool,
    /// The declared groups, by name.
    pub groups: BTreeMap<String, GroupContent>,
    /// The listed domains, by the name of their `OrgEmailDomain`.
    pub listings: BTreeMap<String, Listing>,
}

impl OrganizationRecord {
    /// Returns the name of the listing that an address in `domain` counts to: the most specific one
    /// that stays, else the most specific one that is on its way out.
    #[must_use]
    pub fn listing_of(&self, domain: &str, leaving: &BTreeSet<String>) -> Option<&str> {
        let staying = self.listings.iter().filter(|(name, _)| !leaving.contains(*name));
        listing_of(staying, domain).or_else(|| listing_of(&self.listings, domain))
    }

    /// Returns how many accounts count to each listing, of so many by the domain of their address.
    ///
    /// Each domain is looked up with those above it, not compared with all that are listed: an
    /// organization may list thousands.
    #[must_use]
    pub fn users_by_listing(
        &self,
        leaving: &BTreeSet<String>,
        accounts: &BTreeMap<String, i64>,
    ) -> BTreeMap<String, i64> {
        let by_domain: HashMap<&str, (&String, &Listing)> = self
            .listings
            .iter()
            .map(|(name, listing)| (listing.domain.as_str(), (name, listing)))
            .collect();
        let mut users: BTreeMap<String, i64> = BTreeMap::new();
        for (domain, accounts) in accounts {
            let above = std::iter::successors(Some(domain.as_str()), |domain| {
                Some(domain.split_once('.')?.1)
            });
            let accepting: Vec<&String> = above
                .filter_map(|above| by_domain.get(above))
                .filter(|(_, listing)| listing.accepts(domain))
                .map(|(name, _)| *name)
                .collect();
            let staying = accepting.iter().find(|name| !leaving.contains(**name));
            if let Some(name) = staying.or(accepting.first()) {
                *users.entry((*name).clone()).or_default() += accounts;
            }
        }
        users
    }

    /// Whether an account with this content has full control and may log in.
    #[must_use]
    pub fn is_administrator(&self, content: &AccountSpec) -> bool {
        content.lifecycle == LoginState::Enabled && self.has_full_control(&content.group)
    }

    /// Whether a group gives its members full control.
    #[must_use]
    pub fn has_full_control(&self, group: &str) -> bool {
        self.group(group).is_some_and(|group| group.full_control)
    }

    /// Returns the permissions in effect of an account, whose source is found by its `User`'s name.
    pub fn effective<'a>(
        &self,
        account: &'a Account,
        find: impl Fn(&str) -> Option<&'a Account>,
    ) -> Permissions {
        inheritance::effective(account, self.group(&account.content.group).as_ref(), find)
    }

    /// Returns what a group gives its members: as declared, else as every organization has it.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<GroupContent> {
        self.groups.get(name).cloned().or_else(|| GroupContent::built_in(name))
    }
}

/// What is to become of an object: what is asked of the store, and what keeps the rest from
/// happening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is asked of the store; nothing where the account is as it should be.
    pub plan: Option<Plan>,
    /// What of the spec can't be done now, in the order in which `Ready` names it.
    pub blocked: Vec<Blocked>,
    /// What becomes of the finalizer once the plan is committed.
    pub finalizer: FinalizerAction,
    /// Whether the plan puts values back that were changed in the store behind the operator's back.
    pub repairs_drift: bool,
    /// The `User`s that the plan counts on having no account.
    pub absent: Vec<String>,
    /// Whether something is left to be done as soon as the plan is committed.
    pub requeue: bool,
    /// The account that directories are to drop, which the store knows nothing of.
    pub deprovisions: Option<AccountId>,
}

/// Who of an organization stays in control when somebody or something else is left out of account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdminCoverage {
    /// Whether another user that stays has full control and may log in.
    pub administrators: bool,
    /// Whether there is a user that stays.
    pub users: bool,
}

impl AdminCoverage {
    /// Whether users stay, and nobody among them is in control.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self.users && !self.administrators
    }
}

/// What becomes of our finalizer on an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalizerAction {
    /// It stays as it is.
    #[default]
    Keep,
    /// It goes on, before anything is written to the store.
    Add,
    /// It comes off, and the object goes.
    Remove,
}

/// Returns what is decided by the finalizer alone, whatever the kind.
///
/// An object that we don't hold is taken hold of first; one that goes, or that somebody released,
/// isn't ours any more.
fn without_finalizer(meta: &Meta) -> Option<Decision> {
    match meta {
        Meta { has_finalizer: true, .. } => None,
        Meta { deleting: true, .. } => Some(Decision::blocked(Blocked::Deleting)),
        Meta { release_requested: true, .. } => Some(Decision::default()),
        _ => Some(Decision::only_finalizer(FinalizerAction::Add)),
    }
}

impl Decision {
    /// Returns the decision to do nothing but say why.
    #[must_use]
    pub fn blocked(why: Blocked) -> Self {
        Self { blocked: vec![why], ..Self::default() }
    }

    /// Returns the decision to change an account.
    fn planned(plan: AccountPlan) -> Self {
        Self { plan: Some(Plan::Account(Box::new(plan))), ..Self::default() }
    }

    /// Returns how many others' accounts it names, which is what it costs to judge and to commit.
    #[must_use]
    pub fn named(&self) -> usize {
        let others = match &self.plan {
            Some(Plan::Account(plan)) => {
                plan.moves.len() + plan.freezes.len() + plan.preconditions.len()
            }
            _ => 0,
        };
        others + self.absent.len()
    }

    /// Returns the decision to change the finalizer only.
    #[must_use]
    pub fn only_finalizer(finalizer: FinalizerAction) -> Self {
        Self { finalizer, ..Self::default() }
    }
}

/// What is asked of the store: one transaction, whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Changes one account, and the addresses of those that make room for it.
    Account(Box<AccountPlan>),
    /// Puts a group in force, or takes it out.
    Group(GroupPlan),
    /// Lists a domain, or takes it off the list.
    Domain(DomainPlan),
    /// Changes what a member may change of themselves.
    Member(MemberPlan),
    /// Hashes a password anew that stays the same.
    Rehash(RehashPlan),
    /// Notes what directories confirmed, and completes what waited for it.
    Confirm(ConfirmPlan),
}

/// How urgent a plan is, the more urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It disables an account, or takes rights away that it has.
    Revokes,
    /// It deletes an account. An application that has locked its cases may hold that up.
    Deletes,
    /// Nobody loses anything by it.
    Other,
}

impl Plan {
    /// Returns how urgent it is, where the account that it changes has this before.
    #[must_use]
    pub fn urgency(&self, before: Option<&AccountSpec>) -> Urgency {
        let Self::Account(plan) = self else { return Urgency::Other };
        match (&plan.change, before) {
            (AccountChange::Delete { .. }, _) => Urgency::Deletes,
            (AccountChange::Update { content, .. }, Some(before)) => {
                let is_disabled = (before.lifecycle, content.lifecycle)
                    == (LoginState::Enabled, LoginState::Disabled);
                let loses_source = before.source.is_some() && before.source != content.source;
                // Another group may give less.
                let loses = loses_source
                    || before.group != content.group
                    || !before.grants.is_subset(&content.grants);
                if is_disabled || loses { Urgency::Revokes } else { Urgency::Other }
            }
            (
                AccountChange::Create { .. }
                | AccountChange::Release { .. }
                | AccountChange::Update { .. },
                _,
            ) => Urgency::Other,
        }
    }

    /// Whether it is about a new account.
    #[must_use]
    pub fn creates(&self) -> bool {
        matches!(self, Self::Account(plan) if matches!(plan.change, AccountChange::Create { .. }))
    }
}

/// What a member changes of themselves, whole or not at all; it is asked for with their login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlan {
    /// The namespace of the organization.
    pub namespace: String,
    /// The account.
    pub account: AccountId,
    /// The changes, in order.
    pub changes: Vec<ProfileChange>,
    /// The member's new password, which begins a PasswordChange.
    pub password: Option<PasswordHash>,
}

/// A stronger hash of a password that somebody just logged in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RehashPlan {
    /// The namespace of the organization.
    pub namespace: String,
    /// The account.
    pub account: AccountId,
    /// The hash that the password was checked against; the store refuses when it isn't that any
    /// more.
    pub before: PasswordHash,
    /// The hash of the same password.
    pub after: PasswordHash,
}

/// What directories confirmed of an account, one that was deleted too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmPlan {
    /// The namespace of the organization.
    pub namespace: String,
    /// The account.
    pub account: AccountId,
    /// What each directory has now; without a fingerprint, what is about to be brought at the same
    /// revision.
    pub confirmed: Confirmations,
}

/// A change of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPlan {
    /// The organization that the account belongs to.
    pub organization: Organization,
    /// The `User` that asks for it.
    pub owner: Owner,
    /// What changes.
    pub change: AccountChange,
    /// The accounts that move to another address in the same transaction.
    pub moves: Vec<AddressMove>,
    /// What other accounts keep while they are on a loop with this one, in the same transaction.
    pub freezes: Vec<FrozenPermissions>,
    /// The accounts that the change was made by, beside the changed one.
    pub preconditions: Vec<Precondition>,
    /// The `User`s that are being deleted.
    pub leaving: Deleting,
}

/// What changes about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// A new account. Claims the customer ID with the first one of an organization.
    Create {
        /// The id that the account is to have; nothing where the store chooses one.
        id: Option<AccountId>,
        /// The Create of this `User`.
        transaction: TransactionId,
        /// The login name, fixed from now on.
        login_name: LoginName,
        /// What the account has.
        content: AccountSpec,
        /// Its initial password.
        password: Option<SecretPassword>,
    },
    /// Another content for an account.
    Update {
        /// The account.
        account: AccountId,
        /// The revision that the plan was made from; the store refuses an older one.
        from: Revision,
        /// The transaction that the change is, where it is one.
        transaction: Option<(TransactionId, TransactionKind)>,
        /// What the account has afterwards.
        content: AccountSpec,
        /// A new password from a Secret.
        password: Option<SecretPassword>,
        /// Whether the account of another `User`, which is gone, is taken over.
        adopts: bool,
    },
    /// The end of an account: cases unassigned, personal data erased, its lifetime kept.
    Delete {
        /// The account.
        account: AccountId,
        /// The revision that the plan was made from; the store refuses an older one.
        from: Revision,
        /// The Delete of this account.
        transaction: TransactionId,
    },
    /// The account stays, and has no `User` any more.
    Release {
        /// The account.
        account: AccountId,
        /// The revision that the plan was made from; the store refuses an older one.
        from: Revision,
    },
}

/// An account that moves to another address to make room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMove {
    /// The account.
    pub account: AccountId,
    /// The revision that the plan was made from; the store refuses an older one.
    pub from: Revision,
    /// Its new address.
    pub to: Email,
}

/// What an account keeps of its permissions because it is on a loop, or not on one any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenPermissions {
    /// The account.
    pub account: AccountId,
    /// The revision that the plan was made from; the store refuses an older one.
    pub from: Revision,
    /// What it keeps; nothing where it follows its source again.
    pub kept: Option<Permissions>,
}

/// An account as a plan was made from it; the store refuses the plan if it changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// The account.
    pub account: AccountId,
    /// Its revision.
    pub revision: Revision,
}

/// A change of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupPlan {
    /// The group is in force with this content, for every member at once.
    Put {
        /// The namespace of the organization.
        namespace: String,
        /// The name of the group.
        name: String,
        /// What it gives its members.
        content: GroupContent,
        /// The `User`s that are being deleted.
        leaving: Deleting,
    },
    /// The group isn't declared any more; refused while it has members that stay.
    Drop {
        /// The namespace of the organization.
        namespace: String,
        /// The name of the group.
        name: String,
        /// The `User`s that are being deleted.
        leaving: Deleting,
    },
}

/// A change of one listed domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPlan {
    /// Addresses in the domain are accepted.
    Put {
        /// The namespace of the organization.
        namespace: String,
        /// The name of the `OrgEmailDomain`.
        name: String,
        /// What it accepts.
        listing: Listing,
    },
    /// The domain isn't listed any more; refused while accounts that stay have an address in it.
    Drop {
        /// The namespace of the organization.
        namespace: String,
        /// The name of the `OrgEmailDomain`.
        name: String,
        /// The `User`s that are being deleted.
        leaving: Deleting,
    },
}

/// A domain as an organization lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The domain.
    pub domain: Domain,
    /// Whether addresses in its subdomains are accepted too.
    pub include_subdomains: bool,
}

impl Listing {
    /// Whether an address in `domain` is accepted.
    #[must_use]
    pub fn accepts(&self, domain: &str) -> bool {
        self.domain.covers(domain, self.include_subdomains)
    }
}

/// Returns the name of the listing that an address in `domain` counts to: the most specific one.
#[must_use]
pub fn listing_of<'a>(
    listings: impl IntoIterator<Item = (&'a String, &'a Listing)>,
    domain: &str,
) -> Option<&'a str> {
    listings
        .into_iter()
        .filter(|(_, listing)| listing.accepts(domain))
        .max_by_key(|(_, listing)| listing.domain.as_str().len())
        .map(|(name, _)| name.as_str())
}

/// Whether the listing of this name is the only one that accepts an address in `domain`.
#[must_use]
pub fn needs<'a>(
    listings: impl IntoIterator<Item = (&'a String, &'a Listing)>,
    name: &str,
    domain: &str,
) -> bool {
    let accepting: Vec<&String> = listings
        .into_iter()
        .filter(|(_, listing)| listing.accepts(domain))
        .map(|(name, _)| name)
        .collect();
    matches!(accepting[..], [only] if only == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_count_to_the_same_listings_whether_found_one_by_one_or_together() {
        let domains = [
            "acme.example",
            "eu.acme.example",
            "b.eu.acme.example",
            "z.b.eu.acme.example",
            "me.example",
            "other.test",
        ];
        let accounts: BTreeMap<String, i64> = domains
            .iter()
            .chain(&["x.acme.example", "y.z.b.eu.acme.example", "nowhere.org"])
            .map(|it| (String::from(*it), 7))
            .collect();
        // Each of them isn't listed, is listed, with its subdomains or not, and stays or not.
        for code in 0..5_usize.pow(5) {
            let choice = |number: usize| code / 5_usize.pow(u32::try_from(number).unwrap()) % 5;
            let (mut record, mut leaving) = (OrganizationRecord::default(), BTreeSet::new());
            for (number, domain) in
                domains[..5].iter().enumerate().filter(|(number, _)| choice(*number) > 0)
            {
                let listing = Listing {
                    domain: Domain::parse(domain).unwrap(),
                    include_subdomains: choice(number) > 2,
                };
                record.listings.insert(format!("d{number}"), listing);
                leaving.extend((choice(number) % 2 == 0).then(|| format!("d{number}")));
            }
            let mut expected: BTreeMap<String, i64> = BTreeMap::new();
            for (domain, accounts) in &accounts {
                if let Some(name) = record.listing_of(domain, &leaving) {
                    *expected.entry(name.to_owned()).or_default() += accounts;
                }
            }
            assert_eq!(
                record.users_by_listing(&leaving, &accounts),
                expected,
                "{record:?} {leaving:?}"
            );
        }
    }
}
