//! What a `User` declares of a profile, and what holds in its place: what was copied, a member's own
//! values, and what is in force.

use crate::api::lenient::{Field, Unreadable};
use crate::api::user::{Address, MemberProfile, ProfileSpec};
use crate::domain::account::Account;
use crate::domain::profile::{PostalAddress, Profile, SelfServiceField};
use crate::domain::self_service::{Override, Overrides};

/// Returns what is declared: the spec's fields where they are present, else what was copied.
pub(super) fn declared(spec: ProfileSpec, copied: Profile) -> Profile {
    let ProfileSpec { display_name, phone, address, time_zone, notifications } = spec;
    Profile {
        display_name: display_name.unwrap_or(copied.display_name),
        phone: phone.or(copied.phone),
        address: address.map(postal_address).or(copied.address),
        time_zone: time_zone.or(copied.time_zone),
        notifications: if notifications.is_empty() {
            copied.notifications
        } else {
            notifications.into_iter().collect()
        },
    }
}

/// Returns the spec that declares a profile.
#[must_use]
pub fn spec(profile: Profile) -> ProfileSpec {
    let Profile { display_name, phone, address, time_zone, notifications } = profile;
    ProfileSpec {
        display_name: Some(display_name),
        phone,
        address: address.map(address_spec),
        time_zone,
        notifications: notifications.into_iter().collect(),
    }
}

/// Puts what is in force in place of what of a profile can't be read: below a member's own value,
/// what was declared.
pub(super) fn put_in_force(spec: &mut ProfileSpec, unreadable: &Unreadable, account: &Account) {
    fn put<T>(field: SelfServiceField, unreadable: &Unreadable, to: &mut T, in_force: T) {
        if unreadable.has(Field::ProfilePart(field)) {
            *to = in_force;
        }
    }
    let content = &account.content;
    let ProfileSpec { display_name, phone, address, time_zone, notifications } =
        self::spec(content.member.declared(&content.profile));
    put(SelfServiceField::Name, unreadable, &mut spec.display_name, display_name);
    put(SelfServiceField::Phone, unreadable, &mut spec.phone, phone);
    put(SelfServiceField::Address, unreadable, &mut spec.address, address);
    put(SelfServiceField::TimeZone, unreadable, &mut spec.time_zone, time_zone);
    put(SelfServiceField::Notifications, unreadable, &mut spec.notifications, notifications);
}

/// A text of a spec: its field, where it stands, and whether it is in force already.
pub(super) type Text<'a> = (Field, String, &'a str, bool);

/// Returns the texts of a profile that people write as they like, beside what was last declared.
pub(super) fn texts<'a>(spec: &'a ProfileSpec, last: Option<&Profile>) -> Vec<Text<'a>> {
    // The name of a time zone is looked up instead.
    let ProfileSpec { display_name, phone, address, time_zone: _, notifications } = spec;
    let mut texts = vec![];
    let mut add = |field, path: String, text: &'a String, in_force: &dyn Fn(&Profile) -> bool| {
        let path = format!("spec.profile.{path}");
        texts.push((Field::ProfilePart(field), path, text.as_str(), last.is_some_and(in_force)));
    };
    if let Some(it) = display_name {
        let has = |last: &Profile| last.display_name == *it;
        add(SelfServiceField::Name, "displayName".to_owned(), it, &has);
    }
    if let Some(it) = phone {
        let has = |last: &Profile| last.phone.as_ref() == Some(it);
        add(SelfServiceField::Phone, "phone".to_owned(), it, &has);
    }
    let address = address.iter().flat_map(address_texts);
    for (part, it, is_in) in address {
        let has = |last: &Profile| last.address.as_ref().is_some_and(|had| is_in(had, it));
        add(SelfServiceField::Address, format!("address.{part}"), it, &has);
    }
    for (number, it) in notifications.iter().enumerate() {
        let has = |last: &Profile| last.notifications.contains(it);
        add(SelfServiceField::Notifications, format!("notifications[{number}]"), it, &has);
    }
    texts
}

/// Whether an address has a text in the same part.
type IsIn = fn(&PostalAddress, &String) -> bool;

/// Returns the texts of an address, each with its part.
fn address_texts(address: &Address) -> Vec<(String, &String, IsIn)> {
    let Address { street, locality, region, postal_code, country: _ } = address;
    let street = street.iter().enumerate().map(|(number, line)| {
        let is_in: IsIn = |had, line| had.street.contains(line);
        (format!("street[{number}]"), line, is_in)
    });
    let parts: [(&str, &Option<String>, IsIn); 3] = [
        ("locality", locality, |had, it| had.locality.as_ref() == Some(it)),
        ("region", region, |had, it| had.region.as_ref() == Some(it)),
        ("postalCode", postal_code, |had, it| had.postal_code.as_ref() == Some(it)),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(name, text, is_in)| Some((name.to_owned(), text.as_ref()?, is_in)));
    street.chain(parts).collect()
}

/// Returns the member's own values as the status shows them, where there are any.
pub(super) fn of_member(member: &Overrides) -> Option<MemberProfile> {
    fn value<T: Clone>(own: Option<&Override<T>>) -> Option<T> {
        own.map(|own| own.value.clone())
    }
    let Overrides {
        display_name,
        phone,
        address,
        time_zone,
        notifications,
        email: _,
        refused_email: _,
    } = member;
    let profile = MemberProfile {
        display_name: value(display_name.as_ref()),
        phone: value(phone.as_ref()).flatten(),
        address: value(address.as_ref()).flatten().map(address_spec),
        time_zone: value(time_zone.as_ref()).flatten(),
        notifications: value(notifications.as_ref()).map(|all| all.into_iter().collect()),
    };
    (profile != MemberProfile::default()).then_some(profile)
}

fn address_spec(address: PostalAddress) -> Address {
    let PostalAddress { street, locality, region, postal_code, country } = address;
    Address { street, locality, region, postal_code, country }
}

fn postal_address(address: Address) -> PostalAddress {
    let Address { street, locality, region, postal_code, country } = address;
    PostalAddress { street, locality, region, postal_code, country }
}
