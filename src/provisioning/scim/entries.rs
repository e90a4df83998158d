//! Changing an entry and removing it. What takes rights away arrives, whatever else a server
//! refuses or fails at.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use reqwest::Method;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::features::Ability;
use super::handle::ScimHandle;
use super::lookup::Filter;
use super::messages::{PatchOperation, Resource, ScimResource, patch};
use super::reply::Reply;
use super::transport::Request;
use super::user;
use super::writes::{ScimWrite, path_of};
use super::{Client, LookupMode};
use crate::domain::account::AccountId;
use crate::provisioning::{DirectoryError, Entry, Provisioned};

/// How long the deletion of an entry waits until its login is revoked.
const CLOSING: Duration = Duration::from_secs(8);

/// Options for updating an entry.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) account: AccountId,
    /// A password in the place of the entry's own.
    pub(super) password: Option<&'a str>,
    /// What the server didn't take before, which isn't sent again.
    pub(super) unheeded: Option<&'a str>,
    /// Whether an inactive entry is sent as inactive also where the server shows that already: a
    /// late request may activate it.
    pub(super) insists: bool,
}

#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Whether anything had to be written.
    pub(super) wrote: bool,
    /// What the server didn't take: it gives nobody rights.
    pub(super) unheeded: Option<String>,
}

impl Client {
    /// Changes what differs about an entry. Where that is refused, less is tried: what is left
    /// without the password, without an address that another entry has, and at last what only takes
    /// rights away. What was to go is looked for afterwards.
    pub(super) async fn change(
        self: &Arc<Self>,
        user: &Resource,
        wanted: &Map<String, Value>,
        told: &Told<'_>,
    ) -> Result<Changed, DirectoryError> {
        let differing = user::digest(user, &user::differences(user, wanted));
        let is_unheeded = differing.is_some() && differing.as_deref() == told.unheeded;
        // It got this before without effect: nothing is left to send, if it isn't a right.
        let known = if is_unheeded { user::managed(user) } else { wanted.clone() };
        let Some(reply) = self.tell(user, &known, told).await? else {
            return Ok(Changed { wrote: false, unheeded: differing });
        };
        let mut refusal = match reply.accepted() {
            Err(
                refusal @ (DirectoryError::Refused(_)
                | DirectoryError::Unreachable(_)
                | DirectoryError::Failed(_)),
            ) => refusal,
            Err(error) => return Err(error),
            Ok(()) => return self.verify(user, wanted, &reply, told.account).await,
        };
        let password = told.password;
        let mut lesser = vec![];
        let wanted =
            &if password.is_some() { user::keep_inactive(user, wanted) } else { wanted.clone() };
        if password.is_some() {
            lesser.push(wanted.clone());
        }
        if reply.status.as_u16() == 409 || reply.is_error("uniqueness") {
            lesser.push(user::without_new_address(user, wanted));
        }
        lesser.push(user::revocations_only(user, wanted));
        let mut tried = if password.is_some() { vec![] } else { user::differences(user, wanted) };
        let told = Told { password: None, unheeded: None, ..*told };
        for less in lesser {
            let operations = user::differences(user, &less);
            if operations == tried {
                continue;
            }
            tried = operations;
            let answer = match self.tell(user, &less, &told).await {
                Ok(None) => break,
                Ok(Some(reply)) => reply.accepted(),
                Err(error) => return Err(error.or_more_open(refusal)),
            };
            match answer {
                Ok(()) => break,
                // Without the password the server's own words can be reported.
                Err(error) if password.is_some() => refusal = error.or_more_open(refusal),
                Err(error) => refusal = refusal.or_more_open(error),
            }
        }
        Err(refusal)
    }

    /// Checks a changed entry, as the server answered or shows it now.
    ///
    /// # Errors
    /// When it still shows a right that was to go.
    async fn verify(
        self: &Arc<Self>,
        user: &Resource,
        wanted: &Map<String, Value>,
        reply: &Reply,
        account: AccountId,
    ) -> Result<Changed, DirectoryError> {
        let id = user.id()?;
        let is_as_wanted = |shown: &Resource| user::differences(shown, wanted).is_empty();
        let mut shown = reply.resource().filter(|shown| shown.id().is_ok_and(|shown| shown == id));
        if !shown.as_ref().is_some_and(is_as_wanted) {
            shown = self.look(id, account).await?;
        }
        if shown.as_ref().is_some_and(|shown| user::rights_left(shown, wanted).is_some()) {
            // What finds entries may be behind what has them.
            shown = self.entry(id).await?;
        }
        // An entry that isn't there has no rights.
        let Some(shown) = shown else { return Ok(Changed { wrote: true, unheeded: None }) };
        if let Some(right) = user::rights_left(&shown, wanted) {
            return Err(DirectoryError::refused(&match right {
                "active" => {
                    "it answers that it made the entry inactive, and doesn't show it so".to_owned()
                }
                _ => {
                    format!("it answers that it took rights away, and still shows them in {right}")
                }
            }));
        }
        Ok(Changed {
            wrote: true,
            unheeded: user::digest(&shown, &user::differences(&shown, wanted)),
        })
    }

