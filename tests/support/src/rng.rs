//! Chance that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::time::Duration;

/// Numbers that look random and follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns dice of their own, the same for the same seed and number.
    pub fn split(&self, number: u64) -> Self {
        let mut dice = Self(self.0 ^ number.wrapping_add(1).wrapping_mul(0xd134_2543_de82_ef95));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below another.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end).expect("a usize")).expect("below a usize")
    }

    /// Returns one of several.
    pub fn choice<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len())]
    }

    /// Returns a time within a range of milliseconds.
    pub fn time(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(
            milliseconds.start + self.roll() % (milliseconds.end - milliseconds.start),
        )
    }
}

/// Returns a number from the environment, unless it isn't there.
#[track_caller]
pub fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

/// Returns the seed that was asked for, else one that nobody knows.
#[track_caller]
pub fn seed() -> u64 {
    number_from("ROSTER_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32)
}
