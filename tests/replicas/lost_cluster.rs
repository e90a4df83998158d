//! A cluster that lost its resources, and another one that takes its place on the same store.

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{Organization, With, condition, eventually, passed, run, user};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::serving::{Serving, declared};

const PASSWORD: &str = "nine lorries leave at dawn";

/// What the former cluster's people have in the store.
struct Former {
    alice: String,
    carol: String,
    billed: Vec<(String, Value)>,
    /// What tells lives and transactions: nothing of it changes by moving.
    lives: Vec<String>,
}

const LIVES: &str = "SELECT account_id || ' ' || login_name || ' ' || created_at || ' ' || COALESCE(CAST(deleted_at AS TEXT), '-') \
                     FROM lifetimes ORDER BY 1";

/// Has alice, carol and dave hired in the cluster that is to be lost.
fn at_home(serving: &Serving) -> Former {
    serving.found_organization();
    serving.put_password("dave", PASSWORD);
    serving.hire(&["alice", "carol", "dave"]);
    serving.until_confirmed();
    let lives = serving.texts(LIVES);
    Former {
        alice: serving.account("alice"),
        carol: serving.account("carol"),
        billed: serving.billed(),
        lives,
    }
}

/// Returns the uid by which a cluster is known.
fn cluster(organization: &Organization) -> String {
    let namespace =
        organization.admin().get("Namespace", "kube-system").expect("every cluster has it");
    namespace["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// Returns the same organization in an empty cluster, on the same store and directory.
fn elsewhere(serving: &Serving) -> Serving {
    let organization = serving.organization.in_another_cluster();
    let [home, away] = [cluster(&serving.organization), cluster(&organization)];
    assert_ne!(home, away);
    let mut moved = Serving::of(organization, serving.store.clone());
    moved.directory = roster_test_support::fake_directory::Directory::in_folder(
        serving.organization.file("directory"),
    );
    let mut refused = moved.begin_with(&[]);
    assert_eq!(refused.exit_code(), Some(2));
    let message = format!("(its kube-system has the uid {home}, this one's {away})");
    assert!(refused.says(&message) && refused.says("--accept-cluster"), "{}", refused.log());
    moved
}

/// Starts the other cluster's operator, which is allowed to take the store over.
#[track_caller]
fn accepted(moved: &Serving) -> Replica {
    let operator = moved.begin_with(&["--accept-cluster", "--resync", "3s"]);
    operator.until_it_works();
    operator
}

/// What holds in the cluster that took the place of the former.
fn all_accounts_are_taken_back(moved: &Serving, operator: &Replica, former: Former) {
    let Former { alice, carol, billed, lives } = former;
    let name = &moved.organization.name;
    // Nobody goes because their User isn't there.
    moved.until_orphaned(operator, 3);
    assert_eq!(moved.accounts().len(), 3);
    let mut found = moved.found();
    found.sort();
    let mut orphans: Vec<_> = moved
        .accounts()
        .keys()
        .map(|name| moved.orphan(name, &moved_account(moved, name)))
        .collect();
    orphans.sort();
    assert_eq!(found, orphans);
    assert!(moved.lets_in("dave", PASSWORD));
    // Somebody under another name doesn't get what alice has.
    moved.found_organization();
    moved.create(&declared("alicia").with("/spec/email", "alice@acme.example"));
    let thief = moved.organization.until_reason("User", "alicia", "EmailTaken");
    assert_eq!(thief["status"]["accountId"], Value::Null);
    moved.create(&user("alison").with("/spec/username", "alice"));
    let thief = moved.organization.until_reason("User", "alison", "LoginTaken");
    assert_eq!(thief["status"]["accountId"], Value::Null);
    for thief in ["alicia", "alison"] {
        passed(moved.organization.admin().delete("User", thief));
        moved.organization.until_gone("User", thief);
    }
    assert_eq!(moved.texts(LIVES), lives);
    // The same manifests, as before: only carol's isn't applied.
    moved.put_password("dave", PASSWORD);
    moved.hire(&["alice", "dave"]);
    assert_eq!(moved.account("alice"), alice);
    let events = moved.organization.until_event("AccountTakenBack");
    assert!(events.contains("belongs to this User now"), "{events}");
    moved
        .organization
        .until("User", "dave", "let in", |dave| condition(dave, "LoginReady")["status"] == "True");
    assert!(moved.lets_in("dave", PASSWORD));
    moved.until_orphaned(operator, 1);
    assert_eq!(moved.found(), [moved.orphan("carol", &carol)]);
    // Nothing was made, ended or billed anew.
    assert_eq!(moved.texts(LIVES), lives);
    assert_eq!(moved.number("SELECT COUNT(*) FROM transactions WHERE type = 'Create'"), 3);
    assert_eq!(moved.number("SELECT COUNT(*) FROM transactions WHERE type = 'PasswordChange'"), 0);
    assert_eq!(moved.billed(), billed);
    moved.until_the_directory_agrees();
    // Whoever comes late gets theirs back just the same.
    moved.create(&declared("carol"));
    moved.until_ready(&["carol"]);
    assert_eq!(moved.account("carol"), carol);
    assert_eq!((moved.found(), moved.texts(LIVES)), (vec![], lives), "{name}");
}

fn moved_account(moved: &Serving, name: &str) -> String {
    let login = format!("{name}.{}", moved.organization.name);
    moved
        .texts(&format!("SELECT account_id FROM roster_accounts WHERE login_name = '{login}'"))
        .remove(0)
}

#[test]
fn another_cluster_takes_the_store_over_when_it_may_and_the_former_ones_operator_writes_nothing_more()
 {
    let database = run(Database::new());
    let home = Serving::of(CLUSTER.organization(), database.url());
    let mut former = home.begin();
    let before = at_home(&home);
    let moved = elsewhere(&home);
    assert!(former.runs() && former.leads(), "who was refused did no harm");
    let operator = accepted(&moved);
    assert_eq!(operator.last("former"), Some(cluster(&home.organization).into()));
    // Nothing that the new one has to do of itself is to be taken for the former one's.
    moved.until_orphaned(&operator, 3);
    moved.until_confirmed();
    let groups = "SELECT COUNT(*) FROM groups WHERE name IN ('users', 'administrators')";
    eventually("the groups that the cluster lacks are dropped", || {
        (moved.number(groups) == 0).then_some(())
    });
    let rows = home.rows();
    passed(home.organization.admin().patch("User", "alice", &json!({"spec": {"role": "Driver"}})));
    assert_eq!(former.exit_code(), Some(1));
    assert!(former.says("lost leadership, exiting"), "{}", former.log());
    assert_eq!(home.rows(), rows);
    let mut returned = home.begin_with(&[]);
    assert_eq!(returned.exit_code(), Some(2), "the store belongs to the other one now");
    all_accounts_are_taken_back(&moved, &operator, before);
}

#[test]
fn another_cluster_takes_over_a_store_in_a_file_once_the_former_ones_operator_is_gone() {
    let organization = CLUSTER.organization();
    let store = format!("sqlite://{}?mode=rwc", organization.file("roster.db").display());
    let home = Serving::of(organization, store);
    let mut former = home.begin();
    let before = at_home(&home);
    former.kill();
    let moved = elsewhere(&home);
    let operator = accepted(&moved);
    assert_eq!(operator.last("former"), Some(cluster(&home.organization).into()));
    all_accounts_are_taken_back(&moved, &operator, before);
}
