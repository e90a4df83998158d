//! Effects on accounts: what every store does, in plain values.
//!
//! A commit is serialized: its plans are judged against what is in the store at that moment, one
//! after the other, each whole or not at all. The store never decides what an account should be;
//! it refuses what can't be, and the planner looks again.

pub mod claims;
pub mod logins;
pub mod memory;
mod organizations;
pub mod sql;
mod unit_of_work;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::ops::ControlFlow;

use crate::domain::account::{Account, AccountId, DeletedAccount, Revision, TransactionId};
use crate::domain::billing::{BillingTimeZone, Calendar, Lifetime, Period};
use crate::domain::email::Email;
use crate::domain::organization::{LoginName, Organization};
pub use crate::plan::OrganizationRecord;
use crate::plan::{Deleting, Plan};

/// A store of accounts.
pub trait Store: Send + Sync + 'static {
    /// Returns the accounts under the keys; a key without one is absent from the answer.
    fn find(
        &self,
        keys: &[AccountKey],
    ) -> impl Future<Output = Result<HashMap<AccountKey, Account>, StoreError>> + Send;

    /// Returns what the store knows of each organization, by namespace; nothing known is a record
    /// of nothing.
    fn organizations(
        &self,
        wanted: &[Organization],
    ) -> impl Future<Output = Result<HashMap<String, OrganizationRecord>, StoreError>> + Send;

    /// As [`Store::organizations`], of their groups only with these: an organization may have
    /// thousands, and who looks at one `User` needs one or two.
    fn records(
        &self,
        wanted: &[Organization],
        groups: &BTreeSet<GroupName>,
    ) -> impl Future<Output = Result<HashMap<String, OrganizationRecord>, StoreError>> + Send;

    /// Returns the names of the declared groups of these namespaces.
    fn group_names(
        &self,
        namespaces: &[String],
    ) -> impl Future<Output = Result<HashMap<String, BTreeSet<String>>, StoreError>> + Send;

    /// Returns the accounts of these `User`s and of all those whose permissions they follow, loops
    /// and all.
    fn inheritance_chain(
        &self,
        users: &[UserName],
    ) -> impl Future<Output = Result<HashMap<UserName, Account>, StoreError>> + Send;

    /// Returns the names of the `User`s whose accounts follow the permissions of these, in order;
    /// whom nobody follows is absent from the answer.
    fn heirs(
        &self,
        users: &[UserName],
    ) -> impl Future<Output = Result<HashMap<UserName, Vec<String>>, StoreError>> + Send;

    /// Returns the accounts that have full control and may log in, by namespace.
    fn administrators(
        &self,
        namespaces: &[String],
    ) -> impl Future<Output = Result<HashMap<String, Vec<Administrator>>, StoreError>> + Send;

    /// Returns how many accounts use what, by namespace, those of the `User`s that are being
    /// deleted left out; a namespace without accounts counts none.
    fn counts(
        &self,
        namespaces: &HashMap<String, Deleting>,
    ) -> impl Future<Output = Result<HashMap<String, Counts>, StoreError>> + Send;

    /// Returns which of these ids an account has or had, of whatever organization.
    fn known_ids(
        &self,
        ids: &[AccountId],
    ) -> impl Future<Output = Result<HashSet<AccountId>, StoreError>> + Send;

    /// Returns the account that each of these Creates made, whatever became of it since; a Create
    /// that never was is absent from the answer.
    fn created_accounts(
        &self,
        creates: &[TransactionId],
    ) -> impl Future<Output = Result<HashMap<TransactionId, AccountId>, StoreError>> + Send;

    /// Returns the newest Delete of each of these `User`s, by their uid and not only by their name;
    /// who had no account, or still has it, is absent from the answer.
    fn deleted_accounts(
        &self,
        users: &[(UserName, String)],
    ) -> impl Future<Output = Result<HashMap<UserName, DeletedAccount>, StoreError>> + Send;

    /// Returns every Delete that a directory has yet to confirm.
    fn pending_deletions(
        &self,
    ) -> impl Future<Output = Result<Vec<DeletedAccount>, StoreError>> + Send;

    /// Makes these the directories that transactions wait for, and completes those that waited only
    /// for others. Writes nothing where they are the same as before.
    fn set_directories(
        &self,
        directories: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the `User`s of those who changed something of themselves after the change of this
    /// number, and the number of the newest change; of many thousands only the newest. An operator
    /// that may not work on learns of it here, also where it has nothing to commit.
    fn self_service_changes(
        &self,
        after: i64,
    ) -> impl Future<Output = Result<(i64, Vec<UserName>), StoreError>> + Send;

    /// Returns the name of the `User` of every live account, also where that one isn't there.
    fn owners(&self) -> impl Future<Output = Result<Vec<UserName>, StoreError>> + Send;

    /// Returns every live account, or those of one organization, sorted by email, then namespace.
    fn list(
        &self,
        namespace: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send;

    /// Commits the plans in one database transaction and answers each in its place: the receipt,
    /// or why it was refused (a refused plan leaves no trace, the others stand).
    ///
    /// # Errors
    /// When nothing was committed, or it isn't known whether it was.
    fn commit(
        &self,
        plans: &[Plan],
        occasion: CommitTime,
    ) -> impl Future<Output = Result<Vec<Result<Receipt, Refusal>>, StoreError>> + Send;

    /// Checks that the claim stands under which this store was opened to work, and writes nothing.
    /// A store that nobody claims has none that could end.
    ///
    /// # Errors
    /// As a commit is refused: [`StoreError::Superseded`] when the claim doesn't stand any more.
    /// Any other error leaves it open.
    fn check_claim(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Returns what the clock of the store's own server shows; nothing where the store has none but
    /// this machine's.
    fn time(&self) -> impl Future<Output = Result<Option<jiff::Timestamp>, StoreError>> + Send {
        async { Ok(None) }
    }

    /// Writes down the time zone of months to come, and closes the months that are over: nothing is
    /// committed in them any more, whatever the clock says. Returns those that it closed; where
    /// nothing changed, writes nothing.
    fn close_months(
        &self,
        zone: &BillingTimeZone,
        now: jiff::Timestamp,
    ) -> impl Future<Output = Result<Vec<Period>, StoreError>> + Send;

    /// Returns what is written down about months.
    fn calendar(&self) -> impl Future<Output = Result<Calendar, StoreError>> + Send;

    /// Gives out the lives that a month's bill is made of, of all organizations or one, sorted by
    /// organization, then login name, one by one until no more are wanted.
    fn lifetimes(
        &self,
        period: &Period,
        namespace: Option<&str>,
        take: &mut (dyn FnMut(Lifetime) -> ControlFlow<()> + Send),
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A `User` by its namespace and its name.
pub type UserName = (String, String);

/// A group by the namespace of its organization and its name.
pub type GroupName = (String, String);

/// An account that has full control and may log in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Administrator {
    /// The name of the `User` that owns it.
    pub user: String,
    /// The group that gives it full control.
    pub group: String,
}

/// What an account is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountKey {
    /// The `User` that owns it.
    Owner {
        /// The namespace of the organization.
        namespace: String,
        /// The name of the `User`.
        name: String,
    },
    /// The address that it has.
    Email {
        /// The namespace of the organization.
        namespace: String,
        /// The address.
        email: Email,
    },
    /// The login name.
    Login(LoginName),
    /// The store's own key.
    Id(AccountId),
}

/// How many live accounts of an organization use what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members by the name of their group.
    pub members: BTreeMap<String, i64>,
    /// Accounts by the domain of their address, in A-labels.
    pub email_domains: BTreeMap<String, i64>,
}

/// When a commit happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTime {
    /// The time of the commit.
    pub now: jiff::Timestamp,
    /// When a transaction that begins with it is overdue.
    pub deadline: jiff::Timestamp,
}

