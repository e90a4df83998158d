//! `roster password-policy`

use clap::Args;
use serde::Serialize;
use strum::IntoEnumIterator;

use super::{Failure, print};
use crate::config::Output;
use crate::domain::password::{MAXIMUM_LENGTH, MINIMUM_LENGTH, MINIMUM_SCORE, Requirement};

/// Arguments of `roster password-policy`.
#[derive(Debug, Args)]
pub(super) struct PasswordPolicyArgs {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What a password must be, as `roster password-policy` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    minimum_length: usize,
    maximum_length: usize,
    minimum_score: u8,
    requirements: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: Requirement,
    text: String,
}

/// Prints what a password must be.
pub(super) fn run(arguments: &PasswordPolicyArgs) -> Result<(), Failure> {
    let line = |name: Requirement| Line { name, text: format!("A password {name}.") };
    let policy = Policy {
        minimum_length: MINIMUM_LENGTH,
        maximum_length: MAXIMUM_LENGTH,
        minimum_score: u8::from(MINIMUM_SCORE),
        requirements: Requirement::iter().map(line).collect(),
    };
    let text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&policy)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&policy)?,
        Output::Table => sentences(&policy.requirements),
    };
    Ok(print(&text)?)
}

fn sentences(lines: &[Line]) -> String {
    let listed: String = lines.iter().map(|Line { text, .. }| format!("{text}\n")).collect();
    listed + "No kinds of characters are asked for; blanks and every script are welcome.\n"
}
