//! A commit: each plan judged against what is in the store, and written where it stands.
//!
//! Everything happens in one transaction, each plan in a savepoint of it. A plan with several
//! faults is answered with the first in this order: customer ID, revision and owner, the accounts that
//! it was made from, group, domain, address, login name, the addresses of those that move, heirs,
//! control.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};

use super::rows::{self, Known};
use super::sqlite::{self, texts};
use crate::domain::account::{
    Account, AccountId, Content, Credential, Departure, Owner, Revision, Transaction, TransactionId, TransactionKind,
};
use crate::domain::email::Email;
use crate::domain::group::GroupContent;
use crate::domain::organization::{LoginName, Organization};
use crate::plan::{
    AccountChange, AccountPlan, AddressMove, ConfirmPlan, Control, DomainPlan, GroupPlan, Keep, Leaving, Listing, MemberPlan,
    Plan, RehashPlan, needs,
};
use crate::store::{
    NewAccount, Occasion, Receipt, Refusal, StoreError, changed_by_member, check_may_begin, keeps_twice, lowest_free_copy,
    made_from, next, transaction_of,
};

/// Whether an account's `User` isn't among those that are being deleted, whose names a parameter lists.
macro_rules! stays {
    ($leaving:literal) => {
        concat!("(owner_name IS NULL OR owner_name NOT IN (", texts!($leaving), "))")
    };
}

/// Commits the plans on the connection that writes.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    plans: &[Plan],
    occasion: Occasion,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    let mut transaction = connection.begin_with(sqlite::BEGIN).await?;
    let namespaces = plans.iter().map(namespace_of);
    let customer_ids = plans.iter().filter_map(organization_of).map(|organization| organization.customer_id.as_str());
    let known = Known::load(&mut transaction, namespaces, customer_ids).await?;
    let mut known = known.with_directories(&mut transaction).await?;
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        let mut savepoint = Connection::begin(&mut *transaction).await?;
        let answer = match (Writer { connection: &mut savepoint, known: &known, occasion }).apply(plan).await {
            Ok(receipt) => {
                savepoint.commit().await?;
                learn(&mut known, plan);
                Ok(receipt)
            }
            Err(Halt::Refused(refusal)) => {
                savepoint.rollback().await?;
                Err(refusal)
            }
            Err(Halt::Failed(error)) => return Err(error),
        };
        answers.push(answer);
    }
    transaction.commit().await?;
    Ok(answers)
}

fn namespace_of(plan: &Plan) -> &str {
    match plan {
        Plan::Account(plan) => &plan.organization.namespace,
        Plan::Member(plan) => &plan.namespace,
        Plan::Rehash(plan) => &plan.namespace,
        Plan::Confirm(plan) => &plan.namespace,
        Plan::Group(GroupPlan::Put { namespace, .. } | GroupPlan::Drop { namespace, .. })
        | Plan::Domain(DomainPlan::Put { namespace, .. } | DomainPlan::Drop { namespace, .. }) => namespace,
    }
}

fn organization_of(plan: &Plan) -> Option<&Organization> {
    match plan {
        Plan::Account(plan) => Some(&plan.organization),
        Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => None,
    }
}

/// Keeps what is known up to date with a plan that was written.
fn learn(known: &mut Known, plan: &Plan) {
    match plan {
        Plan::Account(plan) => {
            let Organization { namespace, customer_id } = &plan.organization;
            if matches!(plan.change, AccountChange::Create { .. }) && known.claimed(namespace).is_none() {
                known.claim(namespace.clone(), customer_id.clone());
            }
        }
        Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => {}
        Plan::Group(GroupPlan::Put { namespace, name, content, .. }) => {
            known.put_group(namespace.clone(), name.clone(), content.clone());
        }
        Plan::Group(GroupPlan::Drop { namespace, name, .. }) => known.drop_group(namespace, name),
        Plan::Domain(DomainPlan::Put { namespace, name, listing }) => {
            known.put_listing(namespace.clone(), name.clone(), listing.clone());
        }
        Plan::Domain(DomainPlan::Drop { namespace, name, .. }) => known.drop_listing(namespace, name),
    }
}

