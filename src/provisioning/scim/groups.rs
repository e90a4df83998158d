//! Groups: which one an account is in. Changes of one group that wait together go into one request.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use serde_json::json;

use super::Client;
use super::features::Ability;
use super::group_members::{MemberMoves, values};
use super::lookup::{Filter, groups_told};
use super::memberships::NAMES;
use super::messages::{Resource, ScimResource};
use super::queue::{RequestOutcome, RequestQueue};
use super::reply::Body;
use super::transport::{READ_ONLY, is_read_only};
use super::writes::{ScimWrite, path_of};
use crate::domain::account::AccountId;
use crate::provisioning::{DirectoryError, Groups, all_of};

/// The most changes of one group that go into one request.
const MAX_CHANGES: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberChange {
    /// Adds a member, by the id of its entry.
    Join(String),
    Leave(String),
    /// Removes the group, if it is empty.
    Drop,
}

pub(super) type Changes = RequestQueue<MemberChange, ()>;

fn prefix(organization: &str) -> String {
    format!("{organization}/")
}

impl Client {
    /// Makes an entry a member of its group, and of no other of its organization; of none if it has
    /// no group. Returns whether anything had to be changed.
    ///
    /// # Errors
    /// When it isn't so, or the server goes on to show it in a group that it was to leave.
    pub(super) async fn settle(
        self: &Arc<Self>,
        user: &Resource,
        (organization, account): (&str, AccountId),
        group: Option<&str>,
    ) -> Result<bool, DirectoryError> {
        let prefix = prefix(organization);
        let wanted = group.map(|group| format!("{prefix}{group}"));
        let told: Vec<String> =
            groups_told(user)?.into_iter().filter(|name| name.starts_with(&prefix)).collect();
        if wanted.is_some() && told.iter().collect::<Vec<_>>() == wanted.iter().collect::<Vec<_>>()
        {
            return Ok(false);
        }
        let id = user.id()?;
        // Groups that the entry shows are left even where the groups themselves don't show it.
        let mut leaving: BTreeSet<String> =
            told.into_iter().filter(|name| Some(name) != wanted.as_ref()).collect();
        let (mut is_member, mut may_be_member, mut wrote) = (false, false, !leaving.is_empty());
        for membership in self.memberships_of(id).await? {
            if Some(&membership.name) == wanted.as_ref() {
                is_member |= membership.is_certain
                    && (membership.is_known || !self.keeps_group_keys().await?);
                may_be_member = true;
            } else if membership.name.starts_with(&prefix) {
                wrote |= membership.is_certain;
                leaving.insert(membership.name);
            }
        }
        // A group that can't be left keeps no one in another.
        let leaves =
            leaving.iter().map(|name| self.change_group(name, MemberChange::Leave(id.to_owned())));
        all_of(join_all(leaves).await)?;
        let Some(name) = wanted else { return Ok(wrote) };
        if wrote {
            self.check_left(id, account, &leaving).await?;
        }
        if is_member {
            return Ok(wrote);
        }
        self.join(&name, id).await?;
        Ok(wrote || !may_be_member)
    }

    /// Checks that an entry left groups, as far as the server shows their members.
    async fn check_left(
        self: &Arc<Self>,
        id: &str,
        account: AccountId,
        left: &BTreeSet<String>,
    ) -> Result<(), DirectoryError> {
        let memberships = self.memberships_of(id).await?;
        let mut shown: BTreeSet<String> =
            memberships.into_iter().filter(|it| it.is_certain).map(|it| it.name).collect();
        if let Some(user) = self.look(id, account).await? {
            shown.extend(groups_told(&user)?);
        }
        match shown.intersection(left).next() {
            None => Ok(()),
            Some(name) => Err(DirectoryError::refused(&format!(
                "it answers that it took the entry out of the group {name}, and still shows it there"
            ))),
        }
    }

    /// Makes an entry a member of a group, which is made where it is missing.
    pub(super) async fn join(self: &Arc<Self>, name: &str, id: &str) -> Result<(), DirectoryError> {
        self.change_group(name, MemberChange::Join(id.to_owned())).await
    }

    pub(super) fn group_name(organization: &str, group: &str) -> String {
        format!("{}{group}", prefix(organization))
    }

    /// Drops the empty groups of these organizations that aren't among these.
    pub(super) async fn drop_groups(
        self: &Arc<Self>,
        present: &Groups,
    ) -> Result<(), DirectoryError> {
        let of_organizations: Vec<Filter> = present
            .keys()
            .map(|organization| Filter::ExternalIdBegins(prefix(organization)))
            .collect();
        let found = self.find(ScimResource::Group, &of_organizations, Some(NAMES)).await?;
        let mut absent = BTreeSet::new();
        for ((organization, names), groups) in present.iter().zip(&found) {
            for group in groups {
                let Some(name) = group.external_id()? else { continue };
                let is_present = name
                    .strip_prefix(&prefix(organization))
                    .is_some_and(|name| names.contains(name));
                absent.extend((!is_present).then_some(name));
            }
        }
        let dropping = absent.into_iter().map(|name| self.change_group(name, MemberChange::Drop));
        all_of(join_all(dropping).await).map(drop)
    }

