//! What a transaction in flight adds to what is said of an account.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::blocked::{Blocked, Unconfirmed};
use crate::domain::account::{Confirmations, Transaction};

/// The directories that are in use, by name, each with how it does with an account's entry.
pub type Directories = BTreeMap<String, DirectoryState>;

/// How a directory does with an account's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryState {
    /// Why the last request failed, for this account or for the directory as a whole.
    pub problem: Option<DirectoryProblem>,
    /// What the directory has yet to confirm; nothing where it has confirmed what is in force.
    pub missing: Option<Missing>,
}

/// Why a directory doesn't confirm an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryProblem {
    /// It doesn't take it as it is, so that somebody has to act; why, in its words.
    Refused(String),
    /// It can't be reached, or fails; why.
    Unavailable(String),
}

impl DirectoryProblem {
    /// Returns why, in words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Unavailable(words) => words,
        }
    }
}

/// What of an account a directory has yet to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// For how long it has been waited for.
    pub lasted: SignedDuration,
    /// Whether that is so long that the status says so; what is confirmed within seconds isn't
    /// worth a write.
    pub is_lasting: bool,
    /// Whether it takes rights away from what the directory has, or may.
    pub revokes: bool,
    /// Whether a request for it failed, rather than one for another entry of the directory.
    pub has_failed: bool,
    /// For how long an earlier request may still undo it, where it isn't taken for confirmed
    /// before.
    pub held_for: Option<SignedDuration>,
}

/// Returns what a transaction in flight has to say beside what else is blocked, in its place:
/// refusals first, then that it is overdue, that a directory refuses it, that an edit waits for it,
/// that a directory fails, that it is on its way.
#[must_use]
pub(super) fn with_transaction(
    blocked: &[Blocked],
    transaction: &Transaction,
    unconfirmed: Vec<Unconfirmed>,
    now: jiff::Timestamp,
) -> Vec<Blocked> {
    if !transaction.in_flight() {
        return blocked.to_vec();
    }
    let kind = transaction.kind;
    let on_its_way = Blocked::on_its_way(kind, unconfirmed.clone());
    let is_refused = matches!(on_its_way, Blocked::DirectoryRefused { .. });
    let is_queued = |why: &&Blocked| matches!(why, Blocked::QueuedBehindTransaction(_));
    let mut all: Vec<Blocked> = blocked.iter().filter(|why| !is_queued(why)).cloned().collect();
    if transaction.is_overdue(now) {
        all.push(Blocked::DeadlineExceeded { kind, waiting_for: unconfirmed });
    }
    // Where somebody has to act, what waits doesn't hide it.
    all.extend(is_refused.then(|| on_its_way.clone()));
    // What was in flight when it was decided may have been superseded since.
    all.extend(blocked.iter().find(is_queued).map(|_| Blocked::QueuedBehindTransaction(kind)));
    all.extend((!is_refused).then_some(on_its_way));
    all
}

/// Returns directories as those that have yet to confirm something.
#[must_use]
pub fn unconfirmed_of(directories: Directories) -> Vec<Unconfirmed> {
    directories
        .into_iter()
        .map(|(directory, state)| Unconfirmed { directory, problem: state.problem })
        .collect()
}

/// Returns the directories that have yet to confirm a transaction.
#[must_use]
pub(super) fn unconfirmed(
    transaction: &Transaction,
    confirmed: &Confirmations,
    directories: &Directories,
) -> Vec<Unconfirmed> {
    let lacks_it = |directory: &&String| {
        confirmed.get(*directory).is_none_or(|known| known.revision < transaction.revision)
    };
    let names = directories.iter().filter(|(name, _)| lacks_it(name));
    names
        .map(|(directory, state)| Unconfirmed {
            directory: directory.clone(),
            problem: state.problem.clone(),
        })
        .collect()
}
