//! Either database, open or by its address.

use super::connection::Connection;
use super::{postgres, sqlite};
use crate::store::StoreError;

const SUPPORTED: &str = "the store's address must be sqlite://FILE, or sqlite://FILE?mode=rwc to create the file where it isn't there, or \
     postgres://USER@HOST:PORT/DATABASE";

/// Where a store is.
#[derive(Clone)]
pub(super) enum StoreAddress {
    Sqlite(sqlite::SqliteAddress),
    Postgres(Box<postgres::PostgresAddress>),
}

impl StoreAddress {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if postgres::is_address(url) {
            return Ok(Self::Postgres(Box::new(postgres::PostgresAddress::parse(url)?)));
        }
        if url.starts_with("sqlite:") {
            return Ok(Self::Sqlite(sqlite::SqliteAddress::parse(url)?));
        }
        Err(StoreError::Address(SUPPORTED.to_owned()))
    }

    /// Returns the error that what is there is no use, and why.
    pub(super) fn problem(&self, what: &str) -> StoreError {
        match self {
            Self::Sqlite(address) => address.problem(what),
            Self::Postgres(address) => address.problem(what),
        }
    }
}

impl From<sqlite::SqliteAddress> for StoreAddress {
    fn from(address: sqlite::SqliteAddress) -> Self {
        Self::Sqlite(address)
    }
}

/// An open database.
pub(super) enum Database {
    Sqlite(sqlite::SqliteDatabase),
    Postgres(Box<postgres::PostgresDatabase>),
}

impl Database {
    pub(super) async fn connect(address: &StoreAddress) -> Result<Self, StoreError> {
        match address {
            StoreAddress::Sqlite(address) => {
                Ok(Self::Sqlite(sqlite::SqliteDatabase::connect(address).await?))
            }
            StoreAddress::Postgres(address) => {
                Ok(Self::Postgres(Box::new(postgres::PostgresDatabase::connect(address))))
            }
        }
    }

    /// Returns a connection that writes, once it is free.
    pub(super) async fn writer(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(database) => Ok(database.writer().await?.into()),
            Self::Postgres(database) => Ok(Box::pin(database.acquire()).await?.into()),
        }
    }

    /// Returns a connection that sees what was committed.
    pub(super) async fn reader(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(database) => Ok(database.reader().await?.into()),
            Self::Postgres(database) => Ok(Box::pin(database.acquire()).await?.into()),
        }
    }

    /// After a commit that erased personal data, lets nothing of it stay in the database's files
    /// where that can be done. `PostgreSQL` keeps it until a vacuum, and its log until it is
    /// recycled.
    pub(super) async fn erase(&self, erased: bool) {
        if let Self::Sqlite(database) = self {
            database.erase_from_log(erased).await;
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database) => database.close().await,
        }
    }
}
