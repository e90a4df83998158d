//! What one organization asks for doesn't hold up another one's edits.

use std::time::{Duration, Instant};

use roster_test_support::cluster::{Operator, Organization, domain, eventually, passed, user};
use serde_json::{Value, json};

use crate::CLUSTER;

/// How many requests are made at once, where many are made.
const AT_ONCE: usize = 8;

/// Two organizations of one operator: one has much to do, the other has a user, edna, who is edited
/// now and then.
struct Neighbours {
    noisy: Organization,
    quiet: Organization,
    operator: Operator,
    edits: usize,
}

impl Neighbours {
    fn new() -> Self {
        let (noisy, quiet) = (CLUSTER.organization(), CLUSTER.organization());
        let operator = Operator::start_with(&noisy, &["--namespace", &quiet.name]);
        for organization in [&noisy, &quiet] {
            passed(organization.admin().create(&domain("acme.example")));
            organization.until_ready("OrgEmailDomain", "acme.example");
        }
        passed(quiet.admin().create(&user("edna")));
        quiet.until_ready("User", "edna");
        Self { noisy, quiet, operator, edits: 0 }
    }

    /// Makes so many requests, some at once.
    fn each(&self, many: usize, request: impl Fn(&Organization, usize) + Sync) {
        std::thread::scope(|scope| {
            for first in 0..AT_ONCE {
                let request = &request;
                scope.spawn(move || {
                    (first..many).step_by(AT_ONCE).for_each(|number| request(&self.noisy, number))
                });
            }
        });
    }

    /// Returns how many accounts there are for which a condition holds.
    fn count(&self, condition: &str) -> usize {
        let namespace = &self.noisy.name;
        let query = format!(
            "SELECT count(*) FROM accounts WHERE namespace = '{namespace}' AND {condition}"
        );
        self.operator.count(&query).try_into().expect("a count")
    }

    fn of_edna(&self, column: &str) -> Option<String> {
        self.operator
            .text(&format!("SELECT {column} FROM accounts WHERE namespace = '{}'", self.quiet.name))
    }

    /// Edits edna, and returns how long until that is in force in the store.
    fn edit(&mut self) -> Duration {
        self.edits += 1;
        let name = format!("edna {}", self.edits);
        let started = Instant::now();
        passed(self.quiet.admin().patch(
            "User",
            "edna",
            &json!({"spec": {"profile": {"displayName": name}}}),
        ));
        eventually("the edit is in force", || {
            let is_named = format!("\"displayName\":\"{name}\"");
            self.of_edna("profile").is_some_and(|profile| profile.contains(&is_named)).then_some(())
        });
        started.elapsed()
    }

    /// Edits edna until the noisy organization is done, and returns the longest that an edit took.
    fn longest_until(&mut self, is_done: impl Fn(&Self) -> bool) -> Duration {
        let mut longest = Duration::ZERO;
        loop {
            longest = longest.max(self.edit());
            if is_done(self) {
                return longest;
            }
        }
    }

    /// Edits users of the noisy organization while the operator is away, starts it, and returns the
    /// longest that an edit of edna takes until all of that is in force.
    fn longest_beside(
        &mut self,
        many: usize,
        patch: impl Fn(usize) -> Value + Sync,
        condition: &str,
    ) -> Duration {
        self.operator.kill();
        self.each(many, |noisy, number| {
            _ = passed(noisy.admin().patch("User", &format!("u{number}"), &patch(number)))
        });
        self.operator.restart();
        self.operator.until_it_works();
        self.longest_until(|it| it.count(condition) == many)
    }
}

fn secret(password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, "type": "roster.rs/password",
        "stringData": {"password": password},
    })
}

#[test]
fn a_loop_holds_up_other_organizations_no_more_than_as_many_other_edits() {
    let many = 800;
    let mut neighbours = Neighbours::new();
    neighbours
        .each(many, |noisy, number| _ = passed(noisy.admin().create(&user(&format!("u{number}")))));
    eventually("the accounts are there", || (neighbours.count("1 = 1") == many).then_some(()));
    let renamed = |_| json!({"spec": {"profile": {"displayName": "renamed"}}});
    let beside_edits =
        neighbours.longest_beside(many, renamed, "profile LIKE '%\"displayName\":\"renamed\"%'");
    let next = |number: usize| format!("u{}", (number + 1) % many);
    let follows = |number| json!({"spec": {"permissions": {"from": {"name": next(number), "mode": "Inherit"}}}});
    let beside_loop = neighbours.longest_beside(many, follows, "source_permissions IS NOT NULL");
    println!(
        "the longest of edna's edits took {beside_edits:?} beside {many} edits, {beside_loop:?} beside a loop of {many}"
    );
    assert!(
        beside_loop < 3 * beside_edits + Duration::from_secs(1),
        "{beside_loop:?} beside a loop, {beside_edits:?} beside edits"
    );
}

#[test]
fn a_secret_that_many_share_holds_up_nobody_elses_password() {
    let (many, changes) = (80, 5);
    let mut neighbours = Neighbours::new();
    passed(neighbours.quiet.admin().create(&secret("gate-Turnip-0-onward")));
    let reference = json!({"spec": {"passwordSecretRef": {"name": "password"}}});
    passed(neighbours.quiet.admin().patch("User", "edna", &reference));
    passed(neighbours.noisy.admin().create(&secret("door-Carrot-0-inward")));
    neighbours.each(many, |noisy, number| {
        let mut user = user(&format!("u{number}"));
        user["spec"]["passwordSecretRef"] = json!({"name": "password"});
        passed(noisy.admin().create(&user));
    });
    eventually("the passwords are there", || {
        (neighbours.count("secret_version IS NOT NULL") == many).then_some(())
    });
    eventually("edna has one", || neighbours.of_edna("secret_version"));

    let started = Instant::now();
    let mut waits = vec![];
    for change in 1..=changes {
        let change_to = |organization: &Organization, password: String| {
            passed(organization.admin().patch(
                "Secret",
                "password",
                &json!({"stringData": {"password": password}}),
            ));
        };
        change_to(&neighbours.noisy, format!("door-Carrot-{change}-inward"));
        let (before, changed) = (neighbours.of_edna("secret_version"), Instant::now());
        change_to(&neighbours.quiet, format!("gate-Turnip-{change}-onward"));
        eventually("edna's password is in force", || {
            (neighbours.of_edna("secret_version") != before).then_some(())
        });
        waits.push(changed.elapsed());
    }
    let secret = neighbours.noisy.admin().get("Secret", "password").expect("it is there");
    let version = secret["metadata"]["resourceVersion"].as_str().expect("a version");
    let of_last = format!("secret_version LIKE '%/{version}/%'");
    neighbours.longest_until(|it| it.count(&of_last) == many);
    let took = started.elapsed();
    println!("edna's password took {waits:?}, those of {many} others {took:?}");
    let longest = waits.into_iter().max().expect("there were some");
    assert!(longest < took / 3 + Duration::from_millis(500), "{longest:?} of {took:?}");
}
