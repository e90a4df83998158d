//! What every subcommand prints, kept word by word in `tests/golden`: a change of a help text or a
//! table shows in review. `ROSTER_WRITE_GOLDEN=1` writes the files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use regex::Regex;
use roster::domain::account::TransactionKind;
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{CommitTime, Receipt, Store};
use roster_test_support::plans;

use super::{Filled, roster};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// Expects a text to be the one that is kept under a name.
#[track_caller]
fn check_golden(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    if std::env::var_os("ROSTER_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(folder()).expect("a folder");
        std::fs::write(&path, text).expect("it is written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "tests/golden/{name}.txt differs (ROSTER_WRITE_GOLDEN=1 writes it):\n{}",
        diff(&kept, text)
    );
}

/// Returns the lines of two texts, those of the first alone after a `-`, of the second after a `+`.
fn diff(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    // common[i][j] is how many lines before[i..] and after[j..] have in common.
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            common[i][j] = if before[i] == after[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < before.len() || j < after.len() {
        let (sign, line) = if i < before.len() && j < after.len() && before[i] == after[j] {
            (i, j) = (i + 1, j + 1);
            (' ', before[i - 1])
        } else if j == after.len() || (i < before.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', before[i - 1])
        } else {
            j += 1;
            ('+', after[j - 1])
        };
        let _ = writeln!(text, "{sign} {line}");
    }
    text
}

/// Runs roster and returns the command and what it printed, ids and digests left out.
fn transcript(shown: &[&str], hidden: &[&str]) -> String {
    let output = roster(&[shown, hidden].concat());
    let mut text = format!("$ roster {}\n", shown.join(" "));
    text += &String::from_utf8_lossy(&output.stdout);
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let _ = writeln!(text, "stderr: {line}");
    }
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        let _ = writeln!(text, "exit status: {code}");
    }
    let varying = [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"sha256:[0-9a-f]+", "sha256:DIGEST"),
        (r"in \d+ bytes", "in N bytes"),
        (r"before-restore-\S+Z", "before-restore-TIME"),
        (r"/\S*/\.tmp[A-Za-z0-9]+/", "FOLDER/"),
    ];
    varying.iter().fold(text, |text, (pattern, name)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *name).into_owned()
    })
}

fn commands(of: &clap::Command, path: &[String]) -> Vec<Vec<String>> {
    let below = of
        .get_subcommands()
        .flat_map(|command| commands(command, &[path, &[command.get_name().to_owned()]].concat()));
    std::iter::once(path.to_vec()).chain(below).collect()
}

#[test]
fn every_help_text_is_the_one_that_is_kept() {
    let mut names = BTreeSet::new();
    for path in commands(&roster::cli::command(), &[]) {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let text = transcript(&arguments, &[]);
        assert!(path == ["billing"] || text.contains("\nExamples:\n  # "), "{text}");
        let name = [&["help".to_owned()], &*path].concat().join("-");
        check_golden(&name, &text);
        names.insert(format!("{name}.txt"));
    }
    let kept = std::fs::read_dir(folder())
        .expect("the folder")
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let kept: BTreeSet<String> = kept.filter(|name| name.starts_with("help")).collect();
    assert_eq!(kept, names, "a kept help text has no command any more");
}

#[test]
fn help_texts_use_the_words_of_the_glossary() {
    let old = Regex::new(
        r"(?i)\b(whoever|whatever|somebody|nobody|told|tells?|says?|said|looks? at|amiss|brings?|brought|untold|pipeline|courier|world)\b",
    )
    .expect("a pattern");
    for file in std::fs::read_dir(folder()).expect("the folder") {
        let file = file.expect("a file").path();
        let text = std::fs::read_to_string(&file).expect("a text");
        let is_help =
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("help"));
        let found = old.find(&text).filter(|_| is_help);
        assert_eq!(found.map(|found| found.as_str()), None, "{}", file.display());
    }
}

#[test]
fn every_table_is_the_one_that_is_kept() {
    let filled = Filled::new();
    let hidden = ["--store", &*filled.url];
    for (name, arguments) in [
        ("users", &["users"] as &[&str]),
        ("users-wide", &["users", "-n", "acme", "-o", "wide"]),
        ("users-csv", &["users", "-A", "-o", "csv"]),
        ("users-name", &["users", "-o", "name"]),
        ("users-none", &["users", "-n", "apex"]),
        ("why", &["why", "-n", "acme", "judy", "orders:read"]),
        ("why-not", &["why", "-n", "acme", "mary", "orders:read"]),
        ("copy", &["copy", "-n", "acme", "bob", "nora"]),
        ("import", &["import", "--all"]),
        ("password-policy", &["password-policy"]),
    ] {
        let hidden = if name == "password-policy" { &[] as &[&str] } else { &hidden };
        check_golden(name, &transcript(arguments, hidden));
    }
}

