//! No dead field: whatever leaf of a spec changes, the accounts, a status or a refusal changes.

use std::collections::BTreeSet;

use roster::api::schema::crds;
use roster_test_support::cluster::{Operator, Organization, With, domain, group, passed, user};
use serde_json::{Value, json};

use crate::CLUSTER;

/// Fields that change nothing yet, and why.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "UserGroup.description",
    "it becomes the description of the group in directories, which this version doesn't have",
)];

/// Every leaf with a change of it, as a merge patch of the spec.
fn changes() -> Vec<(&'static str, Value)> {
    let from = json!({"permissions": {"from": {"name": "bob", "mode": "Clone"}}});
    let secret = json!({"passwordSecretRef": {"name": "secret", "key": "other", "confirmationKey": "again"}});
    let address = |part: &str, value: Value| json!({"profile": {"address": {part: value}}});
    vec![
        ("User.adopt", json!({"adopt": "0193a000-0000-7000-8000-000000000000"})),
        ("User.chargeApproved", json!({"chargeApproved": false})),
        ("User.copyOf.name", json!({"copyOf": {"name": "bob"}})),
        ("User.deletionPolicy", json!({"deletionPolicy": "Retain"})),
        ("User.deletionProtection", json!({"deletionProtection": "Disabled"})),
        ("User.email", json!({"email": "another@acme.example"})),
        ("User.groupRef.name", json!({"groupRef": {"name": "drivers"}})),
        ("User.passwordSecretRef.confirmationKey", secret.clone()),
        ("User.passwordSecretRef.key", secret.clone()),
        ("User.passwordSecretRef.name", secret),
        ("User.permissions.from.mode", from.clone()),
        ("User.permissions.from.name", from),
        ("User.permissions.grants", json!({"permissions": {"grants": ["orders:write"]}})),
        ("User.profile.address.country", address("country", json!("DE"))),
        ("User.profile.address.locality", address("locality", json!("Berlin"))),
        ("User.profile.address.postalCode", address("postalCode", json!("10115"))),
        ("User.profile.address.region", address("region", json!("BE"))),
        ("User.profile.address.street", address("street", json!(["Main Street 1"]))),
        ("User.profile.displayName", json!({"profile": {"displayName": "Another"}})),
        ("User.profile.notifications", json!({"profile": {"notifications": ["CaseClosed"]}})),
        ("User.profile.phone", json!({"profile": {"phone": "2"}})),
        ("User.profile.timeZone", json!({"profile": {"timeZone": "Europe/Berlin"}})),
        ("User.role", json!({"role": "Driver"})),
        ("User.state", json!({"state": "Disabled"})),
        ("User.teams", json!({"teams": ["day-shift"]})),
        ("User.username", json!({"username": "another"})),
        ("UserGroup.description", json!({"description": "Another"})),
        ("UserGroup.fullControl", json!({"fullControl": true})),
        ("UserGroup.permissions", json!({"permissions": ["routes:read"]})),
        ("UserGroup.selfService", json!({"selfService": ["Phone"]})),
        ("OrgEmailDomain.domain", json!({"domain": "other.example"})),
        ("OrgEmailDomain.includeSubdomains", json!({"includeSubdomains": true})),
    ]
}

/// Returns the paths of all leaves of a spec's schema; a list is one leaf.
fn leaves(schema: &Value, path: &str) -> Vec<String> {
    match schema["properties"].as_object() {
        Some(properties) => properties
            .iter()
            .flat_map(|(name, inner)| leaves(inner, &format!("{path}.{name}")))
            .collect(),
        None => vec![path.to_owned()],
    }
}

#[test]
fn whatever_leaf_of_a_spec_changes_somebody_can_tell() {
    let kinds =
        crds().into_iter().map(|(_, crd)| serde_json::to_value(crd).expect("a CRD is JSON"));
    let in_schemas: BTreeSet<String> = kinds
        .flat_map(|crd| {
            let schema =
                &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            leaves(schema, crd["spec"]["names"]["kind"].as_str().expect("a kind"))
        })
        .collect();
    let changed: BTreeSet<String> = changes().iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(
        in_schemas, changed,
        "every leaf of the schemas has a change here, and nothing else"
    );

    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&group("drivers")));
    // Else whoever is once in a group with full control would have to stay there.
    passed(
        organization
            .admin()
            .create(&user("chief").with("/spec/groupRef", json!({"name": "administrators"}))),
    );
    organization.until_ready("User", "chief");
    let mut objects = vec![];
    for (number, (path, change)) in changes().into_iter().enumerate() {
        let (kind, _) = path.split_once('.').expect("a path begins with its kind");
        let name = format!("object-{number}");
        passed(organization.admin().create(&object(kind, &name)));
        if path.starts_with("OrgEmailDomain.include") {
            passed(
                organization
                    .admin()
                    .create(&user("below").with("/spec/email", format!("below@eu.{name}.example"))),
            );
        }
        objects.push((path, kind, name, change));
    }
    let mut dead = vec![];
    for (path, kind, name, change) in objects {
        organization.until_ready(kind, &name);
        if kind == "UserGroup" {
            let member = json!({"spec": {"groupRef": {"name": name}}});
            passed(organization.admin().patch("User", "object-0", &member));
            organization.until_ready("User", "object-0");
            organization.until(kind, &name, "counted", |group| group["status"]["members"] == 1);
        }
        let before = visible(&organization, &operator, kind, &name);
        let edited = organization.admin().patch(kind, &name, &json!({"spec": change}));
        let Ok(edited) = edited else { continue };
        organization.until(kind, &name, "looked at", |object| {
            object["status"]["observedGeneration"] == edited["metadata"]["generation"]
        });
        if path.starts_with("OrgEmailDomain.include") {
            organization.until_ready("User", "below");
        }
        if visible(&organization, &operator, kind, &name) == before {
            dead.push(path);
        }
    }
    assert_eq!(dead, EXCEPTIONS.map(|(path, _)| path), "fields that nobody can tell the change of");
}

fn object(kind: &str, name: &str) -> Value {
    match kind {
        "User" => user(name),
        "UserGroup" => group(name),
        _ => {
            domain("x").with("/metadata/name", name).with("/spec/domain", format!("{name}.example"))
        }
    }
}

/// Returns what a user of roster can see of an object: the accounts, its status, and whether it may
/// be deleted.
fn visible(organization: &Organization, operator: &Operator, kind: &str, name: &str) -> Value {
    let mut status = organization.admin().get(kind, name).expect("it is there")["status"].clone();
    let fields = status.as_object_mut().expect("a status");
    // These follow any edit, and counts follow late.
    for field in ["observedGeneration", "transaction", "members", "users", "heirs"] {
        fields.remove(field);
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        let condition = condition.as_object_mut().expect("a condition");
        condition.remove("observedGeneration");
        condition.remove("lastTransitionTime");
    }
    let deletion =
        organization.admin().dry_run().delete(kind, name).map_err(|refusal| refusal.message);
    json!([operator.users(), status, deletion])
}
