//! The work queue: each key stands in it at most once.
//!
//! Organizations take turns: of what is due with one priority, the next is always of the
//! organization that was served least while it had something to do (start-time fair queuing). So
//! however much one of them asks for, another one's edit waits for no more than the current round
//! and its own turn in the next.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::ExponentialBackoff;
use crate::domain::object_key::ObjectKey;

/// How long to wait after the first failure, most of which are gone at the second attempt, and
/// after later ones in a row.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(60);

/// A key of an organization's work.
pub trait OfOrganization {
    /// Returns the namespace of the organization.
    fn organization(&self) -> &str;
}

impl OfOrganization for ObjectKey {
    fn organization(&self) -> &str {
        &self.namespace
    }
}

/// The priority of a key, the more urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A user waits for it.
    High,
    /// It may revoke rights, perhaps of thousands at once.
    Revoking,
    /// It only follows from changes of others, perhaps of thousands at once.
    Low,
}

/// Keys to enqueue, each with its priority and how long to wait.
#[derive(Debug, Default)]
pub(crate) struct DueKeys(Vec<(ObjectKey, Priority, Duration)>);

impl DueKeys {
    /// Adds keys that are due now, with high priority.
    pub(crate) fn now(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.put(keys, Priority::High);
    }

    /// Adds keys that are due now, with low priority.
    pub(crate) fn low(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.put(keys, Priority::Low);
    }

    pub(crate) fn put(&mut self, keys: impl IntoIterator<Item = ObjectKey>, priority: Priority) {
        self.0.extend(keys.into_iter().map(|key| (key, priority, Duration::ZERO)));
    }

    /// Adds keys that are due after a delay, with high priority.
    pub(crate) fn after(&mut self, delay: Duration, keys: impl IntoIterator<Item = ObjectKey>) {
        self.0.extend(keys.into_iter().map(|key| (key, Priority::High, delay)));
    }
}

/// When a key is due, and its number among those due at once.
type Due = (Instant, u64);

/// Keys and when each is due; of several times and priorities the earliest and highest count.
#[derive(Debug)]
pub struct WorkQueue<K = ObjectKey> {
    /// By priority.
    lines: [Line<K>; 3],
    places: HashMap<K, (Priority, Due)>,
    failures: HashMap<K, ExponentialBackoff>,
    counter: u64,
    turns: Turns,
}

/// The keys of one priority, by organization.
#[derive(Debug)]
struct Line<K> {
    objects: HashMap<String, BTreeMap<Due, K>>,
    /// The organizations of which nothing was due yet, by when their first key is due.
    later: BTreeMap<Due, String>,
    /// The others, in the order of their turns: what each was served, and when its first key is
    /// due.
    ready: BTreeSet<(u64, Due, String)>,
    /// Where they stand there.
    turns: HashMap<String, (u64, Due)>,
}

/// How much each organization was served, counted from when it last began to ask for something.
#[derive(Debug, Default)]
struct Turns {
    /// The virtual time: an organization that asks for something now starts no earlier.
    now: u64,
    /// The organizations that were served beyond it, and how far.
    ahead: HashMap<String, u64>,
}

/// A fourth of each round is for low priority, if something has it: an organization that asks again
/// and again must not keep revocations from others' heirs.
const FOLLOWING_SHARE: usize = 4;

impl<K> Default for WorkQueue<K> {
    fn default() -> Self {
        Self {
            lines: Default::default(),
            places: HashMap::new(),
            failures: HashMap::new(),
            counter: 0,
            turns: Turns::default(),
        }
    }
}

impl<K> Default for Line<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            later: BTreeMap::new(),
            ready: BTreeSet::new(),
            turns: HashMap::new(),
        }
    }
}

impl<K: OfOrganization> Line<K> {
    fn insert(&mut self, place: Due, key: K) {
        let organization = key.organization().to_owned();
        let first = self.first_of(&organization).map(|(first, _)| first);
        self.objects.entry(organization.clone()).or_default().insert(place, key);
        if first.is_none_or(|first| place < first) {
            self.move_first(organization, first, Some(place));
        }
    }

    fn remove(&mut self, place: Due, organization: &str) -> Option<K> {
        let objects = self.objects.get_mut(organization)?;
        let first = objects.keys().next().copied();
        let removed = objects.remove(&place)?;
        let next = objects.keys().next().copied();
        if next.is_none() {
            self.objects.remove(organization);
        }
        if first == Some(place) {
            self.move_first(organization.to_owned(), first, next);
        }
        Some(removed)
    }

