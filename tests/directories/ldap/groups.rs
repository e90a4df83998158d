//! Memberships, also of many at once.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use ldap3::Mod;
use ldap3::controls::{Assertion, MakeCritical, RawControl};
use roster::provisioning::{Entry, Groups};

use super::ClusterCache;
use super::people::{gone, person, with};

fn names(people: &[Entry]) -> BTreeSet<String> {
    people.iter().map(|entry| entry.person.as_ref().unwrap().login_name.clone()).collect()
}

async fn bring_at_once(world: &ClusterCache, entries: &[Entry]) {
    join_all(entries.iter().map(|entry| world.brought(entry))).await;
}

fn sixty_four() -> Vec<Entry> {
    (0..64).map(|number| person(&format!("user-{number}"))).collect()
}

#[tokio::test]
async fn somebody_who_changes_groups_is_in_one() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    world.brought(&with(&alice, |person| person.group = "administrators".to_owned())).await;
    assert_eq!(
        world.observer.groups().await,
        [("acme.administrators".to_owned(), ["alice.acme".to_owned()].into())].into()
    );
    assert_eq!(
        world.observer.member_of(&alice).await,
        BTreeSet::from(["acme.administrators".to_owned()])
    );
}

#[tokio::test]
async fn sixty_four_join_a_group_at_once_and_leave_it_at_once() {
    let world = ClusterCache::new().await;
    for _ in 0..3 {
        let people = sixty_four();
        bring_at_once(&world, &people).await;
        assert_eq!(
            world.observer.groups().await,
            [("acme.users".to_owned(), names(&people))].into()
        );
        for entry in &people {
            assert_eq!(
                world.observer.member_of(entry).await,
                BTreeSet::from(["acme.users".to_owned()])
            );
        }
        let gone: Vec<Entry> = people.iter().map(gone).collect();
        bring_at_once(&world, &gone).await;
        assert_eq!(world.observer.groups().await, [].into());
        assert_eq!(world.observer.found("(employeeNumber=*)", &["1.1"]).await, [].into());
    }
}

#[tokio::test]
async fn nobody_is_lost_while_others_come_and_go_through_the_same_groups() {
    let world = ClusterCache::new().await;
    let mut people: Vec<Entry> = (0..8).map(|number| person(&format!("user-{number}"))).collect();
    for round in 0..40 {
        // Each group is emptied and filled at the same time, so that it comes and goes all the
        // time.
        let group = |number: usize| format!("group-{}", (round * (number + 1) + number) % 3);
        people = people
            .iter()
            .enumerate()
            .map(|(number, entry)| with(entry, |person| person.group = group(number)))
            .collect();
        bring_at_once(&world, &people).await;
        let mut expected = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
        for (number, entry) in people.iter().enumerate() {
            let members = expected.entry(format!("acme.{}", group(number))).or_default();
            members.insert(entry.person.as_ref().unwrap().login_name.clone());
        }
        assert_eq!(world.observer.groups().await, expected, "round {round}");
        for (number, entry) in people.iter().enumerate() {
            assert_eq!(
                world.observer.member_of(entry).await,
                BTreeSet::from([format!("acme.{}", group(number))])
            );
        }
    }
}

#[tokio::test]
async fn two_organizations_have_groups_of_one_name_each() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    let mut bob = with(&person("bob"), |person| person.login_name = "bob.other".to_owned());
    bob.organization = "other".to_owned();
    world.brought(&alice).await;
    world.brought(&bob).await;
    let expected = [("acme.users", "alice.acme"), ("other.users", "bob.other")];
    let expected = expected.map(|(group, member)| (group.to_owned(), [member.to_owned()].into()));
    assert_eq!(world.observer.groups().await, expected.into());
}

#[tokio::test]
async fn somebody_in_more_groups_than_are_read_at_once_leaves_them_all() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    let (dn, _) = world.observer.entry_of(&alice).await;
    let put_in = async || {
        for number in 0..250 {
            let name = format!("acme.group-{number}");
            let group: [(&str, &[&str]); 5] = [
                ("objectClass", &["groupOfNames"]),
                ("cn", &[&name]),
                ("o", &["acme"]),
                ("businessCategory", &["roster"]),
                ("member", &[&dn]),
            ];
            world.observer.add(&format!("cn={name},ou=groups,dc=acme,dc=example"), &group).await;
        }
    };
    put_in().await;
    assert_eq!(world.observer.member_of(&alice).await.len(), 251);
    world.brought(&alice).await;
    assert_eq!(
        world.observer.groups().await,
        [("acme.users".to_owned(), names(std::slice::from_ref(&alice)))].into()
    );
    put_in().await;
    world.brought(&gone(&alice)).await;
    assert_eq!(world.observer.groups().await, [].into());
}

/// Has the server change a group and forget the member's `memberOf`, as it does when it is killed
/// in between.
async fn change_group_alone(world: &ClusterCache, group: &str, change: Mod<&str>) {
    let group = format!("cn={group},ou=groups,dc=acme,dc=example");
    let asserted = Assertion { filter: "(objectClass=groupOfNames)" }.critical();
    let mut ldap = world.observer.ldap();
    ldap.with_controls(RawControl::from(asserted))
        .modify(&group, vec![change])
        .await
        .unwrap()
        .success()
        .unwrap();
}

