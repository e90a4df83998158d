//! The contract on logins: failures are counted, bound how many more there can be, and are
//! forgotten.

use jiff::{SignedDuration, Timestamp};
use roster::domain::account::{AccountId, TransactionKind};
use roster::domain::login_attempts::LoginFailures;
use roster::store::logins::Logins;
use roster_test_support::plans::{
    account, alice, at, cases_unassigned, change_password, commit, create, delete, done,
    from_secret, password_by_member, put_domain, put_self_service, rehash, switch, update,
    with_password,
};

use crate::contract::contract;
use crate::{Bench, in_databases};

fn after(seconds: i64) -> Timestamp {
    at(0).now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

async fn login(store: &impl Logins, account: AccountId, matches: bool, second: i64) -> bool {
    store.judge_login(Some(account), matches, after(second)).await.unwrap()
}

async fn fail(store: &impl Logins, account: AccountId, times: usize) {
    for _ in 0..times {
        assert!(!login(store, account, false, 0).await);
    }
}

async fn failures(store: &impl Logins, account: AccountId) -> Option<LoginFailures> {
    store.login_failures().await.unwrap().remove(&account)
}

async fn count(store: &impl Logins, account: AccountId) -> i64 {
    failures(store, account).await.map_or(0, |failures| failures.failures)
}

contract! {
    async fn failures_are_counted_of_each_account_until_a_login(bench) {
        let store = bench.store();
        let alice = alice(store).await.id;
        let bob = account(commit(store, create("bob", "bob@acme.example")).await).id;
        assert!(login(store, alice, true, 0).await);
        fail(store, alice, 3).await;
        assert!(!store.judge_login(None, false, after(0)).await.unwrap());
        assert!(!login(store, alice, false, 7).await);
        let expected = LoginFailures { failures: 4, turned_away: 0, since: after(0), last: after(7) };
        assert_eq!(failures(store, alice).await, Some(expected));
        assert_eq!(store.login_failures().await.unwrap().len(), 1, "what is nobody's is told of nobody");
        assert!(login(store, bob, true, 8).await);
        assert!(login(store, alice, true, 8).await);
        assert_eq!(failures(store, alice).await, None);
    }

    async fn whoever_has_to_wait_isnt_let_in_with_the_right_password(bench) {
        let store = bench.store();
        let alice = alice(store).await.id;
        fail(store, alice, 6).await;
        assert!(!login(store, alice, true, 29).await);
        assert!(!login(store, alice, true, -1000).await, "a clock that is set back opens nothing");
        assert!(!login(store, alice, true, -971).await);
        assert_eq!(failures(store, alice).await.map(|failures| (failures.failures, failures.turned_away)), Some((6, 3)));
        assert!(login(store, alice, true, -970).await);
    }

    async fn many_logins_at_once_are_heard_no_more_often(bench) {
        let store = bench.store();
        let alice = alice(store).await.id;
        let guesses = (0..50).map(|_| login(store, alice, false, 0));
        assert!(futures::future::join_all(guesses).await.iter().all(|admitted| !admitted));
        assert_eq!(failures(store, alice).await.map(|failures| (failures.failures, failures.turned_away)), Some((6, 44)));
        assert!(!login(store, alice, true, 0).await, "the right one among them comes too late");
        // The next one is heard after half a minute, and of many at once one.
        let guesses = (0..20).map(|_| login(store, alice, false, 30));
        futures::future::join_all(guesses).await;
        assert_eq!(failures(store, alice).await.map(|failures| (failures.failures, failures.turned_away)), Some((7, 64)));
    }

    async fn a_new_password_and_enabling_end_the_wait_and_nothing_else_of_the_account_does(bench) {
        let store = bench.store();
        done(commit(store, put_self_service("users", &[roster::domain::profile::SelfServiceField::Password])).await);
        done(commit(store, put_domain("acme", "acme.example")).await);
        let first = account(commit(store, with_password(create("alice", "alice@acme.example"), from_secret("first"))).await);
        fail(store, first.id, 6).await;
        let edited = account(commit(store, update(&first, |content| content.role = Some("on".to_owned()))).await);
        assert_eq!(count(store, first.id).await, 6);
        let disabled = account(commit(store, switch(&edited, TransactionKind::Disable)).await);
        assert_eq!(count(store, first.id).await, 6);
        assert!(!login(store, first.id, true, 0).await, "whatever is tried while it is disabled");
        let enabled = account(commit(store, switch(&disabled, TransactionKind::Enable)).await);
        assert_eq!(count(store, first.id).await, 0);
        assert!(login(store, first.id, true, 0).await, "whoever is enabled may log in at once");
        fail(store, first.id, 6).await;
        let second = account(commit(store, change_password(&enabled, from_secret("second"))).await);
        assert_eq!(count(store, first.id).await, 0);
        assert!(login(store, first.id, true, 0).await);
        fail(store, first.id, 6).await;
        let own = account(commit(store, password_by_member(&second, "own")).await);
        assert!(login(store, first.id, true, 0).await);
        fail(store, first.id, 2).await;
        account(commit(store, rehash(&own, "own", "anew")).await);
        assert_eq!(count(store, first.id).await, 0, "whoever hashes anew has logged in");
    }

    async fn an_account_that_goes_leaves_no_count(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        fail(store, alice.id, 6).await;
        cases_unassigned(commit(store, delete(&alice)).await, alice.id);
        assert!(store.login_failures().await.unwrap().is_empty());
    }
}

in_databases! {
    async fn a_login_after_no_failure_writes_nothing(bench) {
        let store = bench.store();
        let alice = alice(store).await.id;
        let mut observer = bench.application().await;
        let before = observer.version().await;
        for second in 0..3 {
            assert!(login(store, alice, true, second).await);
        }
        assert_eq!(observer.version().await, before);
        assert!(!login(store, alice, false, 4).await);
        assert_ne!(observer.version().await, before);
    }

    async fn applications_see_until_when_nobody_is_to_be_let_in_and_nothing_secret(bench) {
        let store = bench.store();
        let alice = alice(store).await.id;
        fail(store, alice, 6).await;
        store.judge_login(None, false, after(0)).await.unwrap();
        let mut application = bench.application().await;
        let rows = application.rows("SELECT account_id, failures, since, blocked_until FROM roster_login_failures", &[]).await;
        let [row] = &rows[..] else { panic!("{} rows", rows.len()) };
        let expected = (Some(alice.to_string()), 6, after(0).as_microsecond(), after(30).as_microsecond());
        assert_eq!((row.text(0), row.number(1), row.number(2), row.number(3)), expected);
    }
}
