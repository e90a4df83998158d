//! Who of several operators works: by a Lease on a real API server, by a lock on a store in a file,
//! and by the store's word; what applications can hold up; and what becomes of a store that lost
//! its newest hours, or of a cluster that lost its resources.
//!
//! They have a control plane of their own, since they pause, cut off and kill whoever works, and
//! measure how long the next one takes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod applications;
mod clocks;
mod clusters;
mod elections;
mod late_requests;
mod lost_cluster;
mod lost_store;
mod serving;
mod sole;
mod successions;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: false, controllers: false });
