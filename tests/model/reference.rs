//! Permissions as the design has them, by resources: an independent model that shares no code with
//! the product.
//!
//! It is told what is declared and which plans the store took, in order, and says what every
//! account must then have. Only what the design leaves to the moment is taken over from a plan, and
//! checked: that an administrator's edit still waits, and that a clone isn't taken yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(crate) type Words = BTreeSet<String>;

/// How many others permissions come through at most.
const DEEPEST: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Inherit,
    Clone,
}

/// A `User` as declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Person {
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) paused: bool,
    pub(crate) deleting: bool,
    pub(crate) protected: bool,
    pub(crate) approved: bool,
    pub(crate) enabled: bool,
    pub(crate) group: String,
    pub(crate) grants: Words,
    pub(crate) from: Option<(Mode, String)>,
    pub(crate) copy_of: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) teams: Words,
    pub(crate) display_name: Option<String>,
}

impl Person {
    /// Somebody who waits for nothing but, perhaps, for whom they follow.
    pub(crate) fn plain(name: &str, from: Option<(Mode, String)>) -> Self {
        Self {
            uid: String::new(),
            generation: 0,
            paused: false,
            deleting: false,
            protected: false,
            approved: true,
            enabled: true,
            group: "users".to_owned(),
            grants: Words::new(),
            from,
            copy_of: None,
            email: Some(format!("{name}@acme.example")),
            role: None,
            teams: Words::new(),
            display_name: Some(name.to_owned()),
        }
    }
}

/// A `UserGroup` as declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) paused: bool,
    pub(crate) deleting: bool,
    pub(crate) gives: Gives,
}

/// What a group gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gives {
    pub(crate) full_control: bool,
    pub(crate) permissions: Words,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Own,
    Follows(String),
    Cloned { from: String, uid: String, generation: i64, permissions: Words },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copied {
    pub(crate) from: String,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) role: Option<String>,
    pub(crate) teams: Words,
    pub(crate) display_name: String,
}

/// An account in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) email: String,
    pub(crate) enabled: bool,
    pub(crate) group: String,
    pub(crate) grants: Words,
    pub(crate) source: Source,
    /// On a loop: what stays of what it had.
    pub(crate) kept: Option<Words>,
    pub(crate) role: Option<String>,
    pub(crate) teams: Words,
    pub(crate) display_name: String,
    pub(crate) copied: Option<Copied>,
}

/// What of a plan the design leaves to the moment in which it was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) group: String,
    pub(crate) enabled: bool,
    pub(crate) cloned: bool,
}

/// A plan that the store took.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Created { name: String, uid: String, generation: i64, choice: Choice },
    Updated { name: String, uid: String, generation: i64, choice: Choice },
    Deleted { name: String, uid: String },
    GroupPut { name: String, full_control: bool },
    GroupDropped { name: String },
    Other,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { name, generation, .. } => {
                write!(f, "{name} created as of {generation}")
            }
            Self::Updated { name, generation, .. } => write!(f, "{name} as of {generation}"),
            Self::Deleted { name, .. } => write!(f, "{name} deleted"),
            Self::GroupPut { name, .. } => write!(f, "the group {name}"),
            Self::GroupDropped { name } => write!(f, "the group {name} dropped"),
            Self::Other => write!(f, "something else"),
        }
    }
}

/// Why something waits or is refused, as the conditions name it, and whether it is about
/// permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) reason: &'static str,
    pub(crate) about_permissions: bool,
}

fn why(reason: &'static str) -> Why {
    Why { reason, about_permissions: false }
}

fn no_source(reason: &'static str) -> Why {
    Why { reason, about_permissions: true }
}

/// An organization: what is declared, and what is in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Law {
    pub(crate) users: BTreeMap<String, Person>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) in_force: BTreeMap<String, Gives>,
    /// Accounts whose mark of a loop may be late: the loop leads through somebody without an
    /// account, so that no commit closes or opens it.
    pub(crate) loose: BTreeSet<String>,
}

impl Law {
    // What is in force.

    pub(crate) fn gives(&self, group: &str) -> Option<Gives> {
        let undeclared = match group {
            "administrators" => Some(Gives { full_control: true, ..Gives::default() }),
            "users" => Some(Gives::default()),
            _ => None,
        };
        self.in_force.get(group).cloned().or(undeclared)
    }

