//! What the store keeps for this client of an entry: the server's id of it, and what of it the
//! server doesn't take.

use serde::{Deserialize, Serialize};

use super::messages::is_fit_id;
use crate::domain::account::EntryHandle;

/// A server's id of an entry, and what became of its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScimHandle {
    pub(super) id: String,
    /// A digest of what the server has otherwise than it was sent, gives no rights, and isn't sent
    /// again and again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) unheeded: Option<String>,
}

impl ScimHandle {
    /// Reads what the store has: a plain id, or one with more to it.
    pub(super) fn read(handle: &EntryHandle) -> Option<Self> {
        let text = handle.0.as_str();
        let plain = || Self { id: text.to_owned(), unheeded: None };
        Some(serde_json::from_str(text).unwrap_or_else(|_| plain()))
            .filter(|handle: &Self| is_fit_id(&handle.id))
    }

    /// Returns the text that the store saves.
    pub(super) fn write(&self) -> EntryHandle {
        let is_plain = self.unheeded.is_none() && serde_json::from_str::<Self>(&self.id).is_err();
        EntryHandle(if is_plain {
            self.id.clone()
        } else {
            serde_json::to_string(self).unwrap_or_else(|_| self.id.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_the_plain_id_unless_there_is_more_to_it() {
        let handle = |id: &str, unheeded: Option<&str>| ScimHandle {
            id: id.to_owned(),
            unheeded: unheeded.map(str::to_owned),
        };
        assert_eq!(handle("7", None).write(), EntryHandle("7".to_owned()));
        for one in [
            handle("7", None),
            handle("{", None),
            handle("7", Some("ab")),
            handle(r#"{"id":"8"}"#, None),
        ] {
            assert_eq!(ScimHandle::read(&one.write()), Some(one));
        }
        assert_eq!(ScimHandle::read(&EntryHandle("..".to_owned())), None);
    }
}
