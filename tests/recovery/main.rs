//! What an operator has on a bad day: backups, restores, and a doctor.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod backups;
mod digests;
mod doctor;
mod faults;
mod interrupted;
mod restores;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use roster::store::Store;
use roster::store::sql::SqlStore;
use roster_test_support::plans;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

/// A folder for the files of one test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address of a store that may be created.
    fn url(&self, name: &str) -> String {
        format!("sqlite://{}?mode=rwc", self.file(name).display())
    }

    /// Runs the binary on the store `roster.db`.
    fn roster(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command
            .args(arguments)
            .args(["--store", &self.url("roster.db")])
            .current_dir(self.folder.path());
        command.env_remove("KUBECONFIG").env("HOME", self.folder.path());
        command
    }

    /// Expects an exit code, and returns standard output.
    #[track_caller]
    fn exits(&self, arguments: &[&str], code: i32) -> String {
        let output = self.roster(arguments);
        let (said, message) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{said}{message}");
        said
    }

    /// Expects a fault, and a text in its message.
    #[track_caller]
    fn fails(&self, arguments: &[&str], text: &str) {
        let output = self.roster(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    }

    /// Expects success, and a text in what is said beside the answer.
    #[track_caller]
    fn warns(&self, arguments: &[&str], text: &str) {
        let output = self.roster(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{message}");
        assert!(message.contains(text), "{text:?} isn't in: {message}");
    }

    /// The names of the files, in order.
    fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Where a restore keeps what was there before.
    fn kept(&self) -> Vec<String> {
        let is_kept = |name: &String| name.starts_with("roster.db.before-restore-");
        self.files().into_iter().filter(is_kept).collect()
    }

    /// Opens the store `roster.db`, and creates these users in it.
    async fn store_with(&self, users: &[&str]) -> SqlStore {
        let store = SqlStore::open(&self.url("roster.db")).await.unwrap();
        plans::done(plans::commit(&store, plans::put_domain("acme", "acme.example")).await);
        add(&store, users).await;
        store
    }
}

async fn add(store: &impl Store, users: &[&str]) {
    for user in users {
        plans::account(
            plans::commit(store, plans::create(user, &format!("{user}@acme.example"))).await,
        );
    }
}

/// Connects as somebody does who asks for no checks.
async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).foreign_keys(false).connect().await.unwrap()
}

async fn execute(file: &Path, statement: &'static str) {
    let mut connection = connect(file).await;
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Everything in a database but the digest of a backup: each table with its columns, and each of
/// its rows.
async fn content(file: &Path) -> Vec<String> {
    let mut connection = connect(file).await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'backup_digest' ORDER BY name")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut found: Vec<String> =
        sqlx::query_scalar("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'backup_digest' ORDER BY name")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for table in tables {
        let columns: String =
            sqlx::query_scalar("SELECT group_concat('quote(' || name || ')', ' || '','' || ') FROM pragma_table_info($1)")
                .bind(&table)
                .fetch_one(&mut connection)
                .await
                .unwrap();
        let rows = format!("SELECT '{table}: ' || {columns} FROM {table} ORDER BY 1");
        found.extend(
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(rows))
                .fetch_all(&mut connection)
                .await
                .unwrap(),
        );
    }
    connection.close().await.unwrap();
    found
}

/// The names of the accounts' users.
async fn users(file: &Path) -> Vec<String> {
    let mut connection = connect(file).await;
    let users = sqlx::query_scalar("SELECT owner_name FROM accounts ORDER BY 1")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    users
}
