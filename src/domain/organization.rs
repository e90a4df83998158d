//! Organizations: a namespace, its customer ID, and the login names made with it.

use std::fmt;

/// An organization as its namespace presents it now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Organization {
    /// The name of the namespace.
    pub namespace: String,
    /// The customer ID: the namespace's label `roster.rs/customer-id`, else its name.
    pub customer_id: CustomerId,
}

/// The customer ID of an organization, a DNS label without dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(String);

impl CustomerId {
    /// Takes the label's value, else the namespace's name.
    ///
    /// Both are checked by the API server; a label's value may also be empty, which counts as
    /// absent, or have dots and capitals, which the login name keeps apart by its last dot.
    #[must_use]
    pub fn of(label: Option<&str>, namespace: &str) -> Self {
        Self(label.filter(|value| !value.is_empty()).unwrap_or(namespace).to_owned())
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
