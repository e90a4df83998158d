//! What must hold, by the numbers of the invariants: O1 desired state is reached, O3 no user is
//! lost, and so on; see `main.rs`. Each function returns what it complains of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::declarations::{Declarations, Gift, Wish};
use crate::ledger::Latency;

/// How long an edit may take to be in force while its operator can work. Commits are retried with
/// growing delay after a fault is over, and two processors carry everything.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// How long after a moment the watch may show what was declared then.
pub(crate) const LAG: Duration = Duration::from_secs(5);

/// What somebody has in the store at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) account: String,
    pub(crate) namespace: String,
    pub(crate) owner: String,
    pub(crate) owner_uid: String,
    pub(crate) enabled: bool,
    pub(crate) permissions: BTreeSet<String>,
}

/// O7: at any moment nobody has what wasn't declared at any time of the span before it, and nobody
/// is enabled who was declared to be disabled throughout.
pub(crate) fn rights(
    held: &[Held],
    declared: &Declarations,
    span: impl Fn(&Held) -> (Instant, Instant),
) -> Vec<String> {
    let mut complaints = vec![];
    for held in held {
        let (from, to) = span(held);
        let Held { account, namespace, owner, owner_uid, enabled, permissions } = held;
        let Some(allowed) = declared.allowed(namespace, owner_uid, from, to) else { continue };
        let too_many: Vec<&String> = permissions.difference(&allowed).collect();
        if !too_many.is_empty() {
            complaints.push(format!("the account {account} of {owner} in {namespace} has {too_many:?}, which nobody declares"));
        }
        if *enabled && declared.may_be_enabled(owner_uid, from, to) == Some(false) {
            complaints.push(format!("the account {account} of {owner} in {namespace} is enabled, and declared to be disabled"));
        }
    }
    complaints
}

/// O7: a revocation, or any other edit, that the API server acknowledged is in force within the
/// bound while a leader works.
pub(crate) fn late(latencies: &[Latency], bound: Duration) -> Vec<String> {
    let late = latencies.iter().filter(|latency| latency.net > bound);
    let what = |latency: &Latency| if latency.revocation { "a revocation" } else { "an edit" };
    late.map(|late| {
        let Latency { took, net, beside, .. } = late;
        format!(
            "{} took {took:.1?}, of which {net:.1?} while a leader worked, beside {beside:?}",
            what(late)
        )
    })
    .collect()
}

/// O18: a condition's time of transition moves only where its status changes.
pub(crate) fn transitions(before: &Value, after: &Value) -> Vec<String> {
    let conditions = |object: &Value| -> BTreeMap<String, (Value, Value)> {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let pair = |condition: &Value| {
            (condition["status"].clone(), condition["lastTransitionTime"].clone())
        };
        conditions
            .filter_map(|condition| Some((condition["type"].as_str()?.to_owned(), pair(condition))))
            .collect()
    };
    let (before, object, after) = (conditions(before), after, conditions(after));
    let mut complaints = vec![];
    for (kind, (status, time)) in &after {
        let Some((former_status, former_time)) = before.get(kind) else { continue };
        if former_status == status && former_time != time {
            let metadata = &object["metadata"];
            complaints.push(format!(
                "{kind} of {} in {} stayed {status}, and its time of transition went from {former_time} to {time}",
                metadata["name"], metadata["namespace"]
            ));
        }
    }
    complaints
}

/// O1, O8: whoever has an account has exactly the permissions that follow from the resources as
/// they are now.
pub(crate) fn permissions(users: &[Value], groups: &[Value], held: &[Held]) -> Vec<String> {
    let key = |object: &Value| {
        let text = |pointer| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (text("/metadata/namespace"), text("/metadata/name"))
    };
    let wishes: BTreeMap<(String, String), Wish> =
        users.iter().map(|user| (key(user), Wish::of(user))).collect();
    let gifts: BTreeMap<(String, String), Gift> =
        groups.iter().map(|group| (key(group), Gift::of(group))).collect();
    let mut complaints = vec![];
    for Held { namespace, owner, permissions, .. } in held {
        let Some(wish) = wishes.get(&(namespace.clone(), owner.clone())) else { continue };
        let (mut expected, mut next, mut visited) =
            (BTreeSet::new(), Some(owner.clone()), BTreeSet::new());
        while let Some(name) = next.take().filter(|name| visited.insert(name.clone())) {
            let Some(wish) = wishes.get(&(namespace.clone(), name)) else { break };
            expected.extend(wish.grants.iter().cloned());
            next.clone_from(&wish.source);
        }
        let gift = gifts.get(&(namespace.clone(), wish.group.clone())).cloned().unwrap_or_default();
        expected.extend(gift.permissions);
        if gift.full_control || wish.group == "administrators" {
            expected.insert("*".to_owned());
        }
        if *permissions != expected {
            complaints.push(format!(
                "{owner} in {namespace} has {permissions:?}, and the resources say {expected:?}"
            ));
        }
    }
    complaints
}

/// O2, O12: nothing was written between two moments, neither to objects nor to rows.
pub(crate) fn unchanged<K: Ord + Clone + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> Vec<String> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    changed
        .map(|key| format!("{key:?} was {:?}, and is {:?}", before.get(key), after.get(key)))
        .collect()
}

/// O13, O14: no month was closed that isn't over. Months are given with their ends, in microseconds
/// since 1970.
pub(crate) fn closed_months(closed: &[(String, i64)], now: i64) -> Vec<String> {
    let early = closed.iter().filter(|(_, end)| *end > now);
    early.map(|(month, _)| format!("the month {month} was closed before it was over")).collect()
}

/// O17: of a namespace that is gone nothing lives but accounts that were released.
pub(crate) fn left_behind(
    held: &[Held],
    namespace: &str,
    released: &BTreeSet<String>,
) -> Vec<String> {
    let left =
        held.iter().filter(|held| held.namespace == namespace && !released.contains(&held.owner));
    left.map(|held| {
        format!("{} of {namespace} has an account, and the namespace is gone", held.owner)
    })
    .collect()
}

/// O20: an organization that has an administrator keeps an enabled one.
pub(crate) fn control(held: &[Held], organizations: &BTreeSet<String>) -> Vec<String> {
    let controls = |held: &&Held| held.enabled && held.permissions.contains("*");
    let controlled: BTreeSet<&String> =
        held.iter().filter(controls).map(|held| &held.namespace).collect();
    let lost = organizations.iter().filter(|organization| !controlled.contains(organization));
    lost.map(|organization| {
        format!("{organization} has no enabled user with full control any more")
    })
    .collect()
}

/// O22: no operator panicked.
pub(crate) fn panics(logs: &[(String, Vec<u8>)]) -> Vec<String> {
    let panicked =
        logs.iter().filter(|(_, log)| String::from_utf8_lossy(log).contains("panicked at"));
    panicked.map(|(name, _)| format!("{name} tells of a panic")).collect()
}

/// O23: a transaction that is past its deadline is said to be overdue. Given are those that are in
/// flight, by their owners, and the owners who say so.
pub(crate) fn overdue(
    past_deadline: &[(String, String)],
    told: &BTreeSet<(String, String)>,
) -> Vec<String> {
    let silent = past_deadline.iter().filter(|owner| !told.contains(owner));
    silent
        .map(|(namespace, owner)| {
            format!("a transaction of {owner} in {namespace} is late, and nobody says so")
        })
        .collect()
}
