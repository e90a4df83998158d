//! Nobody waits behind what a directory fails over.

use super::super::pace::{FAILED_AT_ONCE, FAILED_IN_A_ROW, REVOKED_A_SECOND};
use super::*;

/// How a directory answers: when, and what.
type Answer = (Duration, Result<(), DirectoryError>);

type Answers = fn() -> Answer;

/// Makes the entry of an account.
type Makes = fn(u128) -> Entry;

fn well() -> Answer {
    (Duration::from_millis(20), Ok(()))
}

fn fails() -> Answer {
    (Duration::from_millis(20), Err(DirectoryError::Failed("it answers 500".to_owned())))
}

fn never_answers() -> Answer {
    (crate::provisioning::TIMEOUT, Err(DirectoryError::Timeout))
}

/// A bench on which time goes by.
struct Days<D: Fn(&Entry) -> Answer> {
    bench: Bench,
    directory: D,
    on_their_way: Vec<(Instant, ProvisioningTask, Result<(), DirectoryError>)>,
    /// When which account was brought.
    brought: Vec<(Instant, u128)>,
    /// When which account was confirmed last.
    confirmed: HashMap<u128, Instant>,
}

impl<D: Fn(&Entry) -> Answer> Days<D> {
    fn new(directory: D) -> Self {
        let bench = Bench::new(&[ONE]);
        Self { bench, directory, on_their_way: vec![], brought: vec![], confirmed: HashMap::new() }
    }

    fn run(&mut self, time: Duration) {
        let end = self.bench.now + time;
        loop {
            for delivery in self.bench.take() {
                let (after, answer) = (self.directory)(&delivery.entry);
                self.brought.push((self.bench.now, delivery.entry.account.0.as_u128()));
                self.on_their_way.push((self.bench.now + after, delivery, answer));
            }
            let next_answer = self.on_their_way.iter().map(|(at, ..)| *at).min();
            let next =
                [next_answer, self.bench.provisioning.next_due()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.bench.now = self.bench.now.max(next);
            let now = self.bench.now;
            let arrived: Vec<_> = self.on_their_way.extract_if(.., |(at, ..)| *at <= now).collect();
            for (_, delivery, answer) in arrived {
                if answer.is_ok() {
                    self.confirmed.insert(delivery.entry.account.0.as_u128(), now);
                }
                self.bench.answer(&delivery, answer);
            }
            self.bench.tell();
        }
        self.bench.now = end;
    }

    /// Has entries confirmed, as if everything were well.
    fn settle(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let confirmation = DirectoryAck {
                revision: entry.revision,
                fingerprint: entry.fingerprint(),
                handle: None,
            };
            self.bench.store.entry(entry.account).or_default().insert(ONE.to_owned(), confirmation);
        }
    }

    /// Returns how many were brought in the busiest second from some time on.
    fn busiest_second(&self, from: Instant) -> usize {
        let times: Vec<Instant> =
            self.brought.iter().map(|(at, _)| *at).filter(|at| *at >= from).collect();
        let within = |begin: &Instant| {
            times.iter().filter(|at| (*begin..*begin + Duration::from_secs(1)).contains(at)).count()
        };
        times.iter().map(within).max().unwrap_or_default()
    }
}

/// Whose entries always fail.
const BROKEN: std::ops::Range<u128> = 1000..1100;
const HEALTHY: u128 = 1;

fn disabled(number: u128) -> Entry {
    let mut entry = entry(number, 2, &["a:read"]);
    let person = entry.person.as_mut().unwrap();
    (person.active, person.password) = (false, None);
    entry
}

fn gone(number: u128) -> Entry {
    Entry::gone(account(number), Revision(2), "acme")
}

