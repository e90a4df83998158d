//! Which entries are sent when, so that none waits behind those over which a directory fails.
//!
//! Entries that failed are retried with growing delay, few at a time, and count little as a sign of
//! the directory's health: they neither probe it nor cause a backoff by themselves. Two entries in
//! a row that never failed before cause one, or many in a row of those that did. While provisioning
//! backs off only because entries failed, revocations that haven't failed yet go on, a few a
//! second.
//!
//! So a directory that is down gets, however many entries wait: one probe in each backoff, which
//! lasts up to a minute; as often a few retries; and if it fails over each entry, each revocation
//! once, at most 32 a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{EntryKey, Pending};
use crate::backoff::{ExponentialBackoff, jitter};
use crate::domain::account::AccountId;
use crate::domain::object_key::ObjectKey;
use crate::provisioning::{DirectoryError, Entry};
use crate::workqueue::{Priority, WorkQueue};

/// How many entries may be in flight to one directory. What many of them change in a group goes
/// into one request; each client limits the number of its requests by itself.
const AT_ONCE: usize = 256;
/// How many of them may revoke rights but no login, and how many may revoke nothing: room is left
/// for the others.
const REVOKING_AT_ONCE: usize = 240;
pub(super) const FOLLOWING_AT_ONCE: usize = 224;
/// How many of one organization's entries may be in flight to a directory, in the same order: other
/// organizations needn't wait for these.
const OF_ONE_AT_ONCE: usize = 224;
const REVOKING_OF_ONE_AT_ONCE: usize = 208;
pub(super) const FOLLOWING_OF_ONE_AT_ONCE: usize = 192;
/// How many retries may be in flight: some of them may never get an answer, and keep their place
/// until a timeout.
pub(super) const FAILED_AT_ONCE: usize = 8;
/// How many failed retries in a row count as a failure of the directory.
pub(super) const FAILED_IN_A_ROW: u32 = 32;
/// How many revocations go on in each second while provisioning backs off.
pub(super) const REVOKED_A_SECOND: usize = 32;
/// How long a probe may take until another is sent: a directory that works may not answer to some
/// entries.
const PROBE_TIMEOUT: Duration = Duration::from_secs(4);
const SHORTEST_REST: Duration = Duration::from_secs(1);
/// The longest backoff, also when the directory asks for more.
pub(super) const LONGEST_REST: Duration = Duration::from_secs(60);

/// The priorities, the most urgent first.
const LANES: [Priority; 3] = [Priority::High, Priority::Revoking, Priority::Low];

/// The backoff from a directory that fails as a whole; then one entry probes it.
#[derive(Debug)]
pub(super) struct Backoff {
    until: Instant,
    delays: ExponentialBackoff,
    pub(super) why: DirectoryError,
    /// The entry that probes, and since when. Other entries in flight were sent before, and show
    /// nothing of the present.
    probe: Option<(AccountId, Instant)>,
    /// When retries may go on, if there is no other entry to probe with.
    again_at: Instant,
    again_delays: ExponentialBackoff,
    /// The second in which revocations went on last, and how many did.
    revoked: (Instant, usize),
}

impl Backoff {
    fn new(why: DirectoryError, now: Instant) -> Self {
        Self {
            until: now,
            delays: ExponentialBackoff::new(SHORTEST_REST, LONGEST_REST),
            why,
            probe: None,
            again_at: now,
            // The first try of an entry that failed before came with the failure.
            again_delays: ExponentialBackoff::new(2 * SHORTEST_REST, LONGEST_REST),
            revoked: (now, 0),
        }
    }

    /// Whether entries failed, and not the connection or the directory as a whole.
    fn is_over_entries(&self) -> bool {
        matches!(self.why, DirectoryError::Failed(_))
    }

    fn may_probe(&self, now: Instant) -> bool {
        self.until <= now && self.probe_due().is_none_or(|due| due <= now)
    }

    /// Returns when the probe in flight is given up, if there is one.
    fn probe_due(&self) -> Option<Instant> {
        self.probe.map(|(_, since)| since + PROBE_TIMEOUT)
    }

