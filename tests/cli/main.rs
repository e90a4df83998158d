//! The command line without a cluster: what it prints, and how it fails.

mod golden;
mod options;
mod pipes;

use std::process::{Command, Output};

use roster::api::User;
use roster::domain::account::{AccountSpec, Cloned, LoginState, Source};
use roster::domain::group::GroupContent;
use roster::domain::profile::SelfServiceField;
use roster::domain::profile::{PostalAddress, Profile};
use roster::plan::{Deleting, GroupPlan, Plan};
use roster::store::Store;
use roster::store::sql::SqlStore;
use roster_test_support::plans;
use serde_json::{Value, json};
use tempfile::TempDir;

fn roster(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    // A help text shows what the environment has.
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROSTER_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the binary runs")
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

/// A store in a file, with the people of `acme` in it.
struct Filled {
    folder: TempDir,
    url: String,
}

impl Filled {
    /// Bob has two heirs in a line, ivan and judy, and kim cloned him; mary's group lets her change
    /// her phone.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
        let group = GroupContent {
            permissions: plans::permissions(&["trucks:repair"]),
            self_service: [SelfServiceField::Phone, SelfServiceField::Address].into(),
            ..GroupContent::default()
        };
        let (namespace, name, leaving) =
            ("acme".to_owned(), "mechanics".to_owned(), Deleting::default());
        let group = Plan::Group(GroupPlan::Put { namespace, name, content: group, leaving });
        let everything = [plans::put_domain("acme", "acme.example"), group]
            .into_iter()
            .chain(people().map(|(name, content)| plans::create_in(plans::acme(), name, content)));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let store = SqlStore::open(&url).await.expect("a store");
            for plan in everything {
                plans::commit(&store, plan).await.expect("it is committed");
            }
            assert_eq!(store.list(None).await.expect("accounts").len(), people().len());
            store.close().await;
        });
        Self { folder, url }
    }

    fn roster(&self, arguments: &[&str]) -> Output {
        roster(&[arguments, &["--store", &self.url]].concat())
    }

    /// Expects an exit code, and a text on standard output.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, text: &str) {
        let output = self.roster(arguments);
        let (said, message) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}{message}");
        assert!(said.contains(text), "{text:?} isn't in: {said}");
    }

    #[track_caller]
    fn check_fault(&self, arguments: &[&str], text: &str) {
        check_fault(&[arguments, &["--store", &self.url]].concat(), text);
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.roster(&[arguments, &["-o", "json"]].concat()).stdout)
            .expect("JSON")
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
    let address = PostalAddress {
        street: vec!["1 Main Street".to_owned()],
        country: Some("US".to_owned()),
        ..PostalAddress::default()
    };
    let profile = Profile {
        display_name: "Bob Jones".to_owned(),
        phone: Some("+1 602 555 0100".to_owned()),
        address: Some(address),
        ..Profile::default()
    };
    let with = |address: &str, edit: &dyn Fn(&mut AccountSpec)| {
        let mut content = plans::content(address);
        edit(&mut content);
        content
    };
    [
        (
            "alice",
            with("alice@acme.example", &|alice| "administrators".clone_into(&mut alice.group)),
        ),
        (
            "bob",
            with("bob@acme.example", &|bob| {
                bob.grants = plans::permissions(&["orders:read"]);
                (bob.role, bob.teams) =
                    (Some("Accountant".to_owned()), ["back-office".to_owned()].into());
                bob.profile = profile.clone();
            }),
        ),
        ("ivan", with("ivan@acme.example", &|ivan| ivan.source = inherits("bob"))),
        (
            "judy",
            with("judy@acme.example", &|judy| {
                (judy.source, judy.lifecycle) = (inherits("ivan"), LoginState::Disabled)
            }),
        ),
        ("kim", with("kim@acme.example", &|kim| kim.source = Some(Source::Cloned(cloned.clone())))),
        ("mary", with("mary@acme.example", &|mary| "mechanics".clone_into(&mut mary.group))),
    ]
}

#[test]
fn users_are_listed_with_what_they_inherit_and_what_they_may_change_themselves() {
    let filled = Filled::new();
    let accounts = filled.json(&["users"]);
    let fields: Vec<&String> = accounts[0].as_object().expect("an account").keys().collect();
    let mut promised = [
        "organization",
        "user",
        "loginName",
        "email",
        "state",
        "group",
        "role",
        "teams",
        "profile",
        "permissions",
        "selfService",
        "inTransaction",
    ];
    promised.sort_unstable();
    assert_eq!(fields, promised);
    let judy = json!({
        "organization": "acme", "user": "judy", "loginName": "judy.acme", "email": "judy@acme.example", "state": "Disabled", "group": "users",
        "role": null, "teams": [], "profile": {"displayName": "Alice Smith"}, "permissions": ["orders:read"], "selfService": [],
        "inTransaction": false,
    });
    assert_eq!(accounts[3], judy);
    assert_eq!(accounts[5]["selfService"], json!(["Address", "Phone"]));
    filled.check(
        &["users"],
        0,
        "\nmary    mary@acme.example    acme           mary.acme    Enabled    mechanics        <none>       trucks:repair\n",
    );
}

