//! What takes rights away arrives, whatever else a server refuses or fails at.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use roster::api::user::PasswordSecretRef;
use roster::controller::passwords::PasswordVerifier;
use roster::provisioning::queue::ProvisioningTask;
use roster::provisioning::secret_source::SecretVersionRef;
use roster::provisioning::worker::ProvisioningWorker;
use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::{Value, json};

use super::{Act, Asked, PersonExt, Proxy, ScimServer, Somebody, abilities, entry, gone, person};

/// What no server of these tests takes, wherever it stands.
const UNTAKEN: &str = "hearsay";

fn is_untaken(asked: &Asked) -> bool {
    asked.method != "GET" && asked.body.to_string().contains(UNTAKEN)
}

fn refusal(status: u16) -> Act {
    Act::json(
        status,
        &json!({ "status": status.to_string(), "scimType": "invalidValue", "detail": "no hear-say" }),
    )
}

/// Starts a proxy before a server that takes several writes at once or not, and changes of a part
/// or not.
async fn before(
    server: &Arc<ScimServer>,
    (patch, bulk): (bool, usize),
    script: impl Fn(&Asked) -> Option<Act> + Send + Sync + 'static,
) -> Proxy {
    let can = abilities(patch, bulk, true, true);
    Proxy::before(server, move |asked| {
        if asked.is("GET /ServiceProviderConfig") {
            Act::json(200, &can)
        } else {
            script(asked).unwrap_or(Act::Pass)
        }
    })
    .await
}

/// Deletes somebody at a server that does so to some requests while it is ill, and returns the
/// error.
async fn check_deletion(
    organization: &str,
    can: (bool, usize),
    ill: fn(&Asked) -> Option<Act>,
) -> DirectoryError {
    let server = ScimServer::shared();
    let is_ill = Arc::new(AtomicBool::new(false));
    let illness = is_ill.clone();
    let proxy =
        before(&server, can, move |asked| ill(asked).filter(|_| illness.load(Ordering::Relaxed)))
            .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let somebody = Somebody::at(&server);
    let alice = entry(organization, person(organization, "alice"));
    directory.provision(&alice).await.unwrap();
    is_ill.store(true, Ordering::Relaxed);
    let error = directory.provision(&gone(&alice)).await.unwrap_err();
    let left = somebody.entry_of(&alice).await;
    assert_eq!(left["active"], false);
    assert_eq!(
        (&left["displayName"], &left["userName"]),
        (&json!("alice of ".to_owned() + organization), &json!("alice.".to_owned() + organization))
    );
    let writes = proxy.asked("PATCH /Users").len() + proxy.asked("PUT /Users").len();
    directory.provision(&gone(&alice)).await.unwrap_err();
    assert_eq!(
        proxy.asked("PATCH /Users").len() + proxy.asked("PUT /Users").len(),
        writes,
        "it is closed already"
    );

    is_ill.store(false, Ordering::Relaxed);
    directory.provision(&gone(&alice)).await.unwrap();
    assert_eq!(somebody.entries_of(&alice).await, Vec::<Value>::new());
    error
}

#[tokio::test]
async fn who_is_deleted_cannot_log_in_any_more_while_the_groups_fail() {
    let groups = |asked: &Asked| {
        (asked.path.starts_with("/Groups") || asked.is("POST /Bulk"))
            .then(|| Act::json(503, &json!({})))
    };
    for (name, can) in
        [("groupless", (true, 0)), ("groupless-whole", (false, 0)), ("groupless-bulk", (true, 100))]
    {
        let error = check_deletion(name, can, groups).await;
        assert!(matches!(error, DirectoryError::Failed(_)), "{error}");
    }
}

#[tokio::test]
async fn who_is_deleted_cannot_log_in_any_more_where_a_server_deletes_nobody() {
    let deletion = |asked: &Asked| {
        asked.is("DELETE /Users").then(|| Act::json(405, &json!({ "status": "405" })))
    };
    let error = check_deletion("undeleted", (true, 0), deletion).await;
    assert!(matches!(&error, DirectoryError::Refused(why) if why.contains("405")), "{error}");
}

