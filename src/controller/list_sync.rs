//! What is listed: which scopes are complete, which objects a list in progress hasn't named yet, and
//! whether watches keep failing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::cluster_event::{Scope, WatchListing};
use super::list_watch::Relist;
use crate::domain::object_key::ObjectKey;

/// A failure this soon after the former one belongs to the same series: a watch is restarted within
/// 30 s.
pub(super) const FAILURE_WINDOW: Duration = Duration::from_secs(90);

/// How long a series of failures may last before the operator isn't ready any more.
const UNREADY_AFTER: Duration = Duration::from_secs(60);

/// The state of all lists and watches.
#[derive(Debug)]
pub struct ListSync {
    scopes: HashSet<Scope>,
    /// The scopes that were never listed, or not since the cluster was rolled back.
    unlisted: HashSet<Scope>,
    in_progress: HashMap<Scope, ListInProgress>,
    relist: Option<Relist>,
    watch_failures: HashMap<Scope, FailureSeries>,
}

#[derive(Debug)]
struct ListInProgress {
    /// The objects known when it began that it hasn't named yet.
    missing: BTreeSet<ObjectKey>,
    /// The objects that a watch reported since it began: the watch's state is newer, or will be.
    watched: HashSet<ObjectKey>,
}

#[derive(Clone, Copy, Debug)]
struct FailureSeries {
    first: Instant,
    last: Instant,
}

/// The outcome of a complete list.
#[derive(Debug)]
pub struct Completed {
    /// The objects that are gone.
    pub gone: BTreeSet<ObjectKey>,
    /// Whether every scope is listed now, and wasn't before.
    pub is_first_sync: bool,
}

impl ListSync {
    /// Returns the state before anything is listed.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes: HashSet<Scope> = scopes.into_iter().collect();
        Self {
            unlisted: scopes.clone(),
            scopes,
            in_progress: HashMap::new(),
            relist: None,
            watch_failures: HashMap::new(),
        }
    }

    /// Whether every scope is listed.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Whether every scope is listed, and no watch has failed again and again for a minute.
    #[must_use]
    pub fn is_up_to_date(&self, now: Instant) -> bool {
        let is_blind = |series: &FailureSeries| {
            now.duration_since(series.last) < FAILURE_WINDOW
                && now.duration_since(series.first) > UNREADY_AFTER
        };
        self.is_synced() && !self.watch_failures.values().any(is_blind)
    }

    /// Whether a scope is yet to be listed.
    #[must_use]
    pub fn is_unlisted(&self, scope: &Scope) -> bool {
        self.unlisted.contains(scope)
    }

    /// Asks for a list of everything; the more urgent reason stays.
    pub fn request_relist(&mut self, why: Relist) {
        self.relist = self.relist.max(Some(why));
    }

    /// Returns why everything must be listed again, if it must.
    pub fn take_relist(&mut self) -> Option<Relist> {
        self.relist.take()
    }

    /// Records that a list of a scope began, in which these objects are known.
    pub fn started(&mut self, scope: Scope, known: Vec<ObjectKey>) {
        let list = ListInProgress { missing: known.into_iter().collect(), watched: HashSet::new() };
        self.in_progress.insert(scope, list);
    }

    /// Records that a list names an object. Returns whether to use its state there: not if a watch
    /// reported the object meanwhile, or the list was abandoned.
    pub fn named(&mut self, listing: &WatchListing, key: &ObjectKey) -> bool {
        let Some(list) = self.in_progress.get_mut(&listing.scope) else { return false };
        list.missing.remove(key);
        !list.watched.contains(key)
    }

    /// Records that a watch reported an object, of which lists in progress may have an older state.
    pub fn watched(&mut self, key: &ObjectKey) {
        for (_, list) in self.in_progress.iter_mut().filter(|(scope, _)| scope.kind == key.kind) {
            list.missing.remove(key);
            list.watched.insert(key.clone());
        }
    }

    /// Records that a list is complete; `None` where it began before the cluster was rolled back.
    pub fn completed(&mut self, scope: &Scope) -> Option<Completed> {
        let list = self.in_progress.remove(scope)?;
        let is_first_sync = self.unlisted.remove(scope) && self.unlisted.is_empty();
        Some(Completed { gone: list.missing, is_first_sync })
    }

    /// Records that a watch failed.
    pub fn watch_failed(&mut self, scope: Scope, now: Instant) {
        let series =
            self.watch_failures.entry(scope).or_insert(FailureSeries { first: now, last: now });
        if now.duration_since(series.last) >= FAILURE_WINDOW {
            series.first = now;
        }
        series.last = now;
    }

    /// Forgets every list, because the cluster was rolled back: only new ones show its state.
    pub fn rolled_back(&mut self) {
        self.unlisted = self.scopes.clone();
        self.in_progress.clear();
    }
}
