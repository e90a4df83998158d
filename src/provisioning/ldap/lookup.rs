//! Where an account's entry is.
//!
//! The LDAP client finds it by its `employeeNumber`. What isn't found so may still be there: the
//! bind DN may have lost the right to search, and others move entries and change their numbers. So
//! an entry that was confirmed before is looked up by its DN, by its `entryUUID` in the whole tree,
//! and at last by a write to it, to which a server answers truly (RFC 4511: noSuchObject) also
//! where it allows no search.

use ldap3::{Mod, Scope, ldap_escape};

use super::connection::{LdapConnection, LdapEntry, Results};
use super::handle::LdapHandle;
use super::mapping::{self, EMPLOYEE_NUMBER, PASSWORD, UID, UUID};
use super::result_codes;
use super::{Ldap, number_is};
use crate::domain::account::AccountId;
use crate::provisioning::{DirectoryError, Entry};

/// How many of the entries are read that have an account's number or its login name.
const MAX_ALIKE: usize = 8;

/// The entries that have to do with an account.
#[derive(Default)]
pub(super) struct LdapListing {
    /// Those with its number.
    pub(super) own: Vec<LdapEntry>,
    /// Others under `ou=people` with its login name.
    pub(super) others: Vec<LdapEntry>,
    /// Where something is that the server doesn't show, and that has no password any more.
    pub(super) hidden: Option<String>,
}

/// What became of an entry that isn't found by the account's number.
pub(super) enum Trace {
    Shown(Box<LdapEntry>),
    /// Something is at this DN that the server doesn't show. It has no password any more.
    Hidden(String),
    Nowhere,
}

enum LdapPlace {
    Own(Box<LdapEntry>),
    Another,
    Unshown,
}

impl Ldap {
    /// Returns the entries with the account's number, and others with the login name. For the
    /// revocation of a login the search covers all places to which the entry may have been moved,
    /// as far as the server allows.
    pub(super) async fn look(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
    ) -> Result<LdapListing, DirectoryError> {
        let number = number_is(entry.account);
        let filter = match &entry.person {
            Some(person) => {
                format!("(|{number}({UID}={}))", ldap_escape(person.login_name.as_str()))
            }
            None => number.clone(),
        };
        let alike = self.search_for(connection, entry, &filter).await?;
        let is_own = |found: &LdapEntry| found.has(EMPLOYEE_NUMBER, &entry.account.to_string());
        let has_more = alike.has_more;
        let (mut own, mut others): (Vec<LdapEntry>, Vec<LdapEntry>) =
            alike.entries.into_iter().partition(is_own);
        if own.is_empty() && has_more {
            own = self.search_for(connection, entry, &number).await?.entries;
        }
        others.retain(|found| self.is_among_people(&found.dn));
        Ok(LdapListing { own, others, hidden: None })
    }

    async fn search_for(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        filter: &str,
    ) -> Result<Results, DirectoryError> {
        if entry.revokes_login()
            && let Some(found) = connection
                .search_if_open(&self.base, Scope::Subtree, filter, mapping::READ, MAX_ALIKE)
                .await?
        {
            return Ok(found);
        }
        connection.search(&self.people, Scope::Subtree, filter, mapping::READ, MAX_ALIKE).await
    }

    /// Whether an entry is under `ou=people`.
    pub(super) fn is_among_people(&self, dn: &str) -> bool {
        spelling(dn).ends_with(&format!(",{}", spelling(&self.people)))
    }

    /// Looks for the entry of an account that isn't found by its number, and that was confirmed
    /// before.
    pub(super) async fn trace(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<&LdapHandle>,
    ) -> Result<Trace, DirectoryError> {
        let place = match self.known_dn(entry, handle) {
            Some(dn) => Some((self.at(connection, entry, handle, &dn).await?, dn)),
            None => None,
        };
        if let Some((LdapPlace::Own(found), _)) = place {
            return Ok(Trace::Shown(found));
        }
        if let Some(found) = self.anywhere(connection, entry, handle).await? {
            return Ok(Trace::Shown(Box::new(found)));
        }
        match place {
            Some((LdapPlace::Unshown, dn))
                if entry.revokes_login()
                    && self.is_there(connection, entry, handle, &dn).await? =>
            {
                return Ok(Trace::Hidden(dn));
            }
            None if entry.revokes_login() => {
                return Err(not_shown(&format!("employeeNumber {}", entry.account)));
            }
            _ => {}
        }
        match self.shows_people(connection, handle).await? {
            true => Ok(Trace::Nowhere),
            false => Err(not_shown(&match handle {
                Some(LdapHandle { uuid: Some(uuid), .. }) => {
                    format!("employeeNumber {} and {UUID} {uuid}", entry.account)
                }
                _ => format!("employeeNumber {}", entry.account),
            })),
        }
    }

