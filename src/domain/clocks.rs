//! What several clocks say about what time it is, and what may be done by them.
//!
//! What can't be undone is done only by clocks that agree. What can't wait, because it may take
//! rights away, is written down with the time that errs the least: a time in the future would count
//! for every month until then, one in the past only for the months that aren't closed yet.

use jiff::{SignedDuration, Timestamp};

/// How far two clocks may differ and still agree: what Kerberos allows, and more than any
/// synchronized clock needs.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A clock beside this machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum OtherClock {
    /// The API server's.
    ApiServer,
    /// That of the database server that has the store.
    Store,
}

impl OtherClock {
    /// Returns whose clock it is, for people.
    #[must_use]
    pub fn owner(self) -> &'static str {
        match self {
            Self::ApiServer => "the API server",
            Self::Store => "the store's database server",
        }
    }
}

/// What clocks show at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReadings {
    /// This machine's.
    pub own: Timestamp,
    /// The API server's; absent where it couldn't be read.
    pub api_server: Option<Timestamp>,
    /// The database server's; absent where the store is in a file.
    pub store: Option<Timestamp>,
}

/// Why nothing is done by the clocks that can't be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockDoubt {
    /// Nothing can confirm what this machine's clock shows.
    #[error("the API server's clock can't be read, and this machine's alone isn't enough")]
    ApiServerUnread,
    /// Another clock shows another time.
    #[error("this machine's clock shows {own:.0}, that of {} {other:.0}: set the one that is wrong", clock.owner())]
    Differs {
        /// Which other clock.
        clock: OtherClock,
        /// What this machine's shows.
        own: Timestamp,
        /// What the other one shows.
        other: Timestamp,
    },
}

impl ClockReadings {
    /// Returns the other clocks that could be read, and how far this machine's is ahead of each.
    pub fn skews(&self) -> impl Iterator<Item = (OtherClock, SignedDuration)> {
        self.others().map(|(clock, other)| (clock, self.own.duration_since(other)))
    }

    fn others(&self) -> impl Iterator<Item = (OtherClock, Timestamp)> {
        let Self { own: _, api_server, store } = *self;
        let api_server = api_server.map(|time| (OtherClock::ApiServer, time));
        api_server.into_iter().chain(store.map(|time| (OtherClock::Store, time)))
    }

    /// Returns the time by which something may be done that can't be undone: the earliest of all
    /// clocks, which has passed by each of them.
    ///
    /// # Errors
    /// When two clocks differ, or there is nothing to compare this machine's with.
    pub fn agreed(&self) -> Result<Timestamp, ClockDoubt> {
        if let Some((clock, _)) = self.skews().find(|(_, skew)| skew.abs() > TOLERANCE) {
            let other =
                self.others().find(|(other, _)| *other == clock).map_or(self.own, |(_, time)| time);
            return Err(ClockDoubt::Differs { clock, own: self.own, other });
        }
        if self.api_server.is_none() {
            return Err(ClockDoubt::ApiServerUnread);
        }
        Ok(self.others().map(|(_, time)| time).fold(self.own, Timestamp::min))
    }

    /// Returns the time to write down for what is done now and can't wait: this machine's, unless
    /// that is ahead of every other, or behind two that agree; then that of the earliest other one.
    #[must_use]
    pub fn bounded(&self) -> Timestamp {
        let others: Vec<Timestamp> = self.others().map(|(_, time)| time).collect();
        let (Some(first), Some(last)) = (others.iter().min(), others.iter().max()) else {
            return self.own;
        };
        let is_ahead = self.own.duration_since(*last) > TOLERANCE;
        let agree = others.len() > 1 && last.duration_since(*first) <= TOLERANCE;
        let is_outvoted = agree && first.duration_since(self.own) > TOLERANCE;
        if is_ahead || is_outvoted { *first } else { self.own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-{text}Z").parse().unwrap()
    }

    fn readings([own, api_server, store]: [&str; 3]) -> ClockReadings {
        let other = |text: &str| Some(text).filter(|text| !text.is_empty()).map(time);
        ClockReadings { own: time(own), api_server: other(api_server), store: other(store) }
    }

    /// Expects the agreed time, or whose clock is in the way.
    #[track_caller]
    fn check(clocks: [&str; 3], expected: Result<&str, &str>, bounded: &str) {
        let readings = readings(clocks);
        let agreed = readings.agreed().map_err(|doubt| match doubt {
            ClockDoubt::ApiServerUnread => "unread",
            ClockDoubt::Differs { clock, .. } => clock.into(),
        });
        assert_eq!(agreed, expected.map(time), "{clocks:?}");
        assert_eq!(readings.bounded(), time(bounded), "{clocks:?}");
    }

    const NOON: &str = "11-30T12:00:00";
    const YEAR_END: &str = "12-31T12:00:00";
    const SUMMER: &str = "07-01T12:00:00";

    #[test]
    fn the_earliest_of_clocks_that_agree_has_surely_passed() {
        check([NOON, NOON, NOON], Ok(NOON), NOON);
        check([NOON, NOON, ""], Ok(NOON), NOON);
        check([NOON, "11-30T11:59:59", ""], Ok("11-30T11:59:59"), NOON);
        check([NOON, "11-30T12:00:01", "11-30T11:58:00"], Ok("11-30T11:58:00"), NOON);
        check([NOON, "11-30T11:55:00", ""], Ok("11-30T11:55:00"), NOON);
    }

    #[test]
    fn clocks_that_differ_by_more_than_minutes_agree_on_nothing() {
        check([NOON, "11-30T11:54:59", ""], Err("api_server"), "11-30T11:54:59");
        check([NOON, "11-30T12:05:01", ""], Err("api_server"), NOON);
        check([NOON, NOON, "11-30T11:54:59"], Err("store"), NOON);
        check([YEAR_END, NOON, ""], Err("api_server"), NOON);
        check([YEAR_END, NOON, NOON], Err("api_server"), NOON);
        check([SUMMER, NOON, NOON], Err("api_server"), NOON);
        check([SUMMER, NOON, ""], Err("api_server"), SUMMER);
        check([SUMMER, NOON, YEAR_END], Err("api_server"), SUMMER);
    }

    #[test]
    fn one_clock_alone_is_not_enough_and_neither_is_that_of_the_database_beside_it() {
        check([NOON, "", ""], Err("unread"), NOON);
        check([NOON, "", NOON], Err("unread"), NOON);
        check([YEAR_END, "", NOON], Err("store"), NOON);
    }

    #[test]
    fn what_cant_wait_is_dated_by_a_clock_that_another_confirms_else_by_the_earlier() {
        check([NOON, YEAR_END, NOON], Err("api_server"), NOON);
        check([NOON, SUMMER, NOON], Err("api_server"), NOON);
        check([NOON, SUMMER, ""], Err("api_server"), SUMMER);
        check([YEAR_END, SUMMER, NOON], Err("api_server"), SUMMER);
    }
}
