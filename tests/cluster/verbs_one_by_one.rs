//! Who may do what, where it takes more than one request in a namespace that stays: whole
//! organizations, namespaces on their way out, controllers, old objects, the largest ones, and the
//! roles that are shipped.

use roster_test_support::cluster::{Requester, With, eventually, group, passed, refused, user};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::verbs::{bind, may};

const OURS: &str = "roster.rs/account";
const USERS: &str = "needs the verb administer on usergroups.roster.rs/users";
const ADMINISTRATORS: &str = "needs the verb administer on usergroups.roster.rs/administrators";

fn alice() -> Value {
    user("alice").with("/spec/groupRef/name", "administrators")
}

fn phone() -> Value {
    json!({"spec": {"profile": {"phone": "1"}}})
}

fn label() -> Value {
    json!({"metadata": {"labels": {"some": "label"}}})
}

fn finalizers(all: &[&str]) -> Value {
    json!({"metadata": {"finalizers": all}})
}

#[test]
fn a_refusal_says_what_is_missing_and_who_has_it() {
    let organization = CLUSTER.organization();
    organization.has(&alice());
    let refusal = organization
        .as_member("hans", &["helpdesk"])
        .patch("User", "alice", &phone())
        .expect_err("it is refused");
    assert_eq!(refusal.code, 403);
    assert_eq!(
        refusal.message,
        "users.roster.rs \"alice\" is forbidden: ValidatingAdmissionPolicy 'who-may-change-users.roster.rs' with binding \
         'who-may-change-users.roster.rs' denied request: changing the User alice needs the verb administer on \
         usergroups.roster.rs/administrators, the group it is in; roster-administrator is a role that has it"
    );
}

#[test]
fn a_user_whose_account_is_still_in_another_group_is_changed_by_who_administers_that_too() {
    let organization = CLUSTER.organization();
    organization.has(
        &user("boss")
            .with("/spec/deletionProtection", "Disabled")
            .with("/status/group", "administrators"),
    );
    let hans = organization.as_member("hans", &["helpdesk"]);
    let text = format!("{ADMINISTRATORS} too, the group its account is still in");
    for change in [phone(), label(), json!({"spec": {"state": "Disabled"}})] {
        refused(hans.patch("User", "boss", &change), &text);
    }
    refused(hans.delete("User", "boss"), &text);
    passed(organization.as_user("anna").patch("User", "boss", &phone()));
    passed(organization.as_user("anna").delete("User", "boss"));
}

#[test]
fn an_administrator_of_one_organization_is_none_of_another() {
    let (one, other) = (CLUSTER.organization(), CLUSTER.organization());
    let api = "rbac.authorization.k8s.io";
    passed(one.admin().create(&json!({
        "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": {"name": "administrators"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "roster-administrator"},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": "administrators-of-one"}],
    })));
    eventually("the binding is known", || {
        may(&["administrators-of-one"], &one.name, "administer usergroups/users").then_some(())
    });
    let here = one.as_member("anna", &["administrators-of-one"]);
    passed(here.create(&alice().with("/spec/permissions/grants", json!(["orders:read"]))));
    refused(
        other.as_member("anna", &["administrators-of-one"]).create(&alice()),
        "cannot create resource \"users\"",
    );
    refused(
        other.as_member("anna", &["administrators-of-one", "editors"]).create(&alice()),
        ADMINISTRATORS,
    );
}

#[test]
fn deleting_all_users_at_once_asks_for_the_group_of_each() {
    let organization = CLUSTER.organization();
    for object in [alice(), user("bob")] {
        organization.has(&object);
    }
    let delete_all =
        |groups: &[&str]| organization.as_member("hans", groups).dry_run().delete_all("User");
    refused(delete_all(&["editors", "helpdesk"]), ADMINISTRATORS);
    passed(delete_all(&["administrators"]));
    passed(organization.admin().delete("User", "alice"));
    passed(organization.operators_account().patch("User", "alice", &finalizers(&[])));
    refused(delete_all(&["editors"]), USERS);
    passed(delete_all(&["editors", "helpdesk"]));
}

