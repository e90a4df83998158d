//! What applications read: the view says of every account what the one definition of its
//! permissions says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roster::domain::account::{Account, Source};
use roster::domain::group::GroupContent;
use roster::domain::inheritance;
use roster::domain::organization::Organization;
use roster::plan::Plan;
use roster::store::sql::SqlStore;
use roster::store::{OrganizationRecord, Store};
use roster_test_support::application::Application;
use roster_test_support::plans::{
    account, acme, at, cloned, commit, content, create_heir, create_in, create_member, done, find,
    inherited, kept, organization, put_domain, put_domain_in, put_group, update,
};
use sqlx::Row;

use crate::{Bench, InDatabase, InPostgres, InSqlite, Place, in_databases};

/// The view says of each account what is worked out from what the store has.
pub(crate) async fn agrees_with_the_definition(bench: &InDatabase<impl Place>) {
    let accounts = bench.store().list(None).await.unwrap();
    let organizations: BTreeMap<String, Organization> = accounts
        .iter()
        .map(|account| (account.namespace.clone(), organization(&account.namespace, "any")))
        .collect();
    let organizations: Vec<Organization> = organizations.into_values().collect();
    let records = bench.store().organizations(&organizations).await.unwrap();
    let by_name: HashMap<(&str, &str), &Account> = accounts
        .iter()
        .map(|account| ((account.namespace.as_str(), account.owner.name.as_str()), account))
        .collect();
    let expected = accounts.iter().map(|account| {
        let find = |name: &str| by_name.get(&(account.namespace.as_str(), name)).copied();
        let group = given(&records, account);
        let effective = inheritance::effective(account, Some(&group), find);
        (account.id.to_string(), effective.iter().map(ToString::to_string).collect())
    });
    let expected: BTreeMap<String, Vec<String>> = expected.collect();
    assert_eq!(seen(&mut bench.application().await).await, expected);
}

fn given(records: &HashMap<String, OrganizationRecord>, account: &Account) -> GroupContent {
    records
        .get(&account.namespace)
        .and_then(|record| record.group(&account.content.group))
        .unwrap_or_default()
}

/// The permissions of every account by its id, as applications see them.
async fn seen(application: &mut Application) -> BTreeMap<String, Vec<String>> {
    let rows = application.rows("SELECT account_id, permissions FROM roster_accounts", &[]).await;
    rows.iter()
        .map(|row| (row.text(0).unwrap(), serde_json::from_str(&row.text(1).unwrap()).unwrap()))
        .collect()
}

async fn permissions(bench: &InDatabase<impl Place>, name: &str) -> Vec<String> {
    let account = find(bench.store(), name).await.unwrap();
    seen(&mut bench.application().await).await.remove(&account.id.to_string()).unwrap()
}

/// An account that is granted a permission of its own name.
fn named(organization: &Organization, name: &str, source: Option<Source>) -> Plan {
    let mut content = content(&format!("{name}@acme.example"));
    content.grants =
        roster_test_support::plans::permissions(&[&format!("{}:{name}", organization.namespace)]);
    content.source = source;
    create_in(organization.clone(), name, content)
}

/// A line on which `<prefix>0` follows so many others.
fn line(organization: &Organization, prefix: &str, others: usize) -> Vec<Plan> {
    let source = |number| {
        if number == others { None } else { inherited(&format!("{prefix}{}", number + 1)) }
    };
    (0..=others)
        .map(|number| named(organization, &format!("{prefix}{number}"), source(number)))
        .collect()
}

/// So many who follow each other round.
fn unmarked_loop(prefix: &str, members: usize) -> Vec<Plan> {
    let one = |number: usize| {
        named(
            &acme(),
            &format!("{prefix}{number}"),
            inherited(&format!("{prefix}{}", (number + 1) % members)),
        )
    };
    (0..members).map(one).collect()
}

