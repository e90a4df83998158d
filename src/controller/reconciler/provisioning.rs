//! What runs outside the loop: password checks and provisioning.
//!
//! A snapshot has what was known when it was made; a later result enqueues its objects.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::event_notes::directory_refuses;
use super::{BATCH, COUNT_DEBOUNCE, Reconciler, in_force};
use crate::controller::observe::{self, Snapshot};
use crate::controller::passwords::{CheckResult, PasswordCheck};
use crate::domain::account::{Account, AccountId, DeletedAccount};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::Plan;
use crate::plan::directories::{self, Lag, MissingOfMembers, ReportContext, ReportedBefore};
use crate::plan::status::{self, StoredAccount};
use crate::plan::{user, user_group};
use crate::provisioning::queue::{FirstRefusal, PendingReports, ProvisioningTask};
use crate::provisioning::secret_source::SecretVersionRef;
use crate::provisioning::{DirectoryError, Entry, Groups, Provisioned};
use crate::store::{Receipt, Refusal, Store, StoreError, UserName};

/// How long until the claim is checked again, after the store couldn't be asked.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

/// How long until acknowledgements are saved again, after that failed.
pub(super) const ACK_RETRY: Duration = Duration::from_secs(1);

/// How long after its start an operator knows what directories lack of a group's members: every
/// user was reconciled by then, and what is missing was sent. Until then a group's status keeps
/// what it reported.
const MEMBERS_KNOWN: Duration = Duration::from_secs(60);

impl<S: Store> Reconciler<S> {
    /// Adds to a snapshot what neither the cluster nor the store has: password checks, and the
    /// state of directories.
    pub(super) fn add_in_flight(&mut self, key: &ObjectKey, snapshot: &mut Snapshot) {
        let user = match snapshot {
            Snapshot::User(user) => user,
            Snapshot::Group(group) => return self.add_missing_of_members(key, group),
            Snapshot::Domain(_) => return,
        };
        let reference = user.spec.password_secret_ref.as_ref();
        let place = reference.map(|reference| (key.namespace.clone(), reference.name.clone()));
        let secret = place.and_then(|place| self.cache.secrets.get(&place));
        user.password = self.passwords.facts(key, user, secret, Instant::now());
        user.held_up = self.isolated.has(key);
        let account = user.account.as_ref().map(|account| account.id);
        let account = account.or(user.departure.as_ref().map(|departure| departure.account));
        self.add_missing_in_directories(key, user, account);
    }

    /// Adds what directories lack of an account and what the status reports of it. Reconciles the
    /// `User` again when that has lasted too long for it to be ready.
    pub(super) fn add_missing_in_directories(
        &mut self,
        key: &ObjectKey,
        user: &mut user::UserSnapshot,
        account: Option<AccountId>,
    ) {
        let seen = self.cache.user(key);
        let before = seen.and_then(|seen| ReportedBefore::of(&seen.status.conditions));
        let (was_told, now) = (before.is_some(), Instant::now());
        user.telling = ReportContext { before, deadline: self.settings.transaction_deadline };
        user.directories = match user.abandoned {
            Some(lost) => self.provisioning.pending_drops(lost, was_told, now),
            None => self.provisioning.states(account, was_told, now),
        };
        if let Some(left) = directories::until_it_blocks(&user.directories, &user.telling, user.now)
        {
            self.queue.enqueue(key.clone(), now + Duration::try_from(left).unwrap_or_default());
        }
    }

    /// Adds what directories lack of a group's members and what its status reports of it.
    fn add_missing_of_members(&mut self, key: &ObjectKey, group: &mut user_group::GroupSnapshot) {
        let seen = self.cache.group(key);
        let before = seen.and_then(|seen| ReportedBefore::of(&seen.status.conditions));
        let (now, known) = (Instant::now(), self.started.0 + MEMBERS_KNOWN);
        // What the status has reported since this operator started isn't from a former one.
        let is_early =
            now < known && before.as_ref().is_some_and(|before| before.since < self.started.1);
        if is_early {
            self.queue.enqueue(key.clone(), known);
        }
        let lacking = self.provisioning.missing_of_members(&key.namespace, &key.name, now);
        group.directories = lacking.map(|lacking| MissingOfMembers { before, is_early, ..lacking });
    }

