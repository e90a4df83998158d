//! Rows as values, and values as rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::connection::{Connection, SqlRow, Statement, pairs, statement, texts};
use super::inspection::UnreadableRow;
use crate::domain::account::{
    Account, AccountId, AccountSpec, Cloned, Confirmations, Credential, DeletedAccount,
    DirectoryAck, EntryDigest, EntryHandle, LoginState, Owner, Revision, SecretPassword, Source,
    Transaction, TransactionId, TransactionKind,
};
use crate::domain::email::{Domain, Email};
use crate::domain::group::{ADMINISTRATORS, GroupContent};
use crate::domain::organization::{CustomerId, LoginName};
use crate::domain::password::PasswordHash;
use crate::domain::permission::{Permission, Permissions};
use crate::plan::{Deleting, Listing};
use crate::store::organizations::Organizations;
use crate::store::{Counts, StoreError};

/// Selects accounts with their last transactions.
macro_rules! select_accounts {
    ($($rest:expr),+) => {
        concat!(
            "SELECT a.account_id, a.namespace, a.owner_name, a.owner_uid, a.owner_generation, a.revision, a.login_name, \
             a.email, a.state, a.group_name, a.grants, a.role, a.teams, a.profile, a.created_at, a.source_mode, a.source_name, a.source_permissions, a.cloned_uid, \
             a.cloned_generation, a.cloned_at, a.copied, a.member, a.password_hash, a.secret_hash, a.secret_version, \
             t.transaction_id, t.type, t.revision AS transaction_revision, t.started_at, t.deadline_at, t.completed_at, \
             (SELECT json_group_object(c.directory, CAST(c.revision AS TEXT) || ' ' || COALESCE(c.fingerprint, '') || ' ' || \
             COALESCE(c.handle, '')) \
              FROM confirmations AS c \
              WHERE c.account_id = a.account_id) AS confirmed \
             FROM accounts AS a JOIN transactions AS t ON t.transaction_id = a.transaction_id ",
            $($rest),+
        )
    };
}

pub(super) use select_accounts;

/// Returns the accounts that a statement made with [`select_accounts!`] selects.
pub(super) async fn accounts(
    query: Statement,
    connection: &mut Connection,
) -> Result<Vec<Account>, StoreError> {
    query.fetch_all(connection).await?.iter().map(account).collect()
}

/// Returns the accounts that can be read, and beside them, where the others are and why they can't.
pub(super) async fn readable_accounts(
    query: Statement,
    connection: &mut Connection,
) -> Result<(Vec<Account>, Vec<UnreadableRow>), StoreError> {
    let (mut readable, mut unreadable) = (vec![], vec![]);
    for row in query.fetch_all(connection).await? {
        match account(&row) {
            Ok(account) => readable.push(account),
            Err(error) => {
                let text =
                    |column| row.get::<Option<String>>(column).ok().flatten().unwrap_or_default();
                let (account, namespace, user) =
                    (text("account_id"), text("namespace"), text("owner_name"));
                unreadable.push(UnreadableRow { account, namespace, user, error });
            }
        }
    }
    Ok((readable, unreadable))
}

fn account(row: &SqlRow) -> Result<Account, StoreError> {
    Ok(Account {
        id: AccountId(uuid(row, "account_id")?),
        namespace: row.get("namespace")?,
        revision: Revision(row.get("revision")?),
        owner: Owner {
            name: row.get::<Option<_>>("owner_name")?.unwrap_or_default(),
            uid: row.get("owner_uid")?,
            generation: row.get("owner_generation")?,
        },
        login_name: LoginName::from_stored(row.get("login_name")?),
        content: content(row)?,
        created: time(row, "created_at")?,
        cloned: optional_time(row, "cloned_at")?,
        transaction: transaction(row)?,
        credential: credential(row)?,
        confirmed: confirmed(row)?,
    })
}

fn credential(row: &SqlRow) -> Result<Option<Credential>, StoreError> {
    let hash = |column| {
        Ok::<_, StoreError>(row.get::<Option<String>>(column)?.map(PasswordHash::from_stored))
    };
    let Some(login) = hash("password_hash")? else { return Ok(None) };
    let from_secret = match (hash("secret_hash")?, row.get("secret_version")?) {
        (Some(hash), Some(version)) => Some(SecretPassword { hash, version }),
        _ => None,
    };
    Ok(Some(Credential { login, from_secret }))
}

