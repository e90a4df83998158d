//! What members change of themselves: a member's value holds until the `User` declares another one
//! for its field.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::email::Email;
use super::profile::{PostalAddress, Profile, SelfServiceField, profile_fields};

/// A member's own value, and the declared one that it holds over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override<T> {
    /// The member's value.
    pub value: T,
    /// What the `User` declared when the member changed it.
    #[serde(rename = "over")]
    pub base: T,
}

impl<T: Clone + PartialEq> Override<T> {
    /// Sets a member's value over the one in force: one that equals the declared value is no longer
    /// the member's own.
    fn set(slot: &mut Option<Self>, value: &T, in_force: &T) {
        let base = slot.take().map_or_else(|| in_force.clone(), |own| own.base);
        *slot = (*value != base).then(|| Self { value: value.clone(), base });
    }
}

macro_rules! define_overrides {
    ($(
        #[doc = $doc:literal] $(#[$meta:meta])*
        $field:ident: $type:ty, $name:literal, $detail:ident;
    )+) => {
        /// The values that a member changed themselves, by the fields of the profile.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct Overrides {
            $(
                #[doc = $doc]
                #[serde(rename = $name, skip_serializing_if = "Option::is_none")]
                pub $field: Option<Override<$type>>,
            )+
            /// The email address, in the form the login uses.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub email: Option<Override<String>>,
            /// The email address that the `User` declares, where it was refused and another one is
            /// in force.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub refused_email: Option<String>,
        }

        /// A change that a member asks for.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ProfileChange {
            $(#[doc = $doc] $detail($type),)+
            /// The email address.
            Email(Email),
        }

        impl ProfileChange {
            /// Returns the field that it changes.
            #[must_use]
            pub fn field(&self) -> SelfServiceField {
                match self {
                    $(Self::$detail(_) => SelfServiceField::$detail,)+
                    Self::Email(_) => SelfServiceField::Email,
                }
            }
        }

        impl Overrides {
            /// Returns the values that still hold now that the `User` declares this profile and
            /// address: those whose field it declares as before.
            #[must_use]
            pub fn still_holding(&self, declared: &Profile, email: &str) -> Self {
                Self {
                    $($field: self.$field.clone().filter(|own| own.base == declared.$field),)+
                    email: self.email.clone().filter(|own| own.base == email),
                    refused_email: None,
                }
            }

            /// Returns the profile that is in force: the member's values where there are some, else
            /// the declared ones.
            #[must_use]
            pub fn over(&self, declared: Profile) -> Profile {
                Profile {
                    $($field: match &self.$field {
                        Some(own) => own.value.clone(),
                        None => declared.$field,
                    },)+
                }
            }

            /// Returns the profile that was declared last, below the member's values in the one in
            /// force.
            #[must_use]
            pub fn declared(&self, in_force: &Profile) -> Profile {
                Profile {
                    $($field: self.$field.as_ref().map_or(&in_force.$field, |own| &own.base).clone(),)+
                }
            }

            /// Takes in a change of the member, over what is in force now. What the member had
            /// changed before keeps standing over the declared value.
            pub fn take(&mut self, change: &ProfileChange, in_force: &Profile, email: &str) {
                match change {
                    $(ProfileChange::$detail(value) => {
                        Override::set(&mut self.$field, value, &in_force.$field);
                    })+
                    ProfileChange::Email(value) => {
                        let declared =
                            self.refused_email.take().unwrap_or_else(|| email.to_owned());
                        Override::set(&mut self.email, &value.to_string(), &declared);
                    }
                }
            }
        }

        impl Profile {
            /// Takes in a change of the member; one of the email address changes nothing here.
            pub(super) fn apply(&mut self, change: &ProfileChange) {
                match change {
                    $(ProfileChange::$detail(value) => self.$field.clone_from(value),)+
                    ProfileChange::Email(_) => {}
                }
            }
        }
    };
}
profile_fields!(define_overrides);

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
