//! Which admission policies the cluster lacks.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// A kind of admission policies, with those that roster ships.
#[derive(Debug)]
pub struct PolicyKind {
    /// The names of the policies.
    pub names: &'static [&'static str],
    object: &'static str,
    is_optional: bool,
    /// What installs them.
    remedy: &'static str,
}

/// The policies of `deploy/policies`, whose kind every supported API server has.
pub const VALIDATING: PolicyKind = PolicyKind {
    names: &[
        "release.roster.rs",
        "protected.roster.rs",
        "in-use.roster.rs",
        "status.roster.rs",
        "organizations.roster.rs",
        "who-may-change-users.roster.rs",
        "who-may-change-groups.roster.rs",
        "who-may-set-passwords.roster.rs",
        "please-note.roster.rs",
    ],
    object: "the validating admission policies",
    is_optional: false,
    remedy: "kubectl apply -k deploy/policies",
};

/// The policies of `deploy/policies/mutating`, whose kind API servers have from 1.36 on. Where they
/// aren't in force, the operator adds the finalizers.
pub const MUTATING: PolicyKind = PolicyKind {
    names: &["finalizer.roster.rs"],
    object: "the mutating admission policies",
    is_optional: true,
    remedy: "kubectl apply -k deploy/policies/mutating",
};

const UPGRADE: &str =
    "Kubernetes has validating admission policies from 1.30 on, mutating ones from 1.36 on";

const ASK: &str = "ask somebody who may list validatingadmissionpolicies, mutatingadmissionpolicies and their bindings, as the \
    ClusterRole roster does";

/// How a policy, or a kind of policies, falls short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// The policy isn't installed.
    Missing,
    /// The policy is installed, and no binding puts it into force.
    Unbound,
    /// The API server doesn't have the kind: it is older, or its administrator switched it off.
    Unsupported,
    /// The requester may not list policies or bindings of the kind.
    Forbidden,
}

/// A policy, or a kind of policies, that isn't known to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyGap {
    /// The name of the policy, or which kind it is.
    pub object: &'static str,
    /// How it falls short.
    pub shortfall: Shortfall,
    /// Whether the operator does itself what the policies of this kind do.
    pub is_optional: bool,
    /// What puts it into force, or tells whether it is.
    pub remedy: &'static str,
}

impl PolicyGap {
    /// Returns what is wrong, and what follows from it.
    #[must_use]
    pub fn problem(&self) -> &'static str {
        match (self.shortfall, self.is_optional) {
            (Shortfall::Missing, false) => {
                "it isn't installed, so nobody is refused or warned by it"
            }
            (Shortfall::Missing, true) => {
                "it isn't installed, so the operator adds the finalizers itself, and edits that lose them are refused"
            }
            (Shortfall::Unbound, _) => "it has no binding, so it isn't in force",
            (Shortfall::Unsupported, false) => {
                "this API server doesn't have them, so nobody is refused or warned by them"
            }
            (Shortfall::Unsupported, true) => {
                "this API server doesn't have them, so the operator adds the finalizers itself, and edits that lose them are refused"
            }
            (Shortfall::Forbidden, _) => {
                "whether they are in force can't be told: you may not list them"
            }
        }
    }
}

/// Returns the gaps, asking for each kind of policies by itself, since a cluster may lack one.
///
/// # Errors
/// When the API server doesn't answer, or answers with another refusal than 403 and 404.
pub async fn gaps(client: &Client) -> Result<Vec<PolicyGap>, kube::Error> {
    let validating = gaps_of_kind::<ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding>(
        client,
        &VALIDATING,
        |binding| Some(binding.spec.policy_name),
    );
    let mutating = gaps_of_kind::<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding>(
        client,
        &MUTATING,
        |binding| binding.spec?.policy_name,
    );
    let (validating, mutating) = tokio::try_join!(validating, mutating)?;
    Ok(validating.into_iter().chain(mutating).collect())
}

async fn gaps_of_kind<Policy, Binding>(
    client: &Client,
    kind: &PolicyKind,
    policy_name: fn(Binding) -> Option<String>,
) -> Result<Vec<PolicyGap>, kube::Error>
where
    Policy: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    Binding: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let PolicyKind { names, object, is_optional, remedy } = *kind;
    let gap = |object, shortfall, remedy| PolicyGap { object, shortfall, is_optional, remedy };
    let (policies, bindings) = (Api::<Policy>::all(client.clone()), Api::all(client.clone()));
    let parameters = ListParams::default();
    let answers = tokio::try_join!(policies.list_metadata(&parameters), bindings.list(&parameters));
    let (policies, bindings) = match answers {
        Ok(answers) => answers,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Ok(vec![gap(object, Shortfall::Unsupported, UPGRADE)]);
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Ok(vec![gap(object, Shortfall::Forbidden, ASK)]);
        }
        Err(error) => return Err(error),
    };
    let installed: BTreeSet<String> = policies.iter().map(ResourceExt::name_any).collect();
    let bound: BTreeSet<String> = bindings.items.into_iter().filter_map(policy_name).collect();
    let shortfall = |name: &str| match (installed.contains(name), bound.contains(name)) {
        (false, _) => Some(Shortfall::Missing),
        (true, false) => Some(Shortfall::Unbound),
        (true, true) => None,
    };
    Ok(names.iter().filter_map(|name| Some(gap(name, shortfall(name)?, remedy))).collect())
}

