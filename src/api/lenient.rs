//! Reads objects that another version of roster may have written: field by field, so that one value
//! that this version doesn't know costs no other.
//!
//! A schema that is newer, or was put back to an older one, lets values through that the types here
//! don't have. What can't be read stands in [`Unreadable`] with its place, and its field is as if
//! it was absent; what that means for an account is decided in [`crate::plan::unreadable`]. A
//! status is ours: what can't be read of it is written anew.

use std::borrow::Cow;
use std::sync::Arc;

use kube::Resource;
use kube::api::ObjectMeta;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::status::{Condition, ConditionStatus, Timestamp};
use super::user::{PermissionSource, PermissionsSpec, ProfileSpec};
use super::{
    OrgEmailDomain, OrgEmailDomainSpec, OrgEmailDomainStatus, User, UserGroup, UserGroupSpec,
    UserGroupStatus, UserSpec, UserStatus,
};
use crate::domain::profile::SelfServiceField;

/// The most characters of a value that are quoted.
const QUOTED: usize = 64;

/// A part of a spec that is read by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// All of it.
    Spec,
    /// A `User`'s `username`.
    Username,
    /// Its `email`.
    Email,
    /// All of its `profile`.
    Profile,
    /// A part of its `profile`.
    ProfilePart(SelfServiceField),
    /// Its `role`.
    Role,
    /// Its `teams`.
    Teams,
    /// Its `groupRef`.
    GroupRef,
    /// All of its `permissions`.
    Permissions,
    /// Some of its `permissions.grants`.
    Grants,
    /// Its `permissions.from`.
    From,
    /// Its `copyOf`.
    CopyOf,
    /// Its `adopt`.
    Adopt,
    /// Its `state`.
    State,
    /// Its `passwordSecretRef`.
    PasswordSecretRef,
    /// Its `chargeApproved`.
    ChargeApproved,
    /// Its `deletionProtection`.
    DeletionProtection,
    /// Its `deletionPolicy`.
    DeletionPolicy,
    /// A `UserGroup`'s `description`.
    Description,
    /// Its `fullControl`.
    FullControl,
    /// Some of its `permissions`.
    GroupPermissions,
    /// Some of its `selfService`.
    SelfService,
    /// An `OrgEmailDomain`'s `domain`.
    Domain,
    /// Its `includeSubdomains`.
    IncludeSubdomains,
}

impl Field {
    /// Whether another is this one or a part of it.
    fn covers(self, other: Self) -> bool {
        let parts: &[Self] = match self {
            Self::Spec => return true,
            Self::Profile if matches!(other, Self::ProfilePart(_)) => return true,
            Self::Permissions => &[Self::Grants, Self::From],
            _ => &[],
        };
        self == other || parts.contains(&other)
    }
}

/// A value in a spec that this version doesn't understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableField {
    /// What it is a value of.
    pub field: Field,
    /// Where it stands, such as `spec.selfService[1]`.
    pub path: String,
    /// The value in JSON, cut where it is long.
    pub value: String,
    /// What is the matter with it, where it is understood and refused all the same.
    pub problem: Option<String>,
}

impl UnreadableField {
    /// Returns a value that stands somewhere.
    #[must_use]
    pub fn new(field: Field, path: String, value: &Value) -> Self {
        let text = value.to_string();
        let value = match text.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        Self { field, path, value, problem: None }
    }
}

impl UnreadableField {
    /// Returns a value that is understood, and that nothing can be made of.
    #[must_use]
    pub fn wrong(field: Field, path: String, value: &str, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::new(field, path, &Value::from(value)) }
    }
}

/// What of a spec can't be read. Nearly always nothing, so it is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable(Option<Arc<Vec<UnreadableField>>>);

impl Unreadable {
    /// Returns the values that can't be read, in the order of the spec.
    #[must_use]
    pub fn fields(&self) -> &[UnreadableField] {
        self.0.as_ref().map_or(&[], |fields| fields.as_slice())
    }

    /// Whether something of a field can't be read.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.fields().iter().any(|unreadable| unreadable.field.covers(field))
    }
}

