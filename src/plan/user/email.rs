//! Which address an account has, and who makes room for it.

use std::sync::Arc;

use super::UserSnapshot;
use crate::domain::account::Account;
use crate::domain::email::Email;
use crate::plan::blocked::{Blocked, Holder};
use crate::plan::{AddressMove, OrganizationFacts, listing_of};

/// The accounts between a `User` and the address it asks for.
///
/// The first has that address, each next one has the address that the one before it asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmailConflict {
    /// The accounts, nearest first.
    pub rivals: Vec<EmailHolder>,
    /// Whether nobody has the address that the last one asks for.
    pub ends_free: bool,
}

/// An account that has an address that somebody else asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct EmailHolder {
    /// The account, which may stand between many and their addresses.
    pub account: Arc<Account>,
    /// The address that its `User` asks for, where that may be applied: the resource is there,
    /// is this account's, isn't paused, being deleted or refused whole.
    pub asks_for: Option<Email>,
    /// Whether a `User` of its owner's name is there.
    pub is_declared: bool,
}

/// Returns the address that the account is to have, and the moves that make room for it.
///
/// An address that the account already has is never refused, whatever became of its domain.
pub(super) fn resolve(
    snapshot: &UserSnapshot,
    template: &Result<Option<&Account>, Blocked>,
) -> Result<(Email, Vec<AddressMove>), Blocked> {
    let UserSnapshot { organization, account, contest, .. } = snapshot;
    let current = account.as_ref().map(|account| &account.content.email);
    let email = desired(snapshot, template)?;
    if current == Some(&email) {
        return Ok((email, vec![]));
    }
    if !is_listed(organization, &email) {
        let leaving = listing_of(&organization.record.listings, email.domain()).is_some();
        return Err(Blocked::DomainNotAllowed { domain: email.domain().to_owned(), leaving });
    }
    match vacating_moves(organization, contest, current) {
        Some(moves) => Ok((email, moves)),
        None => {
            let EmailHolder { account, is_declared, .. } = &contest.rivals[0];
            Err(Blocked::EmailTaken { email, holder: Holder::of(account, *is_declared) })
        }
    }
}

/// Returns the member's own address where they have one, else the declared one, else that of a
/// copy, whose number the store chooses.
fn desired(
    snapshot: &UserSnapshot,
    template: &Result<Option<&Account>, Blocked>,
) -> Result<Email, Blocked> {
    let UserSnapshot { spec, email, account, .. } = snapshot;
    let declared = || email.clone().map_err(Blocked::EmailInvalid);
    match account {
        _ if spec.email.is_some() => {
            let declared = declared()?;
            Ok(own_email(account.as_ref(), &declared).unwrap_or(declared))
        }
        Some(account) => Ok(account.content.email.clone()),
        None => match template.clone()? {
            Some(source) => Ok(source.content.email.placeholder(1)),
            None => declared(),
        },
    }
}

/// Returns the address that the member chose, if it holds over the declared one.
#[must_use]
pub fn own_email(account: Option<&Account>, declared: &Email) -> Option<Email> {
    let own = account?.content.member.email.as_ref()?;
    (own.base == declared.as_str()).then(|| Email::from_stored(own.value.clone()))
}

/// Returns the moves that free an address, if each account in the way moves to another one.
///
/// They do when the last of them asks for an address that nobody has, or for ours: addresses
/// that are swapped or passed round are one set.
fn vacating_moves(
    organization: &OrganizationFacts,
    EmailConflict { rivals, ends_free }: &EmailConflict,
    ours: Option<&Email>,
) -> Option<Vec<AddressMove>> {
    let moves = rivals.iter().map(|rival| vacate(organization, rival));
    let moves = moves.collect::<Option<Vec<AddressMove>>>()?;
    let is_free = |last: &AddressMove| *ends_free || ours == Some(&last.to);
    moves.last().is_none_or(is_free).then_some(moves)
}

fn vacate(organization: &OrganizationFacts, rival: &EmailHolder) -> Option<AddressMove> {
    let EmailHolder { account, asks_for, is_declared: _ } = rival;
    let to = asks_for
        .clone()
        .filter(|to| *to != account.content.email && is_listed(organization, to))?;
    Some(AddressMove { account: account.id, from: account.revision, to })
}

fn is_listed(organization: &OrganizationFacts, email: &Email) -> bool {
    let staying = organization
        .record
        .listings
        .iter()
        .filter(|(name, _)| !organization.deleting_listings.contains(*name));
    listing_of(staying, email.domain()).is_some()
}
