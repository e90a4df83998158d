//! Groups, and who is in them. All that is to change about one group at a time goes into one request.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Client;
use super::features::Ability;
use super::lookup::{Condition, groups_told};
use super::messages::{Kind, PatchOperation, Resource, attribute, patch, quoted};
use super::queue::Queue;
use super::transport::Request;
use super::writes::{Write, path_of};
use crate::directory::{DirectoryError, Groups};

/// The most changes of one group that go into one request.
const MOST_CHANGES: usize = 200;

/// How many members of a group are too many to be read whenever somebody's membership is looked at.
const MANY_MEMBERS: usize = 1000;

/// What finds a group; its members may be many.
const NAMES: &str = "externalId,displayName";

/// What tells who is in a group.
const MEMBERS: &str = "externalId,displayName,members.value";

/// What is to change about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Somebody becomes a member, by the id of their entry.
    Join(String),
    /// Somebody is no member any more.
    Leave(String),
    /// The group goes, if nobody is in it.
    Drop,
}

/// The changes of one group.
pub(super) type Changes = Queue<Change, ()>;

/// Returns what the groups of an organization begin with.
fn prefix(organization: &str) -> String {
    format!("{organization}/")
}

impl Client {
    /// Makes an entry a member of its group, and of no other of its organization; of none where there is no group for it.
    pub(super) async fn settle(
        self: &Arc<Self>,
        user: &Resource,
        organization: &str,
        group: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let prefix = prefix(organization);
        let wanted = group.map(|group| format!("{prefix}{group}"));
        let told: Vec<String> = groups_told(user)?.into_iter().filter(|name| name.starts_with(&prefix)).collect();
        if wanted.is_some() && told.iter().collect::<Vec<_>>() == wanted.iter().collect::<Vec<_>>() {
            return Ok(());
        }
        let id = user.id()?;
        let mut is_member = false;
        for name in self.groups_with(id).await? {
            if Some(&name) == wanted.as_ref() {
                is_member = true;
            } else if name.starts_with(&prefix) {
                self.change_group(&name, Change::Leave(id.to_owned())).await?;
            }
        }
        match wanted {
            Some(name) if !is_member => self.join(&name, id).await,
            _ => Ok(()),
        }
    }

    /// Makes an entry a member of a group, which is made where it is missing.
    pub(super) async fn join(self: &Arc<Self>, name: &str, id: &str) -> Result<(), DirectoryError> {
        self.change_group(name, Change::Join(id.to_owned())).await
    }

    /// Returns the name of an account's group.
    pub(super) fn group_name(organization: &str, group: &str) -> String {
        format!("{}{group}", prefix(organization))
    }

    /// Drops the groups of these organizations that nobody is in and that aren't among these.
    pub(super) async fn drop_groups(self: &Arc<Self>, present: &Groups) -> Result<(), DirectoryError> {
        let of_organizations: Vec<Condition> =
            present.keys().map(|organization| Condition::ExternalIdBegins(prefix(organization))).collect();
        let found = self.find(Kind::Group, &of_organizations, Some(NAMES)).await?;
        let mut absent = BTreeSet::new();
        for ((organization, names), groups) in present.iter().zip(&found) {
            for group in groups {
                let Some(name) = group.external_id()? else { continue };
                let is_present = name.strip_prefix(&prefix(organization)).is_some_and(|name| names.contains(name));
                absent.extend((!is_present).then_some(name));
            }
        }
        let dropping = absent.into_iter().map(|name| self.change_group(name, Change::Drop));
        join_all(dropping).await.into_iter().collect()
    }

