//! What `SQLite` adds: files, addresses, other processes, and the contract with applications.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use futures::FutureExt;
use roster::domain::account::{Account, Content, FromSecret, Revision};
use roster::domain::group::GroupContent;
use roster::domain::member::MemberValues;
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{Refusal, Store, StoreError};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, Row, SqlSafeStr, SqliteConnection};
use tempfile::TempDir;

use crate::plans::{
    account, acme, addresses, alice, at, by_uid, cases_unassigned, commit, commit_at, content, create, create_heir, create_in,
    create_member, delete, done, drop_group, find, from_secret, full_content, have, inherited, people, put_domain, put_group,
    record, update, with_password,
};
use crate::{Bench, InSqlite};

#[track_caller]
fn address_refused(opened: Result<SqlStore, StoreError>, message: &str) {
    match opened.map(|_| ()) {
        Err(StoreError::Address(found)) => assert!(found.contains(message), "{found}"),
        other => panic!("not an address's error: {other:?}"),
    }
}

/// The account as applications see it: its permissions, and everything else.
async fn seen(application: &mut SqliteConnection, account: &Account) -> (Vec<String>, [Option<String>; 9]) {
    let row = sqlx::query(
        "SELECT account_id, organization, login_name, email, state, group_name, display_name, phone, password_hash, permissions \
         FROM roster_accounts WHERE account_id = $1",
    )
    .bind(account.id.to_string())
    .fetch_one(application)
    .await
    .unwrap();
    let permissions: String = row.get("permissions");
    (serde_json::from_str(&permissions).unwrap(), std::array::from_fn(|column| row.get(column)))
}

#[tokio::test]
async fn applications_see_each_account_in_the_view() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    let alice = account(commit(bench.store(), update(&alice, |content| *content = full_content("a@acme.example"))).await);
    let (_, columns) = seen(&mut bench.application().await, &alice).await;
    let id = alice.id.to_string();
    let expected = [
        Some(id.as_str()),
        Some("acme"),
        Some("alice.acme"),
        Some("a@acme.example"),
        Some("Disabled"),
        Some("administrators"),
        Some("Ä'); DROP TABLE accounts; --"),
        Some("+1 602 555 0100"),
        None,
    ];
    assert_eq!(columns.each_ref().map(Option::as_deref), expected);
}

#[tokio::test]
async fn the_view_gives_the_permissions_in_effect() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    let mut application = bench.application().await;
    let mut alice = alice(store).await;
    let groups = [put_group("crew", false, &["cases:read", "b", "a-b", "a"]), put_group("chiefs", true, &["z", "a:b"])];
    for plan in groups.into_iter().chain([put_group("stay", true, &[])]) {
        done(commit(store, plan).await);
    }
    account(commit(store, create_member("stays", "stays@acme.example", "stay")).await);
    for declared in [false, true] {
        for group in ["users", "administrators", "crew", "chiefs"] {
            for grants in [&[][..], &["a", "zz", "a:b", "0"]] {
                let grants = crate::plans::permissions(grants);
                alice = account(
                    commit(
                        store,
                        update(&alice, |content| {
                            group.clone_into(&mut content.group);
                            content.grants = grants.clone();
                        }),
                    )
                    .await,
                );
                let groups = record(store, acme()).await.groups;
                let given = groups.get(group).cloned().or_else(|| GroupContent::undeclared(group)).unwrap();
                let effective: Vec<String> = given.effective(&grants).iter().map(ToString::to_string).collect();
                assert_eq!(seen(&mut application, &alice).await.0, effective, "{group}, declared: {declared}");
            }
        }
        done(commit(store, put_group("users", false, &["profile:read"])).await);
        done(commit(store, put_group("administrators", false, &["admin:read"])).await);
    }
}

