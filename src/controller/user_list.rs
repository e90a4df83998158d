//! Which `User`s the cluster has, and what of all objects this version doesn't understand, read
//! once.

use std::collections::BTreeMap;

use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};

use super::cache::ManagedResource;
use crate::api::lenient::{Lenient, UnreadableField};
use crate::api::user::UserSpec;
use crate::api::{OrgEmailDomain, User, UserGroup};
use crate::domain::object_key::Kind;
use crate::plan::directories::{Behind, ReportedBefore};
use crate::plan::unreadable::wrong_values;
use crate::store::UserName;

/// How many objects one page of a list has.
const PAGE: u32 = 500;

/// A `User` as the cluster has it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredUser {
    /// The uid of the resource.
    pub uid: String,
    /// The account that its status names.
    pub account: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How far directories are behind, as its status reports it.
    pub behind: Option<Behind>,
    /// Its spec, where that has values that can't be meant, unless the account has them in force
    /// from before.
    pub doubtful: Option<Box<UserSpec>>,
}

/// An object of whose spec something isn't understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What isn't understood.
    pub fields: Vec<UnreadableField>,
}

/// What a cluster declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declarations {
    /// The `User`s.
    pub users: BTreeMap<UserName, DeclaredUser>,
    /// What isn't understood, of all kinds.
    pub misread: Vec<Misread>,
}

/// Returns what these namespaces declare, or all where none is named.
pub async fn declarations(
    client: &Client,
    namespaces: &[String],
) -> Result<Declarations, kube::Error> {
    let mut found = Declarations::default();
    let users = list::<User>(client, namespaces, &mut found.misread).await?;
    found.users = users.into_iter().map(declared).collect();
    list::<UserGroup>(client, namespaces, &mut found.misread).await?;
    list::<OrgEmailDomain>(client, namespaces, &mut found.misread).await?;
    Ok(found)
}

/// Returns the `User`s of these namespaces, or of all where none is named.
pub async fn declared_users(
    client: &Client,
    namespaces: &[String],
) -> Result<BTreeMap<UserName, DeclaredUser>, kube::Error> {
    Ok(list::<User>(client, namespaces, &mut vec![]).await?.into_iter().map(declared).collect())
}

/// Lists a kind, and records the objects of which something isn't understood.
async fn list<K: ManagedResource + Clone + std::fmt::Debug>(
    client: &Client,
    namespaces: &[String],
    misread: &mut Vec<Misread>,
) -> Result<Vec<K>, kube::Error> {
    let mut apis: Vec<Api<Lenient<K>>> =
        namespaces.iter().map(|name| Api::namespaced(client.clone(), name)).collect();
    if apis.is_empty() {
        apis.push(Api::all(client.clone()));
    }
    let mut objects = vec![];
    for api in apis {
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&parameters).await?;
            for Lenient { object, unreadable, has_foreign_status: _ } in page.items {
                if !unreadable.fields().is_empty() {
                    let (namespace, name) =
                        (object.namespace().unwrap_or_default(), object.name_any());
                    misread.push(Misread {
                        kind: K::KIND,
                        namespace,
                        name,
                        fields: unreadable.fields().to_vec(),
                    });
                }
                objects.push(object);
            }
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => parameters = parameters.continue_token(&next),
                _ => break,
            }
        }
    }
    Ok(objects)
}

fn declared(user: User) -> (UserName, DeclaredUser) {
    let name = (user.namespace().unwrap_or_default(), user.name_any());
    let (uid, deleting) =
        (user.uid().unwrap_or_default(), user.meta().deletion_timestamp.is_some());
    let behind = user
        .status
        .as_ref()
        .and_then(|status| ReportedBefore::of(&status.conditions))
        .map(|told| told.behind);
    let doubtful = (!wrong_values(&user.spec, None).is_empty()).then(|| Box::new(user.spec));
    (
        name,
        DeclaredUser {
            uid,
            account: user.status.and_then(|status| status.account_id),
            deleting,
            behind,
            doubtful,
        },
    )
}
