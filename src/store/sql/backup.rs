//! Copies of a store: taken while it is in use, and put back.
//!
//! A copy is written beside its place under a name of its own, checked, written to the disk, and
//! only then given its name, so whoever is killed meanwhile leaves what was there before. A backup
//! has a digest of its content ([`digest`]), and what isn't the backup that it was isn't restored
//! unless somebody insists.

mod files;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use self::files::{
    Partial, forget_unfinished, move_companions, place_of, remove_companions, same_file,
    sync_folder, with_suffix,
};
use super::advice::{about_file, advice};
use super::database::{self, Database};
use super::digest::{self, Seal};
use super::inspection::damage;
use super::operators::INVALIDATE_ACKS;
use super::schema::{self, Held};
use super::sqlite::{SqliteAddress, is_about_schema, is_busy, is_damage};
use crate::store::StoreError;

/// How long emptying the log after a backup waits for others, in milliseconds; the next commit of
/// the operator tries again.
const EMPTYING_TIMEOUT: &str = "PRAGMA busy_timeout = 100";

/// A backup that was taken, or was found to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// How many live accounts it has.
    pub accounts: i64,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: String,
}

/// What of a backup has to be proven for it to be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestCheck {
    /// It is what its digest says, or never had one.
    Digest,
    /// It doesn't contradict itself.
    Structure,
}

/// A store that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many live accounts it has.
    pub accounts: i64,
    /// Where what was there before is kept.
    pub kept: Option<PathBuf>,
    /// What isn't proven of the backup.
    pub unproven: Option<Unproven>,
}

/// Why nobody can tell whether a backup is what it was when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It has no digest.
    NoDigest,
    /// It isn't what its digest says, and somebody insisted on it.
    Changed,
}

/// Why a store wasn't copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file of that name is there.
    #[error("{0} is there already, and nothing is overwritten: choose another name")]
    Occupied(PathBuf),
    /// Another copy is being written to the same place.
    #[error("{0} is being written by another roster: wait for it")]
    UnderWay(PathBuf),
    /// Somebody has the store open.
    #[error(
        "{0} is in use: stop `roster run` (kubectl scale deployment roster -n roster-system --replicas=0) and whatever else has it open"
    )]
    InUse(PathBuf),
    /// The copy and what is to be restored are one file.
    #[error("{0} is the store itself")]
    Itself(PathBuf),
    /// A file contradicts itself.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What was found first.
        what: String,
    },
    /// A backup isn't what it was when it was taken.
    #[error(
        "{0} isn't what it was when the backup was taken: its content differs from its digest, so it is damaged or somebody changed \
         it, and values may be wrong without a sign. Use another backup; to restore this one all the same, as far as it can be \
         read: roster restore --accept-changed"
    )]
    Changed(PathBuf),
    /// A backup can't be compared with what it was.
    #[error(
        "{0} has no digest (an earlier roster took it, or it is a copy of a store and no backup), so nobody can tell whether it is \
         what it was; SQLite finds no damage in it"
    )]
    NoDigest(PathBuf),
    /// What is at the store's place can't be told from somebody else's.
    #[error(
        "{0} can't be read as a roster store, so it isn't replaced: while `roster run` is stopped, move it and the files beside it \
         that begin with its name away, then restore with ?mode=rwc"
    )]
    Unusable(PathBuf),
    /// There is no store, and none is to be made.
    #[error("{0} isn't there: add ?mode=rwc to the store's address to create it")]
    Absent(PathBuf),
    /// A folder is where a file should be.
    #[error("{0} is a folder: name a file")]
    Folder(PathBuf),
    /// The system refused something about a file.
    #[error("{0}: {words}", words = about_file(.1))]
    File(PathBuf, #[source] io::Error),
    /// The database refused something about a file.
    #[error("{0}: {words}", words = advice(.1).unwrap_or("the database failed"))]
    Database(PathBuf, #[source] sqlx::Error),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl CopyError {
    /// Whether a file could be read, and isn't a whole backup.
    #[must_use]
    pub fn is_about_content(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Changed(_) | Self::NoDigest(_))
    }
}

/// Says which file the system refused something about.
fn about(path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    |error| CopyError::File(path, error)
}

