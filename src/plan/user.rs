//! Decides what becomes of a `User`'s account.
//!
//! | the `User` | has no account | has its own | finds one that another `User` left behind |
//! |---|---|---|---|
//! | stays | creates it | updates it | takes it over, whole or not at all |
//! | is paused | waits | waits, and follows cycles | waits |
//! | is deleted | goes, unless the store lost a protected account | deletes or releases it, else updates it | goes without it |
//!
//! Each part of the spec that something else decides about has a file of its own, which says its
//! value or why it is refused. [`resolve`] asks each of them once, in the order in which `Ready`
//! names refusals.

mod copy;
mod deletion;
mod email;
mod group;
mod password;
mod source;
mod takeover;
mod update;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::deletion::{end, end_without_account};
pub use self::email::{EmailConflict, EmailHolder, own_email};
pub use self::group::gives_up_control;
pub use self::password::PasswordFacts;
pub use self::source::follows;
use self::takeover::{lost, not_adoptable, take_over};
use self::update::{hold_spec, update};
use super::adoption::Adoption;
use super::blocked::{Blocked, Fate, Holder, NotAdoptable};
use super::directories::ReportContext;
use super::in_flight::Directories;
use super::permission_source::{GraphUser, SourceDecision, SourceGraph, precondition};
use super::unreadable::{self, Listed};
use super::{
    AccountChange, AccountPlan, AddressMove, AdminCoverage, Decision, FrozenPermissions, Meta,
    OrganizationFacts, Precondition, profile, without_finalizer,
};
use crate::api::user::{DesiredState, UserSpec};
use crate::domain::account::{
    Account, AccountId, AccountSpec, Copied, DeletedAccount, LoginState, Owner, SecretPassword,
    TransactionId,
};
use crate::domain::email::{Email, EmailError};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::permission::Permissions;

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
        self.account.as_ref().filter(|_| !self.owns_account())
    }

    /// Whether the account is this `User`'s own.
    fn owns_account(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.owner.uid == self.meta.uid)
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

/// Decides what becomes of a `User`'s account.
///
/// Total, and settled after one application: deciding again on what the store then has plans
/// nothing.
#[must_use]
pub fn decide(snapshot: &UserSnapshot) -> Decision {
    let UserSnapshot { meta, account, .. } = snapshot;
    let owns = snapshot.owns_account();
    match account {
        _ if let Some(decision) = without_finalizer(meta) => decision,
        Some(account) if owns && meta.paused => hold_spec(snapshot, account, Blocked::Paused),
        Some(account) if owns && meta.deleting => end(snapshot, account),
        Some(account) if owns => update(snapshot, account, None),
        _ if meta.deleting => end_without_account(snapshot),
        _ if meta.paused => Decision::blocked(Blocked::Paused),
        _ if let Some(why) = lost(snapshot).or_else(|| not_adoptable(snapshot)) => {
            Decision::blocked(why)
        }
        Some(account) => take_over(snapshot, account),
        None => create(snapshot),
    }
}

/// Creates an account of a spec of which nothing is refused.
fn create(snapshot: &UserSnapshot) -> Decision {
    let UserSnapshot { meta, spec, organization, .. } = snapshot;
    let Resolved { desired, new_password: password, refused } = resolve(snapshot, None);
    match (desired, &organization.customer_id) {
        (Some(Change { content, others, absent }), Ok(customer_id)) if refused.is_empty() => {
            let id = spec.adopt.as_deref().and_then(Adoption::parse).map(Adoption::id);
            let transaction = TransactionId::of_create(&meta.uid);
            let name = login_name(snapshot, customer_id);
            let login_name = name.clone();
            let change = AccountChange::Create { id, transaction, login_name, content, password };
            Decision { absent, ..Decision::planned(plan(snapshot, &name, change, others)) }
        }
        _ => Decision { blocked: refused, ..Decision::default() },
    }
}

/// What a spec asks for, each part resolved once.
struct Resolved {
    /// The account's next content; nothing where a part is refused that no account has yet.
    desired: Option<Change>,
    new_password: Option<SecretPassword>,
    /// What is refused, in the order in which `Ready` names it.
    refused: Vec<Blocked>,
}

/// An account's next content, and what is planned of others with it.
#[derive(Clone)]
struct Change {
    content: AccountSpec,
    others: Others,
    absent: Vec<String>,
}

/// What a plan changes of other accounts, and what it was made from.
#[derive(Clone, Default)]
struct Others {
    moves: Vec<AddressMove>,
    freezes: Vec<FrozenPermissions>,
    preconditions: Vec<Precondition>,
}

/// Resolves a spec, as if no transaction were in flight; a part that is refused keeps the value
/// that the account has.
fn resolve(snapshot: &UserSnapshot, deletion_blocker: Option<Blocked>) -> Resolved {
    let account = snapshot.account.as_ref();
    let is_unreadable = matches!(deletion_blocker, Some(Blocked::UnsupportedValue { .. }));
    let mut refused: Vec<Blocked> = deletion_blocker.into_iter().collect();
    refused.extend(unsupported(snapshot).filter(|_| !is_unreadable));
    refused.extend(account.and_then(|_| not_adoptable(snapshot)));
    refused.extend(customer_id_blocker(&snapshot.organization));
    refused.extend(charge_blocker(snapshot));
    let group = or_refuse(group::resolve(snapshot), &mut refused);
    refused.extend(login_blocker(snapshot));
    let last_administrator = group::last_administrator(snapshot, group.as_deref());
    let keeps_control = account.filter(|_| last_administrator.is_some());
    refused.extend(last_administrator);
    let template = copy::resolve(snapshot);
    let email = or_refuse(email::resolve(snapshot, &template), &mut refused);
    let template = or_refuse(template, &mut refused).flatten();
    // The address of a copy waits for the copied account as well, which is said once.
    refused.dedup();
    let (grants, SourceDecision { source, freezes, seen, absent, blocked }) =
        source::resolve(snapshot);
    refused.extend(blocked);
    let new_password = or_refuse(password::resolve(snapshot), &mut refused).flatten();

    let kept = |account: &Account| (account.content.email.clone(), vec![]);
    let email = email.or_else(|| account.map(kept));
    let group = group.filter(|_| keeps_control.is_none());
    let group = group.or_else(|| Some(account?.content.group.clone()));
    let desired = email.zip(group).map(|((email, moves), group)| {
        let mut content = content(snapshot, email, group, copy::copied(snapshot, template));
        (content.grants, content.source) = (grants, source);
        if let Some(administrator) = keeps_control {
            content.lifecycle = administrator.content.lifecycle;
        }
        let preconditions = seen.into_iter().chain(template.map(precondition)).collect();
        Change { content, others: Others { moves, freezes, preconditions }, absent }
    });
    Resolved { desired, new_password, refused }
}

