//! What `kubectl apply -k deploy` installs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use roster_test_support::cluster::{Organization, run};
use serde_json::{Value, json};

use crate::CLUSTER;

/// Applies the whole of `deploy`, and returns somebody to look at it.
fn installed() -> Organization {
    let organization = CLUSTER.organization();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let applied = organization
        .kubectl(&["apply", "--namespace=", "-k", deploy.to_str().expect("a path in UTF-8")], "");
    assert_eq!(
        applied.stderr, "",
        "Pod Security and the API server have nothing to say against it"
    );
    applied.expect_success();
    organization
}

fn shown(organization: &Organization, arguments: &[&str]) -> Value {
    let mut all = vec!["get", "-o", "json"];
    all.extend(arguments);
    serde_json::from_str(&organization.kubectl(&all, "").expect_success())
        .expect("kubectl prints JSON")
}

#[test]
fn deploy_installs_an_operator_of_one_replica_that_pod_security_lets_in() {
    let deployment = shown(&installed(), &["deployment", "roster", "--namespace=roster-system"]);
    let spec = &deployment["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()));
    let container = &spec["template"]["spec"]["containers"][0];
    let arguments = [
        "run",
        "--store",
        "sqlite:///var/lib/roster/roster.db?mode=rwc",
        "--listen",
        "0.0.0.0:8080",
    ];
    assert_eq!(container["args"], Value::from(arguments.as_slice()));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let labels = &deployment["metadata"]["labels"];
    assert_eq!(
        (&labels["app.kubernetes.io/name"], &labels["app.kubernetes.io/part-of"]),
        (&"roster".into(), &"roster".into())
    );
}

#[test]
fn an_overlay_chooses_image_and_volume() {
    let organization = CLUSTER.organization();
    let overlay = organization.file("overlay");
    fs::create_dir(&overlay).expect("the folder can be made");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let up: String = overlay.components().skip(1).map(|_| "../").collect();
    let text = format!(
        "resources: [{up}{}]\n\
         images: [{{name: roster, newName: registry.example/roster, newTag: 9.9.9}}]\n\
         patches:\n\
         - patch: |-\n\
         \x20   apiVersion: apps/v1\n\
         \x20   kind: Deployment\n\
         \x20   metadata: {{name: roster, namespace: roster-system}}\n\
         \x20   spec: {{template: {{spec: {{volumes: [{{name: store, persistentVolumeClaim: null, hostPath: {{path: /srv/roster}}}}]}}}}}}\n",
        deploy.strip_prefix("/").expect("an absolute path").display(),
    );
    fs::write(overlay.join("kustomization.yaml"), text).expect("the overlay can be written");
    let rendered = organization
        .kubectl(&["kustomize", overlay.to_str().expect("a path in UTF-8")], "")
        .expect_success();
    assert!(rendered.contains("image: registry.example/roster:9.9.9"), "{rendered}");
    assert!(
        rendered.contains("- hostPath:\n          path: /srv/roster\n        name: store"),
        "{rendered}"
    );
}

#[test]
fn the_overlay_for_postgresql_has_two_replicas_that_pod_security_lets_in_and_no_volume() {
    let organization = CLUSTER.organization();
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/overlays/postgres");
    let apply = [
        "apply",
        "--namespace=",
        "--dry-run=server",
        "-o",
        "json",
        "-k",
        overlay.to_str().expect("a path in UTF-8"),
    ];
    let applied = organization.kubectl(&apply, "");
    assert_eq!(
        applied.stderr, "",
        "Pod Security and the API server have nothing to say against it"
    );
    let all: Value = serde_json::from_str(&applied.expect_success()).expect("kubectl prints JSON");
    let items = all["items"].as_array().expect("a list");
    let of_kind = |kind: &str| items.iter().filter(|item| item["kind"] == kind).collect::<Vec<_>>();
    assert!(of_kind("PersistentVolumeClaim").is_empty());
    let deployment = of_kind("Deployment")[0];
    let (spec, pod) = (&deployment["spec"], &deployment["spec"]["template"]["spec"]);
    let rolling =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    assert_eq!((&spec["replicas"], &spec["strategy"]), (&json!(2), &rolling));
    let container = &pod["containers"][0];
    assert_eq!(container["args"], json!(["run", "--listen", "0.0.0.0:8080"]));
    let from_secret = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "roster-store", "key": key}}});
    assert_eq!(container["env"], json!([from_secret("ROSTER_STORE", "url")]));
    assert_eq!(container["resources"]["limits"]["memory"], "256Mi");
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "roster-store");
    assert_eq!(pod["topologySpreadConstraints"][0]["topologyKey"], "kubernetes.io/hostname");
    let budget = of_kind("PodDisruptionBudget")[0];
    assert_eq!(budget["spec"]["minAvailable"], 1);
    let labels = spec["template"]["metadata"]["labels"].as_object().expect("labels");
    for selector in [
        &budget["spec"]["selector"],
        &spec["selector"],
        &pod["topologySpreadConstraints"][0]["labelSelector"],
    ] {
        let selected = selector["matchLabels"].as_object().expect("labels");
        assert!(
            !selected.is_empty()
                && selected.iter().all(|(name, value)| labels.get(name) == Some(value)),
            "{selector}"
        );
    }
}

