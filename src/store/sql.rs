//! The store in a SQL database: `SQLite` through sqlx.
//!
//! A commit runs on the one connection that writes, in one transaction; looks run on others and see
//! what was committed. The statements are portable (`$1`, TEXT, BIGINT, JSON in text); what only
//! `SQLite` says stands in [`sqlite`].

pub mod backup;
mod commit;
pub mod examination;
mod months;
mod rows;
mod schema;
mod sqlite;

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};

use self::rows::Known;
use self::sqlite::{Address, Database, pairs, texts};
use super::{AccountKey, Administrator, Counts, Occasion, OrganizationRecord, Receipt, Refusal, Store, StoreError, UserName};
use crate::domain::account::{Account, Departure};
use crate::domain::billing::{Calendar, Life, Period, Zone};
use crate::domain::organization::Organization;
use crate::plan::{Leaving, Plan};

/// A store in a database.
#[derive(Debug)]
pub struct SqlStore {
    database: Database,
}

impl SqlStore {
    /// Opens the store at an address such as `sqlite://FILE?mode=rwc` and brings its schema up to
    /// this version; with `mode=rwc` creates the file, readable by its owner alone, if it isn't
    /// there.
    ///
    /// # Errors
    /// When the address isn't one, when what is there isn't a roster store or was written by a
    /// newer roster, and when the database fails.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        address.create_if_asked()?;
        schema::check_can_migrate(&address).await?;
        let database = Database::connect(&address).await?;
        schema::migrate(&database).await?;
        Ok(Self { database })
    }

    /// Opens a store that is there already, as it is: creates and migrates nothing.
    ///
    /// # Errors
    /// As [`SqlStore::open`], and when the store isn't there or was written by an older roster.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        schema::check_is_current(&address).await?;
        Ok(Self { database: Database::connect(&address).await? })
    }

    /// Closes the connections once what runs on them is done.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl Store for SqlStore {
    async fn find(&self, keys: &[AccountKey]) -> Result<HashMap<AccountKey, Account>, StoreError> {
        let (mut owners, mut emails, mut logins, mut ids) = (vec![], vec![], vec![], vec![]);
        for key in keys {
            match key {
                AccountKey::Owner { namespace, name } => owners.push([namespace.as_str(), name]),
                AccountKey::Email { namespace, email } => emails.push([namespace.as_str(), email.as_str()]),
                AccountKey::Login(login_name) => logins.push(login_name.as_str()),
                AccountKey::Id(id) => ids.push(id.to_string()),
            }
        }
        let mut reader = self.database.reader().await?;
        let mut view = reader.begin().await?;
        let mut found = HashMap::with_capacity(keys.len());
        for account in by_owner(&mut view, &owners).await? {
            let key = AccountKey::Owner { namespace: account.namespace.clone(), name: account.owner.name.clone() };
            found.insert(key, account);
        }
        for account in by_email(&mut view, &emails).await? {
            let key = AccountKey::Email { namespace: account.namespace.clone(), email: account.content.email.clone() };
            found.insert(key, account);
        }
        for account in by_login(&mut view, &logins).await? {
            found.insert(AccountKey::Login(account.login_name.clone()), account);
        }
        for account in by_id(&mut view, &ids).await? {
            found.insert(AccountKey::Id(account.id), account);
        }
        Ok(found)
    }

    async fn organizations(&self, wanted: &[Organization]) -> Result<HashMap<String, OrganizationRecord>, StoreError> {
        let mut reader = self.database.reader().await?;
        let mut view = reader.begin().await?;
        let namespaces = wanted.iter().map(|organization| organization.namespace.as_str());
        let customer_ids = wanted.iter().map(|organization| organization.customer_id.as_str());
        let known = Known::load(&mut view, namespaces, customer_ids).await?;
        Ok(wanted.iter().map(|organization| (organization.namespace.clone(), known.record(organization))).collect())
    }

    async fn lineage(&self, users: &[UserName]) -> Result<HashMap<UserName, Account>, StoreError> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let mut reader = self.database.reader().await?;
        let query = sqlx::query(concat!(
            "WITH RECURSIVE line (namespace, name) AS (",
            pairs!("$1"),
            " UNION SELECT f.namespace, f.source_name FROM line AS l \
             JOIN accounts AS f ON f.namespace = l.namespace AND f.owner_name = l.name WHERE f.source_mode = 'Inherit') ",
            rows::select_accounts!("JOIN line AS l ON a.namespace = l.namespace AND a.owner_name = l.name")
        ));
        let accounts = rows::accounts(query.bind(rows::json(users)), &mut reader).await?;
        let by_user = accounts.into_iter().map(|account| ((account.namespace.clone(), account.owner.name.clone()), account));
        Ok(by_user.collect())
    }

    async fn heirs(&self, users: &[UserName]) -> Result<HashMap<UserName, Vec<String>>, StoreError> {
        let mut heirs: HashMap<UserName, Vec<String>> = HashMap::new();
        if users.is_empty() {
            return Ok(heirs);
        }
        let mut reader = self.database.reader().await?;
        let query = sqlx::query(concat!(
            "SELECT namespace, source_name, owner_name FROM accounts \
             WHERE source_mode = 'Inherit' AND owner_name IS NOT NULL AND (namespace, source_name) IN (",
            pairs!("$1"),
            ")"
        ));
        for row in query.bind(rows::json(users)).fetch_all(&mut *reader).await? {
            let source = (row.try_get("namespace")?, row.try_get("source_name")?);
            heirs.entry(source).or_default().push(row.try_get("owner_name")?);
        }
        // Databases differ in how they order texts.
        heirs.values_mut().for_each(|names| names.sort());
        Ok(heirs)
    }

    async fn administrators(&self, namespaces: &[String]) -> Result<HashMap<String, Vec<Administrator>>, StoreError> {
        let mut reader = self.database.reader().await?;
        let mut view = reader.begin().await?;
        let known = Known::load(&mut view, namespaces.iter().map(String::as_str), std::iter::empty()).await?;
        let mut found = HashMap::new();
        for namespace in namespaces {
            let query = sqlx::query(concat!(
                "SELECT owner_name, group_name FROM accounts WHERE namespace = $1 AND state = 'Enabled' AND group_name IN (",
                texts!("$2"),
                ")"
            ));
            let groups = rows::json(&known.groups_in_control(namespace));
            let mut administrators = vec![];
            for row in query.bind(namespace.clone()).bind(groups).fetch_all(&mut *view).await? {
                let user: Option<String> = row.try_get("owner_name")?;
                administrators.push(Administrator { user: user.unwrap_or_default(), group: row.try_get("group_name")? });
            }
            administrators.sort();
            found.insert(namespace.clone(), administrators);
        }
        Ok(found)
    }

    async fn counts(&self, namespaces: &HashMap<String, Leaving>) -> Result<HashMap<String, Counts>, StoreError> {
        let mut reader = self.database.reader().await?;
        rows::counts(&mut reader, namespaces).await
    }

    async fn departures(&self, users: &[(UserName, String)]) -> Result<HashMap<UserName, Departure>, StoreError> {
        let mut found = HashMap::new();
        let mut reader = self.database.reader().await?;
        for ((namespace, name), uid) in users {
            let query = sqlx::query(rows::select_departures!(
                "WHERE l.namespace = $1 AND l.owner_name = $2 AND l.owner_uid = $3 ORDER BY t.started_at DESC LIMIT 1"
            ));
            let query = query.bind(namespace.clone()).bind(name.clone()).bind(uid.clone());
            let departures = rows::departures(query, &mut reader).await?;
            found.extend(departures.into_iter().map(|departure| ((namespace.clone(), name.clone()), departure)));
        }
        Ok(found)
    }

    async fn unconfirmed_departures(&self) -> Result<Vec<Departure>, StoreError> {
        let mut reader = self.database.reader().await?;
        let query = sqlx::query(rows::select_departures!("WHERE t.completed_at IS NULL AND t.superseded_at IS NULL"));
        rows::departures(query, &mut reader).await
    }

    async fn use_directories(&self, directories: &BTreeSet<String>, now: jiff::Timestamp) -> Result<(), StoreError> {
        if rows::directories(&mut *self.database.reader().await?).await? == *directories {
            return Ok(());
        }
        let now = Occasion { now, deadline: now }.in_microseconds().now;
        let mut writer = self.database.writer().await?;
        commit::use_directories(&mut writer, directories, now).await
    }

    async fn changed_by_members(&self, after: i64) -> Result<(i64, Vec<UserName>), StoreError> {
        let mut reader = self.database.reader().await?;
        let mut view = reader.begin().await?;
        let newest = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM member_changes").fetch_one(&mut *view).await?;
        let users = sqlx::query_as(
            "SELECT a.namespace, COALESCE(a.owner_name, '') FROM member_changes AS m \
             JOIN accounts AS a ON a.account_id = m.account_id WHERE m.number > $1 AND m.number <= $2 ORDER BY m.number",
        );
        Ok((newest, users.bind(after).bind(newest).fetch_all(&mut *view).await?))
    }

    async fn owners(&self) -> Result<Vec<UserName>, StoreError> {
        let mut reader = self.database.reader().await?;
        let query = sqlx::query_as("SELECT namespace, COALESCE(owner_name, '') FROM accounts");
        Ok(query.fetch_all(&mut *reader).await?)
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<Account>, StoreError> {
        let mut reader = self.database.reader().await?;
        let query = match namespace {
            Some(namespace) => sqlx::query(rows::select_accounts!("WHERE a.namespace = $1")).bind(namespace),
            None => sqlx::query(rows::select_accounts!("")),
        };
        let mut accounts = rows::accounts(query, &mut reader).await?;
        // Databases differ in how they order texts.
        accounts.sort_by(|a, b| (&a.content.email, &a.namespace).cmp(&(&b.content.email, &b.namespace)));
        Ok(accounts)
    }

    async fn commit(&self, plans: &[Plan], occasion: Occasion) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        if plans.is_empty() {
            return Ok(vec![]);
        }
        let mut writer = self.database.writer().await?;
        match commit::commit(&mut writer, plans, occasion.in_microseconds()).await {
            Ok(answers) => {
                drop(writer);
                let erases = |(plan, answer): (&Plan, &Result<Receipt, Refusal>)| {
                    matches!(plan, Plan::Account(_)) && matches!(answer, Ok(Receipt::Deleted(_)))
                };
                self.database.erase_from_log(plans.iter().zip(&answers).any(erases)).await;
                Ok(answers)
            }
            Err(error) => {
                // The database may have ended the transaction by itself, which the driver's count
                // of open transactions doesn't know. A new connection does.
                drop(writer.detach());
                Err(error)
            }
        }
    }

    async fn close_months(&self, zone: &Zone, now: Timestamp) -> Result<Vec<Period>, StoreError> {
        let calendar = self.calendar().await?;
        if calendar.zone.as_ref() == Some(zone) && calendar.due(zone, now).is_empty() {
            return Ok(vec![]);
        }
        let mut writer = self.database.writer().await?;
        let closed = months::close(&mut writer, zone, now).await;
        if closed.is_err() {
            // As after a commit that failed.
            drop(writer.detach());
        }
        closed
    }

    async fn calendar(&self) -> Result<Calendar, StoreError> {
        let mut reader = self.database.reader().await?;
        months::calendar(&mut *reader.begin().await?).await
    }

    async fn lives(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Life) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        let mut reader = self.database.reader().await?;
        months::lives(&mut *reader.begin().await?, period, namespace, take).await
    }
}

