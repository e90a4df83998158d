//! A store that lost its newest hours, because it was put back from a backup, while the cluster
//! went on.

use std::collections::BTreeSet;

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{eventually, passed, run, run_roster};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::serving::{Serving, declared, is_stalled};

const FIRST: &str = "nine lorries leave at dawn";
const SECOND: &str = "eleven ferries come at dusk";

/// What was there before the store was put back.
struct Before {
    bob: String,
    carol: String,
    /// Who was billed at the time of the backup, each since when.
    billed: Vec<(String, Value)>,
}

/// Has alice, carol and dave hired before the backup.
fn until_the_backup(serving: &Serving) {
    serving.found_organization();
    serving.put_password("dave", FIRST);
    serving.hire(&["alice", "carol", "dave"]);
    serving.until_confirmed();
    assert!(serving.lets_in("dave", FIRST));
}

/// Has what the store is to lose happen after the backup.
fn after_the_backup(serving: &Serving) -> Before {
    let (carol, billed) = (serving.account("carol"), serving.billed());
    serving.hire(&["bob"]);
    serving.dismiss("carol");
    // More than once: directories have newer revisions than the backup by far.
    for number in 0..5 {
        serving.edit(
            "User",
            "alice",
            &json!({"profile": {"displayName": format!("Alice the {number}")}}),
        );
        serving.until_ready(&["alice"]);
    }
    serving.edit(
        "User",
        "alice",
        &json!({"email": "alice.smith@acme.example", "permissions": {"grants": ["cases:close"]}}),
    );
    serving.put_password("dave", SECOND);
    serving.edit("UserGroup", "drivers", &json!({"permissions": ["orders:read", "orders:write"]}));
    serving.organization.until_ready("UserGroup", "drivers");
    serving.until_ready(&["alice", "bob", "dave"]);
    eventually("dave's new password is in force", || serving.lets_in("dave", SECOND).then_some(()));
    serving.until_ready(&["dave"]);
    serving.until_confirmed();
    serving.until_the_directory_agrees();
    Before { bob: serving.account("bob"), carol, billed }
}

