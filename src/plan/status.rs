//! What a resource's status says once the store has answered: from the account or the refusal,
//! never from the plan.

use super::blocked::reason_of;
use super::directories::{Behind, behind, behind_of_members};
use super::permission_source::GraphUser;
use super::user::{UserSnapshot, own_email};
use super::{Blocked, StoreTrouble, in_flight, org_email_domain, profile, user_group};
use crate::api::lenient::Field;
use crate::api::status::{Condition, ConditionStatus, ConditionType, Reason, Timestamp};
use crate::api::user::{
    AccountState, BillingStatus, CloneStatus, CopyStatus, PermissionOrigin, PermissionsStatus,
    TransactionState, TransactionStatus, TransactionType, UserStatus,
};
use crate::api::{OrgEmailDomainStatus, UserGroupStatus};
use crate::domain::account::{
    Account, Cloned, DeletedAccount, LoginState, Source, Transaction, TransactionKind,
};
use crate::domain::billing::{BillingTimeZone, Month};
use crate::domain::email::Domain;
use crate::domain::permission::Permissions;
use crate::domain::{inheritance, permission};

/// How many permissions a status lists.
const LISTED_PERMISSIONS: usize = 64;

/// What the store has of a `User`.
#[derive(Clone, Copy, Debug)]
pub enum StoredAccount<'a> {
    /// An account.
    Account(&'a Account),
    /// The account was deleted, and directories have yet to confirm it.
    Departed(&'a DeletedAccount),
    /// No account.
    Nothing,
}

/// Returns the status of a `User` of which the store has this; months are those of the time zone.
#[must_use]
pub fn of_user(
    snapshot: &UserSnapshot,
    has: StoredAccount<'_>,
    blocked: &[Blocked],
    zone: &BillingTimeZone,
) -> UserStatus {
    let UserSnapshot { meta, spec, email, heirs, .. } = snapshot;
    let (account, departed) = match has {
        StoredAccount::Account(account) => (Some(account), None),
        StoredAccount::Departed(departure) => (None, Some(departure)),
        StoredAccount::Nothing => (None, None),
    };
    let last = account.map(|account| (&account.transaction, &account.confirmed));
    let last =
        last.or_else(|| departed.map(|departure| (&departure.transaction, &departure.confirmed)));
    let told = last.map(|(transaction, confirmed)| {
        let unconfirmed = in_flight::unconfirmed(transaction, confirmed, &snapshot.directories);
        in_flight::with_transaction(blocked, transaction, unconfirmed, snapshot.now)
    });
    let in_flight = last.filter(|(last, _)| last.in_flight()).map(|(last, _)| last.kind);
    let behind = behind(&snapshot.directories, &snapshot.telling, snapshot.now);
    // What a transaction in flight waits for is told with it.
    let blocks = behind
        .clone()
        .filter(|behind| behind.blocks && in_flight.is_none())
        .map(Blocked::DirectoriesBehind);
    let blocked: Vec<Blocked> =
        told.unwrap_or_else(|| blocked.to_vec()).into_iter().chain(blocks).collect();
    let blocked = blocked.as_slice();
    let asked_for =
        || email.as_ref().map_or_else(|_| spec.email.clone(), |email| Some(email.to_string()));
    let mut conditions = vec![ready(blocked, "the account is as declared")];
    conditions.extend(account_conditions(snapshot, account, in_flight, blocked));
    let is_brought = !snapshot.directories.is_empty() && last.is_some();
    conditions.extend(directories_current(behind.as_ref(), is_brought));
    conditions.extend(progress_condition(blocked));
    UserStatus {
        observed_generation: Some(meta.generation),
        state: Some(account.map_or(
            if meta.deleting { AccountState::Deleting } else { AccountState::Pending },
            state,
        )),
        login_name: account
            .map(|account| &account.login_name)
            .or(departed.map(|departure| &departure.login_name))
            .map(ToString::to_string),
        account_id: account
            .map(|account| account.id.to_string())
            .or_else(|| snapshot.status_account_id.clone()),
        email: account.map_or_else(asked_for, |account| Some(account.content.email.to_string())),
        group: Some(account.map_or(&spec.group_ref.name, |account| &account.content.group).clone()),
        profile: account.and_then(|account| profile::of_member(&account.content.member)),
        transaction: last.map(|(last, _)| transaction(last, snapshot.now)),
        permissions: account.map(|account| permissions(snapshot, account)),
        clone: account.and_then(clone),
        copy: account.and_then(copy),
        heirs: account.and_then(|_| i64::try_from(heirs.len()).ok()),
        billing: account.map(|account| BillingStatus {
            since: Month::containing(account.created, zone).to_string(),
        }),
        conditions: complete(conditions, meta.generation),
    }
}

/// Returns the status of a group.
#[must_use]
pub fn of_group(snapshot: &user_group::GroupSnapshot, blocked: &[Blocked]) -> UserGroupStatus {
    let behind = snapshot.directories.as_ref().and_then(behind_of_members);
    let blocks = behind.clone().filter(|behind| behind.blocks).map(Blocked::DirectoriesBehind);
    let blocked: Vec<Blocked> = blocked.iter().cloned().chain(blocks).collect();
    let mut conditions = vec![ready(&blocked, "the group is in force as declared")];
    conditions.extend(directories_current(behind.as_ref(), snapshot.directories.is_some()));
    conditions.extend(progress_condition(&blocked));
    UserGroupStatus {
        observed_generation: Some(snapshot.meta.generation),
        members: Some(snapshot.members),
        conditions: complete(conditions, snapshot.meta.generation),
    }
}

/// Returns the status of a listed domain.
#[must_use]
pub fn of_listing(
    snapshot: &org_email_domain::DomainSnapshot,
    blocked: &[Blocked],
) -> OrgEmailDomainStatus {
    let asked_for = snapshot.spec.as_ref().and_then(|spec| Domain::parse(&spec.domain).ok());
    OrgEmailDomainStatus {
        observed_generation: Some(snapshot.meta.generation),
        ascii_domain: asked_for.map(|domain| domain.to_string()),
        users: Some(snapshot.users),
        conditions: simple(
            blocked,
            "addresses in the domain are accepted",
            snapshot.meta.generation,
        ),
    }
}

/// Returns the conditions of an object whose pending work the store can't take now.
///
/// The generation stays the one before: this one wasn't committed.
#[must_use]
pub fn store_unavailable(
    previous: &[Condition],
    observed: i64,
    trouble: StoreTrouble,
) -> Vec<Condition> {
    let blocked = [Blocked::StoreUnavailable(trouble)];
    let mut conditions = vec![ready(&blocked, "")];
    let others = |condition: &&Condition| {
        use ConditionType::{Ready, Reconciling, Stalled, Unknown};
        !matches!(condition.kind, Ready | Reconciling | Stalled | Unknown)
    };
    conditions.extend(previous.iter().filter(others).cloned());
    conditions.extend(progress_condition(&blocked));
    complete(conditions, observed)
}

/// Returns the conditions with the times at which their status last changed.
///
/// `None` if they are as before: then nothing is to be written.
#[must_use]
pub fn with_transition_times(
    mut conditions: Vec<Condition>,
    previous: &[Condition],
    now: jiff::Timestamp,
) -> Vec<Condition> {
    for condition in &mut conditions {
        let before = previous
            .iter()
            .find(|before| before.kind == condition.kind && before.status == condition.status);
        condition.last_transition_time =
            before.map_or_else(|| second(now), |before| before.last_transition_time.clone());
    }
    conditions
}

fn simple(blocked: &[Blocked], settled: &str, generation: i64) -> Vec<Condition> {
    let mut conditions = vec![ready(blocked, settled)];
    conditions.extend(progress_condition(blocked));
    complete(conditions, generation)
}

fn complete(mut conditions: Vec<Condition>, generation: i64) -> Vec<Condition> {
    for condition in &mut conditions {
        condition.observed_generation = generation;
    }
    conditions
}

/// Returns whether every directory has what is in force; nothing where nothing is brought anywhere.
fn directories_current(behind: Option<&Behind>, is_brought: bool) -> Option<Condition> {
    use ConditionType::DirectoriesCurrent;
    // What is confirmed within seconds isn't worth a write.
    let current = "every directory has confirmed what is in force; what changed a moment ago may still be on its way";
    match behind {
        Some(Behind { lag, message, blocks: _ }) => {
            Some(condition(DirectoriesCurrent, ConditionStatus::False, lag.reason(), message))
        }
        None => is_brought.then(|| {
            condition(DirectoriesCurrent, ConditionStatus::True, Reason::Reconciled, current)
        }),
    }
}

fn ready(blocked: &[Blocked], settled: &str) -> Condition {
    match blocked.first() {
        Some(why) => {
            condition(ConditionType::Ready, ConditionStatus::False, why.reason(), why.to_string())
        }
        None => condition(ConditionType::Ready, ConditionStatus::True, Reason::Reconciled, settled),
    }
}

/// Returns Stalled or Reconciling, by what `Ready` names.
fn progress_condition(blocked: &[Blocked]) -> Option<Condition> {
    let why = blocked.first()?;
    let kind = if why.is_transient() { ConditionType::Reconciling } else { ConditionType::Stalled };
    Some(condition(kind, ConditionStatus::True, why.reason(), why.to_string()))
}

fn state(account: &Account) -> AccountState {
    let Account { transaction, content, .. } = account;
    match (transaction.in_flight().then_some(transaction.kind), content.lifecycle) {
        (Some(TransactionKind::Create), _) => AccountState::Creating,
        (Some(TransactionKind::PasswordChange), _) => AccountState::ChangingPassword,
        (Some(TransactionKind::Disable), _) => AccountState::Disabling,
        (Some(TransactionKind::Enable), _) => AccountState::Enabling,
        (Some(TransactionKind::Delete), _) => AccountState::Deleting,
        (None, LoginState::Enabled) => AccountState::Enabled,
        (None, LoginState::Disabled) => AccountState::Disabled,
    }
}

fn account_conditions(
    snapshot: &UserSnapshot,
    account: Option<&Account>,
    in_flight: Option<TransactionKind>,
    blocked: &[Blocked],
) -> [Condition; 5] {
    use ConditionStatus::{False, True};
    use ConditionType::{Billable, EmailAccepted, InTransaction, LoginReady, PermissionsResolved};
    let none = "there is no account yet";
    let in_transaction = match in_flight {
        Some(kind) => {
            let is_late = |why: &&Blocked| {
                matches!(why, Blocked::DeadlineExceeded { .. } | Blocked::DirectoryRefused { .. })
            };
            let late = blocked.iter().find(is_late).or(blocked.last());
            condition(
                InTransaction,
                True,
                reason_of(kind),
                late.map(ToString::to_string).unwrap_or_default(),
            )
        }
        None => condition(InTransaction, False, Reason::Idle, "no transaction is in flight"),
    };
    let is_known = !snapshot.meta.unreadable.has(Field::Email);
    let in_force = is_known && account.is_some_and(|account| has_wanted_email(snapshot, account));
    let about_email = blocked.iter().find(|why| why.concerns_email());
    let email = match (about_email.or(blocked.first()), account) {
        _ if in_force => condition(EmailAccepted, True, Reason::Accepted, "the email is in force"),
        (Some(why), Some(_)) => condition(EmailAccepted, False, why.reason(), why.to_string()),
        (Some(why), None) if why.concerns_email() => {
            condition(EmailAccepted, False, why.reason(), why.to_string())
        }
        _ => condition(EmailAccepted, False, Reason::NoAccount, none),
    };
    let about_permissions = blocked.iter().find(|why| why.concerns_permissions());
    let permissions = match (about_permissions, account) {
        (Some(why), _) => condition(PermissionsResolved, False, why.reason(), why.to_string()),
        (None, Some(_)) => condition(
            PermissionsResolved,
            True,
            Reason::Resolved,
            "the permissions in effect are known",
        ),
        (None, None) => condition(PermissionsResolved, False, Reason::NoAccount, none),
    };
    let login = match account {
        None => condition(LoginReady, False, Reason::NoAccount, none),
        Some(account) if account.content.lifecycle == LoginState::Disabled => {
            condition(LoginReady, False, Reason::AccountDisabled, "the account is disabled")
        }
        Some(account) if account.content.email.copy_number().is_some() => condition(
            LoginReady,
            False,
            Reason::EmailIsPlaceholder,
            "the email is that of the copied User with a number: set spec.email to the person's own",
        ),
        Some(account) if account.credential.is_some() => condition(
            LoginReady,
            True,
            Reason::PasswordSet,
            "a password is set, and the account is enabled",
        ),
        Some(_) => match blocked.iter().find(|why| why.concerns_password()) {
            Some(why) => condition(LoginReady, False, why.reason(), why.to_string()),
            None => condition(
                LoginReady,
                False,
                Reason::PasswordNotSet,
                "no password was set yet: name the Secret that holds one in spec.passwordSecretRef",
            ),
        },
    };
    let billable = match account.map(|account| account.content.lifecycle) {
        None if !snapshot.spec.charge_approved => condition(
            Billable,
            False,
            Reason::ChargeNotApproved,
            "nothing is billed before the charge is approved",
        ),
        None => condition(
            Billable,
            False,
            Reason::NoAccount,
            "nothing is billed before there is an account",
        ),
        Some(LoginState::Disabled) => condition(
            Billable,
            True,
            Reason::DisabledStillBilled,
            "a disabled account is billed like any other",
        ),
        Some(LoginState::Enabled) => condition(
            Billable,
            True,
            Reason::Enabled,
            "billed for every calendar month in which the account exists",
        ),
    };
    [in_transaction, login, billable, permissions, email]
}

fn condition(
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: impl Into<String>,
) -> Condition {
    let last_transition_time = Timestamp::from(jiff::Timestamp::UNIX_EPOCH);
    Condition {
        kind,
        status,
        reason,
        message: message.into(),
        last_transition_time,
        observed_generation: 0,
    }
}

fn transaction(transaction: &Transaction, now: jiff::Timestamp) -> TransactionStatus {
    TransactionStatus {
        id: transaction.id.0.to_string(),
        kind: match transaction.kind {
            TransactionKind::Create => TransactionType::Create,
            TransactionKind::Delete => TransactionType::Delete,
            TransactionKind::PasswordChange => TransactionType::PasswordChange,
            TransactionKind::Disable => TransactionType::Disable,
            TransactionKind::Enable => TransactionType::Enable,
        },
        state: match transaction.completed {
            Some(_) => TransactionState::Completed,
            None if transaction.is_overdue(now) => TransactionState::Overdue,
            None => TransactionState::InProgress,
        },
        start_time: second(transaction.started),
        deadline_time: second(transaction.deadline),
        completion_time: transaction.completed.map(second),
    }
}

/// Whether the address in force is the one asked for, or the member's own over it.
fn has_wanted_email(snapshot: &UserSnapshot, account: &Account) -> bool {
    let UserSnapshot { spec, email, .. } = snapshot;
    match email {
        _ if spec.email.is_none() => true,
        Ok(declared) => {
            own_email(Some(account), declared).as_ref().unwrap_or(declared)
                == &account.content.email
        }
        Err(_) => false,
    }
}

/// Returns the permissions in effect of a `User`'s account as the store has it now, among the
/// others as they were seen.
#[must_use]
pub fn effective(snapshot: &UserSnapshot, account: &Account) -> Permissions {
    let person = GraphUser { account: Some(account), ..snapshot.person() };
    snapshot.organization.record.effective(account, |name| person.find(name))
}

fn permissions(snapshot: &UserSnapshot, account: &Account) -> PermissionsStatus {
    let person = GraphUser { account: Some(account), ..snapshot.person() };
    let chain = inheritance::chain(account, |name| person.find(name));
    let effective = effective(snapshot, account);
    PermissionsStatus {
        total: i64::try_from(effective.len()).unwrap_or(i64::MAX),
        digest: permission::digest(&effective),
        effective: effective.iter().take(LISTED_PERMISSIONS).map(ToString::to_string).collect(),
        source: match account.content.source {
            None => PermissionOrigin::Own,
            Some(Source::Inherited { .. }) => PermissionOrigin::Inherited,
            Some(Source::Cloned(_)) => PermissionOrigin::Cloned,
        },
        chain: chain.inherited().iter().map(|ancestor| ancestor.owner.name.clone()).collect(),
    }
}

fn clone(account: &Account) -> Option<CloneStatus> {
    let Some(Source::Cloned(Cloned { from, uid, generation, .. })) = &account.content.source else {
        return None;
    };
    let clone_time = second(account.cloned?);
    Some(CloneStatus { name: from.clone(), uid: uid.clone(), generation: *generation, clone_time })
}

fn copy(account: &Account) -> Option<CopyStatus> {
    let copied = account.content.copied.as_ref()?;
    Some(CopyStatus {
        name: copied.from.clone(),
        uid: copied.uid.clone(),
        generation: copied.generation,
        copy_time: second(account.created),
        number: account.content.email.copy_number().map(i64::from),
    })
}

/// Kubernetes writes times to the second.
#[must_use]
pub fn second(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time))
}
