//! Plans of the common kinds, judged from what was read for all of them at once, and written with
//! one statement for each table. On a database at the other end of a network this is what makes a
//! commit of many plans as quick as one of a few.
//!
//! Whatever isn't common ends such a run: who is deleted, moves, keeps, copies or gives up control
//! is judged by itself, by the same rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{CommitError, Writer, refuse_if, update_cache, writes};
use crate::domain::account::{
    Account, AccountId, Credential, DirectoryAck, Revision, Transaction, TransactionId,
};
use crate::domain::email::Email;
use crate::domain::organization::Organization;
use crate::plan::{AccountChange, AccountPlan, ConfirmPlan, Plan};
use crate::store::sql::connection::{Connection, SqlRow, pairs, statement, texts};
use crate::store::sql::rows::{self, OrganizationCache};
use crate::store::{
    CommitTime, NewAccount, Receipt, Refusal, StoreError, check_may_begin, check_preconditions,
    next, transaction_of,
};

/// Why a run ends before a plan.
enum BatchError {
    Refused(Refusal),
    /// It isn't of a common kind after all.
    Uncommon,
}

impl From<Refusal> for BatchError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether a plan may be of a common kind.
pub(super) fn is_batchable(plan: &Plan) -> bool {
    match plan {
        Plan::Confirm(_) => true,
        Plan::Account(plan) => {
            let alone = plan.moves.is_empty() && plan.freezes.is_empty();
            alone
                && match &plan.change {
                    AccountChange::Create { id, content, .. } => {
                        id.is_none() && content.email.copy_number().is_none()
                    }
                    AccountChange::Update { adopts, .. } => !adopts,
                    AccountChange::Delete { .. } | AccountChange::Release { .. } => false,
                }
        }
        Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) => false,
    }
}

/// Commits common plans up to the first that isn't one, and answers as many. What was written is to
/// be taken back when this fails by a refusal: somebody else has what only the database knows of,
/// and each plan has to be judged by itself.
pub(super) async fn commit(
    connection: &mut Connection,
    known: &mut OrganizationCache,
    plans: &[Plan],
    occasion: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, CommitError> {
    let mut run = Batch::read(connection, plans).await?;
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        let judged = match plan {
            Plan::Account(plan) => run.change_account(known, plan, occasion),
            Plan::Confirm(plan) => run.confirm(known, plan, occasion),
            Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) => {
                Err(BatchError::Uncommon)
            }
        };
        match judged {
            Ok(receipt) => {
                run.learn_claim(known, plan);
                update_cache(known, plan);
                answers.push(Ok(receipt));
            }
            Err(BatchError::Refused(refusal)) => answers.push(Err(refusal)),
            Err(BatchError::Uncommon) => break,
        }
    }
    run.write(connection, occasion).await?;
    Ok(answers)
}

/// What a run of plans is judged from, and what is to be written of it.
#[derive(Default)]
struct Batch {
    accounts: HashMap<AccountId, Account>,
    journaled: HashSet<TransactionId>,
    owners: HashSet<(String, String)>,
    emails: HashSet<(String, String)>,
    logins: HashSet<String>,
    claims: Vec<Organization>,
    created: Vec<Account>,
    changed: BTreeSet<AccountId>,
    switches: Vec<(AccountId, Revision, &'static str)>,
    journal: Vec<(AccountId, Transaction)>,
    superseded: Vec<TransactionId>,
    completed: Vec<Transaction>,
    confirmed: BTreeMap<(AccountId, String), DirectoryAck>,
}

impl Batch {
    async fn read(connection: &mut Connection, plans: &[Plan]) -> Result<Self, StoreError> {
        let (mut ids, mut transactions) = (BTreeSet::new(), BTreeSet::new());
        let (mut owners, mut emails, mut logins) = (vec![], vec![], vec![]);
        for plan in plans {
            match plan {
                Plan::Account(plan) => {
                    let namespace = plan.organization.namespace.as_str();
                    ids.extend(check_preconditions(plan).map(|(account, _)| account.to_string()));
                    transactions.extend(transaction_of(&plan.change).map(|id| id.0.to_string()));
                    match &plan.change {
                        AccountChange::Create { login_name, content, .. } => {
                            owners.push([namespace, &plan.owner.name]);
                            emails.push([namespace, content.email.as_str()]);
                            logins.push(login_name.as_str());
                        }
                        AccountChange::Update { account, content, .. } => {
                            ids.insert(account.to_string());
                            emails.push([namespace, content.email.as_str()]);
                        }
                        AccountChange::Delete { .. } | AccountChange::Release { .. } => {}
                    }
                }
                Plan::Confirm(plan) => _ = ids.insert(plan.account.to_string()),
                Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) => {}
            }
        }
        let mut run = Self::default();
        if !ids.is_empty() {
            let query =
                statement(rows::select_accounts!("WHERE a.account_id IN (", texts!("$1"), ")"));
            let found = rows::accounts(query.bind(rows::texts(ids)), connection).await?;
            run.accounts = found.into_iter().map(|account| (account.id, account)).collect();
        }
        if !transactions.is_empty() {
            let query = concat!(
                "SELECT transaction_id FROM transactions WHERE transaction_id IN (",
                texts!("$1"),
                ")"
            );
            let found =
                statement(query).bind(rows::texts(transactions)).fetch_all(connection).await?;
            let id = |row: &SqlRow| Ok(TransactionId(rows::uuid(row, "transaction_id")?));
            run.journaled = found.iter().map(id).collect::<Result<_, StoreError>>()?;
        }
        if !emails.is_empty() {
            let query = concat!(
                "SELECT namespace, email FROM accounts WHERE (namespace, email) IN (",
                pairs!("$1"),
                ")"
            );
            let found = statement(query).bind(rows::json(&emails)).fetch_all(connection).await?;
            run.emails = found
                .iter()
                .map(|row| Ok((row.get("namespace")?, row.get("email")?)))
                .collect::<Result<_, sqlx::Error>>()?;
        }
        if !owners.is_empty() {
            let query = concat!(
                "SELECT namespace, owner_name FROM accounts WHERE (namespace, owner_name) IN (",
                pairs!("$1"),
                ")"
            );
            let found = statement(query).bind(rows::json(&owners)).fetch_all(connection).await?;
            let owner = |row: &SqlRow| Ok((row.get("namespace")?, row.get("owner_name")?));
            run.owners = found.iter().map(owner).collect::<Result<_, sqlx::Error>>()?;
            let query =
                concat!("SELECT login_name FROM accounts WHERE login_name IN (", texts!("$1"), ")");
            let found: Vec<String> =
                statement(query).bind(rows::texts(logins)).fetch_firsts(connection).await?;
            run.logins = found.into_iter().collect();
        }
        Ok(run)
    }

