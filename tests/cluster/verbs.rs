//! Who may do what: every way of every change, with every role, and with exactly the verbs that it
//! needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use roster_test_support::cluster::{
    Organization, Refusal, Requester, With, domain, eventually, group, passed, run, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

/// One way of changing something, and who may go it.
struct Row {
    /// One letter for each of `ROLES`: `y` for who may; the number of the need that the refusal
    /// names; `k` where Kubernetes' own rights are lacking already.
    cells: &'static str,
    way: &'static str,
    /// The verbs that it needs, each on its object.
    needs: &'static [&'static str],
    request: fn(&Requester) -> Answer,
}

type Answer = Result<(), Refusal>;

const fn row(
    cells: &'static str,
    way: &'static str,
    needs: &'static [&'static str],
    request: fn(&Requester) -> Answer,
) -> Row {
    Row { cells, way, needs, request }
}

/// The roles, in the order of the letters, by the groups they are bound to. All but the viewer may
/// write any Secret and namespace as far as Kubernetes is concerned.
const ROLES: [(&str, &[&str]); 8] = [
    ("administrator", &["administrators", "executors"]),
    ("helpdesk", &["helpdesk", "executors"]),
    ("billing approver and helpdesk", &["approvers", "helpdesk", "executors"]),
    ("password writer", &["password-writers", "executors"]),
    ("editor", &["editors", "executors"]),
    ("viewer", &["viewers"]),
    ("claimer", &["claimers", "executors"]),
    ("releaser and editor", &["releasers", "editors", "executors"]),
];

const USERS: &str = "administer usergroups/users";
const ADMINISTRATORS: &str = "administer usergroups/administrators";
const DRIVERS: &str = "administer usergroups/drivers";
const ALICE: &str = "grant users/alice";
const CAROL: &str = "grant users/carol";
const PERMISSIONS: &str = "grant permissions";
const BOBS_PASSWORD: &str = "set-password passwords/bob-password";
const ALICES_PASSWORD: &str = "set-password passwords/alice-password";
const CUSTOMER: &str = "claim customerids/verbs-customer";
const ACCOUNT: &str = "0193a4b0-0000-7000-8000-000000000001";

