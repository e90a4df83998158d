//! An API server of a hundred lines, for objects of one namespace, around the real reconciler and a
//! store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use roster::clock::Clock;
use roster::controller::cluster_event::CachedSecret;
use roster::controller::cluster_event::{ClusterEvent, Scope, WatchListing};
use roster::controller::list_watch::Relist;
use roster::controller::object_writer::{Write, WriteResult};
use roster::controller::passwords::{self, CheckResult};
use roster::controller::reconciler::{Reconciler, Settings};
use roster::domain::account::{Account, EntryHandle, LoginState};
use roster::domain::billing::BillingTimeZone;
use roster::domain::email::Email;
use roster::domain::object_key::{Kind, ObjectKey};
use roster::domain::password::PasswordCandidate;
use roster::domain::self_service::ProfileChange;
use roster::hashing::{Cost, Hashing};
use roster::plan::{MemberPlan, Plan};
use roster::provisioning::queue::ProvisioningTask;
use roster::provisioning::{DirectoryError, Entry, Provisioned};
use roster::store::{CommitTime, Store, StoreError};
use roster::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::time::Instant;

const NAMESPACE: &str = "acme";
const FINALIZER: &str = "roster.rs/account";
const KINDS: [Kind; 5] =
    [Kind::Secret, Kind::Organization, Kind::OrgEmailDomain, Kind::UserGroup, Kind::User];
const RESYNC: Duration = Duration::from_secs(600);
const DIRECTORY_RESYNC: Duration = Duration::from_secs(6 * 3600);
const DIRECTORY: &str = "directory";

pub struct Cluster<S> {
    objects: BTreeMap<(String, String), Value>,
    pub store: S,
    reconciler: Reconciler<S>,
    counter: u64,
    happened: Vec<String>,
    writes: usize,
    failing_writes: usize,
    lost_answers: usize,
    since: Option<Instant>,
    namespace: Value,
    secrets: BTreeMap<String, Secret>,
    hashing: Hashing,
    directory: Option<StandIn>,
    clock: Clock,
    backup: Option<Etcd>,
    /// Whether etcd was put back and nobody has noticed: what happens since isn't told.
    is_behind: bool,
    /// The newest version that was told, or that a write was answered with.
    newest: u64,
    /// How many objects there ever were: nobody gets a uid again, whatever becomes of etcd.
    births: u64,
}

/// Everything that is in etcd.
#[derive(Clone)]
struct Etcd {
    objects: BTreeMap<(String, String), Value>,
    namespace: Value,
    secrets: BTreeMap<String, Secret>,
    counter: u64,
}

/// A directory that takes what it is brought as soon as it is told to.
#[derive(Default)]
struct StandIn {
    has: BTreeMap<String, String>,
    days: Day,
    /// How many entries were compared since the last time.
    compared: usize,
    /// Whose entries it refuses.
    refuses: BTreeSet<String>,
}

impl StandIn {
    fn refuses(&self, entry: &Entry) -> bool {
        let login_name = entry.person.as_ref().map(|person| &person.login_name);
        let login_name = login_name.or_else(|| self.has.get(&entry.account.to_string()));
        let name = login_name.and_then(|login_name| login_name.split('.').next());
        name.is_some_and(|name| self.refuses.contains(name))
    }
}

/// How a directory behaves.
#[derive(Clone, Copy, Default, PartialEq)]
enum Day {
    #[default]
    Good,
    Silent,
    Down,
    /// A test takes what it is brought, and answers.
    Played,
}

