//! What became of accounts that a `User` names, had or may adopt.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::user::DeletionPolicy;
use crate::controller::cache::ClusterCache;
use crate::domain::account::{Account, AccountId, TransactionId};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::adoption::Adoption;
use crate::plan::blocked::{Fate, NotAdoptable};
use crate::plan::permission_source::SourceGraph;
use crate::plan::{unreadable, user};
use crate::store::{AccountKey, Store, StoreError, UserName};

/// Reads the accounts that users without one ask to adopt.
pub(super) async fn adoptable<S: Store>(
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

/// Finds the accounts that users without one may adopt, because no `User` that is there owns them.
/// Also finds whether the ids for adopted entries of directories are free.
pub(super) async fn find_adoptable<S: Store>(
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

/// Finds what became of the accounts of users that are being deleted and have none.
pub(super) async fn find_departures<S: Store>(
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

/// Finds accounts that the status of a deleted `User` names and the store doesn't know.
pub(super) async fn find_given_up<S: Store>(
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

/// Finds what became of accounts that `User`s had and have no more: those that their status names,
/// and those created for them before etcd was restored.
pub(super) async fn find_former<S: Store>(
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
            // Accounts of other organizations aren't disclosed.
            Some(_) | None => Fate::Unknown,
        };
        snapshot.former = Some((id.to_string(), fate));
    }
    Ok(())
}
