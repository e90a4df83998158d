//! An application at a store: a connection as it opens one, without anything of ours.

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row as _, SqliteConnection};

/// A connection to either database.
pub enum Application {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A row of either database.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Asks the same of either connection: texts are bound to `$1` and so on.
macro_rules! asked {
    ($application:ident, $statement:ident, $bound:ident, |$query:ident, $connection:ident| $ask:expr) => {{
        let statement = AssertSqlSafe($statement.to_owned());
        match $application {
            Application::Sqlite($connection) => {
                let $query = $bound
                    .iter()
                    .fold(sqlx::query(statement), |query, &text| query.bind(text.to_owned()));
                $ask
            }
            Application::Postgres($connection) => {
                let $query = $bound
                    .iter()
                    .fold(sqlx::query(statement), |query, &text| query.bind(text.to_owned()));
                $ask
            }
        }
    }};
}

impl Application {
    /// Connects to the store at a URL.
    pub async fn open(url: &str) -> Self {
        Box::pin(Self::try_open(url)).await.expect("the store is there")
    }

    async fn try_open(url: &str) -> Result<Self, sqlx::Error> {
        if url.starts_with("sqlite:") {
            return Ok(Self::Sqlite(
                url.parse::<SqliteConnectOptions>()?.disable_statement_logging().connect().await?,
            ));
        }
        Ok(Self::Postgres(
            url.parse::<PgConnectOptions>()?.disable_statement_logging().connect().await?,
        ))
    }

    /// Carries a statement out, and returns how many rows it was about.
    pub async fn execute(&mut self, statement: &str, bound: &[&str]) -> Result<u64, sqlx::Error> {
        asked!(self, statement, bound, |query, connection| Ok(Box::pin(query.execute(connection))
            .await?
            .rows_affected()))
    }

    /// Returns the rows that a query answers with.
    pub async fn rows(&mut self, query: &str, bound: &[&str]) -> Vec<Row> {
        let rows: Result<Vec<Row>, sqlx::Error> =
            asked!(self, query, bound, |asked, connection| {
                Box::pin(asked.fetch_all(connection))
                    .await
                    .map(|rows| rows.into_iter().map(Row::from).collect())
            });
        rows.expect("the query can be answered")
    }

    /// Returns the number that a query of one row answers with.
    pub async fn number(&mut self, query: &str) -> i64 {
        self.rows(query, &[]).await.first().expect("one row").number(0)
    }

    /// Returns the text that a query answers with, unless it answers with nothing.
    pub async fn text(&mut self, query: &str) -> Option<String> {
        self.rows(query, &[]).await.first().and_then(|row| row.text(0))
    }

    /// Returns what changes whenever another connection has written something, be it the same as
    /// before.
    pub async fn version(&mut self) -> String {
        if let Self::Sqlite(_) = self {
            return self.number("PRAGMA data_version").await.to_string();
        }
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
        let mut rows = vec![];
        for table in self.rows(tables, &[]).await {
            let table = table.text(0).expect("a name");
            // Whatever writes a row, even as it was, gives it another number.
            for row in self
                .rows(&format!("SELECT t.xmin::text || ' ' || t::text FROM {table} AS t"), &[])
                .await
            {
                rows.push(format!("{table} {}", row.text(0).expect("a row")));
            }
        }
        rows.sort();
        rows.join("\n")
    }

    /// Takes the right to write: whoever commits meanwhile waits.
    pub async fn hold(&mut self) {
        if let Self::Sqlite(_) = self {
            self.execute("BEGIN IMMEDIATE", &[]).await.expect("nobody writes for long");
            return;
        }
        let tables = "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables \
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let lock = format!(
            "LOCK TABLE {} IN EXCLUSIVE MODE",
            self.text(tables).await.expect("there are tables")
        );
        loop {
            self.execute("BEGIN", &[]).await.expect("a transaction begins");
            match self.execute(&lock, &[]).await {
                Ok(_) => return,
                Err(error) if is_deadlock(&error) => {
                    self.execute("ROLLBACK", &[]).await.expect("it ends")
                }
                Err(error) => panic!("the tables can't be locked: {error}"),
            };
        }
    }

    /// Disconnects.
    pub async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        };
        closed.expect("the connection closes");
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

impl Row {
    /// Returns the text in a column, by its place, unless it is NULL.
    pub fn text(&self, column: usize) -> Option<String> {
        match self {
            Self::Sqlite(row) => row.get(column),
            Self::Postgres(row) => row.get(column),
        }
    }

    /// Returns the number in a column, by its place.
    pub fn number(&self, column: usize) -> i64 {
        self.optional_number(column).expect("a number")
    }

    /// Returns the number in a column, by its place, unless it is NULL.
    pub fn optional_number(&self, column: usize) -> Option<i64> {
        match self {
            Self::Sqlite(row) => row.get(column),
            Self::Postgres(row) => row.get(column),
        }
    }
}
