//! What can't be done: it says why and what to do, and goes on by itself once that is done.

use roster_test_support::cluster::{
    Operator, Organization, With, condition, domain, group, passed, refused, user,
};
use serde_json::{Value, json};

use crate::CLUSTER;

fn organization() -> (Organization, Operator) {
    let organization = CLUSTER.organization();
    passed(organization.admin().create(&domain("acme.example")));
    let operator = Operator::start(&organization);
    (organization, operator)
}

/// Expects that a User is refused or waits with this reason, and that its message names the cure.
#[track_caller]
fn check(organization: &Organization, name: &str, reason: &str, trend: &str, cure: &str) -> Value {
    check_kind(organization, ("User", name), reason, (trend, cure))
}

/// Expects the same of an object of any kind.
#[track_caller]
fn check_kind(
    organization: &Organization,
    (kind, name): (&str, &str),
    reason: &str,
    (trend, cure): (&str, &str),
) -> Value {
    let object = organization.until_reason(kind, name, reason);
    let message = condition(&object, "Ready")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(cure), "{cure:?} isn't in: {message}");
    assert_eq!(condition(&object, trend)["reason"], reason, "{trend} is true");
    let other = if trend == "Stalled" { "Reconciling" } else { "Stalled" };
    assert_eq!(condition(&object, other), &Value::Null, "{other} is absent");
    object
}

#[test]
fn a_domain_that_is_not_listed_is_waited_for() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("dave").with("/spec/email", "dave@other.example")));
    let dave =
        check(&organization, "dave", "DomainNotAllowed", "Reconciling", "add an OrgEmailDomain");
    assert_eq!(dave["status"]["state"], "Pending");
    assert_eq!(dave["status"]["email"], "dave@other.example", "the email asked for is shown");
    assert_eq!(condition(&dave, "EmailAccepted")["reason"], "DomainNotAllowed");
    assert!(operator.users().is_empty());
    passed(organization.admin().create(&domain("other.example")));
    organization.until_ready("User", "dave");
}

#[test]
fn an_email_is_taken_also_in_another_case_and_as_an_idn() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&domain("xn--bcher-kva.example")));
    passed(
        organization.admin().create(
            &user("alice")
                .with("/spec/email", "a@bücher.example")
                .with("/spec/deletionProtection", "Disabled"),
        ),
    );
    organization.until_ready("User", "alice");
    for (name, email) in [("anna", "A@BÜCHER.example"), ("anton", "a@XN--BCHER-KVA.example")] {
        passed(organization.admin().create(
            &user(name).with("/spec/email", email).with("/spec/deletionProtection", "Disabled"),
        ));
        check(&organization, name, "EmailTaken", "Stalled", "belongs to the User alice");
    }
    passed(organization.admin().delete("User", "anton"));
    organization.until_gone("User", "anton");
    assert_eq!(operator.users().len(), 1, "the loser's deletion touches nothing of the winner's");
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"email": "alice@acme.example"}}),
    ));
    organization.until_ready("User", "alice");
    organization.until_ready("User", "anna");
}

#[test]
fn users_may_swap_and_pass_round_their_emails_in_one_apply() {
    let (organization, operator) = organization();
    let names = ["alice", "bob", "carol"];
    let people = |shift: usize| {
        let with_email = |(at, name): (usize, &&str)| {
            user(name).with("/spec/email", format!("{}@acme.example", names[(at + shift) % 3]))
        };
        json!({"apiVersion": "v1", "kind": "List", "items": names.iter().enumerate().map(with_email).collect::<Vec<_>>()})
            .to_string()
    };
    for shift in [0, 1] {
        organization.kubectl(&["apply", "-f", "-"], &people(shift)).expect_success();
        for name in names {
            organization.until_ready("User", name);
        }
    }
    let logins: Vec<Value> = operator.users().iter().map(|row| row["loginName"].clone()).collect();
    let login = |name: &str| json!(format!("{name}.{}", organization.name));
    assert_eq!(
        logins,
        [login("carol"), login("alice"), login("bob")],
        "sorted by email, each has the next one's"
    );
    let swap =
        |name: &str, email: &str| user(name).with("/spec/email", format!("{email}@acme.example"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [swap("alice", "alice"), swap("carol", "bob")]});
    organization.kubectl(&["apply", "-f", "-"], &list.to_string()).expect_success();
    organization.until_ready("User", "alice");
    organization.until_ready("User", "carol");
}

