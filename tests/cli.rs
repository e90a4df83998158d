//! The command line without a cluster: what it prints, and how it fails.

use std::process::{Command, Output};

fn roster(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roster")).args(arguments).output().expect("the binary runs")
}

/// Expects a fault: exit code 2, nothing on standard output, and a text in the message.
#[track_caller]
fn check_fault(arguments: &[&str], text: &str) {
    let output = roster(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.contains(text), "{text:?} isn't in: {message}");
}

#[test]
fn crds_are_printed_as_yaml_documents_or_written_one_file_each() {
    let printed = String::from_utf8(roster(&["crds"]).stdout).expect("YAML is text");
    let folder = tempfile::tempdir().expect("a folder");
    assert!(roster(&["crds", folder.path().to_str().expect("a path")]).status.success());
    let mut together = String::new();
    for file in ["users.yaml", "usergroups.yaml", "orgemaildomains.yaml"] {
        together += "---\n";
        together += &std::fs::read_to_string(folder.path().join(file)).expect("it was written");
    }
    assert_eq!(printed, together);
}

#[test]
fn a_fault_says_what_is_wrong_and_never_creates_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("missing.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    check_fault(&["users", "--store", &url], "missing.db");
    assert!(!file.exists());
    check_fault(&["users", "--store", "mysql://localhost/x"], "sqlite://");
    check_fault(&["crds", "/nowhere/at/all"], "/nowhere/at/all");
    check_fault(&["users", "--clock-offset", "soon"], "10m");
    check_fault(&["run", "--resync", "0s"], "more than nothing");
    check_fault(&["run", "--namespace", ""], "DNS label");
    check_fault(&["frobnicate"], "frobnicate");
}
