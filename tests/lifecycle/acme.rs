//! An organization that lists acme.example, with an operator and a directory.

use std::collections::BTreeMap;

use roster_test_support::cluster::proxy::Proxy;
use roster_test_support::cluster::{Operator, Organization, Output, With, domain, passed, user};
use roster_test_support::fake_directory::Directory;
use serde_json::{Value, json};

use crate::CLUSTER;

/// A running organization.
pub(crate) struct Acme {
    pub(crate) organization: Organization,
    pub(crate) operator: Operator,
    pub(crate) directory: Directory,
    pub(crate) proxy: Proxy,
}

impl Acme {
    /// Starts an organization whose operator has a directory and reaches the API server through a
    /// proxy.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let organization = CLUSTER.organization();
        passed(organization.admin().create(&domain("acme.example")));
        let directory = Directory::in_folder(organization.file("directory"));
        let proxy = Proxy::start(&organization);
        let url = directory.url();
        let arguments = [&["--directory", &url], arguments].concat();
        let operator =
            Operator::start_at(&organization, &proxy.kubeconfig(&organization), &arguments);
        Self { organization, operator, directory, proxy }
    }

    /// Creates an object as an administrator.
    #[track_caller]
    pub(crate) fn create(&self, object: &Value) {
        passed(self.organization.admin().create(object));
    }

    /// Changes the spec of a `User`.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, spec: &Value) {
        passed(self.organization.admin().patch("User", name, &json!({"spec": spec})));
    }

    /// Puts a password into the Secret that is there for somebody.
    #[track_caller]
    pub(crate) fn put_password(&self, name: &str, password: &str) {
        let data = json!({"stringData": {"password": password}});
        passed(self.organization.admin().patch("Secret", &secret_of(name), &data));
    }

    /// Returns a login name.
    pub(crate) fn login_name(&self, name: &str) -> String {
        format!("{name}.{}", self.organization.name)
    }

    /// Tries to log in.
    pub(crate) fn log_in(&self, login: &str, password: &str) -> Output {
        self.operator.roster(&["login", login, "--organization", &self.organization.name], password)
    }

    /// Whether somebody may log in, by the login name and by the address alike.
    #[track_caller]
    pub(crate) fn lets_in(&self, name: &str, password: &str) -> bool {
        let answers = [self.login_name(name), format!("{name}@acme.example")]
            .map(|login| self.log_in(&login, password));
        let codes = answers.each_ref().map(|answer| answer.code);
        match codes {
            [Some(0), Some(0)] => true,
            [Some(1), Some(1)] => false,
            _ => panic!("the two don't agree: {answers:?}"),
        }
    }

    /// Returns how many entries of a type the journal has for somebody's accounts.
    #[track_caller]
    pub(crate) fn journaled(&self, name: &str, kind: &str) -> i64 {
        let login = self.login_name(name);
        self.operator.count(&format!(
            "SELECT count(*) FROM transactions JOIN lifetimes USING (account_id) WHERE login_name = '{login}' AND type = '{kind}'"
        ))
    }

    /// Returns what the store has of somebody that a new password changes.
    #[track_caller]
    pub(crate) fn row(&self, name: &str) -> Option<String> {
        self.operator.text(&format!(
            "SELECT revision || ' ' || transaction_id || ' ' || COALESCE(password_hash, '') || ' ' || COALESCE(secret_hash, '') \
             || ' ' || COALESCE(secret_version, '') FROM accounts WHERE owner_name = '{name}'"
        ))
    }

    /// Returns the id of somebody's only account.
    #[track_caller]
    pub(crate) fn account_id(&self, name: &str) -> String {
        let query = format!(
            "SELECT account_id FROM lifetimes WHERE login_name = '{}'",
            self.login_name(name)
        );
        self.operator.text(&query).expect("there is an account")
    }

    /// Returns the versions of all objects that the operator writes to.
    #[track_caller]
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let path = r#"jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}"#;
        let kinds = "users.roster.rs,usergroups,orgemaildomains,events,namespaces";
        let listed = self.organization.kubectl(&["get", kinds, "-o", path], "").expect_success();
        let ours = |line: &&str| {
            !line.starts_with("Namespace/")
                || line.starts_with(&format!("Namespace/{} ", self.organization.name))
        };
        let pair = |line: &str| {
            line.split_once(' ').map(|(name, version)| (name.to_owned(), version.to_owned()))
        };
        listed.lines().filter(ours).filter_map(pair).collect()
    }
}

/// Returns the name of the Secret with somebody's password.
pub(crate) fn secret_of(name: &str) -> String {
    format!("{name}-password")
}

/// Returns a Secret of roster's type with somebody's password, and what else it has.
pub(crate) fn secret(name: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret_of(name)}, "type": "roster.rs/password",
        "stringData": {"password": password},
    })
}

/// Returns a `User` whose password stands in their Secret.
pub(crate) fn user_with_password(name: &str) -> Value {
    user(name).with("/spec/passwordSecretRef", json!({"name": secret_of(name)}))
}
