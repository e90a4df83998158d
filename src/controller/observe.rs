//! Observe: from what was last seen of the cluster and what the store has to snapshots.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cache::{CachedObject, ClusterCache, Objects, within};
use crate::api::user::DeletionPolicy;
use crate::api::{UserSpec, UserStatus};
use crate::domain::account::{Account, AccountId, TransactionId};
use crate::domain::email::Email;
use crate::domain::group::{ADMINISTRATORS, USERS};
use crate::domain::inheritance::{inherits_from, reached};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::permission::Permissions;
use crate::plan::adoption::Adoption;
use crate::plan::blocked::{Fate, Holder, NotAdoptable};
use crate::plan::directories::ReportContext;
use crate::plan::permission_source::{DeclaredSource, SourceGraph, SourceNode};
use crate::plan::user::{
    EmailConflict, EmailHolder, PasswordFacts, follows, gives_up_control, own_email,
};
use crate::plan::{
    AdminCoverage, Decision, Listing, Meta, OrganizationFacts, org_email_domain, organization,
    unreadable, user, user_group,
};
use crate::provisioning::Groups;
use crate::store::{AccountKey, Administrator, Counts, GroupName, Store, StoreError, UserName};

/// How many accounts may stand between a user and an address and still make room together.
const LONGEST_CONTEST: usize = 256;

/// Everything that decides what becomes of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Snapshot {
    /// A user.
    User(Box<user::UserSnapshot>),
    /// A group.
    Group(user_group::GroupSnapshot),
    /// A listed domain.
    Domain(org_email_domain::DomainSnapshot),
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
/// Left out are users that are gone, and what stands in a namespace that
/// wasn't seen yet: its arrival wakes them.
///
/// # Errors
/// When the store can't be read.
pub async fn observe<S: Store>(
    cache: &ClusterCache,
    store: &S,
    keys: &[ObjectKey],
    now: jiff::Timestamp,
) -> Result<Vec<(ObjectKey, Snapshot)>, StoreError> {
    let keys: Vec<&ObjectKey> = keys
        .iter()
        .filter(|key| key.kind != Kind::User || seen_user(cache, key).is_some())
        .filter(|key| cache.namespaces.contains_key(&key.namespace))
        .collect();
    let names: Vec<UserName> = keys
        .iter()
        .filter(|key| key.kind == Kind::User)
        .map(|key| (key.namespace.clone(), key.name.clone()))
        .collect();
    let relatives = relatives(cache, store, &names).await?;
    let adoptable = adoptable(cache, store, &names, &relatives).await?;
    let groups = concerned_groups(cache, &keys, &relatives, &adoptable);
    let organizations = organizations(cache, store, &keys, &groups).await?;
    let others = keys.iter().filter(|key| key.kind != Kind::User);
    let counts = counts(store, &organizations, others.map(|key| &key.namespace).collect()).await?;
    let (relatives, adoptable) = (&relatives, &adoptable);
    let mut snapshots = users(
        cache,
        store,
        &keys,
        Observed { organizations: &organizations, relatives, adoptable, now },
    )
    .await?;
    let mut listed: HashMap<&String, Listed> = HashMap::new();
    for key in keys {
        let facts = &organizations[&key.namespace];
        let counts = counts.get(&key.namespace);
        match key.kind {
            Kind::UserGroup => {
                snapshots.push((key.clone(), Snapshot::Group(group(cache, facts, counts, key))))
            }
            Kind::OrgEmailDomain => {
                let listed =
                    listed.entry(&key.namespace).or_insert_with(|| Listed::of(facts, counts));
                snapshots.push((key.clone(), Snapshot::Domain(domain(cache, facts, listed, key))));
            }
            Kind::User | Kind::Organization | Kind::Secret => {}
        }
    }
    find_control(store, &organizations, &mut snapshots).await?;
    Ok(snapshots)
}

