//! Conditions and reasons: what each means, and what ends it.

use std::fmt::Write;

use roster::api::Reason;
use strum::IntoEnumIterator;

/// What becomes of a condition with the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Settled,
    Wait,
    Refusal,
}

use Outcome::{Refusal, Settled, Wait};

type Explanation = (Outcome, &'static str, &'static str, &'static str);

/// Returns what becomes of it, the conditions that give it, its cause and its cure. Exhaustive: a
/// new reason doesn't compile without them.
fn explanation(reason: Reason) -> Explanation {
    match reason {
        Reason::Reconciled => (
            Settled,
            "Ready, DirectoriesCurrent",
            "all is as the spec asks, in the store and in every directory; what changed a moment ago may still be on its way to them",
            "",
        ),
        Reason::Accepted => (Settled, "EmailAccepted", "the email asked for is in force", ""),
        Reason::Resolved => (Settled, "PermissionsResolved", "the permissions are known", ""),
        Reason::Idle => (Settled, "InTransaction", "nothing is in flight", ""),
        Reason::Enabled => (
            Settled,
            "Billable",
            "the account exists, so it is billed",
            "delete the `User` to end the charge with this month",
        ),
        Reason::DisabledStillBilled => (
            Settled,
            "Billable",
            "the account is disabled, and still billed",
            "delete the `User` to end the charge with this month",
        ),
        Reason::AccountDisabled => {
            (Settled, "LoginReady", "`state: Disabled`", "set `state` to `Enabled`, or remove it")
        }
        Reason::NoAccount => (
            Settled,
            "any but Ready and InTransaction",
            "there is no account yet",
            "see the reason of `Ready`",
        ),
        Reason::PasswordSet => (
            Settled,
            "LoginReady",
            "a password is set and the account is enabled, so the person can log in",
            "",
        ),
        Reason::PasswordNotSet => (
            Settled,
            "LoginReady",
            "no password was ever set",
            "name a Secret in `passwordSecretRef`",
        ),
        Reason::EmailIsPlaceholder => (
            Settled,
            "LoginReady",
            "a copy has the copied address with a number, with which the account can't log in",
            "set `spec.email` to the person's own",
        ),
        Reason::Deleting => (
            Wait,
            "Ready",
            "the account is gone; another system's finalizer holds the object",
            "none of roster's",
        ),
        Reason::Paused => {
            (Wait, "Ready", "annotation `roster.rs/paused: \"true\"`", "remove the annotation")
        }
        Reason::GroupNotFound => (
            Wait,
            "Ready",
            "`groupRef` names a group that doesn't exist, isn't in force, or is being deleted",
            "create the `UserGroup`, or name another",
        ),
        Reason::DomainNotAllowed => (
            Wait,
            "Ready, EmailAccepted",
            "no `OrgEmailDomain` lists the email's domain",
            "list the domain, or change the email",
        ),
        Reason::SourceNotFound => (
            Wait,
            "Ready, PermissionsResolved",
            "`permissions.from` or `copyOf` names a `User` that doesn't exist, or is being deleted",
            "create it, or name another",
        ),
        Reason::SourceNotReady => (
            Wait,
            "Ready, PermissionsResolved",
            "`permissions.from` or `copyOf` names a `User` that has no account yet",
            "see that one's reason of `Ready`",
        ),
        Reason::InUse => (
            Wait,
            "Ready",
            "deleted, but a group's members, a domain's addresses or a `User`'s heirs still exist; the message says how many, or who",
            "move them, or delete their `User`s",
        ),
        Reason::LastAdministrator => (
            Wait,
            "Ready",
            "it would leave the organization without an enabled user with full control",
            "give another user full control first",
        ),
        Reason::DeletionProtected => (
            Wait,
            "Ready",
            "deleted while `deletionProtection` is `Enabled`",
            "set it to `Disabled`",
        ),
        Reason::PasswordSecretNotFound => (
            Wait,
            "Ready, LoginReady",
            "`passwordSecretRef` names a Secret that doesn't exist, isn't of type `roster.rs/password`, or lacks the key",
            "create it (a Secret's type can't be changed: delete one of another type first), or name another",
        ),
        Reason::Create
        | Reason::Delete
        | Reason::PasswordChange
        | Reason::Disable
        | Reason::Enable => {
            (Wait, "Ready, InTransaction", "that transaction is in flight", "none needed")
        }
        Reason::QueuedBehindTransaction => (
            Wait,
            "Ready",
            "an edit waits for the transaction in flight, or a `User` for that of the account which it takes over",
            "none needed",
        ),
        Reason::DirectoryUnavailable => (
            Wait,
            "Ready, DirectoriesCurrent",
            "a directory that can't be reached or fails doesn't have what is in force; the message says which and why. `Ready` names it during a transaction, where what is missing takes rights away, and past the deadline",
            "mend the directory; the operator tries again",
        ),
        Reason::DirectoryPending => (
            Wait,
            "Ready, DirectoriesCurrent",
            "a directory hasn't acknowledged what is in force 10 s after it was sent, or 60 s after it changed, or an earlier request may still undo it there until the time that the message names; on `Ready` as above",
            "none needed, unless it stays: then mend the directory",
        ),
        Reason::StoreUnavailable => (
            Wait,
            "Ready",
            "the operator can't reach its store, or an application has locked what the change needs there; the message says which",
            "see the operator's log, or end the application's transaction; nothing is lost meanwhile",
        ),
        Reason::RefusedByStore => (
            Wait,
            "Ready",
            "the store refused the change six times in a row; the message says why, the metric `roster_refused_objects` counts the objects",
            "it is tried again every minute; if it lasts, `roster doctor` says what else changes the store",
        ),
        Reason::ChargeNotApproved => {
            (Refusal, "Ready, Billable", "`chargeApproved` isn't true", "set it to `true`")
        }
        Reason::EmailTaken => (
            Refusal,
            "Ready, EmailAccepted",
            "another account of the organization has the email",
            "change one of the two; the message names the other. An account whose `User` doesn't exist any more, as after a new name in Git, is taken over with `adopt`",
        ),
        Reason::EmailInvalid => (
            Refusal,
            "Ready, EmailAccepted",
            "the email can't be understood; the message says which part",
            "correct the email",
        ),
        Reason::LoginTaken => (
            Refusal,
            "Ready",
            "another account has the login name",
            "delete this `User` and create it with another `username`; the message names the other. An account whose `User` doesn't exist any more is taken over with `adopt`",
        ),
        Reason::InheritanceCycle => (
            Refusal,
            "Ready, PermissionsResolved",
            "permissions are inherited in a loop; the message names every `User` on it",
            "change `permissions.from` of one of them",
        ),
        Reason::InheritanceTooDeep => (
            Refusal,
            "Ready, PermissionsResolved",
            "permissions would come through more than 32 others, so none do",
            "name a `User` nearer to where they are listed",
        ),
        Reason::DomainTaken => (
            Refusal,
            "Ready",
            "another `OrgEmailDomain` of the organization lists the domain",
            "delete one of the two",
        ),
        Reason::DomainInvalid => (
            Refusal,
            "Ready",
            "the domain can't be understood, or is a public suffix such as `co.uk`; the message says what is too much, such as a star, and what to write",
            "correct the domain",
        ),
        Reason::CustomerIdInvalid => (
            Refusal,
            "Ready",
            "the customer ID isn't a DNS label without dots",
            "correct the namespace's label",
        ),
        Reason::CustomerIdTaken => (
            Refusal,
            "Ready",
            "another namespace has the customer ID",
            "give this namespace another",
        ),
        Reason::CustomerIdChanged => (
            Refusal,
            "Ready",
            "the label differs from the one that the first account fixed",
            "change the label back",
        ),
        Reason::PasswordRejected => (
            Refusal,
            "Ready, LoginReady",
            "the password doesn't meet the requirements that the message names",
            "put another one into the Secret",
        ),
        Reason::DeadlineExceeded => (
            Refusal,
            "Ready",
            "the transaction in flight is past its deadline, and goes on",
            "mend the directory that the message names",
        ),
        Reason::DirectoryRefused => (
            Refusal,
            "Ready, DirectoriesCurrent",
            "a directory doesn't take the account as it is; the message says which, and why in its own words",
            "correct what it names, in the spec or in the directory; the operator tries again, up to once a minute",
        ),
        Reason::NotAdoptable => (
            Refusal,
            "Ready",
            "`adopt` names an account that isn't this organization's, or whose own `User` exists, or `entry/` and an id that an account has or had; or the account of this name was left behind in another group than the one asked for, or was there before anything could be copied",
            "see the message",
        ),
        Reason::AccountLost => (
            Refusal,
            "Ready",
            "the `User` had an account that the store doesn't know, that was deleted, or that is another's by now; a new one is never made in silence",
            "restore the store if the store was the one that was put back; else delete the `User` and create it anew",
        ),
        Reason::UnsupportedValue => (
            Refusal,
            "Ready, EmailAccepted, PermissionsResolved",
            "the spec has a value that this version of roster doesn't understand, a text of which nothing is visible, or an unknown time zone; the message names the field, the value, and what holds instead",
            "correct it, or run a version that knows it",
        ),
        Reason::Unknown => (
            Settled,
            "any",
            "another version of the operator gave a reason that this one doesn't know",
            "",
        ),
    }
}

/// Returns the page.
pub(super) fn page() -> String {
    let mut page = String::from(HEAD);
    for (outcome, title, text) in PARTS {
        let _ = write!(page, "\n## {title}\n\n{text}\n");
        for reason in Reason::iter().filter(|reason| explanation(*reason).0 == outcome) {
            let (_, on, cause, cure) = explanation(reason);
            let _ =
                write!(page, "\n### {}\n\n- **On:** {on}\n- **Cause:** {cause}\n", reason.as_str());
            if !cure.is_empty() {
                let _ = writeln!(page, "- **Cure:** {cure}");
            }
            if let Some((_, more)) = MORE.iter().find(|(of, _)| *of == reason) {
                let _ = writeln!(page, "- **More:** {more}");
            }
        }
    }
    page
}

/// Where a page says more.
const MORE: [(Reason, &str); 9] = [
    (
        Reason::InheritanceCycle,
        "[Inherit, clone and copy permissions](../how-to/permissions.md#end-a-loop), [Permissions](resources.md#permissions)",
    ),
    (Reason::InheritanceTooDeep, "[Permissions](resources.md#permissions)"),
    (
        Reason::ChargeNotApproved,
        "[Your first organization](../tutorial/first-organization.md#3-the-first-administrator)",
    ),
    (Reason::PasswordRejected, "[Set passwords](../how-to/passwords.md#change-it)"),
    (
        Reason::DeletionProtected,
        "[Off-boarding in two commits](../how-to/gitops.md#a-leaver-off-boarding-in-two-commits)",
    ),
    (
        Reason::AccountLost,
        "[Back up and restore](../how-to/backup-restore.md#after-a-restore-to-an-older-state)",
    ),
    (Reason::NotAdoptable, "[When a User goes, and comes back](../explanation/lifecycle.md)"),
    (Reason::DirectoryRefused, "[Directories](directories.md#what-a-failing-directory-does)"),
    (Reason::UnsupportedValue, "[Values of another version](unknown-values.md)"),
];

const HEAD: &str = "\
# Conditions and reasons

The reason of `Ready` is in the REASON column of `kubectl get users.roster.rs`; the message, with the cure, is in
`kubectl get users.roster.rs -o wide`.

| condition | true when |
|---|---|
| `Ready` | the object is as its spec asks |
| `InTransaction` | a transaction of the account is in flight |
| `LoginReady` | the person can log in |
| `Billable` | the account is billed |
| `PermissionsResolved` | the source of the permissions is known |
| `EmailAccepted` | the email asked for is the one in force |
| `DirectoriesCurrent` | every directory has acknowledged what is in force; absent where no directory is in use |
| `Reconciling` | the operator works on it or waits; present only while true |
| `Stalled` | an administrator must act; present only while true |

Where more than one reason holds, `Ready` gives the first in this order: deletion, customer ID, charge, group, login name, last
administrator, email, source, password, and then what is about the transaction in flight and about directories.
";

const PARTS: [(Outcome, &str, &str); 3] = [
    (
        Settled,
        "Settled",
        "The spec is in force, or a condition beside `Ready` says how the account is.",
    ),
    (
        Wait,
        "Waits",
        "They end by themselves when the cure arrives; `Reconciling` is true. An account that exists keeps what it has where a change\nwaits; the other changes apply (of an account that is yet to be taken back or adopted, none does).",
    ),
    (
        Refusal,
        "Refusals",
        "An administrator must act; `Stalled` is true. An account that exists keeps what it has where a change is refused; the other\nchanges apply (of an account that is yet to be taken back or adopted, none does).",
    ),
];
