//! How long an edit in a quiet organization waits while another organization has much to do.
//!
//! The real loop works on a SQLite file, beside an API server of a few lines. Prints a table, and
//! writes it to `target/bench/fairness.json`. `ROSTER_SCENARIO` picks one; `ROSTER_PART` of 4 makes
//! everything a fourth as large, which a debug build does by itself.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on fails, and prints what it found"
)]

mod api;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kube::runtime::events::Recorder;
use roster::clock::Clock;
use roster::controller::cluster_event::{ClusterEvent, Scope};
use roster::controller::leader_election::Leadership;
use roster::controller::list_watch::Watches;
use roster::controller::object_writer::ObjectWriter;
use roster::controller::passwords::PasswordVerifier;
use roster::controller::reconciler::{Reconciler, Settings};
use roster::controller::{self, Executors};
use roster::domain::account::{Account, Source};
use roster::domain::billing::BillingTimeZone;
use roster::domain::object_key::Kind;
use roster::provisioning::worker::ProvisioningWorker;
use roster::store::sql::SqlStore;
use roster::store::{AccountKey, Store};
use roster::telemetry::{Health, Metrics};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::api::Api;

/// Returns a number of objects, or a part of it.
fn part_of(many: usize) -> usize {
    let part = std::env::var("ROSTER_PART").ok().map(|part| part.parse().unwrap());
    many / part.unwrap_or(if cfg!(debug_assertions) { 4 } else { 1 })
}

const NOISY: &str = "noisy";
const QUIET: &str = "quiet";

/// An operator, the API server that it works with, and a look at its store.
struct Bench {
    api: Api,
    url: String,
    view: SqlStore,
    stop: watch::Sender<bool>,
    operator: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
        drop(SqlStore::open(&url).await.unwrap());
        let (send, news) = mpsc::channel(4096);
        let api = Api::new(send);
        let (stop, operator) = run(&api, &url, news, vec![]).await;
        let view = SqlStore::open_existing(&url).await.unwrap();
        let bench = Self { api, url, view, stop, operator, folder };
        for namespace in [QUIET, NOISY] {
            bench
                .api
                .apply("namespaces", json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": namespace}}))
                .await;
            let domain = object(
                "OrgEmailDomain",
                namespace,
                "acme.example",
                json!({"domain": "acme.example"}),
            );
            bench.api.apply("orgemaildomains", domain).await;
            for group in ["administrators", "users"] {
                let spec = json!({"fullControl": group == "administrators"});
                bench.api.apply("usergroups", object("UserGroup", namespace, group, spec)).await;
            }
        }
        bench.secret(QUIET, "gate-Turnip-0-onward").await;
        let mut edna = user("edna", "0");
        edna["passwordSecretRef"] = json!({"name": "password"});
        bench.api.apply("users", object("User", QUIET, "edna", edna)).await;
        bench
            .until("the quiet organization", || async { bench.has_password().await.is_some() })
            .await;
        bench
    }

    /// Starts the operator anew on what there is.
    async fn restart(&mut self) {
        self.stop.send(true).unwrap();
        (&mut self.operator).await.unwrap();
        let (send, news) = mpsc::channel(4096);
        let mut listed = vec![];
        for plural in ["namespaces", "secrets", "orgemaildomains", "usergroups", "users"] {
            listed.extend(self.api.list(plural));
        }
        self.api.tell(send);
        (self.stop, self.operator) = run(&self.api, &self.url, news, listed).await;
    }

    async fn user(&self, name: &str, spec: Value) {
        self.api.apply("users", object("User", NOISY, name, spec)).await;
    }

    async fn secret(&self, namespace: &str, password: &str) {
        let data: String = base64(password.as_bytes());
        let secret = json!({
            "kind": "Secret", "apiVersion": "v1", "type": "roster.rs/password",
            "metadata": {"namespace": namespace, "name": "password"}, "data": {"password": data},
        });
        self.api.apply("secrets", secret).await;
    }

    async fn accounts(&self) -> Vec<Account> {
        self.view.list(Some(NOISY)).await.unwrap()
    }

    async fn count(&self, is_so: impl Fn(&Account) -> bool) -> usize {
        self.accounts().await.iter().filter(|account| is_so(account)).count()
    }

    async fn edna(&self) -> Option<Account> {
        let key = AccountKey::Owner { namespace: QUIET.to_owned(), name: "edna".to_owned() };
        self.view.find(std::slice::from_ref(&key)).await.unwrap().remove(&key)
    }

