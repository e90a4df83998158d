//! Requests to a server, and answers as far as they are read.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH};
use reqwest::{Certificate, Client, Method, Response};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::reply::Reply;
use super::token::Token;
use crate::provisioning::{DirectoryError, DirectoryUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take, with the wait for others' before it.
const TIMEOUT: Duration = Duration::from_secs(25);

/// The most requests that are under way at once, as long as each is answered soon.
const AT_ONCE: usize = 16;

/// How many of them may make something new, and how many may be anything but what takes rights
/// away: room is left for that.
const MAKING_AT_ONCE: usize = 12;
const ORDINARY_AT_ONCE: usize = 14;

/// How long a request may keep its place. One that takes longer goes on, and another one goes in
/// its place: what a server never answers for some isn't to hold up anybody else. Where so many
/// take longer, the others wait less for theirs.
const KEEPS_PLACE: Duration = Duration::from_millis(1500);
const KEEPS_PLACE_AMONG_SLOW: Duration = Duration::from_millis(250);
const MANY_SLOW: usize = 8;

/// The most requests that are under way at once at all, and those of them that don't take rights
/// away.
const EVER_AT_ONCE: usize = 128;
const ORDINARY_EVER_AT_ONCE: usize = 112;

tokio::task_local! {
    /// Whether the current task revokes a login, and goes before all others.
    pub(super) static URGENT: bool;
    /// Whether the directory is only compared, and what there would be to write is left as it is.
    pub(super) static READ_ONLY: bool;
}

/// Returns whether nothing is written now.
pub(super) fn is_read_only() -> bool {
    READ_ONLY.try_with(|is_read_only| *is_read_only).unwrap_or(false)
}

/// Returns whether what is done now goes before everything else.
pub(super) fn is_urgent() -> bool {
    URGENT.try_with(|is_urgent| *is_urgent).unwrap_or(false)
}

/// The most bytes of an answer that are read.
const MAX_BYTES: usize = 4 << 20;

const SCIM_JSON: &str = "application/scim+json";

#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    base: Url,
    token: Token,
    gate: RequestGate,
}

#[derive(Debug)]
struct RequestGate {
    making: Semaphore,
    ordinary: Semaphore,
    at_once: Semaphore,
    ordinary_ever: Semaphore,
    ever: Semaphore,
    /// How many have given their place away.
    slow: AtomicUsize,
}

/// A request that has given its place away.
struct Slow<'a>(&'a AtomicUsize);

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The permits of a request: one among those with a short timeout, and one among all.
struct Turn<'a> {
    soon: Vec<SemaphorePermit<'a>>,
    _ever: Vec<SemaphorePermit<'a>>,
}

impl RequestGate {
    fn new() -> Self {
        Self {
            making: Semaphore::new(MAKING_AT_ONCE),
            ordinary: Semaphore::new(ORDINARY_AT_ONCE),
            at_once: Semaphore::new(AT_ONCE),
            ordinary_ever: Semaphore::new(ORDINARY_EVER_AT_ONCE),
            ever: Semaphore::new(EVER_AT_ONCE),
            slow: AtomicUsize::new(0),
        }
    }

    fn keeps_place(&self) -> Duration {
        if self.slow.load(Ordering::Relaxed) < MANY_SLOW {
            KEEPS_PLACE
        } else {
            KEEPS_PLACE_AMONG_SLOW
        }
    }

    fn slow(&self) -> Slow<'_> {
        self.slow.fetch_add(1, Ordering::Relaxed);
        Slow(&self.slow)
    }

    async fn turn(&self, is_making: bool) -> Option<Turn<'_>> {
        let (is_ordinary, mut soon, mut ever) = (!is_urgent(), vec![], vec![]);
        // Always in this order, to avoid a deadlock.
        if is_ordinary {
            ever.push(self.ordinary_ever.acquire().await.ok()?);
        }
        ever.push(self.ever.acquire().await.ok()?);
        for (semaphore, is_needed) in
            [(&self.making, is_making), (&self.ordinary, is_ordinary), (&self.at_once, true)]
        {
            if is_needed {
                soon.push(semaphore.acquire().await.ok()?);
            }
        }
        Some(Turn { soon, _ever: ever })
    }
}

/// What a server is asked. It can't be printed: a password may be in it.
pub(super) struct Request {
    pub(super) method: Method,
    /// From the base of the address, such as `/Users`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) version: Option<String>,
}

impl Request {
    /// Returns a question that changes nothing.
    pub(super) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: vec![],
            body: None,
            version: None,
        }
    }

    /// Whether it makes a resource, and nothing else. Several writes together may be anything.
    fn makes_something(&self) -> bool {
        self.method == Method::POST && self.path != "/Bulk"
    }
}

