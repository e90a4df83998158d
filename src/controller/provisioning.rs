//! What directories are still to be brought: level-triggered, the newest entry of each account only, and as often as it
//! takes. A directory that is down holds up nobody else's work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wake::{Lane, ObjectKey, Queue};
use crate::directory::{Directory, DirectoryError, Entry};
use crate::domain::account::{AccountId, Confirmation, Confirmations, Revision};
use crate::plan::in_flight::Directories;
use crate::plan::{ConfirmPlan, Plan};

/// How many entries may be on their way to one directory at once.
const AT_ONCE: usize = 16;

/// What each directory is still to be brought, and what it confirmed.
#[derive(Debug, Default)]
pub struct Provisioning {
    directories: BTreeMap<String, Pending>,
    /// What was confirmed and isn't in the store yet, by account.
    confirmed: BTreeMap<AccountId, Confirmed>,
    /// The accounts that the store knows nothing of and whose entries are to go, with the directories where they went.
    dropped: BTreeMap<AccountId, BTreeSet<String>>,
}

/// What one directory is still to be brought.
#[derive(Debug, Default)]
struct Pending {
    entries: HashMap<AccountId, (ObjectKey, Entry)>,
    due: Queue<AccountId>,
    under_way: HashSet<AccountId>,
    problems: HashMap<AccountId, DirectoryError>,
}

#[derive(Clone, Debug)]
struct Confirmed {
    user: ObjectKey,
    revisions: Confirmations,
}

impl Provisioning {
    /// Returns what there is to do for directories of these names: nothing yet.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let directories = names.into_iter().map(|name| (name, Pending::default())).collect();
        Self { directories, ..Self::default() }
    }

    /// Returns the directories, each with what went wrong when it was last brought this account.
    #[must_use]
    pub fn directories(&self, account: Option<AccountId>) -> Directories {
        let problem = |pending: &Pending| account.and_then(|account| pending.problems.get(&account)).map(ToString::to_string);
        self.directories.iter().map(|(name, pending)| (name.clone(), problem(pending))).collect()
    }

    /// Has every directory brought an entry that hasn't confirmed it, or a newer one, yet.
    pub fn want(&mut self, user: &ObjectKey, entry: &Entry, confirmed: &Confirmations, now: Instant) {
        let known = self.confirmed.get(&entry.account);
        for (name, pending) in &mut self.directories {
            let newest = known.and_then(|known| known.revisions.get(name)).or(confirmed.get(name));
            if newest.is_some_and(|newest| newest.revision >= entry.revision) {
                pending.drop(entry.account);
            } else {
                pending.want(user, entry, now);
            }
        }
    }

    /// Returns the directories that have yet to drop the entry of an account that the store knows nothing of, each with what
    /// went wrong there.
    #[must_use]
    pub fn left_to_drop(&self, account: AccountId) -> Directories {
        let has_dropped = |name: &String| self.dropped.get(&account).is_some_and(|dropped| dropped.contains(name));
        self.directories(Some(account)).into_iter().filter(|(name, _)| !has_dropped(name)).collect()
    }

    /// Has every directory drop the entry of an account that the store knows nothing of, and nobody else tells them of.
    pub fn drop_entry(&mut self, user: &ObjectKey, account: AccountId, now: Instant) {
        let dropped = self.dropped.entry(account).or_default();
        for (_, pending) in self.directories.iter_mut().filter(|(name, _)| !dropped.contains(*name)) {
            // Newer than whatever was brought before the store lost it.
            pending.want(user, &Entry::gone(account, Revision(i64::MAX), &user.namespace), now);
        }
    }

    /// Takes what is due to be brought: to which directory, and what.
    pub fn take(&mut self, now: Instant) -> Vec<(String, Entry)> {
        let mut taken = vec![];
        for (name, pending) in &mut self.directories {
            let room = AT_ONCE.saturating_sub(pending.under_way.len());
            for account in pending.due.take(now, room) {
                if let Some((_, entry)) = pending.entries.get(&account) {
                    pending.under_way.insert(account);
                    taken.push((name.clone(), entry.clone()));
                }
            }
        }
        taken
    }

    /// Returns when the next entry is due, to a directory that there is room for.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let has_room = |pending: &&Pending| pending.under_way.len() < AT_ONCE;
        self.directories.values().filter(has_room).filter_map(|pending| pending.due.next_due()).min()
    }

    /// Takes in what a directory answered. Returns the `User` whose status has something new to say about it.
    pub fn take_answer(
        &mut self,
        directory: &str,
        entry: &Entry,
        answer: Result<(), DirectoryError>,
        now: Instant,
    ) -> Option<ObjectKey> {
        let pending = self.directories.get_mut(directory)?;
        pending.under_way.remove(&entry.account);
        let (user, wanted) = pending.entries.get(&entry.account)?.clone();
        match answer {
            Ok(()) => {
                pending.due.succeeded(&entry.account);
                let healed = pending.problems.remove(&entry.account).is_some();
                if wanted.revision <= entry.revision {
                    pending.drop(entry.account);
                } else {
                    pending.due.put(entry.account, lane(&wanted), now);
                }
                if let Some(dropped) = self.dropped.get_mut(&entry.account).filter(|_| entry.person.is_none()) {
                    dropped.insert(directory.to_owned());
                    return Some(user);
                }
                let confirmed = Confirmed { user: user.clone(), revisions: Confirmations::new() };
                let known = self.confirmed.entry(entry.account).or_insert(confirmed);
                let news = Confirmation { revision: entry.revision, fingerprint: entry.fingerprint() };
                known.revisions.insert(directory.to_owned(), news);
                healed.then_some(user)
            }
            Err(problem) => {
                // What is newer isn't to wait for what failed before it.
                let at = if wanted.revision > entry.revision { now } else { pending.due.failed(&entry.account, now) };
                pending.due.put(entry.account, lane(&wanted), at);
                let known = pending.problems.insert(entry.account, problem.clone());
                (known.as_ref() != Some(&problem)).then_some(user)
            }
        }
    }

    /// Whether something was confirmed that the store doesn't know yet.
    #[must_use]
    pub fn has_confirmed(&self) -> bool {
        !self.confirmed.is_empty()
    }

    /// Returns the plans that tell the store what was confirmed, at most so many, each with the `User` concerned.
    #[must_use]
    pub fn confirmations(&self, most: usize) -> Vec<(ObjectKey, AccountId, Plan)> {
        let plan = |(account, Confirmed { user, revisions }): (&AccountId, &Confirmed)| {
            let namespace = user.namespace.clone();
            (user.clone(), *account, Plan::Confirm(ConfirmPlan { namespace, account: *account, confirmed: revisions.clone() }))
        };
        self.confirmed.iter().take(most).map(plan).collect()
    }

    /// Forgets what the store knows now.
    pub fn confirmed(&mut self, account: AccountId) {
        self.confirmed.remove(&account);
    }
}

