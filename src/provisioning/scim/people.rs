//! Lists the people of a server for an import, and links an entry to its account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value};

use super::Client;
use super::features::Ability;
use super::lookup::Filter;
use super::messages::{PatchOperation, Resource, ScimResource, attribute, patch};
use super::transport::Request;
use super::writes::{ScimWrite, path_of};
use crate::domain::profile::{PostalAddress, Profile};
use crate::provisioning::{DirectoryError, ImportedUser, People};

impl Client {
    /// Returns all people of the server, in the order of their login names.
    pub(super) async fn people(&self) -> Result<People, DirectoryError> {
        let groups_of = self.groups_of_members().await?;
        let mut people = vec![];
        for user in self.list(ScimResource::User, None).await? {
            people.push(found(&user, groups_of.names(user.id()?))?);
        }
        people
            .sort_by(|one, other| (&one.login_name, &one.id).cmp(&(&other.login_name, &other.id)));
        Ok(People { people, unreadable_groups: groups_of.unreadable })
    }

    /// Lets an entry be known by an account's id.
    pub(super) async fn link(
        self: &Arc<Self>,
        id: &str,
        external_id: &str,
    ) -> Result<(), DirectoryError> {
        let of_account = [Filter::ExternalId(external_id.to_owned())];
        let linked = self.find(ScimResource::User, &of_account, Some("externalId")).await?;
        if let Some(linked) = linked.iter().flatten().next() {
            let linked = linked.id()?;
            let taken = || {
                DirectoryError::refused(&format!(
                    "another entry there ({linked}) has the externalId {external_id} already"
                ))
            };
            return if linked == id { Ok(()) } else { Err(taken()) };
        }
        let path = path_of(ScimResource::User, id)?;
        let reply = self.transport.send(Request::get(&path)).await?;
        if reply.status.as_u16() == 404 {
            return Err(DirectoryError::refused(&format!("there is no entry {id}")));
        }
        let entry: Resource = reply.read("a User")?;
        let features = self.features().await?;
        let version = entry.version().filter(|_| features.etag).map(str::to_owned);
        let write = if features.has(Ability::Patch) {
            let change = PatchOperation::replace("externalId", external_id.into());
            ScimWrite::change(Method::PATCH, path, patch(&[change]), version)
        } else {
            let mut whole: Map<String, Value> = entry.0;
            whole.retain(|name, _| {
                !["meta", "groups", "externalid"].contains(&name.to_lowercase().as_str())
            });
            whole.insert("externalId".to_owned(), external_id.into());
            ScimWrite::change(Method::PUT, path, Value::Object(whole), version)
        };
        self.write(write).await?.accepted()
    }
}

fn found(user: &Resource, groups: Vec<String>) -> Result<ImportedUser, DirectoryError> {
    let mut entry = Reading { user, further: BTreeMap::new(), unreadable: vec![] };
    let login_name = entry.text("userName");
    if login_name.is_none() {
        entry.unreadable.push("it has no userName".to_owned());
    }
    let mut permissions = entry.texts("entitlements");
    permissions.sort();
    let name =
        user.get("name").and_then(Value::as_object).and_then(|name| attribute(name, "formatted"));
    let formatted =
        || name.and_then(Value::as_str).filter(|name| !is_blank(name)).map(str::to_owned);
    Ok(ImportedUser {
        id: user.id()?.to_owned(),
        external_id: entry.text("externalId"),
        login_name: login_name.unwrap_or_default(),
        active: entry.active(),
        email: entry.one("emails"),
        profile: Profile {
            display_name: entry.text("displayName").or_else(formatted).unwrap_or_default(),
            phone: entry.one("phoneNumbers"),
            address: entry.address(),
            time_zone: entry.text("timezone"),
            notifications: BTreeSet::new(),
        },
        role: entry.one("roles"),
        permissions,
        groups,
        further: entry.further,
        unreadable: entry.unreadable,
    })
}

/// An entry that is being read, with what else it has and what of it can't be read.
struct Reading<'a> {
    user: &'a Resource,
    further: BTreeMap<&'static str, usize>,
    unreadable: Vec<String>,
}

impl<'a> Reading<'a> {
    fn active(&mut self) -> bool {
        match self.user.get("active") {
            None => true,
            Some(Value::Bool(active)) => *active,
            Some(_) => {
                self.unreadable.push("active is neither true nor false".to_owned());
                false
            }
        }
    }

    /// Returns a text; one that is blank isn't there.
    fn text(&mut self, name: &str) -> Option<String> {
        self.user.get(name).and_then(|value| self.text_of(value, name))
    }

    fn text_of(&mut self, value: &Value, name: &str) -> Option<String> {
        match value {
            Value::Null => None,
            Value::String(text) => (!is_blank(text)).then(|| text.clone()),
            _ => {
                self.unreadable.push(format!("{name} isn't a text"));
                None
            }
        }
    }

    /// Returns the text that is marked as the primary one, else the first.
    fn one(&mut self, name: &'static str) -> Option<String> {
        let texts = self.texts(name);
        self.count(name, texts.len().saturating_sub(1));
        texts.into_iter().next()
    }

    /// Returns the texts among the values, each once; some servers leave out what is around a
    /// value.
    fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts = vec![];
        for value in self.values(name) {
            let text = match value {
                Value::Object(parts) => attribute(parts, "value"),
                plain => Some(plain),
            };
            let text = text.and_then(|text| self.text_of(text, &format!("a value of {name}")));
            texts.extend(text.filter(|text| !texts.contains(text)));
        }
        texts
    }

    fn address(&mut self) -> Option<PostalAddress> {
        let says_where = |parts: &&Map<String, Value>| {
            parts.keys().any(|part| !["type", "primary"].contains(&part.as_str()))
        };
        let values: Vec<&Map<String, Value>> = self
            .values("addresses")
            .into_iter()
            .filter_map(Value::as_object)
            .filter(says_where)
            .collect();
        let read: Vec<PostalAddress> = values.iter().map(|parts| self.address_of(parts)).collect();
        // One that is only written out whole has no parts to be taken.
        let address = read.into_iter().find(|address| *address != PostalAddress::default());
        self.count("addresses", values.len() - usize::from(address.is_some()));
        address
    }

    fn address_of(&mut self, parts: &Map<String, Value>) -> PostalAddress {
        let mut part = |name| {
            attribute(parts, name)
                .and_then(|part| self.text_of(part, &format!("{name} of an address")))
        };
        let street = part("streetAddress");
        PostalAddress {
            street: street
                .iter()
                .flat_map(|street| street.lines())
                .filter(|line| !is_blank(line))
                .map(str::to_owned)
                .collect(),
            locality: part("locality"),
            region: part("region"),
            postal_code: part("postalCode"),
            country: part("country"),
        }
    }

    /// Returns the values of an attribute, the primary one first.
    fn values(&mut self, name: &str) -> Vec<&'a Value> {
        let mut values: Vec<&Value> = match self.user.get(name) {
            None => vec![],
            Some(Value::Array(values)) => values.iter().collect(),
            Some(_) => {
                self.unreadable.push(format!("{name} isn't a list"));
                vec![]
            }
        };
        let is_primary = |value: &Value| {
            value
                .as_object()
                .is_some_and(|parts| attribute(parts, "primary") == Some(&Value::Bool(true)))
        };
        values.sort_by_key(|value| !is_primary(value));
        values
    }

    fn count(&mut self, name: &'static str, others: usize) {
        if others > 0 {
            self.further.insert(name, others);
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
