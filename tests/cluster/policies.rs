//! What the admission policies refuse, and what they let pass.

use roster_test_support::cluster::{
    Organization, With, domain, eventually, group, passed, refused, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

fn with_account(user: Value) -> Value {
    user.with("/status/accountId", "0193a4b0-0000-7000-8000-000000000001")
}

/// By the credentials of its own, and by those of all controllers where they share them.
const NAMESPACE_CONTROLLER: [&str; 2] =
    ["system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager"];

const GARBAGE_COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

const PROTECTED: &str = "ValidatingAdmissionPolicy 'protected.roster.rs' with binding 'protected.roster.rs' denied request: \
    deleting alice deletes its account, which can't be undone: set spec.deletionProtection to Disabled first, then delete it";

#[test]
fn a_protected_user_with_an_account_cannot_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&with_account(user("alice")));
    refused(organization.admin().delete("User", "alice"), PROTECTED);
    refused(organization.as_user("bob").delete("User", "alice"), PROTECTED);
    refused(organization.as_user("bob").delete_all("User"), PROTECTED);
}

#[test]
fn a_user_whose_protection_is_off_can_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&with_account(user("alice").with("/spec/deletionProtection", "Disabled")));
    passed(organization.as_user("bob").delete("User", "alice"));
}

#[test]
fn a_user_whose_account_is_retained_can_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&with_account(user("alice").with("/spec/deletionPolicy", "Retain")));
    passed(organization.as_user("bob").delete("User", "alice"));
}

#[test]
fn a_protected_user_without_an_account_can_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&user("alice"));
    organization
        .has(&user("carol").with("/status/observedGeneration", 1).with("/status/state", "Pending"));
    passed(organization.as_user("bob").delete("User", "alice"));
    passed(organization.as_user("bob").delete("User", "carol"));
}

#[test]
fn a_user_that_is_being_deleted_may_be_deleted_again() {
    let organization = CLUSTER.organization();
    organization.has(&user("alice"));
    passed(organization.admin().delete("User", "alice"));
    let account = json!({"accountId": "0193a4b0-0000-7000-8000-000000000001", "heirs": 2});
    passed(organization.operators_account().patch_status("User", "alice", &account));
    passed(organization.admin().delete("User", "alice"));
}

#[test]
fn a_user_with_heirs_cannot_be_deleted() {
    let organization = CLUSTER.organization();
    organization
        .has(&user("alice").with("/spec/deletionProtection", "Disabled").with("/status/heirs", 2));
    refused(
        organization.as_user("bob").delete("User", "alice"),
        "'in-use.roster.rs' denied request: User alice can't be deleted while others inherit from it (2 now): \
         change spec.permissions.from of its heirs or delete them first; the count follows within 10 seconds",
    );
}

#[test]
fn a_group_with_members_cannot_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&group("drivers").with("/status/members", 3));
    refused(
        organization.as_user("bob").delete("UserGroup", "drivers"),
        "'in-use.roster.rs' denied request: UserGroup drivers can't be deleted while it has members (3 now): \
         change spec.groupRef of its members or delete them first; the count follows within 10 seconds",
    );
}

#[test]
fn a_domain_with_users_cannot_be_deleted() {
    let organization = CLUSTER.organization();
    organization.has(&domain("acme.example").with("/status/users", 1));
    refused(
        organization.as_user("bob").delete("OrgEmailDomain", "acme.example"),
        "'in-use.roster.rs' denied request: OrgEmailDomain acme.example can't be deleted while Users have an email in it \
         (1 now): change spec.email of its Users or delete them first; the count follows within 10 seconds",
    );
}

#[test]
fn what_was_released_can_be_deleted_whatever_was_counted_last() {
    let organization = CLUSTER.organization();
    let admin = organization.admin();
    let released = json!({"roster.rs/release": "true"});
    for object in [
        with_account(user("alice")).with("/status/heirs", 2),
        group("drivers").with("/status/members", 3),
        domain("acme.example").with("/status/users", 1),
    ] {
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        organization.has(&object.clone().with("/metadata/annotations", released.clone()));
        passed(admin.patch(kind, name, &json!({"metadata": {"finalizers": null}})));
        passed(admin.delete(kind, name));
    }
}

