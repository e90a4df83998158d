//! What becomes of an object of whose spec something isn't understood: what is understood applies,
//! what isn't is refused by itself, and nothing that can't be undone follows from it.
//!
//! | what isn't understood | what holds instead |
//! |---|---|
//! | a grant, a group's permission, an entry of `selfService`, `fullControl` | it gives nothing (`administrators` keep full control) |
//! | `permissions.from` | nothing comes through it, and a clone is dropped |
//! | `deletionProtection`, `deletionPolicy` | the `User` isn't deleted |
//! | any other field | the value in force |
//! | anything, before there is an account or a listed domain | none is made |
//!
//! The same holds of what is understood and can't be meant ([`wrong_values`]): a text of which
//! nobody sees anything, and a time zone that there isn't. What is in force already stays without a
//! word: it came before the rule.

use std::sync::Arc;

use serde_json::Value;

use super::blocked::Blocked;
use super::{Listing, Meta, profile};
use crate::api::lenient::{Field, Unreadable, UnreadableField};
use crate::api::user::{DesiredState, GroupRef, ProfileSpec, UserSpec};
use crate::api::{OrgEmailDomainSpec, UserGroupSpec};
use crate::domain::account::{Account, LoginState};
use crate::domain::group::GroupContent;
use crate::domain::permission::Permission;
use crate::domain::profile::SelfServiceField;
use crate::domain::{text, time_zone};

/// Returns why something of a spec is refused, if there is such: what can't be read, and what is
/// listed as a permission and is none.
#[must_use]
pub fn blocked(meta: &Meta, listed: Listed<'_>, is_new: bool) -> Option<Blocked> {
    let (field, place, texts) = match listed {
        Listed::Grants(grants) => (Field::Grants, "spec.permissions.grants", grants),
        Listed::GroupPermissions(permissions) => {
            (Field::GroupPermissions, "spec.permissions", permissions)
        }
        Listed::Nothing => (Field::Spec, "", &[][..]),
    };
    let none = texts.iter().filter(|text| Permission::parse(text).is_err());
    let none =
        none.map(|text| UnreadableField::new(field, place.to_owned(), &Value::from(text.as_str())));
    let fields: Vec<UnreadableField> =
        meta.unreadable.fields().iter().cloned().chain(none).collect();
    (!fields.is_empty()).then_some(Blocked::UnsupportedValue { fields, is_new })
}

/// Returns what of a `User`'s spec can't be read, and with it what can't be meant and isn't in
/// force.
#[must_use]
pub fn with_wrong_values(
    unreadable: &Unreadable,
    spec: &UserSpec,
    account: Option<&Account>,
) -> Unreadable {
    let wrong = wrong_values(spec, account);
    if wrong.is_empty() {
        unreadable.clone()
    } else {
        unreadable.fields().iter().cloned().chain(wrong).collect::<Vec<_>>().into()
    }
}

/// Returns what of a `User`'s spec can't be meant, but for what the account has in force.
#[must_use]
pub fn wrong_values(spec: &UserSpec, account: Option<&Account>) -> Vec<UnreadableField> {
    let no_profile = ProfileSpec::default();
    let UserSpec { profile: declared, role, teams, .. } = spec;
    let declared = declared.as_ref().unwrap_or(&no_profile);
    let last = account.map(|account| account.content.member.declared(&account.content.profile));
    let content = account.map(|account| &account.content);
    let has_role = |it: &String| content.is_some_and(|content| content.role.as_ref() == Some(it));
    let has_team = |it: &String| content.is_some_and(|content| content.teams.contains(it));
    let mut texts = profile::texts(declared, last.as_ref());
    if let Some(it) = role {
        texts.push((Field::Role, "spec.role".to_owned(), it, has_role(it)));
    }
    for (number, it) in teams.iter().enumerate() {
        texts.push((Field::Teams, format!("spec.teams[{number}]"), it, has_team(it)));
    }
    let mut wrong: Vec<UnreadableField> = vec![];
    for (field, path, it, _) in texts.into_iter().filter(|(.., is_in_force)| !is_in_force) {
        let why = text::readable(it).err();
        wrong.extend(why.map(|why| UnreadableField::wrong(field, path, it, why.to_string())));
    }
    let last_zone = last.as_ref().and_then(|last| last.time_zone.as_ref());
    if let Some(zone) = declared.time_zone.as_ref().filter(|zone| Some(*zone) != last_zone)
        && let Err(why) = time_zone::known(zone)
    {
        let problem = format!("({}) {why}", Value::from(zone.as_str()));
        let (field, path) =
            (Field::ProfilePart(SelfServiceField::TimeZone), "spec.profile.timeZone");
        wrong.push(UnreadableField::wrong(field, path.to_owned(), zone, problem));
    }
    wrong
}

