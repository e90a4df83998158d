use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::lease::{MAX_LOGGED, NAMESPACES};
use super::*;

fn candidate(holder: &str) -> LeaseIdentity {
    let (namespaces, duration) = (["acme".to_owned()].into(), Duration::from_secs(10));
    LeaseIdentity { name: lease_name(&namespaces), holder: holder.to_owned(), namespaces, duration }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

#[track_caller]
fn spec_of(lease: &Lease) -> &LeaseSpec {
    lease.spec.as_ref().unwrap()
}

#[test]
fn every_set_of_namespaces_has_a_lease_of_its_own() {
    let check = |namespaces: &[&str], name: &str| {
        let namespaces: BTreeSet<String> = namespaces.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(lease_name(&namespaces), name);
    };
    check(&[], "roster");
    check(&["acme"], "roster-822b33ad87");
    check(&["depots", "acme"], "roster-bc542e1ba5");
    check(&["acme", "depots", "acme"], "roster-bc542e1ba5");
}

#[test]
fn no_two_processes_have_one_name() {
    let (one, other) = (holder("host"), holder("host"));
    assert!(
        one != other && one.starts_with(&format!("host_{}_", std::process::id())),
        "{one} {other}"
    );
}

#[test]
fn a_lease_says_who_took_it_when_and_for_the_how_manyth_time() {
    let first = candidate("first").holding(None, at(0));
    assert_eq!(first.metadata.name.as_deref(), Some("roster-822b33ad87"));
    assert_eq!(first.metadata.annotations.as_ref().unwrap()[NAMESPACES], "acme");
    let expected = LeaseSpec {
        holder_identity: Some("first".to_owned()),
        lease_duration_seconds: Some(10),
        acquire_time: Some(MicroTime(at(0))),
        renew_time: Some(MicroTime(at(0))),
        lease_transitions: Some(0),
        ..LeaseSpec::default()
    };
    assert_eq!(*spec_of(&first), expected);
    let renewed = candidate("first").holding(Some(&first), at(2));
    assert_eq!(*spec_of(&renewed), LeaseSpec { renew_time: Some(MicroTime(at(2))), ..expected });
    let free = let_go_of(&renewed, at(3));
    assert_eq!((holder_of(&free), spec_of(&free).lease_duration_seconds), (None, Some(1)));
    let second = candidate("second").holding(Some(&free), at(4));
    assert_eq!(holder_of(&second), Some("second"));
    assert_eq!(
        (spec_of(&second).lease_transitions, spec_of(&second).lease_duration_seconds),
        (Some(1), Some(10))
    );
    assert_eq!(spec_of(&second).acquire_time, Some(MicroTime(at(4))));
}

#[tokio::test(start_paused = true)]
async fn a_lease_expires_by_how_long_it_was_seen_unchanged_whatever_its_times_say() {
    let usual = Duration::from_secs(10);
    let long_ago = candidate("other").holding(None, at(-1_000_000));
    let seen = ObservedLease::after(None, long_ago.clone(), Instant::now());
    assert!(!seen.is_free("me", usual, Instant::now()), "its clock may be wrong");
    tokio::time::advance(Duration::from_secs(9)).await;
    let seen = ObservedLease::after(Some(seen), long_ago.clone(), Instant::now());
    assert!(!seen.is_free("me", usual, Instant::now()));
    tokio::time::advance(Duration::from_secs(2)).await;
    let seen = ObservedLease::after(Some(seen), long_ago.clone(), Instant::now());
    assert!(seen.is_free("me", usual, Instant::now()));
    let renewed = candidate("other").holding(Some(&long_ago), at(-2_000_000));
    let seen = ObservedLease::after(Some(seen), renewed, Instant::now());
    assert!(!seen.is_free("me", usual, Instant::now()), "any change tells of life");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_nobodys_or_ones_own_is_free_at_once() {
    let usual = Duration::from_secs(10);
    let free = |lease: &Lease, holder| {
        ObservedLease::after(None, lease.clone(), Instant::now()).is_free(
            holder,
            usual,
            Instant::now(),
        )
    };
    let mine = candidate("me").holding(None, at(0));
    assert!(free(&mine, "me") && !free(&mine, "another"));
    assert!(free(&let_go_of(&mine, at(1)), "another"));
    assert!(free(&Lease::default(), "another"));
}

#[tokio::test(start_paused = true)]
async fn an_unrenewed_lease_is_free_after_ones_own_duration_whatever_it_says() {
    let check = |what: &str, spec: LeaseSpec| {
        let mut lease = candidate("other").holding(None, at(0));
        let holder_identity = spec.holder_identity.clone().or(Some("ghost".to_owned()));
        lease.spec = Some(LeaseSpec { holder_identity, ..spec });
        let now = Instant::now();
        let seen = ObservedLease::after(None, lease.clone(), now);
        for (after, expected) in [(9, false), (11, true)] {
            let is_free =
                seen.is_free("me", Duration::from_secs(10), now + Duration::from_secs(after));
            assert_eq!(is_free, expected, "{what}, after {after} s");
        }
        let taken = candidate("me").holding(Some(&lease), at(20));
        assert_eq!(
            (holder_of(&taken), spec_of(&taken).lease_duration_seconds),
            (Some("me"), Some(10)),
            "{what}"
        );
    };
    check(
        "a duration of a day",
        LeaseSpec { lease_duration_seconds: Some(86_400), ..LeaseSpec::default() },
    );
    check(
        "the longest duration",
        LeaseSpec { lease_duration_seconds: Some(i32::MAX), ..LeaseSpec::default() },
    );
    check("no duration", LeaseSpec::default());
    check(
        "a negative duration",
        LeaseSpec { lease_duration_seconds: Some(-5), ..LeaseSpec::default() },
    );
    let times = [Timestamp::MAX, Timestamp::MIN].map(|time| Some(MicroTime(time)));
    for time in times {
        check(
            "its times",
            LeaseSpec { renew_time: time.clone(), acquire_time: time, ..LeaseSpec::default() },
        );
    }
    check(
        "the most transitions",
        LeaseSpec { lease_transitions: Some(i32::MAX), ..LeaseSpec::default() },
    );
    check(
        "negative transitions",
        LeaseSpec { lease_transitions: Some(i32::MIN), ..LeaseSpec::default() },
    );
    check(
        "a huge name",
        LeaseSpec { holder_identity: Some("x".repeat(1 << 20)), ..LeaseSpec::default() },
    );
}

#[test]
fn a_holders_name_is_logged_only_as_far_as_operators_have_one() {
    assert_eq!(shown("roster-0_1_abcd"), "roster-0_1_abcd");
    assert_eq!(shown(&"ü".repeat(1 << 20)).chars().count(), MAX_LOGGED + 1);
}

#[test]
fn what_a_lease_says_of_progress_is_a_count_or_nothing() {
    let check = |epoch: &str, commits: &str, expected: (i64, i64)| {
        let annotations = [(EPOCH, epoch), (COMMITS, commits)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let metadata =
            ObjectMeta { annotations: Some(annotations.into()), ..ObjectMeta::default() };
        let CommitPosition { epoch, commits } = progress_of(&Lease { metadata, spec: None });
        assert_eq!((epoch, commits), expected);
    };
    check("7", "12", (7, 12));
    check("-9223372036854775808", "-1", (0, 0));
    check("9223372036854775808", "seven", (0, 0));
    check("9223372036854775807", "", (i64::MAX, 0));
    assert_eq!(progress_of(&Lease::default()), CommitPosition::default());
}

#[test]
fn what_others_wrote_gives_way_where_there_is_no_room() {
    let mut lease = candidate("me").holding(None, at(0));
    let metadata = &mut lease.metadata;
    metadata.resource_version = Some("7".to_owned());
    metadata.labels = Some([("team".to_owned(), "acme".to_owned())].into());
    metadata.finalizers = Some(vec!["acme.example/keep".to_owned()]);
    metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("acme.example/note".to_owned(), "x".repeat(1 << 18));
    lease.spec.as_mut().unwrap().strategy = Some("OldestEmulationVersion".to_owned());
    let bare = bare(&lease);
    let expected = candidate("me").holding(None, at(0));
    assert_eq!(bare.metadata.annotations, expected.metadata.annotations);
    assert_eq!(
        (bare.metadata.labels, bare.metadata.finalizers, bare.spec),
        (None, None, expected.spec)
    );
    assert_eq!(
        bare.metadata.resource_version.as_deref(),
        Some("7"),
        "somebody may have written to it meanwhile"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_hasnt_claimed_the_store_is_told_from_one_that_works() {
    let mut unclaimed = Unclaimed::default();
    let claimed_by = |lease: &mut Lease, holder: &str| {
        lease
            .metadata
            .annotations
            .as_mut()
            .unwrap()
            .insert(CLAIMED_BY.to_owned(), holder.to_owned());
    };
    let mut lease = candidate("first").holding(None, at(0));
    assert_eq!(unclaimed.look(Some(&lease), Instant::now()), Look::Unclaimed(Duration::ZERO));
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(
        unclaimed.look(Some(&lease), Instant::now()),
        Look::Unclaimed(Duration::from_secs(5))
    );
    claimed_by(&mut lease, "first");
    assert_eq!(unclaimed.look(Some(&lease), Instant::now()), Look::Led);
    let ghost = candidate("ghost").holding(Some(&lease), at(1));
    assert_eq!(unclaimed.look(Some(&ghost), Instant::now()), Look::Unclaimed(Duration::ZERO));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(
        unclaimed.look(Some(&ghost), Instant::now()),
        Look::Unclaimed(Duration::from_secs(60))
    );
    let other = candidate("other").holding(Some(&ghost), at(2));
    assert_eq!(
        unclaimed.look(Some(&other), Instant::now()),
        Look::Unclaimed(Duration::ZERO),
        "it has only begun"
    );
    assert_eq!(
        unclaimed.look(Some(&let_go_of(&other, at(3))), Instant::now()),
        Look::Led,
        "it is taken in a moment"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenure_ends_at_its_time_also_when_nobody_says_so() {
    let (announce, standing) =
        watch::channel(LeaseState::Until(Instant::now() + Duration::from_secs(7)));
    let leadership = Leadership {
        lease: Some(HeldLease {
            standing,
            let_go: oneshot::channel().0,
            progress: watch::Sender::default(),
            keeper: tokio::spawn(std::future::pending()),
        }),
    };
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(leadership.is_current());
    announce.send(LeaseState::Until(Instant::now() + Duration::from_secs(7))).unwrap();
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(leadership.is_current());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!leadership.is_current());
    assert_eq!(leadership.lost().await, LeadershipLost::Late);
    announce.send(LeaseState::Lost(LeadershipLost::Taken("other".to_owned()))).unwrap();
    assert_eq!(leadership.lost().await, LeadershipLost::Taken("other".to_owned()));
    drop(announce);
    assert!(Leadership::unelected().is_current() && !Leadership::unelected().has_successors());
}