#[test]
fn why_names_the_way_of_a_permission_and_exits_with_0_where_there_is_one() {
    let filled = Filled::new();
    let judy = "judy of acme holds orders:read:\n  judy -> ivan -> bob, listed by bob\nNote: judy is disabled";
    filled.check(&["why", "-n", "acme", "judy", "orders:read"], 0, judy);
    filled.check(
        &["why", "--namespace", "acme", "mary", "trucks:repair"],
        0,
        "mary, in the group mechanics, which lists it\n",
    );
    filled.check(
        &["why", "-n", "acme", "alice", "orders:read"],
        0,
        "administrators, which has full control: * allows everything\n",
    );
    filled.check(&["why", "-n", "acme", "alice", "*"], 0, "full control");
    filled.check(&["why", "-n", "acme", "kim", "orders:read", "-o", "yaml"], 0, "how: Cloned\n");
    assert_eq!(
        filled.json(&["why", "-n", "acme", "kim", "orders:read"]),
        json!({
            "organization": "acme", "user": "kim", "permission": "orders:read", "held": true,
            "paths": [{
                "users": ["kim"], "how": "Cloned", "from": "bob", "uid": "uid of bob", "generation": 1,
                "cloneTime": "2027-01-15T08:00:00Z",
            }],
            "whyNot": [], "cures": [], "notes": [],
        })
    );
}

#[test]
fn why_says_what_is_missing_and_exits_with_1_and_with_2_where_it_cant_tell() {
    let filled = Filled::new();
    filled.check(&["why", "-n", "acme", "kim", "orders:write"], 1, "who didn't hold it then\n");
    filled.check(
        &["why", "-n", "acme", "ivan", "orders:write"],
        1,
        "orders:write in spec.permissions.grants of ivan or bob\n",
    );
    filled.check(&["why", "-n", "acme", "bob", "*"], 1, "the group users has no full control");
    let missing = filled.json(&["why", "-n", "acme", "ivan", "orders:write"]);
    assert_eq!(
        (&missing["held"], missing["whyNot"].as_array().map(Vec::len)),
        (&json!(false), Some(3))
    );
    filled.check_fault(
        &["why", "-n", "acme", "nobody", "orders:read"],
        "no User nobody of acme has an account",
    );
    filled.check_fault(
        &["why", "-n", "acme", "bob.acme", "orders:read"],
        "that account's User is bob",
    );
    filled.check_fault(
        &["why", "-n", "apex", "bob", "orders:read"],
        "no accounts of an organization apex",
    );
    filled.check_fault(
        &["why", "-n", "acme", "bob", "Orders"],
        "lower-case words joined by colons, such as orders:read",
    );
    filled.check_fault(&["why", "-n", "acme", "bob", &"a".repeat(126)], "at most 125 characters");
    filled.check_fault(&["why", "bob", "orders:read"], "--namespace");
}

#[test]
fn a_copy_has_the_profile_the_role_and_the_teams_and_nothing_else() {
    let filled = Filled::new();
    let output =
        filled.roster(&["copy", "-n", "acme", "bob", "nora", "--email", "Nora@acme.example"]);
    let printed = String::from_utf8(output.stdout).expect("YAML is text");
    assert_eq!(
        printed,
        "# A copy of the User bob: the profile, role and teams that its account has now.\n\
         # Permissions, group and password aren't copied.\n\
         apiVersion: roster.rs/v1alpha1\n\
         kind: User\n\
         metadata:\n  \
           name: nora\n  \
           namespace: acme\n\
         spec:\n  \
           email: Nora@acme.example\n  \
           profile:\n    \
             displayName: Bob Jones\n    \
             phone: +1 602 555 0100\n    \
             address:\n      \
               street:\n      \
               - 1 Main Street\n      \
               country: US\n  \
           role: Accountant\n  \
           teams:\n  \
           - back-office\n  \
           # An additional charge applies for every calendar month in which the account exists, also while\n  \
           # it is disabled. No account is created before the charge is approved, by removing the # here:\n  \
           # chargeApproved: true\n"
    );
    let written: User = serde_saphyr::from_str(&printed).expect("a User");
    assert!(!written.spec.charge_approved && written.spec.permissions.is_none());
    let without = filled.json(&["copy", "-n", "acme", "bob", "nora"]);
    assert_eq!(
        without["spec"].as_object().expect("a spec").keys().collect::<Vec<_>>(),
        ["profile", "role", "teams"]
    );
    filled.check(&["copy", "-n", "acme", "bob", "nora"], 0, "\n  # The person's own, unique");
    filled.check(&["copy", "-n", "acme", "bob", "nora"], 0, "\n  email:\n");
}

