use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::SignedDuration;

use super::*;
use crate::clock::Clock;
use crate::controller::clocks::ServerClock;
use crate::domain::account::{
    Account, AccountId, AccountSpec, LoginState, Owner, Revision, Transaction, TransactionId,
    TransactionKind,
};
use crate::domain::billing::Period;
use crate::domain::email::Email;
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;
use crate::plan::OrganizationRecord;
use crate::store::memory::{Extract, MemoryStore};

#[test]
fn the_end_of_the_month_is_waited_for_and_never_longer_than_an_hour() {
    let check = |now: &str, zone: &str, seconds| {
        let waited = wait(now.parse().unwrap(), &zone.parse().unwrap());
        assert_eq!(waited, Duration::from_secs(seconds), "{now} {zone}");
    };
    check("2026-11-22T00:00:00Z", "UTC", 3600);
    check("2026-11-30T23:00:01Z", "UTC", 3599);
    check("2026-11-30T23:59:59.999Z", "UTC", 1);
    check("2026-12-01T00:00:00Z", "UTC", 3600);
    check("2026-11-30T10:45:00Z", "Pacific/Auckland", 900);
}

/// Returns a store in which an account was created at this time.
async fn with_a_life(created: Timestamp) -> MemoryStore {
    let id = TransactionId::of_create("uid");
    let organization = Organization {
        namespace: "acme".to_owned(),
        customer_id: CustomerId::parse("acme").unwrap(),
    };
    let content = AccountSpec {
        email: Email::parse("alice@acme.example").unwrap(),
        lifecycle: LoginState::Enabled,
        group: "users".to_owned(),
        grants: [].into(),
        source: None,
        role: None,
        teams: BTreeSet::new(),
        profile: Profile::default(),
        copied: None,
        member: Overrides::default(),
    };
    let kind = TransactionKind::Create;
    let alice = Account {
        id: AccountId(id.0),
        namespace: "acme".to_owned(),
        revision: Revision(1),
        owner: Owner { name: "alice".to_owned(), uid: "uid".to_owned(), generation: 1 },
        login_name: LoginName::new("alice", &organization.customer_id),
        created,
        cloned: None,
        content,
        transaction: Transaction {
            id,
            kind,
            revision: Revision(1),
            started: created,
            deadline: created,
            completed: Some(created),
        },
        credential: None,
        confirmed: BTreeMap::new(),
    };
    let (accounts, record) = (vec![alice], OrganizationRecord::default());
    MemoryStore::copy_of(vec![Extract { organization, record, accounts }], HashSet::new())
}

/// Has an account created in November, and returns which months are closed then, with this
/// machine's clock and the API server's showing these times.
async fn closed(own: &str, server: Option<&str>) -> (Vec<String>, i64) {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let store = with_a_life(time("2026-11-05T00:00:00Z")).await;
    let server = server.map_or_else(ServerClock::unread, |shown| ServerClock::showing(time(shown)));
    let (mut clocks, metrics) =
        (Clocks::new(Clock::running_from(time(own)), server), Metrics::default());
    let mut months = PeriodCloser::new();
    // Where nothing agrees, the first looks wait for an answer.
    for _ in 0..=READ_TIMEOUT.as_secs() {
        months.close(&store, &BillingTimeZone::UTC, (&mut clocks, &metrics)).await.unwrap();
        tokio::time::advance(SHORTEST_WAIT).await;
    }
    let calendar = store.calendar().await.unwrap();
    assert_eq!(
        calendar.zone,
        Some(BillingTimeZone::UTC),
        "the time zone is written down in any case"
    );
    (
        calendar.closed.iter().map(|period: &Period| period.month.to_string()).collect(),
        metrics.unclosed_months.get(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_month_is_closed_when_it_is_over_by_both_clocks() {
    let november = (vec!["2026-10".to_owned(), "2026-11".to_owned()], 0);
    let october = (vec!["2026-10".to_owned()], 0);
    assert_eq!(
        closed("2026-12-01T00:00:00Z", Some("2026-12-01T00:00:00Z")).await,
        november.clone()
    );
    assert_eq!(closed("2026-12-01T00:01:00Z", Some("2026-11-30T23:59:00Z")).await, october.clone());
    assert_eq!(closed("2026-11-30T23:58:00Z", Some("2026-12-01T00:01:00Z")).await, october);
    assert_eq!(closed("2026-12-01T00:02:00Z", Some("2026-12-01T00:00:01Z")).await, november);
}

#[tokio::test(start_paused = true)]
async fn no_month_is_closed_by_a_clock_that_no_other_confirms() {
    let nothing = |open| (vec![], open);
    assert_eq!(closed("2028-01-04T12:00:00Z", Some("2026-11-30T12:00:00Z")).await, nothing(15));
    assert_eq!(closed("2026-11-30T12:00:00Z", Some("2028-01-04T12:00:00Z")).await, nothing(1));
    assert_eq!(closed("2026-12-01T12:00:00Z", None).await, nothing(2));
    assert_eq!(closed("2025-01-01T00:00:00Z", Some("2026-12-01T12:00:00Z")).await, nothing(0));
}

#[tokio::test(start_paused = true)]
async fn a_doubt_about_clocks_is_logged_once_and_then_rarely() {
    let mut told = Told::default();
    assert!(told.is_news("one") && !told.is_news("one"));
    tokio::time::advance(REMINDER).await;
    assert!(told.is_news("one") && told.is_news("another") && told.is_news("one"));
}

#[tokio::test(start_paused = true)]
async fn metrics_say_how_far_clocks_are_apart_and_how_far_ahead_months_are_closed() {
    let time: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let store = with_a_life(time).await;
    store
        .close_months(&BillingTimeZone::UTC, "2027-01-01T00:00:00Z".parse().unwrap())
        .await
        .unwrap();
    let own = time.checked_add(SignedDuration::from_secs(90)).unwrap();
    let (mut clocks, metrics) =
        (Clocks::new(Clock::running_from(own), ServerClock::showing(time)), Metrics::default());
    PeriodCloser::new()
        .close(&store, &BillingTimeZone::UTC, (&mut clocks, &metrics))
        .await
        .unwrap();
    let text = metrics.text(crate::telemetry::MetricsFormat::default());
    assert!(text.contains("roster_clock_skew_seconds{clock=\"api_server\"} 90\n"), "{text}");
    assert!(
        text.contains(&format!("roster_closed_ahead_seconds {}\n", 31 * 86_400 + 12 * 3600 - 90)),
        "{text}"
    );
}
