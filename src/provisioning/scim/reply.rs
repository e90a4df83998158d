//! What a server answered, alone or as one of several, and what that means.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::lookup::EXTERNAL_ID;
use super::messages::{BulkOutcome, Resource, attribute, is_fit_id};
use crate::provisioning::DirectoryError;

/// The longest that a server is believed to want to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// The kinds of refusals (RFC 7644, section 3.12).
const SCIM_TYPES: &[&str] = &[
    "invalidFilter",
    "invalidPath",
    "invalidSyntax",
    "invalidValue",
    "invalidVers",
    "mutability",
    "noTarget",
    "sensitive",
    "tooMany",
    "uniqueness",
];

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Body,
    location: Option<String>,
    /// For how long it wants to be left alone.
    rest: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    /// Why it can't be read.
    Nonsense(String),
}

impl Reply {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let location =
            headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = match serde_json::from_slice(body) {
            _ if body.is_empty() => Body::Empty,
            Ok(json) => Body::Json(json),
            Err(why) if why.is_data() || why.is_syntax() || why.is_eof() => {
                Body::Nonsense(format!("it isn't JSON ({why})"))
            }
            Err(_) => Body::Nonsense("it isn't JSON".to_owned()),
        };
        Self { status, body, location, rest: rest(headers) }
    }

    /// Takes the answer to one of several writes.
    pub(super) fn of_bulk(outcome: BulkOutcome) -> Result<Self, DirectoryError> {
        let status = outcome.status.code().and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| {
            DirectoryError::Protocol("an operation of a bulk has no status".to_owned())
        })?;
        let body = outcome.response.map_or(Body::Empty, Body::Json);
        Ok(Self { status, body, location: outcome.location, rest: None })
    }

    /// Forgets the body if it repeats a secret, as the refusal of a value may.
    #[must_use]
    pub(super) fn without(mut self, secret: &str) -> Self {
        let repeats = match &self.body {
            Body::Json(json) => !secret.is_empty() && has_text(json, secret),
            Body::Empty | Body::Nonsense(_) => false,
        };
        if repeats && !self.status.is_success() {
            self.body = Body::Empty;
        }
        self
    }

    /// Forgets the server's own words about what it refuses, which may repeat a password, shortened
    /// or escaped. The kind of refusal stays.
    #[must_use]
    pub(super) fn without_words(mut self) -> Self {
        if self.status.is_success() {
            return self;
        }
        let kind = SCIM_TYPES.iter().find(|kind| self.is_error(kind));
        let status = kind
            .map_or_else(|| self.status.to_string(), |kind| format!("{} ({kind})", self.status));
        let detail = format!(
            "it answers {status}, with words that aren't told because the password may be among them"
        );
        self.body = Body::Json(json!({ "scimType": kind, "detail": detail }));
        self
    }

    /// Whether it is a refusal of this kind (RFC 7644, section 3.12).
    pub(super) fn is_error(&self, scim_type: &str) -> bool {
        self.error_word("scimType").is_some_and(|word| word.eq_ignore_ascii_case(scim_type))
    }

    /// Returns the resource that is in the body of a success: one that was changed, or made.
    pub(super) fn resource(&self) -> Option<Resource> {
        let Body::Json(json) = &self.body else { return None };
        let resource = Resource::read(json).ok().filter(|_| self.status.is_success())?;
        // A part of it shows nothing of the rest.
        (resource.id().is_ok() && resource.get("userName").is_some()).then_some(resource)
    }

    /// Returns the server's own words about what it refuses.
    pub(super) fn words(&self) -> &str {
        self.error_word("detail").unwrap_or_default()
    }

    /// Returns the error for a refused duplicate.
    pub(super) fn of_double() -> Self {
        Self { status: StatusCode::CONFLICT, body: Body::Empty, location: None, rest: None }
    }

    fn error_word(&self, name: &str) -> Option<&str> {
        match &self.body {
            Body::Json(json) => json.get(name)?.as_str(),
            Body::Empty | Body::Nonsense(_) => None,
        }
    }

    /// Returns the body of a success as what it should be, such as "a User".
    ///
    /// # Errors
    /// When it is no success, or something else. Its content may be about a person, and isn't
    /// reported.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, DirectoryError> {
        self.accepted()?;
        match &self.body {
            Body::Json(json) => T::deserialize(json)
                .map_err(|_| DirectoryError::Protocol(format!("it isn't {what}"))),
            Body::Empty => Err(DirectoryError::Protocol("it is empty".to_owned())),
            Body::Nonsense(why) => Err(DirectoryError::Protocol(why.clone())),
        }
    }

    /// Returns success, or why the server refused.
    ///
    /// # Errors
    /// Why it didn't, or that it answered with something other than JSON.
    pub(super) fn accepted(&self) -> Result<(), DirectoryError> {
        match &self.body {
            // What may be read and not written may be so for this entry alone.
            _ if self.status.as_u16() == 403 => Err(self.refusal()),
            _ if !self.status.is_success() => Err(self.failure()),
            Body::Nonsense(why) => Err(DirectoryError::Protocol(why.clone())),
            Body::Json(Value::Object(_)) | Body::Empty => Ok(()),
            Body::Json(_) => Err(DirectoryError::Protocol("it isn't a JSON object".to_owned())),
        }
    }

    /// Returns the id of the created resource, if the answer has it.
    pub(super) fn created_id(&self) -> Result<Option<String>, DirectoryError> {
        self.accepted()?;
        if let Body::Json(json) = &self.body {
            let resource = Resource::read(json)?;
            if resource.get("id").is_some() {
                return Ok(Some(resource.id()?.to_owned()));
            }
        }
        let Some(location) = &self.location else { return Ok(None) };
        let last = location.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        // An id that had to be escaped is looked up instead.
        let plain = last
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
        Ok(Some(last.to_owned()).filter(|id| plain && is_fit_id(id)))
    }

    /// Whether what was created may be found by this externalId: the server shows that, or nothing.
    pub(super) fn may_be_known_by(&self, external_id: &str) -> bool {
        match &self.body {
            Body::Json(Value::Object(attributes)) => {
                attribute(attributes, EXTERNAL_ID).and_then(Value::as_str) == Some(external_id)
            }
            Body::Json(_) | Body::Empty | Body::Nonsense(_) => true,
        }
    }

    pub(super) fn failure(&self) -> DirectoryError {
        let status = self.status;
        match status.as_u16() {
            429 => DirectoryError::RateLimited { after: self.rest, may_be_done: false },
            503 if self.rest.is_some() => {
                DirectoryError::RateLimited { after: self.rest, may_be_done: true }
            }
            300..=399 => DirectoryError::Protocol(format!(
                "it redirects ({status}), which isn't followed: the address has to be the one it redirects to"
            )),
            401 => DirectoryError::Unauthorized(format!(
                "it answers {status}: the token in its token file isn't one that it knows"
            )),
            403 => DirectoryError::Unauthorized(format!(
                "it answers {status}: the token in its token file doesn't allow this"
            )),
            404 => DirectoryError::Protocol(format!(
                "it answers {status}: the address has to be the one below which /Users is"
            )),
            501 => DirectoryError::Protocol(format!(
                "it answers {status}: it lacks something that roster needs"
            )),
            408 | 500..=599 => DirectoryError::Failed(format!("it answers {status}")),
            412 => DirectoryError::Conflict,
            400..=499 => self.refusal(),
            _ => DirectoryError::Protocol(format!("it answers {status}")),
        }
    }

    /// Returns that it refuses what it was asked, in its own words where it has any.
    fn refusal(&self) -> DirectoryError {
        let words = self.error_word("detail").or_else(|| self.error_word("scimType"));
        DirectoryError::refused(
            &words.map_or_else(|| format!("it answers {}", self.status), str::to_owned),
        )
    }
}