async fn counts<S: Store>(
    store: &S,
    organizations: &HashMap<String, Arc<OrganizationFacts>>,
    namespaces: BTreeSet<&String>,
) -> Result<HashMap<String, Counts>, StoreError> {
    if namespaces.is_empty() {
        return Ok(HashMap::new());
    }
    let leaving = |namespace: &String| organizations[namespace].deleting_users.clone();
    store
        .counts(
            &namespaces
                .into_iter()
                .map(|namespace| (namespace.clone(), leaving(namespace)))
                .collect(),
        )
        .await
}

/// Looks up who stays in control, where somebody in control or their group may be so no more.
async fn find_control<S: Store>(
    store: &S,
    organizations: &HashMap<String, Arc<OrganizationFacts>>,
    snapshots: &mut [(ObjectKey, Snapshot)],
) -> Result<(), StoreError> {
    let concerned = |snapshot: &Snapshot| match snapshot {
        Snapshot::User(user) => gives_up_control(user),
        Snapshot::Group(group) => user_group::gives_up_control(group),
        Snapshot::Domain(_) => false,
    };
    let namespaces: BTreeSet<&String> = snapshots
        .iter()
        .filter(|(_, snapshot)| concerned(snapshot))
        .map(|(key, _)| &key.namespace)
        .collect();
    if namespaces.is_empty() {
        return Ok(());
    }
    let administrators =
        store.administrators(&namespaces.iter().copied().cloned().collect::<Vec<_>>()).await?;
    let counts = counts(store, organizations, namespaces).await?;
    for (key, snapshot) in snapshots {
        let Some(administrators) = administrators.get(&key.namespace) else { continue };
        let leaving = &organizations[&key.namespace].deleting_users;
        let users: i64 = counts
            .get(&key.namespace)
            .map(|counts| counts.members.values().sum())
            .unwrap_or_default();
        // In a namespace that is going, those count whose `User` is there, with or without an
        // account.
        let users_beside = |itself: i64| match &leaving.last {
            Some(last) => last.iter().any(|name| key.kind != Kind::User || *name != key.name),
            None => users > itself,
        };
        let stays = |counts: &dyn Fn(&Administrator) -> bool| {
            administrators
                .iter()
                .any(|administrator| counts(administrator) && leaving.stays(&administrator.user))
        };
        match snapshot {
            Snapshot::User(user) => {
                let itself = i64::from(user.account.is_some() && !user.meta.deleting);
                // An account that is taken over is still its former owner's.
                let owner = user.account.as_ref().map_or(&key.name, |account| &account.owner.name);
                user.control = AdminCoverage {
                    administrators: stays(&|other| other.user != *owner),
                    users: users_beside(itself),
                };
            }
            Snapshot::Group(group) => {
                group.control = AdminCoverage {
                    administrators: stays(&|other| other.group != key.name),
                    users: users_beside(0),
                };
                group.has_enabled_members =
                    administrators.iter().any(|administrator| administrator.group == key.name);
            }
            Snapshot::Domain(_) => {}
        }
    }
    Ok(())
}

/// Returns what decides which default groups an organization gets.
#[must_use]
pub fn organization(cache: &ClusterCache, namespace: &str) -> organization::DefaultGroupsSnapshot {
    let is_there = |name: &&str| cache.has(&ObjectKey::new(Kind::UserGroup, namespace, *name));
    organization::DefaultGroupsSnapshot {
        stays: cache.namespaces.get(namespace).is_some_and(|seen| !seen.terminating),
        inhabited: cache.is_inhabited(namespace),
        groups: [ADMINISTRATORS, USERS].into_iter().filter(is_there).collect(),
    }
}

/// Returns the groups and domains that the store has and that aren't in the cluster any more: they
/// were let go of while nobody watched.
///
/// # Errors
/// When the store can't be read.
pub async fn orphaned_records<S: Store>(
    cache: &ClusterCache,
    store: &S,
    keys: &[ObjectKey],
) -> Result<Vec<ObjectKey>, StoreError> {
    let facts =
        organizations(cache, store, &keys.iter().collect::<Vec<_>>(), &BTreeSet::new()).await?;
    let mut groups = store.group_names(&facts.keys().cloned().collect::<Vec<_>>()).await?;
    let mut ghosts = vec![];
    for (namespace, facts) in facts {
        let groups = groups.remove(&namespace).unwrap_or_default();
        let groups = groups.iter().map(|name| ObjectKey::new(Kind::UserGroup, &namespace, name));
        let listings = facts
            .record
            .listings
            .keys()
            .map(|name| ObjectKey::new(Kind::OrgEmailDomain, &namespace, name));
        ghosts.extend(groups.chain(listings).filter(|key| !cache.has(key)));
    }
    Ok(ghosts)
}

