//! Passwords from Secrets: who is to be judged, and the judge, who reads one Secret at a time and
//! forgets it.
//!
//! Of a Secret only its version is watched. What stands in it is read when a version is new, and
//! nothing of it leaves the judge but a hash or the requirements that it doesn't meet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, Request};
use kube::{Client, Resource};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroize;

use super::cluster_event::CachedSecret;
use crate::api::PASSWORD_SECRET;
use crate::api::user::PasswordSecretRef;
use crate::domain::account::SecretPassword;
use crate::domain::email::Email;
use crate::domain::object_key::ObjectKey;
use crate::domain::organization::LoginName;
use crate::domain::password::{
    Password, PasswordCandidate, PasswordContext, PasswordHash, Requirement, without_line_end,
};
use crate::hashing::{Hashing, HashingError};
use crate::plan::user::{PasswordFacts, UserSnapshot, login_name};
use crate::provisioning::secret_source::{SecretSource, SecretUnavailable, SecretVersionRef};
use crate::redact::{is_the_servers, redact, unreadable_json};
use crate::workqueue::{Priority, WorkQueue};
use futures::future::BoxFuture;

/// How many passwords are hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 4;

/// How many questions the judge has at once, some of which wait for their Secret or for a
/// processor.
const ASKED_AT_ONCE: usize = 2 * AT_ONCE;

/// How many of them may be of one organization: another one's don't wait until it has room.
const OF_ONE_AT_ONCE: usize = AT_ONCE;

/// How many Secrets are known by whether their password is another one; who asks beyond that finds
/// out anew.
const COMPARED: usize = 1024;

/// What is asked about a password; another question has another answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordCheck {
    /// Where the password stands.
    pub reference: PasswordSecretRef,
    /// The version of the Secret, as its metadata has it.
    pub resource_version: String,
    /// What the store is to know the version by.
    pub version: String,
    /// The login name of the person.
    pub login_name: LoginName,
    /// The address of the person.
    pub email: Email,
    /// The password that last came from a Secret, and from which version.
    pub before: Option<SecretPassword>,
    /// Whether it is that one still, where somebody else's was compared who had theirs from the
    /// same version.
    pub is_same: Option<bool>,
}

/// What the judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// There is no such Secret, or none of our type.
    Missing,
    /// It lacks a key.
    KeyMissing(String),
    /// The password doesn't meet these requirements.
    Rejected(Vec<Requirement>),
    /// It is the one that last came from a Secret.
    Same,
    /// It is another, and this is its hash.
    New(PasswordHash),
    /// The Secret has another version by now: its news is under way.
    MovedOn,
    /// It can't be judged now.
    Failed,
}

/// Who is to be judged, and how those were who were.
#[derive(Debug, Default)]
pub struct Passwords {
    known: HashMap<ObjectKey, (PasswordCheck, CheckResult)>,
    asked: HashMap<ObjectKey, PasswordCheck>,
    due: WorkQueue,
    /// How often the cluster was put back to an earlier time, so that a version known from before
    /// may stand for another password; and after which time the Secret of a `User` was found to
    /// hold the same.
    rollbacks: u64,
    judged_after: HashMap<ObjectKey, u64>,
    /// How many questions the judge has, by organization.
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
    /// Returns what is known of the password that a `User` names, and has it judged where nothing
    /// is.
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
        // Where a name isn't known, the `User` is refused for that.
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

    /// Takes the questions that are due, as far as the judge has room for them. One about a version
    /// that isn't the newest any more is left out: its `User` is looked at for that reason, and
    /// asks about the newest.
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

    /// Returns when the next question is due that the judge has room for.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let has_room = |organization: &str| {
            self.under_way.get(organization).is_none_or(|count| *count < OF_ONE_AT_ONCE)
        };
        let is_full = self.under_way.values().sum::<usize>() >= ASKED_AT_ONCE;
        self.due.next_due_of(Priority::High, has_room).filter(|_| !is_full)
    }

    /// Takes in a verdict. Returns whether its `User` has something new to look at.
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

    /// Has every password judged again: the cluster was put back to an earlier time, and counts its
    /// versions again from there.
    pub fn distrust_versions(&mut self) {
        self.rollbacks += 1;
        self.known.clear();
        self.asked.clear();
        self.judged_after.clear();
        self.compared.clear();
    }

    /// Notes whether the password in a Secret is the one that it was, for the others who have
    /// theirs from there.
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
        // After a restore of etcd one version may stand for two passwords: what was compared for
        // one `User` says nothing of others.
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

/// Returns which Secret a question is about.
fn place(key: &ObjectKey, question: &PasswordCheck) -> (String, String) {
    (key.namespace.clone(), question.reference.name.clone())
}

