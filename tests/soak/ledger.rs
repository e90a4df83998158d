//! What happened in a run, and when: faults, latencies, when operators could work, and what was
//! complained of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use roster_test_support::cluster::within;

/// How long anything may take in a run before it is complained of: operators come and go all the
/// time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// How long after the API server is back an operator may take to notice that etcd was put back.
pub(crate) const NOTICES: Duration = Duration::from_secs(30);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    PostgresKilled,
    ConnectionsCut,
    LeaderKilled,
    LeaderPaused,
    LeaderCutOff,
    LeaseHeldByGhost,
    LeaseWithAbsurdEpoch,
    AccountLeftBehind,
    CasesLocked,
    RowsHeld,
    NewerSpec,
    NewerStatus,
    NamespaceDeleted,
    AnswersSpoilt,
    EtcdPutBack,
    ClockAhead,
    LoopsFormed,
    PermissionsOfGroups,
    SharedSecret,
}

/// What was measured: from when the API server acknowledged an edit until it was in force in the
/// store.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) revocation: bool,
    pub(crate) took: Duration,
    /// The part of it in which a leader worked, and its store and API server could be reached.
    pub(crate) net: Duration,
    /// The faults under way at its beginning or its end.
    pub(crate) beside: BTreeSet<Fault>,
}

/// Whether each team could work, in the order of time; each holds until the next.
pub(crate) type Availability = Vec<(Instant, Vec<bool>)>;

/// Returns for how long of a span a team could work.
pub(crate) fn working(
    availability: &Availability,
    team: usize,
    from: Instant,
    to: Instant,
) -> Duration {
    let ends = availability.iter().skip(1).map(|(at, _)| *at).chain([to]);
    let spans = availability.iter().zip(ends).filter(|((_, works), _)| works[team]);
    spans.map(|((begin, _), end)| end.min(to).saturating_duration_since((*begin).max(from))).sum()
}

/// Returns the moment before which a team could have worked for so long until another moment.
pub(crate) fn back_by(
    availability: &Availability,
    team: usize,
    to: Instant,
    work: Duration,
) -> Instant {
    let (mut left, mut end) = (work, to);
    for (begin, works) in availability.iter().rev() {
        let begin = (*begin).min(end);
        let span = end.duration_since(begin);
        if works[team] && span >= left {
            return end.checked_sub(left).expect("after the beginning");
        }
        if works[team] {
            left -= span;
        }
        end = begin;
    }
    // It hasn't worked so long yet: everything counts since the beginning.
    end.checked_sub(work).unwrap_or(end)
}

/// Everything that is noted of a run.
pub(crate) struct Ledger {
    begun: Instant,
    counts: Mutex<BTreeMap<Fault, usize>>,
    active: Mutex<BTreeMap<Fault, usize>>,
    latencies: Mutex<Vec<Latency>>,
    availability: Mutex<Availability>,
    /// Until when nothing is expected of operators, because the API server was away.
    excused: Mutex<Option<Instant>>,
    checks: Mutex<BTreeMap<&'static str, usize>>,
    complaints: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            counts: Mutex::default(),
            active: Mutex::default(),
            latencies: Mutex::default(),
            availability: Mutex::default(),
            excused: Mutex::default(),
            checks: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    /// Does something that is a fault as long as it lasts.
    pub(crate) fn during<T>(&self, fault: Fault, strike: impl FnOnce() -> T) -> T {
        *lock(&self.active).entry(fault).or_default() += 1;
        self.tell(&format!("{fault:?}"));
        let done = strike();
        *lock(&self.active).get_mut(&fault).expect("it was counted") -= 1;
        *lock(&self.counts).entry(fault).or_default() += 1;
        done
    }

    pub(crate) fn tell(&self, what: &str) {
        println!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    pub(crate) fn active(&self) -> BTreeSet<Fault> {
        lock(&self.active)
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(fault, _)| *fault)
            .collect()
    }

    /// Notes how long an edit took, which was acknowledged at `begun`.
    pub(crate) fn measured(
        &self,
        team: usize,
        revocation: bool,
        begun: Instant,
        mut beside: BTreeSet<Fault>,
    ) {
        let now = Instant::now();
        let net = working(&lock(&self.availability), team, begun, now);
        beside.extend(self.active());
        lock(&self.latencies).push(Latency { revocation, took: now - begun, net, beside });
    }

