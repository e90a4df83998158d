//! The command line, from clap.

use std::fmt::Write;

use clap::{Arg, Command};

use super::cell;

const HEAD: &str = "\
# Command line

`roster COMMAND --help` prints the same in a terminal. Every command exits with 2 for a fault and for a wrong flag; what 0 and 1
mean stands with each. A password is read from standard input, or from a terminal without echo.
";

/// Returns the page.
pub(super) fn page() -> String {
    let mut root = roster::cli::command();
    root.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Options of every command\n");
    let shared = |arg: &&Arg| arg.is_global_set();
    table(&mut page, root.get_arguments().filter(shared));
    for command in commands(&root) {
        describe(&mut page, command, "roster", 2);
    }
    page
}

fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| it.get_name() != "help")
}

fn describe(page: &mut String, command: &Command, above: &str, level: usize) {
    let name = format!("{above} {}", command.get_name());
    let _ = write!(page, "\n{} {name}\n", "#".repeat(level));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = write!(page, "\n{}\n", about.to_string().replace('<', "&lt;"));
    }
    if commands(command).next().is_none() {
        let usage = command.clone().render_usage().to_string();
        let _ = write!(page, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    }
    table(page, command.get_arguments().filter(|arg| !arg.is_global_set()));
    for command in commands(command) {
        describe(page, command, &name, level + 1);
    }
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let is_ours = |arg: &&Arg| !["help", "version"].contains(&arg.get_id().as_str());
    let mut arguments = arguments.filter(is_ours).filter(|arg| !arg.is_hide_set()).peekable();
    if arguments.peek().is_none() {
        return;
    }
    page.push_str("\n| argument | meaning |\n|---|---|\n");
    for arg in arguments {
        let _ = writeln!(page, "| `{}` | {} |", name(arg).replace('|', "\\|"), cell(&meaning(arg)));
    }
}

fn name(arg: &Arg) -> String {
    let values: Vec<&str> =
        arg.get_value_names().into_iter().flatten().map(|name| name.as_str()).collect();
    let takes_value = arg.get_action().takes_values();
    let value = if takes_value { values.join(" ") } else { String::new() };
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    match (short, long) {
        (Some(short), Some(long)) => format!("{short}, {long} {value}"),
        (Some(one), None) | (None, Some(one)) => format!("{one} {value}"),
        (None, None) => value,
    }
    .trim()
    .to_owned()
}

fn meaning(arg: &Arg) -> String {
    let mut text =
        arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    if !text.ends_with(['.', ']']) {
        text.push('.');
    }
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|it| format!("`{}`", it.to_string_lossy())).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(text, " Default {}.", defaults.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Also `{}`.", variable.to_string_lossy());
    }
    if arg.is_required_set() {
        text.push_str(" Required.");
    }
    text
}
