//! Inheritance: what an account's own permissions are, along the line of those it inherits from.
//!
//! This is the one definition of it, beside the view that applications read. Nothing is kept of
//! what is inherited: whoever asks follows the line, so that a change at its root is in force for
//! every heir in the moment in which it is committed.

use super::account::{Account, Cloned, Source};
use super::permission::Permissions;

/// How many others permissions may be inherited through; further away nothing is inherited at all.
pub const MAX_DEPTH: usize = 32;

/// Returns the accounts that this one's permissions come through, nearest first: empty where
/// nothing is inherited, because nobody is followed, nobody is there, or the line is too long.
pub fn ancestors<'a>(
    account: &'a Account,
    find: impl Fn(&str) -> Option<&'a Account>,
) -> Vec<&'a Account> {
    let mut line: Vec<&Account> = vec![];
    let mut last = account;
    while let Some(next) = followed(last).and_then(&find) {
        if line.len() == MAX_DEPTH {
            return vec![];
        }
        line.push(next);
        last = next;
    }
    line
}

/// Returns the account's own permissions: what it lists, what it cloned, what it kept on a loop,
/// and what is inherited along its line.
pub fn own<'a>(account: &'a Account, find: impl Fn(&str) -> Option<&'a Account>) -> Permissions {
    let mut own = held(account);
    for ancestor in ancestors(account, find) {
        own.append(&mut held(ancestor));
    }
    own
}

/// Returns what an account has without following anybody.
#[must_use]
pub fn held(account: &Account) -> Permissions {
    let mut held = account.content.grants.clone();
    match &account.content.source {
        Some(
            Source::Inherited { kept: Some(permissions), .. }
            | Source::Cloned(Cloned { permissions, .. }),
        ) => {
            held.extend(permissions.iter().cloned());
        }
        Some(Source::Inherited { kept: None, .. }) | None => {}
    }
    held
}

/// Returns the name of the `User` whose permissions the account follows.
#[must_use]
pub fn followed(account: &Account) -> Option<&str> {
    match &account.content.source {
        Some(Source::Inherited { from, kept: None }) => Some(from),
        Some(Source::Inherited { kept: Some(_), .. } | Source::Cloned(_)) | None => None,
    }
}
