//! Where a `User`'s permissions come from: whose are followed, which are cloned, and what is kept
//! on a loop.
//!
//! The store keeps whom an account follows, as its `User` declares it, also where nobody is there
//! or the line is too long: then nothing is inherited. Only what a loop keeps and what was cloned
//! are permissions written down, so a plan that writes them names the accounts that it was made
//! from.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use super::blocked::{ARROW, Blocked, PERMISSIONS_FROM, ROOM_FOR_A_LOOP};
use super::cycles::{Cycle, Cycles, stays, visits};
use super::{FrozenPermissions, Precondition};
use crate::api::user::{PermissionSource, SourceMode};
use crate::domain::account::{Account, Cloned, Source};
use crate::domain::inheritance::{chain, frozen, inherits_from, own};
use crate::domain::permission::Permissions;

/// What is known of a `User` that others' permissions or details come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceNode {
    /// Its account.
    pub account: Option<Account>,
    /// The resource, if it is there.
    pub declared: Option<DeclaredSource>,
}

/// What is known of a resource that others' permissions or details come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSource {
    /// Whether somebody deleted it.
    pub deleting: bool,
    /// The name of the `User` that it asks to follow.
    pub follows: Option<String>,
}

/// The `User`s that one's permissions or details come from or would, by name: each with those that
/// theirs come from.
#[derive(Clone, Debug, Default)]
pub struct SourceGraph {
    by_name: BTreeMap<String, SourceNode>,
    /// Where they lead in a cycle, found once for all whose relatives they are.
    cycles: OnceLock<Cycles>,
}

impl SourceGraph {
    /// Returns what is known of a `User`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SourceNode> {
        self.by_name.get(name)
    }

    /// Puts what is known of a `User` in place of what was known before.
    pub fn insert(&mut self, name: String, relative: SourceNode) {
        self.cycles = OnceLock::new();
        self.by_name.insert(name, relative);
    }

    #[cfg(test)]
    fn get_mut(&mut self, name: &str) -> Option<&mut SourceNode> {
        self.cycles = OnceLock::new();
        self.by_name.get_mut(name)
    }

    #[cfg(test)]
    fn remove(&mut self, name: &str) {
        self.cycles = OnceLock::new();
        self.by_name.remove(name);
    }

    fn cycles(&self) -> &Cycles {
        self.cycles.get_or_init(|| Cycles::of(&self.by_name))
    }
}

impl PartialEq for SourceGraph {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl FromIterator<(String, SourceNode)> for SourceGraph {
    fn from_iter<T: IntoIterator<Item = (String, SourceNode)>>(relatives: T) -> Self {
        Self { by_name: relatives.into_iter().collect(), cycles: OnceLock::new() }
    }
}

/// A `User` among its relatives.
#[derive(Clone, Copy, Debug)]
pub struct GraphUser<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its account.
    pub account: Option<&'a Account>,
    /// Its relatives.
    pub relatives: &'a SourceGraph,
}

/// Where permissions come from, and what that means for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceDecision {
    /// What the account has as its source.
    pub source: Option<Source>,
    /// What others keep.
    pub freezes: Vec<FrozenPermissions>,
    /// What it was decided by.
    pub seen: Vec<Precondition>,
    /// Who it was decided by and has no account.
    pub absent: Vec<String>,
    /// What of it can't be done.
    pub blocked: Option<Blocked>,
}

