//! A script played on the real reconciler, and everything that is looked at once it is quiet.

use std::time::Duration;

use roster_test_support::fake_cluster::Cluster;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::reference::{Account, Gives, Group, Law, Mode, Person, Source, Why, Words};
use crate::steps::Step;
use crate::watched::Watched;

/// How long an organization may take to come to rest once the faults have stopped.
const SOON: Duration = Duration::from_secs(120);

/// What a script came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: usize,
    pub(crate) quiet_points: usize,
    pub(crate) plans: usize,
    pub(crate) refused: usize,
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        let Self { steps, quiet_points, plans, refused, slowest } = other;
        self.steps += steps;
        self.quiet_points += quiet_points;
        self.plans += plans;
        self.refused += refused;
        self.slowest = self.slowest.max(slowest);
    }
}

pub(crate) struct Played {
    cluster: Cluster<Watched>,
    store: Watched,
    pub(crate) tally: Tally,
}

impl Played {
    pub(crate) fn new(store: Watched) -> Self {
        let mut cluster = Cluster::new(store.clone());
        cluster.put(json!({"kind": "OrgEmailDomain", "metadata": {"name": "acme"}, "spec": {"domain": "acme.example"}}));
        Self { cluster, store, tally: Tally::default() }
    }

    /// Plays a script to its end, or to the first breach of the law.
    pub(crate) async fn play(&mut self, script: &[Step]) -> Result<(), String> {
        for (number, step) in script.iter().enumerate() {
            self.step(step.clone())
                .await
                .map_err(|breach| format!("after step {number} ({step}): {breach}"))?;
            self.tally.steps += 1;
        }
        let court = self.store.court();
        (self.tally.plans, self.tally.refused) = (court.taken, court.refused);
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Create(name, person) => {
                if !self.knows(&name) {
                    self.declare(&name, person);
                }
            }
            Step::Edit(name, edit) => {
                let known = self.store.court().law.users.get(&name).cloned();
                if let Some(mut person) = known {
                    edit.apply(&mut person);
                    self.declare(&name, person);
                }
            }
            Step::Delete(name) => {
                let marked = self
                    .store
                    .court()
                    .law
                    .users
                    .get_mut(&name)
                    .map(|person| person.deleting = true);
                if marked.is_some() {
                    self.cluster.delete("User", &name);
                }
            }
            Step::Group(name, gives) => {
                let gives =
                    Gives { full_control: gives.full_control || name == "administrators", ..gives };
                let before = self.store.court().law.groups.get(&name).cloned();
                let before = before.unwrap_or(Group {
                    paused: false,
                    deleting: false,
                    gives: Gives::default(),
                });
                self.declare_group(&name, Group { gives, ..before });
            }
            Step::PauseGroup(name, paused) => {
                let before = self.store.court().law.groups.get(&name).cloned();
                if let Some(before) = before {
                    self.declare_group(&name, Group { paused, ..before });
                }
            }
            Step::DeleteGroup(name) => {
                let marked =
                    self.store.court().law.groups.get_mut(&name).map(|group| group.deleting = true);
                if marked.is_some() {
                    self.cluster.delete("UserGroup", &name);
                }
            }
            Step::Work(times) => {
                for _ in 0..times {
                    self.work().await?;
                }
            }
            Step::Quiet => self.rest().await?,
            Step::Restart => self.cluster.restart(),
            Step::StoreAway(times) => self.store.court().away = times,
            Step::RepliesLost(times) => self.store.court().lost_replies = times,
            Step::WritesFail(times) => self.cluster.fail_writes(times),
            Step::AnswersLost(times) => self.cluster.lose_answers(times),
        }
        self.look_round();
        Ok(())
    }

    fn knows(&self, name: &str) -> bool {
        self.store.court().law.users.contains_key(name)
    }

    fn declare(&mut self, name: &str, mut person: Person) {
        self.cluster.put(user(name, &person));
        let metadata = &self.cluster.objects()[&("User".to_owned(), name.to_owned())]["metadata"];
        person.uid = metadata["uid"].as_str().expect("the server gave it a uid").to_owned();
        person.generation = metadata["generation"].as_i64().expect("the server counts generations");
        self.store.court().law.users.insert(name.to_owned(), person);
    }

    fn declare_group(&mut self, name: &str, group: Group) {
        let Gives { full_control, permissions } = &group.gives;
        self.cluster.put(json!({
            "kind": "UserGroup",
            "metadata": {"name": name, "annotations": annotations(group.paused)},
            "spec": {"fullControl": full_control, "permissions": permissions},
        }));
        self.store.court().law.groups.insert(name.to_owned(), group);
    }

    /// Tells the law what the operator made or let go of in the cluster.
    fn look_round(&mut self) {
        let objects = self.cluster.objects();
        let there =
            |kind: &str, name: &str| objects.contains_key(&(kind.to_owned(), name.to_owned()));
        let mut court = self.store.court();
        court.law.users.retain(|name, _| there("User", name));
        court.law.groups.retain(|name, _| there("UserGroup", name));
        for group in ["administrators", "users"] {
            if there("UserGroup", group) && !court.law.groups.contains_key(group) {
                let gives = Gives { full_control: group == "administrators", ..Gives::default() };
                court
                    .law
                    .groups
                    .insert(group.to_owned(), Group { paused: false, deleting: false, gives });
            }
        }
    }

    /// Returns whether anything was to be done.
    async fn work(&mut self) -> Result<bool, String> {
        self.cluster.send_writes();
        self.look_round();
        let worked = self.cluster.work().await;
        match self.store.court().breach.take() {
            Some(breach) => Err(breach),
            None => Ok(worked),
        }
    }

    async fn until_quiet(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while self.work().await? {
            if begun.elapsed() > SOON {
                return Err(format!("it doesn't come to rest within {} s", SOON.as_secs()));
            }
        }
        self.tally.slowest = self.tally.slowest.max(begun.elapsed());
        Ok(())
    }

    /// Lets the operator come to rest, looks at everything, and sees that a full comparison changes
    /// nothing.
    async fn rest(&mut self) -> Result<(), String> {
        (self.store.court().away, self.store.court().lost_replies) = (0, 0);
        self.cluster.fail_writes(0);
        self.cluster.lose_answers(0);
        self.until_quiet().await?;
        self.tally.quiet_points += 1;
        let settled = self.store.court().law.check_settled();
        let told = self.check_statuses();
        self.cluster.take_writes();
        let (before, objects) = (self.store.court().taken, self.cluster.objects().clone());
        self.cluster.resync().await;
        self.until_quiet().await?;
        settled?;
        told?;
        let plans = self.store.court().taken - before;
        let writes = self.cluster.take_writes();
        if plans + writes > 0 {
            let changed = self
                .cluster
                .objects()
                .iter()
                .find(|(place, object)| objects.get(*place) != Some(object));
            return Err(format!(
                "a full comparison wrote {plans} times to the store, {writes} times to the cluster: {changed:?}"
            ));
        }
        Ok(())
    }

    fn check_statuses(&self) -> Result<(), String> {
        let court = self.store.court();
        for ((kind, name), object) in self.cluster.objects() {
            let gone =
                |name| court.law.users[name].deleting && !court.law.accounts.contains_key(name);
            let (expected, found) = match kind.as_str() {
                "User" if gone(name) => continue,
                "User" => (user_status(&court.law, name), seen_user(object)),
                "UserGroup" => (group_status(&court.law, name), seen_group(object)),
                _ => continue,
            };
            if expected != found {
                return Err(format!("{kind}/{name} must say\n  {expected}\nand says\n  {found}"));
            }
            check_message(&court.law, name, object)?;
        }
        Ok(())
    }
}

