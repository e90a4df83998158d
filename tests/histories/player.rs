//! Plays a history: operators after one another on one store, the people of one organization, and a
//! directory on a bad day.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roster::controller::reconciler::Reconciler;
use roster::domain::account::{Account, LoginState};
use roster::domain::password::PasswordCandidate;
use roster::provisioning::queue::ProvisioningTask;
use roster::provisioning::{DirectoryError, Entry, Provisioned};
use roster::store::Store;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;
use roster_test_support::rng::Dice;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::client::{self, Manner};
use crate::directory::Shared;
use crate::oracles::Said;
use crate::steps::{Step, Wish};

/// How long everything may take to come right once nothing fails any more: a request that is late,
/// a rest, a second look.
const COMES_RIGHT: Duration = Duration::from_secs(600);
/// How long it is watched at rest: two resyncs.
const AT_REST: Duration = Duration::from_secs(1500);
/// How often an operator looks whether members changed something of themselves.
const MEMBERS_SEEN: Duration = Duration::from_secs(2);
/// More than an operator has to do at one instant.
const HOT_LOOP: usize = 2_000;

pub(crate) const PASSWORDS: [&str; 3] = [
    "umbrella lantern quartz pelican",
    "sixteen candles over a harbour",
    "eleven ravens beneath the bridge",
];

/// A mistake that the oracles must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Nobody asks the store whether a claim stands before directories are brought anything.
    ChecksNoClaim,
    /// Requests arrive up to three times as late as the product assumes.
    Lateness,
}

type Answer = (usize, String, Entry, Result<Provisioned, DirectoryError>);

/// An operator that another has taken over from, and that hasn't noticed yet.
struct Former {
    number: usize,
    reconciler: Reconciler<FlakyStore>,
    tasks: Vec<AbortHandle>,
    /// When it looks next whether members changed something, by which it learns that its claim has
    /// ended.
    looks_at: Instant,
}

pub(crate) struct Player {
    cluster: Cluster<FlakyStore>,
    directory: Shared,
    manner: Manner,
    /// The number of the operator that works.
    leader: usize,
    tasks: Vec<AbortHandle>,
    former: Vec<Former>,
    tell: UnboundedSender<Answer>,
    answers: UnboundedReceiver<Answer>,
    wishes: BTreeMap<String, Wish>,
    /// By uid, the newest generation that asked for the person to be let in.
    enabled_at: BTreeMap<String, i64>,
    groups: BTreeMap<String, BTreeSet<String>>,
    passwords: BTreeMap<String, usize>,
}

impl Player {
    pub(crate) async fn new(mut dice: Dice, planted: Option<Planted>) -> Self {
        let manner =
            Manner { hides_passwords: dice.below(2) == 0, creates_whole: dice.below(2) == 0 };
        let faults = dice.choice(&[0, 5, 15, 40]);
        let (tell, answers) = unbounded_channel();
        let store = match planted {
            Some(Planted::ChecksNoClaim) => FlakyStore::default().without_checks(),
            Some(Planted::Lateness) | None => FlakyStore::default(),
        };
        let lateness = if planted == Some(Planted::Lateness) { 3 } else { 1 };
        let mut cluster = Cluster::new(store);
        cluster.set_directory("played").await;
        cluster.apply("kind: OrgEmailDomain\nmetadata: {name: acme}\nspec: {domain: acme.example}");
        let mut player = Self {
            cluster,
            directory: Shared::new(dice.split(1), faults, lateness),
            manner,
            leader: 0,
            tasks: vec![],
            former: vec![],
            tell,
            answers,
            wishes: BTreeMap::new(),
            enabled_at: BTreeMap::new(),
            groups: BTreeMap::new(),
            passwords: BTreeMap::new(),
        };
        for group in ["users", "drivers"] {
            player.set_group(group, BTreeSet::new());
        }
        for user in ["u0", "u1", "u2"] {
            player.set_password(user, 0);
        }
        player
    }

    pub(crate) fn directory(&self) -> &Shared {
        &self.directory
    }

