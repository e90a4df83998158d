//! Changes a group's members in the ways that servers take.
//!
//! A PATCH names who joins and leaves. For a server that doesn't take that, the request also names
//! who stays, which needs a server that shows the members.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Client;
use super::features::Ability;
use super::messages::{PatchOperation, Resource, ScimResource, attribute, patch, quoted};
use super::reply::{Body, Reply};
use super::writes::{ScimWrite, path_of};
use crate::provisioning::DirectoryError;

/// The entries that join and leave a group, by their ids.
#[derive(Clone, Copy)]
pub(super) struct MemberMoves<'a> {
    pub(super) joining: &'a [&'a str],
    pub(super) leaving: &'a [&'a str],
}

impl Client {
    pub(super) async fn change_members(
        self: &Arc<Self>,
        group: &Resource,
        name: &str,
        moves: MemberMoves<'_>,
    ) -> Result<(), DirectoryError> {
        let MemberMoves { joining, leaving } = moves;
        if joining.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let features = self.features().await?;
        let path = path_of(ScimResource::Group, group.id()?)?;
        let mut refusal = None;
        if features.has(Ability::Patch) && (leaving.is_empty() || features.has(Ability::MemberPath))
        {
            let mut operations: Vec<PatchOperation> = leaving
                .iter()
                .map(|id| PatchOperation::remove(&format!("members[value eq {}]", quoted(id))))
                .collect();
            if !joining.is_empty() {
                operations.push(PatchOperation::add("members", values(joining)));
            }
            // A name that another group has taken mustn't keep anybody in this one.
            if leaving.is_empty() && group.text("displayName")? != Some(name) {
                operations.push(PatchOperation::replace("displayName", name.into()));
            }
            // It names only what changes, so that any version will do.
            let reply = self
                .write(ScimWrite::change(Method::PATCH, path.clone(), patch(&operations), None))
                .await?;
            match reply.status.as_u16() {
                404 => return Err(DirectoryError::Conflict),
                405 | 501 => features.fails_at(Ability::Patch),
                400 if !leaving.is_empty() && refuses_member_path(&reply) => {
                    if reply.is_error("invalidPath") || reply.is_error("invalidFilter") {
                        features.fails_at(Ability::MemberPath);
                    } else {
                        refusal = Some(reply);
                    }
                }
                _ => return self.moved(&path, moves, reply.accepted()).await,
            }
        }
        let Some(whole) = self.whole_group(&path).await? else {
            return Err(DirectoryError::Conflict);
        };
        if !whole.members()?.is_empty() || self.is_empty(&whole).await? {
            return self.change_shown_members(whole, &path, name, moves).await;
        }
        if let Some(refusal) = refusal {
            // With one entry it is certain which one the server means.
            let ([], [id]) = (joining, leaving) else { return refusal.accepted() };
            if !self.is_in(&whole, id).await? {
                return if refusal.is_error("noTarget") { Ok(()) } else { refusal.accepted() };
            }
        }
        self.patch_unlisted_members(&path, name, moves).await
    }

    /// Returns success if a server refused a change only because it was made already.
    async fn moved(
        &self,
        path: &str,
        moves: MemberMoves<'_>,
        answer: Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        let Err(DirectoryError::Refused(_) | DirectoryError::Failed(_)) = answer else {
            return answer;
        };
        let Ok(Some(whole)) = self.whole_group(path).await else { return answer };
        let has = whole.members()?;
        let is_so = !has.is_empty()
            && moves.joining.iter().all(|id| has.contains(id))
            && !moves.leaving.iter().any(|id| has.contains(id));
        if !is_so {
            return answer;
        }
        self.note_late_in_groups(&answer);
        Ok(())
    }

    /// Records that a change of a group may still be carried out, if its answer leaves that open
    /// and isn't returned.
    pub(super) fn note_late_in_groups(&self, answer: &Result<(), DirectoryError>) {
        if answer.as_ref().is_err_and(DirectoryError::outcome_unknown) {
            self.note_late(ScimResource::Group.path());
        }
    }

