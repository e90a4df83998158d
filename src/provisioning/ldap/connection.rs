//! A connection to a server that speaks LDAP, and the entries that it shows.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use ldap3::controls::{
    Assertion, Control, ControlType, MakeCritical, PagedResults, PostRead, RawControl,
};
use ldap3::{LdapError, LdapResult, Mod, Scope, SearchEntry, SearchOptions};
use tokio::time::Instant;

use super::super::DirectoryError;
use super::admission::{LONG, LONG_ENOUGH, Permit};
use super::lacks;
use super::mapping::{STATE, UUID};
use super::pool::Pool;
use super::result_codes::{
    INSUFFICIENT_ACCESS, NO_SUCH_OBJECT, REFERRAL, REFERS, SIZE_LIMIT_EXCEEDED, SUCCESS, UNWILLING,
    failure, failure_of_all,
};

/// How many entries a list is read by.
const PAGE: i32 = 500;

/// How long the server may take for one operation.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection for one entry; it goes back to the pool afterwards, unless its state is unknown.
pub(super) struct LdapConnection<'a> {
    ldap: ldap3::Ldap,
    /// No request is without an answer.
    is_sound: bool,
    /// Something was written over it for this entry, or may have been.
    wrote: bool,
    /// Whether it only compares, and refuses to write.
    is_read_only: bool,
    pool: &'a Pool,
    permit: Permit,
}

impl<'a> LdapConnection<'a> {
    pub(super) fn new(ldap: ldap3::Ldap, pool: &'a Pool, permit: Permit) -> Self {
        Self { ldap, is_sound: true, wrote: false, is_read_only: false, pool, permit }
    }

    /// Whether something was written over it, or may have been.
    pub(super) fn has_written(&self) -> bool {
        self.wrote
    }

    /// Lets nothing be written over it: what there would be to write is
    /// [`DirectoryError::Drifted`].
    pub(super) fn compare_only(&mut self, is_read_only: bool) {
        self.is_read_only = is_read_only;
    }

    /// Whether it was lost before an answer came.
    pub(super) fn is_lost(&self) -> bool {
        !self.is_sound
    }

    /// Searches a part of the tree that roster needs, and takes no more entries than this.
    pub(super) async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<Results, DirectoryError> {
        let is_base = matches!(scope, Scope::Base);
        let (results, answer) = self.searched(base, scope, filter, attributes, most).await?;
        if results.refers {
            return Err(DirectoryError::Unreachable(REFERS.to_owned()));
        }
        match answer.rc {
            SUCCESS | SIZE_LIMIT_EXCEEDED => Ok(results),
            NO_SUCH_OBJECT if is_base => Ok(Results::default()),
            NO_SUCH_OBJECT => Err(lacks(base)),
            _ if is_base => Err(failure(&answer)),
            _ => Err(failure_of_all(&answer)),
        }
    }

