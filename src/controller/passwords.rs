//! Passwords from Secrets: which are to be checked, and the results.
//!
//! Only the version of a Secret is watched. The verifier reads the Secret when its version is new,
//! and returns nothing of it but a hash or the requirements that the password doesn't meet.

mod verifier;

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

pub use self::verifier::{PasswordVerifier, SecretReader, verdict};
use super::cluster_event::CachedSecret;
use crate::api::user::PasswordSecretRef;
use crate::domain::account::SecretPassword;
use crate::domain::email::Email;
use crate::domain::object_key::ObjectKey;
use crate::domain::organization::LoginName;
use crate::domain::password::{PasswordHash, Requirement};
use crate::plan::user::{PasswordFacts, UserSnapshot, login_name};
use crate::workqueue::{Priority, WorkQueue};

/// How many passwords are hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 4;

/// How many checks are in flight at once, some of which wait for their Secret or for a processor.
const ASKED_AT_ONCE: usize = 2 * AT_ONCE;

/// How many of them may be of one organization, so that others needn't wait.
const OF_ONE_AT_ONCE: usize = AT_ONCE;

/// How many Secrets are remembered by whether their password changed; for others it is compared
/// again.
const COMPARED: usize = 1024;

/// A check of a password. A change of any field makes it another check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordCheck {
    /// Where the password stands.
    pub reference: PasswordSecretRef,
    /// The version of the Secret, as its metadata has it.
    pub resource_version: String,
    /// The version as the store records it.
    pub version: String,
    /// The login name of the person.
    pub login_name: LoginName,
    /// The address of the person.
    pub email: Email,
    /// The password that last came from a Secret, and from which version.
    pub before: Option<SecretPassword>,
    /// Whether it is still that one, if that is known from another user whose password came from
    /// the same version.
    pub is_same: Option<bool>,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// There is no such Secret, or none of our type.
    Missing,
    /// It lacks a key.
    KeyMissing(String),
    /// The password doesn't meet these requirements.
    Rejected(Vec<Requirement>),
    /// The password is the one that last came from a Secret.
    Same,
    /// It is another one, with this hash.
    New(PasswordHash),
    /// The Secret has another version by now, which the watch will report.
    MovedOn,
    /// It can't be checked now.
    Failed,
}

/// The checks that wait or are in flight, and the results.
#[derive(Debug, Default)]
pub struct Passwords {
    known: HashMap<ObjectKey, (PasswordCheck, CheckResult)>,
    asked: HashMap<ObjectKey, PasswordCheck>,
    due: WorkQueue,
    /// How often the cluster was rolled back, so that a known version may stand for another
    /// password; and after which rollback the Secret of a `User` was found to hold the same.
    rollbacks: u64,
    judged_after: HashMap<ObjectKey, u64>,
    /// How many checks are in flight, by organization.
    under_way: BTreeMap<String, usize>,
    /// By namespace and name of a Secret: whether the password in its newest version is the one in
    /// others.
    compared: HashMap<(String, String), Compared>,
}

/// Which versions of a Secret have the same password as one version.
#[derive(Debug, Default)]
struct Compared {
    version: String,
    with: BTreeMap<String, bool>,
}

impl Passwords {
    /// Returns what is known of the password that a `User` references; a check is enqueued where
    /// nothing is.
    pub fn facts(
        &mut self,
        key: &ObjectKey,
        snapshot: &UserSnapshot,
        secret: Option<&CachedSecret>,
        now: Instant,
    ) -> PasswordFacts {
        let Some(reference) =
            snapshot.spec.password_secret_ref.as_ref().filter(|_| !snapshot.meta.deleting)
        else {
            self.forget(key);
            return PasswordFacts::NotReferenced;
        };
        let Some(secret) = secret else { return PasswordFacts::SecretMissing };
        let from_secret = snapshot
            .account
            .as_ref()
            .and_then(|account| account.credential.as_ref()?.from_secret.as_ref());
        let version = version(secret, reference);
        let is_trusted = self.rollbacks == 0 || self.judged_after.get(key) == Some(&self.rollbacks);
        if from_secret.is_some_and(|known| known.version == version) && is_trusted {
            self.forget(key);
            return PasswordFacts::Same;
        }
        // Without these the `User` is refused anyway.
        let Some((login_name, email)) = names(snapshot) else { return PasswordFacts::Pending };
        let question = PasswordCheck {
            reference: reference.clone(),
            resource_version: secret.resource_version.clone(),
            version,
            login_name,
            email,
            before: from_secret.cloned(),
            is_same: None,
        };
        if let Some((_, verdict)) =
            self.known.get(key).filter(|(answered, _)| *answered == question)
        {
            match verdict {
                CheckResult::Missing => return PasswordFacts::SecretMissing,
                CheckResult::KeyMissing(name) => return PasswordFacts::KeyMissing(name.clone()),
                CheckResult::Rejected(unmet) => return PasswordFacts::Rejected(unmet.clone()),
                CheckResult::Same => return PasswordFacts::Same,
                CheckResult::New(hash) => {
                    return PasswordFacts::New(SecretPassword {
                        hash: hash.clone(),
                        version: question.version,
                    });
                }
                CheckResult::MovedOn => return PasswordFacts::Pending,
                CheckResult::Failed => {}
            }
        }
        if self.asked.get(key) != Some(&question) {
            self.asked.insert(key.clone(), question);
            self.due.enqueue(key.clone(), now);
        }
        PasswordFacts::Pending
    }