/// Alice is an administrator, Frank a driver, all others are users. Bob has permissions of his own,
/// inherits Carol's, has a role and a password; Chris cloned Carol's; Dave's charge isn't approved;
/// Gina is a copy of Alice and adopted an account; Hugo is being deleted; Leo was deleted.
const OF_USERS: &[Row] = &[
    //   administrator
    //   |helpdesk
    //   ||billing approver and helpdesk
    //   |||password writer
    //   ||||editor
    //   |||||viewer
    //   ||||||claimer
    //   |||||||releaser and editor
    row("yyyk1kk1", "create", &[USERS], |r| create(r, eve())),
    row("yyyk1kk1", "create by server-side apply", &[USERS], |r| apply(r, eve())),
    row("yyyk1kk1", "create with a generated name", &[USERS], |r| create(r, nameless(eve()))),
    row("y11k1kk1", "create in a named group", &[DRIVERS], |r| {
        create(r, eve().with("/spec/groupRef/name", "drivers"))
    }),
    row("y11k1kk1", "create an administrator", &[ADMINISTRATORS], |r| {
        create(r, eve().with(GROUP, "administrators"))
    }),
    row("y11k1kk1", "create an administrator by server-side apply", &[ADMINISTRATORS], |r| {
        apply(r, eve().with(GROUP, "administrators"))
    }),
    row(
        "y11k1kk1",
        "create in a group that isn't there yet",
        &["administer usergroups/ghosts"],
        |r| create(r, eve().with(GROUP, "ghosts")),
    ),
    row("y22k1kk1", "create with grants", &[USERS, PERMISSIONS], |r| {
        create(r, eve().with(GRANTS, json!(["orders:read"])))
    }),
    row("y22k1kk1", "create with grants by server-side apply", &[USERS, PERMISSIONS], |r| {
        apply(r, eve().with(GRANTS, json!(["orders:read"])))
    }),
    row("yyyk1kk1", "create with an empty list of grants", &[USERS], |r| {
        create(r, eve().with(GRANTS, json!([])))
    }),
    row("y22k1kk1", "create with a role", &[USERS, PERMISSIONS], |r| {
        create(r, eve().with("/spec/role", "Accountant"))
    }),
    row("y22k1kk1", "create an heir of an administrator", &[USERS, ALICE], |r| {
        create(r, eve().with(FROM, inherit("alice")))
    }),
    row("y22k1kk1", "create a clone of an administrator", &[USERS, ALICE], |r| {
        create(r, eve().with(FROM, clone("alice")))
    }),
    row(
        "y22k1kk1",
        "create an heir of somebody who isn't there yet",
        &[USERS, "grant users/zoe"],
        |r| create(r, eve().with(FROM, inherit("zoe"))),
    ),
    row("y22k1kk1", "create a copy of an administrator", &[USERS, ALICE], |r| {
        create(r, copy_of("alice"))
    }),
    row("y22k1kk1", "create a copy by server-side apply", &[USERS, ALICE], |r| {
        apply(r, copy_of("alice"))
    }),
    row("y2yk1kk1", "create with the charge approved", &[USERS, "approve-charge users/eve"], |r| {
        create(r, user("eve"))
    }),
    row(
        "y2yk1kk1",
        "create with the charge approved by server-side apply",
        &[USERS, "approve-charge users/eve"],
        |r| apply(r, user("eve")),
    ),
    row(
        "y2yk1kk1",
        "create with the charge approved and a generated name",
        &[USERS, "approve-charge users"],
        |r| create(r, nameless(user("eve"))),
    ),
    row("y22k1kk1", "create with a password", &[USERS, BOBS_PASSWORD], |r| {
        create(r, eve().with(SECRET, "bob-password"))
    }),
    row(
        "y22k1kk1",
        "create with an account to adopt",
        &[USERS, "adopt accounts/0193a4b0-0000-7000-8000-000000000001"],
        |r| create(r, eve().with("/spec/adopt", ACCOUNT)),
    ),
    row(
        "y22k1kk1",
        "create with a directory's entry to adopt",
        &[USERS, "adopt accounts/0193a4b0-0000-7000-8000-000000000001"],
        |r| create(r, eve().with("/spec/adopt", format!("entry/{ACCOUNT}"))),
    ),
    row("yyyk1kk1", "create disabled, unprotected and retained", &[USERS], |r| {
        create(r, eve().with("/spec/state", "Disabled").with("/spec/deletionPolicy", "Retain"))
    }),
    row("yyyk1kk1", "create again who was deleted", &[USERS], |r| {
        create(r, eve().with("/metadata/name", "leo"))
    }),
    row("y22k1kk1", "create again who was deleted, with more", &[USERS, ALICE], |r| {
        create(r, eve().with("/metadata/name", "leo").with(FROM, inherit("alice")))
    }),
    row("y11k1kk1", "create again who was deleted, as an administrator", &[ADMINISTRATORS], |r| {
        create(r, eve().with("/metadata/name", "leo").with(GROUP, "administrators"))
    }),
    //
    row("yyyk1kk1", "change the phone of who inherits", &[USERS], |r| {
        patch(r, "bob", json!({"profile": {"phone": "1"}}))
    }),
    row("yyyk1kk1", "change the phone of a copy that adopted an account", &[USERS], |r| {
        patch(r, "gina", json!({"profile": {"phone": "1"}}))
    }),
    row("yyyk1kk1", "change the phone by JSON patch", &[USERS], |r| {
        r.json_patch(
            "User",
            "bob",
            json!([{"op": "add", "path": "/spec/profile/phone", "value": "1"}]),
        )
        .map(drop)
    }),
    row("yyyk1kk1", "change the phone by replacing", &[USERS], |r| {
        replace(r, "bob", "/spec/profile/phone", json!("1"))
    }),
    row("yyyk1kk1", "change the phone by applying the whole", &[USERS], |r| {
        apply(r, bob().with("/spec/profile/phone", "1"))
    }),
    row("y11k1kk1", "change the phone of an administrator", &[ADMINISTRATORS], |r| {
        patch(r, "alice", json!({"profile": {"phone": "1"}}))
    }),
    row("yyyk1kk1", "change another's email", &[USERS], |r| {
        patch(r, "carol", json!({"email": "x@acme.example"}))
    }),
    row("y11k1kk1", "change an administrator's email", &[ADMINISTRATORS], |r| {
        patch(r, "alice", json!({"email": "x@acme.example"}))
    }),
    row("y11k1kk1", "change an administrator's email by replacing", &[ADMINISTRATORS], |r| {
        replace(r, "alice", "/spec/email", json!("x@acme.example"))
    }),
    row("y11k1kk1", "change an administrator's email by applying it", &[ADMINISTRATORS], |r| {
        apply(r, alice().with("/spec/email", "x@acme.example"))
    }),
    row("yyyk1kk1", "disable", &[USERS], |r| patch(r, "carol", json!({"state": "Disabled"}))),
    row("y11k1kk1", "disable an administrator", &[ADMINISTRATORS], |r| {
        patch(r, "alice", json!({"state": "Disabled"}))
    }),
    row("y11k1kk1", "enable", &[DRIVERS], |r| patch(r, "frank", json!({"state": "Enabled"}))),
    row("yyyk1kk1", "switch the protection off", &[USERS], |r| {
        patch(r, "carol", json!({"deletionProtection": "Disabled"}))
    }),
    row("y11k1kk1", "switch an administrator's protection off", &[ADMINISTRATORS], |r| {
        patch(r, "alice", json!({"deletionProtection": "Disabled"}))
    }),
    row("yyyk1kk1", "retain the account", &[USERS], |r| {
        patch(r, "carol", json!({"deletionPolicy": "Retain"}))
    }),
    row("yyyk1kk1", "change nothing", &[USERS], |r| {
        patch(r, "carol", json!({"email": "carol@acme.example"}))
    }),
    row("yyyk1kk1", "change nothing by applying the whole", &[USERS], |r| apply(r, bob())),
    row("yyyk1kk1", "label", &[USERS], |r| {
        metadata(r, "carol", json!({"labels": {"some": "label"}}))
    }),
    row("y11k1kk1", "label an administrator", &[ADMINISTRATORS], |r| {
        metadata(r, "alice", json!({"labels": {"a": "b"}}))
    }),
    row("yyyk1kk1", "annotate", &[USERS], |r| {
        metadata(r, "carol", json!({"annotations": {"some": "note"}}))
    }),
    row("y11k1kk1", "pause an administrator", &[ADMINISTRATORS], |r| {
        metadata(r, "alice", json!({"annotations": {"roster.rs/paused": "true"}}))
    }),
    row("yyyk1kk1", "add a finalizer", &[USERS], |r| {
        metadata(r, "carol", json!({"finalizers": [OURS, "example.com/other"]}))
    }),
    row("y11k1kk1", "add a finalizer to an administrator", &[ADMINISTRATORS], |r| {
        metadata(r, "alice", json!({"finalizers": [OURS, "example.com/other"]}))
    }),
    row("y11k1kk1", "take another's finalizer off", &[DRIVERS], |r| {
        metadata(r, "frank", json!({"finalizers": [OURS]}))
    }),
    row("y11k1kk1", "give an administrator an owner", &[ADMINISTRATORS], |r| {
        metadata(r, "alice", json!({"ownerReferences": [owner()]}))
    }),
    //
    row("y22k1kk1", "inherit from an administrator", &[USERS, ALICE], |r| {
        patch(r, "carol", from(inherit("alice")))
    }),
    row("y22k1kk1", "inherit from an administrator by server-side apply", &[USERS, ALICE], |r| {
        apply(r, carol().with(FROM, inherit("alice")))
    }),
    row("y22k1kk1", "inherit from an administrator by replacing", &[USERS, ALICE], |r| {
        replace(r, "carol", FROM, inherit("alice"))
    }),
    row("y22k1kk1", "clone from an administrator", &[USERS, ALICE], |r| {
        patch(r, "carol", from(clone("alice")))
    }),
    row("y22k1kk1", "clone from an administrator by server-side apply", &[USERS, ALICE], |r| {
        apply(r, carol().with(FROM, clone("alice")))
    }),
    row("y22k1kk1", "inherit from another", &[USERS, ALICE], |r| {
        patch(r, "bob", from(json!({"name": "alice"})))
    }),
    row("y22k1kk1", "clone what was inherited", &[USERS, CAROL], |r| {
        patch(r, "bob", from(json!({"mode": "Clone"})))
    }),
    row("y22k1kk1", "inherit what was cloned", &[USERS, CAROL], |r| {
        patch(r, "chris", from(json!({"mode": "Inherit"})))
    }),
    row("yyyk1kk1", "inherit no longer", &[USERS], |r| patch(r, "bob", from(Value::Null))),
    row("yyyk1kk1", "keep no clone", &[USERS], |r| patch(r, "chris", json!({"permissions": null}))),
    row("y11k1kk1", "make an administrator an heir", &[ADMINISTRATORS, CAROL], |r| {
        patch(r, "alice", from(inherit("carol")))
    }),
    //
    row("y22k1kk1", "add a grant", &[USERS, PERMISSIONS], |r| {
        patch(r, "bob", grants(&["orders:read", "cases:read"]))
    }),
    row("y22k1kk1", "add a grant by JSON patch", &[USERS, PERMISSIONS], |r| {
        r.json_patch(
            "User",
            "bob",
            json!([{"op": "add", "path": "/spec/permissions/grants/-", "value": "cases:read"}]),
        )
        .map(drop)
    }),
    row("y22k1kk1", "add a grant by server-side apply", &[USERS, PERMISSIONS], |r| {
        apply(r, eve().with("/metadata/name", "bob").with(GRANTS, json!(["cases:read"])))
    }),
    row("y22k1kk1", "add the first grant by replacing", &[USERS, PERMISSIONS], |r| {
        replace(r, "carol", "/spec/permissions", json!({"grants": ["cases:read"]}))
    }),
    row("y11k1kk1", "grant an administrator", &[ADMINISTRATORS, PERMISSIONS], |r| {
        patch(r, "alice", grants(&["orders:read"]))
    }),
    row("yyyk1kk1", "order the grants anew", &[USERS], |r| {
        patch(r, "bob", grants(&["orders:write", "orders:read"]))
    }),
    row("yyyk1kk1", "take a grant away", &[USERS], |r| patch(r, "bob", grants(&["orders:read"]))),
    row("yyyk1kk1", "take all grants away", &[USERS], |r| {
        patch(r, "bob", json!({"permissions": {"grants": null}}))
    }),
    row("y22k1kk1", "set a role", &[USERS, PERMISSIONS], |r| {
        patch(r, "carol", json!({"role": "Dispatcher"}))
    }),
    row("y22k1kk1", "set another role", &[USERS, PERMISSIONS], |r| {
        patch(r, "bob", json!({"role": "Dispatcher"}))
    }),
    row("y22k1kk1", "set a role by replacing", &[USERS, PERMISSIONS], |r| {
        replace(r, "bob", "/spec/role", json!("Dispatcher"))
    }),
    row("y22k1kk1", "take the role away", &[USERS, PERMISSIONS], |r| {
        patch(r, "bob", json!({"role": null}))
    }),
    //
    row("y22k1kk1", "join a group with full control", &[USERS, ADMINISTRATORS], |r| {
        patch(r, "carol", join("administrators"))
    }),
    row(
        "y22k1kk1",
        "join a group with full control by server-side apply",
        &[USERS, "administer usergroups/ops"],
        |r| apply(r, carol().with(GROUP, "ops")),
    ),
    row(
        "y22k1kk1",
        "join a group with full control by replacing",
        &[USERS, "administer usergroups/ops"],
        |r| replace(r, "carol", GROUP, json!("ops")),
    ),
    row("y11k1kk1", "leave a group with full control", &[ADMINISTRATORS, USERS], |r| {
        patch(r, "alice", join("users"))
    }),
    row("y11k1kk1", "leave a group for the default one", &[DRIVERS, USERS], |r| {
        patch(r, "frank", json!({"groupRef": null}))
    }),
    //
    row("y2yk1kk1", "approve the charge", &[USERS, "approve-charge users/dave"], |r| {
        patch(r, "dave", approved())
    }),
    row(
        "y2yk1kk1",
        "approve the charge by JSON patch",
        &[USERS, "approve-charge users/dave"],
        |r| {
            r.json_patch(
                "User",
                "dave",
                json!([{"op": "replace", "path": "/spec/chargeApproved", "value": true}]),
            )
            .map(drop)
        },
    ),
    row(
        "y2yk1kk1",
        "approve the charge by server-side apply",
        &[USERS, "approve-charge users/dave"],
        |r| apply(r, user("dave")),
    ),
    row(
        "y2yk1kk1",
        "approve the charge by replacing",
        &[USERS, "approve-charge users/dave"],
        |r| replace(r, "dave", "/spec/chargeApproved", json!(true)),
    ),
    row(
        "y22k1kk1",
        "approve the charge and add a grant",
        &[USERS, PERMISSIONS, "approve-charge users/dave"],
        |r| {
            patch(
                r,
                "dave",
                json!({"chargeApproved": true, "permissions": {"grants": ["orders:read"]}}),
            )
        },
    ),
    row("yyyk1kk1", "rename whose charge is approved", &[USERS], |r| {
        patch(r, "bob", json!({"profile": {"displayName": "Bo"}}))
    }),
    //
    row("y22k1kk1", "point at a Secret", &[USERS, ALICES_PASSWORD], |r| {
        patch(r, "carol", secret(json!({"name": "alice-password"})))
    }),
    row("y22k1kk1", "point at another Secret", &[USERS, ALICES_PASSWORD], |r| {
        patch(r, "bob", secret(json!({"name": "alice-password"})))
    }),
    row("y22k1kk1", "point at another key", &[USERS, BOBS_PASSWORD], |r| {
        patch(r, "bob", secret(json!({"key": "other"})))
    }),
    row("y22k1kk1", "ask for a confirmation", &[USERS, BOBS_PASSWORD], |r| {
        patch(r, "bob", secret(json!({"confirmationKey": "again"})))
    }),
    row(
        "y22k1kk1",
        "point at another Secret by server-side apply",
        &[USERS, ALICES_PASSWORD],
        |r| apply(r, bob().with(SECRET, "alice-password")),
    ),
    row("y22k1kk1", "point at another Secret by replacing", &[USERS, ALICES_PASSWORD], |r| {
        replace(r, "bob", SECRET, json!("alice-password"))
    }),
    row("y11k1kk1", "point an administrator at a Secret", &[ADMINISTRATORS, BOBS_PASSWORD], |r| {
        patch(r, "alice", secret(json!({"name": "bob-password"})))
    }),
    row("yyyk1kk1", "point at no Secret any more", &[USERS], |r| {
        patch(r, "bob", secret(Value::Null))
    }),
    //
    row("yyyk1kk1", "delete", &[USERS], |r| r.delete("User", "carol")),
    row("y11k1kk1", "delete an administrator", &[ADMINISTRATORS], |r| r.delete("User", "alice")),
    row("yyyk1kk1", "delete who is being deleted", &[USERS], |r| r.delete("User", "hugo")),
    row("yyyk1kk1", "change who is being deleted", &[USERS], |r| {
        patch(r, "hugo", json!({"profile": {"phone": "1"}}))
    }),
    row("yyyk1kk1", "label who is being deleted", &[USERS], |r| {
        metadata(r, "hugo", json!({"labels": {"some": "label"}}))
    }),
    row("y22k1kk1", "grant who is being deleted", &[USERS, PERMISSIONS], |r| {
        patch(r, "hugo", grants(&["orders:read"]))
    }),
];

