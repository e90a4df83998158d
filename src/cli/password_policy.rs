//! `roster password-policy`

use clap::Args;
use serde::Serialize;
use strum::IntoEnumIterator;

use super::{Failure, examples, print, rendered};
use crate::config::Output;
use crate::domain::password::{MAXIMUM_LENGTH, MINIMUM_LENGTH, MINIMUM_SCORE, Requirement};

/// Arguments of `roster password-policy`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("The bounds, for a form that checks them early", "roster password-policy -o json | jq '{minimumLength, maximumLength}'"),
]))]
pub(super) struct PasswordPolicyArgs {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// The requirements, as `roster password-policy` shows them.
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

/// Prints the requirements for passwords.
pub(super) fn run(arguments: &PasswordPolicyArgs) -> Result<(), Failure> {
    let line = |name: Requirement| Line { name, text: format!("A password {name}.") };
    let policy = Policy {
        minimum_length: MINIMUM_LENGTH,
        maximum_length: MAXIMUM_LENGTH,
        minimum_score: u8::from(MINIMUM_SCORE),
        requirements: Requirement::iter().map(line).collect(),
    };
    Ok(print(&rendered(arguments.output, &policy, sentences)?)?)
}

fn sentences(Policy { requirements, .. }: &Policy) -> String {
    let listed: String = requirements.iter().map(|Line { text, .. }| format!("{text}\n")).collect();
    listed + "No kinds of characters are required; blanks and every script are allowed.\n"
}
