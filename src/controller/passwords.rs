//! Passwords from Secrets: who is to be judged, and the judge, who reads one Secret at a time and forgets it.
//!
//! Of a Secret only its version is watched. What stands in it is read when a version is new, and nothing of it leaves
//! the judge but a hash or the requirements that it doesn't meet.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, Request};
use kube::{Client, Resource};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroize;

use super::report::{in_short, is_the_servers, unreadable_json};
use super::wake::{ObjectKey, Queue};
use crate::api::PASSWORD_SECRET;
use crate::api::user::PasswordSecretRef;
use crate::domain::account::FromSecret;
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::domain::password::{Candidate, Password, PasswordHash, Person, Requirement, without_line_end};
use crate::hashing::{Hashing, HashingError};
use crate::plan::user::{PasswordFacts, Snapshot, login_name};

/// How many passwords are hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 4;

/// What is asked about a password; another question has another answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
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
    /// The hash of the password that last came from a Secret.
    pub before: Option<PasswordHash>,
}

/// Where the password in force stands: in this version of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPlace {
    /// The Secret and its key.
    pub reference: PasswordSecretRef,
    /// What the store knows the version by.
    pub version: String,
}

/// What the judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
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

/// A Secret of our type as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSecret {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
}

/// Who is to be judged, and how those were who were.
#[derive(Debug, Default)]
pub struct Passwords {
    known: HashMap<ObjectKey, (Question, Verdict)>,
    asked: HashMap<ObjectKey, Question>,
    due: Queue,
    under_way: usize,
}

impl Passwords {
    /// Returns what is known of the password that a `User` names, and has it judged where nothing is.
    pub fn facts(&mut self, key: &ObjectKey, snapshot: &Snapshot, secret: Option<&SeenSecret>, now: Instant) -> PasswordFacts {
        let Some(reference) = snapshot.spec.password_secret_ref.as_ref().filter(|_| !snapshot.meta.deleting) else {
            self.forget(key);
            return PasswordFacts::NotAsked;
        };
        let Some(secret) = secret else { return PasswordFacts::SecretMissing };
        let from_secret = snapshot.account.as_ref().and_then(|account| account.credential.as_ref()?.from_secret.as_ref());
        let version = version(secret, reference);
        if from_secret.is_some_and(|known| known.version == version) {
            self.forget(key);
            return PasswordFacts::Same;
        }
        // Where a name isn't known, the `User` is refused for that.
        let Some((login_name, email)) = names(snapshot) else { return PasswordFacts::Unjudged };
        let question = Question {
            reference: reference.clone(),
            resource_version: secret.resource_version.clone(),
            version,
            login_name,
            email,
            before: from_secret.map(|known| known.hash.clone()),
        };
        if let Some((_, verdict)) = self.known.get(key).filter(|(answered, _)| *answered == question) {
            match verdict {
                Verdict::Missing => return PasswordFacts::SecretMissing,
                Verdict::KeyMissing(name) => return PasswordFacts::KeyMissing(name.clone()),
                Verdict::Rejected(unmet) => return PasswordFacts::Rejected(unmet.clone()),
                Verdict::Same => return PasswordFacts::Same,
                Verdict::New(hash) => return PasswordFacts::New(FromSecret { hash: hash.clone(), version: question.version }),
                Verdict::MovedOn => return PasswordFacts::Unjudged,
                Verdict::Failed => {}
            }
        }
        if self.asked.get(key) != Some(&question) {
            self.asked.insert(key.clone(), question);
            self.due.wake(key.clone(), now);
        }
        PasswordFacts::Unjudged
    }

    /// Takes the questions that are due, as far as the judge has room for them.
    pub fn take(&mut self, now: Instant) -> Vec<(ObjectKey, Question)> {
        let due = self.due.take(now, (2 * AT_ONCE).saturating_sub(self.under_way));
        let questions: Vec<_> = due.into_iter().filter_map(|key| Some((key.clone(), self.asked.get(&key)?.clone()))).collect();
        self.under_way += questions.len();
        questions
    }