/// The group drivers has a permission and self-service, the group nothing has neither, held is
/// being deleted.
const OF_GROUPS_AND_DOMAINS: &[Row] = &[
    //   administrator
    //   |helpdesk
    //   ||billing approver and helpdesk
    //   |||password writer
    //   ||||editor
    //   |||||viewer
    //   ||||||claimer
    //   |||||||releaser and editor
    row("ykkkykky", "create an empty group", &[], |r| create(r, group("movers"))),
    row("ykkkykky", "create a group without a spec", &[], |r| {
        create(r, group("movers").without("/spec"))
    }),
    row("ykkkykky", "create a group with a description", &[], |r| {
        create(r, group("movers").with("/spec/description", "x"))
    }),
    row("ykkk1kk1", "create a group with permissions", &["grant usergroups/movers"], |r| {
        create(r, group("movers").with("/spec/permissions", json!(["routes:read"])))
    }),
    row(
        "ykkk1kk1",
        "create a group with permissions by server-side apply",
        &["grant usergroups/movers"],
        |r| apply(r, group("movers").with("/spec/permissions", json!(["routes:read"]))),
    ),
    row("ykkk1kk1", "create a group with a generated name", &["grant usergroups"], |r| {
        create(r, nameless(group("movers")).with("/spec/permissions", json!(["routes:read"])))
    }),
    row("ykkk1kk1", "create a group with full control", &["grant usergroups/movers"], |r| {
        create(r, group("movers").with("/spec/fullControl", true))
    }),
    row("ykkk1kk1", "create a group with self-service", &["grant usergroups/movers"], |r| {
        create(r, group("movers").with("/spec/selfService", json!(["Phone"])))
    }),
    row("ykkk1kk1", "add a permission", &["grant usergroups/drivers"], |r| {
        patch_group(r, "drivers", json!({"permissions": ["routes:read", "routes:plan"]}))
    }),
    row("ykkk1kk1", "add a permission by JSON patch", &["grant usergroups/drivers"], |r| {
        r.json_patch(
            "UserGroup",
            "drivers",
            json!([{"op": "add", "path": "/spec/permissions/-", "value": "routes:plan"}]),
        )
        .map(drop)
    }),
    row("ykkk1kk1", "add a permission by server-side apply", &["grant usergroups/drivers"], |r| {
        apply(r, group("drivers").with("/spec/permissions", json!(["routes:plan"])))
    }),
    row("ykkk1kk1", "add a permission by replacing", &["grant usergroups/drivers"], |r| {
        replace_group(r, "drivers", "/spec/permissions", json!(["routes:read", "routes:plan"]))
    }),
    row("ykkk1kk1", "take a permission away", &["grant usergroups/drivers"], |r| {
        patch_group(r, "drivers", json!({"permissions": null}))
    }),
    row("ykkk1kk1", "take the whole spec away", &["grant usergroups/drivers"], |r| {
        patch_group(r, "drivers", Value::Null)
    }),
    row("ykkk1kk1", "edit the group one is in", &["grant usergroups/users"], |r| {
        patch_group(r, "users", json!({"permissions": ["orders:read"]}))
    }),
    row("ykkk1kk1", "give full control", &["grant usergroups/users"], |r| {
        patch_group(r, "users", json!({"fullControl": true}))
    }),
    row("ykkk1kk1", "give full control by server-side apply", &["grant usergroups/users"], |r| {
        apply(r, group("users").with("/spec/fullControl", true))
    }),
    row("ykkk1kk1", "take full control away", &["grant usergroups/ops"], |r| {
        patch_group(r, "ops", json!({"fullControl": false}))
    }),
    row("ykkk1kk1", "allow self-service", &["grant usergroups/nothing"], |r| {
        patch_group(r, "nothing", json!({"selfService": ["Password"]}))
    }),
    row("ykkk1kk1", "allow more self-service", &["grant usergroups/drivers"], |r| {
        patch_group(r, "drivers", json!({"selfService": ["Phone", "Email"]}))
    }),
    row("ykkk1kk1", "allow less self-service", &["grant usergroups/drivers"], |r| {
        patch_group(r, "drivers", json!({"selfService": []}))
    }),
    row(
        "ykkk1kk1",
        "allow administrators self-service",
        &["grant usergroups/administrators"],
        |r| patch_group(r, "administrators", json!({"selfService": ["Phone"]})),
    ),
    row("ykkk1kk1", "pause a group", &["grant usergroups/drivers"], |r| {
        r.patch(
            "UserGroup",
            "drivers",
            &json!({"metadata": {"annotations": {"roster.rs/paused": "true"}}}),
        )
        .map(drop)
    }),
    row("ykkkykky", "describe a group", &[], |r| {
        patch_group(r, "drivers", json!({"description": "They drive."}))
    }),
    row("ykkkykky", "apply a group as it is", &[], |r| apply(r, drivers())),
    row("ykkkykky", "label a group", &[], |r| {
        r.patch("UserGroup", "drivers", &json!({"metadata": {"labels": {"some": "label"}}}))
            .map(drop)
    }),
    row("ykkkykky", "delete a group", &[], |r| r.delete("UserGroup", "nothing")),
    row("1kkk1kky", "release a group", &["release usergroups/held"], |r| {
        release(r, "UserGroup", "held")
    }),
    row("ykkkykky", "list a domain", &[], |r| create(r, domain("other.example"))),
    row("ykkkykky", "change a domain", &[], |r| {
        r.patch("OrgEmailDomain", "acme.example", &json!({"spec": {"includeSubdomains": true}}))
            .map(drop)
    }),
    row("ykkkykky", "delete a domain", &[], |r| r.delete("OrgEmailDomain", "acme.example")),
    row("1kkk1kky", "release a domain", &["release orgemaildomains/held.example"], |r| {
        release(r, "OrgEmailDomain", "held.example")
    }),
];

