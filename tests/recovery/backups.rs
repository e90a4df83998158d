//! `roster backup`: one consistent state, under load, without what was erased.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use roster::store::Store;
use roster::store::sql::SqlStore;
use roster::store::sql::backup::backup;
use roster_test_support::plans::{
    self, account, at, commit, create_in, delete, done, full_content, put_domain,
};
use sqlx::Connection;

use crate::{Place, connect, content, execute};

#[tokio::test]
async fn a_backup_has_everything_in_one_file_that_its_owner_alone_can_read() {
    let place = Place::new();
    let store = place.store_with(&["alice", "bob"]).await;
    account(
        commit(&store, create_in(plans::acme(), "carol", full_content("carol@acme.example"))).await,
    );
    store.set_directories(&["scim".to_owned()].into(), at(0).now).await.unwrap();
    execute(
        &place.file("roster.db"),
        "INSERT INTO cases (organization, title) VALUES ('acme', 'A case')",
    )
    .await;
    let said: serde_json::Value =
        serde_json::from_str(&place.exits(&["backup", "copy.db", "-o", "json"], 0)).unwrap();
    let copy = place.file("copy.db");
    let metadata = copy.metadata().unwrap();
    let digest = said["digest"].as_str().unwrap();
    assert_eq!(
        said,
        serde_json::json!({"file": "copy.db", "accounts": 3, "sizeBytes": metadata.len(), "digest": digest})
    );
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(place.files(), ["copy.db", "roster.db", "roster.db-shm", "roster.db-wal"]);
    assert_eq!(content(&copy).await, content(&place.file("roster.db")).await);
    assert_eq!(
        place.files(),
        ["copy.db", "roster.db", "roster.db-shm", "roster.db-wal"],
        "reading it needs no other file"
    );
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_needs_a_store() {
    let place = Place::new();
    place.fails(&["backup", "copy.db"], "roster.db isn't there");
    place.store_with(&["alice"]).await.close().await;
    std::fs::write(place.file("letter"), "Dear Alice").unwrap();
    std::os::unix::fs::symlink("nowhere", place.file("link")).unwrap();
    place.fails(&["backup", "letter"], "letter is there already, and nothing is overwritten");
    place.fails(&["backup", "roster.db"], "roster.db is there already");
    place.fails(&["backup", "."], "is there already");
    place.fails(&["backup", "link"], "link");
    place.fails(&["backup", "no/folder.db"], "no: it isn't there: create it, or correct the path");
    assert_eq!(std::fs::read(place.file("letter")).unwrap(), b"Dear Alice");
    execute(
        &place.file("roster.db"),
        "UPDATE _sqlx_migrations SET version = 999 WHERE version = 1",
    )
    .await;
    place.fails(&["backup", "copy.db"], "newer roster");
    assert_eq!(place.files(), ["letter", "link", "roster.db"]);
}

#[tokio::test]
async fn a_store_that_is_damaged_has_no_backup() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    execute(&place.file("roster.db"), "DELETE FROM lifetimes").await;
    place.fails(&["backup", "copy.db"], "is damaged: a row of");
    assert_eq!(place.files(), ["roster.db"]);
}

