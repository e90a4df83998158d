//! `roster completion SHELL`

use clap::Args;
use clap_complete::Shell;

use super::{Failure, command, examples, print};

/// Arguments of `roster completion`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Complete in this bash, and in every new one", "source <(roster completion bash)\n  roster completion bash > ~/.local/share/bash-completion/completions/roster"),
    ("Complete in every new zsh", "roster completion zsh > \"${fpath[1]}/_roster\""),
]))]
pub(super) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(arguments: &CompletionArgs) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(arguments.shell, &mut command(), "roster", &mut script);
    Ok(print(&String::from_utf8(script)?)?)
}
