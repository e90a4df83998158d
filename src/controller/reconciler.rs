//! observe -> decide -> commit -> report, a group of objects at a time.
//!
//! Each round takes what is due, reads the store once, decides, and commits as one batch. Status
//! writes wait in a queue of their own.

mod comparing;
mod default_groups;
mod dependents;
mod event_notes;
mod events;
mod isolation;
mod orphan_scan;
mod provisioning;
mod refusals;
mod report;
mod store_outage;
mod writes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use self::default_groups::DefaultGroups;
use self::dependents::Dependents;
use self::event_notes::{put_back, taken_back};
use self::isolation::Isolated;
use self::orphan_scan::OrphanScan;
use self::provisioning::ACK_RETRY;
use self::report::stored_account;
use super::billing_periods::PeriodCloser;
use super::cache::{AppliedLinks, ClusterCache};
use super::clocks::{Clocks, ServerClock};
use super::cluster_event::Scope;
use super::list_sync::ListSync;
use super::list_watch::Relist;
use super::object_writer::{EventNote, UpdateQueue, Write};
use super::observe::{self, Snapshot};
use super::passwords::Passwords;
use super::round_budget::RoundBudget;
use crate::clock::Clock;
use crate::domain::account::{Account, Revision, TransactionKind};
use crate::domain::billing::BillingTimeZone;
use crate::domain::inheritance::inherits_from;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::{Decision, Plan, StoreTrouble, Urgency, status};
use crate::provisioning::Groups;
use crate::provisioning::queue::Provisioning;
use crate::store::{CommitTime, Receipt, Refusal, Store, StoreError};
use crate::telemetry::Metrics;
use crate::workqueue::WorkQueue;

/// How many objects are read, decided on and committed together.
const BATCH: usize = 256;

/// How many accounts of others the decisions of a round may name, beyond those of the last one: the
/// decision that closes a loop names every user on it.
const NAMED: usize = 16_384;

/// How many of them count as one object when organizations take turns.
const NAMED_PER_TURN: u64 = 64;

/// How long changes of counts are gathered before their objects are reconciled.
const COUNT_DEBOUNCE: Duration = Duration::from_secs(5);

/// The reconciler's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often everything is reconciled.
    pub resync: Duration,
    /// How often every entry is compared in each directory.
    pub directory_resync: Duration,
    /// How long a transaction may take before it is overdue.
    pub transaction_deadline: SignedDuration,
    /// The clock of this machine.
    pub clock: Clock,
    /// The names of the directories that transactions wait for.
    pub directories: BTreeSet<String>,
    /// The time zone whose months are billed.
    pub billing_zone: BillingTimeZone,
}

/// Reconciles objects: it applies events, runs rounds, and queues the writes that follow.
pub struct Reconciler<S> {
    store: S,
    settings: Settings,
    metrics: Arc<Metrics>,
    cache: ClusterCache,
    queue: WorkQueue,
    dependents: Dependents,
    updates: UpdateQueue,
    /// Writes outside of `updates`: default groups and Events.
    other_writes: Vec<Write>,
    default_groups: DefaultGroups,
    orphan_scan: OrphanScan,
    /// The Event for the deletion of an object, by its uid, until the finalizer is off.
    final_events: HashMap<String, EventNote>,
    lists: ListSync,
    resync_at: Instant,
    passwords: Passwords,
    provisioning: Provisioning,
    /// When it started, also by the clock, to the second as in statuses.
    started: (Instant, jiff::Timestamp),
    /// The groups that directories keep, when a cleanup of the others is due.
    group_cleanup: Option<Groups>,
    /// When to check the claim again, after the store couldn't be asked: until then nothing is sent
    /// to directories.
    claim_check_at: Option<Instant>,
    save_acks_at: Option<Instant>,
    /// The transactions in flight, by the uid of their `User`, and whether they are overdue.
    in_flight: HashMap<String, (TransactionKind, bool)>,
    period_closer: PeriodCloser,
    clocks: Clocks,
    /// How often in a row the store refused an object's plan.
    refused: HashMap<ObjectKey, u32>,
    isolated: Isolated,
    /// Why the store lets this operator go on no more: another one has taken over, or only a
    /// restart can help.
    superseded: Option<StoreError>,
}

