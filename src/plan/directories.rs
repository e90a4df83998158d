//! Whether every directory has what is in force, and what is said where one hasn't.
//!
//! What is confirmed within seconds isn't told, so that a change that concerns thousands costs a
//! status write each. What was told holds until the directory has confirmed it or says something
//! else: neither a restart of the operator nor the end of a directory's rest makes a status better
//! for a moment.

use jiff::{SignedDuration, Timestamp};

use super::in_flight::{Directories, DirectoryProblem, DirectoryState, Missing};
use crate::api::status::{Condition, ConditionStatus, ConditionType, Reason};

/// Why a directory doesn't have what is in force, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lag {
    /// It refuses it: somebody has to act.
    Refused,
    /// It can't be reached, or fails.
    Unavailable,
    /// It hasn't answered yet.
    Pending,
}

impl Lag {
    /// Returns the reason as conditions give it.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Refused => Reason::DirectoryRefused,
            Self::Unavailable => Reason::DirectoryUnavailable,
            Self::Pending => Reason::DirectoryPending,
        }
    }

    fn of_reason(reason: Reason) -> Option<Self> {
        [Self::Refused, Self::Unavailable, Self::Pending]
            .into_iter()
            .find(|lag| lag.reason() == reason)
    }

    fn of_problem(problem: Option<&DirectoryProblem>) -> Self {
        match problem {
            Some(DirectoryProblem::Refused(_)) => Self::Refused,
            Some(DirectoryProblem::Unavailable(_)) => Self::Unavailable,
            None => Self::Pending,
        }
    }
}

/// That directories don't have what is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Why, of the worst of them.
    pub lag: Lag,
    /// Which they are, why in their words, and what helps.
    pub message: String,
    /// Whether the object isn't ready for that.
    pub blocks: bool,
}

/// That a status says already that directories don't have what is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedBefore {
    /// What it says.
    pub behind: Behind,
    /// Since when.
    pub since: Timestamp,
}

impl ReportedBefore {
    /// Returns what a status says of directories, where it says that one doesn't have what is in
    /// force.
    #[must_use]
    pub fn of(conditions: &[Condition]) -> Option<Self> {
        let find = |kind| conditions.iter().find(move |condition| condition.kind == kind);
        let told = find(ConditionType::DirectoriesCurrent)
            .filter(|told| told.status == ConditionStatus::False)?;
        let blocks = find(ConditionType::Ready).is_some_and(|ready| {
            ready.status == ConditionStatus::False && ready.reason == told.reason
        });
        let behind =
            Behind { lag: Lag::of_reason(told.reason)?, message: told.message.clone(), blocks };
        Some(Self { behind, since: told.last_transition_time.0 })
    }
}

/// What decides whether a status says that a directory doesn't have what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportContext {
    /// What the status says of it already.
    pub before: Option<ReportedBefore>,
    /// How long it may last until the object isn't ready any more; a transaction is overdue after
    /// the same time.
    pub deadline: SignedDuration,
}

/// Whether it is told that a directory lacks something.
#[must_use]
pub fn is_reported(DirectoryState { problem, missing }: &DirectoryState) -> bool {
    missing.as_ref().is_some_and(|missing| {
        let fails = problem.is_some() && (missing.has_failed || missing.revokes);
        missing.is_lasting || fails
    })
}

/// Returns what is to be said of directories that don't have what is in force of an account, if
/// anything.
#[must_use]
pub fn behind(
    directories: &Directories,
    telling: &ReportContext,
    now: Timestamp,
) -> Option<Behind> {
    let lacking = || directories.iter().filter(|(_, state)| state.missing.is_some());
    let told: Vec<Lagging<'_>> =
        lacking().filter(|(_, state)| is_reported(state)).filter_map(Lagging::of).collect();
    let found = found(&told, telling, now);
    let is_worse =
        |before: &Behind| found.as_ref().is_some_and(|found| found.blocks && !before.blocks);
    match &telling.before {
        // Of some directory nothing is known yet that is newer than what the status says.
        Some(ReportedBefore { behind, .. })
            if lacking().count() > told.len() && !is_worse(behind) =>
        {
            Some(Behind {
                blocks: behind.blocks || lasted(telling, now) >= telling.deadline,
                ..behind.clone()
            })
        }
        _ => found,
    }
}

