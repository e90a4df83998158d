//! What people's entries have, and who can log in with them.

use std::collections::BTreeSet;

use roster::provisioning::Directory;

use super::ClusterCache;
use super::people::{gone, person, set_password, whole_person, with};
use super::proxy::Proxy;

const OLD: &str = "gate Turnip, 41 onward";
const NEW: &str = "onward Turnip, 14 gates";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn every_attribute_is_as_the_readme_says() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    world.brought(&alice).await;
    let (dn, attributes) = world.observer.entry_of(&alice).await;
    assert_eq!(dn, "uid=alice.acme,ou=people,dc=acme,dc=example");
    let account = alice.account.to_string();
    let hash = format!(
        "{{ARGON2}}{}",
        alice.person.as_ref().unwrap().password.as_ref().unwrap().hash.as_str()
    );
    let expected: [(&str, &[&str]); 16] = [
        ("cn", &["alice Smith"]),
        ("displayName", &["alice Smith"]),
        ("employeeNumber", &[&account]),
        ("employeeType", &["Dispatcher"]),
        ("l", &["Phoenix"]),
        ("mail", &["alice@acme.example"]),
        ("o", &["acme"]),
        ("objectClass", &["inetOrgPerson", "organizationalPerson", "person", "top"]),
        ("postalAddress", &["1 Main St$Box \\245$Phoenix AZ 85001$US"]),
        ("postalCode", &["85001"]),
        ("sn", &["Smith"]),
        ("st", &["AZ"]),
        ("street", &["1 Main St, Box $5"]),
        ("telephoneNumber", &["+1 602 555 0100"]),
        ("uid", &["alice.acme"]),
        ("userPassword", &[&hash]),
    ];
    let expected = expected
        .into_iter()
        .map(|(name, all)| (name.to_owned(), all.iter().map(|one| (*one).to_owned()).collect()));
    assert_eq!(attributes, expected.collect());
    assert_eq!(world.observer.member_of(&alice).await, BTreeSet::from(["acme.users".to_owned()]));
}

#[tokio::test]
async fn a_password_works_until_the_next_one_and_while_the_person_is_enabled() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    let binds = async |password| world.observer.binds("alice.acme", password).await;

    world.brought(&with(&alice, |person| person.password = None)).await;
    assert!(!binds(OLD).await);
    world.brought(&alice).await;
    assert!(binds(OLD).await && !binds(NEW).await);

    let alice = with(&alice, |person| set_password(person, NEW));
    world.brought(&alice).await;
    assert!(binds(NEW).await && !binds(OLD).await);

    world.brought(&with(&alice, |person| person.active = false)).await;
    assert!(!binds(NEW).await && !binds(OLD).await);
    assert_eq!(world.observer.value(&alice, "userPassword").await, None);

    world.brought(&alice).await;
    assert!(binds(NEW).await);
}

#[tokio::test]
async fn a_disabled_person_loses_the_password_even_if_the_rest_is_refused() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    world.brought(&alice).await;
    let disabled = with(&alice, |person| {
        person.active = false;
        person.email = "not in ASCII: \u{fc}".to_owned();
    });
    let why = world.refusal(&disabled).await;
    assert!(why.contains("mail"), "{why}");
    assert!(!world.observer.binds("alice.acme", OLD).await);
}

#[tokio::test]
async fn whoever_loses_a_group_loses_it_even_if_the_rest_is_refused() {
    let world = ClusterCache::new().await;
    let alice = with(&person("alice"), |person| person.group = "administrators".to_owned());
    world.brought(&alice).await;
    let refused = with(&alice, |person| {
        person.group = "users".to_owned();
        person.email = "not in ASCII: \u{fc}".to_owned();
    });
    world.refusal(&refused).await;
    assert_eq!(world.observer.groups().await, [].into());
}

#[tokio::test]
async fn what_changes_is_changed_and_what_is_cleared_goes() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    world.brought(&alice).await;
    let changed = with(&alice, |person| {
        person.profile.display_name = "Alice Van Jones".to_owned();
        person.email = "alice.jones@acme.example".to_owned();
        (person.profile.phone, person.profile.address, person.role) = (None, None, None);
    });
    world.brought(&changed).await;
    let value = async |attribute| world.observer.value(&alice, attribute).await;
    assert_eq!(value("cn").await, some("Alice Van Jones"));
    assert_eq!(value("sn").await, some("Jones"));
    assert_eq!(value("mail").await, some("alice.jones@acme.example"));
    for cleared in
        ["telephoneNumber", "street", "l", "st", "postalCode", "postalAddress", "employeeType"]
    {
        assert_eq!(value(cleared).await, None, "{cleared}");
    }
    // The case of a letter is a change too.
    world
        .brought(&with(&changed, |person| {
            person.profile.display_name = "ALICE VAN JONES".to_owned()
        }))
        .await;
    assert_eq!(value("displayName").await, some("ALICE VAN JONES"));
}

