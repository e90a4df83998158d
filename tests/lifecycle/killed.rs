//! The operator is killed at every step of every type of transaction, and the end is the same as if
//! it hadn't been.

use roster_test_support::cluster::{With, condition, eventually};
use serde_json::{Value, json};

use crate::acme::{Acme, secret, user_with_password};

const OLD: &str = "nine lorries leave at dawn";
const NEW: &str = "seven foxes guard the mill";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    PasswordChange,
    Disable,
    Enable,
    Delete,
}

/// How far a transaction is when the operator is killed.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is decided, and the store waits to take it.
    Decided,
    /// It is in the store, and the directory was asked and takes nothing.
    Committed,
    /// The directory took it, and its answer is lost.
    Taken,
    /// The directory has confirmed it, and the store waits to take that.
    Confirmed,
    /// The store has it as complete, and the API server can't be told.
    Complete,
}

/// Whom the operator is killed over, and at which step.
const CASES: [(&str, Step); 5] = [
    ("alice", Step::Decided),
    ("bob", Step::Committed),
    ("carol", Step::Taken),
    ("dave", Step::Confirmed),
    ("erin", Step::Complete),
];

/// Over whom it isn't.
const UNDISTURBED: &str = "grace";

/// An organization in which transactions of one type take place.
struct Stage {
    kind: Kind,
    name: &'static str,
    acme: Acme,
}

impl Stage {
    /// Brings everybody to where the transaction can begin.
    #[track_caller]
    fn set(kind: Kind, name: &'static str) -> Self {
        let stage = Self { kind, name, acme: Acme::start(&["--log", "info,roster=debug"]) };
        let everybody = || CASES.iter().map(|(name, _)| *name).chain([UNDISTURBED]);
        everybody().for_each(|name| stage.acme.create(&secret(name, OLD)));
        if kind != Kind::Create {
            everybody().for_each(|name| stage.acme.create(&stage.declared(name)));
            everybody().for_each(|name| drop(stage.acme.organization.until_ready("User", name)));
        }
        // Everything that isn't about people is settled: from now on there is one commit at a time.
        for (kind, name) in [
            ("OrgEmailDomain", "acme.example"),
            ("UserGroup", "users"),
            ("UserGroup", "administrators"),
        ] {
            stage.acme.organization.until_ready(kind, name);
        }
        stage
    }

    fn declared(&self, name: &str) -> Value {
        let user = user_with_password(name).with("/spec/deletionProtection", "Disabled");
        if self.kind == Kind::Enable { user.with("/spec/state", "Disabled") } else { user }
    }

    /// Does what the transaction follows from.
    #[track_caller]
    fn begin(&self, name: &str) {
        match self.kind {
            Kind::Create => self.acme.create(&self.declared(name)),
            Kind::PasswordChange => self.acme.put_password(name, NEW),
            Kind::Disable => self.acme.edit(name, &json!({"state": "Disabled"})),
            Kind::Enable => self.acme.edit(name, &json!({"state": "Enabled"})),
            Kind::Delete => {
                self.acme.organization.admin().delete("User", name).expect("it may be deleted")
            }
        }
    }

    /// Returns the revision that the transaction made, once it is in the journal.
    fn journaled(&self, name: &str, which: &str) -> Option<i64> {
        let (login, kind) = (self.acme.login_name(name), self.name);
        let query = format!(
            "SELECT revision FROM transactions AS t JOIN lifetimes USING (account_id) \
             WHERE login_name = '{login}' AND type = '{kind}' AND superseded_at IS NULL AND completed_at IS {which}"
        );
        (self.acme.operator.count(&format!("SELECT count(*) FROM ({query}) AS found")) == 1)
            .then(|| self.acme.operator.count(&query))
    }

    fn in_flight(&self, name: &str) -> Option<i64> {
        self.journaled(name, "NULL")
    }

    fn complete(&self, name: &str) -> Option<i64> {
        self.journaled(name, "NOT NULL")
    }

    #[track_caller]
    fn until_in_flight(&self, name: &str) -> i64 {
        eventually(&format!("{} of {name} is in flight", self.name), || self.in_flight(name))
    }

