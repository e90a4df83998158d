//! The harness: a control plane, organizations in it, people who make requests, and operators.

#[path = "../application.rs"]
pub(crate) mod application;
#[path = "../base64.rs"]
pub(crate) mod base64;
mod control_plane;
mod objects;
mod operator;
mod organization;
#[path = "../postgres.rs"]
pub(crate) mod postgres;
mod requester;
#[path = "store_place.rs"]
mod store;

pub(crate) use control_plane::{Output, run};
pub(crate) use objects::{With, condition, domain, group, passed, refused, user};
pub(crate) use operator::{Operator, roster as run_roster};
pub(crate) use organization::{Organization, cluster_admin};
pub(crate) use requester::{Refusal, Requester};

use std::time::{Duration, Instant};

/// How long anything may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until there is an answer, and panics when none came in time.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, ask).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

/// Asks until there is an answer or the time is over.
pub(crate) fn within<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || started.elapsed() > patience {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
