//! `roster copy -n NAMESPACE USER NAME [--email A]`: what `spec.copyOf` copies, as a manifest that
//! doesn't refer to the other User.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Failure, accounts_of, block_on, examples, open, print};
use crate::config::StoreArgs;
use crate::domain::account::{Account, AccountSpec};
use crate::domain::email::Email;
use crate::domain::organization::CustomerId;
use crate::domain::profile::Profile;

/// Arguments of `roster copy`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Write a User for a new colleague of bob", "roster copy -n acme bob nora --email nora@acme.example > users/nora.yaml"),
]))]
pub(super) struct CopyArgs {
    /// The name of the User that is copied.
    user: String,
    /// The name of the new User.
    #[arg(value_parser = resource_name)]
    name: String,
    /// The email of the new User. Without it the manifest has to be completed before it can be
    /// applied.
    #[arg(long, value_parser = email, value_name = "EMAIL")]
    email: Option<String>,
    /// The organization, by the name of its namespace.
    #[arg(short, long, alias = "organization", value_name = "NAMESPACE")]
    namespace: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    store: StoreArgs,
}

/// How a manifest is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// YAML, with comments on the decisions that are left.
    #[default]
    Yaml,
    /// JSON, without comments.
    Json,
}

/// Parses a name by the rule of Kubernetes (RFC 1123, a subdomain, parts of any length).
pub(super) fn resource_name(text: &str) -> Result<String, String> {
    let rule = "the name of a User is made of lower-case letters, digits, dashes and dots, at most 253, and starts and ends with a letter or digit, as does each part between dots";
    let word = |part: &str| {
        part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let fits = |part: &str| {
        !part.is_empty() && word(part) && !part.starts_with('-') && !part.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(fits) {
        Ok(text.to_owned())
    } else {
        Err(rule.to_owned())
    }
}

fn email(text: &str) -> Result<String, String> {
    let text = text.trim();
    Email::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A manifest of a `User`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
}

#[derive(Serialize)]
struct Spec<'a> {
    #[serde(flatten)]
    address: Address<'a>,
    #[serde(flatten)]
    details: Details<'a>,
}

#[derive(Serialize)]
struct Address<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

/// What is copied.
#[derive(Serialize)]
struct Details<'a> {
    profile: &'a Profile,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    teams: &'a BTreeSet<String>,
}

/// Prints the manifest.
pub(super) fn run(arguments: &CopyArgs) -> Result<(), Failure> {
    let CopyArgs { namespace, name, email, output, .. } = arguments;
    let account = block_on(original(arguments))?;
    let AccountSpec { profile, role, teams, .. } = &account.content;
    let manifest = Manifest {
        head: Head {
            api_version: "roster.rs/v1alpha1",
            kind: "User",
            metadata: Metadata { name, namespace },
        },
        spec: Spec {
            address: Address { email: email.as_deref() },
            details: Details { profile, role: role.as_ref(), teams },
        },
    };
    let text = match output {
        Format::Json => serde_json::to_string_pretty(&manifest)? + "\n",
        Format::Yaml => commented(&manifest, &account.owner.name)?,
    };
    Ok(print(&text)?)
}

/// Returns the account that is copied.
async fn original(arguments: &CopyArgs) -> Result<Account, Failure> {
    let CopyArgs { namespace, user, name, store, .. } = arguments;
    CustomerId::parse(namespace)
        .map_err(|_| format!("-n {namespace}: a namespace's name is a DNS label such as acme"))?;
    let store = open(store).await?;
    let accounts = accounts_of(&store, namespace, user).await?;
    if accounts.iter().any(|account| account.owner.name == *name) {
        return Err(format!(
            "the User {name} of {namespace} has an account already, which the copy would overwrite: choose another name"
        )
        .into());
    }
    Ok(accounts.into_iter().find(|account| account.owner.name == *user).expect("it is one of them"))
}

