//! A real server, and everything that a person can be there.

use reqwest::Method;
use roster::provisioning::{Directory, DirectoryError, Groups};
use serde_json::{Value, json};

use super::{Act, ENTERPRISE, PersonExt, Proxy, ScimServer, Somebody, entry, gone, person};

#[tokio::test]
async fn everything_of_a_person_is_in_the_directory_word_for_word() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    assert!(directory.takes_password_texts());
    let alice = entry("words", person("words", "alice"));
    directory.provision(&alice).await.unwrap();
    let somebody = Somebody::at(&server);
    let mut found = somebody.entry_of(&alice).await;
    let id = found["id"].clone();
    assert_eq!(somebody.groups_of(&id).await, ["words/people"]);
    assert_eq!(somebody.groups_in("words").await[0]["externalId"], "words/people");
    found.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "meta");
    let expected = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice.words",
        "externalId": alice.account.to_string(),
        "active": true,
        "displayName": "alice of words",
        "name": { "formatted": "alice of words" },
        "emails": [{ "value": "alice@words.example", "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "+49 30 1234567", "type": "work" }],
        "addresses": [{
            "type": "work", "streetAddress": "1 Way\nSecond floor", "locality": "Berlin", "postalCode": "10115", "country": "DE"
        }],
        "timezone": "Europe/Berlin",
        "roles": [{ "value": "auditor" }],
        "entitlements": [{ "value": "cases:read" }, { "value": "cases:write" }],
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_differs_is_changed_and_what_does_not_is_left_alone() {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let mut bob = entry("changes", person("changes", "bob"));
    directory.provision(&bob).await.unwrap();
    proxy.forget();
    directory.provision(&bob).await.unwrap();
    assert_eq!(proxy.writes().len(), 0);

    let changed = bob.person.as_mut().unwrap();
    changed.active = false;
    changed.profile.phone = None;
    changed.profile.address.as_mut().unwrap().locality = Some("Hamburg".to_owned());
    changed.permissions = vec!["*".to_owned()];
    changed.role = None;
    directory.provision(&bob).await.unwrap();
    let operations = &proxy.asked("PATCH /Users")[0].body["Operations"];
    let paths: Vec<&str> =
        operations.as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["active", "phoneNumbers", "addresses", "roles", "entitlements"]);
    assert_eq!(proxy.writes().len(), 1);
    let found = Somebody::at(&server).entry_of(&bob).await;
    assert_eq!(found["active"], false);
    assert_eq!((&found["phoneNumbers"], &found["roles"]), (&Value::Null, &Value::Null));
    assert_eq!(found["addresses"][0]["locality"], "Hamburg");
    assert_eq!(found["entitlements"], json!([{ "value": "*" }]));

    bob.person.as_mut().unwrap().active = true;
    directory.provision(&bob).await.unwrap();
    assert_eq!(Somebody::at(&server).entry_of(&bob).await["active"], true);
}

#[tokio::test]
async fn what_somebody_else_changed_is_put_right_and_what_is_theirs_stays() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let mut carol = entry("theirs", person("theirs", "carol"));
    directory.provision(&carol).await.unwrap();
    let id = somebody.entry_of(&carol).await["id"].as_str().unwrap().to_owned();
    let foreign = somebody
        .post("/Groups", json!({ "displayName": "Book club", "members": [{ "value": id }] }))
        .await;
    let path = format!("/Users/{id}");
    let operations = json!([
        { "op": "replace", "path": "title", "value": "Boss" },
        { "op": "replace", "path": "name.givenName", "value": "Carol" },
        { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Tours" },
        { "op": "add", "path": "entitlements", "value": [{ "value": "root" }] },
        { "op": "replace", "path": "displayName", "value": "Nobody" },
    ]);
    somebody.patch(&path, operations).await;
    carol.person.as_mut().unwrap().profile.display_name = "Carol of Acme".to_owned();
    directory.provision(&carol).await.unwrap();
    let found = somebody.entry_of(&carol).await;
    assert_eq!(found["title"], "Boss");
    assert_eq!(found["name"], json!({ "givenName": "Carol", "formatted": "Carol of Acme" }));
    assert_eq!(found[ENTERPRISE]["department"], "Tours");
    assert_eq!(found["displayName"], "Carol of Acme");
    assert_eq!(
        found["entitlements"],
        json!([{ "value": "cases:read" }, { "value": "cases:write" }])
    );
    assert_eq!(somebody.groups_of(&found["id"]).await, ["Book club", "theirs/people"]);
    assert_eq!(somebody.ask(Method::DELETE, &format!("/Groups/{foreign}"), None).await.0, 204);
}

#[tokio::test]
async fn a_person_who_changes_groups_leaves_the_old_one() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let mut dave = entry("moves", person("moves", "dave"));
    directory.provision(&dave).await.unwrap();
    let id = somebody.entry_of(&dave).await["id"].clone();
    dave.person.as_mut().unwrap().group = "leads".to_owned();
    directory.provision(&dave).await.unwrap();
    assert_eq!(somebody.groups_of(&id).await, ["moves/leads"]);
    // Whoever takes them out of it, or puts them into another, is put right too.
    let leads = somebody
        .groups_in("moves")
        .await
        .into_iter()
        .find(|group| group["externalId"] == "moves/leads")
        .unwrap();
    somebody
        .patch(
            &format!("/Groups/{}", leads["id"].as_str().unwrap()),
            json!([{ "op": "remove", "path": "members" }]),
        )
        .await;
    directory.provision(&dave).await.unwrap();
    assert_eq!(somebody.groups_of(&id).await, ["moves/leads"]);
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_and_its_login_name_is_free_again() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let first = entry("leavers", person("leavers", "erin"));
    directory.provision(&first).await.unwrap();
    let id = somebody.entry_of(&first).await["id"].clone();
    directory.provision(&gone(&first)).await.unwrap();
    assert_eq!(somebody.entries_of(&first).await, Vec::<Value>::new());
    assert_eq!(somebody.groups_of(&id).await, Vec::<String>::new());
    directory.provision(&gone(&first)).await.unwrap();

    let second = entry("leavers", person("leavers", "erin"));
    directory.provision(&second).await.unwrap();
    assert_eq!(somebody.entry_of(&second).await["userName"], "erin.leavers");
}

