//! The reference: accounts in plain collections. What it does is what a store must do.
//!
//! A plan is judged as a whole before anything is written, so that a refused one leaves no trace.
//! The checks stand in the order in which a plan with several faults is answered.

mod accounts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use self::accounts::Accounts;
use super::logins::Logins;
use super::{
    AccountKey, Administrator, CommitTime, Counts, GroupName, MEMBER_CHANGES, NewAccount,
    OrganizationRecord, Receipt, Refusal, Store, StoreError, UserName, changed_by_member,
    check_may_begin, check_preconditions, keeps_twice, lowest_free_copy, next, transaction_of,
};
use crate::domain::account::{
    Account, AccountId, AccountSpec, Confirmations, Credential, DeletedAccount, LoginState, Owner,
    Revision, Source, Transaction, TransactionId, TransactionKind,
};
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use crate::domain::email::Email;
use crate::domain::group::GroupContent;
use crate::domain::inheritance::{inherits_from, reached};
use crate::domain::login_attempts::{LoginFailures, judge};
use crate::domain::organization::{CustomerId, Organization};
use crate::plan::{
    AccountChange, AccountPlan, AddressMove, AdminCoverage, ConfirmPlan, Deleting, DomainPlan,
    FrozenPermissions, GroupPlan, Listing, MemberPlan, Plan, RehashPlan, needs,
};

/// A store that lives as long as its process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

/// What a store has of one organization, for a copy to be made of it.
#[derive(Clone, Debug)]
pub struct Extract {
    /// The organization, with the customer ID that it presents.
    pub organization: Organization,
    /// What is known of it.
    pub record: OrganizationRecord,
    /// Its live accounts.
    pub accounts: Vec<Account>,
}

#[derive(Debug, Default)]
struct Contents {
    customer_ids: BTreeMap<String, CustomerId>,
    accounts: Accounts,
    departed: BTreeMap<AccountId, DeletedAccount>,
    directories: BTreeSet<String>,
    member_changes: BTreeMap<i64, AccountId>,
    journal: HashMap<TransactionId, Entry>,
    groups: BTreeMap<String, BTreeMap<String, GroupContent>>,
    listings: BTreeMap<String, BTreeMap<String, Listing>>,
    cases: BTreeMap<String, Option<AccountId>>,
    lifetimes: BTreeMap<AccountId, StoredLifetime>,
    /// The ids of other accounts of the store that this is a copy of.
    known_ids: HashSet<AccountId>,
    billing_zone: Option<BillingTimeZone>,
    closed: Vec<Period>,
    /// Those of nobody under nothing.
    login_failures: BTreeMap<Option<AccountId>, LoginFailures>,
}

/// The life of an account, and when it was disabled and enabled.
#[derive(Debug)]
struct StoredLifetime {
    life: Lifetime,
    switches: Vec<(Timestamp, LoginState)>,
}

impl StoredLifetime {
    fn next_transaction(Account { namespace, login_name, created, content, .. }: &Account) -> Self {
        let (organization, login_name) = (namespace.clone(), login_name.clone());
        let life = Lifetime {
            organization,
            login_name,
            created: *created,
            deleted: None,
            lifecycle: content.lifecycle,
        };
        Self { life, switches: vec![] }
    }

    /// Returns the life with the state in which it was at the end of a period.
    fn at_the_end_of(&self, period: &Period) -> Lifetime {
        let last = self.switches.iter().rev().find(|(at, _)| *at < period.end);
        Lifetime {
            lifecycle: last.map_or(self.life.lifecycle, |(_, lifecycle)| *lifecycle),
            ..self.life.clone()
        }
    }
}

#[derive(Debug)]
struct Entry {
    account: AccountId,
    transaction: Transaction,
    superseded: bool,
}