#[track_caller]
fn is_confirmed_within_5_s<D: Fn(&Entry) -> Answer>(
    days: &mut Days<D>,
    wanted: Instant,
    what: &str,
) {
    days.run(Duration::from_secs(30));
    let confirmed = days.confirmed.get(&HEALTHY).map(|at| at.duration_since(wanted));
    assert!(
        confirmed.is_some_and(|after| after <= Duration::from_secs(5)),
        "{what}: confirmed after {confirmed:?}"
    );
}

/// Whenever a hundred entries come that always fail, and however: whoever loses something isn't
/// kept waiting.
#[tokio::test(start_paused = true)]
async fn a_hundred_entries_that_always_fail_delay_nobodys_revocation_by_more_than_5_seconds() {
    let broken: [(&str, Makes); 2] =
        [("updates", |number| entry(number, 2, &["a:read"])), ("deletions", gone)];
    let revocations: [(&str, Makes); 3] =
        [("disabled", disabled), ("gone", gone), ("fewer rights", |number| entry(number, 2, &[]))];
    let ways: [(&str, Answers); 2] = [("at once", fails), ("by timeout", never_answers)];
    for (kind, broken) in broken {
        for (loses, revocation) in revocations {
            for (way, answer) in ways {
                let days = || {
                    let mut days = Days::new(|entry: &Entry| {
                        if BROKEN.contains(&entry.account.0.as_u128()) { answer() } else { well() }
                    });
                    days.settle(
                        BROKEN.chain([HEALTHY]).map(|number| entry(number, 1, &["a:read"])),
                    );
                    days
                };
                let what = |when: &str| format!("{loses}, {when} a hundred {kind} that fail {way}");
                for seconds in [0, 1, 3, 10, 31, 45, 100, 400] {
                    let mut days = days();
                    BROKEN.for_each(|number| days.bench.want(&broken(number)));
                    days.run(Duration::from_secs(seconds));
                    let wanted = days.bench.now;
                    days.bench.want(&revocation(HEALTHY));
                    is_confirmed_within_5_s(
                        &mut days,
                        wanted,
                        &what(&format!("{seconds} s after")),
                    );
                }
                let mut before = days();
                let wanted = before.bench.now;
                before.bench.want(&revocation(HEALTHY));
                BROKEN.for_each(|number| before.bench.want(&broken(number)));
                is_confirmed_within_5_s(&mut before, wanted, &what("before"));
                for position in [3, 10, 50, 99] {
                    let mut days = days();
                    let mut wanted = days.bench.now;
                    for number in BROKEN {
                        days.bench.want(&broken(number));
                        days.run(Duration::from_millis(700));
                        if number == BROKEN.start + position {
                            wanted = days.bench.now;
                            days.bench.want(&revocation(HEALTHY));
                        }
                    }
                    is_confirmed_within_5_s(
                        &mut days,
                        wanted,
                        &what(&format!("after {position} one by one of")),
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_always_fails_neither_probes_nor_makes_a_directory_rest_while_others_fare_well() {
    let mut days =
        Days::new(
            |entry: &Entry| {
                if BROKEN.contains(&entry.account.0.as_u128()) { fails() } else { well() }
            },
        );
    BROKEN.for_each(|number| days.bench.want(&entry(number, 1, &[])));
    days.run(Duration::from_secs(300));
    // Nobody else was there until now, and the first who comes ends the rest.
    days.bench.want(&entry(2, 1, &[]));
    days.run(LONGEST_REST * 2);
    assert!(days.confirmed.contains_key(&2));
    // From then on one comes every second, and waits for nobody.
    for number in 3..200 {
        let wanted = days.bench.now;
        days.bench.want(&entry(number, 1, &[]));
        days.run(Duration::from_secs(1));
        let after = days.confirmed.get(&number).map(|at| *at - wanted);
        assert!(after.is_some_and(|after| after < Duration::from_secs(1)), "{number}: {after:?}");
    }
    // Each of those that fail is tried still, ever less often.
    let tried: HashSet<u128> =
        days.brought.iter().rev().take(400).map(|(_, number)| *number).collect();
    assert!(BROKEN.filter(|number| tried.contains(number)).count() > 50);
}

#[tokio::test(start_paused = true)]
async fn entries_that_never_get_an_answer_leave_the_others_their_places() {
    let mut days =
        Days::new(
            |entry: &Entry| {
                if entry.account.0.as_u128() >= 1000 { never_answers() } else { well() }
            },
        );
    (1000..1400).for_each(|number| days.bench.want(&entry(number, 1, &[])));
    days.run(Duration::from_secs(300));
    assert!(days.on_their_way.len() <= FAILED_AT_ONCE, "{}", days.on_their_way.len());
    (1..=400).for_each(|number| days.bench.want(&entry(number, 1, &[])));
    days.run(Duration::from_secs(1));
    assert_eq!(days.confirmed.len(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_fails_over_everything_is_left_alone_however_much_waits() {
    let mut days = Days::new(|_: &Entry| fails());
    days.settle((1..=10_000).map(|number| entry(number, 1, &["a:read"])));
    (1..=9_000).for_each(|number| {
        let mut renamed = entry(number, 2, &["a:read"]);
        renamed.person.as_mut().unwrap().profile.display_name = "Another name".to_owned();
        days.bench.want(&renamed);
    });
    let begun = days.bench.now;
    days.run(Duration::from_secs(60));
    let of_minute = days.brought.len();
    assert!(of_minute <= FOLLOWING_OF_ONE_AT_ONCE + 10, "{of_minute} in the first minute");
    (9_001..=10_000).for_each(|number| days.bench.want(&disabled(number)));
    days.run(Duration::from_secs(1800));
    let tried = days.brought.len() - of_minute;
    assert!(tried <= 1_000 + 60, "{tried} in half an hour, of which each revocation once");
    let busiest = days.busiest_second(begun + Duration::from_secs(1));
    assert!(busiest <= 2 * REVOKED_A_SECOND + 1, "{busiest} in a second");
    let late = days.brought.iter().filter(|(at, _)| *at > begun + Duration::from_secs(200)).count();
    assert!(late <= 60, "{late} in the last 28 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_left_alone_also_where_all_that_waits_for_it_failed_before() {
    let is_down = std::cell::Cell::new(false);
    let mut days = Days::new(|_: &Entry| {
        if is_down.get() { fails() } else { (Duration::ZERO, Err(DirectoryError::refused("no"))) }
    });
    (1..=1_000).for_each(|number| days.bench.want(&entry(number, 1, &[])));
    days.run(Duration::from_secs(600));
    is_down.set(true);
    let before = days.brought.len();
    days.run(Duration::from_secs(1800));
    let tried = days.brought.len() - before;
    assert!(tried <= FAILED_IN_A_ROW as usize + FAILED_AT_ONCE * 45, "{tried} in half an hour");
    is_down.set(false);
    let before = days.brought.len();
    days.run(Duration::from_secs(300));
    assert!(days.brought.len() - before > 1_000, "all are tried again once it answers");
}

#[tokio::test(start_paused = true)]
async fn what_may_take_rights_goes_before_the_others_and_after_what_takes_a_way_in() {
    let mut days = Days::new(|_: &Entry| well());
    days.settle([300, 301].map(|number| entry(number, 1, &["a:read", "b:read"])));
    (1..=400)
        .filter(|number| !(300..=302).contains(number))
        .for_each(|number| days.bench.want(&entry(number, 1, &[])));
    assert_eq!(days.bench.taken().len(), FOLLOWING_OF_ONE_AT_ONCE);
    days.bench.want(&entry(302, 1, &["a:read"]));
    days.bench.want(&entry(300, 2, &["a:read"]));
    days.bench.want(&disabled(301));
    assert_eq!(days.bench.taken(), [(ONE.to_owned(), 301), (ONE.to_owned(), 300)]);
}
