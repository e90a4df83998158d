//! What several operators on one store in PostgreSQL bring: how much they commit together, whether
//! they wait for each other, and what it takes to compare many accounts.
//!
//! Prints tables, and writes them to `target/bench/sharing.json`. `ROSTER_MANY` says how many
//! accounts are compared. Both databases sync to the same disk.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on fails, and prints what it found"
)]

mod server;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roster::plan::{Deleting, OrganizationRecord};
use roster::store::sql::SqlStore;
use roster::store::{Store, UserName};
use roster_test_support::sample::{ROUNDS, Sample};
use serde_json::{Value, json};

use self::server::Server;
use self::writer::{TOGETHER, Writer, organization, user_name};

/// How many groups of accounts a writer commits in a round, and how many accounts one by one.
const GROUPS: usize = 8;
const SINGLES: usize = 200;

/// How many operators write.
const WRITERS: [usize; 3] = [1, 2, 4];

/// How many accounts are compared unless `ROSTER_MANY` says something else.
const MANY: usize = 100_000;

/// How long somebody holds up an organization.
const HELD: Duration = Duration::from_millis(500);

/// Writers that commit at once.
struct Crew {
    name: String,
    writers: Vec<Writer>,
}

#[tokio::main]
async fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("bench");
    std::fs::create_dir_all(&target).unwrap();
    let server = Server::start();
    let commits = commits(&server, &target).await;
    let waits = waits(&server).await;
    let comparison = comparison(&server).await;
    let file = target.join("sharing.json");
    let found = json!({ "commits": commits, "waits": waits, "comparison": comparison });
    std::fs::write(&file, serde_json::to_string_pretty(&found).unwrap()).unwrap();
    println!("\nalso in {}", file.display());
}

/// Commits new accounts with one or several writers, by turns, each in namespaces of its own.
async fn commits(server: &Server, below: &Path) -> Vec<Value> {
    let folder = tempfile::tempdir_in(below).unwrap();
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
    let mut crews = vec![Crew {
        name: "SQLite, 1 writer".to_owned(),
        writers: vec![Writer::start(&file, 0).await],
    }];
    for writers in WRITERS {
        let database = server.database().await;
        let mut crew = Crew {
            name: format!("PostgreSQL, {writers} writer{}", if writers == 1 { "" } else { "s" }),
            writers: vec![],
        };
        for number in 0..writers {
            crew.writers.push(Writer::start(&database, number).await);
        }
        crews.push(crew);
    }
    let mut measured = vec![];
    for (what, per_commit, times) in [("in groups", TOGETHER, GROUPS), ("one by one", 1, SINGLES)] {
        let mut samples: Vec<Vec<Duration>> = crews.iter().map(|_| vec![]).collect();
        // The first round warms up.
        for round in 0..=ROUNDS {
            for (crew, sample) in crews.iter_mut().zip(&mut samples) {
                let took = crew.commit(per_commit, times).await;
                if round > 0 {
                    sample.push(took);
                }
            }
        }
        println!("\nnew accounts, committed {what} of {per_commit}:");
        for (crew, sample) in crews.iter().zip(samples) {
            let (commits, sample) = (crew.writers.len() * times, Sample::new(sample));
            let per_second = |number: usize| {
                f64::from(u32::try_from(number).unwrap()) / sample.median().as_secs_f64()
            };
            let (commits_a_second, rows) = (per_second(commits), per_second(commits * per_commit));
            println!(
                "  {:24} {rows:8.0} accounts/s {commits_a_second:7.0} commits/s   {}",
                crew.name,
                sample.text()
            );
            measured.push(json!({
                "crew": crew.name, "writers": crew.writers.len(), "accounts_a_commit": per_commit, "commits": commits,
                "accounts_per_second": rows, "commits_per_second": commits_a_second, "took": sample.json(),
            }));
        }
    }
    measured
}

impl Crew {
    /// Has everybody commit at once, and returns how long all took.
    async fn commit(&mut self, per_commit: usize, times: usize) -> Duration {
        let begun = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for mut writer in self.writers.drain(..) {
            all.spawn(async move {
                for _ in 0..times {
                    writer.create(per_commit).await;
                }
                writer
            });
        }
        self.writers = all.join_all().await;
        begun.elapsed()
    }
}

