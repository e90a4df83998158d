//! The people whom the tests bring to directories.

use std::sync::Arc;

use roster::domain::account::{AccountId, Revision};
use roster::domain::password::{PasswordCandidate, PasswordHash};
use roster::domain::profile::{PostalAddress, Profile};
use roster::provisioning::{DirectoryUser, Entry, LoginPassword};
use uuid::Uuid;

/// Returns what a directory is to have of somebody in an organization, as a new account.
pub(crate) fn entry(organization: &str, person: DirectoryUser) -> Entry {
    let account = AccountId(Uuid::new_v4());
    Entry {
        account,
        revision: Revision(1),
        organization: organization.to_owned(),
        adopts: false,
        compares: false,
        handle: None,
        was_confirmed: false,
        former_login_name: None,
        person: Some(person),
    }
}

/// Returns what tells a directory that an account is gone.
pub(crate) fn gone(entry: &Entry) -> Entry {
    Entry::gone(entry.account, Revision(9), &entry.organization)
}

/// Returns somebody who has everything that one can have.
pub(crate) fn person(organization: &str, name: &str) -> DirectoryUser {
    DirectoryUser {
        login_name: format!("{name}.{organization}"),
        email: format!("{name}@{organization}.example"),
        active: true,
        profile: Profile {
            display_name: format!("{name} of {organization}"),
            phone: Some("+49 30 1234567".to_owned()),
            address: Some(PostalAddress {
                street: vec!["1 Way".to_owned(), "Second floor".to_owned()],
                locality: Some("Berlin".to_owned()),
                region: None,
                postal_code: Some("10115".to_owned()),
                country: Some("DE".to_owned()),
            }),
            time_zone: Some("Europe/Berlin".to_owned()),
            notifications: [].into(),
        },
        role: Some("auditor".to_owned()),
        group: "people".to_owned(),
        permissions: vec!["cases:read".to_owned(), "cases:write".to_owned()],
        password: None,
    }
}

pub(crate) trait PersonExt {
    fn with_new_password(self, text: Option<&str>) -> Self;
    fn with_password_known(self) -> Self;
}

impl PersonExt for DirectoryUser {
    fn with_new_password(mut self, text: Option<&str>) -> Self {
        let text = text.map(|text| Arc::new(PasswordCandidate::new(text.as_bytes()).unwrap()));
        self.password = Some(LoginPassword {
            text,
            ..LoginPassword::new(PasswordHash::from_stored("hash".to_owned()))
        });
        self
    }

    fn with_password_known(mut self) -> Self {
        self.password = Some(LoginPassword {
            is_new: false,
            ..LoginPassword::new(PasswordHash::from_stored("hash".to_owned()))
        });
        self
    }
}
