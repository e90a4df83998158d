//! `roster plan`: what it says, how it exits, and that it changes nothing.

use roster::domain::account::{AccountId, TransactionKind};
use roster::domain::profile::SelfServiceField;
use roster::plan::{AccountChange, Plan};
use roster::store::Store;
use serde_json::{Value, json};

use roster_test_support::plans;

use crate::Place;

/// A manifest of a `User` with these fields beside its email and name.
fn user(name: &str, fields: &Value) -> Value {
    let mut spec = json!({
        "email": format!("{name}@acme.example"), "profile": {"displayName": "Alice Smith"}, "chargeApproved": true,
    });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"apiVersion": "roster.rs/v1alpha1", "kind": "User", "metadata": {"name": name}, "spec": spec})
}

fn documents(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("{object}\n---\n")).collect()
}

fn bob(fields: &Value) -> Value {
    let mut spec = json!({
        "profile": {"displayName": "Bob Jones", "phone": "+1 602 555 0100"}, "role": "Accountant", "teams": ["back-office"],
        "permissions": {"grants": ["orders:write", "orders:read"]},
    });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    user("bob", &spec)
}

/// Each object's name and what is done for it.
fn actions(planned: &Value) -> Vec<[&str; 2]> {
    let rows = planned["objects"].as_array().unwrap().iter();
    rows.map(|row| [row["name"].as_str().unwrap(), row["action"].as_str().unwrap()]).collect()
}

