//! The nouns: emails, domains, permissions, organizations, groups. Values only, no effects.

pub mod account;
pub mod email;
pub mod group;
pub mod organization;
pub mod permission;

pub use account::{AccountId, Content, Lifecycle, Profile, Revision};
pub use email::{Domain, DomainError, Email, EmailError};
pub use group::GroupContent;
pub use organization::{CustomerId, LoginName, Organization};
pub use permission::{Permission, Permissions};
