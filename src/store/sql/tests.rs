//! What only a look inside a store in SQLite shows: how it fails, and how many steps it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use super::*;
use crate::domain::account::{
    AccountId, AccountSpec, DirectoryAck, LoginState, Revision, TransactionId, TransactionKind,
};
use crate::domain::group::GroupContent;
use crate::domain::organization::{CustomerId, LoginName};
use crate::plan::{AccountChange, AccountPlan, ConfirmPlan, GroupPlan, Precondition};

fn groups(count: usize) -> Vec<Plan> {
    let put = |number| GroupPlan::Put {
        namespace: "acme".to_owned(),
        name: format!("group {number} {}", "x".repeat(1000)),
        content: GroupContent::default(),
        leaving: Deleting::default(),
    };
    (0..count).map(|number| Plan::Group(put(number))).collect()
}

fn now() -> CommitTime {
    CommitTime { now: jiff::Timestamp::UNIX_EPOCH, deadline: jiff::Timestamp::UNIX_EPOCH }
}

/// A store that doesn't wait long for others.
async fn impatient(folder: &tempfile::TempDir) -> (SqlStore, sqlite::SqliteAddress) {
    let address = sqlite::SqliteAddress::parse(&format!(
        "sqlite://{}/roster.db?mode=rwc",
        folder.path().display()
    ))
    .unwrap();
    address.create_if_asked().unwrap();
    let database = Database::Sqlite(
        sqlite::SqliteDatabase::connect_with(&address, Duration::from_millis(20)).await.unwrap(),
    );
    schema::migrate(&database).await.unwrap();
    (SqlStore { database, holding: None, waited_in_vain: Mutex::default() }, address)
}

async fn declared(store: &SqlStore) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM groups")
        .fetch_one(store.database.reader().await.unwrap().in_sqlite().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_commit_fails_while_another_process_writes_too_long_and_works_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (store, address) = impatient(&folder).await;
    let mut other = address.options().connect().await.unwrap();
    let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..2 {
        let failed = store.commit(&groups(1), now()).await;
        assert!(failed.is_err_and(|error| error.is_locked_out() && !error.is_about_data()));
    }
    writing.rollback().await.unwrap();
    assert!(store.commit(&groups(1), now()).await.is_ok());
    assert_eq!(declared(&store).await, 1);
}

#[tokio::test]
async fn a_commit_on_a_full_disk_applies_nothing_and_works_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = impatient(&folder).await;
    let full = sqlx::query("PRAGMA max_page_count = 60");
    full.execute(store.database.writer().await.unwrap().in_sqlite().unwrap()).await.unwrap();
    let failed = store.commit(&groups(300), now()).await;
    assert!(
        matches!(failed, Err(StoreError::Database(error)) if error.to_string().contains("full"))
    );
    assert_eq!(declared(&store).await, 0);
    assert!(store.commit(&groups(300), now()).await.is_ok(), "on a connection without the limit");
    assert_eq!(declared(&store).await, 300);
}

/// Counts the steps that the database's machine takes on a connection.
async fn count_steps(connection: &mut SqliteConnection, steps: Arc<AtomicU64>) {
    let count = move || {
        steps.fetch_add(1, Ordering::Relaxed);
        true
    };
    connection.lock_handle().await.unwrap().set_progress_handler(1, count);
}

/// Fills an organization with users: two administrators, twenty heirs of another user, a line of
/// ten, five copies, and the rest.
async fn fill(store: &SqlStore, users: i64) {
    let mut writer = store.database.writer().await.unwrap();
    let numbers =
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
    let id = "printf('00000000-0000-7000-8000-%012d', i)";
    for rest in [
        format!(
            "INSERT INTO lifetimes (account_id, namespace, login_name, created_at) \
             {numbers} SELECT {id}, 'acme', 'u' || i, 0 FROM n"
        ),
        format!(
            "INSERT INTO transactions (transaction_id, account_id, type, revision, started_at, deadline_at, completed_at) \
             {numbers} SELECT {id}, {id}, 'Create', 1, 0, 0, 0 FROM n"
        ),
        format!(
            "INSERT INTO accounts (account_id, namespace, owner_name, revision, transaction_id, login_name, email, \
             email_domain, state, group_name, grants, teams, profile, created_at, source_mode, \
             source_name) {numbers} SELECT {id}, 'acme', 'u' || i, 1, {id}, 'u' || i || '.acme', CASE WHEN i BETWEEN 40 \
             AND 44 THEN 'u0@acme.example (Copy ' || (i - 39) || ')' ELSE 'u' || i || '@acme.example' END, \
             'acme.example', 'Enabled', CASE WHEN i < 2 THEN 'administrators' ELSE 'users' END, '[]', '[]', '{{\"displayName\":\"\"}}', 0, \
             CASE WHEN i BETWEEN 10 AND 38 THEN 'Inherit' END, CASE WHEN i BETWEEN 10 AND 29 THEN 'u5' WHEN i BETWEEN \
             30 AND 38 THEN 'u' || (i + 1) END FROM n"
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(rest))
            .bind(users)
            .execute(writer.in_sqlite().unwrap())
            .await
            .unwrap();
    }
    sqlx::query("INSERT INTO domains VALUES ('acme', 'd', 'acme.example', 0)")
        .execute(writer.in_sqlite().unwrap())
        .await
        .unwrap();
    sqlx::query("INSERT INTO organizations VALUES ('acme', 'acme')")
        .execute(writer.in_sqlite().unwrap())
        .await
        .unwrap();
}

