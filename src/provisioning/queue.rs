//! The queue of entries that directories have yet to confirm. It is level-triggered and keeps the
//! newest entry of each account until it is acknowledged. A directory that is down holds up no
//! other directory, and a refused account no other account.
//!
//! The store has what a directory confirmed, as a revision and a digest. A newer revision shows by
//! itself that there is something to send. A change at the same revision, which comes from other
//! accounts and groups, doesn't: before the first try the store clears the digest, so that after a
//! crash the next operator sends the entry again.

mod comparison;
mod missing;
mod open_requests;
mod pace;
mod unsaved_acks;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::time::Instant;

use self::comparison::Comparison;
pub use self::comparison::{Comparable, Drift, Page};
use self::missing::{EntryProgress, ReportedEntries, revokes};
pub use self::missing::{FirstRefusal, PendingReports};
use self::open_requests::{OpenRequests, PredecessorWindow, is_acknowledged};
use self::pace::{Backoff, is_held_against_it, jittered};
use self::unsaved_acks::{
    UnsavedAcks, has_somebody, is_unverified, set_unsaved_ack, unknown_rights, unverified,
};
use super::secret_source::SecretVersionRef;
use crate::domain::account::{AccountId, Confirmations, DirectoryAck, EntryDigest, Revision};
use crate::domain::object_key::ObjectKey;
use crate::plan::in_flight::Directories;
use crate::provisioning::{DirectoryError, Entry, Provisioned};
use crate::workqueue::{OfOrganization, Priority, WorkQueue};

/// The entries that each directory has yet to confirm, and the acknowledgements that the store
/// doesn't have yet.
#[derive(Debug, Default)]
pub struct Provisioning {
    directories: BTreeMap<String, Pending>,
    unsaved_acks: BTreeMap<AccountId, UnsavedAcks>,
    /// The accounts that the store doesn't know and whose entries are to go, with the directories
    /// where they went.
    dropped: BTreeMap<AccountId, BTreeSet<String>>,
    /// When this operator started; `None` if there was no other one before.
    predecessor: Option<PredecessorWindow>,
    /// The entries that a comparison found changed, until that is reported.
    drift: Vec<Drift>,
}

/// The entries that one directory has yet to confirm.
#[derive(Debug, Default)]
struct Pending {
    wanted: HashMap<AccountId, PendingEntry>,
    due: WorkQueue<EntryKey>,
    retries: WorkQueue<EntryKey>,
    in_flight: HashSet<AccountId>,
    retries_in_flight: HashSet<AccountId>,
    in_flight_of: HashMap<String, usize>,
    problems: HashMap<AccountId, DirectoryError>,
    /// What may still arrive.
    open_requests: OpenRequests,
    failed: HashSet<AccountId>,
    /// An account that failed for the first time, while no other such account has failed or
    /// succeeded since: a second one shows that the directory fails.
    suspect: Option<AccountId>,
    /// How often in a row accounts failed that had failed before.
    failed_in_a_row: u32,
    backoff: Option<Backoff>,
    comparison: Comparison,
    reported: ReportedEntries,
}

/// The key of an entry, with the organization whose turn it takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EntryKey {
    organization: String,
    account: AccountId,
}

impl EntryKey {
    fn of(entry: &Entry) -> Self {
        Self { organization: entry.organization.clone(), account: entry.account }
    }
}

impl OfOrganization for EntryKey {
    fn organization(&self) -> &str {
        &self.organization
    }
}

#[derive(Clone, Debug)]
struct PendingEntry {
    user: ObjectKey,
    entry: Entry,
    password: Option<SecretVersionRef>,
    /// The digest of the password that the directory has.
    known_password: Option<String>,
    /// It was confirmed, and is verified again once no late request can undo it.
    is_reverify: bool,
    /// It waits until the store has the directory's entry as unverified.
    is_held: bool,
    has_failed: bool,
    may_revoke: bool,
    /// The directory has confirmed it, and until then a late request may restore rights that it
    /// revokes.
    unverified_until: Option<Instant>,
    /// The revision that the directory confirmed before, by the store or an unsaved
    /// acknowledgement.
    known: Option<Revision>,
    progress: EntryProgress,
}

