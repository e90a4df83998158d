//! LDAP: people as `inetOrgPerson` and groups as `groupOfNames` of a directory such as OpenLDAP.
//!
//! A person's entry is `uid=<login name>,ou=people,<base>`, and is found again by its
//! `employeeNumber`, the account id. An entry or group with neither that number nor roster's mark
//! ([`MARK`]) belongs to others and stays as it is.
//!
//! Revocations go first: the password of a disabled person, then groups that the person left, and
//! only then other changes. Of an account that is gone the password goes first, then the
//! memberships, and the entry last, so that after a crash the next operator still finds by the
//! entry what else there is.
//!
//! Every change of a person's entry carries an assertion (RFC 4528) of the state that it was made
//! from, so that a late or overtaken change has no effect.

mod admission;
mod connection;
mod groups;
mod handle;
mod list;
mod lookup;
mod mapping;
mod pool;
mod result_codes;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ldap3::{Mod, dn_escape, ldap_escape};

use self::connection::{LdapConnection, LdapEntry};
use self::groups::GroupMember;
use self::handle::LdapHandle;
use self::lookup::{LdapListing, Trace, mark_of, spelling};
use self::mapping::{EMPLOYEE_NUMBER, MEMBER_OF, PASSWORD, UID};
use self::pool::Pool;
use self::result_codes::LdapOutcome;
use super::{DirectoryError, DirectoryUrl, DirectoryUser, Entry, Provisioned};
use crate::domain::account::AccountId;

/// The `businessCategory` of groups that roster created.
const MARK: &str = "roster";

#[derive(Clone)]
pub(super) struct Ldap {
    pool: Arc<Pool>,
    base: String,
    people: String,
    groups: String,
    /// Whether an entry didn't show a group that it joined: the server keeps no `memberOf`, or
    /// doesn't show it.
    lacks_member_of: Arc<AtomicBool>,
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap").field("people", &self.people).finish_non_exhaustive()
    }
}

