//! Lists all entries and groups of a server.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::Client;
use super::messages::{Resource, ScimResource};
use super::writes::path_of;
use crate::domain::account::{AccountId, EntryHandle};
use crate::provisioning::{DirectoryError, ListedEntry};

/// The names of the groups that a server shows, by the id of each member.
#[derive(Debug, Default)]
pub(super) struct GroupsOf {
    by_member: HashMap<String, BTreeSet<String>>,
    /// Which groups can't be read, and why.
    pub(super) unreadable: Vec<String>,
}

impl GroupsOf {
    /// Returns the names of the groups that an entry is in, sorted.
    pub(super) fn names(&self, id: &str) -> Vec<String> {
        self.by_member.get(id).into_iter().flatten().cloned().collect()
    }

    /// Adds a group, or why it can't be read.
    fn take(&mut self, group: &Resource, members: Result<Vec<&str>, DirectoryError>) {
        let name = group.text("displayName");
        match (name, members) {
            (Ok(Some(name)), Ok(members)) => {
                for member in members {
                    self.by_member.entry(member.to_owned()).or_default().insert(name.to_owned());
                }
            }
            // A group without a name isn't used.
            (Ok(None), Ok(_)) => {}
            (Ok(name), Err(error)) => self.unreadable.push(unreadable(group, name, &error)),
            (Err(error), _) => self.unreadable.push(unreadable(group, None, &error)),
        }
    }
}

fn unreadable(group: &Resource, name: Option<&str>, error: &DirectoryError) -> String {
    let id = group.id().unwrap_or("without an id");
    let why = match error {
        DirectoryError::Protocol(why) => why.clone(),
        other => other.to_string(),
    };
    format!(
        "the group {} (entry {id}): {why}; nobody is put into it",
        name.unwrap_or("without a readable name")
    )
}

impl Client {
    /// Returns the groups of each entry, and the groups that can't be read.
    pub(super) async fn groups_of_members(&self) -> Result<GroupsOf, DirectoryError> {
        let mut groups_of = GroupsOf::default();
        match self.list(ScimResource::Group, Some("displayName,members.value")).await {
            Ok(groups) => groups.iter().for_each(|group| groups_of.take(group, group.members())),
            // With all the members the list may be too long, or one of them can't be read: each is
            // asked for by itself.
            Err(DirectoryError::Protocol(_) | DirectoryError::Failed(_)) => {
                for group in self.list(ScimResource::Group, Some("displayName")).await? {
                    let path = path_of(ScimResource::Group, group.id()?)?;
                    match self.whole_group(&path).await {
                        Ok(Some(whole)) => groups_of.take(&group, whole.members()),
                        // It is gone since.
                        Ok(None) => {}
                        Err(error) if error.is_about_directory() => return Err(error),
                        Err(error) => groups_of.take(&group, Err(error)),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(groups_of)
    }

    pub(super) async fn list_entries(&self) -> Result<Vec<ListedEntry>, DirectoryError> {
        let groups_of = self.groups_of_members().await?;
        let mut listed = vec![];
        for user in self.list(ScimResource::User, Some("userName,externalId,active")).await? {
            let id = user.id()?;
            let text = |name| user.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            listed.push(ListedEntry {
                handle: EntryHandle(id.to_owned()),
                account: account_id(&text("externalId")),
                login_name: text("userName"),
                // An entry without a readable value may be able to log in.
                active: user.get("active") != Some(&Value::Bool(false)),
                groups: groups_of.names(id),
            });
        }
        Ok(listed)
    }
}

/// Returns the account whose id a text is, as roster writes it.
fn account_id(text: &str) -> Option<AccountId> {
    let id = Uuid::try_parse(text).ok()?;
    (id.to_string() == text).then_some(AccountId(id))
}