#[tokio::test]
async fn a_declared_group_that_is_dropped_gives_what_an_undeclared_one_does() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    done(commit(store, put_group("administrators", true, &["a"])).await);
    done(commit(store, drop_group("administrators")).await);
    done(commit(store, put_domain("acme", "acme.example")).await);
    let root = account(commit(store, create_member("root", "root@acme.example", "administrators")).await);
    assert_eq!(seen(&mut bench.application().await, &root).await.0, ["*"]);
}

#[tokio::test]
async fn applications_write_cases_while_the_operator_writes_accounts() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    let alice = alice(store).await;
    let operator = async {
        for number in 0..40 {
            account(commit(store, create(&format!("u{number}"), &format!("u{number}@acme.example"))).await);
        }
    };
    let mut application = bench.application().await;
    let application = async {
        for number in 0..40 {
            sqlx::query("INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ($1, 'acme', 'A case', $2)")
                .bind(number)
                .bind(alice.id.to_string())
                .execute(&mut application)
                .await
                .unwrap();
        }
    };
    tokio::join!(operator, application);
    assert_eq!(store.list(None).await.unwrap().len(), 41);
    assert_eq!(cases_unassigned(commit(store, delete(&alice)).await, alice.id), 40);
}

#[tokio::test]
async fn a_case_needs_no_id_and_no_owner_but_never_one_who_is_gone() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id);
    let mut application = bench.application().await;
    let insert = "INSERT INTO cases (organization, title, owner_account_id) VALUES ('acme', 'A case', $1)";
    sqlx::query(insert).bind(None::<String>).execute(&mut application).await.unwrap();
    let orphaned = sqlx::query(insert).bind(alice.id.to_string()).execute(&mut application).await.unwrap_err();
    assert!(orphaned.as_database_error().unwrap().is_foreign_key_violation());
}

#[tokio::test]
async fn of_two_processes_that_want_one_address_one_gets_it() {
    let bench = InSqlite::new().await;
    done(commit(bench.store(), put_domain("acme", "acme.example")).await);
    let other = SqlStore::open(&bench.url()).await.unwrap();
    for number in 0..10 {
        let address = format!("{number}@acme.example");
        let ours = commit(bench.store(), create(&format!("ours-{number}"), &address));
        let theirs = commit(&other, create(&format!("theirs-{number}"), &address));
        let (ours, theirs) = tokio::join!(ours, theirs);
        assert!(ours == Err(Refusal::EmailTaken) || theirs == Err(Refusal::EmailTaken), "{ours:?} {theirs:?}");
        assert!(ours.is_ok() || theirs.is_ok());
    }
}

#[tokio::test]
async fn a_writer_that_died_before_its_commit_leaves_nothing() {
    let bench = InSqlite::new().await;
    done(commit(bench.store(), put_domain("acme", "acme.example")).await);
    let mut killed = bench.application().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut killed).await.unwrap();
    sqlx::query("DELETE FROM domains").execute(&mut killed).await.unwrap();
    drop(killed);
    account(commit(bench.store(), create("alice", "alice@acme.example")).await);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_any_more_is_whole_or_not_at_all() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let mut accounts = 0;
    for polls in 1..60 {
        let pair = [("a", polls), ("b", polls)].map(|(letter, number)| format!("{letter}{number}"));
        let plans: Vec<Plan> = pair.iter().map(|name| create(name, &format!("{name}@acme.example"))).collect();
        let mut abandoned = Box::pin(store.commit(&plans, at(0)));
        for _ in 0..polls {
            if abandoned.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        drop(abandoned);
        done(commit(store, put_group("crew", false, &[])).await);
        let found = store.list(None).await.unwrap().len();
        assert!(found == accounts || found == accounts + 2, "{accounts} became {found}");
        accounts = found;
    }
}