async fn commit_all(store: &SqlStore, plans: Vec<Plan>) {
    for answer in store.commit(&plans, at(0)).await.unwrap() {
        account(answer);
    }
}

async fn put_domains(store: &SqlStore) {
    done(commit(store, put_domain("acme", "acme.example")).await);
    done(commit(store, put_domain_in("other", "d", "acme.example")).await);
}

in_databases! {
    async fn permissions_come_along_lines_of_up_to_32_others_and_along_longer_ones_none_at_all(bench) {
        put_domains(bench.store()).await;
        for (number, others) in [0, 1, 31, 32, 33, 40].into_iter().enumerate() {
            for organization in [acme(), organization("other", "other")] {
                commit_all(bench.store(), line(&organization, &format!("l{number}-"), others)).await;
            }
        }
        for (name, expected) in
            [("l0-0", 1), ("l1-0", 2), ("l2-0", 32), ("l3-0", 33), ("l4-0", 1), ("l4-1", 33), ("l5-0", 1), ("l5-7", 1), ("l5-8", 33)]
        {
            let permissions = permissions(bench, name).await;
            assert_eq!(permissions.len(), expected, "{name}");
            assert!(permissions.iter().all(|permission| permission.starts_with("acme:")), "nothing crosses organizations");
        }
        agrees_with_the_definition(bench).await;
    }

    async fn a_clone_in_the_middle_of_a_line_ends_it(bench) {
        put_domains(bench.store()).await;
        let store = bench.store();
        for (prefix, middle) in [("a", 1), ("b", 20), ("c", 32), ("d", 33)] {
            commit_all(store, line(&acme(), prefix, 40)).await;
            let there = find(store, &format!("{prefix}{middle}")).await.unwrap();
            account(commit(store, update(&there, |content| content.source = cloned(&there, &["cloned:here", "z"]))).await);
        }
        for (name, expected) in [("a0", 4), ("a1", 3), ("a2", 1), ("b0", 23), ("c0", 35), ("d0", 1)] {
            assert_eq!(permissions(bench, name).await.len(), expected, "{name}");
        }
        agrees_with_the_definition(bench).await;
    }

    async fn nothing_comes_round_a_loop_however_long_or_into_one(bench) {
        put_domains(bench.store()).await;
        let store = bench.store();
        for (prefix, members) in [("a", 1), ("b", 2), ("c", 32), ("d", 33), ("e", 34), ("f", 70)] {
            commit_all(store, unmarked_loop(prefix, members)).await;
            commit_all(store, vec![named(&acme(), &format!("heir-of-{prefix}"), inherited(&format!("{prefix}0")))]).await;
        }
        for name in ["a0", "b1", "c5", "d0", "e33", "f69", "heir-of-a", "heir-of-c", "heir-of-f"] {
            assert_eq!(permissions(bench, name).await, [format!("acme:{name}")]);
        }
        agrees_with_the_definition(bench).await;
    }

    async fn each_on_a_loop_has_what_it_keeps_and_heirs_have_that_of_the_one_they_follow(bench) {
        put_domains(bench.store()).await;
        let round = [("a", kept("b", &["p"])), ("b", kept("a", &[])), ("own", kept("own", &["q"])), ("heir", inherited("a"))];
        commit_all(bench.store(), round.map(|(name, source)| named(&acme(), name, source)).into()).await;
        for (name, expected) in
            [("a", &["acme:a", "p"][..]), ("b", &["acme:b"]), ("own", &["acme:own", "q"]), ("heir", &["acme:a", "acme:heir", "p"])]
        {
            assert_eq!(permissions(bench, name).await, expected);
        }
        agrees_with_the_definition(bench).await;
    }

    async fn whoever_follows_nobody_has_their_own_and_their_groups_permissions(bench) {
        put_domains(bench.store()).await;
        let store = bench.store();
        done(commit(store, put_group("crew", true, &["cases:read"])).await);
        let elsewhere = organization("other", "other");
        let plans = vec![
            named(&acme(), "a", inherited("ghost")),
            named(&acme(), "b", inherited("a")),
            named(&elsewhere, "ghost", None),
            named(&elsewhere, "b", inherited("' OR 1=1 --")),
            create_member("chief", "chief@acme.example", "crew"),
            create_heir(acme(), "below", inherited("chief")),
            create_heir(acme(), "quoted", inherited("\"]")),
        ];
        commit_all(store, plans).await;
        assert_eq!(permissions(bench, "a").await, ["acme:a"]);
        assert_eq!(permissions(bench, "b").await, ["acme:a", "acme:b"]);
        assert_eq!(permissions(bench, "chief").await, ["*", "cases:read"]);
        assert!(permissions(bench, "below").await.is_empty(), "what a group gives is never inherited");
        agrees_with_the_definition(bench).await;
    }

    async fn a_disabled_source_still_gives(bench) {
        put_domains(bench.store()).await;
        commit_all(bench.store(), line(&acme(), "l", 2)).await;
        let middle = find(bench.store(), "l1").await.unwrap();
        account(commit(bench.store(), roster_test_support::plans::switch(&middle, roster::domain::account::TransactionKind::Disable)).await);
        assert_eq!(permissions(bench, "l0").await, ["acme:l0", "acme:l1", "acme:l2"]);
    }
}

