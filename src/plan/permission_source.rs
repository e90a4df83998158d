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
use super::{Keep, SeenAccount};
use crate::api::user::{PermissionSource, SourceMode};
use crate::domain::account::{Account, Cloned, Source};
use crate::domain::inheritance::{self, LONGEST_LINE, followed};
use crate::domain::permission::Permissions;

/// What is known of a `User` that others' permissions or details come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relative {
    /// Its account.
    pub account: Option<Account>,
    /// The resource, if it is there.
    pub declared: Option<Declared>,
}

/// What is known of a resource that others' permissions or details come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Whether somebody deleted it.
    pub deleting: bool,
    /// The name of the `User` that it asks to follow.
    pub follows: Option<String>,
}

/// The `User`s that one's permissions or details come from or would, by name: each with those that
/// theirs come from.
#[derive(Clone, Debug, Default)]
pub struct Relatives {
    by_name: BTreeMap<String, Relative>,
    /// Where they lead in a cycle, found once for all whose relatives they are.
    cycles: OnceLock<Cycles>,
}

impl Relatives {
    /// Returns what is known of a `User`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Relative> {
        self.by_name.get(name)
    }

    /// Puts what is known of a `User` in place of what was known before.
    pub fn insert(&mut self, name: String, relative: Relative) {
        self.cycles = OnceLock::new();
        self.by_name.insert(name, relative);
    }

    #[cfg(test)]
    fn get_mut(&mut self, name: &str) -> Option<&mut Relative> {
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

impl PartialEq for Relatives {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl FromIterator<(String, Relative)> for Relatives {
    fn from_iter<T: IntoIterator<Item = (String, Relative)>>(relatives: T) -> Self {
        Self { by_name: relatives.into_iter().collect(), cycles: OnceLock::new() }
    }
}

/// A `User` among its relatives.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its account.
    pub account: Option<&'a Account>,
    /// Its relatives.
    pub relatives: &'a Relatives,
}

/// Where permissions come from, and what that means for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sourcing {
    /// What the account has as its source.
    pub source: Option<Source>,
    /// What others keep.
    pub keeps: Vec<Keep>,
    /// What it was decided by.
    pub seen: Vec<SeenAccount>,
    /// Who it was decided by and has no account.
    pub absent: Vec<String>,
    /// What of it can't be done.
    pub blocked: Option<Blocked>,
}

