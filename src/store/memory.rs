//! The store of tests and of `roster plan`: everything is loaded, in one unit of work.

mod contents;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use self::contents::{MemoryContents, StoredLifetime};
use super::logins::Logins;
use super::{
    AccountKey, Administrator, CommitTime, Counts, GroupName, OrganizationRecord, Receipt, Refusal,
    Store, StoreError, UserName,
};
use crate::domain::account::{Account, AccountId, DeletedAccount, Transaction, TransactionId};
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use crate::domain::inheritance::{inherits_from, reached};
use crate::domain::login_attempts::{LoginFailures, judge};
use crate::domain::organization::Organization;
use crate::plan::{Deleting, Plan};

/// A store that lives as long as its process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<MemoryContents>,
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
        let mut contents = MemoryContents::default();
        contents.work.known_ids = known_ids;
        for Extract { organization, record, accounts } in extracts {
            contents.put_organization(organization, record);
            for account in accounts {
                contents.work.known_ids.insert(account.id);
                contents.lifetimes.insert(account.id, StoredLifetime::of(&account));
                contents.work.accounts.put(account);
            }
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

    fn contents(&self) -> MutexGuard<'_, MemoryContents> {
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
            .map(|organization| {
                (organization.namespace.clone(), contents.work.organizations.record(organization))
            })
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
        let names = |namespace: &String| contents.work.organizations.group_names(namespace);
        Ok(namespaces.iter().map(|namespace| (namespace.clone(), names(namespace))).collect())
    }

    async fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Account>, StoreError> {
        let contents = self.contents();
        let account = |user: &UserName| contents.work.accounts.owned_by(&user.0, &user.1);
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
                .work
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
            let accounts = contents.work.accounts.in_organization(namespace);
            let administrators = accounts.filter(|account| {
                contents.work.organizations.is_administrator(namespace, &account.content)
            });
            let mut administrators: Vec<Administrator> = administrators
                .map(|account| Administrator {
                    user: account.owner.name.clone(),
                    group: account.content.group.clone(),
                })
                .collect();
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
        Ok(ids.iter().copied().filter(|id| contents.work.known_ids.contains(id)).collect())
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
                .work
                .deleted
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
            .work
            .deleted
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
            .filter_map(|(_, account)| contents.work.accounts.get(*account));
        let users =
            newer.map(|account| (account.namespace.clone(), account.owner.name.clone())).collect();
        Ok((contents.member_changes.keys().next_back().copied().unwrap_or_default(), users))
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        let contents = self.contents();
        let names = contents
            .work
            .accounts
            .iter()
            .map(|account| (account.namespace.clone(), account.owner.name.clone()));
        Ok(names.collect())
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Account>, StoreError> {
        let contents = self.contents();
        let mut accounts: Vec<Account> = match namespace {
            Some(namespace) => contents.work.accounts.in_organization(namespace).cloned().collect(),
            None => contents.work.accounts.iter().cloned().collect(),
        };
        accounts.sort_by(|a, b| {
            (&a.content.email, &a.namespace).cmp(&(&b.content.email, &b.namespace))
        });
        Ok(accounts)
    }

    async fn commit(
        &self,
        plans: &[Plan],
        time: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        let mut contents = self.contents();
        let time = time.in_microseconds().after(contents.calendar().closed_until());
        Ok(plans.iter().map(|plan| contents.commit(plan, time)).collect())
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
