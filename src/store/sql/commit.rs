//! A commit: each plan judged against what is in the store, and written where it stands.
//!
//! Everything happens in one transaction, each plan in a savepoint of it. A plan with several
//! faults is answered with the first in this order: customer ID, revision and owner, the accounts that
//! it was made from, group, domain, address, login name, the addresses of those that move, heirs,
//! control.

mod accounts;
mod groups;
mod journal;
mod lifetimes;

use sqlx::{Connection, SqliteConnection};

pub(super) use self::journal::use_directories;
use super::rows::Known;
use super::{months, sqlite};
use crate::domain::organization::Organization;
use crate::plan::{AccountChange, DomainPlan, GroupPlan, Plan};
use crate::store::{Occasion, Receipt, Refusal, StoreError};

/// Commits the plans on the connection that writes.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    plans: &[Plan],
    occasion: Occasion,
) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
    let mut transaction = connection.begin_with(sqlite::BEGIN).await?;
    let occasion = occasion.after(months::closed_until(&mut transaction).await?);
    let namespaces = plans.iter().map(namespace_of);
    let customer_ids = plans.iter().filter_map(organization_of).map(|organization| organization.customer_id.as_str());
    let known = Known::load(&mut transaction, namespaces, customer_ids).await?;
    let mut known = known.with_directories(&mut transaction).await?;
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        let mut savepoint = Connection::begin(&mut *transaction).await?;
        let answer = match (Writer { connection: &mut savepoint, known: &known, occasion }).apply(plan).await {
            Ok(receipt) => {
                savepoint.commit().await?;
                learn(&mut known, plan);
                Ok(receipt)
            }
            Err(Halt::Refused(refusal)) => {
                savepoint.rollback().await?;
                Err(refusal)
            }
            Err(Halt::Failed(error)) => return Err(error),
        };
        answers.push(answer);
    }
    transaction.commit().await?;
    Ok(answers)
}

fn namespace_of(plan: &Plan) -> &str {
    match plan {
        Plan::Account(plan) => &plan.organization.namespace,
        Plan::Member(plan) => &plan.namespace,
        Plan::Rehash(plan) => &plan.namespace,
        Plan::Confirm(plan) => &plan.namespace,
        Plan::Group(GroupPlan::Put { namespace, .. } | GroupPlan::Drop { namespace, .. })
        | Plan::Domain(DomainPlan::Put { namespace, .. } | DomainPlan::Drop { namespace, .. }) => namespace,
    }
}

fn organization_of(plan: &Plan) -> Option<&Organization> {
    match plan {
        Plan::Account(plan) => Some(&plan.organization),
        Plan::Group(_) | Plan::Domain(_) | Plan::Member(_) | Plan::Rehash(_) | Plan::Confirm(_) => None,
    }
}

/// Keeps what is known up to date with a plan that was written.
fn learn(known: &mut Known, plan: &Plan) {
    match plan {
        Plan::Account(plan) => {
            let Organization { namespace, customer_id } = &plan.organization;
            if matches!(plan.change, AccountChange::Create { .. }) && known.claimed(namespace).is_none() {
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
        Plan::Domain(DomainPlan::Drop { namespace, name, .. }) => known.drop_listing(namespace, name),
    }
}

/// Why a plan went no further.
enum Halt {
    Refused(Refusal),
    Failed(StoreError),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        sqlite::refusal_of(&error).map_or_else(|| Self::Failed(error.into()), Self::Refused)
    }
}

/// Writes one plan.
struct Writer<'a> {
    connection: &'a mut SqliteConnection,
    known: &'a Known,
    occasion: Occasion,
}

impl Writer<'_> {
    async fn apply(&mut self, plan: &Plan) -> Result<Receipt, Halt> {
        match plan {
            Plan::Account(plan) => self.change_account(plan).await,
            Plan::Group(GroupPlan::Put { namespace, name, content, leaving }) => {
                self.put_group([namespace, name], content, leaving).await
            }
            Plan::Group(GroupPlan::Drop { namespace, name, leaving }) => self.drop_group([namespace, name], leaving).await,
            Plan::Domain(DomainPlan::Put { namespace, name, listing }) => self.put_domain([namespace, name], listing).await,
            Plan::Domain(DomainPlan::Drop { namespace, name, leaving }) => self.drop_domain([namespace, name], leaving).await,
            Plan::Member(plan) => self.change_member(plan).await,
            Plan::Rehash(plan) => self.rehash(plan).await,
            Plan::Confirm(plan) => self.confirm(plan).await,
        }
    }
}

fn refuse_if(fault: bool, refusal: Refusal) -> Result<(), Refusal> {
    if fault { Err(refusal) } else { Ok(()) }
}
