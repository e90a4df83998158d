//! What is compared at rest, and put back.

use std::collections::BTreeSet;

use roster::provisioning::{Directory, DirectoryError, Entry};

use super::ClusterCache;
use super::people::{person, whole_person, with};

const PASSWORD: &str = "gate Turnip, 41 onward";
const OTHER: &str = "set by hand";
const ALICE: &str = "uid=alice.acme,ou=people,dc=acme,dc=example";

const EVERYTHING: (&str, &str) = ("*", "write");

fn compared(entry: &Entry) -> Entry {
    Entry { compares: true, ..entry.clone() }
}

async fn is_at_rest(world: &ClusterCache, directory: &Directory, people: &[Entry]) {
    let before = world.observer.states().await;
    for round in 0..3 {
        for entry in people {
            let provisioned = directory.provision(&compared(entry)).await.unwrap();
            assert!(!provisioned.wrote, "round {round}: {entry:?}");
            assert_eq!(provisioned.handle, entry.handle, "round {round}");
        }
    }
    assert_eq!(world.observer.states().await, before);
}

#[tokio::test]
async fn at_rest_nothing_is_written_whatever_the_server_shows() {
    let hidden =
        ["userPassword", "member", "memberOf", "telephoneNumber", "mail", "entryUUID", "entryCSN"];
    let all = hidden.map(|attribute| {
        (format!("attrs={attribute}"), if attribute == "memberOf" { "none" } else { "=w" })
    });
    let all: Vec<(&str, &str)> =
        all.iter().map(|(to, right)| (to.as_str(), *right)).chain([EVERYTHING]).collect();
    for access in [&[EVERYTHING][..], &[all[0], EVERYTHING], &[all[0], all[1], EVERYTHING], &all] {
        let world = ClusterCache::new().await;
        let directory = world.directory_as("writer").await;
        world.observer.set_access(access).await;
        let mut people = vec![];
        for entry in [
            whole_person("alice", PASSWORD),
            with(&whole_person("bob", PASSWORD), |person| person.active = false),
            person("carol"),
            with(&person("dave"), |person| person.group = "administrators".to_owned()),
        ] {
            people.push(world.confirmed(&directory, &entry).await);
        }
        is_at_rest(&world, &directory, &people).await;
        // Also for somebody who never saw anything of it.
        is_at_rest(&world, &Directory::open(&directory_address(&world)).unwrap(), &people).await;
    }
}

fn directory_address(world: &ClusterCache) -> String {
    world.server.url().replace("cn=admin", "cn=writer").replace("/password", "/writer")
}

#[tokio::test]
async fn what_somebody_changed_is_put_back_and_said() {
    let world = ClusterCache::new().await;
    let alice = world.confirmed(&world.directory, &whole_person("alice", PASSWORD)).await;
    let bob = world
        .confirmed(
            &world.directory,
            &with(&person("bob"), |person| person.group = "administrators".to_owned()),
        )
        .await;
    let people = [alice.clone(), bob];
    let look = &world.observer;
    look.add_unit("ou=former,dc=acme,dc=example").await;
    for change in 0..8 {
        is_at_rest(&world, &world.directory, &people).await;
        match change {
            0 => look.set(ALICE, "userPassword", OTHER).await,
            1 => look.unset(ALICE, "userPassword").await,
            2 => look.set(ALICE, "mail", "mallory@acme.example").await,
            3 => look.unset(ALICE, "telephoneNumber").await,
            4 => look.unset(ALICE, "employeeNumber").await,
            5 => _ = look.move_under(ALICE, "ou=former,dc=acme,dc=example").await,
            6 => look.join("cn=acme.administrators,ou=groups,dc=acme,dc=example", ALICE).await,
            _ => look.remove(ALICE).await,
        }
        assert_eq!(
            world.directory.provision(&compared(&alice)).await,
            Err(DirectoryError::Drifted),
            "change {change}"
        );
        let provisioned = world.directory.provision(&alice).await.unwrap();
        assert!(provisioned.wrote, "change {change}");
        assert!(
            look.binds_at(ALICE, PASSWORD).await && !look.binds_at(ALICE, OTHER).await,
            "change {change}"
        );
        assert_eq!(look.value(&alice, "mail").await.as_deref(), Some("alice@acme.example"));
        assert_eq!(
            look.member_of(&alice).await,
            BTreeSet::from(["acme.users".to_owned()]),
            "change {change}"
        );
        if change == 7 {
            assert_ne!(provisioned.handle, alice.handle);
        }
    }
}

#[tokio::test]
async fn who_is_disabled_and_was_let_in_by_hand_is_not_let_in_any_more() {
    let world = ClusterCache::new().await;
    let alice = with(&whole_person("alice", PASSWORD), |person| person.active = false);
    let alice = world.confirmed(&world.directory, &alice).await;
    world.observer.set(ALICE, "userPassword", OTHER).await;
    assert!(world.observer.binds_at(ALICE, OTHER).await);
    assert_eq!(world.directory.provision(&compared(&alice)).await, Err(DirectoryError::Drifted));
    assert!(world.observer.binds_at(ALICE, OTHER).await, "a comparison writes nothing");
    assert!(world.directory.provision(&alice).await.unwrap().wrote);
    assert!(!world.observer.binds_at(ALICE, OTHER).await);
    is_at_rest(&world, &world.directory, &[alice]).await;
}
