//! What the store in memory holds, and how a commit changes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::domain::account::{
    Account, AccountId, Confirmations, DeletedAccount, LoginState, Transaction, TransactionId,
};
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use crate::domain::login_attempts::LoginFailures;
use crate::domain::organization::Organization;
use crate::plan::{Deleting, Plan};
use crate::store::unit_of_work::{Answers, ChangedRows, NotApplied, Question, UnitOfWork};
use crate::store::{
    AccountKey, CommitTime, Counts, MEMBER_CHANGES, OrganizationRecord, Receipt, Refusal,
};

#[derive(Debug, Default)]
pub(super) struct MemoryContents {
    pub(super) work: UnitOfWork,
    pub(super) member_changes: BTreeMap<i64, AccountId>,
    pub(super) journal: HashMap<TransactionId, StoredTransaction>,
    pub(super) cases: BTreeMap<String, Option<AccountId>>,
    pub(super) lifetimes: BTreeMap<AccountId, StoredLifetime>,
    pub(super) billing_zone: Option<BillingTimeZone>,
    pub(super) closed: Vec<Period>,
    /// Those of nobody under nothing.
    pub(super) login_failures: BTreeMap<Option<AccountId>, LoginFailures>,
}

/// The life of an account, and when it was disabled and enabled.
#[derive(Debug)]
pub(super) struct StoredLifetime {
    pub(super) life: Lifetime,
    pub(super) state_changes: Vec<(Timestamp, LoginState)>,
}

impl StoredLifetime {
    pub(super) fn of(Account { namespace, login_name, created, content, .. }: &Account) -> Self {
        let (organization, login_name) = (namespace.clone(), login_name.clone());
        let life = Lifetime {
            organization,
            login_name,
            created: *created,
            deleted: None,
            lifecycle: content.lifecycle,
        };
        Self { life, state_changes: vec![] }
    }

    /// Returns the life with the state in which it was at the end of a period.
    pub(super) fn at_the_end_of(&self, period: &Period) -> Lifetime {
        let last = self.state_changes.iter().rev().find(|(at, _)| *at < period.end);
        Lifetime {
            lifecycle: last.map_or(self.life.lifecycle, |(_, lifecycle)| *lifecycle),
            ..self.life.clone()
        }
    }
}

#[derive(Debug)]
pub(super) struct StoredTransaction {
    pub(super) account: AccountId,
    pub(super) transaction: Transaction,
    pub(super) superseded: bool,
}

impl MemoryContents {
    pub(super) fn put_organization(
        &mut self,
        organization: Organization,
        record: OrganizationRecord,
    ) {
        let Organization { namespace, customer_id } = organization;
        let OrganizationRecord { claimed, taken, groups, listings } = record;
        let organizations = &mut self.work.organizations;
        if taken {
            // Whose it is doesn't matter: no namespace has such a name.
            organizations.claim(format!("not {namespace}"), customer_id);
        }
        if let Some(claimed) = claimed {
            organizations.claim(namespace.clone(), claimed);
        }
        for (name, content) in groups {
            organizations.set_group(&namespace, name, Some(content));
        }
        for (name, listing) in listings {
            organizations.set_listing(&namespace, name, Some(listing));
        }
    }

    pub(super) fn calendar(&self) -> Calendar {
        let first_life = self.lifetimes.values().map(|lifetime| lifetime.life.created).min();
        let first_life = first_life.filter(|_| self.closed.is_empty());
        Calendar { zone: self.billing_zone.clone(), closed: self.closed.clone(), first_life }
    }

    /// Applies a plan, and keeps what it changed.
    pub(super) fn commit(&mut self, plan: &Plan, time: CommitTime) -> Result<Receipt, Refusal> {
        self.work.answers = Answers::default();
        loop {
            match self.work.apply(plan, time) {
                Ok(receipt) => {
                    self.keep_changes(time.now);
                    return Ok(receipt);
                }
                Err(NotApplied::Refused(refusal)) => return Err(refusal),
                Err(NotApplied::Asks(question)) => self.answer(question),
                Err(NotApplied::HasCases(account)) => {
                    let cases = self.unassign_cases(account);
                    self.work.answers.cases.insert(account, cases);
                }
            }
        }
    }

    /// Answers a question about the accounts that aren't loaded: here all are.
    fn answer(&mut self, question: Question) {
        match question {
            Question::Account(wanted) => self.work.answers.accounts.push((wanted, false)),
            Question::EmailDomains(wanted) => {
                self.work.answers.email_domains.push((wanted, BTreeSet::new()));
            }
            Question::ControlGroups(namespace) => {
                let groups = self.work.organizations.control_groups(&namespace);
                self.work.answers.control_groups.insert(namespace, groups);
            }
        }
    }

