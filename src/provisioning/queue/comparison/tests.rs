//! What is compared when, and what becomes of what isn't as it was confirmed.

use super::*;
use crate::domain::account::EntryHandle;
use crate::provisioning::queue::ProvisioningTask;
use crate::provisioning::queue::tests::{account, entry, user};

const ONE: &str = "one";
const PERIOD: Duration = Duration::from_secs(3600);

/// A directory that is compared with accounts that it confirmed.
struct Bench {
    provisioning: Provisioning,
    accounts: Vec<Comparable>,
    now: Instant,
}

impl Bench {
    fn new(many: u128) -> Self {
        let mut provisioning = Provisioning::new([ONE.to_owned()]);
        let now = Instant::now();
        provisioning.compare_every(PERIOD, 0.0, now);
        let accounts = (0..many).map(|number| comparable(&entry(number, 1, &["a:read"]))).collect();
        Self { provisioning, accounts, now }
    }

    /// Reads the pages that are due, as the reconciler does. Returns how many accounts were read.
    fn read(&mut self) -> usize {
        let mut read = 0;
        for page in self.provisioning.pages_due(self.now) {
            let name = |it: &Comparable| (it.user.namespace.clone(), it.user.name.clone());
            let mut all = self.accounts.clone();
            all.sort_by_key(|it| it.user.name.clone());
            all.retain(|it| page.after.as_ref().is_none_or(|after| name(it) > *after));
            all.truncate(Page::size(self.accounts.len()));
            let names: Vec<UserName> = all.iter().map(name).collect();
            read += names.len();
            self.provisioning.compare(&page, (&names, self.accounts.len()), &all, self.now);
        }
        read
    }

    fn take(&mut self) -> Vec<ProvisioningTask> {
        self.provisioning.take(self.now)
    }

    fn answer(
        &mut self,
        delivery: &ProvisioningTask,
        answer: Result<Provisioned, DirectoryError>,
    ) -> Vec<ObjectKey> {
        self.provisioning.on_answer(ONE, &delivery.entry, answer, self.now)
    }

    /// Goes on until a time, and answers that nothing was to be done. Returns the accounts that
    /// were compared.
    fn go_on(&mut self, until: Instant) -> Vec<AccountId> {
        let mut compared = vec![];
        loop {
            self.read();
            let taken = self.take();
            for delivery in &taken {
                assert!(
                    delivery.entry.compares
                        && delivery.entry.was_confirmed
                        && delivery.password.is_none()
                );
                compared.push(delivery.entry.account);
                self.answer(delivery, Ok(as_known()));
            }
            if !taken.is_empty() {
                continue;
            }
            let due = [self.provisioning.next_page_due(), self.provisioning.next_due()]
                .into_iter()
                .flatten()
                .min();
            match due.filter(|due| *due <= until) {
                Some(due) => self.now = self.now.max(due),
                None => return compared,
            }
        }
    }

    fn take_one(&mut self) -> ProvisioningTask {
        self.read();
        let taken = self.take();
        assert_eq!(taken.len(), 1);
        taken.into_iter().next().unwrap()
    }
}

fn known_of(entry: &Entry) -> DirectoryAck {
    let (revision, fingerprint) = (entry.revision, entry.fingerprint());
    DirectoryAck { revision, fingerprint, handle: Some(EntryHandle("its key".to_owned())) }
}

fn comparable(entry: &Entry) -> Comparable {
    let number = entry.account.0.as_u128();
    let confirmed = [(ONE.to_owned(), known_of(entry))].into();
    Comparable {
        user: user(number),
        owner: format!("uid-{number}"),
        entry: entry.clone(),
        confirmed,
    }
}

fn as_known() -> Provisioned {
    Provisioned { handle: Some(EntryHandle("its key".to_owned())), ..Provisioned::default() }
}

