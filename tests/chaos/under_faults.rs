//! Teams that share a store while it and they suffer one fault after the other.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use roster::store::sql::SqlStore;
use roster_test_support::chaos::content::Content;
use roster_test_support::chaos::driver::{Driver, Past};
use roster_test_support::chaos::end::{billed, directory, months, read};
use roster_test_support::chaos::faults::{OfDatabase, Schedule, strike};
use roster_test_support::chaos::oracles::{self, Billable, Declared, Said};
use roster_test_support::chaos::team::Team;
use roster_test_support::chaos::write_audit::Witness;
use roster_test_support::cluster::{PATIENCE, eventually, run, run_roster, within};
use roster_test_support::postgres::{Database, Server};
use roster_test_support::rng::{Dice, number_from, seed};

use crate::CLUSTER;

/// How many operators share the store.
const TEAMS: usize = 5;

/// How many faults there are unless `ROSTER_ROUNDS` says something else.
const ROUNDS: u64 = 40;

/// Returns a database on a server of its own, with a store and a witness in it.
fn witnessed() -> Database {
    run(async {
        let database = Database::on(&Server::start()).await;
        SqlStore::open(&database.url()).await.expect("the store can be made").close().await;
        Witness::install(&mut database.connect().await).await;
        database
    })
}

/// Has teams and database suffer their faults, beside each other, while drivers change what is
/// declared.
fn suffer(
    database: &Database,
    teams: &mut [Team],
    drivers: &mut [Driver],
    schedule: &Schedule,
    dice: &Dice,
) {
    let (stop, past, done, begun) =
        (AtomicBool::new(false), Past::new(0), AtomicUsize::new(0), Instant::now());
    let told = |who: &str, what: &str| {
        let number = done.fetch_add(1, Ordering::Relaxed) + 1;
        println!("{:6.1} s  round {number}: {who} {what}", begun.elapsed().as_secs_f64());
    };
    std::thread::scope(|scope| {
        let driving: Vec<_> =
            drivers.iter_mut().map(|driver| scope.spawn(|| driver.drive(&stop, &past))).collect();
        let mut lanes = vec![scope.spawn(|| {
            let mut dice = dice.split(1000);
            for &fault in &schedule.of_database {
                strike(database, fault, &mut dice);
                told("the database", &format!("{fault:?}"));
            }
        })];
        for (number, (team, faults)) in (0..).zip(teams.iter_mut().zip(&schedule.of_leaders)) {
            let mut dice = dice.split(2000 + number);
            let told = &told;
            lanes.push(scope.spawn(move || {
                for &fault in faults {
                    team.suffer(fault, &mut dice);
                    told(
                        &format!("the leader of {}", team.organization.name),
                        &format!("{fault:?}"),
                    );
                }
            }));
        }
        let lanes: Vec<_> = lanes.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        let drivers: Vec<_> =
            driving.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        for ended in lanes.into_iter().chain(drivers) {
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[test]
fn whatever_happens_no_account_is_lost_doubled_or_billed_twice_and_nobody_writes_whose_claim_has_ended()
 {
    let (seed, rounds) = (seed(), number_from("ROSTER_ROUNDS").unwrap_or(ROUNDS));
    let mut dice = Dice::new(seed);
    let schedule = Schedule::draw(usize::try_from(rounds).expect("a number"), TEAMS, &mut dice);
    println!("ROSTER_ROUNDS={rounds} ROSTER_SEED={seed}: {}", schedule.summary());
    assert!(
        rounds < 40
            || schedule.of_database.iter().any(|fault| matches!(fault, OfDatabase::Killed(_)))
    );

    let database = witnessed();
    let folder = CLUSTER.organization().file("directory");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let mut teams: Vec<Team> = (0..TEAMS)
        .map(|_| Team::of(CLUSTER.organization(), vec![], &database, (&folder, None)))
        .collect();
    let mut drivers: Vec<Driver> = (0..)
        .zip(&teams)
        .map(|(number, team)| Driver::new(&team.organization, &database.url(), dice.split(number)))
        .collect();
    let begun = Instant::now();
    suffer(&database, &mut teams, &mut drivers, &schedule, &dice);
    let took = begun.elapsed();

    teams.iter_mut().for_each(Team::until_it_works);
    let begun = Instant::now();
    drivers.iter_mut().for_each(|driver| drop(driver.settled()));
    for (login, password, enabled) in drivers.iter().flat_map(Driver::passwords) {
        eventually(&format!("{login} is let in with the newest password: {enabled}"), || {
            let entered = run_roster(&["login", &login, "--store", &database.url()], &password);
            (entered.code == Some(if enabled { 0 } else { 1 })).then_some(())
        });
    }
    // A new password of somebody who is disabled can't be tried: it may still be on its way.
    let mut complaints = vec![];
    let judged = within(3 * PATIENCE, || {
        let content = run(read(&database));
        complaints = judge(&database, &folder, &mut drivers, &content);
        complaints.is_empty().then_some(content)
    });
    let content = judged.unwrap_or_else(|| {
        panic!("ROSTER_ROUNDS={rounds} ROSTER_SEED={seed}:\n{}", complaints.join("\n"))
    });
    println!(
        "{rounds} rounds in {took:.1?}, and all was settled {:.1?} after the last",
        begun.elapsed()
    );
    let changes: usize = drivers.iter().map(Driver::changes).sum();
    let late: usize = teams.iter().map(|team| team.late).sum();
    let in_the_middle: usize = teams.iter().map(|team| team.in_the_middle).sum();
    println!(
        "{changes} changes, {in_the_middle} leaders hit in the middle of a transaction, {} lives, {} transactions, {} written rows, {} claims; {late} replicas ended because they were too late",
        content.lifetimes.len(),
        content.journal.len(),
        content.witness.writes.len(),
        content.witness.claims.len(),
    );
    let wrote: BTreeSet<&str> =
        content.witness.writes.iter().map(|write| write.namespace.as_str()).collect();
    assert_eq!(wrote.len(), TEAMS, "everybody wrote something");
}

/// Returns what the oracles complain of once everything is as declared.
#[track_caller]
fn judge(
    database: &Database,
    folder: &Path,
    drivers: &mut [Driver],
    content: &Content,
) -> Vec<String> {
    let declared: Vec<Declared> = drivers.iter_mut().flat_map(Driver::settled).collect();
    let said: BTreeSet<Said> = drivers.iter().flat_map(|driver| driver.said().clone()).collect();
    let billable = Billable {
        seen: drivers.iter().flat_map(|driver| driver.seen().clone()).collect(),
        asked_for: drivers.iter().flat_map(|driver| driver.asked_for().clone()).collect(),
    };
    let mut complaints = oracles::of_the_store(content);
    complaints.extend(oracles::users(&declared, content));
    complaints.extend(oracles::what_was_said(&said, &content.witness));
    complaints.extend(oracles::bill(
        &billed(&database.url(), &run(months(database))),
        &billable,
        content,
    ));
    complaints.extend(directory(folder, content));
    complaints
}
