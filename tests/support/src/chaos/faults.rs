//! Faults, drawn from a seed: who suffers what, in which order.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Connection;

use crate::chaos::write_audit::Witness;
use crate::cluster::{eventually, run};
use crate::postgres::Database;
use crate::rng::Dice;

/// What happens to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfLeaders {
    /// It is killed with SIGKILL.
    Killed,
    /// It is stopped past its Lease, and goes on when another works.
    Paused,
    /// It doesn't reach the API server any more.
    CutOff,
}

/// What happens to the database, which all share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfDatabase {
    /// It is killed with SIGKILL, and started again after this time.
    Killed(Duration),
    /// Every connection is cut.
    AllCut,
    /// One connection is cut, of one in the middle of a transaction where there is one.
    OneCut,
}

/// The faults of a run. Each list is a lane of its own: one fault after the other.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub of_database: Vec<OfDatabase>,
    /// By the number of the team.
    pub of_leaders: Vec<Vec<OfLeaders>>,
}

impl Schedule {
    /// Draws so many faults for so many teams.
    pub fn draw(rounds: usize, teams: usize, dice: &mut Dice) -> Self {
        let mut schedule = Self { of_database: vec![], of_leaders: vec![vec![]; teams] };
        for round in 0..rounds {
            if round % 5 < 2 {
                let fault = match dice.below(10) {
                    0..4 => OfDatabase::Killed(dice.time(0..3000)),
                    4..6 => OfDatabase::AllCut,
                    _ => OfDatabase::OneCut,
                };
                schedule.of_database.push(fault);
            } else {
                let fault = match dice.below(10) {
                    0..4 => OfLeaders::Killed,
                    4..8 => OfLeaders::Paused,
                    _ => OfLeaders::CutOff,
                };
                let team = schedule
                    .of_leaders
                    .iter()
                    .map(Vec::len)
                    .enumerate()
                    .min_by_key(|(_, length)| *length);
                schedule.of_leaders[team.expect("there are teams").0].push(fault);
            }
        }
        schedule
    }

    /// Says how many faults there are of which kind.
    pub fn summary(&self) -> String {
        let count = |kind: OfLeaders| {
            self.of_leaders.iter().flatten().filter(|fault| **fault == kind).count()
        };
        let (all, one) = [OfDatabase::AllCut, OfDatabase::OneCut]
            .map(|kind| self.of_database.iter().filter(|fault| **fault == kind).count())
            .into();
        format!(
            "PostgreSQL killed {} times, all connections cut {all} times and one {one} times, leaders killed {} times, paused {} \
             times and cut off {} times",
            self.of_database.len() - all - one,
            count(OfLeaders::Killed),
            count(OfLeaders::Paused),
            count(OfLeaders::CutOff),
        )
    }
}

/// Lets operators work for a while, does something to the database, and waits until they write
/// again.
#[track_caller]
pub fn strike(database: &Database, fault: OfDatabase, dice: &mut Dice) {
    std::thread::sleep(dice.time(0..2000));
    match fault {
        OfDatabase::Killed(away) => {
            database.server().kill();
            std::thread::sleep(away);
            database.server().resume();
        }
        OfDatabase::AllCut => drop(run(database.cut_connections())),
        OfDatabase::OneCut => run(cut_one(database, dice)),
    }
    let before = run(newest(database));
    eventually("operators write again", || {
        let now = run(newest(database));
        let moved =
            now.iter().filter(|(namespace, number)| before.get(*namespace) != Some(number)).count();
        // The leaders of some may be gone meanwhile.
        (moved >= 2).then_some(())
    });
}

async fn newest(database: &Database) -> HashMap<String, i64> {
    let mut connection = database.connect().await;
    let newest = Witness::newest(&mut connection).await.expect("the witness is there");
    connection.close().await.expect("the connection closes");
    newest.into_iter().collect()
}

async fn cut_one(database: &Database, dice: &mut Dice) {
    let cut = "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() \
               ORDER BY xact_start IS NULL, md5(CAST(pid AS text) || $1) LIMIT 1) AS one";
    let salt = dice.below(usize::MAX).to_string();
    let mut connection = database.connect().await;
    sqlx::query(cut).bind(salt).execute(&mut connection).await.expect("connections can be cut");
    connection.close().await.expect("the connection closes");
}
