//! A directory at the level of requests, and the way to it, on which requests get lost, are
//! doubled, and arrive late.
//!
//! What was sent arrives whatever becomes of whoever sent it. A request arrives at most
//! [`LATEST_ARRIVAL`] after it was sent, as the product assumes. Of one that was doubled both
//! arrive before there is an answer, or there is none: who has an answer can't know that the same
//! request is still to come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use roster::domain::account::AccountId;
use roster::provisioning::DirectoryError;
use roster_test_support::rng::Dice;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::oracles::Oracles;

/// How late a request is carried out at most, counted from when it was sent.
const LATEST_ARRIVAL: Duration = Duration::from_secs(60);

/// What a directory has of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) account: AccountId,
    pub(crate) login_name: String,
    pub(crate) active: bool,
    pub(crate) password: Option<String>,
    pub(crate) group: String,
    pub(crate) permissions: Vec<String>,
}

/// The directory's own key of an entry.
pub(crate) type Key = u64;

/// One request of a delivery.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Look(AccountId),
    Create(Person),
    SetActive(Key, bool),
    SetPassword(Key, Option<String>),
    SetRights(Key, String, Vec<String>),
    Delete(Key),
}

/// What a directory answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Found(Option<(Key, Person)>),
    Done(Key),
    NoSuchEntry,
    /// The login name is another entry's.
    Taken,
}

/// What is wrong with a directory for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Refuses,
    Fails,
    Hangs,
}

#[derive(Debug)]
pub(crate) struct Directory {
    entries: BTreeMap<Key, Person>,
    newest: Key,
    dice: Dice,
    /// Of a hundred requests so many meet a fault.
    faults: usize,
    /// How much later than the product assumes a request may arrive.
    lateness: u32,
    is_down: bool,
    troubles: BTreeMap<String, Trouble>,
    /// How many requests were sent.
    sent: usize,
    pub(crate) oracles: Oracles,
    trace: Vec<String>,
    begun: Instant,
}

/// What becomes of a request: when it arrives, once or twice or never, and when there is an answer,
/// a broken connection or nothing.
#[derive(Debug)]
struct Fate {
    arrivals: Vec<Duration>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// The answer to the last arrival comes at once.
    Answer,
    /// The connection breaks after so long.
    Breaks(Duration),
    Silence,
    Says(DirectoryError),
}

/// A directory that many share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Directory>>);

