//! `OrgEmailDomain`: a domain that the organization's email addresses may be in.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::status::Condition;

/// A domain that the organization's email addresses may be in.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roster.rs",
    version = "v1alpha1",
    kind = "OrgEmailDomain",
    namespaced,
    status = "OrgEmailDomainStatus",
    derive = "PartialEq",
    doc = "A domain that the email addresses of the organization's Users may be in.",
    shortname = "rdom",
    category = "roster",
    printcolumn(
        name = "Domain",
        type_ = "string",
        json_path = ".spec.domain",
        description = "The domain"
    ),
    printcolumn(
        name = "Subdomains",
        type_ = "boolean",
        json_path = ".spec.includeSubdomains",
        description = "Whether its subdomains count too"
    ),
    printcolumn(
        name = "Users",
        type_ = "integer",
        json_path = ".status.users",
        description = "How many accounts have an address in it"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether addresses in the domain are accepted"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the domain is listed"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct OrgEmailDomainSpec {
    /// The domain, such as `acme.example`, in Unicode or ASCII and in any case; without a star, an
    /// `@` and what a link has around it.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(r#"self.matches("^[^@\\s\\p{Cc}]+$")"#)
        .message("a domain is a name such as acme.example: write it without an @ and what stands before it, and without spaces"))]
    pub domain: String,

    /// Whether addresses in subdomains, such as `eu.acme.example`, are accepted too.
    #[serde(default)]
    pub include_subdomains: bool,
}

/// What the operator last saw and did about a domain.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrgEmailDomainStatus {
    /// The generation of the spec that this status is about; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The domain in lower case and ASCII (IDNA A-labels), as addresses are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub ascii_domain: Option<String>,
    /// How many accounts have an address in the domain; follows within 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// What holds: Ready always; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