/// The Secret bob-password is a password, bob-key isn't.
const OF_PASSWORDS: &[Row] = &[
    //   administrator
    //   |helpdesk
    //   ||billing approver and helpdesk
    //   |||password writer
    //   ||||editor
    //   |||||viewer
    //   ||||||claimer
    //   |||||||releaser and editor
    row("y11y1k11", "create a password", &["set-password passwords/new"], |r| {
        create(r, password("new"))
    }),
    row("y11y1k11", "create a password as text", &["set-password passwords/new"], |r| {
        create(
            r,
            password("new")
                .without("/data")
                .with("/stringData/password", "correct horse battery staple"),
        )
    }),
    row(
        "y11y1k11",
        "create a password by server-side apply",
        &["set-password passwords/new"],
        |r| apply(r, password("new")),
    ),
    row("y11y1k11", "create a password with a generated name", &["set-password passwords"], |r| {
        create(r, nameless(password("new")))
    }),
    row(
        "y11y1k11",
        "create an empty Secret for a password",
        &["set-password passwords/new"],
        |r| create(r, password("new").without("/data")),
    ),
    row("y11y1k11", "create an administrator's password", &[ALICES_PASSWORD], |r| {
        create(r, password("alice-password"))
    }),
    row("y11y1k11", "change a password", &[BOBS_PASSWORD], |r| {
        patch_secret(r, json!({"data": {"password": "b3RoZXI="}}))
    }),
    row("y11y1k11", "change a password as text", &[BOBS_PASSWORD], |r| {
        patch_secret(r, json!({"stringData": {"password": "other"}}))
    }),
    row("y11y1k11", "change a password by JSON patch", &[BOBS_PASSWORD], |r| {
        let other = json!([{"op": "replace", "path": "/data/password", "value": "b3RoZXI="}]);
        r.json_patch("Secret", "bob-password", other).map(drop)
    }),
    row("y11y1k11", "change a password by server-side apply", &[BOBS_PASSWORD], |r| {
        apply(r, password("bob-password").with("/data/password", "b3RoZXI="))
    }),
    row("y11y1k11", "change a password by replacing", &[BOBS_PASSWORD], |r| {
        r.replace(&password("bob-password").with("/data/password", "b3RoZXI=")).map(drop)
    }),
    row("y11y1k11", "add a key to a password", &[BOBS_PASSWORD], |r| {
        patch_secret(r, json!({"data": {"again": "b3RoZXI="}}))
    }),
    row("y11y1k11", "take a password's keys away", &[BOBS_PASSWORD], |r| {
        patch_secret(r, json!({"data": null}))
    }),
    row("yyyyykyy", "apply a password as it is", &[], |r| apply(r, password("bob-password"))),
    row("yyyyykyy", "label a password", &[], |r| {
        patch_secret(r, json!({"metadata": {"labels": {"some": "label"}}}))
    }),
    row("yyyyykyy", "delete a password", &[], |r| r.delete("Secret", "bob-password")),
    row("yyyyykyy", "create another Secret", &[], |r| create(r, key("new"))),
    row("yyyyykyy", "change another Secret", &[], |r| {
        r.patch("Secret", "bob-key", &json!({"data": {"password": "b3RoZXI="}})).map(drop)
    }),
];

