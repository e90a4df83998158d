//! Memberships: a group is there as long as it has a member.
//!
//! A `groupOfNames` needs a member, so a group is created with its first and removed with its last.
//! Others join and leave at the same time, so each step is one atomic operation, whose answer
//! decides the next step.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use ldap3::{Mod, Scope, dn_escape, ldap_escape};

use super::connection::{LdapConnection, LdapEntry};
use super::mapping::{MEMBER_OF, STATE};
use super::result_codes::{self, LdapOutcome};
use super::{Ldap, MARK, lacks};
use crate::provisioning::{DirectoryError, DirectoryUser, Entry};

/// How many groups with one person are read at once.
const MAX_GROUPS: usize = 100;

/// How often others may come in between before it is left to the next try.
const ROUNDS: usize = 16;

const MARKED: &str = "businessCategory";

/// A person's entry as groups know it.
pub(super) struct GroupMember {
    pub(super) dn: String,
    /// The groups that the entry itself showed before anything was changed. OpenLDAP writes that
    /// after the group, so that the two differ where it was killed in between.
    pub(super) member_of: Vec<String>,
    /// Whether what the directory shows is believed.
    pub(super) compares: bool,
}

impl Ldap {
    /// Takes a person out of all groups of the organization that roster made but theirs, and
    /// returns the DN of that one if they are seen to be in it. They were in this group `before`,
    /// as far as anybody knows.
    pub(super) async fn leave_others(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        entry: &Entry,
        person: &DirectoryUser,
        (before, is_new): (Option<&str>, bool),
    ) -> Result<Option<String>, DirectoryError> {
        let organization = &entry.organization;
        let name = name_of(organization, &person.group);
        let filter = format!("(&{}(member={}))", made_for(organization), ldap_escape(&member.dn));
        let mut own = None;
        let mut seen = LdapGroups::default();
        loop {
            let found = connection
                .search(&self.groups, Scope::Subtree, &filter, &["cn", MARKED], MAX_GROUPS)
                .await?;
            for group in found.entries {
                seen.note(&group);
                if group.has("cn", &name) {
                    own = Some(group.dn);
                } else {
                    leave(connection, &group.dn, true, &member.dn).await?;
                }
            }
            if !found.has_more {
                break;
            }
        }
        if !is_new {
            self.leave_unseen(connection, member, organization, (before, Some(&name)), &seen)
                .await?;
        }
        self.forget(connection, member, (organization, &name), &seen.dns).await?;
        Ok(own)
    }

    /// Removes a person from every group.
    pub(super) async fn leave_for_good(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        organization: &str,
        before: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let seen = self.leave_all(connection, &member.dn, None).await?;
        self.leave_unseen(connection, member, organization, (before, None), &seen).await?;
        // What the entry itself shows, wherever the group is, and whether the group shows its
        // members or not.
        for group in
            member.member_of.iter().filter(|group| !seen.dns.contains(&group.to_lowercase()))
        {
            let shown = connection
                .search_if_open(group, Scope::Base, "(objectClass=*)", &["cn", MARKED], 1)
                .await?;
            let shown = shown.and_then(|mut shown| shown.entries.pop());
            let is_own = shown.map_or_else(
                || self.is_named_for(group, organization),
                |shown| shown.has(MARKED, MARK),
            );
            leave(connection, group, is_own, &member.dn).await?;
        }
        Ok(())
    }

