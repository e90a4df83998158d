//! What only `SQLite` says: addresses, files, pragmas, lists of keys, and which constraint failed.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool};

use super::advice::about_file;
use crate::store::{Refusal, StoreError};

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long erasing from the log waits for readers; the next commit tries again.
const ERASING_TIMEOUT: Duration = Duration::from_millis(100);

/// How many connections read.
pub(super) const READERS: u32 = 4;

const SUPPORTED: &str = "the store's address must be sqlite://FILE or, to create the file when it isn't there, sqlite://FILE?mode=rwc";

/// Where a store is.
#[derive(Clone, Debug)]
pub(super) struct SqliteAddress {
    pub(super) path: PathBuf,
    create: bool,
    read_only: bool,
}

impl SqliteAddress {
    /// Parses `sqlite://FILE`, optionally with `?mode=rw` or `?mode=rwc`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let unsupported = || StoreError::Address(SUPPORTED.to_owned());
        let rest = url.strip_prefix("sqlite://").ok_or_else(unsupported)?;
        let create = match rest.split_once('?').map(|(_, query)| query) {
            Some("mode=rwc") => true,
            None | Some("mode=rw") => false,
            Some(_) => return Err(unsupported()),
        };
        let path = SqliteConnectOptions::from_str(url)
            .map_err(|_| unsupported())?
            .get_filename()
            .to_owned();
        if rest.starts_with([':', '?']) || path.as_os_str().is_empty() {
            return Err(unsupported());
        }
        Ok(Self { path, create, read_only: false })
    }

    /// Returns the address of a file that is there.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), create: false, read_only: false }
    }

    /// Returns the address of a file that is there and that nobody writes by this address.
    pub(super) fn of_copy(path: &Path) -> Self {
        Self { read_only: true, ..Self::of(path) }
    }

    /// Whether a store may be made where there is none.
    pub(super) fn may_create(&self) -> bool {
        self.create
    }

    /// Creates an empty file, readable by its owner alone, if the address asks for it and there is
    /// none; `SQLite` gives the files beside it the same permissions.
    pub(super) fn create_if_asked(&self) -> Result<(), StoreError> {
        if !self.create {
            return Ok(());
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path) {
            Ok(File { .. }) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.problem(
                "can't be created: its folder isn't there: create that, or correct the path",
            )),
            Err(error) => Err(self.problem(&format!("can't be created: {}", about_file(&error)))),
        }
    }

    /// Returns the error that the file is no use, and why.
    pub(super) fn problem(&self, what: &str) -> StoreError {
        StoreError::Unusable(format!("{} {what}", self.path.display()))
    }

    /// Returns how to connect.
    pub(super) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(self.read_only)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten, and nothing is put down elsewhere meanwhile.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging()
    }
}

/// An open database.
pub(super) struct SqliteDatabase {
    path: PathBuf,
    identity: (u64, u64),
    writer: SqlitePool,
    readers: SqlitePool,
    eraser: SqlitePool,
    unerased: AtomicBool,
}

impl SqliteDatabase {
    pub(super) async fn connect(address: &SqliteAddress) -> Result<Self, StoreError> {
        Self::connect_with(address, BUSY_TIMEOUT).await
    }

    /// Connects with another patience for other processes' transactions.
    pub(super) async fn connect_with(
        address: &SqliteAddress,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let identity = identity(&address.path.metadata().map_err(sqlx::Error::Io)?);
        let options = address.options().busy_timeout(patience);
        let writer =
            pool(1).connect_with(options.clone().journal_mode(SqliteJournalMode::Wal)).await?;
        let readers = pool(READERS).connect_lazy_with(options.clone().pragma("query_only", "ON"));
        let eraser = pool(1).connect_lazy_with(options.busy_timeout(ERASING_TIMEOUT.min(patience)));
        let database = Self {
            path: address.path.clone(),
            identity,
            writer,
            readers,
            eraser,
            unerased: AtomicBool::new(false),
        };
        // A restore may have put another file there between the two looks.
        database.check_file()?;
        Ok(database)
    }

    /// Returns the one connection that writes, once it is free.
    pub(super) async fn writer(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.check_file()?;
        Ok(self.writer.acquire().await?)
    }

