//! Compares entries in directories with what they confirmed, at a slow pace, and repairs drift.
//!
//! A comparison sends an entry that is confirmed already, and writes nothing. It has the lowest
//! priority: few are in flight at once, and none while the directory backs off or has many entries
//! to take. Nothing is saved in the store unless something is wrong; then the entry becomes
//! unverified, and is sent like any other. A comparison that wrote by itself could undo, late, what
//! another operator has sent since, without a trace in the store.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::unsaved_acks::{is_unverified, set_unsaved_ack, unknown_rights, unverified};
use super::{Pending, PendingEntry, Provisioning};
use crate::domain::account::{AccountId, Confirmations, DirectoryAck, EntryDigest};
use crate::domain::object_key::ObjectKey;
use crate::provisioning::{DirectoryError, Entry, Provisioned};
use crate::store::UserName;

/// How many entries may be compared in one directory at once: few enough that a client which
/// searches for several at once searches for these alone.
const AT_ONCE: usize = 8;
/// While so many entries are in flight to a directory, nothing is compared there.
const BUSY: usize = 64;
/// How many accounts are read for a directory together, at most.
const LARGEST_PAGE: usize = 64;
/// In how many pages a period's accounts are read, at least: few accounts aren't compared all at
/// once either.
const PAGES: usize = 100;
const PAUSE: Duration = Duration::from_secs(60);
/// How often in a row the comparison of an entry may fail before it counts as unverified.
const TRIES: u32 = 3;
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// `None` where nothing is compared.
    pace: Option<Pace>,
    queued: VecDeque<Compared>,
    queued_at: Option<Instant>,
    under_way: HashMap<AccountId, Compared>,
    /// It failed, and is tried again then.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Pace {
    period: Duration,
    /// How much of the period had gone by when it began, until the first page is read.
    begins_at: f64,
    ends: Instant,
    page_at: Instant,
    /// The last account that was read.
    after: Option<UserName>,
}

/// A page of accounts to read: those after one, or from a part of all of them on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The name of the directory.
    pub directory: String,
    /// By the name of the `User`; nothing where the accounts are begun with.
    pub after: Option<UserName>,
    /// The part of all accounts that is left out, where they are begun with.
    pub from: f64,
}

/// An account whose entries are compared.
#[derive(Clone, Debug)]
pub struct Comparable {
    /// The `User`, which needn't be there.
    pub user: ObjectKey,
    /// The uid of the `User` that owns the account.
    pub owner: String,
    /// The entry that directories should have.
    pub entry: Entry,
    /// What they confirmed.
    pub confirmed: Confirmations,
}

#[derive(Clone, Debug)]
struct Compared {
    user: ObjectKey,
    owner: String,
    entry: Entry,
    known: DirectoryAck,
    failures: u32,
}

/// An entry that was changed after it was confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The name of the directory.
    pub directory: String,
    /// The account.
    pub account: AccountId,
    /// The `User` of its name, which needn't be there.
    pub user: ObjectKey,
    /// The uid of the `User` that owns the account.
    pub owner: String,
}

impl Page {
    /// Returns how many accounts are read together, of so many.
    #[must_use]
    pub fn size(total: usize) -> usize {
        total.div_ceil(PAGES).clamp(1, LARGEST_PAGE)
    }
}

impl Provisioning {
    /// Compares every directory once within each period, of which a part has passed.
    pub fn compare_every(&mut self, period: Duration, gone: f64, now: Instant) {
        let period = period.max(SHORTEST);
        for pending in self.directories.values_mut() {
            let ends = now + period.mul_f64(1.0 - gone.clamp(0.0, 1.0));
            pending.comparison.pace =
                Some(Pace { period, begins_at: gone, ends, page_at: now, after: None });
        }
    }

    /// Returns the pages of accounts to read now.
    #[must_use]
    pub fn pages_due(&self, now: Instant) -> Vec<Page> {
        let due = self
            .directories
            .iter()
            .filter(|(_, pending)| pending.next_page_due().is_some_and(|due| due <= now));
        let page = |(name, pending): (&String, &Pending)| {
            let pace = pending.comparison.pace.as_ref()?;
            Some(Page { directory: name.clone(), after: pace.after.clone(), from: pace.begins_at })
        };
        due.filter_map(page).collect()
    }

