//! What the namespace controller and the garbage collector of a real kube-controller-manager do to
//! an organization.
//!
//! They have a control plane of their own: beside them no namespace stays `Terminating`, as the
//! tests of the policies need.

#[path = "../support/src/cluster/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is made for the tests of everything else too"
)]
mod support;

mod acme;
mod deletion;
mod owners;

/// The control plane has the admission policies of `deploy/policies`.
const WITH_POLICIES: bool = true;

/// The control plane has a namespace controller and a garbage collector, each with its own service
/// account.
const WITH_CONTROLLERS: bool = true;
