//! Connections to a server that speaks LDAP, and what its answers mean.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use ldap3::controls::{Assertion, MakeCritical, RawControl};
use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, SearchEntry, SearchOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use super::super::{Address, DirectoryError, in_short};
use super::lacks;
use super::mapping::STATE;

/// The most connections to one server.
const MOST_CONNECTIONS: usize = 8;

/// How long the server may take for one operation.
const PATIENCE: Duration = Duration::from_secs(10);

const REFERS: &str = "it refers to another server, which roster doesn't follow: give that one's address";

// The result codes of RFC 4511, section 4.1.9, and RFC 4528 that somebody does something about.
pub(super) const SUCCESS: u32 = 0;
pub(super) const INSUFFICIENT_ACCESS: u32 = 50;
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
    permits: Semaphore,
    idle: Mutex<Vec<ldap3::Ldap>>,
}

impl Pool {
    pub(super) fn open(mut address: Address) -> Result<Self, DirectoryError> {
        let name = address.name().to_owned();
        let error = |what: &str| DirectoryError::Address(format!("the address of the directory {name} {what}"));
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
        let (permits, idle) = (Semaphore::new(MOST_CONNECTIONS), Mutex::default());
        Ok(Self { url, host, bind_dn, password_file, ca_file, permits, idle })
    }

    /// Returns a connection that nobody else uses, made unless one is at hand.
    pub(super) async fn connection(&self) -> Result<Connection<'_>, DirectoryError> {
        let permit = self.permit().await?;
        let at_hand = loop {
            let mut at_hand = self.idle().pop();
            if !at_hand.as_mut().is_some_and(ldap3::Ldap::is_closed) {
                break at_hand;
            }
        };
        match at_hand {
            Some(ldap) => Ok(Connection { ldap, is_used: true, is_sound: true, pool: self, _permit: permit }),
            None => self.connect(permit).await,
        }
    }

    /// Returns a connection that is made now.
    pub(super) async fn new_connection(&self) -> Result<Connection<'_>, DirectoryError> {
        let permit = self.permit().await?;
        self.connect(permit).await
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        self.permits.acquire().await.map_err(|_| DirectoryError::Unreachable("it was closed".to_owned()))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<ldap3::Ldap>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect<'a>(&'a self, permit: SemaphorePermit<'a>) -> Result<Connection<'a>, DirectoryError> {
        let mut settings = LdapConnSettings::new();
        if let Some(file) = &self.ca_file {
            settings = settings.set_config(Arc::new(trust(file).await?));
        }
        let password = self.password().await?;
        let connecting = answered(LdapConnAsync::with_settings(settings, &self.url)).await;
        let (driver, ldap) = connecting.map_err(|error| self.explained(error))?;
        tokio::spawn(async move {
            // Whoever waits for an answer notices by themselves.
            let _ = driver.drive().await;
        });
        let mut connection = Connection { ldap, is_used: false, is_sound: false, pool: self, _permit: permit };
        let answer = answered(connection.ldap.simple_bind(&self.bind_dn, &password)).await?;
        if answer.rc != SUCCESS {
            return Err(self.refused_bind(&answer));
        }
        connection.is_sound = true;
        Ok(connection)
    }

    /// Reads the password anew, so that another one is in force with the next connection.
    async fn password(&self) -> Result<Zeroizing<String>, DirectoryError> {
        let file = self.password_file.display();
        let unreadable = |why: &dyn std::fmt::Display| DirectoryError::Unauthorized(format!("its password-file {file}: {why}"));
        let text = tokio::fs::read(&self.password_file).await.map(Zeroizing::new).map_err(|error| unreadable(&error))?;
        let text = std::str::from_utf8(&text).map_err(|_| unreadable(&"it isn't UTF-8"))?;
        let password = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        // A bind without a password succeeds, as nobody (RFC 4513, section 5.1.2).
        if password.is_empty() {
            return Err(unreadable(&"it is empty"));
        }
        Ok(Zeroizing::new(password.to_owned()))
    }

    fn refused_bind(&self, answer: &LdapResult) -> DirectoryError {
        match failure(answer) {
            DirectoryError::Unauthorized(why) | DirectoryError::Refused(why) => {
                // It is about the bind-dn, and nobody else.
                let why = if answer.text.is_empty() || why.ends_with(&answer.text) { why } else { with_words(&why, answer) };
                let (dn, file) = (&self.bind_dn, self.password_file.display());
                DirectoryError::Unauthorized(format!("the bind as {dn} with the password in {file} failed: {why}"))
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
    let error = |why: &dyn std::fmt::Display| DirectoryError::Unreachable(format!("its ca-file {}: {why}", file.display()));
    let text = tokio::fs::read(file).await.map_err(|why| error(&why))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        authorities.add(certificate.map_err(|why| error(&why))?).map_err(|why| error(&why))?;
    }
    if authorities.is_empty() {
        return Err(error(&"it has no certificate in PEM"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|why| error(&why))?.with_root_certificates(authorities).with_no_client_auth())
}

/// A connection that one entry is brought over; it goes back once it isn't needed, unless something is amiss with it.
pub(super) struct Connection<'a> {
    ldap: ldap3::Ldap,
    is_used: bool,
    /// Nothing is on its way that nobody waits for.
    is_sound: bool,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Connection<'_> {
    /// Whether it was of use before, and failed now.
    pub(super) fn is_worn(&self) -> bool {
        self.is_used && !self.is_sound
    }

    /// Searches, and takes no more entries than this.
    pub(super) async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
        most: usize,
    ) -> Result<Results, DirectoryError> {
        self.is_sound = false;
        let at_most = SearchOptions::new().sizelimit(i32::try_from(most).unwrap_or(i32::MAX));
        let searching = self.ldap.with_search_options(at_most);
        let is_base = matches!(scope, Scope::Base);
        let (entries, answer) = answered(async {
            let mut stream = searching.streaming_search(base, scope, filter, attributes).await?;
            let mut entries = vec![];
            while let Some(item) = stream.next().await? {
                if item.is_ref() {
                    return Ok((entries, Err(DirectoryError::Unreachable(REFERS.to_owned()))));
                }
                if entries.len() == most {
                    return Ok((entries, Err(DirectoryError::Nonsense("it found more than it was asked for".to_owned()))));
                }
                if !item.is_intermediate() {
                    entries.push(Found::new(SearchEntry::construct(item)));
                }
            }
            Ok((entries, Ok(stream.finish().await)))
        })
        .await?;
        let answer = answer?;
        self.is_sound = true;
        match answer.rc {
            SUCCESS | SIZE_LIMIT_EXCEEDED => Ok(Results { entries, has_more: answer.rc == SIZE_LIMIT_EXCEEDED }),
            NO_SUCH_OBJECT if is_base => Ok(Results { entries: vec![], has_more: false }),
            NO_SUCH_OBJECT => Err(lacks(base)),
            _ => Err(failure(&answer)),
        }
    }

    /// Adds an entry.
    pub(super) async fn add(&mut self, dn: &str, attributes: &[(&str, Vec<String>)]) -> Result<LdapResult, DirectoryError> {
        self.is_sound = false;
        let values = |values: &'_ [String]| values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let attributes = attributes.iter().map(|(name, all)| (name.as_bytes().to_vec(), values(all))).collect();
        let answer = answered(self.ldap.add(dn, attributes)).await?;
        self.is_sound = true;
        Ok(answer)
    }

    /// Changes an entry in one operation, where it meets the filter.
    pub(super) async fn modify(
        &mut self,
        dn: &str,
        changes: Vec<Mod<&str>>,
        only_if: Option<&str>,
    ) -> Result<LdapResult, DirectoryError> {
        self.is_sound = false;
        let controls = only_if.map(assertion).into_iter().collect::<Vec<_>>();
        let answer = answered(self.ldap.with_controls(controls).modify(dn, changes)).await?;
        self.is_sound = true;
        Ok(answer)
    }

    /// Renames an entry, and puts it under another. The value that it was named by stays among its values, since the entry
    /// may need one.
    pub(super) async fn rename(&mut self, dn: &str, name: &str, under: &str) -> Result<LdapResult, DirectoryError> {
        self.is_sound = false;
        let answer = answered(self.ldap.modifydn(dn, name, false, Some(under))).await?;
        self.is_sound = true;
        Ok(answer)
    }

    /// Removes an entry, where it meets the filter.
    pub(super) async fn delete(&mut self, dn: &str, only_if: &str) -> Result<LdapResult, DirectoryError> {
        self.is_sound = false;
        let answer = answered(self.ldap.with_controls(assertion(only_if)).delete(dn)).await?;
        self.is_sound = true;
        Ok(answer)
    }
}

