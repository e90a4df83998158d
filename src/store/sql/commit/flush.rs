//! What a commit writes: the rows that changed, with one statement for each kind of change.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::{CommitError, writes};
use crate::domain::account::{Account, AccountId};
use crate::domain::group::GroupContent;
use crate::domain::organization::Organization;
use crate::plan::Listing;
use crate::store::sql::connection::{Connection, statement};
use crate::store::sql::locks::{self, Lock};
use crate::store::sql::rows;
use crate::store::unit_of_work::{ChangedRows, UnitOfWork};
use crate::store::{GroupName, MEMBER_CHANGES};

/// Writes what was changed in a unit of work.
pub(super) async fn flush(
    connection: &mut Connection,
    work: &mut UnitOfWork,
    now: Timestamp,
) -> Result<(), CommitError> {
    let ChangedRows {
        accounts,
        created,
        deleted,
        claims,
        state_changes,
        journal,
        superseded,
        completed,
        confirmed,
        self_service,
        groups,
        listings,
    } = work.take_changes();
    for claim in &claims {
        insert_claim(connection, claim).await?;
    }
    writes::begin_lifetimes(connection, &created).await?;
    writes::write_journal(connection, &journal).await?;
    writes::supersede(connection, &superseded, now).await?;
    writes::complete(connection, &completed).await?;
    writes::end_lifetimes(connection, &deleted).await?;
    writes::write_cases(connection, &deleted).await?;
    let pairs = accounts.iter().map(|(id, before)| (before.as_ref(), work.accounts.get(*id)));
    write_accounts(connection, &pairs.collect::<Vec<_>>()).await?;
    writes::write_state_changes(connection, &state_changes, now).await?;
    writes::confirm(connection, &confirmed).await?;
    write_self_service(connection, &self_service).await?;
    for (name, content) in &groups {
        write_group(connection, name, content.as_ref()).await?;
    }
    for (name, listing) in &listings {
        write_listing(connection, name, listing.as_ref()).await?;
    }
    Ok(())
}

/// Writes accounts, of which each is given as it was before and as it is now.
async fn write_accounts(
    connection: &mut Connection,
    accounts: &[(Option<&Account>, Option<&Account>)],
) -> Result<(), CommitError> {
    let (mut deleted, mut changed, mut created) = (vec![], vec![], vec![]);
    for account in accounts {
        match *account {
            (Some(before), None) => deleted.push(before.id),
            (Some(before), Some(after)) => changed.push((before, after)),
            (None, Some(after)) => created.push(after),
            (None, None) => {}
        }
    }
    // Databases compare each row with those that are there at that moment: what a row is given,
    // another one has to have left before.
    writes::delete_accounts(connection, deleted).await?;
    writes::clear_names(connection, in_the_way(&changed)).await?;
    writes::overwrite_accounts(connection, &changed).await?;
    writes::insert_accounts(connection, &created).await
}

/// Returns the accounts that had an address or an owner's name which another one gets.
fn in_the_way(changed: &[(&Account, &Account)]) -> BTreeSet<AccountId> {
    let held: HashMap<_, _> = changed
        .iter()
        .flat_map(|(before, _)| names(before).map(|name| (name, before.id)))
        .collect();
    let mut holders = BTreeSet::new();
    for (_, after) in changed {
        for name in names(after) {
            holders.extend(held.get(&name).filter(|holder| **holder != after.id));
        }
    }
    holders
}

/// Returns what no other account of the organization may have: the address and the owner's name.
fn names(Account { namespace, content, owner, .. }: &Account) -> [(&str, bool, &str); 2] {
    [(namespace, true, content.email.as_str()), (namespace, false, &owner.name)]
}

async fn insert_claim(
    connection: &mut Connection,
    Organization { namespace, customer_id }: &Organization,
) -> Result<(), CommitError> {
    let query = statement("INSERT INTO organizations (namespace, customer_id) VALUES ($1, $2)");
    query.bind(namespace).bind(customer_id.as_str()).execute(connection).await?;
    Ok(())
}

async fn write_self_service(
    connection: &mut Connection,
    accounts: &[AccountId],
) -> Result<(), CommitError> {
    if accounts.is_empty() {
        return Ok(());
    }
    // Whoever has read the newest change must not find an older one later.
    locks::lock(connection, [Lock::MemberChanges]).await?;
    for account in accounts {
        statement("INSERT INTO member_changes (number, account_id) SELECT COALESCE(MAX(number), 0) + 1, $1 FROM member_changes")
            .bind(account.to_string())
            .execute(connection)
            .await?;
    }
    statement(
        "DELETE FROM member_changes WHERE number < (SELECT MAX(number) FROM member_changes) - $1",
    )
    .bind(MEMBER_CHANGES)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_group(
    connection: &mut Connection,
    (namespace, name): &GroupName,
    content: Option<&GroupContent>,
) -> Result<(), CommitError> {
    let query = match content {
        Some(GroupContent { full_control, permissions, self_service }) => statement(
            "INSERT INTO groups (namespace, name, full_control, permissions, self_service) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (namespace, name) DO UPDATE SET full_control = excluded.full_control, \
             permissions = excluded.permissions, self_service = excluded.self_service",
        )
        .bind(namespace)
        .bind(name)
        .bind(*full_control)
        .bind(rows::permission_texts(permissions))
        .bind(rows::json(self_service)),
        None => statement("DELETE FROM groups WHERE namespace = $1 AND name = $2")
            .bind(namespace)
            .bind(name),
    };
    query.execute(connection).await?;
    Ok(())
}

async fn write_listing(
    connection: &mut Connection,
    (namespace, name): &GroupName,
    listing: Option<&Listing>,
) -> Result<(), CommitError> {
    let query = match listing {
        Some(Listing { domain, include_subdomains }) => statement(
            "INSERT INTO domains (namespace, name, domain, include_subdomains) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (namespace, name) DO UPDATE \
             SET domain = excluded.domain, include_subdomains = excluded.include_subdomains",
        )
        .bind(namespace)
        .bind(name)
        .bind(domain.as_str())
        .bind(*include_subdomains),
        None => statement("DELETE FROM domains WHERE namespace = $1 AND name = $2")
            .bind(namespace)
            .bind(name),
    };
    query.execute(connection).await?;
    Ok(())
}