    /// Searches where roster may have no rights: `None` where the server doesn't let it.
    pub(super) async fn search_if_open(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<Option<Results>, DirectoryError> {
        let (results, answer) = self.searched(base, scope, filter, attributes, most).await?;
        match answer.rc {
            SUCCESS | SIZE_LIMIT_EXCEEDED => Ok(Some(results)),
            NO_SUCH_OBJECT | INSUFFICIENT_ACCESS | REFERRAL | UNWILLING => Ok(None),
            _ => Err(failure(&answer)),
        }
    }

    /// Whether an entry meets a filter for certain: false also where the server doesn't show it.
    pub(super) async fn meets(&mut self, dn: &str, filter: &str) -> Result<bool, DirectoryError> {
        let results = self.search_if_open(dn, Scope::Base, filter, &["1.1"], 1).await?;
        Ok(results.is_some_and(|results| !results.entries.is_empty()))
    }

    async fn searched(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<(Results, LdapResult), DirectoryError> {
        self.is_sound = false;
        let at_most = SearchOptions::new().sizelimit(i32::try_from(most).unwrap_or(i32::MAX));
        let searching = self.ldap.with_search_options(at_most);
        let (results, answer) = answered(&self.permit, async {
            let mut stream = searching.streaming_search(base, scope, filter, attributes).await?;
            let mut results = Results::default();
            while let Some(item) = stream.next().await? {
                if item.is_ref() {
                    results.refers = true;
                } else if !item.is_intermediate() {
                    if results.entries.len() == most {
                        return Ok((
                            results,
                            Err(DirectoryError::Protocol(
                                "it found more than it was asked for".to_owned(),
                            )),
                        ));
                    }
                    results.entries.push(LdapEntry::new(SearchEntry::construct(item)));
                }
            }
            Ok((results, Ok(stream.finish().await)))
        })
        .await?;
        let answer = answer?;
        self.is_sound = true;
        Ok((Results { has_more: answer.rc == SIZE_LIMIT_EXCEEDED, ..results }, answer))
    }

    /// Returns everything that a search finds, by pages (RFC 2696), so that no limit of the server
    /// on one answer ends it.
    pub(super) async fn search_all(
        &mut self,
        base: &str,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<LdapEntry>, DirectoryError> {
        let (mut entries, mut cookie) = (vec![], vec![]);
        loop {
            self.is_sound = false;
            let page = PagedResults { size: PAGE, cookie };
            let searching = self.ldap.with_controls(RawControl::from(page));
            let (found, answer) = answered(&self.permit, async {
                let mut stream =
                    searching.streaming_search(base, Scope::Subtree, filter, attributes).await?;
                let mut found = vec![];
                while let Some(item) = stream.next().await? {
                    if !item.is_ref() && !item.is_intermediate() {
                        found.push(LdapEntry::new(SearchEntry::construct(item)));
                    }
                }
                Ok((found, stream.finish().await))
            })
            .await?;
            self.is_sound = true;
            match answer.rc {
                SUCCESS => {}
                NO_SUCH_OBJECT => return Err(lacks(base)),
                _ => return Err(failure_of_all(&answer)),
            }
            entries.extend(found);
            cookie = next_page(&answer)?;
            if cookie.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// Compares a value of an attribute; the answer's code has the result.
    pub(super) async fn compare(
        &mut self,
        dn: &str,
        attribute: &str,
        value: &str,
    ) -> Result<LdapResult, DirectoryError> {
        self.is_sound = false;
        let answer = answered(&self.permit, self.ldap.compare(dn, attribute, value)).await?.0;
        self.is_sound = true;
        Ok(answer)
    }

    /// Adds an entry. Where the server gives it along (RFC 4527), the answer has its entryUUID.
    pub(super) async fn add(
        &mut self,
        dn: &str,
        attributes: &[(&str, Vec<String>)],
    ) -> Result<LdapResult, DirectoryError> {
        let values =
            |values: &'_ [String]| values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let attributes =
            attributes.iter().map(|(name, all)| (name.as_bytes().to_vec(), values(all))).collect();
        let mut ldap = self.ldap.clone();
        ldap.with_controls(PostRead::new(vec![UUID]));
        self.written(async { ldap.add(dn, attributes).await }).await
    }

    /// Changes an entry in one operation, where it meets the filter.
    pub(super) async fn modify(
        &mut self,
        dn: &str,
        changes: Vec<Mod<&str>>,
        only_if: Option<&str>,
    ) -> Result<LdapResult, DirectoryError> {
        let mut ldap = self.ldap.clone();
        ldap.with_controls(only_if.map(assertion).into_iter().collect::<Vec<_>>());
        self.written(async { ldap.modify(dn, changes).await }).await
    }

    /// Renames an entry, and puts it under another. The value that it was named by stays among its
    /// values, since the entry may need one.
    pub(super) async fn rename(
        &mut self,
        dn: &str,
        name: &str,
        under: &str,
    ) -> Result<LdapResult, DirectoryError> {
        let mut ldap = self.ldap.clone();
        self.written(async { ldap.modifydn(dn, name, false, Some(under)).await }).await
    }

    /// Removes an entry, where it meets the filter.
    pub(super) async fn delete(
        &mut self,
        dn: &str,
        only_if: Option<&str>,
    ) -> Result<LdapResult, DirectoryError> {
        let mut ldap = self.ldap.clone();
        ldap.with_controls(only_if.map(assertion).into_iter().collect::<Vec<_>>());
        self.written(async { ldap.delete(dn).await }).await
    }

    /// Waits for the answer to a write. One that stays without may have been carried out.
    async fn written(
        &mut self,
        writing: impl Future<Output = ldap3::result::Result<LdapResult>>,
    ) -> Result<LdapResult, DirectoryError> {
        if self.is_read_only {
            return Err(DirectoryError::Drifted);
        }
        let before = std::mem::replace(&mut self.wrote, true);
        self.is_sound = false;
        let answer = answered(&self.permit, writing).await?;
        self.is_sound = true;
        self.wrote = before || answer.rc == SUCCESS;
        Ok(answer)
    }
}

/// Returns the cookie by which the next page is asked for; an empty one where there is none.
fn next_page(answer: &LdapResult) -> Result<Vec<u8>, DirectoryError> {
    let is_page = |control: &&Control| matches!(control.0, Some(ControlType::PagedResults));
    let Some(Control(_, raw)) = answer.ctrls.iter().find(is_page) else { return Ok(vec![]) };
    let page = std::panic::catch_unwind(AssertUnwindSafe(|| raw.parse::<PagedResults>()));
    page.map(|page| page.cookie).map_err(|_| DirectoryError::Protocol("it isn't LDAP".to_owned()))
}

fn assertion(filter: &str) -> RawControl {
    Assertion { filter }.critical().into()
}

/// Waits for an answer as long as one may take, and lets others go on meanwhile where that is long.
/// The library panics over what isn't LDAP, which is no reason to end.
pub(super) async fn answered<T>(
    permit: &Permit,
    operation: impl Future<Output = ldap3::result::Result<T>>,
) -> Result<T, DirectoryError> {
    let mut operation = pin!(AssertUnwindSafe(operation).catch_unwind());
    let began = Instant::now();
    let outcome = loop {
        match tokio::time::timeout(LONG, &mut operation).await {
            Ok(outcome) => break Some(outcome),
            Err(_) => permit.takes_long(true),
        }
        let lasted = began.elapsed();
        if lasted >= TIMEOUT || lasted >= LONG_ENOUGH && permit.gives_way() {
            break None;
        }
    };
    permit.takes_long(false);
    match outcome {
        Some(Ok(Ok(answer))) => Ok(answer),
        Some(Ok(Err(error))) => Err(lost(&error)),
        Some(Err(_)) => Err(DirectoryError::Protocol("it isn't LDAP".to_owned())),
        None => Err(DirectoryError::Timeout),
    }
}

/// Returns what an operation without an answer means.
fn lost(error: &LdapError) -> DirectoryError {
    DirectoryError::Unreachable(match error {
        LdapError::Io { source } => source.to_string(),
        LdapError::OpSend { .. }
        | LdapError::ResultRecv { .. }
        | LdapError::IdScrubSend { .. }
        | LdapError::EndOfStream => "the connection was lost".to_owned(),
        other => other.to_string(),
    })
}

impl Drop for LdapConnection<'_> {
    fn drop(&mut self) {
        if self.is_sound {
            self.pool.give_back(&self.ldap);
        }
    }
}

#[derive(Default)]
pub(super) struct Results {
    pub(super) entries: Vec<LdapEntry>,
    /// The server has more than the search asked for.
    pub(super) has_more: bool,
    /// Some of it is on another server.
    refers: bool,
}

/// What a server has under a DN.
pub(super) struct LdapEntry {
    pub(super) dn: String,
    attributes: HashMap<String, Vec<String>>,
    unreadable: HashSet<String>,
}

impl LdapEntry {
    fn new(entry: SearchEntry) -> Self {
        let SearchEntry { dn, attrs, bin_attrs, .. } = entry;
        let attributes =
            attrs.into_iter().map(|(name, values)| (name.to_lowercase(), values)).collect();
        Self {
            dn,
            attributes,
            unreadable: bin_attrs.into_keys().map(|name| name.to_lowercase()).collect(),
        }
    }

    /// Returns the values of an attribute, none where one of them isn't text.
    pub(super) fn values(&self, attribute: &str) -> &[String] {
        self.attributes.get(&attribute.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn first(&self, attribute: &str) -> Option<&str> {
        self.values(attribute).first().map(String::as_str)
    }

    /// Whether an attribute has this value among others, in whatever case.
    pub(super) fn has(&self, attribute: &str, value: &str) -> bool {
        self.values(attribute)
            .iter()
            .any(|one| one.trim().to_lowercase() == value.trim().to_lowercase())
    }

    /// Whether an attribute has this value alone, to the letter, or none.
    pub(super) fn is(&self, attribute: &str, wanted: Option<&str>) -> bool {
        let is_readable = !self.unreadable.contains(&attribute.to_lowercase());
        is_readable && self.values(attribute).iter().map(String::as_str).eq(wanted)
    }

    /// Whether an attribute has any value, readable or not.
    pub(super) fn shows(&self, attribute: &str) -> bool {
        !self.values(attribute).is_empty() || self.unreadable.contains(&attribute.to_lowercase())
    }

    /// Returns what stays the same wherever the entry is moved to, where the server shows it.
    pub(super) fn uuid(&self) -> Option<&str> {
        self.first(UUID)
    }

    /// Returns what changes with each change of the entry, where the server shows it.
    pub(super) fn state(&self) -> Option<&str> {
        self.first(STATE)
    }
}