    /// Returns where the entry was, or where roster puts it.
    fn known_dn(&self, entry: &Entry, handle: Option<&LdapHandle>) -> Option<String> {
        let login_name = entry
            .person
            .as_ref()
            .map(|person| &person.login_name)
            .or(entry.former_login_name.as_ref());
        handle.map(|handle| handle.dn.clone()).or_else(|| login_name.map(|name| self.dn_of(name)))
    }

    async fn at(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<&LdapHandle>,
        dn: &str,
    ) -> Result<LdapPlace, DirectoryError> {
        let found =
            connection.search_if_open(dn, Scope::Base, "(objectClass=*)", mapping::READ, 1).await?;
        let Some(found) = found.and_then(|mut found| found.entries.pop()) else {
            return Ok(LdapPlace::Unshown);
        };
        if handle.is_some_and(|handle| handle.is_of_another(found.uuid())) {
            return Ok(LdapPlace::Another);
        }
        if found.has(EMPLOYEE_NUMBER, &entry.account.to_string()) {
            return Ok(LdapPlace::Own(Box::new(found)));
        }
        if handle.is_some_and(|handle| handle.is_of(found.uuid())) {
            return self.still_its(entry, found).map(|found| LdapPlace::Own(Box::new(found)));
        }
        // Only the place identifies it: any number shows that it is another's.
        Ok(if found.shows(EMPLOYEE_NUMBER) {
            LdapPlace::Another
        } else {
            LdapPlace::Own(Box::new(found))
        })
    }

    /// Looks for an entry by what stays with it, in everything that the server has.
    async fn anywhere(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<&LdapHandle>,
    ) -> Result<Option<LdapEntry>, DirectoryError> {
        let number = number_is(entry.account);
        let filter = match handle.and_then(|handle| handle.uuid.as_deref()) {
            Some(uuid) => format!("(|{number}({UUID}={}))", ldap_escape(uuid)),
            None => number,
        };
        let mut bases = vec![self.base.clone()];
        let mut at = 0;
        while let Some(base) = bases.get(at) {
            let found = connection
                .search_if_open(base, Scope::Subtree, &filter, mapping::READ, MAX_ALIKE)
                .await?;
            let found = found.map(|found| found.entries).unwrap_or_default();
            let is_of = |found: &LdapEntry| handle.is_some_and(|handle| handle.is_of(found.uuid()));
            let (same, mut numbered): (Vec<LdapEntry>, Vec<LdapEntry>) =
                found.into_iter().partition(is_of);
            // Others may copy the number into entries of their own.
            numbered
                .retain(|found| !handle.is_some_and(|handle| handle.is_of_another(found.uuid())));
            if let Some(found) = same.into_iter().next().or_else(|| numbered.pop()) {
                return self.still_its(entry, found).map(Some);
            }
            if at == 0 {
                bases.extend(self.other_contexts(connection).await?);
            }
            at += 1;
        }
        Ok(None)
    }

    /// Returns what else the server has beside the base.
    async fn other_contexts(
        &self,
        connection: &mut LdapConnection<'_>,
    ) -> Result<Vec<String>, DirectoryError> {
        const CONTEXTS: &str = "namingContexts";
        let root =
            connection.search_if_open("", Scope::Base, "(objectClass=*)", &[CONTEXTS], 1).await?;
        let root = root.and_then(|mut root| root.entries.pop());
        let base = spelling(&self.base);
        // A context that has the base in it has more than that.
        let is_other = |context: &&String| !context.is_empty() && spelling(context) != base;
        Ok(root
            .map(|root| root.values(CONTEXTS).iter().filter(is_other).cloned().collect())
            .unwrap_or_default())
    }

