//! Which password an account gets from a Secret.

use super::UserSnapshot;
use crate::domain::account::{SecretPassword, TransactionKind};
use crate::domain::password::Requirement;
use crate::plan::blocked::Blocked;

/// What is known of the password that a `User` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordFacts {
    /// It names none.
    #[default]
    NotReferenced,
    /// There is no such Secret, or none of our type.
    SecretMissing,
    /// The Secret lacks a key.
    KeyMissing(String),
    /// Nobody has looked at it yet.
    Pending,
    /// It doesn't meet these requirements.
    Rejected(Vec<Requirement>),
    /// It is the one that last came from a Secret.
    Same,
    /// It is another.
    New(SecretPassword),
}

/// Returns the new password that the account is to have, if it is to have one.
pub(super) fn resolve(snapshot: &UserSnapshot) -> Result<Option<SecretPassword>, Blocked> {
    let UserSnapshot { spec, account, password, .. } = snapshot;
    let secret =
        || spec.password_secret_ref.as_ref().map_or_else(String::new, |it| it.name.clone());
    let credential = account.as_ref().and_then(|account| account.credential.as_ref());
    let keeps = credential.is_some();
    match password {
        PasswordFacts::NotReferenced | PasswordFacts::Same => Ok(None),
        PasswordFacts::New(password) => Ok(Some(password.clone())),
        // A Secret that was touched is seldom another password: an account that has one from a
        // Secret is as declared until the check finds another.
        PasswordFacts::Pending
            if snapshot.owns_account()
                && credential.is_some_and(|credential| credential.from_secret.is_some()) =>
        {
            Ok(None)
        }
        PasswordFacts::Pending if account.is_none() => {
            Err(Blocked::PasswordUnjudged(TransactionKind::Create))
        }
        PasswordFacts::Pending => Err(Blocked::PasswordUnjudged(TransactionKind::PasswordChange)),
        PasswordFacts::SecretMissing => {
            Err(Blocked::PasswordSecretNotFound { secret: secret(), keeps })
        }
        PasswordFacts::KeyMissing(key) => {
            Err(Blocked::PasswordKeyNotFound { secret: secret(), key: key.clone(), keeps })
        }
        PasswordFacts::Rejected(unmet) => {
            Err(Blocked::PasswordRejected { secret: secret(), unmet: unmet.clone(), keeps })
        }
    }
}
