//! By what an entry is known that isn't found by the account's number any more.

use serde::{Deserialize, Serialize};

use crate::domain::account::EntryHandle;

/// What the store keeps of an entry, as the text of an [`EntryHandle`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LdapHandle {
    pub(super) dn: String,
    /// Its entryUUID (RFC 4530), which stays wherever the entry is moved to; absent where the
    /// server doesn't show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uuid: Option<String>,
    /// The `cn` of the group of its organization that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
}

impl LdapHandle {
    /// Reads what the store has; nothing where it isn't what this module wrote.
    pub(super) fn read(handle: Option<&EntryHandle>) -> Option<Self> {
        serde_json::from_str(&handle?.0).ok()
    }

    pub(super) fn to_stored(&self) -> Option<EntryHandle> {
        serde_json::to_string(self).ok().map(EntryHandle)
    }

    /// Whether an entry with this entryUUID is another one; false where that is unknown.
    pub(super) fn is_of_another(&self, uuid: Option<&str>) -> bool {
        matches!((&self.uuid, uuid), (Some(own), Some(uuid)) if !own.eq_ignore_ascii_case(uuid))
    }

    /// Whether an entry with this entryUUID is the one that it is of, for certain.
    pub(super) fn is_of(&self, uuid: Option<&str>) -> bool {
        matches!((&self.uuid, uuid), (Some(own), Some(uuid)) if own.eq_ignore_ascii_case(uuid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_as_it_was_written_and_another_text_is_none() {
        let (dn, uuid) = ("uid=\"a\\,b\",ou=people".to_owned(), Some("1044d3ba".to_owned()));
        for handle in [
            LdapHandle { dn: dn.clone(), uuid, group: Some("acme.users".to_owned()) },
            LdapHandle { dn, uuid: None, group: None },
        ] {
            assert_eq!(LdapHandle::read(handle.to_stored().as_ref()), Some(handle));
        }
        for other in ["", "uid=alice", "{}", "[1]"] {
            assert_eq!(LdapHandle::read(Some(&EntryHandle(other.to_owned()))), None, "{other}");
        }
    }
}
