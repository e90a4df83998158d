//! Rows that are written together: one statement takes any number of them as a JSON list of lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;

use super::CommitError;
use crate::domain::account::{
    Account, AccountId, AccountSpec, DeletedAccount, DirectoryAck, LoginState, Owner, Revision,
    Source, Transaction, TransactionId,
};
use crate::store::sql::connection::{Connection, Value, statement, texts};
use crate::store::sql::rows::{self, CLONE, INHERIT};

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
}

use Kind::{Number, Text};

type Columns = [(&'static str, Kind)];

/// Selects the rows that `$1` lists.
fn select(columns: &Columns) -> String {
    let column = |(place, (name, kind)): (usize, &(&str, Kind))| match kind {
        Text => format!("value->>{place} AS {name}"),
        Number => format!("CAST(value->>{place} AS BIGINT) AS {name}"),
    };
    let columns: Vec<String> = columns.iter().enumerate().map(column).collect();
    format!("SELECT {} FROM json_each($1)", columns.join(", "))
}

/// Inserts the rows that `$1` lists.
fn insert(table: &str, columns: &Columns) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!("INSERT INTO {table} ({}) {}", names.join(", "), select(columns))
}

/// Updates the rows that `$1` lists, found by the column `key`.
fn update(table: &str, key: &str, columns: &Columns) -> String {
    let sets = columns
        .iter()
        .filter(|(name, _)| *name != key)
        .map(|(name, _)| format!("{name} = new.{name}"));
    let sets: Vec<String> = sets.collect();
    format!(
        "UPDATE {table} SET {} FROM ({}) AS new WHERE {table}.{key} = new.{key}",
        sets.join(", "),
        select(columns)
    )
}

/// The values of an account's row, by their columns.
type AccountRow = Vec<(&'static str, Value)>;

/// Returns what of an account can change, with the id that it is found by.
fn changing(account: &Account) -> AccountRow {
    let Account {
        id,
        namespace: _,
        revision,
        owner,
        login_name: _,
        content,
        created: _,
        cloned,
        transaction,
        credential,
        confirmed: _,
    } = account;
    let AccountSpec {
        email,
        lifecycle,
        group,
        grants,
        source,
        role,
        teams,
        profile,
        copied,
        member,
    } = content;
    let (mode, fixed, clone) = match source {
        None => (None, None, None),
        Some(Source::Inherited { kept, .. }) => (Some(INHERIT), kept.as_ref(), None),
        Some(Source::Cloned(clone)) => (Some(CLONE), Some(&clone.permissions), Some(clone)),
    };
    let from_secret = credential.as_ref().and_then(|credential| credential.from_secret.as_ref());
    vec![
        ("account_id", id.to_string().into()),
        ("email", email.as_str().into()),
        ("email_domain", email.domain().into()),
        ("state", rows::lifecycle_text(*lifecycle).into()),
        ("group_name", group.into()),
        ("grants", rows::permission_texts(grants).into()),
        ("role", role.as_deref().into()),
        ("teams", rows::json(teams).into()),
        ("profile", rows::json(profile).into()),
        ("owner_name", (&owner.name).into()),
        ("owner_uid", (&owner.uid).into()),
        ("owner_generation", owner.generation.into()),
        ("revision", revision.0.into()),
        ("transaction_id", transaction.id.0.to_string().into()),
        ("source_mode", mode.into()),
        ("source_name", source.as_ref().map(Source::from).into()),
        ("source_permissions", fixed.map(rows::permission_texts).into()),
        ("cloned_uid", clone.map(|clone| clone.uid.as_str()).into()),
        ("cloned_generation", clone.map(|clone| clone.generation).into()),
        ("cloned_at", cloned.map(jiff::Timestamp::as_microsecond).into()),
        ("copied", copied.as_ref().map(rows::json).into()),
        ("member", rows::json(member).into()),
        ("password_hash", credential.as_ref().map(|credential| credential.login.as_str()).into()),
        ("secret_hash", from_secret.map(|password| password.hash.as_str()).into()),
        ("secret_version", from_secret.map(|password| password.version.as_str()).into()),
    ]
}

/// Returns everything of an account.
fn whole(account: &Account) -> AccountRow {
    let Account { namespace, login_name, created, .. } = account;
    let mut row = changing(account);
    row.extend([
        ("namespace", namespace.into()),
        ("login_name", login_name.as_str().into()),
        ("created_at", created.as_microsecond().into()),
    ]);
    row
}

/// Returns the columns of a row, with what each holds.
fn columns(row: &AccountRow) -> Vec<(&'static str, Kind)> {
    let kind = |value: &Value| match value {
        Value::Text(_) => Text,
        Value::Number(_) => Number,
        Value::Truth(_) => unreachable!("no column of an account holds a truth"),
    };
    row.iter().map(|(name, value)| (*name, kind(value))).collect()
}

/// Writes rows of accounts with a statement that the columns of the first one make, once.
async fn write_rows(
    connection: &mut Connection,
    (text, make): (&'static OnceLock<String>, fn(&Columns) -> String),
    accounts: Vec<AccountRow>,
) -> Result<(), CommitError> {
    let Some(first) = accounts.first() else { return Ok(()) };
    let text = text.get_or_init(|| make(&columns(first)));
    let values = |row: AccountRow| row.into_iter().map(|(_, value)| value).collect();
    write(connection, text, accounts.into_iter().map(values).collect()).await
}

async fn write(
    connection: &mut Connection,
    text: &'static str,
    rows: Vec<Vec<Value>>,
) -> Result<(), CommitError> {
    if !rows.is_empty() {
        statement(text).bind(rows::json(&rows)).execute(connection).await?;
    }
    Ok(())
}

/// Executes a statement about the accounts that `$1` lists.
async fn write_about(
    connection: &mut Connection,
    text: &'static str,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Result<(), CommitError> {
    let ids: Vec<String> = accounts.into_iter().map(|id| id.to_string()).collect();
    if !ids.is_empty() {
        statement(text).bind(rows::texts(ids)).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn insert_accounts(
    connection: &mut Connection,
    accounts: &[&Account],
) -> Result<(), CommitError> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let rows = accounts.iter().map(|account| whole(account)).collect();
    write_rows(connection, (&TEXT, |columns| insert("accounts", columns)), rows).await
}

/// Writes those of the accounts, given as they were and as they are, whose rows differ.
pub(super) async fn overwrite_accounts(
    connection: &mut Connection,
    accounts: &[(&Account, &Account)],
) -> Result<(), CommitError> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let row = |(before, after): &(&Account, &Account)| {
        Some(changing(after)).filter(|row| *row != changing(before))
    };
    let rows = accounts.iter().filter_map(row).collect();
    let by_id = |columns: &Columns| update("accounts", "account_id", columns);
    write_rows(connection, (&TEXT, by_id), rows).await
}

/// Takes the addresses and owners' names of accounts away for a moment.
pub(super) async fn clear_names(
    connection: &mut Connection,
    accounts: BTreeSet<AccountId>,
) -> Result<(), CommitError> {
    let text = concat!(
        "UPDATE accounts SET email = NULL, owner_name = NULL WHERE account_id IN (",
        texts!("$1"),
        ")"
    );
    write_about(connection, text, accounts).await
}

pub(super) async fn delete_accounts(
    connection: &mut Connection,
    accounts: Vec<AccountId>,
) -> Result<(), CommitError> {
    let text = concat!("DELETE FROM accounts WHERE account_id IN (", texts!("$1"), ")");
    write_about(connection, text, accounts).await
}

/// Begins the lifetimes of accounts that are created, in the state that each has.
pub(super) async fn begin_lifetimes(
    connection: &mut Connection,
    accounts: &[Account],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 5] = [
        ("account_id", Text),
        ("namespace", Text),
        ("login_name", Text),
        ("created_at", Number),
        ("state_at_creation", Text),
    ];
    static TEXT: LazyLock<String> = LazyLock::new(|| insert("lifetimes", &COLUMNS));
    let row = |account: &Account| {
        let Account { id, namespace, login_name, created, content, .. } = account;
        let state = rows::lifecycle_text(content.lifecycle);
        vec![
            id.to_string().into(),
            namespace.into(),
            login_name.as_str().into(),
            created.as_microsecond().into(),
            state.into(),
        ]
    };
    write(connection, &TEXT, accounts.iter().map(row).collect()).await
}

/// Ends the lifetimes of accounts that are deleted.
pub(super) async fn end_lifetimes(
    connection: &mut Connection,
    accounts: &[(DeletedAccount, Timestamp)],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 5] = [
        ("account_id", Text),
        ("deleted_at", Number),
        ("owner_name", Text),
        ("owner_uid", Text),
        ("owner_generation", Number),
    ];
    static TEXT: LazyLock<String> = LazyLock::new(|| update("lifetimes", "account_id", &COLUMNS));
    let row = |(deleted, ended): &(DeletedAccount, Timestamp)| {
        let Owner { name, uid, generation } = &deleted.owner;
        vec![
            deleted.account.to_string().into(),
            ended.as_microsecond().into(),
            name.into(),
            uid.into(),
            (*generation).into(),
        ]
    };
    write(connection, &TEXT, accounts.iter().map(row).collect()).await
}

/// Writes down since when accounts are in the state that they get now.
pub(super) async fn write_state_changes(
    connection: &mut Connection,
    changes: &[(AccountId, Revision, LoginState)],
    now: Timestamp,
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 4] =
        [("account_id", Text), ("revision", Number), ("switched_at", Number), ("state", Text)];
    static TEXT: LazyLock<String> = LazyLock::new(|| insert("switches", &COLUMNS));
    let row = |(account, revision, state): &(AccountId, Revision, LoginState)| {
        vec![
            account.to_string().into(),
            revision.0.into(),
            now.as_microsecond().into(),
            rows::lifecycle_text(*state).into(),
        ]
    };
    write(connection, &TEXT, changes.iter().map(row).collect()).await
}