impl MemoryStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a copy of what a store has of these organizations, in which accounts have or had
    /// these other ids too. Changes of it come to nobody's notice.
    #[must_use]
    pub fn copy_of(extracts: Vec<Extract>, known_ids: HashSet<AccountId>) -> Self {
        let mut contents = Contents { known_ids, ..Contents::default() };
        for Extract { organization: Organization { namespace, customer_id }, record, accounts } in
            extracts
        {
            let OrganizationRecord { claimed, taken, groups, listings } = record;
            if taken {
                // Whose it is doesn't matter: no namespace has such a name.
                contents.customer_ids.insert(format!("not {namespace}"), customer_id);
            }
            contents.customer_ids.extend(claimed.map(|claimed| (namespace.clone(), claimed)));
            contents.groups.insert(namespace.clone(), groups);
            contents.listings.insert(namespace, listings);
            contents.lifetimes.extend(
                accounts
                    .iter()
                    .map(|account| (account.id, StoredLifetime::next_transaction(account))),
            );
            accounts.into_iter().for_each(|account| contents.accounts.put(account));
        }
        Self { contents: Mutex::new(contents) }
    }

    /// Gives a case to an account, as an application does.
    pub fn assign_case(&self, case: &str, owner: AccountId) {
        self.contents().cases.insert(case.to_owned(), Some(owner));
    }

    /// Returns the account that a case is assigned to.
    #[must_use]
    pub fn case_owner(&self, case: &str) -> Option<AccountId> {
        self.contents().cases.get(case).copied().flatten()
    }

    /// Returns the journal of an account: each transaction and whether another superseded it,
    /// oldest first.
    #[must_use]
    pub fn journal(&self, account: AccountId) -> Vec<(Transaction, bool)> {
        let contents = self.contents();
        let of_account = contents.journal.values().filter(|entry| entry.account == account);
        let mut entries: Vec<_> =
            of_account.map(|entry| (entry.transaction.clone(), entry.superseded)).collect();
        entries.sort_by_key(|(transaction, _)| transaction.revision);
        entries
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("nothing panics while it holds the lock")
    }
}

impl Store for MemoryStore {
    async fn find(&self, keys: &[AccountKey]) -> Result<HashMap<AccountKey, Account>, StoreError> {
        let contents = self.contents();
        Ok(keys
            .iter()
            .filter_map(|key| Some((key.clone(), contents.under(key)?.clone())))
            .collect())
    }

    async fn organizations(
        &self,
        wanted: &[Organization],
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let contents = self.contents();
        Ok(wanted
            .iter()
            .map(|organization| (organization.namespace.clone(), contents.record(organization)))
            .collect())
    }

    async fn records(
        &self,
        wanted: &[Organization],
        groups: &BTreeSet<GroupName>,
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let mut records = self.organizations(wanted).await?;
        for (namespace, record) in &mut records {
            record.groups.retain(|name, _| groups.contains(&(namespace.clone(), name.clone())));
        }
        Ok(records)
    }