/// Returns the manifest in YAML, with comments on the decisions that are left.
fn commented(manifest: &Manifest, user: &str) -> Result<String, Failure> {
    let Manifest { head, spec: Spec { address, details } } = manifest;
    let address = match address.email {
        Some(_) => indented(&serde_saphyr::to_string(address)?),
        None => {
            "  # The person's own, unique in the organization and in one of its email domains. It is required.\n  email:\n"
                .to_owned()
        }
    };
    Ok([
        &format!("# A copy of the User {user}: the profile, role and teams that its account has now.\n"),
        "# Permissions, group and password aren't copied.\n",
        &serde_saphyr::to_string(head)?,
        "spec:\n",
        &address,
        &indented(&serde_saphyr::to_string(details)?),
        "  # An additional charge applies for every calendar month in which the account exists, also while\n",
        "  # it is disabled. No account is created before the charge is approved, by removing the # here:\n",
        "  # chargeApproved: true\n",
    ]
    .concat())
}

fn indented(yaml: &str) -> String {
    yaml.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::UserSpec;
    use crate::domain::profile::PostalAddress;

    fn details() -> (Profile, String, BTreeSet<String>) {
        // What YAML 1.1 or 1.2 reads as something else than a text, unless it is quoted.
        let traps = [
            "on",
            "no",
            "~",
            "null",
            "85001",
            "0x1f",
            "1_000",
            "12:30:45",
            "2026-01-01",
            "=",
            "1e3",
            ".inf",
            "- a",
            "a: b",
            "# a",
            "'",
            "\"",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            " a ",
            "é",
            "\u{85}",
        ];
        let profile = Profile {
            display_name: "word ".repeat(25) + "end",
            phone: Some("+1 602 555 0100".to_owned()),
            address: Some(PostalAddress {
                postal_code: Some("085001".to_owned()),
                country: Some("NO".to_owned()),
                ..PostalAddress::default()
            }),
            ..Profile::whole()
        };
        (profile, "on".to_owned(), traps.map(str::to_owned).into())
    }

    fn written(email: Option<&str>) -> String {
        let (profile, role, teams) = details();
        let head = Head {
            api_version: "roster.rs/v1alpha1",
            kind: "User",
            metadata: Metadata { name: "no", namespace: "acme" },
        };
        let details = Details { profile: &profile, role: Some(&role), teams: &teams };
        commented(&Manifest { head, spec: Spec { address: Address { email }, details } }, "alice")
            .unwrap()
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was() {
        let value: serde_json::Value =
            serde_saphyr::from_str(&written(Some("no@acme.example"))).unwrap();
        assert_eq!(
            (value["metadata"]["name"].as_str(), value["spec"]["chargeApproved"].as_bool()),
            (Some("no"), None)
        );
        let spec: UserSpec = serde_json::from_value(value["spec"].clone()).unwrap();
        let (profile, role, teams) = details();
        assert_eq!(
            (spec.email.as_deref(), spec.role, spec.teams),
            (Some("no@acme.example"), Some(role), teams.into_iter().collect())
        );
        assert_eq!(
            serde_json::to_value(spec.profile).unwrap(),
            serde_json::to_value(profile).unwrap()
        );
    }

    #[test]
    fn without_an_email_the_line_is_empty_and_says_what_belongs_there() {
        let text = written(None);
        assert!(
            text.contains("one of its email domains. It is required.\n  email:\n  profile:\n"),
            "{text}"
        );
    }

    #[test]
    fn a_name_is_one_that_kubernetes_takes() {
        for good in ["a", "0", "alice", "a-b.c-1", &"a".repeat(253)] {
            assert!(resource_name(good).is_ok(), "{good}");
        }
        for bad in
            ["", "Alice", "-a", "a-", "a..b", ".a", "a.", "a_b", "ä", "a b", &"a".repeat(254)]
        {
            assert!(resource_name(bad).is_err(), "{bad}");
        }
    }
}
