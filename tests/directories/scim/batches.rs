//! Many people at the same time, and how many requests that takes.

use std::sync::Arc;

use futures::future::join_all;
use roster::provisioning::{Directory, DirectoryError, Entry};

use super::{Act, Proxy, ScimServer, Somebody, abilities, entry, gone, person};

const MANY: usize = 64;

fn many(organization: &str) -> Vec<Entry> {
    (0..MANY)
        .map(|number| entry(organization, person(organization, &format!("user{number}"))))
        .collect()
}

async fn bring_all(directory: &Directory, entries: &[Entry]) -> Vec<Result<(), DirectoryError>> {
    join_all(entries.iter().map(async |entry| directory.provision(entry).await.map(drop))).await
}

/// Brings many new people, and returns how many requests that took.
async fn check(server: &Arc<ScimServer>, proxy: &Proxy, organization: &str) -> usize {
    let directory = Directory::open(&proxy.address()).unwrap();
    let mut entries = many(organization);
    let brought = bring_all(&directory, &entries).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    let requests = proxy.all().len();

    let somebody = Somebody::at(server);
    let start = format!("{organization}/");
    let all = somebody.all("/Users").await;
    let ends = format!(".{organization}");
    let mut ids: Vec<&str> = all
        .iter()
        .filter(|user| user["userName"].as_str().unwrap().ends_with(&ends))
        .map(|user| user["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), MANY);
    let groups = somebody.groups_in(organization).await;
    assert_eq!(groups.len(), 1, "{start}");
    let mut members: Vec<&str> = groups[0]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["value"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    members.sort_unstable();
    assert_eq!(members, ids);

    // What is as it should be takes few requests to see, and none to write.
    let writes = proxy.writes().len();
    assert!(bring_all(&directory, &entries).await.iter().all(Result::is_ok));
    assert_eq!(proxy.writes().len(), writes);
    let looking = proxy.all().len();
    assert!(looking - requests <= MANY / 3);

    // Everybody into another group, and then away.
    for entry in &mut entries {
        entry.person.as_mut().unwrap().group = "leads".to_owned();
    }
    assert!(bring_all(&directory, &entries).await.iter().all(Result::is_ok));
    let moved = proxy.all().len();
    assert!(moved - looking <= MANY, "{}", moved - looking);
    let groups = somebody.groups_in(organization).await;
    let leads = groups
        .iter()
        .find(|group| group["displayName"] == format!("{organization}/leads"))
        .unwrap();
    let others = groups
        .iter()
        .find(|group| group["displayName"] == format!("{organization}/people"))
        .unwrap();
    assert_eq!(leads["members"].as_array().unwrap().len(), MANY);
    assert_eq!(others["members"].as_array().map_or(0, Vec::len), 0);
    let leaving: Vec<Entry> = entries.iter().map(gone).collect();
    assert!(bring_all(&directory, &leaving).await.iter().all(Result::is_ok));
    // Each is closed before it is deleted.
    assert!(proxy.all().len() - moved <= MANY * 5 / 2, "{}", proxy.all().len() - moved);
    let left = somebody.all("/Users").await;
    assert!(left.iter().all(|user| !user["userName"].as_str().unwrap().ends_with(&ends)));
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_people_take_few_requests_where_a_server_takes_several_writes_at_once() {
    let server = ScimServer::start();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let requests = check(&server, &proxy, "bulk").await;
    assert!(requests <= MANY / 3, "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_people_take_hardly_more_than_one_request_each_elsewhere() {
    let server = ScimServer::start();
    let proxy = Proxy::with_abilities(&server, abilities(true, 0, true, true)).await;
    let requests = check(&server, &proxy, "single").await;
    assert!(requests <= MANY * 3 / 2, "{requests}");
    assert_eq!(proxy.asked("POST /Bulk").len(), 0);
    let at_once = proxy.most_at_once();
    assert!((2..=16).contains(&at_once), "{at_once}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_waits_for_nobody_who_is_new() {
    let server = ScimServer::start();
    let single = abilities(true, 0, true, true);
    let proxy = Proxy::before(&server, move |asked| match asked {
        _ if asked.is("GET /ServiceProviderConfig") => Act::json(200, &single),
        _ if asked.is("POST /Users") && asked.body["userName"] != "alice.crowd" => Act::Hang,
        _ => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let mut alice = entry("crowd", person("crowd", "alice"));
    directory.provision(&alice).await.unwrap();
    let crowd = many("crowd");
    let coming = tokio::spawn({
        let directory = directory.clone();
        async move { bring_all(&directory, &crowd).await }
    });
    while proxy.asked("POST /Users").len() < 12 {
        tokio::task::yield_now().await;
    }
    alice.person.as_mut().unwrap().active = false;
    directory.provision(&alice).await.unwrap();
    assert!(!coming.is_finished(), "the others wait still");
    coming.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_bulk_are_kept() {
    let server = ScimServer::start();
    let proxy = Proxy::with_abilities(&server, abilities(true, 5, true, true)).await;
    check(&server, &proxy, "limited").await;
    let sizes: Vec<usize> = proxy
        .asked("POST /Bulk")
        .iter()
        .map(|bulk| bulk.body["Operations"].as_array().unwrap().len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 5), "{sizes:?}");
    assert!(sizes.contains(&5), "{sizes:?}");

    let mut few_bytes = abilities(true, 100, true, true);
    few_bytes["bulk"]["maxPayloadSize"] = 3000.into();
    let proxy = Proxy::with_abilities(&server, few_bytes).await;
    check(&server, &proxy, "small").await;
    let bulks = proxy.asked("POST /Bulk");
    assert!(!bulks.is_empty());
    assert!(bulks.iter().all(|bulk| bulk.body.to_string().len() <= 3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_but_whole_resources_is_brought_the_same() {
    let server = ScimServer::start();
    let proxy = Proxy::with_abilities(&server, abilities(false, 0, true, true)).await;
    check(&server, &proxy, "whole").await;
    assert_eq!(proxy.asked("PATCH /Groups").len() + proxy.asked("PATCH /Users").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_who_is_refused_does_not_keep_the_others_of_a_bulk_from_coming() {
    let server = ScimServer::start();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let somebody = Somebody::at(&server);
    somebody.post("/Users", serde_json::json!({ "userName": "user7.standing" })).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let brought = bring_all(&directory, &many("standing")).await;
    let refused: Vec<usize> = (0..MANY).filter(|number| brought[*number].is_err()).collect();
    assert_eq!(refused, [7]);
    assert!(matches!(brought[7], Err(DirectoryError::Refused(_))), "{:?}", brought[7]);
    assert_eq!(
        somebody.groups_in("standing").await[0]["members"].as_array().unwrap().len(),
        MANY - 1
    );
    assert!(!proxy.asked("POST /Bulk").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_linked_in_the_middle_of_a_wave_gets_no_double() {
    let server = ScimServer::start();
    let proxy = Proxy::before(&server, |_| Act::Pass).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    assert!(bring_all(&directory, &many("wave")).await.iter().all(Result::is_ok));
    assert!(
        proxy
            .asked("GET /Users")
            .iter()
            .any(|asked| asked.query.ends_with("attributes=externalId")),
        "all were listed"
    );
    let mut alice = entry("wave", person("wave", "alice"));
    alice.adopts = true;
    let somebody = Somebody::at(&server);
    let id = somebody.post("/Users", serde_json::json!({ "userName": "alice of old" })).await;
    directory.link(&id, &alice.account.to_string()).await.unwrap();
    directory.provision(&alice).await.unwrap();
    let found = somebody.entry_of(&alice).await;
    assert_eq!(
        (&found["id"], &found["userName"]),
        (&serde_json::json!(id), &serde_json::json!("alice.wave"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_one_group_that_is_new_get_one_group() {
    let server = ScimServer::start();
    let directory = Directory::open(&server.address()).unwrap();
    let entries = many("oneness");
    assert!(bring_all(&directory, &entries).await.iter().all(Result::is_ok));
    assert_eq!(Somebody::at(&server).groups_in("oneness").await.len(), 1);
}
