//! An account's life, on a real API server and through the binary: passwords, transactions that are
//! cut short, what is kept and who takes it back, and what a password leaves behind.
//!
//! They have a control plane of their own, since they keep it busy for minutes.

mod acme;
mod drift;
mod gitops;
mod kept;
mod killed;
mod kustomize;
mod members;
mod meter;
mod metrics;
mod overdue;
mod passwords;
mod refused;
mod secrecy;
mod software;
mod steady;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: false });