#[test]
fn what_nobody_uses_can_be_deleted() {
    let organization = CLUSTER.organization();
    let bob = organization.as_user("bob");
    for (number, count) in [None, Some(0)].into_iter().enumerate() {
        let counted = |object: Value, field: &str| match count {
            Some(count) => object.with(&format!("/status/{field}"), count),
            None => object,
        };
        for (kind, object) in [
            ("User", counted(user(&format!("alice-{number}")), "heirs")),
            ("UserGroup", counted(group(&format!("drivers-{number}")), "members")),
            ("OrgEmailDomain", counted(domain(&format!("acme-{number}.example")), "users")),
        ] {
            organization.has(&object);
            passed(bob.delete(kind, object["metadata"]["name"].as_str().expect("a name")));
        }
    }
}

#[test]
fn in_a_namespace_that_goes_away_nothing_is_in_use_but_protection_stays() {
    let organization = CLUSTER.organization();
    organization.has(&with_account(user("alice")).with("/status/heirs", 2));
    organization
        .has(&user("carol").with("/spec/deletionProtection", "Disabled").with("/status/heirs", 2));
    organization.has(&group("drivers").with("/status/members", 3));
    organization.has(&domain("acme.example").with("/status/users", 1));
    passed(organization.admin().delete("Namespace", &organization.name));
    let admin = organization.admin();
    eventually("the policies know that the namespace goes", || {
        admin.dry_run().delete("UserGroup", "drivers").ok()
    });
    refused(admin.delete("User", "alice"), PROTECTED);
    refused(
        organization.as_member(GARBAGE_COLLECTOR, &["editors"]).delete("User", "alice"),
        PROTECTED,
    );
    passed(admin.delete("User", "carol"));
    passed(admin.delete("UserGroup", "drivers"));
    passed(admin.delete("OrgEmailDomain", "acme.example"));
    // The namespace controller's one request for all Users would end at the first refusal.
    for controller in NAMESPACE_CONTROLLER {
        passed(organization.as_member(controller, &["editors"]).dry_run().delete_all("User"));
    }
}

#[test]
fn in_a_namespace_that_stays_the_namespace_controller_may_not_delete_who_is_protected() {
    let organization = CLUSTER.organization();
    organization.has(&with_account(user("alice")));
    for controller in NAMESPACE_CONTROLLER {
        refused(
            organization.as_member(controller, &["administrators"]).delete("User", "alice"),
            PROTECTED,
        );
    }
}

#[test]
fn status_is_written_by_the_operator_only() {
    let organization = CLUSTER.organization();
    let objects = [user("alice"), group("drivers"), domain("acme.example")];
    for object in objects {
        organization.has(&object);
        let (kind, name) = (
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name"),
        );
        let status = json!({"observedGeneration": 1});
        refused(
            organization.admin().patch_status(kind, name, &status),
            &format!(
                "'status.roster.rs' denied request: the status of {name} is written by the operator only"
            ),
        );
        passed(organization.operators_account().patch_status(kind, name, &status));
        // Through the object itself the API server ignores it.
        let edited = passed(organization.admin().patch(
            kind,
            name,
            &json!({"status": {"observedGeneration": 7}}),
        ));
        assert_eq!(edited["status"]["observedGeneration"], 1);
    }
}

#[test]
fn the_operator_may_not_create_or_delete_people() {
    let organization = CLUSTER.organization();
    let operator = organization.operators_account();
    refused(operator.create(&user("alice")), "cannot create resource \"users\"");
    organization.has(&user("alice"));
    refused(operator.delete("User", "alice"), "cannot delete resource \"users\"");
    refused(operator.create(&domain("acme.example")), "cannot create resource \"orgemaildomains\"");
}

fn customer(id: &str) -> Organization {
    CLUSTER.organization_with_labels(&json!({"roster.rs/customer-id": id}))
}

fn label(name: &str, value: Option<&str>) -> Value {
    json!({"metadata": {"labels": {name: value}}})
}

#[test]
fn the_namespace_of_a_customer_cannot_be_deleted_by_mistake() {
    let organization = customer("acme-east");
    let name = &organization.name;
    refused(
        organization.admin().delete("Namespace", name),
        &format!(
            "namespace {name} is the organization acme-east, and every account goes with it: \
             label it roster.rs/deletion-protection=off first, then delete it"
        ),
    );
    for value in ["on", "Off", "false"] {
        passed(organization.admin().patch(
            "Namespace",
            name,
            &label("roster.rs/deletion-protection", Some(value)),
        ));
        refused(
            organization.admin().delete("Namespace", name),
            "label it roster.rs/deletion-protection=off first",
        );
    }
    passed(organization.admin().patch(
        "Namespace",
        name,
        &label("roster.rs/deletion-protection", Some("off")),
    ));
    passed(organization.admin().delete("Namespace", name));
}

