//! What must hold of a store, of what the cluster says of it, and of a bill. Each oracle returns
//! what it complains of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::chaos::content::{Account, Content, Entry, Lifetime};
use crate::chaos::write_audit::{Witness, Write};
use crate::cluster::condition;

/// What only one account may have.
type Key = fn(&Account) -> (String, String);

/// Returns what all oracles complain of that look at the store alone, once nothing is in flight.
pub fn of_the_store(content: &Content) -> Vec<String> {
    let oracles = [accounts_and_lifetimes, journal, switches, revisions, who_wrote];
    oracles.iter().flat_map(|oracle| oracle(content)).collect()
}

/// An account lives as long as its lifetime, under its login, and shares its owner, address and
/// login with nobody.
pub fn accounts_and_lifetimes(content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    let lifetimes: HashMap<&str, &Lifetime> =
        content.lifetimes.iter().map(|lifetime| (lifetime.account.as_str(), lifetime)).collect();
    let accounts: HashMap<&str, &Account> =
        content.accounts.iter().map(|account| (account.id.as_str(), account)).collect();
    for account in &content.accounts {
        let Account { id, namespace, login, .. } = account;
        match lifetimes.get(id.as_str()) {
            Some(lifetime) if lifetime.deleted => {
                complaints.push(format!("{login} lives, and its lifetime has ended"))
            }
            Some(lifetime) if lifetime.login != *login || lifetime.namespace != *namespace => {
                complaints.push(format!(
                    "{login} has a lifetime of {} in {}",
                    lifetime.login, lifetime.namespace
                ));
            }
            Some(_) => {}
            None => complaints.push(format!("{login} has no lifetime")),
        }
    }
    for lifetime in &content.lifetimes {
        if !lifetime.deleted && !accounts.contains_key(lifetime.account.as_str()) {
            complaints.push(format!(
                "{} is lost: its lifetime hasn't ended, and there is no account",
                lifetime.login
            ));
        }
    }
    let keys: [(&str, Key); 4] = [
        ("id", |account| (String::new(), account.id.clone())),
        ("owner", |account| (account.namespace.clone(), account.owner.clone())),
        ("address", |account| (account.namespace.clone(), account.email.clone())),
        ("login", |account| (String::new(), account.login.clone())),
    ];
    for (what, key) in keys {
        let twice = doubled(content.accounts.iter().map(key));
        complaints.extend(
            twice.into_iter().map(|(_, key)| format!("several accounts have the {what} {key}")),
        );
    }
    let lives = content
        .lifetimes
        .iter()
        .filter(|lifetime| !lifetime.deleted)
        .map(|lifetime| lifetime.login.clone());
    complaints
        .extend(doubled(lives).into_iter().map(|login| format!("{login} lives more than once")));
    complaints
}

/// Returns what occurs more than once.
fn doubled<T: Ord + Clone>(all: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    all.filter(|one| !seen.insert(one.clone())).collect()
}

/// A life begins with the one Create and ends with the one Delete; nothing is in flight any more,
/// and an account's last transaction is the one that it names.
pub fn journal(content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    let mut journal: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    content.journal.iter().for_each(|entry| journal.entry(&entry.account).or_default().push(entry));
    let accounts: HashMap<&str, &Account> =
        content.accounts.iter().map(|account| (account.id.as_str(), account)).collect();
    for Lifetime { account, login, deleted, .. } in &content.lifetimes {
        let entries = journal.remove(account.as_str()).unwrap_or_default();
        let count = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).count();
        if count("Create") != 1
            || entries.first().is_none_or(|first| first.kind != "Create" || first.revision != 1)
        {
            complaints.push(format!(
                "the journal of {login} has {} Creates: {entries:?}",
                count("Create")
            ));
        }
        if count("Delete") != usize::from(*deleted)
            || entries.last().is_some_and(|last| (last.kind == "Delete") != *deleted)
        {
            complaints.push(format!(
                "the journal of {login} has {} Deletes: {entries:?}",
                count("Delete")
            ));
        }
        if !doubled(entries.iter().map(|entry| entry.revision)).is_empty() {
            complaints
                .push(format!("two transactions of {login} made the same revision: {entries:?}"));
        }
        for entry in entries.iter().filter(|entry| entry.completed == entry.superseded) {
            complaints.push(format!("a transaction of {login} neither completed nor was superseded, or did both: {entry:?}"));
        }
        let last = entries.last();
        if let Some(account) = accounts.get(account.as_str())
            && last.is_none_or(|last| {
                last.id != account.transaction || last.revision > account.revision
            })
        {
            complaints.push(format!(
                "{login} at revision {} names another transaction than {last:?}",
                account.revision
            ));
        }
    }
    complaints.extend(
        journal
            .keys()
            .map(|account| format!("the journal knows the account {account}, which never lived")),
    );
    complaints
}

