//! Who works on a store: an operator claims the namespaces that it works in, and gets an epoch for
//! as long as nobody claims them after it.

use std::collections::BTreeSet;

use super::StoreError;

/// What an operator asks for before it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The namespaces that it works in; none stands for all.
    pub namespaces: BTreeSet<String>,
    /// Who it is, for people: the name of its pod, or its host and process.
    pub holder: String,
    /// The uid of the cluster's namespace `kube-system`.
    pub cluster: String,
    /// How far the last operator of these namespaces came, as far as the cluster knows.
    pub known: CommitPosition,
    /// Whether the store may belong to another cluster until now.
    pub accept_cluster: bool,
    /// Whether operators that work in some of the namespaces, or with other directories, are
    /// superseded instead of heeded.
    pub supersede: bool,
    /// The directories that it brings up to date, which are those of the whole store; nothing where
    /// it has no say in that.
    pub directories: Option<BTreeSet<String>>,
}

/// How far an operator has come: later is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitPosition {
    /// The epoch that the store gave it; 0 where it gave none.
    pub epoch: i64,
    /// How many commits it has made in it.
    pub commits: i64,
}

/// Who works on a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operators {
    /// The newest epoch that it gave; 0 where it gave none.
    pub newest: i64,
    /// Those whose claims stand.
    pub working: Vec<Operator>,
    /// Whether operators on several machines may share it, so that they need a Lease.
    pub is_shared: bool,
}

/// An operator whose claim stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The namespaces that it works in; none stands for all.
    pub namespaces: BTreeSet<String>,
    /// Who it is, for people.
    pub holder: String,
}

/// How many claims a store may have lost when it was put back: one a minute for two years. A Lease
/// that names an epoch further ahead wasn't written by an operator.
const MAX_LOST: i64 = 1_000_000;

/// The epoch that no store comes to by itself: with a claim every second it takes 30,000 years.
const LAST_EPOCH: i64 = 1_000_000_000_000;

impl CommitPosition {
    /// Whether an operator of a store whose newest epoch is this one can have come so far. Whoever
    /// may edit the Lease may have written anything into it.
    #[must_use]
    pub fn is_plausible(self, newest: i64) -> bool {
        let Self { epoch, commits } = self;
        (0..=newest.saturating_add(MAX_LOST)).contains(&epoch) && epoch < LAST_EPOCH && commits >= 0
    }
}

/// Whether a store's newest epoch is none that claims led to: a Lease that somebody edited was
/// believed once.
#[must_use]
pub fn is_absurd(newest: i64) -> bool {
    !(0..LAST_EPOCH).contains(&newest)
}

/// Returns the epoch of a new claim: above the newest of the store, and above what is known, which
/// is plausible.
///
/// Where the newest is absurd, counting begins anew above the claims that stand. That lets no
/// former operator back in: each claim has a token of its own.
#[must_use]
pub(crate) fn next_epoch(newest: i64, standing: &[i64], known: CommitPosition) -> i64 {
    let sound = |epoch: &i64| !is_absurd(*epoch);
    let newest = [newest]
        .into_iter()
        .chain(standing.iter().copied().filter(|_| is_absurd(newest)))
        .filter(sound)
        .max();
    newest.unwrap_or(0).max(known.epoch) + 1
}

impl Claim {
    /// Whether two operators would work in the same namespace.
    #[must_use]
    pub fn overlaps(&self, namespaces: &BTreeSet<String>) -> bool {
        self.namespaces.is_empty()
            || namespaces.is_empty()
            || !self.namespaces.is_disjoint(namespaces)
    }
}

/// A claim that stands: every commit is refused once another has taken its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimGrant {
    /// Higher than that of every claim before it, and than any that the cluster knows of.
    pub epoch: i64,
    /// Whether the store knows of fewer claims or commits than the cluster: it was put back to an
    /// earlier time, or is another one.
    pub rolled_back: bool,
    /// The cluster that the store belonged to until now, where that was another.
    pub former_cluster: Option<String>,
    /// Whether what the cluster knows can't be true of this store, and was left out of account.
    pub known_was_ignored: bool,
    /// The epoch of the store that can't be true either, where counting began anew.
    pub absurd_epoch: Option<i64>,
}