/// Returns the accounts of these `User`s with their permissions in effect, as the store has both.
///
/// # Errors
/// When the store can't be read.
pub async fn with_permissions<S: Store>(
    cache: &ClusterCache,
    store: &S,
    users: &[UserName],
) -> Result<Vec<(Account, Permissions)>, StoreError> {
    let chains = store.inheritance_chain(users).await?;
    let keys: Vec<ObjectKey> =
        users.iter().map(|(namespace, name)| ObjectKey::new(Kind::User, namespace, name)).collect();
    let groups = chains
        .iter()
        .map(|((namespace, _), account)| (namespace.clone(), account.content.group.clone()))
        .collect();
    let facts = organizations(cache, store, &keys.iter().collect::<Vec<_>>(), &groups).await?;
    let found = users.iter().filter_map(|user| {
        let account = chains.get(user)?;
        let find = |name: &str| chains.get(&(user.0.clone(), name.to_owned()));
        Some((account.clone(), facts.get(&user.0)?.record.effective(account, find)))
    });
    Ok(found.collect())
}

/// Returns the groups that the store has of these organizations, the default ones included.
///
/// # Errors
/// When the store can't be read.
pub async fn groups<S: Store>(store: &S, namespaces: &[String]) -> Result<Groups, StoreError> {
    let mut groups: Groups = store.group_names(namespaces).await?.into_iter().collect();
    groups.values_mut().for_each(|names| names.extend([ADMINISTRATORS, USERS].map(str::to_owned)));
    Ok(groups)
}

fn seen_user<'a>(
    cache: &'a ClusterCache,
    key: &ObjectKey,
) -> Option<&'a CachedObject<UserSpec, UserStatus>> {
    cache.users.get(&(key.namespace.clone(), key.name.clone()))
}

async fn organizations<S: Store>(
    cache: &ClusterCache,
    store: &S,
    keys: &[&ObjectKey],
    groups: &BTreeSet<GroupName>,
) -> Result<HashMap<String, Arc<OrganizationFacts>>, StoreError> {
    let namespaces: BTreeSet<&String> = keys.iter().map(|key| &key.namespace).collect();
    let presented = namespaces.into_iter().map(|namespace| {
        let label = cache.namespaces.get(namespace).and_then(|seen| seen.customer_id.as_deref());
        (namespace.clone(), CustomerId::parse(label.unwrap_or(namespace)))
    });
    let presented: BTreeMap<String, _> = presented.collect();
    // A label that isn't a customer ID claims nothing; the record is still looked up.
    let asked = presented.iter().filter_map(|(namespace, customer_id)| {
        let customer_id = customer_id.clone().or_else(|_| CustomerId::parse(namespace)).ok()?;
        Some(Organization { namespace: namespace.clone(), customer_id })
    });
    let asked: Vec<Organization> = asked.collect();
    let mut records = store.records(&asked, groups).await?;
    let facts = presented.into_iter().map(|(namespace, customer_id)| {
        let facts = OrganizationFacts {
            record: records.remove(&namespace).unwrap_or_default(),
            deleting_groups: deleting(&cache.groups, &namespace),
            deleting_listings: deleting(&cache.domains, &namespace),
            deleting_users: cache.deleting(&namespace),
            customer_id,
            namespace: namespace.clone(),
        };
        (namespace, Arc::new(facts))
    });
    Ok(facts.collect())
}