/// Makes these the directories that transactions wait for, and completes those that waited only for others.
pub(super) async fn use_directories(
    connection: &mut SqliteConnection,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(sqlite::BEGIN).await?;
    let names = rows::json(directories);
    let statements = [
        concat!("DELETE FROM directories WHERE name NOT IN (", texts!("$1"), ")"),
        concat!("INSERT INTO directories (name) ", texts!("$1"), " WHERE true ON CONFLICT (name) DO NOTHING"),
    ];
    for statement in statements {
        sqlx::query(statement).bind(&names).execute(&mut *transaction).await?;
    }
    sqlx::query(
        "UPDATE transactions SET completed_at = $1 WHERE completed_at IS NULL AND superseded_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM directories AS d WHERE NOT EXISTS (SELECT 1 FROM confirmations AS c \
          WHERE c.account_id = transactions.account_id AND c.directory = d.name AND c.revision >= transactions.revision))",
    )
    .bind(now.as_microsecond())
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// Why a plan went no further.
enum Halt {
    Refused(Refusal),
    Failed(StoreError),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        sqlite::refusal_of(&error).map_or_else(|| Self::Failed(error.into()), Self::Refused)
    }
}

/// Writes one plan.
struct Writer<'a> {
    connection: &'a mut SqliteConnection,
    known: &'a Known,
    occasion: Occasion,
}

/// A transaction that is in the journal.
struct Entry {
    account: AccountId,
    kind: TransactionKind,
}

/// Who is in the way of a new account.
struct InTheWay {
    owner: bool,
    email: bool,
    login_name: bool,
}

