//! What a commit reads: everything that its plans name, in a few statements however many they are,
//! and then what a plan asks beside that.

use std::collections::{BTreeSet, HashSet};

use super::{CommitError, namespace_of};
use crate::domain::account::{AccountId, TransactionId, TransactionKind};
use crate::domain::email::Email;
use crate::domain::self_service::ProfileChange;
use crate::plan::{AccountChange, AccountPlan, AddressMove, GroupPlan, MemberPlan, Plan};
use crate::store::StoreError;
use crate::store::sql::connection::{Connection, SqlRow, Statement, pairs, statement, texts};
use crate::store::sql::rows::{self, GroupColumns};
use crate::store::unit_of_work::{
    JournalEntry, Kind, Question, SomeAccount, UnitOfWork, preconditions, transaction_of,
};

/// A unit of work, and which accounts are in it.
pub(super) struct Loaded {
    pub(super) work: UnitOfWork,
    /// Their ids, as [`texts!`] takes them.
    accounts: String,
}

/// Reads what plans are judged by.
pub(super) async fn load(
    connection: &mut Connection,
    plans: &[Plan],
) -> Result<Loaded, CommitError> {
    let mut wanted = Wanted::default();
    plans.iter().for_each(|plan| wanted.add(plan));
    let mut work = UnitOfWork::default();
    load_journal(connection, &mut wanted, &mut work).await?;
    load_accounts(connection, &mut wanted, &mut work).await?;
    load_deleted(connection, &wanted, &mut work).await?;
    let members = wanted.members.iter().filter_map(|id| work.accounts.get(*id));
    let groups = members.map(|account| [account.namespace.as_str(), &account.content.group]);
    let groups = GroupColumns::Named(groups.chain(wanted.groups).collect());
    work.organizations =
        rows::organizations(connection, wanted.namespaces, wanted.customer_ids, groups).await?;
    work.directories = rows::directories(connection).await?;
    let accounts = rows::texts(work.accounts.iter().map(|account| account.id.to_string()));
    Ok(Loaded { work, accounts })
}

