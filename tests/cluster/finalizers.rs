//! The finalizer is on every object, and stays until the operator or somebody with the right takes
//! it off.

use roster_test_support::cluster::{Organization, With, domain, group, passed, refused, user};
use serde_json::{Value, json};

use crate::CLUSTER;

const FINALIZER: &str = "roster.rs/account";

fn finalizers(object: &Value) -> Vec<&str> {
    let all = object["metadata"]["finalizers"].as_array();
    all.into_iter().flatten().map(|one| one.as_str().expect("a finalizer is text")).collect()
}

fn of_every_kind() -> [Value; 3] {
    [user("alice"), group("drivers"), domain("acme.example")]
}

fn kind_and_name(object: &Value) -> (&str, &str) {
    (object["kind"].as_str().expect("a kind"), object["metadata"]["name"].as_str().expect("a name"))
}

/// Creates an object and deletes it, so that only its finalizer keeps it.
fn held(organization: &Organization, object: &Value) {
    let (kind, name) = kind_and_name(object);
    organization.has(object);
    passed(organization.admin().delete(kind, name));
    let object = organization.admin().get(kind, name).expect("the finalizer holds it");
    assert!(object["metadata"]["deletionTimestamp"].is_string(), "{object:#}");
}

fn released() -> Value {
    json!({"metadata": {"annotations": {"roster.rs/release": "true"}, "finalizers": null}})
}

fn taken_off() -> Value {
    json!({"metadata": {"finalizers": null}})
}

#[test]
fn every_kind_gets_the_finalizer_when_it_is_created() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        assert_eq!(finalizers(&passed(organization.as_user("bob").create(&object))), [FINALIZER]);
    }
}

#[test]
fn the_operators_own_groups_get_the_finalizer_too() {
    let organization = CLUSTER.organization();
    let created = passed(organization.operators_account().create(&group("users")));
    assert_eq!(finalizers(&created), [FINALIZER]);
}

#[test]
fn the_finalizers_of_others_stay() {
    let organization = CLUSTER.organization();
    let created =
        organization.has(&user("alice").with("/metadata/finalizers", json!(["example.com/other"])));
    let mut all = finalizers(&created);
    all.sort_unstable();
    assert_eq!(all, ["example.com/other", FINALIZER]);
}

#[test]
fn a_null_for_the_finalizers_is_an_empty_list() {
    let created =
        CLUSTER.organization().has(&user("alice").with("/metadata/finalizers", Value::Null));
    assert_eq!(finalizers(&created), [FINALIZER]);
}

#[test]
fn applying_an_object_does_not_own_the_finalizer() {
    let organization = CLUSTER.organization();
    for _ in 0..2 {
        organization
            .kubectl(&["apply", "--server-side", "-f", "-"], &user("alice").to_string())
            .expect_success();
        let alice = organization.admin().get("User", "alice").expect("it is there");
        assert_eq!(finalizers(&alice), [FINALIZER]);
    }
}

#[test]
fn replacing_an_object_without_the_finalizer_keeps_it() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        let version = organization.has(&object)["metadata"]["resourceVersion"].clone();
        let replaced = passed(
            organization.admin().replace(&object.with("/metadata/resourceVersion", version)),
        );
        assert_eq!(finalizers(&replaced), [FINALIZER]);
    }
}

#[test]
fn taking_the_finalizer_off_puts_it_back() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        organization.has(&object);
        let (kind, name) = kind_and_name(&object);
        assert_eq!(
            finalizers(&passed(organization.admin().patch(kind, name, &taken_off()))),
            [FINALIZER]
        );
    }
}

#[test]
fn the_annotation_alone_releases_nothing() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        organization.has(&object);
        let (kind, name) = kind_and_name(&object);
        assert_eq!(
            finalizers(&passed(organization.as_user("bob").patch(kind, name, &released()))),
            [FINALIZER]
        );
    }
}

#[test]
fn the_verb_and_the_annotation_release_an_object() {
    let organization = CLUSTER.organization();
    let releaser = organization.as_member("carol", &["administrators", "releasers"]);
    for object in of_every_kind() {
        organization.has(&object);
        let (kind, name) = kind_and_name(&object);
        let after = passed(releaser.patch(kind, name, &released()));
        assert!(finalizers(&after).is_empty(), "{after:#}");
        let later =
            passed(releaser.patch(kind, name, &json!({"metadata": {"labels": {"some": "edit"}}})));
        assert!(finalizers(&later).is_empty(), "what was released stays so: {later:#}");
    }
}

#[test]
fn the_operator_takes_the_finalizer_off() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        held(&organization, &object);
        let (kind, name) = kind_and_name(&object);
        passed(organization.operators_account().patch(kind, name, &taken_off()));
        assert_eq!(organization.admin().get(kind, name), None);
    }
}

#[test]
fn the_operator_may_take_the_finalizer_off_at_any_time() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        organization.has(&object);
        let (kind, name) = kind_and_name(&object);
        let after = passed(organization.operators_account().patch(kind, name, &taken_off()));
        assert!(finalizers(&after).is_empty(), "{after:#}");
    }
}

#[test]
fn the_verb_is_asked_for_the_kind_in_question() {
    let organization = CLUSTER.organization();
    let releaser = organization.as_member("dave", &["administrators", "group-releasers"]);
    for object in of_every_kind() {
        organization.has(&object);
        let (kind, name) = kind_and_name(&object);
        let after = passed(releaser.patch(kind, name, &released()));
        assert_eq!(finalizers(&after).is_empty(), kind == "UserGroup", "{after:#}");
    }
}

#[test]
fn while_an_object_is_being_deleted_taking_its_finalizer_off_is_refused() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        held(&organization, &object);
        let (kind, name) = kind_and_name(&object);
        let text = format!(
            "the operator takes the finalizer roster.rs/account off {name} once its account is gone; to let go of it \
             without the operator, annotate it with roster.rs/release=true, which needs the verb release"
        );
        refused(organization.admin().patch(kind, name, &taken_off()), &text);
        refused(organization.as_user("bob").patch(kind, name, &taken_off()), &text);
        let resource = format!("{}s.roster.rs/{name}", kind.to_lowercase());
        refused(
            organization.as_user("bob").patch(kind, name, &released()),
            &format!(
                "taking the finalizer roster.rs/account off {name} needs the verb release on {resource}"
            ),
        );
    }
}

#[test]
fn while_an_object_is_being_deleted_the_verb_and_the_annotation_release_it() {
    let organization = CLUSTER.organization();
    for object in of_every_kind() {
        held(&organization, &object);
        let (kind, name) = kind_and_name(&object);
        passed(organization.as_member("carol", &["editors", "releasers"]).patch(
            kind,
            name,
            &released(),
        ));
        assert_eq!(organization.admin().get(kind, name), None);
    }
}

#[test]
fn while_an_object_is_being_deleted_other_edits_pass() {
    let organization = CLUSTER.organization();
    held(&organization, &user("alice"));
    let edited = organization.as_user("bob").patch(
        "User",
        "alice",
        &json!({"spec": {"deletionProtection": "Disabled"}}),
    );
    assert_eq!(finalizers(&passed(edited)), [FINALIZER]);
}
