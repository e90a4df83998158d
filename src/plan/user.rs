//! What becomes of a `User`'s account.

use std::sync::Arc;

use super::blocked::{Blocked, Holder};
use super::{AccountChange, AccountPlan, AddressMove, Decision, Hold, Meta, OrganizationFacts, Plan, listing_of, unheld};
use crate::api::user::{DeletionPolicy, DeletionProtection, DesiredState, ProfileSpec, UserSpec};
use crate::domain::account::{Account, Content, Lifecycle, Owner, PostalAddress, Profile, TransactionId, TransactionKind};
use crate::domain::email::{Email, EmailError};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::permission::{self, Permissions};

/// Everything that decides what becomes of one `User`'s account.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for.
    pub spec: Arc<UserSpec>,
    /// The address it asks for.
    pub email: Result<Email, EmailError>,
    /// The account that its status names.
    pub recorded: Option<String>,
    /// The organization that it belongs to.
    pub organization: Arc<OrganizationFacts>,
    /// The account that it owns.
    pub account: Option<Account>,
    /// Who has the login name that a new account would get.
    pub login_holder: Option<Holder>,
    /// Who stands in the way of its address.
    pub contest: Contest,
}

/// The accounts between a `User` and the address it asks for.
///
/// The first has that address, each next one has the address that the one before it asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contest {
    /// The accounts, nearest first.
    pub rivals: Vec<Rival>,
    /// Whether nobody has the address that the last one asks for.
    pub ends_free: bool,
}

/// An account that has an address that somebody else asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// The account.
    pub account: Account,
    /// The address that its `User` asks for, where that may be applied: the resource is there,
    /// is this account's, isn't paused, being deleted or refused whole.
    pub asks_for: Option<Email>,
}

/// Decides what becomes of a `User`'s account.
///
/// Total, and settled after one application: deciding again on what the store then has plans
/// nothing.
#[must_use]
pub fn decide(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, recorded, account, .. } = snapshot;
    let protected = spec.deletion_protection == DeletionProtection::Enabled;
    let mine = account.as_ref().filter(|account| !meta.deleting || account.owner.uid == meta.uid);
    match mine {
        _ if let Some(decision) = unheld(meta) => decision,
        None if meta.deleting && (recorded.is_none() || !protected) => Decision::hold(Hold::Release),
        _ if meta.paused => Decision::blocked(Blocked::Paused),
        None if meta.deleting => Decision::blocked(Blocked::DeletionProtected),
        Some(account) if meta.deleting && !protected && spec.deletion_policy == DeletionPolicy::Delete => {
            deletion(snapshot, account)
        }
        _ if let Some(field) = unsupported(spec) => Decision::blocked(Blocked::NotYetSupported { field }),
        None if let Some(lost) = recorded => Decision::blocked(Blocked::AccountLost { account: lost.clone() }),
        Some(account) => update(snapshot, account),
        None => creation(snapshot),
    }
}

/// Returns the path of the first field that is set and that this version can't honour.
#[must_use]
pub fn unsupported(spec: &UserSpec) -> Option<&'static str> {
    let set = [
        (spec.copy_of.is_some(), "spec.copyOf"),
        (spec.adopt.is_some(), "spec.adopt"),
        (spec.permissions.as_ref().is_some_and(|permissions| permissions.from.is_some()), "spec.permissions.from"),
        (spec.password_secret_ref.is_some(), "spec.passwordSecretRef"),
        (spec.deletion_policy == DeletionPolicy::Retain, "spec.deletionPolicy: Retain"),
    ];
    set.into_iter().find_map(|(is_set, field)| is_set.then_some(field))
}

fn deletion(snapshot: &Snapshot, account: &Account) -> Decision {
    let transaction = TransactionId::of_change(account.id, TransactionKind::Delete, account.revision);
    let change = AccountChange::Delete { account: account.id, from: account.revision, transaction };
    let (_, customer_id) = account.login_name.parts();
    Decision { plan: Some(plan(snapshot, customer_id, change, vec![])), blocked: vec![], hold: Hold::Release }
}

fn creation(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, organization, login_holder, .. } = snapshot;
    let mut blocked = customer_id_trouble(organization);
    if !spec.charge_approved {
        blocked.push(Blocked::ChargeNotApproved);
    }
    let group = group(snapshot).map_err(|why| blocked.push(why));
    let named = organization.customer_id.clone().ok().map(|id| (login_name(snapshot, &id), id));
    if let (Some((login_name, _)), Some(holder)) = (&named, login_holder) {
        blocked.push(Blocked::LoginTaken { login_name: login_name.clone(), holder: holder.clone() });
    }
    let email = email(snapshot).map_err(|why| blocked.push(why));
    match (group, named, email) {
        (Ok(group), Some((login_name, customer_id)), Ok((email, moves))) if blocked.is_empty() => {
            let transaction = TransactionId::of_create(&meta.uid);
            let change = AccountChange::Create { transaction, login_name, content: content(spec, email, group) };
            Decision { plan: Some(plan(snapshot, customer_id, change, moves)), ..Decision::default() }
        }
        _ => Decision { blocked, ..Decision::default() },
    }
}

