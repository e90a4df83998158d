//! What is left when replies get lost, and when the server dies, is silent or is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use roster::provisioning::{Directory, DirectoryError, Entry};
use tokio::net::TcpListener;

use super::people::{gone, person, set_password, whole_person, with};
use super::proxy::{Loss, Proxy};
use super::{ClusterCache, bring_until_confirmed};

const PASSWORD: &str = "gate Turnip, 41 onward";
const NEXT: &str = "onward Turnip, 14 gates";

fn groups(pairs: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    pairs.iter().map(|(group, members)| ((*group).to_owned(), names(members))).collect()
}

/// A life with every kind of step; after each the server has exactly what it should.
async fn lives(world: &ClusterCache, directory: &Directory) {
    let look = &world.observer;
    let bob = person("bob");
    bring_until_confirmed(directory, &bob).await;
    let alice = whole_person("alice", PASSWORD);
    bring_until_confirmed(directory, &alice).await;
    assert_eq!(look.groups().await, groups(&[("acme.users", &["alice.acme", "bob.acme"])]));
    assert!(look.binds("alice.acme", PASSWORD).await);

    let alice = with(&alice, |person| {
        person.group = "administrators".to_owned();
        person.profile.display_name = "Alice Jones".to_owned();
        set_password(person, NEXT);
    });
    bring_until_confirmed(directory, &alice).await;
    assert_eq!(
        look.groups().await,
        groups(&[("acme.administrators", &["alice.acme"]), ("acme.users", &["bob.acme"])])
    );
    assert_eq!(look.member_of(&alice).await, BTreeSet::from(["acme.administrators".to_owned()]));
    assert_eq!(look.value(&alice, "sn").await.as_deref(), Some("Jones"));
    assert!(look.binds("alice.acme", NEXT).await && !look.binds("alice.acme", PASSWORD).await);

    let alice = with(&alice, |person| {
        person.active = false;
        person.group = "users".to_owned();
    });
    bring_until_confirmed(directory, &alice).await;
    assert_eq!(look.groups().await, groups(&[("acme.users", &["alice.acme", "bob.acme"])]));
    assert_eq!(look.value(&alice, "userPassword").await, None);

    let alice = with(&alice, |person| person.active = true);
    bring_until_confirmed(directory, &alice).await;
    assert!(look.binds("alice.acme", NEXT).await);

    for entry in [&alice, &bob] {
        bring_until_confirmed(directory, &gone(entry)).await;
        assert!(!look.has(entry).await);
    }
    assert_eq!(look.groups().await, groups(&[]));
    assert_eq!(look.found("(|(uid=*)(employeeNumber=*))", &["1.1"]).await, BTreeMap::new());
}

async fn whatever_is_lost(loss: Loss) {
    let world = ClusterCache::new().await;
    let mut nth = 0;
    loop {
        nth += 1;
        let proxy = Proxy::start(world.server.port(), loss, nth).await;
        let directory = Directory::open(&world.server.url_at(proxy.port())).unwrap();
        lives(&world, &directory).await;
        if !proxy.has_cut() {
            break;
        }
    }
    println!("{} requests were lost one by one ({loss:?})", nth - 1);
    assert!(nth > 25, "there are more requests than {nth}");
}

#[tokio::test]
async fn everything_is_right_whatever_reply_is_lost() {
    whatever_is_lost(Loss::Reply).await;
}

#[tokio::test]
async fn everything_is_right_whatever_request_is_lost() {
    whatever_is_lost(Loss::Request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_has_everything_right_once_it_is_back() {
    let mut world = ClusterCache::new().await;
    let people: Vec<Entry> = (0..200).map(|number| person(&format!("user-{number}"))).collect();
    let moved: Vec<Entry> = people
        .iter()
        .map(|entry| with(entry, |person| person.group = "administrators".to_owned()))
        .collect();
    let gone: Vec<Entry> = people.iter().map(gone).collect();
    for entries in [&people, &moved, &gone] {
        let bring_all = async {
            join_all(entries.iter().map(|entry| async {
                let deadline = Instant::now() + Duration::from_secs(60);
                while let Err(error) = world.directory.provision(entry).await {
                    assert!(Instant::now() < deadline, "{error}");
                    tokio::task::yield_now().await;
                }
            }))
            .await
        };
        let kill = async {
            // It dies as soon as something of it is there.
            while world.observer.found("(member=*)", &["entryCSN"]).await.is_empty() {}
            tokio::task::block_in_place(|| {
                world.server.kill();
                world.server.resume();
            });
        };
        tokio::join!(bring_all, kill);
        world.observer.reconnect().await;
        let names = |entries: &[Entry]| {
            entries
                .iter()
                .filter_map(|entry| Some(entry.person.as_ref()?.login_name.clone()))
                .collect()
        };
        let expected: BTreeMap<String, BTreeSet<String>> =
            match entries.first().unwrap().person.as_ref() {
                Some(person) => [(format!("acme.{}", person.group), names(entries))].into(),
                None => BTreeMap::new(),
            };
        assert_eq!(world.observer.groups().await, expected);
        for (entry, person) in
            entries.iter().filter_map(|entry| Some((entry, entry.person.as_ref()?)))
        {
            assert_eq!(
                world.observer.member_of(entry).await,
                BTreeSet::from([format!("acme.{}", person.group)])
            );
        }
        let count = world.observer.found("(employeeNumber=*)", &["1.1"]).await.len();
        assert_eq!(count, entries.iter().filter(|entry| entry.person.is_some()).count());
    }
}

#[tokio::test]
async fn a_server_that_was_restarted_is_not_a_failure() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    world.server.kill();
    let Err(DirectoryError::Unreachable(_)) = world.directory.provision(&alice).await else {
        panic!("it is down")
    };
    world.server.resume();
    world.brought(&alice).await;
    world.server.kill();
    world.server.resume();
    world.brought(&with(&alice, |person| person.group = "administrators".to_owned())).await;
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_is_made_anew() {
    let world = ClusterCache::new().await;
    // A new entry takes fewer requests, so that this one is on a connection that was good before.
    let proxy = Proxy::start(world.server.port(), Loss::Request, 8).await;
    let directory = Directory::open(&world.server.url_at(proxy.port())).unwrap();
    let alice = person("alice");
    let mut brought = 0;
    while !proxy.has_cut() {
        directory.provision(&alice).await.unwrap();
        brought += 1;
    }
    assert!(brought > 1);
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_anybody_up_for_long() {
    let world = ClusterCache::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory =
        Directory::open(&world.server.url_at(silent.local_addr().unwrap().port())).unwrap();
    let began = Instant::now();
    let entries: Vec<Entry> = (0..16).map(|number| person(&format!("user-{number}"))).collect();
    for outcome in join_all(entries.iter().map(|entry| directory.provision(entry))).await {
        match outcome {
            Err(DirectoryError::Timeout) => {}
            Err(DirectoryError::Unreachable(why)) => {
                assert_eq!(why, "it didn't answer within 10 s")
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_that_is_not_ldap_is_nonsense() {
    let world = ClusterCache::new().await;
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x03\x02\x01\x01",
        &[0x30; 64],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory =
            Directory::open(&world.server.url_at(listener.local_addr().unwrap().port())).unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = tokio::io::AsyncReadExt::read(&mut client, &mut request).await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut client, answer).await;
            }
        });
        match directory.provision(&person("alice")).await {
            Err(DirectoryError::Unreachable(_) | DirectoryError::Protocol(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
