//! A store that is watched: after every commit somebody else reads all of it and judges it, and now
//! and then it is away, or takes a commit and can't say so.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use roster::domain::account::{
    Account as Stored, AccountId, DeletedAccount, LoginState, Source as StoredSource, TransactionId,
};
use roster::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use roster::domain::organization::Organization;
use roster::domain::permission::Permissions;
use roster::plan::{AccountChange, AccountPlan, Deleting, GroupPlan, Plan};
use roster::store::memory::MemoryStore;
use roster::store::sql::SqlStore;
use roster::store::{
    AccountKey, Administrator, CommitTime, Counts, GroupName, OrganizationRecord, Receipt, Refusal,
    Store, StoreError, UserName,
};
use roster_test_support::application::Application;
use roster_test_support::postgres::Database;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::reference::{Account, Choice, Copied, Event, Gives, Law, Source, Words};

/// What the store and the cluster have in common: the law, the faults to come, and the first
/// breach.
#[derive(Debug, Default)]
pub(crate) struct Court {
    pub(crate) law: Law,
    pub(crate) away: usize,
    pub(crate) lost_replies: usize,
    pub(crate) taken: usize,
    pub(crate) refused: usize,
    pub(crate) commits: Vec<String>,
    pub(crate) breach: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Watched {
    place: Place,
    court: Arc<Mutex<Court>>,
}

#[derive(Clone)]
enum Place {
    Memory(Arc<MemoryStore>),
    Database(Arc<InDatabase>),
}

struct InDatabase {
    store: SqlStore,
    second: SqlStore,
    url: String,
    runtime: Handle,
    _kept: Kept,
}

/// What goes with the store.
enum Kept {
    Folder(#[allow(dead_code, reason = "it is there to be dropped")] TempDir),
    Database(#[allow(dead_code, reason = "it is there to be dropped")] Database),
}

impl Watched {
    pub(crate) fn in_memory() -> Self {
        Self { place: Place::Memory(Arc::default()), court: Arc::default() }
    }

    /// A database whose connections live on another runtime, where time goes by.
    pub(crate) fn in_sqlite(runtime: &Handle) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("roster.db").display());
        Self::in_database(runtime, &format!("{url}?mode=rwc"), url, Kept::Folder(folder))
    }

    /// The same on a server.
    pub(crate) fn in_postgres(runtime: &Handle) -> Self {
        let database = runtime.block_on(Database::new());
        Self::in_database(runtime, &database.url(), database.url(), Kept::Database(database))
    }

    fn in_database(runtime: &Handle, to_create: &str, url: String, kept: Kept) -> Self {
        let (store, second) = runtime.block_on(async {
            let store = SqlStore::open(to_create).await.unwrap();
            let second = SqlStore::open_existing(&url).await.unwrap();
            (store, second)
        });
        let place = Place::Database(Arc::new(InDatabase {
            store,
            second,
            url,
            runtime: runtime.clone(),
            _kept: kept,
        }));
        Self { place, court: Arc::default() }
    }

    pub(crate) fn court(&self) -> MutexGuard<'_, Court> {
        self.court.lock().expect("nothing panics while it holds the lock")
    }

    fn answers(&self) -> Result<(), StoreError> {
        let mut court = self.court();
        if court.away == 0 {
            return Ok(());
        }
        court.away -= 1;
        Err(away())
    }

    /// Reads everything as somebody else would, and judges it.
    async fn judge(&self, events: &[Event]) -> Result<(), StoreError> {
        let organization = Organization {
            namespace: "acme".to_owned(),
            customer_id: roster::domain::organization::CustomerId::parse("acme").unwrap(),
        };
        let (accounts, records, view) = match &self.place {
            Place::Memory(store) => {
                (store.list(None).await?, store.organizations(&[organization]).await?, None)
            }
            Place::Database(database) => {
                let there = database.clone();
                elsewhere(&database.runtime, async move {
                    let view = view(&there.url).await;
                    let records = there.second.organizations(&[organization]).await?;
                    Ok::<_, StoreError>((there.second.list(None).await?, records, Some(view)))
                })?
            }
        };
        let mut court = self.court();
        let found: BTreeMap<String, Account> =
            accounts.iter().map(|account| (account.owner.name.clone(), found(account))).collect();
        let mut judged = court.law.commit(events, &found);
        let groups = records["acme"].groups.iter().map(|(name, group)| {
            let gives =
                Gives { full_control: group.full_control, permissions: words(&group.permissions) };
            (name.clone(), gives)
        });
        let groups: BTreeMap<String, Gives> = groups.collect();
        if judged.is_ok() && groups != court.law.in_force {
            judged = Err(format!(
                "the groups must give\n  {:?}\nand give\n  {groups:?}",
                court.law.in_force
            ));
        }
        if judged.is_ok()
            && let Some(view) = view
        {
            judged = judge_view(&court.law, &view);
        }
        let commit: Vec<String> = events.iter().map(ToString::to_string).collect();
        court.commits.push(commit.join(", "));
        if let Err(breach) = judged {
            let last = court.commits.len().saturating_sub(6);
            let commits = court.commits[last..].join("\n  ");
            court.breach.get_or_insert(format!("{breach}\nafter the commits\n  {commits}"));
        }
        Ok(())
    }
}

