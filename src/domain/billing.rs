//! Bills: the months for which a login is billed.
//!
//! A login is billed for every calendar month in which an account under it existed at any instant,
//! enabled or disabled; once, however many accounts it had in it. At the edges:
//!
//! - A month begins at the instant at which a calendar on the wall in its time zone first shows it,
//!   and ends just before a calendar first shows the next: a midnight that the clocks skip begins
//!   late, one that comes twice begins the first time.
//! - Where the month before was closed in another time zone, a month begins where that one ended,
//!   and ends by its own: no instant is in two months or in none.
//! - A life is from its creation to just before its deletion. One that was deleted in the instant
//!   of its creation existed at that instant.
//! - What is written of a closed month needs nothing but what was written down by its end, so that
//!   nothing that happens later, nor a newer table of time zones, changes it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::account::Lifecycle;
use super::organization::LoginName;

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text isn't the name of a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time zone has an IANA name, such as UTC or America/Phoenix; this one isn't known")]
pub struct ZoneError;

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Returns the zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Finds a time zone by its name, in any case.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(name).map_err(|_| ZoneError)?;
        if zone.is_unknown() || zone.iana_name().is_none() {
            Err(ZoneError)
        } else {
            Ok(Self(zone))
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A calendar month of the years 1 to 9998.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

/// A text isn't a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a month is written YYYY-MM, such as 2026-11")]
pub struct MonthError;

impl Month {
    const LAST_YEAR: i16 = 9998;

    /// Returns the month that an instant is in.
    #[must_use]
    pub fn containing(instant: Timestamp, zone: &Zone) -> Self {
        let shown = zone.0.to_datetime(instant).date();
        let year = shown.year().clamp(1, Self::LAST_YEAR);
        let shown = Self { year, month: shown.month() };
        // Where the clocks went back over midnight, the calendar shows the month before again.
        shown.next().filter(|next| next.start(zone) <= instant).unwrap_or(shown)
    }

    /// Returns the month after it.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let Self { year, month } = self;
        let next = if month == 12 {
            Self { year: year + 1, month: 1 }
        } else {
            Self { year, month: month + 1 }
        };
        (next.year <= Self::LAST_YEAR).then_some(next)
    }

    /// Returns the month before it; the first of all is its own.
    #[must_use]
    pub fn previous(self) -> Self {
        match self {
            Self { year: 1, month: 1 } => self,
            Self { year, month: 1 } => Self { year: year - 1, month: 12 },
            Self { year, month } => Self { year, month: month - 1 },
        }
    }

    /// Returns the first instant of the month.
    #[must_use]
    pub fn start(self, zone: &Zone) -> Timestamp {
        first_instant(Date::constant(self.year, self.month, 1), zone)
    }

    /// Returns the first instant after the month.
    #[must_use]
    pub fn end(self, zone: &Zone) -> Timestamp {
        let Self { year, month } = self;
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        first_instant(Date::constant(year, month, 1), zone)
    }
}

/// Returns the instant at which a calendar in the zone first shows the date or, where it is
/// skipped, a later one.
fn first_instant(date: Date, zone: &Zone) -> Timestamp {
    const IN_RANGE: &str = "the years 1 to 9999 are in range";
    let midnight = zone.0.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let offset = match midnight.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset
        }
        AmbiguousOffset::Gap { before, .. } => before,
    };
    let instant = offset.to_timestamp(midnight.datetime()).expect(IN_RANGE);
    if !matches!(midnight.offset(), AmbiguousOffset::Gap { .. }) {
        return instant;
    }
    // By the clocks as they were before, it is midnight at or after the instant at which they were
    // put forward.
    let just_after = instant.checked_add(jiff::SignedDuration::from_nanos(1)).expect(IN_RANGE);
    zone.0.preceding(just_after).next().map_or(instant, |change| change.timestamp())
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let number = |digits: &str| {
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i16>().ok()).flatten()
        };
        let (year, month) = text
            .split_once('-')
            .filter(|(year, month)| (year.len(), month.len()) == (4, 2))
            .ok_or(MonthError)?;
        match (number(year), number(month)) {
            (Some(year @ 1..=Self::LAST_YEAR), Some(month @ 1..=12)) => {
                Ok(Self { year, month: i8::try_from(month).map_err(|_| MonthError)? })
            }
            _ => Err(MonthError),
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The instants that a month's bill is about, and how its clocks went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The month.
    pub month: Month,
    /// The name of its time zone.
    pub time_zone: String,
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// How far the clocks were ahead of UTC, from when on; the first at the start.
    pub offsets: Vec<UtcOffset>,
}