#[tokio::test(start_paused = true)]
async fn every_entry_is_compared_once_in_a_period_and_spread_over_it_and_nothing_is_told() {
    for many in [1, 7, 250, 1000] {
        let mut bench = Bench::new(many);
        let begun = bench.now;
        let half = bench.go_on(begun + PERIOD / 2).len();
        let share = usize::try_from(many / 2).unwrap();
        assert!(
            half.abs_diff(share) <= 2 + Page::size(share * 2),
            "{half} of {many} in half the time"
        );
        for periods in 1..4 {
            let mut compared = if periods == 1 {
                vec![]
            } else {
                bench.go_on(begun + PERIOD * (periods - 1) + PERIOD / 2)
            };
            compared.extend(bench.go_on(begun + PERIOD * periods - Duration::from_secs(1)));
            let compared = compared.len() + if periods == 1 { half } else { 0 };
            assert_eq!(compared, usize::try_from(many).unwrap(), "in period {periods}");
        }
        assert!(
            !bench.provisioning.has_unsaved_acks() && bench.provisioning.take_drift().is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn few_are_compared_at_once_and_the_next_are_read_when_they_are_through() {
    let mut bench = Bench::new(6400);
    assert_eq!(bench.read(), 64);
    let taken = bench.take();
    assert_eq!(taken.len(), AT_ONCE);
    bench.now += PERIOD;
    assert_eq!((bench.read(), bench.take().len()), (0, 0));
    bench.answer(&taken[0], Ok(as_known()));
    assert_eq!((bench.read(), bench.take().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_compared_while_the_directory_has_much_to_take_or_rests() {
    let mut bench = Bench::new(1);
    for number in 100..200 {
        bench.provisioning.enqueue(
            &user(number),
            &entry(number, 1, &[]),
            &Confirmations::new(),
            None,
            bench.now,
        );
    }
    bench.read();
    let taken = bench.take();
    assert!(taken.len() == 100 && taken.iter().all(|delivery| !delivery.entry.compares));
    assert_eq!(bench.provisioning.next_due(), None);
    taken[..50].iter().for_each(|delivery| _ = bench.answer(delivery, Ok(as_known())));
    let compared = bench.take();
    assert!(compared.len() == 1 && compared[0].entry.compares);
    bench.answer(&compared[0], Ok(as_known()));
    bench.now += PERIOD;
    bench.answer(&taken[50], Err(DirectoryError::Unreachable("it is down".to_owned())));
    assert_eq!((bench.provisioning.next_page_due(), bench.read()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newer_entry_replaces_a_comparison_and_waits_for_one_that_is_under_way() {
    let mut bench = Bench::new(1);
    bench.read();
    let confirmed = bench.accounts[0].confirmed.clone();
    bench.provisioning.enqueue(&user(0), &entry(0, 2, &[]), &confirmed, None, bench.now);
    let taken = bench.take();
    assert!(taken.len() == 1 && !taken[0].entry.compares, "the older one isn't brought any more");
    bench.answer(&taken[0], Ok(as_known()));
    assert_eq!(bench.take().len(), 0, "nor afterwards");

    let mut bench = Bench::new(1);
    let compared = bench.take_one();
    bench.provisioning.enqueue(&user(0), &entry(0, 2, &[]), &confirmed, None, bench.now);
    assert_eq!(bench.take().len(), 0, "there is never more than one of an account on its way");
    bench.answer(&compared, Ok(as_known()));
    assert_eq!(bench.take()[0].entry.revision.0, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_or_in_doubt_is_none_of_its_business() {
    let mut bench = Bench::new(4);
    bench.accounts[0].confirmed.clear();
    bench.accounts[1].entry = entry(1, 2, &["a:read"]);
    bench.accounts[2].confirmed.get_mut(ONE).unwrap().fingerprint = None;
    bench.accounts[3].entry = entry(3, 1, &["another:right"]);
    let until = bench.now + PERIOD;
    assert_eq!(bench.go_on(until), []);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_is_said_once_and_put_back_once_the_store_has_it_in_doubt() {
    let mut bench = Bench::new(1);
    let compared = bench.take_one();
    assert_eq!(bench.answer(&compared, Err(DirectoryError::Drifted)), [user(0)]);
    let drift = Drift {
        directory: ONE.to_owned(),
        account: account(0),
        user: user(0),
        owner: "uid-0".to_owned(),
    };
    assert_eq!(bench.provisioning.take_drift(), [drift]);
    assert!(bench.provisioning.take_drift().is_empty());
    let news = bench.provisioning.pending_acks(usize::MAX);
    let [(_, _, crate::plan::Plan::Confirm(plan))] = &news[..] else { panic!("{news:?}") };
    let doubt = plan.confirmed.clone();
    assert!(is_unverified(&doubt[ONE]));
    bench.provisioning.enqueue(
        &user(0),
        &entry(0, 1, &["a:read"]),
        &bench.accounts[0].confirmed.clone(),
        None,
        bench.now,
    );
    assert_eq!(bench.take().len(), 0, "nobody else would know that something may arrive");
    bench.provisioning.acks_saved(account(0), bench.now);
    let brought = bench.take().remove(0).entry;
    assert!(!brought.compares && brought.was_confirmed);
}

#[tokio::test(start_paused = true)]
async fn the_store_is_told_of_a_key_that_it_did_not_have() {
    let mut bench = Bench::new(1);
    let known = bench.accounts[0].confirmed.get_mut(ONE).unwrap();
    known.handle = None;
    known.fingerprint.as_mut().unwrap().rights = None;
    let compared = bench.take_one();
    bench.answer(&compared, Ok(as_known()));
    let news = bench.provisioning.pending_acks(usize::MAX);
    let [(_, _, crate::plan::Plan::Confirm(plan))] = &news[..] else { panic!("{news:?}") };
    assert_eq!(plan.confirmed[ONE], known_of(&entry(0, 1, &["a:read"])));
    assert!(bench.provisioning.take_drift().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_put_back_is_in_doubt_and_brought_as_any_other() {
    for (problem, is_drift) in
        [(DirectoryError::refused("no"), false), (DirectoryError::Drifted, true)]
    {
        let mut bench = Bench::new(1);
        let compared = bench.take_one();
        assert_eq!(bench.answer(&compared, Err(problem)), [user(0)]);
        assert_eq!(!bench.provisioning.take_drift().is_empty(), is_drift);
        let news = bench.provisioning.pending_acks(usize::MAX);
        let [(_, _, crate::plan::Plan::Confirm(plan))] = &news[..] else { panic!("{news:?}") };
        let doubt = &plan.confirmed[ONE];
        assert!(is_unverified(doubt) && doubt.handle.is_some());
        assert!(doubt.fingerprint.as_ref().is_some_and(|known| known.password.is_some()));
        bench.provisioning.acks_saved(account(0), bench.now);
        bench.provisioning.enqueue(
            &user(0),
            &entry(0, 1, &["a:read"]),
            &plan.confirmed.clone(),
            None,
            bench.now,
        );
        let brought = bench.take().remove(0).entry;
        assert!(!brought.compares);
        assert!(!brought.person.unwrap().password.unwrap().is_new);
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_away_is_compared_later_and_holds_up_nothing_that_is_wanted() {
    let mut bench = Bench::new(1);
    let compared = bench.take_one();
    assert_eq!(
        bench.answer(&compared, Err(DirectoryError::Unreachable("it is down".to_owned()))),
        []
    );
    assert_eq!(bench.take().len(), 0);
    bench.provisioning.enqueue(&user(7), &entry(7, 1, &[]), &Confirmations::new(), None, bench.now);
    let taken = bench.take();
    assert!(taken.len() == 1 && !taken[0].entry.compares, "the directory doesn't rest for it");
    bench.answer(&taken[0], Ok(as_known()));
    bench.now += PAUSE;
    assert!(bench.take()[0].entry.compares);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_always_fails_is_brought_as_any_other_and_keeps_no_other_from_its_turn() {
    let mut bench = Bench::new(2);
    for _ in 1..TRIES {
        let compared = bench.take_one();
        assert_eq!(bench.answer(&compared, Err(DirectoryError::Failed("500".to_owned()))), []);
        bench.now += PAUSE;
    }
    let compared = bench.take_one();
    assert_eq!(bench.answer(&compared, Err(DirectoryError::Failed("500".to_owned()))), [user(0)]);
    let until = bench.now + PERIOD / 2;
    assert_eq!(bench.go_on(until), [account(1)]);
}
