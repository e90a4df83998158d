//! How much a round may read, which limits it beside the number of its objects: the decision on one
//! object may depend on a thousand others, and one object may be as large as a hundred.

use std::collections::HashSet;

use super::cache::ClusterCache;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::workqueue::Priority;

/// How much a round reads, in bytes of specs: what takes a small part of a second to read, decide
/// and commit. Only what belongs to one object may exceed it.
const MAX_BYTES: u64 = 2 << 20;

/// How much of that may be read with high priority: the rest is for dependents.
const MAX_BYTES_ASKED: u64 = MAX_BYTES / 4 * 3;

/// What an account takes beside what stands in its spec.
const BYTES_PER_ACCOUNT: u64 = 512;

/// How many bytes cost an organization as much as one object.
const BYTES_PER_TURN: u64 = 8 << 10;

/// What a round has to read: each account and group counts once, however many decisions depend on
/// it.
pub(crate) struct RoundBudget<'a> {
    cache: &'a ClusterCache,
    read: HashSet<ObjectKey>,
    bytes: u64,
    /// How much was read when the last object of high priority was taken.
    asked: u64,
}

impl<'a> RoundBudget<'a> {
    pub(crate) fn new(cache: &'a ClusterCache) -> Self {
        Self { cache, read: HashSet::new(), bytes: 0, asked: 0 }
    }

    /// Takes an object into the round if there is room, and returns its cost for its organization.
    /// There is always room for one that is read anyway.
    pub(crate) fn room(&mut self, lane: Priority, key: &ObjectKey) -> Option<u64> {
        let most = match lane {
            Priority::High | Priority::Revoking => MAX_BYTES_ASKED,
            // Also where one object of high priority takes more than a round.
            Priority::Low => MAX_BYTES.max(self.asked + MAX_BYTES - MAX_BYTES_ASKED),
        };
        if self.bytes >= most && !self.read.contains(key) {
            return None;
        }
        let before = self.bytes;
        match key.kind {
            Kind::User => self.read_user(key),
            Kind::UserGroup => self.read_group(key.clone()),
            Kind::Secret | Kind::Organization | Kind::OrgEmailDomain => {}
        }
        if lane == Priority::High {
            self.asked = self.bytes;
        }
        Some(1 + (self.bytes - before) / BYTES_PER_TURN)
    }

    /// Adds a user, its group, and the users that its permissions and details come from, directly
    /// and indirectly.
    fn read_user(&mut self, key: &ObjectKey) {
        let cache = self.cache;
        let mut next = vec![key.name.clone()];
        while let Some(name) = next.pop() {
            let place = (key.namespace.clone(), name);
            let Some(seen) = cache.users.get(&place) else { continue };
            let in_force = cache.in_force(&place.0, &place.1);
            if place.1 == key.name {
                let groups =
                    [Some(&seen.spec.group_ref.name), in_force.map(|account| &account.group)];
                for group in groups.into_iter().flatten() {
                    self.read_group(ObjectKey::new(Kind::UserGroup, &key.namespace, group));
                }
            }
            if !self.read.insert(ObjectKey::new(Kind::User, &place.0, &place.1)) {
                continue;
            }
            self.bytes += BYTES_PER_ACCOUNT + seen.size;
            let source =
                seen.spec.permissions.as_ref().and_then(|permissions| permissions.from.as_ref());
            next.extend(source.map(|source| source.name.clone()));
            next.extend(seen.spec.copy_of.as_ref().map(|copy| copy.name.clone()));
            next.extend(in_force.and_then(|account| account.follows.clone()));
        }
    }

    fn read_group(&mut self, key: ObjectKey) {
        let size = self.cache.group(&key).map(|seen| seen.size);
        if self.read.insert(key) {
            self.bytes += size.unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{Lenient, User};
    use crate::controller::cache::Origin;

    fn user(name: &str, spec: &Value) -> Lenient<User> {
        let metadata = json!({"namespace": "acme", "name": name, "uid": name, "generation": 1, "resourceVersion": "1"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn key(number: usize) -> ObjectKey {
        ObjectKey::new(Kind::User, "acme", format!("u{number}"))
    }

    fn cache(many: usize, spec: impl Fn(usize) -> Value) -> ClusterCache {
        let mut cache = ClusterCache::default();
        for number in 0..many {
            cache.upsert(user(&format!("u{number}"), &spec(number)), Origin::Anew);
        }
        cache
    }

    /// Returns how many of so many there is room for, and what they cost.
    fn taken(cache: &ClusterCache, many: usize) -> (usize, u64) {
        let mut budget = RoundBudget::new(cache);
        let costs: Vec<u64> =
            (0..many).filter_map(|number| budget.room(Priority::High, &key(number))).collect();
        (costs.len(), costs.iter().sum())
    }

    #[test]
    fn a_round_has_room_for_many_small_users_and_few_large_ones() {
        let small = cache(256, |_| json!({"groupRef": {"name": "users"}}));
        assert_eq!(taken(&small, 256), (256, 256));
        let teams: Vec<String> = (0..64).map(|number| format!("{number:0128}")).collect();
        let (many, cost) = taken(&cache(256, |_| json!({"teams": teams})), 256);
        assert!((150..200).contains(&many) && cost >= 2 * 150, "{many} at {cost}");
    }

    #[test]
    fn those_on_one_loop_are_read_together_and_cost_their_organization_what_they_are() {
        let next = |number| json!({"permissions": {"from": {"name": format!("u{}", (number + 1) % 9000), "mode": "Inherit"}}});
        let looped = cache(9000, next);
        let (many, cost) = taken(&looped, 256);
        assert_eq!(many, 256, "all that are read anyway have room");
        assert!(cost > 800, "{cost}");
        let mut budget = RoundBudget::new(&looped);
        budget.room(Priority::High, &key(0));
        assert_eq!(
            budget.room(Priority::High, &ObjectKey::new(Kind::User, "other", "alice")),
            None
        );
    }

    #[tokio::test]
    async fn who_asks_for_more_than_a_round_leaves_room_to_what_follows() {
        let next = |number| json!({"permissions": {"from": {"name": format!("u{}", (number + 1) % 9000), "mode": "Inherit"}}});
        let looped = cache(9000, next);
        let mut queue = crate::workqueue::WorkQueue::<ObjectKey>::default();
        let now = tokio::time::Instant::now();
        let heir = ObjectKey::new(Kind::User, "other", "alice");
        queue.enqueue_low(heir.clone(), now);
        for round in 0..50 {
            queue.enqueue(key(round), now);
            let mut budget = RoundBudget::new(&looped);
            if queue.take_within(now, 256, |lane, key| budget.room(lane, key)).contains(&heir) {
                return;
            }
        }
        panic!("50 rounds went by");
    }
}
