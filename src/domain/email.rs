//! Email addresses and their domains, in the one form in which they are stored and compared.

use std::fmt;

use super::text::{CodePoint, is_unseen};

/// An email address in the form the login uses: lower case, its domain in IDNA A-labels.
///
/// Two addresses are the same if and only if their `Email`s are equal. The local part is ASCII
/// and unquoted (RFC 5321, section 4.1.2, `Dot-string`), at most 64 characters, the whole at most
/// 254.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email {
    address: String,
    at: usize,
}

/// Why a text isn't an email address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// There is no `@`.
    #[error("there is no @ in it; an address such as alice@acme.example is needed")]
    NoAt,
    /// It would be an address without something that stands around it or in it.
    #[error("{what} isn't part of an address: write {instead}")]
    Surplus {
        /// What is too much.
        what: Surplus,
        /// The address without it.
        instead: String,
    },
    /// The part before it isn't an ASCII dot-string.
    #[error("the part before the @ must be ASCII, without quotes, of at most 64 characters")]
    LocalPart,
    /// The part after the `@` isn't a domain.
    #[error(transparent)]
    Domain(DomainError),
    /// The address is longer than 254 characters in its ASCII form.
    #[error("the address is longer than 254 characters")]
    TooLong,
}

/// What stands around an address or a domain, or in it, and is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// A `*.` before a domain, for its subdomains.
    Star,
    /// A `.` before a domain.
    FirstDot,
    /// A `.` after it, as the DNS writes the root.
    LastDot,
    /// An `@`, with what stands before it.
    At,
    /// What a link has beside it: `https://`, `mailto:`, a path.
    Link,
    /// A name, and the brackets around an address.
    Name,
    /// A blank, or another character that nobody sees.
    Unseen(char),
}

impl fmt::Display for Surplus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Star => f.write_str("the star at the beginning"),
            Self::FirstDot => f.write_str("the dot at the beginning"),
            Self::LastDot => f.write_str("the dot at the end"),
            Self::At => f.write_str("the @"),
            Self::Link => {
                f.write_str("what a link has around it (such as https://, mailto: or a slash)")
            }
            Self::Name => f.write_str("what stands around the < and >"),
            Self::Unseen(' ') => f.write_str("the space in it"),
            Self::Unseen(character) => {
                write!(f, "a character in it that nobody sees ({})", CodePoint(*character))
            }
        }
    }
}

impl Surplus {
    /// Returns a text without the first thing that is too much, and what that is.
    fn taken_off(text: &str) -> Option<(Self, String)> {
        if let Some(character) =
            text.chars().find(|character| is_unseen(*character) && *character != '\0')
        {
            return Some((
                Self::Unseen(character),
                text.chars().filter(|character| !is_unseen(*character)).collect(),
            ));
        }
        if let Some((_, inner)) = text.rsplit_once('<').filter(|_| text.ends_with('>')) {
            return Some((Self::Name, inner.trim_end_matches('>').to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let scheme = ["mailto:", "https://", "http://", "//"]
            .into_iter()
            .find(|scheme| lower.starts_with(*scheme));
        if let Some(scheme) = scheme {
            return Some((Self::Link, text[scheme.len()..].to_owned()));
        }
        if let Some(end) = text.find(['/', '?', '#']).filter(|end| *end > 0) {
            return Some((Self::Link, text[..end].to_owned()));
        }
        text.strip_suffix('.').map(|rest| (Self::LastDot, rest.to_owned()))
    }

    /// Returns the first thing that is too much around what parses without it, and the text without
    /// all of it.
    fn around<T>(
        text: &str,
        more: &dyn Fn(&str) -> Option<(Self, String)>,
        parse: &dyn Fn(&str) -> Option<T>,
    ) -> Option<(Self, String)> {
        let (mut first, mut rest) = (None, text.to_owned());
        while let Some((what, without)) = Self::taken_off(&rest).or_else(|| more(&rest)) {
            first = first.or(Some(what));
            rest = without;
            if parse(&rest).is_some() {
                return first.map(|what| (what, rest));
            }
        }
        None
    }
}

impl Email {
    /// Parses an address as a person writes it.
    ///
    /// # Errors
    /// When it isn't an address that can be stored and compared.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        Self::exact(text).map_err(|error| {
            let more = |rest: &str| {
                rest.strip_prefix('.').map(|rest| (Surplus::FirstDot, rest.to_owned()))
            };
            let surplus = Surplus::around(text, &more, &|rest| Self::exact(rest).ok());
            surplus.map_or(error, |(what, instead)| EmailError::Surplus { what, instead })
        })
    }

