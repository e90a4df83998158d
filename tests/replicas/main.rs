//! Who of several operators works: by a Lease on a real API server, by a lock on a store in a file,
//! and by the store's word; what applications can hold up; and what becomes of a store that lost
//! its newest hours, or of a cluster that lost its resources.
//!
//! They have a control plane of their own, since they pause, cut off and kill whoever works, and
//! measure how long the next one takes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../support/src/fake_directory.rs"]
#[allow(dead_code, reason = "these tests need a few of its words")]
mod directory;
#[path = "../support/src/cluster/proxy.rs"]
mod proxy;
#[path = "../support/src/cluster/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is made for the tests of everything else too"
)]
mod support;

mod applications;
mod clocks;
mod clusters;
mod elections;
mod late_requests;
mod lost_cluster;
mod lost_store;
#[path = "../support/src/cluster/replica.rs"]
mod replica;
#[path = "../support/src/scim_server.rs"]
#[allow(dead_code, reason = "it is made for the tests of directories too")]
mod scim_server;
mod serving;
#[path = "../support/src/slapd.rs"]
#[allow(dead_code, reason = "it is made for the tests of directories too")]
mod slapd;
mod sole;
mod successions;
#[path = "../support/src/cluster/wrong_clock.rs"]
mod wrong_clock;

use support::postgres::supervise;

/// The control plane has the CRDs and the operator's rights only.
const WITH_POLICIES: bool = false;

/// The control plane has neither a namespace controller nor a garbage collector: what is deleted
/// stays `Terminating`.
const WITH_CONTROLLERS: bool = false;
