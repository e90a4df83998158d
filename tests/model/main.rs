//! Random organizations against a model of how permissions are inherited, cloned and copied.
//!
//! [`steps`] writes scripts of what happens to an organization; [`organization`] plays them on the
//! real reconciler and a store; [`reference`] says what must be in force, by resources alone.
//!
//! # What the law allows between quiet points
//!
//! After **every commit** a second connection reads all accounts, groups and, in a database, the
//! view that applications read. All of it must equal the law after the plans that the store took,
//! in their order: an account has what its `User` declared when its plan was taken (uid and
//! generation must be the ones declared then), computed on the accounts in force at that moment. So
//! what lags is the moment in which a plan is taken, and nothing else; what is inherited has no lag
//! at all. Three things alone are taken over from the plan or the store and bounded instead:
//!
//! - an administrator's `state` and `groupRef` may still wait, whole, though somebody else is in
//!   control by now;
//! - a clone may not be taken yet, and then the account has its own grants only;
//! - a loop that leads through a `User` without an account is closed and opened by declarations,
//!   not by commits. The mark of an account on it may be late; whatever it keeps, it had before the
//!   commit.
//!
//! No commit may leave users and nobody in control where somebody was, create an account that must
//! wait, or delete one that is held.
//!
//! At a **quiet point** nothing more may be asked for by the law either: every account, group,
//! status and reason is as it says, and a full comparison writes nothing to the store or the
//! cluster.
//!
//! `ROSTER_SEED` and `ROSTER_CASES` play other and more scripts; a failing one is printed, cut
//! down.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "how many cases were played is worth knowing")]

mod organization;
mod reference;
mod steps;
mod watched;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use organization::{Played, Tally};
use reference::{Mode, Person};
use steps::{Dice, Edit, Step, Writer};
use tokio::runtime::Runtime;
use watched::Watched;

const SEED: u64 = 3;
const MINUTE: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn play(script: &[Step], store: Watched) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut played = Played::new(store);
            played.play(script).await.map(|()| played.tally)
        })
    }));
    played.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        Err(format!(
            "it panicked: {}",
            said.or_else(|| panic.downcast_ref::<&str>().map(|&said| said.to_owned()))
                .unwrap_or_default()
        ))
    })
}