    /// Returns when the next page is due.
    #[must_use]
    pub fn next_page_due(&self) -> Option<Instant> {
        self.directories.values().filter_map(Pending::next_page_due).min()
    }

    /// Reads a page later, which can't be read now.
    pub fn postpone(&mut self, page: &Page, until: Instant) {
        if let Some(pace) = self
            .directories
            .get_mut(&page.directory)
            .and_then(|pending| pending.comparison.pace.as_mut())
        {
            pace.page_at = pace.page_at.max(until);
        }
    }

    /// Queues comparisons for a page of accounts, as far as the directory has confirmed them.
    pub fn compare(
        &mut self,
        page: &Page,
        (names, total): (&[UserName], usize),
        accounts: &[Comparable],
        now: Instant,
    ) {
        let Some(pending) = self.directories.get_mut(&page.directory) else { return };
        let untold = &self.unsaved_acks;
        let is_untold = |account| {
            untold.get(account).is_some_and(|untold| untold.confirmed.contains_key(&page.directory))
        };
        let compared = accounts.iter().filter(|it| {
            !pending.wanted.contains_key(&it.entry.account) && !is_untold(&it.entry.account)
        });
        let compared: Vec<Compared> =
            compared.filter_map(|it| Compared::new(it, &page.directory)).collect();
        let comparison = &mut pending.comparison;
        comparison.queued.extend(compared);
        comparison.queued_at = Some(now);
        if let Some(pace) = &mut comparison.pace {
            pace.take(names, total, now);
        }
    }

    /// Returns the drift found since the last call.
    pub fn take_drift(&mut self) -> Vec<Drift> {
        std::mem::take(&mut self.drift)
    }

    /// Applies the result of a comparison. Returns the `User`s whose entry became unverified.
    pub(super) fn on_compared(
        &mut self,
        directory: &str,
        entry: &Entry,
        answer: Result<Provisioned, DirectoryError>,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let account = entry.account;
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        let Some(compared) = pending.comparison.under_way.remove(&account) else { return vec![] };
        let is_told = !self
            .unsaved_acks
            .get(&account)
            .is_some_and(|untold| untold.confirmed.contains_key(directory));
        let is_newest = !pending.wanted.contains_key(&account);
        if pending.wanted.get(&account).is_some_and(|wanted| !wanted.is_held) {
            // It waited for this one to be through.
            pending.schedule(account, now);
        }
        let problem = match answer {
            Ok(provisioned) => {
                if let Some(news) =
                    compared.unverified_ack(provisioned).filter(|_| is_newest && is_told)
                {
                    set_unsaved_ack(
                        &mut self.unsaved_acks,
                        &compared.user,
                        account,
                        directory,
                        news,
                    );
                }
                return vec![];
            }
            Err(problem) => problem,
        };
        if !is_newest || !is_told {
            return vec![];
        }
        if problem == DirectoryError::Drifted {
            self.drift.push(compared.drift(directory));
        }
        let failures = compared.failures + 1;
        let is_wrong = match &problem {
            DirectoryError::Drifted
            | DirectoryError::EntryRecreated
            | DirectoryError::Refused(_)
            | DirectoryError::NotShown(_)
            | DirectoryError::Protocol(_)
            | DirectoryError::Internal => true,
            DirectoryError::Configuration(_)
            | DirectoryError::Unsupported(_)
            | DirectoryError::Unreachable(_)
            | DirectoryError::Unauthorized(_)
            | DirectoryError::RateLimited { .. } => false,
            DirectoryError::Timeout
            | DirectoryError::Failed(_)
            | DirectoryError::Conflict
            | DirectoryError::SecretUnavailable => failures >= TRIES,
        };
        if !is_wrong {
            let why: &str = (&problem).into();
            tracing::debug!(directory, %account, why, "an entry couldn't be compared, trying again");
            pending.comparison.pause(&problem, now);
            pending.comparison.queued.push_front(Compared { failures, ..compared });
            return vec![];
        }
        let Compared { user, known, .. } = compared;
        // Whatever was changed there may be the rights.
        let password = known.fingerprint.and_then(|fingerprint| fingerprint.password);
        let doubt =
            unverified(known.revision, (Some(unknown_rights()), password), known.handle.as_ref());
        set_unsaved_ack(&mut self.unsaved_acks, &user, account, directory, doubt);
        vec![user]
    }
}