fn annotations(paused: bool) -> Value {
    if paused { json!({"roster.rs/paused": "true"}) } else { json!({}) }
}

fn user(name: &str, person: &Person) -> Value {
    let from = person
        .from
        .as_ref()
        .map(|(mode, from)| json!({"name": from, "mode": if *mode == Mode::Inherit { "Inherit" } else { "Clone" }}));
    let word = |set: bool| if set { "Enabled" } else { "Disabled" };
    let mut spec = json!({
        "groupRef": {"name": person.group},
        "permissions": {"grants": person.grants},
        "state": word(person.enabled),
        "chargeApproved": person.approved,
        "deletionProtection": word(person.protected),
        "teams": person.teams,
    });
    let optional = [
        ("email", person.email.as_ref().map(|email| json!(email))),
        ("role", person.role.as_ref().map(|role| json!(role))),
        ("profile", person.display_name.as_ref().map(|name| json!({"displayName": name}))),
        ("copyOf", person.copy_of.as_ref().map(|source| json!({"name": source}))),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    if let Some(from) = from {
        spec["permissions"]["from"] = from;
    }
    json!({"kind": "User", "metadata": {"name": name, "annotations": annotations(person.paused)}, "spec": spec})
}

/// What of a condition the law speaks of.
fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.map_or(Value::Null, |condition| json!([condition["status"], condition["reason"]]))
}

fn trend(reasons: &[Why]) -> [Value; 2] {
    let stalled = ["ChargeNotApproved", "InheritanceCycle", "InheritanceTooDeep"];
    match reasons.first() {
        None => [Value::Null, Value::Null],
        Some(why) if stalled.contains(&why.reason) => [Value::Null, json!(["True", why.reason])],
        Some(why) => [json!(["True", why.reason]), Value::Null],
    }
}

fn ready(reasons: &[Why]) -> Value {
    reasons
        .first()
        .map_or_else(|| json!(["True", "Reconciled"]), |why| json!(["False", why.reason]))
}

