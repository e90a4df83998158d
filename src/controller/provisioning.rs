//! What directories are still to be brought: level-triggered, the newest entry of each account only, and as often as it
//! takes. A directory that is down holds up nobody else's work, and an account that one refuses holds up no other account.
//!
//! What a directory confirmed stands in the store, as a revision and a fingerprint. A newer revision says by itself that
//! there is something to bring. A change at the same revision, which comes from others' accounts and groups, doesn't: before
//! the first try the store forgets the fingerprint, so that nobody who comes after a crash takes the entry for brought.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::passwords::PasswordPlace;
use super::wake::{Lane, ObjectKey, OfOrganization, Queue};
use crate::directory::{DirectoryError, Entry, Person, Provisioned};
use crate::domain::account::{AccountId, Confirmation, Confirmations, EntryHandle, Fingerprint, Revision};
use crate::plan::in_flight::{Directories, DirectoryState};
use crate::plan::{ConfirmPlan, Plan};

/// How many entries may be on their way to one directory at once. What many need of a group goes into one request there; how
/// many requests are under way each directory bounds itself.
const AT_ONCE: usize = 256;
/// How many of them may be such as take nobody's way in: room is left for those that do.
const FOLLOWING_AT_ONCE: usize = 224;
/// How many of one organization's entries may be on their way to a directory, and how many such as take nobody's way in:
/// another organization's don't wait until one of these is through.
const OF_ONE_AT_ONCE: usize = 224;
const FOLLOWING_OF_ONE_AT_ONCE: usize = 192;
/// The least that a directory is left alone which asks for it.
const SHORTEST_REST: Duration = Duration::from_secs(1);
/// The longest that a directory is left alone, also when it asks for more.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How late a request may be done that was left without an answer, such as one that waited behind a gateway.
const LATEST_ARRIVAL: Duration = Duration::from_secs(60);

/// What each directory is still to be brought, and what the store is still to be told of it.
#[derive(Debug, Default)]
pub struct Provisioning {
    directories: BTreeMap<String, Pending>,
    /// What the store is still to be told, by account.
    untold: BTreeMap<AccountId, Untold>,
    /// The accounts that the store knows nothing of and whose entries are to go, with the directories where they went.
    dropped: BTreeMap<AccountId, BTreeSet<String>>,
}

/// What one directory is still to be brought.
#[derive(Debug, Default)]
struct Pending {
    wanted: HashMap<AccountId, Wanted>,
    due: Queue<EntryKey>,
    under_way: HashSet<AccountId>,
    /// How many are under way, by organization.
    under_way_of: HashMap<String, usize>,
    problems: HashMap<AccountId, DirectoryError>,
    /// The last request for an account that was left without an answer and may still arrive.
    unanswered: HashMap<AccountId, Unanswered>,
    /// Over whom the directory failed, and over nobody else since.
    failed_over: Option<AccountId>,
    rest: Option<Rest>,
}

/// Names an entry, and the organization whose turn it takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EntryKey {
    organization: String,
    account: AccountId,
}

impl EntryKey {
    fn of(entry: &Entry) -> Self {
        Self { organization: entry.organization.clone(), account: entry.account }
    }
}

impl OfOrganization for EntryKey {
    fn organization(&self) -> &str {
        &self.organization
    }
}

/// The newest entry of an account, and for whom it is.
#[derive(Clone, Debug)]
struct Wanted {
    user: ObjectKey,
    entry: Entry,
    password: Option<PasswordPlace>,
    /// What tells the password that the directory has.
    known_password: Option<String>,
    /// It was confirmed, and is looked at again once nothing can arrive any more that undoes it.
    is_second_look: bool,
    /// It waits until the store knows that the directory's entry is in doubt.
    is_held: bool,
}

/// A request that was left without an answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    since: Instant,
    /// It or one before it has a password, which can't be seen in the directory.
    had_password: bool,
}

/// A directory as a whole fails, and is left alone; then one entry tries how it does.
#[derive(Debug)]
struct Rest {
    until: Instant,
    failures: u32,
    why: DirectoryError,
    /// What was on its way when it began, and says nothing about how the directory does afterwards.
    from_before: HashSet<AccountId>,
}

/// What the store is still to be told of an account.
#[derive(Clone, Debug)]
struct Untold {
    user: ObjectKey,
    confirmed: Confirmations,
}

/// An entry that is to be brought to a directory now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The name of the directory.
    pub directory: String,
    /// The entry.
    pub entry: Entry,
    /// Where its password stands, if a Secret has it.
    pub password: Option<PasswordPlace>,
}

