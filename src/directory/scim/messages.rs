//! The words of SCIM (RFC 7643, RFC 7644): tolerant of what servers add, strict about what is built on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::directory::DirectoryError;

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// The kinds of resources that are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    User,
    Group,
}

impl Kind {
    /// Returns the path of all resources of the kind.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// Returns the schema of the kind.
    pub(super) fn schema(self) -> &'static str {
        match self {
            Self::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            Self::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }
}

/// A resource as a server has it, with all that roster doesn't know.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Resource(pub(super) Map<String, Value>);

impl Resource {
    /// Takes a reply for a resource.
    pub(super) fn read(body: &Value) -> Result<Self, DirectoryError> {
        match body {
            Value::Object(attributes) => Ok(Self(attributes.clone())),
            _ => Err(DirectoryError::Nonsense("a resource isn't a JSON object".to_owned())),
        }
    }

    /// Returns an attribute; names have no case (RFC 7643, section 2.1). One without a value isn't there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        attribute(&self.0, name)
    }

    /// Returns an attribute that is a text where it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, DirectoryError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(DirectoryError::Nonsense(format!("{name} isn't a text"))),
        }
    }

    /// Returns the server's key of the resource, which is fit for a path.
    pub(super) fn id(&self) -> Result<&str, DirectoryError> {
        let id = self.text("id")?.filter(|id| is_fit_id(id));
        id.ok_or_else(|| DirectoryError::Nonsense("a resource has no usable id".to_owned()))
    }

    /// Returns what the client of the server knows the resource by.
    pub(super) fn external_id(&self) -> Result<Option<&str>, DirectoryError> {
        self.text("externalId")
    }

    /// Returns the version for a conditional write, where the server has versions.
    pub(super) fn version(&self) -> Option<&str> {
        let meta = self.get("meta")?.as_object()?;
        attribute(meta, "version")?.as_str()
    }

    /// Returns the values of an attribute with several, each with its parts.
    pub(super) fn values(&self, name: &str) -> Result<Vec<&Map<String, Value>>, DirectoryError> {
        let nonsense = || DirectoryError::Nonsense(format!("{name} isn't a list of objects"));
        match self.get(name) {
            None => Ok(vec![]),
            Some(Value::Array(values)) => values.iter().map(|value| value.as_object().ok_or_else(nonsense)).collect(),
            Some(_) => Err(nonsense()),
        }
    }

    /// Returns the ids of a group's members.
    pub(super) fn members(&self) -> Result<Vec<&str>, DirectoryError> {
        let members = self.values("members")?.into_iter();
        let id = |member| attribute(member, "value").and_then(Value::as_str);
        members.map(|member| id(member).ok_or_else(|| DirectoryError::Nonsense("a member has no value".to_owned()))).collect()
    }
}

/// Returns an attribute or a part of one; one that is null or empty isn't there (RFC 7643, section 2.5).
pub(super) fn attribute<'a>(attributes: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found =
        attributes.get(name).or_else(|| attributes.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, it)| it));
    found.filter(|value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty()))
}

/// Whether an id can be the last segment of a path.
pub(super) fn is_fit_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && id.len() <= 500 && !id.chars().any(char::is_control)
}

/// Returns a text between quotes, for a filter.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A page of a list (RFC 7644, section 3.4.2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListResponse {
    pub(super) total_results: usize,
    #[serde(default, rename = "Resources", alias = "resources")]
    pub(super) resources: Option<Vec<Resource>>,
}

/// What a server can do (RFC 7643, section 5).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceProviderConfig {
    pub(super) patch: Option<Supported>,
    pub(super) filter: Option<Supported>,
    pub(super) etag: Option<Supported>,
    pub(super) bulk: Option<BulkConfig>,
}

/// Whether a server can do one thing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Supported {
    pub(super) supported: bool,
}

/// Whether a server takes several writes at once, and how many.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BulkConfig {
    pub(super) supported: bool,
    pub(super) max_operations: Option<usize>,
    pub(super) max_payload_size: Option<usize>,
}

/// An operation of a PATCH (RFC 7644, section 3.5.2). It isn't printed: a password may be in it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct PatchOperation {
    op: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

impl PatchOperation {
    /// Puts a value in the place of whatever is there.
    pub(super) fn replace(path: &str, value: Value) -> Self {
        Self { op: "replace", path: path.to_owned(), value: Some(value) }
    }

    /// Adds values to those that are there.
    pub(super) fn add(path: &str, value: Value) -> Self {
        Self { op: "add", path: path.to_owned(), value: Some(value) }
    }

    /// Takes away what is there.
    pub(super) fn remove(path: &str) -> Self {
        Self { op: "remove", path: path.to_owned(), value: None }
    }

    /// Takes away these values of several, where a server knows that form; to the RFC it is everything that is there.
    pub(super) fn remove_values(path: &str, values: Value) -> Self {
        Self { op: "remove", path: path.to_owned(), value: Some(values) }
    }
}

/// Returns the body of a PATCH.
pub(super) fn patch(operations: &[PatchOperation]) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// Returns the body of several writes at once, each of which stands or fails alone.
pub(super) fn bulk(operations: &[Value]) -> Value {
    json!({ "schemas": [BULK_REQUEST], "Operations": operations })
}

/// What a server made of several writes (RFC 7644, section 3.7.3).
#[derive(Debug, Deserialize)]
pub(super) struct BulkResponse {
    #[serde(rename = "Operations", alias = "operations")]
    pub(super) operations: Vec<BulkOutcome>,
}

/// What a server made of one of several writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkOutcome {
    pub(super) bulk_id: Option<String>,
    pub(super) location: Option<String>,
    pub(super) status: BulkStatus,
    pub(super) response: Option<Value>,
}

/// A status as the RFC's examples have it; some servers write the number, or the draft's object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum BulkStatus {
    Text(String),
    Number(u16),
    Object { code: Box<BulkStatus> },
}

impl BulkStatus {
    /// Returns the number.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Object { code } => code.code(),
        }
    }
}
