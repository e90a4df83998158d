//! The etcd of a control plane, which is backed up and put back.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Organization, eventually};

/// The etcd and the API server in a folder of `scripts/cluster`.
pub(crate) struct Etcd {
    folder: PathBuf,
    started: Vec<Child>,
}

impl Etcd {
    /// Returns the etcd of the cluster that an organization is in.
    pub(crate) fn of(organization: &Organization) -> Self {
        let logs = organization.logs();
        Self { folder: logs.parent().expect("the logs are in the cluster's folder").to_owned(), started: vec![] }
    }

    /// Takes a backup, while etcd stands still.
    pub(crate) fn back_up(&self) {
        let pid = self.pid("etcd");
        signal("STOP", &pid);
        copy(&self.folder.join("data/etcd"), &self.folder.join("backup"));
        signal("CONT", &pid);
    }

    /// Stops API server and etcd, puts the backup in place, starts both again, and waits until the API server is ready.
    #[track_caller]
    pub(crate) fn put_back(&mut self) {
        let commands = ["etcd", "kube-apiserver"].map(|name| (name, self.command(name)));
        for name in ["kube-apiserver", "etcd"] {
            let pid = self.pid(name);
            signal("KILL", &pid);
            self.started.iter_mut().filter(|child| child.id().to_string() == pid).for_each(|child| drop(child.wait()));
            eventually(&format!("{name} has ended"), || has_ended(&pid).then_some(()));
        }
        copy(&self.folder.join("backup"), &self.folder.join("data/etcd"));
        for (name, words) in commands {
            self.start(name, &words);
        }
        let kubectl = || {
            let mut command = Command::new(self.folder.join("kubectl"));
            command.arg("--kubeconfig").arg(self.folder.join("admin.kubeconfig"));
            command.args(["get", "--raw", "/readyz", "--request-timeout", "5s"]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().expect("kubectl starts").success()
        };
        eventually("the API server is back", || kubectl().then_some(()));
    }

    fn start(&mut self, name: &str, words: &[String]) {
        let log = fs::File::options().append(true).create(true).open(self.folder.join(format!("logs/{name}.log")));
        let log = log.expect("the log can be written");
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("it starts again");
        fs::write(self.folder.join("pids").join(name), child.id().to_string()).expect("the pid can be noted");
        self.started.push(child);
    }

    fn pid(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join("pids").join(name)).expect("its pid was noted").trim().to_owned()
    }

    /// Returns the words that a program was started with.
    fn command(&self, name: &str) -> Vec<String> {
        let words = fs::read_to_string(format!("/proc/{}/cmdline", self.pid(name))).expect("it runs");
        words.split_terminator('\0').map(str::to_owned).collect()
    }
}

fn signal(signal: &str, pid: &str) {
    let status = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", signal, pid]).status().expect("a shell");
    assert!(status.success(), "SIG{signal} wasn't sent");
}

fn has_ended(pid: &str) -> bool {
    // Of one that has ended and that nobody asked for, the command line is empty.
    fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |words| words.is_empty())
}

/// Copies a folder over another one.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("the folder can be removed");
    }
    let status = Command::new("cp").arg("-r").args([from, to]).status().expect("cp");
    assert!(status.success(), "{} can't be copied", from.display());
}