fn deleting<S, T>(objects: &Objects<S, T>, namespace: &str) -> BTreeSet<String> {
    within(objects, namespace)
        .filter(|(_, seen)| seen.meta.deleting)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn group(
    cache: &ClusterCache,
    facts: &OrganizationFacts,
    counts: Option<&Counts>,
    key: &ObjectKey,
) -> user_group::GroupSnapshot {
    let seen = cache.groups.get(&(key.namespace.clone(), key.name.clone()));
    user_group::GroupSnapshot {
        meta: seen.map_or_else(|| gone(key), |seen| seen.meta.clone()),
        spec: seen.map(|seen| unreadable::group_in_force(&seen.spec, &seen.meta)),
        in_force: facts.record.groups.get(&key.name).cloned(),
        is_abandoned: cache.is_abandoned(&key.namespace),
        members: counts
            .and_then(|counts| counts.members.get(&key.name))
            .copied()
            .unwrap_or_default(),
        has_enabled_members: false,
        control: AdminCoverage::default(),
        leaving: facts.deleting_users.clone(),
        directories: None,
    }
}

/// What the listed domains of an organization are judged by, found once for all of them.
struct Listed {
    listings: Arc<BTreeMap<String, Listing>>,
    users: BTreeMap<String, i64>,
}

impl Listed {
    fn of(facts: &OrganizationFacts, counts: Option<&Counts>) -> Self {
        let users = counts.map(|counts| {
            facts.record.users_by_listing(&facts.deleting_listings, &counts.email_domains)
        });
        Self { listings: Arc::new(facts.record.listings.clone()), users: users.unwrap_or_default() }
    }
}

fn domain(
    cache: &ClusterCache,
    facts: &OrganizationFacts,
    listed: &Listed,
    key: &ObjectKey,
) -> org_email_domain::DomainSnapshot {
    let seen = cache.domains.get(&(key.namespace.clone(), key.name.clone()));
    org_email_domain::DomainSnapshot {
        meta: seen.map_or_else(|| gone(key), |seen| seen.meta.clone()),
        spec: seen.map(|seen| {
            unreadable::listing_in_force(
                &seen.spec,
                &seen.meta,
                facts.record.listings.get(&key.name),
            )
        }),
        listings: listed.listings.clone(),
        is_abandoned: cache.is_abandoned(&key.namespace),
        users: listed.users.get(&key.name).copied().unwrap_or_default(),
        leaving: facts.deleting_users.clone(),
    }
}

fn gone(key: &ObjectKey) -> Meta {
    Meta { namespace: key.namespace.clone(), name: key.name.clone(), ..Default::default() }
}

/// What was found for all that are looked at together.
struct Observed<'a> {
    organizations: &'a HashMap<String, Arc<OrganizationFacts>>,
    relatives: &'a HashMap<String, Arc<SourceGraph>>,
    adoptable: &'a HashMap<AccountId, Account>,
    now: jiff::Timestamp,
}

async fn users<S: Store>(
    cache: &ClusterCache,
    store: &S,
    keys: &[&ObjectKey],
    found: Observed<'_>,
) -> Result<Vec<(ObjectKey, Snapshot)>, StoreError> {
    let Observed { organizations, relatives, adoptable, now } = found;
    let keys: Vec<&ObjectKey> = keys.iter().copied().filter(|key| key.kind == Kind::User).collect();
    if keys.is_empty() {
        return Ok(vec![]);
    }
    let names: Vec<UserName> =
        keys.iter().map(|key| (key.namespace.clone(), key.name.clone())).collect();
    let mut heirs = store.heirs(&names).await?;
    let mut snapshots = vec![];
    for key in keys {
        let Some(seen) = seen_user(cache, key) else { continue };
        let organization = organizations[&key.namespace].clone();
        let relatives = relatives.get(&key.namespace).cloned().unwrap_or_default();
        let mut heirs =
            heirs.remove(&(key.namespace.clone(), key.name.clone())).unwrap_or_default();
        heirs.retain(|heir| *heir != key.name && organization.deleting_users.stays(heir));
        snapshots.push(user::UserSnapshot {
            meta: seen.meta.clone(),
            spec: seen.spec.clone(),
            email: cache
                .email(&key.namespace, &key.name)
                .cloned()
                .unwrap_or(Err(crate::domain::email::EmailError::LocalPart)),
            status_account_id: seen.status.account_id.clone(),
            organization,
            now,
            account: relatives.get(&key.name).and_then(|itself| itself.account.clone()),
            not_adoptable: None,
            former: None,
            abandoned: None,
            held_up: false,
            departure: None,
            password: PasswordFacts::NotReferenced,
            directories: BTreeMap::new(),
            telling: ReportContext::default(),
            login_holder: None,
            contest: EmailConflict::default(),
            relatives,
            heirs,
            control: AdminCoverage::default(),
        });
    }
    find_adoptable(cache, store, adoptable, &mut snapshots).await?;
    for snapshot in &mut snapshots {
        let user::UserSnapshot { meta, spec, account, .. } = snapshot;
        meta.unreadable = unreadable::with_wrong_values(&meta.unreadable, spec, account.as_ref());
        *spec = unreadable::user_in_force(spec, &meta.unreadable, account.as_ref());
    }
    find_departures(store, &mut snapshots).await?;
    find_given_up(store, &mut snapshots).await?;
    find_former(store, &mut snapshots).await?;
    find_holders(cache, store, &mut snapshots).await?;
    Ok(snapshots
        .into_iter()
        .map(|snapshot| {
            let key = ObjectKey::new(Kind::User, &snapshot.meta.namespace, &snapshot.meta.name);
            (key, Snapshot::User(Box::new(snapshot)))
        })
        .collect())
}

