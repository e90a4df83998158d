//! The contents of the Lease: its holder, the namespaces, and the holders' progress.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::store::claims::CommitPosition;

/// The annotation with the namespaces that its holder manages.
pub(super) const NAMESPACES: &str = "roster.rs/namespaces";

/// The annotations with the last epoch that the store gave to holders, and the number of commits in
/// it: a store with fewer was rolled back.
pub(super) const EPOCH: &str = "roster.rs/epoch";
pub(super) const COMMITS: &str = "roster.rs/commits";

/// The annotation with the holder that has claimed the store last: one that holds the Lease and
/// isn't named here doesn't work yet.
pub(super) const CLAIMED_BY: &str = "roster.rs/claimed-by";

/// The annotations that operators write. Others' give way where the Lease has no room for both.
pub(super) const OWN_ANNOTATIONS: [&str; 4] = [NAMESPACES, EPOCH, COMMITS, CLAIMED_BY];

/// How many characters of a holder's name are logged: the API server takes names of a megabyte.
pub(super) const MAX_LOGGED: usize = 253;

/// Returns the name of the Lease of operators that work in these namespaces; none stands for all.
#[must_use]
pub fn lease_name(namespaces: &BTreeSet<String>) -> String {
    if namespaces.is_empty() {
        return "roster".to_owned();
    }
    let digest = Sha256::digest(listed(namespaces));
    let hex: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("roster-{hex}")
}

pub(super) fn listed(namespaces: &BTreeSet<String>) -> String {
    namespaces.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Returns a name for this process that no other has, also not the one after it on the same host.
#[must_use]
pub fn holder(host: &str) -> String {
    let random = RandomState::new().build_hasher().finish() >> 32;
    format!("{host}_{}_{random:08x}", std::process::id())
}

/// A Lease as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct ObservedLease {
    pub(super) lease: Lease,
    /// Since when it is unchanged.
    pub(super) since: Instant,
}

impl ObservedLease {
    /// Returns what is known of a Lease, from what was known and its contents now.
    pub(super) fn after(before: Option<Self>, lease: Lease, now: Instant) -> Self {
        let same = before.filter(|before| {
            before.lease.metadata.uid == lease.metadata.uid && before.lease.spec == lease.spec
        });
        Self { since: same.map_or(now, |before| before.since), lease }
    }

    /// Whether this holder may take it: it is free, or unrenewed for `duration`, or its own
    /// already, by a request whose answer got lost.
    ///
    /// The duration that the Lease names isn't used: a holder that another client made up would
    /// keep all replicas away for as long as it likes, and operators renew five times within their
    /// own duration.
    pub(super) fn is_free(&self, holder: &str, duration: Duration, now: Instant) -> bool {
        holder_of(&self.lease).is_none_or(|other| other == holder)
            || now.duration_since(self.since) > duration
    }
}

pub(super) fn annotation<'a>(lease: &'a Lease, name: &str) -> Option<&'a str> {
    lease.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Returns the holders' progress from the annotations; without those that are no number.
#[must_use]
pub fn progress_of(lease: &Lease) -> CommitPosition {
    let noted = |name| {
        annotation(lease, name)
            .and_then(|number| number.parse().ok())
            .filter(|count| *count >= 0)
            .unwrap_or(0)
    };
    CommitPosition { epoch: noted(EPOCH), commits: noted(COMMITS) }
}

/// Returns a Lease's holder.
#[must_use]
pub fn holder_of(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Returns a holder's name, cut off where it is longer than any operator's.
#[must_use]
pub fn shown(holder: &str) -> String {
    match holder.char_indices().nth(MAX_LOGGED) {
        Some((end, _)) => format!("{}…", &holder[..end]),
        None => holder.to_owned(),
    }
}

/// What a standby finds in a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The API server didn't answer.
    Unanswered,
    /// Its holder has claimed the store, or it is about to be free.
    Led,
    /// Its holder hasn't claimed the store, so that no replica works: for how long, as far as was
    /// observed.
    Unclaimed(Duration),
}

/// Since when the present holder of a Lease was seen without having claimed the store.
#[derive(Debug, Default)]
pub(super) struct Unclaimed {
    pub(super) since: Option<(String, Instant)>,
}

impl Unclaimed {
    pub(super) fn look(&mut self, lease: Option<&Lease>, now: Instant) -> Look {
        let holder = lease.and_then(|lease| {
            holder_of(lease).filter(|holder| annotation(lease, CLAIMED_BY) != Some(holder))
        });
        let Some(holder) = holder else {
            self.since = None;
            return Look::Led;
        };
        let known = self.since.take().filter(|(before, _)| before == holder);
        let (_, since) = self.since.insert(known.unwrap_or_else(|| (holder.to_owned(), now)));
        Look::Unclaimed(now.duration_since(*since))
    }
}

/// What a candidate writes into a Lease.
#[derive(Clone, Debug)]
pub(super) struct LeaseIdentity {
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) namespaces: BTreeSet<String>,
    pub(super) duration: Duration,
}

impl LeaseIdentity {
    /// Returns the Lease as this candidate's: taken, or renewed where it was before.
    pub(super) fn holding(&self, lease: Option<&Lease>, now: Timestamp) -> Lease {
        let mut held = lease.cloned().unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let is_mine = lease.and_then(holder_of) == Some(&self.holder);
        let annotations = held.metadata.annotations.get_or_insert_default();
        annotations.insert(
            NAMESPACES.to_owned(),
            if self.namespaces.is_empty() { "*".to_owned() } else { listed(&self.namespaces) },
        );
        let spec = held.spec.get_or_insert_default();
        if !is_mine {
            // A new Lease had no holder before.
            spec.lease_transitions = Some(
                lease.map_or(0, |_| spec.lease_transitions.unwrap_or(0).max(0).saturating_add(1)),
            );
            spec.acquire_time = Some(MicroTime(now));
        }
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds =
            Some(i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX).max(1));
        spec.renew_time = Some(MicroTime(now));
        held
    }
}

/// Returns the Lease with nothing on it but what its holder needs.
pub(super) fn bare(lease: &Lease) -> Lease {
    let metadata = lease.metadata.clone();
    let own = |name: &String| OWN_ANNOTATIONS.contains(&name.as_str());
    let annotations =
        metadata.annotations.map(|all| all.into_iter().filter(|(name, _)| own(name)).collect());
    let (name, uid, resource_version) = (metadata.name, metadata.uid, metadata.resource_version);
    let spec =
        lease.spec.clone().map(|spec| LeaseSpec { preferred_holder: None, strategy: None, ..spec });
    Lease {
        metadata: ObjectMeta { name, uid, resource_version, annotations, ..ObjectMeta::default() },
        spec,
    }
}

/// Returns the Lease without a holder, to be taken at once.
pub(super) fn let_go_of(lease: &Lease, now: Timestamp) -> Lease {
    let mut free = lease.clone();
    let LeaseSpec { holder_identity, lease_duration_seconds, renew_time, .. } =
        free.spec.get_or_insert_default();
    *holder_identity = Some(String::new());
    *lease_duration_seconds = Some(1);
    *renew_time = Some(MicroTime(now));
    free
}