fn judge_view(law: &Law, view: &BTreeMap<String, Seen>) -> Result<(), String> {
    for (name, account) in &law.accounts {
        let state = if account.enabled { "Enabled" } else { "Disabled" };
        let expected = Seen {
            email: account.email.clone(),
            state: state.to_owned(),
            group: account.group.clone(),
            permissions: law.effective(name).into_iter().collect(),
        };
        if view.get(name) != Some(&expected) {
            return Err(format!(
                "applications must see of {name}\n  {expected:?}\nand see\n  {:?}",
                view.get(name)
            ));
        }
    }
    if view.len() == law.accounts.len() {
        Ok(())
    } else {
        Err("applications see accounts that nobody has".to_owned())
    }
}

/// What an application sees of an account.
#[derive(Debug, PartialEq)]
struct Seen {
    email: String,
    state: String,
    group: String,
    permissions: Vec<String>,
}

async fn view(url: &str) -> BTreeMap<String, Seen> {
    let mut application = Application::open(url).await;
    let rows = application
        .rows("SELECT login_name, email, state, group_name, permissions FROM roster_accounts", &[])
        .await;
    let seen = rows.iter().map(|row| {
        let text = |column| row.text(column).expect("it isn't NULL");
        let permissions =
            serde_json::from_str(&text(4)).expect("the view lists permissions as JSON");
        (
            text(0).trim_end_matches(".acme").to_owned(),
            Seen { email: text(1), state: text(2), group: text(3), permissions },
        )
    });
    let view = seen.collect();
    application.close().await;
    view
}

fn away() -> StoreError {
    StoreError::Unusable("the store is away".to_owned())
}

/// Waits for something that runs where time goes by, while it stands still here.
fn elsewhere<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let (answer, answered) = mpsc::channel();
    runtime.spawn(async move {
        let _ = answer.send(work.await);
    });
    answered.recv().expect("what runs elsewhere ends")
}

fn words(permissions: &Permissions) -> Words {
    permissions.iter().map(ToString::to_string).collect()
}

fn found(stored: &Stored) -> Account {
    let content = &stored.content;
    let (source, kept) = match &content.source {
        None => (Source::Own, None),
        Some(StoredSource::Inherited { from, kept }) => {
            (Source::Follows(from.clone()), kept.as_ref().map(words))
        }
        Some(StoredSource::Cloned(cloned)) => {
            let (from, uid, generation) =
                (cloned.from.clone(), cloned.uid.clone(), cloned.generation);
            (
                Source::Cloned { from, uid, generation, permissions: words(&cloned.permissions) },
                None,
            )
        }
    };
    Account {
        uid: stored.owner.uid.clone(),
        generation: stored.owner.generation,
        email: content.email.to_string(),
        enabled: content.lifecycle == LoginState::Enabled,
        group: content.group.clone(),
        grants: words(&content.grants),
        source,
        kept,
        role: content.role.clone(),
        teams: content.teams.clone(),
        display_name: content.profile.display_name.clone(),
        copied: content.copied.as_ref().map(|copied| Copied {
            from: copied.from.clone(),
            uid: copied.uid.clone(),
            generation: copied.generation,
            role: copied.role.clone(),
            teams: copied.teams.clone(),
            display_name: copied.profile.display_name.clone(),
        }),
    }
}

fn event(plan: &Plan) -> Event {
    match plan {
        Plan::Account(plan) => account_event(plan),
        Plan::Group(GroupPlan::Put { name, content, .. }) => {
            Event::GroupPut { name: name.clone(), full_control: content.full_control }
        }
        Plan::Group(GroupPlan::Drop { name, .. }) => Event::GroupDropped { name: name.clone() },
        Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => Event::Other,
    }
}

fn account_event(plan: &AccountPlan) -> Event {
    let (name, uid, generation) =
        (plan.owner.name.clone(), plan.owner.uid.clone(), plan.owner.generation);
    let choice = |content: &roster::domain::account::AccountSpec| Choice {
        group: content.group.clone(),
        enabled: content.lifecycle == LoginState::Enabled,
        cloned: matches!(content.source, Some(StoredSource::Cloned(_))),
    };
    match &plan.change {
        AccountChange::Create { content, .. } => {
            Event::Created { name, uid, generation, choice: choice(content) }
        }
        AccountChange::Update { content, .. } => {
            Event::Updated { name, uid, generation, choice: choice(content) }
        }
        AccountChange::Delete { .. } => Event::Deleted { name, uid },
        AccountChange::Release { .. } => panic!("the model releases nothing"),
    }
}

macro_rules! ask {
    ($self:ident, $call:ident $(, $argument:ident)*) => {{
        $self.answers()?;
        match &$self.place {
            Place::Memory(store) => store.$call($(&$argument),*).await,
            Place::Database(database) => {
                let there = database.clone();
                elsewhere(&database.runtime, async move { there.store.$call($(&$argument),*).await })
            }
        }
    }};
}