#[tokio::test]
async fn what_roster_does_not_manage_stays() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    world.brought(&alice).await;
    let (dn, _) = world.observer.entry_of(&alice).await;
    world.observer.set(&dn, "description", "Knows the way").await;
    world.observer.set(&dn, "cn;lang-de", "Alice Schmidt").await;
    world
        .brought(&with(&alice, |person| person.profile.display_name = "Alice Jones".to_owned()))
        .await;
    assert_eq!(world.observer.value(&alice, "description").await, some("Knows the way"));
    assert_eq!(world.observer.value(&alice, "cn;lang-de").await, some("Alice Schmidt"));
    assert_eq!(world.observer.value(&alice, "cn").await, some("Alice Jones"));
}

#[tokio::test]
async fn an_entry_that_is_right_already_is_not_written() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    world.brought(&alice).await;
    let state =
        async || world.observer.found("(|(uid=alice.acme)(cn=acme.users))", &["entryCSN"]).await;
    let before = state().await;
    world.brought(&alice).await;
    assert_eq!(state().await, before);
}

#[tokio::test]
async fn a_new_person_takes_five_requests() {
    let world = ClusterCache::new().await;
    let proxy = Proxy::start_counting(world.server.port()).await;
    let directory = Directory::open(&world.server.url_at(proxy.port())).unwrap();
    for number in 0..10 {
        // The first one also binds.
        let bind = u64::from(number == 0);
        let before = proxy.count();
        let entry = whole_person(&format!("user-{number}"), OLD);
        assert!(directory.provision(&entry).await.unwrap().handle.is_some());
        assert_eq!(proxy.count() - before, 5 + bind, "{number}");
    }
}

#[tokio::test]
async fn somebody_deleted_leaves_neither_entry_nor_membership() {
    let world = ClusterCache::new().await;
    let (alice, bob) = (whole_person("alice", OLD), person("bob"));
    world.brought(&alice).await;
    world.brought(&bob).await;
    world.brought(&gone(&alice)).await;
    assert!(!world.observer.has(&alice).await);
    assert_eq!(
        world.observer.groups().await,
        [("acme.users".to_owned(), ["bob.acme".to_owned()].into())].into()
    );
    world.brought(&gone(&bob)).await;
    assert_eq!(world.observer.groups().await, [].into());
    // Nothing to delete is as good.
    world.brought(&gone(&alice)).await;
}

#[tokio::test]
async fn an_entry_that_was_renamed_gets_its_name_back() {
    let world = ClusterCache::new().await;
    let alice = whole_person("alice", OLD);
    world.brought(&alice).await;
    let (dn, _) = world.observer.entry_of(&alice).await;
    world.observer.rename(&dn, "uid=elsewhere").await;
    world.brought(&alice).await;
    assert_eq!(world.observer.entry_of(&alice).await.0, dn);
    assert_eq!(
        world.observer.groups().await,
        [("acme.users".to_owned(), ["alice.acme".to_owned()].into())].into()
    );
    assert!(world.observer.binds("alice.acme", OLD).await);
}

#[tokio::test]
async fn names_of_any_signs_are_kept_to_the_letter() {
    let world = ClusterCache::new().await;
    let names = [
        "Smith, Alice",
        "Alice + Bob",
        "\"Alice\" Smith",
        "#1 Alice",
        " Alice  Smith ",
        "*()\\ Smith",
        "\\2a",
        "a=b;c<d>e",
        "{ARGON2}",
        "\u{5c71}\u{7530} \u{592a}\u{90ce}",
        "\u{1f469}\u{200d}\u{1f680} \u{c5}\u{e9}\u{df}",
        "e\u{301}",
        " ",
        "$%'`/",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let alice = with(&person("alice"), |person| {
            person.login_name = format!("{}.{number}", name.trim());
            person.profile.display_name = name.to_owned();
            person.group = format!("{name}{number}");
            person.role = some(name);
        });
        for _ in 0..2 {
            world.brought(&alice).await;
            assert_eq!(world.observer.value(&alice, "displayName").await, some(name));
            assert_eq!(world.observer.value(&alice, "employeeType").await, some(name));
            assert_eq!(
                world.observer.value(&alice, "uid").await,
                some(&format!("{}.{number}", name.trim()))
            );
        }
        let groups = world.observer.groups().await;
        assert_eq!(groups.keys().collect::<Vec<_>>(), [&format!("acme.{name}{number}")]);
        world.brought(&with(&alice, |person| person.group = "users".to_owned())).await;
        assert_eq!(world.observer.groups().await.keys().collect::<Vec<_>>(), ["acme.users"]);
        world.brought(&gone(&alice)).await;
        assert_eq!(world.observer.groups().await, [].into());
    }
}