impl<'a> GraphUser<'a> {
    /// Returns an account by the name of its `User`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'a Account> {
        if name == self.name {
            return self.account;
        }
        self.relatives.get(name).and_then(|relative| relative.account.as_ref())
    }

    /// Returns what an account among the relatives has as its own.
    #[must_use]
    pub fn own(&self, account: &'a Account) -> Permissions {
        own(account, |name| self.find(name))
    }

    /// Decides where permissions come from, once these are listed.
    #[must_use]
    pub fn sourcing(
        &self,
        asked: Option<&'a PermissionSource>,
        grants: &Permissions,
    ) -> SourceDecision {
        let mut sourcing = match asked {
            None => SourceDecision::default(),
            Some(PermissionSource { name, mode: SourceMode::Clone }) => self.cloning(name),
            Some(PermissionSource { name, mode: SourceMode::Inherit }) => {
                self.inheriting(name, grants)
            }
        };
        if let Some(Source::Inherited { from, .. }) = &sourcing.source
            && self.in_force() == Some(from)
        {
            return sourcing;
        }
        let (cut, seen) = self.leave_loop();
        // Who was on a loop with this one, and is on another with it now, follows nobody.
        let on_a_loop = matches!(&sourcing.source, Some(Source::Inherited { kept: Some(_), .. }));
        let members: HashSet<_> =
            sourcing.seen.iter().filter(|_| on_a_loop).map(|seen| seen.account).collect();
        sourcing.freezes.extend(cut.into_iter().filter(|keep| !members.contains(&keep.account)));
        sourcing.seen.extend(seen);
        if on_a_loop && let Some(followed) = self.in_force() {
            // What it had came along this line.
            let line = self.path(followed);
            sourcing.seen.extend(line.iter().filter_map(|name| self.find(name)).map(precondition));
            sourcing.absent.extend(self.assumed_absent(&line));
        }
        sourcing
    }

    /// Returns what the others on a loop keep once this one is off it: nothing, as they follow each
    /// other again.
    #[must_use]
    pub fn leave_loop(&self) -> (Vec<FrozenPermissions>, Vec<Precondition>) {
        let Some(followed) = self.in_force() else { return (vec![], vec![]) };
        if !self.closes_loop(followed) {
            return (vec![], vec![]);
        }
        let members: Vec<&Account> =
            self.path(followed).into_iter().filter_map(|name| self.find(name)).collect();
        let freed = members.iter().filter(|account| frozen(account).is_some());
        (
            freed.map(|account| freeze(account, None)).collect(),
            members.iter().map(|account| precondition(account)).collect(),
        )
    }

    /// Returns the name of the `User` that the account follows, or would if it weren't on a loop.
    fn in_force(&self) -> Option<&'a str> {
        inherits_from(self.account?)
    }

    fn cloning(&self, name: &'a str) -> SourceDecision {
        match self.account.and_then(|account| account.content.source.as_ref()) {
            // It was taken once and for all.
            Some(source @ Source::Cloned(cloned)) if cloned.from == name => {
                SourceDecision { source: Some(source.clone()), ..SourceDecision::default() }
            }
            _ if name == self.name => {
                let blocked = Blocked::InheritanceCycle { users: vec![name.to_owned()], more: 0 };
                SourceDecision { blocked: Some(blocked), ..SourceDecision::default() }
            }
            _ => match available(self.relatives, PERMISSIONS_FROM, name) {
                Err(blocked) => {
                    SourceDecision { blocked: Some(blocked), ..SourceDecision::default() }
                }
                Ok(account) => {
                    let cloned = Cloned {
                        from: name.to_owned(),
                        uid: account.owner.uid.clone(),
                        generation: account.owner.generation,
                        permissions: self.own(account),
                    };
                    let chain = chain(account, |name| self.find(name));
                    let inherited = chain.inherited().iter().copied();
                    let seen = [account].into_iter().chain(inherited).map(precondition).collect();
                    let mut walked = self.path(name);
                    if self.closes_loop(name)
                        && let Some(followed) = self.in_force()
                    {
                        walked.extend(self.path(followed));
                    }
                    let absent = self.assumed_absent(&walked);
                    SourceDecision {
                        source: Some(Source::Cloned(cloned)),
                        seen,
                        absent,
                        ..SourceDecision::default()
                    }
                }
            },
        }
    }

    fn inheriting(&self, name: &'a str, grants: &Permissions) -> SourceDecision {
        // What is being deleted takes no new heirs, on a loop or not.
        let followed_already = self.in_force().is_some_and(|followed| followed == name);
        let leaving = self
            .relatives
            .get(name)
            .and_then(|relative| relative.declared.as_ref())
            .is_some_and(|user| user.deleting);
        if leaving && !followed_already {
            let blocked =
                Blocked::SourceNotFound { field: PERMISSIONS_FROM, user: name.to_owned(), leaving };
            return SourceDecision { blocked: Some(blocked), ..SourceDecision::default() };
        }
        if self.closes_loop(name) {
            return self.in_cycle(name, grants);
        }
        let blocked = match available(self.relatives, PERMISSIONS_FROM, name) {
            Err(blocked) => Some(blocked),
            Ok(account) if chain(account, |name| self.find(name)).is_too_deep_for_heirs() => {
                Some(Blocked::InheritanceTooDeep { user: name.to_owned() })
            }
            Ok(_) => None,
        };
        let source = Some(Source::Inherited { from: name.to_owned(), kept: None });
        // Whoever was followed already closes no loop, and nothing is written of who waits for an
        // account.
        let writes_nothing = self.account.is_none() && blocked.is_some();
        let (seen, absent) = if followed_already || writes_nothing {
            (vec![], vec![])
        } else {
            let names = self.path(name);
            (
                names.iter().filter_map(|name| self.find(name)).map(precondition).collect(),
                self.assumed_absent(&names),
            )
        };
        SourceDecision { source, seen, absent, blocked, freezes: vec![] }
    }

    fn assumed_absent(&self, names: &[&str]) -> Vec<String> {
        names.iter().filter(|name| self.find(name).is_none()).map(|&name| name.to_owned()).collect()
    }

    /// On a loop each keeps, of what it had, what somebody on the loop is still granted.
    fn in_cycle(&self, from: &'a str, grants: &Permissions) -> SourceDecision {
        let source = |kept| Some(Source::Inherited { from: from.to_owned(), kept: Some(kept) });
        let blocked = Some(self.cycle(from));
        // Whoever has no account gets none on a loop, and so takes nobody anything.
        let Some(account) = self.account else {
            return SourceDecision {
                source: source(Permissions::new()),
                blocked,
                ..SourceDecision::default()
            };
        };
        if let Some(cycle) = self.unchanged_cycle(from, grants)
            && cycle.unsettled.keys().all(|name| name == self.name)
        {
            let mine =
                cycle.unsettled.get(self.name).or(frozen(account)).cloned().unwrap_or_default();
            if frozen(account) == Some(&mine) {
                return SourceDecision {
                    source: source(mine),
                    blocked,
                    ..SourceDecision::default()
                };
            }
        }
        let names = self.path(from);
        let members: Vec<&Account> =
            names.iter().filter_map(|name| self.relatives.get(name)?.account.as_ref()).collect();
        let mut granted = grants.clone();
        granted.extend(members.iter().flat_map(|account| &account.content.grants).cloned());
        let stays = |account: &'a Account, grants: &Permissions| -> Permissions {
            visits::count();
            stays(&self.own(account), grants, |had| granted.contains(had))
        };
        // Whoever closes a loop writes to everybody on it: who counts on it being open is refused.
        let closes = self.in_force().is_none_or(|followed| followed != from);
        let keeps = members.iter().filter_map(|account| {
            let stays = stays(account, &account.content.grants);
            (closes || frozen(account) != Some(&stays)).then(|| freeze(account, Some(stays)))
        });
        SourceDecision {
            source: source(stays(account, grants)),
            freezes: keeps.collect(),
            seen: members.iter().map(|account| precondition(account)).collect(),
            absent: self.assumed_absent(&names),
            blocked,
        }
    }

    /// Returns the cycle that the account is on already, where neither whom it follows nor what it
    /// is granted changes: it was judged with everybody on it.
    fn unchanged_cycle(&self, from: &str, grants: &Permissions) -> Option<&'a Cycle> {
        let account = self.account.filter(|account| account.content.grants == *grants)?;
        let known = self.relatives.get(self.name).and_then(|relative| relative.account.as_ref());
        let is_known =
            known.is_some_and(|known| known.id == account.id && known.revision == account.revision);
        let follows = is_known && self.in_force().is_some_and(|followed| followed == from);
        self.relatives.cycles().cycle(self.name).filter(|_| follows)
    }

    /// Returns that a loop leads from this `User` through another one back to it.
    fn cycle(&self, from: &'a str) -> Blocked {
        let cycles = self.relatives.cycles();
        let cycle = cycles.cycle(self.name).filter(|_| cycles.next(self.name) == Some(from));
        let length = cycle.map_or_else(|| 1 + self.path(from).len(), |cycle| cycle.names.len());
        let mut users = vec![self.name.to_owned()];
        let mut bytes = 0;
        for name in self.walk(from) {
            // More than one message has room for, nobody reads.
            if bytes > ROOM_FOR_A_LOOP {
                break;
            }
            users.push(name.to_owned());
            bytes += ARROW.len() + name.len();
        }
        let more = length - users.len();
        Blocked::InheritanceCycle { users, more }
    }

    /// Whether the trail from a `User` leads to this one.
    fn closes_loop(&self, first: &str) -> bool {
        self.relatives.cycles().reaches(first, self.name)
    }

    /// Follows from `User` to `User`, by what is in force where there is an account and by what is
    /// declared where there is none, until the trail ends, comes back to somebody, or comes home.
    fn path(&self, first: &'a str) -> Vec<&'a str> {
        self.walk(first).collect()
    }

    fn walk(&self, first: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let home = self.name;
        self.relatives.cycles().from(first).take_while(move |name| *name != home)
    }
}

