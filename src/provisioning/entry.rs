//! What a directory is to have of an account.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::account::{Account, AccountId, EntryDigest, EntryHandle, LoginState, Revision};
use crate::domain::password::{PasswordCandidate, PasswordHash};
use crate::domain::permission::Permissions;
use crate::domain::profile::Profile;

/// What a directory is to have of an account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The account, by which a directory knows its entry whatever else changes.
    #[serde(serialize_with = "as_text")]
    pub account: AccountId,
    /// The account's revision that it is of.
    #[serde(serialize_with = "as_number")]
    pub revision: Revision,
    /// The namespace of its organization.
    pub organization: String,
    /// Whether it adopts an entry, which an import may have linked to the account a moment ago.
    #[serde(skip)]
    pub adopts: bool,
    /// Whether it is only compared with what the directory has, which confirmed it before: what the
    /// directory shows is believed, and nothing is written. Where something differs, the answer is
    /// [`DirectoryError::Drifted`](super::DirectoryError::Drifted).
    #[serde(skip)]
    pub compares: bool,
    /// The directory's own key of the account's entry, if it returned one before.
    #[serde(skip)]
    pub handle: Option<EntryHandle>,
    /// Whether the directory confirmed before that it has an entry of the account.
    #[serde(skip)]
    pub was_confirmed: bool,
    /// The login name that an account had that is gone.
    #[serde(skip)]
    pub former_login_name: Option<String>,
    /// The person; `None` where the account is gone, or isn't visible yet.
    pub person: Option<DirectoryUser>,
}

/// What a directory has of a person. The words are those of RFC 7643, section 4.1.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryUser {
    /// The login name, fixed for the life of the account.
    pub login_name: String,
    /// The email address.
    pub email: String,
    /// Whether the person may log in.
    pub active: bool,
    /// The profile, without notification settings: no directory has a place for those.
    #[serde(flatten)]
    pub profile: Profile,
    /// The person's role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The name of the group within the organization.
    pub group: String,
    /// The permissions in effect, sorted; `*` is full control.
    pub permissions: Vec<String>,
    /// What the person logs in with, where a password was set and the person may log in.
    #[serde(skip)]
    pub password: Option<LoginPassword>,
}

/// What a person logs in with.
#[derive(Clone, Debug)]
pub struct LoginPassword {
    /// The hash that the store has.
    pub hash: PasswordHash,
    /// Whether the directory hasn't confirmed this password yet.
    pub is_new: bool,
    /// Its text, if it is new, the directory takes texts, and a Secret has it: no one has the text
    /// of a password that a member chose.
    pub text: Option<Arc<PasswordCandidate>>,
    /// Whether a Secret has the text of it and can't be read now: until it can, the former password
    /// isn't to let anybody in anew.
    pub is_unread: bool,
}

impl LoginPassword {
    /// Returns one that no directory has confirmed.
    #[must_use]
    pub fn new(hash: PasswordHash) -> Self {
        Self { hash, is_new: true, text: None, is_unread: false }
    }
}

impl Entry {
    /// Returns the entry of a live account with these permissions in effect. A copy without an
    /// address of its own isn't visible yet.
    #[must_use]
    pub fn of(account: &Account, effective: &Permissions) -> Self {
        let content = &account.content;
        let profile = Profile { notifications: BTreeSet::new(), ..content.profile.clone() };
        let active = content.lifecycle == LoginState::Enabled;
        // A person who may not log in needs none, and doesn't wait for one that can't be read.
        let password = account
            .credential
            .as_ref()
            .filter(|_| active)
            .map(|credential| credential.login.clone());
        let person = DirectoryUser {
            login_name: account.login_name.to_string(),
            email: content.email.to_string(),
            active,
            profile,
            role: content.role.clone(),
            group: content.group.clone(),
            permissions: effective.iter().map(ToString::to_string).collect(),
            password: password.map(LoginPassword::new),
        };
        let is_placeholder = content.email.copy_number().is_some();
        Self {
            account: account.id,
            revision: account.revision,
            organization: account.namespace.clone(),
            adopts: false,
            compares: false,
            handle: None,
            was_confirmed: false,
            former_login_name: None,
            person: (!is_placeholder).then_some(person),
        }
    }

    /// Returns the entry of an account that is gone since this revision.
    #[must_use]
    pub fn gone(account: AccountId, revision: Revision, organization: &str) -> Self {
        Self {
            account,
            revision,
            organization: organization.to_owned(),
            adopts: false,
            compares: false,
            handle: None,
            was_confirmed: false,
            former_login_name: None,
            person: None,
        }
    }

    /// Whether it revokes the person's login, and so goes before others.
    #[must_use]
    pub fn revokes_login(&self) -> bool {
        self.person.as_ref().is_none_or(|person| !person.active)
    }