    /// Removes a person from the groups of the organization that don't show their members, except
    /// the group it belongs to.
    ///
    /// A server may not let roster search by `member`, without an error. That it does is proven if
    /// it shows the group that the person was in. If it doesn't, the person is removed from every
    /// group, whose answer shows whether it was in it.
    async fn leave_unseen(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        organization: &str,
        (before, own): (Option<&str>, Option<&str>),
        seen: &LdapGroups,
    ) -> Result<(), DirectoryError> {
        if member.compares
            || before.map_or(!seen.names.is_empty(), |before| {
                seen.names.contains(&before.to_lowercase())
            })
        {
            return Ok(());
        }
        let is_own = |name: &str| own.is_some_and(|own| own.to_lowercase() == name.to_lowercase());
        if let Some(before) = before.filter(|before| !is_own(before)) {
            leave(connection, &self.group_dn(before), true, &member.dn).await?;
        }
        let others = format!("(&(objectClass=groupOfNames)(!({MARKED}={MARK})))");
        // A person who stays keeps the groups that others gave.
        let filter = if own.is_some() {
            made_for(organization)
        } else {
            format!("(|{}{others})", made_for(organization))
        };
        for group in connection.search_all(&self.groups, &filter, &["cn", MARKED]).await? {
            let is_staying = group.values("cn").iter().any(|name| is_own(name));
            if is_staying || seen.dns.contains(&group.dn.to_lowercase()) {
                continue;
            }
            let is_rosters = group.has(MARKED, MARK);
            match leave(connection, &group.dn, is_rosters, &member.dn).await {
                // Nothing shows that the person is in it.
                Err(DirectoryError::Refused(_)) if !is_rosters => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Returns the DN that roster gives a group of this `cn`.
    fn group_dn(&self, name: &str) -> String {
        format!("cn={},{}", dn_escape(name), self.groups)
    }

    /// Whether a group is named as roster names those of an organization.
    fn is_named_for(&self, group: &str, organization: &str) -> bool {
        let (group, end) = (group.to_lowercase(), format!(",{}", self.groups).to_lowercase());
        group.starts_with(&format!("cn={organization}.")) && group.ends_with(&end)
    }

    /// Checks that a person's `memberOf`, if the server has it, names the group.
    pub(super) async fn follow(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        group: &str,
    ) -> Result<(), DirectoryError> {
        if self.lacks_member_of.load(Ordering::Relaxed) || names(&member.member_of, group) {
            return Ok(());
        }
        // At rest nothing is written to find out whether the server has it.
        if member.compares && !self.shows_member_of(connection).await? {
            self.lacks_member_of.store(true, Ordering::Relaxed);
            return Ok(());
        }
        // Out and in again at once is what the server's memberOf follows.
        let only = || HashSet::from([member.dn.as_str()]);
        let again = vec![Mod::Delete("member", only()), Mod::Add("member", only())];
        let answer = connection.modify(group, again, None).await?;
        match answer.rc {
            result_codes::NO_SUCH_ATTRIBUTE => return Err(DirectoryError::Conflict),
            _ => answer.success_of_entry()?,
        }
        let is_lacking = !names(&member_of(connection, member).await?, group);
        self.lacks_member_of.store(is_lacking, Ordering::Relaxed);
        Ok(())
    }

    /// Checks that `memberOf` followed a person who joined an existing group.
    ///
    /// OpenLDAP checks for the group before it adds a member. If another client created the group
    /// in between, the member's `memberOf` stays as it was.
    async fn verify_member_of(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        group: &str,
    ) -> Result<(), DirectoryError> {
        if self.lacks_member_of.load(Ordering::Relaxed) {
            return Ok(());
        }
        let member_of = member_of(connection, member).await?;
        let now = GroupMember { dn: member.dn.clone(), member_of, compares: member.compares };
        self.follow(connection, &now, group).await
    }

    /// Whether anybody's entry shows `memberOf`.
    async fn shows_member_of(
        &self,
        connection: &mut LdapConnection<'_>,
    ) -> Result<bool, DirectoryError> {
        let filter = format!("({MEMBER_OF}=*)");
        let found =
            connection.search_if_open(&self.people, Scope::Subtree, &filter, &["1.1"], 1).await?;
        Ok(found.is_some_and(|found| !found.entries.is_empty()))
    }

    /// Has the server take groups of the organization off a person's `memberOf` in which they
    /// aren't.
    async fn forget(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        (organization, own): (&str, &str),
        seen: &HashSet<String>,
    ) -> Result<(), DirectoryError> {
        let end = format!(",{}", self.groups).to_lowercase();
        let own = [self.group_dn(own)];
        let is_stale = |group: &String| {
            self.is_named_for(group, organization) && !seen.contains(group) && !names(&own, group)
        };
        for group in member.member_of.iter().map(|group| group.to_lowercase()).filter(is_stale) {
            match pass_through(connection, &group, &member.dn).await? {
                Passage::Through => continue,
                // They are in it after all, and it doesn't show its members.
                Passage::In => {
                    leave(connection, &group, true, &member.dn).await?;
                    continue;
                }
                Passage::Gone => {}
            }
            // The group is gone. One that has nobody but itself is there for a moment instead.
            let name = group
                .strip_prefix("cn=")
                .and_then(|group| group.strip_suffix(&end))
                .unwrap_or_default();
            let answer = connection.add(&group, &new_group(name, organization, &group)).await?;
            if !matches!(answer.rc, result_codes::SUCCESS | result_codes::ENTRY_ALREADY_EXISTS) {
                return Err(result_codes::failure(&answer));
            }
            pass_through(connection, &group, &member.dn).await?;
            leave(connection, &group, true, &group).await?;
        }
        Ok(())
    }

    /// Puts a person into a group, which is made where there is none.
    pub(super) async fn join(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
        organization: &str,
        group: &str,
    ) -> Result<(), DirectoryError> {
        let name = name_of(organization, group);
        let group = self.group_dn(&name);
        if member.compares {
            // Each group has members. One that shows none doesn't show who isn't in it either.
            let hides_members = connection.meets(&group, "(objectClass=*)").await?
                && !connection.meets(&group, "(member=*)").await?;
            return if hides_members { Ok(()) } else { Err(DirectoryError::Drifted) };
        }
        let new = new_group(&name, organization, &member.dn);
        for _ in 0..ROUNDS {
            let joining = vec![Mod::Add("member", HashSet::from([member.dn.as_str()]))];
            let answer = connection
                .modify(&group, joining, Some(&of_group(&made_for(organization))))
                .await?;
            match answer.rc {
                result_codes::SUCCESS | result_codes::ATTRIBUTE_OR_VALUE_EXISTS => {
                    return self.verify_member_of(connection, member, &group).await;
                }
                result_codes::ASSERTION_FAILED => return Err(not_ours(&group, organization)),
                result_codes::NO_SUCH_OBJECT => {}
                _ => return Err(result_codes::failure(&answer)),
            }
            let answer = connection.add(&group, &new).await?;
            match answer.rc {
                result_codes::SUCCESS => return Ok(()),
                // Another client was the first.
                result_codes::ENTRY_ALREADY_EXISTS => {}
                result_codes::NO_SUCH_OBJECT => return Err(lacks(&self.groups)),
                _ => return Err(result_codes::failure(&answer)),
            }
        }
        Err(DirectoryError::Conflict)
    }

    /// Removes an entry from every group, also those of others: the next person with the name must
    /// not be in it. If the entry gets another name, groups that roster didn't create have that one
    /// instead.
    pub(super) async fn leave_all(
        &self,
        connection: &mut LdapConnection<'_>,
        dn: &str,
        new: Option<&str>,
    ) -> Result<LdapGroups, DirectoryError> {
        let filter = format!("(member={})", ldap_escape(dn));
        let mut seen = LdapGroups::default();
        loop {
            let found = connection
                .search(&self.groups, Scope::Subtree, &filter, &["cn", MARKED], MAX_GROUPS)
                .await?;
            for group in &found.entries {
                seen.note(group);
                match new.filter(|_| !group.has(MARKED, MARK)) {
                    Some(new) => replace(connection, &group.dn, dn, new).await?,
                    None => leave(connection, &group.dn, group.has(MARKED, MARK), dn).await?,
                }
            }
            if !found.has_more {
                return Ok(seen);
            }
        }
    }

    /// Checks that `memberOf` names the groups of others that a renamed person is in.
    pub(super) async fn follow_all(
        &self,
        connection: &mut LdapConnection<'_>,
        member: &GroupMember,
    ) -> Result<(), DirectoryError> {
        let filter = format!("(member={})", ldap_escape(&member.dn));
        let found =
            connection.search(&self.groups, Scope::Subtree, &filter, &["cn"], MAX_GROUPS).await?;
        for group in &found.entries {
            self.verify_member_of(connection, member, &group.dn).await?;
        }
        Ok(())
    }
}

/// Groups that a person was seen in, in lower case.
#[derive(Default)]
pub(super) struct LdapGroups {
    dns: HashSet<String>,
    names: HashSet<String>,
}

impl LdapGroups {
    fn note(&mut self, group: &LdapEntry) {
        self.dns.insert(group.dn.to_lowercase());
        self.names.extend(group.values("cn").iter().map(|name| name.to_lowercase()));
    }
}

/// A namespace has no dots, so the first one separates the two parts.
pub(super) fn name_of(organization: &str, group: &str) -> String {
    format!("{organization}.{group}")
}

fn new_group(name: &str, organization: &str, member: &str) -> [(&'static str, Vec<String>); 5] {
    [
        ("objectClass", vec!["top".to_owned(), "groupOfNames".to_owned()]),
        ("cn", vec![name.to_owned()]),
        ("o", vec![organization.to_owned()]),
        (MARKED, vec![MARK.to_owned()]),
        ("member", vec![member.to_owned()]),
    ]
}

/// Reads the groups that a person's entry shows.
async fn member_of(
    connection: &mut LdapConnection<'_>,
    member: &GroupMember,
) -> Result<Vec<String>, DirectoryError> {
    let found =
        connection.search(&member.dn, Scope::Base, "(objectClass=*)", &[MEMBER_OF], 1).await?;
    Ok(found.entries.first().map(|entry| entry.values(MEMBER_OF).to_vec()).unwrap_or_default())
}

/// Whether a group is among these, however its DN is spelled.
fn names(groups: &[String], group: &str) -> bool {
    let spelling = |dn: &str| dn.to_lowercase().replace(' ', "");
    groups.iter().any(|one| spelling(one) == spelling(group))
}

/// The result of adding a person to a group and removing it at once.
enum Passage {
    Through,
    /// They were in it, and are.
    In,
    /// There is no such group.
    Gone,
}

/// Adds a person to a group and removes it at once, which changes nothing but the server's
/// `memberOf`.
async fn pass_through(
    connection: &mut LdapConnection<'_>,
    group: &str,
    member: &str,
) -> Result<Passage, DirectoryError> {
    let only = || HashSet::from([member]);
    let passing = vec![Mod::Add("member", only()), Mod::Delete("member", only())];
    let answer = connection.modify(group, passing, None).await?;
    match answer.rc {
        result_codes::SUCCESS => Ok(Passage::Through),
        result_codes::ATTRIBUTE_OR_VALUE_EXISTS => Ok(Passage::In),
        result_codes::NO_SUCH_OBJECT => Ok(Passage::Gone),
        _ => Err(result_codes::failure(&answer)),
    }
}

/// Renames a member in a group of others.
async fn replace(
    connection: &mut LdapConnection<'_>,
    group: &str,
    member: &str,
    new: &str,
) -> Result<(), DirectoryError> {
    let only = |dn| HashSet::from([dn]);
    let renaming = vec![Mod::Add("member", only(new)), Mod::Delete("member", only(member))];
    let answer = connection.modify(group, renaming, None).await?;
    match answer.rc {
        result_codes::SUCCESS | result_codes::NO_SUCH_ATTRIBUTE | result_codes::NO_SUCH_OBJECT => {
            Ok(())
        }
        result_codes::ATTRIBUTE_OR_VALUE_EXISTS => leave(connection, group, false, member).await,
        result_codes::INSUFFICIENT_ACCESS => Err(closed(group)),
        _ => Err(result_codes::failure(&answer)),
    }
}

/// Takes a member out of a group, and the group away with its last where it is roster's own.
async fn leave(
    connection: &mut LdapConnection<'_>,
    group: &str,
    is_own: bool,
    member: &str,
) -> Result<(), DirectoryError> {
    let mut is_last = false;
    for _ in 0..ROUNDS {
        let leaving = vec![Mod::Delete("member", HashSet::from([member]))];
        let answer = connection.modify(group, leaving, None).await?;
        match answer.rc {
            result_codes::SUCCESS
            | result_codes::NO_SUCH_ATTRIBUTE
            | result_codes::NO_SUCH_OBJECT => {
                return Ok(());
            }
            result_codes::OBJECT_CLASS_VIOLATION if is_own => {
                is_last = true;
                if remove_with_last(connection, group, member).await? {
                    return Ok(());
                }
            }
            result_codes::OBJECT_CLASS_VIOLATION => return Err(last_of_another(group)),
            result_codes::INSUFFICIENT_ACCESS if !is_own => return Err(closed(group)),
            _ => return Err(result_codes::failure(&answer)),
        }
    }
    // In the end others don't come in between, but the server doesn't show the group.
    Err(if is_last { without_state(group) } else { DirectoryError::Conflict })
}

/// Removes a group as long as it has this member alone, and returns whether that was so.
///
/// Between the read and the removal a person may join, which changes the group's state: the server
/// then refuses.
async fn remove_with_last(
    connection: &mut LdapConnection<'_>,
    group: &str,
    member: &str,
) -> Result<bool, DirectoryError> {
    let found =
        connection.search(group, Scope::Base, "(objectClass=*)", &["member", STATE], 1).await?;
    // It is gone, or isn't shown: the next round finds out.
    let Some(seen) = found.entries.first() else { return Ok(false) };
    let Some(state) = seen.state() else { return Err(without_state(group)) };
    let unchanged = format!("({STATE}={})", ldap_escape(state));
    let alone = match seen.values("member").len() {
        1 => format!("(&(member={}){unchanged})", ldap_escape(member)),
        // It doesn't show its members, but answers again that it needs this one.
        0 => {
            let leaving = vec![Mod::Delete("member", HashSet::from([member]))];
            match connection.modify(group, leaving, None).await?.rc {
                result_codes::OBJECT_CLASS_VIOLATION => unchanged,
                _ => return Ok(false),
            }
        }
        _ => return Ok(false),
    };
    let answer = connection.delete(group, Some(&of_group(&alone))).await?;
    match answer.rc {
        result_codes::SUCCESS | result_codes::NO_SUCH_OBJECT => Ok(true),
        result_codes::ASSERTION_FAILED => Ok(false),
        _ => Err(result_codes::failure(&answer)),
    }
}

/// Returns the filter that the groups meet that roster made for an organization.
fn made_for(organization: &str) -> String {
    format!("(&({MARKED}={MARK})(o={}))", ldap_escape(organization))
}

/// Returns a filter that a group has to meet, and people's entries needn't: OpenLDAP asserts it of
/// them as well where it changes their `memberOf` along with the group, and would leave that as it
/// was.
fn of_group(filter: &str) -> String {
    format!("(|(!(objectClass=groupOfNames)){filter})")
}

fn not_ours(group: &str, organization: &str) -> DirectoryError {
    let advice = format!(
        "remove it, or set its businessCategory to {MARK} and its o to {organization} to hand it over"
    );
    DirectoryError::refused(&format!("{advice}: somebody else's group is {group}"))
}

fn last_of_another(group: &str) -> DirectoryError {
    DirectoryError::refused(&format!(
        "give the group another member, or remove it: the account is the last one in {group}"
    ))
}

fn closed(group: &str) -> DirectoryError {
    let advice = "let the bind-dn write there, or see to the account's membership";
    DirectoryError::refused(&format!(
        "{advice}: the bind-dn may not change somebody else's group {group}"
    ))
}

fn without_state(group: &str) -> DirectoryError {
    let words = "let the bind-dn read entryCSN: without it nobody can tell whether somebody joined before the group went";
    DirectoryError::refused(&format!("{words}: {group}"))
}