    /// Records that an organization's first key is another one.
    fn move_first(&mut self, organization: String, before: Option<Due>, after: Option<Due>) {
        if let Some((left, place)) = self.turns.remove(&organization) {
            self.ready.remove(&(left, place, organization.clone()));
        }
        before.map(|before| self.later.remove(&before));
        after.map(|after| self.later.insert(after, organization));
    }

    fn first_of(&self, organization: &str) -> Option<(Due, &K)> {
        self.objects.get(organization)?.iter().next().map(|(place, key)| (*place, key))
    }

    fn make_ready(&mut self, now: Instant, turns: &Turns) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            let (place, organization) = first.remove_entry();
            self.give_turn(turns.left(&organization), place, organization);
        }
    }

    fn give_turn(&mut self, left: u64, place: Due, organization: String) {
        self.turns.insert(organization.clone(), (left, place));
        self.ready.insert((left, place, organization));
    }

    fn take_turn(&mut self, turns: &Turns) -> Option<(Due, String)> {
        loop {
            let (left, place, organization) = self.ready.pop_first()?;
            self.turns.remove(&organization);
            let left_now = turns.left(&organization);
            if left_now <= left {
                return Some((place, organization));
            }
            // It was served with another priority since.
            self.give_turn(left_now, place, organization);
        }
    }
}

impl Turns {
    /// Returns how far an organization was served, if beyond the virtual time.
    fn left(&self, organization: &str) -> u64 {
        self.ahead.get(organization).copied().unwrap_or_default()
    }

    /// Returns the virtual time at which an organization starts that asks for something now.
    fn start(&self, organization: &str) -> u64 {
        self.left(organization).max(self.now)
    }

    fn serve(&mut self, organization: &str, cost: u64) {
        let start = self.start(organization);
        self.now = start;
        self.ahead.insert(organization.to_owned(), start.saturating_add(cost.max(1)));
    }

    /// Forgets organizations that aren't ahead of the virtual time.
    fn tidy(&mut self) {
        let now = self.now;
        self.ahead.retain(|_, left| *left > now);
    }
}

impl<K: Clone + Eq + Hash + OfOrganization> WorkQueue<K> {
    /// Makes a key due at a time, unless it is due earlier already.
    pub fn enqueue(&mut self, key: K, at: Instant) {
        self.put(key, Priority::High, at);
    }

    /// Makes a key due at a time, with low priority.
    pub fn enqueue_low(&mut self, key: K, at: Instant) {
        self.put(key, Priority::Low, at);
    }

    /// Makes a key due at a time.
    pub fn put(&mut self, key: K, lane: Priority, at: Instant) {
        let (mut lane, mut at) = (lane, at);
        if let Some(&(old_lane, old)) = self.places.get(&key) {
            (lane, at) = (lane.min(old_lane), at.min(old.0));
            if (lane, at) == (old_lane, old.0) {
                return;
            }
            self.lines[old_lane as usize].remove(old, key.organization());
        }
        self.counter += 1;
        let place = (at, self.counter);
        self.places.insert(key.clone(), (lane, place));
        self.lines[lane as usize].insert(place, key);
    }

    /// Removes a key. Its failures aren't forgotten.
    pub fn remove(&mut self, key: &K) {
        if let Some((lane, place)) = self.places.remove(key) {
            self.lines[lane as usize].remove(place, key.organization());
        }
    }

    /// Makes a key due after its backoff. Returns when.
    pub fn retry(&mut self, key: K, now: Instant) -> Instant {
        let at = self.failed(&key, now);
        self.enqueue(key, at);
        at
    }

    /// Counts a failure. Returns when to try again.
    pub fn failed(&mut self, key: &K, now: Instant) -> Instant {
        now + match self.failures.entry(key.clone()) {
            Entry::Occupied(failed) => failed.into_mut().next_delay(),
            Entry::Vacant(first) => {
                first.insert(ExponentialBackoff::new(MIN_RETRY, MAX_RETRY));
                FIRST_RETRY
            }
        }
    }

    /// Forgets the failures of a key.
    pub fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// Takes at most so many keys that are due, the more urgent first and of those the longest due.
    pub fn take(&mut self, now: Instant, most: usize) -> Vec<K> {
        self.take_within(now, most, |_, _| Some(1))
    }

