//! The entries that directories don't have yet: which are reported as missing, and whose status
//! changes for that.
//!
//! The state of one entry decides whether it is reported. Then it stands in an index by group until
//! the directory has confirmed the entry, which enqueues the objects that reported it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{Pending, PendingEntry, Provisioning};
use crate::domain::account::{AccountId, DirectoryAck};
use crate::domain::object_key::ObjectKey;
use crate::plan::directories::{MissingOfMembers, Worst, is_reported};
use crate::plan::in_flight::{Directories, DirectoryProblem, DirectoryState, Missing};
use crate::provisioning::{DirectoryError, Entry};
use crate::store::GroupName;

/// How long a directory may take to confirm an entry before its status reports that: most answer
/// within a second, and a report costs two status writes.
const LASTING_AFTER_SENT: Duration = Duration::from_secs(10);
/// The same for an entry that hasn't been sent yet: one change may affect ten thousand entries, and
/// nothing is wrong while they are sent one after the other.
const LASTING_AFTER_WANTED: Duration = Duration::from_secs(60);

/// The progress of an entry that a directory has yet to confirm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EntryProgress {
    /// Since when it, or one before it that wasn't confirmed either, has been wanted.
    since: Option<Instant>,
    /// When this very entry was wanted.
    wanted: Option<Instant>,
    /// Whether a request for an older entry of the account was under way then.
    waits_for_older: bool,
    sent: Option<Instant>,
    /// Whether it takes rights away from what the directory has, or may.
    pub(super) revokes: bool,
    has_failed: bool,
    is_reported: bool,
    /// When to report it, unless it is confirmed before.
    lasts_at: Option<Instant>,
}

/// The entries of a directory that statuses, metrics and the log report.
#[derive(Debug, Default)]
pub(super) struct ReportedEntries {
    lasting: BTreeSet<(Instant, AccountId)>,
    /// The accounts whose entries are reported, by organization and group.
    groups: BTreeMap<GroupName, BTreeSet<AccountId>>,
    /// The accounts whose entries it refuses, by reason.
    refused: BTreeMap<&'static str, Refused>,
    /// Why it refuses all entries, if it does.
    refuses_all: Option<&'static str>,
    noted: PendingReports,
}

#[derive(Debug, Default)]
struct Refused {
    accounts: BTreeSet<AccountId>,
    has_event: bool,
}

/// Changes that have yet to be reported.
#[derive(Debug, Default)]
pub struct PendingReports {
    /// The `User`s whose status changes.
    pub users: BTreeSet<ObjectKey>,
    /// The accounts concerned, which other `User`s may be about to take over.
    pub accounts: BTreeSet<AccountId>,
    /// The groups whose status changes, by namespace and name.
    pub groups: BTreeSet<GroupName>,
    /// The refusals that no Event has reported yet.
    pub refusals: Vec<FirstRefusal>,
}

/// A refusal for a reason that was not reported yet.
#[derive(Clone, Debug)]
pub struct FirstRefusal {
    /// The directory.
    pub directory: String,
    /// The reason, in one word.
    pub kind: &'static str,
    /// Whose entry it refused.
    pub user: ObjectKey,
    /// Why, in the directory's words.
    pub words: String,
}

/// Whether an entry revokes, or may revoke, rights that the directory was last known to give the
/// account.
///
/// An account that was never confirmed there has no rights to lose.
pub(super) fn revokes(known: Option<&DirectoryAck>, entry: &Entry) -> bool {
    let Some(known) = known else { return false };
    let Some(fingerprint) = entry.fingerprint() else { return true };
    let rights = known.fingerprint.as_ref().and_then(|known| known.rights.as_ref());
    rights.is_none() || rights != fingerprint.rights.as_ref()
}

/// Returns the reason that a refusal is counted under, if the problem is one.
fn refusal(problem: &DirectoryError) -> Option<&'static str> {
    matches!(problem.as_problem(), DirectoryProblem::Refused(_)).then(|| problem.into())
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl EntryProgress {
    /// Returns the progress of an entry that isn't queued yet.
    pub(super) fn of(entry: &Entry) -> Self {
        Self { revokes: entry.person.is_none(), ..Self::default() }
    }

    /// Starts again to wait for an entry that the directory had confirmed.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// When to report it as missing, unless it is confirmed before.
    fn lasts_at(&self) -> Option<Instant> {
        // Behind an older request of its own account a revocation counts as sent: how many other
        // entries wait doesn't matter to it.
        let waits_for_directory = self.revokes && self.waits_for_older;
        let patience = if waits_for_directory { LASTING_AFTER_SENT } else { LASTING_AFTER_WANTED };
        let wanted = self.since.map(|since| since + patience);
        let sent = self.sent.map(|sent| sent + LASTING_AFTER_SENT);
        wanted.into_iter().chain(sent).min()
    }
}

