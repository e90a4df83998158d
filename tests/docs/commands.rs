//! The commands of the tutorial and the how-to pages, run on a real control plane.
//!
//! A `console` block has commands after `$ ` and below each what it prints; `…` stands for any text
//! within a line, and alone for any lines. `console exit=1` says how the last command ends. Each
//! page runs in an organization of its own, whose name takes the place of the page's: `acme` is
//! `acme-3`. Ids and times are masked.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use regex::{Captures, Regex};
use roster_test_support::cluster::{Operator, Organization, PATIENCE, Setup, TestCluster, within};
use roster_test_support::paths;
use roster_test_support::scim_server::ScimServer;
use roster_test_support::slapd;

use super::{book, project, read};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: true });

const AT_ONCE: usize = 3;

#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
    code: i32,
}

/// Returns the commands of a page, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![];
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```console") else { continue };
        while let Some((number, line)) = lines.next().filter(|(_, line)| *line != "```") {
            let Some(command) = line.strip_prefix("$ ") else {
                let step = steps.last_mut().expect("a block begins with a command");
                step.output.push(line.to_owned());
                continue;
            };
            let mut command = command.to_owned();
            if let Some((_, end)) = command.clone().split_once("<<") {
                let end = end.split_whitespace().next().unwrap().trim_matches('\'');
                for (_, line) in lines.by_ref() {
                    command = format!("{command}\n{line}");
                    if line == end {
                        break;
                    }
                }
            }
            steps.push(Step { line: number + 1, command, output: vec![], code: 0 });
        }
        if let Some(code) = info.trim().strip_prefix("exit=") {
            steps.last_mut().expect("a command").code = code.parse().unwrap();
        }
    }
    steps
}

/// A shell in which a page's commands run, one after the other.
struct Session {
    folder: PathBuf,
    name: &'static str,
    organization: String,
    operator: Operator,
    /// Ends with the session, after the operator.
    _ldap: Option<slapd::Server>,
}

impl Session {
    fn start(number: usize, page: &Path) -> Self {
        let name = if page.starts_with("docs/tutorial") { "northwind" } else { "acme" };
        let mut organization = CLUSTER.organization_named(&format!("{name}-{number}"));
        if page.ends_with("uninstall.md") {
            // It takes the CRDs and the policies away.
            organization = organization.in_another_cluster();
            install(&organization);
        }
        let ldap = page.ends_with("ldap.md").then(slapd::Server::start);
        let directory = match &ldap {
            Some(server) => Some(server.url()),
            None => page.ends_with("scim.md").then(|| ScimServer::shared().address()),
        };
        let arguments: Vec<&str> =
            directory.iter().flat_map(|url| ["--directory", url.as_str()]).collect();
        let operator = Operator::start_with(&organization, &arguments);
        let store = organization.file("roster.db");
        let plane = store.parent().unwrap();
        let folder = plane.join(format!("page-{number}"));
        let session =
            Self { folder, name, organization: organization.name.clone(), operator, _ldap: ldap };
        let folder = &session.folder;
        for place in ["bin", ".roster", "target/debug", "examples"] {
            fs::create_dir_all(folder.join(place)).unwrap();
        }
        for (target, link) in [
            (paths::binary(), "bin/roster"),
            (paths::binary(), "target/debug/roster"),
            (plane.join("kubectl"), "bin/kubectl"),
            (plane.join("admin.kubeconfig"), ".roster/admin.kubeconfig"),
            (store, ".roster/roster.db"),
            (project().join("crds"), "crds"),
            (project().join("deploy"), "deploy"),
            (project().join("schemas"), "schemas"),
        ] {
            symlink(target, folder.join(link)).unwrap();
        }
        for file in fs::read_dir(project().join("examples")).unwrap().map(|entry| entry.unwrap()) {
            let text = session.renamed(&fs::read_to_string(file.path()).unwrap());
            fs::write(folder.join("examples").join(file.file_name()), text).unwrap();
        }
        session
    }