fn reasons(planned: &Value) -> Vec<&str> {
    let rows = planned["objects"].as_array().unwrap().iter();
    rows.flat_map(|row| row["refused"].as_array().unwrap())
        .map(|why| why["reason"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_as_it_was_is_unchanged_and_accounts_that_no_file_names_are_only_counted() {
    let place = Place::filled().await;
    let before = place.accounts().await;
    let said = place.exits(&["plan", "-n", "acme", "-f", "-"], &documents(&[bob(&json!({}))]), 0);
    assert_eq!(
        said,
        "NAMESPACE   KIND   NAME   ACTION\nacme        User   bob    unchanged\n\n\
         5 accounts of acme in the store have no User in these files; nothing is deleted by absence.\n\
         0 to create, 0 to take over, 0 to change, 1 unchanged, 0 with something refused.\n"
    );
    assert_eq!(place.accounts().await, before);
}

#[tokio::test]
async fn a_change_says_what_changes_what_is_lost_what_follows_for_heirs_and_what_kubectl_warns_of()
{
    let place = Place::filled().await;
    let before = place.accounts().await;
    let edit = bob(
        &json!({"email": "robert@acme.example", "groupRef": {"name": "mechanics"}, "state": "Disabled",
        "permissions": {"grants": ["orders:read"]}, "passwordSecretRef": {"name": "bob-password"}}),
    );
    let said = place.exits(&["plan", "-n", "acme", "-f", "-"], &documents(&[edit]), 0);
    assert_eq!(
        said,
        "NAMESPACE   KIND   NAME   ACTION
acme        User   bob    change
    email: bob@acme.example -> robert@acme.example
    state: Enabled -> Disabled
    group: users -> mechanics
    grants: orders:read,orders:write -> orders:read
    password: from the Secret bob-password
    permissions gained: trucks:repair
    permissions lost: orders:write
    note: removing permissions neither deletes the account of bob nor stops its billing; kubectl delete users.roster.rs does
    note: leaving the group users neither deletes the account of bob nor stops its billing; kubectl delete users.roster.rs does
    note: disabling bob doesn't stop its billing; kubectl delete users.roster.rs does
    note: planned as if a valid password stood in the Secret bob-password: Secrets aren't read

What follows for others
acme/ivan: permissions lost: orders:write; because ivan inherits from bob
acme/judy: permissions lost: orders:write; because judy inherits from ivan

5 accounts of acme in the store have no User in these files; nothing is deleted by absence.
0 to create, 0 to take over, 1 to change, 0 unchanged, 0 with something refused.
"
    );
    assert_eq!(place.accounts().await, before);
}

#[tokio::test]
async fn everything_is_planned_together_whatever_the_order_of_the_files() {
    let place = Place::filled().await;
    let heir = user(
        "erin",
        &json!({"groupRef": {"name": "drivers"}, "permissions": {"from": {"name": "dave", "mode": "Inherit"}}}),
    );
    let dave = user(
        "dave",
        &json!({"email": "dave@lab.acme.example", "permissions": {"grants": ["cases:read"]}}),
    );
    let group = json!({"apiVersion": "roster.rs/v1alpha1", "kind": "UserGroup", "metadata": {"name": "drivers"},
        "spec": {"permissions": ["routes:read"]}});
    let lab = json!({"apiVersion": "roster.rs/v1alpha1", "kind": "OrgEmailDomain", "metadata": {"name": "lab"},
        "spec": {"domain": "lab.acme.example"}});
    // Bob's address goes to another while he gets a new one.
    let swap = [
        bob(&json!({"email": "robert@acme.example"})),
        user("frank", &json!({"email": "bob@acme.example"})),
    ];
    let mut objects = vec![heir, dave, group, lab];
    objects.extend(swap);
    for _ in 0..2 {
        let planned = place.planned(&documents(&objects), 0);
        let expected = [
            ["lab", "create"],
            ["bob", "change"],
            ["dave", "create"],
            ["erin", "create"],
            ["frank", "create"],
            ["drivers", "create"],
        ];
        assert_eq!(actions(&planned), expected);
        assert_eq!(
            planned["objects"][3]["permissionsGained"],
            json!(["cases:read", "routes:read"])
        );
        assert_eq!(planned["undeclared"], json!([{"namespace": "acme", "accounts": 5}]));
        objects.reverse();
    }
}

#[tokio::test]
async fn what_is_refused_has_the_reason_and_the_message_of_the_condition() {
    let place = Place::filled().await;
    let refused = [
        (
            user("dave", &json!({"email": "dave@lab.acme.example"})),
            "DomainNotAllowed",
            "lab.acme.example isn't in the organization's list",
        ),
        (
            user("dave", &json!({"chargeApproved": false})),
            "ChargeNotApproved",
            "setting spec.chargeApproved to true",
        ),
        (
            user("dave", &json!({"email": "mary@acme.example"})),
            "EmailTaken",
            "belongs to the User mary",
        ),
        (
            user("dave", &json!({"username": "mary"})),
            "LoginTaken",
            "mary.acme belongs to the User mary",
        ),
        (
            user("dave", &json!({"groupRef": {"name": "pilots"}})),
            "GroupNotFound",
            "no UserGroup pilots",
        ),
        (
            user("alice", &json!({"state": "Disabled", "groupRef": {"name": "administrators"}})),
            "LastAdministrator",
            "last enabled user",
        ),
        (
            bob(&json!({"permissions": {"from": {"name": "judy", "mode": "Inherit"}}})),
            "InheritanceCycle",
            "bob -> judy -> ivan -> bob",
        ),
        (
            user("dave", &json!({"adopt": "0193a4b0-0000-7000-8000-000000000001"})),
            "NotAdoptable",
            "has no account 0193a4b0",
        ),
        (bob(&json!({"chargeApproved": false})), "Invalid", "chargeApproved can't be taken back"),
        (bob(&json!({"username": "rob"})), "Invalid", "username can't be changed"),
        (bob(&json!({"copyOf": {"name": "mary"}})), "Invalid", "copyOf can't be added"),
        (
            user("dave", &json!({"state": "Off"})),
            "Invalid",
            "-:1: spec.state: it is one of Enabled, Disabled",
        ),
        (
            user("dave", &json!({"permissions": {"grants": ["*"]}})),
            "Invalid",
            "comes only from a group's fullControl",
        ),
    ];
    for (object, reason, message) in refused {
        let planned = place.planned(&documents(&[object]), 1);
        assert_eq!(reasons(&planned), [reason], "{planned}");
        assert!(
            planned["objects"][0]["refused"][0]["message"].as_str().unwrap().contains(message),
            "{planned}"
        );
    }
}

#[tokio::test]
async fn a_text_that_nobody_sees_and_a_time_zone_that_there_is_not_are_refused_beside_the_rest() {
    let place = Place::filled().await;
    let edit = bob(&json!({"role": "\u{200b}", "teams": ["night-shift"]}));
    let carla = json!({"profile": {"displayName": "Carla", "timeZone": "Europe/Berln"}});
    let said = place.exits(
        &["plan", "-n", "acme", "-f", "-", "-o", "json"],
        &documents(&[edit, user("carla", &carla)]),
        1,
    );
    let planned: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(reasons(&planned), ["UnsupportedValue", "UnsupportedValue"], "{said}");
    for words in [
        "spec.role has only characters that nobody sees: U+200B: the value in force stays; everything else is in force. Correct it",
        "isn't a name of the IANA time zone database (Europe/Berlin?); nothing is made of it until then. Correct it",
        "night-shift",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn what_nobody_sees_stays_where_an_account_has_it_and_is_refused_in_a_new_user() {
    let place = Place::filled().await;
    let store = place.store().await;
    let mut content = plans::content("dave@acme.example");
    content.role = Some(" ".to_owned());
    content.teams = ["\u{ad}".to_owned(), "night-shift".to_owned()].into();
    content.profile.display_name = "\u{2800}".to_owned();
    content.profile.phone = Some("\u{200b}".to_owned());
    plans::commit(&store, plans::create_in(plans::acme(), "dave", content)).await.unwrap();
    let declared = user(
        "dave",
        &json!({"profile": {"displayName": "\u{2800}", "phone": "\u{200b}"}, "role": " ", "teams": ["\u{ad}", "night-shift"]}),
    );
    let planned = place.planned(&documents(std::slice::from_ref(&declared)), 0);
    assert_eq!(actions(&planned), [["dave", "unchanged"]]);
    let notes = planned["objects"][0]["notes"].to_string();
    for field in ["spec.role", "spec.teams[0]", "spec.profile.displayName", "spec.profile.phone"] {
        assert!(
            notes.contains(&format!("{field}: has only characters that nobody sees")),
            "{notes}"
        );
    }
    assert!(
        notes.contains("the API server takes that only where the User has it already"),
        "{notes}"
    );
    let imported = place.imported();
    for words in [
        "# displayName is the login name from the take-over on: that of the account has only characters that nobody sees",
        "# role is left out, and goes with the take-over: has only characters that nobody sees: U+0020",
        "# phone is left out",
        "# an entry of teams is left out",
        "displayName: dave.acme\n",
    ] {
        assert!(imported.contains(words), "{words:?} isn't in: {imported}");
    }
    let dave = plans::find(&store, "dave").await.unwrap();
    let release = AccountChange::Release { account: dave.id, from: dave.revision };
    let plan = plans::plan(plans::acme(), dave.owner.clone(), release);
    plans::commit(&store, Plan::Account(Box::new(plan))).await.unwrap();
    store.close().await;
    let new = user("nora", &json!({"role": "\u{200b}"}));
    let planned = place.planned(&documents(&[declared, new]), 1);
    assert_eq!(
        (actions(&planned), reasons(&planned)),
        (vec![["dave", "refused"], ["nora", "refused"]], vec!["Invalid"; 5])
    );
    assert!(
        planned["objects"][1]["refused"][0]["message"]
            .as_str()
            .unwrap()
            .contains("spec.role: has only"),
        "{planned}"
    );
    // What is printed of the same account is taken.
    let planned = place.planned(&place.imported(), 0);
    let rows = planned["objects"].as_array().unwrap();
    let dave = rows.iter().find(|row| row["name"] == "dave").unwrap();
    assert_eq!(dave["action"], "takeBack", "{planned}");
    let changed: Vec<&Value> =
        dave["changes"].as_array().unwrap().iter().map(|change| &change["field"]).collect();
    assert_eq!(changed, ["role", "teams", "displayName", "phone"]);
}

#[tokio::test]
async fn a_login_or_an_address_in_place_of_a_name_is_recognized_in_any_case() {
    let place = Place::filled().await;
    for user in ["bob.acme", "Bob.ACME", " bob.acme ", "Bob@Acme.Example"] {
        place.fails(&["why", "-n", "acme", user, "orders:read"], "", "that account's User is bob");
    }
    let store = place.store().await;
    let mut copy = plans::content("alice@acme.example");
    copy.email = copy.email.placeholder(1);
    plans::commit(&store, plans::create_in(plans::acme(), "dave", copy)).await.unwrap();
    store.close().await;
    let placeholder = "alice@acme.example (Copy 1)";
    place.fails(
        &["why", "-n", "acme", placeholder, "orders:read"],
        "",
        "that account's User is dave",
    );
}

#[tokio::test]
async fn what_can_be_done_of_an_edit_is_planned_beside_what_is_refused() {
    let place = Place::filled().await;
    let planned = place
        .planned(&documents(&[bob(&json!({"email": "mary@acme.example", "role": "Lead"}))]), 1);
    let row = &planned["objects"][0];
    assert_eq!(
        (row["action"].as_str().unwrap(), reasons(&planned)),
        ("change", vec!["EmailTaken"])
    );
    assert_eq!(row["changes"], json!([{"field": "role", "before": "Accountant", "after": "Lead"}]));
}

#[tokio::test]
async fn an_account_that_was_let_go_of_is_taken_back_and_another_is_adopted() {
    let place = Place::filled().await;
    let store = place.store().await;
    let mary = plans::find(&store, "mary").await.unwrap();
    let release = AccountChange::Release { account: mary.id, from: mary.revision };
    let plan = plans::plan(plans::acme(), mary.owner.clone(), release);
    plans::commit(&store, Plan::Account(Box::new(plan))).await.unwrap();
    store.close().await;
    let mary_again = user("mary", &json!({"groupRef": {"name": "mechanics"}}));
    assert_eq!(actions(&place.planned(&documents(&[mary_again]), 0)), [["mary", "takeBack"]]);
    let marie = json!({"groupRef": {"name": "mechanics"}, "email": "mary@acme.example", "adopt": mary.id.to_string(), "username": "mary"});
    let planned = place.planned(&documents(&[user("marie", &marie)]), 0);
    assert_eq!(
        (actions(&planned), &planned["objects"][0]["changes"]),
        (vec![["marie", "adopt"]], &json!([]))
    );
    let unapproved = json!({"groupRef": {"name": "mechanics"}, "chargeApproved": false});
    assert_eq!(
        reasons(&place.planned(&documents(&[user("mary", &unapproved)]), 1)),
        ["ChargeNotApproved"]
    );
}

#[tokio::test]
async fn what_is_refused_about_an_account_that_was_let_go_of_holds_up_all_that_is_asked_for() {
    let place = Place::filled().await;
    let store = place.store().await;
    let alice = plans::find(&store, "alice").await.unwrap();
    let release = AccountChange::Release { account: alice.id, from: alice.revision };
    let plan = plans::plan(plans::acme(), alice.owner.clone(), release);
    plans::commit(&store, Plan::Account(Box::new(plan))).await.unwrap();
    store.close().await;
    let administrator = json!({"name": "administrators"});
    let refused = [
        (json!({"role": "Chief"}), "NotAdoptable", "was left behind in the group administrators"),
        (
            json!({"role": "Chief", "state": "Disabled", "groupRef": {"name": "nowhere"}}),
            "NotAdoptable",
            "spec.groupRef",
        ),
        (
            json!({"role": "Chief", "groupRef": administrator, "email": "bob@acme.example"}),
            "EmailTaken",
            "bob",
        ),
        (
            json!({"role": "Chief", "groupRef": administrator, "state": "Disabled"}),
            "LastAdministrator",
            "full control",
        ),
        (
            json!({"role": "Chief", "groupRef": administrator, "copyOf": {"name": "bob"}}),
            "NotAdoptable",
            "nothing is copied",
        ),
        (
            json!({"role": "Chief", "groupRef": {"name": "nowhere"}, "adopt": alice.id.to_string()}),
            "GroupNotFound",
            "nowhere",
        ),
    ];
    for (spec, reason, message) in refused {
        let planned = place.planned(&documents(&[user("alice", &spec)]), 1);
        assert_eq!(
            (actions(&planned), reasons(&planned)),
            (vec![["alice", "refused"]], vec![reason]),
            "{planned}"
        );
        let row = &planned["objects"][0];
        assert_eq!(
            (&row["changes"], &row["permissionsLost"]),
            (&json!([]), &json!([])),
            "{planned}"
        );
        assert!(row["refused"][0]["message"].as_str().unwrap().contains(message), "{planned}");
    }
    let whole = json!({"role": "Chief", "groupRef": administrator});
    assert_eq!(
        actions(&place.planned(&documents(&[user("alice", &whole)]), 0)),
        [["alice", "takeBack"]]
    );
}

#[tokio::test]
async fn an_entry_of_a_directory_is_taken_over_by_an_account_of_its_id_that_nobody_ever_had() {
    let place = Place::filled().await;
    let entry = |id: &str| documents(&[user("dave", &json!({"adopt": format!("entry/{id}")}))]);
    assert_eq!(
        actions(&place.planned(&entry("0193a4b0-0000-7000-8000-000000000001"), 0)),
        [["dave", "create"]]
    );
    let store = place.store().await;
    let kim = plans::find(&store, "kim").await.unwrap();
    plans::commit(&store, plans::delete(&kim)).await.unwrap();
    store.close().await;
    let mary: AccountId =
        place.accounts().await.iter().find(|account| account.owner.name == "mary").unwrap().id;
    for known in [mary, kim.id] {
        assert_eq!(reasons(&place.planned(&entry(&known.to_string()), 1)), ["NotAdoptable"]);
    }
}

#[tokio::test]
async fn files_folders_lists_and_other_kinds_are_read_as_kubectl_does() {
    let place = Place::filled().await;
    let folder = place.folder.path().join("people/more");
    std::fs::create_dir_all(&folder).unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [bob(&json!({"shoeSize": 43})), {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "dave-password"}, "stringData": {"password": "hunter2hunter2"},
    }]});
    std::fs::write(folder.join("list.json"), list.to_string()).unwrap();
    let dave = format!(
        "# Dave\n---\n{}\n",
        serde_saphyr::to_string(&user("dave", &json!({"state": "Disabled"}))).unwrap()
    );
    std::fs::write(place.folder.path().join("people/dave.yml"), dave).unwrap();
    std::fs::write(place.folder.path().join("people/README.md"), "not YAML: [").unwrap();
    let output = place.roster(&["plan", "-f", "people", "-n", "acme", "-o", "json"], "");
    let (said, notes) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let planned: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(actions(&planned), [["bob", "refused"], ["dave", "create"]], "{said}");
    assert!(
        planned["objects"][0]["refused"][0]["message"]
            .as_str()
            .unwrap()
            .contains("there is no such field"),
        "{said}"
    );
    assert_eq!(planned["objects"][1]["place"], "people/dave.yml:3");
    assert_eq!(
        notes,
        "note: people/more/list.json:1: the Secret dave-password is left out: nothing is planned for this kind\n"
    );
    assert!(!said.contains("hunter2"));
}

#[tokio::test]
async fn a_customer_id_comes_from_the_namespace_in_the_files_else_from_the_store() {
    let place = Place::filled().await;
    let namespace = |label: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme", "labels": {"roster.rs/customer-id": label}}});
    let dave = || user("dave", &json!({}));
    assert_eq!(
        reasons(&place.planned(&documents(&[namespace("apex"), dave()]), 1)),
        ["CustomerIdChanged"]
    );
    assert_eq!(
        place.planned(&documents(&[namespace("acme"), dave()]), 0)["objects"][0]["changes"][0]["after"],
        "dave.acme"
    );
    let elsewhere = |label: &str| {
        let mut namespace = namespace(label);
        namespace["metadata"]["name"] = "apex".into();
        let mut domain = json!({"apiVersion": "roster.rs/v1alpha1", "kind": "OrgEmailDomain", "metadata": {"name": "apex"}, "spec": {"domain": "acme.example"}});
        domain["metadata"]["namespace"] = "apex".into();
        let mut dave = dave();
        dave["metadata"]["namespace"] = "apex".into();
        documents(&[namespace, domain, dave])
    };
    assert_eq!(reasons(&place.planned(&elsewhere("acme"), 1)), ["CustomerIdTaken"]);
    assert_eq!(
        place.planned(&elsewhere("apex"), 0)["objects"][1]["changes"][0]["after"],
        "dave.apex"
    );
}

#[tokio::test]
async fn bad_input_is_a_fault_with_the_file_and_the_line() {
    let place = Place::filled().await;
    let plan = ["plan", "-n", "acme", "-f", "-"];
    let refuses = |manifests: &str, text: &str| {
        let said = place.exits(&plan, manifests, 1);
        assert!(said.contains(text), "{text:?} isn't in: {said}");
    };
    let dave = || documents(&[user("dave", &json!({}))]);
    refuses("kind: User\n  x: [\n", "-:2: refused: Invalid: not YAML: ");
    refuses("a: 1\n", "-:1: refused: Invalid: not an object of Kubernetes: it has no apiVersion");
    refuses(
        "\n\napiVersion: roster.rs/v1alpha1\nkind: User\nmetadata:\n  generateName: a-\n",
        "-:5: metadata.name: the object's name is required",
    );
    refuses("apiVersion: roster.rs/v2\nkind: User\n", "there is no User in roster.rs/v2");
    let twice = documents(&[user("dave", &json!({})), user("dave", &json!({}))]);
    refuses(&twice, "-:3: the User dave of acme stands at -:1 already");
    // One that can't be read doesn't keep the others from being planned.
    let said = place.exits(&plan, &format!("{}\n---\na: [hunter2\n", dave()), 1);
    assert!(
        said.contains("1 to create") && said.contains("refused: Invalid: not YAML: "),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    place.fails(&plan, "# nothing\n", "-: there is no object in it");
    place.fails(&["plan", "-f", "nowhere.yaml"], "", "nowhere.yaml: ");
    std::fs::create_dir(place.folder.path().join("empty")).unwrap();
    place.fails(&["plan", "-f", "empty"], "", "no file that ends in");
    place.fails(&["plan"], "", "--filename");
    std::fs::remove_file(place.folder.path().join("roster.db")).unwrap();
    place.fails(&plan, &documents(&[user("dave", &json!({}))]), "roster.db isn't there");
}

#[tokio::test]
async fn members_of_a_group_that_gives_less_are_told_of_and_so_is_what_is_in_flight() {
    let place = Place::filled().await;
    let store = place.store().await;
    store.set_directories(&["one".to_owned()].into(), plans::at(0).now).await.unwrap();
    plans::commit(&store, plans::create("dave", "dave@acme.example")).await.unwrap();
    store.close().await;
    let group = json!({"apiVersion": "roster.rs/v1alpha1", "kind": "UserGroup", "metadata": {"name": "mechanics"},
        "spec": {"permissions": ["trucks:read"], "selfService": ["Phone"]}});
    let planned = place.planned(&documents(&[group, user("dave", &json!({"role": "Driver"}))]), 0);
    assert_eq!(
        planned["consequences"],
        json!([{"namespace": "acme", "user": "mary", "permissionsGained": ["trucks:read"], "permissionsLost": ["trucks:repair"],
            "because": "is in the group mechanics"}])
    );
    let dave = &planned["objects"][0];
    assert_eq!(dave["changes"], json!([{"field": "role", "before": null, "after": "Driver"}]));
    assert!(
        dave["notes"][0].as_str().unwrap().starts_with("the Create of the account is in flight: "),
        "{dave}"
    );
}

#[tokio::test]
async fn who_is_paused_waits_and_is_refused_nothing() {
    let place = Place::filled().await;
    let mut paused = bob(&json!({"role": "Lead"}));
    paused["metadata"]["annotations"] = json!({"roster.rs/paused": "true"});
    let planned = place.planned(&documents(&[paused]), 0);
    assert_eq!(actions(&planned), [["bob", "unchanged"]]);
    assert!(
        planned["objects"][0]["notes"][0].as_str().unwrap().starts_with("paused: "),
        "{planned}"
    );
}

#[tokio::test]
async fn what_a_file_does_not_name_stays_as_somebody_patched_it() {
    let place = Place::filled().await;
    let store = place.store().await;
    let bob_now = plans::find(&store, "bob").await.unwrap();
    plans::commit(&store, plans::switch(&bob_now, TransactionKind::Disable)).await.unwrap();
    store.close().await;
    let mut silent = bob(&json!({}));
    silent["spec"].as_object_mut().unwrap().remove("chargeApproved");
    let planned = place.planned(&documents(&[silent.clone()]), 0);
    assert_eq!(actions(&planned), [["bob", "unchanged"]]);
    assert!(
        planned["objects"][0]["notes"][0].as_str().unwrap().contains("so it stays Disabled"),
        "{planned}"
    );
    let named = place.planned(&documents(&[bob(&json!({"state": "Enabled"}))]), 0);
    assert_eq!(
        named["objects"][0]["changes"],
        json!([{"field": "state", "before": "Disabled", "after": "Enabled"}])
    );
    // Null is the default, for whoever applies it too.
    silent["spec"]["chargeApproved"] = Value::Null;
    assert_eq!(reasons(&place.planned(&documents(&[silent]), 1)), ["Invalid"]);
}

#[tokio::test]
async fn a_user_without_a_username_has_the_login_name_that_its_account_always_had() {
    let place = Place::filled().await;
    let store = place.store().await;
    plans::commit(
        &store,
        plans::with_login(plans::create("grace", "grace@acme.example"), "g.miller"),
    )
    .await
    .unwrap();
    store.close().await;
    let planned = place.planned(&documents(&[user("grace", &json!({}))]), 0);
    assert!(
        planned["objects"][0]["notes"].to_string().contains("keeps its login name g.miller.acme"),
        "{planned}"
    );
    assert_eq!(
        place.planned(&documents(&[user("grace", &json!({"username": "g.miller"}))]), 0)["objects"]
            [0]["notes"],
        json!([])
    );
    assert_eq!(
        reasons(&place.planned(&documents(&[user("grace", &json!({"username": "grace"}))]), 1)),
        ["Invalid"]
    );
}

#[tokio::test]
async fn the_first_password_from_a_secret_is_a_change_and_the_next_plan_has_none() {
    let place = Place::filled().await;
    let store = place.store().await;
    let [mary, kim] =
        [plans::find(&store, "mary").await.unwrap(), plans::find(&store, "kim").await.unwrap()];
    plans::commit(&store, plans::put_self_service("mechanics", &[SelfServiceField::Password]))
        .await
        .unwrap();
    plans::commit(&store, plans::password_by_member(&mary, "her own")).await.unwrap();
    plans::commit(&store, plans::change_password(&kim, plans::from_secret("the Secret's")))
        .await
        .unwrap();
    store.close().await;
    let secret = |name: &str| json!({"passwordSecretRef": {"name": name}});
    let first = |before: Value, name: &str| json!([{"field": "password", "before": before, "after": format!("from the Secret {name}")}]);
    let planned = place.planned(&documents(&[bob(&secret("bobs"))]), 0);
    assert_eq!(
        (actions(&planned), &planned["objects"][0]["changes"]),
        (vec![["bob", "change"]], &first(Value::Null, "bobs"))
    );
    let mut of_mary = secret("marys");
    of_mary["groupRef"] = json!({"name": "mechanics"});
    let planned = place.planned(&documents(&[user("mary", &of_mary)]), 0);
    assert_eq!(planned["objects"][0]["changes"], first("the member's own".into(), "marys"));
    let mut of_kim = secret("kims");
    of_kim["permissions"] = json!({"from": {"name": "bob", "mode": "Clone"}});
    assert_eq!(
        actions(&place.planned(&documents(&[user("kim", &of_kim)]), 0)),
        [["kim", "unchanged"]]
    );
}

#[tokio::test]
async fn whoever_comes_onto_a_loop_without_a_file_of_their_own_is_told_of() {
    let place = Place::filled().await;
    let store = place.store().await;
    let mary = plans::find(&store, "mary").await.unwrap();
    plans::commit(
        &store,
        plans::update(&mary, |mary| mary.grants = plans::permissions(&["payroll:read"])),
    )
    .await
    .unwrap();
    let bob_now = plans::find(&store, "bob").await.unwrap();
    plans::commit(&store, plans::update(&bob_now, |bob| bob.source = plans::inherited("mary")))
        .await
        .unwrap();
    store.close().await;
    let looped = bob(
        &json!({"permissions": {"grants": ["orders:read"], "from": {"name": "ivan", "mode": "Inherit"}}}),
    );
    let planned = place.planned(&documents(&[looped]), 1);
    let follows = |user: &str, because: &str| {
        json!({"namespace": "acme", "user": user, "permissionsGained": [], "permissionsLost": ["orders:write", "payroll:read"],
            "because": because})
    };
    assert_eq!(
        planned["consequences"],
        json!([
            follows("ivan", "inherits from bob, on a loop"),
            follows("judy", "inherits from ivan")
        ])
    );
}