#[tokio::test]
async fn lifetimes_outlive_their_accounts_and_never_end_before_they_begin() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let alice = account(commit_at(store, create("alice", "alice@acme.example"), 1000).await);
    let lifetimes = || async {
        let query = "SELECT namespace, login_name, created_at, deleted_at FROM lifetimes WHERE account_id = $1";
        let row = sqlx::query(query).bind(alice.id.to_string()).fetch_one(&mut bench.application().await).await.unwrap();
        (row.get::<String, _>(0), row.get::<String, _>(1), row.get::<i64, _>(2), row.get::<Option<i64>, _>(3))
    };
    let created = at(1000).now.as_microsecond();
    assert_eq!(lifetimes().await, ("acme".to_owned(), "alice.acme".to_owned(), created, None));
    cases_unassigned(commit_at(store, delete(&alice), 0).await, alice.id);
    assert_eq!(lifetimes().await, ("acme".to_owned(), "alice.acme".to_owned(), created, Some(created)));
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    bench.store().close().await;
    for _ in 0..2 {
        let reopened = SqlStore::open(&bench.url()).await.unwrap();
        assert_eq!(find(&reopened, "alice").await.as_ref(), Some(&alice));
        reopened.close().await;
    }
    let existing = SqlStore::open_existing(&format!("{}?mode=rwc", bench.url())).await.unwrap();
    assert_eq!(existing.list(None).await.unwrap(), [alice]);
}

#[tokio::test]
async fn a_store_of_a_newer_roster_is_refused() {
    let bench = InSqlite::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', TRUE, x'00', 0)",
    )
    .execute(&mut bench.application().await)
    .await
    .unwrap();
    for opened in [SqlStore::open(&bench.url()).await, SqlStore::open_existing(&bench.url()).await] {
        assert!(matches!(opened, Err(StoreError::NewerSchema { found: 99, .. })));
    }
}

/// The schema of the version before permissions came from others.
const BEFORE_SOURCES: [(i64, &str); 2] = [
    (1, include_str!("../../src/store/migrations/0001_accounts.sql")),
    (2, include_str!("../../src/store/migrations/0002_applications.sqlite.sql")),
];

/// A store as the version before wrote it: an account and a group in it, and nobody at it.
async fn an_older_store() -> (TempDir, String, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/roster.db", folder.path().display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let migrations = BEFORE_SOURCES
        .map(|(version, sql)| Migration::new(version, "before".into(), MigrationType::Simple, sql.into_sql_str(), false));
    Migrator::with_migrations(migrations.into()).run(&mut connection).await.unwrap();
    let id = "0193a1b2-0000-7000-8000-000000000001";
    for (statement, bound) in [
        ("INSERT INTO organizations VALUES ($1, 'acme')", "acme"),
        ("INSERT INTO lifetimes VALUES ($1, 'acme', 'alice.acme', 5, NULL)", id),
        ("INSERT INTO transactions VALUES ($1, $1, 'Create', 5, 6, 5, 0)", id),
        (
            "INSERT INTO accounts (account_id, namespace, owner_name, owner_uid, owner_generation, revision, transaction_id, \
             login_name, email, email_domain, state, group_name, grants, teams, display_name, phone, notifications, \
             password_hash, created_at) VALUES ($1, 'acme', 'alice', 'uid of alice', 3, 7, $1, 'alice.acme', \
             'alice@acme.example', 'acme.example', 'Enabled', 'crew', '[\"orders:read\"]', '[\"night-shift\"]', 'Alice', \
             '1', '[]', '$argon2id$planted', 5)",
            id,
        ),
        ("INSERT INTO groups VALUES ('acme', $1, TRUE, '[\"cases:read\"]')", "crew"),
        ("INSERT INTO domains VALUES ('acme', 'd', $1, FALSE)", "acme.example"),
        ("INSERT INTO cases VALUES ('1', 'acme', 'A case', $1)", id),
    ] {
        sqlx::query(statement).bind(bound).execute(&mut connection).await.unwrap();
    }
    (folder, url, connection)
}