/// How far clocks are ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset {
    /// From when on.
    pub since: Timestamp,
    /// How far, in seconds.
    pub seconds: i32,
}

impl Period {
    /// Returns a month as the calendar has it.
    #[must_use]
    pub fn of(month: Month, zone: &Zone) -> Self {
        Self::between(month, zone, month.start(zone), month.end(zone))
    }

    /// Returns a month that begins and ends at other instants than by its own time zone.
    fn between(month: Month, zone: &Zone, start: Timestamp, end: Timestamp) -> Self {
        let at_start = UtcOffset { since: start, seconds: zone.0.to_offset(start).seconds() };
        let changes =
            zone.0.following(start).map(|change| (change.timestamp(), change.offset().seconds()));
        let mut offsets = vec![at_start];
        for (since, seconds) in changes.take_while(|(since, _)| *since < end) {
            if offsets.last().is_some_and(|last| last.seconds != seconds) {
                offsets.push(UtcOffset { since, seconds });
            }
        }
        Self { month, time_zone: zone.name().to_owned(), start, end, offsets }
    }

    /// Whether an account that lived so existed at an instant of the month.
    #[must_use]
    pub fn bills(&self, created: Timestamp, deleted: Option<Timestamp>) -> bool {
        created < self.end
            && deleted.is_none_or(|deleted| deleted > self.start || created >= self.start)
    }

    /// Returns an instant of the month as its clocks showed it, as RFC 3339 has it.
    #[must_use]
    pub fn written(&self, instant: Timestamp) -> String {
        let offset = self
            .offsets
            .iter()
            .rev()
            .find(|offset| offset.since <= instant)
            .or(self.offsets.first());
        let offset = offset
            .and_then(|offset| Offset::from_seconds(offset.seconds).ok())
            .unwrap_or(Offset::UTC);
        instant.display_with_offset(offset).to_string()
    }
}

/// What is written down about months: which are over, and in which time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The time zone of months that aren't closed, if the operator ever said so.
    pub zone: Option<Zone>,
    /// The closed months, without a gap, oldest first.
    pub closed: Vec<Period>,
    /// When the first life began; looked up only where no month is closed.
    pub first_life: Option<Timestamp>,
}

/// Why months aren't opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReopenError {
    /// One of them is over.
    #[error(
        "{0} is over, and a closed month that is over stays as it is: --after {0} or a later one"
    )]
    Over(Month),
    /// One that isn't over would stay closed.
    #[error("{0} is closed and isn't over either: --after {before}", before = .0.previous())]
    NotOver(Month),
}

impl Calendar {
    /// Returns the months after this one that are closed and are to be opened again, since none of
    /// them is over.
    ///
    /// # Errors
    /// When one of them is over, or an earlier one isn't.
    pub fn reopened(&self, after: Month, now: Timestamp) -> Result<Vec<Period>, ReopenError> {
        let (kept, reopened): (Vec<_>, Vec<_>) =
            self.closed.iter().partition(|period| period.month <= after);
        if let Some(period) = kept.iter().find(|period| now < period.end) {
            return Err(ReopenError::NotOver(period.month));
        }
        match reopened.iter().rev().find(|period| period.end <= now) {
            Some(period) => Err(ReopenError::Over(period.month)),
            None => Ok(reopened.into_iter().cloned().collect()),
        }
    }

