//! What holds on every supported version of Kubernetes: `make test-versions` runs this on an API
//! server of each.
//!
//! What differs from version to version is asked of the version, so that a cluster that can do more
//! than expected fails too.

use std::path::Path;

use roster::controller::policies::VALIDATING;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Operator, Organization, Refusal, Setup, TestCluster, With, domain, eventually, group, passed,
    refused, run, run_roster, user,
};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: false });

const FINALIZER: &str = "roster.rs/account";

/// The minor version from which on the API server has mutating admission policies.
const MUTATING_POLICIES: u32 = 36;

/// The minor version from which on resources of CRDs can be selected by their fields.
const FIELD_SELECTORS: u32 = 31;

#[track_caller]
fn minor(organization: &Organization) -> u32 {
    let version = organization.kubectl(&["get", "--raw", "/version"], "").expect_success();
    let version: Value = serde_json::from_str(&version).expect("the version is JSON");
    version["minor"].as_str().and_then(|minor| minor.parse().ok()).expect("a minor version")
}

fn with_finalizer(object: Value) -> Value {
    object.with("/metadata/finalizers", json!([FINALIZER]))
}

#[track_caller]
fn apply(organization: &Organization, folder: &str) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let folder = folder.to_str().expect("a path in UTF-8");
    let applied = organization.kubectl(&["apply", "--namespace=", "-k", folder], "");
    if applied.success && applied.stderr.is_empty() { Ok(()) } else { Err(applied.stderr) }
}

#[test]
fn the_installation_succeeds_without_a_warning() {
    let organization = CLUSTER.organization();
    assert_eq!(apply(&organization, "deploy"), Ok(()));
    assert_eq!(apply(&organization, "deploy/overlays/postgres"), Ok(()));
    let mutating = apply(&organization, "deploy/policies/mutating");
    if minor(&organization) >= MUTATING_POLICIES {
        assert_eq!(mutating, Ok(()));
    } else {
        let refusal = mutating.expect_err("the API server doesn't know the kind");
        assert!(refusal.contains("no matches for kind \"MutatingAdmissionPolicy\""), "{refusal}");
    }
}

/// Makes requests that a policy each has to refuse, and returns the answers.
fn refusals(organization: &Organization) -> Vec<(&'static str, Result<(), Refusal>)> {
    let (admin, editor) = (organization.admin(), organization.as_member("eve", &["editors"]));
    let account = "0193a4b0-0000-7000-8000-000000000001";
    organization.has(&with_finalizer(user("alice")).with("/status/accountId", account));
    let bob = with_finalizer(user("bob")).with("/spec/deletionProtection", "Disabled");
    organization.has(&bob.with("/status/heirs", 2));
    organization.has(&with_finalizer(user("carol")));
    passed(admin.delete("User", "carol"));
    let taken_off = json!({"metadata": {"finalizers": null}});
    let not_dns = json!({"metadata": {"labels": {"roster.rs/customer-id": "NOT_DNS"}}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, "type": "roster.rs/password",
        "stringData": {"password": "nine wet lanterns over quartz"},
    });
    let powerful = group("drivers").with("/spec/fullControl", true);
    let status = json!({"heirs": 0});
    vec![
        ("protected.roster.rs", admin.delete("User", "alice")),
        ("in-use.roster.rs", admin.delete("User", "bob")),
        ("release.roster.rs", admin.patch("User", "carol", &taken_off).map(drop)),
        ("status.roster.rs", admin.patch_status("User", "alice", &status).map(drop)),
        (
            "organizations.roster.rs",
            admin.patch("Namespace", &organization.name, &not_dns).map(drop),
        ),
        ("who-may-change-users.roster.rs", editor.create(&user("dora")).map(drop)),
        ("who-may-change-groups.roster.rs", editor.create(&powerful).map(drop)),
        (
            "who-may-set-passwords.roster.rs",
            writer_of_secrets(organization).create(&secret).map(drop),
        ),
    ]
}

