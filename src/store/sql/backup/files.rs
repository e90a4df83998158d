//! Files that are written beside their place and only then get their name, and what `SQLite` keeps
//! beside a database.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use super::{CopyError, about};
use crate::store::sql::sqlite::identity;

/// What `SQLite` keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file that is being written beside its place; it goes unless it gets there.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Partial {
    /// Creates the file, readable by its owner alone, unless another roster is writing it. One that
    /// was left behind by a roster that was killed goes first.
    pub(super) fn claim(place: &Path) -> Result<Self, CopyError> {
        let path = with_suffix(place, ".partial");
        match File::open(&path) {
            Ok(left) => {
                lock(&left, &path)?;
                fs::remove_file(&path).map_err(about(&path))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CopyError::File(path, error)),
        }
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CopyError::UnderWay(path));
            }
            file => file.map_err(about(&path))?,
        };
        lock(&file, &path)?;
        let partial = Self { path, file };
        if !partial.is_there() {
            return Err(CopyError::UnderWay(partial.path.clone()));
        }
        remove_companions(&partial.path)?;
        Ok(partial)
    }

    /// Whether the file still has its first name.
    fn is_there(&self) -> bool {
        match (self.path.metadata(), self.file.metadata()) {
            (Ok(named), Ok(open)) => identity(&named) == identity(&open),
            _ => false,
        }
    }

    /// Gives the file its name where nothing has it.
    pub(super) fn put_at_free(&self, place: &Path) -> Result<(), CopyError> {
        match fs::hard_link(&self.path, place) {
            Ok(()) => fs::remove_file(&self.path).map_err(about(&self.path))?,
            Err(_) if place.symlink_metadata().is_ok() => {
                return Err(CopyError::Occupied(place.to_owned()));
            }
            // Some file systems have no links.
            Err(_) => fs::rename(&self.path, place).map_err(about(place))?,
        }
        sync_folder(place)
    }

    /// Gives the file its name instead of another that has it.
    pub(super) fn replace(&self, place: &Path) -> Result<(), CopyError> {
        fs::rename(&self.path, place).map_err(about(place))?;
        sync_folder(place)
    }

    /// Takes over whose another file is and who may read it, so that whoever could use that one can
    /// use this.
    pub(super) fn take_rights_of(&self, other: &Path) -> Result<(), CopyError> {
        let (theirs, mine) = (
            other.metadata().map_err(about(other))?,
            self.file.metadata().map_err(about(&self.path))?,
        );
        if (theirs.uid(), theirs.gid()) != (mine.uid(), mine.gid()) {
            chown(&self.path, Some(theirs.uid()), Some(theirs.gid())).map_err(about(&self.path))?;
        }
        self.file.set_permissions(theirs.permissions()).map_err(about(&self.path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.is_there() {
            // Nothing can be done about a file that stays; the next copy to the same place removes
            // it.
            let _ = remove_companions(&self.path);
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), CopyError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(CopyError::UnderWay(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(CopyError::File(path.to_owned(), error)),
    }
}

/// Returns where a file is or would be, links followed: what `SQLite` keeps beside it, it keeps
/// there.
pub(super) fn place_of(path: &Path) -> Result<PathBuf, CopyError> {
    if path.symlink_metadata().is_ok() {
        return path.canonicalize().map_err(about(path));
    }
    let whole = std::path::absolute(path).map_err(about(path))?;
    let (Some(folder), Some(name)) = (whole.parent(), whole.file_name()) else {
        return Err(CopyError::File(
            whole.clone(),
            io::Error::other("it isn't the name of a file"),
        ));
    };
    Ok(folder.canonicalize().map_err(about(folder))?.join(name))
}

pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.metadata(), other.metadata()), (Ok(one), Ok(other)) if identity(&one) == identity(&other))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(super) fn remove_companions(path: &Path) -> Result<(), CopyError> {
    for companion in COMPANIONS.map(|suffix| with_suffix(path, suffix)) {
        match fs::remove_file(&companion) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CopyError::File(companion, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Moves what is left beside a file that isn't there any more. Returns whether there was anything.
pub(super) fn move_companions(path: &Path, to: &Path) -> Result<bool, CopyError> {
    let mut moved = false;
    for suffix in COMPANIONS {
        let companion = with_suffix(path, suffix);
        match fs::rename(&companion, with_suffix(to, suffix)) {
            Ok(()) => moved = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CopyError::File(companion, error)),
        }
    }
    Ok(moved)
}

/// Removes the second names that the store has since a restore was killed before it put another in
/// its place.
pub(super) fn forget_unfinished(place: &Path) -> Result<(), CopyError> {
    let begins = with_suffix(place, ".before-restore-");
    for entry in fs::read_dir(folder_of(place)).map_err(about(place))? {
        let path = entry.map_err(about(place))?.path();
        let is_named_so =
            path.as_os_str().as_encoded_bytes().starts_with(begins.as_os_str().as_encoded_bytes());
        if is_named_so && same_file(&path, place) {
            fs::remove_file(&path).map_err(about(&path))?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

pub(super) fn sync_folder(path: &Path) -> Result<(), CopyError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(about(folder))
}