#[tokio::test]
async fn of_two_backups_into_one_file_one_is_taken() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    let (url, file) = (place.url("roster.db"), place.file("copy.db"));
    let taken = futures::future::join_all((0..8).map(|_| backup(&url, &file))).await;
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1, "{taken:?}");
    assert_eq!(place.files(), ["copy.db", "roster.db"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_twenty_backups_under_load_is_one_state_of_the_store() {
    let place = Place::new();
    let store = place.store_with(&[]).await;
    let stop = AtomicBool::new(false);
    let writer = async {
        let mut committed = 0;
        while !stop.load(Ordering::Relaxed) {
            let three = [0, 1, 2].map(|letter| {
                plans::create(
                    &format!("u{committed}-{letter}"),
                    &format!("u{committed}-{letter}@acme.example"),
                )
            });
            assert!(store.commit(&three, at(0)).await.unwrap().iter().all(Result::is_ok));
            committed += 1;
        }
        committed
    };
    let backups = async {
        let mut before = -1;
        for number in 0..20 {
            let file = place.file(&format!("{number}.db"));
            let accounts = backup(&place.url("roster.db"), &file).await.unwrap().accounts;
            assert!(accounts >= before && accounts % 3 == 0, "{before}, then {accounts}");
            before = accounts;
            let mut copy = connect(&file).await;
            let whole: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM accounts JOIN lifetimes USING (account_id) JOIN transactions USING (transaction_id)",
            )
            .fetch_one(&mut copy)
            .await
            .unwrap();
            let begun: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lifetimes")
                .fetch_one(&mut copy)
                .await
                .unwrap();
            assert_eq!((whole, begun), (accounts, accounts));
            copy.close().await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        before
    };
    let (committed, accounts) = tokio::join!(writer, backups);
    println!("{committed} commits while 20 backups were taken; the last has {accounts} accounts");
    assert!(accounts > 0 && committed > 20);
}

/// Which of the texts stand in a file.
fn found_in<'a>(file: &std::path::Path, texts: &[&'a str]) -> Vec<&'a str> {
    let bytes = std::fs::read(file).unwrap_or_default();
    texts
        .iter()
        .filter(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        .copied()
        .collect()
}

#[tokio::test]
async fn a_backup_holds_nothing_of_whom_was_deleted_before_even_where_the_log_still_does() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    let mut gone = full_content("marvin-the-android@acme.example");
    gone.profile.display_name = "Marvin the Paranoid".to_owned();
    let marvin = account(commit(&store, create_in(plans::acme(), "marvin", gone)).await);
    let mut looking = connect(&place.file("roster.db")).await;
    let mut look = looking.begin().await.unwrap();
    sqlx::query("SELECT * FROM roster_accounts").fetch_all(&mut *look).await.unwrap();
    plans::cases_unassigned(commit(&store, delete(&marvin)).await, marvin.id);
    let texts = ["marvin-the-android", "Marvin the Paranoid"];
    let log = place.file("roster.db-wal");
    assert_eq!(found_in(&log, &texts), texts, "somebody reads, so the log can't be emptied yet");
    place.exits(&["backup", "copy.db"], 0);
    assert!(found_in(&place.file("copy.db"), &texts).is_empty());
    look.rollback().await.unwrap();
    place.exits(&["backup", "later.db"], 0);
    assert!(found_in(&log, &texts).is_empty(), "a backup empties the log, too");
}

#[tokio::test]
async fn a_backup_of_an_older_store_can_be_taken_before_it_is_brought_up() {
    let place = Place::new();
    crate::restores::older_store(&place.file("roster.db")).await;
    assert!(place.exits(&["backup", "copy.db"], 0).starts_with("copy.db has 1 accounts in "));
    SqlStore::open(&place.url("roster.db")).await.unwrap().close().await;
    place.exits(&["restore", "copy.db"], 0);
    place.exits(&["users"], 0);
}

#[tokio::test]
async fn what_a_killed_backup_left_behind_is_cleared_by_the_next() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    // A backup was killed when it had its name already, and was then moved away by that name.
    place.exits(&["backup", "copy.db"], 0);
    std::fs::hard_link(place.file("copy.db"), place.file("copy.db.partial")).unwrap();
    std::fs::rename(place.file("copy.db"), place.file("monday.db")).unwrap();
    let monday = std::fs::read(place.file("monday.db")).unwrap();
    done(commit(&store, put_domain("acme", "other.example")).await);
    place.exits(&["backup", "copy.db"], 0);
    assert_eq!(std::fs::read(place.file("monday.db")).unwrap(), monday);
    assert!(!place.file("copy.db.partial").exists());
}
