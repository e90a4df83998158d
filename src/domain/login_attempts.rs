//! Failed logins of an account, and for how long nobody is let in after them (NIST SP 800-63B-4,
//! section 3.2.2).
//!
//! Nobody is locked out for good: the wait is bounded, and ends with a login, with a new password
//! and with time. A clock that is set back shortens no wait.

use jiff::{SignedDuration, Timestamp};

/// How many failures in a row cost nobody a wait: people mistype.
pub const FREE_FAILURES: i64 = 5;

/// The wait after the first failure that costs one; it doubles with each further one.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// The longest wait up to [`MAX_IN_A_ROW`] failures.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// How many failures in a row there may be before one a day is all that is left (NIST allows no
/// more than 100).
pub const MAX_IN_A_ROW: i64 = 100;

/// The wait from then on.
const WAIT_BEYOND: SignedDuration = SignedDuration::from_hours(24);

/// After how long without a failure they are forgotten: later than any wait ends, so that to wait
/// is never quicker.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The failed logins since the last one that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFailures {
    /// How many passwords were tried and weren't the right one.
    pub failures: i64,
    /// How many logins were turned away unheard, because the wait wasn't over.
    pub turned_away: i64,
    /// When the first of them failed.
    pub since: Timestamp,
    /// When the last of them failed.
    pub last: Timestamp,
}

/// What becomes of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the person is let in.
    pub admitted: bool,
    /// The failures from now on.
    pub failures: Option<LoginFailures>,
}

impl LoginFailures {
    /// Returns from when on a login is heard again; nothing where none has to wait.
    #[must_use]
    pub fn blocked_until(&self) -> Option<Timestamp> {
        let beyond = self.failures - FREE_FAILURES;
        let wait = match u32::try_from(beyond) {
            Err(_) | Ok(0) => return None,
            _ if self.failures >= MAX_IN_A_ROW => WAIT_BEYOND,
            Ok(beyond) => FIRST_WAIT
                .checked_mul(1 << (beyond - 1).min(16))
                .map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT)),
        };
        Some(self.last.checked_add(wait).unwrap_or(Timestamp::MAX))
    }

    /// Whether they count no more.
    #[must_use]
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        now.duration_since(self.last) >= FORGOTTEN_AFTER
    }
}

/// Judges a login after those before it, by whether the password was the right one of somebody who
/// can log in.
///
/// Whoever has to wait is turned away whatever they entered, so that trying on tells nothing. Where
/// the clock was set back behind the last failure, the wait begins anew: it neither opens nor lasts
/// until a time that was wrong.
#[must_use]
pub fn judge(before: Option<&LoginFailures>, matches: bool, now: Timestamp) -> Judgement {
    let before = before.filter(|before| !before.is_forgotten(now));
    if let Some(before) =
        before.filter(|before| before.blocked_until().is_some_and(|until| now < until))
    {
        let turned_away = LoginFailures {
            turned_away: before.turned_away.saturating_add(1),
            since: before.since.min(now),
            last: before.last.min(now),
            ..before.clone()
        };
        return Judgement { admitted: false, failures: Some(turned_away) };
    }
    if matches {
        return Judgement { admitted: true, failures: None };
    }
    let first = LoginFailures { failures: 0, turned_away: 0, since: now, last: now };
    let before = before.unwrap_or(&first);
    let failed =
        LoginFailures { failures: before.failures.saturating_add(1), last: now, ..before.clone() };
    Judgement { admitted: false, failures: Some(failed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Somebody who guesses as soon as they may, for so long: when each guess was heard.
    fn guesses(for_hours: i64) -> Vec<i64> {
        let (mut failures, mut heard, mut second) = (None::<LoginFailures>, vec![], 0);
        while second < for_hours * 3600 {
            let before = failures.as_ref().map_or(0, |failures| failures.failures);
            failures = judge(failures.as_ref(), false, at(second)).failures;
            let failed = failures.as_ref().unwrap();
            if failed.failures > before {
                heard.push(second);
            }
            second = failed
                .blocked_until()
                .map_or(second, |until| until.as_second() - at(0).as_second())
                .max(second + 1);
        }
        heard
    }

    #[test]
    fn five_failures_are_free_and_then_waits_double_up_to_an_hour() {
        let heard = guesses(6);
        let waits: Vec<i64> = heard.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(
            waits,
            [1, 1, 1, 1, 1, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
        );
    }

    #[test]
    fn after_a_hundred_failures_in_a_row_one_a_day_is_heard() {
        let hundred = guesses(24 * 30);
        assert_eq!(hundred.iter().filter(|second| **second < 3 * 24 * 3600).count(), 83);
        let beyond: Vec<i64> = hundred[99..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(beyond.len() > 20 && beyond.iter().all(|wait| *wait == 24 * 3600), "{beyond:?}");
    }

    #[test]
    fn a_login_ends_the_count_and_so_does_a_week() {
        let mut failures = None;
        for second in 0..5 {
            failures = judge(failures.as_ref(), false, at(second)).failures;
        }
        assert_eq!(
            judge(failures.as_ref(), true, at(5)),
            Judgement { admitted: true, failures: None }
        );
        failures = judge(failures.as_ref(), false, at(5)).failures;
        assert!(
            !judge(failures.as_ref(), true, at(6)).admitted,
            "the right password has to wait too"
        );
        assert!(judge(failures.as_ref(), true, at(35)).admitted);
        let later = judge(failures.as_ref(), false, at(5 + 7 * 24 * 3600)).failures.unwrap();
        assert_eq!((later.failures, later.since), (1, at(5 + 7 * 24 * 3600)));
    }

    #[test]
    fn a_clock_that_is_set_back_opens_nothing_and_locks_nobody_out() {
        let wrong = 400 * 24 * 3600;
        let mut failures = None;
        for second in 0..6 {
            failures = judge(failures.as_ref(), false, at(wrong + second)).failures;
        }
        let back = judge(failures.as_ref(), true, at(0));
        assert!(!back.admitted);
        assert!(!judge(back.failures.as_ref(), true, at(29)).admitted);
        assert!(judge(back.failures.as_ref(), true, at(30)).admitted);
        assert!(
            !judge(judge(back.failures.as_ref(), true, at(-500)).failures.as_ref(), true, at(-471))
                .admitted
        );
    }

    #[test]
    fn whoever_is_turned_away_is_counted_apart_and_waits_no_longer() {
        let mut failures = None;
        for _ in 0..6 {
            failures = judge(failures.as_ref(), false, at(0)).failures;
        }
        let until = failures.as_ref().unwrap().blocked_until();
        for second in 1..30 {
            failures = judge(failures.as_ref(), true, at(second)).failures;
        }
        let failures = failures.unwrap();
        assert_eq!(
            (failures.failures, failures.turned_away, failures.blocked_until()),
            (6, 29, until)
        );
    }
}
