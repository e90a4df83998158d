//! Failed logins, in a table of their own: they are no change of an account.

use std::collections::HashMap;

use jiff::Timestamp;

use super::advice::is_unwritable;
use super::connection::{Connection, Purpose, SqlRow, statement};
use super::{SqlStore, rows};
use crate::domain::account::AccountId;
use crate::domain::login_attempts::{LoginFailures, judge};
use crate::store::logins::Logins;
use crate::store::{CommitTime, StoreError};

const SELECT: &str = "SELECT account_id, failures, turned_away, since, last FROM login_failures WHERE account_id = $1";

/// As [`SELECT`], of which nobody else has the row until the end of the transaction.
const SELECT_ALONE: &str = "SELECT account_id, failures, turned_away, since, last FROM login_failures WHERE account_id = $1 FOR UPDATE";

impl Logins for SqlStore {
    async fn judge_login(
        &self,
        account: Option<AccountId>,
        matches: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let now = CommitTime { now, deadline: now }.in_microseconds().now;
        let key = account.map(|id| id.to_string()).unwrap_or_default();
        if matches {
            let found = statement(SELECT)
                .bind(&key)
                .fetch_optional(&mut self.database.reader().await?)
                .await?;
            let Some(found) = found.as_ref().map(failures).transpose()? else { return Ok(true) };
            let is_heard = judge(Some(&found), true, now).admitted;
            return match self.write_judgement(&key, true, now).await {
                // Who has the password and needn't wait isn't kept out by a store that can be read
                // and not written.
                Err(StoreError::Database(error)) if is_heard && is_unwritable(&error) => Ok(true),
                judged => judged,
            };
        }
        self.write_judgement(&key, false, now).await
    }

    async fn login_failures(&self) -> Result<HashMap<AccountId, LoginFailures>, StoreError> {
        let all = statement(
            "SELECT account_id, failures, turned_away, since, last FROM login_failures WHERE account_id <> ''",
        );
        let all = all.fetch_all(&mut self.database.reader().await?).await?;
        all.iter()
            .map(|row| Ok((AccountId(rows::uuid(row, "account_id")?), failures(row)?)))
            .collect()
    }
}

impl SqlStore {
    /// Judges a login by the failures before it, which nobody else changes meanwhile, and writes
    /// down what becomes of them.
    async fn write_judgement(
        &self,
        key: &str,
        matches: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut writer = self.database.writer().await?;
        writer.begin(Purpose::Write).await?;
        let before = alone(&mut writer, key).await?;
        let judgement = judge(before.as_ref(), matches, now);
        match &judgement.failures {
            Some(failures) => write(&mut writer, key, failures).await?,
            None => {
                statement("DELETE FROM login_failures WHERE account_id = $1")
                    .bind(key)
                    .execute(&mut writer)
                    .await?;
            }
        }
        writer.commit().await?;
        Ok(judgement.admitted)
    }
}

/// Returns the failures under a key, which nobody else changes until the end of the transaction.
async fn alone(writer: &mut Connection, key: &str) -> Result<Option<LoginFailures>, StoreError> {
    let mut row = None;
    if !writer.is_shared() {
        row = statement(SELECT).bind(key).fetch_optional(writer).await?;
    }
    // There has to be a row for others to wait at; whoever was waited for may have taken it away.
    while writer.is_shared() && row.is_none() {
        let placeholder =
            "INSERT INTO login_failures VALUES ($1, 0, 0, 0, 0, NULL) ON CONFLICT DO NOTHING";
        statement(placeholder).bind(key).execute(writer).await?;
        row = statement(SELECT_ALONE).bind(key).fetch_optional(writer).await?;
    }
    let before = row.as_ref().map(failures).transpose()?;
    Ok(before.filter(|before| before.failures > 0))
}

async fn write(
    writer: &mut Connection,
    key: &str,
    failures: &LoginFailures,
) -> Result<(), StoreError> {
    let LoginFailures { failures: count, turned_away, since, last } = failures;
    statement(
        "INSERT INTO login_failures (account_id, failures, turned_away, since, last, blocked_until) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id) DO UPDATE SET failures = excluded.failures, \
         turned_away = excluded.turned_away, since = excluded.since, last = excluded.last, \
         blocked_until = excluded.blocked_until",
    )
    .bind(key)
    .bind(*count)
    .bind(*turned_away)
    .bind(since.as_microsecond())
    .bind(last.as_microsecond())
    .bind(failures.blocked_until().map(Timestamp::as_microsecond))
    .execute(writer)
    .await?;
    Ok(())
}

fn failures(row: &SqlRow) -> Result<LoginFailures, StoreError> {
    let (failures, turned_away) = (row.get("failures")?, row.get("turned_away")?);
    Ok(LoginFailures {
        failures,
        turned_away,
        since: rows::time(row, "since")?,
        last: rows::time(row, "last")?,
    })
}
