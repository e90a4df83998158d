//! Options: where the store is named, older names, and what doesn't belong to a subcommand.

use std::process::{Command, Output};

use super::{Filled, check_fault, roster};

/// Runs roster in the folder of the store, without `--store`.
fn in_folder(filled: &Filled, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(arguments).current_dir(filled.folder.path()).env_remove("ROSTER_STORE");
    command.envs(environment.iter().copied()).output().expect("the binary runs")
}

#[track_caller]
fn check_output(output: &Output, code: i32, text: &str) {
    let (printed, message) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{printed}{message}");
    assert!(printed.contains(text) || message.contains(text), "{text:?}: {printed}{message}");
}

#[test]
fn the_store_is_named_by_an_option_the_environment_or_a_file() {
    let filled = Filled::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let run = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args(arguments).current_dir(elsewhere.path()).env_remove("ROSTER_STORE");
        command.envs(environment.iter().copied()).output().expect("the binary runs")
    };
    for text in ["--store URL", "ROSTER_STORE", "roster.toml", "no file roster.db"] {
        check_output(&run(&[], &["users"]), 2, text);
    }
    let nothing = elsewhere.path().read_dir().expect("the folder").next().is_none();
    assert!(nothing, "looking for a store creates none");
    check_output(&run(&[("ROSTER_STORE", &filled.url)], &["users"]), 0, "mary@acme.example");
    check_output(&run(&[], &["users", "--store", &filled.url]), 0, "mary@acme.example");
    check_output(&run(&[], &["--store", &filled.url, "users"]), 0, "mary@acme.example");
    let config = elsewhere.path().join("roster.toml");
    std::fs::write(&config, format!("store = {:?}\n", filled.url)).expect("a file");
    check_output(&run(&[], &["users"]), 0, "mary@acme.example");
    check_output(&run(&[("ROSTER_STORE", "sqlite://gone.db")], &["users"]), 2, "gone.db");
    std::fs::write(&config, "stores = 'x'\n").expect("a file");
    check_output(&run(&[], &["users"]), 2, "roster.toml: unknown field");
    check_output(&in_folder(&filled, &[], &["users"]), 0, "mary@acme.example");
}

#[test]
fn an_option_is_only_where_it_does_something() {
    for command in ["crds", "password-policy", "completion"] {
        check_fault(&[command, "--store", "sqlite://x.db"], "unexpected argument '--store'");
        check_fault(&["--store", "sqlite://x.db", command], "unexpected argument '--store'");
    }
    for command in ["why", "copy", "backup"] {
        check_fault(&[command, "--clock-offset", "+1d"], "unexpected argument '--clock-offset'");
    }
    check_fault(&["users", "-A", "-n", "acme"], "cannot be used with");
}

#[test]
fn the_namespace_has_one_option_everywhere_and_its_former_name() {
    let filled = Filled::new();
    for option in ["-n", "--namespace", "--organization"] {
        for (arguments, text) in [
            (&["users"] as &[&str], "mary@acme.example"),
            (&["why", "mary", "trucks:repair"], "in the group mechanics"),
            (&["copy", "bob", "nora"], "name: nora"),
            (&["import", "--all"], "mary@acme.example"),
            (&["doctor", "--store-only", "-o", "json"], "\"accounts\": 6"),
        ] {
            let output = filled.roster(&[arguments, &[option, "acme"]].concat());
            let printed = String::from_utf8_lossy(&output.stdout);
            assert!(printed.contains(text), "{arguments:?} {option}: {printed}");
        }
    }
    filled.check(&["users", "--organization", "apex", "-o", "json"], 0, "[]\n");
}

#[test]
fn each_account_is_named_as_kubectl_names_its_user() {
    let names = ["alice", "bob", "ivan", "judy", "kim", "mary"];
    let lines: String = names.iter().map(|name| format!("user.roster.rs/{name}\n")).collect();
    let output = Filled::new().roster(&["users", "-o", "name"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), lines);
}

#[test]
fn every_shell_has_a_completion_that_knows_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(roster(&["completion", shell]).stdout).expect("a text");
        for text in ["password-policy", "accept-changed", "namespace"] {
            assert!(script.contains(text), "{shell} doesn't complete {text}");
        }
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("new/man1");
    assert!(roster(&["man", pages.to_str().expect("a path")]).status.success());
    for command in roster::cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
        let page = pages.join(format!("roster-{}.1", command.get_name()));
        let page = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    for arguments in [&["--help"] as &[&str], &["frobnicate"], &["plan", "--help"]] {
        let output = roster(arguments);
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.contains(&0x1b), "{}", String::from_utf8_lossy(&all));
    }
}
