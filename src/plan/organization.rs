//! Which groups an organization lacks.

use std::collections::BTreeSet;

use crate::domain::group::{ADMINISTRATORS, USERS};

/// Everything that decides which groups an organization gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultGroupsSnapshot {
    /// Whether the namespace is there and isn't being deleted.
    pub stays: bool,
    /// Whether it holds a roster resource that stays, other than the two groups themselves.
    pub inhabited: bool,
    /// The names of the default groups that are there.
    pub groups: BTreeSet<&'static str>,
}

/// Returns the names of the default groups that are to be created.
#[must_use]
pub fn missing_groups(snapshot: &DefaultGroupsSnapshot) -> Vec<&'static str> {
    let wanted = snapshot.stays && snapshot.inhabited;
    [ADMINISTRATORS, USERS]
        .into_iter()
        .filter(|name| wanted && !snapshot.groups.contains(*name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_gets_the_default_groups_while_anything_else_is_in_it() {
        let snapshot = |stays, inhabited, names: &[&'static str]| DefaultGroupsSnapshot {
            stays,
            inhabited,
            groups: names.iter().copied().collect(),
        };
        assert_eq!(missing_groups(&snapshot(true, true, &[])), ["administrators", "users"]);
        assert_eq!(missing_groups(&snapshot(true, true, &["users"])), ["administrators"]);
        assert!(missing_groups(&snapshot(true, true, &["administrators", "users"])).is_empty());
        assert!(missing_groups(&snapshot(true, false, &[])).is_empty());
        assert!(missing_groups(&snapshot(false, true, &[])).is_empty());
    }
}
