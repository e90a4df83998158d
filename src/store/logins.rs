//! Logins as a store counts them: each is judged after those before it, however many come at once.

use std::collections::HashMap;
use std::future::Future;

use jiff::Timestamp;

use super::StoreError;
use crate::domain::account::AccountId;
use crate::domain::login_attempts::LoginFailures;

/// Logins of a store's accounts.
pub trait Logins {
    /// Judges a login whose password was checked, and notes what came of it. Returns whether the
    /// person is let in. A login that is nobody's is noted as well, so that it takes as long.
    ///
    /// Logins of one account come one after the other here: one that was checked at the same time
    /// as others is let in only if their failures leave room for it. A login after no failure is
    /// only read.
    fn judge_login(
        &self,
        account: Option<AccountId>,
        matches: bool,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the failed logins of each account that has any.
    fn login_failures(
        &self,
    ) -> impl Future<Output = Result<HashMap<AccountId, LoginFailures>, StoreError>> + Send;
}
