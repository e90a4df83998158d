//! A person in the words of a SCIM User (RFC 7643, section 4.1), and how one differs from what a
//! server has.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::messages::{PatchOperation, Resource, ScimResource, attribute};
use crate::domain::profile::Profile;
use crate::provisioning::DirectoryUser;

/// The attributes of a User that roster manages, with the parts of their values. All others belong
/// to others.
const MANAGED: &[(&str, Parts)] = &[
    ("userName", Parts::One),
    ("externalId", Parts::One),
    ("active", Parts::One),
    ("displayName", Parts::One),
    ("timezone", Parts::One),
    (EMAILS, Parts::Several(&["value", "type", "primary"])),
    ("phoneNumbers", Parts::Several(&["value", "type"])),
    (
        "addresses",
        Parts::Several(&["type", "streetAddress", "locality", "region", "postalCode", "country"]),
    ),
    ("roles", Parts::Several(&["value"])),
    ("entitlements", Parts::Several(&["value"])),
];

const EMAILS: &str = "emails";

/// What an attribute's value is made of.
#[derive(Clone, Copy)]
enum Parts {
    One,
    /// It has several values, each with these parts.
    Several(&'static [&'static str]),
}

/// Returns a person's resource, without the password. Attributes that the person lacks are absent.
pub(super) fn wanted(person: &DirectoryUser, account: &str) -> Map<String, Value> {
    let DirectoryUser {
        login_name,
        email,
        active,
        profile,
        role,
        group: _,
        permissions,
        password: _,
    } = person;
    let Profile { display_name, phone, address, time_zone, notifications: _ } = profile;
    let valued = |value: &String| json!({ "value": value });
    let all = json!({
        "schemas": [ScimResource::User.schema()],
        "userName": login_name,
        "externalId": account,
        "active": active,
        "displayName": display_name,
        "name": { "formatted": display_name },
        "emails": [{ "value": email, "type": "work", "primary": true }],
        "phoneNumbers": phone.iter().map(|phone| json!({ "value": phone, "type": "work" })).collect::<Vec<_>>(),
        "addresses": address.iter().map(|address| {
            let street = Some(address.street.join("\n")).filter(|street| !street.is_empty());
            let parts = [
                ("type", Some("work".to_owned())),
                ("streetAddress", street),
                ("locality", address.locality.clone()),
                ("region", address.region.clone()),
                ("postalCode", address.postal_code.clone()),
                ("country", address.country.clone()),
            ];
            parts.into_iter().filter_map(|(part, value)| Some((part.to_owned(), Value::from(value?)))).collect::<Value>()
        }).collect::<Vec<_>>(),
        "timezone": time_zone,
        "roles": role.iter().map(valued).collect::<Vec<_>>(),
        "entitlements": permissions.iter().map(valued).collect::<Vec<_>>(),
    });
    let Value::Object(all) = all else { return Map::new() };
    let is_there = |name: &str| attribute(&all, name).is_some();
    let there: Vec<String> = all.keys().filter(|name| is_there(name)).cloned().collect();
    all.into_iter().filter(|(name, _)| there.contains(name)).collect()
}

/// Returns the operations that turn the server's resource into the wanted one; none if it is so.
pub(super) fn differences(found: &Resource, wanted: &Map<String, Value>) -> Vec<PatchOperation> {
    let mut changes = vec![];
    for (name, parts) in MANAGED {
        match (found.get(name), wanted.get(*name)) {
            (None, None) => {}
            (Some(_), None) => changes.push(PatchOperation::remove(name)),
            (Some(has), Some(wants)) if is_same(has, wants, *parts) => {}
            (_, Some(wants)) => changes.push(PatchOperation::replace(name, wants.clone())),
        }
    }
    if let Some(formatted) =
        formatted(wanted.get("name")).filter(|it| Some(*it) != formatted(found.get("name")))
    {
        changes.push(PatchOperation::replace("name.formatted", formatted.clone()));
    }
    changes
}