#[tokio::test]
async fn one_entry_of_an_account_that_is_refused_keeps_no_other_from_being_closed() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut alice = entry("pair", person("pair", "alice"));
    let mut ids = vec![];
    for name in ["pair-one", "pair-two"] {
        ids.push(
            somebody.post("/Users", json!({ "userName": name, "active": true, "externalId": alice.account.to_string() })).await,
        );
    }
    for stubborn in ids.clone() {
        let path = format!("/Users/{stubborn}");
        let proxy = before(&server, (true, 0), move |asked| {
            (asked.method != "GET" && asked.path == path).then(|| refusal(403))
        })
        .await;
        let directory = Directory::open(&proxy.address()).unwrap();
        alice.person.as_mut().unwrap().active = false;
        assert!(matches!(directory.provision(&alice).await, Err(DirectoryError::Refused(_))));
        for user in somebody.entries_of(&alice).await {
            let is_stubborn = user["id"] == stubborn.as_str();
            assert_eq!(user["active"], is_stubborn, "{user}");
            somebody
                .patch(
                    &format!("/Users/{}", user["id"].as_str().unwrap()),
                    json!([{ "op": "replace", "path": "active", "value": true }]),
                )
                .await;
        }
    }
    let path = format!("/Users/{}", ids[0]);
    let proxy = before(&server, (true, 0), move |asked| {
        (asked.method != "GET" && asked.path == path).then(|| refusal(403))
    })
    .await;
    Directory::open(&proxy.address()).unwrap().provision(&gone(&alice)).await.unwrap_err();
    assert_eq!(somebody.entry_of(&alice).await["id"], ids[0].as_str());
}

#[tokio::test]
async fn an_entry_of_an_account_of_which_nobody_knows_what_became_counts_before_one_that_is_refused()
 {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut alice = entry("open", person("open", "alice"));
    let mut paths = vec![];
    for name in ["open-one", "open-two"] {
        let user =
            json!({ "userName": name, "active": true, "externalId": alice.account.to_string() });
        paths.push(format!("/Users/{}", somebody.post("/Users", user).await));
    }
    for failing in paths {
        let proxy = before(&server, (true, 0), move |asked| {
            let is_write = asked.method != "GET" && asked.path.starts_with("/Users");
            is_write.then(|| refusal(if asked.path == failing { 504 } else { 400 }))
        })
        .await;
        let directory = Directory::open(&proxy.address()).unwrap();
        alice.person.as_mut().unwrap().active = false;
        for entry in [alice.clone(), gone(&alice)] {
            let error = directory.provision(&entry).await.unwrap_err();
            assert!(matches!(error, DirectoryError::Failed(_)), "{error}");
        }
    }
}

/// Brings alice, then what becomes of her, which is refused, and returns the error and what the
/// server has of her.
async fn check_refused(
    organization: &str,
    can: (bool, usize),
    edit: impl Fn(&mut Entry),
) -> (DirectoryError, Value) {
    let server = ScimServer::shared();
    let proxy = before(&server, can, |asked| is_untaken(asked).then(|| refusal(400))).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let somebody = Somebody::at(&server);
    let mut alice = entry(organization, person(organization, "alice"));
    alice.person.as_mut().unwrap().group = "administrators".to_owned();
    directory.provision(&alice).await.unwrap();
    alice.person.as_mut().unwrap().group = "users".to_owned();
    edit(&mut alice);
    let error = directory.provision(&alice).await.unwrap_err();
    let found = somebody.entry_of(&alice).await;
    assert_eq!(somebody.groups_of(&found["id"]).await, [format!("{organization}/users")]);
    proxy.forget();
    assert_eq!(directory.provision(&alice).await, Err(error.clone()));
    assert!(proxy.writes().len() <= 2, "what was taken isn't brought again: {:#?}", proxy.writes());
    (error, found)
}

