use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> BillingTimeZone {
    name.parse().unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

#[track_caller]
fn check_month(text: &str, name: &str, [start, end]: [&str; 2]) {
    let (month, zone) = (month(text), zone(name));
    assert_eq!([month.start(&zone), month.end(&zone)], [time(start), time(end)], "{text} {name}");
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
    assert_eq!(zone("utc"), BillingTimeZone::UTC);
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
        assert_eq!(bad.parse::<BillingTimeZone>(), Err(ZoneError), "{bad:?}");
    }
}

#[test]
fn a_month_follows_the_calendar_of_its_time_zone() {
    check_month("2026-11", "UTC", ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
    check_month("2026-12", "UTC", ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    check_month("2024-02", "UTC", ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]);
    check_month("2100-02", "UTC", ["2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"]);
    check_month("2026-11", "Pacific/Kiritimati", ["2026-10-31T10:00:00Z", "2026-11-30T10:00:00Z"]);
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
    check_month("1994-12", "Pacific/Kiritimati", ["1994-12-01T10:00:00Z", "1994-12-31T10:00:00Z"]);
    // At 00:01 of the first the clocks were set back to 23:01.
    check_month("2009-11", "America/St_Johns", ["2009-11-01T02:30:00Z", "2009-12-01T03:30:00Z"]);
    // At midnight of the first the clocks were set forward to 01:00.
    check_month("2011-04", "Asia/Damascus", ["2011-03-31T22:00:00Z", "2011-04-30T21:00:00Z"]);
    // Nobody's clocks were ever set forward from 23:30 to 00:30 of the first, yet.
    let zone = BillingTimeZone(TimeZone::posix("EST5EDT,J90/23:30,J300/0").unwrap());
    assert_eq!(month("2026-04").start(&zone), time("2026-04-01T04:30:00Z"));
    assert_eq!(month("2026-03").end(&zone), time("2026-04-01T04:30:00Z"));
}

#[test]
fn a_life_is_billed_for_the_months_of_its_instants() {
    let november = Period::of(month("2026-11"), &BillingTimeZone::UTC);
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

fn life(login: &str, created: &str, deleted: Option<&str>, lifecycle: LoginState) -> Lifetime {
    Lifetime {
        organization: "acme".to_owned(),
        login_name: LoginName::from_stored(login.to_owned()),
        created: time(created),
        deleted: deleted.map(time),
        lifecycle,
    }
}

fn lines(period: &Period, lives: Vec<Lifetime>) -> Vec<BillLine> {
    let mut bill = Bill::new(period);
    let mut lines: Vec<BillLine> = lives.into_iter().filter_map(|life| bill.take(life)).collect();
    lines.extend(bill.finish());
    lines
}

/// Expects one line, as `STATE from FROM` and perhaps ` to TO`, in whichever order the lives
/// come.
#[track_caller]
fn check_line(lives: &[(&str, Option<&str>, LoginState)], expected: &str) {
    let november = Period::of(month("2026-11"), &BillingTimeZone::UTC);
    let mut lives: Vec<Lifetime> = lives
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
    use LoginState::{Disabled, Enabled};
    check_line(&[("2026-01-01T00:00:00Z", None, Enabled)], "Enabled from 2026-11-01T00:00:00Z");
    check_line(&[("2026-11-02T00:00:00Z", None, Disabled)], "Disabled from 2026-11-02T00:00:00Z");
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
            ("2026-11-05T00:00:00Z", Some("2026-11-20T00:00:00Z"), LoginState::Enabled),
            ("2026-11-04T00:00:00Z", None, LoginState::Enabled),
        ],
        "Enabled from 2026-11-04T00:00:00Z",
    );
}