fn user(number: usize) -> UserName {
    ("acme".to_owned(), format!("u{number}"))
}

fn plan_for(account: &Account, change: AccountChange, seen: Vec<Precondition>) -> Plan {
    let organization = Organization {
        namespace: "acme".to_owned(),
        customer_id: CustomerId::parse("acme").unwrap(),
    };
    let (owner, leaving) = (account.owner.clone(), ["u3".to_owned()].into_iter().collect());
    Plan::Account(Box::new(AccountPlan {
        organization,
        owner,
        change,
        moves: vec![],
        freezes: vec![],
        preconditions: seen,
        leaving,
    }))
}

/// Disables an administrator, deletes a source and somebody else, copies a user, and changes one
/// beside another.
async fn edits(store: &SqlStore) -> Vec<Plan> {
    let users: Vec<UserName> = [0, 5, 6, 7, 8].map(user).into();
    let found = store.inheritance_chain(&users).await.unwrap();
    let [root, source, gone, edited, seen] = [0, 5, 6, 7, 8].map(|number| &found[&user(number)]);
    let update = |account: &Account, content| AccountChange::Update {
        account: account.id,
        from: account.revision,
        transaction: None,
        content,
        password: None,
        adopts: false,
    };
    let delete = |account: &Account| AccountChange::Delete {
        account: account.id,
        from: account.revision,
        transaction: TransactionId::of_create(&account.owner.name),
    };
    let disabled = AccountSpec { lifecycle: LoginState::Disabled, ..root.content.clone() };
    let copy = AccountChange::Create {
        id: None,
        transaction: TransactionId::of_create("copy"),
        login_name: LoginName::from_stored("copy.acme".to_owned()),
        content: AccountSpec { email: root.content.email.placeholder(1), ..edited.content.clone() },
        password: None,
    };
    let mut copied = edited.clone();
    "copy".clone_into(&mut copied.owner.name);
    let seen = vec![Precondition { account: seen.id, revision: seen.revision }];
    vec![
        plan_for(root, update(root, disabled), vec![]),
        plan_for(source, delete(source), vec![]),
        plan_for(gone, delete(gone), vec![]),
        plan_for(&copied, copy, vec![]),
        plan_for(edited, update(edited, edited.content.clone()), seen),
    ]
}

/// Counts the steps that are taken on any connection of a store.
async fn counted(store: &SqlStore) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    count_steps(store.database.writer().await.unwrap().in_sqlite().unwrap(), steps.clone()).await;
    let mut readers = vec![];
    for _ in 0..sqlite::READERS {
        readers.push(store.database.reader().await.unwrap());
    }
    for reader in &mut readers {
        count_steps(reader.in_sqlite().unwrap(), steps.clone()).await;
    }
    steps
}