    /// Returns the end of the last closed month. Nothing happens at it or before it any more.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.closed.last().map(|last| last.end)
    }

    /// Returns the months that are over and not closed yet, oldest first.
    ///
    /// The first to be closed is the one before that of the first life: afterwards nothing can
    /// begin in a month before. Where there never was a life, nothing is closed.
    #[must_use]
    pub fn due(&self, zone: &Zone, now: Timestamp) -> Vec<Period> {
        let first = |life| {
            let month = Month::containing(life, zone).previous();
            (month, month.start(zone))
        };
        let after = |last: &Period| last.month.next().map(|next| (next, last.end));
        let mut next = self.closed.last().map_or_else(|| self.first_life.map(first), after);
        let mut due = vec![];
        while let Some((month, start)) = next.filter(|(month, _)| month.end(zone) <= now) {
            let period = Period::between(month, zone, start, month.end(zone));
            next = after(&period);
            due.push(period);
        }
        due
    }

    /// Returns the month as it was closed or, in this time zone, as it is going to be.
    #[must_use]
    pub fn period(&self, month: Month, zone: &Zone) -> Period {
        let (start, end) = (month.start(zone), month.end(zone));
        let (Some(first), Some(last)) = (self.closed.first(), self.closed.last()) else {
            return Period::of(month, zone);
        };
        if let Ok(index) = self.closed.binary_search_by_key(&month, |closed| closed.month) {
            return self.closed[index].clone();
        }
        if month < first.month {
            return Period::between(month, zone, start.min(first.start), end.min(first.start));
        }
        let follows = last.month.next() == Some(month);
        Period::between(month, zone, if follows { last.end } else { start }, end)
    }
}

/// The life of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The organization, by its namespace.
    pub organization: String,
    /// The login name.
    pub login_name: LoginName,
    /// When the account was created.
    pub created: Timestamp,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// Whether the person could log in at the end of the month that is asked about, or in the end.
    pub lifecycle: Lifecycle,
}

/// What a login's last account in a month was at the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum BilledState {
    /// The person could log in.
    Enabled,
    /// The person couldn't; a disabled account is billed like any other.
    Disabled,
    /// It was gone.
    Deleted,
}

impl BilledState {
    /// Returns the state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A login that is billed for a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The organization, by its namespace.
    pub organization: String,
    /// The login name.
    pub login_name: LoginName,
    /// What the last account was at the end of the month.
    pub state: BilledState,
    /// The first instant in the month at which there was an account.
    pub from: Timestamp,
    /// When the last account was deleted; none where it outlived the month.
    pub to: Option<Timestamp>,
}

/// Makes the lines of a month out of lives, of which those of one login follow each other.
#[derive(Debug)]
pub struct Bill<'a> {
    period: &'a Period,
    open: Option<Billed>,
}

/// A line whose login may have had more lives.
#[derive(Debug)]
struct Billed {
    line: Line,
    last: (Timestamp, Timestamp),
}

impl<'a> Bill<'a> {
    /// Returns a bill without lines.
    #[must_use]
    pub fn new(period: &'a Period) -> Self {
        Self { period, open: None }
    }

    /// Takes the next life. Returns the line of the login before it, if this is of another.
    pub fn take(&mut self, life: Life) -> Option<Line> {
        if !self.period.bills(life.created, life.deleted) {
            return None;
        }
        let next = self.billed(life);
        match &mut self.open {
            Some(open) if open.is_of_the_login_of(&next) => {
                open.absorb(next);
                None
            }
            open => open.replace(next).map(|before| before.line),
        }
    }

    /// Returns the last line.
    #[must_use]
    pub fn finish(self) -> Option<Line> {
        self.open.map(|open| open.line)
    }

