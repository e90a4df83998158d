//! Connections to a server that speaks LDAP, and what its answers mean.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use ldap3::controls::{
    Assertion, Control, ControlType, MakeCritical, PagedResults, PostRead, PostReadResp, RawControl,
};
use ldap3::{
    LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, SearchEntry, SearchOptions,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::super::{DirectoryError, DirectoryUrl, truncate};
use super::admission::{Admission, LONG, LONG_ENOUGH, Permit};
use super::lacks;
use super::mapping::{STATE, UUID};

/// The most connections that are kept for whoever comes next.
const MAX_IDLE: usize = 8;

/// How many entries a list is read by.
const PAGE: i32 = 500;

/// How long the server may take for one operation.
const TIMEOUT: Duration = Duration::from_secs(10);

const REFERS: &str =
    "it refers to another server, which roster doesn't follow: give that one's address";

// The result codes of RFC 4511, section 4.1.9, and RFC 4528 that somebody does something about.
pub(super) const SUCCESS: u32 = 0;
pub(super) const INSUFFICIENT_ACCESS: u32 = 50;
pub(super) const COMPARE_FALSE: u32 = 5;
pub(super) const COMPARE_TRUE: u32 = 6;
pub(super) const REFERRAL: u32 = 10;
pub(super) const UNWILLING: u32 = 53;
pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
pub(super) const NO_SUCH_ATTRIBUTE: u32 = 16;
pub(super) const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
pub(super) const NO_SUCH_OBJECT: u32 = 32;
pub(super) const OBJECT_CLASS_VIOLATION: u32 = 65;
pub(super) const ENTRY_ALREADY_EXISTS: u32 = 68;
pub(super) const ASSERTION_FAILED: u32 = 122;

/// The connections to a server, made when they are needed.
pub(super) struct Pool {
    url: String,
    host: String,
    bind_dn: String,
    password_file: PathBuf,
    ca_file: Option<PathBuf>,
    admission: Arc<Admission>,
    idle: Mutex<Vec<ldap3::Ldap>>,
}

impl Pool {
    pub(super) fn open(mut address: DirectoryUrl) -> Result<Self, DirectoryError> {
        let name = address.name().to_owned();
        let error = |what: &str| {
            DirectoryError::Configuration(format!("the address of the directory {name} {what}"))
        };
        let password_file = address.take_file("password-file")?;
        let bind_dn = address.take("bind-dn").filter(|dn| !dn.is_empty());
        let bind_dn = bind_dn.ok_or_else(|| error("lacks ?bind-dn=DN, who roster binds as"))?;
        let ca_file = address.take("ca-file").map(PathBuf::from);
        if ca_file.is_some() && address.scheme() != "ldaps" {
            return Err(error("has ?ca-file=, which is for ldaps:// alone"));
        }
        address.finish()?;
        let host = address.url().host_str().unwrap_or_default().to_owned();
        let port = address.url().port().map_or_else(String::new, |port| format!(":{port}"));
        let url = format!("{}://{host}{port}", address.scheme());
        let (admission, idle) = (Arc::default(), Mutex::default());
        Ok(Self { url, host, bind_dn, password_file, ca_file, admission, idle })
    }

    /// Returns a connection that nobody else uses, made unless one is at hand. Who loses the way in
    /// goes first.
    pub(super) async fn connection(
        &self,
        revokes: bool,
    ) -> Result<LdapConnection<'_>, DirectoryError> {
        let permit = self.permit(revokes).await?;
        let at_hand = loop {
            let mut at_hand = self.idle().pop();
            if !at_hand.as_mut().is_some_and(ldap3::Ldap::is_closed) {
                break at_hand;
            }
        };
        match at_hand {
            Some(ldap) => Ok(LdapConnection {
                ldap,
                is_sound: true,
                wrote: false,
                is_read_only: false,
                pool: self,
                permit,
            }),
            None => self.connect(permit).await,
        }
    }

    /// Returns a connection that is made now.
    pub(super) async fn new_connection(
        &self,
        revokes: bool,
    ) -> Result<LdapConnection<'_>, DirectoryError> {
        let permit = self.permit(revokes).await?;
        self.connect(permit).await
    }

    async fn permit(&self, revokes: bool) -> Result<Permit, DirectoryError> {
        self.admission
            .permit(revokes)
            .await
            .ok_or_else(|| DirectoryError::Unreachable("it was closed".to_owned()))
    }

    /// Lets go of the connections that nobody uses.
    pub(super) fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<ldap3::Ldap>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, permit: Permit) -> Result<LdapConnection<'_>, DirectoryError> {
        let mut settings = LdapConnSettings::new();
        if let Some(file) = &self.ca_file {
            settings = settings.set_config(Arc::new(trust(file).await?));
        }
        let password = self.password().await?;
        // A server that can't be connected to, or binds nobody, is of no use to anybody.
        let unreachable = |error| match error {
            DirectoryError::Timeout => DirectoryError::Unreachable(format!(
                "it didn't answer within {} s",
                TIMEOUT.as_secs()
            )),
            other => other,
        };
        let connecting = answered(&permit, LdapConnAsync::with_settings(settings, &self.url))
            .await
            .map_err(unreachable);
        let (driver, ldap) = connecting.map_err(|error| self.explained(error))?;
        tokio::spawn(async move {
            // Whoever waits for an answer notices by themselves.
            let _ = driver.drive().await;
        });
        let mut connection = LdapConnection {
            ldap,
            is_sound: false,
            wrote: false,
            is_read_only: false,
            pool: self,
            permit,
        };
        let binding = connection.ldap.simple_bind(&self.bind_dn, &password);
        let answer = answered(&connection.permit, binding).await.map_err(unreachable)?;
        if answer.rc != SUCCESS {
            return Err(self.refused_bind(&answer));
        }
        connection.is_sound = true;
        Ok(connection)
    }

    /// Reads the password anew, so that another one is in force with the next connection.
    async fn password(&self) -> Result<Zeroizing<String>, DirectoryError> {
        let file = self.password_file.display();
        let unreadable = |why: &dyn std::fmt::Display| {
            DirectoryError::Unauthorized(format!("its password-file {file}: {why}"))
        };
        let text = tokio::fs::read(&self.password_file)
            .await
            .map(Zeroizing::new)
            .map_err(|error| unreadable(&error))?;
        let text = std::str::from_utf8(&text).map_err(|_| unreadable(&"it isn't UTF-8"))?;
        let password =
            text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        // A bind without a password succeeds, as nobody (RFC 4513, section 5.1.2).
        if password.is_empty() {
            return Err(unreadable(&"it is empty"));
        }
        Ok(Zeroizing::new(password.to_owned()))
    }

    fn refused_bind(&self, answer: &LdapResult) -> DirectoryError {
        match failure_of_all(answer) {
            DirectoryError::Unauthorized(why) | DirectoryError::Refused(why) => {
                // It is about the bind-dn, and nobody else.
                let why = if answer.text.is_empty() || why.ends_with(&answer.text) {
                    why
                } else {
                    with_words(&why, answer)
                };
                let (dn, file) = (&self.bind_dn, self.password_file.display());
                DirectoryError::Unauthorized(format!(
                    "the bind as {dn} with the password in {file} failed: {why}"
                ))
            }
            DirectoryError::Failed(why) => {
                DirectoryError::Unreachable(format!("the bind failed: {why}"))
            }
            other => other,
        }
    }

    /// Says of a certificate that isn't trusted what can be done.
    fn explained(&self, error: DirectoryError) -> DirectoryError {
        match error {
            DirectoryError::Unreachable(why) if why.contains("certificate") => {
                let whom = match &self.ca_file {
                    Some(file) => format!("the CA in {}", file.display()),
                    None => "a CA that this machine trusts (?ca-file= names another)".to_owned(),
                };
                DirectoryError::Unreachable(format!(
                    "the certificate of {} isn't of {whom}, or not for this host: {why}",
                    self.host
                ))
            }
            other => other,
        }
    }
}

