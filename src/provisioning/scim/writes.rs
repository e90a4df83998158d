//! Writes, which go together where a server takes several at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::Client;
use super::features::{Ability, BulkLimits};
use super::lookup::{EXTERNAL_ID, Filter};
use super::messages::{BulkOutcome, BulkResponse, ScimResource, bulk};
use super::queue::RequestOutcome;
use super::reply::Reply;
use super::transport::{Request, is_read_only, is_urgent};
use crate::provisioning::DirectoryError;

/// How long several writes may take together before each is made alone: they may never end for one
/// of them. What takes rights away waits less.
const LONGEST_TOGETHER: Duration = Duration::from_secs(8);
const LONGEST_URGENT: Duration = Duration::from_secs(1);

/// What the envelope of several writes takes of their size, in bytes.
const ENVELOPE: usize = 200;

/// A write of one resource. It can't be printed: a password may be in it.
#[derive(Clone)]
pub(super) struct ScimWrite {
    method: Method,
    path: String,
    data: Option<Value>,
    version: Option<String>,
}

impl ScimWrite {
    pub(super) fn create(kind: ScimResource, data: Value) -> Self {
        Self { method: Method::POST, path: kind.path().to_owned(), data: Some(data), version: None }
    }

    /// Changes parts of a resource, or all of it.
    pub(super) fn change(
        method: Method,
        path: String,
        data: Value,
        version: Option<String>,
    ) -> Self {
        Self { method, path, data: Some(data), version }
    }

    pub(super) fn delete(path: String, version: Option<String>) -> Self {
        Self { method: Method::DELETE, path, data: None, version }
    }

    /// Returns the key of a write whose outcome is unknown; of a creation, the externalId.
    fn key(&self) -> Option<&str> {
        match &self.data {
            Some(made) if self.method == Method::POST => made.get(EXTERNAL_ID)?.as_str(),
            _ => Some(&self.path),
        }
    }

    /// Returns what it is known by among what may still be carried out: that of groups begins with
    /// their path.
    fn late_key(&self) -> Option<&str> {
        if self.path.starts_with(ScimResource::Group.path()) {
            Some(&self.path)
        } else {
            self.key()
        }
    }

    fn alone(self) -> Request {
        let Self { method, path, data, version } = self;
        Request { method, path, query: vec![], body: data, version }
    }

    fn among_others(&self, number: usize) -> Value {
        let Self { method, path, data, version } = self;
        let mut operation =
            json!({ "method": method.as_str(), "path": path, "bulkId": number.to_string() });
        if let Some(data) = data {
            operation["data"] = data.clone();
        }
        if let Some(version) = version {
            operation["version"] = version.as_str().into();
        }
        operation
    }
}

/// Returns the path of a resource, whatever its id has in it.
pub(super) fn path_of(kind: ScimResource, id: &str) -> Result<String, DirectoryError> {
    let nonsense = || DirectoryError::Protocol("an id can't be part of a path".to_owned());
    let mut url = Url::parse("http://localhost").map_err(|_| nonsense())?;
    url.path_segments_mut().map_err(|()| nonsense())?.push(id);
    // A filter's, a query's and an operation's path have the same escapes.
    Ok(format!("{}{}", kind.path(), url.path()))
}

impl Client {
    /// Sends a write, together with others if the server takes bulk requests. The answer's content
    /// isn't checked.
    pub(super) async fn write(self: &Arc<Self>, write: ScimWrite) -> Result<Reply, DirectoryError> {
        if is_read_only() {
            return Err(DirectoryError::Drifted);
        }
        let Some(limits) = self.features().await?.bulk() else {
            return self.transport.send(write.alone()).await;
        };
        let client = self.clone();
        let work = move |writes| {
            let client = client.clone();
            async move { RequestOutcome::Answers(client.write_together(writes, limits).await) }
        };
        self.writes[usize::from(is_urgent())].ask(write, work).await
    }

    /// Writes in as few requests as the server's limits allow.
    async fn write_together(
        &self,
        writes: Vec<ScimWrite>,
        limits: BulkLimits,
    ) -> Vec<Result<Reply, DirectoryError>> {
        let mut answers = Vec::with_capacity(writes.len());
        let mut batch: Vec<(ScimWrite, Value)> = vec![];
        let mut size = ENVELOPE;
        for write in writes {
            let operation = write.among_others(batch.len());
            let more = operation.to_string().len() + 1;
            if !batch.is_empty() && (size + more > limits.bytes || batch.len() >= limits.operations)
            {
                answers.extend(self.write_batch(std::mem::take(&mut batch)).await);
                size = ENVELOPE;
            }
            size += more;
            let operation = write.among_others(batch.len());
            batch.push((write, operation));
        }
        answers.extend(self.write_batch(batch).await);
        answers
    }

