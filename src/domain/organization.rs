//! Organizations: a namespace, its customer ID, and the login names made with it.

use std::fmt;

/// An organization as its namespace presents it now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Organization {
    /// The name of the namespace.
    pub namespace: String,
    /// What the organization is known by in login names.
    pub customer_id: CustomerId,
}

/// The customer ID of an organization: a DNS label (RFC 1123), so without dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(String);

/// A text isn't a DNS label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a customer ID is made of lower-case letters, digits and dashes, at most 63, and starts and ends with a letter or digit"
)]
pub struct CustomerIdError;

impl CustomerId {
    /// Parses a customer ID.
    ///
    /// # Errors
    /// When the text isn't a DNS label.
    pub fn parse(text: &str) -> Result<Self, CustomerIdError> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = !text.is_empty() && text.len() <= 63 && text.bytes().all(inner);
        if fits && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(CustomerIdError)
        }
    }

    /// Returns the customer ID's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A login name, `<username>.<customer ID>`.
///
/// A customer ID has no dots, so the last dot tells the two parts apart, whatever the username.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginName(String);

impl LoginName {
    /// Returns the login name of a username in an organization.
    #[must_use]
    pub fn new(username: &str, customer_id: &CustomerId) -> Self {
        Self(format!("{username}.{customer_id}"))
    }

    /// Takes a login name as a person enters it, in any case and with blanks around it.
    #[must_use]
    pub fn entered(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    /// Takes a login name as the store keeps it.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the login name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the two parts: the username, and the customer ID that the account was created with.
    #[must_use]
    pub fn parts(&self) -> (&str, CustomerId) {
        let (username, customer_id) = self.0.rsplit_once('.').unwrap_or((&self.0, ""));
        (username, CustomerId(customer_id.to_owned()))
    }
}

impl fmt::Display for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_parts_a_login_name_whatever_the_username() {
        let acme = CustomerId::parse("acme").unwrap();
        assert_eq!(LoginName::new("g.miller", &acme).parts(), ("g.miller", acme));
    }

    #[test]
    fn a_login_name_is_entered_in_any_case_and_with_blanks_around_it() {
        let acme = CustomerId::parse("acme").unwrap();
        for text in
            ["g.miller.acme", "G.Miller.ACME", " g.miller.acme\t", "\u{a0}G.miller.acme\r\n"]
        {
            assert_eq!(LoginName::entered(text), LoginName::new("g.miller", &acme), "{text:?}");
        }
    }

    #[test]
    fn a_customer_id_is_a_dns_label() {
        for good in ["acme", "a", "0-9"] {
            assert!(CustomerId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a.b", "Acme", "ä", &"a".repeat(64)] {
            assert_eq!(CustomerId::parse(bad), Err(CustomerIdError), "{bad}");
        }
    }
}
