//! What holds on a cluster that has none of the admission policies.

mod recovery;

use roster::controller::policies::{MUTATING, VALIDATING};
use roster_test_support::cluster::{Operator, With, domain, passed, user};
use roster_test_support::cluster::{Setup, TestCluster};
use serde_json::json;

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: false, controllers: false });

#[test]
fn the_operator_says_which_policies_are_missing_and_puts_the_finalizers_on_itself() {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    let log = operator.log();
    for policy in [VALIDATING.names, MUTATING.names].concat() {
        assert!(log.contains(policy), "{policy} isn't named in the log:\n{log}");
    }
    passed(organization.admin().create(&domain("acme.example")));
    organization.until_ready("OrgEmailDomain", "acme.example");
    passed(organization.admin().create(&user("alice")));
    let alice = organization.until_ready("User", "alice");
    assert_eq!(alice["metadata"]["finalizers"], json!(["roster.rs/account"]));
    let requests = organization.requests_of_the_operator();
    let about_alice: Vec<&String> =
        requests.iter().filter(|request| request.ends_with(" alice")).collect();
    assert_eq!(
        about_alice,
        ["patch users alice", "patch users/status alice"],
        "the finalizer comes first, then the account"
    );
}

#[test]
fn a_protected_user_is_held_by_the_finalizer_and_goes_once_it_may() {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    passed(organization.admin().create(&domain("acme.example")));
    let protected = user("alice").with("/spec/deletionProtection", "Enabled");
    passed(organization.admin().create(&protected));
    organization.until_ready("User", "alice");
    passed(organization.admin().delete("User", "alice"));
    organization.until_reason("User", "alice", "DeletionProtected");
    assert_eq!(operator.users().len(), 1);
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"deletionProtection": "Disabled"}}),
    ));
    organization.until_gone("User", "alice");
    assert!(operator.users().is_empty());
}
