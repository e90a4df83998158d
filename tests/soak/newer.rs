//! Objects as a newer version writes them: with values that this one doesn't know.

use std::collections::BTreeSet;
use std::time::Instant;

use roster_test_support::cluster::{Organization, With, group, passed, run, user};
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use serde_json::{Value, json};

use crate::ledger::{Fault, Ledger};
use crate::sampler::held;

const PERSON: &str = "newton";
const HEIR: &str = "protege";
const GROUP: &str = "yard";

/// An organization in which a newer version has been at work.
pub(crate) struct Newer<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) database: &'a Database,
    pub(crate) ledger: &'a Ledger,
    /// The number of the team that works for it.
    pub(crate) team: usize,
}

impl Newer<'_> {
    #[track_caller]
    pub(crate) fn declare(organization: &Organization) {
        let admin = organization.admin();
        passed(
            admin.create(
                &group(GROUP).with("/spec/permissions", json!(["yard:enter", "yard:leave"])),
            ),
        );
        let person = user(PERSON).with("/spec/groupRef/name", GROUP);
        passed(admin.create(
            &person.with("/spec/permissions", json!({"grants": ["cases:read", "orders:read"]})),
        ));
        let from = json!({"from": {"name": PERSON, "mode": "Inherit"}});
        passed(admin.create(&user(HEIR).with("/spec/permissions", from)));
    }

    /// Writes something that this version doesn't know, takes something away, and puts everything
    /// right again.
    pub(crate) fn strike(&self, dice: &mut Dice) {
        match dice.below(3) {
            0 => self.ledger.during(Fault::NewerSpec, || self.spec_of_user(dice)),
            1 => self.ledger.during(Fault::NewerSpec, || self.spec_of_group()),
            _ => self.ledger.during(Fault::NewerStatus, || self.status()),
        }
    }

    fn spec_of_user(&self, dice: &mut Dice) {
        let (pointer, value) = [
            ("/spec/state", json!("Suspended")),
            ("/spec/deletionPolicy", json!("Archive")),
            ("/spec/deletionProtection", json!("Partial")),
            ("/spec/permissions/from", json!({"name": "ada", "mode": "Follow"})),
        ][dice.below(4)]
        .clone();
        let whole = self.organization.admin().get("User", PERSON).expect("it is there");
        let taken = whole
            .clone()
            .with("/spec/permissions/grants", json!(["orders:read"]))
            .with(pointer, value);
        self.put("users", &taken);
        self.until(&[PERSON, HEIR], "cases:read", false, pointer);
        self.put("users", &whole);
        self.until(&[PERSON, HEIR], "cases:read", true, "nothing");
    }

    fn spec_of_group(&self) {
        let whole = self.organization.admin().get("UserGroup", GROUP).expect("it is there");
        let taken = whole.clone().with("/spec/permissions", json!(["yard:leave"]));
        self.put("usergroups", &taken.with("/spec/selfService", json!(["Name", "Pronouns"])));
        self.until(&[PERSON], "yard:enter", false, "/spec/selfService");
        self.put("usergroups", &whole);
        self.until(&[PERSON], "yard:enter", true, "nothing");
    }

    fn status(&self) {
        let admin = self.organization.admin();
        let person = admin.get("User", PERSON).expect("it is there");
        let newer = person
            .with("/status/state", "Archived")
            .with("/status/transaction/type", "Merge")
            .with("/status/transaction/state", "Merging")
            .with("/status/permissions/source", "Delegated");
        self.organization.put_into_etcd("users", &newer);
        let grant = |grants: Value| json!({"spec": {"permissions": {"grants": grants}}});
        passed(admin.patch("User", PERSON, &grant(json!(["orders:read"]))));
        self.until(&[PERSON, HEIR], "cases:read", false, "/status");
        passed(admin.patch("User", PERSON, &grant(json!(["cases:read", "orders:read"]))));
        self.until(&[PERSON, HEIR], "cases:read", true, "nothing");
    }

    /// Puts an object into etcd as a newer API server would, after whatever was written meanwhile.
    fn put(&self, plural: &str, object: &Value) {
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        let now = self.organization.admin().get(kind, name).expect("it is there");
        let generation = now["metadata"]["generation"].as_i64().expect("a generation") + 1;
        let object =
            now.with("/spec", object["spec"].clone()).with("/metadata/generation", generation);
        self.organization.put_into_etcd(plural, &object);
    }

    fn until(&self, names: &[&str], permission: &str, there: bool, unknown: &str) {
        let (begun, beside, mut connection) = (Instant::now(), self.ledger.active(), None);
        let what = format!("{names:?} have {permission}: {there}, where {unknown} is unknown");
        let answer = self.ledger.awaited("O7 newer objects", &what, || {
            let held = run(held(self.database, &mut connection))?;
            let ours = held.iter().filter(|held| held.namespace == self.organization.name);
            let with: BTreeSet<&str> = ours
                .filter(|held| held.permissions.contains(permission))
                .map(|held| held.owner.as_str())
                .collect();
            names.iter().all(|name| with.contains(name) == there).then_some(())
        });
        if answer.is_some() && !there {
            self.ledger.measured(self.team, true, begun, beside);
        }
    }
}
