//! Flags that several subcommands share, each also as `ROSTER_…`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::clock::Clock;

/// Where the accounts are, and what time it is.
#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// The account store: `sqlite://FILE` (with `?mode=rwc`, `roster run` creates the file) or
    /// `postgres://USER@HOST/DATABASE`.
    #[arg(
        long,
        env = "ROSTER_STORE",
        hide_env_values = true,
        global = true,
        default_value = "sqlite://roster.db?mode=rwc",
        value_name = "URL"
    )]
    pub store: String,

    /// Moves the clock, such as `+40d` or `-90m`, and with it the others that it is compared with;
    /// for tests and rehearsals, which close months by it.
    #[arg(long, env = "ROSTER_CLOCK_OFFSET", global = true, value_parser = offset, default_value = "0s", allow_hyphen_values = true, value_name = "DURATION")]
    pub clock_offset: SignedDuration,
}

impl Shared {
    /// Returns the clock to go by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        if !self.clock_offset.is_zero() {
            tracing::warn!(
                offset_s = self.clock_offset.as_secs(),
                "the clock is moved by --clock-offset"
            );
        }
        Clock::ahead_by(self.clock_offset)
    }
}

/// How a subcommand prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// YAML for both.
    Yaml,
}

/// Parses a length of time such as `10m` or `1h 30m`.
///
/// # Errors
/// When it is none, or isn't positive.
pub fn duration(text: &str) -> Result<Duration, String> {
    let signed = offset(text)?;
    Duration::try_from(signed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it must be more than nothing".to_owned())
}

/// Parses a length of time with or without a sign, such as `+40d`; a day has 24 hours.
///
/// # Errors
/// When it is none.
pub fn offset(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "a length of time is written like 10m, 1h 30m or +40d".to_owned())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "write it in days or less, like 40d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(offset("+40d"), Ok(SignedDuration::from_hours(960)));
        assert_eq!(offset("-90m"), Ok(SignedDuration::from_mins(-90)));
        assert!(duration("-1m").is_err());
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err());
    }
}
