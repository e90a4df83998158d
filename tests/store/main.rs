//! What a store promises: a contract that every store keeps, and what `SQLite` adds to it.

#![allow(clippy::unwrap_used)]

mod agreement;
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
mod view;

use std::path::PathBuf;

use roster::domain::account::AccountId;
use roster::store::Store;
use roster::store::memory::MemoryStore;
use roster::store::sql::SqlStore;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// A store to try, with an application beside it that owns cases.
trait Bench {
    type Store: Store;

    fn store(&self) -> &Self::Store;

    async fn assign_case(&self, case: &str, owner: AccountId);

    async fn case_owner(&self, case: &str) -> Option<AccountId>;
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
}
