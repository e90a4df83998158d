//! A folder that stands in for a directory: a file for each account, and one for its behaviour.
//!
//! Like a real one it may be slow or down, not answer, refuse an account, or apply a request
//! without an answer. The tester writes `behaviour.json`, which is read again for every entry.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{DirectoryError, Entry, ListedEntry, Provisioned};
use crate::domain::account::{AccountId, EntryHandle};

/// How the stand-in behaves; an absent file is a good day.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Behaviour {
    /// How long each entry takes, in milliseconds.
    delay_ms: u64,
    down: bool,
    /// It never answers, and takes nothing.
    silent: bool,
    /// It applies requests, and never answers.
    silent_afterwards: bool,
    /// It refuses these login names and account ids.
    refuses: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct FakeDirectory {
    folder: PathBuf,
}

impl FakeDirectory {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) async fn provision(&self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let Behaviour { delay_ms, down, silent, silent_afterwards, refuses } =
            self.behaviour().await?;
        if down {
            return Err(DirectoryError::Unreachable("it is down".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if silent {
            return std::future::pending().await;
        }
        let login_name = entry.person.as_ref().map(|person| &person.login_name);
        if refuses.contains(&entry.account.to_string())
            || login_name.is_some_and(|name| refuses.contains(name))
        {
            return Err(DirectoryError::refused("it is told to"));
        }
        let wrote = self.take(entry).await.map_err(|error| unreachable(&error))?;
        if wrote && entry.compares {
            return Err(DirectoryError::Drifted);
        }
        if silent_afterwards {
            return std::future::pending().await;
        }
        let handle = entry.person.as_ref().map(|_| EntryHandle(file_name(entry.account)));
        Ok(Provisioned { handle, wrote, ..Provisioned::default() })
    }

    pub(super) async fn list_entries(&self) -> Result<Vec<ListedEntry>, DirectoryError> {
        if self.behaviour().await?.down {
            return Err(DirectoryError::Unreachable("it is down".to_owned()));
        }
        let mut files =
            tokio::fs::read_dir(&self.folder).await.map_err(|error| unreachable(&error))?;
        let mut listed = vec![];
        while let Some(file) = files.next_entry().await.map_err(|error| unreachable(&error))? {
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".json").filter(|stem| *stem != "behaviour") else {
                continue;
            };
            let text = tokio::fs::read(file.path()).await.map_err(|error| unreachable(&error))?;
            let entry: Value = serde_json::from_slice(&text).unwrap_or_default();
            let person = &entry["person"];
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let group = text(&entry["organization"]).zip(text(&person["group"]));
            listed.push(ListedEntry {
                account: Uuid::try_parse(stem).ok().map(AccountId),
                login_name: text(&person["loginName"]).unwrap_or_default(),
                active: person["active"] != false,
                groups: group
                    .map(|(organization, group)| format!("{organization}/{group}"))
                    .into_iter()
                    .collect(),
                handle: EntryHandle(name),
            });
        }
        Ok(listed)
    }

    async fn behaviour(&self) -> Result<Behaviour, DirectoryError> {
        match tokio::fs::read(self.folder.join("behaviour.json")).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Behaviour::default()),
            Err(error) => Err(unreachable(&error)),
            // Half a file counts as none: its writer hasn't finished.
            Ok(text) => serde_json::from_slice(&text).map_err(|error| unreachable(&error)),
        }
    }

    /// Puts the entry's file in place whole, or takes it away; an older entry than the one there
    /// changes nothing, nor does one that is only compared. Returns whether anything had to be
    /// changed.
    async fn take(&self, entry: &Entry) -> std::io::Result<bool> {
        let place = self.folder.join(file_name(entry.account));
        if entry.person.is_none() {
            return match tokio::fs::remove_file(&place).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                removed => removed.map(|()| true),
            };
        }
        let known = tokio::fs::read(&place)
            .await
            .ok()
            .and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let wanted = serde_json::to_value(entry)?;
        let is_newer = |known: &Value| {
            known["revision"].as_i64().is_some_and(|revision| revision > entry.revision.0)
        };
        if known.is_some_and(|known| known == wanted || is_newer(&known)) {
            return Ok(false);
        }
        if entry.compares {
            return Ok(true);
        }
        tokio::fs::create_dir_all(&self.folder).await?;
        let draft = self.folder.join(format!("{}.{}", file_name(entry.account), entry.revision.0));
        tokio::fs::write(&draft, serde_json::to_vec_pretty(entry)?).await?;
        tokio::fs::rename(&draft, &place).await?;
        Ok(true)
    }
}

fn file_name(account: AccountId) -> String {
    format!("{account}.json")
}

fn unreachable(error: &dyn std::fmt::Display) -> DirectoryError {
    DirectoryError::Unreachable(error.to_string())
}
