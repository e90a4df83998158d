//! Why something isn't done: each reason with its sentence and its cure, once.

use std::fmt;

use crate::api::Reason;
use crate::domain::account::AccountId;
use crate::domain::email::{Domain, DomainError, Email, EmailError};
use crate::domain::organization::{CustomerId, CustomerIdError, LoginName};

/// Why something of a spec isn't done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// We let go of the object, and something else still holds it.
    Deleting,
    /// The object is paused.
    Paused,
    /// The spec sets a field that this version doesn't know what to do with.
    NotYetSupported {
        /// The path of the field.
        field: &'static str,
    },
    /// The User is deleted but protected.
    DeletionProtected,
    /// The object is deleted but still used.
    InUse {
        /// By how many accounts.
        accounts: i64,
        /// What these accounts are to it.
        role: UsedBy,
    },
    /// The status names an account that the store doesn't know.
    AccountLost {
        /// The account's id.
        account: String,
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
    /// The store can't be reached.
    StoreUnavailable,
}

/// What accounts are to the object that they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedBy {
    /// They are members of the group.
    Members,
    /// Their addresses are in the domain.
    Addresses,
}

/// Who has what somebody else asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// The name of the `User` that owns it.
    pub user: String,
}

impl Blocked {
    /// Returns the reason as conditions give it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Deleting => Reason::Deleting,
            Self::Paused => Reason::Paused,
            Self::NotYetSupported { .. } => Reason::NotYetSupported,
            Self::DeletionProtected => Reason::DeletionProtected,
            Self::InUse { .. } => Reason::InUse,
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
            Self::DomainInvalid(_) | Self::PublicSuffix(_) => Reason::DomainInvalid,
            Self::DomainTaken { .. } => Reason::DomainTaken,
            Self::StoreUnavailable => Reason::StoreUnavailable,
        }
    }

    /// Whether it heals by itself when something else arrives; else somebody must act.
    #[must_use]
    pub fn heals(&self) -> bool {
        match self {
            Self::Deleting
            | Self::Paused
            | Self::DeletionProtected
            | Self::InUse { .. }
            | Self::GroupNotFound { .. }
            | Self::DomainNotAllowed { .. }
            | Self::StoreUnavailable => true,
            Self::NotYetSupported { .. }
            | Self::AccountLost { .. }
            | Self::CustomerIdInvalid(_)
            | Self::CustomerIdTaken(_)
            | Self::CustomerIdChanged { .. }
            | Self::ChargeNotApproved
            | Self::LoginTaken { .. }
            | Self::EmailInvalid(_)
            | Self::EmailTaken { .. }
            | Self::DomainInvalid(_)
            | Self::PublicSuffix(_)
            | Self::DomainTaken { .. } => false,
        }
    }

    /// Whether it is about the email, so that the condition `EmailAccepted` gives it too.
    #[must_use]
    pub fn concerns_email(&self) -> bool {
        matches!(self, Self::EmailInvalid(_) | Self::DomainNotAllowed { .. } | Self::EmailTaken { .. })
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleting => write!(f, "deleted, and nothing of it is left in the store; a finalizer of somebody else holds it"),
            Self::Paused => write!(f, "paused: remove the annotation roster.rs/paused to go on"),
            Self::NotYetSupported { field } => {
                write!(
                    f,
                    "{field} isn't supported by this version of roster: remove it; until then nothing of this spec is applied"
                )
            }
            Self::DeletionProtected => {
                write!(f, "deleted, but protected: set spec.deletionProtection to Disabled to delete the account for good")
            }
            Self::InUse { accounts, role } => {
                let (what, cure) = match role {
                    UsedBy::Members => ("member(s)", "move them to another group"),
                    UsedBy::Addresses => ("address(es) in it", "change them"),
                };
                write!(f, "deleted, but there are still {accounts} {what}: {cure} or delete their Users")
            }
            Self::AccountLost { account } => write!(
                f,
                "the store doesn't know the account {account} that this status names: restore the store, or delete this User and create it anew for a new account"
            ),
            Self::CustomerIdInvalid(error) => write!(f, "the namespace's label roster.rs/customer-id: {error}"),
            Self::CustomerIdTaken(id) => write!(
                f,
                "the customer ID {id} belongs to another organization: label this namespace with another one, roster.rs/customer-id=… (unlocked by its label roster.rs/deletion-protection=off)"
            ),
            Self::CustomerIdChanged { claimed } => write!(
                f,
                "this organization's customer ID is {claimed} since its first account: label the namespace roster.rs/customer-id={claimed} again (unlocked by its label roster.rs/deletion-protection=off)"
            ),
            Self::ChargeNotApproved => {
                write!(f, "an account costs an additional charge: approve it by setting spec.chargeApproved to true")
            }
            Self::LoginTaken { login_name, holder } => write!(
                f,
                "the login name {login_name} belongs to the User {}: delete this User and create it with another spec.username",
                holder.user
            ),
            Self::GroupNotFound { group, leaving: false } => {
                write!(f, "there is no UserGroup {group} in force: create it, or name another one in spec.groupRef")
            }
            Self::GroupNotFound { group, leaving: true } => {
                write!(f, "the UserGroup {group} is being deleted and takes no new members: name another one in spec.groupRef")
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
            Self::EmailTaken { email, holder } => {
                write!(f, "{email} belongs to the User {}: change spec.email here or there", holder.user)
            }
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
            Self::StoreUnavailable => write!(f, "the account store can't be reached: the change is applied once it is back"),
        }
    }
}