fn names<T>(of: impl IntoIterator<Item = (String, T)>) -> BTreeSet<String> {
    of.into_iter().map(|(name, _)| name).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// What holds once an operator works on the store that was put back, and the cures.
fn all_comes_right(serving: &Serving, operator: &Replica, before: Before) {
    let Before { bob, carol, billed } = before;
    let organization = &serving.organization;
    // Who is older than the backup is as declared again without an edit.
    eventually("alice is as declared again", || {
        (serving.accounts()["alice"]["email"] == "alice.smith@acme.example").then_some(())
    });
    eventually("dave's new password is in force again", || {
        serving.lets_in("dave", SECOND).then_some(())
    });
    assert!(!serving.lets_in("dave", FIRST));
    eventually("the group is as declared again", || {
        (serving.accounts()["dave"]["permissions"] == json!(["orders:read", "orders:write"]))
            .then_some(())
    });
    assert_eq!(
        serving.accounts()["alice"]["permissions"],
        json!(["cases:close", "orders:read", "orders:write"])
    );
    serving.until_ready(&["alice", "dave"]);
    // Who is newer gets no other account in silence.
    let lost = organization.until_reason("User", "bob", "AccountLost");
    assert!(is_stalled(&lost), "{lost:#}");
    assert_eq!(lost["status"]["accountId"], bob.as_str());
    assert_eq!(names(serving.accounts()), set(["alice", "carol", "dave"]));
    // Who was deleted since is back, belongs to nobody, and is named and counted.
    let lost = ("AccountLost".to_owned(), format!("user {}/bob", organization.name));
    assert_eq!(serving.found(), [lost, serving.orphan("carol", &carol)]);
    serving.until_orphaned(operator, 1);
    serving.until_confirmed();
    assert_eq!(serving.people()["carol"].0, carol);
    // The cures. Who is given up goes from the directory too, however long that takes.
    serving.directory.behaves(&json!({"down": true}));
    serving.edit("User", "bob", &json!({"deletionProtection": "Disabled"}));
    passed(organization.admin().delete("User", "bob"));
    organization.until_reason("User", "bob", "DirectoryUnavailable");
    assert_eq!(serving.people()["bob"].0, bob);
    serving.directory.has_a_good_day();
    organization.until_gone("User", "bob");
    assert!(!serving.people().contains_key("bob"));
    serving.hire(&["bob"]);
    assert_ne!(serving.account("bob"), bob);
    serving.create(&declared("carol"));
    serving.until_ready(&["carol"]);
    assert_eq!(serving.account("carol"), carol);
    organization.until_event("AccountTakenBack");
    assert_eq!(serving.found(), []);
    serving.dismiss("carol");
    assert_eq!(names(serving.accounts()), set(["alice", "bob", "dave"]));
    serving.until_the_directory_agrees();
    // Nobody is billed twice, and whoever was billed at the time of the backup is so since the same
    // day.
    let now = serving.billed();
    assert_eq!(
        now.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["alice", "bob", "carol", "dave"]
    );
    assert!(billed.iter().all(|line| now.contains(line)), "{billed:?}, then {now:?}");
    assert_eq!(serving.number("SELECT COUNT(*) FROM lifetimes"), 4);
}

fn in_postgres() -> (Database, Serving) {
    let database = run(Database::new());
    let serving = Serving::of(CLUSTER.organization(), database.url());
    (database, serving)
}

/// Puts the store back under an operator that goes on, and expects that it ends without having
/// written anything, also where nobody asks it for anything.
#[track_caller]
fn put_back_under(
    operator: &mut Replica,
    serving: &Serving,
    database: &Database,
    (dump, rows): &(String, Vec<String>),
) {
    database.restore(dump);
    assert_eq!(operator.exit_code(), Some(1));
    assert!(operator.says("lost leadership, exiting"), "{}", operator.log());
    assert_eq!(serving.rows(), *rows);
}

/// Returns a backup of the store, with every row that it has.
#[track_caller]
fn backup(serving: &Serving, database: &Database) -> (String, Vec<String>) {
    let (rows, dump) = (serving.rows(), database.dump());
    assert_eq!(serving.rows(), rows, "nothing is under way");
    (dump, rows)
}

/// Starts the next operator, which is to see that the store was put back.
#[track_caller]
fn successor(serving: &Serving, epoch: i64) -> Replica {
    let operator = serving.begin();
    assert!(operator.says("the store was put back"), "{}", operator.log());
    let claimed =
        operator.last("epoch").and_then(|epoch| epoch.as_i64()).expect("it claimed the store");
    assert!(claimed > epoch, "{claimed} isn't above {epoch}");
    assert_eq!(serving.number("SELECT epoch FROM leadership"), claimed);
    operator
}

fn epoch(operator: &Replica) -> i64 {
    operator.last("epoch").and_then(|epoch| epoch.as_i64()).expect("it claimed the store")
}

#[test]
fn an_operator_that_began_after_the_backup_writes_nothing_more_and_the_next_one_puts_things_right()
{
    let (database, serving) = in_postgres();
    let mut first = serving.begin();
    until_the_backup(&serving);
    let backup = backup(&serving, &database);
    first.signal("TERM");
    assert_eq!(first.exit_code(), Some(0));
    let mut second = serving.begin();
    let before = after_the_backup(&serving);
    let epoch = epoch(&second);
    put_back_under(&mut second, &serving, &database, &backup);
    all_comes_right(&serving, &successor(&serving, epoch), before);
}

#[test]
fn an_operator_that_was_there_at_the_backup_already_writes_nothing_more_either() {
    let (database, serving) = in_postgres();
    let mut operator = serving.begin();
    until_the_backup(&serving);
    let backup = backup(&serving, &database);
    let before = after_the_backup(&serving);
    let epoch = epoch(&operator);
    put_back_under(&mut operator, &serving, &database, &backup);
    all_comes_right(&serving, &successor(&serving, epoch), before);
}

#[test]
fn a_store_that_was_put_back_while_nobody_worked_is_noticed_by_the_next_operator() {
    for signal in ["TERM", "KILL"] {
        let (database, serving) = in_postgres();
        let mut operator = serving.begin();
        until_the_backup(&serving);
        let (dump, _) = backup(&serving, &database);
        let before = after_the_backup(&serving);
        let epoch = epoch(&operator);
        // The Lease is renewed every two seconds, with what was committed until then.
        serving.until_the_lease_knows();
        operator.signal(signal);
        operator.exit_code();
        database.restore(&dump);
        all_comes_right(&serving, &successor(&serving, epoch), before);
    }
}

#[test]
fn a_store_in_a_file_that_is_restored_comes_right_too() {
    let organization = CLUSTER.organization();
    let store = format!("sqlite://{}?mode=rwc", organization.file("roster.db").display());
    let copy = organization.file("copy.db").display().to_string();
    let serving = Serving::of(organization, store);
    let mut operator = serving.begin();
    until_the_backup(&serving);
    run_roster(&["backup", &copy, "--store", &serving.store], "").expect_success();
    let before = after_the_backup(&serving);
    operator.signal("TERM");
    assert_eq!(operator.exit_code(), Some(0));
    run_roster(&["restore", &copy, "--store", &serving.store], "").expect_success();
    all_comes_right(&serving, &serving.begin(), before);
}
