//! An OpenLDAP server of a test's own. A guardian stops it when the process is gone, however it went.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What every server has under its base at the start: `ou=people`, `ou=groups` and the administrator.
pub(crate) const BASE: &str = "dc=acme,dc=example";

/// A running server; it ends when it is let go of.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    /// The guardian stops the server when this closes.
    _lifeline: ChildStdin,
}

impl Server {
    /// Starts a server.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::guarded(false).expect("slapd starts")
    }

    /// Starts a server that speaks TLS alone, with a certificate of its own authority, made out to localhost.
    #[track_caller]
    pub(crate) fn start_with_tls() -> Self {
        Self::guarded(true).expect("slapd starts")
    }

    fn guarded(tls: bool) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("slapd-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut guardian = script("guard", &folder)
            .env("ROSTER_SLAPD_TLS", if tls { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the tests; the guardian has its work to do afterwards.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("scripts/slapd: {error}"))?;
        let lifeline = guardian.stdin.take().expect("it was piped");
        match BufReader::new(guardian.stdout.take().expect("it was piped")).lines().next() {
            Some(Ok(line)) if line == "ready" => Ok(Self { folder, _lifeline: lifeline }),
            _ => Err("scripts/slapd guard failed; it says why above".to_owned()),
        }
    }

    /// Kills it with SIGKILL, where it stands.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.told("kill");
    }

    /// Starts it again where it was, after it was killed.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.told("resume");
    }

    #[track_caller]
    fn told(&self, command: &str) {
        let status = script(command, &self.folder).status().expect("scripts/slapd can be run");
        assert!(status.success(), "scripts/slapd {command} failed; it says why above");
    }

    /// Returns the address by which roster knows it as a directory.
    pub(crate) fn url(&self) -> String {
        self.noted("url")
    }

    /// Returns that address with another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        self.url().replacen(&format!(":{}/", self.port()), &format!(":{port}/"), 1)
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.noted("port").parse().expect("a port")
    }

    /// Returns the administrator's password.
    pub(crate) fn password(&self) -> String {
        self.noted("password")
    }

    /// Returns the folder with what belongs to it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("the server's folder is complete").trim().to_owned()
    }
}

fn script(command: &str, folder: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slapd"));
    script.arg(command).arg(folder);
    script
}
