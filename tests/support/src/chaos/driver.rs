//! Somebody who keeps changing what an organization declares, and remembers what was asked for and
//! said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::base64;
use crate::chaos::oracles::{Declared, Said};
use crate::cluster::{
    Organization, Requester, With, condition, domain, eventually, group, passed, run, run_roster,
    user,
};
use crate::rng::Dice;

/// Held for writing while the API server is away, and how often it came back with what it had at an
/// earlier time.
pub type Past = RwLock<u64>;

/// How many people come and go.
const PEOPLE: usize = 8;

/// How many of them have a password.
const WITH_PASSWORDS: usize = 2;

/// Who is in control and stays; somebody follows their permissions.
const ROOT: &str = "root";

/// Who is refused for good, and for which reason.
const REFUSED: [(&str, &str); 2] =
    [("mallory", "DomainNotAllowed"), ("trent", "ChargeNotApproved")];

const GRANTS: [&str; 4] = ["orders:read", "orders:write", "cases:read", "routes:plan"];
const GROUPS: [&str; 3] = ["users", "dispatchers", "administrators"];
pub const PASSWORDS: [&str; 3] =
    ["nine lorries leave at dawn", "seven foxes guard the mill", "eleven violins under water"];

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
pub struct Driver {
    admin: Requester,
    people: Vec<Person>,
    dice: Dice,
    /// How many changes were asked for, which makes addresses and passwords new.
    changes: usize,
    said: BTreeSet<Said>,
    seen: BTreeSet<String>,
    asked_for: BTreeSet<String>,
    store: String,
    /// Which of the cluster's pasts is known.
    past: u64,
}

