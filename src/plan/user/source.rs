//! Where an account's permissions come from: those that its `User` lists, and those of another.

use super::UserSnapshot;
use crate::api::user::{PermissionSource, SourceMode, UserSpec};
use crate::domain::account::{AccountSpec, Source};
use crate::domain::permission::{self, Permissions};
use crate::plan::permission_source::SourceDecision;

/// Returns the name of the `User` whose permissions are to be followed.
#[must_use]
pub fn follows(spec: &UserSpec) -> Option<&str> {
    let source = asked(spec)?;
    (source.mode == SourceMode::Inherit).then_some(source.name.as_str())
}

fn asked(spec: &UserSpec) -> Option<&PermissionSource> {
    spec.permissions.as_ref()?.from.as_ref()
}

/// Returns the permissions that the spec lists, and where more come from.
pub(super) fn resolve(snapshot: &UserSnapshot) -> (Permissions, SourceDecision) {
    let permissions = snapshot.spec.permissions.as_ref();
    let grants =
        permissions.map_or_else(Permissions::new, |own| permission::parse_all(&own.grants));
    let source = snapshot.person().sourcing(asked(&snapshot.spec), &grants);
    (grants, source)
}

/// Returns what of that stays of what the account has: nothing is added.
pub(super) fn remaining(
    snapshot: &UserSnapshot,
    current: &AccountSpec,
    desired: &Permissions,
) -> (Permissions, SourceDecision) {
    let grants = current.grants.intersection(desired).cloned().collect();
    let source = asked(&snapshot.spec).and_then(|asked| remaining_source(current, asked));
    let source = snapshot.person().sourcing(source.as_ref(), &grants);
    (grants, source)
}

/// Returns the source that stays: the one in force where it is asked for, else none.
fn remaining_source(current: &AccountSpec, asked: &PermissionSource) -> Option<PermissionSource> {
    match (current.source.as_ref()?, asked.mode) {
        // A clone would be of what is followed now, so following takes nothing away and adds
        // nothing.
        (Source::Inherited { from, .. }, _) if *from == asked.name => {
            Some(PermissionSource { name: from.clone(), mode: SourceMode::Inherit })
        }
        (Source::Cloned(cloned), SourceMode::Clone) if cloned.from == asked.name => {
            Some(asked.clone())
        }
        (Source::Inherited { .. } | Source::Cloned(_), _) => None,
    }
}
