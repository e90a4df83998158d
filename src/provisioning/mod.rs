//! Provisioning of directories: the entries that other software reads follow the store.
//!
//! Provisioning sends whole entries until they are acknowledged. A directory's client finds by
//! itself what it has of the account, so that a lost reply never makes a duplicate, and writes only
//! what differs. The queue keeps the order: of one account, one request at a time is in flight to a
//! directory.

mod address;
mod entry;
mod fake;
mod imported;
mod ldap;
pub mod queue;
mod scim;
pub mod secret_source;
pub mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::account::EntryHandle;
use crate::plan::in_flight::DirectoryProblem;

pub use self::address::DirectoryUrl;
pub use self::entry::{DirectoryUser, Entry, LoginPassword};
use self::fake::FakeDirectory;
pub use self::imported::{ImportedUser, ListedEntry, People};
use self::ldap::Ldap;
use self::scim::Scim;

/// How long a directory may take for one entry.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that a directory's own words about a refusal get in a status.
const MAX_WORDS: usize = 200;

/// Why a directory didn't take an entry. Its text stands in the account's status, so it has no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum DirectoryError {
    /// Its address, or a file that the address names, can't be used.
    #[error("{0}")]
    Configuration(String),
    /// Its kind can't do this.
    #[error("{0}")]
    Unsupported(String),
    /// It can't be reached, or fails at a request about itself as a whole; why, in short.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// It failed at a request about this account, or doesn't work at all: the next account shows
    /// which.
    #[error("it failed: {0}")]
    Failed(String),
    /// It refuses roster's credentials.
    #[error("it doesn't let roster in: {0}")]
    Unauthorized(String),
    /// It asks to wait.
    #[error("it asks to wait")]
    RateLimited {
        /// How long, if it gives a time.
        after: Option<Duration>,
        /// Whether it may carry out the request all the same.
        may_be_done: bool,
    },
    /// It didn't answer in time.
    #[error("it didn't answer in time")]
    Timeout,
    /// It refuses this account, for the reason that it gives.
    #[error("it refuses the account: {0}")]
    Refused(String),
    /// The entry changed while it was compared; the next try sees how.
    #[error("somebody else changed the entry at the same time")]
    Conflict,
    /// The Secret with the new password can't be read now.
    #[error("the Secret with the new password can't be read now")]
    SecretUnavailable,
    /// It had lost the entry with its password, and has the entry again.
    #[error("it had lost the entry, and is brought the password again")]
    EntryRecreated,
    /// It doesn't show an entry that it confirmed, without an answer that the entry is gone; the
    /// request.
    #[error("it doesn't show the entry that it has of the account: {0}")]
    NotShown(String),
    /// A comparison, which writes nothing, found the entry changed.
    #[error("somebody changed the entry there")]
    Drifted,
    /// Its answer doesn't follow the protocol.
    #[error("its answer can't be understood: {0}")]
    Protocol(String),
    /// Roster panicked; the log has the details.
    #[error("its answer can't be understood: roster failed at it; its log says where")]
    Internal,
}

impl DirectoryError {
    /// Returns a refusal in the directory's own words, made fit for a status: on one line, and
    /// short.
    #[must_use]
    pub fn refused(words: &str) -> Self {
        Self::Refused(truncate(words))
    }

    /// Whether the error shows that the directory works.
    #[must_use]
    pub fn proves_reachable(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::Conflict
            | Self::EntryRecreated
            | Self::NotShown(_)
            | Self::Drifted
            | Self::Protocol(_)
            | Self::Internal => true,
            Self::Timeout | Self::SecretUnavailable | Self::Failed(_) => false,
            Self::Configuration(_)
            | Self::Unsupported(_)
            | Self::Unreachable(_)
            | Self::Unauthorized(_)
            | Self::RateLimited { .. } => false,
        }
    }

    /// Whether it is about the directory as a whole, so that any other account would fail, too.
    #[must_use]
    pub fn is_about_directory(&self) -> bool {
        match self {
            Self::Configuration(_)
            | Self::Unsupported(_)
            | Self::Unreachable(_)
            | Self::Unauthorized(_)
            | Self::RateLimited { .. } => true,
            Self::Timeout
            | Self::Failed(_)
            | Self::Refused(_)
            | Self::Conflict
            | Self::SecretUnavailable
            | Self::EntryRecreated
            | Self::NotShown(_)
            | Self::Drifted
            | Self::Protocol(_)
            | Self::Internal => false,
        }
    }

    /// Returns the problem as a status reports it.
    #[must_use]
    pub fn as_problem(&self) -> DirectoryProblem {
        match self {
            Self::Refused(_)
            | Self::Configuration(_)
            | Self::Unsupported(_)
            | Self::Unauthorized(_)
            | Self::NotShown(_)
            | Self::Protocol(_)
            | Self::Internal => DirectoryProblem::Refused(self.to_string()),
            Self::Unreachable(_)
            | Self::Failed(_)
            | Self::RateLimited { .. }
            | Self::Timeout
            | Self::Conflict
            | Self::SecretUnavailable
            | Self::EntryRecreated
            | Self::Drifted => DirectoryProblem::Unavailable(self.to_string()),
        }
    }

    /// Returns the other error if only its outcome is unknown, else this one.
    fn or_more_open(self, other: Self) -> Self {
        let is_more_open = other.outcome_unknown() && !self.outcome_unknown();
        if is_more_open { other } else { self }
    }

    /// Whether the request may still be carried out.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            // A gateway that answers that it failed, or with a page of its own, may have passed the
            // request on.
            Self::Timeout
            | Self::Unreachable(_)
            | Self::Failed(_)
            | Self::Protocol(_)
            | Self::Internal => true,
            Self::RateLimited { may_be_done, .. } => *may_be_done,
            Self::Configuration(_)
            | Self::Unsupported(_)
            | Self::Unauthorized(_)
            | Self::Refused(_)
            | Self::Conflict
            | Self::SecretUnavailable
            | Self::EntryRecreated
            | Self::NotShown(_)
            | Self::Drifted => false,
        }
    }
}

