//! Where the text of a password comes from, for directories that take texts.

use futures::future::BoxFuture;

use crate::api::user::PasswordSecretRef;
use crate::domain::password::{PasswordCandidate, PasswordHash};

/// Where the password in force stands: in this version of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVersionRef {
    /// The Secret and its key.
    pub reference: PasswordSecretRef,
    /// What the store knows the version by.
    pub version: String,
}

/// The Secret can't be read now; the next try may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password can't be read now")]
pub struct SecretUnavailable;

/// Reads the texts of passwords from Secrets.
pub trait SecretSource: Send + Sync {
    /// Reads the text of a password, if a Secret in the namespace has the one that the hash was
    /// made of; `None` if none has it any more.
    fn text<'a>(
        &'a self,
        namespace: &'a str,
        secret: &'a SecretVersionRef,
        hash: &'a PasswordHash,
    ) -> BoxFuture<'a, Result<Option<PasswordCandidate>, SecretUnavailable>>;
}
