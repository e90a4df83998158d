//! What the schemas refuse, field by field, and that everything within their bounds passes.

use std::sync::LazyLock;

use roster_test_support::cluster::{Requester, With, domain, group, passed, refused, user};
use serde_json::{Value, json};

use crate::CLUSTER;

/// Somebody whose requests are checked and leave nothing behind.
fn somebody() -> &'static Requester {
    static SOMEBODY: LazyLock<Requester> =
        LazyLock::new(|| CLUSTER.organization().as_user("bob").dry_run());
    &SOMEBODY
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

fn many(count: usize) -> Value {
    (0..count).map(|number| format!("item-{number}")).collect::<Vec<_>>().into()
}

/// A User with one value of its spec replaced is refused, and the message has both texts.
#[track_caller]
fn check_user(pointer: &str, value: impl Into<Value>, text: &str) {
    let field = format!("spec.{}", pointer.replace('/', "."));
    let answer = somebody().create(&user("alice").with(&format!("/spec/{pointer}"), value));
    refused(answer.as_ref().map_err(Clone::clone), &field);
    refused(answer, text);
}

#[track_caller]
fn check_user_passes(pointer: &str, value: impl Into<Value>) {
    passed(somebody().create(&user("alice").with(&format!("/spec/{pointer}"), value)));
}

#[track_caller]
fn check_group(pointer: &str, value: impl Into<Value>, text: &str) {
    refused(somebody().create(&group("drivers").with(&format!("/spec/{pointer}"), value)), text);
}

#[track_caller]
fn check_domain(value: impl Into<Value>, text: &str) {
    refused(somebody().create(&domain("acme.example").with("/spec/domain", value)), text);
}

/// A merge patch of an existing User's spec is refused.
#[track_caller]
fn check_edit(before: &Value, patch: &Value, text: &str) {
    let organization = CLUSTER.organization();
    organization.has(before);
    refused(organization.as_user("bob").patch("User", "alice", &json!({"spec": patch})), text);
}

#[test]
fn a_username_is_lower_case_letters_digits_dots_and_dashes() {
    for name in ["Alice", "-a", "a-", ".a", "alice@x", "a b", "å"] {
        check_user(
            "username",
            name,
            "a username is made of lower-case letters, digits, dots and dashes, and starts and ends with a letter or digit",
        );
    }
    check_user("username", "", "should be at least 1 chars long");
    check_user("username", long(254), "may not be more than 253 bytes");
    check_user_passes("username", long(253));
    check_user_passes("username", "a.b-7");
}

#[test]
fn an_email_is_one_address_with_an_ascii_local_part() {
    let text = "an email is one address such as alice@acme.example, without mailto:, a name, < > and spaces around it, its part before the @ in ASCII and without quotes";
    for email in [
        "alice",
        "alice@",
        "@acme.example",
        "a@b@c",
        "\"a b\"@acme.example",
        "a b@acme.example",
        "å@acme.example",
        ".a@acme.example",
        "a..b@acme.example",
        "a@acme .example",
        "a@acme\u{0}.example",
        "a@acme.example\r\n",
        "Alice <a@b.c>",
    ] {
        check_user("email", email, text);
    }
    check_user("email", "a@", "should be at least 3 chars long");
    check_user("email", format!("a@{}", long(253)), "may not be more than 254 bytes");
    check_user_passes("email", format!("a@{}", long(252)));
    check_user_passes("email", "O'Brien+x@BÜCHER.example");
}

#[test]
fn email_and_name_are_required_unless_the_user_is_a_copy() {
    let bob = somebody();
    refused(
        bob.create(&user("alice").without("/spec/email")),
        "email is required unless copyOf is set",
    );
    let text = "profile.displayName is required unless copyOf is set";
    refused(bob.create(&user("alice").without("/spec/profile")), text);
    refused(bob.create(&user("alice").with("/spec/profile", json!({"phone": "1"}))), text);
    passed(bob.create(&user("alice").with("/spec", json!({"copyOf": {"name": "template"}}))));
    let itself = user("alice").with("/spec", json!({"copyOf": {"name": "alice"}}));
    refused(bob.create(&itself), "copyOf names this User itself: name the User to copy");
    refused(bob.create(&user("alice").without("/spec")), "spec: Required value");
}