#[test]
fn an_unknown_group_is_waited_for_and_an_account_stays_where_it_is() {
    let (organization, operator) = organization();
    passed(
        organization
            .admin()
            .create(&user("alice").with("/spec/groupRef", json!({"name": "drivers"}))),
    );
    check(&organization, "alice", "GroupNotFound", "Reconciling", "create it");
    passed(organization.admin().create(&group("drivers")));
    organization.until_ready("User", "alice");
    passed(organization.admin().patch(
        "User",
        "alice",
        &json!({"spec": {"groupRef": {"name": "nowhere"}, "role": "Driver"}}),
    ));
    let alice = check(&organization, "alice", "GroupNotFound", "Reconciling", "create it");
    assert_eq!(alice["status"]["group"], "drivers", "the group in force stays");
    assert_eq!(operator.users()[0]["role"], "Driver", "the other parts of the edit are applied");
}

#[test]
fn without_an_approved_charge_there_is_no_account() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("alice").with("/spec/chargeApproved", false)));
    let alice = check(
        &organization,
        "alice",
        "ChargeNotApproved",
        "Stalled",
        "spec.chargeApproved to true",
    );
    assert_eq!(condition(&alice, "Billable")["reason"], "ChargeNotApproved");
    assert!(operator.users().is_empty());
    passed(organization.admin().delete("User", "alice"));
    organization.until_gone("User", "alice");
    passed(organization.admin().create(&user("alice").with("/spec/chargeApproved", false)));
    passed(organization.admin().patch("User", "alice", &json!({"spec": {"chargeApproved": true}})));
    organization.until_ready("User", "alice");
}

#[test]
fn a_secret_that_is_not_there_and_an_account_that_nobody_has_are_named_in_the_refusal() {
    let (organization, operator) = organization();
    for (number, (pointer, value, reason, trend, word)) in [
        (
            "/spec/passwordSecretRef",
            json!({"name": "secret"}),
            "PasswordSecretNotFound",
            "Reconciling",
            "roster.rs/password",
        ),
        (
            "/spec/adopt",
            json!("0193a000-0000-7000-8000-000000000000"),
            "NotAdoptable",
            "Stalled",
            "0193a000",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("user-{number}");
        passed(organization.admin().create(&user(&name).with(pointer, value)));
        check(&organization, &name, reason, trend, word);
    }
    assert!(operator.users().is_empty());
    passed(organization.admin().patch(
        "User",
        "user-0",
        &json!({"spec": {"passwordSecretRef": null}}),
    ));
    organization.until_ready("User", "user-0");
}

#[test]
fn a_blank_or_unknown_field_is_refused_where_it_is_written() {
    let (organization, _operator) = organization();
    let blank = user("alice").with("/spec/profile/displayName", "  ");
    refused(organization.admin().create(&blank), "has only characters that nobody sees: U+0020");
    let unknown = user("alice").with("/spec/emial", "alice@acme.example").to_string();
    let answer = organization.kubectl(&["apply", "-f", "-"], &unknown);
    assert!(!answer.success && answer.stderr.contains("spec.emial"), "{}", answer.stderr);
}

#[test]
fn a_customer_id_belongs_to_the_organization_whose_account_came_first() {
    let id = json!({"roster.rs/customer-id": "one-of-two"});
    let (first, second) =
        (CLUSTER.organization_with_labels(&id), CLUSTER.organization_with_labels(&id));
    let operator = Operator::start_with(&first, &["--namespace", &second.name]);
    for organization in [&first, &second] {
        passed(organization.admin().create(&domain("acme.example")));
    }
    passed(first.admin().create(&user("alice")));
    first.until_ready("User", "alice");
    passed(second.admin().create(&user("alice")));
    let alice = check(
        &second,
        "alice",
        "CustomerIdTaken",
        "Stalled",
        "label this namespace with another one",
    );
    assert!(
        !alice["status"].to_string().contains(&first.name),
        "not a word about the first organization"
    );
    assert_eq!(operator.users().len(), 1);
}

#[test]
fn an_organization_keeps_the_customer_id_of_its_first_account() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    // The namespace had no label; the first account fixed its name as the customer ID.
    let label = |id: Value| json!({"metadata": {"labels": {"roster.rs/customer-id": id}}});
    passed(organization.admin().patch("Namespace", &organization.name, &label(json!("another"))));
    check(&organization, "alice", "CustomerIdChanged", "Stalled", &organization.name);
    passed(organization.admin().create(&user("bob")));
    check(&organization, "bob", "CustomerIdChanged", "Stalled", &organization.name);
    assert_eq!(operator.users().len(), 1);
}

