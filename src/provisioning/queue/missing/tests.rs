use super::*;
use crate::domain::account::{Confirmations, Revision};
use crate::domain::object_key::Kind;
use crate::domain::profile::Profile;
use crate::provisioning::{DirectoryUser, Provisioned};

const ONE: &str = "one";

fn account(number: u128) -> AccountId {
    AccountId(uuid::Uuid::from_u128(number))
}

fn user(number: u128) -> ObjectKey {
    ObjectKey::new(Kind::User, "acme", format!("user-{number}"))
}

fn entry(number: u128, revision: i64, phone: &str, permissions: &[&str]) -> Entry {
    let person = DirectoryUser {
        login_name: format!("user-{number}.acme"),
        email: format!("user-{number}@acme.example"),
        active: true,
        profile: Profile {
            display_name: "A user".to_owned(),
            phone: Some(phone.to_owned()),
            ..Profile::default()
        },
        role: None,
        group: "drivers".to_owned(),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
        password: None,
    };
    let (account, revision, organization) =
        (account(number), Revision(revision), "acme".to_owned());
    Entry {
        account,
        revision,
        organization,
        adopts: false,
        compares: false,
        handle: None,
        was_confirmed: false,
        former_login_name: None,
        person: Some(person),
    }
}

/// One directory, which has confirmed a first entry of everybody.
struct Bench {
    provisioning: Provisioning,
    store: BTreeMap<AccountId, Confirmations>,
    now: Instant,
}

impl Bench {
    fn with(people: u128) -> Self {
        let provisioning = Provisioning::new([ONE.to_owned()]);
        let mut bench = Self { provisioning, store: BTreeMap::new(), now: Instant::now() };
        (1..=people).for_each(|number| bench.want(&entry(number, 1, "1", &["a:read", "b:read"])));
        bench.answer_all(&Ok(()));
        bench.save();
        assert!(bench.take().users.is_empty());
        bench
    }

    fn want(&mut self, entry: &Entry) {
        let confirmed = self.store.get(&entry.account).cloned().unwrap_or_default();
        self.provisioning.enqueue(
            &user(entry.account.0.as_u128()),
            entry,
            &confirmed,
            None,
            self.now,
        );
    }

    fn answer_all(&mut self, answer: &Result<(), DirectoryError>) {
        for delivery in self.provisioning.take(self.now) {
            let answer = answer.clone().map(|()| Provisioned::default());
            self.provisioning.on_answer(ONE, &delivery.entry, answer, self.now);
        }
    }

    fn save(&mut self) {
        for (_, account, plan) in self.provisioning.pending_acks(usize::MAX) {
            let crate::plan::Plan::Confirm(plan) = plan else {
                panic!("that isn't a confirmation")
            };
            self.store.entry(account).or_default().extend(plan.confirmed);
            self.provisioning.acks_saved(account, self.now);
        }
    }

    fn take(&mut self) -> PendingReports {
        self.provisioning.take_reports(self.now)
    }

    fn missing(&mut self, number: u128) -> Option<Missing> {
        let mut states = self.provisioning.states(Some(account(number)), false, self.now);
        states.remove(ONE).and_then(|state| state.missing)
    }

