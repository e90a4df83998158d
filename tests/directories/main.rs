//! What directories get, on real servers.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "how long things took is worth knowing")]

mod ldap;