    fn revocations(&self, now: Instant) -> usize {
        let (begun, count) = self.revoked;
        if begun + Duration::from_secs(1) <= now {
            REVOKED_A_SECOND
        } else {
            REVOKED_A_SECOND.saturating_sub(count)
        }
    }

    /// Records that so many went on.
    fn revoked(&mut self, count: usize, now: Instant) {
        if self.revoked.0 + Duration::from_secs(1) <= now {
            self.revoked = (now, 0);
        }
        self.revoked.1 += count;
    }
}

/// The entries in flight of each organization.
struct Room(HashMap<String, usize>);

impl Room {
    fn has(&mut self, key: &EntryKey, most: usize) -> bool {
        let count = self.0.entry(key.organization.clone()).or_default();
        let has_room = *count < most;
        *count += usize::from(has_room);
        has_room
    }
}

/// Returns how many entries may be in flight for a priority to have room, and how many of one
/// organization.
fn most(lane: Priority) -> (usize, usize) {
    match lane {
        Priority::High => (AT_ONCE, OF_ONE_AT_ONCE),
        Priority::Revoking => (REVOKING_AT_ONCE, REVOKING_OF_ONE_AT_ONCE),
        Priority::Low => (FOLLOWING_AT_ONCE, FOLLOWING_OF_ONE_AT_ONCE),
    }
}

/// Returns how many retries may be in flight for a priority to have room.
fn most_again(lane: Priority) -> usize {
    match lane {
        Priority::High => FAILED_AT_ONCE - 2,
        Priority::Revoking => FAILED_AT_ONCE - 1,
        Priority::Low => FAILED_AT_ONCE,
    }
}

impl Pending {
    /// Makes the queued entry of an account due.
    pub(super) fn schedule(&mut self, account: AccountId, at: Instant) {
        let Some(wanted) = self.wanted.get(&account) else { return };
        let (key, lane) = (EntryKey::of(&wanted.entry), wanted.priority());
        self.due.remove(&key);
        self.retries.remove(&key);
        let queue = if wanted.has_failed { &mut self.retries } else { &mut self.due };
        queue.put(key, lane, at);
    }

    pub(super) fn unschedule(&mut self, entry: &Entry) {
        let key = EntryKey::of(entry);
        self.due.remove(&key);
        self.retries.remove(&key);
    }

    /// Takes the accounts that are due, revocations first, of each organization by turns.
    pub(super) fn take(&mut self, now: Instant) -> Vec<EntryKey> {
        let mut taken = match self.backoff.take() {
            None => self.take_at_work(now),
            Some(mut rest) => {
                let taken = self.take_at_rest(&mut rest, now);
                self.backoff = Some(rest);
                taken
            }
        };
        taken.retain(|key| self.wanted.contains_key(&key.account));
        for EntryKey { account, organization } in &taken {
            self.in_flight.insert(*account);
            *self.in_flight_of.entry(organization.clone()).or_default() += 1;
            if self.wanted.get(account).is_some_and(|wanted| wanted.has_failed) {
                self.retries_in_flight.insert(*account);
            }
        }
        taken
    }

    fn take_at_work(&mut self, now: Instant) -> Vec<EntryKey> {
        let (under_way, again) = (self.in_flight.len(), self.retries_in_flight.len());
        let mut room = Room(self.in_flight_of.clone());
        let mut taken = vec![];
        for lane in LANES {
            let (most, of_one) = most(lane);
            let most = most.saturating_sub(under_way + taken.len());
            taken.extend(self.due.take_from(lane, now, most, |key| room.has(key, of_one)));
        }
        let firsts = taken.len();
        for lane in LANES {
            let (most, of_one) = most(lane);
            let most_again = most_again(lane).saturating_sub(again + taken.len() - firsts);
            let most = most.saturating_sub(under_way + taken.len()).min(most_again);
            taken.extend(self.retries.take_from(lane, now, most, |key| room.has(key, of_one)));
        }
        taken
    }

