//! What the garbage collector may do to a `User` that has an owner, or is one.

use roster_test_support::cluster::{
    Operator, Organization, condition, domain, eventually, passed, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;
use crate::acme::{owned_by, unprotected};

const GARBAGE_COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// An organization that lists acme.example, with its operator.
fn organization() -> (Organization, Operator) {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let operator = Operator::start(&organization);
    (organization, operator)
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[test]
fn the_garbage_collector_deletes_no_user_whose_owner_is_gone_unless_it_has_the_verb() {
    let (organization, operator) = organization();
    let admin = organization.admin();
    let (crew, shift) =
        (passed(admin.create(&config_map("crew"))), passed(admin.create(&config_map("shift"))));
    for owned in [
        owned_by(&crew, user("alice")),
        owned_by(&crew, unprotected("bob")),
        owned_by(&shift, unprotected("carol")),
    ] {
        passed(admin.create(&owned));
    }
    let names = ["alice", "bob", "carol"];
    names.iter().for_each(|name| drop(organization.until_ready("User", name)));

    passed(admin.delete("ConfigMap", "crew"));
    let refused = |name: &str| {
        let is_it = |event: &&Value| {
            let about = &event["objectRef"];
            event["verb"] == "delete" && about["resource"] == "users" && about["name"] == name
        };
        let event = organization.audited(GARBAGE_COLLECTOR).iter().find(is_it)?.clone();
        assert_eq!(event["responseStatus"]["code"], 403, "{event:#}");
        event["responseStatus"]["message"].as_str().map(str::to_owned)
    };
    eventually("the garbage collector is refused to delete alice", || refused("alice"));
    let refusal = eventually("the garbage collector is refused to delete bob", || refused("bob"));
    assert!(
        refusal.contains(
            "deleting the User bob needs the verb administer on usergroups.roster.rs/users"
        ),
        "{refusal}"
    );
    for name in names {
        let user = admin.get("User", name).expect("it is there");
        assert_eq!(user["metadata"]["deletionTimestamp"], Value::Null, "{user:#}");
        assert_eq!(condition(&user, "Ready")["status"], "True");
    }
    assert_eq!(operator.users().len(), 3);

    let account = format!(
        "--serviceaccount={}",
        GARBAGE_COLLECTOR.trim_start_matches("system:serviceaccount:")
    );
    organization
        .kubectl(
            &["create", "rolebinding", "collector", "--clusterrole=roster-administrator", &account],
            "",
        )
        .expect_success();
    let may =
        ["auth", "can-i", "administer", "usergroups.roster.rs/users", "--as", GARBAGE_COLLECTOR];
    eventually("the garbage collector's right is known", || {
        organization.kubectl(&may, "").success.then_some(())
    });
    passed(admin.delete("ConfigMap", "shift"));
    organization.until_gone("User", "carol");
    assert!(
        operator.users().iter().any(|account| account["email"] == "alice@acme.example"),
        "she is protected"
    );
}

#[test]
fn a_user_is_deleted_in_the_foreground_and_with_its_dependents_left() {
    let (organization, operator) = organization();
    let admin = organization.admin();
    let deletions = [("alice", "foreground"), ("bob", "orphan"), ("carol", "background")];
    for (name, _) in deletions {
        let user = passed(admin.create(&unprotected(name)));
        let mut of_user = owned_by(&user, config_map(&format!("of-{name}")));
        of_user["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = true.into();
        passed(admin.create(&of_user));
        organization.until_ready("User", name);
    }
    for (name, cascade) in deletions {
        let cascade = format!("--cascade={cascade}");
        organization
            .kubectl(
                &[
                    "delete",
                    "user.roster.rs",
                    name,
                    &cascade,
                    "--timeout=60s",
                    "--as=hans",
                    "--as-group=helpdesk",
                ],
                "",
            )
            .expect_success();
        assert_eq!(admin.get("User", name), None);
    }
    organization.until_gone("ConfigMap", "of-alice");
    organization.until_gone("ConfigMap", "of-carol");
    assert_eq!(
        admin.get("ConfigMap", "of-bob").expect("it was left")["metadata"]["ownerReferences"],
        Value::Null
    );
    assert!(operator.users().is_empty());
}
