//! Plans of accounts: the order of the checks, and what follows from them.

use std::collections::BTreeSet;

use super::questions::{Kind, Remaining, SomeAccount};
use super::{JournalEntry, NotApplied, UnitOfWork};
use crate::domain::account::{
    Account, AccountId, AccountSpec, Confirmations, Credential, DeletedAccount, Owner, Revision,
    Source, Transaction, TransactionId, TransactionKind,
};
use crate::domain::email::Email;
use crate::plan::{AccountChange, AccountPlan, AddressMove, FrozenPermissions, Precondition};
use crate::store::{CommitTime, Receipt, Refusal, next};

impl UnitOfWork {
    pub(super) fn change_account(
        &mut self,
        plan: &AccountPlan,
        time: CommitTime,
    ) -> Result<Receipt, NotApplied> {
        let AccountPlan { organization, owner, change, .. } = plan;
        let namespace = organization.namespace.as_str();
        if let Some(entry) = transaction_of(change).and_then(|id| self.journal.get(&id)) {
            return Ok(self.repeated(*entry, owner)?);
        }
        match change {
            AccountChange::Create { id, transaction, login_name, content, password } => {
                let account = Account {
                    id: id.unwrap_or_else(|| time.account_id()),
                    namespace: namespace.to_owned(),
                    revision: Revision(1),
                    owner: owner.clone(),
                    login_name: login_name.clone(),
                    content: self.with_free_copy(namespace, content),
                    created: time.now,
                    cloned: time.cloned(None, content),
                    transaction: self.transaction(
                        (*transaction, TransactionKind::Create),
                        Revision(1),
                        time,
                    ),
                    credential: password.clone().map(Credential::of_secret),
                    confirmed: Confirmations::new(),
                };
                Ok(self.create(plan, account)?)
            }
            AccountChange::Update { account, from, transaction, content, password, adopts } => {
                let current = self.at(namespace, *account, *from)?.clone();
                let begins = transaction.map(|begins| self.transaction(begins, next(*from), time));
                check_may_begin(&current, begins.as_ref())?;
                let changed = Account {
                    revision: next(*from),
                    owner: owner.clone(),
                    content: content.clone(),
                    cloned: time.cloned(Some(&current), content),
                    transaction: begins.unwrap_or_else(|| current.transaction.clone()),
                    credential: match password {
                        Some(password) => Some(Credential::of_secret(password.clone())),
                        None => current.credential.clone(),
                    },
                    ..current.clone()
                };
                self.update(plan, &current, changed, *adopts)
            }
            AccountChange::Delete { account, from, transaction } => {
                let gone = self.at(namespace, *account, *from)?.clone();
                let begins = (*transaction, TransactionKind::Delete);
                let transaction = self.transaction(begins, next(*from), time);
                self.delete(plan, gone, transaction)
            }
            AccountChange::Release { account, from } => {
                let current = self.at(namespace, *account, *from)?.clone();
                refuse_if(current.owner.uid != owner.uid, Refusal::Stale)?;
                let owner = Owner { uid: String::new(), ..current.owner.clone() };
                Ok(self.put(Account { revision: next(*from), owner, ..current }))
            }
        }
    }

    fn create(&mut self, plan: &AccountPlan, account: Account) -> Result<Receipt, Refusal> {
        let AccountPlan {
            organization,
            owner,
            change: _,
            moves,
            freezes,
            preconditions: _,
            leaving: _,
        } = plan;
        let Account { id, namespace, login_name, content, .. } = &account;
        self.organizations.check_claim(organization)?;
        self.check_preconditions(plan)?;
        self.check_movers(namespace, None, moves)?;
        refuse_if(self.accounts.owned_by(namespace, &owner.name).is_some(), Refusal::Stale)?;
        self.organizations.check_group(namespace, &content.group)?;
        self.organizations.check_domain(namespace, &content.email)?;
        self.check_moved_domains(namespace, moves)?;
        self.check_free(namespace, moves, None, &content.email)?;
        refuse_if(self.accounts.with_login(login_name).is_some(), Refusal::LoginTaken)?;
        refuse_if(self.known_ids.contains(id), Refusal::IdTaken)?;
        self.check_moved_addresses(namespace, None, Some(&content.email), moves)?;

        if !self.organizations.has_claimed(namespace) {
            self.organizations.claim(namespace.clone(), organization.customer_id.clone());
            self.changes.claims.push(organization.clone());
        }
        self.known_ids.insert(*id);
        self.changes.created.push(account.clone());
        self.append_journal(&account.transaction, *id, None);
        self.change_others(moves, freezes);
        Ok(self.put(account))
    }