#[tokio::test]
async fn a_store_of_an_older_roster_is_migrated_by_the_operator_only() {
    let (_folder, url, _application) = an_older_store().await;
    address_refused(SqlStore::open_existing(&url).await, "was written by an older roster");
    SqlStore::open(&url).await.unwrap();
    SqlStore::open_existing(&url).await.unwrap();
}

#[tokio::test]
async fn migrating_keeps_everything_and_nobody_follows_anybody_yet() {
    let (_folder, url, mut application) = an_older_store().await;
    let store = SqlStore::open(&url).await.unwrap();
    let alice = find(&store, "alice").await.unwrap();
    let Content { email, group, grants, source, profile, copied, member, .. } = &alice.content;
    assert_eq!((email.as_str(), group.as_str(), alice.revision), ("alice@acme.example", "crew", Revision(7)));
    assert_eq!((grants, source, copied), (&crate::plans::permissions(&["orders:read"]), &None, &None));
    assert_eq!((profile.phone.as_deref(), member), (Some("1"), &MemberValues::default()));
    assert_eq!((alice.owner.generation, alice.cloned, alice.created.as_microsecond()), (3, None, 5));
    let (permissions, columns) = seen(&mut application, &alice).await;
    assert_eq!(
        (permissions, columns[8].as_deref()),
        (["*", "cases:read", "orders:read"].map(str::to_owned).into(), Some("$argon2id$planted"))
    );
    let record = record(&store, acme()).await;
    let crew = &record.groups["crew"];
    assert_eq!((crew.full_control, crew.self_service.len(), record.listings.len()), (true, 0, 1));
    let heir = account(commit(&store, create_heir(acme(), "heir", inherited("alice"))).await);
    assert_eq!(seen(&mut application, &heir).await.0, ["orders:read"]);
    let changed = account(commit(&store, update(&alice, |content| content.role = Some("Driver".to_owned()))).await);
    assert_eq!(seen(&mut application, &changed).await.1[8].as_deref(), Some("$argon2id$planted"));
    let cases: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM cases WHERE owner_account_id IS NOT NULL")
        .fetch_one(&mut application)
        .await
        .unwrap();
    assert_eq!(cases, 1);
}

#[tokio::test]
async fn only_addresses_of_sqlite_files_are_taken_and_no_other_is_repeated_in_the_message() {
    let supported = "sqlite://FILE?mode=rwc";
    for url in [
        "",
        "roster.db",
        "mysql://u:secret@h/d",
        "postgres://u:secret@h/d",
        "sqlite:roster.db",
        "sqlite://",
        "sqlite://?mode=rwc",
        "sqlite://:memory:",
        "sqlite://roster.db?mode=memory",
        "sqlite://roster.db?mode=ro",
        "sqlite://roster.db?mode=rwc&vfs=x",
    ] {
        address_refused(SqlStore::open(url).await, supported);
        let Err(error) = SqlStore::open_existing(url).await else { panic!("{url} was opened") };
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn what_is_no_store_is_neither_opened_nor_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite://{}", file(name).display());

    address_refused(SqlStore::open(&url("missing.db")).await, "missing.db isn't there");
    address_refused(SqlStore::open_existing(&format!("{}?mode=rwc", url("missing.db"))).await, "missing.db isn't there");
    address_refused(SqlStore::open(&format!("{}?mode=rwc", url("no/folder.db"))).await, "can't be created");
    assert!(!file("missing.db").exists());

    std::fs::write(file("empty.db"), "").unwrap();
    address_refused(SqlStore::open_existing(&url("empty.db")).await, "empty.db holds no roster store");

    std::fs::write(file("letter.txt"), "Dear Alice, ".repeat(1000)).unwrap();
    address_refused(SqlStore::open(&url("letter.txt")).await, "holds something else");
    address_refused(SqlStore::open_existing(&url("letter.txt")).await, "holds no roster store");

    let mut other = SqliteConnection::connect(&format!("{}?mode=rwc", url("other.db"))).await.unwrap();
    sqlx::query("CREATE TABLE accounts (x)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(file("other.db")).unwrap();
    address_refused(SqlStore::open(&url("other.db")).await, "holds something else");
    address_refused(SqlStore::open_existing(&url("other.db")).await, "holds no roster store");
    assert_eq!(std::fs::read(file("other.db")).unwrap(), before);
}

#[tokio::test]
async fn the_files_are_readable_by_their_owner_alone() {
    let bench = InSqlite::new().await;
    alice(bench.store()).await;
    let mut files = 0;
    for entry in bench.folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and its index");
}

#[tokio::test]
async fn a_commit_fails_while_the_file_is_gone_and_works_once_it_is_back() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    let away = bench.folder.path().join("away.db");
    std::fs::rename(bench.file(), &away).unwrap();
    assert!(matches!(bench.store().commit(&[delete(&alice)], at(0)).await, Err(StoreError::Database(_))));
    assert!(matches!(bench.store().list(None).await, Err(StoreError::Database(_))));
    std::fs::copy(&away, bench.file()).unwrap();
    assert!(
        matches!(bench.store().commit(&[delete(&alice)], at(0)).await, Err(StoreError::Database(_))),
        "a copy isn't the file"
    );
    std::fs::rename(&away, bench.file()).unwrap();
    cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id);
}