/// Says which file the database refused something about.
fn in_file(path: &Path) -> impl FnOnce(sqlx::Error) -> CopyError {
    let path = path.to_owned();
    |error| CopyError::Database(path, error)
}

/// Returns the address of a store in a file.
fn file_address(url: &str) -> Result<SqliteAddress, CopyError> {
    match database::StoreAddress::parse(url)? {
        database::StoreAddress::Sqlite(address) => Ok(address),
        database::StoreAddress::Postgres(address) => {
            let why = "is copied with PostgreSQL's own tools: pg_dump and pg_restore, or a backup of the whole server with its log";
            Err(address.problem(why).into())
        }
    }
}

/// Copies the store at an address into a file that isn't there yet, readable by its owner alone:
/// one consistent state, without anything that was deleted before, with a digest of what it has.
/// The store may be in use meanwhile.
///
/// # Errors
/// When there is no store of this version or an older one, the file is there, or the copy isn't
/// whole.
pub async fn backup(url: &str, file: &Path) -> Result<Backup, CopyError> {
    let address = file_address(url)?;
    let source = address.path.clone();
    schema::check_is_known(&address.clone().into())
        .await
        .map_err(|error| damaged(&source, error))?;
    let place = place_of(file)?;
    if place.symlink_metadata().is_ok() {
        return Err(CopyError::Occupied(place));
    }
    let partial = Partial::claim(&place)?;
    let mut store = address.options().connect().await.map_err(in_file(&source))?;
    copy(&mut store, &partial.path).await?;
    empty_log(&mut store).await?;
    store.close().await?;
    let accounts = check_whole(&partial.path).await?;
    let digest = seal(&partial.path).await?;
    partial.file.sync_all().map_err(about(&partial.path))?;
    let size = partial.file.metadata().map_err(about(&partial.path))?.len();
    partial.put_at_free(&place)?;
    Ok(Backup { accounts, size, digest })
}

/// Says what a backup has, once it is proven to be what it was when it was taken. Changes nothing.
///
/// # Errors
/// When the file is no store of this version or an older one, is damaged, was changed, or has no
/// digest.
pub async fn verify(file: &Path) -> Result<Backup, CopyError> {
    let source = SqliteAddress::of_copy(&place_of(file)?);
    let Judged { accounts, digest, seal, .. } = judge(&source).await?;
    match seal {
        Seal::Whole => {}
        Seal::Broken => return Err(CopyError::Changed(source.path)),
        Seal::Missing => return Err(CopyError::NoDigest(source.path)),
    }
    let size = source.path.metadata().map_err(about(&source.path))?.len();
    Ok(Backup { accounts, size, digest })
}

/// Puts what a file has at the place of the store, whole or not at all, in the schema of this
/// version. What was there before is kept beside it. The file stays as it is.
///
/// # Errors
/// When the file is no store of this version or an older one, is damaged, or isn't what it was and
/// is to be; when somebody has the store open; and when what is at its place is no store.
pub async fn restore(
    url: &str,
    (file, trust): (&Path, DigestCheck),
    now: Timestamp,
) -> Result<Restored, CopyError> {
    let address = file_address(url)?;
    let source = SqliteAddress::of_copy(&place_of(file)?);
    let Judged { held, digest, seal, .. } = judge(&source).await?;
    let unproven = match (seal, trust) {
        (Seal::Whole, _) => None,
        (Seal::Missing, _) => Some(Unproven::NoDigest),
        (Seal::Broken, DigestCheck::Structure) => Some(Unproven::Changed),
        (Seal::Broken, DigestCheck::Digest) => return Err(CopyError::Changed(source.path)),
    };
    let place = place_of(&address.path)?;
    if same_file(&source.path, &place) {
        return Err(CopyError::Itself(place));
    }
    let before = Before::take(&place, address.may_create()).await?;
    let partial = Partial::claim(&place)?;
    let mut reading = source.options().connect().await.map_err(in_file(&source.path))?;
    copy(&mut reading, &partial.path).await?;
    reading.close().await?;
    make_a_store(&partial.path, &digest).await?;
    if held.is_older() {
        bring_up(&partial.path).await?;
    }
    doubt_directories(&partial.path).await?;
    let accounts = check_whole(&partial.path).await?;
    let kept = before.give_way_to(partial, &place, now).await?;
    Ok(Restored { accounts, kept, unproven })
}

