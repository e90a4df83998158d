//! The words of SCIM (RFC 7643, RFC 7644): tolerant of what servers add, strict about what is built
//! on.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::provisioning::DirectoryError;

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ScimResource {
    User,
    Group,
}

impl ScimResource {
    /// Returns the path of all resources of the kind.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    pub(super) fn schema(self) -> &'static str {
        match self {
            Self::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            Self::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }
}

/// A resource as a server has it, with all that roster doesn't know.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub(super) struct Resource(pub(super) Map<String, Value>);

impl From<Map<String, Value>> for Resource {
    /// Takes what servers write otherwise for what it means: booleans and keys as text or as
    /// numbers, and values without parts.
    fn from(mut attributes: Map<String, Value>) -> Self {
        for (name, value) in &mut attributes {
            match name.to_lowercase().as_str() {
                "id" | "externalid" => as_key(value),
                "active" => as_bool(value),
                "emails" | "phonenumbers" | "addresses" | "roles" | "entitlements" | "members"
                | "groups" => {
                    value.as_array_mut().into_iter().flatten().for_each(with_parts);
                }
                _ => {}
            }
        }
        Self(attributes)
    }
}

/// Makes a number a text: servers have their own idea of what a key is.
fn as_key(value: &mut Value) {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
}

fn as_bool(value: &mut Value) {
    if let Some(says) = value.as_str().and_then(|text| text.to_lowercase().parse::<bool>().ok()) {
        *value = Value::Bool(says);
    }
}

/// Makes one of several values one with parts.
fn with_parts(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => {
            as_key(value);
            *value = json!({ "value": value.take() });
        }
        Value::Object(parts) => {
            for (name, part) in parts {
                match name.to_lowercase().as_str() {
                    "value" => as_key(part),
                    "primary" => as_bool(part),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

impl Resource {
    /// Takes a reply for a resource.
    pub(super) fn read(body: &Value) -> Result<Self, DirectoryError> {
        match body {
            Value::Object(attributes) => Ok(Self::from(attributes.clone())),
            _ => Err(DirectoryError::Protocol("a resource isn't a JSON object".to_owned())),
        }
    }

    /// Returns an attribute; names have no case (RFC 7643, section 2.1). One without a value isn't
    /// there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        attribute(&self.0, name)
    }

    /// Returns an attribute that is a text where it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, DirectoryError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(DirectoryError::Protocol(format!("{name} isn't a text"))),
        }
    }

    /// Returns the server's key of the resource, which is fit for a path.
    pub(super) fn id(&self) -> Result<&str, DirectoryError> {
        let id = self.text("id")?.filter(|id| is_fit_id(id));
        id.ok_or_else(|| DirectoryError::Protocol("a resource has no usable id".to_owned()))
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
        let nonsense = || DirectoryError::Protocol(format!("{name} isn't a list of objects"));
        match self.get(name) {
            None => Ok(vec![]),
            Some(Value::Array(values)) => {
                values.iter().map(|value| value.as_object().ok_or_else(nonsense)).collect()
            }
            Some(_) => Err(nonsense()),
        }
    }

    pub(super) fn members(&self) -> Result<Vec<&str>, DirectoryError> {
        let members = self.values("members")?.into_iter();
        let id = |member| attribute(member, "value").and_then(Value::as_str);
        members
            .map(|member| {
                id(member)
                    .ok_or_else(|| DirectoryError::Protocol("a member has no value".to_owned()))
            })
            .collect()
    }
}

/// Returns an attribute or a part of one; one that is null or empty isn't there (RFC 7643, section
/// 2.5).
pub(super) fn attribute<'a>(attributes: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = attributes.get(name).or_else(|| {
        attributes.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, it)| it)
    });
    found.filter(|value| {
        !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty())
    })
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
    /// How many there are, if the server has a total; some leave it out where nothing matches.
    #[serde(default, deserialize_with = "number")]
    pub(super) total_results: Option<usize>,
    #[serde(default, rename = "Resources", alias = "resources")]
    pub(super) resources: Option<Vec<Resource>>,
}

/// What a server can do (RFC 7643, section 5).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceProviderConfig {
    pub(super) patch: Option<Supported>,
    pub(super) filter: Option<FilterConfig>,
    pub(super) etag: Option<Supported>,
    pub(super) bulk: Option<BulkConfig>,
}

/// Whether a server filters, and how many resources it gives at once.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FilterConfig {
    #[serde(deserialize_with = "boolean")]
    pub(super) supported: bool,
    #[serde(deserialize_with = "number")]
    pub(super) max_results: Option<usize>,
}

/// Reads a boolean that may be written as a text; what is neither isn't true.
fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    as_bool(&mut value);
    Ok(value.as_bool().unwrap_or_default())
}

/// Reads a number that may be written as a text, or isn't there.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| number.try_into().ok()),
    };
    number.map(Some).ok_or_else(|| D::Error::custom("a number is expected"))
}

/// Whether a server can do one thing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Supported {
    #[serde(deserialize_with = "boolean")]
    pub(super) supported: bool,
}

/// Whether a server takes several writes at once, and how many.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BulkConfig {
    #[serde(deserialize_with = "boolean")]
    pub(super) supported: bool,
    #[serde(deserialize_with = "number")]
    pub(super) max_operations: Option<usize>,
    #[serde(deserialize_with = "number")]
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
    pub(super) fn path(&self) -> &str {
        &self.path
    }

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

    /// Takes away these values of several, where a server knows that form; to the RFC it is
    /// everything that is there.
    pub(super) fn remove_values(path: &str, values: Value) -> Self {
        Self { op: "remove", path: path.to_owned(), value: Some(values) }
    }
}

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
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Object { code } => code.code(),
        }
    }
}