/// An entry to send to a directory now.
#[derive(Clone, Debug)]
pub struct ProvisioningTask {
    /// The name of the directory.
    pub directory: String,
    /// The entry.
    pub entry: Entry,
    /// The Secret that has its password, if one has.
    pub password: Option<SecretVersionRef>,
}

impl Provisioning {
    /// Returns an empty queue for directories of these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let directories = names.into_iter().map(|name| (name, Pending::default())).collect();
        Self { directories, ..Self::default() }
    }

    /// Records that this operator started at this time, after another one that may have sent
    /// requests until then.
    #[must_use]
    pub fn after_predecessor(self, at: Instant) -> Self {
        Self { predecessor: Some(PredecessorWindow::at(at)), ..self }
    }

    /// Records that this operator created an account: no other one ever sent its entry.
    pub fn record_created(&mut self, account: AccountId, now: Instant) {
        if let Some(beginning) = &mut self.predecessor {
            beginning.created(account, now);
        }
    }

    /// Returns until when a late request may restore rights that an entry revokes, though a
    /// directory has confirmed it; `None` where none may, or the directory hasn't confirmed it.
    #[must_use]
    pub fn unverified_until(&self, directory: &str, account: AccountId) -> Option<Instant> {
        self.directories.get(directory)?.wanted.get(&account)?.unverified_until
    }

    /// Enqueues an entry for every directory that hasn't confirmed it. A Secret may have the
    /// password's text.
    pub fn enqueue(
        &mut self,
        user: &ObjectKey,
        entry: &Entry,
        confirmed: &Confirmations,
        password: Option<&SecretVersionRef>,
        now: Instant,
    ) {
        let fingerprint = entry.fingerprint();
        for (name, pending) in &mut self.directories {
            let untold =
                self.unsaved_acks.get(&entry.account).and_then(|untold| untold.confirmed.get(name));
            let known = untold.or(confirmed.get(name)).cloned();
            pending.open_requests.record_entry(
                entry,
                known.as_ref(),
                self.predecessor.as_ref(),
                now,
            );
            if is_acknowledged(entry, known.as_ref()) {
                pending.open_requests.forget_expired(entry.account, now);
                pending.drop_unless_reverify(entry);
                continue;
            }
            let before = known.as_ref().and_then(|known| known.fingerprint.as_ref());
            let rights = fingerprint.as_ref().and_then(|fingerprint| fingerprint.rights.as_ref());
            let mut wanted = PendingEntry::new(user, entry.clone());
            wanted.known = known.as_ref().map(|known| known.revision);
            wanted.may_revoke = before
                .is_some_and(|before| before.rights.is_none() || before.rights.as_ref() != rights);
            wanted.entry.handle = known.as_ref().and_then(|known| known.handle.clone());
            wanted.entry.was_confirmed = known.as_ref().is_some_and(has_somebody);
            wanted.password = password.cloned();
            wanted.set_known_password(before.and_then(|before| before.password.as_ref()));
            wanted.progress.revokes = revokes(known.as_ref(), entry);
            // Sending it makes the saved or pending acknowledgement wrong.
            if let Some(known) = known
                .as_ref()
                .filter(|known| known.revision >= entry.revision && !is_unverified(known))
            {
                let has_same_rights = before.is_some_and(|before| before.rights.as_ref() == rights);
                let rights = pending.open_requests.common_rights(
                    entry.account,
                    rights.filter(|_| has_same_rights),
                    now,
                );
                let password = before.and_then(|before| before.password.clone());
                let rights = rights.or_else(|| has_somebody(known).then(unknown_rights));
                let news = unverified(known.revision, (rights, password), known.handle.as_ref());
                set_unsaved_ack(&mut self.unsaved_acks, user, entry.account, name, news);
            }
            let stored = confirmed.get(name);
            wanted.is_held = stored
                .is_some_and(|stored| stored.revision >= entry.revision && !is_unverified(stored));
            pending.enqueue(wanted, now);
        }
    }

    /// Returns the directories that have yet to drop the entry of an account that the store doesn't
    /// know, with their states.
    #[must_use]
    pub fn pending_drops(
        &mut self,
        account: AccountId,
        was_told: bool,
        now: Instant,
    ) -> Directories {
        let mut directories = self.states(Some(account), was_told, now);
        directories.retain(|name, _| {
            self.dropped.get(&account).is_none_or(|dropped| !dropped.contains(name))
        });
        directories
    }

    /// Enqueues the removal of the entry of an account that the store doesn't know.
    pub fn deprovision(&mut self, user: &ObjectKey, account: AccountId, now: Instant) {
        let dropped = self.dropped.entry(account).or_default();
        for (_, pending) in self.directories.iter_mut().filter(|(name, _)| !dropped.contains(*name))
        {
            // Newer than anything that was sent before the store lost the account.
            let entry = Entry::gone(account, Revision(i64::MAX), &user.namespace);
            pending.open_requests.record_entry(&entry, None, self.predecessor.as_ref(), now);
            pending.enqueue(PendingEntry::new(user, entry), now);
        }
    }

    /// Takes the entries that are due.
    pub fn take(&mut self, now: Instant) -> Vec<ProvisioningTask> {
        let mut taken = vec![];
        for (name, pending) in &mut self.directories {
            for EntryKey { account, .. } in pending.take(now) {
                let Some(PendingEntry { entry, password, .. }) = pending.wanted.get(&account)
                else {
                    continue;
                };
                taken.push(ProvisioningTask {
                    directory: name.clone(),
                    entry: entry.clone(),
                    password: password.clone(),
                });
                pending.sent(account, now);
            }
            let compared = pending.take_comparisons(now).into_iter();
            taken.extend(compared.map(|entry| ProvisioningTask {
                directory: name.clone(),
                entry,
                password: None,
            }));
        }
        taken
    }

    /// Returns when the next entry is due, to a directory that there is room for.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.directories
            .values()
            .flat_map(|pending| [pending.next_due(), pending.next_comparison()])
            .flatten()
            .min()
    }

    /// Returns how many entries each directory has yet to confirm.
    pub fn pending(&self) -> impl Iterator<Item = (&str, usize)> {
        self.directories.iter().map(|(name, pending)| (name.as_str(), pending.wanted.len()))
    }

    /// Returns whether each directory answers, as far as is known: one that was never asked does.
    pub fn up(&self) -> impl Iterator<Item = (&str, bool)> {
        self.directories.iter().map(|(name, pending)| (name.as_str(), pending.backoff.is_none()))
    }

    /// Applies a directory's answer. Returns the `User`s whose status changes.
    pub fn on_answer(
        &mut self,
        directory: &str,
        entry: &Entry,
        answer: Result<Provisioned, DirectoryError>,
        now: Instant,
    ) -> Vec<ObjectKey> {
        if entry.compares {
            return self.on_compared(directory, entry, answer, now);
        }
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        let is_probe = pending.on_arrival(entry);
        if answer.as_ref().err().is_none_or(DirectoryError::proves_reachable) {
            pending.on_success(directory);
        }
        let Some(wanted) = pending.wanted.get(&entry.account).cloned() else {
            if answer.is_err_and(|problem| problem.outcome_unknown()) {
                pending.open_requests.record_unanswered(entry, now);
            }
            return vec![];
        };
        match answer {
            Ok(provisioned) => self.confirmed(directory, entry, provisioned, (&wanted, now)),
            Err(problem) => self.failed(directory, (entry, is_probe), &wanted, problem, now),
        }
    }

    fn confirmed(
        &mut self,
        directory: &str,
        entry: &Entry,
        provisioned: Provisioned,
        (wanted, now): (&PendingEntry, Instant),
    ) -> Vec<ObjectKey> {
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        pending.due.succeeded(&EntryKey::of(entry));
        pending.failed.remove(&entry.account);
        let account = entry.account;
        let healed = pending.problems.remove(&account).map(|_| wanted.user.clone());
        let fingerprint = entry.fingerprint();
        let is_last =
            wanted.entry.revision <= entry.revision && wanted.entry.fingerprint() == fingerprint;
        if provisioned.may_be_late {
            pending.open_requests.record_unanswered(entry, now);
        }
        let until = pending.open_requests.until(account, now);
        let withheld = pending.open_requests.may_restore_login(entry, now);
        // The store saves it as unverified.
        let doubted = withheld.or_else(|| pending.open_requests.may_restore_rights(entry, now));
        let rights = fingerprint.as_ref().and_then(|fingerprint| fingerprint.rights.as_ref());
        let rights = pending.open_requests.common_rights(account, rights, now);
        let password = fingerprint.as_ref().and_then(|fingerprint| fingerprint.password.as_ref());
        // An account that is gone has none, also when unverified: else the next operator would
        // assume an entry.
        let password =
            password.or(wanted.known_password.as_ref()).filter(|_| entry.person.is_some()).cloned();
        // Which one it has in the end can't be read.
        let lasting_password =
            password.clone().filter(|_| !pending.open_requests.had_password(account, now));
        let handle = provisioned.handle;
        let mut has_newer_rights = false;
        if let Some(wanted) = pending.wanted.get_mut(&account) {
            wanted.entry.handle.clone_from(&handle);
            wanted.entry.was_confirmed = entry.person.is_some();
            wanted.has_failed = false;
            has_newer_rights = wanted.entry.fingerprint().and_then(|newer| newer.rights) != rights;
        }
        match (pending.wanted.get_mut(&account), until) {
            // A late request may still undo it, which is verified afterwards.
            (Some(wanted), Some(until)) if is_last => {
                wanted.is_reverify = true;
                wanted.unverified_until = doubted;
                wanted.set_known_password(lasting_password.as_ref());
                pending.schedule(account, withheld.unwrap_or(until));
            }
            (Some(newer), _) if !is_last => {
                newer.set_known_password(password.as_ref());
                if !newer.is_held {
                    pending.schedule(account, now);
                }
            }
            _ => {
                pending.open_requests.forget_expired(account, now);
                pending.drop(entry);
            }
        }
        pending.record_ack(account, now);
        if let Some(dropped) =
            self.dropped.get_mut(&entry.account).filter(|_| entry.person.is_none())
        {
            dropped.insert(directory.to_owned());
            return vec![wanted.user.clone()];
        }
        // A newer revision shows by itself that there is something to send; what is newer at the
        // same one may be sent before this acknowledgement is saved.
        let is_settled = until.is_none() && (is_last || wanted.entry.revision > entry.revision);
        let news = if withheld.is_some() {
            // The directory's own key of it is saved all the same.
            let known = wanted.known.filter(|_| handle.is_some() && handle != wanted.entry.handle);
            known.map(|known| {
                unverified(known, (Some(unknown_rights()), lasting_password), handle.as_ref())
            })
        } else if is_settled {
            let fingerprint = fingerprint.map(|own| EntryDigest { password, ..own });
            Some(DirectoryAck { revision: entry.revision, fingerprint, handle })
        } else {
            let rights = rights
                .filter(|_| !has_newer_rights)
                .or_else(|| entry.person.is_some().then(unknown_rights));
            Some(unverified(entry.revision, (rights, lasting_password), handle.as_ref()))
        };
        if let Some(news) = news {
            set_unsaved_ack(&mut self.unsaved_acks, &wanted.user, account, directory, news);
        }
        healed.into_iter().collect()
    }

    fn failed(
        &mut self,
        directory: &str,
        (entry, is_probe): (&Entry, bool),
        wanted: &PendingEntry,
        problem: DirectoryError,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        let account = entry.account;
        let again = pending.due.failed(&EntryKey::of(entry), now);
        let is_newer = wanted.entry.revision > entry.revision
            || wanted.entry.fingerprint() != entry.fingerprint();
        if let Some(wanted) = pending.wanted.get_mut(&account) {
            if std::mem::take(&mut wanted.is_reverify) {
                // Whether the directory still has it is unknown again.
                wanted.progress.restart(now);
            }
            wanted.has_failed |= !is_newer && is_held_against_it(&problem);
            if problem == DirectoryError::EntryRecreated {
                wanted.set_known_password(None);
            }
        }
        // A newer entry doesn't wait for the backoff of an older one.
        let at = if is_newer { now } else { now + jittered(again - now) };
        if !wanted.is_held {
            pending.schedule(account, at);
        }
        if problem.outcome_unknown() {
            pending.open_requests.record_unanswered(entry, now);
        }
        pending.record_failure(account, &problem);
        let mut concerned = pending.on_failure(directory, (account, is_probe), &problem, now);
        let is_news = !concerned.is_empty();
        let why: &str = (&problem).into();
        tracing::debug!(directory, %account, why, "a directory didn't confirm an entry");
        if !problem.is_about_directory() {
            let known = pending.problems.insert(account, problem.clone());
            pending.record_problem(directory, account, &problem, now);
            if known.as_ref() != Some(&problem) && concerned.is_empty() {
                concerned.push(wanted.user.clone());
            }
        }
        pending.record_backoff(directory, account, is_news, now);
        concerned
    }
}

