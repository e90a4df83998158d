//! Two replicas on one store in `PostgreSQL`: one works, and the other takes over.

use std::time::{Duration, Instant};

use roster::controller::leader_election::lease_name;
use roster_test_support::cluster::proxy::Proxy;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Organization, domain, eventually, passed, run, run_roster, user,
};
use roster_test_support::postgres::{Database, Server};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::CLUSTER;
use crate::serving::Serving;

/// How long may pass from the moment that the leader is gone to that at which another works.
const TAKEOVER: Duration = Duration::from_secs(20);

/// The same after the leader was told to stop: sooner than a Lease that nobody let go of would end.
const HANDOVER: Duration = Duration::from_secs(8);

/// Starts two replicas, and returns the one that works first.
fn replicas(organization: &Organization, store: &str) -> (Replica, Replica) {
    let first = Replica::start(organization, store, &[]);
    first.until_it_works();
    let second = Replica::start(organization, store, &[]);
    second.until_it_stands_by();
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    organization.until_ready("OrgEmailDomain", "acme.example");
    ["administrators", "users"]
        .iter()
        .for_each(|name| drop(organization.until_ready("UserGroup", name)));
    (first, second)
}

/// Waits until a replica works, and returns how long that took since then.
#[track_caller]
fn takeover(replica: &Replica, since: Instant) -> Duration {
    replica.until_it_works();
    since.elapsed()
}

/// Everything that the store says of accounts, of who works, and of what was done.
fn content(database: &Database) -> Vec<String> {
    run(async {
        let mut connection = database.connect().await;
        let mut rows = vec![];
        for table in [
            "accounts",
            "lifetimes",
            "transactions",
            "operators",
            "leadership",
            "organizations",
            "groups",
            "domains",
        ] {
            let all = sqlx::AssertSqlSafe(format!(
                "SELECT '{table} ' || t::text FROM {table} AS t ORDER BY 1"
            ));
            rows.extend(
                sqlx::query_scalar::<_, String>(all)
                    .fetch_all(&mut connection)
                    .await
                    .expect("there is such a table"),
            );
        }
        rows
    })
}

fn accounts(store: &str) -> Vec<Value> {
    let printed = run_roster(&["users", "-o", "json", "--store", store], "").expect_success();
    serde_json::from_str(&printed).expect("roster users prints JSON")
}

#[test]
fn another_takes_over_from_a_leader_that_was_killed() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, second) = replicas(&organization, &database.url());
    let killed = Instant::now();
    first.kill();
    passed(organization.admin().create(&user("bob")));
    let took = takeover(&second, killed);
    println!("after SIGKILL another worked within {took:?}");
    assert!(took <= TAKEOVER, "it took {took:?}");
    organization.until_ready("User", "bob");
    assert_eq!(accounts(&database.url()).len(), 2);
}

#[test]
fn a_leader_that_is_told_to_stop_lets_the_other_in_at_once() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, second) = replicas(&organization, &database.url());
    let told = Instant::now();
    first.signal("TERM");
    let took = takeover(&second, told);
    println!("after SIGTERM another worked within {took:?}");
    assert!(took <= HANDOVER, "it took {took:?}");
    assert_eq!(first.exit_code(), Some(0));
    passed(organization.admin().create(&user("bob")));
    organization.until_ready("User", "bob");
}

#[test]
fn a_replica_that_stands_by_ends_when_told_to_and_nobody_notices() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, mut second) = replicas(&organization, &database.url());
    let before = content(&database);
    second.signal("TERM");
    assert_eq!(second.exit_code(), Some(0));
    assert!(first.runs() && first.leads());
    assert_eq!(content(&database), before);
}

#[test]
fn a_leader_that_was_paused_ends_without_having_written_anything() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, second) = replicas(&organization, &database.url());
    let paused = Instant::now();
    first.signal("STOP");
    // Its news waits for it; it would have an account made as soon as it goes on.
    passed(organization.admin().create(&user("bob")));
    let took = takeover(&second, paused);
    println!("after SIGSTOP another worked within {took:?}");
    assert!(took <= TAKEOVER, "it took {took:?}");
    organization.until_ready("User", "bob");
    passed(organization.admin().patch("User", "alice", &json!({"spec": {"state": "Disabled"}})));
    organization.until_ready("User", "alice");
    let before = content(&database);
    first.signal("CONT");
    assert_eq!(first.exit_code(), Some(1));
    assert!(first.says("lost leadership, exiting"), "{}", first.log());
    assert_eq!(content(&database), before);
    assert!(second.leads());
}

