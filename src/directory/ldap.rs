//! LDAP: people as `inetOrgPerson` and groups as `groupOfNames` of a directory such as OpenLDAP.
//!
//! A person's entry is `uid=<login name>,ou=people,<base>`, and found again by its `employeeNumber`, the account id. What
//! has neither that number nor roster's mark ([`MARK`]) is somebody else's and stays as it is.
//!
//! What takes rights away goes first: the password of somebody who is disabled, then the groups that they aren't in any
//! more, and only then whatever else changes. Of an account that is gone the password goes first, then the memberships,
//! and the entry last, so that whoever goes on after a crash still finds by the entry what else there is.
//!
//! Every change of a person's entry says in an assertion (RFC 4528) what it was made from, so that one that comes late, or
//! that somebody else overtook, changes nothing.

mod connection;
mod groups;
mod mapping;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ldap3::{Mod, Scope, ldap_escape};

use self::connection::{Connection, Found, Outcome, Pool};
use self::groups::Member;
use self::mapping::{EMPLOYEE_NUMBER, MEMBER_OF, PASSWORD, UID};
use super::{Address, DirectoryError, Entry, Person, Provisioned};
use crate::domain::account::AccountId;

/// What a group's `businessCategory` says of one that roster made.
const MARK: &str = "roster";

/// How many of the entries are read that have an account's number or its login name.
const MOST_ALIKE: usize = 8;

/// A directory that speaks LDAP.
#[derive(Clone)]
pub(super) struct Ldap {
    pool: Arc<Pool>,
    people: String,
    groups: String,
    /// Whether an entry ever showed its password. Where none does, none isn't there for certain.
    shows_passwords: Arc<AtomicBool>,
    /// Whether somebody joined a group and their entry didn't show it: the server keeps no `memberOf`, or doesn't show it.
    lacks_member_of: Arc<AtomicBool>,
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap").field("people", &self.people).finish_non_exhaustive()
    }
}

impl Ldap {
    /// Takes in the address of a directory; nothing is asked of it yet.
    pub(super) fn open(address: Address) -> Result<Self, DirectoryError> {
        let error = |what: &str| DirectoryError::Address(format!("the address of the directory {} {what}", address.name()));
        if address.scheme() == "ldap" && !address.is_loopback() {
            return Err(error("is ldap:// and of another machine, where others could listen in: use ldaps://"));
        }
        if address.url().host_str().is_none_or(str::is_empty) {
            return Err(error("lacks the host"));
        }
        let base = match ldap3::get_url_params(address.url()) {
            Ok(parts) if parts.base.contains('=') => parts.base.into_owned(),
            _ => return Err(error("lacks the base, such as dc=acme,dc=example, after the host")),
        };
        let (people, groups) = (format!("ou=people,{base}"), format!("ou=groups,{base}"));
        Ok(Self {
            people,
            groups,
            shows_passwords: Arc::default(),
            lacks_member_of: Arc::default(),
            pool: Arc::new(Pool::open(address)?),
        })
    }

    /// Brings the directory to what it is to have of an account.
    pub(super) async fn bring(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let mut connection = self.pool.connection().await?;
        match self.bring_over(&mut connection, entry).await {
            // A connection that was of use before may have died of old age: that says nothing about the server.
            Err(DirectoryError::Unreachable(_)) if connection.is_worn() => {
                drop(connection);
                self.bring_over(&mut self.pool.new_connection().await?, entry).await
            }
            outcome => outcome,
        }?;
        Ok(Provisioned::default())
    }

    async fn bring_over(&self, connection: &mut Connection<'_>, entry: &Entry) -> Result<(), DirectoryError> {
        match &entry.person {
            Some(person) => self.bring_person(connection, entry, person).await,
            None => self.remove(connection, entry.account).await,
        }
    }

