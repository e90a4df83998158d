//! What there is once everything has come to its end: the store, the bills, the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kube::api::ListParams;
use kube::{Api, ResourceExt};
use roster::api::{OrgEmailDomain, User, UserGroup};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};

use crate::chaos::content::Content;
use crate::cluster::{Organization, run, run_roster};
use crate::postgres::Database;

/// How many objects a list has on a page.
const PAGE: u32 = 2000;

/// Returns what a store has.
pub async fn read(database: &Database) -> Content {
    let mut connection = database.connect().await;
    let content = Content::read(&mut connection).await;
    connection.close().await.expect("the connection closes");
    content
}

/// Returns the logins on the bills of some months, as often as they stand on each.
#[track_caller]
pub fn billed(store: &str, months: &BTreeSet<String>) -> Vec<String> {
    let mut fewest_first: Vec<Vec<String>> = months
        .iter()
        .map(|month| {
            let report = run_roster(
                &["billing", "report", "--month", month, "-o", "json", "--store", store],
                "",
            );
            let report: Value =
                serde_json::from_str(&report.expect_success()).expect("the report is JSON");
            let lines = report["lines"].as_array().expect("lines").iter();
            lines.map(|line| line["loginName"].as_str().expect("a login").to_owned()).collect()
        })
        .collect();
    let first = fewest_first.remove(0);
    // Where the month has changed meanwhile, who is on both bills is on each once.
    fewest_first.into_iter().fold(first, |mut all, month| {
        let known: BTreeSet<String> = all.iter().cloned().collect();
        all.extend(month.into_iter().filter(|login| !known.contains(login)));
        all
    })
}

/// Returns the months in which the store's journal has entries.
pub async fn months(database: &Database) -> BTreeSet<String> {
    let months = "SELECT DISTINCT to_char(to_timestamp(started_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM') FROM transactions";
    let months =
        sqlx::query_scalar::<_, String>(months).fetch_all(&mut database.connect().await).await;
    months.expect("the journal can be read").into_iter().collect()
}

/// Returns where the directory doesn't have what the store has.
pub fn directory(folder: &Path, content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    for account in &content.accounts {
        let entry = std::fs::read(folder.join(format!("{}.json", account.id))).unwrap_or_default();
        let entry: Value = serde_json::from_slice(&entry).unwrap_or_default();
        if entry["revision"] != account.revision || entry["person"]["email"] != account.email {
            complaints.push(format!("the directory has {entry} of {account:?}"));
        }
    }
    complaints
}

/// Gives each object of a kind to a function, a page at a time.
pub async fn each<K>(api: Api<K>, mut see: impl FnMut(&K))
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await.expect("the API server answers");
        list.items.iter().for_each(&mut see);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return,
        }
    }
}

/// Returns the versions of all objects of roster's kinds.
pub fn versions(organization: &Organization) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let admin = organization.admin();
    let mut note = |kind: &str, name: String, version: Option<String>| {
        versions.insert(format!("{kind}/{name}"), version.expect("a version"));
    };
    run(async {
        each(admin.api::<User>(), |user: &User| {
            note("User", user.name_any(), user.resource_version())
        })
        .await;
        each(admin.api::<UserGroup>(), |group: &UserGroup| {
            note("UserGroup", group.name_any(), group.resource_version())
        })
        .await;
        each(admin.api::<OrgEmailDomain>(), |domain: &OrgEmailDomain| {
            note("OrgEmailDomain", domain.name_any(), domain.resource_version());
        })
        .await;
    });
    versions
}

/// Returns, of each table but those of claims, how many rows it has, and where each stands and who
/// wrote it.
pub fn rows(database: &Database) -> BTreeMap<String, (i64, Option<String>)> {
    run(async {
        let mut connection = database.connect().await;
        let tables = "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public' \
                      AND tablename NOT IN ('operators', 'leadership')";
        let tables: Vec<String> =
            sqlx::query_scalar(tables).fetch_all(&mut connection).await.expect("tables");
        let mut rows = BTreeMap::new();
        for table in tables {
            let all = format!(
                "SELECT count(*), md5(string_agg(ctid || ' ' || xmin, ',' ORDER BY ctid)) FROM {table}"
            );
            rows.insert(
                table,
                sqlx::query_as(AssertSqlSafe(all))
                    .fetch_one(&mut connection)
                    .await
                    .expect("a table"),
            );
        }
        connection.close().await.expect("the connection closes");
        rows
    })
}
