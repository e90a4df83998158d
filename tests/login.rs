//! Logging in, and what members change of themselves, as people do it: with the binary and a
//! password on standard input.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use roster::domain::account::{AccountSpec, LoginState, SecretPassword};
use roster::domain::email::Email;
use roster::domain::organization::LoginName;
use roster::domain::password::{Password, PasswordContext};
use roster::domain::profile::SelfServiceField;
use roster::hashing::{Cost, Hashing};
use roster::plan::{AccountChange, Plan};
use roster::store::Store;
use roster::store::sql::SqlStore;
use roster_test_support::plans;
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "gate-Turnip-41-onward";
const ANOTHER: &str = "seven elms & a lamp, 1893";
const REFUSED: &str = "roster: refused: login and password don't match, the account can't log in, or it has to wait after too \
                       many failed logins\n";

/// A store in a file, with the people of `acme` in it.
struct Filled {
    _folder: TempDir,
    url: String,
}

fn with_password(plan: Plan) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    if let AccountChange::Create { password, .. } = &mut plan.change {
        let (login_name, email) = (
            LoginName::from_stored("x.acme".to_owned()),
            Email::from_stored("x@acme.example".to_owned()),
        );
        let parsed = Password::parse(
            PASSWORD.as_bytes(),
            &PasswordContext { login_name: &login_name, email: &email },
        )
        .expect("a password");
        let hash = Hashing::new(Cost::default())
            .and_then(|hashing| hashing.hash(&parsed))
            .expect("a hash");
        *password = Some(SecretPassword { hash, version: "1".to_owned() });
    }
    Plan::Account(plan)
}

impl Filled {
    /// Alice may change these of her details, and bob is disabled; carol has no password, erin the
    /// address of a copy. What is changed later waits for these directories.
    fn new(details: &[SelfServiceField], directories: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
        let disabled =
            AccountSpec { lifecycle: LoginState::Disabled, ..plans::content("bob@acme.example") };
        let everything = [
            plans::put_domain("acme", "acme.example"),
            plans::put_self_service("users", details),
            with_password(plans::create("alice", "alice@acme.example")),
            with_password(plans::create_in(plans::acme(), "bob", disabled)),
            plans::create("carol", "carol@acme.example"),
            with_password(plans::create_copy("erin", "alice@acme.example")),
        ];
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let store = SqlStore::open(&url).await.expect("a store");
            for plan in everything {
                plans::commit(&store, plan).await.expect("it is committed");
            }
            let directories = directories.iter().map(|&directory| directory.to_owned()).collect();
            store
                .set_directories(&directories, plans::at(0).now)
                .await
                .expect("the directories are known");
            store.close().await;
        });
        Self { _folder: folder, url }
    }

    fn roster(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args(arguments).args(["--store", &self.url]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // Whoever finds a fault in the arguments reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    /// Expects an exit code, and all that is said: on standard output where it is 0, else on
    /// standard error.
    #[track_caller]
    fn check(&self, arguments: &[&str], input: impl AsRef<[u8]>, code: i32, text: &str) {
        let output = self.roster(arguments, input.as_ref());
        let (said, message) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}{message}");
        let (expected, silent) = if code == 0 { (&said, &message) } else { (&message, &said) };
        assert!(expected.contains(text), "{text:?} isn't in: {expected}");
        assert_eq!(silent, "");
        for secret in [PASSWORD, ANOTHER, "$argon2"] {
            assert!(!expected.contains(secret), "{expected}");
        }
    }

    fn user(&self, number: usize) -> Value {
        let users: Value =
            serde_json::from_slice(&self.roster(&["users", "-o", "json"], b"").stdout)
                .expect("JSON");
        users[number].clone()
    }
}

#[test]
fn who_has_the_password_logs_in_by_login_name_or_email() {
    let filled = Filled::new(&[], &[]);
    for input in [
        PASSWORD.to_owned(),
        format!("{PASSWORD}\n"),
        format!("{PASSWORD}\r\n"),
        format!("{PASSWORD}\nanything else\n"),
    ] {
        filled.check(&["login", "alice.acme"], input, 0, "alice.acme of acme may log in\n");
    }
    filled.check(&["login", "alice.acme", "--organization", "acme"], PASSWORD, 0, "may log in");
    filled.check(
        &["login", "ALICE@Acme.Example", "--organization", "acme"],
        PASSWORD,
        0,
        "may log in",
    );
}