async fn by_owner(connection: &mut SqliteConnection, owners: &[[&str; 2]]) -> Result<Vec<Account>, StoreError> {
    if owners.is_empty() {
        return Ok(vec![]);
    }
    let query = sqlx::query(rows::select_accounts!("WHERE (a.namespace, a.owner_name) IN (", pairs!("$1"), ")"));
    rows::accounts(query.bind(rows::json(owners)), connection).await
}

async fn by_email(connection: &mut SqliteConnection, emails: &[[&str; 2]]) -> Result<Vec<Account>, StoreError> {
    if emails.is_empty() {
        return Ok(vec![]);
    }
    let query = sqlx::query(rows::select_accounts!("WHERE (a.namespace, a.email) IN (", pairs!("$1"), ")"));
    rows::accounts(query.bind(rows::json(emails)), connection).await
}

async fn by_id(connection: &mut SqliteConnection, ids: &[String]) -> Result<Vec<Account>, StoreError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let query = sqlx::query(rows::select_accounts!("WHERE a.account_id IN (", texts!("$1"), ")"));
    rows::accounts(query.bind(rows::json(ids)), connection).await
}

async fn by_login(connection: &mut SqliteConnection, logins: &[&str]) -> Result<Vec<Account>, StoreError> {
    if logins.is_empty() {
        return Ok(vec![]);
    }
    let query = sqlx::query(rows::select_accounts!("WHERE a.login_name IN (", texts!("$1"), ")"));
    rows::accounts(query.bind(rows::json(logins)), connection).await
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use sqlx::ConnectOptions;

    use super::*;
    use crate::domain::account::{AccountId, Content, Lifecycle, Revision, TransactionId, TransactionKind};
    use crate::domain::group::GroupContent;
    use crate::domain::organization::{CustomerId, LoginName};
    use crate::plan::{AccountChange, AccountPlan, ConfirmPlan, GroupPlan, SeenAccount};

    fn groups(count: usize) -> Vec<Plan> {
        let put = |number| GroupPlan::Put {
            namespace: "acme".to_owned(),
            name: format!("group {number} {}", "x".repeat(1000)),
            content: GroupContent::default(),
            leaving: Leaving::default(),
        };
        (0..count).map(|number| Plan::Group(put(number))).collect()
    }

    fn now() -> Occasion {
        Occasion { now: jiff::Timestamp::UNIX_EPOCH, deadline: jiff::Timestamp::UNIX_EPOCH }
    }

    /// A store that doesn't wait long for others.
    async fn impatient(folder: &tempfile::TempDir) -> (SqlStore, Address) {
        let address = Address::parse(&format!("sqlite://{}/roster.db?mode=rwc", folder.path().display())).unwrap();
        address.create_if_asked().unwrap();
        let database = Database::connect_with(&address, Duration::from_millis(20)).await.unwrap();
        schema::migrate(&database).await.unwrap();
        (SqlStore { database }, address)
    }

    async fn declared(store: &SqlStore) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM groups").fetch_one(&mut *store.database.reader().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_commit_fails_while_another_process_writes_too_long_and_works_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let (store, address) = impatient(&folder).await;
        let mut other = address.options().connect().await.unwrap();
        let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        for _ in 0..2 {
            assert!(matches!(store.commit(&groups(1), now()).await, Err(StoreError::Database(_))));
        }
        writing.rollback().await.unwrap();
        assert!(store.commit(&groups(1), now()).await.is_ok());
        assert_eq!(declared(&store).await, 1);
    }

    #[tokio::test]
    async fn a_commit_on_a_full_disk_applies_nothing_and_works_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = impatient(&folder).await;
        let full = sqlx::query("PRAGMA max_page_count = 60");
        full.execute(&mut *store.database.writer().await.unwrap()).await.unwrap();
        let failed = store.commit(&groups(300), now()).await;
        assert!(matches!(failed, Err(StoreError::Database(error)) if error.to_string().contains("full")));
        assert_eq!(declared(&store).await, 0);
        assert!(store.commit(&groups(300), now()).await.is_ok(), "on a connection without the limit");
        assert_eq!(declared(&store).await, 300);
    }

    /// Counts the steps that the database's machine takes on a connection.
    async fn count_steps(connection: &mut SqliteConnection, steps: Arc<AtomicU64>) {
        let count = move || {
            steps.fetch_add(1, Ordering::Relaxed);
            true
        };
        connection.lock_handle().await.unwrap().set_progress_handler(1, count);
    }

    /// Fills an organization with users: two administrators, twenty heirs of another user, a line of ten, five copies, and the rest.
    async fn fill(store: &SqlStore, users: i64) {
        let mut writer = store.database.writer().await.unwrap();
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
        let id = "printf('00000000-0000-7000-8000-%012d', i)";
        for rest in [
            format!(
                "INSERT INTO lifetimes (account_id, namespace, login_name, created_at) \
                 {numbers} SELECT {id}, 'acme', 'u' || i, 0 FROM n"
            ),
            format!(
                "INSERT INTO transactions (transaction_id, account_id, type, revision, started_at, deadline_at, completed_at) \
                 {numbers} SELECT {id}, {id}, 'Create', 1, 0, 0, 0 FROM n"
            ),
            format!(
                "INSERT INTO accounts (account_id, namespace, owner_name, revision, transaction_id, login_name, email, \
                 email_domain, state, group_name, grants, teams, display_name, notifications, created_at, source_mode, \
                 source_name) {numbers} SELECT {id}, 'acme', 'u' || i, 1, {id}, 'u' || i || '.acme', CASE WHEN i BETWEEN 40 \
                 AND 44 THEN 'u0@acme.example (Copy ' || (i - 39) || ')' ELSE 'u' || i || '@acme.example' END, \
                 'acme.example', 'Enabled', CASE WHEN i < 2 THEN 'administrators' ELSE 'users' END, '[]', '[]', '', '[]', 0, \
                 CASE WHEN i BETWEEN 10 AND 38 THEN 'Inherit' END, CASE WHEN i BETWEEN 10 AND 29 THEN 'u5' WHEN i BETWEEN \
                 30 AND 38 THEN 'u' || (i + 1) END FROM n"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(rest)).bind(users).execute(&mut *writer).await.unwrap();
        }
        sqlx::query("INSERT INTO domains VALUES ('acme', 'd', 'acme.example', 0)").execute(&mut *writer).await.unwrap();
        sqlx::query("INSERT INTO organizations VALUES ('acme', 'acme')").execute(&mut *writer).await.unwrap();
    }

    fn user(number: usize) -> UserName {
        ("acme".to_owned(), format!("u{number}"))
    }

    fn plan_for(account: &Account, change: AccountChange, seen: Vec<SeenAccount>) -> Plan {
        let organization = Organization { namespace: "acme".to_owned(), customer_id: CustomerId::parse("acme").unwrap() };
        let (owner, leaving) = (account.owner.clone(), Arc::new(["u3".to_owned()].into()));
        Plan::Account(Box::new(AccountPlan { organization, owner, change, moves: vec![], keeps: vec![], seen, leaving }))
    }

    /// Disables an administrator, deletes a source and somebody else, copies a user, and changes one beside another.
    async fn edits(store: &SqlStore) -> Vec<Plan> {
        let users: Vec<UserName> = [0, 5, 6, 7, 8].map(user).into();
        let found = store.lineage(&users).await.unwrap();
        let [root, source, gone, edited, seen] = [0, 5, 6, 7, 8].map(|number| &found[&user(number)]);
        let update = |account: &Account, content| AccountChange::Update {
            account: account.id,
            from: account.revision,
            transaction: None,
            content,
            password: None,
            adopts: false,
        };
        let delete = |account: &Account| AccountChange::Delete {
            account: account.id,
            from: account.revision,
            transaction: TransactionId::of_create(&account.owner.name),
        };
        let disabled = Content { lifecycle: Lifecycle::Disabled, ..root.content.clone() };
        let copy = AccountChange::Create {
            transaction: TransactionId::of_create("copy"),
            login_name: LoginName::stored("copy.acme".to_owned()),
            content: Content { email: root.content.email.placeholder(1), ..edited.content.clone() },
            password: None,
        };
        let mut copied = edited.clone();
        "copy".clone_into(&mut copied.owner.name);
        let seen = vec![SeenAccount { account: seen.id, revision: seen.revision }];
        vec![
            plan_for(root, update(root, disabled), vec![]),
            plan_for(source, delete(source), vec![]),
            plan_for(gone, delete(gone), vec![]),
            plan_for(&copied, copy, vec![]),
            plan_for(edited, update(edited, edited.content.clone()), seen),
        ]
    }

    /// Counts the steps that are taken on any connection of a store.
    async fn counted(store: &SqlStore) -> Arc<AtomicU64> {
        let steps = Arc::new(AtomicU64::new(0));
        count_steps(&mut store.database.writer().await.unwrap(), steps.clone()).await;
        let mut readers = vec![];
        for _ in 0..sqlite::READERS {
            readers.push(store.database.reader().await.unwrap());
        }
        for reader in &mut readers {
            count_steps(reader, steps.clone()).await;
        }
        steps
    }

    /// Returns what was asked, and how many steps it took, in an organization of so many users.
    async fn steps_among(users: i64) -> Vec<(&'static str, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = impatient(&folder).await;
        fill(&store, users).await;
        let plans = edits(&store).await;
        let steps = counted(&store).await;
        let taken = || steps.swap(0, Ordering::Relaxed);
        let mut counted = vec![];
        assert_eq!(store.lineage(&[user(30)]).await.unwrap().len(), 10);
        counted.push(("lineage", taken()));
        assert_eq!(store.heirs(&[user(5)]).await.unwrap()[&user(5)].len(), 20);
        counted.push(("heirs", taken()));
        assert_eq!(store.administrators(&["acme".to_owned()]).await.unwrap()["acme"].len(), 2);
        counted.push(("administrators", taken()));
        let whats = ["an administrator disabled", "a source kept", "a user deleted", "a copy numbered", "an edit beside another"];
        for (what, plan) in whats.into_iter().zip(plans) {
            let answer = store.commit(&[plan], now()).await.unwrap().remove(0);
            assert_eq!(answer.err(), (what == "a source kept").then_some(Refusal::InUse), "{what}");
            counted.push((what, taken()));
        }
        assert!(counted.iter().all(|(_, steps)| *steps > 0), "somebody else answered: {counted:?}");
        counted
    }

    #[tokio::test]
    async fn what_concerns_a_few_takes_as_many_steps_among_thousands_as_among_themselves() {
        let (few, many) = (steps_among(60).await, steps_among(6000).await);
        println!("steps among 60 users: {few:?}, among 6000: {many:?}");
        for ((what, among_few), (_, among_many)) in few.iter().zip(&many) {
            assert!(*among_many <= among_few + among_few / 10, "{what}: {among_many} steps among many, {among_few} among few");
        }
    }

    /// Returns how many steps it takes to give out the lives of a month, after so many ended before.
    async fn steps_of_a_month(ended: i64) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = impatient(&folder).await;
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
        for (count, id, deleted) in [(50, "'lives' || i", "NULL"), (50, "'dies' || i", "1800000000000000"), (ended, "i", "i")] {
            let lives = format!(
                "INSERT INTO lifetimes (account_id, namespace, login_name, created_at, deleted_at) {numbers} \
                 SELECT {id}, 'acme', {id}, 0, {deleted} FROM n"
            );
            let lives = sqlx::query(sqlx::AssertSqlSafe(lives)).bind(count);
            lives.execute(&mut *store.database.writer().await.unwrap()).await.unwrap();
        }
        let steps = Arc::new(AtomicU64::new(0));
        let mut readers = vec![];
        for _ in 0..sqlite::READERS {
            readers.push(store.database.reader().await.unwrap());
        }
        for reader in &mut readers {
            count_steps(reader, steps.clone()).await;
        }
        drop(readers);
        let period = Period::of("2026-11".parse().unwrap(), &Zone::UTC);
        let mut found = 0;
        let mut take = |_| {
            found += 1;
            ControlFlow::Continue(())
        };
        store.lives(&period, None, &mut take).await.unwrap();
        assert_eq!(found, 100);
        steps.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_month_is_billed_in_as_many_steps_however_many_lives_ended_before_it() {
        let (few, many) = (steps_of_a_month(10).await, steps_of_a_month(10_000).await);
        assert!(many <= few + few / 10, "{many} steps after many lives, {few} after few");
    }

    /// Fills the journal with accounts that are gone, those of many users of few names; five of their Deletes are in flight.
    async fn fill_journal(store: &SqlStore, gone: i64) {
        let mut writer = store.database.writer().await.unwrap();
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
        let id = |first: u8| format!("printf('{first}0000000-0000-7000-8000-%012d', i)");
        let (account, create, delete) = (id(1), id(2), id(3));
        let transactions = "INSERT INTO transactions \
             (transaction_id, account_id, type, revision, started_at, deadline_at, completed_at, superseded_at)";
        for rest in [
            format!(
                "INSERT INTO lifetimes (account_id, namespace, login_name, created_at, deleted_at, owner_name, owner_uid) \
                 {numbers} SELECT {account}, 'acme', 'u' || (i % 50), 0, 1, 'u' || (i % 50), 'gone ' || i FROM n"
            ),
            format!(
                "{transactions} {numbers} SELECT {create}, {account}, 'Create', 1, 0, 0, CASE WHEN i % 3 THEN 0 END, \
                 CASE WHEN i % 3 THEN NULL ELSE 0 END FROM n"
            ),
            format!(
                "{transactions} {numbers} SELECT {delete}, {account}, 'Delete', 2, 1, 1, CASE WHEN i < 5 THEN NULL ELSE 1 END, \
                 NULL FROM n"
            ),
            format!("INSERT INTO confirmations {numbers} SELECT {account}, 'one', CASE WHEN i < 5 THEN 1 ELSE 2 END FROM n"),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(rest)).bind(gone).execute(&mut *writer).await.unwrap();
        }
    }

    /// The planted account of this kind and number, and the transactions planted beside it.
    fn planted(kind: u32, number: u64) -> uuid::Uuid {
        uuid::Uuid::parse_str(&format!("{kind}0000000-0000-7000-8000-{number:012}")).unwrap()
    }

    fn confirmation(account: AccountId, revision: i64) -> Plan {
        let confirmed = [("one".to_owned(), Revision(revision))].into();
        Plan::Confirm(ConfirmPlan { namespace: "acme".to_owned(), account, confirmed })
    }

    /// Returns what was asked of the journal, and how many steps it took, where so many accounts are gone.
    async fn steps_after(gone: i64) -> Vec<(&'static str, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = impatient(&folder).await;
        fill(&store, 60).await;
        let one: BTreeSet<String> = ["one".to_owned()].into();
        store.use_directories(&one, now().now).await.unwrap();
        fill_journal(&store, gone).await;
        let alice = store.lineage(&[user(6)]).await.unwrap().remove(&user(6)).unwrap();
        let departed = AccountId(planted(1, 3));
        let delete = |account: &Account, transaction| {
            plan_for(account, AccountChange::Delete { account: account.id, from: account.revision, transaction }, vec![])
        };
        let disabled = Content { lifecycle: Lifecycle::Disabled, ..alice.content.clone() };
        let disable = AccountChange::Update {
            account: alice.id,
            from: alice.revision,
            transaction: Some((TransactionId(planted(9, 0)), TransactionKind::Disable)),
            content: disabled,
            password: None,
            adopts: false,
        };
        let steps = counted(&store).await;
        let taken = || steps.swap(0, Ordering::Relaxed);
        let mut counted = vec![];
        let wanted = [(user(7), "gone 57".to_owned()), (user(8), "nobody".to_owned())];
        assert_eq!(store.departures(&wanted).await.unwrap()[&user(7)].account, AccountId(planted(1, 57)));
        counted.push(("departures", taken()));
        assert_eq!(store.unconfirmed_departures().await.unwrap().len(), 5);
        counted.push(("unconfirmed departures", taken()));
        assert_eq!(store.find(&[AccountKey::Id(alice.id)]).await.unwrap().len(), 1);
        counted.push(("an account by its id", taken()));
        let plans = [
            ("a Disable", plan_for(&alice, disable.clone(), vec![])),
            ("a Disable repeated", plan_for(&alice, disable, vec![])),
            ("an account confirmed", confirmation(alice.id, 2)),
            ("a departure confirmed", confirmation(departed, 2)),
            ("a departure confirmed again", confirmation(departed, 2)),
            ("a Delete", delete(&Account { revision: Revision(2), ..alice.clone() }, TransactionId(planted(9, 1)))),
            ("a Delete repeated", delete(&alice, TransactionId(planted(3, 40)))),
        ];
        for (what, plan) in plans {
            let answer = store.commit(&[plan], now()).await.unwrap().remove(0);
            assert!(answer.is_ok(), "{what}: {answer:?}");
            counted.push((what, taken()));
        }
        let two = ["one".to_owned(), "two".to_owned()].into();
        for (what, directories) in [("another directory", &two), ("the same directories", &two)] {
            store.use_directories(directories, now().now).await.unwrap();
            counted.push((what, taken()));
        }
        assert_eq!(store.unconfirmed_departures().await.unwrap().len(), 5);
        assert!(counted.iter().all(|(_, steps)| *steps > 0), "somebody else answered: {counted:?}");
        counted
    }

    #[tokio::test]
    async fn what_is_asked_of_the_journal_takes_as_many_steps_after_a_hundred_thousand_lifetimes() {
        let (few, many) = (steps_after(60).await, steps_after(100_000).await);
        println!("steps after 60 lifetimes: {few:?}, after 100,000: {many:?}");
        for ((what, after_few), (_, after_many)) in few.iter().zip(&many) {
            assert!(*after_many <= after_few + after_few / 10, "{what}: {after_many} steps after many, {after_few} after few");
        }
    }
}
