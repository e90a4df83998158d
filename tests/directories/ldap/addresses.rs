//! Where the directory is, and who roster is there.

use roster::provisioning::{Directory, DirectoryError};
use roster_test_support::slapd::Server;

use super::ClusterCache;
use super::people::{gone, person, whole_person, with};

#[track_caller]
fn check_refused(address: &str, expected: &str) {
    match Directory::open(address) {
        Err(DirectoryError::Configuration(why)) => assert!(why.contains(expected), "{why}"),
        other => panic!("{other:?}"),
    }
}

const PASSWORD: &str = "gate Turnip, 41 onward";
const OPTIONS: &str = "bind-dn=cn=admin,dc=acme,dc=example&password-file=/run/secrets/ldap";

#[test]
fn an_address_that_lacks_something_says_what() {
    check_refused(
        &format!("ldap://ldap.acme.example/dc=acme,dc=example?{OPTIONS}"),
        "use ldaps://",
    );
    check_refused(&format!("ldap://10.0.0.1/dc=acme,dc=example?{OPTIONS}"), "use ldaps://");
    check_refused(&format!("ldaps://ldap.acme.example?{OPTIONS}"), "lacks the base");
    check_refused(&format!("ldaps:///dc=acme,dc=example?{OPTIONS}"), "lacks the host");
    check_refused("ldaps://ldap.acme.example/dc=acme,dc=example?bind-dn=cn=admin", "password-file");
    check_refused("ldaps://ldap.acme.example/dc=acme,dc=example?password-file=/x", "bind-dn");
    check_refused(
        &format!("ldaps://ldap.acme.example/dc=acme,dc=example?{OPTIONS}&tls=no"),
        "doesn't know: tls",
    );
    check_refused(
        &format!("ldap://localhost/dc=acme,dc=example?{OPTIONS}&ca-file=/x"),
        "for ldaps:// alone",
    );
}

#[test]
fn a_directory_is_known_by_its_address_without_the_options() {
    for address in [
        "ldaps://ldap.acme.example/dc=acme,dc=example",
        "ldap://127.0.0.1:3890/dc=acme",
        "ldap://[::1]/dc=acme",
    ] {
        let directory = Directory::open(&format!("{address}?{OPTIONS}")).unwrap();
        assert_eq!(directory.name(), address);
        assert!(!directory.takes_password_texts());
    }
    assert_eq!(
        Directory::open(&format!("ldaps://h/dc=acme?{OPTIONS}&name=people")).unwrap().name(),
        "people"
    );
}

#[test]
fn the_command_line_takes_an_address_with_its_commas() {
    let mut roster = std::process::Command::new(env!("CARGO_BIN_EXE_roster"));
    roster.args([
        "run",
        "--directory",
        &format!("ldaps://ldap.acme.example/dc=acme,dc=example?{OPTIONS}&tls=no"),
    ]);
    let output = roster.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("doesn't know: tls"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_is_said_without_the_password_and_the_right_one_is_read_anew() {
    let world = ClusterCache::new().await;
    let alice = person("alice");
    let file = world.server.folder().join("password");
    for (wrong, why) in
        [("not the password", "invalidCredentials"), ("", "it is empty"), ("\n", "it is empty")]
    {
        let right = std::fs::read_to_string(&file).unwrap();
        let directory = Directory::open(&world.server.url()).unwrap();
        std::fs::write(&file, wrong).unwrap();
        let outcome = directory.provision(&alice).await;
        std::fs::write(&file, &right).unwrap();
        let Err(error @ DirectoryError::Unauthorized(_)) = outcome else { panic!("{outcome:?}") };
        let said = format!("{error} {error:?} {directory:?}");
        assert!(said.contains(why) && said.contains("password"), "{said}");
        assert!(!said.contains("not the password") && !said.contains(right.trim()), "{said}");
        directory.provision(&alice).await.unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    let directory = Directory::open(&world.server.url()).unwrap();
    let outcome = directory.provision(&alice).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unauthorized(ref why)) if why.contains("password-file")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_directory_without_the_units_says_so() {
    let world = ClusterCache::new().await;
    world.observer.remove("ou=groups,dc=acme,dc=example").await;
    let outcome = world.directory.provision(&person("alice")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unreachable(ref why)) if why.contains("it has no ou=groups,")),
        "{outcome:?}"
    );
    let elsewhere = world.server.url().replacen("/dc=acme,dc=example?", "/dc=elsewhere?", 1);
    let outcome = Directory::open(&elsewhere).unwrap().provision(&person("alice")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unreachable(ref why)) if why.contains("it has no ou=people,")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_password_that_roster_may_not_read_goes_all_the_same() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    let alice = whole_person("alice", PASSWORD);
    directory.provision(&alice).await.unwrap();
    assert!(world.observer.binds("alice.acme", PASSWORD).await);
    directory.provision(&with(&alice, |person| person.active = false)).await.unwrap();
    assert!(!world.observer.binds("alice.acme", PASSWORD).await);
    assert_eq!(world.observer.value(&alice, "userPassword").await, None);
    directory.provision(&gone(&alice)).await.unwrap();
    assert!(!world.observer.has(&alice).await);
}

#[tokio::test]
async fn whoever_may_not_write_an_entry_is_told_so_of_that_entry() {
    let world = ClusterCache::new().await;
    let outcome = world.directory_as("reader").await.provision(&person("alice")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Refused(ref why)) if why.contains("insufficientAccess")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_group_that_roster_may_not_write_is_about_whoever_is_in_it() {
    let world = ClusterCache::new().await;
    let directory = world.directory_as("writer").await;
    let alice = person("alice");
    directory.provision(&alice).await.unwrap();
    let (dn, _) = world.observer.entry_of(&alice).await;
    let group = "cn=closed,ou=groups,dc=acme,dc=example";
    let closed: [(&str, &[&str]); 3] =
        [("objectClass", &["groupOfNames"]), ("cn", &["closed"]), ("member", &[&dn])];
    world.observer.add(group, &closed).await;
    let outcome = directory.provision(&gone(&alice)).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Refused(ref why)) if why.contains(group)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn tls_is_spoken_with_nobody_but_who_is_trusted() {
    let server = Server::start_with_tls();
    let address = server.url();
    let alice = person("alice");
    Directory::open(&address).unwrap().provision(&alice).await.unwrap();

    let other = Server::start_with_tls();
    let own = server.folder().join("certs/ca.crt");
    let unknown = address
        .replace(own.to_str().unwrap(), other.folder().join("certs/ca.crt").to_str().unwrap());
    assert_ne!(unknown, address);
    let (without, _) = address.split_once("&ca-file=").unwrap();
    let misnamed = address.replacen("localhost", "127.0.0.1", 1);
    for untrusted in [unknown.as_str(), without, misnamed.as_str()] {
        let outcome = Directory::open(untrusted).unwrap().provision(&alice).await;
        let Err(DirectoryError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("the certificate of"), "{why}");
    }
    let missing = format!("{without}&ca-file=/nowhere/ca.crt");
    let outcome = Directory::open(&missing).unwrap().provision(&alice).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unreachable(ref why)) if why.contains("/nowhere/ca.crt")),
        "{outcome:?}"
    );
}