/// Returns how long it takes until what is told keeps an object from being ready, where it doesn't
/// yet.
#[must_use]
pub fn until_it_blocks(
    directories: &Directories,
    telling: &ReportContext,
    now: Timestamp,
) -> Option<SignedDuration> {
    behind(directories, telling, now).filter(|behind| !behind.blocks)?;
    let left = |missing: &Missing| telling.deadline - missing.lasted.max(lasted(telling, now));
    directories
        .values()
        .filter_map(|state| state.missing.as_ref())
        .map(left)
        .filter(SignedDuration::is_positive)
        .min()
}

fn found(told: &[Lagging<'_>], telling: &ReportContext, now: Timestamp) -> Option<Behind> {
    let worst = told.iter().map(Lagging::lag).min()?;
    let is_over = |missing: &Missing| missing.lasted.max(lasted(telling, now)) >= telling.deadline;
    let blocks = |Lagging { missing, problem, .. }: &Lagging<'_>| {
        matches!(problem, Some(DirectoryProblem::Refused(_))) || missing.revokes || is_over(missing)
    };
    Some(Behind { lag: worst, blocks: told.iter().any(blocks), message: message(told, worst, now) })
}

/// For how long a status has said it: the operator that began to wait may be another one than this.
fn lasted(telling: &ReportContext, now: Timestamp) -> SignedDuration {
    telling.before.as_ref().map(|before| now.duration_since(before.since)).unwrap_or_default()
}

/// A directory that lacks something, which is told.
struct Lagging<'a> {
    directory: &'a str,
    problem: Option<&'a DirectoryProblem>,
    missing: &'a Missing,
}

impl<'a> Lagging<'a> {
    fn of((directory, state): (&'a String, &'a DirectoryState)) -> Option<Self> {
        Some(Self { directory, problem: state.problem.as_ref(), missing: state.missing.as_ref()? })
    }

    fn lag(&self) -> Lag {
        Lag::of_problem(self.problem)
    }
}

/// What stands before a directory's name in a message, and after it.
const BEFORE_NAME: &str = "the directory ";
const AFTER_NAME: &str = " doesn't have what is in force";

fn message(told: &[Lagging<'_>], worst: Lag, now: Timestamp) -> String {
    let one = |lagging: &Lagging<'_>| {
        let Lagging { directory, problem, missing } = lagging;
        let revokes = if missing.revokes { ", and may still give what was taken away" } else { "" };
        let until = missing.held_for.and_then(|held_for| now.checked_add(held_for).ok());
        let why = match (problem, until) {
            (Some(problem), _) => problem.words().to_owned(),
            (None, Some(until)) => {
                format!(
                    "an earlier request may still be carried out there until {until:.0}, and it is looked at again then"
                )
            }
            (None, None) => "it hasn't answered yet".to_owned(),
        };
        format!("{BEFORE_NAME}{directory}{AFTER_NAME}{revokes} ({why})")
    };
    let mut sorted: Vec<&Lagging<'_>> = told.iter().collect();
    sorted.sort_by_key(|lagging| lagging.lag());
    format!("{}; {}", sorted.into_iter().map(one).collect::<Vec<_>>().join("; "), cure(worst))
}

/// Returns what helps.
#[must_use]
pub fn cure(lag: Lag) -> &'static str {
    match lag {
        Lag::Refused => {
            "correct what it names, here or in the directory: it is tried again, less and less often"
        }
        Lag::Unavailable => "see to the directory: it is tried again and again",
        Lag::Pending => "it goes on by itself, unless the directory never answers",
    }
}

/// Returns the directory that a message is about in the first place, and what it says of it without
/// the cure.
#[must_use]
pub fn reported_in(message: &str) -> Option<(&str, &str)> {
    let what = [Lag::Refused, Lag::Unavailable, Lag::Pending]
        .into_iter()
        .find_map(|lag| message.strip_suffix(cure(lag)))?;
    let (directory, _) = message.strip_prefix(BEFORE_NAME)?.split_once(AFTER_NAME)?;
    Some((directory, what.trim_end_matches("; ")))
}

