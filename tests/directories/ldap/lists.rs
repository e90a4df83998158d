//! Everybody whom the directory has.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use roster::provisioning::{Entry, ListedEntry};

use super::ClusterCache;
use super::people::{person, whole_person, with};

const PASSWORD: &str = "gate Turnip, 41 onward";
const EVERYTHING: (&str, &str) = ("*", "write");

fn by_login_name(listed: Vec<ListedEntry>) -> BTreeMap<String, ListedEntry> {
    listed.into_iter().map(|one| (one.login_name.clone(), one)).collect()
}

#[tokio::test]
async fn everybody_is_listed_with_their_account_and_their_groups() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    world.observer.set_access(&[EVERYTHING]).await;
    let alice = world.confirmed(&directory, &whole_person("alice", PASSWORD)).await;
    let bob = with(&whole_person("bob", PASSWORD), |person| person.active = false);
    let bob = world
        .confirmed(&directory, &with(&bob, |person| person.group = "drivers".to_owned()))
        .await;
    let theirs: [(&str, &[&str]); 4] = [
        ("objectClass", &["inetOrgPerson"]),
        ("uid", &["carol"]),
        ("sn", &["Carol"]),
        ("cn", &["Carol"]),
    ];
    world.observer.add("uid=carol,ou=people,dc=acme,dc=example", &theirs).await;
    // Whatever is shown of passwords and members.
    let hidden = [("attrs=userPassword", "=w"), EVERYTHING];
    let without_members = [("attrs=member", "=w"), EVERYTHING];
    for (access, knows_passwords) in
        [(&[EVERYTHING][..], true), (&without_members, true), (&hidden, false)]
    {
        world.observer.set_access(access).await;
        let listed = by_login_name(directory.list_entries().await.unwrap());
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["alice.acme", "bob.acme", "carol"]);
        let known = |entry: &Entry, group: &str| (Some(entry.account), vec![group.to_owned()]);
        let of = |name: &str| (listed[name].account, listed[name].groups.clone());
        assert_eq!(of("alice.acme"), known(&alice, "acme.users"));
        assert_eq!(of("bob.acme"), known(&bob, "acme.drivers"));
        assert_eq!(of("carol"), (None, vec![]));
        // Nobody knows of who isn't shown that they can't log in.
        assert!(listed["alice.acme"].active);
        assert_eq!(listed["bob.acme"].active, !knows_passwords);
        for (name, entry) in [("alice.acme", &alice), ("bob.acme", &bob)] {
            let by_list = Entry { handle: Some(listed[name].handle.clone()), ..entry.clone() };
            let handle = directory.provision(&by_list).await.unwrap().handle;
            assert_eq!(handle, entry.handle);
        }
    }
}

#[tokio::test]
async fn a_limit_of_the_server_ends_no_list() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    world.observer.set_access(&[EVERYTHING]).await;
    let people: Vec<Entry> = (0..1_100).map(|number| person(&format!("user-{number}"))).collect();
    stream::iter(&people).for_each_concurrent(8, |entry| world.brought(entry)).await;
    world.observer.limit(600).await;
    let listed = directory.list_entries().await.unwrap();
    assert_eq!(listed.len(), 1_100);
    assert!(listed.iter().all(|one| one.groups == ["acme.users"] && one.account.is_some()));
}
