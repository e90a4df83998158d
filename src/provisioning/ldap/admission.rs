//! Limits the connections to a server.
//!
//! More than eight at once don't speed up a server. A connection whose operation takes long doesn't
//! count among them, so that an entry over which the server hangs holds up no other. The total with
//! those is limited, too, and some of it is left to revocations of logins, which go first. If such
//! a revocation finds all connections taken, an operation that has lasted for seconds is given up
//! for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// The most connections whose operations take no longer than usual.
const MAX_AT_WORK: usize = 8;
/// The most connections to one server, and the most that leave room for revocations of logins.
const MOST: usize = 32;
const MAX_OF_OTHERS: usize = 24;

/// From when on an operation takes long.
pub(super) const LONG: Duration = Duration::from_millis(500);
/// After how long it is given up for the revocation of a login that finds no connection.
pub(super) const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Lets in as many as there may be, and has the others wait in line.
#[derive(Default)]
pub(super) struct Admission(Mutex<Line>);

#[derive(Default)]
struct Line {
    at_work: usize,
    taking_long: usize,
    giving_way: usize,
    revocations: VecDeque<oneshot::Sender<Permit>>,
    others: VecDeque<oneshot::Sender<Permit>>,
}

/// Leave to use one connection, until it is dropped.
pub(super) struct Permit {
    admission: Option<Arc<Admission>>,
    takes_long: AtomicBool,
    gives_way: AtomicBool,
}

impl Admission {
    /// Waits for leave to use a connection.
    pub(super) async fn permit(self: &Arc<Self>, revokes: bool) -> Option<Permit> {
        let waiting = {
            let mut line = self.line();
            let (tell, waiting) = oneshot::channel();
            if revokes {
                line.revocations.push_back(tell)
            } else {
                line.others.push_back(tell)
            }
            waiting
        };
        self.admit();
        waiting.await.ok()
    }

    /// Grants permits to those who wait, as long as there is room.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some(next) = self.line().next() else { return };
            let permit = Permit {
                admission: Some(self.clone()),
                takes_long: false.into(),
                gives_way: false.into(),
            };
            if let Err(mut unused) = next.send(permit) {
                // The one who waited gave up.
                unused.admission = None;
                self.line().at_work -= 1;
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let all = self.at_work + self.taking_long;
        let next = match self.at_work < MAX_AT_WORK {
            true if all < MOST && !self.revocations.is_empty() => self.revocations.pop_front(),
            true if all < MAX_OF_OTHERS => self.others.pop_front(),
            _ => None,
        };
        self.at_work += usize::from(next.is_some());
        next
    }
}

impl Permit {
    /// Records whether the current operation takes long, and grants the permits that this frees.
    pub(super) fn takes_long(&self, takes_long: bool) {
        let Some(admission) = &self.admission else { return };
        if self.takes_long.swap(takes_long, Ordering::Relaxed) == takes_long {
            return;
        }
        {
            let mut line = admission.line();
            let step = |from: &mut usize, to: &mut usize| (*from, *to) = (*from - 1, *to + 1);
            let Line { at_work, taking_long, .. } = &mut *line;
            if takes_long { step(at_work, taking_long) } else { step(taking_long, at_work) }
        }
        admission.admit();
    }

    /// Whether to give up its long operation for one who waits. One operation makes room for one.
    pub(super) fn gives_way(&self) -> bool {
        let Some(admission) = &self.admission else { return false };
        let mut line = admission.line();
        // One who gave up doesn't wait any more.
        line.revocations.retain(|waiting| !waiting.is_closed());
        let is_full = line.at_work + line.taking_long >= MOST;
        let gives_way = is_full && line.revocations.len() > line.giving_way;
        if gives_way && !self.gives_way.swap(true, Ordering::Relaxed) {
            line.giving_way += 1;
        }
        gives_way
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        {
            let mut line = admission.line();
            let count =
                if *self.takes_long.get_mut() { &mut line.taking_long } else { &mut line.at_work };
            *count -= 1;
            line.giving_way -= usize::from(*self.gives_way.get_mut());
        }
        admission.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn permits(admission: &Arc<Admission>, revokes: bool, most: usize) -> Vec<Permit> {
        (0..most).map_while(|_| admission.permit(revokes).now_or_never().flatten()).collect()
    }

    #[test]
    fn what_takes_long_keeps_nobody_waiting_up_to_a_bound() {
        let admission = Arc::new(Admission::default());
        let mut held = vec![];
        for _ in 0..3 {
            let some = permits(&admission, false, 100);
            assert_eq!(some.len(), MAX_AT_WORK);
            some.iter().for_each(|permit| permit.takes_long(true));
            held.extend(some);
        }
        assert_eq!(permits(&admission, false, 100).len(), 0);
        // There is room for a revocation, and then for none.
        let revocations = permits(&admission, true, 100);
        revocations.iter().for_each(|permit| permit.takes_long(true));
        assert_eq!(held.len() + revocations.len(), MOST);
        assert_eq!(permits(&admission, true, 1).len(), 0);
        assert!(!held[0].gives_way(), "nobody waits");
        let mut waiting = Box::pin(admission.permit(true));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(held[0].gives_way() && !held[1].gives_way());
        held.remove(0);
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[test]
    fn who_loses_the_way_in_goes_first_and_who_gave_up_takes_no_place() {
        let admission = Arc::new(Admission::default());
        let mut held = permits(&admission, false, MAX_AT_WORK);
        let mut others = Box::pin(admission.permit(false));
        let mut gone = Box::pin(admission.permit(true));
        let mut revocation = Box::pin(admission.permit(true));
        for waiting in [&mut others, &mut gone, &mut revocation] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(gone);
        held.pop();
        assert!((&mut others).now_or_never().is_none());
        let revocation = revocation.now_or_never().flatten();
        assert!(revocation.is_some());
        drop((held, revocation));
        assert!(others.now_or_never().flatten().is_some());
        assert_eq!(permits(&admission, false, 100).len(), MAX_AT_WORK);
    }
}