    async fn write_batch(
        &self,
        mut batch: Vec<(ScimWrite, Value)>,
    ) -> Vec<Result<Reply, DirectoryError>> {
        if batch.len() == 1 {
            let alone = batch.remove(0).0.alone();
            return vec![self.transport.send(alone).await];
        }
        if batch.is_empty() {
            return vec![];
        }
        let (writes, operations): (Vec<ScimWrite>, Vec<Value>) = batch.into_iter().unzip();
        let body = Some(bulk(&operations));
        let request = Request {
            method: Method::POST,
            path: "/Bulk".to_owned(),
            query: vec![],
            body,
            version: None,
        };
        let longest = if is_urgent() { LONGEST_URGENT } else { LONGEST_TOGETHER };
        let answer = tokio::time::timeout(longest, self.transport.send(request))
            .await
            .unwrap_or(Err(DirectoryError::Timeout));
        let refused = answer.as_ref().is_ok_and(|reply| refuses_together(reply.status.as_u16()));
        if !refused {
            // An error about all of them may be about one, and must not be reported for the others.
            let outcomes = answer
                .and_then(|reply| reply.without_words().read::<BulkResponse>("a BulkResponse"));
            return match outcomes {
                Ok(BulkResponse { operations }) => each_its_own(&writes, operations),
                Err(
                    error @ (DirectoryError::Failed(_)
                    | DirectoryError::Timeout
                    | DirectoryError::Protocol(_)),
                ) => {
                    // It may still be carried out, unless it only revokes rights.
                    let may_be_late = !is_urgent() && error.outcome_unknown();
                    let alone =
                        writes.into_iter().map(|write| self.write_again(write, may_be_late));
                    futures::future::join_all(alone).await
                }
                Err(error) => writes.iter().map(|_| Err(error.clone())).collect(),
            };
        }
        // Nothing of it was done, for what may be the fault of one.
        let lacks_it = answer.is_ok_and(|reply| matches!(reply.status.as_u16(), 404 | 405 | 501));
        if let (true, Ok(features)) = (lacks_it, self.features().await) {
            features.fails_at(Ability::Bulk);
        }
        futures::future::join_all(
            writes.into_iter().map(|write| self.transport.send(write.alone())),
        )
        .await
    }
}

impl Client {
    /// Repeats a write alone whose outcome in a batch is unknown. Before a creation it searches for
    /// the resource.
    async fn write_again(
        &self,
        write: ScimWrite,
        may_be_late: bool,
    ) -> Result<Reply, DirectoryError> {
        if let Some(key) = write.late_key().filter(|_| may_be_late) {
            self.note_late(key);
        }
        if let Some(key) = write.key().filter(|_| write.method == Method::POST) {
            let kind = if write.path == ScimResource::Group.path() {
                ScimResource::Group
            } else {
                ScimResource::User
            };
            let made = self.find(kind, &[Filter::ExternalId(key.to_owned())], None).await?;
            if !made.concat().is_empty() {
                return Ok(Reply::of_double());
            }
        }
        self.transport.send(write.alone()).await
    }
}

/// Whether a server refuses the writes for being together, rather than each for itself.
fn refuses_together(status: u16) -> bool {
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 408 | 429)
}

/// Returns each write's answer, which a server may give in another order.
fn each_its_own(
    writes: &[ScimWrite],
    outcomes: Vec<BulkOutcome>,
) -> Vec<Result<Reply, DirectoryError>> {
    let mut by_number = HashMap::new();
    let mut by_place = HashMap::new();
    for outcome in outcomes {
        match (&outcome.bulk_id, &outcome.location) {
            (Some(number), _) => by_number.insert(number.clone(), outcome),
            (None, Some(place)) => by_place.insert(place.clone(), outcome),
            (None, None) => None,
        };
    }
    let mut take = |number: usize, write: &ScimWrite| {
        by_number.remove(&number.to_string()).or_else(|| {
            let place = by_place
                .keys()
                .find(|place| write.method != Method::POST && place.ends_with(&write.path))?
                .clone();
            by_place.remove(&place)
        })
    };
    let missing = || {
        DirectoryError::Protocol("it doesn't say what became of an operation of a bulk".to_owned())
    };
    let answer = |(number, write)| take(number, write).ok_or_else(missing).and_then(Reply::of_bulk);
    writes.iter().enumerate().map(answer).collect()
}