/// The namespace verbs-unlocked has a customer ID, and its protection is off.
const OF_CUSTOMER_IDS: &[Row] = &[
    //   administrator
    //   |helpdesk
    //   ||billing approver and helpdesk
    //   |||password writer
    //   ||||editor
    //   |||||viewer
    //   ||||||claimer
    //   |||||||releaser and editor
    row("11111ky1", "create a customer", &[CUSTOMER], |r| {
        create(r, namespace("verbs-new", &labelled("verbs-customer")))
    }),
    row("11111ky1", "create a customer by server-side apply", &[CUSTOMER], |r| {
        apply(r, namespace("verbs-new", &labelled("verbs-customer")))
    }),
    row("11111ky1", "make a namespace a customer", &[CUSTOMER], |r| {
        relabel(r, r.namespace(), "verbs-customer")
    }),
    row("11111ky1", "make a namespace a customer by server-side apply", &[CUSTOMER], |r| {
        apply(r, namespace(r.namespace(), &labelled("verbs-customer")))
    }),
    row("11111ky1", "make a namespace a customer by its status", &[CUSTOMER], |r| {
        let labels = json!({"metadata": {"labels": labelled("verbs-customer")}});
        r.patch_subresource("Namespace", r.namespace(), "status", &labels).map(drop)
    }),
    row("11111ky1", "correct a customer ID", &[CUSTOMER], |r| {
        relabel(r, "verbs-unlocked", "verbs-customer")
    }),
    row("yyyyykyy", "take a customer ID off again", &[], |r| {
        r.patch(
            "Namespace",
            "verbs-unlocked",
            &json!({"metadata": {"labels": {"roster.rs/customer-id": null}}}),
        )
        .map(drop)
    }),
    row("yyyyykyy", "apply a customer as it is", &[], |r| apply(r, unlocked())),
    row("yyyyykyy", "create another namespace", &[], |r| {
        create(r, namespace("verbs-new", &json!({})))
    }),
    row("yyyyykyy", "label another namespace", &[], |r| {
        r.patch("Namespace", r.namespace(), &json!({"metadata": {"labels": {"some": "label"}}}))
            .map(drop)
    }),
];

