//! The schema's versions, forward only.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::sqlite::{self, Address, Database};
use crate::store::StoreError;

/// The migrations, oldest first. One that was released never changes.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "accounts", include_str!("../migrations/0001_accounts.sql")),
    (2, "applications", include_str!("../migrations/0002_applications.sqlite.sql")),
    (3, "permissions", include_str!("../migrations/0003_permissions.sqlite.sql")),
    (4, "transactions", include_str!("../migrations/0004_transactions.sql")),
    (5, "billing", include_str!("../migrations/0005_billing.sql")),
];

/// The newest migration that this version has.
const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What an address holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A database without tables.
    Nothing,
    /// No database, or another one.
    SomethingElse,
    /// A store, with its newest migration.
    Schema(i64),
}

impl Held {
    /// Whether it is a store that lacks migrations of this version.
    pub(super) fn is_older(self) -> bool {
        matches!(self, Self::Schema(found) if found < KNOWN)
    }
}

/// Refuses what [`migrate`] must not touch.
pub(super) async fn check_can_migrate(address: &Address) -> Result<(), StoreError> {
    match held(address).await? {
        Held::SomethingElse => Err(address.problem("holds something else than a roster store")),
        Held::Schema(found) if found > KNOWN => Err(StoreError::NewerSchema { found, known: KNOWN }),
        Held::Nothing | Held::Schema(_) => Ok(()),
    }
}

/// Refuses what isn't a store of this version.
pub(super) async fn check_is_current(address: &Address) -> Result<(), StoreError> {
    match held(address).await? {
        Held::Nothing | Held::SomethingElse => Err(address.problem("holds no roster store")),
        Held::Schema(found) if found > KNOWN => Err(StoreError::NewerSchema { found, known: KNOWN }),
        Held::Schema(found) if found < KNOWN => Err(address.problem(&format!(
            "was written by an older roster (schema {found}, this one needs {KNOWN}): `roster run` of this version brings it up"
        ))),
        Held::Schema(_) => Ok(()),
    }
}

/// Refuses what isn't a store of this version or an older one; returns which.
pub(super) async fn check_is_known(address: &Address) -> Result<Held, StoreError> {
    match held(address).await? {
        Held::Nothing | Held::SomethingElse => Err(address.problem("holds no roster store")),
        Held::Schema(found) if found > KNOWN => Err(StoreError::NewerSchema { found, known: KNOWN }),
        known @ Held::Schema(_) => Ok(known),
    }
}

/// Brings the schema up to this version, whole or not at all.
pub(super) async fn migrate(database: &Database) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.into_iter().map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut writer = database.writer().await?;
    let mut transaction = writer.begin_with(sqlite::BEGIN).await?;
    match Migrator::with_migrations(migrations.collect()).run(&mut transaction).await {
        Ok(()) => Ok(transaction.commit().await?),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(error.into()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::NewerSchema { found, known: KNOWN }),
        Err(error) => Err(sqlx::Error::from(error).into()),
    }
}

/// Returns what an address holds.
pub(super) async fn held(address: &Address) -> Result<Held, StoreError> {
    if !address.path.is_file() {
        return Err(address.problem("isn't there"));
    }
    let tables = match sqlite::tables(address).await {
        Ok(tables) => tables,
        Err(error) if sqlite::is_no_database(&error) => return Ok(Held::SomethingElse),
        Err(error) => return Err(error.into()),
    };
    let has = |name| tables.iter().any(|table| table == name);
    match (tables.is_empty(), has("_sqlx_migrations") && has("lifetimes")) {
        (true, _) => Ok(Held::Nothing),
        (false, false) => Ok(Held::SomethingElse),
        (false, true) => {
            let newest = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations");
            let mut connection = address.options().connect().await?;
            let newest = newest.fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(Held::Schema(newest))
        }
    }
}
