//! What roster makes of directories: real ones, and ones that don't behave.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stdout, reason = "how long things took is worth knowing")]

mod ldap;
mod scim;
