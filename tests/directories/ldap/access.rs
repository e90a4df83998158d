//! What the server stops showing, and what is taken away all the same.

use std::collections::BTreeSet;

use roster::provisioning::Entry;

use super::ClusterCache;
use super::people::{gone, person, whole_person, with};

const PASSWORD: &str = "gate Turnip, 41 onward";

const EVERYTHING: (&str, &str) = ("*", "write");
const UNREADABLE_PASSWORDS: (&str, &str) = ("attrs=userPassword", "=w");
const UNREADABLE_MEMBERS: (&str, &str) = ("attrs=member", "=w");
const UNREADABLE_MEMBER_OF: (&str, &str) = ("attrs=memberOf", "none");

fn in_group(entry: &Entry, group: &str) -> Entry {
    with(entry, |person| person.group = group.to_owned())
}

#[tokio::test]
async fn who_is_disabled_cannot_log_in_also_where_their_password_is_not_shown_any_more() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    world.observer.set_access(&[EVERYTHING]).await;
    let alice = world.confirmed(&directory, &whole_person("alice", PASSWORD)).await;
    let bob = world.confirmed(&directory, &whole_person("bob", PASSWORD)).await;
    // The entry shows its password, and then nobody's does any more.
    directory.provision(&alice).await.unwrap();
    world.observer.set_access(&[UNREADABLE_PASSWORDS, EVERYTHING]).await;
    directory.provision(&with(&alice, |person| person.active = false)).await.unwrap();
    assert!(!world.observer.binds("alice.acme", PASSWORD).await);
    assert_eq!(world.observer.value(&alice, "userPassword").await, None);
    // Who has no password any more is no other case.
    directory.provision(&with(&bob, |person| person.password = None)).await.unwrap();
    assert!(!world.observer.binds("bob.acme", PASSWORD).await);
}

#[tokio::test]
async fn a_group_is_left_also_where_its_members_are_not_shown_any_more() {
    for has_handle in [true, false] {
        let world = ClusterCache::new().await;
        let directory = world.directory_as("writer").await;
        world.observer.set_access(&[EVERYTHING]).await;
        let before = |name| Entry { handle: None, ..person(name) };
        let (alice, bob) = (
            in_group(&before("alice"), "administrators"),
            in_group(&before("bob"), "administrators"),
        );
        let known = |entry: Entry| Entry { handle: entry.handle.filter(|_| has_handle), ..entry };
        let alice = known(world.confirmed(&directory, &alice).await);
        let bob = known(world.confirmed(&directory, &bob).await);
        world.observer.set_access(&[UNREADABLE_MEMBERS, UNREADABLE_MEMBER_OF, EVERYTHING]).await;

        let alice = in_group(&alice, "users");
        let provisioned = directory.provision(&alice).await.unwrap();
        assert!(provisioned.wrote);
        assert_eq!(
            world.observer.members("acme.administrators").await,
            BTreeSet::from(["bob.acme".to_owned()])
        );
        assert_eq!(
            world.observer.members("acme.users").await,
            BTreeSet::from(["alice.acme".to_owned()])
        );

        // The last one's group goes with them.
        directory.provision(&in_group(&bob, "users")).await.unwrap();
        assert_eq!(world.observer.groups().await.into_keys().collect::<Vec<_>>(), ["acme.users"]);

        // And who is disabled is in nothing but their own group.
        let bob = in_group(&bob, "users");
        let group = "cn=acme.secret,ou=groups,dc=acme,dc=example";
        let (dn, _) = world.observer.entry_of(&bob).await;
        let secret: [(&str, &[&str]); 5] = [
            ("objectClass", &["groupOfNames"]),
            ("cn", &["acme.secret"]),
            ("o", &["acme"]),
            ("businessCategory", &["roster"]),
            ("member", &[&dn]),
        ];
        world.observer.add(group, &secret).await;
        directory.provision(&with(&bob, |person| person.active = false)).await.unwrap();
        assert_eq!(world.observer.members("acme.secret").await, BTreeSet::new());
        assert!(world.observer.members("acme.users").await.contains("bob.acme"));
    }
}

#[tokio::test]
async fn who_is_gone_is_in_no_group_also_where_no_group_shows_its_members() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    world.observer.set_access(&[EVERYTHING]).await;
    let alice = world.confirmed(&directory, &whole_person("alice", PASSWORD)).await;
    let bob = world.confirmed(&directory, &whole_person("bob", PASSWORD)).await;
    let (dn, _) = world.observer.entry_of(&alice).await;
    let members = [dn.as_str(), "cn=them"];
    world.observer.add_unit("ou=apps,dc=acme,dc=example").await;
    for place in ["cn=choir,ou=groups,dc=acme,dc=example", "cn=wiki,ou=apps,dc=acme,dc=example"] {
        let name = &place[3..place.find(',').unwrap()];
        world
            .observer
            .add(
                place,
                &[("objectClass", &["groupOfNames"]), ("cn", &[name]), ("member", &members)],
            )
            .await;
    }
    // Who is disabled keeps what others gave them.
    world.observer.set_access(&[UNREADABLE_MEMBERS, EVERYTHING]).await;
    directory.provision(&with(&alice, |person| person.active = false)).await.unwrap();
    let kept = ["acme.users", "choir", "wiki"].map(str::to_owned);
    assert_eq!(world.observer.member_of(&alice).await, BTreeSet::from(kept));

    directory.provision(&gone(&alice)).await.unwrap();
    let left: BTreeSet<String> = world.observer.groups().await.into_values().flatten().collect();
    assert_eq!(left, BTreeSet::from(["bob.acme".to_owned(), "them".to_owned()]));

    // Where not even the entry says its groups, those under ou=groups are told.
    let (dn, _) = world.observer.entry_of(&bob).await;
    for name in ["choir", "band"] {
        let place = format!("cn={name}-2,ou=groups,dc=acme,dc=example");
        world
            .observer
            .add(&place, &[("objectClass", &["groupOfNames"]), ("member", &[&dn, "cn=them"])])
            .await;
    }
    world.observer.set_access(&[UNREADABLE_MEMBERS, UNREADABLE_MEMBER_OF, EVERYTHING]).await;
    directory.provision(&gone(&bob)).await.unwrap();
    let left: BTreeSet<String> = world.observer.groups().await.into_values().flatten().collect();
    assert_eq!(left, BTreeSet::from(["them".to_owned()]));
}