impl From<Vec<UnreadableField>> for Unreadable {
    fn from(fields: Vec<UnreadableField>) -> Self {
        Self((!fields.is_empty()).then(|| Arc::new(fields)))
    }
}

/// An object as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<K> {
    /// The object; what can't be read is as if it was absent.
    pub object: K,
    /// What of its spec can't be read.
    pub unreadable: Unreadable,
    /// Whether something of its status can't be read, so that it has to be written anew.
    pub has_foreign_status: bool,
}

impl<K> From<K> for Lenient<K> {
    fn from(object: K) -> Self {
        Self { object, unreadable: Unreadable::default(), has_foreign_status: false }
    }
}

/// One of our kinds, put together from its parts.
pub trait Readable: Resource<DynamicType = ()> {
    /// Reads the parts as far as they can be read.
    fn read(metadata: ObjectMeta, spec: &mut Reader<'_>, status: Option<&mut Reader<'_>>) -> Self;
}

impl<'de, K: Readable> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Map::deserialize(deserializer)?;
        let metadata = metadata(parts.remove("metadata"))
            .ok_or_else(|| D::Error::custom("an object without a name"))?;
        let (mut unreadable, mut foreign) = (vec![], vec![]);
        let mut spec =
            Reader::new("spec".to_owned(), Field::Spec, parts.remove("spec"), &mut unreadable);
        let status = parts.remove("status").filter(|status| !status.is_null());
        let mut status = status.map(|status| {
            Reader::new("status".to_owned(), Field::Spec, Some(status), &mut foreign)
        });
        let object = K::read(metadata, &mut spec, status.as_mut());
        Ok(Self { object, unreadable: unreadable.into(), has_foreign_status: !foreign.is_empty() })
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(kind)
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        K::group(kind)
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        K::version(kind)
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.meta_mut()
    }
}

/// Returns the metadata; where some of it can't be read, what is needed of it. Nothing without a
/// name.
fn metadata(value: Option<Value>) -> Option<ObjectMeta> {
    let Some(Value::Object(mut parts)) = value else { return None };
    // Nobody looks at them, and they are most of an object.
    parts.remove("managedFields");
    if let Ok(metadata) = ObjectMeta::deserialize(&Value::Object(parts.clone())) {
        return metadata.name.is_some().then_some(metadata);
    }
    let mut ignored = vec![];
    let mut parts =
        Reader::new("metadata".to_owned(), Field::Spec, Some(Value::Object(parts)), &mut ignored);
    let is_deleted = parts.fields.get("deletionTimestamp").is_some_and(|time| !time.is_null());
    let deleted = parts.take("deletionTimestamp", Field::Spec);
    let metadata = ObjectMeta {
        name: parts.take("name", Field::Spec),
        namespace: parts.take("namespace", Field::Spec),
        uid: parts.take("uid", Field::Spec),
        resource_version: parts.take("resourceVersion", Field::Spec),
        generation: parts.take("generation", Field::Spec),
        deletion_timestamp: deleted
            .or(is_deleted.then(|| Timestamp::from(jiff::Timestamp::UNIX_EPOCH))),
        finalizers: parts.take("finalizers", Field::Spec),
        annotations: parts.take("annotations", Field::Spec),
        ..ObjectMeta::default()
    };
    metadata.name.is_some().then_some(metadata)
}

/// Takes the parts of a JSON object one by one.
#[derive(Debug)]
pub struct Reader<'a> {
    path: String,
    fields: Map<String, Value>,
    unreadable: &'a mut Vec<UnreadableField>,
}

