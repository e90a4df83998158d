//! What may still arrive at a directory: requests that were left without an answer, by this
//! operator or by one before it.
//!
//! Such a request may be done up to a minute later, after what was confirmed since. So what was
//! confirmed meanwhile is looked at once more, and the store has it in doubt until then: whoever
//! takes over in between doubts it as well. Where a late request may give what the confirmed entry
//! takes away, the store isn't told of that at all before.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::unsaved_acks::is_unverified;
use crate::domain::account::{AccountId, DirectoryAck, Revision};
use crate::provisioning::{DirectoryUser, Entry};

/// How late a request may be done that was left without an answer, such as one that waited behind a
/// gateway.
pub(super) const MAX_REORDER_DELAY: Duration = Duration::from_secs(60);

/// How much longer than that one of an operator that was replaced may come: it notices within
/// seconds that it was.
pub(super) const LATEST_NOTICE: Duration = Duration::from_secs(5);

/// When an operator began to work: what was brought before may be on its way still.
#[derive(Debug)]
pub(super) struct PredecessorWindow {
    at: Instant,
    /// The accounts that it created itself since: nobody brought them before.
    created: HashSet<AccountId>,
}

/// What may still arrive at one directory.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    sent: HashMap<AccountId, Vec<Sent>>,
    /// Whose requests from before this operator began were judged: by what the store said then,
    /// whatever it says since.
    judged: HashSet<AccountId>,
}

/// Requests that may still arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    until: Instant,
    gives: Gives,
    /// One of them has a password, which can't be seen in the directory.
    had_password: bool,
}

/// What a request gives that arrives late.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gives {
    /// Whether it leaves an entry behind.
    has_person: bool,
    /// Whether that one may log in.
    lets_in: bool,
    /// The digest of its rights, where all are known to have this one.
    rights: Option<String>,
}

impl Gives {
    fn of(entry: &Entry) -> Self {
        let rights = entry.fingerprint().and_then(|fingerprint| fingerprint.rights);
        Self { has_person: entry.person.is_some(), lets_in: !entry.revokes_login(), rights }
    }

    /// Returns what requests may give that another operator sent, as far as an entry and what the
    /// store knows tell.
    fn of_predecessor(entry: &Entry, known: Option<&DirectoryAck>) -> Self {
        let before = Revision(entry.revision.0.saturating_sub(1));
        let is_next = match known {
            Some(known) => known.revision == before && !is_unverified(known),
            None => before == Revision(0),
        };
        // Nothing older was on its way when that was confirmed, and of this revision all take the
        // way in.
        match is_next && entry.revokes_login() {
            true => Self { has_person: entry.person.is_some(), lets_in: false, rights: None },
            false => Self { has_person: true, lets_in: true, rights: None },
        }
    }
}

impl PredecessorWindow {
    pub(super) fn at(at: Instant) -> Self {
        Self { at, created: HashSet::new() }
    }

    fn ends(&self) -> Instant {
        self.at + MAX_REORDER_DELAY + LATEST_NOTICE
    }

    /// Notes that this operator created an account.
    pub(super) fn created(&mut self, account: AccountId, now: Instant) {
        if now < self.ends() {
            self.created.insert(account);
        } else {
            self.created = HashSet::new();
        }
    }
}

impl OpenRequests {
    /// Notes that a request was left without an answer.
    pub(super) fn record_unanswered(&mut self, entry: &Entry, now: Instant) {
        let is_new = |person: &DirectoryUser| {
            person.password.as_ref().is_some_and(|password| password.is_new)
        };
        let had_password = entry.person.as_ref().is_some_and(is_new);
        self.note(
            entry.account,
            Sent { until: now + MAX_REORDER_DELAY, gives: Gives::of(entry), had_password },
            now,
        );
    }

