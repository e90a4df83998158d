//! Reads the cluster's cache and the store into snapshots, from which the planners decide.

mod accounts;
mod admin_coverage;
mod email_conflicts;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use self::accounts::adoptable;
use self::admin_coverage::find_control;
use self::users::{Observed, relatives, users};
use super::cache::{ClusterCache, Objects, within};
use crate::domain::account::{Account, AccountId};
use crate::domain::group::{ADMINISTRATORS, USERS};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::permission::Permissions;
use crate::plan::permission_source::SourceGraph;
use crate::plan::{
    AdminCoverage, Decision, Listing, Meta, OrganizationFacts, org_email_domain, organization,
    unreadable, user, user_group,
};
use crate::provisioning::Groups;
use crate::store::{Counts, GroupName, Store, StoreError, UserName};

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

/// Returns a snapshot of each object that can be decided on now.
///
/// Left out are users that are gone, and objects in a namespace that isn't cached yet: its arrival
/// enqueues them.
pub async fn observe<S: Store>(
    cache: &ClusterCache,
    store: &S,
    keys: &[ObjectKey],
    now: jiff::Timestamp,
) -> Result<Vec<(ObjectKey, Snapshot)>, StoreError> {
    let keys: Vec<&ObjectKey> = keys
        .iter()
        .filter(|key| key.kind != Kind::User || cache.user(key).is_some())
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

/// Returns the groups and domains that the store has and the cluster doesn't: they were released
/// while no operator watched.
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
pub async fn groups<S: Store>(store: &S, namespaces: &[String]) -> Result<Groups, StoreError> {
    let mut groups: Groups = store.group_names(namespaces).await?.into_iter().collect();
    groups.values_mut().for_each(|names| names.extend([ADMINISTRATORS, USERS].map(str::to_owned)));
    Ok(groups)
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
    let seen = cache.group(key);
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

/// The facts that the listed domains of an organization share.
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
    let seen = cache.domain(key);
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

/// Returns the groups that decisions depend on: the reconciled ones, and those that users are in or
/// ask for.
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
                let asked = cache.user(key).map(|seen| seen.spec.group_ref.name.clone());
                groups.extend(asked.map(|group| (key.namespace.clone(), group)));
            }
            Kind::Secret | Kind::Organization | Kind::OrgEmailDomain => {}
        }
    }
    groups
}
