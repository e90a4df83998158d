//! Many users at once: as few writes as there are users, none for what is as it should be, and
//! nothing lost when the operator is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};

use roster_test_support::cluster::{
    Operator, Organization, With, domain, eventually, group, passed, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

const MANY: usize = 200;

fn people() -> String {
    let items: Vec<Value> = (0..MANY).map(|number| user(&format!("user-{number:03}"))).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn all_ready(organization: &Organization) {
    let path =
        r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
    eventually("everybody is Ready", || {
        let said = organization.kubectl(&["get", "users", "-o", path], "").expect_success();
        (said.lines().filter(|line| *line == "True").count() == MANY).then_some(())
    });
}

/// Waits until the counts were told, which comes last.
fn all_counted(organization: &Organization) {
    organization.until("UserGroup", "users", "counted", |group| group["status"]["members"] == MANY);
    organization.until("OrgEmailDomain", "acme.example", "counted", |domain| {
        domain["status"]["users"] == MANY
    });
}

#[test]
fn two_hundred_users_cost_one_write_each_and_none_when_nothing_changed() {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let mut operator = Operator::start(&organization);
    organization.until_ready("OrgEmailDomain", "acme.example");
    for kind in ["administrators", "users"] {
        organization.until_ready("UserGroup", kind);
    }
    organization.kubectl(&["apply", "-f", "-"], &people()).expect_success();
    all_ready(&organization);
    all_counted(&organization);

    let requests = organization.requests_of_the_operator();
    let mut per_user: BTreeMap<&str, usize> = BTreeMap::new();
    for request in &requests {
        if let Some(name) = request.strip_prefix("patch users/status ") {
            *per_user.entry(name).or_default() += 1;
        }
    }
    assert_eq!(per_user.len(), MANY);
    assert!(
        per_user.values().all(|writes| *writes == 1),
        "one status patch per user: {per_user:?}"
    );
    let others: Vec<&String> =
        requests.iter().filter(|request| !request.starts_with("patch users/status ")).collect();
    println!("{MANY} users: {} status patches, and beside them {others:#?}", per_user.len());
    assert!(
        !others.iter().any(|request| request.contains(" users ") && !request.starts_with("list ")),
        "nothing else per user"
    );
    // Counts are told every few seconds for as long as people come.
    let is_count = |request: &str| {
        ["patch usergroups/status ", "patch orgemaildomains/status "]
            .iter()
            .any(|it| request.starts_with(it))
    };
    assert!(
        others.iter().filter(|request| !is_count(request)).count() <= 20,
        "next to nothing else: {others:?}"
    );

    let (before, files) = (requests.len(), operator.store_version());
    organization.kubectl(&["apply", "-f", "-"], &people()).expect_success();
    assert_eq!(
        organization.requests_of_the_operator().len(),
        before,
        "the same files applied again cause no request"
    );
    assert!(
        operator.store_version() == files,
        "the same files applied again don't write to the store"
    );

    operator.kill();
    operator.restart();
    operator.until_it_works();
    // What it does about a new object comes after what it had to do about the old ones.
    passed(
        organization.admin().create(
            &group("last").with("/metadata/annotations", json!({"roster.rs/paused": "true"})),
        ),
    );
    organization.until_reason("UserGroup", "last", "Paused");
    let after: Vec<String> = organization.requests_of_the_operator()[before..].to_vec();
    let writes: Vec<&String> = after
        .iter()
        .filter(|request| !request.starts_with("list ") && !request.ends_with(" last"))
        .collect();
    assert!(writes.is_empty(), "a restart writes nothing: {writes:?}");
    assert!(
        !operator.page("/metrics").1.contains("roster_store_commands_total{"),
        "a restart asks the store for nothing"
    );
}

#[test]
fn an_operator_that_is_killed_in_the_middle_loses_and_doubles_nobody() {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let mut operator = Operator::start(&organization);
    std::thread::scope(|scope| {
        let applied =
            scope.spawn(|| organization.kubectl(&["apply", "-f", "-"], &people()).expect_success());
        for share in [20, 70, 120] {
            eventually("some are there", || {
                (operator.count("SELECT count(*) FROM accounts") >= share).then_some(())
            });
            operator.kill();
            operator.restart();
        }
        applied.join().expect("kubectl ends");
    });
    all_ready(&organization);
    let logins: BTreeSet<String> =
        operator.users().iter().map(|row| row["loginName"].to_string()).collect();
    assert_eq!(logins.len(), MANY);
    assert_eq!(operator.count("SELECT count(*) FROM accounts"), MANY as i64);
    assert_eq!(
        operator.count("SELECT count(*) FROM lifetimes"),
        MANY as i64,
        "nobody was created twice"
    );
    assert_eq!(
        operator.count("SELECT count(*) FROM transactions"),
        MANY as i64,
        "one journal entry each"
    );
}
