//! What commits wait for. In `SQLite` only one transaction writes at a time, so there is nothing
//! more to wait for, and all of this does nothing.
//!
//! In `PostgreSQL` these are locks on the table `locks` and its rows, to which applications have no
//! right. What an application may lock (cases, and an account that a case is being assigned to) a
//! commit waits for only for a moment: see [`Patience`].

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Error;
use tokio::time::Instant;

use super::connection::{Connection, Statement, statement, texts};
use super::{postgres, rows};
use crate::domain::account::AccountId;

/// Waits until nobody commits, and has whoever wants to commit wait.
pub(super) const ALONE: &str = "LOCK TABLE locks IN EXCLUSIVE MODE";

/// Whether the schema is one with a table of locks.
pub(super) const ARE_THERE: &str = "SELECT to_regclass('locks') IS NOT NULL";

/// As [`ALONE`], of rosters that had no such table: the digest of their lock's name, mixed with
/// that of the schema.
pub(super) const ALONE_BEFORE: &str = "SELECT 1 FROM pg_advisory_xact_lock(-4142344658954691958 # hashtextextended(CAST(current_schema() AS text), 0))";

/// How long a commit waits for applications in all: where nobody tries again, longer than the
/// second after which the server looks for deadlocks.
const FOR_APPLICATIONS: Duration = Duration::from_secs(2);

/// How long an operator's commit does: it tries again by itself, and others' rights wait behind it.
const FOR_APPLICATIONS_OF_AN_OPERATOR: Duration = Duration::from_millis(500);

/// How long it does for a minute after it waited in vain: whoever keeps a lock for that long keeps
/// it longer.
const AFTER_WAITING_IN_VAIN: Duration = Duration::from_millis(50);

/// How long a plan may wait once the commit has waited for as long as it may.
const LEAST: Duration = Duration::from_millis(5);

/// How exactly the time is told to the server: each time costs a request.
const COARSELY: Duration = Duration::from_millis(100);

/// For how long plans are begun in one commit.
const WORK: Duration = Duration::from_secs(15);

/// What a commit locks for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock<'a> {
    /// What is in an organization's namespace.
    Organization(&'a str),
    /// The order in which members' changes are numbered.
    MemberChanges,
}

impl Lock<'_> {
    fn name(self) -> String {
        match self {
            Self::Organization(namespace) => format!("organization {namespace}"),
            Self::MemberChanges => "member changes".to_owned(),
        }
    }
}

/// Executes what only `PostgreSQL` needs.
async fn in_postgres(connection: &mut Connection, statement: Statement) -> Result<(), Error> {
    if connection.is_shared() {
        statement.execute(connection).await?;
    }
    Ok(())
}

/// Waits until nobody else commits to these organizations, and until whoever must be alone is done;
/// to the end of the transaction.
pub(super) async fn lock_organizations(
    connection: &mut Connection,
    namespaces: &BTreeSet<&str>,
) -> Result<(), Error> {
    lock(connection, namespaces.iter().map(|namespace| Lock::Organization(namespace))).await
}

/// Waits until nobody else has any of the locks, to the end of the transaction.
pub(super) async fn lock(
    connection: &mut Connection,
    locks: impl IntoIterator<Item = Lock<'_>>,
) -> Result<(), Error> {
    if !connection.is_shared() {
        return Ok(());
    }
    let names: Vec<String> = locks.into_iter().map(Lock::name).collect();
    // In the order of their names, so that no two wait for each other.
    let all = concat!(
        "SELECT name FROM locks WHERE name IN (",
        texts!("$1"),
        ") ORDER BY name FOR UPDATE"
    );
    let locked = statement(all).bind(rows::texts(&names)).fetch_all(connection).await?;
    if locked.len() < names.len() {
        let missing = concat!(
            "INSERT INTO locks (name) ",
            texts!("$1"),
            " ORDER BY 1 ON CONFLICT DO NOTHING"
        );
        statement(missing).bind(rows::texts(&names)).execute(connection).await?;
        statement(all).bind(rows::texts(&names)).fetch_all(connection).await?;
    }
    Ok(())
}

/// Waits until nobody commits, to the end of the transaction.
pub(super) async fn lock_exclusively(connection: &mut Connection) -> Result<(), Error> {
    in_postgres(connection, statement(ALONE)).await
}

