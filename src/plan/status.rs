//! What a resource's status says once the store has answered: from the account or the refusal,
//! never from the plan.

use jiff::tz::TimeZone;

use super::user::Snapshot;
use super::{Blocked, OrganizationRecord, org_email_domain, user_group};
use crate::api::status::{Condition, ConditionStatus, ConditionType, Reason, Timestamp};
use crate::api::user::{
    AccountState, BillingStatus, PermissionOrigin, PermissionsStatus, TransactionState, TransactionStatus, TransactionType,
    UserStatus,
};
use crate::api::{OrgEmailDomainStatus, UserGroupStatus};
use crate::domain::account::{Account, Lifecycle, Transaction, TransactionKind};
use crate::domain::email::Domain;
use crate::domain::permission;

/// How many permissions a status lists.
const LISTED_PERMISSIONS: usize = 64;

/// Returns the status of a `User` that has this account, or none.
#[must_use]
pub fn of_user(snapshot: &Snapshot, account: Option<&Account>, blocked: &[Blocked]) -> UserStatus {
    let Snapshot { meta, spec, email, organization, .. } = snapshot;
    let asked_for = || email.as_ref().map_or_else(|_| spec.email.clone(), |email| Some(email.to_string()));
    let mut conditions = vec![ready(blocked, "the account is as declared")];
    conditions.extend(account_conditions(snapshot, account, blocked));
    conditions.extend(while_true(blocked));
    UserStatus {
        observed_generation: Some(meta.generation),
        state: Some(account.map_or(if meta.deleting { AccountState::Deleting } else { AccountState::Pending }, |account| {
            match account.content.lifecycle {
                Lifecycle::Enabled => AccountState::Enabled,
                Lifecycle::Disabled => AccountState::Disabled,
            }
        })),
        login_name: account.map(|account| account.login_name.to_string()),
        account_id: account.map(|account| account.id.to_string()).or_else(|| snapshot.recorded.clone()),
        email: account.map_or_else(asked_for, |account| Some(account.content.email.to_string())),
        group: Some(account.map_or(&spec.group_ref.name, |account| &account.content.group).clone()),
        profile: None,
        transaction: account.map(|account| transaction(&account.transaction)),
        permissions: account.map(|account| permissions(account, &organization.record)),
        clone: None,
        copy: None,
        heirs: None,
        billing: account
            .map(|account| BillingStatus { since: account.created.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string() }),
        conditions: complete(conditions, meta.generation),
    }
}

/// Returns the status of a group.
#[must_use]
pub fn of_group(snapshot: &user_group::Snapshot, blocked: &[Blocked]) -> UserGroupStatus {
    UserGroupStatus {
        observed_generation: Some(snapshot.meta.generation),
        members: Some(snapshot.members),
        conditions: simple(blocked, "the group is in force as declared", snapshot.meta.generation),
    }
}

/// Returns the status of a listed domain.
#[must_use]
pub fn of_listing(snapshot: &org_email_domain::Snapshot, blocked: &[Blocked]) -> OrgEmailDomainStatus {
    let asked_for = snapshot.spec.as_ref().and_then(|spec| Domain::parse(&spec.domain).ok());
    OrgEmailDomainStatus {
        observed_generation: Some(snapshot.meta.generation),
        ascii_domain: asked_for.map(|domain| domain.to_string()),
        users: Some(snapshot.users),
        conditions: simple(blocked, "addresses in the domain are accepted", snapshot.meta.generation),
    }
}

/// Returns the conditions of an object whose pending work the store can't take now.
///
/// The generation stays the one before: this one wasn't committed.
#[must_use]
pub fn without_store(previous: &[Condition], observed: i64) -> Vec<Condition> {
    let blocked = [Blocked::StoreUnavailable];
    let mut conditions = vec![ready(&blocked, "")];
    let others = |condition: &&Condition| {
        !matches!(condition.kind, ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled)
    };
    conditions.extend(previous.iter().filter(others).cloned());
    conditions.extend(while_true(&blocked));
    complete(conditions, observed)
}

/// Returns the conditions with the times at which their status last changed.
///
/// `None` if they are as before: then nothing is to be written.
#[must_use]
pub fn dated(mut conditions: Vec<Condition>, previous: &[Condition], now: jiff::Timestamp) -> Vec<Condition> {
    for condition in &mut conditions {
        let before = previous.iter().find(|before| before.kind == condition.kind && before.status == condition.status);
        condition.last_transition_time = before.map_or_else(|| second(now), |before| before.last_transition_time.clone());
    }
    conditions
}

fn simple(blocked: &[Blocked], settled: &str, generation: i64) -> Vec<Condition> {
    let mut conditions = vec![ready(blocked, settled)];
    conditions.extend(while_true(blocked));
    complete(conditions, generation)
}

