//! A commit: each plan judged against what is in the store, and written where it stands.
//!
//! Everything happens in one transaction, each plan in a part of it that can be taken back. A plan
//! with several faults is answered with the first in this order: customer ID, revision and owner,
//! the accounts that it was made from, group, domain, address, login name, the addresses of those
//! that move, heirs, control.

mod accounts;
mod batch;
mod groups;
mod journal;
mod lifetimes;
mod writes;

use std::collections::BTreeSet;

pub(super) use self::journal::{change_directories, set_directories};
use super::connection::{Connection, Purpose};
use super::locks::Patience;
use super::operators::{self, HeldClaim};
use super::rows::{GroupColumns, OrganizationCache};
use super::{billing_periods, locks, postgres, sqlite};
use crate::domain::organization::Organization;
use crate::plan::{AccountChange, DomainPlan, GroupPlan, Plan};
use crate::store::{CommitTime, Receipt, Refusal, StoreError};

/// How many plans a run has to answer for another to be worth what it reads.
const WORTHWHILE: usize = 16;

/// Commits the plans on the connection that writes.
pub(super) async fn commit(
    connection: &mut Connection,
    (holding, lately_in_vain): (Option<&HeldClaim>, bool),
    plans: &[Plan],
    occasion: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    connection.begin(Purpose::Write).await?;
    let namespaces: BTreeSet<&str> = plans.iter().map(namespace_of).collect();
    locks::lock_organizations(connection, &namespaces).await?;
    let counted = operators::count(connection, holding).await?;
    operators::check_claimed(holding, &namespaces)?;
    let occasion = occasion.after(billing_periods::closed_until(connection).await?);
    let customer_ids = plans
        .iter()
        .filter_map(organization_of)
        .map(|organization| organization.customer_id.as_str());
    let known =
        OrganizationCache::load(connection, namespaces.into_iter(), customer_ids, groups_of(plans))
            .await?;
    let mut known = known.with_directories(connection).await?;
    let mut patience = Patience::begin(connection, holding.is_some(), lately_in_vain).await?;
    let mut answers = Vec::with_capacity(plans.len());
    let mut together_pays = true;
    while answers.len() < plans.len() {
        let rest = &plans[answers.len()..];
        let common = rest.iter().take_while(|plan| batch::is_batchable(plan)).count();
        if common > 1 && together_pays {
            let answered =
                commit_together(connection, (&mut known, &mut patience), &rest[..common], occasion)
                    .await?;
            // Where they turn out not to be common, reading all that is left for each would take
            // for ever.
            together_pays = answered.len() == common || answered.len() >= WORTHWHILE;
            answers.extend(answered);
        }
        if let Some(plan) = plans.get(answers.len()) {
            answers
                .push(commit_one(connection, (&mut known, &mut patience), plan, occasion).await?);
        }
    }
    if answers.iter().all(Result::is_err) {
        // Nothing was written but the count.
        connection.roll_back().await?;
        return Ok(answers);
    }
    connection.commit().await?;
    counted.made();
    Ok(answers)
}

/// Commits as many of the plans as go together, and answers these.
async fn commit_together(
    connection: &mut Connection,
    (known, patience): (&mut OrganizationCache, &mut Patience),
    plans: &[Plan],
    occasion: CommitTime,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    patience.go_on(connection).await?;
    connection.savepoint().await?;
    let mut learned = known.clone();
    match batch::commit(connection, &mut learned, plans, occasion).await {
        Ok(answers) => {
            connection.release_savepoint().await?;
            *known = learned;
            Ok(answers)
        }
        Err(CommitError::Refused(_)) => {
            connection.rollback_to_savepoint().await?;
            let mut answers = Vec::with_capacity(plans.len());
            for plan in plans {
                answers.push(commit_one(connection, (known, patience), plan, occasion).await?);
            }
            Ok(answers)
        }
        Err(CommitError::Failed(error)) => Err(error),
    }
}