impl Transport {
    /// Makes a way to the server at an address, without going it.
    ///
    /// # Errors
    /// When the address can't be gone to: without TLS to another machine, or with a CA that can't
    /// be read.
    pub(super) fn new(
        address: &DirectoryUrl,
        token: Token,
        authority: Option<&Path>,
    ) -> Result<Self, DirectoryError> {
        let secure = address.scheme() == "scim+https";
        if !secure && !address.is_loopback() {
            let what = format!(
                "the address of the directory {} begins with scim+http://, which is for this machine alone",
                address.name()
            );
            return Err(DirectoryError::Configuration(format!("{what}; use scim+https://")));
        }
        let plain =
            address.url().as_str().trim_start_matches("scim+").trim_end_matches('/').to_owned();
        let base = Url::parse(&plain).map_err(|why| {
            DirectoryError::Configuration(format!("the address of a directory isn't a URL ({why})"))
        })?;
        // reqwest takes the process's provider; if one is set already, it is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(secure)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(10))
            .user_agent(concat!("roster/", env!("CARGO_PKG_VERSION")));
        builder = match (secure, authority) {
            (true, Some(file)) => builder.tls_certs_only(certificates(file)?),
            (true, None) => builder,
            // Without TLS there is nothing to look for in the system's certificates, which may be
            // missing.
            (false, _) => builder.tls_certs_only([]),
        };
        let client = builder.build().map_err(|why| {
            DirectoryError::Configuration(format!("TLS can't be set up: {}", innermost(&why)))
        })?;
        Ok(Self { client, base, token, gate: RequestGate::new() })
    }

    /// Asks and waits for the answer.
    pub(super) async fn send(&self, request: Request) -> Result<Reply, DirectoryError> {
        let asking = async {
            let mut turn =
                self.gate.turn(request.makes_something()).await.ok_or(DirectoryError::Timeout)?;
            let token = self.token.header().await?;
            let mut exchange = std::pin::pin!(self.exchange(request, token.clone()));
            let reply = match tokio::time::timeout(self.gate.keeps_place(), &mut exchange).await {
                Ok(reply) => reply?,
                Err(_) => {
                    turn.soon.clear();
                    let _slow = self.gate.slow();
                    exchange.await?
                }
            };
            let secret = token.to_str().unwrap_or_default().trim_start_matches("Bearer ");
            Ok(reply.without(secret))
        };
        tokio::time::timeout(TIMEOUT, asking).await.unwrap_or(Err(DirectoryError::Timeout))
    }

    async fn exchange(
        &self,
        request: Request,
        token: HeaderValue,
    ) -> Result<Reply, DirectoryError> {
        let Request { method, path, query, body, version } = request;
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut asked = self
            .client
            .request(method, url)
            .header(AUTHORIZATION, token)
            .header(ACCEPT, SCIM_JSON)
            .query(&query);
        if let Some(version) = version {
            asked = asked.header(IF_MATCH, version);
        }
        if let Some(body) = body {
            asked = asked.header(CONTENT_TYPE, SCIM_JSON).body(body.to_string());
        }
        let mut response = asked.send().await.map_err(|error| failure(&error))?;
        let body = read(&mut response).await?;
        Ok(Reply::new(response.status(), response.headers(), &body))
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, DirectoryError> {
    let mut body = vec![];
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(DirectoryError::Protocol(format!(
                "it is longer than {} MiB",
                MAX_BYTES >> 20
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, DirectoryError> {
    let unusable = |why: String| {
        DirectoryError::Configuration(format!(
            "the CA of a directory can't be read from {}: {why}",
            file.display()
        ))
    };
    let pem = std::fs::read(file).map_err(|why| unusable(why.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|why| unusable(innermost(&why)))?;
    if certificates.is_empty() {
        Err(unusable("it has no certificate in PEM".to_owned()))
    } else {
        Ok(certificates)
    }
}

/// Returns why there is no answer, without the address, which may have more in it than others
/// should read.
fn failure(error: &reqwest::Error) -> DirectoryError {
    if error.is_connect() {
        let why =
            if error.is_timeout() { "no connection in time".to_owned() } else { innermost(error) };
        return DirectoryError::Unreachable(super::super::truncate(&why));
    }
    if error.is_timeout() {
        return DirectoryError::Timeout;
    }
    // A server may do so over one entry.
    DirectoryError::Failed(super::super::truncate(&format!(
        "the connection broke ({})",
        innermost(error)
    )))
}

/// Returns the cause of all: what is around it repeats addresses.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = match error.source() {
        Some(cause) => cause,
        None if error.is_builder() => return "it can't be built".to_owned(),
        None => return "for no reason that is known".to_owned(),
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