/// What a backup was found to be.
struct Judged {
    held: Held,
    accounts: i64,
    digest: String,
    seal: Seal,
}

/// Looks at a backup whole, and changes nothing.
async fn judge(source: &SqliteAddress) -> Result<Judged, CopyError> {
    let path = &source.path;
    if path.is_dir() {
        return Err(CopyError::Folder(path.clone()));
    }
    let address = source.clone().into();
    if let Held::Nothing | Held::SomethingElse =
        schema::held(&address).await.map_err(|error| damaged(path, error))?
    {
        return Err(CopyError::Damaged {
            file: path.clone(),
            what: "it holds no roster store".to_owned(),
        });
    }
    let held = schema::check_is_known(&address).await.map_err(|error| damaged(path, error))?;
    let accounts = check_whole(path).await?;
    let mut connection = source.options().connect().await.map_err(in_file(path))?;
    let digest = digest::of_content(&mut connection).await.map_err(unreadable(path))?;
    let seal = digest::check(&mut connection, &digest).await.map_err(unreadable(path))?;
    connection.close().await?;
    Ok(Judged { held, accounts, digest, seal })
}

async fn seal(path: &Path) -> Result<String, CopyError> {
    let mut connection =
        SqliteAddress::of(path).options().connect().await.map_err(in_file(path))?;
    let digest = digest::seal(&mut connection).await.map_err(in_file(path))?;
    connection.close().await.map_err(in_file(path))?;
    Ok(digest)
}

/// Makes a store of the copy of a backup, if that has what was read of the backup before.
async fn make_a_store(path: &Path, digest: &str) -> Result<(), CopyError> {
    let mut connection =
        SqliteAddress::of(path).options().connect().await.map_err(in_file(path))?;
    if digest::of_content(&mut connection).await.map_err(unreadable(path))? != digest {
        return Err(CopyError::Damaged {
            file: path.to_owned(),
            what: "it differs from what it was copied from".to_owned(),
        });
    }
    digest::remove(&mut connection).await.map_err(in_file(path))?;
    connection.close().await.map_err(in_file(path))
}

/// Writes what a connection sees into an empty file, row by row: no page of the database itself is
/// copied, so nothing comes along that was deleted.
async fn copy(connection: &mut SqliteConnection, to: &Path) -> Result<(), CopyError> {
    let path = to
        .to_str()
        .ok_or_else(|| CopyError::File(to.to_owned(), io::Error::other("its name isn't UTF-8")))?;
    sqlx::query("VACUUM INTO $1").bind(path).execute(connection).await.map_err(in_file(to))?;
    Ok(())
}

