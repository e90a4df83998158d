//! What becomes of a `UserGroup`.

use std::sync::Arc;

use super::blocked::{Blocked, TakenBy, UsedBy};
use super::{Control, Decision, GroupPlan, Hold, Leaving, Meta, Plan, unheld};
use crate::api::user_group::{SelfService, UserGroupSpec};
use crate::domain::group::{Detail, GroupContent};
use crate::domain::permission;

/// Everything that decides what becomes of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The resource.
    pub meta: Meta,
    /// What it asks for; nothing where the resource isn't there any more.
    pub spec: Option<Arc<UserGroupSpec>>,
    /// What the store has of it.
    pub in_force: Option<GroupContent>,
    /// How many accounts that stay are in it.
    pub members: i64,
    /// Whether somebody in it may log in.
    pub has_enabled_members: bool,
    /// Who is in control without this group.
    pub control: Control,
    /// The `User`s that are being deleted.
    pub leaving: Leaving,
}

/// Decides what becomes of a group.
#[must_use]
pub fn decide(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, in_force, members, .. } = snapshot;
    match spec {
        None if in_force.is_some() && *members == 0 && !leaves_no_administrator(snapshot) => drop_group(snapshot, Hold::Keep),
        None => Decision::default(),
        Some(_) if let Some(decision) = unheld(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(_) if meta.deleting && *members > 0 => {
            Decision::blocked(Blocked::InUse { accounts: *members, role: UsedBy::Members })
        }
        Some(_) if meta.deleting && leaves_no_administrator(snapshot) => {
            Decision::blocked(Blocked::LastAdministrator { by: TakenBy::GroupDeletion })
        }
        Some(_) if meta.deleting && in_force.is_none() => Decision::hold(Hold::Release),
        Some(_) if meta.deleting => drop_group(snapshot, Hold::Release),
        Some(spec) => put_group(snapshot, spec),
    }
}

/// Whether the group is to lose full control.
#[must_use]
pub fn gives_up_control(snapshot: &Snapshot) -> bool {
    let Snapshot { meta, spec, in_force, .. } = snapshot;
    let undeclared = || GroupContent::undeclared(&meta.name).is_some_and(|group| group.full_control);
    let stays_in_control = match spec {
        Some(spec) if !meta.deleting => spec.full_control,
        Some(_) | None => undeclared(),
    };
    in_force.as_ref().is_some_and(|group| group.full_control) && !stays_in_control
}

/// Whether what becomes of the group would take the organization's last administrator away.
fn leaves_no_administrator(snapshot: &Snapshot) -> bool {
    gives_up_control(snapshot) && snapshot.has_enabled_members && snapshot.control.is_lost()
}

fn put_group(snapshot: &Snapshot, spec: &UserGroupSpec) -> Decision {
    let Snapshot { meta, in_force, leaving, .. } = snapshot;
    let mut wanted = content(spec);
    let mut blocked = vec![];
    if leaves_no_administrator(snapshot) {
        wanted.full_control = true;
        blocked.push(Blocked::LastAdministrator { by: TakenBy::Group });
    }
    let plan = (in_force.as_ref() != Some(&wanted)).then(|| {
        let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
        Plan::Group(GroupPlan::Put { namespace, name, content: wanted, leaving: leaving.clone() })
    });
    Decision { plan, blocked, ..Decision::default() }
}

fn drop_group(snapshot: &Snapshot, hold: Hold) -> Decision {
    let Snapshot { meta, leaving, .. } = snapshot;
    let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
    let plan = Plan::Group(GroupPlan::Drop { namespace, name, leaving: leaving.clone() });
    Decision { plan: Some(plan), hold, ..Decision::default() }
}

fn content(spec: &UserGroupSpec) -> GroupContent {
    GroupContent {
        full_control: spec.full_control,
        permissions: permission::parse_all(&spec.permissions),
        self_service: spec.self_service.iter().copied().map(detail).collect(),
    }
}

fn detail(listed: SelfService) -> Detail {
    match listed {
        SelfService::Name => Detail::Name,
        SelfService::Address => Detail::Address,
        SelfService::Phone => Detail::Phone,
        SelfService::Email => Detail::Email,
        SelfService::Password => Detail::Password,
        SelfService::TimeZone => Detail::TimeZone,
        SelfService::Notifications => Detail::Notifications,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group with full control that somebody deleted; in it is an administrator who is being deleted too.
    fn leaving_group(name: &str, control: Control) -> Snapshot {
        Snapshot {
            meta: Meta { name: name.to_owned(), held: true, deleting: true, ..Meta::default() },
            spec: Some(Arc::new(UserGroupSpec { full_control: true, ..UserGroupSpec::default() })),
            in_force: Some(GroupContent { full_control: true, ..GroupContent::default() }),
            members: 0,
            has_enabled_members: true,
            control,
            leaving: Leaving::default(),
        }
    }

    #[test]
    fn a_group_with_the_last_administrator_in_it_is_not_deleted_though_they_are_to_leave() {
        let lost = Control { administrators: false, users: true };
        let blocked = Decision::blocked(Blocked::LastAdministrator { by: TakenBy::GroupDeletion });
        assert_eq!(decide(&leaving_group("chiefs", lost)), blocked);
        assert_eq!(decide(&Snapshot { spec: None, ..leaving_group("chiefs", lost) }), Decision::default());
        for control in [Control { administrators: true, users: true }, Control { administrators: false, users: false }] {
            assert_eq!(decide(&leaving_group("chiefs", control)).hold, Hold::Release);
        }
        assert_eq!(decide(&leaving_group("administrators", lost)).hold, Hold::Release, "it has full control undeclared too");
    }
}
