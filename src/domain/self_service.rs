//! What members change of themselves: a value of theirs holds until its field changes in the
//! `User`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::account::{PostalAddress, Profile};
use super::group::SelfServiceField;

/// A member's own value, and the declared one that it holds over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override<T> {
    /// The member's value.
    pub value: T,
    /// What the `User` declared when the member changed it.
    pub base: T,
}

/// The values that a member changed themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Overrides {
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Override<String>>,
    /// A telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Override<Option<String>>>,
    /// A postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Override<Option<PostalAddress>>>,
    /// The time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Override<Option<String>>>,
    /// What the person is notified of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Override<BTreeSet<String>>>,
    /// The email address, in the form the login uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Override<String>>,
    /// The email address that the `User` declares, where it was refused and another one is in
    /// force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_email: Option<String>,
}

/// A change that a member asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileChange {
    /// Another name to show.
    Name(String),
    /// Another telephone number, or none.
    Phone(Option<String>),
    /// Another postal address, or none.
    Address(Option<PostalAddress>),
    /// Another time zone, or none.
    TimeZone(Option<String>),
    /// Other things to be notified of.
    Notifications(BTreeSet<String>),
    /// Another email address.
    Email(super::email::Email),
}

impl ProfileChange {
    /// Returns the detail that it changes.
    #[must_use]
    pub fn detail(&self) -> SelfServiceField {
        match self {
            Self::Name(_) => SelfServiceField::Name,
            Self::Phone(_) => SelfServiceField::Phone,
            Self::Address(_) => SelfServiceField::Address,
            Self::TimeZone(_) => SelfServiceField::TimeZone,
            Self::Notifications(_) => SelfServiceField::Notifications,
            Self::Email(_) => SelfServiceField::Email,
        }
    }
}

impl Overrides {
    /// Returns the values that still hold now that the `User` declares this profile and address:
    /// those whose field it declares as before.
    #[must_use]
    pub fn still_holding(&self, declared: &Profile, email: &str) -> Self {
        fn held<T: Clone + PartialEq>(
            own: Option<&Override<T>>,
            declared: &T,
        ) -> Option<Override<T>> {
            own.filter(|own| own.base == *declared).cloned()
        }
        let Profile { display_name, phone, address, time_zone, notifications } = declared;
        Self {
            display_name: held(self.display_name.as_ref(), display_name),
            phone: held(self.phone.as_ref(), phone),
            address: held(self.address.as_ref(), address),
            time_zone: held(self.time_zone.as_ref(), time_zone),
            notifications: held(self.notifications.as_ref(), notifications),
            email: self.email.clone().filter(|own| own.base == email),
            refused_email: None,
        }
    }

    /// Returns the profile that is in force: the member's values where there are some, else the
    /// declared ones.
    #[must_use]
    pub fn over(&self, declared: Profile) -> Profile {
        fn value<T: Clone>(own: Option<&Override<T>>, declared: T) -> T {
            own.map_or(declared, |own| own.value.clone())
        }
        let Profile { display_name, phone, address, time_zone, notifications } = declared;
        Profile {
            display_name: value(self.display_name.as_ref(), display_name),
            phone: value(self.phone.as_ref(), phone),
            address: value(self.address.as_ref(), address),
            time_zone: value(self.time_zone.as_ref(), time_zone),
            notifications: value(self.notifications.as_ref(), notifications),
        }
    }

    /// Takes in a change of the member, over what is in force now.
    ///
    /// What the member had changed before keeps standing over the declared value; a value that
    /// equals the declared one is no longer the member's own.
    pub fn take(&mut self, change: &ProfileChange, in_force: &Profile, email: &str) {
        fn put<T: Clone + PartialEq>(slot: &mut Option<Override<T>>, value: &T, in_force: &T) {
            let over = slot.take().map_or_else(|| in_force.clone(), |own| own.base);
            *slot = (*value != over).then(|| Override { value: value.clone(), base: over });
        }
        match change {
            ProfileChange::Name(value) => {
                put(&mut self.display_name, value, &in_force.display_name)
            }
            ProfileChange::Phone(value) => put(&mut self.phone, value, &in_force.phone),
            ProfileChange::Address(value) => put(&mut self.address, value, &in_force.address),
            ProfileChange::TimeZone(value) => put(&mut self.time_zone, value, &in_force.time_zone),
            ProfileChange::Notifications(value) => {
                put(&mut self.notifications, value, &in_force.notifications)
            }
            ProfileChange::Email(value) => {
                let declared = self.refused_email.take().unwrap_or_else(|| email.to_owned());
                put(&mut self.email, &value.to_string(), &declared);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(phone: &str) -> Profile {
        Profile {
            display_name: "Alice".to_owned(),
            phone: Some(phone.to_owned()),
            ..Profile::default()
        }
    }

    #[test]
    fn a_members_value_holds_until_its_field_is_declared_anew() {
        let mut member = Overrides::default();
        member.take(&ProfileChange::Phone(Some("2".to_owned())), &declared("1"), "");
        member.take(&ProfileChange::Phone(Some("3".to_owned())), &member.over(declared("1")), "");
        let renamed = Profile { display_name: "Alice Smith".to_owned(), ..declared("1") };
        let still = member.still_holding(&renamed, "");
        assert_eq!(still.over(renamed).phone.as_deref(), Some("3"));
        assert_eq!(member.still_holding(&declared("4"), "").over(declared("4")), declared("4"));
    }

    #[test]
    fn a_members_address_holds_though_another_one_is_declared_and_refused() {
        let mut member = Overrides {
            refused_email: Some("taken@acme.example".to_owned()),
            ..Overrides::default()
        };
        let own = super::super::email::Email::parse("al@acme.example").unwrap();
        member.take(&ProfileChange::Email(own), &declared("1"), "alice@acme.example");
        assert!(member.still_holding(&declared("1"), "taken@acme.example").email.is_some());
        assert!(member.still_holding(&declared("1"), "alice@acme.example").email.is_none());
    }

    #[test]
    fn a_member_who_goes_back_to_the_declared_value_owns_nothing() {
        let mut member = Overrides::default();
        member.take(&ProfileChange::Name("Al".to_owned()), &declared("1"), "");
        member.take(&ProfileChange::Name("Alice".to_owned()), &member.over(declared("1")), "");
        assert_eq!(member, Overrides::default());
    }
}