impl<S: Store + Clone> Cluster<S> {
    /// An empty namespace, whose accounts are in this store.
    pub fn new(store: S) -> Self {
        let clock = Clock::running_from("2026-11-02T09:00:00Z".parse().unwrap());
        let mut cluster = Self {
            objects: BTreeMap::new(),
            reconciler: reconciler(&store, &[], clock),
            store,
            counter: 0,
            happened: vec![],
            writes: 0,
            failing_writes: 0,
            lost_answers: 0,
            since: None,
            secrets: BTreeMap::new(),
            hashing: Hashing::new(Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap(),
            directory: None,
            clock,
            backup: None,
            is_behind: false,
            newest: 0,
            births: 0,
            namespace: json!({"kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        };
        cluster.list();
        cluster
    }

    /// Applies every document, as kubectl would, with the finalizer that the policy puts on.
    pub fn apply(&mut self, yaml: &str) {
        for document in yaml.split("\n---\n") {
            let object: Value =
                serde_saphyr::from_str(document).expect("a story's objects are YAML");
            self.put(object);
        }
    }

    pub fn delete(&mut self, kind: &str, name: &str) {
        let place = (kind.to_owned(), name.to_owned());
        let object = self.objects.get_mut(&place).expect("only what is there is deleted");
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.changed(&place);
    }

    /// Lets the next writes to the API server fail, and tells afterwards how long it took.
    pub fn fail_writes(&mut self, times: usize) {
        self.failing_writes = times;
        self.since = Some(Instant::now());
    }

    /// Lets a member change something of themselves, as an application does.
    pub async fn change_self(&mut self, name: &str, field: &str, value: &str) {
        self.reconciler.poll_self_service().await;
        let accounts = self.store.list(None).await.unwrap();
        let account = accounts
            .iter()
            .find(|account| account.owner.name == name)
            .expect("the member has an account");
        let change = match field {
            "phone" => ProfileChange::Phone(Some(value.to_owned())),
            "name" => ProfileChange::Name(value.to_owned()),
            "email" => ProfileChange::Email(Email::parse(value).expect("an email")),
            _ => panic!("no such detail: {field}"),
        };
        let plan = MemberPlan {
            namespace: NAMESPACE.to_owned(),
            account: account.id,
            changes: vec![change],
            password: None,
        };
        let now = self.clock.now();
        let answers = self
            .store
            .commit(&[Plan::Member(plan)], CommitTime { now, deadline: now })
            .await
            .unwrap();
        if let Err(refusal) = &answers[0] {
            self.happened.push(format!("{name} may not change {field}: {refusal}"));
        }
        self.reconciler.poll_self_service().await;
    }

    /// Lets the next writes to the API server be done, and their answers get lost.
    pub fn lose_answers(&mut self, times: usize) {
        self.lost_answers = times;
    }

    /// Returns the password in a Secret.
    pub fn password(&self, secret: &str) -> Option<String> {
        let data = self.secrets.get(secret)?.data.as_ref()?.get("password")?;
        Some(String::from_utf8_lossy(&data.0).into_owned())
    }

    /// Returns the objects, by kind and name.
    pub fn objects(&self) -> &BTreeMap<(String, String), Value> {
        &self.objects
    }

    /// Returns how many writes to the API server there were since the last time.
    pub fn take_writes(&mut self) -> usize {
        std::mem::take(&mut self.writes)
    }

    /// Starts the operator anew on the same store.
    pub fn restart(&mut self) {
        let directories: &[&str] = if self.directory.is_some() { &[DIRECTORY] } else { &[] };
        self.reconciler = reconciler(&self.store, directories, self.clock);
        (self.is_behind, self.newest) = (false, self.counter);
        self.list();
    }

    /// Starts the operator in a cluster in which nothing is yet, on the same store.
    pub fn lose_objects(&mut self) {
        self.objects.clear();
        self.secrets.clear();
        self.restart();
    }

    /// Lets the directory refuse these `User`s' entries from now on, and nobody else's.
    pub fn refuse(&mut self, names: &[&str]) {
        let directory = self.directory.as_mut().expect("there is a directory");
        directory.refuses = names.iter().map(|&name| name.to_owned()).collect();
    }

    /// Starts the operator anew with a directory that behaves as told, or lets it behave otherwise
    /// from now on.
    pub async fn set_directory(&mut self, day: &str) {
        let day = match day {
            "good" => Day::Good,
            "silent" => Day::Silent,
            "down" => Day::Down,
            "played" => Day::Played,
            _ => panic!("no such day: {day}"),
        };
        if let Some(directory) = &mut self.directory {
            directory.days = day;
            directory.refuses.clear();
            return;
        }
        self.until_quiet().await;
        self.directory = Some(StandIn { days: day, ..StandIn::default() });
        self.store.set_directories(&[DIRECTORY.to_owned()].into(), self.clock.now()).await.unwrap();
        self.restart();
    }

    /// Has somebody else let everybody in a directory log in whose login name begins so, as an
    /// administrator.
    pub fn change_directory(&mut self, login: &str) {
        let directory = self.directory.as_mut().expect("there is a directory");
        let of_name = directory.has.values_mut().filter(|has| has.starts_with(login));
        of_name.for_each(|has| {
            *has = format!("{login} changed@elsewhere.example active administrators [*]")
        });
    }

    /// Has somebody else delete an entry of a directory.
    pub fn delete_from_directory(&mut self, login: &str) {
        let directory = self.directory.as_mut().expect("there is a directory");
        directory.has.retain(|_, has| !has.starts_with(login));
    }

    /// Waits for so many comparisons of everything with the directory, and tells how many entries
    /// were compared.
    pub async fn compare(&mut self, times: u32) {
        self.until_quiet().await;
        self.directory.iter_mut().for_each(|directory| directory.compared = 0);
        self.wait(u64::from(times) * DIRECTORY_RESYNC.as_secs() / 60).await;
        let compared = self.directory.as_ref().map_or(0, |directory| directory.compared);
        self.happened.push(format!("compared {compared}"));
    }

    /// Has another operator take over on this view of the store, and returns the former one, which
    /// hears nothing any more.
    pub fn hand_over(&mut self, store: S) -> Reconciler<S> {
        let directories: &[&str] = if self.directory.is_some() { &[DIRECTORY] } else { &[] };
        self.store = store;
        let next = reconciler(&self.store, directories, self.clock);
        let former = std::mem::replace(&mut self.reconciler, next);
        self.list();
        former
    }

    /// Returns the operator, for who lets it work step by step.
    pub fn reconciler(&mut self) -> &mut Reconciler<S> {
        &mut self.reconciler
    }

    /// Puts a Secret with this password in, or takes it away.
    pub fn set_secret(&mut self, name: &str, password: Option<&str>) {
        let key = ObjectKey::new(Kind::Secret, NAMESPACE, name);
        let Some(password) = password else {
            self.secrets.remove(name);
            self.counter += 1;
            return self.tell(ClusterEvent::Deleted(key, self.counter));
        };
        self.counter += 1;
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(format!("uid of {name}")),
                resource_version: Some(self.counter.to_string()),
                ..ObjectMeta::default()
            },
            type_: Some("roster.rs/password".to_owned()),
            data: Some([("password".to_owned(), ByteString(password.into()))].into()),
            ..Secret::default()
        };
        self.secrets.insert(name.to_owned(), secret);
        let news = self.secret(name);
        self.tell(news);
    }

    fn secret(&self, name: &str) -> ClusterEvent {
        let metadata = &self.secrets[name].metadata;
        let seen = CachedSecret {
            uid: metadata.uid.clone().unwrap(),
            resource_version: metadata.resource_version.clone().unwrap(),
        };
        ClusterEvent::Secret { key: ObjectKey::new(Kind::Secret, NAMESPACE, name), seen }
    }

    /// Tells the watch, unless it waits for a version that etcd doesn't have.
    fn tell(&mut self, news: ClusterEvent) {
        if !self.is_behind {
            self.newest = self.newest.max(self.counter);
            self.reconciler.apply_event(news);
        }
    }

    /// Remembers what is in etcd.
    pub fn back_up(&mut self) {
        let (objects, namespace, secrets) =
            (self.objects.clone(), self.namespace.clone(), self.secrets.clone());
        self.backup = Some(Etcd { objects, namespace, secrets, counter: self.counter });
    }

    /// Puts etcd back to the backup, under the running operator.
    pub fn restore(&mut self) {
        let etcd = self.backup.clone().expect("there is a backup");
        (self.objects, self.namespace, self.secrets) = (etcd.objects, etcd.namespace, etcd.secrets);
        self.counter = etcd.counter;
        self.is_behind = true;
    }

    /// Returns the version that etcd is at.
    pub fn version(&self) -> u64 {
        self.counter
    }

    /// Lets etcd count further, as other programs' writes make it.
    pub fn others_write(&mut self, times: u64) {
        self.counter += times;
    }

    /// Notices that etcd was put back, where the versions show it; in any case everything is
    /// listed, since the watches broke.
    pub fn notice(&mut self) {
        if std::mem::take(&mut self.is_behind) {
            if self.counter < self.newest {
                self.reconciler.apply_event(ClusterEvent::RolledBack {
                    kind: Kind::User,
                    known: self.newest,
                    found: self.counter,
                });
            }
            self.newest = self.counter;
            self.list();
        }
    }

    /// Lists everything where the operator asks for it.
    pub fn relist(&mut self) {
        while let Some(why) = self.reconciler.take_relist() {
            if self.is_behind && why == Relist::Resync && self.counter < self.newest {
                self.notice();
                continue;
            }
            self.is_behind = false;
            self.newest = self.counter;
            self.list();
        }
    }

    /// Lets time go by.
    pub async fn wait(&mut self, minutes: u64) {
        let until = Instant::now() + Duration::from_secs(60 * minutes);
        while Instant::now() < until {
            self.until_quiet().await;
            tokio::time::advance(Duration::from_secs(30)).await;
        }
    }

    /// Applies a `User` that takes over the account that a `User` of this name had.
    pub async fn adopt(&mut self, name: &str, yaml: &str) {
        let accounts = self.store.list(None).await.unwrap();
        let account = accounts
            .iter()
            .find(|account| account.owner.name == name)
            .expect("there is an account to take over");
        let mut object: Value = serde_saphyr::from_str(yaml).expect("a story's objects are YAML");
        object["spec"]["adopt"] = json!(account.id.to_string());
        self.put(object);
    }

    /// Tries a password, as an application does.
    pub async fn log_in(&mut self, name: &str, password: &str) {
        let accounts = self.store.list(None).await.unwrap();
        let account = accounts.iter().find(|account| account.owner.name == name);
        let credential = account.filter(|account| account.content.lifecycle == LoginState::Enabled);
        let credential = credential.and_then(|account| account.credential.as_ref());
        let tried = PasswordCandidate::new(password.as_bytes()).unwrap();
        let may = credential
            .is_some_and(|credential| self.hashing.verify(&tried, &credential.login).unwrap());
        self.happened
            .push(format!("{name} {} in with {password}", if may { "logs" } else { "can't log" }));
    }

    /// Whether a password is the account's.
    pub fn verifies(&self, account: &Account, tried: &PasswordCandidate) -> bool {
        account
            .credential
            .as_ref()
            .is_some_and(|credential| self.hashing.verify(tried, &credential.login).unwrap())
    }

    /// Answers what is asked about passwords.
    pub fn judge_passwords(&mut self) {
        for (key, question) in self.reconciler.password_checks() {
            let secret = self.secrets.get(&question.reference.name).cloned();
            let verdict = secret.map_or(CheckResult::Missing, |secret| {
                passwords::verdict(&self.hashing, secret, &question)
            });
            self.happened.push(format!("judged the password of {}", key.name));
            self.reconciler.on_password_checked(&key, question, verdict);
        }
    }

    /// Answers what is asked about passwords, and takes or refuses what a directory is brought.
    async fn run_errands(&mut self) {
        self.judge_passwords();
        if self.directory.as_ref().is_some_and(|directory| directory.days == Day::Played) {
            return;
        }
        for ProvisioningTask { directory: name, entry, .. } in
            self.reconciler.provisioning_tasks().await
        {
            let Some(directory) = &mut self.directory else { panic!("there is no directory") };
            let answer = match directory.days {
                Day::Silent | Day::Played => continue,
                Day::Down => Err(DirectoryError::Unreachable("it is down".to_owned())),
                Day::Good if directory.refuses(&entry) => {
                    Err(DirectoryError::refused("no telephone numbers here"))
                }
                Day::Good => {
                    let account = entry.account.to_string();
                    let before = directory.has.clone();
                    match &entry.person {
                        Some(person) => {
                            let active = if person.active { "active" } else { "inactive" };
                            let (group, permissions) =
                                (&person.group, person.permissions.join(","));
                            let has = format!(
                                "{} {} {active} {group} [{permissions}]",
                                person.login_name, person.email
                            );
                            directory.has.insert(account, has);
                        }
                        None => _ = directory.has.remove(&account),
                    }
                    let wrote = directory.has != before;
                    directory.compared += usize::from(entry.compares);
                    if wrote && entry.compares {
                        directory.has = before;
                        Err(DirectoryError::Drifted)
                    } else {
                        let handle = entry
                            .person
                            .as_ref()
                            .map(|_| EntryHandle(format!("key of {}", entry.account)));
                        Ok(Provisioned { handle, wrote, may_be_late: false })
                    }
                }
            };
            self.reconciler.on_provisioned(&name, &entry, answer);
        }
    }

    /// Waits until everything was compared whole once more.
    pub async fn resync(&mut self) {
        self.until_quiet().await;
        tokio::time::advance(RESYNC).await;
    }

    fn list(&mut self) {
        scopes()
            .into_iter()
            .for_each(|scope| self.reconciler.apply_event(ClusterEvent::ListStarted(scope)));
        let objects = [&self.namespace].into_iter().chain(self.objects.values()).map(news);
        let listed: Vec<ClusterEvent> =
            objects.chain(self.secrets.keys().map(|name| self.secret(name))).collect();
        for item in listed {
            let scope = Scope { kind: item.key().expect("it is an object").kind, namespace: None };
            let listing = Arc::new(WatchListing { scope, version: self.counter });
            self.reconciler.apply_event(ClusterEvent::Listed { listing, item: Box::new(item) });
        }
        scopes()
            .into_iter()
            .for_each(|scope| self.reconciler.apply_event(ClusterEvent::ListCompleted(scope)));
    }

    /// Puts an object in, new or changed.
    pub fn put(&mut self, mut object: Value) {
        if object["kind"] == "Namespace" {
            self.counter += 1;
            object["metadata"]["resourceVersion"] = json!(self.counter.to_string());
            self.namespace = object;
            return self.tell(news(&self.namespace));
        }
        let place = place(&object);
        self.counter += 1;
        self.births += 1;
        let before = self.objects.get(&place);
        let metadata = &mut object["metadata"];
        metadata["namespace"] = json!(NAMESPACE);
        metadata["uid"] = before.map_or_else(
            || json!(format!("uid-{}", self.births)),
            |before| before["metadata"]["uid"].clone(),
        );
        metadata["finalizers"] = json!([FINALIZER]);
        if object["spec"].is_null() {
            object["spec"] = json!({});
        }
        let same = before.is_some_and(|before| before["spec"] == object["spec"]);
        let generation =
            before.and_then(|before| before["metadata"]["generation"].as_i64()).unwrap_or_default();
        object["metadata"]["generation"] = json!(if same { generation } else { generation + 1 });
        if let Some(deleted) = before
            .map(|before| &before["metadata"]["deletionTimestamp"])
            .filter(|deleted| deleted.is_string())
        {
            object["metadata"]["deletionTimestamp"] = deleted.clone();
        }
        object["status"] = before
            .map_or_else(|| json!({"observedGeneration": -1}), |before| before["status"].clone());
        self.objects.insert(place.clone(), object);
        self.changed(&place);
    }

    /// Gives an object a new version and tells the watch, or takes it away if nothing holds it.
    fn changed(&mut self, place: &(String, String)) {
        self.counter += 1;
        let object = self.objects.get_mut(place).expect("it was just changed");
        object["metadata"]["resourceVersion"] = json!(self.counter.to_string());
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if object["metadata"]["deletionTimestamp"].is_string() && !held {
            self.objects.remove(place);
            let kind = kind(&place.0);
            self.tell(ClusterEvent::Deleted(
                ObjectKey::new(kind, NAMESPACE, &place.1),
                self.counter,
            ));
        } else {
            let news = news(object);
            self.tell(news);
        }
    }

    /// Lets the operator work until nothing is due before the next resync.
    pub async fn until_quiet(&mut self) {
        for _ in 0..10_000 {
            self.send_writes();
            self.run_errands().await;
            if !self.work().await {
                if !self.is_behind {
                    return;
                }
                // A quiet watch is checked.
                self.notice();
            }
        }
        panic!("the operator doesn't come to rest");
    }

    /// Lets the operator go through its loop so many times.
    pub async fn work_for(&mut self, times: usize) {
        for _ in 0..times {
            self.send_writes();
            self.run_errands().await;
            self.work().await;
        }
    }

    /// Takes the writes that are due.
    pub fn send_writes(&mut self) {
        for write in self.reconciler.writes() {
            self.take(write);
        }
    }

    /// Returns why the operator may not work any more, if it may not.
    pub fn deposed(&mut self) -> Option<StoreError> {
        self.reconciler.take_superseded()
    }

    /// Returns what the directory has, an entry a line.
    pub fn directory_has(&self) -> BTreeSet<String> {
        self.directory.iter().flat_map(|directory| directory.has.values().cloned()).collect()
    }

    /// Lets the operator do what is due of passwords and directories.
    pub async fn work_errands(&mut self) {
        self.run_errands().await;
    }

    /// Lets the operator look whether members changed something, as it does every few seconds.
    pub async fn see_members(&mut self) {
        self.reconciler.poll_self_service().await;
    }

    /// Has the operator list everything anew, which isn't over yet.
    pub fn begin_to_list_anew(&mut self) {
        self.reconciler.apply_event(ClusterEvent::RolledBack {
            kind: Kind::User,
            known: self.newest + 1,
            found: self.newest,
        });
    }

    /// Lets the operator do what is due next. Returns whether anything was, soon enough.
    pub async fn work(&mut self) -> bool {
        self.relist();
        let quiet_until = Instant::now() + Duration::from_secs(30);
        let due = [self.reconciler.next_work_due(), self.reconciler.round_due()]
            .into_iter()
            .flatten()
            .min();
        let Some(due) = due.filter(|due| *due < quiet_until) else { return false };
        tokio::time::sleep_until(due).await;
        if self.reconciler.round_due().is_some_and(|due| due <= Instant::now()) {
            self.reconciler.run_once().await;
        }
        true
    }

    fn take(&mut self, write: Write) {
        self.writes += 1;
        match write {
            Write::NewGroup { organization, group } => {
                let group = serde_json::to_value(group).unwrap();
                // What somebody else created meanwhile stays.
                if !self.objects.contains_key(&place(&group)) {
                    self.put(group);
                }
                self.reconciler.on_write_result(organization, WriteResult::Done);
            }
            Write::Event { key, said, .. } => self.happened.push(format!(
                "event {}/{} {}",
                <&str>::from(key.kind),
                key.name,
                said.reason
            )),
            Write::Patch(patch) if self.failing_writes > 0 => {
                self.failing_writes -= 1;
                self.reconciler.on_write_result(patch.key, failed());
            }
            Write::Patch(patch) => {
                if let Some(said) = patch.event {
                    let (kind, name): (&str, _) = (patch.key.kind.into(), &patch.key.name);
                    self.happened
                        .push(format!("event {kind}/{name} {}: {}", said.reason, said.note));
                }
                let place = (<&str>::from(patch.key.kind).to_owned(), patch.key.name.clone());
                let Some(object) = self.objects.get_mut(&place) else {
                    self.reconciler.on_write_result(patch.key, WriteResult::Conflict);
                    return;
                };
                let steps: json_patch::Patch = serde_json::from_value(patch.steps).unwrap();
                if json_patch::patch(object, &steps).is_err() {
                    self.reconciler.on_write_result(patch.key, WriteResult::Conflict);
                    return;
                }
                self.changed(&place);
                let answer = match self.lost_answers.checked_sub(1) {
                    Some(left) => {
                        self.lost_answers = left;
                        failed()
                    }
                    None => self.objects.get(&place).map_or(WriteResult::Conflict, answer),
                };
                self.newest = self.newest.max(answer.version());
                self.reconciler.on_write_result(patch.key, answer);
            }
        }
    }

    /// Returns what stands in cluster and store, and how many writes it took since the last time.
    pub async fn describe(&mut self) -> String {
        let mut text = String::new();
        for ((kind, name), object) in &self.objects {
            let status = &object["status"];
            let mut in_flight = String::new();
            let said = |field: &str| status[field].as_str().unwrap_or("-").to_owned();
            let details = match kind.as_str() {
                "User" => {
                    let effective = status["permissions"]["effective"].to_string().replace('"', "");
                    format!(
                        "{} {} {} {effective}{}",
                        said("state"),
                        said("email"),
                        said("group"),
                        relations(status)
                    )
                }
                "UserGroup" => format!("members={}", status["members"]),
                _ => format!("{} users={}", said("asciiDomain"), status["users"]),
            };
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let find = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind);
            if let Some(transaction) =
                status["transaction"].as_object().filter(|last| last["state"] != "Completed")
            {
                let word = |field: &str| transaction[field].as_str().unwrap_or("-").to_owned();
                in_flight = format!(" {} {}", word("type"), word("state"));
            }
            let ready = find("Ready").cloned().unwrap_or_default();
            let trend = ["Reconciling", "Stalled"]
                .into_iter()
                .find(|kind| find(kind).is_some())
                .unwrap_or("-");
            let reason = ready["reason"].as_str().unwrap_or("-");
            writeln!(
                text,
                "{kind}/{name} {details}{in_flight} Ready={} {reason} {trend}",
                ready["status"].as_str().unwrap_or("-")
            )
            .unwrap();
            if ready["status"] == "False" {
                writeln!(text, "  {}", ready["message"].as_str().unwrap_or("-")).unwrap();
            }
            if let Some(current) =
                find("DirectoriesCurrent").filter(|current| current["status"] == "False")
            {
                let says = |field: &str| current[field].as_str().unwrap_or("-").to_owned();
                let why = if current["message"] == ready["message"] {
                    "the same".to_owned()
                } else {
                    says("message")
                };
                writeln!(text, "  DirectoriesCurrent=False {}: {why}", says("reason")).unwrap();
            }
        }
        for account in self.store.list(None).await.unwrap() {
            // No two runs have the same ids.
            text =
                text.replace(&account.id.to_string(), &format!("<id of {}>", account.login_name));
            let content = &account.content;
            let grants: Vec<String> = content.grants.iter().map(ToString::to_string).collect();
            let (login, revision) = (&account.login_name, account.revision.0);
            writeln!(
                text,
                "account {login} {} {:?} {} {grants:?} revision={revision}",
                content.email, content.lifecycle, content.group
            )
            .unwrap();
        }
        let entries: BTreeSet<&String> =
            self.directory.iter().flat_map(|directory| directory.has.values()).collect();
        for line in entries {
            writeln!(text, "directory has {line}").unwrap();
        }
        for line in self.happened.drain(..) {
            writeln!(text, "{line}").unwrap();
        }
        if let Some(since) = self.since.take() {
            writeln!(text, "seconds {}", since.elapsed().as_secs()).unwrap();
        }
        writeln!(text, "writes {}", std::mem::take(&mut self.writes)).unwrap();
        without_ids(&text)
    }
}

/// Returns a text with `ID` for each UUID in it, of accounts that aren't there any more.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        word.len() == 36 && word.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
    };
    text.split(' ').map(|word| if is_id(word) { "ID" } else { word }).collect::<Vec<_>>().join(" ")
}