/// Logs which policies aren't in force. The operator works without them, but then nobody is warned,
/// and some refusals come late.
pub async fn report_gaps(client: &Client) {
    let gaps = match gaps(client).await {
        Ok(gaps) => gaps,
        Err(error) => {
            let error = crate::redact::redact(&error);
            tracing::warn!(error, "can't tell which admission policies are installed");
            return;
        }
    };
    for gap in gaps {
        let PolicyGap { object: policy, shortfall, is_optional, remedy } = gap;
        let problem = gap.problem();
        match shortfall {
            Shortfall::Missing | Shortfall::Unsupported if is_optional => {
                tracing::info!(policy, problem, remedy, "optional admission policy not in force");
            }
            _ => tracing::warn!(policy, problem, remedy, "admission policy not in force"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{StatusCode, Uri};
    use serde_json::{Value, json};

    use super::*;

    /// Answers a list as an API server does that has these, by plural, or refuses with a code.
    async fn gaps_where(
        answer: impl Fn(&str) -> Result<Vec<&'static str>, u16> + Clone + Send + Sync + 'static,
    ) -> Result<Vec<(&'static str, Shortfall)>, kube::Error> {
        let serve = move |uri: Uri| {
            let plural = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
            let (code, body) = match answer(&plural) {
                Ok(names) => (200, list(&plural, &names)),
                Err(code) => (code, refusal(code)),
            };
            async move { (StatusCode::from_u16(code).unwrap(), body.to_string()) }
        };
        let client = Client::new(Router::new().fallback(serve), "default");
        Ok(gaps(&client).await?.into_iter().map(|gap| (gap.object, gap.shortfall)).collect())
    }

    fn list(plural: &str, names: &[&str]) -> Value {
        let (kind, api_version) = match plural {
            "validatingadmissionpolicies" | "mutatingadmissionpolicies" => {
                ("PartialObjectMetadataList", "meta.k8s.io/v1")
            }
            _ => ("List", "admissionregistration.k8s.io/v1"),
        };
        let item = |name: &&str| json!({"metadata": {"name": name}, "spec": {"policyName": name}});
        let items: Vec<Value> = names.iter().map(item).collect();
        json!({"kind": kind, "apiVersion": api_version, "metadata": {}, "items": items})
    }

    fn refusal(code: u16) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "x", "message": "x"})
    }

    fn everything(plural: &str) -> Vec<&'static str> {
        if plural.starts_with("mutating") { MUTATING.names } else { VALIDATING.names }.to_vec()
    }

    #[tokio::test]
    async fn a_cluster_with_every_policy_has_no_gap() {
        let gaps = gaps_where(|plural| Ok(everything(plural))).await.unwrap();
        assert_eq!(gaps, []);
    }

    #[tokio::test]
    async fn a_404_for_one_kind_hides_nothing_of_the_other() {
        let old = |plural: &str| match plural {
            "mutatingadmissionpolicies" | "mutatingadmissionpolicybindings" => Err(404),
            "validatingadmissionpolicybindings" => Ok(VALIDATING.names[1..].to_vec()),
            _ => Ok(VALIDATING.names[..8].to_vec()),
        };
        let expected = [
            (VALIDATING.names[0], Shortfall::Unbound),
            (VALIDATING.names[8], Shortfall::Missing),
            (MUTATING.object, Shortfall::Unsupported),
        ];
        assert_eq!(gaps_where(old).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_403_for_one_kind_hides_nothing_of_the_other() {
        let forbidden = |plural: &str| match plural {
            "validatingadmissionpolicybindings" => Err(403),
            _ if plural.starts_with("mutating") => Ok(vec![]),
            _ => Ok(everything(plural)),
        };
        let expected =
            [(VALIDATING.object, Shortfall::Forbidden), (MUTATING.names[0], Shortfall::Missing)];
        assert_eq!(gaps_where(forbidden).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn another_refusal_is_a_fault() {
        let error = gaps_where(|_| Err(500)).await.unwrap_err();
        assert!(matches!(error, kube::Error::Api(status) if status.code == 500));
    }
}