async fn delete_group_alone(world: &ClusterCache, group: &str) {
    let group = format!("cn={group},ou=groups,dc=acme,dc=example");
    let asserted = Assertion { filter: "(objectClass=groupOfNames)" }.critical();
    world
        .observer
        .ldap()
        .with_controls(RawControl::from(asserted))
        .delete(&group)
        .await
        .unwrap()
        .success()
        .unwrap();
}

#[tokio::test]
async fn member_of_is_put_right_where_the_server_forgot_it() {
    let world = ClusterCache::new().await;
    let (alice, bob) = (
        person("alice"),
        with(&person("bob"), |person| person.group = "administrators".to_owned()),
    );
    world.brought(&alice).await;
    world.brought(&bob).await;
    let users = BTreeSet::from(["acme.users".to_owned()]);
    let (dn, _) = world.observer.entry_of(&alice).await;

    change_group_alone(&world, "acme.administrators", Mod::Add("member", [dn.as_str()].into()))
        .await;
    world.brought(&alice).await;
    assert_eq!(world.observer.member_of(&alice).await, users);

    world.brought(&with(&alice, |person| person.group = "administrators".to_owned())).await;
    change_group_alone(&world, "acme.administrators", Mod::Delete("member", [dn.as_str()].into()))
        .await;
    assert_eq!(
        world.observer.member_of(&alice).await,
        BTreeSet::from(["acme.administrators".to_owned()])
    );
    world.brought(&alice).await;
    assert_eq!(world.observer.member_of(&alice).await, users);

    // Also of a group that is gone.
    world.brought(&with(&bob, |person| person.group = "users".to_owned())).await;
    world.brought(&with(&alice, |person| person.group = "administrators".to_owned())).await;
    delete_group_alone(&world, "acme.administrators").await;
    assert_eq!(
        world.observer.member_of(&alice).await,
        BTreeSet::from(["acme.administrators".to_owned()])
    );
    world.brought(&alice).await;
    assert_eq!(world.observer.member_of(&alice).await, users);
    assert_eq!(world.observer.groups().await.keys().collect::<Vec<_>>(), ["acme.users"]);
    world.brought(&bob).await;

    let administrator = with(&alice, |person| person.group = "administrators".to_owned());
    change_group_alone(&world, "acme.administrators", Mod::Add("member", [dn.as_str()].into()))
        .await;
    world.brought(&administrator).await;
    assert_eq!(
        world.observer.member_of(&alice).await,
        BTreeSet::from(["acme.administrators".to_owned()])
    );
    world.brought(&administrator).await;
    assert_eq!(
        world.observer.member_of(&alice).await,
        BTreeSet::from(["acme.administrators".to_owned()])
    );
    let expected = [("acme.administrators".to_owned(), names(&[alice, bob]))];
    assert_eq!(world.observer.groups().await, expected.into());
}

/// Adds a group as roster does, unless it is there.
async fn found_group(world: &ClusterCache, name: &str, member: &str) {
    let attributes = [
        ("objectClass", "groupOfNames"),
        ("cn", name),
        ("o", "acme"),
        ("businessCategory", "roster"),
        ("member", member),
    ];
    let attributes =
        attributes.map(|(attribute, value)| (attribute, HashSet::from([value]))).into();
    let answer = world
        .observer
        .ldap()
        .add(&format!("cn={name},ou=groups,dc=acme,dc=example"), attributes)
        .await
        .unwrap();
    assert!(matches!(answer.rc, 0 | 68), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_may_found_the_group_at_the_moment_of_joining() {
    let world = ClusterCache::new().await;
    let (founder, bob) = (person("founder"), person("bob"));
    world.brought(&founder).await;
    world.brought(&bob).await;
    let (dn, _) = world.observer.entry_of(&founder).await;
    for number in 0..400_u32 {
        let name = format!("group-{number}");
        let joining = with(&bob, |person| person.group.clone_from(&name));
        let founding = async {
            // From before roster looks for the group until after it has made it.
            tokio::time::sleep(Duration::from_micros(50) * (number % 40)).await;
            found_group(&world, &format!("acme.{name}"), &dn).await;
        };
        tokio::join!(world.brought(&joining), founding);
        assert_eq!(
            world.observer.member_of(&bob).await,
            BTreeSet::from([format!("acme.{name}")]),
            "round {number}"
        );
    }
}

#[tokio::test]
async fn there_are_no_groups_to_drop() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    world.directory.drop_groups(&Groups::new()).await.unwrap();
    assert_eq!(world.observer.groups().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_brought_at_a_rate() {
    let world = ClusterCache::new().await;
    let count: usize =
        std::env::var("ROSTER_LDAP_MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(500);
    let people: Vec<Entry> = (0..count).map(|number| person(&format!("user-{number}"))).collect();
    let began = Instant::now();
    stream::iter(&people).for_each_concurrent(64, |entry| world.brought(entry)).await;
    let took = began.elapsed();
    println!("{count} new entries in {took:.1?}, {:.0}/s", count as f64 / took.as_secs_f64());
    let began = Instant::now();
    stream::iter(&people).for_each_concurrent(64, |entry| world.brought(entry)).await;
    println!("the same again, unchanged: {:.1?}", began.elapsed());
    assert_eq!(world.observer.groups().await["acme.users"].len(), count);
    let gone: Vec<Entry> = people.iter().map(gone).collect();
    let began = Instant::now();
    stream::iter(&gone).for_each_concurrent(64, |entry| world.brought(entry)).await;
    println!("and gone again: {:.1?}", began.elapsed());
    assert_eq!(world.observer.groups().await, [].into());
}
