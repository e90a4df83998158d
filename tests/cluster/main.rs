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
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is made for the tests of everything else too"
)]
#[path = "../support/src/cluster/mod.rs"]
mod support;
mod tables;
mod verbs;
mod verbs_of_left_behind;
mod verbs_one_by_one;
mod warnings;

/// The control plane has the admission policies of `deploy/policies`.
const WITH_POLICIES: bool = true;

/// The control plane has neither a namespace controller nor a garbage collector: what is deleted
/// stays `Terminating`.
const WITH_CONTROLLERS: bool = false;