#[test]
fn a_leader_that_was_paused_in_the_middle_of_a_commit_keeps_nobody_waiting_and_its_commit_is_none()
{
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, second) = replicas(&organization, &database.url());
    let mut application = run(database.connect());
    let mut execute = |statement| {
        run(sqlx::raw_sql(statement).execute(&mut application))
            .map(drop)
            .expect("an application may")
    };
    execute("BEGIN; LOCK TABLE accounts IN EXCLUSIVE MODE");
    passed(organization.admin().create(&user("bob")));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the leader is in the middle of a commit", || {
        let waits = run(async {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut database.connect().await).await
        });
        (waits.expect("the superuser may look") > 0).then_some(())
    });
    let paused = Instant::now();
    first.signal("STOP");
    execute("COMMIT");
    run(application.close()).expect("it closes");
    let took = takeover(&second, paused);
    println!("after SIGSTOP in the middle of a commit another worked within {took:?}");
    assert!(took <= TAKEOVER, "it took {took:?}");
    organization.until_ready("User", "bob");
    let before = content(&database);
    first.signal("CONT");
    assert_eq!(first.exit_code(), Some(1));
    assert_eq!(content(&database), before);
}

#[test]
fn a_leader_whose_claim_another_has_is_refused_by_the_store_whatever_became_of_the_lease() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let (mut first, mut second) = replicas(&organization, &database.url());
    // The Lease stays with the first: only the store knows that somebody else has claimed it.
    second.kill();
    let claimed =
        "UPDATE operators SET epoch = epoch + 1000, token = 'another', holder = 'another'";
    run(async {
        sqlx::query(claimed).execute(&mut database.connect().await).await.expect("there is a claim")
    });
    passed(organization.admin().create(&user("bob")));
    assert_eq!(first.exit_code(), Some(1));
    assert!(
        first.says("another operator has taken over (this one's epoch is 1)"),
        "{}",
        first.log()
    );
    assert_eq!(accounts(&database.url()).len(), 1);
    let bob = organization.admin().get("User", "bob").expect("bob is there");
    assert_eq!(bob["status"], json!({"observedGeneration": -1}), "nobody was told anything");
}

#[test]
fn a_leader_that_is_cut_off_from_the_api_server_ends_and_the_other_takes_over() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let proxy = Proxy::start(&organization);
    let namespace = ["--namespace", organization.name.as_str()];
    let mut first = Replica::start_at(
        &organization,
        &proxy.kubeconfig(&organization),
        &database.url(),
        &namespace,
    );
    first.until_it_works();
    let second = Replica::start(&organization, &database.url(), &[]);
    second.until_it_stands_by();
    let cut = Instant::now();
    proxy.cut();
    assert_eq!(first.exit_code(), Some(1));
    let ended = cut.elapsed();
    let took = takeover(&second, cut);
    println!("cut off, the leader ended after {ended:?}, and another worked within {took:?}");
    assert!(took <= TAKEOVER, "it took {took:?}");
    assert!(first.says("the Lease wasn't renewed in time"), "{}", first.log());
}

#[test]
fn operators_of_different_namespaces_work_side_by_side() {
    let (one, other, database) =
        (CLUSTER.organization(), CLUSTER.organization(), run(Database::new()));
    let (first, second) =
        (Replica::start(&one, &database.url(), &[]), Replica::start(&other, &database.url(), &[]));
    first.until_it_works();
    second.until_it_works();
    for organization in [&one, &other] {
        passed(organization.admin().create(&domain("acme.example")));
        passed(organization.admin().create(&user("alice")));
        organization.until_ready("User", "alice");
    }
    assert!(first.leads() && second.leads());
    assert_eq!(accounts(&database.url()).len(), 2);
}

#[test]
fn an_operator_whose_namespaces_changed_waits_ready_for_the_end_of_the_one_it_replaces() {
    let (organization, other, database) =
        (CLUSTER.organization(), CLUSTER.organization(), run(Database::new()));
    let mut before = Replica::start(&organization, &database.url(), &[]);
    before.until_it_works();
    let after = Replica::start(&organization, &database.url(), &["--namespace", &other.name]);
    after.until_it_says(&format!("works in the namespace {} of this store", organization.name));
    eventually("a rolling update goes on", || after.is_ready().then_some(()));
    assert!(!after.leads() && before.leads());
    let told = Instant::now();
    before.signal("TERM");
    assert_eq!(before.exit_code(), Some(0));
    let took = takeover(&after, told);
    assert!(took <= TAKEOVER, "it took {took:?}");
}

#[test]
fn an_operator_with_other_directories_than_those_that_work_beside_it_is_refused() {
    let (one, other, database) =
        (CLUSTER.organization(), CLUSTER.organization(), run(Database::new()));
    let directory = |name: &str| format!("rehearsal://{}?name={name}", one.file(name).display());
    let (ours, others) = (directory("ours"), directory("others"));
    let mut first = Replica::start(&one, &database.url(), &["--directory", &ours]);
    first.until_it_works();
    let mut refused = Replica::start(&other, &database.url(), &["--directory", &others]);
    assert_eq!(refused.exit_code(), Some(2));
    let says = |text: &str| assert!(refused.says(text), "{}", refused.log());
    says(&format!(
        "of the namespace {}: this one lacks ours, and only this one has others",
        one.name
    ));
    says(
        "give all of them the same --directory options; to change them, stop all operators of the store first",
    );
    assert!(first.leads());
    let second = Replica::start(&other, &database.url(), &["--directory", &ours]);
    second.until_it_works();
    drop(second);
    // Whoever takes its predecessor's place and is alone otherwise changes them.
    first.signal("TERM");
    assert_eq!(first.exit_code(), Some(0));
    let mut cleared = Replica::start(&other, &database.url(), &["--directory", &others]);
    cleared.until_it_works();
    cleared.signal("TERM");
    assert_eq!(cleared.exit_code(), Some(0));
}

