//! Which organizations keep an administrator, where one may be lost.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::controller::observe::{Snapshot, counts};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::user::gives_up_control;
use crate::plan::{AdminCoverage, OrganizationFacts, user_group};
use crate::store::{Administrator, Store, StoreError};

/// Finds which administrators stay, where one of them or their group may give up control.
pub(super) async fn find_control<S: Store>(
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
        // In a namespace that is being deleted, users count whose `User` is there, with or without
        // an account.
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
