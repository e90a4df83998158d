//! Whether a backup is what it was when it was taken: a digest of its content stands in the file
//! itself.
//!
//! The digest is of the content (the schema and each table's rows, but for the counts of failed
//! logins) and not of the file's bytes: a database that somebody looks into, with `roster users`
//! for one, is another file afterwards, and its content is the same. What no digest covers can't be
//! restored either: a restore writes the content anew, row by row.
//!
//! The table of the digest and the file's `application_id` mark a backup, each by itself, so that
//! damage to one of them doesn't turn a backup into a database that never had a digest.

use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

/// What marks a backup, in the place that `SQLite` has for it: the bytes of "rost".
const APPLICATION_ID: i64 = 0x726f_7374;

/// Whether a file is what it was when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// Its content is what the digest in it says.
    Whole,
    /// Its content isn't, or the digest itself is damaged.
    Broken,
    /// It never had a digest: an earlier roster took it, or it is no backup.
    Missing,
}

/// Returns the digest of what a database has, without the digest that stands in it.
pub(super) async fn of_content(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    let mut digest = Sha256::new();
    let encoding: String =
        sqlx::query_scalar("PRAGMA encoding").fetch_one(&mut *connection).await?;
    let user_version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    take(&mut digest, Some(encoding.as_bytes()));
    take(&mut digest, Some(&user_version.to_le_bytes()));
    const SCHEMA: &str = "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB) \
                          FROM sqlite_schema WHERE tbl_name <> 'backup_digest' ORDER BY type, name";
    take_rows(&mut digest, connection, SCHEMA.to_owned()).await?;
    let tables = sqlx::query_as::<_, (String, bool)>(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
         AND name NOT IN ('backup_digest', 'sqlite_schema') ORDER BY name",
    );
    for (table, has_no_rowid) in tables.fetch_all(&mut *connection).await? {
        take(&mut digest, Some(table.as_bytes()));
        // `roster login` counts a wrong password, also where it looks into a backup; that changes
        // nobody's account.
        if table == "login_failures" {
            continue;
        }
        let columns =
            sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid").bind(&table);
        let columns: Vec<String> = columns.fetch_all(&mut *connection).await?;
        // A value as its type and its bytes: no text is too strange for that, not even one that
        // isn't UTF-8 any more.
        let value = |column: &String| {
            format!("CAST(typeof({0}) AS BLOB), CAST({0} AS BLOB)", quoted(column))
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        // In the order in which the rows were written, which whoever copies them keeps.
        let order = if has_no_rowid { "" } else { " ORDER BY rowid" };
        let rows = format!("SELECT {} FROM {}{order}", values.join(", "), quoted(&table));
        take_rows(&mut digest, connection, rows).await?;
    }
    Ok(format!("sha256:{:x}", digest.finalize()))
}

/// Marks a database as a backup, with the digest of what it has. Returns the digest.
pub(super) async fn seal(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    remove(connection).await?;
    let digest = of_content(connection).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("CREATE TABLE backup_digest (digest TEXT NOT NULL)")
        .execute(&mut *transaction)
        .await?;
    sqlx::query("INSERT INTO backup_digest VALUES ($1)")
        .bind(&digest)
        .execute(&mut *transaction)
        .await?;
    mark(&mut transaction, APPLICATION_ID).await?;
    transaction.commit().await?;
    Ok(digest)
}

/// Takes the mark and the digest off a database that is a store from now on, where it has them.
pub(super) async fn remove(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let (has_mark, has_table) = (has_mark(connection).await?, has_table(connection).await?);
    if has_mark || has_table {
        let mut transaction = connection.begin().await?;
        sqlx::query("DROP TABLE IF EXISTS backup_digest").execute(&mut *transaction).await?;
        if has_mark {
            mark(&mut transaction, 0).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Says whether a database that has this content is the backup that it was.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    content: &str,
) -> Result<Seal, sqlx::Error> {
    Ok(match (has_mark(connection).await?, has_table(connection).await?) {
        (false, false) => Seal::Missing,
        (true, true) => {
            let stated =
                sqlx::query_scalar::<_, Vec<u8>>("SELECT CAST(digest AS BLOB) FROM backup_digest");
            let stated = stated.fetch_all(connection).await?;
            if stated == [content.as_bytes()] { Seal::Whole } else { Seal::Broken }
        }
        (true, false) | (false, true) => Seal::Broken,
    })
}

async fn has_mark(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(connection).await?;
    Ok(found == APPLICATION_ID)
}

async fn has_table(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'backup_digest')",
    );
    found.fetch_one(connection).await
}

async fn mark(connection: &mut SqliteConnection, with: i64) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(format!("PRAGMA application_id = {with}")))
        .execute(connection)
        .await
        .map(|_| ())
}

async fn take_rows(
    digest: &mut Sha256,
    connection: &mut SqliteConnection,
    select: String,
) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(connection);
    let mut count = 0_u64;
    while let Some(row) = rows.try_next().await? {
        for column in 0..row.len() {
            take(digest, row.try_get(column)?);
        }
        count += 1;
    }
    digest.update(count.to_le_bytes());
    Ok(())
}

/// Takes one value in, so that no two lists of values are taken alike.
fn take(digest: &mut Sha256, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            digest.update([1]);
            digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(bytes);
        }
        None => digest.update([0]),
    }
}

/// Returns a name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
