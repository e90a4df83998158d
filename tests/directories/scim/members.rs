//! Who is in which group, at servers that don't show it or don't take somebody out as the RFC has
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roster::provisioning::{Directory, DirectoryError, Groups};
use serde_json::{Value, json};

use super::variants::check_lives;
use super::{Act, Asked, Proxy, ScimServer, Somebody, abilities, entry, person};

/// Takes the members out of an answer, as servers do that give them to nobody or give them on
/// request.
fn without_members(answer: &mut Value) {
    let has_many = answer["Resources"].is_array();
    let groups = if has_many {
        answer["Resources"].as_array_mut().unwrap().iter_mut().collect()
    } else {
        vec![answer]
    };
    for group in groups.into_iter().filter_map(Value::as_object_mut) {
        group.remove("members");
    }
}

fn with_empty_members(answer: &mut Value) {
    without_members(answer);
    for group in answer["Resources"].as_array_mut().into_iter().flatten() {
        group["members"] = json!([]);
    }
}

fn is_by_member(asked: &Asked) -> bool {
    asked.query.contains("members.value+eq")
}

fn names_a_member(asked: &Asked) -> bool {
    asked.method == "PATCH" && asked.body.to_string().contains("members[value")
}

fn error(scim_type: &str) -> Act {
    Act::json(400, &json!({ "status": "400", "scimType": scim_type }))
}

/// Returns the same change with paths that name the members, for a server that knows no other form.
fn by_path(body: &Value) -> Value {
    let mut operations = vec![];
    for operation in body["Operations"].as_array().unwrap() {
        if operation["op"] == "remove" && operation["value"].is_array() {
            let ids = operation["value"].as_array().unwrap().iter().map(|it| it["value"].clone());
            operations.extend(
                ids.map(|id| json!({ "op": "remove", "path": format!("members[value eq {id}]") })),
            );
        } else {
            operations.push(operation.clone());
        }
    }
    super::patch(operations.into())
}

/// Returns the same change at a server that goes by the RFC: what is removed is everything,
/// whatever values are given.
fn of_everybody(body: &Value) -> Value {
    let mut operations = body["Operations"].clone();
    for operation in operations.as_array_mut().unwrap().iter_mut().filter(|it| it["op"] == "remove")
    {
        operation.as_object_mut().unwrap().remove("value");
    }
    super::patch(operations)
}

/// Returns a directory at a server that seems to be another, without bulks.
async fn directory_at(
    server: &Arc<ScimServer>,
    script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
) -> (Proxy, Directory) {
    let can = abilities(true, 0, true, true);
    let script = move |asked: &Asked| {
        if asked.is("GET /ServiceProviderConfig") { Act::json(200, &can) } else { script(asked) }
    };
    let proxy = Proxy::before(server, script).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    (proxy, directory)
}

#[tokio::test]
async fn a_server_that_filters_by_members_and_shows_none_is_left_and_joined() {
    let server = ScimServer::shared();
    for (organization, hide) in
        [("omitting", without_members as fn(&mut Value)), ("emptying", with_empty_members)]
    {
        let (_proxy, directory) = directory_at(&server, move |asked| {
            if asked.is("GET /Groups") { Act::PassAltered(hide) } else { Act::Pass }
        })
        .await;
        check_lives(&directory, &Somebody::at(&server), organization).await;
    }
}

#[tokio::test]
async fn a_server_that_neither_filters_by_members_nor_shows_any_is_left_and_joined() {
    for ignores in [true, false] {
        let server = ScimServer::start();
        let (_proxy, directory) =
            directory_at(&server, move |asked| match asked.is("GET /Groups") {
                true if is_by_member(asked) && !ignores => error("invalidFilter"),
                true if is_by_member(asked) => Act::json(
                    200,
                    &json!({ "totalResults": 2, "Resources": [{ "id": "7" }, { "id": "8" }] }),
                ),
                true => Act::PassAltered(without_members),
                false => Act::Pass,
            })
            .await;
        check_lives(&directory, &Somebody::at(&server), "hidden").await;
    }
}

