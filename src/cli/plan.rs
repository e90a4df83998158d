//! `roster plan -f FILES`: what the operator would make of manifests, judged on a copy of the
//! store.
//!
//! The steps, each in a file of its own: [`files`] reads texts, [`documents`] takes them apart as
//! `kubectl` does, [`manifests`] takes the objects out of them, [`schema`] and [`metadata`] validate
//! these as the API server would, [`simulate`] runs the
//! reconciler's own observe, decide and commit on a copy of the store until nothing changes any
//! more, [`diff`] compares the copy with the store, [`warnings`] adds what kubectl would print, and
//! [`render`] formats it.

mod diff;
mod documents;
mod files;
mod manifests;
mod metadata;
mod render;
pub(super) mod schema;
mod simulate;
mod warnings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::diff::PlanOutcome;
use self::manifests::Manifests;
use self::schema::Schemas;
use self::warnings::WarningPolicy;
use super::{Failure, block_on, run::namespace};
use crate::config::{Output, Shared};
use crate::store::sql::SqlStore;

/// Arguments of `roster plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Manifests: files, folders with all that is below them (*.yaml, *.yml, *.json), or `-` for
    /// standard input.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "FILES")]
    filenames: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, value_parser = namespace, default_value = "default", value_name = "NS")]
    namespace: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Tells what would become of the manifests: exit code 1 where something is refused.
pub(super) fn run(shared: &Shared, arguments: &PlanArgs) -> Result<ExitCode, Failure> {
    let PlanArgs { filenames, namespace, output } = arguments;
    let schemas = Schemas::new()?;
    let declared = manifests::parse(files::read(filenames)?, namespace, &schemas);
    for note in &declared.skipped {
        eprintln!("note: {note}");
    }
    let outcome = block_on(outcome(shared, declared, &schemas))?;
    super::print(&match output {
        Output::Json => serde_json::to_string_pretty(&outcome)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&outcome)?,
        Output::Table => render::text(&outcome),
    })?;
    Ok(if outcome.is_refused() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn outcome(
    shared: &Shared,
    mut declared: Manifests,
    schemas: &Schemas,
) -> Result<PlanOutcome, Failure> {
    let store = SqlStore::open_existing(&shared.store).await?;
    let now = shared.clock().now();
    let copy = simulate::copy_store(&store, &declared, now).await?;
    store.close().await;
    manifests::validate_edits(&mut declared, &copy.before.accounts, schemas);
    let before = copy.before.clone();
    let simulated = simulate::run_until_unchanged(copy, &declared, now).await?;
    Ok(diff::compare(&declared, &before, &simulated, &WarningPolicy::shipped()?))
}
