//! What a backup says of itself: whether it is what it was when it was taken.

use std::path::Path;

use roster::store::sql::SqlStore;
use roster::store::sql::backup::{DigestCheck, restore, verify};
use roster_test_support::plans::{self, account, at, commit, create_in, full_content};

use crate::{Place, connect, content, execute, users};

/// Backups with one flipped bit each.
const FLIPS: usize = 300;

/// A store with alice and bob, and its backup.
async fn with_backup() -> Place {
    let place = Place::new();
    place.store_with(&["alice", "bob"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    place
}

fn message(place: &Place, arguments: &[&str], code: i32) -> String {
    let output = place.roster(arguments);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_backup_is_proven_to_be_whole_without_any_store() {
    let place = with_backup().await;
    std::fs::remove_file(place.file("roster.db")).unwrap();
    let said = place.exits(&["backup", "--verify", "copy.db"], 0);
    assert!(
        said.starts_with("copy.db is whole: it has 2 accounts in ") && said.contains(", sha256:"),
        "{said}"
    );
    let said: serde_json::Value =
        serde_json::from_str(&place.exits(&["backup", "--verify", "copy.db", "-o", "json"], 0))
            .unwrap();
    assert_eq!((&said["accounts"], said["digest"].as_str().unwrap().len()), (&2.into(), 71));
    assert_eq!(place.files(), ["copy.db"]);
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused_unless_somebody_insists() {
    let place = with_backup().await;
    execute(
        &place.file("copy.db"),
        "UPDATE accounts SET grants = '[\"cases.write\"]' WHERE owner_name = 'bob'",
    )
    .await;
    let (was, files) = (content(&place.file("roster.db")).await, place.files());
    let said = message(&place, &["backup", "--verify", "copy.db"], 1);
    assert!(said.contains("copy.db isn't what it was when the backup was taken"), "{said}");
    place.fails(
        &["restore", "copy.db"],
        "to restore this one all the same, as far as it can be read: roster restore --accept-changed",
    );
    assert_eq!(
        (content(&place.file("roster.db")).await, place.files()),
        (was, files),
        "nothing was touched"
    );
    place.warns(
        &["restore", "copy.db", "--accept-changed"],
        "warning: copy.db isn't what its digest says",
    );
    assert_eq!(content(&place.file("roster.db")).await, content(&place.file("copy.db")).await);
}

#[tokio::test]
async fn a_backup_that_lost_its_digest_isnt_taken_for_one_that_never_had_any() {
    for damage in
        ["DROP TABLE backup_digest", "DELETE FROM backup_digest", "PRAGMA application_id = 0"]
    {
        let place = with_backup().await;
        execute(&place.file("copy.db"), damage).await;
        assert!(
            message(&place, &["backup", "--verify", "copy.db"], 1).contains("isn't what it was"),
            "{damage}"
        );
        place.fails(&["restore", "copy.db"], "copy.db isn't what it was");
    }
}

#[tokio::test]
async fn who_looks_into_a_backup_doesnt_break_it() {
    let place = with_backup().await;
    let before = std::fs::read(place.file("copy.db")).unwrap();
    let address = format!("sqlite://{}", place.file("copy.db").display());
    for arguments in [&["users"][..], &["doctor", "--store-only"]] {
        let looked = std::process::Command::new(env!("CARGO_BIN_EXE_roster"))
            .args(arguments)
            .args(["--store", &address])
            .output();
        assert_ne!(looked.unwrap().status.code(), Some(2));
    }
    assert!(
        std::fs::read(place.file("copy.db")).unwrap() != before,
        "the file is another one, as SQLite counts"
    );
    place.exits(&["backup", "--verify", "copy.db"], 0);
    place.exits(&["restore", "copy.db"], 0);
}

#[tokio::test]
async fn who_tries_a_password_at_a_backup_doesnt_break_it() {
    let place = with_backup().await;
    let address = format!("sqlite://{}", place.file("copy.db").display());
    let mut login = std::process::Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["login", "alice.acme", "--store", &address])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut login.stdin.take().unwrap(), b"wrong").unwrap();
    assert_eq!(login.wait().unwrap().code(), Some(1));
    let counted = "SELECT COUNT(*) FROM login_failures";
    let counted: i64 = sqlx::query_scalar(counted)
        .fetch_one(&mut connect(&place.file("copy.db")).await)
        .await
        .unwrap();
    assert_eq!(counted, 1);
    place.exits(&["backup", "--verify", "copy.db"], 0);
    place.exits(&["restore", "copy.db"], 0);
}

#[tokio::test]
async fn a_file_that_holds_no_store_any_more_is_damaged() {
    let place = with_backup().await;
    let whole = std::fs::read(place.file("copy.db")).unwrap();
    let zeroed: Vec<u8> = whole
        .iter()
        .enumerate()
        .map(|(number, byte)| if number < 4096 { 0 } else { *byte })
        .collect();
    let without_lifetimes = "PRAGMA foreign_keys = OFF; DROP TABLE lifetimes";
    let without_accounts = "PRAGMA foreign_keys = OFF; DROP TABLE accounts";
    for (bytes, dropped) in [
        (vec![], None),
        (zeroed, None),
        (whole.clone(), Some(without_lifetimes)),
        (whole, Some(without_accounts)),
    ] {
        let length = bytes.len();
        std::fs::write(place.file("copy.db"), bytes).unwrap();
        if let Some(statement) = dropped {
            execute(&place.file("copy.db"), statement).await;
        }
        let said = message(&place, &["backup", "--verify", "copy.db"], 1);
        let is_told = said.contains("copy.db is damaged: it holds no roster store")
            || dropped == Some(without_accounts);
        assert!(is_told, "{length} bytes without {dropped:?}: {said}");
        place.fails(&["restore", "copy.db"], "copy.db is");
    }
    message(&place, &["backup", "--verify", "absent.db"], 2);
}

#[tokio::test]
async fn a_file_without_a_digest_is_restored_with_a_warning() {
    let place = with_backup().await;
    std::fs::copy(place.file("roster.db"), place.file("raw.db")).unwrap();
    crate::restores::older_store(&place.file("old.db")).await;
    for (file, users_then) in [("raw.db", &["alice", "bob"][..]), ("old.db", &["alice"])] {
        assert!(
            message(&place, &["backup", "--verify", file], 1).contains("has no digest"),
            "{file}"
        );
        place.warns(
            &["restore", file],
            "has no digest (an earlier roster took it, or it is a copy of a store and no backup)",
        );
        assert_eq!(users(&place.file("roster.db")).await, users_then);
    }
}

#[tokio::test]
async fn a_store_that_comes_from_a_backup_is_no_backup_any_more() {
    let place = with_backup().await;
    place.exits(&["restore", "copy.db"], 0);
    assert!(!is_marked(&place.file("roster.db")).await);
    // Somebody puts a backup in place by hand.
    std::fs::rename(place.file("copy.db"), place.file("roster.db")).unwrap();
    assert!(is_marked(&place.file("roster.db")).await);
    let store = SqlStore::open(&place.url("roster.db")).await.unwrap();
    crate::add(&store, &["carol"]).await;
    store.close().await;
    assert!(!is_marked(&place.file("roster.db")).await);
    std::fs::copy(place.file("roster.db"), place.file("raw.db")).unwrap();
    place.warns(&["restore", "raw.db"], "has no digest");
    place.exits(&["backup", "second.db"], 0);
    place.exits(&["backup", "--verify", "second.db"], 0);
}

async fn is_marked(file: &Path) -> bool {
    let mut connection = connect(file).await;
    let tables: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'backup_digest'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let mark: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    assert_eq!(tables == 1, mark != 0);
    tables == 1
}

#[tokio::test]
async fn of_backups_with_one_flipped_bit_each_is_refused_or_as_it_was() {
    let place = Place::new();
    let store = place.store_with(&["alice", "bob"]).await;
    account(
        commit(&store, create_in(plans::acme(), "carol", full_content("carol@acme.example"))).await,
    );
    store.close().await;
    place.exits(&["backup", "copy.db"], 0);
    let restored = |name: &str| place.file(name);
    restore(&place.url("sound.db"), (&place.file("copy.db"), DigestCheck::Digest), at(0).now)
        .await
        .unwrap();
    let (expected, whole) =
        (content(&restored("sound.db")).await, std::fs::read(place.file("copy.db")).unwrap());
    // Half of the bits are in bytes that have something in them.
    let written: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] != 0).collect();
    let mut random = fastrand::Rng::with_seed(20_261_130);
    let (mut refused, mut same) = (0, 0);
    for flip in 0..FLIPS {
        let byte = if flip % 2 == 0 {
            random.usize(0..whole.len())
        } else {
            written[random.usize(0..written.len())]
        };
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << random.u8(0..8);
        std::fs::write(place.file("flipped.db"), &bytes).unwrap();
        let is_whole = verify(&place.file("flipped.db")).await.is_ok();
        match restore(
            &place.url("target.db"),
            (&place.file("flipped.db"), DigestCheck::Digest),
            at(0).now,
        )
        .await
        {
            Ok(_) => {
                assert!(
                    content(&restored("target.db")).await == expected,
                    "byte {byte} was restored in silence"
                );
                assert!(is_whole, "byte {byte}");
                std::fs::remove_file(restored("target.db")).unwrap();
                same += 1;
            }
            Err(_) => {
                assert!(!is_whole && !restored("target.db").exists(), "byte {byte}");
                refused += 1;
            }
        }
        assert!(!place.file("target.db.partial").exists());
    }
    println!("of {FLIPS} flipped bits {refused} were refused, {same} had no effect");
    assert!(refused > FLIPS / 4 && same > 0);
}