#[tokio::test]
async fn a_group_that_only_the_entry_tells_of_is_left() {
    let server = ScimServer::start();
    let has_left = AtomicBool::new(false);
    let (_proxy, directory) = directory_at(&server, move |asked| match asked.method.as_str() {
        "PATCH" if names_a_member(asked) => {
            has_left.store(true, Ordering::Relaxed);
            Act::Pass
        }
        "GET" if is_by_member(asked) => Act::json(200, &json!({ "totalResults": 0 })),
        "GET" if asked.path == "/Users" && !has_left.load(Ordering::Relaxed) => {
            Act::PassAltered(|answer| {
                for user in answer["Resources"].as_array_mut().into_iter().flatten() {
                    user["groups"] = json!([{ "value": "7", "display": "told/people" }]);
                }
            })
        }
        _ => Act::Pass,
    })
    .await;
    let mut alice = entry("told", person("told", "alice"));
    directory.provision(&alice).await.unwrap();
    alice.person.as_mut().unwrap().group = "leads".to_owned();
    directory.provision(&alice).await.unwrap();
    let somebody = Somebody::at(&server);
    assert_eq!(somebody.groups_of(&somebody.entry_of(&alice).await["id"]).await, ["told/leads"]);
}

#[tokio::test]
async fn a_group_whose_members_are_not_shown_is_neither_dropped_nor_written_whole() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let can = abilities(false, 0, true, true);
    let proxy = Proxy::before(&server, move |asked| match asked.path.as_str() {
        "/ServiceProviderConfig" => Act::json(200, &can),
        path if path.starts_with("/Groups") && asked.method == "GET" => {
            Act::PassAltered(without_members)
        }
        _ => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let (mut alice, bob) =
        (entry("unshown", person("unshown", "alice")), entry("unshown", person("unshown", "bob")));
    Directory::open(&server.address()).unwrap().provision(&bob).await.unwrap();
    let error = directory.provision(&alice).await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Refused(why) if why.contains("doesn't show")),
        "{error}"
    );
    alice.person.as_mut().unwrap().group = "leads".to_owned();
    directory.provision(&alice).await.unwrap();
    directory.drop_groups(&Groups::from([("unshown".to_owned(), [].into())])).await.unwrap();
    assert_eq!(somebody.groups_of(&somebody.entry_of(&alice).await["id"]).await, ["unshown/leads"]);
    assert_eq!(somebody.groups_of(&somebody.entry_of(&bob).await["id"]).await, ["unshown/people"]);
}

#[tokio::test]
async fn members_that_are_shown_on_request_are_written_whole() {
    let server = ScimServer::shared();
    let can = abilities(false, 0, true, true);
    let proxy = Proxy::before(&server, move |asked| match asked.path.as_str() {
        "/ServiceProviderConfig" => Act::json(200, &can),
        path if path.starts_with("/Groups")
            && asked.method == "GET"
            && !asked.query.contains("members") =>
        {
            Act::PassAltered(without_members)
        }
        _ => Act::Pass,
    })
    .await;
    check_lives(&Directory::open(&proxy.address()).unwrap(), &Somebody::at(&server), "requested")
        .await;
}

#[tokio::test]
async fn a_server_that_takes_nobody_out_by_name_keeps_who_stays() {
    let server = ScimServer::shared();
    let wordless = Act::json(400, &json!({ "status": "400" }));
    let variants = [
        ("lenientpath", error("invalidPath"), by_path as fn(&Value) -> Value),
        ("strictpath", error("invalidFilter"), of_everybody),
        ("stricttarget", error("noTarget"), of_everybody),
        ("wordless", wordless, by_path),
    ];
    for (organization, refusal, understood) in variants {
        let (proxy, directory) = directory_at(&server, move |asked| match asked.method.as_str() {
            "PATCH" if names_a_member(asked) => refusal.clone(),
            "PATCH" if asked.path.starts_with("/Groups") => Act::PassBody(understood(&asked.body)),
            _ => Act::Pass,
        })
        .await;
        check_lives(&directory, &Somebody::at(&server), organization).await;
        let (mut alice, bob) = (
            entry(organization, person(organization, "alice")),
            entry(organization, person(organization, "bob")),
        );
        for entry in [&alice, &bob] {
            directory.provision(entry).await.unwrap();
        }
        alice.person.as_mut().unwrap().group = "leads".to_owned();
        directory.provision(&alice).await.unwrap();
        let somebody = Somebody::at(&server);
        for (entry, group) in [(&alice, "leads"), (&bob, "people")] {
            let id = somebody.entry_of(entry).await["id"].clone();
            assert_eq!(somebody.groups_of(&id).await, [format!("{organization}/{group}")]);
        }
        assert_eq!(proxy.asked("PUT /Groups").len(), 0);
    }
}

