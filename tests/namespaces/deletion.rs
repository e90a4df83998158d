//! A namespace that is deleted goes once nobody in it is protected or paused, and takes every
//! account along.

use roster_test_support::cluster::{passed, refused};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::acme::{Acme, PEOPLE};

fn annotation(name: &str, value: Option<&str>) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

fn label(name: &str, value: &str) -> Value {
    json!({"metadata": {"labels": {name: value}}})
}

/// Waits until nobody but one is left of a namespace that goes, and returns that one.
#[track_caller]
fn until_alone(acme: &Acme, name: &str, reason: &str) -> Value {
    PEOPLE
        .iter()
        .filter(|other| **other != name)
        .for_each(|other| acme.organization.until_gone("User", other));
    acme.organization.until_gone("User", "ivan");
    acme.organization.until_gone("UserGroup", "users");
    acme.organization.until_gone("OrgEmailDomain", "acme.example");
    let user = acme.organization.until_reason("User", name, reason);
    assert!(user["metadata"]["deletionTimestamp"].is_string(), "{user:#}");
    let accounts: Vec<Value> =
        acme.operator.users().iter().map(|account| account["email"].clone()).collect();
    assert_eq!(accounts, [format!("{name}@acme.example")]);
    user
}

#[test]
fn an_organization_goes_with_its_namespace_and_comes_back_with_new_accounts() {
    let acme =
        Acme::of(CLUSTER.organization_with_labels(&json!({"roster.rs/customer-id": "acme-rail"})));
    let (admin, namespace) = (acme.organization.admin(), &acme.organization.name);
    let before = acme.account_ids();
    refused(
        admin.delete("Namespace", namespace),
        "label it roster.rs/deletion-protection=off first, then delete it",
    );
    passed(admin.patch("Namespace", namespace, &label("roster.rs/deletion-protection", "off")));
    acme.delete();
    acme.is_gone_for_good();

    let labels = json!({"roster.rs/customer-id": "acme-rail"});
    let again = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
    passed(admin.create(&again));
    acme.fill();
    let after = acme.account_ids();
    assert!(after.iter().all(|id| !before.contains(id)), "{before:?}\n{after:?}");
    let live = acme.operator.count("SELECT count(*) FROM lifetimes WHERE deleted_at IS NULL");
    assert_eq!(usize::try_from(live).expect("a count"), acme.operator.users().len());
}

/// Deletes objects of a namespace that goes, before its controller does.
fn delete(acme: &Acme, kind: &str, names: impl IntoIterator<Item = &'static str>) {
    let editor = acme.editor();
    for name in names {
        match editor.delete(kind, name) {
            Err(refusal) if refusal.code != 404 => panic!("{kind} {name}: {refusal:?}"),
            _ => {}
        }
    }
}

fn groups_and_domains_first(acme: &Acme) {
    acme.delete();
    delete(acme, "UserGroup", ["users", "administrators", "dispatchers"]);
    delete(acme, "OrgEmailDomain", ["acme.example", "depots.acme.example"]);
    delete(acme, "User", PEOPLE);
}

fn secrets_and_bindings_first(acme: &Acme) {
    let admin = acme.organization.admin();
    passed(admin.delete("Secret", "ivan-password"));
    passed(admin.delete("RoleBinding", "administrators"));
    acme.delete();
}

fn owners_first(acme: &Acme) {
    acme.delete();
    passed(acme.organization.admin().delete("ConfigMap", "crew"));
}

fn sources_first(acme: &Acme) {
    acme.delete();
    delete(acme, "User", PEOPLE);
}

fn heirs_first(acme: &Acme) {
    acme.delete();
    delete(acme, "User", PEOPLE.into_iter().rev());
}

#[test]
fn a_namespace_goes_whatever_the_order_in_which_its_objects_do() {
    let orders: [fn(&Acme); 5] = [
        groups_and_domains_first,
        secrets_and_bindings_first,
        owners_first,
        sources_first,
        heirs_first,
    ];
    let going = orders.map(|order| {
        let acme = Acme::new();
        order(&acme);
        acme
    });
    going.iter().for_each(Acme::is_gone_for_good);
}

#[test]
fn a_namespace_that_is_deleted_while_the_operator_is_away_goes_when_it_is_back() {
    let mut acme = Acme::new();
    acme.operator.kill();
    acme.delete();
    for (kind, name) in PEOPLE
        .map(|name| ("User", name))
        .into_iter()
        .chain([("UserGroup", "users"), ("OrgEmailDomain", "acme.example")])
    {
        acme.organization.until(kind, name, "deleted", |object| {
            object["metadata"]["deletionTimestamp"].is_string()
        });
    }
    acme.operator.restart();
    acme.is_gone_for_good();
}