impl PendingEntry {
    /// Whether the directory has it, as far as is known, and only a second look is due.
    fn is_confirmed(&self) -> bool {
        self.is_reverify && self.unverified_until.is_none()
    }

    fn group(&self) -> Option<GroupName> {
        let person = self.entry.person.as_ref()?;
        Some((self.entry.organization.clone(), person.group.clone()))
    }
}

impl Pending {
    fn state(&self, account: Option<AccountId>, now: Instant) -> DirectoryState {
        let own = account.and_then(|account| self.problems.get(&account));
        let problem =
            own.or(self.backoff.as_ref().map(|rest| &rest.why)).map(DirectoryError::as_problem);
        let wanted = account
            .and_then(|account| self.wanted.get(&account))
            .filter(|wanted| !wanted.is_confirmed());
        let missing =
            wanted.map(|PendingEntry { progress, unverified_until: doubted, .. }| Missing {
                lasted: progress
                    .since
                    .map(|since| signed(now.saturating_duration_since(since)))
                    .unwrap_or_default(),
                is_lasting: progress.lasts_at().is_some_and(|at| at <= now) || doubted.is_some(),
                revokes: progress.revokes || doubted.is_some(),
                has_failed: progress.has_failed,
                held_for: doubted.map(|until| signed(until.saturating_duration_since(now))),
            });
        DirectoryState { problem, missing }
    }

    /// Starts to wait for an entry in the place of an older one.
    pub(super) fn start_waiting(&mut self, wanted: &mut PendingEntry, now: Instant) {
        let account = wanted.entry.account;
        let before = self
            .wanted
            .get(&account)
            .filter(|before| !before.is_confirmed())
            .map(|before| before.progress);
        self.forget(account);
        let revokes = wanted.progress.revokes || before.is_some_and(|before| before.revokes);
        let before = before.unwrap_or_default();
        // An account without a confirmation goes on to be missing, whatever entry replaces the
        // older one.
        wanted.progress = EntryProgress {
            revokes,
            since: before.since.or(Some(now)),
            wanted: Some(now),
            waits_for_older: before.waits_for_older || self.in_flight.contains(&account),
            lasts_at: None,
            ..before
        };
        wanted.progress.is_reported = false;
        if before.is_reported {
            self.mark_reported(wanted);
        }
        self.schedule_report(wanted);
    }

    /// Marks an entry as reported if it is due at once: the status that is being written reports
    /// it.
    pub(super) fn report_if_due(&mut self, account: AccountId, now: Instant) {
        if is_reported(&self.state(Some(account), now)) {
            self.with(account, Self::mark_reported);
        }
    }

    pub(super) fn sent(&mut self, account: AccountId, now: Instant) {
        self.with(account, |pending, wanted| {
            wanted.progress.sent.get_or_insert(now);
            pending.schedule_report(wanted);
        });
    }

    pub(super) fn record_failure(&mut self, account: AccountId, problem: &DirectoryError) {
        // The next try sees how these go on.
        let goes_on = matches!(problem, DirectoryError::Conflict | DirectoryError::EntryRecreated);
        self.with(account, |pending, wanted| {
            wanted.progress.has_failed |= !goes_on;
            pending.schedule_report(wanted);
        });
    }

    /// Records why an entry isn't confirmed.
    pub(super) fn record_problem(
        &mut self,
        directory: &str,
        account: AccountId,
        problem: &DirectoryError,
        now: Instant,
    ) {
        self.report_problem(account, now);
        let (Some(kind), Some(wanted)) = (refusal(problem), self.wanted.get(&account)) else {
            return;
        };
        let user = wanted.user.clone();
        for (_, refused) in self.reported.refused.iter_mut().filter(|(other, _)| **other != kind) {
            refused.accounts.remove(&account);
        }
        let refused = self.reported.refused.entry(kind).or_default();
        if refused.accounts.is_empty() {
            tracing::warn!(directory, why = kind, %account, "a directory refuses an entry, and perhaps others for the same reason");
        }
        refused.accounts.insert(account);
        if !refused.has_event {
            let (directory, words) = (directory.to_owned(), problem.to_string());
            self.reported.noted.refusals.push(FirstRefusal { directory, kind, user, words });
        }
        self.reported.refused.retain(|_, refused| !refused.accounts.is_empty());
    }