    fn take_at_rest(&mut self, rest: &mut Backoff, now: Instant) -> Vec<EntryKey> {
        let mut taken = vec![];
        if rest.is_over_entries() {
            let mut room = Room(self.in_flight_of.clone());
            for lane in [Priority::High, Priority::Revoking] {
                let (most, of_one) = most(lane);
                let most = most
                    .saturating_sub(self.in_flight.len() + taken.len())
                    .min(rest.revocations(now));
                let revoking = self.due.take_from(lane, now, most, |key| room.has(key, of_one));
                rest.revoked(revoking.len(), now);
                taken.extend(revoking);
            }
        }
        if !rest.may_probe(now) {
            return taken;
        }
        if let Some(probe) = take_one(&mut self.due, now) {
            rest.probe = Some((probe.account, now));
            taken.push(probe);
        } else if rest.again_at <= now {
            let most = if rest.is_over_entries() {
                FAILED_AT_ONCE.saturating_sub(self.retries_in_flight.len())
            } else {
                1
            };
            let again: Vec<EntryKey> =
                (0..most).map_while(|_| take_one(&mut self.retries, now)).collect();
            if let Some(first) = again.first().filter(|_| !rest.is_over_entries()) {
                rest.probe = Some((first.account, now));
            }
            if !again.is_empty() {
                rest.again_at = now + jittered(rest.again_delays.next_delay());
            }
            taken.extend(again);
        }
        taken
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        match &self.backoff {
            None => self.next_due_at_work(),
            Some(rest) => self.next_due_at_rest(rest),
        }
    }

    fn next_due_at_work(&self) -> Option<Instant> {
        let (under_way, again) = (self.in_flight.len(), self.retries_in_flight.len());
        let of_lane = |lane| {
            let (most, _) = most(lane);
            let firsts = self.next_with_room(&self.due, lane).filter(|_| under_way < most);
            let again = self
                .next_with_room(&self.retries, lane)
                .filter(|_| under_way < most && again < most_again(lane));
            firsts.into_iter().chain(again)
        };
        LANES.into_iter().flat_map(of_lane).min()
    }

    fn next_due_at_rest(&self, rest: &Backoff) -> Option<Instant> {
        let of_lane = |lane| {
            let (most, _) = most(lane);
            let next = if rest.revocations(rest.revoked.0) == 0 {
                Some(rest.revoked.0 + Duration::from_secs(1))
            } else {
                None
            };
            let due =
                self.next_with_room(&self.due, lane).filter(|_| self.in_flight.len() < most)?;
            Some(next.map_or(due, |next| due.max(next)))
        };
        let revoking = [Priority::High, Priority::Revoking]
            .into_iter()
            .filter(|_| rest.is_over_entries())
            .filter_map(of_lane);
        let may_probe = rest.probe_due().map_or(rest.until, |due| due.max(rest.until));
        let probe = self.due.next_due().map(|due| due.max(may_probe));
        let has_room = !rest.is_over_entries() || self.retries_in_flight.len() < FAILED_AT_ONCE;
        let again = self
            .retries
            .next_due()
            .filter(|_| has_room)
            .map(|due| due.max(may_probe).max(rest.again_at));
        revoking.chain(probe).chain(again).min()
    }

    /// Returns when the next entry of a priority is due, of the organizations that have room.
    fn next_with_room(&self, queue: &WorkQueue<EntryKey>, lane: Priority) -> Option<Instant> {
        let (_, of_one) = most(lane);
        queue.next_due_of(lane, |organization| {
            self.in_flight_of.get(organization).is_none_or(|count| *count < of_one)
        })
    }

    /// Records that an entry isn't in flight any more. Returns whether it was a probe.
    pub(super) fn on_arrival(&mut self, entry: &Entry) -> bool {
        self.retries_in_flight.remove(&entry.account);
        let probe = self
            .backoff
            .as_mut()
            .and_then(|rest| rest.probe.take_if(|(probe, _)| *probe == entry.account));
        if self.in_flight.remove(&entry.account)
            && let Some(count) = self.in_flight_of.get_mut(&entry.organization)
        {
            *count -= 1;
            if *count == 0 {
                self.in_flight_of.remove(&entry.organization);
            }
        }
        probe.is_some()
    }

