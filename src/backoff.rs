//! How long to wait after failures in a row, and how waits are spread.

use std::ops::Range;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The waits between attempts: each twice the one before, up to a bound.
#[derive(Debug)]
pub struct ExponentialBackoff(<ExponentialBuilder as BackoffBuilder>::Backoff);

impl ExponentialBackoff {
    /// Returns waits from `min` to `max`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let policy = ExponentialBuilder::new()
            .with_min_delay(min)
            .with_max_delay(max)
            .without_max_times()
            // Without a seed, backon takes one from the generator that `jitter` draws from, and a
            // test that seeds it sees other draws.
            .with_jitter_seed(0);
        Self(policy.build())
    }

    /// Returns how long to wait after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next().expect("the number of waits isn't bounded")
    }
}

/// Returns a time scaled by a random factor, so that many that wait don't all go on at once.
#[must_use]
pub fn jitter(time: Duration, factor: Range<f64>) -> Duration {
    time.mul_f64(factor.start + (factor.end - factor.start) * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let mut backoff = ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let waits: Vec<u64> = (0..6).map(|_| backoff.next_delay().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn those_who_wait_do_not_look_all_at_once() {
        let times: BTreeSet<Duration> =
            (0..100).map(|_| jitter(Duration::from_secs(1), 0.8..1.2)).collect();
        assert!(times.len() > 10);
        assert!(times.iter().all(|time| (800..1200).contains(&time.as_millis())), "{times:?}");
    }
}