    /// Changes a group, together with other changes of it that wait.
    async fn change_group(
        self: &Arc<Self>,
        name: &str,
        change: MemberChange,
    ) -> Result<(), DirectoryError> {
        let changes = self.changes_of(name);
        let is_read_only = is_read_only();
        let (client, name) = (self.clone(), name.to_owned());
        let work = move |changes: Vec<MemberChange>| {
            let (client, name) = (client.clone(), name.clone());
            let changing = async move {
                RequestOutcome::Answers(client.change_together(&name, &changes).await)
            };
            READ_ONLY.scope(is_read_only, changing)
        };
        changes.ask(change, work).await
    }

    /// Returns the queue of a group's changes, which exists as long as a change waits or is in
    /// flight.
    fn changes_of(&self, name: &str) -> Arc<Changes> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, changes| Arc::strong_count(changes) > 1);
        // What is only compared doesn't go together with what changes something.
        groups
            .entry((name.to_owned(), is_read_only()))
            .or_insert_with(|| RequestQueue::one_by_one(MAX_CHANGES))
            .clone()
    }

    async fn change_together(
        self: &Arc<Self>,
        name: &str,
        changes: &[MemberChange],
    ) -> Vec<Result<(), DirectoryError>> {
        let together = self.apply(name, changes).await;
        let may_be_of_one = matches!(
            together,
            Err(DirectoryError::Refused(_)
                | DirectoryError::Protocol(_)
                | DirectoryError::Failed(_))
        );
        if changes.len() == 1 || !may_be_of_one {
            return changes.iter().map(|_| together.clone()).collect();
        }
        self.note_late_in_groups(&together);
        // One that isn't taken is no reason for the others not to be.
        let mut answers = vec![];
        for change in changes {
            answers.push(self.apply(name, std::slice::from_ref(change)).await);
        }
        answers
    }

    async fn apply(
        self: &Arc<Self>,
        name: &str,
        changes: &[MemberChange],
    ) -> Result<(), DirectoryError> {
        let mut groups = self.groups_of(name).await?;
        let is_known = !groups.is_empty();
        let leaves = changes.iter().any(|change| matches!(change, MemberChange::Leave(_)));
        if !is_known && (leaves || !self.features().await?.has(Ability::GroupKeys)) {
            groups = self.groups_named(name).await?;
        }
        // A group that was created twice, because a server was slow to show the first, is the same
        // one for all.
        groups.sort_by_key(|group| group.id().unwrap_or_default().to_owned());
        let joining: Vec<&str> = changes
            .iter()
            .filter_map(
                |change| if let MemberChange::Join(id) = change { Some(id.as_str()) } else { None },
            )
            .collect();
        let leaving: Vec<&str> =
            changes
                .iter()
                .filter_map(|change| {
                    if let MemberChange::Leave(id) = change { Some(id.as_str()) } else { None }
                })
                .collect();
        // One that only shows the name isn't roster's, unless no group can show more.
        let is_own = is_known || !self.features().await?.has(Ability::GroupKeys);
        if !joining.is_empty() && (groups.is_empty() || !is_own) {
            self.create_group(name, &joining).await?;
        }
        for (number, group) in groups.iter().enumerate() {
            if joining.is_empty() && leaving.is_empty() {
                self.drop_if_empty(group).await?;
            } else {
                let joining = if number == 0 && is_own { joining.as_slice() } else { &[] };
                self.change_members(group, name, MemberMoves { joining, leaving: &leaving })
                    .await?;
            }
        }
        Ok(())
    }

    /// Returns the groups that roster knows by a name.
    async fn groups_of(&self, name: &str) -> Result<Vec<Resource>, DirectoryError> {
        let known = [Filter::ExternalId(name.to_owned())];
        Ok(self.find(ScimResource::Group, &known, Some(NAMES)).await?.pop().unwrap_or_default())
    }

    /// Returns the groups that have the name to show, and nothing that anybody knows them by.
    async fn groups_named(&self, name: &str) -> Result<Vec<Resource>, DirectoryError> {
        let named = [Filter::GroupName(name.to_owned())];
        Ok(self.find(ScimResource::Group, &named, Some(NAMES)).await?.pop().unwrap_or_default())
    }

    async fn create_group(
        self: &Arc<Self>,
        name: &str,
        members: &[&str],
    ) -> Result<(), DirectoryError> {
        let group = |members: &[&str]| {
            let mut group = json!({ "schemas": [ScimResource::Group.schema()], "externalId": name, "displayName": name });
            if !members.is_empty() {
                group["members"] = values(members);
            }
            ScimWrite::create(ScimResource::Group, group)
        };
        let features = self.features().await?;
        let with_members = features.has(Ability::GroupsWithMembers);
        let mut reply = self.write(group(if with_members { members } else { &[] })).await?;
        if with_members && matches!(reply.status.as_u16(), 400 | 422) {
            // It may take them afterwards.
            let again = self.write(group(&[])).await?;
            if again.status.is_success() {
                features.fails_at(Ability::GroupsWithMembers);
                reply = again;
            }
        }
        if reply.status.as_u16() == 409 {
            return self.join_double(name, members).await;
        }
        reply.accepted()?;
        let made = match &reply.body {
            Body::Json(made) => Some(Resource::read(made)?),
            Body::Empty | Body::Nonsense(_) => None,
        };
        let made = made.filter(|made| made.get("displayName").is_some());
        if made.as_ref().is_some_and(|made| made.external_id().is_ok_and(|key| key.is_none())) {
            features.fails_at(Ability::GroupKeys);
        }
        let is_in = |id: &str| {
            made.as_ref().is_some_and(|made| made.members().is_ok_and(|has| has.contains(&id)))
        };
        if members.iter().all(|id| is_in(id)) {
            return Ok(());
        }
        // Not every server takes members along with their group.
        let id = match reply.created_id()? {
            Some(id) => id,
            None => self
                .groups_of(name)
                .await?
                .first()
                .ok_or(DirectoryError::Conflict)?
                .id()?
                .to_owned(),
        };
        let mut whole = self
            .whole_group(&path_of(ScimResource::Group, &id)?)
            .await?
            .ok_or(DirectoryError::Conflict)?;
        whole.0.insert("id".to_owned(), id.into());
        let missing: Vec<&str> = {
            let has = whole.members()?;
            members.iter().copied().filter(|id| !has.contains(id)).collect()
        };
        self.change_members(&whole, name, MemberMoves { joining: &missing, leaving: &[] }).await
    }

    /// Whether the server keeps what roster knows groups by: one of which no group has it doesn't.
    async fn keeps_group_keys(&self) -> Result<bool, DirectoryError> {
        let features = self.features().await?;
        if !features.has(Ability::GroupKeys) {
            return Ok(false);
        }
        let all = self.list(ScimResource::Group, Some(NAMES)).await?;
        let keeps = all.iter().any(|group| group.external_id().is_ok_and(|key| key.is_some()));
        if !keeps {
            features.fails_at(Ability::GroupKeys);
        }
        Ok(keeps)
    }

    /// Makes entries members of a group that a server has already: one that it was slow to show, or
    /// one of those that it keeps without what roster knows them by.
    async fn join_double(
        self: &Arc<Self>,
        name: &str,
        members: &[&str],
    ) -> Result<(), DirectoryError> {
        let mut groups = self.groups_of(name).await?;
        if groups.is_empty() && !self.keeps_group_keys().await? {
            groups = self.groups_named(name).await?;
        }
        let Some(group) = groups.first() else {
            return Err(DirectoryError::refused(&format!(
                "another group there has the name {name}; roster takes it for its own once its externalId is {name}"
            )));
        };
        self.change_members(group, name, MemberMoves { joining: members, leaving: &[] }).await
    }

    async fn drop_if_empty(self: &Arc<Self>, group: &Resource) -> Result<(), DirectoryError> {
        let path = path_of(ScimResource::Group, group.id()?)?;
        let Some(group) = self.whole_group(&path).await? else { return Ok(()) };
        if !self.is_empty(&group).await? {
            return Ok(());
        }
        let has_versions = self.features().await?.etag;
        let version = group.version().filter(|_| has_versions).map(str::to_owned);
        let reply = self.write(ScimWrite::delete(path, version)).await?;
        match reply.status.as_u16() {
            // A member joined meanwhile, or another client was faster.
            404 | 412 => Ok(()),
            _ => reply.accepted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::DirectoryUrl;
    use crate::provisioning::scim::Scim;

    #[tokio::test]
    async fn a_group_of_which_nothing_is_to_change_takes_no_room() {
        let address =
            DirectoryUrl::parse("scim+http://127.0.0.1:1/v2?token-file=/nowhere/token").unwrap();
        let client = Scim::open(address).unwrap().client;
        let busy = client.changes_of("acme/busy");
        for number in 0..100 {
            client.changes_of(&format!("acme/{number}"));
        }
        assert!(Arc::ptr_eq(&busy, &client.changes_of("acme/busy")));
        assert_eq!(client.groups.lock().unwrap().len(), 1);
        // A request that is cancelled leaves nothing behind either.
        client.join("acme/late", "7").await.unwrap_err();
        while Arc::strong_count(&client.changes_of("acme/late")) > 2 {
            tokio::task::yield_now().await;
        }
        client.changes_of("acme/busy");
        assert_eq!(client.groups.lock().unwrap().len(), 1);
    }
}
