//! Finding what a server has: by what it is asked for where it filters, else by going through
//! everything.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::try_join_all;

use super::Client;
use super::features::{Ability, Features, fewer_than};
use super::messages::{ListResponse, Resource, ScimResource, attribute, quoted};
use super::queue::RequestOutcome;
use super::reply::Reply;
use super::transport::{Request, is_urgent};
use crate::provisioning::DirectoryError;

/// The most conditions of one filter: an address has to stay below what servers and proxies take.
pub(super) const MAX_CONDITIONS: usize = 25;

/// How many resources of a list are asked for at once, and how many where their externalId is
/// enough.
const PAGE: usize = 200;
const PAGE_OF_IDS: usize = 1000;

/// How long a search for several may take before each is looked for alone: it may never end for one
/// of them.
const LONGEST_TOGETHER: Duration = Duration::from_secs(8);
/// The same for the revocation of a login. Single requests cost a server that is merely busy many
/// times as much.
const LONGEST_URGENT: Duration = Duration::from_secs(1);

/// The attribute by which roster knows what is its own.
pub(super) const EXTERNAL_ID: &str = "externalId";

/// What a server is asked for the entries of an account.
pub(super) const BY_ACCOUNT: &str = "externalId eq";

/// The attributes that are read for a user's groups.
pub(super) const MEMBER: &str = "members.value eq";

#[derive(Clone, Debug)]
pub(super) enum Filter {
    ExternalId(String),
    /// Known to roster by something that begins so.
    ExternalIdBegins(String),
    LoginName(String),
    /// A group with this member, by its id.
    Member(String),
    AnyMember,
    /// A group with this name to show, whether or not the server keeps what roster knows it by.
    GroupName(String),
}

impl Filter {
    pub(super) fn question(&self) -> &'static str {
        match self {
            Self::ExternalId(_) => BY_ACCOUNT,
            Self::ExternalIdBegins(_) => "externalId sw",
            Self::LoginName(_) => "userName eq",
            Self::Member(_) => MEMBER,
            Self::AnyMember => "members pr",
            Self::GroupName(_) => "displayName eq",
        }
    }

    fn filter(&self) -> String {
        match self {
            Self::ExternalId(value)
            | Self::ExternalIdBegins(value)
            | Self::LoginName(value)
            | Self::Member(value)
            | Self::GroupName(value) => {
                format!("{} {}", self.question(), quoted(value))
            }
            Self::AnyMember => self.question().to_owned(),
        }
    }

    /// Whether a resource is so: a server may be less exact than it was asked to be.
    pub(super) fn holds(&self, resource: &Resource) -> Result<bool, DirectoryError> {
        Ok(match self {
            Self::ExternalId(id) => resource.external_id()? == Some(id.as_str()),
            Self::ExternalIdBegins(start) => {
                resource.external_id()?.is_some_and(|id| id.starts_with(start))
            }
            Self::LoginName(name) => {
                resource.text("userName")?.is_some_and(|has| has.eq_ignore_ascii_case(name))
            }
            Self::Member(id) => resource.members()?.contains(&id.as_str()),
            Self::AnyMember => !resource.members()?.is_empty(),
            Self::GroupName(name) => {
                resource.external_id()?.is_none()
                    && resource.text("displayName")? == Some(name.as_str())
            }
        })
    }
}

pub(super) enum Filtered {
    /// It gives these, which need not all be what it was asked for.
    Found(Vec<Resource>),
    Refused,
}

impl Client {
    /// Returns for each condition the resources that meet it, with these of their attributes, or
    /// all.
    ///
    /// # Errors
    /// When it isn't certain: what wasn't listed whole isn't missing.
    pub(super) async fn find(
        &self,
        kind: ScimResource,
        conditions: &[Filter],
        attributes: Option<&str>,
    ) -> Result<Vec<Vec<Resource>>, DirectoryError> {
        let features = self.features().await?;
        let found = match self.filtered(kind, conditions, attributes, &features).await? {
            Filtered::Found(found) => found,
            Filtered::Refused => self.list(kind, attributes).await?,
        };
        conditions.iter().map(|condition| meeting(condition, &found)).collect()
    }

    /// Filters without verifying; `None` if a control query that must match nothing matches, or the
    /// server takes no such filter.
    pub(super) async fn find_unseen(
        &self,
        kind: ScimResource,
        conditions: &[Filter],
        impossible: &Filter,
        attributes: &str,
    ) -> Result<Option<Vec<Vec<Resource>>>, DirectoryError> {
        let asked = conditions.iter().chain([impossible]).map(Filter::filter);
        let pages = try_join_all(
            asked.map(async |filter| self.pages(kind, Some(&filter), Some(attributes)).await),
        )
        .await?;
        let found: Option<Vec<Vec<Resource>>> = pages
            .into_iter()
            .map(|page| if let Filtered::Found(found) = page { Some(found) } else { None })
            .collect();
        Ok(found.and_then(|mut found| found.pop()?.is_empty().then_some(found)))
    }