fn assertion(filter: &str) -> RawControl {
    Assertion { filter }.critical().into()
}

/// Waits for an answer as long as one may take. The library panics over what isn't LDAP, which is no reason to end.
async fn answered<T>(operation: impl Future<Output = ldap3::result::Result<T>>) -> Result<T, DirectoryError> {
    match tokio::time::timeout(PATIENCE, AssertUnwindSafe(operation).catch_unwind()).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(error))) => Err(lost(&error)),
        Ok(Err(_)) => Err(DirectoryError::Nonsense("it isn't LDAP".to_owned())),
        Err(_) => Err(DirectoryError::Unreachable(format!("it didn't answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Returns what an operation without an answer means.
fn lost(error: &LdapError) -> DirectoryError {
    DirectoryError::Unreachable(match error {
        LdapError::Io { source } => source.to_string(),
        LdapError::OpSend { .. } | LdapError::ResultRecv { .. } | LdapError::IdScrubSend { .. } | LdapError::EndOfStream => {
            "the connection was lost".to_owned()
        }
        other => other.to_string(),
    })
}

/// Returns what an answer means, with the server's own words.
fn with_words(what: &str, answer: &LdapResult) -> String {
    if answer.text.is_empty() { what.to_owned() } else { in_short(&format!("{what}: {}", answer.text)) }
}

/// Returns what an answer means that isn't a success (RFC 4511, appendix A.2).
///
/// What is about the directory as a whole is logged, so it has none of the server's own words: they may name a person.
/// A server may be unwilling (53) because it only reads, or because of one entry: it counts as about the entry, as a wrong
/// guess then costs further tries, and the other way round everybody would wait for one.
pub(super) fn failure(answer: &LdapResult) -> DirectoryError {
    let said = |what: &str| with_words(what, answer);
    match answer.rc {
        1 | 2 => DirectoryError::Nonsense(said("it doesn't understand what roster asked")),
        3 | 51 => DirectoryError::Busy { after: None },
        7 => DirectoryError::Unauthorized("it takes no simple bind (authMethodNotSupported)".to_owned()),
        8 => DirectoryError::Unauthorized("it asks for a stronger bind (strongerAuthRequired)".to_owned()),
        10 => DirectoryError::Unreachable(REFERS.to_owned()),
        12 => DirectoryError::Unreachable("it lacks the assertion control (RFC 4528), which roster needs".to_owned()),
        13 => DirectoryError::Unauthorized("it asks for TLS (confidentialityRequired)".to_owned()),
        34 => DirectoryError::Address("the base or the bind-dn in the address of the directory isn't a DN".to_owned()),
        48 => DirectoryError::Unauthorized("it takes no such bind (inappropriateAuthentication)".to_owned()),
        49 => DirectoryError::Unauthorized("the DN or the password is wrong (invalidCredentials)".to_owned()),
        INSUFFICIENT_ACCESS => DirectoryError::Unauthorized("the bind-dn may not do this (insufficientAccessRights)".to_owned()),
        52 => DirectoryError::Unreachable("it says that it is unavailable".to_owned()),
        53 => DirectoryError::refused(&said("it is unwilling to (unwillingToPerform); maybe it only reads")),
        19 => DirectoryError::refused(&said("constraintViolation")),
        21 => DirectoryError::refused(&said("invalidAttributeSyntax")),
        65 => DirectoryError::refused(&said("objectClassViolation")),
        66 => DirectoryError::refused(&said("there are entries below it (notAllowedOnNonLeaf)")),
        code => DirectoryError::refused(&said(&format!("result code {code}"))),
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if self.is_sound {
            self.pool.idle().push(self.ldap.clone());
        }
    }
}

/// What a search found.
pub(super) struct Results {
    pub(super) entries: Vec<Found>,
    /// The server has more than the search asked for.
    pub(super) has_more: bool,
}

/// What a server has under a DN.
pub(super) struct Found {
    pub(super) dn: String,
    attributes: HashMap<String, Vec<String>>,
    unreadable: HashSet<String>,
}

impl Found {
    fn new(entry: SearchEntry) -> Self {
        let SearchEntry { dn, attrs, bin_attrs, .. } = entry;
        let attributes = attrs.into_iter().map(|(name, values)| (name.to_lowercase(), values)).collect();
        Self { dn, attributes, unreadable: bin_attrs.into_keys().map(|name| name.to_lowercase()).collect() }
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
        self.values(attribute).iter().any(|one| one.trim().to_lowercase() == value.trim().to_lowercase())
    }

    /// Whether an attribute has this value alone, to the letter, or none.
    pub(super) fn is(&self, attribute: &str, wanted: Option<&str>) -> bool {
        let is_readable = !self.unreadable.contains(&attribute.to_lowercase());
        is_readable && self.values(attribute).iter().map(String::as_str).eq(wanted)
    }

    /// Returns what changes with each change of the entry, where the server shows it.
    pub(super) fn state(&self) -> Option<&str> {
        self.first(STATE)
    }
}

/// What a server says to a change of an entry that was seen a moment ago.
pub(super) trait Outcome {
    /// Takes it for done, or for what became of the entry meanwhile.
    fn success_of_entry(&self) -> Result<(), DirectoryError>;
}

impl Outcome for LdapResult {
    fn success_of_entry(&self) -> Result<(), DirectoryError> {
        match self.rc {
            SUCCESS => Ok(()),
            NO_SUCH_OBJECT | ASSERTION_FAILED | ENTRY_ALREADY_EXISTS => Err(DirectoryError::Conflict),
            // An entry may have rules of its own.
            INSUFFICIENT_ACCESS => Err(match failure(self) {
                DirectoryError::Unauthorized(why) => DirectoryError::Refused(with_words(&why, self)),
                other => other,
            }),
            _ => Err(failure(self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_directory_as_a_whole_has_none_of_the_servers_words() {
        for rc in 1..100 {
            let text = "no access to uid=alice.acme,ou=people".to_owned();
            let answer = LdapResult { rc, matched: String::new(), text, refs: vec![], ctrls: vec![] };
            let problem = failure(&answer);
            // It is logged, unlike a refusal of one entry.
            assert!(!problem.is_about_directory() || !problem.to_string().contains("alice"), "{problem}");
            let of_entry = answer.success_of_entry().unwrap_err();
            assert!(!of_entry.is_about_directory() || !of_entry.to_string().contains("alice"), "{of_entry}");
        }
    }
}
