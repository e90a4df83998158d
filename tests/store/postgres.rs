//! What `PostgreSQL` adds: servers that come and go, several at one database, who may do what, and
//! how to connect.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use roster::domain::account::{Account, LoginState, TransactionKind};
use roster::plan::Plan;
use roster::store::claims::{Claim, CommitPosition};
use roster::store::logins::Logins;
use roster::store::sql::SqlStore;
use roster::store::{Refusal, Store, StoreError};
use roster_test_support::application::Application;
use roster_test_support::plans::{
    account, acme, alice, at, cases_unassigned, commit, content, create, create_in, delete, done,
    email, find, full_content, organization, people, put_domain, put_domain_in, put_group, refused,
    switch, update,
};
use roster_test_support::postgres::{Database, Server};
use sha2::{Digest, Sha256};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr};
use tempfile::TempDir;

use crate::{Bench, InPostgres};

/// How long a store may take to say that its server is away.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn address_refused(opened: Result<SqlStore, StoreError>, message: &str) {
    match opened.map(|_| ()) {
        Err(StoreError::Address(found) | StoreError::Unusable(found)) => {
            assert!(found.contains(message), "{found}")
        }
        other => panic!("not an address's error: {other:?}"),
    }
}

/// An error and its causes, as people read them.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Waits until something that another connection does is as it should be.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many connections to a database wait for a lock.
async fn waiting(observer: &mut PgConnection) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_one(observer).await.unwrap()
}

/// Everything that a database holds beside rows.
async fn relations(database: &Database) -> Vec<String> {
    let relations = "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1";
    sqlx::query_scalar(relations).fetch_all(&mut database.connect().await).await.unwrap()
}

// Opening.

#[tokio::test]
async fn opening_again_writes_nothing() {
    let bench = InPostgres::new().await;
    let alice = alice(bench.store()).await;
    let (before, relations_before) =
        (bench.application().await.version().await, relations(&bench.place).await);
    let again = SqlStore::open(&bench.url()).await.unwrap();
    assert_eq!(find(&again, "alice").await, Some(alice));
    assert_eq!(bench.application().await.version().await, before);
    assert_eq!(relations(&bench.place).await, relations_before);
}

#[tokio::test]
async fn of_many_who_open_an_empty_database_at_once_all_get_one_schema() {
    let database = Database::new().await;
    let url = database.url();
    for opened in futures::future::join_all((0..8).map(|_| SqlStore::open(&url))).await {
        opened.unwrap().close().await;
    }
    let migrated = "SELECT count(*), count(DISTINCT version) FROM _sqlx_migrations WHERE success";
    let rows = Application::open(&url).await.rows(migrated, &[]).await;
    assert_eq!(rows[0].number(0), rows[0].number(1));
    let store = SqlStore::open_existing(&url).await.unwrap();
    alice(&store).await;
}

