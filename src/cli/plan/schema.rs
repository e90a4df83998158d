//! What the API server would refuse: the schemas of the CRDs with their rules, and fields that they
//! don't have.

use std::collections::BTreeMap;

use kube_cel::{CompiledSchema, Validator, compile_schema};
use regex::Regex;
use serde_json::Value;

use crate::api::schema::crds;
use crate::cli::Failure;

/// Something that a schema doesn't allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Fault {
    /// The field, such as `spec.email`.
    pub(in crate::cli) path: String,
    /// What is the matter with it.
    pub(in crate::cli) message: String,
}

/// The schemas of roster's kinds.
pub(in crate::cli) struct Schemas {
    kinds: BTreeMap<String, Schema>,
    validator: Validator,
}

struct Schema {
    structure: Value,
    rules: CompiledSchema,
    patterns: BTreeMap<String, Regex>,
}

impl Schemas {
    /// Returns the schemas.
    ///
    /// # Errors
    /// When one of them can't be understood.
    pub(in crate::cli) fn new() -> Result<Self, Failure> {
        let mut kinds = BTreeMap::new();
        for (_, crd) in crds() {
            let kind = crd.spec.names.kind.clone();
            let crd = serde_json::to_value(crd)?;
            let structure = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let mut patterns = BTreeMap::new();
            compile_patterns(&structure, &mut patterns)?;
            kinds.insert(kind, Schema { rules: compile_schema(&structure), structure, patterns });
        }
        Ok(Self { kinds, validator: Validator::new() })
    }

    /// Returns what is the matter with an object of a kind. Nulls are taken out of it first, as the
    /// API server does.
    pub(in crate::cli) fn faults(&self, kind: &str, object: &mut Value) -> Vec<Fault> {
        let Some(schema) = self.kinds.get(kind) else { return vec![] };
        drop_nulls(object);
        let mut faults = vec![];
        // Applying a manifest doesn't write the status, but one with unknown fields is refused.
        if let Some(status) = object.as_object_mut().and_then(|object| object.remove("status")) {
            unknown_fields(
                &schema.structure["properties"]["status"],
                &status,
                "status",
                &mut faults,
            );
        }
        schema.walk(&schema.structure, object, "", &mut faults);
        // Rules are only for what has the right form.
        if faults.is_empty()
            && let Err(broken) = self.validator.validate_compiled(&schema.rules, object, None)
        {
            let fault = |rule: &kube_cel::ValidationError| Fault {
                path: rule.field_path.clone(),
                message: rule.message.clone(),
            };
            faults.extend(broken.iter().map(fault));
        }
        faults.sort();
        faults
    }

    /// Returns the fields of an object that are null and that server-side apply refuses: those
    /// without a default, and those that there aren't.
    pub(in crate::cli) fn nulls(&self, kind: &str, object: &Value) -> Vec<String> {
        let mut found = vec![];
        if let Some(schema) = self.kinds.get(kind) {
            nulls(&schema.structure["properties"]["spec"], &object["spec"], "spec", &mut found);
        }
        found
    }

    /// Returns which transition rules an edit of a `User` breaks.
    pub(in crate::cli) fn transition_faults(&self, user: &Value, before: &Value) -> Vec<Fault> {
        let Some(schema) = self.kinds.get("User") else { return vec![] };
        let broken = self.validator.validate_compiled(&schema.rules, user, Some(before)).err();
        let broken = broken.into_iter().flatten().filter(|error| error.rule.contains("oldSelf"));
        let fault = |error: kube_cel::ValidationError| {
            // Such a rule stands at the spec, as it speaks of a field that may be missing; its
            // message begins with the field.
            let field = error.message.split(' ').next().unwrap_or_default();
            Fault { path: format!("{}.{field}", error.field_path), message: error.message }
        };
        broken.map(fault).collect()
    }
}

fn compile_patterns(schema: &Value, patterns: &mut BTreeMap<String, Regex>) -> Result<(), Failure> {
    if let Some(pattern) = schema["pattern"].as_str() {
        patterns.insert(pattern.to_owned(), Regex::new(pattern)?);
    }
    let below = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .chain(schema.get("items"));
    below.into_iter().try_for_each(|schema| compile_patterns(schema, patterns))
}

fn nulls(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let (schema, path) = (&schema["properties"][name], format!("{path}.{name}"));
        if !value.is_null() {
            nulls(schema, value, &path, found);
        } else if schema["default"].is_null() && schema["nullable"] != true {
            found.push(path);
        }
    }
}