/// Writes transactions into the journal.
pub(super) async fn write_journal(
    connection: &mut Connection,
    entries: &[(AccountId, Transaction)],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 7] = [
        ("transaction_id", Text),
        ("account_id", Text),
        ("type", Text),
        ("revision", Number),
        ("started_at", Number),
        ("deadline_at", Number),
        ("completed_at", Number),
    ];
    static TEXT: LazyLock<String> = LazyLock::new(|| insert("transactions", &COLUMNS));
    let row = |(account, transaction): &(AccountId, Transaction)| {
        let Transaction { id, kind, revision, started, deadline, completed } = transaction;
        vec![
            id.0.to_string().into(),
            account.to_string().into(),
            kind.as_str().into(),
            revision.0.into(),
            started.as_microsecond().into(),
            deadline.as_microsecond().into(),
            completed.map(Timestamp::as_microsecond).into(),
        ]
    };
    write(connection, &TEXT, entries.iter().map(row).collect()).await
}

/// Notes in the journal when transactions were superseded.
pub(super) async fn supersede(
    connection: &mut Connection,
    ids: &[TransactionId],
    now: Timestamp,
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 2] = [("transaction_id", Text), ("superseded_at", Number)];
    static TEXT: LazyLock<String> =
        LazyLock::new(|| update("transactions", "transaction_id", &COLUMNS));
    let row = |id: &TransactionId| vec![id.0.to_string().into(), now.as_microsecond().into()];
    write(connection, &TEXT, ids.iter().map(row).collect()).await
}