    /// Provisions what the store has of a `User`, and reconciles it again when its transaction is
    /// overdue.
    pub(super) fn schedule_provisioning(
        &mut self,
        key: &ObjectKey,
        user: &user::UserSnapshot,
        has: StoredAccount<'_>,
    ) {
        let (uid, time, now) = (user.meta.uid.as_str(), user.now, Instant::now());
        let transaction = match has {
            StoredAccount::Account(account) => {
                if !self.settings.directories.is_empty() {
                    let mut entry = Entry::of(account, &status::effective(user, account));
                    entry.adopts = user.spec.adopt.is_some();
                    let place = secret_of(user, account);
                    self.provisioning.enqueue(key, &entry, &account.confirmed, place.as_ref(), now);
                }
                &account.transaction
            }
            StoredAccount::Departed(departure) => {
                self.provision_deletion(departure);
                &departure.transaction
            }
            StoredAccount::Nothing => {
                self.provision_left_behind(key, user);
                return self.clear_in_flight(uid);
            }
        };
        self.flush_soon(now);
        if !transaction.in_flight() {
            return self.clear_in_flight(uid);
        }
        let overdue = transaction.is_overdue(time);
        if !overdue {
            let left =
                Duration::try_from(time.duration_until(transaction.deadline)).unwrap_or_default();
            self.queue.enqueue(key.clone(), now + left);
        }
        let before = self.in_flight.insert(uid.to_owned(), (transaction.kind, overdue));
        self.metrics.transactions(before, Some((transaction.kind, overdue)));
    }

    /// Provisions the account of a `User`'s name that it has yet to take back: no other object
    /// does.
    fn provision_left_behind(&mut self, key: &ObjectKey, user: &user::UserSnapshot) {
        let of_its_name = |account: &&Account| account.owner.name == user.meta.name;
        if !self.settings.directories.is_empty()
            && let Some(account) = user.left_behind().filter(of_its_name)
        {
            let entry = Entry::of(account, &status::effective(user, account));
            self.provisioning.enqueue(key, &entry, &account.confirmed, None, Instant::now());
            self.flush_soon(Instant::now());
        }
    }

    pub(super) fn clear_in_flight(&mut self, uid: &str) {
        if let Some(before) = self.in_flight.remove(uid) {
            self.metrics.transactions(Some(before), None);
        }
    }

    /// Returns the password checks that are due.
    pub fn password_checks(&mut self) -> Vec<(ObjectKey, PasswordCheck)> {
        let secrets = &self.cache.secrets;
        self.passwords.take(Instant::now(), |key, question| {
            let secret = secrets.get(&(key.namespace.clone(), question.reference.name.clone()));
            secret.is_some_and(|secret| secret.resource_version == question.resource_version)
        })
    }

    /// Applies the result of a password check.
    pub fn on_password_checked(
        &mut self,
        key: &ObjectKey,
        question: PasswordCheck,
        verdict: CheckResult,
    ) {
        let now = Instant::now();
        if self.passwords.on_checked(key, question, verdict, now) {
            self.queue.enqueue(key.clone(), now);
        }
    }

    pub(super) fn provisioning_due(&self) -> Option<Instant> {
        let due = self.provisioning.next_due()?;
        Some(self.claim_check_at.map_or(due, |again| due.max(again)))
    }

    /// Returns the entries to send now; none unless the store has just confirmed the claim. A
    /// directory can't refuse a former leader as a commit can, and the new leader may have sent
    /// something newer.
    pub async fn provisioning_tasks(&mut self) -> Vec<ProvisioningTask> {
        let is_due = self.provisioning_due().is_some_and(|due| due <= Instant::now());
        let deliveries = if is_due && self.is_claim_current().await {
            self.provisioning.take(Instant::now())
        } else {
            vec![]
        };
        self.report_directories();
        self.provisioning
            .pending()
            .for_each(|(directory, entries)| self.metrics.provisioning_pending(directory, entries));
        self.provisioning
            .refused()
            .for_each(|(directory, entries)| self.metrics.refused_entries(directory, entries));
        self.provisioning
            .up()
            .for_each(|(directory, is_up)| self.metrics.directory_up(directory, is_up));
        deliveries
    }

    /// Checks the claim in the store. Without it the operator stops; if the store can't be asked,
    /// it is asked again.
    async fn is_claim_current(&mut self) -> bool {
        if self.superseded.is_some() {
            return false;
        }
        self.claim_check_at = None;
        match self.store.check_claim().await {
            Ok(()) => true,
            Err(error) => {
                self.claim_check_at = Some(Instant::now() + CLAIM_RETRY);
                self.on_store_error(vec![], error);
                false
            }
        }
    }

