//! Why something isn't done: each reason with its sentence and its cure, once.

use std::fmt;

use super::directories::{Behind, Lag};
use super::in_flight::DirectoryProblem;
use super::unreadable::consequence;
use crate::api::lenient::{Field, UnreadableField};
use crate::api::{PASSWORD_SECRET, Reason};
use crate::domain::account::{Account, AccountId, TransactionKind};
use crate::domain::email::{Domain, DomainError, Email, EmailError};
use crate::domain::inheritance::MAX_DEPTH;
use crate::domain::organization::{CustomerId, CustomerIdError, LoginName};
use crate::domain::password::Requirement;

/// Why something of a spec isn't done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// We let go of the object, and something else still holds it.
    Deleting,
    /// The object is paused.
    Paused,
    /// The User is deleted but protected.
    DeletionProtected,
    /// The object is deleted but still used.
    InUse {
        /// By how many accounts.
        accounts: i64,
        /// What these accounts are to it.
        role: UsedBy,
    },
    /// The User is deleted, but others inherit from it.
    HasHeirs {
        /// The names of their Users.
        heirs: Vec<String>,
    },
    /// It would leave the organization without an enabled user with full control.
    LastAdministrator {
        /// What it is that would.
        by: AdminLossCause,
    },
    /// The User had an account, and has it no more.
    AccountLost {
        /// The account's id.
        account: String,
        /// What became of it, as far as the store knows.
        fate: Fate,
    },
    /// The namespace's label isn't a customer ID.
    CustomerIdInvalid(CustomerIdError),
    /// Another namespace has the customer ID.
    CustomerIdTaken(CustomerId),
    /// The first account fixed another customer ID.
    CustomerIdChanged {
        /// The one that was fixed.
        claimed: CustomerId,
    },
    /// The charge isn't approved.
    ChargeNotApproved,
    /// Another account has the login name.
    LoginTaken {
        /// The login name.
        login_name: LoginName,
        /// Who has it.
        holder: Holder,
    },
    /// The group isn't there.
    GroupNotFound {
        /// Its name.
        group: String,
        /// Whether it is there, but on its way out.
        leaving: bool,
    },
    /// The email can't be understood.
    EmailInvalid(EmailError),
    /// The email's domain isn't listed.
    DomainNotAllowed {
        /// The domain.
        domain: String,
        /// Whether it is listed, but on its way out.
        leaving: bool,
    },
    /// Another account of the organization has the email.
    EmailTaken {
        /// The email.
        email: Email,
        /// Who has it.
        holder: Holder,
    },
    /// The User that something is to come from isn't there.
    SourceNotFound {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        user: String,
        /// Whether it is there, but on its way out.
        leaving: bool,
    },
    /// The User that something is to come from has no account yet.
    SourceNotReady {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        user: String,
    },
    /// The User inherits from itself, through others or not.
    InheritanceCycle {
        /// The names on the loop, this User's first, as many as a message has room for.
        users: Vec<String>,
        /// How many more are on it.
        more: usize,
    },
    /// Permissions come through too many others.
    InheritanceTooDeep {
        /// The name of the User that they would come from.
        user: String,
    },
    /// The domain can't be understood.
    DomainInvalid(DomainError),
    /// The domain is a public suffix.
    PublicSuffix(Domain),
    /// Another object lists the domain.
    DomainTaken {
        /// The domain.
        domain: Domain,
        /// The name of the other `OrgEmailDomain`.
        holder: String,
    },
    /// The store doesn't take the change now.
    StoreUnavailable(StoreTrouble),
    /// The store refuses what is planned again and again.
    RefusedByStore {
        /// Why, in the store's words.
        why: String,
    },
    /// The account that `spec.adopt` names, or the one of the User's name, can't be taken over.
    NotAdoptable {
        /// The account's id.
        account: String,
        /// Why not.
        why: NotAdoptable,
    },
    /// The Secret isn't there, or is of another type.
    PasswordSecretNotFound {
        /// Its name.
        secret: String,
        /// Whether the account has a password, which stays in force.
        keeps: bool,
    },
    /// The Secret lacks a key.
    PasswordKeyNotFound {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
        /// Whether the account has a password, which stays in force.
        keeps: bool,
    },
    /// The password doesn't meet the requirements.
    PasswordRejected {
        /// The name of the Secret.
        secret: String,
        /// The requirements that it doesn't meet.
        unmet: Vec<Requirement>,
        /// Whether the account has another password, which stays in force.
        keeps: bool,
    },
    /// The password is being looked at.
    PasswordUnjudged(TransactionKind),
    /// The transaction in flight is past its deadline.
    DeadlineExceeded {
        /// What it does.
        kind: TransactionKind,
        /// What keeps it from its end.
        waiting_for: Vec<Unconfirmed>,
    },
    /// The change waits for the end of a transaction.
    QueuedBehindTransaction(TransactionKind),
    /// The account that the User takes over is in a transaction of its former User's.
    TakeOverQueued {
        /// The account.
        account: AccountId,
        /// What the transaction does.
        kind: TransactionKind,
    },
    /// A directory doesn't confirm the transaction in flight.
    DirectoryUnavailable {
        /// What the transaction does.
        kind: TransactionKind,
        /// Which directories don't, and why.
        failing: Vec<Unconfirmed>,
    },
    /// A directory refuses the transaction in flight.
    DirectoryRefused {
        /// What the transaction does.
        kind: TransactionKind,
        /// Which directories don't confirm it, and why.
        failing: Vec<Unconfirmed>,
    },
    /// The transaction is in flight.
    InTransaction(TransactionKind),
    /// Directories don't have what is in force, without a transaction in flight.
    DirectoriesBehind(Behind),
    /// The spec has values that this version doesn't understand.
    UnsupportedValue {
        /// Which.
        fields: Vec<UnreadableField>,
        /// Whether nothing is made of the object before they are understood.
        is_new: bool,
    },
}

