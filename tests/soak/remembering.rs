//! An operator that nothing restarts: alone on a store in a file it has no Lease to lose, so that
//! what it remembers of objects may outlive their own past.

use std::time::Duration;

use roster_test_support::cluster::replica::Replica;
use roster_test_support::cluster::{
    Organization, Requester, With, condition, domain, eventually, passed, run_roster, user, within,
};
use serde_json::{Value, json};

use crate::ledger::{Ledger, NOTICES};

/// How long after it should have noticed that etcd was put back what follows from it may take.
const FOLLOWS: Duration = Duration::from_secs(20);

/// Who is deleted before etcd is put back.
const DELETED: &str = "dan";

/// The operator, and its organization.
pub(crate) struct Remembering<'a> {
    organization: Organization,
    ledger: &'a Ledger,
    replica: Replica,
    store: String,
}

impl<'a> Remembering<'a> {
    /// Starts the operator, and waits until everybody has an account.
    #[track_caller]
    pub(crate) fn start(organization: Organization, ledger: &'a Ledger) -> Self {
        let store = format!("sqlite://{}?mode=rwc", organization.file("remembering.db").display());
        let kubeconfig = organization.file("remembering.kubeconfig");
        std::fs::write(&kubeconfig, organization.operators_kubeconfig())
            .expect("the kubeconfig can be written");
        let replica = Replica::start_at(
            &organization,
            &kubeconfig,
            &store,
            &["--namespace", &organization.name],
        );
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&user("ada").with("/spec/groupRef/name", "administrators")));
        passed(admin.create(&user("ann").with("/spec/permissions/grants", json!(["orders:read"]))));
        passed(admin.create(&user(DELETED).with("/spec/deletionProtection", "Disabled")));
        for name in ["ada", "ann", DELETED] {
            eventually(&format!("{name} is Ready"), || is_ready(&admin, name).then_some(()));
        }
        Self { organization, ledger, replica, store }
    }

    /// Grants and deletes something that etcd is about to forget.
    pub(crate) fn before(&self) {
        let admin = self.organization.admin();
        passed(admin.patch("User", "ann", &grants(&["orders:read", "payroll:read"])));
        passed(admin.delete("User", DELETED));
        self.ledger.awaited("O7 put back", "what is to be forgotten is in force", || {
            (self.has("payroll:read") && admin.get("User", DELETED).is_none()).then_some(())
        });
    }

    /// Expects that what etcd has now is in force, and leaves everything as it was before.
    pub(crate) fn after(&self) {
        let admin = self.organization.admin();
        let expected = |what: &str, holds: &dyn Fn() -> bool| {
            let held = within(NOTICES + FOLLOWS, || holds().then_some(()));
            let complaint = held.is_none().then(|| {
                format!("not within {NOTICES:?} and {FOLLOWS:?} after etcd was put back: {what}")
            });
            self.ledger.judged("O7 put back", complaint.into_iter().collect());
            held
        };
        let is_lost = || {
            admin
                .get("User", DELETED)
                .is_some_and(|user| condition(&user, "Ready")["reason"] == "AccountLost")
        };
        let seen_off = || {
            expected("nobody has what isn't declared any more", &|| !self.has("payroll:read"))?;
            expected("whose account was deleted says that it is lost", &is_lost)?;
            passed(admin.patch("User", "ann", &json!({"spec": {"role": "After"}})));
            expected("an edit is applied", &|| self.users().contains("\"After\""))?;
            passed(admin.patch("User", "ann", &json!({"spec": {"role": null}})));
            passed(admin.delete("User", DELETED));
            expected("who was lost goes", &|| admin.get("User", DELETED).is_none())
        };
        if seen_off().is_some() {
            passed(admin.create(&user(DELETED).with("/spec/deletionProtection", "Disabled")));
            expected("who was lost has a new account", &|| is_ready(&admin, DELETED));
        }
        self.ledger.judged(
            "healthz",
            if self.replica.is_alive() {
                vec![]
            } else {
                vec!["an operator alone isn't alive".to_owned()]
            },
        );
    }

    fn users(&self) -> String {
        run_roster(&["users", "-o", "json", "--store", &self.store], "").stdout
    }

    fn has(&self, permission: &str) -> bool {
        self.users().contains(permission)
    }
}

fn grants(grants: &[&str]) -> Value {
    json!({"spec": {"permissions": {"grants": grants}}})
}

fn is_ready(admin: &Requester, name: &str) -> bool {
    admin.get("User", name).is_some_and(|user| condition(&user, "Ready")["status"] == "True")
}