#[test]
fn a_status_is_no_way_around_the_verbs() {
    let organization = CLUSTER.organization();
    organization.has(&user("bob"));
    let admin = organization.admin();
    for patch in [
        json!({"spec": {"groupRef": {"name": "administrators"}}}),
        label(),
        json!({"status": {"heirs": 0}}),
    ] {
        refused(
            admin.patch_subresource("User", "bob", "status", &patch),
            "is written by the operator only",
        );
    }
    // What is beside the status in such a request is left out, so not even the operator's right to
    // write it is a way.
    let moved = json!({"metadata": {"labels": {"some": "label"}}, "spec": {"groupRef": {"name": "administrators"}}});
    let bob =
        passed(organization.operators_account().patch_subresource("User", "bob", "status", &moved));
    assert_eq!(
        (&bob["spec"]["groupRef"]["name"], &bob["metadata"]["labels"]),
        (&json!("users"), &Value::Null)
    );
    let scaled = admin.patch_subresource("User", "bob", "scale", &json!({"spec": {"replicas": 0}}));
    assert_eq!(scaled.expect_err("there is no such subresource").code, 404);
}

#[test]
fn the_operator_needs_no_verb() {
    let organization = CLUSTER.organization();
    organization.has(&alice());
    let operator = organization.operators_account();
    passed(operator.create(&group("administrators").with("/spec/fullControl", true)));
    passed(operator.create(&group("users")));
    passed(operator.patch("User", "alice", &finalizers(&[OURS, "example.com/other"])));
    let another = organization.as_member("system:serviceaccount:other:roster", &["editors"]);
    refused(another.patch("User", "alice", &finalizers(&[OURS])), ADMINISTRATORS);
    let groups = another.create(&group("drivers").with("/spec/fullControl", true));
    refused(groups, "needs the verb grant on usergroups.roster.rs/drivers");
}

#[test]
fn in_a_namespace_that_goes_away_deleting_asks_for_no_verb_and_changing_does() {
    let organization = CLUSTER.organization();
    let others = json!(["example.com/other"]);
    for object in [
        alice(),
        user("bob").with("/metadata/finalizers", others.clone()),
        user("carol"),
        user("dave"),
    ] {
        organization.has(&object);
    }
    organization.has(&user("erin").with("/metadata/finalizers", others));
    passed(organization.admin().delete("Namespace", &organization.name));
    let editor = organization.as_member("edda", &["editors"]);
    eventually("the policies know that the namespace goes", || {
        editor.dry_run().delete("User", "carol").ok()
    });
    passed(editor.delete("User", "alice"));
    passed(editor.delete("User", "bob"));
    passed(editor.delete_all("User"));
    refused(editor.patch("User", "bob", &phone()), USERS);
    refused(editor.patch("User", "bob", &label()), USERS);
    refused(editor.patch("User", "bob", &json!({"metadata": {"annotations": {"a": "b"}}})), USERS);
    refused(
        editor.patch("User", "alice", &json!({"spec": {"deletionProtection": "Disabled"}})),
        ADMINISTRATORS,
    );
    refused(
        editor.patch("User", "bob", &finalizers(&["example.com/other"])),
        "once its account is gone",
    );
    let bob = passed(editor.patch("User", "bob", &finalizers(&[OURS])));
    assert_eq!(bob["metadata"]["finalizers"], json!([OURS]));
}

#[test]
fn in_a_namespace_that_stays_another_finalizer_is_taken_off_by_who_administers() {
    let organization = CLUSTER.organization();
    organization.has(&user("bob").with("/metadata/finalizers", json!(["example.com/other"])));
    passed(organization.admin().delete("User", "bob"));
    refused(
        organization.as_member("edda", &["editors"]).patch("User", "bob", &finalizers(&[OURS])),
        USERS,
    );
    passed(organization.as_member("hans", &["helpdesk"]).patch(
        "User",
        "bob",
        &finalizers(&[OURS]),
    ));
}

#[test]
fn controllers_of_the_control_plane_let_go_of_users_but_change_none() {
    let organization = CLUSTER.organization();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "c0ffee00-0000-4000-8000-000000000000"});
    organization.has(
        &user("bob")
            .with("/metadata/ownerReferences", json!([owner]))
            .with("/metadata/finalizers", json!(["foregroundDeletion", "example.com/other"])),
    );
    for name in [
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:namespace-controller",
        "system:serviceaccount:kube-system:storage-version-migrator-controller",
        "system:kube-controller-manager",
    ] {
        let controller = organization.as_member(name, &["editors"]).dry_run();
        passed(controller.patch("User", "bob", &json!({"metadata": {"ownerReferences": []}})));
        passed(controller.patch("User", "bob", &finalizers(&[OURS, "example.com/other"])));
        passed(controller.patch("User", "bob", &json!({})));
        let blocking = owner.clone().with("/blockOwnerDeletion", false);
        passed(controller.patch(
            "User",
            "bob",
            &json!({"metadata": {"ownerReferences": [blocking]}}),
        ));
        let stranger = owner.clone().with("/uid", "c0ffee00-0000-4000-8000-000000000001");
        for patch in [
            phone(),
            label(),
            json!({"metadata": {"annotations": {"roster.rs/paused": "true"}}}),
            json!({"metadata": {"ownerReferences": [owner, stranger]}}),
            finalizers(&[OURS, "foregroundDeletion", "example.com/other", "example.com/new"]),
        ] {
            refused(controller.patch("User", "bob", &patch), USERS);
        }
        // The owner may have been deleted by somebody who couldn't delete the User.
        refused(controller.delete("User", "bob"), USERS);
    }
    let another =
        organization.as_member("system:serviceaccount:kube-system:default", &["editors"]).dry_run();
    refused(another.patch("User", "bob", &json!({"metadata": {"ownerReferences": []}})), USERS);
    // With the rights that the control plane itself gives it.
    let collector =
        organization.as_member("system:serviceaccount:kube-system:generic-garbage-collector", &[]);
    passed(collector.patch("User", "bob", &finalizers(&[OURS])));
}

