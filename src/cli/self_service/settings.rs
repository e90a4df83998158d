//! `FIELD=VALUE`, held to what a `User` may say of the same field.

use std::collections::BTreeSet;

use crate::domain::email::Email;
use crate::domain::profile::PostalAddress;
use crate::domain::self_service::ProfileChange;
use crate::domain::{text, time_zone};

/// What the member reads of `--set`.
pub(super) const HELP: &str = "Changes a detail, and clears it where the value is empty. FIELD is `name`, `phone`, `email`, \
    `timeZone`, `notifications` (separated by commas), `address` (as JSON with the parts `street`, a list of lines, \
    `locality`, `region`, `postalCode` and `country`), or a part of it such as `address.locality`; `address.street` \
    once for each line";

/// A detail as a member sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// The whole of it.
    Whole(ProfileChange),
    /// A part of the address, over the others.
    Part(Part),
}

/// A part of an address; an empty one clears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A line of the street address.
    Street(Option<String>),
    Locality(Option<String>),
    Region(Option<String>),
    PostalCode(Option<String>),
    Country(Option<String>),
}

/// Parses a setting.
pub(super) fn setting(text: &str) -> Result<Setting, String> {
    let (field, value) =
        text.split_once('=').ok_or("write FIELD=VALUE, such as phone=+1 602 555 0100")?;
    let change = match field {
        "name" => ProfileChange::Name(name(value)?),
        "phone" => ProfileChange::Phone(optional(value, 64)?),
        "email" => {
            ProfileChange::Email(Email::parse(value.trim()).map_err(|error| error.to_string())?)
        }
        "timeZone" => ProfileChange::TimeZone(time_zone(value)?),
        "notifications" => ProfileChange::Notifications(notifications(value)?),
        "address" => ProfileChange::Address(address(value)?),
        _ => {
            let fields = "name, phone, email, timeZone, notifications, address, or a part of it such as address.locality";
            let part = field
                .strip_prefix("address.")
                .ok_or_else(|| format!("there is no field {field:?}: name one of {fields}"))?;
            return Ok(Setting::Part(address_part(part, value)?));
        }
    };
    Ok(Setting::Whole(change))
}

/// Returns the changes that settings are, the parts of an address over the one in force; the first
/// line of a street address replaces all that are there.
pub(super) fn changes(
    settings: &[Setting],
    in_force: Option<&PostalAddress>,
) -> Result<Vec<ProfileChange>, String> {
    let (mut changes, mut address, mut asked, mut lines) =
        (vec![], in_force.cloned().unwrap_or_default(), false, 0);
    for setting in settings {
        asked |= matches!(setting, Setting::Part(_) | Setting::Whole(ProfileChange::Address(_)));
        match setting {
            Setting::Whole(ProfileChange::Address(whole)) => {
                (address, lines) = (whole.clone().unwrap_or_default(), 0)
            }
            Setting::Whole(change) => changes.push(change.clone()),
            Setting::Part(part) => {
                lines += usize::from(matches!(part, Part::Street(_)));
                if lines == 1 && matches!(part, Part::Street(_)) {
                    address.street.clear();
                }
                put(&mut address, part);
            }
        }
    }
    check_lines(&address)?;
    if asked {
        changes.push(ProfileChange::Address(
            Some(address).filter(|address| *address != PostalAddress::default()),
        ));
    }
    Ok(changes)
}

fn put(address: &mut PostalAddress, part: &Part) {
    match part {
        Part::Street(line) => address.street.extend(line.clone()),
        Part::Locality(value) => address.locality.clone_from(value),
        Part::Region(value) => address.region.clone_from(value),
        Part::PostalCode(value) => address.postal_code.clone_from(value),
        Part::Country(value) => address.country.clone_from(value),
    }
}

/// The most lines of a street address.
const MAX_LINES: usize = 4;

/// Parses an address, the JSON that a `User` has as YAML; an empty text is none.
fn address(value: &str) -> Result<Option<PostalAddress>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let form = r#"an address is JSON such as {"street":["1 Main Street"],"locality":"Phoenix","country":"US"}"#;
    let parts: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(value).map_err(|_| form)?;
    let mut address = PostalAddress::default();
    for (name, value) in &parts {
        let values = match value {
            serde_json::Value::Array(lines) if name == "street" => lines.as_slice(),
            one if name != "street" => std::slice::from_ref(one),
            _ => return Err(form.to_owned()),
        };
        for value in values {
            put(&mut address, &address_part(name, value.as_str().ok_or(form)?)?);
        }
    }
    check_lines(&address)?;
    Ok(Some(address).filter(|address| *address != PostalAddress::default()))
}

