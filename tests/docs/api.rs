//! The API, from the CRDs.

use std::fmt::Write;

use roster::api::schema::crds;
use serde_json::Value;

use super::cell;

const HEAD: &str = "\
# API

Group `roster.rs`, version `v1alpha1`. `kubectl explain` prints the same in a terminal, and `schemas/` has it for
[editors](support.md#schemas-for-editors). What the fields mean together is in [Resources](resources.md).
";

/// Returns the page.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for (_, crd) in crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let names = &crd["spec"]["names"];
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let kind = names["kind"].as_str().unwrap();
        let _ = write!(
            page,
            "\n## {kind}\n\n{}\n\nPlural `{}.roster.rs`, short `{}`.\n",
            schema["description"].as_str().unwrap_or_default(),
            names["plural"].as_str().unwrap(),
            names["shortNames"][0].as_str().unwrap(),
        );
        for part in ["spec", "status"] {
            let mut fields = vec![];
            let mut rules = vec![];
            walk(&schema["properties"][part], part, false, &mut fields, &mut rules);
            let _ =
                write!(page, "\n### {kind} {part}\n\n| field | type | meaning |\n|---|---|---|\n");
            page.extend(fields);
            if !rules.is_empty() {
                page.push_str("\nRules that the API server checks:\n\n");
                page.extend(rules);
            }
        }
    }
    page
}

/// Collects a schema's fields as rows, and its rules as items, everything below included.
fn walk(
    schema: &Value,
    path: &str,
    is_required: bool,
    fields: &mut Vec<String>,
    rules: &mut Vec<String>,
) {
    if path.contains('.') {
        fields.push(format!(
            "| `{path}` | {} | {} |\n",
            kind(schema, is_required),
            cell(schema["description"].as_str().unwrap_or_default())
        ));
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        // Texts have one rule that is the same for all; the reference of bounds says it.
        if let Some(message) = rule["message"].as_str().filter(|it| !it.contains("U+200B")) {
            rules.push(format!("- `{path}`: {}\n", cell(message)));
        }
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.contains(&name.as_str());
        walk(property, &format!("{path}.{name}"), is_required, fields, rules);
    }
    if schema["items"]["properties"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), false, fields, rules);
    }
}

/// Returns a field's type with its bounds.
fn kind(schema: &Value, is_required: bool) -> String {
    let mut parts = vec![];
    let items = &schema["items"];
    parts.push(match schema["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}s", items["type"].as_str().unwrap_or("value")),
        other => other.to_owned(),
    });
    if let Some(values) = schema["enum"].as_array().or(items["enum"].as_array()) {
        let values: Vec<String> =
            values.iter().map(|it| format!("`{}`", it.as_str().unwrap())).collect();
        parts.push(values.join(", "));
    }
    for (bound, text) in [("maxLength", "characters"), ("maxItems", "items")] {
        if let Some(most) = schema[bound].as_i64() {
            parts.push(format!("at most {most} {text}"));
        }
    }
    if let Some(most) = items["maxLength"].as_i64() {
        parts.push(format!("each at most {most} characters"));
    }
    if let Some(default) = schema.get("default") {
        parts.push(format!("default `{default}`"));
    }
    if is_required {
        parts.push("**required**".to_owned());
    }
    parts.join(", ")
}