    /// Takes at most so many keys that are due: `room` returns the cost of one, or `None` if its
    /// organization has no more room. The more urgent come first, and of those the longest due.
    pub fn take_within(
        &mut self,
        now: Instant,
        most: usize,
        mut room: impl FnMut(Priority, &K) -> Option<u64>,
    ) -> Vec<K> {
        let follows = self.next_due_in(Priority::Low).is_some_and(|due| due <= now);
        let share = if follows { most / FOLLOWING_SHARE } else { 0 };
        let mut asked = self.serve(Priority::High, now, most - share, &mut room);
        asked.extend(self.serve(Priority::Revoking, now, most - share - asked.len(), &mut room));
        let following = self.serve(Priority::Low, now, most - asked.len(), &mut room);
        let left = most - asked.len() - following.len();
        asked.extend(self.serve(Priority::High, now, left, &mut room));
        self.turns.tidy();
        asked.into_iter().chain(following).map(|(_, key)| key).collect()
    }

    /// Takes at most so many keys that are due with a priority, as far as there is room.
    pub fn take_from(
        &mut self,
        lane: Priority,
        now: Instant,
        most: usize,
        mut room: impl FnMut(&K) -> bool,
    ) -> Vec<K> {
        let taken = self.serve(lane, now, most, &mut |_, key| room(key).then_some(1));
        self.turns.tidy();
        taken.into_values().collect()
    }

    /// Serves the organizations that have something due by turns.
    fn serve(
        &mut self,
        lane: Priority,
        now: Instant,
        most: usize,
        room: &mut impl FnMut(Priority, &K) -> Option<u64>,
    ) -> BTreeMap<Due, K> {
        let mut taken = BTreeMap::new();
        let line = &mut self.lines[lane as usize];
        let mut without_room = vec![];
        while taken.len() < most {
            line.make_ready(now, &self.turns);
            let Some((place, organization)) = line.take_turn(&self.turns) else { break };
            let Some(cost) = line.first_of(&organization).and_then(|(_, key)| room(lane, key))
            else {
                without_room.push((place, organization));
                continue;
            };
            self.turns.serve(&organization, cost);
            if let Some(key) = line.remove(place, &organization) {
                self.places.remove(&key);
                taken.insert(place, key);
            }
        }
        for (place, organization) in without_room {
            line.give_turn(self.turns.left(&organization), place, organization);
        }
        taken
    }

