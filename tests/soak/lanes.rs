//! What happens beside each other: each lane does one thing after the other, until told to stop.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roster_test_support::chaos::driver::Past;
use roster_test_support::chaos::faults::{OfDatabase, OfLeaders, strike};
use roster_test_support::chaos::team::Team;
use roster_test_support::cluster::Organization;
use roster_test_support::cluster::middlebox::{self, Middlebox, Scope};
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use serde_json::json;

use crate::ledger::{Fault, Ledger, NOTICES};
use crate::observer::Observer;

/// Waits for a time, but not past the end. Returns whether to go on.
pub(crate) fn waits(stop: &AtomicBool, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    !stop.load(Ordering::Relaxed)
}

/// Does something with growing numbers, again and again; nobody puts the cluster back to before
/// meanwhile.
pub(crate) fn again(
    stop: &AtomicBool,
    past: &Past,
    mut pause: impl FnMut() -> Duration,
    mut strike: impl FnMut(usize),
) {
    for number in 0.. {
        if !waits(stop, pause()) {
            return;
        }
        let past = past.read().unwrap_or_else(PoisonError::into_inner);
        // It may have been waited for long.
        if stop.load(Ordering::Relaxed) {
            return;
        }
        strike(number);
        drop(past);
    }
}

/// Kills the database, or cuts its connections.
pub(crate) fn database(ledger: &Ledger, database: &Database, dice: &mut Dice) {
    let (kind, fault) = match dice.below(10) {
        0..4 => (Fault::PostgresKilled, OfDatabase::Killed(dice.time(0..3000))),
        4..6 => (Fault::ConnectionsCut, OfDatabase::AllCut),
        _ => (Fault::ConnectionsCut, OfDatabase::OneCut),
    };
    ledger.during(kind, || strike(database, fault, dice));
}

/// Has a middlebox spoil some answers of the API server, in one way.
pub(crate) fn answers(ledger: &Ledger, middlebox: &Middlebox, dice: &mut Dice) {
    let spoils = (
        dice.choice(&middlebox::Fault::ALL),
        dice.choice(&[Scope::Everything, Scope::Secrets, Scope::Writes]),
    );
    ledger.during(Fault::AnswersSpoilt, || {
        middlebox.spoils(Some(spoils));
        std::thread::sleep(dice.time(500..4000));
        middlebox.spoils(None);
    });
}

/// Does something to a team's leader, or to its Lease.
pub(crate) fn leader(ledger: &Ledger, team: &mut Team, past: &Past, dice: &mut Dice) {
    let suffer = |team: &mut Team, kind, fault, dice: &mut Dice| {
        ledger.during(kind, || team.suffer(fault, dice))
    };
    match dice.below(10) {
        0..3 => suffer(team, Fault::LeaderKilled, OfLeaders::Killed, dice),
        3..5 => suffer(team, Fault::LeaderPaused, OfLeaders::Paused, dice),
        5..7 => suffer(team, Fault::LeaderCutOff, OfLeaders::CutOff, dice),
        number => {
            let past = past.read().unwrap_or_else(PoisonError::into_inner);
            let absurd = json!({"roster.rs/epoch": "9223372036854775807", "roster.rs/commits": "9223372036854775807"});
            if number < 9 {
                let ghost =
                    json!({"holderIdentity": "ghost_1_0badcafe", "leaseDurationSeconds": 86_400});
                ledger.during(Fault::LeaseHeldByGhost, || {
                    team.has_its_lease_edited(false, &json!({"spec": ghost}))
                });
            } else {
                let patch = json!({"metadata": {"annotations": absurd}});
                ledger.during(Fault::LeaseWithAbsurdEpoch, || {
                    team.has_its_lease_edited(true, &patch)
                });
            }
            drop(past);
        }
    }
}

/// Puts etcd back to the copy that was kept last, with everybody who asks the API server at rest
/// but the operators, and keeps another copy.
pub(crate) fn put_etcd_back(
    ledger: &Ledger,
    organization: &Organization,
    observer: &Observer,
    past: &Past,
) {
    let mut past = past.write().unwrap_or_else(PoisonError::into_inner);
    ledger.during(Fault::EtcdPutBack, || {
        ledger.excuse(Duration::from_secs(3600));
        organization.put_etcd_back();
        observer.watch_anew();
        ledger.excuse(NOTICES);
        organization.save_etcd();
        *past += 1;
    });
}