/// Returns whom a user's permissions and details come from, and how many follow it.
fn relations(status: &Value) -> String {
    let mut text = String::new();
    for name in status["permissions"]["chain"].as_array().into_iter().flatten() {
        text += &format!(" <- {}", name.as_str().unwrap_or("-"));
    }
    for (what, verb) in [("clone", "cloned"), ("copy", "copied")] {
        if let Some(name) = status[what]["name"].as_str() {
            text += &format!(" {verb} from {name} at {}", status[what]["generation"]);
        }
    }
    if status["heirs"].as_i64().is_some_and(|heirs| heirs > 0) {
        text += &format!(" heirs={}", status["heirs"]);
    }
    if !status["profile"].is_null() {
        text += &format!(" own={}", status["profile"].to_string().replace('"', ""));
    }
    text
}

fn scopes() -> Vec<Scope> {
    KINDS.map(|kind| Scope { kind, namespace: None }).to_vec()
}

fn reconciler<S: Store + Clone>(store: &S, directories: &[&str], clock: Clock) -> Reconciler<S> {
    let settings = Settings {
        resync: RESYNC,
        directory_resync: DIRECTORY_RESYNC,
        transaction_deadline: SignedDuration::from_mins(20),
        clock,
        billing_zone: BillingTimeZone::UTC,
        directories: directories.iter().map(|&name| name.to_owned()).collect(),
    };
    Reconciler::new(store.clone(), settings, scopes(), Arc::new(Metrics::default()))
}