impl Ldap {
    /// Parses the address of a directory, without connecting.
    pub(super) fn open(address: DirectoryUrl) -> Result<Self, DirectoryError> {
        let error = |what: &str| {
            DirectoryError::Configuration(format!(
                "the address of the directory {} {what}",
                address.name()
            ))
        };
        if address.scheme() == "ldap" && !address.is_loopback() {
            return Err(error(
                "is ldap:// and of another machine, where others could listen in: use ldaps://",
            ));
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
            base,
            people,
            groups,
            lacks_member_of: Arc::default(),
            pool: Arc::new(Pool::open(address)?),
        })
    }

    pub(super) async fn provision(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let revokes = entry.revokes_login();
        let mut connection = self.pool.connection(revokes).await?;
        let outcome = self.bring_over(&mut connection, entry).await;
        let (mut wrote, mut may_be_late) = (connection.has_written(), false);
        if outcome == Err(DirectoryError::Timeout) {
            // The idle ones may be as dead, and would be tried one after the other.
            self.pool.forget_idle();
        }
        let handle = match outcome {
            // An idle connection may have been closed, which shows nothing about the server; a new
            // one does.
            Err(DirectoryError::Unreachable(_)) if connection.is_lost() => {
                // What it was in the middle of may be done after what is done over the next one.
                may_be_late = wrote;
                drop(connection);
                let mut connection = self.pool.new_connection(revokes).await?;
                let outcome = self.bring_over(&mut connection, entry).await;
                wrote |= connection.has_written();
                match outcome {
                    // The server is there, and hangs up over this entry.
                    Err(DirectoryError::Unreachable(_)) if connection.is_lost() => {
                        return Err(DirectoryError::Timeout);
                    }
                    outcome => outcome?,
                }
            }
            outcome => outcome?,
        };
        Ok(Provisioned { handle: handle.and_then(|handle| handle.to_stored()), wrote, may_be_late })
    }

    async fn bring_over(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
    ) -> Result<Option<LdapHandle>, DirectoryError> {
        let handle = LdapHandle::read(entry.handle.as_ref());
        connection.compare_only(entry.compares);
        match &entry.person {
            Some(person) => self.bring_person(connection, entry, person, handle).await.map(Some),
            None => self.remove(connection, entry, handle).await.map(|()| None),
        }
    }

    async fn bring_person(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        person: &DirectoryUser,
        handle: Option<LdapHandle>,
    ) -> Result<LdapHandle, DirectoryError> {
        let mut seen = self.look_well(connection, entry, handle.as_ref()).await?;
        if !person.lets_in() && self.clear_passwords(connection, entry, &seen.own).await? {
            seen = self.look_well(connection, entry, handle.as_ref()).await?;
        }
        let mut found = self.one_of(entry, person, seen)?;
        if found.as_ref().is_some_and(|found| !self.is_in_its_place(found, person)) {
            self.put_in_place(connection, person, found.as_ref()).await?;
            let seen = self.look_well(connection, entry, handle.as_ref()).await?;
            found = self.one_of(entry, person, seen)?;
        }
        let mut member = self.member(entry, found.as_ref(), person);
        let before = handle.as_ref().and_then(|handle| handle.group.as_deref());
        let is_new = found.is_none() && !is_known(entry, handle.as_ref());
        if let Some(former) =
            handle.as_ref().filter(|handle| spelling(&handle.dn) != spelling(&member.dn))
        {
            self.move_memberships(connection, &former.dn, &member.dn).await?;
        }
        let group = self.leave_others(connection, &member, entry, person, (before, is_new)).await?;
        let mut uuid = found.as_ref().and_then(LdapEntry::uuid).map(str::to_owned);
        match &found {
            None => uuid = self.add(connection, entry, person, handle.as_ref()).await?,
            Some(found) => self.correct(connection, entry, person, found).await?,
        }
        match group {
            Some(group) => self.follow(connection, &member, &group).await?,
            None => self.join(connection, &member, &entry.organization, &person.group).await?,
        }
        let group = Some(groups::name_of(&entry.organization, &person.group));
        Ok(LdapHandle { dn: std::mem::take(&mut member.dn), uuid, group })
    }

    /// Returns the entries with the account's number, else the one that is known to be its own by
    /// the handle.
    async fn look_well(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<&LdapHandle>,
    ) -> Result<LdapListing, DirectoryError> {
        let mut seen = self.look(connection, entry).await?;
        let is_known = is_known(entry, handle);
        // One that was made anew by its number may have the former one beside it.
        let is_another =
            |found: &LdapEntry| handle.is_some_and(|handle| handle.is_of_another(found.uuid()));
        if is_known
            && (seen.own.is_empty() || entry.revokes_login() && seen.own.iter().all(is_another))
        {
            match self.trace(connection, entry, handle).await? {
                Trace::Shown(found) => seen.own.push(*found),
                Trace::Hidden(dn) => seen.hidden = Some(dn),
                Trace::Nowhere => {}
            }
            let own: Vec<String> = seen.own.iter().map(|found| spelling(&found.dn)).collect();
            seen.others.retain(|found| !own.contains(&spelling(&found.dn)));
        }
        Ok(seen)
    }

    /// Returns the one entry that an account has, if it has one. No other may have the login name.
    fn one_of(
        &self,
        entry: &Entry,
        person: &DirectoryUser,
        seen: LdapListing,
    ) -> Result<Option<LdapEntry>, DirectoryError> {
        let account = entry.account;
        let LdapListing { own, others, hidden } = seen;
        if let Some(dn) = hidden {
            return Err(lookup::not_shown(&format!(
                "employeeNumber {account}, which is at {dn} and has no password now"
            )));
        }
        let (mut among_people, mut elsewhere): (Vec<LdapEntry>, Vec<LdapEntry>) =
            own.into_iter().partition(|found| self.is_among_people(&found.dn));
        let found = match (among_people.as_slice(), elsewhere.as_slice()) {
            ([one, other, ..], _) | ([], [one, other, ..]) => {
                return Err(twice(account, one, other));
            }
            _ => among_people.pop().or_else(|| elsewhere.pop()),
        };
        match others.first() {
            // Its own entry was renamed, and can't get its name back.
            Some(other)
                if found.as_ref().is_none_or(|found| !found.has(UID, &person.login_name)) =>
            {
                Err(not_ours(account, other))
            }
            _ => Ok(found),
        }
    }

    /// Whether a change carries an assertion. A server has to support that under the base; other
    /// subtrees may belong to another program.
    fn asserts_at(&self, dn: &str) -> bool {
        spelling(dn).ends_with(&format!(",{}", spelling(&self.base)))
    }

    /// Returns the DN that roster gives the entry of a login name.
    fn dn_of(&self, login_name: &str) -> String {
        format!("{UID}={},{}", dn_escape(login_name), self.people)
    }

    /// Returns the member as groups name it, under the DN that the entry has or gets.
    fn member(
        &self,
        entry: &Entry,
        found: Option<&LdapEntry>,
        person: &DirectoryUser,
    ) -> GroupMember {
        let compares = entry.compares;
        match found {
            Some(found) => GroupMember {
                dn: found.dn.clone(),
                member_of: found.values(MEMBER_OF).to_vec(),
                compares,
            },
            None => GroupMember { dn: self.dn_of(&person.login_name), member_of: vec![], compares },
        }
    }

    /// Adds an entry, and returns its entryUUID where the server gives it along.
    async fn add(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        person: &DirectoryUser,
        handle: Option<&LdapHandle>,
    ) -> Result<Option<String>, DirectoryError> {
        let dn = self.dn_of(&person.login_name);
        let answer = connection.add(&dn, &mapping::new_entry(entry, person)).await?;
        match answer.rc {
            result_codes::NO_SUCH_OBJECT => return Err(lacks(&self.people)),
            result_codes::ENTRY_ALREADY_EXISTS => {
                // If it was added since the search, another search shows whose it is.
                let seen = self.look(connection, entry).await?;
                return Err(match seen.own.is_empty() && seen.others.is_empty() {
                    false => DirectoryError::Conflict,
                    true if is_known(entry, handle) => lookup::not_shown(&format!(
                        "employeeNumber {}, and {dn} is there",
                        entry.account
                    )),
                    true => unshown(&dn),
                });
            }
            _ => answer.success_of_entry()?,
        }
        Ok(result_codes::uuid_of(&answer))
    }

    /// Writes what differs, in one operation.
    async fn correct(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        person: &DirectoryUser,
        found: &LdapEntry,
    ) -> Result<(), DirectoryError> {
        let mut attributes = mapping::attributes(entry, person);
        if !found.has(EMPLOYEE_NUMBER, &entry.account.to_string()) {
            attributes.push((EMPLOYEE_NUMBER, Some(entry.account.to_string())));
        }
        let mut changes: Vec<Mod<&str>> = vec![];
        for (name, wanted) in &attributes {
            if differs(found, name, wanted.as_deref())
                && !(entry.compares && self.may_be_unshown(connection, found, name).await?)
            {
                changes.push(Mod::Replace(*name, wanted.as_deref().into_iter().collect()));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        connection
            .modify(&found.dn, changes, Some(&unchanged(entry.account, found)))
            .await?
            .success_of_entry()
    }

    /// Whether an attribute without a value may have one all the same, because the server hides it.
    async fn may_be_unshown(
        &self,
        connection: &mut LdapConnection<'_>,
        found: &LdapEntry,
        attribute: &str,
    ) -> Result<bool, DirectoryError> {
        Ok(!found.shows(attribute)
            && !connection.meets(&found.dn, &format!("(!({attribute}=*))")).await?)
    }

    /// Whether an entry has the name and the place that roster gives it. Others may have units
    /// below `ou=people`.
    fn is_in_its_place(&self, found: &LdapEntry, person: &DirectoryUser) -> bool {
        self.is_among_people(&found.dn) && mapping::is_named_after(found, person)
    }

    /// Gives an entry its name that has another, or its place, and its memberships with it.
    async fn put_in_place(
        &self,
        connection: &mut LdapConnection<'_>,
        person: &DirectoryUser,
        found: Option<&LdapEntry>,
    ) -> Result<(), DirectoryError> {
        let Some(LdapEntry { dn, .. }) = found else { return Ok(()) };
        let new = self.dn_of(&person.login_name);
        let is_moved = !self.is_among_people(dn);
        if !is_moved {
            // The groups go first: after a crash the next operator finds them by the name that the
            // entry still has.
            self.leave_all(connection, dn, Some(&new)).await?;
        }
        let answer =
            connection.rename(dn, &mapping::name_within_people(person), &self.people).await?;
        match (is_moved, answer.rc) {
            (_, result_codes::SUCCESS) => {}
            // Nothing of it was touched, in case it has to stay there.
            (true, _) => return Err(not_movable(dn, &new, &answer)),
            (false, _) => return answer.success_of_entry(),
        }
        if is_moved {
            self.leave_all(connection, dn, Some(&new)).await?;
        }
        self.follow_all(connection, &GroupMember { dn: new, member_of: vec![], compares: false })
            .await
    }

    /// Replaces a member's former DN in groups, if no other entry has that DN.
    async fn move_memberships(
        &self,
        connection: &mut LdapConnection<'_>,
        former: &str,
        now: &str,
    ) -> Result<(), DirectoryError> {
        match connection.meets(former, "(objectClass=*)").await? {
            true => Ok(()),
            false => self.leave_all(connection, former, Some(now)).await.map(|_| ()),
        }
    }

    /// Removes the passwords of these entries, and returns whether any had one. Unless the
    /// directory's answers are trusted, it does so whatever they show.
    async fn clear_passwords(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        own: &[LdapEntry],
    ) -> Result<bool, DirectoryError> {
        let mut took = false;
        for found in own {
            let is_believed = entry.compares && !found.shows(PASSWORD);
            if is_believed && !connection.meets(&found.dn, &format!("({PASSWORD}=*)")).await? {
                continue;
            }
            let change = vec![Mod::Delete(PASSWORD, [].into())];
            let mark = self.asserts_at(&found.dn).then(|| mark_of(entry.account, found));
            let answer = connection.modify(&found.dn, change, mark.as_deref()).await?;
            match answer.rc {
                result_codes::NO_SUCH_ATTRIBUTE => {}
                _ => {
                    answer.success_of_entry()?;
                    took = true;
                }
            }
        }
        Ok(took)
    }

    /// Removes whatever there is of an account: the password, the memberships, and then the entry.
    async fn remove(
        &self,
        connection: &mut LdapConnection<'_>,
        entry: &Entry,
        handle: Option<LdapHandle>,
    ) -> Result<(), DirectoryError> {
        let LdapListing { own, others: _, hidden } =
            self.look_well(connection, entry, handle.as_ref()).await?;
        self.clear_passwords(connection, entry, &own).await?;
        let is_copy = |found: &LdapEntry| {
            !self.is_among_people(&found.dn)
                && handle.as_ref().is_some_and(|handle| handle.is_of_another(found.uuid()))
        };
        let before = handle.as_ref().and_then(|handle| handle.group.as_deref());
        for found in own.iter().filter(|found| !is_copy(found)) {
            let member_of = found.values(MEMBER_OF).to_vec();
            let member = GroupMember { dn: found.dn.clone(), member_of, compares: entry.compares };
            self.leave_for_good(connection, &member, &entry.organization, before).await?;
            // What OpenLDAP may change along with it are groups.
            let own = || format!("(|{}(objectClass=groupOfNames))", mark_of(entry.account, found));
            let own = self.asserts_at(&found.dn).then(own);
            self.delete(connection, &found.dn, own.as_deref()).await?;
        }
        let is_at = |dn: &str| own.iter().any(|found| spelling(&found.dn) == spelling(dn));
        if let Some(LdapHandle { dn, .. }) =
            handle.as_ref().filter(|handle| hidden.is_none() && !is_at(&handle.dn))
            && !connection.meets(dn, "(objectClass=*)").await?
        {
            self.leave_all(connection, dn, None).await?;
        }
        if let Some(dn) = hidden {
            let member = GroupMember { dn, member_of: vec![], compares: entry.compares };
            self.leave_for_good(connection, &member, &entry.organization, before).await?;
            self.delete(connection, &member.dn, None).await?;
        }
        Ok(())
    }

    async fn delete(
        &self,
        connection: &mut LdapConnection<'_>,
        dn: &str,
        only_if: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let answer = connection.delete(dn, only_if).await?;
        match answer.rc {
            result_codes::NO_SUCH_OBJECT => Ok(()),
            result_codes::INSUFFICIENT_ACCESS => Err(lookup::closed(dn)),
            _ => answer.success_of_entry(),
        }
    }
}

/// Whether the directory confirmed before that it has the entry.
fn is_known(entry: &Entry, handle: Option<&LdapHandle>) -> bool {
    handle.is_some() || entry.was_confirmed || entry.compares
}

fn differs(found: &LdapEntry, attribute: &str, wanted: Option<&str>) -> bool {
    match (attribute, wanted) {
        // The entry is named by it, in whatever case.
        (UID, Some(name)) => found.values(UID).len() != 1 || !found.has(UID, name),
        _ => !found.is(attribute, wanted),
    }
}

/// Returns the filter that an account's own entries meet.
fn number_is(account: AccountId) -> String {
    format!("({EMPLOYEE_NUMBER}={account})")
}

/// Returns a filter that an account's entry meets until it is changed.
fn unchanged(account: AccountId, found: &LdapEntry) -> String {
    let number = mark_of(account, found);
    match found.state() {
        Some(state) => format!("(&{number}({}={}))", mapping::STATE, ldap_escape(state)),
        None => number,
    }
}

fn not_ours(account: AccountId, other: &LdapEntry) -> DirectoryError {
    let now = other.first(EMPLOYEE_NUMBER).unwrap_or("none");
    let advice = format!("remove it, or set its employeeNumber to {account} to hand it over");
    DirectoryError::refused(&format!("{advice}: somebody else's ({now}) is {}", other.dn))
}

fn twice(account: AccountId, one: &LdapEntry, other: &LdapEntry) -> DirectoryError {
    DirectoryError::refused(&format!(
        "two entries have employeeNumber {account}, remove one: {} and {}",
        one.dn, other.dn
    ))
}

fn unshown(dn: &str) -> DirectoryError {
    let advice = "let the bind-dn search it, or remove it";
    DirectoryError::refused(&format!("{advice}: somebody has the name, and isn't shown: {dn}"))
}

fn not_movable(dn: &str, place: &str, answer: &ldap3::LdapResult) -> DirectoryError {
    match result_codes::failure(answer) {
        DirectoryError::Refused(why) => DirectoryError::refused(&format!(
            "move the entry back to {place}, or remove it: it is at {dn}, and {why}"
        )),
        other => other,
    }
}

fn lacks(unit: &str) -> DirectoryError {
    DirectoryError::Unreachable(format!(
        "it has no {unit}: add that organizational unit, or change the base in the address"
    ))
}
