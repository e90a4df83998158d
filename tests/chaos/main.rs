//! Faults by the round: `PostgreSQL` is killed, connections are cut, and leaders are killed, paused
//! and cut off, while several teams of replicas share one store; and many users whom a start leaves
//! as they are.
//!
//! `ROSTER_ROUNDS` says how many rounds, `ROSTER_SEED` repeats the faults of an earlier run,
//! `ROSTER_MANY` says how many users.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "what befell whom is the only trace of a round")]

#[path = "../support/src/cluster/middlebox.rs"]
#[allow(dead_code, reason = "nothing spoils answers here")]
mod middlebox;
#[path = "../support/src/cluster/proxy.rs"]
#[allow(dead_code, reason = "the harness is made for tests that mend the network too")]
mod proxy;
#[path = "../support/src/cluster/replica.rs"]
#[allow(dead_code, reason = "the harness is made for the tests of successions too")]
mod replica;
#[path = "../support/src/cluster/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is made for the tests of everything else too"
)]
mod support;

#[path = "../support/src/chaos/content.rs"]
mod content;
#[path = "../support/src/chaos/driver.rs"]
mod driver;
#[path = "../support/src/chaos/end.rs"]
mod end;
#[path = "../support/src/chaos/faults.rs"]
mod faults;
mod many;
mod oracle_tests;
#[path = "../support/src/chaos/oracles.rs"]
mod oracles;
#[path = "../support/src/rng.rs"]
mod rng;
#[path = "../support/src/chaos/team.rs"]
mod team;
mod under_faults;
#[path = "../support/src/chaos/write_audit.rs"]
mod write_audit;

use support::postgres as server;

/// The control plane has the CRDs and the operator's rights only.
const WITH_POLICIES: bool = false;

/// The control plane has neither a namespace controller nor a garbage collector: what is deleted
/// stays `Terminating`.
const WITH_CONTROLLERS: bool = false;