    fn change_account(
        &mut self,
        known: &OrganizationCache,
        plan: &AccountPlan,
        occasion: CommitTime,
    ) -> Result<Receipt, BatchError> {
        if transaction_of(&plan.change).is_some_and(|id| self.journaled.contains(&id)) {
            return Err(BatchError::Uncommon);
        }
        match &plan.change {
            AccountChange::Create { id, transaction, login_name, content, password } => {
                let (content, password) = (content.clone(), password.as_ref());
                let new = NewAccount {
                    id: *id,
                    login_name,
                    content,
                    transaction: *transaction,
                    password,
                };
                self.create(known, plan, occasion.created(plan, new, known.directories()))
            }
            AccountChange::Update { account, from, transaction, content, password, adopts: _ } => {
                let current = self.at(&plan.organization.namespace, *account, *from)?;
                let transaction = transaction.map(|begins| {
                    occasion.next_transaction(begins, next(*from), known.directories())
                });
                check_may_begin(&current, transaction.as_ref())?;
                let mut changed = occasion.updated(&current, &plan.owner, content, transaction);
                changed.credential =
                    password.clone().map(Credential::of_secret).or(changed.credential);
                self.update(known, plan, current, changed)
            }
            AccountChange::Delete { .. } | AccountChange::Release { .. } => {
                Err(BatchError::Uncommon)
            }
        }
    }

    fn create(
        &mut self,
        known: &OrganizationCache,
        plan: &AccountPlan,
        account: Account,
    ) -> Result<Receipt, BatchError> {
        let Account { id, namespace, login_name, content, .. } = &account;
        let owner = (namespace.clone(), plan.owner.name.clone());
        let email = address(namespace, &content.email);
        known.check_claim(&plan.organization)?;
        self.check_made_from(plan)?;
        refuse_if(self.owners.contains(&owner), Refusal::Stale)?;
        refuse_if(!known.has_group(namespace, &content.group), Refusal::GroupNotFound)?;
        known.check_domain(namespace, &content.email)?;
        refuse_if(self.emails.contains(&email), Refusal::EmailTaken)?;
        refuse_if(self.logins.contains(login_name.as_str()), Refusal::LoginTaken)?;

        self.owners.insert(owner);
        self.emails.insert(email);
        self.logins.insert(login_name.as_str().to_owned());
        self.begin(*id, &account.transaction, None);
        self.created.push(account.clone());
        self.accounts.insert(account.id, account.clone());
        Ok(Receipt::Account(Box::new(account)))
    }