#[test]
fn a_namespace_on_its_way_out_may_be_deleted_again() {
    let organization = customer("acme-west");
    let (admin, name) = (organization.admin(), &organization.name);
    let labels = json!({"roster.rs/deletion-protection": "off"});
    passed(admin.patch(
        "Namespace",
        name,
        &json!({"metadata": {"labels": labels, "finalizers": ["example.com/other"]}}),
    ));
    passed(admin.delete("Namespace", name));
    passed(admin.patch("Namespace", name, &label("roster.rs/deletion-protection", None)));
    // As the namespace controller does once everything in it is gone.
    let emptied =
        admin.get("Namespace", name).expect("it is there").with("/spec/finalizers", json!([]));
    let path = format!("/api/v1/namespaces/{name}/finalize");
    organization
        .kubectl(&["replace", "--raw", &path, "-f", "-"], &emptied.to_string())
        .expect_success();
    passed(admin.delete("Namespace", name));
}

#[test]
fn other_namespaces_can_be_deleted() {
    let organization = CLUSTER.organization();
    passed(organization.admin().delete("Namespace", &organization.name));
}

#[test]
fn a_customer_id_can_neither_be_changed_nor_removed() {
    let organization = customer("acme-north");
    let (admin, name) = (organization.admin(), &organization.name);
    let text = format!(
        "the customer ID acme-north of namespace {name} can't be changed or removed: it is part of every login name in it"
    );
    for value in [Some("other"), None] {
        refused(admin.patch("Namespace", name, &label("roster.rs/customer-id", value)), &text);
        refused(
            admin.patch_subresource(
                "Namespace",
                name,
                "status",
                &label("roster.rs/customer-id", value),
            ),
            &text,
        );
        let namespace = admin
            .get("Namespace", name)
            .expect("it is there")
            .with("/metadata/labels/roster.rs~1customer-id", value);
        let path = format!("/api/v1/namespaces/{name}/finalize");
        let finalized =
            organization.kubectl(&["replace", "--raw", &path, "-f", "-"], &namespace.to_string());
        assert!(finalized.stderr.contains(&text), "{finalized:?}");
    }
    passed(admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("acme-north"))));
    passed(admin.patch("Namespace", name, &label("other", Some("edit"))));
}

#[test]
fn a_mistaken_customer_id_can_be_corrected_once_it_is_unlocked() {
    let organization = customer("acme-nroth");
    let (admin, name) = (organization.admin(), &organization.name);
    refused(
        admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("acme-south"))),
        "roster.rs/deletion-protection=off",
    );
    passed(admin.patch("Namespace", name, &label("roster.rs/deletion-protection", Some("off"))));
    refused(
        admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("Acme.South"))),
        "is not a DNS label",
    );
    passed(admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("acme-south"))));
    passed(admin.patch("Namespace", name, &label("roster.rs/deletion-protection", None)));
    refused(
        admin.patch("Namespace", name, &label("roster.rs/customer-id", None)),
        "can't be changed or removed",
    );
}

#[test]
fn a_namespace_may_get_its_customer_id_later() {
    let organization = CLUSTER.organization();
    let (admin, name) = (organization.admin().dry_run(), &organization.name);
    passed(admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("late"))));
    refused(
        admin.patch("Namespace", name, &label("roster.rs/customer-id", Some("La.te"))),
        "is not a DNS label",
    );
}

#[test]
fn a_customer_id_is_a_dns_label() {
    let create = |id: &str| {
        CLUSTER.admin().dry_run().create(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "a-customer", "labels": {"roster.rs/customer-id": id}},
        }))
    };
    for id in ["Acme", "acme.example", "acme_1", ""] {
        refused(
            create(id),
            &format!(
                "the customer ID {id} is not a DNS label: at most 63 lower-case letters, digits and dashes, \
                 with a letter or digit at both ends"
            ),
        );
    }
    for id in ["a", "7", "acme-1", &"a".repeat(63)] {
        passed(create(id));
    }
}
