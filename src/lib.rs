//! roster: a Kubernetes operator that reconciles `User`, `UserGroup` and `OrgEmailDomain` resources into
//! an account store, and from there into directories.
//!
//! # The flow
//!
//! ```text
//!  watch caches ─┐                                     ┌─> Kubernetes: status, event, finalizer
//!                ├─ observe ─> Snapshot ─ decide ─> Decision ─ commit ─> Receipt ─ report
//!  store.read ───┘  (reads)     (value)   (pure)    (value)   (one tx)  (value)   (patch if changed)
//!                                                      └─ Blocked(reason) ───────────^
//! ```
//!
//! Start with [`controller::reconciler`]: it is the one file that shows this order.
//!
//! # The modules
//!
//! | module | what it has |
//! |---|---|
//! | [`api`] | the three kinds that users write and read; types and docs only |
//! | [`domain`] | the nouns: emails, permissions and their inheritance, organizations, groups, accounts, bills |
//! | [`plan`] | the decision, pure: snapshot in, decision out; the refusals; what a status says |
//! | [`store`] | effects on accounts: the trait, the in-memory store, SQLite and PostgreSQL |
//! | [`provisioning`] | effects on directories: the queue, the worker, the SCIM and LDAP clients |
//! | [`controller`] | effects on Kubernetes: watches, cache, work queue, reconciler, object writer, leader election |
//! | [`hashing`] | Argon2id and its salt |
//! | [`cli`] | one file per subcommand |
//! | [`config`], [`telemetry`], [`clock`], [`backoff`] | flags; logs, metrics and health; the one clock; waits |
//!
//! # The invariants
//!
//! - `domain` and `plan` have no clock, no randomness and no I/O (`tests/structure.rs`).
//! - The finalizer is on an object before the store is first written for it, and is removed only
//!   after the store confirmed the end of the account.
//! - A status derives from a receipt or a refusal, never from a plan, and is compared before it is
//!   written: a steady state writes nothing.
//! - The store refuses a plan made from an older revision, of the account itself or of an account
//!   that it was derived from, and answers a repeated transaction with its first receipt.
//! - The leader holds a Lease (for a store in a file, a lock) and a claim in the store. The claim is
//!   checked in each commit and before each request to a directory; an operator that lost either
//!   stops at once and reports nothing more.
//! - Nothing that is inherited is stored: every reader walks the chain ([`domain::inheritance`], and
//!   the view for applications), so a change at its root is one row.
//! - Nothing irreversible rests on one clock: closing a month takes all clocks that can be read, and
//!   a change that can't wait is never dated later than the others allow ([`domain::clocks`]).
//! - No commit is dated into a closed month, and a month's bill follows from that month's commits
//!   alone ([`domain::billing`]).
//! - resourceVersions may go backwards when etcd is restored. A consistent read or the answer to a
//!   write proves it, a watch never does; the operator then lists everything anew and decides nothing
//!   before that is complete ([`controller::list_watch`]).
//! - Revocations are committed at once, whatever transaction is in flight, in a commit of their own
//!   before the rest of a round. Every other edit waits in the spec, so none is lost.
//! - Taking over an account that another `User` owned, or none, is whole or not at all: the
//!   requester was authorized for the spec as it stands, not for what is left when a part is refused.
//! - A transaction is journaled in the commit of its change, and completes when every directory has
//!   acknowledged that revision.
//! - Organizations take turns in rounds of bounded cost ([`workqueue`]), in password
//!   hashing and in provisioning.
//! - Provisioning sends whole entries until they are acknowledged, one request per account at a
//!   time. Before it sends an acknowledged revision again, the store clears the acknowledgement; a
//!   revocation isn't acknowledged while an earlier request may still undo it ([`provisioning`]).
//! - Of a password only its hash leaves the verifier, and no store, log or status has more. A
//!   directory that takes plain passwords gets one from its Secret, and no copy is kept.
//! - Logs above `debug` and metrics carry uids and account ids, never an address or a name.
//! - A value that another version wrote affects its own field alone: objects are read field by field
//!   ([`api::lenient`]), and nothing irreversible follows from a field that isn't understood
//!   ([`plan::unreadable`]).

pub mod api;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod domain;
pub mod hashing;
pub mod plan;
pub mod provisioning;
pub mod redact;
pub mod store;
pub mod telemetry;
pub mod workqueue;