#[test]
fn a_text_of_which_nobody_sees_anything_is_none() {
    for (text, named) in [
        (" ", "U+0020"),
        ("\u{200b}\u{2800}", "U+200B U+2800"),
        ("\u{e0041}\u{3164}", "U+3164 and others"),
    ] {
        let message = format!("has only characters that nobody sees: {named}");
        for pointer in [
            "profile/displayName",
            "profile/phone",
            "profile/address/locality",
            "profile/address/region",
            "profile/address/postalCode",
            "role",
        ] {
            let value = user("alice")
                .with("/spec/profile/address", json!({}))
                .with(&format!("/spec/{pointer}"), text);
            let answer = somebody().create(&value);
            refused(
                answer.as_ref().map_err(Clone::clone),
                &format!("spec.{}", pointer.replace('/', ".")),
            );
            refused(answer, &message);
        }
        for pointer in ["teams", "profile/notifications"] {
            let field = format!("spec.{}[1]", pointer.replace('/', "."));
            let answer = somebody()
                .create(&user("alice").with(&format!("/spec/{pointer}"), json!(["a", text])));
            refused(answer.as_ref().map_err(Clone::clone), &field);
            refused(answer, &message);
        }
        let street = json!({"street": ["1 Main Street", text]});
        refused(somebody().create(&user("alice").with("/spec/profile/address", street)), &message);
        check_group("description", text, &message);
    }
    check_user("profile/displayName", "", "should be at least 1 chars long");
    passed(somebody().create(&group("drivers").with("/spec/description", "")));
}

#[test]
fn a_text_from_before_the_rule_stays_through_edits_elsewhere() {
    let organization = CLUSTER.organization();
    let admin = organization.admin();
    let before = organization
        .has(&user("alice"))
        .with("/spec/role", "\u{200b}")
        .with("/spec/profile/phone", " ");
    organization.put_into_etcd("users", &before.with("/spec/teams", json!([" "])));
    passed(admin.patch(
        "User",
        "alice",
        &json!({"spec": {"profile": {"displayName": "Alice Smith"}}}),
    ));
    passed(admin.patch("User", "alice", &json!({"spec": {"teams": ["night-shift"]}})));
    let text = "has only characters that nobody sees";
    refused(admin.patch("User", "alice", &json!({"spec": {"role": " "}})), text);
    refused(admin.patch("User", "alice", &json!({"spec": {"teams": ["night-shift", " "]}})), text);
    passed(admin.patch("User", "alice", &json!({"spec": {"role": "Dispatcher"}})));
}