impl<'a> Reader<'a> {
    /// Returns a reader of what stands at a place; null is absent, and what is no JSON object can't
    /// be read.
    fn new(
        path: String,
        field: Field,
        value: Option<Value>,
        unreadable: &'a mut Vec<UnreadableField>,
    ) -> Self {
        let fields = match value {
            Some(Value::Object(fields)) => fields,
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                unreadable.push(UnreadableField::new(field, path.clone(), &other));
                Map::new()
            }
        };
        Self { path, fields, unreadable }
    }

    /// Takes the parts of a field; nothing where it is absent.
    fn within(&mut self, name: &str, field: Field) -> Option<Reader<'_>> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        Some(Reader::new(format!("{}.{name}", self.path), field, Some(value), self.unreadable))
    }

    /// Takes a field; nothing where it is absent or can't be read.
    fn take<T: DeserializeOwned>(&mut self, name: &str, field: Field) -> Option<T> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        let read = T::deserialize(&value).ok();
        if read.is_none() {
            self.note(field, format!("{}.{name}", self.path), &value);
        }
        read
    }

    /// Takes a field that is a JSON object: a list isn't read for one, as serde would.
    fn object<T: DeserializeOwned>(&mut self, name: &str, field: Field) -> Option<T> {
        if let Some(list) = self.fields.get(name).filter(|value| value.is_array()).cloned() {
            self.fields.remove(name);
            self.note(field, format!("{}.{name}", self.path), &list);
        }
        self.take(name, field)
    }

    /// Takes the entries of a list that can be read.
    fn entries<T: DeserializeOwned>(&mut self, name: &str, field: Field) -> Vec<T> {
        let path = format!("{}.{name}", self.path);
        let entries = match self.fields.remove(name) {
            Some(Value::Array(entries)) => entries,
            None | Some(Value::Null) => return vec![],
            Some(other) => {
                self.note(field, path, &other);
                return vec![];
            }
        };
        let mut read = vec![];
        for (number, entry) in entries.iter().enumerate() {
            match T::deserialize(entry) {
                Ok(known) if !entry.is_array() => read.push(known),
                Ok(_) | Err(_) => self.note(field, format!("{path}[{number}]"), entry),
            }
        }
        read
    }

    /// Whether it can't be read as a whole.
    fn is_noted(&self) -> bool {
        self.unreadable.last().is_some_and(|last| last.path == self.path)
    }

    fn note(&mut self, field: Field, path: String, value: &Value) {
        self.unreadable.push(UnreadableField::new(field, path, value));
    }
}

impl Readable for User {
    fn read(metadata: ObjectMeta, spec: &mut Reader<'_>, status: Option<&mut Reader<'_>>) -> Self {
        let spec = UserSpec {
            username: spec.take("username", Field::Username),
            email: spec.take("email", Field::Email),
            profile: spec.within("profile", Field::Profile).map(profile),
            role: spec.take("role", Field::Role),
            teams: spec.take("teams", Field::Teams).unwrap_or_default(),
            group_ref: spec.object("groupRef", Field::GroupRef).unwrap_or_default(),
            permissions: spec.within("permissions", Field::Permissions).map(permissions),
            copy_of: spec.object("copyOf", Field::CopyOf),
            adopt: spec.take("adopt", Field::Adopt),
            state: spec.take("state", Field::State).unwrap_or_default(),
            password_secret_ref: spec.object("passwordSecretRef", Field::PasswordSecretRef),
            charge_approved: spec.take("chargeApproved", Field::ChargeApproved).unwrap_or_default(),
            deletion_protection: spec
                .take("deletionProtection", Field::DeletionProtection)
                .unwrap_or_default(),
            deletion_policy: spec.take("deletionPolicy", Field::DeletionPolicy).unwrap_or_default(),
        };
        Self { metadata, spec, status: status.map(user_status) }
    }
}

fn profile(mut profile: Reader<'_>) -> ProfileSpec {
    let part = Field::ProfilePart;
    ProfileSpec {
        display_name: profile.take("displayName", part(SelfServiceField::Name)),
        phone: profile.take("phone", part(SelfServiceField::Phone)),
        address: profile.object("address", part(SelfServiceField::Address)),
        time_zone: profile.take("timeZone", part(SelfServiceField::TimeZone)),
        notifications: profile
            .take("notifications", part(SelfServiceField::Notifications))
            .unwrap_or_default(),
    }
}

fn permissions(mut permissions: Reader<'_>) -> PermissionsSpec {
    PermissionsSpec {
        grants: permissions.entries("grants", Field::Grants),
        from: permissions.within("from", Field::From).and_then(source),
    }
}

