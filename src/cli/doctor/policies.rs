//! The admission policies that aren't in force, as the doctor reports them.

use super::{Finding, Kind, Severity};
use crate::controller::policies::{PolicyGap, Shortfall};

/// Returns the finding about a gap; `None` for a kind that the cluster can't have and roster can do
/// without.
pub(super) fn finding(gap: &PolicyGap) -> Option<Finding> {
    let PolicyGap { object, shortfall, is_optional, remedy } = gap;
    let (severity, finding) = match (shortfall, is_optional) {
        (Shortfall::Unsupported, true) => return None,
        (Shortfall::Unsupported, false) => (Severity::Error, Kind::PoliciesUnsupported),
        (Shortfall::Missing, true) => (Severity::Note, Kind::PolicyMissing),
        (Shortfall::Missing, false) => (Severity::Error, Kind::PolicyMissing),
        (Shortfall::Unbound, _) => (Severity::Error, Kind::PolicyUnbound),
        (Shortfall::Forbidden, _) => (Severity::Warning, Kind::PoliciesUnknown),
    };
    Some(Finding {
        severity,
        finding,
        organization: None,
        object: (*object).to_owned(),
        what: gap.problem().to_owned(),
        cure: (*remedy).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shortfall: Shortfall, is_optional: bool, expected: Option<(Severity, Kind)>) {
        let gap = PolicyGap { object: "x.roster.rs", shortfall, is_optional, remedy: "install it" };
        let found = finding(&gap).map(|finding| (finding.severity, finding.finding));
        assert_eq!(found, expected, "{gap:?}");
    }

    #[test]
    fn what_a_cluster_cant_have_is_no_finding() {
        check(Shortfall::Unsupported, true, None);
        check(Shortfall::Unsupported, false, Some((Severity::Error, Kind::PoliciesUnsupported)));
    }

    #[test]
    fn what_the_operator_does_itself_is_no_more_than_a_note() {
        check(Shortfall::Missing, true, Some((Severity::Note, Kind::PolicyMissing)));
        check(Shortfall::Missing, false, Some((Severity::Error, Kind::PolicyMissing)));
        check(Shortfall::Unbound, true, Some((Severity::Error, Kind::PolicyUnbound)));
        check(Shortfall::Forbidden, true, Some((Severity::Warning, Kind::PoliciesUnknown)));
    }
}
