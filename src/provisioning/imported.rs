//! The people and groups that an import finds in a directory.

use std::collections::BTreeMap;

use crate::domain::account::{AccountId, EntryHandle};
use crate::domain::profile::Profile;

/// All people in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// The people.
    pub people: Vec<ImportedUser>,
    /// The groups that can't be read, and why: their members are unknown.
    pub unreadable_groups: Vec<String>,
}

/// An entry that a directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The directory's own key of it.
    pub handle: EntryHandle,
    /// The account that it is of, where it has an account's id.
    pub account: Option<AccountId>,
    /// The name that the person logs in with.
    pub login_name: String,
    /// Whether the person may log in; true where the directory has no value.
    pub active: bool,
    /// The names of the groups that it is in.
    pub groups: Vec<String>,
}

impl ListedEntry {
    /// Returns what an administrator of the directory finds the entry by: its DN or id.
    #[must_use]
    pub fn place(&self) -> String {
        let EntryHandle(text) = &self.handle;
        let parts: Option<BTreeMap<String, serde_json::Value>> = serde_json::from_str(text).ok();
        let part = |name| parts.as_ref()?.get(name)?.as_str().map(str::to_owned);
        part("dn").or_else(|| part("id")).unwrap_or_else(|| text.clone())
    }
}

/// A person in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedUser {
    /// The directory's own key of the entry.
    pub id: String,
    /// The entry's `externalId`: the account id where roster created or linked it.
    pub external_id: Option<String>,
    /// The name that the person logs in with; empty only where it can't be read.
    pub login_name: String,
    /// Whether the person may log in; true where the directory has no value.
    pub active: bool,
    /// The primary email address, else the first.
    pub email: Option<String>,
    /// Of numbers and addresses the primary one, else the first; without a name to show where the
    /// directory has none.
    pub profile: Profile,
    /// The primary role, else the first.
    pub role: Option<String>,
    /// The entitlements, sorted.
    pub permissions: Vec<String>,
    /// The names of the groups that have the person as a member, sorted.
    pub groups: Vec<String>,
    /// How many other values there are of what an account has one of, by the name of the attribute,
    /// such as `phoneNumbers`.
    pub further: BTreeMap<&'static str, usize>,
    /// What of the entry can't be read, and why; the rest is as far as it can be.
    pub unreadable: Vec<String>,
}
