//! Who is looked at next: a queue in which every object stands at most once.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// What is looked at, the kinds that others depend on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr)]
pub enum Kind {
    /// A Secret of our type; only its version is seen, and nobody looks at it by itself.
    Secret,
    /// A namespace with the groups that it lacks.
    Organization,
    /// An `OrgEmailDomain`.
    OrgEmailDomain,
    /// A `UserGroup`.
    UserGroup,
    /// A `User`.
    User,
}

/// Names an object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// What it is.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty for an organization.
    pub name: String,
}

impl ObjectKey {
    /// Returns the key of an object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// How urgent it is to look at an object, the more urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Somebody waits for it.
    Asked,
    /// It only follows from what became of others, perhaps of thousands at once.
    Following,
}

/// When an object is due, and which of those that are due at once came first.
type Place = (Instant, u64);

/// Objects and when each is due; the earliest time and the more urgent lane that were asked for win.
#[derive(Debug)]
pub struct Queue<K = ObjectKey> {
    asked: BTreeMap<Place, K>,
    following: BTreeMap<Place, K>,
    places: HashMap<K, (Lane, Place)>,
    failures: HashMap<K, u32>,
    counter: u64,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { asked: BTreeMap::new(), following: BTreeMap::new(), places: HashMap::new(), failures: HashMap::new(), counter: 0 }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Makes an object due at a time, unless it is earlier already.
    pub fn wake(&mut self, key: K, at: Instant) {
        self.put(key, Lane::Asked, at);
    }

    /// Makes an object due at a time, after all that somebody waits for.
    pub fn follow(&mut self, key: K, at: Instant) {
        self.put(key, Lane::Following, at);
    }

    /// Makes an object due at a time in a lane.
    pub fn put(&mut self, key: K, lane: Lane, at: Instant) {
        let (mut lane, mut at) = (lane, at);
        if let Some(&(old_lane, old)) = self.places.get(&key) {
            (lane, at) = (lane.min(old_lane), at.min(old.0));
            if (lane, at) == (old_lane, old.0) {
                return;
            }
            self.lane(old_lane).remove(&old);
        }
        self.counter += 1;
        let place = (at, self.counter);
        self.places.insert(key.clone(), (lane, place));
        self.lane(lane).insert(place, key);
    }

    /// Makes an object due later, the more so the more often it failed in a row. Returns when.
    pub fn retry(&mut self, key: K, now: Instant) -> Instant {
        let at = self.failed(&key, now);
        self.wake(key, at);
        at
    }

    /// Counts a failure of an object. Returns when to try again.
    pub fn failed(&mut self, key: &K, now: Instant) -> Instant {
        let failures = self.failures.entry(key.clone()).or_default();
        let at = now + retry_delay(*failures);
        *failures = failures.saturating_add(1);
        at
    }

    /// Forgets that an object failed.
    pub fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// Takes what is due, the more urgent first and of those the longest due, at most so many.
    pub fn take(&mut self, now: Instant, most: usize) -> Vec<K> {
        let mut taken = self.take_from(Lane::Asked, now, most);
        taken.extend(self.take_from(Lane::Following, now, most - taken.len()));
        taken
    }

    /// Takes what is due in a lane, the longest due first, at most so many.
    pub fn take_from(&mut self, lane: Lane, now: Instant, most: usize) -> Vec<K> {
        let mut taken = vec![];
        while taken.len() < most
            && let Some(entry) = self.lane(lane).first_entry()
            && entry.key().0 <= now
        {
            let key = entry.remove();
            self.places.remove(&key);
            taken.push(key);
        }
        taken
    }

    /// Returns when the next object is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        [Lane::Asked, Lane::Following].into_iter().filter_map(|lane| self.next_due_in(lane)).min()
    }

    /// Returns when the next object is due in a lane.
    #[must_use]
    pub fn next_due_in(&self, lane: Lane) -> Option<Instant> {
        let lane = match lane {
            Lane::Asked => &self.asked,
            Lane::Following => &self.following,
        };
        lane.keys().next().map(|place| place.0)
    }

    /// Returns how many objects stand in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing stands in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn lane(&mut self, lane: Lane) -> &mut BTreeMap<Place, K> {
        match lane {
            Lane::Asked => &mut self.asked,
            Lane::Following => &mut self.following,
        }
    }
}

/// Returns how long to wait after so many failures in a row: soon once, then 1 s doubling to a minute.
fn retry_delay(failures: u32) -> Duration {
    match failures {
        0 => Duration::from_millis(50),
        1..=6 => Duration::from_secs(1 << (failures - 1)),
        _ => Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::User, "acme", name)
    }

    #[tokio::test]
    async fn an_object_stands_once_and_the_earliest_time_wins() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.wake(key("alice"), now + Duration::from_secs(5));
        queue.wake(key("alice"), now);
        queue.wake(key("alice"), now + Duration::from_secs(9));
        queue.wake(key("bob"), now + Duration::from_secs(1));
        assert_eq!(queue.take(now, 9), [key("alice")]);
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.len(), 1);
    }

    #[tokio::test]
    async fn what_somebody_waits_for_comes_before_what_only_follows() {
        let now = Instant::now();
        let mut queue = Queue::default();
        ["heir-1", "heir-2", "heir-3"].into_iter().for_each(|name| queue.follow(key(name), now));
        queue.wake(key("new"), now + Duration::from_secs(1));
        queue.wake(key("heir-2"), now + Duration::from_secs(1));
        assert_eq!(queue.take(now + Duration::from_secs(1), 3), [key("heir-2"), key("new"), key("heir-1")]);
        assert_eq!(queue.take(now, 9), [key("heir-3")]);
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn a_lasting_failure_is_tried_ever_less_often() {
        let now = Instant::now();
        let mut queue = Queue::default();
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
