//! The operator itself, run as its own service account.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::control_plane::{ControlPlane, output};
use super::store_place::StorePlace;
use super::{Organization, Output, eventually, run};
use crate::application::{Application, Row};
use crate::paths;

/// A running operator of one organization; dropping it kills it.
pub struct Operator {
    child: Child,
    plane: &'static ControlPlane,
    namespace: String,
    store: StorePlace,
    log: PathBuf,
    pid_file: PathBuf,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
}

/// The right to write to a store, which nobody else has until this is let go of.
pub struct HeldStore(Application);

impl HeldStore {
    /// Lets others write again.
    pub fn let_go(self) {
        run(self.0.close());
    }
}

impl Operator {
    /// Starts an operator for the organization, with a store of its own.
    #[track_caller]
    pub fn start(organization: &Organization) -> Self {
        Self::start_with(organization, &[])
    }

    /// Starts an operator with further arguments, such as `--resync 1s`.
    #[track_caller]
    pub fn start_with(organization: &Organization, arguments: &[&str]) -> Self {
        Self::start_at(
            organization,
            &organization.plane.folder().join("roster.kubeconfig"),
            arguments,
        )
    }

    /// Starts an operator that reaches the API server by another kubeconfig of its service account.
    #[track_caller]
    pub fn start_at(organization: &Organization, kubeconfig: &Path, arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("operator-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let store = StorePlace::of(organization);
        let log = organization.file(&format!("{name}.log"));
        let plane = organization.plane;
        let pid_file = plane.folder().join("pids").join(name);
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (namespace, kubeconfig) = (organization.name.clone(), kubeconfig.to_owned());
        let child = spawn(&namespace, &store, &log, (&kubeconfig, &arguments));
        let operator =
            Self { child, plane, namespace, store, log, pid_file, kubeconfig, arguments };
        operator.note_pid();
        operator.until_it_works();
        operator
    }

    /// Waits until it works: whoever stands by is ready too.
    #[track_caller]
    pub fn until_it_works(&self) {
        eventually("the operator works", || self.works().then_some(()));
    }

    /// Kills it with SIGKILL, where it stands.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.free_lease();
    }

    /// Takes its Lease away, where it has one: nobody waits for an operator that is known to be
    /// gone.
    fn free_lease(&self) {
        let log = self.log();
        let lines = log
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(lease) =
            lines.filter_map(|line| line["lease"].as_str().map(str::to_owned)).next()
        {
            self.plane.kubectl(
                &["delete", "lease", &lease, "-n", "roster-system", "--ignore-not-found"],
                "",
            );
        }
    }

    /// Whether it works: it has claimed its store and listed everything.
    fn works(&self) -> bool {
        self.page("/readyz").0 == 200
            && self.page("/metrics").1.lines().any(|line| line == "roster_leader 1")
    }

