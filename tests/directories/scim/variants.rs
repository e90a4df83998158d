//! A real server that seems to be able to do less than it is, or other things.

use futures::future::join_all;
use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::{Value, json};

use super::{
    Act, ENTERPRISE, PersonExt, Proxy, ScimServer, Somebody, abilities, entry, gone, person,
};

/// Brings some people through their lives.
pub(super) async fn check_lives(directory: &Directory, somebody: &Somebody, organization: &str) {
    let mut people: Vec<Entry> = ["alice", "bob", "carol"]
        .iter()
        .map(|name| entry(organization, person(organization, name)))
        .collect();
    for turn in 0..3 {
        for entry in &mut people {
            let person = entry.person.as_mut().unwrap();
            person.active = turn != 1;
            person.group = format!("group{turn}");
            person.profile.phone = (turn != 2).then(|| format!("+{turn}"));
        }
        let brought = join_all(people.iter().map(|entry| directory.provision(entry))).await;
        assert!(brought.iter().all(Result::is_ok), "{brought:?}");
        for entry in &people {
            let found = somebody.entry_of(entry).await;
            let phone = if turn == 2 {
                Value::Null
            } else {
                json!([{ "value": format!("+{turn}"), "type": "work" }])
            };
            assert_eq!((&found["active"], &found["phoneNumbers"]), (&json!(turn != 1), &phone));
            assert_eq!(
                somebody.groups_of(&found["id"]).await,
                [format!("{organization}/group{turn}")]
            );
        }
    }
    let leaving: Vec<Entry> = people.iter().map(gone).collect();
    let brought = join_all(leaving.iter().map(|entry| directory.provision(entry))).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    for entry in &people {
        assert_eq!(somebody.entries_of(entry).await.len(), 0);
    }
}

#[tokio::test]
async fn a_server_that_does_not_filter_is_gone_through() {
    let server = ScimServer::start();
    let proxy = Proxy::with_abilities(&server, abilities(true, 0, false, true)).await;
    check_lives(&Directory::open(&proxy.address()).unwrap(), &Somebody::at(&server), "unfiltered")
        .await;
    assert!(proxy.all().iter().all(|asked| !asked.query.contains("filter=")));
}

#[tokio::test]
async fn a_server_that_does_not_take_or_is_asked_one_by_one() {
    let server = ScimServer::shared();
    let refusal = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "400", "scimType": "invalidFilter" });
    let proxy = Proxy::before(&server, move |asked| {
        if asked.query.contains("+or+") || asked.query.contains("%20or%20") {
            Act::json(400, &refusal)
        } else {
            Act::Pass
        }
    })
    .await;
    check_lives(&Directory::open(&proxy.address()).unwrap(), &Somebody::at(&server), "singly")
        .await;
    assert_eq!(
        proxy.all().iter().filter(|asked| asked.query.contains("or+")).count(),
        1,
        "it isn't tried again and again"
    );
}

