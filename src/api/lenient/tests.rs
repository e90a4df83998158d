use serde_json::json;

use super::*;
use crate::api::user::{DesiredState, SourceMode};
use crate::api::user_group::SelfService;

fn read<K: Readable>(object: &Value) -> Lenient<K> {
    serde_json::from_value(object.clone()).expect("whatever has a name is read")
}

fn user() -> Value {
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Reconciled", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 2,
    });
    json!({
        "apiVersion": "roster.rs/v1alpha1", "kind": "User",
        "metadata": {"name": "alice", "namespace": "acme", "uid": "u", "resourceVersion": "7", "generation": 2,
            "finalizers": ["roster.rs/account"], "annotations": {"roster.rs/paused": "true"}, "labels": {"a": "b"}},
        "spec": {
            "username": "al", "email": "alice@acme.example",
            "profile": {"displayName": "Alice", "phone": "1", "address": {"street": ["a"], "country": "US"},
                "timeZone": "America/Phoenix", "notifications": ["CaseAssigned"]},
            "role": "Dispatcher", "teams": ["night"], "groupRef": {"name": "staff"},
            "permissions": {"grants": ["orders:read", "orders:write"], "from": {"name": "bob", "mode": "Inherit"}},
            "copyOf": {"name": "template"}, "adopt": "0193", "state": "Disabled",
            "passwordSecretRef": {"name": "s", "key": "k", "confirmationKey": "c"}, "chargeApproved": true,
            "deletionProtection": "Disabled", "deletionPolicy": "Retain",
        },
        "status": {
            "observedGeneration": 2, "state": "Disabled", "loginName": "al.acme", "accountId": "0193", "email": "a@b.example",
            "group": "staff", "profile": {"phone": "2"},
            "transaction": {"id": "1", "type": "Create", "state": "Completed", "startTime": "2026-01-01T00:00:00Z",
                "deadlineTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:00Z"},
            "permissions": {"effective": ["a"], "total": 1, "digest": "d", "source": "Inherited", "chain": ["bob"]},
            "clone": {"name": "c", "uid": "u", "generation": 1, "cloneTime": "2026-01-01T00:00:00Z"},
            "copy": {"name": "c", "uid": "u", "generation": 1, "copyTime": "2026-01-01T00:00:00Z", "number": 1},
            "heirs": 1, "billing": {"since": "2026-01"}, "conditions": [condition],
        },
    })
}

fn group() -> Value {
    json!({
        "metadata": {"name": "staff", "namespace": "acme"},
        "spec": {"description": "d", "fullControl": true, "permissions": ["a", "b"], "selfService": ["Name", "Phone"]},
        "status": {"observedGeneration": 1, "members": 2, "conditions": user()["status"]["conditions"]},
    })
}

fn domain() -> Value {
    json!({
        "metadata": {"name": "acme", "namespace": "acme"},
        "spec": {"domain": "acme.example", "includeSubdomains": true},
        "status": {"observedGeneration": 1, "asciiDomain": "acme.example", "users": 2,
            "conditions": user()["status"]["conditions"]},
    })
}

/// Returns the pointers of everything below a value, the deepest first.
fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(number, value)| (number.to_string(), value)).collect()
        }
        _ => vec![],
    };
    for (name, part) in parts {
        let pointer = format!("{pointer}/{name}");
        pointers(part, &pointer, found);
        found.push(pointer);
    }
}

/// Puts something else in every place, as a newer version might, and nothing, as an older one
/// might.
#[track_caller]
fn check_every_place<K>(whole: &Value)
where
    K: Readable + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + serde::Serialize,
{
    let strict: K = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(read::<K>(whole), strict.clone().into(), "what can be read is read as ever");
    let mut places = vec![];
    pointers(whole, "", &mut places);
    for place in
        places.iter().filter(|place| place.starts_with("/spec") || place.starts_with("/status"))
    {
        let others = [
            json!("Newer"),
            json!(5),
            json!(true),
            json!(["Newer"]),
            json!({"newer": 1}),
            json!([{"newer": 1}]),
            json!(null),
        ];
        for other in others {
            let mut newer = whole.clone();
            *newer.pointer_mut(place).unwrap() = other.clone();
            let found: Lenient<K> = read(&newer);
            // Serde takes a list for an object.
            let is_list = other.is_array() && whole.pointer(place).is_some_and(Value::is_object);
            let is_strict = !is_list && serde_json::from_value::<K>(newer.clone()).is_ok();
            let is_whole = found.unreadable.fields().is_empty() && !found.has_foreign_status;
            assert!(
                !is_strict || is_whole || other.is_null(),
                "{place} {other} can be read: {found:?}"
            );
            if !is_strict && !other.is_null() {
                assert_eq!(
                    place.starts_with("/status"),
                    found.has_foreign_status,
                    "{place} {other}"
                );
                assert_eq!(
                    place.starts_with("/spec"),
                    !found.unreadable.fields().is_empty(),
                    "{place} {other}"
                );
            }
            // Whatever is no part of that place is as it was.
            let (now, was) = (
                serde_json::to_value(&found.object).unwrap(),
                serde_json::to_value(&strict).unwrap(),
            );
            for kept in &places {
                if !kept.starts_with(&root(place)) && !root(place).starts_with(kept.as_str()) {
                    assert_eq!(
                        now.pointer(kept),
                        was.pointer(kept),
                        "{kept} when {place} is {other}"
                    );
                }
            }
        }
    }
}

