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

use super::account::LoginState;
use super::organization::LoginName;

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingTimeZone(TimeZone);

/// A text isn't the name of a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time zone has an IANA name, such as UTC or America/Phoenix; this one isn't known")]
pub struct ZoneError;

impl BillingTimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Returns the zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl FromStr for BillingTimeZone {
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

impl fmt::Display for BillingTimeZone {
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
    pub fn containing(instant: Timestamp, zone: &BillingTimeZone) -> Self {
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
    pub fn start(self, zone: &BillingTimeZone) -> Timestamp {
        first_instant(Date::constant(self.year, self.month, 1), zone)
    }

    /// Returns the first instant after the month.
    #[must_use]
    pub fn end(self, zone: &BillingTimeZone) -> Timestamp {
        let Self { year, month } = self;
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        first_instant(Date::constant(year, month, 1), zone)
    }
}

/// Returns the instant at which a calendar in the zone first shows the date or, where it is
/// skipped, a later one.
fn first_instant(date: Date, zone: &BillingTimeZone) -> Timestamp {
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
    pub fn of(month: Month, zone: &BillingTimeZone) -> Self {
        Self::between(month, zone, month.start(zone), month.end(zone))
    }

    /// Returns a month that begins and ends at other instants than by its own time zone.
    fn between(month: Month, zone: &BillingTimeZone, start: Timestamp, end: Timestamp) -> Self {
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
    pub zone: Option<BillingTimeZone>,
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
    pub fn due(&self, zone: &BillingTimeZone, now: Timestamp) -> Vec<Period> {
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
    pub fn period(&self, month: Month, zone: &BillingTimeZone) -> Period {
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
pub struct Lifetime {
    /// The organization, by its namespace.
    pub organization: String,
    /// The login name.
    pub login_name: LoginName,
    /// When the account was created.
    pub created: Timestamp,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// Whether the person could log in at the end of the month that is asked about, or in the end.
    pub lifecycle: LoginState,
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
pub struct BillLine {
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
    line: BillLine,
    last: (Timestamp, Timestamp),
}

impl<'a> Bill<'a> {
    /// Returns a bill without lines.
    #[must_use]
    pub fn new(period: &'a Period) -> Self {
        Self { period, open: None }
    }

    /// Takes the next life. Returns the line of the login before it, if this is of another.
    pub fn take(&mut self, life: Lifetime) -> Option<BillLine> {
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
    pub fn finish(self) -> Option<BillLine> {
        self.open.map(|open| open.line)
    }

    fn billed(&self, life: Lifetime) -> Billed {
        let Lifetime { organization, login_name, created, deleted, lifecycle } = life;
        // What becomes of a life after the month's end must not change its bill.
        let to = deleted.filter(|deleted| *deleted < self.period.end);
        let state = match (to, lifecycle) {
            (Some(_), _) => BilledState::Deleted,
            (None, LoginState::Enabled) => BilledState::Enabled,
            (None, LoginState::Disabled) => BilledState::Disabled,
        };
        let line =
            BillLine { organization, login_name, state, from: created.max(self.period.start), to };
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
mod tests;