/// Leaves out of a failing script what it fails without.
fn cut_down(mut script: Vec<Step>, store: &dyn Fn() -> Watched) -> (Vec<Step>, String) {
    let begun = Instant::now();
    let mut breach = play(&script, store()).expect_err("it failed before");
    let mut size = script.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < script.len() && begun.elapsed().as_secs() < number("ROSTER_SHRINK_SECONDS", 20) {
            let mut shorter = script.clone();
            shorter.drain(at..(at + size).min(script.len()));
            match play(&shorter, store()) {
                Err(again) => (script, breach) = (shorter, again),
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    (script, breach)
}

/// Plays a script, and cuts it down where it breaks the law.
fn judge(name: &str, script: Vec<Step>, store: &dyn Fn() -> Watched) -> Result<Tally, String> {
    play(&script, store()).map_err(|breach| {
        println!("{name}: {breach}");
        let (script, breach) = cut_down(script, store);
        let told = script.iter().fold(String::new(), |mut told, step| {
            writeln!(told, "  {step}").unwrap();
            told
        });
        format!("{name}: {breach}\nthe script:\n{told}")
    })
}

#[track_caller]
fn check(sizes: &[(usize, usize)], cases: u64, store: &dyn Fn() -> Watched) {
    let mut dice = Dice(number("ROSTER_SEED", SEED));
    let (begun, mut all, mut breaches) = (Instant::now(), Tally::default(), vec![]);
    let cases = number("ROSTER_CASES", cases);
    for case in 0..cases {
        let seed = u64::try_from(dice.below(usize::MAX)).unwrap();
        let (people, rounds) = sizes[usize::try_from(case).unwrap() % sizes.len()];
        match judge(
            &format!("case {case}, seed {seed}, {people} people"),
            Writer::script(seed, people, rounds),
            store,
        ) {
            Ok(tally) => all.add(tally),
            Err(breach) => breaches.push(breach),
        }
        if breaches.len() > 4 {
            break;
        }
    }
    println!("{cases} cases, {all:?}, {} ms", begun.elapsed().as_millis());
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Scripts that once broke the law, by seed, people and rounds.
const BROKE_IT: [(u64, usize, usize); 19] = [
    (11307387092600937729, 10, 60),
    (3992596847233833366, 8, 80),
    (1916716703724845557, 40, 40),
    (3980598000218139604, 10, 60),
    (16580042889335441288, 4, 40),
    (13668465430565696497, 40, 40),
    (15771848091591736990, 8, 80),
    (10791943736258065752, 40, 40),
    (16764708815029058805, 10, 60),
    (1642122753138189214, 40, 40),
    (4778673417231027655, 6, 60),
    (15131797978196332255, 8, 80),
    (18129017328079459514, 4, 40),
    (13039017591022599264, 6, 60),
    (5050231873019120651, 6, 60),
    (11107809382445345067, 10, 60),
    (15019321150033396200, 6, 60),
    (10976119427916720933, 10, 60),
    (10620694704086081803, 6, 60),
];

#[test]
fn what_once_broke_the_law_keeps_it() {
    for (seed, people, rounds) in BROKE_IT {
        let played = judge(
            &format!("seed {seed}"),
            Writer::script(seed, people, rounds),
            &Watched::in_memory,
        );
        played.unwrap_or_else(|breach| panic!("{breach}"));
    }
}

fn in_memory(sizes: &[(usize, usize)], cases: u64) {
    check(sizes, cases, &Watched::in_memory);
}

fn in_sqlite(sizes: &[(usize, usize)], cases: u64) {
    let runtime = Runtime::new().unwrap();
    check(sizes, cases, &|| Watched::in_sqlite(runtime.handle()));
}

fn in_postgres(sizes: &[(usize, usize)], cases: u64) {
    let runtime = Runtime::new().unwrap();
    check(sizes, cases, &|| Watched::in_postgres(runtime.handle()));
}

#[test]
fn an_organization_in_memory_keeps_the_law_whatever_happens_to_it() {
    in_memory(&[(3, 40), (6, 60), (10, 60), (4, 40), (8, 80), (40, 40)], 600);
}

#[test]
fn an_organization_in_sqlite_keeps_the_law_whatever_happens_to_it() {
    in_sqlite(&[(4, 40), (8, 50), (12, 40)], 30);
}

#[test]
fn an_organization_in_postgres_keeps_the_law_whatever_happens_to_it() {
    in_postgres(&[(4, 40), (8, 50), (12, 40)], 9);
}

#[test]
fn an_organization_of_hundreds_keeps_the_law_whatever_happens_to_it() {
    in_memory(&[(400, 300)], 1);
    in_sqlite(&[(320, 100)], 1);
}

fn follow(name: usize, from: Option<usize>) -> Step {
    Step::Edit(format!("u{name}"), Edit::From(from.map(|from| (Mode::Inherit, format!("u{from}")))))
}

fn grant(name: usize, words: &[&str]) -> Step {
    Step::Edit(
        format!("u{name}"),
        Edit::Grants(words.iter().map(|&word| word.to_owned()).collect()),
    )
}

/// So many people, each of whom but the last follows the next one.
fn line(length: usize) -> Vec<Step> {
    let mut script: Vec<Step> = (0..length)
        .map(|name| {
            let from = (name + 1 < length).then(|| (Mode::Inherit, format!("u{}", name + 1)));
            Step::Create(format!("u{name}"), Person::plain(&format!("u{name}"), from))
        })
        .collect();
    script.push(Step::Quiet);
    script
}

#[track_caller]
fn check_soon(name: &str, script: Vec<Step>) {
    let begun = Instant::now();
    let tally =
        judge(name, script, &Watched::in_memory).unwrap_or_else(|breach| panic!("{breach}"));
    println!("{name}: {tally:?}, {} ms", begun.elapsed().as_millis());
    assert!(tally.slowest < MINUTE, "{name}: at rest after {:?}", tally.slowest);
}

#[test]
fn a_line_of_a_thousand_comes_to_rest_within_a_minute_of_every_edit() {
    let mut script: Vec<Step> = (0..1000)
        .map(|name| Step::Create(format!("u{name}"), Person::plain(&format!("u{name}"), None)))
        .collect();
    script.push(Step::Quiet);
    script.extend((0..999).map(|name| follow(name, Some(name + 1))));
    script.extend([grant(999, &["p0"]), grant(980, &["p1"]), Step::Quiet]);
    script.extend([follow(999, Some(0)), Step::Quiet, follow(500, None), Step::Quiet]);
    check_soon("a line of a thousand", script);
}

#[test]
fn a_line_of_forty_is_there_within_a_minute_of_its_creation() {
    let mut script = line(40);
    script.extend([follow(20, None), Step::Quiet]);
    check_soon("a line of forty", script);
}

#[test]
fn a_loop_on_which_everybody_is_edited_at_once_comes_to_rest_within_a_minute() {
    let mut script = line(30);
    script.extend([follow(29, Some(0)), Step::Quiet]);
    script.extend((0..30).map(|name| grant(name, &["p0"])));
    script.push(Step::Quiet);
    script.extend((0..30).map(|name| grant(name, &[])));
    script.push(Step::Quiet);
    check_soon("a loop of thirty", script);
}
