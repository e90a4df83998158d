//! What a plan depends on beside what is loaded: whether there is another account of a kind.

use std::collections::{BTreeSet, HashMap};

use super::{NotApplied, UnitOfWork};
use crate::domain::account::{Account, AccountId, LoginState};
use crate::domain::inheritance::inherits_from;
use crate::plan::{AdminCoverage, Deleting};
use crate::store::Refusal;

/// What a plan depends on beside what is loaded.
#[derive(Debug)]
pub(in crate::store) enum Question {
    /// Whether there is such an account among those that aren't loaded.
    Account(SomeAccount),
    /// Which domains the addresses of such accounts have, of those that aren't loaded.
    EmailDomains(SomeAccount),
    /// Which groups of a namespace had full control before the commit.
    ControlGroups(String),
}

/// The answers to questions.
#[derive(Debug, Default)]
pub(in crate::store) struct Answers {
    pub(in crate::store) accounts: Vec<(SomeAccount, bool)>,
    pub(in crate::store) email_domains: Vec<(SomeAccount, BTreeSet<String>)>,
    pub(in crate::store) control_groups: HashMap<String, BTreeSet<String>>,
    pub(in crate::store) cases: HashMap<AccountId, i64>,
}

/// An account of a kind, whose `User` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct SomeAccount {
    pub(in crate::store) namespace: String,
    pub(in crate::store) kind: Kind,
    pub(in crate::store) deleting: Deleting,
}

/// A kind of account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Any,
    /// It inherits from the `User` of this name.
    HeirOf(String),
    MemberOf(String),
    /// It is a member of one of these groups, and may log in.
    EnabledIn(BTreeSet<String>),
}

impl SomeAccount {
    fn is(&self, account: &Account) -> bool {
        let content = &account.content;
        let is_kind = match &self.kind {
            Kind::Any => true,
            Kind::HeirOf(user) => inherits_from(account) == Some(user.as_str()),
            Kind::MemberOf(group) => content.group == *group,
            Kind::EnabledIn(groups) => {
                content.lifecycle == LoginState::Enabled && groups.contains(&content.group)
            }
        };
        is_kind && self.deleting.stays(&account.owner.name)
    }
}

/// Who is left of an organization once a plan is applied.
pub(in crate::store) struct Remaining<'a> {
    pub(in crate::store) namespace: &'a str,
    /// Which groups give full control then.
    pub(in crate::store) control_groups: BTreeSet<String>,
    pub(in crate::store) deleting: &'a Deleting,
    /// The account that the plan is about.
    pub(in crate::store) without: Option<AccountId>,
    /// Whether that account stays, and is no administrator then.
    pub(in crate::store) with_it: bool,
}

impl UnitOfWork {
    /// Whether there is such an account, another one than `without`.
    pub(super) fn is_there(
        &self,
        wanted: &SomeAccount,
        without: Option<AccountId>,
    ) -> Result<bool, NotApplied> {
        if self.loaded(wanted).any(|account| Some(account.id) != without && wanted.is(account)) {
            return Ok(true);
        }
        let answer = self.answers.accounts.iter().find(|(asked, _)| asked == wanted);
        answer
            .map(|(_, is_there)| *is_there)
            .ok_or_else(|| NotApplied::Asks(Question::Account(wanted.clone())))
    }

    fn loaded<'a>(&'a self, wanted: &'a SomeAccount) -> Box<dyn Iterator<Item = &'a Account> + 'a> {
        match &wanted.kind {
            Kind::HeirOf(user) => Box::new(self.accounts.heirs(&wanted.namespace, user)),
            Kind::Any | Kind::MemberOf(_) | Kind::EnabledIn(_) => {
                Box::new(self.accounts.in_organization(&wanted.namespace))
            }
        }
    }

    /// Returns the domains of the addresses that such accounts have.
    pub(super) fn email_domains(
        &self,
        wanted: &SomeAccount,
    ) -> Result<BTreeSet<String>, NotApplied> {
        let answer = self.answers.email_domains.iter().find(|(asked, _)| asked == wanted);
        let (_, others) =
            answer.ok_or_else(|| NotApplied::Asks(Question::EmailDomains(wanted.clone())))?;
        let loaded = self.loaded(wanted).filter(|account| wanted.is(account));
        let domains = loaded.map(|account| account.content.email.domain().to_owned());
        Ok(domains.chain(others.iter().cloned()).collect())
    }

    /// Returns the names of the groups that give full control now.
    pub(super) fn control_groups(&self, namespace: &str) -> Result<BTreeSet<String>, NotApplied> {
        let before = self.answers.control_groups.get(namespace);
        let mut groups = before
            .ok_or_else(|| NotApplied::Asks(Question::ControlGroups(namespace.to_owned())))?
            .clone();
        let changed = self.changes.groups.iter().map(|(group, _)| group);
        for (_, group) in changed.filter(|(changed_in, _)| changed_in == namespace) {
            if self.organizations.has_control(namespace, group) {
                groups.insert(group.clone());
            } else {
                groups.remove(group);
            }
        }
        Ok(groups)
    }

    /// Refuses a plan that leaves users without an administrator.
    pub(super) fn check_administrators(&self, left: Remaining<'_>) -> Result<(), NotApplied> {
        let Remaining { namespace, control_groups, deleting, without, with_it } = left;
        let some = |kind| SomeAccount {
            namespace: namespace.to_owned(),
            kind,
            deleting: deleting.clone(),
        };
        let administrators = self.is_there(&some(Kind::EnabledIn(control_groups)), without)?;
        let users = administrators || with_it || self.is_there(&some(Kind::Any), without)?;
        let coverage = AdminCoverage { administrators, users };
        if coverage.is_lost() { Err(Refusal::LastAdministrator.into()) } else { Ok(()) }
    }

    /// Does that for a group that gives no full control any more.
    pub(super) fn check_administrators_without(
        &self,
        namespace: &str,
        group: &str,
        deleting: &Deleting,
    ) -> Result<(), NotApplied> {
        let mut control_groups = self.control_groups(namespace)?;
        let administrator = SomeAccount {
            namespace: namespace.to_owned(),
            kind: Kind::EnabledIn([group.to_owned()].into()),
            deleting: Deleting::default(),
        };
        if !control_groups.remove(group) || !self.is_there(&administrator, None)? {
            return Ok(());
        }
        let (without, with_it) = (None, false);
        self.check_administrators(Remaining {
            namespace,
            control_groups,
            deleting,
            without,
            with_it,
        })
    }
}
