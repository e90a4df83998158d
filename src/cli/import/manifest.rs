//! Manifests in YAML, with comments.

use kube::api::ObjectMeta;
use serde::Serialize;

use crate::api::{OrgEmailDomain, OrgEmailDomainSpec, UserGroup, UserGroupSpec};
use crate::cli::Failure;
use crate::domain::group::GroupContent;
use crate::domain::permission::Permission;
use crate::domain::profile::SelfServiceField;
use crate::plan::Listing;

/// A comment above a field of a spec.
pub(super) struct Remark<'a> {
    /// The name of the field.
    pub(super) field: &'a str,
    /// Its lines.
    pub(super) lines: Vec<String>,
    /// Whether the field itself is left out.
    pub(super) instead: bool,
}

/// Returns a document with comments above it and above its fields.
pub(super) fn document(
    comments: &[String],
    object: &impl Serialize,
    remarks: &[Remark<'_>],
) -> Result<String, Failure> {
    let mut text = "---\n".to_owned();
    comments.iter().for_each(|line| text += &comment("", line));
    for line in serde_saphyr::to_string(object)?.lines() {
        // Only a field of the spec is two spaces in: what is below one is further in.
        let field =
            line.strip_prefix("  ").and_then(|rest| rest.split_once(':')).map(|(field, _)| field);
        let about = || remarks.iter().filter(|remark| Some(remark.field) == field);
        about().flat_map(|remark| &remark.lines).for_each(|line| text += &comment("  ", line));
        if !about().any(|remark| remark.instead) {
            text += line;
            text.push('\n');
        }
    }
    Ok(text)
}

/// Returns a text as a comment: on one line, whatever is in it.
pub(super) fn comment(indent: &str, text: &str) -> String {
    let text: String =
        text.chars().map(|character| if is_break(character) { ' ' } else { character }).collect();
    format!("{indent}# {text}\n").replace("# \n", "#\n")
}

/// Whether a character ends a line for some parser, or can't stand in YAML.
fn is_break(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns the metadata of an object.
pub(super) fn metadata(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

/// Returns a group as the store has it.
pub(super) fn group(
    namespace: &str,
    name: &str,
    content: &GroupContent,
) -> Result<UserGroup, Failure> {
    let GroupContent { full_control, permissions, self_service } = content;
    let spec = serde_json::json!({
        "fullControl": full_control,
        "permissions": permissions.iter().map(Permission::as_str).collect::<Vec<_>>(),
        "selfService": self_service.iter().collect::<Vec<&SelfServiceField>>(),
    });
    let spec: UserGroupSpec = serde_json::from_value(spec)?;
    Ok(UserGroup { metadata: metadata(namespace, name), spec, status: None })
}

/// Returns a listed domain as the store has it.
pub(super) fn listing(namespace: &str, name: &str, listing: &Listing) -> OrgEmailDomain {
    let Listing { domain, include_subdomains } = listing;
    let spec = OrgEmailDomainSpec {
        domain: domain.as_str().to_owned(),
        include_subdomains: *include_subdomains,
    };
    OrgEmailDomain { metadata: metadata(namespace, name), spec, status: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn remarks_stand_above_their_fields_and_nothing_of_them_is_read() {
        let object = json!({"metadata": {"role": "no"}, "spec": {"role": "a\nrole: b\n  role: c", "state": "Enabled", "teams": ["role: x"]}});
        let remark =
            |field, text: &str, instead| Remark { field, lines: vec![text.to_owned()], instead };
        let remarks = [
            remark("role", "evil\nspec: {}\u{2028}x", false),
            remark("state", "state: Disabled", true),
        ];
        let text = document(&["above\rthis: one".to_owned()], &object, &remarks).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read["spec"], json!({"role": "a\nrole: b\n  role: c", "teams": ["role: x"]}));
        assert!(
            text.contains("  # evil spec: {} x\n") && text.contains("  # state: Disabled\n"),
            "{text}"
        );
        assert!(text.starts_with("---\n# above this: one\n"));
    }
}
