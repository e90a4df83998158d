//! Accounts: what the store keeps of a person, and who owns it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::email::Email;
use super::organization::LoginName;
use super::password::PasswordHash;
use super::permission::Permissions;
use super::profile::Profile;
use super::self_service::{Overrides, ProfileChange};

/// The store's own key of an account, a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Uuid);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often an account was written; a plan names the one it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// What a directory confirmed of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryAck {
    /// The revision that it has.
    pub revision: Revision,
    /// What of the person it has; nothing where it has nobody, or where that is in doubt.
    pub fingerprint: Option<EntryDigest>,
    /// The directory's own key of the entry, where it is known.
    pub handle: Option<EntryHandle>,
}

/// A directory's own key of an account's entry, by which the entry is found where nothing else of
/// it is shown any more. Its text is the directory client's own, and means nothing to anybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryHandle(pub String);

/// What tells one content of a directory's entry from another, at the same revision too:
/// permissions change with others'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryDigest {
    /// A digest of everything but the password; empty where that is in doubt.
    pub person: String,
    /// A digest of what gives rights: whether the person may log in, the group and the permissions.
    /// Absent where an earlier version wrote it.
    pub rights: Option<String>,
    /// A digest of the password's hash, where there is one.
    pub password: Option<String>,
}

impl fmt::Display for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { person, rights, password } = self;
        f.write_str(person)?;
        if person.is_empty() && rights.is_none() && password.is_none() {
            // No text at all stands for an entry of nobody.
            f.write_str(".")?;
        }
        if let Some(rights) = rights {
            write!(f, ".{rights}")?;
        }
        if let Some(password) = password {
            write!(f, "/{password}")?;
        }
        Ok(())
    }
}

impl EntryDigest {
    /// Takes a fingerprint as a store has it.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let (content, password) = text
            .split_once('/')
            .map_or((text, None), |(content, password)| (content, Some(password)));
        let (person, rights) = content
            .split_once('.')
            .map_or((content, None), |(person, rights)| (person, Some(rights)));
        let rights = rights.filter(|rights| !rights.is_empty());
        Self {
            person: person.to_owned(),
            rights: rights.map(str::to_owned),
            password: password.map(str::to_owned),
        }
    }

    /// Whether who has this needn't be brought the other. A directory keeps the password of who may
    /// not log in, and of them the other one has none.
    #[must_use]
    pub fn has(&self, other: &Self) -> bool {
        self.person == other.person && (other.password.is_none() || self.password == other.password)
    }
}

/// What each directory confirmed of an account, by the directory's name.
pub type Confirmations = BTreeMap<String, DirectoryAck>;

/// The resource that owns an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The name of the `User`.
    pub name: String,
    /// The uid of the `User`, by which the store knows a re-created one.
    pub uid: String,
    /// The newest generation of the `User` that was applied.
    pub generation: i64,
}

/// Everything about an account that its `User` decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSpec {
    /// The address, unique in the organization.
    pub email: Email,
    /// Whether the person may log in.
    pub lifecycle: LoginState,
    /// The name of the group.
    pub group: String,
    /// The permissions that the `User` itself lists.
    pub grants: Permissions,
    /// Where more permissions come from.
    pub source: Option<Source>,
    /// The person's role.
    pub role: Option<String>,
    /// The teams the person works in.
    pub teams: BTreeSet<String>,
    /// Who the person is and how to reach them.
    pub profile: Profile,
    /// What was copied when the account was created; it holds where the `User` says nothing.
    pub copied: Option<Copied>,
    /// What the person changed themselves; it holds until the `User` says something else.
    pub member: Overrides,
}

impl AccountSpec {
    /// Takes in what the member changed of themselves.
    pub fn change_by_member(&mut self, change: &ProfileChange) {
        self.member.take(change, &self.profile, self.email.as_str());
        match change {
            ProfileChange::Email(value) => self.email.clone_from(value),
            change => self.profile.apply(change),
        }
    }
}

