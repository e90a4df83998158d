//! A namespace goes in whatever order its objects go: nobody who is retained, paused, protected,
//! followed, on a loop or in control keeps it for longer than somebody wants that.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use roster::domain::account::Account;
use roster::domain::organization::{CustomerId, Organization};
use roster::store::Store;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;
use serde_json::{Value, json};

const GROUPS: [&str; 4] = ["users", "crew", "administrators", "chiefs"];
const DOMAINS: [&str; 2] = ["acme.example", "eu.acme.example"];

/// Somebody of the organization.
#[derive(Clone, Debug)]
struct Person {
    group: usize,
    domain: usize,
    /// Whom they inherit from or clone.
    source: Option<(Index, bool)>,
    disabled: bool,
    retained: bool,
    protected: bool,
    paused: bool,
    unapproved: bool,
    /// Their User goes before the namespace does, and perhaps there is another of the name that
    /// can't have the account.
    left_behind: Option<bool>,
}

/// What happens between two deletions.
#[derive(Clone, Copy, Debug)]
enum Pause {
    None,
    Quiet,
    Restart,
    Directory(&'static str),
}

fn person() -> impl Strategy<Value = Person> {
    let flags = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.4),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    );
    let source = prop::option::weighted(0.6, (any::<Index>(), prop::bool::weighted(0.8)));
    (0..GROUPS.len(), 0..DOMAINS.len(), source, flags, prop::option::weighted(0.3, any::<bool>()))
        .prop_map(
            |(
                group,
                domain,
                source,
                (disabled, retained, protected, paused, unapproved),
                left_behind,
            )| Person {
                group,
                domain,
                source,
                disabled,
                retained,
                protected,
                paused,
                unapproved,
                left_behind,
            },
        )
}

fn pause() -> impl Strategy<Value = Pause> {
    let day = prop_oneof![Just("good"), Just("silent"), Just("down")];
    prop_oneof![4 => Just(Pause::None), 4 => Just(Pause::Quiet), 1 => Just(Pause::Restart), 1 => day.prop_map(Pause::Directory)]
}

fn name(number: usize) -> String {
    format!("u{number}")
}

impl Person {
    fn user(&self, number: usize, people: usize) -> Value {
        let word = |set: bool| if set { "Enabled" } else { "Disabled" };
        let mut spec = json!({
            "email": format!("{}@{}", name(number), DOMAINS[self.domain]),
            "profile": {"displayName": name(number)},
            "groupRef": {"name": GROUPS[self.group]},
            "state": word(!self.disabled),
            "permissions": {"grants": ["orders:read"]},
            "deletionProtection": word(self.protected),
            "deletionPolicy": if self.retained { "Retain" } else { "Delete" },
            "chargeApproved": !self.unapproved,
        });
        if let Some((source, inherits)) = &self.source {
            let mode = if *inherits { "Inherit" } else { "Clone" };
            spec["permissions"]["from"] = json!({"name": name(source.index(people)), "mode": mode});
        }
        let annotations = if self.paused { json!({"roster.rs/paused": "true"}) } else { json!({}) };
        json!({"kind": "User", "metadata": {"name": name(number), "annotations": annotations}, "spec": spec})
    }
}

type Objects = BTreeSet<(String, String)>;

fn there(cluster: &Cluster<FlakyStore>) -> Objects {
    cluster.objects().keys().cloned().collect()
}

/// Fills the organization, and lets those who are to be left behind go.
async fn fill(cluster: &mut Cluster<FlakyStore>, people: &[Person]) {
    for domain in DOMAINS {
        cluster.put(json!({"kind": "OrgEmailDomain", "metadata": {"name": domain}, "spec": {"domain": domain}}));
    }
    for (group, full_control) in [("crew", false), ("chiefs", true)] {
        cluster.put(json!({"kind": "UserGroup", "metadata": {"name": group}, "spec": {"fullControl": full_control}}));
    }
    let without_source = |person: &Person| Person { source: None, paused: false, ..person.clone() };
    people.iter().enumerate().for_each(|(number, person)| {
        cluster.put(without_source(person).user(number, people.len()))
    });
    cluster.until_quiet().await;
    people
        .iter()
        .enumerate()
        .for_each(|(number, person)| cluster.put(person.user(number, people.len())));
    cluster.until_quiet().await;
    for (number, person) in
        people.iter().enumerate().filter(|(_, person)| person.left_behind.is_some())
    {
        let leaves = Person { retained: true, paused: false, ..person.clone() };
        cluster.put(leaves.user(number, people.len()));
        cluster.delete("User", &name(number));
        cluster.until_quiet().await;
        if person.left_behind == Some(true) {
            let elsewhere = Person {
                group: (person.group + 1) % GROUPS.len(),
                source: None,
                unapproved: false,
                ..leaves
            };
            cluster.put(elsewhere.user(number, people.len()));
        }
    }
    cluster.until_quiet().await;
}

