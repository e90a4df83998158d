//! `roster plan -f FILES`: what the operator would do with manifests, simulated on a copy of the
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

use clap::{Args, ValueHint};

use self::diff::PlanOutcome;
use self::manifests::Manifests;
use self::schema::Schemas;
use self::warnings::WarningPolicy;
use super::progress::ProgressReport;
use super::run::namespace;
use super::{Failure, block_on, examples, open, print, rendered};
use crate::config::{Output, Shared};

/// Arguments of `roster plan`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Review a folder of manifests", "roster plan -f users/"),
    ("Review a commit in Git", "git show HEAD:users/alice.yaml | roster plan -n acme -f -"),
    ("Whom a change gives or takes permissions", "roster plan -f users/ -o json | jq '.consequences'"),
]))]
pub(super) struct PlanArgs {
    /// Manifests: files, folders with everything below them (*.yaml, *.yml, *.json), or `-` for
    /// standard input.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "FILES", value_hint = ValueHint::AnyPath)]
    filenames: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, alias = "organization", value_parser = namespace, default_value = "default", value_name = "NAMESPACE")]
    namespace: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    shared: Shared,
}

/// Prints what would change: exit code 1 if something is refused.
pub(super) fn run(arguments: &PlanArgs) -> Result<ExitCode, Failure> {
    let PlanArgs { filenames, namespace, output, shared } = arguments;
    let progress = ProgressReport::start("reading the manifests");
    let schemas = Schemas::new()?;
    let declared = manifests::parse(files::read(filenames)?, namespace, &schemas);
    for note in &declared.skipped {
        progress.note(&format!("note: {note}"));
    }
    let outcome = block_on(outcome(shared, declared, &schemas, &progress))?;
    drop(progress);
    print(&rendered(*output, &outcome, render::text)?)?;
    Ok(if outcome.is_refused() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn outcome(
    shared: &Shared,
    mut declared: Manifests,
    schemas: &Schemas,
    progress: &ProgressReport,
) -> Result<PlanOutcome, Failure> {
    progress.step("reading the store", 0);
    let store = open(&shared.store).await?;
    let now = shared.clock().now();
    let copy = simulate::copy_store(&store, &declared, now).await?;
    store.close().await;
    manifests::validate_edits(&mut declared, &copy.before.accounts, schemas);
    let before = copy.before.clone();
    let simulated = simulate::run_until_unchanged(copy, &declared, now, progress).await?;
    Ok(diff::compare(&declared, &before, &simulated, &WarningPolicy::shipped()?))
}