/// Collects the fields that a schema doesn't have, whatever their values are.
fn unknown_fields(schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            for (name, value) in fields {
                let below = format!("{path}.{name}");
                match (properties.map(|known| known.get(name)), &schema["additionalProperties"]) {
                    (Some(Some(schema)), _) => unknown_fields(schema, value, &below, faults),
                    (Some(None), Value::Null) => faults
                        .push(Fault { path: below, message: "there is no such field".to_owned() }),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let all = items.iter().enumerate();
            all.for_each(|(number, item)| {
                unknown_fields(&schema["items"], item, &format!("{path}[{number}]"), faults);
            });
        }
        _ => {}
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl Schema {
    /// Judges the form of a value: types, fields, bounds, patterns.
    fn walk(&self, schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
        let mut fault = |message: String| faults.push(Fault { path: path.to_owned(), message });
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => {
                for name in
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
                {
                    if !fields.contains_key(name) && schema["properties"][name]["default"].is_null()
                    {
                        fault(format!("{name} is required"));
                    }
                }
                // Of a root's metadata the schema says nothing.
                let Some(properties) = schema["properties"].as_object() else { return };
                for (name, value) in fields {
                    let below =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match properties.get(name) {
                        Some(schema) => self.walk(schema, value, &below, faults),
                        None if path.is_empty()
                            && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) => {}
                        None => faults.push(Fault {
                            path: below,
                            message: "there is no such field".to_owned(),
                        }),
                    }
                }
            }
            (Some("array"), Value::Array(items)) => {
                if let Some(message) =
                    bounds(schema, ["minItems", "maxItems"], items.len(), "entries")
                {
                    fault(message);
                }
                let is_set = schema["x-kubernetes-list-type"] == "set";
                if let Some(twice) = items
                    .iter()
                    .enumerate()
                    .find(|(at, item)| is_set && items[..*at].contains(item))
                {
                    fault(format!("{} stands there twice", twice.1));
                }
                for (number, item) in items.iter().enumerate() {
                    self.walk(&schema["items"], item, &format!("{path}[{number}]"), faults);
                }
            }
            (Some("string"), Value::String(text)) => {
                if let Some(message) =
                    bounds(schema, ["minLength", "maxLength"], text.chars().count(), "characters")
                {
                    fault(message);
                }
                let pattern =
                    schema["pattern"].as_str().and_then(|pattern| self.patterns.get(pattern));
                if let Some(pattern) = pattern.filter(|pattern| !pattern.is_match(text)) {
                    fault(format!("it doesn't match {pattern}"));
                }
                if let Some(words) =
                    schema["enum"].as_array().filter(|words| !words.contains(value))
                {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    fault(format!("it is one of {}", words.join(", ")));
                }
            }
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("integer"), Value::Number(number)) if number.is_i64() => {}
            (Some(wanted), _) => {
                fault(format!("{} is expected, not {}", a_type(wanted), type_of(value)))
            }
        }
    }
}

fn bounds(schema: &Value, [least, most]: [&str; 2], size: usize, unit: &str) -> Option<String> {
    let bound = |name: &str| schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    match (bound(least), bound(most)) {
        (Some(least), _) if size < least => {
            Some(format!("it has {size} {unit}, and at least {least} are needed"))
        }
        (_, Some(most)) if size > most => {
            Some(format!("it has {size} {unit}, and at most {most} are allowed"))
        }
        _ => None,
    }
}

fn a_type(name: &str) -> &'static str {
    match name {
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "a text",
    }
}

pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number (quote it, if it is a text)",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alice() -> Value {
        json!({
            "apiVersion": "roster.rs/v1alpha1", "kind": "User", "metadata": {"name": "alice"},
            "spec": {"email": "alice@acme.example", "profile": {"displayName": "Alice"}},
        })
    }

    #[track_caller]
    fn check(pointer: &str, value: Value, expected: &[[&str; 2]]) {
        let mut object = alice();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        let faults = Schemas::new().unwrap().faults("User", &mut object);
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, [path, message]) in faults.iter().zip(expected) {
            assert!(fault.path == *path && fault.message.contains(message), "{fault:?}");
        }
    }

    #[test]
    fn the_form_is_judged_as_the_api_server_does() {
        check("/spec/state", json!("Disabled"), &[]);
        check("/spec/role", json!(null), &[]);
        check("/spec/state", json!("Off"), &[["spec.state", "one of Enabled, Disabled"]]);
        check("/spec/stat", json!("Disabled"), &[["spec.stat", "no such field"]]);
        check(
            "/spec/chargeApproved",
            json!("yes"),
            &[["spec.chargeApproved", "true or false is expected, not a text"]],
        );
        check(
            "/spec/profile/phone",
            json!(602),
            &[["spec.profile.phone", "a text is expected, not a number"]],
        );
        check("/spec/teams", json!(["a", "a"]), &[["spec.teams", "\"a\" stands there twice"]]);
        check("/spec/role", json!("x".repeat(129)), &[["spec.role", "at most 128"]]);
        check("/spec/role", json!("a\nb"), &[["spec.role", "doesn't match"]]);
        check("/spec/groupRef", json!({}), &[["spec.groupRef", "name is required"]]);
        check("/spec", json!(null), &[["", "spec is required"]]);
    }

    #[test]
    fn the_rules_are_judged_as_the_api_server_does() {
        check(
            "/spec/email",
            json!("two words@acme.example"),
            &[["spec.email", "an email is one address"]],
        );
        check("/spec/email", json!(null), &[["spec", "email is required unless copyOf is set"]]);
        check("/spec/copyOf", json!({"name": "alice"}), &[["", "copyOf names this User itself"]]);
        let grants = json!({"grants": ["*"]});
        check(
            "/spec/permissions",
            grants,
            &[["spec.permissions.grants", "comes only from a group's fullControl"]],
        );
        for (text, named) in [
            ("  ", "U+0020"),
            ("\u{200b}\u{2800}", "U+200B U+2800"),
            ("\u{ad}\u{e0041}", "U+00AD and others"),
        ] {
            let message = format!("has only characters that nobody sees: {named}");
            check(
                "/spec/profile/displayName",
                json!(text),
                &[["spec.profile.displayName", &message]],
            );
            check("/spec/role", json!(text), &[["spec.role", &message]]);
            check("/spec/teams", json!(["a", text]), &[["spec.teams[1]", &message]]);
        }
    }

    #[test]
    fn every_rule_of_every_kind_can_be_evaluated() {
        fn judge(schema: &CompiledSchema) {
            assert!(!schema.has_errors(), "{:?}", schema.compilation_errors());
            schema.properties.values().chain(schema.items.as_deref()).for_each(judge);
        }
        let schemas = Schemas::new().unwrap();
        assert_eq!(schemas.kinds.len(), 3);
        schemas.kinds.values().for_each(|schema| judge(&schema.rules));
    }
}
