//! The JSON schemas for editors, from the CRDs.

use roster::api::schema::crds;
use serde_json::{Map, Value, json};

/// Returns the schema of each kind, by the name of its file.
pub(super) fn all() -> Vec<(String, Value)> {
    crds().into_iter().map(|(_, crd)| schema(&serde_json::to_value(crd).unwrap())).collect()
}

fn schema(crd: &Value) -> (String, Value) {
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    translate(&mut schema);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(kind);
    let properties = schema["properties"].as_object_mut().unwrap();
    properties.insert("apiVersion".to_owned(), json!({"const": "roster.rs/v1alpha1"}));
    properties.insert("kind".to_owned(), json!({"const": kind}));
    properties.insert("metadata".to_owned(), json!({"type": "object"}));
    // Manifests have no status: it is the operator's.
    properties.remove("status");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let required: Vec<Value> = [json!("apiVersion"), json!("kind"), json!("metadata")]
        .into_iter()
        .chain(required)
        .collect();
    schema["required"] = json!(required);
    (kind.to_lowercase(), schema)
}

/// Makes JSON schema of a structural schema: what Kubernetes alone has goes, and unknown fields are
/// refused, as the API server does for `kubectl`.
fn translate(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.retain(|key, _| !key.starts_with("x-kubernetes-") && key != "format");
    if object.contains_key("properties") {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        each(properties);
    }
    if let Some(items) = object.get_mut("items") {
        translate(items);
    }
}

fn each(properties: &mut Map<String, Value>) {
    properties.values_mut().for_each(translate);
}
