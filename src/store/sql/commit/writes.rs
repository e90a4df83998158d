//! Rows that are written together: one statement takes any number of them as a JSON list of lists.

use std::sync::LazyLock;

use super::CommitError;
use crate::domain::account::{
    Account, AccountId, AccountSpec, DirectoryAck, Revision, Source, Transaction, TransactionId,
};
use crate::domain::profile::Profile;
use crate::store::sql::connection::{Connection, Value, statement};
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

/// What of an account never changes.
const FIXED: [(&str, Kind); 3] =
    [("namespace", Text), ("login_name", Text), ("created_at", Number)];

/// What of an account can change, and by what it is found.
const CHANGING: [(&str, Kind); 29] = [
    ("account_id", Text),
    ("email", Text),
    ("email_domain", Text),
    ("state", Text),
    ("group_name", Text),
    ("grants", Text),
    ("role", Text),
    ("teams", Text),
    ("display_name", Text),
    ("phone", Text),
    ("address", Text),
    ("time_zone", Text),
    ("notifications", Text),
    ("owner_name", Text),
    ("owner_uid", Text),
    ("owner_generation", Number),
    ("revision", Number),
    ("transaction_id", Text),
    ("source_mode", Text),
    ("source_name", Text),
    ("source_permissions", Text),
    ("cloned_uid", Text),
    ("cloned_generation", Number),
    ("cloned_at", Number),
    ("copied", Text),
    ("member", Text),
    ("password_hash", Text),
    ("secret_hash", Text),
    ("secret_version", Text),
];

/// Returns what of an account can change, as [`CHANGING`] names it.
fn changing(account: &Account) -> Vec<Value> {
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
        ..
    } = account;
    let Account { credential, confirmed: _, .. } = account;
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
    let Profile { display_name, phone, address, time_zone, notifications } = profile;
    let from_secret = credential.as_ref().and_then(|credential| credential.from_secret.as_ref());
    vec![
        id.to_string().into(),
        email.as_str().into(),
        email.domain().into(),
        rows::lifecycle_text(*lifecycle).into(),
        group.into(),
        rows::permission_texts(grants).into(),
        role.as_deref().into(),
        rows::json(teams).into(),
        display_name.into(),
        phone.as_deref().into(),
        address.as_ref().map(rows::json).into(),
        time_zone.as_deref().into(),
        rows::json(notifications).into(),
        (&owner.name).into(),
        (&owner.uid).into(),
        owner.generation.into(),
        revision.0.into(),
        transaction.id.0.to_string().into(),
        mode.into(),
        source.as_ref().map(Source::from).into(),
        fixed.map(rows::permission_texts).into(),
        clone.map(|clone| clone.uid.as_str()).into(),
        clone.map(|clone| clone.generation).into(),
        cloned.map(jiff::Timestamp::as_microsecond).into(),
        copied.as_ref().map(rows::json).into(),
        rows::json(member).into(),
        credential.as_ref().map(|credential| credential.login.as_str()).into(),
        from_secret.map(|password| password.hash.as_str()).into(),
        from_secret.map(|password| password.version.as_str()).into(),
    ]
}

