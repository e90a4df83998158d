//! A store in a file has one operator, without a Lease.

use std::time::{Duration, Instant};

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{Organization, domain, passed, run_roster, user};
use serde_json::json;

use crate::CLUSTER;

fn store(organization: &Organization) -> String {
    format!("sqlite://{}?mode=rwc", organization.file("roster.db").display())
}

#[test]
fn a_second_operator_is_refused_and_told_who_the_first_is() {
    let organization = CLUSTER.organization();
    let first = Replica::start(&organization, &store(&organization), &[]);
    first.until_it_works();
    let mut second = Replica::start(&organization, &store(&organization), &[]);
    assert_eq!(second.exit_code(), Some(2));
    assert!(second.says("roster.db has an operator already (replica-"), "{}", second.log());
    let holder = first.last("holder").expect("it says who it is");
    assert!(second.says(holder.as_str().unwrap()), "{}", second.log());
    assert!(!second.says("Lease"), "{}", second.log());
    passed(organization.admin().create(&domain("acme.example")));
    organization.until_ready("OrgEmailDomain", "acme.example");
    assert!(first.leads());
}

#[test]
fn the_successor_of_an_operator_that_was_killed_starts_at_once_also_in_other_namespaces() {
    let organization = CLUSTER.organization();
    let mut first = Replica::start(&organization, &store(&organization), &[]);
    first.until_it_works();
    let other = CLUSTER.organization();
    first.kill();
    let begun = Instant::now();
    let second =
        Replica::start(&organization, &store(&organization), &["--namespace", &other.name]);
    second.until_it_works();
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
}

#[test]
fn an_operator_that_is_paused_keeps_others_out_and_goes_on_where_it_was() {
    let organization = CLUSTER.organization();
    let first = Replica::start(&organization, &store(&organization), &[]);
    first.until_it_works();
    first.signal("STOP");
    let mut second = Replica::start(&organization, &store(&organization), &[]);
    assert_eq!(second.exit_code(), Some(2));
    passed(organization.admin().create(&domain("acme.example")));
    first.signal("CONT");
    organization.until_ready("OrgEmailDomain", "acme.example");
}

#[test]
fn an_operator_whose_store_is_not_at_its_place_any_more_ends_and_the_next_one_has_what_is_there() {
    let organization = CLUSTER.organization();
    let (file, away) = (organization.file("roster.db"), organization.file("away.db"));
    let start = || {
        let operator = Replica::start(&organization, &store(&organization), &[]);
        operator.until_it_works();
        operator
    };
    let ends = |mut operator: Replica, why: &str| {
        assert_eq!(operator.exit_code(), Some(1));
        assert!(
            operator.says("lost leadership, exiting") && operator.says(why),
            "{}",
            operator.log()
        );
        assert!(operator.says("nothing but a restart"), "{}", operator.log());
    };
    let operator = start();
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    let backup = away.display().to_string();
    run_roster(&["backup", &backup, "--store", &store(&organization)], "").expect_success();
    // Nobody asks it for anything meanwhile.
    std::fs::rename(&away, &file).expect("another file is put in its place");
    ends(operator, "is another one");
    let operator = start();
    std::fs::rename(&file, &away).expect("the file is moved away");
    ends(operator, "isn't there any more");
    std::fs::rename(&away, &file).expect("the file is put back");
    let _operator = start();
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"profile": {"displayName": "Alice Black"}}}),
    ));
    organization.until_ready("User", "alice");
}

#[test]
fn the_command_line_works_beside_an_operator_and_a_restore_does_not() {
    let organization = CLUSTER.organization();
    let mut operator = Replica::start(&organization, &store(&organization), &[]);
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    let roster = |arguments: &[&str]| {
        run_roster(&[arguments, &["--store", &store(&organization)]].concat(), "")
    };
    assert!(roster(&["users"]).expect_success().contains("alice@acme.example"));
    roster(&["doctor", "--store-only"]).expect_success();
    let backup = organization.file("backup.db");
    let backup = backup.to_str().unwrap();
    roster(&["backup", backup]).expect_success();
    let login = format!("alice.{}", organization.name);
    assert_eq!(roster(&["login", &login]).code, Some(1), "alice has no password");
    assert_eq!(
        roster(&["self", &login, "--set", "phone=+1"]).code,
        Some(1),
        "alice has no password"
    );
    let refused = roster(&["restore", backup]);
    assert!(refused.code == Some(2) && refused.stderr.contains("is in use"), "{refused:?}");
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    roster(&["restore", backup]).expect_success();
    let again = Replica::start(&organization, &store(&organization), &[]);
    again.until_it_works();
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"profile": {"displayName": "Alice Black"}}}),
    ));
    organization.until_ready("User", "alice");
}
