//! Writes statuses, finalizers, default groups and Events: one write per object at a time, and only
//! its latest state.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::Status as ApiStatus;
use kube::runtime::events::{Event, EventType, Recorder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cache::{CachedObject, ClusterCache, HasConditions, ManagedResource};
use super::cluster_event::number;
use crate::api::status::{Condition, ConditionStatus, ConditionType, Reason};
use crate::api::{
    self, Lenient, OrgEmailDomain, OrgEmailDomainStatus, User, UserGroup, UserGroupStatus,
    UserStatus,
};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::{FinalizerAction, status};
use crate::redact::redact;
use crate::workqueue::{Priority, WorkQueue};

const WRITES_AT_ONCE: usize = 64;

/// How many of them may have low priority: enough to keep an API server busy, few enough that
/// urgent writes don't queue up behind them there.
const FOLLOWING_AT_ONCE: usize = 16;

/// How long a status that isn't ready is held back: manifests applied together arrive in any order,
/// and what heals in that time was never wrong.
const BLOCKED_DEBOUNCE: Duration = Duration::from_millis(500);

/// A pending change of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectUpdate {
    /// Adds or removes the finalizer.
    Hold {
        /// How.
        hold: FinalizerAction,
        /// The Event for the user who deleted it.
        farewell: Option<EventNote>,
    },
    /// A user's status.
    User(Box<UserStatus>),
    /// A group's status.
    Group(Box<UserGroupStatus>),
    /// A listed domain's status.
    Domain(Box<OrgEmailDomainStatus>),
}

impl ObjectUpdate {
    fn is_blocked(&self) -> bool {
        self.readiness().is_some_and(|(_, ready)| ready == Some(ConditionStatus::False))
    }

    /// Returns the observed generation and the condition `Ready`; `None` for a finalizer.
    fn readiness(&self) -> Option<(Option<i64>, Option<ConditionStatus>)> {
        match self {
            Self::Hold { .. } => None,
            Self::User(status) => Some(said_by(status.as_ref())),
            Self::Group(status) => Some(said_by(status.as_ref())),
            Self::Domain(status) => Some(said_by(status.as_ref())),
        }
    }

    /// Returns its priority, which is high if it reports a new generation or readiness or changes
    /// the finalizer.
    #[must_use]
    pub fn priority(&self, cache: &ClusterCache, key: &ObjectKey) -> Priority {
        let said = match self {
            Self::Hold { .. } => None,
            Self::User(_) => cache.user(key).map(|seen| said_by(&seen.status)),
            Self::Group(_) => cache.group(key).map(|seen| said_by(&seen.status)),
            Self::Domain(_) => cache.domain(key).map(|seen| said_by(&seen.status)),
        };
        if said.is_some() && said == self.readiness() { Priority::Low } else { Priority::High }
    }
}

fn said_by(status: &impl HasConditions) -> (Option<i64>, Option<ConditionStatus>) {
    (status.observed_generation(), ready(status.conditions()).map(|ready| ready.status))
}

/// The result of a write.
#[derive(Debug)]
pub enum WriteResult {
    /// The user is now as given.
    User(Box<Lenient<User>>),
    /// The group is now as given.
    Group(Box<Lenient<UserGroup>>),
    /// The listed domain is now as given.
    Domain(Box<Lenient<OrgEmailDomain>>),
    /// Our finalizer is off.
    Released {
        /// The uid of the object.
        uid: String,
    },
    /// It was there already, or returns no object.
    Done,
    /// The object isn't there, or changed since the write was made: it is reconciled again.
    Conflict,
    /// It wasn't written.
    Failed(Box<kube::Error>),
}

