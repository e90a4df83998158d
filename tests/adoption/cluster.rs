//! What is imported and applied on a real API server: accounts that lost their `User`s, and the
//! entries of a directory.

use std::process::Command;

use roster_test_support::cluster::{Operator, Organization, With, domain, group, passed, user};
use roster_test_support::scim_server::ScimServer;
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::directory::{entries, entry, posted};

/// Everything that a store has of its accounts but whose they are, and how often they were written.
const CONTENT: &str = "SELECT account_id || '|' || login_name || '|' || email || '|' || state || '|' || group_name || '|' || grants \
    || '|' || COALESCE(role, '') || '|' || teams || '|' || profile || '|' \
    || COALESCE(source_mode, '') || COALESCE(source_name, '') || COALESCE(source_permissions, '') || '|' || COALESCE(copied, '') \
    || '|' || member || '|' || transaction_id || '|' || COALESCE(cloned_at, 0) FROM accounts ORDER BY account_id";

const REVISIONS: &str = "SELECT CAST(SUM(revision) AS TEXT) FROM accounts";

/// Runs the binary as an administrator of the cluster.
#[track_caller]
fn roster(organization: &Organization, operator: &Operator, arguments: &[&str]) -> String {
    let admin = organization.file("x").with_file_name("admin.kubeconfig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    let output = command
        .args(arguments)
        .args(["--store", &operator.store()])
        .env("KUBECONFIG", admin)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What becomes of manifests: each object's action, sorted.
#[track_caller]
fn planned(operator: &Operator, manifests: &str, kind: &str) -> Vec<String> {
    let said = operator.roster(&["plan", "-o", "json", "-f", "-"], manifests).expect_success();
    let outcome: Value = serde_json::from_str(&said).unwrap();
    let rows = outcome["objects"].as_array().unwrap().iter().filter(|row| row["kind"] == kind);
    let mut actions: Vec<String> =
        rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect();
    actions.sort();
    actions
}

#[test]
fn who_lost_their_users_is_imported_and_taken_over_as_they_were() {
    let organization = CLUSTER.organization();
    let admin = organization.admin();
    let operator = Operator::start(&organization);
    passed(admin.create(&domain("acme.example")));
    passed(admin.create(&group("drivers").with("/spec/permissions", json!(["routes:read"]))));
    let from = |name: &str, mode: &str| json!({"name": name, "mode": mode});
    let people = [
        user("alice").with("/spec/groupRef/name", "administrators"),
        user("bob")
            .with("/spec/permissions/grants", json!(["orders:read"]))
            .with("/spec/role", "Lead")
            .with("/spec/teams", json!(["a"])),
        user("carol")
            .with("/spec/permissions/from", from("bob", "Inherit"))
            .with("/spec/state", "Disabled"),
        user("dave")
            .with("/spec/permissions/from", from("bob", "Clone"))
            .with("/spec/groupRef/name", "drivers"),
        user("erin")
            .with("/spec/copyOf/name", "bob")
            .without("/spec/email")
            .without("/spec/profile"),
        user("frank").with("/spec/username", "f.miller").with("/spec/profile/phone", "1"),
    ];
    let names = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let mut ids = vec![];
    for person in &people {
        passed(admin.create(&person.clone().with("/spec/deletionPolicy", "Retain")));
        let name = person["metadata"]["name"].as_str().unwrap();
        ids.push(organization.until_ready("User", name)["status"]["accountId"].clone());
    }
    let nothing =
        roster(&organization, &operator, &["import", "--organization", &organization.name]);
    assert_eq!(nothing, "# There is no account that no User in the cluster owns.\n");
    // Some are let go of, and of others somebody takes the finalizer off.
    let releaser = organization.as_member("rosa", &["administrators", "releasers"]);
    for name in ["alice", "carol"] {
        let released =
            json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
        passed(releaser.patch("User", name, &released));
    }
    for name in names {
        passed(organization.as_user("olga").delete("User", name));
        organization.until_gone("User", name);
    }
    let (before, revisions) = (operator.texts(CONTENT), operator.text(REVISIONS));
    assert_eq!(before.len(), 6);

    let text = roster(&organization, &operator, &["import", "--organization", &organization.name]);
    let mut takes = ["takeBack"; 6];
    takes[4..].fill("unchanged");
    assert_eq!(
        planned(&operator, &text, "User"),
        takes,
        "who lost only the finalizer may be there"
    );
    assert_eq!(
        (planned(&operator, &text, "UserGroup"), planned(&operator, &text, "OrgEmailDomain")),
        (vec!["unchanged".to_owned()], vec!["unchanged".to_owned()])
    );
    organization.kubectl(&["apply", "-f", "-"], &text).expect_success();
    for (name, id) in names.iter().zip(&ids) {
        assert_eq!(organization.until_ready("User", name)["status"]["accountId"], *id, "{name}");
    }
    assert_eq!(operator.texts(CONTENT), before);
    let number = |text: Option<String>| text.unwrap().parse::<i64>().unwrap();
    assert_eq!(
        number(operator.text(REVISIONS)),
        number(revisions) + 6,
        "each was written once, to be another's"
    );
    assert_eq!(planned(&operator, &text, "User"), ["unchanged"; 6]);
    assert_eq!(
        roster(&organization, &operator, &["import", "--organization", &organization.name]),
        nothing
    );
}

#[test]
fn the_entries_of_a_directory_are_taken_over_and_none_is_doubled() {
    let organization = CLUSTER.organization();
    let scim = ScimServer::start();
    let known = "0193a4b0-0000-7000-8000-00000000000a";
    let before =
        [entry("Dave Miller", None), entry(&format!("erin.{}", organization.name), Some(known))]
            .map(|entry| posted(&scim, "Users", &entry));
    let address = scim.address();
    let operator = Operator::start_with(&organization, &["--directory", &address]);
    let text = roster(
        &organization,
        &operator,
        &["import", "--directory", &address, "--organization", &organization.name, "--link"],
    );
    let approved = text.replace("# chargeApproved: true ", "chargeApproved: true ");
    assert_eq!(planned(&operator, &approved, "User"), ["create"; 2]);
    organization.kubectl(&["apply", "-f", "-"], &approved).expect_success();
    let erin = organization.until_ready("User", "erin");
    let dave = organization.until_ready("User", "dave-miller");
    assert_eq!(erin["status"]["accountId"], known);
    let after = entries(&scim);
    assert_eq!(after.len(), 2, "{after:?}");
    let of = |id: &str| after.iter().find(|entry| entry["id"] == id).unwrap();
    let names = before.each_ref().map(|id| of(id)["userName"].as_str().unwrap());
    assert_eq!(
        names,
        [format!("dave-miller.{}", organization.name), format!("erin.{}", organization.name)]
    );
    assert_eq!(of(&before[0])["externalId"], dave["status"]["accountId"]);
    // The id is used up, for whoever comes and whatever becomes of erin.
    passed(
        organization.admin().create(&user("mallory").with("/spec/adopt", format!("entry/{known}"))),
    );
    organization.until_reason("User", "mallory", "NotAdoptable");
    let again = roster(
        &organization,
        &operator,
        &["import", "--directory", &address, "--organization", &organization.name],
    );
    assert!(
        again.contains("# People of the directory for the organization")
            && again.contains("which aren't here: 2."),
        "{again}"
    );
}
