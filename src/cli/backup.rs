//! `roster backup FILE`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Failure, block_on, print};
use crate::config::{Output, Shared};
use crate::store::sql::backup::{self, Backup};

/// Arguments of `roster backup`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file to write; it mustn't be there yet. It holds personal data and password hashes.
    file: PathBuf,
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
}

/// Takes a backup and says what is in it.
pub(super) fn run(shared: &Shared, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { file, output } = arguments;
    let Backup { accounts, size } = block_on(async { Ok(backup::backup(&shared.store, file).await?) })?;
    let taken = Taken { file: file.display().to_string(), accounts, size_bytes: size };
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&taken)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&taken)?,
        Output::Table => format!("{} has {accounts} accounts in {size} bytes\n", taken.file),
    };
    Ok(print(&text)?)
}
