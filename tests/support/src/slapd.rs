//! An OpenLDAP server of a test's own. A guardian stops it when the process is gone, however it
//! went.

use std::path::Path;

use crate::supervise::Guarded;

/// What every server has under its base at the start: `ou=people`, `ou=groups` and the
/// administrator.
pub const BASE: &str = "dc=acme,dc=example";

/// A running server; it ends when it is let go of.
#[derive(Debug)]
pub struct Server(Guarded);

impl Server {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        Self::guarded(false).expect("slapd starts")
    }

    /// Starts a server that speaks TLS alone, with a certificate of its own authority, made out to
    /// localhost.
    #[track_caller]
    pub fn start_with_tls() -> Self {
        Self::guarded(true).expect("slapd starts")
    }

    fn guarded(tls: bool) -> Result<Self, String> {
        Guarded::start("slapd", &[("ROSTER_SLAPD_TLS", if tls { "1" } else { "0" })]).map(Self)
    }

    /// Kills it with SIGKILL, where it stands.
    #[track_caller]
    pub fn kill(&self) {
        self.0.told("kill");
    }

    /// Starts it again where it was, after it was killed.
    #[track_caller]
    pub fn resume(&self) {
        self.0.told("resume");
    }

    /// Returns the address by which roster knows it as a directory.
    pub fn url(&self) -> String {
        self.0.noted("url")
    }

    /// Returns that address with another port.
    pub fn url_at(&self, port: u16) -> String {
        self.url().replacen(&format!(":{}/", self.port()), &format!(":{port}/"), 1)
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.0.noted("port").parse().expect("a port")
    }

    /// Returns the administrator's password.
    pub fn password(&self) -> String {
        self.0.noted("password")
    }

    /// Returns the folder with what belongs to it.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }
}