/// Commits while somebody else holds up an organization: another one, and the same.
async fn waits(server: &Server) -> Value {
    let database = server.database().await;
    let (mut first, mut second) =
        (Writer::start(&database, 0).await, Writer::start(&database, 1).await);
    let mut samples: [Vec<Duration>; 3] = Default::default();
    for _ in 0..=ROUNDS {
        samples[0].push(timed(second.create(1)).await);
        let held = server.hold(&database, &organization(0).namespace).await;
        samples[1].push(timed(second.create(1)).await);
        let let_go = async {
            tokio::time::sleep(HELD).await;
            held.let_go().await;
        };
        samples[2].push(tokio::join!(timed(first.create(1)), let_go).0);
    }
    let [free, beside, behind] =
        samples.map(|times| Sample::new(times.into_iter().skip(1).collect()));
    println!("\none commit of one account:");
    println!("  nobody else writes                          {}", free.text());
    println!("  another's organization is held up           {}", beside.text());
    println!("  its own is held up for {HELD:?}                {}", behind.text());
    json!({ "free": free.json(), "another_held": beside.json(), "own_held": behind.json(), "held_ms": HELD.as_millis() })
}

async fn timed(commit: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    commit.await;
    begun.elapsed()
}

/// Fills a store with many accounts, and reads what an operator reads at its start and whenever it
/// compares everything.
async fn comparison(server: &Server) -> Value {
    let many = std::env::var("ROSTER_MANY").ok().map_or(MANY, |many| many.parse().unwrap());
    let database = server.database().await;
    let mut writer = Writer::start(&database, 0).await;
    let begun = Instant::now();
    for _ in 0..many.div_ceil(TOGETHER) {
        writer.create(TOGETHER).await;
    }
    let filled = begun.elapsed();
    let accounts = writer.created();
    let rate = f64::from(u32::try_from(accounts).unwrap()) / filled.as_secs_f64();
    println!(
        "\n{accounts} accounts were created in groups of {TOGETHER} within {filled:.1?}: {rate:.0} a second"
    );
    drop(writer);

    let mut samples: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let store = Writer::start(&database, 0).await.into_store();
        samples[0].push(begun.elapsed());
        let begun = Instant::now();
        compare(&store, accounts).await;
        samples[1].push(begun.elapsed());
        let begun = Instant::now();
        assert_eq!(store.owners().await.unwrap().len(), accounts);
        samples[2].push(begun.elapsed());
        store.close().await;
    }
    let [start, compared, owners] = samples.map(Sample::new);
    println!("  opening and claiming the store              {}", start.text());
    println!("  reading everybody in groups of {TOGETHER}          {}", compared.text());
    println!("  reading whose accounts there are            {}", owners.text());
    json!({
        "accounts": accounts, "filled_ms": filled.as_millis(), "accounts_per_second": rate,
        "start": start.json(), "compare": compared.json(), "owners": owners.json(),
    })
}

/// Reads what is read to compare everybody: of each group of users the organization, who they are
/// and whom they follow, and who follows them; and once how many there are of what.
async fn compare(store: &SqlStore, accounts: usize) {
    let organization = organization(0);
    let numbers: Vec<usize> = (0..accounts).collect();
    let mut seen = 0;
    for group in numbers.chunks(TOGETHER) {
        let names: Vec<UserName> = group
            .iter()
            .map(|number| (organization.namespace.clone(), user_name(*number)))
            .collect();
        let records = store.organizations(std::slice::from_ref(&organization)).await.unwrap();
        assert!(matches!(
            &records[&organization.namespace],
            OrganizationRecord { claimed: Some(_), .. }
        ));
        seen += store.inheritance_chain(&names).await.unwrap().len();
        assert!(store.heirs(&names).await.unwrap().is_empty());
    }
    assert_eq!(seen, accounts);
    let counts = store
        .counts(&HashMap::from([(organization.namespace.clone(), Deleting::default())]))
        .await
        .unwrap();
    assert_eq!(counts[&organization.namespace].members["users"], i64::try_from(accounts).unwrap());
}
