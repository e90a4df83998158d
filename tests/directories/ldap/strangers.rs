//! What is somebody else's.

use std::collections::BTreeSet;

use super::ClusterCache;
use super::people::{gone, person, whole_person, with};

const PASSWORD: &str = "gate Turnip, 41 onward";
const PLACE: &str = "uid=alice.acme,ou=people,dc=acme,dc=example";

#[tokio::test]
async fn an_entry_of_somebody_else_stays_until_it_is_handed_over() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", PASSWORD);
    let theirs: [(&str, &[&str]); 4] = [
        ("objectClass", &["inetOrgPerson"]),
        ("uid", &["alice.acme"]),
        ("cn", &["Theirs"]),
        ("sn", &["Theirs"]),
    ];
    world.observer.add(PLACE, &theirs).await;
    let before = world.observer.found("(uid=alice.acme)", &["*", "+"]).await;
    let why = world.refusal(&alice).await;
    assert!(why.contains(&alice.account.to_string()) && why.contains("hand it over"), "{why}");
    assert!(why.contains(PLACE), "{why}");
    assert_eq!(world.observer.found("(uid=alice.acme)", &["*", "+"]).await, before);
    // That she goes doesn't concern it either.
    world.brought(&gone(&alice)).await;
    assert_eq!(world.observer.found("(uid=alice.acme)", &["*", "+"]).await, before);

    world.observer.set(PLACE, "employeeNumber", &alice.account.to_string()).await;
    world.brought(&alice).await;
    assert_eq!(world.observer.value(&alice, "cn").await.as_deref(), Some("alice Smith"));
    assert!(world.observer.binds("alice.acme", PASSWORD).await);
}

#[tokio::test]
async fn whoever_is_created_anew_waits_until_the_former_account_is_gone() {
    let world = ClusterCache::new().await;
    let former = whole_person("alice", PASSWORD);
    world.brought(&former).await;
    let anew = person("alice");
    let why = world.refusal(&anew).await;
    assert!(why.contains(&former.account.to_string()), "{why}");
    world.brought(&gone(&former)).await;
    world.brought(&anew).await;
    assert_eq!(world.observer.entry_of(&anew).await.0, PLACE);
    assert!(!world.observer.binds("alice.acme", PASSWORD).await);
    // What was said of the former one again changes nothing.
    world.brought(&gone(&former)).await;
    assert!(world.observer.has(&anew).await);
    assert_eq!(
        world.observer.groups().await,
        [("acme.users".to_owned(), ["alice.acme".to_owned()].into())].into()
    );
}

#[tokio::test]
async fn a_group_of_somebody_else_is_not_joined_until_it_is_handed_over() {
    let world = ClusterCache::new().await;
    let group = "cn=acme.users,ou=groups,dc=acme,dc=example";
    let theirs: [(&str, &[&str]); 3] =
        [("objectClass", &["groupOfNames"]), ("cn", &["acme.users"]), ("member", &["cn=them"])];
    world.observer.add(group, &theirs).await;
    let alice = person("alice");
    let why = world.refusal(&alice).await;
    assert!(why.contains(group) && why.contains("hand it over"), "{why}");
    world.observer.set(group, "businessCategory", "roster").await;
    world.observer.set(group, "o", "acme").await;
    world.brought(&alice).await;
    assert_eq!(world.observer.groups().await["acme.users"].len(), 2);
}

#[tokio::test]
async fn memberships_that_others_gave_stay_until_the_account_goes() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    let group = "cn=choir,ou=groups,dc=acme,dc=example";
    let choir: [(&str, &[&str]); 3] =
        [("objectClass", &["groupOfNames"]), ("cn", &["choir"]), ("member", &[PLACE])];
    world.observer.add(group, &choir).await;
    world.brought(&with(&alice, |person| person.group = "administrators".to_owned())).await;
    assert!(world.observer.groups().await.contains_key("choir"));
    let why = world.refusal(&gone(&alice)).await;
    assert!(why.contains(group) && why.contains("another member"), "{why}");
    world.observer.remove(group).await;
    world.brought(&gone(&alice)).await;
    assert_eq!(world.observer.groups().await, [].into());
}

#[tokio::test]
async fn two_entries_with_one_number_are_nobodys_guess() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", PASSWORD);
    world.brought(&alice).await;
    let number = alice.account.to_string();
    let double: [(&str, &[&str]); 5] = [
        ("objectClass", &["inetOrgPerson"]),
        ("employeeNumber", &[&number]),
        ("cn", &["Double"]),
        ("sn", &["Double"]),
        ("userPassword", &["a way in"]),
    ];
    world.observer.add("uid=double,ou=people,dc=acme,dc=example", &double).await;
    let why = world.refusal(&alice).await;
    assert!(why.contains("uid=double") && why.contains(PLACE), "{why}");
    // The ways in go all the same, and in the end both.
    world.refusal(&with(&alice, |person| person.active = false)).await;
    assert!(
        !world.observer.binds("double", "a way in").await
            && !world.observer.binds("alice.acme", PASSWORD).await
    );
    world.brought(&gone(&alice)).await;
    assert!(!world.observer.has(&alice).await);
}

#[tokio::test]
async fn an_entry_of_another_name_that_is_handed_over_takes_its_memberships_along() {
    let world = ClusterCache::new().await;
    let dave = whole_person("dave", PASSWORD);
    let (number, dn) = (dave.account.to_string(), "cn=Dave Miller,ou=people,dc=acme,dc=example");
    let entry: [(&str, &[&str]); 5] = [
        ("objectClass", &["inetOrgPerson"]),
        ("employeeNumber", &[&number]),
        ("cn", &["Dave Miller"]),
        ("sn", &["Miller"]),
        ("title", &["Captain"]),
    ];
    world.observer.add(dn, &entry).await;
    for (name, members) in [("vpn", vec![dn]), ("wiki", vec![dn, PLACE])] {
        let group: [(&str, &[&str]); 3] =
            [("objectClass", &["groupOfNames"]), ("cn", &[name]), ("member", &members)];
        world.observer.add(&format!("cn={name},ou=groups,dc=acme,dc=example"), &group).await;
    }
    world.brought(&dave).await;
    let (now, attributes) = world.observer.entry_of(&dave).await;
    assert_eq!(now, "uid=dave.acme,ou=people,dc=acme,dc=example");
    assert_eq!((attributes["uid"].len(), attributes["cn"].len()), (1, 1), "{attributes:?}");
    assert_eq!(attributes["title"], ["Captain".to_owned()].into());
    assert!(world.observer.binds("dave.acme", PASSWORD).await);
    let all = BTreeSet::from(["acme.users", "vpn", "wiki"].map(str::to_owned));
    assert_eq!(world.observer.member_of(&dave).await, all);
    assert_eq!(world.observer.groups().await.into_keys().collect::<BTreeSet<_>>(), all);
    let married = with(&dave, |person| person.profile.display_name = "Dave Smith".to_owned());
    world.brought(&married).await;
    assert_eq!(world.observer.value(&married, "cn").await.as_deref(), Some("Dave Smith"));
}