    /// Whether the directory has what the transaction brings it.
    fn is_in_the_directory(&self, name: &str) -> bool {
        let Some(revision) = self.in_flight(name).or_else(|| self.complete(name)) else {
            return false;
        };
        let entry = self.acme.directory.entry(&self.acme.account_id(name));
        match self.kind {
            Kind::Delete => entry.is_none(),
            _ => entry.is_some_and(|entry| entry["revision"].as_i64() >= Some(revision)),
        }
    }

    /// Returns how often the operator went to the store.
    fn commits(&self) -> usize {
        self.acme.operator.log().matches(r#""message":"committing""#).count()
    }

    /// Whether the `User` says that the transaction is over.
    fn is_told(&self, name: &str) -> bool {
        let user = self.acme.organization.admin().get("User", name);
        user.map_or(self.kind == Kind::Delete, |user| self.is_over(&user))
    }

    fn is_over(&self, user: &Value) -> bool {
        let last = &user["status"]["transaction"];
        last["type"] == self.name && last["state"] == "Completed"
    }

    /// Begins the transaction and kills the operator at a step of it.
    #[track_caller]
    fn kill_at(&mut self, name: &str, step: Step) {
        match step {
            Step::Decided => {
                let held = self.acme.operator.hold_store();
                let before = self.commits();
                self.begin(name);
                eventually("it is decided", || (self.commits() > before).then_some(()));
                self.acme.operator.kill();
                held.let_go();
                assert_eq!(self.in_flight(name).or(self.complete(name)), None);
            }
            Step::Committed => {
                self.acme.directory.behaves(&json!({"silent": true}));
                self.begin(name);
                self.until_in_flight(name);
                self.acme.operator.kill();
                assert!(!self.is_in_the_directory(name));
            }
            Step::Taken => {
                self.acme.directory.behaves(&json!({"silentAfterwards": true}));
                self.begin(name);
                eventually("the directory has it", || self.is_in_the_directory(name).then_some(()));
                self.acme.operator.kill();
                assert!(self.in_flight(name).is_some());
            }
            Step::Confirmed => {
                self.acme.directory.behaves(&json!({"delayMs": 2000}));
                self.begin(name);
                self.until_in_flight(name);
                let held = self.acme.operator.hold_store();
                let before = self.commits();
                assert!(!self.is_in_the_directory(name), "the store is held in time");
                eventually("it is confirmed", || (self.commits() > before).then_some(()));
                assert!(self.is_in_the_directory(name));
                self.acme.operator.kill();
                held.let_go();
                assert!(self.in_flight(name).is_some());
            }
            Step::Complete => {
                self.acme.directory.behaves(&json!({"delayMs": 2000}));
                self.begin(name);
                self.until_in_flight(name);
                self.acme.proxy.cut();
                eventually("it is complete", || self.complete(name));
                self.acme.operator.kill();
                assert!(!self.is_told(name), "the API server can't be told");
                self.acme.proxy.mend();
            }
        }
        assert!(!self.is_told(name));
        self.acme.directory.has_a_good_day();
    }

    /// Waits until all is as asked, and returns everything that is left of it, but ids and times.
    #[track_caller]
    fn end(&self, name: &str) -> Value {
        let organization = &self.acme.organization;
        if self.kind == Kind::Delete {
            organization.until_gone("User", name);
        } else {
            organization.until("User", name, "settled", |user| {
                let looked = user["status"]["observedGeneration"] == user["metadata"]["generation"];
                looked && condition(user, "Ready")["reason"] == "Reconciled" && self.is_over(user)
            });
        }
        let login = self.acme.login_name(name);
        let journal = format!(
            "SELECT type || ' ' || revision || CASE WHEN completed_at IS NULL THEN '' ELSE ' completed' END \
             || CASE WHEN superseded_at IS NULL THEN '' ELSE ' superseded' END \
             FROM transactions AS t JOIN lifetimes USING (account_id) WHERE login_name = '{login}' ORDER BY revision"
        );
        let ended = "CASE WHEN deleted_at IS NULL THEN 'lives' ELSE 'ended' END";
        let lives = format!(
            "SELECT {ended} FROM lifetimes WHERE login_name = '{login}' ORDER BY created_at"
        );
        let user = organization.admin().get("User", name).unwrap_or_default();
        let end = json!({
            "finalizers": user["metadata"]["finalizers"],
            "status": user["status"],
            "account": self.acme.operator.users().into_iter().find(|account| account["loginName"] == login),
            "journal": self.acme.operator.texts(&journal),
            "lives": self.acme.operator.texts(&lives),
            "directory": self.acme.directory.entry(&self.acme.account_id(name)),
            "old password": self.acme.lets_in(name, OLD),
            "new password": self.acme.lets_in(name, NEW),
        });
        let ids_and_times = [
            "accountId",
            "account",
            "id",
            "startTime",
            "deadlineTime",
            "completionTime",
            "lastTransitionTime",
            "resourceVersion",
        ];
        serde_json::from_str(&without(end, &ids_and_times).to_string().replace(name, "NAME"))
            .expect("names are words")
    }
}

/// Returns a value without the texts under some keys, wherever they are.
fn without(value: Value, keys: &[&str]) -> Value {
    match value {
        Value::Object(fields) => {
            let stay = fields
                .into_iter()
                .filter(|(key, value)| !(keys.contains(&key.as_str()) && value.is_string()));
            stay.map(|(key, value)| (key, without(value, keys))).collect()
        }
        Value::Array(values) => values.into_iter().map(|value| without(value, keys)).collect(),
        other => other,
    }
}

/// Kills the operator at each step of a type of transaction, and expects that nothing in the end
/// tells of it.
#[track_caller]
fn check(kind: Kind, name: &'static str, end: impl Fn(&Value)) {
    let mut stage = Stage::set(kind, name);
    stage.begin(UNDISTURBED);
    let undisturbed = stage.end(UNDISTURBED);
    end(&undisturbed);
    assert_eq!(stage.acme.journaled(UNDISTURBED, name), 1);
    for (person, step) in CASES {
        stage.kill_at(person, step);
        stage.acme.operator.restart();
        assert_eq!(
            stage.end(person),
            undisturbed,
            "{name} of {person}, the operator killed when {step:?}"
        );
        assert_eq!(
            stage.acme.journaled(person, name),
            1,
            "{name} of {person}, the operator killed when {step:?}"
        );
    }
    let files = stage.acme.directory.files();
    let people = files.keys().filter(|file| *file != "behaviour.json").count();
    assert_eq!(people, if kind == Kind::Delete { 0 } else { CASES.len() + 1 }, "{files:?}");
}

#[test]
fn an_account_is_created_once_however_often_the_operator_is_killed() {
    check(Kind::Create, "Create", |end| {
        assert_eq!(end["lives"], json!(["lives"]));
        assert_eq!(end["journal"], json!(["Create 1 completed"]));
        assert_eq!(end["old password"], true);
        assert_eq!(end["directory"]["person"]["active"], true);
    });
}

#[test]
fn a_password_is_changed_once_however_often_the_operator_is_killed() {
    check(Kind::PasswordChange, "PasswordChange", |end| {
        assert_eq!(end["lives"], json!(["lives"]));
        assert_eq!((&end["old password"], &end["new password"]), (&json!(false), &json!(true)));
    });
}

#[test]
fn an_account_is_disabled_once_however_often_the_operator_is_killed() {
    check(Kind::Disable, "Disable", |end| {
        assert_eq!(end["status"]["state"], "Disabled");
        assert_eq!(end["old password"], false);
        assert_eq!(end["directory"]["person"]["active"], false);
    });
}

#[test]
fn an_account_is_enabled_once_however_often_the_operator_is_killed() {
    check(Kind::Enable, "Enable", |end| {
        assert_eq!(end["status"]["state"], "Enabled");
        assert_eq!(end["old password"], true);
        assert_eq!(end["directory"]["person"]["active"], true);
    });
}

#[test]
fn an_account_is_deleted_once_however_often_the_operator_is_killed() {
    check(Kind::Delete, "Delete", |end| {
        assert_eq!(end["lives"], json!(["ended"]));
        assert_eq!(end["account"], Value::Null);
        assert_eq!(end["directory"], Value::Null);
        assert_eq!(end["old password"], false);
    });
}