    async fn has_password(&self) -> Option<String> {
        Some(self.edna().await?.credential?.from_secret?.version)
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < Duration::from_secs(600), "{what} never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Edits a user of the quiet organization. Returns how long until that is in force.
    async fn edit(&self, number: usize) -> Duration {
        let mut edna = user("edna", &number.to_string());
        edna["passwordSecretRef"] = json!({"name": "password"});
        let started = Instant::now();
        self.api.apply("users", object("User", QUIET, "edna", edna)).await;
        while self.edna().await.unwrap().content.profile.display_name != format!("edna {number}") {
            assert!(started.elapsed() < Duration::from_secs(120), "the edit never came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        started.elapsed()
    }

    /// Changes the password of a user of the quiet organization. Returns how long until that is in
    /// force.
    async fn edit_password(&self, number: usize) -> Duration {
        let (before, started) = (self.has_password().await, Instant::now());
        self.secret(QUIET, &format!("gate-Turnip-{number}-onward")).await;
        while self.has_password().await == before {
            assert!(started.elapsed() < Duration::from_secs(120), "the password never came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        started.elapsed()
    }
}

/// How an edit waited during a disturbance.
struct Found {
    scenario: &'static str,
    waits: Vec<Duration>,
    took: Duration,
    alone: Duration,
}

#[tokio::main]
async fn main() {
    let only = std::env::var("ROSTER_SCENARIO").ok();
    let mut rows = vec![];
    println!(
        "{:34} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "scenario", "edits", "alone", "median", "longest", "took", "RSS MB"
    );
    for scenario in ["loop", "groups", "secret", "large", "sync", "contest", "domains"] {
        if only.as_deref().is_some_and(|only| only != scenario) {
            continue;
        }
        // Each in a process of its own, so that none has another's memory.
        if only.is_none() {
            let itself = std::env::current_exe().unwrap();
            let child = std::process::Command::new(itself)
                .env("ROSTER_SCENARIO", scenario)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(
                child.status.success(),
                "{scenario}: {}",
                String::from_utf8_lossy(&child.stderr)
            );
            let (row, json) = text
                .lines()
                .skip(1)
                .collect::<Vec<_>>()
                .join("\n")
                .split_once('\n')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap();
            println!("{row}");
            rows.push(serde_json::from_str::<Value>(&json).unwrap());
            continue;
        }
        let Found { scenario, mut waits, took, alone } = measure(scenario).await;
        waits.sort();
        let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        let rss = rss();
        let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        println!(
            "{scenario:34} {:7} {:9.3} {:9.3} {:9.3} {:9.3} {rss:8}",
            waits.len(),
            seconds(alone),
            seconds(median),
            seconds(longest),
            seconds(took)
        );
        println!(
            "{}",
            json!({"scenario": scenario, "edits": waits.len(), "alone_s": seconds(alone), "median_s": seconds(median), "longest_s": seconds(longest), "took_s": seconds(took), "rss_mb": rss})
        );
    }
    if only.is_none() {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from("target"), PathBuf::from)
            .join("bench");
        std::fs::create_dir_all(&target).unwrap();
        let file = target.join("fairness.json");
        std::fs::write(&file, serde_json::to_string_pretty(&rows).unwrap()).unwrap();
        println!("\nalso in {}", file.display());
    }
}

async fn measure(scenario: &str) -> Found {
    let mut bench = Bench::start().await;
    let alone = bench.edit(1).await;
    let found = match scenario {
        "loop" => a_loop(&bench).await,
        "groups" => groups(&bench).await,
        "secret" => secret(&bench).await,
        "large" => large(&mut bench).await,
        "sync" => sync(&bench).await,
        "contest" => contest(&bench).await,
        "domains" => domains(&bench).await,
        other => panic!("no such scenario: {other}"),
    };
    let (scenario, waits, took) = found;
    bench.stop.send(true).unwrap();
    bench.operator.await.unwrap();
    drop(bench.folder);
    Found { scenario, waits, took, alone }
}

/// Edits again and again until the disturbance is over.
async fn edits<F: Future<Output = bool>>(
    bench: &Bench,
    is_over: impl Fn() -> F,
) -> (Vec<Duration>, Duration) {
    let (mut waits, started) = (vec![], Instant::now());
    loop {
        waits.push(bench.edit(waits.len() + 2).await);
        if is_over().await || started.elapsed() > Duration::from_secs(300) {
            return (waits, started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

type Measured = (&'static str, Vec<Duration>, Duration);

/// Users who all have accounts begin to follow each other in a ring.
async fn a_loop(bench: &Bench) -> Measured {
    let many = part_of(1200);
    for number in 0..many {
        bench.user(&format!("u{number}"), user(&format!("u{number}"), "0")).await;
    }
    bench.until("the accounts", || async { bench.accounts().await.len() == many }).await;
    for number in 0..many {
        let name = format!("u{number}");
        let mut spec = user(&name, "0");
        let next = format!("u{}", (number + 1) % many);
        spec["permissions"] = json!({"grants": [format!("own:p{number}")], "from": {"name": next, "mode": "Inherit"}});
        bench.user(&name, spec).await;
    }
    let keeps = |account: &Account| {
        matches!(&account.content.source, Some(Source::Inherited { kept: Some(_), .. }))
    };
    let (waits, took) = edits(bench, || async { bench.count(keeps).await == many }).await;
    ("a loop forms", waits, took)
}

/// Users are edited in an organization with many large groups.
async fn groups(bench: &Bench) -> Measured {
    for number in 0..part_of(600) {
        let permissions: Vec<String> =
            (0..256).map(|it| format!("a-longer-name:of-permission-{it}:in-{number}")).collect();
        let group =
            object("UserGroup", NOISY, &format!("g{number}"), json!({"permissions": permissions}));
        bench.api.apply("usergroups", group).await;
    }
    let many = part_of(300);
    for number in 0..many {
        bench.user(&format!("u{number}"), user(&format!("u{number}"), "0")).await;
    }
    bench.until("the accounts", || async { bench.accounts().await.len() == many }).await;
    for edition in 1..=3 {
        for number in 0..many {
            bench
                .user(&format!("u{number}"), user(&format!("u{number}"), &edition.to_string()))
                .await;
        }
    }
    let is_last = |account: &Account| account.content.profile.display_name.ends_with(" 3");
    let (waits, took) = edits(bench, || async { bench.count(is_last).await == many }).await;
    ("many large groups", waits, took)
}

/// A Secret that many share changes again and again; what waits is a password.
async fn secret(bench: &Bench) -> Measured {
    let (many, changes) = (part_of(400), 10);
    bench.secret(NOISY, "door-Carrot-0-inward").await;
    for number in 0..many {
        let mut spec = user(&format!("u{number}"), "0");
        spec["passwordSecretRef"] = json!({"name": "password"});
        bench.user(&format!("u{number}"), spec).await;
    }
    let with = || async {
        let accounts = bench.accounts().await;
        let versions = accounts
            .into_iter()
            .filter_map(|account| Some(account.credential?.from_secret?.version));
        let versions: Vec<String> = versions.collect();
        (versions.len(), versions.into_iter().collect::<BTreeSet<_>>())
    };
    bench.until("the first passwords", || async { with().await.0 == many }).await;
    let changed = async {
        for change in 1..=changes {
            bench.secret(NOISY, &format!("door-Carrot-{change}-inward")).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let (mut waits, started) = (vec![], Instant::now());
    let edited = async {
        loop {
            waits.push(bench.edit_password(waits.len() + 1).await);
            let of_last = with().await;
            if started.elapsed() > Duration::from_millis(500 * changes) && of_last.1.len() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(changed, edited);
    ("a shared Secret changes", waits, started.elapsed())
}

/// Users as large as the schema lets them be are created, and looked at again after a restart.
async fn large(bench: &mut Bench) -> Measured {
    let many = part_of(600);
    for number in 0..many {
        bench.user(&format!("u{number}"), largest(number, many)).await;
    }
    let started = Instant::now();
    let (mut waits, _) = edits(bench, || async { bench.accounts().await.len() == many }).await;
    bench.restart().await;
    for number in 0..10 {
        waits.push(bench.edit(1000 + number).await);
    }
    ("largest Users, and a restart", waits, started.elapsed())
}

/// Many Users are created.
async fn sync(bench: &Bench) -> Measured {
    let many = part_of(10_000);
    let create = async {
        for number in 0..many {
            bench.user(&format!("u{number}"), user(&format!("u{number}"), "0")).await;
        }
    };
    let (_, found) =
        tokio::join!(create, edits(bench, || async { bench.accounts().await.len() == many }));
    ("many new Users", found.0, found.1)
}

/// Users each ask for the address that the next one has.
async fn contest(bench: &Bench) -> Measured {
    let many = 256;
    for number in 0..many {
        bench.user(&format!("u{number}"), user(&format!("u{number}"), "0")).await;
    }
    bench.until("the accounts", || async { bench.accounts().await.len() == many }).await;
    for number in 0..many {
        let mut spec = user(&format!("u{number}"), "1");
        spec["email"] = json!(format!("u{}@acme.example", (number + 1) % many));
        bench.user(&format!("u{number}"), spec).await;
    }
    let is_last = |account: &Account| account.content.profile.display_name.ends_with(" 1");
    let (waits, took) = edits(bench, || async { bench.count(is_last).await == many }).await;
    ("addresses passed round", waits, took)
}

/// An organization lists many domains, with a user in each.
async fn domains(bench: &Bench) -> Measured {
    let many = part_of(2000);
    for number in 0..many {
        let domain = format!("d{number}.example");
        let spec = json!({"domain": domain});
        bench.api.apply("orgemaildomains", object("OrgEmailDomain", NOISY, &domain, spec)).await;
        let mut spec = user(&format!("u{number}"), "0");
        spec["email"] = json!(format!("u{number}@{domain}"));
        bench.user(&format!("u{number}"), spec).await;
    }
    // What counts changed of is looked at some seconds later.
    let started = Instant::now();
    let over = || async {
        bench.accounts().await.len() == many && started.elapsed() > Duration::from_secs(10)
    };
    let (waits, took) = edits(bench, over).await;
    ("many domains", waits, took)
}

async fn run(
    api: &Api,
    url: &str,
    news: mpsc::Receiver<ClusterEvent>,
    listed: Vec<ClusterEvent>,
) -> (watch::Sender<bool>, JoinHandle<()>) {
    let store = SqlStore::open_existing(url).await.unwrap();
    let settings = Settings {
        resync: Duration::from_secs(600),
        directory_resync: Duration::from_secs(6 * 3600),
        transaction_deadline: SignedDuration::from_mins(20),
        clock: Clock::SYSTEM,
        directories: BTreeSet::new(),
        billing_zone: BillingTimeZone::UTC,
    };
    let scope = Scope { kind: Kind::User, namespace: None };
    let mut reconciler =
        Reconciler::new(store, settings, vec![scope.clone()], Arc::new(Metrics::default()));
    reconciler.apply_event(ClusterEvent::ListStarted(scope.clone()));
    listed.into_iter().for_each(|item| reconciler.apply_event(item));
    reconciler.apply_event(ClusterEvent::ListCompleted(scope));
    let client = api.client();
    let verifier = PasswordVerifier::new(client.clone()).unwrap();
    let executors = Executors {
        worker: ProvisioningWorker::new(vec![], std::sync::Arc::new(verifier.reader())),
        verifier,
        writer: ObjectWriter::new(client.clone(), Recorder::new(client, "roster".into())),
        watches: Watches::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let operator = tokio::spawn(async move {
        let (leadership, health) = (Leadership::unelected(), Health::default());
        controller::run(reconciler, executors, news, stopped, (&leadership, &health))
            .await
            .unwrap()
            .close()
            .await;
    });
    (stop, operator)
}

fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "roster.rs/v1alpha1", "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

fn user(name: &str, edition: &str) -> Value {
    json!({
        "email": format!("{name}@acme.example"),
        "profile": {"displayName": format!("{name} {edition}")},
        "permissions": {"grants": ["orders:read"]},
        "chargeApproved": true,
    })
}

/// Returns a User with every field at its maximum, the last of a line of 32.
fn largest(number: usize, many: usize) -> Value {
    let long = |text: String, length: usize| format!("{text:x<length$}");
    let texts = |what: &str, count: usize| {
        (0..count).map(|it| long(format!("{what}{it}"), 128)).collect::<Vec<_>>()
    };
    let grants: Vec<String> = (0..64).map(|it| long(format!("p{number}:{it}-"), 128)).collect();
    let mut spec = json!({
        "email": format!("u{number}@acme.example"),
        "profile": {
            "displayName": long(format!("u{number}"), 128),
            "address": {
                "street": texts("street", 4), "locality": long(String::new(), 128), "region": long(String::new(), 128),
                "postalCode": long(String::new(), 32), "country": "US",
            },
            "notifications": texts("notification", 64),
        },
        "teams": texts("team", 64),
        "role": long(String::new(), 128),
        "permissions": {"grants": grants},
        "chargeApproved": true,
    });
    if number % 32 != 31 && number + 1 < many {
        spec["permissions"]["from"] =
            json!({"name": format!("u{}", number + 1), "mode": "Inherit"});
    }
    spec
}

/// Returns how much memory the process has, in MB.
fn rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

fn base64(bytes: &[u8]) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap();
    value.as_str().unwrap().to_owned()
}
