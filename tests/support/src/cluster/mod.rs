//! A real control plane, organizations in it, people who make requests, and operators.

mod control_plane;
pub mod middlebox;
mod objects;
mod operator;
mod organization;
pub mod proxy;
pub mod replica;
mod requester;
mod store_place;
pub mod wrong_clock;

pub use control_plane::{Output, Setup, TestCluster, run};
pub use objects::{With, condition, domain, group, passed, refused, user};
pub use operator::{HeldStore, Operator, run_roster};
pub use organization::Organization;
pub use requester::{Refusal, Requester};

use std::time::{Duration, Instant};

/// How long anything may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until there is an answer, and panics when none came in time.
#[track_caller]
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, ask).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

/// Asks until there is an answer or the time is over.
pub fn within<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || started.elapsed() > patience {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
