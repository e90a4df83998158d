//! Lists and watches one kind in one scope, and detects that the cluster was rolled back.
//!
//! resourceVersions only grow, unless etcd is restored from a backup. A list without a
//! resourceVersion is a consistent read: one that begins after a version was known and is of an
//! earlier one proves that etcd was restored. What a watch cache answers proves nothing, since a
//! replica of the API server may lag, so nothing here reads from one but watches.
//!
//! A watch that starts at a version which the restored etcd doesn't have yet stays silent, and
//! misses what happens before etcd reaches that version. So a list of one object checks each quiet
//! watch, and a watch that ended resumes only if that succeeds at once: after an outage everything
//! is listed again.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use kube::api::{Api, ListParams, WatchParams};
use kube::core::{ObjectList, WatchEvent};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cluster_event::{ClusterEvent, Scope, WatchListing, number};
use crate::backoff::{ExponentialBackoff, jitter};
use crate::domain::object_key::Kind;
use crate::redact::redact;

/// How many objects one page of a list has.
const PAGE: u32 = 500;

const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a watch may stay silent before a consistent read checks that the cluster still has the
/// known versions.
const QUIET: Duration = Duration::from_secs(15);

/// How long that read may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// After how many seconds the API server ends a watch, and how much later the connection counts as
/// dead.
const WATCH_SECONDS: u32 = 290;
const WATCH_TIMEOUT: Duration = Duration::from_secs(295);

/// A watch that ends sooner isn't resumed at once.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// How long is waited after a failure, at first and at most, and after how long a failure counts as
/// the first again. The longest wait is part of the time in which a restore of etcd is noticed.
const MIN_WAIT: Duration = Duration::from_millis(800);
const MAX_WAIT: Duration = Duration::from_secs(10);
const CALM: Duration = Duration::from_secs(120);

/// Why everything is listed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relist {
    /// Everything is compared whole. The watches go on meanwhile.
    Resync,
    /// The cluster was rolled back: the watches start again.
    RolledBack,
}

/// What all watches have in common: the newest version that is known of each kind, and when to list
/// anew.
#[derive(Clone, Default)]
pub struct Watches {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Kinds may be in etcds of their own (`--etcd-servers-overrides`), so that only versions of
    /// one kind are compared.
    newest: [AtomicU64; 5],
    asked: watch::Sender<RelistRequest>,
}

/// How often lists were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RelistRequest {
    resyncs: u64,
    rollbacks: u64,
}

impl Watches {
    /// Records the newest known version of a kind.
    pub fn observe(&self, kind: Kind, version: u64) {
        self.shared.newest[kind as usize].fetch_max(version, Ordering::SeqCst);
    }

    /// Has all watches list anew.
    pub fn relist(&self, why: Relist) {
        if why == Relist::RolledBack {
            self.shared.newest.iter().for_each(|newest| newest.store(0, Ordering::SeqCst));
        }
        self.shared.asked.send_modify(|asked| match why {
            Relist::Resync => asked.resyncs += 1,
            Relist::RolledBack => asked.rollbacks += 1,
        });
    }

    fn newest(&self, kind: Kind) -> u64 {
        self.shared.newest[kind as usize].load(Ordering::SeqCst)
    }
}

/// One kind in one scope.
pub(super) struct ListWatch<K> {
    pub(super) api: Api<K>,
    pub(super) fields: Option<String>,
    pub(super) scope: Scope,
    /// Whether a quiet watch is checked; one of each kind is enough.
    pub(super) checks: bool,
    pub(super) watches: Watches,
}

/// The receiver is gone.
struct Closed;

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("no answer within {0:?}")]
    Silence(Duration),
    #[error("a watch ended as soon as it had begun")]
    Short,
    #[error("the watch was ended: {0}")]
    Ended(String),
    #[error("{}", redact(.0))]
    Api(#[from] kube::Error),
}