    fn update(
        &mut self,
        plan: &AccountPlan,
        current: &Account,
        changed: Account,
        adopts: bool,
    ) -> Result<Receipt, NotApplied> {
        let AccountPlan {
            organization: _,
            owner,
            change: _,
            moves,
            freezes,
            preconditions: _,
            leaving: deleting,
        } = plan;
        let Account { id, namespace, content, .. } = &changed;
        let has_another =
            self.accounts.owned_by(namespace, &owner.name).is_some_and(|other| other.id != *id);
        refuse_if((current.owner.name != owner.name && !adopts) || has_another, Refusal::Stale)?;
        self.check_preconditions(plan)?;
        self.check_movers(namespace, Some(*id), moves)?;
        if content.group != current.content.group {
            self.organizations.check_group(namespace, &content.group)?;
        }
        if content.email != current.content.email {
            self.organizations.check_domain(namespace, &content.email)?;
        }
        self.check_moved_domains(namespace, moves)?;
        self.check_free(namespace, moves, Some(*id), &content.email)?;
        self.check_moved_addresses(namespace, Some(*id), Some(&content.email), moves)?;
        if self.organizations.is_administrator(namespace, &current.content)
            && !self.organizations.is_administrator(namespace, content)
        {
            self.check_administrators(Remaining {
                namespace,
                control_groups: self.control_groups(namespace)?,
                deleting,
                without: Some(*id),
                // Its new owner may stay where the one until now is being deleted.
                with_it: deleting.stays(&owner.name),
            })?;
        }

        if changed.transaction.id != current.transaction.id {
            self.append_journal(&changed.transaction, *id, Some(&current.transaction));
        }
        if content.lifecycle != current.content.lifecycle {
            self.changes.state_changes.push((*id, changed.revision, content.lifecycle));
        }
        self.change_others(moves, freezes);
        Ok(self.put(changed))
    }

    fn delete(
        &mut self,
        plan: &AccountPlan,
        gone: Account,
        transaction: Transaction,
    ) -> Result<Receipt, NotApplied> {
        let AccountPlan {
            organization: _,
            owner,
            change: _,
            moves,
            freezes,
            preconditions: _,
            leaving: deleting,
        } = plan;
        let namespace = gone.namespace.as_str();
        refuse_if(gone.owner.uid != owner.uid, Refusal::Stale)?;
        self.check_preconditions(plan)?;
        self.check_movers(namespace, Some(gone.id), moves)?;
        self.check_moved_domains(namespace, moves)?;
        self.check_moved_addresses(namespace, Some(gone.id), None, moves)?;
        let heir = SomeAccount {
            namespace: namespace.to_owned(),
            kind: Kind::HeirOf(gone.owner.name.clone()),
            deleting: deleting.clone(),
        };
        refuse_if(self.is_there(&heir, Some(gone.id))?, Refusal::InUse)?;
        if self.organizations.is_administrator(namespace, &gone.content) {
            self.check_administrators(Remaining {
                namespace,
                control_groups: self.control_groups(namespace)?,
                deleting,
                without: Some(gone.id),
                with_it: false,
            })?;
        }
        let cases = self.answers.cases.get(&gone.id);
        let cases_unassigned = *cases.ok_or(NotApplied::HasCases(gone.id))?;

        self.remove(gone.id);
        self.append_journal(&transaction, gone.id, Some(&gone.transaction));
        self.change_others(moves, freezes);
        // The clock may have stepped back since the account was created.
        let ended = transaction.started.max(gone.created);
        let Account { id: account, namespace, owner, login_name, confirmed, .. } = gone;
        let deleted = DeletedAccount {
            account,
            namespace,
            owner,
            login_name,
            cases_unassigned,
            transaction,
            confirmed,
        };
        self.changes.deleted.push((deleted.clone(), ended));
        self.deleted.insert(account, deleted.clone());
        Ok(Receipt::Deleted(Box::new(deleted)))
    }

