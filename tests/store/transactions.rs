//! The contract on transactions that last, on what becomes of the journal, on passwords, and on who
//! owns an account.

use roster::domain::account::{
    Account, Credential, DirectoryAck, EntryDigest, EntryHandle, LoginState, Owner, Revision,
    SecretPassword, TransactionId, TransactionKind,
};
use roster::domain::profile::SelfServiceField;
use roster::domain::self_service::ProfileChange;
use roster::plan::{ConfirmPlan, Plan};
use roster::store::sql::SqlStore;
use roster::store::{AccountKey, Receipt, Refusal, Store, UserName};
use roster_test_support::plans::{
    account, acme, addresses, administrators, adopt, alice, at, by_member, by_uid, change_password,
    commit, commit_at, confirm, content, create, create_heir, create_in, create_member, delete,
    deleted, done, drop_domain, drop_group, email, find, from_secret, hash, have, heirs, inherited,
    lineage, moving, nobody_leaves, organization, owner, password_by_member, people, put_domain,
    put_domain_in, put_group, put_self_service, recreate, refused, rehash, release, revisions,
    seeing, switch, update, use_directories, while_leave, with_password,
};

use crate::contract::contract;
use crate::{Bench, Entry, in_databases};

/// The account of alice, created while these directories are used, and its Create in flight.
async fn alice_with(store: &impl Store, directories: &[&str]) -> Account {
    use_directories(store, directories, 0).await;
    alice(store).await
}

/// The account of alice after the Create, which these directories have confirmed.
async fn settled_alice_with(store: &impl Store, directories: &[&str]) -> Account {
    let alice = alice_with(store, directories).await;
    let all: Vec<(&str, i64)> = directories.iter().map(|&directory| (directory, 1)).collect();
    account(commit_at(store, confirm(alice.id, &all), 1).await)
}

/// The words for what became of an account's transactions.
fn words(journal: &[Entry]) -> Vec<(TransactionKind, &'static str)> {
    let word = |entry: &Entry| match (entry.completed, entry.superseded) {
        (None, false) => "in flight",
        (Some(_), false) => "completed",
        (None, true) => "superseded",
        (Some(_), true) => "both",
    };
    journal.iter().map(|entry| (entry.kind, word(entry))).collect()
}

fn of(name: &str) -> UserName {
    ("acme".to_owned(), name.to_owned())
}

/// The newest Delete of a user of `acme`, by name and uid.
async fn departure(
    store: &impl Store,
    name: &str,
    uid: &str,
) -> Option<roster::domain::account::DeletedAccount> {
    store.deleted_accounts(&[(of(name), uid.to_owned())]).await.unwrap().remove(&of(name))
}

fn login(account: &Account) -> Option<&str> {
    account.credential.as_ref().map(|credential| credential.login.as_str())
}

fn secret(account: &Account) -> Option<&SecretPassword> {
    account.credential.as_ref()?.from_secret.as_ref()
}

/// Alice, whose group lets her change her password and her phone.
async fn member(store: &impl Store) -> Account {
    done(
        commit(
            store,
            put_self_service("users", &[SelfServiceField::Password, SelfServiceField::Phone]),
        )
        .await,
    );
    done(commit(store, put_domain("acme", "*.acme.example")).await);
    account(
        commit(store, with_password(create("alice", "alice@acme.example"), from_secret("first")))
            .await,
    )
}