impl CommitTime {
    /// Returns the occasion in whole microseconds, in which every store keeps its times, so that a
    /// receipt equals what is found later.
    pub(crate) fn in_microseconds(self) -> Self {
        let whole = |time: jiff::Timestamp| {
            jiff::Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
        };
        Self { now: whole(self.now), deadline: whole(self.deadline) }
    }

    /// Returns the occasion, moved behind the last closed month if it is before its end or at it: a
    /// clock that steps back changes nothing that was billed. An account that is deleted then has
    /// existed in the month after.
    pub(crate) fn after(self, closed_until: Option<jiff::Timestamp>) -> Self {
        let earliest =
            closed_until.and_then(|end| end.checked_add(jiff::SignedDuration::from_micros(1)).ok());
        let Some(earliest) = earliest.filter(|earliest| self.now < *earliest) else { return self };
        let deadline =
            self.deadline.checked_add(earliest.duration_since(self.now)).unwrap_or(self.deadline);
        Self { now: earliest, deadline }
    }
}

/// Returns the revision that comes after.
pub(crate) fn next(revision: Revision) -> Revision {
    Revision(revision.0 + 1)
}

/// What the store confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The account as it is now.
    Account(Box<Account>),
    /// The account is gone; directories may have yet to confirm it.
    Deleted(Box<DeletedAccount>),
    /// A group or a domain is as planned.
    Done,
}