/// Notes in the journal when transactions completed.
pub(super) async fn complete(
    connection: &mut Connection,
    transactions: &[Transaction],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 2] = [("transaction_id", Text), ("completed_at", Number)];
    static TEXT: LazyLock<String> =
        LazyLock::new(|| update("transactions", "transaction_id", &COLUMNS));
    let row = |transaction: &Transaction| {
        let completed = transaction.completed.map(Timestamp::as_microsecond);
        vec![transaction.id.0.to_string().into(), completed.into()]
    };
    write(connection, &TEXT, transactions.iter().map(row).collect()).await
}

/// Notes in the journal how many cases lost their owner with each account.
pub(super) async fn write_cases(
    connection: &mut Connection,
    accounts: &[(DeletedAccount, Timestamp)],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 2] = [("transaction_id", Text), ("cases_unassigned", Number)];
    static TEXT: LazyLock<String> =
        LazyLock::new(|| update("transactions", "transaction_id", &COLUMNS));
    let with_cases = accounts.iter().filter(|(deleted, _)| deleted.cases_unassigned > 0);
    let row = |(deleted, _): &(DeletedAccount, Timestamp)| {
        vec![deleted.transaction.id.0.to_string().into(), deleted.cases_unassigned.into()]
    };
    write(connection, &TEXT, with_cases.map(row).collect()).await
}

/// Notes what directories confirmed of accounts.
pub(super) async fn confirm(
    connection: &mut Connection,
    confirmed: &BTreeMap<(AccountId, String), DirectoryAck>,
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 5] = [
        ("account_id", Text),
        ("directory", Text),
        ("revision", Number),
        ("fingerprint", Text),
        ("handle", Text),
    ];
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let insert = insert("confirmations", &COLUMNS);
        // Without the WHERE, SQLite takes the ON for that of a join.
        format!(
            "{insert} WHERE TRUE ON CONFLICT (account_id, directory) DO UPDATE SET \
             revision = excluded.revision, fingerprint = excluded.fingerprint, handle = excluded.handle"
        )
    });
    let row = |((account, directory), ack): (&(AccountId, String), &DirectoryAck)| {
        let DirectoryAck { revision, fingerprint, handle } = ack;
        vec![
            account.to_string().into(),
            directory.into(),
            revision.0.into(),
            fingerprint.as_ref().map(ToString::to_string).into(),
            handle.as_ref().map(|handle| handle.0.clone()).into(),
        ]
    };
    write(connection, &TEXT, confirmed.iter().map(row).collect()).await
}
