//! The directories that transactions wait for.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::store::StoreError;
use crate::store::sql::connection::{Connection, statement, texts};
use crate::store::sql::operators::{self, HeldClaim};
use crate::store::sql::rows;

/// Opens again the Deletes of those who went while a directory was out of use that knows them
/// still. It is about directories that are put back, and so asked for only then.
const REOPEN: &str = concat!(
    "UPDATE transactions SET completed_at = NULL WHERE type = 'Delete' AND superseded_at IS NULL AND account_id IN \
     (SELECT c.account_id FROM confirmations AS c WHERE c.revision < transactions.revision AND c.directory IN (",
    texts!("$1"),
    "))"
);

/// Makes these the directories that transactions wait for, and completes those that waited only for
/// others.
pub(in crate::store::sql) async fn set_directories(
    connection: &mut Connection,
    holding: Option<&HeldClaim>,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    operators::begin_alone(connection).await?;
    let counted = operators::count(connection, holding).await?;
    change_directories(connection, directories, now).await?;
    connection.commit().await?;
    counted.made();
    Ok(())
}

/// Does that in a transaction beside which nobody commits.
pub(in crate::store::sql) async fn change_directories(
    connection: &mut Connection,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let names = rows::texts(directories);
    let back =
        concat!("SELECT name FROM directories WHERE NOT in_use AND name IN (", texts!("$1"), ")");
    let back: Vec<String> = statement(back).bind(&names).fetch_firsts(connection).await?;
    let statements = [
        concat!("UPDATE directories SET in_use = FALSE WHERE name NOT IN (", texts!("$1"), ")"),
        // Without the WHERE, SQLite takes the ON for that of a join.
        concat!(
            "INSERT INTO directories (name) ",
            texts!("$1"),
            " WHERE TRUE ON CONFLICT (name) DO UPDATE SET in_use = TRUE"
        ),
    ];
    for text in statements {
        statement(text).bind(&names).execute(connection).await?;
    }
    if !back.is_empty() {
        statement(REOPEN).bind(rows::texts(&back)).execute(connection).await?;
    }
    statement(
        "UPDATE transactions SET completed_at = $1 WHERE completed_at IS NULL AND superseded_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM directories AS d WHERE d.in_use AND NOT EXISTS (SELECT 1 FROM confirmations AS c \
          WHERE c.account_id = transactions.account_id AND c.directory = d.name AND c.revision >= transactions.revision))",
    )
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}
