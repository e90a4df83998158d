//! The people of an organization, whom a driver changes at random, and what has to hold of them.

use std::collections::BTreeMap;

use roster_test_support::cluster::{
    Organization, Requester, With, condition, domain, group, passed, run_roster, user,
};
use roster_test_support::rng::Dice;
use serde_json::{Value, json};

const PEOPLE: [&str; 5] = ["ann", "ben", "cat", "dan", "eve"];
const GRANTS: [&str; 3] = ["cases:read", "orders:read", "payroll:read"];

/// The people of an organization.
pub(crate) struct People {
    admin: Requester,
    namespace: String,
    store: String,
    changes: u64,
}

impl People {
    /// Declares a group and a domain, and nobody yet.
    pub(crate) fn found(organization: &Organization, store: &str) -> Self {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&group("drivers").with("/spec/permissions", json!(["routes:read"]))));
        Self { admin, namespace: organization.name.clone(), store: store.to_owned(), changes: 0 }
    }

    /// Changes something of somebody, several times.
    pub(crate) fn change(&mut self, dice: &mut Dice, times: usize) {
        for _ in 0..times {
            self.changes += 1;
            let name = dice.choice(&PEOPLE);
            let grants: Vec<&str> = GRANTS.into_iter().filter(|_| dice.below(2) == 0).collect();
            let spec = match dice.below(7) {
                0 | 1 => json!({"permissions": {"grants": grants}}),
                2 => json!({"state": "Disabled"}),
                3 => json!({"state": "Enabled"}),
                4 => {
                    json!({"groupRef": {"name": if dice.below(2) == 0 { "drivers" } else { "users" }}})
                }
                5 => json!({"role": format!("role {}", self.changes)}),
                _ => {
                    // One that is going already isn't there, or is gone by now.
                    let _ = self.admin.delete("User", name);
                    continue;
                }
            };
            match self.admin.get("User", name) {
                Some(there) if there["metadata"]["deletionTimestamp"].is_string() => {}
                // Until it has its account, it may have to ask for the group of one to take back.
                Some(there)
                    if spec["groupRef"].is_object()
                        && !there["status"]["accountId"].is_string() => {}
                Some(_) => drop(self.admin.patch("User", name, &json!({"spec": spec}))),
                None => {
                    let declared = user(name).with("/spec/deletionProtection", "Disabled");
                    let declared = declared.with("/spec/permissions", json!({"grants": grants}));
                    // Whoever was put back to before their User has an account, which only a User
                    // of its group takes back.
                    let group = self
                        .accounts()
                        .get(name)
                        .map_or(json!("users"), |account| account["group"].clone());
                    drop(self.admin.create(&declared.with("/spec/groupRef/name", group)));
                }
            }
        }
    }

    /// Returns what of the accounts isn't as it is declared now, and who says nothing of it.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let accounts = self.accounts();
        let mut complaints = vec![];
        for name in PEOPLE {
            let Some(declared) = self.admin.get("User", name) else { continue };
            let ready = condition(&declared, "Ready");
            if declared["metadata"]["deletionTimestamp"].is_string() {
                complaints.push(format!("{name} is still there, though deleted: {ready}"));
                continue;
            }
            if declared["status"]["observedGeneration"] != declared["metadata"]["generation"] {
                complaints.push(format!("{name} wasn't looked at: {ready}"));
                continue;
            }
            if ready["reason"] == "AccountLost" {
                continue;
            }
            let Some(account) = accounts.get(name) else {
                complaints.push(format!("{name} has no account: {ready}"));
                continue;
            };
            if ready["status"] != "True" {
                complaints.push(format!("{name} isn't ready: {ready}"));
            }
            complaints.extend(
                difference(&declared["spec"], account)
                    .map(|difference| format!("{name}: {difference}")),
            );
        }
        complaints
    }

    /// Deletes those whose accounts are lost, as their message says.
    pub(crate) fn begin_anew(&self) {
        for name in PEOPLE {
            let Some(declared) = self.admin.get("User", name) else { continue };
            let ready = condition(&declared, "Ready");
            if ready["reason"] == "AccountLost" {
                let message = ready["message"].as_str().unwrap_or_default();
                assert!(message.contains("create it anew"), "{message}");
                passed(self.admin.delete("User", name));
            }
        }
    }

    fn accounts(&self) -> BTreeMap<String, Value> {
        let printed =
            run_roster(&["users", "-o", "json", "--store", &self.store], "").expect_success();
        let accounts: Vec<Value> =
            serde_json::from_str(&printed).expect("roster users prints JSON");
        let mine = accounts
            .into_iter()
            .filter(|account| account["organization"] == self.namespace.as_str());
        let name = |account: &Value| {
            account["loginName"]
                .as_str()
                .and_then(|login| Some(login.split_once('.')?.0.to_owned()))
        };
        mine.map(|account| (name(&account).expect("a login name"), account)).collect()
    }
}

/// Returns how an account differs from what is declared, if it does.
fn difference(spec: &Value, account: &Value) -> Option<String> {
    let mut expected: Vec<&str> = spec["permissions"]["grants"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let group = spec["groupRef"]["name"].as_str().unwrap_or("users");
    expected.extend((group == "drivers").then_some("routes:read"));
    expected.sort_unstable();
    let state = spec["state"].as_str().unwrap_or("Enabled");
    let wanted =
        json!({"group": group, "state": state, "role": spec["role"], "permissions": expected});
    let found = json!({
        "group": account["group"], "state": account["state"], "role": account["role"], "permissions": account["permissions"],
    });
    (wanted != found).then(|| format!("declared {wanted}, in force {found}"))
}
