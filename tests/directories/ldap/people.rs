//! People to bring.

use roster::domain::account::{AccountId, Revision};
use roster::domain::email::Email;
use roster::domain::organization::LoginName;
use roster::domain::password::{Password, PasswordContext as Names};
use roster::domain::profile::{PostalAddress, Profile};
use roster::provisioning::{DirectoryUser, Entry, LoginPassword};
use uuid::Uuid;

use super::hashing;

/// Returns what a directory is to have of a new account of the organization acme.
pub(super) fn person(username: &str) -> Entry {
    let person = DirectoryUser {
        login_name: format!("{username}.acme"),
        email: format!("{username}@acme.example"),
        active: true,
        profile: Profile { display_name: format!("{username} Smith"), ..Profile::default() },
        role: None,
        group: "users".to_owned(),
        permissions: vec![],
        password: None,
    };
    Entry {
        account: AccountId(Uuid::new_v4()),
        revision: Revision(1),
        organization: "acme".to_owned(),
        adopts: false,
        compares: false,
        handle: None,
        was_confirmed: false,
        former_login_name: None,
        person: Some(person),
    }
}

/// Returns somebody with everything.
pub(super) fn whole_person(username: &str, password: &str) -> Entry {
    with(&person(username), |person| {
        person.profile.phone = Some("+1 602 555 0100".to_owned());
        person.profile.address = Some(PostalAddress {
            street: vec!["1 Main St".to_owned(), "Box $5".to_owned()],
            locality: Some("Phoenix".to_owned()),
            region: Some("AZ".to_owned()),
            postal_code: Some("85001".to_owned()),
            country: Some("US".to_owned()),
        });
        person.profile.time_zone = Some("America/Phoenix".to_owned());
        person.role = Some("Dispatcher".to_owned());
        person.permissions = vec!["cases:read".to_owned()];
        set_password(person, password);
    })
}

/// Returns the entry at the account's next revision.
pub(super) fn with(entry: &Entry, change: impl FnOnce(&mut DirectoryUser)) -> Entry {
    let mut entry = entry.clone();
    entry.revision = Revision(entry.revision.0 + 1);
    change(entry.person.as_mut().unwrap());
    entry
}

/// Returns what tells that the account is gone.
pub(super) fn gone(entry: &Entry) -> Entry {
    Entry::gone(entry.account, Revision(entry.revision.0 + 1), &entry.organization)
}

/// Gives somebody a password, hashed as the product does.
pub(super) fn set_password(person: &mut DirectoryUser, password: &str) {
    let login_name = LoginName::from_stored(person.login_name.clone());
    let email = Email::parse(&person.email).unwrap();
    let password =
        Password::parse(password.as_bytes(), &Names { login_name: &login_name, email: &email })
            .unwrap();
    person.password = Some(LoginPassword::new(hashing().hash(&password).unwrap()));
}
