//! What becomes of a `UserGroup`.

use std::sync::Arc;

use super::blocked::{Blocked, UsedBy};
use super::{Decision, GroupPlan, Hold, Meta, Plan, unheld};
use crate::api::user_group::UserGroupSpec;
use crate::domain::group::GroupContent;
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
    /// How many accounts are in it.
    pub members: i64,
}

/// Decides what becomes of a group.
#[must_use]
pub fn decide(snapshot: &Snapshot) -> Decision {
    let Snapshot { meta, spec, in_force, members } = snapshot;
    match spec {
        None if in_force.is_some() && *members == 0 => drop_group(meta, Hold::Keep),
        None => Decision::default(),
        Some(_) if let Some(decision) = unheld(meta) => decision,
        Some(_) if meta.paused => Decision::blocked(Blocked::Paused),
        Some(_) if meta.deleting && *members > 0 => {
            Decision::blocked(Blocked::InUse { accounts: *members, role: UsedBy::Members })
        }
        Some(_) if meta.deleting && in_force.is_none() => Decision::hold(Hold::Release),
        Some(_) if meta.deleting => drop_group(meta, Hold::Release),
        Some(spec) if !spec.self_service.is_empty() => Decision::blocked(Blocked::NotYetSupported { field: "spec.selfService" }),
        Some(spec) => {
            let wanted = content(spec);
            let plan = (in_force.as_ref() != Some(&wanted)).then(|| {
                Plan::Group(GroupPlan::Put { namespace: meta.namespace.clone(), name: meta.name.clone(), content: wanted })
            });
            Decision { plan, ..Decision::default() }
        }
    }
}

fn drop_group(meta: &Meta, hold: Hold) -> Decision {
    let plan = Plan::Group(GroupPlan::Drop { namespace: meta.namespace.clone(), name: meta.name.clone() });
    Decision { plan: Some(plan), blocked: vec![], hold }
}

fn content(spec: &UserGroupSpec) -> GroupContent {
    GroupContent { full_control: spec.full_control, permissions: permission::parse_all(&spec.permissions) }
}