const ALL: [&[Row]; 4] = [OF_USERS, OF_GROUPS_AND_DOMAINS, OF_PASSWORDS, OF_CUSTOMER_IDS];

const OURS: &str = "roster.rs/account";
const GROUP: &str = "/spec/groupRef/name";
const GRANTS: &str = "/spec/permissions/grants";
const FROM: &str = "/spec/permissions/from";
const SECRET: &str = "/spec/passwordSecretRef/name";

fn eve() -> Value {
    user("eve").without("/spec/chargeApproved")
}

fn alice() -> Value {
    user("alice").with(GROUP, "administrators")
}

fn bob() -> Value {
    let bob = user("bob")
        .with(GRANTS, json!(["orders:read", "orders:write"]))
        .with(FROM, inherit("carol"));
    bob.with("/spec/role", "Accountant")
        .with("/spec/passwordSecretRef", json!({"name": "bob-password", "key": "password"}))
}

fn carol() -> Value {
    user("carol")
}

fn drivers() -> Value {
    group("drivers")
        .with("/spec/permissions", json!(["routes:read"]))
        .with("/spec/selfService", json!(["Phone"]))
}

fn copy_of(name: &str) -> Value {
    eve().with("/spec", json!({"copyOf": {"name": name}}))
}

fn nameless(object: Value) -> Value {
    object.without("/metadata/name").with("/metadata/generateName", "somebody-")
}

fn inherit(name: &str) -> Value {
    json!({"name": name, "mode": "Inherit"})
}

fn clone(name: &str) -> Value {
    json!({"name": name, "mode": "Clone"})
}

fn from(from: Value) -> Value {
    json!({"permissions": {"from": from}})
}

fn grants(grants: &[&str]) -> Value {
    json!({"permissions": {"grants": grants}})
}

fn join(group: &str) -> Value {
    json!({"groupRef": {"name": group}})
}

fn approved() -> Value {
    json!({"chargeApproved": true})
}

fn secret(reference: Value) -> Value {
    json!({"passwordSecretRef": reference})
}

fn owner() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "c0ffee00-0000-4000-8000-000000000000"})
}

fn password(name: &str) -> Value {
    key(name).with("/type", "roster.rs/password")
}

fn key(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"password": "c2VjcmV0"}, "type": "Opaque"})
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn labelled(id: &str) -> Value {
    json!({"roster.rs/customer-id": id})
}