#[test]
fn each_login_of_each_organization_has_a_line_of_its_own() {
    let november = Period::of(month("2026-11"), &BillingTimeZone::UTC);
    let alice = life("alice.acme", "2026-11-05T00:00:00Z", None, LoginState::Enabled);
    let bob =
        Lifetime { login_name: LoginName::from_stored("bob.acme".to_owned()), ..alice.clone() };
    let elsewhere = Lifetime { organization: "other".to_owned(), ..bob.clone() };
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
fn closed(mut calendar: Calendar, zone: &BillingTimeZone, now: &str) -> Calendar {
    let due = calendar.due(zone, time(now));
    calendar.closed.extend(due);
    calendar
}

#[test]
fn months_are_closed_from_the_one_before_the_first_life_to_the_last_that_is_wholly_over() {
    let months = |calendar: &Calendar, now: &str| {
        calendar
            .due(&BillingTimeZone::UTC, time(now))
            .iter()
            .map(|period| period.month.to_string())
            .collect::<Vec<_>>()
    };
    let first = calendar("2026-09-10T00:00:00Z");
    assert_eq!(months(&first, "2026-09-20T00:00:00Z"), ["2026-08"]);
    assert_eq!(months(&first, "2026-11-30T23:59:59.999999Z"), ["2026-08", "2026-09", "2026-10"]);
    assert_eq!(
        months(&first, "2026-12-01T00:00:00Z"),
        ["2026-08", "2026-09", "2026-10", "2026-11"]
    );
    let later = closed(first, &BillingTimeZone::UTC, "2026-10-01T00:00:00Z");
    assert_eq!(months(&later, "2026-11-01T00:00:00Z"), ["2026-10"]);
    assert!(
        months(&later, "2026-01-01T00:00:00Z").is_empty(),
        "a clock that steps back closes nothing"
    );
    assert!(months(&Calendar::default(), "2026-12-01T00:00:00Z").is_empty(), "nobody ever lived");
}

#[test]
fn only_months_that_are_not_over_are_opened_again_and_all_of_these() {
    let calendar =
        closed(calendar("2026-10-10T00:00:00Z"), &BillingTimeZone::UTC, "2028-01-04T00:00:00Z");
    let reopened = |after: &str, now: &str| {
        let periods = calendar.reopened(month(after), time(now))?;
        Ok(periods.iter().map(|period| period.month.to_string()).collect::<Vec<_>>())
    };
    let now = "2026-11-30T15:00:00Z";
    let months = reopened("2026-10", now).unwrap();
    assert_eq!((months.len(), months[0].as_str(), months[13].as_str()), (14, "2026-11", "2027-12"));
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
        let calendar = closed(calendar("2026-09-10T00:00:00Z"), &zone(one), "2026-11-02T00:00:00Z");
        let calendar = closed(calendar, &zone(other), "2027-02-02T00:00:00Z");
        assert_eq!(calendar.closed.len(), 6);
        assert!(
            calendar
                .closed
                .windows(2)
                .all(|pair| pair[0].end == pair[1].start && pair[0].start < pair[0].end)
        );
        assert!(calendar.closed.windows(2).all(|pair| pair[0].month.next() == Some(pair[1].month)));
        let last = &calendar.closed[5];
        assert_eq!((last.end, last.time_zone.as_str()), (last.month.end(&zone(other)), other));
        let running = calendar.period(month("2027-02"), &zone(one));
        assert_eq!((running.start, running.end), (last.end, month("2027-02").end(&zone(one))));
    }
}

#[test]
fn a_closed_month_stays_as_it_was_closed_and_one_before_all_ends_where_the_first_began() {
    let calendar =
        closed(calendar("2026-09-10T00:00:00Z"), &zone("Pacific/Auckland"), "2026-11-02T00:00:00Z");
    assert_eq!(
        calendar.period(month("2026-09"), &BillingTimeZone::UTC),
        Period::of(month("2026-09"), &zone("Pacific/Auckland"))
    );
    let before = calendar.period(month("2026-07"), &BillingTimeZone::UTC);
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
            let lives = sorted.iter().map(|(login, created, deleted, disabled)| Lifetime {
                organization: "acme".to_owned(),
                login_name: LoginName::from_stored(format!("login{login}")),
                created: instant(*created),
                deleted: deleted.map(instant),
                lifecycle: if *disabled { LoginState::Disabled } else { LoginState::Enabled },
            });
            let found: Vec<_> = lines(&period, lives.collect()).into_iter()
                .map(|line| (line.login_name.to_string(), line.from, line.to.is_none())).collect();
            prop_assert_eq!(found, expected, "{} {}", text, name);
        }
    }
}
