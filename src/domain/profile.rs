//! A profile: who a person is and how to reach them.
//!
//! [`profile_fields!`] lists its fields once; the profile, what members change of it, and the names
//! that the store, the CLI and an import know them by are made of that list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Calls a macro with the fields of a profile: each with its type, its name in JSON, and what it is
/// called in `selfService`.
macro_rules! profile_fields {
    ($make:ident) => {
        $make! {
            /// The name to show.
            display_name: String, "displayName", Name;
            /// A telephone number.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            phone: Option<String>, "phone", Phone;
            /// A postal address.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            address: Option<PostalAddress>, "address", Address;
            /// The time zone by its IANA name.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            time_zone: Option<String>, "timeZone", TimeZone;
            /// What the person is notified of.
            #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
            notifications: BTreeSet<String>, "notifications", Notifications;
        }
    };
}
pub(super) use profile_fields;

macro_rules! define_profile {
    ($(
        #[doc = $doc:literal] $(#[$meta:meta])*
        $field:ident: $type:ty, $name:literal, $detail:ident;
    )+) => {
        /// Who a person is and how to reach them.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Profile {
            $(#[doc = $doc] $(#[$meta])* #[serde(rename = $name)] pub $field: $type,)+
        }

        impl Profile {
            /// The names of the fields, as JSON has them.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Returns the fields that differ in another profile.
            #[must_use]
            pub fn differences(&self, other: &Self) -> BTreeSet<SelfServiceField> {
                let differs = [$((SelfServiceField::$detail, self.$field != other.$field)),+];
                differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
            }
        }
    };
}
profile_fields!(define_profile);

#[cfg(test)]
impl Profile {
    /// Returns a profile that lacks nothing.
    pub(crate) fn whole() -> Self {
        Self {
            display_name: "Alice".to_owned(),
            phone: Some("+1 602 555 0100".to_owned()),
            address: Some(PostalAddress {
                street: vec!["1 Main Street".to_owned()],
                ..PostalAddress::default()
            }),
            time_zone: Some("America/Phoenix".to_owned()),
            notifications: ["CaseAssigned".to_owned()].into(),
        }
    }
}

/// What of a person their group may let them change. Lists of them are printed in this order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
pub enum SelfServiceField {
    /// The name to show.
    Name,
    /// The postal address.
    Address,
    /// The telephone number.
    Phone,
    /// The email address.
    Email,
    /// The password.
    Password,
    /// The time zone.
    TimeZone,
    /// What the person is notified of.
    Notifications,
}

/// A postal address, with the parts of RFC 7643, section 4.1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostalAddress {
    /// The lines of the street address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub street: Vec<String>,
    /// The city or town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The state, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// The country by ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}