impl Driver {
    /// Declares what stays, and nobody else yet.
    #[track_caller]
    pub fn new(organization: &Organization, store: &str, dice: Dice) -> Self {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(
            admin.create(&group("dispatchers").with("/spec/permissions", json!(["routes:plan"]))),
        );
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
            store: store.to_owned(),
            past: 0,
        };
        (0..PEOPLE).for_each(|number| driver.create(number));
        driver
    }

    /// Changes something now and then until told to stop.
    pub fn drive(&mut self, stop: &AtomicBool, past: &Past) {
        while !stop.load(Ordering::Relaxed) {
            let past = past.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            self.catch_up(*past);
            self.change();
            drop(past);
            std::thread::sleep(self.dice.time(20..150));
        }
    }

    /// Returns the namespace of the organization.
    pub fn namespace(&self) -> &str {
        self.admin.namespace()
    }

    /// Returns how many changes were asked for.
    pub fn changes(&self) -> usize {
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
                    self.patch(
                        "UserGroup",
                        "dispatchers",
                        &json!({"spec": {"permissions": permissions}}),
                    );
                }
            },
        }
    }

    fn some_grants(&mut self) -> Vec<&'static str> {
        GRANTS.into_iter().filter(|_| self.dice.below(2) == 0).collect()
    }

    /// Learns what is declared anew where the cluster was put back since it was last known.
    pub fn catch_up(&mut self, past: u64) {
        if past != self.past {
            self.past = past;
            self.learn();
        }
    }

    /// Learns what is declared from the API server, which has forgotten some of it. Accounts whose
    /// `User` it has forgotten are given one again.
    fn learn(&mut self) {
        for number in 0..PEOPLE {
            let declared = self.admin.get("User", &self.people[number].name);
            let person = &mut self.people[number];
            person.stage = match &declared {
                None => Stage::Absent,
                Some(user) if user["metadata"]["deletionTimestamp"].is_string() => Stage::Leaving,
                Some(_) => Stage::Declared,
            };
            if let Some(user) = &declared {
                person.email = user["spec"]["email"].as_str().expect("an email").to_owned();
                person.disabled = user["spec"]["state"] == "Disabled";
            }
            if person.password.is_some() {
                let secret = self
                    .admin
                    .get("Secret", &secret_of(&self.people[number].name))
                    .expect("it was there before all copies");
                let password =
                    base64::decode(secret["data"]["password"].as_str().expect("a password"));
                self.people[number].password = Some(String::from_utf8(password).expect("a text"));
            }
        }
        self.take_back();
    }

    /// Declares everybody who has an account and no `User`.
    fn take_back(&mut self) {
        let groups = self.groups();
        for number in 0..PEOPLE {
            let left_behind = groups.contains_key(&self.login(number));
            if left_behind && self.people[number].stage == Stage::Absent {
                self.create(number);
            }
        }
    }

    /// Returns the groups of the accounts that the store has, by their logins.
    fn groups(&self) -> BTreeMap<String, String> {
        let arguments = [
            "users",
            "--organization",
            self.admin.namespace(),
            "-o",
            "json",
            "--store",
            &self.store,
        ];
        let users = eventually("the store can be read", || {
            let output = run_roster(&arguments, "");
            output.success.then(|| {
                serde_json::from_str::<Vec<Value>>(&output.stdout)
                    .expect("roster users prints JSON")
            })
        });
        let text = |user: &Value, field: &str| user[field].as_str().expect("a text").to_owned();
        users.iter().map(|user| (text(user, "loginName"), text(user, "group"))).collect()
    }

    fn login(&self, number: usize) -> String {
        format!("{}.{}", self.people[number].name, self.admin.namespace())
    }

    fn create(&mut self, number: usize) {
        // An account that was left behind goes to whoever asks for its group, and to nobody else.
        let group = if self.past > 0 { self.groups().remove(&self.login(number)) } else { None };
        let person = &mut self.people[number];
        person.stage = Stage::Declared;
        person.email = format!("{}-{}@acme.example", person.name, self.changes);
        person.disabled = false;
        let mut declared = user(&person.name).with("/spec/email", person.email.as_str());
        declared = declared.with("/spec/deletionProtection", "Disabled");
        if let Some(group) = group {
            declared = declared.with("/spec/groupRef/name", group);
        }
        if person.password.is_some() {
            declared =
                declared.with("/spec/passwordSecretRef", json!({"name": secret_of(&person.name)}));
        }
        self.asked_for.insert(format!("{}.{}", person.name, self.admin.namespace()));
        let created = passed(self.admin.create(&declared));
        self.note(&created);
    }

    fn edit(&mut self, number: usize, spec: &Value) {
        let name = self.people[number].name.clone();
        let edited = self.patch("User", &name, &json!({"spec": spec}));
        if is_lost(&edited) {
            self.delete(number);
        }
    }

    fn patch(&mut self, kind: &str, name: &str, patch: &Value) -> Value {
        let patched = passed(self.admin.patch(kind, name, patch));
        if kind == "User" {
            self.note(&patched);
        }
        patched
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
        let (theirs, others) =
            (self.people[number].email.clone(), self.people[other].email.clone());
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
    pub fn settled(&mut self) -> Vec<Declared> {
        while self.past > 0 && self.see_off_the_lost() {}
        self.see_off_all();
        if self.past > 0 {
            self.take_back();
        }
        let mut last = vec![];
        let settled = crate::cluster::within(crate::cluster::PATIENCE, || {
            last = self.declared();
            if self.past > 0 {
                self.ask_for_former_groups(&last);
            }
            last.iter().all(Declared::is_settled).then(|| last.clone())
        });
        let settled = settled.unwrap_or_else(|| {
            let unsettled: Vec<_> = last.iter().filter(|user| !user.is_settled()).collect();
            panic!("not settled in {}: {unsettled:#?}", self.admin.namespace())
        });
        settled.iter().for_each(|declared| self.note(&declared.user));
        settled
    }

    /// Does what is told to those whose account was left behind in another group than the one that
    /// they ask for.
    #[track_caller]
    fn ask_for_former_groups(&mut self, declared: &[Declared]) {
        for Declared { user, .. } in declared {
            let ready = condition(user, "Ready");
            let message = ready["message"]
                .as_str()
                .filter(|_| ready["reason"] == "NotAdoptable")
                .unwrap_or_default();
            let group = message
                .split("was left behind in the group ")
                .nth(1)
                .and_then(|rest| rest.split(',').next());
            if let Some(group) = group.filter(|group| user["spec"]["groupRef"]["name"] != **group) {
                let name = user["metadata"]["name"].as_str().expect("a name");
                self.patch("User", name, &json!({"spec": {"groupRef": {"name": group}}}));
            }
        }
    }

    /// Deletes whoever says that the account is lost, once everybody says something of their
    /// present spec. Returns whether there was anybody.
    #[track_caller]
    fn see_off_the_lost(&mut self) -> bool {
        let waits = |declared: &Declared| {
            let user = &declared.user;
            user["metadata"]["deletionTimestamp"].is_null()
                && user["status"]["observedGeneration"] != user["metadata"]["generation"]
        };
        let looked_at = || Some(self.declared()).filter(|declared| !declared.iter().any(waits));
        let declared = eventually(
            &format!("everybody in {} was looked at", self.admin.namespace()),
            looked_at,
        );
        let lost = declared.iter().map(|declared| &declared.user).filter(|user| is_lost(user));
        let lost: Vec<&str> = lost.filter_map(|user| user["metadata"]["name"].as_str()).collect();
        let numbers: Vec<usize> = (0..PEOPLE)
            .filter(|&number| {
                let person = &self.people[number];
                person.stage == Stage::Declared && lost.contains(&person.name.as_str())
            })
            .collect();
        numbers.iter().for_each(|&number| self.delete(number));
        self.see_off_all();
        !numbers.is_empty()
    }

    /// Waits until everybody who was deleted is gone.
    #[track_caller]
    fn see_off_all(&mut self) {
        let leaving: Vec<usize> =
            (0..PEOPLE).filter(|number| self.people[*number].stage == Stage::Leaving).collect();
        for number in leaving {
            let name = self.people[number].name.clone();
            eventually(&format!("{name} of {} is gone", self.admin.namespace()), || {
                self.see_off(number);
                (self.people[number].stage == Stage::Absent).then_some(())
            });
        }
    }

    fn declared(&self) -> Vec<Declared> {
        let users = run(self.admin.api::<roster::api::User>().list(&Default::default()))
            .expect("the API server answers");
        let reasons: BTreeMap<&str, &'static str> = REFUSED.into();
        let declared = users.items.into_iter().map(|user| Declared {
            namespace: self.admin.namespace().to_owned(),
            refused: reasons.get(user.metadata.name.as_deref().unwrap_or_default()).copied(),
            user: serde_json::to_value(user).expect("an object is JSON"),
        });
        declared.collect()
    }

    /// Returns everybody who was said to be Ready.
    pub fn said(&self) -> &BTreeSet<Said> {
        &self.said
    }

    /// Returns the logins that were seen to have an account.
    pub fn seen(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// Returns the logins that were ever asked for.
    pub fn asked_for(&self) -> &BTreeSet<String> {
        &self.asked_for
    }

    /// Returns the login, the newest password, and whether it is to be let in, of everybody who has
    /// one.
    pub fn passwords(&self) -> Vec<(String, String, bool)> {
        let declared = self.people.iter().filter(|person| person.stage == Stage::Declared);
        let login = |person: &Person| format!("{}.{}", person.name, self.admin.namespace());
        declared
            .filter_map(|person| Some((login(person), person.password.clone()?, !person.disabled)))
            .collect()
    }
}

/// Whether a `User` says that its account is lost.
fn is_lost(user: &Value) -> bool {
    condition(user, "Ready")["reason"] == "AccountLost"
        && user["metadata"]["deletionTimestamp"].is_null()
}

fn secret_of(name: &str) -> String {
    format!("{name}-password")
}

fn login(organization: &Organization, name: &str) -> String {
    format!("{name}.{}", organization.name)
}
