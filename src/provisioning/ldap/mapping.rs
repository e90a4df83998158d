//! What an `inetOrgPerson` (RFC 2798) has of a person.
//!
//! Time zone and permissions have no attribute there and aren't carried.

use std::borrow::Cow;

use ldap3::dn_escape;
use unicode_normalization::UnicodeNormalization;

use super::super::{DirectoryUser, Entry};
use super::connection::LdapEntry;
use crate::domain::profile::{PostalAddress, Profile};

pub(super) const UID: &str = "uid";
pub(super) const EMPLOYEE_NUMBER: &str = "employeeNumber";
pub(super) const PASSWORD: &str = "userPassword";

/// What OpenLDAP changes with each change of an entry.
pub(super) const STATE: &str = "entryCSN";

/// The unique id of an entry (RFC 4530).
pub(super) const UUID: &str = "entryUUID";

/// The groups that an entry is in, where the server keeps or works out that.
pub(super) const MEMBER_OF: &str = "memberOf";

pub(super) const READ: &[&str] = &[
    UID,
    EMPLOYEE_NUMBER,
    "cn",
    "sn",
    "displayName",
    "o",
    "mail",
    "telephoneNumber",
    "street",
    "l",
    "st",
    "postalCode",
    "postalAddress",
    "employeeType",
    PASSWORD,
    STATE,
    UUID,
    MEMBER_OF,
];

type Attribute = (&'static str, Option<String>);

/// Returns the name that a person's entry has under `ou=people`.
pub(super) fn name_within_people(person: &DirectoryUser) -> String {
    format!("{UID}={}", dn_escape(person.login_name.as_str()))
}

/// Whether an entry has the name that [`name_within_people`] gives. One value of an attribute that
/// names it is the name.
pub(super) fn is_named_after(found: &LdapEntry, person: &DirectoryUser) -> bool {
    let dn = found.dn.to_lowercase();
    let has_name = found.has(UID, &person.login_name) && dn.starts_with(&format!("{UID}="));
    has_name
        && (found.values(UID).len() == 1
            || dn.starts_with(&format!("{},", name_within_people(person).to_lowercase())))
}

pub(super) fn new_entry(entry: &Entry, person: &DirectoryUser) -> Vec<(&'static str, Vec<String>)> {
    let classes = ["top", "person", "organizationalPerson", "inetOrgPerson"].map(str::to_owned);
    let mut new =
        vec![("objectClass", classes.into()), (EMPLOYEE_NUMBER, vec![entry.account.to_string()])];
    new.extend(
        attributes(entry, person)
            .into_iter()
            .filter_map(|(name, value)| Some((name, vec![value?]))),
    );
    new
}

/// Returns what roster sees to as long as the entry is there.
pub(super) fn attributes(entry: &Entry, person: &DirectoryUser) -> Vec<Attribute> {
    // The text of a new password has no place here: the directory gets the hash.
    let DirectoryUser {
        login_name,
        email,
        active,
        profile,
        role,
        group: _,
        permissions: _,
        password,
    } = person;
    let Profile { display_name, phone, address, time_zone: _, notifications: _ } = profile;
    let password = password.as_ref().filter(|_| *active);
    let address = address.as_ref();
    let part =
        |of: fn(&PostalAddress) -> &Option<String>| address.and_then(|address| of(address).clone());
    let surname = display_name.split_whitespace().next_back().unwrap_or(display_name);
    vec![
        (UID, Some(login_name.clone())),
        ("cn", Some(display_name.clone())),
        ("sn", Some(surname.to_owned())),
        ("displayName", Some(display_name.clone())),
        ("o", Some(entry.organization.clone())),
        ("mail", Some(email.clone())),
        ("telephoneNumber", phone.as_deref().and_then(telephone_number)),
        ("street", address.map(|address| address.street.join(", "))),
        ("l", part(|address| &address.locality)),
        ("st", part(|address| &address.region)),
        ("postalCode", part(|address| &address.postal_code)),
        ("postalAddress", address.map(postal_address)),
        ("employeeType", role.clone()),
        (PASSWORD, password.map(|password| format!("{{ARGON2}}{}", password.hash.as_str()))),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.filter(|value| !value.is_empty())))
    .collect()
}

/// Returns a telephone number with what its syntax (a `PrintableString`, RFC 4517, section 3.3.31)
/// takes. Other signs become a space; one with other letters or digits would be another number, and
/// is none.
fn telephone_number(phone: &str) -> Option<String> {
    let fits =
        |character: char| character.is_ascii_alphanumeric() || "'()+,-./:?= ".contains(character);
    let mut number = String::new();
    for character in phone.nfkc() {
        match character {
            _ if fits(character) => number.push(character),
            _ if character.is_alphanumeric() => return None,
            _ => number.push(' '),
        }
    }
    let number = number.split_whitespace().collect::<Vec<_>>().join(" ");
    number.contains(|character: char| character.is_ascii_digit()).then_some(number)
}

/// Returns the lines of an address in the syntax of RFC 4517, section 3.3.28.
fn postal_address(address: &PostalAddress) -> String {
    let PostalAddress { street, locality, region, postal_code, country } = address;
    let place: Vec<&str> =
        [locality, region, postal_code].into_iter().filter_map(|part| part.as_deref()).collect();
    let place = Some(place.join(" ")).filter(|place| !place.is_empty());
    let lines = street
        .iter()
        .map(Cow::Borrowed)
        .chain(place.map(Cow::Owned))
        .chain(country.iter().map(Cow::Borrowed));
    lines.map(|line| line.replace('\\', "\\5C").replace('$', "\\24")).collect::<Vec<_>>().join("$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{AccountId, Revision};

    #[track_caller]
    fn check_number(phone: &str, expected: Option<&str>) {
        assert_eq!(telephone_number(phone).as_deref(), expected, "{phone}");
    }

    #[test]
    fn every_attribute_that_is_written_is_read() {
        let account = AccountId(uuid::Uuid::nil());
        let person = DirectoryUser {
            login_name: "alice.acme".to_owned(),
            email: "alice@acme.example".to_owned(),
            active: true,
            profile: Profile::whole(),
            role: None,
            group: "users".to_owned(),
            permissions: vec![],
            password: None,
        };
        for (name, _) in attributes(&Entry::gone(account, Revision(1), "acme"), &person) {
            assert!(READ.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_telephone_number_has_what_its_syntax_takes() {
        check_number("+1 602 555 0100", Some("+1 602 555 0100"));
        check_number("+1 (602) 555\u{2011}0100 #12", Some("+1 (602) 555 0100 12"));
        check_number("\u{ff0b}\u{ff11} 602", Some("+1 602"));
        check_number("\u{661}\u{662}\u{663}", None);
        check_number("anrufen: B\u{fc}ro 12", None);
        check_number("ask at the desk", None);
    }

    #[test]
    fn an_address_is_its_lines_with_their_signs_escaped() {
        let address = PostalAddress {
            street: vec!["1 $mart St".to_owned(), "Box \\2".to_owned()],
            locality: Some("Phoenix".to_owned()),
            region: None,
            postal_code: Some("85001".to_owned()),
            country: Some("US".to_owned()),
        };
        assert_eq!(postal_address(&address), "1 \\24mart St$Box \\5C2$Phoenix 85001$US");
        assert_eq!(postal_address(&PostalAddress::default()), "");
    }
}