fn failed() -> WriteResult {
    let refused = kube::core::Status::failure("not now", "InternalError").with_code(500).boxed();
    WriteResult::Failed(Box::new(kube::Error::Api(refused)))
}

fn place(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().expect("an object has a kind and a name").to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn kind(name: &str) -> Kind {
    KINDS.into_iter().find(|kind| <&str>::from(*kind) == name).expect("a story has our kinds only")
}

fn news(object: &Value) -> ClusterEvent {
    let object = object.clone();
    match object["kind"].as_str() {
        Some("Namespace") => {
            ClusterEvent::Namespace(Box::new(serde_json::from_value(object).unwrap()))
        }
        Some("User") => ClusterEvent::User(Box::new(serde_json::from_value(object).unwrap())),
        Some("UserGroup") => ClusterEvent::Group(Box::new(serde_json::from_value(object).unwrap())),
        _ => ClusterEvent::Domain(Box::new(serde_json::from_value(object).unwrap())),
    }
}

fn answer(object: &Value) -> WriteResult {
    match news(object) {
        ClusterEvent::User(user) => WriteResult::User(user),
        ClusterEvent::Group(group) => WriteResult::Group(group),
        ClusterEvent::Domain(domain) => WriteResult::Domain(domain),
        _ => unreachable!("an answer is one of our kinds"),
    }
}
