//! Random histories in which etcd is put back to a backup at random moments: no right is in force
//! that nobody declares any more, nothing is passed over in silence, and everything comes to rest.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use roster::domain::account::{Account, LoginState, Source};
use roster::domain::password::PasswordCandidate;
use roster::store::Store;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;
use serde_json::Value;

const PEOPLE: [&str; 4] = ["ann", "ben", "cat", "dan"];
const GRANTS: [&str; 3] = ["cases:read", "orders:read", "payroll:read"];
const PASSWORDS: [&str; 3] = [
    "umbrella lantern quartz pelican",
    "sixteen candles over a harbour",
    "eleven ravens beneath the bridge",
];

/// What a User asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    grants: [bool; 3],
    drives: bool,
    from: Option<usize>,
    disabled: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Declare(usize, Wish),
    Delete(usize),
    /// What the group gives its members.
    Group(bool),
    Rotate(usize),
    BackUp,
    Restore,
    /// Other programs write to etcd.
    Others(u64),
    /// The operator goes through its loop, perhaps without having noticed that etcd was put back.
    Work(usize),
    Quiet,
    Resync,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let wish = (
        any::<[bool; 3]>(),
        any::<bool>(),
        proptest::option::weighted(0.3, 0..4_usize),
        proptest::bool::weighted(0.3),
    )
        .prop_map(|(grants, drives, from, disabled)| Wish { grants, drives, from, disabled });
    prop_oneof![
        8 => (0..4_usize, wish).prop_map(|(person, wish)| Step::Declare(person, wish)),
        2 => (0..4_usize).prop_map(Step::Delete),
        1 => any::<bool>().prop_map(Step::Group),
        2 => (0..3_usize).prop_map(Step::Rotate),
        2 => Just(Step::BackUp),
        3 => Just(Step::Restore),
        2 => (1..40_u64).prop_map(Step::Others),
        3 => (1..6_usize).prop_map(Step::Work),
        4 => Just(Step::Quiet),
        1 => Just(Step::Resync),
        1 => Just(Step::Restart),
    ]
}

fn declared(person: usize, wish: Wish) -> String {
    let Wish { grants, drives, from, disabled } = wish;
    let grants: Vec<&str> = GRANTS
        .iter()
        .zip(grants)
        .filter(|(_, granted)| *granted)
        .map(|(grant, _)| *grant)
        .collect();
    let from = from
        .map(|from| format!(", from: {{name: {}, mode: Inherit}}", PEOPLE[from]))
        .unwrap_or_default();
    let name = PEOPLE[person];
    let password =
        if name == "ann" { "passwordSecretRef: {name: ann-password, key: password}, " } else { "" };
    format!(
        "kind: User\nmetadata: {{name: {name}}}\nspec: {{email: {name}@acme.example, profile: {{displayName: {name}}}, {password}\
         groupRef: {{name: {}}}, permissions: {{grants: {grants:?}{from}}}, state: {}, deletionProtection: Disabled, \
         chargeApproved: true}}",
        if drives { "drivers" } else { "users" },
        if disabled { "Disabled" } else { "Enabled" },
    )
}

fn group(gives: bool) -> String {
    let permissions = if gives { "routes:read" } else { "" };
    format!("kind: UserGroup\nmetadata: {{name: drivers}}\nspec: {{permissions: [{permissions}]}}")
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn ready(object: &Value) -> Option<(&str, &str)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    Some((ready["status"].as_str()?, ready["reason"].as_str()?))
}

/// Nothing is in force that the User doesn't ask for.
fn check_nothing_more(spec: &Value, account: &Account) -> Result<(), TestCaseError> {
    let content = &account.content;
    let asked = texts(&spec["permissions"]["grants"]);
    prop_assert!(
        content.grants.iter().all(|grant| asked.contains(&grant.as_str())),
        "{:?} of {asked:?}",
        content.grants
    );
    prop_assert!(spec["state"] != "Disabled" || content.lifecycle == LoginState::Disabled);
    prop_assert!(content.group == "users" || spec["groupRef"]["name"] == content.group.as_str());
    let follows = match &content.source {
        Some(Source::Inherited { from, .. }) => Some(from.as_str()),
        Some(Source::Cloned(_)) | None => None,
    };
    prop_assert!(
        follows.is_none() || spec["permissions"]["from"]["name"].as_str() == follows,
        "{follows:?}"
    );
    Ok(())
}