impl Blocked {
    /// Returns what a transaction in flight waits for: directories that refuse it or fail, if there
    /// are any.
    #[must_use]
    pub fn on_its_way(kind: TransactionKind, unconfirmed: Vec<Unconfirmed>) -> Self {
        let failing: Vec<Unconfirmed> =
            unconfirmed.into_iter().filter(|directory| directory.problem.is_some()).collect();
        let is_refused = |directory: &Unconfirmed| {
            matches!(directory.problem, Some(DirectoryProblem::Refused(_)))
        };
        match failing.is_empty() {
            true => Self::InTransaction(kind),
            false if failing.iter().any(is_refused) => Self::DirectoryRefused { kind, failing },
            false => Self::DirectoryUnavailable { kind, failing },
        }
    }
}

/// A directory that has yet to confirm a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Its name.
    pub directory: String,
    /// What went wrong when it was last asked, if anything did.
    pub problem: Option<DirectoryProblem>,
}

/// What became of an account that a `User` had, and has no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The store never heard of it.
    Unknown,
    /// It was deleted for good.
    Deleted,
    /// The `User` of this name has it.
    Owned(String),
}

/// Why an account can't be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdoptable {
    /// The organization has no such account.
    Unknown,
    /// The account's own `User`, of this name, is there.
    Owned(String),
    /// The `User` has an account already.
    HasAnother(AccountId),
    /// The id of a directory's entry is an account's already, or was one's.
    IdKnown,
    /// The account of the User's name was left behind in another group than the one asked for.
    InAnotherGroup {
        /// The group that it is in.
        group: String,
    },
    /// The account was there before, so nothing is copied into it.
    NoCopy,
}

/// What accounts are to the object that they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedBy {
    /// They are members of the group.
    Members,
    /// Their addresses are in the domain.
    Addresses,
}

/// What would take the last enabled user with full control away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminLossCause {
    /// The User's deletion.
    Deletion,
    /// Disabling the User or moving it to another group.
    Edit,
    /// Taking full control from the group.
    Group,
    /// The group's deletion.
    GroupDeletion,
}

/// Who has what somebody else asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// The name of the `User` that owns it, or that owned it last; empty where none ever did.
    pub user: String,
    /// Whether a `User` of that name is there. Else the account was left behind: let go of, or
    /// orphaned.
    pub is_declared: bool,
}

impl Holder {
    /// Returns the holder that an account is.
    #[must_use]
    pub fn of(account: &Account, is_declared: bool) -> Self {
        Self { account: account.id, user: account.owner.name.clone(), is_declared }
    }

