//! Groups: what their members may do, and the two that every organization has.

use std::collections::BTreeSet;

use super::permission::{Permission, Permissions};
use super::profile::SelfServiceField;

/// The group with full control that every organization has.
pub const ADMINISTRATORS: &str = "administrators";
/// The group of everybody else that every organization has.
pub const USERS: &str = "users";

/// What a group gives its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupContent {
    /// Whether members have full control.
    pub full_control: bool,
    /// What every member may do.
    pub permissions: Permissions,
    /// Which of their own details members may change.
    pub self_service: BTreeSet<SelfServiceField>,
}

impl GroupContent {
    /// Returns what a group that nobody declared gives: `administrators` and `users` are there in
    /// every organization, others aren't.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            ADMINISTRATORS => Some(Self { full_control: true, ..Self::default() }),
            USERS => Some(Self::default()),
            _ => None,
        }
    }

    /// Returns the permissions that every member gets, `*` for full control.
    #[must_use]
    pub fn given(&self) -> Permissions {
        let mut given = self.permissions.clone();
        if self.full_control {
            given.insert(Permission::full_control());
        }
        given
    }
}
