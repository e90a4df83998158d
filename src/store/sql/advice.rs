//! What a database's error means for whoever runs it, and what helps: the databases' own words name
//! neither.

use std::io::{self, ErrorKind};

const FULL: &str = "the disk is full, or a quota is used up: make room there";
const NOT_WRITTEN: &str = "a write failed: the disk is full, a quota or a limit of the size of files (ulimit -f) is reached, or the \
                           disk is failing: make room, or see the system's log";
const NOT_READ: &str =
    "a read failed: the disk is failing or its volume is gone: see the system's log";
const READ_ONLY: &str = "it can't be written to: this user lacks the right to write the file or to create files beside it, or the \
                         volume is mounted read-only";
const CLOSED: &str = "it can't be opened: the folder isn't there, or this user lacks the right to read and write the file and to \
                      create files beside it";
const DAMAGED: &str = "the file is damaged, or is no database: roster doctor says more, and roster restore brings a backup back";
const LOCKED: &str = "somebody else keeps it locked: end that transaction, or wait for it";

/// Returns what an error of a database means and what helps, where that is known.
pub(super) fn advice(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code()?;
            if code.len() == 5 { of_postgres(&code) } else { of_sqlite(code.parse().ok()?) }
        }
        sqlx::Error::Io(error) => of_io(error.kind()),
        _ => None,
    }
}

/// Whether the database can be read and not written: it is full, or it or this user may only read.
/// A lock that somebody holds is no such reason, since it can be caused from outside.
pub(super) fn is_unwritable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    if code.len() == 5 {
        return matches!(&*code, "53100" | "42501" | "25006");
    }
    // SQLITE_PERM, READONLY, FULL, and of SQLITE_IOERR those that `NOT_WRITTEN` is about.
    code.parse().is_ok_and(|code: u32| {
        matches!((code & 0xff, code >> 8), (3 | 8 | 13, _) | (10, 3..=6 | 19))
    })
}

/// By `SQLite`'s result codes: the lowest byte is the primary one.
fn of_sqlite(code: u32) -> Option<&'static str> {
    Some(match (code & 0xff, code >> 8) {
        (13, _) => FULL,
        // SQLITE_IOERR with WRITE, FSYNC, DIR_FSYNC, TRUNCATE, SHMSIZE.
        (10, 3..=6 | 19) => NOT_WRITTEN,
        // READ, SHORT_READ.
        (10, 1 | 2) => NOT_READ,
        (10, _) => "the disk failed, or its volume is gone: see the system's log",
        (3 | 8, _) => READ_ONLY,
        (14, _) => CLOSED,
        (11 | 26, _) => DAMAGED,
        (5 | 6, _) => LOCKED,
        _ => return None,
    })
}

/// By `PostgreSQL`'s SQLSTATE.
fn of_postgres(code: &str) -> Option<&'static str> {
    Some(match code {
        "53100" => "the server's disk is full: make room there",
        "53300" => "the server has no connection left: raise max_connections, or close others",
        "28P01" | "28000" => {
            "the server refuses the role or its password: correct the address, PGPASSWORD or pg_hba.conf"
        }
        "3D000" => "the server has no database of that name: create it, or correct the address",
        "3F000" => "the database has no schema of that name: create it, or correct the address",
        "42501" => {
            "the role lacks a right: the operator's role owns the store's tables; an application's role needs the rights in \
             docs/reference/store.md"
        }
        "25006" => "the server only reads: it is a standby, so name the primary",
        "57P03" => "the server is starting or stopping: wait for it",
        "55P03" | "40P01" => LOCKED,
        _ => return None,
    })
}

fn of_io(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => {
            "nobody answers at that address: start the server, or correct the address"
        }
        ErrorKind::TimedOut => {
            "the server didn't answer in time: see whether it runs and can be reached"
        }
        kind => return of_file(kind),
    })
}

/// Returns what the system's error about a file means and what helps, where that is known.
fn of_file(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "it isn't there: create it, or correct the path",
        ErrorKind::NotADirectory => "a part of the path isn't a folder: correct the path",
        ErrorKind::IsADirectory => "it is a folder: name a file",
        ErrorKind::PermissionDenied => {
            "this user lacks the right: see the owner and the rights of the file and of its folder"
        }
        ErrorKind::ReadOnlyFilesystem => "the volume is mounted read-only: choose another place",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FULL,
        ErrorKind::FileTooLarge => NOT_WRITTEN,
        _ => return None,
    })
}

/// Returns the sentence about a file that the system refused something about.
pub(crate) fn about_file(error: &io::Error) -> String {
    of_file(error.kind()).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Connection};

    use super::*;
    use crate::store::sql::sqlite::SqliteAddress;

    #[tokio::test]
    async fn a_full_database_is_said_to_lack_room() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("full.db");
        std::fs::write(&file, "").unwrap();
        let mut connection = SqliteAddress::of(&file).options().connect().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 2").execute(&mut connection).await.unwrap();
        sqlx::query("CREATE TABLE a (b)").execute(&mut connection).await.unwrap();
        let full = sqlx::query("INSERT INTO a VALUES (randomblob(100000))")
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert_eq!(advice(&full), Some(FULL));
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_cant_be_opened_is_said_to_lack_a_folder_or_a_right() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = SqliteAddress::of(&folder.path().join("no/store.db"))
            .options()
            .connect()
            .await
            .unwrap_err();
        assert_eq!(advice(&nowhere), Some(CLOSED));
    }

    #[test]
    fn every_code_of_a_disk_has_a_sentence() {
        for (code, sentence) in [
            (13, FULL),
            (778, NOT_WRITTEN),
            (1034, NOT_WRITTEN),
            (266, NOT_READ),
            (1544, READ_ONLY),
        ] {
            assert_eq!(of_sqlite(code), Some(sentence), "{code}");
        }
        assert_eq!(of_sqlite(1), None);
        assert_eq!(of_postgres("53100"), Some("the server's disk is full: make room there"));
    }
}
