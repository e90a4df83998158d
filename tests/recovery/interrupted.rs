//! What SIGKILL leaves, at whatever moment it comes.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use roster::store::sql::SqlStore;

use crate::{Place, add, content, users};

/// How many times something is killed, at moments spread over the time that it takes.
const KILLS: u32 = 60;

/// Returns how long the command takes when nobody kills it.
fn duration(place: &Place, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    place.exits(arguments, 0);
    begun.elapsed()
}

fn kill_after(place: &Place, arguments: &[&str], delay: Duration) {
    let mut child =
        place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The moment is the point: nothing can be waited for.
    let until = Instant::now() + delay;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A store with bob in its log only, as a killed operator leaves it, and a backup with alice.
async fn as_sigkill_leaves_it(place: &Place) {
    let work = Place::new();
    let store = work.store_with(&["alice"]).await;
    work.exits(&["backup", "copy.db"], 0);
    add(&store, &["bob"]).await;
    for name in ["copy.db", "roster.db", "roster.db-wal", "roster.db-shm"] {
        std::fs::copy(work.file(name), place.file(name)).unwrap();
    }
    store.close().await;
}

async fn opens(file: &Path) {
    let store = SqlStore::open(&format!("sqlite://{}", file.display())).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_the_store_as_it_was_or_as_it_is_to_be() {
    let sample = Place::new();
    as_sigkill_leaves_it(&sample).await;
    let whole = duration(&sample, &["restore", "copy.db"]);
    let (mut former, mut restored, mut links) = (0, 0, 0);
    for kill in 0..KILLS {
        let place = Place::new();
        as_sigkill_leaves_it(&place).await;
        kill_after(&place, &["restore", "copy.db"], whole * kill / (KILLS * 5 / 6));
        let kept = place.kept();
        links += usize::from(!kept.is_empty());
        opens(&place.file("roster.db")).await;
        match users(&place.file("roster.db")).await.as_slice() {
            [alice, bob] if alice == "alice" && bob == "bob" => former += 1,
            [alice] if alice == "alice" => {
                restored += 1;
                assert_eq!(
                    users(&place.file(&kept[0])).await,
                    ["alice", "bob"],
                    "what was there before is kept"
                );
            }
            other => panic!("after {kill} of {KILLS}: {other:?}"),
        }
        let saved = content(&place.file("copy.db")).await;
        place.exits(&["restore", "copy.db"], 0);
        assert_eq!(content(&place.file("roster.db")).await, saved);
        assert!(!place.file("roster.db.partial").exists());
    }
    println!(
        "{KILLS} kills within {whole:?} and a bit: {former} left the former store, {restored} the restored one, {links} a link"
    );
    assert!(former > 0);
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_no_file_of_that_name_or_a_whole_one() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    let whole = duration(&place, &["backup", "sample.db"]);
    let expected = content(&place.file("sample.db")).await;
    let (mut none, mut some) = (0, 0);
    for kill in 0..KILLS {
        kill_after(&place, &["backup", "copy.db"], whole * kill / (KILLS * 5 / 6));
        if place.file("copy.db").exists() {
            some += 1;
            assert_eq!(content(&place.file("copy.db")).await, expected);
            std::fs::remove_file(place.file("copy.db")).unwrap();
        } else {
            none += 1;
        }
    }
    println!("{KILLS} kills within {whole:?} and a bit: {none} left no backup, {some} a whole one");
    place.exits(&["backup", "copy.db"], 0);
    assert_eq!(
        place.files(),
        ["copy.db", "roster.db", "roster.db-shm", "roster.db-wal", "sample.db"]
    );
    store.close().await;
}
