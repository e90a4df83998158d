//! Permissions: words joined by colons, and the sets of them that people hold.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

/// Full control, which only a group's `fullControl` gives.
pub const FULL_CONTROL: &str = "*";

/// A permission such as `orders:read`, or full control (`*`) where a group gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(String);

impl Permission {
    /// Parses a permission that somebody listed; `*` can't be listed.
    ///
    /// # Errors
    /// When the text doesn't match `^[a-z0-9-]+(:[a-z0-9-]+)*$` or is longer than 125 characters.
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        let word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.len() <= 125 && text.split(':').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PermissionError)
        }
    }

    /// Returns full control.
    #[must_use]
    pub fn full_control() -> Self {
        Self(FULL_CONTROL.to_owned())
    }

    /// Returns the permission's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text isn't a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a permission is lower-case words joined by colons, such as orders:read")]
pub struct PermissionError;

/// A set of permissions, in alphabetical order.
pub type Permissions = BTreeSet<Permission>;

/// Returns the permissions among the texts; what is none is left out.
///
/// The schema refuses it in the first place, and what can't be read must never grant.
#[must_use]
pub fn parse_all(texts: &[String]) -> Permissions {
    texts.iter().filter_map(|text| Permission::parse(text).ok()).collect()
}

/// Returns the SHA-256 of the permissions, one per line, in hexadecimal.
#[must_use]
pub fn digest(permissions: &Permissions) -> String {
    let mut hasher = Sha256::new();
    for permission in permissions {
        hasher.update(permission.as_str());
        hasher.update(b"\n");
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_words_joined_by_colons_are_permissions() {
        for good in ["a", "orders:read", "a-b:0:c"] {
            assert!(Permission::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "*", ":", "a:", ":a", "a::b", "A", "a b", "a\n", "ä", &"a".repeat(126)] {
            assert_eq!(Permission::parse(bad), Err(PermissionError), "{bad:?}");
        }
    }

    #[test]
    fn the_digest_tells_sets_apart_and_not_orders() {
        let set = |texts: &[&str]| {
            parse_all(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(digest(&set(&["a", "b"])), digest(&set(&["b", "a"])));
        assert_ne!(digest(&set(&["a", "b"])), digest(&set(&["ab"])));
    }
}
