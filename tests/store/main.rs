//! What a store promises: a contract that every store keeps, and what `SQLite` adds to it.

#![allow(clippy::unwrap_used)]

mod agreement;
mod billing;
mod contract;
mod details;
#[allow(dead_code, reason = "the benchmark uses more of it")]
#[path = "../../benches/heirs/followed.rs"]
mod followed;
mod heirs;
mod permissions;
mod plans;
#[allow(dead_code, reason = "the benchmark uses more of it")]
#[path = "../../benches/heirs/sample.rs"]
mod sample;
mod sqlite;
mod transactions;
mod view;

use std::path::PathBuf;

use jiff::Timestamp;
use roster::domain::account::{AccountId, Transaction, TransactionKind};
use roster::store::Store;
use roster::store::memory::MemoryStore;
use roster::store::sql::SqlStore;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

/// A transaction in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    kind: TransactionKind,
    revision: i64,
    completed: Option<Timestamp>,
    superseded: bool,
}

/// A store to try, with an application beside it that owns cases.
trait Bench {
    type Store: Store;

    fn store(&self) -> &Self::Store;

    async fn assign_case(&self, case: &str, owner: AccountId);

    async fn case_owner(&self, case: &str) -> Option<AccountId>;

    /// The transactions of an account, oldest first.
    async fn journal(&self, account: AccountId) -> Vec<Entry>;
}

#[derive(Default)]
struct InMemory {
    store: MemoryStore,
}

impl Bench for InMemory {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn assign_case(&self, case: &str, owner: AccountId) {
        self.store.assign_case(case, owner);
    }

    async fn case_owner(&self, case: &str) -> Option<AccountId> {
        self.store.case_owner(case)
    }

    async fn journal(&self, account: AccountId) -> Vec<Entry> {
        let journal = self.store.journal(account).into_iter();
        let entry = |(transaction, superseded): (Transaction, bool)| Entry {
            kind: transaction.kind,
            revision: transaction.revision.0,
            completed: transaction.completed,
            superseded,
        };
        journal.map(entry).collect()
    }
}

struct InSqlite {
    store: SqlStore,
    folder: TempDir,
}

impl InSqlite {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlStore::open(&format!("sqlite://{}/roster.db?mode=rwc", folder.path().display())).await.unwrap();
        Self { store, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("roster.db")
    }

    /// The address under which another process would know the store.
    fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    /// A connection as an application opens it, without anything of ours.
    async fn application(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url()).await.unwrap()
    }
}

impl Bench for InSqlite {
    type Store = SqlStore;

    fn store(&self) -> &SqlStore {
        &self.store
    }

    async fn assign_case(&self, case: &str, owner: AccountId) {
        sqlx::query(
            "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ($1, 'acme', 'A case', $2) \
             ON CONFLICT (case_id) DO UPDATE SET owner_account_id = excluded.owner_account_id",
        )
        .bind(case)
        .bind(owner.to_string())
        .execute(&mut self.application().await)
        .await
        .unwrap();
    }

    async fn case_owner(&self, case: &str) -> Option<AccountId> {
        let owner: Option<String> = sqlx::query_scalar("SELECT owner_account_id FROM cases WHERE case_id = $1")
            .bind(case)
            .fetch_one(&mut self.application().await)
            .await
            .unwrap();
        owner.map(|owner| AccountId(owner.parse().unwrap()))
    }

    async fn journal(&self, account: AccountId) -> Vec<Entry> {
        let journal = sqlx::query(
            "SELECT type, revision, completed_at, superseded_at FROM transactions WHERE account_id = $1 ORDER BY revision",
        );
        let rows = journal.bind(account.to_string()).fetch_all(&mut self.application().await).await.unwrap();
        let entry = |row: &SqliteRow| Entry {
            kind: row.get::<&str, _>("type").parse().unwrap(),
            revision: row.get("revision"),
            completed: row.get::<Option<i64>, _>("completed_at").map(|time| Timestamp::from_microsecond(time).unwrap()),
            superseded: row.get::<Option<i64>, _>("superseded_at").is_some(),
        };
        rows.iter().map(entry).collect()
    }
}