    pub(super) fn on_success(&mut self, directory: &str) {
        (self.suspect, self.failed_in_a_row) = (None, 0);
        if self.backoff.take().is_some() {
            self.record_recovery();
            tracing::info!(directory, waiting = self.wanted.len(), "directory available again");
        }
    }

    /// Records that an entry failed, and backs off if the directory is at fault. Returns the users
    /// whose status reports that.
    pub(super) fn on_failure(
        &mut self,
        directory: &str,
        (account, is_probe): (AccountId, bool),
        problem: &DirectoryError,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let is_first = !self.failed.contains(&account);
        if is_held_against_it(problem) {
            self.failed.insert(account);
        }
        let (is_whole, is_failed) =
            (problem.is_about_directory(), matches!(problem, DirectoryError::Failed(_)));
        if !is_whole && !is_failed {
            return vec![];
        }
        let tells_of_those_that_failed_before = self.backoff.is_none() && !is_whole && !is_first;
        let is_more_than_its_own = match &self.backoff {
            Some(rest) => (is_probe && is_first) || (is_whole && rest.is_over_entries()),
            None if is_whole => true,
            None if is_first => *self.suspect.get_or_insert(account) != account,
            None => {
                self.failed_in_a_row += 1;
                self.failed_in_a_row >= FAILED_IN_A_ROW
            }
        };
        if !is_more_than_its_own {
            return vec![];
        }
        let concerned = self.back_off(directory, problem.clone(), now);
        if let Some(rest) = self.backoff.as_mut().filter(|_| tells_of_those_that_failed_before) {
            // It shows nothing of entries that never failed: the first of them probes at once.
            rest.until = now;
        }
        concerned
    }

    /// Backs off, longer each time in a row. Returns the users whose status reports that.
    fn back_off(&mut self, directory: &str, why: DirectoryError, now: Instant) -> Vec<ObjectKey> {
        // Other words for the same problem are no news: each probe would cost a status write of
        // every waiting user.
        let kind = |why: &DirectoryError| std::mem::discriminant(&why.as_problem());
        let is_news = self.backoff.as_ref().is_none_or(|before| kind(&before.why) != kind(&why));
        let is_first = self.backoff.is_none();
        if is_first {
            let waiting = self.wanted.len();
            tracing::warn!(directory, waiting, error = %why, "directory unavailable, backing off");
        }
        let rest = self.backoff.get_or_insert_with(|| Backoff::new(why.clone(), now));
        let delay = rest.delays.next_delay();
        let delay = match &why {
            DirectoryError::RateLimited { after: Some(after), .. } => {
                (*after).clamp(SHORTEST_REST, LONGEST_REST)
            }
            _ => delay,
        };
        rest.until = now + jittered(delay);
        rest.why = why;
        if is_first {
            rest.again_at = rest.until;
        }
        if is_news {
            self.wanted.values().map(|wanted| wanted.user.clone()).collect()
        } else {
            vec![]
        }
    }
}

/// Whether the failure counts against the entry: what succeeds at the next try is no sign of one
/// that always fails.
pub(super) fn is_held_against_it(problem: &DirectoryError) -> bool {
    match problem {
        DirectoryError::Conflict
        | DirectoryError::SecretUnavailable
        | DirectoryError::EntryRecreated
        | DirectoryError::Drifted => false,
        DirectoryError::Configuration(_)
        | DirectoryError::Unsupported(_)
        | DirectoryError::Unauthorized(_)
        | DirectoryError::RateLimited { .. } => false,
        DirectoryError::Unreachable(_)
        | DirectoryError::Failed(_)
        | DirectoryError::Timeout
        | DirectoryError::Refused(_)
        | DirectoryError::NotShown(_)
        | DirectoryError::Protocol(_)
        | DirectoryError::Internal => true,
    }
}

fn take_one(queue: &mut WorkQueue<EntryKey>, now: Instant) -> Option<EntryKey> {
    LANES.into_iter().find_map(|lane| queue.take_from(lane, now, 1, |_| true).pop())
}

/// Returns a time somewhat longer or shorter, so that entries that failed together aren't retried
/// together.
pub(super) fn jittered(time: Duration) -> Duration {
    jitter(time, 0.8..1.2)
}