/// Returns the terms of TLS under which nobody but these authorities is trusted.
async fn trust(file: &Path) -> Result<ClientConfig, DirectoryError> {
    let error = |why: &dyn std::fmt::Display| {
        DirectoryError::Unreachable(format!("its ca-file {}: {why}", file.display()))
    };
    let text = tokio::fs::read(file).await.map_err(|why| error(&why))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        authorities.add(certificate.map_err(|why| error(&why))?).map_err(|why| error(&why))?;
    }
    if authorities.is_empty() {
        return Err(error(&"it has no certificate in PEM"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions
        .map_err(|why| error(&why))?
        .with_root_certificates(authorities)
        .with_no_client_auth())
}

/// A connection that one entry is brought over; it goes back once it isn't needed, unless something
/// is amiss with it.
pub(super) struct LdapConnection<'a> {
    ldap: ldap3::Ldap,
    /// Nothing is on its way that nobody waits for.
    is_sound: bool,
    /// Something was written over it, or may have been, since this entry is brought.
    wrote: bool,
    /// Whether it only compares, and what there would be to write is left as it is.
    is_read_only: bool,
    pool: &'a Pool,
    permit: Permit,
}

impl LdapConnection<'_> {
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

    /// Searches what the directory can't do without, and takes no more entries than this.
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

    /// Searches where roster may have no business. Nothing is returned where the server doesn't let
    /// it.
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

    /// Whether an entry meets a filter for certain: false also where the server doesn't let roster
    /// know.
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

    /// Whether an attribute of an entry has a value; the answer's code says it.
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