    /// Returns an entry as the server shows it now, together with others, unless it is gone.
    pub(super) async fn look(
        self: &Arc<Self>,
        id: &str,
        account: AccountId,
    ) -> Result<Option<Resource>, DirectoryError> {
        let found = self.entries_of(account, LookupMode::Answers).await?;
        match found.into_iter().find(|user| user.id().is_ok_and(|user| user == id)) {
            Some(user) => Ok(Some(user)),
            None => self.entry(id).await,
        }
    }

    /// Returns an entry by the server's id; `None` if there is none.
    pub(super) async fn entry(&self, id: &str) -> Result<Option<Resource>, DirectoryError> {
        let reply = self.transport.send(Request::get(&path_of(ScimResource::User, id)?)).await?;
        if matches!(reply.status.as_u16(), 404 | 410) {
            Ok(None)
        } else {
            reply.read("a User").map(Some)
        }
    }

    /// Returns the entry that the server once returned for an account, though the account's key
    /// doesn't find it any more.
    ///
    /// # Errors
    /// When it has become another one's though the account needs it, or lets somebody in beside the
    /// one that is found.
    pub(super) async fn known_entry(
        &self,
        handle: &ScimHandle,
        entry: &Entry,
        is_only: bool,
    ) -> Result<Option<Resource>, DirectoryError> {
        let Some(user) = self.entry(&handle.id).await? else { return Ok(None) };
        let (account, id) = (entry.account.to_string(), &handle.id);
        match user.external_id()? {
            Some(other) if other == account => Ok(Some(user)),
            // One that is known to be another's is nothing of the account beside its own.
            Some(_) if !is_only => Ok(None),
            // It belongs to another account now, which provisions it.
            Some(other) if entry.person.is_none() && Uuid::parse_str(other).is_ok() => Ok(None),
            Some(_) => Err(DirectoryError::refused(&format!(
                "the entry {id} there was the person's and has the externalId of somebody else now; with {account} it is the person's again"
            ))),
            None if is_only || entry.revokes_login() => Ok(Some(user)),
            None if user.get("active") == Some(&Value::Bool(false)) => Ok(None),
            None => Err(DirectoryError::refused(&format!(
                "the entry {id} there was the person's and is active beside another that has the externalId {account}: it has to go"
            ))),
        }
    }

    /// Sends what differs of an entry, and returns the answer; `None` if nothing differs.
    async fn tell(
        self: &Arc<Self>,
        user: &Resource,
        wanted: &Map<String, Value>,
        told: &Told<'_>,
    ) -> Result<Option<Reply>, DirectoryError> {
        let Told { password, insists, .. } = *told;
        let mut operations = user::differences(user, wanted);
        let inactive = Value::Bool(false);
        if insists
            && wanted.get("active") == Some(&inactive)
            && !operations.iter().any(|it| it.path() == "active")
        {
            operations.push(PatchOperation::replace("active", inactive));
        }
        operations
            .extend(password.map(|password| PatchOperation::replace("password", password.into())));
        if operations.is_empty() {
            return Ok(None);
        }
        let features = self.features().await?;
        let version = user.version().filter(|_| features.etag).map(str::to_owned);
        let path = path_of(ScimResource::User, user.id()?)?;
        let answered = |reply: Reply| match reply.status.as_u16() {
            404 => Err(DirectoryError::Conflict),
            _ if password.is_some() => Ok(Some(reply.without_words())),
            _ => Ok(Some(reply)),
        };
        if features.has(Ability::Patch) {
            let write =
                ScimWrite::change(Method::PATCH, path.clone(), patch(&operations), version.clone());
            let reply = self.write(write).await?;
            match reply.status.as_u16() {
                405 | 501 => features.fails_at(Ability::Patch),
                _ => return answered(reply),
            }
        }
        let mut whole = user::merged(user, wanted);
        whole.extend(password.map(|password| ("password".to_owned(), password.into())));
        answered(
            self.write(ScimWrite::change(Method::PUT, path, Value::Object(whole), version)).await?,
        )
    }