    /// Returns when the next key is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        [Priority::High, Priority::Revoking, Priority::Low]
            .into_iter()
            .filter_map(|lane| self.next_due_in(lane))
            .min()
    }

    /// Returns when the next key of a priority is due.
    #[must_use]
    pub fn next_due_in(&self, lane: Priority) -> Option<Instant> {
        self.next_due_of(lane, |_| true)
    }

    /// Returns when the next key of a priority is due, of the organizations that have room.
    pub fn next_due_of(&self, lane: Priority, has_room: impl Fn(&str) -> bool) -> Option<Instant> {
        let line = &self.lines[lane as usize];
        let ready = line.ready.iter().map(|(_, place, organization)| (place, organization));
        ready
            .chain(&line.later)
            .find(|(_, organization)| has_room(organization))
            .map(|(place, _)| place.0)
    }

    /// Counts what was done for an organization beyond the cost of its keys.
    pub fn charge(&mut self, organization: &str, cost: u64) {
        let start = self.turns.start(organization);
        self.turns.ahead.insert(organization.to_owned(), start.saturating_add(cost));
    }

    /// Returns how many keys are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no key is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl WorkQueue {
    pub(crate) fn enqueue_all(&mut self, DueKeys(keys): DueKeys) {
        let now = Instant::now();
        keys.into_iter().for_each(|(key, priority, delay)| self.put(key, priority, now + delay));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object_key::Kind;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::User, "acme", name)
    }

    #[tokio::test]
    async fn an_object_stands_once_and_the_earliest_time_wins() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        queue.enqueue(key("alice"), now + Duration::from_secs(5));
        queue.enqueue(key("alice"), now);
        queue.enqueue(key("alice"), now + Duration::from_secs(9));
        queue.enqueue(key("bob"), now + Duration::from_secs(1));
        assert_eq!(queue.take(now, 9), [key("alice")]);
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.len(), 1);
    }

    #[tokio::test]
    async fn what_somebody_waits_for_comes_before_what_only_follows() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        ["heir-1", "heir-2", "heir-3"]
            .into_iter()
            .for_each(|name| queue.enqueue_low(key(name), now));
        queue.enqueue(key("new"), now + Duration::from_secs(1));
        queue.enqueue(key("heir-2"), now + Duration::from_secs(1));
        assert_eq!(
            queue.take(now + Duration::from_secs(1), 3),
            [key("heir-2"), key("new"), key("heir-1")]
        );
        assert_eq!(queue.take(now, 9), [key("heir-3")]);
        assert!(queue.is_empty());
    }

    fn of(organization: &str, number: usize) -> ObjectKey {
        ObjectKey::new(Kind::User, organization, format!("u{number}"))
    }

    fn count(taken: &[ObjectKey], organization: &str) -> usize {
        taken.iter().filter(|key| key.namespace == organization).count()
    }

    #[tokio::test]
    async fn organizations_take_turns_within_a_lane() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        (0..1000).for_each(|number| queue.enqueue(of("noisy", number), now));
        (0..3).for_each(|number| queue.enqueue(of("quiet", number), now));
        let taken = queue.take(now, 8);
        assert_eq!((count(&taken, "quiet"), count(&taken, "noisy")), (3, 5));
        assert_eq!(
            taken[..5],
            (0..5).map(|number| of("noisy", number)).collect::<Vec<_>>(),
            "the longest due first"
        );
        assert_eq!(queue.take(now, 995).len(), 995, "who is alone has all of a round");
        queue.enqueue(of("noisy", 0), now);
        queue.enqueue(of("other", 0), now);
        assert_eq!(queue.take(now, 1), [of("other", 0)], "who was served less comes first");
    }

    #[tokio::test]
    async fn nobody_saves_up_turns_by_being_quiet() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        (0..500).for_each(|number| queue.enqueue(of("noisy", number), now));
        queue.take(now, 300);
        (0..500).for_each(|number| queue.enqueue(of("late", number), now));
        let taken = queue.take(now, 100);
        assert!((49..=51).contains(&count(&taken, "late")), "{}", count(&taken, "late"));
    }

    #[tokio::test]
    async fn who_costs_more_has_fewer_turns() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        for organization in ["cheap", "dear"] {
            (0..100).for_each(|number| queue.enqueue(of(organization, number), now));
        }
        let taken =
            queue.take_within(now, 44, |_, key| Some(if key.namespace == "dear" { 10 } else { 1 }));
        assert!((3..=5).contains(&count(&taken, "dear")), "{}", count(&taken, "dear"));
        queue.charge("cheap", 1000);
        assert_eq!(
            count(&queue.take(now, 40), "cheap"),
            0,
            "what was done for it beside that counts too"
        );
    }

    #[tokio::test]
    async fn an_organization_without_room_waits_and_holds_up_nobody() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        for organization in ["full", "other"] {
            (0..4).for_each(|number| queue.enqueue(of(organization, number), now));
        }
        let taken = queue.take_from(Priority::High, now, 9, |key| key.namespace != "full");
        assert_eq!((count(&taken, "other"), count(&taken, "full")), (4, 0));
        assert_eq!(queue.next_due_of(Priority::High, |organization| organization != "full"), None);
        assert_eq!(queue.next_due(), Some(now));
        assert_eq!(queue.take(now, 9).len(), 4);
    }

    #[tokio::test]
    async fn those_who_ask_without_end_leave_a_fourth_to_what_follows() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        (0..1000).for_each(|number| queue.enqueue(of("noisy", number), now));
        (0..1000).for_each(|number| queue.enqueue_low(of("heirs", number), now));
        assert_eq!(count(&queue.take(now, 100), "heirs"), 25);
        assert_eq!(count(&queue.take(now, 100), "noisy"), 75);
    }

    #[tokio::test]
    async fn a_lasting_failure_is_tried_ever_less_often() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        let mut delays = vec![];
        for _ in 0..9 {
            queue.retry(key("alice"), now);
            delays.push((queue.next_due().unwrap() - now).as_millis());
            queue.take(now + Duration::from_secs(99), 9);
        }
        assert_eq!(delays, [50, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        queue.succeeded(&key("alice"));
        queue.retry(key("alice"), now);
        assert_eq!(queue.next_due(), Some(now + Duration::from_millis(50)));
    }
}
