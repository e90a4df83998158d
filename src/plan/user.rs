//! What becomes of a `User`'s account.

use std::sync::Arc;

use super::adoption::Adoption;
use super::blocked::{AdminLossCause, Blocked, COPY_OF, Fate, Holder, NotAdoptable, StoreTrouble};
use super::directories::ReportContext;
use super::in_flight::{self, Directories, unconfirmed_of};
use super::permission_source::{GraphUser, SourceDecision, SourceGraph, available};
use super::unreadable::{self, Listed};
use super::{
    AccountChange, AccountPlan, AddressMove, AdminCoverage, Decision, FinalizerAction,
    FrozenPermissions, Meta, OrganizationFacts, Plan, Precondition, listing_of, profile,
    without_finalizer,
};
use crate::api::user::{
    DeletionPolicy, DeletionProtection, DesiredState, PermissionSource, SourceMode, UserSpec,
};
use crate::domain::account::{
    Account, AccountId, AccountSpec, Copied, DeletedAccount, LoginState, Owner, SecretPassword,
    Source, TransactionId, TransactionKind,
};
use crate::domain::email::{Email, EmailError};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::password::Requirement;
use crate::domain::permission::{self, Permissions};
use crate::domain::self_service::Overrides;

/// Everything that decides what becomes of one `User`'s account.
#[derive(Clone, Debug, PartialEq)]
pub struct UserSnapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for.
    pub spec: Arc<UserSpec>,
    /// The address it asks for.
    pub email: Result<Email, EmailError>,
    /// The account that its status names.
    pub status_account_id: Option<String>,
    /// The organization that it belongs to.
    pub organization: Arc<OrganizationFacts>,
    /// The time.
    pub now: jiff::Timestamp,
    /// The account that it owns, or the one that `spec.adopt` names and that nobody else owns.
    pub account: Option<Account>,
    /// Who has the account that `spec.adopt` names, where the `User` can't have it.
    pub not_adoptable: Option<NotAdoptable>,
    /// The account that it had.
    pub departure: Option<DeletedAccount>,
    /// The account that it had and has no more, where it stays and has none, and what became of it.
    pub former: Option<(String, Fate)>,
    /// The account that its status names and that the store doesn't have, where the `User` gives it
    /// up by going.
    pub abandoned: Option<AccountId>,
    /// Whether an application holds up its deletion, by a lock in the store.
    pub held_up: bool,
    /// What is known of the password that it names.
    pub password: PasswordFacts,
    /// The directories that transactions wait for; of an account that is given up, those that have
    /// yet to drop it.
    pub directories: Directories,
    /// What decides whether its status tells of what directories lack.
    pub telling: ReportContext,
    /// Who has the login name that a new account would get.
    pub login_holder: Option<Holder>,
    /// Who stands in the way of its address.
    pub contest: EmailConflict,
    /// Whom its permissions and details come from or would, and whom theirs come from.
    pub relatives: Arc<SourceGraph>,
    /// The names of the `User`s that follow its permissions, those that are being deleted left out.
    pub heirs: Vec<String>,
    /// Who is in control beside it; looked up only where [`gives_up_control`].
    pub control: AdminCoverage,
}

impl UserSnapshot {
    /// Returns the account that the `User` takes over or is yet to: one that isn't its own.
    #[must_use]
    pub fn left_behind(&self) -> Option<&Account> {
        self.account.as_ref().filter(|account| account.owner.uid != self.meta.uid)
    }

    /// Returns the `User` among its relatives.
    #[must_use]
    pub fn person(&self) -> GraphUser<'_> {
        GraphUser {
            name: &self.meta.name,
            account: self.account.as_ref(),
            relatives: &self.relatives,
        }
    }
}

/// What is known of the password that a `User` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordFacts {
    /// It names none.
    #[default]
    NotReferenced,
    /// There is no such Secret, or none of our type.
    SecretMissing,
    /// The Secret lacks a key.
    KeyMissing(String),
    /// Nobody has looked at it yet.
    Pending,
    /// It doesn't meet these requirements.
    Rejected(Vec<Requirement>),
    /// It is the one that last came from a Secret.
    Same,
    /// It is another.
    New(SecretPassword),
}

