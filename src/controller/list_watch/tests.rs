//! Lists and watches of an API server of a hundred lines, whose versions go wherever a test wants
//! them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::stream;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::controller::cluster_event::CachedSecret;
use crate::domain::object_key::ObjectKey;

/// How soon a restore of etcd has to be noticed.
const SOON: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Server {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Default)]
struct Contents {
    revision: u64,
    versions: BTreeMap<String, u64>,
    /// Whether it answers.
    is_down: bool,
    watch: Option<UnboundedSender<String>>,
    /// What was asked: `list`, `list 1`, or `watch` and from which version.
    asked: Vec<String>,
}

impl Server {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    fn client(&self) -> Client {
        Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    /// Writes to an object, and tells the watch.
    fn put(&self, name: &str) {
        let mut contents = self.contents();
        contents.revision += 1;
        let version = contents.revision;
        contents.versions.insert(name.to_owned(), version);
        contents.tell("MODIFIED", &object(name, version));
    }

    fn delete(&self, name: &str) {
        let mut contents = self.contents();
        contents.revision += 1;
        contents.versions.remove(name);
        let version = contents.revision;
        contents.tell("DELETED", &object(name, version));
    }

    /// Puts everything back to how it was, as a restore of etcd does under a watch that is silent
    /// from then on.
    fn put_back(&self, revision: u64, versions: &[(&str, u64)]) {
        let mut contents = self.contents();
        contents.revision = revision;
        contents.versions =
            versions.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect();
    }

    fn end_watch(&self) {
        self.contents().watch = None;
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.contents().asked)
    }
}

impl Contents {
    fn tell(&self, kind: &str, object: &Value) {
        if let Some(watch) = &self.watch {
            let _ = watch.send(format!("{}\n", json!({"type": kind, "object": object})));
        }
    }
}

fn object(name: &str, version: u64) -> Value {
    let metadata = json!({"namespace": "acme", "name": name, "uid": name, "resourceVersion": version.to_string()});
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
}

async fn answer(State(server): State<Server>, RawQuery(query): RawQuery) -> Response {
    let query = url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let query: BTreeMap<String, String> = query.into_owned().collect();
    let mut contents = server.contents();
    let number = |name: &str| query.get(name).and_then(|number| number.parse::<u64>().ok());
    assert!(
        number("resourceVersion").is_none() || query.contains_key("watch"),
        "a list is a consistent read"
    );
    if contents.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if query.contains_key("watch") {
        contents.asked.push(format!("watch {}", query["resourceVersion"]));
        let (send, receive) = unbounded_channel();
        contents.watch = Some(send);
        let lines = stream::unfold(receive, |mut receive| async {
            let line = receive.recv().await?;
            Some((Ok::<_, Infallible>(line), receive))
        });
        return Body::from_stream(lines).into_response();
    }
    let limit = number("limit").unwrap_or(u64::MAX);
    contents.asked.push(if limit == 1 { "list 1".to_owned() } else { "list".to_owned() });
    let begin = query.get("continue").cloned().unwrap_or_default();
    let rest: Vec<(&String, &u64)> = contents.versions.range(begin..).collect();
    // Its pages are small.
    let page = &rest[..rest.len().min(2)];
    let token = rest.get(2).map_or("", |(name, _)| name.as_str());
    let list = json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": contents.revision.to_string(), "continue": token},
        "items": page.iter().map(|(name, version)| object(name, **version)).collect::<Vec<_>>(),
    });
    list.to_string().into_response()
}

/// Returns what is told of a server, and what all of its watches have in common.
fn follow(server: &Server) -> (Receiver<ClusterEvent>, Watches) {
    let (send, news) = mpsc::channel(64);
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(server.client(), "acme");
    let (watches, scope) = (Watches::default(), Scope { kind: Kind::User, namespace: None });
    let list_watch = ListWatch { api, fields: None, scope, checks: true, watches: watches.clone() };
    let key = |secret: &PartialObjectMeta<Secret>| {
        ObjectKey::new(Kind::Secret, "acme", secret.name_any())
    };
    let read = move |secret: PartialObjectMeta<Secret>| ClusterEvent::Secret {
        key: key(&secret),
        seen: CachedSecret {
            uid: String::new(),
            resource_version: secret.resource_version().unwrap(),
        },
    };
    let gone = move |secret: &PartialObjectMeta<Secret>| {
        ClusterEvent::Deleted(key(secret), number(secret.resource_version().as_deref()))
    };
    tokio::spawn(list_watch.follow(send, read, gone));
    (news, watches)
}

/// Returns the next piece of news in words.
async fn next(news: &mut Receiver<ClusterEvent>) -> String {
    let told = |item: &ClusterEvent| match item {
        ClusterEvent::Secret { key, seen } => format!("{} {}", key.name, seen.resource_version),
        ClusterEvent::Deleted(key, version) => format!("{} gone {version}", key.name),
        other => format!("{other:?}"),
    };
    match news.recv().await.unwrap() {
        ClusterEvent::ListStarted(_) => "begins".to_owned(),
        ClusterEvent::ListCompleted(_) => "ends".to_owned(),
        ClusterEvent::WatchFailed(_) => "broke".to_owned(),
        ClusterEvent::RolledBack { known, found, .. } => format!("back from {known} to {found}"),
        ClusterEvent::Listed { listing, item } => format!("{} of {}", told(&item), listing.version),
        item => told(&item),
    }
}

