//! Accounts by what they are looked up by.

use std::collections::HashMap;

use super::connection::{Connection, pairs, statement, texts};
use super::rows;
use crate::domain::account::Account;
use crate::store::{AccountKey, StoreError};

/// Returns the accounts under the keys.
pub(super) async fn accounts(
    connection: &mut Connection,
    keys: &[AccountKey],
) -> Result<HashMap<AccountKey, Account>, StoreError> {
    let (mut owners, mut emails, mut logins, mut ids) = (vec![], vec![], vec![], vec![]);
    for key in keys.iter().filter(|key| may_be_kept(key)) {
        match key {
            AccountKey::Owner { namespace, name } => owners.push([namespace.as_str(), name]),
            AccountKey::Email { namespace, email } => {
                emails.push([namespace.as_str(), email.as_str()])
            }
            AccountKey::Login(login_name) => logins.push(login_name.as_str()),
            AccountKey::Id(id) => ids.push(id.to_string()),
        }
    }
    let mut found = HashMap::with_capacity(keys.len());
    for account in by_owner(connection, &owners).await? {
        let key = AccountKey::Owner {
            namespace: account.namespace.clone(),
            name: account.owner.name.clone(),
        };
        found.insert(key, account);
    }
    for account in by_email(connection, &emails).await? {
        let key = AccountKey::Email {
            namespace: account.namespace.clone(),
            email: account.content.email.clone(),
        };
        found.insert(key, account);
    }
    for account in by_login(connection, &logins).await? {
        found.insert(AccountKey::Login(account.login_name.clone()), account);
    }
    for account in by_id(connection, &ids).await? {
        found.insert(AccountKey::Id(account.id), account);
    }
    Ok(found)
}

/// Whether an account could have the key: no text in `PostgreSQL` holds a NUL, not even one to look
/// for.
fn may_be_kept(key: &AccountKey) -> bool {
    match key {
        AccountKey::Owner { namespace, name } => !namespace.contains('\0') && !name.contains('\0'),
        AccountKey::Email { namespace, email } => {
            !namespace.contains('\0') && !email.as_str().contains('\0')
        }
        AccountKey::Login(login_name) => !login_name.as_str().contains('\0'),
        AccountKey::Id(_) => true,
    }
}

async fn by_owner(
    connection: &mut Connection,
    owners: &[[&str; 2]],
) -> Result<Vec<Account>, StoreError> {
    if owners.is_empty() {
        return Ok(vec![]);
    }
    let query = statement(rows::select_accounts!(
        "WHERE (a.namespace, a.owner_name) IN (",
        pairs!("$1"),
        ")"
    ));
    rows::accounts(query.bind(rows::json(owners)), connection).await
}

async fn by_email(
    connection: &mut Connection,
    emails: &[[&str; 2]],
) -> Result<Vec<Account>, StoreError> {
    if emails.is_empty() {
        return Ok(vec![]);
    }
    let query =
        statement(rows::select_accounts!("WHERE (a.namespace, a.email) IN (", pairs!("$1"), ")"));
    rows::accounts(query.bind(rows::json(emails)), connection).await
}

async fn by_id(connection: &mut Connection, ids: &[String]) -> Result<Vec<Account>, StoreError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let query = statement(rows::select_accounts!("WHERE a.account_id IN (", texts!("$1"), ")"));
    rows::accounts(query.bind(rows::texts(ids)), connection).await
}

async fn by_login(
    connection: &mut Connection,
    logins: &[&str],
) -> Result<Vec<Account>, StoreError> {
    if logins.is_empty() {
        return Ok(vec![]);
    }
    let query = statement(rows::select_accounts!("WHERE a.login_name IN (", texts!("$1"), ")"));
    rows::accounts(query.bind(rows::texts(logins)), connection).await
}
