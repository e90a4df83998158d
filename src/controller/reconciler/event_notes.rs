//! The Events that report what became of an account.

use crate::api::Reason;
use crate::controller::object_writer::{EventNote, Write};
use crate::controller::observe::Snapshot;
use crate::domain::account::Account;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::plan::Meta;
use crate::provisioning::queue::Drift;
use crate::store::Receipt;

/// Returns the Event for an account that belongs to another `User` of the same name now.
pub(super) fn taken_back(snapshot: &Snapshot, receipt: &Receipt) -> Option<Write> {
    let (Snapshot::User(user), Receipt::Account(after)) = (snapshot, receipt) else { return None };
    let Meta { namespace, name, uid, .. } = &user.meta;
    let before = user
        .account
        .as_ref()
        .filter(|before| before.owner.uid != after.owner.uid && !after.owner.uid.is_empty())?;
    let (reason, note) = if before.owner.name == after.owner.name {
        (
            "AccountTakenBack",
            "the account of this name was here before, and belongs to this User now".to_owned(),
        )
    } else {
        (
            "AccountAdopted",
            format!(
                "the account of {} belongs to this User now, as spec.adopt asks",
                before.owner.name
            ),
        )
    };
    let said = EventNote { reason: reason.to_owned(), note, warning: false };
    Some(Write::Event { key: ObjectKey::new(Kind::User, namespace, name), uid: uid.clone(), said })
}

/// Returns the Event for values that were changed in the store otherwise than by self-service.
pub(super) fn put_back(snapshot: &Snapshot) -> Write {
    let Meta { namespace, name, uid, .. } = snapshot.meta();
    let note = "somebody changed the account in the store in a way that isn't self-service; it is as declared again".to_owned();
    let said = EventNote { reason: "ValuesPutBack".to_owned(), note, warning: true };
    Write::Event { key: ObjectKey::new(Kind::User, namespace, name), uid: uid.clone(), said }
}

/// Returns the Event for an entry that somebody changed in a directory.
pub(super) fn drifted(drift: Drift) -> Write {
    let Drift { directory, account: _, user, owner } = drift;
    let note = format!(
        "somebody else changed the entry of this account in {directory}; it is as declared again"
    );
    let said = EventNote { reason: "DirectoryDrift".to_owned(), note, warning: true };
    Write::Event { key: user, uid: owner, said }
}

/// Returns the Event for the first entry that a directory refuses for a reason; later ones have
/// none.
pub(super) fn directory_refuses(
    user: &ObjectKey,
    uid: &str,
    directory: &str,
    words: &str,
) -> Write {
    let note = format!(
        "the directory {directory} doesn't take this account as it is ({words}); it may refuse others for the same reason: their \
         condition DirectoriesCurrent says so, and roster doctor lists them"
    );
    let said =
        EventNote { reason: Reason::DirectoryRefused.as_str().to_owned(), note, warning: true };
    Write::Event { key: user.clone(), uid: uid.to_owned(), said }
}

/// Returns the Event for a `User` that is deleted after its account was.
pub(super) fn farewell(snapshot: &Snapshot, receipt: Option<&Receipt>) -> Option<EventNote> {
    let departure = match (receipt, snapshot) {
        (Some(Receipt::Deleted(departure)), _) => departure.as_ref(),
        (Some(Receipt::Account(account)), _) => return account.owner.uid.is_empty().then(retained),
        (_, Snapshot::User(user)) if let Some(gone) = &user.departure => gone,
        (_, Snapshot::User(user)) => {
            return user
                .account
                .as_ref()
                .filter(|account| account.owner.uid != user.meta.uid)
                .map(left_behind);
        }
        _ => return None,
    };
    let cases = departure.cases_unassigned;
    let note = format!(
        "the account was deleted for good; cases left without an owner: {cases}; this month is billed in full"
    );
    Some(EventNote { reason: "AccountDeleted".to_owned(), note, warning: false })
}

/// Returns the Event for a `User` that is deleted before it took back the account of its name,
/// which stays.
fn left_behind(account: &Account) -> EventNote {
    let note = format!(
        "the account {} of this name belongs to an earlier User and stays, as it is: to delete it, create this User again, wait \
         until it is Ready, and delete it then",
        account.id
    );
    EventNote { reason: "AccountLeftBehind".to_owned(), note, warning: true }
}

/// Returns the Event for a `User` that is deleted while its account stays.
fn retained() -> EventNote {
    let note =
        "the account stays, without a User, as deletionPolicy Retain asks; it is billed as before"
            .to_owned();
    EventNote { reason: "AccountRetained".to_owned(), note, warning: false }
}