async fn expect(news: &mut Receiver<ClusterEvent>, expected: &[&str]) {
    for expected in expected {
        assert_eq!(next(news).await, *expected);
    }
}

/// A server with these objects, which was listed, and whose watch has begun.
async fn followed(names: &[&str]) -> (Server, Receiver<ClusterEvent>, Watches) {
    let server = Server::default();
    server.contents().revision = 100;
    names.iter().for_each(|name| server.put(name));
    let (mut news, watches) = follow(&server);
    assert_eq!(next(&mut news).await, "begins");
    let revision = server.contents().revision;
    for (name, number) in names.iter().zip(101..) {
        assert_eq!(next(&mut news).await, format!("{name} {number} of {revision}"));
    }
    assert_eq!(next(&mut news).await, "ends");
    until_watched(&server, revision).await;
    (server, news, watches)
}

async fn until_watched(server: &Server, from: u64) {
    while server.contents().watch.is_none()
        || !server.contents().asked.contains(&format!("watch {from}"))
    {
        sleep(Duration::from_millis(1)).await;
    }
    server.take_asked();
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_notices_within_half_a_minute_that_the_cluster_was_put_back() {
    let (server, mut news, _watches) = followed(&["alice", "bob", "carol"]).await;
    server.put_back(95, &[("alice", 90), ("dave", 80)]);
    let begun = Instant::now();
    let expected = ["back from 103 to 95", "begins", "alice 90 of 95", "dave 80 of 95", "ends"];
    expect(&mut news, &expected).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    until_watched(&server, 95).await;
    server.put("alice");
    expect(&mut news, &["alice 96"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_write_was_answered_with_is_known_too() {
    let (server, mut news, watches) = followed(&["alice"]).await;
    watches.observe(Kind::User, 105);
    server.put_back(103, &[("alice", 101)]);
    expect(&mut news, &["back from 105 to 103", "begins", "alice 101 of 103", "ends"]).await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_it_only_looks_at_one_object_now_and_then() {
    let (server, _news, _watches) = followed(&["alice", "bob", "carol"]).await;
    sleep(Duration::from_secs(120)).await;
    let asked = server.take_asked();
    assert!(
        (6..=8).contains(&asked.len()) && asked.iter().all(|asked| asked == "list 1"),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_where_it_was() {
    let (server, mut news, _watches) = followed(&["alice"]).await;
    server.put("bob");
    expect(&mut news, &["bob 102"]).await;
    sleep(Duration::from_secs(2)).await;
    server.end_watch();
    until_watched(&server, 102).await;
    server.put("alice");
    expect(&mut news, &["alice 103"]).await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_everything_is_listed_anew_whatever_the_versions_say() {
    let (server, mut news, _watches) = followed(&["alice", "bob"]).await;
    sleep(Duration::from_secs(2)).await;
    server.contents().is_down = true;
    server.end_watch();
    expect(&mut news, &["broke", "begins", "broke"]).await;
    // Put back, and by now further than before.
    server.put_back(200, &[("bob", 90)]);
    server.contents().is_down = false;
    let begun = Instant::now();
    loop {
        match next(&mut news).await.as_str() {
            "broke" | "begins" => {}
            other => break assert_eq!(other, "bob 90 of 200"),
        }
    }
    expect(&mut news, &["ends"]).await;
    assert!(begun.elapsed() < SOON);
}

#[tokio::test(start_paused = true)]
async fn a_watch_cache_that_lags_is_no_proof() {
    let (server, mut news, _watches) = followed(&["alice", "bob"]).await;
    // A replica of the API server whose cache is behind tells older things once more.
    server.contents().tell("MODIFIED", &object("alice", 50));
    expect(&mut news, &["alice 50"]).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(server.take_asked(), ["list 1"], "it looks at once, and finds nothing wrong");
    server.put("bob");
    expect(&mut news, &["bob 103"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_comparison_lists_in_pages_while_the_watch_goes_on() {
    let (server, mut news, watches) = followed(&["alice", "bob", "carol"]).await;
    watches.relist(Relist::Resync);
    expect(&mut news, &["begins"]).await;
    let listed = ["alice 101 of 103", "bob 102 of 103", "carol 103 of 103", "ends"];
    expect(&mut news, &listed).await;
    assert_eq!(server.take_asked(), ["list", "list"], "the watch wasn't begun anew");
    server.put("bob");
    server.delete("carol");
    expect(&mut news, &["bob 104", "carol gone 105"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_back_is_asked_within_seconds_however_long_it_was_away() {
    let (server, mut news, _watches) = followed(&["alice"]).await;
    server.contents().is_down = true;
    server.end_watch();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(600) {
        next(&mut news).await;
    }
    server.contents().is_down = false;
    let begun = Instant::now();
    while next(&mut news).await != "ends" {}
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_beside_a_list_is_resumed_where_it_was() {
    let (server, mut news, watches) = followed(&["alice"]).await;
    sleep(Duration::from_secs(2)).await;
    watches.relist(Relist::Resync);
    server.put("alice");
    server.end_watch();
    server.put("alice");
    expect(&mut news, &["begins", "alice 102", "alice 103 of 103", "ends"]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.take_asked(), ["list", "watch 102"]);
}
