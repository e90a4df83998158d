//! What it takes to bring many people to a SCIM server that has nobody: how many a second, how many
//! requests for each, and what bounds it.
//!
//! The floor is a program without logic that knows the bodies in advance: it sends one POST for
//! each person at the best of several concurrencies, and then puts them all into their group.
//! Prints a table, and writes it to `target/bench/directory.json`. `ROSTER_MANY` says how many
//! people there are.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on fails, and prints what it found"
)]

mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use roster::domain::account::{AccountId, Confirmations, Revision};
use roster::domain::object_key::{Kind, ObjectKey};
use roster::domain::profile::Profile;
use roster::provisioning::queue::Provisioning;
use roster::provisioning::{Directory, DirectoryUser, Entry};
use roster_test_support::sample::Sample;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::server::Server;

/// How many people there are unless `ROSTER_MANY` says something else.
const MANY: usize = 5_000;

/// How often both are measured, by turns.
const ROUNDS: usize = 3;

/// What the floor tries.
const CONCURRENCIES: [usize; 3] = [4, 8, 16];

/// Whom the server refuses: somebody else has the login name there.
const REFUSED: usize = 3;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let many = std::env::var("ROSTER_MANY").map_or(MANY, |many| many.parse().unwrap());
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("bench");
    std::fs::create_dir_all(&target).unwrap();
    let best = best_concurrency(&target).await;
    let (mut floors, mut brought) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        floors.push(floor(&Server::start(&target), many, best).await);
        brought.push(provision(&Server::start(&target), many).await);
    }
    let floor = Sample::new(floors);
    let rate = |time: Duration| f64::from(u32::try_from(many).unwrap()) / time.as_secs_f64();
    let took = Sample::new(brought.iter().map(|brought| brought.took).collect());
    let last = brought.pop().unwrap();
    let ratio = took.median().as_secs_f64() / floor.median().as_secs_f64();
    let requests: usize = last.requests.values().sum();
    let each =
        f64::from(u32::try_from(requests).unwrap()) / f64::from(u32::try_from(many).unwrap());
    println!("{many} people to an empty SCIM server, {ROUNDS} rounds by turns, medians:");
    println!(
        "  one POST each, {best:2} at once   {:7.0} people/s   {}",
        rate(floor.median()),
        floor.text()
    );
    println!(
        "  roster                      {:7.0} people/s   {}   {ratio:.2} of the floor's time",
        rate(took.median()),
        took.text()
    );
    println!("  requests for each person    {each:.3}: {}", by_kind(&last.requests));
    println!(
        "  the server was busy for     {:.0} % of the time on one of its processors",
        last.busy * 100.0
    );
    println!("  roster was busy for         {:.0} %", last.own * 100.0);
    let slowest = last.waits[last.waits.len() - 1];
    println!(
        "  one was refused throughout; the others waited {:.1?} at the median and {slowest:.1?} at most",
        last.waits[last.waits.len() / 2]
    );
    let file = target.join("directory.json");
    let found = json!({
        "people": many, "floor": floor.json(), "floor_at_once": best, "roster": took.json(), "ratio": ratio,
        "requests_for_each": each, "requests": last.requests, "server_busy": last.busy, "roster_busy": last.own,
    });
    std::fs::write(&file, serde_json::to_string_pretty(&found).unwrap()).unwrap();
    println!("\nalso in {}", file.display());
}

fn by_kind(requests: &BTreeMap<String, usize>) -> String {
    requests.iter().map(|(kind, number)| format!("{number} {kind}")).collect::<Vec<_>>().join(", ")
}

async fn best_concurrency(target: &std::path::Path) -> usize {
    let mut best = (Duration::MAX, CONCURRENCIES[0]);
    for concurrency in CONCURRENCIES {
        best = best.min((floor(&Server::start(target), 500, concurrency).await, concurrency));
    }
    best.1
}