    /// Puts the name of the organization in the place of the page's; domains stay as they are.
    fn renamed(&self, text: &str) -> String {
        let name = Regex::new(&format!(r"\b{}\b(\.example)?", self.name)).unwrap();
        let rename = |found: &Captures<'_>| match found.get(1) {
            Some(_) => found[0].to_owned(),
            None => self.organization.clone(),
        };
        name.replace_all(text, rename).into_owned()
    }

    /// Runs a command, and returns its exit code and what it printed.
    fn run(&self, command: &str) -> (i32, Vec<String>) {
        let script = format!(
            "[ ! -e .state ] || . ./.state\nexec 2>&1\n{}\ncode=$?\nexport -p >.state\nexit $code",
            self.renamed(command)
        );
        let path = format!(
            "{}:{}",
            self.folder.join("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("HOME", &self.folder)
            .env("KUBECONFIG", self.folder.join(".roster/admin.kubeconfig"))
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .env("ROSTER_STORE", self.operator.store())
            .stdin(Stdio::null())
            .output()
            .expect("there is bash");
        let text = String::from_utf8_lossy(&output.stdout).replace(&self.organization, self.name);
        (output.status.code().unwrap_or(-1), text.lines().map(str::to_owned).collect())
    }

    /// Runs a step, and what only shows how something is until it is so.
    fn check(&mut self, step: &Step) -> Result<(), String> {
        let shows = [
            "kubectl get",
            "kubectl auth",
            "kubectl wait",
            "roster users",
            "roster why",
            "roster plan",
            "roster doctor",
        ];
        let is_repeatable = shows.iter().any(|it| step.command.starts_with(it))
            || step.command.contains("--dry-run=server");
        let mut last = (0, vec![]);
        let mut fits = || {
            last = self.run(&step.command);
            let is_as_shown = last.0 == step.code && fit(&masked(&step.output), &masked(&last.1));
            (is_as_shown || !is_repeatable).then_some(is_as_shown)
        };
        if !within(PATIENCE / 4, &mut fits).unwrap_or(false) {
            let (code, output) = last;
            return Err(format!(
                "line {}: $ {}\nexit code {code} instead of {}; it printed\n{}\ninstead of\n{}",
                step.line,
                step.command,
                step.code,
                output.join("\n"),
                step.output.join("\n"),
            ));
        }
        self.play_kubelet(&step.command);
        Ok(())
    }

    /// Stops and starts the operator as the Deployment's replicas say: there is no kubelet.
    fn play_kubelet(&mut self, command: &str) {
        if command.contains("--replicas=0") || command.starts_with("kubectl delete deployment") {
            self.operator.terminate();
        } else if command.contains("--replicas=1") {
            self.operator.restart();
            self.operator.until_it_works();
        }
    }
}

/// Masks what differs from run to run, and the width of columns.
fn masked(lines: &[String]) -> Vec<String> {
    let masks = [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)", "TIME"),
        (r"\b20\d\d-\d\d\b", "MONTH"),
        (r" \d+m?s$", " AGE"),
        (r"\s+", " "),
    ]
    .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name));
    let mask = |line: &String| {
        let masked = masks.iter().fold(line.trim_end().to_owned(), |line, (pattern, name)| {
            pattern.replace_all(&line, *name).into_owned()
        });
        masked.trim().to_owned()
    };
    lines.iter().map(mask).filter(|line| !line.is_empty()).collect()
}

/// Whether lines are as expected, `…` standing for anything.
fn fit(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((line, rest)) if line == "…" => {
            (0..=actual.len()).any(|skipped| fit(rest, &actual[skipped..]))
        }
        Some((line, rest)) => actual
            .split_first()
            .is_some_and(|(first, more)| line_fits(line, first) && fit(rest, more)),
    }
}

fn line_fits(expected: &str, actual: &str) -> bool {
    let parts: Vec<String> = expected.split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", parts.join(".*"))).unwrap().is_match(actual)
}

/// Returns the pages whose commands are run, the one that the how-to pages start from left out.
fn pages() -> Vec<PathBuf> {
    let is_run = |page: &PathBuf| {
        (page.starts_with("docs/tutorial") || page.starts_with("docs/how-to"))
            && !page.ends_with("how-to/README.md")
    };
    book().into_iter().filter(is_run).collect()
}

/// Installs the Deployment that pages scale and delete; everything else is there already.
fn install(organization: &Organization) {
    let deploy = project().join("deploy").display().to_string();
    let arguments = ["apply", "-k", &deploy, "--namespace", "roster-system"];
    organization.kubectl(&arguments, "").expect_success();
}

fn check_page(number: usize, page: &Path) -> Result<(), String> {
    let mut session = Session::start(number, page);
    let start = match page.starts_with("docs/how-to") {
        true => steps(&read("docs/how-to/README.md")),
        false => vec![],
    };
    start.iter().chain(&steps(&read(page))).try_for_each(|step| session.check(step))
}

#[test]
fn what_the_tutorial_and_the_how_to_pages_show_is_what_happens() {
    install(&CLUSTER.organization_named("acme"));
    let pages = pages();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = vec![];
        while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let number = pages.iter().position(|it| it == page).unwrap() + 1;
            if let Err(failure) = check_page(number, page) {
                failures.push(format!("{}, {failure}", page.display()));
            }
        }
        failures
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_command_stands_in_a_block_that_is_run() {
    let known = ["console", "yaml", "text", "sql", ""];
    for page in pages() {
        let text = read(&page);
        let fences = text.lines().filter_map(|line| line.trim_start().strip_prefix("```"));
        for info in fences {
            let language = info.split(' ').next().unwrap();
            assert!(known.contains(&language), "{}: a block of {language}", page.display());
        }
        let blocks = text.lines().filter(|line| line.starts_with("```console")).count();
        assert_eq!(blocks, text.matches("```console").count(), "{}: indented", page.display());
        let is_run = !steps(&text).is_empty();
        assert!(is_run || blocks == 0, "{}: nothing of it is run", page.display());
    }
}

#[test]
fn a_page_that_shows_something_else_does_not_fit() {
    let lines = |text: &str| masked(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    let actual = lines("NAME   AGE\nalice  12s\nbob    3s");
    for (shown, is_right) in [
        ("NAME AGE\nalice 1s\nbob 1s", true),
        ("NAME AGE\n…\nbob 1s", true),
        ("…", true),
        ("NAME …\n…", true),
        ("NAME AGE\nalice 1s", false),
        ("NAME AGE\n…\ncarol 1s", false),
        ("", false),
    ] {
        assert_eq!(fit(&lines(shown), &actual), is_right, "{shown}");
    }
    let page = "```console exit=1\n$ true <<EOF\na\nEOF\n$ false\nb\n```\n";
    let step = |line, command: &str, output: &[&str], code| Step {
        line,
        command: command.to_owned(),
        output: output.iter().map(|&line| line.to_owned()).collect(),
        code,
    };
    let expected = [step(2, "true <<EOF\na\nEOF", &[], 0), step(5, "false", &["b"], 1)];
    assert_eq!(steps(page), expected);
}