#[test]
fn who_is_protected_keeps_the_account_and_the_namespace_and_nobody_else_in_it() {
    let acme = Acme::new();
    let organization = &acme.organization;
    passed(organization.admin().patch(
        "User",
        "carol",
        &json!({"spec": {"deletionProtection": "Enabled"}}),
    ));
    let rita = organization.as_member("rita", &[]);
    passed(rita.dry_run().patch("User", "carol", &label("some", "edit")));
    acme.delete();
    until_alone(&acme, "carol", "DeletionProtected");
    organization.until("Namespace", &organization.name, "held by roster", |namespace| {
        let conditions = namespace["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "NamespaceFinalizersRemaining"
                && condition["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("roster.rs/account in 1 resource"))
        })
    });

    let unprotected = json!({"spec": {"deletionProtection": "Disabled"}});
    organization.until_gone("RoleBinding", "administrators");
    refused(rita.patch("User", "carol", &unprotected), "cannot patch resource \"users\"");
    refused(
        acme.editor().patch("User", "carol", &unprotected),
        "needs the verb administer on usergroups.roster.rs/users",
    );
    passed(organization.as_member("hans", &["helpdesk"]).patch("User", "carol", &unprotected));
    acme.is_gone_for_good();
}

#[test]
fn the_last_administrator_keeps_the_namespace_while_protected_and_goes_afterwards() {
    let acme = Acme::new();
    let admin = acme.organization.admin();
    passed(admin.patch("User", "alice", &json!({"spec": {"deletionProtection": "Enabled"}})));
    acme.delete();
    until_alone(&acme, "alice", "DeletionProtected");
    passed(admin.patch("User", "alice", &json!({"spec": {"deletionProtection": "Disabled"}})));
    acme.is_gone_for_good();
}

#[test]
fn who_is_released_leaves_the_account_behind_and_lets_the_namespace_go() {
    let acme = Acme::new();
    let organization = &acme.organization;
    passed(organization.admin().patch(
        "User",
        "carol",
        &json!({"spec": {"deletionProtection": "Enabled"}}),
    ));
    acme.delete();
    let id = until_alone(&acme, "carol", "DeletionProtected")["status"]["accountId"].clone();
    let released =
        json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
    passed(
        organization.as_member("rosa", &["editors", "releasers"]).patch("User", "carol", &released),
    );
    organization.until_gone("Namespace", &organization.name);
    assert_eq!(acme.operator.users().len(), 1);
    assert!(id.is_string());
    assert_eq!(acme.operator.count("SELECT count(*) FROM lifetimes WHERE deleted_at IS NULL"), 1);
}

#[test]
fn who_was_let_go_of_keeps_the_account_and_lets_the_namespace_go() {
    let acme = Acme::new();
    let admin = acme.organization.admin();
    let names = ["alice", "judy", "kim"];
    for name in names {
        passed(admin.patch("User", name, &json!({"spec": {"deletionPolicy": "Retain"}})));
    }
    names.iter().for_each(|name| passed(admin.delete("User", name)));
    names.iter().for_each(|name| acme.organization.until_gone("User", name));
    acme.delete();
    acme.organization.until_gone("Namespace", &acme.organization.name);
    assert_eq!(acme.operator.users().len(), names.len());
}

#[test]
fn the_last_administrator_and_a_source_go_with_the_namespace_though_who_was_let_go_of_stays() {
    let acme = Acme::new();
    let admin = acme.organization.admin();
    // Dave inherits from carol, and frank and erin from each other.
    let names = ["dave", "frank", "judy"];
    for name in names {
        passed(admin.patch("User", name, &json!({"spec": {"deletionPolicy": "Retain"}})));
    }
    for name in ["dave", "judy"] {
        passed(admin.delete("User", name));
        acme.organization.until_gone("User", name);
    }
    acme.delete();
    acme.organization.until_gone("Namespace", &acme.organization.name);
    let mut left: Vec<String> =
        acme.operator.users().iter().map(|account| account["email"].to_string()).collect();
    left.sort();
    assert_eq!(left, names.map(|name| format!("\"{name}@acme.example\"")));
    assert_eq!(
        acme.operator.count("SELECT count(*) FROM groups WHERE name IN ('users', 'dispatchers')"),
        2
    );
}

#[test]
fn who_is_paused_keeps_the_namespace_until_the_pause_ends() {
    let acme = Acme::new();
    let admin = acme.organization.admin();
    passed(admin.patch("User", "bob", &annotation("roster.rs/paused", Some("true"))));
    acme.organization.until_reason("User", "bob", "Paused");
    acme.delete();
    until_alone(&acme, "bob", "Paused");
    passed(acme.organization.as_user("olga").patch(
        "User",
        "bob",
        &annotation("roster.rs/paused", None),
    ));
    acme.is_gone_for_good();
}
