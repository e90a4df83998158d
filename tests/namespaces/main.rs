//! What the namespace controller and the garbage collector of a real kube-controller-manager do to
//! an organization.
//!
//! They have a control plane of their own: beside them no namespace stays `Terminating`, as the
//! tests of the policies need.

mod acme;
mod deletion;
mod owners;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: true });