impl Pending {
    fn want(&mut self, user: &ObjectKey, entry: &Entry, now: Instant) {
        let known = self.entries.get(&entry.account);
        if known.is_some_and(|(_, known)| known.revision >= entry.revision) {
            return;
        }
        self.entries.insert(entry.account, (user.clone(), entry.clone()));
        if !self.under_way.contains(&entry.account) {
            self.due.put(entry.account, lane(entry), now);
        }
    }

    fn drop(&mut self, account: AccountId) {
        self.entries.remove(&account);
        self.problems.remove(&account);
        self.due.succeeded(&account);
    }
}

/// Brings entries to directories and hands back what they answered.
pub struct Courier {
    directories: Vec<Directory>,
    under_way: JoinSet<(String, Entry, Result<(), DirectoryError>)>,
}

impl Courier {
    /// Returns a courier to these directories.
    #[must_use]
    pub fn new(directories: Vec<Directory>) -> Self {
        Self { directories, under_way: JoinSet::new() }
    }

    /// Brings an entry to a directory.
    pub fn send(&mut self, directory: &str, entry: Entry) {
        let Some(directory) = self.directories.iter().find(|one| one.name() == directory).cloned() else { return };
        self.under_way.spawn(async move {
            let answer = directory.bring(&entry).await;
            (directory.name().to_owned(), entry, answer)
        });
    }

    /// Waits for the next answer; for ever while nothing is under way.
    pub async fn answer(&mut self) -> (String, Entry, Result<(), DirectoryError>) {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => tracing::error!(%error, "an entry was left without an answer"),
                None => std::future::pending().await,
            }
        }
    }
}

/// What takes somebody's way in goes first.
fn lane(entry: &Entry) -> Lane {
    if entry.takes_away() { Lane::Asked } else { Lane::Following }
}