#[test]
fn who_may_release_needs_no_other_verb_to_let_go_and_may_do_nothing_else() {
    let organization = CLUSTER.organization();
    organization.has(&alice());
    passed(organization.admin().delete("User", "alice"));
    let releaser = organization.as_member("rita", &["editors", "releasers"]);
    let annotated =
        |patch: Value| patch.with("/metadata/annotations", json!({"roster.rs/release": "true"}));
    for patch in [
        label(),
        phone(),
        json!({}),
        annotated(label()),
        annotated(phone()),
        json!({"metadata": {"annotations": {"roster.rs/release": "true", "another": "note"}}}),
        json!({"metadata": {"annotations": {"roster.rs/release": "no"}}}),
    ] {
        refused(releaser.patch("User", "alice", &patch), ADMINISTRATORS);
    }
    let editor = organization.as_member("edda", &["editors"]);
    refused(editor.patch("User", "alice", &annotated(json!({}))), ADMINISTRATORS);
    passed(releaser.patch("User", "alice", &annotated(json!({}))));
    passed(releaser.patch("User", "alice", &finalizers(&[])));
    assert_eq!(organization.admin().get("User", "alice"), None);
}

#[test]
fn what_was_stored_before_there_were_defaults_is_in_the_group_users() {
    let organization = CLUSTER.organization();
    let metadata = |name: &str| {
        json!({
            "name": name, "namespace": organization.name, "uid": format!("c0ffee00-0000-4000-8000-00000000000{}", name.len()),
            "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [OURS],
        })
    };
    let spec = json!({"email": "al@acme.example", "profile": {"displayName": "Al"}});
    for object in [
        user("al").with("/spec", spec),
        user("bob").without("/spec"),
        group("drivers").without("/spec"),
    ] {
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        let plural = if name == "drivers" { "usergroups" } else { "users" };
        organization.put_into_etcd(plural, &object.with("/metadata", metadata(&name)));
    }
    let (editor, helpdesk) = (
        organization.as_member("edda", &["editors"]),
        organization.as_member("hans", &["helpdesk"]),
    );
    refused(editor.patch("User", "al", &phone()), USERS);
    passed(helpdesk.patch("User", "al", &phone()));
    refused(
        helpdesk.patch("User", "al", &json!({"spec": {"chargeApproved": true}})),
        "needs the verb approve-charge",
    );
    for name in ["al", "bob"] {
        refused(editor.dry_run().delete("User", name), USERS);
        passed(helpdesk.dry_run().delete("User", name));
    }
    let whole = json!({"spec": {"email": "bob@acme.example", "profile": {"displayName": "Bob"}}});
    refused(editor.patch("User", "bob", &whole), USERS);
    refused(
        helpdesk.patch("User", "bob", &whole.clone().with("/spec/role", "Driver")),
        "needs the verb grant on permissions",
    );
    passed(helpdesk.patch("User", "bob", &whole));
    passed(editor.patch("UserGroup", "drivers", &label()));
    let text = "needs the verb grant on usergroups.roster.rs/drivers";
    refused(
        editor.patch("UserGroup", "drivers", &json!({"spec": {"permissions": ["routes:read"]}})),
        text,
    );
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

/// Returns as many permissions as fit, all others than those of another letter.
fn permissions(letter: char) -> Vec<String> {
    (0..256).map(|number| format!("{number:03}:{}", letter.to_string().repeat(121))).collect()
}

/// Returns metadata with as many annotations as fit, and more of everything else than anybody has.
fn metadata(name: &str) -> Value {
    let labels: serde_json::Map<String, Value> =
        (0..500).map(|number| (format!("label-{number}"), long(63).into())).collect();
    let annotations: serde_json::Map<String, Value> =
        (0..10_000).map(|number| (format!("note-{number:05}"), long(15).into())).collect();
    let finalizers: Vec<_> =
        (0..64).map(|number| format!("example.com/finalizer-{number}")).collect();
    let owner = |number| {
        let uid = format!("c0ffee00-0000-4000-8000-0000000000{number:02}");
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": long(253), "uid": uid})
    };
    let owners: Vec<_> = (0..64).map(owner).collect();
    json!({"name": name, "labels": labels, "annotations": annotations, "finalizers": finalizers, "ownerReferences": owners})
}

fn largest_user(name: &str) -> Value {
    let names: Vec<_> = (0..64).map(|number| format!("{number:02}{}", "ü".repeat(126))).collect();
    let profile = json!({
        "displayName": "ü".repeat(128), "phone": "ü".repeat(64), "timeZone": long(64), "notifications": names,
        "address": {
            "street": vec!["ü".repeat(128); 4], "locality": "ü".repeat(128), "region": "ü".repeat(128),
            "postalCode": "ü".repeat(32), "country": "US",
        },
    });
    let spec = json!({
        "username": long(253), "email": format!("{}@{}", long(64), long(189)), "profile": profile, "role": "ü".repeat(128),
        "teams": names, "groupRef": {"name": long(253)}, "copyOf": {"name": "y".repeat(253)},
        "permissions": {"grants": permissions('a'), "from": {"name": long(253), "mode": "Inherit"}},
        "adopt": "0193a4b0-0000-7000-8000-000000000001", "state": "Disabled", "chargeApproved": false,
        "passwordSecretRef": {"name": long(253), "key": long(253), "confirmationKey": long(253)},
        "deletionProtection": "Disabled", "deletionPolicy": "Delete",
    });
    user(name).with("/metadata", metadata(name)).with("/spec", spec)
}

/// The object as it is now, with other values at JSON pointers.
fn changed(r: &Requester, kind: &str, name: &str, changes: &[(&str, Value)]) -> Value {
    let present = r.get(kind, name).expect("it is there");
    changes.iter().fold(present, |object, (pointer, value)| object.with(pointer, value.clone()))
}

#[test]
fn the_largest_user_passes_all_policies_when_everything_that_needs_a_verb_changes() {
    let organization = CLUSTER.organization();
    let (bob, name) = (organization.as_user("bob"), long(253));
    let largest = largest_user(&name);
    passed(bob.dry_run().create(&largest.clone().with("/spec/chargeApproved", true)));
    refused(
        organization.as_member("edda", &["editors"]).create(&largest),
        "needs the verb administer on usergroups.roster.rs/x",
    );
    passed(bob.create(&largest));
    let other = "y".repeat(253);
    let changes = [
        ("/spec/groupRef/name", json!(other)),
        ("/spec/permissions/grants", json!(permissions('b'))),
        ("/spec/permissions/from", json!({"name": other, "mode": "Clone"})),
        ("/spec/role", json!("é".repeat(128))),
        ("/spec/chargeApproved", json!(true)),
        ("/spec/passwordSecretRef", json!({"name": other, "key": other, "confirmationKey": other})),
        ("/metadata/labels", json!({})),
    ];
    let edited = changed(&bob, "User", &name, &changes);
    let helpless = organization.as_member("edda", &["editors"]);
    refused(helpless.replace(&edited), "needs the verb administer on usergroups.roster.rs/x");
    passed(bob.replace(&edited));
    let mut reversed = permissions('b');
    reversed.reverse();
    passed(bob.replace(&changed(
        &bob,
        "User",
        &name,
        &[("/spec/permissions/grants", json!(reversed))],
    )));
    passed(bob.delete("User", &name));
    refused(
        helpless.patch("User", &name, &label()),
        "needs the verb administer on usergroups.roster.rs/y",
    );
    let releaser = organization.as_member("rita", &["editors", "releasers"]);
    let released =
        json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}});
    passed(releaser.patch("User", &name, &released));
    assert_eq!(bob.get("User", &name), None);
}

