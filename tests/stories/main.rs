//! Stories: objects in, statuses, accounts and Events out. Adding a test is adding a `.story` file.
//!
//! A story is a sentence and then steps: `=== apply` with YAML, `=== delete KIND NAME`, and `===
//! store away N`, `=== store forgets N` (that it committed), `=== store keeps NAME` and `=== store
//! lets go` (of what an application has locked), `=== store refuses N`, `=== etcd backup`, `===
//! etcd restore` (which a quiet watch notices), `=== etcd goes on` (until its versions are newer
//! than those that the operator knew) and `=== writes fail N` for faults, `=== member NAME FIELD
//! VALUE` for self-service, `=== adopt NAME` with a User that takes over the account of another,
//! `=== secret NAME` with a password, `=== login NAME` with one that is tried, `=== another
//! cluster` in which nothing is yet, `=== directory good`, `silent` or `down` for what transactions
//! wait for, `=== directory refuses NAME…` for whose entries it doesn't take, `=== directory
//! changed LOGIN` and `=== directory loses LOGIN` by somebody else, `=== directory compared N`
//! (that often, with everything), `=== wait N minutes`, and `=== expect` with what stands in
//! cluster and store once everything is quiet. Run with `ROSTER_BLESS=1` to write down what
//! happens, and read the difference.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod claim_ends;
mod namespace_goes;
mod put_back;
mod random_edits;
mod states;

use std::path::{Path, PathBuf};
use std::time::Duration;

use roster::clock::Clock;
use roster::controller::billing_periods::PeriodCloser;
use roster::controller::clocks::{Clocks, ServerClock};
use roster::domain::account::Account;
use roster::domain::billing::BillingTimeZone;
use roster::store::Store;
use roster::telemetry::Metrics;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;
use serde_json::json;
use tokio::time::Instant;

use states::States;