/// Where permissions beside the listed ones come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What another account has as its own, followed.
    Inherited {
        /// The name of the other `User`.
        from: String,
        /// On a loop nothing is followed: what stays of what the account had.
        kept: Option<Permissions>,
    },
    /// What another account had as its own, once.
    Cloned(Cloned),
}

impl Source {
    /// Returns the name of the other `User`.
    #[must_use]
    pub fn from(&self) -> &str {
        match self {
            Self::Inherited { from, .. } | Self::Cloned(Cloned { from, .. }) => from,
        }
    }
}

/// What another account had as its own permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloned {
    /// The name of the other `User`.
    pub from: String,
    /// Its uid at that moment.
    pub uid: String,
    /// Its generation at that moment.
    pub generation: i64,
    /// The permissions.
    pub permissions: Permissions,
}

/// What another account had of what isn't about permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The name of the other `User`.
    pub from: String,
    /// Its uid at that moment.
    pub uid: String,
    /// Its generation at that moment.
    pub generation: i64,
    /// Its role.
    pub role: Option<String>,
    /// Its teams.
    pub teams: BTreeSet<String>,
    /// Its profile.
    pub profile: Profile,
}

/// Whether the person may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginState {
    /// The person may log in.
    Enabled,
    /// The person can't log in; the account is billed all the same.
    Disabled,
}

/// An account as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The store's own key.
    pub id: AccountId,
    /// The namespace of the organization.
    pub namespace: String,
    /// How often it was written.
    pub revision: Revision,
    /// The `User` that owns it.
    pub owner: Owner,
    /// Fixed for the life of the account.
    pub login_name: LoginName,
    /// What its `User` decides.
    pub content: AccountSpec,
    /// When the store committed its creation.
    pub created: jiff::Timestamp,
    /// When the store committed the clone that is its source, if one is.
    pub cloned: Option<jiff::Timestamp>,
    /// The transaction in flight, or the last one.
    pub transaction: Transaction,
    /// What the person logs in with, once a password was set.
    pub credential: Option<Credential>,
    /// What each directory confirmed.
    pub confirmed: Confirmations,
}

/// What a person logs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The hash of the password that logs in: the Secret's, or the member's own.
    pub login: PasswordHash,
    /// The last password that came from a Secret; nothing where none ever did.
    pub from_secret: Option<SecretPassword>,
}

impl Credential {
    /// Returns what a password from a Secret makes of any credential.
    #[must_use]
    pub fn of_secret(password: SecretPassword) -> Self {
        Self { login: password.hash.clone(), from_secret: Some(password) }
    }

    /// Returns what a member's own password makes of the credential that was: the Secret's isn't
    /// forgotten.
    #[must_use]
    pub fn of_member(before: Option<&Self>, login: PasswordHash) -> Self {
        Self { login, from_secret: before.and_then(|before| before.from_secret.clone()) }
    }
}

/// A password that came from a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPassword {
    /// Its hash.
    pub hash: PasswordHash,
    /// Which version of which Secret it stood in.
    pub version: String,
}

/// An account that was deleted, as its tombstone and the journal have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedAccount {
    /// The account that was.
    pub account: AccountId,
    /// The namespace of its organization.
    pub namespace: String,
    /// The `User` that owned it.
    pub owner: Owner,
    /// The login name that it had.
    pub login_name: LoginName,
    /// How many cases lost their owner.
    pub cases_unassigned: i64,
    /// The Delete.
    pub transaction: Transaction,
    /// What each directory confirmed.
    pub confirmed: Confirmations,
}

/// A transaction of an account, as the store's journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The same after a crash and a retry.
    pub id: TransactionId,
    /// What it does.
    pub kind: TransactionKind,
    /// The account's revision that it made, which every directory is to confirm.
    pub revision: Revision,
    /// When the store wrote it down.
    pub started: jiff::Timestamp,
    /// When it is overdue.
    pub deadline: jiff::Timestamp,
    /// When the store and every directory had confirmed it.
    pub completed: Option<jiff::Timestamp>,
}

