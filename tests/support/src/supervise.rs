//! A server of the tests' own, which a script starts in a folder. A guardian stops it when the
//! process is gone, however it went.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::paths;

/// A running server; it ends when it is let go of.
#[derive(Debug)]
pub struct Guarded {
    script: &'static str,
    /// What belongs to it.
    pub folder: PathBuf,
    /// The guardian stops the server when this closes.
    _lifeline: ChildStdin,
}

impl Guarded {
    /// Has one of `scripts/` start a server, with these set in its environment.
    pub fn start(script: &'static str, environment: &[(&str, &str)]) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name =
            format!("{script}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = paths::target_tmp().join(name);
        let mut guardian = command(script, "guard", &folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the tests; the guardian has its work to do afterwards.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("scripts/{script}: {error}"))?;
        let lifeline = guardian.stdin.take().expect("it was piped");
        match BufReader::new(guardian.stdout.take().expect("it was piped")).lines().next() {
            Some(Ok(line)) if line == "ready" => Ok(Self { script, folder, _lifeline: lifeline }),
            _ => Err(format!("scripts/{script} guard failed; it says why above")),
        }
    }

    /// Has the script do something with the server, such as `kill`.
    #[track_caller]
    pub fn told(&self, what: &str) {
        let script = self.script;
        let status =
            self.command(what).status().unwrap_or_else(|error| panic!("scripts/{script}: {error}"));
        assert!(status.success(), "scripts/{script} {what} failed; it says why above");
    }

    /// Returns a command of the script about the server.
    pub fn command(&self, what: &str) -> Command {
        command(self.script, what, &self.folder)
    }

    /// Returns what a file in its folder says.
    #[track_caller]
    pub fn noted(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file))
            .expect("the server's folder is complete")
            .trim()
            .to_owned()
    }
}

fn command(script: &str, what: &str, folder: &Path) -> Command {
    let mut command = Command::new(paths::project().join("scripts").join(script));
    command.arg(what).arg(folder);
    command
}
