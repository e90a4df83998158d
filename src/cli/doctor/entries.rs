//! Directory entries that no account and no `User` stands for.

use std::collections::{BTreeSet, HashSet};

use super::{Finding, Kind, Severity};
use crate::cli::Failure;
use crate::domain::account::AccountId;
use crate::provisioning::{Directory, DirectoryError, ListedEntry};
use crate::store::Store;
use crate::store::sql::SqlStore;
use crate::store::sql::inspection::Examination;

/// How many login names of unknown entries a finding lists.
const TOLD: usize = 5;

/// A directory's entries, read between two reads of the store.
#[derive(Debug)]
pub(super) struct ListedDirectory {
    name: String,
    entries: Result<Vec<ListedEntry>, DirectoryError>,
    /// The accounts that it may still have for a good reason: the store had them before, or waits
    /// for their entries to go.
    before: BTreeSet<AccountId>,
    /// The accounts that the store has or ever had.
    known: HashSet<AccountId>,
}

/// Lists the entries of directories.
pub(super) async fn list(
    directories: &[Directory],
    store: &SqlStore,
    first: &Examination,
) -> Result<Vec<ListedDirectory>, Failure> {
    let accounts = first.accounts.iter().map(|account| account.id);
    let before: BTreeSet<AccountId> =
        accounts.chain(first.departures.iter().map(|departure| departure.account)).collect();
    let mut all = vec![];
    for directory in directories {
        let entries = directory.list_entries().await;
        let ids: Vec<AccountId> =
            entries.iter().flatten().filter_map(|entry| entry.account).collect();
        let known = store.known_ids(&ids).await?;
        all.push(ListedDirectory {
            name: directory.name().to_owned(),
            entries,
            before: before.clone(),
            known,
        });
    }
    Ok(all)
}

/// Returns what is amiss about the entries of a directory.
pub(super) fn findings(listed: &ListedDirectory, store: &Examination) -> Vec<Finding> {
    let ListedDirectory { name, entries, before, known } = listed;
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return vec![unread(name, error)],
    };
    let accounts = store.accounts.iter().map(|account| account.id.to_string());
    let unreadable = store.unreadable.iter().map(|row| row.account.clone());
    let leaving = store.departures.iter().map(|departure| departure.account.to_string());
    let present: BTreeSet<String> = accounts.chain(unreadable).chain(leaving).collect();
    let is_present = |id: &AccountId| before.contains(id) || present.contains(&id.to_string());
    let without = entries
        .iter()
        .filter_map(|entry| Some((entry, entry.account.filter(|id| !is_present(id))?)));
    let mut findings: Vec<Finding> =
        without.map(|(entry, id)| undeclared(name, entry, id, known.contains(&id))).collect();
    let others: Vec<&ListedEntry> =
        entries.iter().filter(|entry| entry.account.is_none()).collect();
    findings.extend((!others.is_empty()).then(|| of_others(name, &others)));
    findings
}

fn undeclared(directory: &str, entry: &ListedEntry, id: AccountId, was_there: bool) -> Finding {
    let ListedEntry { handle: _, account: _, login_name, active, groups } = entry;
    let whose =
        if was_there { "its account was deleted" } else { "the store never had its account" };
    let may =
        if *active { "and whoever has its password may log in" } else { "and it may not log in" };
    let memberships = match groups.len() {
        0 => "it is in no group".to_owned(),
        _ => format!("its membership goes along in {}", groups.join(", ")),
    };
    let place = entry.place();
    Finding {
        severity: if *active { Severity::Error } else { Severity::Warning },
        finding: Kind::EntryWithoutAccount,
        organization: None,
        object: format!("entry {place} of {directory} ({login_name}, account {id})"),
        what: format!("{whose}, so nobody declares it and roster never deletes it, {may}"),
        cure: format!(
            "delete {place} in {directory}, unless another store's roster has that account; {memberships}"
        ),
    }
}

fn of_others(directory: &str, entries: &[&ListedEntry]) -> Finding {
    let mut names: Vec<&str> = entries
        .iter()
        .map(|entry| entry.login_name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    let told = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > TOLD { ", …" } else { "" };
    let count = entries.len();
    Finding {
        severity: Severity::Note,
        finding: Kind::EntriesOfOthers,
        organization: None,
        object: directory.to_owned(),
        what: format!(
            "entries there that have no account's id, so that roster leaves them alone: {count} ({told}{more})"
        ),
        cure: "roster import --directory makes Users of them, where it is a SCIM directory"
            .to_owned(),
    }
}

fn unread(directory: &str, error: &DirectoryError) -> Finding {
    Finding {
        severity: Severity::Warning,
        finding: Kind::DirectoryUnread,
        organization: None,
        object: directory.to_owned(),
        what: format!("whether it has entries that nobody declares can't be told: {error}"),
        cure: "see that the address and what it names are as roster run has them, and that the directory can be reached"
            .to_owned(),
    }
}
