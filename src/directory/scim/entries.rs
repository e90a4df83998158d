//! Changing an entry and removing it. What takes rights away arrives, whatever else a server refuses or fails at.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use reqwest::Method;
use serde_json::{Map, Value};

use super::Client;
use super::features::Ability;
use super::lookup::Condition;
use super::messages::{Kind, PatchOperation, Resource, patch};
use super::reply::Reply;
use super::transport::Request;
use super::user;
use super::writes::{Write, path_of};
use crate::directory::DirectoryError;
use crate::domain::account::AccountId;

/// How long the deletion of an entry waits until nobody can log in with it any more.
const CLOSING: Duration = Duration::from_secs(8);

impl Client {
    /// Changes what differs about an entry. Where that is refused, less is tried: what is left without the password, without
    /// an address that another entry has, and at last what only takes rights away.
    ///
    /// # Errors
    /// When not everything was changed.
    pub(super) async fn change(
        self: &Arc<Self>,
        user: &Resource,
        wanted: &Map<String, Value>,
        password: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let Some(reply) = self.tell(user, wanted, password).await? else { return Ok(()) };
        let mut refusal = match reply.accepted() {
            Err(refusal @ (DirectoryError::Refused(_) | DirectoryError::Unreachable(_) | DirectoryError::Failed(_))) => refusal,
            answer => return answer,
        };
        let mut lesser = vec![];
        let wanted = &if password.is_some() { user::no_more_open(user, wanted) } else { wanted.clone() };
        if password.is_some() {
            lesser.push(wanted.clone());
        }
        if reply.status.as_u16() == 409 || reply.is_error("uniqueness") {
            lesser.push(user::without_new_address(user, wanted));
        }
        lesser.push(user::with_fewer_rights(user, wanted));
        let mut tried = if password.is_some() { vec![] } else { user::differences(user, wanted) };
        for less in lesser {
            let operations = user::differences(user, &less);
            if operations == tried {
                continue;
            }
            tried = operations;
            let Some(reply) = self.tell(user, &less, None).await? else { break };
            match reply.accepted() {
                Ok(()) => break,
                // Without the password the server's own words can be told.
                Err(error) if password.is_some() => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// Tells the server what differs about an entry, and returns what it answers; nothing where nothing differs.
    async fn tell(
        self: &Arc<Self>,
        user: &Resource,
        wanted: &Map<String, Value>,
        password: Option<&str>,
    ) -> Result<Option<Reply>, DirectoryError> {
        let mut operations = user::differences(user, wanted);
        operations.extend(password.map(|password| PatchOperation::replace("password", password.into())));
        if operations.is_empty() {
            return Ok(None);
        }
        let features = self.features().await?;
        let version = user.version().filter(|_| features.etag).map(str::to_owned);
        let path = path_of(Kind::User, user.id()?)?;
        let answered = |reply: Reply| match reply.status.as_u16() {
            404 => Err(DirectoryError::Conflict),
            _ if password.is_some() => Ok(Some(reply.without_words())),
            _ => Ok(Some(reply)),
        };
        if features.has(Ability::Patch) {
            let write = Write::change(Method::PATCH, path.clone(), patch(&operations), version.clone());
            let reply = self.write(write).await?;
            match reply.status.as_u16() {
                405 | 501 => features.fails_at(Ability::Patch),
                _ => return answered(reply),
            }
        }
        let mut whole = user::merged(user, wanted);
        whole.extend(password.map(|password| ("password".to_owned(), password.into())));
        answered(self.write(Write::change(Method::PUT, path, Value::Object(whole), version)).await?)
    }

    /// Removes an entry and its memberships, which not every server does by itself.
    ///
    /// # Errors
    /// When it isn't certain that it is gone. Nobody logs in with it any more, if the server does as much as that.
    pub(super) async fn remove(self: &Arc<Self>, user: &Resource, organization: &str) -> Result<(), DirectoryError> {
        // The memberships go while the entry can still be found by the next try. Until then the way in is closed.
        let closing = tokio::time::timeout(CLOSING, self.close(user));
        let (_, left) = join(closing, self.settle(user, organization, None)).await;
        match left {
            Err(DirectoryError::Refused(_) | DirectoryError::Nonsense(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        self.delete(user.id()?).await
    }

    /// Lets nobody log in with an entry.
    async fn close(self: &Arc<Self>, user: &Resource) -> Result<(), DirectoryError> {
        let mut closed = user::managed(user);
        closed.insert("active".to_owned(), false.into());
        self.tell(user, &closed, None).await?.map_or(Ok(()), |reply| reply.accepted())
    }

    async fn delete(self: &Arc<Self>, id: &str) -> Result<(), DirectoryError> {
        let reply = self.write(Write::delete(path_of(Kind::User, id)?, None)).await?;
        if reply.status.as_u16() == 404 { Ok(()) } else { reply.accepted() }
    }

    /// Whether an entry that was just made has an account's externalId, though it isn't found by it yet.
    pub(super) async fn keeps(&self, id: &str, external_id: &str) -> Result<bool, DirectoryError> {
        let reply = self.transport.send(Request::get(&path_of(Kind::User, id)?)).await?;
        if reply.status.as_u16() == 404 {
            return Ok(false);
        }
        let made: Resource = reply.read("a User")?;
        Ok(made.external_id()? == Some(external_id))
    }

    /// Deletes an entry that was just made and that can't be found again, and returns that as a refusal.
    pub(super) async fn take_back(self: &Arc<Self>, id: Option<&str>) -> Result<(), DirectoryError> {
        let left = match id {
            Some(id) if self.delete(id).await.is_ok() => String::new(),
            Some(id) => format!("; the entry {id} that was made has to be deleted there"),
            None => "; an entry that was made has to be deleted there".to_owned(),
        };
        Err(DirectoryError::refused(&format!("it doesn't keep the externalId, by which roster finds entries again{left}")))
    }

    /// Returns the entries of an account that a server has and doesn't find by their externalId. One that finds nothing by a
    /// filter that it doesn't know isn't asked so again.
    pub(super) async fn entries_missed(
        self: &Arc<Self>,
        account: AccountId,
        login_name: &str,
    ) -> Result<Vec<Resource>, DirectoryError> {
        let by_name = [Condition::LoginName(login_name.to_owned())];
        let mut found = self.find(Kind::User, &by_name, None).await?.concat();
        if found.is_empty() {
            found = self.list(Kind::User, None).await?;
        }
        let own = Condition::ExternalId(account.to_string());
        let mut missed = vec![];
        for user in found {
            if own.holds(&user)? {
                missed.push(user);
            }
        }
        if !missed.is_empty() {
            self.features().await?.fails_at(Ability::Filter(Kind::User, own.question()));
        }
        Ok(missed)
    }
}
