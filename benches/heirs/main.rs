//! What it costs that heirs follow their source: a change of the source against rewriting what each
//! heir has, and reading permissions that are worked out against reading ones that are written
//! down.
//!
//! Prints tables, and writes them to `target/bench/heirs.json`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on fails, and prints what it found"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roster_test_support::followed::{Followed, Shape, WrittenDown, login_name};
use roster_test_support::sample::{ROUNDS, Sample};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

/// How many heirs an organization has.
const HEIRS: usize = 10_000;

/// How many times as long as rewriting everybody a change of the source may take.
const TARGET: f64 = 1.5;

/// How many reads of one account are timed together.
const READS: u32 = 200;

/// An organization to measure.
struct Organization {
    name: &'static str,
    heirs: usize,
    deepest: usize,
    followed: Followed,
    written_down: WrittenDown,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("bench");
    std::fs::create_dir_all(&target).unwrap();
    let shapes = [
        ("all follow the source", Shape::Star, HEIRS),
        ("a tree, ten below each", Shape::Tree(10), HEIRS),
        ("chains of 32", Shape::Lines(32), HEIRS),
        ("one chain of 32", Shape::Lines(32), 32),
    ];
    let mut changes = vec![];
    let mut reads = vec![];
    for (name, shape, heirs) in shapes {
        let mut organization = organization(&target, name, (shape, heirs)).await;
        changes.push(change(&mut organization).await);
        reads.push(read(&mut organization).await);
    }
    let within = changes
        .iter()
        .filter(|change| change["heirs"] == HEIRS)
        .all(|change| change["ratio"].as_f64().unwrap() <= TARGET);
    let file = target.join("heirs.json");
    let found = json!({ "target_ratio": TARGET, "within_target": within, "changes": changes, "reads": reads });
    std::fs::write(&file, serde_json::to_string_pretty(&found).unwrap()).unwrap();
    println!("\nalso in {}", file.display());
    assert!(
        within,
        "a change of a source took more than {TARGET} times as long as rewriting every heir"
    );
}

async fn organization(
    below: &Path,
    name: &'static str,
    (shape, heirs): (Shape, usize),
) -> Organization {
    let followed = Followed::new(below, shape, heirs).await;
    Organization {
        name,
        heirs,
        deepest: shape.deepest(heirs),
        followed,
        written_down: WrittenDown::new(below, heirs).await,
    }
}

/// Changes the permissions of all, by turns.
async fn change(organization: &mut Organization) -> Value {
    let Organization { name, heirs, deepest: _, followed, written_down } = organization;
    let (mut at_source, mut everywhere) = (vec![], vec![]);
    // The first round warms up.
    for round in 1..=ROUNDS + 1 {
        at_source.push(followed.change(round).await);
        everywhere.push(written_down.change(round).await);
    }
    let (at_source, everywhere) =
        (Sample::new(at_source.split_off(1)), Sample::new(everywhere.split_off(1)));
    let ratio = at_source.ratio(&everywhere);
    println!("\n{name}: {heirs} heirs");
    println!("  a change of the source is in force for all  {}", at_source.text());
    println!("  rewriting the permissions of all            {}", everywhere.text());
    println!("  ratio                                       {ratio:.3}");
    json!({ "shape": name, "heirs": heirs, "source": at_source.json(), "rewriting": everywhere.json(), "ratio": ratio })
}

/// Reads the permissions of one account and of all through the view, by turns.
async fn read(organization: &mut Organization) -> Value {
    let Organization { name, heirs, deepest, followed, written_down } = organization;
    let mut samples: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (index, reader) in [followed.reader(), written_down.reader()].into_iter().enumerate() {
            let mut connection = reader.connect().await;
            read_all(&mut connection).await;
            samples[index].push(read_one(&mut connection, *deepest).await);
            samples[index + 2].push(read_all(&mut connection).await);
        }
    }
    let [one, one_plain, all, all_plain] = samples.map(Sample::new);
    println!("  reading the furthest heir, inherited        {}", one.text());
    println!("  reading the same account, written down      {}", one_plain.text());
    println!("  reading all accounts, inherited             {}", all.text());
    println!("  reading all accounts, written down          {}", all_plain.text());
    json!({
        "shape": name,
        "accounts": *heirs + 1,
        "one": { "inherited": one.json(), "written_down": one_plain.json(), "ratio": one.ratio(&one_plain) },
        "all": { "inherited": all.json(), "written_down": all_plain.json(), "ratio": all.ratio(&all_plain) },
    })
}

/// Returns how long one read of an account's permissions takes.
async fn read_one(connection: &mut SqliteConnection, number: usize) -> Duration {
    let login_name = login_name(number);
    let begun = Instant::now();
    for _ in 0..READS {
        let query =
            sqlx::query_scalar("SELECT permissions FROM roster_accounts WHERE login_name = $1");
        let _: String = query.bind(&login_name).fetch_one(&mut *connection).await.unwrap();
    }
    begun.elapsed() / READS
}

/// Returns how long reading everybody's permissions takes.
async fn read_all(connection: &mut SqliteConnection) -> Duration {
    let begun = Instant::now();
    let query =
        sqlx::query_scalar("SELECT permissions FROM roster_accounts WHERE organization = 'acme'");
    let _: Vec<String> = query.fetch_all(connection).await.unwrap();
    begun.elapsed()
}
