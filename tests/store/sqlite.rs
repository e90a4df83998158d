//! What `SQLite` adds: files, and the schemas of earlier versions.

use std::os::unix::fs::PermissionsExt;

use roster::domain::account::{Account, AccountSpec, Revision, SecretPassword};
use roster::domain::self_service::Overrides;
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{Store, StoreError};
use roster_test_support::application::Application;
use roster_test_support::plans::{
    account, acme, alice, at, cases_unassigned, commit, content, create, create_heir, create_in,
    delete, done, find, from_secret, full_content, inherited, put_domain, put_group, record,
    update, with_password,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};
use tempfile::TempDir;

use crate::sql::seen;
use crate::{Bench, InSqlite};

#[track_caller]
fn address_refused(opened: Result<SqlStore, StoreError>, message: &str) {
    match opened.map(|_| ()) {
        Err(StoreError::Address(found) | StoreError::Unusable(found)) => {
            assert!(found.contains(message), "{found}")
        }
        other => panic!("not an address's error: {other:?}"),
    }
}

/// The schema of the version before permissions came from others.
const BEFORE_SOURCES: [(i64, &str); 2] = [
    (1, include_str!("../../src/store/migrations/0001_accounts.sqlite.sql")),
    (2, include_str!("../../src/store/migrations/0002_applications.sqlite.sql")),
];

/// A store as the version before wrote it: an account and a group in it, and nobody at it.
async fn an_older_store() -> (TempDir, String, Application) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/roster.db", folder.path().display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let migrations = BEFORE_SOURCES.map(|(version, sql)| {
        Migration::new(version, "before".into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
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
    (folder, url, Application::Sqlite(connection))
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
    let AccountSpec { email, group, grants, source, profile, copied, member, .. } = &alice.content;
    assert_eq!(
        (email.as_str(), group.as_str(), alice.revision),
        ("alice@acme.example", "crew", Revision(7))
    );
    assert_eq!(
        (grants, source, copied),
        (&roster_test_support::plans::permissions(&["orders:read"]), &None, &None)
    );
    assert_eq!((profile.phone.as_deref(), member), (Some("1"), &Overrides::default()));
    assert_eq!(
        (alice.owner.generation, alice.cloned, alice.created.as_microsecond()),
        (3, None, 5)
    );
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
    let changed = account(
        commit(&store, update(&alice, |content| content.role = Some("Driver".to_owned()))).await,
    );
    assert_eq!(seen(&mut application, &changed).await.1[8].as_deref(), Some("$argon2id$planted"));
    assert_eq!(
        application.number("SELECT COUNT(*) FROM cases WHERE owner_account_id IS NOT NULL").await,
        1
    );
}

#[tokio::test]
async fn migrating_keeps_longer_cases_and_they_hold_up_no_deletion() {
    let (_folder, url, mut application) = an_older_store().await;
    let long = "x".repeat(100_000);
    application.execute("UPDATE cases SET title = $1", &[&long]).await.unwrap();
    let store = SqlStore::open(&url).await.unwrap();
    let alice = find(&store, "alice").await.unwrap();
    application
        .execute("UPDATE cases SET title = title, organization = 'other'", &[])
        .await
        .unwrap();
    let hidden = format!("a\0{long}");
    let refused = application.execute("UPDATE cases SET title = $1", &[&hidden]).await.unwrap_err();
    assert!(refused.to_string().contains("too long for a case"), "{refused}");
    assert_eq!(cases_unassigned(commit(&store, delete(&alice)).await, alice.id), 1);
    assert_eq!(application.text("SELECT title FROM cases").await, Some(long));
}