/// The accounts between a `User` and the address it asks for.
///
/// The first has that address, each next one has the address that the one before it asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmailConflict {
    /// The accounts, nearest first.
    pub rivals: Vec<EmailHolder>,
    /// Whether nobody has the address that the last one asks for.
    pub ends_free: bool,
}

/// An account that has an address that somebody else asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct EmailHolder {
    /// The account, which may stand between many and their addresses.
    pub account: Arc<Account>,
    /// The address that its `User` asks for, where that may be applied: the resource is there,
    /// is this account's, isn't paused, being deleted or refused whole.
    pub asks_for: Option<Email>,
    /// Whether a `User` of its owner's name is there.
    pub is_declared: bool,
}

/// Decides what becomes of a `User`'s account.
///
/// Total, and settled after one application: deciding again on what the store then has plans
/// nothing.
#[must_use]
pub fn decide(snapshot: &UserSnapshot) -> Decision {
    let UserSnapshot { meta, spec, status_account_id: recorded, account, departure, .. } = snapshot;
    let protected = spec.deletion_protection == DeletionProtection::Enabled;
    let retained = spec.deletion_policy == DeletionPolicy::Retain;
    let mine = account.as_ref().filter(|account| !meta.deleting || account.owner.uid == meta.uid);
    let unsupported = unreadable::deletion(meta);
    let trouble =
        mine.filter(|_| meta.deleting).and_then(|account| deletion_blocker(snapshot, account));
    match mine {
        _ if let Some(decision) = without_finalizer(meta) => decision,
        // Its end is only told: directories are brought up to date whether or not anybody looks.
        None if meta.deleting
            && departure.as_ref().is_some_and(|gone| gone.transaction.in_flight()) =>
        {
            Decision::default()
        }
        None if meta.deleting && (departure.is_some() || recorded.is_none()) => {
            release_unaccounted(snapshot)
        }
        None if meta.deleting && unsupported.is_none() && (retained || !protected) => {
            release_unaccounted(snapshot)
        }
        Some(account) if meta.paused && account.owner.uid == meta.uid => {
            hold_spec(snapshot, account, Blocked::Paused)
        }
        _ if meta.paused => Decision::blocked(Blocked::Paused),
        None if meta.deleting => {
            Decision::blocked(unsupported.unwrap_or(Blocked::DeletionProtected))
        }
        Some(account) if meta.deleting && retained => release(snapshot, account),
        Some(account) if meta.deleting && trouble.is_none() => deletion(snapshot, account),
        account if let Some(lost) = lost(snapshot, account) => Decision::blocked(lost),
        None if let Some(not_adoptable) = not_adoptable(snapshot, None) => {
            Decision::blocked(not_adoptable)
        }
        Some(account) if account.owner.uid != meta.uid => take_over(snapshot, account),
        Some(account) => update(snapshot, account, trouble),
        None => creation(snapshot),
    }
}

/// Lets go of a `User` without an account, once directories have dropped the one that the store has
/// lost: nobody could tell them later.
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

/// Returns that the account which this `User` had isn't the one that the store has, unless this
/// `User` made that one.
///
/// A Create is done once for a `User`: one whose account went since, and that was put back, gets no
/// other by itself.
fn lost(snapshot: &UserSnapshot, account: Option<&Account>) -> Option<Blocked> {
    let unknown =
        || snapshot.status_account_id.as_ref().map(|recorded| (recorded.clone(), Fate::Unknown));
    let (lost, fate) = snapshot.former.clone().or_else(unknown)?;
    let is_it = account.is_some_and(|account| {
        account.id.to_string() == lost || account.owner.uid == snapshot.meta.uid
    });
    (!is_it).then_some(Blocked::AccountLost { account: lost, fate })
}

