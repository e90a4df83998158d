//! A watch of everything that is declared and said, beside the operators' own.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use roster_test_support::chaos::oracles::Said;
use roster_test_support::cluster::{condition, run};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::declarations::Declarations;
use crate::ledger::NOTICES;
use crate::rules;

/// Everything that was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) declarations: Declarations,
    /// Everybody who was said to be Ready, with what the rounds know of them.
    pub(crate) said: BTreeSet<Said>,
    /// The logins that were asked for, and those that were seen to have an account.
    pub(crate) asked_for: BTreeSet<String>,
    pub(crate) with_account: BTreeSet<String>,
    pub(crate) events: usize,
    /// The latest state of each object, by its uid.
    last: HashMap<String, Value>,
    complaints: Vec<String>,
    listed: usize,
    /// Until when an operator may say something of what the API server has forgotten.
    forgotten_until: Option<Instant>,
}

impl Seen {
    /// Returns who says that a transaction is past its deadline.
    pub(crate) fn overdue(&self) -> BTreeSet<(String, String)> {
        let text = |object: &Value, field: &str| {
            object["metadata"][field].as_str().unwrap_or_default().to_owned()
        };
        let told = self
            .last
            .values()
            .filter(|object| condition(object, "Ready")["reason"] == "DeadlineExceeded");
        told.map(|object| (text(object, "namespace"), text(object, "name"))).collect()
    }

    fn see(&mut self, object: &Value, is_event: bool) {
        let now = Instant::now();
        self.events += 1;
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let uid = text("/metadata/uid").to_owned();
        if object["kind"] == "User" {
            self.declarations.note_user(now, object);
            self.said.extend(Said::by(object));
            let username = object["spec"]["username"].as_str().unwrap_or(text("/metadata/name"));
            let login = format!("{username}.{}", text("/metadata/namespace"));
            if object["status"]["accountId"].is_string()
                && condition(object, "Ready")["reason"] != "AccountLost"
            {
                self.with_account.insert(login.clone());
            }
            self.asked_for.insert(login);
        } else {
            self.declarations.note_group(now, object);
        }
        if let Some(before) = self
            .last
            .get(&uid)
            .filter(|_| is_event && self.forgotten_until.is_none_or(|until| until < now))
        {
            self.complaints.extend(rules::transitions(before, object));
        }
        self.last.insert(uid, object.clone());
    }
}

/// A running watch.
pub(crate) struct Observer {
    client: Client,
    namespaces: BTreeSet<String>,
    seen: Arc<Mutex<Seen>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The kinds that are watched.
const KINDS: [(&str, &str); 2] = [("User", "users"), ("UserGroup", "usergroups")];

impl Observer {
    /// Starts to watch some namespaces, and waits until everything was listed.
    #[track_caller]
    pub(crate) fn start(client: Client, namespaces: BTreeSet<String>) -> Self {
        let observer = Self { client, namespaces, seen: Arc::default(), tasks: Mutex::default() };
        observer.watch_anew();
        observer.seen().forgotten_until = None;
        observer
    }

    /// Forgets what it watched so far, as one must whose API server was put back, and waits until
    /// everything was listed.
    #[track_caller]
    pub(crate) fn watch_anew(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.drain(..).for_each(|task| task.abort());
        {
            let mut seen = self.seen();
            seen.forgotten_until = Some(Instant::now() + NOTICES);
            seen.listed = 0;
            seen.last.clear();
        }
        for (kind, plural) in KINDS {
            let resource = ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk("roster.rs", "v1alpha1", kind),
                plural,
            );
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            let (seen, namespaces) = (self.seen.clone(), self.namespaces.clone());
            // Only within a future is there a runtime to spawn it on.
            run(async { tasks.push(tokio::spawn(watch(api, kind, (namespaces, seen)))) });
        }
        drop(tasks);
        roster_test_support::cluster::eventually("everything is listed", || {
            (self.seen().listed >= KINDS.len()).then_some(())
        });
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it has to complain of since it was last asked.
    pub(crate) fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().complaints)
    }
}

async fn watch(
    api: Api<DynamicObject>,
    kind: &'static str,
    (namespaces, seen): (BTreeSet<String>, Arc<Mutex<Seen>>),
) {
    let mut events = std::pin::pin!(watcher::watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        let value = |object: &DynamicObject| {
            let mut value = serde_json::to_value(object).expect("an object is JSON");
            value["kind"] = kind.into();
            value
        };
        let concerns = |object: &DynamicObject| {
            object.metadata.namespace.as_ref().is_some_and(|name| namespaces.contains(name))
        };
        match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) if !concerns(&object) => {}
            Ok(Event::InitApply(object)) => lock().see(&value(&object), false),
            Ok(Event::Apply(object)) => lock().see(&value(&object), true),
            Ok(Event::InitDone) => lock().listed += 1,
            Ok(Event::Init | Event::Delete(_)) => {}
            // The API server is away; the watch is begun anew.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
    }
}