#[test]
fn the_forms_of_the_real_world_are_judged_as_the_table_says() {
    use roster_test_support::corpus::{Verdict, forms};
    let mut wrong = vec![];
    for form in forms() {
        let pointer = match form.kind {
            "name" => "/spec/profile/displayName",
            "phone" => "/spec/profile/phone",
            "zone" => "/spec/profile/timeZone",
            "locality" | "region" | "postalCode" => &format!("/spec/profile/address/{}", form.kind),
            "street" => "/spec/profile/address/street",
            "role" => "/spec/role",
            "team" => "/spec/teams",
            "email" => "/spec/email",
            "domain" => "/spec/domain",
            // They are made and judged elsewhere.
            "username" | "password" => continue,
            kind => panic!("there is no kind {kind}"),
        };
        let value: Value = if ["street", "team"].contains(&form.kind) {
            json!([form.text()])
        } else {
            form.text().into()
        };
        let object = if form.kind == "domain" {
            domain("acme.example")
        } else {
            user("alice").with("/spec/profile/address", json!({}))
        };
        let answer = somebody().create(&object.with(pointer, value));
        let is_right = match &form.verdict {
            Verdict::Taken | Verdict::As(_) => answer.is_ok(),
            Verdict::Unseen => answer.as_ref().is_err_and(|refusal| {
                let text = format!("{refusal:?}");
                // A line break is refused by its pattern already.
                text.contains("has only characters that nobody sees")
                    || text.contains("should match")
            }),
            // The operator says what it is: the schema knows neither the time zones nor what a
            // domain is.
            Verdict::Refused(_) => true,
        };
        if !is_right {
            wrong.push(format!("{form:?}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn free_text_has_no_control_characters_and_an_upper_bound() {
    for (pointer, bound) in [
        ("role", 128),
        ("profile/displayName", 128),
        ("profile/phone", 64),
        ("profile/address/locality", 128),
        ("profile/address/region", 128),
        ("profile/address/postalCode", 32),
    ] {
        check_user(pointer, "a\u{7}b", "should match");
        check_user(pointer, "a\nb", "should match");
        check_user(pointer, "", "should be at least 1 chars long");
        check_user(pointer, long(bound + 1), &format!("may not be more than {bound} bytes"));
        check_user_passes(pointer, long(bound));
        check_user_passes(pointer, "ü".repeat(bound));
    }
}

#[test]
fn lists_of_free_text_are_bounded() {
    for (pointer, bound) in
        [("teams", 64), ("profile/notifications", 64), ("profile/address/street", 4)]
    {
        check_user(pointer, json!(["a\tb"]), "should match");
        check_user(pointer, json!([""]), "should be at least 1 chars long");
        check_user(pointer, json!([long(129)]), "may not be more than 128 bytes");
        check_user(pointer, many(bound + 1), &format!("must have at most {bound} items"));
        check_user_passes(pointer, many(bound));
    }
    for pointer in ["teams", "profile/notifications"] {
        check_user(pointer, json!(["a", "a"]), "Duplicate value");
    }
    check_user_passes("profile/address/street", json!(["same", "same"]));
}

#[test]
fn a_country_is_two_capital_letters() {
    for country in ["us", "U1"] {
        check_user("profile/address/country", country, "should match '^[A-Z]{2}$'");
    }
    check_user("profile/address/country", "USA", "may not be more than 2 bytes");
    check_user("profile/address/country", "U", "should be at least 2 chars long");
    check_user_passes("profile/address/country", "US");
}

#[test]
fn a_time_zone_looks_like_an_iana_name() {
    for zone in ["America/", "+02:00", "America Phoenix", "a/b/c/d", "Europe/Zürich"] {
        check_user("profile/timeZone", zone, "a time zone is an IANA name such as America/Phoenix");
    }
    check_user("profile/timeZone", "", "should be at least 1 chars long");
    check_user("profile/timeZone", long(65), "may not be more than 64 bytes");
    for zone in ["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+7"] {
        check_user_passes("profile/timeZone", zone);
    }
}

#[test]
fn references_name_objects() {
    for pointer in ["groupRef/name", "copyOf/name", "passwordSecretRef/name"] {
        for name in ["Users", "other/users", "-a", "a b"] {
            check_user(pointer, name, "should match");
        }
        check_user(pointer, "", "should be at least 1 chars long");
        check_user(pointer, long(254), "may not be more than 253 bytes");
        check_user_passes(pointer, long(253));
    }
    for pointer in ["groupRef", "copyOf", "passwordSecretRef"] {
        check_user(pointer, json!({}), "name: Required value");
    }
    let from = |name: &str| json!({"name": name, "mode": "Inherit"});
    check_user("permissions/from", from("Bob"), "should match");
    check_user("permissions/from", from(""), "should be at least 1 chars long");
    check_user("permissions/from", from(&long(254)), "may not be more than 253 bytes");
    check_user("permissions/from", json!({"name": "bob"}), "mode: Required value");
    check_user("permissions/from", json!({"mode": "Clone"}), "name: Required value");
    check_user(
        "permissions/from",
        json!({"name": "bob", "mode": "Follow"}),
        "supported values: \"Inherit\", \"Clone\"",
    );
}

#[test]
fn a_secrets_keys_are_keys_of_secrets() {
    for key in ["key", "confirmationKey"] {
        let secret = |value: &str| json!({"name": "alice-password", key: value});
        check_user("passwordSecretRef", secret("a/b"), "should match");
        check_user("passwordSecretRef", secret(""), "should be at least 1 chars long");
        check_user("passwordSecretRef", secret(&long(254)), "may not be more than 253 bytes");
        check_user_passes("passwordSecretRef", secret(".The_Key-1"));
    }
}

#[test]
fn a_permission_is_words_joined_by_colons() {
    for permission in [
        "*",
        "Orders:read",
        "orders:",
        ":read",
        "orders::read",
        "orders read",
        "orders:*",
        "örders",
    ] {
        check_user(
            "permissions/grants",
            json!([permission]),
            "a permission is lower-case words joined by colons, such as orders:read; \
             full control (*) comes only from a group's fullControl",
        );
        check_group(
            "permissions",
            json!([permission]),
            "a permission is lower-case words joined by colons, such as cases:read; for full control (*) set fullControl",
        );
    }
    for (text, value) in [
        ("should be at least 1 chars long", json!([""])),
        ("may not be more than 125 bytes", json!([long(126)])),
        ("must have at most 256 items", many(257)),
        ("Duplicate value", json!(["a", "a"])),
    ] {
        check_user("permissions/grants", value.clone(), text);
        check_group("permissions", value, text);
    }
    check_user_passes("permissions/grants", json!(["a", "7", "orders:read", "a:b:c-d:e"]));
}

#[test]
fn choices_are_spelt_as_they_are_offered() {
    check_user("state", "enabled", "supported values: \"Enabled\", \"Disabled\"");
    check_user("deletionProtection", "Off", "supported values: \"Enabled\", \"Disabled\"");
    check_user("deletionPolicy", "Keep", "supported values: \"Delete\", \"Retain\"");
    check_user("chargeApproved", "yes", "must be of type boolean");
    check_group(
        "selfService",
        json!(["Role"]),
        "supported values: \"Name\", \"Address\", \"Phone\", \"Email\", \"Password\"",
    );
    check_group("selfService", json!(["Name", "Name"]), "Duplicate value");
    check_group("fullControl", "true", "must be of type boolean");
}

#[test]
fn an_adopted_account_is_named_by_its_id() {
    for id in ["0193A4B0-0000-7000-8000-000000000001", "0193a4b0x0000x7000x8000x000000000001"] {
        check_user("adopt", id, "should match");
    }
    for other in
        ["entry-0193a4b0-0000-7000-8000-000000000", "Entry/0193a4b0-0000-7000-8000-00000000000"]
    {
        check_user("adopt", other, "should match");
    }
    check_user("adopt", long(35), "should be at least 36 chars long");
    check_user("adopt", long(43), "may not be more than 42 bytes");
    check_user_passes("adopt", "0193a4b0-0000-7000-8000-000000000001");
    check_user_passes("adopt", "entry/0193a4b0-0000-7000-8000-000000000001");
    let copy = user("alice").with("/spec/copyOf/name", "template").without("/spec/email");
    passed(
        somebody()
            .create(&copy.clone().with("/spec/adopt", "0193a4b0-0000-7000-8000-000000000001")),
    );
    let text = "email is required where adopt names a directory's entry";
    refused(
        somebody().create(&copy.with("/spec/adopt", "entry/0193a4b0-0000-7000-8000-000000000001")),
        text,
    );
}

#[test]
fn what_is_fixed_stays_fixed() {
    let plain = user("alice");
    let text = "username can't be changed: it is part of the login name, which is fixed for the life of the account";
    let named = plain.clone().with("/spec/username", "ally");
    check_edit(&named, &json!({"username": "other"}), text);
    check_edit(&named, &json!({"username": null}), text);
    check_edit(&plain, &json!({"username": "ally"}), text);

    let text =
        "copyOf can't be added, changed or removed later: delete the User and create it anew";
    let copy = plain.clone().with("/spec/copyOf/name", "template");
    check_edit(&copy, &json!({"copyOf": {"name": "other"}}), text);
    check_edit(&copy, &json!({"copyOf": null}), text);
    check_edit(&plain, &json!({"copyOf": {"name": "template"}}), text);

    let text = "adopt can't be added, changed or removed later";
    let adopting = plain.clone().with("/spec/adopt", "0193a4b0-0000-7000-8000-000000000001");
    check_edit(&adopting, &json!({"adopt": "0193a4b0-0000-7000-8000-000000000002"}), text);
    check_edit(&adopting, &json!({"adopt": null}), text);
    check_edit(&plain, &json!({"adopt": "0193a4b0-0000-7000-8000-000000000001"}), text);

    check_edit(&copy, &json!({"email": null}), "email can be changed but not removed");
    let text =
        "chargeApproved can't be taken back: delete the User to end the charge with this month";
    check_edit(&plain, &json!({"chargeApproved": false}), text);
    check_edit(&plain, &json!({"chargeApproved": null}), text);
}

#[test]
fn what_may_change_can_be_changed() {
    let organization = CLUSTER.organization();
    let copy = json!({"copyOf": {"name": "template"}, "username": "ally"});
    organization.has(&user("alice").with("/spec", copy));
    let bob = organization.as_user("bob");
    for spec in [
        json!({"email": "alice@acme.example"}),
        json!({"email": "alice@new.example", "chargeApproved": true}),
        json!({"profile": {"displayName": "Alice"}, "state": "Disabled", "groupRef": {"name": "other"}}),
        json!({"profile": null, "state": null, "groupRef": null, "username": "ally", "copyOf": {"name": "template"}}),
    ] {
        passed(bob.patch("User", "alice", &json!({"spec": spec})));
    }
}

#[test]
fn the_administrators_group_always_has_full_control() {
    let text = "the group administrators always has full control: set spec.fullControl to true";
    refused(somebody().create(&group("administrators")), text);
    refused(somebody().create(&group("administrators").without("/spec")), text);
    let organization = CLUSTER.organization();
    organization.has(&group("administrators").with("/spec/fullControl", true));
    let bob = organization.as_user("bob");
    refused(
        bob.patch("UserGroup", "administrators", &json!({"spec": {"fullControl": false}})),
        text,
    );
    refused(bob.patch("UserGroup", "administrators", &json!({"spec": null})), text);
    passed(bob.patch(
        "UserGroup",
        "administrators",
        &json!({"spec": {"description": "They run it."}}),
    ));
}

#[test]
fn every_field_of_a_group_is_optional() {
    let created = passed(somebody().create(&group("drivers").without("/spec")));
    assert_eq!(created["spec"], json!({"fullControl": false}));
    check_group("description", long(1025), "may not be more than 1024 bytes");
    check_group("description", "a\nb", "should match");
}

#[test]
fn a_domain_is_a_name() {
    for name in ["a@acme.example", "acme example", "acme.example\n", "@"] {
        check_domain(
            name,
            "a domain is a name such as acme.example: write it without an @ and what stands before it, and without spaces",
        );
    }
    check_domain("", "should be at least 1 chars long");
    check_domain(long(254), "may not be more than 253 bytes");
    refused(
        somebody().create(&domain("acme.example").with("/spec", json!({}))),
        "spec.domain: Required value",
    );
    refused(somebody().create(&domain("acme.example").without("/spec")), "spec: Required value");
    for name in ["BÜCHER.example", "xn--bcher-kva.example", &long(253)] {
        passed(somebody().create(&domain("acme.example").with("/spec/domain", name)));
    }
}

#[test]
fn a_null_where_a_value_is_expected_is_refused() {
    let bob = somebody();
    refused(
        bob.create(&user("alice").with("/spec/email", Value::Null)),
        "email is required unless copyOf is set",
    );
    for pointer in ["/spec/profile", "/spec/profile/displayName"] {
        refused(
            bob.create(&user("alice").with(pointer, Value::Null)),
            "profile.displayName is required unless copyOf is set",
        );
    }
    check_user("groupRef/name", Value::Null, "Required value");
    check_user("permissions/from", json!({"name": "bob", "mode": null}), "Required value");
    for pointer in
        ["teams", "permissions/grants", "profile/notifications", "profile/address/street"]
    {
        check_user(pointer, json!([null]), "must be of type string: \"null\"");
    }
    check_domain(Value::Null, "spec.domain: Required value");
    refused(bob.create(&user("alice").with("/spec", Value::Null)), "spec: Required value");
    refused(
        bob.create(&group("administrators").with("/spec/fullControl", Value::Null)),
        "always has full control",
    );
}

#[test]
fn a_null_where_a_value_is_optional_is_not_stored() {
    let pointers = [
        "username",
        "profile/phone",
        "profile/address",
        "profile/timeZone",
        "role",
        "teams",
        "permissions/grants",
        "permissions/from",
        "copyOf",
        "adopt",
        "passwordSecretRef",
    ];
    let asked = pointers
        .iter()
        .fold(user("alice"), |user, pointer| user.with(&format!("/spec/{pointer}"), Value::Null));
    let created = passed(somebody().create(&asked));
    for pointer in pointers {
        assert_eq!(created.pointer(&format!("/spec/{pointer}")), None);
    }
}

#[test]
fn a_null_where_there_is_a_default_is_the_default() {
    let nulls = json!({"state": null, "groupRef": null, "chargeApproved": null, "deletionProtection": null, "deletionPolicy": null});
    let mut asked = user("alice");
    asked["spec"]
        .as_object_mut()
        .expect("a spec")
        .extend(nulls.as_object().expect("an object").clone());
    let spec = &passed(somebody().create(&asked))["spec"];
    assert_eq!(spec["state"], "Enabled");
    assert_eq!(spec["groupRef"], json!({"name": "users"}));
    assert_eq!(spec["chargeApproved"], false);
    assert_eq!(spec["deletionProtection"], "Enabled");
    assert_eq!(spec["deletionPolicy"], "Delete");
}

#[test]
fn the_largest_objects_pass() {
    let permissions: Vec<_> = (0..256).map(|number| format!("{number:03}:{}", long(121))).collect();
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
        "permissions": {"grants": permissions, "from": {"name": long(253), "mode": "Inherit"}},
        "adopt": "0193a4b0-0000-7000-8000-000000000001", "state": "Disabled", "chargeApproved": true,
        "passwordSecretRef": {"name": long(253), "key": long(253), "confirmationKey": long(253)},
        "deletionProtection": "Disabled", "deletionPolicy": "Retain",
    });
    let organization = CLUSTER.organization();
    let bob = organization.as_user("bob");
    let name = long(253);
    let largest = user(&name).with("/spec", spec);
    let created = passed(bob.create(&largest));
    let version = created["metadata"]["resourceVersion"].clone();
    let mut other = permissions.clone();
    other.reverse();
    let edited =
        largest.with("/spec/permissions/grants", other).with("/metadata/resourceVersion", version);
    passed(bob.replace(&edited));
    passed(bob.create(&group(&name).with(
        "/spec",
        json!({
            "description": "ü".repeat(1024), "fullControl": true, "permissions": permissions,
            "selfService": ["Name", "Address", "Phone", "Email", "Password", "TimeZone", "Notifications"],
        }),
    )));
    passed(
        bob.create(
            &domain("acme.example")
                .with("/spec", json!({"domain": long(253), "includeSubdomains": true})),
        ),
    );
}

#[test]
fn a_status_within_its_bounds_passes() {
    let organization = CLUSTER.organization();
    organization.has(&user("alice"));
    let moment = "2026-11-22T03:00:00Z";
    let condition = |kind: String| {
        json!({
            "type": kind, "status": "True", "reason": long(64), "message": "ü".repeat(4096),
            "lastTransitionTime": moment, "observedGeneration": 4,
        })
    };
    let conditions: Vec<_> =
        (0..16).map(|number| condition(format!("{number:02}{}", long(62)))).collect();
    let effective: Vec<_> = (0..64).map(|number| format!("{number:03}:{}", long(121))).collect();
    let status = json!({
        "observedGeneration": 4, "state": "ChangingPassword", "loginName": long(512), "accountId": long(36),
        "email": "ü".repeat(512), "group": long(253), "profile": {"displayName": "ü".repeat(128)},
        "transaction": {"id": long(36), "type": "PasswordChange", "state": "Overdue", "startTime": moment, "deadlineTime": moment},
        "permissions": {"effective": effective, "total": 65, "digest": long(64), "source": "Inherited", "chain": vec![long(253); 32]},
        "clone": {"name": long(253), "uid": long(64), "generation": 4, "cloneTime": moment},
        "copy": {"name": long(253), "uid": long(64), "generation": 4, "copyTime": moment, "number": 1},
        "heirs": 2, "billing": {"since": "2026-11"}, "conditions": conditions,
    });
    let operator = organization.operators_account();
    let written = passed(operator.patch_status("User", "alice", &status));
    assert_eq!(written["status"], status, "the schema knows every field");
    let twice = json!({"conditions": [conditions[0], conditions[0]]});
    refused(operator.patch_status("User", "alice", &twice), "Duplicate value");
    let seventeen = vec![condition("Ready".to_owned()); 17];
    refused(
        operator.patch_status("User", "alice", &json!({"conditions": seventeen})),
        "must have at most 16 items",
    );
}
