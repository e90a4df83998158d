//! `roster login LOGIN_OR_EMAIL [-n NAMESPACE]`
//!
//! Neither the message nor the time that it takes gives away why a login is refused: for every
//! reason, one account is looked up, one hash is verified, and one failure is stored.
//!
//! A login during the wait after failures is refused only then, after the hash: each of several
//! concurrent logins is judged by the failures that were stored before it, so concurrency gives no
//! more tries.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::prompt::PromptedLines;
use super::{Failure, block_on, examples, open, print};
use crate::config::Shared;
use crate::domain::account::{Account, LoginState};
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::domain::password::{PasswordCandidate, PasswordHash};
use crate::hashing::{Cost, Hashing};
use crate::plan::{Plan, RehashPlan};
use crate::store::logins::Logins;
use crate::store::{AccountKey, CommitTime, Store};

/// Arguments of `roster login`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Check the password of a login name, typed at a prompt", "roster login alice.acme"),
    ("Check the password of an email address, from a password manager", "pass show acme/alice | roster login alice@acme.example -n acme"),
]))]
pub(super) struct LoginArgs {
    #[command(flatten)]
    claim: LoginClaim,
    #[command(flatten)]
    shared: Shared,
}

/// The login that is claimed.
#[derive(Clone, Debug, Args)]
pub(super) struct LoginClaim {
    /// The login name such as `alice.acme`, or the email address; either in any case.
    #[arg(value_name = "LOGIN_OR_EMAIL")]
    login: String,
    /// The organization, by the name of its namespace; required for an email address.
    #[arg(short, long, alias = "organization", value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// The login is refused; the text is the same for every reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoginRefused;

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "refused: login and password don't match, the account can't log in, or it has to wait after too many failed logins",
        )
    }
}

/// An email address can't be looked up without its organization.
#[derive(Debug, thiserror::Error)]
#[error("an email address is unique in its organization only: name its namespace with -n")]
pub(super) struct OrganizationMissing;

/// Checks a password as an application would: exit code 0 if the account may log in, 1 if not.
pub(super) fn run(arguments: &LoginArgs) -> Result<ExitCode, Failure> {
    let shared = &arguments.shared;
    let key = arguments.claim.key()?;
    let entered = PromptedLines::read(&["Password"])?;
    let candidate = PasswordCandidate::new(entered.line(0));
    let account = block_on(async {
        let store = open(&shared.store).await?;
        let hashing = Hashing::new(Cost::default())?;
        let now = time(&store, shared).await?;
        let account =
            arguments.claim.admitted(&store, &hashing, (&key, candidate.as_ref()), now).await?;
        if let Some((account, candidate)) = account.as_ref().zip(candidate.as_ref()) {
            rehash_outdated(&store, &hashing, (account, candidate), now).await;
        }
        store.close().await;
        Ok(account)
    })?;
    match account {
        Some(Account { login_name, namespace, .. }) => {
            print(&format!("{login_name} of {namespace} may log in\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(refuse(LoginRefused)),
    }
}

/// Returns the time that logins are judged by: that of the store's server if it has one.
pub(super) async fn time(store: &impl Store, shared: &Shared) -> Result<Timestamp, Failure> {
    Ok(match store.time().await? {
        Some(shown) => shown.checked_add(shared.clock_offset)?,
        None => shared.clock().now(),
    })
}

/// Prints that the login is refused.
pub(super) fn refuse(why: impl fmt::Display) -> ExitCode {
    eprintln!("roster: {why}");
    ExitCode::from(1)
}

impl LoginClaim {
    /// Returns what the account is looked up by. A text that can't be an address is looked up as a
    /// login name that no account has.
    pub(super) fn key(&self) -> Result<AccountKey, OrganizationMissing> {
        let no_account = || AccountKey::Login(LoginName::from_stored(String::new()));
        if !self.login.contains('@') {
            return Ok(AccountKey::Login(LoginName::entered(&self.login)));
        }
        let namespace = self.namespace.clone().ok_or(OrganizationMissing)?;
        Ok(Email::parse(self.login.trim())
            .map_or_else(|_| no_account(), |email| AccountKey::Email { namespace, email }))
    }

    /// Returns the account that a password lets in, unless too many logins failed before.
    pub(super) async fn admitted(
        &self,
        store: &(impl Store + Logins),
        hashing: &Hashing,
        (key, candidate): (&AccountKey, Option<&PasswordCandidate>),
        now: Timestamp,
    ) -> Result<Option<Account>, Failure> {
        let account = store.find(std::slice::from_ref(key)).await?.remove(key);
        let hash = account.as_ref().and_then(login_hash);
        let matches = match candidate.zip(hash) {
            Some((candidate, hash)) => hashing.verify(candidate, hash)?,
            None => hashing.refuse(candidate)?,
        };
        let meant = |account: &Account| {
            self.namespace.as_ref().is_none_or(|namespace| account.namespace == *namespace)
        };
        let may = account
            .as_ref()
            .is_some_and(|account| matches && meant(account) && may_log_in(account));
        let admitted =
            store.judge_login(account.as_ref().map(|account| account.id), may, now).await?;
        Ok(account.filter(|_| may && admitted))
    }
}

/// Whether an account can be logged in to at all, with the right password.
fn may_log_in(account: &Account) -> bool {
    account.content.lifecycle == LoginState::Enabled
        && account.content.email.copy_number().is_none()
}

/// Returns the hash of the password that logs in.
pub(super) fn login_hash(account: &Account) -> Option<&PasswordHash> {
    account.credential.as_ref().map(|credential| &credential.login)
}

/// Replaces an outdated hash of a password that was just verified. A login doesn't wait for a store
/// that can't commit now: the next login tries again.
async fn rehash_outdated(
    store: &impl Store,
    hashing: &Hashing,
    (account, verified): (&Account, &PasswordCandidate),
    now: Timestamp,
) {
    let Some(before) = login_hash(account).filter(|hash| hashing.is_outdated(hash)) else { return };
    let Ok(after) = hashing.rehash(verified) else { return };
    let (namespace, before) = (account.namespace.clone(), before.clone());
    let plan = Plan::Rehash(RehashPlan { namespace, account: account.id, before, after });
    let _ = store.commit(&[plan], CommitTime { now, deadline: now }).await;
}

#[cfg(test)]
mod tests;
