//! Effects on accounts: what every store does, in plain values.
//!
//! A commit is serialized: its plans are judged against what is in the store at that moment, one
//! after the other, each whole or not at all. The store never decides what an account should be;
//! it refuses what can't be, and the planner looks again.

pub mod memory;
pub mod sql;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use crate::domain::account::{Account, AccountId, Transaction};
use crate::domain::email::Email;
use crate::domain::group::GroupContent;
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::plan::{Listing, Plan};

/// A store of accounts.
pub trait Store: Send + Sync + 'static {
    /// Returns the accounts under the keys; a key without one is absent from the answer.
    fn find(&self, keys: &[AccountKey]) -> impl Future<Output = Result<HashMap<AccountKey, Account>, StoreError>> + Send;

    /// Returns what the store knows of each organization, by namespace.
    fn organizations(
        &self,
        wanted: &[Organization],
    ) -> impl Future<Output = Result<HashMap<String, OrganizationRecord>, StoreError>> + Send;

    /// Returns how many accounts use what, by namespace.
    fn counts(&self, namespaces: &[String]) -> impl Future<Output = Result<HashMap<String, Counts>, StoreError>> + Send;

    /// Returns every live account, or those of one organization, sorted by email.
    fn list(&self, namespace: Option<&str>) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send;

    /// Commits the plans in one database transaction and answers each in its place: the receipt,
    /// or why it was refused (a refused plan leaves no trace, the others stand).
    ///
    /// # Errors
    /// When nothing was committed, or it isn't known whether it was.
    fn commit(
        &self,
        plans: &[Plan],
        occasion: Occasion,
    ) -> impl Future<Output = Result<Vec<Result<Receipt, Refusal>>, StoreError>> + Send;
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
}

/// What the store knows of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationRecord {
    /// The customer ID that the organization's first account claimed, if there was one.
    pub claimed: Option<CustomerId>,
    /// Whether another namespace claimed the customer ID that the organization presents now.
    pub taken: bool,
    /// The declared groups, by name.
    pub groups: BTreeMap<String, GroupContent>,
    /// The listed domains, by the name of their `OrgEmailDomain`.
    pub listings: BTreeMap<String, Listing>,
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
pub struct Occasion {
    /// The time of the commit.
    pub now: jiff::Timestamp,
    /// When a transaction that begins with it is overdue.
    pub deadline: jiff::Timestamp,
}

/// What the store confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The account as it is now.
    Account(Box<Account>),
    /// The account is gone.
    Deleted {
        /// The account that was.
        account: AccountId,
        /// How many cases lost their owner.
        cases_unassigned: i64,
        /// The Delete.
        transaction: Transaction,
    },
    /// A group or a domain is as planned.
    Done,
}

/// Why the store refused a plan. The planner looks again and tells the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
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
    /// A row that roster wrote can't be read any more.
    #[error("the store holds a row that can't be read: {0}")]
    Corrupt(String),
    /// The database failed.
    #[error("the store failed")]
    Database(#[source] sqlx::Error),
}