/// Returns the users and everybody whom their permissions or details come from or would, by
/// namespace.
async fn relatives<S: Store>(
    cache: &ClusterCache,
    store: &S,
    users: &[UserName],
) -> Result<HashMap<String, Arc<SourceGraph>>, StoreError> {
    let mut known: BTreeSet<UserName> = BTreeSet::new();
    let mut accounts: HashMap<UserName, Account> = HashMap::new();
    let mut wanted = declared_chains(cache, users.to_vec(), &known);
    while !wanted.is_empty() {
        accounts.extend(store.inheritance_chain(&wanted).await?);
        known.extend(wanted);
        known.extend(accounts.keys().cloned());
        // A source without an account leads on by what it declares.
        let sources = accounts.iter().filter_map(|((namespace, _), account)| {
            Some((namespace.clone(), inherits_from(account)?.to_owned()))
        });
        wanted = declared_chains(cache, sources.collect(), &known);
    }
    let mut relatives: HashMap<String, SourceGraph> = HashMap::new();
    for user in known {
        let relative = SourceNode {
            account: accounts.remove(&user),
            declared: cache.users.get(&user).map(declared),
        };
        relatives.entry(user.0).or_default().insert(user.1, relative);
    }
    Ok(relatives
        .into_iter()
        .map(|(namespace, relatives)| (namespace, Arc::new(relatives)))
        .collect())
}

/// Returns the users and the ones that they declare as their sources, as far as that leads, without
/// those that are known.
fn declared_chains(
    cache: &ClusterCache,
    users: Vec<UserName>,
    known: &BTreeSet<UserName>,
) -> Vec<UserName> {
    let unknown = |user: &UserName| !known.contains(user);
    let sources = |user: &UserName| {
        let spec = cache.users.get(user).map(|seen| &seen.spec);
        let permissions = spec.and_then(|spec| spec.permissions.as_ref()?.from.as_ref());
        let copied = spec.and_then(|spec| spec.copy_of.as_ref());
        let names = permissions.map(|source| &source.name).into_iter();
        let names = names.chain(copied.map(|copy| &copy.name));
        names.map(|name| (user.0.clone(), name.clone())).filter(unknown).collect::<Vec<_>>()
    };
    let mut chains = reached(users.into_iter().filter(unknown), sources);
    chains.sort();
    chains
}

fn declared(seen: &CachedObject<UserSpec, UserStatus>) -> DeclaredSource {
    DeclaredSource { deleting: seen.meta.deleting, follows: follows(&seen.spec).map(str::to_owned) }
}