/// An account is switched off and on by the Disables and Enables of the journal, by turns, and is
/// as the last one says.
pub fn switches(content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    let mut journaled: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for entry in &content.journal {
        let state = match entry.kind.as_str() {
            "Disable" => "Disabled",
            "Enable" => "Enabled",
            _ => continue,
        };
        journaled.entry(&entry.account).or_default().push((entry.revision, state));
    }
    let mut switched: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for switch in &content.switches {
        switched.entry(&switch.account).or_default().push((switch.revision, &switch.state));
    }
    for Lifetime { account, login, .. } in &content.lifetimes {
        let (journaled, switched) =
            (journaled.get(account.as_str()), switched.get(account.as_str()));
        if journaled != switched {
            complaints.push(format!(
                "{login} was switched at {switched:?}, and the journal says {journaled:?}"
            ));
        }
        if switched.is_some_and(|switched| switched.windows(2).any(|two| two[0].1 == two[1].1)) {
            complaints.push(format!(
                "{login} was switched to the same state twice in a row: {switched:?}"
            ));
        }
    }
    for account in &content.accounts {
        let last = switched.get(account.id.as_str()).and_then(|switched| switched.last());
        if last.is_some_and(|(_, state)| *state != account.state) {
            complaints.push(format!(
                "{} is {}, and was last switched at {last:?}",
                account.login, account.state
            ));
        }
    }
    complaints
}

/// Each revision of an account was made by one transaction of the database, from the first on
/// without a gap; the last is the one that it has, or that its Delete followed.
pub fn revisions(content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    let mut written: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
    for write in content.witness.writes.iter().filter(|write| write.relation == "accounts") {
        let writes = written.entry(write.account.as_deref().unwrap_or_default()).or_default();
        // What counts is how a transaction leaves an account: one that moves addresses clears them
        // first.
        if writes.last().is_some_and(|last| last.transaction == write.transaction) {
            writes.pop();
        }
        writes.push(write);
    }
    let accounts: HashMap<&str, &Account> =
        content.accounts.iter().map(|account| (account.id.as_str(), account)).collect();
    for Lifetime { account, login, deleted, .. } in &content.lifetimes {
        let writes = written.remove(account.as_str()).unwrap_or_default();
        let made = writes
            .iter()
            .filter(|write| write.operation != "DELETE")
            .filter_map(|write| write.revision);
        let made: Vec<i64> = made.collect();
        let gone = writes.iter().filter(|write| write.operation == "DELETE").count();
        let newest = i64::try_from(made.len()).expect("few");
        if made.iter().copied().ne(1..=newest) {
            complaints.push(format!("the revisions of {login} were written as {made:?}"));
        }
        if gone != usize::from(*deleted) {
            complaints.push(format!("the account {login} was taken away {gone} times"));
        }
        let is = accounts.get(account.as_str()).map_or(newest, |account| account.revision);
        if is != newest {
            complaints.push(format!("{login} is at revision {is}, and {newest} were written"));
        }
        let ended = content
            .journal
            .iter()
            .find(|entry| entry.account == *account && entry.kind == "Delete");
        if ended.is_some_and(|ended| ended.revision != newest + 1) {
            complaints.push(format!(
                "the Delete of {login} follows another revision than the last: {ended:?}, {newest}"
            ));
        }
    }
    complaints.extend(
        written.keys().map(|account| format!("the account {account} was written and never lived")),
    );
    complaints
}

/// Whatever was written was written by whoever had claimed its namespace last; claims count
/// upwards.
pub fn who_wrote(content: &Content) -> Vec<String> {
    let Witness { claims, writes } = &content.witness;
    let mut complaints = vec![];
    for two in claims.windows(2).filter(|two| two[1].epoch <= two[0].epoch) {
        complaints.push(format!("the claim {:?} doesn't come after {:?}", two[1], two[0]));
    }
    let by_epoch: HashMap<i64, &str> =
        claims.iter().map(|claim| (claim.epoch, claim.application.as_str())).collect();
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for write in writes {
        let Some(epoch) = write.epoch else {
            complaints.push(format!("nobody had claimed the namespace: {write:?}"));
            continue;
        };
        let claimant = by_epoch.get(&epoch);
        if claimant != Some(&write.application.as_str()) {
            complaints.push(format!("{claimant:?} had claimed the namespace: {write:?}"));
        }
        let newest = newest.entry(&write.namespace).or_insert(epoch);
        if epoch < *newest {
            complaints
                .push(format!("the namespace had been claimed with epoch {newest}: {write:?}"));
        }
        *newest = epoch.max(*newest);
    }
    complaints
}

/// What a `User` says of itself, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Declared {
    pub namespace: String,
    pub user: Value,
    /// The reason for which it is refused for good, where it is.
    pub refused: Option<&'static str>,
}