#[test]
fn everybody_else_is_refused_in_the_same_words() {
    let filled = Filled::new(&[], &[]);
    let login = |name: &str, input: &[u8]| filled.check(&["login", name], input, 1, REFUSED);
    login("alice.acme", b"wrong");
    login("alice.acme", format!(" {PASSWORD}").as_bytes());
    login("alice.acme", format!("\n{PASSWORD}").as_bytes());
    login("alice.acme", b"");
    login("alice.acme", b"\n");
    login("alice.acme", b"\xff\xfe");
    login("alice.acme", &vec![b'a'; 1 << 20]);
    login("nobody.acme", PASSWORD.as_bytes());
    login("", PASSWORD.as_bytes());
    login("bob.acme", PASSWORD.as_bytes());
    login("carol.acme", PASSWORD.as_bytes());
    login("carol.acme", b"");
    login("erin.acme", PASSWORD.as_bytes());
    let email = |email: &str| {
        filled.check(&["login", email, "--organization", "acme"], PASSWORD, 1, REFUSED)
    };
    email("alice@acme.example (Copy 1)");
    email("carol@acme.example");
    email("nobody@acme.example");
    email("alice@");
    email("@");
    filled.check(&["login", "alice.acme", "--organization", "apex"], PASSWORD, 1, REFUSED);
    filled.check(&["login", "alice@acme.example", "--organization", "apex"], PASSWORD, 1, REFUSED);
}

#[test]
fn whoever_guesses_has_to_wait_and_the_helpdesk_sees_it() {
    let filled = Filled::new(&[SelfServiceField::Phone], &[]);
    let tries = |input: &str, code: i32, text: &str| {
        filled.check(&["login", "alice.acme"], input, code, text)
    };
    for _ in 0..6 {
        tries("wrong", 1, REFUSED);
    }
    tries(PASSWORD, 1, REFUSED);
    filled.check(&["self", "alice.acme", "--set", "phone=1"], PASSWORD, 1, REFUSED);
    filled.check(&["login", "bob.acme"], PASSWORD, 1, REFUSED);
    let failed = filled.user(0)["failedLogins"].clone();
    assert_eq!((&failed["failures"], &failed["turnedAway"]), (&json!(6), &json!(2)), "{failed}");
    assert!(
        failed["blockedUntil"].as_str().unwrap() > failed["since"].as_str().unwrap(),
        "{failed}"
    );
    assert_eq!(
        filled.user(2)["failedLogins"]["failures"],
        1,
        "a disabled account's are counted as any other's"
    );
    let table = String::from_utf8(filled.roster(&["users"], b"").stdout).unwrap();
    let until = failed["blockedUntil"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(
        table.contains(&format!("Enabled, 6 failed logins, waits until {until:.0}")),
        "{table}"
    );
    assert!(table.contains("Disabled, 1 failed logins "), "{table}");
    let later = |offset: &str| {
        String::from_utf8(filled.roster(&["users", "--clock-offset", offset], b"").stdout).unwrap()
    };
    let in_time = later("+2m");
    assert!(
        in_time.contains("Enabled, 6 failed logins ") && !in_time.contains("waits"),
        "{in_time}"
    );
    let forgotten = later("+169h");
    assert!(!forgotten.contains("failed logins"), "{forgotten}");
    filled.check(&["login", "alice.acme", "--clock-offset", "-1h"], PASSWORD, 1, REFUSED);
    filled.check(&["login", "alice.acme", "--clock-offset", "+2m"], PASSWORD, 0, "may log in");
    assert_eq!(filled.user(0)["failedLogins"], Value::Null);
    tries(PASSWORD, 0, "may log in");
}

#[test]
fn guesses_that_come_at_once_are_heard_no_more_often() {
    let filled = Filled::new(&[], &[]);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| filled.check(&["login", "alice.acme"], "wrong", 1, REFUSED));
        }
    });
    let failed = filled.user(0)["failedLogins"].clone();
    assert_eq!((&failed["failures"], &failed["turnedAway"]), (&json!(6), &json!(10)), "{failed}");
}

#[test]
fn a_fault_isnt_a_refusal() {
    let filled = Filled::new(&[], &[]);
    filled.check(&["login", "alice@acme.example"], PASSWORD, 2, "with -n");
    filled.check(&["self", "alice@acme.example", "--set", "phone=1"], PASSWORD, 2, "with -n");
    filled.check(&["self", "alice.acme"], PASSWORD, 2, "--set");
    filled.check(&["self", "alice.acme", "--set", "planet=Mars"], PASSWORD, 2, "there is no field");
    filled.check(
        &["self", "alice.acme", "--set", "timeZone=Mars Time"],
        PASSWORD,
        2,
        "America/Phoenix",
    );
    let missing = Filled { url: "sqlite:///nowhere/at/all.db".to_owned(), ..filled };
    missing.check(&["login", "alice.acme"], PASSWORD, 2, "all.db");
}

