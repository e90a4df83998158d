//! Which account a `User` may have that isn't its own: one that another `User` left behind.

use super::UserSnapshot;
use super::update::update;
use crate::domain::account::Account;
use crate::plan::Decision;
use crate::plan::adoption::Adoption;
use crate::plan::blocked::{Blocked, Fate, NotAdoptable};

/// Returns that the account which this `User` had isn't the one that the store has.
///
/// A Create is done once for a `User`: one whose account went since, and that was put back, gets no
/// other by itself.
pub(super) fn lost(snapshot: &UserSnapshot) -> Option<Blocked> {
    let UserSnapshot { former, status_account_id, account, .. } = snapshot;
    let unknown = || status_account_id.clone().map(|id| (id, Fate::Unknown));
    let (lost, fate) = former.clone().or_else(unknown)?;
    let is_it = account.as_ref().is_some_and(|account| account.id.to_string() == lost);
    (!is_it).then_some(Blocked::AccountLost { account: lost, fate })
}

/// Returns why the `User` can't have the account that `spec.adopt` names.
pub(super) fn not_adoptable(snapshot: &UserSnapshot) -> Option<Blocked> {
    let UserSnapshot { spec, account, not_adoptable, .. } = snapshot;
    let asked = spec.adopt.as_ref()?;
    let adoption = Adoption::parse(asked);
    let why = match account {
        Some(account) if adoption.is_some_and(|it| it.id() == account.id) => return None,
        Some(account) => NotAdoptable::HasAnother(account.id),
        None if let Some(why) = not_adoptable => why.clone(),
        // An account of this id is yet to be created.
        None if matches!(adoption, Some(Adoption::Entry(_))) => return None,
        None => NotAdoptable::Unknown,
    };
    Some(Blocked::NotAdoptable { account: asked.clone(), why })
}

/// Returns what keeps the account of this name, which another `User` left behind, from being taken
/// back.
///
/// Whoever asked for this `User` was authorized for the group that it asks for, not for the one
/// that the account is in; and what was to be copied into a new account isn't copied into one that
/// is there.
fn not_taken_back(snapshot: &UserSnapshot, account: &Account) -> Option<Blocked> {
    let UserSnapshot { spec, .. } = snapshot;
    let copied = account.content.copied.as_ref().map(|copied| &copied.from);
    let why = match &spec.copy_of {
        _ if spec.adopt.is_none() && spec.group_ref.name != account.content.group => {
            NotAdoptable::InAnotherGroup { group: account.content.group.clone() }
        }
        Some(source) if Some(&source.name) != copied => NotAdoptable::NoCopy,
        _ => return None,
    };
    Some(Blocked::NotAdoptable { account: account.id.to_string(), why })
}

/// Takes over an account that isn't this `User`'s, whole or not at all.
///
/// Where a part of the spec is refused or waits, the account keeps what its former `User` gave it,
/// and nobody was authorized to have that together with the other parts. So nothing is applied
/// until everything can be, not even what takes rights away.
pub(super) fn take_over(snapshot: &UserSnapshot, account: &Account) -> Decision {
    if let Some(why) = not_taken_back(snapshot, account) {
        return Decision::blocked(why);
    }
    let decision = update(snapshot, account, None);
    let is_queued = |why: &Blocked| matches!(why, Blocked::QueuedBehindTransaction(_));
    let (queued, mut refused): (Vec<Blocked>, Vec<Blocked>) =
        decision.blocked.iter().cloned().partition(is_queued);
    if account.transaction.in_flight() && !queued.is_empty() {
        let kind = account.transaction.kind;
        refused.push(Blocked::TakeOverQueued { account: account.id, kind });
    }
    if refused.is_empty() {
        // What waits, if anything does, is the second of the two transactions that the spec takes.
        return decision;
    }
    Decision { blocked: refused, ..Decision::default() }
}
