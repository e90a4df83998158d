//! A connection to either database, and statements that both understand.
//!
//! The statements are the same for both: `$1`, TEXT, BIGINT, BOOLEAN, and lists as JSON in a text,
//! which `json_each` takes apart (`PostgreSQL` has one of that name in its schema). sqlx's own
//! driver for any database would copy every value of every row once more, and has no place for a
//! time limit.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Error, PgConnection, Postgres, Sqlite, SqliteConnection, Type};

/// How long one statement may take. A host that went away without a word would keep its caller for
/// a quarter of an hour.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Selects the texts of the JSON list that a parameter holds, each in a list of its own, as
/// [`texts`] makes it.
macro_rules! texts {
    ($parameter:literal) => {
        concat!("SELECT value->>0 FROM json_each(", $parameter, ")")
    };
}

/// Selects the pairs of texts of the JSON list that a parameter holds.
macro_rules! pairs {
    ($parameter:literal) => {
        concat!("SELECT value->>0, value->>1 FROM json_each(", $parameter, ")")
    };
}

pub(super) use {pairs, texts};

/// A parameter of a statement, or what a column of a list of rows is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Truth(bool),
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        })+
    };
}

value_from! {
    String => |text| Self::Text(Some(text));
    Option<String> => |text| Self::Text(text);
    &String => |text| Self::Text(Some(text.clone()));
    &str => |text| Self::Text(Some(text.to_owned()));
    Option<&str> => |text| Self::Text(text.map(str::to_owned));
    i64 => |number| Self::Number(Some(number));
    Option<i64> => |number| Self::Number(number);
    bool => |truth| Self::Truth(truth);
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    text: &'static str,
    values: Vec<Value>,
}

/// Returns a statement, whose parameters are bound in their order.
pub(super) fn statement(text: &'static str) -> Statement {
    Statement { text, values: vec![] }
}

impl Statement {
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(super) async fn fetch_all(self, connection: &mut Connection) -> Result<Vec<SqlRow>, Error> {
        connection.fetch_all(self).await
    }

    pub(super) async fn fetch_optional(
        self,
        connection: &mut Connection,
    ) -> Result<Option<SqlRow>, Error> {
        connection.fetch_optional(self).await
    }

    /// Returns the one row that a statement always has.
    pub(super) async fn fetch_one(self, connection: &mut Connection) -> Result<SqlRow, Error> {
        self.fetch_optional(connection).await?.ok_or(Error::RowNotFound)
    }

    /// Returns the value in the first column of the one row that a statement always has.
    pub(super) async fn fetch_first<T: for<'r> SqlValue<'r>>(
        self,
        connection: &mut Connection,
    ) -> Result<T, Error> {
        self.fetch_one(connection).await?.first()
    }

    /// Returns the values in the first column.
    pub(super) async fn fetch_firsts<T: for<'r> SqlValue<'r>>(
        self,
        connection: &mut Connection,
    ) -> Result<Vec<T>, Error> {
        self.fetch_all(connection).await?.iter().map(SqlRow::first).collect()
    }

    /// Gives out rows one by one, so that they never are in memory all at once.
    pub(super) fn fetch(self, connection: &mut Connection) -> BoxStream<'_, Result<SqlRow, Error>> {
        match &mut connection.link {
            Link::Sqlite(link) => {
                Box::pin(self.for_sqlite().fetch(&mut **link).map_ok(SqlRow::Sqlite))
            }
            Link::Postgres(link) => {
                Box::pin(self.for_postgres().fetch(&mut **link).map_ok(SqlRow::Postgres))
            }
        }
    }

    /// Executes it, and returns how many rows it changed.
    pub(super) async fn execute(self, connection: &mut Connection) -> Result<u64, Error> {
        connection.execute(self).await
    }

    fn for_sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Truth(truth) => query.bind(truth),
        })
    }

    fn for_postgres(self) -> Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Truth(truth) => query.bind(truth),
        })
    }
}

/// What both databases keep in a column.
pub(super) trait SqlValue<'r>:
    Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

impl<'r, T> SqlValue<'r> for T where
    T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

/// A row of either database.
pub(super) enum SqlRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl SqlRow {
    /// Returns the value in a column.
    pub(super) fn get<'r, T: SqlValue<'r>>(&'r self, column: &str) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => sqlx::Row::try_get(row, column),
            Self::Postgres(row) => sqlx::Row::try_get(row, column),
        }
    }

    /// Returns the value in the first column.
    pub(super) fn first<'r, T: SqlValue<'r>>(&'r self) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => sqlx::Row::try_get(row, 0),
            Self::Postgres(row) => sqlx::Row::try_get(row, 0),
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Several statements see the store at one moment.
    Look,
    /// Plans are judged and written.
    Write,
}

enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A connection out of a pool. Dropped within a transaction, or after a statement that took too
/// long, it is closed rather than given back: that ends the transaction whatever state the database
/// and the driver think it is in.
pub(super) struct Connection {
    link: Link,
    within_transaction: bool,
    poisoned: bool,
}

impl From<PoolConnection<Sqlite>> for Connection {
    fn from(link: PoolConnection<Sqlite>) -> Self {
        Self { link: Link::Sqlite(link), within_transaction: false, poisoned: false }
    }
}

impl From<PoolConnection<Postgres>> for Connection {
    fn from(link: PoolConnection<Postgres>) -> Self {
        Self { link: Link::Postgres(link), within_transaction: false, poisoned: false }
    }
}

impl Connection {
    /// Whether it is one to `PostgreSQL`, where several write at once.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.link, Link::Postgres(_))
    }

    /// Returns it as one to `SQLite`, where it is one.
    pub(super) fn in_sqlite(&mut self) -> Option<&mut SqliteConnection> {
        match &mut self.link {
            Link::Sqlite(link) => Some(&mut **link),
            Link::Postgres(_) => None,
        }
    }

    /// Returns it as one to `PostgreSQL`, where it is one.
    pub(super) fn in_postgres(&mut self) -> Option<&mut PgConnection> {
        match &mut self.link {
            Link::Sqlite(_) => None,
            Link::Postgres(link) => Some(&mut **link),
        }
    }

    async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<SqlRow>, Error> {
        match &mut self.link {
            Link::Sqlite(link) => {
                let rows = statement.for_sqlite().fetch_all(&mut **link).await?;
                Ok(rows.into_iter().map(SqlRow::Sqlite).collect())
            }
            Link::Postgres(link) => {
                let rows = with_timeout(
                    statement.for_postgres().fetch_all(&mut **link),
                    &mut self.poisoned,
                )
                .await?;
                Ok(rows.into_iter().map(SqlRow::Postgres).collect())
            }
        }
    }

    async fn fetch_optional(&mut self, statement: Statement) -> Result<Option<SqlRow>, Error> {
        match &mut self.link {
            Link::Sqlite(link) => {
                Ok(statement.for_sqlite().fetch_optional(&mut **link).await?.map(SqlRow::Sqlite))
            }
            Link::Postgres(link) => {
                let row = with_timeout(
                    statement.for_postgres().fetch_optional(&mut **link),
                    &mut self.poisoned,
                )
                .await?;
                Ok(row.map(SqlRow::Postgres))
            }
        }
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        match &mut self.link {
            Link::Sqlite(link) => {
                Ok(statement.for_sqlite().execute(&mut **link).await?.rows_affected())
            }
            Link::Postgres(link) => {
                let done =
                    with_timeout(statement.for_postgres().execute(&mut **link), &mut self.poisoned)
                        .await?;
                Ok(done.rows_affected())
            }
        }
    }

    pub(super) async fn begin(&mut self, purpose: Purpose) -> Result<(), Error> {
        let begin = match (&self.link, purpose) {
            (Link::Sqlite(_), Purpose::Look) => "BEGIN",
            // At once as the only one that writes.
            (Link::Sqlite(_), Purpose::Write) => "BEGIN IMMEDIATE",
            (Link::Postgres(_), Purpose::Look) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // Every statement sees what was committed before the locks were had that it waited for.
            (Link::Postgres(_), Purpose::Write) => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
            }
        };
        self.within_transaction = true;
        self.execute(statement(begin)).await.map(|_| ())
    }

    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.execute(statement("COMMIT")).await?;
        self.within_transaction = false;
        Ok(())
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), Error> {
        self.execute(statement("ROLLBACK")).await?;
        self.within_transaction = false;
        Ok(())
    }

    /// Begins what can be taken back without the rest of the transaction.
    pub(super) async fn savepoint(&mut self) -> Result<(), Error> {
        self.execute(statement("SAVEPOINT part")).await.map(|_| ())
    }

    pub(super) async fn release_savepoint(&mut self) -> Result<(), Error> {
        self.execute(statement("RELEASE SAVEPOINT part")).await.map(|_| ())
    }

    pub(super) async fn rollback_to_savepoint(&mut self) -> Result<(), Error> {
        self.execute(statement("ROLLBACK TO SAVEPOINT part")).await?;
        self.release_savepoint().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.within_transaction || self.poisoned {
            match &mut self.link {
                Link::Sqlite(link) => link.close_on_drop(),
                Link::Postgres(link) => link.close_on_drop(),
            }
        }
    }
}

async fn with_timeout<T>(
    answer: impl Future<Output = Result<T, Error>>,
    spoilt: &mut bool,
) -> Result<T, Error> {
    *spoilt = true;
    let Ok(answer) = tokio::time::timeout(TIMEOUT, answer).await else {
        return Err(Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", TIMEOUT.as_secs()),
        )));
    };
    *spoilt = false;
    answer
}
