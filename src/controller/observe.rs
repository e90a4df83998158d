//! Observe: from what was last seen of the cluster and what the store has to snapshots.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::wake::{Kind, ObjectKey};
use super::world::{Seen, Shelf, World, within};
use crate::api::{UserSpec, UserStatus};
use crate::domain::account::Account;
use crate::domain::email::Email;
use crate::domain::group::{ADMINISTRATORS, USERS};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::plan::blocked::Holder;
use crate::plan::user::{Contest, Rival, unsupported};
use crate::plan::{Decision, Meta, OrganizationFacts, org_email_domain, organization, user, user_group};
use crate::store::{AccountKey, Counts, Store, StoreError};

/// How many accounts may stand between a user and an address and still make room together.
const LONGEST_CONTEST: usize = 256;

/// Everything that decides what becomes of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Snapshot {
    /// A user.
    User(Box<user::Snapshot>),
    /// A group.
    Group(user_group::Snapshot),
    /// A listed domain.
    Domain(org_email_domain::Snapshot),
}

impl Snapshot {
    /// Returns what the object has beside its spec.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        match self {
            Self::User(snapshot) => &snapshot.meta,
            Self::Group(snapshot) => &snapshot.meta,
            Self::Domain(snapshot) => &snapshot.meta,
        }
    }

    /// Decides what becomes of the object.
    #[must_use]
    pub fn decide(&self) -> Decision {
        match self {
            Self::User(snapshot) => user::decide(snapshot),
            Self::Group(snapshot) => user_group::decide(snapshot),
            Self::Domain(snapshot) => org_email_domain::decide(snapshot),
        }
    }
}

/// Returns a snapshot of each object that can be judged now.
///
/// Left out is what can't be read, users that are gone, and what stands in a namespace that
/// wasn't seen yet: its arrival wakes them.
///
/// # Errors
/// When the store can't be read.
pub async fn observe<S: Store>(world: &World, store: &S, keys: &[ObjectKey]) -> Result<Vec<(ObjectKey, Snapshot)>, StoreError> {
    let keys: Vec<&ObjectKey> = keys
        .iter()
        .filter(|key| !world.malformed.contains(key) && (key.kind != Kind::User || seen_user(world, key).is_some()))
        .filter(|key| world.namespaces.contains_key(&key.namespace))
        .collect();
    let organizations = organizations(world, store, &keys).await?;
    let counted: BTreeSet<&String> = keys.iter().filter(|key| key.kind != Kind::User).map(|key| &key.namespace).collect();
    let counts =
        if counted.is_empty() { HashMap::new() } else { store.counts(&counted.into_iter().cloned().collect::<Vec<_>>()).await? };
    let mut snapshots = users(world, store, &organizations, &keys).await?;
    for key in keys {
        let facts = &organizations[&key.namespace];
        let counts = counts.get(&key.namespace);
        match key.kind {
            Kind::UserGroup => snapshots.push((key.clone(), Snapshot::Group(group(world, facts, counts, key)))),
            Kind::OrgEmailDomain => snapshots.push((key.clone(), Snapshot::Domain(domain(world, facts, counts, key)))),
            Kind::User | Kind::Organization => {}
        }
    }
    Ok(snapshots)
}

/// Returns what decides which default groups an organization gets.
#[must_use]
pub fn organization(world: &World, namespace: &str) -> organization::Snapshot {
    let is_there = |name: &&str| world.has(&ObjectKey::new(Kind::UserGroup, namespace, *name));
    organization::Snapshot {
        stays: world.namespaces.get(namespace).is_some_and(|seen| !seen.terminating),
        inhabited: world.is_inhabited(namespace),
        groups: [ADMINISTRATORS, USERS].into_iter().filter(is_there).collect(),
    }
}

/// Returns the groups and domains that the store has and that aren't in the cluster any more: they
/// were let go of while nobody watched.
///
/// # Errors
/// When the store can't be read.
pub async fn ghosts<S: Store>(world: &World, store: &S, keys: &[ObjectKey]) -> Result<Vec<ObjectKey>, StoreError> {
    let facts = organizations(world, store, &keys.iter().collect::<Vec<_>>()).await?;
    let mut ghosts = vec![];
    for (namespace, facts) in facts {
        let groups = facts.record.groups.keys().map(|name| ObjectKey::new(Kind::UserGroup, &namespace, name));
        let listings = facts.record.listings.keys().map(|name| ObjectKey::new(Kind::OrgEmailDomain, &namespace, name));
        ghosts.extend(groups.chain(listings).filter(|key| !world.has(key)));
    }
    Ok(ghosts)
}

