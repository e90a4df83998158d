//! Accounts, as a commit changes them.

use std::collections::BTreeSet;

use super::{CommitError, Writer, refuse_if, writes};
use crate::domain::account::{
    Account, AccountId, AccountSpec, Credential, DeletedAccount, Owner, Revision, Transaction,
    TransactionKind,
};
use crate::domain::email::Email;
use crate::domain::organization::Organization;
use crate::plan::{
    AccountChange, AccountPlan, AddressMove, Deleting, FrozenPermissions, MemberPlan, RehashPlan,
};
use crate::store::sql::connection::{Connection, statement, texts};
use crate::store::sql::locks::{self, Lock};
use crate::store::sql::rows;
use crate::store::{
    MEMBER_CHANGES, NewAccount, Receipt, Refusal, changed_by_member, check_may_begin,
    check_preconditions, keeps_twice, lowest_free_copy, next, transaction_of,
};

/// Who is in the way of a new account.
struct InTheWay {
    owner: bool,
    email: bool,
    login_name: bool,
    id: bool,
}

impl Writer<'_> {
    pub(super) async fn change_account(
        &mut self,
        plan: &AccountPlan,
    ) -> Result<Receipt, CommitError> {
        let AccountPlan { organization: Organization { namespace, .. }, owner, change, .. } = plan;
        if let Some(id) = transaction_of(change)
            && let Some(entry) = self.entry(id).await?
        {
            return self.repeated(entry, owner).await;
        }
        match change {
            AccountChange::Create { id, transaction, login_name, content, password } => {
                let content = self.numbered(namespace, content).await?;
                let (transaction, password) = (*transaction, password.as_ref());
                let new = NewAccount { id: *id, login_name, content, transaction, password };
                self.create(plan, self.occasion.created(plan, new, self.known.directories())).await
            }
            AccountChange::Update { account, from, transaction, content, password, adopts } => {
                let current = self.at(namespace, *account, *from).await?;
                let transaction =
                    transaction.map(|begins| self.next_transaction(begins, next(*from)));
                check_may_begin(&current, transaction.as_ref())?;
                let mut changed = self.occasion.updated(&current, owner, content, transaction);
                changed.credential =
                    password.clone().map(Credential::of_secret).or(changed.credential);
                self.update(plan, &current, changed, *adopts).await
            }
            AccountChange::Delete { account, from, transaction } => {
                let gone = self.at(namespace, *account, *from).await?;
                let transaction =
                    self.next_transaction((*transaction, TransactionKind::Delete), next(*from));
                self.delete(plan, &gone, transaction).await
            }
            AccountChange::Release { account, from } => {
                let current = self.at(namespace, *account, *from).await?;
                refuse_if(current.owner.uid != owner.uid, Refusal::Stale)?;
                let released = Owner { uid: String::new(), ..current.owner.clone() };
                let released = Account { revision: next(*from), owner: released, ..current };
                writes::overwrite_accounts(self.connection, &[&released]).await?;
                Ok(Receipt::Account(Box::new(released)))
            }
        }
    }

    async fn create(
        &mut self,
        plan: &AccountPlan,
        account: Account,
    ) -> Result<Receipt, CommitError> {
        let AccountPlan {
            organization,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving: _,
        } = plan;
        let Account { namespace, content, .. } = &account;
        self.known.check_claim(organization)?;
        self.check_made_from(plan).await?;
        self.clear_emails(namespace, moves).await?;
        let in_the_way = self.in_the_way(&account, owner).await?;
        refuse_if(in_the_way.owner, Refusal::Stale)?;
        refuse_if(!self.known.has_group(namespace, &content.group), Refusal::GroupNotFound)?;
        self.known.check_domain(namespace, &content.email)?;
        self.check_moved_domains(namespace, moves)?;
        refuse_if(in_the_way.email, Refusal::EmailTaken)?;
        refuse_if(in_the_way.login_name, Refusal::LoginTaken)?;
        refuse_if(in_the_way.id, Refusal::IdTaken)?;

        if self.known.claimed(namespace).is_none() {
            Self::claim(self.connection, organization).await?;
        }
        writes::begin_lifetimes(self.connection, &[&account]).await?;
        self.append_journal(&account.transaction, account.id, None).await?;
        writes::insert_accounts(self.connection, &[&account]).await?;
        self.assign_emails(namespace, moves).await?;
        self.freeze_permissions(keeps).await?;
        Ok(Receipt::Account(Box::new(account)))
    }

    async fn update(
        &mut self,
        plan: &AccountPlan,
        current: &Account,
        next: Account,
        adopts: bool,
    ) -> Result<Receipt, CommitError> {
        let AccountPlan {
            organization: _,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving,
        } = plan;
        let Account { namespace, content, .. } = &next;
        let moves_in = content.email != current.content.email;
        if current.owner.name != owner.name {
            refuse_if(!adopts || self.has_account(namespace, &owner.name).await?, Refusal::Stale)?;
        }
        self.check_made_from(plan).await?;
        if !moves.is_empty() {
            self.clear_address(current.id).await?;
            self.clear_emails(namespace, moves).await?;
        }
        let group_is_there = content.group == current.content.group
            || self.known.has_group(namespace, &content.group);
        refuse_if(!group_is_there, Refusal::GroupNotFound)?;
        if moves_in {
            self.known.check_domain(namespace, &content.email)?;
        }
        self.check_moved_domains(namespace, moves)?;
        if moves_in {
            refuse_if(self.has_address(namespace, &content.email).await?, Refusal::EmailTaken)?;
        }

        if next.transaction.id != current.transaction.id {
            self.append_journal(&next.transaction, next.id, Some(&current.transaction)).await?;
        }
        if content.lifecycle != current.content.lifecycle {
            let state = rows::lifecycle_text(content.lifecycle);
            writes::write_switches(
                self.connection,
                &[(next.id, next.revision, state)],
                self.occasion.now,
            )
            .await?;
        }
        writes::overwrite_accounts(self.connection, &[&next]).await?;
        self.assign_emails(namespace, moves).await?;
        self.freeze_permissions(keeps).await?;
        if self.known.is_administrator(namespace, &current.content)
            && !self.known.is_administrator(namespace, content)
        {
            self.check_control(namespace, leaving).await?;
        }
        Ok(Receipt::Account(Box::new(next)))
    }

    async fn delete(
        &mut self,
        plan: &AccountPlan,
        gone: &Account,
        transaction: Transaction,
    ) -> Result<Receipt, CommitError> {
        let AccountPlan {
            organization: _,
            owner,
            change: _,
            moves,
            freezes: keeps,
            preconditions: _,
            leaving,
        } = plan;
        refuse_if(gone.owner.uid != owner.uid, Refusal::Stale)?;
        self.check_made_from(plan).await?;
        let cases_unassigned = self.unassign_cases(gone.id).await?;
        self.remove(gone.id).await?;
        self.clear_emails(&gone.namespace, moves).await?;
        self.check_moved_domains(&gone.namespace, moves)?;

        self.end_lifetime(gone).await?;
        self.append_journal(&transaction, gone.id, Some(&gone.transaction)).await?;
        self.note_cases(transaction.id, cases_unassigned).await?;
        self.assign_emails(&gone.namespace, moves).await?;
        self.freeze_permissions(keeps).await?;
        refuse_if(self.has_heirs(gone, leaving).await?, Refusal::InUse)?;
        if self.known.is_administrator(&gone.namespace, &gone.content) {
            self.check_control(&gone.namespace, leaving).await?;
        }
        let Account { id, namespace, owner, login_name, confirmed, .. } = gone.clone();
        let departure = DeletedAccount {
            account: id,
            namespace,
            owner,
            login_name,
            cases_unassigned,
            transaction,
            confirmed,
        };
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    /// Everybody that the plan was made from is as it was then, and whoever is to keep something
    /// follows somebody.
    async fn check_made_from(&mut self, plan: &AccountPlan) -> Result<(), CommitError> {
        let ids: BTreeSet<String> =
            check_preconditions(plan).map(|(account, _)| account.to_string()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let query = statement(concat!(
            "SELECT account_id, namespace, revision, source_mode = 'Inherit' AS follows FROM accounts WHERE account_id IN (",
            texts!("$1"),
            ")"
        ));
        let (mut found, mut following) = (BTreeSet::new(), BTreeSet::new());
        for row in query.bind(rows::texts(&ids)).fetch_all(self.connection).await? {
            let (id, namespace): (String, String) = (row.get("account_id")?, row.get("namespace")?);
            if row.get::<Option<bool>>("follows")? == Some(true) {
                following.insert(id.clone());
            }
            if namespace == plan.organization.namespace {
                found.insert((id, Revision(row.get("revision")?)));
            }
        }
        let as_it_was = check_preconditions(plan)
            .all(|(account, at)| found.contains(&(account.to_string(), at)));
        let follow = plan.freezes.iter().all(|keep| following.contains(&keep.account.to_string()));
        refuse_if(!as_it_was || !follow || keeps_twice(plan), Refusal::Stale)?;
        Ok(())
    }

    async fn freeze_permissions(&mut self, keeps: &[FrozenPermissions]) -> Result<(), CommitError> {
        for FrozenPermissions { account, from: _, kept } in keeps {
            statement("UPDATE accounts SET source_permissions = $1, revision = revision + 1 WHERE account_id = $2")
                .bind(kept.as_ref().map(rows::permission_texts))
                .bind(account.to_string())
                .execute(self.connection)
                .await?;
        }
        Ok(())
    }

    /// Whether somebody who stays follows the account: of more heirs than leave, one does, unless
    /// the namespace is going.
    async fn has_heirs(&mut self, gone: &Account, leaving: &Deleting) -> Result<bool, CommitError> {
        let heirs = statement(
            "SELECT owner_name FROM accounts \
             WHERE namespace = $1 AND source_name = $2 AND source_mode = 'Inherit' AND account_id != $3 LIMIT $4",
        );
        let enough = match &leaving.last {
            Some(_) => i64::MAX,
            None => i64::try_from(leaving.deleted.len() + 1).unwrap_or(i64::MAX),
        };
        let heirs = heirs
            .bind(&gone.namespace)
            .bind(&gone.owner.name)
            .bind(gone.id.to_string())
            .bind(enough);
        let heirs: Vec<Option<String>> = heirs.fetch_firsts(self.connection).await?;
        Ok(heirs.iter().any(|heir| leaving.stays(heir.as_deref().unwrap_or_default())))
    }

    /// Gives the placeholder of a copy the lowest number that is free.
    async fn numbered(
        &mut self,
        namespace: &str,
        content: &AccountSpec,
    ) -> Result<AccountSpec, CommitError> {
        if content.email.copy_number().is_none() {
            return Ok(content.clone());
        }
        // Placeholders of one address begin alike up to their number, and a colon comes right after
        // the digits.
        let first = content.email.placeholder(0);
        let alike = first.as_str().trim_end_matches("0)");
        let taken = statement(
            "SELECT email FROM accounts WHERE namespace = $1 AND email > $2 AND email < $3",
        );
        let taken: Vec<String> = taken
            .bind(namespace)
            .bind(alike)
            .bind(format!("{alike}:"))
            .fetch_firsts(self.connection)
            .await?;
        let taken: Vec<Email> = taken.into_iter().map(Email::from_stored).collect();
        Ok(AccountSpec { email: lowest_free_copy(&content.email, taken.iter()), ..content.clone() })
    }

    pub(super) async fn change_member(
        &mut self,
        plan: &MemberPlan,
    ) -> Result<Receipt, CommitError> {
        let MemberPlan { namespace, account, .. } = plan;
        let there = |account: &Account| account.namespace == *namespace;
        let current = self.account(*account).await?.filter(there).ok_or(Refusal::Stale)?;
        let group = self.known.group(namespace, &current.content.group).unwrap_or_default();
        let next = changed_by_member(&current, &group, plan, |begins, revision| {
            self.next_transaction(begins, revision)
        })?;
        if next.content.email != current.content.email {
            self.known.check_domain(namespace, &next.content.email)?;
            refuse_if(
                self.has_address(namespace, &next.content.email).await?,
                Refusal::EmailTaken,
            )?;
        }
        if next.transaction.id != current.transaction.id {
            self.append_journal(&next.transaction, next.id, None).await?;
        }
        if next != current {
            writes::overwrite_accounts(self.connection, &[&next]).await?;
            self.note_member_change(next.id).await?;
        }
        Ok(Receipt::Account(Box::new(next)))
    }

    async fn note_member_change(&mut self, account: AccountId) -> Result<(), CommitError> {
        // Whoever looks at the newest change must not find an older one later.
        locks::lock(self.connection, [Lock::MemberChanges]).await?;
        statement("INSERT INTO member_changes (number, account_id) SELECT COALESCE(MAX(number), 0) + 1, $1 FROM member_changes")
            .bind(account.to_string())
            .execute(self.connection)
            .await?;
        statement("DELETE FROM member_changes WHERE number < (SELECT MAX(number) FROM member_changes) - $1")
            .bind(MEMBER_CHANGES)
            .execute(self.connection)
            .await?;
        Ok(())
    }

    pub(super) async fn rehash(&mut self, plan: &RehashPlan) -> Result<Receipt, CommitError> {
        let RehashPlan { namespace, account, before, after } = plan;
        let rehashed = statement(
            "UPDATE accounts SET password_hash = $1 WHERE account_id = $2 AND namespace = $3 AND password_hash = $4",
        );
        let rehashed = rehashed
            .bind(after.as_str())
            .bind(account.to_string())
            .bind(namespace)
            .bind(before.as_str());
        refuse_if(rehashed.execute(self.connection).await? == 0, Refusal::Stale)?;
        Ok(Receipt::Account(Box::new(self.account(*account).await?.ok_or(Refusal::Stale)?)))
    }

    fn check_moved_domains(&self, namespace: &str, moves: &[AddressMove]) -> Result<(), Refusal> {
        moves.iter().try_for_each(|AddressMove { to, .. }| self.known.check_domain(namespace, to))
    }

    /// Makes the accounts that move leave their addresses, so that any of them can have any of the
    /// addresses afterwards.
    async fn clear_emails(
        &mut self,
        namespace: &str,
        moves: &[AddressMove],
    ) -> Result<(), CommitError> {
        for AddressMove { account, from, to: _ } in moves {
            let vacated = statement(
                "UPDATE accounts SET email = NULL, revision = revision + 1 \
                 WHERE account_id = $1 AND namespace = $2 AND revision = $3 AND email IS NOT NULL",
            )
            .bind(account.to_string())
            .bind(namespace)
            .bind(from.0)
            .execute(self.connection)
            .await?;
            refuse_if(vacated == 0, Refusal::Stale)?;
        }
        Ok(())
    }

    /// Gives the accounts that move their new addresses.
    async fn assign_emails(
        &mut self,
        namespace: &str,
        moves: &[AddressMove],
    ) -> Result<(), CommitError> {
        for AddressMove { account, from: _, to } in moves {
            refuse_if(self.has_address(namespace, to).await?, Refusal::EmailTaken)?;
            statement("UPDATE accounts SET email = $1, email_domain = $2 WHERE account_id = $3")
                .bind(to.as_str())
                .bind(to.domain())
                .bind(account.to_string())
                .execute(self.connection)
                .await?;
        }
        Ok(())
    }

    async fn clear_address(&mut self, account: AccountId) -> Result<(), CommitError> {
        let query = statement("UPDATE accounts SET email = NULL WHERE account_id = $1");
        query.bind(account.to_string()).execute(self.connection).await?;
        Ok(())
    }

    async fn has_address(&mut self, namespace: &str, email: &Email) -> Result<bool, CommitError> {
        let query =
            statement("SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND email = $2)");
        Ok(query.bind(namespace).bind(email.as_str()).fetch_first(self.connection).await?)
    }

    async fn has_account(&mut self, namespace: &str, user: &str) -> Result<bool, CommitError> {
        let query = statement(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND owner_name = $2)",
        );
        Ok(query.bind(namespace).bind(user).fetch_first(self.connection).await?)
    }

    async fn in_the_way(
        &mut self,
        Account { id, namespace, login_name, content, .. }: &Account,
        owner: &Owner,
    ) -> Result<InTheWay, CommitError> {
        let row = statement(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND owner_name = $2) AS by_owner, \
             EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND email = $3) AS by_email, \
             EXISTS (SELECT 1 FROM accounts WHERE login_name = $4) AS by_login, \
             EXISTS (SELECT 1 FROM lifetimes WHERE account_id = $5) AS by_id",
        )
        .bind(namespace)
        .bind(&owner.name)
        .bind(content.email.as_str())
        .bind(login_name.as_str())
        .bind(id.to_string())
        .fetch_one(self.connection)
        .await?;
        let (owner, email) = (row.get("by_owner")?, row.get("by_email")?);
        Ok(InTheWay { owner, email, login_name: row.get("by_login")?, id: row.get("by_id")? })
    }

    pub(super) async fn account(&mut self, id: AccountId) -> Result<Option<Account>, CommitError> {
        let query =
            statement(rows::select_accounts!("WHERE a.account_id = $1")).bind(id.to_string());
        Ok(rows::accounts(query, self.connection).await?.pop())
    }

    async fn at(
        &mut self,
        namespace: &str,
        account: AccountId,
        revision: Revision,
    ) -> Result<Account, CommitError> {
        let there =
            |account: &Account| account.namespace == namespace && account.revision == revision;
        Ok(self.account(account).await?.filter(there).ok_or(Refusal::Stale)?)
    }

    pub(super) async fn claim(
        connection: &mut Connection,
        organization: &Organization,
    ) -> Result<(), CommitError> {
        let Organization { namespace, customer_id } = organization;
        let query = statement("INSERT INTO organizations (namespace, customer_id) VALUES ($1, $2)");
        query.bind(namespace).bind(customer_id.as_str()).execute(connection).await?;
        Ok(())
    }

    async fn unassign_cases(&mut self, owner: AccountId) -> Result<i64, CommitError> {
        // A case that is assigned meanwhile would lose its owner with the account, and nobody would
        // have counted it.
        locks::lock_account(self.connection, owner).await?;
        locks::begin_to_hurry(self.connection).await?;
        let query =
            statement("UPDATE cases SET owner_account_id = NULL WHERE owner_account_id = $1");
        let unassigned = query.bind(owner.to_string()).execute(self.connection).await?;
        locks::end_to_hurry(self.connection).await?;
        Ok(i64::try_from(unassigned).unwrap_or(i64::MAX))
    }

    async fn remove(&mut self, account: AccountId) -> Result<(), CommitError> {
        let query = statement("DELETE FROM accounts WHERE account_id = $1");
        query.bind(account.to_string()).execute(self.connection).await?;
        Ok(())
    }
}