    fn members(&self) -> MissingOfMembers {
        self.provisioning.missing_of_members("acme", "drivers", self.now).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_confirmed_at_once_is_told_to_nobody_and_what_lasts_is_told_once() {
    let mut bench = Bench::with(3);
    (1..=3).for_each(|number| bench.want(&entry(number, 2, "2", &["a:read", "b:read"])));
    let missing = bench.missing(1).unwrap();
    assert!(!missing.is_lasting && !missing.revokes && !missing.has_failed);
    bench.answer_all(&Ok(()));
    bench.now += LASTING_AFTER_WANTED;
    let noted = bench.take();
    assert!(noted.users.is_empty() && noted.groups.is_empty() && bench.missing(1).is_none());

    bench.want(&entry(1, 3, "3", &["a:read", "b:read"]));
    let sent = bench.provisioning.take(bench.now);
    assert_eq!(bench.provisioning.next_lasting(), Some(bench.now + LASTING_AFTER_SENT));
    bench.now += LASTING_AFTER_SENT;
    let noted = bench.take();
    assert_eq!((noted.users, noted.groups.len()), ([user(1)].into(), 1));
    assert!(bench.missing(1).unwrap().is_lasting && bench.take().users.is_empty());
    assert_eq!(bench.members().members, 1);
    bench.provisioning.on_answer(ONE, &sent[0].entry, Ok(Provisioned::default()), bench.now);
    let noted = bench.take();
    assert_eq!(
        (noted.users, noted.groups.len(), bench.members().members),
        ([user(1)].into(), 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_yet_to_be_sent_lasts_longer_before_it_is_told_and_an_edit_meanwhile_does_not_begin_anew()
 {
    let mut bench = Bench::with(1);
    bench.want(&entry(1, 2, "2", &["a:read", "b:read"]));
    bench.now += LASTING_AFTER_WANTED / 2;
    bench.want(&entry(1, 3, "3", &["a:read", "b:read"]));
    assert!(!bench.missing(1).unwrap().is_lasting);
    bench.now += LASTING_AFTER_WANTED / 2;
    let missing = bench.missing(1).unwrap();
    assert_eq!((missing.is_lasting, missing.lasted), (true, signed(LASTING_AFTER_WANTED)));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_known_by_the_rights_that_were_confirmed() {
    let mut bench = Bench::with(3);
    bench.want(&entry(1, 2, "2", &["a:read", "b:read"]));
    assert!(!bench.missing(1).unwrap().revokes, "a telephone number takes nothing away");
    bench.want(&entry(1, 3, "2", &["a:read"]));
    assert!(bench.missing(1).unwrap().revokes);
    bench.want(&entry(1, 4, "4", &["a:read"]));
    assert!(bench.missing(1).unwrap().revokes, "what was to be taken away is still there");
    let mut disabled = entry(2, 2, "1", &["a:read", "b:read"]);
    disabled.person.as_mut().unwrap().active = false;
    bench.want(&disabled);
    assert!(bench.missing(2).unwrap().revokes);
    bench.want(&Entry::gone(account(3), Revision(2), "acme"));
    assert!(bench.missing(3).unwrap().revokes);
    // An earlier version wrote no rights, and a doubt leaves none.
    let stored = bench.store.get_mut(&account(1)).unwrap().get_mut(ONE).unwrap();
    stored.fingerprint.as_mut().unwrap().rights = None;
    bench.provisioning = Provisioning::new([ONE.to_owned()]);
    bench.want(&entry(1, 4, "4", &["a:read", "b:read"]));
    assert!(bench.missing(1).unwrap().revokes);
    for never in [entry(4, 1, "1", &[]), Entry::gone(account(5), Revision(1), "acme")] {
        bench.want(&never);
        assert!(
            !bench.missing(never.account.0.as_u128()).unwrap().revokes,
            "who was never there has nothing to lose"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_said_once_for_its_reason_until_nobody_is_refused_for_it() {
    let mut bench = Bench::with(13);
    let refused = Err(DirectoryError::refused("no telephone numbers here"));
    for round in 2..=3 {
        (1..=13).for_each(|number| {
            bench.want(&entry(number, round, &round.to_string(), &["a:read", "b:read"]))
        });
        bench.answer_all(&refused);
        let noted = bench.take();
        assert_eq!(
            noted.users.len(),
            if round == 2 { 13 } else { 0 },
            "each is told that it is missing"
        );
        match noted.refusals.first() {
            Some(first) => {
                assert_eq!((round, first.kind, first.directory.as_str()), (2, "refused", ONE));
                assert!(first.words.contains("no telephone numbers here"));
                bench.provisioning.mark_event_sent(ONE, "refused");
            }
            None => assert_eq!(round, 3),
        }
        assert_eq!(bench.provisioning.refused().collect::<Vec<_>>(), [(ONE, 13)]);
    }
    let MissingOfMembers { members, worst, revokes, .. } = bench.members();
    assert_eq!((members, revokes), (13, false));
    assert!(matches!(worst, Some(Worst { problem: Some(DirectoryProblem::Refused(_)), .. })));
    bench.now += LASTING_AFTER_WANTED;
    // Those that failed are tried a few at a time.
    (0..13).for_each(|_| bench.answer_all(&Ok(())));
    let noted = bench.take();
    assert_eq!((noted.users.len(), noted.groups.len(), bench.members().members), (13, 1, 0));
    assert_eq!(bench.provisioning.refused().collect::<Vec<_>>(), [(ONE, 0)]);
    bench.save();
    bench.want(&entry(7, 4, "4", &["a:read", "b:read"]));
    bench.answer_all(&refused);
    assert_eq!(bench.take().refusals.len(), 1, "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn while_a_directory_is_down_those_are_told_at_once_who_failed_or_lose_something_and_all_once_it_is_back()
 {
    let mut bench = Bench::with(4);
    let down = DirectoryError::Unreachable("nobody listens".to_owned());
    bench.want(&entry(1, 2, "2", &["a:read", "b:read"]));
    bench.answer_all(&Err(down));
    assert_eq!(bench.take().users, [user(1)].into());
    bench.want(&entry(2, 2, "2", &["a:read", "b:read"]));
    bench.want(&entry(3, 2, "1", &["a:read"]));
    let told = |bench: &mut Bench, number| {
        let states = bench.provisioning.states(Some(account(number)), false, bench.now);
        is_reported(&states[ONE])
    };
    assert_eq!([1, 2, 3, 4].map(|number| told(&mut bench, number)), [true, false, true, false]);
    assert_eq!((bench.members().members, bench.members().revokes), (2, true));
    bench.now += LASTING_AFTER_WANTED;
    assert_eq!(bench.take().users.len(), 2, "those who weren't told of the failure");
    while bench.provisioning.next_due().is_some() {
        bench.answer_all(&Ok(()));
        bench.now += LASTING_AFTER_WANTED;
    }
    assert_eq!(bench.take().users, [user(1), user(2), user(3)].into());
    assert_eq!(bench.members(), MissingOfMembers::default());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_behind_an_older_request_lasts_from_when_it_was_wanted() {
    let mut bench = Bench::with(1);
    bench.want(&entry(1, 2, "2", &["a:read", "b:read"]));
    let older = bench.provisioning.take(bench.now);
    bench.want(&entry(1, 3, "2", &["a:read"]));
    bench.now += LASTING_AFTER_SENT / 2;
    bench.provisioning.on_answer(ONE, &older[0].entry, Ok(Provisioned::default()), bench.now);
    let missing = bench.missing(1).unwrap();
    assert_eq!(missing.lasted, signed(LASTING_AFTER_SENT / 2), "not since the older was confirmed");
    assert!(!missing.is_lasting);
    bench.now += LASTING_AFTER_SENT / 2;
    assert!(bench.missing(1).unwrap().is_lasting);
    assert_eq!(bench.take().users, [user(1)].into());
}
