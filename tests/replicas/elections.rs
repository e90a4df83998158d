//! Electors on a Lease of a real API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use roster::controller::leader_election::{
    LeaderElector, Leadership, LeadershipLost, LeaseTimings, Look, lease_name,
};
use roster::store::claims::CommitPosition;
use roster_test_support::cluster::proxy::Proxy;
use roster_test_support::cluster::{Organization, run};
use serde_json::{Value, json};

use crate::CLUSTER;

/// A quicker rhythm than the usual one, in the same proportions; a Lease lasts whole seconds.
const RHYTHM: LeaseTimings = LeaseTimings {
    duration: Duration::from_secs(3),
    renewal: Duration::from_millis(600),
    deadline: Duration::from_millis(2100),
    look: Duration::from_millis(300),
    patience: Duration::from_millis(900),
};

/// Returns an elector on the Lease of the organization, which is in its own namespace.
fn elector_with(client: Client, organization: &Organization, holder: &str) -> LeaderElector {
    let namespaces = [organization.name.clone()].into();
    LeaderElector::new(client, &organization.name, &namespaces, holder).with_timings(RHYTHM)
}

fn elector(organization: &Organization, holder: &str) -> LeaderElector {
    elector_with(organization.admin().client(), organization, holder)
}

fn acquire(elector: &LeaderElector) -> Leadership {
    run(elector.acquire(|_| ()))
}

fn leases(organization: &Organization) -> Api<Lease> {
    organization.admin().api()
}

fn name(organization: &Organization) -> String {
    lease_name(&[organization.name.clone()].into())
}

/// Returns the Lease as it is.
#[track_caller]
fn lease(organization: &Organization) -> Value {
    let lease = run(leases(organization).get(&name(organization))).expect("there is a Lease");
    serde_json::to_value(lease).unwrap()
}

/// Writes to the Lease as an administrator does.
#[track_caller]
fn patch(organization: &Organization, patch: &Value) {
    run(leases(organization).patch(
        &name(organization),
        &PatchParams::default(),
        &Patch::Merge(patch),
    ))
    .expect("it is taken");
}

/// Waits until the Lease was renewed once more.
fn until_renewed(organization: &Organization) {
    let before = lease(organization)["spec"]["renewTime"].clone();
    roster_test_support::cluster::eventually("it is renewed", || {
        (lease(organization)["spec"]["renewTime"] != before).then_some(())
    });
}

