//! Lists that change while they are read, are given in odd pages, or take too long.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::{Value, json};

use super::{Act, Asked, Proxy, ScimServer, Somebody, abilities, entry, gone, person};

/// Returns a page of a list, of at most so many.
fn page(asked: &Asked, users: &[Value], most: usize) -> Act {
    let number = |name: &str| {
        asked.query.split('&').find_map(|part| part.strip_prefix(name)?.parse().ok()).unwrap()
    };
    let (start, count): (usize, usize) = (number("startIndex="), number("count="));
    let page: Vec<&Value> = users.iter().skip(start - 1).take(count.min(most)).collect();
    Act::json(200, &json!({ "totalResults": users.len(), "Resources": page }))
}

/// Starts a server that filters nothing and answers a list of people by this.
async fn listing(list: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Proxy {
    let can = abilities(true, 0, false, false);
    Proxy::alone(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/ServiceProviderConfig") => Act::json(200, &can),
        ("GET", "/Users") => list(asked),
        (_, path) if path.starts_with("/Users/") => list(asked),
        ("GET", _) => Act::json(200, &json!({ "totalResults": 0 })),
        _ => Act::Answer(204, vec![], vec![]),
    })
    .await
}

fn users(number: usize) -> Vec<Value> {
    (1..=number)
        .map(|id| json!({ "id": id.to_string(), "userName": format!("user{id}") }))
        .collect()
}

#[tokio::test]
async fn who_moves_to_a_page_that_was_read_already_is_not_taken_for_gone() {
    let alice = entry("shifted", person("shifted", "alice"));
    let mut people = users(300);
    people[200]["externalId"] = alice.account.to_string().into();
    let people = Mutex::new(people);
    let proxy = listing(move |asked| {
        let mut people = people.lock().unwrap();
        if let Some(id) = asked.path.strip_prefix("/Users/") {
            let is_there = people.iter().any(|user| user["id"] == id);
            people.retain(|user| asked.method != "DELETE" || user["id"] != id);
            return Act::Answer(if is_there { 204 } else { 404 }, vec![], vec![]);
        }
        let answer = page(asked, &people, usize::MAX);
        if people.len() == 300 && people[5]["id"] == "6" {
            people.remove(5);
            people.push(json!({ "id": "301", "userName": "user301" }));
        }
        answer
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    assert_eq!(directory.provision(&gone(&alice)).await, Err(DirectoryError::Conflict));
    assert_eq!(proxy.writes().len(), 0);
    directory.provision(&gone(&alice)).await.unwrap();
    assert_eq!(proxy.asked("DELETE /Users/201").len(), 1);
}

#[tokio::test]
async fn a_server_that_gives_one_or_two_at_a_time_is_read_to_the_end() {
    for most in [1, 2] {
        let proxy = listing(move |asked| page(asked, &users(9), most)).await;
        assert_eq!(
            Directory::open(&proxy.address()).unwrap().people().await.unwrap().people.len(),
            9
        );
    }
}

#[tokio::test]
async fn a_server_that_gives_the_first_page_again_and_again_is_not_read_for_ever() {
    let proxy = listing(move |asked| {
        let asked = Asked { query: "startIndex=1&count=200".to_owned(), ..asked.clone() };
        page(&asked, &users(300), usize::MAX)
    })
    .await;
    let error = Directory::open(&proxy.address()).unwrap().people().await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Protocol(why) if why.contains("200 of the 300")),
        "{error}"
    );
    assert!(proxy.asked("GET /Users").len() <= 3);
}

/// Brings many people to a server where listing everybody ends so.
async fn check_without_list(organization: &str, list: Act, longest: Duration) {
    let server = ScimServer::shared();
    let proxy = Proxy::before(&server, move |asked| {
        let is_list = asked.is("GET /Users") && !asked.query.contains("filter=");
        if is_list { list.clone() } else { Act::Pass }
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let name = |number| format!("user{number}");
    let entries: Vec<Entry> =
        (0..30).map(|number| entry(organization, person(organization, &name(number)))).collect();
    let began = tokio::time::Instant::now();
    let brought = join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    assert!(began.elapsed() < longest, "{:?}", began.elapsed());
    let again = join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(
        proxy.asked("GET /Users").iter().filter(|asked| !asked.query.contains("filter=")).count(),
        1
    );
    assert_eq!(
        Somebody::at(&server).groups_in(organization).await[0]["members"].as_array().unwrap().len(),
        30
    );
}

#[tokio::test]
async fn many_people_come_where_listing_everybody_takes_too_long() {
    check_without_list("slow", Act::Hang, Duration::from_secs(18)).await;
}

#[tokio::test]
async fn many_people_come_where_somebody_elses_external_id_is_a_number() {
    let list = json!({ "totalResults": 1, "Resources": [{ "id": "7", "externalId": 7 }] });
    check_without_list("numbers", Act::json(200, &list), Duration::from_secs(18)).await;
}
