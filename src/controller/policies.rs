//! Which admission policies the cluster lacks.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, ValidatingAdmissionPolicy};
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

/// Says in the log which policies aren't installed. The operator works without them, but then
/// nobody is warned, and some refusals come late.
pub async fn report_missing(client: &Client) {
    let validating: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let mutating: Api<MutatingAdmissionPolicy> = Api::all(client.clone());
    let parameters = ListParams::default();
    match tokio::try_join!(validating.list_metadata(&parameters), mutating.list_metadata(&parameters)) {
        Ok((validating, mutating)) => {
            let present: BTreeSet<String> =
                validating.iter().map(ResourceExt::name_any).chain(mutating.iter().map(ResourceExt::name_any)).collect();
            for policy in POLICIES.iter().filter(|policy| !present.contains(**policy)) {
                tracing::warn!(policy, "an admission policy isn't installed: kubectl apply -k deploy/policies");
            }
        }
        Err(error) => tracing::warn!(%error, "can't tell which admission policies are installed"),
    }
}