    /// Returns how the account of a holder without a `User` is had by another one: a message of its
    /// own about what it has.
    fn left_behind(&self, what: &str, otherwise: &str) -> String {
        let Self { account, user, .. } = self;
        let (whose, back) = match user.as_str() {
            "" => ("which no User ever owned".to_owned(), String::new()),
            user => (
                format!("whose User {user} isn't there any more"),
                format!("name it {user} again, or "),
            ),
        };
        format!(
            "{what} belongs to the account {account}, {whose}. To take the account over, delete this User and {back}create it with spec.adopt: {account}, which needs the verb adopt on accounts.roster.rs/{account}; otherwise {otherwise}"
        )
    }
}

/// Why the store doesn't take a change now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTrouble {
    /// It can't be reached.
    Away,
    /// An application keeps all of it locked.
    Busy,
    /// An application has locked what the change needs.
    Locked,
    /// It had no time left for the change.
    Slow,
}

impl Blocked {
    /// Returns the reason as conditions give it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Deleting => Reason::Deleting,
            Self::Paused => Reason::Paused,
            Self::DeletionProtected => Reason::DeletionProtected,
            Self::InUse { .. } | Self::HasHeirs { .. } => Reason::InUse,
            Self::LastAdministrator { .. } => Reason::LastAdministrator,
            Self::AccountLost { .. } => Reason::AccountLost,
            Self::CustomerIdInvalid(_) => Reason::CustomerIdInvalid,
            Self::CustomerIdTaken(_) => Reason::CustomerIdTaken,
            Self::CustomerIdChanged { .. } => Reason::CustomerIdChanged,
            Self::ChargeNotApproved => Reason::ChargeNotApproved,
            Self::LoginTaken { .. } => Reason::LoginTaken,
            Self::GroupNotFound { .. } => Reason::GroupNotFound,
            Self::EmailInvalid(_) => Reason::EmailInvalid,
            Self::DomainNotAllowed { .. } => Reason::DomainNotAllowed,
            Self::EmailTaken { .. } => Reason::EmailTaken,
            Self::SourceNotFound { .. } => Reason::SourceNotFound,
            Self::SourceNotReady { .. } => Reason::SourceNotReady,
            Self::InheritanceCycle { .. } => Reason::InheritanceCycle,
            Self::InheritanceTooDeep { .. } => Reason::InheritanceTooDeep,
            Self::DomainInvalid(_) | Self::PublicSuffix(_) => Reason::DomainInvalid,
            Self::DomainTaken { .. } => Reason::DomainTaken,
            Self::StoreUnavailable(_) => Reason::StoreUnavailable,
            Self::RefusedByStore { .. } => Reason::RefusedByStore,
            Self::NotAdoptable { .. } => Reason::NotAdoptable,
            Self::PasswordSecretNotFound { .. } | Self::PasswordKeyNotFound { .. } => {
                Reason::PasswordSecretNotFound
            }
            Self::PasswordRejected { .. } => Reason::PasswordRejected,
            Self::DeadlineExceeded { .. } => Reason::DeadlineExceeded,
            Self::QueuedBehindTransaction(_) | Self::TakeOverQueued { .. } => {
                Reason::QueuedBehindTransaction
            }
            Self::DirectoryUnavailable { .. } => Reason::DirectoryUnavailable,
            Self::DirectoryRefused { .. } => Reason::DirectoryRefused,
            Self::DirectoriesBehind(behind) => behind.lag.reason(),
            Self::PasswordUnjudged(kind) | Self::InTransaction(kind) => reason_of(*kind),
            Self::UnsupportedValue { .. } => Reason::UnsupportedValue,
        }
    }

    /// Whether it heals by itself when something else arrives; else somebody must act.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::DirectoriesBehind(behind) => behind.lag != Lag::Refused,
            Self::Deleting
            | Self::Paused
            | Self::DeletionProtected
            | Self::InUse { .. }
            | Self::HasHeirs { .. }
            | Self::LastAdministrator { .. }
            | Self::GroupNotFound { .. }
            | Self::DomainNotAllowed { .. }
            | Self::SourceNotFound { .. }
            | Self::SourceNotReady { .. }
            | Self::PasswordSecretNotFound { .. }
            | Self::PasswordKeyNotFound { .. }
            | Self::PasswordUnjudged(_)
            | Self::QueuedBehindTransaction(_)
            | Self::TakeOverQueued { .. }
            | Self::DirectoryUnavailable { .. }
            | Self::InTransaction(_)
            | Self::RefusedByStore { .. }
            | Self::StoreUnavailable(_) => true,
            Self::AccountLost { .. }
            | Self::CustomerIdInvalid(_)
            | Self::CustomerIdTaken(_)
            | Self::CustomerIdChanged { .. }
            | Self::ChargeNotApproved
            | Self::LoginTaken { .. }
            | Self::EmailInvalid(_)
            | Self::EmailTaken { .. }
            | Self::InheritanceCycle { .. }
            | Self::InheritanceTooDeep { .. }
            | Self::DomainInvalid(_)
            | Self::PublicSuffix(_)
            | Self::NotAdoptable { .. }
            | Self::PasswordRejected { .. }
            | Self::DeadlineExceeded { .. }
            | Self::DirectoryRefused { .. }
            | Self::UnsupportedValue { .. }
            | Self::DomainTaken { .. } => false,
        }
    }

    /// Whether it is about the email, so that the condition `EmailAccepted` gives it too.
    #[must_use]
    pub fn concerns_email(&self) -> bool {
        match self {
            Self::EmailInvalid(_) | Self::DomainNotAllowed { .. } | Self::EmailTaken { .. } => true,
            Self::UnsupportedValue { fields, .. } => {
                fields.iter().any(|unreadable| unreadable.field == Field::Email)
            }
            _ => false,
        }
    }

    /// Whether it is about the password, so that the condition `LoginReady` gives it too.
    #[must_use]
    pub fn concerns_password(&self) -> bool {
        matches!(
            self,
            Self::PasswordSecretNotFound { .. }
                | Self::PasswordKeyNotFound { .. }
                | Self::PasswordRejected { .. }
                | Self::PasswordUnjudged(_)
        )
    }

    /// Whether it is about where permissions come from, so that the condition `PermissionsResolved`
    /// gives it too.
    #[must_use]
    pub fn concerns_permissions(&self) -> bool {
        match self {
            Self::SourceNotFound { field, .. } | Self::SourceNotReady { field, .. } => {
                *field == PERMISSIONS_FROM
            }
            Self::InheritanceCycle { .. } | Self::InheritanceTooDeep { .. } => true,
            Self::UnsupportedValue { fields, .. } => {
                let about = [Field::Grants, Field::From, Field::Permissions];
                fields.iter().any(|unreadable| about.contains(&unreadable.field))
            }
            _ => false,
        }
    }
}

