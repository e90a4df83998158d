//! What holds on a real API server: schemas, admission policies, and the operator at work.
//!
//! One control plane serves all tests of this binary, each in a namespace of its own. The first
//! test that needs it starts it, and a guardian stops it when the process is gone, however it went.

mod accounts;
mod bad_input;
mod dead_fields;
mod deploy;
mod examples;
mod fairness;
mod finalizers;
mod many;
mod permissions;
mod policies;
mod schema;
mod tables;
mod verbs;
mod verbs_of_left_behind;
mod verbs_one_by_one;
mod warnings;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: false });
