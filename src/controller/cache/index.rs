//! Which users ask for what, so that dependents are found without a scan of all objects.

use std::collections::BTreeSet;

use super::{CachedObject, ClusterCache};
use crate::api::user::SourceMode;
use crate::api::{UserSpec, UserStatus};
use crate::domain::email::Email;
use crate::domain::inheritance;
use crate::domain::object_key::{Kind, ObjectKey};

/// Users by what they ask for: (namespace, what, user).
#[derive(Debug, Default)]
pub(super) struct UserIndex {
    pub(super) emails: BTreeSet<(String, String, String)>,
    pub(super) usernames: BTreeSet<(String, String, String)>,
    pub(super) groups: BTreeSet<(String, String, String)>,
    pub(super) domains: BTreeSet<(String, String, String)>,
    pub(super) followed: BTreeSet<(String, String, String)>,
    pub(super) secrets: BTreeSet<(String, String, String)>,
    pub(super) copied: BTreeSet<(String, String, String)>,
    /// The users that are being deleted with their accounts, under nothing.
    pub(super) leaving: BTreeSet<(String, String, String)>,
    /// The accounts whose `User` isn't there, by its name.
    pub(super) unowned: BTreeSet<(String, String, String)>,
}

#[derive(Clone, Copy)]
pub(super) enum Which {
    Emails,
    Usernames,
    Groups,
    Domains,
    Followed,
    Secrets,
    Copied,
    Leaving,
    Unowned,
}

impl UserIndex {
    pub(super) fn of(&mut self, which: Which) -> &mut BTreeSet<(String, String, String)> {
        match which {
            Which::Emails => &mut self.emails,
            Which::Usernames => &mut self.usernames,
            Which::Groups => &mut self.groups,
            Which::Domains => &mut self.domains,
            Which::Followed => &mut self.followed,
            Which::Secrets => &mut self.secrets,
            Which::Copied => &mut self.copied,
            Which::Leaving => &mut self.leaving,
            Which::Unowned => &mut self.unowned,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Exactly,
    AndBelow,
}

pub(super) fn users_under(
    index: &BTreeSet<(String, String, String)>,
    namespace: &str,
    what: &str,
    reach: Reach,
) -> Vec<ObjectKey> {
    let first = (namespace.to_owned(), what.to_owned(), String::new());
    let reached = |entry: &&(String, String, String)| {
        entry.0 == namespace
            && if reach == Reach::Exactly { entry.1 == what } else { entry.1.starts_with(what) }
    };
    index
        .range(first..)
        .take_while(reached)
        .map(|entry| ObjectKey::new(Kind::User, namespace, &entry.2))
        .collect()
}

/// Returns `example.acme.` for `acme.example`, so that subdomains stand right behind their domain.
pub(super) fn from_the_root(domain: &str) -> String {
    domain.rsplit('.').flat_map(|label| [label, "."]).collect()
}

/// The links of a user's account that others depend on, as last read from the store: also where its
/// `User` isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedLinks {
    /// The name of its group.
    pub group: String,
    /// The name of the user that it follows.
    pub follows: Option<String>,
    /// The uid of the `User` that owns it, which may be a former one of the same name.
    pub owner_uid: String,
}

impl ClusterCache {
    /// Returns the users whose password a Secret holds.
    #[must_use]
    pub fn of_secret(&self, namespace: &str, secret: &str) -> Vec<ObjectKey> {
        users_under(&self.index.secrets, namespace, secret, Reach::Exactly)
    }

    /// Returns the users that ask for an address.
    #[must_use]
    pub fn asking_for_email(&self, namespace: &str, email: &Email) -> Vec<ObjectKey> {
        users_under(&self.index.emails, namespace, email.as_str(), Reach::Exactly)
    }

    /// Returns the users that ask for a username.
    #[must_use]
    pub fn asking_for_username(&self, namespace: &str, username: &str) -> Vec<ObjectKey> {
        users_under(&self.index.usernames, namespace, username, Reach::Exactly)
    }

    /// Returns the users that are in a group or ask to be.
    #[must_use]
    pub fn of_group(&self, namespace: &str, group: &str) -> Vec<ObjectKey> {
        users_under(&self.index.groups, namespace, group, Reach::Exactly)
    }

