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

const COMPARISON: Duration = Duration::from_secs(60);

/// How long the API server may give no time before that is logged.
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
    /// Whether to log this now: it is new, or was last logged long ago.
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
            // The reason why months stay open was logged when it was found, by clocks read just
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

/// Sets the metrics for how far the clocks are apart, and how far ahead of them months are closed.
fn compare(calendar: &Calendar, readings: &ClockReadings, metrics: &Metrics) {
    readings.skews().for_each(|(clock, skew)| metrics.clock_skew(clock, skew));
    let ahead =
        calendar.closed_until().map_or(0, |end| end.duration_since(readings.bounded()).as_secs());
    metrics.closed_ahead.set(ahead.max(0));
}

fn wait(now: Timestamp, zone: &BillingTimeZone) -> Duration {
    let left = Month::containing(now, zone).end(zone).duration_since(now);
    Duration::try_from(left).unwrap_or_default().clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
