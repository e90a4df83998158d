//! Addresses of directories.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::DirectoryError;

/// The address of a directory, such as
/// `scim+https://idp.acme.example/v2?token-file=/run/secrets/token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUrl {
    url: Url,
    name: String,
    options: BTreeMap<String, String>,
}

/// The options that any address may have.
const NAME: &str = "name";

impl DirectoryUrl {
    /// Takes an address apart.
    ///
    /// # Errors
    /// When it isn't one, has a secret in it, or an option twice. The message doesn't repeat what
    /// may be a secret.
    pub fn parse(text: &str) -> Result<Self, DirectoryError> {
        let error = |what: &str| {
            DirectoryError::Configuration(format!("the address of a directory {what}"))
        };
        let mut url = Url::parse(text).map_err(|why| error(&format!("isn't a URL ({why})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error(
                "has no user or password in it: secrets are read from files, which options name",
            ));
        }
        if url.fragment().is_some() {
            return Err(error("has no part after #"));
        }
        let mut options = BTreeMap::new();
        for (option, value) in url.query_pairs() {
            if options.insert(option.clone().into_owned(), value.into_owned()).is_some() {
                return Err(error(&format!("has the option {option} twice")));
            }
        }
        url.set_query(None);
        let name =
            options.remove(NAME).unwrap_or_else(|| url.as_str().trim_end_matches('/').to_owned());
        let is_fit = |character: char| !character.is_control() && !character.is_whitespace();
        if name.is_empty() || name.len() > 200 || !name.chars().all(is_fit) {
            return Err(error(
                "is or gives a name (?name=) of 1 to 200 characters, without spaces",
            ));
        }
        Ok(Self { url, name, options })
    }

    /// Returns the name by which the store and people know the directory: what `?name=` gives it,
    /// else the address without its options. Under another name it is another directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it begins with, such as `scim+https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// Returns the path, as the address has it.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Returns the address without its options.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it names this machine, so that no one can read the traffic.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            // A scheme that the URL standard doesn't know has an IPv4 address as text.
            Some(url::Host::Domain(name)) => {
                name == "localhost"
                    || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            }
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Takes an option out, so that what is left at the end is unknown.
    pub fn take(&mut self, option: &str) -> Option<String> {
        self.options.remove(option)
    }

    /// Takes an option that names a file.
    pub fn take_file(&mut self, option: &str) -> Result<PathBuf, DirectoryError> {
        let lacking = || {
            DirectoryError::Configuration(format!(
                "the address of the directory {} lacks ?{option}=PATH",
                self.name
            ))
        };
        let path =
            self.options.remove(option).filter(|path| !path.is_empty()).ok_or_else(lacking)?;
        Ok(path.into())
    }

    /// Refuses the options that are left.
    ///
    /// # Errors
    /// When one is left; the message names them, and not their values.
    pub fn finish(&self) -> Result<(), DirectoryError> {
        if self.options.is_empty() {
            return Ok(());
        }
        let left: Vec<&str> = self.options.keys().map(String::as_str).collect();
        let (name, left) = (&self.name, left.join(", "));
        Err(DirectoryError::Configuration(format!(
            "the address of the directory {name} has options that it doesn't know: {left}"
        )))
    }

    /// Returns the error of an address that begins with something else.
    #[must_use]
    pub fn unknown_scheme(&self) -> DirectoryError {
        DirectoryError::Configuration(format!(
            "a directory's address begins with scim+https://, scim+http:// (on this machine), ldaps://, ldap:// (on this \
             machine) or rehearsal:///, not with {}://",
            self.scheme()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> String {
        DirectoryUrl::parse(address).map(|address| format!("{address:?}")).unwrap_err().to_string()
    }

    #[test]
    fn a_directory_is_known_by_its_address_without_options_or_by_the_name_that_it_is_given() {
        for (address, name) in [
            (
                "scim+https://idp.acme.example/v2?token-file=/run/token",
                "scim+https://idp.acme.example/v2",
            ),
            (
                "scim+https://idp.acme.example/v2/?token-file=/run/other",
                "scim+https://idp.acme.example/v2",
            ),
            ("ldaps://ldap.acme.example/dc=acme,dc=example?name=staff", "staff"),
            ("rehearsal:///var/lib/roster/directory", "rehearsal:///var/lib/roster/directory"),
        ] {
            assert_eq!(DirectoryUrl::parse(address).unwrap().name(), name);
        }
    }

    #[test]
    fn options_are_told_by_their_names_alone_and_each_is_there_once() {
        let mut address = DirectoryUrl::parse(
            "scim+https://acme.example/v2?token-file=/run/a%20token&colour=hunter2",
        )
        .unwrap();
        assert_eq!(address.take_file("token-file").unwrap(), PathBuf::from("/run/a token"));
        let left = address.finish().unwrap_err().to_string();
        assert!(left.contains("colour") && !left.contains("hunter2"), "{left}");
        assert!(
            address.take_file("token-file").unwrap_err().to_string().contains("?token-file=PATH")
        );
        assert!(
            refused("scim+https://acme.example/v2?token-file=/a&token-file=/b")
                .contains("token-file twice")
        );
    }

    #[test]
    fn what_may_be_a_secret_is_refused_and_not_repeated() {
        for address in
            ["scim+https://alice:hunter2@acme.example/v2", "ldaps://hunter2@acme.example/dc=acme"]
        {
            let why = refused(address);
            assert!(
                why.contains("secrets are read from files") && !why.contains("hunter2"),
                "{why}"
            );
        }
        assert!(!refused("hunter2").contains("hunter2"));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (address, expected) in [
            ("ldap://127.0.0.1:389/dc=acme", true),
            ("ldap://[::1]/dc=acme", true),
            ("scim+http://localhost:8080/v2", true),
            ("scim+http://127.0.0.1.acme.example/v2", false),
            ("ldap://acme.example/dc=acme", false),
            ("rehearsal:///folder", false),
        ] {
            assert_eq!(DirectoryUrl::parse(address).unwrap().is_loopback(), expected, "{address}");
        }
    }
}