fn seen_user<'a>(world: &'a World, key: &ObjectKey) -> Option<&'a Seen<UserSpec, UserStatus>> {
    world.users.get(&(key.namespace.clone(), key.name.clone()))
}

async fn organizations<S: Store>(
    world: &World,
    store: &S,
    keys: &[&ObjectKey],
) -> Result<HashMap<String, Arc<OrganizationFacts>>, StoreError> {
    let namespaces: BTreeSet<&String> = keys.iter().map(|key| &key.namespace).collect();
    let presented = namespaces.into_iter().map(|namespace| {
        let label = world.namespaces.get(namespace).and_then(|seen| seen.customer_id.as_deref());
        (namespace.clone(), CustomerId::parse(label.unwrap_or(namespace)))
    });
    let presented: BTreeMap<String, _> = presented.collect();
    // A label that isn't a customer ID claims nothing; the record is still looked up.
    let asked = presented.iter().filter_map(|(namespace, customer_id)| {
        let customer_id = customer_id.clone().or_else(|_| CustomerId::parse(namespace)).ok()?;
        Some(Organization { namespace: namespace.clone(), customer_id })
    });
    let asked: Vec<Organization> = asked.collect();
    let mut records = store.organizations(&asked).await?;
    let facts = presented.into_iter().map(|(namespace, customer_id)| {
        let facts = OrganizationFacts {
            record: records.remove(&namespace).unwrap_or_default(),
            leaving_groups: leaving(&world.groups, &namespace),
            leaving_listings: leaving(&world.domains, &namespace),
            customer_id,
            namespace: namespace.clone(),
        };
        (namespace, Arc::new(facts))
    });
    Ok(facts.collect())
}

fn leaving<S, T>(shelf: &Shelf<S, T>, namespace: &str) -> BTreeSet<String> {
    within(shelf, namespace).filter(|(_, seen)| seen.meta.deleting).map(|(name, _)| name.to_owned()).collect()
}

fn group(world: &World, facts: &OrganizationFacts, counts: Option<&Counts>, key: &ObjectKey) -> user_group::Snapshot {
    let seen = world.groups.get(&(key.namespace.clone(), key.name.clone()));
    user_group::Snapshot {
        meta: seen.map_or_else(|| gone(key), |seen| seen.meta.clone()),
        spec: seen.map(|seen| seen.spec.clone()),
        in_force: facts.record.groups.get(&key.name).cloned(),
        members: counts.and_then(|counts| counts.members.get(&key.name)).copied().unwrap_or_default(),
    }
}

fn domain(world: &World, facts: &OrganizationFacts, counts: Option<&Counts>, key: &ObjectKey) -> org_email_domain::Snapshot {
    let seen = world.domains.get(&(key.namespace.clone(), key.name.clone()));
    let used = counts.into_iter().flat_map(|counts| &counts.email_domains);
    let here = used.filter(|(domain, _)| facts.record.listing_of(domain, &facts.leaving_listings) == Some(&key.name));
    org_email_domain::Snapshot {
        meta: seen.map_or_else(|| gone(key), |seen| seen.meta.clone()),
        spec: seen.map(|seen| seen.spec.clone()),
        listings: facts.record.listings.clone(),
        users: here.map(|(_, accounts)| accounts).sum(),
    }
}

fn gone(key: &ObjectKey) -> Meta {
    Meta { namespace: key.namespace.clone(), name: key.name.clone(), ..Default::default() }
}