impl WriteResult {
    /// Returns its label in metrics.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match self {
            Self::User(_)
            | Self::Group(_)
            | Self::Domain(_)
            | Self::Released { .. }
            | Self::Done => "written",
            Self::Conflict => "conflict",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether the API server has what was written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !matches!(self, Self::Conflict | Self::Failed(_))
    }

    /// Returns the version that the object has now; 0 where the answer has none.
    #[must_use]
    pub fn version(&self) -> u64 {
        let version = match self {
            Self::User(user) => &user.object.metadata.resource_version,
            Self::Group(group) => &group.object.metadata.resource_version,
            Self::Domain(domain) => &domain.object.metadata.resource_version,
            Self::Released { .. } | Self::Done | Self::Conflict | Self::Failed(_) => return 0,
        };
        number(version.as_deref())
    }
}

/// A write to the API server that has only to be sent.
#[derive(Clone, Debug)]
pub enum Write {
    /// Changes an object.
    Patch(ObjectPatch),
    /// Creates a default group.
    NewGroup {
        /// The organization that lacks it.
        organization: ObjectKey,
        /// The group.
        group: Box<UserGroup>,
    },
    /// Publishes an Event.
    Event {
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: String,
        /// Its content.
        said: EventNote,
    },
}

/// A change of one object.
#[derive(Clone, Debug)]
pub struct ObjectPatch {
    /// The object.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The JSON Patch (RFC 6902); its first step tests the uid.
    pub steps: Value,
    /// The part to patch.
    pub part: Subresource,
    /// The Event to publish once it is written.
    pub event: Option<EventNote>,
}

/// A part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// Its status.
    Status,
    /// Its finalizers: ours goes on or off.
    Finalizer(FinalizerAction),
}

/// The content of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// The reason, in CamelCase.
    pub reason: String,
    /// The sentence.
    pub note: String,
    /// Whether its type is `Warning`.
    pub warning: bool,
}

/// An update that waits for its turn, since when it does, and about the object of which uid it is.
#[derive(Debug)]
pub struct QueuedUpdate {
    /// The uid of the object.
    pub uid: String,
    /// The update.
    pub update: ObjectUpdate,
    /// When the first of those that this slot held since the last write was decided.
    pub since: Instant,
    priority: Priority,
}

/// The latest update of each object that waits to be written.
#[derive(Debug, Default)]
pub struct UpdateQueue {
    waiting: HashMap<ObjectKey, QueuedUpdate>,
    due: WorkQueue,
    /// The objects whose write is in flight, with the version that each had before and since when
    /// the update waits.
    under_way: HashMap<ObjectKey, (u64, Instant)>,
    following_under_way: HashSet<ObjectKey>,
}

impl UpdateQueue {
    /// Replaces the waiting update of the object with this uid.
    pub fn put(
        &mut self,
        key: ObjectKey,
        uid: String,
        report: ObjectUpdate,
        lane: Priority,
        now: Instant,
    ) {
        let at = if report.is_blocked() { now + BLOCKED_DEBOUNCE } else { now };
        let since = self.waiting.get(&key).map_or(now, |waiting| waiting.since);
        let queued = QueuedUpdate { uid, update: report, since, priority: lane };
        self.waiting.insert(key.clone(), queued);
        if !self.under_way.contains_key(&key) {
            self.due.put(key, lane, at);
        }
    }

    /// Takes the updates that are due, as far as there is room for more writes.
    pub fn take(&mut self, now: Instant) -> Vec<(ObjectKey, QueuedUpdate)> {
        let mut due = self.due.take_from(Priority::High, now, self.room(), |_| true);
        let following = self.due.take_from(
            Priority::Low,
            now,
            self.room_to_follow().saturating_sub(due.len()),
            |_| true,
        );
        // A forgotten update still stands in the queue.
        self.following_under_way
            .extend(following.iter().filter(|key| self.waiting.contains_key(key)).cloned());
        due.extend(following);
        due.into_iter().filter_map(|key| self.waiting.remove_entry(&key)).collect()
    }

    /// Returns how many more writes may be in flight.
    #[must_use]
    pub fn room(&self) -> usize {
        WRITES_AT_ONCE.saturating_sub(self.under_way.len())
    }

    fn room_to_follow(&self) -> usize {
        FOLLOWING_AT_ONCE.saturating_sub(self.following_under_way.len()).min(self.room())
    }