/// Reads passwords for directories that take their text.
#[derive(Clone)]
pub struct SecretReader {
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
}

impl SecretSource for SecretReader {
    fn text<'a>(
        &'a self,
        namespace: &'a str,
        secret: &'a SecretVersionRef,
        hash: &'a PasswordHash,
    ) -> BoxFuture<'a, Result<Option<PasswordCandidate>, SecretUnavailable>> {
        Box::pin(self.read_text(namespace, secret, hash))
    }
}

impl SecretReader {
    async fn read_text(
        &self,
        namespace: &str,
        place: &SecretVersionRef,
        hash: &PasswordHash,
    ) -> Result<Option<PasswordCandidate>, SecretUnavailable> {
        let SecretVersionRef { reference, version: wanted } = place;
        let read = read_secret(&self.client, namespace, &reference.name)
            .await
            .map_err(|_| SecretUnavailable)?;
        let Some(mut secret) = read else { return Ok(None) };
        let metadata = &secret.metadata;
        let seen = CachedSecret {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        };
        let is_ours = secret.type_.as_deref() == Some(PASSWORD_SECRET);
        let entered =
            secret.data.as_ref().and_then(|data| data.get(&reference.key)).filter(|_| is_ours);
        let candidate =
            entered.and_then(|entered| PasswordCandidate::new(without_line_end(&entered.0)));
        zeroize(&mut secret);
        let Some(candidate) = candidate else { return Ok(None) };
        if version(&seen, reference) == *wanted {
            return Ok(Some(candidate));
        }
        // The Secret was touched; whether the password is the same, only the hash can tell.
        let _permit = self.room.acquire().await.map_err(|_| SecretUnavailable)?;
        let (hashing, hash) = (self.hashing.clone(), hash.clone());
        let verified = tokio::task::spawn_blocking(move || {
            Ok(hashing.verify(&candidate, &hash)?.then_some(candidate))
        });
        verified.await.map_err(|_| SecretUnavailable)?.map_err(|_: HashingError| SecretUnavailable)
    }
}

/// Returns what the store is to know a password's version by: another Secret, key or repetition is
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

/// Returns the login name that the account has or would get, and the address that it asks for or
/// has.
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

/// Reads Secrets and judges what stands in them, off the loop.
pub struct PasswordVerifier {
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
    judging: JoinSet<(ObjectKey, PasswordCheck, CheckResult)>,
}

impl PasswordVerifier {
    /// Returns a judge that reads with this client.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(client: Client) -> Result<Self, HashingError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let room = Arc::new(Semaphore::new(processors.min(AT_ONCE)));
        Ok(Self {
            client,
            hashing: Arc::new(Hashing::new(crate::hashing::Cost::default())?),
            room,
            judging: JoinSet::new(),
        })
    }

    /// Returns a reader, who hashes no more at once than the judge does alone.
    #[must_use]
    pub fn reader(&self) -> SecretReader {
        SecretReader {
            client: self.client.clone(),
            hashing: self.hashing.clone(),
            room: self.room.clone(),
        }
    }

    /// Has a question answered.
    pub fn ask(&mut self, key: ObjectKey, question: PasswordCheck) {
        let (client, hashing, room) =
            (self.client.clone(), self.hashing.clone(), self.room.clone());
        self.judging.spawn(async move {
            let verdict = judge(client, hashing, room, &key, &question).await;
            (key, question, verdict)
        });
    }

    /// Waits for the next verdict; for ever while nothing is judged.
    pub async fn verdict(&mut self) -> (ObjectKey, PasswordCheck, CheckResult) {
        loop {
            match self.judging.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => {
                    tracing::error!(%error, "password check was aborted")
                }
                None => std::future::pending().await,
            }
        }
    }
}