fn not_adoptable(snapshot: &UserSnapshot, account: Option<&Account>) -> Option<Blocked> {
    let asked = snapshot.spec.adopt.as_ref()?;
    let adoption = Adoption::parse(asked);
    let is_it = |account: &Account| adoption.is_some_and(|adoption| adoption.id() == account.id);
    let why = match account {
        Some(account) if is_it(account) => return None,
        Some(account) => NotAdoptable::HasAnother(account.id),
        None if let Some(why) = &snapshot.not_adoptable => why.clone(),
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
fn take_over(snapshot: &UserSnapshot, account: &Account) -> Decision {
    if let Some(why) =
        not_adoptable(snapshot, Some(account)).or_else(|| not_taken_back(snapshot, account))
    {
        return Decision::blocked(why);
    }
    let decision = update(snapshot, account, None);
    let (queued, mut blocked): (Vec<Blocked>, Vec<Blocked>) = decision
        .blocked
        .iter()
        .cloned()
        .partition(|why| matches!(why, Blocked::QueuedBehindTransaction(_)));
    let in_flight = account.transaction.in_flight();
    if blocked.is_empty() && (queued.is_empty() || !in_flight) {
        // What waits, if anything does, is the second of the two transactions that the spec takes.
        return decision;
    }
    if in_flight && !queued.is_empty() {
        blocked
            .push(Blocked::TakeOverQueued { account: account.id, kind: account.transaction.kind });
    }
    Decision { blocked, ..Decision::default() }
}

/// Lets go of the `User` and keeps the account, once its transaction is over.
fn release(snapshot: &UserSnapshot, account: &Account) -> Decision {
    if account.transaction.in_flight() {
        return hold_spec(
            snapshot,
            account,
            Blocked::QueuedBehindTransaction(account.transaction.kind),
        );
    }
    let change = AccountChange::Release { account: account.id, from: account.revision };
    let (_, customer_id) = account.login_name.parts();
    let plan = plan(
        snapshot,
        customer_id,
        change,
        AlsoPlanned { moves: vec![], keeps: vec![], seen: vec![] },
    );
    Decision {
        plan: Some(Plan::Account(Box::new(plan))),
        finalizer: FinalizerAction::Remove,
        ..Decision::default()
    }
}

/// Whether the account is an administrator's and the `User` may ask to be none any more.
#[must_use]
pub fn gives_up_control(snapshot: &UserSnapshot) -> bool {
    let UserSnapshot { meta, spec, organization, account, .. } = snapshot;
    account.as_ref().is_some_and(|account| {
        let asks_for_less =
            spec.state == DesiredState::Disabled || spec.group_ref.name != account.content.group;
        organization.record.is_administrator(&account.content) && (meta.deleting || asks_for_less)
    })
}

/// Returns the name of the `User` whose permissions are to be followed.
#[must_use]
pub fn follows(spec: &UserSpec) -> Option<&str> {
    let source = spec.permissions.as_ref()?.from.as_ref()?;
    (source.mode == SourceMode::Inherit).then_some(source.name.as_str())
}

/// Returns what keeps the account of a deleted `User` from being deleted.
fn deletion_blocker(snapshot: &UserSnapshot, account: &Account) -> Option<Blocked> {
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
    let in_control = organization.record.is_administrator(&account.content);
    (in_control && control.is_lost())
        .then_some(Blocked::LastAdministrator { by: AdminLossCause::Deletion })
}

fn deletion(snapshot: &UserSnapshot, account: &Account) -> Decision {
    if snapshot.held_up && account.content.lifecycle == LoginState::Enabled {
        return disabling(snapshot, account);
    }
    let transaction =
        TransactionId::of_change(account.id, TransactionKind::Delete, account.revision);
    let change = AccountChange::Delete { account: account.id, from: account.revision, transaction };
    let (keeps, seen) = snapshot.person().leave_loop();
    let others = AlsoPlanned { moves: vec![], keeps, seen };
    let (_, customer_id) = account.login_name.parts();
    let plan = Plan::Account(Box::new(plan(snapshot, customer_id, change, others)));
    Decision { plan: Some(plan), finalizer: FinalizerAction::Remove, ..Decision::default() }
}

/// Disables an account whose deletion is held up: who is to go logs in no more, whoever keeps the
/// cases.
fn disabling(snapshot: &UserSnapshot, account: &Account) -> Decision {
    let kind = TransactionKind::Disable;
    let change = AccountChange::Update {
        account: account.id,
        from: account.revision,
        transaction: Some((TransactionId::of_change(account.id, kind, account.revision), kind)),
        content: AccountSpec { lifecycle: LoginState::Disabled, ..account.content.clone() },
        password: None,
        adopts: false,
    };
    let (_, customer_id) = account.login_name.parts();
    let others = AlsoPlanned { moves: vec![], keeps: vec![], seen: vec![] };
    let plan = Plan::Account(Box::new(plan(snapshot, customer_id, change, others)));
    let blocked = vec![Blocked::StoreUnavailable(StoreTrouble::Locked)];
    Decision { plan: Some(plan), blocked, requeue: true, ..Decision::default() }
}

fn creation(snapshot: &UserSnapshot) -> Decision {
    let UserSnapshot { meta, spec, organization, login_holder, .. } = snapshot;
    let mut blocked: Vec<Blocked> = unsupported(snapshot, true).into_iter().collect();
    blocked.extend(customer_id_blocker(organization));
    if !spec.charge_approved {
        blocked.push(Blocked::ChargeNotApproved);
    }
    let group = group(snapshot).map_err(|why| blocked.push(why));
    let named = organization.customer_id.clone().ok().map(|id| (login_name(snapshot, &id), id));
    if let (Some((login_name, _)), Some(holder)) = (&named, login_holder) {
        blocked
            .push(Blocked::LoginTaken { login_name: login_name.clone(), holder: holder.clone() });
    }
    let copy = copy(snapshot);
    let email = match &copy {
        // Whose copy it is isn't known yet, and so isn't its address.
        Err(_) if spec.email.is_none() => None,
        _ => email(snapshot).map_err(|why| blocked.push(why)).ok(),
    };
    let grants = grants(spec);
    let SourceDecision { source, freezes: keeps, mut seen, absent, blocked: no_source } =
        snapshot.person().sourcing(source(spec), &grants);
    let copied = copy.map_err(|why| blocked.push(why));
    blocked.extend(no_source);
    let password = password(snapshot, TransactionKind::Create).map_err(|why| blocked.push(why));
    match (group, named, email, copied, password) {
        (
            Ok(group),
            Some((login_name, customer_id)),
            Some((email, moves)),
            Ok(copied),
            Ok(password),
        ) if blocked.is_empty() => {
            let (copied, copied_from) = copied.unzip();
            seen.extend(copied_from);
            let content = content(
                spec,
                DecidedSource {
                    email,
                    group,
                    grants,
                    source,
                    copied,
                    member: Overrides::default(),
                },
            );
            let id = spec.adopt.as_deref().and_then(Adoption::parse).map(Adoption::id);
            let transaction = TransactionId::of_create(&meta.uid);
            let change = AccountChange::Create { id, transaction, login_name, content, password };
            let plan = Plan::Account(Box::new(plan(
                snapshot,
                customer_id,
                change,
                AlsoPlanned { moves, keeps, seen },
            )));
            Decision { plan: Some(plan), absent, ..Decision::default() }
        }
        _ => Decision { blocked, ..Decision::default() },
    }
}

/// Leaves an account as it is while its spec waits, but for what follows from others: whether it is
/// on a loop.
fn hold_spec(snapshot: &UserSnapshot, account: &Account, why: Blocked) -> Decision {
    let AccountSpec { grants, source, .. } = &account.content;
    let followed = match source {
        Some(Source::Inherited { from, .. }) => {
            PermissionSource { name: from.clone(), mode: SourceMode::Inherit }
        }
        Some(Source::Cloned(_)) | None => return Decision::blocked(why),
    };
    let SourceDecision { source, freezes: keeps, seen, absent, blocked: _ } =
        snapshot.person().sourcing(Some(&followed), grants);
    if source == account.content.source && keeps.is_empty() {
        return Decision::blocked(why);
    }
    let content = AccountSpec { source, ..account.content.clone() };
    let change = AccountChange::Update {
        account: account.id,
        from: account.revision,
        transaction: None,
        content,
        password: None,
        adopts: false,
    };
    let (_, customer_id) = account.login_name.parts();
    // Nothing of the spec is applied, so the account is as of the generation that it was as of.
    let plan = plan(snapshot, customer_id, change, AlsoPlanned { moves: vec![], keeps, seen });
    let plan = AccountPlan { owner: account.owner.clone(), ..plan };
    Decision {
        plan: Some(Plan::Account(Box::new(plan))),
        blocked: vec![why],
        absent,
        ..Decision::default()
    }
}

/// Brings an account to its spec as far as that can be done; what can't keeps its value.
fn update(snapshot: &UserSnapshot, account: &Account, held: Option<Blocked>) -> Decision {
    let UserSnapshot { meta, spec, organization, .. } = snapshot;
    let is_held_by_it = matches!(held, Some(Blocked::UnsupportedValue { .. }));
    let mut blocked: Vec<Blocked> = held.into_iter().collect();
    blocked.extend(unsupported(snapshot, account.owner.uid != meta.uid).filter(|_| !is_held_by_it));
    blocked.extend(not_adoptable(snapshot, Some(account)));
    blocked.extend(customer_id_blocker(organization));
    let is_owned = account.owner.uid == meta.uid;
    // An account of this name that was left behind is as little to be had without it as a new one.
    blocked.extend((!is_owned && !spec.charge_approved).then_some(Blocked::ChargeNotApproved));
    let Desired { content: asked, others, absent } = desired(snapshot, account, &mut blocked);
    let has_password =
        account.credential.as_ref().is_some_and(|credential| credential.from_secret.is_some());
    let passes = has_password && is_owned;
    let password = password(snapshot, TransactionKind::PasswordChange).unwrap_or_else(|why| {
        // A Secret that was touched is seldom another password: whoever has one is as declared
        // until it is found to be.
        blocked.extend(
            Some(why).filter(|why| !passes || !matches!(why, Blocked::PasswordUnjudged(_))),
        );
        None
    });
    let in_flight = account.transaction.in_flight();
    let less =
        (in_flight || snapshot.held_up && is_owned).then(|| revocations(snapshot, account, &asked));
    // What an application holds up, such as another address, isn't to keep the rights in force that
    // go with it.
    let less = less.filter(|(less, ..)| in_flight || *less != account.content && *less != asked);
    let apart = less.is_some() && !in_flight;
    blocked.extend(apart.then_some(Blocked::StoreUnavailable(StoreTrouble::Locked)));
    let (at_once, others, absent) = less.unwrap_or_else(|| (asked.clone(), others, absent));
    let Started { kind, content: wanted } = next_transaction(account, at_once, password.is_some());
    let password =
        password.map(|set| (kind == Some(TransactionKind::PasswordChange)).then_some(set));
    let waits = wanted != asked || password == Some(None);
    let behind = if in_flight { Some(account.transaction.kind) } else { kind };
    blocked.extend(behind.filter(|_| waits).map(Blocked::QueuedBehindTransaction));

    let owner = owner(snapshot, account, waits);
    let settled = wanted == account.content
        && account.owner == owner
        && others.keeps.is_empty()
        && kind.is_none();
    let puts_back = account.owner == owner && !waits && has_drifted(&wanted, &account.content);
    let plan = (!settled).then(|| {
        let from = account.revision;
        let transaction = kind.map(|kind| (TransactionId::of_change(account.id, kind, from), kind));
        let (password, adopts) = (password.flatten(), account.owner.name != meta.name);
        let change = AccountChange::Update {
            account: account.id,
            from,
            transaction,
            content: wanted,
            password,
            adopts,
        };
        let (_, customer_id) = account.login_name.parts();
        Plan::Account(Box::new(AccountPlan {
            owner,
            ..plan(snapshot, customer_id, change, others)
        }))
    });
    let again = plan.is_some() && waits && !in_flight;
    Decision {
        plan,
        blocked,
        finalizer: FinalizerAction::Keep,
        repairs_drift: puts_back,
        absent,
        requeue: again,
        deprovisions: None,
    }
}

/// Returns what of the spec isn't understood.
fn unsupported(snapshot: &UserSnapshot, is_new: bool) -> Option<Blocked> {
    let UserSnapshot { meta, spec, .. } = snapshot;
    let grants = spec.permissions.as_ref().map_or(&[][..], |own| &own.grants);
    unreadable::blocked(meta, Listed::Grants(grants), is_new)
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

/// What a spec asks of an account.
struct Desired {
    content: AccountSpec,
    others: AlsoPlanned,
    absent: Vec<String>,
}

/// Returns what a spec asks of an account, as if no transaction were in flight; what is refused
/// keeps its value.
fn desired(snapshot: &UserSnapshot, account: &Account, blocked: &mut Vec<Blocked>) -> Desired {
    let UserSnapshot { meta, spec, .. } = snapshot;
    let group = if spec.group_ref.name == account.content.group {
        Ok(spec.group_ref.name.clone())
    } else {
        group(snapshot)
    };
    let group = group.unwrap_or_else(|why| {
        blocked.push(why);
        account.content.group.clone()
    });
    let before_email = blocked.len();
    let (email, moves) = email(snapshot).unwrap_or_else(|why| {
        blocked.push(why);
        (account.content.email.clone(), vec![])
    });
    let grants = grants(spec);
    let SourceDecision { source, freezes: keeps, seen, absent, blocked: no_source } =
        snapshot.person().sourcing(source(spec), &grants);
    blocked.extend(no_source);
    // What a former User copied isn't asked for by one that copies nothing.
    let copies = account.owner.uid == meta.uid || spec.copy_of.is_some();
    let (copied, member) =
        (account.content.copied.clone().filter(|_| copies), account.content.member.clone());
    let mut content = content(spec, DecidedSource { email, group, grants, source, copied, member });
    if leaves_no_administrator(snapshot, account, &content) {
        content.lifecycle = account.content.lifecycle;
        content.group.clone_from(&account.content.group);
        blocked.insert(before_email, Blocked::LastAdministrator { by: AdminLossCause::Edit });
    }
    Desired { content, others: AlsoPlanned { moves, keeps, seen }, absent }
}

/// Returns what of that is applied while a transaction is in flight: what takes rights away.
fn revocations(
    snapshot: &UserSnapshot,
    account: &Account,
    asked: &AccountSpec,
) -> (AccountSpec, AlsoPlanned, Vec<String>) {
    let UserSnapshot { spec, organization, .. } = snapshot;
    let grants = in_flight::remaining_grants(&account.content, &asked.grants);
    let kept = in_flight::remaining_source(&account.content, source(spec));
    let SourceDecision { source, freezes: keeps, seen, absent, blocked: _ } =
        snapshot.person().sourcing(kept.as_ref(), &grants);
    let content = AccountSpec { grants, source, ..asked.clone() };
    let content = in_flight::revocations_only(&organization.record, &account.content, content);
    (content, AlsoPlanned { moves: vec![], keeps, seen }, absent)
}

/// The transaction that an update begins, and what it brings.
struct Started {
    kind: Option<TransactionKind>,
    content: AccountSpec,
}

/// Returns the one transaction that an update begins: what takes rights away first, and a new
/// password before the account is enabled.
fn next_transaction(account: &Account, content: AccountSpec, new_password: bool) -> Started {
    let free = !account.transaction.in_flight();
    let (before, after) = (account.content.lifecycle, content.lifecycle);
    match (before, after) {
        (LoginState::Enabled, LoginState::Disabled) => {
            Started { kind: Some(TransactionKind::Disable), content }
        }
        _ if new_password && free => Started {
            kind: Some(TransactionKind::PasswordChange),
            content: AccountSpec { lifecycle: before, ..content },
        },
        (LoginState::Disabled, LoginState::Enabled) => {
            Started { kind: Some(TransactionKind::Enable), content }
        }
        _ => Started { kind: None, content },
    }
}

/// Returns the new password that the account is to have, if it is to have one.
fn password(
    snapshot: &UserSnapshot,
    kind: TransactionKind,
) -> Result<Option<SecretPassword>, Blocked> {
    let secret = || {
        snapshot
            .spec
            .password_secret_ref
            .as_ref()
            .map(|reference| reference.name.clone())
            .unwrap_or_default()
    };
    let keeps = snapshot.account.as_ref().is_some_and(|account| account.credential.is_some());
    match &snapshot.password {
        PasswordFacts::NotReferenced | PasswordFacts::Same => Ok(None),
        PasswordFacts::New(password) => Ok(Some(password.clone())),
        PasswordFacts::Pending => Err(Blocked::PasswordUnjudged(kind)),
        PasswordFacts::SecretMissing => {
            Err(Blocked::PasswordSecretNotFound { secret: secret(), keeps })
        }
        PasswordFacts::KeyMissing(key) => {
            Err(Blocked::PasswordKeyNotFound { secret: secret(), key: key.clone(), keeps })
        }
        PasswordFacts::Rejected(unmet) => {
            Err(Blocked::PasswordRejected { secret: secret(), unmet: unmet.clone(), keeps })
        }
    }
}

/// Whether this content would take the organization's last administrator away.
fn leaves_no_administrator(
    snapshot: &UserSnapshot,
    account: &Account,
    wanted: &AccountSpec,
) -> bool {
    let record = &snapshot.organization.record;
    let control = AdminCoverage {
        users: snapshot.control.users || !snapshot.meta.deleting,
        ..snapshot.control
    };
    record.is_administrator(&account.content)
        && !record.is_administrator(wanted)
        && control.is_lost()
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

/// What a plan does to and knows of others' accounts.
struct AlsoPlanned {
    moves: Vec<AddressMove>,
    keeps: Vec<FrozenPermissions>,
    seen: Vec<Precondition>,
}

fn plan(
    snapshot: &UserSnapshot,
    customer_id: CustomerId,
    change: AccountChange,
    others: AlsoPlanned,
) -> AccountPlan {
    let UserSnapshot { meta, organization: facts, .. } = snapshot;
    let AlsoPlanned { moves, keeps, seen } = others;
    let organization = Organization { namespace: meta.namespace.clone(), customer_id };
    let owner =
        Owner { name: meta.name.clone(), uid: meta.uid.clone(), generation: meta.generation };
    let leaving = facts.deleting_users.clone();
    AccountPlan { organization, owner, change, moves, freezes: keeps, preconditions: seen, leaving }
}

fn customer_id_blocker(organization: &OrganizationFacts) -> Vec<Blocked> {
    let record = &organization.record;
    match (&organization.customer_id, &record.claimed) {
        (Err(error), _) => vec![Blocked::CustomerIdInvalid(*error)],
        (Ok(presented), Some(claimed)) if presented != claimed => {
            vec![Blocked::CustomerIdChanged { claimed: claimed.clone() }]
        }
        (Ok(presented), None) if record.taken => vec![Blocked::CustomerIdTaken(presented.clone())],
        (Ok(_), _) => vec![],
    }
}

/// Returns the login name that a new account of this `User` gets.
#[must_use]
pub fn login_name(snapshot: &UserSnapshot, customer_id: &CustomerId) -> LoginName {
    LoginName::new(snapshot.spec.username.as_ref().unwrap_or(&snapshot.meta.name), customer_id)
}

/// Returns the group asked for, if it takes new members.
fn group(snapshot: &UserSnapshot) -> Result<String, Blocked> {
    let name = &snapshot.spec.group_ref.name;
    let leaving = snapshot.organization.deleting_groups.contains(name);
    if leaving || snapshot.organization.record.group(name).is_none() {
        return Err(Blocked::GroupNotFound { group: name.clone(), leaving });
    }
    Ok(name.clone())
}

/// Returns the address asked for, and the moves that make room for it.
///
/// An address that the account already has is never refused, whatever became of its domain.
fn email(snapshot: &UserSnapshot) -> Result<(Email, Vec<AddressMove>), Blocked> {
    let current = snapshot.account.as_ref().map(|account| &account.content.email);
    let wanted = wanted_email(snapshot)?;
    if current == Some(&wanted) {
        return Ok((wanted, vec![]));
    }
    if !is_listed(&snapshot.organization, &wanted) {
        let leaving = listing_of(&snapshot.organization.record.listings, wanted.domain()).is_some();
        return Err(Blocked::DomainNotAllowed { domain: wanted.domain().to_owned(), leaving });
    }
    let moves = vacating_moves(snapshot, current).ok_or_else(|| {
        let EmailHolder { account, is_declared, .. } = &snapshot.contest.rivals[0];
        Blocked::EmailTaken { email: wanted.clone(), holder: Holder::of(account, *is_declared) }
    })?;
    Ok((wanted, moves))
}

/// Returns the member's own address where they have one, else the declared one, else that of a
/// copy, whose number the store chooses.
fn wanted_email(snapshot: &UserSnapshot) -> Result<Email, Blocked> {
    let UserSnapshot { spec, email, account, .. } = snapshot;
    let declared = if spec.email.is_some() { Some(email.clone()) } else { None };
    match (declared, account) {
        (None, Some(account)) => Ok(account.content.email.clone()),
        (None, None) => match source_of_copy(snapshot) {
            Some(source) => Ok(source?.content.email.placeholder(1)),
            None => email.clone().map_err(Blocked::EmailInvalid),
        },
        (Some(declared), _) => {
            let declared = declared.map_err(Blocked::EmailInvalid)?;
            Ok(own_email(account.as_ref(), &declared).unwrap_or(declared))
        }
    }
}

/// Returns the address that the member chose, if it holds over the declared one.
#[must_use]
pub fn own_email(account: Option<&Account>, declared: &Email) -> Option<Email> {
    let own = account?.content.member.email.as_ref()?;
    (own.base == declared.as_str()).then(|| Email::from_stored(own.value.clone()))
}

fn source_of_copy(snapshot: &UserSnapshot) -> Option<Result<&Account, Blocked>> {
    let source = snapshot.spec.copy_of.as_ref()?;
    Some(available(&snapshot.relatives, COPY_OF, &source.name))
}

/// Returns what a new account copies, and the account that it is copied from.
fn copy(snapshot: &UserSnapshot) -> Result<Option<(Copied, Precondition)>, Blocked> {
    let Some(source) = source_of_copy(snapshot).transpose()? else { return Ok(None) };
    let AccountSpec { role, teams, profile, .. } = source.content.clone();
    let Owner { name, uid, generation } = source.owner.clone();
    let copied = Copied { from: name, uid, generation, role, teams, profile };
    Ok(Some((copied, Precondition { account: source.id, revision: source.revision })))
}

/// Returns the moves that free an address, if everybody in the way moves on to another one.
///
/// They do when the last of them asks for an address that nobody has, or for ours: addresses
/// that are swapped or passed round are one set.
fn vacating_moves(snapshot: &UserSnapshot, ours: Option<&Email>) -> Option<Vec<AddressMove>> {
    let EmailConflict { rivals, ends_free } = &snapshot.contest;
    let moves: Option<Vec<AddressMove>> =
        rivals.iter().map(|rival| a_move(&snapshot.organization, rival)).collect();
    let moves = moves?;
    let passed_on = match moves.last() {
        None => true,
        Some(last) => *ends_free || ours == Some(&last.to),
    };
    passed_on.then_some(moves)
}

fn a_move(organization: &OrganizationFacts, rival: &EmailHolder) -> Option<AddressMove> {
    let EmailHolder { account, asks_for, is_declared: _ } = rival;
    let to = asks_for
        .clone()
        .filter(|to| *to != account.content.email && is_listed(organization, to))?;
    Some(AddressMove { account: account.id, from: account.revision, to })
}

fn is_listed(organization: &OrganizationFacts, email: &Email) -> bool {
    let staying = organization
        .record
        .listings
        .iter()
        .filter(|(name, _)| !organization.deleting_listings.contains(*name));
    listing_of(staying, email.domain()).is_some()
}

fn grants(spec: &UserSpec) -> Permissions {
    spec.permissions
        .as_ref()
        .map_or_else(Permissions::new, |own| permission::parse_all(&own.grants))
}

fn source(spec: &UserSpec) -> Option<&PermissionSource> {
    spec.permissions.as_ref()?.from.as_ref()
}

/// The parts of an account that aren't a matter of its spec alone.
struct DecidedSource {
    email: Email,
    group: String,
    grants: Permissions,
    source: Option<Source>,
    copied: Option<Copied>,
    member: Overrides,
}

fn content(spec: &UserSpec, decided: DecidedSource) -> AccountSpec {
    let DecidedSource { email, group, grants, source, copied, member } = decided;
    let copied_profile = copied.as_ref().map(|copied| copied.profile.clone()).unwrap_or_default();
    let declared = profile::declared(spec.profile.clone().unwrap_or_default(), copied_profile);
    // Where no address is declared, none is declared anew.
    let declared_email = match (&spec.email, &member.email) {
        (None, Some(own)) => own.base.clone(),
        (None, None) => String::new(),
        (Some(text), _) => {
            Email::parse(text).map_or_else(|_| text.clone(), |email| email.to_string())
        }
    };
    let mut member = member.still_holding(&declared, &declared_email);
    let refused =
        spec.email.is_some() && member.email.is_none() && declared_email != email.as_str();
    member.refused_email = refused.then_some(declared_email);
    let teams: std::collections::BTreeSet<String> = spec.teams.iter().cloned().collect();
    let copied_teams = || copied.as_ref().map(|copied| copied.teams.clone()).unwrap_or_default();
    AccountSpec {
        email,
        lifecycle: match spec.state {
            DesiredState::Enabled => LoginState::Enabled,
            DesiredState::Disabled => LoginState::Disabled,
        },
        group,
        grants,
        source,
        role: spec.role.clone().or_else(|| copied.as_ref()?.role.clone()),
        teams: if teams.is_empty() { copied_teams() } else { teams },
        profile: member.over(declared),
        copied,
        member,
    }
}

#[cfg(test)]
mod tests;
