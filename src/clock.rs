//! The one place that reads the clock.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The system's clock, moved by `--clock-offset`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    offset: SignedDuration,
    /// The moment that it runs from, by tokio's time, instead of following the system's clock.
    runs_from: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The system's clock as it is.
    pub const SYSTEM: Self = Self { offset: SignedDuration::ZERO, runs_from: None };

    /// Returns a clock that is ahead of the system's by `offset`.
    #[must_use]
    pub fn ahead_by(offset: SignedDuration) -> Self {
        Self { offset, runs_from: None }
    }

    /// Returns a clock that shows `start` now and goes with tokio's time, which a test can advance.
    #[must_use]
    pub fn running_from(start: Timestamp) -> Self {
        Self { offset: SignedDuration::ZERO, runs_from: Some((start, Instant::now())) }
    }

    /// Returns what another clock would show if it were moved as this one is.
    #[must_use]
    pub fn moved(self, shown: Timestamp) -> Timestamp {
        shown.checked_add(self.offset).unwrap_or(shown)
    }

    /// Returns the time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "everybody else asks this clock")]
    pub fn now(self) -> Timestamp {
        let now = match self.runs_from {
            None => Timestamp::now(),
            Some((start, since)) => SignedDuration::try_from(since.elapsed())
                .map_or(start, |passed| start.saturating_add(passed).unwrap_or(start)),
        };
        self.moved(now)
    }
}