/// Which of the texts stand in any of the store's files.
fn left_behind<'a>(bench: &InSqlite, texts: &[&'a str]) -> Vec<&'a str> {
    let files = bench.folder.path().read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let bytes = files.collect::<Vec<_>>().concat();
    let holds = |text: &&&str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    texts.iter().filter(holds).copied().collect()
}

#[tokio::test]
async fn the_personal_data_of_a_deleted_account_is_in_no_file_any_more() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let personal = [
        "Zaphod Beeblebrox",
        "+44 7700 900123",
        "zaphod@",
        "Betelgeuse Street",
        "heart-of-gold",
        "$argon2id$planted",
        "$argon2id$of the Secret",
        "version of the Secret",
    ];
    let neighbours: Vec<Plan> = (0..300).map(|n| create(&format!("n{n}"), &format!("n{n}@acme.example"))).collect();
    store.commit(&neighbours[..150], at(0)).await.unwrap();
    let mut zaphods = Vec::new();
    for number in 0..100 {
        let mut content = content(&format!("zaphod@{number}.acme.example"));
        content.email = crate::plans::email(&format!("zaphod{number}@acme.example"));
        content.profile.display_name = "Zaphod Beeblebrox".to_owned();
        content.profile.phone = Some("+44 7700 900123".to_owned());
        content.profile.address = Some(roster::domain::account::PostalAddress {
            street: vec!["Betelgeuse Street".repeat(number)],
            ..Default::default()
        });
        content.teams = ["heart-of-gold".to_owned()].into();
        let password = FromSecret { version: "version of the Secret".to_owned(), ..from_secret("the Secret") };
        zaphods.push(with_password(create_in(acme(), &format!("z{number}"), content), password));
    }
    let created: Vec<Account> = store.commit(&zaphods, at(0)).await.unwrap().into_iter().map(account).collect();
    store.commit(&neighbours[150..], at(0)).await.unwrap();
    sqlx::query("UPDATE accounts SET password_hash = '$argon2id$planted' WHERE display_name LIKE 'Zaphod%'")
        .execute(&mut bench.application().await)
        .await
        .unwrap();
    let texts = [&personal[..2], &personal[3..]].concat();
    assert_eq!(left_behind(&bench, &texts), texts, "the data is found while the accounts live");
    let deletes: Vec<Plan> = created.iter().map(delete).collect();
    for answer in store.commit(&deletes, at(0)).await.unwrap() {
        assert!(answer.is_ok());
    }
    assert!(left_behind(&bench, &personal).is_empty(), "{:?}", left_behind(&bench, &personal));
    assert!(left_behind(&bench, &["zaphod0@acme.example", "zaphod99@"]).is_empty());
}

