//! The command line: one file per subcommand.

mod backup;
mod billing;
mod completion;
mod copy;
mod crds;
mod doctor;
mod import;
mod login;
mod man;
mod password_policy;
mod piped;
mod plan;
mod progress;
mod prompt;
mod restore;
mod run;
mod self_service;
mod table;
mod users;
mod why;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::builder::styling::Style;
use clap::{Args, CommandFactory, Parser, Subcommand};
use serde::Serialize;

use self::run::namespace;
use crate::config::{Output, StoreArgs};
use crate::domain::account::Account;
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::redact;
use crate::store::Store;
use crate::store::sql::SqlStore;
use crate::store::sql::about_file;

/// A Kubernetes operator for the people of an organization: users, groups and email domains become
/// accounts.
#[derive(Debug, Parser)]
#[command(name = "roster", version, propagate_version = true, after_help = examples(&[
    ("Install the resource definitions, and run the operator on a store in a file",
     "roster crds | kubectl apply -f -\n  roster run --store 'sqlite://roster.db?mode=rwc'"),
    ("See what manifests would change before they are applied", "roster plan -f users/ -n acme"),
    ("List the accounts of an organization", "roster users -n acme"),
]))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the operator, in the cluster or with a KUBECONFIG.
    ///
    /// Exit status: 0 after SIGTERM or SIGINT, 1 if another operator took over, 2 for an error.
    Run(run::RunArgs),
    /// Lists the accounts of the store, sorted by email.
    Users(users::UsersArgs),
    /// Prints who is billed for a calendar month.
    Billing(billing::BillingArgs),
    /// Explains every path by which a User holds a permission, or why it holds it by none.
    ///
    /// Exit status: 0 if the User holds the permission, 1 if not, 2 for an error.
    Why(why::WhyArgs),
    /// Prints a new User with the profile, the role and the teams of another.
    Copy(copy::CopyArgs),
    /// Shows what the operator would do with manifests, and changes nothing.
    ///
    /// Reads the store alone: neither the cluster nor a Secret.
    ///
    /// Exit status: 0 if nothing is refused, 1 if something is, 2 for an error.
    Plan(plan::PlanArgs),
    /// Prints manifests of the accounts that no User owns, or of the people of a directory.
    Import(import::ImportArgs),
    /// Copies the store into a file while it is in use, or verifies such a file.
    ///
    /// Exit status: 0 for success, 1 if a file to verify isn't intact, 2 for an error.
    Backup(backup::BackupArgs),
    /// Replaces the store by a backup, completely or not at all, and keeps the former store.
    Restore(restore::RestoreArgs),
    /// Finds problems in the store and in the cluster, with a cure for each. Prints names of people.
    ///
    /// Exit status: 0 if there are none, 1 if there are some, 2 for an error.
    Doctor(doctor::DoctorArgs),
    /// Checks a password, read from standard input, as an application would.
    ///
    /// Exit status: 0 if the account may log in, 1 if not, for any reason, 2 for an error.
    Login(login::LoginArgs),
    /// Changes a member's own profile or password; reads the password from standard input.
    ///
    /// Exit status: 0 if it was changed, 1 if it was refused, 2 for an error.
    #[command(name = "self")]
    SelfService(self_service::SelfArgs),
    /// Prints the requirements for passwords.
    PasswordPolicy(password_policy::PasswordPolicyArgs),
    /// Prints the custom resource definitions, or writes them into a folder.
    Crds(crds::CrdsArgs),
    /// Prints a script that completes roster's commands and options in a shell.
    Completion(completion::CompletionArgs),
    /// Writes the manual pages into a folder.
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Which organizations a subcommand prints.
#[derive(Debug, Args)]
struct NamespaceFilter {
    /// Only this organization, by the name of its namespace.
    #[arg(short, long, alias = "organization", value_parser = namespace, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Every organization, as without -n.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
}

/// Why a subcommand failed; what is printed is its text with all causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command line. Exits with 2 for an error, as for a wrong option.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse_from(leading_last(std::env::args_os().collect()));
    let done = |()| ExitCode::SUCCESS;
    let outcome = match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Users(arguments) => users::run(&arguments).map(done),
        Command::Billing(arguments) => billing::run(&arguments).map(done),
        Command::Why(arguments) => why::run(&arguments),
        Command::Copy(arguments) => copy::run(&arguments).map(done),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Import(arguments) => import::run(&arguments).map(done),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments).map(done),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Login(arguments) => login::run(&arguments),
        Command::SelfService(arguments) => self_service::run(&arguments),
        Command::PasswordPolicy(arguments) => password_policy::run(&arguments).map(done),
        Command::Crds(arguments) => crds::run(&arguments).map(done),
        Command::Completion(arguments) => completion::run(&arguments).map(done),
        Command::Man(arguments) => man::run(&arguments).map(done),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("roster: {}", redact::chain(failure.as_ref()));
        ExitCode::from(2)
    })
}

/// Returns the command line with all subcommands and options, for references that are generated.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Moves `--store` and `--clock-offset` from before the subcommand to the end: they were options of
/// every subcommand once, and scripts have them there.
fn leading_last(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let mut leading = vec![];
    while let Some(text) = arguments.get(1).and_then(|argument| argument.to_str()) {
        let (name, has_value) =
            text.split_once('=').map_or((text, false), |(name, _)| (name, true));
        if !["--store", "--clock-offset"].contains(&name) {
            break;
        }
        let end = arguments.len().min(if has_value { 2 } else { 3 });
        leading.extend(arguments.drain(1..end));
    }
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    arguments.splice(end..end, leading);
    arguments
}

/// Returns the examples below a help text: what each is for, and the command.
fn examples(examples: &[(&str, &str)]) -> String {
    let heading = Style::new().bold().underline();
    let mut text = format!("{heading}Examples:{heading:#}");
    for (number, (purpose, command)) in examples.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        text += &format!("{gap}\n  # {purpose}\n  {command}");
    }
    text
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

/// Returns a value in the format that was chosen; `table` makes the one for people.
fn rendered<T: Serialize>(
    output: Output,
    value: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<String, Failure> {
    Ok(match output {
        Output::Json => serde_json::to_string_pretty(value)? + "\n",
        Output::Yaml => serde_saphyr::to_string(value)?,
        Output::Table => table(value),
    })
}

/// Opens the store that the arguments name.
async fn open(arguments: &StoreArgs) -> Result<SqlStore, Failure> {
    Ok(SqlStore::open_existing(&arguments.url()?).await?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, parsed: &str) {
        let given = given.split(' ').map(OsString::from).collect();
        assert_eq!(leading_last(given).join(" ".as_ref()), parsed);
    }

    #[test]
    fn the_store_may_be_named_before_the_subcommand() {
        check("roster users --store x", "roster users --store x");
        check("roster --store x users -n acme", "roster users -n acme --store x");
        check("roster --store=x --clock-offset +1d run", "roster run --store=x --clock-offset +1d");
        check("roster --store x login -- -alice", "roster login --store x -- -alice");
        check("roster --store", "roster --store");
        check("roster --version", "roster --version");
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