    /// Returns every resource of a kind, with these of their attributes, or all.
    pub(super) async fn list(
        &self,
        kind: ScimResource,
        attributes: Option<&str>,
    ) -> Result<Vec<Resource>, DirectoryError> {
        let pages = self.pages(kind, None, attributes).await;
        // The request is about no single account.
        let pages = pages.map_err(|error| match error {
            DirectoryError::Failed(why) => DirectoryError::Unreachable(why),
            error => error,
        });
        match pages? {
            Filtered::Found(found) => Ok(found),
            Filtered::Refused => {
                Err(DirectoryError::Protocol("it refuses a filter where there is none".to_owned()))
            }
        }
    }

    /// Returns what a server gives for any of the conditions.
    pub(super) async fn filtered(
        &self,
        kind: ScimResource,
        conditions: &[Filter],
        attributes: Option<&str>,
        features: &Features,
    ) -> Result<Filtered, DirectoryError> {
        let Some(question) = conditions.first().map(Filter::question) else {
            return Ok(Filtered::Found(vec![]));
        };
        if !features.has(Ability::Filter(kind, question)) {
            return Ok(Filtered::Refused);
        }
        let filters: Vec<String> = conditions.iter().map(Filter::filter).collect();
        if filters.len() > 1 && features.has(Ability::Or) {
            let mut found = vec![];
            let mut takes_all = true;
            for some in filters.chunks(MAX_CONDITIONS) {
                let filter = some.join(" or ");
                let longest = if is_urgent() { LONGEST_URGENT } else { LONGEST_TOGETHER };
                let pages =
                    tokio::time::timeout(longest, self.pages(kind, Some(&filter), attributes))
                        .await;
                match pages.unwrap_or(Err(DirectoryError::Timeout))? {
                    Filtered::Found(more) => found.extend(more),
                    Filtered::Refused => takes_all = false,
                }
                if !takes_all {
                    break;
                }
            }
            if takes_all {
                return Ok(Filtered::Found(found));
            }
            features.fails_at(Ability::Or);
        }
        let pages = filters.iter().map(|filter| self.pages(kind, Some(filter), attributes));
        let mut found = vec![];
        for pages in try_join_all(pages).await? {
            match pages {
                Filtered::Found(more) => found.extend(more),
                Filtered::Refused => {
                    features.fails_at(Ability::Filter(kind, question));
                    return Ok(Filtered::Refused);
                }
            }
        }
        Ok(Filtered::Found(found))
    }

    /// Reads a list to its end.
    async fn pages(
        &self,
        kind: ScimResource,
        filter: Option<&str>,
        attributes: Option<&str>,
    ) -> Result<Filtered, DirectoryError> {
        let mut found: Vec<Resource> = vec![];
        let mut ids = HashSet::new();
        let mut total = 0;
        let features = self.features().await?;
        let mut most =
            features.page(if attributes == Some(EXTERNAL_ID) { PAGE_OF_IDS } else { PAGE });
        let mut is_fewer = false;
        // A page begins with what the one before ended with, to see that nothing moved; where a
        // page has more than one.
        let mut overlap = 0;
        loop {
            let (start, count) = (found.len() + 1 - overlap, most);
            let mut request = Request::get(kind.path());
            request.query = vec![("startIndex", start.to_string()), ("count", count.to_string())];
            request.query.extend(filter.map(|filter| ("filter", filter.to_owned())));
            request
                .query
                .extend(attributes.map(|attributes| ("attributes", attributes.to_owned())));
            let reply = self.transport.send(request).await?;
            if let Some(fewer) = fewer_than(count, reply.words()).filter(|_| refuses_page(&reply)) {
                (most, is_fewer) = (fewer, true);
                continue;
            }
            if is_fewer && reply.status.is_success() {
                features.note_page(most);
            }
            if filter.is_some() && refuses_filter(&reply) {
                return Ok(Filtered::Refused);
            }
            if filter.is_some()
                && found.is_empty()
                && reply.status.as_u16() == 404
                && self.means_nobody(kind, &features).await?
            {
                return Ok(Filtered::Found(vec![]));
            }
            let page: ListResponse = reply.read("a ListResponse")?;
            let resources = page.resources.unwrap_or_default();
            // Without a total the list ends with an empty page.
            let unsaid = found.len() + resources.len().saturating_sub(overlap);
            let says = page.total_results.unwrap_or_else(|| {
                unsaid + usize::from(!resources.is_empty() && unsaid > found.len())
            });
            if page.total_results.is_some() && says < total {
                // Whatever moved up meanwhile to a page that was read already would be missing.
                return Err(DirectoryError::Conflict);
            }
            total = says;
            let before = found.len();
            let follows = overlap == 0
                || resources
                    .first()
                    .map(Resource::id)
                    .transpose()?
                    .is_none_or(|id| ids.contains(id));
            overlap = usize::from(resources.len() > 1);
            for resource in resources {
                if ids.insert(resource.id()?.to_owned()) {
                    found.push(resource);
                }
            }
            if !follows {
                // Whatever was between the two pages moved up to the one that was read already.
                return Err(DirectoryError::Conflict);
            }
            if found.len() >= says || (page.total_results.is_none() && found.len() == before) {
                return Ok(Filtered::Found(found));
            }
            if found.len() == before {
                let has = found.len();
                return Err(DirectoryError::Protocol(format!(
                    "a list of {} has {has} of the {says} that it announces",
                    kind.path()
                )));
            }
        }
    }
}