fn digest(permissions: &Words) -> String {
    let mut hasher = Sha256::new();
    permissions.iter().for_each(|permission| hasher.update(format!("{permission}\n")));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(email: &str) -> Option<i64> {
    email.split_once(" (Copy ")?.1.strip_suffix(')')?.parse().ok()
}

fn user_status(law: &Law, name: &str) -> Value {
    let person = &law.users[name];
    let Some((asked, reasons)) = law.asked(name) else {
        let (_, reasons) = law.asked_anew(name);
        let [reconciling, stalled] = trend(&reasons);
        let about =
            reasons.iter().find(|why| why.about_permissions).map_or("NoAccount", |why| why.reason);
        return json!({
            "observedGeneration": person.generation, "state": "Pending", "group": person.group,
            "permissions": null, "clone": null, "copy": null, "heirs": null,
            "Ready": ready(&reasons), "PermissionsResolved": ["False", about], "LoginReady": ["False", "NoAccount"],
            "Reconciling": reconciling, "Stalled": stalled,
        });
    };
    drop(asked);
    let account = &law.accounts[name];
    let Account { email, enabled, group, source, copied, .. } = account;
    let effective = law.effective(name);
    let listed: Vec<&String> = effective.iter().take(64).collect();
    let [reconciling, stalled] = trend(&reasons);
    let about = reasons.iter().find(|why| why.about_permissions).map(|why| why.reason);
    let login = match number(email) {
        _ if !enabled => "AccountDisabled",
        Some(_) => "EmailIsPlaceholder",
        None => "PasswordNotSet",
    };
    json!({
        "observedGeneration": person.generation,
        "state": if *enabled { "Enabled" } else { "Disabled" },
        "email": email,
        "group": group,
        "permissions": {
            "effective": listed,
            "total": effective.len(),
            "digest": digest(&effective),
            "source": match source {
                Source::Own => "Own",
                Source::Follows(_) => "Inherited",
                Source::Cloned { .. } => "Cloned",
            },
            "chain": law.line(name),
        },
        "clone": match source {
            Source::Cloned { from, uid, generation, .. } => json!({"name": from, "uid": uid, "generation": generation}),
            _ => Value::Null,
        },
        "copy": copied.as_ref().map_or(Value::Null, |copied| {
            json!({"name": copied.from, "uid": copied.uid, "generation": copied.generation, "number": number(email)})
        }),
        "heirs": law.heirs(name).len(),
        "Ready": ready(&reasons),
        "PermissionsResolved": about.map_or_else(|| json!(["True", "Resolved"]), |reason| json!(["False", reason])),
        "LoginReady": ["False", login],
        "Reconciling": reconciling,
        "Stalled": stalled,
    })
}

fn seen_user(object: &Value) -> Value {
    let status = &object["status"];
    let mut seen = json!({});
    for field in ["observedGeneration", "state", "group", "permissions", "clone", "copy", "heirs"] {
        seen[field] = status[field].clone();
    }
    if status["accountId"].is_string() {
        seen["email"] = status["email"].clone();
    }
    for kind in ["Ready", "PermissionsResolved", "LoginReady", "Reconciling", "Stalled"] {
        seen[kind] = condition(object, kind);
    }
    if let Some(clone) = seen["clone"].as_object_mut() {
        clone.remove("cloneTime");
    }
    if let Some(copy) = seen["copy"].as_object_mut() {
        copy.remove("copyTime");
        copy.entry("number").or_insert(Value::Null);
    }
    if let Some(permissions) = seen["permissions"].as_object_mut() {
        for list in ["effective", "chain"] {
            permissions.entry(list).or_insert(json!([]));
        }
    }
    seen
}

fn group_status(law: &Law, name: &str) -> Value {
    let group = &law.groups[name];
    let members = law.members(name);
    let reason = match group {
        Group { paused: true, .. } => Some("Paused"),
        Group { deleting: true, .. } => law.group_held_back(name),
        _ => law.asked_of_group(name).and_then(|(_, why)| why).map(|why| why.reason),
    };
    let ready =
        reason.map_or_else(|| json!(["True", "Reconciled"]), |reason| json!(["False", reason]));
    json!({"members": members, "Ready": ready})
}

fn seen_group(object: &Value) -> Value {
    json!({"members": object["status"]["members"], "Ready": condition(object, "Ready")})
}

/// A loop is named whole.
fn check_message(law: &Law, name: &str, object: &Value) -> Result<(), String> {
    if object["kind"] != "User"
        || condition(object, "PermissionsResolved") != json!(["False", "InheritanceCycle"])
    {
        return Ok(());
    }
    let conditions = object["status"]["conditions"].as_array().expect("it has a condition");
    let resolved = conditions
        .iter()
        .find(|condition| condition["type"] == "PermissionsResolved")
        .expect("it has this one");
    let message = resolved["message"].as_str().unwrap_or_default();
    let mut ring: Vec<&str> = law.ring_of(name).ok_or_else(|| format!("{name} isn't on a loop"))?;
    ring.push(name);
    if ring.len() > 100 || message.contains(&format!("({})", ring.join(" -> "))) {
        return Ok(());
    }
    Err(format!("{name} is on the loop {ring:?}, and its message is: {message}"))
}
