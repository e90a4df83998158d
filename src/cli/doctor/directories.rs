//! What directories don't have of what is in force: from the statuses of `User`s, and from the store alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Kind, Severity};
use crate::controller::declared::DeclaredUser;
use crate::domain::account::{Account, Confirmation};
use crate::plan::directories::{Lag, cure, told_in};
use crate::store::UserName;

/// How many names a finding lists.
const LISTED: usize = 5;

/// Returns what statuses say of directories: one finding for all of an organization whom a directory doesn't have for one reason.
pub(super) fn told(users: &BTreeMap<UserName, DeclaredUser>) -> Vec<Finding> {
    let mut alike: BTreeMap<(&str, Lag, &str), (Vec<&str>, &str)> = BTreeMap::new();
    for ((namespace, name), user) in users {
        let Some(behind) = &user.behind else { continue };
        // What another version said is told as it is.
        let (directory, what) = told_in(&behind.message).unwrap_or(("", &behind.message));
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
        let (object, what) = (format!("{kind} {}", people(namespace, &names)), format!("{of_first}{what}"));
        Finding { severity, finding, organization: Some(namespace.to_owned()), object, what, cure: cure(lag).to_owned() }
    };
    alike.into_iter().map(finding).collect()
}

/// Returns which accounts directories have older than the store, or in doubt, by what the store knows. Those in a transaction
/// have a deadline of their own.
pub(super) fn unconfirmed<'a>(accounts: impl Iterator<Item = &'a Account>, directories: &BTreeSet<String>) -> Vec<Finding> {
    let mut alike: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for account in accounts.filter(|account| !account.transaction.in_flight()) {
        for directory in directories.iter().filter(|directory| !has_it(account, account.confirmed.get(*directory))) {
            alike.entry((&account.namespace, directory)).or_default().push(&account.owner.name);
        }
    }
    let finding = |((namespace, directory), names): ((&str, &str), Vec<&str>)| Finding {
        severity: Severity::Warning,
        finding: Kind::DirectoryBehind,
        organization: Some(namespace.to_owned()),
        object: format!("the accounts of {}", people(namespace, &names)),
        what: format!("the directory {directory} hasn't confirmed what is in force of them, which may just be under way"),
        cure: "look again in a minute; if it stays, see that roster run is there, what it logs of the directory, and what the \
            condition DirectoriesCurrent of the Users says"
            .to_owned(),
    };
    alike.into_iter().map(finding).collect()
}

/// Whether a directory has confirmed an account as the store has it, without a doubt. Of a copy without an address of its own it
/// has nobody.
fn has_it(account: &Account, confirmed: Option<&Confirmation>) -> bool {
    let Some(Confirmation { revision, fingerprint, handle: _ }) = confirmed else { return false };
    let is_hidden = account.content.email.copy_number().is_some();
    let is_known = fingerprint.as_ref().map_or(is_hidden, |fingerprint| !fingerprint.person.is_empty());
    *revision >= account.revision && is_known
}

/// Returns the names of `User`s of a namespace, a few of them, and how many more there are.
fn people(namespace: &str, names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("{namespace}/{name}")).collect();
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
