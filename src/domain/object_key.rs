//! The name of an object in the cluster.

/// What is looked at, the kinds that others depend on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr)]
pub enum Kind {
    /// A Secret of our type; only its version is seen, and nobody looks at it by itself.
    Secret,
    /// A namespace with the groups that it lacks.
    Organization,
    /// An `OrgEmailDomain`.
    OrgEmailDomain,
    /// A `UserGroup`.
    UserGroup,
    /// A `User`.
    User,
}

/// Names an object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// What it is.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty for an organization.
    pub name: String,
}

impl ObjectKey {
    /// Returns the key of an object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}