#[test]
fn one_that_is_gone_for_good_is_superseded_when_that_is_asked_for() {
    let (organization, other, database) =
        (CLUSTER.organization(), CLUSTER.organization(), run(Database::new()));
    let mut before = Replica::start(&organization, &database.url(), &[]);
    before.until_it_works();
    before.kill();
    let after = Replica::start(
        &organization,
        &database.url(),
        &["--namespace", &other.name, "--supersede"],
    );
    after.until_it_works();
}

#[test]
fn an_operator_waits_for_a_database_that_is_away_and_begins_when_it_comes() {
    let organization = CLUSTER.organization();
    let server = Server::start();
    let database = run(Database::on(&server));
    server.stop();
    let mut operator = Replica::start(&organization, &database.url(), &[]);
    operator.until_it_says("startup failed, retrying");
    assert!(operator.runs() && operator.is_alive() && !operator.is_ready() && !operator.leads());
    server.resume();
    operator.until_it_works();
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
}

/// Writes into the Lease of the organization's operators, as anybody may who may edit Leases there.
fn edit_lease(organization: &Organization, patch: &Value) {
    let name = lease_name(&[organization.name.clone()].into());
    let patch = patch.to_string();
    organization
        .kubectl(
            &["patch", "lease", &name, "-n", "roster-system", "--type=merge", "-p", &patch],
            "",
        )
        .expect_success();
}

#[test]
fn a_lease_that_somebody_edited_stops_no_operator_and_leaves_no_trace_in_the_store() {
    let database = run(Database::new());
    let serving = Serving::of(CLUSTER.organization(), database.url());
    let organization = &serving.organization;
    let mut operator = Replica::start(organization, &database.url(), &[]);
    operator.until_it_works();
    let well = serving.found();
    assert!(well.is_empty(), "{well:?}");
    for epoch in [i64::MAX, i64::MAX - 1] {
        let absurd =
            json!({"roster.rs/epoch": epoch.to_string(), "roster.rs/commits": epoch.to_string()});
        operator.signal("KILL");
        operator.exit_code();
        let ghost = json!({"holderIdentity": "ghost", "leaseDurationSeconds": 86_400, "renewTime": "2999-01-01T00:00:00.000000Z"});
        edit_lease(organization, &json!({"metadata": {"annotations": absurd}, "spec": ghost}));
        let lease =
            format!("lease roster-system/{}", lease_name(&[organization.name.clone()].into()));
        let kinds = ["LeaseHolderUnknown", "LeaseNotRenewed", "EpochAbsurd"]
            .map(|kind| (kind.to_owned(), lease.clone()));
        assert_eq!(serving.found(), kinds);
        let begun = Instant::now();
        operator = Replica::start(organization, &database.url(), &[]);
        let took = takeover(&operator, begun);
        println!("with a ghost in the Lease an operator worked within {took:?}");
        assert!(took <= TAKEOVER, "it took {took:?}");
        assert!(operator.says("somebody edited the Lease"), "{}", operator.log());
        assert!(!operator.says("the store was put back"), "{}", operator.log());
    }
    let epochs = "SELECT epoch FROM leadership";
    let epoch = run(async {
        sqlx::query_scalar::<_, i64>(epochs).fetch_one(&mut database.connect().await).await
    });
    assert_eq!(epoch.expect("there is one"), 3);
    let name = lease_name(&[organization.name.clone()].into());
    let path = r"jsonpath={.metadata.annotations.roster\.rs/epoch}";
    eventually("the Lease says so too", || {
        let noted = organization
            .kubectl(&["get", "lease", &name, "-n", "roster-system", "-o", path], "")
            .expect_success();
        (noted == "3").then_some(())
    });
    passed(organization.admin().create(&domain("acme.example")));
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
}

#[test]
fn a_store_that_took_an_absurd_epoch_over_works_again_with_the_next_start() {
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    let mut operator = Replica::start(&organization, &database.url(), &[]);
    operator.until_it_works();
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    let absurd = format!("UPDATE leadership SET epoch = {}", i64::MAX);
    run(async {
        sqlx::query(sqlx::AssertSqlSafe(absurd))
            .execute(&mut database.connect().await)
            .await
            .expect("there is one")
    });
    let operator = Replica::start(&organization, &database.url(), &[]);
    operator.until_it_works();
    assert!(operator.says("epochs are counted anew"), "{}", operator.log());
    passed(organization.admin().create(&domain("acme.example")));
    organization.until_ready("OrgEmailDomain", "acme.example");
}