/// A Secret wasn't answered with, or by something that is none. Nothing of the answer is in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// Reads a Secret; nothing where there is none of this name.
///
/// The text is parsed here and not by the client, which would quote what it can't parse: in the
/// log, and in its error.
///
/// # Errors
/// When the API server doesn't say.
async fn read_secret(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, Unanswered> {
    let said = |error: kube::Error| Unanswered(redact(&error));
    let request = Request::new(Secret::url_path(&(), Some(namespace)));
    let request = request
        .get(name, &GetParams::default())
        .map_err(|why| said(kube::Error::BuildRequest(why)))?;
    let mut text = match client.request_text(request).await {
        Ok(text) => text,
        // Any page has this code where something stands between.
        Err(kube::Error::Api(status)) if status.code == 404 && is_the_servers(&status) => {
            return Ok(None);
        }
        Err(kube::Error::FromUtf8(why)) => {
            why.into_bytes().zeroize();
            return Err(Unanswered("an answer that isn't UTF-8".to_owned()));
        }
        Err(error) => return Err(said(error)),
    };
    let secret = serde_json::from_str(&text).map_err(|why| Unanswered(unreadable_json(&why)));
    text.zeroize();
    secret.map(Some)
}

async fn judge(
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
    key: &ObjectKey,
    question: &PasswordCheck,
) -> CheckResult {
    let mut secret = match read_secret(&client, &key.namespace, &question.reference.name).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return CheckResult::Missing,
        Err(Unanswered(why)) => {
            tracing::warn!(error = why, "password Secret can't be read, retrying");
            return CheckResult::Failed;
        }
    };
    // An API server that takes its time is waited for without a processor.
    let Ok(_permit) = room.acquire().await else {
        zeroize(&mut secret);
        return CheckResult::Failed;
    };
    let question = question.clone();
    let judged = tokio::task::spawn_blocking(move || verdict(&hashing, secret, &question));
    judged.await.unwrap_or(CheckResult::Failed)
}

/// Judges what stands in a Secret, and overwrites it.
#[must_use]
pub fn verdict(hashing: &Hashing, mut secret: Secret, question: &PasswordCheck) -> CheckResult {
    let verdict = judged(hashing, &secret, question).unwrap_or_else(|error| {
        tracing::error!(%error, "password check failed, retrying");
        CheckResult::Failed
    });
    zeroize(&mut secret);
    verdict
}

/// Overwrites what stands in a Secret.
fn zeroize(secret: &mut Secret) {
    secret.data.iter_mut().flat_map(|data| data.values_mut()).for_each(|value| value.0.zeroize());
}

