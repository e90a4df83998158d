//! `roster import`: manifests of the accounts of a store, or of the people of a directory.

mod directory;
mod manifest;
mod names;
mod store;
mod valid;

use clap::{Args, ValueEnum};

use super::progress::ProgressReport;
use super::run::namespace;
use super::{Failure, block_on, examples, open, print};
use crate::config::Shared;
use crate::domain::organization::{CustomerId, Organization};
use crate::plan::OrganizationRecord;
use crate::store::Store;

/// Arguments of `roster import`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Manifests of the accounts of an organization that no User owns", "roster import -n acme > acme.yaml"),
    ("Manifests of every account, after the cluster was lost", "roster import --all > everyone.yaml"),
    ("Manifests of the people of a SCIM server", "roster import -n acme --directory 'scim+https://id.acme.example/v2?token-file=token' > acme.yaml"),
]))]
pub(super) struct ImportArgs {
    /// Prints every live account without asking the cluster, for a cluster that is lost.
    #[arg(short = 'A', long)]
    all: bool,
    /// Prints the people of a directory instead, such as `scim+https://HOST/v2?token-file=PATH`.
    #[arg(long, requires = "namespace", conflicts_with = "all", value_name = "URL")]
    directory: Option<String>,
    /// Writes a new id into each entry of the directory that has no externalId, so that it can be
    /// adopted. Changes the directory.
    #[arg(long, requires = "directory")]
    link: bool,
    /// The customer ID of the organization, if its namespace has that as a label and the store has
    /// no account of it yet.
    #[arg(long, requires = "directory", value_parser = customer_id, value_name = "ID")]
    customer_id: Option<CustomerId>,
    /// Only the accounts of this organization, by the name of its namespace; with --directory, the
    /// organization that its people belong to.
    #[arg(short, long, alias = "organization", value_parser = namespace, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    shared: Shared,
}

/// How manifests are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// YAML, with comments on the decisions that are left.
    #[default]
    Yaml,
}

fn customer_id(text: &str) -> Result<CustomerId, String> {
    CustomerId::parse(text).map_err(|error| error.to_string())
}

/// Prints the manifests.
pub(super) fn run(arguments: &ImportArgs) -> Result<(), Failure> {
    let Format::Yaml = arguments.output;
    Ok(print(&block_on(manifests(arguments))?)?)
}

async fn manifests(arguments: &ImportArgs) -> Result<String, Failure> {
    let ImportArgs { namespace, all, directory, link, customer_id, output: _, shared } = arguments;
    let store = open(&shared.store).await?;
    let text = match (directory, namespace) {
        (Some(url), Some(organization)) => {
            let progress = ProgressReport::start("reading the directory");
            let plan = directory::ImportPlan {
                url,
                organization,
                customer_id: customer_id.as_ref(),
                link: *link,
            };
            let now = shared.clock().now();
            Box::pin(directory::manifests(&store, &plan, now, &progress)).await?
        }
        _ => {
            let progress = ProgressReport::start("reading the store and the cluster");
            let namespace = namespace.as_deref();
            Box::pin(store::manifests(&store, namespace, *all, &progress)).await?
        }
    };
    store.close().await;
    Ok(text)
}

/// Returns the store's record of an organization.
async fn record(store: &impl Store, namespace: &str) -> Result<OrganizationRecord, Failure> {
    let customer_id = CustomerId::parse(namespace)
        .map_err(|_| format!("{namespace}: a namespace's name is a DNS label such as acme"))?;
    let organization = Organization { namespace: namespace.to_owned(), customer_id };
    Ok(store.organizations(&[organization]).await?.remove(namespace).unwrap_or_default())
}