impl<'a> Person<'a> {
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
        inheritance::own(account, |name| self.find(name))
    }

    /// Decides where permissions come from, once these are listed.
    #[must_use]
    pub fn sourcing(&self, asked: Option<&'a PermissionSource>, grants: &Permissions) -> Sourcing {
        let mut sourcing = match asked {
            None => Sourcing::default(),
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
        let (cut, seen) = self.cut();
        // Who was on a loop with this one, and is on another with it now, follows nobody.
        let on_a_loop = matches!(&sourcing.source, Some(Source::Inherited { kept: Some(_), .. }));
        let members: HashSet<_> =
            sourcing.seen.iter().filter(|_| on_a_loop).map(|seen| seen.account).collect();
        sourcing.keeps.extend(cut.into_iter().filter(|keep| !members.contains(&keep.account)));
        sourcing.seen.extend(seen);
        if on_a_loop && let Some(followed) = self.in_force() {
            // What it had came along this line.
            let line = self.trail(followed);
            sourcing.seen.extend(line.iter().filter_map(|name| self.find(name)).map(self::seen));
            sourcing.absent.extend(self.absent(&line));
        }
        sourcing
    }

    /// Returns what the others on a loop keep once this one is off it: nothing, as they follow each
    /// other again.
    #[must_use]
    pub fn cut(&self) -> (Vec<Keep>, Vec<SeenAccount>) {
        let Some(followed) = self.in_force() else { return (vec![], vec![]) };
        if !self.comes_home(followed) {
            return (vec![], vec![]);
        }
        let members: Vec<&Account> =
            self.trail(followed).into_iter().filter_map(|name| self.find(name)).collect();
        let freed = members.iter().filter(|account| kept(account).is_some());
        (
            freed.map(|account| keep(account, None)).collect(),
            members.iter().map(|account| seen(account)).collect(),
        )
    }

    /// Returns the name of the `User` that the account follows, or would if it weren't on a loop.
    fn in_force(&self) -> Option<&'a String> {
        match self.account?.content.source.as_ref()? {
            Source::Inherited { from, .. } => Some(from),
            Source::Cloned(_) => None,
        }
    }

    fn cloning(&self, name: &'a str) -> Sourcing {
        match self.account.and_then(|account| account.content.source.as_ref()) {
            // It was taken once and for all.
            Some(source @ Source::Cloned(cloned)) if cloned.from == name => {
                Sourcing { source: Some(source.clone()), ..Sourcing::default() }
            }
            _ if name == self.name => {
                let blocked = Blocked::InheritanceCycle { users: vec![name.to_owned()], more: 0 };
                Sourcing { blocked: Some(blocked), ..Sourcing::default() }
            }
            _ => match available(self.relatives, PERMISSIONS_FROM, name) {
                Err(blocked) => Sourcing { blocked: Some(blocked), ..Sourcing::default() },
                Ok(account) => {
                    let cloned = Cloned {
                        from: name.to_owned(),
                        uid: account.owner.uid.clone(),
                        generation: account.owner.generation,
                        permissions: self.own(account),
                    };
                    let line = inheritance::line(account, |name| self.find(name));
                    let seen = [account].into_iter().chain(line).map(seen).collect();
                    let mut walked = self.trail(name);
                    if self.comes_home(name)
                        && let Some(followed) = self.in_force()
                    {
                        walked.extend(self.trail(followed));
                    }
                    let absent = self.absent(&walked);
                    Sourcing {
                        source: Some(Source::Cloned(cloned)),
                        seen,
                        absent,
                        ..Sourcing::default()
                    }
                }
            },
        }
    }

    fn inheriting(&self, name: &'a str, grants: &Permissions) -> Sourcing {
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
            return Sourcing { blocked: Some(blocked), ..Sourcing::default() };
        }
        if self.comes_home(name) {
            return self.on_a_loop(name, grants);
        }
        let blocked = match available(self.relatives, PERMISSIONS_FROM, name) {
            Err(blocked) => Some(blocked),
            Ok(account) if self.is_too_long(account) => {
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
            let names = self.trail(name);
            (
                names.iter().filter_map(|name| self.find(name)).map(seen).collect(),
                self.absent(&names),
            )
        };
        Sourcing { source, seen, absent, blocked, keeps: vec![] }
    }

    fn absent(&self, names: &[&str]) -> Vec<String> {
        names.iter().filter(|name| self.find(name).is_none()).map(|&name| name.to_owned()).collect()
    }

    fn is_too_long(&self, source: &'a Account) -> bool {
        let (mut length, mut last) = (1, source);
        while let Some(next) = followed(last).and_then(|name| self.find(name)) {
            length += 1;
            if length > LONGEST_LINE {
                return true;
            }
            last = next;
        }
        false
    }

    /// On a loop each keeps, of what it had, what somebody on the loop is still granted.
    fn on_a_loop(&self, from: &'a str, grants: &Permissions) -> Sourcing {
        let source = |kept| Some(Source::Inherited { from: from.to_owned(), kept: Some(kept) });
        let blocked = Some(self.cycle(from));
        // Whoever has no account gets none on a loop, and so takes nobody anything.
        let Some(account) = self.account else {
            return Sourcing { source: source(Permissions::new()), blocked, ..Sourcing::default() };
        };
        if let Some(cycle) = self.unchanged_cycle(from, grants)
            && cycle.unsettled.keys().all(|name| name == self.name)
        {
            let mine =
                cycle.unsettled.get(self.name).or(kept(account)).cloned().unwrap_or_default();
            if kept(account) == Some(&mine) {
                return Sourcing { source: source(mine), blocked, ..Sourcing::default() };
            }
        }
        let names = self.trail(from);
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
            (closes || kept(account) != Some(&stays)).then(|| keep(account, Some(stays)))
        });
        Sourcing {
            source: source(stays(account, grants)),
            keeps: keeps.collect(),
            seen: members.iter().map(|account| seen(account)).collect(),
            absent: self.absent(&names),
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
        let length = cycle.map_or_else(|| 1 + self.trail(from).len(), |cycle| cycle.names.len());
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
    fn comes_home(&self, first: &str) -> bool {
        self.relatives.cycles().reaches(first, self.name)
    }

    /// Follows from `User` to `User`, by what is in force where there is an account and by what is
    /// declared where there is none, until the trail ends, comes back to somebody, or comes home.
    fn trail(&self, first: &'a str) -> Vec<&'a str> {
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
    relatives: &'a Relatives,
    field: &'static str,
    name: &str,
) -> Result<&'a Account, Blocked> {
    let user = name.to_owned();
    match relatives.get(name) {
        Some(Relative { account: Some(account), .. }) => Ok(account),
        Some(Relative { account: None, declared: Some(Declared { deleting: false, .. }) }) => {
            Err(Blocked::SourceNotReady { field, user })
        }
        Some(Relative { account: None, declared: Some(Declared { deleting: true, .. }) }) => {
            Err(Blocked::SourceNotFound { field, user, leaving: true })
        }
        Some(Relative { account: None, declared: None }) | None => {
            Err(Blocked::SourceNotFound { field, user, leaving: false })
        }
    }
}

/// Returns the name that a trail goes on with from a `User`; one that goes without ever having had
/// an account leads nowhere.
#[must_use]
pub fn leads_to(relative: &Relative) -> Option<&str> {
    match relative {
        Relative { account: Some(account), .. } => match &account.content.source {
            Some(Source::Inherited { from, .. }) => Some(from),
            Some(Source::Cloned(_)) | None => None,
        },
        Relative { account: None, declared } => {
            declared.as_ref().filter(|user| !user.deleting)?.follows.as_deref()
        }
    }
}

/// Returns what an account keeps because it is on a loop.
pub(super) fn kept(account: &Account) -> Option<&Permissions> {
    match &account.content.source {
        Some(Source::Inherited { kept, .. }) => kept.as_ref(),
        Some(Source::Cloned(_)) | None => None,
    }
}

fn keep(account: &Account, kept: Option<Permissions>) -> Keep {
    Keep { account: account.id, from: account.revision, kept }
}

fn seen(account: &Account) -> SeenAccount {
    SeenAccount { account: account.id, revision: account.revision }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::api::Reason;
    use crate::domain::account::{
        AccountId, Content, Lifecycle, Owner, Profile, Revision, Transaction, TransactionId,
        TransactionKind,
    };
    use crate::domain::email::Email;
    use crate::domain::organization::LoginName;
    use crate::domain::permission::parse_all;
    use crate::domain::self_service::MemberValues;

    fn permissions(texts: &str) -> Permissions {
        parse_all(&texts.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn account(name: &str, grants: &str, source: Option<Source>) -> Account {
        let time = Timestamp::UNIX_EPOCH;
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Account {
            id: AccountId(id),
            namespace: "acme".to_owned(),
            revision: Revision(1),
            owner: Owner { name: name.to_owned(), uid: format!("uid of {name}"), generation: 3 },
            login_name: LoginName::stored(format!("{name}.acme")),
            content: Content {
                email: Email::stored(format!("{name}@acme.example")),
                lifecycle: Lifecycle::Enabled,
                group: "users".to_owned(),
                grants: permissions(grants),
                source,
                role: None,
                teams: BTreeSet::new(),
                profile: Profile::default(),
                copied: None,
                member: MemberValues::default(),
            },
            created: time,
            cloned: None,
            transaction: Transaction {
                id: TransactionId(id),
                kind: TransactionKind::Create,
                revision: Revision(1),
                started: time,
                deadline: time,
                completed: Some(time),
            },
            credential: None,
            confirmed: BTreeMap::new(),
        }
    }

    fn follows(name: &str) -> Option<Source> {
        Some(Source::Inherited { from: name.to_owned(), kept: None })
    }

    fn keeps(name: &str, kept: &str) -> Option<Source> {
        Some(Source::Inherited { from: name.to_owned(), kept: Some(permissions(kept)) })
    }

    fn from(name: &str, mode: SourceMode) -> PermissionSource {
        PermissionSource { name: name.to_owned(), mode }
    }

    /// Everybody who has an account, as a relative.
    fn people(accounts: &[Account]) -> Relatives {
        let relative = |account: &Account| Relative {
            account: Some(account.clone()),
            declared: Some(Declared {
                deleting: false,
                follows: super::leads_to(&Relative {
                    account: Some(account.clone()),
                    declared: None,
                })
                .map(str::to_owned),
            }),
        };
        accounts.iter().map(|account| (account.owner.name.clone(), relative(account))).collect()
    }

    #[track_caller]
    fn decided(
        name: &str,
        relatives: &Relatives,
        asked: Option<(&str, SourceMode)>,
        grants: &str,
    ) -> Sourcing {
        let account = relatives.get(name).and_then(|relative| relative.account.as_ref());
        let asked = asked.map(|(name, mode)| from(name, mode));
        let person = Person { name, account, relatives };
        person.sourcing(asked.as_ref(), &permissions(grants))
    }

    fn kept_by(sourcing: &Sourcing, name: &str) -> Option<Option<String>> {
        let id = account(name, "", None).id;
        let texts =
            |kept: &Permissions| kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        sourcing
            .keeps
            .iter()
            .find(|keep| keep.account == id)
            .map(|keep| keep.kept.as_ref().map(texts))
    }

    #[test]
    fn whoever_closes_a_loop_says_what_everybody_on_it_keeps() {
        // carol -> bob -> alice, and now alice -> carol.
        let people = people(&[
            account("alice", "a x", None),
            account("bob", "b", follows("alice")),
            account("carol", "c", follows("bob")),
        ]);
        let closed = decided("alice", &people, Some(("carol", SourceMode::Inherit)), "a new");
        assert_eq!(
            closed.blocked,
            Some(Blocked::InheritanceCycle {
                users: ["alice", "carol", "bob"].map(str::to_owned).to_vec(),
                more: 0
            })
        );
        // x was taken from alice by the same edit, new was had by nobody, and alice never had b or
        // c.
        assert_eq!(closed.source, keeps("carol", ""));
        assert_eq!(kept_by(&closed, "bob"), Some(Some("a".to_owned())));
        assert_eq!(kept_by(&closed, "carol"), Some(Some("a b".to_owned())));
        assert_eq!(closed.seen.len(), 2);
    }

    #[test]
    fn a_revocation_on_a_loop_is_for_everybody_on_it_and_what_is_granted_again_does_not_come_back()
    {
        let looped = |bob: &str| {
            people(&[
                account("alice", "", keeps("bob", "p q")),
                account("bob", bob, keeps("alice", "")),
            ])
        };
        let revoked = decided("bob", &looped("p q"), Some(("alice", SourceMode::Inherit)), "q");
        assert_eq!(kept_by(&revoked, "alice"), Some(Some("q".to_owned())));
        assert_eq!(revoked.source, keeps("alice", ""));
        let mut after = looped("q");
        after.get_mut("alice").unwrap().account.as_mut().unwrap().content.source =
            keeps("bob", "q");
        let granted_again = decided("bob", &after, Some(("alice", SourceMode::Inherit)), "p q");
        assert_eq!(kept_by(&granted_again, "alice"), None);
    }

    /// So many who follow each other in a ring and keep nothing, or in a line.
    fn row(many: usize, is_ring: bool) -> Relatives {
        let follows = |number: usize| match (is_ring, number + 1 == many) {
            (true, last) => keeps(&format!("u{}", if last { 0 } else { number + 1 }), ""),
            (false, true) => None,
            (false, false) => follows(&format!("u{}", number + 1)),
        };
        people(
            &(0..many)
                .map(|number| account(&format!("u{number}"), "a", follows(number)))
                .collect::<Vec<_>>(),
        )
    }

    /// Returns how often somebody is looked at while everybody in such a row is judged.
    fn work(many: usize, is_ring: bool) -> usize {
        let people = row(many, is_ring);
        visits::take();
        for number in 0..many {
            let name = format!("u{number}");
            let next = format!("u{}", (number + 1) % many);
            let asked =
                (is_ring || number + 1 < many).then_some((next.as_str(), SourceMode::Inherit));
            let sourcing = decided(&name, &people, asked, "a");
            assert_eq!(
                (sourcing.keeps, sourcing.seen, sourcing.absent),
                (vec![], vec![], Vec::<String>::new())
            );
            assert_eq!(
                sourcing.blocked.is_some(),
                is_ring || many - number > LONGEST_LINE + 1,
                "{name}"
            );
        }
        visits::take()
    }

    #[test]
    fn judging_four_times_as_many_on_a_loop_or_a_line_is_four_times_the_work() {
        for is_ring in [true, false] {
            let (few, many) = (work(1000, is_ring), work(4000, is_ring));
            assert!(many * 10 <= few * 4 * 11, "{few} for 1000, {many} for 4000 (ring: {is_ring})");
        }
    }

    #[test]
    fn who_changes_nothing_of_a_loop_is_not_refused_when_others_on_it_change() {
        let people = people(&[
            account("alice", "a", keeps("bob", "b")),
            account("bob", "b", keeps("alice", "a")),
        ]);
        let settled = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
        assert_eq!((settled.source, settled.seen), (keeps("bob", "b"), vec![]));
        let granted = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a c");
        assert_eq!(granted.seen.len(), 1);
    }

    #[test]
    fn what_is_kept_on_a_loop_settles() {
        let people = people(&[
            account("alice", "a", keeps("bob", "b")),
            account("bob", "b", keeps("alice", "")),
        ]);
        let again = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
        assert_eq!((again.source, again.keeps), (keeps("bob", "b"), vec![]));
        let ids = |sourcing: &Sourcing| {
            sourcing.keeps.iter().map(|keep| keep.account).collect::<BTreeSet<_>>()
        };
        let unsettled = self::people(&[
            account("alice", "a", keeps("bob", "b")),
            account("bob", "b", keeps("alice", "gone")),
        ]);
        let mended = decided("alice", &unsettled, Some(("bob", SourceMode::Inherit)), "a");
        assert_eq!(
            (mended.source.clone(), ids(&mended), mended.seen.len()),
            (keeps("bob", "b"), self::ids(&["bob"]), 1)
        );
        assert_eq!(
            decided("bob", &unsettled, Some(("alice", SourceMode::Inherit)), "b").source,
            keeps("alice", "")
        );
    }

    #[test]
    fn whoever_leaves_a_loop_lets_the_others_follow_each_other_again() {
        let people = people(&[
            account("alice", "", keeps("bob", "")),
            account("bob", "", keeps("carol", "")),
            account("carol", "", keeps("alice", "")),
            account("dave", "", None),
        ]);
        for asked in [
            None,
            Some(("dave", SourceMode::Inherit)),
            Some(("dave", SourceMode::Clone)),
            Some(("nobody", SourceMode::Inherit)),
        ] {
            let cut = decided("alice", &people, asked, "");
            assert_eq!(
                (kept_by(&cut, "bob"), kept_by(&cut, "carol")),
                (Some(None), Some(None)),
                "{asked:?}"
            );
        }
        let shorter = decided("carol", &people, Some(("bob", SourceMode::Inherit)), "");
        assert_eq!(kept_by(&shorter, "alice"), Some(None));
        assert_eq!(shorter.source, keeps("bob", ""));
    }

    #[test]
    fn an_heir_outside_a_loop_is_not_on_it() {
        let people = people(&[
            account("alice", "a", keeps("bob", "")),
            account("bob", "b", keeps("alice", "a")),
        ]);
        let heir = decided("carol", &people, Some(("alice", SourceMode::Inherit)), "");
        assert_eq!((heir.source, heir.blocked), (follows("alice"), None));
    }

    #[test]
    fn a_loop_through_a_user_without_an_account_is_one() {
        let mut people = people(&[account("alice", "", follows("bob"))]);
        let declared = Declared { deleting: false, follows: Some("alice".to_owned()) };
        people.insert("bob".to_owned(), Relative { account: None, declared: Some(declared) });
        let why = |name: &str, other: &str| {
            decided(name, &people, Some((other, SourceMode::Inherit)), "")
                .blocked
                .map(|why| why.reason())
        };
        assert_eq!(why("alice", "bob"), Some(Reason::InheritanceCycle));
        assert_eq!(why("bob", "alice"), Some(Reason::InheritanceCycle));
    }

    #[test]
    fn nobody_inherits_or_clones_from_themselves() {
        let people = people(&[account("alice", "a", None)]);
        for mode in [SourceMode::Inherit, SourceMode::Clone] {
            let decided = decided("alice", &people, Some(("alice", mode)), "a");
            assert_eq!(
                decided.blocked,
                Some(Blocked::InheritanceCycle { users: vec!["alice".to_owned()], more: 0 })
            );
        }
    }

    #[test]
    fn a_line_of_33_is_too_long() {
        let name = |number: usize| format!("u{number}");
        let line = |length: usize| -> Vec<Account> {
            (1..=length)
                .map(|number| {
                    account(
                        &name(number),
                        "",
                        (number < length).then(|| follows(&name(number + 1))).flatten(),
                    )
                })
                .collect()
        };
        assert_eq!(
            decided("u0", &people(&line(32)), Some(("u1", SourceMode::Inherit)), "").blocked,
            None
        );
        let too_long = decided("u0", &people(&line(33)), Some(("u1", SourceMode::Inherit)), "");
        assert_eq!(too_long.blocked, Some(Blocked::InheritanceTooDeep { user: "u1".to_owned() }));
    }

    #[test]
    fn a_clone_of_an_heir_of_ones_own_counts_on_whom_one_follows_being_absent() {
        let people = people(&[
            account("alice", "", follows("carol")),
            account("bob", "b", follows("alice")),
        ]);
        assert_eq!(
            decided("alice", &people, Some(("bob", SourceMode::Clone)), "").absent,
            ["carol"]
        );
    }

    #[test]
    fn a_clone_is_taken_once_of_all_that_the_source_has_as_its_own() {
        let clone = |asked: &str, people: &Relatives| {
            decided("alice", people, Some((asked, SourceMode::Clone)), "")
        };
        let mut people = people(&[
            account("alice", "", None),
            account("bob", "b", follows("carol")),
            account("carol", "c", None),
        ]);
        let taken = clone("bob", &people);
        let Some(Source::Cloned(snapshot)) = &taken.source else { panic!("not cloned: {taken:?}") };
        assert_eq!(
            (&snapshot.permissions, snapshot.generation, snapshot.uid.as_str()),
            (&permissions("b c"), 3, "uid of bob")
        );
        assert_eq!(taken.seen.len(), 2);
        people.get_mut("alice").unwrap().account.as_mut().unwrap().content.source =
            taken.source.clone();
        people.get_mut("bob").unwrap().account.as_mut().unwrap().content.grants =
            permissions("other");
        assert_eq!(
            (clone("bob", &people).source, clone("bob", &people).seen),
            (taken.source.clone(), vec![])
        );
        people.remove("bob");
        assert_eq!(clone("bob", &people).source, taken.source);
        let retaken = clone("carol", &people);
        assert!(
            matches!(retaken.source, Some(Source::Cloned(clone)) if clone.permissions == permissions("c"))
        );
        let gone = clone("nobody", &people);
        assert_eq!(
            (gone.source, gone.blocked.map(|why| why.reason())),
            (None, Some(Reason::SourceNotFound))
        );
    }

    #[test]
    fn a_user_on_its_way_out_keeps_its_heirs_and_gets_no_new_ones() {
        let mut people = people(&[
            account("alice", "", follows("bob")),
            account("bob", "b", None),
            account("carol", "", None),
        ]);
        people.get_mut("bob").unwrap().declared = Some(Declared { deleting: true, follows: None });
        let inherit = |name: &str| decided(name, &people, Some(("bob", SourceMode::Inherit)), "");
        assert_eq!((inherit("alice").source, inherit("alice").blocked), (follows("bob"), None));
        let late = inherit("carol");
        assert_eq!(
            (late.source, late.blocked.map(|why| why.reason())),
            (None, Some(Reason::SourceNotFound))
        );
    }

    #[test]
    fn whom_nobody_can_follow_yet_is_followed_once_they_are_there() {
        let mut people = people(&[account("alice", "", None)]);
        let inherit = |people: &Relatives| {
            let decided = decided("alice", people, Some(("bob", SourceMode::Inherit)), "");
            (decided.source, decided.blocked.map(|why| why.reason()))
        };
        assert_eq!(inherit(&people), (follows("bob"), Some(Reason::SourceNotFound)));
        people.insert(
            "bob".to_owned(),
            Relative { account: None, declared: Some(Declared { deleting: false, follows: None }) },
        );
        assert_eq!(inherit(&people), (follows("bob"), Some(Reason::SourceNotReady)));
        people.get_mut("bob").unwrap().account = Some(account("bob", "b", None));
        assert_eq!(inherit(&people), (follows("bob"), None));
    }

    /// The people, while somebody deletes this one.
    fn while_deleted(mut people: Relatives, name: &str) -> Relatives {
        people.get_mut(name).and_then(|relative| relative.declared.as_mut()).unwrap().deleting =
            true;
        people
    }

    fn ids(names: &[&str]) -> BTreeSet<AccountId> {
        names.iter().map(|name| account(name, "", None).id).collect()
    }

    #[test]
    fn what_is_being_deleted_takes_no_new_heirs_though_it_would_be_on_a_loop() {
        let people = while_deleted(
            people(&[account("alice", "", None), account("bob", "b", follows("alice"))]),
            "bob",
        );
        let late = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "");
        assert_eq!(late.source, None);
        assert!(matches!(late.blocked, Some(Blocked::SourceNotFound { leaving: true, .. })));
    }

    #[test]
    fn a_user_that_goes_without_an_account_is_on_no_loop() {
        let mut people = people(&[account("alice", "", follows("bob"))]);
        let bob = Declared { deleting: false, follows: Some("alice".to_owned()) };
        people.insert("bob".to_owned(), Relative { account: None, declared: Some(bob) });
        let people = while_deleted(people, "bob");
        let blocked = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "").blocked;
        assert!(matches!(blocked, Some(Blocked::SourceNotFound { leaving: true, .. })));
    }

    #[test]
    fn who_closes_a_loop_is_refused_when_what_it_had_or_who_is_on_it_is_another_by_then() {
        let people = people(&[
            account("alice", "a", follows("carol")),
            account("bob", "b", keeps("alice", "")),
            account("carol", "c", follows("dave")),
        ]);
        let closed = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
        assert_eq!(
            closed.keeps.iter().map(|keep| keep.account).collect::<BTreeSet<_>>(),
            ids(&["bob"])
        );
        assert_eq!(
            closed.seen.iter().map(|seen| seen.account).collect::<BTreeSet<_>>(),
            ids(&["bob", "carol"])
        );
        assert_eq!(closed.absent, ["dave"]);
    }

    #[test]
    fn who_moves_from_one_loop_to_another_frees_only_those_who_are_on_none_any_more() {
        let people = people(&[
            account("alice", "a", keeps("bob", "")),
            account("bob", "b", keeps("carol", "")),
            account("carol", "c", keeps("alice", "")),
            account("dave", "d", follows("carol")),
        ]);
        let moved = decided("alice", &people, Some(("dave", SourceMode::Inherit)), "a");
        let freed = moved.keeps.iter().filter(|keep| keep.kept.is_none()).map(|keep| keep.account);
        assert_eq!(freed.collect::<BTreeSet<_>>(), ids(&["bob"]));
        assert_eq!(moved.source, keeps("dave", ""));
    }
}
