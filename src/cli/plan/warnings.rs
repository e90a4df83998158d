//! What `kubectl` prints as warnings when a `User` is applied, for those who don't apply it with
//! kubectl.
//!
//! The texts are those of `deploy/policies/please-note.yaml`; a test compares them.

use crate::api::UserSpec;
use crate::api::user::DesiredState;
use crate::domain::account::{Account, LoginState, Source};
use crate::domain::permission;

/// Returns what is to be noted about a `User` of this name, whose account is as it was before;
/// without one it is new, as it is where the account was let go of.
pub(super) fn notes(name: &str, spec: &UserSpec, before: Option<&Account>) -> Vec<String> {
    let own = spec.permissions.clone().unwrap_or_default();
    let grants = permission::parse_all(&own.grants);
    let from = own.from.as_ref().map(|from| from.name.as_str());
    let Some(Account { content, .. }) = before else {
        let adds = !grants.is_empty() || from.is_some();
        return match spec.charge_approved {
            true => vec![charge(name)],
            false => [no_account(name)]
                .into_iter()
                .chain(adds.then(|| no_account_by_permissions(name)))
                .collect(),
        };
    };
    let source_changes =
        content.source.as_ref().is_some_and(|source| Some(Source::from(source)) != from);
    let removes = !content.grants.is_subset(&grants) || source_changes;
    let leaves = content.group != spec.group_ref.name;
    let disables = content.lifecycle == LoginState::Enabled && spec.state == DesiredState::Disabled;
    let notes = [
        removes.then(|| removed(name)),
        leaves.then(|| left(name, &content.group)),
        disables.then(|| disabled(name)),
    ];
    notes.into_iter().flatten().collect()
}

fn no_account(name: &str) -> String {
    format!(
        "no account is created for {name} until spec.chargeApproved is true; from then on an additional charge applies for every calendar month in which the account exists, also while disabled"
    )
}

fn charge(name: &str) -> String {
    format!(
        "an additional charge applies to {name} for every calendar month in which the account exists, also while disabled"
    )
}

fn no_account_by_permissions(name: &str) -> String {
    format!(
        "adding permissions doesn't create an account for {name} as long as spec.chargeApproved isn't true"
    )
}

fn removed(name: &str) -> String {
    format!(
        "removing permissions neither deletes the account of {name} nor stops its billing; kubectl delete users.roster.rs does"
    )
}

fn left(name: &str, group: &str) -> String {
    format!(
        "leaving the group {group} neither deletes the account of {name} nor stops its billing; kubectl delete users.roster.rs does"
    )
}

fn disabled(name: &str) -> String {
    format!("disabling {name} doesn't stop its billing; kubectl delete users.roster.rs does")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The texts of an expression that joins texts, with what stands between them as an empty one.
    fn texts(expression: &str) -> Vec<String> {
        let (mut texts, mut quoted, mut escaped) = (vec![], None::<String>, false);
        for character in expression.chars() {
            match (&mut quoted, character) {
                (Some(text), character) if escaped => {
                    text.push(character);
                    escaped = false;
                }
                (Some(_), '\\') => escaped = true,
                (Some(_), '\'') => texts.extend(quoted.take()),
                (Some(text), character) => text.push(character),
                (None, '\'') => quoted = Some(String::new()),
                (None, _) => {}
            }
        }
        texts
    }

    #[test]
    fn the_notes_are_what_the_policy_warns_of() {
        let file = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/deploy/policies/please-note.yaml"
        ))
        .unwrap();
        let policy: Value = serde_saphyr::from_multiple(&file).unwrap().remove(0);
        let messages: Vec<&str> = policy["spec"]["validations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|validation| validation["messageExpression"].as_str().unwrap())
            .collect();
        let ours = [
            no_account("NAME"),
            charge("NAME"),
            no_account_by_permissions("NAME"),
            removed("NAME"),
            left("NAME", "NAME"),
            disabled("NAME"),
        ];
        // The last two are about deleting, which no manifest asks for.
        assert_eq!(messages.len(), ours.len() + 2);
        for (message, ours) in messages.iter().zip(ours) {
            // A name's or a group's default is a text as well, and shows in no message of ours.
            let theirs: Vec<String> = texts(message)
                .into_iter()
                .filter(|text| !["the User", "users"].contains(&text.as_str()))
                .collect();
            assert_eq!(theirs.join("NAME"), ours);
        }
    }
}
