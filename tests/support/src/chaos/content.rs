//! What a store holds, row by row, as SQL sees it.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::chaos::write_audit::Witness;

/// A live account.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub namespace: String,
    pub owner: String,
    pub owner_uid: String,
    pub generation: i64,
    pub revision: i64,
    pub transaction: String,
    pub login: String,
    pub email: String,
    pub state: String,
}

/// What bills are made of.
#[derive(Clone, Debug)]
pub struct Lifetime {
    pub account: String,
    pub namespace: String,
    pub login: String,
    pub deleted: bool,
}

/// An entry of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub account: String,
    pub kind: String,
    pub revision: i64,
    pub completed: bool,
    pub superseded: bool,
}

/// Since when an account is enabled or disabled.
#[derive(Clone, Debug)]
pub struct Switch {
    pub account: String,
    pub revision: i64,
    pub state: String,
}

/// Everything that the oracles look at.
#[derive(Clone, Debug)]
pub struct Content {
    pub accounts: Vec<Account>,
    pub lifetimes: Vec<Lifetime>,
    pub journal: Vec<Entry>,
    pub switches: Vec<Switch>,
    pub witness: Witness,
}

impl Content {
    /// Returns what is in the database at one moment.
    pub async fn read(connection: &mut PgConnection) -> Self {
        let accounts = "SELECT account_id, namespace, COALESCE(owner_name, ''), owner_uid, owner_generation, revision, \
                        transaction_id, login_name, COALESCE(email, ''), state FROM accounts";
        let lifetimes =
            "SELECT account_id, namespace, login_name, deleted_at IS NOT NULL FROM lifetimes";
        let journal = "SELECT transaction_id, account_id, type, revision, completed_at IS NOT NULL, superseded_at IS NOT NULL \
                       FROM transactions ORDER BY revision, started_at";
        let switches = "SELECT account_id, revision, state FROM switches ORDER BY revision";
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        sqlx::raw_sql(begin).execute(&mut *connection).await.expect("the store can be read");
        let content = Self {
            accounts: rows(connection, accounts, |row| Account {
                id: row.get(0),
                namespace: row.get(1),
                owner: row.get(2),
                owner_uid: row.get(3),
                generation: row.get(4),
                revision: row.get(5),
                transaction: row.get(6),
                login: row.get(7),
                email: row.get(8),
                state: row.get(9),
            })
            .await,
            lifetimes: rows(connection, lifetimes, |row| Lifetime {
                account: row.get(0),
                namespace: row.get(1),
                login: row.get(2),
                deleted: row.get(3),
            })
            .await,
            journal: rows(connection, journal, |row| Entry {
                id: row.get(0),
                account: row.get(1),
                kind: row.get(2),
                revision: row.get(3),
                completed: row.get(4),
                superseded: row.get(5),
            })
            .await,
            switches: rows(connection, switches, |row| Switch {
                account: row.get(0),
                revision: row.get(1),
                state: row.get(2),
            })
            .await,
            witness: Witness::read(connection).await,
        };
        sqlx::raw_sql("COMMIT").execute(connection).await.expect("the store can be read");
        content
    }
}

async fn rows<T>(connection: &mut PgConnection, query: &str, row: impl Fn(&PgRow) -> T) -> Vec<T> {
    let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
        .fetch_all(connection)
        .await
        .expect("the store can be read");
    rows.iter().map(row).collect()
}
