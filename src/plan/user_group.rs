//! What becomes of a `UserGroup`.

use std::sync::Arc;

use super::blocked::{Blocked, TakenBy, UsedBy};
use super::directories::OfMembers;
use super::unreadable::{self, Listed};
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
    /// The namespace is going and has no `User` any more: what accounts that stay still need of it
    /// stays in the store.
    pub is_abandoned: bool,
    /// How many accounts that stay are in it.
    pub members: i64,
    /// Whether somebody in it may log in.
    pub has_enabled_members: bool,
    /// Who is in control without this group.
    pub control: Control,
    /// The `User`s that are being deleted.
    pub leaving: Leaving,
    /// What directories lack of its members, where directories are in use.
    pub directories: Option<OfMembers>,
}

/// Decides what becomes of a group.
#[must_use]
pub fn decide(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, in_force, members, .. } = snapshot;
    match spec {
        None if in_force.is_some() && *members == 0 && !leaves_no_administrator(snapshot) => {
            drop_group(snapshot, Hold::Keep)
        }
        None => Decision::default(),
        Some(_) if let Some(decision) = unheld(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(spec) if meta.deleting => match deletion_trouble(snapshot) {
            Some(_) if snapshot.is_abandoned => Decision::hold(Hold::Release),
            // What it gives less from now on doesn't wait for its end.
            Some(why) if in_force.is_some() => put_group(snapshot, spec, Some(why)),
            Some(why) => Decision::blocked(why),
            None if in_force.is_none() => Decision::hold(Hold::Release),
            None => drop_group(snapshot, Hold::Release),
        },
        Some(spec) => put_group(snapshot, spec, None),
    }
}

/// Returns what keeps a deleted group from going.
fn deletion_trouble(snapshot: &Snapshot) -> Option<Blocked> {
    if snapshot.members > 0 {
        return Some(Blocked::InUse { accounts: snapshot.members, role: UsedBy::Members });
    }
    leaves_no_administrator(snapshot)
        .then_some(Blocked::LastAdministrator { by: TakenBy::GroupDeletion })
}

/// Whether the group is to lose full control.
#[must_use]
pub fn gives_up_control(snapshot: &Snapshot) -> bool {
    let Snapshot { meta, spec, .. } = snapshot;
    let by_edit = spec.as_ref().is_some_and(|spec| loses_control(snapshot, spec.full_control));
    by_edit || ((meta.deleting || spec.is_none()) && loses_control_by_going(snapshot))
}

fn loses_control(snapshot: &Snapshot, stays: bool) -> bool {
    snapshot.in_force.as_ref().is_some_and(|group| group.full_control) && !stays
}

/// `administrators` has full control also when nobody declares it.
fn loses_control_by_going(snapshot: &Snapshot) -> bool {
    loses_control(
        snapshot,
        GroupContent::undeclared(&snapshot.meta.name).is_some_and(|group| group.full_control),
    )
}

/// Whether the group's end would take the organization's last administrator away.
fn leaves_no_administrator(snapshot: &Snapshot) -> bool {
    loses_control_by_going(snapshot) && is_last(snapshot)
}

/// Whether nobody would be in control without this group.
fn is_last(snapshot: &Snapshot) -> bool {
    snapshot.has_enabled_members && snapshot.control.is_lost()
}

