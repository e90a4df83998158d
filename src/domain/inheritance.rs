//! Inheritance: what an account's own permissions are, along the chain of those it inherits from,
//! and which heirs depend on an account.
//!
//! This is the one definition of it, beside the view that applications read. The store keeps no
//! inherited permission: every reader walks the chain, so that a change at its root is in force for
//! all heirs in the moment in which it is committed.

use std::collections::HashSet;
use std::hash::Hash;

use super::account::{Account, Cloned, Source};
use super::group::GroupContent;
use super::permission::{Permission, Permissions};

/// How many others permissions may be inherited through; further away nothing is inherited at all.
pub const MAX_DEPTH: usize = 32;

/// All that a chain reads of an account.
///
/// The reconciler looks at an account's heirs again when its link changes. So a rule that reads
/// more of an ancestor takes it from here, and reaches every heir without being told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLink<'a> {
    grants: &'a Permissions,
    source: Option<&'a Source>,
}

impl<'a> ChainLink<'a> {
    /// Returns what a chain reads of an account.
    #[must_use]
    pub fn of(account: &'a Account) -> Self {
        Self { grants: &account.content.grants, source: account.content.source.as_ref() }
    }

    fn inherits_from(self) -> Option<&'a str> {
        match self.source? {
            Source::Inherited { from, .. } => Some(from),
            Source::Cloned(_) => None,
        }
    }

    fn frozen(self) -> Option<&'a Permissions> {
        match self.source? {
            Source::Inherited { kept, .. } => kept.as_ref(),
            Source::Cloned(_) => None,
        }
    }

    /// Returns what the account has without inheriting anything.
    fn held(self) -> impl Iterator<Item = &'a Permission> {
        let taken = match self.source {
            Some(Source::Cloned(Cloned { permissions, .. })) => Some(permissions),
            Some(Source::Inherited { kept, .. }) => kept.as_ref(),
            None => None,
        };
        self.grants.iter().chain(taken.into_iter().flatten())
    }
}

/// Returns the name of the `User` that the account inherits from, or would if it weren't on a loop.
#[must_use]
pub fn inherits_from(account: &Account) -> Option<&str> {
    ChainLink::of(account).inherits_from()
}

/// Returns what an account on a loop keeps instead of inheriting.
#[must_use]
pub fn frozen(account: &Account) -> Option<&Permissions> {
    ChainLink::of(account).frozen()
}

/// Returns the name of the `User` whose permissions the account follows.
#[must_use]
pub fn followed(account: &Account) -> Option<&str> {
    inherits_from(account).filter(|_| frozen(account).is_none())
}

/// The accounts that an account follows, one after the other.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    /// The accounts, nearest first.
    pub ancestors: Vec<&'a Account>,
    /// Why the chain goes no further than the last of them.
    pub end: ChainEnd<'a>,
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd<'a> {
    /// At an account that inherits from nobody; it may be the first one.
    End,
    /// At the name of a `User` without an account.
    Missing(&'a str),
    /// At an account on a loop, whose permissions are frozen.
    Loop,
    /// One account further than permissions go.
    TooDeep,
}

impl<'a> Chain<'a> {
    /// Returns the accounts that permissions come through: none where the chain is too deep.
    #[must_use]
    pub fn inherited(&self) -> &[&'a Account] {
        if self.end == ChainEnd::TooDeep { &[] } else { &self.ancestors }
    }

    /// Whether nothing would be inherited by an heir of the chain's first account.
    #[must_use]
    pub fn is_too_deep_for_heirs(&self) -> bool {
        self.ancestors.len() >= MAX_DEPTH
    }
}

/// Walks from an account to the one that it follows, until the chain ends.
pub fn chain<'a>(account: &'a Account, find: impl Fn(&str) -> Option<&'a Account>) -> Chain<'a> {
    let (mut ancestors, mut last) = (vec![], account);
    let end = loop {
        let Some(name) = followed(last) else {
            let is_on_loop = frozen(last).is_some();
            break if is_on_loop { ChainEnd::Loop } else { ChainEnd::End };
        };
        let Some(next) = find(name) else { break ChainEnd::Missing(name) };
        ancestors.push(next);
        // A loop that no commit has frozen yet ends here too.
        if ancestors.len() > MAX_DEPTH {
            break ChainEnd::TooDeep;
        }
        last = next;
    };
    Chain { ancestors, end }
}

/// Returns the account's own permissions: what it lists, what it cloned, what was frozen on a loop,
/// and what it inherits.
pub fn own<'a>(account: &'a Account, find: impl Fn(&str) -> Option<&'a Account>) -> Permissions {
    let chain = chain(account, find);
    let all = [account].into_iter().chain(chain.inherited().iter().copied());
    all.flat_map(|account| ChainLink::of(account).held()).cloned().collect()
}

/// Returns the permissions in effect: the account's own, and what its group gives.
pub fn effective<'a>(
    account: &'a Account,
    group: Option<&GroupContent>,
    find: impl Fn(&str) -> Option<&'a Account>,
) -> Permissions {
    let mut all = own(account, find);
    all.extend(group.map(GroupContent::given).unwrap_or_default());
    all
}

/// Returns the names of those who inherit from one of these users, directly or through others: each
/// once, and one who is alone asked for isn't its own heir.
pub fn heirs<I: IntoIterator<Item = String>>(
    users: impl IntoIterator<Item = String>,
    followers: impl Fn(&str) -> I,
) -> Vec<String> {
    let (mut open, mut heirs): (Vec<String>, Vec<String>) = (users.into_iter().collect(), vec![]);
    let mut met: HashSet<String> = open.iter().filter(|_| open.len() == 1).cloned().collect();
    let mut walked: HashSet<String> = HashSet::new();
    while let Some(name) = open.pop() {
        if !walked.insert(name.clone()) {
            continue;
        }
        for heir in followers(&name) {
            if met.insert(heir.clone()) {
                open.push(heir.clone());
                heirs.push(heir);
            }
        }
    }
    heirs
}

/// Returns what is reached from the first ones, these included, each once and in the order of the
/// walk: a loop ends it as a dead end does.
pub fn reached<T: Clone + Eq + Hash, I: IntoIterator<Item = T>>(
    first: impl IntoIterator<Item = T>,
    next: impl Fn(&T) -> I,
) -> Vec<T> {
    let (mut open, mut met): (Vec<T>, HashSet<T>) = (first.into_iter().collect(), HashSet::new());
    let mut reached = vec![];
    while let Some(one) = open.pop() {
        if met.insert(one.clone()) {
            open.extend(next(&one));
            reached.push(one);
        }
    }
    reached
}