/// The keys of what plans are judged by.
#[derive(Default)]
struct Wanted<'a> {
    namespaces: BTreeSet<&'a str>,
    customer_ids: BTreeSet<&'a str>,
    groups: BTreeSet<[&'a str; 2]>,
    transactions: BTreeSet<String>,
    accounts: BTreeSet<AccountId>,
    /// The accounts whose groups plans are judged by too.
    members: BTreeSet<AccountId>,
    /// The accounts that may be deleted ones.
    deleted: BTreeSet<AccountId>,
    new_ids: BTreeSet<AccountId>,
    owners: BTreeSet<[&'a str; 2]>,
    emails: BTreeSet<[&'a str; 2]>,
    logins: BTreeSet<&'a str>,
    /// The addresses whose copies get numbers.
    copied: BTreeSet<(&'a str, Email)>,
}

impl<'a> Wanted<'a> {
    fn add(&mut self, plan: &'a Plan) {
        let namespace = namespace_of(plan);
        self.namespaces.insert(namespace);
        match plan {
            Plan::Account(plan) => self.add_account_plan(plan),
            Plan::Member(MemberPlan { account, changes, .. }) => {
                self.members.insert(*account);
                for change in changes {
                    if let ProfileChange::Email(email) = change {
                        self.emails.insert([namespace, email.as_str()]);
                    }
                }
            }
            Plan::Rehash(plan) => _ = self.accounts.insert(plan.account),
            Plan::Confirm(plan) => {
                self.accounts.insert(plan.account);
                self.deleted.insert(plan.account);
            }
            Plan::Group(GroupPlan::Put { name, .. } | GroupPlan::Drop { name, .. }) => {
                self.groups.insert([namespace, name]);
            }
            Plan::Domain(_) => {}
        }
    }

    fn add_account_plan(&mut self, plan: &'a AccountPlan) {
        let namespace = plan.organization.namespace.as_str();
        self.customer_ids.insert(plan.organization.customer_id.as_str());
        self.transactions.extend(transaction_of(&plan.change).map(|id| id.0.to_string()));
        self.accounts.extend(preconditions(plan).map(|(account, _)| account));
        for AddressMove { account, from: _, to } in &plan.moves {
            self.accounts.insert(*account);
            self.emails.insert([namespace, to.as_str()]);
        }
        match &plan.change {
            AccountChange::Create { id, login_name, content, .. } => {
                self.new_ids.extend(*id);
                self.owners.insert([namespace, &plan.owner.name]);
                self.emails.insert([namespace, content.email.as_str()]);
                self.logins.insert(login_name.as_str());
                self.groups.insert([namespace, &content.group]);
                if content.email.copy_number().is_some() {
                    self.copied.insert((namespace, content.email.placeholder(0)));
                }
            }
            AccountChange::Update { account, content, adopts, .. } => {
                self.members.insert(*account);
                self.emails.insert([namespace, content.email.as_str()]);
                self.groups.insert([namespace, &content.group]);
                self.owners.extend(adopts.then_some([namespace, plan.owner.name.as_str()]));
            }
            AccountChange::Delete { account, .. } => _ = self.members.insert(*account),
            AccountChange::Release { account, .. } => _ = self.accounts.insert(*account),
        }
    }
}

async fn load_journal(
    connection: &mut Connection,
    wanted: &mut Wanted<'_>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    if wanted.transactions.is_empty() {
        return Ok(());
    }
    let query = statement(concat!(
        "SELECT transaction_id, account_id, type FROM transactions WHERE transaction_id IN (",
        texts!("$1"),
        ")"
    ));
    for row in query.bind(rows::texts(&wanted.transactions)).fetch_all(connection).await? {
        let id = TransactionId(rows::uuid(&row, "transaction_id")?);
        let account = AccountId(rows::uuid(&row, "account_id")?);
        let kind = rows::kind(&row)?;
        match kind {
            TransactionKind::Delete => wanted.deleted.insert(account),
            TransactionKind::Create
            | TransactionKind::PasswordChange
            | TransactionKind::Disable
            | TransactionKind::Enable => wanted.accounts.insert(account),
        };
        work.journal.insert(id, JournalEntry { account, kind });
    }
    Ok(())
}

async fn load_accounts(
    connection: &mut Connection,
    wanted: &mut Wanted<'_>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let named = wanted.accounts.iter().chain(&wanted.members);
    let mut ids: BTreeSet<String> = named.map(ToString::to_string).collect();
    ids.extend(holders(connection, wanted).await?);
    if !ids.is_empty() {
        let query = statement(rows::select_accounts!("WHERE a.account_id IN (", texts!("$1"), ")"));
        for account in rows::accounts(query.bind(rows::texts(ids)), connection).await? {
            work.accounts.put(account);
        }
    }
    if !wanted.new_ids.is_empty() {
        let query = statement(concat!(
            "SELECT account_id FROM lifetimes WHERE account_id IN (",
            texts!("$1"),
            ")"
        ));
        let ids = rows::texts(wanted.new_ids.iter().map(ToString::to_string));
        let known = query.bind(ids).fetch_all(connection).await?;
        let id = |row: &SqlRow| Ok(AccountId(rows::uuid(row, "account_id")?));
        work.known_ids = known.iter().map(id).collect::<Result<HashSet<_>, StoreError>>()?;
    }
    Ok(())
}

/// Returns the ids of the accounts that hold what plans give away.
async fn holders(
    connection: &mut Connection,
    wanted: &Wanted<'_>,
) -> Result<Vec<String>, StoreError> {
    let mut holders = vec![];
    if !wanted.emails.is_empty() || !wanted.owners.is_empty() {
        let query = statement(concat!(
            "SELECT account_id FROM accounts WHERE (namespace, email) IN (",
            pairs!("$1"),
            ") UNION ALL SELECT account_id FROM accounts WHERE (namespace, owner_name) IN (",
            pairs!("$2"),
            ") UNION ALL SELECT account_id FROM accounts WHERE login_name IN (",
            texts!("$3"),
            ")"
        ));
        let query = query
            .bind(rows::json(&wanted.emails))
            .bind(rows::json(&wanted.owners))
            .bind(rows::texts(&wanted.logins));
        holders = query.fetch_firsts(connection).await?;
    }
    for (namespace, first) in &wanted.copied {
        // Placeholders of one address begin alike up to their number, and a colon comes right after
        // the digits.
        let alike = first.as_str().trim_end_matches("0)");
        let query = statement(
            "SELECT account_id FROM accounts WHERE namespace = $1 AND email > $2 AND email < $3",
        );
        let query = query.bind(*namespace).bind(alike).bind(format!("{alike}:"));
        holders.extend(query.fetch_firsts::<String>(connection).await?);
    }
    Ok(holders)
}

async fn load_deleted(
    connection: &mut Connection,
    wanted: &Wanted<'_>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let is_live = |id: &&AccountId| work.accounts.get(**id).is_some();
    let deleted: Vec<String> =
        wanted.deleted.iter().filter(|id| !is_live(id)).map(ToString::to_string).collect();
    if deleted.is_empty() {
        return Ok(());
    }
    let query = statement(rows::select_departures!("WHERE l.account_id IN (", texts!("$1"), ")"));
    let deleted = rows::deleted_accounts(query.bind(rows::texts(deleted)), connection).await?;
    work.deleted = deleted.into_iter().map(|deleted| (deleted.account, deleted)).collect();
    Ok(())
}

/// What every condition on accounts that aren't loaded has: the namespace, the names of `User`s,
/// whether it is these that stay or all others, and the ids of the loaded accounts.
macro_rules! others {
    ($select:literal, $kind:expr) => {
        concat!(
            "SELECT ",
            $select,
            " FROM accounts WHERE namespace = $1 AND (COALESCE(owner_name, '') IN (",
            texts!("$2"),
            ")) = $3 AND account_id NOT IN (",
            texts!("$4"),
            ")",
            $kind
        )
    };
}

impl Loaded {
    /// Answers a question about what isn't loaded.
    pub(super) async fn answer(
        &mut self,
        connection: &mut Connection,
        question: Question,
    ) -> Result<(), CommitError> {
        let answers = &mut self.work.answers;
        match question {
            Question::Account(wanted) => {
                let found = exists(&wanted, &self.accounts).fetch_optional(connection).await?;
                answers.accounts.push((wanted, found.is_some()));
            }
            Question::EmailDomains(wanted) => {
                let query = statement(others!("DISTINCT email_domain", ""));
                let found: Vec<String> =
                    bound(query, &wanted, &self.accounts).fetch_firsts(connection).await?;
                answers.email_domains.push((wanted, found.into_iter().collect()));
            }
            Question::ControlGroups(namespace) => {
                let groups = rows::groups_in_control(connection, &namespace).await?;
                answers.control_groups.insert(namespace, groups);
            }
        }
        Ok(())
    }
}

/// Returns the statement that finds one account of a kind.
fn exists(wanted: &SomeAccount, loaded: &str) -> Statement {
    let query = |text| bound(statement(text), wanted, loaded);
    match &wanted.kind {
        Kind::Any => query(others!("1", " LIMIT 1")),
        Kind::HeirOf(user) => {
            query(others!("1", " AND source_name = $5 AND source_mode = 'Inherit' LIMIT 1"))
                .bind(user)
        }
        Kind::MemberOf(group) => query(others!("1", " AND group_name = $5 LIMIT 1")).bind(group),
        Kind::EnabledIn(groups) => query(others!(
            "1",
            concat!(" AND state = 'Enabled' AND group_name IN (", texts!("$5"), ") LIMIT 1")
        ))
        .bind(rows::texts(groups)),
    }
}

fn bound(query: Statement, wanted: &SomeAccount, loaded: &str) -> Statement {
    let SomeAccount { namespace, kind: _, deleting } = wanted;
    query
        .bind(namespace)
        .bind(rows::texts(deleting.last.as_deref().unwrap_or(&deleting.deleted)))
        .bind(deleting.last.is_some())
        .bind(loaded)
}