fn confirmed(row: &SqlRow) -> Result<Confirmations, StoreError> {
    let texts: BTreeMap<String, String> = parsed(row.get("confirmed")?, "confirmed")?;
    let confirmation = |text: &str| {
        let (revision, rest) = text.split_once(' ')?;
        // A handle may have spaces.
        let (fingerprint, handle) = rest.split_once(' ')?;
        let fingerprint =
            Some(fingerprint).filter(|text| !text.is_empty()).map(EntryDigest::from_stored);
        let handle =
            Some(handle).filter(|text| !text.is_empty()).map(|text| EntryHandle(text.to_owned()));
        Some(DirectoryAck { revision: Revision(revision.parse().ok()?), fingerprint, handle })
    };
    let corrupt = || StoreError::Corrupt("confirmed".to_owned());
    let pairs = texts.into_iter().map(|(directory, text)| Some((directory, confirmation(&text)?)));
    pairs.collect::<Option<_>>().ok_or_else(corrupt)
}

/// Selects accounts that were deleted, with their Deletes.
macro_rules! select_departures {
    ($($rest:expr),+) => {
        concat!(
            "SELECT l.account_id, l.namespace, l.login_name, l.owner_name, l.owner_uid, l.owner_generation, \
             t.transaction_id, t.type, t.revision AS transaction_revision, t.started_at, t.deadline_at, t.completed_at, \
             t.cases_unassigned, \
             (SELECT json_group_object(c.directory, CAST(c.revision AS TEXT) || ' ' || COALESCE(c.fingerprint, '') || ' ' || \
             COALESCE(c.handle, '')) \
              FROM confirmations AS c \
              WHERE c.account_id = l.account_id) AS confirmed \
             FROM lifetimes AS l JOIN transactions AS t ON t.account_id = l.account_id AND t.type = 'Delete' ",
            $($rest),+
        )
    };
}

pub(super) use select_departures;

/// Returns the departures that a statement made with [`select_departures!`] selects.
pub(super) async fn deleted_accounts(
    query: Statement,
    connection: &mut Connection,
) -> Result<Vec<DeletedAccount>, StoreError> {
    query.fetch_all(connection).await?.iter().map(departure).collect()
}

fn departure(row: &SqlRow) -> Result<DeletedAccount, StoreError> {
    Ok(DeletedAccount {
        account: AccountId(uuid(row, "account_id")?),
        namespace: row.get("namespace")?,
        owner: Owner {
            name: row.get::<Option<_>>("owner_name")?.unwrap_or_default(),
            uid: row.get::<Option<_>>("owner_uid")?.unwrap_or_default(),
            generation: row.get("owner_generation")?,
        },
        login_name: LoginName::from_stored(row.get("login_name")?),
        cases_unassigned: row.get("cases_unassigned")?,
        transaction: transaction(row)?,
        confirmed: confirmed(row)?,
    })
}

fn content(row: &SqlRow) -> Result<AccountSpec, StoreError> {
    Ok(AccountSpec {
        email: Email::from_stored(row.get("email")?),
        lifecycle: lifecycle(row, "state")?,
        group: row.get("group_name")?,
        grants: permissions(row, "grants")?,
        source: source(row)?,
        role: row.get("role")?,
        teams: parsed(row.get("teams")?, "teams")?,
        profile: parsed(row.get("profile")?, "profile")?,
        copied: match row.get("copied")? {
            Some(copied) => Some(parsed(copied, "copied")?),
            None => None,
        },
        member: parsed(row.get("member")?, "member")?,
    })
}

fn source(row: &SqlRow) -> Result<Option<Source>, StoreError> {
    let Some(mode) = row.get::<Option<&str>>("source_mode")? else { return Ok(None) };
    let from: String = row.get("source_name")?;
    let fixed = match row.get::<Option<&str>>("source_permissions")? {
        Some(_) => Some(permissions(row, "source_permissions")?),
        None => None,
    };
    match (mode, fixed) {
        (INHERIT, kept) => Ok(Some(Source::Inherited { from, kept })),
        (CLONE, Some(permissions)) => {
            let (uid, generation) = (row.get("cloned_uid")?, row.get("cloned_generation")?);
            Ok(Some(Source::Cloned(Cloned { from, uid, generation, permissions })))
        }
        _ => Err(corrupt("source_mode")),
    }
}

