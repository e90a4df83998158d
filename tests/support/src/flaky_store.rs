//! The reference store on a bad day: as often as it is told, it is away, and whom it is told an
//! application keeps locked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use roster::domain::account::{Account, AccountId, DeletedAccount, TransactionId};
use roster::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use roster::domain::organization::Organization;
use roster::plan::{AccountChange, Deleting, Plan};
use roster::store::memory::MemoryStore;
use roster::store::{
    AccountKey, Administrator, CommitTime, Counts, GroupName, OrganizationRecord, Receipt, Refusal,
    Store, StoreError, UserName,
};

#[derive(Clone, Default)]
pub struct FlakyStore {
    pub inner: Arc<MemoryStore>,
    failures: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    kept: Arc<Mutex<BTreeSet<String>>>,
    commits: Arc<Mutex<Vec<Vec<String>>>>,
    calls: Arc<AtomicUsize>,
    /// The newest claim, and that of whoever holds this: once it isn't the newest, nothing is taken
    /// of it.
    newest_claim: Arc<AtomicI64>,
    claim: i64,
    /// Whether it says of every claim that it stands, as if nobody checked.
    never_checks: bool,
    /// The uid of the `User` of each account that there ever was.
    owners: Arc<Mutex<BTreeMap<AccountId, String>>>,
}

/// Returns the name of the `User` that a plan is about.
fn user(plan: &Plan) -> Option<&str> {
    match plan {
        Plan::Account(plan) => Some(&plan.owner.name),
        _ => None,
    }
}

fn deletes(plan: &Plan) -> bool {
    matches!(plan, Plan::Account(plan) if matches!(plan.change, AccountChange::Delete { .. }))
}

impl FlakyStore {
    /// Whether a plan changes an address, which takes the account's row whole, as deleting it does.
    async fn moves(&self, plan: &Plan) -> bool {
        let Plan::Account(plan) = plan else { return false };
        let AccountChange::Update { account, content, .. } = &plan.change else { return false };
        let before = self.inner.find(&[AccountKey::Id(*account)]).await.unwrap();
        before.values().any(|before| before.content.email != content.email)
    }

    /// Lets the next calls fail.
    pub fn fail(&self, times: usize) {
        self.failures.store(times, Ordering::Relaxed);
    }

    /// Lets the next commits be done, and their answers get lost.
    pub fn lose(&self, times: usize) {
        self.lost.store(times, Ordering::Relaxed);
    }

    /// Lets the next commits refuse everything, as if somebody else changed the accounts all the
    /// time.
    pub fn refuse(&self, times: usize) {
        self.refused.store(times, Ordering::Relaxed);
    }

    /// Ends the claim of the operator that works, as another's claim does.
    pub fn supersede(&self) {
        self.newest_claim.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the store as it were if nobody checked claims but those who commit.
    pub fn without_checks(self) -> Self {
        Self { never_checks: true, ..self }
    }

    /// Whether the claim stands, for those who ask without committing anything.
    fn check(&self) -> Result<(), StoreError> {
        if self.never_checks { Ok(()) } else { self.stands() }
    }

    /// Whether the claim stands; a commit is refused where it doesn't.
    fn stands(&self) -> Result<(), StoreError> {
        let stands = self.newest_claim.load(Ordering::Relaxed) == self.claim;
        if stands { Ok(()) } else { Err(StoreError::Superseded { epoch: self.claim }) }
    }

    /// Has an application keep the cases of these `User`s.
    pub fn keep(&self, users: &[&str]) {
        *self.kept.lock().unwrap() = users.iter().map(|&user| user.to_owned()).collect();
    }

    /// Returns the `User`s that each commit since the last time was about, in the order of its
    /// plans.
    pub fn take_commits(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.commits.lock().unwrap())
    }

    /// Returns how often it was asked for something until now.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns the store as an operator sees it who claims it now: no former claim stands any more.
    pub fn claimed_anew(&self) -> Self {
        Self { claim: self.newest_claim.fetch_add(1, Ordering::Relaxed) + 1, ..self.clone() }
    }

    /// Returns the uid of the `User` of each account that there ever was.
    pub fn owners_ever(&self) -> BTreeMap<AccountId, String> {
        self.owners.lock().unwrap().clone()
    }

    fn answers(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Self::count(&self.failures)
    }