async fn play(
    people: Vec<Person>,
    order: Vec<(Index, Pause)>,
    lifted: Vec<Index>,
) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.set_directory("good").await;
    fill(&mut cluster, &people).await;
    let accounts = cluster.store.list(None).await.unwrap();
    let is_retained = |account: &&Account| {
        let user = cluster.objects().get(&("User".to_owned(), account.owner.name.clone()));
        let owner = user.filter(|user| user["metadata"]["uid"] == account.owner.uid.as_str());
        owner.is_none_or(|owner| owner["spec"]["deletionPolicy"] == "Retain")
    };
    let retained: BTreeSet<String> =
        accounts.iter().filter(is_retained).map(|account| account.owner.name.clone()).collect();
    cluster.put(json!({"kind": "Namespace", "metadata": {"name": "acme", "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let mut left: Vec<(String, String)> = there(&cluster).into_iter().collect();
    let mut order = order.into_iter().cycle();
    while !left.is_empty() {
        let (index, pause) = order.next().expect("it goes round");
        let (kind, name) = left.remove(index.index(left.len()));
        // Who waited for nobody else may be gone.
        if there(&cluster).contains(&(kind.clone(), name.clone())) {
            cluster.delete(&kind, &name);
        }
        match pause {
            Pause::None => {}
            Pause::Quiet => cluster.until_quiet().await,
            Pause::Restart => cluster.restart(),
            Pause::Directory(day) => cluster.set_directory(day).await,
        }
    }
    cluster.set_directory("good").await;
    // What a silent directory was brought is asked for again after a restart, as after its timeout.
    cluster.restart();
    cluster.wait(3).await;
    let mut held: Vec<usize> = (0..people.len())
        .filter(|number| people[*number].protected || people[*number].paused)
        .collect();
    let is_held =
        |kind: &str, user: &str| kind == "User" && held.iter().any(|number| name(*number) == *user);
    if !there(&cluster).iter().any(|(kind, user)| is_held(kind, user)) {
        prop_assert_eq!(there(&cluster), Objects::new(), "nobody is protected or paused");
    }
    let mut lifted = lifted.into_iter().cycle();
    while !held.is_empty() {
        let number = held.remove(lifted.next().expect("it goes round").index(held.len()));
        if there(&cluster).contains(&("User".to_owned(), name(number))) {
            // A User that can't have the account of its name may have another spec; what matters is
            // what held it.
            let mut user = cluster.objects()[&("User".to_owned(), name(number))].clone();
            user["metadata"]["annotations"] = json!({});
            user["spec"]["deletionProtection"] = json!("Disabled");
            cluster.put(user);
        }
    }
    cluster.until_quiet().await;
    cluster.wait(3).await;
    let says = |object: &Value| object["status"]["conditions"][0]["message"].clone();
    let holding: Vec<_> =
        cluster.objects().iter().map(|(place, object)| (place.clone(), says(object))).collect();
    prop_assert_eq!(holding, vec![]);

    let accounts = cluster.store.list(None).await.unwrap();
    let kept: BTreeSet<String> =
        accounts.iter().map(|account| account.owner.name.clone()).collect();
    prop_assert_eq!(kept, retained);
    let organization = Organization {
        namespace: "acme".to_owned(),
        customer_id: CustomerId::parse("acme").unwrap(),
    };
    let record =
        cluster.store.organizations(&[organization]).await.unwrap().remove("acme").unwrap();
    for account in accounts {
        prop_assert!(
            record.group(&account.content.group).is_some(),
            "{} is in force",
            account.content.group
        );
    }
    Ok(())
}

#[test]
fn a_namespace_goes_in_whatever_order_its_objects_do() {
    let cases =
        std::env::var("ROSTER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let people = prop::collection::vec(person(), 1..8);
    let order = prop::collection::vec((any::<Index>(), pause()), 1..20);
    let outcome = runner.run(
        &(people, order, prop::collection::vec(any::<Index>(), 1..4)),
        |(people, order, lifted)| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(play(people, order, lifted))
        },
    );
    outcome.unwrap();
}