#[tokio::test]
async fn a_reader_that_keeps_the_log_delays_erasing_until_the_commit_after_it_left() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    done(commit(store, put_domain("acme", "acme.example")).await);
    let marvin = account(commit(store, create_in(acme(), "marvin", full_content("marvin-the-android@acme.example"))).await);
    let mut application = bench.application().await;
    let mut looking = application.begin().await.unwrap();
    sqlx::query("SELECT * FROM roster_accounts").fetch_all(&mut *looking).await.unwrap();
    cases_unassigned(commit(store, delete(&marvin)).await, marvin.id);
    looking.rollback().await.unwrap();
    done(commit(store, put_group("crew", false, &[])).await);
    assert!(left_behind(&bench, &["marvin-the-android"]).is_empty());
}

#[tokio::test]
async fn looks_are_answered_while_another_process_writes() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    let mut writing = bench.application().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writing).await.unwrap();
    sqlx::query("UPDATE accounts SET display_name = 'half written'").execute(&mut writing).await.unwrap();
    assert_eq!(find(bench.store(), "alice").await, Some(alice));
}

#[tokio::test]
async fn a_repeated_plan_after_a_reopened_store_has_its_first_receipt() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    bench.assign_case("1", alice.id).await;
    let first = commit_at(bench.store(), delete(&alice), 5).await;
    bench.store().close().await;
    let reopened = SqlStore::open(&bench.url()).await.unwrap();
    assert_eq!(commit_at(&reopened, by_uid(delete(&alice), "anybody"), 60).await, first);
    have(&addresses(&reopened).await, &[]);
}

/// Prints how long 256 accounts take in one commit and one by one (`cargo test -- --nocapture`).
#[tokio::test]
async fn many_accounts_fit_in_one_commit() {
    let bench = InSqlite::new().await;
    let store = bench.store();
    let [_] = people(store, [("warm", "warm@acme.example")]).await;
    let plans = |prefix: &str| -> Vec<Plan> {
        (0..256).map(|number| create(&format!("{prefix}{number}"), &format!("{prefix}{number}@acme.example"))).collect()
    };
    let begun = Instant::now();
    let together: Vec<Account> = store.commit(&plans("t"), at(0)).await.unwrap().into_iter().map(account).collect();
    let in_one = begun.elapsed();
    let begun = Instant::now();
    for plan in plans("s") {
        account(commit(store, plan).await);
    }
    let one_by_one = begun.elapsed();
    let keys: Vec<_> = together
        .iter()
        .map(|account| roster::store::AccountKey::Email { namespace: "acme".to_owned(), email: account.content.email.clone() })
        .collect();
    let begun = Instant::now();
    assert_eq!(store.find(&keys).await.unwrap().len(), 256);
    let found = begun.elapsed();
    let edits: Vec<Plan> =
        together.iter().map(|account| update(account, |content| content.role = Some("Driver".to_owned()))).collect();
    let begun = Instant::now();
    let updated: Vec<Account> = store.commit(&edits, at(0)).await.unwrap().into_iter().map(account).collect();
    let updated_in_one = begun.elapsed();
    assert!(updated.iter().all(|account| account.revision == Revision(2)));
    let deletes: Vec<Plan> = updated.iter().map(delete).collect();
    let begun = Instant::now();
    assert!(store.commit(&deletes, at(0)).await.unwrap().iter().all(Result::is_ok));
    let deleted_in_one = begun.elapsed();
    println!(
        "256 accounts: created in one commit {in_one:?}, one by one {one_by_one:?}; found {found:?}; \
         updated in one commit {updated_in_one:?}; deleted in one commit {deleted_in_one:?}"
    );
}