async fn commit_one(
    connection: &mut Connection,
    (known, patience): (&mut OrganizationCache, &mut Patience),
    plan: &Plan,
    occasion: CommitTime,
) -> Result<Result<Receipt, Refusal>, StoreError> {
    if patience.is_over() {
        return Ok(Err(Refusal::OutOfTime));
    }
    if deletes(plan) && !patience.has_cases(connection).await? {
        return Ok(Err(Refusal::Locked));
    }
    patience.go_on(connection).await?;
    connection.savepoint().await?;
    match (Writer { connection, known, occasion }).apply(plan).await {
        Ok(receipt) => {
            connection.release_savepoint().await?;
            update_cache(known, plan);
            Ok(Ok(receipt))
        }
        Err(CommitError::Refused(refusal)) => {
            connection.rollback_to_savepoint().await?;
            Ok(Err(refusal))
        }
        Err(CommitError::Failed(error)) => Err(error),
    }
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

fn organization_of(plan: &Plan) -> Option<&Organization> {
    match plan {
        Plan::Account(plan) => Some(&plan.organization),
        Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => {
            None
        }
    }
}

/// Returns the groups that plans are judged by: those that they name, and those that the accounts
/// are in which they change.
fn groups_of(plans: &[Plan]) -> GroupColumns<'_> {
    let (mut names, mut accounts) = (BTreeSet::new(), BTreeSet::new());
    for plan in plans {
        let namespace = namespace_of(plan);
        match plan {
            Plan::Account(plan) => match &plan.change {
                AccountChange::Create { content, .. } => {
                    _ = names.insert([namespace, &content.group])
                }
                AccountChange::Update { account, content, .. } => {
                    names.insert([namespace, &content.group]);
                    accounts.insert(account.to_string());
                }
                AccountChange::Delete { account, .. } | AccountChange::Release { account, .. } => {
                    accounts.insert(account.to_string());
                }
            },
            Plan::Member(plan) => _ = accounts.insert(plan.account.to_string()),
            Plan::Group(GroupPlan::Put { name, .. } | GroupPlan::Drop { name, .. }) => {
                _ = names.insert([namespace, name])
            }
            Plan::Domain(_) | Plan::Rehash(_) | Plan::Confirm(_) => {}
        }
    }
    GroupColumns::Concerned { names: names.into_iter().collect(), accounts }
}

/// Keeps what is known up to date with a plan that was written.
fn update_cache(known: &mut OrganizationCache, plan: &Plan) {
    match plan {
        Plan::Account(plan) => {
            let Organization { namespace, customer_id } = &plan.organization;
            if matches!(plan.change, AccountChange::Create { .. })
                && known.claimed(namespace).is_none()
            {
                known.claim(namespace.clone(), customer_id.clone());
            }
        }
        Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => {}
        Plan::Group(GroupPlan::Put { namespace, name, content, .. }) => {
            known.put_group(namespace.clone(), name.clone(), content.clone());
        }
        Plan::Group(GroupPlan::Drop { namespace, name, .. }) => known.drop_group(namespace, name),
        Plan::Domain(DomainPlan::Put { namespace, name, listing }) => {
            known.put_listing(namespace.clone(), name.clone(), listing.clone());
        }
        Plan::Domain(DomainPlan::Drop { namespace, name, .. }) => {
            known.drop_listing(namespace, name)
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

/// Writes one plan.
struct Writer<'a> {
    connection: &'a mut Connection,
    known: &'a OrganizationCache,
    occasion: CommitTime,
}

impl Writer<'_> {
    async fn apply(&mut self, plan: &Plan) -> Result<Receipt, CommitError> {
        match plan {
            Plan::Account(plan) => self.change_account(plan).await,
            Plan::Group(GroupPlan::Put { namespace, name, content, leaving }) => {
                self.put_group([namespace, name], content, leaving).await
            }
            Plan::Group(GroupPlan::Drop { namespace, name, leaving }) => {
                self.drop_group([namespace, name], leaving).await
            }
            Plan::Domain(DomainPlan::Put { namespace, name, listing }) => {
                self.put_domain([namespace, name], listing).await
            }
            Plan::Domain(DomainPlan::Drop { namespace, name, leaving }) => {
                self.drop_domain([namespace, name], leaving).await
            }
            Plan::Member(plan) => self.change_member(plan).await,
            Plan::Rehash(plan) => self.rehash(plan).await,
            Plan::Confirm(plan) => self.confirm(plan).await,
        }
    }
}

fn refuse_if(fault: bool, refusal: Refusal) -> Result<(), Refusal> {
    if fault { Err(refusal) } else { Ok(()) }
}
