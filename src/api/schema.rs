//! The CRDs as they are installed: derived from the types, with what the derive can't say added.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{OrgEmailDomain, User, UserGroup};
use crate::domain::text::{CodePoint, NOTHING_SEEN, UNSEEN};

/// Returns the CRDs, with the name of the file that each is kept in.
#[must_use]
pub fn crds() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![
        ("users.yaml", completed(User::crd())),
        ("usergroups.yaml", without_required_spec(completed(UserGroup::crd()))),
        ("orgemaildomains.yaml", completed(OrgEmailDomain::crd())),
    ]
}

/// Gives the status its default, joins the lines of descriptions, and takes `nullable` away
/// everywhere.
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
        hold_texts(spec);
        tidy(schema);
    }
    crd
}

/// Makes the spec optional, for a kind whose every field is.
fn without_required_spec(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for schema in root_schemas(&mut crd) {
        schema.required = None;
        let spec = schema
            .properties
            .as_mut()
            .and_then(|all| all.get_mut("spec"))
            .expect("every kind has a spec");
        spec.default = Some(JSON(json!({})));
    }
    crd
}

fn root_schemas(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    crd.spec.versions.iter_mut().map(|version| {
        version
            .schema
            .as_mut()
            .and_then(|all| all.open_api_v3_schema.as_mut())
            .expect("a derived CRD has a schema")
    })
}

/// The pattern of each field that holds a text in people's own words.
const TEXT: &str = r"^\P{Cc}*$";

/// Gives each text in people's own words the rule that somebody has to see something of it. A
/// status has none: what is in force from before the rule is told as it is.
fn hold_texts(schema: &mut JSONSchemaProps) {
    if schema.pattern.as_deref() == Some(TEXT) {
        schema.x_kubernetes_validations.get_or_insert_default().push(seen());
    }
    for property in schema.properties.iter_mut().flat_map(|all| all.values_mut()) {
        hold_texts(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        hold_texts(items);
    }
}

/// The characters that a refusal by the API server names, of those that nobody sees.
const NAMED: [char; 20] = [
    ' ', '\u{a0}', '\u{ad}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{180e}',
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202e}', '\u{2060}', '\u{2800}',
    '\u{3000}', '\u{3164}', '\u{fe0f}', '\u{feff}',
];

/// Returns the rule of [`crate::domain::text::readable`] in CEL.
fn seen() -> ValidationRule {
    let range = |(first, last): &(char, char)| match first == last {
        true => format!(r"\\x{{{:X}}}", u32::from(*first)),
        false => format!(r"\\x{{{:X}}}-\\x{{{:X}}}", u32::from(*first), u32::from(*last)),
    };
    let unseen: String = UNSEEN.iter().map(range).collect();
    let named = |it: &char| {
        format!(r"(self.contains('\u{:04X}') ? ' {}' : '')", u32::from(*it), CodePoint(*it))
    };
    // A list of them, joined, would be past what an expression may cost.
    let named: Vec<String> = NAMED.iter().map(named).collect();
    let others: String = NAMED.iter().map(|it| format!(r"\\x{{{:X}}}", u32::from(*it))).collect();
    ValidationRule {
        rule: format!("size(self) == 0 || self.matches('[^{unseen}]')"),
        message: Some(format!("{NOTHING_SEEN}, such as white space or U+200B")),
        message_expression: Some(format!(
            "'{NOTHING_SEEN}:' + {} + (self.matches('[^{others}]') ? ' and others' : '')",
            named.join(" + ")
        )),
        ..ValidationRule::default()
    }
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
