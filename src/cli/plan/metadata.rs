//! What `kubectl` and the API server refuse in the metadata of an object.

use serde_json::{Map, Value};

use super::schema::{Fault, type_of};

/// How large an object's annotations may be together, in bytes (`TotalAnnotationSizeLimitB`).
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields of metadata and their types; `kubectl` reads null as absent.
const FIELDS: [(&str, FieldType); 15] = [
    ("name", FieldType::Text),
    ("generateName", FieldType::Text),
    ("namespace", FieldType::Text),
    ("selfLink", FieldType::Text),
    ("uid", FieldType::Text),
    ("resourceVersion", FieldType::Text),
    ("generation", FieldType::Number),
    ("creationTimestamp", FieldType::Time),
    ("deletionTimestamp", FieldType::Time),
    ("deletionGracePeriodSeconds", FieldType::Number),
    ("labels", FieldType::Texts),
    ("annotations", FieldType::Texts),
    ("ownerReferences", FieldType::List),
    ("finalizers", FieldType::List),
    ("managedFields", FieldType::List),
];

/// The fields of an owner reference.
const OWNER_FIELDS: [&str; 6] =
    ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

#[derive(Clone, Copy)]
enum FieldType {
    Text,
    Number,
    Time,
    /// A map of texts.
    Texts,
    List,
}

/// Returns what is the matter with the metadata of an object; its name and its namespace are
/// judged for what they name.
pub(super) fn faults(object: &Value) -> Vec<Fault> {
    let metadata = match &object["metadata"] {
        Value::Object(metadata) => metadata,
        Value::Null => return vec![fault("metadata", "it has the object's name and is required")],
        other => {
            return vec![fault("metadata", format!("a map is expected, not {}", type_of(other)))];
        }
    };
    let mut faults: Vec<Fault> =
        metadata.iter().flat_map(|(name, value)| form_faults(name, value)).collect();
    if faults.is_empty() {
        faults.extend(label_faults(metadata));
        faults.extend(annotation_faults(object));
        faults.extend(owner_faults(metadata));
        let finalizers = metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten();
        faults.extend(finalizers.enumerate().filter_map(|(number, finalizer)| {
            let why = qualified_name_fault(finalizer.as_str()?)?;
            Some(fault(format!("metadata.finalizers[{number}]"), why))
        }));
    }
    faults
}

/// Returns what only server-side apply refuses.
pub(super) fn server_side_notes(object: &Value) -> Vec<String> {
    let metadata = &object["metadata"];
    let refused = |field: &str| {
        format!(
            "metadata.{field}: server-side apply refuses it (kubectl apply doesn't): leave it out"
        )
    };
    let is_there = |field: &&str| metadata.get(field).is_some_and(|value| !value.is_null());
    let mut notes: Vec<String> =
        ["managedFields", "uid"].into_iter().filter(is_there).map(refused).collect();
    if !object["status"].is_null() && !object["status"].is_object() {
        notes.push("status: server-side apply takes a map alone: leave it out".to_owned());
    }
    notes
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault { path: path.into(), message: message.into() }
}

/// Judges the form of a field.
fn form_faults(name: &str, value: &Value) -> Vec<Fault> {
    let path = format!("metadata.{name}");
    let Some((_, expected)) = FIELDS.iter().find(|(known, _)| *known == name) else {
        return vec![fault(path, "there is no such field")];
    };
    let wrong = |path: String, expected: &str, value: &Value| {
        fault(path, format!("{expected} is expected, not {}", type_of(value)))
    };
    match (expected, value) {
        (_, Value::Null) | (FieldType::Text, Value::String(_)) => vec![],
        (FieldType::Text, value) => vec![wrong(path, "a text", value)],
        (FieldType::Number, Value::Number(number)) if number.as_i64().is_some_and(|n| n >= 0) => {
            vec![]
        }
        (FieldType::Number, value) => vec![wrong(path, "a whole number from 0 on", value)],
        (FieldType::Time, Value::String(text)) if text.parse::<jiff::Timestamp>().is_ok() => vec![],
        (FieldType::Time, _) => {
            vec![fault(path, "a time such as 2026-01-31T12:00:00Z is expected")]
        }
        (FieldType::Texts, Value::Object(texts)) => {
            let is_wrong = |(_, value): &(&String, &Value)| !value.is_string() && !value.is_null();
            let texts = texts.iter().filter(is_wrong);
            texts.map(|(key, value)| wrong(format!("{path}.{key}"), "a text", value)).collect()
        }
        (FieldType::Texts, value) => vec![wrong(path, "a map of texts", value)],
        (FieldType::List, Value::Array(items)) => {
            let is_item = |item: &Value| match name {
                "finalizers" => item.is_string(),
                _ => item.is_object(),
            };
            let expected = if name == "finalizers" { "a text" } else { "a map" };
            let items = items.iter().enumerate().filter(|(_, item)| !is_item(item));
            items.map(|(at, item)| wrong(format!("{path}[{at}]"), expected, item)).collect()
        }
        (FieldType::List, value) => vec![wrong(path, "a list", value)],
    }
}