    /// Judges by what the store has of an account when this operator first has something of it to
    /// bring, whether requests of another one may be on their way: not where the store has the
    /// entry as it is to be, without doubt.
    pub(super) fn record_entry(
        &mut self,
        entry: &Entry,
        known: Option<&DirectoryAck>,
        beginning: Option<&PredecessorWindow>,
        now: Instant,
    ) {
        let Some(beginning) = beginning.filter(|beginning| now < beginning.ends()) else {
            self.judged = HashSet::new();
            return;
        };
        if !self.judged.insert(entry.account)
            || beginning.created.contains(&entry.account)
            || is_acknowledged(entry, known)
        {
            return;
        }
        let own = entry.fingerprint().and_then(|fingerprint| fingerprint.password);
        let before = known
            .and_then(|known| known.fingerprint.as_ref())
            .and_then(|before| before.password.as_ref());
        let had_password = own.is_some() && own.as_ref() != before;
        let gives = Gives::of_predecessor(entry, known);
        self.note(entry.account, Sent { until: beginning.ends(), gives, had_password }, now);
    }

    fn note(&mut self, account: AccountId, sent: Sent, now: Instant) {
        let all = self.sent.entry(account).or_default();
        all.retain(|before| {
            before.until > now
                && (&before.gives, before.had_password) != (&sent.gives, sent.had_password)
        });
        all.push(sent);
    }

    fn of(&self, account: AccountId, now: Instant) -> impl Iterator<Item = &Sent> {
        self.sent.get(&account).into_iter().flatten().filter(move |sent| sent.until > now)
    }

    /// Returns until when something may arrive, if anything may.
    pub(super) fn until(&self, account: AccountId, now: Instant) -> Option<Instant> {
        self.of(account, now).map(|sent| sent.until).max()
    }

    /// Whether a password may be among it.
    pub(super) fn had_password(&self, account: AccountId, now: Instant) -> bool {
        self.of(account, now).any(|sent| sent.had_password)
    }

    /// Returns until when something may arrive that gives what an entry takes away.
    pub(super) fn may_restore_login(&self, entry: &Entry, now: Instant) -> Option<Instant> {
        let gives_back = |sent: &&Sent| match &entry.person {
            None => sent.gives.has_person,
            Some(person) => !person.active && sent.gives.lets_in,
        };
        self.of(entry.account, now).filter(gives_back).map(|sent| sent.until).max()
    }

    /// Returns until when something of this operator's own may arrive that gives other rights than
    /// an entry's, which may be more.
    ///
    /// What a former one sent is left out of account here: nobody knows its rights, and after each
    /// change of the operator, or a restore, statuses would say for a minute of everybody that
    /// rights may come back.
    pub(super) fn may_restore_rights(&self, entry: &Entry, now: Instant) -> Option<Instant> {
        let rights = entry.fingerprint().and_then(|fingerprint| fingerprint.rights);
        let gives_others = |sent: &&Sent| {
            sent.gives.lets_in && sent.gives.rights.is_some() && sent.gives.rights != rights
        };
        self.of(entry.account, now).filter(gives_others).map(|sent| sent.until).max()
    }

    /// Returns an entry's rights, where all that may still arrive has the same.
    pub(super) fn common_rights(
        &self,
        account: AccountId,
        rights: Option<&String>,
        now: Instant,
    ) -> Option<String> {
        let has_them = |sent: &Sent| sent.gives.rights.as_ref() == rights;
        rights.filter(|_| self.of(account, now).all(has_them)).cloned()
    }

    /// Forgets what can't arrive for an account any more.
    pub(super) fn forget_expired(&mut self, account: AccountId, now: Instant) {
        if self.until(account, now).is_none() {
            self.sent.remove(&account);
        }
    }
}

/// Whether what the store knows is what the entry is, without doubt.
pub(super) fn is_acknowledged(entry: &Entry, known: Option<&DirectoryAck>) -> bool {
    let Some(known) = known.filter(|known| known.revision >= entry.revision) else { return false };
    match (&known.fingerprint, entry.fingerprint()) {
        (Some(before), Some(fingerprint)) => before.has(&fingerprint),
        (before, fingerprint) => before.is_none() && fingerprint.is_none(),
    }
}
