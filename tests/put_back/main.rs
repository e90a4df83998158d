//! etcd is put back to a backup under running operators, again and again, while people change what
//! is declared.
//!
//! `ROSTER_ROUNDS` says how often, `ROSTER_SEED` repeats the changes of an earlier run. The tests
//! have a control plane of their own, whose etcd and API server are stopped and started.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "what was declared in a round is the only trace of it")]

mod people;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{Organization, run, within};
use roster_test_support::cluster::{Setup, TestCluster};
use roster_test_support::postgres::Database;
use roster_test_support::rng::{Dice, number_from, seed};

use people::People;

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: false, controllers: false });

/// How often etcd is put back unless `ROSTER_ROUNDS` says something else.
const ROUNDS: u64 = 2;

/// How soon after the API server is back what is declared has to be in force.
const SOON: Duration = Duration::from_secs(30);

/// There is one etcd for all tests of this binary.
static ETCD: Mutex<()> = Mutex::new(());

/// The replicas of an operator, each of which is started again when it ends, as a Deployment does.
struct Operators<'a> {
    organization: &'a Organization,
    store: String,
    replicas: Vec<Replica>,
}

impl<'a> Operators<'a> {
    fn start(organization: &'a Organization, store: String, number: usize) -> Self {
        let replicas = (0..number).map(|_| start(organization, &store)).collect();
        let operators = Self { organization, store, replicas };
        within(SOON, || operators.leads().then_some(())).expect("an operator works");
        operators
    }

    fn leads(&self) -> bool {
        self.replicas.iter().any(|replica| replica.leads() && replica.is_ready())
    }

    fn complete(&mut self) {
        for replica in &mut self.replicas {
            if !replica.runs() {
                *replica = start(self.organization, &self.store);
            }
        }
    }
}

fn start(organization: &Organization, store: &str) -> Replica {
    // Comparisons come too late to help.
    Replica::start(organization, store, &["--resync", "10m"])
}

#[track_caller]
fn play(store: String, replicas: usize) {
    let _alone = ETCD.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, rounds) = (seed(), number_from("ROSTER_ROUNDS").unwrap_or(ROUNDS));
    println!("ROSTER_ROUNDS={rounds} ROSTER_SEED={seed}");
    let mut dice = Dice::new(seed);
    let organization = CLUSTER.organization();
    let store = store.replace("FOLDER", &organization.file("").display().to_string());
    let mut operators = Operators::start(&organization, store.clone(), replicas);
    let mut people = People::found(&organization, &store);
    for round in 1..=rounds {
        people.change(&mut dice, 6);
        std::thread::sleep(dice.time(0..2000));
        organization.save_etcd();
        people.change(&mut dice, 8);
        std::thread::sleep(dice.time(0..2000));
        organization.put_etcd_back();
        let back = Instant::now();
        people.change(&mut dice, 4);
        let mut complaints = vec![];
        let settled = within(SOON.saturating_sub(back.elapsed()), || {
            operators.complete();
            complaints = people.complaints();
            complaints.is_empty().then_some(())
        });
        assert!(settled.is_some(), "ROSTER_SEED={seed}, round {round}: {}", complaints.join("\n"));
        println!("round {round}: as declared {:.1?} after the API server was back", back.elapsed());
        people.begin_anew();
    }
    let leaders = operators.replicas.iter().filter(|replica| replica.leads()).count();
    assert_eq!(leaders, 1);
}

#[test]
fn whenever_etcd_is_put_back_what_is_declared_is_in_force_within_half_a_minute() {
    play("sqlite://FOLDERroster.db?mode=rwc".to_owned(), 1);
}

#[test]
fn whenever_etcd_is_put_back_one_of_several_operators_works_on() {
    let database = run(Database::new());
    play(database.url(), 2);
}
