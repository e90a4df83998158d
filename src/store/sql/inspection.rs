//! Everything that a store has, looked at whole and row by row, also where some of it can't be
//! read.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::connection::statement;
use super::{SqlStore, rows, sqlite};
use crate::domain::account::{Account, DeletedAccount};
use crate::store::StoreError;

/// What a store has at one moment.
#[derive(Debug)]
pub struct Examination {
    /// The live accounts that can be read.
    pub accounts: Vec<Account>,
    /// Those that can't.
    pub unreadable: Vec<UnreadableRow>,
    /// The Deletes that a directory has yet to confirm.
    pub departures: Vec<DeletedAccount>,
    /// The directories that transactions wait for.
    pub directories: BTreeSet<String>,
    /// What contradicts itself in the file.
    pub damage: Option<String>,
}

/// A live account that can't be read.
#[derive(Debug)]
pub struct UnreadableRow {
    /// Its id, as it stands there.
    pub account: String,
    /// The namespace of its organization.
    pub namespace: String,
    /// The name of its `User`.
    pub user: String,
    /// Why it can't be read.
    pub error: StoreError,
}

impl SqlStore {
    /// Returns everything that the store has at this moment.
    ///
    /// # Errors
    /// When the database fails, or holds something else than live accounts that can't be read.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        let mut view = self.look().await?;
        let damage = match view.in_sqlite() {
            Some(connection) => damage(connection).await?,
            None => None,
        };
        let (accounts, unreadable) = rows::readable_accounts(
            statement(rows::select_accounts!("ORDER BY a.namespace, a.owner_name")),
            &mut view,
        )
        .await?;
        let departures = statement(rows::select_departures!(
            "WHERE t.completed_at IS NULL AND t.superseded_at IS NULL ORDER BY l.namespace, l.account_id"
        ));
        let departures = rows::deleted_accounts(departures, &mut view).await?;
        let directories = rows::directories(&mut view).await?;
        view.commit().await?;
        Ok(Examination { accounts, unreadable, departures, directories, damage })
    }
}

/// Returns what contradicts itself in a database: its pages, its indexes, or what refers to what.
///
/// # Errors
/// When the database can't be asked.
pub(super) async fn damage(
    connection: &mut SqliteConnection,
) -> Result<Option<String>, StoreError> {
    match sqlx::query_scalar::<_, String>("PRAGMA integrity_check(1)")
        .fetch_all(&mut *connection)
        .await
    {
        Ok(said) if said == ["ok"] => {}
        Ok(said) => return Ok(Some(said.join("; "))),
        Err(error) if sqlite::is_damage(&error) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    let dangling = sqlx::query_as::<_, (String, String)>(
        "SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1",
    );
    let dangling = dangling.fetch_optional(&mut *connection).await?;
    Ok(dangling.map(|(table, parent)| {
        format!("a row of {table} refers to one of {parent} that isn't there")
    }))
}
