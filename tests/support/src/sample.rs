//! What a measure took, several times over.

use std::time::Duration;

use serde_json::{Value, json};

/// How often each measure is taken.
pub const ROUNDS: usize = 5;

/// The times that a measure took, shortest first.
#[derive(Debug)]
pub struct Sample(Vec<Duration>);

impl Sample {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    pub fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// Returns how many times as long as another it took, by their medians.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }

    /// Returns the median and the range, as text.
    pub fn text(&self) -> String {
        let [shortest, .., longest] = self.0[..] else { return format!("{:.2?}", self.median()) };
        format!("{:.2?} ({shortest:.2?} to {longest:.2?})", self.median())
    }

    /// Returns the median and the range, in milliseconds.
    pub fn json(&self) -> Value {
        let milliseconds = |time: &Duration| time.as_secs_f64() * 1000.0;
        let range = [self.0.first(), self.0.last()].map(|time| time.map(milliseconds));
        json!({ "median_ms": milliseconds(&self.median()), "range_ms": range, "rounds": self.0.len() })
    }
}
