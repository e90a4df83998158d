//! Which group an account is in, and who stays in control of the organization.

use super::UserSnapshot;
use crate::api::user::DesiredState;
use crate::plan::AdminCoverage;
use crate::plan::blocked::{AdminLossCause, Blocked};

/// Returns the group asked for, if the account is in it or it takes new members.
pub(super) fn resolve(snapshot: &UserSnapshot) -> Result<String, Blocked> {
    let UserSnapshot { spec, organization, account, .. } = snapshot;
    let group = spec.group_ref.name.clone();
    let is_member = account.as_ref().is_some_and(|account| account.content.group == group);
    let leaving = organization.deleting_groups.contains(&group);
    if is_member || !leaving && organization.record.group(&group).is_some() {
        return Ok(group);
    }
    Err(Blocked::GroupNotFound { group, leaving })
}

/// Whether the account is an administrator's and the `User` may ask to be none any more.
#[must_use]
pub fn gives_up_control(snapshot: &UserSnapshot) -> bool {
    let UserSnapshot { meta, spec, organization, account, .. } = snapshot;
    account.as_ref().is_some_and(|account| {
        let asks_for_less =
            spec.state == DesiredState::Disabled || spec.group_ref.name != account.content.group;
        organization.record.is_administrator(&account.content) && (meta.deleting || asks_for_less)
    })
}

/// Returns that the account is the organization's last administrator and wouldn't be one in this
/// group, or disabled.
pub(super) fn last_administrator(snapshot: &UserSnapshot, group: Option<&str>) -> Option<Blocked> {
    let UserSnapshot { meta, spec, organization, account, control, .. } = snapshot;
    let content = &account.as_ref()?.content;
    let control = AdminCoverage { users: control.users || !meta.deleting, ..*control };
    let stays = spec.state == DesiredState::Enabled
        && organization.record.has_full_control(group.unwrap_or(&content.group));
    (organization.record.is_administrator(content) && !stays && control.is_lost())
        .then_some(Blocked::LastAdministrator { by: AdminLossCause::Edit })
}
