//! What happens in the cluster, as lists and watches report it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;

use crate::api::{Lenient, OrgEmailDomain, User, UserGroup};
use crate::domain::object_key::{Kind, ObjectKey};

/// Something that happened in the cluster.
#[derive(Debug)]
pub enum ClusterEvent {
    /// The cluster was rolled back, as by a restore of etcd: every scope is listed again.
    RolledBack {
        /// Of which kind that was noticed.
        kind: Kind,
        /// A version that was known.
        known: u64,
        /// The version that the cluster had later.
        found: u64,
    },
    /// A list of a kind begins; what it doesn't name is gone when it ends.
    ListStarted(Scope),
    /// A list names an object.
    Listed {
        /// The list.
        listing: Arc<WatchListing>,
        /// The object.
        item: Box<ClusterEvent>,
    },
    /// A list of a kind is complete.
    ListCompleted(Scope),
    /// A namespace is as given.
    Namespace(Box<Namespace>),
    /// A user is as given.
    User(Box<Lenient<User>>),
    /// A group is as given.
    Group(Box<Lenient<UserGroup>>),
    /// A listed domain is as given.
    Domain(Box<Lenient<OrgEmailDomain>>),
    /// A Secret of our type is there, in this version.
    Secret {
        /// Which.
        key: ObjectKey,
        /// Its uid and its version.
        seen: CachedSecret,
    },
    /// An object is gone, as of this version.
    Deleted(ObjectKey, u64),
    /// A watch broke, and is taken up again.
    WatchFailed(Scope),
}

/// What one watch sees: a kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The kind.
    pub kind: Kind,
    /// The namespace; all where absent.
    pub namespace: Option<String>,
}

impl ClusterEvent {
    /// Returns which object it is, where it is one.
    #[must_use]
    pub fn key(&self) -> Option<ObjectKey> {
        fn of(kind: Kind, metadata: &ObjectMeta) -> ObjectKey {
            ObjectKey::new(
                kind,
                metadata.namespace.clone().unwrap_or_default(),
                metadata.name.clone().unwrap_or_default(),
            )
        }
        match self {
            Self::Namespace(namespace) => Some(ObjectKey::new(
                Kind::Organization,
                namespace.metadata.name.clone().unwrap_or_default(),
                "",
            )),
            Self::User(user) => Some(of(Kind::User, &user.object.metadata)),
            Self::Group(group) => Some(of(Kind::UserGroup, &group.object.metadata)),
            Self::Domain(domain) => Some(of(Kind::OrgEmailDomain, &domain.object.metadata)),
            Self::Secret { key, .. } => Some(key.clone()),
            Self::RolledBack { .. }
            | Self::ListStarted(_)
            | Self::Listed { .. }
            | Self::ListCompleted(_)
            | Self::Deleted(..)
            | Self::WatchFailed(_) => None,
        }
    }

    /// Returns the version of the object; 0 where it is none, or can't be read.
    #[must_use]
    pub fn version(&self) -> u64 {
        let version = match self {
            Self::Namespace(namespace) => namespace.metadata.resource_version.as_deref(),
            Self::User(user) => user.object.metadata.resource_version.as_deref(),
            Self::Group(group) => group.object.metadata.resource_version.as_deref(),
            Self::Domain(domain) => domain.object.metadata.resource_version.as_deref(),
            Self::Secret { seen, .. } => Some(seen.resource_version.as_str()),
            _ => None,
        };
        number(version)
    }
}

/// A list of a scope, as of this version.
#[derive(Debug, PartialEq, Eq)]
pub struct WatchListing {
    /// The scope.
    pub scope: Scope,
    /// The version of the list; its objects have this one or older ones.
    pub version: u64,
}

/// A Secret of our type as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedSecret {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
}

/// Returns a resourceVersion as a number; 0 where it is none.
///
/// Since Kubernetes 1.35 versions of one resource may be compared as numbers; every API server on
/// etcd has such ones.
#[must_use]
pub fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