fn complete(mut conditions: Vec<Condition>, generation: i64) -> Vec<Condition> {
    for condition in &mut conditions {
        condition.observed_generation = generation;
    }
    conditions
}

fn ready(blocked: &[Blocked], settled: &str) -> Condition {
    match blocked.first() {
        Some(why) => condition(ConditionType::Ready, ConditionStatus::False, why.reason(), why.to_string()),
        None => condition(ConditionType::Ready, ConditionStatus::True, Reason::Reconciled, settled),
    }
}

/// Returns Stalled or Reconciling, by what `Ready` names.
fn while_true(blocked: &[Blocked]) -> Option<Condition> {
    let why = blocked.first()?;
    let kind = if why.heals() { ConditionType::Reconciling } else { ConditionType::Stalled };
    Some(condition(kind, ConditionStatus::True, why.reason(), why.to_string()))
}

fn account_conditions(snapshot: &Snapshot, account: Option<&Account>, blocked: &[Blocked]) -> [Condition; 5] {
    use ConditionStatus::{False, True};
    use ConditionType::{Billable, EmailAccepted, InTransaction, LoginReady, PermissionsResolved};
    let none = "there is no account yet";
    let in_transaction = condition(InTransaction, False, Reason::Idle, "no transaction is in flight");
    let in_force = account.is_some_and(|account| snapshot.email.as_ref() == Ok(&account.content.email));
    let about_email = blocked.iter().find(|why| why.concerns_email());
    let email = match (about_email.or(blocked.first()), account) {
        _ if in_force => condition(EmailAccepted, True, Reason::Accepted, "the email is in force"),
        (Some(why), Some(_)) => condition(EmailAccepted, False, why.reason(), why.to_string()),
        (Some(why), None) if why.concerns_email() => condition(EmailAccepted, False, why.reason(), why.to_string()),
        _ => condition(EmailAccepted, False, Reason::NoAccount, none),
    };
    let (login, billable, permissions) = match account.map(|account| account.content.lifecycle) {
        None if !snapshot.spec.charge_approved => (
            condition(LoginReady, False, Reason::NoAccount, none),
            condition(Billable, False, Reason::ChargeNotApproved, "nothing is billed before the charge is approved"),
            condition(PermissionsResolved, False, Reason::NoAccount, none),
        ),
        None => (
            condition(LoginReady, False, Reason::NoAccount, none),
            condition(Billable, False, Reason::NoAccount, "nothing is billed before there is an account"),
            condition(PermissionsResolved, False, Reason::NoAccount, none),
        ),
        Some(Lifecycle::Disabled) => (
            condition(LoginReady, False, Reason::AccountDisabled, "the account is disabled"),
            condition(Billable, True, Reason::DisabledStillBilled, "a disabled account is billed like any other"),
            condition(PermissionsResolved, True, Reason::Resolved, "the permissions in effect are known"),
        ),
        Some(Lifecycle::Enabled) => (
            condition(LoginReady, False, Reason::PasswordNotSet, "no password was set yet"),
            condition(Billable, True, Reason::Enabled, "billed for every calendar month in which the account exists"),
            condition(PermissionsResolved, True, Reason::Resolved, "the permissions in effect are known"),
        ),
    };
    [in_transaction, login, billable, permissions, email]
}

fn condition(kind: ConditionType, status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Condition {
    let last_transition_time = Timestamp::from(jiff::Timestamp::UNIX_EPOCH);
    Condition { kind, status, reason, message: message.into(), last_transition_time, observed_generation: 0 }
}

fn transaction(transaction: &Transaction) -> TransactionStatus {
    TransactionStatus {
        id: transaction.id.0.to_string(),
        kind: match transaction.kind {
            TransactionKind::Create => TransactionType::Create,
            TransactionKind::Delete => TransactionType::Delete,
            TransactionKind::Disable => TransactionType::Disable,
            TransactionKind::Enable => TransactionType::Enable,
        },
        state: if transaction.completed.is_some() { TransactionState::Completed } else { TransactionState::InProgress },
        start_time: second(transaction.started),
        deadline_time: second(transaction.deadline),
        completion_time: transaction.completed.map(second),
    }
}

fn permissions(account: &Account, record: &OrganizationRecord) -> PermissionsStatus {
    let group = record.group(&account.content.group).unwrap_or_default();
    let effective = group.effective(&account.content.grants);
    PermissionsStatus {
        total: i64::try_from(effective.len()).unwrap_or(i64::MAX),
        digest: permission::digest(&effective),
        effective: effective.iter().take(LISTED_PERMISSIONS).map(ToString::to_string).collect(),
        source: PermissionOrigin::Own,
        chain: vec![],
    }
}

/// Kubernetes writes times to the second.
fn second(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time))
}
