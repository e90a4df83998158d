//! What becomes of a `UserGroup`.

use std::sync::Arc;

use super::blocked::{AdminLossCause, Blocked, UsedBy};
use super::directories::MissingOfMembers;
use super::unreadable::{self, Listed};
use super::{
    AdminCoverage, Decision, Deleting, FinalizerAction, GroupPlan, Meta, Plan, without_finalizer,
};
use crate::api::user_group::UserGroupSpec;
use crate::domain::group::GroupContent;
use crate::domain::permission;

/// Everything that decides what becomes of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSnapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for; nothing where the resource isn't there any more.
    pub spec: Option<Arc<UserGroupSpec>>,
    /// What the store has of it.
    pub in_force: Option<GroupContent>,
    /// The namespace is going and has no `User` any more: what accounts that stay still need of it
    /// stays in the store.
    pub is_abandoned: bool,
    /// How many accounts that stay are in it.
    pub members: i64,
    /// Whether somebody in it may log in.
    pub has_enabled_members: bool,
    /// Who is in control without this group.
    pub control: AdminCoverage,
    /// The `User`s that are being deleted.
    pub leaving: Deleting,
    /// What directories lack of its members, where directories are in use.
    pub directories: Option<MissingOfMembers>,
}

/// Decides what becomes of a group.
#[must_use]
pub fn decide(snapshot: &GroupSnapshot) -> Decision {
    let GroupSnapshot { meta, spec, in_force, members, .. } = snapshot;
    match spec {
        None if in_force.is_some() && *members == 0 && !leaves_no_administrator(snapshot) => {
            drop_group(snapshot, FinalizerAction::Keep)
        }
        None => Decision::default(),
        Some(_) if let Some(decision) = without_finalizer(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(spec) if meta.deleting => match deletion_blocker(snapshot) {
            Some(_) if snapshot.is_abandoned => Decision::only_finalizer(FinalizerAction::Remove),
            // What it gives less from now on doesn't wait for its end.
            Some(why) if in_force.is_some() => put_group(snapshot, spec, Some(why)),
            Some(why) => Decision::blocked(why),
            None if in_force.is_none() => Decision::only_finalizer(FinalizerAction::Remove),
            None => drop_group(snapshot, FinalizerAction::Remove),
        },
        Some(spec) => put_group(snapshot, spec, None),
    }
}

/// Returns what keeps a deleted group from going.
fn deletion_blocker(snapshot: &GroupSnapshot) -> Option<Blocked> {
    if snapshot.members > 0 {
        return Some(Blocked::InUse { accounts: snapshot.members, role: UsedBy::Members });
    }
    leaves_no_administrator(snapshot)
        .then_some(Blocked::LastAdministrator { by: AdminLossCause::GroupDeletion })
}

/// Whether the group is to lose full control.
#[must_use]
pub fn gives_up_control(snapshot: &GroupSnapshot) -> bool {
    let GroupSnapshot { meta, spec, .. } = snapshot;
    let by_edit = spec.as_ref().is_some_and(|spec| loses_control(snapshot, spec.full_control));
    by_edit || ((meta.deleting || spec.is_none()) && loses_control_by_going(snapshot))
}

fn loses_control(snapshot: &GroupSnapshot, stays: bool) -> bool {
    snapshot.in_force.as_ref().is_some_and(|group| group.full_control) && !stays
}

/// `administrators` has full control also when nobody declares it.
fn loses_control_by_going(snapshot: &GroupSnapshot) -> bool {
    loses_control(
        snapshot,
        GroupContent::built_in(&snapshot.meta.name).is_some_and(|group| group.full_control),
    )
}

/// Whether the group's end would take the organization's last administrator away.
fn leaves_no_administrator(snapshot: &GroupSnapshot) -> bool {
    loses_control_by_going(snapshot) && is_last(snapshot)
}

/// Whether nobody would be in control without this group.
fn is_last(snapshot: &GroupSnapshot) -> bool {
    snapshot.has_enabled_members && snapshot.control.is_lost()
}

fn put_group(snapshot: &GroupSnapshot, spec: &UserGroupSpec, held: Option<Blocked>) -> Decision {
    let GroupSnapshot { meta, in_force, leaving, .. } = snapshot;
    let mut wanted = content(spec);
    let mut blocked: Vec<Blocked> = held.into_iter().collect();
    blocked.extend(unreadable::blocked(meta, Listed::GroupPermissions(&spec.permissions), false));
    if loses_control(snapshot, spec.full_control) && is_last(snapshot) {
        wanted.full_control = true;
        blocked.push(Blocked::LastAdministrator { by: AdminLossCause::Group });
    }
    let plan = (in_force.as_ref() != Some(&wanted)).then(|| {
        let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
        Plan::Group(GroupPlan::Put { namespace, name, content: wanted, leaving: leaving.clone() })
    });
    Decision { plan, blocked, ..Decision::default() }
}

fn drop_group(snapshot: &GroupSnapshot, hold: FinalizerAction) -> Decision {
    let GroupSnapshot { meta, leaving, .. } = snapshot;
    let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
    let plan = Plan::Group(GroupPlan::Drop { namespace, name, leaving: leaving.clone() });
    Decision { plan: Some(plan), finalizer: hold, ..Decision::default() }
}

fn content(spec: &UserGroupSpec) -> GroupContent {
    GroupContent {
        full_control: spec.full_control,
        permissions: permission::parse_all(&spec.permissions),
        self_service: spec.self_service.iter().copied().map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests;