    async fn group_names(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, BTreeSet<String>>, StoreError> {
        let contents = self.contents();
        let names = |namespace| {
            contents
                .groups
                .get(namespace)
                .map(|groups| groups.keys().cloned().collect())
                .unwrap_or_default()
        };
        Ok(namespaces.iter().map(|namespace| (namespace.clone(), names(namespace))).collect())
    }

    async fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Account>, StoreError> {
        let contents = self.contents();
        let account = |user: &UserName| contents.accounts.owned_by(&user.0, &user.1);
        let source =
            |user: &UserName| Some((user.0.clone(), inherits_from(account(user)?)?.to_owned()));
        let chains = reached(users.iter().cloned(), source).into_iter();
        Ok(chains.filter_map(|user| Some((user.clone(), account(&user)?.clone()))).collect())
    }

    async fn heirs(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Vec<String>>, StoreError> {
        let contents = self.contents();
        let heirs = users.iter().map(|user| {
            let mut names: Vec<String> = contents
                .accounts
                .heirs(&user.0, &user.1)
                .map(|heir| heir.owner.name.clone())
                .collect();
            names.sort();
            (user.clone(), names)
        });
        Ok(heirs.filter(|(_, names)| !names.is_empty()).collect())
    }

    async fn administrators(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, Vec<Administrator>>, StoreError> {
        let contents = self.contents();
        let of = |namespace: &String| {
            let administrators = contents.administrators(namespace).map(|account| Administrator {
                user: account.owner.name.clone(),
                group: account.content.group.clone(),
            });
            let mut administrators: Vec<Administrator> = administrators.collect();
            administrators.sort();
            (namespace.clone(), administrators)
        };
        Ok(namespaces.iter().map(of).collect())
    }

    async fn counts(
        &self,
        namespaces: &HashMap<String, Deleting>,
    ) -> Result<HashMap<String, Counts>, StoreError> {
        let contents = self.contents();
        Ok(namespaces
            .iter()
            .map(|(namespace, leaving)| (namespace.clone(), contents.counts(namespace, leaving)))
            .collect())
    }

    async fn known_ids(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        let contents = self.contents();
        Ok(ids.iter().copied().filter(|id| contents.is_known(*id)).collect())
    }

    async fn created_accounts(
        &self,
        creates: &[TransactionId],
    ) -> Result<HashMap<TransactionId, AccountId>, StoreError> {
        let contents = self.contents();
        Ok(creates.iter().filter_map(|id| Some((*id, contents.journal.get(id)?.account))).collect())
    }

    async fn deleted_accounts(
        &self,
        users: &[(UserName, String)],
    ) -> Result<HashMap<UserName, DeletedAccount>, StoreError> {
        let contents = self.contents();
        let mut found = HashMap::new();
        for ((namespace, name), uid) in users {
            let of_user = |gone: &&DeletedAccount| {
                gone.namespace == *namespace && gone.owner.name == *name && gone.owner.uid == *uid
            };
            if let Some(departure) = contents
                .departed
                .values()
                .filter(of_user)
                .max_by_key(|gone| gone.transaction.started)
            {
                found.insert((namespace.clone(), name.clone()), departure.clone());
            }
        }
        Ok(found)
    }

    async fn pending_deletions(&self) -> Result<Vec<DeletedAccount>, StoreError> {
        let contents = self.contents();
        Ok(contents
            .departed
            .values()
            .filter(|departure| departure.transaction.in_flight())
            .cloned()
            .collect())
    }

    async fn set_directories(
        &self,
        directories: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        let now = CommitTime { now, deadline: now }.in_microseconds().now;
        self.contents().set_directories(directories, now);
        Ok(())
    }

    async fn self_service_changes(&self, after: i64) -> Result<(i64, Vec<UserName>), StoreError> {
        let contents = self.contents();
        let newer = contents
            .member_changes
            .range(after + 1..)
            .filter_map(|(_, account)| contents.accounts.get(*account));
        let users =
            newer.map(|account| (account.namespace.clone(), account.owner.name.clone())).collect();
        Ok((contents.member_changes.keys().next_back().copied().unwrap_or_default(), users))
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        let contents = self.contents();
        let names = contents
            .accounts
            .iter()
            .map(|account| (account.namespace.clone(), account.owner.name.clone()));
        Ok(names.collect())
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Account>, StoreError> {
        let contents = self.contents();
        let mut accounts: Vec<Account> = match namespace {
            Some(namespace) => contents.accounts.in_organization(namespace).cloned().collect(),
            None => contents.accounts.iter().cloned().collect(),
        };
        accounts.sort_by(|a, b| {
            (&a.content.email, &a.namespace).cmp(&(&b.content.email, &b.namespace))
        });
        Ok(accounts)
    }

    async fn commit(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        let mut contents = self.contents();
        let occasion = occasion.in_microseconds().after(contents.calendar().closed_until());
        Ok(plans.iter().map(|plan| contents.apply(plan, occasion)).collect())
    }

    async fn close_months(
        &self,
        zone: &BillingTimeZone,
        now: Timestamp,
    ) -> Result<Vec<Period>, StoreError> {
        let mut contents = self.contents();
        let due = contents.calendar().due(zone, now);
        contents.billing_zone = Some(zone.clone());
        contents.closed.extend(due.iter().cloned());
        Ok(due)
    }

    async fn calendar(&self) -> Result<Calendar, StoreError> {
        Ok(self.contents().calendar())
    }

    async fn lifetimes(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        let mut lives: Vec<Lifetime> = {
            let contents = self.contents();
            let lives = contents.lifetimes.values().map(|lifetime| lifetime.at_the_end_of(period));
            let wanted =
                |life: &Lifetime| namespace.is_none_or(|namespace| life.organization == namespace);
            lives.filter(|life| wanted(life) && period.bills(life.created, life.deleted)).collect()
        };
        lives.sort_by(|a, b| {
            (&a.organization, &a.login_name, a.created).cmp(&(
                &b.organization,
                &b.login_name,
                b.created,
            ))
        });
        // Whoever wants no more has had what it wants.
        let _ = lives.into_iter().try_for_each(take);
        Ok(())
    }
}

impl Logins for MemoryStore {
    async fn judge_login(
        &self,
        account: Option<AccountId>,
        matches: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let now = CommitTime { now, deadline: now }.in_microseconds().now;
        let failures = &mut self.contents().login_failures;
        let judgement = judge(failures.get(&account), matches, now);
        match judgement.failures {
            Some(failed) => _ = failures.insert(account, failed),
            None => _ = failures.remove(&account),
        }
        Ok(judgement.admitted)
    }

    async fn login_failures(&self) -> Result<HashMap<AccountId, LoginFailures>, StoreError> {
        let contents = self.contents();
        Ok(contents
            .login_failures
            .iter()
            .filter_map(|(account, failures)| Some(((*account)?, failures.clone())))
            .collect())
    }
}

impl Contents {
    fn calendar(&self) -> Calendar {
        let first_life = self.lifetimes.values().map(|lifetime| lifetime.life.created).min();
        let first_life = first_life.filter(|_| self.closed.is_empty());
        Calendar { zone: self.billing_zone.clone(), closed: self.closed.clone(), first_life }
    }

    fn apply(&mut self, plan: &Plan, occasion: CommitTime) -> Result<Receipt, Refusal> {
        match plan {
            Plan::Account(plan) => self.change_account(plan, occasion),
            Plan::Group(GroupPlan::Put { namespace, name, content, leaving }) => {
                self.put_group([namespace, name], content, leaving)
            }
            Plan::Group(GroupPlan::Drop { namespace, name, leaving }) => {
                self.drop_group(namespace, name, leaving)
            }
            Plan::Domain(DomainPlan::Put { namespace, name, listing }) => {
                self.put_domain(namespace, name, listing)
            }
            Plan::Domain(DomainPlan::Drop { namespace, name, leaving }) => {
                self.drop_domain(namespace, name, leaving)
            }
            Plan::Member(plan) => self.change_member(plan, occasion),
            Plan::Rehash(plan) => self.rehash(plan),
            Plan::Confirm(plan) => self.confirm(plan, occasion),
        }
    }

    fn change_account(
        &mut self,
        plan: &AccountPlan,
        occasion: CommitTime,
    ) -> Result<Receipt, Refusal> {
        let AccountPlan { organization, owner, change, .. } = plan;
        let namespace = organization.namespace.as_str();
        if let Some(entry) = transaction_of(change).and_then(|id| self.journal.get(&id)) {
            return self.repeated(entry, owner);
        }
        match change {
            AccountChange::Create { id, transaction, login_name, content, password } => {
                let content = self.numbered(namespace, content);
                let (transaction, password) = (*transaction, password.as_ref());
                let new = NewAccount { id: *id, login_name, content, transaction, password };
                self.create(plan, occasion.created(plan, new, &self.directories))
            }
            AccountChange::Update { account, from, transaction, content, password, adopts } => {
                let current = self.at(namespace, *account, *from)?.clone();
                let transaction = transaction.map(|begins| {
                    occasion.next_transaction(begins, next(*from), &self.directories)
                });
                check_may_begin(&current, transaction.as_ref())?;
                let mut changed = occasion.updated(&current, owner, content, transaction);
                changed.credential =
                    password.clone().map(Credential::of_secret).or(changed.credential);
                self.update(plan, &current, changed, (*adopts, occasion.now))
            }
            AccountChange::Delete { account, from, transaction } => {
                let gone = self.at(namespace, *account, *from)?.clone();
                let transaction = (*transaction, TransactionKind::Delete);
                self.delete(
                    plan,
                    &gone,
                    occasion.next_transaction(transaction, next(*from), &self.directories),
                )
            }
            AccountChange::Release { account, from } => {
                let current = self.at(namespace, *account, *from)?.clone();
                if current.owner.uid != owner.uid {
                    return Err(Refusal::Stale);
                }
                let released = Owner { uid: String::new(), ..current.owner.clone() };
                Ok(self.put(Account { revision: next(*from), owner: released, ..current }))
            }
        }
    }

    fn create(&mut self, plan: &AccountPlan, account: Account) -> Result<Receipt, Refusal> {
        let AccountPlan {
            organization,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving: _,
        } = plan;
        let namespace = organization.namespace.as_str();
        self.check_claim(organization)?;
        self.check_made_from(plan)?;
        self.check_movers(namespace, None, moves)?;
        if self.accounts.owned_by(namespace, &owner.name).is_some() {
            return Err(Refusal::Stale);
        }
        self.check_group(namespace, &account.content.group)?;
        self.check_domain(namespace, &account.content.email)?;
        self.check_moved_domains(namespace, moves)?;
        self.check_free(namespace, moves, None, &account.content.email)?;
        if self.accounts.with_login(&account.login_name).is_some() {
            return Err(Refusal::LoginTaken);
        }
        if self.is_known(account.id) {
            return Err(Refusal::IdTaken);
        }
        self.check_moved_addresses(namespace, None, Some(&account.content.email), moves)?;

        self.customer_ids.insert(namespace.to_owned(), organization.customer_id.clone());
        self.lifetimes.insert(account.id, StoredLifetime::next_transaction(&account));
        self.append_journal(&account.transaction, account.id, None);
        self.move_addresses(moves);
        self.freeze_permissions(keeps);
        Ok(self.put(account))
    }

    fn update(
        &mut self,
        plan: &AccountPlan,
        current: &Account,
        next: Account,
        (adopts, now): (bool, Timestamp),
    ) -> Result<Receipt, Refusal> {
        let AccountPlan {
            organization,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving,
        } = plan;
        let namespace = organization.namespace.as_str();
        let of_another = self
            .accounts
            .owned_by(namespace, &owner.name)
            .is_some_and(|other| other.id != current.id);
        if (current.owner.name != owner.name && !adopts) || of_another {
            return Err(Refusal::Stale);
        }
        self.check_made_from(plan)?;
        self.check_movers(namespace, Some(current.id), moves)?;
        if next.content.group != current.content.group {
            self.check_group(namespace, &next.content.group)?;
        }
        if next.content.email != current.content.email {
            self.check_domain(namespace, &next.content.email)?;
        }
        self.check_moved_domains(namespace, moves)?;
        self.check_free(namespace, moves, Some(current.id), &next.content.email)?;
        self.check_moved_addresses(namespace, Some(current.id), Some(&next.content.email), moves)?;
        if self.is_administrator(namespace, &current.content)
            && !self.is_administrator(namespace, &next.content)
        {
            let others = |account: &Account| {
                (account.id != current.id)
                    .then(|| self.is_administrator(namespace, &account.content))
            };
            // Whoever owns it from now on may stay where its owner until now leaves.
            let itself = leaving.stays(&next.owner.name).then_some(false);
            self.check_control_with(namespace, leaving, others, itself)?;
        }

        if next.transaction.id != current.transaction.id {
            self.append_journal(&next.transaction, next.id, Some(&current.transaction));
        }
        if next.content.lifecycle != current.content.lifecycle
            && let Some(lifetime) = self.lifetimes.get_mut(&next.id)
        {
            lifetime.switches.push((now, next.content.lifecycle));
        }
        self.move_addresses(moves);
        self.freeze_permissions(keeps);
        Ok(self.put(next))
    }

    fn delete(
        &mut self,
        plan: &AccountPlan,
        gone: &Account,
        transaction: Transaction,
    ) -> Result<Receipt, Refusal> {
        let AccountPlan {
            organization,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving,
        } = plan;
        let namespace = organization.namespace.as_str();
        if gone.owner.uid != owner.uid {
            return Err(Refusal::Stale);
        }
        self.check_made_from(plan)?;
        self.check_movers(namespace, Some(gone.id), moves)?;
        self.check_moved_domains(namespace, moves)?;
        self.check_moved_addresses(namespace, Some(gone.id), None, moves)?;
        if self
            .accounts
            .heirs(namespace, &gone.owner.name)
            .any(|heir| heir.id != gone.id && leaving.stays(&heir.owner.name))
        {
            return Err(Refusal::InUse);
        }
        if self.is_administrator(namespace, &gone.content) {
            self.check_control(namespace, leaving, |account| {
                (account.id != gone.id).then(|| self.is_administrator(namespace, &account.content))
            })?;
        }

        self.accounts.remove(gone.id);
        self.login_failures.remove(&Some(gone.id));
        if let Some(lifetime) = self.lifetimes.get_mut(&gone.id) {
            lifetime.life.deleted = Some(transaction.started.max(gone.created));
        }
        let cases_unassigned = self.unassign_cases(gone.id);
        self.append_journal(&transaction, gone.id, Some(&gone.transaction));
        let Account { id, namespace, owner, login_name, confirmed, .. } = gone.clone();
        let departure = DeletedAccount {
            account: id,
            namespace,
            owner,
            login_name,
            cases_unassigned,
            transaction,
            confirmed,
        };
        self.departed.insert(id, departure.clone());
        self.move_addresses(moves);
        self.freeze_permissions(keeps);
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    /// Answers a transaction that is in the journal as it was answered first.
    ///
    /// An account that was created for the owner and is another's by now is no answer.
    fn repeated(&self, entry: &Entry, owner: &Owner) -> Result<Receipt, Refusal> {
        if let Some(departure) = self
            .departed
            .get(&entry.account)
            .filter(|_| entry.transaction.kind == TransactionKind::Delete)
        {
            return Ok(Receipt::Deleted(Box::new(departure.clone())));
        }
        let account = self.accounts.get(entry.account).ok_or(Refusal::Stale)?;
        if entry.transaction.kind == TransactionKind::Create && account.owner.uid != owner.uid {
            return Err(Refusal::Stale);
        }
        Ok(Receipt::Account(Box::new(account.clone())))
    }

    fn check_claim(&self, organization: &Organization) -> Result<(), Refusal> {
        match self.customer_ids.get(&organization.namespace) {
            Some(claimed) if *claimed != organization.customer_id => {
                Err(Refusal::CustomerIdChanged)
            }
            None if self.is_taken(organization) => Err(Refusal::CustomerIdTaken),
            Some(_) | None => Ok(()),
        }
    }

    fn check_group(&self, namespace: &str, name: &str) -> Result<(), Refusal> {
        let declared = self.groups.get(namespace).is_some_and(|groups| groups.contains_key(name));
        if declared || GroupContent::built_in(name).is_some() {
            Ok(())
        } else {
            Err(Refusal::GroupNotFound)
        }
    }

    fn check_domain(&self, namespace: &str, email: &Email) -> Result<(), Refusal> {
        let accepted = self.listings.get(namespace).is_some_and(|listings| {
            listings.values().any(|listing| listing.accepts(email.domain()))
        });
        if accepted { Ok(()) } else { Err(Refusal::DomainNotAllowed) }
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
            if !seen.insert(*account) {
                return Err(Refusal::Stale);
            }
        }
        Ok(())
    }

    fn check_moved_domains(&self, namespace: &str, moves: &[AddressMove]) -> Result<(), Refusal> {
        moves.iter().try_for_each(|AddressMove { to, .. }| self.check_domain(namespace, to))
    }

    /// No account that stays where it is has the address.
    fn check_free(
        &self,
        namespace: &str,
        moves: &[AddressMove],
        changed: Option<AccountId>,
        email: &Email,
    ) -> Result<(), Refusal> {
        let stays = |account: &Account| {
            changed != Some(account.id) && moves.iter().all(|mover| mover.account != account.id)
        };
        if self.accounts.with_email(namespace, email).is_some_and(stays) {
            Err(Refusal::EmailTaken)
        } else {
            Ok(())
        }
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
            if !seen.insert(to) {
                return Err(Refusal::EmailTaken);
            }
        }
        Ok(())
    }

    fn move_addresses(&mut self, moves: &[AddressMove]) {
        for AddressMove { account, from, to } in moves {
            self.accounts.change(*account, |mover| {
                mover.content.email = to.clone();
                mover.revision = Revision(from.0 + 1);
            });
        }
    }

    /// Everybody that the plan was made from is as it was then, and whoever is to keep something
    /// follows somebody.
    fn check_made_from(&self, plan: &AccountPlan) -> Result<(), Refusal> {
        let namespace = plan.organization.namespace.as_str();
        check_preconditions(plan).try_for_each(|(account, revision)| {
            self.at(namespace, account, revision).map(|_| ())
        })?;
        let follows = |keep: &FrozenPermissions| {
            let source =
                self.accounts.get(keep.account).and_then(|account| account.content.source.as_ref());
            matches!(source, Some(Source::Inherited { .. }))
        };
        if keeps_twice(plan) || !plan.freezes.iter().all(follows) {
            Err(Refusal::Stale)
        } else {
            Ok(())
        }
    }

    fn freeze_permissions(&mut self, keeps: &[FrozenPermissions]) {
        for FrozenPermissions { account, from: _, kept: keeps } in keeps {
            self.accounts.change(*account, |keeper| {
                if let Some(Source::Inherited { kept, .. }) = &mut keeper.content.source {
                    kept.clone_from(keeps);
                    keeper.revision = next(keeper.revision);
                }
            });
        }
    }

    /// Somebody who stays is in control, unless nobody stays. `afterwards` says who will be, and
    /// nothing of who will be gone.
    fn check_control(
        &self,
        namespace: &str,
        leaving: &Deleting,
        afterwards: impl Fn(&Account) -> Option<bool>,
    ) -> Result<(), Refusal> {
        self.check_control_with(namespace, leaving, afterwards, None)
    }

    /// As [`Self::check_control`], with somebody beside those in the organization.
    fn check_control_with(
        &self,
        namespace: &str,
        leaving: &Deleting,
        afterwards: impl Fn(&Account) -> Option<bool>,
        beside: Option<bool>,
    ) -> Result<(), Refusal> {
        let staying = self
            .accounts
            .in_organization(namespace)
            .filter(|account| leaving.stays(&account.owner.name));
        let in_control: Vec<bool> = staying.filter_map(afterwards).chain(beside).collect();
        let control = AdminCoverage {
            administrators: in_control.contains(&true),
            users: !in_control.is_empty(),
        };
        if control.is_lost() { Err(Refusal::LastAdministrator) } else { Ok(()) }
    }

    /// As [`Self::check_control`], where a group that gives full control now won't afterwards.
    fn check_control_without(
        &self,
        namespace: &str,
        group: &str,
        leaving: &Deleting,
    ) -> Result<(), Refusal> {
        if !self.administrators(namespace).any(|account| account.content.group == group) {
            return Ok(());
        }
        self.check_control(namespace, leaving, |account| {
            Some(
                account.content.group != group
                    && self.is_administrator(namespace, &account.content),
            )
        })
    }

    fn administrators<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Account> {
        self.accounts
            .in_organization(namespace)
            .filter(move |account| self.is_administrator(namespace, &account.content))
    }

    fn is_administrator(&self, namespace: &str, content: &AccountSpec) -> bool {
        content.lifecycle == LoginState::Enabled
            && self.group(namespace, &content.group).is_some_and(|group| group.full_control)
    }

    fn group(&self, namespace: &str, name: &str) -> Option<GroupContent> {
        let declared = self.groups.get(namespace).and_then(|groups| groups.get(name)).cloned();
        declared.or_else(|| GroupContent::built_in(name))
    }

    /// Gives the placeholder of a copy the lowest number that is free.
    fn numbered(&self, namespace: &str, content: &AccountSpec) -> AccountSpec {
        let taken = self.accounts.in_organization(namespace).map(|account| &account.content.email);
        AccountSpec { email: lowest_free_copy(&content.email, taken), ..content.clone() }
    }

    fn change_member(
        &mut self,
        plan: &MemberPlan,
        occasion: CommitTime,
    ) -> Result<Receipt, Refusal> {
        let MemberPlan { namespace, account, .. } = plan;
        let there = |account: &&Account| account.namespace == *namespace;
        let current = self.accounts.get(*account).filter(there).ok_or(Refusal::Stale)?.clone();
        let group = self.group(namespace, &current.content.group).unwrap_or_default();
        let begun =
            |begins, revision| occasion.next_transaction(begins, revision, &self.directories);
        let next = changed_by_member(&current, &group, plan, begun)?;
        if next.content.email != current.content.email {
            self.check_domain(namespace, &next.content.email)?;
            self.check_free(namespace, &[], Some(current.id), &next.content.email)?;
        }
        if next.transaction.id != current.transaction.id {
            self.append_journal(&next.transaction, next.id, None);
        }
        if next != current {
            let number = self.member_changes.keys().next_back().copied().unwrap_or_default() + 1;
            self.member_changes.insert(number, next.id);
            self.member_changes = self.member_changes.split_off(&(number - MEMBER_CHANGES));
        }
        Ok(self.put(next))
    }

    fn rehash(&mut self, plan: &RehashPlan) -> Result<Receipt, Refusal> {
        let RehashPlan { namespace, account, before, after } = plan;
        let there = |account: &&Account| account.namespace == *namespace;
        let mut account = self.accounts.get(*account).filter(there).ok_or(Refusal::Stale)?.clone();
        let credential = account
            .credential
            .as_mut()
            .filter(|credential| credential.login == *before)
            .ok_or(Refusal::Stale)?;
        credential.login = after.clone();
        Ok(self.put(account))
    }

    fn confirm(&mut self, plan: &ConfirmPlan, occasion: CommitTime) -> Result<Receipt, Refusal> {
        let ConfirmPlan { namespace, account, confirmed } = plan;
        if let Some(mut account) =
            self.accounts.get(*account).filter(|account| account.namespace == *namespace).cloned()
        {
            account.transaction.confirm(
                &mut account.confirmed,
                confirmed,
                &self.directories,
                occasion.now,
            );
            self.note_completion(&account.transaction);
            return Ok(self.put(account));
        }
        let there = |departure: &&mut DeletedAccount| departure.namespace == *namespace;
        let departure = self.departed.get_mut(account).filter(there).ok_or(Refusal::Stale)?;
        departure.transaction.confirm(
            &mut departure.confirmed,
            confirmed,
            &self.directories,
            occasion.now,
        );
        let departure = departure.clone();
        self.note_completion(&departure.transaction);
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    fn set_directories(&mut self, directories: &BTreeSet<String>, now: jiff::Timestamp) {
        if self.directories == *directories {
            return;
        }
        let back: Vec<String> = directories.difference(&self.directories).cloned().collect();
        self.directories.clone_from(directories);
        let accounts: Vec<AccountId> = self.accounts.iter().map(|account| account.id).collect();
        for account in accounts {
            self.accounts.change(account, |account| {
                account.transaction.confirm(
                    &mut account.confirmed,
                    &Confirmations::new(),
                    directories,
                    now,
                );
            });
        }
        for departure in self.departed.values_mut() {
            let (known, revision) = (&departure.confirmed, departure.transaction.revision);
            if back
                .iter()
                .any(|name| known.get(name).is_some_and(|known| known.revision < revision))
            {
                departure.transaction.completed = None;
            }
            departure.transaction.confirm(
                &mut departure.confirmed,
                &Confirmations::new(),
                directories,
                now,
            );
        }
        let last = self.accounts.iter().map(|account| account.transaction.clone());
        let last: Vec<_> = last
            .chain(self.departed.values().map(|departure| departure.transaction.clone()))
            .collect();
        last.iter().for_each(|transaction| self.note_completion(transaction));
    }

    fn note_completion(&mut self, transaction: &Transaction) {
        if let Some(entry) = self.journal.get_mut(&transaction.id) {
            entry.transaction.completed = transaction.completed;
        }
    }

    fn put_group(
        &mut self,
        [namespace, name]: [&str; 2],
        content: &GroupContent,
        leaving: &Deleting,
    ) -> Result<Receipt, Refusal> {
        if !content.full_control {
            self.check_control_without(namespace, name, leaving)?;
        }
        self.groups
            .entry(namespace.to_owned())
            .or_default()
            .insert(name.to_owned(), content.clone());
        Ok(Receipt::Done)
    }

    fn put(&mut self, account: Account) -> Receipt {
        let login = |account: &Account| {
            account.credential.as_ref().map(|credential| credential.login.clone())
        };
        let is_enabled = |before: &Account| {
            before.content.lifecycle != account.content.lifecycle
                && account.content.lifecycle == LoginState::Enabled
        };
        if self
            .accounts
            .get(account.id)
            .is_some_and(|before| login(before) != login(&account) || is_enabled(before))
        {
            self.login_failures.remove(&Some(account.id));
        }
        self.accounts.put(account.clone());
        Receipt::Account(Box::new(account))
    }

    fn append_journal(
        &mut self,
        transaction: &Transaction,
        account: AccountId,
        last: Option<&Transaction>,
    ) {
        if let Some(last) =
            last.filter(|last| last.in_flight()).and_then(|last| self.journal.get_mut(&last.id))
        {
            last.superseded = true;
        }
        self.journal.insert(
            transaction.id,
            Entry { account, transaction: transaction.clone(), superseded: false },
        );
    }

    fn unassign_cases(&mut self, owner: AccountId) -> i64 {
        let mut unassigned = 0;
        for case in self.cases.values_mut().filter(|case| **case == Some(owner)) {
            *case = None;
            unassigned += 1;
        }
        unassigned
    }

    fn drop_group(
        &mut self,
        namespace: &str,
        name: &str,
        leaving: &Deleting,
    ) -> Result<Receipt, Refusal> {
        let stays = |account: &Account| !leaving.contains(&account.owner.name);
        if self
            .accounts
            .in_organization(namespace)
            .any(|account| account.content.group == name && stays(account))
        {
            return Err(Refusal::InUse);
        }
        if !GroupContent::built_in(name).is_some_and(|group| group.full_control) {
            self.check_control_without(namespace, name, leaving)?;
        }
        if let Some(groups) = self.groups.get_mut(namespace) {
            groups.remove(name);
        }
        Ok(Receipt::Done)
    }

    fn put_domain(
        &mut self,
        namespace: &str,
        name: &str,
        listing: &Listing,
    ) -> Result<Receipt, Refusal> {
        let listings = self.listings.entry(namespace.to_owned()).or_default();
        if listings.iter().any(|(other, listed)| other != name && listed.domain == listing.domain) {
            return Err(Refusal::DomainTaken);
        }
        listings.insert(name.to_owned(), listing.clone());
        Ok(Receipt::Done)
    }

    fn drop_domain(
        &mut self,
        namespace: &str,
        name: &str,
        leaving: &Deleting,
    ) -> Result<Receipt, Refusal> {
        let Some(listings) = self.listings.get(namespace) else { return Ok(Receipt::Done) };
        let stays = |account: &Account| !leaving.contains(&account.owner.name);
        let only_here = |account: &Account| {
            stays(account) && needs(listings, name, account.content.email.domain())
        };
        if self.accounts.in_organization(namespace).any(only_here) {
            return Err(Refusal::InUse);
        }
        self.listings.entry(namespace.to_owned()).or_default().remove(name);
        Ok(Receipt::Done)
    }

    fn at(
        &self,
        namespace: &str,
        account: AccountId,
        revision: Revision,
    ) -> Result<&Account, Refusal> {
        let there =
            |account: &&Account| account.namespace == namespace && account.revision == revision;
        self.accounts.get(account).filter(there).ok_or(Refusal::Stale)
    }

    fn under(&self, key: &AccountKey) -> Option<&Account> {
        match key {
            AccountKey::Owner { namespace, name } => self.accounts.owned_by(namespace, name),
            AccountKey::Email { namespace, email } => self.accounts.with_email(namespace, email),
            AccountKey::Login(login_name) => self.accounts.with_login(login_name),
            AccountKey::Id(id) => self.accounts.get(*id),
        }
    }

    fn is_known(&self, id: AccountId) -> bool {
        self.lifetimes.contains_key(&id) || self.known_ids.contains(&id)
    }

    fn is_taken(&self, Organization { namespace, customer_id }: &Organization) -> bool {
        self.customer_ids
            .iter()
            .any(|(claimant, claimed)| claimant != namespace && claimed == customer_id)
    }

    fn record(&self, organization: &Organization) -> OrganizationRecord {
        OrganizationRecord {
            claimed: self.customer_ids.get(&organization.namespace).cloned(),
            taken: self.is_taken(organization),
            groups: self.groups.get(&organization.namespace).cloned().unwrap_or_default(),
            listings: self.listings.get(&organization.namespace).cloned().unwrap_or_default(),
        }
    }

    fn counts(&self, namespace: &str, leaving: &Deleting) -> Counts {
        let mut counts = Counts::default();
        for account in self
            .accounts
            .in_organization(namespace)
            .filter(|account| !leaving.contains(&account.owner.name))
        {
            *counts.members.entry(account.content.group.clone()).or_default() += 1;
            *counts.email_domains.entry(account.content.email.domain().to_owned()).or_default() +=
                1;
        }
        counts
    }
}
