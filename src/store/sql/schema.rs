//! The schema's versions, forward only.

use std::borrow::Cow;
use std::io;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions, Connection as _, SqlSafeStr};

use super::advice::about_file;
use super::database::{Database, StoreAddress};
use super::{locks, postgres, sqlite};
use crate::store::StoreError;

/// What a database is given, oldest first: number, name and statements. One that was released never
/// changes.
type Migrations = &'static [(i64, &'static str, &'static str)];

const SQLITE: Migrations = &[
    (1, "accounts", include_str!("../migrations/0001_accounts.sqlite.sql")),
    (2, "applications", include_str!("../migrations/0002_applications.sqlite.sql")),
    (3, "permissions", include_str!("../migrations/0003_permissions.sqlite.sql")),
    (4, "transactions", include_str!("../migrations/0004_transactions.sqlite.sql")),
    (5, "billing", include_str!("../migrations/0005_billing.sqlite.sql")),
    (6, "operators", include_str!("../migrations/0006_operators.sqlite.sql")),
    (7, "fingerprints", include_str!("../migrations/0007_fingerprints.sqlite.sql")),
    (8, "bounds", include_str!("../migrations/0008_bounds.sqlite.sql")),
    (9, "corrections", include_str!("../migrations/0009_corrections.sqlite.sql")),
    (10, "handles", include_str!("../migrations/0010_handles.sqlite.sql")),
    (11, "login failures", include_str!("../migrations/0011_login_failures.sqlite.sql")),
    (12, "profile", include_str!("../migrations/0012_profile.sqlite.sql")),
];

/// `PostgreSQL` came when `SQLite` had five; the numbers after that are the same.
const POSTGRES: Migrations = &[
    (5, "everything", include_str!("../migrations/0005_everything.postgres.sql")),
    (6, "operators", include_str!("../migrations/0006_operators.postgres.sql")),
    (7, "fingerprints", include_str!("../migrations/0007_fingerprints.postgres.sql")),
    (8, "bounds", include_str!("../migrations/0008_bounds.postgres.sql")),
    (9, "corrections", include_str!("../migrations/0009_corrections.postgres.sql")),
    (10, "handles", include_str!("../migrations/0010_handles.postgres.sql")),
    (11, "login failures", include_str!("../migrations/0011_login_failures.postgres.sql")),
    (12, "profile", include_str!("../migrations/0012_profile.postgres.sql")),
];

/// The newest migration that this version has.
pub(super) const KNOWN: i64 = SQLITE[SQLITE.len() - 1].0;

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
    /// Whether it lacks migrations of this version.
    pub(super) fn is_older(self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Schema(found) => found < KNOWN,
            Self::SomethingElse => false,
        }
    }
}

/// Refuses what [`migrate`] must not touch.
pub(super) async fn check_can_migrate(address: &StoreAddress) -> Result<Held, StoreError> {
    match held(address).await? {
        Held::SomethingElse => Err(address.problem("holds something else than a roster store")),
        Held::Schema(found) if found > KNOWN => {
            Err(StoreError::NewerSchema { found, known: KNOWN })
        }
        held @ (Held::Nothing | Held::Schema(_)) => Ok(held),
    }
}

/// Refuses what isn't a store of this version.
pub(super) async fn check_is_current(address: &StoreAddress) -> Result<(), StoreError> {
    match check_is_known(address).await? {
        Held::Schema(found) if found < KNOWN => Err(address.problem(&format!(
            "was written by an older roster (schema {found}, this one needs {KNOWN}): `roster run` of this version brings it up"
        ))),
        _ => Ok(()),
    }
}

/// Refuses what isn't a store of this version or an older one; returns which.
pub(super) async fn check_is_known(address: &StoreAddress) -> Result<Held, StoreError> {
    match held(address).await? {
        Held::Nothing | Held::SomethingElse => Err(address.problem("holds no roster store")),
        Held::Schema(found) if found > KNOWN => {
            Err(StoreError::NewerSchema { found, known: KNOWN })
        }
        known @ Held::Schema(_) => Ok(known),
    }
}

/// Brings the schema up to this version, whole or not at all. Whoever else tries at the same time
/// waits, and finds it done.
pub(super) async fn migrate(database: &Database) -> Result<(), StoreError> {
    let mut writer = database.writer().await?;
    if let Some(connection) = writer.in_sqlite() {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        run(SQLITE, &mut *transaction).await?;
        transaction.commit().await?;
    }
    if let Some(connection) = writer.in_postgres() {
        let mut transaction = connection.begin().await?;
        let has_locks =
            sqlx::query_scalar::<_, bool>(locks::ARE_THERE).fetch_one(&mut *transaction).await?;
        let alone = if has_locks { locks::ALONE } else { locks::ALONE_BEFORE };
        sqlx::query(alone).execute(&mut *transaction).await?;
        run(POSTGRES, &mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn run(migrations: Migrations, connection: &mut impl Migrate) -> Result<(), StoreError> {
    let migrations = migrations.iter().map(|&(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // The transaction has the lock, and keeps it until everybody can see what was done.
    migrator.set_locking(false);
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(error.into())
        }
        Err(MigrateError::VersionMissing(found)) => {
            Err(StoreError::NewerSchema { found, known: KNOWN })
        }
        Err(error) => Err(sqlx::Error::from(error).into()),
    }
}

/// Returns what an address holds. No connection stays open.
pub(super) async fn held(address: &StoreAddress) -> Result<Held, StoreError> {
    const NEWEST: &str = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
    match address {
        StoreAddress::Sqlite(address) => {
            match address.path.metadata() {
                Ok(found) if found.is_dir() => {
                    return Err(address.problem("is a folder: name a file"));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(address.problem("isn't there"));
                }
                Err(error) => {
                    return Err(
                        address.problem(&format!("can't be looked at: {}", about_file(&error)))
                    );
                }
            }
            let tables = match sqlite::tables(address).await {
                Ok(tables) => tables,
                Err(error) if sqlite::is_no_database(&error) => return Ok(Held::SomethingElse),
                Err(error) => return Err(error.into()),
            };
            if let Some(held) = held_besides_a_store(&tables) {
                return Ok(held);
            }
            let mut connection = address.options().connect().await?;
            let newest = sqlx::query_scalar(NEWEST).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(Held::Schema(newest))
        }
        StoreAddress::Postgres(address) => {
            let mut connection = address.connect().await?;
            if let Some(held) = held_besides_a_store(&postgres::tables(&mut connection).await?) {
                return Ok(held);
            }
            let newest = sqlx::query_scalar(NEWEST).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(Held::Schema(newest))
        }
    }
}

/// Returns what a database with these tables is, unless it is a store.
fn held_besides_a_store(tables: &[String]) -> Option<Held> {
    let has = |name| tables.iter().any(|table| table == name);
    match (tables.is_empty(), has("_sqlx_migrations") && has("lifetimes")) {
        (true, _) => Some(Held::Nothing),
        (false, false) => Some(Held::SomethingElse),
        (false, true) => None,
    }
}
