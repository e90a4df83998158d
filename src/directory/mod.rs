//! Effects on directories: what other software already reads is brought to what the store has.
//!
//! A directory is handed whole entries with their revision, as often as it takes; it takes none that is older than the
//! one it has, so that nothing depends on their order.

mod rehearsal;

use std::time::Duration;

use serde::Serialize;

use self::rehearsal::Rehearsal;
use crate::domain::account::{Account, AccountId, Lifecycle, Revision};

/// How long a directory may take for one entry before it is asked again.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a directory is to have of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The account, by which a directory knows its entry whatever else changes.
    #[serde(serialize_with = "as_text")]
    pub account: AccountId,
    /// The account's revision that it is of.
    #[serde(serialize_with = "as_number")]
    pub revision: Revision,
    /// The person; nobody where the account is gone, or not to be seen yet.
    pub person: Option<Person>,
}

/// What a directory has of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The login name.
    pub login_name: String,
    /// The email address.
    pub email: String,
    /// Whether the person may log in.
    pub active: bool,
    /// The name to show.
    pub display_name: String,
    /// The name of the group.
    pub group: String,
}

impl Entry {
    /// Returns what directories are to have of a live account. A copy without an address of its own isn't to be seen.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let content = &account.content;
        let person = Person {
            login_name: account.login_name.to_string(),
            email: content.email.to_string(),
            active: content.lifecycle == Lifecycle::Enabled,
            display_name: content.profile.display_name.clone(),
            group: content.group.clone(),
        };
        let is_placeholder = content.email.copy_number().is_some();
        Self { account: account.id, revision: account.revision, person: (!is_placeholder).then_some(person) }
    }

    /// Whether it takes somebody's way in, and so goes before others.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        self.person.as_ref().is_none_or(|person| !person.active)
    }
}

fn as_text<S: serde::Serializer>(account: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(account)
}

fn as_number<S: serde::Serializer>(revision: &Revision, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(revision.0)
}

/// Why a directory didn't take an entry. What it says is told to whoever reads the account's status.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
pub enum DirectoryError {
    /// The address of a directory can't be understood.
    #[error("{0}")]
    Address(String),
    /// It can't be reached.
    #[error("it can't be reached")]
    Unreachable,
    /// It didn't answer in time.
    #[error("it didn't answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// It doesn't take this account.
    #[error("it refuses the account")]
    Refused,
}

/// A directory.
#[derive(Clone, Debug)]
pub struct Directory {
    name: String,
    rehearsal: Rehearsal,
}

impl Directory {
    /// Opens the directory at an address such as `rehearsal:///var/lib/roster/directory`, a folder that stands in for
    /// one in tests and rehearsals.
    ///
    /// # Errors
    /// When the address isn't one.
    pub fn open(address: &str) -> Result<Self, DirectoryError> {
        let folder = address.strip_prefix("rehearsal://").filter(|folder| folder.starts_with('/')).ok_or_else(|| {
            DirectoryError::Address(
                "a directory's address is rehearsal:///FOLDER, a stand-in for tests; SCIM and LDAP come in a later version"
                    .to_owned(),
            )
        })?;
        Ok(Self { name: address.to_owned(), rehearsal: Rehearsal::new(folder.into()) })
    }

    /// Returns the name by which the store and people know it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Brings one entry to the directory.
    ///
    /// # Errors
    /// When the directory didn't confirm it; it may have taken it all the same.
    pub async fn bring(&self, entry: &Entry) -> Result<(), DirectoryError> {
        tokio::time::timeout(PATIENCE, self.rehearsal.bring(entry)).await.unwrap_or(Err(DirectoryError::Silent))
    }
}
