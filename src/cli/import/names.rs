//! Names that Kubernetes and roster take, made of names that they may not take.

use std::collections::BTreeSet;

use crate::cli::copy::resource_name;
use crate::domain::text::{NotLatin, to_ascii_letters};

/// How long a name may be, in characters, so that a number fits behind it.
const MAX_LENGTH: usize = 240;

/// Names, none of which is given twice.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: BTreeSet<String>,
}

impl Names {
    /// Returns names of which these are given already.
    pub(super) fn without(given: impl IntoIterator<Item = String>) -> Self {
        Self { given: given.into_iter().collect() }
    }

    /// Gives a name, or the first of `name-2`, `name-3` and so on that is free.
    pub(super) fn give(&mut self, name: &str) -> String {
        let others = (2..).map(|number: u64| format!("{name}-{number}"));
        let free =
            std::iter::once(name.to_owned()).chain(others).find(|name| !self.given.contains(name));
        let free = free.unwrap_or_else(|| name.to_owned());
        self.given.insert(free.clone());
        free
    }
}

/// Why no name can be made of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// A letter that would vanish; the name without it would be another person's.
    #[error("{0}, so no username is made of it")]
    Letter(#[from] NotLatin),
    /// It has neither a letter nor a digit.
    #[error("nothing of it can stay in a username")]
    Nothing,
}

/// Returns a name that Kubernetes takes (RFC 1123, a subdomain), as near to the text as can be. A
/// username is made of the same.
///
/// # Errors
/// Where nothing of the text could stay, or one of its letters would vanish.
pub(super) fn valid_name(text: &str) -> Result<String, NameError> {
    let text = to_ascii_letters(text)?;
    let word = |part: &str| {
        let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        part.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
    };
    let parts: Vec<String> = text.split('.').map(word).filter(|part| !part.is_empty()).collect();
    let name: String = parts.join(".").chars().take(MAX_LENGTH).collect();
    let name = name.trim_end_matches(['.', '-']).to_owned();
    resource_name(&name).map_err(|_| NameError::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_what_may_stay_of_it() {
        for (text, name) in [
            ("alice", "alice"),
            ("g.miller", "g.miller"),
            ("Alice Smith", "alice-smith"),
            ("a..b", "a.b"),
            ("-a-.-b-", "a.b"),
            ("a_b", "a-b"),
            ("älice", "alice"),
            ("Óscar", "oscar"),
            ("Ömer.Çelik", "omer.celik"),
            ("Łukasz", "lukasz"),
            ("Straße", "strasse"),
            ("Alice 🙂", "alice"),
        ] {
            assert_eq!(valid_name(text).as_deref(), Ok(name), "{text}");
        }
        for (text, letter) in [("日本", '日'), ("Иван", 'и'), ("alice.Дмитрий", 'д')]
        {
            assert_eq!(valid_name(text), Err(NameError::Letter(NotLatin(letter))), "{text}");
        }
        for nothing in ["", "🙂", "--", "\u{200b}"] {
            assert_eq!(valid_name(nothing), Err(NameError::Nothing), "{nothing:?}");
        }
        assert_eq!(valid_name(&"a".repeat(300)).unwrap().len(), MAX_LENGTH);
    }

    #[test]
    fn a_later_one_gets_a_number() {
        let mut names = Names::without(["bob".to_owned()]);
        assert_eq!(
            ["alice", "bob", "bob", "alice", "bob-2"].map(|name| names.give(name)),
            ["alice", "bob-2", "bob-3", "alice-2", "bob-2-2"]
        );
    }
}
