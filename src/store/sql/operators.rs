//! Who works on the store: claims, and the check that one still stands.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::connection::{Connection, Purpose, SqlRow, statement};
use super::locks;
use super::schema::KNOWN;
use super::{commit, postgres, rows};
use crate::store::StoreError;
use crate::store::claims::{
    self, Claim, ClaimError, ClaimGrant, CommitPosition, Operator, Operators,
};

/// A claim that was made: what must stand in the store for its commits to be taken. The token tells
/// it from one of the same epoch that was made after the store was put back to an earlier time.
#[derive(Clone, Debug)]
pub(super) struct HeldClaim {
    /// None stands for all.
    namespaces: BTreeSet<String>,
    epoch: i64,
    token: String,
    progress: watch::Sender<CommitPosition>,
}

impl HeldClaim {
    /// Tells the holder's progress to whoever listens there, now and from now on.
    pub(super) fn tell(&mut self, progress: watch::Sender<CommitPosition>) {
        progress.send_replace(*self.progress.borrow());
        self.progress = progress;
    }
}

/// Claims namespaces: from then on no commit of an operator that had some of them is taken.
pub(super) async fn claim(
    connection: &mut Connection,
    claim: &Claim,
    now: Timestamp,
) -> Result<(HeldClaim, ClaimGrant), ClaimError> {
    be_alone_at_once(connection).await?;
    let before = newest_epoch(connection).await?;
    let newest = before.as_ref().map_or(0, |(_, epoch)| *epoch);
    let absurd_epoch = Some(newest).filter(|newest| claims::is_absurd(*newest));
    let known_was_ignored =
        !claim.known.is_plausible(if absurd_epoch.is_some() { 0 } else { newest });
    let known = if known_was_ignored { CommitPosition::default() } else { claim.known };
    let predecessor = progress(connection, &claim.namespaces).await?;
    // Whoever gave up its claim has none that could be older.
    let was_put_back =
        newest < known.epoch || predecessor.is_some_and(|predecessor| predecessor < known);
    let epoch = claims::next_epoch(newest, &standing_epochs(connection).await?, known);
    let former_cluster =
        before.map(|(cluster, _)| cluster).filter(|cluster| *cluster != claim.cluster);
    if let Some(found) = former_cluster.clone().filter(|_| !claim.accept_cluster) {
        return Err(ClaimError::OtherCluster { found, asked: claim.cluster.clone() });
    }
    make_room(connection, claim, former_cluster.is_some()).await?;
    let in_use = rows::directories(connection).await?;
    let new_directories = claim.directories.as_ref().filter(|directories| **directories != in_use);
    if let Some(directories) = new_directories {
        check_may_change_directories(connection, claim, (&in_use, directories)).await?;
    }
    let holding = HeldClaim {
        namespaces: claim.namespaces.clone(),
        epoch,
        token: Uuid::new_v4().to_string(),
        progress: watch::Sender::new(CommitPosition { epoch, commits: 0 }),
    };
    // Where the cluster was lost, nobody knows whether the store is of the same time.
    if was_put_back || former_cluster.is_some() {
        for text in INVALIDATE_ACKS {
            statement(text).execute(connection).await.map_err(StoreError::from)?;
        }
    }
    if let Some(directories) = new_directories {
        commit::change_directories(connection, directories, now).await?;
    }
    insert_operator(connection, claim, &holding, now).await?;
    Ok((
        holding,
        ClaimGrant {
            epoch,
            rolled_back: was_put_back,
            former_cluster,
            known_was_ignored,
            absurd_epoch,
        },
    ))
}

