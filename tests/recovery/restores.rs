//! `roster restore`: whole, with nothing lost, and only while nobody has the store open.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use roster::store::Store;
use roster::store::sql::SqlStore;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr};

use crate::{Place, add, connect, content, execute, users};

/// Makes a store with alice in it, as the first version of roster left it.
pub(crate) async fn older_store(file: &Path) {
    let first = include_str!("../../src/store/migrations/0001_accounts.sqlite.sql");
    let migration =
        Migration::new(1, "accounts".into(), MigrationType::Simple, first.into_sql_str(), false);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    Migrator::with_migrations(vec![migration]).run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let id = "0193a4b0-0000-7000-8000-000000000001";
    for statement in [
        format!("INSERT INTO lifetimes VALUES ('{id}', 'acme', 'alice.acme', 0, NULL)"),
        format!("INSERT INTO transactions VALUES ('{id}', '{id}', 'Create', 0, 0, 0, 0)"),
        format!(
            "INSERT INTO accounts VALUES ('{id}', 'acme', 'alice', 'uid of alice', 1, 1, '{id}', 'alice.acme', \
             'alice@acme.example', 'acme.example', 'Enabled', 'users', '[]', NULL, '[]', 'Alice', NULL, NULL, NULL, '[]', NULL, 0)"
        ),
    ] {
        let mut connection = connect(file).await;
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_restored_store_has_what_the_backup_has_and_what_was_there_is_kept() {
    let place = Place::new();
    let store = place.store_with(&["alice", "bob"]).await;
    place.exits(&["backup", "copy.db"], 0);
    add(&store, &["carol"]).await;
    store.close().await;
    let (before, saved) =
        (content(&place.file("roster.db")).await, content(&place.file("copy.db")).await);
    let backup = std::fs::read(place.file("copy.db")).unwrap();
    let said = place.exits(&["restore", "copy.db"], 0);
    let [kept] = &place.kept()[..] else { panic!("{:?}", place.files()) };
    assert_eq!(
        said,
        format!(
            "the store has 2 accounts; what was there before is kept in {}\n",
            place.file(kept).canonicalize().unwrap().display()
        )
    );
    assert_eq!(place.files(), ["copy.db", "roster.db", kept]);
    assert_eq!(content(&place.file("roster.db")).await, saved);
    assert_eq!(content(&place.file(kept)).await, before);
    assert_eq!(std::fs::read(place.file("copy.db")).unwrap(), backup);
    let store = SqlStore::open(&place.url("roster.db")).await.unwrap();
    add(&store, &["dave"]).await;
    assert_eq!(store.list(None).await.unwrap().len(), 3);
    store.close().await;
    assert_eq!(
        (users(&place.file(kept)).await.len(), users(&place.file("copy.db")).await.len()),
        (3, 2)
    );
}

#[tokio::test]
async fn a_store_is_restored_where_none_is_if_it_may_be_created() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    std::fs::remove_file(place.file("roster.db")).unwrap();
    let address = format!("sqlite://{}", place.file("roster.db").display());
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["restore", "copy.db", "--store", &address])
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    assert!(
        String::from_utf8(refused.stderr).unwrap().contains("roster.db isn't there: add ?mode=rwc")
    );
    assert_eq!(
        place.exits(&["restore", "copy.db"], 0),
        "the store has 1 accounts; nothing was there before\n"
    );
    assert_eq!(place.file("roster.db").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(users(&place.file("roster.db")).await, ["alice"]);
    assert!(place.kept().is_empty());
}

#[tokio::test]
async fn the_log_of_a_store_that_is_gone_is_kept_and_never_read_into_another() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    let store = SqlStore::open(&place.url("roster.db")).await.unwrap();
    add(&store, &["bob", "carol"]).await;
    // Somebody removed the database and left its log, as SIGKILL leaves it.
    for (name, to) in [("roster.db-wal", "wal"), ("roster.db-shm", "shm")] {
        std::fs::copy(place.file(name), place.file(to)).unwrap();
    }
    store.close().await;
    std::fs::remove_file(place.file("roster.db")).unwrap();
    std::fs::rename(place.file("wal"), place.file("roster.db-wal")).unwrap();
    std::fs::rename(place.file("shm"), place.file("roster.db-shm")).unwrap();
    place.exits(&["restore", "copy.db"], 0);
    assert_eq!(users(&place.file("roster.db")).await, ["alice"]);
    assert_eq!(place.kept().len(), 2, "{:?}", place.files());
}

