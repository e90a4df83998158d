//! The operator itself, run as its own service account.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::SqliteConnection;

use super::control_plane::{ControlPlane, output};
use super::{Organization, Output, eventually};

/// A running operator of one organization; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    namespace: String,
    store: PathBuf,
    log: PathBuf,
    pid_file: PathBuf,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
}

/// The right to write to a store, which nobody else has until this is let go of.
pub(crate) struct HeldStore(SqliteConnection);

impl HeldStore {
    /// Lets others write again.
    pub(crate) fn let_go(self) {
        super::run(sqlx::Connection::close(self.0)).expect("the connection closes");
    }
}

impl Operator {
    /// Starts an operator for the organization, with its store in a file of its own.
    #[track_caller]
    pub(crate) fn start(organization: &Organization) -> Self {
        Self::start_with(organization, &[])
    }

    /// Starts an operator with further arguments, such as `--resync 1s`.
    #[track_caller]
    pub(crate) fn start_with(organization: &Organization, arguments: &[&str]) -> Self {
        Self::start_at(organization, &ControlPlane::shared().folder().join("roster.kubeconfig"), arguments)
    }

    /// Starts an operator that reaches the API server by another kubeconfig of its service account.
    #[track_caller]
    pub(crate) fn start_at(organization: &Organization, kubeconfig: &Path, arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("operator-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let store = organization.file("roster.db");
        let log = organization.file(&format!("{name}.log"));
        let pid_file = ControlPlane::shared().folder().join("pids").join(name);
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (namespace, kubeconfig) = (organization.name.clone(), kubeconfig.to_owned());
        let child = spawn(&namespace, &store, &log, (&kubeconfig, &arguments));
        let operator = Self { child, namespace, store, log, pid_file, kubeconfig, arguments };
        operator.note_pid();
        eventually("the operator is ready", || (operator.page("/readyz").0 == 200).then_some(()));
        operator
    }

    /// Kills it with SIGKILL, where it stands.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end with SIGTERM, and returns how it did.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().expect("a shell");
        eventually("the operator ends when asked to", || self.child.try_wait().expect("its state can be asked"))
    }

    /// Starts it again on the same store, after it was killed or ended.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.namespace, &self.store, &self.log, (&self.kubeconfig, &self.arguments));
        self.note_pid();
    }

    /// Returns everything it has logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the URL of its store.
    pub(crate) fn store(&self) -> String {
        url(&self.store)
    }

    /// Runs another subcommand of the binary on its store.
    pub(crate) fn roster(&self, arguments: &[&str], stdin: &str) -> Output {
        let store = self.store();
        let mut all = arguments.to_vec();
        all.extend(["--store", &store]);
        roster(&all, stdin)
    }

    /// Returns the live accounts as the store has them.
    #[track_caller]
    pub(crate) fn users(&self) -> Vec<serde_json::Value> {
        let text = self.roster(&["users", "-o", "json"], "").expect_success();
        serde_json::from_str(&text).expect("roster users prints JSON")
    }

    /// Moves the store's files away, as a volume that is gone.
    pub(crate) fn move_store_away(&self) {
        self.rename_store("db", "away");
    }

    /// Moves the store's files back to where they were.
    pub(crate) fn move_store_back(&self) {
        self.rename_store("away", "db");
    }

    fn rename_store(&self, from: &str, to: &str) {
        for part in ["", "-wal", "-shm"] {
            let target = self.store.with_extension(format!("{to}{part}"));
            let _ = fs::remove_file(&target);
            let _ = fs::rename(self.store.with_extension(format!("{from}{part}")), target);
        }
    }

    /// Returns the store's files byte by byte: equal ones weren't written to.
    pub(crate) fn store_files(&self) -> Vec<Vec<u8>> {
        let wal = self.store.with_extension("db-wal");
        [&self.store, &wal].map(|file| fs::read(file).unwrap_or_default()).to_vec()
    }

    /// Returns the status and the text of one of the pages that the operator serves.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let address = eventually("it says where it listens", || {
            let log = self.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.filter_map(|line| line["address"].as_str().map(str::to_owned)).next_back()
        });
        let Ok(mut connection) = std::net::TcpStream::connect(address) else { return (0, String::new()) };
        let request = format!("GET {path} HTTP/1.1\r\nHost: roster\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).expect("it listens");
        let answer = std::io::read_to_string(connection).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        (status, answer)
    }

    /// Changes the store as an application does.
    #[track_caller]
    pub(crate) fn execute(&self, statement: &str) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        super::run(async {
            let mut connection = self.connect().await;
            sqlx::query(statement).execute(&mut connection).await.expect("the statement is carried out");
        });
    }

    /// Takes the right to write to the store: whoever commits meanwhile waits, the operator for 10 s.
    #[track_caller]
    pub(crate) fn hold_store(&self) -> HeldStore {
        super::run(async {
            let mut connection = self.connect().await;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("nobody writes for long");
            HeldStore(connection)
        })
    }

    /// Returns the number that one query of the store answers with.
    #[track_caller]
    pub(crate) fn count(&self, query: &str) -> i64 {
        self.answer(query).expect("one row")
    }

    /// Returns the text that one query of the store answers with, unless it answers with nothing.
    #[track_caller]
    pub(crate) fn text(&self, query: &str) -> Option<String> {
        self.answer(query)
    }

    #[track_caller]
    fn answer<T>(&self, query: &str) -> Option<T>
    where
        T: Send + Unpin + sqlx::Type<sqlx::Sqlite> + for<'r> sqlx::Decode<'r, sqlx::Sqlite> + 'static,
    {
        let query = sqlx::AssertSqlSafe(query.to_owned());
        super::run(async {
            let mut connection = self.connect().await;
            sqlx::query_scalar(query).fetch_optional(&mut connection).await.expect("the query can be answered")
        })
    }

    async fn connect(&self) -> SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.store);
        sqlx::ConnectOptions::connect(&options).await.expect("the store is there")
    }

    /// Leaves the process id where the guardian finds it, should this process be killed.
    fn note_pid(&self) {
        fs::write(&self.pid_file, self.child.id().to_string()).expect("the pid can be noted");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.pid_file);
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("the end of the operator's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Runs the binary.
pub(crate) fn roster(arguments: &[&str], stdin: &str) -> Output {
    output(Command::new(env!("CARGO_BIN_EXE_roster")).args(arguments), stdin)
}

fn spawn(namespace: &str, store: &Path, log: &Path, (kubeconfig, arguments): (&Path, &[String])) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("the log can be written");
    Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["run", "--store", &url(store), "--namespace", namespace, "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle"))
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

fn url(store: &Path) -> String {
    format!("sqlite://{}?mode=rwc", store.display())
}
