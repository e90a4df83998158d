//! The journal: transactions begin, are superseded, and complete once directories have confirmed
//! them.

use std::collections::BTreeSet;

use super::{CommitError, Writer, refuse_if, writes};
use crate::domain::account::{
    AccountId, Confirmations, DeletedAccount, Owner, Revision, Transaction, TransactionId,
    TransactionKind,
};
use crate::plan::ConfirmPlan;
use crate::store::sql::connection::{Connection, statement, texts};
use crate::store::sql::operators::{self, HeldClaim};
use crate::store::sql::rows;
use crate::store::{Receipt, Refusal, StoreError};
use jiff::Timestamp;

/// Opens again the Deletes of those who went while a directory was out of use that knows them
/// still. It is about directories that are put back, and so asked for only then.
const REOPEN: &str = concat!(
    "UPDATE transactions SET completed_at = NULL WHERE type = 'Delete' AND superseded_at IS NULL AND account_id IN \
     (SELECT c.account_id FROM confirmations AS c WHERE c.revision < transactions.revision AND c.directory IN (",
    texts!("$1"),
    "))"
);

/// Makes these the directories that transactions wait for, and completes those that waited only for
/// others.
pub(in crate::store::sql) async fn set_directories(
    connection: &mut Connection,
    holding: Option<&HeldClaim>,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    operators::begin_alone(connection).await?;
    let counted = operators::count(connection, holding).await?;
    change_directories(connection, directories, now).await?;
    connection.commit().await?;
    counted.made();
    Ok(())
}

