//! `roster restore FILE`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::piped::{CopyFailure, from_standard_input, is_pipe};
use super::progress::ProgressReport;
use super::{Failure, block_on, examples, print, rendered};
use crate::config::{Output, Shared};
use crate::store::sql::backup::{self, CopyError, DigestCheck, Restored, Unproven};

/// Arguments of `roster restore`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Stop the operator, restore its store, and start it again",
     "kubectl scale deployment roster -n roster-system --replicas=0\n  roster restore roster-2026-12-01.db --store sqlite:///var/lib/roster/roster.db"),
    ("Decrypt a backup on the way into a new store", "age -d -i key.txt roster.db.age | roster restore - --store 'sqlite://roster.db?mode=rwc'"),
]))]
pub(super) struct RestoreArgs {
    /// The backup, of this version or an older one, which stays as it is, or `-` for standard
    /// input.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Restores a backup that differs from its digest, as far as it can be read: values in it may
    /// be wrong without a sign.
    #[arg(long)]
    accept_changed: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    shared: Shared,
}

/// A restored store as `roster restore` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    accounts: i64,
    kept: Option<String>,
}

/// Restores the store and prints what it has now, and where the former store is.
pub(super) fn run(arguments: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { file, accept_changed: _, output, shared: _ } = arguments;
    let is_piped = is_pipe(file);
    let Restored { accounts, kept, unproven } = block_on(async {
        let url = arguments.shared.store.url_to_create()?;
        Ok(if is_piped {
            from_standard_input(async |file| arguments.restore(&url, file).await).await?
        } else {
            arguments.restore(&url, file).await.map_err(CopyFailure::from)
        }?)
    })?;
    let file = if is_piped { Path::new("standard input") } else { file };
    match unproven {
        Some(Unproven::NoDigest) => {
            eprintln!("roster: warning: {}", CopyError::NoDigest(file.to_owned()))
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
    Ok(print(&rendered(*output, &now, sentence)?)?)
}

impl RestoreArgs {
    async fn restore(&self, url: &str, file: &Path) -> Result<Restored, CopyError> {
        let check = if self.accept_changed { DigestCheck::Structure } else { DigestCheck::Digest };
        let _progress = ProgressReport::start("restoring");
        backup::restore(url, (file, check), self.shared.clock().now()).await
    }
}

fn sentence(Now { accounts, kept }: &Now) -> String {
    match kept {
        Some(kept) => {
            format!("the store has {accounts} accounts; what was there before is kept in {kept}\n")
        }
        None => format!("the store has {accounts} accounts; nothing was there before\n"),
    }
}
