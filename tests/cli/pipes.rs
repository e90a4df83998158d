//! Backups through pipes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::Filled;

/// Runs roster with bytes on standard input and a folder of its own for temporary files.
fn piped(filled: &Filled, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(arguments).env("TMPDIR", filled.folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A roster that refuses the arguments doesn't read.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn a_backup_goes_through_pipes_and_leaves_nothing_behind() {
    let filled = Filled::new();
    let taken = piped(&filled, &["backup", "-", "--store", &filled.url], b"");
    let message = String::from_utf8_lossy(&taken.stderr);
    assert_eq!(taken.status.code(), Some(0), "{message}");
    assert!(message.starts_with("standard output has 6 accounts in "), "{message}");
    assert!(taken.stdout.starts_with(b"SQLite format 3\0"));

    let verified = piped(&filled, &["backup", "--verify", "-"], &taken.stdout);
    let printed = String::from_utf8_lossy(&verified.stdout);
    assert!(printed.starts_with("standard input is whole: it has 6 accounts in "), "{printed}");

    let url = format!("sqlite://{}?mode=rwc", filled.folder.path().join("new.db").display());
    let restored = piped(&filled, &["restore", "-", "--store", &url], &taken.stdout);
    let printed = String::from_utf8_lossy(&restored.stdout);
    assert_eq!(printed, "the store has 6 accounts; nothing was there before\n");
    assert_eq!(names(filled.folder.path()), ["new.db", "roster.db"]);
}

#[test]
fn a_damaged_backup_in_a_pipe_is_named_as_standard_input() {
    let filled = Filled::new();
    let mut bytes = piped(&filled, &["backup", "-", "--store", &filled.url], b"").stdout;
    let at = bytes.windows(4).position(|window| window == b"mary").expect("her name");
    bytes[at] = b'M';
    for (arguments, code) in [
        (&["backup", "--verify", "-"] as &[&str], 1),
        (&["restore", "-", "--store", &filled.url], 2),
    ] {
        let refused = piped(&filled, arguments, &bytes);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{message}");
        assert!(message.starts_with("roster: standard input "), "{message}");
        assert!(refused.stdout.is_empty());
    }
    let nothing = piped(&filled, &["backup", "--verify", "-"], b"");
    assert_eq!(nothing.status.code(), Some(1), "{}", String::from_utf8_lossy(&nothing.stderr));
    assert_eq!(names(filled.folder.path()), ["roster.db"]);
}