/// Returns what was asked, and how many steps it took, in an organization of so many users.
async fn steps_among(users: i64) -> Vec<(&'static str, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = impatient(&folder).await;
    fill(&store, users).await;
    let plans = edits(&store).await;
    let steps = counted(&store).await;
    let taken = || steps.swap(0, Ordering::Relaxed);
    let mut counted = vec![];
    assert_eq!(store.inheritance_chain(&[user(30)]).await.unwrap().len(), 10);
    counted.push(("lineage", taken()));
    assert_eq!(store.heirs(&[user(5)]).await.unwrap()[&user(5)].len(), 20);
    counted.push(("heirs", taken()));
    assert_eq!(store.administrators(&["acme".to_owned()]).await.unwrap()["acme"].len(), 2);
    counted.push(("administrators", taken()));
    let whats = [
        "an administrator disabled",
        "a source kept",
        "a user deleted",
        "a copy numbered",
        "an edit beside another",
    ];
    for (what, plan) in whats.into_iter().zip(plans) {
        let answer = store.commit(&[plan], now()).await.unwrap().remove(0);
        assert_eq!(answer.err(), (what == "a source kept").then_some(Refusal::InUse), "{what}");
        counted.push((what, taken()));
    }
    assert!(counted.iter().all(|(_, steps)| *steps > 0), "somebody else answered: {counted:?}");
    counted
}

#[tokio::test]
async fn what_concerns_a_few_takes_as_many_steps_among_thousands_as_among_themselves() {
    let (few, many) = (steps_among(60).await, steps_among(6000).await);
    println!("steps among 60 users: {few:?}, among 6000: {many:?}");
    for ((what, among_few), (_, among_many)) in few.iter().zip(&many) {
        assert!(
            *among_many <= among_few + among_few / 10,
            "{what}: {among_many} steps among many, {among_few} among few"
        );
    }
}