    /// Takes the checks that are due, as far as there is room. One of a version that isn't the
    /// newest any more is dropped: the new version enqueues its `User`, which asks again.
    pub fn take(
        &mut self,
        now: Instant,
        is_newest: impl Fn(&ObjectKey, &PasswordCheck) -> bool,
    ) -> Vec<(ObjectKey, PasswordCheck)> {
        let room = ASKED_AT_ONCE.saturating_sub(self.under_way.values().sum());
        let under_way = &mut self.under_way;
        let mut questions = vec![];
        let (asked, compared) = (&mut self.asked, &self.compared);
        self.due.take_from(Priority::High, now, room, |key| {
            let of_one = under_way.get(&key.namespace).copied().unwrap_or_default();
            if of_one >= OF_ONE_AT_ONCE {
                return false;
            }
            let Some(question) = asked.get(key) else { return true };
            if !is_newest(key, question) {
                asked.remove(key);
                return true;
            }
            under_way.insert(key.namespace.clone(), of_one + 1);
            let is_same =
                compared.get(&place(key, question)).and_then(|compared| compared.says(question));
            questions.push((key.clone(), PasswordCheck { is_same, ..question.clone() }));
            true
        });
        questions
    }

    /// Returns when the next check is due, of those that there is room for.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let has_room = |organization: &str| {
            self.under_way.get(organization).is_none_or(|count| *count < OF_ONE_AT_ONCE)
        };
        let is_full = self.under_way.values().sum::<usize>() >= ASKED_AT_ONCE;
        self.due.next_due_of(Priority::High, has_room).filter(|_| !is_full)
    }

    /// Stores a result. Returns whether its `User` has to be reconciled.
    pub fn on_checked(
        &mut self,
        key: &ObjectKey,
        question: PasswordCheck,
        verdict: CheckResult,
        now: Instant,
    ) -> bool {
        if let Some(count) = self.under_way.get_mut(&key.namespace) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&key.namespace);
            }
        }
        let question = PasswordCheck { is_same: None, ..question };
        self.note_comparison(key, &question, &verdict);
        if self.asked.get(key) != Some(&question) {
            return false;
        }
        if verdict == CheckResult::Failed {
            let at = self.due.failed(key, now);
            self.due.enqueue(key.clone(), at);
            return false;
        }
        self.due.succeeded(key);
        self.asked.remove(key);
        if self.rollbacks > 0 && verdict == CheckResult::Same {
            self.judged_after.insert(key.clone(), self.rollbacks);
        }
        self.known.insert(key.clone(), (question, verdict));
        true
    }

    /// Forgets all results: the cluster was rolled back, and reuses its version numbers.
    pub fn distrust_versions(&mut self) {
        self.rollbacks += 1;
        self.known.clear();
        self.asked.clear();
        self.judged_after.clear();
        self.compared.clear();
    }

    /// Records whether the password in a Secret is still the same, for others that reference the
    /// Secret.
    fn note_comparison(
        &mut self,
        key: &ObjectKey,
        question: &PasswordCheck,
        verdict: &CheckResult,
    ) {
        let is_same = match verdict {
            CheckResult::Same => true,
            CheckResult::New(_) => false,
            CheckResult::Missing
            | CheckResult::KeyMissing(_)
            | CheckResult::Rejected(_)
            | CheckResult::MovedOn
            | CheckResult::Failed => return,
        };
        // After a rollback one version may stand for two passwords: a comparison for one `User`
        // holds for no other.
        let Some(before) = question.before.as_ref().filter(|_| self.rollbacks == 0) else { return };
        if self.compared.len() >= COMPARED {
            self.compared.clear();
        }
        let compared = self.compared.entry(place(key, question)).or_default();
        if compared.version != question.version {
            *compared = Compared { version: question.version.clone(), with: BTreeMap::new() };
        }
        compared.with.insert(before.version.clone(), is_same);
    }

    /// Forgets a `User`.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.known.remove(key);
        self.asked.remove(key);
        self.due.succeeded(key);
    }
}

impl Compared {
    fn says(&self, question: &PasswordCheck) -> Option<bool> {
        let before = question.before.as_ref().filter(|_| self.version == question.version)?;
        self.with.get(&before.version).copied()
    }
}

fn place(key: &ObjectKey, question: &PasswordCheck) -> (String, String) {
    (key.namespace.clone(), question.reference.name.clone())
}

/// Returns a password's version as the store records it: another Secret, key or confirmation is
/// another version.
fn version(secret: &CachedSecret, reference: &PasswordSecretRef) -> String {
    let PasswordSecretRef { name: _, key, confirmation_key } = reference;
    format!(
        "{}/{}/{key}/{}",
        secret.uid,
        secret.resource_version,
        confirmation_key.as_deref().unwrap_or_default()
    )
}

/// Returns the account's login name and address, or those that it would get.
fn names(snapshot: &UserSnapshot) -> Option<(LoginName, Email)> {
    let has = snapshot.account.as_ref();
    let asked_for = || Some(login_name(snapshot, snapshot.organization.customer_id.as_ref().ok()?));
    let login_name = has.map(|account| account.login_name.clone()).or_else(asked_for)?;
    let email =
        snapshot.email.clone().ok().or_else(|| has.map(|account| account.content.email.clone()));
    // A copy that has no address yet.
    let email = email
        .or_else(|| snapshot.spec.copy_of.as_ref().map(|_| Email::from_stored(String::new())))?;
    Some((login_name, email))
}

#[cfg(test)]
mod tests;
