//! Who a directory has already, and how their entries become accounts'.

use std::collections::BTreeMap;

use roster::domain::profile::{PostalAddress, Profile};
use roster::provisioning::{Directory, DirectoryError, ImportedUser};
use serde_json::json;

use super::{Act, Proxy, ScimServer, Somebody, abilities};

#[tokio::test]
async fn everybody_is_listed_with_what_the_directory_knows_of_them() {
    let server = ScimServer::start();
    let somebody = Somebody::at(&server);
    let alice = json!({
        "userName": "alice", "externalId": "hr-7", "active": false, "displayName": "Alice", "timezone": "Europe/Berlin",
        "emails": [{ "value": "home@acme.example", "type": "home" }, { "value": "alice@acme.example", "primary": true }],
        "phoneNumbers": [{ "value": "+49 30 1" }],
        "addresses": [{ "streetAddress": "1 Way\nSecond floor", "locality": "Berlin", "postalCode": "10115", "country": "DE" }],
        "roles": [{ "value": "auditor" }],
        "entitlements": [{ "value": "cases:write" }, { "value": "cases:read" }],
    });
    let alice_id = somebody.post("/Users", alice).await;
    let bob_id =
        somebody.post("/Users", json!({ "userName": "bob", "name": { "formatted": "Bob" } })).await;
    somebody
        .post("/Groups", json!({ "displayName": "Leads", "members": [{ "value": alice_id }] }))
        .await;
    somebody
        .post("/Groups", json!({ "displayName": "Everybody", "members": [{ "value": alice_id }, { "value": bob_id }] }))
        .await;
    let found = Directory::open(&server.address()).unwrap().people().await.unwrap().people;
    let alice = ImportedUser {
        id: alice_id,
        external_id: Some("hr-7".to_owned()),
        login_name: "alice".to_owned(),
        active: false,
        email: Some("alice@acme.example".to_owned()),
        profile: Profile {
            display_name: "Alice".to_owned(),
            phone: Some("+49 30 1".to_owned()),
            address: Some(PostalAddress {
                street: vec!["1 Way".to_owned(), "Second floor".to_owned()],
                locality: Some("Berlin".to_owned()),
                region: None,
                postal_code: Some("10115".to_owned()),
                country: Some("DE".to_owned()),
            }),
            time_zone: Some("Europe/Berlin".to_owned()),
            notifications: [].into(),
        },
        role: Some("auditor".to_owned()),
        permissions: vec!["cases:read".to_owned(), "cases:write".to_owned()],
        groups: vec!["Everybody".to_owned(), "Leads".to_owned()],
        further: [("emails", 1)].into(),
        unreadable: vec![],
    };
    let bob = ImportedUser {
        id: bob_id,
        external_id: None,
        login_name: "bob".to_owned(),
        active: true,
        email: None,
        profile: Profile { display_name: "Bob".to_owned(), ..Profile::default() },
        role: None,
        permissions: vec![],
        groups: vec!["Everybody".to_owned()],
        further: BTreeMap::new(),
        unreadable: vec![],
    };
    assert_eq!(found, [alice, bob]);
}

#[tokio::test]
async fn an_entry_is_linked_once_and_an_account_has_one() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    for can_patch in [true, false] {
        let proxy = Proxy::with_abilities(&server, abilities(can_patch, 0, true, true)).await;
        let directory = Directory::open(&proxy.address()).unwrap();
        let name = |number: u8| format!("link{number}{can_patch}");
        let first = somebody.post("/Users", json!({ "userName": name(1), "title": "Boss" })).await;
        let second = somebody.post("/Users", json!({ "userName": name(2) })).await;
        let account = format!("account-{can_patch}");
        directory.link(&first, &account).await.unwrap();
        proxy.forget();
        directory.link(&first, &account).await.unwrap();
        assert_eq!(proxy.writes().len(), 0);
        let error = directory.link(&second, &account).await.unwrap_err();
        assert!(matches!(&error, DirectoryError::Refused(why) if why.contains(&first)), "{error}");
        let linked = somebody
            .all("/Users")
            .await
            .into_iter()
            .find(|user| user["id"] == first.as_str())
            .unwrap();
        assert_eq!((&linked["externalId"], &linked["title"]), (&json!(account), &json!("Boss")));
    }
    let directory = Directory::open(&server.address()).unwrap();
    let error = directory.link("nobody", "account-7").await.unwrap_err();
    assert!(matches!(&error, DirectoryError::Refused(why) if why.contains("nobody")), "{error}");
}

#[tokio::test]
async fn booleans_and_keys_that_are_written_otherwise_are_read() {
    let proxy = Proxy::alone(|asked| {
        let users = json!([
            { "id": 1, "userName": "ann", "active": "True",
              "emails": [{ "value": "old@acme.example" }, { "value": "ann@acme.example", "primary": "true" }] },
            { "id": 2, "userName": "bob", "active": "False", "phoneNumbers": [4711], "roles": ["driver"] },
        ]);
        let groups = json!([{ "id": 7, "displayName": "drivers", "members": [{ "value": 2 }] }]);
        let all = if asked.path == "/Groups" { groups } else { users };
        Act::json(200, &json!({ "totalResults": all.as_array().unwrap().len().to_string(), "Resources": all }))
    })
    .await;
    let found = Directory::open(&proxy.address()).unwrap().people().await.unwrap();
    assert!(found.people.iter().all(|one| one.unreadable.is_empty()), "{found:#?}");
    let [ann, bob] = &found.people[..] else { panic!("{found:#?}") };
    assert_eq!(
        (ann.id.as_str(), ann.active, ann.email.as_deref()),
        ("1", true, Some("ann@acme.example"))
    );
    assert_eq!(
        (bob.active, bob.profile.phone.as_deref(), bob.role.as_deref()),
        (false, Some("4711"), Some("driver"))
    );
    assert_eq!(bob.groups, ["drivers"]);
}

