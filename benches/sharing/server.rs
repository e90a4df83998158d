//! A PostgreSQL server of the benchmark's own, which syncs to disk.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A running server; it ends with this.
pub(crate) struct Server {
    folder: PathBuf,
    guardian: Child,
    /// The guardian stops the server when this closes.
    lifeline: Option<ChildStdin>,
}

/// An organization that is held up.
pub(crate) struct Held(PgConnection);

impl Server {
    pub(crate) fn start() -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sharing-{}", std::process::id()));
        let mut guardian =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres"))
                .arg("guard")
                .arg(&folder)
                .env("ROSTER_POSTGRES_FSYNC", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
        let lifeline = guardian.stdin.take();
        let said = BufReader::new(guardian.stdout.take().unwrap()).lines().next();
        assert_eq!(said.unwrap().unwrap(), "ready", "scripts/postgres says why above");
        Self { folder, guardian, lifeline }
    }

    fn url(&self, database: &str) -> String {
        let url = std::fs::read_to_string(self.folder.join("url")).unwrap();
        url.trim().strip_suffix("/postgres").unwrap().to_owned() + "/" + database
    }

    /// Creates an empty database, and returns its URL.
    pub(crate) async fn database(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("sharing_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    /// Holds up an organization, as an operator does that is in the middle of a commit.
    pub(crate) async fn hold(&self, database: &str, namespace: &str) -> Held {
        let mut connection = PgConnection::connect(database).await.unwrap();
        sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
        let lock = "INSERT INTO locks (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name";
        sqlx::query(lock)
            .bind(format!("organization {namespace}"))
            .execute(&mut connection)
            .await
            .unwrap();
        Held(connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // A guardian that can't be waited for has ended.
        let _ = self.guardian.wait();
    }
}

impl Held {
    pub(crate) async fn let_go(self) {
        self.0.close().await.unwrap();
    }
}