impl Writer<'_> {
    async fn apply(&mut self, plan: &Plan) -> Result<Receipt, Halt> {
        match plan {
            Plan::Account(plan) => self.change_account(plan).await,
            Plan::Group(GroupPlan::Put { namespace, name, content, leaving }) => {
                self.put_group([namespace, name], content, leaving).await
            }
            Plan::Group(GroupPlan::Drop { namespace, name, leaving }) => self.drop_group([namespace, name], leaving).await,
            Plan::Domain(DomainPlan::Put { namespace, name, listing }) => self.put_domain([namespace, name], listing).await,
            Plan::Domain(DomainPlan::Drop { namespace, name, leaving }) => self.drop_domain([namespace, name], leaving).await,
            Plan::Member(plan) => self.change_member(plan).await,
            Plan::Rehash(plan) => self.rehash(plan).await,
            Plan::Confirm(plan) => self.confirm(plan).await,
        }
    }

    async fn change_account(&mut self, plan: &AccountPlan) -> Result<Receipt, Halt> {
        let AccountPlan { organization: Organization { namespace, .. }, owner, change, .. } = plan;
        if let Some(id) = transaction_of(change)
            && let Some(entry) = self.entry(id).await?
        {
            return self.repeated(entry).await;
        }
        match change {
            AccountChange::Create { transaction, login_name, content, password } => {
                let content = self.numbered(namespace, content).await?;
                let new = NewAccount { login_name, content, transaction: *transaction, password: password.as_ref() };
                self.create(plan, self.occasion.created(plan, new, self.known.directories())).await
            }
            AccountChange::Update { account, from, transaction, content, password, adopts } => {
                let current = self.at(namespace, *account, *from).await?;
                let transaction = transaction.map(|begins| self.begun(begins, next(*from)));
                check_may_begin(&current, transaction.as_ref())?;
                let mut changed = self.occasion.updated(&current, owner, content, transaction);
                changed.credential = password.clone().map(Credential::of_secret).or(changed.credential);
                self.update(plan, &current, changed, *adopts).await
            }
            AccountChange::Delete { account, from, transaction } => {
                let gone = self.at(namespace, *account, *from).await?;
                let transaction = self.begun((*transaction, TransactionKind::Delete), next(*from));
                self.delete(plan, &gone, transaction).await
            }
            AccountChange::Release { account, from } => {
                let current = self.at(namespace, *account, *from).await?;
                refuse_if(current.owner.uid != owner.uid, Refusal::Stale)?;
                let released = Owner { uid: String::new(), ..current.owner.clone() };
                let released = Account { revision: next(*from), owner: released, ..current };
                self.overwrite(&released).await?;
                Ok(Receipt::Account(Box::new(released)))
            }
        }
    }

    async fn create(&mut self, plan: &AccountPlan, account: Account) -> Result<Receipt, Halt> {
        let AccountPlan { organization, owner, change: _, moves, keeps, seen: _, leaving: _ } = plan;
        let Account { namespace, login_name, content, .. } = &account;
        self.check_claim(organization)?;
        self.check_made_from(plan).await?;
        self.vacate(namespace, moves).await?;
        let in_the_way = self.in_the_way(namespace, owner, login_name, &content.email).await?;
        refuse_if(in_the_way.owner, Refusal::Stale)?;
        refuse_if(!self.known.has_group(namespace, &content.group), Refusal::GroupNotFound)?;
        self.check_domain(namespace, &content.email)?;
        self.check_moved_domains(namespace, moves)?;
        refuse_if(in_the_way.email, Refusal::EmailTaken)?;
        refuse_if(in_the_way.login_name, Refusal::LoginTaken)?;

        self.claim(organization).await?;
        self.begin_lifetime(&account).await?;
        self.write_down(&account.transaction, account.id, None).await?;
        self.insert(&account).await?;
        self.settle(namespace, moves).await?;
        self.keep(keeps).await?;
        Ok(Receipt::Account(Box::new(account)))
    }

    fn begun(&self, begins: (TransactionId, TransactionKind), revision: Revision) -> Transaction {
        self.occasion.begun(begins, revision, self.known.directories())
    }

    async fn update(&mut self, plan: &AccountPlan, current: &Account, next: Account, adopts: bool) -> Result<Receipt, Halt> {
        let AccountPlan { organization: _, owner, change: _, moves, keeps, seen: _, leaving } = plan;
        let Account { namespace, content, .. } = &next;
        let moves_in = content.email != current.content.email;
        refuse_if(current.owner.name != owner.name && !adopts, Refusal::Stale)?;
        self.check_made_from(plan).await?;
        if !moves.is_empty() {
            self.clear_address(current.id).await?;
            self.vacate(namespace, moves).await?;
        }
        let group_is_there = content.group == current.content.group || self.known.has_group(namespace, &content.group);
        refuse_if(!group_is_there, Refusal::GroupNotFound)?;
        if moves_in {
            self.check_domain(namespace, &content.email)?;
        }
        self.check_moved_domains(namespace, moves)?;
        if moves_in {
            refuse_if(self.has_address(namespace, &content.email).await?, Refusal::EmailTaken)?;
        }

        if next.transaction.id != current.transaction.id {
            self.write_down(&next.transaction, next.id, Some(&current.transaction)).await?;
        }
        self.overwrite(&next).await?;
        self.settle(namespace, moves).await?;
        self.keep(keeps).await?;
        if self.known.is_administrator(namespace, &current.content) && !self.known.is_administrator(namespace, content) {
            self.check_control(namespace, leaving).await?;
        }
        Ok(Receipt::Account(Box::new(next)))
    }

    async fn delete(&mut self, plan: &AccountPlan, gone: &Account, transaction: Transaction) -> Result<Receipt, Halt> {
        let AccountPlan { organization: _, owner, change: _, moves, keeps, seen: _, leaving } = plan;
        refuse_if(gone.owner.uid != owner.uid, Refusal::Stale)?;
        self.check_made_from(plan).await?;
        let cases_unassigned = self.unassign_cases(gone.id).await?;
        self.remove(gone.id).await?;
        self.vacate(&gone.namespace, moves).await?;
        self.check_moved_domains(&gone.namespace, moves)?;

        self.end_lifetime(gone).await?;
        self.write_down(&transaction, gone.id, Some(&gone.transaction)).await?;
        self.note_cases(transaction.id, cases_unassigned).await?;
        self.settle(&gone.namespace, moves).await?;
        self.keep(keeps).await?;
        refuse_if(self.has_heirs(gone, leaving).await?, Refusal::InUse)?;
        if self.known.is_administrator(&gone.namespace, &gone.content) {
            self.check_control(&gone.namespace, leaving).await?;
        }
        let Account { id, namespace, owner, login_name, confirmed, .. } = gone.clone();
        let departure = Departure { account: id, namespace, owner, login_name, cases_unassigned, transaction, confirmed };
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    /// Answers a transaction that is in the journal as it was answered first.
    async fn repeated(&mut self, entry: Entry) -> Result<Receipt, Halt> {
        let Entry { account, kind } = entry;
        match kind {
            TransactionKind::Delete => Ok(Receipt::Deleted(Box::new(self.departure(account).await?.ok_or(Refusal::Stale)?))),
            TransactionKind::Create | TransactionKind::PasswordChange | TransactionKind::Disable | TransactionKind::Enable => {
                Ok(Receipt::Account(Box::new(self.account(account).await?.ok_or(Refusal::Stale)?)))
            }
        }
    }

    fn check_claim(&self, organization: &Organization) -> Result<(), Refusal> {
        let Organization { namespace, customer_id } = organization;
        match self.known.claimed(namespace) {
            Some(claimed) => refuse_if(claimed != customer_id, Refusal::CustomerIdChanged),
            None => refuse_if(self.known.claimant(customer_id).is_some(), Refusal::CustomerIdTaken),
        }
    }

    /// Everybody that the plan was made from is as it was then, and whoever is to keep something follows somebody.
    async fn check_made_from(&mut self, plan: &AccountPlan) -> Result<(), Halt> {
        let ids: BTreeSet<String> = made_from(plan).map(|(account, _)| account.to_string()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(concat!(
            "SELECT account_id, namespace, revision, source_mode = 'Inherit' AS follows FROM accounts WHERE account_id IN (",
            texts!("$1"),
            ")"
        ));
        let (mut found, mut following) = (BTreeSet::new(), BTreeSet::new());
        for row in query.bind(rows::json(&ids)).fetch_all(&mut *self.connection).await? {
            let (id, namespace): (String, String) = (row.try_get("account_id")?, row.try_get("namespace")?);
            if row.try_get::<Option<bool>, _>("follows")? == Some(true) {
                following.insert(id.clone());
            }
            if namespace == plan.organization.namespace {
                found.insert((id, Revision(row.try_get("revision")?)));
            }
        }
        let as_it_was = made_from(plan).all(|(account, at)| found.contains(&(account.to_string(), at)));
        let follow = plan.keeps.iter().all(|keep| following.contains(&keep.account.to_string()));
        refuse_if(!as_it_was || !follow || keeps_twice(plan), Refusal::Stale)?;
        Ok(())
    }

    async fn keep(&mut self, keeps: &[Keep]) -> Result<(), Halt> {
        for Keep { account, from: _, kept } in keeps {
            sqlx::query("UPDATE accounts SET source_permissions = $1, revision = revision + 1 WHERE account_id = $2")
                .bind(kept.as_ref().map(rows::permission_texts))
                .bind(account.to_string())
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Whether somebody who stays follows the account: of more heirs than leave, one does.
    async fn has_heirs(&mut self, gone: &Account, leaving: &Leaving) -> Result<bool, Halt> {
        let heirs = sqlx::query_scalar::<_, Option<String>>(
            "SELECT owner_name FROM accounts \
             WHERE namespace = $1 AND source_name = $2 AND source_mode = 'Inherit' AND account_id != $3 LIMIT $4",
        );
        let enough = i64::try_from(leaving.len() + 1).unwrap_or(i64::MAX);
        let heirs = heirs.bind(&gone.namespace).bind(&gone.owner.name).bind(gone.id.to_string()).bind(enough);
        let heirs = heirs.fetch_all(&mut *self.connection).await?;
        Ok(heirs.iter().any(|heir| heir.as_ref().is_none_or(|heir| !leaving.contains(heir))))
    }

    /// Somebody who stays is in control, unless nobody stays.
    async fn check_control(&mut self, namespace: &str, leaving: &Leaving) -> Result<(), Halt> {
        self.check_control_by(namespace, leaving, &self.known.groups_in_control(namespace)).await
    }

    async fn check_control_by(&mut self, namespace: &str, leaving: &Leaving, groups: &BTreeSet<&str>) -> Result<(), Halt> {
        let row = sqlx::query(concat!(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name IN (",
            texts!("$3"),
            ") AND state = 'Enabled' AND ",
            stays!("$2"),
            ") AS administrators, EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND ",
            stays!("$2"),
            ") AS users"
        ))
        .bind(namespace)
        .bind(rows::json(leaving.as_ref()))
        .bind(rows::json(groups))
        .fetch_one(&mut *self.connection)
        .await?;
        let control = Control { administrators: row.try_get("administrators")?, users: row.try_get("users")? };
        Ok(refuse_if(control.is_lost(), Refusal::LastAdministrator)?)
    }

    /// Gives the placeholder of a copy the lowest number that is free.
    async fn numbered(&mut self, namespace: &str, content: &Content) -> Result<Content, Halt> {
        if content.email.copy_number().is_none() {
            return Ok(content.clone());
        }
        // Placeholders of one address begin alike up to their number, and a colon comes right after the digits.
        let first = content.email.placeholder(0);
        let alike = first.as_str().trim_end_matches("0)");
        let taken = sqlx::query_scalar("SELECT email FROM accounts WHERE namespace = $1 AND email > $2 AND email < $3");
        let taken: Vec<String> =
            taken.bind(namespace).bind(alike).bind(format!("{alike}:")).fetch_all(&mut *self.connection).await?;
        let taken: Vec<Email> = taken.into_iter().map(Email::stored).collect();
        Ok(Content { email: lowest_free_copy(&content.email, taken.iter()), ..content.clone() })
    }

    async fn change_member(&mut self, plan: &MemberPlan) -> Result<Receipt, Halt> {
        let MemberPlan { namespace, account, .. } = plan;
        let there = |account: &Account| account.namespace == *namespace;
        let current = self.account(*account).await?.filter(there).ok_or(Refusal::Stale)?;
        let group = self.known.group(namespace, &current.content.group).unwrap_or_default();
        let next = changed_by_member(&current, &group, plan, |begins, revision| self.begun(begins, revision))?;
        if next.content.email != current.content.email {
            self.check_domain(namespace, &next.content.email)?;
            refuse_if(self.has_address(namespace, &next.content.email).await?, Refusal::EmailTaken)?;
        }
        if next.transaction.id != current.transaction.id {
            self.write_down(&next.transaction, next.id, None).await?;
        }
        if next != current {
            self.overwrite(&next).await?;
        }
        Ok(Receipt::Account(Box::new(next)))
    }

    async fn rehash(&mut self, plan: &RehashPlan) -> Result<Receipt, Halt> {
        let RehashPlan { namespace, account, before, after } = plan;
        let rehashed =
            sqlx::query("UPDATE accounts SET password_hash = $1 WHERE account_id = $2 AND namespace = $3 AND password_hash = $4");
        let rehashed = rehashed.bind(after.as_str()).bind(account.to_string()).bind(namespace).bind(before.as_str());
        refuse_if(rehashed.execute(&mut *self.connection).await?.rows_affected() == 0, Refusal::Stale)?;
        Ok(Receipt::Account(Box::new(self.account(*account).await?.ok_or(Refusal::Stale)?)))
    }

    async fn confirm(&mut self, plan: &ConfirmPlan) -> Result<Receipt, Halt> {
        let ConfirmPlan { namespace, account: id, confirmed } = plan;
        if let Some(mut account) = self.account(*id).await?.filter(|account| account.namespace == *namespace) {
            account.confirm(confirmed, self.known.directories(), self.occasion.now);
            self.note_confirmed(*id, &account.confirmed, &account.transaction).await?;
            return Ok(Receipt::Account(Box::new(account)));
        }
        let there = |departure: &Departure| departure.namespace == *namespace;
        let mut departure = self.departure(*id).await?.filter(there).ok_or(Refusal::Stale)?;
        departure.confirm(confirmed, self.known.directories(), self.occasion.now);
        self.note_confirmed(*id, &departure.confirmed, &departure.transaction).await?;
        Ok(Receipt::Deleted(Box::new(departure)))
    }

    async fn note_confirmed(
        &mut self,
        account: AccountId,
        confirmed: &BTreeMap<String, Revision>,
        transaction: &Transaction,
    ) -> Result<(), Halt> {
        for (directory, revision) in confirmed {
            sqlx::query(
                "INSERT INTO confirmations (account_id, directory, revision) VALUES ($1, $2, $3) \
                 ON CONFLICT (account_id, directory) DO UPDATE SET revision = excluded.revision",
            )
            .bind(account.to_string())
            .bind(directory)
            .bind(revision.0)
            .execute(&mut *self.connection)
            .await?;
        }
        let complete = sqlx::query("UPDATE transactions SET completed_at = $1 WHERE transaction_id = $2");
        let complete = complete.bind(transaction.completed.map(Timestamp::as_microsecond)).bind(transaction.id.0.to_string());
        complete.execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn departure(&mut self, account: AccountId) -> Result<Option<Departure>, Halt> {
        let query = sqlx::query(rows::select_departures!("WHERE l.account_id = $1")).bind(account.to_string());
        Ok(rows::departures(query, self.connection).await?.pop())
    }

    async fn note_cases(&mut self, id: TransactionId, unassigned: i64) -> Result<(), Halt> {
        let query = sqlx::query("UPDATE transactions SET cases_unassigned = $1 WHERE transaction_id = $2");
        query.bind(unassigned).bind(id.0.to_string()).execute(&mut *self.connection).await?;
        Ok(())
    }

    fn check_domain(&self, namespace: &str, email: &Email) -> Result<(), Refusal> {
        let accepted = self.known.listings(namespace).any(|(_, listing)| listing.accepts(email.domain()));
        refuse_if(!accepted, Refusal::DomainNotAllowed)
    }

    fn check_moved_domains(&self, namespace: &str, moves: &[AddressMove]) -> Result<(), Refusal> {
        moves.iter().try_for_each(|AddressMove { to, .. }| self.check_domain(namespace, to))
    }

    /// Makes the accounts that move leave their addresses, so that any of them can have any of the
    /// addresses afterwards.
    async fn vacate(&mut self, namespace: &str, moves: &[AddressMove]) -> Result<(), Halt> {
        for AddressMove { account, from, to: _ } in moves {
            let vacated = sqlx::query(
                "UPDATE accounts SET email = NULL, revision = revision + 1 \
                 WHERE account_id = $1 AND namespace = $2 AND revision = $3 AND email IS NOT NULL",
            )
            .bind(account.to_string())
            .bind(namespace)
            .bind(from.0)
            .execute(&mut *self.connection)
            .await?;
            refuse_if(vacated.rows_affected() == 0, Refusal::Stale)?;
        }
        Ok(())
    }

    /// Gives the accounts that move their new addresses.
    async fn settle(&mut self, namespace: &str, moves: &[AddressMove]) -> Result<(), Halt> {
        for AddressMove { account, from: _, to } in moves {
            refuse_if(self.has_address(namespace, to).await?, Refusal::EmailTaken)?;
            sqlx::query("UPDATE accounts SET email = $1, email_domain = $2 WHERE account_id = $3")
                .bind(to.as_str())
                .bind(to.domain())
                .bind(account.to_string())
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    async fn clear_address(&mut self, account: AccountId) -> Result<(), Halt> {
        let query = sqlx::query("UPDATE accounts SET email = NULL WHERE account_id = $1");
        query.bind(account.to_string()).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn has_address(&mut self, namespace: &str, email: &Email) -> Result<bool, Halt> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND email = $2)");
        Ok(query.bind(namespace).bind(email.as_str()).fetch_one(&mut *self.connection).await?)
    }

    async fn in_the_way(
        &mut self,
        namespace: &str,
        owner: &Owner,
        login_name: &LoginName,
        email: &Email,
    ) -> Result<InTheWay, Halt> {
        let row = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND owner_name = $2) AS by_owner, \
             EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND email = $3) AS by_email, \
             EXISTS (SELECT 1 FROM accounts WHERE login_name = $4) AS by_login",
        )
        .bind(namespace)
        .bind(&owner.name)
        .bind(email.as_str())
        .bind(login_name.as_str())
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(InTheWay { owner: row.try_get("by_owner")?, email: row.try_get("by_email")?, login_name: row.try_get("by_login")? })
    }

    async fn entry(&mut self, id: TransactionId) -> Result<Option<Entry>, Halt> {
        let query = sqlx::query("SELECT account_id, type FROM transactions WHERE transaction_id = $1").bind(id.0.to_string());
        let Some(row) = query.fetch_optional(&mut *self.connection).await? else { return Ok(None) };
        Ok(Some(Entry { account: AccountId(rows::uuid(&row, "account_id")?), kind: rows::kind(&row)? }))
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, Halt> {
        let query = sqlx::query(rows::select_accounts!("WHERE a.account_id = $1")).bind(id.to_string());
        Ok(rows::accounts(query, self.connection).await?.pop())
    }

    async fn at(&mut self, namespace: &str, account: AccountId, revision: Revision) -> Result<Account, Halt> {
        let there = |account: &Account| account.namespace == namespace && account.revision == revision;
        Ok(self.account(account).await?.filter(there).ok_or(Refusal::Stale)?)
    }

    async fn claim(&mut self, organization: &Organization) -> Result<(), Halt> {
        let Organization { namespace, customer_id } = organization;
        if self.known.claimed(namespace).is_none() {
            let query = sqlx::query("INSERT INTO organizations (namespace, customer_id) VALUES ($1, $2)");
            query.bind(namespace).bind(customer_id.as_str()).execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    async fn begin_lifetime(&mut self, account: &Account) -> Result<(), Halt> {
        sqlx::query("INSERT INTO lifetimes (account_id, namespace, login_name, created_at) VALUES ($1, $2, $3, $4)")
            .bind(account.id.to_string())
            .bind(&account.namespace)
            .bind(account.login_name.as_str())
            .bind(account.created.as_microsecond())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Ends a lifetime now, but never before it began: the clock may have stepped back.
    async fn end_lifetime(&mut self, account: &Account) -> Result<(), Halt> {
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

    /// Writes a transaction into the journal, over the last one where that is in flight.
    async fn write_down(
        &mut self,
        transaction: &Transaction,
        account: AccountId,
        last: Option<&Transaction>,
    ) -> Result<(), Halt> {
        if let Some(last) = last.filter(|last| last.in_flight()) {
            let supersede = sqlx::query("UPDATE transactions SET superseded_at = $1 WHERE transaction_id = $2");
            let supersede = supersede.bind(self.occasion.now.as_microsecond()).bind(last.id.0.to_string());
            supersede.execute(&mut *self.connection).await?;
        }
        let Transaction { id, kind, revision, started, deadline, completed } = transaction;
        sqlx::query(
            "INSERT INTO transactions \
             (transaction_id, account_id, type, revision, started_at, deadline_at, completed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.0.to_string())
        .bind(account.to_string())
        .bind(kind.as_str())
        .bind(revision.0)
        .bind(started.as_microsecond())
        .bind(deadline.as_microsecond())
        .bind(completed.map(Timestamp::as_microsecond))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn insert(&mut self, account: &Account) -> Result<(), Halt> {
        let statement = sqlx::query(
            "INSERT INTO accounts (email, email_domain, state, group_name, grants, role, teams, display_name, phone, \
             address, time_zone, notifications, account_id, owner_uid, owner_generation, revision, transaction_id, \
             source_mode, source_name, source_permissions, cloned_uid, cloned_generation, cloned_at, copied, member, \
             owner_name, password_hash, secret_hash, secret_version, namespace, login_name, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
             $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)",
        );
        rows::bind_account(statement, account)
            .bind(&account.namespace)
            .bind(account.login_name.as_str())
            .bind(account.created.as_microsecond())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn overwrite(&mut self, account: &Account) -> Result<(), Halt> {
        let statement = sqlx::query(
            "UPDATE accounts SET email = $1, email_domain = $2, state = $3, group_name = $4, grants = $5, role = $6, \
             teams = $7, display_name = $8, phone = $9, address = $10, time_zone = $11, notifications = $12, \
             owner_uid = $14, owner_generation = $15, revision = $16, transaction_id = $17, source_mode = $18, \
             source_name = $19, source_permissions = $20, cloned_uid = $21, cloned_generation = $22, cloned_at = $23, \
             copied = $24, member = $25, owner_name = $26, password_hash = $27, secret_hash = $28, secret_version = $29 \
             WHERE account_id = $13",
        );
        rows::bind_account(statement, account).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn unassign_cases(&mut self, owner: AccountId) -> Result<i64, Halt> {
        let query = sqlx::query("UPDATE cases SET owner_account_id = NULL WHERE owner_account_id = $1");
        let unassigned = query.bind(owner.to_string()).execute(&mut *self.connection).await?.rows_affected();
        Ok(i64::try_from(unassigned).unwrap_or(i64::MAX))
    }

    async fn remove(&mut self, account: AccountId) -> Result<(), Halt> {
        let query = sqlx::query("DELETE FROM accounts WHERE account_id = $1");
        query.bind(account.to_string()).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn put_group(
        &mut self,
        [namespace, name]: [&str; 2],
        content: &GroupContent,
        leaving: &Leaving,
    ) -> Result<Receipt, Halt> {
        let GroupContent { full_control, permissions, self_service } = content;
        if !full_control {
            self.check_control_without(namespace, name, leaving).await?;
        }
        sqlx::query(
            "INSERT INTO groups (namespace, name, full_control, permissions, self_service) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (namespace, name) DO UPDATE SET full_control = excluded.full_control, \
             permissions = excluded.permissions, self_service = excluded.self_service",
        )
        .bind(namespace)
        .bind(name)
        .bind(full_control)
        .bind(rows::permission_texts(permissions))
        .bind(rows::json(self_service))
        .execute(&mut *self.connection)
        .await?;
        Ok(Receipt::Done)
    }

    /// As [`Self::check_control`], where a group that gives full control now won't afterwards.
    async fn check_control_without(&mut self, namespace: &str, group: &str, leaving: &Leaving) -> Result<(), Halt> {
        let mut groups = self.known.groups_in_control(namespace);
        if !groups.remove(group) {
            return Ok(());
        }
        let used = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name = $2 AND state = 'Enabled')",
        );
        if used.bind(namespace).bind(group).fetch_one(&mut *self.connection).await? {
            self.check_control_by(namespace, leaving, &groups).await?;
        }
        Ok(())
    }

    async fn drop_group(&mut self, [namespace, name]: [&str; 2], leaving: &Leaving) -> Result<Receipt, Halt> {
        let has_members = sqlx::query_scalar(concat!(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE namespace = $1 AND group_name = $2 AND ",
            stays!("$3"),
            ")"
        ));
        let has_members = has_members.bind(namespace).bind(name).bind(rows::json(leaving.as_ref()));
        refuse_if(has_members.fetch_one(&mut *self.connection).await?, Refusal::InUse)?;
        if !GroupContent::undeclared(name).is_some_and(|group| group.full_control) {
            self.check_control_without(namespace, name, leaving).await?;
        }
        let query = sqlx::query("DELETE FROM groups WHERE namespace = $1 AND name = $2");
        query.bind(namespace).bind(name).execute(&mut *self.connection).await?;
        Ok(Receipt::Done)
    }

    async fn put_domain(&mut self, [namespace, name]: [&str; 2], listing: &Listing) -> Result<Receipt, Halt> {
        let taken = self.known.listings(namespace).any(|(other, listed)| other != name && listed.domain == listing.domain);
        refuse_if(taken, Refusal::DomainTaken)?;
        sqlx::query(
            "INSERT INTO domains (namespace, name, domain, include_subdomains) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (namespace, name) DO UPDATE \
             SET domain = excluded.domain, include_subdomains = excluded.include_subdomains",
        )
        .bind(namespace)
        .bind(name)
        .bind(listing.domain.as_str())
        .bind(listing.include_subdomains)
        .execute(&mut *self.connection)
        .await?;
        Ok(Receipt::Done)
    }

    async fn drop_domain(&mut self, [namespace, name]: [&str; 2], leaving: &Leaving) -> Result<Receipt, Halt> {
        let used: Vec<String> =
            sqlx::query_scalar(concat!("SELECT DISTINCT email_domain FROM accounts WHERE namespace = $1 AND ", stays!("$2")))
                .bind(namespace)
                .bind(rows::json(leaving.as_ref()))
                .fetch_all(&mut *self.connection)
                .await?;
        let only_here = |domain: &String| needs(self.known.listings(namespace), name, domain);
        refuse_if(used.iter().any(only_here), Refusal::InUse)?;
        let query = sqlx::query("DELETE FROM domains WHERE namespace = $1 AND name = $2");
        query.bind(namespace).bind(name).execute(&mut *self.connection).await?;
        Ok(Receipt::Done)
    }
}

fn refuse_if(fault: bool, refusal: Refusal) -> Result<(), Refusal> {
    if fault { Err(refusal) } else { Ok(()) }
}