    /// Records that an update that was taken needs no write.
    pub fn skip(&mut self, key: &ObjectKey) {
        self.following_under_way.remove(key);
    }

    /// Records that a write to an object of this version is in flight; the object's next update
    /// waits for its result.
    pub fn begin(&mut self, key: ObjectKey, version: u64, since: Instant) {
        self.under_way.insert(key, (version, since));
    }

    /// Records that an object's write is done. Returns the version that the object had before, and
    /// since when the update waited; nothing for a write that is no update.
    pub fn end(&mut self, key: &ObjectKey, now: Instant) -> Option<(u64, Instant)> {
        let before = self.under_way.remove(key);
        self.following_under_way.remove(key);
        if let Some(waiting) = self.waiting.get(key) {
            self.due.put(key.clone(), waiting.priority, now);
        }
        before
    }

    /// Forgets what waits, and the versions that objects had: a rollback of the cluster made both
    /// obsolete.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.under_way.values_mut().for_each(|(version, _)| *version = 0);
    }

    /// Counts a failed write. Returns when to reconcile the object again.
    pub fn failed(&mut self, key: &ObjectKey, now: Instant) -> Instant {
        self.due.failed(key, now)
    }

    /// Forgets that an object's writes failed.
    pub fn succeeded(&mut self, key: &ObjectKey) {
        self.due.succeeded(key);
    }

    /// Returns when the next update is due, if there is room for its write.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let asked = self.due.next_due_in(Priority::High).filter(|_| self.room() > 0);
        let following = self.due.next_due_in(Priority::Low).filter(|_| self.room_to_follow() > 0);
        asked.into_iter().chain(following).min()
    }

    /// Whether nothing waits and no write is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }
}

/// Returns the patch for an update; `None` if the object has it already, is gone, or has another
/// uid.
#[must_use]
pub fn patch(
    cache: &ClusterCache,
    key: &ObjectKey,
    uid: &str,
    report: ObjectUpdate,
    now: Timestamp,
) -> Option<ObjectPatch> {
    cache.about(key).filter(|(meta, ..)| meta.uid == uid)?;
    match report {
        ObjectUpdate::Hold { hold, farewell } => finalizer_patch(cache, key, hold, farewell),
        ObjectUpdate::User(status) => status_patch::<User>(cache.user(key)?, key, *status, now),
        ObjectUpdate::Group(status) => {
            status_patch::<UserGroup>(cache.group(key)?, key, *status, now)
        }
        ObjectUpdate::Domain(status) => {
            status_patch::<OrgEmailDomain>(cache.domain(key)?, key, *status, now)
        }
    }
}

fn status_patch<K: ManagedResource>(
    seen: &CachedObject<K::Spec, K::Status>,
    key: &ObjectKey,
    mut next: K::Status,
    now: Timestamp,
) -> Option<ObjectPatch> {
    let CachedObject { meta, status: before, has_foreign_status, .. } = seen;
    let uid = meta.uid.clone();
    let conditions = std::mem::take(next.conditions_mut());
    *next.conditions_mut() = status::with_transition_times(conditions, before.conditions(), now);
    if next == *before && !has_foreign_status {
        return None;
    }
    let steps = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": next},
    ]);
    let event = said(before.conditions(), next.conditions());
    Some(ObjectPatch { key: key.clone(), uid, steps, part: Subresource::Status, event })
}

/// Returns the Event for a refusal that is new; waits and successes have none.
fn said(before: &[Condition], next: &[Condition]) -> Option<EventNote> {
    let stalled = |conditions: &[Condition]| {
        conditions
            .iter()
            .find(|condition| condition.kind == ConditionType::Stalled)
            .map(|stalled| stalled.reason)
    };
    let reason = stalled(next).filter(|reason| stalled(before) != Some(*reason))?;
    if reason == Reason::DirectoryRefused {
        // A directory may refuse many entries for one reason, which has one Event of its own.
        return None;
    }
    // A condition's message may name an address; an Event has only the reason, and where to read
    // on.
    let note = match reason {
        Reason::DeadlineExceeded => {
            "the transaction in flight is overdue and goes on: the condition Ready says what it waits for"
        }
        _ => "refused: the condition Ready in the status says what is wrong and what to do",
    };
    let note = note.to_owned();
    Some(EventNote { reason: reason.as_str().to_owned(), note, warning: true })
}

