//! What an account has of another `User` that it was copied from.

use super::UserSnapshot;
use crate::domain::account::{Account, AccountSpec, Copied, Owner};
use crate::plan::blocked::{Blocked, COPY_OF};
use crate::plan::permission_source::available;

/// Returns the account that a new one is copied from; nothing is copied into one that is there.
pub(super) fn resolve(snapshot: &UserSnapshot) -> Result<Option<&Account>, Blocked> {
    let UserSnapshot { spec, relatives, account, .. } = snapshot;
    let source = spec.copy_of.as_ref().filter(|_| account.is_none());
    source.map(|source| available(relatives, COPY_OF, &source.name)).transpose()
}

/// Returns what an account has of another: what was copied, or for a new one what is copied now.
pub(super) fn copied(snapshot: &UserSnapshot, template: Option<&Account>) -> Option<Copied> {
    let Some(account) = &snapshot.account else { return template.map(copy) };
    // What a former User copied isn't asked for by one that copies nothing.
    let copies = snapshot.owns_account() || snapshot.spec.copy_of.is_some();
    account.content.copied.clone().filter(|_| copies)
}

fn copy(template: &Account) -> Copied {
    let AccountSpec { role, teams, profile, .. } = template.content.clone();
    let Owner { name, uid, generation } = template.owner.clone();
    Copied { from: name, uid, generation, role, teams, profile }
}
