//! An operator whose claim ended brings directories nothing more, whatever it had begun.

use std::time::Duration;

use roster::store::StoreError;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;
use tokio::time::Instant;

const DOMAIN: &str = "kind: OrgEmailDomain\nmetadata: {name: acme}\nspec: {domain: acme.example}\n";

fn alice(state: &str) -> String {
    format!(
        "kind: User\nmetadata: {{name: alice}}\nspec: {{email: alice@acme.example, profile: {{displayName: Alice}}, \
         chargeApproved: true, state: {state}}}\n"
    )
}

/// Alice is disabled in the directory, and enabled in the store while the directory is down.
async fn about_to_enable() -> Cluster<FlakyStore> {
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.set_directory("good").await;
    cluster.apply(&[DOMAIN, &alice("Disabled")].join("---\n"));
    cluster.until_quiet().await;
    cluster.set_directory("down").await;
    cluster.apply(&alice("Enabled"));
    cluster.wait(5).await;
    cluster
}

fn is_active(cluster: &Cluster<FlakyStore>) -> bool {
    let has = cluster.directory_has();
    assert_eq!(has.len(), 1, "{has:?}");
    has.iter().all(|entry| entry.contains(" active "))
}

#[tokio::test(start_paused = true)]
async fn who_was_superseded_while_a_directory_was_down_brings_it_nothing_once_it_is_back() {
    let mut cluster = about_to_enable().await;
    cluster.store.supersede();
    cluster.set_directory("good").await;
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(30)).await;
        cluster.work_errands().await;
    }
    assert!(!is_active(&cluster));
    assert!(matches!(cluster.deposed(), Some(StoreError::Superseded { .. })));
}

#[tokio::test(start_paused = true)]
async fn while_the_store_cannot_be_asked_nothing_is_brought_and_a_second_later_it_is_asked_again() {
    let mut cluster = about_to_enable().await;
    cluster.set_directory("good").await;
    tokio::time::advance(Duration::from_secs(120)).await;
    cluster.store.fail(3);
    let begun = Instant::now();
    cluster.work_errands().await;
    assert!(!is_active(&cluster));
    cluster.until_quiet().await;
    assert!(is_active(&cluster));
    assert!((2..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(cluster.deposed().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_was_superseded_learns_of_it_also_while_everything_is_listed_anew() {
    let mut cluster = about_to_enable().await;
    cluster.begin_to_list_anew();
    cluster.see_members().await;
    assert!(cluster.deposed().is_none());
    cluster.store.supersede();
    cluster.see_members().await;
    assert!(matches!(cluster.deposed(), Some(StoreError::Superseded { .. })));
}
