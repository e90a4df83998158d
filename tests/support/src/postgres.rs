//! A `PostgreSQL` server of the tests' own, and databases on it.
//!
//! All tests of a process share one server, each with a database of its own; tests that stop it or
//! need TLS start another. A guardian stops a server when the process is gone, however it went.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::supervise::Guarded;

/// A running server; it ends when the last who knows of it lets go of it.
#[derive(Debug)]
pub struct Server(Guarded);

impl Server {
    /// Returns the server that all tests of this process share, started by whoever asks first.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Result<Arc<Server>, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::guarded(false).map(Arc::new))
            .as_ref()
            .expect("a PostgreSQL server starts")
            .clone()
    }

    /// Starts a server that nobody else uses.
    #[track_caller]
    pub fn start() -> Arc<Self> {
        Arc::new(Self::guarded(false).expect("a PostgreSQL server starts"))
    }

    /// Starts a server that lets nobody in without TLS and a password.
    #[track_caller]
    pub fn start_with_tls() -> Arc<Self> {
        Arc::new(Self::guarded(true).expect("a PostgreSQL server starts"))
    }

    fn guarded(tls: bool) -> Result<Self, String> {
        Guarded::start("postgres", &[("ROSTER_POSTGRES_TLS", if tls { "1" } else { "0" })])
            .map(Self)
    }

    /// Ends it at once, as a crash does that loses nothing.
    #[track_caller]
    pub fn stop(&self) {
        self.0.told("stop");
    }

    /// Kills it with SIGKILL, where it stands.
    #[track_caller]
    pub fn kill(&self) {
        self.0.told("kill");
    }

    /// Starts it again where it was, after it was stopped or killed.
    #[track_caller]
    pub fn resume(&self) {
        self.0.told("resume");
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.0.noted("port").parse().expect("a port")
    }

    /// Returns the superuser's password, where it asks for one.
    pub fn password(&self) -> String {
        self.0.noted("password")
    }

    /// Returns the certificate of the authority that its own is of, in a file.
    pub fn authority(&self) -> PathBuf {
        self.0.folder.join("certs/ca.crt")
    }

    /// Returns the URL of a database, for the superuser.
    fn url(&self, database: &str) -> String {
        let url = self.0.noted("url");
        let (server, query) = url
            .split_once("/postgres?")
            .map_or((url.as_str(), ""), |(server, query)| (server, query));
        let server = server.strip_suffix("/postgres").unwrap_or(server);
        if query.is_empty() {
            format!("{server}/{database}")
        } else {
            format!("{server}/{database}?{query}")
        }
    }

    /// Connects to a database as the superuser.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let mut options: PgConnectOptions =
            self.url(database).parse().expect("the server's URL is one");
        if self.0.folder.join("password").exists() {
            options = options.password(&self.password());
        }
        options.disable_statement_logging().connect().await.expect("the server is there")
    }

    /// Carries a statement out as the superuser, in no database in particular.
    pub async fn execute(&self, statement: &str) {
        self.try_execute(statement).await.expect("the statement is carried out");
    }

    async fn try_execute(&self, statement: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.connect("postgres").await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        connection.close().await
    }
}

/// A database of one test; it goes with it.
#[derive(Debug)]
pub struct Database {
    server: Arc<Server>,
    name: String,
    kept: bool,
}

impl Database {
    /// Creates an empty database on the server that all share.
    pub async fn new() -> Self {
        Self::on(&Server::shared()).await
    }

    /// Creates an empty database on a server.
    pub async fn on(server: &Arc<Server>) -> Self {
        Self::with(server, "").await
    }

    /// Creates an empty database with further options of `CREATE DATABASE`.
    pub async fn with(server: &Arc<Server>, options: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.execute(&format!("CREATE DATABASE {name} {options}")).await;
        Self { server: server.clone(), name, kept: false }
    }

    /// Returns the database of this name on the server that all share, created unless it is there;
    /// it stays.
    pub async fn named(name: &str) -> Self {
        let database = Self { server: Server::shared(), name: name.to_owned(), kept: true };
        database.create_if_missing().await;
        database
    }