#[test]
fn a_domain_is_listed_once_and_must_be_the_organizations_own() {
    let (organization, _operator) = organization();
    let again = domain("again").with("/spec/domain", "ACME.Example");
    passed(organization.admin().create(&again));
    organization.until_reason("OrgEmailDomain", "again", "DomainTaken");
    passed(organization.admin().create(&domain("co.uk")));
    organization.until_reason("OrgEmailDomain", "co.uk", "DomainInvalid");
    passed(organization.admin().delete("OrgEmailDomain", "acme.example"));
    organization.until_ready("OrgEmailDomain", "again");
}

/// Writes an object as a newer version with another schema would: behind the back of the API
/// server.
fn written_by_a_newer_version(organization: &Organization, plural: &str, object: &Value) {
    let generation = object["metadata"]["generation"].as_i64().expect("a generation") + 1;
    organization.put_into_etcd(plural, &object.clone().with("/metadata/generation", generation));
}

#[test]
fn what_a_newer_version_wrote_stops_nothing_that_is_understood() {
    let (organization, mut operator) = organization();
    let admin = organization.admin();
    let staff = group("staff").with("/spec/permissions", json!(["cases:read", "cases:write"]));
    passed(admin.create(&staff));
    let alice = user("alice")
        .with("/spec/groupRef", json!({"name": "staff"}))
        .with("/spec/deletionProtection", "Disabled");
    passed(admin.create(&alice));
    organization.until_ready("UserGroup", "staff");
    let mut alice = organization.until_ready("User", "alice");
    let permissions = |name: &str| {
        let accounts = operator.users();
        let of = |account: &&Value| {
            account["loginName"].as_str().is_some_and(|login| login.starts_with(name))
        };
        accounts.iter().find(of).map(|account| account["permissions"].clone())
    };
    assert_eq!(permissions("alice"), Some(json!(["cases:read", "cases:write"])));

    let mut staff = admin.get("UserGroup", "staff").expect("it is there");
    staff["spec"]["permissions"] = json!(["cases:read"]);
    staff["spec"]["selfService"] = json!(["Phone", "Fax"]);
    staff["status"]["conditions"][0]["status"] = json!("Maybe");
    written_by_a_newer_version(&organization, "usergroups", &staff);
    let told = check_kind(
        &organization,
        ("UserGroup", "staff"),
        "UnsupportedValue",
        ("Stalled", r#"spec.selfService[1] is "Fax""#),
    );
    assert_eq!(condition(&told, "Ready")["status"], "False");
    assert_eq!(permissions("alice"), Some(json!(["cases:read"])), "what was taken out is gone");

    alice["spec"]["state"] = json!("Disabled");
    alice["spec"]["permissions"] = json!({"from": {"name": "bob", "mode": "Mirror"}});
    alice["spec"]["deletionPolicy"] = json!("Archive");
    alice["status"]["state"] = json!("Suspended");
    alice["status"]["transaction"]["state"] = json!("Waiting");
    alice["status"]["permissions"] = json!(["none"]);
    alice["status"]["conditions"][0]["status"] = json!("Maybe");
    written_by_a_newer_version(&organization, "users", &alice);
    let told = check(
        &organization,
        "alice",
        "UnsupportedValue",
        "Stalled",
        r#"spec.permissions.from.mode is "Mirror""#,
    );
    assert_eq!(
        (&told["status"]["state"], &told["status"]["transaction"]["state"]),
        (&json!("Disabled"), &json!("Completed"))
    );
    assert_eq!(operator.users()[0]["state"], "Disabled");

    let mut domain = admin.get("OrgEmailDomain", "acme.example").expect("it is there");
    domain["spec"]["includeSubdomains"] = json!("some");
    domain["status"]["users"] = json!("many");
    written_by_a_newer_version(&organization, "orgemaildomains", &domain);
    check_kind(
        &organization,
        ("OrgEmailDomain", "acme.example"),
        "UnsupportedValue",
        ("Stalled", "spec.includeSubdomains"),
    );

    let arguments = ["doctor", "-n", &organization.name, "-o", "json"];
    let found: Value =
        serde_json::from_str(&operator.roster_in_the_cluster(&arguments).stdout).expect("JSON");
    let of = |kind: &str| {
        found["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["finding"] == kind)
            .count()
    };
    assert_eq!(of("UnsupportedValue"), 4, "{found:#}");

    // Also to whoever comes later, and after a restart; the domain is listed as it was.
    operator.kill();
    operator.restart();
    passed(admin.create(&user("bob").with("/spec/groupRef", json!({"name": "staff"}))));
    organization.until_ready("User", "bob");
    let accounts = operator.users();
    let bob = accounts
        .iter()
        .find(|account| account["email"] == "bob@acme.example")
        .expect("he is there");
    assert_eq!(bob["permissions"], json!(["cases:read"]));

    passed(admin.delete("User", "alice"));
    check(&organization, "alice", "UnsupportedValue", "Stalled", "the User isn't deleted");
    assert_eq!(operator.users().len(), 2);
    passed(admin.patch(
        "User",
        "alice",
        &json!({"spec": {"deletionPolicy": "Delete", "permissions": null}}),
    ));
    organization.until_gone("User", "alice");
    assert_eq!(operator.users().len(), 1);

    // Nor is a status of ours needed for somebody to go.
    passed(admin.patch("User", "bob", &json!({"spec": {"deletionProtection": "Disabled"}})));
    let mut bob = organization.until_ready("User", "bob");
    operator.kill();
    bob["status"]["state"] = json!("Suspended");
    bob["status"]["conditions"] = json!("none");
    written_by_a_newer_version(&organization, "users", &bob);
    passed(admin.delete("User", "bob"));
    operator.restart();
    organization.until_gone("User", "bob");
    assert!(operator.users().is_empty());
}

#[test]
fn an_object_that_lets_no_status_through_is_told_of_by_an_event_and_the_doctor() {
    let (organization, operator) = organization();
    organization.until_ready("OrgEmailDomain", "acme.example");
    let broken = json!({
        "apiVersion": "roster.rs/v1alpha1", "kind": "User",
        "metadata": {
            "name": "broken", "namespace": organization.name, "uid": "c0ffee00-0000-4000-8000-000000000000", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["roster.rs/account"],
        },
        "spec": {"email": 5, "profile": "none", "chargeApproved": true}, "status": {"conditions": "none", "state": 7},
    });
    organization.put_into_etcd("users", &broken);
    let told = organization.until_event("UnsupportedValue");
    assert!(told.contains("roster doctor"), "{told}");
    let found = operator.roster_in_the_cluster(&["doctor", "-n", &organization.name]).stdout;
    for what in ["spec.email is 5", r#"spec.profile is "none""#] {
        assert!(found.contains(what), "{what} isn't in: {found}");
    }
    passed(organization.admin().create(&user("alice")));
    organization.until_ready("User", "alice");
    assert_eq!(operator.users().len(), 1);
    let mended =
        json!({"spec": {"email": "broken@acme.example", "profile": {"displayName": "Mended"}}});
    passed(organization.admin().patch("User", "broken", &mended));
    organization.until_ready("User", "broken");
}

#[test]
fn a_store_that_is_away_is_waited_for_and_told_once() {
    let (organization, operator) = organization();
    passed(organization.admin().create(&user("alice")));
    let alice = organization.until_ready("User", "alice");
    operator.cut_store_off();
    passed(organization.admin().create(&user("bob")));
    let bob = organization.until("User", "bob", "told", |bob| {
        condition(bob, "Ready")["reason"] == "StoreUnavailable"
    });
    assert_eq!(bob["status"]["observedGeneration"], -1, "nothing was committed");
    operator.move_store_back();
    organization.until_ready("User", "bob");
    let still = organization.admin().get("User", "alice").expect("she is there");
    assert_eq!(
        still["metadata"]["resourceVersion"], alice["metadata"]["resourceVersion"],
        "a converged object keeps its status"
    );
}

#[test]
fn a_store_that_an_application_keeps_locked_is_told_as_that_and_waited_for() {
    let (organization, operator) = organization();
    organization.until_ready("OrgEmailDomain", "acme.example");
    let held = operator.hold_store();
    passed(organization.admin().create(&user("alice")));
    let alice = organization.until("User", "alice", "told", |alice| {
        condition(alice, "Ready")["reason"] == "StoreUnavailable"
    });
    let message = condition(&alice, "Ready")["message"].as_str().expect("a message");
    assert!(
        message.starts_with("an application keeps the whole account store locked"),
        "{message}"
    );
    assert_eq!(operator.page("/healthz").0, 200);
    held.let_go();
    organization.until_ready("User", "alice");
}

#[test]
fn an_account_that_the_store_lost_is_not_made_anew_in_silence() {
    let (organization, mut operator) = organization();
    passed(organization.admin().create(&user("alice")));
    let id = organization.until_ready("User", "alice")["status"]["accountId"].clone();
    operator.kill();
    operator.move_store_away();
    operator.restart();
    let alice = check(&organization, "alice", "AccountLost", "Stalled", "restore the store");
    assert_eq!(alice["status"]["accountId"], id, "the status still says which account it was");
    assert!(operator.users().is_empty());
    operator.kill();
    operator.move_store_back();
    operator.restart();
    organization.until_ready("User", "alice");
}
