//! The Leases by which operators agree on who works, as the doctor sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tokio::time::{Instant, sleep};

use super::{Finding, Kind, Severity, none_if_code};
use crate::controller::leader_election::{holder_of, lease_name, progress_of, shown};
use crate::store::claims::{Operators, is_absurd};

/// How long a holder may take to renew: operators do so every two seconds.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(6);

/// How often a Lease is read meanwhile.
const LOOK: Duration = Duration::from_millis(300);

/// Leases, as far as they may be read.
#[derive(Debug)]
pub(super) enum Leases {
    /// Each that is there, and whether its holder renewed it before the doctor's eyes.
    Seen(Vec<(Lease, bool)>),
    /// The caller may not read them in this namespace.
    Forbidden(String),
}

/// Looks at the Leases of operators that claimed the store, of one that works in all namespaces,
/// and of one that works in those that were named.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    operators: &Operators,
    asked: &[String],
) -> Result<Leases, kube::Error> {
    let claimed = operators.working.iter().map(|operator| lease_name(&operator.namespaces));
    let asked = [BTreeSet::new(), asked.iter().cloned().collect()];
    let names: BTreeSet<String> = claimed.chain(asked.iter().map(lease_name)).collect();
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let mut seen = vec![];
    for name in names {
        match none_if_code(403, leases.get_opt(&name).await)? {
            None => return Ok(Leases::Forbidden(namespace.to_owned())),
            Some(None) => {}
            Some(Some(lease)) => {
                let is_renewed = holder_of(&lease).is_none() || is_renewed(&leases, &lease).await?;
                seen.push((lease, is_renewed));
            }
        }
    }
    Ok(Leases::Seen(seen))
}

/// Waits whether a Lease is renewed. No clock is asked: those of two machines differ.
async fn is_renewed(leases: &Api<Lease>, before: &Lease) -> Result<bool, kube::Error> {
    let until = Instant::now() + RENEWAL_TIMEOUT;
    loop {
        sleep(LOOK).await;
        let now = leases.get_opt(&before.name_any()).await?;
        if now.is_none_or(|now| now.spec != before.spec) {
            return Ok(true);
        }
        if until < Instant::now() {
            return Ok(false);
        }
    }
}

/// Returns what is amiss about Leases, and about the epoch that the store has.
pub(super) fn findings(leases: Option<&Leases>, operators: &Operators) -> Vec<Finding> {
    let mut found = vec![];
    if is_absurd(operators.newest) {
        found.push(Finding {
            severity: Severity::Warning,
            finding: Kind::EpochAbsurd,
            organization: None,
            object: "the store".to_owned(),
            what: format!(
                "its newest epoch is {}, which no claims lead to: it came from a Lease that somebody edited",
                operators.newest
            ),
            cure: "start roster run anew: it counts epochs anew when it claims the store".to_owned(),
        });
    }
    match leases {
        Some(Leases::Forbidden(namespace)) => found.push(Finding {
            severity: Severity::Warning,
            finding: Kind::LeasesUnknown,
            organization: None,
            object: format!("the Leases in {namespace}"),
            what: "whether whoever holds them works can't be told: you may not get them".to_owned(),
            cure: format!("ask somebody who may get leases in {namespace}; --lease-namespace names another namespace"),
        }),
        Some(Leases::Seen(leases)) => {
            found.extend(leases.iter().flat_map(|(lease, is_renewed)| about(lease, *is_renewed, operators)));
        }
        None => {}
    }
    found
}

fn about(lease: &Lease, is_renewed: bool, operators: &Operators) -> Vec<Finding> {
    let object = format!("lease {}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let finding = |severity, finding, what: String, cure: &str| Finding {
        severity,
        finding,
        organization: None,
        object: object.clone(),
        what,
        cure: cure.to_owned(),
    };
    let mut found = vec![];
    let progress = progress_of(lease);
    let newest = if is_absurd(operators.newest) { 0 } else { operators.newest };
    if !progress.is_plausible(newest) {
        let what = format!(
            "it names the epoch {}, and the store's newest is {}: no operator wrote that",
            progress.epoch, operators.newest
        );
        let cure = "none needed: it is ignored, and whoever holds the Lease overwrites it; see who may edit Leases there";
        found.push(finding(Severity::Warning, Kind::EpochAbsurd, what, cure));
    }
    let Some(holder) = holder_of(lease) else { return found };
    if !is_renewed {
        let what = format!("{} holds it and doesn't renew it: nobody works", shown(holder));
        let cure = "start roster run, which takes it in 10 seconds, whatever the Lease says; if it runs, its log says why it doesn't";
        found.push(finding(Severity::Error, Kind::LeaseNotRenewed, what, cure));
    }
    if !operators.working.iter().any(|operator| operator.holder == holder) {
        let what = format!(
            "{} holds it, and no operator of this name has claimed the store: nobody works",
            shown(holder)
        );
        let cure = "if it is an operator, its log says why it can't claim the store; else somebody wrote the name into the Lease: see who \
                    may edit Leases there";
        found.push(finding(Severity::Error, Kind::LeaseHolderUnknown, what, cure));
    }
    found
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::api::ObjectMeta;

    use super::*;
    use crate::store::claims::Operator;

    fn operators(newest: i64) -> Operators {
        let one = Operator { namespaces: BTreeSet::new(), holder: "one".to_owned() };
        Operators { newest, working: vec![one], is_shared: true }
    }

    #[track_caller]
    fn check(holder: &str, epoch: &str, is_renewed: bool, expected: &[&str]) {
        let annotations = [("roster.rs/epoch".to_owned(), epoch.to_owned())];
        let metadata =
            ObjectMeta { annotations: Some(annotations.into()), ..ObjectMeta::default() };
        let spec = LeaseSpec { holder_identity: Some(holder.to_owned()), ..LeaseSpec::default() };
        let leases = Leases::Seen(vec![(Lease { metadata, spec: Some(spec) }, is_renewed)]);
        let found = findings(Some(&leases), &operators(7));
        assert_eq!(
            found.iter().map(|finding| finding.finding.into()).collect::<Vec<&str>>(),
            expected
        );
    }

    #[test]
    fn a_lease_is_well_where_its_holder_renews_it_and_has_claimed_the_store() {
        check("one", "7", true, &[]);
        check("", "7", true, &[]);
        check("one", "7", false, &["LeaseNotRenewed"]);
        check("ghost", "7", true, &["LeaseHolderUnknown"]);
        check("ghost", "7", false, &["LeaseNotRenewed", "LeaseHolderUnknown"]);
        check("one", "9223372036854775807", true, &["EpochAbsurd"]);
        check("one", "41", true, &[]);
    }

    #[test]
    fn an_absurd_epoch_in_the_store_and_leases_that_may_not_be_read_are_said() {
        let forbidden = Leases::Forbidden("roster-system".to_owned());
        let kinds = |leases, newest| -> Vec<&'static str> {
            findings(leases, &operators(newest))
                .iter()
                .map(|finding| finding.finding.into())
                .collect()
        };
        assert_eq!(kinds(Some(&forbidden), 7), ["LeasesUnknown"]);
        assert_eq!(kinds(None, i64::MAX), ["EpochAbsurd"]);
        assert!(kinds(None, 7).is_empty());
    }
}