    fn billed(&self, life: Life) -> Billed {
        let Life { organization, login_name, created, deleted, lifecycle } = life;
        // What becomes of a life after the month's end must not change its bill.
        let to = deleted.filter(|deleted| *deleted < self.period.end);
        let state = match (to, lifecycle) {
            (Some(_), _) => BilledState::Deleted,
            (None, Lifecycle::Enabled) => BilledState::Enabled,
            (None, Lifecycle::Disabled) => BilledState::Disabled,
        };
        let line =
            Line { organization, login_name, state, from: created.max(self.period.start), to };
        Billed { line, last: (to.unwrap_or(self.period.end), created) }
    }
}

impl Billed {
    fn is_of_the_login_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.line, &other.line);
        one.login_name == other.login_name && one.organization == other.organization
    }

    /// The last life is the one that ended last: clocks that were set back may have made it begin
    /// first.
    fn absorb(&mut self, other: Self) {
        let from = self.line.from.min(other.line.from);
        if other.last >= self.last {
            *self = other;
        }
        self.line.from = from;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_month(text: &str, name: &str, [start, end]: [&str; 2]) {
        let (month, zone) = (month(text), zone(name));
        assert_eq!(
            [month.start(&zone), month.end(&zone)],
            [time(start), time(end)],
            "{text} {name}"
        );
        assert_eq!(month.next().unwrap().start(&zone), month.end(&zone));
        for (instant, inside) in [(time(start), month), (time(end), month.next().unwrap())] {
            let before = instant.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap();
            assert_eq!(Month::containing(instant, &zone), inside);
            assert_eq!(Month::containing(before, &zone), inside.previous());
        }
    }

    #[test]
    fn a_month_is_written_with_four_digits_and_two() {
        for good in ["2026-11", "0001-01", "9998-12", "1970-10"] {
            assert_eq!(month(good).to_string(), good);
        }
        for bad in [
            "",
            "2026",
            "2026-1",
            "2026-00",
            "2026-13",
            "26-11",
            "2026-11-01",
            "2026/11",
            "+026-11",
            "2026-+1",
            "-026-11",
            "0000-01",
            "9999-01",
            " 2026-11",
            "2026-11 ",
            "2026-1١",
            "２026-11",
            "2026 11",
        ] {
            assert_eq!(bad.parse::<Month>(), Err(MonthError), "{bad:?}");
        }
    }

    #[test]
    fn a_time_zone_is_known_by_its_name_in_any_case() {
        assert_eq!(zone("utc"), Zone::UTC);
        assert_eq!(zone("america/phoenix").name(), "America/Phoenix");
        assert_eq!(zone("UTC").to_string(), "UTC");
        for bad in [
            "",
            "Mars/Olympus",
            "+01:00",
            "CEST",
            "Etc/Unknown",
            "local",
            "/etc/localtime",
            "../UTC",
            "EST5EDT4",
        ] {
            assert_eq!(bad.parse::<Zone>(), Err(ZoneError), "{bad:?}");
        }
    }

    #[test]
    fn a_month_follows_the_calendar_of_its_time_zone() {
        check_month("2026-11", "UTC", ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
        check_month("2026-12", "UTC", ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
        check_month("2024-02", "UTC", ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]);
        check_month("2100-02", "UTC", ["2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"]);
        check_month(
            "2026-11",
            "Pacific/Kiritimati",
            ["2026-10-31T10:00:00Z", "2026-11-30T10:00:00Z"],
        );
        check_month("2026-11", "Asia/Kathmandu", ["2026-10-31T18:15:00Z", "2026-11-30T18:15:00Z"]);
    }

    #[test]
    fn a_month_in_which_the_clocks_change_is_longer_or_shorter() {
        check_month("2026-03", "Europe/Berlin", ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"]);
        check_month("2026-10", "Europe/Berlin", ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"]);
        // The last day of March 2024 was the one on which the clocks changed.
        check_month("2024-03", "Europe/Berlin", ["2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z"]);
    }

    #[test]
    fn a_midnight_that_is_skipped_or_comes_twice_begins_a_month_once() {
        // 2011-12-30 was skipped whole.
        check_month("2011-12", "Pacific/Apia", ["2011-12-01T10:00:00Z", "2011-12-31T10:00:00Z"]);
        // The last day of 1994 was skipped.
        check_month(
            "1994-12",
            "Pacific/Kiritimati",
            ["1994-12-01T10:00:00Z", "1994-12-31T10:00:00Z"],
        );
        // At 00:01 of the first the clocks were set back to 23:01.
        check_month(
            "2009-11",
            "America/St_Johns",
            ["2009-11-01T02:30:00Z", "2009-12-01T03:30:00Z"],
        );
        // At midnight of the first the clocks were set forward to 01:00.
        check_month("2011-04", "Asia/Damascus", ["2011-03-31T22:00:00Z", "2011-04-30T21:00:00Z"]);
        // Nobody's clocks were ever set forward from 23:30 to 00:30 of the first, yet.
        let zone = Zone(TimeZone::posix("EST5EDT,J90/23:30,J300/0").unwrap());
        assert_eq!(month("2026-04").start(&zone), time("2026-04-01T04:30:00Z"));
        assert_eq!(month("2026-03").end(&zone), time("2026-04-01T04:30:00Z"));
    }

    #[test]
    fn a_life_is_billed_for_the_months_of_its_instants() {
        let november = Period::of(month("2026-11"), &Zone::UTC);
        for (created, deleted, billed) in [
            ("2026-11-10T00:00:00Z", None, true),
            ("2026-10-01T00:00:00Z", None, true),
            ("2026-12-01T00:00:00Z", None, false),
            ("2026-11-30T23:59:59.999999Z", None, true),
            ("2026-11-01T00:00:00Z", Some("2026-11-01T00:00:00Z"), true),
            ("2026-11-15T00:00:00Z", Some("2026-11-15T00:00:00Z"), true),
            ("2026-12-01T00:00:00Z", Some("2026-12-01T00:00:00Z"), false),
            ("2026-10-31T00:00:00Z", Some("2026-11-01T00:00:00Z"), false),
            ("2026-10-31T00:00:00Z", Some("2026-11-01T00:00:00.000001Z"), true),
            ("2026-10-31T00:00:00Z", Some("2026-10-31T00:00:00Z"), false),
            ("2026-10-31T00:00:00Z", Some("2027-01-01T00:00:00Z"), true),
        ] {
            assert_eq!(
                november.bills(time(created), deleted.map(time)),
                billed,
                "{created} {deleted:?}"
            );
        }
    }

    fn life(login: &str, created: &str, deleted: Option<&str>, lifecycle: Lifecycle) -> Life {
        Life {
            organization: "acme".to_owned(),
            login_name: LoginName::stored(login.to_owned()),
            created: time(created),
            deleted: deleted.map(time),
            lifecycle,
        }
    }

    fn lines(period: &Period, lives: Vec<Life>) -> Vec<Line> {
        let mut bill = Bill::new(period);
        let mut lines: Vec<Line> = lives.into_iter().filter_map(|life| bill.take(life)).collect();
        lines.extend(bill.finish());
        lines
    }

    /// Expects one line, as `STATE from FROM` and perhaps ` to TO`, in whichever order the lives
    /// come.
    #[track_caller]
    fn check_line(lives: &[(&str, Option<&str>, Lifecycle)], expected: &str) {
        let november = Period::of(month("2026-11"), &Zone::UTC);
        let mut lives: Vec<Life> = lives
            .iter()
            .map(|(created, deleted, state)| life("alice.acme", created, *deleted, *state))
            .collect();
        for _ in 0..2 {
            let [line] = &lines(&november, lives.clone())[..] else { panic!("not one line") };
            let mut said = format!("{} from {}", line.state.as_str(), line.from);
            said += &line.to.map_or(String::new(), |to| format!(" to {to}"));
            assert_eq!(said, expected);
            lives.reverse();
        }
    }

    #[test]
    fn a_login_has_one_line_whose_state_is_that_of_its_last_account() {
        use Lifecycle::{Disabled, Enabled};
        check_line(&[("2026-01-01T00:00:00Z", None, Enabled)], "Enabled from 2026-11-01T00:00:00Z");
        check_line(
            &[("2026-11-02T00:00:00Z", None, Disabled)],
            "Disabled from 2026-11-02T00:00:00Z",
        );
        check_line(
            &[("2026-11-02T00:00:00Z", Some("2026-11-02T00:00:00Z"), Disabled)],
            "Deleted from 2026-11-02T00:00:00Z to 2026-11-02T00:00:00Z",
        );
        check_line(
            &[
                ("2026-01-01T00:00:00Z", Some("2026-11-10T00:00:00Z"), Enabled),
                ("2026-11-12T00:00:00Z", None, Disabled),
            ],
            "Disabled from 2026-11-01T00:00:00Z",
        );
        check_line(
            &[
                ("2026-01-01T00:00:00Z", Some("2026-10-10T00:00:00Z"), Enabled),
                ("2026-11-05T00:00:00Z", Some("2026-11-06T00:00:00Z"), Enabled),
                ("2026-12-05T00:00:00Z", None, Enabled),
            ],
            "Deleted from 2026-11-05T00:00:00Z to 2026-11-06T00:00:00Z",
        );
        check_line(
            &[("2026-11-05T00:00:00Z", Some("2026-12-01T00:00:00Z"), Disabled)],
            "Disabled from 2026-11-05T00:00:00Z",
        );
    }

    #[test]
    fn where_the_clock_was_set_back_the_last_account_is_the_one_that_ended_last() {
        check_line(
            &[
                ("2026-11-05T00:00:00Z", Some("2026-11-20T00:00:00Z"), Lifecycle::Enabled),
                ("2026-11-04T00:00:00Z", None, Lifecycle::Enabled),
            ],
            "Enabled from 2026-11-04T00:00:00Z",
        );
    }

    #[test]
    fn each_login_of_each_organization_has_a_line_of_its_own() {
        let november = Period::of(month("2026-11"), &Zone::UTC);
        let alice = life("alice.acme", "2026-11-05T00:00:00Z", None, Lifecycle::Enabled);
        let bob = Life { login_name: LoginName::stored("bob.acme".to_owned()), ..alice.clone() };
        let elsewhere = Life { organization: "other".to_owned(), ..bob.clone() };
        assert_eq!(lines(&november, vec![alice.clone(), alice, bob, elsewhere]).len(), 3);
        assert!(lines(&november, vec![]).is_empty());
    }

    #[test]
    fn instants_are_written_as_the_clocks_of_the_month_showed_them() {
        let check = |text: &str, name: &str, instant: &str, expected: &str| {
            assert_eq!(Period::of(month(text), &zone(name)).written(time(instant)), expected);
        };
        check("2026-11", "UTC", "2026-11-22T10:00:00.000001Z", "2026-11-22T10:00:00.000001+00:00");
        check("2026-10", "Europe/Berlin", "2026-10-25T00:59:59Z", "2026-10-25T02:59:59+02:00");
        check("2026-10", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00+01:00");
        check("2011-12", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00+14:00");
        check("2011-12", "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T23:59:59-10:00");
    }

    fn calendar(first_life: &str) -> Calendar {
        Calendar { first_life: Some(time(first_life)), ..Calendar::default() }
    }

    /// Closes what is over, and returns the calendar then.
    fn closed(mut calendar: Calendar, zone: &Zone, now: &str) -> Calendar {
        let due = calendar.due(zone, time(now));
        calendar.closed.extend(due);
        calendar
    }

    #[test]
    fn months_are_closed_from_the_one_before_the_first_life_to_the_last_that_is_wholly_over() {
        let months = |calendar: &Calendar, now: &str| {
            calendar
                .due(&Zone::UTC, time(now))
                .iter()
                .map(|period| period.month.to_string())
                .collect::<Vec<_>>()
        };
        let first = calendar("2026-09-10T00:00:00Z");
        assert_eq!(months(&first, "2026-09-20T00:00:00Z"), ["2026-08"]);
        assert_eq!(
            months(&first, "2026-11-30T23:59:59.999999Z"),
            ["2026-08", "2026-09", "2026-10"]
        );
        assert_eq!(
            months(&first, "2026-12-01T00:00:00Z"),
            ["2026-08", "2026-09", "2026-10", "2026-11"]
        );
        let later = closed(first, &Zone::UTC, "2026-10-01T00:00:00Z");
        assert_eq!(months(&later, "2026-11-01T00:00:00Z"), ["2026-10"]);
        assert!(
            months(&later, "2026-01-01T00:00:00Z").is_empty(),
            "a clock that steps back closes nothing"
        );
        assert!(
            months(&Calendar::default(), "2026-12-01T00:00:00Z").is_empty(),
            "nobody ever lived"
        );
    }

    #[test]
    fn only_months_that_are_not_over_are_opened_again_and_all_of_these() {
        let calendar = closed(calendar("2026-10-10T00:00:00Z"), &Zone::UTC, "2028-01-04T00:00:00Z");
        let reopened = |after: &str, now: &str| {
            let periods = calendar.reopened(month(after), time(now))?;
            Ok(periods.iter().map(|period| period.month.to_string()).collect::<Vec<_>>())
        };
        let now = "2026-11-30T15:00:00Z";
        let months = reopened("2026-10", now).unwrap();
        assert_eq!(
            (months.len(), months[0].as_str(), months[13].as_str()),
            (14, "2026-11", "2027-12")
        );
        assert_eq!(reopened("2026-09", now), Err(ReopenError::Over(month("2026-10"))));
        assert_eq!(reopened("2026-11", now), Err(ReopenError::NotOver(month("2026-11"))));
        assert_eq!(reopened("2027-12", now), Err(ReopenError::NotOver(month("2026-11"))));
        assert_eq!(
            reopened("2026-10", "2026-12-01T00:00:00Z"),
            Err(ReopenError::Over(month("2026-11")))
        );
        assert_eq!(reopened("2026-11", "2026-12-01T00:00:00Z").unwrap().len(), 13);
        assert!(reopened("2027-12", "2028-02-01T00:00:00Z").unwrap().is_empty());
    }

    #[test]
    fn another_time_zone_leaves_no_instant_out_and_none_in_two_months() {
        for (one, other) in [
            ("UTC", "Pacific/Auckland"),
            ("Pacific/Kiritimati", "Pacific/Pago_Pago"),
            ("Pacific/Pago_Pago", "UTC"),
        ] {
            let calendar =
                closed(calendar("2026-09-10T00:00:00Z"), &zone(one), "2026-11-02T00:00:00Z");
            let calendar = closed(calendar, &zone(other), "2027-02-02T00:00:00Z");
            assert_eq!(calendar.closed.len(), 6);
            assert!(
                calendar
                    .closed
                    .windows(2)
                    .all(|pair| pair[0].end == pair[1].start && pair[0].start < pair[0].end)
            );
            assert!(
                calendar.closed.windows(2).all(|pair| pair[0].month.next() == Some(pair[1].month))
            );
            let last = &calendar.closed[5];
            assert_eq!((last.end, last.time_zone.as_str()), (last.month.end(&zone(other)), other));
            let running = calendar.period(month("2027-02"), &zone(one));
            assert_eq!((running.start, running.end), (last.end, month("2027-02").end(&zone(one))));
        }
    }

    #[test]
    fn a_closed_month_stays_as_it_was_closed_and_one_before_all_ends_where_the_first_began() {
        let calendar = closed(
            calendar("2026-09-10T00:00:00Z"),
            &zone("Pacific/Auckland"),
            "2026-11-02T00:00:00Z",
        );
        assert_eq!(
            calendar.period(month("2026-09"), &Zone::UTC),
            Period::of(month("2026-09"), &zone("Pacific/Auckland"))
        );
        let before = calendar.period(month("2026-07"), &Zone::UTC);
        assert_eq!(before.end, calendar.closed[0].start);
        assert_eq!(calendar.closed_until(), Some(month("2026-10").end(&zone("Pacific/Auckland"))));
    }

    const QUARTER: i64 = 900;

    /// The month that a calendar on the wall shows, or showed before if it went back since; by
    /// looking at it every quarter of an hour, as somebody would who knows nothing of intervals.
    fn shown(zone: &TimeZone, since: i64, quarters: usize) -> Vec<String> {
        let mut latest = String::new();
        let mut shown = vec![];
        for quarter in 0..quarters {
            let instant =
                Timestamp::from_second(since + i64::try_from(quarter).unwrap() * QUARTER).unwrap();
            latest = latest.max(instant.to_zoned(zone.clone()).strftime("%Y-%m").to_string());
            shown.push(latest.clone());
        }
        shown
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_rule_is_what_one_finds_by_looking_at_every_quarter_of_an_hour(
            (name, since) in prop::sample::select(vec![
                ("UTC", 1_772_000_000 / QUARTER), ("Europe/Berlin", 1_772_000_000 / QUARTER), ("America/New_York", 1_793_000_000 / QUARTER),
                ("Pacific/Apia", 1_323_000_000 / QUARTER), ("Asia/Kathmandu", 1_772_000_000 / QUARTER),
                ("America/St_Johns", 1_255_000_000 / QUARTER), ("America/Sao_Paulo", 1_538_000_000 / QUARTER),
                ("Australia/Lord_Howe", 1_790_000_000 / QUARTER), ("Asia/Amman", 1_331_000_000 / QUARTER),
            ]),
            lives in prop::collection::vec((0..3_usize, 0..6000_usize, prop::option::of(0..3000_usize), any::<bool>()), 0..12),
        ) {
            let since = since * QUARTER;
            let wall = shown(&TimeZone::get(name).unwrap(), since, 10_000);
            let instant = |quarter: usize| Timestamp::from_second(since + i64::try_from(quarter).unwrap() * QUARTER).unwrap();
            let mut sorted: Vec<(usize, usize, Option<usize>, bool)> =
                lives.into_iter().map(|(login, created, lasts, disabled)| (login, created, lasts.map(|lasts| created + lasts), disabled)).collect();
            sorted.sort_unstable();
            let mut months: Vec<String> = wall.clone();
            months.dedup();
            // The first and the last month aren't seen whole.
            for text in &months[1..months.len() - 1] {
                let inside: Vec<usize> = (0..wall.len()).filter(|quarter| wall[*quarter] == *text).collect();
                let mut expected = vec![];
                for login in 0..3 {
                    let there = |quarter: usize, created: usize, deleted: Option<usize>| {
                        quarter == created || created < quarter && deleted.is_none_or(|deleted| quarter < deleted)
                    };
                    let of_login = || sorted.iter().filter(|life| life.0 == login);
                    if let Some(first) = inside.iter().find(|quarter| of_login().any(|life| there(**quarter, life.1, life.2))) {
                        let lasting = of_login().any(|life| {
                            let last = *inside.last().unwrap();
                            there(last, life.1, life.2) && life.2.is_none_or(|deleted| deleted > last)
                        });
                        expected.push((format!("login{login}"), instant(*first), lasting));
                    }
                }
                let period = Period::of(month(text), &zone(name));
                let lives = sorted.iter().map(|(login, created, deleted, disabled)| Life {
                    organization: "acme".to_owned(),
                    login_name: LoginName::stored(format!("login{login}")),
                    created: instant(*created),
                    deleted: deleted.map(instant),
                    lifecycle: if *disabled { Lifecycle::Disabled } else { Lifecycle::Enabled },
                });
                let found: Vec<_> = lines(&period, lives.collect()).into_iter()
                    .map(|line| (line.login_name.to_string(), line.from, line.to.is_none())).collect();
                prop_assert_eq!(found, expected, "{} {}", text, name);
            }
        }
    }
}
