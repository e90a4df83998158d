//! A soak: faults of every kind at once, drawn from a seed, while people are declared, changed and
//! deleted on a real API server; the invariants are judged all the time, and in full once faults
//! stop.
//!
//! `ROSTER_SOAK` says for how many seconds there are faults, `ROSTER_SEED` repeats the choice of
//! faults of an earlier run, and `ROSTER_SOAK_ONLY` names kinds of lanes, separated by commas,
//! where not all are wanted.
//!
//! Two operators of two replicas each share a store in `PostgreSQL`: the first works for one
//! organization, the second for five. A third works by a wrong clock and a fourth without a Lease,
//! each on a store of its own. What is judged, and where:
//!
//! | invariant | judged by |
//! |---|---|
//! | O1, O8 what is declared is reached, through ancestors and groups too | `oracles::users`, `rules::permissions`, at the end |
//! | O2, O12 what is settled stays so: no write over a restart and three comparisons | `rules::unchanged`, at the end |
//! | O3, O4, O5, O6 no account lost, orphaned, doubled or ended by another's end | `oracles::accounts_and_lifetimes`, `users`, `journal`, `revisions`, at the end |
//! | O7 nobody has what isn't declared; revocations are in force within a bound | `rules::rights` and `left_behind::reached`, always; `rules::late`; `Remembering` |
//! | O9 an account that was left behind is taken whole or not at all | `left_behind::reached`, always |
//! | O13, O14 the bill, and months that aren't over | `oracles::bill`, `clocks::bill`, `rules::closed_months` |
//! | O15 no planted password in logs, Events, metrics, statuses | `needles::found`, at the end |
//! | O16 the newest password lets in | `soak::passwords`, at the end |
//! | O17 a namespace that is deleted goes, with its accounts | `namespace::Going`, `rules::left_behind` |
//! | O18 nothing is said before it is committed; times of transition | `oracles::what_was_said`, at the end; `rules::transitions`, always |
//! | O19 no write of a superseded epoch | `oracles::who_wrote`, at the end, of every write |
//! | O20 an organization keeps an administrator | `rules::control`, always |
//! | O22 no panic (nor a sick `/healthz`) | `rules::panics`, at the end; `Sampler` |
//! | O23 no transaction is silently late | `rules::overdue`, always; `oracles::journal`, at the end |
//!
//! Not judged: O9 for clones and O10's messages (nobody clones here, and what is refused is another
//! test's: `tests/model`); O11, since no second history of the same resources is lived; O21, since
//! what a namespace does to another can't be told from what the operator does for both, but by O7
//! and by the latencies of the quiet organization; O22's hot loops.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "what befell whom is the only trace of a run")]

mod applications;
mod clocks;
mod declarations;
mod lanes;
mod ledger;
mod left_behind;
mod namespace;
mod neighbour;
mod newer;
mod observer;
mod oracle_tests;
mod quiet;
mod remembering;
mod rules;
mod sampler;
mod soak;

use roster_test_support::cluster::{Setup, TestCluster};

static CLUSTER: TestCluster = TestCluster::new(Setup { policies: true, controllers: true });