async fn users<S: Store>(
    world: &World,
    store: &S,
    organizations: &HashMap<String, Arc<OrganizationFacts>>,
    keys: &[&ObjectKey],
) -> Result<Vec<(ObjectKey, Snapshot)>, StoreError> {
    let keys: Vec<&ObjectKey> = keys.iter().copied().filter(|key| key.kind == Kind::User).collect();
    if keys.is_empty() {
        return Ok(vec![]);
    }
    let mut owned = store.find(&keys.iter().map(|key| owner_key(key)).collect::<Vec<_>>()).await?;
    let mut snapshots = vec![];
    for key in keys {
        let Some(seen) = seen_user(world, key) else { continue };
        snapshots.push(user::Snapshot {
            meta: seen.meta.clone(),
            spec: seen.spec.clone(),
            email: world.email(&key.namespace, &key.name).cloned().unwrap_or(Err(crate::domain::email::EmailError::LocalPart)),
            recorded: seen.status.account_id.clone(),
            organization: organizations[&key.namespace].clone(),
            account: owned.remove(&owner_key(key)),
            login_holder: None,
            contest: Contest::default(),
        });
    }
    find_holders(world, store, &mut snapshots).await?;
    Ok(snapshots
        .into_iter()
        .map(|snapshot| {
            let key = ObjectKey::new(Kind::User, &snapshot.meta.namespace, &snapshot.meta.name);
            (key, Snapshot::User(Box::new(snapshot)))
        })
        .collect())
}

fn owner_key(key: &ObjectKey) -> AccountKey {
    AccountKey::Owner { namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Looks up who has the login names and addresses that are asked for and not had.
async fn find_holders<S: Store>(world: &World, store: &S, snapshots: &mut [user::Snapshot]) -> Result<(), StoreError> {
    let wanted: Vec<AccountKey> =
        snapshots.iter().flat_map(|snapshot| [login_key(snapshot), email_key(snapshot)]).flatten().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let holders = store.find(&wanted).await?;
    for snapshot in snapshots {
        let login_holder = login_key(snapshot).and_then(|key| holders.get(&key));
        snapshot.login_holder = login_holder.map(|account| Holder { account: account.id, user: account.owner.name.clone() });
        if let Some(first) = email_key(snapshot).and_then(|key| holders.get(&key)) {
            snapshot.contest = contest(world, store, snapshot.account.as_ref(), first).await?;
        }
    }
    Ok(())
}

fn login_key(snapshot: &user::Snapshot) -> Option<AccountKey> {
    let customer_id = snapshot.organization.customer_id.as_ref().ok()?;
    let login_name: LoginName = user::login_name(snapshot, customer_id);
    snapshot.account.is_none().then_some(AccountKey::Login(login_name))
}

fn email_key(snapshot: &user::Snapshot) -> Option<AccountKey> {
    let email = snapshot.email.as_ref().ok()?;
    let has_it = snapshot.account.as_ref().is_some_and(|account| account.content.email == *email);
    (!has_it).then(|| AccountKey::Email { namespace: snapshot.meta.namespace.clone(), email: email.clone() })
}

/// Follows who has what whom asks for, until somebody asks for a free address, for ours, or stays.
async fn contest<S: Store>(world: &World, store: &S, ours: Option<&Account>, first: &Account) -> Result<Contest, StoreError> {
    let mut rivals: Vec<Rival> = vec![];
    let mut next = Some(first.clone());
    while let Some(account) = next.take() {
        let known = rivals.iter().any(|rival| rival.account.id == account.id);
        if known || rivals.len() == LONGEST_CONTEST || ours.is_some_and(|ours| ours.id == account.id) {
            return Ok(Contest { rivals, ends_free: false });
        }
        let asks_for = moving_to(world, &account);
        let namespace = account.namespace.clone();
        rivals.push(Rival { account, asks_for: asks_for.clone() });
        let Some(email) = asks_for else { return Ok(Contest { rivals, ends_free: false }) };
        let key = AccountKey::Email { namespace, email };
        next = store.find(std::slice::from_ref(&key)).await?.remove(&key);
    }
    Ok(Contest { rivals, ends_free: true })
}

/// Returns the address that an account's `User` asks for, if that is another one and may be applied.
fn moving_to(world: &World, account: &Account) -> Option<Email> {
    let key = ObjectKey::new(Kind::User, &account.namespace, &account.owner.name);
    let seen = seen_user(world, &key)?;
    let Meta { uid, held, paused, deleting, .. } = &seen.meta;
    let free = *uid == account.owner.uid && *held && !paused && !deleting;
    let asks_for = world.email(&key.namespace, &key.name)?.clone().ok()?;
    (free && unsupported(&seen.spec).is_none() && asks_for != account.content.email).then_some(asks_for)
}