    /// Returns when the next question is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.next_due().filter(|_| self.under_way < 2 * AT_ONCE)
    }

    /// Takes in a verdict. Returns whether its `User` has something new to look at.
    pub fn take_verdict(&mut self, key: &ObjectKey, question: Question, verdict: Verdict, now: Instant) -> bool {
        self.under_way = self.under_way.saturating_sub(1);
        if self.asked.get(key) != Some(&question) {
            return false;
        }
        if verdict == Verdict::Failed {
            let at = self.due.failed(key, now);
            self.due.wake(key.clone(), at);
            return false;
        }
        self.due.succeeded(key);
        self.asked.remove(key);
        self.known.insert(key.clone(), (question, verdict));
        true
    }

    /// Forgets a `User`.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.known.remove(key);
        self.asked.remove(key);
        self.due.succeeded(key);
    }
}

/// Reads passwords for directories that take their text.
#[derive(Clone)]
pub struct Reader {
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
}

/// A password can't be read now; the next try may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password can't be read now")]
pub struct Unread;

impl Reader {
    /// Reads the text of a password, where a Secret has the one that a hash is of; nothing where none does any more.
    ///
    /// # Errors
    /// When that can't be told now.
    pub async fn text(&self, namespace: &str, place: &PasswordPlace, hash: &PasswordHash) -> Result<Option<Candidate>, Unread> {
        let PasswordPlace { reference, version: wanted } = place;
        let read = read_secret(&self.client, namespace, &reference.name).await.map_err(|_| Unread)?;
        let Some(mut secret) = read else { return Ok(None) };
        let metadata = &secret.metadata;
        let seen = SeenSecret {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        };
        let is_ours = secret.type_.as_deref() == Some(PASSWORD_SECRET);
        let entered = secret.data.as_ref().and_then(|data| data.get(&reference.key)).filter(|_| is_ours);
        let candidate = entered.and_then(|entered| Candidate::new(without_line_end(&entered.0)));
        secret.data.iter_mut().flat_map(|data| data.values_mut()).for_each(|value| value.0.zeroize());
        let Some(candidate) = candidate else { return Ok(None) };
        if version(&seen, reference) == *wanted {
            return Ok(Some(candidate));
        }
        // The Secret was touched; whether the password is the same, only the hash can tell.
        let _permit = self.room.acquire().await.map_err(|_| Unread)?;
        let (hashing, hash) = (self.hashing.clone(), hash.clone());
        let verified = tokio::task::spawn_blocking(move || Ok(hashing.verify(&candidate, &hash)?.then_some(candidate)));
        verified.await.map_err(|_| Unread)?.map_err(|_: HashingError| Unread)
    }
}

/// Returns what the store is to know a password's version by: another Secret, key or repetition is another version.
fn version(secret: &SeenSecret, reference: &PasswordSecretRef) -> String {
    let PasswordSecretRef { name: _, key, confirmation_key } = reference;
    format!("{}/{}/{key}/{}", secret.uid, secret.resource_version, confirmation_key.as_deref().unwrap_or_default())
}

/// Returns the login name that the account has or would get, and the address that it asks for or has.
fn names(snapshot: &Snapshot) -> Option<(LoginName, Email)> {
    let has = snapshot.account.as_ref();
    let asked_for = || Some(login_name(snapshot, snapshot.organization.customer_id.as_ref().ok()?));
    let login_name = has.map(|account| account.login_name.clone()).or_else(asked_for)?;
    let email = snapshot.email.clone().ok().or_else(|| has.map(|account| account.content.email.clone()));
    // A copy that has no address yet.
    let email = email.or_else(|| snapshot.spec.copy_of.as_ref().map(|_| Email::stored(String::new())))?;
    Some((login_name, email))
}

/// Reads Secrets and judges what stands in them, off the loop.
pub struct Judge {
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
    judging: JoinSet<(ObjectKey, Question, Verdict)>,
}

