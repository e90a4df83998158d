//! An organization for one test: a namespace of its own.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::{Output, PATIENCE, Requester, condition, eventually, within};

/// An organization for one test, with the people who make requests in it.
pub struct Organization {
    pub name: String,
    pub(super) plane: &'static ControlPlane,
}

impl Organization {
    /// Creates the namespace of an organization once more, in a cluster that is started for it.
    #[track_caller]
    pub fn in_another_cluster(&self) -> Self {
        Self::created(self.name.clone(), self.plane.another(), &json!({}))
    }

    #[track_caller]
    pub(super) fn created(name: String, plane: &'static ControlPlane, labels: &Value) -> Self {
        let organization = Self { name, plane };
        organization
            .admin()
            .create(&json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": organization.name, "labels": labels},
            }))
            .expect("the namespace can be created");
        organization
    }

    /// Returns an administrator of the cluster.
    pub fn admin(&self) -> Requester {
        Requester::new(self.plane.client("admin.kubeconfig", None), &self.name)
    }

    /// Returns the operator's service account, with its own token and rights.
    pub fn operators_account(&self) -> Requester {
        Requester::new(self.plane.client("roster.kubeconfig", None), &self.name)
    }

    /// Returns a person who has every verb of an administrator, so that refusals are for other
    /// reasons than the lack of one.
    pub fn as_user(&self, name: &str) -> Requester {
        self.as_member(name, &["administrators"])
    }

    /// Returns a person in groups, each of which is bound to a role: `viewers`, `editors`,
    /// `administrators`, `helpdesk`, `approvers`, `password-writers`, `claimers`, `releasers`,
    /// `group-releasers`.
    pub fn as_member(&self, name: &str, groups: &[&str]) -> Requester {
        Requester::new(self.plane.client("admin.kubeconfig", Some((name, groups))), &self.name)
    }

    /// Runs kubectl in the namespace, as an administrator; `--as` and `--as-group` make it somebody
    /// else.
    pub fn kubectl(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut all = vec!["--namespace", &self.name];
        all.extend(arguments);
        self.plane.kubectl(&all, stdin)
    }

    /// Returns a path in the folder that goes when the tests have ended.
    pub fn file(&self, name: &str) -> PathBuf {
        self.plane.folder().join(format!("{}-{name}", self.name))
    }

    /// Returns the requests about roster's kinds that the operator made in this organization, but
    /// its lists and watches: `verb resource[/subresource] name`.
    pub fn requests_of_the_operator(&self) -> Vec<String> {
        self.requests_about_objects(|resource| resource != "secrets")
    }

    /// Returns the requests about Secrets that the operator made in this organization, but its
    /// lists and watches: `verb secrets name`.
    pub fn requests_about_secrets(&self) -> Vec<String> {
        self.requests_about_objects(|resource| resource == "secrets")
    }

    /// Returns how often the operator listed Secrets in this organization.
    pub fn lists_of_secrets(&self) -> usize {
        let events = self.audited("system:serviceaccount:roster-system:roster");
        events
            .iter()
            .filter(|event| event["verb"] == "list" && event["objectRef"]["resource"] == "secrets")
            .count()
    }

    fn requests_about_objects(&self, about: impl Fn(&str) -> bool) -> Vec<String> {
        let events = self.audited("system:serviceaccount:roster-system:roster");
        let asked = events
            .iter()
            // Everything is listed again and again, whatever there is.
            .filter(|event| event["verb"] != "watch" && event["verb"] != "list")
            .filter(|event| about(event["objectRef"]["resource"].as_str().unwrap_or_default()));
        asked.map(request_in_words).collect()
    }

    /// Returns the kubeconfig of the operator's service account.
    pub fn operators_kubeconfig(&self) -> String {
        std::fs::read_to_string(self.plane.folder().join("roster.kubeconfig"))
            .expect("the kubeconfig can be read")
    }

    /// Returns the folder with the logs of the control plane.
    pub fn logs(&self) -> PathBuf {
        self.plane.folder().join("logs")
    }

    /// Keeps a copy of what the cluster's etcd has now, in place of one that was kept before.
    #[track_caller]
    pub fn save_etcd(&self) {
        self.plane.save_etcd();
    }

    /// Puts the cluster's etcd back to the copy; nobody else may ask the API server meanwhile.
    #[track_caller]
    pub fn put_etcd_back(&self) {
        self.plane.put_etcd_back();
    }

    /// Returns all keys of etcd with their values, and the revision that they are of.
    pub fn etcd_contents(&self) -> (i64, Vec<(String, Vec<u8>)>) {
        self.plane.etcd_contents()
    }

    /// Returns everything that was put into etcd from a revision on, also what was overwritten or
    /// deleted since.
    pub fn etcd_history(&self, from: i64) -> Vec<(String, Vec<u8>)> {
        self.plane.etcd_history(from)
    }

    /// Returns somebody's requests about roster's kinds, as the API server's audit log has them.
    pub fn audited(&self, person: &str) -> Vec<Value> {
        self.plane.audited(person, &self.name)
    }

    /// Puts an object into etcd, behind the back of the API server and its schemas.
    pub fn put_into_etcd(&self, plural: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        self.plane.put_into_etcd(
            &format!("/registry/roster.rs/{plural}/{}/{name}", self.name),
            &object.to_string(),
        );
    }

    /// Asks for an object until a condition holds, and returns it as it then is.
    #[track_caller]
    pub fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let admin = self.admin();
        let mut last = None;
        let found = within(PATIENCE, || {
            last = admin.get(kind, name);
            last.clone().filter(&holds)
        });
        found.unwrap_or_else(|| {
            panic!("not within {PATIENCE:?}: {kind} {name} is {what}; it is\n{last:#?}")
        })
    }

    /// Asks for an object until the operator has looked at its present spec and `Ready` gives a
    /// reason.
    #[track_caller]
    pub fn until_reason(&self, kind: &str, name: &str, reason: &str) -> Value {
        self.until(kind, name, reason, |object| {
            let looked = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            looked && condition(object, "Ready")["reason"] == reason
        })
    }

    /// Asks for an object until its present spec is in force.
    #[track_caller]
    pub fn until_ready(&self, kind: &str, name: &str) -> Value {
        let object = self.until_reason(kind, name, "Reconciled");
        assert_eq!(condition(&object, "Ready")["status"], "True");
        object
    }

    /// Asks for Events until there is one with this reason, and returns it with its note.
    #[track_caller]
    pub fn until_event(&self, reason: &str) -> String {
        let path = r#"jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}"#;
        eventually(&format!("an Event says {reason}"), || {
            let events = self.kubectl(&["get", "events", "-o", path], "");
            events.stdout.lines().find(|line| line.starts_with(reason)).map(str::to_owned)
        })
    }

    /// Asks for an object until it is gone.
    #[track_caller]
    pub fn until_gone(&self, kind: &str, name: &str) {
        let admin = self.admin();
        eventually(&format!("{kind} {name} is gone"), || {
            admin.get(kind, name).is_none().then_some(())
        });
    }

    /// Creates an object as the administrator and, where it has a status, writes that as the
    /// operator.
    #[track_caller]
    pub fn has(&self, object: &Value) -> Value {
        let mut created = self.admin().create(object).expect("the object can be created");
        if let Some(status) = object.get("status") {
            let (kind, name) = (
                object["kind"].as_str().expect("a kind"),
                object["metadata"]["name"].as_str().expect("a name"),
            );
            created = self
                .operators_account()
                .patch_status(kind, name, status)
                .expect("the operator writes status");
        }
        created
    }
}

/// Returns an event of the audit log as `verb resource[/subresource] name`.
fn request_in_words(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = &event["objectRef"];
    let slash = if about["subresource"].is_string() { "/" } else { "" };
    let resource = text(&about["resource"]) + slash + &text(&about["subresource"]);
    format!("{} {resource} {}", text(&event["verb"]), text(&about["name"]))
}