/// How many steps of its machine `SQLite` takes to read the permissions of the accounts whose login
/// names begin so.
async fn steps(application: &mut Application, prefix: &str) -> u64 {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = steps.clone();
    let every = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    };
    let Application::Sqlite(connection) = application else { panic!("another database") };
    connection.lock_handle().await.unwrap().set_progress_handler(1, every);
    let query = sqlx::query(
        "SELECT permissions FROM roster_accounts WHERE login_name >= $1 AND login_name < $1 || '~'",
    );
    assert!(!query.bind(prefix).fetch_all(&mut *connection).await.unwrap().is_empty());
    connection.lock_handle().await.unwrap().remove_progress_handler();
    steps.load(Ordering::Relaxed)
}

/// So many lines, each of which ends after 32 others.
async fn fill(store: &SqlStore, prefix: &str, lines: usize) {
    for chunk in (0..lines).collect::<Vec<_>>().chunks(10) {
        let lines =
            chunk.iter().flat_map(|number| line(&acme(), &format!("{prefix}{number}-"), 32));
        commit_all(store, lines.collect()).await;
    }
}

/// Lines of different lengths, by letters.
const LENGTHS: [(&str, usize); 4] = [("a", 0), ("b", 8), ("c", 16), ("d", 32)];

#[tokio::test]
async fn reading_permissions_costs_as_much_as_the_line_is_long_and_no_more_the_more_accounts_there_are()
 {
    let bench = InSqlite::new().await;
    let store = bench.store();
    put_domains(store).await;
    for (letter, others) in LENGTHS {
        commit_all(store, line(&acme(), &format!("{letter}-"), others)).await;
    }
    let mut application = bench.application().await;
    seen(&mut application).await;
    let mut of_one = HashMap::new();
    for (letter, _) in LENGTHS {
        of_one.insert(letter, steps(&mut application, &format!("{letter}-0.acme")).await);
    }
    println!("steps for one account by its line: {of_one:?}");
    let growth = |from, to| of_one[to] as f64 / of_one[from] as f64;
    assert!(
        growth("b", "c") < 2.2 && growth("c", "d") < 2.2,
        "a line twice as long costs about twice as much"
    );
    assert!(growth("a", "d") < 33.0, "33 accounts on a line cost less than 33 others");

    fill(store, "x", 303).await;
    assert!(store.list(None).await.unwrap().len() > 10_000);
    let of_one_among_many = steps(&mut application, "d-0.acme").await;
    assert!(
        of_one_among_many < of_one["d"] + of_one["d"] / 10,
        "{of_one_among_many} steps among many others"
    );
    let of_all = steps(&mut application, "x").await;
    assert!(of_all < 303 * 33 * of_one["d"], "{of_all} steps for all");
}

