//! A SCIM server of the tests' own.
//!
//! All tests of a process share one, each with organizations of its own; tests that count what is there start another. A
//! guardian stops a server when the process is gone, however it went.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// A running server; it ends when the last who knows of it lets go of it.
#[derive(Debug)]
pub(crate) struct ScimServer {
    folder: PathBuf,
    /// The guardian stops the server when this closes.
    _lifeline: ChildStdin,
}

impl ScimServer {
    /// Returns the server that all tests of this process share, started by whoever asks first.
    #[track_caller]
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Result<Arc<ScimServer>, String>> = OnceLock::new();
        SHARED.get_or_init(|| Self::guarded().map(Arc::new)).as_ref().expect("a SCIM server starts").clone()
    }

    /// Starts a server that nobody else uses.
    #[track_caller]
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self::guarded().expect("a SCIM server starts"))
    }

    fn guarded() -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("scim-server-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut guardian = script("guard", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the tests; the guardian has its work to do afterwards.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("scripts/scim-server: {error}"))?;
        let lifeline = guardian.stdin.take().expect("it was piped");
        match BufReader::new(guardian.stdout.take().expect("it was piped")).lines().next() {
            Some(Ok(line)) if line == "ready" => Ok(Self { folder, _lifeline: lifeline }),
            _ => Err("scripts/scim-server guard failed; it says why above".to_owned()),
        }
    }

    /// Kills it with SIGKILL; what it had is gone.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.told("kill");
    }

    /// Starts it again on its port, with nothing in it.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.told("resume");
    }

    #[track_caller]
    fn told(&self, command: &str) {
        let status = script(command, &self.folder).status().expect("scripts/scim-server can be run");
        assert!(status.success(), "scripts/scim-server {command} failed; it says why above");
    }

    /// Returns its address, as roster is given it.
    pub(crate) fn address(&self) -> String {
        self.noted("url")
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.noted("port").parse().expect("a port")
    }

    /// Returns the token that lets one in.
    pub(crate) fn token(&self) -> String {
        self.noted("token")
    }

    fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("the server's folder is complete").trim().to_owned()
    }
}

fn script(command: &str, folder: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/scim-server"));
    script.arg(command).arg(folder);
    script
}
