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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::api::Reason;
    use crate::api::user::{GroupRef, PermissionsSpec};
    use crate::domain::account::{AccountId, Revision, Transaction};
    use crate::domain::email::Domain;
    use crate::plan::{Listing, OrganizationRecord};

    fn email(name: &str) -> Email {
        Email::parse(&format!("{name}@acme.example")).unwrap()
    }

    /// A User that asks for an account in an organization that lists acme.example.
    fn snapshot() -> Snapshot {
        let acme = CustomerId::parse("acme").unwrap();
        let listing = Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
        let spec = UserSpec {
            username: None,
            email: Some("alice@acme.example".to_owned()),
            profile: Some(ProfileSpec { display_name: Some("Alice".to_owned()), ..ProfileSpec::default() }),
            role: None,
            teams: vec![],
            group_ref: GroupRef::default(),
            permissions: None,
            copy_of: None,
            adopt: None,
            state: DesiredState::Enabled,
            password_secret_ref: None,
            charge_approved: true,
            deletion_protection: DeletionProtection::Enabled,
            deletion_policy: DeletionPolicy::Delete,
        };
        Snapshot {
            meta: Meta {
                namespace: "acme".to_owned(),
                name: "alice".to_owned(),
                uid: "uid".to_owned(),
                generation: 1,
                held: true,
                ..Meta::default()
            },
            spec: Arc::new(spec),
            email: Ok(email("alice")),
            recorded: None,
            organization: Arc::new(OrganizationFacts {
                namespace: "acme".to_owned(),
                customer_id: Ok(acme.clone()),
                record: OrganizationRecord {
                    claimed: Some(acme),
                    listings: [("acme".to_owned(), listing)].into(),
                    ..OrganizationRecord::default()
                },
                leaving_groups: BTreeSet::new(),
                leaving_listings: BTreeSet::new(),
            }),
            account: None,
            login_holder: None,
            contest: Contest::default(),
        }
    }

    fn edited(snapshot: &Snapshot, edit: impl FnOnce(&mut UserSpec)) -> Snapshot {
        let mut spec = snapshot.spec.as_ref().clone();
        edit(&mut spec);
        Snapshot { spec: Arc::new(spec), ..snapshot.clone() }
    }

    /// Returns the snapshot after its plan was committed.
    fn applied(snapshot: &Snapshot) -> Snapshot {
        let Some(Plan::Account(plan)) = decide(snapshot).plan else { panic!("nothing is planned") };
        let AccountPlan { owner, change, .. } = *plan;
        let account = match change {
            AccountChange::Create { transaction, login_name, content } => Some(Account {
                id: AccountId(Uuid::from_u128(1)),
                namespace: "acme".to_owned(),
                revision: Revision(1),
                owner,
                login_name,
                content,
                created: Timestamp::UNIX_EPOCH,
                transaction: Transaction {
                    id: transaction,
                    kind: TransactionKind::Create,
                    started: Timestamp::UNIX_EPOCH,
                    deadline: Timestamp::UNIX_EPOCH,
                    completed: Some(Timestamp::UNIX_EPOCH),
                },
            }),
            AccountChange::Update { from, content, .. } => {
                snapshot.account.clone().map(|account| Account { revision: Revision(from.0 + 1), owner, content, ..account })
            }
            AccountChange::Delete { .. } => None,
        };
        Snapshot { account, ..snapshot.clone() }
    }

    /// Deciding once more on what the store then has plans nothing, and blocks for the same reasons.
    #[track_caller]
    fn check_settles(snapshot: &Snapshot) -> Snapshot {
        let after = applied(snapshot);
        assert_eq!(decide(&after).plan, None);
        assert_eq!(decide(&after).blocked, decide(snapshot).blocked);
        after
    }

    #[track_caller]
    fn check_blocked(snapshot: &Snapshot, reasons: &[Reason]) {
        let decision = decide(snapshot);
        assert_eq!(decision.blocked.iter().map(Blocked::reason).collect::<Vec<_>>(), reasons);
        assert_eq!(decision.plan, None);
    }

    #[test]
    fn a_new_user_and_every_edit_of_it_settle_after_one_plan() {
        let created = check_settles(&snapshot());
        let granted = edited(&created, |spec| {
            spec.permissions = Some(PermissionsSpec { grants: vec!["a".to_owned()], from: None });
        });
        let granted = check_settles(&granted);
        let disabled = check_settles(&edited(&granted, |spec| spec.state = DesiredState::Disabled));
        let revoked = check_settles(&edited(&disabled, |spec| spec.permissions = None));
        assert!(revoked.account.unwrap().content.grants.is_empty());
    }

    #[test]
    fn what_is_asked_for_in_another_order_is_the_same() {
        let two = |names: [&str; 2]| edited(&snapshot(), |spec| spec.teams = names.map(str::to_owned).to_vec());
        assert_eq!(decide(&two(["a", "b"])), decide(&two(["b", "a"])));
    }

    #[test]
    fn a_new_user_is_blocked_by_everything_that_is_wrong_in_the_order_ready_names_it() {
        let wrong = edited(&snapshot(), |spec| {
            spec.charge_approved = false;
            spec.group_ref.name = "nowhere".to_owned();
        });
        let other = Email::parse("alice@other.example").unwrap();
        let wrong = Snapshot { email: Ok(other), ..wrong };
        check_blocked(&wrong, &[Reason::ChargeNotApproved, Reason::GroupNotFound, Reason::DomainNotAllowed]);
    }

    #[test]
    fn a_refused_part_keeps_its_value_and_the_others_apply() {
        let account = applied(&snapshot());
        let edit = edited(&account, |spec| {
            spec.group_ref.name = "nowhere".to_owned();
            spec.state = DesiredState::Disabled;
        });
        let after = check_settles(&edit).account.unwrap();
        assert_eq!((after.content.group.as_str(), after.content.lifecycle), ("users", Lifecycle::Disabled));
    }

    #[test]
    fn nothing_is_written_before_the_finalizer_is_on() {
        let mut unheld = snapshot();
        unheld.meta.held = false;
        assert_eq!(decide(&unheld), Decision::hold(Hold::Take));
    }

    #[test]
    fn a_late_deletion_of_an_old_user_never_hits_the_account_of_a_new_one() {
        let mut old = edited(&applied(&snapshot()), |spec| spec.deletion_protection = DeletionProtection::Disabled);
        old.meta.deleting = true;
        assert!(matches!(decide(&old).plan, Some(Plan::Account(_))));
        old.meta.uid = "another".to_owned();
        assert_eq!(decide(&old), Decision::hold(Hold::Release));
    }

    #[test]
    fn a_user_without_an_account_is_let_go_at_once_though_protected() {
        let mut user = snapshot();
        user.meta.deleting = true;
        assert_eq!(decide(&user), Decision::hold(Hold::Release));
        user.recorded = Some("an account".to_owned());
        check_blocked(&user, &[Reason::DeletionProtected]);
    }

    #[test]
    fn an_address_is_taken_unless_everybody_in_the_way_moves_on() {
        let mut holder = applied(&snapshot()).account.unwrap();
        holder.id = AccountId(Uuid::from_u128(2));
        let rival = |asks_for: Option<&str>| Rival { account: holder.clone(), asks_for: asks_for.map(email) };
        let contested =
            |asks_for, ends_free| Snapshot { contest: Contest { rivals: vec![rival(asks_for)], ends_free }, ..snapshot() };
        check_blocked(&contested(None, false), &[Reason::EmailTaken]);
        check_blocked(&contested(Some("bob"), false), &[Reason::EmailTaken]);
        let Some(Plan::Account(plan)) = decide(&contested(Some("bob"), true)).plan else { panic!("it moves on") };
        assert_eq!(plan.moves, [AddressMove { account: holder.id, from: holder.revision, to: email("bob") }]);
    }

    #[test]
    fn an_address_that_is_in_force_is_never_refused_whatever_became_of_its_domain() {
        let mut unlisted = applied(&snapshot());
        Arc::make_mut(&mut unlisted.organization).record.listings.clear();
        assert_eq!(decide(&unlisted), Decision::default());
    }
}