/// Looks up the accounts that users without one name as those that they are to take over.
async fn adoptable<S: Store>(
    cache: &ClusterCache,
    store: &S,
    names: &[UserName],
    relatives: &HashMap<String, Arc<SourceGraph>>,
) -> Result<HashMap<AccountId, Account>, StoreError> {
    let asked = |(namespace, name): &UserName| {
        let has_one = relatives
            .get(namespace)
            .and_then(|relatives| relatives.get(name)?.account.as_ref())
            .is_some();
        let seen = cache
            .users
            .get(&(namespace.clone(), name.clone()))
            .filter(|seen| !has_one && !seen.meta.deleting)?;
        match Adoption::parse(seen.spec.adopt.as_ref()?)? {
            Adoption::Account(id) => Some(AccountKey::Id(id)),
            Adoption::Entry(_) => None,
        }
    };
    let wanted: Vec<AccountKey> = names.iter().filter_map(asked).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store.find(&wanted).await?.into_values().map(|account| (account.id, account)).collect())
}

/// Returns the groups that objects are judged by: those that are looked at, and those that users
/// are in or ask for.
fn concerned_groups(
    cache: &ClusterCache,
    keys: &[&ObjectKey],
    relatives: &HashMap<String, Arc<SourceGraph>>,
    adoptable: &HashMap<AccountId, Account>,
) -> BTreeSet<GroupName> {
    let of = |account: &Account| (account.namespace.clone(), account.content.group.clone());
    let mut groups: BTreeSet<GroupName> = adoptable.values().map(of).collect();
    for key in keys {
        match key.kind {
            Kind::UserGroup => _ = groups.insert((key.namespace.clone(), key.name.clone())),
            Kind::User => {
                let account = relatives
                    .get(&key.namespace)
                    .and_then(|relatives| relatives.get(&key.name)?.account.as_ref());
                groups.extend(account.map(of));
                let asked = seen_user(cache, key).map(|seen| seen.spec.group_ref.name.clone());
                groups.extend(asked.map(|group| (key.namespace.clone(), group)));
            }
            Kind::Secret | Kind::Organization | Kind::OrgEmailDomain => {}
        }
    }
    groups
}

/// Looks up which accounts users without one take over: those that nobody owns who is there. And
/// whether the ids that accounts for directories' entries are to have are free.
async fn find_adoptable<S: Store>(
    cache: &ClusterCache,
    store: &S,
    found: &HashMap<AccountId, Account>,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let asked = |snapshot: &user::UserSnapshot| {
        let waits = snapshot.account.is_none() && !snapshot.meta.deleting;
        Adoption::parse(snapshot.spec.adopt.as_ref().filter(|_| waits)?)
    };
    let wanted: Vec<Adoption> = snapshots.iter().filter_map(asked).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let entries = wanted.iter().filter(|adoption| matches!(adoption, Adoption::Entry(_)));
    let known = store.known_ids(&entries.map(|entry| entry.id()).collect::<Vec<_>>()).await?;
    for snapshot in snapshots {
        let account = match asked(snapshot) {
            Some(Adoption::Account(id)) => found.get(&id),
            Some(Adoption::Entry(id)) => {
                snapshot.not_adoptable = known.contains(&id).then_some(NotAdoptable::IdKnown);
                None
            }
            None => None,
        };
        let Some(account) = account.filter(|account| account.namespace == snapshot.meta.namespace)
        else {
            continue;
        };
        let place = (account.namespace.clone(), account.owner.name.clone());
        if cache.has(&ObjectKey::new(Kind::User, &place.0, &place.1)) {
            snapshot.not_adoptable = Some(NotAdoptable::Owned(place.1));
        } else {
            snapshot.account = Some(account.clone());
        }
    }
    Ok(())
}

/// Looks up what became of the accounts of users that are being deleted and have none.
async fn find_departures<S: Store>(
    store: &S,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let gone = |snapshot: &user::UserSnapshot| snapshot.meta.deleting && snapshot.account.is_none();
    let name = |snapshot: &user::UserSnapshot| {
        (snapshot.meta.namespace.clone(), snapshot.meta.name.clone())
    };
    let wanted: Vec<(UserName, String)> = snapshots
        .iter()
        .filter(|snapshot| gone(snapshot))
        .map(|snapshot| (name(snapshot), snapshot.meta.uid.clone()))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut found = store.deleted_accounts(&wanted).await?;
    for snapshot in snapshots.iter_mut().filter(|snapshot| gone(snapshot)) {
        snapshot.departure = found.remove(&name(snapshot));
    }
    Ok(())
}

