//! `roster restore FILE`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Failure, block_on, print};
use crate::config::{Output, Shared};
use crate::store::sql::backup::{self, CopyError, DigestCheck, Restored, Unproven};

/// Arguments of `roster restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup, of this version or an older one; it stays as it is.
    file: PathBuf,
    /// Restores a backup that isn't what its digest says, as far as it can be read: values in it
    /// may be wrong without a sign.
    #[arg(long)]
    accept_changed: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// A restored store as `roster restore` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    accounts: i64,
    kept: Option<String>,
}

/// Restores the store and says what it has now, and where what was there before is.
pub(super) fn run(shared: &Shared, arguments: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { file, accept_changed, output } = arguments;
    let trust = if *accept_changed { DigestCheck::Structure } else { DigestCheck::Digest };
    let restored = block_on(async {
        Ok(backup::restore(&shared.store, (file, trust), shared.clock().now()).await?)
    })?;
    let Restored { accounts, kept, unproven } = restored;
    match unproven {
        Some(Unproven::NoDigest) => {
            eprintln!("roster: warning: {}", CopyError::NoDigest(file.clone()))
        }
        Some(Unproven::Changed) => {
            eprintln!(
                "roster: warning: {} isn't what its digest says: values in the store may be wrong",
                file.display()
            );
        }
        None => {}
    }
    let now = Now { accounts, kept: kept.map(|path| path.display().to_string()) };
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&now)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&now)?,
        Output::Table => sentence(&now),
    };
    Ok(print(&text)?)
}

fn sentence(Now { accounts, kept }: &Now) -> String {
    match kept {
        Some(kept) => {
            format!("the store has {accounts} accounts; what was there before is kept in {kept}\n")
        }
        None => format!("the store has {accounts} accounts; nothing was there before\n"),
    }
}