/// Sends what is known in advance, and returns how long it took.
async fn floor(server: &Server, many: usize, concurrency: usize) -> Duration {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, body: Value| {
        client.post(server.base() + path).bearer_auth(server.token()).json(&body)
    };
    let requests: Vec<_> = (0..many).map(|number| post("/Users", scim_user(number))).collect();
    let mut requests = requests.into_iter();
    let begun = Instant::now();
    let (mut ids, mut under_way) = (vec![], JoinSet::new());
    loop {
        while under_way.len() < concurrency
            && let Some(request) = requests.next()
        {
            under_way.spawn(async move {
                request.send().await.unwrap().json::<Value>().await.unwrap()["id"].clone()
            });
        }
        let Some(id) = under_way.join_next().await else { break };
        ids.push(json!({"value": id.unwrap()}));
    }
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
    let group = json!({"schemas": schemas, "displayName": "acme/users", "externalId": "acme/users", "members": ids});
    assert!(post("/Groups", group).send().await.unwrap().status().is_success());
    begun.elapsed()
}

/// What bringing everybody took.
struct Brought {
    took: Duration,
    requests: BTreeMap<String, usize>,
    busy: f64,
    own: f64,
    /// How long each waited whom the server takes, the longest last.
    waits: Vec<Duration>,
}

/// Brings everybody as the operator does, and one more whom the server refuses.
async fn provision(server: &Server, many: usize) -> Brought {
    server.occupy(&login(REFUSED)).await;
    let directory = Directory::open(&server.url()).unwrap();
    let mut provisioning = Provisioning::new([directory.name().to_owned()]);
    let (before, own_before) = (server.processor_time(), server::own_processor_time());
    let begun = Instant::now();
    for number in 0..=many {
        let user = ObjectKey::new(Kind::User, "acme", format!("user-{number}"));
        provisioning.enqueue(
            &user,
            &entry(number),
            &Confirmations::new(),
            None,
            tokio::time::Instant::now(),
        );
    }
    let (mut waits, mut under_way) = (vec![], JoinSet::new());
    while waits.len() < many {
        let now = tokio::time::Instant::now();
        for delivery in provisioning.take(now) {
            let directory = directory.clone();
            under_way.spawn(async move {
                let answer = directory.provision(&delivery.entry).await;
                (delivery.entry, answer)
            });
        }
        let (entry, answer) = under_way.join_next().await.unwrap().unwrap();
        let (account, is_there) = (entry.account, answer.is_ok());
        provisioning.on_answer(directory.name(), &entry, answer, tokio::time::Instant::now());
        provisioning.acks_saved(account, tokio::time::Instant::now());
        waits.extend(is_there.then(|| begun.elapsed()));
    }
    let took = begun.elapsed();
    let share = |time: Duration| time.as_secs_f64() / took.as_secs_f64();
    let (busy, own) =
        (share(server.processor_time() - before), share(server::own_processor_time() - own_before));
    assert_eq!(server.people().await, many + 1, "nobody is missing, and nobody there twice");
    Brought { took, requests: server.requests(), busy, own, waits }
}

fn login(number: usize) -> String {
    format!("user-{number}.acme")
}

fn entry(number: usize) -> Entry {
    let person = DirectoryUser {
        login_name: login(number),
        email: format!("user-{number}@acme.example"),
        active: true,
        profile: Profile {
            display_name: format!("User {number}"),
            phone: Some("+1 602 555 0100".to_owned()),
            time_zone: Some("America/Phoenix".to_owned()),
            ..Profile::default()
        },
        role: Some("Dispatcher".to_owned()),
        group: "users".to_owned(),
        permissions: vec!["cases:read".to_owned(), "orders:read".to_owned()],
        password: None,
    };
    let account = AccountId(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::try_from(number).unwrap(),
    ));
    Entry {
        account,
        revision: Revision(1),
        organization: "acme".to_owned(),
        adopts: false,
        compares: false,
        handle: None,
        was_confirmed: false,
        former_login_name: None,
        person: Some(person),
    }
}

fn scim_user(number: usize) -> Value {
    let entry = entry(number);
    let Some(person) = entry.person else { return Value::Null };
    let permissions: Vec<Value> =
        person.permissions.iter().map(|permission| json!({"value": permission})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": person.login_name,
        "externalId": entry.account.to_string(), "active": true, "displayName": person.profile.display_name,
        "name": {"formatted": person.profile.display_name}, "emails": [{"value": person.email, "type": "work", "primary": true}],
        "phoneNumbers": [{"value": person.profile.phone, "type": "work"}], "timezone": person.profile.time_zone,
        "roles": [{"value": person.role}], "entitlements": permissions,
    })
}
