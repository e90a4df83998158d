//! A SCIM server of the tests' own.
//!
//! All tests of a process share one, each with organizations of its own; tests that count what is
//! there start another. A guardian stops a server when the process is gone, however it went.

use std::sync::{Arc, OnceLock};

use crate::supervise::Guarded;

/// A running server; it ends when the last who knows of it lets go of it.
#[derive(Debug)]
pub struct ScimServer(Guarded);

impl ScimServer {
    /// Returns the server that all tests of this process share, started by whoever asks first.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Result<Arc<ScimServer>, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::guarded().map(Arc::new))
            .as_ref()
            .expect("a SCIM server starts")
            .clone()
    }

    /// Starts a server that nobody else uses.
    #[track_caller]
    pub fn start() -> Arc<Self> {
        Arc::new(Self::guarded().expect("a SCIM server starts"))
    }

    fn guarded() -> Result<Self, String> {
        Guarded::start("scim-server", &[]).map(Self)
    }

    /// Kills it with SIGKILL; what it had is gone.
    #[track_caller]
    pub fn kill(&self) {
        self.0.told("kill");
    }

    /// Starts it again on its port, with nothing in it.
    #[track_caller]
    pub fn resume(&self) {
        self.0.told("resume");
    }

    /// Returns its address, as roster is given it.
    pub fn address(&self) -> String {
        self.0.noted("url")
    }

    /// Returns the port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.0.noted("port").parse().expect("a port")
    }

    /// Returns the token that lets one in.
    pub fn token(&self) -> String {
        self.0.noted("token")
    }
}