    /// Creates the database anew where it isn't there any more.
    pub async fn create_if_missing(&self) {
        if !self.is_there(&self.name).await {
            self.server.execute(&format!("CREATE DATABASE \"{}\"", self.name)).await;
        }
    }

    async fn is_there(&self, name: &str) -> bool {
        let mut connection = self.server.connect("postgres").await;
        let found =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
                .bind(name);
        found.fetch_one(&mut connection).await.expect("the catalogue can be read")
    }

    /// Returns the server that it is on.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Returns its URL, for the superuser.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Returns a dump of it, as `pg_dump` makes it.
    #[track_caller]
    pub fn dump(&self) -> String {
        let dump = self
            .server
            .0
            .command("client")
            .args(["pg_dump", &self.url()])
            .output()
            .expect("pg_dump can be run");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        String::from_utf8(dump.stdout).expect("a dump is text")
    }

    /// Puts it back to what a dump has, in one transaction; who is connected stays so.
    #[track_caller]
    pub fn restore(&self, dump: &str) {
        let mut psql = self
            .server
            .0
            .command("client")
            .args([
                "psql",
                "--no-psqlrc",
                "--quiet",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
                &self.url(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql can be run");
        let script = format!("DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n{dump}");
        psql.stdin
            .take()
            .expect("it was piped")
            .write_all(script.as_bytes())
            .expect("psql listens");
        let restored = psql.wait_with_output().expect("psql ends");
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    }

    /// Returns the files that hold it, and those that the server keeps for all databases: its log
    /// of changes and what it says.
    pub async fn files(&self) -> Vec<PathBuf> {
        let mut connection = self.connect().await;
        sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.expect("the superuser may");
        let own = "SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()";
        let own: String =
            sqlx::query_scalar(own).fetch_one(&mut connection).await.expect("it is there");
        let data = Path::new(&self.server.0.noted("server-folder")).join("data");
        let folders = [data.join(own), data.join("pg_wal"), self.server.0.folder.join("logs")];
        let files = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).expect("the server's files can be read"));
        files
            .filter_map(|file| file.ok().map(|file| file.path()))
            .filter(|file| file.is_file())
            .collect()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects as the superuser.
    pub async fn connect(&self) -> PgConnection {
        self.server.connect(&self.name).await
    }

    /// Cuts all connections, as a server that is restarted or a network does, and returns how many
    /// there were.
    pub async fn cut_connections(&self) -> i64 {
        let mut connection = self.server.connect("postgres").await;
        let cut = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query_scalar(cut)
            .bind(&self.name)
            .fetch_one(&mut connection)
            .await
            .expect("connections can be cut")
    }

    /// Lets nobody in any more, and puts the database where nobody finds it.
    pub async fn move_away(&self) {
        self.rename(&self.name, &self.elsewhere()).await;
    }

    /// Brings the database back, in place of whatever is there meanwhile.
    pub async fn move_back(&self) {
        self.server
            .execute(&format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name))
            .await;
        self.rename(&self.elsewhere(), &self.name).await;
    }

    fn elsewhere(&self) -> String {
        format!("{}_away", self.name)
    }

    /// Renames a database, which nobody may be connected to meanwhile.
    async fn rename(&self, from: &str, to: &str) {
        self.server.execute(&format!("ALTER DATABASE \"{from}\" ALLOW_CONNECTIONS false")).await;
        self.cut_connections().await;
        self.server.execute(&format!("ALTER DATABASE \"{from}\" RENAME TO \"{to}\"")).await;
        self.server.execute(&format!("ALTER DATABASE \"{to}\" ALLOW_CONNECTIONS true")).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (server, drop) = (
            self.server.clone(),
            format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name),
        );
        // Whoever drops it may be at work in a runtime, which must not wait for itself.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // A server that a test stopped takes its databases with it.
            let options = server
                .url("postgres")
                .parse::<PgConnectOptions>()
                .expect("the server's URL is one");
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let Ok(mut connection) = options.connect().await else { return };
                let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await;
            });
        });
    }
}