    fn exact(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::NoAt)?;
        if !local.is_ascii() || local.starts_with('"') {
            return Err(EmailError::LocalPart);
        }
        let domain = Domain::exact(domain).map_err(EmailError::Domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > 254 {
            return Err(EmailError::TooLong);
        }
        // The crate judges the local part; the domain was judged above, more strictly.
        email_address::EmailAddress::parse_with_options(
            &address,
            email_address::Options::default().without_display_text(),
        )
        .map_err(|_| EmailError::LocalPart)?;
        Ok(Self { at: local.len(), address })
    }

    /// Takes an address that is already in this form, as the store keeps it.
    #[must_use]
    pub fn from_stored(address: String) -> Self {
        let at = address.rfind('@').unwrap_or(address.len());
        Self { address, at }
    }

    /// Returns the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// Returns the domain in A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        let end = self.copy_suffix().unwrap_or(self.address.len());
        self.address.get(self.at + 1..end).unwrap_or_default()
    }

    /// Returns the placeholder that the copy of a user with this address has, such as
    /// `alice@acme.example (Copy 1)`; of a placeholder, the same with another number.
    #[must_use]
    pub fn placeholder(&self, number: u32) -> Self {
        let base = &self.address[..self.copy_suffix().unwrap_or(self.address.len())];
        Self { address: format!("{base}{COPY}{number})"), at: self.at }
    }

    /// Returns the number in `(Copy X)` of a placeholder, which nobody can log in with.
    #[must_use]
    pub fn copy_number(&self) -> Option<u32> {
        self.address[self.copy_suffix()?..].strip_prefix(COPY)?.strip_suffix(')')?.parse().ok()
    }

    /// An address has no spaces, so what follows one is the suffix of a placeholder.
    fn copy_suffix(&self) -> Option<usize> {
        self.address.find(' ')
    }
}

/// What stands between the address of a copied user and the number of the copy.
const COPY: &str = " (Copy ";

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// A domain in lower case and IDNA A-labels (RFC 5890), such as `xn--bcher-kva.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

/// Why a text isn't a domain that addresses can be in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It would be a domain with its subdomains, which a field of its own says.
    #[error(
        "the star at the beginning isn't part of a domain: write {instead}, and includeSubdomains: true beside it"
    )]
    Star {
        /// The domain without it.
        instead: String,
    },
    /// It would be a domain without something that stands around it or in it.
    #[error("{what} isn't part of a domain: write {instead}")]
    Surplus {
        /// What is too much.
        what: Surplus,
        /// The domain without it.
        instead: String,
    },
    /// It isn't a domain name by IDNA (UTS 46, non-transitional, with DNS lengths and STD3 rules).
    #[error("the domain isn't a domain name such as acme.example")]
    Malformed,
    /// It is a single label, such as `localhost`.
    #[error("the domain has only one label; one such as acme.example is needed")]
    SingleLabel,
    /// It is an IP address.
    #[error("the domain is an IP address; a name such as acme.example is needed")]
    IpAddress,
}

