//! An account's life, on a real API server and through the binary: passwords, transactions that are
//! cut short, what is kept and who takes it back, and what a password leaves behind.
//!
//! They have a control plane of their own, since they keep it busy for minutes.

#[path = "../support/src/cluster/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is made for the tests of everything else too"
)]
mod support;

mod acme;
#[path = "../support/src/fake_directory.rs"]
mod directory;
mod drift;
mod kept;
mod killed;
mod members;
mod meter;
#[path = "../support/src/cluster/middlebox.rs"]
mod middlebox;
#[path = "../support/src/needles.rs"]
mod needles;
mod overdue;
mod passwords;
#[path = "../support/src/cluster/proxy.rs"]
mod proxy;
mod refused;
#[path = "../support/src/scim_server.rs"]
#[allow(dead_code, reason = "it is made for the tests of directories too")]
mod scim_server;
mod secrecy;
#[path = "../support/src/slapd.rs"]
#[allow(dead_code, reason = "it is made for the tests of directories too")]
mod slapd;
mod software;
mod steady;

use support::postgres::supervise;

/// The control plane has the admission policies of `deploy/policies`.
const WITH_POLICIES: bool = true;

/// The control plane has neither a namespace controller nor a garbage collector: what is deleted
/// stays `Terminating`.
const WITH_CONTROLLERS: bool = false;