/// Everything that the User asks for is in force.
fn check_everything(
    cluster: &Cluster<FlakyStore>,
    spec: &Value,
    account: &Account,
    password: &str,
) -> Result<(), TestCaseError> {
    let content = &account.content;
    let mut asked = texts(&spec["permissions"]["grants"]);
    asked.sort_unstable();
    let grants: Vec<&str> = content.grants.iter().map(|grant| grant.as_str()).collect();
    prop_assert_eq!(grants, asked);
    prop_assert_eq!(content.group.as_str(), spec["groupRef"]["name"].as_str().unwrap());
    prop_assert_eq!(content.lifecycle == LoginState::Disabled, spec["state"] == "Disabled");
    prop_assert_eq!(content.source.is_some(), spec["permissions"]["from"].is_object());
    if account.owner.name == "ann" {
        prop_assert!(
            cluster.verifies(account, &PasswordCandidate::new(password.as_bytes()).unwrap()),
            "the declared password logs in"
        );
    }
    Ok(())
}

async fn check(cluster: &Cluster<FlakyStore>) -> Result<(), TestCaseError> {
    let accounts = cluster.store.list(None).await.unwrap();
    let password = cluster.password("ann-password").expect("there is always one");
    for ((kind, name), object) in cluster.objects() {
        let (spec, generation) = (&object["spec"], &object["metadata"]["generation"]);
        let Some((status, reason)) = ready(object) else {
            prop_assert!(
                object["metadata"]["deletionTimestamp"].is_string(),
                "{kind}/{name} says nothing"
            );
            continue;
        };
        prop_assert_eq!(&object["status"]["observedGeneration"], generation, "{}/{}", kind, name);
        if kind != "User" || object["metadata"]["deletionTimestamp"].is_string() {
            continue;
        }
        let mine =
            accounts.iter().find(|account| object["metadata"]["uid"] == account.owner.uid.as_str());
        match mine {
            Some(account) => {
                check_nothing_more(spec, account)?;
                if status == "True" {
                    check_everything(cluster, spec, account, &password)?;
                }
                prop_assert!(reason != "AccountLost", "{name} has its account");
            }
            None => prop_assert!(status == "False", "{name} is told ready without an account"),
        }
    }
    Ok(())
}

async fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.apply("kind: OrgEmailDomain\nmetadata: {name: acme}\nspec: {domain: acme.example}");
    cluster.apply(&group(true));
    cluster.set_secret("ann-password", Some(PASSWORDS[0]));
    cluster.back_up();
    let mut versions: BTreeSet<u64> = [cluster.version()].into();
    for step in steps {
        match step {
            Step::Declare(person, wish) => cluster.apply(&declared(person, wish)),
            Step::Delete(person) => {
                if cluster.objects().contains_key(&("User".to_owned(), PEOPLE[person].to_owned())) {
                    cluster.delete("User", PEOPLE[person]);
                }
            }
            Step::Group(gives) => cluster.apply(&group(gives)),
            Step::Rotate(password) => {
                // One version never stands for two passwords: only where a restore is noticed by
                // the versions can that be told.
                while !versions.insert(cluster.version() + 1) {
                    cluster.others_write(1);
                }
                cluster.set_secret("ann-password", Some(PASSWORDS[password]));
            }
            Step::BackUp => cluster.back_up(),
            Step::Restore => cluster.restore(),
            Step::Others(writes) => cluster.others_write(writes),
            Step::Work(times) => cluster.work_for(times).await,
            Step::Restart => cluster.restart(),
            Step::Quiet => {
                cluster.until_quiet().await;
                check(&cluster).await?;
            }
            Step::Resync => {
                cluster.resync().await;
                cluster.until_quiet().await;
                check(&cluster).await?;
            }
        }
    }
    cluster.until_quiet().await;
    check(&cluster).await?;
    // Where permissions come through an account that has no User any more, statuses follow with the
    // next comparison.
    cluster.resync().await;
    cluster.until_quiet().await;
    cluster.take_writes();
    let before = cluster.objects().clone();
    cluster.resync().await;
    cluster.until_quiet().await;
    let changed =
        cluster.objects().iter().find(|(place, object)| before.get(*place) != Some(object));
    let changed = changed.map(|(place, object)| {
        format!(
            "{}
{}",
            before[place]["status"], object["status"]
        )
    });
    prop_assert_eq!(cluster.take_writes(), 0, "{}", changed.unwrap_or_default());
    Ok(())
}

#[test]
fn whenever_etcd_is_put_back_what_is_declared_then_is_in_force_or_refused_aloud() {
    let cases =
        std::env::var("ROSTER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000);
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(step(), 4..24), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(steps))
    });
    outcome.unwrap();
}
