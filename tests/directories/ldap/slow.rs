//! Entries over which the server hangs.

use std::time::{Duration, Instant};

use roster::provisioning::{Directory, DirectoryError, Entry};
use tokio::task::JoinSet;

use super::ClusterCache;
use super::people::{person, whole_person, with};
use super::proxy::Proxy;

const PASSWORD: &str = "gate Turnip, 41 onward";

fn disabled(entry: &Entry) -> Entry {
    with(entry, |person| person.active = false)
}

/// Has the server hang over many, and measures how long alice waits until she can't log in.
async fn check_revocation(world: &ClusterCache, slow: Vec<Entry>, at_least: u64) {
    let proxy = Proxy::start_that_hangs(world.server.port(), "slow-").await;
    let directory = Directory::open(&world.server.url_at(proxy.port())).unwrap();
    let name = format!("alice-{at_least}");
    let alice = whole_person(&name, PASSWORD);
    directory.provision(&alice).await.unwrap();
    let mut hanging = JoinSet::new();
    for entry in slow {
        let directory = directory.clone();
        hanging.spawn(async move { directory.provision(&entry).await });
    }
    while proxy.kept() < at_least {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    directory.provision(&disabled(&alice)).await.unwrap();
    let took = began.elapsed();
    println!("beside {} requests that hang, a revocation took {took:.1?}", proxy.kept());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!world.observer.binds(&format!("{name}.acme"), PASSWORD).await);
    // Nobody but those whom it hangs over is told anything, and of the directory as a whole
    // nothing.
    let first = hanging.join_next().await.unwrap().unwrap();
    assert_eq!(first, Err(DirectoryError::Timeout));
    hanging.abort_all();
}

#[tokio::test]
async fn nobody_waits_for_their_revocation_behind_entries_that_the_server_hangs_over() {
    let world = ClusterCache::new().await;
    let slow = (0..200).map(|number| person(&format!("slow-{number}"))).collect();
    check_revocation(&world, slow, 8).await;
    // As many as there may be.
    let slow = (0..200).map(|number| person(&format!("slow-{number}"))).collect();
    check_revocation(&world, slow, 24).await;
}

#[tokio::test]
async fn nobody_waits_for_their_revocation_behind_other_revocations_that_hang() {
    let world = ClusterCache::new().await;
    let slow = (0..40).map(|number| disabled(&person(&format!("slow-{number}")))).collect();
    check_revocation(&world, slow, 32).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_over_one_entry_is_no_failure_of_the_directory() {
    let world = ClusterCache::new().await;
    let proxy = Proxy::start_that_cuts(world.server.port(), "slow-").await;
    let directory = Directory::open(&world.server.url_at(proxy.port())).unwrap();
    assert_eq!(directory.provision(&person("slow-1")).await, Err(DirectoryError::Timeout));
    directory.provision(&person("alice")).await.unwrap();
}