impl Domain {
    /// Parses a domain as a person writes it, in Unicode or ASCII and in any case.
    ///
    /// # Errors
    /// When it isn't a domain name of at least two labels.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        Self::exact(text).map_err(|error| {
            let more = |rest: &str| {
                let star = rest.strip_prefix("*.").map(|rest| (Surplus::Star, rest.to_owned()));
                let dot =
                    || rest.strip_prefix('.').map(|rest| (Surplus::FirstDot, rest.to_owned()));
                star.or_else(dot).or_else(|| {
                    rest.rsplit_once('@').map(|(_, rest)| (Surplus::At, rest.to_owned()))
                })
            };
            match Surplus::around(text, &more, &|rest| Self::exact(rest).ok()) {
                Some((Surplus::Star, instead)) => DomainError::Star { instead },
                Some((what, instead)) => DomainError::Surplus { what, instead },
                None => error,
            }
        })
    }

    fn exact(text: &str) -> Result<Self, DomainError> {
        if text.starts_with('[') || text.parse::<std::net::IpAddr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError::Malformed)?;
        // A last label that is a number makes an IPv4 address of it (WHATWG URL, "ends in a
        // number").
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) && !last.is_empty() || last.starts_with("0x") {
            return Err(DomainError::IpAddress);
        }
        if ascii.ends_with('.') || ascii.is_empty() {
            return Err(DomainError::Malformed);
        }
        if !ascii.contains('.') {
            return Err(DomainError::SingleLabel);
        }
        Ok(Self(ascii))
    }

    /// Takes a domain that is already in this form, as the store keeps it.
    #[must_use]
    pub fn from_stored(ascii: String) -> Self {
        Self(ascii)
    }

    /// Whether whole unrelated organizations register names below it, such as `co.uk`
    /// (the public suffix list).
    #[must_use]
    pub fn is_public_suffix(&self) -> bool {
        psl::suffix(self.0.as_bytes())
            .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == self.0.as_bytes())
    }

    /// Returns the domain in A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address in `candidate` is in this domain or, if `subdomains` count, below it.
    #[must_use]
    pub fn covers(&self, candidate: &str, subdomains: bool) -> bool {
        candidate == self.0
            || (subdomains
                && candidate.strip_suffix(&self.0).is_some_and(|rest| rest.ends_with('.')))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_copy_replaces_the_number() {
        let alice = Email::parse("Alice@acme.example").unwrap();
        let copy = alice.placeholder(1);
        assert_eq!(
            (copy.as_str(), copy.domain(), copy.copy_number()),
            ("alice@acme.example (Copy 1)", "acme.example", Some(1))
        );
        assert_eq!(copy.placeholder(12).as_str(), "alice@acme.example (Copy 12)");
        assert_eq!(Email::from_stored(copy.to_string()), copy);
        assert_eq!((alice.copy_number(), Email::parse(copy.as_str()).is_err()), (None, true));
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, EmailError>) {
        let parsed = Email::parse(text);
        assert_eq!(parsed.as_ref().map(Email::as_str).map_err(Clone::clone), expected);
        if let Ok(email) = parsed {
            assert_eq!(
                Email::parse(email.as_str()),
                Ok(email.clone()),
                "the stored form parses to itself"
            );
            assert_eq!(Email::from_stored(email.as_str().to_owned()), email);
        }
    }

    #[test]
    fn an_address_is_compared_in_lower_case_with_its_domain_in_ascii() {
        check("Alice@Acme.Example", Ok("alice@acme.example"));
        check("alice@BÜCHER.example", Ok("alice@xn--bcher-kva.example"));
        check("alice@bu\u{308}cher.example", Ok("alice@xn--bcher-kva.example"));
        check("alice@XN--BCHER-KVA.example", Ok("alice@xn--bcher-kva.example"));
        check("o'hara+x@acme.example", Ok("o'hara+x@acme.example"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        use DomainError::{IpAddress, Malformed, SingleLabel};
        check("alice", Err(EmailError::NoAt));
        check("@acme.example", Err(EmailError::LocalPart));
        check("\"a b\"@acme.example", Err(EmailError::LocalPart));
        check("a..b@acme.example", Err(EmailError::LocalPart));
        check("älice@acme.example", Err(EmailError::LocalPart));
        check("alice@localhost", Err(EmailError::Domain(SingleLabel)));
        check("alice@[127.0.0.1]", Err(EmailError::Domain(IpAddress)));
        check("alice@127.0.0.1", Err(EmailError::Domain(IpAddress)));
        check("alice@127.1", Err(EmailError::Domain(IpAddress)));
        check("alice@0x7f.0.0.0x1", Err(EmailError::Domain(IpAddress)));
        check("alice@acme..example", Err(EmailError::Domain(Malformed)));
        check("alice@xn--\u{0}.example", Err(EmailError::Domain(Malformed)));
        check("alice@-acme.example", Err(EmailError::Domain(Malformed)));
        check(&format!("{}@acme.example", "a".repeat(65)), Err(EmailError::LocalPart));
        let long = [("x".repeat(60) + ".").repeat(4).as_str(), "example"].concat();
        check(&format!("alice@{long}"), Err(EmailError::TooLong));
    }

    #[track_caller]
    fn check_said(text: &str, said: &str) {
        assert_eq!(Email::parse(text).unwrap_err().to_string(), said, "{text:?}");
    }

    #[test]
    fn what_stands_around_an_address_is_told_with_the_address_without_it() {
        check_said(
            "ann@acme.example.",
            "the dot at the end isn't part of an address: write ann@acme.example",
        );
        check_said(
            " ann@acme.example",
            "the space in it isn't part of an address: write ann@acme.example",
        );
        check_said(
            "ann @ acme.example",
            "the space in it isn't part of an address: write ann@acme.example",
        );
        check_said(
            "ann\u{200b}@acme.example",
            "a character in it that nobody sees (U+200B) isn't part of an address: write ann@acme.example",
        );
        let link = "what a link has around it (such as https://, mailto: or a slash) isn't part of an address: write ann@acme.example";
        check_said("mailto:ann@acme.example", link);
        check_said("MAILTO:ann@acme.example?subject=Hello", link);
        check_said(
            "<ann@acme.example>",
            "what stands around the < and > isn't part of an address: write ann@acme.example",
        );
        check_said(
            "Ann<ann@acme.example>",
            "what stands around the < and > isn't part of an address: write ann@acme.example",
        );
        // With the star there may be a domain, and no address in it.
        check("ann@*.acme.example", Err(EmailError::Domain(DomainError::Malformed)));
    }

    #[track_caller]
    fn check_domain(text: &str, said: &str) {
        assert_eq!(Domain::parse(text).unwrap_err().to_string(), said, "{text:?}");
    }

    #[test]
    fn what_stands_around_a_domain_is_told_with_the_domain_without_it() {
        check_domain(
            "*.acme.example",
            "the star at the beginning isn't part of a domain: write acme.example, and includeSubdomains: true beside it",
        );
        check_domain(
            "acme.example.",
            "the dot at the end isn't part of a domain: write acme.example",
        );
        check_domain(
            ".acme.example",
            "the dot at the beginning isn't part of a domain: write acme.example",
        );
        check_domain("@acme.example", "the @ isn't part of a domain: write acme.example");
        check_domain("ann@acme.example", "the @ isn't part of a domain: write acme.example");
        check_domain(" acme.example", "the space in it isn't part of a domain: write acme.example");
        let link = "what a link has around it (such as https://, mailto: or a slash) isn't part of a domain: write acme.example";
        for text in [
            "acme.example/",
            "https://acme.example",
            "http://acme.example/mail?x=1",
            "HTTPS://acme.example.",
        ] {
            check_domain(text, link);
        }
        check_domain("*.localhost", "the domain isn't a domain name such as acme.example");
        check_domain("*", "the domain isn't a domain name such as acme.example");
        check_domain("", "the domain isn't a domain name such as acme.example");
    }

    #[test]
    fn a_domain_covers_its_subdomains_only_when_asked() {
        let domain = Domain::parse("Acme.Example").unwrap();
        assert!(domain.covers("acme.example", false));
        assert!(!domain.covers("eu.acme.example", false));
        assert!(domain.covers("eu.acme.example", true));
        assert!(!domain.covers("notacme.example", true));
        assert!(!domain.covers("", true));
    }

    #[test]
    fn a_public_suffix_is_recognized() {
        assert!(Domain::parse("co.uk").unwrap().is_public_suffix());
        assert!(!Domain::parse("acme.co.uk").unwrap().is_public_suffix());
        assert!(!Domain::parse("acme.example").unwrap().is_public_suffix());
    }
}
