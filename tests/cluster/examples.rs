//! The examples: each is accepted as it stands, and all of them in any order end the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use kube::Api;
use kube::runtime::watcher::{Config, Event, watcher};
use roster::api::{ConditionType, User};
use roster_test_support::cluster::{
    Operator, Organization, With, domain, eventually, passed, run, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

const ORDERS: usize = 50;

/// Returns every object of every file, the namespace left out.
fn examples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("there are examples")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let texts =
        files.iter().map(|file| std::fs::read_to_string(file).expect("an example can be read"));
    let objects =
        texts.flat_map(|text| text.split("\n---\n").map(str::to_owned).collect::<Vec<_>>());
    let objects =
        objects.map(|text| serde_saphyr::from_str::<Value>(&text).expect("an example is YAML"));
    objects.filter(|object| object["kind"] != "Namespace").collect()
}

/// Whether the operator says of an object how it is.
fn is_ours(object: &&Value) -> bool {
    object["apiVersion"] == "roster.rs/v1alpha1"
}

#[test]
fn every_file_is_accepted_by_kubectl_and_everybody_in_it_gets_an_account() {
    let examples = examples();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").display().to_string();
    let organization = CLUSTER.organization_named("acme");
    organization.kubectl(&["apply", "-f", &folder], "").expect_success();
    let operator = Operator::start(&organization);
    let users: Vec<&Value> = examples.iter().filter(|object| object["kind"] == "User").collect();
    for object in examples.iter().filter(is_ours) {
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        organization.until_ready(kind, name);
    }
    assert_eq!(operator.users().len(), users.len());
}

#[test]
fn fifty_random_orders_end_the_same_and_nobody_is_stalled_on_the_way() {
    let organizations: Vec<Organization> = (0..ORDERS).map(|_| CLUSTER.organization()).collect();
    let ours: BTreeSet<String> =
        organizations.iter().map(|organization| organization.name.clone()).collect();
    let stalled = watch_for_stalled(ours);
    let others: Vec<&str> = organizations[1..]
        .iter()
        .flat_map(|organization| ["--namespace", &organization.name])
        .collect();
    let operator = Operator::start_with(&organizations[0], &others);

    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for organization in &organizations {
        let mut objects = examples();
        shuffle(&mut objects, &mut seed);
        for mut object in objects {
            object["metadata"]["namespace"] = json!(organization.name);
            passed(organization.admin().create(&object));
        }
    }
    for organization in &organizations {
        for object in examples().iter().filter(is_ours) {
            let (kind, name) = (
                object["kind"].as_str().expect("a kind"),
                object["metadata"]["name"].as_str().expect("a name"),
            );
            organization.until_ready(kind, name);
        }
    }
    let accounts = operator.users();
    let ends: BTreeSet<String> =
        organizations.iter().map(|organization| end_state(organization, &accounts)).collect();
    assert_eq!(ends.len(), 1, "different ends: {ends:#?}");
    assert_eq!(*stalled.lock().expect("the watch lives"), BTreeSet::new());
}