    /// Answers a transaction that is in the journal as it was answered first.
    ///
    /// An account that was created for the owner and is another's by now is no answer.
    fn repeated(&self, entry: JournalEntry, owner: &Owner) -> Result<Receipt, Refusal> {
        if entry.kind == TransactionKind::Delete {
            let deleted = self.deleted.get(&entry.account).ok_or(Refusal::Stale)?;
            return Ok(Receipt::Deleted(Box::new(deleted.clone())));
        }
        let account = self.accounts.get(entry.account).ok_or(Refusal::Stale)?;
        let is_anothers = entry.kind == TransactionKind::Create && account.owner.uid != owner.uid;
        refuse_if(is_anothers, Refusal::Stale)?;
        Ok(Receipt::Account(Box::new(account.clone())))
    }

    /// Returns the journal's entry of a transaction that makes a revision: it begins and, without
    /// directories, also ends with this commit.
    pub(super) fn transaction(
        &self,
        (id, kind): (TransactionId, TransactionKind),
        revision: Revision,
        CommitTime { now, deadline }: CommitTime,
    ) -> Transaction {
        let completed = self.directories.is_empty().then_some(now);
        Transaction { id, kind, revision, started: now, deadline, completed }
    }

    /// Writes a transaction into the journal, over the last one where that is in flight.
    pub(super) fn append_journal(
        &mut self,
        transaction: &Transaction,
        account: AccountId,
        last: Option<&Transaction>,
    ) {
        self.changes.superseded.extend(last.filter(|last| last.in_flight()).map(|last| last.id));
        self.journal.insert(transaction.id, JournalEntry { account, kind: transaction.kind });
        self.changes.journal.push((account, transaction.clone()));
    }

    /// Every account that the plan was made from is as it was then, and those that freeze
    /// permissions inherit them, and change in no other way.
    fn check_preconditions(&self, plan: &AccountPlan) -> Result<(), Refusal> {
        let namespace = plan.organization.namespace.as_str();
        for (account, revision) in preconditions(plan) {
            self.at(namespace, account, revision)?;
        }
        let inherits = |freeze: &FrozenPermissions| {
            let account = self.accounts.get(freeze.account);
            let source = account.and_then(|account| account.content.source.as_ref());
            matches!(source, Some(Source::Inherited { .. }))
        };
        refuse_if(freezes_twice(plan) || !plan.freezes.iter().all(inherits), Refusal::Stale)
    }

    /// Each mover is at the revision that the plan was made from, and moves once.
    fn check_movers(
        &self,
        namespace: &str,
        changed: Option<AccountId>,
        moves: &[AddressMove],
    ) -> Result<(), Refusal> {
        let mut seen: BTreeSet<AccountId> = changed.into_iter().collect();
        for AddressMove { account, from, to: _ } in moves {
            self.at(namespace, *account, *from)?;
            refuse_if(!seen.insert(*account), Refusal::Stale)?;
        }
        Ok(())
    }

    fn check_moved_domains(&self, namespace: &str, moves: &[AddressMove]) -> Result<(), Refusal> {
        moves
            .iter()
            .try_for_each(|AddressMove { to, .. }| self.organizations.check_domain(namespace, to))
    }

    /// No account that stays where it is has the address.
    pub(super) fn check_free(
        &self,
        namespace: &str,
        moves: &[AddressMove],
        changed: Option<AccountId>,
        email: &Email,
    ) -> Result<(), Refusal> {
        let stays = |account: &Account| {
            changed != Some(account.id) && moves.iter().all(|mover| mover.account != account.id)
        };
        let is_taken = self.accounts.with_email(namespace, email).is_some_and(stays);
        refuse_if(is_taken, Refusal::EmailTaken)
    }

    /// The movers' addresses are free once all have left theirs, and differ from each other and
    /// from the one that the changed account takes.
    fn check_moved_addresses(
        &self,
        namespace: &str,
        changed: Option<AccountId>,
        takes: Option<&Email>,
        moves: &[AddressMove],
    ) -> Result<(), Refusal> {
        let mut seen: BTreeSet<&Email> = takes.into_iter().collect();
        for AddressMove { to, .. } in moves {
            self.check_free(namespace, moves, changed, to)?;
            refuse_if(!seen.insert(to), Refusal::EmailTaken)?;
        }
        Ok(())
    }

    /// Moves addresses, and freezes permissions.
    fn change_others(&mut self, moves: &[AddressMove], freezes: &[FrozenPermissions]) {
        for AddressMove { account, from: _, to } in moves {
            self.change(*account, |mover| mover.content.email = to.clone());
        }
        for FrozenPermissions { account, from: _, kept: frozen } in freezes {
            self.change(*account, |heir| {
                if let Some(Source::Inherited { kept, .. }) = &mut heir.content.source {
                    kept.clone_from(frozen);
                }
            });
        }
    }