/// A list that is under way.
struct List<K: Clone> {
    /// The newest version that was known when it began.
    known: u64,
    /// What its objects are told with, once the first page is there.
    listing: Option<Arc<WatchListing>>,
    page: BoxFuture<'static, Result<ObjectList<K>, Problem>>,
}

struct Watch<K> {
    begun: Instant,
    events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
}

struct ListProgress<K: Clone> {
    watch: Option<Watch<K>>,
    /// The version to watch from; `None` where a list has to come first.
    position: Option<String>,
    list: Option<List<K>>,
    /// A check that is under way, and what was known when it began.
    check: Option<(u64, BoxFuture<'static, Result<u64, Problem>>)>,
    check_at: Instant,
    rollbacks: u64,
    backoff: ExponentialBackoff,
    failed_at: Option<Instant>,
}

impl<K: Clone> ListProgress<K> {
    fn list_first(&mut self) {
        (self.watch, self.list, self.position, self.check) = (None, None, None, None);
    }
}

impl<K> ListWatch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// Sends events until the receiver is gone.
    pub(super) async fn follow(
        self,
        news: Sender<ClusterEvent>,
        read: impl Fn(K) -> ClusterEvent,
        gone: impl Fn(&K) -> ClusterEvent,
    ) {
        let _: Result<(), Closed> = self.tell(&news, read, gone).await;
    }

    async fn tell(
        &self,
        news: &Sender<ClusterEvent>,
        read: impl Fn(K) -> ClusterEvent,
        gone: impl Fn(&K) -> ClusterEvent,
    ) -> Result<(), Closed> {
        let mut asked = self.watches.shared.asked.subscribe();
        let mut now = ListProgress {
            watch: None,
            position: None,
            list: None,
            check: None,
            check_at: Instant::now() + QUIET,
            rollbacks: 0,
            backoff: ExponentialBackoff::new(MIN_WAIT, MAX_WAIT),
            failed_at: None,
        };
        loop {
            if now.watch.is_none() && now.list.is_none() {
                match now.position.clone() {
                    None => self.begin_list(&mut now, &mut asked, news).await?,
                    Some(position) => match self.open(&position).await {
                        Ok(watch) => now.watch = Some(watch),
                        Err(problem) => self.fail(&mut now, &problem, news).await?,
                    },
                }
                continue;
            }
            let may_check = self.checks && now.watch.is_some() && now.check.is_none();
            tokio::select! {
                biased;
                Ok(()) = asked.changed() => {
                    let rollbacks = asked.borrow_and_update().rollbacks;
                    if rollbacks != now.rollbacks {
                        now.list_first();
                    } else if now.list.is_none() {
                        self.begin_list(&mut now, &mut asked, news).await?;
                    }
                }
                event = next_event(&mut now.watch) => self.take_event(&mut now, event, news, (&read, &gone)).await?,
                page = next_page(&mut now.list) => self.take_page(&mut now, page, news, &read).await?,
                version = next_check(&mut now.check) => self.take_check(&mut now, version, news).await?,
                () = sleep_until(now.check_at), if may_check => {
                    now.check = Some((self.watches.newest(self.scope.kind), self.newest_version()));
                }
            }
        }
    }

    /// Starts a list. What the watch reports from now on overrides the list.
    async fn begin_list(
        &self,
        now: &mut ListProgress<K>,
        asked: &mut watch::Receiver<RelistRequest>,
        news: &Sender<ClusterEvent>,
    ) -> Result<(), Closed> {
        now.rollbacks = asked.borrow_and_update().rollbacks;
        send(news, ClusterEvent::ListStarted(self.scope.clone())).await?;
        let known = self.watches.newest(self.scope.kind);
        now.list = Some(List { known, listing: None, page: self.page(None) });
        Ok(())
    }