/// Why the store refused a plan. The planner looks again and tells the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The account isn't at the revision that the plan was made from, or belongs to another `User`.
    #[error("the account moved on since the plan was made")]
    Stale,
    /// Another account of the organization has the address.
    #[error("the address is taken")]
    EmailTaken,
    /// Another account has the login name.
    #[error("the login name is taken")]
    LoginTaken,
    /// The id asked for is another account's, or was.
    #[error("the id is an account's already, or was")]
    IdTaken,
    /// The group isn't there.
    #[error("the group isn't there")]
    GroupNotFound,
    /// No listed domain accepts the new address.
    #[error("the address's domain isn't listed")]
    DomainNotAllowed,
    /// Another object lists the domain.
    #[error("the domain is listed by another object")]
    DomainTaken,
    /// Another namespace has the customer ID.
    #[error("the customer ID is taken")]
    CustomerIdTaken,
    /// The organization's first account claimed another customer ID.
    #[error("the customer ID changed")]
    CustomerIdChanged,
    /// Accounts use what was to go.
    #[error("accounts still use it")]
    InUse,
    /// It would leave an organization with users without an enabled one with full control.
    #[error("no administrator would be left")]
    LastAdministrator,
    /// The member's group doesn't let members change this of themselves, or the member is disabled.
    #[error("members may not change this of themselves")]
    NotSelfService,
    /// Another transaction of the account is in flight, and this one takes nothing away.
    #[error("another transaction of the account is in flight")]
    InTransaction,
    /// An application has locked what the plan needs, and didn't let go of it in time.
    #[error("an application has locked what the change needs")]
    Locked,
    /// The commit's time was up before the plan was carried out.
    #[error("there was no time left for the change")]
    OutOfTime,
}

/// Why the store can't be used now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's schema was made by a newer version of roster.
    #[error(
        "the store was written by a newer roster (schema {found}, this one knows up to {known}): use that version or a newer one"
    )]
    NewerSchema {
        /// The newest migration in the store.
        found: i64,
        /// The newest migration that this version has.
        known: i64,
    },
    /// The address of the store can't be understood.
    #[error("{0}")]
    Address(String),
    /// What the address names can't be used as a store: it isn't there, is no store of roster's, or
    /// can't be opened.
    #[error("{0}")]
    Unusable(String),
    /// Another operator has the store, which is in a file and takes one.
    #[error("{0}")]
    HasOperator(String),
    /// Another operator claimed the namespaces after this one, or the store was put back to an
    /// earlier time.
    #[error(
        "another operator has taken over (this one's epoch is {epoch}), so nothing is written any more"
    )]
    Superseded {
        /// The epoch of the claim that doesn't stand any more.
        epoch: i64,
    },
    /// The operator hasn't claimed the namespace.
    #[error("this operator hasn't claimed the namespace {namespace}, so it writes nothing there")]
    Unclaimed {
        /// The namespace.
        namespace: String,
    },
    /// The store's file isn't the one at its place any more, or there is none: what is opened now
    /// would be lost with the process.
    #[error("{0}")]
    Replaced(String),
    /// A row that roster wrote can't be read any more.
    #[error("the store holds a row that can't be read: {0}")]
    Corrupt(String),
    /// The database failed.
    #[error("the store failed{}", sql::in_words(.0))]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the store answered and choked on what is in it or asked of it, so that other rows
    /// can still be used.
    #[must_use]
    pub fn is_about_data(&self) -> bool {
        match self {
            Self::Corrupt(_)
            | Self::Unclaimed { .. }
            | Self::Database(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => true,
            Self::Database(sqlx::Error::Database(error)) => {
                // PostgreSQL's classes of what it can't take: values, constraints, and what is too
                // large for an index.
                let code = error.code().unwrap_or_default();
                let is_refused = code.len() == 5
                    && ["22", "23", "54"].iter().any(|class| code.starts_with(class));
                is_refused || error.kind() != sqlx::error::ErrorKind::Other
            }
            Self::NewerSchema { .. }
            | Self::Address(_)
            | Self::Unusable(_)
            | Self::HasOperator(_)
            | Self::Superseded { .. }
            | Self::Replaced(_)
            | Self::Database(_) => false,
        }
    }

    /// Whether somebody else keeps the whole store locked: an application that writes, or a
    /// command.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        matches!(self, Self::Database(error) if sql::is_locked_out(error))
    }

    /// Whether an operator that goes on can't come right: only one that starts anew can.
    #[must_use]
    pub fn ends_the_work(&self) -> bool {
        match self {
            Self::NewerSchema { .. } | Self::Superseded { .. } | Self::Replaced(_) => true,
            Self::Address(_)
            | Self::Unusable(_)
            | Self::HasOperator(_)
            | Self::Unclaimed { .. }
            | Self::Corrupt(_)
            | Self::Database(_) => false,
        }
    }
}

/// How many of the newest changes by members are kept for who looks later.
const MEMBER_CHANGES: i64 = 10_000;
