//! What must hold at every instant, after each write of a status and each arrival of a request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roster::domain::account::AccountId;
use serde_json::Value;
use tokio::time::Instant;

use crate::directory::Person;

/// How long a `User` may be Ready while a directory has yet to be told that it has fewer rights:
/// that is said where it lasts.
const TOLD_BY: Duration = Duration::from_secs(15);

/// What the status of a `User` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    name: String,
    state: String,
    /// The generation that it is of.
    of: i64,
    /// The newest generation that asked for the person to be let in: until the status is of it, it
    /// says nothing against that.
    enabled_at: i64,
    is_ready: bool,
    permissions: BTreeSet<String>,
}

impl Said {
    pub(crate) fn by(user: &Value, enabled_at: i64) -> Self {
        let (status, text) =
            (&user["status"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        let effective = status["permissions"]["effective"].as_array().into_iter().flatten();
        Self {
            name: text(&user["metadata"]["name"]),
            state: text(&status["state"]),
            of: status["observedGeneration"].as_i64().unwrap_or_default(),
            enabled_at,
            is_ready: ready.any(|condition| condition["status"] == "True"),
            permissions: effective.map(text).collect(),
        }
    }
}

/// What is promised, what was seen, and how it was broken.
#[derive(Debug, Default)]
pub(crate) struct Oracles {
    /// By uid.
    said: BTreeMap<String, Said>,
    /// The uid of the `User` of every account that there ever was.
    owners: BTreeMap<AccountId, String>,
    /// Since when somebody has more rights in the directory than the status says.
    excess: BTreeMap<AccountId, Instant>,
    breach: Option<String>,
}

impl Oracles {
    /// Takes in what statuses say now. Returns whether that is something new.
    pub(crate) fn hear(
        &mut self,
        said: BTreeMap<String, Said>,
        owners: BTreeMap<AccountId, String>,
    ) -> bool {
        let is_new = self.said != said;
        (self.said, self.owners) = (said, owners);
        is_new
    }

    /// Returns what statuses say, for the one who reads how it came to a breach.
    pub(crate) fn told(&self) -> String {
        let words = |Said { name, state, of, is_ready, permissions, .. }: &Said| {
            format!("{name} {state} at {of} Ready={is_ready} {permissions:?}")
        };
        self.said.values().map(words).collect::<Vec<_>>().join("; ")
    }

    /// Returns the first breach.
    pub(crate) fn breach(&self) -> Option<&String> {
        self.breach.as_ref()
    }

    pub(crate) fn look<'a>(&mut self, people: impl Iterator<Item = &'a Person>) {
        let mut excess = BTreeMap::new();
        for person in people {
            let found = match self.owners.get(&person.account).and_then(|uid| self.said.get(uid)) {
                None => Some(format!("{} has an entry, whose User is gone", person.login_name)),
                Some(said)
                    if said.state == "Disabled" && said.enabled_at <= said.of && person.active =>
                {
                    Some(format!(
                        "{} is active in the directory, and the status says Disabled",
                        said.name
                    ))
                }
                Some(said) => {
                    let more: Vec<_> = person
                        .permissions
                        .iter()
                        .filter(|one| !said.permissions.contains(*one))
                        .collect();
                    let since = *self.excess.get(&person.account).unwrap_or(&Instant::now());
                    if !more.is_empty() {
                        excess.insert(person.account, since);
                    }
                    let is_told = !said.is_ready || more.is_empty() || since.elapsed() < TOLD_BY;
                    (!is_told).then(|| {
                        format!(
                            "{} is Ready and has {more:?} in the directory all the same",
                            said.name
                        )
                    })
                }
            };
            if self.breach.is_none() {
                self.breach = found;
            }
        }
        self.excess = excess;
    }
}
