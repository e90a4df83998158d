//! A store that an operator of one organization works on, with a directory, in words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use roster::controller::leader_election::lease_name;
use roster_test_support::application::Application;
use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Organization, Output, With, condition, domain, eventually, group, passed, run, run_roster, user,
};
use roster_test_support::fake_directory::Directory;
use serde_json::{Value, json};

/// An organization whose operators work on one store and bring one directory up to it.
pub(crate) struct Serving {
    pub(crate) organization: Organization,
    pub(crate) directory: Directory,
    pub(crate) store: String,
}

impl Serving {
    /// Returns an organization that nobody serves yet.
    pub(crate) fn of(organization: Organization, store: String) -> Self {
        let directory = Directory::in_folder(organization.file("directory"));
        Self { organization, directory, store }
    }

    /// Starts an operator, and waits until it works.
    #[track_caller]
    pub(crate) fn begin(&self) -> Replica {
        let operator = self.begin_with(&[]);
        operator.until_it_works();
        operator
    }

    /// Starts an operator with further arguments.
    pub(crate) fn begin_with(&self, arguments: &[&str]) -> Replica {
        Replica::start(
            &self.organization,
            &self.store,
            &[&["--directory", &self.directory.url()], arguments].concat(),
        )
    }

    /// Creates an object as an administrator.
    #[track_caller]
    pub(crate) fn create(&self, object: &Value) {
        passed(self.organization.admin().create(object));
    }

    /// Creates `User`s of these names, and waits until they have what they ask for.
    #[track_caller]
    pub(crate) fn hire(&self, names: &[&str]) {
        names.iter().for_each(|name| self.create(&declared(name)));
        self.until_ready(names);
    }

    /// Changes the spec of an object.
    #[track_caller]
    pub(crate) fn edit(&self, kind: &str, name: &str, spec: &Value) {
        passed(self.organization.admin().patch(kind, name, &json!({"spec": spec})));
    }

    /// Waits until `User`s have what they ask for.
    #[track_caller]
    pub(crate) fn until_ready(&self, names: &[&str]) {
        for name in names {
            self.organization.until_ready("User", name);
        }
    }

    /// Lets a `User` and its account go.
    #[track_caller]
    pub(crate) fn dismiss(&self, name: &str) {
        self.edit("User", name, &json!({"deletionProtection": "Disabled"}));
        passed(self.organization.admin().delete("User", name));
        self.organization.until_gone("User", name);
    }

    /// Returns the id of the account that somebody's status names.
    #[track_caller]
    pub(crate) fn account(&self, name: &str) -> String {
        let user = self.organization.admin().get("User", name).expect("the User is there");
        user["status"]["accountId"].as_str().expect("it has an account").to_owned()
    }

    /// Returns the live accounts by the name before the customer ID.
    #[track_caller]
    pub(crate) fn accounts(&self) -> BTreeMap<String, Value> {
        let printed =
            run_roster(&["users", "-o", "json", "--store", &self.store], "").expect_success();
        let users: Vec<Value> = serde_json::from_str(&printed).expect("roster users prints JSON");
        let name = |user: &Value| {
            user["loginName"].as_str().and_then(|login| Some(login.split_once('.')?.0.to_owned()))
        };
        users.into_iter().map(|user| (name(&user).expect("a login name"), user)).collect()
    }

    /// Whether somebody may log in.
    pub(crate) fn lets_in(&self, name: &str, password: &str) -> bool {
        let login = format!("{name}.{}", self.organization.name);
        let Output { code, stderr, .. } =
            run_roster(&["login", &login, "--store", &self.store], password);
        assert!(matches!(code, Some(0 | 1)), "{stderr}");
        code == Some(0)
    }

    /// Returns who is billed for this month: a line for each login, without the customer ID.
    #[track_caller]
    pub(crate) fn billed(&self) -> Vec<(String, Value)> {
        let since = self.organization.until_ready("User", "alice");
        let month =
            since["status"]["billing"]["since"].as_str().expect("alice is billed").to_owned();
        let report = ["billing", "report", "--month", &month, "-o", "json", "--store", &self.store];
        let report: Value =
            serde_json::from_str(&run_roster(&report, "").expect_success()).expect("JSON");
        let line = |line: &Value| {
            let login = line["loginName"].as_str().expect("a login name");
            (login.split_once('.').expect("a customer ID").0.to_owned(), line["from"].clone())
        };
        report["lines"].as_array().expect("lines").iter().map(line).collect()
    }

    /// Returns the texts of the first column that a query of the store answers with.
    #[track_caller]
    pub(crate) fn texts(&self, query: &str) -> Vec<String> {
        run(async {
            let mut application = Application::open(&self.store).await;
            let rows = application.rows(query, &[]).await;
            application.close().await;
            rows.iter().filter_map(|row| row.text(0)).collect()
        })
    }

    /// Returns the number that a query of the store answers with.
    #[track_caller]
    pub(crate) fn number(&self, query: &str) -> i64 {
        run(async {
            let mut application = Application::open(&self.store).await;
            let number = application.number(query).await;
            application.close().await;
            number
        })
    }