#[tokio::test]
async fn a_database_without_a_store_is_neither_opened_as_one_nor_changed() {
    let empty = Database::new().await;
    address_refused(SqlStore::open_existing(&empty.url()).await, "holds no roster store");
    assert_eq!(relations(&empty).await, Vec::<String>::new());

    for (table, schema) in
        [("accounts", "public"), ("_sqlx_migrations", "public"), ("orders", "sales")]
    {
        let other = Database::new().await;
        let create =
            format!("CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}.{table} (x TEXT)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut other.connect().await)
            .await
            .unwrap();
        let before = relations(&other).await;
        address_refused(SqlStore::open_existing(&other.url()).await, "holds no roster store");
        if schema == "public" {
            address_refused(SqlStore::open(&other.url()).await, "holds something else");
            assert_eq!(relations(&other).await, before);
        }
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_and_not_made() {
    let database = Database::new().await;
    let missing = database.url().replace(database.name(), "nowhere");
    for opened in [SqlStore::open(&missing).await, SqlStore::open_existing(&missing).await] {
        let error = opened.map(|_| ()).unwrap_err();
        assert!(said(&error).contains("nowhere"), "{}", said(&error));
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let options = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'";
    let ascii = Database::with(&Server::shared(), options).await;
    address_refused(SqlStore::open(&ascii.url()).await, "UTF8");
    assert_eq!(relations(&ascii).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_its_password_not_repeated() {
    for url in [
        "postgres://",
        "postgres://u:secret@h:port/d",
        "postgres://u:secret@/d?sslmode=never",
        "mysql://u:secret@h/d",
    ] {
        let error = SqlStore::open(url).await.map(|_| ()).unwrap_err();
        assert!(!said(&error).contains("secret"), "{url}: {}", said(&error));
    }
}

// Who may do what.

/// A role that may log in, by a name that no other test has, and the URL under which it does.
async fn role(database: &Database, purpose: &str) -> (String, String) {
    let name = format!("{purpose}_of_{}", database.name());
    database.server().execute(&format!("CREATE ROLE {name} LOGIN")).await;
    let url = database.url().replace("//postgres@", &format!("//{name}@"));
    (name, url)
}

/// What `roster login` reads.
const READ_BY_LOGIN: &str =
    "GRANT SELECT ON _sqlx_migrations, accounts, transactions, confirmations TO";

#[tokio::test]
async fn a_login_needs_a_few_rights_and_to_let_somebody_in_it_needs_to_read_alone() {
    let bench = InPostgres::new().await;
    let alice = alice(bench.store()).await;
    let (name, url) = role(&bench.place, "login").await;
    let grant = async |grant: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut bench.place.connect().await).await
    };
    grant(format!(
        "{READ_BY_LOGIN} {name}; GRANT SELECT, INSERT, UPDATE, DELETE ON login_failures TO {name}"
    ))
    .await
    .unwrap();
    let store = SqlStore::open_existing(&url).await.unwrap();
    assert_eq!(find(&store, "alice").await, Some(alice.clone()));
    assert!(store.time().await.unwrap().is_some());
    let login = async |matches: bool, minutes: i64| {
        let now = at(0).now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
        store.judge_login(Some(alice.id), matches, now).await
    };
    assert!(!login(false, 0).await.unwrap());
    assert!(login(true, 0).await.unwrap());
    for _ in 0..6 {
        assert!(!login(false, 0).await.unwrap());
    }

    grant(format!("REVOKE INSERT, UPDATE, DELETE ON login_failures FROM {name}")).await.unwrap();
    assert!(login(false, 5).await.is_err(), "a failure that can't be counted is a fault");
    assert!(login(true, 0).await.is_err(), "who has to wait isn't let in");
    assert!(login(true, 5).await.unwrap(), "who has the password is");
    store.close().await;
    drop_role(&bench, &name).await;
}

#[tokio::test]
async fn an_application_needs_the_view_and_the_cases_and_gets_nothing_else() {
    let bench = InPostgres::new().await;
    let [alice, bob] =
        people(bench.store(), [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
    let (name, url) = role(&bench.place, "application").await;
    let grant = format!(
        "GRANT SELECT ON roster_accounts TO {name}; GRANT SELECT, INSERT ON cases TO {name}; \
         GRANT UPDATE (case_id, organization, title, owner_account_id) ON cases TO {name}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant))
        .execute(&mut bench.place.connect().await)
        .await
        .unwrap();

    let mut application = Application::open(&url).await;
    let logins = application.rows("SELECT login_name, permissions FROM roster_accounts", &[]).await;
    assert_eq!(logins.len(), 2);
    let id = alice.id.to_string();
    let insert =
        "INSERT INTO cases (organization, title, owner_account_id) VALUES ('acme', 'A case', $1)";
    application.execute(insert, &[&id]).await.unwrap();
    application
        .execute("INSERT INTO cases (organization, title) VALUES ('acme', 'Nobody''s')", &[])
        .await
        .unwrap();
    let assign = "UPDATE cases SET owner_account_id = $1 WHERE owner_account_id IS NULL";
    assert_eq!(application.execute(assign, &[&bob.id.to_string()]).await.unwrap(), 1);
    for forbidden in [
        "SELECT * FROM accounts",
        "SELECT * FROM lifetimes",
        "UPDATE accounts SET state = 'Enabled'",
        "UPDATE roster_accounts SET state = 'Enabled'",
        "INSERT INTO accounts SELECT * FROM accounts",
        "DELETE FROM cases",
        "DELETE FROM transactions",
        "CREATE TABLE more (x TEXT)",
        "SELECT * FROM locks",
        "SELECT * FROM roster_accounts FOR KEY SHARE",
    ] {
        let refused = application.execute(forbidden, &[]).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            "42501",
            "{forbidden}: {refused}"
        );
    }
    // Who may change its columns alone can't lock the table against others.
    let modes =
        ["SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];
    for (table, mode) in modes
        .iter()
        .flat_map(|mode| ["cases", "roster_accounts", "locks"].map(|table| (table, mode)))
    {
        application.execute("BEGIN", &[]).await.unwrap();
        let refused = application
            .execute(&format!("LOCK TABLE {table} IN {mode} MODE"), &[])
            .await
            .unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            "42501",
            "{table} {mode}: {refused}"
        );
        application.execute("ROLLBACK", &[]).await.unwrap();
    }
    assert_eq!(cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id), 1);
    assert_eq!(
        application.number("SELECT count(*) FROM cases WHERE owner_account_id IS NULL").await,
        1
    );
    application.close().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP OWNED BY {name}; DROP ROLE {name}")))
        .execute(&mut bench.place.connect().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_operator_needs_a_database_of_its_own_and_no_other_right() {
    let database = Database::new().await;
    let (name, url) = role(&database, "operator").await;
    database.server().execute(&format!("ALTER DATABASE {} OWNER TO {name}", database.name())).await;
    let store = SqlStore::open(&url).await.unwrap();
    let alice = alice(&store).await;
    cases_unassigned(commit(&store, delete(&alice)).await, alice.id);
    store.close().await;
    SqlStore::open(&url).await.unwrap();
}

#[tokio::test]
async fn a_database_that_nobody_may_write_to_is_read() {
    let bench = InPostgres::new().await;
    let alice = alice(bench.store()).await;
    let name = bench.place.name();
    bench
        .place
        .server()
        .execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"))
        .await;
    let reader = SqlStore::open_existing(&bench.url()).await.unwrap();
    assert_eq!(reader.list(None).await.unwrap().len(), 1);
    assert_eq!(find(&reader, "alice").await, Some(alice));
}

#[tokio::test]
async fn whatever_isolation_the_database_has_for_others_commits_wait_for_each_other() {
    for isolation in ["serializable", "repeatable read"] {
        let database = Database::new().await;
        let set = format!(
            "ALTER DATABASE {} SET default_transaction_isolation = '{isolation}'",
            database.name()
        );
        database.server().execute(&set).await;
        let (one, two) = (
            SqlStore::open(&database.url()).await.unwrap(),
            SqlStore::open(&database.url()).await.unwrap(),
        );
        done(commit(&one, put_domain("acme", "acme.example")).await);
        for number in 0..20 {
            let address = format!("{number}@acme.example");
            let ours = commit(&one, create(&format!("ours-{number}"), &address));
            let theirs = commit(&two, create(&format!("theirs-{number}"), &address));
            let (ours, theirs) = tokio::join!(ours, theirs);
            assert!(ours.is_ok() != theirs.is_ok(), "{isolation}: {ours:?} {theirs:?}");
            assert!([ours, theirs].contains(&Err(Refusal::EmailTaken)), "{isolation}");
        }
        assert_eq!(two.list(None).await.unwrap().len(), 20);
    }
}

// Faults.

#[tokio::test]
async fn connections_that_were_cut_are_made_again() {
    let bench = InPostgres::new().await;
    let store = bench.store();
    let mut alice = alice(store).await;
    for round in 0..5 {
        assert!(bench.place.cut_connections().await > 0);
        let edit = update(&alice, |content| content.role = Some(round.to_string()));
        alice = account(commit(store, edit).await);
        bench.place.cut_connections().await;
        assert_eq!(find(store, "alice").await.as_ref(), Some(&alice));
        assert_eq!(store.list(None).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn while_the_server_is_away_the_store_says_so_soon_and_goes_on_when_it_is_back() {
    let server = Server::start();
    let bench = InPostgres::at(Database::on(&server).await).await;
    let store = bench.store();
    let mut alice = alice(store).await;
    for kill in [false, true] {
        if kill {
            server.kill()
        } else {
            server.stop()
        }
        let edit = || update(&alice, |content| content.role = Some(format!("after {kill}")));
        let begun = Instant::now();
        assert!(matches!(store.commit(&[edit()], at(0)).await, Err(StoreError::Database(_))));
        assert!(begun.elapsed() < SOON, "after {:?}", begun.elapsed());
        assert!(matches!(store.list(None).await, Err(StoreError::Database(_))));
        assert!(matches!(SqlStore::open(&bench.url()).await, Err(StoreError::Database(_))));
        server.resume();
        alice = account(commit(store, edit()).await);
        assert_eq!(find(store, "alice").await.as_ref(), Some(&alice));
    }
}

/// Commits pairs of accounts until it is told to stop, and returns how many pairs were confirmed,
/// and how many may be there.
async fn commit_pairs(store: &SqlStore, round: usize, stop: &AtomicBool) -> (usize, usize) {
    let (mut confirmed, mut possible) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let pair = ["a", "b"].map(|letter| {
            let name = format!("{letter}-{round}-{possible}");
            create(&name, &format!("{name}@acme.example"))
        });
        possible += 1;
        if let Ok(answers) = store.commit(&pair, at(0)).await {
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            confirmed += 1;
        }
    }
    (confirmed, possible)
}

#[tokio::test]
async fn a_server_that_is_killed_during_commits_keeps_what_was_confirmed_and_nothing_by_half() {
    let server = Server::start();
    let bench = InPostgres::at(Database::on(&server).await).await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let mut before = 0;
    for round in 0..3 {
        let stop = AtomicBool::new(false);
        let killed_and_resumed = async {
            eventually("some are there", async || {
                store.list(None).await.unwrap().len() > 2 * before + 10
            })
            .await;
            let server = server.clone();
            let restarting = tokio::task::spawn_blocking(move || {
                server.kill();
                server.resume();
            });
            restarting.await.unwrap();
            stop.store(true, Ordering::Relaxed);
        };
        let ((confirmed, possible), ()) =
            tokio::join!(commit_pairs(store, round, &stop), killed_and_resumed);
        let names: BTreeSet<String> =
            store.list(None).await.unwrap().into_iter().map(|account| account.owner.name).collect();
        let whole = names.iter().filter(|name| {
            name.strip_prefix("a-").is_some_and(|rest| names.contains(&format!("b-{rest}")))
        });
        let pairs = whole.count();
        assert_eq!(names.len(), 2 * pairs, "a commit was carried out by half");
        assert!(
            (confirmed..=possible).contains(&(pairs - before)),
            "{pairs} pairs, {before} before, {confirmed} confirmed"
        );
        before = pairs;
    }
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_at_any_moment_is_whole_or_not_at_all() {
    let bench = InPostgres::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let (mut accounts, mut abandoned, mut committed) = (0, 0, 0);
    for step in 0..1000 {
        let pair = ["a", "b"].map(|letter| {
            create(&format!("{letter}{step}"), &format!("{letter}{step}@acme.example"))
        });
        let patience = Duration::from_micros(200 * step);
        match tokio::time::timeout(patience, store.commit(&pair, at(0))).await {
            Ok(_) => committed += 1,
            Err(_) => abandoned += 1,
        }
        done(commit(store, put_group("crew", false, &[])).await);
        let found = store.list(None).await.unwrap().len();
        assert!(found == accounts || found == accounts + 2, "{accounts} became {found}");
        accounts = found;
        if committed == 5 {
            break;
        }
    }
    println!("{abandoned} commits were abandoned, {accounts} accounts are there");
    assert!(abandoned > 0 && accounts > 0);
}

/// Lets an application hold a case of alice's and then want her account, while a commit that
/// deletes her wants the case.
async fn deadlock(
    bench: &InPostgres,
    alice: &Account,
    patience_of_the_application: &str,
) -> Result<(), sqlx::Error> {
    bench.assign_case("1", alice.id).await;
    let (mut application, mut observer) = (bench.application().await, bench.place.connect().await);
    let patience = format!("SET deadlock_timeout = '{patience_of_the_application}'");
    application.execute(&patience, &[]).await.unwrap();
    application.execute("BEGIN", &[]).await.unwrap();
    application.execute("UPDATE cases SET title = 'Another title'", &[]).await.unwrap();
    let application = async {
        eventually("the commit waits", async || waiting(&mut observer).await > 0).await;
        let insert = "INSERT INTO cases (organization, title, owner_account_id) VALUES ('acme', 'Another', $1)";
        let inserted = application.execute(insert, &[&alice.id.to_string()]).await;
        application
            .execute(if inserted.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[])
            .await
            .unwrap();
        inserted.map(drop)
    };
    let (gone, inserted) = tokio::join!(commit(bench.store(), delete(alice)), application);
    let cases = cases_unassigned(gone, alice.id);
    assert_eq!(cases, if inserted.is_ok() { 2 } else { 1 });
    inserted
}

#[tokio::test]
async fn a_commit_that_deadlocks_with_an_application_is_carried_out_whoever_gives_way() {
    // Who has waited for as long as its patience looks whether there is a deadlock, and gives way.
    for (patience, application_gives_way) in [("10min", false), ("1ms", true)] {
        let bench = InPostgres::new().await;
        let alice = alice(bench.store()).await;
        let inserted = deadlock(&bench, &alice, patience).await;
        assert_eq!(inserted.is_err(), application_gives_way, "{inserted:?}");
        assert!(bench.store().list(None).await.unwrap().is_empty());
        let journal = bench.journal(alice.id).await;
        assert_eq!(journal.len(), 2, "{journal:?}");
    }
}

#[tokio::test]
async fn an_application_that_takes_its_time_keeps_nobody_waiting_but_whom_it_is_about() {
    let bench = InPostgres::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let [alice, bob] =
        people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
    bench.assign_case("1", alice.id).await;
    let mut application = bench.application().await;
    application.execute("BEGIN", &[]).await.unwrap();
    application.execute("UPDATE cases SET title = 'Another title'", &[]).await.unwrap();
    let begun = Instant::now();
    let disable = switch(&bob, TransactionKind::Disable);
    let answers = store.commit(&[delete(&alice), disable], at(0)).await.unwrap();
    assert!(begun.elapsed() < SOON, "after {:?}", begun.elapsed());
    let [gone, disabled] = <[_; 2]>::try_from(answers).unwrap();
    refused(gone, Refusal::Locked);
    account(disabled);
    assert_eq!(find(store, "alice").await, Some(alice.clone()));
    application.execute("COMMIT", &[]).await.unwrap();
    assert_eq!(cases_unassigned(commit(store, delete(&alice)).await, alice.id), 1);
}

#[tokio::test]
async fn a_commit_gives_up_on_an_application_that_never_lets_go_and_is_free_for_the_next() {
    let bench = InPostgres::new().await;
    let store = bench.store();
    let alice = alice(store).await;
    let mut application = bench.application().await;
    application.execute("BEGIN", &[]).await.unwrap();
    application.execute("LOCK TABLE accounts IN EXCLUSIVE MODE", &[]).await.unwrap();
    let begun = Instant::now();
    let edit = update(&alice, |content| content.role = Some("Driver".to_owned()));
    refused(commit(store, edit.clone()).await, Refusal::Locked);
    assert!(begun.elapsed() < SOON, "after {:?}", begun.elapsed());
    assert_eq!(find(store, "alice").await, Some(alice));
    application.close().await;
    account(commit(store, edit).await);
}

/// An application that may write cases in every way, and the statements before it is asked to lock
/// something.
async fn application(bench: &InPostgres) -> (String, Application) {
    let (name, url) = role(&bench.place, "locking").await;
    let grant = format!(
        "GRANT SELECT ON roster_accounts TO {name}; GRANT SELECT, INSERT, UPDATE ON cases TO {name}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant))
        .execute(&mut bench.place.connect().await)
        .await
        .unwrap();
    (name, Application::open(&url).await)
}

async fn drop_role(bench: &InPostgres, name: &str) {
    let drop = format!("DROP OWNED BY {name}; DROP ROLE {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
        .execute(&mut bench.place.connect().await)
        .await
        .unwrap();
}

/// Lets somebody of another organization than the people's be there too.
async fn somebody_elsewhere(store: &SqlStore) -> Account {
    let bolt = organization("bolt", "bolt");
    done(commit(store, put_domain_in("bolt", "bolt", "bolt.example")).await);
    account(commit(store, create_in(bolt, "eve", content("eve@bolt.example"))).await)
}

#[tokio::test]
async fn forty_that_an_application_holds_up_take_a_commit_no_longer_than_one_and_go_once_it_lets_go()
 {
    let bench = InPostgres::new().await;
    let store = bench.store();
    let names: Vec<(String, String)> =
        (0..40).map(|n| (format!("u{n}"), format!("u{n}@acme.example"))).collect();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let created: Vec<Plan> = names.iter().map(|(name, email)| create(name, email)).collect();
    let created: Vec<Account> =
        store.commit(&created, at(0)).await.unwrap().into_iter().map(account).collect();
    let eve = somebody_elsewhere(store).await;
    let (name, mut application) = application(&bench).await;
    application.execute("BEGIN", &[]).await.unwrap();
    application.execute("LOCK TABLE cases IN SHARE ROW EXCLUSIVE MODE", &[]).await.unwrap();
    let deletions: Vec<Plan> = created.iter().map(delete).collect();
    let begun = Instant::now();
    let answers = store
        .commit(&[&deletions[..], &[switch(&eve, TransactionKind::Disable)]].concat(), at(0))
        .await
        .unwrap();
    let took = begun.elapsed();
    println!("40 deletions that wait, and one Disable: {took:?}");
    assert!(took < Duration::from_secs(10), "after {took:?}");
    let (disabled, waiting) = answers.split_last().unwrap();
    account(disabled.clone());
    assert!(waiting.iter().all(|answer| *answer == Err(Refusal::Locked)), "{waiting:?}");
    application.execute("ROLLBACK", &[]).await.unwrap();
    assert!(store.commit(&deletions, at(0)).await.unwrap().iter().all(Result::is_ok));
    application.close().await;
    drop_role(&bench, &name).await;
}

#[tokio::test]
async fn whatever_an_application_locks_holds_up_nobody_else_and_no_operator() {
    let org = |namespace: &str| {
        i64::from_be_bytes(
            Sha256::digest(format!("roster organization {namespace}"))[..8].try_into().unwrap(),
        )
    };
    let all = i64::from_be_bytes(Sha256::digest(b"roster")[..8].try_into().unwrap());
    let here = "hashtextextended(CAST(current_schema() AS text), 0)";
    let modes = [
        "ACCESS SHARE",
        "ROW SHARE",
        "ROW EXCLUSIVE",
        "SHARE UPDATE EXCLUSIVE",
        "SHARE",
        "SHARE ROW EXCLUSIVE",
        "EXCLUSIVE",
        "ACCESS EXCLUSIVE",
    ];
    let tables = modes.map(|mode| format!("LOCK TABLE cases IN {mode} MODE"));
    let others = [
        "SELECT count(*) FROM (SELECT * FROM cases FOR UPDATE) AS locked".to_owned(),
        "UPDATE cases SET title = 'Another title'".to_owned(),
        "INSERT INTO cases (organization, title, owner_account_id) SELECT 'acme', 'Another', account_id FROM roster_accounts"
            .to_owned(),
        "SELECT count(*) FROM roster_accounts".to_owned(),
        "LOCK TABLE roster_accounts IN ACCESS SHARE MODE".to_owned(),
        // What rosters before this one locked: anybody may who may connect.
        format!(
            "SELECT pg_advisory_lock({all} # {here}), pg_advisory_lock({} # {here}), pg_advisory_lock({} # {here})",
            org("acme"),
            org("bolt")
        ),
    ];
    let bench = InPostgres::new().await;
    let (name, mut application) = application(&bench).await;
    let mut store = SqlStore::open(&bench.url()).await.unwrap();
    let claim = Claim {
        namespaces: BTreeSet::new(),
        holder: "operator".to_owned(),
        cluster: "here".to_owned(),
        known: CommitPosition::default(),
        accept_cluster: false,
        supersede: false,
        directories: None,
    };
    store.claim(&claim, at(0).now).await.unwrap();
    done(commit(&store, put_domain("acme", "acme.example")).await);
    let mut eve = somebody_elsewhere(&store).await;
    for (number, lock) in tables.into_iter().chain(others).enumerate() {
        let names = ["gone", "moved"].map(|name| format!("{name}{number}"));
        let created = names.each_ref().map(|name| create(name, &format!("{name}@acme.example")));
        let created: Vec<Account> =
            store.commit(&created, at(0)).await.unwrap().into_iter().map(account).collect();
        bench.assign_case(&names[0], created[0].id).await;
        application.execute("BEGIN ISOLATION LEVEL REPEATABLE READ", &[]).await.unwrap();
        application.rows("SELECT account_id FROM roster_accounts", &[]).await;
        application.rows(&lock, &[]).await;
        let kind = if eve.content.lifecycle == LoginState::Enabled {
            TransactionKind::Disable
        } else {
            TransactionKind::Enable
        };
        let moves = update(&created[1], |content| {
            content.email = email(&format!("another{number}@acme.example"))
        });
        let begun = Instant::now();
        let mut answers = store
            .commit(&[delete(&created[0]), moves.clone(), switch(&eve, kind)], at(0))
            .await
            .unwrap();
        eve = account(answers.pop().unwrap());
        store.claim(&claim, at(0).now).await.unwrap();
        let took = begun.elapsed();
        let free = answers.iter().filter(|answer| answer.is_ok()).count();
        println!("{free} of 2 go on, after {took:?}: {lock}");
        assert!(took < Duration::from_secs(3), "{lock}: after {took:?}");
        assert!(
            answers.iter().all(|answer| answer.is_ok() || *answer == Err(Refusal::Locked)),
            "{lock}: {answers:?}"
        );
        application.execute("ROLLBACK", &[]).await.unwrap();
        application.rows("SELECT 1 FROM (SELECT pg_advisory_unlock_all()) AS unlocked", &[]).await;
        let again =
            answers.iter().zip([delete(&created[0]), moves]).filter(|(answer, _)| answer.is_err());
        for (_, plan) in again {
            commit(&store, plan).await.unwrap_or_else(|refusal| panic!("{lock}: {refusal}"));
        }
    }
    application.close().await;
    drop_role(&bench, &name).await;
}

/// The schema of the version before applications were bounded.
const BEFORE_BOUNDS: [(i64, &str); 3] = [
    (5, include_str!("../../src/store/migrations/0005_everything.postgres.sql")),
    (6, include_str!("../../src/store/migrations/0006_operators.postgres.sql")),
    (7, include_str!("../../src/store/migrations/0007_fingerprints.postgres.sql")),
];

#[tokio::test]
async fn a_store_of_the_version_before_keeps_its_longer_cases_and_they_hold_up_no_deletion() {
    let database = Database::new().await;
    let mut connection = database.connect().await;
    let migrations = BEFORE_BOUNDS.map(|(version, sql)| {
        Migration::new(version, "before".into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into()).run(&mut connection).await.unwrap();
    let long = "INSERT INTO cases (case_id, organization, title) VALUES ('1', 'acme', repeat('x', 100000))";
    sqlx::query(long).execute(&mut connection).await.unwrap();
    let bench = InPostgres::at(database).await;
    let alice = alice(bench.store()).await;
    let mut application = bench.application().await;
    let assign = "UPDATE cases SET owner_account_id = $1, title = title WHERE case_id = '1'";
    assert_eq!(application.execute(assign, &[&alice.id.to_string()]).await.unwrap(), 1);
    assert_eq!(cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id), 1);
    assert_eq!(
        application.number("SELECT CAST(length(title) AS BIGINT) FROM cases").await,
        100_000
    );
}

#[tokio::test]
async fn the_personal_data_of_a_deleted_account_is_in_no_row_any_more() {
    let bench = InPostgres::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let marvin = account(
        commit(store, create_in(acme(), "marvin", full_content("marvin-the-android@acme.example")))
            .await,
    );
    let mut application = bench.application().await;
    assert!(application.version().await.contains("marvin-the-android"));
    cases_unassigned(commit(store, delete(&marvin)).await, marvin.id);
    let left = application.version().await;
    for personal in ["marvin-the-android", "602 555", "DROP TABLE"] {
        assert!(!left.contains(personal), "{personal} is left:\n{left}");
    }
}

#[tokio::test]
async fn many_processes_commit_at_once_and_nothing_is_lost() {
    let bench = InPostgres::new().await;
    done(commit(bench.store(), put_domain("acme", "acme.example")).await);
    let [counted] = people(bench.store(), [("counted", "counted@acme.example")]).await;
    let members = (0..6).map(|process| {
        let url = bench.url();
        async move {
            let store = SqlStore::open(&url).await.unwrap();
            for number in 0..10 {
                let name = format!("p{process}-{number}");
                let plans: Vec<Plan> = vec![create(&name, &format!("{name}@acme.example"))];
                assert!(store.commit(&plans, at(0)).await.unwrap()[0].is_ok());
                loop {
                    let now = find(&store, "counted").await.unwrap();
                    let next =
                        now.content.role.as_deref().map_or(0, |role| role.parse::<u32>().unwrap())
                            + 1;
                    match commit(
                        &store,
                        update(&now, |content| content.role = Some(next.to_string())),
                    )
                    .await
                    {
                        Ok(_) => break,
                        Err(refusal) => assert_eq!(refusal, Refusal::Stale),
                    }
                }
            }
        }
    });
    futures::future::join_all(members).await;
    let after = find(bench.store(), "counted").await.unwrap();
    assert_eq!(
        (after.content.role.as_deref(), after.revision.0),
        (Some("60"), counted.revision.0 + 60)
    );
    assert_eq!(bench.store().list(None).await.unwrap().len(), 61);
}

// How to connect.

fn tls() -> Arc<Server> {
    static SERVER: OnceLock<Arc<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start_with_tls).clone()
}

/// An empty database behind TLS and a password, and how a client reaches it.
struct Guarded {
    database: Database,
    password: String,
    folder: TempDir,
}

impl Guarded {
    async fn new() -> Self {
        let server = tls();
        let folder = tempfile::tempdir().unwrap();
        let guarded =
            Self { database: Database::on(&server).await, password: server.password(), folder };
        guarded.put("password", &guarded.password);
        guarded
    }

    /// Writes a file that only its owner may read, and returns its path.
    fn put(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.display().to_string()
    }

    /// A URL of it, with such a query and, where asked for, a password.
    fn url(&self, host: &str, password: Option<&str>, query: &str) -> String {
        let password = password.map(|password| format!(":{password}")).unwrap_or_default();
        let (port, name) = (self.database.server().port(), self.database.name());
        format!("postgres://postgres{password}@{host}:{port}/{name}?{query}")
    }

    async fn open(&self, host: &str, query: &str) -> Result<(), String> {
        let file = self.folder.path().join("password").display().to_string();
        let opened =
            SqlStore::open(&self.url(host, None, &format!("{query}&password-file={file}"))).await;
        let opened = opened.map(drop).map_err(|error| said(&error));
        if let Err(error) = &opened {
            assert!(!error.contains(&self.password), "{error}");
        }
        opened
    }
}

/// The certificate of an authority that has nothing to do with the server.
fn strange_authority(folder: &TempDir) -> String {
    let (key, certificate) = (folder.path().join("ca.key"), folder.path().join("ca.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Somebody else",
            "-keyout",
        ])
        .args([&key, Path::new("-out"), &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    certificate.display().to_string()
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_its_name() {
    let guarded = Guarded::new().await;
    let (own, strange) =
        (tls().authority().display().to_string(), strange_authority(&guarded.folder));
    for (host, query, trusted) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={own}"), true),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={own}"), true),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={own}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={own}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={strange}"), false),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={strange}"), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
        (
            "localhost",
            format!(
                "sslmode=verify-full&sslrootcert={}",
                guarded.folder.path().join("none").display()
            ),
            false,
        ),
        ("localhost", "sslmode=require".to_owned(), true),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=disable".to_owned(), false),
    ] {
        let opened = guarded.open(host, &query).await;
        assert_eq!(opened.is_ok(), trusted, "{host} {query}: {opened:?}");
    }
    let mut connection = guarded.database.connect().await;
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(sqlx::query_scalar::<_, bool>(encrypted).fetch_one(&mut connection).await.unwrap());
}

#[tokio::test]
async fn a_wrong_password_is_told_without_repeating_it() {
    let guarded = Guarded::new().await;
    let file = guarded.put("wrong", "a-wrong-password");
    let url = guarded.url("localhost", None, &format!("sslmode=require&password-file={file}"));
    for opened in [SqlStore::open(&url).await, SqlStore::open_existing(&url).await] {
        let error = opened.map(|_| ()).unwrap_err();
        let (said, debugged) = (said(&error), format!("{error:?}"));
        assert!(said.contains("password authentication failed"), "{said}");
        assert!(
            !said.contains("a-wrong-password") && !debugged.contains("a-wrong-password"),
            "{said} {debugged}"
        );
        assert!(
            !said.contains("postgres://") && !debugged.contains("postgres://"),
            "{said} {debugged}"
        );
    }
}

/// Runs `roster users`, with nothing of this process's environment that says how to connect.
fn list(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let says_how =
        |name: &String| name.starts_with("PG") || name.starts_with("ROSTER_") || name == "HOME";
    let inherited = std::env::vars().map(|(name, _)| name).filter(says_how);
    let mut roster = Command::new(env!("CARGO_BIN_EXE_roster"));
    for name in inherited {
        roster.env_remove(name);
    }
    roster
        .args(["users", "-o", "json"])
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_password_comes_from_the_environment_or_a_file() {
    let guarded = Guarded::new().await;
    guarded.open("localhost", "sslmode=require").await.unwrap();
    let password = guarded.password.as_str();
    let (port, name) = (guarded.database.server().port(), guarded.database.name());
    let line = format!("localhost:{port}:{name}:postgres:{password}");
    let pgpass = guarded.put(".pgpass", &format!("# a comment\nelsewhere:*:*:*:nothing\n{line}\n"));
    let home = guarded.folder.path().display().to_string();
    let in_file = |name: &str, text: &str| format!("&password-file={}", guarded.put(name, text));
    let url = |query: &str| guarded.url("localhost", None, &format!("sslmode=require{query}"));
    let with_password = |password| guarded.url("localhost", Some(password), "sslmode=require");
    let with_line_end = url(&in_file("line", &format!("{password}\n")));

    for (what, url, environment) in [
        ("the environment", url(""), vec![("PGPASSWORD", password)]),
        ("a file that the environment names", url(""), vec![("PGPASSFILE", &pgpass)]),
        ("the file at home", url(""), vec![("HOME", &home)]),
        ("a file that the URL names", url(&in_file("bare", password)), vec![]),
        ("a file with a line end", with_line_end.clone(), vec![]),
        (
            "a file rather than the environment",
            with_line_end,
            vec![("PGPASSWORD", "a-wrong-password")],
        ),
    ] {
        let listed = list(&["--store", &url], &environment);
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout).trim(),
            "[]",
            "{what}: {}",
            String::from_utf8_lossy(&listed.stderr)
        );
    }
    let listed = list(&[], &[("ROSTER_STORE", &with_password(password))]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));

    for (what, url, environment) in [
        ("nothing", url(""), vec![]),
        ("a wrong environment", url(""), vec![("PGPASSWORD", "a-wrong-password")]),
        ("a wrong file", url(&in_file("wrong", "a-wrong-password\n")), vec![]),
        ("no file", url(&format!("&password-file={home}/none")), vec![]),
        ("a URL that others can read", with_password(password), vec![]),
        ("a wrong URL", with_password("a-wrong-password"), vec![]),
    ] {
        let refused = list(&["--store", &url], &environment);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{what}: {said}");
        assert!(
            !said.contains("a-wrong-password") && !said.contains("postgres://"),
            "{what}: {said}"
        );
        assert!(!said.contains(password), "{what}: {said}");
    }
}

// Many accounts.

/// How often accounts were looked up by an index, and how often all were read.
async fn scans(database: &Database) -> (i64, i64) {
    let scans = "SELECT COALESCE(idx_scan, 0), seq_scan FROM pg_stat_user_tables WHERE relname = 'accounts'";
    sqlx::query_as(scans).fetch_one(&mut database.connect().await).await.unwrap()
}

#[tokio::test]
async fn whom_a_few_follow_is_found_without_reading_all_accounts() {
    let bench = InPostgres::new().await;
    alice(bench.store()).await;
    let many = "INSERT INTO lifetimes (account_id, namespace, login_name, created_at) \
                SELECT 'a' || i, 'acme', 'user-' || i || '.acme', 1 FROM generate_series(1, 20000) AS i; \
                INSERT INTO transactions (transaction_id, account_id, type, started_at, deadline_at) \
                SELECT 't' || i, 'a' || i, 'Create', 1, 1 FROM generate_series(1, 20000) AS i; \
                INSERT INTO accounts (account_id, namespace, owner_name, revision, transaction_id, login_name, email, email_domain, \
                state, group_name, grants, teams, profile, created_at) \
                SELECT 'a' || i, 'acme', 'user-' || i, 1, 't' || i, 'user-' || i || '.acme', 'user-' || i || '@acme.example', \
                'acme.example', 'Enabled', 'users', '[]', '[]', '{\"displayName\":\"x\"}', 1 FROM generate_series(1, 20000) AS i";
    for statistics in ["", "ANALYZE"] {
        if statistics.is_empty() {
            sqlx::raw_sql(many).execute(&mut bench.place.connect().await).await.unwrap();
        } else {
            sqlx::raw_sql(statistics).execute(&mut bench.place.connect().await).await.unwrap();
        }
        let store = SqlStore::open_existing(&bench.url()).await.unwrap();
        let before = scans(&bench.place).await;
        let alice = ("acme".to_owned(), "alice".to_owned());
        assert_eq!(store.inheritance_chain(std::slice::from_ref(&alice)).await.unwrap().len(), 1);
        assert!(store.heirs(&[alice]).await.unwrap().is_empty());
        store.close().await;
        eventually("it is counted", async || scans(&bench.place).await.0 > before.0).await;
        assert_eq!(scans(&bench.place).await.1, before.1, "all accounts were read {statistics}");
    }
}