impl Provisioning {
    /// Returns what there is to do for directories of these names: nothing yet.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let directories = names.into_iter().map(|name| (name, Pending::default())).collect();
        Self { directories, ..Self::default() }
    }

    /// Returns the directories, each with what went wrong when it was last brought this account, or anything at all.
    #[must_use]
    pub fn directories(&self, account: Option<AccountId>) -> Directories {
        let state = |pending: &Pending| {
            let own = account.and_then(|account| pending.problems.get(&account));
            let problem = own.or(pending.rest.as_ref().map(|rest| &rest.why)).map(DirectoryError::as_problem);
            DirectoryState { problem, missing: None }
        };
        self.directories.iter().map(|(name, pending)| (name.clone(), state(pending))).collect()
    }

    /// Has every directory brought an entry that hasn't confirmed it yet. A Secret may have the password's text.
    pub fn want(
        &mut self,
        user: &ObjectKey,
        entry: &Entry,
        confirmed: &Confirmations,
        password: Option<&PasswordPlace>,
        now: Instant,
    ) {
        let fingerprint = entry.fingerprint();
        for (name, pending) in &mut self.directories {
            let untold = self.untold.get(&entry.account).and_then(|untold| untold.confirmed.get(name));
            let known = untold.or(confirmed.get(name)).cloned();
            let before = known.as_ref().and_then(|known| known.fingerprint.as_ref());
            let has_it = match (before, &fingerprint) {
                (Some(before), Some(fingerprint)) => before.has(fingerprint),
                (before, fingerprint) => before.is_none() && fingerprint.is_none(),
            };
            if has_it && known.as_ref().is_some_and(|known| known.revision >= entry.revision) {
                pending.drop_unless_second_look(entry);
                continue;
            }
            let mut wanted = Wanted::new(user, entry.clone());
            wanted.entry.handle = known.as_ref().and_then(|known| known.handle.clone());
            wanted.password = password.cloned();
            wanted.knows(before.and_then(|before| before.password.as_ref()));
            // What the store says, or is about to be told, is about to be wrong.
            if let Some(known) = known.as_ref().filter(|known| known.revision >= entry.revision && !is_in_doubt(known)) {
                note(&mut self.untold, user, entry.account, name, in_doubt(known.revision, before, known.handle.as_ref()));
            }
            let stored = confirmed.get(name);
            wanted.is_held = stored.is_some_and(|stored| stored.revision >= entry.revision && !is_in_doubt(stored));
            pending.want(wanted, now);
        }
    }

    /// Returns the directories that have yet to drop the entry of an account that the store knows nothing of, each with what
    /// went wrong there.
    #[must_use]
    pub fn left_to_drop(&self, account: AccountId) -> Directories {
        let has_dropped = |name: &String| self.dropped.get(&account).is_some_and(|dropped| dropped.contains(name));
        self.directories(Some(account)).into_iter().filter(|(name, _)| !has_dropped(name)).collect()
    }

    /// Has every directory drop the entry of an account that the store knows nothing of, and nobody else tells them of.
    pub fn drop_entry(&mut self, user: &ObjectKey, account: AccountId, now: Instant) {
        let dropped = self.dropped.entry(account).or_default();
        for (_, pending) in self.directories.iter_mut().filter(|(name, _)| !dropped.contains(*name)) {
            // Newer than whatever was brought before the store lost it.
            let entry = Entry::gone(account, Revision(i64::MAX), &user.namespace);
            pending.want(Wanted::new(user, entry), now);
        }
    }

    /// Takes what is due to be brought.
    pub fn take(&mut self, now: Instant) -> Vec<Delivery> {
        let mut taken = vec![];
        for (name, pending) in &mut self.directories {
            for EntryKey { account, organization } in pending.take(now) {
                let Some(Wanted { entry, password, .. }) = pending.wanted.get(&account) else { continue };
                pending.under_way.insert(account);
                *pending.under_way_of.entry(organization).or_default() += 1;
                taken.push(Delivery { directory: name.clone(), entry: entry.clone(), password: password.clone() });
            }
        }
        taken
    }

    /// Returns when the next entry is due, to a directory that there is room for.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.directories.values().filter_map(Pending::next_due).min()
    }

    /// Returns how many entries each directory has yet to confirm.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, usize)> {
        self.directories.iter().map(|(name, pending)| (name.as_str(), pending.wanted.len()))
    }

    /// Takes in what a directory answered. Returns the `User`s whose status has something new to say about it.
    pub fn take_answer(
        &mut self,
        directory: &str,
        entry: &Entry,
        answer: Result<Provisioned, DirectoryError>,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        pending.arrived(entry);
        if pending.rest.is_some() && answer.as_ref().err().is_none_or(DirectoryError::shows_that_it_works) {
            pending.rest = None;
            tracing::info!(directory, waiting = pending.wanted.len(), "the directory answers again");
        }
        if answer.as_ref().err().is_none_or(DirectoryError::shows_that_it_works) {
            pending.failed_over = None;
        }
        let Some(wanted) = pending.wanted.get(&entry.account).cloned() else { return vec![] };
        match answer {
            Ok(provisioned) => self.confirmed(directory, entry, provisioned, (&wanted, now)),
            Err(problem) => self.failed(directory, entry, &wanted, problem, now),
        }
    }

    fn confirmed(
        &mut self,
        directory: &str,
        entry: &Entry,
        provisioned: Provisioned,
        (wanted, now): (&Wanted, Instant),
    ) -> Vec<ObjectKey> {
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        pending.due.succeeded(&EntryKey::of(entry));
        let healed = pending.problems.remove(&entry.account).map(|_| wanted.user.clone());
        let fingerprint = entry.fingerprint();
        let is_last = wanted.entry.revision <= entry.revision && wanted.entry.fingerprint() == fingerprint;
        let unanswered = pending.unanswered.get(&entry.account).copied();
        let until = unanswered.map(|it| it.since + LATEST_ARRIVAL).filter(|until| *until > now);
        let password = fingerprint.as_ref().and_then(|fingerprint| fingerprint.password.as_ref());
        let password = password.or(wanted.known_password.as_ref()).cloned();
        let handle = provisioned.handle;
        if let Some(wanted) = pending.wanted.get_mut(&entry.account) {
            wanted.entry.handle.clone_from(&handle);
        }
        match (pending.wanted.get_mut(&entry.account), until) {
            // An earlier request may still undo it: whether it did is looked at afterwards.
            (Some(wanted), Some(until)) if is_last => {
                wanted.is_second_look = true;
                let password = password.as_ref().filter(|_| unanswered.is_none_or(|it| !it.had_password));
                wanted.knows(password);
                pending.due.put(EntryKey::of(entry), Lane::Following, until);
            }
            (Some(newer), _) if !is_last => {
                newer.knows(password.as_ref());
                if !newer.is_held {
                    pending.due.put(EntryKey::of(entry), lane(&newer.entry), now);
                }
            }
            _ => pending.drop(entry),
        }
        if let Some(dropped) = self.dropped.get_mut(&entry.account).filter(|_| entry.person.is_none()) {
            dropped.insert(directory.to_owned());
            return vec![wanted.user.clone()];
        }
        // What comes next may be on its way before the store is told of this one.
        let fingerprint = fingerprint.map(|own| Fingerprint { password, ..own });
        let news = match is_last && until.is_none() {
            true => Confirmation { revision: entry.revision, fingerprint, handle },
            false => in_doubt(entry.revision, fingerprint.as_ref(), handle.as_ref()),
        };
        note(&mut self.untold, &wanted.user, entry.account, directory, news);
        healed.into_iter().collect()
    }

    fn failed(
        &mut self,
        directory: &str,
        entry: &Entry,
        wanted: &Wanted,
        problem: DirectoryError,
        now: Instant,
    ) -> Vec<ObjectKey> {
        let Some(pending) = self.directories.get_mut(directory) else { return vec![] };
        let again = pending.due.failed(&EntryKey::of(entry), now);
        if problem == DirectoryError::PasswordLost
            && let Some(wanted) = pending.wanted.get_mut(&entry.account)
        {
            wanted.knows(None);
        }
        // What is newer isn't to wait for what failed before it.
        let at = if wanted.entry.revision > entry.revision { now } else { now + jittered(again - now) };
        if !wanted.is_held {
            pending.due.put(EntryKey::of(entry), lane(&wanted.entry), at);
        }
        if problem.leaves_open_what_becomes_of_it() {
            let is_new = |person: &Person| person.password.as_ref().is_some_and(|password| password.is_new);
            let before = pending.unanswered.get(&entry.account).is_some_and(|it| it.had_password);
            let had_password = before || entry.person.as_ref().is_some_and(is_new);
            pending.unanswered.insert(entry.account, Unanswered { since: now, had_password });
        }
        if problem.is_about_directory() || pending.fails_over_others_too(entry.account, &problem) {
            return pending.begin_rest(directory, entry.account, problem, now);
        }
        let account = entry.account;
        let why: &str = (&problem).into();
        tracing::debug!(directory, %account, why, "a directory didn't confirm an entry");
        let known = pending.problems.insert(account, problem.clone());
        if known.as_ref() == Some(&problem) { vec![] } else { vec![wanted.user.clone()] }
    }

    /// Whether the store is to be told something.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Returns the plans that tell the store what was confirmed and what is in doubt, at most so many and of each organization
    /// by turns, each with the `User` concerned.
    #[must_use]
    pub fn news(&self, most: usize) -> Vec<(ObjectKey, AccountId, Plan)> {
        let plan = |(account, Untold { user, confirmed }): (&AccountId, &Untold)| {
            let namespace = user.namespace.clone();
            (user.clone(), *account, Plan::Confirm(ConfirmPlan { namespace, account: *account, confirmed: confirmed.clone() }))
        };
        let mut organizations: BTreeMap<&str, Vec<(&AccountId, &Untold)>> = BTreeMap::new();
        for (account, untold) in &self.untold {
            organizations.entry(&untold.user.namespace).or_default().push((account, untold));
        }
        let longest = organizations.values().map(Vec::len).max().unwrap_or_default();
        let by_turns = (0..longest).flat_map(|turn| organizations.values().filter_map(move |untold| untold.get(turn).copied()));
        by_turns.take(most).map(plan).collect()
    }

    /// Forgets what the store knows now, and brings what waited for that.
    pub fn told(&mut self, account: AccountId, now: Instant) {
        self.untold.remove(&account);
        for pending in self.directories.values_mut() {
            let Some(wanted) = pending.wanted.get_mut(&account).filter(|wanted| wanted.is_held) else { continue };
            wanted.is_held = false;
            let (key, lane) = (EntryKey::of(&wanted.entry), lane(&wanted.entry));
            if !pending.under_way.contains(&account) {
                pending.due.put(key, lane, now);
            }
        }
    }
}

