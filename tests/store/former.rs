//! Stores that the former roster made (schema 11, where a profile was in columns of its own), as
//! `.dump` and `pg_dump` wrote them down: an operator with a directory had created the accounts, and
//! a member had changed what members may.

use std::collections::BTreeMap;

use roster::domain::account::Account;
use roster::domain::permission::Permission;
use roster::domain::profile::Profile;
use roster::provisioning::Entry;
use roster::store::Store;
use roster::store::sql::SqlStore;
use roster::store::sql::backup::{DigestCheck, backup, restore, verify};
use roster_test_support::application::Application;
use roster_test_support::postgres::Database;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::Place;

const SQLITE: &str = include_str!("former/sqlite.sql");
const POSTGRES: &str = include_str!("former/postgres.sql");

/// What of an account stays in the column that it was in.
const KEPT: [&str; 27] = [
    "account_id",
    "namespace",
    "owner_name",
    "owner_uid",
    "owner_generation",
    "revision",
    "transaction_id",
    "login_name",
    "email",
    "email_domain",
    "state",
    "group_name",
    "grants",
    "role",
    "teams",
    "password_hash",
    "created_at",
    "source_mode",
    "source_name",
    "source_permissions",
    "cloned_uid",
    "cloned_generation",
    "cloned_at",
    "copied",
    "member",
    "secret_hash",
    "secret_version",
];

/// What roster writes beside accounts, and an upgrade doesn't.
const OTHERS: [(&str, &str); 7] = [
    ("transactions", "transaction_id, revision, started_at, completed_at, superseded_at"),
    ("confirmations", "account_id, directory, revision, fingerprint, handle"),
    ("lifetimes", "account_id, created_at, deleted_at"),
    ("switches", "account_id, revision, switched_at, state"),
    ("member_changes", "number, account_id"),
    ("groups", "namespace, name, permissions, self_service"),
    ("operators", "namespaces, epoch, token, commits"),
];

/// Puts what a dump has at a place where nothing is.
async fn fill(place: &impl Place, dump: &'static str) -> Application {
    match Application::open(&place.url_to_create()).await {
        Application::Sqlite(mut connection) => {
            sqlx::raw_sql(dump).execute(&mut connection).await.unwrap();
        }
        Application::Postgres(mut connection) => {
            sqlx::raw_sql(dump).execute(&mut connection).await.unwrap();
        }
    }
    Application::open(&place.url()).await
}