    /// Returns what it is known by once a directory confirmed it: another content has another.
    #[must_use]
    pub fn fingerprint(&self) -> Option<EntryDigest> {
        let person = self.person.as_ref()?;
        let json = serde_json::to_vec(person).unwrap_or_default();
        let password = person
            .password
            .as_ref()
            .map(|password| short_digest(password.hash.as_str().as_bytes()));
        Some(EntryDigest { person: short_digest(&json), rights: Some(person.rights()), password })
    }
}

impl DirectoryUser {
    /// Whether the person can log in anywhere with what a directory is to have.
    #[must_use]
    pub fn lets_in(&self) -> bool {
        self.active && self.password.is_some()
    }

    /// Returns a digest of what gives the person rights.
    fn rights(&self) -> String {
        let rights =
            serde_json::to_vec(&(self.active, &self.group, &self.permissions)).unwrap_or_default();
        short_digest(&rights)
    }
}

/// 128 bits are enough to distinguish two contents.
fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_text<S: serde::Serializer>(account: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(account)
}

fn as_number<S: serde::Serializer>(revision: &Revision, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(revision.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{
        AccountSpec, Credential, Owner, Transaction, TransactionId, TransactionKind,
    };
    use crate::domain::email::Email;
    use crate::domain::organization::LoginName;
    use crate::domain::profile::PostalAddress;
    use crate::domain::self_service::Overrides;

    fn account() -> Account {
        let transaction = Transaction {
            id: TransactionId(uuid::Uuid::nil()),
            kind: TransactionKind::Create,
            revision: Revision(1),
            started: jiff::Timestamp::UNIX_EPOCH,
            deadline: jiff::Timestamp::UNIX_EPOCH,
            completed: None,
        };
        Account {
            id: AccountId(uuid::Uuid::nil()),
            namespace: "acme".to_owned(),
            revision: Revision(1),
            owner: Owner { name: "alice".to_owned(), uid: "uid".to_owned(), generation: 1 },
            login_name: LoginName::from_stored("alice.acme".to_owned()),
            content: AccountSpec {
                email: Email::parse("alice@acme.example").unwrap(),
                lifecycle: LoginState::Enabled,
                group: "users".to_owned(),
                grants: [].into(),
                source: None,
                role: None,
                teams: [].into(),
                profile: Profile { display_name: "Alice".to_owned(), ..Profile::default() },
                copied: None,
                member: Overrides::default(),
            },
            created: jiff::Timestamp::UNIX_EPOCH,
            cloned: None,
            transaction,
            credential: Some(Credential {
                login: PasswordHash::from_stored("a hash".to_owned()),
                from_secret: None,
            }),
            confirmed: [].into(),
        }
    }

    #[test]
    fn every_part_of_a_person_tells_in_the_fingerprint_and_the_password_in_a_part_of_its_own() {
        let none = Permissions::new();
        let before = Entry::of(&account(), &none).fingerprint().unwrap();
        let edits: [fn(&mut Account); 8] = [
            |account| account.content.email = Email::parse("alice.smith@acme.example").unwrap(),
            |account| account.content.lifecycle = LoginState::Disabled,
            |account| account.content.group = "drivers".to_owned(),
            |account| account.content.role = Some("Driver".to_owned()),
            |account| account.content.profile.display_name = "Alice Smith".to_owned(),
            |account| account.content.profile.phone = Some("+1 602 555 0100".to_owned()),
            |account| account.content.profile.time_zone = Some("America/Phoenix".to_owned()),
            |account| account.content.profile.address = Some(PostalAddress::default()),
        ];
        for edit in edits {
            let mut edited = account();
            edit(&mut edited);
            assert_ne!(Entry::of(&edited, &none).fingerprint().unwrap().person, before.person);
        }
        let more: Permissions =
            [crate::domain::permission::Permission::parse("orders:read").unwrap()].into();
        assert_ne!(Entry::of(&account(), &more).fingerprint().unwrap().person, before.person);
        let mut rotated = account();
        rotated.credential = Some(Credential {
            login: PasswordHash::from_stored("another".to_owned()),
            from_secret: None,
        });
        let after = Entry::of(&rotated, &none).fingerprint().unwrap();
        assert_eq!(after.person, before.person);
        assert_ne!(after.password, before.password);
    }

    #[test]
    fn who_may_not_log_in_waits_for_no_password_and_has_it_brought_again_once_they_may() {
        let none = Permissions::new();
        let mut disabled = account();
        disabled.content.lifecycle = LoginState::Disabled;
        let entry = Entry::of(&disabled, &none);
        assert!(entry.revokes_login() && entry.person.as_ref().unwrap().password.is_none());
        assert_eq!(entry.fingerprint().unwrap().password, None);
        assert!(Entry::of(&account(), &none).fingerprint().unwrap().password.is_some());
    }

    #[test]
    fn a_copy_without_an_address_of_its_own_is_not_to_be_seen() {
        let mut copy = account();
        copy.content.email = Email::from_stored("alice@acme.example (Copy 1)".to_owned());
        let entry = Entry::of(&copy, &Permissions::new());
        assert!(entry.person.is_none() && entry.fingerprint().is_none());
    }
}
