//! What directories don't have of what is in force: from the statuses of `User`s, and from the
//! store alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Finding, Kind, Severity};
use crate::controller::user_list::DeclaredUser;
use crate::domain::account::{Account, AccountId, DirectoryAck, Revision};
use crate::plan::directories::{Lag, cure, reported_in};
use crate::store::UserName;

/// How many names a finding lists.
const LISTED: usize = 5;

/// Returns what statuses say of directories: one finding for all of an organization whom a
/// directory doesn't have for one reason.
pub(super) fn status_findings(users: &BTreeMap<UserName, DeclaredUser>) -> Vec<Finding> {
    let mut alike: BTreeMap<(&str, Lag, &str), (Vec<&str>, &str)> = BTreeMap::new();
    for ((namespace, name), user) in users {
        let Some(behind) = &user.behind else { continue };
        // A message of another version is passed on unchanged.
        let (directory, what) = reported_in(&behind.message).unwrap_or(("", &behind.message));
        alike.entry((namespace, behind.lag, directory)).or_insert((vec![], what)).0.push(name);
    }
    let finding = |((namespace, lag, _), (names, what)): ((&str, Lag, &str), (Vec<&str>, &str))| {
        let (severity, finding) = match lag {
            Lag::Refused => (Severity::Error, Kind::DirectoryRefused),
            Lag::Unavailable => (Severity::Error, Kind::DirectoryUnavailable),
            Lag::Pending => (Severity::Warning, Kind::DirectoryPending),
        };
        let of_first = if names.len() > 1 { "of the first: " } else { "" };
        let kind = if names.len() > 1 { "users" } else { "user" };
        let (object, what) =
            (format!("{kind} {}", people(namespace, &names)), format!("{of_first}{what}"));
        Finding {
            severity,
            finding,
            organization: Some(namespace.to_owned()),
            object,
            what,
            cure: cure(lag).to_owned(),
        }
    };
    alike.into_iter().map(finding).collect()
}

/// The directories that lagged behind an account when the store was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    /// The revision that was in force then.
    revision: Revision,
    /// The directories that hadn't confirmed it.
    behind: BTreeSet<String>,
}

impl Lacking {
    /// Compares acknowledgements with the revision; a transaction in flight has its own deadline.
    pub(super) fn of(account: &Account, directories: &BTreeSet<String>) -> Self {
        let behind = directories
            .iter()
            .filter(|directory| !has_it(account, account.confirmed.get(*directory)));
        let behind = if account.transaction.in_flight() {
            BTreeSet::new()
        } else {
            behind.cloned().collect()
        };
        Self { revision: account.revision, behind }
    }
}

/// What passed between the two reads of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// No time to speak of: an account that lags at both may just have changed.
    Nothing,
    /// At least [`APART`].
    AWhile,
}

/// How far two looks lie apart, of which the second says that a directory is behind for longer than
/// an edit takes.
pub(super) const APART: Duration = Duration::from_secs(5);

/// Whether the status of an account's own `User` says that a directory doesn't have what is in
/// force. Where it doesn't, nobody may be there who would say so.
pub(super) fn is_told(account: &Account, users: &BTreeMap<UserName, DeclaredUser>) -> bool {
    let user = users.get(&(account.namespace.clone(), account.owner.name.clone()));
    user.is_some_and(|user| user.uid == account.owner.uid && user.behind.is_some())
}

/// Whether a directory lacked anything at a look.
pub(super) fn is_any_behind(look: &BTreeMap<AccountId, Lacking>) -> bool {
    look.values().any(|lacking| !lacking.behind.is_empty())
}

/// Returns which accounts directories have older than the store, or in doubt, by what the store
/// knows, at both looks and at the same revision: what was confirmed or changed between them is
/// under way.
pub(super) fn unconfirmed<'a>(
    accounts: impl Iterator<Item = &'a Account>,
    directories: &BTreeSet<String>,
    (before, between): (&BTreeMap<AccountId, Lacking>, Between),
) -> Vec<Finding> {
    let mut alike: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for account in accounts {
        let Some(first) =
            before.get(&account.id).filter(|first| first.revision == account.revision)
        else {
            continue;
        };
        let now = Lacking::of(account, directories).behind;
        for directory in directories
            .iter()
            .filter(|directory| now.contains(*directory) && first.behind.contains(*directory))
        {
            alike.entry((&account.namespace, directory)).or_default().push(&account.owner.name);
        }
    }
    let (severity, since) = match between {
        Between::Nothing => (Severity::Note, "which may just be under way"),
        Between::AWhile => (Severity::Warning, "and hadn't some seconds before either"),
    };
    let finding = |((namespace, directory), names): ((&str, &str), Vec<&str>)| {
        Finding {
        severity,
        finding: Kind::DirectoryBehind,
        organization: Some(namespace.to_owned()),
        object: format!("the accounts of {}", people(namespace, &names)),
        what: format!("the directory {directory} hasn't confirmed what is in force of them, {since}"),
        cure: "look again in a minute; if it stays, see that roster run is there, what it logs of the directory, and what the \
            condition DirectoriesCurrent of the Users says"
            .to_owned(),
    }
    };
    alike.into_iter().map(finding).collect()
}

/// Whether a directory has confirmed an account as the store has it, without a doubt. Of a copy
/// without an address of its own it has nobody.
fn has_it(account: &Account, confirmed: Option<&DirectoryAck>) -> bool {
    let Some(DirectoryAck { revision, fingerprint, handle: _ }) = confirmed else { return false };
    let is_hidden = account.content.email.copy_number().is_some();
    let is_known =
        fingerprint.as_ref().map_or(is_hidden, |fingerprint| !fingerprint.person.is_empty());
    *revision >= account.revision && is_known
}

/// Returns the names of `User`s of a namespace, a few of them, and how many more there are.
fn people(namespace: &str, names: &[&str]) -> String {
    let shown: Vec<String> =
        names.iter().take(LISTED).map(|name| format!("{namespace}/{name}")).collect();
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
