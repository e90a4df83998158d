//! A SCIM server of the benchmark's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How many ticks a second has in `/proc` (`sysconf(_SC_CLK_TCK)`, the same on every Linux that
/// this runs on).
const TICKS: u64 = 100;

/// A running server; it ends when it is let go of.
pub(crate) struct Server {
    folder: TempDir,
}

impl Server {
    pub(crate) fn start(below: &Path) -> Self {
        let folder = tempfile::tempdir_in(below).unwrap();
        script("start", folder.path());
        Self { folder }
    }

    /// Returns its address as a directory of roster's.
    pub(crate) fn url(&self) -> String {
        self.noted("url")
    }

    /// Returns its base, such as `http://127.0.0.1:28000/v2`.
    pub(crate) fn base(&self) -> String {
        let url = self.url();
        url.split('?').next().unwrap().trim_start_matches("scim+").trim_end_matches('/').to_owned()
    }

    pub(crate) fn token(&self) -> String {
        self.noted("token")
    }

    /// Gives a login name to somebody else.
    pub(crate) async fn occupy(&self, login: &str) {
        let user =
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": login});
        let request =
            self.client().post(self.base() + "/Users").bearer_auth(self.token()).json(&user);
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Returns how many people it has.
    pub(crate) async fn people(&self) -> usize {
        let request = self.client().get(self.base() + "/Users?count=1").bearer_auth(self.token());
        let listed: Value = request.send().await.unwrap().json().await.unwrap();
        usize::try_from(listed["totalResults"].as_u64().unwrap()).unwrap()
    }

    /// Returns how often it was asked what, as its log has it.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        let mut requests = BTreeMap::new();
        for line in log.lines() {
            let Some((_, request)) = line.split_once('"') else { continue };
            let mut words = request.split([' ', '?', '/']).filter(|word| !word.is_empty());
            if let (Some(method), Some(_base), Some(kind)) =
                (words.next(), words.next(), words.next())
            {
                *requests.entry(format!("{method} {kind}")).or_default() += 1;
            }
        }
        requests
    }

    /// Returns how much processor time it has had.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(&PathBuf::from("/proc").join(self.noted("pid")))
    }

    fn client(&self) -> reqwest::Client {
        reqwest::Client::builder().no_proxy().build().unwrap()
    }

    fn noted(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("remove", self.folder.path());
    }
}

/// Returns how much processor time this process has had.
pub(crate) fn own_processor_time() -> Duration {
    processor_time(Path::new("/proc/self"))
}

fn processor_time(process: &Path) -> Duration {
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    // The name, in parentheses, may have spaces.
    let numbers: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 =
        [11, 12].into_iter().map(|index: usize| numbers[index].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

fn script(command: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/scim-server");
    assert!(Command::new(script).arg(command).arg(folder).status().unwrap().success());
}