/// Returns the reason that a transaction gives while it is in flight: its own type.
#[must_use]
pub fn reason_of(kind: TransactionKind) -> Reason {
    match kind {
        TransactionKind::Create => Reason::Create,
        TransactionKind::Delete => Reason::Delete,
        TransactionKind::PasswordChange => Reason::PasswordChange,
        TransactionKind::Disable => Reason::Disable,
        TransactionKind::Enable => Reason::Enable,
    }
}

/// The field that names whose permissions are inherited or cloned.
pub const PERMISSIONS_FROM: &str = "spec.permissions.from";
/// The field that names who is copied.
pub const COPY_OF: &str = "spec.copyOf";

/// Returns the names on a loop, back to the first, cut where a condition's message has no more
/// room.
fn loop_message(users: &[String], more: usize) -> String {
    let mut text = String::new();
    for (number, user) in users.iter().chain(users.first()).enumerate() {
        if text.len() + user.len() > ROOM_FOR_A_LOOP {
            return format!("{text}{ARROW}and {} more", users.len() + more - number);
        }
        text += if number == 0 { "" } else { ARROW };
        text += user;
    }
    text
}

/// How long a loop may be in a message, in bytes; a condition has room for 4096 characters.
pub(super) const ROOM_FOR_A_LOOP: usize = 3500;

/// What stands between two names on a loop.
pub(super) const ARROW: &str = " -> ";

/// How many names a message lists.
const LISTED_NAMES: usize = 10;

