//! Accounts that are left behind, and somebody with fewer rights who declares a `User` of their
//! name.

use roster_test_support::cluster::{
    Organization, Requester, With, condition, domain, group, passed, run, user, within,
};
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use serde_json::{Value, json};

use crate::ledger::{Fault, Ledger, PATIENCE};
use crate::rules::Held;
use crate::sampler::held;

/// What those have whose accounts are left behind.
const PERMISSIONS: [&str; 2] = ["vault:close", "vault:open"];

/// An organization that leaves accounts behind.
pub(crate) struct LeftBehind<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) database: &'a Database,
    pub(crate) ledger: &'a Ledger,
}

impl LeftBehind<'_> {
    /// Declares the group whose members are left behind, and who may administer two others: one
    /// that isn't there, and `users`.
    #[track_caller]
    pub(crate) fn declare(organization: &Organization) {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&user("ada").with("/spec/groupRef/name", "administrators")));
        passed(admin.create(&group("guards").with("/spec/permissions", json!(["vault:open"]))));
        let api = "rbac.authorization.k8s.io";
        let rule = json!({"apiGroups": ["roster.rs"], "resources": ["usergroups"], "resourceNames": ["ghosts"], "verbs": ["administer"]});
        passed(admin.create(&json!({
            "apiVersion": format!("{api}/v1"), "kind": "ClusterRole", "metadata": {"name": "ghost-keeper"}, "rules": [rule],
        })));
        passed(admin.create(&json!({
            "apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "ghost-keepers"},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "ghost-keeper"},
            "subjects": [{"apiGroup": api, "kind": "Group", "name": "ghost-keepers"}],
        })));
    }

    /// Leaves an account behind, has somebody reach for it, and cleans up.
    pub(crate) fn strike(&self, number: usize, dice: &mut Dice) {
        let (admin, name) = (self.organization.admin(), format!("keeper-{number}"));
        let keeper = user(&name)
            .with("/spec/groupRef/name", "guards")
            .with("/spec/permissions", json!({"grants": ["vault:close"]}))
            .with("/spec/deletionPolicy", "Retain");
        passed(admin.create(&keeper));
        if self.until_ready(&admin, &name).is_none() {
            return;
        }
        self.delete(&admin, &name);
        self.ledger.during(Fault::AccountLeftBehind, || {
            let thief =
                self.organization.as_member("gil", &["helpdesk", "approvers", "ghost-keepers"]);
            let group = dice.choice(&["users", "ghosts"]);
            let declared = user(&name)
                .with("/spec/groupRef/name", group)
                .with("/spec/deletionProtection", "Disabled");
            // Whoever is turned away by a policy has nothing either.
            let Ok(declared) = thief.create(&declared) else { return };
            let mut connection = None;
            let reached = within(dice.time(1500..4000), || {
                let held = run(held(self.database, &mut connection))?;
                Some(reached(&held, &declared)).filter(|reached| !reached.is_empty())
            });
            self.ledger.judged("O7 left behind", reached.unwrap_or_default());
            self.delete(&admin, &name);
        });
        // Whoever may, takes it back, and deletes it with its `User`.
        let keeper = keeper
            .with("/spec/deletionPolicy", "Delete")
            .with("/spec/deletionProtection", "Disabled");
        passed(admin.create(&keeper));
        if self.until_ready(&admin, &name).is_some() {
            self.delete(&admin, &name);
        }
    }

    fn until_ready(&self, admin: &Requester, name: &str) -> Option<()> {
        let mut last = None;
        let ready = within(PATIENCE, || {
            last = admin.get("User", name);
            let user = last.as_ref()?;
            let looked = user["status"]["observedGeneration"] == user["metadata"]["generation"];
            (looked && condition(user, "Ready")["status"] == "True").then_some(())
        });
        let complaint = ready.is_none().then(|| {
            format!(
                "{name} isn't Ready within {PATIENCE:?}: {}",
                last.unwrap_or_default()["status"]
            )
        });
        self.ledger.judged("O1 left behind", complaint.into_iter().collect());
        ready
    }

    fn delete(&self, admin: &Requester, name: &str) {
        passed(admin.delete("User", name));
        self.ledger.awaited("O1 left behind", &format!("{name} is gone"), || {
            admin.get("User", name).is_none().then_some(())
        });
    }
}

/// O7, O9: an account that was left behind is taken whole, as was authorized, or not at all.
pub(crate) fn reached(held: &[Held], thief: &Value) -> Vec<String> {
    let uid = thief["metadata"]["uid"].as_str().expect("a uid");
    let taken = held.iter().filter(|held| {
        held.owner_uid == uid && PERMISSIONS.iter().any(|one| held.permissions.contains(*one))
    });
    taken
        .map(|held| {
            let group = &thief["spec"]["groupRef"]["name"];
            format!(
                "a User of the group {group} took the account of {}, with {:?}",
                held.owner, held.permissions
            )
        })
        .collect()
}
