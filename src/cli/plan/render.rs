//! What becomes of manifests, as people read it.

use std::fmt::Write as _;

use serde_json::Value;

use super::diff::{Action, Change, Invalid, PlanOutcome, PlanRow};
use crate::cli::table::table;

/// Returns the outcome as text: a line for each object, and below it what changes, what is refused
/// and what is to be known.
pub(super) fn text(outcome: &PlanOutcome) -> String {
    let PlanOutcome { objects, consequences, undeclared, invalid } = outcome;
    let cells: Vec<[String; 4]> = objects
        .iter()
        .map(|row| {
            [
                row.namespace.clone(),
                row.kind.to_owned(),
                row.name.clone(),
                <&str>::from(row.action).to_owned(),
            ]
        })
        .collect();
    let mut text = String::new();
    let lines = table(["NAMESPACE", "KIND", "NAME", "ACTION"], &cells);
    let mut lines = lines.lines();
    text += lines.next().unwrap_or_default();
    text.push('\n');
    for (line, row) in lines.zip(objects) {
        text += line;
        text.push('\n');
        for detail in details(row) {
            let _ = writeln!(text, "    {detail}");
        }
    }
    if !invalid.is_empty() {
        text += "\nWhat is refused beside them\n";
    }
    for Invalid { place, message } in invalid {
        let _ = writeln!(text, "{place}: refused: Invalid: {message}");
    }
    if !consequences.is_empty() {
        text += "\nWhat follows for others\n";
    }
    for consequence in consequences {
        let mut said = permissions(&consequence.permissions_gained, &consequence.permissions_lost);
        said.push(format!("because {} {}", consequence.user, consequence.because));
        let _ =
            writeln!(text, "{}/{}: {}", consequence.namespace, consequence.user, said.join("; "));
    }
    text.push('\n');
    for undeclared in undeclared {
        let (accounts, namespace) = (undeclared.accounts, &undeclared.namespace);
        let (have, a) = if accounts == 1 { ("account", "has") } else { ("accounts", "have") };
        let _ = writeln!(
            text,
            "{accounts} {have} of {namespace} in the store {a} no User in these files; nothing is deleted by absence."
        );
    }
    text + &summary(outcome)
}

fn details(row: &PlanRow) -> Vec<String> {
    let change = |Change { field, before, after }: &Change| match before {
        Value::Null => format!("{field}: {}", value(after)),
        before => format!("{field}: {} -> {}", value(before), value(after)),
    };
    let mut details: Vec<String> = row.changes.iter().map(change).collect();
    details.extend(permissions(&row.permissions_gained, &row.permissions_lost));
    details
        .extend(row.refused.iter().map(|why| format!("refused: {}: {}", why.reason, why.message)));
    details.extend(row.notes.iter().map(|note| format!("note: {note}")));
    details
}

fn permissions(gained: &[String], lost: &[String]) -> Vec<String> {
    let line = |what: &str, permissions: &[String]| {
        (!permissions.is_empty()).then(|| format!("{what}: {}", permissions.join(",")))
    };
    [line("permissions gained", gained), line("permissions lost", lost)]
        .into_iter()
        .flatten()
        .collect()
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn summary(outcome: &PlanOutcome) -> String {
    let count = |action: Action| outcome.objects.iter().filter(|row| row.action == action).count();
    let refused = outcome.objects.iter().filter(|row| !row.refused.is_empty()).count()
        + outcome.invalid.len();
    format!(
        "{} to create, {} to take over, {} to change, {} unchanged, {refused} with something refused.\n",
        count(Action::Create),
        count(Action::Adopt) + count(Action::TakeBack),
        count(Action::Change),
        count(Action::Unchanged),
    )
}
