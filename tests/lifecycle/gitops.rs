//! People in a Git repository: joiner, mover and leaver as commits.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use roster_test_support::cluster::{Operator, Organization, Output};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::kustomize::{from, kustomization, project};

/// The repository that `deploy/gitops/history` makes, and the account that applies it.
struct Repository<'a> {
    folder: PathBuf,
    organization: &'a Organization,
    operator: &'a Operator,
}

impl<'a> Repository<'a> {
    /// Makes an empty repository, and gives its account rights in the organization alone.
    #[track_caller]
    fn new(organization: &'a Organization, operator: &'a Operator) -> Self {
        let access = kustomization(
            organization,
            "access",
            |folder| json!({"namespace": organization.name, "resources": [from(folder, "deploy/gitops/access")]}),
        );
        organization.kubectl(&["apply", "-k", &access], "").expect_success();
        let repository = Self { folder: organization.file("repository"), organization, operator };
        fs::create_dir(&repository.folder).expect("the folder can be made");
        repository.git(&["init", "--quiet"]);
        repository
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .arg("-C")
            .arg(&self.folder)
            .args(arguments)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_COMMITTER_NAME", "Acme"), ("GIT_COMMITTER_EMAIL", "acme@acme.example")])
            .status();
        assert!(status.expect("git runs").success(), "git {arguments:?}");
    }

    /// Applies what is checked out as a GitOps tool does: as its own account, and with pruning.
    fn apply(&self) -> Output {
        let account = format!("--as=system:serviceaccount:{}:people", self.organization.name);
        let people = self.folder.join("people");
        let arguments = [
            "apply",
            &account,
            "-f",
            people.to_str().expect("UTF-8"),
            "--prune",
            "--all",
            "--prune-allowlist=roster.rs/v1alpha1/User",
            "--prune-allowlist=roster.rs/v1alpha1/UserGroup",
            "--prune-allowlist=roster.rs/v1alpha1/OrgEmailDomain",
        ];
        self.organization.kubectl(&arguments, "")
    }

    /// Makes the next commit, of which `roster plan` has to approve, and applies it.
    #[track_caller]
    fn replay(&self, commit: &str) {
        let patch = project(&format!("deploy/gitops/history/{commit}.patch"));
        self.git(&["am", "--quiet", patch.to_str().expect("UTF-8")]);
        let people = self.folder.join("people").display().to_string();
        let namespace = &self.organization.name;
        self.operator.roster(&["plan", "-f", &people, "-n", namespace], "").expect_success();
        self.apply().expect_success();
    }
}

#[test]
fn people_join_move_and_leave_by_commits() {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    let repository = Repository::new(&organization, &operator);
    let nora_may = |permissions: &[&str], chain: &Value| {
        let nora = organization.until_ready("User", "nora");
        let status = &nora["status"]["permissions"];
        assert_eq!((&status["effective"], &status["chain"]), (&json!(permissions), chain));
    };

    repository.replay("0001-organization");
    ["alice", "carol"].iter().for_each(|name| drop(organization.until_ready("User", name)));
    repository.replay("0002-joiner");
    nora_may(&["routes:read"], &Value::Null);
    repository.replay("0003-mover");
    nora_may(&["cases:read", "reports:read", "routes:plan"], &json!(["carol"]));

    // Whoever is protected doesn't go with their file.
    repository.git(&["rm", "--quiet", "people/alice.yaml"]);
    let refused = repository.apply();
    assert!(
        !refused.success
            && refused.stderr.contains("set spec.deletionProtection to Disabled first"),
        "{}",
        refused.stderr
    );
    repository.git(&["reset", "--quiet", "--hard"]);
    assert!(organization.until_ready("User", "alice")["metadata"]["deletionTimestamp"].is_null());

    repository.replay("0004-leaver-disable");
    assert_eq!(organization.until_ready("User", "carol")["status"]["state"], "Disabled");
    nora_may(&["cases:read", "reports:read", "routes:plan"], &Value::Null);
    organization.until("User", "carol", "inherited from by nobody", |carol| {
        carol["status"]["heirs"].as_i64().unwrap_or_default() == 0
    });
    repository.replay("0005-leaver-delete");
    organization.until_gone("User", "carol");
    organization.until_event("AccountDeleted");
    let left: BTreeSet<String> =
        operator.users().iter().map(|account| account["email"].to_string()).collect();
    assert_eq!(left, ["alice", "nora"].map(|name| format!("\"{name}@acme.example\"")).into());
}