fn check_lines(address: &PostalAddress) -> Result<(), String> {
    if address.street.len() > MAX_LINES {
        Err(format!("a street address has at most {MAX_LINES} lines"))
    } else {
        Ok(())
    }
}

fn address_part(name: &str, value: &str) -> Result<Part, String> {
    match name {
        "street" => Ok(Part::Street(optional(value, 128)?)),
        "locality" => Ok(Part::Locality(optional(value, 128)?)),
        "region" => Ok(Part::Region(optional(value, 128)?)),
        "postalCode" => Ok(Part::PostalCode(optional(value, 32)?)),
        "country"
            if value.is_empty()
                || (value.len() == 2
                    && value.bytes().all(|letter| letter.is_ascii_uppercase())) =>
        {
            Ok(Part::Country(optional(value, 2)?))
        }
        "country" => {
            Err("a country is two capital letters (ISO 3166-1 alpha-2), such as US".to_owned())
        }
        _ => Err(format!(
            "an address has no {name:?}: its parts are street, locality, region, postalCode and country"
        )),
    }
}

fn name(value: &str) -> Result<String, String> {
    optional(value, 128)?.ok_or_else(|| "a name can't be empty".to_owned())
}

fn notifications(value: &str) -> Result<BTreeSet<String>, String> {
    let named = value.split(',').map(str::trim).filter(|_| !value.trim().is_empty());
    let all: BTreeSet<String> = named
        .map(|one| optional(one, 128)?.ok_or_else(|| "a notification has a name".to_owned()))
        .collect::<Result<_, _>>()?;
    if all.len() > 64 { Err("there are at most 64 notifications".to_owned()) } else { Ok(all) }
}

/// Parses the name of a time zone.
fn time_zone(value: &str) -> Result<Option<String>, String> {
    let zone = optional(value, 64)?;
    if let Some(zone) = &zone {
        time_zone::known(zone).map_err(|why| format!("{zone} {why}"))?;
    }
    Ok(zone)
}