    /// Records why provisioning backs off from the directory, as the request for an account showed.
    /// If that is news, all waiting accounts are checked for reports.
    pub(super) fn record_backoff(
        &mut self,
        directory: &str,
        account: AccountId,
        is_news: bool,
        now: Instant,
    ) {
        let concerned = if is_news { self.wanted.keys().copied().collect() } else { vec![account] };
        concerned.into_iter().for_each(|account| self.report_problem(account, now));
        let (Some(rest), Some(wanted)) = (&self.backoff, self.wanted.get(&account)) else { return };
        let (kind, words) = (refusal(&rest.why), rest.why.to_string());
        if let Some(kind) =
            kind.filter(|_| std::mem::replace(&mut self.reported.refuses_all, kind) != kind)
        {
            let (directory, user) = (directory.to_owned(), wanted.user.clone());
            self.reported.noted.refusals.push(FirstRefusal { directory, kind, user, words });
        }
    }

    /// Records that the directory works again.
    pub(super) fn record_recovery(&mut self) {
        self.reported.refuses_all = None;
    }

    /// Reports a missing entry, if that is due.
    fn report_problem(&mut self, account: AccountId, now: Instant) {
        if !is_reported(&self.state(Some(account), now)) {
            return;
        }
        self.with(account, |pending, wanted| {
            if !wanted.progress.is_reported {
                pending.reported.noted.add(wanted);
            }
            pending.mark_reported(wanted);
        });
    }

    /// Records that the directory has confirmed an entry, which may be older than the queued one.
    pub(super) fn record_ack(&mut self, account: AccountId, now: Instant) {
        let Some(wanted) = self.wanted.get(&account) else { return };
        if wanted.unverified_until.is_some() {
            // Until no late request can undo it, it counts as missing, for another reason.
            if wanted.progress.is_reported {
                self.reported.noted.add(wanted);
            }
            self.forget_refusal(account);
            return self.report_problem(account, now);
        }
        let newer = (!wanted.is_confirmed()).then_some(wanted.progress);
        self.clear(account);
        if let Some(EntryProgress { wanted: at, waits_for_older, .. }) = newer {
            self.with(account, |pending, wanted| {
                // The newer entry has been missing since it was wanted, not since the older arrived.
                let progress = &mut wanted.progress;
                (progress.since, progress.wanted) = (at, at);
                progress.waits_for_older = waits_for_older;
                pending.schedule_report(wanted);
            });
        }
    }

    /// Records that nothing of an account is missing any more.
    pub(super) fn clear(&mut self, account: AccountId) {
        if let Some(wanted) = self.wanted.get(&account).filter(|wanted| wanted.progress.is_reported)
        {
            self.reported.noted.add(wanted);
        }
        self.forget(account);
        self.with(account, |_, wanted| {
            wanted.progress =
                EntryProgress { revokes: wanted.progress.revokes, ..EntryProgress::default() }
        });
        self.forget_refusal(account);
    }

    fn forget_refusal(&mut self, account: AccountId) {
        self.reported
            .refused
            .values_mut()
            .for_each(|refused| _ = refused.accounts.remove(&account));
        self.reported.refused.retain(|_, refused| !refused.accounts.is_empty());
    }

    /// Removes an entry from the index and the schedule of reports.
    fn forget(&mut self, account: AccountId) {
        let Some(wanted) = self.wanted.get(&account) else { return };
        if let Some(at) = wanted.progress.lasts_at {
            self.reported.lasting.remove(&(at, account));
        }
        if let Some(group) = wanted.group().filter(|_| wanted.progress.is_reported) {
            self.reported.remove(group, account);
        }
    }

    fn mark_reported(&mut self, wanted: &mut PendingEntry) {
        wanted.progress.is_reported = true;
        if let Some(group) = wanted.group() {
            self.reported.groups.entry(group.clone()).or_default().insert(wanted.entry.account);
            self.reported.noted.groups.insert(group);
        }
    }

    fn schedule_report(&mut self, wanted: &mut PendingEntry) {
        let account = wanted.entry.account;
        if let Some(before) = wanted.progress.lasts_at.take() {
            self.reported.lasting.remove(&(before, account));
        }
        if !wanted.progress.has_failed
            && let Some(at) = wanted.progress.lasts_at()
        {
            wanted.progress.lasts_at = Some(at);
            self.reported.lasting.insert((at, account));
        }
    }

