//! A directory that refuses settled people: their statuses, one Event, one line in the log, a
//! metric and the doctor say so.

use roster_test_support::cluster::{condition, eventually, user};
use serde_json::{Value, json};

use crate::acme::Acme;

const WORDS: &str = "it refuses the account: it is told to";

/// Returns what the doctor finds about directories: its exit code and the findings.
fn found(acme: &Acme, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let said = acme.operator.roster_in_the_cluster(
        &[&["doctor", "-o", "json", "-n", &acme.organization.name], arguments].concat(),
    );
    let diagnosis: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let findings = diagnosis["findings"].as_array().expect("a list").iter();
    let is_ours = |finding: &&Value| {
        finding["finding"].as_str().is_some_and(|kind| kind.starts_with("Directory"))
    };
    (said.code, findings.filter(is_ours).cloned().collect())
}

#[test]
fn whom_a_directory_refuses_says_so_and_is_said_once_for_all_of_them() {
    let people = ["alice", "bob", "carol"];
    let mut acme = Acme::start(&[]);
    people.iter().for_each(|name| acme.create(&user(name)));
    for name in people {
        let settled = acme.organization.until_ready("User", name);
        assert_eq!(condition(&settled, "DirectoriesCurrent")["status"], "True");
    }
    acme.directory.behaves(&json!({"refuses": people.map(|name| acme.login_name(name))}));
    people
        .iter()
        .for_each(|name| acme.edit(name, &json!({"profile": {"phone": "+1 602 555 0100"}})));
    for name in people {
        let refused = acme.organization.until_reason("User", name, "DirectoryRefused");
        for kind in ["Ready", "DirectoriesCurrent"] {
            let message = condition(&refused, kind)["message"].as_str().unwrap_or_default();
            assert!(
                message.contains(WORDS) && message.contains(&acme.directory.url()),
                "{message}"
            );
        }
        assert_eq!(condition(&refused, "Stalled")["reason"], "DirectoryRefused");
    }
    let group = acme.organization.until("UserGroup", "users", "it says so", |group| {
        let message =
            condition(group, "DirectoriesCurrent")["message"].as_str().unwrap_or_default();
        message.contains("of 3 member(s)") && group["status"]["members"] == 3
    });
    assert_eq!(condition(&group, "DirectoriesCurrent")["reason"], "DirectoryRefused");
    assert_eq!(condition(&group, "Ready")["status"], "True", "nobody has more than they should");

    let event = acme.organization.until_event("DirectoryRefused");
    assert!(event.contains(WORDS), "{event}");
    let gauge =
        format!(r#"roster_directory_refused_entries{{directory="{}"}}"#, acme.directory.url());
    eventually("it is counted", || {
        acme.operator.page("/metrics").1.contains(&format!("{gauge} 3")).then_some(())
    });
    let log = acme.operator.log();
    let warned: Vec<&str> =
        log.lines().filter(|line| line.contains("a directory refuses an entry")).collect();
    let one_of_them = people.iter().any(|name| warned[0].contains(&acme.account_id(name)));
    assert!(warned.len() == 1 && one_of_them && warned[0].contains("refused"), "{warned:?}");
    assert!(
        !warned[0].contains("told to") && !people.iter().any(|name| warned[0].contains(name)),
        "{warned:?}"
    );

    let (code, findings) = found(&acme, &[]);
    let namespace = &acme.organization.name;
    assert_eq!((code, findings.len()), (Some(1), 1), "{findings:?}");
    assert_eq!(
        (&findings[0]["severity"], &findings[0]["finding"]),
        (&json!("Error"), &json!("DirectoryRefused"))
    );
    assert_eq!(
        findings[0]["object"],
        format!("users {namespace}/alice, {namespace}/bob, {namespace}/carol")
    );
    assert!(findings[0]["what"].as_str().is_some_and(|what| what.contains(WORDS)), "{findings:?}");
    let (code, findings) = found(&acme, &["--store-only"]);
    assert_eq!(
        (code, findings.len(), &findings[0]["severity"]),
        (Some(0), 1, &json!("Note")),
        "{findings:?}"
    );

    // Another operator says the same, and nothing anew.
    let before = acme.versions();
    acme.operator.restart();
    acme.operator.until_it_works();
    eventually("it was refused again", || {
        acme.operator.page("/metrics").1.contains(&format!("{gauge} 3")).then_some(())
    });
    assert_eq!(acme.versions(), before);

    acme.directory.has_a_good_day();
    people.iter().for_each(|name| _ = acme.organization.until_ready("User", name));
    acme.organization.until("UserGroup", "users", "it is current", |group| {
        condition(group, "DirectoriesCurrent")["status"] == "True"
    });
    assert!(found(&acme, &[]).1.is_empty());
}