#[tokio::test]
async fn rights_go_although_the_new_password_is_refused() {
    for (name, can) in
        [("refused", (true, 0)), ("refused-whole", (false, 0)), ("refused-bulk", (true, 100))]
    {
        let (error, found) = check_refused(name, can, |alice| {
            let person =
                alice.person.take().unwrap().with_new_password(Some("heard by hearsay alone"));
            alice.person = Some(roster::provisioning::DirectoryUser {
                permissions: vec![],
                role: None,
                ..person
            });
        })
        .await;
        assert_eq!((&found["entitlements"], &found["roles"]), (&Value::Null, &Value::Null));
        assert!(
            error.to_string().contains("400") && error.to_string().contains("invalidValue"),
            "{error}"
        );
        assert!(error.to_string().contains("password"), "{error}");
    }
}

#[tokio::test]
async fn who_is_disabled_is_although_something_else_of_them_is_refused() {
    for (name, can) in
        [("disabled", (true, 0)), ("disabled-whole", (false, 0)), ("disabled-bulk", (true, 100))]
    {
        let (error, found) = check_refused(name, can, |alice| {
            let person = alice.person.as_mut().unwrap();
            (person.active, person.profile.phone) = (false, Some(UNTAKEN.to_owned()));
            person.profile.display_name = "Somebody else".to_owned();
        })
        .await;
        assert_eq!(
            (&found["active"], &found["displayName"]),
            (&json!(false), &json!(format!("alice of {name}")))
        );
        assert_eq!(error, DirectoryError::Refused("no hear-say".to_owned()));
    }
}

#[tokio::test]
async fn rights_go_although_the_new_ones_are_refused() {
    let (error, found) = check_refused("exchanged", (true, 0), |alice| {
        let person = alice.person.as_mut().unwrap();
        person.permissions = vec!["cases:read".to_owned(), UNTAKEN.to_owned()];
        person.role = Some(UNTAKEN.to_owned());
    })
    .await;
    assert_eq!(
        (&found["entitlements"], &found["roles"]),
        (&json!([{ "value": "cases:read" }]), &Value::Null)
    );
    assert_eq!(error, DirectoryError::Refused("no hear-say".to_owned()));
}

#[tokio::test]
async fn why_something_else_is_refused_is_told_in_the_servers_words_although_a_password_is_new() {
    let (error, _) = check_refused("both", (true, 0), |alice| {
        let mut person =
            alice.person.take().unwrap().with_new_password(Some("correct horse battery staple"));
        person.profile.phone = Some(UNTAKEN.to_owned());
        alice.person = Some(person);
    })
    .await;
    assert_eq!(error, DirectoryError::Refused("no hear-say".to_owned()));
}

#[tokio::test]
async fn rights_go_although_the_secret_with_the_new_password_cannot_be_read() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let mut alice = entry("unread", person("unread", "alice"));
    directory.provision(&alice).await.unwrap();
    let person = alice.person.take().unwrap().with_new_password(None);
    alice.person = Some(roster::provisioning::DirectoryUser {
        permissions: vec![],
        group: "users".to_owned(),
        ..person
    });

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = kube::Client::try_from(kube::Config::new(nowhere.parse().unwrap())).unwrap();
    let name = directory.name().to_owned();
    let mut worker = ProvisioningWorker::new(
        vec![directory],
        std::sync::Arc::new(PasswordVerifier::new(client).unwrap().reader()),
    );
    let reference = PasswordSecretRef {
        name: "alice".to_owned(),
        key: "password".to_owned(),
        confirmation_key: None,
    };
    let password = Some(SecretVersionRef { reference, version: "1".to_owned() });
    worker.send(ProvisioningTask { directory: name, entry: alice.clone(), password });
    let (_, answered, answer) = worker.answer().await;
    assert_eq!(answer, Err(DirectoryError::SecretUnavailable));
    assert_eq!(answered.fingerprint(), alice.fingerprint());
    let somebody = Somebody::at(&server);
    let found = somebody.entry_of(&alice).await;
    assert_eq!((&found["active"], &found["entitlements"]), (&json!(true), &Value::Null));
    assert_eq!(somebody.groups_of(&found["id"]).await, ["unread/users"]);
}

