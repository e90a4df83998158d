//! A namespace that is deleted, with an administrator, members and an account that was left behind
//! in it, and comes back.

use std::collections::BTreeSet;

use roster_test_support::cluster::{
    Organization, Requester, With, condition, domain, group, passed, run, user,
};
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use serde_json::json;

use crate::ledger::{Fault, Ledger};
use crate::rules;
use crate::sampler::held;

/// Whose account is left behind.
pub(crate) const RELEASED: &str = "kept";

/// The namespace, and where its accounts are.
pub(crate) struct Going<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) database: &'a Database,
    pub(crate) ledger: &'a Ledger,
}

impl Going<'_> {
    /// Fills the namespace, deletes it with its objects in any order, and waits until it is gone;
    /// then it is there again.
    pub(crate) fn strike(&self, dice: &mut Dice) {
        let (admin, name) = (self.organization.admin(), self.organization.name.as_str());
        let unprotected = |name: &str| user(name).with("/spec/deletionProtection", "Disabled");
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&group("guards").with("/spec/permissions", json!(["vault:open"]))));
        passed(admin.create(&unprotected("ada").with("/spec/groupRef/name", "administrators")));
        passed(admin.create(&unprotected("bob").with("/spec/groupRef/name", "guards")));
        let from = json!({"from": {"name": "bob", "mode": "Inherit"}});
        passed(admin.create(&unprotected("carol").with("/spec/permissions", from)));
        passed(
            admin.create(
                &unprotected(RELEASED)
                    .with("/spec/groupRef/name", "guards")
                    .with("/spec/deletionPolicy", "Retain"),
            ),
        );
        for name in ["ada", "bob", "carol", RELEASED] {
            let ready = || {
                let user = admin.get("User", name)?;
                (condition(&user, "Ready")["status"] == "True").then_some(())
            };
            if self
                .ledger
                .awaited(
                    "O1 namespace",
                    &format!("{name} of the namespace that goes is Ready"),
                    ready,
                )
                .is_none()
            {
                return;
            }
        }
        passed(admin.delete("User", RELEASED));
        self.ledger.awaited("O1 namespace", "the released User is gone", || {
            admin.get("User", RELEASED).is_none().then_some(())
        });
        let gone = self.ledger.during(Fault::NamespaceDeleted, || {
            let mut objects = vec![
                ("User", "ada"),
                ("User", "bob"),
                ("User", "carol"),
                ("UserGroup", "guards"),
                ("OrgEmailDomain", "acme.example"),
            ];
            // Some go before the namespace does, in any order; some with it.
            let before = dice.below(objects.len());
            delete_some(&admin, &mut objects, before, dice);
            passed(admin.delete("Namespace", name));
            let beside = dice.below(objects.len() + 1);
            delete_some(&admin, &mut objects, beside, dice);
            self.ledger.awaited("O17 namespace", "a namespace that is deleted goes", || {
                admin.get("Namespace", name).is_none().then_some(())
            })
        });
        if gone.is_none() {
            return;
        }
        let mut connection = None;
        self.ledger.awaited(
            "O17 namespace",
            "the accounts of a namespace that is gone are gone",
            || {
                let held = run(held(self.database, &mut connection))?;
                let left = rules::left_behind(&held, name, &BTreeSet::from([RELEASED.to_owned()]));
                left.is_empty().then_some(())
            },
        );
        let again = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.ledger.awaited("O17 namespace", "the namespace can be created again", || {
            admin.create(&again).ok()
        });
    }
}

fn delete_some(
    admin: &Requester,
    objects: &mut Vec<(&'static str, &'static str)>,
    count: usize,
    dice: &mut Dice,
) {
    for _ in 0..count {
        let (kind, name) = objects.remove(dice.below(objects.len()));
        match admin.delete(kind, name) {
            // What others still need, and what went with the namespace, isn't to be deleted by us.
            Err(refusal) if ![403, 404, 409, 422].contains(&refusal.code) => {
                panic!("{kind} {name}: {refusal:?}")
            }
            _ => {}
        }
    }
}