fn finalizer_patch(
    cache: &ClusterCache,
    key: &ObjectKey,
    hold: FinalizerAction,
    event: Option<EventNote>,
) -> Option<ObjectPatch> {
    let (meta, finalizers, version) = cache.about(key)?;
    let at = finalizers.iter().position(|finalizer| finalizer == api::FINALIZER);
    let steps = match (hold, at) {
        (FinalizerAction::Add, None) if finalizers.is_empty() => {
            vec![json!({"op": "add", "path": "/metadata/finalizers", "value": [api::FINALIZER]})]
        }
        (FinalizerAction::Add, None) => {
            vec![json!({"op": "add", "path": "/metadata/finalizers/-", "value": api::FINALIZER})]
        }
        (FinalizerAction::Remove, Some(at)) => {
            vec![json!({"op": "remove", "path": format!("/metadata/finalizers/{at}")})]
        }
        (FinalizerAction::Keep, _)
        | (FinalizerAction::Add, Some(_))
        | (FinalizerAction::Remove, None) => return None,
    };
    // The steps are only right if the finalizers are as cached.
    let tests = [
        json!({"op": "test", "path": "/metadata/uid", "value": meta.uid}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": version.to_string()}),
    ];
    let steps = tests.into_iter().chain(steps).collect();
    Some(ObjectPatch {
        key: key.clone(),
        uid: meta.uid.clone(),
        steps,
        part: Subresource::Finalizer(hold),
        event,
    })
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == ConditionType::Ready)
}

/// Sends writes to the API server and returns their results.
pub struct ObjectWriter {
    client: Client,
    recorder: Recorder,
    writes: JoinSet<(ObjectKey, WriteResult)>,
}

impl ObjectWriter {
    /// Returns a writer that uses this client, and this recorder for Events.
    #[must_use]
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { client, recorder, writes: JoinSet::new() }
    }

    /// Sends a write.
    pub fn send(&mut self, write: Write) {
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        self.writes.spawn(async move {
            match write {
                Write::Patch(patch) => send_patch(client, &recorder, patch).await,
                Write::NewGroup { organization, group } => {
                    create_group(client, organization, &group).await
                }
                Write::Event { key, uid, said } => {
                    publish(&recorder, &key, &uid, &said).await;
                    (ObjectKey::new(Kind::Organization, key.namespace, ""), WriteResult::Done)
                }
            }
        });
    }

    /// Waits for the next result; for ever while no write is in flight.
    pub async fn answer(&mut self) -> (ObjectKey, WriteResult) {
        loop {
            match self.writes.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => tracing::error!(%error, "write to the API server was aborted"),
                None => std::future::pending().await,
            }
        }
    }
}

async fn send_patch(
    client: Client,
    recorder: &Recorder,
    patch: ObjectPatch,
) -> (ObjectKey, WriteResult) {
    let answer = match patch.key.kind {
        Kind::User => send_as(client, &patch, WriteResult::User).await,
        Kind::UserGroup => send_as(client, &patch, WriteResult::Group).await,
        Kind::OrgEmailDomain => send_as(client, &patch, WriteResult::Domain).await,
        Kind::Organization | Kind::Secret => WriteResult::Done,
    };
    let written = !matches!(answer, WriteResult::Conflict | WriteResult::Failed(_));
    let event = match &answer {
        // A value in the spec that the schema refuses keeps the status out, too: only the Event can
        // report it.
        WriteResult::Failed(error) if is_invalid(error) => {
            patch.event.map(|said| EventNote { note: UNTOLD.to_owned(), ..said })
        }
        _ => patch.event.filter(|_| written),
    };
    if let Some(said) = event {
        // An Event must not hold up the result.
        let (recorder, key, uid) = (recorder.clone(), patch.key.clone(), patch.uid.clone());
        tokio::spawn(async move { publish(&recorder, &key, &uid, &said).await });
    }
    match (patch.part, written) {
        (Subresource::Finalizer(FinalizerAction::Remove), true) => {
            (patch.key, WriteResult::Released { uid: patch.uid })
        }
        _ => (patch.key, answer),
    }
}

