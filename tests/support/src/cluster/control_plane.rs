//! The control plane that all tests of a binary share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::{Organization, Requester};
use crate::{base64, paths};

/// The runtime that all clients live in; tests themselves are synchronous.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts")
});

/// Runs a future to its end.
pub fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// What a control plane has beside the CRDs and the operator's rights.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The admission policies of `deploy/policies`, the mutating ones where the API server has them.
    pub policies: bool,
    /// A namespace controller and a garbage collector, each with its own service account; without
    /// them what is deleted stays `Terminating`.
    pub controllers: bool,
}

/// The cluster of a test binary, which all its tests share; the first that needs it starts it.
pub struct TestCluster {
    setup: Setup,
    plane: OnceLock<Result<ControlPlane, String>>,
}

impl TestCluster {
    /// Describes a cluster, for a `static`.
    #[must_use]
    pub const fn new(setup: Setup) -> Self {
        Self { setup, plane: OnceLock::new() }
    }

    #[track_caller]
    fn plane(&'static self) -> &'static ControlPlane {
        let start = || ControlPlane::start(self.setup, "");
        self.plane.get_or_init(start).as_ref().expect("the control plane starts")
    }

    /// Returns an administrator whose requests are about no organization in particular.
    #[track_caller]
    pub fn admin(&'static self) -> Requester {
        Requester::new(self.plane().client("admin.kubeconfig", None), "default")
    }

    /// Creates a namespace that no other test has.
    #[track_caller]
    pub fn organization(&'static self) -> Organization {
        self.organization_with_labels(&json!({}))
    }

    /// Creates a namespace that no other test has, with labels.
    #[track_caller]
    pub fn organization_with_labels(&'static self, labels: &Value) -> Organization {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("acme-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Organization::created(name, self.plane(), labels)
    }

    /// Returns the organization of a namespace that the test itself creates.
    #[track_caller]
    pub fn organization_named(&'static self, name: &str) -> Organization {
        Organization { name: name.to_owned(), plane: self.plane() }
    }
}

/// A running control plane with CRDs, roles and policies.
pub(super) struct ControlPlane {
    setup: Setup,
    folder: PathBuf,
    /// The guardian stops everything when this closes, which it does with this process.
    _lifeline: Mutex<ChildStdin>,
}

/// What a program said.
#[derive(Debug)]
pub struct Output {
    pub success: bool,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Returns standard output, of a program that has to succeed.
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.success, "exit code {:?}\n{}\n{}", self.code, self.stdout, self.stderr);
        self.stdout
    }
}

impl ControlPlane {
    /// Starts a control plane beside this one, empty and of another identity; it stops with this
    /// process.
    #[track_caller]
    pub(super) fn another(&self) -> &'static Self {
        static NUMBER: AtomicU32 = AtomicU32::new(2);
        let suffix = format!("-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Box::leak(Box::new(Self::start(self.setup, &suffix).expect("the control plane starts")))
    }

    fn start(setup: Setup, suffix: &str) -> Result<Self, String> {
        let folder =
            paths::target_tmp().join(format!("control-plane-{}{suffix}", std::process::id()));
        let mut guardian = Command::new(paths::project().join("scripts/cluster"))
            .arg("guard")
            .arg(&folder)
            .env("ROSTER_AUDIT", "1")
            .env("ROSTER_POLICIES", if setup.policies { "yes" } else { "no" })
            .env("ROSTER_CONTROLLER_MANAGER", if setup.controllers { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the tests; the guardian has its work to do afterwards.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("scripts/cluster: {error}"))?;
        let lifeline = guardian.stdin.take().expect("it was piped");
        let said = BufReader::new(guardian.stdout.take().expect("it was piped")).lines().next();
        match said {
            Some(Ok(line)) if line == "ready" => {}
            _ => return Err("scripts/cluster guard failed; it says why above".to_owned()),
        }
        let plane = Self { setup, folder, _lifeline: Mutex::new(lifeline) };
        plane.admit_people()?;
        Ok(plane)
    }

    /// Binds the groups that tests impersonate.
    fn admit_people(&self) -> Result<(), String> {
        let create = |arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            let created = self.kubectl(&[&["create"], arguments.as_slice()].concat(), "");
            if created.success { Ok(()) } else { Err(created.stderr) }
        };
        create("clusterrole release-groups --verb=release --resource=usergroups.roster.rs")?;
        for (group, role) in [
            ("viewers", "roster-view"),
            ("editors", "roster-edit"),
            ("administrators", "roster-administrator"),
            ("helpdesk", "roster-helpdesk"),
            ("approvers", "roster-billing-approver"),
            ("password-writers", "roster-password-writer"),
            ("claimers", "roster-claim"),
            ("group-releasers", "release-groups"),
            ("releasers", "roster-release"),
        ] {
            create(&format!("clusterrolebinding {group} --clusterrole={role} --group={group}"))?;
        }
        // The authorizer learns of bindings through a watch, in the order in which they were made.
        super::eventually("the groups' rights are known", || {
            let may = self.kubectl(
                &["auth", "can-i", "release", "users.roster.rs", "--as=x", "--as-group=releasers"],
                "",
            );
            may.success.then_some(())
        });
        Ok(())
    }