/// What a spec lists as permissions.
#[derive(Clone, Copy, Debug)]
pub enum Listed<'a> {
    /// A `User`'s grants.
    Grants(&'a [String]),
    /// What a group gives.
    GroupPermissions(&'a [String]),
    /// It can list none.
    Nothing,
}

/// Returns why a `User` isn't deleted whose protection or policy isn't understood: either might say
/// that the account stays.
#[must_use]
pub fn deletion(meta: &Meta) -> Option<Blocked> {
    let is_about_deletion = [Field::DeletionProtection, Field::DeletionPolicy]
        .into_iter()
        .any(|field| meta.unreadable.has(field));
    let fields = || meta.unreadable.fields().to_vec();
    is_about_deletion.then(|| Blocked::UnsupportedValue { fields: fields(), is_new: false })
}

/// Returns a `User`'s spec with what is in force in place of what can't be read.
#[must_use]
pub fn user_in_force(
    spec: &Arc<UserSpec>,
    unreadable: &Unreadable,
    account: Option<&Account>,
) -> Arc<UserSpec> {
    let Some(account) = account.filter(|_| !unreadable.fields().is_empty()) else {
        return spec.clone();
    };
    let content = &account.content;
    let mut spec = spec.as_ref().clone();
    if unreadable.has(Field::Role) {
        spec.role.clone_from(&content.role);
    }
    if unreadable.has(Field::Teams) {
        spec.teams = content.teams.iter().cloned().collect();
    }
    if unreadable.has(Field::GroupRef) {
        spec.group_ref = GroupRef { name: content.group.clone() };
    }
    if unreadable.has(Field::State) {
        spec.state = match content.lifecycle {
            LoginState::Enabled => DesiredState::Enabled,
            LoginState::Disabled => DesiredState::Disabled,
        };
    }
    profile::put_in_force(spec.profile.get_or_insert_default(), unreadable, account);
    Arc::new(spec)
}

/// Returns a group's spec with full control as nobody declares it, where it can't be read.
#[must_use]
pub fn group_in_force(spec: &Arc<UserGroupSpec>, meta: &Meta) -> Arc<UserGroupSpec> {
    if !meta.unreadable.has(Field::FullControl) {
        return spec.clone();
    }
    let full_control = GroupContent::built_in(&meta.name).is_some_and(|group| group.full_control);
    Arc::new(UserGroupSpec { full_control, ..spec.as_ref().clone() })
}

/// Returns a listed domain's spec with what is in force in place of what can't be read.
#[must_use]
pub fn listing_in_force(
    spec: &Arc<OrgEmailDomainSpec>,
    meta: &Meta,
    listed: Option<&Listing>,
) -> Arc<OrgEmailDomainSpec> {
    let Some(listed) = listed.filter(|_| !meta.unreadable.fields().is_empty()) else {
        return spec.clone();
    };
    let mut spec = spec.as_ref().clone();
    if meta.unreadable.has(Field::Domain) {
        spec.domain = listed.domain.to_string();
    }
    if meta.unreadable.has(Field::IncludeSubdomains) {
        spec.include_subdomains = listed.include_subdomains;
    }
    Arc::new(spec)
}

/// Returns what a value that isn't understood means for the object.
#[must_use]
pub fn consequence(field: Field) -> &'static str {
    match field {
        Field::Grants | Field::GroupPermissions => "it gives no permission",
        Field::From => "nothing comes through it",
        Field::Permissions => "nothing is granted, and nothing comes from another User",
        Field::SelfService => "members may change nothing by it",
        Field::FullControl => "it gives no full control",
        Field::DeletionProtection | Field::DeletionPolicy => {
            "the User isn't deleted, and its account stays"
        }
        Field::Spec => "nothing of it is applied, and it gives nothing",
        Field::Username
        | Field::Email
        | Field::Profile
        | Field::ProfilePart(_)
        | Field::Role
        | Field::Teams
        | Field::GroupRef
        | Field::CopyOf
        | Field::Adopt
        | Field::State
        | Field::PasswordSecretRef
        | Field::ChargeApproved
        | Field::Description
        | Field::Domain
        | Field::IncludeSubdomains => "the value in force stays",
    }
}
