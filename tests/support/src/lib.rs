//! What several test binaries and benchmarks share.
//!
//! | module | what it has |
//! |---|---|
//! | [`cluster`] | a real control plane, organizations in it, people who make requests, and operators |
//! | [`fake_cluster`], [`flaky_store`] | an API server in memory around the real reconciler, and a store that fails |
//! | [`postgres`], [`scim_server`], [`slapd`] | servers of the tests' own, each stopped by a guardian ([`supervise`]) |
//! | [`fake_directory`] | the folder that stands in for a directory |
//! | [`application`] | a connection to a store as applications open one |
//! | [`plans`] | accounts, plans and what is expected of their receipts |
//! | [`chaos`], [`rng`] | faults drawn from a seed, and the oracles that judge what they leave |
//! | [`corpus`], [`needles`] | what people type, and secrets that are searched for everywhere |
//! | [`followed`], [`sample`] | organizations to measure, and the times that were measured |
//! | [`paths`] | where the binary, the project and the tests' files are |

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub mod application;
pub mod base64;
pub mod chaos;
pub mod cluster;
pub mod corpus;
pub mod fake_cluster;
pub mod fake_directory;
pub mod flaky_store;
pub mod followed;
pub mod needles;
pub mod paths;
pub mod plans;
pub mod postgres;
pub mod rng;
pub mod sample;
pub mod scim_server;
pub mod slapd;
pub mod supervise;
