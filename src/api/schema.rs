//! The CRDs as they are installed: derived from the types, with what the derive can't say added.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{OrgEmailDomain, User, UserGroup};

/// Returns the CRDs, with the name of the file that each is kept in.
#[must_use]
pub fn crds() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![
        ("users.yaml", completed(User::crd())),
        ("usergroups.yaml", without_required_spec(completed(UserGroup::crd()))),
        ("orgemaildomains.yaml", completed(OrgEmailDomain::crd())),
    ]
}

/// Gives the status its default, joins the lines of descriptions, and takes `nullable` away everywhere.
///
/// Without a status kstatus calls a new object current before the operator looked at it. And a null
/// must not be stored: the API server takes it for an absent value where the schema has no
/// `nullable`, so a required one is missed, and a default applies.
fn completed(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for schema in root_schemas(&mut crd) {
        let properties = schema.properties.as_mut().expect("a derived root has properties");
        let status = properties.get_mut("status").expect("every kind has a status");
        status.default = Some(JSON(json!({"observedGeneration": -1})));
        status.description = Some("What the operator last saw and did.".to_owned());
        let spec = properties.get_mut("spec").expect("every kind has a spec");
        spec.description = Some("What is asked for.".to_owned());
        tidy(schema);
    }
    crd
}

/// Makes the spec optional, for a kind whose every field is.
fn without_required_spec(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for schema in root_schemas(&mut crd) {
        schema.required = None;
        let spec = schema.properties.as_mut().and_then(|all| all.get_mut("spec")).expect("every kind has a spec");
        spec.default = Some(JSON(json!({})));
    }
    crd
}

fn root_schemas(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    crd.spec.versions.iter_mut().map(|version| {
        version.schema.as_mut().and_then(|all| all.open_api_v3_schema.as_mut()).expect("a derived CRD has a schema")
    })
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    // `kubectl explain` breaks lines itself.
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    for property in schema.properties.iter_mut().flat_map(|all| all.values_mut()) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}
