//! Finds an entry's groups, as far as a server shows them.
//!
//! One filters groups by a member and doesn't give the members along; one gives everything,
//! whatever it is asked. What isn't shown isn't taken for missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::Client;
use super::features::{Ability, Features};
use super::lookup::{Filter, Filtered, MEMBER, meeting};
use super::messages::{Resource, ScimResource};
use super::queue::RequestOutcome;
use super::transport::{Request, is_urgent};
use crate::provisioning::DirectoryError;

/// How many members of a group are too many to read for each check of one member.
const MANY_MEMBERS: usize = 1000;

/// What finds a group; its members may be many.
pub(super) const NAMES: &str = "externalId,displayName";

const MEMBERS: &str = "externalId,displayName,members.value";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) id: String,
    /// What roster knows the group by; else its name to show, which is the same where roster made
    /// it.
    pub(super) name: String,
    /// Whether it has what roster knows it by.
    pub(super) is_known: bool,
    /// Whether the server shows it; else it doesn't show the group's members.
    pub(super) is_certain: bool,
}

impl Client {
    /// Returns the groups that roster knows and that an entry is in or may be in; several are asked
    /// for at once.
    pub(super) async fn memberships_of(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<Vec<Membership>, DirectoryError> {
        let client = self.clone();
        let work = move |ids: Vec<String>| {
            let client = client.clone();
            async move {
                let by = (ScimResource::Group, MEMBER);
                if ids.len() > 1 && client.searches_singly(by).await {
                    return RequestOutcome::Split;
                }
                let conditions: Vec<Filter> = ids.into_iter().map(Filter::Member).collect();
                let found = client.memberships(&conditions).await;
                client.searched(by, conditions.len(), found).await
            }
        };
        self.memberships[usize::from(is_urgent())].ask(id.to_owned(), work).await
    }

    /// Returns the groups that meet each condition, or may. The members show whether the server
    /// filters as it should; without them a control query does.
    async fn memberships(
        &self,
        conditions: &[Filter],
    ) -> Result<Vec<Vec<Membership>>, DirectoryError> {
        let features = self.features().await?;
        let by_member = Ability::Filter(ScimResource::Group, MEMBER);
        if features.has(Ability::Members)
            && let Some(found) = self.filtered_with_members(conditions, &features).await?
        {
            return found.iter().map(|groups| memberships(groups, true)).collect();
        }
        if features.has(by_member) {
            let nobody = Filter::Member(Uuid::new_v4().to_string());
            if let Some(found) =
                self.find_unseen(ScimResource::Group, conditions, &nobody, NAMES).await?
            {
                return found.iter().map(|groups| memberships(groups, true)).collect();
            }
            features.fails_at(by_member);
        }
        let all = self.list(ScimResource::Group, Some(MEMBERS)).await?;
        let shows_members = !meeting(&Filter::AnyMember, &all)?.is_empty();
        self.shows_members.fetch_or(shows_members, Ordering::Relaxed);
        let of = |condition: &Filter| match shows_members {
            true => memberships(&meeting(condition, &all)?, true),
            false => memberships(&all, false),
        };
        conditions.iter().map(of).collect()
    }

    /// Returns for each condition the groups that meet it; nothing where it can't be seen that all
    /// of them do.
    async fn filtered_with_members(
        &self,
        conditions: &[Filter],
        features: &Features,
    ) -> Result<Option<Vec<Vec<Resource>>>, DirectoryError> {
        let groups =
            match self.filtered(ScimResource::Group, conditions, Some(MEMBERS), features).await {
                Ok(Filtered::Found(groups)) => groups,
                Ok(Filtered::Refused) => return Ok(None),
                // It may be too long.
                Err(DirectoryError::Protocol(_)) => {
                    features.fails_at(Ability::Members);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
        let mut all_are_meant = true;
        for group in &groups {
            let members = group.members()?;
            self.shows_members.fetch_or(!members.is_empty(), Ordering::Relaxed);
            if members.len() > MANY_MEMBERS {
                features.fails_at(Ability::Members);
            }
            all_are_meant &= conditions
                .iter()
                .any(|it| matches!(it, Filter::Member(id) if members.contains(&id.as_str())));
        }
        if !all_are_meant {
            features.fails_at(Ability::Members);
            return Ok(None);
        }
        conditions
            .iter()
            .map(|condition| meeting(condition, &groups))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Whether the server shows that an entry is in a group.
    pub(super) async fn is_in(
        self: &Arc<Self>,
        group: &Resource,
        id: &str,
    ) -> Result<bool, DirectoryError> {
        let group = group.id()?;
        Ok(self.memberships_of(id).await?.iter().any(|it| it.is_certain && it.id == group))
    }

    /// Returns a group with all the members that the server shows, unless it is gone.
    pub(super) async fn whole_group(&self, path: &str) -> Result<Option<Resource>, DirectoryError> {
        let reply = self.transport.send(Request::get(path)).await?;
        if reply.status.as_u16() == 404 {
            return Ok(None);
        }
        let mut group: Resource = reply.read("a Group")?;
        if group.members()?.is_empty() {
            // Some servers show them only on request.
            let mut request = Request::get(path);
            request.query = vec![("attributes", "members".to_owned())];
            let reply = self.transport.send(request).await?;
            let shown: Option<Resource> =
                if reply.status.is_success() { Some(reply.read("a Group")?) } else { None };
            if let Some(members) = shown.as_ref().and_then(|group| group.get("members")) {
                group.0.insert("members".to_owned(), members.clone());
            }
        }
        self.shows_members.fetch_or(!group.members()?.is_empty(), Ordering::Relaxed);
        Ok(Some(group))
    }

    /// Whether a group is empty, and doesn't only hide its members: it is if the server shows
    /// members of others, or ever did.
    pub(super) async fn is_empty(&self, group: &Resource) -> Result<bool, DirectoryError> {
        if !group.members()?.is_empty() {
            return Ok(false);
        }
        if self.shows_members.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let with_members =
            match self.find(ScimResource::Group, &[Filter::AnyMember], Some(MEMBERS)).await {
                Ok(found) => found.concat(),
                // It may be too long.
                Err(DirectoryError::Protocol(_)) => vec![],
                Err(error) => return Err(error),
            };
        self.shows_members.fetch_or(!with_members.is_empty(), Ordering::Relaxed);
        let id = group.id()?;
        Ok(!with_members.is_empty()
            && with_members.iter().all(|other| other.id().is_ok_and(|other| other != id)))
    }
}

/// Returns the memberships in these groups, as far as they have names.
fn memberships(groups: &[Resource], is_certain: bool) -> Result<Vec<Membership>, DirectoryError> {
    let mut memberships = vec![];
    for group in groups {
        let key = group.external_id()?;
        if let Some(name) = key.or(group.text("displayName")?) {
            let (id, name) = (group.id()?.to_owned(), name.to_owned());
            memberships.push(Membership { id, name, is_certain, is_known: key.is_some() });
        }
    }
    Ok(memberships)
}