    fn unassign_cases(&mut self, owner: AccountId) -> i64 {
        let mut unassigned = 0;
        for case in self.cases.values_mut().filter(|case| **case == Some(owner)) {
            *case = None;
            unassigned += 1;
        }
        unassigned
    }

    /// Takes over what a plan changed beside the rows of the unit of work itself.
    fn keep_changes(&mut self, now: Timestamp) {
        let ChangedRows {
            accounts,
            created,
            deleted,
            claims: _,
            state_changes,
            journal,
            superseded,
            completed,
            confirmed: _,
            self_service,
            groups: _,
            listings: _,
        } = self.work.take_changes();
        for account in &created {
            self.lifetimes.insert(account.id, StoredLifetime::of(account));
        }
        for (account, _, state) in state_changes {
            if let Some(lifetime) = self.lifetimes.get_mut(&account) {
                lifetime.state_changes.push((now, state));
            }
        }
        for (account, ended) in deleted {
            if let Some(lifetime) = self.lifetimes.get_mut(&account.account) {
                lifetime.life.deleted = Some(ended);
            }
        }
        for (account, transaction) in journal {
            let entry = StoredTransaction { account, transaction, superseded: false };
            self.journal.insert(entry.transaction.id, entry);
        }
        for id in superseded {
            if let Some(entry) = self.journal.get_mut(&id) {
                entry.superseded = true;
            }
        }
        completed.iter().for_each(|transaction| self.note_completion(transaction));
        for (id, before) in accounts {
            let after = self.work.accounts.get(id);
            if before.is_some_and(|before| ends_waiting(&before, after)) {
                self.login_failures.remove(&Some(id));
            }
        }
        for account in self_service {
            let number = self.member_changes.keys().next_back().copied().unwrap_or_default() + 1;
            self.member_changes.insert(number, account);
            self.member_changes = self.member_changes.split_off(&(number - MEMBER_CHANGES));
        }
    }

    pub(super) fn set_directories(&mut self, directories: &BTreeSet<String>, now: Timestamp) {
        let work = &mut self.work;
        if work.directories == *directories {
            return;
        }
        let back: Vec<String> = directories.difference(&work.directories).cloned().collect();
        work.directories.clone_from(directories);
        let mut transactions = vec![];
        let confirm = |transaction: &mut Transaction, confirmed: &mut Confirmations| {
            transaction.confirm(confirmed, &Confirmations::new(), directories, now);
        };
        let accounts: Vec<Account> = work.accounts.iter().cloned().collect();
        for mut account in accounts {
            confirm(&mut account.transaction, &mut account.confirmed);
            transactions.push(account.transaction.clone());
            work.accounts.put(account);
        }
        for DeletedAccount { transaction, confirmed, .. } in work.deleted.values_mut() {
            let knows_it_still = |name: &String| {
                confirmed.get(name).is_some_and(|known| known.revision < transaction.revision)
            };
            if back.iter().any(knows_it_still) {
                transaction.completed = None;
            }
            confirm(transaction, confirmed);
            transactions.push(transaction.clone());
        }
        transactions.iter().for_each(|transaction| self.note_completion(transaction));
    }

    fn note_completion(&mut self, transaction: &Transaction) {
        if let Some(entry) = self.journal.get_mut(&transaction.id) {
            entry.transaction.completed = transaction.completed;
        }
    }

    pub(super) fn under(&self, key: &AccountKey) -> Option<&Account> {
        let accounts = &self.work.accounts;
        match key {
            AccountKey::Owner { namespace, name } => accounts.owned_by(namespace, name),
            AccountKey::Email { namespace, email } => accounts.with_email(namespace, email),
            AccountKey::Login(login_name) => accounts.with_login(login_name),
            AccountKey::Id(id) => accounts.get(*id),
        }
    }

    pub(super) fn counts(&self, namespace: &str, leaving: &Deleting) -> Counts {
        let mut counts = Counts::default();
        let accounts = self.work.accounts.in_organization(namespace);
        for Account { content, .. } in
            accounts.filter(|account| !leaving.contains(&account.owner.name))
        {
            *counts.members.entry(content.group.clone()).or_default() += 1;
            *counts.email_domains.entry(content.email.domain().to_owned()).or_default() += 1;
        }
        counts
    }
}

/// Whether an account's failed logins are forgotten: it is gone, has a new password, or was
/// enabled.
fn ends_waiting(before: &Account, after: Option<&Account>) -> bool {
    let login =
        |account: &Account| account.credential.as_ref().map(|credential| credential.login.clone());
    after.is_none_or(|after| {
        login(before) != login(after)
            || before.content.lifecycle != after.content.lifecycle
                && after.content.lifecycle == LoginState::Enabled
    })
}