impl Store for Watched {
    async fn find(&self, keys: &[AccountKey]) -> Result<HashMap<AccountKey, Stored>, StoreError> {
        let keys = keys.to_vec();
        ask!(self, find, keys)
    }

    async fn organizations(
        &self,
        wanted: &[Organization],
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let wanted = wanted.to_vec();
        ask!(self, organizations, wanted)
    }

    async fn records(
        &self,
        wanted: &[Organization],
        groups: &BTreeSet<GroupName>,
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let (wanted, groups) = (wanted.to_vec(), groups.clone());
        ask!(self, records, wanted, groups)
    }

    async fn group_names(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, BTreeSet<String>>, StoreError> {
        let namespaces = namespaces.to_vec();
        ask!(self, group_names, namespaces)
    }

    async fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Stored>, StoreError> {
        let users = users.to_vec();
        ask!(self, inheritance_chain, users)
    }

    async fn heirs(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Vec<String>>, StoreError> {
        let users = users.to_vec();
        ask!(self, heirs, users)
    }

    async fn administrators(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, Vec<Administrator>>, StoreError> {
        let namespaces = namespaces.to_vec();
        ask!(self, administrators, namespaces)
    }

    async fn counts(
        &self,
        namespaces: &HashMap<String, Deleting>,
    ) -> Result<HashMap<String, Counts>, StoreError> {
        let namespaces = namespaces.clone();
        ask!(self, counts, namespaces)
    }

    async fn known_ids(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        let ids = ids.to_vec();
        ask!(self, known_ids, ids)
    }

    async fn created_accounts(
        &self,
        creates: &[TransactionId],
    ) -> Result<HashMap<TransactionId, AccountId>, StoreError> {
        let creates = creates.to_vec();
        ask!(self, created_accounts, creates)
    }

    async fn deleted_accounts(
        &self,
        users: &[(UserName, String)],
    ) -> Result<HashMap<UserName, DeletedAccount>, StoreError> {
        let users = users.to_vec();
        ask!(self, deleted_accounts, users)
    }

    async fn pending_deletions(&self) -> Result<Vec<DeletedAccount>, StoreError> {
        ask!(self, pending_deletions)
    }

    async fn set_directories(
        &self,
        directories: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(store) => store.set_directories(directories, now).await,
            Place::Database(database) => {
                let (there, directories) = (database.clone(), directories.clone());
                elsewhere(&database.runtime, async move {
                    there.store.set_directories(&directories, now).await
                })
            }
        }
    }

    async fn check_claim(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(store) => store.check_claim().await,
            Place::Database(database) => {
                let there = database.clone();
                elsewhere(&database.runtime, async move { there.store.check_claim().await })
            }
        }
    }

    async fn self_service_changes(&self, after: i64) -> Result<(i64, Vec<UserName>), StoreError> {
        match &self.place {
            Place::Memory(store) => store.self_service_changes(after).await,
            Place::Database(database) => {
                let there = database.clone();
                elsewhere(&database.runtime, async move {
                    there.store.self_service_changes(after).await
                })
            }
        }
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        ask!(self, owners)
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Stored>, StoreError> {
        match &self.place {
            Place::Memory(store) => store.list(namespace).await,
            Place::Database(database) => {
                let (there, namespace) = (database.clone(), namespace.map(str::to_owned));
                elsewhere(
                    &database.runtime,
                    async move { there.store.list(namespace.as_deref()).await },
                )
            }
        }
    }

    async fn commit(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        self.answers()?;
        let answers = match &self.place {
            Place::Memory(store) => store.commit(plans, occasion).await?,
            Place::Database(database) => {
                let (there, plans) = (database.clone(), plans.to_vec());
                elsewhere(
                    &database.runtime,
                    async move { there.store.commit(&plans, occasion).await },
                )?
            }
        };
        let taken = plans.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        let events: Vec<Event> = taken.map(|(plan, _)| event(plan)).collect();
        self.judge(&events).await?;
        let mut court = self.court();
        court.taken += events.len();
        court.refused += answers.len() - events.len();
        if court.lost_replies > 0 {
            court.lost_replies -= 1;
            return Err(away());
        }
        Ok(answers)
    }

    async fn close_months(
        &self,
        zone: &BillingTimeZone,
        now: Timestamp,
    ) -> Result<Vec<Period>, StoreError> {
        match &self.place {
            Place::Memory(store) => store.close_months(zone, now).await,
            Place::Database(database) => {
                let (there, zone) = (database.clone(), zone.clone());
                elsewhere(
                    &database.runtime,
                    async move { there.store.close_months(&zone, now).await },
                )
            }
        }
    }

    async fn calendar(&self) -> Result<Calendar, StoreError> {
        ask!(self, calendar)
    }

    async fn lifetimes(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(store) => store.lifetimes(period, namespace, take).await,
            Place::Database(database) => database.store.lifetimes(period, namespace, take).await,
        }
    }
}