#[test]
fn the_largest_group_passes_all_policies_when_everything_that_needs_a_verb_changes() {
    let organization = CLUSTER.organization();
    let (bob, name) = (organization.as_user("bob"), long(253));
    let all = json!(["Name", "Address", "Phone", "Email", "Password", "TimeZone", "Notifications"]);
    let spec = json!({
        "description": "ü".repeat(1024), "fullControl": true, "permissions": permissions('a'), "selfService": all,
    });
    let largest = group(&name).with("/metadata", metadata(&name)).with("/spec", spec);
    let helpless = organization.as_member("edda", &["editors"]);
    refused(helpless.create(&largest), "needs the verb grant on usergroups.roster.rs/x");
    passed(bob.create(&largest));
    let changes = [
        ("/spec/permissions", json!(permissions('b'))),
        ("/spec/fullControl", json!(false)),
        ("/spec/selfService", json!(["Name"])),
        ("/metadata/annotations/roster.rs~1paused", json!("true")),
    ];
    let edited = changed(&bob, "UserGroup", &name, &changes);
    refused(helpless.replace(&edited), "needs the verb grant on usergroups.roster.rs/x");
    passed(bob.replace(&edited));
    let mut reversed = permissions('b');
    reversed.reverse();
    // Another order gives nothing to anybody.
    passed(helpless.replace(&changed(
        &bob,
        "UserGroup",
        &name,
        &[("/spec/permissions", json!(reversed))],
    )));
    passed(bob.delete("UserGroup", &name));
}

