//! What `spec.adopt` asks for: an account that is there, or an account for a directory's entry that
//! is there.

use crate::domain::account::AccountId;

/// What stands before the id of a directory's entry.
pub const ENTRY: &str = "entry/";

/// What a `User` is to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// An account that the store has.
    Account(AccountId),
    /// An entry of a directory: the account that is created for it has the id that the entry knows
    /// it by.
    Entry(AccountId),
}

impl Adoption {
    /// Parses `spec.adopt`; nothing where it is neither form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = |text: &str| text.parse().ok().map(AccountId);
        match text.strip_prefix(ENTRY) {
            Some(entry) => id(entry).map(Self::Entry),
            None => id(text).map(Self::Account),
        }
    }

    /// Returns the id that the account has or is to have.
    #[must_use]
    pub fn id(self) -> AccountId {
        match self {
            Self::Account(id) | Self::Entry(id) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_asked_for_in_so_many_words() {
        let text = "0198a1b2-0000-7000-8000-000000000001";
        let id = AccountId(text.parse().unwrap());
        assert_eq!(Adoption::parse(text), Some(Adoption::Account(id)));
        assert_eq!(Adoption::parse(&format!("entry/{text}")), Some(Adoption::Entry(id)));
        for other in ["", "entry/", "alice", &format!("Entry/{text}"), &format!("entry/{text}x")] {
            assert_eq!(Adoption::parse(other), None, "{other}");
        }
    }
}
