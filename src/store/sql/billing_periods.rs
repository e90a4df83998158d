//! Months: which are closed, and who lived in them.

use std::ops::ControlFlow;

use futures::TryStreamExt;
use jiff::Timestamp;

use super::connection::{Connection, SqlRow, statement};
use super::operators::{self, HeldClaim};
use super::rows;
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period, UtcOffset};
use crate::domain::organization::LoginName;
use crate::store::StoreError;

/// Selects who lived in an organization (`$1`) at an instant from `$2` on and before `$3`, and in
/// which state at the end. Those who live still and those who died are looked up apart, each along
/// an index.
const LIVES: &str = "\
    SELECT l.login_name, l.created_at, l.deleted_at, COALESCE((\
        SELECT s.state FROM switches AS s WHERE s.account_id = l.account_id AND s.switched_at < $3 \
        ORDER BY s.revision DESC LIMIT 1\
    ), l.state_at_creation) AS state \
    FROM (\
        SELECT account_id, login_name, created_at, deleted_at, state_at_creation FROM lifetimes \
        WHERE namespace = $1 AND deleted_at IS NULL AND created_at < $3 \
        UNION ALL \
        SELECT account_id, login_name, created_at, deleted_at, state_at_creation FROM lifetimes \
        WHERE namespace = $1 AND deleted_at >= $2 AND created_at < $3 AND (deleted_at > $2 OR created_at >= $2)\
    ) AS l \
    ORDER BY l.login_name, l.created_at, l.account_id";

/// Returns the end of the last closed month.
pub(super) async fn closed_until(
    connection: &mut Connection,
) -> Result<Option<Timestamp>, StoreError> {
    let last = statement("SELECT MAX(ends_at) AS ends_at FROM closed_months");
    rows::optional_time(&last.fetch_one(connection).await?, "ends_at")
}

/// Returns what is written down about months.
pub(super) async fn calendar(connection: &mut Connection) -> Result<Calendar, StoreError> {
    let zone: Vec<String> =
        statement("SELECT time_zone FROM billing").fetch_firsts(connection).await?;
    let closed = statement(
        "SELECT month, time_zone, starts_at, ends_at, utc_offsets FROM closed_months ORDER BY ends_at",
    );
    let closed: Vec<Period> =
        closed.fetch_all(&mut *connection).await?.iter().map(period).collect::<Result<_, _>>()?;
    let first_life = if closed.is_empty() {
        let first = statement("SELECT MIN(created_at) AS created_at FROM lifetimes");
        rows::optional_time(&first.fetch_one(connection).await?, "created_at")?
    } else {
        None
    };
    // A name that isn't known any more is as good as none: the operator writes down its own.
    Ok(Calendar { zone: zone.first().and_then(|zone| zone.parse().ok()), closed, first_life })
}

fn period(row: &SqlRow) -> Result<Period, StoreError> {
    let offsets: Vec<(i64, i32)> = rows::parsed(row.get("utc_offsets")?, "utc_offsets")?;
    let offset = |(since, seconds)| {
        let since = Timestamp::from_microsecond(since).map_err(|_| rows::corrupt("utc_offsets"))?;
        Ok(UtcOffset { since, seconds })
    };
    Ok(Period {
        month: row.get::<&str>("month")?.parse().map_err(|_| rows::corrupt("month"))?,
        time_zone: row.get("time_zone")?,
        start: rows::time(row, "starts_at")?,
        end: rows::time(row, "ends_at")?,
        offsets: offsets.into_iter().map(offset).collect::<Result<_, StoreError>>()?,
    })
}

/// Closes the months that are over, on the connection that writes.
pub(super) async fn close(
    connection: &mut Connection,
    holding: Option<&HeldClaim>,
    zone: &BillingTimeZone,
    now: Timestamp,
) -> Result<Vec<Period>, StoreError> {
    operators::begin_alone(connection).await?;
    let counted = operators::count(connection, holding).await?;
    let calendar = calendar(connection).await?;
    if calendar.zone.as_ref() != Some(zone) {
        let query = statement(
            "INSERT INTO billing (row, time_zone) VALUES (1, $1) \
             ON CONFLICT (row) DO UPDATE SET time_zone = excluded.time_zone",
        );
        query.bind(zone.name().to_owned()).execute(connection).await?;
    }
    let due = calendar.due(zone, now);
    for Period { month, time_zone, start, end, offsets } in &due {
        let offsets: Vec<_> =
            offsets.iter().map(|offset| (offset.since.as_microsecond(), offset.seconds)).collect();
        statement("INSERT INTO closed_months (month, time_zone, starts_at, ends_at, utc_offsets) VALUES ($1, $2, $3, $4, $5)")
            .bind(month.to_string())
            .bind(time_zone)
            .bind(start.as_microsecond())
            .bind(end.as_microsecond())
            .bind(rows::json(&offsets))
            .execute(connection)
            .await?;
    }
    connection.commit().await?;
    counted.made();
    Ok(due)
}

/// Gives out who lived in a month, an organization after the other, so that only one is ever
/// sorted.
pub(super) async fn lifetimes(
    connection: &mut Connection,
    period: &Period,
    namespace: Option<&str>,
    take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
) -> Result<(), StoreError> {
    if let Some(namespace) = namespace {
        return lives_of(connection, period, namespace, take).await.map(|_| ());
    }
    let mut last = None;
    while let Some(namespace) = next_organization(connection, last).await? {
        if lives_of(connection, period, &namespace, take).await?.is_break() {
            break;
        }
        last = Some(namespace);
    }
    Ok(())
}

async fn next_organization(
    connection: &mut Connection,
    after: Option<String>,
) -> Result<Option<String>, StoreError> {
    // A name is never empty.
    let query = statement(
        "SELECT namespace FROM lifetimes WHERE namespace > $1 ORDER BY namespace LIMIT 1",
    );
    Ok(query.bind(after.unwrap_or_default()).fetch_firsts(connection).await?.pop())
}

async fn lives_of(
    connection: &mut Connection,
    period: &Period,
    namespace: &str,
    take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
) -> Result<ControlFlow<()>, StoreError> {
    let query = statement(LIVES)
        .bind(namespace)
        .bind(period.start.as_microsecond())
        .bind(period.end.as_microsecond());
    let mut found = query.fetch(connection);
    while let Some(row) = found.try_next().await? {
        let life = Lifetime {
            organization: namespace.to_owned(),
            login_name: LoginName::from_stored(row.get("login_name")?),
            created: rows::time(&row, "created_at")?,
            deleted: rows::optional_time(&row, "deleted_at")?,
            lifecycle: rows::lifecycle(&row, "state")?,
        };
        if take(life).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
