//! Watches each kind in each scope, as a stream of events.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;

use super::cache::ManagedResource;
use super::cluster_event::{CachedSecret, ClusterEvent, Scope, number};
use super::list_watch::{ListWatch, Watches};
use crate::api::{Lenient, OrgEmailDomain, PASSWORD_SECRET, User, UserGroup};
use crate::domain::object_key::{Kind, ObjectKey};

/// Starts the watches of all kinds and returns their scopes.
///
/// Every kind is first listed whole; a watch that breaks is taken up again with growing delay.
pub fn watch_all(
    client: &Client,
    namespaces: &[String],
    news: &Sender<ClusterEvent>,
    watches: &Watches,
) -> Vec<Scope> {
    let scopes: Vec<Option<String>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().cloned().map(Some).collect()
    };
    let mut watched = vec![];
    for (number, namespace) in scopes.into_iter().enumerate() {
        // One watch of each kind checks whether the cluster was rolled back.
        let to = &To { news: news.clone(), watches: watches.clone(), checks: number == 0 };
        watched.push(watch_namespaces(client, namespace.clone(), to));
        watched.push(watch_secrets(client, namespace.clone(), to));
        watched.push(watch::<OrgEmailDomain>(client, namespace.clone(), to, ClusterEvent::Domain));
        watched.push(watch::<UserGroup>(client, namespace.clone(), to, ClusterEvent::Group));
        watched.push(watch::<User>(client, namespace, to, ClusterEvent::User));
    }
    watched
}

struct To {
    news: Sender<ClusterEvent>,
    watches: Watches,
    checks: bool,
}

impl To {
    /// Starts a list and watch.
    fn follow<K>(
        &self,
        (api, fields): (Api<K>, Option<String>),
        scope: &Scope,
        read: impl Fn(K) -> ClusterEvent + Send + Sync + 'static,
        gone: impl Fn(&K) -> ClusterEvent + Send + Sync + 'static,
    ) where
        K: kube::Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let Self { news, watches, checks } = self;
        // A check of Secrets would have the API server look through those of all types, and they
        // are where namespaces are.
        let checks = *checks && scope.kind != Kind::Secret;
        let list_watch =
            ListWatch { api, fields, scope: scope.clone(), checks, watches: watches.clone() };
        tokio::spawn(list_watch.follow(news.clone(), read, gone));
    }
}

fn watch<K>(
    client: &Client,
    namespace: Option<String>,
    to: &To,
    as_news: fn(Box<Lenient<K>>) -> ClusterEvent,
) -> Scope
where
    K: ManagedResource + Clone + Debug + Send + Sync + 'static,
{
    let api: Api<Lenient<K>> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let scope = Scope { kind: K::KIND, namespace };
    let read = move |object| as_news(Box::new(object));
    let gone = move |object: &Lenient<K>| {
        let key =
            ObjectKey::new(K::KIND, object.namespace().unwrap_or_default(), object.name_any());
        ClusterEvent::Deleted(key, number(object.resource_version().as_deref()))
    };
    to.follow((api, None), &scope, read, gone);
    scope
}

fn watch_namespaces(client: &Client, namespace: Option<String>, to: &To) -> Scope {
    let fields = namespace.as_ref().map(|name| format!("metadata.name={name}"));
    let scope = Scope { kind: Kind::Organization, namespace };
    let read = |namespace| ClusterEvent::Namespace(Box::new(namespace));
    let gone = |namespace: &Namespace| {
        let key = ObjectKey::new(Kind::Organization, namespace.name_any(), "");
        ClusterEvent::Deleted(key, number(namespace.resource_version().as_deref()))
    };
    to.follow((Api::all(client.clone()), fields), &scope, read, gone);
    scope
}

/// Watches the metadata of the Secrets of our type, and no other: what stands in them isn't sent.
fn watch_secrets(client: &Client, namespace: Option<String>, to: &To) -> Scope {
    let api: Api<PartialObjectMeta<Secret>> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let fields = Some(format!("type={PASSWORD_SECRET}"));
    let scope = Scope { kind: Kind::Secret, namespace };
    let key = |secret: &PartialObjectMeta<Secret>| {
        ObjectKey::new(Kind::Secret, secret.namespace().unwrap_or_default(), secret.name_any())
    };
    let read = move |secret: PartialObjectMeta<Secret>| {
        let seen = CachedSecret {
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
        };
        ClusterEvent::Secret { key: key(&secret), seen }
    };
    let gone = move |secret: &PartialObjectMeta<Secret>| {
        ClusterEvent::Deleted(key(secret), number(secret.resource_version().as_deref()))
    };
    to.follow((api, fields), &scope, read, gone);
    scope
}