    /// Returns a connection that sees what was committed.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.check_file()?;
        Ok(self.readers.acquire().await?)
    }

    /// After a commit that erased personal data, empties the log that still holds it. Where readers
    /// are in the way, the next commit tries again.
    pub(super) async fn erase_from_log(&self, erased: bool) {
        if erased {
            self.unerased.store(true, Ordering::Relaxed);
        }
        if self.unerased.load(Ordering::Relaxed) {
            let busy = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&self.eraser)
                .await;
            self.unerased.store(!matches!(busy, Ok(0)), Ordering::Relaxed);
        }
    }

    pub(super) async fn close(&self) {
        self.eraser.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Refuses to go on with a file that isn't at its place any more: `SQLite` would go on, and
    /// what it wrote would be gone with the process. A place that can't be looked at now may come
    /// back as it was.
    fn check_file(&self) -> Result<(), StoreError> {
        let what = match self.path.metadata() {
            Ok(found) if identity(&found) == self.identity => return Ok(()),
            Ok(_) => {
                "is another one than the one that is open: it was replaced, or another volume was mounted over it"
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                "isn't there any more: it was moved or deleted, or its volume is gone"
            }
            Err(error) => return Err(sqlx::Error::Io(error).into()),
        };
        let file = self.path.display();
        Err(StoreError::Replaced(format!(
            "the store's file {file} {what}; nothing but a restart opens what is there now"
        )))
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None)
}

/// Returns what tells a file from another of the same name.
pub(super) fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Whether the file holds something else than a database.
pub(super) fn is_no_database(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "26")
}

/// Whether somebody else has what was asked for.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    // The lowest byte is the primary code: SQLITE_BUSY or SQLITE_LOCKED.
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether the database's own pages contradict each other, or are none.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    // SQLITE_CORRUPT or SQLITE_NOTADB.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether a table or a column isn't there, or can't be understood.
pub(super) fn is_about_schema(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    // SQLITE_ERROR.
    code.is_some_and(|code| code & 0xff == 1)
}

/// Returns what a violated UNIQUE constraint means, if it means that a plan is refused.
pub(super) fn refusal_of(error: &sqlx::Error) -> Option<Refusal> {
    let violated = error.as_database_error().filter(|error| error.is_unique_violation())?.message();
    [
        ("accounts.owner_name", Refusal::Stale),
        ("accounts.email", Refusal::EmailTaken),
        ("accounts.login_name", Refusal::LoginTaken),
        ("lifetimes.account_id", Refusal::IdTaken),
        ("organizations.namespace", Refusal::CustomerIdChanged),
        ("organizations.customer_id", Refusal::CustomerIdTaken),
        ("domains.domain", Refusal::DomainTaken),
    ]
    .into_iter()
    .find_map(|(column, refusal)| violated.contains(column).then_some(refusal))
}

/// Returns the database's tables; none for an empty file. The database isn't open any more then: a
/// connection that is only dropped stays for a while.
pub(super) async fn tables(address: &SqliteAddress) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = address.options().connect().await?;
    let tables = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await;
    connection.close().await?;
    tables
}

#[cfg(test)]
mod tests {
    use sqlx::SqliteConnection;

    use super::*;
    use crate::store::sql::SqlStore;

    /// Inserts a row with these names, as somebody would who made no checks.
    async fn insert(
        connection: &mut SqliteConnection,
        [id, owner, login_name, email]: [&str; 4],
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO accounts (account_id, namespace, owner_name, login_name, email, revision, transaction_id, email_domain, \
             state, group_name, grants, teams, profile, created_at) \
             VALUES ($1, 'n', $2, $3, $4, 1, '', '', 'Enabled', '', '[]', '[]', '{}', 0)",
        )
        .bind(id)
        .bind(owner)
        .bind(login_name)
        .bind(email)
        .execute(connection)
        .await
        .map(|_| ())
    }

    #[tokio::test]
    async fn a_constraint_that_is_violated_is_the_refusal_that_a_check_would_have_been() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/roster.db?mode=rwc", folder.path().display());
        SqlStore::open(&url).await.unwrap();
        let mut connection = SqliteAddress::parse(&url)
            .unwrap()
            .options()
            .foreign_keys(false)
            .connect()
            .await
            .unwrap();
        insert(&mut connection, ["1", "a", "a", "a"]).await.unwrap();
        for (names, refusal) in [
            (["2", "a", "b", "b"], Some(Refusal::Stale)),
            (["2", "b", "a", "b"], Some(Refusal::LoginTaken)),
            (["2", "b", "b", "a"], Some(Refusal::EmailTaken)),
            (["1", "b", "b", "b"], None),
        ] {
            assert_eq!(refusal_of(&insert(&mut connection, names).await.unwrap_err()), refusal);
        }
        for (statement, refusal) in [
            ("INSERT INTO organizations VALUES ('n', 'c'), ('n', 'd')", Refusal::CustomerIdChanged),
            ("INSERT INTO organizations VALUES ('n', 'c'), ('m', 'c')", Refusal::CustomerIdTaken),
            (
                "INSERT INTO domains VALUES ('n', 'a', 'd', 0), ('n', 'b', 'd', 0)",
                Refusal::DomainTaken,
            ),
        ] {
            let error = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
            assert_eq!(refusal_of(&error), Some(refusal));
        }
    }
}