async fn write(
    connection: &mut Connection,
    text: &'static str,
    rows: &[Vec<Value>],
) -> Result<(), CommitError> {
    if !rows.is_empty() {
        statement(text).bind(rows::json(rows)).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn insert_accounts(
    connection: &mut Connection,
    accounts: &[&Account],
) -> Result<(), CommitError> {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| insert("accounts", &[&CHANGING[..], &FIXED[..]].concat()));
    let row = |account: &&Account| {
        let Account { namespace, login_name, created, .. } = account;
        let mut row = changing(account);
        row.extend([namespace.into(), login_name.as_str().into(), created.as_microsecond().into()]);
        row
    };
    write(connection, &TEXT, &accounts.iter().map(row).collect::<Vec<_>>()).await
}

pub(super) async fn overwrite_accounts(
    connection: &mut Connection,
    accounts: &[&Account],
) -> Result<(), CommitError> {
    static TEXT: LazyLock<String> = LazyLock::new(|| update("accounts", "account_id", &CHANGING));
    write(connection, &TEXT, &accounts.iter().map(|account| changing(account)).collect::<Vec<_>>())
        .await
}

/// Begins the lifetimes of accounts that are created, in the state that each has.
pub(super) async fn begin_lifetimes(
    connection: &mut Connection,
    accounts: &[&Account],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 5] = [
        ("account_id", Text),
        ("namespace", Text),
        ("login_name", Text),
        ("created_at", Number),
        ("state_at_creation", Text),
    ];
    static TEXT: LazyLock<String> = LazyLock::new(|| insert("lifetimes", &COLUMNS));
    let row = |account: &&Account| {
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
    write(connection, &TEXT, &accounts.iter().map(row).collect::<Vec<_>>()).await
}

/// Writes down since when accounts are in the state that they get now.
pub(super) async fn write_switches(
    connection: &mut Connection,
    switches: &[(AccountId, Revision, &'static str)],
    now: jiff::Timestamp,
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 4] =
        [("account_id", Text), ("revision", Number), ("switched_at", Number), ("state", Text)];
    static TEXT: LazyLock<String> = LazyLock::new(|| insert("switches", &COLUMNS));
    let row = |(account, revision, state): &(AccountId, Revision, &'static str)| {
        vec![
            account.to_string().into(),
            revision.0.into(),
            now.as_microsecond().into(),
            (*state).into(),
        ]
    };
    write(connection, &TEXT, &switches.iter().map(row).collect::<Vec<_>>()).await
}

/// Writes transactions into the journal.
pub(super) async fn write_journal(
    connection: &mut Connection,
    entries: &[(AccountId, &Transaction)],
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
    let row = |(account, transaction): &(AccountId, &Transaction)| {
        let Transaction { id, kind, revision, started, deadline, completed } = transaction;
        vec![
            id.0.to_string().into(),
            account.to_string().into(),
            kind.as_str().into(),
            revision.0.into(),
            started.as_microsecond().into(),
            deadline.as_microsecond().into(),
            completed.map(jiff::Timestamp::as_microsecond).into(),
        ]
    };
    write(connection, &TEXT, &entries.iter().map(row).collect::<Vec<_>>()).await
}

/// Notes in the journal when transactions were superseded.
pub(super) async fn supersede(
    connection: &mut Connection,
    ids: &[TransactionId],
    now: jiff::Timestamp,
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 2] = [("transaction_id", Text), ("superseded_at", Number)];
    static TEXT: LazyLock<String> =
        LazyLock::new(|| update("transactions", "transaction_id", &COLUMNS));
    let row = |id: &TransactionId| vec![id.0.to_string().into(), now.as_microsecond().into()];
    write(connection, &TEXT, &ids.iter().map(row).collect::<Vec<_>>()).await
}

/// Notes in the journal when transactions completed.
pub(super) async fn complete(
    connection: &mut Connection,
    transactions: &[&Transaction],
) -> Result<(), CommitError> {
    const COLUMNS: [(&str, Kind); 2] = [("transaction_id", Text), ("completed_at", Number)];
    static TEXT: LazyLock<String> =
        LazyLock::new(|| update("transactions", "transaction_id", &COLUMNS));
    let row = |transaction: &&Transaction| {
        let completed = transaction.completed.map(jiff::Timestamp::as_microsecond);
        vec![transaction.id.0.to_string().into(), completed.into()]
    };
    write(connection, &TEXT, &transactions.iter().map(row).collect::<Vec<_>>()).await
}

/// Notes what directories confirmed of accounts.
pub(super) async fn confirm(
    connection: &mut Connection,
    confirmed: &[(AccountId, &str, &DirectoryAck)],
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
    let row = |(account, directory, DirectoryAck { revision, fingerprint, handle }): &(
        AccountId,
        &str,
        &DirectoryAck,
    )| {
        let fingerprint = fingerprint.as_ref().map(ToString::to_string);
        vec![
            account.to_string().into(),
            (*directory).into(),
            revision.0.into(),
            fingerprint.into(),
            handle.as_ref().map(|handle| handle.0.clone()).into(),
        ]
    };
    write(connection, &TEXT, &confirmed.iter().map(row).collect::<Vec<_>>()).await
}