/// Returns the names, as many as a message has room for, and how many more there are.
fn joined(names: &[String], separator: &str) -> String {
    let more = names.len().saturating_sub(LISTED_NAMES);
    let shown = names[..names.len() - more].join(separator);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Returns which directories have yet to confirm, and why.
fn confirmations(unconfirmed: &[Unconfirmed]) -> String {
    let one = |Unconfirmed { directory, problem }: &Unconfirmed| match problem {
        Some(problem) => {
            format!("the directory {directory} hasn't confirmed it ({})", problem.words())
        }
        None => format!("the directory {directory} hasn't confirmed it"),
    };
    joined(&unconfirmed.iter().map(one).collect::<Vec<_>>(), ", ")
}

/// Returns what is said of a password that stays in force.
fn frozen_note(keeps: bool) -> &'static str {
    if keeps { ". The password that was set before stays in force until then" } else { "" }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleting => write!(
                f,
                "deleted, and nothing of it is left in the store; a finalizer of somebody else holds it"
            ),
            Self::Paused => write!(f, "paused: remove the annotation roster.rs/paused to go on"),
            Self::DeletionProtected => {
                write!(
                    f,
                    "deleted, but protected: set spec.deletionProtection to Disabled to delete the account for good"
                )
            }
            Self::InUse { accounts, role } => {
                let (what, cure) = match role {
                    UsedBy::Members => ("member(s)", "move them to another group"),
                    UsedBy::Addresses => ("address(es) in it", "change them"),
                };
                write!(
                    f,
                    "deleted, but there are still {accounts} {what}: {cure} or delete their Users"
                )
            }
            Self::HasHeirs { heirs } => write!(
                f,
                "deleted, but others inherit from it ({}): change their spec.permissions.from, or delete them",
                joined(heirs, ", ")
            ),
            Self::LastAdministrator { by } => {
                let what = match by {
                    AdminLossCause::Deletion => "deleted while others stay, but this is",
                    AdminLossCause::Edit => "spec.state and spec.groupRef aren't applied: this is",
                    AdminLossCause::Group => "spec.fullControl isn't applied: in this group is",
                    AdminLossCause::GroupDeletion => "deleted, but in this group is",
                };
                write!(
                    f,
                    "{what} the organization's last enabled user with full control: give it to another one first, for example by groupRef administrators"
                )
            }
            Self::AccountLost { account, fate: Fate::Unknown } => write!(
                f,
                "the store doesn't know the account {account} that this status names: restore the store, or delete this User and create it anew for a new account"
            ),
            Self::AccountLost { account, fate: Fate::Deleted } => write!(
                f,
                "the account {account} of this User was deleted for good, and the User was put back since, as a restore of etcd does: delete this User (with spec.deletionProtection Disabled) and create it anew for a new account"
            ),
            Self::AccountLost { account, fate: Fate::Owned(user) } => write!(
                f,
                "the account {account} of this User belongs to the User {user} by now: delete this User (with spec.deletionProtection Disabled) and create it anew for an account of its own"
            ),
            Self::CustomerIdInvalid(error) => {
                write!(f, "the namespace's label roster.rs/customer-id: {error}")
            }
            Self::CustomerIdTaken(id) => write!(
                f,
                "the customer ID {id} belongs to another organization: label this namespace with another one, roster.rs/customer-id=… (unlocked by its label roster.rs/deletion-protection=off)"
            ),
            Self::CustomerIdChanged { claimed } => write!(
                f,
                "this organization's customer ID is {claimed} since its first account: label the namespace roster.rs/customer-id={claimed} again (unlocked by its label roster.rs/deletion-protection=off)"
            ),
            Self::ChargeNotApproved => {
                write!(
                    f,
                    "an account costs an additional charge: approve it by setting spec.chargeApproved to true"
                )
            }
            Self::LoginTaken { login_name, holder } if !holder.is_declared => {
                let what = format!("the login name {login_name}");
                f.write_str(&holder.left_behind(
                    &what,
                    "delete this User and create it with another spec.username",
                ))
            }
            Self::LoginTaken { login_name, holder } => write!(
                f,
                "the login name {login_name} belongs to the User {}: delete this User and create it with another spec.username",
                holder.user
            ),
            Self::GroupNotFound { group, leaving: false } => {
                write!(
                    f,
                    "there is no UserGroup {group} in force: create it, or name another one in spec.groupRef"
                )
            }
            Self::GroupNotFound { group, leaving: true } => {
                write!(
                    f,
                    "the UserGroup {group} is being deleted and takes no new members: name another one in spec.groupRef"
                )
            }
            Self::EmailInvalid(error) => write!(f, "spec.email can't be used: {error}"),
            Self::DomainNotAllowed { domain, leaving: true } => write!(
                f,
                "the OrgEmailDomain that lists {domain} is being deleted and takes no new addresses: change spec.email, or list the domain again once it is gone"
            ),
            Self::DomainNotAllowed { domain, leaving: false } => write!(
                f,
                "the domain {domain} isn't in the organization's list: add an OrgEmailDomain for it, or change spec.email"
            ),
            Self::EmailTaken { email, holder } if !holder.is_declared => {
                f.write_str(&holder.left_behind(email.as_str(), "change spec.email"))
            }
            Self::EmailTaken { email, holder } => {
                write!(
                    f,
                    "{email} belongs to the User {}: change spec.email here or there",
                    holder.user
                )
            }
            Self::SourceNotFound { field, user, leaving: false } => {
                write!(f, "{field}: there is no User {user}: create it, or name another one")
            }
            Self::SourceNotFound { field, user, leaving: true } => {
                write!(
                    f,
                    "{field}: the User {user} is being deleted, so nothing comes from it any more: name another one"
                )
            }
            Self::SourceNotReady { field, user } => {
                write!(
                    f,
                    "{field}: the User {user} has no account yet; its condition Ready says why"
                )
            }
            Self::InheritanceCycle { users, more } => write!(
                f,
                "permissions are inherited in a loop ({}): change spec.permissions.from of one of them; until then nothing new is inherited on it",
                // The whole loop, as far as a condition has room for it.
                loop_message(users, *more)
            ),
            Self::InheritanceTooDeep { user } => write!(
                f,
                "permissions would come from {user} through more than {MAX_DEPTH} others, so none are inherited: name a User nearer to where they are granted in spec.permissions.from"
            ),
            Self::DomainInvalid(error) => write!(f, "spec.domain can't be used: {error}"),
            Self::PublicSuffix(domain) => write!(
                f,
                "spec.domain can't be used: anybody can register a name below {domain} (it is a public suffix); list the organization's own domain"
            ),
            Self::DomainTaken { domain, holder } => {
                write!(
                    f,
                    "{domain} is already listed by the OrgEmailDomain {holder}: delete one of the two, or change spec.domain"
                )
            }
            Self::StoreUnavailable(trouble) => match trouble {
                StoreTrouble::Away => write!(
                    f,
                    "the account store can't be reached: the change is applied once it is back"
                ),
                StoreTrouble::Busy => write!(
                    f,
                    "an application keeps the whole account store locked by a transaction that doesn't end: the change is applied once it ends; end that transaction, or the application"
                ),
                StoreTrouble::Locked => write!(
                    f,
                    "an application has locked what this change needs in the account store, the table cases or rows of it, by a transaction that doesn't end: the change is applied once it ends; PostgreSQL's views pg_locks and pg_stat_activity say whose it is"
                ),
                StoreTrouble::Slow => write!(
                    f,
                    "the account store had no time left for this change, because it is slow or the account owns very many cases: it is tried again, less and less often; see to the load of the database, or have an application assign the cases to others"
                ),
            },
            Self::RefusedByStore { why } => write!(
                f,
                "the store refuses the change again and again ({why}), and the operator tries once a minute: if that lasts, look with roster doctor for what else changes the store, or for an object that was put back to an earlier time"
            ),
            Self::NotAdoptable { account, why } => match why {
                NotAdoptable::Unknown => write!(
                    f,
                    "spec.adopt: this organization has no account {account}: delete this User and create it with an id that roster doctor lists, or without one"
                ),
                NotAdoptable::Owned(user) => write!(
                    f,
                    "spec.adopt: the account {account} belongs to the User {user}, which is there: delete that one with deletionPolicy Retain first"
                ),
                NotAdoptable::IdKnown => write!(
                    f,
                    "spec.adopt: {account} asks for a new account of this id, which an account has or had: delete this User and create it without spec.adopt, or with the id of an account that roster doctor lists"
                ),
                NotAdoptable::HasAnother(has) => write!(
                    f,
                    "spec.adopt: this User has the account {has} already, so it doesn't take over {account}: delete this User and create it without spec.adopt, or under another name"
                ),
                NotAdoptable::InAnotherGroup { group } => write!(
                    f,
                    "the account {account} of this name was left behind in the group {group}, so only a User that asks for that group takes it back: set spec.groupRef to {group} and change it afterwards; or delete this User and create it with spec.adopt {account}, which needs the verb adopt on accounts.roster.rs/{account}"
                ),
                NotAdoptable::NoCopy => write!(
                    f,
                    "spec.copyOf: the account {account} was there before, and nothing is copied into it: delete this User and create it without spec.copyOf"
                ),
            },
            Self::PasswordSecretNotFound { secret, keeps } => write!(
                f,
                "there is no Secret {secret} of type {PASSWORD_SECRET}: create it, or name another one in spec.passwordSecretRef; a Secret's type can't be changed, so one of another type has to be deleted and created anew (kubectl get secret {secret} shows whether one is there, and its type: the operator is shown no other Secrets){}",
                frozen_note(*keeps)
            ),
            Self::PasswordKeyNotFound { secret, key, keeps } => write!(
                f,
                "the Secret {secret} has no key {key}: add it, or name another key in spec.passwordSecretRef{}",
                frozen_note(*keeps)
            ),
            Self::PasswordRejected { secret, unmet, keeps } => {
                let unmet: Vec<String> = unmet.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the password in the Secret {secret} {}: put another one there; roster password-policy says what one must be{}",
                    unmet.join("; and "),
                    frozen_note(*keeps)
                )
            }
            Self::PasswordUnjudged(_) => write!(f, "the password in the Secret is being looked at"),
            Self::DeadlineExceeded { kind, waiting_for } => {
                write!(
                    f,
                    "the {} is past its deadline and goes on: {}",
                    kind.as_str(),
                    confirmations(waiting_for)
                )
            }
            Self::QueuedBehindTransaction(kind) => write!(
                f,
                "the {} of this account is in flight: what was changed since is applied when it ends; what takes rights away was applied at once",
                kind.as_str()
            ),
            Self::TakeOverQueued { account, kind } => write!(
                f,
                "the {} of the account {account}, which this User takes over, is in flight: the account is taken over when it ends, and nothing is applied before",
                kind.as_str()
            ),
            Self::DirectoryUnavailable { kind, failing } => {
                write!(
                    f,
                    "the {} is in flight and tried again and again: {}",
                    kind.as_str(),
                    confirmations(failing)
                )
            }
            Self::DirectoryRefused { kind, failing } => write!(
                f,
                "the {} is in flight and refused: {}: correct what it names, here or in the directory; it is tried again, less and less often",
                kind.as_str(),
                confirmations(failing)
            ),
            Self::DirectoriesBehind(behind) => write!(f, "{}", behind.message),
            Self::InTransaction(kind) => {
                write!(
                    f,
                    "the {} is in force in the store, and on its way to the directories",
                    kind.as_str()
                )
            }
            Self::UnsupportedValue { fields, is_new } => {
                let one = |UnreadableField { field, path, value, problem }: &UnreadableField| {
                    let what = problem.as_ref().map_or_else(
                        || format!("{path} is {value}"),
                        |why| format!("{path} {why}"),
                    );
                    if *is_new { what } else { format!("{what}: {}", consequence(*field)) }
                };
                let is_understood = fields.iter().all(|unreadable| unreadable.problem.is_some());
                let fields = joined(&fields.iter().map(one).collect::<Vec<_>>(), "; ");
                let rest = if *is_new {
                    "nothing is made of it until then"
                } else {
                    "everything else is in force"
                };
                if is_understood {
                    return write!(f, "{fields}; {rest}. Correct it");
                }
                write!(
                    f,
                    "not understood by this version of roster: {fields}; {rest}. Correct it, or run a version of roster that knows it"
                )
            }
        }
    }
}
