//! What somebody else changes in a directory.

use roster_test_support::cluster::{With, eventually, passed, user};
use serde_json::json;

use crate::acme::Acme;

#[test]
fn what_somebody_else_changed_in_a_directory_is_put_back_and_said() {
    let acme = Acme::start(&["--directory-resync", "2s"]);
    acme.create(&user("alice"));
    acme.create(&user("bob").with("/spec/state", "Disabled"));
    acme.create(&user("carol").with("/spec/deletionPolicy", "Retain"));
    for name in ["alice", "bob", "carol"] {
        acme.organization.until_ready("User", name);
    }
    passed(acme.organization.as_user("olga").delete("User", "carol"));
    acme.organization.until_gone("User", "carol");
    let ids = ["alice", "bob", "carol"].map(|name| acme.account_id(name));
    let revision = acme.operator.count("SELECT revision FROM accounts WHERE owner_name = 'carol'");
    let entries = || ids.each_ref().map(|id| acme.directory.entry(id));
    let declared = eventually("all are there", || {
        let all = entries().into_iter().collect::<Option<Vec<_>>>()?;
        (all[2]["revision"] == revision).then_some(all)
    });

    let administrator = |entry: &serde_json::Value| {
        let active =
            entry.clone().with("/person/active", true).with("/person/group", "administrators");
        active.with("/person/permissions", json!(["*"]))
    };
    acme.directory.put(&ids[0], None);
    acme.directory.put(&ids[1], Some(&administrator(&declared[1])));
    acme.directory.put(&ids[2], Some(&administrator(&declared[2])));
    eventually("all is as declared again", || {
        (entries().into_iter().collect::<Option<Vec<_>>>()? == declared).then_some(())
    });
    let path = r#"jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name} {.reason}{"\n"}{end}"#;
    eventually("two Users are told", || {
        let events = acme.organization.kubectl(&["get", "events", "-o", path], "").stdout;
        let mut of: Vec<&str> =
            events.lines().filter_map(|line| line.strip_suffix(" DirectoryDrift")).collect();
        of.sort_unstable();
        (of == ["User/alice", "User/bob"]).then_some(())
    });
    let (name, log) = (acme.directory.url(), acme.operator.log());
    for (id, has_user) in ids.iter().zip([true, true, false]) {
        let is_said = |line: &&str| {
            line.contains("WARN")
                && line.contains(id.as_str())
                && line.contains("somebody else changed an entry")
        };
        let lines: Vec<&str> = log.lines().filter(is_said).collect();
        assert!(lines.len() == 1 && lines[0].contains(&name), "{lines:?}");
        assert_eq!(lines[0].contains("\"uid\""), has_user, "{lines:?}");
    }
    let metric = format!("roster_directory_drift_total{{directory=\"{name}\"}} 3\n");
    let (_, metrics) = acme.operator.page("/metrics");
    assert!(metrics.contains(&metric), "{metrics}");
}
