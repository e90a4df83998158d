//! The store in a SQL database: `SQLite` or `PostgreSQL` through sqlx.
//!
//! A commit is one transaction of the database; looks run on other connections and see what was
//! committed. Both databases are given the same statements; what only one of them says stands in
//! [`sqlite`] and [`postgres`].
//!
//! In `SQLite` only one transaction writes at a time. In `PostgreSQL` a commit locks the
//! organizations that it is about, so that nobody else judges or changes them meanwhile, and with
//! them a share in the table of these locks, which whoever must be alone takes whole: who closes a
//! month, claims namespaces, or changes the directories. That is stricter than serializable
//! transactions, which may come true in another order than in time: no commit of an older epoch, or
//! in a closed month, becomes visible after the newer epoch or the close. Nothing is locked across
//! organizations, so operators that share a store by namespaces don't wait for each other.

mod advice;
pub mod backup;
mod billing_periods;
mod commit;
mod connection;
pub mod corrections;
mod database;
mod digest;
mod file_lock;
mod find;
pub mod inspection;
mod locks;
mod logins;
mod operators;
mod postgres;
mod rows;
mod schema;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::advice::about_file;
use self::connection::{Connection, Purpose, pairs, statement, texts};
use self::database::{Database, StoreAddress};
pub use self::file_lock::FileLock;
use self::operators::HeldClaim;
use self::rows::GroupColumns;
use super::claims::{Claim, ClaimError, ClaimGrant, CommitPosition, Operators};
use super::{
    AccountKey, Administrator, CommitTime, Counts, GroupName, OrganizationRecord, Receipt, Refusal,
    Store, StoreError, UserName,
};
use crate::domain::account::{Account, AccountId, DeletedAccount, TransactionId};
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use crate::domain::organization::Organization;
use crate::plan::{Deleting, Plan};

/// How often a commit is tried again after it lost against another transaction.
const RACES: usize = 5;

/// For how long after a commit waited in vain for an application the next ones wait less.
const IN_VAIN: Duration = Duration::from_secs(60);

/// A store in a database.
pub struct SqlStore {
    database: Database,
    holding: Option<HeldClaim>,
    /// When a commit last waited in vain for an application's lock.
    waited_in_vain: Mutex<Option<Instant>>,
}