#[tokio::test]
async fn one_odd_entry_keeps_nobody_else_from_being_listed_and_says_what_is_odd_about_it() {
    let proxy = Proxy::alone(|asked| {
        let users = json!([
            { "id": "1", "userName": "alice", "active": "perhaps", "phoneNumbers": [{ "value": true }], "emails": "alice@acme.example" },
            { "id": "2", "displayName": "Nobody", "addresses": [{ "postalCode": 10115 }] },
            { "id": "3", "userName": "bob", "externalId": "", "displayName": " ", "name": { "formatted": "Bob" },
              "emails": [{ "value": "" }, { "value": "bob@acme.example" }],
              "addresses": [{ "type": "work" }, { "formatted": "1 Way, Berlin" }] },
        ]);
        let all = json!({ "totalResults": 3, "Resources": users });
        let list = if asked.path == "/Groups" { json!({ "totalResults": 0 }) } else { all };
        Act::json(200, &list)
    })
    .await;
    let found = Directory::open(&proxy.address()).unwrap().people().await.unwrap().people;
    let unreadable: Vec<(&str, String)> =
        found.iter().map(|one| (one.id.as_str(), one.unreadable.join("; "))).collect();
    let expected = [
        ("2", "it has no userName; postalCode of an address isn't a text"),
        (
            "1",
            "active is neither true nor false; emails isn't a list; a value of phoneNumbers isn't a text",
        ),
        ("3", ""),
    ];
    assert_eq!(unreadable, expected.map(|(id, why)| (id, why.to_owned())));
    let bob = &found[2];
    assert_eq!(
        (&bob.profile.address, &bob.further),
        (&None, &[("addresses", 1)].into()),
        "what has no parts can't be taken"
    );
    assert_eq!(
        (&bob.external_id, bob.profile.display_name.as_str(), bob.email.as_deref()),
        (&None, "Bob", Some("bob@acme.example"))
    );
}

#[tokio::test]
async fn what_cannot_be_listed_whole_is_not_listed() {
    let proxy = Proxy::alone(|asked| {
        let list = if asked.path == "/Groups" {
            json!({ "totalResults": 0 })
        } else {
            json!({ "totalResults": 2, "Resources": [] })
        };
        Act::json(200, &list)
    })
    .await;
    let error = Directory::open(&proxy.address()).unwrap().people().await.unwrap_err();
    assert!(matches!(error, DirectoryError::Protocol(_)), "{error}");
}

#[tokio::test]
async fn only_a_directory_that_can_be_imported_from_is() {
    let directory = Directory::open("rehearsal:///tmp/nowhere").unwrap();
    let error = directory.people().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Unsupported(why) if why.contains("scim+https://")),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_left_out_and_said_to_be() {
    let proxy = Proxy::alone(|asked| {
        let groups = json!([
            { "id": "1", "displayName": "Odd", "members": "alice" },
            { "id": "2", "displayName": 7, "members": [{ "value": "a" }] },
            { "id": "3", "displayName": "Half", "members": [{ "value": "a" }, { "display": "somebody" }] },
            { "id": "4", "displayName": "Leads", "members": [{ "value": "a" }] },
        ]);
        let (total, list) = if asked.path == "/Groups" { (4, groups) } else { (1, json!([{ "id": "a", "userName": "alice" }])) };
        Act::json(200, &json!({ "totalResults": total, "Resources": list }))
    })
    .await;
    let found = Directory::open(&proxy.address()).unwrap().people().await.unwrap();
    assert_eq!(found.people[0].groups, ["Leads"]);
    let said = [
        "the group Odd (entry 1): members isn't a list of objects; nobody is put into it",
        "the group without a readable name (entry 2): displayName isn't a text; nobody is put into it",
        "the group Half (entry 3): a member has no value; nobody is put into it",
    ];
    assert_eq!(found.unreadable_groups, said);
}

#[tokio::test]
async fn where_the_list_of_groups_is_too_long_each_is_read_by_itself() {
    let proxy = Proxy::alone(|asked| {
        let with_members = asked.query.contains("members");
        let group = |id: &str| json!({ "id": id, "displayName": format!("Group {id}"), "members": [{ "value": "a" }] });
        let names = json!([{ "id": "1", "displayName": "Group 1" }, { "id": "2", "displayName": "Group 2" }]);
        match asked.path.as_str() {
            "/Users" => Act::json(200, &json!({ "totalResults": 1, "Resources": [{ "id": "a", "userName": "alice" }] })),
            "/Groups" if with_members => Act::json(200, &json!("too long")),
            "/Groups" => Act::json(200, &json!({ "totalResults": 2, "Resources": names })),
            "/Groups/1" => Act::json(200, &group("1")),
            _ => Act::json(200, &json!("too long too")),
        }
    })
    .await;
    let found = Directory::open(&proxy.address()).unwrap().people().await.unwrap();
    assert_eq!(found.people[0].groups, ["Group 1"]);
    assert_eq!(found.unreadable_groups.len(), 1, "{:?}", found.unreadable_groups);
    assert!(
        found.unreadable_groups[0].starts_with("the group Group 2 (entry 2): "),
        "{:?}",
        found.unreadable_groups
    );
}