/// What directories lack of a group's members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingOfMembers {
    /// Of how many members something is missing that is told.
    pub members: usize,
    /// What the worst of them is, where there are any.
    pub worst: Option<Worst>,
    /// Whether something that is missing takes rights away.
    pub revokes: bool,
    /// What the status says already.
    pub before: Option<ReportedBefore>,
    /// Whether that holds whatever is known: the operator has just begun, and hasn't looked at
    /// everybody yet.
    pub is_early: bool,
}

/// The entry of a group's member that stands for all that directories lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// The directory.
    pub directory: String,
    /// Why it doesn't have the entry; nothing where it hasn't answered yet.
    pub problem: Option<DirectoryProblem>,
}

impl Worst {
    /// Returns why the directory doesn't have the entry.
    #[must_use]
    pub fn lag(&self) -> Lag {
        Lag::of_problem(self.problem.as_ref())
    }
}

/// Returns what is to be said of directories that don't have what is in force of a group's members,
/// if anything.
#[must_use]
pub fn behind_of_members(lacking: &MissingOfMembers) -> Option<Behind> {
    let MissingOfMembers { members, worst, revokes, before, is_early } = lacking;
    if let Some(before) = before.as_ref().filter(|_| *is_early) {
        return Some(before.behind.clone());
    }
    let worst = worst.as_ref()?;
    let may_still = if *revokes { ", and may still give what was taken away" } else { "" };
    let why = worst.problem.as_ref().map_or("it hasn't answered yet", DirectoryProblem::words);
    let directory = &worst.directory;
    let message = format!(
        "{BEFORE_NAME}{directory}{AFTER_NAME} of {members} member(s){may_still} (of the first: {why}); their Users say more; {}",
        cure(worst.lag())
    );
    Some(Behind { lag: worst.lag(), message, blocks: *revokes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: SignedDuration = SignedDuration::from_mins(20);

    fn missing() -> Missing {
        Missing {
            lasted: SignedDuration::from_secs(5),
            is_lasting: false,
            revokes: false,
            has_failed: false,
            held_for: None,
        }
    }

    fn refused() -> Option<DirectoryProblem> {
        Some(DirectoryProblem::Refused("it refuses the account: no telephone numbers".to_owned()))
    }

    fn down() -> Option<DirectoryProblem> {
        Some(DirectoryProblem::Unavailable("it can't be reached: nobody listens".to_owned()))
    }

    /// Says what a status tells of a directory in this state, and whether its object is ready for
    /// all that.
    #[track_caller]
    fn check(problem: Option<DirectoryProblem>, missing: Missing, expected: Option<(Lag, bool)>) {
        let directories =
            [("ldap".to_owned(), DirectoryState { problem, missing: Some(missing) })].into();
        let telling = ReportContext { before: None, deadline: DEADLINE };
        let found = behind(&directories, &telling, Timestamp::UNIX_EPOCH);
        assert_eq!(found.map(|behind| (behind.lag, !behind.blocks)), expected);
    }

    #[test]
    fn what_is_confirmed_is_current_whatever_the_directory_fails_at() {
        for problem in [None, refused(), down()] {
            let directories =
                [("ldap".to_owned(), DirectoryState { problem, missing: None })].into();
            assert_eq!(
                behind(&directories, &ReportContext::default(), Timestamp::UNIX_EPOCH),
                None
            );
        }
        assert_eq!(
            behind(&Directories::new(), &ReportContext::default(), Timestamp::UNIX_EPOCH),
            None
        );
    }

    #[test]
    fn a_refusal_keeps_an_object_from_being_ready_at_once_and_an_ordinary_change_past_the_deadline()
    {
        let failed = || Missing { has_failed: true, ..missing() };
        let late = |missing: Missing| Missing { lasted: DEADLINE, is_lasting: true, ..missing };
        check(None, missing(), None);
        check(refused(), failed(), Some((Lag::Refused, false)));
        check(down(), failed(), Some((Lag::Unavailable, true)));
        check(down(), missing(), None);
        check(down(), late(failed()), Some((Lag::Unavailable, false)));
        check(None, Missing { is_lasting: true, ..missing() }, Some((Lag::Pending, true)));
        check(None, late(missing()), Some((Lag::Pending, false)));
    }

    #[test]
    fn a_revocation_that_fails_or_lasts_keeps_an_object_from_being_ready_at_once() {
        let revokes = || Missing { revokes: true, ..missing() };
        check(None, revokes(), None);
        check(None, Missing { is_lasting: true, ..revokes() }, Some((Lag::Pending, false)));
        check(down(), revokes(), Some((Lag::Unavailable, false)));
        check(refused(), revokes(), Some((Lag::Refused, false)));
    }

    #[test]
    fn what_was_told_holds_until_a_directory_says_something_else() {
        let told = |lag, blocks| Behind { lag, message: "as it was".to_owned(), blocks };
        let since = Timestamp::UNIX_EPOCH;
        let of = |problem, missing, told: Behind| {
            let directories: Directories =
                [("ldap".to_owned(), DirectoryState { problem, missing })].into();
            let telling = ReportContext {
                before: Some(ReportedBefore { behind: told, since }),
                deadline: DEADLINE,
            };
            let half = since + DEADLINE / 2;
            (behind(&directories, &telling, half), until_it_blocks(&directories, &telling, half))
        };
        for (lag, blocks) in [(Lag::Refused, true), (Lag::Unavailable, false)] {
            assert_eq!(
                of(None, Some(missing()), told(lag, blocks)).0,
                Some(told(lag, blocks)),
                "nothing was heard of it yet"
            );
            assert_eq!(of(None, None, told(lag, blocks)), (None, None));
        }
        let failed = Missing { has_failed: true, ..missing() };
        let (found, left) = of(down(), Some(failed.clone()), told(Lag::Unavailable, false));
        assert!(found.is_some_and(|behind| !behind.blocks));
        assert_eq!(left, Some(DEADLINE / 2), "another operator began to wait");
        for (problem, missing) in [(down(), failed), (None, missing())] {
            let directories: Directories =
                [("ldap".to_owned(), DirectoryState { problem, missing: Some(missing) })].into();
            let before = Some(ReportedBefore { behind: told(Lag::Unavailable, false), since });
            let telling = ReportContext { before, deadline: DEADLINE };
            assert!(
                behind(&directories, &telling, since + DEADLINE)
                    .is_some_and(|behind| behind.blocks)
            );
            assert_eq!(until_it_blocks(&directories, &telling, since + DEADLINE), None);
        }
    }

    #[test]
    fn a_message_names_the_directories_the_worst_first_with_their_words_and_the_cure() {
        let state = |problem, missing| DirectoryState { problem, missing: Some(missing) };
        let until = Some(SignedDuration::from_secs(60));
        let directories = [
            (
                "a".to_owned(),
                state(
                    None,
                    Missing { is_lasting: true, held_for: until, revokes: true, ..missing() },
                ),
            ),
            ("b".to_owned(), state(refused(), Missing { has_failed: true, ..missing() })),
        ];
        let telling = ReportContext { before: None, deadline: DEADLINE };
        let found = behind(&directories.into(), &telling, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            found.message,
            "the directory b doesn't have what is in force (it refuses the account: no telephone numbers); \
             the directory a doesn't have what is in force, and may still give what was taken away (an earlier request may still be \
             carried out there until 1970-01-01T00:01:00Z, and it is looked at again then); \
             correct what it names, here or in the directory: it is tried again, less and less often"
        );
        let (directory, what) = reported_in(&found.message).unwrap();
        assert!(directory == "b" && what.ends_with("it is looked at again then)"), "{what}");
        assert_eq!(reported_in("what another version said"), None);
    }

    #[test]
    fn a_group_tells_how_many_members_a_directory_lacks_and_is_not_ready_for_what_is_to_be_taken_away()
     {
        let worst = Some(Worst { directory: "ldap".to_owned(), problem: down() });
        let lacking = MissingOfMembers { members: 3, worst, ..MissingOfMembers::default() };
        let found = behind_of_members(&lacking).unwrap();
        assert_eq!((found.lag, found.blocks), (Lag::Unavailable, false));
        assert!(
            found.message.contains("of 3 member(s)") && found.message.contains("nobody listens"),
            "{}",
            found.message
        );
        assert!(behind_of_members(&MissingOfMembers { revokes: true, ..lacking }).unwrap().blocks);
        assert_eq!(behind_of_members(&MissingOfMembers::default()), None);
        let before = Some(ReportedBefore { behind: found.clone(), since: Timestamp::UNIX_EPOCH });
        let early = MissingOfMembers { before, is_early: true, ..MissingOfMembers::default() };
        assert_eq!(behind_of_members(&early), Some(found));
    }
}
