//! Which `User`s the cluster has, read once.

use std::collections::BTreeMap;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, ResourceExt};

use crate::api::User;
use crate::store::UserName;

/// How many objects one answer of the API server brings.
const PAGE: u32 = 500;

/// A `User` as the cluster has it, whether or not it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredUser {
    /// The uid of the resource.
    pub uid: String,
    /// The account that its status names.
    pub account: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// Returns the `User`s of these namespaces, or of all where none is named.
///
/// # Errors
/// When the API server doesn't say.
pub async fn declared_users(client: &Client, namespaces: &[String]) -> Result<BTreeMap<UserName, DeclaredUser>, kube::Error> {
    let kind = ApiResource::erase::<User>(&());
    let mut users = BTreeMap::new();
    if namespaces.is_empty() {
        list(&Api::all_with(client.clone(), &kind), &mut users).await?;
    }
    for namespace in namespaces {
        list(&Api::namespaced_with(client.clone(), namespace, &kind), &mut users).await?;
    }
    Ok(users)
}

async fn list(api: &Api<DynamicObject>, users: &mut BTreeMap<UserName, DeclaredUser>) -> Result<(), kube::Error> {
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        users.extend(page.items.iter().map(declared));
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => parameters = parameters.continue_token(&next),
            _ => return Ok(()),
        }
    }
}

fn declared(object: &DynamicObject) -> (UserName, DeclaredUser) {
    let account = object.data["status"]["accountId"].as_str().map(str::to_owned);
    let (uid, deleting) = (object.uid().unwrap_or_default(), object.metadata.deletion_timestamp.is_some());
    ((object.namespace().unwrap_or_default(), object.name_any()), DeclaredUser { uid, account, deleting })
}
