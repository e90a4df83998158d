//! Once all is as asked, the operator writes nothing more: not to the API server, the store or the
//! directory.

use std::time::Duration;

use roster_test_support::cluster::{With, group, passed, user, within};
use serde_json::json;

use crate::acme::{Acme, secret, user_with_password};

const PASSWORD: &str = "nine lorries leave at dawn";

/// How long three comparisons of everything take, and one to begin with.
const FOUR_RESYNCS: Duration = Duration::from_secs(4);

/// How long counts may be gathered, and the resync in which they are told.
const COUNTED: Duration = Duration::from_secs(12);

#[test]
fn three_resyncs_in_a_steady_state_write_nothing() {
    let acme = Acme::start(&["--resync", "1s", "--directory-resync", "1s"]);
    for name in ["alice", "bob", "erin"] {
        acme.create(&secret(name, PASSWORD));
    }
    let from = |name: &str, mode: &str| json!({"from": {"name": name, "mode": mode}});
    acme.create(&group("dispatchers").with(
        "/spec",
        json!({"permissions": ["routes:plan"], "selfService": ["Phone", "Password"]}),
    ));
    acme.create(&user_with_password("alice").with("/spec/groupRef/name", "administrators"));
    let in_dispatchers = user_with_password("bob").with("/spec/groupRef/name", "dispatchers");
    acme.create(&in_dispatchers.with("/spec/permissions", json!({"grants": ["orders:read"]})));
    acme.create(&user("carol").with("/spec/permissions", from("bob", "Inherit")));
    acme.create(&user("dave").with("/spec/permissions", from("carol", "Clone")));
    acme.create(&user_with_password("erin").with("/spec/state", "Disabled"));
    acme.create(&user("frank").with("/spec/copyOf/name", "bob").without("/spec/email"));
    for name in ["alice", "bob", "carol", "dave", "erin", "frank"] {
        acme.organization.until_ready("User", name);
    }
    let own = "eleven violins under water";
    let set = ["self", &acme.login_name("bob"), "--set", "phone=+1 602 555 0199", "--set-password"];
    acme.operator.roster(&set, &format!("{PASSWORD}\n{own}\n")).expect_success();
    acme.organization
        .until("User", "bob", "told", |bob| bob["status"]["profile"]["phone"] == "+1 602 555 0199");
    // Refused for good: that changes nothing either.
    acme.create(&user("mallory").with("/spec/email", "mallory@elsewhere.example"));
    acme.organization.until_reason("User", "mallory", "DomainNotAllowed");
    passed(acme.organization.admin().patch(
        "User",
        "carol",
        &json!({"spec": {"role": "Dispatcher"}}),
    ));
    acme.organization.until_ready("User", "carol");
    for (kind, name, count, number) in [
        ("UserGroup", "dispatchers", "members", 1),
        ("UserGroup", "administrators", "members", 1),
        ("UserGroup", "users", "members", 4),
        ("OrgEmailDomain", "acme.example", "users", 6),
    ] {
        acme.organization.until(kind, name, "counted", |object| object["status"][count] == number);
    }

    let state = || {
        let requests = acme.organization.requests_of_the_operator();
        let secrets = acme.organization.requests_about_secrets();
        (requests, secrets, acme.versions(), acme.operator.store_version(), acme.directory.files())
    };
    // The last counts and Events may be under way still.
    let mut settled = state();
    within(COUNTED, || {
        let now = state();
        let is_quiet = within(Duration::from_secs(2), || (state() != now).then_some(())).is_none();
        settled = now;
        is_quiet.then_some(())
    })
    .expect("it comes to rest");
    let resyncs = Duration::from_secs(1) + FOUR_RESYNCS;
    let changed = within(resyncs, || Some(state()).filter(|now| *now != settled));
    if let Some((requests, secrets, versions, files, directory)) = changed {
        let (requests_before, secrets_before, versions_before, files_before, directory_before) =
            settled;
        panic!(
            "requests: {:?}\nof Secrets: {:?}\nversions: {:?}\nstore written: {}\ndirectory written: {}",
            &requests[requests_before.len()..],
            &secrets[secrets_before.len()..],
            versions
                .iter()
                .filter(|(name, version)| versions_before.get(*name) != Some(version))
                .collect::<Vec<_>>(),
            files != files_before,
            directory != directory_before,
        );
    }
    // It did look: what is changed behind its back is put back.
    acme.operator.execute("UPDATE accounts SET role = 'Driver' WHERE owner_name = 'carol'");
    acme.organization.until_event("ValuesPutBack");
    acme.directory.put(&acme.account_id("alice"), None);
    acme.organization.until_event("DirectoryDrift");
}