pub(super) const INHERIT: &str = "Inherit";
pub(super) const CLONE: &str = "Clone";

/// Returns the transaction in a row that selects the journal's columns.
fn transaction(row: &SqlRow) -> Result<Transaction, StoreError> {
    Ok(Transaction {
        id: TransactionId(uuid(row, "transaction_id")?),
        kind: kind(row)?,
        revision: Revision(row.get("transaction_revision")?),
        started: time(row, "started_at")?,
        deadline: time(row, "deadline_at")?,
        completed: optional_time(row, "completed_at")?,
    })
}

/// Returns what a transaction does.
pub(super) fn kind(row: &SqlRow) -> Result<TransactionKind, StoreError> {
    row.get::<&str>("type")?.parse().map_err(|_| corrupt("type"))
}

/// Returns the id in a column.
pub(super) fn uuid(row: &SqlRow, column: &'static str) -> Result<Uuid, StoreError> {
    Uuid::try_parse(row.get(column)?).map_err(|_| corrupt(column))
}

/// Returns whether the person may log in, as a column says.
pub(super) fn lifecycle(row: &SqlRow, column: &'static str) -> Result<LoginState, StoreError> {
    match row.get(column)? {
        "Enabled" => Ok(LoginState::Enabled),
        "Disabled" => Ok(LoginState::Disabled),
        _ => Err(corrupt(column)),
    }
}

/// Returns how a column says whether the person may log in.
pub(super) fn lifecycle_text(lifecycle: LoginState) -> &'static str {
    match lifecycle {
        LoginState::Enabled => "Enabled",
        LoginState::Disabled => "Disabled",
    }
}

/// Returns the time in a column.
pub(super) fn time(row: &SqlRow, column: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|_| corrupt(column))
}

/// Returns the time in a column that may have none.
pub(super) fn optional_time(
    row: &SqlRow,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(microseconds) = row.get(column)? else { return Ok(None) };
    Ok(Some(Timestamp::from_microsecond(microseconds).map_err(|_| corrupt(column))?))
}

fn permissions(row: &SqlRow, column: &'static str) -> Result<Permissions, StoreError> {
    let texts: Vec<String> = parsed(row.get(column)?, column)?;
    texts.iter().map(|text| Permission::parse(text).map_err(|_| corrupt(column))).collect()
}

/// Returns the value in a text of JSON.
pub(super) fn parsed<T: DeserializeOwned>(
    json: &str,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| corrupt(column))
}

/// Names the column and nothing that stands in it: it may be personal.
pub(super) fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt(format!("column {column}"))
}

/// Returns a value as JSON.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("lists and structs of texts are JSON")
}

/// Returns texts as [`super::connection::texts!`] takes them.
pub(super) fn texts<T: Serialize>(texts: impl IntoIterator<Item = T>) -> String {
    json(&texts.into_iter().map(|text| [text]).collect::<Vec<_>>())
}

/// Returns permissions as a JSON list, in their order.
pub(super) fn permission_texts(permissions: &Permissions) -> String {
    json(&permissions.iter().map(Permission::as_str).collect::<Vec<_>>())
}

