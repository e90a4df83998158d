//! `roster users [-n NAMESPACE]`

use std::collections::{BTreeSet, HashMap};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::login::time;
use super::table::table;
use super::{Failure, NamespaceFilter, block_on, examples, open, print, rendered};
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

/// Arguments of `roster users`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("The accounts of an organization, with teams and display names", "roster users -n acme -o wide"),
    ("Who may repair trucks", "roster users -n acme -o json | jq -r '.[] | select(.permissions | index(\"trucks:repair\")) | .loginName'"),
    ("The accounts of all organizations, for a spreadsheet", "roster users -A -o csv > users.csv"),
]))]
pub(super) struct UsersArgs {
    #[command(flatten)]
    filter: NamespaceFilter,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    shared: Shared,
}

/// How accounts are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// JSON for programs.
    Json,
    /// YAML for both.
    Yaml,
    /// One line per account for spreadsheets.
    Csv,
    /// The User of each account, as kubectl names it; accounts without one are left out.
    Name,
}

/// An account as `roster users` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    organization: String,
    /// The name of its `User`, of an account without one of the last that it had.
    user: Option<String>,
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
    /// How many came before the wait was over, and weren't checked.
    turned_away: i64,
    /// When the next login is checked again.
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
pub(super) fn run(arguments: &UsersArgs) -> Result<(), Failure> {
    let UsersArgs { filter, output, shared } = arguments;
    let rows = block_on(rows(shared, filter.namespace.as_deref()))?;
    let columns = |row: &Row| {
        [
            row.user.clone().unwrap_or_default(),
            row.email.clone(),
            row.organization.clone(),
            row.login_name.clone(),
            row.state_cell(),
            row.group.clone(),
            row.role.clone().unwrap_or_default(),
            row.permissions.join(","),
        ]
    };
    let text = match output {
        Format::Table => table(HEADINGS, &rows.iter().map(columns).collect::<Vec<_>>()),
        Format::Wide => {
            let rows: Vec<_> = rows.iter().map(|row| joined(columns(row), row.more())).collect();
            table(joined(HEADINGS, MORE_HEADINGS), &rows)
        }
        Format::Json => rendered(Output::Json, &rows, |_| String::new())?,
        Format::Yaml => rendered(Output::Yaml, &rows, |_| String::new())?,
        Format::Csv => csv(&rows)?,
        Format::Name => rows.iter().filter_map(|row| row.user.as_ref()).map(resource).collect(),
    };
    Ok(print(&text)?)
}

const HEADINGS: [&str; 8] =
    ["NAME", "EMAIL", "ORGANIZATION", "LOGIN", "STATE", "GROUP", "ROLE", "PERMISSIONS"];

const MORE_HEADINGS: [&str; 4] = ["DISPLAY-NAME", "TEAMS", "SELF-SERVICE", "IN-TRANSACTION"];

/// Returns the columns of a table and those that `-o wide` adds.
fn joined<T: Default>(columns: [T; 8], more: [T; 4]) -> [T; 12] {
    let mut all = columns.into_iter().chain(more);
    std::array::from_fn(|_| all.next().unwrap_or_default())
}

fn resource(name: &String) -> String {
    format!("user.roster.rs/{name}\n")
}

impl Row {
    fn state_cell(&self) -> String {
        let failed = self.failed_logins.as_ref();
        let failures = failed
            .map_or_else(String::new, |failed| format!(", {} failed logins", failed.failures));
        let until = failed.and_then(|failed| failed.blocked_until);
        let waits = until.map_or_else(String::new, |until| format!(", waits until {until:.0}"));
        format!("{:?}{failures}{waits}", self.state)
    }

    fn more(&self) -> [String; 4] {
        [
            self.profile.display_name.clone(),
            self.teams.iter().map(String::as_str).collect::<Vec<_>>().join(","),
            self.self_service.iter().map(Into::into).collect::<Vec<&str>>().join(","),
            if self.in_transaction { "yes" } else { "no" }.to_owned(),
        ]
    }
}

fn csv(rows: &[Row]) -> Result<String, Failure> {
    let mut out = csv::Writer::from_writer(vec![]);
    out.write_record([
        "organization",
        "user",
        "loginName",
        "email",
        "state",
        "group",
        "role",
        "permissions",
        "displayName",
        "teams",
        "selfService",
        "inTransaction",
    ])?;
    for row in rows {
        let [display_name, teams, self_service, in_transaction] = row.more();
        let cells = [
            row.organization.clone(),
            row.user.clone().unwrap_or_default(),
            row.login_name.clone(),
            row.email.clone(),
            format!("{:?}", row.state),
            row.group.clone(),
            row.role.clone().unwrap_or_default(),
            row.permissions.join(","),
            display_name,
            teams,
            self_service,
            in_transaction,
        ];
        out.write_record(cells.map(not_a_formula))?;
    }
    Ok(String::from_utf8(out.into_inner().map_err(|error| error.into_error())?)?)
}

/// Returns a cell that no spreadsheet evaluates: members choose their display names (OWASP, CSV
/// injection).
fn not_a_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

async fn rows(shared: &Shared, organization: Option<&str>) -> Result<Vec<Row>, Failure> {
    let store = open(&shared.store).await?;
    let accounts = store.list(organization).await?;
    let namespaces: BTreeSet<&String> = accounts.iter().map(|account| &account.namespace).collect();
    let organizations = namespaces.into_iter().filter_map(|namespace| {
        Some(Organization {
            namespace: namespace.clone(),
            customer_id: CustomerId::parse(namespace).ok()?,
        })
    });
    let records = store.organizations(&organizations.collect::<Vec<_>>()).await?;
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
    let Account { namespace, owner, login_name, content, transaction, .. } = account;
    let group = record.group(&content.group).unwrap_or_default();
    Row {
        organization: namespace,
        user: Some(owner.name).filter(|name| !name.is_empty()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(not_a_formula("=1+1".to_owned()), "'=1+1");
        assert_eq!(not_a_formula("Alice = Bob".to_owned()), "Alice = Bob");
    }
}
