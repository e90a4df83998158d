//! The rules of a commit: what is accepted and refused, and in what order. Each store loads a unit
//! of work, applies plans to it one after the other, and writes what changed.
//!
//! A plan is judged as a whole before anything changes, so a refused one leaves no trace. A plan
//! with several faults is answered with the first in this order: customer ID, revision and owner,
//! the accounts that it was made from, group, domain, address, login name, the addresses of those
//! that move, heirs, administrators.
//!
//! Loaded is every account that a plan names, and every one that holds an owner's name, an address
//! or a login name that a plan gives away. Of all other accounts of an organization, which may be
//! thousands, a few plans need to know whether there is one of a kind. Such a plan isn't applied
//! until the store has answered its [`Question`]. Only loaded accounts change, so that an answer
//! holds for the rest of the commit.

mod account_index;
mod account_plans;
mod questions;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use self::account_index::AccountIndex;
pub(super) use self::account_plans::{preconditions, transaction_of};
pub(super) use self::questions::{Answers, Kind, Question, SomeAccount};
use super::organizations::Organizations;
use super::{CommitTime, GroupName, Receipt, Refusal, next};
use crate::domain::account::{
    Account, AccountId, Confirmations, Credential, DeletedAccount, DirectoryAck, LoginState,
    Revision, Transaction, TransactionId, TransactionKind,
};
use crate::domain::group::GroupContent;
use crate::domain::organization::Organization;
use crate::domain::profile::SelfServiceField;
use crate::domain::self_service::ProfileChange;
use crate::plan::{
    ConfirmPlan, Deleting, DomainPlan, GroupPlan, Listing, MemberPlan, Plan, RehashPlan, needs,
};

/// What plans are judged by, and what they change.
#[derive(Debug, Default)]
pub(super) struct UnitOfWork {
    pub(super) accounts: AccountIndex,
    /// The deleted accounts that plans are about.
    pub(super) deleted: BTreeMap<AccountId, DeletedAccount>,
    pub(super) journal: HashMap<TransactionId, JournalEntry>,
    /// The ids that accounts have or had, of those that plans ask for.
    pub(super) known_ids: HashSet<AccountId>,
    pub(super) organizations: Organizations,
    pub(super) directories: BTreeSet<String>,
    pub(super) answers: Answers,
    changes: ChangedRows,
}

/// A transaction that is in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct JournalEntry {
    pub(super) account: AccountId,
    pub(super) kind: TransactionKind,
}

/// Why a plan wasn't applied.
#[derive(Debug)]
pub(super) enum NotApplied {
    Refused(Refusal),
    /// The store has to answer first.
    Asks(Question),
    /// It is accepted, and deletes this account: the store has to unassign the cases of it first.
    HasCases(AccountId),
}

impl From<Refusal> for NotApplied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was changed, for a store to write.
#[derive(Debug, Default)]
pub(super) struct ChangedRows {
    /// The accounts that changed, as they were before; nothing where they are new.
    pub(super) accounts: BTreeMap<AccountId, Option<Account>>,
    /// The new accounts, as they began.
    pub(super) created: Vec<Account>,
    /// The accounts that were deleted, and when their lifetimes ended.
    pub(super) deleted: Vec<(DeletedAccount, Timestamp)>,
    pub(super) claims: Vec<Organization>,
    pub(super) state_changes: Vec<(AccountId, Revision, LoginState)>,
    pub(super) journal: Vec<(AccountId, Transaction)>,
    pub(super) superseded: Vec<TransactionId>,
    pub(super) completed: Vec<Transaction>,
    pub(super) confirmed: BTreeMap<(AccountId, String), DirectoryAck>,
    /// The accounts that members changed of themselves, in order.
    pub(super) self_service: Vec<AccountId>,
    /// The groups and listings that were put or dropped. Written in another order, a listing could
    /// meet another one of its domain that was to be gone.
    pub(super) groups: Vec<(GroupName, Option<GroupContent>)>,
    pub(super) listings: Vec<(GroupName, Option<Listing>)>,
}

