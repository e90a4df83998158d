//! How a `User` ends: its account is deleted, or released to stay without a `User`.

use super::update::{hold_spec, update};
use super::{Others, UserSnapshot, plan};
use crate::api::user::{DeletionPolicy, DeletionProtection};
use crate::domain::account::{Account, AccountSpec, LoginState, TransactionId, TransactionKind};
use crate::plan::blocked::{AdminLossCause, Blocked, StoreTrouble};
use crate::plan::in_flight::unconfirmed_of;
use crate::plan::{AccountChange, Decision, FinalizerAction, unreadable};

/// Removes the finalizer of a `User` that has no account, unless that was protected and the store
/// has lost it.
pub(super) fn end_without_account(snapshot: &UserSnapshot) -> Decision {
    let UserSnapshot { meta, spec, departure, status_account_id, .. } = snapshot;
    let unsupported = unreadable::deletion(meta);
    let is_protected = spec.deletion_protection == DeletionProtection::Enabled
        && spec.deletion_policy == DeletionPolicy::Delete;
    match departure {
        // The directories are sent its end in any case; the finalizer waits for them.
        Some(deleted) if deleted.transaction.in_flight() => Decision::default(),
        None if status_account_id.is_some() && (is_protected || unsupported.is_some()) => {
            Decision::blocked(match unsupported {
                _ if meta.paused => Blocked::Paused,
                Some(unsupported) => unsupported,
                None => Blocked::DeletionProtected,
            })
        }
        _ => release_unaccounted(snapshot),
    }
}

/// Removes the finalizer once directories have dropped the account that the store has lost: nothing
/// names that account afterwards.
fn release_unaccounted(snapshot: &UserSnapshot) -> Decision {
    match snapshot.abandoned {
        Some(lost) if !snapshot.directories.is_empty() => {
            let left = unconfirmed_of(snapshot.directories.clone());
            let blocked = vec![Blocked::on_its_way(TransactionKind::Delete, left)];
            Decision { blocked, deprovisions: Some(lost), ..Decision::default() }
        }
        _ => Decision::only_finalizer(FinalizerAction::Remove),
    }
}

/// Ends the account of a deleted `User`; while that is refused, the spec still applies.
pub(super) fn end(snapshot: &UserSnapshot, account: &Account) -> Decision {
    if snapshot.spec.deletion_policy == DeletionPolicy::Retain {
        return release(snapshot, account);
    }
    match blocker(snapshot, account) {
        None if snapshot.held_up && account.content.lifecycle == LoginState::Enabled => {
            disable(snapshot, account)
        }
        None => delete(snapshot, account),
        why => update(snapshot, account, why),
    }
}

/// Returns what keeps the account of a deleted `User` from being deleted.
fn blocker(snapshot: &UserSnapshot, account: &Account) -> Option<Blocked> {
    let UserSnapshot { meta, spec, organization, heirs, control, .. } = snapshot;
    if let Some(unsupported) = unreadable::deletion(meta) {
        return Some(unsupported);
    }
    if spec.deletion_protection == DeletionProtection::Enabled {
        return Some(Blocked::DeletionProtected);
    }
    if !heirs.is_empty() {
        return Some(Blocked::HasHeirs { heirs: heirs.clone() });
    }
    let is_administrator = organization.record.is_administrator(&account.content);
    (is_administrator && control.is_lost())
        .then_some(Blocked::LastAdministrator { by: AdminLossCause::Deletion })
}

/// Keeps the account without its `User`, once its transaction is over.
fn release(snapshot: &UserSnapshot, account: &Account) -> Decision {
    let transaction = &account.transaction;
    if transaction.in_flight() {
        return hold_spec(snapshot, account, Blocked::QueuedBehindTransaction(transaction.kind));
    }
    let change = AccountChange::Release { account: account.id, from: account.revision };
    let plan = plan(snapshot, &account.login_name, change, Others::default());
    Decision { finalizer: FinalizerAction::Remove, ..Decision::planned(plan) }
}

fn delete(snapshot: &UserSnapshot, account: &Account) -> Decision {
    let transaction =
        TransactionId::of_change(account.id, TransactionKind::Delete, account.revision);
    let change = AccountChange::Delete { account: account.id, from: account.revision, transaction };
    let (freezes, preconditions) = snapshot.person().leave_loop();
    let others = Others { moves: vec![], freezes, preconditions };
    let plan = plan(snapshot, &account.login_name, change, others);
    Decision { finalizer: FinalizerAction::Remove, ..Decision::planned(plan) }
}

/// Disables an account while an application that has locked its cases holds up its deletion.
fn disable(snapshot: &UserSnapshot, account: &Account) -> Decision {
    let kind = TransactionKind::Disable;
    let change = AccountChange::Update {
        account: account.id,
        from: account.revision,
        transaction: Some((TransactionId::of_change(account.id, kind, account.revision), kind)),
        content: AccountSpec { lifecycle: LoginState::Disabled, ..account.content.clone() },
        password: None,
        adopts: false,
    };
    let plan = plan(snapshot, &account.login_name, change, Others::default());
    let blocked = vec![Blocked::StoreUnavailable(StoreTrouble::Locked)];
    Decision { blocked, requeue: true, ..Decision::planned(plan) }
}