impl Shared {
    pub(crate) fn new(dice: Dice, faults: usize, lateness: u32) -> Self {
        Self(Arc::new(Mutex::new(Directory {
            entries: BTreeMap::new(),
            newest: 0,
            dice,
            faults,
            lateness,
            is_down: false,
            troubles: BTreeMap::new(),
            sent: 0,
            oracles: Oracles::default(),
            trace: vec![],
            begun: Instant::now(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Directory> {
        self.0.lock().unwrap()
    }

    /// Sends a request. What it does is done even if nobody waits for the answer any more.
    pub(crate) async fn send(
        &self,
        login_name: &str,
        request: Request,
    ) -> Result<Reply, DirectoryError> {
        let Fate { arrivals, end } = self.lock().fate(login_name, &request);
        let (tell, answer) = oneshot::channel();
        let directory = self.clone();
        tokio::spawn(async move {
            let (sent, mut reply) = (Instant::now(), None);
            for arrival in arrivals {
                tokio::time::sleep_until(sent + arrival).await;
                reply = Some(directory.lock().carry_out(request.clone()));
            }
            if let Some(reply) = reply {
                _ = tell.send(reply);
            }
        });
        match end {
            End::Answer => answer
                .await
                .map_err(|_| DirectoryError::Unreachable("the request got lost".to_owned())),
            End::Breaks(after) => {
                tokio::time::sleep(after).await;
                Err(DirectoryError::Unreachable("the connection broke".to_owned()))
            }
            End::Silence => std::future::pending().await,
            End::Says(error) => Err(error),
        }
    }
}

impl Directory {
    pub(crate) fn set_down(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    pub(crate) fn set_trouble(&mut self, login_name: &str, trouble: Option<Trouble>) {
        match trouble {
            Some(trouble) => _ = self.troubles.insert(login_name.to_owned(), trouble),
            None => _ = self.troubles.remove(login_name),
        }
    }

    pub(crate) fn is_well(&mut self) {
        (self.faults, self.is_down) = (0, false);
        self.troubles.clear();
    }

    /// Returns how many requests were sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    pub(crate) fn people(&self) -> impl Iterator<Item = &Person> {
        self.entries.values()
    }

    /// Notes what happens, for the one who reads how it came to a breach.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.trace.push(format!("{seconds:>8.2} {}", what()));
    }

    pub(crate) fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Asks whether all is well.
    pub(crate) fn look(&mut self) {
        let Self { oracles, entries, .. } = self;
        oracles.look(entries.values());
    }

    fn fate(&mut self, login_name: &str, request: &Request) -> Fate {
        let fate = self.roll_fate(login_name);
        self.sent += 1;
        let is_plain = matches!(request, Request::Look(_)) && matches!(fate.end, End::Answer);
        if !is_plain {
            self.note(|| format!("{login_name} sent {request:?}: {fate:?}"));
        }
        fate
    }

    fn roll_fate(&mut self, login_name: &str) -> Fate {
        let latest = u64::try_from((LATEST_ARRIVAL * self.lateness).as_millis()).unwrap();
        let late = |dice: &mut Dice| dice.time(0..latest);
        let dice = &mut self.dice;
        let soon = dice.time(1..50);
        if self.is_down {
            return Fate { arrivals: vec![], end: End::Breaks(soon) };
        }
        match self.troubles.get(login_name) {
            Some(Trouble::Refuses) => {
                return Fate {
                    arrivals: vec![],
                    end: End::Says(DirectoryError::Refused("it may not".to_owned())),
                };
            }
            Some(Trouble::Fails) => {
                return Fate {
                    arrivals: vec![],
                    end: End::Says(DirectoryError::Failed("it answers 500".to_owned())),
                };
            }
            Some(Trouble::Hangs) => {
                let arrivals = if dice.below(2) == 0 { vec![] } else { vec![late(dice)] };
                return Fate { arrivals, end: End::Silence };
            }
            None => {}
        }
        if dice.below(100) >= self.faults {
            return Fate { arrivals: vec![soon], end: End::Answer };
        }
        let broken = |dice: &mut Dice| {
            if dice.below(2) == 0 { End::Silence } else { End::Breaks(dice.time(1..10_000)) }
        };
        match dice.below(6) {
            0 => Fate { arrivals: vec![], end: broken(dice) },
            1 => Fate { arrivals: vec![soon], end: broken(dice) },
            2 => Fate { arrivals: vec![late(dice)], end: broken(dice) },
            // Slowly, and answered if anybody waits so long.
            3 => Fate { arrivals: vec![late(dice)], end: End::Answer },
            4 => {
                let mut both = [dice.time(1..25_000), dice.time(1..25_000)];
                both.sort();
                Fate { arrivals: both.into(), end: End::Answer }
            }
            _ => {
                let mut both = [late(dice), late(dice)];
                both.sort();
                Fate { arrivals: both.into(), end: broken(dice) }
            }
        }
    }

    fn carry_out(&mut self, request: Request) -> Reply {
        let is_write = !matches!(request, Request::Look(_));
        if is_write {
            self.note(|| format!("arrives: {request:?}"));
        }
        let entry = |entries: &mut BTreeMap<Key, Person>,
                     key: Key,
                     change: &dyn Fn(&mut Person)| match entries.get_mut(&key) {
            Some(person) => {
                change(person);
                Reply::Done(key)
            }
            None => Reply::NoSuchEntry,
        };
        let reply = match request {
            Request::Look(account) => {
                let found = self.entries.iter().find(|(_, person)| person.account == account);
                Reply::Found(found.map(|(key, person)| (*key, person.clone())))
            }
            Request::Create(person) => {
                if self.entries.values().any(|other| other.login_name == person.login_name) {
                    Reply::Taken
                } else {
                    self.newest += 1;
                    self.entries.insert(self.newest, person);
                    Reply::Done(self.newest)
                }
            }
            Request::SetActive(key, active) => {
                entry(&mut self.entries, key, &|person| person.active = active)
            }
            Request::SetPassword(key, password) => {
                entry(&mut self.entries, key, &|person| person.password.clone_from(&password))
            }
            Request::SetRights(key, group, permissions) => {
                entry(&mut self.entries, key, &|person| {
                    person.group.clone_from(&group);
                    person.permissions.clone_from(&permissions);
                })
            }
            Request::Delete(key) => {
                self.entries.remove(&key).map_or(Reply::NoSuchEntry, |_| Reply::Done(key))
            }
        };
        if is_write {
            self.look();
        }
        reply
    }
}
