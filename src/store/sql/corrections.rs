//! What a wrong clock did to bills is corrected, when somebody asks for it: months that were closed
//! before they were over, and instants in the future.

use jiff::{SignedDuration, Timestamp};

use super::connection::{Connection, statement};
use super::{SqlStore, billing_periods, operators};
use crate::domain::billing::{Month, Period, ReopenError};
use crate::store::StoreError;

/// What a correction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The months that are open again, as they were closed.
    pub months: Vec<Period>,
    /// How many instants in the future became the time of the correction, by where they stood.
    pub instants: Vec<(&'static str, i64)>,
}

impl Correction {
    /// Whether there is nothing to correct.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.months.is_empty() && self.instants.is_empty()
    }
}

/// Why nothing was corrected.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    /// It isn't to be.
    #[error(transparent)]
    Refused(#[from] ReopenError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The statements about the instants of one column: one that counts those after `$1`, one that
/// writes down what they were, and one that makes them `$1`.
struct Column {
    name: &'static str,
    count: &'static str,
    note: &'static str,
    correct: &'static str,
}

macro_rules! column {
    ($table:literal, $column:literal, $subject:literal) => {
        Column {
            name: concat!($table, ".", $column),
            count: concat!("SELECT COUNT(*) FROM ", $table, " WHERE ", $column, " > $1"),
            note: concat!(
                "INSERT INTO billing_corrections (corrected_at, what, subject, was) SELECT $1, '",
                $table,
                ".",
                $column,
                "', ",
                $subject,
                ", ",
                $column,
                " FROM ",
                $table,
                " WHERE ",
                $column,
                " > $1"
            ),
            correct: concat!("UPDATE ", $table, " SET ", $column, " = $1 WHERE ", $column, " > $1"),
        }
    };
}

/// Where commits write down when they were. A life begins before it ends.
const COLUMNS: [Column; 8] = [
    column!("lifetimes", "created_at", "account_id"),
    column!("lifetimes", "deleted_at", "account_id"),
    column!("switches", "switched_at", "account_id"),
    column!("accounts", "created_at", "account_id"),
    column!("accounts", "cloned_at", "account_id"),
    column!("transactions", "started_at", "transaction_id"),
    column!("transactions", "completed_at", "transaction_id"),
    column!("transactions", "superseded_at", "transaction_id"),
];

/// A transaction that began in the future has its time from now on.
const DEADLINES: &str =
    "UPDATE transactions SET deadline_at = $1 + deadline_at - started_at WHERE started_at > $1";

impl SqlStore {
    /// Returns how many lives begin or end after this time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lives_after(&self, time: Timestamp) -> Result<i64, StoreError> {
        let mut reader = self.database.reader().await?;
        let count =
            statement("SELECT COUNT(*) FROM lifetimes WHERE created_at > $1 OR deleted_at > $1");
        Ok(count.bind(time.as_microsecond()).fetch_first(&mut reader).await?)
    }

    /// Returns what [`SqlStore::correct`] would do, and does nothing.
    ///
    /// # Errors
    /// As [`SqlStore::correct`].
    pub async fn correction(
        &self,
        after: Month,
        now: Timestamp,
    ) -> Result<Correction, CorrectionError> {
        let mut view = self.look().await?;
        let correction = correction(&mut view, after, now).await?;
        view.commit().await.map_err(StoreError::from)?;
        Ok(correction)
    }

    /// Opens the months after `after` again, and has instants in the future be now; writes down
    /// what it changed.
    ///
    /// # Errors
    /// When a month after it is over, or one that isn't would stay closed; and when the database
    /// fails.
    pub async fn correct(
        &self,
        after: Month,
        now: Timestamp,
    ) -> Result<Correction, CorrectionError> {
        let mut writer = self.database.writer().await?;
        operators::begin_alone(&mut writer).await?;
        let correction = correction(&mut writer, after, now).await?;
        carry_out(&mut writer, &correction, now).await?;
        Ok(correction)
    }
}

async fn correction(
    connection: &mut Connection,
    after: Month,
    now: Timestamp,
) -> Result<Correction, CorrectionError> {
    let months = billing_periods::calendar(connection).await?.reopened(after, now)?;
    let mut instants = vec![];
    for column in COLUMNS {
        let count = statement(column.count).bind(now.as_microsecond());
        let count = count.fetch_first(connection).await.map_err(StoreError::from)?;
        instants.extend((count > 0).then_some((column.name, count)));
    }
    Ok(Correction { months, instants })
}

async fn carry_out(
    connection: &mut Connection,
    correction: &Correction,
    now: Timestamp,
) -> Result<(), StoreError> {
    for Period { month, end, .. } in &correction.months {
        statement("INSERT INTO billing_corrections (corrected_at, what, subject, was) VALUES ($1, 'MonthReopened', $2, $3)")
            .bind(now.as_microsecond())
            .bind(month.to_string())
            .bind(end.as_microsecond())
            .execute(connection)
            .await?;
        statement("DELETE FROM closed_months WHERE month = $1")
            .bind(month.to_string())
            .execute(connection)
            .await?;
    }
    // Nothing happens in a month that stays closed, nor at its end.
    let end = billing_periods::closed_until(connection).await?;
    let earliest = end.and_then(|end| end.checked_add(SignedDuration::from_micros(1)).ok());
    let now = earliest.map_or(now, |earliest| now.max(earliest)).as_microsecond();
    for column in COLUMNS {
        statement(column.note).bind(now).execute(connection).await?;
    }
    statement(DEADLINES).bind(now).execute(connection).await?;
    for column in COLUMNS {
        statement(column.correct).bind(now).execute(connection).await?;
    }
    Ok(connection.commit().await?)
}
