//! Acknowledgements that the store doesn't have yet: what directories confirmed, and what became
//! uncertain there.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Provisioning;
use crate::domain::account::{
    AccountId, Confirmations, DirectoryAck, EntryDigest, EntryHandle, Revision,
};
use crate::domain::object_key::ObjectKey;
use crate::plan::{ConfirmPlan, Plan};

/// An account's acknowledgements that have yet to be saved.
#[derive(Clone, Debug)]
pub(super) struct UnsavedAcks {
    pub(super) user: ObjectKey,
    pub(super) confirmed: Confirmations,
}

impl Provisioning {
    /// Whether an acknowledgement has yet to be saved.
    #[must_use]
    pub fn has_unsaved_acks(&self) -> bool {
        !self.unsaved_acks.is_empty()
    }

    /// Returns at most so many plans that save acknowledgements, of each organization by turns,
    /// each with the `User` concerned.
    #[must_use]
    pub fn pending_acks(&self, most: usize) -> Vec<(ObjectKey, AccountId, Plan)> {
        let plan = |(account, UnsavedAcks { user, confirmed }): (&AccountId, &UnsavedAcks)| {
            let namespace = user.namespace.clone();
            (
                user.clone(),
                *account,
                Plan::Confirm(ConfirmPlan {
                    namespace,
                    account: *account,
                    confirmed: confirmed.clone(),
                }),
            )
        };
        let mut organizations: BTreeMap<&str, Vec<(&AccountId, &UnsavedAcks)>> = BTreeMap::new();
        for (account, untold) in &self.unsaved_acks {
            organizations.entry(&untold.user.namespace).or_default().push((account, untold));
        }
        let longest = organizations.values().map(Vec::len).max().unwrap_or_default();
        let by_turns = (0..longest).flat_map(|turn| {
            organizations.values().filter_map(move |untold| untold.get(turn).copied())
        });
        by_turns.take(most).map(plan).collect()
    }

    /// Forgets what the store has now, and schedules what waited for that.
    pub fn acks_saved(&mut self, account: AccountId, now: Instant) {
        self.unsaved_acks.remove(&account);
        for pending in self.directories.values_mut() {
            let Some(wanted) = pending.wanted.get_mut(&account).filter(|wanted| wanted.is_held)
            else {
                continue;
            };
            wanted.is_held = false;
            if !pending.in_flight.contains(&account) && !pending.comparison.has_under_way(account) {
                pending.schedule(account, now);
            }
        }
    }
}

/// Records an acknowledgement that has yet to be saved, instead of an earlier one.
pub(super) fn set_unsaved_ack(
    untold: &mut BTreeMap<AccountId, UnsavedAcks>,
    user: &ObjectKey,
    account: AccountId,
    directory: &str,
    news: DirectoryAck,
) {
    let new = || UnsavedAcks { user: user.clone(), confirmed: Confirmations::new() };
    untold.entry(account).or_insert_with(new).confirmed.insert(directory.to_owned(), news);
}

/// Returns an acknowledgement of which only the revision, these rights and this password are
/// certain.
pub(super) fn unverified(
    revision: Revision,
    (rights, password): (Option<String>, Option<String>),
    handle: Option<&EntryHandle>,
) -> DirectoryAck {
    let fingerprint = Some(EntryDigest { person: String::new(), rights, password });
    DirectoryAck { revision, fingerprint, handle: handle.cloned() }
}

pub(super) fn is_unverified(known: &DirectoryAck) -> bool {
    known.fingerprint.as_ref().is_none_or(|fingerprint| fingerprint.person.is_empty())
}

/// Returns what stands for the unknown rights of an entry that a directory has. No digest is that.
pub(super) fn unknown_rights() -> String {
    "?".to_owned()
}

/// Whether a directory has ever confirmed an entry, and not since that it is gone.
pub(super) fn has_somebody(known: &DirectoryAck) -> bool {
    let tells_of_somebody = |EntryDigest { person, rights, password }: &EntryDigest| {
        !person.is_empty() || rights.is_some() || password.is_some()
    };
    known.handle.is_some() || known.fingerprint.as_ref().is_some_and(tells_of_somebody)
}
