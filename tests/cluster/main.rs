//! What holds on a real API server: schemas, admission policies, and the operator at work.
//!
//! One control plane serves all tests of this binary, each in a namespace of its own. The first
//! test that needs it starts it, and a guardian stops it when the process is gone, however it went.

mod deploy;
mod finalizers;
mod policies;
mod schema;
mod support;
mod tables;
mod warnings;