#[test]
fn a_lease_says_who_works_where_and_one_that_is_let_go_of_is_taken_at_once() {
    let organization = CLUSTER.organization();
    let first = acquire(&elector(&organization, "first"));
    assert!(first.is_current());
    let held = lease(&organization);
    assert_eq!(held["metadata"]["annotations"]["roster.rs/namespaces"], organization.name.as_str());
    assert_eq!(held["spec"]["holderIdentity"], "first");
    assert_eq!(
        (&held["spec"]["leaseDurationSeconds"], &held["spec"]["leaseTransitions"]),
        (&json!(3), &json!(0))
    );
    until_renewed(&organization);
    assert_eq!(lease(&organization)["spec"]["acquireTime"], held["spec"]["acquireTime"]);
    run(first.release_lease());
    let free = lease(&organization);
    assert_eq!(
        (&free["spec"]["holderIdentity"], &free["spec"]["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    let mut looks = 0;
    let second = run(elector(&organization, "second").acquire(|_| looks += 1));
    assert_eq!(looks, 0, "it waited");
    assert!(second.is_current());
    let held = lease(&organization);
    assert_eq!(
        (&held["spec"]["holderIdentity"], &held["spec"]["leaseTransitions"]),
        (&json!("second"), &json!(1))
    );
}

#[test]
fn of_many_who_want_it_at_once_one_has_it_at_a_time() {
    const MANY: usize = 12;
    let organization = CLUSTER.organization();
    let (holders, times) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let rhythm = LeaseTimings { look: Duration::from_millis(10), ..RHYTHM };
    let electors: Vec<_> = (0..MANY)
        .map(|number| elector(&organization, &format!("elector {number}")).with_timings(rhythm))
        .collect();
    run(async {
        let mut all = tokio::task::JoinSet::new();
        for elector in electors {
            let (holders, times) = (holders.clone(), times.clone());
            all.spawn(async move {
                for _ in 0..3 {
                    let leadership = elector.acquire(|_| ()).await;
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    assert!(leadership.is_current());
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1, "two had it");
                    times.fetch_add(1, Ordering::SeqCst);
                    leadership.release_lease().await;
                }
            });
        }
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    });
    assert_eq!(times.load(Ordering::SeqCst), 3 * MANY);
    assert_eq!(lease(&organization)["spec"]["leaseTransitions"], json!(3 * MANY - 1));
}

#[test]
fn a_holder_that_vanished_is_replaced_when_its_time_is_over_and_not_before() {
    let organization = CLUSTER.organization();
    drop(acquire(&elector(&organization, "first")));
    let begun = Instant::now();
    let second = acquire(&elector(&organization, "second"));
    let took = begun.elapsed();
    assert!(took >= RHYTHM.duration, "it took only {took:?}");
    assert!(took < RHYTHM.duration + 2 * RHYTHM.look + RHYTHM.patience, "it took {took:?}");
    assert!(second.is_current());
}

#[test]
fn a_holder_that_is_cut_off_ends_before_another_begins() {
    let organization = CLUSTER.organization();
    let proxy = Proxy::start(&organization);
    let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig(&organization)).unwrap();
    let admin =
        Kubeconfig::read_from(organization.logs().parent().unwrap().join("admin.kubeconfig"))
            .unwrap();
    let through = Kubeconfig { auth_infos: admin.auth_infos, ..kubeconfig };
    let first = run(async {
        let mut config = through;
        config.contexts.iter_mut().for_each(|context| {
            context.context.as_mut().unwrap().user = Some("admin".to_owned());
        });
        let config =
            Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        elector_with(Client::try_from(config).unwrap(), &organization, "first")
            .acquire(|_| ())
            .await
    });
    let second = elector(&organization, "second");
    run(async {
        let waiting = tokio::spawn(async move { (second.acquire(|_| ()).await, Instant::now()) });
        tokio::time::sleep(2 * RHYTHM.renewal).await;
        assert!(first.is_current());
        proxy.cut();
        let cut = Instant::now();
        assert_eq!(first.lost().await, LeadershipLost::Late);
        let lost = cut.elapsed();
        assert!(!first.is_current());
        assert!(lost <= RHYTHM.deadline + Duration::from_millis(200), "it ended after {lost:?}");
        proxy.mend();
        let (second, taken) = waiting.await.unwrap();
        let taken = taken.duration_since(cut);
        assert!(lost < taken, "it ended after {lost:?}, and another began after {taken:?}");
        assert!(
            taken < RHYTHM.duration + 2 * RHYTHM.look + RHYTHM.patience,
            "another began after {taken:?}"
        );
        assert!(
            second.is_current() && !first.is_current(),
            "what is lost doesn't come back with the network"
        );
        first.release_lease().await;
        assert!(second.is_current(), "and isn't given away for another");
    });
    assert_eq!(lease(&organization)["spec"]["holderIdentity"], "second");
}

#[test]
fn what_somebody_else_writes_on_a_lease_or_its_deletion_costs_nobody_their_place() {
    let organization = CLUSTER.organization();
    let leadership = acquire(&elector(&organization, "first"));
    patch(&organization, &json!({"metadata": {"labels": {"team": "acme"}}}));
    until_renewed(&organization);
    assert_eq!(
        lease(&organization)["metadata"]["labels"]["team"],
        "acme",
        "what others wrote stays"
    );
    run(leases(&organization).delete(&name(&organization), &DeleteParams::default()))
        .expect("it is deleted");
    let again = roster_test_support::cluster::eventually("there is a Lease again", || {
        run(leases(&organization).get_opt(&name(&organization))).unwrap()
    });
    assert_eq!(again.spec.unwrap().holder_identity.as_deref(), Some("first"));
    until_renewed(&organization);
    assert!(leadership.is_current());
}

#[test]
fn a_ghost_that_somebody_wrote_into_a_lease_keeps_nobody_away_for_longer_than_a_holder_that_vanished()
 {
    let far = "2999-01-01T00:00:00.000000Z";
    for ghost in [
        json!({"holderIdentity": "ghost", "leaseDurationSeconds": 86_400, "renewTime": far, "acquireTime": far}),
        json!({"holderIdentity": "ghost", "leaseDurationSeconds": i32::MAX, "leaseTransitions": i32::MAX}),
        json!({"holderIdentity": "x".repeat(1 << 19), "leaseDurationSeconds": null, "renewTime": null, "acquireTime": null}),
    ] {
        let organization = CLUSTER.organization();
        let leadership = acquire(&elector(&organization, "first"));
        patch(&organization, &json!({"spec": ghost}));
        assert!(matches!(run(leadership.lost()), LeadershipLost::Taken(by) if by.len() < 300));
        let begun = Instant::now();
        let mut looks = vec![];
        let next = run(elector(&organization, "next").acquire(|look| looks.push(look)));
        let took = begun.elapsed();
        assert!(
            next.is_current() && took < RHYTHM.duration + 2 * RHYTHM.look + RHYTHM.patience,
            "it took {took:?}"
        );
        assert!(
            looks.iter().all(|look| matches!(look, Look::Unclaimed(_))),
            "the ghost has no claim: {looks:?}"
        );
        let held = lease(&organization);
        assert_eq!(
            (&held["spec"]["holderIdentity"], &held["spec"]["leaseDurationSeconds"]),
            (&json!("next"), &json!(3))
        );
    }
}

#[test]
fn a_lease_that_is_filled_to_the_brim_is_taken_and_renewed_all_the_same() {
    let organization = CLUSTER.organization();
    run(acquire(&elector(&organization, "first")).release_lease());
    // The API server takes 256 KiB of annotations; this leaves no room for a longer name or number.
    let held = lease(&organization)["metadata"]["annotations"].clone();
    let own: usize = held
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| name.len() + text.as_str().unwrap().len())
        .sum();
    let note = "x".repeat((256 << 10) - own - "note".len());
    patch(
        &organization,
        &json!({"metadata": {"annotations": {"note": note}, "finalizers": ["acme.example/keep"]}}),
    );
    let next = acquire(&elector(&organization, "next"));
    next.progress().send_replace(CommitPosition { epoch: 7, commits: 1_000_000 });
    until_renewed(&organization);
    roster_test_support::cluster::eventually("its progress is noted", || {
        (lease(&organization)["metadata"]["annotations"]["roster.rs/commits"] == "1000000")
            .then_some(())
    });
    assert!(next.is_current());
}