#[tokio::test]
async fn a_server_that_takes_nobody_out_by_patch_is_given_the_whole_group() {
    let server = ScimServer::shared();
    let (proxy, directory) = directory_at(&server, |asked| {
        let removes = asked.method == "PATCH"
            && asked.path.starts_with("/Groups")
            && asked.body.to_string().contains("remove");
        if removes { error("invalidPath") } else { Act::Pass }
    })
    .await;
    check_lives(&directory, &Somebody::at(&server), "unremovable").await;
    assert!(!proxy.asked("PUT /Groups").is_empty());
}

#[tokio::test]
async fn who_is_hidden_and_not_taken_out_by_name_stays_rather_than_everybody_goes() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    for (organization, word) in [("hiddenpath", "invalidPath"), ("hiddentarget", "noTarget")] {
        let (_proxy, directory) = directory_at(&server, move |asked| match asked.method.as_str() {
            "GET" if asked.path.starts_with("/Groups") => Act::PassAltered(without_members),
            "PATCH" if names_a_member(asked) => error(word),
            _ => Act::Pass,
        })
        .await;
        let [mut alice, bob] =
            ["alice", "bob"].map(|name| entry(organization, person(organization, name)));
        directory.provision(&alice).await.unwrap();
        directory.provision(&bob).await.unwrap();
        alice.person.as_mut().unwrap().group = "leads".to_owned();
        let error = directory.provision(&alice).await.unwrap_err();
        assert!(
            matches!(&error, DirectoryError::Refused(why) if why.contains("take the account out there")),
            "{error}"
        );
        let id = somebody.entry_of(&bob).await["id"].clone();
        assert_eq!(somebody.groups_of(&id).await, [format!("{organization}/people")]);
    }
}

#[tokio::test]
async fn who_is_in_one_of_two_groups_of_a_name_leaves_it_and_nobody_else_does() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    for (organization, hides) in [("doubles", false), ("hiddendoubles", true)] {
        let name = format!("{organization}/people");
        let mut alice = entry(organization, person(organization, "alice"));
        let plain = Directory::open(&server.address()).unwrap();
        plain.provision(&alice).await.unwrap();
        let members = json!([{ "value": "somebody" }]);
        let other =
            json!({ "displayName": format!("{name}2"), "externalId": name, "members": members });
        let path = format!("/Groups/{}", somebody.post("/Groups", other).await);
        let of_proxy = path.clone();
        let (proxy, directory) = directory_at(&server, move |asked| match asked.method.as_str() {
            "PATCH" if asked.path == of_proxy => error("noTarget"),
            "GET" if hides && asked.path.starts_with("/Groups") => {
                Act::PassAltered(without_members)
            }
            _ => Act::Pass,
        })
        .await;
        alice.person.as_mut().unwrap().group = "leads".to_owned();
        directory.provision(&alice).await.unwrap();
        assert_eq!(proxy.asked(&format!("PATCH {path}")).len(), 1);
        let id = somebody.entry_of(&alice).await["id"].clone();
        assert_eq!(somebody.groups_of(&id).await, [format!("{organization}/leads")]);
        let others = somebody.groups_of(&json!("somebody")).await;
        assert!(others.contains(&format!("{name}2")), "{others:?}");
    }
}

#[tokio::test]
async fn a_group_whose_name_another_one_has_taken_can_be_left() {
    let server = ScimServer::shared();
    let somebody = Somebody::at(&server);
    let mut alice = entry("renamed", person("renamed", "alice"));
    Directory::open(&server.address()).unwrap().provision(&alice).await.unwrap();
    let path =
        format!("/Groups/{}", somebody.groups_in("renamed").await[0]["id"].as_str().unwrap());
    somebody
        .patch(&path, json!([{ "op": "replace", "path": "displayName", "value": "Everybody" }]))
        .await;
    let (_proxy, directory) = directory_at(&server, |asked| {
        let renames = asked.method == "PATCH" && asked.body.to_string().contains("displayName");
        if renames {
            Act::json(409, &json!({ "status": "409", "scimType": "uniqueness" }))
        } else {
            Act::Pass
        }
    })
    .await;
    alice.person.as_mut().unwrap().group = "leads".to_owned();
    directory.provision(&alice).await.unwrap();
    let id = somebody.entry_of(&alice).await["id"].clone();
    assert_eq!(somebody.groups_of(&id).await, ["renamed/leads"]);
}
