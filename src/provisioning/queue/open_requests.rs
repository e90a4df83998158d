//! Late requests: those without an answer, by this operator or a former one, that may still arrive
//! at a directory.
//!
//! Such a request may be carried out up to a minute later, after what was confirmed since. So what
//! is confirmed meanwhile is verified once more, and the store has it as unverified until then,
//! also for an operator that takes over. If a late request may restore what the confirmed entry
//! revokes, the confirmation isn't saved before that.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::unsaved_acks::is_unverified;
use crate::domain::account::{AccountId, DirectoryAck, Revision};
use crate::provisioning::{DirectoryUser, Entry};

/// How late a request without an answer may be carried out, such as one that waits behind a
/// gateway.
pub(super) const MAX_REORDER_DELAY: Duration = Duration::from_secs(60);

/// How much later a request of a replaced operator may come: that one notices within seconds.
pub(super) const LATEST_NOTICE: Duration = Duration::from_secs(5);

/// When an operator started: what was sent before may still arrive.
#[derive(Debug)]
pub(super) struct PredecessorWindow {
    at: Instant,
    /// The accounts that it created itself since: no entry of theirs was sent before.
    created: HashSet<AccountId>,
}

/// What may still arrive at one directory.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    sent: HashMap<AccountId, Vec<Sent>>,
    /// The accounts whose requests from before this operator were assessed, by what the store had
    /// then.
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

/// The rights that a late request gives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gives {
    /// Whether it leaves an entry behind.
    has_person: bool,
    lets_in: bool,
    /// The digest of its rights, where all are known to have this one.
    rights: Option<String>,
}

impl Gives {
    fn of(entry: &Entry) -> Self {
        let rights = entry.fingerprint().and_then(|fingerprint| fingerprint.rights);
        Self { has_person: entry.person.is_some(), lets_in: !entry.revokes_login(), rights }
    }

    /// Returns the rights that a former operator's requests may give, as far as an entry and the
    /// last acknowledgement show.
    fn of_predecessor(entry: &Entry, known: Option<&DirectoryAck>) -> Self {
        let before = Revision(entry.revision.0.saturating_sub(1));
        let is_next = match known {
            Some(known) => known.revision == before && !is_unverified(known),
            None => before == Revision(0),
        };
        // Nothing older was in flight when that was confirmed, and all entries of this revision
        // revoke the login.
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

    pub(super) fn created(&mut self, account: AccountId, now: Instant) {
        if now < self.ends() {
            self.created.insert(account);
        } else {
            self.created = HashSet::new();
        }
    }
}

impl OpenRequests {
    /// Records that a request got no answer.
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

    /// Assesses, when this operator first queues an entry of an account, whether a former one's
    /// requests may still arrive. None may if the store has the entry as verified.
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

    /// Returns until when a late request may arrive, if one may.
    pub(super) fn until(&self, account: AccountId, now: Instant) -> Option<Instant> {
        self.of(account, now).map(|sent| sent.until).max()
    }

    pub(super) fn had_password(&self, account: AccountId, now: Instant) -> bool {
        self.of(account, now).any(|sent| sent.had_password)
    }

    /// Returns until when a late request may restore a login that an entry revokes.
    pub(super) fn may_restore_login(&self, entry: &Entry, now: Instant) -> Option<Instant> {
        let gives_back = |sent: &&Sent| match &entry.person {
            None => sent.gives.has_person,
            Some(person) => !person.active && sent.gives.lets_in,
        };
        self.of(entry.account, now).filter(gives_back).map(|sent| sent.until).max()
    }

    /// Returns until when a late request of this operator may arrive that gives other rights than
    /// an entry's, which may be more.
    ///
    /// A former operator's requests don't count here: their rights are unknown, and after each
    /// change of the leader, or a restore, all statuses would report for a minute that rights may
    /// come back.
    pub(super) fn may_restore_rights(&self, entry: &Entry, now: Instant) -> Option<Instant> {
        let rights = entry.fingerprint().and_then(|fingerprint| fingerprint.rights);
        let gives_others = |sent: &&Sent| {
            sent.gives.lets_in && sent.gives.rights.is_some() && sent.gives.rights != rights
        };
        self.of(entry.account, now).filter(gives_others).map(|sent| sent.until).max()
    }

    /// Returns an entry's rights, if all late requests have the same.
    pub(super) fn common_rights(
        &self,
        account: AccountId,
        rights: Option<&String>,
        now: Instant,
    ) -> Option<String> {
        let has_them = |sent: &Sent| sent.gives.rights.as_ref() == rights;
        rights.filter(|_| self.of(account, now).all(has_them)).cloned()
    }

    /// Forgets an account's requests that can't arrive any more.
    pub(super) fn forget_expired(&mut self, account: AccountId, now: Instant) {
        if self.until(account, now).is_none() {
            self.sent.remove(&account);
        }
    }
}

/// Whether the acknowledgement is of just this entry, and verified.
pub(super) fn is_acknowledged(entry: &Entry, known: Option<&DirectoryAck>) -> bool {
    let Some(known) = known.filter(|known| known.revision >= entry.revision) else { return false };
    match (&known.fingerprint, entry.fingerprint()) {
        (Some(before), Some(fingerprint)) => before.has(&fingerprint),
        (before, fingerprint) => before.is_none() && fingerprint.is_none(),
    }
}