#[test]
fn what_the_holder_knows_of_itself_takes_the_place_of_what_somebody_wrote() {
    let organization = CLUSTER.organization();
    let leadership = acquire(&elector(&organization, "first"));
    let annotations = || lease(&organization)["metadata"]["annotations"].clone();
    assert_eq!(annotations()["roster.rs/claimed-by"], Value::Null, "it has yet to claim the store");
    leadership.progress().send_replace(CommitPosition { epoch: 7, commits: 3 });
    roster_test_support::cluster::eventually("its claim is noted", || {
        (annotations()["roster.rs/claimed-by"] == "first").then_some(())
    });
    let absurd = json!({"roster.rs/epoch": i64::MAX.to_string(), "roster.rs/commits": "-1", "roster.rs/claimed-by": "ghost"});
    patch(&organization, &json!({"metadata": {"annotations": absurd}}));
    let own = ["7", "3", "first"];
    roster_test_support::cluster::eventually("it is as it was", || {
        let noted = annotations();
        (["epoch", "commits", "claimed-by"].map(|name| noted[format!("roster.rs/{name}")].clone())
            == own)
            .then_some(())
    });
    assert!(leadership.is_current());
    let mut looks = vec![];
    let second = elector(&organization, "second");
    let waited = run(async {
        tokio::time::timeout(3 * RHYTHM.look, second.acquire(|look| looks.push(look))).await
    });
    assert!(
        waited.is_err() && !looks.is_empty() && looks.iter().all(|look| *look == Look::Led),
        "{looks:?}"
    );
}

#[test]
fn a_lease_that_was_given_to_another_or_emptied_is_lost() {
    for (holder, expected) in
        [("second", LeadershipLost::Taken("second".to_owned())), ("", LeadershipLost::Emptied)]
    {
        let organization = CLUSTER.organization();
        let leadership = acquire(&elector(&organization, "first"));
        patch(&organization, &json!({"spec": {"holderIdentity": holder}}));
        let begun = Instant::now();
        assert_eq!(run(leadership.lost()), expected);
        assert!(begun.elapsed() < RHYTHM.deadline, "it is noticed at the next renewal");
        assert!(!leadership.is_current());
        run(leadership.release_lease());
        assert_eq!(
            lease(&organization)["spec"]["holderIdentity"],
            holder,
            "it isn't ours to let go of"
        );
    }
}

#[test]
fn a_request_whose_answer_got_lost_keeps_nobody_waiting() {
    let organization = CLUSTER.organization();
    drop(acquire(&elector(&organization, "first")));
    let mut looks = 0;
    let again = run(elector(&organization, "first").acquire(|_| looks += 1));
    assert!(again.is_current(), "no other process has this name");
    assert_eq!(looks, 0, "it waited");
}

#[test]
fn whoever_can_not_reach_the_lease_waits_and_says_so() {
    let organization = CLUSTER.organization();
    let nowhere = CLUSTER.organization_named("no-such-namespace");
    let elector = elector_with(organization.admin().client(), &nowhere, "first");
    let mut heard = vec![];
    let waited = run(async {
        tokio::time::timeout(3 * RHYTHM.look, elector.acquire(|look| heard.push(look))).await
    });
    assert!(waited.is_err());
    assert!(!heard.is_empty() && heard.iter().all(|look| *look == Look::Unanswered), "{heard:?}");
}

#[test]
fn the_operators_account_may_hold_leases_in_its_own_namespace_alone() {
    let organization = CLUSTER.organization();
    let operator = organization.operators_account().client();
    let namespaces = [organization.name.clone()].into();
    let at_home = LeaderElector::new(operator.clone(), "roster-system", &namespaces, "first")
        .with_timings(RHYTHM);
    let leadership = acquire(&at_home);
    run(async { tokio::time::sleep(2 * RHYTHM.renewal).await });
    assert!(leadership.is_current());
    run(leadership.release_lease());
    let elsewhere = elector_with(operator, &organization, "first");
    assert!(
        run(async { tokio::time::timeout(2 * RHYTHM.look, elsewhere.acquire(|_| ())).await })
            .is_err()
    );
}