impl<S: Store> Reconciler<S> {
    /// Returns a reconciler that starts once every scope is listed.
    pub fn new(store: S, settings: Settings, scopes: Vec<Scope>, metrics: Arc<Metrics>) -> Self {
        let mut provisioning = Provisioning::new(settings.directories.iter().cloned())
            .after_predecessor(Instant::now());
        let gone = comparing::gone(settings.directory_resync, settings.clock.now());
        provisioning.compare_every(settings.directory_resync, gone, Instant::now());
        Self {
            passwords: Passwords::default(),
            provisioning,
            started: (Instant::now(), status::second(settings.clock.now()).0),
            group_cleanup: None,
            claim_check_at: None,
            save_acks_at: None,
            in_flight: HashMap::new(),
            store,
            resync_at: Instant::now() + settings.resync,
            period_closer: PeriodCloser::new(),
            clocks: Clocks::new(settings.clock, ServerClock::unread()),
            settings,
            metrics,
            cache: ClusterCache::default(),
            queue: WorkQueue::default(),
            dependents: Dependents::default(),
            updates: UpdateQueue::default(),
            other_writes: vec![],
            default_groups: DefaultGroups::default(),
            orphan_scan: OrphanScan::new(
                scopes.iter().map(|scope| scope.namespace.clone()).collect(),
            ),
            final_events: HashMap::new(),
            lists: ListSync::new(scopes),
            refused: HashMap::new(),
            isolated: Isolated::default(),
            superseded: None,
        }
    }

    /// Compares the reconciler's clock with the API server's.
    #[must_use]
    pub fn with_server_clock(self, server: ServerClock) -> Self {
        Self { clocks: Clocks::new(self.settings.clock, server), ..self }
    }

    /// Returns why this operator must stop, if it must.
    pub fn take_superseded(&mut self) -> Option<StoreError> {
        self.superseded.take()
    }

