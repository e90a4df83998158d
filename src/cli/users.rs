//! `roster users [--organization ORG]`

use std::collections::{BTreeSet, HashMap};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::login::time;
use super::table::table;
use super::{Failure, block_on, print};
use crate::config::{Output, Shared};
use crate::domain::account::{Account, LoginState};
use crate::domain::login_attempts::LoginFailures;
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::permission::Permissions;
use crate::domain::profile::Profile;
use crate::domain::profile::SelfServiceField;
use crate::plan::OrganizationRecord;
use crate::store::Store;
use crate::store::logins::Logins;
use crate::store::sql::SqlStore;

/// Arguments of `roster users`.
#[derive(Debug, Args)]
pub(super) struct UsersArgs {
    /// Only the accounts of this organization, by the name of its namespace.
    #[arg(long, value_name = "ORG")]
    organization: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// An account as `roster users` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    organization: String,
    login_name: String,
    email: String,
    state: LoginState,
    group: String,
    role: Option<String>,
    teams: BTreeSet<String>,
    profile: Profile,
    permissions: Vec<String>,
    self_service: BTreeSet<SelfServiceField>,
    in_transaction: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_logins: Option<FailedLogins>,
}

/// The logins that failed since the last one that didn't.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedLogins {
    failures: i64,
    since: Timestamp,
    last: Timestamp,
    /// How many came before the wait was over, and weren't heard.
    turned_away: i64,
    /// From when on one is heard again, where somebody has to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_until: Option<Timestamp>,
}

impl FailedLogins {
    /// Returns what of failures counts at a moment, if anything.
    fn at(now: Timestamp, found: &LoginFailures) -> Option<Self> {
        if found.is_forgotten(now) {
            return None;
        }
        let LoginFailures { failures, turned_away, since, last } = found;
        let blocked_until = found.blocked_until().filter(|until| now < *until);
        Some(Self {
            failures: *failures,
            since: *since,
            last: *last,
            turned_away: *turned_away,
            blocked_until,
        })
    }
}

/// Prints the live accounts, sorted by email.
pub(super) fn run(shared: &Shared, arguments: &UsersArgs) -> Result<(), Failure> {
    let rows = block_on(rows(shared, arguments.organization.as_deref()))?;
    let text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&rows)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&rows)?,
        Output::Table => {
            let cells = rows.iter().map(|row| {
                let failed = row.failed_logins.as_ref();
                let waits = failed.and_then(|failed| failed.blocked_until);
                let waits =
                    waits.map_or_else(String::new, |until| format!(", waits until {until:.0}"));
                let failed = failed.map_or_else(String::new, |failed| {
                    format!(", {} failed logins", failed.failures)
                });
                let state = format!("{:?}{failed}{waits}", row.state);
                let (role, permissions) =
                    (row.role.clone().unwrap_or_default(), row.permissions.join(","));
                [
                    row.email.clone(),
                    row.organization.clone(),
                    row.login_name.clone(),
                    state,
                    row.group.clone(),
                    role,
                    permissions,
                ]
            });
            table(
                ["EMAIL", "ORGANIZATION", "LOGIN", "STATE", "GROUP", "ROLE", "PERMISSIONS"],
                &cells.collect::<Vec<_>>(),
            )
        }
    };
    Ok(print(&text)?)
}

async fn rows(shared: &Shared, organization: Option<&str>) -> Result<Vec<Row>, Failure> {
    let store = SqlStore::open_existing(&shared.store).await?;
    let accounts = store.list(organization).await?;
    let namespaces: BTreeSet<&String> = accounts.iter().map(|account| &account.namespace).collect();
    let asked = namespaces.into_iter().filter_map(|namespace| {
        Some(Organization {
            namespace: namespace.clone(),
            customer_id: CustomerId::parse(namespace).ok()?,
        })
    });
    let records = store.organizations(&asked.collect::<Vec<_>>()).await?;
    let by_user: HashMap<(&str, &str), &Account> = accounts
        .iter()
        .map(|account| ((account.namespace.as_str(), account.owner.name.as_str()), account))
        .collect();
    let (failed, now) = (store.login_failures().await?, time(&store, shared).await?);
    let rows = accounts.iter().map(|account| {
        let failed_logins =
            failed.get(&account.id).and_then(|failed| FailedLogins::at(now, failed));
        let record = records.get(&account.namespace).cloned().unwrap_or_default();
        let find = |name: &str| by_user.get(&(account.namespace.as_str(), name)).copied();
        let effective = record.effective(account, find);
        Row { failed_logins, ..row(account.clone(), &effective, &record) }
    });
    Ok(rows.collect())
}

fn row(account: Account, effective: &Permissions, record: &OrganizationRecord) -> Row {
    let Account { namespace, login_name, content, transaction, .. } = account;
    let group = record.group(&content.group).unwrap_or_default();
    Row {
        organization: namespace,
        login_name: login_name.to_string(),
        email: content.email.to_string(),
        state: content.lifecycle,
        permissions: effective.iter().map(ToString::to_string).collect(),
        group: content.group,
        role: content.role,
        teams: content.teams,
        profile: content.profile,
        self_service: group.self_service,
        in_transaction: transaction.completed.is_none(),
        failed_logins: None,
    }
}
