//! Which of the admission policies in `deploy/policies` the cluster lacks.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

/// The policies of `deploy/policies`, by name.
pub const POLICIES: [&str; 10] = [
    "finalizer.roster.rs",
    "release.roster.rs",
    "protected.roster.rs",
    "in-use.roster.rs",
    "status.roster.rs",
    "organizations.roster.rs",
    "who-may-change-users.roster.rs",
    "who-may-change-groups.roster.rs",
    "who-may-set-passwords.roster.rs",
    "please-note.roster.rs",
];

/// The policies that aren't in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyGaps {
    /// The policies that aren't installed.
    pub missing: Vec<&'static str>,
    /// Those that are, and that no binding puts into force.
    pub unbound: Vec<&'static str>,
}

/// Returns what of the policies the cluster lacks.
pub async fn lack(client: &Client) -> Result<PolicyGaps, kube::Error> {
    let validating: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let mutating: Api<MutatingAdmissionPolicy> = Api::all(client.clone());
    let validating_bound: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let mutating_bound: Api<MutatingAdmissionPolicyBinding> = Api::all(client.clone());
    let parameters = ListParams::default();
    let (validating, mutating, validating_bound, mutating_bound) = tokio::try_join!(
        validating.list_metadata(&parameters),
        mutating.list_metadata(&parameters),
        validating_bound.list(&parameters),
        mutating_bound.list(&parameters),
    )?;
    let present: BTreeSet<String> = validating
        .iter()
        .map(ResourceExt::name_any)
        .chain(mutating.iter().map(ResourceExt::name_any))
        .collect();
    let of_validating = validating_bound.items.into_iter().map(|binding| binding.spec.policy_name);
    let of_mutating =
        mutating_bound.items.into_iter().filter_map(|binding| binding.spec?.policy_name);
    let bound: BTreeSet<String> = of_validating.chain(of_mutating).collect();
    let (there, missing): (Vec<_>, Vec<_>) =
        POLICIES.into_iter().partition(|policy| present.contains(*policy));
    Ok(PolicyGaps {
        missing,
        unbound: there.into_iter().filter(|policy| !bound.contains(*policy)).collect(),
    })
}

/// Logs which policies aren't in force. The operator works without them, but users get no warnings,
/// and some refusals only in a status.
pub async fn report_missing(client: &Client) {
    match lack(client).await {
        Ok(PolicyGaps { missing, unbound }) => {
            for policy in missing {
                tracing::warn!(
                    policy,
                    "an admission policy isn't installed: kubectl apply -k deploy/policies"
                );
            }
            for policy in unbound {
                tracing::warn!(
                    policy,
                    "an admission policy has no binding: kubectl apply -k deploy/policies"
                );
            }
        }
        Err(error) => {
            tracing::warn!(
                error = crate::redact::redact(&error),
                "can't tell which admission policies are installed"
            )
        }
    }
}
