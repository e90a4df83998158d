//! An object of a managed kind as last observed.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ObjectMeta;

use crate::api;
use crate::api::lenient::Unreadable;
use crate::api::status::{Condition, ConditionType};
use crate::controller::cluster_event::number;
use crate::plan::Meta;

/// A status that carries conditions.
pub trait HasConditions: Clone + Default + PartialEq + serde::Serialize {
    /// Returns the generation that it is about.
    fn observed_generation(&self) -> Option<i64>;
    /// Returns its conditions.
    fn conditions(&self) -> &[Condition];
    /// Returns its conditions, to be dated or replaced.
    fn conditions_mut(&mut self) -> &mut Vec<Condition>;
}

/// Objects of one kind by namespace and name.
pub type Objects<S, T> = BTreeMap<(String, String), CachedObject<S, T>>;

/// An object as last seen.
#[derive(Clone, Debug)]
pub struct CachedObject<S, T> {
    /// What it has beside its spec.
    pub meta: Meta,
    /// Its finalizers, ours among them.
    pub finalizers: Vec<String>,
    /// What it asks for.
    pub spec: Arc<S>,
    /// How large that is, in bytes of JSON.
    pub size: u64,
    /// Its status.
    pub status: T,
    /// Whether its status has fields that this version doesn't know, and must be replaced.
    pub has_foreign_status: bool,
    /// The version of it, which grows with each write to it.
    pub version: u64,
}

impl<S, T: HasConditions> CachedObject<S, T> {
    /// Returns the reason of its condition `Ready`.
    pub(super) fn ready_reason(&self) -> &'static str {
        let conditions = self.status.conditions();
        let ready = conditions.iter().find(|condition| condition.kind == ConditionType::Ready);
        ready.map_or("Unknown", |ready| ready.reason.as_str())
    }
}

pub(super) fn seen<S: serde::Serialize, T>(
    metadata: ObjectMeta,
    spec: S,
    status: T,
) -> CachedObject<S, T> {
    let annotations = metadata.annotations.unwrap_or_default();
    let annotated = |name: &str| annotations.get(name).is_some_and(|value| value == "true");
    let finalizers = metadata.finalizers.unwrap_or_default();
    let meta = Meta {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        paused: annotated(api::PAUSED),
        has_finalizer: finalizers.iter().any(|finalizer| finalizer == api::FINALIZER),
        release_requested: annotated(api::RELEASE),
        unreadable: Unreadable::default(),
    };
    let version = number(metadata.resource_version.as_deref());
    let size = size(&spec);
    CachedObject {
        meta,
        finalizers,
        spec: Arc::new(spec),
        size,
        status,
        has_foreign_status: false,
        version,
    }
}

/// Returns how large a value is as JSON, which isn't kept.
fn size(value: &impl serde::Serialize) -> u64 {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What can't be written isn't large.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Where an observed object comes from, which decides whether it overrides the cached one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A watch, or the answer to a write: the newer version counts.
    Watch,
    /// A list of this version: it counts, unless a newer version than that of the list is known.
    List(u64),
    /// The first list, or the first after a rollback of the cluster: it is taken as it is.
    Anew,
}

/// Returns the objects of a kind in one namespace, by name.
pub fn within<'a, S, T>(
    objects: &'a Objects<S, T>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a str, &'a CachedObject<S, T>)> {
    let first = (namespace.to_owned(), String::new());
    objects
        .range(first..)
        .take_while(move |(place, _)| place.0 == namespace)
        .map(|(place, seen)| (place.1.as_str(), seen))
}