#[tokio::test]
async fn a_server_that_does_not_filter_by_member_is_gone_through_for_groups() {
    let server = ScimServer::shared();
    let refusal = json!({ "status": "400", "scimType": "invalidFilter" });
    let proxy = Proxy::before(&server, move |asked| {
        if asked.query.contains("members.value+eq") { Act::json(400, &refusal) } else { Act::Pass }
    })
    .await;
    check_lives(&Directory::open(&proxy.address()).unwrap(), &Somebody::at(&server), "memberless")
        .await;
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_can_do_is_taken_for_a_plain_one() {
    for status in [404, 501] {
        let server = ScimServer::shared();
        let proxy = Proxy::before(&server, move |asked| {
            if asked.is("GET /ServiceProviderConfig") {
                Act::json(status, &json!({}))
            } else {
                Act::Pass
            }
        })
        .await;
        check_lives(
            &Directory::open(&proxy.address()).unwrap(),
            &Somebody::at(&server),
            &format!("silent{status}"),
        )
        .await;
        assert_eq!(proxy.asked("POST /Bulk").len(), 0);
        assert!(proxy.all().iter().all(|asked| !asked.head.to_lowercase().contains("if-match")));
        assert_eq!(proxy.asked("GET /ServiceProviderConfig").len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_says_it_takes_bulks_and_patches_and_does_not_is_brought_all_the_same() {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |asked| {
        let lacks = asked.method == "PATCH" || asked.is("POST /Bulk");
        if lacks { Act::json(501, &json!({ "status": "501" })) } else { Act::Pass }
    })
    .await;
    check_lives(&Directory::open(&proxy.address()).unwrap(), &Somebody::at(&server), "boasting")
        .await;
    assert_eq!(proxy.asked("POST /Bulk").len(), 1);
    // Those that were on their way together.
    assert!(proxy.all().iter().filter(|asked| asked.method == "PATCH").count() <= 3);
}

#[tokio::test]
async fn a_server_that_pages_is_read_to_the_end() {
    let server = ScimServer::start();
    let can = abilities(true, 0, false, true);
    // It gives seven at a time, whatever it is asked for.
    let proxy = Proxy::before(&server, move |asked| match asked.is("GET /ServiceProviderConfig") {
        true => Act::json(200, &can),
        false => Act::PassQuery(
            asked.query.replace("count=200", "count=7").replace("count=201", "count=7"),
        ),
    })
    .await;
    let somebody = Somebody::at(&server);
    for number in 0..40 {
        somebody.post("/Users", json!({ "userName": format!("other{number}") })).await;
    }
    let directory = Directory::open(&proxy.address()).unwrap();
    let alice = entry("pages", person("pages", "alice"));
    directory.provision(&alice).await.unwrap();
    directory.provision(&alice).await.unwrap();
    assert_eq!(somebody.entries_of(&alice).await.len(), 1);
    assert_eq!(directory.people().await.unwrap().people.len(), 41);
}

#[tokio::test]
async fn what_is_not_rosters_survives_whole_writes_too() {
    let server = ScimServer::shared();
    let proxy = Proxy::with_abilities(&server, abilities(false, 0, true, true)).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let somebody = Somebody::at(&server);
    let mut carol = entry("survivors", person("survivors", "carol"));
    directory.provision(&carol).await.unwrap();
    let path = format!("/Users/{}", somebody.entry_of(&carol).await["id"].as_str().unwrap());
    let theirs = json!([
        { "op": "replace", "path": "title", "value": "Boss" },
        { "op": "replace", "path": "name.givenName", "value": "Carol" },
        { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Tours" },
    ]);
    somebody.patch(&path, theirs).await;
    carol.person =
        Some(person("survivors", "carol").with_new_password(Some("correct horse battery staple")));
    carol.person.as_mut().unwrap().profile.phone = None;
    directory.provision(&carol).await.unwrap();
    let put = &proxy.asked("PUT /Users")[0];
    assert_eq!(put.body["password"], "correct horse battery staple");
    assert!(put.head.to_lowercase().contains("if-match"), "{}", put.head);
    let found = somebody.entry_of(&carol).await;
    assert_eq!((&found["title"], &found["name"]["givenName"]), (&json!("Boss"), &json!("Carol")));
    assert_eq!(
        (&found[ENTERPRISE]["department"], &found["phoneNumbers"]),
        (&json!("Tours"), &Value::Null)
    );
}

#[tokio::test]
async fn a_rotated_token_works_without_a_restart_and_is_never_told() {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, |asked| {
        if asked.head.contains("Bearer rotated-token") {
            return Act::Pass;
        }
        // It says what it was given.
        Act::json(401, &json!({ "detail": asked.head }))
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let alice = entry("rotated", person("rotated", "alice"));
    let error = directory.provision(&alice).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Unauthorized(_)), "{error}");
    assert!(
        !format!("{error} {error:?} {directory:?}").contains("token-of-a-test"),
        "{error:?} {directory:?}"
    );
    assert!(error.to_string().contains("401") && error.to_string().contains("token"), "{error}");
    std::fs::write(proxy.token_file(), "rotated-token\n").unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(error) = directory.provision(&alice).await {
        assert!(tokio::time::Instant::now() < deadline, "{error}");
    }
    assert!(!format!("{directory:?}").contains("rotated-token"));
    assert_eq!(Somebody::at(&server).entries_of(&alice).await.len(), 1);
}

#[tokio::test]
async fn the_members_of_a_large_group_are_not_read_again_and_again() {
    for filters in [true, false] {
        let server = ScimServer::start();
        let proxy = Proxy::before(&server, move |asked| {
            // One that takes every filter, and gives everything for each.
            let ignored =
                !filters && asked.query.contains("members.value+eq") && asked.path == "/Groups";
            if ignored { Act::PassQuery("count=200".to_owned()) } else { Act::Pass }
        })
        .await;
        let somebody = Somebody::at(&server);
        let members: Vec<Value> =
            (0..1500).map(|number| json!({ "value": format!("somebody{number}") })).collect();
        let large = json!({ "displayName": "large/people", "externalId": "large/people", "members": members });
        somebody.post("/Groups", large).await;
        let directory = Directory::open(&proxy.address()).unwrap();
        let mut alice = entry("large", person("large", "alice"));
        for group in ["people", "people", "people", "leads", "leads", "people"] {
            alice.person.as_mut().unwrap().group = group.to_owned();
            directory.provision(&alice).await.unwrap();
            let id = somebody.entry_of(&alice).await["id"].clone();
            assert_eq!(somebody.groups_of(&id).await, [format!("large/{group}")]);
        }
        let reads = proxy
            .asked("GET /Groups")
            .iter()
            .filter(|asked| asked.query.contains("attributes=externalId%2CdisplayName%2Cmembers"))
            .count();
        // Where they have to be, it is looked at whether the two groups that were left were.
        assert_eq!(reads, if filters { 1 } else { 7 });
        directory.provision(&gone(&alice)).await.unwrap();
        assert_eq!(somebody.entries_of(&alice).await.len(), 0);
    }
}
