//! Lifetimes, which bills are made of: nothing deletes or backdates them.

use super::{Halt, Writer};
use crate::domain::account::{Account, Owner};
use crate::store::sql::rows;

impl Writer<'_> {
    pub(super) async fn begin_lifetime(&mut self, account: &Account) -> Result<(), Halt> {
        sqlx::query(
            "INSERT INTO lifetimes (account_id, namespace, login_name, created_at, state_at_creation) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(account.id.to_string())
        .bind(&account.namespace)
        .bind(account.login_name.as_str())
        .bind(account.created.as_microsecond())
        .bind(rows::lifecycle_text(account.content.lifecycle))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Writes down since when the account is in the state that it gets now.
    pub(super) async fn write_switch(&mut self, account: &Account) -> Result<(), Halt> {
        sqlx::query("INSERT INTO switches (account_id, revision, switched_at, state) VALUES ($1, $2, $3, $4)")
            .bind(account.id.to_string())
            .bind(account.revision.0)
            .bind(self.occasion.now.as_microsecond())
            .bind(rows::lifecycle_text(account.content.lifecycle))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Ends a lifetime now, but never before it began: the clock may have stepped back.
    pub(super) async fn end_lifetime(&mut self, account: &Account) -> Result<(), Halt> {
        let Owner { name, uid, generation } = &account.owner;
        sqlx::query(
            "UPDATE lifetimes SET deleted_at = $1, owner_name = $2, owner_uid = $3, owner_generation = $4 WHERE account_id = $5",
        )
        .bind(self.occasion.now.max(account.created).as_microsecond())
        .bind(name)
        .bind(uid)
        .bind(generation)
        .bind(account.id.to_string())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