#[tokio::test]
async fn only_addresses_of_sqlite_files_are_taken_and_no_other_is_repeated_in_the_message() {
    let supported = "sqlite://FILE?mode=rwc";
    for url in [
        "",
        "roster.db",
        "mysql://u:secret@h/d",
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
    address_refused(
        SqlStore::open_existing(&format!("{}?mode=rwc", url("missing.db"))).await,
        "missing.db isn't there",
    );
    address_refused(
        SqlStore::open(&format!("{}?mode=rwc", url("no/folder.db"))).await,
        "can't be created",
    );
    assert!(!file("missing.db").exists());

    std::fs::write(file("empty.db"), "").unwrap();
    address_refused(
        SqlStore::open_existing(&url("empty.db")).await,
        "empty.db holds no roster store",
    );

    std::fs::write(file("letter.txt"), "Dear Alice, ".repeat(1000)).unwrap();
    address_refused(SqlStore::open(&url("letter.txt")).await, "holds something else");
    address_refused(SqlStore::open_existing(&url("letter.txt")).await, "holds no roster store");

    let mut other =
        SqliteConnection::connect(&format!("{}?mode=rwc", url("other.db"))).await.unwrap();
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
    for entry in bench.place.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and its index");
}

#[tokio::test]
async fn a_file_that_is_gone_or_another_is_told_from_one_that_does_not_answer() {
    let bench = InSqlite::new().await;
    let alice = alice(bench.store()).await;
    let is_replaced = async |message: &str| {
        let committed = bench.store().commit(&[delete(&alice)], at(0)).await.map(|_| ());
        for failed in [committed, bench.store().list(None).await.map(|_| ())] {
            match failed {
                Err(error @ StoreError::Replaced(_)) => {
                    assert!(error.to_string().contains(message) && error.ends_the_work(), "{error}")
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let away = bench.place.path().join("away.db");
    std::fs::rename(bench.file(), &away).unwrap();
    is_replaced("isn't there any more").await;
    std::fs::copy(&away, bench.file()).unwrap();
    is_replaced("is another one").await;
    std::fs::remove_file(bench.file()).unwrap();
    // As a volume that can't be asked: a link that leads nowhere but to itself.
    std::os::unix::fs::symlink(bench.file(), bench.file()).unwrap();
    let committed = bench.store().commit(&[delete(&alice)], at(0)).await;
    assert!(
        matches!(&committed, Err(error @ StoreError::Database(_)) if !error.ends_the_work()),
        "{committed:?}"
    );
    std::fs::rename(&away, bench.file()).unwrap();
    cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id);
}

/// Which of the texts stand in any of the store's files.
fn left_behind<'a>(bench: &InSqlite, texts: &[&'a str]) -> Vec<&'a str> {
    let files = bench
        .place
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
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
    let neighbours: Vec<Plan> =
        (0..300).map(|n| create(&format!("n{n}"), &format!("n{n}@acme.example"))).collect();
    store.commit(&neighbours[..150], at(0)).await.unwrap();
    let mut zaphods = Vec::new();
    for number in 0..100 {
        let mut content = content(&format!("zaphod@{number}.acme.example"));
        content.email = roster_test_support::plans::email(&format!("zaphod{number}@acme.example"));
        content.profile.display_name = "Zaphod Beeblebrox".to_owned();
        content.profile.phone = Some("+44 7700 900123".to_owned());
        content.profile.address = Some(roster::domain::profile::PostalAddress {
            street: vec!["Betelgeuse Street".repeat(number)],
            ..Default::default()
        });
        content.teams = ["heart-of-gold".to_owned()].into();
        let password = SecretPassword {
            version: "version of the Secret".to_owned(),
            ..from_secret("the Secret")
        };
        zaphods.push(with_password(create_in(acme(), &format!("z{number}"), content), password));
    }
    let created: Vec<Account> =
        store.commit(&zaphods, at(0)).await.unwrap().into_iter().map(account).collect();
    store.commit(&neighbours[150..], at(0)).await.unwrap();
    let plant = "UPDATE accounts SET password_hash = '$argon2id$planted' WHERE profile LIKE '{\"displayName\":\"Zaphod%'";
    bench.application().await.execute(plant, &[]).await.unwrap();
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
    let marvin = account(
        commit(store, create_in(acme(), "marvin", full_content("marvin-the-android@acme.example")))
            .await,
    );
    let mut application = bench.application().await;
    application.execute("BEGIN", &[]).await.unwrap();
    application.rows("SELECT account_id FROM roster_accounts", &[]).await;
    cases_unassigned(commit(store, delete(&marvin)).await, marvin.id);
    application.execute("ROLLBACK", &[]).await.unwrap();
    done(commit(store, put_group("crew", false, &[])).await);
    assert!(left_behind(&bench, &["marvin-the-android"]).is_empty());
}