    /// Asks it to end with SIGTERM, and returns how it did.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().expect("a shell");
        eventually("the operator ends when asked to", || {
            self.child.try_wait().expect("its state can be asked")
        })
    }

    /// Starts it again on the same store, after it was killed or ended; doesn't wait until it
    /// works.
    pub fn restart(&mut self) {
        self.kill();
        self.child =
            spawn(&self.namespace, &self.store, &self.log, (&self.kubeconfig, &self.arguments));
        self.note_pid();
    }

    /// Returns everything it has logged, in all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the URL of its store.
    pub fn store(&self) -> String {
        self.store.url()
    }

    /// Runs another subcommand of the binary on its store.
    pub fn roster(&self, arguments: &[&str], stdin: &str) -> Output {
        let store = self.store();
        let mut all = arguments.to_vec();
        all.extend(["--store", &store]);
        run_roster(&all, stdin)
    }

    /// Runs another subcommand of the binary on its store, with its own rights in the cluster.
    pub fn roster_in_the_cluster(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(paths::binary());
        output(
            command
                .args(arguments)
                .args(["--store", &self.store()])
                .env("KUBECONFIG", &self.kubeconfig),
            "",
        )
    }

    /// Returns the live accounts as the store has them.
    #[track_caller]
    pub fn users(&self) -> Vec<serde_json::Value> {
        let text = self.roster(&["users", "-o", "json"], "").expect_success();
        serde_json::from_str(&text).expect("roster users prints JSON")
    }

    /// Moves the store away, as a volume or a server that is gone; who may make stores makes a new
    /// one in its place.
    pub fn move_store_away(&self) {
        self.store.move_away();
    }

    /// Has the store be asked in vain, until it is moved back.
    pub fn cut_store_off(&self) {
        self.store.cut_off();
    }

    /// Moves the store back to where it was.
    pub fn move_store_back(&self) {
        self.store.move_back();
    }

    /// Returns what changes whenever the store is written to, be it the same as before.
    pub fn store_version(&self) -> Vec<Vec<u8>> {
        self.store.version()
    }

    /// Returns everything that the store leaves on the disk, by name.
    pub fn store_files(&self) -> Vec<(String, Vec<u8>)> {
        self.store.files()
    }

    /// Returns the status and the text of one of the pages that the operator serves.
    #[track_caller]
    pub fn page(&self, path: &str) -> (u16, String) {
        self.page_as(path, "*/*")
    }

    /// Returns the status and the text, the head included, of a page in the format that a header
    /// `Accept` asks for.
    #[track_caller]
    pub fn page_as(&self, path: &str, accept: &str) -> (u16, String) {
        let Ok(mut connection) = std::net::TcpStream::connect(self.address()) else {
            return (0, String::new());
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: roster\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).expect("it listens");
        let answer = std::io::read_to_string(connection).expect("it answers");
        let status =
            answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        (status, answer)
    }

    /// Returns where it listens.
    #[track_caller]
    pub fn address(&self) -> String {
        eventually("it says where it listens", || {
            let log = self.log();
            let lines =
                log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.filter_map(|line| line["address"].as_str().map(str::to_owned)).next_back()
        })
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Changes the store as an application does.
    #[track_caller]
    pub fn execute(&self, statement: &str) {
        run(async {
            let mut application = self.application().await;
            application.execute(statement, &[]).await.expect("the statement is carried out");
            application.close().await;
        });
    }

    /// Takes the right to write to the store: whoever commits meanwhile waits, the operator for
    /// seconds.
    #[track_caller]
    pub fn hold_store(&self) -> HeldStore {
        run(async {
            let mut application = self.application().await;
            application.hold().await;
            HeldStore(application)
        })
    }

    /// Returns the number that one query of the store answers with.
    #[track_caller]
    pub fn count(&self, query: &str) -> i64 {
        self.rows(query).first().expect("one row").number(0)
    }

    /// Returns the text that one query of the store answers with, unless it answers with nothing.
    #[track_caller]
    pub fn text(&self, query: &str) -> Option<String> {
        self.rows(query).first().and_then(|row| row.text(0))
    }

    /// Returns the texts that a query of the store answers with, one a row.
    #[track_caller]
    pub fn texts(&self, query: &str) -> Vec<String> {
        self.rows(query).iter().filter_map(|row| row.text(0)).collect()
    }

    #[track_caller]
    fn rows(&self, query: &str) -> Vec<Row> {
        run(async {
            let mut application = self.application().await;
            let rows = application.rows(query, &[]).await;
            application.close().await;
            rows
        })
    }

    async fn application(&self) -> Application {
        Application::open(&self.store()).await
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
            eprintln!(
                "the end of the operator's log:\n{}",
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

/// Runs the binary.
pub fn run_roster(arguments: &[&str], stdin: &str) -> Output {
    output(Command::new(paths::binary()).args(arguments), stdin)
}

fn spawn(
    namespace: &str,
    store: &StorePlace,
    log: &Path,
    (kubeconfig, arguments): (&Path, &[String]),
) -> Child {
    store.make_if_missing();
    let log = File::options().create(true).append(true).open(log).expect("the log can be written");
    Command::new(paths::binary())
        .args(["run", "--store", &store.url(), "--namespace", namespace, "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle"))
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}