#[tokio::test]
async fn nothing_is_restored_while_somebody_has_the_store_open() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    place.exits(&["backup", "copy.db"], 0);
    add(&store, &["bob"]).await;
    place.fails(&["restore", "copy.db"], "is in use: stop `roster run`");
    add(&store, &["carol"]).await;
    store.close().await;
    let mut application = connect(&place.file("roster.db")).await;
    sqlx::query("SELECT * FROM roster_accounts").fetch_all(&mut application).await.unwrap();
    place.fails(&["restore", "copy.db"], "is in use");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut application).await.unwrap();
    place.fails(&["restore", "copy.db"], "is in use");
    application.close().await.unwrap();
    assert_eq!(users(&place.file("roster.db")).await, ["alice", "bob", "carol"]);
    assert_eq!(place.files(), ["copy.db", "roster.db"]);
    place.exits(&["restore", "copy.db"], 0);
}

#[tokio::test]
async fn what_is_no_sound_backup_is_refused_and_changes_nothing() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    for name in ["newer.db", "dangling.db", "damaged.db", "cut.db"] {
        place.exits(&["backup", name], 0);
    }
    store.close().await;
    execute(&place.file("newer.db"), "UPDATE _sqlx_migrations SET version = 999 WHERE version = 1")
        .await;
    execute(&place.file("dangling.db"), "DELETE FROM lifetimes").await;
    let mut bytes = std::fs::read(place.file("damaged.db")).unwrap();
    let email = bytes.windows(5).position(|window| window == b"users").unwrap() / 4096 * 4096;
    bytes[email..email + 4096].fill(0x55);
    std::fs::write(place.file("damaged.db"), bytes).unwrap();
    let whole = std::fs::read(place.file("cut.db")).unwrap();
    std::fs::write(place.file("cut.db"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(place.file("letter"), "Dear Alice, ".repeat(1000)).unwrap();
    std::fs::write(place.file("empty"), "").unwrap();
    let before = place.files();
    let (was, bytes) =
        (content(&place.file("roster.db")).await, std::fs::read(place.file("roster.db")).unwrap());
    for (name, text) in [
        ("missing.db", "missing.db isn't there"),
        ("newer.db", "newer roster"),
        ("dangling.db", "dangling.db is damaged: a row of"),
        ("damaged.db", "damaged.db is damaged"),
        ("cut.db", "cut.db is damaged"),
        ("letter", "letter is damaged: it holds no roster store"),
        ("empty", "empty is damaged: it holds no roster store"),
        ("roster.db", "roster.db is the store itself"),
        (".", "is a folder: name a file"),
    ] {
        place.fails(&["restore", name], text);
    }
    assert_eq!((content(&place.file("roster.db")).await, place.files()), (was, before));
    assert!(std::fs::read(place.file("roster.db")).unwrap() == bytes);
}

#[tokio::test]
async fn an_older_backup_comes_back_in_the_schema_of_this_version() {
    let place = Place::new();
    place.store_with(&["bob"]).await.close().await;
    older_store(&place.file("old.db")).await;
    let before = std::fs::read(place.file("old.db")).unwrap();
    place.exits(&["restore", "old.db"], 0);
    assert!(place.exits(&["users"], 0).contains("alice@acme.example"));
    assert!(std::fs::read(place.file("old.db")).unwrap() == before);
}

#[tokio::test]
async fn a_damaged_store_is_replaced_and_kept_and_what_is_no_store_is_left() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    let mut bytes = std::fs::read(place.file("roster.db")).unwrap();
    let page =
        bytes.windows(18).position(|window| window == b"alice@acme.example").unwrap() / 4096 * 4096;
    bytes[page..page + 4096].fill(0x55);
    std::fs::write(place.file("roster.db"), &bytes).unwrap();
    place.exits(&["restore", "copy.db"], 0);
    assert_eq!(users(&place.file("roster.db")).await, ["alice"]);
    assert_eq!(place.kept().len(), 1);
    bytes[..4096].fill(0x55);
    std::fs::write(place.file("roster.db"), &bytes).unwrap();
    place.fails(&["restore", "copy.db"], "can't be read as a roster store, so it isn't replaced");
    assert!(std::fs::read(place.file("roster.db")).unwrap() == bytes);
}

#[tokio::test]
async fn whoever_could_read_the_store_can_read_the_restored_one_and_a_link_to_it_stays() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    std::fs::create_dir(place.file("volume")).unwrap();
    std::fs::rename(place.file("roster.db"), place.file("volume/roster.db")).unwrap();
    std::os::unix::fs::symlink("volume/roster.db", place.file("roster.db")).unwrap();
    std::fs::set_permissions(place.file("roster.db"), std::fs::Permissions::from_mode(0o640))
        .unwrap();
    place.exits(&["restore", "copy.db"], 0);
    assert!(place.file("roster.db").symlink_metadata().unwrap().is_symlink());
    assert_eq!(
        place.file("volume/roster.db").metadata().unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(place.file("volume").read_dir().unwrap().count(), 2);
}