    /// Expects nothing of operators until some time has passed from now on.
    pub(crate) fn excuse(&self, time: Duration) {
        *lock(&self.excused) = Some(Instant::now() + time);
    }

    /// Notes which teams can work.
    pub(crate) fn works(&self, teams: Vec<bool>) {
        let now = Instant::now();
        let excused = lock(&self.excused).is_some_and(|until| now < until);
        let teams = teams.into_iter().map(|works| works && !excused).collect();
        let mut availability = lock(&self.availability);
        if availability.last().is_none_or(|(_, last)| *last != teams) {
            availability.push((now, teams));
        }
    }

    pub(crate) fn availability(&self) -> Availability {
        lock(&self.availability).clone()
    }

    /// Notes that an oracle was asked, and what it complains of.
    pub(crate) fn judged(&self, oracle: &'static str, complaints: Vec<String>) {
        *lock(&self.checks).entry(oracle).or_default() += 1;
        let mut all = lock(&self.complaints);
        for complaint in complaints {
            let complaint = format!("{oracle}: {complaint}");
            if !all.contains(&complaint) {
                println!("{:6.1} s  COMPLAINT {complaint}", self.begun.elapsed().as_secs_f64());
                all.push(complaint);
            }
        }
    }

    /// Asks until there is an answer, and complains where none comes.
    pub(crate) fn awaited<T>(
        &self,
        oracle: &'static str,
        what: &str,
        ask: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let answer = within(PATIENCE, ask);
        let complaint = answer.is_none().then(|| format!("not within {PATIENCE:?}: {what}"));
        self.judged(oracle, complaint.into_iter().collect());
        answer
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        lock(&self.complaints).clone()
    }

    pub(crate) fn latencies(&self) -> Vec<Latency> {
        lock(&self.latencies).clone()
    }

    /// Prints what happened as a table; `counted` are further numbers of the run.
    pub(crate) fn print(&self, seconds: u64, counted: &[(&str, usize)]) {
        println!("\n{:<52} {:>8}", "seconds of faults", seconds);
        for (fault, count) in lock(&self.counts).iter() {
            println!("{:<52} {count:>8}", format!("fault: {fault:?}"));
        }
        for (what, number) in counted {
            println!("{what:<52} {number:>8}");
        }
        let latencies = self.latencies();
        println!(
            "\n{:<52} {:>5} {:>9} {:>9} {:>9} {:>9}",
            "in force after (s)", "n", "p50", "p99", "worst", "net worst"
        );
        let all = |revocation| {
            latencies
                .iter()
                .filter(move |latency| latency.revocation == revocation)
                .collect::<Vec<_>>()
        };
        print_latencies("edits in a quiet organization", &all(false));
        print_latencies("revocations in a quiet organization", &all(true));
        let kinds: BTreeSet<Fault> =
            latencies.iter().flat_map(|latency| latency.beside.iter().copied()).collect();
        for kind in kinds {
            let beside: Vec<&Latency> =
                all(true).into_iter().filter(|latency| latency.beside.contains(&kind)).collect();
            print_latencies(&format!("revocations beside {kind:?}"), &beside);
        }
        println!();
        for (oracle, count) in lock(&self.checks).iter() {
            let complaints =
                self.complaints().iter().filter(|complaint| complaint.starts_with(oracle)).count();
            println!("{oracle:<52} {count:>8} checks {complaints:>5} complaints");
        }
    }
}

fn print_latencies(what: &str, latencies: &[&Latency]) {
    let mut sorted: Vec<Duration> = latencies.iter().map(|latency| latency.took).collect();
    sorted.sort();
    let at = |percent: usize| {
        sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
    };
    let seconds = |time: Option<&Duration>| {
        time.map_or("-".to_owned(), |time| format!("{:.3}", time.as_secs_f64()))
    };
    let net = latencies.iter().map(|latency| latency.net).max();
    println!(
        "{what:<52} {:>5} {:>9} {:>9} {:>9} {:>9}",
        sorted.len(),
        seconds(at(50)),
        seconds(at(99)),
        seconds(sorted.last()),
        seconds(net.as_ref())
    );
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