#[test]
fn what_no_copy_can_be_made_of_is_refused() {
    let filled = Filled::new();
    filled.check_fault(
        &["copy", "-n", "acme", "nobody", "nora"],
        "no User nobody of acme has an account",
    );
    filled.check_fault(&["copy", "-n", "acme", "bob", "kim"], "kim of acme has an account already");
    filled.check_fault(&["copy", "-n", "acme", "bob", "Nora"], "lower-case letters");
    filled.check_fault(&["copy", "-n", "acme", "bob", "nora", "--email", "nora"], "there is no @");
    filled.check_fault(&["copy", "-n", "acme", "bob", "nora", "--email", ""], "there is no @");
    filled.check_fault(
        &["copy", "-n", "acme", "bob", "nora", "--email", "nora@localhost"],
        "only one label",
    );
    filled.check_fault(&["copy", "-n", "a.b", "bob", "nora"], "DNS label");
}

#[test]
fn crds_are_printed_as_yaml_documents_or_written_one_file_each() {
    let printed = String::from_utf8(roster(&["crds"]).stdout).expect("YAML is text");
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new/crds");
    assert!(roster(&["crds", new.to_str().expect("a path")]).status.success());
    let mut together = String::new();
    for file in ["users.yaml", "usergroups.yaml", "orgemaildomains.yaml"] {
        together += "---\n";
        together += &std::fs::read_to_string(new.join(file)).expect("it was written");
    }
    assert_eq!(printed, together);
}

#[test]
fn the_password_policy_names_every_requirement_and_its_numbers() {
    let printed = String::from_utf8(roster(&["password-policy"]).stdout).expect("text");
    for text in [
        "at least 15 characters",
        "at most 128 characters",
        "zxcvbn score of at least 3",
        "alone or repeated",
        "one line",
        "UTF-8",
        "NFKC",
    ] {
        assert!(printed.contains(text), "{text:?} isn't in: {printed}");
    }
    let policy: Value =
        serde_json::from_slice(&roster(&["password-policy", "-o", "json"]).stdout).expect("JSON");
    assert_eq!(
        (&policy["minimumLength"], &policy["maximumLength"], &policy["minimumScore"]),
        (&json!(15), &json!(128), &json!(3))
    );
    let requirements = policy["requirements"].as_array().expect("a list");
    let names: Vec<&str> = requirements.iter().filter_map(|line| line["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "Text",
            "NotUtf16",
            "NoByteOrderMark",
            "OneLine",
            "Visible",
            "MinimumLength",
            "MaximumLength",
            "HardToGuess",
            "NotOwnName",
            "Confirmed"
        ]
    );
    assert!(
        requirements.iter().all(|line| printed.contains(line["text"].as_str().expect("a text")))
    );
}

#[test]
fn a_fault_says_what_is_wrong_and_never_creates_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("missing.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    check_fault(&["users", "--store", &url], "missing.db");
    assert!(!file.exists());
    check_fault(&["users", "--store", "mysql://localhost/x"], "sqlite://");
    check_fault(&["users", "--store", "mysql://localhost/x"], "postgres://");
    check_fault(&["users", "--store", "postgres://localhost/x?sslmod=require"], "sslmode");
    check_fault(&["backup", "--store", "postgres://localhost/x", "copy.db"], "pg_dump");
    std::fs::write(&file, "").expect("a file");
    check_fault(&["crds", file.to_str().expect("a path")], "missing.db");
    check_fault(&["users", "--clock-offset", "soon"], "10m");
    check_fault(&["run", "--resync", "0s"], "more than nothing");
    check_fault(&["run", "--namespace", ""], "DNS label");
    let twice = [
        "run",
        "--directory",
        "rehearsal:///one?name=same",
        "--directory",
        "rehearsal:///two?name=same",
    ];
    check_fault(&twice, "two directories have the name same");
    check_fault(
        &["run", "--directory", "scim+https://alice:secret@acme.example"],
        "no user or password",
    );
    check_fault(&["run", "--directory", "ftp://acme.example"], "begins with scim+https://");
    check_fault(&["frobnicate"], "frobnicate");
}

#[test]
fn the_help_does_not_print_the_address_that_is_in_the_environment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    let help = command
        .args(["users", "--help"])
        .env("ROSTER_STORE", "postgres://roster:planted@localhost/roster")
        .output();
    let help = String::from_utf8(help.expect("the binary starts").stdout).expect("a text");
    assert!(help.contains("ROSTER_STORE") && !help.contains("planted"), "{help}");
}

#[test]
fn the_log_does_not_quote_a_file_of_passwords_that_is_not_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pgpass");
    std::fs::write(&file, "planted\n").expect("a file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("its rights");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args([
        "run",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "trace",
        "--store",
        "postgres://roster@localhost/roster",
    ]);
    let output = command
        .env("PGPASSFILE", &file)
        .env("KUBECONFIG", "/nowhere/at/all")
        .output()
        .expect("the binary starts");
    let log = String::from_utf8(output.stderr).expect("a text");
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains("serving") && !log.contains("planted"), "{log}");
}