fn texts<'a>(metadata: &'a Map<String, Value>, field: &str) -> Vec<(&'a str, &'a str)> {
    let texts = metadata.get(field).and_then(Value::as_object).into_iter().flatten();
    texts.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect()
}

fn label_faults(metadata: &Map<String, Value>) -> Vec<Fault> {
    let judged = |(key, value): (&str, &str)| {
        let path = format!("metadata.labels.{key}");
        if let Some(why) = qualified_name_fault(key) {
            return Some(fault(path, why));
        }
        let fits = value.is_empty() || (value.len() <= 63 && is_word(value));
        let why = "a label's value has at most 63 letters, digits, -, _ and ., and begins and ends with a letter or digit; an annotation takes any text";
        (!fits).then(|| fault(path, why))
    };
    texts(metadata, "labels").into_iter().filter_map(judged).collect()
}

fn annotation_faults(object: &Value) -> Vec<Fault> {
    let metadata = object["metadata"].as_object();
    let annotations = metadata.map(|metadata| texts(metadata, "annotations")).unwrap_or_default();
    let size = |(key, value): &(&str, &str)| key.len() + value.len();
    let total: usize = annotations.iter().map(size).sum();
    let judged = |(key, _): &(&str, &str)| {
        let why = qualified_name_fault(&key.to_lowercase())?;
        Some(fault(format!("metadata.annotations.{key}"), why))
    };
    let mut faults: Vec<Fault> = annotations.iter().filter_map(judged).collect();
    let path = "metadata.annotations";
    if total > MAX_ANNOTATIONS {
        faults.push(fault(path, "they have more than 256 KiB together"));
    } else if !annotations.is_empty() && total + object.to_string().len() > MAX_ANNOTATIONS {
        let why = "with the copy of the manifest that kubectl apply adds, they have more than 256 KiB together: use kubectl apply --server-side";
        faults.push(fault(path, why));
    }
    faults
}

fn owner_faults(metadata: &Map<String, Value>) -> Vec<Fault> {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let owners: Vec<&Map<String, Value>> = owners.filter_map(Value::as_object).collect();
    let mut faults = vec![];
    for (number, owner) in owners.iter().enumerate() {
        let path = |field: &str| format!("metadata.ownerReferences[{number}].{field}");
        let unknown = owner.keys().filter(|field| !OWNER_FIELDS.contains(&field.as_str()));
        faults.extend(unknown.map(|field| fault(path(field), "there is no such field")));
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        let empty = ["apiVersion", "kind", "name", "uid"]
            .into_iter()
            .filter(|field| text(field).is_empty());
        faults.extend(empty.map(|field| fault(path(field), "it is a text and required")));
        if text("apiVersion").split('/').count() > 2 {
            faults.push(fault(
                path("apiVersion"),
                "a group and a version are expected, such as apps/v1",
            ));
        }
        if (text("apiVersion"), text("kind")) == ("v1", "Event") {
            faults.push(fault(path("kind"), "an Event owns nothing"));
        }
    }
    let controllers = owners.iter().filter(|owner| owner.get("controller") == Some(&true.into()));
    if controllers.count() > 1 {
        faults.push(fault("metadata.ownerReferences", "more than one is the controller"));
    }
    faults
}

/// Returns what is wrong with a qualified name, the form of keys of labels and annotations and of
/// finalizers.
fn qualified_name_fault(text: &str) -> Option<&'static str> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let fits = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label));
    let fits = fits && !name.is_empty() && name.len() <= 63 && is_word(name);
    (!fits).then_some("its name has at most 63 letters, digits, -, _ and ., begins and ends with a letter or digit, and may have a domain and / before it")
}

/// Whether a text is made of letters, digits, `-`, `_` and `.`, with letters or digits at its ends.
fn is_word(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
