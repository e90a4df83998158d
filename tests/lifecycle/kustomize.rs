//! Kustomizations that rename people, and what refers to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use roster_test_support::cluster::Organization;
use serde_json::{Value, json};

use crate::CLUSTER;

#[test]
fn kustomize_renames_what_people_refer_to_and_leaves_built_in_groups() {
    let organization = CLUSTER.organization();
    let folder = kustomization(&organization, "renamed", |folder| {
        json!({
            "namePrefix": "eu-", "nameSuffix": "-2", "resources": ["people.json"],
            "components": [from(folder, "deploy/kustomize")],
            "secretGenerator": [{"name": "ann-password", "type": "roster.rs/password", "literals": ["password=nine lorries leave at dawn"]}],
        })
    });
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "roster.rs/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "pilots"},
        "rules": [{"apiGroups": ["roster.rs"], "resources": ["usergroups"], "resourceNames": ["pilots", "users"], "verbs": ["administer"]}],
    });
    let people = json!({"apiVersion": "v1", "kind": "List", "items": [
        role,
        object("UserGroup", "pilots", json!({})),
        object("User", "ann", json!({"email": "ann@acme.example", "profile": {"displayName": "Ann"}, "groupRef": {"name": "pilots"}, "passwordSecretRef": {"name": "ann-password"}})),
        object("User", "bob", json!({"copyOf": {"name": "ann"}, "groupRef": {"name": "users"}, "permissions": {"from": {"name": "ann", "mode": "Inherit"}}})),
        object("User", "eve", json!({"copyOf": {"name": "carol"}, "groupRef": {"name": "administrators"}})),
    ]});
    fs::write(Path::new(&folder).join("people.json"), people.to_string()).expect("a file");

    let applied =
        organization.kubectl(&["apply", "--dry-run=server", "-o", "json", "-k", &folder], "");
    let all: Value = serde_json::from_str(&applied.expect_success()).expect("kubectl prints JSON");
    let find = |kind: &str, name: &str| {
        let mut items = all["items"].as_array().expect("a list").iter();
        let found = items.find(|item| {
            item["kind"] == kind
                && item["metadata"]["name"].as_str().expect("a name").starts_with(name)
        });
        found.unwrap_or_else(|| panic!("no {kind} {name}* in {all:#}"))
    };
    let [ann, bob, eve] =
        ["eu-ann-2", "eu-bob-2", "eu-eve-2"].map(|name| &find("User", name)["spec"]);
    find("UserGroup", "eu-pilots-2");
    let secret = &find("Secret", "eu-ann-password-2-")["metadata"]["name"];
    assert_eq!(
        (&ann["groupRef"]["name"], &ann["passwordSecretRef"]["name"]),
        (&json!("eu-pilots-2"), secret)
    );
    assert_eq!(
        (&bob["copyOf"]["name"], &bob["permissions"]["from"]["name"]),
        (&json!("eu-ann-2"), &json!("eu-ann-2"))
    );
    assert_eq!(
        (&bob["groupRef"]["name"], &eve["groupRef"]["name"]),
        (&json!("users"), &json!("administrators"))
    );
    assert_eq!(
        eve["copyOf"]["name"], "carol",
        "what isn't part of the kustomization keeps its name"
    );
    assert_eq!(
        find("Role", "eu-pilots-2")["rules"][0]["resourceNames"],
        json!(["eu-pilots-2", "users"])
    );
}

#[test]
fn kustomize_knows_every_reference_of_the_schemas() {
    let mut referring = BTreeSet::new();
    for file in fs::read_dir(project("crds")).expect("there are CRDs") {
        let crd = fs::read_to_string(file.expect("a file").path()).expect("a CRD can be read");
        let crd: Value = serde_saphyr::from_str(&crd).expect("a CRD is YAML");
        let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind");
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        names(schema, "spec", &mut |path| {
            referring.insert(format!("{kind} {path}"));
        });
    }
    let references =
        fs::read_to_string(project("deploy/kustomize/references.yaml")).expect("a file");
    let references: Value = serde_saphyr::from_str(&references).expect("it is YAML");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let listed: BTreeSet<String> = references["nameReference"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|target| target["fieldSpecs"].as_array().expect("a list"))
        .filter(|field| field["group"] == "roster.rs")
        .map(|field| format!("{} {}", text(&field["kind"]), text(&field["path"])))
        .collect();
    assert_eq!(referring, listed);
}

/// Finds the fields `name` of a schema, which all name an object.
fn names(schema: &Value, path: &str, found: &mut impl FnMut(String)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        if name == "name" {
            found(path);
        } else {
            names(field, &path, found);
        }
    }
}

pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the way from a folder to one of the project: kustomize takes relative paths alone.
pub(crate) fn from(folder: &Path, path: &str) -> String {
    let project = project(path);
    let up = "../".repeat(folder.components().count() - 1);
    format!("{up}{}", project.strip_prefix("/").expect("an absolute path").display())
}

/// Writes a kustomization into a folder of its own, and returns the folder.
#[track_caller]
pub(crate) fn kustomization(
    organization: &Organization,
    name: &str,
    content: impl FnOnce(&Path) -> Value,
) -> String {
    let folder = organization.file(name);
    fs::create_dir(&folder).expect("the folder can be made");
    fs::write(folder.join("kustomization.yaml"), content(&folder).to_string()).expect("a file");
    folder.to_str().expect("a path in UTF-8").to_owned()
}
