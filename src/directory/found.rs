//! What a directory has already, as an import looks at it.

use std::collections::BTreeMap;

use crate::domain::account::{AccountId, EntryHandle, PostalAddress};

/// An entry that a directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The directory's own key of it.
    pub handle: EntryHandle,
    /// The account that it is of, where it has an account's id.
    pub account: Option<AccountId>,
    /// The name that the person logs in with.
    pub login_name: String,
    /// Whether the person may log in; so it is where the directory doesn't say.
    pub active: bool,
    /// The names of the groups that it is in.
    pub groups: Vec<String>,
}

/// A person whom a directory has, whoever put them there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The directory's own key of the entry.
    pub id: String,
    /// What another system knows the entry by; the account id where roster brought or linked it.
    pub external_id: Option<String>,
    /// The name that the person logs in with; empty only where it can't be read.
    pub login_name: String,
    /// Whether the person may log in; so it is where the directory doesn't say.
    pub active: bool,
    /// The primary email address, else the first.
    pub email: Option<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// The primary telephone number, else the first.
    pub phone: Option<String>,
    /// The primary postal address, else the first.
    pub address: Option<PostalAddress>,
    /// The time zone by its IANA name.
    pub time_zone: Option<String>,
    /// The primary role, else the first.
    pub role: Option<String>,
    /// The entitlements, sorted.
    pub permissions: Vec<String>,
    /// The names of the groups that have the person as a member, sorted.
    pub groups: Vec<String>,
    /// How many other values there are of what an account has one of, by the name of the attribute, such as `phoneNumbers`.
    pub further: BTreeMap<&'static str, usize>,
    /// What of the entry can't be read, and why; the rest is as far as it can be.
    pub unreadable: Vec<String>,
}