contract! {
    async fn without_directories_a_transaction_completes_with_its_commit(bench) {
        let store = bench.store();
        let alice = member(store).await;
        assert_eq!((alice.transaction.revision, alice.transaction.completed), (Revision(1), Some(at(0).now)));
        let disabled = account(commit_at(store, switch(&alice, TransactionKind::Disable), 1).await);
        let enabled = account(commit_at(store, switch(&disabled, TransactionKind::Enable), 2).await);
        let by_secret = account(commit_at(store, change_password(&enabled, from_secret("second")), 3).await);
        let by_member = account(commit_at(store, password_by_member(&by_secret, "own"), 4).await);
        let gone = deleted(commit_at(store, delete(&by_member), 5).await);
        assert_eq!((gone.transaction.revision, gone.transaction.completed), (Revision(6), Some(at(5).now)));
        let entry = |kind, revision: i64| Entry { kind, revision, completed: Some(at(revision - 1).now), superseded: false };
        let kinds = [TransactionKind::Create, TransactionKind::Disable, TransactionKind::Enable, TransactionKind::PasswordChange, TransactionKind::PasswordChange, TransactionKind::Delete];
        let expected: Vec<Entry> = kinds.into_iter().zip(1..).map(|(kind, revision)| entry(kind, revision)).collect();
        assert_eq!(bench.journal(alice.id).await, expected);
        assert!(store.pending_deletions().await.unwrap().is_empty());
    }

    async fn a_transaction_is_in_flight_until_every_directory_has_confirmed_its_revision(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one", "two"]).await;
        assert_eq!((alice.transaction.completed, &alice.confirmed), (None, &revisions(&[])));
        let half = account(commit_at(store, confirm(alice.id, &[("one", 1)]), 5).await);
        assert_eq!(half, Account { confirmed: revisions(&[("one", 1)]), ..alice.clone() });
        assert_eq!(find(store, "alice").await, Some(half.clone()));
        let whole = account(commit_at(store, confirm(alice.id, &[("two", 1)]), 6).await);
        assert_eq!((whole.transaction.completed, whole.revision), (Some(at(6).now), Revision(1)));
        assert_eq!(whole.confirmed, revisions(&[("one", 1), ("two", 1)]));
        assert_eq!(find(store, "alice").await, Some(whole));
        assert_eq!(words(&bench.journal(alice.id).await), [(TransactionKind::Create, "completed")]);
    }

    async fn every_kind_of_transaction_lasts(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let mut alice = member(store).await;
        let kinds = [TransactionKind::Disable, TransactionKind::Enable];
        let confirmed = |account: &Account| confirm(account.id, &[("one", account.revision.0)]);
        for kind in kinds {
            alice = account(commit(store, confirmed(&alice)).await);
            alice = account(commit(store, switch(&alice, kind)).await);
            assert_eq!((alice.transaction.kind, alice.transaction.completed), (kind, None));
        }
        alice = account(commit(store, confirmed(&alice)).await);
        alice = account(commit(store, change_password(&alice, from_secret("second"))).await);
        assert!(alice.transaction.in_flight());
        alice = account(commit(store, confirmed(&alice)).await);
        alice = account(commit(store, password_by_member(&alice, "own")).await);
        assert!(alice.transaction.in_flight());
        assert!(deleted(commit(store, delete(&alice)).await).transaction.in_flight());
    }

    async fn an_older_confirmation_completes_nothing_and_a_newer_one_does(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one", "two"]).await;
        let disabled = account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        assert_eq!(disabled.confirmed, revisions(&[("one", 1), ("two", 1)]));
        let older = account(commit_at(store, confirm(alice.id, &[("one", 1), ("two", 2)]), 5).await);
        assert!(older.transaction.in_flight());
        let edited = account(commit_at(store, update(&older, |content| content.role = Some("Driver".to_owned())), 6).await);
        assert_eq!((edited.revision, edited.transaction.revision), (Revision(3), Revision(2)));
        let newer = account(commit_at(store, confirm(alice.id, &[("one", 3)]), 7).await);
        assert_eq!(newer.transaction.completed, Some(at(7).now));
        assert_eq!(newer.confirmed, revisions(&[("one", 3), ("two", 2)]));
    }

    async fn confirmations_never_go_back(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one"]).await;
        let disabled = account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        let confirmed = account(commit_at(store, confirm(alice.id, &[("one", 2)]), 5).await);
        let late = account(commit_at(store, confirm(alice.id, &[("one", 1)]), 6).await);
        assert_eq!((late.confirmed.clone(), late.transaction.completed), (revisions(&[("one", 2)]), Some(at(5).now)));
        assert_eq!((disabled.confirmed, late), (revisions(&[("one", 1)]), confirmed));
    }

    async fn a_repeated_confirmation_changes_nothing_not_even_when_it_completed(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one"]).await;
        let journal = bench.journal(alice.id).await;
        for second in [7, 8] {
            assert_eq!(account(commit_at(store, confirm(alice.id, &[("one", 1)]), second).await), alice);
            assert_eq!(account(commit_at(store, confirm(alice.id, &[]), second).await), alice);
        }
        assert_eq!((find(store, "alice").await, bench.journal(alice.id).await), (Some(alice.clone()), journal));
        let gone = deleted(commit(store, delete(&alice)).await);
        let gone = deleted(commit_at(store, confirm(gone.account, &[("one", 2)]), 9).await);
        assert_eq!(deleted(commit_at(store, confirm(gone.account, &[("one", 2)]), 10).await), gone);
        assert_eq!(gone.transaction.completed, Some(at(9).now));
    }

    async fn a_confirmation_of_an_unknown_directory_is_forgotten(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one"]).await;
        let other = account(commit(store, confirm(alice.id, &[("two", 9), ("ONE", 9), ("", 9)])).await);
        assert_eq!(other, alice);
        use_directories(store, &["one", "two"], 1).await;
        assert_eq!(find(store, "alice").await, Some(alice.clone()));
        let one = account(commit(store, confirm(alice.id, &[("one", 1), ("three", 1)])).await);
        assert_eq!((one.transaction.completed, one.confirmed), (None, revisions(&[("one", 1)])));
    }

    async fn directories_are_told_apart_whatever_their_names_contain(bench) {
        let store = bench.store();
        let names = ["'); DROP TABLE directories; --", "\"]", "Ä", "a\nb", "$.x", "💥"];
        let alice = alice_with(store, &names).await;
        let all: Vec<(&str, i64)> = names.iter().map(|&name| (name, 1)).collect();
        assert!(account(commit(store, confirm(alice.id, &all[1..])).await).transaction.in_flight());
        let whole = account(commit(store, confirm(alice.id, &all)).await);
        assert_eq!((whole.transaction.completed, &whole.confirmed), (Some(at(0).now), &revisions(&all)));
        assert_eq!(find(store, "alice").await, Some(whole));
    }

    async fn a_confirmation_is_of_an_account_in_its_organization_and_of_nobody_else(bench) {
        let store = bench.store();
        let [alice, bob] = { use_directories(store, &["one"], 0).await; people(store, [("alice", "a@acme.example"), ("bob", "b@acme.example")]).await };
        let elsewhere = |plan: Plan| match plan {
            Plan::Confirm(mut plan) => { "other".clone_into(&mut plan.namespace); Plan::Confirm(plan) }
            other => other,
        };
        refused(commit(store, elsewhere(confirm(alice.id, &[("one", 1)]))).await, Refusal::Stale);
        let nobody = roster::domain::account::AccountId(alice.transaction.id.0);
        refused(commit(store, confirm(nobody, &[("one", 1)])).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await, Some(alice.clone()));
        account(commit(store, confirm(alice.id, &[("one", 1)])).await);
        assert_eq!(find(store, "bob").await, Some(bob.clone()));
        deleted(commit(store, delete(&bob)).await);
        refused(commit(store, elsewhere(confirm(bob.id, &[("one", 2)]))).await, Refusal::Stale);
        assert!(departure(store, "bob", "uid of bob").await.unwrap().transaction.in_flight());
    }

    async fn a_transaction_and_its_confirmation_fit_in_one_commit(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one"]).await;
        let plans = [confirm(alice.id, &[("one", 1)]), switch(&alice, TransactionKind::Disable), confirm(alice.id, &[("one", 2)]), confirm(alice.id, &[("one", 1)])];
        let answers: Vec<Account> = store.commit(&plans, at(3)).await.unwrap().into_iter().map(account).collect();
        let completed: Vec<bool> = answers.iter().map(|account| !account.transaction.in_flight()).collect();
        assert_eq!(completed, [true, false, true, true]);
        assert_eq!(find(store, "alice").await.as_ref(), answers.last());
        assert_eq!(words(&bench.journal(alice.id).await), [(TransactionKind::Create, "completed"), (TransactionKind::Disable, "completed")]);
    }

    async fn what_takes_nothing_away_waits_for_the_transaction_in_flight_and_leaves_no_trace(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let alice = member(store).await;
        let disabled = account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        for current in [&disabled] {
            let journal = bench.journal(alice.id).await;
            let moved = update(current, |_| ());
            for plan in [switch(current, TransactionKind::Enable), change_password(current, from_secret("second"))] {
                refused(commit(store, plan).await, Refusal::InTransaction);
            }
            assert_eq!(find(store, "alice").await.as_ref(), Some(current));
            assert_eq!(bench.journal(alice.id).await, journal);
            account(commit(store, moved).await);
        }
    }

    async fn a_member_waits_for_the_transaction_in_flight_also_without_a_password(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let alice = member(store).await;
        let journal = bench.journal(alice.id).await;
        for plan in [password_by_member(&alice, "own"), by_member(&alice, &[ProfileChange::Phone(Some("1".to_owned()))])] {
            refused(commit(store, plan).await, Refusal::InTransaction);
        }
        assert_eq!((find(store, "alice").await.as_ref(), bench.journal(alice.id).await), (Some(&alice), journal));
        account(commit(store, confirm(alice.id, &[("one", 1)])).await);
        let own = account(commit(store, password_by_member(&alice, "own")).await);
        assert_eq!((own.transaction.kind, own.transaction.in_flight(), own.revision), (TransactionKind::PasswordChange, true, Revision(2)));
        refused(commit(store, password_by_member(&own, "another")).await, Refusal::InTransaction);
        refused(commit(store, change_password(&own, from_secret("second"))).await, Refusal::InTransaction);
        assert_eq!(find(store, "alice").await, Some(own));
    }

    async fn what_takes_rights_away_supersedes_whatever_is_in_flight(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one"]).await;
        let disabled = account(commit_at(store, switch(&alice, TransactionKind::Disable), 1).await);
        assert_eq!((disabled.transaction.kind, disabled.content.lifecycle), (TransactionKind::Disable, LoginState::Disabled));
        let again = account(commit_at(store, switch(&disabled, TransactionKind::Disable), 2).await);
        assert_ne!(again.transaction.id, disabled.transaction.id);
        let gone = deleted(commit_at(store, delete(&again), 3).await);
        assert!(gone.transaction.in_flight());
        let (superseded, in_flight) = ("superseded", "in flight");
        let expected = [(TransactionKind::Create, superseded), (TransactionKind::Disable, superseded), (TransactionKind::Disable, superseded), (TransactionKind::Delete, in_flight)];
        assert_eq!(words(&bench.journal(alice.id).await), expected);
        let gone = deleted(commit_at(store, confirm(alice.id, &[("one", 1)]), 4).await);
        assert!(gone.transaction.in_flight());
        assert_eq!(words(&bench.journal(alice.id).await), expected, "the superseded Create isn't completed by its confirmation");
        deleted(commit_at(store, confirm(alice.id, &[("one", 4)]), 5).await);
        use_directories(store, &[], 6).await;
        let last = bench.journal(alice.id).await;
        assert_eq!(words(&last)[..3], expected[..3], "nor by a later one, nor when nothing is waited for any more");
        assert_eq!(last[3].completed, Some(at(5).now));
    }

    async fn a_completed_transaction_is_not_superseded_by_the_next(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one"]).await;
        account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        assert_eq!(words(&bench.journal(alice.id).await), [(TransactionKind::Create, "completed"), (TransactionKind::Disable, "in flight")]);
    }

    async fn a_refused_disable_or_delete_supersedes_nothing(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        done(commit(store, put_domain("acme", "acme.example")).await);
        let root = account(commit(store, create_member("root", "root@acme.example", "administrators")).await);
        account(commit(store, create("bob", "bob@acme.example")).await);
        refused(commit(store, switch(&root, TransactionKind::Disable)).await, Refusal::LastAdministrator);
        refused(commit(store, delete(&root)).await, Refusal::LastAdministrator);
        assert_eq!(words(&bench.journal(root.id).await), [(TransactionKind::Create, "in flight")]);
        assert_eq!(find(store, "root").await, Some(root));
    }

    async fn a_content_update_without_a_transaction_is_taken_while_one_is_in_flight(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one"]).await;
        let edited = account(commit_at(store, update(&alice, |content| content.group = "administrators".to_owned()), 1).await);
        assert_eq!((edited.revision, &edited.transaction), (Revision(2), &alice.transaction));
        assert_eq!(words(&bench.journal(alice.id).await), [(TransactionKind::Create, "in flight")]);
        let confirmed = account(commit_at(store, confirm(alice.id, &[("one", 1)]), 2).await);
        assert_eq!(confirmed.transaction.completed, Some(at(2).now), "the Create is what was confirmed, and the edit isn't part of it");
    }

    async fn moving_for_another_keeps_a_transaction_in_flight_as_it_is(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let [alice, bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        let takes = update(&alice, |content| content.email = email("bob@acme.example"));
        account(commit(store, moving(takes, &[(&bob, "free@acme.example")])).await);
        let moved = find(store, "bob").await.unwrap();
        assert_eq!((moved.revision, &moved.transaction), (Revision(2), &bob.transaction));
    }

    async fn a_repeated_transaction_has_its_receipt_in_flight_completed_and_superseded(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one"]).await;
        let disable = switch(&alice, TransactionKind::Disable);
        let in_flight = account(commit_at(store, disable.clone(), 1).await);
        assert_eq!(account(commit_at(store, disable.clone(), 2).await), in_flight);
        let completed = account(commit_at(store, confirm(alice.id, &[("one", 2)]), 3).await);
        assert_eq!(account(commit_at(store, disable.clone(), 4).await), completed);
        let enable = switch(&completed, TransactionKind::Enable);
        account(commit_at(store, enable.clone(), 5).await);
        let disabled = account(commit_at(store, switch(&find(store, "alice").await.unwrap(), TransactionKind::Disable), 6).await);
        assert_eq!(account(commit_at(store, enable.clone(), 7).await), disabled, "the superseded Enable isn't begun again");
        assert_eq!(account(commit_at(store, create("alice", "alice@acme.example"), 8).await), disabled);
        let gone = deleted(commit_at(store, delete(&disabled), 9).await);
        assert_eq!(deleted(commit_at(store, delete(&disabled), 10).await), gone);
        for late in [disable, enable] {
            refused(commit_at(store, late, 11).await, Refusal::Stale);
        }
        let confirmed = deleted(commit_at(store, confirm(alice.id, &[("one", 5)]), 12).await);
        assert_eq!(deleted(commit_at(store, delete(&disabled), 13).await), confirmed);
        assert_eq!(confirmed.transaction.completed, Some(at(12).now));
        assert_eq!(bench.journal(alice.id).await.len(), 5);
    }

    async fn the_account_that_a_create_made_is_known_whatever_became_of_it(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        let creates = ["alice", "bob", "carol"].map(|name| TransactionId::of_create(&format!("acme/uid of {name}")));
        let known = [(creates[0], alice.id), (creates[1], bob.id)].into();
        assert_eq!(store.created_accounts(&creates).await.unwrap(), known);
        deleted(commit_at(store, delete(&alice), 1).await);
        let released = account(commit_at(store, release(&bob), 2).await);
        account(commit_at(store, adopt(&released, "robert"), 3).await);
        assert_eq!(store.created_accounts(&creates).await.unwrap(), known);
        assert!(store.created_accounts(&[]).await.unwrap().is_empty());
        // Nobody is told of an account that is another's by now.
        refused(commit_at(store, create("alice", "alice@acme.example"), 4).await, Refusal::Stale);
        refused(commit_at(store, create("bob", "bob@acme.example"), 5).await, Refusal::Stale);
    }

    async fn a_delete_in_flight_frees_everything_at_once(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one"]).await;
        bench.assign_case("1", alice.id).await;
        let gone = deleted(commit_at(store, delete(&alice), 5).await);
        assert_eq!((gone.cases_unassigned, bench.case_owner("1").await, gone.transaction.completed), (1, None, None));
        assert_eq!((gone.owner.clone(), gone.login_name.clone(), gone.transaction.revision), (alice.owner, alice.login_name, Revision(2)));
        assert!(store.list(None).await.unwrap().is_empty() && store.owners().await.unwrap().is_empty());
        assert!(store.find(&[AccountKey::Id(alice.id)]).await.unwrap().is_empty());
        assert!(store.counts(&nobody_leaves(&["acme"])).await.unwrap()["acme"].members.is_empty());
        done(commit(store, drop_domain("acme")).await);
        done(commit(store, put_domain("acme", "acme.example")).await);
        let again = account(commit_at(store, recreate("alice", "alice@acme.example"), 6).await);
        assert_eq!(again.login_name.as_str(), "alice.acme");
        assert!(departure(store, "alice", "uid of alice").await.unwrap().transaction.in_flight());
    }

    async fn a_departure_is_found_by_the_name_and_the_uid_of_its_user(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let [alice, _bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        assert_eq!(departure(store, "alice", "uid of alice").await, None, "the account is still there");
        let gone = deleted(commit_at(store, delete(&alice), 5).await);
        assert_eq!(departure(store, "alice", "uid of alice").await, Some(gone.clone()));
        for (name, uid) in [("alice", "another"), ("alice", ""), ("bob", "uid of alice"), ("bob", "uid of bob"), ("nobody", "uid of alice"), ("' OR 1=1 --", "uid of alice")] {
            assert_eq!(departure(store, name, uid).await, None, "{name} {uid}");
        }
        let elsewhere = [(("other".to_owned(), "alice".to_owned()), "uid of alice".to_owned())];
        assert!(store.deleted_accounts(&elsewhere).await.unwrap().is_empty());
        assert!(store.deleted_accounts(&[]).await.unwrap().is_empty());
        let confirmed = deleted(commit_at(store, confirm(alice.id, &[("one", 2)]), 6).await);
        assert_eq!(confirmed.transaction.completed, Some(at(6).now));
        let many = [(of("alice"), "uid of alice".to_owned()), (of("bob"), "uid of bob".to_owned()), (of("carol"), "uid of alice".to_owned())];
        assert_eq!(store.deleted_accounts(&many).await.unwrap(), [(of("alice"), confirmed)].into());
    }

    async fn the_departure_of_a_user_is_the_newest(bench) {
        let store = bench.store();
        let first = alice(store).await;
        deleted(commit_at(store, delete(&first), 5).await);
        let second = account(commit_at(store, by_uid(recreate("alice", "alice@acme.example"), "uid of alice"), 6).await);
        let newest = deleted(commit_at(store, delete(&second), 7).await);
        assert_eq!(departure(store, "alice", "uid of alice").await, Some(newest));
    }

    async fn the_departures_that_are_unconfirmed_are_those_in_flight(bench) {
        let store = bench.store();
        let [first] = people(store, [("first", "first@acme.example")]).await;
        deleted(commit(store, delete(&first)).await);
        use_directories(store, &["one", "two"], 1).await;
        let [a, b, c] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example")]).await;
        account(commit(store, switch(&c, TransactionKind::Disable)).await);
        let names = || async {
            let mut names: Vec<String> = store.pending_deletions().await.unwrap().into_iter().map(|gone| gone.owner.name).collect();
            names.sort();
            names
        };
        assert!(names().await.is_empty());
        let gone = deleted(commit(store, delete(&a)).await);
        assert_eq!(store.pending_deletions().await.unwrap(), [gone]);
        deleted(commit(store, delete(&b)).await);
        let half = deleted(commit(store, confirm(a.id, &[("one", 2), ("two", 1)])).await);
        assert_eq!((half.confirmed, names().await), (revisions(&[("one", 2), ("two", 1)]), vec!["a".to_owned(), "b".to_owned()]));
        deleted(commit(store, confirm(a.id, &[("two", 2)])).await);
        assert_eq!(names().await, ["b"]);
        use_directories(store, &[], 2).await;
        assert!(names().await.is_empty());
    }

    async fn a_late_confirmation_of_a_delete_leaves_the_re_created_users_account_alone(bench) {
        let store = bench.store();
        let first = alice_with(store, &["one"]).await;
        deleted(commit(store, delete(&first)).await);
        let second = account(commit(store, recreate("alice", "alice@acme.example")).await);
        let gone = deleted(commit_at(store, confirm(first.id, &[("one", 2)]), 9).await);
        assert_eq!(gone.transaction.completed, Some(at(9).now));
        assert_eq!(find(store, "alice").await.as_ref(), Some(&second));
        assert_eq!(words(&bench.journal(second.id).await), [(TransactionKind::Create, "in flight")]);
        assert_eq!(departure(store, "alice", "re-created").await, None);
        deleted(commit(store, delete(&second)).await);
        assert_eq!(departure(store, "alice", "uid of alice").await, Some(gone));
    }

    async fn a_directory_that_is_not_used_any_more_completes_what_only_waited_for_it(bench) {
        let store = bench.store();
        use_directories(store, &["one", "two"], 0).await;
        let [a, b, c, d] = people(store, [("a", "a@acme.example"), ("b", "b@acme.example"), ("c", "c@acme.example"), ("d", "d@acme.example")]).await;
        for gone in [&c, &d] {
            deleted(commit(store, delete(gone)).await);
        }
        for (account, revision) in [(&a, 1), (&c, 2)] {
            commit(store, confirm(account.id, &[("one", revision)])).await.unwrap();
        }
        use_directories(store, &["one"], 7).await;
        assert_eq!(find(store, "a").await.unwrap().transaction.completed, Some(at(7).now));
        assert_eq!(find(store, "b").await, Some(b));
        assert_eq!(departure(store, "c", "uid of c").await.unwrap().transaction.completed, Some(at(7).now));
        assert!(departure(store, "d", "uid of d").await.unwrap().transaction.in_flight());
        assert_eq!(words(&bench.journal(a.id).await), [(TransactionKind::Create, "completed")]);
    }

    async fn another_directory_in_place_of_one_is_waited_for(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one", "two"]).await;
        account(commit(store, confirm(alice.id, &[("one", 1)])).await);
        use_directories(store, &["one", "three"], 7).await;
        let waiting = find(store, "alice").await.unwrap();
        assert_eq!((waiting.transaction.completed, waiting.confirmed), (None, revisions(&[("one", 1)])));
        let confirmed = account(commit_at(store, confirm(alice.id, &[("three", 1), ("two", 1)]), 8).await);
        assert_eq!((confirmed.transaction.completed, confirmed.confirmed), (Some(at(8).now), revisions(&[("one", 1), ("three", 1)])));
    }

    async fn a_new_directory_neither_begins_nor_reopens_a_transaction(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        let gone = deleted(commit(store, delete(&bob)).await);
        use_directories(store, &["one"], 7).await;
        assert_eq!(find(store, "alice").await.as_ref(), Some(&alice));
        assert_eq!(departure(store, "bob", "uid of bob").await, Some(gone));
        assert!(store.pending_deletions().await.unwrap().is_empty());
        let late = account(commit_at(store, confirm(alice.id, &[("one", 1)]), 8).await);
        assert_eq!((late.transaction.completed, late.confirmed), (Some(at(0).now), revisions(&[("one", 1)])));
    }

    async fn the_same_directories_again_change_nothing(bench) {
        let store = bench.store();
        let alice = alice_with(store, &["one", "two"]).await;
        account(commit(store, confirm(alice.id, &[("one", 1)])).await);
        let before = find(store, "alice").await;
        use_directories(store, &["two", "one"], 7).await;
        assert_eq!(find(store, "alice").await, before);
    }

    async fn a_directory_that_is_put_back_still_has_what_it_confirmed_and_is_told_who_went_meanwhile(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one", "two"]).await;
        let [bob, carol] = people(store, [("bob", "bob@acme.example"), ("carol", "carol@acme.example")]).await;
        account(commit(store, confirm(bob.id, &[("one", 1), ("two", 1)])).await);
        use_directories(store, &["two"], 7).await;
        for gone in [&bob, &carol] {
            deleted(commit(store, delete(gone)).await);
            deleted(commit(store, confirm(gone.id, &[("one", 2), ("two", 2)])).await);
        }
        assert!(store.pending_deletions().await.unwrap().is_empty());
        assert_eq!(find(store, "alice").await.unwrap(), alice);
        use_directories(store, &["one", "two"], 8).await;
        assert_eq!(find(store, "alice").await.unwrap(), alice);
        let left = store.pending_deletions().await.unwrap();
        assert_eq!(left.iter().map(|departure| departure.account).collect::<Vec<_>>(), [bob.id], "the directory never had carol");
        deleted(commit_at(store, confirm(bob.id, &[("one", 2)]), 9).await);
        assert!(store.pending_deletions().await.unwrap().is_empty());
        let disabled = account(commit(store, switch(&alice, TransactionKind::Disable)).await);
        let half = account(commit(store, confirm(disabled.id, &[("two", 2)])).await);
        assert_eq!((half.transaction.in_flight(), half.confirmed), (true, revisions(&[("one", 1), ("two", 2)])));
    }

    async fn what_a_directory_has_of_a_person_is_kept_beside_the_revision_and_may_come_to_be_in_doubt(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one", "two"]).await;
        let fingerprint = |text: &str| Some(EntryDigest::from_stored(text));
        let known = |account: &Account| {
            let confirmed = &account.confirmed["one"];
            let handle = confirmed.handle.as_ref().map(|handle| handle.0.clone());
            (confirmed.revision.0, confirmed.fingerprint.as_ref().map(ToString::to_string), handle)
        };
        for (revision, text, handle, expected) in [
            (1, Some("abc.cde/def"), Some("7"), (1, Some("abc.cde/def"), Some("7"))),
            (1, Some("abc"), Some("uid=alice, and more"), (1, Some("abc"), Some("uid=alice, and more"))),
            (0, Some("older"), Some("8"), (1, Some("abc"), Some("uid=alice, and more"))),
            (1, Some("/def"), None, (1, Some("/def"), None)),
            (1, None, Some("9"), (1, None, Some("9"))),
            (2, Some("newer"), None, (2, Some("newer"), None)),
        ] {
            let (fingerprint, handle) = (text.and_then(fingerprint), handle.map(|handle| EntryHandle(handle.to_owned())));
            let confirmation = DirectoryAck { revision: Revision(revision), fingerprint, handle };
            let confirmed = [("one".to_owned(), confirmation)].into();
            let plan = Plan::Confirm(ConfirmPlan { namespace: "acme".to_owned(), account: alice.id, confirmed });
            let receipt = account(commit(store, plan).await);
            let expected = (expected.0, expected.1.map(str::to_owned), expected.2.map(str::to_owned));
            assert_eq!((known(&receipt), known(&find(store, "alice").await.unwrap())), (expected.clone(), expected));
        }
    }

    async fn the_time_at_which_directories_change_is_kept_in_whole_microseconds(bench) {
        let store = bench.store();
        alice_with(store, &["one"]).await;
        let now = jiff::Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
        store.set_directories(&[].into(), now).await.unwrap();
        let completed = find(store, "alice").await.unwrap().transaction.completed.unwrap();
        assert_eq!(completed.as_nanosecond(), 1_800_000_000_123_456_000);
    }

    async fn an_account_is_created_with_its_password_or_without(bench) {
        let store = bench.store();
        let alice = member(store).await;
        assert_eq!(alice.credential, Some(Credential { login: hash("first"), from_secret: Some(from_secret("first")) }));
        assert_eq!(find(store, "alice").await, Some(alice));
        let bob = account(commit(store, create("bob", "bob@acme.example")).await);
        assert_eq!(bob.credential, None);
        assert_eq!(find(store, "bob").await, Some(bob));
    }

    async fn a_password_from_the_secret_is_what_logs_in_from_then_on(bench) {
        let store = bench.store();
        let alice = member(store).await;
        let second = SecretPassword { hash: hash("second"), version: "2".to_owned() };
        let changed = account(commit(store, change_password(&alice, second.clone())).await);
        assert_eq!((login(&changed), secret(&changed)), (Some(hash("second").as_str()), Some(&second)));
        let own = account(commit(store, password_by_member(&changed, "own")).await);
        let third = SecretPassword { hash: hash("third"), version: "3".to_owned() };
        let set = account(commit(store, change_password(&own, third.clone())).await);
        assert_eq!((login(&set), secret(&set)), (Some(hash("third").as_str()), Some(&third)));
        assert_eq!(find(store, "alice").await, Some(set));
    }

    async fn a_members_own_password_replaces_what_logs_in_and_not_what_came_from_the_secret(bench) {
        let store = bench.store();
        let alice = member(store).await;
        let own = account(commit(store, password_by_member(&alice, "own")).await);
        assert_eq!((login(&own), secret(&own)), (Some(hash("own").as_str()), Some(&from_secret("first"))));
        assert_eq!((own.revision, own.transaction.kind, own.transaction.revision), (Revision(2), TransactionKind::PasswordChange, Revision(2)));
        assert_eq!((&own.owner, &own.content), (&alice.owner, &alice.content));
        assert_eq!(find(store, "alice").await, Some(own));
        let bob = account(commit(store, create("bob", "bob@acme.example")).await);
        let own = account(commit(store, password_by_member(&bob, "own")).await);
        assert_eq!((login(&own), secret(&own)), (Some(hash("own").as_str()), None));
        assert_eq!(find(store, "bob").await, Some(own));
    }

    async fn a_member_sets_a_password_only_where_the_group_says_so_and_whole_or_not_at_all(bench) {
        let store = bench.store();
        let alice = member(store).await;
        let both = |change| match password_by_member(&alice, "own") {
            Plan::Member(mut plan) => { plan.changes = vec![change]; Plan::Member(plan) }
            other => other,
        };
        refused(commit(store, both(ProfileChange::Name("Al".to_owned()))).await, Refusal::NotSelfService);
        done(commit(store, put_self_service("users", &[SelfServiceField::Phone])).await);
        refused(commit(store, both(ProfileChange::Phone(Some("1".to_owned())))).await, Refusal::NotSelfService);
        assert_eq!((find(store, "alice").await.as_ref(), bench.journal(alice.id).await.len()), (Some(&alice), 1));
        done(commit(store, put_self_service("users", &[SelfServiceField::Phone, SelfServiceField::Password])).await);
        let changed = account(commit(store, both(ProfileChange::Phone(Some("1".to_owned())))).await);
        assert_eq!((changed.content.profile.phone.as_deref(), login(&changed), changed.revision), (Some("1"), Some(hash("own").as_str()), Revision(2)));
        let disabled = account(commit(store, switch(&changed, TransactionKind::Disable)).await);
        refused(commit(store, password_by_member(&disabled, "another")).await, Refusal::NotSelfService);
    }

    async fn a_members_second_password_is_a_second_transaction(bench) {
        let store = bench.store();
        let alice = member(store).await;
        for password in ["a", "a", "b"] {
            account(commit(store, password_by_member(&alice, password)).await);
        }
        let change = (TransactionKind::PasswordChange, "completed");
        assert_eq!(words(&bench.journal(alice.id).await), [(TransactionKind::Create, "completed"), change, change, change]);
        refused(commit(store, change_password(&alice, from_secret("second"))).await, Refusal::Stale);
        assert_eq!(login(&find(store, "alice").await.unwrap()), Some(hash("b").as_str()), "a plan from before isn't taken for done");
    }

    async fn a_plan_without_a_password_never_clears_one(bench) {
        let store = bench.store();
        done(commit(store, put_self_service("users", &[SelfServiceField::Password, SelfServiceField::Phone])).await);
        let alice = member(store).await;
        let own = account(commit(store, password_by_member(&alice, "own")).await);
        let disabled = account(commit(store, switch(&own, TransactionKind::Disable)).await);
        let enabled = account(commit(store, switch(&disabled, TransactionKind::Enable)).await);
        let edited = account(commit(store, update(&enabled, |content| content.role = Some("Driver".to_owned()))).await);
        let by_member = account(commit(store, by_member(&edited, &[ProfileChange::Phone(Some("1".to_owned()))])).await);
        let released = account(commit(store, release(&by_member)).await);
        let adopted = account(commit(store, adopt(&released, "bob")).await);
        let created = account(commit(store, create("carol", "carol@acme.example")).await);
        account(commit(store, moving(update(&created, |content| content.email = email("alice@acme.example")), &[(&adopted, "free@acme.example")])).await);
        let last = find(store, "bob").await.unwrap();
        assert_eq!((last.credential, last.revision), (own.credential, Revision(9)));
    }

    async fn a_password_is_hashed_anew_only_while_it_is_the_one_that_logged_in(bench) {
        let store = bench.store();
        let alice = member(store).await;
        let stronger = account(commit_at(store, rehash(&alice, "first", "stronger"), 5).await);
        let expected = Some(Credential { login: hash("stronger"), from_secret: Some(from_secret("first")) });
        assert_eq!(stronger, Account { credential: expected, ..alice.clone() }, "the revision and all else stay");
        assert_eq!(find(store, "alice").await.as_ref(), Some(&stronger));
        refused(commit(store, rehash(&alice, "first", "again")).await, Refusal::Stale);
        let own = account(commit(store, password_by_member(&alice, "own")).await);
        refused(commit(store, rehash(&alice, "stronger", "again")).await, Refusal::Stale);
        refused(commit(store, rehash(&Account { namespace: "other".to_owned(), ..alice.clone() }, "own", "again")).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await, Some(own.clone()));
        let bob = account(commit(store, create("bob", "bob@acme.example")).await);
        refused(commit(store, rehash(&bob, "first", "again")).await, Refusal::Stale);
        assert_eq!(find(store, "bob").await.unwrap().credential, None);
        deleted(commit(store, delete(&own)).await);
        refused(commit(store, rehash(&alice, "own", "again")).await, Refusal::Stale);
    }

    async fn a_password_is_hashed_anew_also_while_a_transaction_is_in_flight(bench) {
        let store = bench.store();
        use_directories(store, &["one"], 0).await;
        let alice = member(store).await;
        let stronger = account(commit(store, rehash(&alice, "first", "stronger")).await);
        assert_eq!((stronger.transaction, login(&find(store, "alice").await.unwrap())), (alice.transaction, Some(hash("stronger").as_str())));
    }

    async fn a_released_account_stays_and_has_no_user(bench) {
        let store = bench.store();
        let [root] = { done(commit(store, put_domain("acme", "*.acme.example")).await); [account(commit(store, create_member("root", "root@acme.example", "administrators")).await)] };
        account(commit(store, create_heir(acme(), "heir", inherited("root"))).await);
        let released = account(commit_at(store, release(&root), 5).await);
        let nobody = Owner { uid: String::new(), ..root.owner.clone() };
        assert_eq!(released, Account { owner: nobody, revision: Revision(2), ..root.clone() });
        assert_eq!(find(store, "root").await.as_ref(), Some(&released));
        assert_eq!(store.owners().await.unwrap().len(), 2);
        assert_eq!(administrators(store).await, ["administrators/root"]);
        assert_eq!((lineage(store, &["heir"]).await, heirs(store, "root").await), (vec!["heir".to_owned(), "root".to_owned()], Some(vec!["heir".to_owned()])));
        assert_eq!(store.counts(&nobody_leaves(&["acme"])).await.unwrap()["acme"].members["administrators"], 1);
        assert_eq!(departure(store, "root", "uid of root").await, None, "it is no deletion");
        refused(commit(store, recreate("root", "second@acme.example")).await, Refusal::Stale);
        refused(commit(store, create("other", "root@acme.example")).await, Refusal::EmailTaken);
    }

    async fn a_released_account_is_in_use_of_its_group_and_in_control(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        done(commit(store, put_group("crew", false, &[])).await);
        let root = account(commit(store, create_member("root", "root@acme.example", "administrators")).await);
        let second = account(commit(store, create_member("second", "second@acme.example", "administrators")).await);
        let member = account(commit(store, create_member("member", "member@acme.example", "crew")).await);
        for plan in [release(&second), release(&member)] {
            account(commit(store, plan).await);
        }
        refused(commit(store, drop_group("crew")).await, Refusal::InUse);
        refused(commit(store, drop_domain("acme")).await, Refusal::InUse);
        account(commit(store, switch(&root, TransactionKind::Disable)).await);
        let second = find(store, "second").await.unwrap();
        refused(commit(store, switch(&second, TransactionKind::Disable)).await, Refusal::LastAdministrator);
    }

    async fn only_its_user_releases_an_account_and_only_as_it_is(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        refused(commit(store, by_uid(release(&alice), "another")).await, Refusal::Stale);
        let edited = account(commit(store, update(&alice, |_| ())).await);
        refused(commit(store, release(&alice)).await, Refusal::Stale);
        let elsewhere = Account { namespace: "other".to_owned(), ..edited.clone() };
        refused(commit(store, release(&elsewhere)).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await.as_ref(), Some(&edited));
        let released = account(commit(store, release(&edited)).await);
        refused(commit(store, by_uid(release(&released), "uid of alice")).await, Refusal::Stale);
        refused(commit(store, by_uid(delete(&released), "uid of alice")).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await, Some(released));
    }

    async fn a_released_account_is_taken_back_under_the_same_name(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        let released = account(commit(store, release(&alice)).await);
        let back = account(commit(store, by_uid(update(&released, |_| ()), "restored")).await);
        assert_eq!((back.id, back.owner.uid.as_str(), back.revision), (alice.id, "restored", Revision(3)));
        deleted(commit(store, delete(&back)).await);
        assert_eq!(departure(store, "alice", "uid of alice").await, None);
        assert!(departure(store, "alice", "restored").await.is_some());
    }

    async fn an_account_is_taken_over_under_another_name_only_by_who_adopts_it(bench) {
        let store = bench.store();
        let alice = member(store).await;
        let Plan::Account(mut unasked) = adopt(&alice, "bob") else { panic!() };
        if let roster::plan::AccountChange::Update { adopts, .. } = &mut unasked.change {
            *adopts = false;
        }
        refused(commit(store, Plan::Account(unasked)).await, Refusal::Stale);
        assert_eq!(find(store, "alice").await.as_ref(), Some(&alice));
        let adopted = account(commit(store, adopt(&alice, "bob")).await);
        assert_eq!(adopted, Account { owner: owner("bob"), revision: Revision(2), ..alice.clone() });
        assert_eq!((find(store, "alice").await, find(store, "bob").await), (None, Some(adopted.clone())));
        assert_eq!(store.owners().await.unwrap(), [of("bob")]);
        refused(commit(store, adopt(&alice, "carol")).await, Refusal::Stale);
        let second = account(commit(store, recreate("alice", "second@acme.example")).await.or_else(|refusal| match refusal {
            Refusal::LoginTaken => Ok(Receipt::Account(Box::new(adopted.clone()))),
            other => Err(other),
        }));
        assert_eq!(second, adopted, "the login name stays with the account");
        deleted(commit(store, delete(&adopted)).await);
        assert_eq!(departure(store, "alice", "uid of alice").await, None);
        assert!(departure(store, "bob", "uid of bob").await.is_some());
    }

    async fn whose_name_has_an_account_adopts_no_second_one(bench) {
        let store = bench.store();
        let [alice, bob] = people(store, [("alice", "alice@acme.example"), ("bob", "bob@acme.example")]).await;
        refused(commit(store, adopt(&alice, "bob")).await, Refusal::Stale);
        let faulty = |edit: fn(&mut roster::domain::account::AccountSpec)| match adopt(&alice, "bob") {
            Plan::Account(mut plan) => {
                if let roster::plan::AccountChange::Update { content, .. } = &mut plan.change {
                    edit(content);
                }
                Plan::Account(plan)
            }
            other => other,
        };
        let faults: [fn(&mut roster::domain::account::AccountSpec); 3] = [
            |content| content.group = "ghosts".to_owned(),
            |content| content.email = email("alice@nowhere.example"),
            |content| content.email = email("bob@acme.example"),
        ];
        for fault in faults {
            refused(commit(store, faulty(fault)).await, Refusal::Stale);
        }
        assert_eq!((find(store, "alice").await, find(store, "bob").await), (Some(alice), Some(bob)));
        done(commit(store, put_domain_in("other", "d", "acme.example")).await);
        let elsewhere = account(commit(store, create_in(organization("other", "other"), "carol", content("carol@acme.example"))).await);
        let carol = account(commit(store, adopt(&find(store, "alice").await.unwrap(), "carol")).await);
        assert_ne!(carol.id, elsewhere.id, "the same name in another organization is another user");
    }

    async fn the_rules_hold_for_who_adopts_too(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let root = account(commit(store, create_member("root", "root@acme.example", "administrators")).await);
        let [bob] = people(store, [("bob", "bob@acme.example")]).await;
        let Plan::Account(mut plan) = adopt(&root, "carol") else { panic!() };
        if let roster::plan::AccountChange::Update { content, .. } = &mut plan.change {
            "users".clone_into(&mut content.group);
        }
        refused(commit(store, Plan::Account(plan)).await, Refusal::LastAdministrator);
        let edited = account(commit(store, update(&bob, |_| ())).await);
        refused(commit(store, seeing(adopt(&root, "carol"), &[&bob])).await, Refusal::Stale);
        account(commit(store, while_leave(seeing(adopt(&root, "carol"), &[&edited]), &["bob"])).await);
        assert_eq!(administrators(store).await, ["administrators/carol"]);
    }

    async fn an_account_is_found_by_its_id_while_it_lives(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        let nobody = AccountKey::Id(roster::domain::account::AccountId(alice.transaction.id.0));
        let found = store.find(&[AccountKey::Id(alice.id), nobody.clone()]).await.unwrap();
        assert_eq!(found, [(AccountKey::Id(alice.id), alice.clone())].into());
        let moved = account(commit(store, adopt(&alice, "bob")).await);
        assert_eq!(store.find(&[AccountKey::Id(alice.id)]).await.unwrap()[&AccountKey::Id(alice.id)], moved);
    }
}

in_databases! {
    async fn what_changes_nothing_writes_nothing(bench) {
        let store = bench.store();
        let alice = settled_alice_with(store, &["one", "two"]).await;
        let [bob] = people(store, [("bob", "bob@acme.example")]).await;
        deleted(commit(store, delete(&bob)).await);
        deleted(commit(store, confirm(bob.id, &[("one", 2)])).await);
        let mut application = bench.application().await;
        let before = application.version().await;
        use_directories(store, &["two", "one"], 9).await;
        account(commit_at(store, confirm(alice.id, &[("one", 1), ("two", 1), ("three", 1)]), 9).await);
        account(commit_at(store, confirm(alice.id, &[("one", 0)]), 9).await);
        deleted(commit_at(store, confirm(bob.id, &[("one", 2)]), 9).await);
        assert_eq!(application.version().await, before);
        account(commit_at(store, confirm(alice.id, &[("one", 2)]), 9).await);
        assert_ne!(application.version().await, before, "what changes something is seen to");
    }

    async fn the_view_has_the_hash_that_logs_in(bench) {
        let store = bench.store();
        let mut application = bench.application().await;
        let mut seen = async || -> Option<String> {
            application.text("SELECT password_hash FROM roster_accounts WHERE login_name = 'alice.acme'").await
        };
        let alice = member(store).await;
        assert_eq!(seen().await.as_deref(), Some(hash("first").as_str()));
        let own = account(commit(store, password_by_member(&alice, "own")).await);
        assert_eq!(seen().await.as_deref(), Some(hash("own").as_str()));
        account(commit(store, rehash(&own, "own", "stronger")).await);
        assert_eq!(seen().await.as_deref(), Some(hash("stronger").as_str()));
    }

    async fn transactions_in_flight_and_directories_outlive_the_process(bench) {
        let alice = alice_with(bench.store(), &["one", "two"]).await;
        let half = account(commit(bench.store(), confirm(alice.id, &[("one", 1)])).await);
        bench.store().close().await;
        let reopened = SqlStore::open(&bench.url()).await.unwrap();
        assert_eq!(find(&reopened, "alice").await, Some(half));
        let confirmed = account(commit_at(&reopened, confirm(alice.id, &[("two", 1)]), 8).await);
        assert_eq!(confirmed.transaction.completed, Some(at(8).now));
    }

    async fn another_process_waits_for_the_directories_that_one_of_them_was_told(bench) {
        let other = SqlStore::open(&bench.url()).await.unwrap();
        use_directories(bench.store(), &["one"], 0).await;
        let alice = alice(&other).await;
        assert!(alice.transaction.in_flight());
        use_directories(&other, &[], 3).await;
        assert_eq!(find(bench.store(), "alice").await.unwrap().transaction.completed, Some(at(3).now));
    }

    /// The operator and the process in which members log in, each with the store open.
    async fn of_a_members_password_and_the_operators_commit_neither_is_lost(bench) {
        let operator = bench.store();
        let members = SqlStore::open(&bench.url()).await.unwrap();
        let mut alice = member(operator).await;
        let (mut refusals, mut overtaken) = (0, 0);
        for round in 0..40 {
            let (phone, password) = (round.to_string(), format!("own {round}"));
            let edit = update(&alice, |content| content.profile.phone = Some(phone.clone()));
            let own = password_by_member(&alice, &password);
            let (edited, own) = tokio::join!(commit(operator, edit), commit(&members, own));
            let own = account(own);
            assert_eq!(login(&own), Some(hash(&password).as_str()));
            alice = find(operator, "alice").await.unwrap();
            match edited {
                Ok(_) => overtaken += 1,
                Err(Refusal::Stale) => refusals += 1,
                other => panic!("{other:?}"),
            }
            let has_edit = alice.content.profile.phone.as_deref() == Some(phone.as_str());
            assert_eq!(has_edit, edited.is_ok());
            assert_eq!((login(&alice), secret(&alice)), (Some(hash(&password).as_str()), Some(&from_secret("first"))));
        }
        println!("the operator's plan was stale {refusals} times, in time {overtaken} times");
        let journal = bench.journal(alice.id).await;
        assert_eq!((journal.len(), journal.iter().all(|entry| entry.completed.is_some())), (41, true));
    }

    async fn of_two_passwords_at_once_with_a_directory_one_is_refused(bench) {
        let operator = bench.store();
        let members = SqlStore::open(&bench.url()).await.unwrap();
        use_directories(operator, &["one"], 0).await;
        let mut alice = member(operator).await;
        for round in 0..20 {
            alice = account(commit(operator, confirm(alice.id, &[("one", alice.revision.0)])).await);
            let by_secret = change_password(&alice, SecretPassword { version: round.to_string(), ..from_secret("secret") });
            let (ours, theirs) = tokio::join!(commit(operator, by_secret), commit(&members, password_by_member(&alice, "own")));
            match (&ours, &theirs) {
                (Ok(_), Err(Refusal::InTransaction)) | (Err(Refusal::Stale), Ok(_)) => {}
                other => panic!("{other:?}"),
            }
            alice = find(&members, "alice").await.unwrap();
            let expected = if ours.is_ok() { "secret" } else { "own" };
            assert_eq!(login(&alice), Some(hash(expected).as_str()));
        }
        have(&addresses(operator).await, &[("alice", "alice@acme.example")]);
    }
}
