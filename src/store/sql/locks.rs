//! What commits wait for. In `SQLite` only one transaction writes at a time, so there is nothing more to wait for, and all of
//! this does nothing.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use sqlx::Error;

use super::connection::{Connection, Statement, statement};
use super::rows;
use crate::domain::account::AccountId;

/// What the number of a lock is mixed with: two stores in two schemas of one database have nothing to do with each other.
macro_rules! here {
    () => {
        "hashtextextended(CAST(current_schema() AS text), 0)"
    };
}

/// Waits until nobody else has the lock of a number (`$1`).
pub(super) const ALONE: &str = concat!("SELECT 1 FROM pg_advisory_xact_lock($1 # ", here!(), ")");

/// Who writes to what, as the numbers of advisory locks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock<'a> {
    /// All that commits do: each has a share in it, and whatever must not happen beside a commit has it alone.
    Gate,
    /// What is in an organization's namespace.
    Organization(&'a str),
    /// The order in which members' changes are numbered.
    MemberChanges,
}

impl Lock<'_> {
    pub(super) fn number(self) -> i64 {
        let digest = match self {
            Self::Gate => Sha256::digest(b"roster"),
            Self::Organization(namespace) => Sha256::digest(format!("roster organization {namespace}")),
            Self::MemberChanges => Sha256::digest(b"roster member changes"),
        };
        i64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}

/// Executes what only `PostgreSQL` needs.
async fn in_postgres(connection: &mut Connection, statement: Statement) -> Result<(), Error> {
    if connection.is_shared() {
        statement.execute(connection).await?;
    }
    Ok(())
}

/// Waits until nobody else commits to these organizations, and until whoever must be alone is done; to the end of the
/// transaction.
pub(super) async fn lock_organizations(connection: &mut Connection, namespaces: &BTreeSet<&str>) -> Result<(), Error> {
    // In the order of their numbers, so that no two wait for each other.
    let numbers: BTreeSet<i64> = namespaces.iter().map(|namespace| Lock::Organization(namespace).number()).collect();
    let share = statement(concat!("SELECT 1 FROM pg_advisory_xact_lock_shared($1 # ", here!(), ")"));
    in_postgres(connection, share.bind(Lock::Gate.number())).await?;
    let all = concat!("SELECT COUNT(pg_advisory_xact_lock(CAST(value->>0 AS BIGINT) # ", here!(), ")) FROM json_each($1)");
    in_postgres(connection, statement(all).bind(rows::texts(numbers))).await
}

/// Waits until nobody else has the lock, to the end of the transaction.
pub(super) async fn lock(connection: &mut Connection, lock: Lock<'_>) -> Result<(), Error> {
    in_postgres(connection, statement(ALONE).bind(lock.number())).await
}

/// Waits until no application assigns a case to an account; to the end of the transaction. Whoever does so meanwhile waits,
/// and is refused where the account goes.
pub(super) async fn lock_account(connection: &mut Connection, account: AccountId) -> Result<(), Error> {
    let row = statement("SELECT 1 FROM accounts WHERE account_id = $1 FOR UPDATE");
    in_postgres(connection, row.bind(account.to_string())).await
}

/// Has the rest of the transaction wait for a moment only: an application that has a row for long is to keep one plan
/// waiting, and not all that are committed with it.
pub(super) async fn be_impatient(connection: &mut Connection) -> Result<(), Error> {
    // Longer than the second after which the server looks for deadlocks.
    in_postgres(connection, statement("SET LOCAL lock_timeout = '2s'")).await
}

/// Ends the sessions of those who have a share in the gate and don't get on: of a process that was stopped in the middle
/// of a commit, or is at the other end of a network that is cut.
pub(super) async fn end_those_at_the_gate(connection: &mut Connection) -> Result<(), Error> {
    let stopped = statement(concat!(
        "SELECT COUNT(pg_terminate_backend(l.pid)) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.granted AND l.objsubid = 1 \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND (CAST(l.classid AS BIGINT) << 32) | CAST(l.objid AS BIGINT) = $1 # ",
        here!(),
        " AND (a.state = 'idle in transaction' OR a.wait_event = 'ClientWrite') \
         AND a.state_change < clock_timestamp() - INTERVAL '1500 milliseconds'"
    ));
    in_postgres(connection, stopped.bind(Lock::Gate.number())).await
}