async fn insert_operator(
    connection: &mut Connection,
    claim: &Claim,
    holding: &HeldClaim,
    now: Timestamp,
) -> Result<(), StoreError> {
    let HeldClaim { namespaces, epoch, token, progress: _ } = holding;
    statement(
        "INSERT INTO leadership (row, cluster, epoch) VALUES (1, $1, $2) \
         ON CONFLICT (row) DO UPDATE SET cluster = excluded.cluster, epoch = excluded.epoch",
    )
    .bind(&claim.cluster)
    .bind(*epoch)
    .execute(connection)
    .await?;
    statement("INSERT INTO operators (namespaces, epoch, token, holder, claimed_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(rows::json(namespaces))
        .bind(*epoch)
        .bind(token)
        .bind(&claim.holder)
        .bind(now.as_microsecond())
        .execute(connection)
        .await?;
    Ok(connection.commit().await?)
}

/// Has every directory brought every account again, after a store was put back to an earlier time:
/// what they have is newer than the store knows, and they take nothing older than that. So its
/// revisions are put forward, past any that were made since.
pub(super) const INVALIDATE_ACKS: [&str; 2] = [
    "UPDATE accounts SET revision = revision + 1000000 WHERE EXISTS (SELECT 1 FROM directories)",
    "UPDATE confirmations SET revision = 0, fingerprint = NULL",
];

/// Begins a transaction beside which nobody commits. Whoever is in the middle of a commit and
/// doesn't get on is cut off: an operator that was stopped there would keep its successor waiting.
async fn be_alone_at_once(connection: &mut Connection) -> Result<(), StoreError> {
    connection.begin(Purpose::Write).await?;
    locks::set_lock_timeout(connection).await?;
    match locks::lock_exclusively(connection).await {
        Err(error) if postgres::is_locked_out(&error) => {
            connection.roll_back().await?;
            locks::terminate_stalled_commits(connection).await?;
            begin_alone(connection).await
        }
        locked => Ok(locked?),
    }
}

/// Begins a transaction beside which nobody commits.
pub(super) async fn begin_alone(connection: &mut Connection) -> Result<(), StoreError> {
    connection.begin(Purpose::Write).await?;
    Ok(locks::lock_exclusively(connection).await?)
}

/// Returns the cluster that the store belongs to, and the newest epoch.
async fn newest_epoch(connection: &mut Connection) -> Result<Option<(String, i64)>, StoreError> {
    let Some(row) =
        statement("SELECT cluster, epoch FROM leadership").fetch_optional(connection).await?
    else {
        return Ok(None);
    };
    Ok(Some((row.get("cluster")?, row.get("epoch")?)))
}

/// Returns how far the operator of these namespaces came, unless it gave up its claim or there was
/// none.
async fn progress(
    connection: &mut Connection,
    namespaces: &BTreeSet<String>,
) -> Result<Option<CommitPosition>, StoreError> {
    let found = statement("SELECT epoch, commits FROM operators WHERE namespaces = $1")
        .bind(rows::json(namespaces));
    let Some(row) = found.fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(CommitPosition { epoch: row.get("epoch")?, commits: row.get("commits")? }))
}

/// Ends the claims that this one takes the place of: that of the same namespaces, those that it
/// supersedes, and all of another cluster.
async fn make_room(
    connection: &mut Connection,
    claim: &Claim,
    is_from_elsewhere: bool,
) -> Result<(), ClaimError> {
    for Operator { namespaces, holder } in working(connection).await? {
        let is_predecessor = is_from_elsewhere || namespaces == claim.namespaces;
        if !is_predecessor && !claim.overlaps(&namespaces) {
            continue;
        }
        if !is_predecessor && !claim.supersede {
            return Err(ClaimError::Overlapping { holder, namespaces: for_people(&namespaces) });
        }
        let end =
            statement("DELETE FROM operators WHERE namespaces = $1").bind(rows::json(&namespaces));
        end.execute(connection).await.map_err(StoreError::from)?;
    }
    Ok(())
}

/// Refuses a claim with other directories than those in use while other operators work on the
/// store: their transactions would wait for directories that they don't bring up to date, or
/// complete without one that they do. One that supersedes ends the claims of all of them instead.
async fn check_may_change_directories(
    connection: &mut Connection,
    claim: &Claim,
    (in_use, asked): (&BTreeSet<String>, &BTreeSet<String>),
) -> Result<(), ClaimError> {
    let others = working(connection).await?;
    if others.is_empty() {
        return Ok(());
    }
    if claim.supersede {
        statement("DELETE FROM operators").execute(connection).await.map_err(StoreError::from)?;
        return Ok(());
    }
    let holders = others
        .iter()
        .map(|other| format!("the operator {} of {}", other.holder, for_people(&other.namespaces)));
    let holders = holders.collect::<Vec<_>>().join(", ");
    Err(ClaimError::OtherDirectories { holders, differences: claims::differences(in_use, asked) })
}

/// Returns the operators whose claims stand, oldest first.
async fn working(connection: &mut Connection) -> Result<Vec<Operator>, StoreError> {
    let rows = statement("SELECT namespaces, holder FROM operators ORDER BY epoch")
        .fetch_all(connection)
        .await?;
    let operator = |row: &SqlRow| {
        Ok(Operator {
            namespaces: rows::parsed(row.get("namespaces")?, "namespaces")?,
            holder: row.get("holder")?,
        })
    };
    rows.iter().map(operator).collect()
}

