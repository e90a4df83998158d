//! What users write and read: the three kinds of the group `roster.rs`, types and docs, and how
//! they are read.
//!
//! The doc comments here are what `kubectl explain` prints.

// Each column of a table repeats the names of its attributes.
#![allow(clippy::duplicated_attributes)]
// The derive of a schema repeats the type inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

pub mod lenient;
pub mod org_email_domain;
pub mod schema;
pub mod status;
pub mod user;
pub mod user_group;

pub use lenient::Lenient;
pub use org_email_domain::{OrgEmailDomain, OrgEmailDomainSpec, OrgEmailDomainStatus};
pub use status::{Condition, ConditionStatus, ConditionType, Reason};
pub use user::{User, UserSpec, UserStatus};
pub use user_group::{UserGroup, UserGroupSpec, UserGroupStatus};

/// The finalizer that holds an object until its account is gone.
pub const FINALIZER: &str = "roster.rs/account";
/// The annotation that makes an object's spec and deletion wait while it is `"true"`.
pub const PAUSED: &str = "roster.rs/paused";
/// The annotation that lets whoever has the verb `release` take the finalizer off.
pub const RELEASE: &str = "roster.rs/release";
/// The namespace label that carries an organization's customer ID.
pub const CUSTOMER_ID: &str = "roster.rs/customer-id";
/// The type of the Secrets that passwords are read from; no other Secret is.
pub const PASSWORD_SECRET: &str = "roster.rs/password";