    /// Returns the names of the groups that roster knows and that have an entry as a member; several are asked for at once.
    async fn groups_with(self: &Arc<Self>, id: &str) -> Result<Vec<String>, DirectoryError> {
        let client = self.clone();
        let work = move |ids: Vec<String>| {
            let client = client.clone();
            async move {
                let conditions: Vec<Condition> = ids.into_iter().map(Condition::Member).collect();
                match client.groups_with_any(&conditions).await {
                    Ok(found) => found.into_iter().map(|groups| names(&groups)).collect(),
                    Err(error) => conditions.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        };
        self.memberships.ask(id.to_owned(), work).await
    }

    /// Returns for each condition the groups that meet it. With the members a server can be seen to filter as it is asked
    /// to; where they are too many it is told by how it answers for nobody.
    async fn groups_with_any(&self, conditions: &[Condition]) -> Result<Vec<Vec<Resource>>, DirectoryError> {
        let features = self.features().await?;
        if !features.has(Ability::Members) {
            let nobody = Condition::Member(Uuid::new_v4().to_string());
            if let Some(found) = self.find_unseen(Kind::Group, conditions, &nobody, NAMES).await? {
                return Ok(found);
            }
        }
        let found = self.find(Kind::Group, conditions, Some(MEMBERS)).await;
        let has_many = |group: &Resource| group.members().is_ok_and(|members| members.len() > MANY_MEMBERS);
        let is_too_much = match &found {
            Ok(found) => found.iter().flatten().any(has_many),
            Err(error) => matches!(error, DirectoryError::Nonsense(_)),
        };
        if is_too_much {
            features.fails_at(Ability::Members);
        }
        found
    }

    /// Changes a group, together with whatever else is to change about it.
    async fn change_group(self: &Arc<Self>, name: &str, change: Change) -> Result<(), DirectoryError> {
        let changes = {
            let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            groups.entry(name.to_owned()).or_insert_with(|| Queue::one_by_one(MOST_CHANGES)).clone()
        };
        let (client, name) = (self.clone(), name.to_owned());
        let work = move |changes: Vec<Change>| {
            let (client, name) = (client.clone(), name.clone());
            async move { client.change_together(&name, &changes).await }
        };
        changes.ask(change, work).await
    }

    async fn change_together(self: &Arc<Self>, name: &str, changes: &[Change]) -> Vec<Result<(), DirectoryError>> {
        let together = self.apply(name, changes).await;
        if changes.len() == 1 || !matches!(together, Err(DirectoryError::Refused(_) | DirectoryError::Nonsense(_))) {
            return changes.iter().map(|_| together.clone()).collect();
        }
        // One that isn't taken is no reason for the others not to be.
        let mut answers = vec![];
        for change in changes {
            answers.push(self.apply(name, std::slice::from_ref(change)).await);
        }
        answers
    }

    async fn apply(self: &Arc<Self>, name: &str, changes: &[Change]) -> Result<(), DirectoryError> {
        let known = [Condition::ExternalId(name.to_owned())];
        let mut groups = self.find(Kind::Group, &known, Some(NAMES)).await?.pop().unwrap_or_default();
        // One that was made twice, because a server was slow to show the first, is the same one for everybody.
        groups.sort_by_key(|group| group.id().unwrap_or_default().to_owned());
        let joining: Vec<&str> =
            changes.iter().filter_map(|change| if let Change::Join(id) = change { Some(id.as_str()) } else { None }).collect();
        let leaving: Vec<&str> =
            changes.iter().filter_map(|change| if let Change::Leave(id) = change { Some(id.as_str()) } else { None }).collect();
        if groups.is_empty() && !joining.is_empty() {
            return self.create_group(name, &joining).await;
        }
        for (number, group) in groups.iter().enumerate() {
            if joining.is_empty() && leaving.is_empty() {
                self.drop_if_empty(group).await?;
            } else {
                let joining = if number == 0 { joining.as_slice() } else { &[] };
                self.change_members(group, name, joining, &leaving).await?;
            }
        }
        Ok(())
    }

    async fn create_group(self: &Arc<Self>, name: &str, members: &[&str]) -> Result<(), DirectoryError> {
        let group = json!({
            "schemas": [Kind::Group.schema()],
            "externalId": name,
            "displayName": name,
            "members": values(members),
        });
        let reply = self.write(Write::create(Kind::Group, group)).await?;
        match reply.status.as_u16() {
            409 => Err(DirectoryError::refused(&format!(
                "another group there has the name {name}; roster takes it for its own once its externalId is {name}"
            ))),
            _ => reply.accepted(),
        }
    }

    async fn change_members(
        self: &Arc<Self>,
        group: &Resource,
        name: &str,
        joining: &[&str],
        leaving: &[&str],
    ) -> Result<(), DirectoryError> {
        if joining.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let features = self.features().await?;
        let path = path_of(Kind::Group, group.id()?)?;
        if features.has(Ability::Patch) {
            let mut operations: Vec<PatchOperation> =
                leaving.iter().map(|id| PatchOperation::remove(&format!("members[value eq {}]", quoted(id)))).collect();
            if !joining.is_empty() {
                operations.push(PatchOperation::add("members", values(joining)));
            }
            if group.text("displayName")? != Some(name) {
                operations.push(PatchOperation::replace("displayName", name.into()));
            }
            // It says what changes, whatever others change: any version will do.
            let reply = self.write(Write::change(Method::PATCH, path.clone(), patch(&operations), None)).await?;
            match reply.status.as_u16() {
                404 => return Err(DirectoryError::Conflict),
                405 | 501 => features.fails_at(Ability::Patch),
                _ => return reply.accepted(),
            }
        }
        let Some(whole) = self.whole_group(&path).await? else { return Err(DirectoryError::Conflict) };
        let version = whole.version().filter(|_| features.etag).map(str::to_owned);
        let write = Write::change(Method::PUT, path, Value::Object(with_members(whole, name, joining, leaving)?), version);
        let reply = self.write(write).await?;
        if reply.status.as_u16() == 404 { Err(DirectoryError::Conflict) } else { reply.accepted() }
    }

    /// Returns a group with all its members, unless it is gone.
    async fn whole_group(&self, path: &str) -> Result<Option<Resource>, DirectoryError> {
        let reply = self.transport.send(Request::get(path)).await?;
        if reply.status.as_u16() == 404 { Ok(None) } else { reply.read("a Group").map(Some) }
    }

    async fn drop_if_empty(self: &Arc<Self>, group: &Resource) -> Result<(), DirectoryError> {
        let path = path_of(Kind::Group, group.id()?)?;
        let Some(group) = self.whole_group(&path).await? else { return Ok(()) };
        if !group.members()?.is_empty() {
            return Ok(());
        }
        let has_versions = self.features().await?.etag;
        let version = group.version().filter(|_| has_versions).map(str::to_owned);
        let reply = self.write(Write::delete(path, version)).await?;
        match reply.status.as_u16() {
            // Somebody came in meanwhile, or somebody else was faster.
            404 | 412 => Ok(()),
            _ => reply.accepted(),
        }
    }
}

fn names(groups: &[Resource]) -> Result<Vec<String>, DirectoryError> {
    groups.iter().filter_map(|group| group.external_id().transpose()).map(|name| name.map(str::to_owned)).collect()
}

fn values(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

/// Returns a group with other members, for a server that takes nothing but the whole.
fn with_members(group: Resource, name: &str, joining: &[&str], leaving: &[&str]) -> Result<Map<String, Value>, DirectoryError> {
    let is_there: Vec<String> = group.members()?.into_iter().map(str::to_owned).collect();
    let stays =
        |member: &&Map<String, Value>| attribute(member, "value").and_then(Value::as_str).is_none_or(|id| !leaving.contains(&id));
    let mut members: Vec<Value> = group.values("members")?.into_iter().filter(stays).cloned().map(Value::Object).collect();
    members.extend(joining.iter().filter(|id| !is_there.iter().any(|there| there == *id)).map(|id| json!({ "value": id })));
    let mut whole = group.0;
    whole.retain(|attribute, _| !["meta", "members", "displayname"].contains(&attribute.to_lowercase().as_str()));
    whole.insert("displayName".to_owned(), name.into());
    whole.insert("members".to_owned(), Value::Array(members));
    Ok(whole)
}
