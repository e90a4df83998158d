//! Applications that lock what they may in a store that an operator works on.

use std::time::{Duration, Instant};

use roster_test_support::application::Application;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Organization, With, condition, domain, eventually, passed, run, user,
};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};

use crate::CLUSTER;

/// How long it may take until an edit is in force.
const SOON: Duration = Duration::from_secs(3);

/// Connects as an application that has rights to the view and the cases.
fn application(database: &Database, name: &str) -> Application {
    run(async {
        database.server().execute(&format!("CREATE ROLE {name} LOGIN")).await;
        let mut owner = Application::open(&database.url()).await;
        for grant in ["SELECT ON roster_accounts", "SELECT, INSERT, UPDATE ON cases"] {
            owner
                .execute(&format!("GRANT {grant} TO {name}"), &[])
                .await
                .expect("the owner may grant it");
        }
        owner.close().await;
        Application::open(&database.url().replace("//postgres@", &format!("//{name}@"))).await
    })
}

/// Has somebody disabled or enabled, and returns how long it took until that was in force.
fn switched(organization: &Organization, state: &str, store: &str) -> Duration {
    let begun = Instant::now();
    passed(organization.admin().patch("User", "eve", &json!({"spec": {"state": state}})));
    eventually("it is in force", || {
        let query = format!(
            "SELECT state FROM roster_accounts WHERE organization = '{}'",
            organization.name
        );
        let found = run(async {
            let mut application = Application::open(store).await;
            let found = application.text(&query).await;
            application.close().await;
            found
        });
        (found.as_deref() == Some(state)).then(|| begun.elapsed())
    })
}

fn ready(organization: &Organization, name: &str) -> Value {
    let user = organization.admin().get("User", name).expect("the User is there");
    condition(&user, "Ready").clone()
}

#[test]
fn an_application_that_locks_the_cases_holds_up_deletions_and_nothing_else() {
    let database = run(Database::new());
    let (acme, bolt) = (CLUSTER.organization(), CLUSTER.organization());
    let operator = Replica::start(&acme, &database.url(), &["--namespace", &bolt.name]);
    operator.until_it_works();
    for organization in [&acme, &bolt] {
        passed(organization.admin().create(&domain("acme.example")));
    }
    let names: Vec<String> = (0..40).map(|number| format!("user-{number}")).collect();
    for name in &names {
        passed(acme.admin().create(&user(name).with("/spec/deletionProtection", "Disabled")));
    }
    passed(bolt.admin().create(&user("eve")));
    for name in &names {
        acme.until_ready("User", name);
    }
    bolt.until_ready("User", "eve");

    let mut locking = application(&database, "locking");
    for statement in ["BEGIN", "LOCK TABLE cases IN SHARE ROW EXCLUSIVE MODE"] {
        run(locking.execute(statement, &[])).expect("it may do that");
    }
    let begun = Instant::now();
    for name in &names {
        passed(acme.admin().delete("User", name));
    }
    let mut slowest = Duration::ZERO;
    for round in 0..12 {
        slowest = slowest.max(switched(
            &bolt,
            if round % 2 == 0 { "Disabled" } else { "Enabled" },
            &database.url(),
        ));
        assert!(operator.is_alive(), "after {:?}", begun.elapsed());
    }
    println!(
        "slowest edit beside 40 deletions that wait: {slowest:?}, within {:?}",
        begun.elapsed()
    );
    assert!(slowest < SOON, "{slowest:?}");
    for name in &names {
        let told = eventually("it says what it waits for", || {
            let ready = ready(&acme, name);
            (ready["reason"] == "StoreUnavailable").then_some(ready)
        });
        assert!(
            told["message"].as_str().expect("a message").starts_with("an application has locked"),
            "{told}"
        );
    }
    // Who is to go logs in no more.
    let enabled = format!(
        "SELECT COUNT(*) FROM roster_accounts WHERE organization = '{}' AND state = 'Enabled'",
        acme.name
    );
    assert_eq!(run(locking.number(&enabled)), 0);
    acme.until_event("StoreUnavailable");
    assert_eq!(operator.metric("roster_store_locked_objects"), Some(40));
    assert!(operator.says("change waits for the store, backing off"), "{}", operator.log());
    assert!(operator.is_alive() && operator.is_ready());

    run(locking.execute("ROLLBACK", &[])).expect("it lets go");
    let begun = Instant::now();
    names.iter().for_each(|name| acme.until_gone("User", name));
    println!("40 deletions after the lock was let go: {:?}", begun.elapsed());
    eventually("nobody waits any more", || {
        (operator.metric("roster_store_locked_objects") == Some(0)).then_some(())
    });
    run(locking.close());
}