fn unlocked() -> Value {
    namespace(
        "verbs-unlocked",
        &labelled("verbs-before").with("/roster.rs~1deletion-protection", "off"),
    )
}

fn create(r: &Requester, object: Value) -> Answer {
    r.create(&object).map(drop)
}

fn apply(r: &Requester, object: Value) -> Answer {
    r.apply(&object).map(drop)
}

fn patch(r: &Requester, name: &str, spec: Value) -> Answer {
    r.patch("User", name, &json!({"spec": spec})).map(drop)
}

fn metadata(r: &Requester, name: &str, metadata: Value) -> Answer {
    r.patch("User", name, &json!({"metadata": metadata})).map(drop)
}

fn patch_group(r: &Requester, name: &str, spec: Value) -> Answer {
    r.patch("UserGroup", name, &json!({"spec": spec})).map(drop)
}

fn patch_secret(r: &Requester, patch: Value) -> Answer {
    r.patch("Secret", "bob-password", &patch).map(drop)
}

fn relabel(r: &Requester, namespace: &str, id: &str) -> Answer {
    r.patch("Namespace", namespace, &json!({"metadata": {"labels": labelled(id)}})).map(drop)
}

fn release(r: &Requester, kind: &str, name: &str) -> Answer {
    r.patch(
        kind,
        name,
        &json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}}),
    )
    .map(drop)
}

/// Replaces a User by what it is with one value changed.
fn replace(r: &Requester, name: &str, pointer: &str, value: Value) -> Answer {
    r.replace(&present("User", name).with(pointer, value)).map(drop)
}

fn replace_group(r: &Requester, name: &str, pointer: &str, value: Value) -> Answer {
    r.replace(&present("UserGroup", name).with(pointer, value)).map(drop)
}

/// Returns an object of the matrix's organization as it is.
fn present(kind: &str, name: &str) -> Value {
    static ADMIN: LazyLock<Requester> = LazyLock::new(|| organization().admin());
    ADMIN.get(kind, name).expect("it is there")
}

/// Returns the organization that all rows are about; their requests are dry runs.
fn organization() -> &'static Organization {
    static ORGANIZATION: LazyLock<Organization> = LazyLock::new(|| {
        let organization = CLUSTER.organization();
        for object in [
            group("administrators").with("/spec/fullControl", true),
            group("users"),
            drivers(),
            group("ops").with("/spec/fullControl", true),
            group("nothing"),
            group("held"),
            domain("acme.example"),
            domain("held.example"),
            alice(),
            bob(),
            carol(),
            user("chris").with(FROM, clone("carol")),
            user("dave").without("/spec/chargeApproved"),
            user("frank")
                .with(GROUP, "drivers")
                .with("/spec/state", "Disabled")
                .with("/metadata/finalizers", json!(["example.com/other"])),
            user("gina").with("/spec/copyOf/name", "alice").with("/spec/adopt", ACCOUNT),
            user("hugo"),
            user("leo"),
            password("bob-password"),
            key("bob-key"),
            unlocked(),
        ] {
            passed(organization.admin().create(&object));
        }
        for (kind, name) in [
            ("UserGroup", "held"),
            ("OrgEmailDomain", "held.example"),
            ("User", "hugo"),
            ("User", "leo"),
        ] {
            passed(organization.admin().delete(kind, name));
        }
        passed(organization.operators_account().patch(
            "User",
            "leo",
            &json!({"metadata": {"finalizers": null}}),
        ));
        organization
    });
    &ORGANIZATION
}

/// Splits a need such as `grant users/alice` into verb, resource and name.
fn parts(need: &str) -> (&str, &str, Option<&str>) {
    let (verb, object) = need.split_once(' ').expect("a verb and an object");
    let (resource, name) =
        object.split_once('/').map_or((object, None), |(resource, name)| (resource, Some(name)));
    (verb, resource, name)
}

/// Returns what the refusal says of somebody who lacks a need.
fn missing(need: &str) -> String {
    let (verb, resource, name) = parts(need);
    let name = name.map(|name| format!("/{name}")).unwrap_or_default();
    format!("needs the verb {verb} on {resource}.roster.rs{name}")
}

/// Binds a group to a role of its own with these rules, in a namespace or, where that is `None`, in
/// the cluster.
pub(crate) fn bind(group: &str, namespace: Option<&str>, number: usize, rules: &Value) {
    let api = "rbac.authorization.k8s.io";
    let (version, name) = (format!("{api}/v1"), format!("verbs-{number}"));
    let role = json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    passed(CLUSTER.admin().create(&role));
    let (kind, admin) = match namespace {
        Some(namespace) => ("RoleBinding", CLUSTER.organization_named(namespace).admin()),
        None => ("ClusterRoleBinding", CLUSTER.admin()),
    };
    passed(admin.create(&json!({
        "apiVersion": version, "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": group}],
    })));
}

/// Asks the authorizer whether members of groups have a verb, in a namespace or, where that is
/// empty, in the cluster.
pub(crate) fn may(groups: &[&str], namespace: &str, need: &str) -> bool {
    let (verb, resource, name) = parts(need);
    let review = json!({"spec": {"user": "somebody", "groups": groups, "resourceAttributes": {
        "group": "roster.rs", "resource": resource, "verb": verb, "name": name, "namespace": namespace,
    }}});
    let review: SubjectAccessReview = serde_json::from_value(review).expect("a review");
    let answer = run(Api::all(CLUSTER.admin().client()).create(&PostParams::default(), &review));
    answer.expect("the authorizer answers").status.expect("it says so").allowed
}

