//! observe -> decide -> commit -> report, a group of objects at a time.
//!
//! Each round takes what is due, reads the store once, decides, and commits as one group. What
//! Kubernetes is to be told stands in slots until it is sent.

mod comparing;
mod dependents;
mod event_notes;
mod put_aside;
mod under_way;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::Resource as _;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use self::event_notes::{farewell, put_back, taken_back};
use self::put_aside::PutAside;
use self::under_way::CONFIRMED_AGAIN;
use super::billing_periods::PeriodCloser;
use super::cache::{self, AppliedLinks, ClusterCache, HasConditions, Origin};
use super::clocks::{Clocks, ServerClock};
use super::cluster_event::{ClusterEvent, Scope, WatchListing};
use super::list_watch::Relist;
use super::object_writer::{self, EventNote, ObjectUpdate, UpdateQueue, Write, WriteResult};
use super::observe::{self, Snapshot};
use super::passwords::Passwords;
use super::round_budget::RoundBudget;
use crate::api::{Lenient, UserGroup, UserGroupSpec, UserStatus};
use crate::clock::Clock;
use crate::domain::account::{Account, AccountId, Revision, Source, TransactionKind};
use crate::domain::billing::BillingTimeZone;
use crate::domain::group::ADMINISTRATORS;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::status::StoredAccount;
use crate::plan::{
    Blocked, Decision, FinalizerAction, Plan, StoreTrouble, Urgency, organization, status, user,
};
use crate::provisioning::Groups;
use crate::provisioning::queue::Provisioning;
use crate::redact::redact;
use crate::store::{CommitTime, Receipt, Refusal, Store, StoreError};
use crate::telemetry::Metrics;
use crate::workqueue::{Priority, WorkQueue};

/// How many objects are looked at, and committed, together.
const BATCH: usize = 256;

/// How many accounts of others the decisions of a round may name together, beyond those of the last
/// one: who closes a loop names everybody on it.
const NAMED: usize = 16_384;

/// How many of them cost an organization as much as looking at one object.
const NAMED_PER_TURN: u64 = 64;

/// How long counts of members and users are gathered before they are told.
const COUNT_DEBOUNCE: Duration = Duration::from_secs(5);

/// How long after a watch broke another break counts to the same series: it is taken up within 30
/// s.
const FAILURE_WINDOW: Duration = Duration::from_secs(90);

/// How long a watch may break again and again before the operator isn't ready any more.
const UNREADY_AFTER: Duration = Duration::from_secs(60);

/// How often in a row the store may refuse what is planned for an object before somebody is told:
/// by then 15 s went by.
const REFUSED_FOR_SURE: u32 = 6;

/// How the operator is to work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often everything is compared whole.
    pub resync: Duration,
    /// How often every entry is compared in each directory.
    pub directory_resync: Duration,
    /// How long a transaction may take before it is overdue.
    pub transaction_deadline: SignedDuration,
    /// The clock.
    pub clock: Clock,
    /// The names of the directories that transactions wait for.
    pub directories: BTreeSet<String>,
    /// The time zone whose months are billed.
    pub billing_zone: BillingTimeZone,
}

/// A list that is under way.
#[derive(Debug)]
struct ListUnderWay {
    /// What was known when it began and it hasn't named yet.
    missing: BTreeSet<ObjectKey>,
    /// What a watch told of since it began, which is newer, or will be.
    told: HashSet<ObjectKey>,
}