impl UnitOfWork {
    /// Applies a plan, whole or not at all.
    pub(super) fn apply(&mut self, plan: &Plan, time: CommitTime) -> Result<Receipt, NotApplied> {
        match plan {
            Plan::Account(plan) => self.change_account(plan, time),
            Plan::Group(GroupPlan::Put { namespace, name, content, leaving }) => {
                self.put_group([namespace, name], content, leaving)
            }
            Plan::Group(GroupPlan::Drop { namespace, name, leaving }) => {
                self.drop_group([namespace, name], leaving)
            }
            Plan::Domain(DomainPlan::Put { namespace, name, listing }) => {
                self.put_domain([namespace, name], listing)
            }
            Plan::Domain(DomainPlan::Drop { namespace, name, leaving }) => {
                self.drop_domain([namespace, name], leaving)
            }
            Plan::Member(plan) => self.change_member(plan, time),
            Plan::Rehash(plan) => self.rehash(plan),
            Plan::Confirm(plan) => self.confirm(plan, time),
        }
    }

    /// Returns what was changed since the last call.
    pub(super) fn take_changes(&mut self) -> ChangedRows {
        std::mem::take(&mut self.changes)
    }

    fn change_member(
        &mut self,
        plan: &MemberPlan,
        time: CommitTime,
    ) -> Result<Receipt, NotApplied> {
        let MemberPlan { namespace, account, .. } = plan;
        let current = self.in_namespace(namespace, *account)?.clone();
        let next = self.changed_by_member(&current, plan, time)?;
        if next.content.email != current.content.email {
            self.organizations.check_domain(namespace, &next.content.email)?;
            self.check_free(namespace, &[], Some(current.id), &next.content.email)?;
        }
        if next.transaction.id != current.transaction.id {
            self.append_journal(&next.transaction, next.id, None);
        }
        if next != current {
            self.changes.self_service.push(next.id);
        }
        Ok(self.put(next))
    }

    /// Returns the account after its member changed it; the same where they changed nothing.
    fn changed_by_member(
        &self,
        account: &Account,
        plan: &MemberPlan,
        time: CommitTime,
    ) -> Result<Account, Refusal> {
        let MemberPlan { namespace, account: _, changes, password } = plan;
        let group = self.organizations.group(namespace, &account.content.group).unwrap_or_default();
        let mut fields = changes
            .iter()
            .map(ProfileChange::field)
            .chain(password.iter().map(|_| SelfServiceField::Password));
        if account.content.lifecycle == LoginState::Disabled
            || !fields.all(|field| group.self_service.contains(&field))
        {
            return Err(Refusal::NotSelfService);
        }
        if account.transaction.in_flight() {
            return Err(Refusal::InTransaction);
        }
        let mut changed = account.clone();
        changes.iter().for_each(|change| changed.content.change_by_member(change));
        if let Some(password) = password {
            let kind = TransactionKind::PasswordChange;
            let id = TransactionId::of_member(account.id, kind, account.revision);
            changed.credential =
                Some(Credential::of_member(account.credential.as_ref(), password.clone()));
            changed.transaction = self.transaction((id, kind), next(account.revision), time);
        }
        if changed != *account {
            changed.revision = next(account.revision);
        }
        Ok(changed)
    }

    fn rehash(&mut self, plan: &RehashPlan) -> Result<Receipt, NotApplied> {
        let RehashPlan { namespace, account, before, after } = plan;
        let mut account = self.in_namespace(namespace, *account)?.clone();
        let credential = account
            .credential
            .as_mut()
            .filter(|credential| credential.login == *before)
            .ok_or(Refusal::Stale)?;
        credential.login = after.clone();
        Ok(self.put(account))
    }