/// Makes a group for each need of the matrix, named as the need is, whose members have that verb
/// and nothing else; and the group `executors`, whose members may write Secrets and namespaces as far
/// as Kubernetes is concerned.
fn with_groups() {
    static BOUND: LazyLock<()> = LazyLock::new(|| {
        let needs: BTreeSet<&str> =
            ALL.iter().flat_map(|rows| rows.iter()).flat_map(|row| row.needs).copied().collect();
        let executors = [
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "update", "patch", "delete"]}),
            json!({"apiGroups": [""], "resources": ["namespaces", "namespaces/status"], "verbs": ["create", "update", "patch"]}),
        ];
        bind("executors", None, 0, &json!(executors));
        for (number, need) in needs.iter().enumerate() {
            let (verb, resource, name) = parts(need);
            let names: Vec<&str> = name.into_iter().collect();
            // A customer ID belongs to no namespace, everything else to one.
            let namespace = (resource != "customerids").then_some(organization().name.as_str());
            bind(
                need,
                namespace,
                number + 1,
                &json!([{"apiGroups": ["roster.rs"], "resources": [resource], "resourceNames": names, "verbs": [verb]}]),
            );
        }
        // The authorizer learns of roles and of bindings through watches.
        for need in needs {
            let namespace = if need == CUSTOMER { "" } else { &organization().name };
            eventually("the groups' rights are known", || {
                may(&[need], namespace, need).then_some(())
            });
        }
    });
    LazyLock::force(&BOUND);
}

/// Makes requests as members of groups, one client for each set of groups.
#[derive(Default)]
struct People(BTreeMap<Vec<&'static str>, Requester>);

impl People {
    fn answer(&mut self, row: &Row, groups: &[&'static str]) -> Answer {
        let organization = organization();
        let person = self
            .0
            .entry(groups.to_vec())
            .or_insert_with(|| organization.as_member("somebody", groups).dry_run());
        (row.request)(person)
    }
}

/// Says what is wrong with an answer, if anything; `expected` is what the refusal has to say.
fn judged(answer: &Answer, expected: Option<&str>) -> Option<String> {
    match (answer, expected) {
        (Ok(()), None) => None,
        (Ok(()), Some(text)) => Some(format!("passed; expected: {text}")),
        (Err(refusal), Some(text)) if refusal.code == 403 && refusal.message.contains(text) => None,
        (Err(refusal), Some(text)) => Some(format!("expected: {text}; refused with {refusal:?}")),
        (Err(refusal), None) => Some(format!("refused with {refusal:?}")),
    }
}

/// Checks every cell: each role as the letters say; somebody with exactly the verbs that are
/// needed, who passes; for each of these, somebody with all but that one, who is refused; and an
/// administrator of the cluster, who passes.
#[track_caller]
fn check(rows: &[Row]) {
    with_groups();
    let mut people = People::default();
    let mut wrong = vec![];
    for row in rows {
        let mut cell = |who: &str, groups: &[&'static str], expected: Option<&str>| {
            if let Some(difference) = judged(&people.answer(row, groups), expected) {
                wrong.push(format!("{}, as {who}: {difference}", row.way));
            }
        };
        for ((role, groups), letter) in ROLES.iter().zip(row.cells.chars()) {
            let need = letter.to_digit(10).map(|number| missing(row.needs[number as usize - 1]));
            match letter {
                'y' => cell(role, groups, None),
                'k' => cell(role, groups, Some(" cannot ")),
                _ => cell(role, groups, need.as_deref()),
            }
        }
        let executors = ["editors", "executors"];
        cell("somebody with exactly the verbs", &[&executors, row.needs].concat(), None);
        for need in row.needs {
            let others: Vec<_> =
                row.needs.iter().copied().filter(|other| other != need).chain(executors).collect();
            cell(&format!("somebody without {need}"), &others, Some(&missing(need)));
        }
        cell("an administrator of the cluster", &["system:masters"], None);
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn users_are_changed_by_those_who_have_the_verbs() {
    check(OF_USERS);
}

#[test]
fn groups_and_domains_are_changed_by_those_who_have_the_verbs() {
    check(OF_GROUPS_AND_DOMAINS);
}

#[test]
fn passwords_are_set_by_those_who_have_the_verb() {
    check(OF_PASSWORDS);
}

#[test]
fn customer_ids_are_claimed_by_those_who_have_the_verb() {
    check(OF_CUSTOMER_IDS);
}

#[test]
fn the_matrix_is_complete() {
    let rows: Vec<&Row> = ALL.iter().flat_map(|rows| rows.iter()).collect();
    // The roles, somebody with exactly the verbs, somebody without each, and an administrator of
    // the cluster.
    let cells: usize = rows.iter().map(|row| ROLES.len() + 1 + row.needs.len() + 1).sum();
    assert!(cells >= 200, "only {cells} cells");
    for row in &rows {
        assert_eq!(row.cells.chars().count(), ROLES.len(), "{}", row.way);
        assert!(row.cells.contains('y'), "{}: some role passes", row.way);
        assert_eq!(
            row.needs.is_empty(),
            !row.cells.contains(|letter: char| letter.is_ascii_digit()),
            "{}",
            row.way
        );
    }
    let verbs: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.needs)
        .map(|need| parts(need))
        .map(|(verb, resource, _)| format!("{verb} {resource}"))
        .collect();
    let expected = [
        "administer usergroups",
        "adopt accounts",
        "approve-charge users",
        "claim customerids",
        "grant permissions",
        "grant usergroups",
        "grant users",
        "release orgemaildomains",
        "release usergroups",
        "set-password passwords",
    ];
    assert_eq!(verbs, expected.map(str::to_owned).into());
}