    async fn take_page(
        &self,
        now: &mut ListProgress<K>,
        page: Result<ObjectList<K>, Problem>,
        news: &Sender<ClusterEvent>,
        read: &impl Fn(K) -> ClusterEvent,
    ) -> Result<(), Closed> {
        let Some(list) = &mut now.list else { return Ok(()) };
        let page = match page {
            Ok(page) => page,
            Err(problem) if now.watch.is_some() => {
                // The watch goes on, and the next comparison lists again.
                tracing::warn!(kind = <&str>::from(self.scope.kind), error = %problem, "relist failed");
                now.list = None;
                return Ok(());
            }
            Err(problem) => return self.fail(now, &problem, news).await,
        };
        let listing = match &list.listing {
            Some(listing) => listing.clone(),
            None => {
                let version = number(page.metadata.resource_version.as_deref());
                if (1..list.known).contains(&version) {
                    let known = list.known;
                    return self.roll_back(now, known, version, news).await;
                }
                self.watches.observe(self.scope.kind, version);
                list.listing
                    .insert(Arc::new(WatchListing { scope: self.scope.clone(), version }))
                    .clone()
            }
        };
        now.check_at = Instant::now() + QUIET;
        for object in page.items {
            send(
                news,
                ClusterEvent::Listed { listing: listing.clone(), item: Box::new(read(object)) },
            )
            .await?;
        }
        if let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) {
            list.page = self.page(Some(&token));
            return Ok(());
        }
        now.list = None;
        // A watch that ended meanwhile resumes where it was: what it reported overrides the list,
        // also where it was older.
        if now.watch.is_none() && now.position.is_none() {
            now.position = page.metadata.resource_version.or(Some(listing.version.to_string()));
        }
        send(news, ClusterEvent::ListCompleted(self.scope.clone())).await
    }

    async fn take_event(
        &self,
        now: &mut ListProgress<K>,
        event: Option<kube::Result<WatchEvent<K>>>,
        news: &Sender<ClusterEvent>,
        (read, gone): (&impl Fn(K) -> ClusterEvent, &impl Fn(&K) -> ClusterEvent),
    ) -> Result<(), Closed> {
        let (version, item) = match event {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                (object.resource_version().unwrap_or_default(), Some(read(object)))
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                (object.resource_version().unwrap_or_default(), Some(gone(&object)))
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => (bookmark.metadata.resource_version, None),
            Some(Ok(WatchEvent::Error(status))) => {
                // Its words, and those of what stands between, may quote an object.
                let problem = Problem::Ended(redact(&kube::Error::Api(status)));
                return self.fail(now, &problem, news).await;
            }
            Some(Err(_)) | None => {
                let lived = now.watch.take().map(|watch| watch.begun.elapsed());
                // It is resumed from where it was. Where it didn't end by itself, better look
                // whether there is such a place.
                now.check_at = Instant::now();
                return match lived {
                    Some(lived) if lived < SHORTEST_WATCH => {
                        self.fail(now, &Problem::Short, news).await
                    }
                    _ => Ok(()),
                };
            }
        };
        let (before, after) = (number(now.position.as_deref()), number(Some(&version)));
        self.watches.observe(self.scope.kind, after);
        // A watch counts upwards. One that doesn't proves nothing, but a consistent read will.
        now.check_at = if after < before { Instant::now() } else { Instant::now() + QUIET };
        if after >= before {
            now.position = Some(version);
        }
        match item {
            Some(item) => send(news, item).await,
            None => Ok(()),
        }
    }

    async fn take_check(
        &self,
        now: &mut ListProgress<K>,
        (known, version): (u64, Result<u64, Problem>),
        news: &Sender<ClusterEvent>,
    ) -> Result<(), Closed> {
        now.check_at = Instant::now() + QUIET;
        match version {
            Ok(version) if (1..known).contains(&version) => {
                self.roll_back(now, known, version, news).await
            }
            Ok(version) => {
                self.watches.observe(self.scope.kind, version);
                Ok(())
            }
            Err(problem) => {
                tracing::debug!(kind = <&str>::from(self.scope.kind), error = %problem, "consistent read failed");
                Ok(())
            }
        }
    }

    /// Reports that the cluster was rolled back, and requests a new list of everything.
    async fn roll_back(
        &self,
        now: &mut ListProgress<K>,
        known: u64,
        found: u64,
        news: &Sender<ClusterEvent>,
    ) -> Result<(), Closed> {
        now.list_first();
        // Sent before any list starts: a list counts only if it starts after it.
        send(news, ClusterEvent::RolledBack { kind: self.scope.kind, known, found }).await?;
        self.watches.relist(Relist::RolledBack);
        Ok(())
    }

    /// Waits a while, then lists again: what happened meanwhile is unknown.
    async fn fail(
        &self,
        now: &mut ListProgress<K>,
        problem: &Problem,
        news: &Sender<ClusterEvent>,
    ) -> Result<(), Closed> {
        now.list_first();
        tracing::warn!(kind = <&str>::from(self.scope.kind), error = %problem, "watch failed, restarting");
        send(news, ClusterEvent::WatchFailed(self.scope.clone())).await?;
        if now.failed_at.is_none_or(|failed_at| failed_at.elapsed() > CALM) {
            now.backoff = ExponentialBackoff::new(MIN_WAIT, MAX_WAIT);
        }
        // Never longer than the longest wait, which bounds how late a restore is noticed.
        sleep(jitter(now.backoff.next_delay(), 0.8..1.0)).await;
        now.failed_at = Some(Instant::now());
        Ok(())
    }

    async fn open(&self, position: &str) -> Result<Watch<K>, Problem> {
        let parameters = WatchParams {
            field_selector: self.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let begun = Instant::now();
        let events = timeout(TIMEOUT, self.api.watch(&parameters, position))
            .await
            .map_err(|_| Problem::Silence(TIMEOUT))??;
        Ok(Watch { begun, events: events.boxed() })
    }

    /// Reads a page of a list, the first one where there is no token. It is a consistent read.
    fn page(&self, token: Option<&str>) -> BoxFuture<'static, Result<ObjectList<K>, Problem>> {
        let parameters = ListParams {
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            continue_token: token.map(str::to_owned),
            ..ListParams::default()
        };
        let api = self.api.clone();
        async move {
            Ok(timeout(TIMEOUT, api.list(&parameters))
                .await
                .map_err(|_| Problem::Silence(TIMEOUT))??)
        }
        .boxed()
    }

    /// Reads which version etcd has now.
    fn newest_version(&self) -> BoxFuture<'static, Result<u64, Problem>> {
        let parameters = ListParams {
            field_selector: self.fields.clone(),
            limit: Some(1),
            ..ListParams::default()
        };
        let api = self.api.clone();
        async move {
            let list = timeout(CHECK_TIMEOUT, api.list(&parameters))
                .await
                .map_err(|_| Problem::Silence(CHECK_TIMEOUT))??;
            Ok(number(list.metadata.resource_version.as_deref()))
        }
        .boxed()
    }
}

async fn send(news: &Sender<ClusterEvent>, item: ClusterEvent) -> Result<(), Closed> {
    news.send(item).await.map_err(|_| Closed)
}

async fn next_page<K: Clone>(list: &mut Option<List<K>>) -> Result<ObjectList<K>, Problem> {
    match list {
        Some(list) => (&mut list.page).await,
        None => std::future::pending().await,
    }
}

async fn next_event<K>(watch: &mut Option<Watch<K>>) -> Option<kube::Result<WatchEvent<K>>> {
    match watch {
        // A connection that is dead says nothing of it.
        Some(watch) => tokio::time::timeout_at(watch.begun + WATCH_TIMEOUT, watch.events.next())
            .await
            .unwrap_or(None),
        None => std::future::pending().await,
    }
}

async fn next_check(
    check: &mut Option<(u64, BoxFuture<'static, Result<u64, Problem>>)>,
) -> (u64, Result<u64, Problem>) {
    match check {
        Some((known, version)) => {
            let outcome = (*known, version.await);
            *check = None;
            outcome
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