/// Returns the entryUUID that came along with an answer.
pub(super) fn uuid_of(answer: &LdapResult) -> Option<String> {
    let is_read = |control: &&Control| matches!(control.0, Some(ControlType::PostReadResp));
    let Control(_, raw) = answer.ctrls.iter().find(is_read)?;
    // The library panics over what isn't LDAP.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| raw.parse::<PostReadResp>())).ok()?;
    let values =
        |(name, values): (String, Vec<String>)| name.eq_ignore_ascii_case(UUID).then_some(values);
    read.attrs.into_iter().find_map(values)?.into_iter().next()
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
async fn answered<T>(
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

/// Returns what an answer means, with the server's own words.
fn with_words(what: &str, answer: &LdapResult) -> String {
    if answer.text.is_empty() {
        what.to_owned()
    } else {
        truncate(&format!("{what}: {}", answer.text))
    }
}

/// Returns what an answer to an operation on one entry or group means that isn't a success (RFC
/// 4511, appendix A.2).
///
/// Most is about that entry. Where it can't be told whether the server as a whole fails (busy,
/// unavailable, a limit of time, an internal error, a referral), it is a failure: it counts as the
/// directory's once it meets a second entry. A server may be unwilling (53) because it only reads,
/// or because of one entry: it counts as about the entry, as a wrong guess then costs further
/// tries, and the other way round everybody would wait for one. What no entry can be without (the
/// bind, TLS, the assertion control) is about the directory at once.
///
/// What is about the directory as a whole, or may be, is logged, so it has none of the server's own
/// words: they may name a person.
pub(super) fn failure(answer: &LdapResult) -> DirectoryError {
    let said = |what: &str| with_words(what, answer);
    match answer.rc {
        1 | 2 => DirectoryError::Protocol(said("it doesn't understand what roster asked")),
        3 => DirectoryError::Failed(
            "it takes too long (timeLimitExceeded); an index may be missing".to_owned(),
        ),
        7 => DirectoryError::Unauthorized(
            "it takes no simple bind (authMethodNotSupported)".to_owned(),
        ),
        8 => DirectoryError::Unauthorized(
            "it asks for a stronger bind (strongerAuthRequired)".to_owned(),
        ),
        REFERRAL => DirectoryError::Failed(REFERS.to_owned()),
        11 => DirectoryError::Failed(
            "raise the bind-dn's limits, or add an index (adminLimitExceeded)".to_owned(),
        ),
        12 => DirectoryError::Unreachable(
            "it lacks the assertion control (RFC 4528), which roster needs".to_owned(),
        ),
        13 => DirectoryError::Unauthorized("it asks for TLS (confidentialityRequired)".to_owned()),
        48 => DirectoryError::Unauthorized(
            "it takes no such bind (inappropriateAuthentication)".to_owned(),
        ),
        49 => DirectoryError::Unauthorized(
            "the DN or the password is wrong (invalidCredentials)".to_owned(),
        ),
        INSUFFICIENT_ACCESS => {
            DirectoryError::refused(&said("the bind-dn may not do this (insufficientAccessRights)"))
        }
        51 => DirectoryError::Failed("it is busy".to_owned()),
        52 => DirectoryError::Failed("it says that it is unavailable".to_owned()),
        UNWILLING => DirectoryError::refused(&said(
            "it is unwilling to (unwillingToPerform); maybe it only reads",
        )),
        80 => DirectoryError::Failed("result code 80 (other)".to_owned()),
        19 => DirectoryError::refused(&said("constraintViolation")),
        21 => DirectoryError::refused(&said("invalidAttributeSyntax")),
        65 => DirectoryError::refused(&said("objectClassViolation")),
        66 => DirectoryError::refused(&said("there are entries below it (notAllowedOnNonLeaf)")),
        71 => {
            DirectoryError::refused(&said("it would come to another server (affectsMultipleDSAs)"))
        }
        code => DirectoryError::refused(&said(&format!("result code {code}"))),
    }
}

/// Returns what an answer means to what everybody needs: the bind, and searching `ou=people` and
/// `ou=groups` at all.
fn failure_of_all(answer: &LdapResult) -> DirectoryError {
    match answer.rc {
        51 => DirectoryError::RateLimited { after: None, may_be_done: false },
        52 => DirectoryError::Unreachable("it says that it is unavailable".to_owned()),
        REFERRAL => DirectoryError::Unreachable(REFERS.to_owned()),
        34 => DirectoryError::Configuration(
            "the base or the bind-dn in the address of the directory isn't a DN".to_owned(),
        ),
        INSUFFICIENT_ACCESS => DirectoryError::Unauthorized(
            "the bind-dn may not do this (insufficientAccessRights)".to_owned(),
        ),
        _ => failure(answer),
    }
}

impl Drop for LdapConnection<'_> {
    fn drop(&mut self) {
        let mut idle = self.pool.idle();
        if self.is_sound && idle.len() < MAX_IDLE {
            idle.push(self.ldap.clone());
        }
    }
}

/// What a search found.
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

    /// Returns the first value of an attribute.
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

/// What a server says to a change of an entry that was seen a moment ago.
pub(super) trait LdapOutcome {
    /// Takes it for done, or for what became of the entry meanwhile.
    fn success_of_entry(&self) -> Result<(), DirectoryError>;
}

impl LdapOutcome for LdapResult {
    fn success_of_entry(&self) -> Result<(), DirectoryError> {
        match self.rc {
            SUCCESS => Ok(()),
            NO_SUCH_OBJECT | ASSERTION_FAILED | ENTRY_ALREADY_EXISTS => {
                Err(DirectoryError::Conflict)
            }
            _ => Err(failure(self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_entry_meets_is_its_own_until_others_meet_it_too() {
        let answer = |rc| LdapResult {
            rc,
            matched: String::new(),
            text: String::new(),
            refs: vec![],
            ctrls: vec![],
        };
        let of_entry = |rc| failure(&answer(rc));
        for rc in [3, 10, 11, 51, 52, 80] {
            assert!(matches!(of_entry(rc), DirectoryError::Failed(_)), "{rc}");
        }
        for rc in [19, 21, 34, 50, 53, 65, 66, 71] {
            assert!(matches!(of_entry(rc), DirectoryError::Refused(_)), "{rc}");
        }
        for rc in [7, 8, 12, 13, 48, 49] {
            assert!(of_entry(rc).is_about_directory(), "{rc}");
        }
        for rc in [10, 34, 50, 51, 52] {
            assert!(failure_of_all(&answer(rc)).is_about_directory(), "{rc}");
        }
    }

    #[test]
    fn what_is_about_the_directory_as_a_whole_has_none_of_the_servers_words() {
        for rc in 1..100 {
            let text = "no access to uid=alice.acme,ou=people".to_owned();
            let answer =
                LdapResult { rc, matched: String::new(), text, refs: vec![], ctrls: vec![] };
            let problem = failure(&answer);
            // It is logged, unlike a refusal of one entry.
            for problem in
                [problem, failure_of_all(&answer), answer.success_of_entry().unwrap_err()]
            {
                let is_logged =
                    problem.is_about_directory() || matches!(problem, DirectoryError::Failed(_));
                assert!(!is_logged || !problem.to_string().contains("alice"), "{problem}");
            }
        }
    }
}
