//! All users of a server, listed once if many accounts ask: to look up each by itself costs a
//! server more, the more it has.
//!
//! The list only ever proves that an account is missing, and only for a short while. If another
//! client creates an entry since then, the server refuses the duplicate: login names are unique
//! there (RFC 7643, section 4.1.1). An entry that was linked since then may have another login
//! name: an account that adopts one is looked up by itself.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::account::AccountId;

const FRESH: Duration = Duration::from_secs(60);

/// The accounts that a server had an entry of when everything was listed, and those that may have
/// got one since.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    listed: Option<Instant>,
    failed: Option<Instant>,
    may_be_there: HashSet<Uuid>,
}

impl Index {
    /// Whether it is time for a list: there is none that counts, and none failed a moment ago.
    pub(super) fn is_due(&self) -> bool {
        let state = self.state();
        !state.is_fresh() && state.failed.is_none_or(|failed| failed.elapsed() >= FRESH)
    }

    /// Records that a list which started at a time failed, or will have unless it is stored.
    pub(super) fn note_failure(&self, begun: Instant) {
        self.state().failed = Some(begun);
    }

    /// Stores the externalIds of a list which started at a time.
    pub(super) fn take<'a>(&self, begun: Instant, ids: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        state.listed = Some(begun);
        state.failed = None;
        // What was noted stays: it may have come to a page that was read before.
        state.may_be_there.extend(ids.filter_map(|id| id.parse::<Uuid>().ok()));
    }

    /// Whether an account surely has no entry.
    pub(super) fn lacks(&self, account: AccountId) -> bool {
        let state = self.state();
        state.is_fresh() && !state.may_be_there.contains(&account.0)
    }

    /// Records that an entry of an account is about to be created: from then on it may be there.
    pub(super) fn note(&self, account: AccountId) {
        self.state().may_be_there.insert(account.0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_fresh(&self) -> bool {
        self.listed.is_some_and(|listed| listed.elapsed() < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_says_for_a_minute_who_is_missing_and_never_of_whom_an_entry_was_tried() {
        let account = |number| AccountId(Uuid::from_u128(number));
        let index = Index::default();
        assert!(!index.lacks(account(1)), "nothing was listed");
        index.note(account(1));
        index.take(
            Instant::now(),
            [Uuid::from_u128(2).to_string(), "of somebody else".to_owned()]
                .iter()
                .map(String::as_str),
        );
        assert_eq!([1, 2, 3].map(|number| index.lacks(account(number))), [false, false, true]);
        index.note(account(3));
        assert!(!index.lacks(account(3)));
        tokio::time::advance(FRESH).await;
        assert!(!index.lacks(account(4)) && index.is_due());
        index.note_failure(Instant::now());
        assert!(!index.is_due());
        index.take(Instant::now(), std::iter::empty());
        assert!(index.lacks(account(4)));
        tokio::time::advance(FRESH).await;
        assert!(index.is_due(), "what failed before the last list counts no more");
    }
}
