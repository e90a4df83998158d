//! The connections to a server, and how they are opened: TLS and the bind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ldap3::{LdapConnAsync, LdapConnSettings, LdapResult};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::super::{DirectoryError, DirectoryUrl};
use super::admission::{Admission, Permit};
use super::connection::{LdapConnection, TIMEOUT, answered};
use super::result_codes::{SUCCESS, failure_of_all, with_words};

/// The most connections that are kept while nothing uses them.
const MAX_IDLE: usize = 8;

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

    /// Returns a connection that is in no other use, opened unless one is idle. Revocations of
    /// logins go first.
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
            Some(ldap) => Ok(LdapConnection::new(ldap, self, permit)),
            None => self.connect(permit).await,
        }
    }

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

    pub(super) fn forget_idle(&self) {
        self.idle().clear();
    }

    /// Keeps a connection for the next user.
    pub(super) fn give_back(&self, ldap: &ldap3::Ldap) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(ldap.clone());
        }
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
        // A server that can't be connected to or accepts no bind fails for all accounts.
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
        let (driver, mut ldap) = connecting.map_err(|error| self.explained(error))?;
        tokio::spawn(async move {
            // A request without an answer fails by itself.
            let _ = driver.drive().await;
        });
        let binding = ldap.simple_bind(&self.bind_dn, &password);
        let answer = answered(&permit, binding).await.map_err(unreachable)?;
        if answer.rc != SUCCESS {
            return Err(self.refused_bind(&answer));
        }
        Ok(LdapConnection::new(ldap, self, permit))
    }

    /// Reads the password again, so that a new one is used from the next connection on.
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
        // A bind without a password succeeds, as anonymous (RFC 4513, section 5.1.2).
        if password.is_empty() {
            return Err(unreadable(&"it is empty"));
        }
        Ok(Zeroizing::new(password.to_owned()))
    }

    fn refused_bind(&self, answer: &LdapResult) -> DirectoryError {
        match failure_of_all(answer) {
            DirectoryError::Unauthorized(why) | DirectoryError::Refused(why) => {
                // It is about the bind-dn, and no other person.
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

    /// Adds to a certificate error what can be done.
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

/// Returns a TLS configuration that trusts only these authorities.
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