#[test]
fn the_operator_holds_leases_in_its_own_namespace_alone() {
    let organization = CLUSTER.organization();
    let may = |verb: &str, namespace: &str| {
        let namespace = format!("--namespace={namespace}");
        may(
            &organization,
            verb,
            "leases.coordination.k8s.io",
            &["--as=system:serviceaccount:roster-system:roster", &namespace],
        )
    };
    for verb in "get list watch create update patch delete deletecollection".split(' ') {
        assert_eq!(
            may(verb, "roster-system"),
            ["get", "create", "update"].contains(&verb),
            "{verb}"
        );
        assert!(!may(verb, &organization.name) && !may(verb, "kube-system"), "{verb}");
    }
}

/// Asks the authorizer about a resource such as `users.roster.rs` or `users.roster.rs/status`.
fn may(organization: &Organization, verb: &str, resource: &str, requester: &[&str]) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let subresource = format!("--subresource={subresource}");
    let mut arguments = vec!["auth", "can-i", verb, resource, &subresource];
    arguments.extend(requester);
    organization.kubectl(&arguments, "").success
}

#[test]
fn the_operator_has_the_rights_that_it_needs_and_no_others() {
    let organization = CLUSTER.organization();
    let may = |verb: &str, resource: &str| {
        may(&organization, verb, resource, &["--as=system:serviceaccount:roster-system:roster"])
    };
    for (resource, verbs) in [
        ("namespaces", "get list watch"),
        ("secrets", "get list watch"),
        ("users.roster.rs", "get list watch patch"),
        ("usergroups.roster.rs", "get list watch patch create"),
        ("orgemaildomains.roster.rs", "get list watch patch"),
        ("users.roster.rs/status", "patch update"),
        ("events.events.k8s.io", "create patch"),
        ("validatingadmissionpolicies.admissionregistration.k8s.io", "get list"),
        ("mutatingadmissionpolicies.admissionregistration.k8s.io", "get list"),
    ] {
        for verb in "get list watch create update patch delete release".split(' ') {
            assert_eq!(
                may(verb, resource),
                verbs.split(' ').any(|one| one == verb),
                "{verb} {resource}"
            );
        }
    }
    for resource in ["configmaps", "pods", "nodes", "serviceaccounts/token"] {
        assert!(!may("get", resource) && !may("create", resource), "{resource}");
    }
}

#[test]
fn viewers_view_and_editors_edit_but_neither_releases() {
    let organization = CLUSTER.organization();
    let may = |group: &str, verb: &str, resource: &str| {
        may(&organization, verb, resource, &["--as=someone", &format!("--as-group={group}")])
    };
    for kind in ["users.roster.rs", "usergroups.roster.rs", "orgemaildomains.roster.rs"] {
        assert!(may("viewers", "list", kind) && !may("viewers", "update", kind));
        assert!(
            may("editors", "list", kind)
                && may("editors", "update", kind)
                && may("editors", "delete", kind)
        );
        assert!(!may("editors", "release", kind) && may("releasers", "release", kind));
        assert!(!may("editors", "patch", &format!("{kind}/status")));
    }
}