    /// Returns an entry that was known by its handle, unless it was handed over to another account.
    fn still_its(&self, entry: &Entry, found: LdapEntry) -> Result<LdapEntry, DirectoryError> {
        let own = entry.account.to_string();
        match found.first(EMPLOYEE_NUMBER) {
            Some(number)
                if number.trim() != own && uuid::Uuid::parse_str(number.trim()).is_ok() =>
            {
                let advice = format!("set its employeeNumber to {own}, or remove it");
                Err(DirectoryError::refused(&format!(
                    "{advice}: the account's entry has another's ({number}): {}",
                    found.dn
                )))
            }
            _ => Ok(found),
        }
    }

    /// Finds whether there is a hidden entry at a DN by removing its password. If the server shows
    /// at least that the entry is another account's, it stays as it is.
    async fn is_there(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<&LdapHandle>,
        dn: &str,
    ) -> Result<bool, DirectoryError> {
        let number = entry.account.to_string();
        let uuid = handle.and_then(|handle| handle.uuid.as_deref()).map(|uuid| (UUID, uuid));
        for (attribute, own) in [(EMPLOYEE_NUMBER, number.as_str())].into_iter().chain(uuid) {
            match connection.compare(dn, attribute, own).await?.rc {
                result_codes::COMPARE_FALSE => return Ok(false),
                result_codes::COMPARE_TRUE => break,
                _ => {}
            }
        }
        let answer = connection.modify(dn, vec![Mod::Delete(PASSWORD, [].into())], None).await?;
        match answer.rc {
            result_codes::SUCCESS | result_codes::NO_SUCH_ATTRIBUTE => Ok(true),
            result_codes::NO_SUCH_OBJECT => Ok(false),
            result_codes::INSUFFICIENT_ACCESS => Err(closed(dn)),
            _ => Err(result_codes::failure(&answer)),
        }
    }

    /// Whether an entry that isn't found isn't there: the server shows people, or answers that
    /// there are none.
    async fn shows_people(
        &self,
        connection: &mut LdapConnection<'_>,
        handle: Option<&LdapHandle>,
    ) -> Result<bool, DirectoryError> {
        const HAS_PEOPLE: &str = "hasSubordinates";
        let by =
            if handle.is_some_and(|handle| handle.uuid.is_some()) { UUID } else { "objectClass" };
        let within = connection
            .search_if_open(&self.people, Scope::OneLevel, &format!("({by}=*)"), &["1.1"], 1)
            .await?;
        if within.is_some_and(|within| !within.entries.is_empty()) {
            return Ok(true);
        }
        let unit = connection
            .search_if_open(&self.people, Scope::Base, "(objectClass=*)", &[HAS_PEOPLE], 1)
            .await?;
        let unit = unit.and_then(|mut unit| unit.entries.pop());
        Ok(unit.is_some_and(|unit| !unit.has(HAS_PEOPLE, "TRUE")))
    }
}

/// Returns a DN as it compares with others.
pub(super) fn spelling(dn: &str) -> String {
    dn.to_lowercase().replace(' ', "")
}

/// Returns the filter that only an account's own entry meets, by what it shows.
pub(super) fn mark_of(account: AccountId, found: &LdapEntry) -> String {
    match found.uuid() {
        _ if found.has(EMPLOYEE_NUMBER, &account.to_string()) => number_is(account),
        Some(uuid) => format!("({UUID}={})", ldap_escape(uuid)),
        None => format!("(!({EMPLOYEE_NUMBER}=*))"),
    }
}

pub(super) fn not_shown(asked: &str) -> DirectoryError {
    DirectoryError::NotShown(format!(
        "asked for by {asked}; let the bind-dn search ou=people, or remove the entry"
    ))
}

pub(super) fn closed(dn: &str) -> DirectoryError {
    let advice = "let the bind-dn write there and search it, or remove the entry";
    DirectoryError::refused(&format!("{advice}: the bind-dn may not change {dn}"))
}