    /// Removes an entry and its memberships, which not every server does by itself.
    ///
    /// # Errors
    /// When it isn't certain that it is gone. Nobody logs in with it any more, if the server does
    /// as much as that.
    pub(super) async fn remove(
        self: &Arc<Self>,
        user: &Resource,
        organization: &str,
        account: AccountId,
    ) -> Result<(), DirectoryError> {
        // The memberships go while the entry can still be found by the next try. Until then the way
        // in is closed.
        let closing = tokio::time::timeout(CLOSING, self.close(user, account));
        let (_, left) = join(closing, self.settle(user, (organization, account), None)).await;
        match left {
            Err(DirectoryError::Refused(_) | DirectoryError::Protocol(_)) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        let id = user.id()?;
        if !self.delete(id).await? {
            return Ok(());
        }
        // One that only marks the entry as deleted may go on to show it, without rights.
        let found = self.entries_of(account, LookupMode::Answers).await?;
        let lets_in = |user: &Resource| user.get("active") != Some(&Value::Bool(false));
        if user.external_id()?.is_some()
            && !found.iter().any(|user| user.id().is_ok_and(|it| it == id) && lets_in(user))
        {
            return Ok(());
        }
        match self.entry(id).await? {
            Some(user) if lets_in(&user) => Err(DirectoryError::refused(&format!(
                "it answers that it deleted the entry {id}, and still shows it: it has to be deleted there"
            ))),
            _ => Ok(()),
        }
    }

    /// Revokes an entry's login.
    async fn close(
        self: &Arc<Self>,
        user: &Resource,
        account: AccountId,
    ) -> Result<(), DirectoryError> {
        let mut closed = user::managed(user);
        closed.insert("active".to_owned(), false.into());
        let told = Told { account, password: None, unheeded: None, insists: false };
        self.tell(user, &closed, &told).await?.map_or(Ok(()), |reply| reply.accepted())
    }

    /// Deletes an entry. Returns false if there was none.
    async fn delete(self: &Arc<Self>, id: &str) -> Result<bool, DirectoryError> {
        let reply = self.write(ScimWrite::delete(path_of(ScimResource::User, id)?, None)).await?;
        if matches!(reply.status.as_u16(), 404 | 410) {
            Ok(false)
        } else {
            reply.accepted().map(|()| true)
        }
    }

    /// Whether an entry that was just made has an account's externalId, though it isn't found by it
    /// yet.
    pub(super) async fn keeps(&self, id: &str, external_id: &str) -> Result<bool, DirectoryError> {
        let Some(made) = self.entry(id).await? else { return Ok(false) };
        Ok(made.external_id()? == Some(external_id))
    }

    /// Deletes an entry that was just made and that can't be found again, and returns that as a
    /// refusal.
    pub(super) async fn take_back(
        self: &Arc<Self>,
        id: Option<&str>,
    ) -> Result<Provisioned, DirectoryError> {
        let left = match id {
            Some(id) if self.delete(id).await.is_ok() => String::new(),
            Some(id) => format!("; the entry {id} that was made has to be deleted there"),
            None => "; an entry that was made has to be deleted there".to_owned(),
        };
        Err(DirectoryError::refused(&format!(
            "it doesn't keep the externalId, by which roster finds entries again{left}"
        )))
    }

    /// Returns the entries of an account that a server has and doesn't find by their externalId.
    /// One that finds nothing by a filter that it doesn't know isn't asked so again.
    pub(super) async fn entries_missed(
        self: &Arc<Self>,
        account: AccountId,
        login_name: &str,
    ) -> Result<Vec<Resource>, DirectoryError> {
        let by_name = [Filter::LoginName(login_name.to_owned())];
        let mut found = self.find(ScimResource::User, &by_name, None).await?.concat();
        if found.is_empty() {
            found = self.list(ScimResource::User, None).await?;
        }
        let own = Filter::ExternalId(account.to_string());
        let mut missed = vec![];
        for user in found {
            if own.holds(&user)? {
                missed.push(user);
            }
        }
        if !missed.is_empty() {
            self.features().await?.fails_at(Ability::Filter(ScimResource::User, own.question()));
        }
        Ok(missed)
    }
}
