//! What the system refuses: each message says what is wrong with which file, and what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::{Place, content, users};

/// Rights for everybody, so that another user may go there.
fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the binary through a shell that limits it first. Root keeps its name and loses the right to
/// ignore others' rights.
fn limited(place: &Place, limits: &str, arguments: &str) -> Output {
    let (roster, store) = (env!("CARGO_BIN_EXE_roster"), place.url("roster.db"));
    let as_nobody_special = r#"[ "$(id -u)" = 0 ] && drop="setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search --""#;
    let script =
        format!("{as_nobody_special}; {limits} exec $drop {roster} {arguments} --store '{store}'");
    Command::new("sh").args(["-c", &script]).current_dir(place.folder.path()).output().unwrap()
}

#[track_caller]
fn says(output: &Output, texts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for text in texts {
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    }
}

async fn with_backup() -> Place {
    let place = Place::new();
    place.store_with(&["alice", "bob"]).await.close().await;
    place.exits(&["backup", "copy.db"], 0);
    place
}

#[tokio::test]
async fn a_copy_that_finds_no_room_says_so_and_leaves_nothing() {
    let place = with_backup().await;
    let before = content(&place.file("roster.db")).await;
    // The kernel refuses to write more, as on a full disk; a process that ignores the signal is
    // told so.
    let no_room = "trap '' XFSZ; ulimit -f 64;";
    let room = "the disk is full, a quota or a limit of the size of files (ulimit -f) is reached";
    says(&limited(&place, no_room, "backup second.db"), &["second.db.partial", room]);
    says(&limited(&place, no_room, "restore copy.db"), &["roster.db.partial", room]);
    assert_eq!(place.files(), ["copy.db", "roster.db"]);
    assert_eq!(content(&place.file("roster.db")).await, before);
}

#[tokio::test]
async fn an_answer_that_finds_no_room_says_so() {
    let place = with_backup().await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command(&["users"]).stdout(full).output().unwrap();
    says(&output, &["standard output can't be written to: the disk is full"]);
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_to_is_named() {
    let place = with_backup().await;
    std::fs::create_dir(place.file("kept")).unwrap();
    allow(&place.file("kept"), 0o555);
    says(
        &limited(&place, "", "backup kept/second.db"),
        &["kept/second.db.partial", "this user lacks the right"],
    );
    allow(place.folder.path(), 0o555);
    says(&limited(&place, "", "restore copy.db"), &["this user lacks the right"]);
    allow(place.folder.path(), 0o755);
    assert_eq!(users(&place.file("roster.db")).await, ["alice", "bob"]);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_named() {
    let place = with_backup().await;
    allow(&place.file("copy.db"), 0);
    says(
        &limited(&place, "", "restore copy.db"),
        &["copy.db: it can't be opened", "this user lacks the right to read"],
    );
    says(&limited(&place, "", "backup --verify copy.db"), &["copy.db: it can't be opened"]);
    allow(&place.file("roster.db"), 0);
    says(&limited(&place, "", "backup second.db"), &["roster.db: it can't be opened"]);
    says(
        &limited(&place, "", "users"),
        &["it can't be opened: ", "this user lacks the right to read"],
    );
    assert_eq!(place.files(), ["copy.db", "roster.db"]);
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_file_is_said_to_be_one() {
    let place = with_backup().await;
    std::fs::create_dir(place.file("folder")).unwrap();
    place.fails(&["backup", "folder"], "folder is there already");
    place.fails(&["restore", "folder"], "folder is a folder: name a file");
    place.fails(&["backup", "--verify", "folder"], "folder is a folder: name a file");
    std::fs::rename(place.file("roster.db"), place.file("aside.db")).unwrap();
    std::fs::create_dir(place.file("roster.db")).unwrap();
    place.fails(&["users"], "roster.db is a folder: name a file");
    place.fails(&["restore", "copy.db"], "roster.db is a folder: name a file");
}

#[tokio::test]
async fn a_folder_that_isnt_there_is_named() {
    let place = with_backup().await;
    place.fails(&["backup", "no/second.db"], "no: it isn't there: create it, or correct the path");
    place.fails(&["restore", "no/copy.db"], "no: it isn't there");
    place.fails(
        &["backup", "copy.db/second.db"],
        "copy.db/second.db.partial: a part of the path isn't a folder",
    );
    let nowhere = place.url("no/roster.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(["restore", "copy.db", "--store", &nowhere]).current_dir(place.folder.path());
    says(&command.output().unwrap(), &["no: it isn't there: create it"]);
}