    /// Returns the users that inherit a user's permissions or ask to.
    #[must_use]
    pub fn followers(&self, namespace: &str, user: &str) -> Vec<ObjectKey> {
        users_under(&self.index.followed, namespace, user, Reach::Exactly)
    }

    /// Returns the users that inherit the permissions of one of these users or ask to, directly or
    /// through others. Each is returned once; one of `users` only if it is the heir of another.
    #[must_use]
    pub fn heirs<'a>(
        &self,
        namespace: &str,
        users: impl IntoIterator<Item = &'a str>,
    ) -> Vec<ObjectKey> {
        let followers =
            |user: &str| self.followers(namespace, user).into_iter().map(|key| key.name);
        let heirs = inheritance::heirs(users.into_iter().map(str::to_owned), followers);
        heirs.into_iter().map(|name| ObjectKey::new(Kind::User, namespace, name)).collect()
    }

    /// Returns the users that ask for a copy of a user or of its permissions.
    #[must_use]
    pub fn copiers(&self, namespace: &str, user: &str) -> Vec<ObjectKey> {
        users_under(&self.index.copied, namespace, user, Reach::Exactly)
    }

    /// Returns the users that ask for an address in a domain or below it.
    #[must_use]
    pub fn of_domain(&self, namespace: &str, domain: &str) -> Vec<ObjectKey> {
        users_under(&self.index.domains, namespace, &from_the_root(domain), Reach::AndBelow)
    }

    pub(super) fn unindex(&mut self, key: &ObjectKey) {
        for (index, entry) in self.entries(key) {
            self.index.of(index).remove(&entry);
        }
        if key.kind == Kind::User {
            self.emails.remove(&(key.namespace.clone(), key.name.clone()));
        }
    }

    pub(super) fn reindex(&mut self, key: &ObjectKey) {
        let place = (key.namespace.clone(), key.name.clone());
        if key.kind == Kind::User
            && let Some(user) = self.users.get(&place)
        {
            let email = Email::parse(user.spec.email.as_deref().unwrap_or_default());
            self.emails.insert(place, email);
        }
        for (index, entry) in self.entries(key) {
            self.index.of(index).insert(entry);
        }
    }

    fn entries(&self, key: &ObjectKey) -> Vec<(Which, (String, String, String))> {
        let place = (key.namespace.clone(), key.name.clone());
        if key.kind != Kind::User {
            return vec![];
        }
        let in_force = self.in_force.get(&place);
        let mut entries: Vec<(Which, String)> =
            in_force.map(|account| (Which::Groups, account.group.clone())).into_iter().collect();
        entries.extend(
            in_force
                .and_then(|account| account.follows.clone())
                .map(|followed| (Which::Followed, followed)),
        );
        match self.users.get(&place) {
            Some(user) => entries.extend(self.declared_entries(key, user)),
            None => entries.extend(in_force.map(|_| (Which::Unowned, key.name.clone()))),
        }
        entries
            .into_iter()
            .map(|(index, what)| (index, (place.0.clone(), what, place.1.clone())))
            .collect()
    }

    /// Returns the index entries that follow from a `User`'s spec.
    fn declared_entries(
        &self,
        key: &ObjectKey,
        user: &CachedObject<UserSpec, UserStatus>,
    ) -> Vec<(Which, String)> {
        let username = user.spec.username.as_ref().unwrap_or(&key.name);
        let mut entries = vec![
            (Which::Usernames, username.clone()),
            (Which::Groups, user.spec.group_ref.name.clone()),
        ];
        let secret = user.spec.password_secret_ref.as_ref();
        entries.extend(secret.map(|reference| (Which::Secrets, reference.name.clone())));
        let leaves = self.takes_account(&key.namespace, &key.name);
        entries.extend(leaves.then(|| (Which::Leaving, String::new())));
        let source =
            user.spec.permissions.as_ref().and_then(|permissions| permissions.from.as_ref());
        entries.extend(source.map(|source| match source.mode {
            SourceMode::Inherit => (Which::Followed, source.name.clone()),
            SourceMode::Clone => (Which::Copied, source.name.clone()),
        }));
        entries.extend(user.spec.copy_of.iter().map(|source| (Which::Copied, source.name.clone())));
        if let Some(Ok(email)) = self.emails.get(&(key.namespace.clone(), key.name.clone())) {
            entries.push((Which::Emails, email.to_string()));
            entries.push((Which::Domains, from_the_root(email.domain())));
        }
        entries
    }
}