#[test]
fn every_policy_is_bound() {
    let organization = CLUSTER.organization();
    for kind in ["validatingadmissionpolicy", "mutatingadmissionpolicy"] {
        let names = |list: &Value, pointer: &str| -> Vec<String> {
            let items = list["items"].as_array().expect("a list").iter();
            let name = |item: &Value| {
                item.pointer(pointer).and_then(Value::as_str).expect("a name").to_owned()
            };
            items.map(name).filter(|name| name.ends_with(".roster.rs")).collect()
        };
        let policies = names(&shown(&organization, &[kind]), "/metadata/name");
        let bound = names(&shown(&organization, &[&format!("{kind}binding")]), "/spec/policyName");
        assert!(!policies.is_empty());
        assert_eq!(policies, bound);
    }
}

/// Returns the paths, such as `oldObject.status.heirs`, that an expression reads from the objects
/// of a request.
fn paths(expression: &str) -> Vec<Vec<String>> {
    let plain = expression.replace(".?", ".");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = vec![];
    for (start, _) in plain.match_indices("bject.") {
        let begin = plain[..start].rfind(|c| !word(c)).map_or(0, |at| at + 1);
        if !["object.", "oldObject.", "namespaceObject."]
            .contains(&&plain[begin..start + "bject.".len()])
        {
            continue;
        }
        let rest = &plain[begin..];
        let end = rest.find(|c| !word(c) && c != '.').unwrap_or(rest.len());
        let mut path: Vec<_> = rest[..end].split('.').map(str::to_owned).collect();
        if rest[end..].starts_with('(') {
            path.pop();
        }
        found.push(path);
    }
    found
}

fn known(path: &[String], schemas: &[&Value]) -> bool {
    let metadata =
        ["name", "labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp"];
    match path {
        [_, root, field] if root == "metadata" => metadata.contains(&field.as_str()),
        [object, rest @ ..] if object != "namespaceObject" && !rest.is_empty() => {
            schemas.iter().any(|&schema| {
                rest.iter()
                    .try_fold(schema, |schema, field| schema.get("properties")?.get(field))
                    .is_some()
            })
        }
        _ => false,
    }
}