/// Starts a proxy before a server that gives no email address to two, of those whom these are.
async fn with_own_addresses(server: &Arc<ScimServer>, users: &[Value]) -> Proxy {
    let path = |user: &Value| format!("/Users/{}", user["id"].as_str().unwrap());
    let address = |user: &Value| user["emails"][0]["value"].clone();
    let addresses = Mutex::new(
        users.iter().map(|user| (path(user), address(user))).collect::<HashMap<String, Value>>(),
    );
    before(server, (true, 0), move |asked| {
        let mut operations = asked.body["Operations"].as_array().into_iter().flatten();
        let operation =
            operations.find(|it| it["path"] == "emails").filter(|_| asked.is("PATCH /Users"))?;
        let mut addresses = addresses.lock().unwrap();
        if operation["op"] == "remove" {
            addresses.remove(&asked.path);
            return None;
        }
        let address = &operation["value"][0]["value"];
        if addresses.iter().any(|(path, has)| has == address && *path != asked.path) {
            return Some(Act::json(
                409,
                &json!({ "scimType": "uniqueness", "detail": "somebody has this address" }),
            ));
        }
        addresses.insert(asked.path.clone(), address.clone());
        None
    })
    .await
}

#[tokio::test]
async fn two_who_swap_their_addresses_get_them_where_no_two_may_have_one() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut people = ["alice", "bob"].map(|name| entry("swapped", person("swapped", name)));
    let mut users = vec![];
    for entry in &people {
        Directory::open(&server.address()).unwrap().provision(entry).await.unwrap();
        users.push(somebody.entry_of(entry).await);
    }
    let proxy = with_own_addresses(&server, &users).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    for (entry, name) in people.iter_mut().zip(["bob", "alice"]) {
        let person = entry.person.as_mut().unwrap();
        (person.email, person.permissions) = (format!("{name}@swapped.example"), vec![]);
    }
    let error = DirectoryError::Refused("somebody has this address".to_owned());
    for entry in &people {
        assert_eq!(directory.provision(entry).await, Err(error.clone()));
        assert_eq!(somebody.entry_of(entry).await["entitlements"], Value::Null);
    }
    let mut tries = 0;
    while futures::future::join_all(people.iter().map(|entry| directory.provision(entry)))
        .await
        .iter()
        .any(Result::is_err)
    {
        tries += 1;
        assert!(tries < 5);
    }
    for (entry, name) in people.iter().zip(["bob", "alice"]) {
        assert_eq!(
            somebody.entry_of(entry).await["emails"][0]["value"],
            format!("{name}@swapped.example")
        );
    }
}

#[tokio::test]
async fn an_address_that_somebody_else_has_is_refused_each_time_and_nothing_else_is() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut carol = entry("foreign", person("foreign", "carol"));
    Directory::open(&server.address()).unwrap().provision(&carol).await.unwrap();
    let theirs = json!({ "id": "somebody-else", "emails": [{ "value": "dave@foreign.example" }] });
    let proxy = with_own_addresses(&server, &[somebody.entry_of(&carol).await, theirs]).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    // A new password alone is no reason to lose the address.
    let mut person =
        carol.person.take().unwrap().with_new_password(Some("correct horse battery staple"));
    person.email = "dave@foreign.example".to_owned();
    person.profile.phone = None;
    carol.person = Some(person);
    let mut writes = vec![];
    for _ in 0..4 {
        proxy.forget();
        let error = directory.provision(&carol).await.unwrap_err();
        assert_eq!(error, DirectoryError::Refused("somebody has this address".to_owned()));
        assert_eq!(somebody.entry_of(&carol).await["phoneNumbers"], Value::Null);
        writes.push(proxy.writes().len());
    }
    assert_eq!(writes[2..], [2, 2], "{writes:?}");
    carol.person.as_mut().unwrap().email = "carol@foreign.example".to_owned();
    directory.provision(&carol).await.unwrap();
    assert_eq!(somebody.entry_of(&carol).await["emails"][0]["value"], "carol@foreign.example");
}

