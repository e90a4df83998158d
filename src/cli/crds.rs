//! `roster crds [DIR]`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::{Failure, examples, print};
use crate::api::schema;

/// Arguments of `roster crds`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Install them", "roster crds | kubectl apply -f -"),
    ("Keep them in a repository", "roster crds manifests/crds"),
]))]
pub(super) struct CrdsArgs {
    /// Writes one file per kind into this folder, which is created if it doesn't exist, instead of
    /// printing.
    #[arg(value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Prints the CRDs as YAML, or writes them.
pub(super) fn run(arguments: &CrdsArgs) -> Result<(), Failure> {
    if let Some(dir) = &arguments.dir {
        create_folder(dir)?;
    }
    for (file, crd) in schema::crds() {
        let yaml = serde_saphyr::to_string(&crd)?;
        match &arguments.dir {
            Some(dir) => std::fs::write(dir.join(file), yaml)
                .map_err(|error| format!("{}: {error}", dir.join(file).display()))?,
            None => print(&format!("---\n{yaml}"))?,
        }
    }
    Ok(())
}

/// Creates a folder and those above it, unless they are there.
pub(super) fn create_folder(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()).into())
}
