//! Months that are over are closed: when the operator starts, and when one ends while it works.
//!
//! Closing can't be undone, so no clock alone is believed: the API server's has to agree, read just
//! now, and the database server's where the store has one. Until they do, the month stays open and
//! its bill is provisional.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::clocks::Clocks;
use crate::domain::billing::{BillingTimeZone, Calendar, Month};
use crate::domain::clocks::{ClockDoubt, ClockReadings};
use crate::redact;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// How long to wait at most: the clock may be set, and the machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long to wait at least: timers are finer than clocks.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait after the store failed, or where clocks don't agree.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// How often the clocks are compared.
const COMPARISON: Duration = Duration::from_secs(60);

/// How long the API server may take to say what time it is before that is something to tell.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the same doubt about clocks is logged.
const REMINDER: Duration = Duration::from_secs(6 * 3600);

/// When to look next whether a month is over.
#[derive(Debug)]
pub struct PeriodCloser {
    /// When the clocks are compared next, and months closed where it is time to.
    due: Instant,
    /// When a month may be over next.
    close_at: Instant,
    /// Since when a fresh reading of the API server's clock has been waited for.
    waiting_since: Option<Instant>,
    /// How many months are over by this machine's clock and stay open.
    unclosed: usize,
    told: Told,
}

/// What was logged last, and when.
#[derive(Debug, Default)]
struct Told {
    last: Option<(&'static str, Instant)>,
}

impl Told {
    /// Whether this is to be logged now: it is something else than before, or was logged long ago.
    fn is_news(&mut self, what: &'static str) -> bool {
        let is_news = self.last.is_none_or(|(last, at)| last != what || at.elapsed() >= REMINDER);
        if is_news {
            self.last = Some((what, Instant::now()));
        }
        is_news
    }
}

impl PeriodCloser {
    /// Returns a look that is due now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the time")]
    pub fn new() -> Self {
        Self {
            due: Instant::now(),
            close_at: Instant::now(),
            waiting_since: None,
            unclosed: 0,
            told: Told::default(),
        }
    }