impl Compared {
    /// Returns the comparison, if the directory has confirmed the current entry.
    fn new(account: &Comparable, directory: &str) -> Option<Self> {
        let Comparable { user, owner, entry, confirmed } = account;
        let known = confirmed
            .get(directory)
            .filter(|known| known.revision >= entry.revision && !is_unverified(known))?;
        let before = known.fingerprint.as_ref()?;
        if !before.has(&entry.fingerprint()?) {
            return None;
        }
        let mut wanted = PendingEntry::new(user, entry.clone());
        wanted.set_known_password(before.password.as_ref());
        let entry = Entry {
            compares: true,
            was_confirmed: true,
            handle: known.handle.clone(),
            ..wanted.entry
        };
        Some(Self {
            user: user.clone(),
            owner: owner.clone(),
            entry,
            known: known.clone(),
            failures: 0,
        })
    }

    fn drift(&self, directory: &str) -> Drift {
        let Self { user, owner, entry, .. } = self;
        Drift {
            directory: directory.to_owned(),
            account: entry.account,
            user: user.clone(),
            owner: owner.clone(),
        }
    }

    /// Returns the acknowledgement to save, if it changed: the directory's key of the entry where
    /// it wasn't known, and rights that an earlier version of roster didn't save.
    fn unverified_ack(&self, provisioned: Provisioned) -> Option<DirectoryAck> {
        let known = self.known.clone();
        let rights = self.entry.fingerprint().and_then(|fingerprint| fingerprint.rights);
        let fingerprint = known.fingerprint.clone().map(|before| EntryDigest { rights, ..before });
        let news = DirectoryAck {
            fingerprint,
            handle: provisioned.handle.or(known.handle.clone()),
            ..known
        };
        (news != self.known).then_some(news)
    }
}

impl Pace {
    /// Records that these accounts were read, of so many.
    fn take(&mut self, names: &[UserName], total: usize, now: Instant) {
        self.begins_at = 0.0;
        self.after = names.last().cloned();
        if names.is_empty() {
            // It begins anew with the next period; where this one took longer, at once.
            self.page_at = self.ends.max(now);
            self.ends = self.page_at + self.period;
            return;
        }
        let part = names.len() as f64 / total.max(names.len()) as f64;
        self.page_at += self.period.mul_f64(part);
    }
}

impl Comparison {
    /// Forgets what isn't to be had any more, because something newer is.
    pub(super) fn forget(&mut self, account: AccountId) {
        self.queued.retain(|compared| compared.entry.account != account);
    }

    /// Whether an account's entry is being compared, so that nothing else of it may be on its way.
    pub(super) fn has_under_way(&self, account: AccountId) -> bool {
        self.under_way.contains_key(&account)
    }

    fn pause(&mut self, problem: &DirectoryError, now: Instant) {
        let asked_for = match problem {
            DirectoryError::RateLimited { after, .. } => after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let pause = self.pace.as_ref().map_or(PAUSE, |pace| PAUSE.min(pace.period));
        self.paused_until = Some(now + pause.max(asked_for));
    }
}

impl Pending {
    /// Returns when the next page is due; none is while the last one is being compared.
    fn next_page_due(&self) -> Option<Instant> {
        let Comparison { pace, queued, under_way, .. } = &self.comparison;
        let is_free = queued.is_empty() && under_way.is_empty() && self.backoff.is_none();
        pace.as_ref().filter(|_| is_free).map(|pace| pace.page_at)
    }

    pub(super) fn next_comparison(&self) -> Option<Instant> {
        let Comparison { queued, queued_at, under_way, paused_until, .. } = &self.comparison;
        let has_room =
            self.backoff.is_none() && self.in_flight.len() < BUSY && under_way.len() < AT_ONCE;
        queued_at
            .filter(|_| has_room && !queued.is_empty())
            .map(|at| paused_until.map_or(at, |until| until.max(at)))
    }

    /// Takes the comparisons that are due, without entries that are sent anyway.
    pub(super) fn take_comparisons(&mut self, now: Instant) -> Vec<Entry> {
        let mut taken = vec![];
        while self.next_comparison().is_some_and(|due| due <= now)
            && let Some(compared) = self.comparison.queued.pop_front()
        {
            let account = compared.entry.account;
            if !self.wanted.contains_key(&account) {
                taken.push(compared.entry.clone());
                self.comparison.under_way.insert(account, compared);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests;
