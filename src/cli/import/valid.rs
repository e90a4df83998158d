//! What the API server would refuse of a `User` that is made of something else, left out of it.

use serde_json::Value;

use super::manifest::Remark;
use crate::api::UserSpec;
use crate::cli::plan::schema::{Fault, Schemas};
use crate::domain::profile::Profile;

/// Returns the fields that a `User` can do without, those within others first. Of a list each entry
/// is left out by itself.
fn optional() -> impl Iterator<Item = String> {
    let fields = ["role", "teams", "permissions"].map(|name| format!("/spec/{name}"));
    let address = ["street", "locality", "region", "postalCode", "country"];
    let address = address.map(|name| format!("/spec/profile/address/{name}"));
    let profile = Profile::NAMES.iter().filter(|name| **name != "displayName");
    fields.into_iter().chain(address).chain(profile.map(|name| format!("/spec/profile/{name}")))
}

/// Returns the spec without what the API server would refuse of its optional fields, and says what
/// that is.
///
/// # Errors
/// What it would refuse of the others.
pub(super) fn valid(
    schemas: &Schemas,
    spec: UserSpec,
    further: impl Fn(&Value) -> Option<Fault>,
    remarks: &mut Vec<Remark<'static>>,
) -> Result<UserSpec, String> {
    let mut spec = serde_json::to_value(spec).map_err(|error| error.to_string())?;
    let mut dropped = vec![];
    loop {
        let mut object = serde_json::json!({"metadata": {"name": "name"}, "spec": spec});
        let fault =
            schemas.faults("User", &mut object).into_iter().next().or_else(|| further(&spec));
        let Some(fault) = fault else { break };
        let pointer = format!("/{}", fault.path.replace('.', "/"));
        let Some(field) = optional().find(|field| pointer.starts_with(field)) else {
            return Err(format!("{}: {}", fault.path, fault.message));
        };
        let place = field.trim_start_matches("/spec");
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        let entry = pointer
            .strip_prefix(&field)
            .and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']')?.parse::<usize>().ok());
        let what = match (spec.pointer_mut(place).and_then(Value::as_array_mut), entry) {
            (Some(entries), Some(at)) if at < entries.len() && entries.len() > 1 => {
                entries.remove(at);
                format!("an entry of {name}")
            }
            _ => {
                if let Some(Value::Object(fields)) = spec.pointer_mut(parent) {
                    fields.remove(name);
                }
                name.to_owned()
            }
        };
        dropped.push(format!("{what} is left out, and goes with the take-over: {}", fault.message));
    }
    if let Some(profile) = spec["profile"].as_object_mut() {
        profile.retain(|_, value| value.as_object().is_none_or(|parts| !parts.is_empty()));
    }
    if !dropped.is_empty() {
        remarks.push(Remark { field: "profile", lines: dropped, instead: false });
    }
    serde_json::from_value(spec).map_err(|error| error.to_string())
}
