//! `roster import`: manifests of what is there already, in the store or in a directory.

mod directory;
mod manifest;
mod names;
mod store;
mod valid;

use clap::{Args, ValueEnum};

use super::run::namespace;
use super::{Failure, block_on, print};
use crate::config::Shared;
use crate::domain::organization::{CustomerId, Organization};
use crate::plan::OrganizationRecord;
use crate::store::Store;
use crate::store::sql::SqlStore;

/// Arguments of `roster import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Only the accounts of this organization, by the name of its namespace; of a directory, the
    /// organization that its people belong to.
    #[arg(long, value_parser = namespace, value_name = "ORG")]
    organization: Option<String>,
    /// Prints every live account without asking the cluster, for a cluster that is lost.
    #[arg(long)]
    all: bool,
    /// Prints the people of a directory instead, such as `scim+https://HOST/v2?token-file=PATH`.
    #[arg(long, requires = "organization", conflicts_with = "all", value_name = "URL")]
    directory: Option<String>,
    /// Writes a new id into each entry of the directory that has no externalId, so that it can be
    /// taken over. Changes the directory.
    #[arg(long, requires = "directory")]
    link: bool,
    /// The customer ID of the organization, where its namespace has a label and the store no
    /// account yet.
    #[arg(long, requires = "directory", value_parser = customer_id, value_name = "ID")]
    customer_id: Option<CustomerId>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How manifests are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// YAML, with comments on what is to be decided.
    #[default]
    Yaml,
}

fn customer_id(text: &str) -> Result<CustomerId, String> {
    CustomerId::parse(text).map_err(|error| error.to_string())
}

/// Prints the manifests.
pub(super) fn run(shared: &Shared, arguments: &ImportArgs) -> Result<(), Failure> {
    let Format::Yaml = arguments.output;
    Ok(print(&block_on(manifests(shared, arguments))?)?)
}

async fn manifests(shared: &Shared, arguments: &ImportArgs) -> Result<String, Failure> {
    let ImportArgs { organization, all, directory, link, customer_id, output: _ } = arguments;
    let store = SqlStore::open_existing(&shared.store).await?;
    let text = match (directory, organization) {
        (Some(url), Some(organization)) => {
            let wanted = directory::ImportPlan {
                url,
                organization,
                customer_id: customer_id.as_ref(),
                link: *link,
            };
            Box::pin(directory::manifests(&store, &wanted, shared.clock().now())).await?
        }
        _ => Box::pin(store::manifests(&store, organization.as_deref(), *all)).await?,
    };
    store.close().await;
    Ok(text)
}

/// Returns what the store knows of an organization.
async fn record(store: &impl Store, namespace: &str) -> Result<OrganizationRecord, Failure> {
    let customer_id = CustomerId::parse(namespace)
        .map_err(|_| format!("{namespace}: a namespace's name is a DNS label such as acme"))?;
    let organization = Organization { namespace: namespace.to_owned(), customer_id };
    Ok(store.organizations(&[organization]).await?.remove(namespace).unwrap_or_default())
}