    /// Returns the store.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Whether everything is listed.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.lists.is_synced()
    }

    /// Whether everything is listed, and no watch has kept failing for more than a minute.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.lists.is_up_to_date(Instant::now())
    }

    /// Returns when the next round is due; none is before everything is listed.
    #[must_use]
    pub fn round_due(&self) -> Option<Instant> {
        let next = self.queue.next_due().map_or(self.resync_at, |due| due.min(self.resync_at));
        let next = self
            .save_acks_at
            .into_iter()
            .chain(self.provisioning.next_page_due())
            .fold(next, Instant::min);
        let next = if self.dependents.has_gathered() { next.min(Instant::now()) } else { next };
        self.is_synced().then_some(next)
    }

    /// Returns when to check next whether a month is over.
    #[must_use]
    pub fn period_close_due(&self) -> Instant {
        self.period_closer.due()
    }

    /// Closes the months that are over.
    pub async fn close_periods(&mut self) {
        let by = (&mut self.clocks, &*self.metrics);
        let closed = self.period_closer.close(&self.store, &self.settings.billing_zone, by).await;
        self.superseded = closed.err().or(self.superseded.take());
    }

    /// Returns when the next write is due.
    #[must_use]
    pub fn writes_due(&self) -> Option<Instant> {
        self.updates.next_due()
    }

    /// Returns when the next write, password check or provisioning task is due.
    #[must_use]
    pub fn next_work_due(&self) -> Option<Instant> {
        let of_directories = [self.provisioning_due(), self.provisioning.next_lasting()];
        of_directories
            .into_iter()
            .chain([self.writes_due(), self.passwords.next_due()])
            .flatten()
            .min()
    }

    /// Whether no write waits or is in flight.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.updates.is_empty() && self.other_writes.is_empty()
    }

    fn resync(&mut self) {
        self.resync_at = Instant::now() + self.settings.resync;
        self.orphan_scan.is_due = true;
        let kinds = [Kind::Organization, Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
        let keys: Vec<ObjectKey> =
            kinds.into_iter().flat_map(|kind| self.cache.keys(kind, None)).collect();
        self.enqueue_low(keys);
    }

    /// Enqueues objects that only follow from changes of others.
    fn enqueue_low(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        let now = Instant::now();
        keys.into_iter().for_each(|key| self.queue.enqueue_low(key, now));
    }

    fn enqueue(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        let now = Instant::now();
        keys.into_iter().for_each(|key| self.queue.enqueue(key, now));
    }

    /// Reconciles what is due, first what others depend on. Returns whether the store could be
    /// used.
    pub async fn run_once(&mut self) -> bool {
        let mut in_use = true;
        if self.resync_at <= Instant::now() {
            self.resync();
            self.lists.request_relist(Relist::Resync);
        }
        if let Err(error) = self.save_acks().await.and(self.scan_orphans().await) {
            // What can't be read now can't be read in a second either.
            self.orphan_scan.is_due &= !error.is_about_data();
            self.on_store_error(vec![], error);
            self.save_acks_at.get_or_insert(Instant::now() + ACK_RETRY);
            in_use = false;
        }
        if let Err(error) = self.compare().await {
            self.on_store_error(vec![], error);
            in_use = false;
        }
        if self.superseded.is_some() {
            return false;
        }
        self.queue.enqueue_all(self.dependents.take_gathered(&self.cache));
        let mut budget = RoundBudget::new(&self.cache);
        let due = self.queue.take_within(Instant::now(), BATCH, |lane, key| budget.room(lane, key));
        // An object that an application held up a moment ago may be held up again, and gets a
        // commit of its own.
        let (put_aside, due): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|key| self.isolated.has(key));
        let (organizations, rest): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|key| key.kind == Kind::Organization);
        let (users, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|key| key.kind == Kind::User);
        let mut stages = [others, users, put_aside].into_iter();
        if let Err(error) = self.reconcile_organizations(&organizations).await {
            self.on_store_error(organizations, error);
            in_use = false;
        }
        while let Some(keys) = stages.next().filter(|_| self.superseded.is_none()) {
            match self.reconcile_batch(&keys).await {
                Err((error, keys)) if error.is_about_data() => self.reconcile_each(keys).await,
                Err((error, keys)) => {
                    // What comes later in the round isn't tried on a store that is away.
                    self.on_store_error(
                        keys.into_iter().chain(stages.by_ref().flatten()).collect(),
                        error,
                    );
                    in_use = false;
                }
                Ok(()) => {}
            }
        }
        self.metrics.held_up.set(i64::try_from(self.isolated.held_up()).unwrap_or(i64::MAX));
        self.metrics.queue.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        in_use
    }

    /// Creates the default groups that organizations lack, and enqueues what the store still has of
    /// objects that went while no watch reported it.
    async fn reconcile_organizations(&mut self, keys: &[ObjectKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.enqueue(observe::orphaned_records(&self.cache, &self.store, keys).await?);
        for key in keys {
            self.queue.succeeded(key);
            self.other_writes.extend(self.default_groups.create_missing(&self.cache, key));
        }
        Ok(())
    }

    /// Reconciles each object by itself, so that one unreadable row holds up no other.
    async fn reconcile_each(&mut self, keys: Vec<ObjectKey>) {
        for key in keys {
            if let Err((error, keys)) = self.reconcile_batch(std::slice::from_ref(&key)).await {
                self.on_store_error(keys, error);
            }
            if self.superseded.is_some() {
                return;
            }
        }
    }

    /// Runs observe -> decide -> commit -> report. An error comes with the objects that it left
    /// undone.
    async fn reconcile_batch(
        &mut self,
        keys: &[ObjectKey],
    ) -> Result<(), (StoreError, Vec<ObjectKey>)> {
        if keys.is_empty() {
            return Ok(());
        }
        let unowned = keys.iter().filter(|key| self.cache.is_unowned(key));
        let unowned: Vec<_> =
            unowned.map(|key| (key.namespace.clone(), key.name.clone())).collect();
        self.provision_unowned(&unowned).await.map_err(|error| (error, keys.to_vec()))?;
        let observed = observe::observe(&self.cache, &self.store, keys, self.clocks.now()).await;
        let mut observed = observed.map_err(|error| (error, keys.to_vec()))?;
        observed.iter_mut().for_each(|(key, snapshot)| self.add_in_flight(key, snapshot));
        let (mut decided, later) = decide(observed, NAMED);
        self.enqueue(later);
        for (key, _, decision) in &decided {
            let named = u64::try_from(decision.named()).unwrap_or(u64::MAX);
            self.queue.charge(&key.namespace, named / NAMED_PER_TURN);
        }
        // Before dependents are enqueued: users that wait may come after those they wait for, or in
        // a later commit.
        for decided in &decided {
            self.queue.enqueue_all(self.dependents.record_decision(&mut self.cache, decided));
        }
        // Revocations go first, in a commit of their own: the others may wait for an application's
        // lock, or run out of time.
        decided.sort_by_key(|(_, snapshot, decision)| urgency(snapshot, decision));
        let revoking = decided.partition_point(|(_, snapshot, decision)| {
            urgency(snapshot, decision) == Urgency::Revokes
        });
        let mut undone: Vec<ObjectKey> = decided.iter().map(|(key, ..)| key.clone()).collect();
        let others = decided.split_off(revoking);
        for decided in [decided, others] {
            let count = decided.len();
            if let Err(error) = self.commit_and_report(decided).await {
                return Err((error, undone));
            }
            undone.drain(..count);
        }
        Ok(())
    }

    async fn commit_and_report(
        &mut self,
        decided: Vec<(ObjectKey, Snapshot, Decision)>,
    ) -> Result<(), StoreError> {
        let plans: Vec<Plan> =
            decided.iter().filter_map(|(_, _, decision)| decision.plan.clone()).collect();
        self.queue.enqueue_all(self.dependents.after_uncertain(&self.cache, &decided));
        let answers = self.commit(&plans).await;
        self.dependents.record_outcome(&decided, &answers);
        let mut answers = answers?.into_iter();
        for (key, mut snapshot, decision) in decided {
            let answer = decision.plan.as_ref().and_then(|_| answers.next());
            match answer {
                Some(Err(Refusal::Locked)) => self.isolate(key, &snapshot, StoreTrouble::Locked),
                Some(Err(Refusal::OutOfTime)) => self.isolate(key, &snapshot, StoreTrouble::Slow),
                Some(Err(refusal)) => self.requeue(key, &mut snapshot, decision, refusal),
                Some(Ok(receipt)) => {
                    match &receipt {
                        Receipt::Account(account) => {
                            self.cache.record_applied(&key, Some(in_force(account)));
                            if decision.plan.as_ref().is_some_and(Plan::creates)
                                && account.revision == Revision(1)
                            {
                                self.provisioning.record_created(account.id, Instant::now());
                            }
                        }
                        Receipt::Deleted(_) => _ = self.cache.record_applied(&key, None),
                        Receipt::Done => {}
                    }
                    let plan = decision.plan.as_ref();
                    self.queue.enqueue_all(self.dependents.after_commit(
                        &self.cache,
                        &snapshot,
                        plan,
                        &receipt,
                    ));
                    self.other_writes.extend(taken_back(&snapshot, &receipt));
                    self.other_writes.extend(decision.repairs_drift.then(|| put_back(&snapshot)));
                    if decision.requeue {
                        self.queue.enqueue(key.clone(), Instant::now());
                    }
                    self.report(key, &mut snapshot, &decision, Some(&receipt));
                }
                None => self.report(key, &mut snapshot, &decision, None),
            }
        }
        Ok(())
    }

    async fn commit(&self, plans: &[Plan]) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        if plans.is_empty() {
            return Ok(vec![]);
        }
        let now = self.clocks.now();
        let deadline = now.checked_add(self.settings.transaction_deadline).unwrap_or(now);
        let started = Instant::now();
        tracing::debug!(plans = plans.len(), "committing");
        let answers = self.store.commit(plans, CommitTime { now, deadline }).await?;
        self.metrics.committed(&answers, started.elapsed());
        Ok(answers)
    }
}