/// Everything between the news and the writes: what was seen, who is due, what is to be told.
pub struct Reconciler<S> {
    store: S,
    settings: Settings,
    metrics: Arc<Metrics>,
    cache: ClusterCache,
    queue: WorkQueue,
    /// The users whose heirs are to be looked at, by lane and namespace: whose heirs they are
    /// together is found once.
    heirs_of: BTreeMap<(Priority, String), BTreeSet<String>>,
    /// The namespaces in which another domain is listed: addresses may count to another listing of
    /// theirs now.
    relisted: BTreeSet<String>,
    slots: UpdateQueue,
    /// Writes that stand in no slot: default groups and Events.
    others: Vec<Write>,
    /// Default groups that were asked for and not seen yet, by namespace and name.
    pending_default_groups: HashSet<(String, &'static str)>,
    /// Who waits for somebody else to be in control.
    waiting_for_control: BTreeSet<ObjectKey>,
    /// Who is yet to take over an account that isn't theirs, and which.
    taking_over: HashMap<ObjectKey, AccountId>,
    /// What is said when an object goes, by its uid, until its finalizer is off.
    final_events: HashMap<String, EventNote>,
    /// When a watch's present series of breaks began, and its last break.
    watch_failures: HashMap<Scope, (Instant, Instant)>,
    /// The namespaces that it works in; nothing where in all.
    namespaces: Option<BTreeSet<String>>,
    /// What is to be listed.
    scopes: HashSet<Scope>,
    /// What was never listed yet, or not since the cluster was put back to an earlier time; nothing
    /// is decided before.
    unlisted: HashSet<Scope>,
    /// The lists that are under way.
    lists: HashMap<Scope, ListUnderWay>,
    /// Why everything is to be listed, if it is.
    relist: Option<Relist>,
    resync_at: Instant,
    /// The passwords that are to be judged, and how others were.
    passwords: Passwords,
    /// What directories are to be brought.
    provisioning: Provisioning,
    /// When it began to work, also by the clock, to the second as statuses have it.
    started: (Instant, jiff::Timestamp),
    /// The groups that directories are to keep, when it is time to tell them.
    group_cleanup: Option<Groups>,
    /// The newest change by a member that was looked at.
    member_changes: i64,
    /// Whether what no `User` leads to is to be looked at.
    scan_due: bool,
    /// When to ask the store again whether the claim stands, where it couldn't be asked: until then
    /// no directory is brought anything.
    claim_asked_again: Option<Instant>,
    /// When to try again to tell the store what directories confirmed.
    confirm_at: Option<Instant>,
    /// The transactions in flight, by the uid of their `User`, and whether they are overdue.
    in_flight: HashMap<String, (TransactionKind, bool)>,
    months: PeriodCloser,
    clocks: Clocks,
    /// Whose commit failed and may have been done all the same, with the revision that it was
    /// planned from: nobody was woken after it.
    uncertain_commits: HashMap<ObjectKey, Option<Revision>>,
    /// How often in a row the store refused what was planned for an object.
    refused: HashMap<ObjectKey, u32>,
    /// Whose change waits for an application's lock.
    put_aside: PutAside,
    /// That this operator may not work on any more, as the store said: another has taken over, or
    /// only a restart can cure it.
    superseded: Option<StoreError>,
}

impl<S: Store> Reconciler<S> {
    /// Returns a reconciler that starts to work once every scope was listed.
    pub fn new(store: S, settings: Settings, scopes: Vec<Scope>, metrics: Arc<Metrics>) -> Self {
        let mut provisioning =
            Provisioning::new(settings.directories.iter().cloned()).begun(Instant::now());
        let gone = comparing::gone(settings.directory_resync, settings.clock.now());
        provisioning.compare_every(settings.directory_resync, gone, Instant::now());
        Self {
            passwords: Passwords::default(),
            provisioning,
            started: (Instant::now(), status::second(settings.clock.now()).0),
            group_cleanup: None,
            claim_asked_again: None,
            confirm_at: None,
            scan_due: false,
            member_changes: 0,
            in_flight: HashMap::new(),
            store,
            resync_at: Instant::now() + settings.resync,
            months: PeriodCloser::new(),
            clocks: Clocks::new(settings.clock, ServerClock::unread()),
            settings,
            metrics,
            cache: ClusterCache::default(),
            queue: WorkQueue::default(),
            heirs_of: BTreeMap::new(),
            relisted: BTreeSet::new(),
            slots: UpdateQueue::default(),
            others: vec![],
            pending_default_groups: HashSet::new(),
            waiting_for_control: BTreeSet::new(),
            taking_over: HashMap::new(),
            final_events: HashMap::new(),
            watch_failures: HashMap::new(),
            namespaces: scopes.iter().map(|scope| scope.namespace.clone()).collect(),
            unlisted: scopes.iter().cloned().collect(),
            scopes: scopes.into_iter().collect(),
            lists: HashMap::new(),
            relist: None,
            uncertain_commits: HashMap::new(),
            refused: HashMap::new(),
            put_aside: PutAside::default(),
            superseded: None,
        }
    }

    /// Returns the same reconciler, which compares its clock with the API server's.
    #[must_use]
    pub fn with_server_clock(self, server: ServerClock) -> Self {
        Self { clocks: Clocks::new(self.settings.clock, server), ..self }
    }

    /// Returns what the store said, where it said that this operator may not work on: nothing is
    /// decided or told any more.
    pub fn take_superseded(&mut self) -> Option<StoreError> {
        self.superseded.take()
    }

    /// Returns the store.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Whether everything was listed.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Whether everything was listed, and no watch breaks again and again for more than a minute.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        let now = Instant::now();
        let blind = |(begun, last): &(Instant, Instant)| {
            now.duration_since(*last) < FAILURE_WINDOW && now.duration_since(*begun) > UNREADY_AFTER
        };
        self.is_synced() && !self.watch_failures.values().any(blind)
    }

    /// Returns when the next round is due: never before everything was listed.
    #[must_use]
    pub fn round_due(&self) -> Option<Instant> {
        let next = self.queue.next_due().map_or(self.resync_at, |due| due.min(self.resync_at));
        let next = self
            .confirm_at
            .into_iter()
            .chain(self.provisioning.next_page_due())
            .fold(next, Instant::min);
        let next = if self.heirs_of.is_empty() && self.relisted.is_empty() {
            next
        } else {
            next.min(Instant::now())
        };
        self.is_synced().then_some(next)
    }

    /// Returns when to look next whether a month is over.
    #[must_use]
    pub fn months_due(&self) -> Instant {
        self.months.due()
    }

    /// Closes the months that are over.
    pub async fn close_months(&mut self) {
        let by = (&mut self.clocks, &*self.metrics);
        let closed = self.months.close(&self.store, &self.settings.billing_zone, by).await;
        self.superseded = closed.err().or(self.superseded.take());
    }

    /// Returns when the next report is due.
    #[must_use]
    pub fn writes_due(&self) -> Option<Instant> {
        self.slots.next_due()
    }