    fn count(left: &AtomicUsize) -> Result<(), StoreError> {
        let fails =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() {
            Err(StoreError::Unusable("the store is away".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Store for FlakyStore {
    async fn find(&self, keys: &[AccountKey]) -> Result<HashMap<AccountKey, Account>, StoreError> {
        self.answers()?;
        self.inner.find(keys).await
    }

    async fn organizations(
        &self,
        wanted: &[Organization],
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        self.answers()?;
        self.inner.organizations(wanted).await
    }

    async fn records(
        &self,
        wanted: &[Organization],
        groups: &BTreeSet<GroupName>,
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        self.answers()?;
        self.inner.records(wanted, groups).await
    }

    async fn group_names(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, BTreeSet<String>>, StoreError> {
        self.answers()?;
        self.inner.group_names(namespaces).await
    }

    async fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Account>, StoreError> {
        self.answers()?;
        self.inner.inheritance_chain(users).await
    }

    async fn heirs(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Vec<String>>, StoreError> {
        self.answers()?;
        self.inner.heirs(users).await
    }

    async fn administrators(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, Vec<Administrator>>, StoreError> {
        self.answers()?;
        self.inner.administrators(namespaces).await
    }

    async fn counts(
        &self,
        namespaces: &HashMap<String, Deleting>,
    ) -> Result<HashMap<String, Counts>, StoreError> {
        self.answers()?;
        self.inner.counts(namespaces).await
    }

    async fn known_ids(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        self.answers()?;
        self.inner.known_ids(ids).await
    }

    async fn created_accounts(
        &self,
        creates: &[TransactionId],
    ) -> Result<HashMap<TransactionId, AccountId>, StoreError> {
        self.answers()?;
        self.inner.created_accounts(creates).await
    }

    async fn deleted_accounts(
        &self,
        users: &[(UserName, String)],
    ) -> Result<HashMap<UserName, DeletedAccount>, StoreError> {
        self.answers()?;
        self.inner.deleted_accounts(users).await
    }

    async fn pending_deletions(&self) -> Result<Vec<DeletedAccount>, StoreError> {
        self.answers()?;
        self.inner.pending_deletions().await
    }

    async fn set_directories(
        &self,
        directories: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        self.answers()?;
        self.inner.set_directories(directories, now).await
    }

    async fn check_claim(&self) -> Result<(), StoreError> {
        self.answers()?;
        self.check()
    }

    async fn self_service_changes(&self, after: i64) -> Result<(i64, Vec<UserName>), StoreError> {
        self.answers()?;
        self.check()?;
        self.inner.self_service_changes(after).await
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        self.answers()?;
        self.inner.owners().await
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Account>, StoreError> {
        self.inner.list(namespace).await
    }

    async fn commit(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        self.answers()?;
        self.stands()?;
        if Self::count(&self.refused).is_err() {
            return Ok(plans.iter().map(|_| Err(Refusal::Stale)).collect());
        }
        self.commits
            .lock()
            .unwrap()
            .push(plans.iter().filter_map(user).map(str::to_owned).collect());
        let kept = self.kept.lock().unwrap().clone();
        let mut free = vec![];
        let mut are_kept = vec![];
        for plan in plans {
            let is_kept = user(plan).is_some_and(|user| kept.contains(user))
                && (deletes(plan) || self.moves(plan).await);
            are_kept.push(is_kept);
            free.extend((!is_kept).then(|| plan.clone()));
        }
        let answers = self.inner.commit(&free, occasion).await;
        let owned = answers.iter().flatten().flatten().filter_map(|receipt| match receipt {
            Receipt::Account(account) => Some((account.id, account.owner.uid.clone())),
            Receipt::Deleted(_) | Receipt::Done => None,
        });
        self.owners.lock().unwrap().extend(owned);
        Self::count(&self.lost)?;
        let mut answers = answers?.into_iter();
        let answer = |is_kept| if is_kept { Err(Refusal::Locked) } else { answers.next().unwrap() };
        Ok(are_kept.into_iter().map(answer).collect())
    }

    async fn close_months(
        &self,
        zone: &BillingTimeZone,
        now: Timestamp,
    ) -> Result<Vec<Period>, StoreError> {
        self.answers()?;
        self.inner.close_months(zone, now).await
    }

    async fn calendar(&self) -> Result<Calendar, StoreError> {
        self.answers()?;
        self.inner.calendar().await
    }

    async fn lifetimes(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        self.answers()?;
        self.inner.lifetimes(period, namespace, take).await
    }
}
