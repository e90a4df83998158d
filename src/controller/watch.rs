//! What happens in the cluster, as a stream of news for each kind and scope.

use std::fmt::Debug;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::Sender;

use super::passwords::SeenSecret;
use super::report::watch_in_short;
use super::wake::{Kind, ObjectKey};
use super::world::Declared;
use crate::api::{Lenient, OrgEmailDomain, PASSWORD_SECRET, User, UserGroup};

/// Something that happened in the cluster.
#[derive(Debug)]
pub enum News {
    /// A list of a kind begins; what it doesn't name is gone when it ends.
    ListBegins(Scope),
    /// A list of a kind is complete.
    ListEnds(Scope),
    /// A namespace is as given.
    Namespace(Box<Namespace>),
    /// A user is as given.
    User(Box<Lenient<User>>),
    /// A group is as given.
    Group(Box<Lenient<UserGroup>>),
    /// A listed domain is as given.
    Domain(Box<Lenient<OrgEmailDomain>>),
    /// A Secret of our type is there, in this version.
    Secret {
        /// Which.
        key: ObjectKey,
        /// Its uid and its version.
        seen: SeenSecret,
    },
    /// An object is gone.
    Gone(ObjectKey),
    /// A watch broke, and is taken up again.
    WatchBroke(Scope),
}

/// What one watch sees: a kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The kind.
    pub kind: Kind,
    /// The namespace; all where absent.
    pub namespace: Option<String>,
}

/// Starts the watches of all kinds and returns their scopes.
///
/// Every kind is first listed whole; a watch that breaks is taken up again with growing delay.
pub fn watch_all(client: &Client, namespaces: &[String], news: &Sender<News>) -> Vec<Scope> {
    let scopes: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    let mut watched = vec![];
    for namespace in scopes {
        watched.push(watch_namespaces(client, namespace.clone(), news.clone()));
        watched.push(watch_secrets(client, namespace.clone(), news.clone()));
        watched.push(watch::<OrgEmailDomain>(client, namespace.clone(), news.clone(), News::Domain));
        watched.push(watch::<UserGroup>(client, namespace.clone(), news.clone(), News::Group));
        watched.push(watch::<User>(client, namespace, news.clone(), News::User));
    }
    watched
}

fn watch<K>(client: &Client, namespace: Option<String>, news: Sender<News>, as_news: fn(Box<Lenient<K>>) -> News) -> Scope
where
    K: Declared + Clone + Debug + Send + Sync + 'static,
{
    let api: Api<Lenient<K>> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let scope = Scope { kind: K::KIND, namespace };
    let read = move |object| as_news(Box::new(object));
    let gone =
        move |object: &Lenient<K>| News::Gone(ObjectKey::new(K::KIND, object.namespace().unwrap_or_default(), object.name_any()));
    tokio::spawn(follow(watcher(api, watcher::Config::default()), scope.clone(), news, read, gone));
    scope
}

fn watch_namespaces(client: &Client, namespace: Option<String>, news: Sender<News>) -> Scope {
    let config = watcher::Config::default();
    let config = match &namespace {
        Some(name) => config.fields(&format!("metadata.name={name}")),
        None => config,
    };
    let scope = Scope { kind: Kind::Organization, namespace };
    let read = |namespace| News::Namespace(Box::new(namespace));
    let gone = |namespace: &Namespace| News::Gone(ObjectKey::new(Kind::Organization, namespace.name_any(), ""));
    tokio::spawn(follow(watcher(Api::all(client.clone()), config), scope.clone(), news, read, gone));
    scope
}

/// Watches the metadata of the Secrets of our type, and no other: what stands in them isn't sent.
fn watch_secrets(client: &Client, namespace: Option<String>, news: Sender<News>) -> Scope {
    let api: Api<PartialObjectMeta<Secret>> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let config = watcher::Config::default().fields(&format!("type={PASSWORD_SECRET}"));
    let scope = Scope { kind: Kind::Secret, namespace };
    let key = |secret: &PartialObjectMeta<Secret>| {
        ObjectKey::new(Kind::Secret, secret.namespace().unwrap_or_default(), secret.name_any())
    };
    let read = move |secret: PartialObjectMeta<Secret>| {
        let seen =
            SeenSecret { uid: secret.uid().unwrap_or_default(), resource_version: secret.resource_version().unwrap_or_default() };
        News::Secret { key: key(&secret), seen }
    };
    let gone = move |secret: &PartialObjectMeta<Secret>| News::Gone(key(secret));
    tokio::spawn(follow(watcher(api, config), scope.clone(), news, read, gone));
    scope
}

/// Follows one kind for ever, or until nobody listens.
async fn follow<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    scope: Scope,
    news: Sender<News>,
    read: impl Fn(K) -> News,
    gone: impl Fn(&K) -> News,
) where
    K: Send,
{
    use kube::runtime::WatchStreamExt;
    let kind: &str = scope.kind.into();
    let mut events = events
        .map_err(|error| tracing::warn!(kind, error = watch_in_short(&error), "a watch broke, it is taken up again"))
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        let item = match event {
            Err(()) => News::WatchBroke(scope.clone()),
            Ok(watcher::Event::Init) => News::ListBegins(scope.clone()),
            Ok(watcher::Event::InitDone) => News::ListEnds(scope.clone()),
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => read(object),
            Ok(watcher::Event::Delete(object)) => gone(&object),
        };
        if news.send(item).await.is_err() {
            return;
        }
    }
}