/// Returns who works on the store.
pub(super) async fn operators(connection: &mut Connection) -> Result<Operators, StoreError> {
    let newest = newest_epoch(connection).await?.map_or(0, |(_, epoch)| epoch);
    Ok(Operators { newest, working: working(connection).await?, is_shared: connection.is_shared() })
}

async fn standing_epochs(connection: &mut Connection) -> Result<Vec<i64>, StoreError> {
    Ok(statement("SELECT epoch FROM operators").fetch_firsts(connection).await?)
}

fn for_people(namespaces: &BTreeSet<String>) -> String {
    let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    match names[..] {
        [] => "all namespaces".to_owned(),
        [name] => format!("the namespace {name}"),
        _ => format!("the namespaces {}", names.join(", ")),
    }
}

/// Gives a claim up.
pub(super) async fn resign(
    connection: &mut Connection,
    holding: &HeldClaim,
) -> Result<(), StoreError> {
    let end = statement("DELETE FROM operators WHERE epoch = $1 AND token = $2")
        .bind(holding.epoch)
        .bind(&holding.token);
    end.execute(connection).await?;
    Ok(())
}

/// A commit that was counted, and is made when the transaction that it was counted in is.
#[must_use]
pub(super) struct Counted<'a> {
    holding: Option<&'a HeldClaim>,
    commits: i64,
}

impl Counted<'_> {
    /// Takes in that the transaction was committed.
    pub(super) fn made(self) {
        let Some(holding) = self.holding else { return };
        holding.progress.send_if_modified(|progress| {
            let is_newer = progress.commits < self.commits;
            progress.commits = progress.commits.max(self.commits);
            is_newer
        });
    }
}

/// Counts what an operator is about to write. Refuses it when its claim doesn't stand any more, a
/// newer roster has brought the schema up for an operator of other namespaces, or the store knows
/// of fewer commits than were made: it was put back to an earlier time at which the claim stood
/// already.
pub(super) async fn count<'a>(
    connection: &mut Connection,
    holding: Option<&'a HeldClaim>,
) -> Result<Counted<'a>, StoreError> {
    let Some(HeldClaim { namespaces, epoch, token, progress }) = holding else {
        return Ok(Counted { holding, commits: 0 });
    };
    let made = progress.borrow().commits;
    let counted = statement(
        "UPDATE operators SET commits = commits + 1 WHERE namespaces = $1 AND epoch = $2 AND token = $3 AND commits >= $4 \
         AND (SELECT MAX(version) FROM _sqlx_migrations) <= $5 RETURNING commits",
    );
    let counted =
        counted.bind(rows::json(namespaces)).bind(*epoch).bind(token).bind(made).bind(KNOWN);
    match counted.fetch_optional(connection).await? {
        Some(row) => Ok(Counted { holding, commits: row.get("commits")? }),
        None => Err(StoreError::Superseded { epoch: *epoch }),
    }
}

/// Refuses an operator as [`count`] does, without counting anything.
pub(super) async fn check_stands(
    connection: &mut Connection,
    holding: Option<&HeldClaim>,
) -> Result<(), StoreError> {
    let Some(HeldClaim { namespaces, epoch, token, progress }) = holding else { return Ok(()) };
    let made = progress.borrow().commits;
    let stands = statement(
        "SELECT COUNT(*) FROM operators WHERE namespaces = $1 AND epoch = $2 AND token = $3 AND commits >= $4 \
         AND (SELECT MAX(version) FROM _sqlx_migrations) <= $5",
    );
    let stands =
        stands.bind(rows::json(namespaces)).bind(*epoch).bind(token).bind(made).bind(KNOWN);
    match stands.fetch_first::<i64>(connection).await? {
        0 => Err(StoreError::Superseded { epoch: *epoch }),
        _ => Ok(()),
    }
}

/// Refuses what an operator is about to write in a namespace that it hasn't claimed: another may
/// work there.
pub(super) fn check_claimed(
    holding: Option<&HeldClaim>,
    namespaces: &BTreeSet<&str>,
) -> Result<(), StoreError> {
    let claimed = holding.map(|holding| &holding.namespaces).filter(|claimed| !claimed.is_empty());
    let Some(claimed) = claimed else { return Ok(()) };
    match namespaces.iter().find(|namespace| !claimed.contains(**namespace)) {
        Some(namespace) => Err(StoreError::Unclaimed { namespace: (*namespace).to_owned() }),
        None => Ok(()),
    }
}
