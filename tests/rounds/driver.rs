//! Somebody who keeps changing what an organization declares, and remembers what was asked for and said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::oracles::{Declared, Said};
use crate::support::{Organization, Requester, With, domain, eventually, group, passed, run, user};

/// How many people come and go.
const PEOPLE: usize = 8;

/// How many of them have a password.
const WITH_PASSWORDS: usize = 2;

/// Who is in control and stays; somebody follows their permissions.
const ROOT: &str = "root";

/// Who is refused for good, and for which reason.
const REFUSED: [(&str, &str); 2] = [("mallory", "DomainNotAllowed"), ("trent", "ChargeNotApproved")];

const GRANTS: [&str; 4] = ["orders:read", "orders:write", "cases:read", "routes:plan"];
const GROUPS: [&str; 3] = ["users", "dispatchers", "administrators"];
const PASSWORDS: [&str; 3] = ["nine lorries leave at dawn", "seven foxes guard the mill", "eleven violins under water"];

/// A person as declared now.
#[derive(Clone, Debug)]
struct Person {
    name: String,
    stage: Stage,
    email: String,
    disabled: bool,
    password: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Declared,
    Leaving,
}

/// Somebody who keeps changing an organization.
pub(crate) struct Driver {
    admin: Requester,
    people: Vec<Person>,
    dice: Dice,
    /// How many changes were asked for, which makes addresses and passwords new.
    changes: usize,
    said: BTreeSet<Said>,
    seen: BTreeSet<String>,
    asked_for: BTreeSet<String>,
}