/// Returns somebody who may write Secrets, and has no verb of roster's own.
fn writer_of_secrets(organization: &Organization) -> roster_test_support::cluster::Requester {
    let role = ["create", "clusterrole", "secrets", "--verb=*", "--resource=secrets"];
    organization.kubectl(&role, "").expect_success();
    let binding = ["create", "clusterrolebinding", "secrets", "--clusterrole=secrets", "--group=w"];
    organization.kubectl(&binding, "").expect_success();
    let writer = organization.as_member("wanda", &["w"]);
    let opaque = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "known"}});
    eventually("the binding is known", || writer.dry_run().create(&opaque).ok());
    writer
}

#[test]
fn every_policy_refuses_or_warns() {
    let organization = CLUSTER.organization();
    let mut seen = vec!["please-note.roster.rs"];
    for (policy, answer) in refusals(&organization) {
        refused(
            answer,
            &format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied"),
        );
        seen.push(policy);
    }
    let created = organization
        .kubectl(&["create", "--dry-run=server", "-f", "-"], &user("frank").to_string());
    let warning =
        "Warning: Validation failed for ValidatingAdmissionPolicy 'please-note.roster.rs'";
    assert!(created.stderr.contains(warning), "{}", created.stderr);
    let mut known = VALIDATING.names.to_vec();
    seen.sort_unstable();
    known.sort_unstable();
    assert_eq!(seen, known);
}

#[test]
fn replacing_an_object_without_its_finalizer_is_mended_or_refused() {
    let organization = CLUSTER.organization();
    for object in [user("alice"), group("drivers"), domain("acme.example")] {
        let created = organization.has(&with_finalizer(object.clone()));
        let version = created["metadata"]["resourceVersion"].clone();
        let replaced =
            organization.admin().replace(&object.with("/metadata/resourceVersion", version));
        if minor(&organization) >= MUTATING_POLICIES {
            assert_eq!(passed(replaced)["metadata"]["finalizers"], json!([FINALIZER]));
        } else {
            refused(replaced, "'release.roster.rs' denied");
        }
    }
}

#[test]
fn an_account_comes_and_goes_and_the_doctor_finds_nothing() {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    passed(organization.admin().create(&domain("acme.example")));
    passed(
        organization.admin().create(&user("alice").with("/spec/deletionProtection", "Disabled")),
    );
    let alice = organization.until_ready("User", "alice");
    assert_eq!(alice["metadata"]["finalizers"], json!([FINALIZER]));
    let diagnosis =
        operator.roster_in_the_cluster(&["doctor", "-o", "json", "-n", &organization.name]);
    let diagnosis: Value = serde_json::from_str(&diagnosis.expect_success()).expect("JSON");
    assert_eq!(diagnosis["findings"], json!([]));
    passed(organization.admin().delete("User", "alice"));
    organization.until_gone("User", "alice");
    assert!(operator.users().is_empty());
}

#[test]
fn users_are_selected_by_field_where_crds_allow_it() {
    let organization = CLUSTER.organization();
    organization.has(&user("alice"));
    let by_email = ["get", "rusr", "-o", "name", "--field-selector=spec.email=alice@acme.example"];
    let found = organization.kubectl(&by_email, "");
    if minor(&organization) >= FIELD_SELECTORS {
        assert_eq!(found.expect_success(), "user.roster.rs/alice\n");
    } else {
        assert!(found.stderr.contains("field label not supported"), "{}", found.stderr);
    }
}

#[test]
fn a_second_replica_takes_over() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let mut first = Replica::start(&organization, &database.url(), &[]);
    first.until_it_works();
    let second = Replica::start(&organization, &database.url(), &[]);
    second.until_it_stands_by();
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    first.kill();
    second.until_it_works();
    passed(organization.admin().create(&user("bob")));
    organization.until_ready("User", "bob");
    let users = run_roster(&["users", "-o", "json", "--store", &database.url()], "");
    let users: Value = serde_json::from_str(&users.expect_success()).expect("JSON");
    assert_eq!(users.as_array().map(Vec::len), Some(2));
}