    async fn bring_person(&self, connection: &mut Connection<'_>, entry: &Entry, person: &Person) -> Result<(), DirectoryError> {
        if entry.takes_away() {
            let own = self.find(connection, entry.account, None).await?;
            self.take_ways_in(connection, entry.account, &own).await?;
        }
        let mut found = self.find_one(connection, entry.account, person).await?;
        let mut member = self.member(found.as_ref(), person);
        let mut group = self.leave_others(connection, &member, &entry.organization, &person.group).await?;
        if found.as_ref().is_some_and(|found| !mapping::is_named_after(found, person)) {
            self.rename(connection, person, &member.dn).await?;
            found = self.find_one(connection, entry.account, person).await?;
            (member, group) = (self.member(found.as_ref(), person), None);
        }
        match &found {
            None => self.add(connection, entry, person).await?,
            Some(found) => self.correct(connection, entry, person, found).await?,
        }
        match group {
            Some(group) => self.follow(connection, &member, &group).await,
            None => self.join(connection, &member, &entry.organization, &person.group).await,
        }
    }

    /// Returns somebody as groups know them, under the name that their entry has or is to have.
    fn member(&self, found: Option<&Found>, person: &Person) -> Member {
        match found {
            Some(found) => Member { dn: found.dn.clone(), member_of: found.values(MEMBER_OF).to_vec() },
            None => Member { dn: format!("{},{}", mapping::name_within_people(person), self.people), member_of: vec![] },
        }
    }

    /// Returns the one entry with the account's number, if there is one.
    async fn find_one(
        &self,
        connection: &mut Connection<'_>,
        account: AccountId,
        person: &Person,
    ) -> Result<Option<Found>, DirectoryError> {
        let mut own = self.find(connection, account, Some(person)).await?;
        match own.as_slice() {
            [one, other, ..] => Err(twice(account, one, other)),
            _ => Ok(own.pop()),
        }
    }

    /// Returns the entries with the account's number. Where there is none, nobody else may have the login name.
    async fn find(
        &self,
        connection: &mut Connection<'_>,
        account: AccountId,
        person: Option<&Person>,
    ) -> Result<Vec<Found>, DirectoryError> {
        let mut filter = number_is(account);
        if let Some(person) = person {
            filter = format!("(|{filter}({UID}={}))", ldap_escape(person.login_name.as_str()));
        }
        let alike = connection.search(&self.people, Scope::Subtree, &filter, mapping::READ, MOST_ALIKE).await?;
        let shows = |attribute: &str| alike.entries.iter().any(|found| !found.values(attribute).is_empty());
        self.shows_passwords.fetch_or(shows(PASSWORD), Ordering::Relaxed);
        if shows(MEMBER_OF) {
            self.lacks_member_of.store(false, Ordering::Relaxed);
        }
        let (own, others): (Vec<Found>, Vec<Found>) =
            alike.entries.into_iter().partition(|found| found.has(EMPLOYEE_NUMBER, &account.to_string()));
        match others.first() {
            Some(other) if own.is_empty() => Err(not_ours(account, other)),
            // Its own entry was renamed, and can't get its name back.
            Some(other) if person.is_some_and(|person| !own.iter().any(|found| found.has(UID, &person.login_name))) => {
                Err(not_ours(account, other))
            }
            _ => Ok(own),
        }
    }

    async fn add(&self, connection: &mut Connection<'_>, entry: &Entry, person: &Person) -> Result<(), DirectoryError> {
        let dn = self.member(None, person).dn;
        let answer = connection.add(&dn, &mapping::new_entry(entry, person)).await?;
        match answer.rc {
            connection::NO_SUCH_OBJECT => Err(lacks(&self.people)),
            // Where somebody added it between the search and here, the next search sees who.
            _ => answer.success_of_entry(),
        }
    }

