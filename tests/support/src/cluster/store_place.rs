//! Where an operator's store is: in a file, or with `ROSTER_TEST_STORE=postgres` on a server that
//! all tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Organization, run};
use crate::application::Application;
use crate::postgres::Database;

/// The place of one organization's store.
#[derive(Clone)]
pub(super) enum StorePlace {
    File(PathBuf),
    Postgres(Arc<Database>),
}

impl StorePlace {
    /// Returns the place of an organization's store, the same whenever it is asked for.
    #[track_caller]
    pub(super) fn of(organization: &Organization) -> Self {
        match std::env::var("ROSTER_TEST_STORE").as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::File(organization.file("roster.db")),
            Ok("postgres") => Self::Postgres(Arc::new(run(Database::named(&organization.name)))),
            Ok(other) => panic!("ROSTER_TEST_STORE is sqlite or postgres, not {other}"),
        }
    }

    /// Returns the URL under which the store is made unless it is there.
    pub(super) fn url(&self) -> String {
        match self {
            Self::File(file) => format!("sqlite://{}?mode=rwc", file.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Makes what a store that isn't there is made in; a file needs nothing.
    pub(super) fn make_if_missing(&self) {
        if let Self::Postgres(database) = self {
            run(database.create_if_missing());
        }
    }

    /// Moves the store away, as a volume or a server that is gone.
    pub(super) fn move_away(&self) {
        match self {
            Self::File(file) => rename(file, "db", "away"),
            Self::Postgres(database) => run(database.move_away()),
        }
    }

    /// Moves the store back, in place of whatever is there meanwhile.
    pub(super) fn move_back(&self) {
        match self {
            Self::File(file) => rename(file, "away", "db"),
            Self::Postgres(database) => run(database.move_back()),
        }
    }

    /// Has the store be asked in vain for a while, as a volume or a server that doesn't answer.
    pub(super) fn cut_off(&self) {
        self.move_away();
        if let Self::File(file) = self {
            std::os::unix::fs::symlink(file, file).expect("a link that leads nowhere");
        }
    }

    /// Returns what changes whenever the store is written to: the files byte by byte, or each row
    /// with who wrote it.
    pub(super) fn version(&self) -> Vec<Vec<u8>> {
        match self {
            Self::File(file) => {
                let log = file.with_extension("db-wal");
                [file, &log].map(|file| fs::read(file).unwrap_or_default()).to_vec()
            }
            Self::Postgres(database) => run(async {
                let mut application = Application::open(&database.url()).await;
                let version = application.version().await;
                application.close().await;
                vec![version.into_bytes()]
            }),
        }
    }

    /// Returns everything that the store leaves on the disk, by name; of a server that is what all
    /// have written to it.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files: Vec<PathBuf> = match self {
            Self::File(file) => {
                ["db", "db-wal", "db-shm"].map(|part| file.with_extension(part)).into()
            }
            Self::Postgres(database) => run(database.files()),
        };
        let named = |file: PathBuf| {
            (format!("the store's {}", file.display()), fs::read(file).unwrap_or_default())
        };
        files.into_iter().map(named).collect()
    }
}

fn rename(store: &Path, from: &str, to: &str) {
    for part in ["", "-wal", "-shm"] {
        let target = store.with_extension(format!("{to}{part}"));
        let _ = fs::remove_file(&target);
        let _ = fs::rename(store.with_extension(format!("{from}{part}")), target);
    }
}
