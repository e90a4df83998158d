//! Months that are over are closed: when the operator starts, and when one ends while it works.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::billing::{Month, Zone};
use crate::store::{Store, StoreError};
use crate::telemetry;

/// How long to wait at most: the clock may be set, and the machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long to wait at least: timers are finer than clocks.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait after the store failed.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// When to look next whether a month is over.
#[derive(Clone, Copy, Debug)]
pub struct Months {
    due: Instant,
}

impl Months {
    /// Returns a look that is due now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the time")]
    pub fn new() -> Self {
        Self { due: Instant::now() }
    }

    /// Returns when to look next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Closes the months that are over; where the store fails, again in a minute.
    ///
    /// # Errors
    /// When this operator may not work on.
    pub async fn close<S: Store>(&mut self, store: &S, zone: &Zone, clock: Clock) -> Result<(), StoreError> {
        let now = clock.now();
        let wait = match store.close_months(zone, now).await {
            Ok(closed) => {
                for period in closed {
                    tracing::info!(month = %period.month, time_zone = period.time_zone, "the month is over and was closed");
                }
                wait(now, zone)
            }
            Err(error) if error.ends_the_work() => return Err(error),
            Err(error) => {
                tracing::error!(error = telemetry::chain(&error), "the months that are over can't be closed now");
                WAIT_AFTER_FAILURE
            }
        };
        self.due = Instant::now() + wait;
        Ok(())
    }
}

/// Returns how long to wait for the end of the month.
fn wait(now: Timestamp, zone: &Zone) -> Duration {
    let left = Month::containing(now, zone).end(zone).duration_since(now);
    Duration::try_from(left).unwrap_or_default().clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