/// Decides on each object, until the decisions name more than `most` accounts of others. Also
/// returns the objects to decide on again: those that are left, and those whose plan a new account
/// in this batch changes.
pub(crate) fn decide(
    observed: Vec<(ObjectKey, Snapshot)>,
    most: usize,
) -> (Vec<(ObjectKey, Snapshot, Decision)>, Vec<ObjectKey>) {
    let (mut decided, mut later) = (vec![], vec![]);
    let mut named = 0;
    let mut created: BTreeSet<ObjectKey> = BTreeSet::new();
    for (key, snapshot) in observed {
        if named > most {
            later.push(key);
            continue;
        }
        let decision = snapshot.decide();
        named += decision.named();
        let named = |name: &String| ObjectKey::new(Kind::User, &key.namespace, name);
        if decision.plan.is_some()
            && decision.absent.iter().map(named).any(|absent| created.contains(&absent))
        {
            later.push(key);
            continue;
        }
        if decision.plan.as_ref().is_some_and(Plan::creates) {
            created.insert(key.clone());
        }
        decided.push((key, snapshot, decision));
    }
    (decided, later)
}

fn urgency(snapshot: &Snapshot, decision: &Decision) -> Urgency {
    let before = match snapshot {
        Snapshot::User(user) => user.account.as_ref().map(|account| &account.content),
        Snapshot::Group(_) | Snapshot::Domain(_) => None,
    };
    decision.plan.as_ref().map_or(Urgency::Other, |plan| plan.urgency(before))
}

fn revision(snapshot: &Snapshot) -> Option<Revision> {
    match snapshot {
        Snapshot::User(user) => user.account.as_ref().map(|account| account.revision),
        Snapshot::Group(_) | Snapshot::Domain(_) => None,
    }
}

/// Returns the links of an account that others depend on.
fn in_force(account: &Account) -> AppliedLinks {
    AppliedLinks {
        group: account.content.group.clone(),
        follows: inherits_from(account).map(str::to_owned),
        owner_uid: account.owner.uid.clone(),
    }
}

#[cfg(test)]
mod tests;
