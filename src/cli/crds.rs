//! `roster crds [DIR]`

use std::path::PathBuf;

use clap::Args;

use super::{Failure, print};
use crate::api::schema;

/// Arguments of `roster crds`.
#[derive(Debug, Args)]
pub(super) struct CrdsArgs {
    /// Writes one file per kind into this folder instead of printing.
    dir: Option<PathBuf>,
}

/// Prints the CRDs as YAML, or writes them.
pub(super) fn run(arguments: &CrdsArgs) -> Result<(), Failure> {
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
