//! What may still arrive after a crash or without an answer, and what the store is told until then.

use super::*;
use crate::domain::account::EntryHandle;
use crate::provisioning::queue::open_requests::LATEST_NOTICE;

/// How long an operator doubts what another one sent.
const OF_OTHERS: Duration = MAX_REORDER_DELAY.saturating_add(LATEST_NOTICE);

fn disabled(number: u128, revision: i64) -> Entry {
    let mut entry = entry(number, revision, &[]);
    let person = entry.person.as_mut().unwrap();
    (person.active, person.password) = (false, None);
    entry
}

/// Brings what is due, which is one entry, and returns it.
fn bring_one(bench: &mut Bench) -> Entry {
    let mut taken = bench.take();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let delivery = taken.remove(0);
    bench.answer(&delivery, Ok(()));
    bench.tell();
    delivery.entry
}

fn is_settled(bench: &Bench, number: u128, revision: i64) -> bool {
    let known = &bench.store[&account(number)][ONE];
    known.revision == Revision(revision) && !is_unverified(known)
}

/// Alice is disabled, and about to be enabled when the operator is killed.
fn killed_while_enabling() -> Bench {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&disabled(1, 1));
    bench.bring_all();
    bench.want(&entry(1, 2, &[]));
    assert_eq!(bench.taken().len(), 1, "it is on its way for ever");
    bench.succeed();
    bench
}