/// Why an operator doesn't get to work.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The store belongs to another cluster.
    #[error(
        "the store belongs to another cluster (its kube-system has the uid {found}, this one's {asked}): two clusters on one store \
         would undo each other's work; if this cluster takes its place, stop the other's operator and start once with --accept-cluster"
    )]
    OtherCluster {
        /// The cluster that it belongs to.
        found: String,
        /// The cluster of the claim.
        asked: String,
    },
    /// Another operator works in some of the namespaces.
    #[error(
        "the operator {holder} works in {namespaces} of this store: give each operator namespaces of its own with --namespace, or \
         stop that one; if it is gone for good without having been told to stop, start once with --supersede"
    )]
    Overlapping {
        /// Who that is.
        holder: String,
        /// Its namespaces, for people.
        namespaces: String,
    },
    /// Other operators work on the store with other directories.
    #[error(
        "the directories of a store are the same for all of its operators, and those of this one aren't those of {holders}: \
         {differences}; give all of them the same --directory options; to change them, stop all operators of the store first, or, where \
         one was killed and is gone for good, start this one once with --supersede"
    )]
    OtherDirectories {
        /// Who works on it.
        holders: String,
        /// Which directories only they have, and which only the claim.
        differences: String,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns in which directories a claim differs from those in use, for people.
pub(crate) fn differences(in_use: &BTreeSet<String>, asked: &BTreeSet<String>) -> String {
    let names = |of: &BTreeSet<String>, not_of: &BTreeSet<String>| {
        let names: Vec<&str> = of.difference(not_of).map(String::as_str).collect();
        names.join(", ")
    };
    let (missing, new) = (names(in_use, asked), names(asked, in_use));
    let missing = (!missing.is_empty()).then(|| format!("this one lacks {missing}"));
    let new = (!new.is_empty()).then(|| format!("only this one has {new}"));
    missing.into_iter().chain(new).collect::<Vec<_>>().join(", and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lease_says_is_believed_as_far_as_a_store_can_have_been_put_back() {
        #[track_caller]
        fn check(epoch: i64, commits: i64, newest: i64, expected: bool) {
            assert_eq!(
                CommitPosition { epoch, commits }.is_plausible(newest),
                expected,
                "{epoch} {commits} after {newest}"
            );
        }
        check(0, 0, 0, true);
        check(41, 7, 5, true);
        check(5, i64::MAX, 5, true);
        check(MAX_LOST, 0, 0, true);
        check(MAX_LOST + 1, 0, 0, false);
        check(i64::MAX, 0, 5, false);
        check(i64::MAX - 1, 0, i64::MAX, false);
        check(i64::MAX, 0, i64::MAX, false);
        check(i64::MIN, 0, 5, false);
        check(5, -1, 5, false);
    }

    #[test]
    fn an_epoch_is_above_every_one_before_and_counting_begins_anew_after_an_absurd_one() {
        #[track_caller]
        fn check(newest: i64, standing: &[i64], known: i64, expected: i64) {
            assert_eq!(
                next_epoch(newest, standing, CommitPosition { epoch: known, commits: 0 }),
                expected
            );
        }
        check(0, &[], 0, 1);
        check(7, &[5], 0, 8);
        check(7, &[], 41, 42);
        check(i64::MAX, &[], 0, 1);
        check(i64::MAX - 1, &[3, i64::MAX - 1], 0, 4);
        check(i64::MIN, &[], 0, 1);
        check(LAST_EPOCH - 1, &[], 0, LAST_EPOCH);
        check(LAST_EPOCH, &[12], 20, 21);
    }
}