/// Which of the groups that organizations declare are read: they may be thousands, with hundreds of
/// permissions each.
pub(super) enum GroupColumns<'a> {
    /// All of them.
    All,
    /// Those of these namespaces and names.
    Named(Vec<[&'a str; 2]>),
}

/// Reads what is known of the namespaces, and who claimed the customer IDs.
pub(super) async fn organizations<'a>(
    connection: &mut Connection,
    namespaces: impl IntoIterator<Item = &'a str>,
    customer_ids: impl IntoIterator<Item = &'a str>,
    declared: GroupColumns<'_>,
) -> Result<Organizations, StoreError> {
    let namespaces = texts(namespaces.into_iter().collect::<BTreeSet<_>>());
    let customer_ids = texts(customer_ids.into_iter().collect::<BTreeSet<_>>());
    let mut known = Organizations::default();
    let claims = statement(concat!(
        "SELECT namespace, customer_id FROM organizations WHERE namespace IN (",
        texts!("$1"),
        ") OR customer_id IN (",
        texts!("$2"),
        ")"
    ));
    for row in claims.bind(&namespaces).bind(customer_ids).fetch_all(&mut *connection).await? {
        let customer_id =
            CustomerId::parse(row.get("customer_id")?).map_err(|_| corrupt("customer_id"))?;
        known.claim(row.get("namespace")?, customer_id);
    }
    let groups = match declared {
        GroupColumns::All => statement(concat!(
            "SELECT namespace, name, full_control, permissions, self_service FROM groups WHERE namespace IN (",
            texts!("$1"),
            ")"
        ))
        .bind(&namespaces),
        GroupColumns::Named(names) => statement(concat!(
            "SELECT namespace, name, full_control, permissions, self_service FROM groups WHERE (namespace, name) IN (",
            pairs!("$1"),
            ")"
        ))
        .bind(json(&names)),
    };
    for row in groups.fetch_all(&mut *connection).await? {
        let content = GroupContent {
            full_control: row.get("full_control")?,
            permissions: permissions(&row, "permissions")?,
            self_service: parsed(row.get("self_service")?, "self_service")?,
        };
        known.set_group(row.get("namespace")?, row.get("name")?, Some(content));
    }
    let domains = statement(concat!(
        "SELECT namespace, name, domain, include_subdomains FROM domains WHERE namespace IN (",
        texts!("$1"),
        ")"
    ));
    for row in domains.bind(&namespaces).fetch_all(connection).await? {
        let domain = Domain::from_stored(row.get("domain")?);
        let listing = Listing { domain, include_subdomains: row.get("include_subdomains")? };
        known.set_listing(row.get("namespace")?, row.get("name")?, Some(listing));
    }
    Ok(known)
}

/// Returns the names of the groups with full control.
pub(super) async fn groups_in_control(
    connection: &mut Connection,
    namespace: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let query = statement(
        "SELECT name, full_control FROM groups WHERE namespace = $1 AND (full_control OR name = $2)",
    );
    let (mut in_control, mut declared) = (BTreeSet::new(), false);
    for row in query.bind(namespace).bind(ADMINISTRATORS).fetch_all(connection).await? {
        let name: String = row.get("name")?;
        declared |= name == ADMINISTRATORS;
        if row.get("full_control")? {
            in_control.insert(name);
        }
    }
    in_control.extend((!declared).then(|| ADMINISTRATORS.to_owned()));
    Ok(in_control)
}

/// Returns the directories that transactions wait for.
pub(super) async fn directories(
    connection: &mut Connection,
) -> Result<BTreeSet<String>, StoreError> {
    let names: Vec<String> =
        statement("SELECT name FROM directories WHERE in_use").fetch_firsts(connection).await?;
    Ok(names.into_iter().collect())
}

/// Returns how many accounts of each namespace use what.
pub(super) async fn counts(
    connection: &mut Connection,
    namespaces: &HashMap<String, Deleting>,
) -> Result<HashMap<String, Counts>, StoreError> {
    let mut counts: HashMap<String, Counts> =
        namespaces.keys().map(|namespace| (namespace.clone(), Counts::default())).collect();
    let leaving = namespaces.iter().flat_map(|(namespace, users)| {
        users.deleted.iter().map(move |user| [namespace.as_str(), user])
    });
    let query = statement(concat!(
        "SELECT namespace, group_name, email_domain, COUNT(*) AS accounts FROM accounts WHERE namespace IN (",
        texts!("$1"),
        ") AND (owner_name IS NULL OR (namespace, owner_name) NOT IN (",
        pairs!("$2"),
        ")) GROUP BY namespace, group_name, email_domain"
    ));
    let wanted = texts(namespaces.keys());
    for row in
        query.bind(wanted).bind(json(&leaving.collect::<Vec<_>>())).fetch_all(connection).await?
    {
        let accounts: i64 = row.get("accounts")?;
        let counts = counts.entry(row.get("namespace")?).or_default();
        *counts.members.entry(row.get("group_name")?).or_default() += accounts;
        *counts.email_domains.entry(row.get("email_domain")?).or_default() += accounts;
    }
    Ok(counts)
}
