//! Backups through pipes. `SQLite` needs a file, so a private one stands in for standard input or
//! output, and goes with the work, also at SIGINT and SIGTERM: it holds password hashes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::Failure;
use crate::redact;
use crate::store::sql::backup::CopyError;

/// Why a backup wasn't taken, verified or restored.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct CopyFailure {
    text: String,
    /// Whether the file could be read, and isn't a whole backup.
    pub(super) is_about_content: bool,
}

impl From<CopyError> for CopyFailure {
    fn from(error: CopyError) -> Self {
        Self { text: redact::chain(&error), is_about_content: error.is_about_content() }
    }
}

/// Whether a FILE means standard input or output.
pub(super) fn is_pipe(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Has a copy written to a file, and the file to standard output.
pub(super) async fn to_standard_output<T>(
    copy: impl AsyncFnOnce(&Path) -> Result<T, CopyError>,
) -> Result<Result<T, CopyFailure>, Failure> {
    if io::stdout().is_terminal() {
        return Err("standard output is a terminal: write the backup to a file or a pipe".into());
    }
    let file = StandIn::new("standard output")?;
    file.while_it_is_there(async |file| {
        let copied = match copy(&file.path).await {
            Ok(copied) => copied,
            Err(error) => return Ok(Err(file.named(error))),
        };
        let mut written = File::open(&file.path)?;
        spawn_blocking(move || {
            let mut out = io::stdout().lock();
            io::copy(&mut written, &mut out).and_then(|_| out.flush())
        })
        .await?
        .map_err(|error| format!("standard output can't be written to: {error}"))?;
        Ok(Ok(copied))
    })
    .await
}

/// Writes standard input to a file, and has that read.
pub(super) async fn from_standard_input<T>(
    read: impl AsyncFnOnce(&Path) -> Result<T, CopyError>,
) -> Result<Result<T, CopyFailure>, Failure> {
    if io::stdin().is_terminal() {
        return Err("standard input is a terminal: give the backup's file or a pipe".into());
    }
    let file = StandIn::new("standard input")?;
    file.while_it_is_there(async |file| {
        let mut filled =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.path)?;
        spawn_blocking(move || io::copy(&mut io::stdin().lock(), &mut filled))
            .await?
            .map_err(|error| format!("standard input, or the copy of it in TMPDIR: {error}"))?;
        Ok(read(&file.path).await.map_err(|error| file.named(error)))
    })
    .await
}

/// A file in a folder that only this user may enter.
struct StandIn {
    folder: PathBuf,
    path: PathBuf,
    name: &'static str,
}

impl StandIn {
    fn new(name: &'static str) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("roster-{}", Uuid::new_v4()));
        let failed = |error| format!("{}: {error}", folder.display());
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        Ok(Self { path: folder.join("backup.db"), folder, name })
    }

    /// Returns an error that names the pipe instead of the file.
    fn named(&self, error: CopyError) -> CopyFailure {
        let CopyFailure { text, is_about_content } = error.into();
        let text = text.replace(&self.path.display().to_string(), self.name);
        CopyFailure { text, is_about_content }
    }

    async fn while_it_is_there<T>(
        self,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Exits without a return: a read of standard input that blocks would hold the runtime.
        tokio::select! {
            outcome = work(&self) => outcome,
            _ = interrupt.recv() => self.exit(SignalKind::interrupt()),
            _ = terminate.recv() => self.exit(SignalKind::terminate()),
        }
    }

    /// Ends the process with what a shell expects after a signal.
    fn exit(&self, signal: SignalKind) -> ! {
        self.remove();
        std::process::exit(128 + signal.as_raw_value())
    }

    fn remove(&self) {
        // Nothing can be done about a folder that stays.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.remove();
    }
}
