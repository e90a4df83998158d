use super::*;
use crate::api::lenient::{Field, UnreadableField};

/// A group with full control that somebody deleted; in it is an administrator who is being
/// deleted too.
fn leaving_group(name: &str, control: AdminCoverage) -> GroupSnapshot {
    GroupSnapshot {
        meta: Meta {
            name: name.to_owned(),
            has_finalizer: true,
            deleting: true,
            ..Meta::default()
        },
        spec: Some(Arc::new(UserGroupSpec { full_control: true, ..UserGroupSpec::default() })),
        in_force: Some(GroupContent { full_control: true, ..GroupContent::default() }),
        is_abandoned: false,
        members: 0,
        has_enabled_members: true,
        control,
        leaving: Deleting::default(),
        directories: None,
    }
}

#[test]
fn a_deleted_group_that_is_held_gives_less_at_once() {
    let others = AdminCoverage { administrators: true, users: true };
    let less = Some(Arc::new(UserGroupSpec::default()));
    let held = GroupSnapshot { members: 2, spec: less.clone(), ..leaving_group("chiefs", others) };
    let decision = decide(&held);
    assert_eq!(decision.blocked, [Blocked::InUse { accounts: 2, role: UsedBy::Members }]);
    assert!(
        matches!(decision.plan, Some(Plan::Group(GroupPlan::Put { content, .. })) if !content.full_control)
    );
    assert_eq!(decision.finalizer, FinalizerAction::Keep);
    let settled = GroupSnapshot { in_force: Some(GroupContent::default()), ..held };
    assert_eq!(decide(&settled).plan, None);
    let last = GroupSnapshot {
        members: 2,
        spec: less,
        ..leaving_group("chiefs", AdminCoverage { administrators: false, users: true })
    };
    assert_eq!(decide(&last).plan, None, "the last administrator keeps control");
}

#[test]
fn a_group_goes_with_its_namespace_and_stays_in_force_for_accounts_without_a_user() {
    let others = AdminCoverage { administrators: true, users: true };
    let used = GroupSnapshot { members: 2, ..leaving_group("chiefs", others) };
    assert_eq!(decide(&used).finalizer, FinalizerAction::Keep);
    assert_eq!(
        decide(&GroupSnapshot { is_abandoned: true, ..used }),
        Decision::only_finalizer(FinalizerAction::Remove)
    );
}

#[test]
fn a_group_with_the_last_administrator_in_it_is_not_deleted_though_they_are_to_leave() {
    let lost = AdminCoverage { administrators: false, users: true };
    let blocked =
        Decision::blocked(Blocked::LastAdministrator { by: AdminLossCause::GroupDeletion });
    assert_eq!(decide(&leaving_group("chiefs", lost)), blocked);
    assert_eq!(
        decide(&GroupSnapshot { spec: None, ..leaving_group("chiefs", lost) }),
        Decision::default()
    );
    for control in [
        AdminCoverage { administrators: true, users: true },
        AdminCoverage { administrators: false, users: false },
    ] {
        assert_eq!(decide(&leaving_group("chiefs", control)).finalizer, FinalizerAction::Remove);
    }
    assert_eq!(
        decide(&leaving_group("administrators", lost)).finalizer,
        FinalizerAction::Remove,
        "it has full control built_in too"
    );
}

/// A group whose members may read and write cases, of which fields can't be read now.
fn misread(name: &str, spec: UserGroupSpec, fields: &[Field]) -> GroupSnapshot {
    let field = |field: &Field| {
        UnreadableField::new(*field, "spec.x".to_owned(), &serde_json::json!("Newer"))
    };
    let unreadable = fields.iter().map(field).collect::<Vec<_>>().into();
    let meta = Meta { name: name.to_owned(), has_finalizer: true, unreadable, ..Meta::default() };
    let permissions = permission::parse_all(&["cases:read".to_owned(), "cases:write".to_owned()]);
    GroupSnapshot {
        spec: Some(unreadable::group_in_force(&Arc::new(spec), &meta)),
        meta,
        in_force: Some(GroupContent { full_control: true, permissions, ..GroupContent::default() }),
        is_abandoned: false,
        members: 1,
        has_enabled_members: true,
        control: AdminCoverage { administrators: true, users: true },
        leaving: Deleting::default(),
        directories: None,
    }
}

#[track_caller]
fn check_unsupported(snapshot: &GroupSnapshot) -> GroupContent {
    let decision = decide(snapshot);
    assert!(
        matches!(decision.blocked[..], [Blocked::UnsupportedValue { is_new: false, .. }]),
        "{:?}",
        decision.blocked
    );
    let Some(Plan::Group(GroupPlan::Put { content, .. })) = decision.plan else {
        panic!("nothing is taken away")
    };
    let settled = GroupSnapshot { in_force: Some(content.clone()), ..snapshot.clone() };
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
    let nothing = check_unsupported(&misread("staff", UserGroupSpec::default(), &[Field::Spec]));
    assert_eq!(nothing, GroupContent::default());
    let administrators =
        check_unsupported(&misread("administrators", UserGroupSpec::default(), &[Field::Spec]));
    assert!(administrators.full_control);
}

#[test]
fn full_control_that_is_not_understood_does_not_lock_everybody_out() {
    let misread = misread("chiefs", UserGroupSpec::default(), &[Field::FullControl]);
    let last =
        GroupSnapshot { control: AdminCoverage { administrators: false, users: true }, ..misread };
    assert!(gives_up_control(&last));
    let Some(Plan::Group(GroupPlan::Put { content, .. })) = decide(&last).plan else {
        panic!("the rest applies")
    };
    assert!(content.full_control && content.permissions.is_empty());
}