/// Empties the log: what was erased while a backup looked at it, stayed in it.
async fn empty_log(connection: &mut SqliteConnection) -> Result<(), CopyError> {
    sqlx::query(EMPTYING_TIMEOUT).execute(&mut *connection).await?;
    // Where others are in the way it answers so, and isn't an error.
    match sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await {
        Err(error) if !is_busy(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses a database that contradicts itself; returns how many live accounts it has.
async fn check_whole(path: &Path) -> Result<i64, CopyError> {
    let mut connection =
        SqliteAddress::of_copy(path).options().connect().await.map_err(in_file(path))?;
    if let Some(what) = damage(&mut connection).await.map_err(|error| damaged(path, error))? {
        return Err(CopyError::Damaged { file: path.to_owned(), what });
    }
    let accounts =
        sqlx::query_scalar("SELECT COUNT(*) FROM accounts").fetch_one(&mut connection).await;
    let accounts = accounts.map_err(unreadable(path))?;
    connection.close().await?;
    Ok(accounts)
}

fn damaged(path: &Path, error: StoreError) -> CopyError {
    match error {
        StoreError::Database(error) => unreadable(path)(error),
        error => error.into(),
    }
}

/// Says that a file is damaged, where the database refuses what every store can answer, or why it
/// can't be read.
fn unreadable(path: &Path) -> impl FnOnce(sqlx::Error) -> CopyError {
    let file = path.to_owned();
    |error| {
        if is_damage(&error)
            || is_about_schema(&error)
            || matches!(error, sqlx::Error::ColumnDecode { .. })
        {
            CopyError::Damaged { file, what: error.to_string() }
        } else {
            CopyError::Database(file, error)
        }
    }
}

async fn doubt_directories(path: &Path) -> Result<(), CopyError> {
    let mut connection = SqliteAddress::of(path).options().connect().await?;
    for statement in INVALIDATE_ACKS {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Brings a store that nobody else knows up to the schema of this version, and leaves it as one
/// file.
async fn bring_up(path: &Path) -> Result<(), CopyError> {
    let address = SqliteAddress::of(path);
    let database = Database::connect(&address.clone().into()).await?;
    schema::migrate(&database).await?;
    database.close().await;
    let connection = alone(&address).await?;
    Ok(connection.close().await?)
}

/// Connects to a database that nobody else has open, brings it into one file without a log, and
/// keeps everybody out until the connection is closed.
async fn alone(address: &SqliteAddress) -> Result<SqliteConnection, CopyError> {
    let in_use = || CopyError::InUse(address.path.clone());
    let or_in_use = |error| if is_busy(&error) { in_use() } else { error.into() };
    let mut connection =
        address.options().busy_timeout(Duration::ZERO).connect().await.map_err(or_in_use)?;
    // Refused while anybody is connected: whoever has looked at a database with a log keeps a lock
    // on it.
    sqlx::query("PRAGMA journal_mode = DELETE")
        .execute(&mut connection)
        .await
        .map_err(or_in_use)?;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.map_err(or_in_use)?;
    // Somebody may have come between the two, and given it a log again.
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .map_err(or_in_use)?;
    if mode == "delete" { Ok(connection) } else { Err(in_use()) }
}

/// What is at a store's place before a restore.
enum Before {
    /// A database that nobody else can open meanwhile, and whether there is anything in it.
    Store { alone: SqliteConnection, is_empty: bool },
    /// No file.
    Nothing,
}

impl Before {
    async fn take(place: &Path, may_create: bool) -> Result<Self, CopyError> {
        if !place.exists() {
            return if may_create {
                Ok(Self::Nothing)
            } else {
                Err(CopyError::Absent(place.to_owned()))
            };
        }
        let address = SqliteAddress::of(place);
        let held = match schema::held(&address.clone().into()).await {
            Err(StoreError::Database(error)) if is_busy(&error) => {
                return Err(CopyError::InUse(place.to_owned()));
            }
            Err(StoreError::Database(error)) if is_damage(&error) => Held::SomethingElse,
            held => held?,
        };
        if held == Held::SomethingElse {
            return Err(CopyError::Unusable(place.to_owned()));
        }
        Ok(Self::Store { alone: alone(&address).await?, is_empty: held == Held::Nothing })
    }

    /// Keeps what is there, and puts a complete file in its place. Returns where the former is
    /// kept.
    async fn give_way_to(
        self,
        partial: Partial,
        place: &Path,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, CopyError> {
        let kept =
            with_suffix(place, &format!(".before-restore-{}", now.strftime("%Y%m%dT%H%M%S.%3fZ")));
        match self {
            Self::Nothing => {
                let moved = move_companions(place, &kept)?;
                partial.file.sync_all().map_err(about(&partial.path))?;
                partial.put_at_free(place)?;
                Ok(moved.then_some(kept))
            }
            Self::Store { alone, is_empty } => {
                partial.take_rights_of(place)?;
                partial.file.sync_all().map_err(about(&partial.path))?;
                if !is_empty {
                    forget_unfinished(place)?;
                    fs::hard_link(place, &kept).map_err(about(&kept))?;
                    sync_folder(place)?;
                }
                // They would be taken for the new file's; what was in them is in the old one.
                remove_companions(place)?;
                partial.replace(place)?;
                // Only now may others open what is there. Who waited for the old file finds that it
                // was moved.
                alone.close().await?;
                Ok((!is_empty).then_some(kept))
            }
        }
    }
}