#[test]
fn a_copy_is_a_manifest_that_kubectl_takes_as_it_is_but_for_the_charge() {
    let organization = CLUSTER.organization();
    let operator = Operator::start(&organization);
    passed(organization.admin().create(&domain("acme.example")));
    // What a reader of YAML takes for something else than a text, unless it is quoted.
    let traps = json!([
        "on",
        "No",
        "y",
        "~",
        "null",
        "0x1f",
        "1_000",
        "12:30:45",
        "2026-01-01",
        "=",
        "<<",
        "1e3",
        ".inf",
        "- a",
        "a: b",
        "# a",
        "'",
        "\"",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`",
        " a ",
        "é",
        "a\u{2028}b",
        "\\",
        "{a",
        "[a",
        "| a",
        "> a",
        "? a",
        ":",
        "a #b"
    ]);
    let profile = json!({
        "displayName": format!("{}end", "word ".repeat(20)), "phone": "+1 602 555 0100", "timeZone": "America/Phoenix",
        "address": {"street": ["100 Example Street", "085"], "postalCode": "085001", "country": "NO"}, "notifications": traps,
    });
    let alice = user("alice")
        .with("/spec/profile", profile)
        .with("/spec/role", "off")
        .with("/spec/teams", traps.clone());
    passed(organization.admin().create(&alice));
    organization.until_ready("User", "alice");

    let copy = |name: &str, more: &[&str]| {
        let all: Vec<&str> =
            ["copy", "-n", &organization.name, "alice", name].iter().chain(more).copied().collect();
        operator.roster(&all, "").expect_success()
    };
    for format in ["yaml", "json"] {
        let manifest = copy(format, &["--email", &format!("{format}@acme.example"), "-o", format]);
        organization.kubectl(&["apply", "-f", "-"], &manifest).expect_success();
        let created = organization.until_reason("User", format, "ChargeNotApproved");
        for field in [
            "/spec/role",
            "/spec/profile/displayName",
            "/spec/profile/phone",
            "/spec/profile/address",
        ] {
            assert_eq!(created.pointer(field), alice.pointer(field), "{field}");
        }
        for field in ["/spec/teams", "/spec/profile/notifications"] {
            let sorted = |object: &Value| -> BTreeSet<String> {
                serde_json::from_value(object.pointer(field).expect("it is there").clone())
                    .expect("a list of texts")
            };
            assert_eq!(sorted(&created), sorted(&alice), "{field}");
        }
        let refused = organization.kubectl(&["apply", "-f", "-"], &copy("nora", &["-o", format]));
        assert!(
            !refused.success && refused.stderr.contains("email is required"),
            "{}",
            refused.stderr
        );
    }
    let approved = copy("olga", &["--email", "olga@acme.example"])
        .replace("# chargeApproved", "chargeApproved");
    organization.kubectl(&["apply", "-f", "-"], &approved).expect_success();
    organization.until_ready("User", "olga");
}

/// Returns what stands in an organization in the end, but for ids, times and its own name.
fn end_state(organization: &Organization, accounts: &[Value]) -> String {
    eventually("the groups and domains have counted", || {
        let counts = organization
            .kubectl(&["get", "usergroups", "-o", "jsonpath={.items[*].status.members}"], "")
            .expect_success();
        let members: i64 =
            counts.split_whitespace().map(|count| count.parse::<i64>().expect("a number")).sum();
        (members == examples().iter().filter(|object| object["kind"] == "User").count() as i64)
            .then_some(())
    });
    eventually("the Users have counted their heirs", || {
        let counts = organization
            .kubectl(&["get", "users", "-o", "jsonpath={.items[*].status.heirs}"], "")
            .expect_success();
        let heirs: i64 =
            counts.split_whitespace().map(|count| count.parse::<i64>().expect("a number")).sum();
        let inherit = |object: &&Value| object["spec"]["permissions"]["from"]["mode"] == "Inherit";
        (heirs == examples().iter().filter(inherit).count() as i64).then_some(())
    });
    let mine: Vec<&Value> =
        accounts.iter().filter(|account| account["organization"] == organization.name).collect();
    let mut statuses = vec![];
    for object in examples().iter().filter(|object| object["kind"] == "User") {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let mut status =
            organization.admin().get("User", name).expect("it is there")["status"].clone();
        for field in ["accountId", "transaction", "observedGeneration"] {
            status.as_object_mut().expect("a status").remove(field);
        }
        for pointer in ["/clone/uid", "/clone/cloneTime", "/copy/uid", "/copy/copyTime"] {
            if let Some(value) = status.pointer_mut(pointer) {
                *value = json!(null);
            }
        }
        for condition in status["conditions"].as_array_mut().expect("conditions") {
            condition.as_object_mut().expect("a condition").remove("lastTransitionTime");
        }
        statuses.push(status);
    }
    json!([mine, statuses]).to_string().replace(&organization.name, "ORGANIZATION")
}

/// Notes every User of these namespaces that is ever seen Stalled.
fn watch_for_stalled(namespaces: BTreeSet<String>) -> Arc<Mutex<BTreeSet<String>>> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let notes = seen.clone();
    let users: Api<User> = Api::all(CLUSTER.admin().client());
    run(async {
        tokio::spawn(watcher(users, Config::default()).try_for_each(move |event| {
            if let Event::Apply(user) | Event::InitApply(user) = event
                && user
                    .metadata
                    .namespace
                    .as_ref()
                    .is_some_and(|namespace| namespaces.contains(namespace))
            {
                let conditions = user.status.iter().flat_map(|status| &status.conditions);
                for condition in
                    conditions.filter(|condition| condition.kind == ConditionType::Stalled)
                {
                    let who = format!(
                        "{:?}/{:?}: {}",
                        user.metadata.namespace, user.metadata.name, condition.message
                    );
                    notes.lock().expect("nobody panicked with it").insert(who);
                }
            }
            futures::future::ok(())
        }));
    });
    seen
}

fn shuffle(objects: &mut [Value], seed: &mut u64) {
    for last in (1..objects.len()).rev() {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let other = usize::try_from(*seed % (last as u64 + 1)).expect("an index");
        objects.swap(last, other);
    }
}