/// Looks up whether the accounts that `User`s name which go, and don't own, are anybody else's.
async fn find_given_up<S: Store>(
    store: &S,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let named = |snapshot: &user::UserSnapshot| {
        let goes =
            snapshot.meta.deleting && snapshot.account.is_none() && snapshot.departure.is_none();
        let is_known = unreadable::deletion(&snapshot.meta).is_none();
        let gives_up = goes && is_known && snapshot.spec.deletion_policy == DeletionPolicy::Delete;
        Some(AccountId(snapshot.status_account_id.as_ref().filter(|_| gives_up)?.parse().ok()?))
    };
    let wanted: Vec<AccountKey> = snapshots.iter().filter_map(named).map(AccountKey::Id).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let found = store.find(&wanted).await?;
    for snapshot in snapshots {
        snapshot.abandoned =
            named(snapshot).filter(|account| !found.contains_key(&AccountKey::Id(*account)));
    }
    Ok(())
}

/// Looks up what became of the accounts that `User`s had which stay, and have them no more: those
/// that their status names, and those that were created for them before they were put back, as a
/// restore of etcd does.
async fn find_former<S: Store>(
    store: &S,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let has_it = |snapshot: &user::UserSnapshot| {
        let account = snapshot.account.as_ref();
        account.is_some_and(|account| {
            snapshot.status_account_id == Some(account.id.to_string())
                || account.owner.uid == snapshot.meta.uid
        })
    };
    let asked = |snapshot: &user::UserSnapshot| !snapshot.meta.deleting && !has_it(snapshot);
    let creates: Vec<TransactionId> = snapshots
        .iter()
        .filter(|snapshot| asked(snapshot))
        .map(|snapshot| TransactionId::of_create(&snapshot.meta.uid))
        .collect();
    if creates.is_empty() {
        return Ok(());
    }
    let created = store.created_accounts(&creates).await?;
    let had = |snapshot: &user::UserSnapshot| {
        let recorded = || Some(AccountId(snapshot.status_account_id.as_ref()?.parse().ok()?));
        let created = || created.get(&TransactionId::of_create(&snapshot.meta.uid)).copied();
        Some(snapshot).filter(|snapshot| asked(snapshot)).and_then(|_| recorded().or_else(created))
    };
    let ids: Vec<AccountId> = snapshots.iter().filter_map(had).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let live = store.find(&ids.iter().copied().map(AccountKey::Id).collect::<Vec<_>>()).await?;
    let known = store.known_ids(&ids).await?;
    for snapshot in snapshots {
        let Some(id) = had(snapshot) else { continue };
        let fate = match live.get(&AccountKey::Id(id)) {
            Some(account) if account.namespace == snapshot.meta.namespace => {
                Fate::Owned(account.owner.name.clone())
            }
            None if known.contains(&id) => Fate::Deleted,
            // Nothing is said of other organizations.
            Some(_) | None => Fate::Unknown,
        };
        snapshot.former = Some((id.to_string(), fate));
    }
    Ok(())
}

/// Looks up who has the login names and addresses that are asked for and not had.
async fn find_holders<S: Store>(
    cache: &ClusterCache,
    store: &S,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let wanted: Vec<AccountKey> = snapshots
        .iter()
        .flat_map(|snapshot| [login_key(snapshot), email_key(snapshot)])
        .flatten()
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let holders = store.find(&wanted).await?;
    let mut addresses = Addresses { cache, store, known: HashMap::new() };
    for key in wanted.iter().filter(|key| matches!(key, AccountKey::Email { .. })) {
        addresses.note(key.clone(), holders.get(key).cloned());
    }
    for snapshot in snapshots {
        let login_holder = login_key(snapshot).and_then(|key| holders.get(&key));
        snapshot.login_holder =
            login_holder.map(|account| Holder::of(account, has_user(cache, account)));
        if let Some(first) = email_key(snapshot) {
            snapshot.contest = contest(&mut addresses, snapshot.account.as_ref(), first).await?;
        }
    }
    Ok(())
}