/// Returns how many steps it takes to give out the lives of a month, after so many ended before.
async fn steps_of_a_month(ended: i64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = impatient(&folder).await;
    let numbers =
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
    for (count, id, deleted) in
        [(50, "'lives' || i", "NULL"), (50, "'dies' || i", "1800000000000000"), (ended, "i", "i")]
    {
        let lives = format!(
            "INSERT INTO lifetimes (account_id, namespace, login_name, created_at, deleted_at) {numbers} \
             SELECT {id}, 'acme', {id}, 0, {deleted} FROM n"
        );
        let lives = sqlx::query(sqlx::AssertSqlSafe(lives)).bind(count);
        lives.execute(store.database.writer().await.unwrap().in_sqlite().unwrap()).await.unwrap();
    }
    let steps = Arc::new(AtomicU64::new(0));
    let mut readers = vec![];
    for _ in 0..sqlite::READERS {
        readers.push(store.database.reader().await.unwrap());
    }
    for reader in &mut readers {
        count_steps(reader.in_sqlite().unwrap(), steps.clone()).await;
    }
    drop(readers);
    let period = Period::of("2026-11".parse().unwrap(), &BillingTimeZone::UTC);
    let mut found = 0;
    let mut take = |_| {
        found += 1;
        ControlFlow::Continue(())
    };
    store.lifetimes(&period, None, &mut take).await.unwrap();
    assert_eq!(found, 100);
    steps.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_month_is_billed_in_as_many_steps_however_many_lives_ended_before_it() {
    let (few, many) = (steps_of_a_month(10).await, steps_of_a_month(10_000).await);
    assert!(many <= few + few / 10, "{many} steps after many lives, {few} after few");
}

/// Fills the journal with accounts that are gone, those of many users of few names; five of their
/// Deletes are in flight.
async fn fill_journal(store: &SqlStore, gone: i64) {
    let mut writer = store.database.writer().await.unwrap();
    let numbers =
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
    let id = |first: u8| format!("printf('{first}0000000-0000-7000-8000-%012d', i)");
    let (account, create, delete) = (id(1), id(2), id(3));
    let transactions = "INSERT INTO transactions \
         (transaction_id, account_id, type, revision, started_at, deadline_at, completed_at, superseded_at)";
    for rest in [
        format!(
            "INSERT INTO lifetimes (account_id, namespace, login_name, created_at, deleted_at, owner_name, owner_uid) \
             {numbers} SELECT {account}, 'acme', 'u' || (i % 50), 0, 1, 'u' || (i % 50), 'gone ' || i FROM n"
        ),
        format!(
            "{transactions} {numbers} SELECT {create}, {account}, 'Create', 1, 0, 0, CASE WHEN i % 3 THEN 0 END, \
             CASE WHEN i % 3 THEN NULL ELSE 0 END FROM n"
        ),
        format!(
            "{transactions} {numbers} SELECT {delete}, {account}, 'Delete', 2, 1, 1, CASE WHEN i < 5 THEN NULL ELSE 1 END, \
             NULL FROM n"
        ),
        format!(
            "INSERT INTO confirmations (account_id, directory, revision) {numbers} SELECT {account}, 'one', CASE WHEN i < 5 THEN 1 ELSE 2 END FROM n"
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(rest))
            .bind(gone)
            .execute(writer.in_sqlite().unwrap())
            .await
            .unwrap();
    }
}

/// The planted account of this kind and number, and the transactions planted beside it.
fn planted(kind: u32, number: u64) -> uuid::Uuid {
    uuid::Uuid::parse_str(&format!("{kind}0000000-0000-7000-8000-{number:012}")).unwrap()
}

fn confirmation(account: AccountId, revision: i64) -> Plan {
    let confirmed = [(
        "one".to_owned(),
        DirectoryAck { revision: Revision(revision), fingerprint: None, handle: None },
    )]
    .into();
    Plan::Confirm(ConfirmPlan { namespace: "acme".to_owned(), account, confirmed })
}

/// Returns what was asked of the journal, and how many steps it took, where so many accounts are
/// gone.
async fn steps_after(gone: i64) -> Vec<(&'static str, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = impatient(&folder).await;
    fill(&store, 60).await;
    let one: BTreeSet<String> = ["one".to_owned()].into();
    store.set_directories(&one, now().now).await.unwrap();
    fill_journal(&store, gone).await;
    let alice = store.inheritance_chain(&[user(6)]).await.unwrap().remove(&user(6)).unwrap();
    let departed = AccountId(planted(1, 3));
    let delete = |account: &Account, transaction| {
        plan_for(
            account,
            AccountChange::Delete { account: account.id, from: account.revision, transaction },
            vec![],
        )
    };
    let disabled = AccountSpec { lifecycle: LoginState::Disabled, ..alice.content.clone() };
    let disable = AccountChange::Update {
        account: alice.id,
        from: alice.revision,
        transaction: Some((TransactionId(planted(9, 0)), TransactionKind::Disable)),
        content: disabled,
        password: None,
        adopts: false,
    };
    let steps = counted(&store).await;
    let taken = || steps.swap(0, Ordering::Relaxed);
    let mut counted = vec![];
    let wanted = [(user(7), "gone 57".to_owned()), (user(8), "nobody".to_owned())];
    assert_eq!(
        store.deleted_accounts(&wanted).await.unwrap()[&user(7)].account,
        AccountId(planted(1, 57))
    );
    counted.push(("departures", taken()));
    assert_eq!(store.pending_deletions().await.unwrap().len(), 5);
    counted.push(("unconfirmed departures", taken()));
    assert_eq!(store.find(&[AccountKey::Id(alice.id)]).await.unwrap().len(), 1);
    counted.push(("an account by its id", taken()));
    let plans = [
        ("a Disable", plan_for(&alice, disable.clone(), vec![])),
        ("a Disable repeated", plan_for(&alice, disable, vec![])),
        ("an account confirmed", confirmation(alice.id, 2)),
        ("a departure confirmed", confirmation(departed, 2)),
        ("a departure confirmed again", confirmation(departed, 2)),
        (
            "a Delete",
            delete(
                &Account { revision: Revision(2), ..alice.clone() },
                TransactionId(planted(9, 1)),
            ),
        ),
        ("a Delete repeated", delete(&alice, TransactionId(planted(3, 40)))),
    ];
    for (what, plan) in plans {
        let answer = store.commit(&[plan], now()).await.unwrap().remove(0);
        assert!(answer.is_ok(), "{what}: {answer:?}");
        counted.push((what, taken()));
    }
    let two = ["one".to_owned(), "two".to_owned()].into();
    for (what, directories) in [("another directory", &two), ("the same directories", &two)] {
        store.set_directories(directories, now().now).await.unwrap();
        counted.push((what, taken()));
    }
    assert_eq!(store.pending_deletions().await.unwrap().len(), 5);
    assert!(counted.iter().all(|(_, steps)| *steps > 0), "somebody else answered: {counted:?}");
    counted
}

#[tokio::test]
async fn what_is_asked_of_the_journal_takes_as_many_steps_after_a_hundred_thousand_lifetimes() {
    let (few, many) = (Box::pin(steps_after(60)).await, Box::pin(steps_after(100_000)).await);
    println!("steps after 60 lifetimes: {few:?}, after 100,000: {many:?}");
    for ((what, after_few), (_, after_many)) in few.iter().zip(&many) {
        assert!(
            *after_many <= after_few + after_few / 10,
            "{what}: {after_many} steps after many, {after_few} after few"
        );
    }
}