#[tokio::test]
async fn a_write_in_between_is_a_conflict_that_the_next_try_resolves() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut alice = entry("between", person("between", "alice"));
    Directory::open(&server.address()).unwrap().provision(&alice).await.unwrap();
    let path = format!("/Users/{}", somebody.entry_of(&alice).await["id"].as_str().unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    let proxy = Proxy::before(&server, move |asked| {
        if asked.is("PATCH /Users") && !done.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Act::PassAfter(
                path.clone(),
                json!([{ "op": "replace", "path": "title", "value": "Boss" }]),
            );
        }
        Act::Pass
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    alice.person.as_mut().unwrap().profile.phone = Some("+49 30 7".to_owned());
    assert_eq!(directory.provision(&alice).await, Err(DirectoryError::Conflict));
    directory.provision(&alice).await.unwrap();
    let found = somebody.entry_of(&alice).await;
    assert_eq!(
        (&found["title"], &found["phoneNumbers"][0]["value"]),
        (&json!("Boss"), &json!("+49 30 7"))
    );
}

#[tokio::test]
async fn groups_that_nobody_is_in_and_that_are_no_more_go() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let group = |name: &str| json!({ "displayName": format!("closing/{name}"), "externalId": format!("closing/{name}") });
    for name in ["kept", "empty", "used"] {
        somebody.post("/Groups", group(name)).await;
    }
    somebody.post("/Groups", json!({ "displayName": "closing/foreign" })).await;
    let mut bob = person("closing", "bob");
    bob.group = "used".to_owned();
    directory.provision(&entry("closing", bob)).await.unwrap();
    let present = Groups::from([("closing".to_owned(), ["kept".to_owned()].into())]);
    directory.drop_groups(&present).await.unwrap();
    let mut left: Vec<String> = somebody
        .groups_in("closing")
        .await
        .iter()
        .map(|group| group["externalId"].as_str().unwrap().to_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["closing/kept", "closing/used"]);
    assert!(
        somebody.all("/Groups").await.iter().any(|group| group["displayName"] == "closing/foreign")
    );
}