    /// Returns every row of every table of the store.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<String> {
        let tables = self.texts(
            "SELECT tablename::text FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
        );
        let row = |table: &String| {
            self.texts(&format!("SELECT '{table} ' || t::text FROM {table} AS t ORDER BY 1"))
        };
        tables.iter().flat_map(row).collect()
    }

    /// Waits until nothing is left to be told to the directory or to be confirmed by it.
    #[track_caller]
    pub(crate) fn until_confirmed(&self) {
        let left = "SELECT (SELECT COUNT(*) FROM accounts AS a WHERE NOT EXISTS (SELECT 1 FROM confirmations AS c \
                    WHERE c.account_id = a.account_id AND c.revision = a.revision)) + \
                    (SELECT COUNT(*) FROM transactions WHERE completed_at IS NULL AND superseded_at IS NULL)";
        eventually("the directory has confirmed everything", || {
            (self.number(left) == 0).then_some(())
        });
    }

    /// Waits until the Lease knows of everything that was committed.
    #[track_caller]
    pub(crate) fn until_the_lease_knows(&self) {
        let name = lease_name(&[self.organization.name.clone()].into());
        let path = r"jsonpath={.metadata.annotations.roster\.rs/epoch} {.metadata.annotations.roster\.rs/commits}";
        eventually("the Lease knows of every commit", || {
            let noted = self
                .organization
                .kubectl(&["get", "lease", &name, "-n", "roster-system", "-o", path], "");
            let made = self
                .texts("SELECT CAST(epoch AS TEXT) || ' ' || CAST(commits AS TEXT) FROM operators")
                .pop();
            (made == Some(noted.expect_success())).then_some(())
        });
    }

    /// Returns what the directory has of people: their login names without the customer ID, and
    /// their accounts.
    pub(crate) fn people(&self) -> BTreeMap<String, (String, Value)> {
        let entries = self
            .directory
            .files()
            .into_iter()
            .filter(|(name, _)| name.ends_with(".json") && name != "behaviour.json");
        let entry = |(file, (_, text)): (String, (_, Vec<u8>))| {
            let entry: Value =
                serde_json::from_slice(&text).expect("entries are put in place whole");
            let login = entry["person"]["loginName"].as_str().expect("a person").to_owned();
            let name = login.split_once('.').expect("a customer ID").0.to_owned();
            (name, (file.trim_end_matches(".json").to_owned(), entry["person"].clone()))
        };
        let people: Vec<_> = entries.map(entry).collect();
        let count = people.len();
        let people: BTreeMap<_, _> = people.into_iter().collect();
        assert_eq!(people.len(), count, "somebody is there twice: {people:?}");
        people
    }

    /// Waits until the directory has exactly the people that the store has, as the store has them.
    #[track_caller]
    pub(crate) fn until_the_directory_agrees(&self) {
        self.until_confirmed();
        let query = "SELECT account_id || ' ' || email || ' ' || group_name || ' ' || display_name FROM roster_accounts";
        let mut stored = self.texts(query);
        stored.sort();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |(account, person): &(String, Value)| {
            let [email, group, name] =
                ["email", "group", "displayName"].map(|field| text(&person[field]));
            format!("{account} {email} {group} {name}")
        };
        let mut brought: Vec<_> = self.people().values().map(line).collect();
        brought.sort();
        assert_eq!(brought, stored);
    }

    /// Returns what the doctor finds but policies that are missing: kind and object.
    #[track_caller]
    pub(crate) fn found(&self) -> Vec<(String, String)> {
        let kubeconfig: PathBuf = self.organization.file("x").with_file_name("admin.kubeconfig");
        let output = Command::new(env!("CARGO_BIN_EXE_roster"))
            .args(["doctor", "-o", "json", "-n", &self.organization.name, "--store", &self.store])
            .env("KUBECONFIG", kubeconfig)
            .output()
            .expect("the binary runs");
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let findings = said["findings"].as_array().expect("a list").iter();
        // What directories are brought anew is under way for a minute, and found until then.
        let is_meant = |kind: &str| kind != "PolicyMissing" && !kind.starts_with("Directory");
        let findings =
            findings.filter(|finding| is_meant(finding["finding"].as_str().expect("a text")));
        let words = |finding: &Value| {
            ["finding", "object"].map(|field| finding[field].as_str().expect("a text").to_owned())
        };
        findings.map(words).map(|[kind, object]| (kind, object)).collect()
    }

    /// Returns how the doctor names the account of somebody who has no `User`.
    pub(crate) fn orphan(&self, name: &str, account: &str) -> (String, String) {
        ("Orphan".to_owned(), format!("account {account} of {}/{name}", self.organization.name))
    }

    /// Waits until so many accounts without a `User` are counted.
    #[track_caller]
    pub(crate) fn until_orphaned(&self, operator: &Replica, count: i64) {
        eventually(&format!("{count} accounts without a User are counted"), || {
            (operator.metric("roster_orphaned_accounts") == Some(count)).then_some(())
        });
    }

    /// Has the organization list acme.example, with a group of drivers.
    #[track_caller]
    pub(crate) fn found_organization(&self) {
        self.create(&domain("acme.example"));
        self.create(&group("drivers").with("/spec/permissions", json!(["orders:read"])));
        self.organization.until_ready("UserGroup", "drivers");
        self.organization.until_ready("OrgEmailDomain", "acme.example");
    }

    /// Puts a password into the Secret of somebody.
    #[track_caller]
    pub(crate) fn put_password(&self, name: &str, password: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{name}-password")}, "type": "roster.rs/password",
            "stringData": {"password": password},
        });
        let admin = self.organization.admin();
        if admin.get("Secret", &format!("{name}-password")).is_some() {
            passed(admin.patch(
                "Secret",
                &format!("{name}-password"),
                &json!({"stringData": {"password": password}}),
            ));
        } else {
            self.create(&secret);
        }
    }
}

/// Returns the `User` that people of this organization have: protected, and a driver with the
/// rights of one.
pub(crate) fn declared(name: &str) -> Value {
    let user = user(name).with("/spec/groupRef", json!({"name": "drivers"}));
    if name == "dave" {
        user.with("/spec/passwordSecretRef", json!({"name": "dave-password"}))
    } else {
        user
    }
}

/// Whether somebody has to act before a `User` gets on.
pub(crate) fn is_stalled(user: &Value) -> bool {
    condition(user, "Stalled")["status"] == "True"
}
