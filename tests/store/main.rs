//! What a store promises: a contract that every store keeps, and what each database adds to it.

#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "how long things took is worth knowing")]

mod backend_equivalence;
mod billing;
mod claims;
mod contract;
mod details;
mod former;
mod heirs;
mod logins;
mod permissions;
mod postgres;
mod sql;
mod sqlite;
mod transactions;
mod view;

use std::path::PathBuf;

use jiff::Timestamp;
use roster::domain::account::{AccountId, Transaction, TransactionKind};
use roster::store::Store;
use roster::store::logins::Logins;
use roster::store::memory::MemoryStore;
use roster::store::sql::SqlStore;
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
    type Store: Store + Logins;

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

/// Where a store in a database is; it goes with the test.
trait Place {
    /// A place where nothing is yet.
    async fn new() -> Self;

    /// The address under which another process would know the store.
    fn url(&self) -> String;

    /// The address under which a store is made.
    fn url_to_create(&self) -> String {
        self.url()
    }
}

impl Place for TempDir {
    async fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path().join("roster.db").display())
    }

    fn url_to_create(&self) -> String {
        format!("{}?mode=rwc", self.url())
    }
}

impl Place for Database {
    async fn new() -> Self {
        Self::new().await
    }

    fn url(&self) -> String {
        self.url()
    }
}

struct InDatabase<P> {
    store: SqlStore,
    place: P,
}

type InSqlite = InDatabase<TempDir>;
type InPostgres = InDatabase<Database>;

impl<P: Place> InDatabase<P> {
    async fn new() -> Self {
        Self::at(P::new().await).await
    }

    async fn at(place: P) -> Self {
        let store = SqlStore::open(&place.url_to_create()).await.unwrap();
        Self { store, place }
    }

    /// The address under which another process would know the store.
    fn url(&self) -> String {
        self.place.url()
    }

    /// A connection as an application opens it, without anything of ours.
    async fn application(&self) -> Application {
        Application::open(&self.url()).await
    }
}

impl InSqlite {
    fn file(&self) -> PathBuf {
        self.place.path().join("roster.db")
    }
}

impl<P: Place> Bench for InDatabase<P> {
    type Store = SqlStore;

    fn store(&self) -> &SqlStore {
        &self.store
    }

    async fn assign_case(&self, case: &str, owner: AccountId) {
        let assign = "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ($1, 'acme', 'A case', $2) \
                      ON CONFLICT (case_id) DO UPDATE SET owner_account_id = excluded.owner_account_id";
        let mut application = self.application().await;
        application.execute(assign, &[case, &owner.to_string()]).await.unwrap();
        application.close().await;
    }

    async fn case_owner(&self, case: &str) -> Option<AccountId> {
        let mut application = self.application().await;
        let rows = application
            .rows("SELECT owner_account_id FROM cases WHERE case_id = $1", &[case])
            .await;
        application.close().await;
        rows[0].text(0).map(|owner| AccountId(owner.parse().unwrap()))
    }

    async fn journal(&self, account: AccountId) -> Vec<Entry> {
        let journal = "SELECT type, revision, completed_at, superseded_at FROM transactions WHERE account_id = $1 ORDER BY revision";
        let mut application = self.application().await;
        let rows = application.rows(journal, &[&account.to_string()]).await;
        application.close().await;
        let entry = |row: &Row| Entry {
            kind: row.text(0).unwrap().parse().unwrap(),
            revision: row.number(1),
            completed: row
                .optional_number(2)
                .map(|time| Timestamp::from_microsecond(time).unwrap()),
            superseded: row.optional_number(3).is_some(),
        };
        rows.iter().map(entry).collect()
    }
}

/// Sentences about what both databases do beyond the contract.
macro_rules! in_databases {
    ($($(#[$note:meta])* async fn $sentence:ident($bench:ident) $body:block)+) => {
        $($(#[$note])* mod $sentence {
            use super::*;

            async fn sentence($bench: &crate::InDatabase<impl crate::Place>) $body

            #[tokio::test]
            async fn in_sqlite() {
                sentence(&crate::InSqlite::new().await).await;
            }

            #[tokio::test]
            async fn in_postgres() {
                sentence(&crate::InPostgres::new().await).await;
            }
        })+
    };
}

use in_databases;
use roster_test_support::application::{Application, Row};
use roster_test_support::postgres::Database;
