//! Servers and networks that don't behave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::{Value, json};

use super::{Act, Asked, Proxy, ScimServer, Somebody, abilities, entry, gone, person};

/// Returns what a server without anything in it answers, unless it is a write.
fn empty(asked: &Asked) -> Act {
    match asked.method.as_str() {
        "GET" if asked.is("GET /ServiceProviderConfig") => {
            Act::json(200, &abilities(true, 0, true, true))
        }
        "GET" => Act::json(200, &json!({ "totalResults": 0 })),
        _ => Act::json(500, &json!({})),
    }
}

/// Brings somebody to a server that has nothing and answers all writes so, and returns the error.
async fn error_of(act: Act) -> DirectoryError {
    let proxy =
        Proxy::alone(move |asked| if asked.method == "GET" { empty(asked) } else { act.clone() })
            .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    directory.provision(&entry("hostile", person("hostile", "alice"))).await.unwrap_err()
}

/// Brings somebody to a server that answers every search so, and returns the error; nothing may be
/// written.
async fn error_of_search(act: Act) -> DirectoryError {
    let proxy =
        Proxy::alone(move |asked| if asked.is("GET /Users") { act.clone() } else { empty(asked) })
            .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let alice = entry("hostile", person("hostile", "alice"));
    let error = directory.provision(&alice).await.unwrap_err();
    assert_eq!(directory.provision(&gone(&alice)).await.unwrap_err(), error);
    assert_eq!(proxy.writes().len(), 0);
    error
}

#[track_caller]
fn check_nonsense(error: &DirectoryError, words: &str) {
    assert!(matches!(error, DirectoryError::Protocol(why) if why.contains(words)), "{error}");
}

