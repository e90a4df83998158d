//! `roster backup [--verify] FILE`

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde::Serialize;

use super::piped::{CopyFailure, from_standard_input, is_pipe, to_standard_output};
use super::progress::{ProgressReport, watching_size};
use super::{Failure, block_on, examples, print, rendered};
use crate::config::{Output, StoreArgs};
use crate::store::sql::backup::{self, Backup, CopyError};

/// Arguments of `roster backup`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Back up the store, and prove later that the file is intact", "roster backup roster-2026-12-01.db\n  roster backup --verify roster-2026-12-01.db"),
    ("Encrypt a backup of the operator's store on the way", "kubectl exec -n roster-system deploy/roster -- roster backup - | age -r $KEY > roster.db.age"),
]))]
pub(super) struct BackupArgs {
    /// The file to write, which mustn't exist yet, or `-` for standard output. It holds personal
    /// data and password hashes.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Takes no backup, but verifies that FILE (`-` for standard input) is what it was when it was
    /// taken: exits with 1 if it isn't, or has no digest. Needs no store.
    #[arg(long)]
    verify: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    store: StoreArgs,
}

/// A backup as `roster backup` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    file: String,
    accounts: i64,
    size_bytes: u64,
    digest: String,
}

/// Takes or verifies a backup and prints its contents.
pub(super) fn run(arguments: &BackupArgs) -> Result<ExitCode, Failure> {
    let outcome = block_on(async {
        let BackupArgs { file, verify, store, output: _ } = arguments;
        Ok(match (*verify, is_pipe(file)) {
            (true, true) => from_standard_input(async |file| verified(file).await).await?,
            (true, false) => verified(file).await.map_err(CopyFailure::from),
            (false, true) => {
                let url = store.url()?;
                to_standard_output(async |file| taken(&url, file).await).await?
            }
            (false, false) => taken(&store.url()?, file).await.map_err(CopyFailure::from),
        })
    })?;
    match outcome {
        Ok(backup) => arguments.print(backup)?,
        Err(error) if arguments.verify && error.is_about_content => {
            eprintln!("roster: {error}");
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn verified(file: &Path) -> Result<Backup, CopyError> {
    let _progress = ProgressReport::start("verifying the backup");
    backup::verify(file).await
}

async fn taken(url: &str, file: &Path) -> Result<Backup, CopyError> {
    let progress = ProgressReport::start("backing up");
    let mut partial = OsString::from(file);
    partial.push(".partial");
    watching_size(&progress, "backing up", (partial.as_ref(), backup::backup(url, file))).await
}

impl BackupArgs {
    fn print(&self, Backup { accounts, size, digest }: Backup) -> Result<(), Failure> {
        let file = match (is_pipe(&self.file), self.verify) {
            (true, true) => "standard input".to_owned(),
            (true, false) => "standard output".to_owned(),
            (false, _) => self.file.display().to_string(),
        };
        let taken = Taken { file, accounts, size_bytes: size, digest };
        let whole = if self.verify { "is whole: it " } else { "" };
        let text =
            rendered(self.output, &taken, |Taken { file, accounts, size_bytes, digest }| {
                format!("{file} {whole}has {accounts} accounts in {size_bytes} bytes, {digest}\n")
            })?;
        // Standard output has the backup itself.
        if is_pipe(&self.file) && !self.verify {
            eprint!("{text}");
            return Ok(());
        }
        Ok(print(&text)?)
    }
}