/// Returns the account of a `User` that something is to come from.
///
/// # Errors
/// When there is none: who the `User` waits for.
pub fn available<'a>(
    relatives: &'a SourceGraph,
    field: &'static str,
    name: &str,
) -> Result<&'a Account, Blocked> {
    let user = name.to_owned();
    match relatives.get(name) {
        Some(SourceNode { account: Some(account), .. }) => Ok(account),
        Some(SourceNode {
            account: None,
            declared: Some(DeclaredSource { deleting: false, .. }),
        }) => Err(Blocked::SourceNotReady { field, user }),
        Some(SourceNode {
            account: None,
            declared: Some(DeclaredSource { deleting: true, .. }),
        }) => Err(Blocked::SourceNotFound { field, user, leaving: true }),
        Some(SourceNode { account: None, declared: None }) | None => {
            Err(Blocked::SourceNotFound { field, user, leaving: false })
        }
    }
}

/// Returns the name that a trail goes on with from a `User`; one that goes without ever having had
/// an account leads nowhere.
#[must_use]
pub fn leads_to(relative: &SourceNode) -> Option<&str> {
    match relative {
        SourceNode { account: Some(account), .. } => inherits_from(account),
        SourceNode { account: None, declared } => {
            declared.as_ref().filter(|user| !user.deleting)?.follows.as_deref()
        }
    }
}

fn freeze(account: &Account, kept: Option<Permissions>) -> FrozenPermissions {
    FrozenPermissions { account: account.id, from: account.revision, kept }
}

pub(super) fn precondition(account: &Account) -> Precondition {
    Precondition { account: account.id, revision: account.revision }
}

#[cfg(test)]
mod tests;
