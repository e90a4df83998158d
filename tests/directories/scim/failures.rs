//! Whose failure it is: one entry at which a server fails, or never answers, is nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use roster::provisioning::{Directory, DirectoryError, Entry};
use serde_json::json;

use super::{Act, Asked, Proxy, ScimServer, Somebody, abilities, entry, person};

const MANY: usize = 30;

fn mentions(asked: &Asked, words: &[String]) -> bool {
    let body = asked.body.to_string();
    words
        .iter()
        .any(|word| asked.query.contains(word) || asked.path.contains(word) || body.contains(word))
}

/// Brings many people, disables them, and returns how the one fared at whom the server fails in
/// this way, wherever it is asked about them; the others fare well.
async fn check_poison(
    organization: &str,
    bulk: usize,
    ill: Act,
    is_ill: fn(&Asked) -> bool,
) -> DirectoryError {
    let server = ScimServer::start();
    let mut entries: Vec<Entry> = (0..MANY)
        .map(|number| entry(organization, person(organization, &format!("user{number}"))))
        .collect();
    let plain = Directory::open(&server.address()).unwrap();
    assert!(
        join_all(entries.iter().map(|entry| plain.provision(entry)))
            .await
            .iter()
            .all(Result::is_ok)
    );
    let somebody = Somebody::at(&server);
    let id = somebody.entry_of(&entries[7]).await["id"].as_str().unwrap().to_owned();
    let words = [entries[7].account.to_string(), id, format!("user7.{organization}")];
    let can = abilities(true, bulk, true, true);
    let proxy = Proxy::before(&server, move |asked| match asked.is("GET /ServiceProviderConfig") {
        true => Act::json(200, &can),
        false if is_ill(asked) && mentions(asked, &words) => ill.clone(),
        false => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    for entry in &mut entries {
        let person = entry.person.as_mut().unwrap();
        (person.permissions, person.group) = (vec![], "leads".to_owned());
    }
    let mut brought = join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    let error = brought.remove(7).unwrap_err();
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    let groups = somebody.groups_in(organization).await;
    let leads = groups
        .iter()
        .find(|group| group["displayName"] == format!("{organization}/leads"))
        .unwrap();
    assert_eq!(leads["members"].as_array().unwrap().len(), MANY - 1);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_looked_up_is_nobody_elses_failure() {
    let looks = |asked: &Asked| asked.is("GET /Users");
    for status in [500, 502, 504] {
        let error =
            check_poison(&format!("unfindable{status}"), 0, Act::json(status, &json!({})), looks)
                .await;
        assert!(matches!(error, DirectoryError::Failed(_)), "{error}");
    }
    let unreadable = Act::Answer(200, vec![], b"<html>".to_vec());
    let error = check_poison("unreadable", 0, unreadable, looks).await;
    assert!(matches!(error, DirectoryError::Protocol(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_looked_for_in_groups_is_nobody_elses_failure() {
    let looks = |asked: &Asked| asked.is("GET /Groups");
    let error = check_poison("ungrouped", 0, Act::json(500, &json!({})), looks).await;
    assert!(matches!(error, DirectoryError::Failed(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_written_together_with_others_is_nobody_elses_failure() {
    let writes = |asked: &Asked| asked.method != "GET";
    for status in [400, 403, 500, 504] {
        let error =
            check_poison(&format!("bulked{status}"), 100, Act::json(status, &json!({})), writes)
                .await;
        assert!(matches!(error, DirectoryError::Failed(_) | DirectoryError::Refused(_)), "{error}");
    }
    check_poison("bulked-unreadable", 100, Act::Answer(200, vec![], b"<html>".to_vec()), writes)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_fails_over_somebody_takes_the_others() {
    let writes = |asked: &Asked| asked.path.starts_with("/Groups") && asked.method != "GET";
    let error = check_poison("regrouped", 0, Act::json(500, &json!({})), writes).await;
    assert!(matches!(error, DirectoryError::Failed(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_over_which_a_server_hangs_up_is_nobody_elses_failure() {
    for (organization, bulk) in [("hanging", 0), ("hanging-bulk", 100)] {
        let error =
            check_poison(organization, bulk, Act::Close, |asked| asked.method != "GET").await;
        assert!(
            matches!(&error, DirectoryError::Failed(why) if why.contains("the connection broke")),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_together_although_it_failed_is_not_made_again() {
    let server = ScimServer::start();
    let can = abilities(true, 100, true, true);
    let proxy = Proxy::before(&server, move |asked| match () {
        () if asked.is("GET /ServiceProviderConfig") => Act::json(200, &can),
        () if asked.is("POST /Bulk") => Act::PassAndAnswer(504),
        () => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let entries: Vec<Entry> =
        (0..MANY).map(|number| entry("made", person("made", &format!("user{number}")))).collect();
    let brought = join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    assert_eq!(Somebody::at(&server).all("/Users").await.len(), MANY);
    assert!(proxy.asked("POST /Users").len() <= 1, "{}", proxy.asked("POST /Users").len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_said_to_be_disabled_while_what_failed_together_may_let_them_in_again() {
    let server = ScimServer::start();
    let fails = Arc::new(AtomicBool::new(false));
    let (is_failing, can) = (fails.clone(), abilities(true, 100, true, true));
    let proxy = Proxy::before(&server, move |asked| match () {
        () if asked.is("GET /ServiceProviderConfig") => Act::json(200, &can),
        () if asked.is("POST /Bulk") && is_failing.load(Ordering::Relaxed) => {
            Act::json(504, &json!({}))
        }
        () => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    let mut entries: Vec<Entry> =
        (0..MANY).map(|number| entry("late", person("late", &format!("user{number}")))).collect();
    for entry in &mut entries {
        entry.handle = directory.provision(entry).await.unwrap().handle;
    }
    fails.store(true, Ordering::Relaxed);
    for entry in &mut entries {
        entry.person.as_mut().unwrap().profile.phone = None;
    }
    let brought = join_all(entries.iter().map(|entry| directory.provision(entry))).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    let late = brought
        .iter()
        .filter(|brought| brought.as_ref().is_ok_and(|brought| brought.may_be_late))
        .count();
    let bulks = proxy.asked("POST /Bulk");
    // Each of a bulk is confirmed with the doubt.
    let repeated: usize =
        bulks.iter().map(|bulk| bulk.body["Operations"].as_array().unwrap().len()).sum();
    assert!(late >= repeated && repeated > 1, "{late} of {repeated}");
    let operation = bulks
        .iter()
        .flat_map(|bulk| bulk.body["Operations"].as_array().unwrap())
        .find(|it| it["method"] == "PATCH");
    let path = operation.unwrap()["path"].as_str().unwrap().to_owned();
    let late =
        entries.iter_mut().find(|entry| path.ends_with(&entry.handle.as_ref().unwrap().0)).unwrap();
    late.person.as_mut().unwrap().active = false;
    assert_eq!(directory.provision(late).await, Err(DirectoryError::Timeout));
    assert_eq!(Somebody::at(&server).entry_of(late).await["active"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_confirmed_without_doubt_while_a_change_of_a_group_that_failed_may_still_be_done()
{
    let server = ScimServer::start();
    let mut entries: Vec<Entry> =
        (0..MANY).map(|number| entry("slow", person("slow", &format!("user{number}")))).collect();
    let plain = Directory::open(&server.address()).unwrap();
    let brought = join_all(entries.iter().map(|entry| plain.provision(entry))).await;
    assert!(brought.iter().all(|brought| !brought.as_ref().unwrap().may_be_late), "{brought:?}");
    let can = abilities(true, 0, true, true);
    let several = |asked: &Asked| {
        asked.body["Operations"][0]["value"].as_array().is_some_and(|members| members.len() > 1)
    };
    let proxy = Proxy::before(&server, move |asked| match () {
        () if asked.is("GET /ServiceProviderConfig") => Act::json(200, &can),
        () if asked.is("PATCH /Groups") && several(asked) => Act::json(504, &json!({})),
        () => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    for entry in &mut entries {
        entry.person.as_mut().unwrap().group = "leads".to_owned();
    }
    let (first, others) = entries.split_first().unwrap();
    assert!(!directory.provision(first).await.unwrap().may_be_late);
    let brought = join_all(others.iter().map(|entry| directory.provision(entry))).await;
    assert!(brought.iter().all(Result::is_ok), "{brought:?}");
    assert!(proxy.asked("PATCH /Groups").iter().any(several));
    // Whom it is about nobody knows who comes later.
    assert!(directory.provision(first).await.unwrap().may_be_late);
}

#[tokio::test]
async fn a_list_that_fails_is_about_the_directory_as_a_whole() {
    let can = abilities(true, 0, false, true);
    let proxy = Proxy::alone(move |asked| match asked.is("GET /ServiceProviderConfig") {
        true => Act::json(200, &can),
        false => Act::json(502, &json!({})),
    })
    .await;
    let error = Directory::open(&proxy.address())
        .unwrap()
        .provision(&entry("whole", person("whole", "alice")))
        .await
        .unwrap_err();
    assert!(matches!(error, DirectoryError::Unreachable(_)), "{error}");
}

/// Disables somebody while a server never answers what it is asked about a hundred others, and
/// returns how long that takes.
async fn delay(organization: &str, bulk: usize, edit: fn(&mut Entry)) -> Duration {
    let server = ScimServer::start();
    let mut bob = entry(organization, person(organization, "bob"));
    let mut stuck: Vec<Entry> = (0..100)
        .map(|number| entry(organization, person(organization, &format!("stuck{number}"))))
        .collect();
    let mut words: Vec<String> = stuck.iter().map(|entry| entry.account.to_string()).collect();
    words.push("stuck".to_owned());
    let words = Arc::new(words);
    let hangs = Arc::new(AtomicBool::new(false));
    let (is_hanging, can, about) =
        (hangs.clone(), abilities(true, bulk, true, true), words.clone());
    let proxy = Proxy::before(&server, move |asked| match () {
        () if asked.is("GET /ServiceProviderConfig") => Act::json(200, &can),
        () if is_hanging.load(Ordering::Relaxed) && mentions(asked, &about) => Act::Hang,
        () => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    directory.provision(&bob).await.unwrap();
    hangs.store(true, Ordering::Relaxed);
    for entry in &mut stuck {
        edit(entry);
    }
    let others = tokio::spawn({
        let directory = directory.clone();
        async move { join_all(stuck.iter().map(|entry| directory.provision(entry))).await }
    });
    // Whether they are looked for first depends on what was listed.
    while !proxy.all().iter().any(|asked| mentions(asked, &words)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bob.person.as_mut().unwrap().active = false;
    let began = tokio::time::Instant::now();
    directory.provision(&bob).await.unwrap();
    let took = began.elapsed();
    assert_eq!(Somebody::at(&server).entry_of(&bob).await["active"], false);
    assert!(!others.is_finished());
    others.abort();
    println!("{organization}: disabled after {} ms beside 100 entries that hang", took.as_millis());
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_entries_that_hang_delay_a_revocation_by_seconds_at_most() {
    for bulk in [0, 100] {
        for (name, edit) in [
            ("changing", (|_| {}) as fn(&mut Entry)),
            ("disabling", |entry| entry.person.as_mut().unwrap().active = false),
            ("leaving", |entry| entry.person = None),
        ] {
            let took = delay(&format!("{name}{bulk}"), bulk, edit).await;
            assert!(took < Duration::from_secs(5), "{name} {bulk}: {took:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_hangs_holds_up_nobody_else_and_no_way_in() {
    let server = ScimServer::start();
    let somebody = Somebody::at(&server);
    let [mut alice, mut bob] =
        ["alice", "bob"].map(|name| entry("stuckgroup", person("stuckgroup", name)));
    bob.person.as_mut().unwrap().group = "others".to_owned();
    let plain = Directory::open(&server.address()).unwrap();
    for entry in [&alice, &bob] {
        plain.provision(entry).await.unwrap();
    }
    let groups = somebody.groups_in("stuckgroup").await;
    let people = groups.iter().find(|group| group["displayName"] == "stuckgroup/people").unwrap();
    let path = format!("PATCH /Groups/{}", people["id"].as_str().unwrap());
    let can = abilities(true, 0, true, true);
    let proxy = Proxy::before(&server, move |asked| match () {
        () if asked.is("GET /ServiceProviderConfig") => Act::json(200, &can),
        () if asked.is(&path) => Act::Hang,
        () => Act::Pass,
    })
    .await;
    let directory = Directory::open(&proxy.address()).unwrap();
    for entry in [&mut alice, &mut bob] {
        let person = entry.person.as_mut().unwrap();
        (person.active, person.group) = (false, "leads".to_owned());
    }
    let stuck = tokio::spawn({
        let (directory, alice) = (directory.clone(), alice.clone());
        async move { directory.provision(&alice).await }
    });
    while proxy.asked("PATCH /Groups").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(somebody.entry_of(&alice).await["active"], false);
    let began = tokio::time::Instant::now();
    directory.provision(&bob).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!stuck.is_finished());
    stuck.abort();
}