impl Judge {
    /// Returns a judge that reads with this client.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(client: Client) -> Result<Self, HashingError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let room = Arc::new(Semaphore::new(processors.min(AT_ONCE)));
        Ok(Self { client, hashing: Arc::new(Hashing::new(crate::hashing::Cost::default())?), room, judging: JoinSet::new() })
    }

    /// Returns a reader, who hashes no more at once than the judge does alone.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { client: self.client.clone(), hashing: self.hashing.clone(), room: self.room.clone() }
    }

    /// Has a question answered.
    pub fn ask(&mut self, key: ObjectKey, question: Question) {
        let (client, hashing, room) = (self.client.clone(), self.hashing.clone(), self.room.clone());
        self.judging.spawn(async move {
            let verdict = judge(client, hashing, room, &key, &question).await;
            (key, question, verdict)
        });
    }

    /// Waits for the next verdict; for ever while nothing is judged.
    pub async fn verdict(&mut self) -> (ObjectKey, Question, Verdict) {
        loop {
            match self.judging.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => tracing::error!(%error, "a password was left without a verdict"),
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
/// The text is parsed here and not by the client, which would quote what it can't parse: in the log, and in its error.
///
/// # Errors
/// When the API server doesn't say.
async fn read_secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Secret>, Unanswered> {
    let said = |error: kube::Error| Unanswered(in_short(&error));
    let request = Request::new(Secret::url_path(&(), Some(namespace)));
    let request = request.get(name, &GetParams::default()).map_err(|why| said(kube::Error::BuildRequest(why)))?;
    let mut text = match client.request_text(request).await {
        Ok(text) => text,
        // Any page has this code where something stands between.
        Err(kube::Error::Api(status)) if status.code == 404 && is_the_servers(&status) => return Ok(None),
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

async fn judge(client: Client, hashing: Arc<Hashing>, room: Arc<Semaphore>, key: &ObjectKey, question: &Question) -> Verdict {
    let Ok(_permit) = room.acquire().await else { return Verdict::Failed };
    let secret = match read_secret(&client, &key.namespace, &question.reference.name).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return Verdict::Missing,
        Err(Unanswered(why)) => {
            tracing::warn!(error = why, "a password's Secret can't be read, trying again");
            return Verdict::Failed;
        }
    };
    let question = question.clone();
    let judged = tokio::task::spawn_blocking(move || verdict(&hashing, secret, &question));
    judged.await.unwrap_or(Verdict::Failed)
}

/// Judges what stands in a Secret, and overwrites it.
#[must_use]
pub fn verdict(hashing: &Hashing, mut secret: Secret, question: &Question) -> Verdict {
    let verdict = judged(hashing, &secret, question).unwrap_or_else(|error| {
        tracing::error!(%error, "a password can't be judged, trying again");
        Verdict::Failed
    });
    secret.data.iter_mut().flat_map(|data| data.values_mut()).for_each(|value| value.0.zeroize());
    verdict
}

fn judged(hashing: &Hashing, secret: &Secret, question: &Question) -> Result<Verdict, HashingError> {
    let Question { reference: PasswordSecretRef { name: _, key, confirmation_key }, login_name, email, before, .. } = question;
    if secret.type_.as_deref() != Some(PASSWORD_SECRET) {
        return Ok(Verdict::Missing);
    }
    if secret.metadata.resource_version.as_ref() != Some(&question.resource_version) {
        return Ok(Verdict::MovedOn);
    }
    let under = |key: &String| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let Some(entered) = under(key) else { return Ok(Verdict::KeyMissing(key.clone())) };
    let person = Person { login_name, email };
    let password = match confirmation_key {
        None => Password::parse(entered, &person),
        Some(name) => match under(name) {
            None => return Ok(Verdict::KeyMissing(name.clone())),
            Some(again) => Password::confirmed(entered, again, &person),
        },
    };
    match password {
        Err(unmet) => Ok(Verdict::Rejected(unmet)),
        Ok(password) => match before {
            Some(before) if hashing.verify(password.candidate(), before)? => Ok(Verdict::Same),
            _ => Ok(Verdict::New(hashing.hash(&password)?)),
        },
    }
}