/// Returns the schema of each resource that a policy is about.
fn schemas(organization: &Organization) -> BTreeMap<String, Value> {
    let core = organization.kubectl(&["get", "--raw", "/openapi/v3/api/v1"], "").expect_success();
    let core: Value = serde_json::from_str(&core).expect("OpenAPI is JSON");
    let of_core = [("secrets", "Secret"), ("namespaces", "Namespace")].map(|(plural, kind)| {
        (
            plural.to_owned(),
            core["components"]["schemas"][format!("io.k8s.api.core.v1.{kind}")].clone(),
        )
    });
    let of_roster = ["users", "usergroups", "orgemaildomains"].map(|plural| {
        let crd = shown(organization, &["crd", &format!("{plural}.roster.rs")]);
        (plural.to_owned(), crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    });
    of_core.into_iter().chain(of_roster).collect()
}

/// Returns the resources that a policy matches, without subresources.
fn resources(policy: &Value) -> BTreeSet<&str> {
    let rules = policy["spec"]["matchConstraints"]["resourceRules"].as_array().expect("rules");
    let names = rules.iter().flat_map(|rule| rule["resources"].as_array().expect("resources"));
    names
        .map(|name| name.as_str().expect("a name"))
        .map(|name| name.split('/').next().expect("a name"))
        .collect()
}

fn policies(organization: &Organization) -> Vec<Value> {
    let all = shown(organization, &["validatingadmissionpolicies,mutatingadmissionpolicies"]);
    let ours = |policy: &&Value| {
        policy["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(".roster.rs"))
    };
    all["items"].as_array().expect("a list").iter().filter(ours).cloned().collect()
}

#[test]
fn every_field_that_a_policy_reads_exists() {
    let organization = CLUSTER.organization();
    let schemas = schemas(&organization);
    let mut read = 0;
    for policy in policies(&organization) {
        let name = policy["metadata"]["name"].as_str().expect("a name");
        let of_policy: Vec<&Value> =
            resources(&policy).iter().map(|&plural| &schemas[plural]).collect();
        for expression in expressions(&policy["spec"]) {
            for path in paths(expression) {
                assert!(
                    known(&path, &of_policy),
                    "{name} reads {}, which doesn't exist",
                    path.join(".")
                );
                read += 1;
            }
        }
    }
    assert!(read > 100, "only {read} paths were found");
    let all: Vec<&Value> = schemas.values().collect();
    for misspelt in [
        "oldObject.?status.?hiers.orValue(0)",
        "has(object.spec.chargeAproved)",
        "object.metadat.name",
    ] {
        assert!(!known(&paths(misspelt)[0], &all), "{misspelt} isn't noticed");
    }
    assert!(
        !known(&paths("object.?data")[0], &[&schemas["users"]]),
        "a field of another kind isn't noticed"
    );
}

// Past these the API server refuses every request while the policy installs cleanly.
#[test]
fn no_policy_asks_the_authorizer_more_than_it_may() {
    for policy in policies(&CLUSTER.organization()) {
        let checks: Vec<_> = expressions(&policy["spec"])
            .iter()
            .map(|expression| expression.matches(".check(").count())
            .collect();
        let name = &policy["metadata"]["name"];
        assert!(
            checks.iter().all(|&checks| checks <= 2),
            "{name} asks more than twice in one expression"
        );
        assert!(checks.iter().sum::<usize>() <= 28, "{name} asks more than 28 times");
    }
}

fn expressions(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().flat_map(expressions).collect(),
        Value::Object(all) => all
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(text) if key == "expression" || key == "messageExpression" => vec![text],
                _ => expressions(value),
            })
            .collect(),
        _ => vec![],
    }
}

#[test]
fn the_service_accounts_token_works() {
    let organization = CLUSTER.organization();
    let users = organization.operators_account().api::<roster::api::User>();
    assert!(
        run(users.list(&kube::api::ListParams::default()))
            .expect("the operator lists users")
            .items
            .is_empty()
    );
}

#[test]
fn directories_are_added_to_either_installation_and_what_lets_one_in_there_is_in_files() {
    let organization = CLUSTER.organization();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for (base, volumes) in [
        ("", ["directories", "store", "tmp"]),
        ("overlays/postgres", ["directories", "store", "tmp"]),
    ] {
        let overlay = organization.file(&format!("overlay-{}", base.len()));
        std::fs::create_dir_all(&overlay).expect("a folder");
        // kustomize takes no absolute paths.
        let up = "../".repeat(overlay.components().count());
        let place = |below: &str| format!("{up}{}", deploy.join(below).display());
        let kustomization =
            json!({"resources": [place(base)], "components": [place("components/directories")]})
                .to_string();
        std::fs::write(overlay.join("kustomization.yaml"), kustomization).expect("a file");
        let apply = [
            "apply",
            "--namespace=",
            "--dry-run=server",
            "-o",
            "json",
            "-k",
            overlay.to_str().expect("a path in UTF-8"),
        ];
        let applied = organization.kubectl(&apply, "");
        assert_eq!(
            applied.stderr, "",
            "Pod Security and the API server have nothing to say against it"
        );
        let all: Value =
            serde_json::from_str(&applied.expect_success()).expect("kubectl prints JSON");
        let items = all["items"].as_array().expect("a list");
        let deployment =
            items.iter().find(|item| item["kind"] == "Deployment").expect("a Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let names = |list: &Value| {
            let mut names: Vec<String> = list
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&pod["volumes"]), volumes);
        assert_eq!(names(&pod["containers"][0]["volumeMounts"]), volumes);
        let directory = json!({"name": "roster-directories", "key": "addresses"});
        let env = pod["containers"][0]["env"].as_array().expect("an environment");
        let found =
            env.iter().find(|one| one["name"] == "ROSTER_DIRECTORY").expect("the directories");
        assert_eq!(found["valueFrom"]["secretKeyRef"], directory);
    }
}