impl Declared {
    fn text<'a>(&'a self, pointer: &str) -> &'a str {
        self.user.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn ready(&self) -> (&str, &str) {
        let ready = condition(&self.user, "Ready");
        (ready["status"].as_str().unwrap_or_default(), ready["reason"].as_str().unwrap_or_default())
    }

    /// Whether its present spec is in force, or refused as expected.
    pub fn is_settled(&self) -> bool {
        let looked =
            self.user["status"]["observedGeneration"] == self.user["metadata"]["generation"];
        let ready = self.ready();
        looked
            && self
                .refused
                .map_or(ready == ("True", "Reconciled"), |reason| ready == ("False", reason))
    }
}

/// Every `User` is settled; one that is Ready has the one account that it names, as its spec asks,
/// and there are no others.
pub fn users(declared: &[Declared], content: &Content) -> Vec<String> {
    let mut complaints = vec![];
    let mut accounts: BTreeMap<(&str, &str), Vec<&Account>> = BTreeMap::new();
    for account in &content.accounts {
        accounts.entry((&account.namespace, &account.owner)).or_default().push(account);
    }
    for user in declared {
        let name = user.text("/metadata/name");
        if !user.is_settled() {
            complaints.push(format!("{name} of {} isn't settled: {}", user.namespace, user.user));
        }
        let owned = accounts.remove(&(user.namespace.as_str(), name)).unwrap_or_default();
        match (&owned[..], user.refused) {
            ([], Some(_)) => {}
            ([account], None) => complaints.extend(differences(user, account)),
            (accounts, _) => complaints.push(format!(
                "{name} of {} has {} accounts",
                user.namespace,
                accounts.len()
            )),
        }
    }
    complaints.extend(
        accounts
            .keys()
            .map(|(namespace, name)| format!("the account of {name} in {namespace} has no User")),
    );
    complaints
}

fn differences(user: &Declared, account: &Account) -> Vec<String> {
    let generation = user.user["metadata"]["generation"].as_i64().unwrap_or_default().to_string();
    let state = user.user.pointer("/spec/state").and_then(Value::as_str).unwrap_or("Enabled");
    let pairs = [
        ("uid", user.text("/metadata/uid"), account.owner_uid.as_str()),
        ("generation", &generation, &account.generation.to_string()),
        ("account", user.text("/status/accountId"), &account.id),
        ("address", user.text("/spec/email"), &account.email),
        ("state", state, &account.state),
        ("transaction", user.text("/status/transaction/id"), &account.transaction),
    ];
    let differing = pairs.iter().filter(|(_, declared, kept)| declared != kept);
    differing
        .map(|(what, declared, kept)| {
            format!("{}: its {what} is {declared}, and the store has {kept}", account.login)
        })
        .collect()
}

/// That a `User` was said to be Ready.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    pub uid: String,
    pub generation: i64,
}

impl Said {
    /// Returns what a `User` says that is Ready now.
    pub fn by(user: &Value) -> Option<Self> {
        let ready = condition(user, "Ready")["status"] == "True";
        let generation = user["status"]["observedGeneration"].as_i64().filter(|_| ready)?;
        Some(Self { uid: user["metadata"]["uid"].as_str()?.to_owned(), generation })
    }
}

/// Nobody was said to be Ready as of a generation that was never committed.
pub fn what_was_said(said: &BTreeSet<Said>, witness: &Witness) -> Vec<String> {
    let accounts = witness.writes.iter().filter(|write| write.relation == "accounts");
    let committed: BTreeSet<(&str, i64)> = accounts
        .filter_map(|write| Some((write.owner_uid.as_deref()?, write.generation?)))
        .collect();
    let unfounded = said.iter().filter(|said| !committed.contains(&(&said.uid, said.generation)));
    unfounded.map(|said| format!("{said:?} was said and never committed")).collect()
}

/// Whom a bill may have, and whom it has.
#[derive(Clone, Debug, Default)]
pub struct Billable {
    /// The logins that were seen to have an account.
    pub seen: BTreeSet<String>,
    /// The logins that were ever asked for.
    pub asked_for: BTreeSet<String>,
}

/// A bill has each login that ever had an account once, and no other.
pub fn bill(lines: &[String], billable: &Billable, content: &Content) -> Vec<String> {
    let billed: BTreeSet<&String> = lines.iter().collect();
    let lived: BTreeSet<&String> =
        content.lifetimes.iter().map(|lifetime| &lifetime.login).collect();
    let mut complaints: Vec<String> = doubled(lines.iter())
        .into_iter()
        .map(|login| format!("{login} is billed more than once"))
        .collect();
    complaints
        .extend(lived.difference(&billed).map(|login| format!("{login} lived and isn't billed")));
    complaints.extend(
        billed.difference(&lived).map(|login| format!("{login} is billed and never lived")),
    );
    let missing = billable.seen.iter().filter(|login| !billed.contains(login));
    complaints.extend(
        missing.map(|login| format!("{login} was seen to have an account and isn't billed")),
    );
    let strangers = billed.iter().filter(|login| !billable.asked_for.contains(**login));
    complaints.extend(strangers.map(|login| format!("{login} is billed, and nobody asked for it")));
    complaints
}