    fn set_group(&mut self, name: &str, permissions: BTreeSet<String>) {
        self.cluster.put(json!({"kind": "UserGroup", "metadata": {"name": name}, "spec": {"permissions": permissions}}));
        self.groups.insert(name.to_owned(), permissions);
    }

    fn set_password(&mut self, user: &str, number: usize) {
        self.cluster.set_secret(&format!("{user}-password"), Some(PASSWORDS[number]));
        self.passwords.insert(user.to_owned(), number);
    }

    fn user(&self, name: &str) -> Option<&Value> {
        self.cluster.objects().get(&("User".to_owned(), name.to_owned()))
    }

    fn is_here(&self, name: &str) -> bool {
        self.user(name).is_some_and(|user| !user["metadata"]["deletionTimestamp"].is_string())
    }

    /// Declares somebody, new or changed.
    fn wish(&mut self, name: &str, wish: Wish) {
        self.cluster.put(wish.user(name));
        let metadata = &self.user(name).expect("it was just put in")["metadata"];
        let (uid, generation) =
            (text(&metadata["uid"]), metadata["generation"].as_i64().unwrap_or_default());
        if !wish.is_disabled {
            self.enabled_at.insert(uid, generation);
        }
        self.wishes.insert(name.to_owned(), wish);
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Wish)) {
        if self.is_here(name) {
            let mut wish = self.wishes[name].clone();
            edit(&mut wish);
            self.wish(name, wish);
        }
    }

    /// Does one step. What concerns somebody who isn't there does nothing.
    pub(crate) async fn step(&mut self, step: &Step) {
        self.directory.lock().note(|| format!("step {step:?}"));
        match step {
            Step::Create(name, wish) => {
                let follows_nobody = wish.follows.as_ref().is_some_and(|from| !self.is_here(from));
                if self.user(name).is_none() && !follows_nobody {
                    self.wish(name, wish.clone());
                }
            }
            Step::Enable(name, enabled) => self.edit(name, |wish| wish.is_disabled = !enabled),
            Step::Grants(name, grants) => self.edit(name, |wish| wish.grants.clone_from(grants)),
            Step::Regroup(name, group) => self.edit(name, |wish| wish.group.clone_from(group)),
            Step::Delete(name) => {
                let is_followed = |(other, wish): (&String, &Wish)| {
                    wish.follows.as_deref() == Some(name)
                        && self.cluster.objects().contains_key(&("User".to_owned(), other.clone()))
                };
                if self.is_here(name) && !self.wishes.iter().any(is_followed) {
                    self.cluster.delete("User", name);
                }
            }
            Step::Group(name, permissions) => self.set_group(name, permissions.clone()),
            Step::Rotate(name, number) => self.set_password(name, *number),
            Step::Kill => {
                self.tasks.drain(..).for_each(|task| task.abort());
                self.succeed();
            }
            Step::Replace => {
                let (number, tasks) = (self.leader, std::mem::take(&mut self.tasks));
                let reconciler = self.succeed();
                let looks_at = Instant::now() + MEMBERS_SEEN;
                self.former.push(Former { number, reconciler, tasks, looks_at });
            }
            Step::Down(is_down) => self.directory.lock().set_down(*is_down),
            Step::Trouble(name, trouble) => {
                self.directory.lock().set_trouble(&format!("{name}.acme"), *trouble)
            }
            Step::Wait(time) => self.until(Instant::now() + *time).await,
        }
        self.work().await;
    }

    /// Has another operator claim the store and begin. Returns the former one.
    fn succeed(&mut self) -> Reconciler<FlakyStore> {
        self.leader += 1;
        let store = self.cluster.store.claimed_anew();
        self.cluster.hand_over(store)
    }

    /// Lets everybody do what is due now.
    async fn work(&mut self) {
        for _ in 0..HOT_LOOP {
            while let Ok(answer) = self.answers.try_recv() {
                self.take(answer);
            }
            self.cluster.send_writes();
            self.hear();
            self.cluster.judge_passwords();
            let deliveries = self.cluster.reconciler().provisioning_tasks().await;
            let tasks = deliveries
                .into_iter()
                .map(|delivery| self.send(self.leader, delivery))
                .collect::<Vec<_>>();
            self.tasks.extend(tasks);
            self.cluster.relist();
            let mut is_busy = round(self.cluster.reconciler()).await;
            is_busy |= self.work_of_former().await;
            if !is_busy && self.due().is_none_or(|due| due > Instant::now()) {
                return;
            }
        }
        panic!("there is always something due");
    }

    /// Lets those work on whom another has taken over from. Their writes go to a cluster that isn't
    /// this one.
    async fn work_of_former(&mut self) -> bool {
        let mut is_busy = false;
        for mut former in std::mem::take(&mut self.former) {
            former.reconciler.writes();
            former.reconciler.password_checks();
            for delivery in former.reconciler.provisioning_tasks().await {
                former.tasks.push(self.send(former.number, delivery));
            }
            is_busy |= round(&mut former.reconciler).await;
            if former.looks_at <= Instant::now() {
                former.looks_at += MEMBERS_SEEN;
                former.reconciler.poll_self_service().await;
            }
            if former.reconciler.take_superseded().is_some() {
                former.tasks.iter().for_each(AbortHandle::abort);
                self.directory.lock().note(|| format!("operator {} notices", former.number));
            } else {
                self.former.push(former);
            }
        }
        is_busy
    }

    fn send(
        &self,
        number: usize,
        ProvisioningTask { directory: name, entry, .. }: ProvisioningTask,
    ) -> AbortHandle {
        let (directory, manner, tell) = (self.directory.clone(), self.manner, self.tell.clone());
        directory.lock().note(|| {
            let of = entry
                .person
                .as_ref()
                .map(|person| (&person.login_name, person.active, &person.permissions));
            format!("operator {number} brings {of:?} of {} at {:?}", entry.account, entry.revision)
        });
        let bringing = tokio::spawn(async move {
            let answer = client::provision(&directory, &entry, manner).await;
            _ = tell.send((number, name, entry, answer));
        });
        bringing.abort_handle()
    }

    fn take(&mut self, (number, name, entry, answer): Answer) {
        let reconciler = match self.former.iter_mut().find(|former| former.number == number) {
            Some(former) => &mut former.reconciler,
            None if number == self.leader => self.cluster.reconciler(),
            None => return,
        };
        self.directory.lock().note(|| {
            format!(
                "operator {number} hears {answer:?} of {} at {:?}",
                entry.account, entry.revision
            )
        });
        reconciler.on_provisioned(&name, &entry, answer);
    }

    fn due(&mut self) -> Option<Instant> {
        let dues = |reconciler: &Reconciler<FlakyStore>| {
            [reconciler.next_work_due(), reconciler.round_due()]
        };
        let former = self
            .former
            .iter()
            .flat_map(|former| {
                [former.looks_at].into_iter().chain(dues(&former.reconciler).into_iter().flatten())
            })
            .min();
        dues(self.cluster.reconciler()).into_iter().flatten().chain(former).min()
    }

    /// Lets time go by.
    async fn until(&mut self, end: Instant) {
        loop {
            self.work().await;
            let due = self.due().map_or(end, |due| due.min(end));
            tokio::select! {
                biased;
                Some(answer) = self.answers.recv() => self.take(answer),
                () = tokio::time::sleep_until(due) => {
                    if Instant::now() >= end || self.is_broken() {
                        return self.work().await;
                    }
                }
            }
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.directory.lock().oracles.breach().is_some()
    }

    /// Has the oracles hear what statuses say now.
    fn hear(&mut self) {
        let objects = self.cluster.objects().iter().filter(|((kind, _), _)| kind == "User");
        let said = objects.map(|(_, user)| {
            let uid = text(&user["metadata"]["uid"]);
            let enabled_at = self.enabled_at.get(&uid).copied().unwrap_or_default();
            (uid, Said::by(user, enabled_at))
        });
        let said: BTreeMap<_, _> = said.collect();
        let mut directory = self.directory.lock();
        if directory.oracles.hear(said, self.cluster.store.owners_ever()) {
            let told = directory.oracles.told();
            directory.note(|| told);
        }
        directory.look();
    }

    /// Lets everything come right. Returns what isn't.
    pub(crate) async fn end(&mut self) -> Option<String> {
        self.directory.lock().note(|| "all is well from now on".to_owned());
        self.directory.lock().is_well();
        self.until(Instant::now() + COMES_RIGHT).await;
        let wrong = self.what_is_wrong().await;
        if wrong.is_some() {
            return wrong;
        }
        let sent = self.directory.lock().sent();
        self.until(Instant::now() + AT_REST).await;
        let more = self.directory.lock().sent() - sent;
        (more > 0).then(|| format!("{more} requests were sent at rest"))
    }

    async fn what_is_wrong(&self) -> Option<String> {
        let accounts = self.cluster.store.list(None).await.unwrap();
        let directory = self.directory.lock();
        let people: BTreeMap<&str, _> =
            directory.people().map(|person| (person.login_name.as_str(), person)).collect();
        let declared = self.wishes.keys().filter(|name| self.user(name).is_some());
        if let Some(name) = declared.clone().find(|name| !self.is_here(name)) {
            return Some(format!("{name} isn't gone"));
        }
        if people.len() != declared.clone().count() {
            return Some(format!("the directory has {:?}", people.keys()));
        }
        for name in declared {
            let (wish, status) =
                (&self.wishes[name], &self.user(name).expect("it is declared")["status"]);
            let account = accounts.iter().find(|account| account.owner.name == *name);
            let Some(account) = account else { return Some(format!("{name} has no account")) };
            let Some(person) = people.get(account.login_name.as_str()) else {
                return Some(format!("{name} has no entry"));
            };
            let permissions: Vec<String> = self.permissions(name).into_iter().collect();
            let has = (person.account, person.active, &person.group, &person.permissions);
            let wanted = (account.id, !wish.is_disabled, &wish.group, &permissions);
            if has != wanted {
                return Some(format!(
                    "the directory has {has:?} of {name}, whose User asks for {wanted:?}"
                ));
            }
            let fault = self.fault_of_password(name, account, person.password.as_deref());
            if fault.is_some() {
                return fault;
            }
            let state = if wish.is_disabled { "Disabled" } else { "Enabled" };
            let ready = &status["conditions"][0]["status"];
            if (&status["state"], ready) != (&json!(state), &json!("True")) {
                return Some(format!("{name} is {} and Ready is {ready}", status["state"]));
            }
        }
        None
    }

    fn fault_of_password(
        &self,
        name: &str,
        account: &Account,
        has: Option<&str>,
    ) -> Option<String> {
        let tried = PasswordCandidate::new(PASSWORDS[self.passwords[name]].as_bytes()).unwrap();
        if !self.cluster.verifies(account, &tried) {
            return Some(format!("{name} can't log in with the newest password"));
        }
        let login = account.credential.as_ref().map(|credential| credential.login.as_str());
        let is_wrong = account.content.lifecycle == LoginState::Enabled && has != login;
        is_wrong.then(|| format!("the directory has another password of {name}"))
    }

    /// Returns what somebody may do by what is declared.
    fn permissions(&self, name: &str) -> BTreeSet<String> {
        let wish = &self.wishes[name];
        let followed = wish.follows.iter().flat_map(|from| self.wishes[from].grants.clone());
        wish.grants
            .iter()
            .cloned()
            .chain(followed)
            .chain(self.groups[&wish.group].clone())
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Lets an operator do its round if one is due.
async fn round(reconciler: &mut Reconciler<FlakyStore>) -> bool {
    let is_due = reconciler.round_due().is_some_and(|due| due <= Instant::now());
    if is_due {
        reconciler.run_once().await;
    }
    is_due
}