impl SqlStore {
    /// Opens the store at an address such as `sqlite://FILE?mode=rwc` or
    /// `postgres://USER@HOST/DATABASE` and brings its schema up to this version; with `mode=rwc`
    /// creates the file, readable by its owner alone, if it isn't there.
    ///
    /// # Errors
    /// When the address isn't one, when what is there isn't a roster store or was written by a
    /// newer roster, and when the database fails.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = StoreAddress::parse(url)?;
        if let StoreAddress::Sqlite(address) = &address {
            address.create_if_asked()?;
        }
        let held = Box::pin(schema::check_can_migrate(&address)).await?;
        let database = Database::connect(&address).await?;
        if let Some(connection) = database.writer().await?.in_sqlite() {
            // A backup that was moved to a store's place is a store from now on, and becomes
            // another with its first commit.
            digest::remove(connection).await?;
        }
        if held.is_older() {
            Box::pin(schema::migrate(&database)).await?;
        }
        Ok(Self { database, holding: None, waited_in_vain: Mutex::default() })
    }

    /// Opens a store that is there already, as it is: creates and migrates nothing.
    ///
    /// # Errors
    /// As [`SqlStore::open`], and when the store isn't there or was written by an older roster.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let address = StoreAddress::parse(url)?;
        Box::pin(schema::check_is_current(&address)).await?;
        Ok(Self {
            database: Database::connect(&address).await?,
            holding: None,
            waited_in_vain: Mutex::default(),
        })
    }

    /// Claims namespaces for an operator: from now on every commit of this store is checked against
    /// the claim.
    ///
    /// # Errors
    /// When the store belongs to another cluster, another operator works in some of the namespaces,
    /// or the database fails.
    pub async fn claim(&mut self, claim: &Claim, now: Timestamp) -> Result<ClaimGrant, ClaimError> {
        let mut writer = self.database.writer().await?;
        let (holding, reign) = operators::claim(&mut writer, claim, now).await?;
        self.holding = Some(holding);
        Ok(reign)
    }

    /// Tells how far the holder of the claim has come to whoever listens there, now and from now
    /// on.
    pub fn tell_progress(&mut self, to: watch::Sender<CommitPosition>) {
        if let Some(holding) = &mut self.holding {
            holding.tell(to);
        }
    }

    /// Gives the claim up, so that others may claim its namespaces at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resign(&mut self) -> Result<(), StoreError> {
        let Some(holding) = self.holding.take() else { return Ok(()) };
        operators::resign(&mut self.database.writer().await?, &holding).await
    }

    /// Returns who works on the store.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operators(&self) -> Result<Operators, StoreError> {
        let mut view = self.look().await?;
        let operators = operators::operators(&mut view).await?;
        view.commit().await?;
        Ok(operators)
    }

    /// Returns a connection that sees the store at one moment.
    async fn look(&self) -> Result<Connection, StoreError> {
        let mut reader = self.database.reader().await?;
        reader.begin(Purpose::Look).await?;
        Ok(reader)
    }

    /// Closes the connections once what runs on them is done.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl Store for SqlStore {
    async fn find(&self, keys: &[AccountKey]) -> Result<HashMap<AccountKey, Account>, StoreError> {
        let mut view = self.look().await?;
        let found = find::accounts(&mut view, keys).await?;
        view.commit().await?;
        Ok(found)
    }

    async fn organizations(
        &self,
        wanted: &[Organization],
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let mut view = self.look().await?;
        let namespaces = wanted.iter().map(|organization| organization.namespace.as_str());
        let customer_ids = wanted.iter().map(|organization| organization.customer_id.as_str());
        let known =
            rows::organizations(&mut view, namespaces, customer_ids, GroupColumns::All).await?;
        view.commit().await?;
        Ok(wanted
            .iter()
            .map(|organization| (organization.namespace.clone(), known.record(organization)))
            .collect())
    }

    async fn records(
        &self,
        wanted: &[Organization],
        groups: &BTreeSet<GroupName>,
    ) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let mut view = self.look().await?;
        let namespaces = wanted.iter().map(|organization| organization.namespace.as_str());
        let customer_ids = wanted.iter().map(|organization| organization.customer_id.as_str());
        let groups = groups.iter().map(|(namespace, name)| [namespace.as_str(), name]).collect();
        let known =
            rows::organizations(&mut view, namespaces, customer_ids, GroupColumns::Named(groups))
                .await?;
        view.commit().await?;
        Ok(wanted
            .iter()
            .map(|organization| (organization.namespace.clone(), known.record(organization)))
            .collect())
    }

    async fn group_names(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, BTreeSet<String>>, StoreError> {
        let mut names: HashMap<String, BTreeSet<String>> =
            namespaces.iter().map(|namespace| (namespace.clone(), BTreeSet::new())).collect();
        let mut reader = self.database.reader().await?;
        let query = statement(concat!(
            "SELECT namespace, name FROM groups WHERE namespace IN (",
            texts!("$1"),
            ")"
        ));
        for row in query.bind(rows::texts(namespaces)).fetch_all(&mut reader).await? {
            names.entry(row.get("namespace")?).or_default().insert(row.get("name")?);
        }
        Ok(names)
    }

    async fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Account>, StoreError> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let mut reader = self.database.reader().await?;
        let query = statement(concat!(
            "WITH RECURSIVE line (namespace, name) AS (",
            "SELECT namespace, owner_name FROM accounts WHERE (namespace, owner_name) IN (",
            pairs!("$1"),
            // One by one: a join would have PostgreSQL read all accounts, whose lines it takes for
            // long.
            ") UNION SELECT l.namespace, (SELECT f.source_name FROM accounts AS f \
             WHERE f.namespace = l.namespace AND f.owner_name = l.name AND f.source_mode = 'Inherit') \
             FROM line AS l WHERE l.name IS NOT NULL) ",
            rows::select_accounts!(
                "JOIN line AS l ON a.namespace = l.namespace AND a.owner_name = l.name"
            )
        ));
        let accounts = rows::accounts(query.bind(rows::json(users)), &mut reader).await?;
        let by_user = accounts
            .into_iter()
            .map(|account| ((account.namespace.clone(), account.owner.name.clone()), account));
        Ok(by_user.collect())
    }

    async fn heirs(
        &self,
        users: &[UserName],
    ) -> Result<HashMap<UserName, Vec<String>>, StoreError> {
        let mut heirs: HashMap<UserName, Vec<String>> = HashMap::new();
        if users.is_empty() {
            return Ok(heirs);
        }
        let mut reader = self.database.reader().await?;
        let query = statement(concat!(
            "SELECT namespace, source_name, owner_name FROM accounts \
             WHERE source_mode = 'Inherit' AND owner_name IS NOT NULL AND (namespace, source_name) IN (",
            pairs!("$1"),
            ")"
        ));
        for row in query.bind(rows::json(users)).fetch_all(&mut reader).await? {
            let source = (row.get("namespace")?, row.get("source_name")?);
            heirs.entry(source).or_default().push(row.get("owner_name")?);
        }
        // Databases differ in how they order texts.
        heirs.values_mut().for_each(|names| names.sort());
        Ok(heirs)
    }

    async fn administrators(
        &self,
        namespaces: &[String],
    ) -> Result<HashMap<String, Vec<Administrator>>, StoreError> {
        let mut view = self.look().await?;
        let mut found = HashMap::new();
        for namespace in namespaces {
            let query = statement(concat!(
                "SELECT owner_name, group_name FROM accounts WHERE namespace = $1 AND state = 'Enabled' AND group_name IN (",
                texts!("$2"),
                ")"
            ));
            let groups = rows::texts(rows::groups_in_control(&mut view, namespace).await?);
            let mut administrators = vec![];
            for row in query.bind(namespace.clone()).bind(groups).fetch_all(&mut view).await? {
                let user: Option<String> = row.get("owner_name")?;
                administrators.push(Administrator {
                    user: user.unwrap_or_default(),
                    group: row.get("group_name")?,
                });
            }
            administrators.sort();
            found.insert(namespace.clone(), administrators);
        }
        view.commit().await?;
        Ok(found)
    }

    async fn counts(
        &self,
        namespaces: &HashMap<String, Deleting>,
    ) -> Result<HashMap<String, Counts>, StoreError> {
        let mut reader = self.database.reader().await?;
        rows::counts(&mut reader, namespaces).await
    }

    async fn known_ids(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let mut reader = self.database.reader().await?;
        let query = statement(concat!(
            "SELECT account_id FROM lifetimes WHERE account_id IN (",
            texts!("$1"),
            ")"
        ));
        let ids = rows::texts(ids.iter().map(ToString::to_string));
        let known = query.bind(ids).fetch_all(&mut reader).await?;
        known.iter().map(|row| Ok(AccountId(rows::uuid(row, "account_id")?))).collect()
    }

    async fn created_accounts(
        &self,
        creates: &[TransactionId],
    ) -> Result<HashMap<TransactionId, AccountId>, StoreError> {
        if creates.is_empty() {
            return Ok(HashMap::new());
        }
        let mut reader = self.database.reader().await?;
        let query = statement(concat!(
            "SELECT transaction_id, account_id FROM transactions WHERE transaction_id IN (",
            texts!("$1"),
            ")"
        ));
        let ids = rows::texts(creates.iter().map(|id| id.0.to_string()));
        let found = query.bind(ids).fetch_all(&mut reader).await?;
        let of = |row: &_| {
            Ok((
                TransactionId(rows::uuid(row, "transaction_id")?),
                AccountId(rows::uuid(row, "account_id")?),
            ))
        };
        found.iter().map(of).collect()
    }

    async fn deleted_accounts(
        &self,
        users: &[(UserName, String)],
    ) -> Result<HashMap<UserName, DeletedAccount>, StoreError> {
        let mut found = HashMap::new();
        let mut reader = self.database.reader().await?;
        for ((namespace, name), uid) in users {
            let query = statement(rows::select_departures!(
                "WHERE l.namespace = $1 AND l.owner_name = $2 AND l.owner_uid = $3 ORDER BY t.started_at DESC LIMIT 1"
            ));
            let query = query.bind(namespace.clone()).bind(name.clone()).bind(uid.clone());
            let departures = rows::deleted_accounts(query, &mut reader).await?;
            found.extend(
                departures
                    .into_iter()
                    .map(|departure| ((namespace.clone(), name.clone()), departure)),
            );
        }
        Ok(found)
    }

    async fn pending_deletions(&self) -> Result<Vec<DeletedAccount>, StoreError> {
        let mut reader = self.database.reader().await?;
        let query = statement(rows::select_departures!(
            "WHERE t.completed_at IS NULL AND t.superseded_at IS NULL"
        ));
        rows::deleted_accounts(query, &mut reader).await
    }

    async fn set_directories(
        &self,
        directories: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        if rows::directories(&mut self.database.reader().await?).await? == *directories {
            return Ok(());
        }
        let now = CommitTime { now, deadline: now }.in_microseconds().now;
        let mut writer = self.database.writer().await?;
        Box::pin(commit::set_directories(&mut writer, self.holding.as_ref(), directories, now))
            .await
    }

    async fn self_service_changes(&self, after: i64) -> Result<(i64, Vec<UserName>), StoreError> {
        let mut view = self.look().await?;
        operators::check_stands(&mut view, self.holding.as_ref()).await?;
        let newest = statement("SELECT COALESCE(MAX(number), 0) AS newest FROM member_changes")
            .fetch_one(&mut view)
            .await?;
        let newest = newest.get("newest")?;
        let users = statement(
            "SELECT a.namespace, COALESCE(a.owner_name, '') AS owner_name FROM member_changes AS m \
             JOIN accounts AS a ON a.account_id = m.account_id WHERE m.number > $1 AND m.number <= $2 ORDER BY m.number",
        );
        let users = users.bind(after).bind(newest).fetch_all(&mut view).await?;
        let users = users.iter().map(user_name).collect::<Result<_, _>>()?;
        view.commit().await?;
        Ok((newest, users))
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        let mut reader = self.database.reader().await?;
        let owners =
            statement("SELECT namespace, COALESCE(owner_name, '') AS owner_name FROM accounts");
        Ok(owners.fetch_all(&mut reader).await?.iter().map(user_name).collect::<Result<_, _>>()?)
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Account>, StoreError> {
        let mut reader = self.database.reader().await?;
        let query = match namespace {
            Some(namespace) => {
                statement(rows::select_accounts!("WHERE a.namespace = $1")).bind(namespace)
            }
            None => statement(rows::select_accounts!("")),
        };
        let mut accounts = rows::accounts(query, &mut reader).await?;
        // Databases differ in how they order texts.
        accounts.sort_by(|a, b| {
            (&a.content.email, &a.namespace).cmp(&(&b.content.email, &b.namespace))
        });
        Ok(accounts)
    }

    async fn commit(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        if plans.is_empty() {
            return Ok(vec![]);
        }
        let answers = Box::pin(self.committed(plans, occasion.in_microseconds())).await?;
        let erases = |(plan, answer): (&Plan, &Result<Receipt, Refusal>)| {
            matches!(plan, Plan::Account(_)) && matches!(answer, Ok(Receipt::Deleted(_)))
        };
        self.database.erase(plans.iter().zip(&answers).any(erases)).await;
        Ok(answers)
    }

    async fn check_claim(&self) -> Result<(), StoreError> {
        if self.holding.is_none() {
            return Ok(());
        }
        let mut reader = self.database.reader().await?;
        operators::check_stands(&mut reader, self.holding.as_ref()).await
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.database.reader().await?;
        if !reader.is_shared() {
            return Ok(None);
        }
        let shown = statement(
            "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS shown",
        );
        Ok(Some(rows::time(&shown.fetch_one(&mut reader).await?, "shown")?))
    }

    async fn close_months(
        &self,
        zone: &BillingTimeZone,
        now: Timestamp,
    ) -> Result<Vec<Period>, StoreError> {
        let calendar = self.calendar().await?;
        if calendar.zone.as_ref() == Some(zone) && calendar.due(zone, now).is_empty() {
            return Ok(vec![]);
        }
        let mut writer = self.database.writer().await?;
        Box::pin(billing_periods::close(&mut writer, self.holding.as_ref(), zone, now)).await
    }

    async fn calendar(&self) -> Result<Calendar, StoreError> {
        let mut view = self.look().await?;
        let calendar = billing_periods::calendar(&mut view).await?;
        view.commit().await?;
        Ok(calendar)
    }

    async fn lifetimes(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        let mut view = self.look().await?;
        if view.is_shared() {
            // Whoever reads a report on a screen takes their time.
            statement("SET LOCAL idle_in_transaction_session_timeout = 0")
                .execute(&mut view)
                .await?;
        }
        billing_periods::lifetimes(&mut view, period, namespace, take).await?;
        Ok(view.commit().await?)
    }
}