impl Transaction {
    /// Whether a directory has yet to confirm it.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.completed.is_none()
    }

    /// Whether it is in flight past its deadline.
    #[must_use]
    pub fn is_overdue(&self, now: jiff::Timestamp) -> bool {
        self.in_flight() && self.deadline <= now
    }

    /// Takes in what these directories confirmed; completes once all of them have what it did. What
    /// others confirmed is kept, for the day when they are in use again.
    pub(crate) fn confirm(
        &mut self,
        known: &mut Confirmations,
        confirmed: &Confirmations,
        directories: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) {
        for (directory, news) in
            confirmed.iter().filter(|(directory, _)| directories.contains(*directory))
        {
            let newest = known.entry(directory.clone()).or_insert_with(|| news.clone());
            if news.revision >= newest.revision {
                newest.clone_from(news);
            }
        }
        let has_it = |directory: &String| {
            known.get(directory).is_some_and(|known| known.revision >= self.revision)
        };
        if self.in_flight() && directories.iter().all(has_it) {
            self.completed = Some(now);
        }
    }
}

/// The id of a transaction, a UUIDv5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub Uuid);

/// The namespace of the ids of transactions (RFC 9562, section 5.5).
const TRANSACTIONS: Uuid = Uuid::from_u128(0x6f4b_8c1e_2d53_4a7f_9e06_c1d8_57a3_b9f2);

impl TransactionId {
    /// Returns the id of the one Create that a `User` can have.
    #[must_use]
    pub fn of_create(uid: &str) -> Self {
        Self(Uuid::new_v5(&TRANSACTIONS, uid.as_bytes()))
    }

    /// Returns the id of a later transaction of an account, planned from one of its revisions.
    #[must_use]
    pub fn of_change(account: AccountId, kind: TransactionKind, from: Revision) -> Self {
        Self(Uuid::new_v5(
            &TRANSACTIONS,
            format!("{account}/{}/{}", kind.as_str(), from.0).as_bytes(),
        ))
    }

    /// Returns the id of what a member begins at a revision of their account: never that of a plan
    /// made from it, which would pass for done once the member came first.
    #[must_use]
    pub fn of_member(account: AccountId, kind: TransactionKind, from: Revision) -> Self {
        Self(Uuid::new_v5(
            &TRANSACTIONS,
            format!("{account}/{}/{}/member", kind.as_str(), from.0).as_bytes(),
        ))
    }
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
pub enum TransactionKind {
    /// Creates the account.
    Create,
    /// Deletes the account.
    Delete,
    /// Changes the password.
    PasswordChange,
    /// Keeps the person from logging in.
    Disable,
    /// Lets the person log in again.
    Enable,
}

impl TransactionKind {
    /// Whether it takes rights away, and so waits for no other.
    #[must_use]
    pub fn revokes(self) -> bool {
        match self {
            Self::Delete | Self::Disable => true,
            Self::Create | Self::PasswordChange | Self::Enable => false,
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_was_written_and_one_in_doubt_is_not_that_of_nobody() {
        for person in ["", "person"] {
            for rights in [None, Some("rights".to_owned())] {
                for password in [None, Some("password".to_owned())] {
                    let own =
                        EntryDigest { person: person.to_owned(), rights: rights.clone(), password };
                    let text = own.to_string();
                    assert!(!text.is_empty(), "no text stands for nobody");
                    assert_eq!(EntryDigest::from_stored(&text), own);
                }
            }
        }
    }

    #[test]
    fn a_retried_transaction_has_the_same_id_and_a_second_one_another() {
        let account = AccountId(Uuid::from_u128(7));
        let disable = |revision| {
            TransactionId::of_change(account, TransactionKind::Disable, Revision(revision))
        };
        assert_eq!(disable(1), disable(1));
        assert_ne!(disable(1), disable(3));
        assert_ne!(
            disable(1),
            TransactionId::of_change(account, TransactionKind::Enable, Revision(1))
        );
        assert_ne!(TransactionId::of_create("a"), TransactionId::of_create("b"));
        assert_ne!(
            disable(1),
            TransactionId::of_member(account, TransactionKind::Disable, Revision(1))
        );
    }
}