    /// Writes what differs, in one operation.
    async fn correct(
        &self,
        connection: &mut Connection<'_>,
        entry: &Entry,
        person: &Person,
        found: &Found,
    ) -> Result<(), DirectoryError> {
        let attributes = mapping::attributes(entry, person);
        let differing = attributes.iter().filter(|(name, wanted)| self.differs(found, name, wanted.as_deref()));
        let changes: Vec<Mod<&str>> =
            differing.map(|(name, wanted)| Mod::Replace(*name, wanted.as_deref().into_iter().collect())).collect();
        if changes.is_empty() {
            return Ok(());
        }
        connection.modify(&found.dn, changes, Some(&unchanged(entry.account, found))).await?.success_of_entry()
    }

    /// Gives an entry its name that has another, and its memberships with it.
    async fn rename(&self, connection: &mut Connection<'_>, person: &Person, dn: &str) -> Result<(), DirectoryError> {
        let named = self.member(None, person);
        // The groups go first: whoever goes on after a crash finds them by the name that the entry has still.
        self.leave_all(connection, dn, Some(&named.dn)).await?;
        connection.rename(dn, &mapping::name_within_people(person), &self.people).await?.success_of_entry()?;
        self.follow_all(connection, &named).await
    }

    /// Whether an attribute has to be written. That a password is gone is taken from nobody who never shows one.
    fn differs(&self, found: &Found, attribute: &str, wanted: Option<&str>) -> bool {
        match (attribute, wanted) {
            (PASSWORD, None) if !self.shows_passwords.load(Ordering::Relaxed) => true,
            // The entry is named by it, in whatever case.
            (UID, Some(name)) => found.values(UID).len() != 1 || !found.has(UID, name),
            _ => !found.is(attribute, wanted),
        }
    }

    /// Takes the passwords of these entries.
    async fn take_ways_in(
        &self,
        connection: &mut Connection<'_>,
        account: AccountId,
        own: &[Found],
    ) -> Result<(), DirectoryError> {
        for found in own.iter().filter(|found| self.differs(found, PASSWORD, None)) {
            let change = vec![Mod::Replace(PASSWORD, [].into())];
            connection.modify(&found.dn, change, Some(&number_is(account))).await?.success_of_entry()?;
        }
        Ok(())
    }

    /// Removes whatever there is of an account: the password, the memberships, and then the entry.
    async fn remove(&self, connection: &mut Connection<'_>, account: AccountId) -> Result<(), DirectoryError> {
        let own = self.find(connection, account, None).await?;
        self.take_ways_in(connection, account, &own).await?;
        for found in &own {
            self.leave_all(connection, &found.dn, None).await?;
            // What OpenLDAP may change along with it are groups.
            let own = format!("(|{}(objectClass=groupOfNames))", number_is(account));
            let answer = connection.delete(&found.dn, &own).await?;
            match answer.rc {
                connection::NO_SUCH_OBJECT => {}
                _ => answer.success_of_entry()?,
            }
        }
        Ok(())
    }
}

/// Returns the filter that an account's own entries meet.
fn number_is(account: AccountId) -> String {
    format!("({EMPLOYEE_NUMBER}={account})")
}

/// Returns the filter that an account's entry meets as long as nobody changes it.
fn unchanged(account: AccountId, found: &Found) -> String {
    let number = number_is(account);
    match found.state() {
        Some(state) => format!("(&{number}({}={}))", mapping::STATE, ldap_escape(state)),
        None => number,
    }
}

fn not_ours(account: AccountId, other: &Found) -> DirectoryError {
    let now = other.first(EMPLOYEE_NUMBER).unwrap_or("none");
    let advice = format!("remove it, or set its employeeNumber to {account} to hand it over");
    DirectoryError::refused(&format!("{advice}: somebody else's ({now}) is {}", other.dn))
}

fn twice(account: AccountId, one: &Found, other: &Found) -> DirectoryError {
    DirectoryError::refused(&format!("two entries have employeeNumber {account}, remove one: {} and {}", one.dn, other.dn))
}

fn lacks(unit: &str) -> DirectoryError {
    DirectoryError::Unreachable(format!("it has no {unit}: add that organizational unit, or change the base in the address"))
}
