//! roster: people declared as Kubernetes resources become accounts in a store.
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
//! # The rooms
//!
//! | room | what it has |
//! |---|---|
//! | [`api`] | what users write and read: the three kinds; types and docs only |
//! | [`domain`] | the nouns: emails, permissions and how they are inherited, organizations, groups, accounts, bills |
//! | [`plan`] | the decision, pure: a snapshot in, a decision out; and what a status says |
//! | [`store`] | effects on accounts: the trait, the in-memory reference, SQLite and PostgreSQL |
//! | [`controller`] | effects on Kubernetes: watch, observe, the loop, report; who is to be judged and brought where |
//! | [`provisioning`] | effects on directories, which other software reads |
//! | [`hashing`] | the effects that passwords need: a salt from the system, and the work of Argon2id |
//! | [`cli`] | one file per subcommand |
//! | [`config`], [`telemetry`], [`clock`] | flags; logs, metrics and health; the one clock |
//!
//! # The invariants
//!
//! - `domain` and `plan` have no clock, no coin and no I/O; a test holds them to it.
//! - A finalizer is on before the store is first written for an object, and goes only after the
//!   store confirmed.
//! - A status comes from a receipt or a refusal, never from a plan; what it says already isn't
//!   written again.
//! - The store refuses a plan that was made from an older revision, of the account or of those that
//!   it was made from, and answers a repeated transaction with its first receipt.
//! - Whoever works holds a Lease (of a store in a file, a lock) and a claim in the store, which is
//!   checked in each of its commits and before directories are brought anything; whoever lost
//!   either decides, writes and tells nothing more.
//! - Nothing that is inherited is stored: whoever reads follows the line ([`domain::inheritance`],
//!   and the view that applications read), so that a change at its root is one row.
//! - Nothing that can't be undone is done by one clock: closing a month takes all that can be read,
//!   and what can't wait is never dated later than the others show ([`domain::clocks`]).
//! - Nothing is committed in a month that was closed, whatever the clock says, and what a month's
//!   bill says follows from what was committed in it alone ([`domain::billing`]).
//! - The cluster's versions may go backwards, when etcd is restored. A consistent read or the
//!   answer to a write proves it, a watch never does; then the operator lists everything anew,
//!   takes it as it is, and decides nothing before ([`controller::list_watch`]).
//! - What takes rights away is committed whatever transaction is in flight, in a commit of its own
//!   before the rest of a round; every other edit waits in the spec, so that nothing is lost.
//! - An account that isn't its `User`'s own is taken over whole or not at all: whoever asked was
//!   authorized for what is asked for, and for nothing that a part that is refused would leave in
//!   force.
//! - A transaction is in the journal with the change itself, and completes when every directory has
//!   confirmed its revision.
//! - Organizations take turns: in rounds, which are bounded by how much they read
//!   ([`controller::workqueue`]), in having passwords hashed and in having directories brought up to
//!   date.
//! - A directory is brought whole entries, one of an account at a time, as often as it takes;
//!   before a change at a revision that it has confirmed is tried, the store knows that its entry
//!   is in doubt, and what takes a way in isn't confirmed to the store while an earlier request may
//!   still give it back ([`provisioning`]).
//! - Of a password nothing but a hash leaves the one who judges it, and no store, log or status has
//!   more. A directory that takes texts is handed one from its Secret, and nobody keeps it.
//! - The log (above `debug`, where libraries speak) and the metrics carry uids and account ids,
//!   never an address or a person's name.
//! - One value that another version wrote costs no other: objects are read field by field
//!   ([`api::lenient`]), and nothing that can't be undone follows from what isn't understood
//!   ([`plan::unreadable`]).

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod domain;
pub mod hashing;
pub mod plan;
pub mod provisioning;
pub mod store;
pub mod telemetry;