    /// Returns the folder with everything that belongs to the control plane; it goes when the tests
    /// have ended.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what the API server's audit log has of somebody's requests about roster's kinds in a
    /// namespace.
    pub(super) fn audited(&self, person: &str, namespace: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.join("logs/audit.log"))
            .expect("the audit log can be read");
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| {
                event["user"]["username"] == person && event["objectRef"]["namespace"] == namespace
            })
            .collect()
    }

    /// Keeps a copy of what etcd has now, in place of one that was kept before.
    #[track_caller]
    pub(super) fn save_etcd(&self) {
        self.told("save");
    }

    /// Puts etcd back to the copy; everything that runs on it is started again.
    #[track_caller]
    pub(super) fn put_etcd_back(&self) {
        self.told("put-back");
    }

    #[track_caller]
    fn told(&self, what: &str) {
        let script = paths::project().join("scripts/cluster");
        let status = Command::new(script)
            .arg(what)
            .arg(&self.folder)
            .status()
            .expect("the script can be run");
        assert!(status.success(), "scripts/cluster {what} failed; it says why above");
    }

    /// Puts a value under a key into etcd, behind the API server's back.
    pub(super) fn put_into_etcd(&self, key: &str, value: &str) {
        let body = json!({"key": base64::encode(key.as_bytes()), "value": base64::encode(value.as_bytes())});
        std::io::read_to_string(self.asked_of_etcd("/v3/kv/put", &body)).expect("etcd answers");
    }

    /// Returns all keys of etcd with their values, and the revision that they are of.
    pub(super) fn etcd_contents(&self) -> (i64, Vec<(String, Vec<u8>)>) {
        let everything = json!({"key": "AA==", "range_end": "AA=="});
        let text = std::io::read_to_string(self.asked_of_etcd("/v3/kv/range", &everything))
            .expect("etcd answers");
        let answer: Value = serde_json::from_str(&text).expect("etcd answers with JSON");
        let revision =
            answer["header"]["revision"].as_str().and_then(|revision| revision.parse().ok());
        let pairs = answer["kvs"].as_array().into_iter().flatten().map(pair).collect();
        (revision.expect("etcd names its revision"), pairs)
    }

    /// Returns everything that was put into etcd from a revision on, also what was overwritten or
    /// deleted since. The API server has etcd forget what was overwritten more than 5 minutes ago.
    pub(super) fn etcd_history(&self, from: i64) -> Vec<(String, Vec<u8>)> {
        const MARK: &str = "/roster-tests/mark";
        self.put_into_etcd(MARK, "");
        let watch = json!({"create_request": {"key": "AA==", "range_end": "AA==", "start_revision": from.to_string()}});
        let mut pairs = vec![];
        for line in self.asked_of_etcd("/v3/watch", &watch).lines() {
            let news: Value =
                serde_json::from_str(&line.expect("etcd answers")).expect("etcd answers with JSON");
            assert!(
                news["result"]["canceled"] != true,
                "etcd has forgotten revision {from}: {news}"
            );
            let events = news["result"]["events"].as_array();
            pairs.extend(events.into_iter().flatten().map(|event| pair(&event["kv"])));
            if pairs.iter().any(|(key, _)| key == MARK) {
                return pairs;
            }
        }
        panic!("etcd ended its answer")
    }

    /// Asks etcd, and returns its answer from the body on.
    fn asked_of_etcd(&self, path: &str, body: &Value) -> BufReader<TcpStream> {
        let words = std::fs::read_to_string(format!("/proc/{}/cmdline", self.pid("etcd")))
            .expect("etcd runs");
        let mut words = words.split('\0').skip_while(|word| *word != "--listen-client-urls");
        let address = words
            .nth(1)
            .and_then(|url| url.strip_prefix("http://"))
            .expect("etcd listens")
            .to_owned();
        let body = body.to_string();
        // In HTTP 1.0 an answer comes in one piece that ends with the connection.
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = TcpStream::connect(&address).expect("etcd answers");
        connection.write_all((head + &body).as_bytes()).expect("etcd listens");
        let mut answer = BufReader::new(connection);
        let head: Vec<String> = answer
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(head.first().is_some_and(|line| line.contains(" 200 ")), "{head:?}");
        answer
    }

    fn pid(&self, name: &str) -> String {
        let pid = std::fs::read_to_string(self.folder.join("pids").join(name))
            .expect("its pid was noted");
        pid.trim().to_owned()
    }

    /// Runs kubectl as an administrator.
    pub(super) fn kubectl(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = Command::new(self.folder.join("kubectl"));
        command.arg("--kubeconfig").arg(self.folder.join("admin.kubeconfig"));
        command.arg("--cache-dir").arg(self.folder.join("kubectl-cache"));
        output(command.args(arguments), stdin)
    }

    /// Connects as an administrator, or as somebody whom the administrator impersonates.
    pub(super) fn client(&self, kubeconfig: &str, person: Option<(&str, &[&str])>) -> Client {
        run(async {
            let mut kubeconfig = Kubeconfig::read_from(self.folder.join(kubeconfig))
                .expect("the kubeconfig can be read");
            if let Some((name, groups)) = person {
                let info = kubeconfig.auth_infos[0].auth_info.as_mut().expect("there is a user");
                info.impersonate = Some(name.to_owned());
                info.impersonate_groups =
                    Some(groups.iter().map(|&group| group.to_owned()).collect());
            }
            let config =
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            Client::try_from(config.expect("the kubeconfig is complete"))
                .expect("a client can be made of it")
        })
    }
}

/// Returns a key of etcd with its value; what was deleted has none.
fn pair(kv: &Value) -> (String, Vec<u8>) {
    let part = |name: &str| base64::decode(kv[name].as_str().unwrap_or_default());
    (String::from_utf8_lossy(&part("key")).into_owned(), part("value"))
}

/// Runs a program to its end, with `stdin` on its standard input.
pub(super) fn output(command: &mut Command, stdin: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that doesn't read its input may be gone by now.
    let _ = child.stdin.take().expect("it was piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("its output can be read");
    Output {
        success: output.status.success(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
