//! Random histories of operators that die and are replaced while their requests to a directory are
//! still under way.
//!
//! [`steps`] writes what happens, [`player`] plays it with the real reconciler on one store,
//! [`directory`] carries out what arrives there, and [`oracles`] look after each write of a status
//! and each arrival: nobody may log in whom the status calls disabled or whose `User` is gone, and
//! nobody who is Ready has more rights than the status says for longer than a moment. Once nothing
//! fails any more the directory has what is declared, and at rest nothing is sent.
//!
//! `ROSTER_SEED` and `ROSTER_CASES` play other and more histories, and `ROSTER_HISTORY` the one of
//! that seed; a failing one is printed, cut down.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "how many histories were played is worth knowing")]

mod client;
mod directory;
mod oracles;
mod player;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roster_test_support::rng::{self, Dice};

use player::{Planted, Player};
use steps::Step;

const SEED: u64 = 11;
const LENGTH: usize = 14;

/// A history that broke a promise: how, and what happened until then.
#[derive(Debug)]
struct Breach {
    what: String,
    trace: Vec<String>,
}

impl Breach {
    /// Returns what was broken, whoever it was broken with.
    fn kind(&self) -> String {
        let is_common = |word: &&str| word.chars().all(char::is_alphabetic);
        self.what.split_whitespace().filter(is_common).collect::<Vec<_>>().join(" ")
    }
}

fn number(variable: &str, default: u64) -> u64 {
    rng::number_from(variable).unwrap_or(default)
}

/// Plays a history; the dice of what its requests meet have a seed of their own.
fn play(seed: u64, steps: &[Step], planted: Option<Planted>) -> Result<(), Breach> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    fastrand::seed(seed);
    let mut trace = None;
    let played = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut player = Player::new(Dice::new(seed).split(1), planted).await;
            trace = Some(player.directory().clone());
            for step in steps {
                player.step(step).await;
                if player.is_broken() {
                    break;
                }
            }
            let wrong = if player.is_broken() { None } else { player.end().await };
            let breach = player.directory().lock().oracles.breach().cloned();
            breach.or(wrong)
        })
    }));
    let said = played.unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&said| said.to_owned()));
        Some(format!("it panicked: {}", said.unwrap_or_default()))
    });
    let trace = || trace.map(|directory| directory.lock().trace().to_vec()).unwrap_or_default();
    said.map_or(Ok(()), |what| Err(Breach { what, trace: trace() }))
}

/// Leaves out of a failing history what it fails without.
fn cut_down(seed: u64, mut steps: Vec<Step>, planted: Option<Planted>) -> (Vec<Step>, Breach) {
    let begun = Instant::now();
    let mut breach = play(seed, &steps, planted).expect_err("it failed before");
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() && begun.elapsed() < Duration::from_secs(10) {
            let mut shorter = steps.clone();
            shorter.drain(at..(at + size).min(steps.len()));
            match play(seed, &shorter, planted) {
                Err(again) if again.kind() == breach.kind() => (steps, breach) = (shorter, again),
                _ => at += size,
            }
        }
        size /= 2;
    }
    (steps, breach)
}

/// Returns the random history of a seed.
fn history(seed: u64) -> Vec<Step> {
    steps::history(&mut Dice::new(seed), LENGTH)
}

/// Plays the histories of these seeds, on every core. Returns those that break a promise, in their
/// order.
fn broken(seeds: &[u64], planted: Option<Planted>) -> Vec<(u64, Breach)> {
    let executors = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied());
        mine.filter_map(|seed| {
            play(seed, &history(seed), planted).err().map(|breach| (seed, breach))
        })
        .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..executors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all
}

#[track_caller]
fn check(seeds: &[u64]) {
    let begun = Instant::now();
    let breaches = broken(seeds, None);
    println!(
        "{} histories in {} ms, {} of them break a promise",
        seeds.len(),
        begun.elapsed().as_millis(),
        breaches.len()
    );
    breaches.iter().for_each(|(seed, breach)| println!("seed {seed}: {}", breach.what));
    if let Some((seed, _)) = breaches.first() {
        let (steps, Breach { what, trace }) = cut_down(*seed, history(*seed), None);
        let steps: String = steps.iter().map(|step| format!("  {step:?}\n")).collect();
        panic!(
            "seed {seed}: {what}\nthe history, cut down:\n{steps}what happened:\n{}",
            trace.join("\n")
        );
    }
}

/// The seeds of the histories that are played.
fn seeds(cases: u64) -> Vec<u64> {
    let first = number("ROSTER_SEED", SEED) * 1_000_000;
    (first..first + cases).collect()
}

#[test]
fn nobody_may_log_in_whom_the_status_calls_disabled_or_gone() {
    if let Some(seed) = rng::number_from("ROSTER_HISTORY") {
        return check(&[seed]);
    }
    check(&seeds(number("ROSTER_CASES", 1000)));
}

/// Plays histories with a mistake until one breaks a promise.
#[track_caller]
fn check_that_it_is_found(planted: Planted) {
    let found = seeds(1000).into_iter().zip(1..).find_map(|(seed, played)| {
        Some((played, play(seed, &history(seed), Some(planted)).err()?))
    });
    let (played, breach) = found.unwrap_or_else(|| panic!("nobody noticed {planted:?}"));
    println!("{planted:?} was found in the {played}th history: {}", breach.what);
}

#[test]
fn an_operator_that_does_not_check_its_claim_is_found_out() {
    check_that_it_is_found(Planted::ChecksNoClaim);
}

#[test]
fn requests_that_are_later_than_the_operator_waits_for_are_found_out() {
    check_that_it_is_found(Planted::Lateness);
}
