//! LDAP, on OpenLDAP.

mod access;
mod addresses;
mod comparisons;
mod entries;
mod faults;
mod groups;
mod handles;
mod lists;
mod observer;
mod people;
mod proxy;
mod slow;
mod strangers;

use std::sync::OnceLock;

use roster::provisioning::{Directory, DirectoryError, Entry};

use observer::Observer;
use roster_test_support::slapd::Server;

/// A server, roster's directory on it, and somebody who looks on.
struct ClusterCache {
    server: Server,
    directory: Directory,
    observer: Observer,
}

impl ClusterCache {
    async fn new() -> Self {
        let server = Server::start();
        let directory = Directory::open(&server.url()).unwrap();
        let observer = Observer::connect(&server).await;
        Self { server, directory, observer }
    }

    #[track_caller]
    fn brought(&self, entry: &Entry) -> impl Future<Output = ()> {
        let outcome = self.directory.provision(entry);
        async { _ = outcome.await.unwrap() }
    }

    /// Brings an entry, and returns it as the store knows it afterwards.
    async fn confirmed(&self, directory: &Directory, entry: &Entry) -> Entry {
        let handle = directory.provision(entry).await.unwrap().handle;
        Entry { was_confirmed: entry.person.is_some(), handle, ..entry.clone() }
    }

    /// Returns the directory for somebody else than the administrator, who has every right.
    async fn directory_as(&self, name: &str) -> Directory {
        let entry: [(&str, &[&str]); 3] = [
            ("objectClass", &["organizationalRole", "simpleSecurityObject"]),
            ("cn", &[name]),
            ("userPassword", &["of somebody"]),
        ];
        self.observer.add(&format!("cn={name},dc=acme,dc=example"), &entry).await;
        std::fs::write(self.server.folder().join(name), "of somebody\n").unwrap();
        let address = self
            .server
            .url()
            .replace("cn=admin", &format!("cn={name}"))
            .replace("/password", &format!("/{name}"));
        Directory::open(&address).unwrap()
    }

    async fn refusal(&self, entry: &Entry) -> String {
        match self.directory.provision(entry).await {
            Err(DirectoryError::Refused(why)) => why,
            other => panic!("it isn't refused: {other:?}"),
        }
    }
}

/// Brings an entry as often as it takes, as whoever brings entries does, and says how often that
/// was.
async fn bring_until_confirmed(directory: &Directory, entry: &Entry) -> usize {
    for attempt in 1..=50 {
        match directory.provision(entry).await {
            Ok(_) => return attempt,
            Err(
                DirectoryError::Unreachable(_) | DirectoryError::Conflict | DirectoryError::Timeout,
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it isn't confirmed after 50 tries");
}

fn hashing() -> &'static roster::hashing::Hashing {
    static HASHING: OnceLock<roster::hashing::Hashing> = OnceLock::new();
    HASHING.get_or_init(|| roster::hashing::Hashing::new(roster::hashing::Cost::default()).unwrap())
}