/// Returns the answers, or the error that counts for all: first one whose outcome is unknown.
fn all_of<T>(
    answers: impl IntoIterator<Item = Result<T, DirectoryError>>,
) -> Result<Vec<T>, DirectoryError> {
    let mut all = Ok(vec![]);
    for answer in answers {
        all = match (all, answer) {
            (Ok(mut answers), Ok(answer)) => {
                answers.push(answer);
                Ok(answers)
            }
            (Err(first), Err(error)) => Err(first.or_more_open(error)),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        };
    }
    all
}

/// Returns a foreign text on one line, printable, and short enough for a status.
fn truncate(words: &str) -> String {
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    let line: String = words
        .chars()
        .map(printable)
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The confirmation of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// The directory's own key of the entry; nothing where the entry is gone, or the key isn't
    /// known.
    pub handle: Option<EntryHandle>,
    /// Whether anything had to be written.
    pub wrote: bool,
    /// Whether an earlier request without an answer, which was repeated with success, may still be
    /// carried out.
    pub may_be_late: bool,
}

/// The groups that organizations have, by namespace.
pub type Groups = BTreeMap<String, BTreeSet<String>>;

/// A directory.
#[derive(Clone, Debug)]
pub struct Directory {
    name: String,
    protocol: Protocol,
}

#[derive(Clone, Debug)]
enum Protocol {
    Ldap(Ldap),
    Rehearsal(FakeDirectory),
    Scim(Scim),
}

impl Directory {
    /// Opens the directory at an address, without connecting.
    pub fn open(address: &str) -> Result<Self, DirectoryError> {
        let address = DirectoryUrl::parse(address)?;
        let name = address.name().to_owned();
        let protocol = match address.scheme() {
            "ldap" | "ldaps" => Protocol::Ldap(Ldap::open(address)?),
            "rehearsal" => Protocol::Rehearsal(FakeDirectory::new(address.path().into())),
            "scim+https" | "scim+http" => Protocol::Scim(Scim::open(address)?),
            _ => return Err(address.unknown_scheme()),
        };
        Ok(Self { name, protocol })
    }

    /// Returns the name that statuses, metrics and the store use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it takes a new password as its text, rather than as a hash.
    #[must_use]
    pub fn takes_password_texts(&self) -> bool {
        match &self.protocol {
            // A hash of Argon2id is what a bind is checked against.
            Protocol::Ldap(_) | Protocol::Rehearsal(_) => false,
            Protocol::Scim(scim) => scim.sends_passwords(),
        }
    }

    /// Sends one entry to the directory.
    ///
    /// # Errors
    /// When the directory didn't confirm it; it may have applied it all the same.
    pub async fn provision(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let bringing = async {
            match &self.protocol {
                Protocol::Ldap(ldap) => Box::pin(ldap.provision(entry)).await,
                Protocol::Rehearsal(rehearsal) => rehearsal.provision(entry).await,
                Protocol::Scim(scim) => scim.provision(entry).await,
            }
        };
        tokio::time::timeout(TIMEOUT, bringing).await.unwrap_or(Err(DirectoryError::Timeout))
    }

    /// Drops the groups of these organizations that roster created, that have no members, and that
    /// aren't among these any more.
    pub async fn drop_groups(&self, present: &Groups) -> Result<(), DirectoryError> {
        let dropping = async {
            match &self.protocol {
                // A group goes with its last member.
                Protocol::Ldap(_) | Protocol::Rehearsal(_) => Ok(()),
                Protocol::Scim(scim) => scim.drop_groups(present).await,
            }
        };
        tokio::time::timeout(TIMEOUT, dropping).await.unwrap_or(Err(DirectoryError::Timeout))
    }

    /// Returns all people in the directory.
    ///
    /// # Errors
    /// When it can't be listed whole, or isn't one that can be imported from.
    pub async fn people(&self) -> Result<People, DirectoryError> {
        match &self.protocol {
            Protocol::Scim(scim) => scim.people().await,
            Protocol::Ldap(_) | Protocol::Rehearsal(_) => Err(self.cannot_be_imported()),
        }
    }

    /// Returns all entries of the directory.
    pub async fn list_entries(&self) -> Result<Vec<ListedEntry>, DirectoryError> {
        match &self.protocol {
            Protocol::Ldap(ldap) => ldap.list_entries().await,
            Protocol::Rehearsal(rehearsal) => rehearsal.list_entries().await,
            Protocol::Scim(scim) => scim.list_entries().await,
        }
    }

    /// Links an existing entry to an account by the account's id, so that it is provisioned from
    /// then on.
    ///
    /// # Errors
    /// When the entry isn't there, another is the account's already, or the directory doesn't
    /// confirm it.
    pub async fn link(&self, id: &str, external_id: &str) -> Result<(), DirectoryError> {
        match &self.protocol {
            Protocol::Scim(scim) => scim.link(id, external_id).await,
            Protocol::Ldap(_) | Protocol::Rehearsal(_) => Err(self.cannot_be_imported()),
        }
    }

    fn cannot_be_imported(&self) -> DirectoryError {
        let name = &self.name;
        DirectoryError::Unsupported(format!(
            "{name} can't be imported from: only a directory at scim+https:// or scim+http:// can"
        ))
    }
}