impl Client {
    /// Whether a 404 means that a filter matches nothing, as with some servers, rather than that
    /// the address is wrong: then there is no list either.
    async fn means_nobody(
        &self,
        kind: ScimResource,
        features: &Features,
    ) -> Result<bool, DirectoryError> {
        if features.misses_by_404() {
            return Ok(true);
        }
        let mut request = Request::get(kind.path());
        request.query = vec![("startIndex", "1".to_owned()), ("count", "1".to_owned())];
        let is_there = self.transport.send(request).await?.status.is_success();
        if is_there {
            features.note_misses_by_404();
        }
        Ok(is_there)
    }

    /// Returns what came of a search for several by a filter: what fails may do so for one of them.
    pub(super) async fn searched<A>(
        &self,
        by: (ScimResource, &'static str),
        number: usize,
        found: Result<Vec<A>, DirectoryError>,
    ) -> RequestOutcome<A> {
        let error = match found {
            Ok(found) => return RequestOutcome::Answers(found.into_iter().map(Ok).collect()),
            Err(error) => error,
        };
        let may_be_of_one = matches!(
            error,
            DirectoryError::Failed(_)
                | DirectoryError::Refused(_)
                | DirectoryError::Protocol(_)
                | DirectoryError::Timeout
        );
        let filters =
            self.features().await.is_ok_and(|features| features.has(Ability::Filter(by.0, by.1)));
        if number > 1 && may_be_of_one && filters {
            return RequestOutcome::Split;
        }
        RequestOutcome::Answers((0..number).map(|_| Err(error.clone())).collect())
    }

    /// Whether several are looked for one by one anyway, so that none needs to wait for the others.
    pub(super) async fn searches_singly(&self, by: (ScimResource, &'static str)) -> bool {
        let features = self.features().await;
        features.is_ok_and(|features| {
            features.has(Ability::Filter(by.0, by.1)) && !features.has(Ability::Or)
        })
    }
}

/// Returns the resources that meet a condition, each once.
pub(super) fn meeting(
    condition: &Filter,
    found: &[Resource],
) -> Result<Vec<Resource>, DirectoryError> {
    let mut ids = HashSet::new();
    let mut meeting = vec![];
    for resource in found {
        if condition.holds(resource)? && ids.insert(resource.id()?) {
            meeting.push(resource.clone());
        }
    }
    Ok(meeting)
}

/// Whether a server may refuse a list for being asked for too many at once, rather than its filter.
fn refuses_page(reply: &Reply) -> bool {
    reply.status.as_u16() == 400
        && !reply.is_error("invalidFilter")
        && !reply.is_error("invalidPath")
}

/// Whether a server doesn't take a filter (RFC 7644, section 3.4.2.2): the next smaller question
/// may do.
fn refuses_filter(reply: &Reply) -> bool {
    match reply.status.as_u16() {
        400 => true,
        403 => reply.is_error("tooMany") || reply.is_error("invalidFilter"),
        413 | 414 | 501 => true,
        _ => false,
    }
}

/// Returns the names of the groups that a user's entry shows, if it shows them.
pub(super) fn groups_told(user: &Resource) -> Result<Vec<String>, DirectoryError> {
    let names = user.values("groups")?.into_iter();
    let name =
        |group| attribute(group, "display").and_then(serde_json::Value::as_str).map(str::to_owned);
    Ok(names.filter_map(name).collect())
}
