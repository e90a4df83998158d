//! Admission policies, verbs and roles, from `deploy/`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use regex::Regex;
use serde_json::Value;

use super::{cell, documents, project};

const HEAD: &str = "\
# Admission policies, verbs and roles

A request on a `User`, a password or a customer ID needs two rights: Kubernetes' own (`create`, `patch`, …), and a verb of
roster's for what it changes. RBAC gives both, the admission policies ask for the second. A field that isn't set or changed asks
for nothing, and a refusal names what is missing. What follows from it is in the [threat
model](../explanation/threat-model.md), how to bind the roles in [Give people and tools their rights](../how-to/rights.md).
";

/// Returns the page of what is asked of people.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    let policies = policies();
    verbs(&mut page, &policies);
    page.push_str("\n## Policies\n\n`kubectl apply -k deploy/policies` installs the validating ones, and\n`kubectl apply -k deploy/policies/mutating`, from Kubernetes 1.36 on, the mutating one. There is no webhook.\n");
    for (comment, policy) in &policies {
        let matched = &policy["spec"]["matchConstraints"]["resourceRules"][0];
        let _ = write!(
            page,
            "\n### {}\n\n{}\n\n- **Kind:** {}\n- **Asked at:** {} of {}\n- **Where it can't be evaluated:** {}\n",
            text(&policy["metadata"]["name"]),
            comment.replace('<', "&lt;"),
            text(&policy["kind"]),
            list(&matched["operations"]),
            list(&matched["resources"]),
            match text(&policy["spec"]["failurePolicy"]) {
                "Fail" => "the request is refused",
                _ => "the request is let through",
            },
        );
    }
    page.push_str("\n## Roles\n\n`kubectl apply -k deploy` installs these ClusterRoles.\n");
    for (comment, role) in documents("deploy/rbac/people.yaml") {
        let comment = comment.rsplit("\n\n").next().unwrap_or_default();
        let _ = write!(page, "\n### {}\n\n{comment}\n\n", text(&role["metadata"]["name"]));
        rules(&mut page, &role["rules"]);
    }
    page
}

const OPERATOR_HEAD: &str = "\
# What the operator may do in the cluster

The operator runs as the service account `roster` in the namespace `roster-system`, with the rights below and no other. It reads
no Secret but those of the type `roster.rs/password`: it asks the API server for that type alone, watches their metadata, and
reads one when its version is new. RBAC can't name types of Secrets, so `roster-passwords` is a role of its own, to be bound in
the namespaces of organizations only; see [Run replicas and several operators](../how-to/several-operators.md#several-operators-on-one-store).
The operator needs no [verb of roster's own](policies.md), and never changes a spec.
";

/// Returns the page of what the operator may do.
pub(super) fn operator_rights() -> String {
    let mut page = OPERATOR_HEAD.to_owned();
    let documents = documents("deploy/rbac/operator.yaml");
    let is_role = |kind: &str| matches!(kind, "Role" | "ClusterRole");
    for (comment, role) in documents.iter().filter(|(_, it)| is_role(text(&it["kind"]))) {
        let name = text(&role["metadata"]["name"]);
        let is_bound =
            |(_, it): &&(String, Value)| it["roleRef"]["name"] == role["metadata"]["name"];
        let bindings = documents.iter().filter(is_bound).map(|(_, it)| match text(&it["kind"]) {
            "ClusterRoleBinding" => "in the whole cluster".to_owned(),
            _ => format!("in the namespace `{}`", text(&it["metadata"]["namespace"])),
        });
        let bindings: Vec<String> = bindings.collect();
        let _ = write!(
            page,
            "\n## {} `{name}`, bound {}\n\n",
            text(&role["kind"]),
            bindings.join(" and ")
        );
        if !comment.is_empty() {
            let _ = write!(page, "{comment}\n\n");
        }
        rules(&mut page, &role["rules"]);
    }
    page
}

fn policies() -> Vec<(String, Value)> {
    let folders = ["deploy/policies", "deploy/policies/mutating"];
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(project().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("kustomization.yaml"))
        .collect();
    files.sort();
    let all = files.iter().flat_map(documents);
    all.filter(|(_, it)| text(&it["kind"]).ends_with("AdmissionPolicy")).collect()
}

/// Writes the verbs that the policies ask for.
fn verbs(page: &mut String, policies: &[(String, Value)]) {
    let asked = Regex::new(r"resource\(([^)]*)\)(?s:[^;]*?)\.check\('([a-z-]+)'\)").unwrap();
    let mut verbs = BTreeSet::new();
    for (_, policy) in policies {
        for part in ["validations", "matchConditions"] {
            for rule in policy["spec"][part].as_array().into_iter().flatten() {
                for found in asked.captures_iter(text(&rule["expression"])) {
                    let resource = match found[1].trim_matches('\'') {
                        // Whichever of the three kinds the request is about.
                        "request.resource.resource" => "users, usergroups, orgemaildomains",
                        other => other,
                    };
                    verbs.insert((found[2].to_owned(), resource.to_owned()));
                }
            }
        }
    }
    page.push_str("\n## Verbs\n\nAll are of the API group `roster.rs`.\n\n| verb | on | needed to |\n|---|---|---|\n");
    for (verb, resource) in &verbs {
        let (name, needed_to) = meaning(verb, resource);
        let _ = writeln!(page, "| `{verb}` | {name} | {needed_to} |");
    }
}

/// Returns the name that a verb is checked for, and what it is needed for.
fn meaning(verb: &str, resource: &str) -> (&'static str, &'static str) {
    match (verb, resource) {
        ("administer", "usergroups") => (
            "`usergroups/NAME`",
            "create, change in any way, disable or delete a `User` of that group, or move one in or out",
        ),
        ("grant", "users") => {
            ("`users/NAME`", "inherit or clone that user's permissions, or copy that user")
        }
        ("grant", "permissions") => {
            ("`permissions`", "add to `grants`; set, change or remove `role`")
        }
        ("grant", "usergroups") => (
            "`usergroups/NAME`",
            "create the group with, or change, its permissions, full control or self-service; pause it",
        ),
        ("approve-charge", "users") => ("`users`", "set `chargeApproved`"),
        ("set-password", "passwords") => (
            "`passwords/SECRET`",
            "create a Secret of type `roster.rs/password` or change its data; point a `User` at it",
        ),
        ("claim", "customerids") => (
            "`customerids/ID`",
            "label a namespace with that customer ID (with a ClusterRoleBinding)",
        ),
        ("adopt", "accounts") => {
            ("`accounts/ID`", "set `adopt`; on the id alone, also for `entry/ID`")
        }
        ("release", "users") => ("`users`", "do so with a `User` without `administer`"),
        ("release", _) => (
            "`users`, `usergroups`, `orgemaildomains`",
            "take roster's finalizer off, with the annotation `roster.rs/release: \"true\"`",
        ),
        _ => panic!("say what the verb {verb} on {resource} is needed for"),
    }
}

fn rules(page: &mut String, rules: &Value) {
    page.push_str("| API group | resources | verbs |\n|---|---|---|\n");
    for rule in rules.as_array().unwrap() {
        let groups = list(&rule["apiGroups"]).replace("``", "core");
        let mut resources = list(&rule["resources"]);
        if rule["resourceNames"].is_array() {
            let _ = write!(resources, " named {}", list(&rule["resourceNames"]));
        }
        let _ = writeln!(page, "| {groups} | {} | {} |", cell(&resources), list(&rule["verbs"]));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> String {
    let items = value.as_array().into_iter().flatten().map(|it| format!("`{}`", text(it)));
    items.collect::<Vec<_>>().join(", ")
}
