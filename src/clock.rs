//! The one place that reads the clock.

use jiff::{SignedDuration, Timestamp};

/// The system's clock, moved by `--clock-offset`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    offset: SignedDuration,
}

impl Clock {
    /// The system's clock as it is.
    pub const SYSTEM: Self = Self { offset: SignedDuration::ZERO };

    /// Returns a clock that is ahead of the system's by `offset`.
    #[must_use]
    pub fn ahead_by(offset: SignedDuration) -> Self {
        Self { offset }
    }

    /// Returns the time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "everybody else asks this clock")]
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.offset).unwrap_or(now)
    }
}
