//! Faults by the round: `PostgreSQL` is killed, connections are cut, and leaders are killed, paused
//! and cut off, while several teams of replicas share one store; and many users whom a start leaves
//! as they are.
//!
//! `ROSTER_ROUNDS` says how many rounds, `ROSTER_SEED` repeats the faults of an earlier run,
//! `ROSTER_MANY` says how many users.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "what befell whom is the only trace of a round")]

mod many;
mod oracle_tests;
mod under_faults;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: false, controllers: false });
