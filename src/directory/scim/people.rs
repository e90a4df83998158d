//! Who a server has already, for an import, and the link between an entry and its account.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value};

use super::Client;
use super::features::Ability;
use super::lookup::Condition;
use super::messages::{Kind, PatchOperation, Resource, attribute, patch};
use super::transport::Request;
use super::writes::{Write, path_of};
use crate::directory::{DirectoryError, Found};
use crate::domain::account::PostalAddress;

impl Client {
    /// Returns everybody whom the server has, whoever put them there, in the order of their login names.
    pub(super) async fn people(&self) -> Result<Vec<Found>, DirectoryError> {
        let groups = self.list(Kind::Group, Some("displayName,members.value")).await?;
        let mut groups_of: HashMap<&str, BTreeSet<String>> = HashMap::new();
        for group in &groups {
            let Some(name) = group.text("displayName")? else { continue };
            for member in group.members()? {
                groups_of.entry(member).or_default().insert(name.to_owned());
            }
        }
        let mut people = vec![];
        for user in self.list(Kind::User, None).await? {
            let groups = groups_of.get(user.id()?).into_iter().flatten().cloned().collect();
            people.push(found(&user, groups)?);
        }
        people.sort_by(|one, other| (&one.login_name, &one.id).cmp(&(&other.login_name, &other.id)));
        Ok(people)
    }

    /// Lets an entry be known by an account's id.
    pub(super) async fn link(self: &Arc<Self>, id: &str, external_id: &str) -> Result<(), DirectoryError> {
        let of_account = [Condition::ExternalId(external_id.to_owned())];
        let linked = self.find(Kind::User, &of_account, Some("externalId")).await?;
        if let Some(linked) = linked.iter().flatten().next() {
            let linked = linked.id()?;
            let taken =
                || DirectoryError::refused(&format!("another entry there ({linked}) has the externalId {external_id} already"));
            return if linked == id { Ok(()) } else { Err(taken()) };
        }
        let path = path_of(Kind::User, id)?;
        let reply = self.transport.send(Request::get(&path)).await?;
        if reply.status.as_u16() == 404 {
            return Err(DirectoryError::refused(&format!("there is no entry {id}")));
        }
        let entry: Resource = reply.read("a User")?;
        let features = self.features().await?;
        let version = entry.version().filter(|_| features.etag).map(str::to_owned);
        let write = if features.has(Ability::Patch) {
            let change = PatchOperation::replace("externalId", external_id.into());
            Write::change(Method::PATCH, path, patch(&[change]), version)
        } else {
            let mut whole: Map<String, Value> = entry.0;
            whole.retain(|name, _| !["meta", "groups", "externalid"].contains(&name.to_lowercase().as_str()));
            whole.insert("externalId".to_owned(), external_id.into());
            Write::change(Method::PUT, path, Value::Object(whole), version)
        };
        self.write(write).await?.accepted()
    }
}

fn found(user: &Resource, groups: Vec<String>) -> Result<Found, DirectoryError> {
    let text = |name| user.text(name).map(|text| text.map(str::to_owned));
    let login_name = text("userName")?.ok_or_else(|| DirectoryError::Nonsense("a User has no userName".to_owned()))?;
    let active = match user.get("active") {
        None => true,
        Some(Value::Bool(active)) => *active,
        Some(_) => return Err(DirectoryError::Nonsense(format!("active of {login_name} is neither true nor false"))),
    };
    let mut permissions = values(user, "entitlements")?;
    permissions.sort();
    permissions.dedup();
    let name = user.get("name").and_then(Value::as_object).and_then(|name| attribute(name, "formatted"));
    Ok(Found {
        id: user.id()?.to_owned(),
        external_id: text("externalId")?,
        login_name,
        active,
        email: first(user, "emails")?,
        display_name: text("displayName")?.or_else(|| name.and_then(Value::as_str).map(str::to_owned)),
        phone: first(user, "phoneNumbers")?,
        address: primary(user, "addresses")?.and_then(Value::as_object).map(address),
        time_zone: text("timezone")?,
        role: first(user, "roles")?,
        permissions,
        groups,
    })
}

fn address(parts: &Map<String, Value>) -> PostalAddress {
    let part = |name| attribute(parts, name).and_then(Value::as_str).map(str::to_owned).filter(|part| !part.is_empty());
    PostalAddress {
        street: part("streetAddress").iter().flat_map(|street| street.lines()).map(str::to_owned).collect(),
        locality: part("locality"),
        region: part("region"),
        postal_code: part("postalCode"),
        country: part("country"),
    }
}

/// Returns the value that is marked as the primary one, else the first.
fn primary<'a>(user: &'a Resource, name: &str) -> Result<Option<&'a Value>, DirectoryError> {
    let values = several(user, name)?;
    let is_primary =
        |value: &&Value| value.as_object().is_some_and(|parts| attribute(parts, "primary") == Some(&Value::Bool(true)));
    Ok(values.iter().find(is_primary).or_else(|| values.first()))
}

fn first(user: &Resource, name: &str) -> Result<Option<String>, DirectoryError> {
    primary(user, name)?.map(|value| value_of(value, name)).transpose().map(Option::flatten)
}

fn values(user: &Resource, name: &str) -> Result<Vec<String>, DirectoryError> {
    several(user, name)?.iter().filter_map(|value| value_of(value, name).transpose()).collect()
}

fn several<'a>(user: &'a Resource, name: &str) -> Result<&'a [Value], DirectoryError> {
    match user.get(name) {
        None => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(DirectoryError::Nonsense(format!("{name} isn't a list"))),
    }
}

/// Returns a value; some servers leave out what is around it.
fn value_of(value: &Value, name: &str) -> Result<Option<String>, DirectoryError> {
    let text = match value {
        Value::Object(parts) => attribute(parts, "value"),
        plain => Some(plain),
    };
    match text {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(DirectoryError::Nonsense(format!("a value of {name} isn't a text"))),
    }
}