impl Wanted {
    fn new(user: &ObjectKey, entry: Entry) -> Self {
        Self { user: user.clone(), entry, password: None, known_password: None, is_second_look: false, is_held: false }
    }

    /// Takes in what tells the password that the directory has.
    fn knows(&mut self, password: Option<&String>) {
        let own = self.entry.fingerprint().and_then(|fingerprint| fingerprint.password);
        if let Some(wanted) = self.entry.person.as_mut().and_then(|person| person.password.as_mut()) {
            wanted.is_new = own.as_ref() != password;
        }
        self.known_password = password.cloned();
    }
}

impl Pending {
    fn want(&mut self, wanted: Wanted, now: Instant) {
        let (account, entry) = (wanted.entry.account, &wanted.entry);
        if let Some(Wanted { entry: known, .. }) = self.wanted.get(&account)
            && (known.revision > entry.revision || known.revision == entry.revision && known.fingerprint() == entry.fingerprint())
        {
            return;
        }
        let (key, lane) = (EntryKey::of(entry), lane(entry));
        let is_due = !wanted.is_held && !self.under_way.contains(&account);
        self.wanted.insert(account, wanted);
        if is_due {
            self.due.put(key, lane, now);
        }
    }

    /// Takes the accounts that are due, those that lose their way in first, of each organization by turns.
    fn take(&mut self, now: Instant) -> Vec<EntryKey> {
        let under_way = self.under_way.len();
        match &self.rest {
            Some(rest) if now < rest.until || under_way > 0 => vec![],
            Some(_) => self.due.take(now, 1),
            None => {
                let mut of = self.under_way_of.clone();
                let mut has_room = |key: &EntryKey, most| {
                    let count = of.entry(key.organization.clone()).or_default();
                    let has_room = *count < most;
                    *count += usize::from(has_room);
                    has_room
                };
                let room = AT_ONCE.saturating_sub(under_way);
                let mut taken = self.due.take_from(Lane::Asked, now, room, |key| has_room(key, OF_ONE_AT_ONCE));
                let room = FOLLOWING_AT_ONCE.saturating_sub(under_way + taken.len());
                let following = |key: &EntryKey| has_room(key, FOLLOWING_OF_ONE_AT_ONCE);
                taken.extend(self.due.take_from(Lane::Following, now, room, following));
                taken
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let under_way = self.under_way.len();
        let has_room = |organization: &str, most| self.under_way_of.get(organization).is_none_or(|count| *count < most);
        let due = |lane, most, of_one| {
            self.due.next_due_of(lane, |organization| has_room(organization, of_one)).filter(|_| under_way < most)
        };
        let asked = || due(Lane::Asked, AT_ONCE, OF_ONE_AT_ONCE);
        let following = || due(Lane::Following, FOLLOWING_AT_ONCE, FOLLOWING_OF_ONE_AT_ONCE);
        match &self.rest {
            Some(_) if under_way > 0 => None,
            Some(rest) => self.due.next_due().map(|due| due.max(rest.until)),
            None => asked().into_iter().chain(following()).min(),
        }
    }

    /// Notes that an entry isn't on its way any more.
    fn arrived(&mut self, entry: &Entry) {
        if self.under_way.remove(&entry.account)
            && let Some(count) = self.under_way_of.get_mut(&entry.organization)
        {
            *count -= 1;
            if *count == 0 {
                self.under_way_of.remove(&entry.organization);
            }
        }
    }

    /// Leaves the directory alone for a while, longer each time in a row. Returns those whose status is to say so.
    fn begin_rest(&mut self, directory: &str, account: AccountId, why: DirectoryError, now: Instant) -> Vec<ObjectKey> {
        if self.rest.as_mut().is_some_and(|rest| rest.from_before.remove(&account)) {
            return vec![];
        }
        let failures = match &self.rest {
            Some(rest) => rest.failures + 1,
            None => 0,
        };
        let asked_for = match &why {
            DirectoryError::Busy { after } => after.map(|after| after.max(SHORTEST_REST)),
            _ => None,
        };
        let rest = asked_for.unwrap_or_else(|| Duration::from_secs(1 << failures.min(6))).min(LONGEST_REST);
        let waiting = self.wanted.len();
        if failures == 0 {
            tracing::warn!(directory, waiting, error = %why, "a directory fails, and is left alone for a while");
        }
        let is_news = self.rest.as_ref().is_none_or(|rest| rest.why != why);
        self.rest = Some(Rest { until: now + jittered(rest), failures, why, from_before: self.under_way.clone() });
        if is_news { self.wanted.values().map(|wanted| wanted.user.clone()).collect() } else { vec![] }
    }

    /// Whether a failure is more than one account's: somebody else met one too, and nobody was any luckier since.
    fn fails_over_others_too(&mut self, account: AccountId, problem: &DirectoryError) -> bool {
        if !matches!(problem, DirectoryError::Failed(_)) {
            return false;
        }
        let first = *self.failed_over.get_or_insert(account);
        // While it rests one at a time tries, and who is alone holds up nobody.
        first != account || (self.rest.is_some() && self.wanted.len() > 1)
    }

    fn drop_unless_second_look(&mut self, entry: &Entry) {
        let is_second_look = |wanted: &Wanted| wanted.is_second_look && wanted.entry.revision == entry.revision;
        if !self.wanted.get(&entry.account).is_some_and(is_second_look) {
            self.drop(entry);
        }
    }

    fn drop(&mut self, entry: &Entry) {
        self.wanted.remove(&entry.account);
        self.problems.remove(&entry.account);
        self.unanswered.remove(&entry.account);
        self.due.succeeded(&EntryKey::of(entry));
    }
}

/// Notes what the store is to be told of an account and a directory, instead of what it was to be told before.
fn note(untold: &mut BTreeMap<AccountId, Untold>, user: &ObjectKey, account: AccountId, directory: &str, news: Confirmation) {
    let new = || Untold { user: user.clone(), confirmed: Confirmations::new() };
    untold.entry(account).or_insert_with(new).confirmed.insert(directory.to_owned(), news);
}

/// Returns that a directory has a revision, and that nobody knows what of the person it has beside the password.
fn in_doubt(revision: Revision, before: Option<&Fingerprint>, handle: Option<&EntryHandle>) -> Confirmation {
    let password = before.and_then(|before| before.password.clone());
    let fingerprint = password.map(|password| Fingerprint { person: String::new(), rights: None, password: Some(password) });
    Confirmation { revision, fingerprint, handle: handle.cloned() }
}

fn is_in_doubt(known: &Confirmation) -> bool {
    known.fingerprint.as_ref().is_none_or(|fingerprint| fingerprint.person.is_empty())
}

/// Returns a time somewhat longer or shorter, so that what failed together doesn't come back together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// What takes somebody's way in goes first.
fn lane(entry: &Entry) -> Lane {
    if entry.takes_away() { Lane::Asked } else { Lane::Following }
}

#[cfg(test)]
mod tests;
