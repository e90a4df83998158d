//! The nouns: emails, domains, permissions, organizations, groups, accounts, bills. Values, no
//! effects.

pub mod account;
pub mod billing;
pub mod clocks;
pub mod email;
pub mod group;
pub mod inheritance;
pub mod login_attempts;
pub mod object_key;
pub mod organization;
pub mod password;
pub mod permission;
pub mod profile;
pub mod self_service;
pub mod text;
pub mod time_zone;
