//! What is brought when, and what the store is told before and after.

mod open_requests;
mod pace;

use std::time::Duration;

use super::open_requests::MAX_REORDER_DELAY;
use super::pace::{FOLLOWING_AT_ONCE, FOLLOWING_OF_ONE_AT_ONCE, LONGEST_REST};
use super::*;
use crate::domain::password::PasswordHash;
use crate::domain::profile::Profile;
use crate::plan::Plan;
use crate::provisioning::DirectoryUser;
use crate::provisioning::LoginPassword;

const ONE: &str = "one";
const TWO: &str = "two";

pub(super) fn account(number: u128) -> AccountId {
    AccountId(uuid::Uuid::from_u128(number))
}

pub(super) fn user(number: u128) -> ObjectKey {
    ObjectKey::new(crate::domain::object_key::Kind::User, "acme", format!("user-{number}"))
}

pub(super) fn entry(number: u128, revision: i64, permissions: &[&str]) -> Entry {
    let person = DirectoryUser {
        login_name: format!("user-{number}.acme"),
        email: format!("user-{number}@acme.example"),
        active: true,
        profile: Profile { display_name: "A user".to_owned(), ..Profile::default() },
        role: None,
        group: "users".to_owned(),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
        password: Some(LoginPassword::new(PasswordHash::from_stored("a hash".to_owned()))),
    };
    Entry {
        account: account(number),
        revision: Revision(revision),
        organization: "acme".to_owned(),
        adopts: false,
        compares: false,
        handle: None,
        was_confirmed: false,
        former_login_name: None,
        person: Some(person),
    }
}

/// Has directories brought entries, the store being told of each answer at once, as if nothing ever
/// failed there.
struct Bench {
    provisioning: Provisioning,
    store: HashMap<AccountId, Confirmations>,
    now: Instant,
}

impl Bench {
    fn new(directories: &[&str]) -> Self {
        let names = directories.iter().map(|&name| name.to_owned());
        Self { provisioning: Provisioning::new(names), store: HashMap::new(), now: Instant::now() }
    }

    fn want(&mut self, entry: &Entry) {
        let number = entry.account.0.as_u128();
        let confirmed = self.store.get(&entry.account).cloned().unwrap_or_default();
        self.provisioning.enqueue(&user(number), entry, &confirmed, None, self.now);
    }

    /// Returns what the directory has yet to confirm of an account.
    fn missing(&mut self, number: u128) -> Option<crate::plan::in_flight::Missing> {
        self.provisioning.states(Some(account(number)), false, self.now)[ONE].missing.clone()
    }

    /// Returns what is brought now: the directory, and the account's number.
    fn take(&mut self) -> Vec<ProvisioningTask> {
        self.provisioning.take(self.now)
    }

    fn taken(&mut self) -> Vec<(String, u128)> {
        self.take()
            .into_iter()
            .map(|delivery| (delivery.directory, delivery.entry.account.0.as_u128()))
            .collect()
    }

    fn answer(&mut self, delivery: &ProvisioningTask, answer: Result<(), DirectoryError>) -> usize {
        let answer = answer.map(|()| Provisioned::default());
        self.provisioning.on_answer(&delivery.directory, &delivery.entry, answer, self.now).len()
    }

    /// Writes what there is to tell into the store, as the commit of a confirmation does.
    fn tell(&mut self) {
        for (_, account, plan) in self.provisioning.pending_acks(usize::MAX) {
            let Plan::Confirm(plan) = plan else { panic!("that isn't a confirmation") };
            self.store.entry(account).or_default().extend(plan.confirmed);
            self.provisioning.acks_saved(account, self.now);
        }
    }

    /// Forgets everything but the store, for so long that nothing can arrive any more.
    fn crash(&mut self) {
        let names: Vec<String> = self.provisioning.directories.keys().cloned().collect();
        self.provisioning = Provisioning::new(names);
    }