    /// Applies a directory's answer.
    pub fn on_provisioned(
        &mut self,
        directory: &str,
        entry: &Entry,
        answer: Result<Provisioned, DirectoryError>,
    ) {
        let now = Instant::now();
        if !entry.compares {
            self.metrics.provisioning_attempt(directory, answer.as_ref().err());
        }
        let concerned = self.provisioning.on_answer(directory, entry, answer, now);
        self.enqueue(concerned);
        self.report_drift();
        self.report_directories();
        self.flush_soon(now);
    }

    /// Enqueues objects whose status has something new to report of directories, and publishes new
    /// reasons for refusals.
    pub(super) fn report_directories(&mut self) {
        let PendingReports { users, accounts, groups, refusals } =
            self.provisioning.take_reports(Instant::now());
        self.enqueue(users);
        self.enqueue(self.dependents.taking_over(|account| accounts.contains(account)));
        // An outage of one directory may concern every member of every group.
        let soon = Instant::now() + COUNT_DEBOUNCE;
        for (namespace, group) in groups {
            self.queue.enqueue(ObjectKey::new(Kind::UserGroup, namespace, group), soon);
        }
        for FirstRefusal { directory, kind, user, words } in refusals {
            let Some(seen) = self.cache.user(&user) else { continue };
            let before =
                ReportedBefore::of(&seen.status.conditions).map(|before| before.behind.lag);
            if before != Some(Lag::Refused) {
                self.other_writes.push(directory_refuses(
                    &user,
                    &seen.meta.uid,
                    &directory,
                    &words,
                ));
            }
            self.provisioning.mark_event_sent(&directory, kind);
        }
    }

    /// Saves acknowledgements in the next round, if there are any.
    pub(super) fn flush_soon(&mut self, now: Instant) {
        if self.provisioning.has_unsaved_acks() {
            self.save_acks_at.get_or_insert(now);
        }
    }

    /// Returns the groups that organizations have when a cleanup of the others in directories is
    /// due.
    pub async fn take_group_cleanup(&mut self) -> Option<Groups> {
        let is_due = self.group_cleanup.is_some()
            && self.claim_check_at.is_none_or(|again| again <= Instant::now());
        if is_due && self.is_claim_current().await { self.group_cleanup.take() } else { None }
    }

    /// Saves in the store what directories confirmed and what is unverified there, and enqueues the
    /// users concerned.
    pub(super) async fn save_acks(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        if self.save_acks_at.is_none_or(|due| due > now) {
            return Ok(());
        }
        self.save_acks_at = Some(now + ACK_RETRY);
        let mut is_put_off = false;
        let news = self.provisioning.pending_acks(BATCH);
        let plans: Vec<Plan> = news.iter().map(|(.., plan)| plan.clone()).collect();
        match self.commit(&plans).await {
            // One unreadable account must not keep the others in flight.
            Err(error) if error.is_about_data() => {
                for (user, account, plan) in news {
                    match self.commit(&[plan]).await {
                        Err(error) if error.is_about_data() => self.on_store_error(vec![], error),
                        outcome => _ = outcome?,
                    }
                    self.provisioning.acks_saved(account, now);
                    self.enqueue([user]);
                }
            }
            Err(error) => return Err(error),
            Ok(answers) => {
                for ((user, account, _), answer) in news.into_iter().zip(answers) {
                    if matches!(answer, Err(Refusal::Locked | Refusal::OutOfTime)) {
                        // Its entry isn't sent before the store has it.
                        is_put_off = true;
                        continue;
                    }
                    self.provisioning.acks_saved(account, now);
                    if self.is_awaited(&answer) {
                        self.enqueue([user]);
                    }
                    self.enqueue(self.waiting_to_take_over(&answer));
                }
            }
        }
        let again = if is_put_off { now + ACK_RETRY } else { now };
        self.save_acks_at = self.provisioning.has_unsaved_acks().then_some(again);
        Ok(())
    }

