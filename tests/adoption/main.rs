//! What is there already: what manifests would make of a store, and manifests of what a store or a
//! directory has.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod cluster;
mod directory;
mod import;
mod plan;
mod verdicts;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use roster::domain::account::{Account, AccountSpec, Cloned, LoginState, Source};
use roster::domain::group::GroupContent;
use roster::domain::profile::Profile;
use roster::domain::profile::SelfServiceField;
use roster::plan::{Deleting, GroupPlan, Plan};
use roster::store::Store;
use roster::store::sql::SqlStore;
use roster_test_support::cluster::{Setup, TestCluster};
use roster_test_support::plans;
use serde_json::Value;
use tempfile::TempDir;

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: false });

/// A store in a file, with the people of `acme` in it.
struct Place {
    folder: TempDir,
}

impl Place {
    /// Alice is an administrator; bob has ivan as an heir, whose heir judy is disabled; kim cloned
    /// bob; mary is a mechanic.
    async fn filled() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let store = SqlStore::open(&place.url("rwc")).await.unwrap();
        let mechanics = GroupContent {
            permissions: plans::permissions(&["trucks:repair"]),
            self_service: [SelfServiceField::Phone].into(),
            ..GroupContent::default()
        };
        let (namespace, name, leaving) =
            ("acme".to_owned(), "mechanics".to_owned(), Deleting::default());
        let group = Plan::Group(GroupPlan::Put { namespace, name, content: mechanics, leaving });
        let domain = plans::put_domain("acme", "acme.example");
        let people = people().map(|(name, content)| plans::create_in(plans::acme(), name, content));
        for plan in [domain, group].into_iter().chain(people) {
            plans::commit(&store, plan).await.unwrap();
        }
        store.close().await;
        place
    }

    fn url(&self, mode: &str) -> String {
        format!("sqlite://{}?mode={mode}", self.folder.path().join("roster.db").display())
    }

    async fn store(&self) -> SqlStore {
        SqlStore::open(&self.url("rw")).await.unwrap()
    }

    async fn accounts(&self) -> Vec<Account> {
        let store = self.store().await;
        let accounts = store.list(None).await.unwrap();
        store.close().await;
        accounts
    }

    /// Runs the binary on the store, with this on its standard input.
    fn roster(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args(arguments).args(["--store", &self.url("rw")]).current_dir(self.folder.path());
        command.env_remove("KUBECONFIG").env("HOME", self.folder.path());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever reads nothing of it has ended.
        _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Expects an exit code, and returns standard output.
    #[track_caller]
    fn exits(&self, arguments: &[&str], stdin: &str, code: i32) -> String {
        let output = self.roster(arguments, stdin);
        let (said, message) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{said}{message}");
        said
    }

    /// Expects a fault, and a text in its message.
    #[track_caller]
    fn fails(&self, arguments: &[&str], stdin: &str, text: &str) {
        let output = self.roster(arguments, stdin);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{message}");
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    }

    /// What becomes of manifests, in the words of a program.
    #[track_caller]
    fn planned(&self, manifests: &str, code: i32) -> Value {
        serde_json::from_str(&self.exits(
            &["plan", "-n", "acme", "-o", "json", "-f", "-"],
            manifests,
            code,
        ))
        .unwrap()
    }
}

fn people() -> [(&'static str, AccountSpec); 6] {
    let inherits = |from: &str| Some(Source::Inherited { from: from.to_owned(), kept: None });
    let cloned = Cloned {
        from: "bob".to_owned(),
        uid: "uid of bob".to_owned(),
        generation: 1,
        permissions: plans::permissions(&["orders:read"]),
    };
    let with = |name: &str, edit: &dyn Fn(&mut AccountSpec)| {
        let mut content = plans::content(&format!("{name}@acme.example"));
        edit(&mut content);
        content
    };
    let profile = Profile {
        display_name: "Bob Jones".to_owned(),
        phone: Some("+1 602 555 0100".to_owned()),
        ..Profile::default()
    };
    [
        ("alice", with("alice", &|alice| "administrators".clone_into(&mut alice.group))),
        (
            "bob",
            with("bob", &|bob| {
                bob.grants = plans::permissions(&["orders:read", "orders:write"]);
                (bob.role, bob.teams) =
                    (Some("Accountant".to_owned()), ["back-office".to_owned()].into());
                bob.profile = profile.clone();
            }),
        ),
        ("ivan", with("ivan", &|ivan| ivan.source = inherits("bob"))),
        (
            "judy",
            with("judy", &|judy| {
                (judy.source, judy.lifecycle) = (inherits("ivan"), LoginState::Disabled)
            }),
        ),
        ("kim", with("kim", &|kim| kim.source = Some(Source::Cloned(cloned.clone())))),
        ("mary", with("mary", &|mary| "mechanics".clone_into(&mut mary.group))),
    ]
}
