//! Lifetimes, which bills are made of: nothing deletes or backdates them.

use super::{CommitError, Writer};
use crate::domain::account::{Account, Owner};
use crate::store::sql::connection::statement;

impl Writer<'_> {
    /// Ends a lifetime now, but never before it began: the clock may have stepped back.
    pub(super) async fn end_lifetime(&mut self, account: &Account) -> Result<(), CommitError> {
        let Owner { name, uid, generation } = &account.owner;
        statement(
            "UPDATE lifetimes SET deleted_at = $1, owner_name = $2, owner_uid = $3, owner_generation = $4 WHERE account_id = $5",
        )
        .bind(self.occasion.now.max(account.created).as_microsecond())
        .bind(name)
        .bind(uid)
        .bind(*generation)
        .bind(account.id.to_string())
        .execute(self.connection)
        .await?;
        Ok(())
    }
}