impl Driver {
    /// Declares what stays, and nobody else yet.
    #[track_caller]
    pub(crate) fn new(organization: &Organization, dice: Dice) -> Self {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&group("dispatchers").with("/spec/permissions", json!(["routes:plan"]))));
        let root = user(ROOT).with("/spec/groupRef/name", "administrators");
        passed(admin.create(&root.with("/spec/permissions", json!({"grants": ["orders:read"]}))));
        let from = json!({"from": {"name": ROOT, "mode": "Inherit"}});
        passed(admin.create(&user("heir").with("/spec/permissions", from)));
        passed(admin.create(&user(REFUSED[0].0).with("/spec/email", "mallory@elsewhere.example")));
        passed(admin.create(&user(REFUSED[1].0).with("/spec/chargeApproved", false)));
        let people = (0..PEOPLE).map(|number| Person {
            name: format!("person-{number}"),
            stage: Stage::Absent,
            email: String::new(),
            disabled: false,
            password: (number < WITH_PASSWORDS).then(|| PASSWORDS[0].to_owned()),
        });
        let people: Vec<Person> = people.collect();
        for person in people.iter().filter(|person| person.password.is_some()) {
            passed(admin.create(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret_of(&person.name)}, "type": "roster.rs/password",
                "stringData": {"password": PASSWORDS[0]},
            })));
        }
        let mut driver = Self {
            admin,
            people,
            dice,
            changes: 0,
            said: BTreeSet::new(),
            seen: BTreeSet::new(),
            asked_for: [ROOT, "heir"].map(|name| login(organization, name)).into(),
        };
        (0..PEOPLE).for_each(|number| driver.create(number));
        driver
    }

    /// Changes something now and then until told to stop.
    pub(crate) fn drive(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.change();
            std::thread::sleep(self.dice.time(20..150));
        }
    }

    /// Returns how many changes were asked for.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    fn change(&mut self) {
        self.changes += 1;
        let number = self.dice.below(PEOPLE);
        match self.people[number].stage {
            Stage::Absent => self.create(number),
            Stage::Leaving => self.see_off(number),
            Stage::Declared => match self.dice.below(16) {
                0..3 => {
                    let grants = self.some_grants();
                    self.edit(number, &json!({"permissions": {"grants": grants}}));
                }
                3..6 => {
                    let email = format!("person-{number}-{}@acme.example", self.changes);
                    self.edit(number, &json!({"email": email}));
                    self.people[number].email = email;
                }
                6..8 => self.switch(number),
                8..10 => self.delete(number),
                10..12 => self.swap(number),
                12 => {
                    let group = self.dice.choice(&GROUPS);
                    self.edit(number, &json!({"groupRef": {"name": group}}));
                }
                13 => self.rotate(number),
                14 => {
                    let grants = self.some_grants();
                    self.patch("User", ROOT, &json!({"spec": {"permissions": {"grants": grants}}}));
                }
                _ => {
                    let permissions = self.some_grants();
                    self.patch("UserGroup", "dispatchers", &json!({"spec": {"permissions": permissions}}));
                }
            },
        }
    }

    fn some_grants(&mut self) -> Vec<&'static str> {
        GRANTS.into_iter().filter(|_| self.dice.below(2) == 0).collect()
    }

    fn create(&mut self, number: usize) {
        let person = &mut self.people[number];
        person.stage = Stage::Declared;
        person.email = format!("{}-{}@acme.example", person.name, self.changes);
        person.disabled = false;
        let mut declared = user(&person.name).with("/spec/email", person.email.as_str());
        declared = declared.with("/spec/deletionProtection", "Disabled");
        if person.password.is_some() {
            declared = declared.with("/spec/passwordSecretRef", json!({"name": secret_of(&person.name)}));
        }
        self.asked_for.insert(format!("{}.{}", person.name, self.admin.namespace()));
        let created = passed(self.admin.create(&declared));
        self.note(&created);
    }

    fn edit(&mut self, number: usize, spec: &Value) {
        let name = self.people[number].name.clone();
        self.patch("User", &name, &json!({"spec": spec}));
    }

    fn patch(&mut self, kind: &str, name: &str, patch: &Value) {
        let patched = passed(self.admin.patch(kind, name, patch));
        if kind == "User" {
            self.note(&patched);
        }
    }

    fn switch(&mut self, number: usize) {
        let disabled = !self.people[number].disabled;
        self.people[number].disabled = disabled;
        self.edit(number, &json!({"state": if disabled { "Disabled" } else { "Enabled" }}));
    }

    fn delete(&mut self, number: usize) {
        let name = self.people[number].name.clone();
        self.people[number].stage = Stage::Leaving;
        // What it said last isn't to be missed.
        self.admin.get("User", &name).iter().for_each(|user| self.note(user));
        passed(self.admin.delete("User", &name));
    }

    /// Sees whether somebody who was deleted is gone.
    fn see_off(&mut self, number: usize) {
        match self.admin.get("User", &self.people[number].name) {
            Some(user) => self.note(&user),
            None => self.people[number].stage = Stage::Absent,
        }
    }

    /// Has two people swap their addresses, one after the other.
    fn swap(&mut self, number: usize) {
        let other = self.dice.below(PEOPLE);
        if other == number || self.people[other].stage != Stage::Declared {
            return;
        }
        let (theirs, others) = (self.people[number].email.clone(), self.people[other].email.clone());
        self.edit(number, &json!({"email": others}));
        self.edit(other, &json!({"email": theirs}));
        (self.people[number].email, self.people[other].email) = (others, theirs);
    }

    fn rotate(&mut self, number: usize) {
        let next = format!("{} {}", self.dice.choice(&PASSWORDS), self.changes);
        let person = &mut self.people[number];
        let Some(password) = &mut person.password else { return };
        password.clone_from(&next);
        let secret = secret_of(&person.name);
        self.patch("Secret", &secret, &json!({"stringData": {"password": next}}));
    }

    /// Remembers what a `User` says.
    fn note(&mut self, user: &Value) {
        self.said.extend(Said::by(user));
        if user["status"]["accountId"].is_string() {
            let name = user["metadata"]["name"].as_str().expect("a name");
            self.seen.insert(format!("{name}.{}", self.admin.namespace()));
        }
    }

    /// Waits until everything that is declared is in force or refused as expected, and returns it.
    #[track_caller]
    pub(crate) fn settled(&mut self) -> Vec<Declared> {
        let leaving: Vec<usize> = (0..PEOPLE).filter(|number| self.people[*number].stage == Stage::Leaving).collect();
        for number in leaving {
            let name = self.people[number].name.clone();
            eventually(&format!("{name} of {} is gone", self.admin.namespace()), || {
                self.see_off(number);
                (self.people[number].stage == Stage::Absent).then_some(())
            });
        }
        let mut last = vec![];
        let settled = crate::support::within(crate::support::PATIENCE, || {
            last = self.declared();
            last.iter().all(Declared::is_settled).then(|| last.clone())
        });
        let settled = settled.unwrap_or_else(|| {
            let unsettled: Vec<_> = last.iter().filter(|user| !user.is_settled()).collect();
            panic!("not settled in {}: {unsettled:#?}", self.admin.namespace())
        });
        settled.iter().for_each(|declared| self.note(&declared.user));
        settled
    }

    fn declared(&self) -> Vec<Declared> {
        let users = run(self.admin.api::<roster::api::User>().list(&Default::default())).expect("the API server answers");
        let reasons: BTreeMap<&str, &'static str> = REFUSED.into();
        let declared = users.items.into_iter().map(|user| Declared {
            namespace: self.admin.namespace().to_owned(),
            refused: reasons.get(user.metadata.name.as_deref().unwrap_or_default()).copied(),
            user: serde_json::to_value(user).expect("an object is JSON"),
        });
        declared.collect()
    }

    /// Returns everybody who was said to be Ready.
    pub(crate) fn said(&self) -> &BTreeSet<Said> {
        &self.said
    }

    /// Returns the logins that were seen to have an account.
    pub(crate) fn seen(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// Returns the logins that were ever asked for.
    pub(crate) fn asked_for(&self) -> &BTreeSet<String> {
        &self.asked_for
    }

    /// Returns the login, the newest password, and whether it is to be let in, of everybody who has one.
    pub(crate) fn passwords(&self) -> Vec<(String, String, bool)> {
        let declared = self.people.iter().filter(|person| person.stage == Stage::Declared);
        let login = |person: &Person| format!("{}.{}", person.name, self.admin.namespace());
        declared.filter_map(|person| Some((login(person), person.password.clone()?, !person.disabled))).collect()
    }
}

fn secret_of(name: &str) -> String {
    format!("{name}-password")
}

fn login(organization: &Organization, name: &str) -> String {
    format!("{name}.{}", organization.name)
}