impl SqlStore {
    fn waited_in_vain(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waited_in_vain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits, and tries again where the transaction lost against another one.
    async fn committed(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        let mut races = 0;
        let lately_in_vain = self.waited_in_vain().is_some_and(|at| at.elapsed() < IN_VAIN);
        loop {
            let mut writer = self.database.writer().await?;
            let holding = (self.holding.as_ref(), lately_in_vain);
            match Box::pin(commit::commit(&mut writer, holding, plans, occasion)).await {
                Err(StoreError::Database(error))
                    if postgres::is_lost_race(&error) && races < RACES =>
                {
                    races += 1
                }
                answers => {
                    if matches!(&answers, Ok(answers) if answers.contains(&Err(Refusal::Locked))) {
                        *self.waited_in_vain() = Some(Instant::now());
                    }
                    return answers;
                }
            }
        }
    }
}

/// Whether somebody else has locked what was asked for.
pub(super) fn is_locked_out(error: &sqlx::Error) -> bool {
    postgres::is_locked_out(error) || sqlite::is_busy(error)
}

/// Returns what an error means and what helps, as the rest of a sentence that says that the store
/// failed.
pub(super) fn in_words(error: &sqlx::Error) -> String {
    advice::advice(error).map_or_else(String::new, |advice| format!(": {advice}"))
}

fn user_name(row: &connection::SqlRow) -> Result<UserName, sqlx::Error> {
    Ok((row.get("namespace")?, row.get("owner_name")?))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