/// Returns the passwords that were sent, each with the method.
fn passwords(proxy: &Proxy) -> Vec<(String, String)> {
    let of = |asked: &super::Asked| {
        let patched = asked.body["Operations"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|it| it["path"] == "password");
        let password =
            patched.map_or(&asked.body["password"], |it| &it["value"]).as_str()?.to_owned();
        Some((asked.method.clone(), password))
    };
    proxy.writes().iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_password_is_sent_once_and_one_that_nobody_knows_takes_the_old_ones_place() {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let text = "correct horse battery staple";
    let mut erin = entry("secret", person("secret", "erin").with_new_password(Some(text)));
    directory.provision(&erin).await.unwrap();
    assert_eq!(passwords(&proxy), [("POST".to_owned(), text.to_owned())]);

    proxy.forget();
    erin.person = Some(person("secret", "erin").with_password_known());
    directory.provision(&erin).await.unwrap();
    assert_eq!(proxy.writes().len(), 0);

    erin.person =
        Some(person("secret", "erin").with_new_password(Some("another horse battery staple")));
    directory.provision(&erin).await.unwrap();
    assert_eq!(
        passwords(&proxy),
        [("PATCH".to_owned(), "another horse battery staple".to_owned())]
    );

    proxy.forget();
    erin.person = Some(person("secret", "erin").with_new_password(None));
    directory.provision(&erin).await.unwrap();
    let sent = passwords(&proxy);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1.len() >= 32, "a random one");

    proxy.forget();
    let member = entry("secret", person("secret", "frank").with_new_password(None));
    directory.provision(&member).await.unwrap();
    assert_eq!(passwords(&proxy), []);
}

#[tokio::test]
async fn no_password_is_sent_where_the_address_says_so() {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let directory = Directory::open(&format!("{}&passwords=none", proxy.address())).unwrap();
    assert!(!directory.takes_password_texts());
    let mut erin = entry(
        "hushed",
        person("hushed", "erin").with_new_password(Some("correct horse battery staple")),
    );
    directory.provision(&erin).await.unwrap();
    erin.person = Some(person("hushed", "erin").with_new_password(None));
    directory.provision(&erin).await.unwrap();
    assert_eq!(passwords(&proxy), []);
}

#[tokio::test]
async fn a_login_name_that_another_entry_has_is_refused_with_what_to_do() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let id = somebody.post("/Users", json!({ "userName": "alice.taken", "title": "Boss" })).await;
    let alice = entry("taken", person("taken", "alice"));
    let error = directory.provision(&alice).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Refused(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("alice.taken")
            && text.contains(&alice.account.to_string())
            && text.contains("roster import --link"),
        "{text}"
    );

    directory.link(&id, &alice.account.to_string()).await.unwrap();
    directory.provision(&alice).await.unwrap();
    let found = somebody.entry_of(&alice).await;
    assert_eq!((&found["id"], &found["title"]), (&json!(id), &json!("Boss")));
}

#[tokio::test]
async fn of_two_entries_of_an_account_none_is_changed_until_the_account_is_disabled() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let somebody = Somebody::at(&server);
    let mut alice = entry("twice", person("twice", "alice"));
    for name in ["one", "two"] {
        somebody.post("/Users", json!({ "userName": name, "active": true, "externalId": alice.account.to_string() })).await;
    }
    let error = directory.provision(&alice).await.unwrap_err();
    assert!(error.to_string().contains("2 entries"), "{error}");
    alice.person.as_mut().unwrap().active = false;
    directory.provision(&alice).await.unwrap();
    let active: Vec<Value> =
        somebody.entries_of(&alice).await.iter().map(|user| user["active"].clone()).collect();
    assert_eq!(active, [false, false]);
    directory.provision(&gone(&alice)).await.unwrap();
    assert_eq!(somebody.entries_of(&alice).await.len(), 0);
}

#[tokio::test]
async fn a_server_that_lost_everything_is_filled_again() {
    let server = ScimServer::start();
    let directory = Directory::open(&server.address()).unwrap();
    let alice = entry("again", person("again", "alice"));
    directory.provision(&alice).await.unwrap();
    server.kill();
    let mut error = directory.provision(&alice).await.unwrap_err();
    for _ in 0..4 {
        // A connection that was kept breaks first.
        if matches!(error, DirectoryError::Failed(_)) {
            error = directory.provision(&alice).await.unwrap_err();
        }
    }
    assert!(matches!(error, DirectoryError::Unreachable(_)), "{error}");
    server.resume();
    directory.provision(&alice).await.unwrap();
    assert_eq!(Somebody::at(&server).entry_of(&alice).await["userName"], "alice.again");
}
