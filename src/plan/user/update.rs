//! How an account follows its spec: what is refused keeps its value, what takes rights away never
//! waits, and everything else begins one transaction at a time.

use super::{Change, Others, Resolved, UserSnapshot, plan, resolve, source};
use crate::api::user::{PermissionSource, SourceMode};
use crate::domain::account::{
    Account, AccountSpec, LoginState, Owner, Source, TransactionId, TransactionKind,
};
use crate::plan::blocked::{Blocked, StoreTrouble};
use crate::plan::permission_source::SourceDecision;
use crate::plan::{AccountChange, AccountPlan, Decision, Meta, OrganizationRecord};

/// Leaves an account as it is while its spec waits, but for what follows from others: whether it is
/// in a cycle.
pub(super) fn hold_spec(snapshot: &UserSnapshot, account: &Account, why: Blocked) -> Decision {
    let AccountSpec { grants, source, .. } = &account.content;
    let Some(Source::Inherited { from, .. }) = source else { return Decision::blocked(why) };
    let followed = PermissionSource { name: from.clone(), mode: SourceMode::Inherit };
    let SourceDecision { source, freezes, seen: preconditions, absent, blocked: _ } =
        snapshot.person().sourcing(Some(&followed), grants);
    if source == account.content.source && freezes.is_empty() {
        return Decision::blocked(why);
    }
    let change = AccountChange::Update {
        account: account.id,
        from: account.revision,
        transaction: None,
        content: AccountSpec { source, ..account.content.clone() },
        password: None,
        adopts: false,
    };
    let others = Others { moves: vec![], freezes, preconditions };
    let plan = plan(snapshot, &account.login_name, change, others);
    // Nothing of the spec is applied, so the account stays of the generation that it was of.
    let plan = AccountPlan { owner: account.owner.clone(), ..plan };
    Decision { blocked: vec![why], absent, ..Decision::planned(plan) }
}

/// Brings an account to its spec as far as that can be done; what can't keeps its value.
pub(super) fn update(
    snapshot: &UserSnapshot,
    account: &Account,
    deletion_blocker: Option<Blocked>,
) -> Decision {
    let Resolved { new_password, mut refused, desired } = resolve(snapshot, deletion_blocker);
    let Some(desired) = desired else {
        return Decision { blocked: refused, ..Decision::default() };
    };
    let in_flight = account.transaction.in_flight().then_some(account.transaction.kind);
    let less = revocations(snapshot, account, &desired.content);
    let apart = less.is_some() && in_flight.is_none();
    refused.extend(apart.then_some(Blocked::StoreUnavailable(StoreTrouble::Locked)));
    let Change { content, others, absent } = less.unwrap_or_else(|| desired.clone());
    let (kind, content) = next_transaction(account, content, new_password.is_some());
    let begins_password = kind == Some(TransactionKind::PasswordChange);
    let waits = content != desired.content || new_password.is_some() && !begins_password;
    let behind = in_flight.or(kind).filter(|_| waits);
    refused.extend(behind.map(Blocked::QueuedBehindTransaction));

    let owner = owner(snapshot, account, waits);
    let is_current = account.owner == owner;
    let settled =
        content == account.content && is_current && others.freezes.is_empty() && kind.is_none();
    let blocked = refused;
    if settled {
        return Decision { blocked, absent, ..Decision::default() };
    }
    let repairs_drift = is_current && !waits && has_drifted(&content, &account.content);
    let (id, from) = (account.id, account.revision);
    let change = AccountChange::Update {
        account: id,
        from,
        transaction: kind.map(|kind| (TransactionId::of_change(id, kind, from), kind)),
        content,
        password: new_password.filter(|_| begins_password),
        adopts: account.owner.name != snapshot.meta.name,
    };
    let plan = plan(snapshot, &account.login_name, change, others);
    let requeue = waits && in_flight.is_none();
    let decision = Decision::planned(AccountPlan { owner, ..plan });
    Decision { blocked, repairs_drift, absent, requeue, ..decision }
}

/// Returns who owns the account once the plan is committed: of this generation only if nothing of
/// it waits.
fn owner(snapshot: &UserSnapshot, account: &Account, waits: bool) -> Owner {
    let Meta { name, uid, generation, .. } = &snapshot.meta;
    let applied = if account.owner.uid == *uid { account.owner.generation } else { 0 };
    Owner {
        name: name.clone(),
        uid: uid.clone(),
        generation: if waits { applied } else { *generation },
    }
}

/// Returns what of the desired change is applied apart from the rest, because that waits for a
/// transaction or is held up in the store: what takes rights away.
fn revocations(
    snapshot: &UserSnapshot,
    account: &Account,
    desired: &AccountSpec,
) -> Option<Change> {
    let in_flight = account.transaction.in_flight();
    let waits_for_application = snapshot.held_up && snapshot.owns_account();
    if !in_flight && !waits_for_application {
        return None;
    }
    let (grants, source) = source::remaining(snapshot, &account.content, &desired.grants);
    let SourceDecision { source, freezes, seen: preconditions, absent, blocked: _ } = source;
    let current = &account.content;
    let disables = desired.lifecycle == LoginState::Disabled;
    let moves_down = loses_rights(&snapshot.organization.record, &current.group, &desired.group);
    let content = AccountSpec {
        lifecycle: if disables { LoginState::Disabled } else { current.lifecycle },
        group: if moves_down { &desired.group } else { &current.group }.clone(),
        grants,
        source,
        ..current.clone()
    };
    // What an application holds up, such as another address, isn't to keep the rights in force that
    // go with it.
    let is_apart = in_flight || content != *current && content != *desired;
    let others = Others { moves: vec![], freezes, preconditions };
    is_apart.then_some(Change { content, others, absent })
}

/// Whether a member of one group loses something by moving to another.
fn loses_rights(record: &OrganizationRecord, from: &str, to: &str) -> bool {
    let (before, after) =
        (record.group(from).unwrap_or_default(), record.group(to).unwrap_or_default());
    from != to && !after.full_control && !before.given().is_subset(&after.given())
}

/// Returns the one transaction that an update begins, and the content that it gives the account:
/// what takes rights away first, and a new password before the account is enabled.
fn next_transaction(
    account: &Account,
    content: AccountSpec,
    has_new_password: bool,
) -> (Option<TransactionKind>, AccountSpec) {
    let lifecycle = account.content.lifecycle;
    match (lifecycle, content.lifecycle) {
        (LoginState::Enabled, LoginState::Disabled) => (Some(TransactionKind::Disable), content),
        _ if has_new_password && !account.transaction.in_flight() => {
            (Some(TransactionKind::PasswordChange), AccountSpec { lifecycle, ..content })
        }
        (LoginState::Disabled, LoginState::Enabled) => (Some(TransactionKind::Enable), content),
        _ => (None, content),
    }
}

/// Whether the store has other values than were written there, of those that are never refused.
fn has_drifted(wanted: &AccountSpec, found: &AccountSpec) -> bool {
    let AccountSpec { grants, role, teams, profile, lifecycle, .. } = wanted;
    // Disabling may have been refused before.
    let disabled = *lifecycle == LoginState::Enabled && found.lifecycle == LoginState::Disabled;
    *grants != found.grants
        || *role != found.role
        || *teams != found.teams
        || *profile != found.profile
        || disabled
}