fn source(mut from: Reader<'_>) -> Option<PermissionSource> {
    let whole = Value::Object(from.fields.clone());
    let noted = from.unreadable.len();
    let (name, mode) = (from.take("name", Field::From), from.take("mode", Field::From));
    let is_incomplete =
        !from.is_noted() && from.unreadable.len() == noted && (name.is_none() || mode.is_none());
    if is_incomplete {
        let path = from.path.clone();
        from.note(Field::From, path, &whole);
    }
    name.zip(mode).map(|(name, mode)| PermissionSource { name, mode })
}

fn user_status(status: &mut Reader<'_>) -> UserStatus {
    UserStatus {
        observed_generation: status.take("observedGeneration", Field::Spec),
        state: status.take("state", Field::Spec),
        login_name: status.take("loginName", Field::Spec),
        account_id: account_id(status),
        email: status.take("email", Field::Spec),
        group: status.take("group", Field::Spec),
        profile: status.object("profile", Field::Spec),
        transaction: status.object("transaction", Field::Spec),
        permissions: status.object("permissions", Field::Spec),
        clone: status.object("clone", Field::Spec),
        copy: status.object("copy", Field::Spec),
        heirs: status.take("heirs", Field::Spec),
        billing: status.object("billing", Field::Spec),
        conditions: conditions(status),
    }
}

/// Takes the account's id. One of another form still says that there was an account, which isn't
/// made anew in silence.
fn account_id(status: &mut Reader<'_>) -> Option<String> {
    let value = status.fields.get("accountId").filter(|value| !value.is_null()).cloned()?;
    let id = status.take("accountId", Field::Spec);
    id.or_else(|| Some(value.to_string().chars().take(36).collect()))
}

/// Takes the conditions that can be read.
fn conditions(status: &mut Reader<'_>) -> Vec<Condition> {
    let known = |status: &Value| ConditionStatus::deserialize(status).is_ok();
    let mut others = vec![];
    for condition in
        status.fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if condition.get("status").is_some_and(|status| !known(status)) {
            others.push(std::mem::replace(&mut condition["status"], Value::from("Unknown")));
        }
    }
    for other in others {
        status.note(Field::Spec, "status.conditions".to_owned(), &other);
    }
    status.entries("conditions", Field::Spec)
}

impl Readable for UserGroup {
    fn read(metadata: ObjectMeta, spec: &mut Reader<'_>, status: Option<&mut Reader<'_>>) -> Self {
        let spec = UserGroupSpec {
            description: spec.take("description", Field::Description),
            full_control: spec.take("fullControl", Field::FullControl).unwrap_or_default(),
            permissions: spec.entries("permissions", Field::GroupPermissions),
            self_service: spec.entries("selfService", Field::SelfService),
        };
        let status = status.map(|status| UserGroupStatus {
            observed_generation: status.take("observedGeneration", Field::Spec),
            members: status.take("members", Field::Spec),
            conditions: conditions(status),
        });
        Self { metadata, spec, status }
    }
}

impl Readable for OrgEmailDomain {
    fn read(metadata: ObjectMeta, spec: &mut Reader<'_>, status: Option<&mut Reader<'_>>) -> Self {
        let is_absent =
            spec.unreadable.is_empty() && spec.fields.get("domain").is_none_or(Value::is_null);
        if is_absent {
            spec.note(Field::Domain, "spec.domain".to_owned(), &Value::Null);
        }
        let spec = OrgEmailDomainSpec {
            domain: spec.take("domain", Field::Domain).unwrap_or_default(),
            include_subdomains: spec
                .take("includeSubdomains", Field::IncludeSubdomains)
                .unwrap_or_default(),
        };
        let status = status.map(|status| OrgEmailDomainStatus {
            observed_generation: status.take("observedGeneration", Field::Spec),
            ascii_domain: status.take("asciiDomain", Field::Spec),
            users: status.take("users", Field::Spec),
            conditions: conditions(status),
        });
        Self { metadata, spec, status }
    }
}

#[cfg(test)]
mod tests;
