//! Email addresses and their domains, in the one form in which they are stored and compared.

use std::fmt;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// There is no `@`, or the part before it isn't an ASCII dot-string.
    #[error("the part before the @ must be ASCII, without quotes, of at most 64 characters")]
    LocalPart,
    /// The part after the `@` isn't a domain.
    #[error(transparent)]
    Domain(DomainError),
    /// The address is longer than 254 characters in its ASCII form.
    #[error("the address is longer than 254 characters")]
    TooLong,
}

impl Email {
    /// Parses an address as a person writes it.
    ///
    /// # Errors
    /// When it isn't an address that can be stored and compared.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::LocalPart)?;
        if !local.is_ascii() || local.starts_with('"') {
            return Err(EmailError::LocalPart);
        }
        let domain = Domain::parse(domain).map_err(EmailError::Domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > 254 {
            return Err(EmailError::TooLong);
        }
        // The crate judges the local part; the domain was judged above, more strictly.
        email_address::EmailAddress::parse_with_options(&address, email_address::Options::default().without_display_text())
            .map_err(|_| EmailError::LocalPart)?;
        Ok(Self { at: local.len(), address })
    }

    /// Takes an address that is already in this form, as the store keeps it.
    #[must_use]
    pub fn stored(address: String) -> Self {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
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
        if text.starts_with('[') || text.parse::<std::net::IpAddr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError::Malformed)?;
        // A last label that is a number makes an IPv4 address of it (WHATWG URL, "ends in a number").
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
    pub fn stored(ascii: String) -> Self {
        Self(ascii)
    }

    /// Whether whole unrelated organizations register names below it, such as `co.uk`
    /// (the public suffix list).
    #[must_use]
    pub fn is_public_suffix(&self) -> bool {
        psl::suffix(self.0.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == self.0.as_bytes())
    }

    /// Returns the domain in A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address in `candidate` is in this domain or, if `subdomains` count, below it.
    #[must_use]
    pub fn covers(&self, candidate: &str, subdomains: bool) -> bool {
        candidate == self.0 || (subdomains && candidate.strip_suffix(&self.0).is_some_and(|rest| rest.ends_with('.')))
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
        assert_eq!((copy.as_str(), copy.domain(), copy.copy_number()), ("alice@acme.example (Copy 1)", "acme.example", Some(1)));
        assert_eq!(copy.placeholder(12).as_str(), "alice@acme.example (Copy 12)");
        assert_eq!(Email::stored(copy.to_string()), copy);
        assert_eq!((alice.copy_number(), Email::parse(copy.as_str()).is_err()), (None, true));
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, EmailError>) {
        let parsed = Email::parse(text);
        assert_eq!(parsed.as_ref().map(Email::as_str).map_err(|error| *error), expected);
        if let Ok(email) = parsed {
            assert_eq!(Email::parse(email.as_str()), Ok(email.clone()), "the stored form parses to itself");
            assert_eq!(Email::stored(email.as_str().to_owned()), email);
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
        check("alice", Err(EmailError::LocalPart));
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
        check("alice@acme.example.", Err(EmailError::Domain(Malformed)));
        check("alice@xn--\u{0}.example", Err(EmailError::Domain(Malformed)));
        check("alice@-acme.example", Err(EmailError::Domain(Malformed)));
        check(&format!("{}@acme.example", "a".repeat(65)), Err(EmailError::LocalPart));
        let long = [("x".repeat(60) + ".").repeat(4).as_str(), "example"].concat();
        check(&format!("alice@{long}"), Err(EmailError::TooLong));
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
