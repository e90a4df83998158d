//! The one operator of a store in a file: whoever locks the file beside it.
//!
//! The kernel unlocks it when the process ends, however that happens. The file stays: removing it
//! while another process has just opened it would let two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::database::StoreAddress;
use crate::store::StoreError;

/// The right to be the only operator of a store, for as long as this is kept.
#[derive(Debug)]
pub struct FileLock {
    _locked: File,
}

impl FileLock {
    /// Keeps other operators from the store at an address such as `sqlite://FILE?mode=rwc`;
    /// applications and the command line read and write it as before. A store in `PostgreSQL`, for
    /// which replicas may stand by, isn't kept.
    ///
    /// # Errors
    /// When another operator, named in the message, has this right, or the file beside the store
    /// can't be locked.
    pub fn claim(url: &str, holder: &str) -> Result<Option<Self>, StoreError> {
        let StoreAddress::Sqlite(address) = StoreAddress::parse(url)? else { return Ok(None) };
        if !address.may_create() && !address.path.exists() {
            return Err(address.problem("isn't there"));
        }
        let path = beside(&address.path)
            .map_err(|error| address.problem(&format!("can't be found: {error}")))?;
        let problem = |error: io::Error| {
            StoreError::Unusable(format!("{} can't be locked: {error}", path.display()))
        };
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = open.map_err(problem)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(problem(error)),
            Err(TryLockError::WouldBlock) => {
                let who = named_in(&mut file);
                return Err(StoreError::HasOperator(format!(
                    "{} has an operator already{who}: a store in SQLite has one, so stop that one first, or keep the \
                     store in PostgreSQL, where others stand by",
                    address.path.display()
                )));
            }
        }
        // The name is for people; the lock alone counts.
        let _ = write_name(&mut file, holder);
        Ok(Some(Self { _locked: file }))
    }
}

/// Returns the path of the file that is locked, beside the store itself and not beside a link to
/// it.
fn beside(store: &Path) -> io::Result<PathBuf> {
    let place = if store.symlink_metadata().is_ok() {
        store.canonicalize()?
    } else {
        let whole = std::path::absolute(store)?;
        match (whole.parent(), whole.file_name()) {
            (Some(folder), Some(name)) => folder.canonicalize()?.join(name),
            _ => return Err(io::Error::other("it isn't the name of a file")),
        }
    };
    let mut name = place.into_os_string();
    name.push(".operator");
    Ok(name.into())
}

fn write_name(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{holder}")
}

/// Returns who has locked the file, where they have written it down.
fn named_in(file: &mut File) -> String {
    let mut name = String::new();
    let _ = file.take(256).read_to_string(&mut name);
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() { name } else { format!(" ({name})") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn url(path: &Path) -> String {
        format!("sqlite://{}?mode=rwc", path.display())
    }

    #[track_caller]
    fn is_refused(url: &str, text: &str) {
        match FileLock::claim(url, "second") {
            Err(StoreError::HasOperator(message) | StoreError::Unusable(message)) => {
                assert!(message.contains(text), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_second_operator_is_told_who_the_first_is_and_comes_once_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = url(&folder.path().join("roster.db"));
        let first =
            FileLock::claim(&store, "host_17_a-name-that-is-longer-than-others").unwrap().unwrap();
        is_refused(
            &store,
            "roster.db has an operator already (host_17_a-name-that-is-longer-than-others): ",
        );
        drop(first);
        let second = FileLock::claim(&store, "host_18").unwrap().unwrap();
        is_refused(&store, "(host_18)");
        drop(second);
        let mode =
            folder.path().join("roster.db.operator").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_store_is_one_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let (store, link) = (folder.path().join("roster.db"), folder.path().join("link.db"));
        std::fs::write(&store, "").unwrap();
        symlink(&store, &link).unwrap();
        let _first = FileLock::claim(&url(&link), "first").unwrap().unwrap();
        is_refused(&url(&store), "(first)");
        is_refused(&url(&folder.path().join(".").join("roster.db")), "(first)");
    }

    #[test]
    fn a_store_in_postgresql_is_kept_for_nobody() {
        assert!(FileLock::claim("postgres://db.example/roster", "first").unwrap().is_none());
    }

    #[test]
    fn a_store_that_can_not_be_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        is_refused(
            &url(&folder.path().join("missing/roster.db")),
            "can't be found: No such file or directory",
        );
        is_refused(
            &format!("sqlite://{}", folder.path().join("misspelt.db").display()),
            "misspelt.db isn't there",
        );
        assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing is left behind");
    }
}