    fn change(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        if let Some(mut account) = self.accounts.get(id).cloned() {
            change(&mut account);
            account.revision = next(account.revision);
            self.put(account);
        }
    }

    /// Gives the placeholder of a copy the lowest number that is free.
    fn with_free_copy(&self, namespace: &str, content: &AccountSpec) -> AccountSpec {
        let mut content = content.clone();
        if content.email.copy_number().is_some() {
            content.email = (1..)
                .map(|number| content.email.placeholder(number))
                .find(|email| self.accounts.with_email(namespace, email).is_none())
                .expect("there are more numbers than accounts");
        }
        content
    }

    fn at(
        &self,
        namespace: &str,
        account: AccountId,
        revision: Revision,
    ) -> Result<&Account, Refusal> {
        let account = self.in_namespace(namespace, account)?;
        if account.revision == revision { Ok(account) } else { Err(Refusal::Stale) }
    }

    pub(super) fn in_namespace(
        &self,
        namespace: &str,
        account: AccountId,
    ) -> Result<&Account, Refusal> {
        let account = self.accounts.get(account);
        account.filter(|account| account.namespace == namespace).ok_or(Refusal::Stale)
    }

    pub(super) fn put(&mut self, account: Account) -> Receipt {
        let before = self.accounts.put(account.clone());
        self.changes.accounts.entry(account.id).or_insert(before);
        Receipt::Account(Box::new(account))
    }

    fn remove(&mut self, account: AccountId) {
        let before = self.accounts.remove(account);
        self.changes.accounts.entry(account).or_insert(before);
    }
}

impl CommitTime {
    /// Returns a fresh id for an account that is created now.
    fn account_id(self) -> AccountId {
        let seconds = u64::try_from(self.now.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(self.now.subsec_nanosecond()).unwrap_or_default();
        AccountId(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(
            uuid::NoContext,
            seconds,
            nanoseconds,
        )))
    }

    /// Returns when the account's source was cloned: now, unless it was before.
    fn cloned(self, before: Option<&Account>, content: &AccountSpec) -> Option<jiff::Timestamp> {
        match &content.source {
            Some(source @ Source::Cloned(_)) => {
                let same = before.filter(|before| before.content.source.as_ref() == Some(source));
                same.and_then(|before| before.cloned).or(Some(self.now))
            }
            Some(Source::Inherited { .. }) | None => None,
        }
    }
}

/// Refuses a transaction that would have to wait for the one in flight.
fn check_may_begin(current: &Account, begins: Option<&Transaction>) -> Result<(), Refusal> {
    let waits = begins
        .is_some_and(|transaction| current.transaction.in_flight() && !transaction.kind.revokes());
    refuse_if(waits, Refusal::InTransaction)
}

/// Returns the accounts that a plan was made from beside the one that it changes, and their
/// revisions then.
pub(in crate::store) fn preconditions(
    plan: &AccountPlan,
) -> impl Iterator<Item = (AccountId, Revision)> {
    let frozen =
        plan.freezes.iter().map(|FrozenPermissions { account, from, .. }| (*account, *from));
    frozen.chain(
        plan.preconditions.iter().map(|Precondition { account, revision }| (*account, *revision)),
    )
}

/// Whether a plan freezes permissions of an account twice, or also changes that account in another
/// way than its address.
fn freezes_twice(plan: &AccountPlan) -> bool {
    let mut written: BTreeSet<AccountId> = match &plan.change {
        AccountChange::Create { .. } => BTreeSet::new(),
        AccountChange::Update { account, .. }
        | AccountChange::Delete { account, .. }
        | AccountChange::Release { account, .. } => [*account].into(),
    };
    !plan.freezes.iter().all(|freeze| written.insert(freeze.account))
}

/// Returns the transaction that a change is, where it is one.
pub(in crate::store) fn transaction_of(change: &AccountChange) -> Option<TransactionId> {
    match change {
        AccountChange::Create { transaction, .. } | AccountChange::Delete { transaction, .. } => {
            Some(*transaction)
        }
        AccountChange::Update { transaction, .. } => transaction.map(|(id, _)| id),
        AccountChange::Release { .. } => None,
    }
}

fn refuse_if(fault: bool, refusal: Refusal) -> Result<(), Refusal> {
    if fault { Err(refusal) } else { Ok(()) }
}