/// Returns the server's resource with roster's attributes replaced, for a server that takes only
/// PUT.
pub(super) fn merged(found: &Resource, wanted: &Map<String, Value>) -> Map<String, Value> {
    let is_managed =
        |name: &str| MANAGED.iter().any(|(managed, _)| managed.eq_ignore_ascii_case(name));
    // Read-only attributes needn't be sent.
    let is_read_only =
        |name: &str| ["meta", "groups"].iter().any(|it| it.eq_ignore_ascii_case(name));
    let keep = |name: &str| !is_managed(name) && !is_read_only(name);
    let mut merged: Map<String, Value> = found
        .0
        .iter()
        .filter(|(name, _)| keep(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut name = match found.get("name") {
        Some(Value::Object(name)) => name.clone(),
        _ => Map::new(),
    };
    if let Some(formatted) = formatted(wanted.get("name")) {
        name.retain(|part, _| !part.eq_ignore_ascii_case("formatted"));
        name.insert("formatted".to_owned(), formatted.clone());
    }
    merged.retain(|attribute, _| !attribute.eq_ignore_ascii_case("name"));
    merged.insert("name".to_owned(), Value::Object(name));
    for (attribute, value) in wanted {
        if attribute != "name" && (attribute != "schemas" || found.get("schemas").is_none()) {
            merged.insert(attribute.clone(), value.clone());
        }
    }
    merged
}

/// Returns what a server has of what roster manages.
pub(super) fn managed(found: &Resource) -> Map<String, Value> {
    MANAGED
        .iter()
        .filter_map(|(name, _)| Some(((*name).to_owned(), found.get(name)?.clone())))
        .collect()
}

/// Returns the server's resource without the rights that are revoked: nothing else is changed.
pub(super) fn revocations_only(
    found: &Resource,
    wanted: &Map<String, Value>,
) -> Map<String, Value> {
    let mut fewer = managed(found);
    if wanted.get("active") == Some(&Value::Bool(false)) {
        fewer.insert("active".to_owned(), false.into());
    }
    for rights in ["roles", "entitlements"] {
        let wants = wanted.get(rights).and_then(Value::as_array);
        let stays = |right: &Value| {
            wants
                .into_iter()
                .flatten()
                .any(|wanted| part_of(wanted, "value") == part_of(right, "value"))
        };
        if let Some(Value::Array(has)) = fewer.get_mut(rights) {
            has.retain(stays);
        }
    }
    fewer.retain(|_, value| value.as_array().is_none_or(|values| !values.is_empty()));
    fewer
}

/// Returns the revoked rights that a server still shows, by attribute.
pub(super) fn rights_left(shown: &Resource, wanted: &Map<String, Value>) -> Option<&'static str> {
    if wanted.get("active") == Some(&Value::Bool(false))
        && shown.get("active") != Some(&Value::Bool(false))
    {
        return Some("active");
    }
    let has_more = |rights: &&str| {
        let wants = wanted.get(*rights).and_then(Value::as_array);
        let has = shown.get(rights).and_then(Value::as_array);
        // A name of a right in another case is the same right.
        let name =
            |right: &Value| part_of(right, "value").map(|name| name.to_string().to_lowercase());
        let is_wanted =
            |right: &Value| wants.into_iter().flatten().any(|it| name(it) == name(right));
        has.into_iter().flatten().any(|right| !is_wanted(right))
    };
    ["roles", "entitlements"].into_iter().find(has_more)
}

/// Returns a digest of the differences between the server's resource and the wanted one; `None` if
/// there are none.
pub(super) fn digest(found: &Resource, operations: &[PatchOperation]) -> Option<String> {
    if operations.is_empty() {
        return None;
    }
    let has = |operation: &PatchOperation| {
        let path = operation.path();
        found.get(path.split('.').next().unwrap_or(path)).cloned()
    };
    let all: Vec<(Option<Value>, &PatchOperation)> =
        operations.iter().map(|operation| (has(operation), operation)).collect();
    let text = serde_json::to_vec(&all).unwrap_or_default();
    Some(Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns the wanted resource while a new password is missing: an entry that was inactive stays so
/// until its new password is set.
pub(super) fn keep_inactive(found: &Resource, wanted: &Map<String, Value>) -> Map<String, Value> {
    let mut closed = wanted.clone();
    if found.get("active") == Some(&Value::Bool(false)) {
        closed.insert("active".to_owned(), false.into());
    }
    closed
}

/// Returns the wanted resource while another entry has the email address: everything else; if that
/// is so already, no address at all. Two entries that swap addresses both have to give theirs up
/// first.
pub(super) fn without_new_address(
    found: &Resource,
    wanted: &Map<String, Value>,
) -> Map<String, Value> {
    let mut others = wanted.clone();
    others.remove(EMAILS);
    others.extend(found.get(EMAILS).map(|emails| (EMAILS.to_owned(), emails.clone())));
    if differences(found, &others).is_empty() && !differences(found, wanted).is_empty() {
        others.remove(EMAILS);
    }
    others
}

fn formatted(name: Option<&Value>) -> Option<&Value> {
    attribute(name?.as_object()?, "formatted")
}

fn is_same(has: &Value, wants: &Value, parts: Parts) -> bool {
    let (Parts::Several(parts), Value::Array(wants)) = (parts, wants) else { return has == wants };
    let Value::Array(has) = has else { return false };
    // Values have no order, and a server may add parts of its own.
    let is_like =
        |a: &Value, b: &Value| parts.iter().all(|part| part_of(a, part) == part_of(b, part));
    has.len() == wants.len()
        && wants.iter().all(|wanted| has.iter().any(|value| is_like(value, wanted)))
}

fn part_of<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    // `primary: false` is equal to no `primary`.
    attribute(value.as_object()?, part).filter(|value| **value != Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile::PostalAddress;

    fn alice() -> DirectoryUser {
        DirectoryUser {
            login_name: "alice.acme".to_owned(),
            email: "alice@acme.example".to_owned(),
            active: true,
            profile: Profile {
                display_name: "Alice".to_owned(),
                address: Some(PostalAddress {
                    street: vec!["1 Way".to_owned(), "Hut".to_owned()],
                    ..PostalAddress::default()
                }),
                ..Profile::default()
            },
            role: Some("auditor".to_owned()),
            group: "people".to_owned(),
            permissions: vec!["cases:read".to_owned(), "cases:write".to_owned()],
            password: None,
        }
    }

    #[track_caller]
    fn check(found: &Value, paths: &[&str]) {
        let found = Resource::read(found).unwrap();
        let wanted = wanted(&alice(), "account-1");
        let changes = serde_json::to_value(differences(&found, &wanted)).unwrap();
        let changed: Vec<&str> = changes
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["path"].as_str().unwrap())
            .collect();
        assert_eq!(changed, paths);
        let merged = Resource(merged(&found, &wanted));
        assert_eq!(differences(&merged, &wanted), []);
    }

    fn as_brought() -> Value {
        Value::Object(wanted(&alice(), "account-1"))
    }

    #[test]
    fn what_was_brought_needs_no_change_whatever_the_server_adds() {
        let mut found = as_brought();
        check(&found, &[]);
        found["id"] = "7".into();
        found["title"] = "Boss".into();
        found["addresses"][0]["formatted"] = "1 Way, Hut".into();
        found["addresses"][0]["primary"] = false.into();
        found["roles"][0]["display"] = "Auditor".into();
        found["name"]["givenName"] = "Alice".into();
        found["phoneNumbers"] = json!([]);
        found["timezone"] = Value::Null;
        found["entitlements"] =
            json!([{ "value": "cases:write" }, { "value": "cases:read", "primary": false }]);
        check(&found, &[]);
    }

    #[test]
    fn every_attribute_that_a_person_has_is_managed() {
        let whole = DirectoryUser { profile: Profile::whole(), ..alice() };
        for name in wanted(&whole, "account-1").keys() {
            let is_managed = MANAGED.iter().any(|(managed, _)| managed == name);
            assert!(is_managed || ["schemas", "name"].contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn names_of_attributes_have_no_case() {
        let Value::Object(found) = as_brought() else { unreachable!() };
        let shouted = found.into_iter().map(|(name, value)| (name.to_uppercase(), value)).collect();
        check(&Value::Object(shouted), &[]);
    }

    #[test]
    fn what_differs_is_changed_and_nothing_else() {
        let mut found = as_brought();
        found["active"] = false.into();
        found["phoneNumbers"] = json!([{ "value": "+1", "type": "work" }]);
        found["addresses"][0]["region"] = "BE".into();
        found["name"]["formatted"] = "Alicia".into();
        found["emails"][0]["primary"] = Value::Null;
        check(&found, &["active", "emails", "phoneNumbers", "addresses", "name.formatted"]);
    }

    #[test]
    fn a_second_value_of_what_roster_manages_goes() {
        let mut found = as_brought();
        found["roles"].as_array_mut().unwrap().push(json!({ "value": "admin" }));
        check(&found, &["roles"]);
    }

    /// Checks what is left to change of alice, as wanted, where only what takes rights away is.
    #[track_caller]
    fn check_fewer(found: &Value, changes: &Value) {
        let found = Resource::read(found).unwrap();
        let mut wanted = wanted(&alice(), "account-1");
        wanted.insert("active".to_owned(), false.into());
        wanted.insert("phoneNumbers".to_owned(), json!([{ "value": "+1", "type": "work" }]));
        let fewer = revocations_only(&found, &wanted);
        assert_eq!(serde_json::to_value(differences(&found, &fewer)).unwrap(), *changes);
        assert_eq!(differences(&Resource(merged(&found, &fewer)), &fewer), []);
    }

    #[test]
    fn rights_go_without_anything_else() {
        let inactive = json!({ "op": "replace", "path": "active", "value": false });
        let mut found = as_brought();
        check_fewer(&found, &json!([inactive]));
        found["displayName"] = "Nobody".into();
        found["active"] = false.into();
        check_fewer(&found, &json!([]));
        found["roles"] = json!([{ "value": "admin" }]);
        found["entitlements"] =
            json!([{ "value": "cases:read", "display": "Read" }, { "value": "root" }]);
        let left = json!([{ "value": "cases:read", "display": "Read" }]);
        let changes = json!([
            { "op": "remove", "path": "roles" },
            { "op": "replace", "path": "entitlements", "value": left },
        ]);
        check_fewer(&found, &changes);
    }

    #[test]
    fn an_address_that_another_has_is_let_go_of_once_nothing_else_differs() {
        let check = |found: &Value, paths: &[&str]| {
            let found = Resource::read(found).unwrap();
            let others = without_new_address(&found, &wanted(&alice(), "account-1"));
            let changes = serde_json::to_value(differences(&found, &others)).unwrap();
            let changed: Vec<&str> =
                changes.as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
            assert_eq!(changed, paths);
        };
        let mut found = as_brought();
        check(&found, &[]);
        found["emails"][0]["value"] = "bob@acme.example".into();
        check(&found, &["emails"]);
        found["timezone"] = "Europe/Berlin".into();
        check(&found, &["timezone"]);
    }
}
