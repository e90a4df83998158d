//! Memberships: a group is there as long as it has a member.
//!
//! A `groupOfNames` needs a member, so a group comes with its first and goes with its last. Others join and leave at the
//! same time, so each step is one operation that the server carries out whole, and what it answers says what comes next.

use std::collections::HashSet;

use ldap3::{Mod, Scope, dn_escape, ldap_escape};

use super::connection::{self, Connection, Found};
use super::mapping::STATE;
use super::{Ldap, MARK, lacks};
use crate::directory::{DirectoryError, Entry, Person};

/// How many groups with one person are read at once.
const MOST_GROUPS: usize = 100;

/// How often others may come in between before it is left to the next try.
const ROUNDS: usize = 16;

const MARKED: &str = "businessCategory";

impl Ldap {
    /// Sees to it that a person is in their group, and in no other of their organization that roster made.
    pub(super) async fn settle(
        &self,
        connection: &mut Connection<'_>,
        dn: &str,
        entry: &Entry,
        person: &Person,
    ) -> Result<(), DirectoryError> {
        let organization = entry.organization.as_str();
        let name = format!("{organization}.{}", person.group);
        let filter = format!("(&{}(member={}))", made_for(organization), ldap_escape(dn));
        let mut is_in = false;
        loop {
            let found = connection.search(&self.groups, Scope::Subtree, &filter, &["cn", MARKED], MOST_GROUPS).await?;
            for group in &found.entries {
                if group.has("cn", &name) {
                    is_in = true;
                } else {
                    leave(connection, group, dn).await?;
                }
            }
            if !found.has_more {
                break;
            }
        }
        if is_in { Ok(()) } else { self.join(connection, &name, organization, dn).await }
    }

    async fn join(
        &self,
        connection: &mut Connection<'_>,
        name: &str,
        organization: &str,
        member: &str,
    ) -> Result<(), DirectoryError> {
        let group = format!("cn={},{}", dn_escape(name), self.groups);
        let new = [
            ("objectClass", vec!["top".to_owned(), "groupOfNames".to_owned()]),
            ("cn", vec![name.to_owned()]),
            ("o", vec![organization.to_owned()]),
            (MARKED, vec![MARK.to_owned()]),
            ("member", vec![member.to_owned()]),
        ];
        for _ in 0..ROUNDS {
            let joining = vec![Mod::Add("member", HashSet::from([member]))];
            let nobody_founds = self.founding.read().await;
            let answer = connection.modify(&group, joining, Some(&of_group(&made_for(organization)))).await?;
            drop(nobody_founds);
            match answer.rc {
                connection::SUCCESS | connection::ATTRIBUTE_OR_VALUE_EXISTS => return Ok(()),
                connection::ASSERTION_FAILED => return Err(not_ours(&group, organization)),
                connection::NO_SUCH_OBJECT => {}
                _ => return Err(connection::failure(&answer)),
            }
            let nobody_joins = self.founding.write().await;
            let answer = connection.add(&group, &new).await?;
            drop(nobody_joins);
            match answer.rc {
                connection::SUCCESS => return Ok(()),
                // Somebody else was the first.
                connection::ENTRY_ALREADY_EXISTS => {}
                connection::NO_SUCH_OBJECT => return Err(lacks(&self.groups)),
                _ => return Err(connection::failure(&answer)),
            }
        }
        Err(DirectoryError::Conflict)
    }

    /// Takes an entry out of every group, whoever made it: whoever gets the name next isn't to be in it.
    pub(super) async fn leave_all(&self, connection: &mut Connection<'_>, dn: &str) -> Result<(), DirectoryError> {
        let filter = format!("(member={})", ldap_escape(dn));
        loop {
            let found = connection.search(&self.groups, Scope::Subtree, &filter, &["cn", MARKED], MOST_GROUPS).await?;
            for group in &found.entries {
                leave(connection, group, dn).await?;
            }
            if !found.has_more {
                return Ok(());
            }
        }
    }
}

/// Takes a member out of a group, and the group away with its last.
async fn leave(connection: &mut Connection<'_>, group: &Found, member: &str) -> Result<(), DirectoryError> {
    for _ in 0..ROUNDS {
        let leaving = vec![Mod::Delete("member", HashSet::from([member]))];
        let answer = connection.modify(&group.dn, leaving, None).await?;
        match answer.rc {
            connection::SUCCESS | connection::NO_SUCH_ATTRIBUTE | connection::NO_SUCH_OBJECT => return Ok(()),
            connection::OBJECT_CLASS_VIOLATION if group.has(MARKED, MARK) => {
                if remove_with_last(connection, &group.dn, member).await? {
                    return Ok(());
                }
            }
            connection::OBJECT_CLASS_VIOLATION => return Err(last_of_another(&group.dn)),
            _ => return Err(connection::failure(&answer)),
        }
    }
    Err(DirectoryError::Conflict)
}

/// Removes a group as long as it has this member alone, and returns whether that was so.
///
/// Between the look and the removal somebody may join, which changes the group's state: the server then refuses.
async fn remove_with_last(connection: &mut Connection<'_>, group: &str, member: &str) -> Result<bool, DirectoryError> {
    let found = connection.search(group, Scope::Base, "(objectClass=*)", &["member", STATE], 1).await?;
    let Some(seen) = found.entries.first() else { return Ok(true) };
    if seen.count("member") != 1 {
        return Ok(false);
    }
    let Some(state) = seen.state() else { return Err(without_state(group)) };
    let alone = of_group(&format!("(&(member={})({STATE}={}))", ldap_escape(member), ldap_escape(state)));
    let answer = connection.delete(group, &alone).await?;
    match answer.rc {
        connection::SUCCESS | connection::NO_SUCH_OBJECT => Ok(true),
        connection::ASSERTION_FAILED => Ok(false),
        _ => Err(connection::failure(&answer)),
    }
}

/// Returns the filter that the groups meet that roster made for an organization.
fn made_for(organization: &str) -> String {
    format!("(&({MARKED}={MARK})(o={}))", ldap_escape(organization))
}

/// Returns a filter that a group has to meet, and people's entries needn't: OpenLDAP asserts it of them as well where it
/// changes their `memberOf` along with the group, and would leave that as it was.
fn of_group(filter: &str) -> String {
    format!("(|(!(objectClass=groupOfNames)){filter})")
}

fn not_ours(group: &str, organization: &str) -> DirectoryError {
    let advice = format!("remove it, or set its businessCategory to {MARK} and its o to {organization} to hand it over");
    DirectoryError::refused(&format!("{advice}: somebody else's group is {group}"))
}

fn last_of_another(group: &str) -> DirectoryError {
    DirectoryError::refused(&format!("give the group another member, or remove it: the account is the last one in {group}"))
}

fn without_state(group: &str) -> DirectoryError {
    let words = "let the bind-dn read entryCSN: without it nobody can tell whether somebody joined before the group went";
    DirectoryError::refused(&format!("{words}: {group}"))
}