fn put_group(snapshot: &Snapshot, spec: &UserGroupSpec, held: Option<Blocked>) -> Decision {
    let Snapshot { meta, in_force, leaving, .. } = snapshot;
    let mut wanted = content(spec);
    let mut blocked: Vec<Blocked> = held.into_iter().collect();
    blocked.extend(unreadable::blocked(meta, Listed::GroupPermissions(&spec.permissions), false));
    if loses_control(snapshot, spec.full_control) && is_last(snapshot) {
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
    use crate::api::lenient::{Field, UnreadableField};

    /// A group with full control that somebody deleted; in it is an administrator who is being
    /// deleted too.
    fn leaving_group(name: &str, control: Control) -> Snapshot {
        Snapshot {
            meta: Meta { name: name.to_owned(), held: true, deleting: true, ..Meta::default() },
            spec: Some(Arc::new(UserGroupSpec { full_control: true, ..UserGroupSpec::default() })),
            in_force: Some(GroupContent { full_control: true, ..GroupContent::default() }),
            is_abandoned: false,
            members: 0,
            has_enabled_members: true,
            control,
            leaving: Leaving::default(),
            directories: None,
        }
    }

    #[test]
    fn a_deleted_group_that_is_held_gives_less_at_once() {
        let others = Control { administrators: true, users: true };
        let less = Some(Arc::new(UserGroupSpec::default()));
        let held = Snapshot { members: 2, spec: less.clone(), ..leaving_group("chiefs", others) };
        let decision = decide(&held);
        assert_eq!(decision.blocked, [Blocked::InUse { accounts: 2, role: UsedBy::Members }]);
        assert!(
            matches!(decision.plan, Some(Plan::Group(GroupPlan::Put { content, .. })) if !content.full_control)
        );
        assert_eq!(decision.hold, Hold::Keep);
        let settled = Snapshot { in_force: Some(GroupContent::default()), ..held };
        assert_eq!(decide(&settled).plan, None);
        let last = Snapshot {
            members: 2,
            spec: less,
            ..leaving_group("chiefs", Control { administrators: false, users: true })
        };
        assert_eq!(decide(&last).plan, None, "the last administrator keeps control");
    }

    #[test]
    fn a_group_goes_with_its_namespace_and_stays_in_force_for_accounts_without_a_user() {
        let others = Control { administrators: true, users: true };
        let used = Snapshot { members: 2, ..leaving_group("chiefs", others) };
        assert_eq!(decide(&used).hold, Hold::Keep);
        assert_eq!(decide(&Snapshot { is_abandoned: true, ..used }), Decision::hold(Hold::Release));
    }

    #[test]
    fn a_group_with_the_last_administrator_in_it_is_not_deleted_though_they_are_to_leave() {
        let lost = Control { administrators: false, users: true };
        let blocked = Decision::blocked(Blocked::LastAdministrator { by: TakenBy::GroupDeletion });
        assert_eq!(decide(&leaving_group("chiefs", lost)), blocked);
        assert_eq!(
            decide(&Snapshot { spec: None, ..leaving_group("chiefs", lost) }),
            Decision::default()
        );
        for control in [
            Control { administrators: true, users: true },
            Control { administrators: false, users: false },
        ] {
            assert_eq!(decide(&leaving_group("chiefs", control)).hold, Hold::Release);
        }
        assert_eq!(
            decide(&leaving_group("administrators", lost)).hold,
            Hold::Release,
            "it has full control undeclared too"
        );
    }

    /// A group whose members may read and write cases, of which fields can't be read now.
    fn misread(name: &str, spec: UserGroupSpec, fields: &[Field]) -> Snapshot {
        let field = |field: &Field| {
            UnreadableField::new(*field, "spec.x".to_owned(), &serde_json::json!("Newer"))
        };
        let unreadable = fields.iter().map(field).collect::<Vec<_>>().into();
        let meta = Meta { name: name.to_owned(), held: true, unreadable, ..Meta::default() };
        let permissions =
            permission::parse_all(&["cases:read".to_owned(), "cases:write".to_owned()]);
        Snapshot {
            spec: Some(unreadable::group_in_force(&Arc::new(spec), &meta)),
            meta,
            in_force: Some(GroupContent {
                full_control: true,
                permissions,
                ..GroupContent::default()
            }),
            is_abandoned: false,
            members: 1,
            has_enabled_members: true,
            control: Control { administrators: true, users: true },
            leaving: Leaving::default(),
            directories: None,
        }
    }

    #[track_caller]
    fn check_unsupported(snapshot: &Snapshot) -> GroupContent {
        let decision = decide(snapshot);
        assert!(
            matches!(decision.blocked[..], [Blocked::UnsupportedValue { is_new: false, .. }]),
            "{:?}",
            decision.blocked
        );
        let Some(Plan::Group(GroupPlan::Put { content, .. })) = decision.plan else {
            panic!("nothing is taken away")
        };
        let settled = Snapshot { in_force: Some(content.clone()), ..snapshot.clone() };
        assert_eq!((decide(&settled).plan, decide(&settled).blocked), (None, decision.blocked));
        content
    }

    #[test]
    fn a_permission_is_taken_away_whatever_else_of_the_group_is_not_understood() {
        let less = || UserGroupSpec {
            permissions: vec!["cases:read".to_owned()],
            full_control: true,
            ..UserGroupSpec::default()
        };
        for field in
            [Field::SelfService, Field::Description, Field::GroupPermissions, Field::FullControl]
        {
            let content = check_unsupported(&misread("staff", less(), &[field]));
            assert_eq!(
                content.permissions,
                permission::parse_all(&["cases:read".to_owned()]),
                "{field:?}"
            );
            assert_eq!(
                content.full_control,
                field != Field::FullControl,
                "what can't be read gives nothing"
            );
        }
        let unlisted =
            UserGroupSpec { permissions: vec!["cases:read".to_owned(), "*".to_owned()], ..less() };
        assert_eq!(check_unsupported(&misread("staff", unlisted, &[])).permissions.len(), 1);
        let nothing =
            check_unsupported(&misread("staff", UserGroupSpec::default(), &[Field::Spec]));
        assert_eq!(nothing, GroupContent::default());
        let administrators =
            check_unsupported(&misread("administrators", UserGroupSpec::default(), &[Field::Spec]));
        assert!(administrators.full_control);
    }

    #[test]
    fn full_control_that_is_not_understood_does_not_lock_everybody_out() {
        let misread = misread("chiefs", UserGroupSpec::default(), &[Field::FullControl]);
        let last = Snapshot { control: Control { administrators: false, users: true }, ..misread };
        assert!(gives_up_control(&last));
        let Some(Plan::Group(GroupPlan::Put { content, .. })) = decide(&last).plan else {
            panic!("the rest applies")
        };
        assert!(content.full_control && content.permissions.is_empty());
    }
}
