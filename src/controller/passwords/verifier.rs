//! Reads one Secret at a time, checks the password in it, and overwrites it.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, Request};
use kube::{Client, Resource};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zeroize::Zeroize;

use crate::api::PASSWORD_SECRET;
use crate::api::user::PasswordSecretRef;
use crate::controller::cluster_event::CachedSecret;
use crate::controller::passwords::{AT_ONCE, CheckResult, PasswordCheck, version};
use crate::domain::object_key::ObjectKey;
use crate::domain::password::{
    Password, PasswordCandidate, PasswordContext, PasswordHash, Requirement, without_line_end,
};
use crate::hashing::{Hashing, HashingError};
use crate::provisioning::secret_source::{SecretSource, SecretUnavailable, SecretVersionRef};
use crate::redact::{is_the_servers, redact, unreadable_json};

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
        // The Secret was written to; only the hash can show whether the password is the same.
        let _permit = self.room.acquire().await.map_err(|_| SecretUnavailable)?;
        let (hashing, hash) = (self.hashing.clone(), hash.clone());
        let verified = tokio::task::spawn_blocking(move || {
            Ok(hashing.verify(&candidate, &hash)?.then_some(candidate))
        });
        verified.await.map_err(|_| SecretUnavailable)?.map_err(|_: HashingError| SecretUnavailable)
    }
}

/// Checks passwords outside the event loop.
pub struct PasswordVerifier {
    client: Client,
    hashing: Arc<Hashing>,
    room: Arc<Semaphore>,
    judging: JoinSet<(ObjectKey, PasswordCheck, CheckResult)>,
}

impl PasswordVerifier {
    /// Returns a verifier that reads Secrets with this client.
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

    /// Returns a reader that shares the verifier's limit on concurrent hashing.
    #[must_use]
    pub fn reader(&self) -> SecretReader {
        SecretReader {
            client: self.client.clone(),
            hashing: self.hashing.clone(),
            room: self.room.clone(),
        }
    }

    /// Starts a check.
    pub fn ask(&mut self, key: ObjectKey, question: PasswordCheck) {
        let (client, hashing, room) =
            (self.client.clone(), self.hashing.clone(), self.room.clone());
        self.judging.spawn(async move {
            let verdict = judge(client, hashing, room, &key, &question).await;
            (key, question, verdict)
        });
    }

    /// Waits for the next result; for ever while no check is in flight.
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

/// A Secret couldn't be read, or the answer wasn't one. The text quotes nothing of it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// Reads a Secret; `None` if there is none of this name.
///
/// The answer is parsed here and not by the client, whose error and log would quote what it can't
/// parse.
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
        // A proxy's page may have this code, too.
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
    // No permit is held while the API server is slow.
    let Ok(_permit) = room.acquire().await else {
        zeroize(&mut secret);
        return CheckResult::Failed;
    };
    let question = question.clone();
    let judged = tokio::task::spawn_blocking(move || verdict(&hashing, secret, &question));
    judged.await.unwrap_or(CheckResult::Failed)
}

/// Checks the password in a Secret, and overwrites the Secret.
#[must_use]
pub fn verdict(hashing: &Hashing, mut secret: Secret, question: &PasswordCheck) -> CheckResult {
    let verdict = judged(hashing, &secret, question).unwrap_or_else(|error| {
        tracing::error!(%error, "password check failed, retrying");
        CheckResult::Failed
    });
    zeroize(&mut secret);
    verdict
}

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
        // A password in force was accepted once, and stays whatever newer rules ask for.
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