fn judged(
    hashing: &Hashing,
    secret: &Secret,
    question: &PasswordCheck,
) -> Result<CheckResult, HashingError> {
    let PasswordCheck {
        reference: PasswordSecretRef { name: _, key, confirmation_key },
        login_name,
        email,
        before,
        is_same,
        ..
    } = question;
    if secret.type_.as_deref() != Some(PASSWORD_SECRET) {
        return Ok(CheckResult::Missing);
    }
    if secret.metadata.resource_version.as_ref() != Some(&question.resource_version) {
        return Ok(CheckResult::MovedOn);
    }
    let under = |key: &String| {
        secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice())
    };
    let Some(entered) = under(key) else { return Ok(CheckResult::KeyMissing(key.clone())) };
    let person = PasswordContext { login_name, email };
    let password = match confirmation_key {
        None => Password::parse(entered, &person),
        Some(name) => match under(name) {
            None => return Ok(CheckResult::KeyMissing(name.clone())),
            Some(again) => Password::confirmed(entered, again, &person),
        },
    };
    let is_in_force = |candidate: &PasswordCandidate| match (before, is_same) {
        (None, _) => Ok(false),
        (Some(_), Some(is_same)) => Ok(*is_same),
        (Some(before), None) => hashing.verify(candidate, &before.hash),
    };
    match password {
        // What is in force was accepted once, and stays whatever is asked of a new one since.
        Err(unmet) => match PasswordCandidate::new(without_line_end(entered))
            .filter(|_| !unmet.contains(&Requirement::Confirmed))
        {
            Some(candidate) if is_in_force(&candidate)? => Ok(CheckResult::Same),
            _ => Ok(CheckResult::Rejected(unmet)),
        },
        Ok(password) if is_in_force(password.candidate())? => Ok(CheckResult::Same),
        Ok(password) => Ok(CheckResult::New(hashing.hash(&password)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password::PasswordHash;

    fn key(organization: &str, number: usize) -> ObjectKey {
        ObjectKey::new(crate::domain::object_key::Kind::User, organization, format!("u{number}"))
    }

    fn question(version: &str, before: Option<&str>) -> PasswordCheck {
        PasswordCheck {
            reference: PasswordSecretRef {
                name: "shared".to_owned(),
                key: "password".to_owned(),
                confirmation_key: None,
            },
            resource_version: version.to_owned(),
            version: version.to_owned(),
            login_name: LoginName::from_stored("alice.acme".to_owned()),
            email: Email::from_stored("alice@acme.example".to_owned()),
            before: before.map(|version| SecretPassword {
                hash: PasswordHash::from_stored("hash".to_owned()),
                version: version.to_owned(),
            }),
            is_same: None,
        }
    }

    fn ask(passwords: &mut Passwords, key: ObjectKey, question: PasswordCheck, now: Instant) {
        passwords.asked.insert(key.clone(), question);
        passwords.due.enqueue(key, now);
    }

    fn count(taken: &[(ObjectKey, PasswordCheck)], organization: &str) -> usize {
        taken.iter().filter(|(key, _)| key.namespace == organization).count()
    }

    #[test]
    fn a_password_in_force_is_not_judged_by_rules_that_came_after_it() {
        let hashing =
            Hashing::new(crate::hashing::Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap();
        let verdict_of = |entered: &str, again: Option<&str>, before: Option<&str>| {
            let mut question = question("2", before.map(|_| "1"));
            if let (Some(known), Some(before)) = (&mut question.before, before) {
                known.hash =
                    hashing.rehash(&PasswordCandidate::new(before.as_bytes()).unwrap()).unwrap();
            }
            question.reference.confirmation_key = again.map(|_| "again".to_owned());
            let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
            let again = again.map(|again| ("again".to_owned(), value(again)));
            let secret = Secret {
                type_: Some(PASSWORD_SECRET.to_owned()),
                data: Some(
                    [("password".to_owned(), value(entered))].into_iter().chain(again).collect(),
                ),
                metadata: kube::api::ObjectMeta {
                    resource_version: Some("2".to_owned()),
                    ..Default::default()
                },
                ..Secret::default()
            };
            verdict(&hashing, secret, &question)
        };
        for old in [
            "gate Turnip, 41 on\u{ad}ward",
            "\u{feff}gate Turnip, 41 onward",
            "\u{200d}gate Turnip, 41",
            "short",
        ] {
            let entered = format!("{old}\n");
            assert_eq!(verdict_of(&entered, None, Some(old)), CheckResult::Same, "{old:?}");
            assert_eq!(verdict_of(&entered, Some(old), Some(old)), CheckResult::Same, "{old:?}");
            for (again, before) in
                [(None, None), (None, Some("gate Turnip, 41 onward")), (Some("another"), Some(old))]
            {
                let verdict = verdict_of(&entered, again, before);
                assert!(
                    matches!(&verdict, CheckResult::Rejected(_)),
                    "{old:?} {again:?} {before:?}: {verdict:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn one_organization_leaves_the_judge_room_for_others() {
        let now = Instant::now();
        let mut passwords = Passwords::default();
        (0..400)
            .for_each(|number| ask(&mut passwords, key("noisy", number), question("1", None), now));
        let taken = passwords.take(now, |_, _| true);
        assert_eq!((taken.len(), passwords.next_due()), (OF_ONE_AT_ONCE, None));
        ask(&mut passwords, key("quiet", 0), question("1", None), now);
        assert_eq!(passwords.next_due(), Some(now));
        assert_eq!(
            count(&passwords.take(now, |_, _| true), "quiet"),
            1,
            "it doesn't wait for one of the noisy ones to end"
        );
        let (first, asked) = taken[0].clone();
        assert!(passwords.on_checked(&first, asked, CheckResult::Same, now));
        assert_eq!(count(&passwords.take(now, |_, _| true), "noisy"), 1);
    }

    #[tokio::test]
    async fn a_version_that_another_one_followed_is_not_judged() {
        let now = Instant::now();
        let mut passwords = Passwords::default();
        ask(&mut passwords, key("acme", 0), question("1", None), now);
        ask(&mut passwords, key("acme", 1), question("2", None), now);
        let taken = passwords.take(now, |_, question| question.resource_version == "2");
        assert_eq!(taken.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key("acme", 1)]);
        assert_eq!(passwords.next_due(), None);
    }

    #[tokio::test]
    async fn what_was_compared_for_one_is_known_for_all_who_had_theirs_from_the_same_version() {
        let now = Instant::now();
        for (verdict, known) in [
            (CheckResult::Same, true),
            (CheckResult::New(PasswordHash::from_stored("new".to_owned())), false),
        ] {
            let mut passwords = Passwords::default();
            ask(&mut passwords, key("acme", 0), question("2", Some("1")), now);
            let (first, asked) = passwords.take(now, |_, _| true).remove(0);
            assert_eq!(asked.is_same, None);
            assert!(passwords.on_checked(&first, asked, verdict, now));
            let others = [
                (key("acme", 1), "2", Some("1")),
                (key("acme", 2), "2", Some("0")),
                (key("other", 1), "2", Some("1")),
            ];
            for (key, version, before) in others.clone() {
                ask(&mut passwords, key, question(version, before), now);
            }
            let taken: HashMap<_, _> = passwords.take(now, |_, _| true).into_iter().collect();
            let is_same: Vec<_> = others.iter().map(|(key, ..)| taken[key].is_same).collect();
            assert_eq!(is_same, [Some(known), None, None]);
        }
    }
}
