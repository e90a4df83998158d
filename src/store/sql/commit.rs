//! A commit: its plans are applied to a unit of work that is loaded before and flushed afterwards,
//! all in one transaction.

mod cases;
mod directories;
mod flush;
mod load;
mod writes;

use std::collections::BTreeSet;

pub(super) use self::directories::{change_directories, set_directories};
use super::connection::{Connection, Purpose};
use super::locks::Patience;
use super::operators::{self, HeldClaim};
use super::{billing_periods, locks, postgres, sqlite};
use crate::plan::{AccountChange, DomainPlan, GroupPlan, Plan};
use crate::store::unit_of_work::NotApplied;
use crate::store::{CommitTime, Receipt, Refusal, StoreError};

/// Commits the plans on the connection that writes.
pub(super) async fn commit(
    connection: &mut Connection,
    (holding, lately_in_vain): (Option<&HeldClaim>, bool),
    plans: &[Plan],
    time: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    connection.begin(Purpose::Write).await?;
    let namespaces: BTreeSet<&str> = plans.iter().map(namespace_of).collect();
    locks::lock_organizations(connection, &namespaces).await?;
    let counted = operators::count(connection, holding).await?;
    operators::check_claimed(holding, &namespaces)?;
    let time = time.after(billing_periods::closed_until(connection).await?);
    let mut patience = Patience::begin(connection, holding.is_some(), lately_in_vain).await?;
    let answers = answer_all(connection, &mut patience, plans, time).await?;
    if answers.iter().all(Result::is_err) {
        // Nothing was written but the count.
        connection.roll_back().await?;
        return Ok(answers);
    }
    connection.commit().await?;
    counted.made();
    Ok(answers)
}

/// Answers each plan in its place.
///
/// Where the database refuses what the plans changed together, an application has locked a row of
/// one of them, or one meets a row that the rules don't know of. Halving the plans finds that one,
/// and the others stand.
async fn answer_all(
    connection: &mut Connection,
    patience: &mut Patience,
    plans: &[Plan],
    time: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    let mut answers = Vec::with_capacity(plans.len());
    let mut left = vec![plans];
    while let Some(part) = left.pop() {
        match carry_out(connection, patience, part, time).await {
            Ok(answered) => answers.extend(answered),
            Err(CommitError::Refused(refusal)) if part.len() == 1 => answers.push(Err(refusal)),
            Err(CommitError::Refused(_)) => {
                let (first, second) = part.split_at(part.len() / 2);
                left.extend([second, first]);
            }
            Err(CommitError::Failed(error)) => return Err(error),
        }
    }
    Ok(answers)
}

/// Carries plans out, all that are accepted or, where the database refuses one, none of them.
async fn carry_out(
    connection: &mut Connection,
    patience: &mut Patience,
    plans: &[Plan],
    time: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, CommitError> {
    if plans.iter().any(deletes) {
        patience.has_cases(connection).await?;
    }
    patience.go_on(connection).await?;
    let before = patience.told();
    connection.savepoint().await?;
    let answers = apply(connection, patience, plans, time).await;
    match &answers {
        Ok(_) => connection.release_savepoint().await?,
        Err(CommitError::Refused(_)) => {
            connection.rollback_to_savepoint().await?;
            patience.take_back(before);
        }
        Err(CommitError::Failed(_)) => {}
    }
    answers
}

async fn apply(
    connection: &mut Connection,
    patience: &mut Patience,
    plans: &[Plan],
    time: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, CommitError> {
    let mut loaded = load::load(connection, plans).await?;
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        answers.push(loop {
            if patience.is_over() {
                break Err(Refusal::OutOfTime);
            }
            match loaded.work.apply(plan, time) {
                Ok(receipt) => break Ok(receipt),
                Err(NotApplied::Refused(refusal)) => break Err(refusal),
                Err(NotApplied::Asks(question)) => loaded.answer(connection, question).await?,
                Err(NotApplied::HasCases(account)) => {
                    match cases::unassign(connection, patience, account).await {
                        Ok(cases) => _ = loaded.work.answers.cases.insert(account, cases),
                        // An application has locked them: that is about this plan alone.
                        Err(CommitError::Refused(refusal)) => break Err(refusal),
                        Err(failed) => return Err(failed),
                    }
                }
            }
        });
    }
    patience.go_on(connection).await?;
    flush::flush(connection, &mut loaded.work, time.now).await?;
    Ok(answers)
}

fn deletes(plan: &Plan) -> bool {
    matches!(plan, Plan::Account(plan) if matches!(plan.change, AccountChange::Delete { .. }))
}

fn namespace_of(plan: &Plan) -> &str {
    match plan {
        Plan::Account(plan) => &plan.organization.namespace,
        Plan::Member(plan) => &plan.namespace,
        Plan::Rehash(plan) => &plan.namespace,
        Plan::Confirm(plan) => &plan.namespace,
        Plan::Group(GroupPlan::Put { namespace, .. } | GroupPlan::Drop { namespace, .. })
        | Plan::Domain(DomainPlan::Put { namespace, .. } | DomainPlan::Drop { namespace, .. }) => {
            namespace
        }
    }
}

/// Why a plan went no further.
enum CommitError {
    Refused(Refusal),
    Failed(StoreError),
}

impl From<Refusal> for CommitError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        // An application has it, or has assigned so many cases, and the plan is tried again once
        // that may be over.
        let held = postgres::is_locked_out(&error).then_some(Refusal::Locked);
        let held = held.or(postgres::is_cut_short(&error).then_some(Refusal::OutOfTime));
        let refusal = sqlite::refusal_of(&error).or_else(|| postgres::refusal_of(&error)).or(held);
        refusal.map_or_else(|| Self::Failed(error.into()), Self::Refused)
    }
}