#[test]
fn a_plan_is_printed_as_it_is_kept() {
    let filled = Filled::new();
    let manifests = r#"
{apiVersion: roster.rs/v1alpha1, kind: User, metadata: {name: nora}, spec: {email: nora@acme.example, chargeApproved: true, profile: {displayName: 山田 Nora}, permissions: {grants: ["orders:read"]}}}
---
{apiVersion: roster.rs/v1alpha1, kind: User, metadata: {name: bob}, spec: {email: bob@acme.example, chargeApproved: true, profile: {displayName: Bob Jones}, role: Accountant, permissions: {grants: ["orders:write"]}}}
---
{apiVersion: roster.rs/v1alpha1, kind: User, metadata: {name: oscar}, spec: {email: oscar@elsewhere.example, chargeApproved: true, profile: {displayName: Oscar}}}
---
{apiVersion: roster.rs/v1alpha1, kind: User, metadata: {name: pat}, spec: {email: pat, chargeApproved: true}}
---
{apiVersion: roster.rs/v1alpha1, kind: UserGroup, metadata: {name: mechanics}, spec: {permissions: ["trucks:repair"], selfService: [Phone, Address]}}
"#;
    let file = filled.folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(["plan", "-n", "acme", "-f", "manifests.yaml", "--store", &filled.url]);
    let output = command.current_dir(filled.folder.path()).output().expect("the binary runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stdout);
    check_golden("plan", &format!("$ roster plan -n acme -f manifests.yaml\n{printed}"));
}

#[test]
fn a_backup_and_a_restore_are_printed_as_they_are_kept() {
    let filled = Filled::new();
    let file = filled.folder.path().join("copy.db");
    let file = file.to_str().expect("a path");
    let hidden = ["--store", &*filled.url];
    let text = [
        transcript(&["backup", file], &hidden),
        transcript(&["backup", "--verify", file], &[]),
        transcript(&["restore", file], &hidden),
        transcript(&["backup", file], &hidden),
    ];
    check_golden("backup", &text.join("\n"));
}

/// A store with one month of accounts, long ago.
fn billed(folder: &tempfile::TempDir) -> String {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = SqlStore::open(&url).await.expect("a store");
        let time = |text: &str| text.parse().expect("an instant");
        let commit = async |plan: Plan, now: &str| {
            let at = CommitTime { now: time(now), deadline: time(now) };
            match store.commit(&[plan], at).await.expect("it is committed").remove(0) {
                Ok(Receipt::Account(account)) => Some(*account),
                _ => None,
            }
        };
        let zone = "America/Phoenix".parse().expect("a zone");
        store.close_months(&zone, time("2020-01-01T00:00:00Z")).await.expect("a zone");
        plans::commit(&store, plans::put_domain("acme", "acme.example")).await.expect("a domain");
        let born = async |name: &str, now: &str| {
            let plan = plans::create(name, &format!("{name}@acme.example"));
            commit(plan, now).await.expect("an account")
        };
        born("alice", "2025-01-15T12:00:00Z").await;
        let bob = born("bob", "2025-03-01T07:00:00Z").await;
        let carol = born("carol", "2025-03-10T12:00:00Z").await;
        commit(plans::switch(&bob, TransactionKind::Disable), "2025-03-20T12:00:00Z").await;
        commit(plans::delete(&carol), "2025-03-25T12:00:00Z").await;
        store.close().await;
    });
    url
}

#[test]
fn a_bill_is_printed_as_it_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = billed(&folder);
    let report = ["billing", "report", "--month", "2025-03"];
    let print = |more: &[&str]| transcript(&[&report, more].concat(), &["--store", &url]);
    check_golden("billing-report", &print(&[]));
    check_golden("billing-report-csv", &print(&["-n", "acme", "-o", "csv"]));
    check_golden("billing-report-json", &print(&["-A", "-o", "json"]));
}

#[test]
fn a_difference_is_shown_by_lines() {
    assert_eq!(diff("a\nb\nc\n", "a\nx\nc\nd\n"), "  a\n- b\n+ x\n  c\n+ d\n");
}
