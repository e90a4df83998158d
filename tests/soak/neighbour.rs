//! A neighbour that gives its operator much to do: big loops, groups with long lists of
//! permissions, one Secret for many.

use roster_test_support::chaos::driver::PASSWORDS;
use roster_test_support::cluster::{Organization, Requester, With, domain, group, passed, user};
use roster_test_support::rng::Dice;
use serde_json::{Value, json};

use crate::ledger::{Fault, Ledger};

const GROUPS: usize = 6;
const SHARING: usize = 8;
const SECRET: &str = "shared-password";

/// The neighbour.
pub(crate) struct Neighbour<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) ledger: &'a Ledger,
    /// How many people it has.
    pub(crate) people: usize,
}

fn name(number: usize) -> String {
    format!("noise-{number}")
}

fn permissions(from: usize) -> Value {
    (0..200).map(|number| format!("noise:p{}", from + number)).collect::<Vec<_>>().into()
}

impl Neighbour<'_> {
    #[track_caller]
    pub(crate) fn declare(organization: &Organization, people: usize) {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&user("ada").with("/spec/groupRef/name", "administrators")));
        passed(admin.create(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "type": "roster.rs/password",
            "stringData": {"password": PASSWORDS[0]},
        })));
        for number in 0..GROUPS {
            passed(admin.create(
                &group(&format!("noise-{number}")).with("/spec/permissions", permissions(number)),
            ));
        }
        for number in 0..people {
            let mut person = user(&name(number))
                .with("/spec/groupRef/name", format!("noise-{}", number % GROUPS));
            if number < SHARING {
                person = person.with("/spec/passwordSecretRef", json!({"name": SECRET}));
            }
            passed(admin.create(
                &person.with("/spec/permissions/grants", json!([format!("noise:own{number}")])),
            ));
        }
    }

    /// Gives the operator something to do.
    pub(crate) fn strike(&self, dice: &mut Dice) {
        let admin = self.organization.admin();
        match dice.below(4) {
            0 | 1 => self.ledger.during(Fault::LoopsFormed, || {
                let length = 2 + dice.below(self.people - 1);
                for number in 0..length {
                    inherit(&admin, number, Some((number + 1) % length));
                }
                std::thread::sleep(dice.time(200..3000));
                // One who leaves ends it for all; the line that is left may be too long.
                for number in 0..length {
                    inherit(&admin, number, None);
                }
            }),
            2 => self.ledger.during(Fault::PermissionsOfGroups, || {
                for number in 0..GROUPS {
                    let patch = json!({"spec": {"permissions": permissions(dice.below(1000))}});
                    passed(admin.patch("UserGroup", &format!("noise-{number}"), &patch));
                }
                std::thread::sleep(dice.time(200..2000));
            }),
            _ => self.ledger.during(Fault::SharedSecret, || {
                let password = format!("{} {}", dice.choice(&PASSWORDS), dice.below(1_000_000));
                passed(admin.patch(
                    "Secret",
                    SECRET,
                    &json!({"stringData": {"password": password}}),
                ));
                std::thread::sleep(dice.time(500..4000));
            }),
        }
    }

    /// Leaves nobody on a loop.
    pub(crate) fn calm(&self) {
        let admin = self.organization.admin();
        (0..self.people).for_each(|number| inherit(&admin, number, None));
    }
}

fn inherit(admin: &Requester, number: usize, from: Option<usize>) {
    let from = from.map_or(Value::Null, |other| json!({"name": name(other), "mode": "Inherit"}));
    passed(admin.patch("User", &name(number), &json!({"spec": {"permissions": {"from": from}}})));
}