/// Brings a person through a life, with two of three writes going ill; retries do the rest.
async fn check_one_entry(organization: &str, can: Value, ill: Act) {
    let server = ScimServer::shared();
    let writes = AtomicUsize::new(0);
    let proxy = Proxy::before(&server, move |asked| {
        if asked.is("GET /ServiceProviderConfig") {
            return Act::json(200, &can);
        }
        let is_ill = asked.method != "GET" && writes.fetch_add(1, Ordering::Relaxed) % 3 < 2;
        if is_ill { ill.clone() } else { Act::Pass }
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let somebody = Somebody::at(&server);
    let bring = async |entry: &Entry| {
        for _ in 0..20 {
            if directory.provision(entry).await.is_ok() {
                return;
            }
        }
        panic!("not in 20 tries");
    };
    let mut alice = entry(organization, person(organization, "alice"));
    bring(&alice).await;
    let id = somebody.entry_of(&alice).await["id"].clone();
    assert_eq!(somebody.groups_of(&id).await, [format!("{organization}/people")]);
    alice.person.as_mut().unwrap().group = "leads".to_owned();
    alice.person.as_mut().unwrap().active = false;
    bring(&alice).await;
    let found = somebody.entry_of(&alice).await;
    assert_eq!((&found["id"], &found["active"]), (&id, &json!(false)));
    assert_eq!(somebody.groups_of(&id).await, [format!("{organization}/leads")]);
    assert_eq!(somebody.groups_in(organization).await.len(), 2);
    bring(&gone(&alice)).await;
    assert_eq!(somebody.entries_of(&alice).await.len(), 0);
    assert_eq!(somebody.groups_of(&id).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_reply_that_is_lost_makes_no_double() {
    check_one_entry("lost", abilities(true, 0, true, true), Act::Lose).await;
    check_one_entry("lost-wholes", abilities(false, 0, true, true), Act::Lose).await;
    check_one_entry("lost-bulks", abilities(true, 100, true, false), Act::Lose).await;
}

#[tokio::test]
async fn an_error_for_what_was_done_all_the_same_makes_no_double() {
    for status in [500, 502, 503, 504] {
        check_one_entry(
            &format!("erring{status}"),
            abilities(true, 0, true, true),
            Act::PassAndAnswer(status),
        )
        .await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_anything_was_done_is_tried_again() {
    check_one_entry("broken", abilities(true, 0, true, true), Act::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_whose_reply_is_lost_makes_no_doubles() {
    let server = ScimServer::start();
    let bulks = AtomicUsize::new(0);
    let proxy = Proxy::before(&server, move |asked| {
        let is_lost = asked.is("POST /Bulk") && bulks.fetch_add(1, Ordering::Relaxed) < 2;
        if is_lost { Act::Lose } else { Act::Pass }
    })
    .await;
    let directory = Arc::new(Directory::open(&proxy.address()).unwrap());
    let entries: Vec<Entry> =
        (0..20).map(|number| entry("bulks", person("bulks", &format!("user{number}")))).collect();
    let mut tries = 0;
    loop {
        let brought =
            futures::future::join_all(entries.iter().map(|entry| directory.provision(entry))).await;
        tries += 1;
        if brought.iter().all(Result::is_ok) {
            break;
        }
        assert!(tries < 10, "{brought:?}");
    }
    // The first one was lost.
    assert!(!proxy.asked("POST /Bulk").is_empty());
    let somebody = Somebody::at(&server);
    assert_eq!(somebody.all("/Users").await.len(), 20);
    let groups = somebody.groups_in("bulks").await;
    assert_eq!(groups[0]["members"].as_array().unwrap().len(), 20);
    assert_eq!(groups.len(), 1);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_says_for_how_long() {
    let wait = |status: u16, headers: &[&str]| {
        Act::Answer(status, headers.iter().map(|it| (*it).to_owned()).collect(), vec![])
    };
    let busy = |seconds: Option<u64>| DirectoryError::RateLimited {
        after: seconds.map(Duration::from_secs),
        may_be_done: false,
    };
    // What a gateway answers may come after the write.
    let unsure = |seconds: u64| DirectoryError::RateLimited {
        after: Some(Duration::from_secs(seconds)),
        may_be_done: true,
    };
    assert_eq!(error_of(wait(429, &["Retry-After: 7"])).await, busy(Some(7)));
    assert_eq!(error_of(wait(503, &["Retry-After: 0"])).await, unsure(0));
    assert_eq!(error_of(wait(429, &[])).await, busy(None));
    let date =
        ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"];
    assert_eq!(error_of(wait(503, &date)).await, unsure(30));
    let past =
        ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Tue, 06 Nov 1984 08:49:37 GMT"];
    assert_eq!(error_of(wait(429, &past)).await, busy(Some(0)));
    let day = 24 * 3600;
    assert_eq!(error_of(wait(429, &["Retry-After: 18446744073709551615"])).await, busy(Some(day)));
    let eternity =
        ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Thu, 31 Dec 9998 23:59:59 GMT"];
    assert_eq!(error_of(wait(429, &eternity)).await, busy(Some(day)));
    for nonsense in [
        "Retry-After: soon",
        "Retry-After: -5",
        "Retry-After: 99999999999999999999999",
        "Retry-After: ",
    ] {
        assert_eq!(error_of(wait(429, &[nonsense])).await, busy(None), "{nonsense}");
    }
}

#[tokio::test]
async fn errors_are_what_their_status_says() {
    let detail =
        json!({ "status": "400", "scimType": "invalidValue", "detail": "no such\n country" });
    assert_eq!(
        error_of(Act::json(400, &detail)).await,
        DirectoryError::Refused("no such country".to_owned())
    );
    assert_eq!(error_of(Act::json(412, &json!({}))).await, DirectoryError::Conflict);
    assert!(matches!(error_of(Act::json(401, &json!({}))).await, DirectoryError::Unauthorized(_)));
    let not_this_one = error_of(Act::json(403, &json!({}))).await;
    assert!(
        matches!(&not_this_one, DirectoryError::Refused(why) if why.contains("403")),
        "{not_this_one}"
    );
    for status in [500, 502, 503, 504] {
        let error = error_of(Act::json(status, &json!({}))).await;
        assert!(
            matches!(&error, DirectoryError::Failed(why) if why.contains(&status.to_string())),
            "{error}"
        );
    }
    let taken = error_of(Act::json(409, &json!({ "scimType": "uniqueness" }))).await;
    assert!(
        matches!(&taken, DirectoryError::Refused(why) if why.contains("alice.hostile")),
        "{taken}"
    );
    let endless = json!({ "status": "400", "detail": "no ".repeat(10_000) });
    assert!(error_of(Act::json(400, &endless)).await.to_string().len() < 300);
}

#[tokio::test]
async fn what_may_be_done_although_it_is_answered_otherwise_is_left_open() {
    let page = || Act::Answer(200, vec![], b"<html>please wait</html>".to_vec());
    let wait = || vec!["Retry-After: 7".to_owned()];
    for act in [page(), Act::Answer(503, wait(), vec![]), Act::json(502, &json!({})), Act::Close] {
        let error = error_of(act).await;
        assert!(error.outcome_unknown(), "{error}");
    }
    for act in
        [Act::Answer(429, wait(), vec![]), Act::json(400, &json!({})), Act::json(401, &json!({}))]
    {
        let error = error_of(act).await;
        assert!(!error.outcome_unknown(), "{error}");
    }
}

#[tokio::test]
async fn a_password_that_a_server_repeats_in_its_refusal_is_not_told() {
    use super::PersonExt;
    let proxy = Proxy::alone(|asked| {
        if asked.method == "GET" {
            empty(asked)
        } else {
            Act::json(400, &json!({ "detail": format!("too weak: {}", asked.body["password"]) }))
        }
    })
    .await;
    let alice = entry(
        "hostile",
        person("hostile", "alice").with_new_password(Some("correct horse battery staple")),
    );
    let error = Directory::open(&proxy.address()).unwrap().provision(&alice).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Refused(_)), "{error}");
    assert!(!error.to_string().contains("horse"), "{error}");
}

#[tokio::test]
async fn a_password_is_not_told_however_a_server_repeats_it() {
    use super::PersonExt;
    let password = "nine \"lorries\" and a Bär";
    let repeat = |body: &Value| format!("Invalid body: {body}");
    let shorten = |body: &Value| body["password"].as_str().unwrap()[..12].to_owned();
    let both: [fn(&Value) -> String; 2] = [repeat, shorten];
    for repetition in both {
        let proxy = Proxy::alone(move |asked| {
            let answer = || json!({ "scimType": repetition(&asked.body), "detail": repetition(&asked.body) });
            if asked.method == "GET" { empty(asked) } else { Act::json(400, &answer()) }
        })
        .await;
        let alice = entry("hostile", person("hostile", "alice").with_new_password(Some(password)));
        let error = Directory::open(&proxy.address()).unwrap().provision(&alice).await.unwrap_err();
        assert!(matches!(&error, DirectoryError::Refused(why) if why.contains("400")), "{error}");
        assert!(
            !error.to_string().contains("nine") && !error.to_string().contains("lorries"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_server_says_of_a_bulk_as_a_whole_is_told_to_nobody() {
    let proxy = Proxy::alone(|asked| {
        if asked.is("GET /ServiceProviderConfig") {
            return Act::json(200, &abilities(true, 100, true, true));
        }
        let answer = || json!({ "detail": format!("not this: {}", asked.body) });
        match asked.method.as_str() {
            "GET" => empty(asked),
            _ if asked.is("POST /Bulk") => Act::json(403, &answer()),
            _ => Act::json(403, &json!({})),
        }
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let entries: Vec<Entry> =
        (0..8).map(|number| entry("whole", person("whole", &format!("user{number}")))).collect();
    let brought =
        futures::future::join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    assert!(!proxy.asked("POST /Bulk").is_empty());
    for answer in brought {
        let error = answer.unwrap_err();
        assert!(matches!(&error, DirectoryError::Refused(why) if why.contains("403")), "{error}");
        assert!(!error.to_string().contains("user"), "{error}");
    }
}

#[tokio::test]
async fn an_entry_without_the_external_id_is_not_left_behind() {
    for (body, status, words) in [
        (json!({ "id": "7", "userName": "alice.hostile", "active": true }), 204, "externalId"),
        (json!({ "id": "7", "externalId": "8" }), 403, "the entry 7 "),
    ] {
        let proxy = Proxy::alone(move |asked| match asked.method.as_str() {
            "GET" => empty(asked),
            "POST" => Act::json(201, &body),
            _ => Act::json(status, &json!({})),
        })
        .await;
        let alice = entry("hostile", person("hostile", "alice"));
        let error = Directory::open(&proxy.address()).unwrap().provision(&alice).await.unwrap_err();
        assert!(matches!(&error, DirectoryError::Refused(why) if why.contains(words)), "{error}");
        assert_eq!(proxy.asked("DELETE /Users/7").len(), 1);
    }
}

#[tokio::test]
async fn an_entry_whose_external_id_is_not_in_the_answer_is_looked_at_before_it_is_taken_back() {
    let alice = entry("hostile", person("hostile", "alice"));
    let made =
        json!({ "id": "7", "externalId": alice.account.to_string(), "userName": "alice.hostile" });
    let proxy = Proxy::alone(move |asked| match asked.method.as_str() {
        "GET" if asked.path == "/Users/7" => Act::json(200, &made),
        "GET" => empty(asked),
        "POST" => Act::json(201, &json!({ "id": "7", "userName": "alice.hostile" })),
        _ => Act::json(204, &json!({})),
    })
    .await;
    Directory::open(&proxy.address()).unwrap().provision(&alice).await.unwrap();
    assert_eq!(proxy.asked("DELETE /Users").len(), 0);
    assert_eq!(proxy.asked("POST /Groups").len(), 1);
}

#[tokio::test]
async fn a_server_that_finds_nothing_by_a_filter_that_it_does_not_know_makes_no_double() {
    for unknown in [["externalId+eq", "externalId+eq"], ["externalId+eq", "userName+eq"]] {
        let server = ScimServer::start();
        let proxy = Proxy::before(&server, move |asked| {
            let is_unknown =
                asked.path == "/Users" && unknown.iter().any(|filter| asked.query.contains(filter));
            if is_unknown { Act::json(200, &json!({ "totalResults": 0 })) } else { Act::Pass }
        })
        .await;
        let directory = Directory::open(&proxy.address()).unwrap();
        let somebody = Somebody::at(&server);
        let mut alice = entry("unfound", person("unfound", "alice"));
        directory.provision(&alice).await.unwrap();
        alice.person.as_mut().unwrap().active = false;
        directory.provision(&alice).await.unwrap();
        assert_eq!(somebody.entry_of(&alice).await["active"], false);
        directory.provision(&gone(&alice)).await.unwrap();
        assert_eq!(somebody.entries_of(&alice).await.len(), 0);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = ScimServer::shared();
    let to = format!("Location: http://127.0.0.1:{}/v2/Users", server.port());
    let proxy = Proxy::alone(move |asked| {
        if asked.is("GET /Users") {
            Act::Answer(302, vec![to.clone()], vec![])
        } else {
            empty(asked)
        }
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let error =
        directory.provision(&entry("redirected", person("redirected", "alice"))).await.unwrap_err();
    check_nonsense(&error, "redirects");
    assert_eq!(proxy.asked("GET /Users").len(), 1);
}

#[tokio::test]
async fn half_a_list_is_not_taken_for_a_whole_one() {
    check_nonsense(
        &error_of_search(Act::json(200, &json!({ "totalResults": 1, "Resources": [] }))).await,
        "announces",
    );
    check_nonsense(
        &error_of_search(Act::json(200, &json!({ "totalResults": 1 }))).await,
        "announces",
    );
    let same = json!({ "totalResults": 2, "Resources": [{ "id": "7", "externalId": "x" }] });
    check_nonsense(&error_of_search(Act::json(200, &same)).await, "1 of the 2");
}

#[tokio::test]
async fn what_is_no_scim_is_not_taken_for_nothing() {
    let raw = |body: &[u8]| Act::Answer(200, vec![], body.to_vec());
    check_nonsense(&error_of_search(raw(b"<html>hello</html>")).await, "JSON");
    check_nonsense(&error_of_search(raw(b"")).await, "empty");
    check_nonsense(&error_of_search(raw(b"{\"totalResults\":0,\"x\":\"\xff\xfe\"}")).await, "JSON");
    check_nonsense(&error_of_search(raw(b"[]")).await, "object");
    for body in [
        json!({ "totalResults": "none" }),
        json!({ "totalResults": -1 }),
        json!({ "totalResults": 1, "Resources": { "id": "7" } }),
        json!({ "totalResults": 1, "Resources": [7] }),
        json!({ "totalResults": 1, "Resources": [{ "userName": "alice" }] }),
        json!({ "totalResults": 1, "Resources": [{ "id": "" }] }),
        json!({ "totalResults": 1, "Resources": [{ "id": ".." }] }),
        json!({ "totalResults": 1, "Resources": [{ "id": "7", "externalId": true }] }),
    ] {
        let error = error_of_search(Act::json(200, &body)).await;
        assert!(matches!(error, DirectoryError::Protocol(_)), "{body}: {error}");
    }
    check_nonsense(&error_of(raw(b"welcome")).await, "JSON");
    check_nonsense(&error_of(Act::json(201, &json!({ "id": true }))).await, "id");
    check_nonsense(&error_of(Act::json(201, &json!(["7"]))).await, "object");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_given_up_on() {
    check_nonsense(&error_of_search(Act::Endless).await, "4 MiB");
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let error = error_of_search(Act::HalfAnswer(b"{\"totalResults\":0}".to_vec())).await;
    assert!(
        matches!(&error, DirectoryError::Failed(why) if why.contains("the connection broke")),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_half_a_minute_at_most() {
    let proxy = Proxy::alone(|_| Act::Hang).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let alice = entry("hostile", person("hostile", "alice"));
    let began = tokio::time::Instant::now();
    assert_eq!(directory.provision(&alice).await, Err(DirectoryError::Timeout));
    assert!(began.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn a_bulk_that_keeps_silent_about_somebody_is_nonsense_for_them_alone() {
    let server = ScimServer::shared();
    let forgetful = move |asked: &Asked| {
        if !asked.is("POST /Bulk") || asked.body["Operations"][0]["path"] != "/Users" {
            return Act::Pass;
        }
        let operations = asked.body["Operations"].as_array().unwrap().iter();
        let outcome = |it: &Value| json!({ "method": "POST", "bulkId": it["bulkId"], "location": format!("http://x/v2/Users/{}", it["data"]["userName"].as_str().unwrap()), "status": 201 });
        let known =
            operations.filter(|it| it["data"]["userName"] != "user3.forgotten").map(outcome).rev();
        Act::json(200, &json!({ "Operations": known.collect::<Vec<_>>() }))
    };
    let proxy = Proxy::before(&server, forgetful).await;
    let directory = Directory::open(&proxy.address()).unwrap();
    // The first write of all goes alone or with the others: who is forgotten isn't the first.
    let entries: Vec<Entry> = (0..8)
        .map(|number| entry("forgotten", person("forgotten", &format!("user{number}"))))
        .collect();
    let brought =
        futures::future::join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    check_nonsense(brought[3].as_ref().unwrap_err(), "bulk");
    assert!(
        brought.iter().enumerate().all(|(number, it)| number == 3 || it.is_ok()),
        "{brought:?}"
    );
    let members =
        Somebody::at(&server).groups_in("forgotten").await[0]["members"].as_array().unwrap().len();
    assert_eq!(members, 7);
}

#[tokio::test]
async fn that_nobody_answers_is_told_without_what_was_asked() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hush-hush").unwrap();
    let address = format!("scim+http://127.0.0.1:{port}/v2?token-file={}", token.display());
    let directory = Directory::open(&address).unwrap();
    let error =
        directory.provision(&entry("hostile", person("hostile", "alice"))).await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Unreachable(why) if why.contains("Connection refused")),
        "{error}"
    );
    let text = format!("{error} {error:?} {directory:?}");
    assert!(!text.contains("filter=") && !text.contains("hush-hush"), "{text}");
    std::fs::remove_file(&token).unwrap();
    let fresh = Directory::open(&address).unwrap();
    let error = fresh.provision(&entry("hostile", person("hostile", "alice"))).await.unwrap_err();
    assert!(error.to_string().contains("token"), "{error}");
}