/// How many of its blocks `PostgreSQL` looks at to read the permissions of an account, once it has
/// counted what is there.
async fn blocks(application: &mut Application, login: &str) -> u64 {
    application.execute("ANALYZE", &[]).await.unwrap();
    let query = format!("SELECT permissions FROM roster_accounts WHERE login_name = '{login}'");
    let Application::Postgres(connection) = application else { panic!("another database") };
    let explained = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"));
    let explained = sqlx::raw_sql(explained).fetch_one(connection).await.unwrap();
    let explained: serde_json::Value =
        serde_json::from_str(explained.try_get_unchecked(0).unwrap()).unwrap();
    let count = |kind: &str| explained[0]["Plan"][kind].as_u64().unwrap();
    assert_eq!(count("Actual Rows"), 1);
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

#[tokio::test]
async fn in_postgres_it_also_costs_as_much_as_the_line_is_long_and_no_more_the_more_accounts_there_are()
 {
    let bench = InPostgres::new().await;
    let store = bench.store();
    put_domains(store).await;
    for (letter, others) in LENGTHS {
        commit_all(store, line(&acme(), &format!("{letter}-"), others)).await;
    }
    let mut application = bench.application().await;
    fill(store, "x", 30).await;
    let mut of_one = HashMap::new();
    for (letter, _) in LENGTHS {
        of_one.insert(letter, blocks(&mut application, &format!("{letter}-0.acme")).await);
    }
    println!("blocks for one account by its line: {of_one:?}");
    let growth = |from, to| of_one[to] as f64 / of_one[from] as f64;
    assert!(
        growth("b", "c") < 2.2 && growth("c", "d") < 2.2,
        "a line twice as long costs about twice as much: {of_one:?}"
    );
    assert!(
        growth("a", "d") <= 33.0,
        "33 accounts on a line cost no more than 33 others: {of_one:?}"
    );
    fill(store, "y", 90).await;
    let of_one_among_many = blocks(&mut application, "d-0.acme").await;
    assert!(
        of_one_among_many <= of_one["d"] + of_one["d"] / 2,
        "{of_one_among_many} blocks among many, {of_one:?} among few"
    );
}

#[tokio::test]
async fn the_view_looks_relatives_and_groups_up_in_indexes() {
    let bench = InSqlite::new().await;
    let plan = "EXPLAIN QUERY PLAN SELECT permissions FROM roster_accounts WHERE account_id = 'x'";
    let steps = bench.application().await.rows(plan, &[]).await;
    let steps: Vec<String> = steps.iter().map(|step| step.text(3).unwrap()).collect();
    let reads_a_whole_table =
        |step: &&String| ["SCAN a", "SCAN s", "SCAN g"].contains(&step.as_str());
    assert_eq!(steps.iter().find(reads_a_whole_table), None, "{steps:#?}");
    assert!(steps.iter().any(|step| step.starts_with("SEARCH s ")), "{steps:#?}");
}

#[tokio::test]
async fn in_postgres_the_view_can_look_relatives_and_groups_up_in_indexes() {
    let bench = InPostgres::new().await;
    let mut application = bench.application().await;
    // Nothing is worth an index in an empty table, unless there is no other way.
    application.execute("SET enable_seqscan = off", &[]).await.unwrap();
    let plan = "EXPLAIN SELECT permissions FROM roster_accounts WHERE account_id = 'x'";
    let steps: Vec<String> =
        application.rows(plan, &[]).await.iter().map(|step| step.text(0).unwrap()).collect();
    assert!(!steps.iter().any(|step| step.contains("Seq Scan")), "{steps:#?}");
    assert!(steps.iter().filter(|step| step.contains("Index")).count() >= 3, "{steps:#?}");
}
