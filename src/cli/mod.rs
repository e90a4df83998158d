//! The command line: one file per subcommand.

mod backup;
mod billing;
mod copy;
mod crds;
mod doctor;
mod import;
mod login;
mod password_policy;
mod plan;
mod prompt;
mod restore;
mod run;
mod self_service;
mod table;
mod users;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Shared;
use crate::domain::account::Account;
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::redact;
use crate::store::Store;
use crate::store::sql::about_file;

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
    ///
    /// Exits with 0 when told to stop, with 1 where another has taken over, with 2 for a fault.
    Run(run::RunArgs),
    /// Prints the live accounts as the store has them, sorted by email.
    Users(users::UsersArgs),
    /// Prints who is billed for a calendar month.
    Billing(billing::BillingArgs),
    /// Explains every way by which a User holds a permission, or why it holds it by none.
    ///
    /// Exits with 0 where the permission is held, with 1 where it isn't, with 2 for a fault.
    Why(why::WhyArgs),
    /// Prints a User that copies the profile, the role and the teams of another and stands by
    /// itself.
    Copy(copy::CopyArgs),
    /// Says what the operator would make of manifests, and changes nothing.
    ///
    /// Goes by the store alone: no cluster is asked, and no Secret is read. Exits with 0 where
    /// nothing is refused, with 1 where something is, with 2 for a fault.
    Plan(plan::PlanArgs),
    /// Prints manifests of the accounts that no User owns, or of the people of a directory.
    Import(import::ImportArgs),
    /// Copies the store into a file, also while the operator runs, or says whether such a file is
    /// whole.
    ///
    /// Exits with 0 where it is, with 1 where a file to verify isn't, with 2 for a fault.
    Backup(backup::BackupArgs),
    /// Brings the store to what a backup has, whole or not at all, and keeps what was there before.
    Restore(restore::RestoreArgs),
    /// Looks for what is amiss in the store and in the cluster, and says what helps. Names people.
    ///
    /// Exits with 0 where nothing is, with 1 where something is, with 2 for a fault.
    Doctor(doctor::DoctorArgs),
    /// Prints the custom resource definitions, or writes them into a folder.
    Crds(crds::CrdsArgs),
    /// Checks a password, read from standard input, as an application would.
    ///
    /// Exits with 0 where the person may log in, with 1 where they are refused, whatever the
    /// reason, with 2 for a fault.
    Login(login::LoginArgs),
    /// Changes one's own details or password; the password is read from standard input.
    ///
    /// Exits with 0 where it is changed, with 1 where it is refused, with 2 for a fault.
    #[command(name = "self")]
    SelfService(self_service::SelfArgs),
    /// Prints what a password must be.
    PasswordPolicy(password_policy::PasswordPolicyArgs),
}

/// Why a subcommand failed; what is printed is its text with all causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Returns the whole command line, for what describes it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the command line asks for. Exits with 2 for a fault, like a wrong flag does.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { shared, command } = Cli::parse();
    let done = |()| ExitCode::SUCCESS;
    let outcome = match command {
        Command::Run(arguments) => run::run(&shared, arguments),
        Command::Users(arguments) => users::run(&shared, &arguments).map(done),
        Command::Billing(arguments) => billing::run(&shared, &arguments).map(done),
        Command::Why(arguments) => why::run(&shared, &arguments),
        Command::Copy(arguments) => copy::run(&shared, &arguments).map(done),
        Command::Plan(arguments) => plan::run(&shared, &arguments),
        Command::Import(arguments) => import::run(&shared, &arguments).map(done),
        Command::Backup(arguments) => backup::run(&shared, &arguments),
        Command::Restore(arguments) => restore::run(&shared, &arguments).map(done),
        Command::Doctor(arguments) => doctor::run(&shared, &arguments),
        Command::Crds(arguments) => crds::run(&arguments).map(done),
        Command::Login(arguments) => login::run(&shared, &arguments),
        Command::SelfService(arguments) => self_service::run(&shared, &arguments),
        Command::PasswordPolicy(arguments) => password_policy::run(&arguments).map(done),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("roster: {}", redact::chain(failure.as_ref()));
        ExitCode::from(2)
    })
}

/// Prints a text. A closed pipe is no error: the reader has seen enough.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            let why = about_file(&error);
            Err(std::io::Error::new(
                error.kind(),
                format!("standard output can't be written to: {why}"),
            ))
        }
        Ok(()) => Ok(()),
    }
}

/// Returns the accounts of an organization in which a `User` has one.
///
/// # Errors
/// When it has none, or the organization has none at all.
async fn accounts_of(
    store: &impl Store,
    namespace: &str,
    user: &str,
) -> Result<Vec<Account>, Failure> {
    let accounts = store.list(Some(namespace)).await?;
    if accounts.is_empty() {
        return Err(format!(
            "the store has no accounts of an organization {namespace}: name its namespace with -n"
        )
        .into());
    }
    if accounts.iter().any(|account| account.owner.name == user) {
        return Ok(accounts);
    }
    let (login_name, entered) = (LoginName::entered(user), user.trim());
    let email = Email::parse(entered).ok();
    let is_meant = |account: &&Account| {
        let of_account = &account.content.email;
        // A copy's placeholder is no address, and is known by its text.
        account.login_name == login_name
            || Some(of_account) == email.as_ref()
            || of_account.as_str().eq_ignore_ascii_case(entered)
    };
    Err(match accounts.iter().find(is_meant) {
        Some(account) => format!("{user} isn't the name of a User of {namespace}: that account's User is {}", account.owner.name),
        None => format!("no User {user} of {namespace} has an account: if there is one, kubectl get users.roster.rs {user} -n {namespace} -o wide says why"),
    }
    .into())
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