    /// Whom an account follows, on a loop or not.
    fn source(&self, name: &str) -> Option<&str> {
        match &self.accounts.get(name)?.source {
            Source::Follows(from) => Some(from),
            Source::Own | Source::Cloned { .. } => None,
        }
    }

    /// Whom a user would follow: as its account does, else as it declares, if it may still get one.
    fn leads_to(&self, name: &str) -> Option<&str> {
        if self.accounts.contains_key(name) {
            return self.source(name);
        }
        if self.leaves(name) {
            return None;
        }
        match &self.users.get(name)?.from {
            Some((Mode::Inherit, from)) => Some(from),
            _ => None,
        }
    }

    /// Everybody on the way from `first` back to `name`, which comes first; nothing if it leads
    /// elsewhere.
    fn ring<'a>(
        &'a self,
        name: &'a str,
        first: &'a str,
        next: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Option<Vec<&'a str>> {
        let mut ring = vec![name];
        let mut met = BTreeSet::from([name]);
        let mut at = first;
        loop {
            if at == name {
                return Some(ring);
            }
            if !met.insert(at) {
                return None;
            }
            ring.push(at);
            at = next(at)?;
        }
    }

    /// The loop of accounts that an account is on.
    fn ring_in_force<'a>(&'a self, name: &'a str) -> Option<Vec<&'a str>> {
        self.ring(name, self.source(name)?, |at| self.source(at))
            .filter(|ring| ring.iter().all(|at| self.accounts.contains_key(*at)))
    }

    /// The loop that a user is on, also through users without accounts.
    pub(crate) fn ring_of<'a>(&'a self, name: &'a str) -> Option<Vec<&'a str>> {
        self.ring(name, self.leads_to(name)?, |at| self.leads_to(at))
    }

    /// Those whom an account's permissions come through; more than the deepest line has where it is
    /// too long.
    fn ancestors<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut ancestors = vec![];
        let mut at = name;
        while ancestors.len() <= DEEPEST
            && self.accounts.get(at).is_some_and(|account| account.kept.is_none())
            && let Some(next) = self.source(at).filter(|next| self.accounts.contains_key(*next))
        {
            ancestors.push(next);
            at = next;
        }
        ancestors
    }

    pub(crate) fn line(&self, name: &str) -> Vec<String> {
        let ancestors = self.ancestors(name);
        if ancestors.len() > DEEPEST {
            vec![]
        } else {
            ancestors.into_iter().map(str::to_owned).collect()
        }
    }

    fn held(&self, name: &str) -> Words {
        let Some(account) = self.accounts.get(name) else { return Words::new() };
        let mut held = account.grants.clone();
        if let Source::Cloned { permissions, .. } = &account.source {
            held.extend(permissions.iter().cloned());
        }
        held.extend(account.kept.iter().flatten().cloned());
        held
    }

    pub(crate) fn own(&self, name: &str) -> Words {
        let mut own = self.held(name);
        for ancestor in self.line(name) {
            own.append(&mut self.held(&ancestor));
        }
        own
    }

    pub(crate) fn effective(&self, name: &str) -> Words {
        let mut effective = self.own(name);
        let gives = self
            .accounts
            .get(name)
            .and_then(|account| self.gives(&account.group))
            .unwrap_or_default();
        effective.extend(gives.permissions);
        if gives.full_control {
            effective.insert("*".to_owned());
        }
        effective
    }

    // Who stays.

    fn leaves(&self, name: &str) -> bool {
        self.users.get(name).is_some_and(|user| user.deleting)
    }

    fn staying(&self) -> impl Iterator<Item = (&String, &Account)> {
        self.accounts.iter().filter(|(name, _)| !self.leaves(name))
    }

    pub(crate) fn heirs(&self, name: &str) -> Vec<String> {
        let follows =
            |(heir, _): &(&String, &Account)| *heir != name && self.source(heir) == Some(name);
        self.staying().filter(follows).map(|(heir, _)| heir.clone()).collect()
    }

    pub(crate) fn members(&self, group: &str) -> usize {
        self.staying().filter(|(_, account)| account.group == group).count()
    }

    fn controls(&self, group: &str, enabled: bool) -> bool {
        enabled && self.gives(group).is_some_and(|gives| gives.full_control)
    }

    fn is_administrator(&self, account: &Account) -> bool {
        self.controls(&account.group, account.enabled)
    }

    pub(crate) fn has_administrator(&self) -> bool {
        self.accounts.values().any(|account| self.is_administrator(account))
    }

    fn another_stays_in_control(&self, name: &str) -> bool {
        self.staying().any(|(other, account)| other != name && self.is_administrator(account))
    }

    fn would_lose_control(&self, name: &str) -> bool {
        self.staying().next().is_some() && !self.another_stays_in_control(name)
    }

    /// Whether a group that loses full control would leave users without anybody in control.
    fn would_lose_control_without(&self, group: &str) -> bool {
        let in_it = self.accounts.values().any(|account| account.group == group && account.enabled);
        let others = self
            .staying()
            .any(|(_, account)| account.group != group && self.is_administrator(account));
        let before = self.gives(group).is_some_and(|gives| gives.full_control);
        before && in_it && self.staying().next().is_some() && !others
    }

    // What is asked for.

    fn available(&self, group: &str) -> bool {
        self.gives(group).is_some() && !self.groups.get(group).is_some_and(|group| group.deleting)
    }

    fn missing(&self, name: &str) -> &'static str {
        match self.users.get(name) {
            Some(user) if !user.deleting => "SourceNotReady",
            _ => "SourceNotFound",
        }
    }

    fn asked_source(&self, name: &str, person: &Person) -> (Source, Option<Why>) {
        let current = self.accounts.get(name).map(|account| &account.source);
        match &person.from {
            None => (Source::Own, None),
            Some((Mode::Clone, from)) => match current {
                Some(source @ Source::Cloned { from: before, .. }) if before == from => {
                    (source.clone(), None)
                }
                _ if from == name => (Source::Own, Some(no_source("InheritanceCycle"))),
                _ => match self.accounts.get(from) {
                    None => (Source::Own, Some(no_source(self.missing(from)))),
                    Some(Account { uid, generation, .. }) => {
                        let (from, uid, generation) = (from.clone(), uid.clone(), *generation);
                        (
                            Source::Cloned { permissions: self.own(&from), from, uid, generation },
                            None,
                        )
                    }
                },
            },
            Some((Mode::Inherit, from)) => {
                let follows = Source::Follows(from.clone());
                if self.leaves(from) && current != Some(&follows) {
                    return (Source::Own, Some(no_source("SourceNotFound")));
                }
                if self.ring(name, from, |at| self.leads_to(at)).is_some() {
                    return (follows, Some(no_source("InheritanceCycle")));
                }
                if !self.accounts.contains_key(from) {
                    return (follows, Some(no_source(self.missing(from))));
                }
                let too_deep = self.ancestors(from).len() + 1 > DEEPEST;
                (follows, too_deep.then(|| no_source("InheritanceTooDeep")))
            }
        }
    }

    fn details(person: &Person, copied: Option<&Copied>) -> (Option<String>, Words, String) {
        let role = person.role.clone().or_else(|| copied?.role.clone());
        let copied_teams = || copied.map(|copied| copied.teams.clone()).unwrap_or_default();
        let teams = if person.teams.is_empty() { copied_teams() } else { person.teams.clone() };
        let copied_name = || copied.map(|copied| copied.display_name.clone()).unwrap_or_default();
        (role, teams, person.display_name.clone().unwrap_or_else(copied_name))
    }

    /// What a new account would have; why there can't be one.
    pub(crate) fn asked_anew(&self, name: &str) -> (Option<Account>, Vec<Why>) {
        let Some(person) = self.users.get(name) else { return (None, vec![]) };
        if person.paused {
            return (None, vec![why("Paused")]);
        }
        let mut reasons = vec![];
        if !person.approved {
            reasons.push(why("ChargeNotApproved"));
        }
        if !self.available(&person.group) {
            reasons.push(why("GroupNotFound"));
        }
        let copied_from = person.copy_of.as_ref().map(|from| (from, self.accounts.get(from)));
        if let Some((from, None)) = copied_from {
            reasons.push(why(self.missing(from)));
        }
        let (source, no_source) = self.asked_source(name, person);
        reasons.extend(no_source);
        if !reasons.is_empty() || person.deleting {
            return (None, reasons);
        }
        let copied = copied_from.and_then(|(from, account)| {
            let Account { uid, generation, role, teams, display_name, .. } = account?.clone();
            Some(Copied { from: from.clone(), uid, generation, role, teams, display_name })
        });
        let email = person
            .email
            .clone()
            .or_else(|| self.placeholder(&copied_from?.1?.email))
            .unwrap_or_default();
        let (role, teams, display_name) = Self::details(person, copied.as_ref());
        let account = Account {
            uid: person.uid.clone(),
            generation: person.generation,
            email,
            enabled: person.enabled,
            group: person.group.clone(),
            grants: person.grants.clone(),
            source,
            kept: None,
            role,
            teams,
            display_name,
            copied,
        };
        (Some(account), reasons)
    }

    fn placeholder(&self, email: &str) -> Option<String> {
        let base = email.split(" (Copy ").next()?;
        let taken: BTreeSet<&str> =
            self.accounts.values().map(|account| account.email.as_str()).collect();
        (1..)
            .map(|number: usize| format!("{base} (Copy {number})"))
            .find(|email| !taken.contains(email.as_str()))
    }

    /// What an account would have now; what of it can't be done.
    pub(crate) fn asked(&self, name: &str) -> Option<(Account, Vec<Why>)> {
        let (person, account) = (self.users.get(name)?, self.accounts.get(name)?);
        if person.paused {
            return Some((account.clone(), vec![why("Paused")]));
        }
        let mut reasons: Vec<Why> = self.held_back(name).into_iter().collect();
        let group = if person.group == account.group || self.available(&person.group) {
            person.group.clone()
        } else {
            reasons.push(why("GroupNotFound"));
            account.group.clone()
        };
        let gives_up = self.is_administrator(account) && !self.controls(&group, person.enabled);
        let (group, enabled) = if gives_up && self.would_lose_control(name) {
            reasons.push(why("LastAdministrator"));
            (account.group.clone(), account.enabled)
        } else {
            (group, person.enabled)
        };
        let (source, no_source) = self.asked_source(name, person);
        reasons.extend(no_source);
        let (role, teams, display_name) = Self::details(person, account.copied.as_ref());
        let email = person.email.clone().unwrap_or_else(|| account.email.clone());
        let (uid, generation, grants) =
            (person.uid.clone(), person.generation, person.grants.clone());
        let (kept, copied) = (account.kept.clone(), account.copied.clone());
        let asked = Account {
            uid,
            generation,
            email,
            enabled,
            group,
            grants,
            source,
            kept,
            role,
            teams,
            display_name,
            copied,
        };
        Some((asked, reasons))
    }

    /// Why a deleted user's account isn't deleted yet.
    pub(crate) fn held_back(&self, name: &str) -> Option<Why> {
        let (person, account) = (self.users.get(name)?, self.accounts.get(name)?);
        let last = || self.is_administrator(account) && self.would_lose_control(name);
        match () {
            () if !person.deleting => None,
            () if person.protected => Some(why("DeletionProtected")),
            () if !self.heirs(name).is_empty() => Some(why("InUse")),
            () if last() => Some(why("LastAdministrator")),
            () => None,
        }
    }

    /// What a group would give now; why not all that is asked for.
    pub(crate) fn asked_of_group(&self, name: &str) -> Option<(Gives, Option<Why>)> {
        let group = self.groups.get(name)?;
        let mut gives = group.gives.clone();
        if !gives.full_control && self.would_lose_control_without(name) {
            gives.full_control = true;
            return Some((gives, Some(why("LastAdministrator"))));
        }
        Some((gives, None))
    }

    /// Whether a group gives what its spec says: a deleted one as long as something holds it that
    /// is in force.
    fn is_kept_up(&self, name: &str) -> bool {
        !self.groups[name].deleting
            || (self.group_held_back(name).is_some() && self.in_force.contains_key(name))
    }

    /// Why a deleted group isn't gone yet.
    pub(crate) fn group_held_back(&self, name: &str) -> Option<&'static str> {
        // The one that every organization has keeps full control.
        let last = name != "administrators" && self.would_lose_control_without(name);
        if self.members(name) > 0 { Some("InUse") } else { last.then_some("LastAdministrator") }
    }

    // What happens.

    /// Takes in a plan that the store took.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<(), String> {
        let in_control = self.has_administrator();
        match event {
            Event::Created { name, uid, generation, choice } => {
                self.check_declared(name, uid, *generation)?;
                let (account, reasons) = self.asked_anew(name);
                let account = account
                    .ok_or_else(|| format!("{name} has an account and must wait: {reasons:?}"))?;
                Self::check_choice(name, &account, choice)?;
                if self.accounts.insert(name.clone(), account).is_some() {
                    return Err(format!("{name} has a second account"));
                }
                if self.ring_in_force(name).is_some() {
                    return Err(format!("{name} has an account though it is new on a loop"));
                }
            }
            Event::Updated { name, uid, generation, choice } => {
                self.check_declared(name, uid, *generation)?;
                self.update(name, choice)?;
            }
            Event::Deleted { name, uid } => self.delete(name, uid)?,
            Event::GroupPut { name, full_control } => self.put_group(name, *full_control)?,
            Event::GroupDropped { name } => {
                let stays =
                    self.groups.get(name).is_some_and(|group| !group.deleting || group.paused);
                if stays || self.group_held_back(name).is_some() {
                    return Err(format!(
                        "the group {name} is dropped though it stays, or {:?}",
                        self.group_held_back(name)
                    ));
                }
                self.in_force.remove(name);
            }
            Event::Other => {}
        }
        if in_control && !self.has_administrator() && self.staying().next().is_some() {
            return Err(format!("nobody is left in control after {event:?}"));
        }
        Ok(())
    }

    fn check_declared(&self, name: &str, uid: &str, generation: i64) -> Result<(), String> {
        let declared = self
            .users
            .get(name)
            .map(|person| (person.uid.as_str(), person.generation, person.paused));
        // A paused one may be written for what others did: nothing of its spec is applied.
        let as_it_was =
            self.accounts.get(name).map(|account| (account.uid.as_str(), account.generation, true));
        let paused = self.users.get(name).is_some_and(|person| person.paused);
        if declared == Some((uid, generation, false))
            || paused && as_it_was == Some((uid, generation, true))
        {
            return Ok(());
        }
        Err(format!("{name} is written as of {uid} {generation}, but declared is {declared:?}"))
    }

    fn check_choice(name: &str, account: &Account, choice: &Choice) -> Result<(), String> {
        let cloned = matches!(account.source, Source::Cloned { .. });
        let asked = Choice { group: account.group.clone(), enabled: account.enabled, cloned };
        if asked == *choice {
            Ok(())
        } else {
            Err(format!("{name} gets {choice:?} instead of {asked:?}"))
        }
    }

    fn update(&mut self, name: &str, choice: &Choice) -> Result<(), String> {
        let before = self
            .accounts
            .get(name)
            .ok_or_else(|| format!("{name} is updated without an account"))?;
        let (mut after, _) =
            self.asked(name).ok_or_else(|| format!("{name} is updated without a User"))?;
        let waits = choice.group == before.group && choice.enabled == before.enabled;
        if waits && self.is_administrator(before) && !self.controls(&after.group, after.enabled) {
            (after.group, after.enabled) = (before.group.clone(), before.enabled);
        }
        if !choice.cloned && matches!(after.source, Source::Cloned { .. }) {
            after.source = Source::Own;
        }
        Self::check_choice(name, &after, choice)?;
        let old_ring = self.owned_ring(name);
        // What everybody on a new loop had before.
        let new_ring = match &after.source {
            Source::Follows(from) => self.ring(name, from, |at| self.source(at)),
            _ => None,
        };
        let new_ring =
            new_ring.filter(|ring| ring.iter().all(|at| self.accounts.contains_key(*at)));
        let had: BTreeMap<String, Words> = new_ring
            .into_iter()
            .flatten()
            .map(|member| (member.to_owned(), self.own(member)))
            .collect();
        if matches!(after.source, Source::Own | Source::Cloned { .. }) {
            after.kept = None;
        }
        self.accounts.insert(name.to_owned(), after);
        self.settle(old_ring, had);
        Ok(())
    }

    fn owned_ring(&self, name: &str) -> Vec<String> {
        self.ring_in_force(name).into_iter().flatten().map(str::to_owned).collect()
    }

    /// Those who are off a loop follow again; on one, each keeps of what it had what somebody on it
    /// is granted.
    fn settle(&mut self, off: Vec<String>, on: BTreeMap<String, Words>) {
        let granted: Words =
            on.keys().flat_map(|member| self.accounts[member].grants.clone()).collect();
        for name in off.iter().filter(|name| !on.contains_key(*name)) {
            // The loop may go on through somebody without an account.
            if self.ring_of(name).is_none()
                && let Some(account) = self.accounts.get_mut(name)
            {
                account.kept = None;
            }
        }
        for (name, had) in on {
            if let Some(account) = self.accounts.get_mut(&name) {
                account.kept = Some(
                    had.intersection(&granted)
                        .filter(|had| !account.grants.contains(*had))
                        .cloned()
                        .collect(),
                );
            }
        }
    }

    fn delete(&mut self, name: &str, uid: &str) -> Result<(), String> {
        let person = self
            .users
            .get(name)
            .ok_or_else(|| format!("the account of {name} is deleted without a User"))?;
        if person.uid != uid || !person.deleting || person.paused {
            return Err(format!(
                "the account of {name} is deleted, and nobody deleted {name} of {uid}"
            ));
        }
        if let Some(held) = self.held_back(name) {
            return Err(format!("the account of {name} is deleted in spite of {held:?}"));
        }
        let ring = self.owned_ring(name);
        self.accounts
            .remove(name)
            .ok_or_else(|| format!("the account of {name} is deleted twice"))?;
        self.settle(ring, BTreeMap::new());
        Ok(())
    }

    fn put_group(&mut self, name: &str, full_control: bool) -> Result<(), String> {
        let (mut asked, _) = self
            .asked_of_group(name)
            .ok_or_else(|| format!("the group {name} is in force undeclared"))?;
        let before = self.gives(name).is_some_and(|gives| gives.full_control);
        asked.full_control |= full_control && before;
        if asked.full_control != full_control {
            return Err(format!(
                "the group {name} gets full control: {full_control}, and must {}",
                asked.full_control
            ));
        }
        if self.groups[name].paused || !self.is_kept_up(name) {
            return Err(format!("the group {name} is written though it waits"));
        }
        self.in_force.insert(name.to_owned(), asked);
        Ok(())
    }

    // What a commit leaves in the store.

    /// Takes in a commit, and checks that the store has afterwards what it must have.
    pub(crate) fn commit(
        &mut self,
        events: &[Event],
        found: &BTreeMap<String, Account>,
    ) -> Result<(), String> {
        let mut loose = self.on_open_loops();
        loose.append(&mut self.loose);
        let had: BTreeMap<String, Words> =
            self.accounts.keys().map(|name| (name.clone(), self.own(name))).collect();
        for event in events {
            self.apply(event)?;
            if let Event::Created { name, .. } | Event::Updated { name, .. } = event {
                loose.extend(self.on_open_loop(name));
            }
        }
        loose.extend(self.on_open_loops());
        let beside: Vec<String> = loose.iter().flat_map(|name| self.owned_ring(name)).collect();
        loose.extend(beside);
        loose.retain(|name| self.accounts.contains_key(name));
        for name in &loose {
            let (Some(account), Some(there)) = (self.accounts.get_mut(name), found.get(name))
            else {
                continue;
            };
            let late = |kept: &Words| {
                kept.iter().all(|kept| had.get(name).is_some_and(|had| had.contains(kept)))
            };
            if !there.kept.as_ref().is_none_or(late) {
                return Err(format!(
                    "{name} keeps {:?} on a loop, and had {:?}",
                    there.kept,
                    had.get(name)
                ));
            }
            account.kept.clone_from(&there.kept);
        }
        for name in &loose {
            if let Some(ring) = self.ring_in_force(name) {
                let granted: Words =
                    ring.iter().flat_map(|member| self.accounts[*member].grants.clone()).collect();
                let had = had.get(name).cloned().unwrap_or_default();
                let grants = &self.accounts[name].grants;
                let more: Words = self
                    .own(name)
                    .into_iter()
                    .filter(|own| {
                        !(grants.contains(own) || had.contains(own) && granted.contains(own))
                    })
                    .collect();
                if !more.is_empty() {
                    return Err(format!(
                        "{name} gained {more:?} on the loop {ring:?}; it had {had:?}, granted is {granted:?}"
                    ));
                }
            }
        }
        self.compare(found)?;
        let open = self.on_open_loops();
        loose.retain(|name| {
            open.contains(name)
                || self.ring_in_force(name).is_none() && self.accounts[name].kept.is_some()
        });
        self.loose = loose;
        Ok(())
    }

    /// The accounts on loops that lead through somebody without one.
    fn on_open_loops(&self) -> BTreeSet<String> {
        self.accounts.keys().flat_map(|name| self.on_open_loop(name)).collect()
    }

    fn on_open_loop(&self, name: &str) -> Vec<String> {
        let open = self.ring_of(name).filter(|_| self.ring_in_force(name).is_none());
        open.into_iter()
            .flatten()
            .filter(|member| self.accounts.contains_key(*member))
            .map(str::to_owned)
            .collect()
    }

    fn compare(&self, found: &BTreeMap<String, Account>) -> Result<(), String> {
        let names: BTreeSet<&String> = self.accounts.keys().chain(found.keys()).collect();
        for name in names {
            let (expected, found) = (self.accounts.get(name), found.get(name));
            if expected != found {
                return Err(format!("{name} must have\n  {expected:?}\nand has\n  {found:?}"));
            }
        }
        Ok(())
    }

    /// Checks that nothing is left to do, and that what a loop keeps is within its rule.
    pub(crate) fn check_settled(&self) -> Result<(), String> {
        for (name, person) in &self.users {
            if !self.accounts.contains_key(name) {
                if let (Some(_), _) = self.asked_anew(name) {
                    return Err(format!("{name} has no account, and nothing is in the way"));
                }
                // One that was let go too late is protected again, and nothing of it is left to
                // lose.
                if person.deleting && !person.protected {
                    return Err(format!("{name} is deleted, has no account and is still there"));
                }
                continue;
            }
            if person.deleting && !person.paused && self.held_back(name).is_none() {
                return Err(format!("{name} is deleted, and nothing is in the way"));
            }
            let asked = self.asked(name).map(|(account, _)| account);
            if asked.as_ref() != self.accounts.get(name) {
                return Err(format!(
                    "{name} asks for\n  {asked:?}\nand has\n  {:?}",
                    self.accounts.get(name)
                ));
            }
        }
        if let Some(orphan) = self.accounts.keys().find(|name| !self.users.contains_key(*name)) {
            return Err(format!("{orphan} has an account and no User"));
        }
        for (name, group) in &self.groups {
            if group.deleting && !group.paused && self.group_held_back(name).is_none() {
                return Err(format!("the group {name} is deleted, and nothing is in the way"));
            }
            let asked = self.asked_of_group(name).map(|(gives, _)| gives);
            if !group.paused && self.is_kept_up(name) && asked.as_ref() != self.in_force.get(name) {
                return Err(format!(
                    "the group {name} asks for {asked:?} and gives {:?}",
                    self.in_force.get(name)
                ));
            }
        }
        self.accounts.iter().try_for_each(|(name, account)| self.check_mark(name, account))
    }

    fn check_mark(&self, name: &str, account: &Account) -> Result<(), String> {
        match (self.ring_of(name), &account.kept) {
            (None, None) => Ok(()),
            (None, Some(kept)) => Err(format!("{name} isn't on a loop and keeps {kept:?}")),
            (Some(ring), None) => Err(format!("{name} is on the loop {ring:?} and follows")),
            (Some(ring), Some(kept)) => {
                let members = ring.iter().filter_map(|member| self.accounts.get(*member));
                let granted: Words = members.flat_map(|member| member.grants.clone()).collect();
                let more: Vec<&String> = kept.difference(&granted).collect();
                if more.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{name} keeps {more:?}, granted to nobody on {ring:?}"))
                }
            }
        }
    }
}
