//! The command line: one file per subcommand.

mod crds;
mod run;
mod table;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Shared;
use crate::telemetry;

/// People declared as Kubernetes resources become accounts in a store.
#[derive(Debug, Parser)]
#[command(name = "roster", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the operator, in the cluster or with a KUBECONFIG.
    Run(run::Arguments),
    /// Prints the live accounts as the store has them, sorted by email.
    Users(users::Arguments),
    /// Prints the custom resource definitions, or writes them into a folder.
    Crds(crds::Arguments),
}

/// Why a subcommand failed; what is printed is its text with all causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Does what the command line asks for. Exits with 2 for a fault, like a wrong flag does.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { shared, command } = Cli::parse();
    let done = match command {
        Command::Run(arguments) => run::run(&shared, arguments),
        Command::Users(arguments) => users::run(&shared, &arguments),
        Command::Crds(arguments) => crds::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(failure) if is_broken_pipe(failure.as_ref()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("roster: {}", telemetry::chain(failure.as_ref()));
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(failure: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    failure.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