#[test]
fn the_largest_password_passes_all_policies() {
    let organization = CLUSTER.organization();
    bind(
        "writers-of-secrets",
        None,
        1000,
        &json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]),
    );
    let writer = organization.as_member("wanda", &["writers-of-secrets", "password-writers"]);
    let helpless = organization.as_member("edda", &["writers-of-secrets"]);
    eventually("the binding is known", || helpless.dry_run().create(&opaque("known")).ok());
    let keys = |letter: &str| -> serde_json::Map<String, Value> {
        (0..4000).map(|number| (format!("key-{number:04}"), letter.repeat(120).into())).collect()
    };
    // A Secret holds at most 1 MiB: 360,000 bytes in small keys here, and the rest in one.
    let largest = |letter: &str| {
        let data = Value::from(keys(letter)).with("/password", letter.repeat(880_000));
        opaque("bob-password").with("/type", "roster.rs/password").with("/data", data)
    };
    refused(
        helpless.create(&largest("a")),
        "needs the verb set-password on passwords.roster.rs/bob-password",
    );
    passed(writer.create(&largest("a")));
    passed(helpless.replace(&largest("a")));
    refused(
        helpless.replace(&largest("b")),
        "needs the verb set-password on passwords.roster.rs/bob-password",
    );
    passed(writer.replace(&largest("b")));
    passed(helpless.replace(&largest("b").with("/metadata/labels/some", "label")));
    passed(helpless.delete("Secret", "bob-password"));
    passed(helpless.create(&largest("a").with("/type", "Opaque")));
}

fn opaque(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}})
}

#[test]
fn every_role_has_its_verbs_and_no_others() {
    let organization = CLUSTER.organization();
    let all = [
        "administer usergroups/users",
        "administer usergroups/administrators",
        "grant users/alice",
        "grant permissions",
        "grant usergroups/users",
        "approve-charge users/alice",
        "set-password passwords/alice-password",
        "adopt accounts/0193a4b0-0000-7000-8000-000000000001",
        "claim customerids/acme",
        "release users/alice",
        "release usergroups/users",
        "release orgemaildomains/acme",
    ];
    let of_an_organization = &all[..8];
    for (group, verbs) in [
        ("viewers", &[] as &[&str]),
        ("editors", &[]),
        ("administrators", of_an_organization),
        ("helpdesk", &all[..1]),
        ("approvers", &all[5..6]),
        ("password-writers", &all[6..7]),
        ("claimers", &all[8..9]),
        ("releasers", &all[9..]),
    ] {
        for need in all {
            assert_eq!(
                may(&[group], &organization.name, need),
                verbs.contains(&need),
                "{group}: {need}"
            );
        }
    }
}

#[test]
fn whoever_views_edits_or_administers_a_namespace_does_so_with_its_people() {
    for role in ["view", "edit", "administrator"] {
        let found = CLUSTER
            .admin()
            .get("ClusterRole", &format!("roster-{role}"))
            .expect("the role is there");
        let labels = found["metadata"]["labels"].as_object().expect("labels");
        let aggregated: Vec<_> =
            labels.keys().filter(|label| label.starts_with("rbac.authorization.k8s.io/")).collect();
        let whole = if role == "administrator" { "admin" } else { role };
        assert_eq!(aggregated, [&format!("rbac.authorization.k8s.io/aggregate-to-{whole}")]);
    }
    for role in ["helpdesk", "billing-approver", "password-writer", "claim", "release"] {
        let found = CLUSTER
            .admin()
            .get("ClusterRole", &format!("roster-{role}"))
            .expect("the role is there");
        assert!(
            !found["metadata"]["labels"].to_string().contains("aggregate-to"),
            "roster-{role} is bound by name only"
        );
    }
}