/// The note of an Event where the status can't be written.
const UNTOLD: &str = "refused, and the API server refuses the status that says why: roster doctor names the values in the spec \
    that aren't understood";

/// Whether the schema refuses the object as it is stored.
fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422 && status.reason == "Invalid")
}

async fn send_as<K>(
    client: Client,
    patch: &ObjectPatch,
    answer: fn(Box<Lenient<K>>) -> WriteResult,
) -> WriteResult
where
    K: ManagedResource + Clone + Debug,
{
    let api: Api<Lenient<K>> = Api::namespaced(client, &patch.key.namespace);
    let steps = match serde_json::from_value(patch.steps.clone()) {
        Ok(steps) => Patch::Json::<()>(steps),
        Err(error) => return WriteResult::Failed(Box::new(kube::Error::SerdeError(error))),
    };
    let parameters = PatchParams::default();
    let result = match patch.part {
        Subresource::Status => api.patch_status(&patch.key.name, &parameters, &steps).await,
        Subresource::Finalizer(_) => api.patch(&patch.key.name, &parameters, &steps).await,
    };
    match result {
        Ok(object) => answer(Box::new(object)),
        Err(kube::Error::Api(status)) if status.code == 404 || failed_its_test(&status) => {
            WriteResult::Conflict
        }
        Err(error) => WriteResult::Failed(Box::new(error)),
    }
}

/// Creates a default group; that it is there already is as good.
async fn create_group(
    client: Client,
    organization: ObjectKey,
    group: &UserGroup,
) -> (ObjectKey, WriteResult) {
    let groups: Api<UserGroup> = Api::namespaced(client, &organization.namespace);
    let answer = match groups.create(&PostParams::default(), group).await {
        Ok(_) => WriteResult::Done,
        Err(kube::Error::Api(status)) if status.is_already_exists() => WriteResult::Done,
        Err(error) => WriteResult::Failed(Box::new(error)),
    };
    (organization, answer)
}

/// Whether a `test` of a JSON Patch failed: the object isn't the cached one.
fn failed_its_test(status: &ApiStatus) -> bool {
    status.code == 422 && status.message.starts_with("the server rejected our request")
}

async fn publish(recorder: &Recorder, key: &ObjectKey, uid: &str, said: &EventNote) {
    let reference = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some("roster.rs/v1alpha1".to_owned()),
        kind: Some(<&str>::from(key.kind).to_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: Some(uid.to_owned()),
        ..Default::default()
    };
    let event = Event {
        type_: if said.warning { EventType::Warning } else { EventType::Normal },
        reason: said.reason.clone(),
        note: Some(said.note.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // An Event is a courtesy, and a terminating namespace takes none.
    if let Err(error) = recorder.publish(&event, &reference).await {
        tracing::debug!(uid, error = redact(&error), "an event wasn't taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_forgotten_takes_no_room_from_what_is_told_later() {
        let (mut slots, now) = (UpdateQueue::default(), Instant::now());
        let key = |number: usize| ObjectKey::new(Kind::User, "acme", format!("u{number}"));
        let report = || ObjectUpdate::Hold { hold: FinalizerAction::Add, farewell: None };
        (0..20)
            .for_each(|number| slots.put(key(number), String::new(), report(), Priority::Low, now));
        slots.forget_waiting();
        assert!(slots.take(now).is_empty());
        slots.put(key(99), String::new(), report(), Priority::Low, now);
        assert_eq!(slots.take(now).len(), 1);
    }
}
