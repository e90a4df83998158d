//! Cases, which applications write: an account that is deleted leaves them without an owner.

use super::CommitError;
use crate::domain::account::AccountId;
use crate::store::Refusal;
use crate::store::sql::connection::{Connection, statement};
use crate::store::sql::locks::{self, Patience};

/// Unassigns the cases of an account, and returns how many had it as their owner. Where an
/// application keeps them locked, nothing else of the commit is lost.
pub(super) async fn unassign(
    connection: &mut Connection,
    patience: &mut Patience,
    owner: AccountId,
) -> Result<i64, CommitError> {
    if !patience.has_cases(connection).await? {
        return Err(Refusal::Locked.into());
    }
    patience.go_on(connection).await?;
    connection.savepoint().await?;
    let unassigned = unassign_all(connection, owner).await;
    match &unassigned {
        Ok(_) => connection.release_savepoint().await?,
        Err(CommitError::Refused(_)) => connection.rollback_to_savepoint().await?,
        Err(CommitError::Failed(_)) => {}
    }
    unassigned
}

async fn unassign_all(connection: &mut Connection, owner: AccountId) -> Result<i64, CommitError> {
    // A case that is assigned meanwhile would lose its owner with the account, and nobody would
    // have counted it.
    locks::lock_account(connection, owner).await?;
    locks::begin_to_hurry(connection).await?;
    let query = statement("UPDATE cases SET owner_account_id = NULL WHERE owner_account_id = $1");
    let unassigned = query.bind(owner.to_string()).execute(connection).await?;
    locks::end_to_hurry(connection).await?;
    Ok(i64::try_from(unassigned).unwrap_or(i64::MAX))
}