    /// Has another operator take over at once, which knows what is in the store.
    fn succeed(&mut self) {
        self.crash();
        self.provisioning = std::mem::take(&mut self.provisioning).after_predecessor(self.now);
    }

    /// Returns the revision that the store knows to be confirmed, 0 where none is.
    fn stored(&self, number: u128) -> i64 {
        let confirmed = self.store.get(&account(number)).and_then(|confirmed| confirmed.get(ONE));
        confirmed.map_or(0, |confirmed| confirmed.revision.0)
    }

    fn bring_all(&mut self) {
        loop {
            let taken = self.take();
            if taken.is_empty() {
                return;
            }
            taken.iter().for_each(|delivery| _ = self.answer(delivery, Ok(())));
            self.tell();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_directory_confirmed_is_not_brought_again_and_what_changed_is_also_at_the_same_revision()
 {
    let mut bench = Bench::new(&[ONE, TWO]);
    bench.want(&entry(1, 1, &["a:read"]));
    assert_eq!(bench.taken(), [(ONE.to_owned(), 1), (TWO.to_owned(), 1)]);
    bench.crash();
    bench.want(&entry(1, 1, &["a:read"]));
    bench.bring_all();
    bench.want(&entry(1, 1, &["a:read"]));
    assert_eq!(bench.taken(), []);
    bench.want(&entry(1, 1, &["a:read", "b:read"]));
    assert_eq!(bench.taken(), [], "the store isn't told yet that it is in doubt");
    bench.tell();
    assert_eq!(bench.taken().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_taken_back_after_a_crash_is_taken_back_in_the_directory_too() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    bench.bring_all();
    bench.want(&entry(1, 1, &["a:read", "b:read"]));
    bench.tell();
    assert_eq!(bench.taken().len(), 1, "and whether it arrived, nobody knows");
    bench.crash();
    bench.want(&entry(1, 1, &["a:read"]));
    assert_eq!(bench.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_brought_before_the_store_knows_of_the_doubt_however_often_the_entry_changes_until_then()
 {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    bench.bring_all();
    bench.want(&entry(1, 1, &["b:read"]));
    bench.want(&entry(1, 1, &["c:read"]));
    assert_eq!(bench.taken(), []);
    bench.tell();
    let delivery = bench.take().remove(0);
    assert_eq!(delivery.entry.person.as_ref().unwrap().permissions, ["c:read"]);
    // The answer comes, and before the store is told of it, somebody changes the entry once more.
    bench.answer(&delivery, Ok(()));
    bench.want(&entry(1, 1, &["d:read"]));
    assert_eq!(bench.taken().len(), 1, "the store has it in doubt still");
    bench.tell();
    assert!(is_unverified(&bench.store[&account(1)][ONE]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_is_not_wanted_any_more_leaves_the_entry_in_doubt_and_the_newer_one_follows()
 {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    let first = bench.take();
    bench.want(&entry(1, 1, &["b:read"]));
    assert_eq!(bench.taken(), [], "one of an account at a time");
    bench.answer(&first[0], Ok(()));
    bench.tell();
    let known = bench.store[&account(1)][ONE].clone();
    assert_eq!((known.revision, is_unverified(&known)), (Revision(1), true));
    let second = bench.take();
    assert_eq!(second[0].entry.person.as_ref().unwrap().permissions, ["b:read"]);
}

#[tokio::test(start_paused = true)]
async fn a_password_is_new_until_it_was_confirmed_and_not_because_something_else_changed() {
    let is_new = |delivery: &ProvisioningTask| {
        delivery.entry.person.as_ref().unwrap().password.as_ref().unwrap().is_new
    };
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    let first = bench.take();
    assert!(is_new(&first[0]));
    bench.answer(&first[0], Ok(()));
    bench.tell();
    bench.want(&entry(1, 1, &["a:read"]));
    bench.tell();
    let second = bench.take();
    assert!(!is_new(&second[0]));
    bench.crash();
    bench.want(&entry(1, 2, &["a:read"]));
    let third = bench.take();
    assert!(!is_new(&third[0]), "not after a crash either");
    let mut rotated = entry(1, 3, &["a:read"]);
    rotated.person.as_mut().unwrap().password.as_mut().unwrap().hash =
        PasswordHash::from_stored("another".to_owned());
    bench.crash();
    bench.want(&rotated);
    assert!(is_new(&bench.take()[0]));
}

#[tokio::test(start_paused = true)]
async fn whom_a_directory_refuses_holds_up_nobody_and_is_tried_ever_less_often() {
    let mut bench = Bench::new(&[ONE]);
    (1..=400).for_each(|number| bench.want(&entry(number, 1, &[])));
    let mut brought = BTreeSet::new();
    for _ in 0..20 {
        for delivery in bench.take() {
            let number = delivery.entry.account.0.as_u128();
            let answer = if number == 1 { Err(DirectoryError::refused("no")) } else { Ok(()) };
            if answer.is_ok() {
                brought.insert(number);
            }
            bench.answer(&delivery, answer);
        }
        bench.tell();
    }
    assert_eq!(brought, (2..=400).collect());
    let mut tries = 0;
    let start = bench.now;
    while bench.now < start + Duration::from_secs(600) {
        bench.now = bench.provisioning.next_due().unwrap();
        for delivery in bench.take() {
            tries += 1;
            assert_eq!(
                bench.answer(&delivery, Err(DirectoryError::refused("no"))),
                0,
                "which is no news"
            );
        }
    }
    assert!((10..=25).contains(&tries), "{tries} tries in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_down_is_asked_by_one_entry_at_a_time_and_everybody_whom_it_concerns_is_told()
 {
    let mut bench = Bench::new(&[ONE, TWO]);
    let down = || Err(DirectoryError::Unreachable("nobody listens".to_owned()));
    (1..=400).for_each(|number| bench.want(&entry(number, 1, &[])));
    let concerned: Vec<usize> = bench
        .take()
        .iter()
        .map(|delivery| {
            bench.answer(delivery, if delivery.directory == ONE { down() } else { Ok(()) })
        })
        .filter(|concerned| *concerned > 0)
        .collect();
    assert_eq!(concerned, [400], "once, and all of them");
    bench.tell();
    let mut asked = vec![];
    let start = bench.now;
    while bench.now < start + Duration::from_secs(1800) {
        bench.now = bench.provisioning.next_due().unwrap().max(bench.now);
        for delivery in bench.take() {
            let answer = if delivery.directory == ONE { down() } else { Ok(()) };
            if delivery.directory == ONE {
                asked.push(bench.now);
            }
            bench.answer(&delivery, answer);
        }
        bench.tell();
    }
    assert_eq!(bench.provisioning.pending().collect::<Vec<_>>(), [(ONE, 400), (TWO, 0)]);
    assert!((25..=60).contains(&asked.len()), "{} tries in half an hour", asked.len());
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_secs(72)));
    bench.now += LONGEST_REST * 2;
    let probe = bench.take();
    assert_eq!(probe.len(), 1);
    bench.answer(&probe[0], Ok(()));
    bench.now += LONGEST_REST * 2;
    bench.bring_all();
    assert_eq!(bench.provisioning.pending().collect::<Vec<_>>(), [(ONE, 0), (TWO, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_asks_to_wait_is_left_alone_as_long_as_it_asks_and_never_longer_than_a_minute()
 {
    for (after, bounds) in [(0, 800..=1200), (7, 5600..=8400), (1_000_000, 48_000..=72_000)] {
        let mut bench = Bench::new(&[ONE]);
        bench.want(&entry(1, 1, &[]));
        let delivery = bench.take().remove(0);
        bench.answer(
            &delivery,
            Err(DirectoryError::RateLimited {
                after: Some(Duration::from_secs(after)),
                may_be_done: false,
            }),
        );
        let wait = bench.provisioning.next_due().unwrap() - bench.now;
        assert!(bounds.contains(&wait.as_millis()), "{wait:?} where {after} s were asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn who_loses_their_way_in_goes_before_hundreds_who_wait() {
    let mut bench = Bench::new(&[ONE]);
    (1..=400).for_each(|number| bench.want(&entry(number, 1, &[])));
    assert_eq!(bench.taken().len(), FOLLOWING_OF_ONE_AT_ONCE);
    let mut disabled = entry(300, 1, &[]);
    disabled.person.as_mut().unwrap().active = false;
    bench.want(&disabled);
    bench.want(&Entry::gone(account(301), Revision(2), "acme"));
    assert_eq!(bench.taken(), [(ONE.to_owned(), 300), (ONE.to_owned(), 301)]);
}

#[tokio::test(start_paused = true)]
async fn one_organization_leaves_a_directory_room_for_others_and_is_served_by_turns_with_them() {
    let of = |organization: &str, number| Entry {
        organization: organization.to_owned(),
        ..entry(number, 1, &[])
    };
    let mut bench = Bench::new(&[ONE]);
    (1..=400).for_each(|number| bench.want(&of("noisy", number)));
    let taken = bench.take();
    assert_eq!((taken.len(), bench.provisioning.next_due()), (FOLLOWING_OF_ONE_AT_ONCE, None));
    (401..=800).for_each(|number| bench.want(&of("quiet", number)));
    let count = |taken: &[ProvisioningTask], organization: &str| {
        taken.iter().filter(|delivery| delivery.entry.organization == organization).count()
    };
    let next = bench.take();
    assert_eq!(
        (next.len(), count(&next, "quiet")),
        (FOLLOWING_AT_ONCE - FOLLOWING_OF_ONE_AT_ONCE, next.len())
    );
    taken.iter().for_each(|delivery| _ = bench.answer(delivery, Ok(())));
    let next = bench.take();
    let (noisy, quiet) = (count(&next, "noisy"), count(&next, "quiet"));
    assert!(
        noisy.abs_diff(quiet) <= FOLLOWING_AT_ONCE - FOLLOWING_OF_ONE_AT_ONCE,
        "{noisy} and {quiet}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_store_is_told_of_one_organization_does_not_wait_for_all_of_another() {
    let mut bench = Bench::new(&[ONE]);
    let of = |organization: &str, number| Entry {
        organization: organization.to_owned(),
        ..entry(number, 1, &[])
    };
    (1..=150).for_each(|number| bench.want(&of("noisy", number)));
    bench.provisioning.enqueue(
        &ObjectKey::new(crate::domain::object_key::Kind::User, "quiet", "edna"),
        &of("quiet", 151),
        &Confirmations::new(),
        None,
        bench.now,
    );
    bench.take().iter().for_each(|delivery| _ = bench.answer(delivery, Ok(())));
    let told: Vec<String> =
        bench.provisioning.pending_acks(10).into_iter().map(|(user, ..)| user.namespace).collect();
    assert_eq!((told.len(), told.contains(&"quiet".to_owned())), (10, true));
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_when_a_directory_failed_counts_once_and_a_refusal_shows_that_it_works_again()
 {
    let mut bench = Bench::new(&[ONE]);
    (1..=400).for_each(|number| bench.want(&entry(number, 1, &[])));
    for delivery in bench.take() {
        bench.now += Duration::from_millis(500);
        bench.answer(&delivery, Err(DirectoryError::Unreachable("it answers 503".to_owned())));
    }
    let due = bench.provisioning.next_due().unwrap();
    assert!(due <= bench.now + Duration::from_secs(2), "one failure, one short rest");
    bench.now = due.max(bench.now);
    let probe = bench.take();
    assert_eq!(probe.len(), 1);
    bench.answer(&probe[0], Err(DirectoryError::refused("not her")));
    assert_eq!(bench.taken().len(), FOLLOWING_OF_ONE_AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_fails_over_one_account_is_asked_by_the_others_and_over_a_second_one_it_rests()
 {
    let failed = || Err(DirectoryError::Failed("it answers 500".to_owned()));
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    for _ in 0..5 {
        bench.now = bench.provisioning.next_due().unwrap().max(bench.now);
        let delivery = bench.take().remove(0);
        bench.answer(&delivery, failed());
    }
    bench.want(&entry(2, 1, &[]));
    assert_eq!(bench.taken(), [(ONE.to_owned(), 2)], "at once");

    let mut bench = Bench::new(&[ONE]);
    (1..=9).for_each(|number| bench.want(&entry(number, 1, &[])));
    let taken = bench.take();
    bench.answer(&taken[0], failed());
    bench.answer(&taken[1], Ok(()));
    bench.answer(&taken[2], failed());
    bench.want(&entry(10, 1, &[]));
    assert_eq!(bench.taken(), [(ONE.to_owned(), 10)], "somebody was luckier in between");
    bench.answer(&taken[3], failed());
    bench.want(&entry(11, 1, &[]));
    assert_eq!(bench.taken(), []);
}

#[tokio::test(start_paused = true)]
async fn a_password_that_a_directory_has_is_not_new_to_it_after_disabling_and_enabling() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    bench.bring_all();
    let mut disabled = entry(1, 2, &[]);
    let person = disabled.person.as_mut().unwrap();
    (person.active, person.password) = (false, None);
    bench.want(&disabled);
    bench.bring_all();
    bench.want(&disabled);
    assert_eq!(bench.taken(), [], "it is confirmed");
    bench.crash();
    bench.want(&entry(1, 3, &[]));
    let enabled = bench.take().remove(0).entry;
    assert!(!enabled.person.unwrap().password.unwrap().is_new);
}

#[tokio::test(start_paused = true)]
async fn what_may_still_arrive_after_a_confirmation_is_looked_for_once_more() {
    for (last, is_gone) in
        [(entry(1, 2, &[]), false), (Entry::gone(account(1), Revision(2), "acme"), true)]
    {
        let mut bench = Bench::new(&[ONE]);
        bench.want(&entry(1, 1, &[]));
        let lost = bench.take().remove(0);
        bench.want(&last);
        bench.answer(&lost, Err(DirectoryError::Timeout));
        let confirmed = bench.take().remove(0);
        bench.answer(&confirmed, Ok(()));
        bench.tell();
        // No transaction waits for that, except where the entry that is gone may come back.
        assert_eq!(bench.stored(1), if is_gone { 0 } else { 2 });
        bench.want(&last);
        assert_eq!(bench.taken(), []);
        bench.now += MAX_REORDER_DELAY;
        assert_eq!(bench.taken(), [(ONE.to_owned(), 1)], "is gone: {is_gone}");
        bench.answer(&confirmed, Ok(()));
        bench.tell();
        bench.now += MAX_REORDER_DELAY;
        bench.want(&last);
        assert_eq!(bench.taken(), []);
        assert_eq!(bench.provisioning.pending().collect::<Vec<_>>(), [(ONE, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_still_arrive_is_looked_for_also_after_something_newer_came_in_between() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    let lost = bench.take().remove(0);
    bench.answer(&lost, Err(DirectoryError::Timeout));
    bench.now += Duration::from_secs(2);
    bench.bring_all();
    bench.want(&entry(1, 2, &[]));
    bench.bring_all();
    bench.now += MAX_REORDER_DELAY;
    let second = bench.take().remove(0).entry.person.unwrap();
    assert_eq!(second.permissions, [""; 0]);
    assert!(second.password.unwrap().is_new, "which one it has nobody sees");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_lost_an_entry_is_brought_its_password_again() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    bench.bring_all();
    bench.want(&entry(1, 2, &[]));
    let known = bench.take().remove(0);
    assert!(!known.entry.person.as_ref().unwrap().password.as_ref().unwrap().is_new);
    bench.answer(&known, Err(DirectoryError::EntryRecreated));
    bench.now = bench.provisioning.next_due().unwrap();
    assert!(bench.take().remove(0).entry.person.unwrap().password.unwrap().is_new);
}