#[tokio::test(start_paused = true)]
async fn every_story_ends_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let mut stories: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| path.extension().is_some_and(|extension| extension == "story"));
    stories.sort();
    assert!(!stories.is_empty());
    let (mut different, mut states) = (vec![], States::default());
    for path in stories {
        let told = std::fs::read_to_string(&path).unwrap();
        let happened = play(&told, &mut states).await;
        if std::env::var_os("ROSTER_BLESS").is_some() {
            std::fs::write(&path, &happened).unwrap();
        } else if told != happened {
            let name = path.file_name().unwrap().to_string_lossy();
            different.push(format!("{name}: told\n{told}\n{name}: happened\n{happened}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    states.check();
}

/// Plays a story and returns it with what really happened. Notes the states of all objects after
/// each step.
async fn play(told: &str, states: &mut States) -> String {
    // How long is waited between tries is drawn, and when something is told depends on it.
    fastrand::seed(7);
    let mut cluster = Cluster::new(FlakyStore::default());
    let mut sections = told.split("\n=== ");
    let mut happened = sections.next().unwrap().trim_end().to_owned() + "\n";
    for section in sections {
        let (step, text) = section.split_once('\n').unwrap_or((section, ""));
        let words: Vec<&str> = step.split_whitespace().collect();
        match words[..] {
            ["apply"] => cluster.apply(text),
            ["delete", kind, name] => cluster.delete(kind, name),
            ["resync"] => cluster.resync().await,
            ["restart"] => cluster.restart(),
            ["another", "cluster"] => cluster.lose_objects(),
            ["directory", "changed", login] => cluster.change_directory(login),
            ["directory", "loses", login] => cluster.delete_from_directory(login),
            ["directory", "compared", times] => cluster.compare(times.parse().unwrap()).await,
            ["directory", "refuses", ref users @ ..] => cluster.refuse(users),
            ["directory", day] => cluster.set_directory(day).await,
            ["adopt", name] => cluster.adopt(name, text).await,
            ["secret", name, "gone"] => cluster.set_secret(name, None),
            ["secret", name] => cluster.set_secret(name, Some(text.trim_end())),
            ["login", name] => cluster.log_in(name, text.trim_end()).await,
            ["wait", minutes, "minutes"] => cluster.wait(minutes.parse().unwrap()).await,
            ["member", name, field, value] => cluster.change_self(name, field, value).await,
            ["store", "away", times] => cluster.store.fail(times.parse().unwrap()),
            ["store", "refuses", times] => cluster.store.refuse(times.parse().unwrap()),
            ["etcd", "backup"] => cluster.back_up(),
            ["etcd", "restore"] => cluster.restore(),
            ["etcd", "goes", "on"] => cluster.others_write(1000),
            ["store", "keeps", ref users @ ..] => cluster.store.keep(users),
            ["store", "lets", "go"] => cluster.store.keep(&[]),
            ["store", "forgets", times] => cluster.store.lose(times.parse().unwrap()),
            ["writes", "fail", times] => cluster.fail_writes(times.parse().unwrap()),
            ["expect"] => {
                cluster.until_quiet().await;
                happened += &format!("\n=== expect\n{}", cluster.describe().await);
                states.note(cluster.objects().values());
                continue;
            }
            _ => panic!("no such step: {step}"),
        }
        states.note(cluster.objects().values());
        happened += &format!("\n=== {step}\n{}", text.trim_end());
        if !text.trim().is_empty() {
            happened += "\n";
        }
    }
    happened
}

#[tokio::test(start_paused = true)]
async fn a_change_at_the_root_costs_a_status_write_for_each_heir_also_where_a_directory_is_brought_it()
 {
    const HEIRS: usize = 300;
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.apply("{kind: OrgEmailDomain, metadata: {name: acme}, spec: {domain: acme.example}}");
    let put = |cluster: &mut Cluster<FlakyStore>, name: &str, permissions: serde_json::Value| {
        let email = format!("{name}@acme.example");
        let spec = json!({"email": email, "profile": {"displayName": "A user"}, "chargeApproved": true, "permissions": permissions});
        cluster.put(json!({"kind": "User", "metadata": {"name": name}, "spec": spec}));
    };
    put(&mut cluster, "root", json!({"grants": ["orders:read", "orders:write"]}));
    let heir = json!({"from": {"name": "root", "mode": "Inherit"}});
    (0..HEIRS).for_each(|number| put(&mut cluster, &format!("heir-{number}"), heir.clone()));
    cluster.set_directory("good").await;
    cluster.until_quiet().await;
    for grants in [json!(["orders:read"]), json!(["orders:read", "cases:read"])] {
        cluster.take_writes();
        put(&mut cluster, "root", json!({"grants": grants}));
        cluster.wait(3).await;
        assert_eq!(cluster.take_writes(), HEIRS + 1, "after {grants}");
    }
}

/// Returns how often the store is asked until so many have passed their addresses round.
async fn calls_to_pass_addresses_round(many: usize) -> usize {
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.apply("{kind: OrgEmailDomain, metadata: {name: acme}, spec: {domain: acme.example}}");
    let put = |cluster: &mut Cluster<FlakyStore>, shift: usize| {
        for number in 0..many {
            let email = format!("u{}@acme.example", (number + shift) % many);
            let spec = json!({"email": email, "profile": {"displayName": "A user"}, "chargeApproved": true});
            cluster.put(
                json!({"kind": "User", "metadata": {"name": format!("u{number}")}, "spec": spec}),
            );
        }
    };
    put(&mut cluster, 0);
    cluster.until_quiet().await;
    let before = cluster.store.calls();
    put(&mut cluster, 1);
    cluster.until_quiet().await;
    let accounts = cluster.store.list(None).await.unwrap();
    let has_next = |account: &Account| {
        let number: usize = account.owner.name[1..].parse().unwrap();
        account.content.email.as_str() == format!("u{}@acme.example", (number + 1) % many)
    };
    assert!(accounts.len() == many && accounts.iter().all(has_next));
    cluster.store.calls() - before
}

#[tokio::test(start_paused = true)]
async fn addresses_that_are_passed_round_are_looked_up_once_each() {
    let (few, many) =
        (calls_to_pass_addresses_round(40).await, calls_to_pass_addresses_round(160).await);
    assert!(many <= 6 * few, "{few} calls for 40, {many} for 160");
}

#[tokio::test(start_paused = true)]
async fn months_are_looked_at_when_the_operator_starts_each_hour_and_a_minute_after_the_store_failed()
 {
    let (store, mut months) = (FlakyStore::default(), PeriodCloser::new());
    let (mut clocks, metrics) =
        (Clocks::new(Clock::SYSTEM, ServerClock::unread()), Metrics::default());
    assert!(months.due() <= Instant::now());
    store.fail(1);
    months.close(&store, &BillingTimeZone::UTC, (&mut clocks, &metrics)).await.unwrap();
    assert_eq!(months.due() - Instant::now(), Duration::from_secs(60));
    assert_eq!(store.inner.calendar().await.unwrap().zone, None);
    tokio::time::sleep_until(months.due()).await;
    months.close(&store, &BillingTimeZone::UTC, (&mut clocks, &metrics)).await.unwrap();
    assert!(months.due() - Instant::now() <= Duration::from_secs(3600));
    assert_eq!(store.inner.calendar().await.unwrap().zone, Some(BillingTimeZone::UTC));
}

#[tokio::test(start_paused = true)]
async fn who_loses_rights_goes_first_and_who_is_held_up_goes_last_and_alone() {
    let mut cluster = Cluster::new(FlakyStore::default());
    let user = |name: &str, rest: &str| {
        format!(
            "kind: User\nmetadata: {{name: {name}}}\nspec: {{email: {name}@acme.example, profile: {{displayName: {name}}}, \
             chargeApproved: true, deletionProtection: Disabled{rest}}}\n"
        )
    };
    let (domain, grants) = (
        "kind: OrgEmailDomain\nmetadata: {name: acme}\nspec: {domain: acme.example}\n",
        ", permissions: {grants: [a, b]}",
    );
    let all = ["alice", "bob", "carol", "dave"].map(|name| user(name, grants));
    cluster.apply(&[domain, &all.join("---\n")].join("---\n"));
    cluster.until_quiet().await;
    cluster.store.take_commits();
    cluster.store.keep(&["bob"]);
    let edits = [
        user("alice", ", role: Driver, permissions: {grants: [a, b]}"),
        user("carol", ", permissions: {grants: [a]}"),
    ];
    cluster.apply(
        &[edits.join("---\n"), user("dave", ", state: Disabled, permissions: {grants: [a, b]}")]
            .join("---\n"),
    );
    cluster.delete("User", "bob");
    cluster.until_quiet().await;
    let commits = cluster.store.take_commits();
    assert_eq!(
        (commits[0].join(" "), commits[1].join(" ")),
        ("carol dave".to_owned(), "bob alice".to_owned())
    );
    assert!(
        commits.len() > 3
            && commits[2..].iter().all(|commit| commit.is_empty() || *commit == ["bob"]),
        "{commits:?}"
    );
    cluster.apply(&user("alice", ", role: Dispatcher, permissions: {grants: [a, b]}"));
    cluster.store.keep(&[]);
    cluster.wait(1).await;
    let commits = cluster.store.take_commits();
    assert!(commits.contains(&vec!["bob".to_owned()]), "{commits:?}");
    assert!(
        !cluster.objects().contains_key(&("User".to_owned(), "bob".to_owned())),
        "he goes by himself"
    );
}