    /// Reports entries that have been missing for long enough.
    fn report_lasting(&mut self, now: Instant) {
        while let Some((at, account)) =
            self.reported.lasting.first().copied().filter(|(at, _)| *at <= now)
        {
            self.reported.lasting.remove(&(at, account));
            self.with(account, |pending, wanted| {
                wanted.progress.lasts_at = None;
                pending.reported.noted.add(wanted);
                pending.mark_reported(wanted);
            });
        }
    }

    fn with(&mut self, account: AccountId, change: impl FnOnce(&mut Self, &mut PendingEntry)) {
        let Some(mut wanted) = self.wanted.remove(&account) else { return };
        change(self, &mut wanted);
        self.wanted.insert(account, wanted);
    }
}

impl ReportedEntries {
    fn remove(&mut self, group: GroupName, account: AccountId) {
        if let Some(accounts) = self.groups.get_mut(&group) {
            accounts.remove(&account);
            if accounts.is_empty() {
                self.groups.remove(&group);
            }
        }
        self.noted.groups.insert(group);
    }
}

impl PendingReports {
    fn add(&mut self, wanted: &PendingEntry) {
        self.users.insert(wanted.user.clone());
        self.accounts.insert(wanted.entry.account);
    }
}

impl Provisioning {
    /// Returns each directory's state of an account's entry. The caller reports what is missing, or
    /// has reported it before, and is enqueued once it is confirmed.
    pub fn states(
        &mut self,
        account: Option<AccountId>,
        was_told: bool,
        now: Instant,
    ) -> Directories {
        let mut directories = Directories::new();
        for (name, pending) in &mut self.directories {
            let state = pending.state(account, now);
            let is_missing = state.missing.is_some();
            if let Some(account) =
                account.filter(|_| is_missing && (was_told || is_reported(&state)))
            {
                pending.with(account, |pending, wanted| {
                    if !wanted.progress.is_reported {
                        pending.mark_reported(wanted);
                    }
                });
            }
            directories.insert(name.clone(), state);
        }
        directories
    }

    /// Returns what directories lack of a group's members; `None` where no directory is in use.
    #[must_use]
    pub fn missing_of_members(
        &self,
        namespace: &str,
        group: &str,
        now: Instant,
    ) -> Option<MissingOfMembers> {
        let group = (namespace.to_owned(), group.to_owned());
        let mut lacking = MissingOfMembers::default();
        let mut members: BTreeSet<AccountId> = BTreeSet::new();
        for (name, pending) in &self.directories {
            for &account in pending.reported.groups.get(&group).into_iter().flatten() {
                let DirectoryState { problem, missing } = pending.state(Some(account), now);
                let Some(missing) = missing else { continue };
                members.insert(account);
                lacking.revokes |= missing.revokes;
                let worst = Worst { directory: name.clone(), problem };
                if lacking.worst.as_ref().is_none_or(|known| worst.lag() < known.lag()) {
                    lacking.worst = Some(worst);
                }
            }
        }
        lacking.members = members.len();
        (!self.directories.is_empty()).then_some(lacking)
    }

    /// Returns when the next report is due.
    #[must_use]
    pub fn next_lasting(&self) -> Option<Instant> {
        self.directories
            .values()
            .filter_map(|pending| pending.reported.lasting.first())
            .map(|(at, _)| *at)
            .min()
    }

    /// Takes the changes that have yet to be reported.
    pub fn take_reports(&mut self, now: Instant) -> PendingReports {
        let mut all = PendingReports::default();
        for pending in self.directories.values_mut() {
            pending.report_lasting(now);
            let PendingReports { users, accounts, groups, refusals } =
                std::mem::take(&mut pending.reported.noted);
            all.users.extend(users);
            all.accounts.extend(accounts);
            all.groups.extend(groups);
            all.refusals.extend(refusals);
        }
        all
    }

    /// Records that an Event reports this reason of a directory's refusals.
    pub fn mark_event_sent(&mut self, directory: &str, kind: &str) {
        let told = self.directories.get_mut(directory).map(|pending| &mut pending.reported);
        if let Some(refused) = told.and_then(|told| told.refused.get_mut(kind)) {
            refused.has_event = true;
        }
    }

    /// Returns how many entries each directory refuses.
    pub fn refused(&self) -> impl Iterator<Item = (&str, usize)> {
        let count = |pending: &Pending| {
            pending.reported.refused.values().map(|refused| refused.accounts.len()).sum()
        };
        self.directories.iter().map(move |(name, pending)| (name.as_str(), count(pending)))
    }
}

#[cfg(test)]
mod tests;