impl PendingEntry {
    fn new(user: &ObjectKey, entry: Entry) -> Self {
        let progress = EntryProgress::of(&entry);
        Self {
            user: user.clone(),
            entry,
            password: None,
            known_password: None,
            is_reverify: false,
            is_held: false,
            has_failed: false,
            may_revoke: false,
            unverified_until: None,
            known: None,
            progress,
        }
    }

    /// Revocations of logins go first, then entries that may revoke rights.
    fn priority(&self) -> Priority {
        match self.entry.revokes_login() {
            true => Priority::High,
            false if self.may_revoke => Priority::Revoking,
            false => Priority::Low,
        }
    }

    /// Stores the digest of the password that the directory has.
    fn set_known_password(&mut self, password: Option<&String>) {
        let own = self.entry.fingerprint().and_then(|fingerprint| fingerprint.password);
        if let Some(wanted) = self.entry.person.as_mut().and_then(|person| person.password.as_mut())
        {
            wanted.is_new = own.as_ref() != password;
        }
        self.known_password = password.cloned();
    }
}

impl Pending {
    fn enqueue(&mut self, mut wanted: PendingEntry, now: Instant) {
        let (account, entry) = (wanted.entry.account, &wanted.entry);
        if let Some(PendingEntry { entry: known, .. }) = self.wanted.get(&account)
            && (known.revision > entry.revision
                || known.revision == entry.revision && known.fingerprint() == entry.fingerprint())
        {
            return;
        }
        self.unschedule(entry);
        let is_due = !wanted.is_held
            && !self.in_flight.contains(&account)
            && !self.comparison.has_under_way(account);
        self.comparison.forget(account);
        self.start_waiting(&mut wanted, now);
        self.wanted.insert(account, wanted);
        self.report_if_due(account, now);
        if is_due {
            self.schedule(account, now);
        }
    }

    fn drop_unless_reverify(&mut self, entry: &Entry) {
        let is_second_look =
            |wanted: &PendingEntry| wanted.is_reverify && wanted.entry.revision == entry.revision;
        if !self.wanted.get(&entry.account).is_some_and(is_second_look) {
            self.drop(entry);
        }
    }

    fn drop(&mut self, entry: &Entry) {
        self.clear(entry.account);
        self.wanted.remove(&entry.account);
        self.problems.remove(&entry.account);
        self.failed.remove(&entry.account);
        self.due.succeeded(&EntryKey::of(entry));
        self.unschedule(entry);
    }
}

#[cfg(test)]
mod tests;
