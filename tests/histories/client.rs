//! Who brings entries to the directory: a look, and then a write for each thing that differs, as
//! the clients for real directories do it.

use roster::domain::account::EntryHandle;
use roster::provisioning::{DirectoryError, Entry, Provisioned, TIMEOUT};

use crate::directory::{Key, Person, Reply, Request, Shared};

/// How a protocol goes about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The password can't be seen there, as in SCIM; otherwise it goes with the right to log in, as
    /// in LDAP.
    pub(crate) hides_passwords: bool,
    /// A new entry is made with everything at once; otherwise the right to log in comes last.
    pub(crate) creates_whole: bool,
}

/// Brings an entry, in the time that the product gives it.
pub(crate) async fn provision(
    directory: &Shared,
    entry: &Entry,
    manner: Manner,
) -> Result<Provisioned, DirectoryError> {
    let bringing =
        Delivery { directory, manner, who: who(entry), wrote: false, compares: entry.compares }
            .provision(entry);
    tokio::time::timeout(TIMEOUT, bringing).await.unwrap_or(Err(DirectoryError::Timeout))
}

/// Returns by what troubles know whom a request is about: of who is gone nobody knows the login
/// name.
fn who(entry: &Entry) -> String {
    entry
        .person
        .as_ref()
        .map_or_else(|| entry.account.to_string(), |person| person.login_name.clone())
}

struct Delivery<'a> {
    directory: &'a Shared,
    manner: Manner,
    who: String,
    wrote: bool,
    compares: bool,
}

impl Delivery<'_> {
    async fn provision(mut self, entry: &Entry) -> Result<Provisioned, DirectoryError> {
        let found = match self.directory.send(&self.who, Request::Look(entry.account)).await? {
            Reply::Found(found) => found,
            other => return Err(DirectoryError::Protocol(format!("{other:?}"))),
        };
        let Some(person) = &entry.person else {
            if let Some((key, has)) = found {
                if has.active {
                    self.write(Request::SetActive(key, false)).await?;
                }
                self.write(Request::Delete(key)).await?;
            }
            return Ok(Provisioned { wrote: self.wrote, ..Provisioned::default() });
        };
        let password = person.password.as_ref().map(|password| password.hash.as_str().to_owned());
        let is_new = person.password.as_ref().is_some_and(|password| password.is_new);
        let wanted = Person {
            account: entry.account,
            login_name: person.login_name.clone(),
            active: person.active,
            password,
            group: person.group.clone(),
            permissions: person.permissions.clone(),
        };
        let (is_made, key, has) = match found {
            Some((key, has)) => (false, key, has),
            None => {
                let careful = Person { active: false, password: None, ..wanted.clone() };
                let made = if self.manner.creates_whole { wanted.clone() } else { careful };
                (true, self.write(Request::Create(made.clone())).await?, made)
            }
        };
        // What takes away goes first, and what lets in goes last.
        if has.active && !wanted.active {
            self.write(Request::SetActive(key, false)).await?;
        }
        if (&has.group, &has.permissions) != (&wanted.group, &wanted.permissions) {
            self.write(Request::SetRights(key, wanted.group, wanted.permissions)).await?;
        }
        let sets_password = match (self.manner.hides_passwords, is_made) {
            (true, false) => is_new && wanted.active,
            (true, true) => has.password != wanted.password,
            (false, _) => has.password != wanted.password,
        };
        if sets_password {
            self.write(Request::SetPassword(key, wanted.password)).await?;
        }
        if !has.active && wanted.active {
            self.write(Request::SetActive(key, true)).await?;
        }
        Ok(Provisioned {
            handle: Some(EntryHandle(key.to_string())),
            wrote: self.wrote,
            may_be_late: false,
        })
    }

    async fn write(&mut self, request: Request) -> Result<Key, DirectoryError> {
        if self.compares {
            return Err(DirectoryError::Drifted);
        }
        let deletes = matches!(request, Request::Delete(_));
        match self.directory.send(&self.who, request.clone()).await? {
            Reply::Done(key) => {
                self.wrote = true;
                Ok(key)
            }
            Reply::NoSuchEntry if deletes => Ok(0),
            Reply::NoSuchEntry => Err(DirectoryError::Conflict),
            Reply::Taken => {
                Err(DirectoryError::Refused("another entry has the login name".to_owned()))
            }
            Reply::Found(found) => Err(DirectoryError::Protocol(format!("{found:?}"))),
        }
    }
}