/// Waits until no application assigns a case to an account; to the end of the transaction. Whoever
/// does so meanwhile waits, and is refused where the account goes.
pub(super) async fn lock_account(
    connection: &mut Connection,
    account: AccountId,
) -> Result<(), Error> {
    let row = statement("SELECT 1 FROM accounts WHERE account_id = $1 FOR UPDATE");
    in_postgres(connection, row.bind(account.to_string())).await
}

/// Has the rest of the transaction wait for a moment only.
pub(super) async fn set_lock_timeout(connection: &mut Connection) -> Result<(), Error> {
    wait_at_most(connection, FOR_APPLICATIONS).await
}

async fn wait_at_most(connection: &mut Connection, time: Duration) -> Result<(), Error> {
    let wait = statement("SELECT set_config('lock_timeout', $1, TRUE)");
    in_postgres(connection, wait.bind(time.as_millis().max(1).to_string())).await
}

/// Ends a statement whose length applications decide on, by how many cases they have assigned,
/// before all that is committed with it is lost to it.
pub(super) async fn begin_to_hurry(connection: &mut Connection) -> Result<(), Error> {
    in_postgres(connection, statement("SET LOCAL statement_timeout = '10s'")).await
}

/// Takes that back: a COMMIT mustn't be cut short.
pub(super) async fn end_to_hurry(connection: &mut Connection) -> Result<(), Error> {
    in_postgres(connection, statement("SET LOCAL statement_timeout = 0")).await
}

/// How long a commit waits, as a whole, for applications that have locked what it needs: each may
/// keep the plans waiting that it is about, and not all that are committed with them.
pub(super) struct Patience {
    begun: Instant,
    all: Duration,
    told: Duration,
    /// Whether the table of cases could be had, once that is known.
    has_cases: Option<bool>,
}

impl Patience {
    /// Begins to wait.
    pub(super) async fn begin(
        connection: &mut Connection,
        of_an_operator: bool,
        lately_in_vain: bool,
    ) -> Result<Self, Error> {
        let all = match (of_an_operator, lately_in_vain) {
            (false, _) => FOR_APPLICATIONS,
            (true, false) => FOR_APPLICATIONS_OF_AN_OPERATOR,
            (true, true) => AFTER_WAITING_IN_VAIN,
        };
        wait_at_most(connection, all).await?;
        Ok(Self { begun: Instant::now(), all, told: all, has_cases: None })
    }

    /// Returns whether cases can be changed at all: where an application has locked the table, no
    /// deletion needs to be tried.
    pub(super) async fn has_cases(&mut self, connection: &mut Connection) -> Result<bool, Error> {
        if let Some(known) = self.has_cases.or((!connection.is_shared()).then_some(true)) {
            return Ok(known);
        }
        self.go_on(connection).await?;
        connection.savepoint().await?;
        let had =
            match statement("LOCK TABLE cases IN ROW EXCLUSIVE MODE").execute(connection).await {
                Ok(_) => true,
                Err(error) if postgres::is_locked_out(&error) => false,
                Err(error) => return Err(error),
            };
        if had {
            connection.release_savepoint().await?;
        } else {
            connection.rollback_to_savepoint().await?;
        }
        self.has_cases = Some(had);
        Ok(had)
    }

    /// Whether no other plan is to be begun in this commit.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() > WORK
    }

    /// Returns how long the server was last told to wait.
    pub(super) fn told(&self) -> Duration {
        self.told
    }

    /// Notes that what the server was told since then was rolled back.
    pub(super) fn take_back(&mut self, told: Duration) {
        self.told = told;
    }

    /// Tells the server how long is left for the next plan.
    pub(super) async fn go_on(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let left = self.all.saturating_sub(self.begun.elapsed()).max(LEAST);
        if left + COARSELY < self.told || (left == LEAST && self.told > LEAST) {
            wait_at_most(connection, left).await?;
            self.told = left;
        }
        Ok(())
    }
}

/// Ends the sessions of those who are in the middle of a commit and don't get on: of a process that
/// was stopped there, or is at the other end of a network that is cut.
pub(super) async fn terminate_stalled_commits(connection: &mut Connection) -> Result<(), Error> {
    let stopped = statement(
        "SELECT COUNT(pg_terminate_backend(l.pid)) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
         WHERE l.locktype = 'relation' AND l.mode = 'RowShareLock' AND l.granted AND l.relation = CAST('locks' AS regclass) \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND (a.state = 'idle in transaction' OR a.wait_event = 'ClientWrite') \
         AND a.state_change < clock_timestamp() - INTERVAL '1500 milliseconds'",
    );
    in_postgres(connection, stopped).await
}