#[test]
fn a_member_changes_what_their_group_lets_them_and_reads_what_changed() {
    let filled = Filled::new(
        &[
            SelfServiceField::Phone,
            SelfServiceField::Address,
            SelfServiceField::Name,
            SelfServiceField::Email,
            SelfServiceField::TimeZone,
            SelfServiceField::Notifications,
        ],
        &[],
    );
    let all = [
        "self",
        "alice.acme",
        "--set",
        "phone=+1 602 555 0199",
        "--set",
        "name=Al Smith",
        "--set",
        "address.locality=Tempe",
        "--set",
        "timeZone=America/Phoenix",
        "--set",
        "notifications=CaseClosed,CaseAssigned",
        "--set",
        "email=Al@acme.example",
    ];
    filled.check(
        &all,
        PASSWORD,
        0,
        "alice.acme changed: Name, Address, Phone, Email, TimeZone, Notifications\n",
    );
    filled.check(&all, PASSWORD, 0, "nothing changed\n");
    let al = filled.user(0);
    assert_eq!(al["email"], "al@acme.example");
    let profile = json!({
        "displayName": "Al Smith", "phone": "+1 602 555 0199", "address": {"locality": "Tempe"}, "timeZone": "America/Phoenix",
        "notifications": ["CaseAssigned", "CaseClosed"],
    });
    assert_eq!(al["profile"], profile);
    let cleared = filled.roster(
        &["self", "al@acme.example", "--organization", "acme", "--set", "phone=", "-o", "json"],
        PASSWORD.as_bytes(),
    );
    let cleared: Value = serde_json::from_slice(&cleared.stdout).expect("JSON");
    assert_eq!(
        (&cleared["changed"], &cleared["profile"]["phone"]),
        (&json!(["Phone"]), &Value::Null)
    );
}

#[test]
fn what_a_member_may_not_change_is_refused_by_name_and_nothing_is_changed() {
    let filled = Filled::new(&[SelfServiceField::Phone, SelfServiceField::Email], &[]);
    let set = |settings: &[&str], text: &str| {
        filled.check(&[&["self", "alice.acme"], settings].concat(), PASSWORD, 1, text)
    };
    set(
        &["--set", "phone=1", "--set", "name=Al"],
        "selfService of the group users doesn't list Name\n",
    );
    set(&["--set", "address=", "--set-password"], "doesn't list Address, Password\n");
    set(
        &["--set", "phone=1", "--set", "email=carol@acme.example"],
        "email: another account of the organization has this address\n",
    );
    set(
        &["--set", "phone=1", "--set", "email=alice@other.example"],
        "email: the organization doesn't list the domain",
    );
    filled.check(&["self", "alice.acme", "--set", "phone=1"], "wrong", 1, REFUSED);
    filled.check(&["self", "bob.acme", "--set", "phone=1"], PASSWORD, 1, REFUSED);
    assert_eq!(filled.user(0)["profile"], json!({"displayName": "Alice Smith"}));
}

#[test]
fn a_member_changes_the_password_with_the_current_one() {
    let filled = Filled::new(&[SelfServiceField::Password, SelfServiceField::Phone], &[]);
    let set = |input: &str, code: i32, text: &str| {
        filled.check(&["self", "alice.acme", "--set-password"], input, code, text)
    };
    set(&format!("{ANOTHER}\n{ANOTHER}\n"), 1, REFUSED);
    set(&format!("{PASSWORD}\nalicealice\n"), 1, "it must have at least 15 characters");
    set(&format!("{PASSWORD}\nalicealice\n"), 1, "it must not be the login name");
    set(PASSWORD, 1, "it must have at least 15 characters");
    set(&format!("{PASSWORD}\n{PASSWORD}\n"), 0, "nothing changed\n");
    set(&format!("{PASSWORD}\n{ANOTHER}\n"), 0, "alice.acme changed: Password\n");
    filled.check(&["login", "alice.acme"], PASSWORD, 1, REFUSED);
    filled.check(&["login", "alice.acme"], ANOTHER, 0, "may log in");
    filled.check(
        &["self", "alice.acme", "--set", "phone=2", "--set-password"],
        format!("{ANOTHER}\r\n{PASSWORD}"),
        0,
        "changed: Phone, Password\n",
    );
    filled.check(&["login", "alice.acme"], PASSWORD, 0, "may log in");
}

#[test]
fn an_account_in_transaction_waits_and_logs_in_all_the_same() {
    let filled = Filled::new(&[SelfServiceField::Password, SelfServiceField::Phone], &["ldap"]);
    filled.check(
        &["self", "alice.acme", "--set-password"],
        format!("{PASSWORD}\n{ANOTHER}\n"),
        0,
        "changed: Password\n",
    );
    filled.check(
        &["self", "alice.acme", "--set", "phone=1"],
        ANOTHER,
        1,
        "in transaction (PasswordChange): try again when it is over\n",
    );
    filled.check(&["login", "alice.acme"], ANOTHER, 0, "may log in");
}