/// Returns rows as texts, a line each.
async fn lines(application: &mut Application, columns: &[&str], table: &str) -> Vec<String> {
    let texts = columns.iter().map(|column| format!("COALESCE(CAST({column} AS TEXT), '-')"));
    let line = texts.collect::<Vec<_>>().join(" || ' ' || ");
    let rows = application.rows(&format!("SELECT {line} FROM {table} ORDER BY 1"), &[]).await;
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

/// Returns everything that an upgrade leaves as it is.
async fn unchanged(application: &mut Application) -> Vec<String> {
    let mut all = lines(application, &KEPT, "accounts").await;
    for (table, columns) in OTHERS {
        all.extend(lines(application, &columns.split(", ").collect::<Vec<_>>(), table).await);
    }
    let view = "account_id, organization, login_name, email, state, group_name, display_name, phone, password_hash, permissions";
    all.extend(lines(application, &view.split(", ").collect::<Vec<_>>(), "roster_accounts").await);
    all
}

/// Returns the profiles, as the columns of the former schema have them.
async fn former_profiles(application: &mut Application) -> BTreeMap<String, Profile> {
    let rows = application
        .rows(
            "SELECT account_id, display_name, phone, address, time_zone, notifications FROM accounts",
            &[],
        )
        .await;
    let profile = |row: &roster_test_support::application::Row| Profile {
        display_name: row.text(1).unwrap(),
        phone: row.text(2),
        address: row.text(3).map(|address| serde_json::from_str(&address).unwrap()),
        time_zone: row.text(4),
        notifications: serde_json::from_str(&row.text(5).unwrap()).unwrap(),
    };
    rows.iter().map(|row| (row.text(0).unwrap(), profile(row))).collect()
}

fn profiles(accounts: &[Account]) -> BTreeMap<String, Profile> {
    let profile = |it: &Account| (it.id.to_string(), it.content.profile.clone());
    accounts.iter().map(profile).collect()
}

/// Checks that the directory has of each account what it is to have, by the digest that it
/// acknowledged: nothing is sent again.
async fn check_acknowledged(application: &mut Application, accounts: &[Account]) {
    for account in accounts {
        let query = "SELECT permissions FROM roster_accounts WHERE account_id = $1";
        let rows = application.rows(query, &[&account.id.to_string()]).await;
        let permissions: Vec<String> = serde_json::from_str(&rows[0].text(0).unwrap()).unwrap();
        let full = Permission::full_control();
        let permissions = permissions.iter().map(|text| match text.as_str() {
            "*" => full.clone(),
            text => Permission::parse(text).unwrap(),
        });
        let wanted = Entry::of(account, &permissions.collect()).fingerprint();
        let acknowledged: Vec<_> =
            account.confirmed.values().map(|ack| ack.fingerprint.clone()).collect();
        assert_eq!(acknowledged, [wanted], "{}", account.login_name);
    }
}

async fn is_opened_as_it_was(place: &impl Place, dump: &'static str) {
    let mut application = fill(place, dump).await;
    let (before, former) =
        (unchanged(&mut application).await, former_profiles(&mut application).await);
    assert_eq!(former.len(), 5);
    assert!(former.values().any(|it| it.phone.is_some() && !it.notifications.is_empty()));
    let store = SqlStore::open(&place.url()).await.unwrap();
    let found = store.examine().await.unwrap();
    assert_eq!(profiles(&found.accounts), former);
    assert!(found.unreadable.is_empty() && found.damage.is_none(), "{found:?}");
    assert_eq!(unchanged(&mut application).await, before);
    check_acknowledged(&mut application, &found.accounts).await;
    let changed = found.accounts.iter().find(|it| it.owner.name == "dave").unwrap();
    assert_eq!(
        serde_json::to_value(changed.content.member.declared(&changed.content.profile)).unwrap(),
        json!({"displayName": "Dave", "phone": "1", "address": {"locality": "Tempe"}, "notifications": ["CaseClosed"]})
    );
    let written = application.version().await;
    SqlStore::open(&place.url()).await.unwrap().close().await;
    assert_eq!(application.version().await, written);
    // A profile is one value, without what is absent of it.
    let alice = "SELECT profile FROM accounts WHERE owner_name = 'alice'";
    let alice: Value = serde_json::from_str(&application.text(alice).await.unwrap()).unwrap();
    assert_eq!(alice, json!({"displayName": "Alice", "phone": "+1 2"}));
}

#[tokio::test]
async fn a_store_of_the_former_roster_is_opened_as_it_was_in_sqlite() {
    is_opened_as_it_was(&TempDir::new().unwrap(), SQLITE).await;
}

#[tokio::test]
async fn a_store_of_the_former_roster_is_opened_as_it_was_in_postgres() {
    let database = Database::new().await;
    is_opened_as_it_was(&database, POSTGRES).await;
}

#[tokio::test]
async fn applications_keep_their_right_to_the_view() {
    let database = Database::new().await;
    let mut application = fill(&database, POSTGRES).await;
    application.execute("GRANT SELECT ON roster_accounts TO pg_monitor", &[]).await.unwrap();
    SqlStore::open(&database.url()).await.unwrap();
    let has = "SELECT CAST(has_table_privilege('pg_monitor', 'roster_accounts', 'SELECT') AS text)";
    assert_eq!(application.text(has).await.as_deref(), Some("true"));
}

async fn is_opened_though_one_profile_is_damaged(place: &impl Place, dump: &'static str) {
    let mut application = fill(place, dump).await;
    let damage = "UPDATE accounts SET address = $1, notifications = $2 WHERE owner_name = 'erin'";
    application.execute(damage, &[r#"{"street":"#, "[]"]).await.unwrap();
    let store = SqlStore::open(&place.url()).await.unwrap();
    let found = store.examine().await.unwrap();
    let unreadable: Vec<&str> = found.unreadable.iter().map(|row| row.user.as_str()).collect();
    assert_eq!((unreadable, found.accounts.len()), (vec!["erin"], 4));
    let shown = "SELECT display_name FROM roster_accounts WHERE phone = 'null'";
    assert_eq!(application.text(shown).await.as_deref(), Some("true"));
}

#[tokio::test]
async fn a_damaged_profile_keeps_no_store_from_being_opened_in_sqlite() {
    is_opened_though_one_profile_is_damaged(&TempDir::new().unwrap(), SQLITE).await;
}

#[tokio::test]
async fn a_damaged_profile_keeps_no_store_from_being_opened_in_postgres() {
    is_opened_though_one_profile_is_damaged(&Database::new().await, POSTGRES).await;
}

#[tokio::test]
async fn a_backup_of_the_former_schema_is_restored_into_this_one() {
    let folder = TempDir::new().unwrap();
    let mut application = fill(&folder, SQLITE).await;
    let former = former_profiles(&mut application).await;
    let (copy, url) = (folder.path().join("copy.db"), folder.url());
    backup(&url, &copy).await.unwrap();
    let columns = "SELECT COUNT(*) FROM pragma_table_info('accounts') WHERE name = 'phone'";
    let copied = Application::open(&format!("sqlite://{}", copy.display())).await;
    let Application::Sqlite(mut copied) = copied else { unreachable!() };
    let found: i64 =
        sqlx::query_scalar(AssertSqlSafe(columns)).fetch_one(&mut copied).await.unwrap();
    assert_eq!((found, verify(&copy).await.unwrap().accounts), (1, 5));
    application.close().await;
    restore(&url, (&copy, DigestCheck::Digest), jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let store = SqlStore::open_existing(&url).await.unwrap();
    let accounts = store.list(None).await.unwrap();
    assert_eq!(profiles(&accounts), former);
    // A restore raises revisions by a million, so that no directory's acknowledgement counts.
    let revisions = accounts.iter().map(|account| account.revision.0 % 1_000_000);
    assert_eq!(revisions.sum::<i64>(), 7);
}
