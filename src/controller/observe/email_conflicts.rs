//! Which accounts hold the login names and addresses that users ask for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::controller::cache::ClusterCache;
use crate::domain::account::{Account, AccountId};
use crate::domain::email::Email;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::organization::LoginName;
use crate::plan::Meta;
use crate::plan::blocked::Holder;
use crate::plan::user::{self, EmailConflict, EmailHolder, own_email};
use crate::store::{AccountKey, Store, StoreError};

/// How many holders may stand between a user and a free address and still all move.
const MAX_HOLDERS: usize = 256;

/// Finds the holders of login names and addresses that users ask for and don't have.
pub(super) async fn find_holders<S: Store>(
    cache: &ClusterCache,
    store: &S,
    snapshots: &mut [user::UserSnapshot],
) -> Result<(), StoreError> {
    let wanted: Vec<AccountKey> = snapshots
        .iter()
        .flat_map(|snapshot| [login_key(snapshot), email_key(snapshot)])
        .flatten()
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let holders = store.find(&wanted).await?;
    let mut addresses = Addresses { cache, store, known: HashMap::new() };
    for key in wanted.iter().filter(|key| matches!(key, AccountKey::Email { .. })) {
        addresses.note(key.clone(), holders.get(key).cloned());
    }
    for snapshot in snapshots {
        let login_holder = login_key(snapshot).and_then(|key| holders.get(&key));
        snapshot.login_holder =
            login_holder.map(|account| Holder::of(account, has_user(cache, account)));
        if let Some(first) = email_key(snapshot) {
            snapshot.contest = contest(&mut addresses, snapshot.account.as_ref(), first).await?;
        }
    }
    Ok(())
}

/// The holders of addresses: many users may ask for the same one, and each is read once.
struct Addresses<'a, S> {
    cache: &'a ClusterCache,
    store: &'a S,
    known: HashMap<AccountKey, Option<EmailHolder>>,
}

impl<S: Store> Addresses<'_, S> {
    fn note(&mut self, key: AccountKey, account: Option<Account>) {
        let rival = |account| EmailHolder {
            asks_for: moving_to(self.cache, &account),
            is_declared: has_user(self.cache, &account),
            account: Arc::new(account),
        };
        self.known.insert(key, account.map(rival));
    }

    async fn holder(&mut self, key: &AccountKey) -> Result<Option<EmailHolder>, StoreError> {
        if !self.known.contains_key(key) {
            let account = self.store.find(std::slice::from_ref(key)).await?.remove(key);
            self.note(key.clone(), account);
        }
        Ok(self.known.get(key).cloned().flatten())
    }
}

fn login_key(snapshot: &user::UserSnapshot) -> Option<AccountKey> {
    let customer_id = snapshot.organization.customer_id.as_ref().ok()?;
    let login_name: LoginName = user::login_name(snapshot, customer_id);
    snapshot.account.is_none().then_some(AccountKey::Login(login_name))
}

fn email_key(snapshot: &user::UserSnapshot) -> Option<AccountKey> {
    let email = snapshot.email.as_ref().ok()?;
    let has_it = snapshot.account.as_ref().is_some_and(|account| account.content.email == *email);
    (!has_it).then(|| AccountKey::Email {
        namespace: snapshot.meta.namespace.clone(),
        email: email.clone(),
    })
}

/// Follows the chain of holders and the addresses they ask for, until one asks for a free address,
/// for ours, or stays.
async fn contest<S: Store>(
    addresses: &mut Addresses<'_, S>,
    ours: Option<&Account>,
    first: AccountKey,
) -> Result<EmailConflict, StoreError> {
    let (mut rivals, mut met): (Vec<EmailHolder>, HashSet<AccountId>) = (vec![], HashSet::new());
    let mut next = first;
    while let Some(rival) = addresses.holder(&next).await? {
        let id = rival.account.id;
        if !met.insert(id) || rivals.len() == MAX_HOLDERS || ours.is_some_and(|ours| ours.id == id)
        {
            return Ok(EmailConflict { rivals, ends_free: false });
        }
        let namespace = rival.account.namespace.clone();
        let asks_for = rival.asks_for.clone();
        rivals.push(rival);
        let Some(email) = asks_for else { return Ok(EmailConflict { rivals, ends_free: false }) };
        next = AccountKey::Email { namespace, email };
    }
    let ends_free = !rivals.is_empty();
    Ok(EmailConflict { rivals, ends_free })
}

/// Whether a `User` of an account's owner's name is there.
fn has_user(cache: &ClusterCache, account: &Account) -> bool {
    let is_presumed = cache.presumes_owners && !account.owner.uid.is_empty();
    is_presumed || cache.has(&ObjectKey::new(Kind::User, &account.namespace, &account.owner.name))
}

/// Returns the other address that an account's `User` asks for, if it can be applied.
fn moving_to(cache: &ClusterCache, account: &Account) -> Option<Email> {
    let key = ObjectKey::new(Kind::User, &account.namespace, &account.owner.name);
    let seen = cache.user(&key)?;
    let Meta { uid, has_finalizer: held, paused, deleting, .. } = &seen.meta;
    let free = *uid == account.owner.uid && *held && !paused && !deleting;
    let declared = cache.email(&key.namespace, &key.name)?.clone().ok()?;
    let asks_for = own_email(Some(account), &declared).unwrap_or(declared);
    (free && !account.transaction.in_flight() && asks_for != account.content.email)
        .then_some(asks_for)
}
