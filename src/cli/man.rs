//! `roster man DIR`, for those who package roster: hidden, as helm and kubectl-like tools have it.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::crds::create_folder;
use super::{Failure, command, examples};

/// Arguments of `roster man`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[("Read a manual page without installing it", "roster man man1 && man -l man1/roster-plan.1")]))]
pub(super) struct ManArgs {
    /// The folder, which is created if it doesn't exist.
    #[arg(value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

/// Writes a page for roster and one for each subcommand.
pub(super) fn run(arguments: &ManArgs) -> Result<(), Failure> {
    let ManArgs { dir } = arguments;
    create_folder(dir)?;
    clap_mangen::generate_to(command(), dir)
        .map_err(|error| format!("{}: {error}", dir.display()).into())
}