    /// Returns when to look next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Closes the months that are over by clocks that agree; where they don't or the store fails,
    /// looks again in a minute.
    ///
    /// # Errors
    /// When this operator may not work on.
    pub async fn close<S: Store>(
        &mut self,
        store: &S,
        zone: &BillingTimeZone,
        (clocks, metrics): (&mut Clocks, &Metrics),
    ) -> Result<(), StoreError> {
        match self.look(store, zone, (clocks, metrics)).await {
            Ok(wait) => self.close_at = wait.map_or(self.close_at, |wait| Instant::now() + wait),
            Err(error) if error.ends_the_work() => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = redact::chain(&error),
                    "the months that are over can't be closed now"
                );
                self.close_at = Instant::now() + WAIT_AFTER_FAILURE;
            }
        }
        self.due = self.close_at.min(Instant::now() + COMPARISON);
        Ok(())
    }

    /// Compares the clocks and, when it is time to, closes what is over. Returns then how long to
    /// wait for the next time.
    async fn look<S: Store>(
        &mut self,
        store: &S,
        zone: &BillingTimeZone,
        (clocks, metrics): (&mut Clocks, &Metrics),
    ) -> Result<Option<Duration>, StoreError> {
        clocks.read_store(store).await?;
        let calendar = store.calendar().await?;
        let known = clocks.known();
        compare(&calendar, &known, metrics);
        if Instant::now() < self.close_at {
            // Why months stay open was told when that was found, by clocks that had been read just
            // then.
            if self.unclosed == 0 {
                self.tell(&known, &calendar, 0);
            }
            return Ok(None);
        }
        let open = calendar.due(zone, known.own).len();
        if open == 0 {
            self.note_unclosed(0, metrics);
            self.waiting_since = None;
            self.tell(&known, &calendar, 0);
            // Another time zone is written down whatever the clocks show.
            store.close_months(zone, Timestamp::MIN).await?;
            return Ok(Some(wait(known.own, zone)));
        }
        let fresh = clocks.fresh();
        if fresh.api_server.is_none()
            && self.waiting_since.get_or_insert_with(Instant::now).elapsed() < READ_TIMEOUT
        {
            return Ok(Some(SHORTEST_WAIT));
        }
        self.waiting_since = None;
        let Ok(surely) = fresh.agreed() else {
            self.note_unclosed(open, metrics);
            self.tell(&fresh, &calendar, open);
            store.close_months(zone, Timestamp::MIN).await?;
            return Ok(Some(WAIT_AFTER_FAILURE));
        };
        let closed = store.close_months(zone, surely).await?;
        for period in &closed {
            tracing::info!(month = %period.month, time_zone = period.time_zone, "billing period closed");
        }
        self.note_unclosed(0, metrics);
        self.tell(&fresh, &calendar, 0);
        Ok(Some(wait(surely, zone)))
    }

    fn note_unclosed(&mut self, months: usize, metrics: &Metrics) {
        self.unclosed = months;
        metrics.unclosed_months.set(i64::try_from(months).unwrap_or(i64::MAX));
    }

    /// Logs what is amiss about the clocks: once, and now and then after that.
    fn tell(&mut self, readings: &ClockReadings, calendar: &Calendar, open: usize) {
        let doubt = readings.agreed().err();
        let is_within_closed = calendar.closed_until().is_some_and(|end| readings.own < end);
        let what = match doubt {
            Some(ClockDoubt::Differs { .. }) if open > 0 => "months stay open",
            Some(ClockDoubt::Differs { clock, .. }) => clock.into(),
            Some(ClockDoubt::ApiServerUnread) if open > 0 => "no other clock",
            None if is_within_closed => "a closed month",
            Some(ClockDoubt::ApiServerUnread) => return,
            None => {
                self.told = Told::default();
                return;
            }
        };
        if !self.told.is_news(what) {
            return;
        }
        match doubt {
            Some(doubt) if open > 0 => tracing::warn!(
                why = %doubt,
                months = open,
                "months are over by this machine's clock and stay open: closing can't be undone, so it takes a second clock that agrees"
            ),
            Some(doubt) => tracing::warn!(
                why = %doubt,
                "clocks differ: no month is closed meanwhile, and what is done is dated by the clock that errs the least"
            ),
            None => tracing::warn!(
                closed_until = calendar.closed_until().map(tracing::field::display),
                "the clock shows a time within closed months: what is done is billed to the month after them; where they were closed too early, `roster doctor` says how to reopen them"
            ),
        }
    }
}

/// Has the metrics say how far the clocks are apart, and how far ahead of them months are closed.
fn compare(calendar: &Calendar, readings: &ClockReadings, metrics: &Metrics) {
    readings.skews().for_each(|(clock, skew)| metrics.clock_skew(clock, skew));
    let ahead =
        calendar.closed_until().map_or(0, |end| end.duration_since(readings.bounded()).as_secs());
    metrics.closed_ahead.set(ahead.max(0));
}

/// Returns how long to wait for the end of the month.
fn wait(now: Timestamp, zone: &BillingTimeZone) -> Duration {
    let left = Month::containing(now, zone).end(zone).duration_since(now);
    Duration::try_from(left).unwrap_or_default().clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
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
        let server =
            server.map_or_else(ServerClock::unread, |shown| ServerClock::showing(time(shown)));
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
        assert_eq!(
            closed("2026-12-01T00:01:00Z", Some("2026-11-30T23:59:00Z")).await,
            october.clone()
        );
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
        let text = metrics.text();
        assert!(text.contains("roster_clock_skew_seconds{clock=\"api_server\"} 90\n"), "{text}");
        assert!(
            text.contains(&format!(
                "roster_closed_ahead_seconds {}\n",
                31 * 86_400 + 12 * 3600 - 90
            )),
            "{text}"
        );
    }
}
