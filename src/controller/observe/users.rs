//! Snapshots of users: their accounts, and those that their permissions or details come from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::{UserSpec, UserStatus};
use crate::controller::cache::{CachedObject, ClusterCache};
use crate::controller::observe::Snapshot;
use crate::controller::observe::accounts::{
    find_adoptable, find_departures, find_former, find_given_up,
};
use crate::controller::observe::email_conflicts::find_holders;
use crate::domain::account::{Account, AccountId};
use crate::domain::inheritance::{inherits_from, reached};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::directories::ReportContext;
use crate::plan::permission_source::{DeclaredSource, SourceGraph, SourceNode};
use crate::plan::user::{self, EmailConflict, PasswordFacts, follows};
use crate::plan::{AdminCoverage, OrganizationFacts, unreadable};
use crate::store::{Store, StoreError, UserName};

/// What the snapshots of a batch share.
pub(super) struct Observed<'a> {
    pub(super) organizations: &'a HashMap<String, Arc<OrganizationFacts>>,
    pub(super) relatives: &'a HashMap<String, Arc<SourceGraph>>,
    pub(super) adoptable: &'a HashMap<AccountId, Account>,
    pub(super) now: jiff::Timestamp,
}

pub(super) async fn users<S: Store>(
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
        let Some(seen) = cache.user(key) else { continue };
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

/// Returns the users and all sources of their permissions or details, applied and declared, by
/// namespace.
pub(super) async fn relatives<S: Store>(
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

/// Returns the users and their declared sources, direct and indirect, without those that are known.
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