/// Brings an account to its spec as far as that can be done; what can't keeps its value.
fn update(snapshot: &Snapshot, account: &Account) -> Decision {
    let Snapshot { meta, spec, organization, .. } = snapshot;
    let mut blocked = if meta.deleting { vec![Blocked::DeletionProtected] } else { vec![] };
    blocked.extend(customer_id_trouble(organization));
    let group = if spec.group_ref.name == account.content.group { Ok(spec.group_ref.name.clone()) } else { group(snapshot) };
    let group = group.unwrap_or_else(|why| {
        blocked.push(why);
        account.content.group.clone()
    });
    let (email, moves) = email(snapshot).unwrap_or_else(|why| {
        blocked.push(why);
        (account.content.email.clone(), vec![])
    });
    let wanted = content(spec, email, group);
    let settled = wanted == account.content && account.owner.uid == meta.uid;
    let plan = (!settled).then(|| {
        let from = account.revision;
        let kind = match (account.content.lifecycle, wanted.lifecycle) {
            (Lifecycle::Enabled, Lifecycle::Disabled) => Some(TransactionKind::Disable),
            (Lifecycle::Disabled, Lifecycle::Enabled) => Some(TransactionKind::Enable),
            _ => None,
        };
        let transaction = kind.map(|kind| (TransactionId::of_change(account.id, kind, from), kind));
        let (_, customer_id) = account.login_name.parts();
        plan(snapshot, customer_id, AccountChange::Update { account: account.id, from, transaction, content: wanted }, moves)
    });
    Decision { plan, blocked, hold: Hold::Keep }
}

fn plan(snapshot: &Snapshot, customer_id: CustomerId, change: AccountChange, moves: Vec<AddressMove>) -> Plan {
    let Snapshot { meta, .. } = snapshot;
    let organization = Organization { namespace: meta.namespace.clone(), customer_id };
    let owner = Owner { name: meta.name.clone(), uid: meta.uid.clone(), generation: meta.generation };
    Plan::Account(Box::new(AccountPlan { organization, owner, change, moves }))
}

fn customer_id_trouble(organization: &OrganizationFacts) -> Vec<Blocked> {
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
pub fn login_name(snapshot: &Snapshot, customer_id: &CustomerId) -> LoginName {
    LoginName::new(snapshot.spec.username.as_ref().unwrap_or(&snapshot.meta.name), customer_id)
}

/// Returns the group asked for, if it takes new members.
fn group(snapshot: &Snapshot) -> Result<String, Blocked> {
    let name = &snapshot.spec.group_ref.name;
    let leaving = snapshot.organization.leaving_groups.contains(name);
    if leaving || snapshot.organization.record.group(name).is_none() {
        return Err(Blocked::GroupNotFound { group: name.clone(), leaving });
    }
    Ok(name.clone())
}

/// Returns the address asked for, and the moves that make room for it.
///
/// An address that the account already has is never refused, whatever became of its domain.
fn email(snapshot: &Snapshot) -> Result<(Email, Vec<AddressMove>), Blocked> {
    let wanted = snapshot.email.clone().map_err(Blocked::EmailInvalid)?;
    let current = snapshot.account.as_ref().map(|account| &account.content.email);
    if current == Some(&wanted) {
        return Ok((wanted, vec![]));
    }
    if !is_listed(&snapshot.organization, &wanted) {
        let leaving = listing_of(&snapshot.organization.record.listings, wanted.domain()).is_some();
        return Err(Blocked::DomainNotAllowed { domain: wanted.domain().to_owned(), leaving });
    }
    let moves = room(snapshot, current).ok_or_else(|| {
        let holder = &snapshot.contest.rivals[0].account;
        Blocked::EmailTaken { email: wanted.clone(), holder: Holder { account: holder.id, user: holder.owner.name.clone() } }
    })?;
    Ok((wanted, moves))
}

/// Returns the moves that free an address, if everybody in the way moves on to another one.
///
/// They do when the last of them asks for an address that nobody has, or for ours: addresses
/// that are swapped or passed round are one set.
fn room(snapshot: &Snapshot, ours: Option<&Email>) -> Option<Vec<AddressMove>> {
    let Contest { rivals, ends_free } = &snapshot.contest;
    let moves: Option<Vec<AddressMove>> = rivals.iter().map(|rival| a_move(&snapshot.organization, rival)).collect();
    let moves = moves?;
    let passed_on = match moves.last() {
        None => true,
        Some(last) => *ends_free || ours == Some(&last.to),
    };
    passed_on.then_some(moves)
}

fn a_move(organization: &OrganizationFacts, rival: &Rival) -> Option<AddressMove> {
    let Rival { account, asks_for } = rival;
    let to = asks_for.clone().filter(|to| *to != account.content.email && is_listed(organization, to))?;
    Some(AddressMove { account: account.id, from: account.revision, to })
}

fn is_listed(organization: &OrganizationFacts, email: &Email) -> bool {
    let staying = organization.record.listings.iter().filter(|(name, _)| !organization.leaving_listings.contains(*name));
    listing_of(staying, email.domain()).is_some()
}

fn content(spec: &UserSpec, email: Email, group: String) -> Content {
    Content {
        email,
        lifecycle: match spec.state {
            DesiredState::Enabled => Lifecycle::Enabled,
            DesiredState::Disabled => Lifecycle::Disabled,
        },
        group,
        grants: spec.permissions.as_ref().map_or_else(Permissions::new, |own| permission::parse_all(&own.grants)),
        role: spec.role.clone(),
        teams: spec.teams.iter().cloned().collect(),
        profile: spec.profile.as_ref().map(profile).unwrap_or_default(),
    }
}

fn profile(spec: &ProfileSpec) -> Profile {
    let ProfileSpec { display_name, phone, address, time_zone, notifications } = spec.clone();
    Profile {
        display_name: display_name.unwrap_or_default(),
        phone,
        address: address.map(|address| PostalAddress {
            street: address.street,
            locality: address.locality,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
        }),
        time_zone,
        notifications: notifications.into_iter().collect(),
    }
}
