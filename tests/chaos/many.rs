//! Many users, and a start that finds everything as it should be: nothing is written, and comparing
//! takes seconds.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use roster::api::User;
use roster_test_support::chaos::end::{each, rows, versions};
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{Organization, domain, passed, run, user, within};
use roster_test_support::postgres::Database;
use roster_test_support::rng::number_from;

use crate::CLUSTER;

/// How many users there are unless `ROSTER_MANY` says something else.
const MANY: u64 = 500;

/// How many requests are under way at a time.
const TOGETHER: usize = 64;

/// How often everything is compared.
const RESYNC: Duration = Duration::from_secs(5);

/// How long something may take that everybody takes part in.
fn patience(many: u64) -> Duration {
    Duration::from_secs(60 + many / 50)
}

fn create(organization: &Organization, numbers: Range<u64>) {
    let users: Api<User> = organization.admin().api();
    run(async {
        let many = numbers.end - numbers.start;
        let creations = numbers.map(|number| {
            let user: User =
                serde_json::from_value(user(&format!("user-{number:06}"))).expect("a User");
            let users = users.clone();
            async move {
                users
                    .create(&PostParams::default(), &user)
                    .await
                    .expect("the user can be created")
                    .name_any()
            }
        });
        let created = futures::stream::iter(creations).buffer_unordered(TOGETHER).count().await;
        assert_eq!(u64::try_from(created).unwrap(), many);
    });
}

/// Returns how many users are Ready.
fn ready(organization: &Organization) -> u64 {
    let mut ready = 0;
    run(each(organization.admin().api::<User>(), |user: &User| {
        let status = user.status.as_ref();
        let is_current =
            status.is_some_and(|status| status.observed_generation == user.metadata.generation);
        let value = serde_json::to_value(user).expect("an object is JSON");
        ready += u64::from(
            is_current
                && roster_test_support::cluster::condition(&value, "Ready")["status"] == "True",
        );
    }));
    ready
}

fn queue(replica: &Replica) -> Option<u64> {
    let metrics = replica.page("/metrics").1;
    metrics.lines().find_map(|line| line.strip_prefix("roster_workqueue_depth "))?.parse().ok()
}

/// Waits for a comparison of everything that begins soon, and returns how long it took from when
/// its first group was compared; nothing where it was too quick to be seen.
fn comparison(replica: &Replica, soon: Duration) -> Option<Duration> {
    within(soon, || queue(replica).filter(|waiting| *waiting > 0))?;
    let begun = Instant::now();
    within(Duration::from_secs(600), || queue(replica).filter(|waiting| *waiting == 0))?;
    Some(begun.elapsed())
}

#[test]
fn a_start_and_comparisons_that_find_everything_as_it_should_be_write_nothing() {
    let many = number_from("ROSTER_MANY").unwrap_or(MANY);
    let (organization, database) = (CLUSTER.organization(), run(Database::new()));
    passed(organization.admin().create(&domain("acme.example")));
    // The months before the first life are closed at the first start after it, once and for all.
    let mut first = Replica::start(&organization, &database.url(), &[]);
    create(&organization, 0..1);
    organization.until_ready("User", "user-000000");
    stop(&mut first);
    let mut second = Replica::start(&organization, &database.url(), &[]);
    second.until_it_works();
    let begun = Instant::now();
    create(&organization, 1..many);
    println!("{many} users were created within {:.1?}", begun.elapsed());
    within(patience(many), || (ready(&organization) == many).then_some(()))
        .expect("everybody is Ready");
    println!("and were Ready {:.1?} after the first creation began", begun.elapsed());
    organization.until("UserGroup", "users", "counted", |group| group["status"]["members"] == many);
    organization.until("OrgEmailDomain", "acme.example", "counted", |domain| {
        domain["status"]["users"] == many
    });
    stop(&mut second);

    let before = (versions(&organization), rows(&database));
    assert_eq!(before.1["accounts"].0, i64::try_from(many).unwrap());
    let requests = organization.requests_of_the_operator().len();
    let begun = Instant::now();
    let resync = format!("{}s", RESYNC.as_secs());
    let mut third = Replica::start(&organization, &database.url(), &["--resync", &resync]);
    third.until_it_works();
    let listed = begun.elapsed();
    comparison(&third, Duration::from_secs(1));
    println!(
        "a start had listed everything after {listed:.2?}, and compared it after {:.2?} at most",
        begun.elapsed()
    );
    for _ in 0..2 {
        // Whether or not one is seen, it takes place.
        match comparison(&third, 2 * RESYNC) {
            Some(took) => println!("a full comparison took {took:.2?}"),
            None => println!("a full comparison was too quick to be seen"),
        }
    }
    let writes = organization.requests_of_the_operator().split_off(requests);
    assert_eq!(writes, Vec::<String>::new());
    let after = (versions(&organization), rows(&database));
    assert!(after.0 == before.0, "objects were written to");
    assert_eq!(after.1, before.1, "rows were written");
    stop(&mut third);
}

#[track_caller]
fn stop(operator: &mut Replica) {
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
}
