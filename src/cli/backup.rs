//! `roster backup [--verify] FILE`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Failure, block_on, print};
use crate::config::{Output, Shared};
use crate::store::sql::backup::{self, Backup, CopyError};

/// Arguments of `roster backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write; it mustn't be there yet. It holds personal data and password hashes.
    file: PathBuf,
    /// Takes no backup, and says whether FILE is what it was when it was taken: with exit code 1
    /// where it isn't, or where that can't be told because it has no digest. No store is needed.
    #[arg(long)]
    verify: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
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
pub(super) fn run(shared: &Shared, arguments: &BackupArgs) -> Result<ExitCode, Failure> {
    let BackupArgs { file, verify, output } = arguments;
    let found = block_on(async {
        Ok(if *verify {
            backup::verify(file).await
        } else {
            backup::backup(&shared.store, file).await
        })
    })?;
    match found {
        Ok(backup) => arguments.print(backup, *output)?,
        Err(error) if *verify && error.is_about_content() => return Ok(refuse(error)),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(error: CopyError) -> ExitCode {
    eprintln!("roster: {error}");
    ExitCode::from(1)
}

impl BackupArgs {
    fn print(
        &self,
        Backup { accounts, size, digest }: Backup,
        output: Output,
    ) -> Result<(), Failure> {
        let taken =
            Taken { file: self.file.display().to_string(), accounts, size_bytes: size, digest };
        let whole = if self.verify { "is whole: it " } else { "" };
        Ok(print(&match output {
            Output::Json => serde_json::to_string_pretty(&taken)? + "\n",
            Output::Yaml => serde_saphyr::to_string(&taken)?,
            Output::Table => format!(
                "{} {whole}has {accounts} accounts in {size} bytes, {}\n",
                taken.file, taken.digest
            ),
        })?)
    }
}