fn or_refuse<T>(part: Result<T, Blocked>, refused: &mut Vec<Blocked>) -> Option<T> {
    part.map_err(|why| refused.push(why)).ok()
}

/// Returns what of the spec isn't understood.
fn unsupported(snapshot: &UserSnapshot) -> Option<Blocked> {
    let UserSnapshot { meta, spec, .. } = snapshot;
    let grants = spec.permissions.as_ref().map_or(&[][..], |own| &own.grants);
    unreadable::blocked(meta, Listed::Grants(grants), !snapshot.owns_account())
}

fn customer_id_blocker(organization: &OrganizationFacts) -> Option<Blocked> {
    let record = &organization.record;
    match (&organization.customer_id, &record.claimed) {
        (Err(error), _) => Some(Blocked::CustomerIdInvalid(*error)),
        (Ok(presented), Some(claimed)) if presented != claimed => {
            Some(Blocked::CustomerIdChanged { claimed: claimed.clone() })
        }
        (Ok(presented), None) if record.taken => Some(Blocked::CustomerIdTaken(presented.clone())),
        (Ok(_), _) => None,
    }
}

/// Returns that the charge isn't approved for an account that this `User` doesn't have yet.
fn charge_blocker(snapshot: &UserSnapshot) -> Option<Blocked> {
    let is_due = !snapshot.owns_account() && !snapshot.spec.charge_approved;
    is_due.then_some(Blocked::ChargeNotApproved)
}

/// Returns the login name that a new account of this `User` gets.
#[must_use]
pub fn login_name(snapshot: &UserSnapshot, customer_id: &CustomerId) -> LoginName {
    LoginName::new(snapshot.spec.username.as_ref().unwrap_or(&snapshot.meta.name), customer_id)
}

/// Returns that another account has the login name that a new one would get.
fn login_blocker(snapshot: &UserSnapshot) -> Option<Blocked> {
    let UserSnapshot { organization, account: None, login_holder: Some(holder), .. } = snapshot
    else {
        return None;
    };
    let login_name = login_name(snapshot, organization.customer_id.as_ref().ok()?);
    Some(Blocked::LoginTaken { login_name, holder: holder.clone() })
}

/// Returns what an account has by its spec; where its permissions come from is left out.
fn content(
    snapshot: &UserSnapshot,
    email: Email,
    group: String,
    copied: Option<Copied>,
) -> AccountSpec {
    let UserSnapshot { spec, account, .. } = snapshot;
    let copied_profile = copied.as_ref().map(|copied| copied.profile.clone()).unwrap_or_default();
    let declared = profile::declared(spec.profile.clone().unwrap_or_default(), copied_profile);
    let overrides = account.as_ref().map(|account| account.content.member.clone());
    let overrides = overrides.unwrap_or_default();
    // Where no address is declared, none is declared anew.
    let declared_email = match (&spec.email, &overrides.email) {
        (None, Some(own)) => own.base.clone(),
        (None, None) => String::new(),
        (Some(text), _) => {
            Email::parse(text).map_or_else(|_| text.clone(), |email| email.to_string())
        }
    };
    let mut member = overrides.still_holding(&declared, &declared_email);
    let refused =
        spec.email.is_some() && member.email.is_none() && declared_email != email.as_str();
    member.refused_email = refused.then_some(declared_email);
    let teams: BTreeSet<String> = spec.teams.iter().cloned().collect();
    let copied_teams = || copied.as_ref().map(|copied| copied.teams.clone()).unwrap_or_default();
    AccountSpec {
        email,
        lifecycle: match spec.state {
            DesiredState::Enabled => LoginState::Enabled,
            DesiredState::Disabled => LoginState::Disabled,
        },
        group,
        grants: Permissions::new(),
        source: None,
        role: spec.role.clone().or_else(|| copied.as_ref()?.role.clone()),
        teams: if teams.is_empty() { copied_teams() } else { teams },
        profile: member.over(declared),
        copied,
        member,
    }
}

fn plan(
    snapshot: &UserSnapshot,
    login_name: &LoginName,
    change: AccountChange,
    others: Others,
) -> AccountPlan {
    let UserSnapshot { meta, organization: facts, .. } = snapshot;
    let Others { moves, freezes, preconditions } = others;
    let (_, customer_id) = login_name.parts();
    let organization = Organization { namespace: meta.namespace.clone(), customer_id };
    let owner =
        Owner { name: meta.name.clone(), uid: meta.uid.clone(), generation: meta.generation };
    let leaving = facts.deleting_users.clone();
    AccountPlan { organization, owner, change, moves, freezes, preconditions, leaving }
}

#[cfg(test)]
mod tests;