    fn update(
        &mut self,
        known: &OrganizationCache,
        plan: &AccountPlan,
        current: Account,
        next: Account,
    ) -> Result<Receipt, BatchError> {
        let Account { id, namespace, content, .. } = &next;
        let gives_up_control = known.is_administrator(namespace, &current.content)
            && !known.is_administrator(namespace, content);
        if current.owner.name != plan.owner.name || gives_up_control {
            return Err(BatchError::Uncommon);
        }
        self.check_made_from(plan)?;
        let group_is_there =
            content.group == current.content.group || known.has_group(namespace, &content.group);
        refuse_if(!group_is_there, Refusal::GroupNotFound)?;
        if content.email != current.content.email {
            let email = address(namespace, &content.email);
            known.check_domain(namespace, &content.email)?;
            refuse_if(self.emails.contains(&email), Refusal::EmailTaken)?;
            self.emails.remove(&address(namespace, &current.content.email));
            self.emails.insert(email);
        }
        if next.transaction.id != current.transaction.id {
            self.begin(*id, &next.transaction, Some(&current.transaction));
        }
        if content.lifecycle != current.content.lifecycle {
            self.switches.push((*id, next.revision, rows::lifecycle_text(content.lifecycle)));
        }
        self.changed.insert(*id);
        self.accounts.insert(*id, next.clone());
        Ok(Receipt::Account(Box::new(next)))
    }

    fn confirm(
        &mut self,
        known: &OrganizationCache,
        plan: &ConfirmPlan,
        occasion: CommitTime,
    ) -> Result<Receipt, BatchError> {
        let ConfirmPlan { namespace, account: id, confirmed } = plan;
        let there = self.accounts.get(id).filter(|account| account.namespace == *namespace);
        let before = there.ok_or(BatchError::Uncommon)?.clone();
        let mut account = before.clone();
        account.transaction.confirm(
            &mut account.confirmed,
            confirmed,
            known.directories(),
            occasion.now,
        );
        let is_news = |(directory, confirmation): &(&String, &DirectoryAck)| {
            before.confirmed.get(*directory) != Some(*confirmation)
        };
        let news = account.confirmed.iter().filter(is_news);
        self.confirmed.extend(
            news.map(|(directory, confirmation)| ((*id, directory.clone()), confirmation.clone())),
        );
        if account.transaction.completed != before.transaction.completed {
            self.completed.push(account.transaction.clone());
        }
        self.accounts.insert(*id, account.clone());
        Ok(Receipt::Account(Box::new(account)))
    }

    fn at(
        &self,
        namespace: &str,
        account: AccountId,
        revision: Revision,
    ) -> Result<Account, Refusal> {
        let there =
            |account: &&Account| account.namespace == namespace && account.revision == revision;
        self.accounts.get(&account).filter(there).cloned().ok_or(Refusal::Stale)
    }

    /// As [`Writer::check_made_from`] does, where nobody is to keep anything.
    fn check_made_from(&self, plan: &AccountPlan) -> Result<(), Refusal> {
        let namespace = &plan.organization.namespace;
        check_preconditions(plan)
            .try_for_each(|(account, revision)| self.at(namespace, account, revision).map(|_| ()))
    }

    fn begin(&mut self, account: AccountId, transaction: &Transaction, last: Option<&Transaction>) {
        self.superseded.extend(last.filter(|last| last.in_flight()).map(|last| last.id));
        self.journaled.insert(transaction.id);
        self.journal.push((account, transaction.clone()));
    }

    /// Notes that an organization's first account claims its customer ID.
    fn learn_claim(&mut self, known: &OrganizationCache, plan: &Plan) {
        if let Plan::Account(plan) = plan
            && matches!(plan.change, AccountChange::Create { .. })
            && known.claimed(&plan.organization.namespace).is_none()
        {
            self.claims.push(plan.organization.clone());
        }
    }

    async fn write(
        &self,
        connection: &mut Connection,
        occasion: CommitTime,
    ) -> Result<(), CommitError> {
        let created: Vec<&Account> = self.created.iter().collect();
        for organization in &self.claims {
            Writer::claim(connection, organization).await?;
        }
        writes::begin_lifetimes(connection, &created).await?;
        let journal: Vec<(AccountId, &Transaction)> =
            self.journal.iter().map(|(account, entry)| (*account, entry)).collect();
        writes::write_journal(connection, &journal).await?;
        writes::supersede(connection, &self.superseded, occasion.now).await?;
        writes::insert_accounts(connection, &created).await?;
        let changed: Vec<&Account> = self.changed.iter().map(|id| &self.accounts[id]).collect();
        writes::overwrite_accounts(connection, &changed).await?;
        writes::write_switches(connection, &self.switches, occasion.now).await?;
        let confirmed = self.confirmed.iter();
        let confirmed = confirmed.map(|((account, directory), confirmation)| {
            (*account, directory.as_str(), confirmation)
        });
        writes::confirm(connection, &confirmed.collect::<Vec<_>>()).await?;
        writes::complete(connection, &self.completed.iter().collect::<Vec<_>>()).await
    }
}

fn address(namespace: &str, email: &Email) -> (String, String) {
    (namespace.to_owned(), email.as_str().to_owned())
}
