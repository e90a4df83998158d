//! What time it is by several clocks, and what a wrong one did to bills, as the doctor sees it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Client, ResourceExt};

use super::leases::Leases;
use super::{Finding, Kind, Severity};
use crate::clock::Clock;
use crate::controller::clocks;
use crate::domain::billing::{Calendar, Period};
use crate::domain::clocks::{ClockReadings, TOLERANCE};
use crate::store::sql::SqlStore;
use crate::store::{Store, StoreError};

/// How long after its end a month may be open without that being amiss: operators look once in a
/// while.
const CLOSING_TIME: SignedDuration = SignedDuration::from_hours(2);

/// What the API server's clock shows, or why it can't be read.
pub(super) type ServerTime = Result<Timestamp, String>;

/// What was seen of time.
#[derive(Debug)]
pub(super) struct Times {
    readings: ClockReadings,
    /// Why the API server's clock couldn't be read, where it was asked.
    unread: Option<String>,
    calendar: Calendar,
    /// How many lives begin or end in the future.
    ahead: i64,
}

/// Asks the API server what time it is.
pub(super) async fn ask(client: &Client) -> ServerTime {
    clocks::read(client).await.map_err(|error| error.to_string())
}

/// Looks at the clocks, and at what bills say of times.
pub(super) async fn read(
    store: &SqlStore,
    server: Option<ServerTime>,
    clock: Clock,
) -> Result<Times, StoreError> {
    let (api_server, unread) = match server {
        Some(Ok(shown)) => (Some(clock.moved(shown)), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let readings = ClockReadings {
        own: clock.now(),
        api_server,
        store: store.time().await?.map(|shown| clock.moved(shown)),
    };
    let tolerated = now(&readings).checked_add(TOLERANCE).unwrap_or(Timestamp::MAX);
    Ok(Times {
        readings,
        unread,
        calendar: store.calendar().await?,
        ahead: store.lives_after(tolerated).await?,
    })
}

/// Returns the time by which the past is told from the future: the cluster's where it is known,
/// since what is asked here is somebody's own machine.
fn now(readings: &ClockReadings) -> Timestamp {
    readings.api_server.or(readings.store).unwrap_or(readings.own)
}

/// Returns what is amiss about clocks, and about what was written down by them.
pub(super) fn findings(times: &Times, leases: Option<&Leases>) -> Vec<Finding> {
    let Times { readings, unread, calendar, ahead } = times;
    let now = now(readings);
    let finding = |severity, finding, object: &str, what: String, cure: &str| Finding {
        severity,
        finding,
        organization: None,
        object: object.to_owned(),
        what,
        cure: cure.to_owned(),
    };
    let differ = "synchronize the clocks (NTP); no month is closed while the operator's clock differs from the API server's";
    let mut found = vec![];
    for (clock, skew) in readings.skews().filter(|(_, skew)| skew.abs() > TOLERANCE) {
        let what = format!("it is {} of that of {}", apart(skew), clock.owner());
        found.push(finding(
            Severity::Warning,
            Kind::ClocksDiffer,
            "this machine's clock",
            what,
            differ,
        ));
    }
    if let Some(why) = unread {
        let cure =
            "see what is between here and the API server: without its clock, no month is closed";
        found.push(finding(
            Severity::Warning,
            Kind::ClockUnread,
            "the API server's clock",
            why.clone(),
            cure,
        ));
    }
    if let Some(Leases::Seen(leases)) = leases {
        for (lease, renewed) in leases
            .iter()
            .filter(|(_, is_renewed)| *is_renewed)
            .filter_map(|(lease, _)| renewal(lease))
        {
            let skew = renewed.duration_since(now);
            if readings.api_server.is_some() && skew.abs() > TOLERANCE {
                let what =
                    format!("by what it renews, its clock is {} of the API server's", apart(skew));
                found.push(finding(
                    Severity::Warning,
                    Kind::ClocksDiffer,
                    &format!("whoever holds {lease}"),
                    what,
                    differ,
                ));
            }
        }
    }
    let early: Vec<&Period> = calendar.closed.iter().filter(|period| now < period.end).collect();
    let last_over =
        calendar.closed.iter().rev().find(|period| period.end <= now).or(calendar.closed.first());
    let cure = last_over.map(|period| {
        let over = if period.end <= now { period.month } else { period.month.previous() };
        format!("roster billing reopen --after {over}, which says what it would do first")
    });
    if let (Some(first), Some(last), Some(cure)) = (early.first(), early.last(), &cure) {
        let what = format!(
            "{} to {} were closed before they were over: what is done now is billed to the month after",
            first.month, last.month
        );
        found.push(finding(Severity::Error, Kind::MonthsClosedEarly, "the bill", what, cure));
    }
    if *ahead > 0 {
        let month =
            "roster billing reopen --after MONTH, with the last month that is over".to_owned();
        let what = format!("{ahead} lives begin or end in the future");
        found.push(finding(
            Severity::Error,
            Kind::LivesAhead,
            "the bill",
            what,
            &cure.unwrap_or(month),
        ));
    }
    found.extend(open(calendar, now).map(|period| {
        let what = format!(
            "{} was over at {:.0} and isn't closed, so its bill is provisional",
            period.month, period.end
        );
        let cure =
            "see that roster run is there; its log says why it waits, such as clocks that differ";
        finding(Severity::Warning, Kind::MonthNotClosed, "the bill", what, cure)
    }));
    found
}

/// Returns the first month that should be closed and isn't. One in which nobody lived is closed in
/// passing.
fn open(calendar: &Calendar, now: Timestamp) -> Option<Period> {
    let zone = calendar.zone.as_ref()?;
    let before = now.checked_sub(CLOSING_TIME).ok()?;
    let lived_in = |period: &Period| calendar.first_life.is_none_or(|life| life < period.end);
    calendar.due(zone, before).into_iter().find(lived_in)
}

fn renewal(lease: &Lease) -> Option<(String, Timestamp)> {
    let renewed = lease.spec.as_ref()?.renew_time.as_ref()?.0;
    Some((format!("lease {}/{}", lease.namespace().unwrap_or_default(), lease.name_any()), renewed))
}

/// Says how far a clock is ahead or behind.
fn apart(skew: SignedDuration) -> String {
    let way = if skew.is_negative() { "behind" } else { "ahead" };
    let seconds = skew.abs().as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d {hours}h {minutes}m {way}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::billing::BillingTimeZone;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Expects kinds of findings, where somebody has lived since October, and months were closed at
    /// a time.
    #[track_caller]
    fn check(
        own: &str,
        api_server: Option<&str>,
        (closed_at, ahead): (&str, i64),
        expected: &[&str],
    ) {
        let mut calendar = Calendar {
            zone: Some(BillingTimeZone::UTC),
            first_life: Some(time("2026-10-05T00:00:00Z")),
            ..Calendar::default()
        };
        calendar.closed = calendar.due(&BillingTimeZone::UTC, time(closed_at));
        let readings =
            ClockReadings { own: time(own), api_server: api_server.map(time), store: None };
        let unread = if api_server.is_none() { Some("no answer".to_owned()) } else { None };
        let found = findings(&Times { readings, unread, calendar, ahead }, None);
        assert_eq!(
            found.iter().map(|finding| finding.finding.into()).collect::<Vec<&str>>(),
            expected
        );
        let reopen = found
            .iter()
            .find(|finding| matches!(finding.finding, Kind::MonthsClosedEarly | Kind::LivesAhead));
        assert!(reopen.is_none_or(|finding| finding.cure.contains("--after 2026-10")), "{found:?}");
    }

    #[test]
    fn clocks_that_differ_and_what_a_wrong_one_did_are_found() {
        const NOON: &str = "2026-11-30T12:00:00Z";
        const FAR: &str = "2028-01-04T12:00:00Z";
        check(NOON, Some(NOON), (NOON, 0), &[]);
        check(NOON, Some("2026-11-30T12:04:00Z"), (NOON, 0), &[]);
        check(FAR, Some(NOON), (NOON, 0), &["ClocksDiffer"]);
        check(NOON, Some(FAR), (FAR, 0), &["ClocksDiffer"]);
        check(NOON, None, (NOON, 0), &["ClockUnread"]);
        check(NOON, Some(NOON), (FAR, 0), &["MonthsClosedEarly"]);
        check(NOON, Some(NOON), (NOON, 2), &["LivesAhead"]);
        check(NOON, Some(NOON), ("2026-10-20T00:00:00Z", 0), &["MonthNotClosed"]);
        check(
            "2026-11-01T01:00:00Z",
            Some("2026-11-01T01:00:00Z"),
            ("2026-10-20T00:00:00Z", 0),
            &[],
        );
    }

    #[test]
    fn how_far_clocks_are_apart_is_said_in_days_hours_and_minutes() {
        assert_eq!(apart(SignedDuration::from_mins(400 * 24 * 60 + 61)), "400d 1h 1m ahead");
        assert_eq!(apart(SignedDuration::from_mins(-6)), "0d 0h 6m behind");
    }
}