    /// Returns when the next report, question or delivery is due.
    #[must_use]
    pub fn errands_due(&self) -> Option<Instant> {
        let of_directories = [self.deliveries_due(), self.provisioning.next_lasting()];
        of_directories
            .into_iter()
            .chain([self.writes_due(), self.passwords.next_due()])
            .flatten()
            .min()
    }

    /// Whether no report waits and no write is under way.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.slots.is_empty() && self.others.is_empty()
    }

    fn resync(&mut self) {
        self.resync_at = Instant::now() + self.settings.resync;
        self.scan_due = true;
        let kinds = [Kind::Organization, Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
        let keys: Vec<ObjectKey> =
            kinds.into_iter().flat_map(|kind| self.cache.keys(kind, None)).collect();
        self.enqueue_low(keys);
    }

    /// Looks at objects that only follow from what became of others.
    fn enqueue_low(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        let now = Instant::now();
        keys.into_iter().for_each(|key| self.queue.enqueue_low(key, now));
    }

    /// Looks at those who follow a user, directly or through others, when the next round begins.
    fn look_at_heirs(&mut self, lane: Priority, namespace: &str, user: &str) {
        self.heirs_of.entry((lane, namespace.to_owned())).or_default().insert(user.to_owned());
    }

    /// Makes those due who are to be looked at because of what became of many others in the last
    /// round.
    fn find_dependants(&mut self) {
        let now = Instant::now();
        for namespace in std::mem::take(&mut self.relisted) {
            self.enqueue(self.cache.keys(Kind::OrgEmailDomain, Some(&namespace)));
        }
        for ((lane, namespace), users) in std::mem::take(&mut self.heirs_of) {
            for heir in self.cache.heirs(&namespace, users.iter().map(String::as_str)) {
                self.queue.put(heir, lane, now);
            }
        }
    }

    fn enqueue(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        let now = Instant::now();
        keys.into_iter().for_each(|key| self.queue.enqueue(key, now));
    }

    /// Takes what is due through the reconciler, what others depend on first. Returns whether the
    /// store could be used.
    pub async fn run_once(&mut self) -> bool {
        let mut in_use = true;
        if self.resync_at <= Instant::now() {
            self.resync();
            self.relist = self.relist.max(Some(Relist::Resync));
        }
        if let Err(error) = self.confirm().await.and(self.scan_orphans().await) {
            // What can't be read now can't be read in a second either.
            self.scan_due &= !error.is_about_data();
            self.wait_for_store(vec![], error);
            self.confirm_at.get_or_insert(Instant::now() + CONFIRMED_AGAIN);
            in_use = false;
        }
        if let Err(error) = self.compare().await {
            self.wait_for_store(vec![], error);
            in_use = false;
        }
        if self.superseded.is_some() {
            return false;
        }
        self.find_dependants();
        let mut budget = RoundBudget::new(&self.cache);
        let due = self.queue.take_within(Instant::now(), BATCH, |lane, key| budget.room(lane, key));
        // Whom an application held up a moment ago may be held up again, and holds up nobody else's
        // commit.
        let (put_aside, due): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|key| self.put_aside.has(key));
        let (organizations, rest): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|key| key.kind == Kind::Organization);
        let (users, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|key| key.kind == Kind::User);
        let mut stages = [others, users, put_aside].into_iter();
        if let Err(error) = self.ensure_default_groups(organizations.clone()).await {
            self.wait_for_store(organizations, error);
            in_use = false;
        }
        while let Some(keys) = stages.next().filter(|_| self.superseded.is_none()) {
            match self.reconcile_batch(&keys).await {
                Err((error, keys)) if error.is_about_data() => self.reconcile_each(keys).await,
                Err((error, keys)) => {
                    // What comes later in the round isn't tried on a store that is away.
                    self.wait_for_store(
                        keys.into_iter().chain(stages.by_ref().flatten()).collect(),
                        error,
                    );
                    in_use = false;
                }
                Ok(()) => {}
            }
        }
        self.metrics.held_up.set(i64::try_from(self.put_aside.held_up()).unwrap_or(i64::MAX));
        self.metrics.queue.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        in_use
    }

    /// Carries each object by itself, so that one unreadable row holds up nobody else's.
    async fn reconcile_each(&mut self, keys: Vec<ObjectKey>) {
        for key in keys {
            if let Err((error, keys)) = self.reconcile_batch(std::slice::from_ref(&key)).await {
                self.wait_for_store(keys, error);
            }
            if self.superseded.is_some() {
                return;
            }
        }
    }

    /// observe -> decide -> commit -> report. Returns whom that failed for, where it did.
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
        self.look_at_unowned(&unowned).await.map_err(|error| (error, keys.to_vec()))?;
        let observed = observe::observe(&self.cache, &self.store, keys, self.clocks.now()).await;
        let mut observed = observed.map_err(|error| (error, keys.to_vec()))?;
        observed.iter_mut().for_each(|(key, snapshot)| self.add_what_is_under_way(key, snapshot));
        let (mut decided, later) = decide(observed, NAMED);
        self.enqueue(later);
        for (key, _, decision) in &decided {
            let named = u64::try_from(decision.named()).unwrap_or(u64::MAX);
            self.queue.charge(&key.namespace, named / NAMED_PER_TURN);
        }
        // Before anybody is woken: those who wait may stand behind those whom they wait for, or in
        // a later commit.
        for (key, snapshot, decision) in &decided {
            self.record_applied(key, snapshot, decision);
        }
        // Who loses rights goes first, and in a commit of their own: another may wait for an
        // application, or be short of time.
        decided.sort_by_key(|(_, snapshot, decision)| urgency(snapshot, decision));
        let revoking = decided.partition_point(|(_, snapshot, decision)| {
            urgency(snapshot, decision) == Urgency::Revokes
        });
        let mut undone: Vec<ObjectKey> = decided.iter().map(|(key, ..)| key.clone()).collect();
        let others = decided.split_off(revoking);
        for decided in [decided, others] {
            let count = decided.len();
            if let Err(error) = self.carry_out(decided).await {
                return Err((error, undone));
            }
            undone.drain(..count);
        }
        Ok(())
    }

    /// Commits what was decided, and reports it.
    async fn carry_out(
        &mut self,
        decided: Vec<(ObjectKey, Snapshot, Decision)>,
    ) -> Result<(), StoreError> {
        let plans: Vec<Plan> =
            decided.iter().filter_map(|(_, _, decision)| decision.plan.clone()).collect();
        self.enqueue_after_uncertain(&decided);
        let answers = self.commit(&plans).await;
        let planned = decided.iter().filter(|(_, _, decision)| decision.plan.is_some());
        match &answers {
            Err(error) if error.is_about_data() => {}
            Err(_) => self
                .uncertain_commits
                .extend(planned.map(|(key, snapshot, _)| (key.clone(), revision(snapshot)))),
            Ok(_) => planned.for_each(|(key, ..)| {
                self.uncertain_commits.remove(key);
            }),
        }
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
                                self.provisioning.created(account.id, Instant::now());
                            }
                        }
                        Receipt::Deleted(_) => _ = self.cache.record_applied(&key, None),
                        Receipt::Done => {}
                    }
                    self.enqueue_dependents(&snapshot, decision.plan.as_ref(), &receipt);
                    self.others.extend(taken_back(&snapshot, &receipt));
                    self.others.extend(decision.repairs_drift.then(|| put_back(&snapshot)));
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

    /// The store saw something that the snapshot didn't show: the next look will. Where it doesn't,
    /// again and again, somebody is told.
    fn requeue(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        mut decision: Decision,
        refusal: Refusal,
    ) {
        let (kind, refused): (&str, &str) = (key.kind.into(), refusal.into());
        tracing::debug!(kind, refusal = refused, "refused by the store, looking again");
        let times = self.refused.entry(key.clone()).or_default();
        *times = times.saturating_add(1);
        let times = *times;
        self.count_refused();
        self.queue.retry(key.clone(), Instant::now());
        if times < REFUSED_FOR_SURE {
            return;
        }
        if times.is_multiple_of(REFUSED_FOR_SURE) && (times / REFUSED_FOR_SURE).is_power_of_two() {
            let uid = &snapshot.meta().uid;
            tracing::warn!(kind, uid, refusal = refused, times, "commit refused again and again");
        }
        let has_status = match snapshot {
            Snapshot::User(_) => true,
            Snapshot::Group(group) => group.spec.is_some(),
            Snapshot::Domain(domain) => domain.spec.is_some(),
        };
        if has_status {
            decision.blocked.insert(0, Blocked::RefusedByStore { why: refusal.to_string() });
            decision.finalizer = FinalizerAction::Keep;
            self.tell(key, snapshot, &decision, None);
        }
    }

    fn count_refused(&self) {
        let lasting = self.refused.values().filter(|times| **times >= REFUSED_FOR_SURE).count();
        self.metrics.refused.set(i64::try_from(lasting).unwrap_or(i64::MAX));
    }

    /// Notes that the store doesn't refuse anything of an object now.
    fn forget_refusals(&mut self, key: &ObjectKey) {
        if self.refused.remove(key).is_some() {
            self.count_refused();
        }
    }

    /// Notes who depends on whom, who waits for control, and who for an account.
    fn record_applied(&mut self, key: &ObjectKey, snapshot: &Snapshot, decision: &Decision) {
        if let Snapshot::User(user) = snapshot {
            let in_force = user.account.as_ref().map(in_force);
            let follows = in_force.as_ref().and_then(|account| account.follows.clone());
            let undeclared = follows.is_some() && follows.as_deref() != user::follows(&user.spec);
            if self.cache.record_applied(key, in_force) {
                if undeclared {
                    // Nobody could know until now that those behind it are behind whom it follows.
                    self.look_at_heirs(Priority::Low, &key.namespace, &key.name);
                }
                if user.meta.deleting {
                    // Nor whether it takes the account of its name along.
                    self.enqueue_waiting_for_administrator(&key.namespace);
                }
            }
        }
        let left_behind = match snapshot {
            Snapshot::User(user) if decision.plan.is_none() => user.left_behind(),
            Snapshot::User(_) | Snapshot::Group(_) | Snapshot::Domain(_) => None,
        };
        match left_behind {
            Some(account) => self.taking_over.insert(key.clone(), account.id),
            None => self.taking_over.remove(key),
        };
        if decision.blocked.iter().any(|why| matches!(why, Blocked::LastAdministrator { .. })) {
            self.waiting_for_control.insert(key.clone());
        } else {
            self.waiting_for_control.remove(key);
        }
    }

    fn report(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        decision: &Decision,
        receipt: Option<&Receipt>,
    ) {
        self.queue.succeeded(&key);
        self.forget_refusals(&key);
        if !decision.blocked.iter().any(|why| matches!(why, Blocked::StoreUnavailable(_))) {
            self.take_up_again(&key);
        }
        self.tell(key, snapshot, decision, receipt);
    }

    fn tell(
        &mut self,
        key: ObjectKey,
        snapshot: &mut Snapshot,
        decision: &Decision,
        receipt: Option<&Receipt>,
    ) {
        let (uid, is_ours) = (
            snapshot.meta().uid.clone(),
            snapshot.meta().deleting || snapshot.meta().has_finalizer,
        );
        let hold = match receipt {
            // Our finalizer is on until every directory has confirmed it.
            Some(Receipt::Deleted(departure)) if departure.transaction.in_flight() => {
                FinalizerAction::Keep
            }
            _ => decision.finalizer,
        };
        let report = match (hold, &mut *snapshot) {
            // Somebody released it: it isn't ours to speak of.
            (FinalizerAction::Keep, _) if !is_ours => return,
            (FinalizerAction::Keep, Snapshot::User(user)) => {
                let found = has(user, receipt);
                let account = brought(user, found);
                self.schedule_provisioning(&key, user, found);
                if let Some(lost) = decision.deprovisions {
                    self.provisioning.drop_entry(&key, lost, Instant::now());
                }
                // What was just asked of directories is missing there now.
                self.add_what_directories_lack(&key, user, account);
                let found = has(user, receipt);
                ObjectUpdate::User(Box::new(status::of_user(
                    user,
                    found,
                    &decision.blocked,
                    &self.settings.billing_zone,
                )))
            }
            (FinalizerAction::Keep, Snapshot::Group(group)) if group.spec.is_some() => {
                ObjectUpdate::Group(Box::new(status::of_group(group, &decision.blocked)))
            }
            (FinalizerAction::Keep, Snapshot::Domain(domain)) if domain.spec.is_some() => {
                ObjectUpdate::Domain(Box::new(status::of_listing(domain, &decision.blocked)))
            }
            (FinalizerAction::Keep, Snapshot::Group(_) | Snapshot::Domain(_)) => return,
            (hold, _) => {
                // The store says once how the account went, and the finalizer may take several
                // tries.
                self.final_events
                    .extend(farewell(snapshot, receipt).map(|said| (uid.clone(), said)));
                self.clear_in_flight(&uid);
                ObjectUpdate::Hold { hold, farewell: self.final_events.get(&uid).cloned() }
            }
        };
        let lane = report.lane(&self.cache, &key);
        self.slots.put(key, uid, report, lane, Instant::now());
    }

    /// Creates the default groups that organizations lack, and looks at what the store still has of
    /// objects that went without our knowing.
    async fn ensure_default_groups(&mut self, keys: Vec<ObjectKey>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let ghosts = observe::orphaned_records(&self.cache, &self.store, &keys).await?;
        self.enqueue(ghosts);
        for key in keys {
            self.queue.succeeded(&key);
            for name in
                organization::missing_groups(&observe::organization(&self.cache, &key.namespace))
            {
                if self.pending_default_groups.insert((key.namespace.clone(), name)) {
                    let group = Box::new(default_group(&key.namespace, name));
                    self.others.push(Write::NewGroup { organization: key.clone(), group });
                }
            }
        }
        Ok(())
    }

    /// Tells objects with pending work that the store is away; the others keep their status.
    fn wait_for_store(&mut self, keys: Vec<ObjectKey>, error: StoreError) {
        if error.ends_the_work() {
            // Another tells them, or this one once it has started anew.
            self.superseded = Some(error);
            return;
        }
        self.metrics.store_errors.inc();
        tracing::error!(error = %crate::redact::chain(&error), objects = keys.len(), "the store can't be used, trying again");
        let trouble = if error.is_locked_out() { StoreTrouble::Busy } else { StoreTrouble::Away };
        for key in keys {
            self.tell_that_it_waits(&key, None, trouble, false);
            self.queue.retry(key, Instant::now());
        }
    }

    /// Tells of pending work that the store doesn't take it now, beside what the store has of a
    /// `User` where that is known. Work is pending where the spec is newer than the status, or
    /// `is_planned`.
    fn tell_that_it_waits(
        &mut self,
        key: &ObjectKey,
        user: Option<&user::UserSnapshot>,
        trouble: StoreTrouble,
        is_planned: bool,
    ) {
        let uid = self.cache.about(key).map(|(meta, ..)| meta.uid.clone());
        let (Some(uid), Some(mut report)) =
            (uid, store_unavailable_status(&self.cache, key, trouble, is_planned))
        else {
            return;
        };
        if let (ObjectUpdate::User(waits), Some(user)) = (&mut report, user) {
            let blocked = [Blocked::StoreUnavailable(trouble)];
            let found =
                status::of_user(user, has(user, None), &blocked, &self.settings.billing_zone);
            let observed = waits.observed_generation;
            let conditions =
                status::store_unavailable(&found.conditions, observed.unwrap_or(-1), trouble);
            **waits = UserStatus { observed_generation: observed, conditions, ..found };
        }
        self.slots.put(key.clone(), uid, report, Priority::High, Instant::now());
    }

    /// Returns the writes that are due: reports that say something new, and what else is to be
    /// sent.
    pub fn writes(&mut self) -> Vec<Write> {
        let mut writes = self.others.split_off(self.others.len().saturating_sub(self.slots.room()));
        for (key, uid, report) in self.slots.take(Instant::now()) {
            match object_writer::patch(&self.cache, &key, &uid, report, self.clocks.now()) {
                Some(patch) => {
                    let version = self.cache.version(&key);
                    self.slots.begin(key, version);
                    writes.push(Write::Patch(patch));
                }
                None => self.slots.skip(&key),
            }
        }
        writes
    }

    /// Takes in what became of a write.
    pub fn on_write_result(&mut self, key: ObjectKey, answer: WriteResult) {
        let now = Instant::now();
        self.metrics.kube_write(key.kind, answer.result());
        let (before, after) = (self.slots.end(&key, now), answer.version());
        if (1..before).contains(&after) {
            // A write only makes an object newer.
            self.roll_back(key.kind, before, after);
            self.relist = Some(Relist::RolledBack);
        }
        let changed = match answer {
            WriteResult::User(user) => self.cache.see_answer(*user),
            WriteResult::Group(group) => self.cache.see_answer(*group),
            WriteResult::Domain(domain) => self.cache.see_answer(*domain),
            WriteResult::Done => None,
            WriteResult::Released { uid } => {
                self.final_events.remove(&uid);
                self.cache.see_released(&key, &uid);
                None
            }
            WriteResult::Conflict => return self.try_again(key, now),
            WriteResult::Failed(error) => {
                self.pending_default_groups.retain(|(namespace, _)| {
                    key.kind != Kind::Organization || *namespace != key.namespace
                });
                let (kind, namespace): (&str, _) = (key.kind.into(), &key.namespace);
                tracing::warn!(
                    kind,
                    namespace,
                    error = redact(&error),
                    "a write failed, trying again"
                );
                return self.try_again(key, now);
            }
        };
        self.slots.succeeded(&key);
        self.enqueue(changed);
    }

    /// Looks at an object again whose write came to nothing, the later the more often that was so.
    fn try_again(&mut self, key: ObjectKey, now: Instant) {
        if key.kind == Kind::Organization || self.cache.about(&key).is_some() {
            let at = self.slots.failed(&key, now);
            self.queue.enqueue(key, at);
        }
    }

    /// Takes in what happened in the cluster.
    pub fn apply_event(&mut self, news: ClusterEvent) {
        match news {
            ClusterEvent::RolledBack { kind, known, found } => self.roll_back(kind, known, found),
            ClusterEvent::ListStarted(scope) => {
                let known = self.cache.keys(scope.kind, scope.namespace.as_deref());
                let list =
                    ListUnderWay { missing: known.into_iter().collect(), told: HashSet::new() };
                self.lists.insert(scope, list);
            }
            ClusterEvent::Listed { listing, item } => self.take_listed(&listing, *item),
            ClusterEvent::ListCompleted(scope) => {
                // One that began before the cluster was put back says nothing.
                let Some(list) = self.lists.remove(&scope) else { return };
                for key in list.missing {
                    self.remove(&key);
                }
                if self.unlisted.remove(&scope) && self.unlisted.is_empty() {
                    tracing::info!(
                        users = self.cache.users.len(),
                        "everything was listed, starting to work"
                    );
                    self.resync();
                }
            }
            ClusterEvent::Deleted(key, version) => {
                self.note_told(&key);
                // The object of this name that is known may be the next one already.
                if version == 0 || self.cache.version(&key) <= version {
                    self.remove(&key);
                }
            }
            ClusterEvent::WatchFailed(scope) => {
                let now = Instant::now();
                let series = self.watch_failures.entry(scope).or_insert((now, now));
                let begun =
                    if now.duration_since(series.1) < FAILURE_WINDOW { series.0 } else { now };
                *series = (begun, now);
            }
            object => {
                if let Some(key) = object.key() {
                    self.note_told(&key);
                }
                self.take_object(object, Origin::Watch);
            }
        }
    }

    /// Takes in an object as a list has it.
    fn take_listed(&mut self, listing: &WatchListing, object: ClusterEvent) {
        let (Some(list), Some(key)) = (self.lists.get_mut(&listing.scope), object.key()) else {
            return;
        };
        list.missing.remove(&key);
        if list.told.contains(&key) {
            return;
        }
        let is_first = self.unlisted.contains(&listing.scope);
        let contradicts = self.cache.contradicts(&key, object.version(), listing.version);
        match contradicts.filter(|_| !is_first) {
            Some(known) => {
                self.roll_back(key.kind, known, object.version());
                self.relist = Some(Relist::RolledBack);
            }
            None => self.take_object(
                object,
                if is_first { Origin::Anew } else { Origin::List(listing.version) },
            ),
        }
    }

    /// Notes that a watch told of an object, which the lists that are under way may have as it was
    /// before.
    fn note_told(&mut self, key: &ObjectKey) {
        for (_, list) in self.lists.iter_mut().filter(|(scope, _)| scope.kind == key.kind) {
            list.missing.remove(key);
            list.told.insert(key.clone());
        }
    }

    /// Forgets what isn't so any more, because the cluster was put back to an earlier time, and
    /// decides nothing until everything was listed anew.
    fn roll_back(&mut self, kind: Kind, known: u64, found: u64) {
        let kind: &str = kind.into();
        tracing::warn!(
            kind,
            known,
            found,
            "resource versions went backwards, as after a restore of etcd: listing everything anew"
        );
        self.metrics.rollbacks.inc();
        self.unlisted = self.scopes.clone();
        self.lists.clear();
        self.pending_default_groups.clear();
        self.others.retain(|write| matches!(write, Write::Event { .. }));
        self.slots.forget_waiting();
        self.passwords.distrust_versions();
    }

    /// Returns why everything is to be listed, if it is.
    pub fn take_relist(&mut self) -> Option<Relist> {
        self.relist.take()
    }

    fn take_object(&mut self, object: ClusterEvent, origin: Origin) {
        match object {
            ClusterEvent::Namespace(namespace) => {
                if let Some(key) = self.cache.see_namespace(&namespace, origin) {
                    let within = [Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
                    let keys: Vec<_> = within
                        .into_iter()
                        .flat_map(|kind| self.cache.keys(kind, Some(&key.namespace)))
                        .collect();
                    self.enqueue(keys.into_iter().chain([key]));
                }
            }
            ClusterEvent::User(user) => self.upsert(*user, origin),
            ClusterEvent::Group(group) => self.upsert(*group, origin),
            ClusterEvent::Domain(domain) => self.upsert(*domain, origin),
            ClusterEvent::Secret { key, seen } => {
                if self.cache.see_secret(&key, seen, origin) {
                    self.enqueue(self.cache.of_secret(&key.namespace, &key.name));
                }
            }
            ClusterEvent::RolledBack { .. }
            | ClusterEvent::ListStarted(_)
            | ClusterEvent::Listed { .. }
            | ClusterEvent::ListCompleted(_)
            | ClusterEvent::Deleted(..)
            | ClusterEvent::WatchFailed(_) => {}
        }
    }

    fn upsert<K: cache::ManagedResource>(&mut self, object: Lenient<K>, origin: Origin) {
        let name = (
            object.meta().namespace.clone().unwrap_or_default(),
            object.meta().name.clone().unwrap_or_default(),
        );
        let key = ObjectKey::new(K::KIND, name.0, name.1);
        let standing = |cache: &ClusterCache| {
            let takes_account =
                key.kind == Kind::User && cache.takes_account(&key.namespace, &key.name);
            cache.about(&key).map(|(meta, ..)| (meta.uid.clone(), meta.deleting, takes_account))
        };
        let before = standing(&self.cache);
        if let Some((uid, ..)) =
            before.as_ref().filter(|(uid, ..)| object.meta().uid.as_ref() != Some(uid))
        {
            // It went and came again without our hearing of it.
            self.final_events.remove(uid);
            self.clear_in_flight(uid);
        }
        if let Some(key) = self.cache.upsert(object, origin) {
            if key.kind == Kind::User {
                let after = standing(&self.cache);
                self.enqueue_after_upsert(&key, before != after);
            }
            let organization = ObjectKey::new(Kind::Organization, &key.namespace, "");
            self.pending_default_groups
                .retain(|(namespace, name)| *namespace != key.namespace || *name != key.name);
            // A group on its way out takes no new members: those who wait to join are told.
            let place = (key.namespace.clone(), key.name.clone());
            if key.kind == Kind::UserGroup
                && self.cache.groups.get(&place).is_some_and(|group| group.meta.deleting)
            {
                self.enqueue(self.cache.of_group(&key.namespace, &key.name));
            }
            self.enqueue([key, organization]);
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.queue.succeeded(key);
        self.slots.succeeded(key);
        self.waiting_for_control.remove(key);
        self.taking_over.remove(key);
        self.uncertain_commits.remove(key);
        self.forget_refusals(key);
        self.put_aside.remove(key);
        self.passwords.forget(key);
        let uid = self.cache.about(key).map(|(meta, ..)| meta.uid.clone());
        if let Some(uid) = uid {
            self.final_events.remove(&uid);
            self.clear_in_flight(&uid);
        }
        let in_force = self.cache.in_force(&key.namespace, &key.name).cloned();
        let others = if key.kind == Kind::User { self.others_who_ask(key) } else { vec![] };
        if self.cache.remove(key) {
            // An account that it left behind is told of otherwise.
            self.enqueue(others);
            if let Some(AppliedLinks { group, follows, owner_uid: _ }) =
                in_force.filter(|_| key.kind == Kind::User)
            {
                // An account that was let go of counts again.
                let soon = Instant::now() + COUNT_DEBOUNCE;
                let listings = self.cache.keys(Kind::OrgEmailDomain, Some(&key.namespace));
                let source = follows.map(|name| ObjectKey::new(Kind::User, &key.namespace, name));
                let counting = listings
                    .into_iter()
                    .chain([ObjectKey::new(Kind::UserGroup, &key.namespace, group)])
                    .chain(source);
                counting.for_each(|key| self.queue.enqueue(key, soon));
            }
            let organization = ObjectKey::new(Kind::Organization, &key.namespace, "");
            let dependants = match key.kind {
                Kind::UserGroup => self.cache.of_group(&key.namespace, &key.name),
                Kind::User => {
                    self.enqueue_waiting_for_administrator(&key.namespace);
                    self.enqueue_abandoned(&key.namespace);
                    self.look_at_heirs(Priority::High, &key.namespace, &key.name);
                    self.cache.copiers(&key.namespace, &key.name)
                }
                Kind::Secret => {
                    return self.enqueue(self.cache.of_secret(&key.namespace, &key.name));
                }
                Kind::OrgEmailDomain | Kind::Organization => vec![],
            };
            self.enqueue(dependants.into_iter().chain([key.clone(), organization]));
        }
    }
}

/// Decides on each object, until the decisions name so many accounts of others. Returns beside it
/// who is to be looked at again: those who are left, and those whose plan a new account of this
/// group makes another.
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

/// Returns how urgent a decision is.
fn urgency(snapshot: &Snapshot, decision: &Decision) -> Urgency {
    let before = match snapshot {
        Snapshot::User(user) => user.account.as_ref().map(|account| &account.content),
        Snapshot::Group(_) | Snapshot::Domain(_) => None,
    };
    decision.plan.as_ref().map_or(Urgency::Other, |plan| plan.urgency(before))
}

/// Returns at which revision a user's account is.
fn revision(snapshot: &Snapshot) -> Option<Revision> {
    match snapshot {
        Snapshot::User(user) => user.account.as_ref().map(|account| account.revision),
        Snapshot::Group(_) | Snapshot::Domain(_) => None,
    }
}

/// Returns what of an account others depend on.
fn in_force(account: &Account) -> AppliedLinks {
    let follows = match &account.content.source {
        Some(Source::Inherited { from, .. }) => Some(from.clone()),
        Some(Source::Cloned(_)) | None => None,
    };
    AppliedLinks {
        group: account.content.group.clone(),
        follows,
        owner_uid: account.owner.uid.clone(),
    }
}

/// Returns what the store has of a `User`.
fn has<'a>(user: &'a user::UserSnapshot, receipt: Option<&'a Receipt>) -> StoredAccount<'a> {
    match receipt {
        Some(Receipt::Account(account)) => StoredAccount::Account(account),
        Some(Receipt::Deleted(departure)) => StoredAccount::Departed(departure),
        Some(Receipt::Done) | None => {
            // An account that another User of this name left behind isn't this one's to tell of.
            let account =
                user.account.as_ref().filter(|account| account.owner.uid == user.meta.uid);
            let departed = user.departure.as_ref().map(StoredAccount::Departed);
            account.map(StoredAccount::Account).or(departed).unwrap_or(StoredAccount::Nothing)
        }
    }
}

/// Returns the account that directories are brought for a `User` of which the store has this,
/// though it isn't its own yet.
fn brought(user: &user::UserSnapshot, found: StoredAccount<'_>) -> Option<AccountId> {
    match found {
        StoredAccount::Account(account) => Some(account.id),
        StoredAccount::Departed(departure) => Some(departure.account),
        StoredAccount::Nothing => user.left_behind().map(|account| account.id),
    }
}

fn default_group(namespace: &str, name: &str) -> UserGroup {
    UserGroup {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: UserGroupSpec { full_control: name == ADMINISTRATORS, ..UserGroupSpec::default() },
        status: None,
    }
}

/// Returns the status of an object with pending work while the store doesn't take it.
fn store_unavailable_status(
    cache: &ClusterCache,
    key: &ObjectKey,
    trouble: StoreTrouble,
    is_planned: bool,
) -> Option<ObjectUpdate> {
    let pending = Pending { trouble, is_planned };
    let place = (key.namespace.clone(), key.name.clone());
    match key.kind {
        Kind::User => pending
            .status(cache.users.get(&place))
            .map(|status| ObjectUpdate::User(Box::new(status))),
        Kind::UserGroup => pending
            .status(cache.groups.get(&place))
            .map(|status| ObjectUpdate::Group(Box::new(status))),
        Kind::OrgEmailDomain => pending
            .status(cache.domains.get(&place))
            .map(|status| ObjectUpdate::Domain(Box::new(status))),
        Kind::Organization | Kind::Secret => None,
    }
}

/// What keeps the store from taking work, and whether there surely is some.
#[derive(Clone, Copy)]
struct Pending {
    trouble: StoreTrouble,
    is_planned: bool,
}

impl Pending {
    fn status<S, T: HasConditions>(self, seen: Option<&cache::CachedObject<S, T>>) -> Option<T> {
        let seen = seen?;
        let observed = seen.status.observed_generation().unwrap_or(-1);
        let mut status = seen.status.clone();
        *status.conditions_mut() =
            status::store_unavailable(seen.status.conditions(), observed, self.trouble);
        (self.is_planned || seen.meta.deleting || observed != seen.meta.generation)
            .then_some(status)
    }
}

#[cfg(test)]
mod tests;