/// Returns what is read by itself: a field, or one of the parts of a profile or of permissions.
fn root(place: &str) -> String {
    let parts: Vec<&str> = place.split('/').skip(1).collect();
    let is_entry = parts.get(2).is_none_or(|part| part.parse::<usize>().is_ok());
    let is_deep = (parts.starts_with(&["spec", "profile"])
        || parts.starts_with(&["spec", "permissions"]))
        && !is_entry;
    format!("/{}", parts[..parts.len().min(if is_deep { 3 } else { 2 })].join("/"))
}

#[test]
fn one_value_that_is_not_known_costs_no_other() {
    check_every_place::<User>(&user());
    check_every_place::<UserGroup>(&group());
    check_every_place::<OrgEmailDomain>(&domain());
}

#[test]
fn what_an_older_version_left_out_is_as_its_default() {
    let old: Lenient<User> =
        read(&json!({"metadata": {"name": "alice"}, "spec": {}, "status": {}}));
    assert_eq!((old.unreadable.fields(), old.has_foreign_status), (&[][..], false));
    assert_eq!(
        (old.object.spec.state, old.object.spec.group_ref.name.as_str()),
        (DesiredState::Enabled, "users")
    );
    assert_eq!(old.object.status, Some(UserStatus::default()));
    let bare: Lenient<UserGroup> = read(&json!({"metadata": {"name": "staff"}}));
    assert_eq!(bare.object.spec, UserGroupSpec::default());
    assert!(serde_json::from_value::<Lenient<User>>(json!({"metadata": {}})).is_err());
}

#[track_caller]
fn check<K: Readable>(
    object: &Value,
    pointer: &str,
    value: Value,
    expected: &[(Field, &str, &str)],
) -> Lenient<K> {
    let mut object = object.clone();
    *object.pointer_mut(pointer).unwrap() = value;
    let found: Lenient<K> = read(&object);
    let fields: Vec<_> = found
        .unreadable
        .fields()
        .iter()
        .map(|it| (it.field, it.path.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(fields, expected);
    found
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_value() {
    let known = check::<UserGroup>(
        &group(),
        "/spec/selfService/1",
        json!("Fax"),
        &[(Field::SelfService, "spec.selfService[1]", "\"Fax\"")],
    );
    assert_eq!(known.object.spec.self_service, [SelfService::Name]);
    let found = check::<User>(
        &user(),
        "/spec/permissions/from/mode",
        json!("Mirror"),
        &[(Field::From, "spec.permissions.from.mode", "\"Mirror\"")],
    );
    assert_eq!(found.object.spec.permissions.unwrap().from, None);
    let mode = |mode: Option<PermissionSource>| mode.map(|source| source.mode);
    assert_eq!(
        mode(read::<User>(&user()).object.spec.permissions.unwrap().from),
        Some(SourceMode::Inherit)
    );
    check::<User>(
        &user(),
        "/spec/permissions/from",
        json!({"mode": "Clone"}),
        &[(Field::From, "spec.permissions.from", r#"{"mode":"Clone"}"#)],
    );
    let all = check::<User>(&user(), "/spec", json!("none"), &[(Field::Spec, "spec", "\"none\"")]);
    assert!(
        all.unreadable.has(Field::ProfilePart(SelfServiceField::Phone))
            && all.unreadable.has(Field::DeletionPolicy)
    );
    let profile =
        check::<User>(&user(), "/spec/profile", json!(5), &[(Field::Profile, "spec.profile", "5")]);
    assert!(
        profile.unreadable.has(Field::ProfilePart(SelfServiceField::Phone))
            && !profile.unreadable.has(Field::Email)
    );
    let long = UnreadableField::new(Field::Role, "spec.role".to_owned(), &json!(vec!["é"; 99]));
    assert_eq!(long.value.chars().count(), QUOTED + 1);
}

#[test]
fn metadata_of_another_form_is_read_as_far_as_it_is_needed() {
    let mut object = user();
    object["metadata"]["labels"] = json!(5);
    object["metadata"]["deletionTimestamp"] = json!("soon");
    object["metadata"]["managedFields"] = json!("none");
    let metadata = read::<User>(&object).object.metadata;
    assert_eq!(
        (metadata.name.as_deref(), metadata.uid.as_deref(), metadata.generation),
        (Some("alice"), Some("u"), Some(2))
    );
    assert!(metadata.deletion_timestamp.is_some() && metadata.labels.is_none());
    assert_eq!(metadata.finalizers, Some(vec!["roster.rs/account".to_owned()]));
    assert_eq!(metadata.annotations.map(|all| all.len()), Some(1));
}

#[test]
fn an_account_id_of_another_form_still_says_that_there_was_an_account() {
    let mut object = user();
    object["status"]["accountId"] = json!({"store": 1});
    let found: Lenient<User> = read(&object);
    assert_eq!(found.object.status.unwrap().account_id.as_deref(), Some(r#"{"store":1}"#));
    assert!(found.has_foreign_status);
}

#[test]
fn a_condition_of_a_newer_version_keeps_its_time() {
    let mut object = user();
    object["status"]["conditions"][0]["status"] = json!("Maybe");
    object["status"]["conditions"][0]["reason"] = json!("Newer");
    let conditions = read::<User>(&object).object.status.unwrap().conditions;
    assert_eq!(conditions[0].status, ConditionStatus::Unknown);
    assert_eq!(
        conditions[0].last_transition_time,
        Timestamp::from("2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap())
    );
}
