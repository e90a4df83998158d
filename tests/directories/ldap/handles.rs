//! Entries that aren't found by the account's number, and what is gone.

use std::collections::HashSet;

use ldap3::controls::{MakeCritical, RawControl, RelaxRules};
use roster::domain::account::EntryHandle;
use roster::provisioning::{Directory, DirectoryError, Entry};

use super::ClusterCache;
use super::people::{gone, person, whole_person, with};

const PASSWORD: &str = "gate Turnip, 41 onward";
const ALICE: &str = "uid=alice.acme,ou=people,dc=acme,dc=example";
const FORMER: &str = "ou=former,dc=acme,dc=example";

const EVERYTHING: (&str, &str) = ("*", "write");
/// Everybody's entry may be written, and nothing of it is told.
const UNSEARCHABLE_PEOPLE: (&str, &str) = ("dn.children=\"ou=people,dc=acme,dc=example\"", "=w");
const CLOSED_PEOPLE: (&str, &str) = ("dn.children=\"ou=people,dc=acme,dc=example\"", "none");

/// Returns what tells that the account is gone, as whoever has the store's row says it.
fn departed(entry: &Entry) -> Entry {
    let login_name = entry.person.as_ref().map(|person| person.login_name.clone());
    let (handle, was_confirmed) = (entry.handle.clone(), entry.was_confirmed);
    Entry { handle, was_confirmed, former_login_name: login_name, ..gone(entry) }
}

fn disabled(entry: &Entry) -> Entry {
    with(entry, |person| person.active = false)
}

/// A world with alice and bob in it, the directory for somebody who isn't the administrator, and
/// alice as the store knows her.
async fn with_alice() -> (ClusterCache, Directory, Entry) {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    world.observer.set_access(&[EVERYTHING]).await;
    let alice = world.confirmed(&directory, &whole_person("alice", PASSWORD)).await;
    world.confirmed(&directory, &person("bob")).await;
    (world, directory, alice)
}

async fn exists(world: &ClusterCache, uuid: &str) -> bool {
    !world.observer.found(&format!("(entryUUID={uuid})"), &["1.1"]).await.is_empty()
}

async fn uuid_of(world: &ClusterCache, dn: &str) -> String {
    let found = world.observer.found("(objectClass=inetOrgPerson)", &["entryUUID"]).await;
    found[dn]["entryUUID"].first().unwrap().clone()
}