/// Does that in a transaction beside which nobody commits.
pub(in crate::store::sql) async fn change_directories(
    connection: &mut Connection,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let names = rows::texts(directories);
    let back =
        concat!("SELECT name FROM directories WHERE NOT in_use AND name IN (", texts!("$1"), ")");
    let back: Vec<String> = statement(back).bind(&names).fetch_firsts(connection).await?;
    let statements = [
        concat!("UPDATE directories SET in_use = FALSE WHERE name NOT IN (", texts!("$1"), ")"),
        // Without the WHERE, SQLite takes the ON for that of a join.
        concat!(
            "INSERT INTO directories (name) ",
            texts!("$1"),
            " WHERE TRUE ON CONFLICT (name) DO UPDATE SET in_use = TRUE"
        ),
    ];
    for text in statements {
        statement(text).bind(&names).execute(connection).await?;
    }
    if !back.is_empty() {
        statement(REOPEN).bind(rows::texts(&back)).execute(connection).await?;
    }
    statement(
        "UPDATE transactions SET completed_at = $1 WHERE completed_at IS NULL AND superseded_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM directories AS d WHERE d.in_use AND NOT EXISTS (SELECT 1 FROM confirmations AS c \
          WHERE c.account_id = transactions.account_id AND c.directory = d.name AND c.revision >= transactions.revision))",
    )
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// A transaction that is in the journal.
pub(super) struct JournalEntry {
    account: AccountId,
    kind: TransactionKind,
}

impl Writer<'_> {
    pub(super) fn next_transaction(
        &self,
        begins: (TransactionId, TransactionKind),
        revision: Revision,
    ) -> Transaction {
        self.occasion.next_transaction(begins, revision, self.known.directories())
    }

    /// Answers a transaction that is in the journal as it was answered first.
    ///
    /// An account that was created for the owner and is another's by now is no answer.
    pub(super) async fn repeated(
        &mut self,
        entry: JournalEntry,
        owner: &Owner,
    ) -> Result<Receipt, CommitError> {
        let JournalEntry { account, kind } = entry;
        match kind {
            TransactionKind::Delete => Ok(Receipt::Deleted(Box::new(
                self.departure(account).await?.ok_or(Refusal::Stale)?,
            ))),
            TransactionKind::Create
            | TransactionKind::PasswordChange
            | TransactionKind::Disable
            | TransactionKind::Enable => {
                let account = self.account(account).await?.ok_or(Refusal::Stale)?;
                refuse_if(
                    kind == TransactionKind::Create && account.owner.uid != owner.uid,
                    Refusal::Stale,
                )?;
                Ok(Receipt::Account(Box::new(account)))
            }
        }
    }

    pub(super) async fn confirm(&mut self, plan: &ConfirmPlan) -> Result<Receipt, CommitError> {
        let ConfirmPlan { namespace, account: id, confirmed } = plan;
        if let Some(before) =
            self.account(*id).await?.filter(|account| account.namespace == *namespace)
        {
            let mut account = before.clone();
            account.transaction.confirm(
                &mut account.confirmed,
                confirmed,
                self.known.directories(),
                self.occasion.now,
            );
            self.note_confirmed(*id, &before.confirmed, &account.confirmed).await?;
            self.note_completion(&before.transaction, &account.transaction).await?;
            return Ok(Receipt::Account(Box::new(account)));
        }
        let there = |departure: &DeletedAccount| departure.namespace == *namespace;
        let before = self.departure(*id).await?.filter(there).ok_or(Refusal::Stale)?;
        let mut departure = before.clone();
        departure.transaction.confirm(
            &mut departure.confirmed,
            confirmed,
            self.known.directories(),
            self.occasion.now,
        );
        self.note_confirmed(*id, &before.confirmed, &departure.confirmed).await?;
        self.note_completion(&before.transaction, &departure.transaction).await?;
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    /// Writes down what is newer than before, so that a repeated confirmation writes nothing.
    async fn note_confirmed(
        &mut self,
        account: AccountId,
        before: &Confirmations,
        confirmed: &Confirmations,
    ) -> Result<(), CommitError> {
        let news = confirmed
            .iter()
            .filter(|&(directory, confirmation)| before.get(directory) != Some(confirmation));
        let news =
            news.map(|(directory, confirmation)| (account, directory.as_str(), confirmation));
        writes::confirm(self.connection, &news.collect::<Vec<_>>()).await
    }

    async fn note_completion(
        &mut self,
        before: &Transaction,
        transaction: &Transaction,
    ) -> Result<(), CommitError> {
        if transaction.completed != before.completed {
            writes::complete(self.connection, &[transaction]).await?;
        }
        Ok(())
    }

    async fn departure(
        &mut self,
        account: AccountId,
    ) -> Result<Option<DeletedAccount>, CommitError> {
        let query = statement(rows::select_departures!("WHERE l.account_id = $1"))
            .bind(account.to_string());
        Ok(rows::deleted_accounts(query, self.connection).await?.pop())
    }

    pub(super) async fn note_cases(
        &mut self,
        id: TransactionId,
        unassigned: i64,
    ) -> Result<(), CommitError> {
        let query =
            statement("UPDATE transactions SET cases_unassigned = $1 WHERE transaction_id = $2");
        query.bind(unassigned).bind(id.0.to_string()).execute(self.connection).await?;
        Ok(())
    }

    pub(super) async fn entry(
        &mut self,
        id: TransactionId,
    ) -> Result<Option<JournalEntry>, CommitError> {
        let query =
            statement("SELECT account_id, type FROM transactions WHERE transaction_id = $1")
                .bind(id.0.to_string());
        let Some(row) = query.fetch_optional(self.connection).await? else { return Ok(None) };
        Ok(Some(JournalEntry {
            account: AccountId(rows::uuid(&row, "account_id")?),
            kind: rows::kind(&row)?,
        }))
    }

    /// Writes a transaction into the journal, over the last one where that is in flight.
    pub(super) async fn append_journal(
        &mut self,
        transaction: &Transaction,
        account: AccountId,
        last: Option<&Transaction>,
    ) -> Result<(), CommitError> {
        if let Some(last) = last.filter(|last| last.in_flight()) {
            writes::supersede(self.connection, &[last.id], self.occasion.now).await?;
        }
        writes::write_journal(self.connection, &[(account, transaction)]).await
    }
}
