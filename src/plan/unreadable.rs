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
use super::{Listing, Meta};
use crate::api::lenient::{Field, Unreadable, UnreadableField};
use crate::api::user::{Address, DesiredState, GroupRef, ProfileSpec, UserSpec};
use crate::api::{OrgEmailDomainSpec, UserGroupSpec};
use crate::domain::account::{Account, LoginState};
use crate::domain::group::GroupContent;
use crate::domain::permission::Permission;
use crate::domain::profile::{PostalAddress, Profile};
use crate::domain::self_service::Override;
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
    let mut wrong = vec![];
    let mut text =
        |field: Field, path: String, text: &str, in_force: &dyn Fn(&Profile, &Account) -> bool| {
            let Err(why) = text::readable(text) else { return };
            let is_in_force =
                account.is_some_and(|account| in_force(&declared_profile(account), account));
            wrong.extend(
                (!is_in_force).then(|| UnreadableField::wrong(field, path, text, why.to_string())),
            );
        };
    let UserSpec { profile, role, teams, .. } = spec;
    let (no_profile, no_address) = (ProfileSpec::default(), Address::default());
    let ProfileSpec { display_name, phone, address, time_zone, notifications } =
        profile.as_ref().unwrap_or(&no_profile);
    if let Some(it) = display_name {
        text(Field::DisplayName, "spec.profile.displayName".to_owned(), it, &|profile, _| {
            profile.display_name == *it
        });
    }
    if let Some(it) = phone {
        text(Field::Phone, "spec.profile.phone".to_owned(), it, &|profile, _| {
            profile.phone.as_ref() == Some(it)
        });
    }
    let Address { street, locality, region, postal_code, country: _ } =
        address.as_ref().unwrap_or(&no_address);
    for (number, it) in street.iter().enumerate() {
        let path = format!("spec.profile.address.street[{number}]");
        text(Field::Address, path, it, &|profile, _| {
            profile.address.as_ref().is_some_and(|had| had.street.contains(it))
        });
    }
    type Part = fn(&PostalAddress) -> &Option<String>;
    let parts: [(&str, &Option<String>, Part); 3] = [
        ("locality", locality, |had| &had.locality),
        ("region", region, |had| &had.region),
        ("postalCode", postal_code, |had| &had.postal_code),
    ];
    for (name, it, part) in
        parts.iter().filter_map(|(name, it, part)| Some((name, it.as_ref()?, part)))
    {
        let has_it = |profile: &Profile, _: &Account| {
            profile.address.as_ref().is_some_and(|had| part(had).as_ref() == Some(it))
        };
        text(Field::Address, format!("spec.profile.address.{name}"), it, &has_it);
    }
    for (number, it) in notifications.iter().enumerate() {
        let path = format!("spec.profile.notifications[{number}]");
        text(Field::Notifications, path, it, &|profile, _| profile.notifications.contains(it));
    }
    if let Some(it) = role {
        text(Field::Role, "spec.role".to_owned(), it, &|_, account| {
            account.content.role.as_ref() == Some(it)
        });
    }
    for (number, it) in teams.iter().enumerate() {
        text(Field::Teams, format!("spec.teams[{number}]"), it, &|_, account| {
            account.content.teams.contains(it)
        });
    }
    let is_in_force = |zone: &String| {
        account.is_some_and(|account| declared_profile(account).time_zone.as_ref() == Some(zone))
    };
    if let Some(zone) = time_zone.as_ref().filter(|zone| !is_in_force(zone))
        && let Err(why) = time_zone::known(zone)
    {
        let problem = format!("({}) {why}", Value::from(zone.as_str()));
        wrong.push(UnreadableField::wrong(
            Field::TimeZone,
            "spec.profile.timeZone".to_owned(),
            zone,
            problem,
        ));
    }
    wrong
}

/// Returns what was last declared of a profile: what is in force, but for what the member changed.
fn declared_profile(account: &Account) -> Profile {
    let mut profile = ProfileSpec::default();
    profile_in_force(
        &mut profile,
        &vec![UnreadableField::new(Field::Profile, String::new(), &Value::Null)].into(),
        account,
    );
    super::user::profile(profile, None)
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
    let mut profile = spec.profile.take().unwrap_or_default();
    profile_in_force(&mut profile, unreadable, account);
    spec.profile = Some(profile);
    Arc::new(spec)
}

/// Puts what is in force in place of what of a profile can't be read: below a member's own value,
/// what was declared.
fn profile_in_force(profile: &mut ProfileSpec, unreadable: &Unreadable, account: &Account) {
    fn declared<T: Clone>(own: Option<&Override<T>>, in_force: &T) -> T {
        own.map_or_else(|| in_force.clone(), |own| own.base.clone())
    }
    let Profile { display_name, phone, address, time_zone, notifications } =
        &account.content.profile;
    let member = &account.content.member;
    if unreadable.has(Field::DisplayName) {
        profile.display_name = Some(declared(member.display_name.as_ref(), display_name));
    }
    if unreadable.has(Field::Phone) {
        profile.phone = declared(member.phone.as_ref(), phone);
    }
    if unreadable.has(Field::Address) {
        profile.address = declared(member.address.as_ref(), address).map(|address| {
            let PostalAddress { street, locality, region, postal_code, country } = address;
            Address { street, locality, region, postal_code, country }
        });
    }
    if unreadable.has(Field::TimeZone) {
        profile.time_zone = declared(member.time_zone.as_ref(), time_zone);
    }
    if unreadable.has(Field::Notifications) {
        profile.notifications =
            declared(member.notifications.as_ref(), notifications).into_iter().collect();
    }
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
        | Field::DisplayName
        | Field::Phone
        | Field::Address
        | Field::TimeZone
        | Field::Notifications
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