/// Returns for how long the server wants to be left alone: seconds, or from its own date to another
/// (RFC 9110, 10.2.3).
fn rest(headers: &HeaderMap) -> Option<Duration> {
    let after = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_REST));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp());
    let from = date(headers.get(DATE)?.to_str().ok()?)?;
    let rest = date(after)?.duration_since(from);
    Some(rest.try_into().unwrap_or(Duration::ZERO).min(LONGEST_REST))
}

fn has_text(json: &Value, text: &str) -> bool {
    match json {
        Value::String(string) => string.contains(text),
        Value::Array(values) => values.iter().any(|value| has_text(value, text)),
        Value::Object(parts) => parts.values().any(|value| has_text(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_directory_as_a_whole_has_none_of_the_servers_words() {
        for status in (300..600).map(|code| StatusCode::from_u16(code).unwrap()) {
            let body =
                json!({"scimType": "alice@acme.example", "detail": "Alice Smith"}).to_string();
            for body in [body, "<pre>Alice Smith, alice@acme.example".to_owned()] {
                let problem = Reply::new(status, &HeaderMap::new(), body.as_bytes()).failure();
                // It is logged, unlike a refusal of one entry.
                let told = problem.to_string();
                assert!(
                    !problem.is_about_directory()
                        || !(told.contains("Alice") || told.contains("alice")),
                    "{told}"
                );
            }
        }
    }
}