/// Returns a text of at most so many characters, none of them a control character and one at least
/// that is seen; nothing for an empty one.
fn optional(value: &str, most: usize) -> Result<Option<String>, String> {
    if value.chars().any(char::is_control) {
        return Err("it has a line break or another control character".to_owned());
    }
    if value.chars().count() > most {
        return Err(format!("it has more than {most} characters"));
    }
    text::readable(value).map_err(|why| format!("it {why}"))?;
    Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile::Profile;

    fn street(lines: &[&str]) -> PostalAddress {
        PostalAddress {
            street: lines.iter().map(|&line| line.to_owned()).collect(),
            ..PostalAddress::default()
        }
    }

    #[track_caller]
    fn check(settings: &[&str], in_force: &PostalAddress, expected: Option<PostalAddress>) {
        let settings: Vec<Setting> = settings.iter().map(|text| setting(text).unwrap()).collect();
        assert_eq!(changes(&settings, Some(in_force)), Ok(vec![ProfileChange::Address(expected)]));
    }

    #[test]
    fn an_address_is_set_as_a_whole_or_in_parts() {
        let home = PostalAddress {
            locality: Some("Phoenix".to_owned()),
            ..street(&["1 Main Street", "Flat 2"])
        };
        let tempe = Some("Tempe".to_owned());
        check(
            &["address.locality=Tempe"],
            &home,
            Some(PostalAddress { locality: tempe.clone(), ..home.clone() }),
        );
        check(&["address.locality="], &home, Some(street(&["1 Main Street", "Flat 2"])));
        check(
            &["address.street=2 Oak", "address.street=Rear"],
            &home,
            Some(PostalAddress { street: street(&["2 Oak", "Rear"]).street, ..home.clone() }),
        );
        check(&["address.street=", "address.locality="], &home, None);
        check(&["address="], &home, None);
        check(&["address={}"], &home, None);
        check(&[r#"address={"street":["2 Oak"]}"#], &home, Some(street(&["2 Oak"])));
        check(
            &["address=", "address.locality=Tempe"],
            &home,
            Some(PostalAddress { locality: tempe, ..PostalAddress::default() }),
        );
    }

    #[test]
    fn an_empty_value_clears_and_lists_are_separated_by_commas() {
        let set = |text: &str| setting(text).unwrap();
        assert_eq!(set("phone="), Setting::Whole(ProfileChange::Phone(None)));
        assert_eq!(set("timeZone="), Setting::Whole(ProfileChange::TimeZone(None)));
        assert_eq!(
            set("notifications="),
            Setting::Whole(ProfileChange::Notifications(BTreeSet::new()))
        );
        let both = ["CaseAssigned", "CaseClosed"].map(str::to_owned).into();
        assert_eq!(
            set("notifications=CaseClosed, CaseAssigned"),
            Setting::Whole(ProfileChange::Notifications(both))
        );
        assert_eq!(set("name=a=b"), Setting::Whole(ProfileChange::Name("a=b".to_owned())));
        assert_eq!(
            set("timeZone=America/Argentina/Ushuaia"),
            Setting::Whole(ProfileChange::TimeZone(Some("America/Argentina/Ushuaia".to_owned())))
        );
    }

    #[test]
    fn every_field_of_a_profile_can_be_set_and_is_in_the_help() {
        for name in Profile::NAMES.iter().map(|name| name.replace("displayName", "name")) {
            let unknown = setting(&format!("{name}=\n")).is_err_and(|why| why.contains("no field"));
            assert!(!unknown && HELP.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_value_is_told() {
        for (text, said) in [
            ("name=\u{200b} ", "it has only characters that nobody sees: U+200B, U+0020"),
            (
                "timeZone=Mars/Phobos",
                "Mars/Phobos isn't a name of the IANA time zone database: write one such as America/Phoenix",
            ),
            (
                "timeZone=Europe/Berln",
                "Europe/Berln isn't a name of the IANA time zone database (Europe/Berlin?)",
            ),
            (
                "email=al@acme.example.",
                "the dot at the end isn't part of an address: write al@acme.example",
            ),
        ] {
            assert_eq!(setting(text), Err(said.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_street_address_has_four_lines() {
        let settings = |lines: usize| vec![setting("address.street=x").unwrap(); lines];
        assert!(changes(&settings(4), Some(&street(&["1", "2", "3", "4"]))).is_ok());
        assert!(changes(&settings(5), None).is_err());
    }

    #[test]
    fn what_a_user_could_not_say_is_refused() {
        let long = |field: &str, length: usize| format!("{field}={}", "ä".repeat(length));
        for (field, most) in [
            ("name", 128),
            ("phone", 64),
            ("notifications", 128),
            ("address.street", 128),
            ("address.postalCode", 32),
        ] {
            assert!(setting(&long(field, most)).is_ok(), "{field}");
            assert!(setting(&long(field, most + 1)).is_err(), "{field}");
        }
        let many: Vec<String> = (0..65).map(|number| format!("n{number}")).collect();
        for bad in [
            "phone",
            "name=",
            "name= \u{a0}",
            "name=\u{200b}",
            "phone= ",
            "phone=\u{2800}",
            "notifications=\u{3164}",
            "address.street=\u{2060}\u{feff}",
            "address.locality= ",
            "address.region=\u{ad}",
            "address.postalCode=\u{180e}",
            r#"address={"street":["1 Main Street"," "]}"#,
            "timeZone=America/Pheonix",
            "timeZone=america/phoenix",
            "timeZone=UTC+2",
            "name=a\nb",
            "phone=\u{7f}",
            "email=alice",
            "email=",
            "timeZone=Mars Time",
            "timeZone=/x",
            "timeZone=a/b/c/d",
            "timeZone=1a",
            "notifications=a,,b",
            "address.country=us",
            "address.country=USA",
            "address.planet=Mars",
            "address=x",
            r#"address={"planet":"Mars"}"#,
            r#"address={"street":"1 Main Street"}"#,
            r#"address={"locality":1}"#,
            r#"address={"street":["1","2","3","4","5"]}"#,
            "password=x",
            "Name=Alice",
            "=x",
            &format!("notifications={}", many.join(",")),
        ] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }
}