fn words(outcome: Result<roster::provisioning::Provisioned, DirectoryError>) -> String {
    match outcome {
        Err(error @ (DirectoryError::Refused(_) | DirectoryError::NotShown(_))) => {
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handle_names_the_entry_from_its_first_day_and_goes_with_it() {
    let (world, directory, alice) = with_alice().await;
    // She founded the group, and bob joined it.
    for entry in [alice.clone(), person("carol")] {
        let first = directory.provision(&entry).await.unwrap();
        let (dn, _) = world.observer.entry_of(&entry).await;
        let EntryHandle(text) = first.handle.clone().unwrap();
        assert!(text.contains(&uuid_of(&world, &dn).await) && text.contains(&dn), "{text}");
        let again = Entry { handle: first.handle.clone(), was_confirmed: true, ..entry.clone() };
        let again = directory.provision(&again).await.unwrap();
        assert_eq!(again.handle, first.handle);
    }
    let fresh = directory.provision(&person("dave")).await.unwrap();
    assert!(fresh.wrote && fresh.handle.is_some());
    let provisioned = directory.provision(&departed(&alice)).await.unwrap();
    assert!(provisioned.wrote && provisioned.handle.is_none());
    assert!(!directory.provision(&departed(&alice)).await.unwrap().wrote);
}

#[tokio::test]
async fn an_entry_without_its_number_is_disabled_and_gets_it_back() {
    let (world, directory, alice) = with_alice().await;
    for number in [None, Some("4711")] {
        directory.provision(&alice).await.unwrap();
        match number {
            None => world.observer.unset(ALICE, "employeeNumber").await,
            Some(number) => world.observer.set(ALICE, "employeeNumber", number).await,
        }
        assert!(directory.provision(&disabled(&alice)).await.unwrap().wrote);
        assert!(!world.observer.binds_at(ALICE, PASSWORD).await);
        assert_eq!(world.observer.entry_of(&alice).await.0, ALICE);
    }
}

#[tokio::test]
async fn an_entry_without_its_number_goes_with_the_account() {
    let (world, directory, alice) = with_alice().await;
    let uuid = uuid_of(&world, ALICE).await;
    world.observer.unset(ALICE, "employeeNumber").await;
    directory.provision(&departed(&alice)).await.unwrap();
    assert!(!exists(&world, &uuid).await);
    assert_eq!(world.observer.members("acme.users").await, ["bob.acme".to_owned()].into());
}

#[tokio::test]
async fn an_entry_that_was_moved_comes_back() {
    for has_number in [true, false] {
        let (world, directory, alice) = with_alice().await;
        world.observer.add_unit(FORMER).await;
        let moved = world.observer.move_under(ALICE, FORMER).await;
        if !has_number {
            world.observer.unset(&moved, "employeeNumber").await;
        }
        assert!(directory.provision(&alice).await.unwrap().wrote);
        assert_eq!(world.observer.entry_of(&alice).await.0, ALICE);
        assert!(
            world.observer.binds_at(ALICE, PASSWORD).await
                && !world.observer.binds_at(&moved, PASSWORD).await
        );
        assert_eq!(world.observer.members("acme.users").await.len(), 2);

        let moved = world.observer.move_under(ALICE, FORMER).await;
        directory.provision(&disabled(&alice)).await.unwrap();
        assert_eq!(world.observer.entry_of(&alice).await.0, ALICE);
        assert!(
            !world.observer.binds_at(&moved, PASSWORD).await
                && !world.observer.binds_at(ALICE, PASSWORD).await
        );
    }
}

#[tokio::test]
async fn an_entry_that_was_moved_goes_with_the_account() {
    for has_number in [true, false] {
        let (world, directory, alice) = with_alice().await;
        let uuid = uuid_of(&world, ALICE).await;
        world.observer.add_unit(FORMER).await;
        let moved = world.observer.move_under(ALICE, FORMER).await;
        if !has_number {
            world.observer.unset(&moved, "employeeNumber").await;
        }
        directory.provision(&departed(&alice)).await.unwrap();
        assert!(!exists(&world, &uuid).await);
        assert_eq!(world.observer.members("acme.users").await, ["bob.acme".to_owned()].into());
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_moved_back_lets_nobody_in_and_says_what_to_do() {
    let (world, directory, alice) = with_alice().await;
    let uuid = uuid_of(&world, ALICE).await;
    let (_, attributes) = world.observer.entry_of(&alice).await;
    world.observer.remove(ALICE).await;
    // As somebody does who exports and imports.
    let elsewhere = "dc=former,dc=example";
    let context: [(&str, &[&str]); 3] =
        [("objectClass", &["dcObject", "organization"]), ("dc", &["former"]), ("o", &["Former"])];
    world.observer.add(elsewhere, &context).await;
    let mut attributes: Vec<(&str, HashSet<&str>)> = attributes
        .iter()
        .filter(|(name, _)| *name != "employeeNumber")
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    attributes.push(("entryUUID", HashSet::from([uuid.as_str()])));
    let moved = format!("uid=alice.acme,{elsewhere}");
    let mut ldap = world.observer.ldap();
    ldap.with_controls(RawControl::from(RelaxRules.critical()))
        .add(&moved, attributes)
        .await
        .unwrap()
        .success()
        .unwrap();
    assert!(world.observer.binds_at(&moved, PASSWORD).await);

    let why = words(directory.provision(&disabled(&alice)).await);
    assert!(
        why.contains(&format!("move the entry back to {ALICE}")) && why.contains(&moved),
        "{why}"
    );
    assert!(!world.observer.binds_at(&moved, PASSWORD).await);
    directory.provision(&departed(&alice)).await.unwrap();
    assert_eq!(world.observer.found_under(elsewhere, "(uid=*)", &["1.1"]).await, [].into());
}

#[tokio::test]
async fn who_is_gone_is_gone_also_where_nobody_may_be_searched_any_more() {
    for has_handle in [true, false] {
        let (world, directory, alice) = with_alice().await;
        let uuid = uuid_of(&world, ALICE).await;
        let alice = Entry { handle: alice.handle.clone().filter(|_| has_handle), ..alice };
        world.observer.set_access(&[UNSEARCHABLE_PEOPLE, EVERYTHING]).await;
        directory.provision(&departed(&alice)).await.unwrap();
        assert!(!exists(&world, &uuid).await);
        assert_eq!(world.observer.members("acme.users").await, ["bob.acme".to_owned()].into());
    }
}

#[tokio::test]
async fn who_is_disabled_cannot_log_in_also_where_nobody_may_be_searched_any_more() {
    for has_handle in [true, false] {
        let (world, directory, alice) = with_alice().await;
        let alice = Entry { handle: alice.handle.clone().filter(|_| has_handle), ..alice };
        world.observer.set_access(&[UNSEARCHABLE_PEOPLE, EVERYTHING]).await;
        // What else there is of her can't be brought, and that is said.
        let why = words(directory.provision(&disabled(&alice)).await);
        assert!(why.contains(ALICE) && why.contains("let the bind-dn search"), "{why}");
        assert!(!world.observer.binds_at(ALICE, PASSWORD).await);
        let why = words(directory.provision(&alice).await);
        assert!(why.contains("let the bind-dn search"), "{why}");
    }
}

#[tokio::test]
async fn an_entry_that_may_neither_be_seen_nor_written_is_not_taken_for_gone() {
    let (world, directory, alice) = with_alice().await;
    world.observer.set_access(&[CLOSED_PEOPLE, EVERYTHING]).await;
    for entry in [departed(&alice), disabled(&alice)] {
        let why = words(directory.provision(&entry).await);
        assert!(why.contains(ALICE) && why.contains("let the bind-dn write there"), "{why}");
    }
    let unknown = Entry { handle: None, former_login_name: None, ..departed(&alice) };
    assert!(matches!(directory.provision(&unknown).await, Err(DirectoryError::NotShown(_))));
}

#[tokio::test]
async fn an_entry_that_was_moved_where_nobody_may_search_is_not_taken_for_gone() {
    let (world, directory, alice) = with_alice().await;
    world.observer.add_unit(FORMER).await;
    world.observer.move_under(ALICE, FORMER).await;
    let nowhere = ("dn.children=\"ou=former,dc=acme,dc=example\"", "none");
    world.observer.set_access(&[UNSEARCHABLE_PEOPLE, nowhere, EVERYTHING]).await;
    let why = words(directory.provision(&departed(&alice)).await);
    assert!(why.contains("entryUUID"), "{why}");
    assert!(matches!(directory.provision(&alice).await, Err(DirectoryError::NotShown(_))));
    // Once they may, it goes.
    world.observer.set_access(&[EVERYTHING]).await;
    directory.provision(&departed(&alice)).await.unwrap();
    assert!(!world.observer.has(&alice).await);
}

#[tokio::test]
async fn an_entry_that_somebody_removed_is_gone_and_comes_back_for_who_stays() {
    let world = ClusterCache::new().await;
    let alice = world.confirmed(&world.directory, &whole_person("alice", PASSWORD)).await;
    world.observer.remove(ALICE).await;
    assert!(world.directory.provision(&alice).await.unwrap().wrote);
    assert!(world.observer.binds_at(ALICE, PASSWORD).await);
    world.observer.remove(ALICE).await;
    // Nobody is left there.
    assert!(world.directory.provision(&departed(&alice)).await.is_ok());
}

#[tokio::test]
async fn an_entry_that_was_handed_to_another_account_is_that_ones() {
    let (world, directory, alice) = with_alice().await;
    let other = person("other");
    world.observer.set(ALICE, "employeeNumber", &other.account.to_string()).await;
    let before = world.observer.states().await;
    for entry in [departed(&alice), disabled(&alice), alice.clone()] {
        let why = words(directory.provision(&entry).await);
        assert!(
            why.contains(&alice.account.to_string()) && why.contains(&other.account.to_string()),
            "{why}"
        );
    }
    assert_eq!(world.observer.states().await, before);
}

#[tokio::test]
async fn whoever_got_the_place_of_somebody_who_is_gone_keeps_it() {
    let (world, directory, alice) = with_alice().await;
    directory.provision(&departed(&alice)).await.unwrap();
    let anew = world.confirmed(&directory, &whole_person("alice", PASSWORD)).await;
    // It is said again, by whoever didn't hear that it was done.
    directory.provision(&departed(&alice)).await.unwrap();
    assert!(world.observer.binds("alice.acme", PASSWORD).await);
    let compared = ("dn.children=\"ou=people,dc=acme,dc=example\"", "=cw");
    world.observer.set_access(&[compared, EVERYTHING]).await;
    words(directory.provision(&departed(&alice)).await);
    assert!(world.observer.binds("alice.acme", PASSWORD).await);
    assert!(world.observer.has(&anew).await);
    assert_eq!(world.observer.members("acme.users").await.len(), 2);
}