#[tokio::test(start_paused = true)]
async fn an_enabling_request_of_a_killed_operator_that_comes_after_its_successor_disabled_is_undone_within_a_minute()
 {
    let mut bench = killed_while_enabling();
    let begun = bench.now;
    bench.want(&disabled(1, 3));
    bring_one(&mut bench);
    assert_eq!(bench.stored(1), 1, "the Disable isn't complete while somebody may be let in again");
    assert_eq!(bench.provisioning.unverified_until(ONE, account(1)), Some(begun + OF_OTHERS));
    bench.want(&disabled(1, 3));
    assert_eq!(bench.taken(), [], "what waits isn't brought again and again");
    bench.now = bench.provisioning.next_due().unwrap();
    assert_eq!(bench.now, begun + OF_OTHERS);
    assert!(!bring_one(&mut bench).person.unwrap().active);
    assert!(is_settled(&bench, 1, 3));
    assert_eq!(bench.provisioning.unverified_until(ONE, account(1)), None);
    assert_eq!(bench.provisioning.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_while_a_request_is_in_doubt_doubts_it_for_a_minute_of_its_own() {
    let mut bench = killed_while_enabling();
    bench.want(&disabled(1, 3));
    bring_one(&mut bench);
    bench.now += Duration::from_secs(20);
    bench.succeed();
    bench.want(&disabled(1, 3));
    bring_one(&mut bench);
    assert_eq!(bench.stored(1), 1);
    bench.now += OF_OTHERS - Duration::from_secs(1);
    assert_eq!(bench.taken(), []);
    bench.now += Duration::from_secs(1);
    bring_one(&mut bench);
    assert!(is_settled(&bench, 1, 3));

    // The same of an entry that takes nothing away: the store is told, and knows of the doubt.
    let mut bench = killed_while_enabling();
    bench.want(&entry(1, 3, &[]));
    bring_one(&mut bench);
    assert!(bench.stored(1) == 3 && !is_settled(&bench, 1, 3));
    bench.now += Duration::from_secs(20);
    bench.succeed();
    bench.want(&entry(1, 3, &[]));
    bring_one(&mut bench);
    assert!(!is_settled(&bench, 1, 3));
    bench.now += OF_OTHERS;
    assert!(
        bring_one(&mut bench).person.unwrap().password.unwrap().is_new,
        "an older one may have come"
    );
    assert!(is_settled(&bench, 1, 3));
}

#[tokio::test(start_paused = true)]
async fn disabling_whom_nobody_else_can_have_enabled_is_complete_at_once_also_after_a_crash() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    bench.bring_all();
    bench.want(&disabled(1, 2));
    assert_eq!(bench.taken().len(), 1);
    bench.succeed();
    bench.want(&disabled(1, 2));
    bring_one(&mut bench);
    assert_eq!((bench.stored(1), bench.provisioning.unverified_until(ONE, account(1))), (2, None));
}

#[tokio::test(start_paused = true)]
async fn the_creation_of_a_removed_account_that_comes_late_is_found_and_the_removal_is_not_complete_before()
 {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    assert_eq!(bench.taken().len(), 1);
    bench.succeed();
    bench.want(&Entry::gone(account(1), Revision(2), "acme"));
    bring_one(&mut bench);
    assert_eq!(bench.stored(1), 0);
    bench.now += OF_OTHERS;
    assert!(bring_one(&mut bench).person.is_none());
    assert_eq!(bench.stored(1), 2);

    // Also where the store lost the account, and nobody waits.
    let mut bench = Bench::new(&[ONE]);
    bench.succeed();
    bench.provisioning.deprovision(&user(1), account(1), bench.now);
    bring_one(&mut bench);
    bench.now += OF_OTHERS;
    bring_one(&mut bench);
    assert_eq!(bench.provisioning.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_twice_that_was_settled_or_that_this_operator_created_itself() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    bench.bring_all();
    bench.succeed();
    bench.want(&entry(1, 1, &[]));
    assert_eq!((bench.taken(), bench.provisioning.next_due()), (vec![], None));
    bench.provisioning.record_created(account(2), bench.now);
    bench.want(&entry(2, 1, &[]));
    bring_one(&mut bench);
    // What was settled when it began is its own, however often it changes since.
    bench.want(&entry(1, 2, &[]));
    bench.want(&disabled(1, 3));
    bring_one(&mut bench);
    assert!(is_settled(&bench, 1, 3) && is_settled(&bench, 2, 1));
    // And a minute later all is its own.
    bench.now += OF_OTHERS;
    bench.want(&entry(3, 5, &[]));
    bring_one(&mut bench);
    assert_eq!(bench.provisioning.next_due(), None);
    assert!(is_settled(&bench, 3, 5));
}

#[tokio::test(start_paused = true)]
async fn disabling_waits_for_an_enabling_request_without_an_answer_and_for_no_other() {
    for (lost, waits) in [(entry(1, 2, &[]), true), (disabled(1, 2), false)] {
        let mut bench = Bench::new(&[ONE]);
        bench.want(&disabled(1, 1));
        bench.bring_all();
        bench.want(&lost);
        let delivery = bench.take().remove(0);
        bench.answer(&delivery, Err(DirectoryError::Failed("it answers 504".to_owned())));
        bench.now += Duration::from_secs(10);
        bench.want(&disabled(1, 3));
        bring_one(&mut bench);
        assert_eq!(bench.stored(1), if waits { 1 } else { 3 });
        // The directory is down meanwhile: how often what disables is tried makes the wait no
        // longer.
        bench.now += Duration::from_secs(50);
        let second = bench.take().remove(0);
        bench.answer(&second, Err(DirectoryError::Timeout));
        bench.now = bench.provisioning.next_due().unwrap();
        bring_one(&mut bench);
        assert_eq!(bench.stored(1), 3);
        assert!(!is_settled(&bench, 1, 3), "the last one without an answer may come still");
        bench.now += MAX_REORDER_DELAY;
        bring_one(&mut bench);
        assert!(is_settled(&bench, 1, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rights_of_an_entry_in_doubt_are_known_as_long_as_all_that_may_arrive_has_the_same() {
    let rights =
        |bench: &Bench| bench.store[&account(1)][ONE].fingerprint.as_ref().unwrap().rights.clone();
    let own = entry(1, 1, &["a:read"]).fingerprint().unwrap().rights;
    for (permissions, known) in
        [(["a:read"].as_slice(), own), (&["b:read"], Some(unknown_rights()))]
    {
        let mut bench = Bench::new(&[ONE]);
        bench.want(&entry(1, 1, &["a:read"]));
        bench.bring_all();
        let mut changed = entry(1, 1, permissions);
        changed.person.as_mut().unwrap().profile.display_name = "Another name".to_owned();
        bench.want(&changed);
        bench.tell();
        assert_eq!(
            (rights(&bench), is_unverified(&bench.store[&account(1)][ONE])),
            (known.clone(), true)
        );
        let lost = bench.take().remove(0);
        bench.answer(&lost, Err(DirectoryError::Timeout));
        bench.want(&entry(1, 1, &["a:read"]));
        bench.now += Duration::from_secs(1);
        bring_one(&mut bench);
        assert_eq!(rights(&bench), known, "it was confirmed, and the other one may come still");
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_of_an_entry_outlives_every_doubt() {
    let key = |key: &str| Some(EntryHandle(key.to_owned()));
    let mut bench = killed_while_enabling();
    bench.want(&disabled(1, 3));
    let delivery = bench.take().remove(0);
    let provisioned = Provisioned { handle: key("7"), ..Provisioned::default() };
    bench.provisioning.on_answer(ONE, &delivery.entry, Ok(provisioned), bench.now);
    bench.tell();
    assert_eq!((bench.stored(1), &bench.store[&account(1)][ONE].handle), (1, &key("7")));
    bench.succeed();
    bench.want(&disabled(1, 3));
    assert_eq!(bench.take()[0].entry.handle, key("7"));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_in_doubt_is_of_nobody_who_is_there() {
    let mut bench = killed_while_enabling();
    let gone = Entry::gone(account(1), Revision(2), "acme");
    bench.want(&gone);
    assert!(bench.take().iter().all(|delivery| delivery.entry.was_confirmed), "it was there");
    bench.succeed();
    bench.want(&gone);
    let first = bench.take().remove(0);
    bench.answer(&first, Err(DirectoryError::Timeout));
    bench.now += Duration::from_secs(10);
    assert!(bring_one(&mut bench).was_confirmed, "nobody knows whether the first one did it");
    bench.now = bench.provisioning.next_due().unwrap();
    assert!(!bring_one(&mut bench).was_confirmed, "the directory confirmed that it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_not_forgotten_because_the_store_has_the_entry_as_it_is() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    bench.bring_all();
    // What is compared or put back has no answer, and the same entry is asked for again meanwhile.
    let now = bench.now;
    bench
        .provisioning
        .directories
        .get_mut(ONE)
        .unwrap()
        .open_requests
        .record_unanswered(&entry(1, 1, &[]), now);
    bench.want(&entry(1, 1, &[]));
    bench.want(&disabled(1, 2));
    bring_one(&mut bench);
    assert_eq!(
        (bench.stored(1), bench.provisioning.unverified_until(ONE, account(1))),
        (1, Some(now + MAX_REORDER_DELAY))
    );
    bench.now += MAX_REORDER_DELAY;
    bring_one(&mut bench);
    assert!(is_settled(&bench, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_loses_rights_is_told_of_as_long_as_a_late_request_may_give_them_back() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    bench.bring_all();
    bench.want(&entry(1, 2, &["a:read", "b:read"]));
    let lost = bench.take().remove(0);
    bench.answer(&lost, Err(DirectoryError::Timeout));
    let until = bench.now + MAX_REORDER_DELAY;
    bench.now += Duration::from_secs(5);
    bench.want(&entry(1, 3, &["a:read"]));
    bring_one(&mut bench);
    assert_eq!(
        (bench.stored(1), bench.provisioning.unverified_until(ONE, account(1))),
        (3, Some(until))
    );
    let missing = bench.missing(1).clone().unwrap();
    assert!(missing.revokes && missing.is_lasting && missing.held_for.is_some(), "{missing:?}");
    bench.now = until;
    bring_one(&mut bench);
    assert_eq!(bench.missing(1), None);
}

#[tokio::test(start_paused = true)]
async fn a_second_look_that_fails_leaves_it_open_again_what_the_directory_has() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &[]));
    let lost = bench.take().remove(0);
    bench.answer(&lost, Err(DirectoryError::Timeout));
    bench.now = bench.provisioning.next_due().unwrap();
    bring_one(&mut bench);
    assert_eq!(bench.missing(1), None, "it has it, and is only looked at once more");
    bench.now = bench.provisioning.next_due().unwrap();
    let second = bench.take().remove(0);
    bench.answer(&second, Err(DirectoryError::refused("not her")));
    assert!(bench.missing(1).is_some_and(|missing| missing.has_failed));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_again_and_may_still_be_done_before_is_in_doubt() {
    let mut bench = Bench::new(&[ONE]);
    bench.want(&entry(1, 1, &["a:read"]));
    let delivery = bench.take().remove(0);
    let again = Provisioned { may_be_late: true, ..Provisioned::default() };
    bench.provisioning.on_answer(ONE, &delivery.entry, Ok(again), bench.now);
    bench.tell();
    assert!(!is_settled(&bench, 1, 1));
    bench.now += MAX_REORDER_DELAY;
    bring_one(&mut bench);
    assert!(is_settled(&bench, 1, 1));
}