    fn confirm(&mut self, plan: &ConfirmPlan, time: CommitTime) -> Result<Receipt, NotApplied> {
        let ConfirmPlan { namespace, account: id, confirmed } = plan;
        let (directories, now) = (&self.directories, time.now);
        if let Ok(mut account) = self.in_namespace(namespace, *id).cloned() {
            let before = (account.confirmed.clone(), account.transaction.completed);
            account.transaction.confirm(&mut account.confirmed, confirmed, directories, now);
            self.changes.confirm(*id, before, (&account.confirmed, &account.transaction));
            return Ok(self.put(account));
        }
        let in_namespace = |gone: &&mut DeletedAccount| gone.namespace == *namespace;
        let gone = self.deleted.get_mut(id).filter(in_namespace).ok_or(Refusal::Stale)?;
        let before = (gone.confirmed.clone(), gone.transaction.completed);
        gone.transaction.confirm(&mut gone.confirmed, confirmed, directories, now);
        self.changes.confirm(*id, before, (&gone.confirmed, &gone.transaction));
        Ok(Receipt::Deleted(Box::new(gone.clone())))
    }

    fn put_group(
        &mut self,
        [namespace, name]: [&str; 2],
        content: &GroupContent,
        deleting: &Deleting,
    ) -> Result<Receipt, NotApplied> {
        if !content.full_control {
            self.check_administrators_without(namespace, name, deleting)?;
        }
        Ok(self.set_group([namespace, name], Some(content.clone())))
    }

    fn drop_group(
        &mut self,
        [namespace, name]: [&str; 2],
        deleting: &Deleting,
    ) -> Result<Receipt, NotApplied> {
        let member = SomeAccount {
            namespace: namespace.to_owned(),
            kind: Kind::MemberOf(name.to_owned()),
            deleting: Deleting { last: None, ..deleting.clone() },
        };
        if self.is_there(&member, None)? {
            return Err(Refusal::InUse.into());
        }
        if !GroupContent::built_in(name).is_some_and(|group| group.full_control) {
            self.check_administrators_without(namespace, name, deleting)?;
        }
        Ok(self.set_group([namespace, name], None))
    }

    fn set_group(
        &mut self,
        [namespace, name]: [&str; 2],
        content: Option<GroupContent>,
    ) -> Receipt {
        self.organizations.set_group(namespace, name.to_owned(), content.clone());
        self.changes.groups.push(((namespace.to_owned(), name.to_owned()), content));
        Receipt::Done
    }

    fn put_domain(
        &mut self,
        [namespace, name]: [&str; 2],
        listing: &Listing,
    ) -> Result<Receipt, NotApplied> {
        let is_taken =
            |(other, listed): (&String, &Listing)| other != name && listed.domain == listing.domain;
        if self.organizations.listings(namespace).any(is_taken) {
            return Err(Refusal::DomainTaken.into());
        }
        Ok(self.set_listing([namespace, name], Some(listing.clone())))
    }

    fn drop_domain(
        &mut self,
        [namespace, name]: [&str; 2],
        deleting: &Deleting,
    ) -> Result<Receipt, NotApplied> {
        let account = SomeAccount {
            namespace: namespace.to_owned(),
            kind: Kind::Any,
            deleting: Deleting { last: None, ..deleting.clone() },
        };
        let only_here =
            |domain: &String| needs(self.organizations.listings(namespace), name, domain);
        if self.email_domains(&account)?.iter().any(only_here) {
            return Err(Refusal::InUse.into());
        }
        Ok(self.set_listing([namespace, name], None))
    }

    fn set_listing(&mut self, [namespace, name]: [&str; 2], listing: Option<Listing>) -> Receipt {
        self.organizations.set_listing(namespace, name.to_owned(), listing.clone());
        self.changes.listings.push(((namespace.to_owned(), name.to_owned()), listing));
        Receipt::Done
    }
}

impl ChangedRows {
    /// Notes what is newer than before, so that a repeated acknowledgement writes nothing.
    fn confirm(
        &mut self,
        account: AccountId,
        (before, completed): (Confirmations, Option<Timestamp>),
        (confirmed, transaction): (&Confirmations, &Transaction),
    ) {
        for (directory, ack) in confirmed {
            if before.get(directory) != Some(ack) {
                self.confirmed.insert((account, directory.clone()), ack.clone());
            }
        }
        if transaction.completed != completed {
            self.completed.push(transaction.clone());
        }
    }
}