    /// With every resync, provisions what no `User` leads to: accounts that were deleted and that
    /// directories still have, and accounts whose `User` isn't there.
    pub(super) async fn scan_orphans(&mut self) -> Result<(), StoreError> {
        if !self.orphan_scan.is_due {
            return Ok(());
        }
        let has_directories = !self.settings.directories.is_empty();
        if has_directories {
            let deleted = self.orphan_scan.pending_deletions(&self.store).await?;
            deleted.iter().for_each(|deleted| self.provision_deletion(deleted));
        }
        let takes_over = |key: &ObjectKey| self.dependents.takes_over(key);
        let (orphans, gone) =
            self.orphan_scan.orphans(&self.cache, &self.store, takes_over).await?;
        self.metrics.orphans.set(i64::try_from(orphans.len()).unwrap_or(i64::MAX));
        for user in &gone {
            self.dependents.record_unowned(&mut self.cache, user, None);
        }
        self.provision_unowned(&orphans).await?;
        if has_directories {
            let namespaces: Vec<String> = self.cache.namespaces.keys().cloned().collect();
            self.group_cleanup = Some(observe::groups(&self.store, &namespaces).await?);
        }
        self.orphan_scan.is_due = false;
        Ok(())
    }

    /// Provisions accounts whose `User` isn't there, as the store has them now, and records their
    /// links.
    pub(super) async fn provision_unowned(&mut self, names: &[UserName]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let found = observe::with_permissions(&self.cache, &self.store, names).await?;
        let key = |(namespace, name): &UserName| ObjectKey::new(Kind::User, namespace, name);
        let mut gone: BTreeSet<ObjectKey> = names.iter().map(key).collect();
        for (account, effective) in found {
            let user = ObjectKey::new(Kind::User, &account.namespace, &account.owner.name);
            gone.remove(&user);
            self.dependents.record_unowned(&mut self.cache, &user, Some(in_force(&account)));
            if !self.settings.directories.is_empty() {
                let entry = Entry::of(&account, &effective);
                self.provisioning.enqueue(&user, &entry, &account.confirmed, None, Instant::now());
            }
        }
        for user in &gone {
            self.dependents.record_unowned(&mut self.cache, user, None);
        }
        self.flush_soon(Instant::now());
        Ok(())
    }

    fn provision_deletion(&mut self, deleted: &DeletedAccount) {
        let DeletedAccount {
            account, namespace, owner, login_name, transaction, confirmed, ..
        } = deleted;
        let mut entry = Entry::gone(*account, transaction.revision, namespace);
        entry.former_login_name = Some(login_name.to_string());
        let user = ObjectKey::new(Kind::User, namespace, &owner.name);
        self.provisioning.enqueue(&user, &entry, confirmed, None, Instant::now());
    }

    /// Enqueues users whose members changed something of themselves since the last poll.
    ///
    /// A former leader learns here within seconds that its claim has ended: its requests to
    /// directories may take longer.
    pub async fn poll_self_service(&mut self) {
        let polled = if self.is_synced() {
            self.orphan_scan.poll_self_service(&self.cache, &self.store).await
        } else {
            // Requests from before the lists began anew are still on their way.
            self.store.check_claim().await.map(|()| vec![])
        };
        match polled {
            Ok(users) => {
                if self.orphan_scan.is_due && self.is_synced() {
                    self.save_acks_at.get_or_insert_with(Instant::now);
                }
                self.enqueue(users);
            }
            Err(error) if error.ends_the_work() => self.superseded = Some(error),
            // An unavailable store is reported by the objects that have work for it.
            Err(_) => {}
        }
    }

    /// Whether a status waits for the acknowledgement: none does without a transaction in flight.
    fn is_awaited(&self, answer: &Result<Receipt, Refusal>) -> bool {
        match answer {
            Ok(Receipt::Account(account)) => self.in_flight.contains_key(&account.owner.uid),
            Ok(Receipt::Deleted(_) | Receipt::Done) | Err(_) => true,
        }
    }

    /// Returns the users that wait for the end of a transaction to take over its account.
    fn waiting_to_take_over(&self, answer: &Result<Receipt, Refusal>) -> Vec<ObjectKey> {
        let Ok(Receipt::Account(account)) = answer else { return vec![] };
        let is_done = !account.transaction.in_flight();
        self.dependents.taking_over(|id| is_done && *id == account.id)
    }
}

/// Returns the Secret of the password in force, if it came from the Secret that the `User`
/// references.
fn secret_of(user: &user::UserSnapshot, account: &Account) -> Option<SecretVersionRef> {
    let credential = account.credential.as_ref()?;
    let from_secret = credential
        .from_secret
        .as_ref()
        .filter(|from_secret| from_secret.hash == credential.login)?;
    let reference = user.spec.password_secret_ref.clone()?;
    Some(SecretVersionRef { reference, version: from_secret.version.clone() })
}
