//! The live accounts, and what they are found by.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::account::{Account, AccountId};
use crate::domain::email::Email;
use crate::domain::inheritance::inherits_from;
use crate::domain::organization::LoginName;

/// The live accounts. None is changed in place, so that each is found by what it has now.
#[derive(Debug, Default)]
pub(in crate::store) struct AccountIndex {
    all: BTreeMap<AccountId, Account>,
    by_login: HashMap<LoginName, AccountId>,
    organizations: HashMap<String, Members>,
}

/// The accounts of one organization.
#[derive(Debug, Default)]
struct Members {
    all: BTreeSet<AccountId>,
    by_owner: HashMap<String, AccountId>,
    by_email: HashMap<Email, AccountId>,
    by_source: HashMap<String, BTreeSet<AccountId>>,
}

impl AccountIndex {
    /// Returns an account.
    pub(in crate::store) fn get(&self, id: AccountId) -> Option<&Account> {
        self.all.get(&id)
    }

    /// Returns all of them.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.all.values()
    }

    /// Returns those of an organization.
    pub(in crate::store) fn in_organization(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = &Account> {
        self.those(self.organizations.get(namespace).map(|members| &members.all))
    }

    /// Returns the one whose `User` has a name.
    pub(in crate::store) fn owned_by(&self, namespace: &str, name: &str) -> Option<&Account> {
        self.get(*self.organizations.get(namespace)?.by_owner.get(name)?)
    }

    /// Returns the one that has an email.
    pub(in crate::store) fn with_email(&self, namespace: &str, email: &Email) -> Option<&Account> {
        self.get(*self.organizations.get(namespace)?.by_email.get(email)?)
    }

    /// Returns the one that has a login name.
    pub(in crate::store) fn with_login(&self, login_name: &LoginName) -> Option<&Account> {
        self.get(*self.by_login.get(login_name)?)
    }

    /// Returns those that inherit from the `User` of a name.
    pub(in crate::store) fn heirs(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &Account> {
        self.those(
            self.organizations.get(namespace).and_then(|members| members.by_source.get(name)),
        )
    }

    fn those(&self, ids: Option<&BTreeSet<AccountId>>) -> impl Iterator<Item = &Account> {
        ids.into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// Takes an account in, and returns the one that had its id until now.
    pub(in crate::store) fn put(&mut self, account: Account) -> Option<Account> {
        let before = self.remove(account.id);
        let id = account.id;
        let members = self.organizations.entry(account.namespace.clone()).or_default();
        members.all.insert(id);
        members.by_owner.insert(account.owner.name.clone(), id);
        members.by_email.insert(account.content.email.clone(), id);
        if let Some(source) = inherits_from(&account) {
            members.by_source.entry(source.to_owned()).or_default().insert(id);
        }
        self.by_login.insert(account.login_name.clone(), id);
        self.all.insert(id, account);
        before
    }

    /// Takes an account out.
    pub(in crate::store) fn remove(&mut self, id: AccountId) -> Option<Account> {
        let account = self.all.remove(&id)?;
        forget(self.by_login.entry(account.login_name.clone()), id);
        if let Some(members) = self.organizations.get_mut(&account.namespace) {
            members.all.remove(&id);
            forget(members.by_owner.entry(account.owner.name.clone()), id);
            forget(members.by_email.entry(account.content.email.clone()), id);
            if let Some(source) = inherits_from(&account)
                && let Some(heirs) = members.by_source.get_mut(source)
            {
                heirs.remove(&id);
                if heirs.is_empty() {
                    members.by_source.remove(source);
                }
            }
        }
        Some(account)
    }
}

/// Forgets that an account is found by something. While several change places, another may be found
/// by it already.
fn forget<K>(found: Entry<'_, K, AccountId>, id: AccountId) {
    if let Entry::Occupied(found) = found
        && *found.get() == id
    {
        found.remove();
    }
}