/// Who has which address: many may stand in line for the same ones, and each is looked up once.
struct Addresses<'a, S> {
    cache: &'a ClusterCache,
    store: &'a S,
    known: HashMap<AccountKey, Option<EmailHolder>>,
}

impl<S: Store> Addresses<'_, S> {
    fn note(&mut self, key: AccountKey, account: Option<Account>) {
        let rival = |account| EmailHolder {
            asks_for: moving_to(self.cache, &account),
            is_declared: has_user(self.cache, &account),
            account: Arc::new(account),
        };
        self.known.insert(key, account.map(rival));
    }

    async fn holder(&mut self, key: &AccountKey) -> Result<Option<EmailHolder>, StoreError> {
        if !self.known.contains_key(key) {
            let account = self.store.find(std::slice::from_ref(key)).await?.remove(key);
            self.note(key.clone(), account);
        }
        Ok(self.known.get(key).cloned().flatten())
    }
}

fn login_key(snapshot: &user::UserSnapshot) -> Option<AccountKey> {
    let customer_id = snapshot.organization.customer_id.as_ref().ok()?;
    let login_name: LoginName = user::login_name(snapshot, customer_id);
    snapshot.account.is_none().then_some(AccountKey::Login(login_name))
}

fn email_key(snapshot: &user::UserSnapshot) -> Option<AccountKey> {
    let email = snapshot.email.as_ref().ok()?;
    let has_it = snapshot.account.as_ref().is_some_and(|account| account.content.email == *email);
    (!has_it).then(|| AccountKey::Email {
        namespace: snapshot.meta.namespace.clone(),
        email: email.clone(),
    })
}

/// Follows who has what whom asks for, until somebody asks for a free address, for ours, or stays.
async fn contest<S: Store>(
    addresses: &mut Addresses<'_, S>,
    ours: Option<&Account>,
    first: AccountKey,
) -> Result<EmailConflict, StoreError> {
    let (mut rivals, mut met): (Vec<EmailHolder>, HashSet<AccountId>) = (vec![], HashSet::new());
    let mut next = first;
    while let Some(rival) = addresses.holder(&next).await? {
        let id = rival.account.id;
        if !met.insert(id)
            || rivals.len() == LONGEST_CONTEST
            || ours.is_some_and(|ours| ours.id == id)
        {
            return Ok(EmailConflict { rivals, ends_free: false });
        }
        let namespace = rival.account.namespace.clone();
        let asks_for = rival.asks_for.clone();
        rivals.push(rival);
        let Some(email) = asks_for else { return Ok(EmailConflict { rivals, ends_free: false }) };
        next = AccountKey::Email { namespace, email };
    }
    let ends_free = !rivals.is_empty();
    Ok(EmailConflict { rivals, ends_free })
}

/// Whether a `User` of an account's owner's name is there.
fn has_user(cache: &ClusterCache, account: &Account) -> bool {
    let is_presumed = cache.presumes_owners && !account.owner.uid.is_empty();
    is_presumed
        || seen_user(cache, &ObjectKey::new(Kind::User, &account.namespace, &account.owner.name))
            .is_some()
}

/// Returns the address that an account's `User` asks for, if that is another one and may be
/// applied.
fn moving_to(cache: &ClusterCache, account: &Account) -> Option<Email> {
    let key = ObjectKey::new(Kind::User, &account.namespace, &account.owner.name);
    let seen = seen_user(cache, &key)?;
    let Meta { uid, has_finalizer: held, paused, deleting, .. } = &seen.meta;
    let free = *uid == account.owner.uid && *held && !paused && !deleting;
    let declared = cache.email(&key.namespace, &key.name)?.clone().ok()?;
    let asks_for = own_email(Some(account), &declared).unwrap_or(declared);
    (free && !account.transaction.in_flight() && asks_for != account.content.email)
        .then_some(asks_for)
}
