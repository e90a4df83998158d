//! What both databases add to the contract: other processes, and the contract with applications.

use std::time::Instant;

use futures::FutureExt;
use roster::domain::account::{Account, Revision};
use roster::domain::group::GroupContent;
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{Refusal, Store, StoreError};
use roster_test_support::application::Application;
use roster_test_support::plans::{
    account, acme, addresses, alice, at, by_uid, cases_unassigned, commit, commit_at, create,
    create_member, delete, done, drop_group, find, full_content, have, people, put_domain,
    put_group, record, update,
};

use crate::{Bench, in_databases};

/// The account as applications see it: its permissions, and everything else.
pub(crate) async fn seen(
    application: &mut Application,
    account: &Account,
) -> (Vec<String>, [Option<String>; 9]) {
    let query = "SELECT account_id, organization, login_name, email, state, group_name, display_name, phone, password_hash, \
                 permissions FROM roster_accounts WHERE account_id = $1";
    let rows = application.rows(query, &[&account.id.to_string()]).await;
    let permissions = serde_json::from_str(&rows[0].text(9).unwrap()).unwrap();
    (permissions, std::array::from_fn(|column| rows[0].text(column)))
}

in_databases! {
    async fn applications_see_each_account_in_the_view(bench) {
        let alice = alice(bench.store()).await;
        let alice = account(commit(bench.store(), update(&alice, |content| *content = full_content("a@acme.example"))).await);
        let (_, columns) = seen(&mut bench.application().await, &alice).await;
        let id = alice.id.to_string();
        let expected = [
            Some(id.as_str()),
            Some("acme"),
            Some("alice.acme"),
            Some("a@acme.example"),
            Some("Disabled"),
            Some("administrators"),
            Some("Ä'); DROP TABLE accounts; --"),
            Some("+1 602 555 0100"),
            None,
        ];
        assert_eq!(columns.each_ref().map(Option::as_deref), expected);
    }

    async fn the_view_gives_the_permissions_in_effect(bench) {
        let store = bench.store();
        let mut application = bench.application().await;
        let mut alice = alice(store).await;
        let groups = [put_group("crew", false, &["cases:read", "b", "a-b", "a"]), put_group("chiefs", true, &["z", "a:b"])];
        for plan in groups.into_iter().chain([put_group("stay", true, &[])]) {
            done(commit(store, plan).await);
        }
        account(commit(store, create_member("stays", "stays@acme.example", "stay")).await);
        for declared in [false, true] {
            for group in ["users", "administrators", "crew", "chiefs"] {
                for grants in [&[][..], &["a", "zz", "a:b", "0"]] {
                    let grants = roster_test_support::plans::permissions(grants);
                    alice = account(
                        commit(
                            store,
                            update(&alice, |content| {
                                group.clone_into(&mut content.group);
                                content.grants = grants.clone();
                            }),
                        )
                        .await,
                    );
                    let groups = record(store, acme()).await.groups;
                    let given = groups.get(group).cloned().or_else(|| GroupContent::built_in(group)).unwrap();
                    let effective: Vec<String> = grants.union(&given.given()).map(ToString::to_string).collect();
                    assert_eq!(seen(&mut application, &alice).await.0, effective, "{group}, declared: {declared}");
                }
            }
            done(commit(store, put_group("users", false, &["profile:read"])).await);
            done(commit(store, put_group("administrators", false, &["admin:read"])).await);
        }
    }

    async fn a_declared_group_that_is_dropped_gives_what_an_undeclared_one_does(bench) {
        let store = bench.store();
        done(commit(store, put_group("administrators", true, &["a"])).await);
        done(commit(store, drop_group("administrators")).await);
        done(commit(store, put_domain("acme", "acme.example")).await);
        let root = account(commit(store, create_member("root", "root@acme.example", "administrators")).await);
        assert_eq!(seen(&mut bench.application().await, &root).await.0, ["*"]);
    }

    async fn applications_write_cases_while_the_operator_writes_accounts(bench) {
        let store = bench.store();
        let alice = alice(store).await;
        let operator = async {
            for number in 0..40 {
                account(commit(store, create(&format!("u{number}"), &format!("u{number}@acme.example"))).await);
            }
        };
        let mut application = bench.application().await;
        let application = async {
            for number in 0..40 {
                let insert = "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ($1, 'acme', 'A case', $2)";
                application.execute(insert, &[&number.to_string(), &alice.id.to_string()]).await.unwrap();
            }
        };
        tokio::join!(operator, application);
        assert_eq!(store.list(None).await.unwrap().len(), 41);
        assert_eq!(cases_unassigned(commit(store, delete(&alice)).await, alice.id), 40);
    }

    async fn a_case_needs_no_id_and_no_owner_but_never_one_who_is_gone(bench) {
        let alice = alice(bench.store()).await;
        cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id);
        let mut application = bench.application().await;
        let insert = "INSERT INTO cases (organization, title, owner_account_id) VALUES ('acme', 'A case', $1)";
        application.execute("INSERT INTO cases (organization, title) VALUES ('acme', 'A case')", &[]).await.unwrap();
        let orphaned = application.execute(insert, &[&alice.id.to_string()]).await.unwrap_err();
        assert!(orphaned.as_database_error().unwrap().is_foreign_key_violation());
    }

    async fn of_two_processes_that_want_one_address_one_gets_it(bench) {
        done(commit(bench.store(), put_domain("acme", "acme.example")).await);
        let other = SqlStore::open(&bench.url()).await.unwrap();
        for number in 0..10 {
            let address = format!("{number}@acme.example");
            let ours = commit(bench.store(), create(&format!("ours-{number}"), &address));
            let theirs = commit(&other, create(&format!("theirs-{number}"), &address));
            let (ours, theirs) = tokio::join!(ours, theirs);
            assert!(ours == Err(Refusal::EmailTaken) || theirs == Err(Refusal::EmailTaken), "{ours:?} {theirs:?}");
            assert!(ours.is_ok() || theirs.is_ok());
        }
    }

    async fn what_an_application_writes_is_bounded(bench) {
        let alice = alice(bench.store()).await;
        let mut application = bench.application().await;
        let id = alice.id.to_string();
        let insert = "INSERT INTO cases (case_id, organization, title, owner_account_id) VALUES ($1, $2, $3, $4)";
        let most = ["c".repeat(256), "o".repeat(63), "\u{1f600}".repeat(1000), id.clone()];
        application.execute(insert, &most.each_ref().map(String::as_str)).await.unwrap();
        let columns = ["case_id", "organization", "title", "owner_account_id"];
        for (column, one_more) in [257, 64, 1001, 37].into_iter().enumerate() {
            let mut more = ["2", "acme", "A case", &id];
            let (long, very_long) = ("x".repeat(one_more), "x".repeat(10_000_000));
            for text in [&long, &very_long] {
                more[column] = text;
                let refused = application.execute(insert, &more).await.unwrap_err();
                assert!(refused.to_string().contains("too long for a case"), "{}: {refused}", columns[column]);
                let update = format!("UPDATE cases SET {} = $1", columns[column]);
                let refused = application.execute(&update, &[text]).await.unwrap_err();
                assert!(refused.to_string().contains("too long for a case"), "{}: {refused}", columns[column]);
            }
        }
        assert_eq!(cases_unassigned(commit(bench.store(), delete(&alice)).await, alice.id), 1);
        application.execute("INSERT INTO cases (organization, title) VALUES ('acme', 'A case')", &[]).await.unwrap();
    }

    async fn a_writer_that_died_before_its_commit_leaves_nothing(bench) {
        done(commit(bench.store(), put_domain("acme", "acme.example")).await);
        let mut killed = bench.application().await;
        killed.hold().await;
        killed.execute("DELETE FROM domains", &[]).await.unwrap();
        drop(killed);
        account(commit(bench.store(), create("alice", "alice@acme.example")).await);
    }

    async fn a_commit_that_nobody_waits_for_any_more_is_whole_or_not_at_all(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let mut accounts = 0;
        for polls in 1..60 {
            let pair = [("a", polls), ("b", polls)].map(|(letter, number)| format!("{letter}{number}"));
            let plans: Vec<Plan> = pair.iter().map(|name| create(name, &format!("{name}@acme.example"))).collect();
            let mut abandoned = Box::pin(store.commit(&plans, at(0)));
            for _ in 0..polls {
                if abandoned.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
            drop(abandoned);
            done(commit(store, put_group("crew", false, &[])).await);
            let found = store.list(None).await.unwrap().len();
            assert!(found == accounts || found == accounts + 2, "{accounts} became {found}");
            accounts = found;
        }
    }

    async fn lifetimes_outlive_their_accounts_and_never_end_before_they_begin(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let alice = account(commit_at(store, create("alice", "alice@acme.example"), 1000).await);
        let lifetimes = || async {
            let query = "SELECT namespace, login_name, created_at, deleted_at FROM lifetimes WHERE account_id = $1";
            let rows = bench.application().await.rows(query, &[&alice.id.to_string()]).await;
            (rows[0].text(0).unwrap(), rows[0].text(1).unwrap(), rows[0].number(2), rows[0].optional_number(3))
        };
        let created = at(1000).now.as_microsecond();
        assert_eq!(lifetimes().await, ("acme".to_owned(), "alice.acme".to_owned(), created, None));
        cases_unassigned(commit_at(store, delete(&alice), 0).await, alice.id);
        assert_eq!(lifetimes().await, ("acme".to_owned(), "alice.acme".to_owned(), created, Some(created)));
    }

    async fn reopening_keeps_everything(bench) {
        let alice = alice(bench.store()).await;
        bench.store().close().await;
        for _ in 0..2 {
            let reopened = SqlStore::open(&bench.url()).await.unwrap();
            assert_eq!(find(&reopened, "alice").await.as_ref(), Some(&alice));
            reopened.close().await;
        }
        let existing = SqlStore::open_existing(&bench.place.url_to_create()).await.unwrap();
        assert_eq!(existing.list(None).await.unwrap(), [alice]);
    }

    async fn a_store_of_a_newer_roster_is_refused(bench) {
        let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                      SELECT 99, 'x', TRUE, checksum, 0 FROM _sqlx_migrations ORDER BY version LIMIT 1";
        assert_eq!(bench.application().await.execute(insert, &[]).await.unwrap(), 1);
        for opened in [SqlStore::open(&bench.url()).await, SqlStore::open_existing(&bench.url()).await] {
            assert!(matches!(opened, Err(StoreError::NewerSchema { found: 99, .. })));
        }
    }

    async fn looks_are_answered_while_another_process_writes(bench) {
        let alice = alice(bench.store()).await;
        let mut writing = bench.application().await;
        writing.hold().await;
        writing.execute("UPDATE accounts SET role = 'half written'", &[]).await.unwrap();
        assert_eq!(find(bench.store(), "alice").await, Some(alice));
    }

    async fn a_repeated_plan_after_a_reopened_store_has_its_first_receipt(bench) {
        let alice = alice(bench.store()).await;
        bench.assign_case("1", alice.id).await;
        let first = commit_at(bench.store(), delete(&alice), 5).await;
        bench.store().close().await;
        let reopened = SqlStore::open(&bench.url()).await.unwrap();
        assert_eq!(commit_at(&reopened, by_uid(delete(&alice), "anybody"), 60).await, first);
        have(&addresses(&reopened).await, &[]);
    }

    /// Prints how long 256 accounts take in one commit and one by one (`cargo test --
    /// --nocapture`).
    async fn many_accounts_fit_in_one_commit(bench) {
        let store = bench.store();
        let [_] = people(store, [("warm", "warm@acme.example")]).await;
        let plans = |prefix: &str| -> Vec<Plan> {
            (0..256).map(|number| create(&format!("{prefix}{number}"), &format!("{prefix}{number}@acme.example"))).collect()
        };
        let begun = Instant::now();
        let together: Vec<Account> = store.commit(&plans("t"), at(0)).await.unwrap().into_iter().map(account).collect();
        let in_one = begun.elapsed();
        let begun = Instant::now();
        for plan in plans("s") {
            account(commit(store, plan).await);
        }
        let one_by_one = begun.elapsed();
        let keys: Vec<_> = together
            .iter()
            .map(|account| roster::store::AccountKey::Email { namespace: "acme".to_owned(), email: account.content.email.clone() })
            .collect();
        let begun = Instant::now();
        assert_eq!(store.find(&keys).await.unwrap().len(), 256);
        let found = begun.elapsed();
        let edits: Vec<Plan> =
            together.iter().map(|account| update(account, |content| content.role = Some("Driver".to_owned()))).collect();
        let begun = Instant::now();
        let updated: Vec<Account> = store.commit(&edits, at(0)).await.unwrap().into_iter().map(account).collect();
        let updated_in_one = begun.elapsed();
        assert!(updated.iter().all(|account| account.revision == Revision(2)));
        let deletes: Vec<Plan> = updated.iter().map(delete).collect();
        let begun = Instant::now();
        assert!(store.commit(&deletes, at(0)).await.unwrap().iter().all(Result::is_ok));
        let deleted_in_one = begun.elapsed();
        println!(
            "256 accounts: created in one commit {in_one:?}, one by one {one_by_one:?}; found {found:?}; \
             updated in one commit {updated_in_one:?}; deleted in one commit {deleted_in_one:?}"
        );
    }
}
