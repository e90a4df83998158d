//! Which users ask for what, so that dependents are found without a look at every object.

use std::collections::BTreeSet;

use crate::domain::object_key::{Kind, ObjectKey};

/// Who asks for what: (namespace, what, user).
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

/// What of a user's account others depend on, as last seen in the store: also where its `User`
/// isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedLinks {
    /// The name of its group.
    pub group: String,
    /// The name of the user that it follows.
    pub follows: Option<String>,
    /// The uid of the `User` that owns it: one that was left behind is another's, whoever has its
    /// name now.
    pub owner_uid: String,
}
