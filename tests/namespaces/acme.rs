//! An organization with one of everything that hangs on something else.

use roster_test_support::cluster::{
    Operator, Organization, Requester, With, domain, eventually, group, passed, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

/// Who has an account, sources before their heirs. Ivan waits for what his Secret is for, or has
/// one more.
pub(crate) const PEOPLE: [&str; 11] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "judy", "kim", "leo"];

/// A running organization, and how many accounts it has.
pub(crate) struct Acme {
    pub(crate) organization: Organization,
    pub(crate) operator: Operator,
}

impl Acme {
    /// Starts an organization where nobody is protected, and waits until everybody has an account.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::of(CLUSTER.organization())
    }

    /// Fills a namespace that was just created.
    #[track_caller]
    pub(crate) fn of(organization: Organization) -> Self {
        let operator = Operator::start(&organization);
        let acme = Self { organization, operator };
        acme.fill();
        acme
    }

    /// Creates everything, and waits until everybody has an account.
    #[track_caller]
    pub(crate) fn fill(&self) {
        let admin = self.organization.admin();
        let crew = passed(admin.create(
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "crew"}}),
        ));
        let mut objects = objects();
        objects.push(owned_by(&crew, unprotected("leo")));
        objects.iter().for_each(|object| drop(passed(admin.create(object))));
        PEOPLE.iter().for_each(|name| drop(self.organization.until_ready("User", name)));
        passed(admin.patch(
            "User",
            "frank",
            &json!({"spec": {"permissions": {"from": {"name": "erin", "mode": "Inherit"}}}}),
        ));
        self.organization.until_reason("User", "frank", "InheritanceCycle");
        self.organization.until("User", "ivan", "looked at", |ivan| {
            ivan["status"]["observedGeneration"] == ivan["metadata"]["generation"]
        });
    }

    /// Returns the ids of everybody's accounts.
    pub(crate) fn account_ids(&self) -> Vec<String> {
        let admin = self.organization.admin();
        let user = |name: &&str| admin.get("User", name).expect("it is there");
        PEOPLE
            .iter()
            .map(user)
            .map(|user| user["status"]["accountId"].as_str().expect("an account").to_owned())
            .collect()
    }

    /// Begins to delete the namespace, and waits until the policies know.
    #[track_caller]
    pub(crate) fn delete(&self) {
        passed(self.organization.admin().delete("Namespace", &self.organization.name));
        let editor = self.editor().dry_run();
        eventually("the policies know that the namespace goes", || {
            match editor.delete("User", "leo") {
                Err(refusal) if refusal.code != 404 => None,
                _ => Some(()),
            }
        });
    }

    /// Returns somebody with no verb of roster's own.
    pub(crate) fn editor(&self) -> Requester {
        self.organization.as_member("edda", &["editors"])
    }

    /// Waits until the namespace is gone, and looks that it has left nothing but ended lifetimes.
    #[track_caller]
    pub(crate) fn is_gone_for_good(&self) {
        self.organization.until_gone("Namespace", &self.organization.name);
        assert!(self.operator.users().is_empty());
        assert!(self.operator.count("SELECT count(*) FROM lifetimes") >= PEOPLE.len() as i64);
        assert_eq!(
            self.operator.count("SELECT count(*) FROM lifetimes WHERE deleted_at IS NULL"),
            0
        );
        assert_eq!(
            self.operator
                .count("SELECT (SELECT count(*) FROM groups) + (SELECT count(*) FROM domains)"),
            0
        );
    }
}

/// Returns a `User` that may be deleted.
pub(crate) fn unprotected(name: &str) -> Value {
    user(name).with("/spec/deletionProtection", "Disabled")
}

/// Returns an object that names another as its owner.
pub(crate) fn owned_by(owner: &Value, object: Value) -> Value {
    let part = |pointer: &str| owner.pointer(pointer).expect("an object that was created").clone();
    let (version, kind) = (part("/apiVersion"), part("/kind"));
    let owner = json!({"apiVersion": version, "kind": kind, "name": part("/metadata/name"), "uid": part("/metadata/uid")});
    object.with("/metadata/ownerReferences", json!([owner]))
}

fn objects() -> Vec<Value> {
    let from = |name: &str, source: &str, mode: &str| {
        unprotected(name).with("/spec/permissions", json!({"from": {"name": source, "mode": mode}}))
    };
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ivan-password"}, "type": "roster.rs/password",
        "stringData": {"password": "nine lorries leave at dawn"},
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "administrators"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "roster-administrator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "rita"}],
    });
    vec![
        secret,
        binding,
        domain("acme.example"),
        domain("depots.acme.example"),
        group("dispatchers").with("/spec/permissions", json!(["routes:plan"])),
        unprotected("alice").with("/spec/groupRef/name", "administrators"),
        unprotected("bob").with("/spec/permissions", json!({"grants": ["orders:read"]})),
        from("carol", "bob", "Inherit"),
        from("dave", "carol", "Inherit"),
        from("erin", "frank", "Inherit"),
        unprotected("frank").with("/spec/permissions", json!({"grants": ["cases:read"]})),
        from("grace", "bob", "Clone"),
        unprotected("heidi").with("/spec/copyOf", json!({"name": "bob"})).without("/spec/email"),
        unprotected("ivan").with("/spec/passwordSecretRef", json!({"name": "ivan-password"})),
        unprotected("judy")
            .with("/spec/state", "Disabled")
            .with("/spec/groupRef/name", "dispatchers"),
        unprotected("kim").with("/spec/email", "kim@depots.acme.example"),
    ]
}
