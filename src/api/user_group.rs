//! `UserGroup`: what its members may do, and what of themselves they may change.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Condition;
use crate::domain::profile::SelfServiceField;

/// What the members of a group may do and change. Every field is optional.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roster.rs",
    version = "v1alpha1",
    kind = "UserGroup",
    namespaced,
    status = "UserGroupStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A group of Users: what its members may do, and which of their own details they may change.",
    shortname = "rgrp",
    category = "roster",
    validation = Rule::new("self.metadata.name != 'administrators' || (has(self.spec) && has(self.spec.fullControl) && self.spec.fullControl)")
        .message("the group administrators always has full control: set spec.fullControl to true"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members", description = "How many accounts are in the group"),
    printcolumn(name = "Full-Control", type_ = "boolean", json_path = ".spec.fullControl", description = "Whether members have full control"),
    printcolumn(name = "Self-Service", type_ = "string", json_path = ".spec.selfService", description = "What members may change of themselves"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether the group is in force as declared"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the group exists")
)]
#[serde(rename_all = "camelCase")]
pub struct UserGroupSpec {
    /// What the group is for, in your own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^\P{Cc}*$"))]
    pub description: Option<String>,

    /// Whether members have full control, `*`. Always true for the group `administrators`.
    #[serde(default)]
    pub full_control: bool,

    /// What every member may do, such as `cases:read`. At most 256 of 125 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 125)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = Rule::new("self.all(p, p.matches('^[a-z0-9-]+(:[a-z0-9-]+)*$'))")
        .message("a permission is lower-case words joined by colons, such as cases:read; for full control (*) set fullControl"))]
    pub permissions: Vec<String>,

    /// Which of their own details members may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub self_service: Vec<SelfService>,
}

/// A detail of their own that members may change.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum SelfService {
    /// The name to show.
    Name,
    /// The postal address.
    Address,
    /// The telephone number.
    Phone,
    /// The email address.
    Email,
    /// The password.
    Password,
    /// The time zone.
    TimeZone,
    /// What they are notified of.
    Notifications,
}

impl From<SelfService> for SelfServiceField {
    fn from(listed: SelfService) -> Self {
        match listed {
            SelfService::Name => Self::Name,
            SelfService::Address => Self::Address,
            SelfService::Phone => Self::Phone,
            SelfService::Email => Self::Email,
            SelfService::Password => Self::Password,
            SelfService::TimeZone => Self::TimeZone,
            SelfService::Notifications => Self::Notifications,
        }
    }
}

/// What the operator last saw and did about a group.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserGroupStatus {
    /// The generation of the spec that this status is about; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many accounts are in the group; follows within 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// What holds: Ready always; DirectoriesCurrent, whether every directory has confirmed what is
    /// in force of the members, where directories are in use; Reconciling and Stalled only while
    /// true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn a_group_can_list_every_field_that_members_may_change() {
        for field in SelfServiceField::iter() {
            let name = serde_json::to_value(field).unwrap();
            let listed: SelfService = serde_json::from_value(name).unwrap();
            assert_eq!(SelfServiceField::from(listed), field);
        }
    }
}