    /// Changes a group's members by a request that also names who stays, for a server that removes
    /// no one by name.
    async fn change_shown_members(
        self: &Arc<Self>,
        group: Resource,
        path: &str,
        name: &str,
        moves: MemberMoves<'_>,
    ) -> Result<(), DirectoryError> {
        let is_there: BTreeSet<&str> = group.members()?.into_iter().collect();
        let leaving: Vec<&str> =
            moves.leaving.iter().copied().filter(|id| is_there.contains(id)).collect();
        let joining: Vec<&str> =
            moves.joining.iter().copied().filter(|id| !is_there.contains(id)).collect();
        if joining.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let features = self.features().await?;
        let version = group.version().filter(|_| features.etag).map(str::to_owned);
        let members = members_after(&group, MemberMoves { joining: &joining, leaving: &leaving })?;
        if features.has(Ability::Patch) {
            let mut operations = vec![];
            if !leaving.is_empty() {
                operations.push(PatchOperation::remove_values("members", values(&leaving)));
            }
            if !members.is_empty() {
                // All members, since a server that follows the RFC has just removed all.
                operations.push(PatchOperation::add("members", members.clone().into()));
            }
            let write = ScimWrite::change(
                Method::PATCH,
                path.to_owned(),
                patch(&operations),
                version.clone(),
            );
            let reply = self.write(write).await?;
            match reply.status.as_u16() {
                404 => return Err(DirectoryError::Conflict),
                400 | 405 | 501 => {}
                _ => return reply.accepted(),
            }
        }
        let mut whole: Map<String, Value> = group.0;
        whole.retain(|attribute, _| {
            !["meta", "members"].contains(&attribute.to_lowercase().as_str())
        });
        if leaving.is_empty() {
            whole.retain(|attribute, _| !attribute.eq_ignore_ascii_case("displayName"));
            whole.insert("displayName".to_owned(), name.into());
        }
        whole.insert("members".to_owned(), members.into());
        let reply = self
            .write(ScimWrite::change(Method::PUT, path.to_owned(), Value::Object(whole), version))
            .await?;
        if reply.status.as_u16() == 404 { Err(DirectoryError::Conflict) } else { reply.accepted() }
    }

    /// Changes the members of a group that doesn't show them: the request must affect no one else.
    async fn patch_unlisted_members(
        self: &Arc<Self>,
        path: &str,
        name: &str,
        moves: MemberMoves<'_>,
    ) -> Result<(), DirectoryError> {
        if !self.features().await?.has(Ability::Patch) {
            return Err(DirectoryError::refused(&format!(
                "it doesn't show who is in the group {name} and takes groups whole alone: if nobody is in it, delete it there"
            )));
        }
        if !moves.joining.is_empty() {
            let joining = patch(&[PatchOperation::add("members", values(moves.joining))]);
            let reply = self
                .write(ScimWrite::change(Method::PATCH, path.to_owned(), joining, None))
                .await?;
            match reply.status.as_u16() {
                404 => return Err(DirectoryError::Conflict),
                _ => reply.accepted()?,
            }
        }
        if moves.leaving.is_empty() {
            return Ok(());
        }
        // Without a path that names a member, the RFC removes all.
        Err(DirectoryError::refused(&format!(
            "it doesn't show who is in the group {name} and takes nobody out by members[value eq …]: take the account out there"
        )))
    }
}

/// Whether a server doesn't take the path that names a member, or finds no such member (RFC 7644,
/// section 3.12). One that gives no reason may mean that.
fn refuses_member_path(reply: &Reply) -> bool {
    let says_why = matches!(&reply.body, Body::Json(Value::Object(error)) if attribute(error, "scimType").is_some());
    !says_why
        || ["invalidPath", "invalidFilter", "noTarget"].iter().any(|word| reply.is_error(word))
}

pub(super) fn values(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

/// Returns a group's members after a change; those who stay keep all that the server has of them.
fn members_after(group: &Resource, moves: MemberMoves<'_>) -> Result<Vec<Value>, DirectoryError> {
    let id_of = |member: &Map<String, Value>| {
        attribute(member, "value").and_then(Value::as_str).map(str::to_owned)
    };
    let stays = |member: &&Map<String, Value>| {
        id_of(member).is_none_or(|id| !moves.leaving.contains(&id.as_str()))
    };
    let mut members: Vec<Value> =
        group.values("members")?.into_iter().filter(stays).cloned().map(Value::Object).collect();
    members.extend(moves.joining.iter().map(|id| json!({ "value": id })));
    Ok(members)
}
