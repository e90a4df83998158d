//! One of several operators, as a process that is paused, killed and asked.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Organization, PATIENCE, eventually, within};
use crate::paths;

/// A running operator; dropping it kills it.
pub struct Replica {
    child: Child,
    pages: Pages,
    pid_file: PathBuf,
}

/// The pages that an operator serves, and its log, for anyone who asks beside its owner.
#[derive(Clone)]
pub struct Pages {
    log: PathBuf,
    address: Arc<OnceLock<String>>,
}

impl Replica {
    /// Starts an operator of the organization on a store.
    pub fn start(organization: &Organization, store: &str, arguments: &[&str]) -> Self {
        let kubeconfig = organization.plane.folder().join("roster.kubeconfig");
        let namespace = ["--namespace", organization.name.as_str()];
        Self::start_at(organization, &kubeconfig, store, &[&namespace, arguments].concat())
    }

    /// Starts an operator of the organization on a store, with these variables in its environment.
    pub fn start_in(
        organization: &Organization,
        environment: &[(&str, PathBuf)],
        store: &str,
    ) -> Self {
        let kubeconfig = organization.plane.folder().join("roster.kubeconfig");
        let arguments = ["--namespace", organization.name.as_str()];
        Self::spawn(organization, &kubeconfig, (store, &arguments), environment)
    }

    /// Starts an operator, of the namespaces that the arguments say, that reaches the API server by
    /// this kubeconfig.
    pub fn start_at(
        organization: &Organization,
        kubeconfig: &Path,
        store: &str,
        arguments: &[&str],
    ) -> Self {
        Self::spawn(organization, kubeconfig, (store, arguments), &[])
    }

    fn spawn(
        organization: &Organization,
        kubeconfig: &Path,
        (store, arguments): (&str, &[&str]),
        environment: &[(&str, PathBuf)],
    ) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("replica-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (log, folder) =
            (organization.file(&format!("{name}.log")), organization.plane.folder());
        let file = File::create(&log).expect("the log can be written");
        let child = Command::new(paths::binary())
            // The guardian knows by it whose process it is.
            .arg0(folder.join("roster"))
            .args(["run", "--store", store, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("HOSTNAME", &name)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file handle"))
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let pid_file = folder.join("pids").join(name);
        fs::write(&pid_file, child.id().to_string()).expect("the pid can be noted");
        Self { child, pages: Pages { log, address: Arc::default() }, pid_file }
    }

    /// Sends it a signal such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", signal, &pid])
            .status()
            .expect("a shell");
        assert!(status.success(), "SIG{signal} wasn't sent");
    }

    /// Kills it with SIGKILL, where it stands.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself, and returns its exit code. One that is refused waits a
    /// minute for the others first.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        let ended = within(2 * PATIENCE, || self.child.try_wait().expect("its state can be asked"));
        ended.unwrap_or_else(|| panic!("the operator doesn't end: {}", self.log())).code()
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("its state can be asked").is_none()
    }

    /// Waits until it works: it has claimed its store and listed everything.
    #[track_caller]
    pub fn until_it_works(&self) {
        eventually("the operator works", || (self.leads() && self.is_ready()).then_some(()));
    }

    /// Waits until it stands by.
    #[track_caller]
    pub fn until_it_stands_by(&self) {
        eventually("the operator stands by", || {
            (self.says("standing by") && self.is_ready() && !self.leads()).then_some(())
        });
    }

    /// Returns its pages.
    pub fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// Whether it works, by its own metrics.
    pub fn leads(&self) -> bool {
        self.pages.leads()
    }

    /// Returns the number under a name in its metrics.
    pub fn metric(&self, name: &str) -> Option<i64> {
        self.pages.metric(name)
    }

    pub fn is_ready(&self) -> bool {
        self.pages.is_ready()
    }

    pub fn is_alive(&self) -> bool {
        self.page("/healthz").0 == 200
    }

    /// Returns everything that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.pages.log).unwrap_or_default()
    }

    /// Whether its log contains a text.
    pub fn says(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// Waits until its log contains a text.
    #[track_caller]
    pub fn until_it_says(&self, text: &str) {
        eventually(&format!("the operator says {text:?}"), || self.says(text).then_some(()));
    }

    /// Returns a field of the last line of its log that has it.
    pub fn last(&self, field: &str) -> Option<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line.get(field).cloned()).next_back()
    }

    /// Returns the status and the text of one of its pages; nothing while it doesn't listen.
    pub fn page(&self, path: &str) -> (u16, String) {
        self.pages.page(path)
    }
}

impl Pages {
    /// Whether these are the same operator's.
    pub fn is(&self, other: &Self) -> bool {
        self.log == other.log
    }

    /// Whether the operator works, by its own metrics.
    pub fn leads(&self) -> bool {
        self.metric("roster_leader") == Some(1)
    }

    /// Whether the operator is ready.
    pub fn is_ready(&self) -> bool {
        self.page("/readyz").0 == 200
    }

    fn metric(&self, name: &str) -> Option<i64> {
        let page = self.page("/metrics").1;
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Returns the address that the operator listens on, once it says so.
    fn address(&self) -> Option<&str> {
        if self.address.get().is_none() {
            let log = fs::read_to_string(&self.log).ok()?;
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let address = lines.find_map(|line| Some(line.get("address")?.as_str()?.to_owned()))?;
            self.address.get_or_init(|| address);
        }
        self.address.get().map(String::as_str)
    }

    /// Returns the status and the text of one of its pages; nothing while it doesn't listen.
    pub fn page(&self, path: &str) -> (u16, String) {
        let asked = || {
            let mut connection = std::net::TcpStream::connect(self.address()?).ok()?;
            // A process that is stopped accepts connections and says nothing.
            connection.set_read_timeout(Some(PATIENCE)).ok()?;
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: roster\r\nConnection: close\r\n\r\n");
            connection.write_all(request.as_bytes()).ok()?;
            let answer = std::io::read_to_string(connection).ok()?;
            Some((answer.split(' ').nth(1)?.parse().ok()?, answer))
        };
        asked().unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.pid_file);
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "the end of the log of {:?}:\n{}",
                self.pages.log,
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
    }
}
