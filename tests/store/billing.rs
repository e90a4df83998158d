//! The contract on bills, one function per sentence: who is billed for a month, and what changes
//! that no more.

use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};
use roster::clock::Clock;
use roster::domain::account::{Account, AccountSpec, LoginState, TransactionKind};
use roster::domain::billing::{Bill, BillLine, BillingTimeZone, Month, ReopenError};
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::sql::corrections::CorrectionError;
use roster::store::{CommitTime, Receipt, Refusal, Store};
use roster_test_support::plans::{
    account, acme, cases_unassigned, commit, content, create, create_in, delete, done,
    organization, put_domain, put_domain_in, recreate, switch,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use crate::contract::contract;
use crate::{Bench, in_databases};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> BillingTimeZone {
    name.parse().unwrap()
}

async fn commit_on(store: &impl Store, plan: Plan, now: &str) -> Result<Receipt, Refusal> {
    let occasion = CommitTime { now: time(now), deadline: time(now) };
    store.commit(&[plan], occasion).await.unwrap().pop().unwrap()
}

/// Creates an account in `acme`.
async fn born(store: &impl Store, name: &str, now: &str) -> Account {
    done(commit(store, put_domain("acme", "acme.example")).await);
    account(commit_on(store, create(name, &format!("{name}@acme.example")), now).await)
}

async fn switched(
    store: &impl Store,
    account_before: &Account,
    kind: TransactionKind,
    now: &str,
) -> Account {
    account(commit_on(store, switch(account_before, kind), now).await)
}

async fn gone(store: &impl Store, account: &Account, now: &str) {
    cases_unassigned(commit_on(store, delete(account), now).await, account.id);
}

async fn account_of(store: &impl Store, name: &str) -> Account {
    let accounts = store.list(None).await.unwrap();
    accounts.into_iter().find(|account| account.owner.name == name).unwrap()
}

/// Closes what is over in a time zone, and returns it.
async fn close(store: &impl Store, name: &str, now: &str) -> Vec<String> {
    let closed = store.close_months(&zone(name), time(now)).await.unwrap();
    closed.iter().map(|period| period.month.to_string()).collect()
}

/// The lines of a month.
async fn lines(store: &impl Store, month: &str, organization: Option<&str>) -> Vec<BillLine> {
    let calendar = store.calendar().await.unwrap();
    let month: Month = month.parse().unwrap();
    let period = calendar.period(month, &calendar.zone.clone().unwrap_or(BillingTimeZone::UTC));
    let (mut bill, mut lines) = (Bill::new(&period), vec![]);
    let mut take = |life| {
        lines.extend(bill.take(life));
        ControlFlow::Continue(())
    };
    store.lifetimes(&period, organization, &mut take).await.unwrap();
    lines.extend(bill.finish());
    lines
}

/// The lines of a month, as `LOGIN STATE FROM TO`.
async fn bill(store: &impl Store, month: &str) -> Vec<String> {
    let said = |line: BillLine| {
        let to = line.to.map_or_else(String::new, |to| format!(" {to}"));
        format!("{} {} {}{to}", line.login_name, line.state.as_str(), line.from)
    };
    lines(store, month, None).await.into_iter().map(said).collect()
}

contract! {
    async fn a_login_is_billed_for_each_month_of_its_account_and_for_no_other(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-01-31T23:59:59.999999Z").await;
        gone(store, &alice, "2026-03-01T00:00:00Z").await;
        assert!(bill(store, "2025-12").await.is_empty());
        assert_eq!(bill(store, "2026-01").await, ["alice.acme Enabled 2026-01-31T23:59:59.999999Z"]);
        assert_eq!(bill(store, "2026-02").await, ["alice.acme Enabled 2026-02-01T00:00:00Z"]);
        assert!(bill(store, "2026-03").await.is_empty(), "it was gone when March began");
    }

    async fn a_login_that_is_deleted_and_created_again_in_a_month_is_billed_once(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-01-05T00:00:00Z").await;
        gone(store, &alice, "2026-02-10T00:00:00Z").await;
        account(commit_on(store, recreate("alice", "alice@acme.example"), "2026-02-20T00:00:00Z").await);
        assert_eq!(bill(store, "2026-01").await, ["alice.acme Enabled 2026-01-05T00:00:00Z"]);
        assert_eq!(bill(store, "2026-02").await, ["alice.acme Enabled 2026-02-01T00:00:00Z"]);
    }

    async fn a_login_that_is_created_again_later_is_not_billed_for_the_months_between(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-01-05T00:00:00Z").await;
        gone(store, &alice, "2026-01-10T00:00:00Z").await;
        account(commit_on(store, recreate("alice", "alice@acme.example"), "2026-03-20T00:00:00Z").await);
        assert_eq!(bill(store, "2026-01").await, ["alice.acme Deleted 2026-01-05T00:00:00Z 2026-01-10T00:00:00Z"]);
        assert!(bill(store, "2026-02").await.is_empty());
        assert_eq!(bill(store, "2026-03").await, ["alice.acme Enabled 2026-03-20T00:00:00Z"]);
    }

    async fn an_account_that_lived_for_a_minute_or_for_no_time_is_billed(bench) {
        let store = bench.store();
        let minute = born(store, "alice", "2026-01-05T00:00:00Z").await;
        gone(store, &minute, "2026-01-05T00:01:00Z").await;
        let instant = born(store, "bob", "2026-02-01T00:00:00Z").await;
        gone(store, &instant, "2026-02-01T00:00:00Z").await;
        assert_eq!(bill(store, "2026-01").await, ["alice.acme Deleted 2026-01-05T00:00:00Z 2026-01-05T00:01:00Z"]);
        assert_eq!(bill(store, "2026-02").await, ["bob.acme Deleted 2026-02-01T00:00:00Z 2026-02-01T00:00:00Z"]);
    }

    async fn a_disabled_account_is_billed_in_the_state_that_it_had_at_the_end_of_each_month(bench) {
        let store = bench.store();
        done(commit(store, put_domain("acme", "acme.example")).await);
        let disabled = AccountSpec { lifecycle: LoginState::Disabled, ..content("bob@acme.example") };
        let bob = account(commit_on(store, create_in(acme(), "bob", disabled), "2026-01-05T00:00:00Z").await);
        switched(store, &bob, TransactionKind::Enable, "2026-04-01T00:00:00Z").await;
        let alice = born(store, "alice", "2026-01-05T00:00:00Z").await;
        let alice = switched(store, &alice, TransactionKind::Disable, "2026-02-10T00:00:00Z").await;
        let alice = switched(store, &alice, TransactionKind::Enable, "2026-03-31T23:59:59.999999Z").await;
        gone(store, &alice, "2026-05-01T00:00:00Z").await;
        for (month, alice, bob) in [
            ("2026-01", "Enabled", "Disabled"), ("2026-02", "Disabled", "Disabled"), ("2026-03", "Enabled", "Disabled"),
            ("2026-04", "Enabled", "Enabled"),
        ] {
            let states: Vec<&str> = lines(store, month, None).await.iter().map(|line| line.state.as_str()).collect();
            assert_eq!(states, [alice, bob], "{month}");
        }
    }

    async fn what_counts_is_when_the_deletion_was_committed_and_not_when_it_was_asked_for_again(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-11-05T00:00:00Z").await;
        gone(store, &alice, "2026-11-30T23:59:00Z").await;
        assert_eq!(close(store, "UTC", "2026-12-01T00:00:00Z").await, ["2026-10", "2026-11"]);
        gone(store, &alice, "2026-12-01T00:05:00Z").await;
        assert_eq!(bill(store, "2026-11").await, ["alice.acme Deleted 2026-11-05T00:00:00Z 2026-11-30T23:59:00Z"]);
        assert!(bill(store, "2026-12").await.is_empty());
    }

    async fn months_are_closed_once_and_all_that_are_over_however_long_nobody_did(bench) {
        let store = bench.store();
        assert!(close(store, "UTC", "2026-11-05T00:00:00Z").await.is_empty(), "nobody ever lived");
        born(store, "alice", "2026-11-05T00:00:00Z").await;
        assert_eq!(close(store, "UTC", "2026-11-05T00:00:00Z").await, ["2026-10"]);
        let before = bill(store, "2026-11").await;
        assert_eq!(close(store, "UTC", "2027-02-14T00:00:00Z").await, ["2026-11", "2026-12", "2027-01"]);
        assert!(close(store, "UTC", "2027-02-14T00:00:00Z").await.is_empty());
        assert!(close(store, "UTC", "2026-11-20T00:00:00Z").await.is_empty(), "the clock stepped back");
        assert_eq!(bill(store, "2026-11").await, before);
        assert_eq!(bill(store, "2027-01").await, ["alice.acme Enabled 2027-01-01T00:00:00Z"]);
        assert_eq!(store.calendar().await.unwrap().closed_until(), Some(time("2027-02-01T00:00:00Z")));
    }

    async fn a_clock_that_steps_back_changes_no_closed_month(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-11-05T00:00:00Z").await;
        let bob = born(store, "bob", "2026-11-05T00:00:00Z").await;
        close(store, "UTC", "2026-12-01T00:00:00Z").await;
        let before = (bill(store, "2026-10").await, bill(store, "2026-11").await);
        let late = born(store, "carol", "2026-10-20T00:00:00Z").await;
        let alice = switched(store, &alice, TransactionKind::Disable, "2026-11-20T00:00:00Z").await;
        gone(store, &bob, "2026-11-20T00:00:00Z").await;
        gone(store, &born(store, "dave", "2026-11-30T23:59:59.999999Z").await, "2026-12-01T00:00:00Z").await;
        assert_eq!((bill(store, "2026-10").await, bill(store, "2026-11").await), before);
        let first = "2026-12-01T00:00:00.000001Z";
        assert_eq!((late.created, alice.transaction.started, alice.transaction.deadline), (time(first), time(first), time(first)));
        assert_eq!(
            bill(store, "2026-12").await,
            [
                "alice.acme Disabled 2026-12-01T00:00:00Z".to_owned(),
                format!("bob.acme Deleted 2026-12-01T00:00:00Z {first}"),
                format!("carol.acme Enabled {first}"),
                format!("dave.acme Deleted {first} {first}"),
            ]
        );
    }

    async fn a_clock_that_steps_back_before_the_first_life_changes_no_closed_month(bench) {
        let store = bench.store();
        born(store, "alice", "2026-11-01T00:30:00Z").await;
        close(store, "UTC", "2026-11-01T00:40:00Z").await;
        born(store, "bob", "2026-10-31T23:30:00Z").await;
        assert!(bill(store, "2026-10").await.is_empty());
        assert_eq!(bill(store, "2026-11").await.len(), 2);
    }

    async fn where_the_clock_was_set_back_within_a_month_the_last_change_counts(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-11-05T00:00:00Z").await;
        let alice = switched(store, &alice, TransactionKind::Disable, "2026-11-20T00:00:00Z").await;
        switched(store, &alice, TransactionKind::Enable, "2026-11-19T00:00:00Z").await;
        assert_eq!(bill(store, "2026-11").await, ["alice.acme Enabled 2026-11-05T00:00:00Z"]);
    }

    async fn a_change_that_is_refused_is_no_history(bench) {
        let store = bench.store();
        let alice = born(store, "alice", "2026-11-05T00:00:00Z").await;
        switched(store, &alice, TransactionKind::Disable, "2026-11-06T00:00:00Z").await;
        assert_eq!(commit_on(store, delete(&alice), "2026-11-07T00:00:00Z").await, Err(Refusal::Stale));
        let another = recreate("alice", "alice@acme.example");
        assert_eq!(commit_on(store, another, "2026-11-08T00:00:00Z").await, Err(Refusal::Stale));
        assert_eq!(bill(store, "2026-11").await, ["alice.acme Disabled 2026-11-05T00:00:00Z"]);
    }

    async fn another_time_zone_begins_where_the_last_closed_month_ended(bench) {
        let store = bench.store();
        born(store, "alice", "2026-10-05T00:00:00Z").await;
        close(store, "UTC", "2026-11-02T00:00:00Z").await;
        assert_eq!(close(store, "Pacific/Auckland", "2026-11-30T11:00:00Z").await, ["2026-11"]);
        let bob = born(store, "bob", "2026-11-30T12:00:00Z").await;
        gone(store, &bob, "2026-11-30T13:00:00Z").await;
        assert_eq!(bill(store, "2026-10").await, ["alice.acme Enabled 2026-10-05T00:00:00Z"]);
        assert_eq!(bill(store, "2026-11").await, ["alice.acme Enabled 2026-11-01T00:00:00Z"]);
        assert_eq!(bill(store, "2026-12").await.len(), 2, "by the clocks of Auckland it was December");
        let calendar = store.calendar().await.unwrap();
        assert_eq!(calendar.zone, Some(zone("Pacific/Auckland")));
        let zones: Vec<&str> = calendar.closed.iter().map(|period| period.time_zone.as_str()).collect();
        assert_eq!(zones, ["UTC", "UTC", "Pacific/Auckland"]);
    }

    async fn lives_come_by_organization_and_login_until_no_more_are_wanted(bench) {
        let store = bench.store();
        born(store, "b", "2026-11-05T00:00:00Z").await;
        born(store, "a", "2026-11-06T00:00:00Z").await;
        let other = organization("Z", "z");
        done(commit(store, put_domain_in("Z", "d", "acme.example")).await);
        account(commit_on(store, create_in(other, "c", content("c@acme.example")), "2026-11-05T00:00:00Z").await);
        let logins = |lines: Vec<BillLine>| lines.into_iter().map(|line| line.login_name.to_string()).collect::<Vec<_>>();
        assert_eq!(logins(lines(store, "2026-11", None).await), ["c.z", "a.acme", "b.acme"]);
        assert_eq!(logins(lines(store, "2026-11", Some("acme")).await), ["a.acme", "b.acme"]);
        assert!(lines(store, "2026-11", Some("nobody")).await.is_empty());
        let period = store.calendar().await.unwrap().period("2026-11".parse().unwrap(), &BillingTimeZone::UTC);
        let mut seen = vec![];
        let mut take = |life: roster::domain::billing::Lifetime| {
            seen.push(life.login_name.to_string());
            if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.lifetimes(&period, None, &mut take).await.unwrap();
        assert_eq!(seen, ["c.z", "a.acme"]);
    }
}

in_databases! {
    async fn months_that_a_wrong_clock_closed_are_opened_again_and_what_it_dated_is_dated_now(bench) {
        let store = bench.store();
        let early = born(store, "alice", "2026-11-05T00:00:00Z").await;
        let before = bill(store, "2026-10").await;
        // For a moment the clock is 400 days ahead.
        close(store, "UTC", "2028-01-04T00:00:00Z").await;
        let now = time("2026-11-30T15:00:00Z");
        gone(store, &early, "2026-11-30T14:00:00Z").await;
        let late = born(store, "bob", "2026-11-30T14:00:00Z").await;
        switched(store, &late, TransactionKind::Disable, "2026-11-30T14:30:00Z").await;
        assert_eq!(bill(store, "2027-06").await.len(), 1, "alice is billed for more than a year");
        assert_eq!(store.lives_after(now).await.unwrap(), 2);

        let after: Month = "2026-10".parse().unwrap();
        let refused = store.correct("2026-09".parse().unwrap(), now).await.unwrap_err();
        assert!(matches!(refused, CorrectionError::Refused(ReopenError::Over(month)) if month == after), "{refused}");
        let refused = store.correct("2026-11".parse().unwrap(), now).await.unwrap_err();
        assert!(matches!(refused, CorrectionError::Refused(ReopenError::NotOver(_))), "{refused}");
        let planned = store.correction(after, now).await.unwrap();
        assert_eq!((planned.months.len(), store.calendar().await.unwrap().closed.len()), (14, 15), "nothing was done yet");
        let done = store.correct(after, now).await.unwrap();
        assert_eq!(done, planned);

        assert_eq!(store.calendar().await.unwrap().closed_until(), Some(time("2026-11-01T00:00:00Z")));
        assert_eq!(
            bill(store, "2026-11").await,
            ["alice.acme Deleted 2026-11-05T00:00:00Z 2026-11-30T15:00:00Z", "bob.acme Disabled 2026-11-30T15:00:00Z"]
        );
        assert_eq!(bill(store, "2026-10").await, before, "what is over stays as it is");
        assert!(bill(store, "2028-01").await.iter().all(|line| line.starts_with("bob.acme")), "he lives on");
        let bob = account_of(store, "bob").await;
        assert_eq!((bob.created, bob.transaction.started), (now, now));
        assert!(bob.transaction.deadline < time("2026-12-01T00:00:00Z"));
        let mut application = bench.application().await;
        assert_eq!(application.number("SELECT COUNT(*) FROM billing_corrections WHERE what = 'MonthReopened'").await, 14);
        let lives = "SELECT COUNT(*) FROM billing_corrections WHERE what LIKE 'lifetimes.%'";
        assert_eq!(application.number(lives).await, 2);
        application.close().await;
        assert!(store.correction(after, now).await.unwrap().is_nothing());
        assert_eq!(close(store, "UTC", "2026-12-01T00:00:00Z").await, ["2026-11"], "it is closed in its time");
    }

    async fn a_store_has_the_clock_of_its_server_where_it_has_one(bench) {
        let shown = bench.store().time().await.unwrap();
        assert_eq!(shown.is_some(), bench.url().starts_with("postgres"));
        let skew = shown.map(|shown| shown.duration_since(Clock::SYSTEM.now()).abs());
        assert!(skew.is_none_or(|skew| skew < SignedDuration::from_secs(60)), "{skew:?}");
    }

    async fn closing_writes_only_what_is_new_and_a_reopened_store_knows_it(bench) {
        born(bench.store(), "alice", "2026-11-05T00:00:00Z").await;
        let mut watcher = bench.application().await;
        let before = watcher.version().await;
        close(bench.store(), "Europe/Berlin", "2026-11-05T00:00:00Z").await;
        let after = watcher.version().await;
        assert_ne!(before, after);
        close(bench.store(), "Europe/Berlin", "2026-11-25T00:00:00Z").await;
        assert_eq!(watcher.version().await, after, "nothing was over");
        let calendar = bench.store().calendar().await.unwrap();
        bench.store().close().await;
        assert_eq!(SqlStore::open(&bench.url()).await.unwrap().calendar().await.unwrap(), calendar);
    }
}

#[tokio::test]
async fn what_happened_before_states_were_written_down_is_taken_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/roster.db", folder.path().display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let migrations = [
        (1, include_str!("../../src/store/migrations/0001_accounts.sqlite.sql")),
        (2, include_str!("../../src/store/migrations/0002_applications.sqlite.sql")),
        (3, include_str!("../../src/store/migrations/0003_permissions.sqlite.sql")),
    ]
    .map(|(version, sql)| {
        Migration::new(version, "before".into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into()).run(&mut connection).await.unwrap();
    let day = |text: &str| time(&format!("2026-{text}T00:00:00Z")).as_microsecond();
    for (number, (name, state, journal)) in [
        ("always", "Enabled", vec![]),
        ("never", "Disabled", vec![]),
        ("switched", "Enabled", vec![("Disable", "02-10"), ("Enable", "03-10")]),
        ("begun", "Disabled", vec![("Enable", "02-10"), ("Disable", "03-10")]),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("0193a1b2-0000-7000-8000-00000000000{number}");
        let lifetime =
            sqlx::query("INSERT INTO lifetimes VALUES ($1, 'acme', $2 || '.acme', $3, NULL)");
        lifetime.bind(&id).bind(name).bind(day("01-05")).execute(&mut connection).await.unwrap();
        for (kind, on) in [("Create", "01-05")].into_iter().chain(journal) {
            let entry =
                sqlx::query("INSERT INTO transactions VALUES ($1 || $2, $1, $2, $3, $3, $3, 0)");
            entry.bind(&id).bind(kind).bind(day(on)).execute(&mut connection).await.unwrap();
        }
        sqlx::query(
            "INSERT INTO accounts (account_id, namespace, owner_name, revision, transaction_id, login_name, email, email_domain, \
             state, group_name, grants, teams, display_name, notifications, created_at) VALUES ($1, 'acme', $2, 1, $1 || 'Create', \
             $2 || '.acme', $2 || '@acme.example', 'acme.example', $3, 'users', '[]', '[]', '', '[]', $4)",
        )
        .bind(&id)
        .bind(name)
        .bind(state)
        .bind(day("01-05"))
        .execute(&mut connection)
        .await
        .unwrap();
    }
    connection.close().await.unwrap();
    let store = SqlStore::open(&url).await.unwrap();
    for (month, expected) in [
        ("2026-01", ["Enabled", "Disabled", "Disabled", "Enabled"]),
        ("2026-02", ["Enabled", "Enabled", "Disabled", "Disabled"]),
        ("2026-03", ["Enabled", "Disabled", "Disabled", "Enabled"]),
    ] {
        // By login: always, begun, never, switched.
        let states: Vec<&str> =
            lines(&store, month, None).await.iter().map(|line| line.state.as_str()).collect();
        assert_eq!(states, expected, "{month}");
    }
}