#[tokio::test]
async fn nobody_is_let_in_again_with_the_password_that_another_one_is_to_replace() {
    let server = ScimServer::shared();
    let proxy = before(&server, (true, 0), |asked| is_untaken(asked).then(|| refusal(400))).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let mut alice = entry("reopened", person("reopened", "alice"));
    alice.person.as_mut().unwrap().active = false;
    directory.provision(&alice).await.unwrap();
    let opened = roster::provisioning::DirectoryUser {
        active: true,
        role: None,
        ..alice.person.take().unwrap()
    };
    let mut unread = opened.clone().with_new_password(None);
    unread.password.as_mut().unwrap().is_unread = true;
    alice.person = Some(unread);
    directory.provision(&alice).await.unwrap();
    let somebody = Somebody::at(&server);
    assert_eq!(somebody.entry_of(&alice).await["active"], false, "its text can't be read");

    alice.person = Some(opened.clone().with_new_password(Some("heard by hearsay alone")));
    directory.provision(&alice).await.unwrap_err();
    let found = somebody.entry_of(&alice).await;
    assert_eq!(
        (&found["active"], &found["roles"]),
        (&json!(false), &Value::Null),
        "the server doesn't take it"
    );
    alice.person = Some(opened.with_new_password(Some("nine lorries leave at dawn")));
    directory.provision(&alice).await.unwrap();
    assert_eq!(somebody.entry_of(&alice).await["active"], true);
}

#[tokio::test]
async fn an_entry_that_somebody_deleted_is_made_anew_and_its_password_is_asked_for() {
    let server = ScimServer::shared();
    let directory = Directory::open(&server.address()).unwrap();
    let mut alice = entry("vanished", person("vanished", "alice"));
    alice.person = alice.person.map(PersonExt::with_password_known);
    assert_eq!(directory.provision(&alice).await, Err(DirectoryError::EntryRecreated));
    assert_eq!(Somebody::at(&server).entry_of(&alice).await["active"], true);
    directory.provision(&alice).await.unwrap();
}

#[tokio::test]
async fn a_group_that_cannot_be_left_keeps_nobody_in_another() {
    let server = ScimServer::shared();
    let alice = entry("several", person("several", "alice"));
    Directory::open(&server.address()).unwrap().provision(&alice).await.unwrap();
    let somebody = Somebody::at(&server);
    let id = somebody.entry_of(&alice).await["id"].clone();
    let mut closed = String::new();
    for name in ["several/closed", "several/open"] {
        let group =
            json!({ "displayName": name, "externalId": name, "members": [{ "value": id }] });
        let path = format!("PATCH /Groups/{}", somebody.post("/Groups", group).await);
        closed = if name.ends_with("closed") { path } else { closed };
    }
    let proxy =
        before(&server, (true, 0), move |asked| asked.is(&closed).then(|| refusal(409))).await;
    Directory::open(&proxy.address()).unwrap().provision(&alice).await.unwrap_err();
    let left = somebody.groups_of(&id).await;
    assert!(
        left.contains(&"several/closed".to_owned()) && !left.contains(&"several/open".to_owned()),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_deletion_waits_for_no_change_that_hangs() {
    let server = ScimServer::shared();
    let hangs = |asked: &Asked| asked.is("PATCH /Users").then_some(Act::Hang);
    let proxy = before(&server, (true, 0), hangs).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let alice = entry("hanging", person("hanging", "alice"));
    directory.provision(&alice).await.unwrap();
    directory.provision(&gone(&alice)).await.unwrap();
}
