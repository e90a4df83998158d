//! Who works on a store: an operator claims the namespaces that it works in, and gets an epoch for as long as nobody
//! claims them after it.

use std::collections::BTreeSet;

use super::StoreError;

/// What an operator asks for before it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The namespaces that it works in; none stands for all.
    pub namespaces: BTreeSet<String>,
    /// Who it is, for people: the name of its pod, or its host and process.
    pub holder: String,
    /// The uid of the cluster's namespace `kube-system`.
    pub cluster: String,
    /// How far the last operator of these namespaces came, as far as the cluster knows.
    pub known: Progress,
    /// Whether the store may belong to another cluster until now.
    pub accept_cluster: bool,
    /// Whether operators that work in some of the namespaces are superseded instead of heeded.
    pub supersede: bool,
}

/// How far an operator has come: later is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Progress {
    /// The epoch that the store gave it; 0 where it gave none.
    pub epoch: i64,
    /// How many commits it has made in it.
    pub commits: i64,
}

impl Claim {
    /// Whether two operators would work in the same namespace.
    #[must_use]
    pub fn overlaps(&self, namespaces: &BTreeSet<String>) -> bool {
        self.namespaces.is_empty() || namespaces.is_empty() || !self.namespaces.is_disjoint(namespaces)
    }
}

/// A claim that stands: every commit is refused once another has taken its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Higher than that of every claim before it, and than any that the cluster knows of.
    pub epoch: i64,
    /// Whether the store knows of fewer claims or commits than the cluster: it was put back to an earlier time, or is another
    /// one.
    pub was_put_back: bool,
    /// The cluster that the store belonged to until now, where that was another.
    pub former_cluster: Option<String>,
}

/// Why an operator doesn't get to work.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The store belongs to another cluster.
    #[error(
        "the store belongs to another cluster (its kube-system has the uid {found}, this one's {asked}): two clusters on one store \
         would undo each other's work; if this cluster takes its place, stop the other's operator and start once with --accept-cluster"
    )]
    OtherCluster {
        /// The cluster that it belongs to.
        found: String,
        /// The cluster of the claim.
        asked: String,
    },
    /// Another operator works in some of the namespaces.
    #[error(
        "the operator {holder} works in {namespaces} of this store: give each operator namespaces of its own with --namespace, or \
         stop that one; if it is gone for good without having been told to stop, start once with --supersede"
    )]
    Overlapping {
        /// Who that is.
        holder: String,
        /// Its namespaces, for people.
        namespaces: String,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}
