//! What becomes of each object, and what follows for others: the copy of the store as it was,
//! beside what became of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use super::documents::UnreadableDocument;
use super::manifests::{Declaration, Manifests, Object, user_before};
use super::simulate::{Contents, SimulationResult, has_password_of_secret};
use super::warnings::WarningPolicy;
use crate::api::{User, UserSpec};
use crate::domain::account::{Account, AccountId, Source};
use crate::domain::group::GroupContent;
use crate::domain::inheritance;
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::permission::{Permission, Permissions};
use crate::domain::profile::Profile;
use crate::plan::{Blocked, Decision, Listing};

/// What becomes of everything that is declared.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanOutcome {
    /// By namespace, kind and name.
    pub(super) objects: Vec<PlanRow>,
    /// Whose permissions change though nothing else about them does.
    pub(super) consequences: Vec<Consequence>,
    /// How many accounts of each namespace have no `User` in the files.
    pub(super) undeclared: Vec<Undeclared>,
    /// The documents that `kubectl` or the API server would refuse and that are no object of
    /// roster's kinds.
    pub(super) invalid: Vec<Invalid>,
}

/// A document that is refused.
#[derive(Debug, Serialize)]
pub(super) struct Invalid {
    /// The file and the line at which it stands.
    pub(super) place: String,
    pub(super) message: String,
}

/// What becomes of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanRow {
    pub(super) namespace: String,
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The file and the line at which it stands.
    pub(super) place: String,
    pub(super) action: Action,
    pub(super) changes: Vec<Change>,
    pub(super) permissions_gained: Vec<String>,
    pub(super) permissions_lost: Vec<String>,
    pub(super) refused: Vec<Refused>,
    pub(super) notes: Vec<String>,
}

/// What is done for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub(super) enum Action {
    /// It comes into being.
    Create,
    /// The account of another name becomes its own.
    Adopt,
    /// The account of its name, which was let go of, becomes its own again.
    TakeBack,
    /// It is another afterwards.
    Change,
    /// It stays as it is.
    Unchanged,
    /// Nothing is done, for what stands in `refused`.
    Refused,
}

/// A field before and after; null where it has no value.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) field: &'static str,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// Why something isn't done.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    /// The reason as the condition Ready would give it; `Invalid` where the API server refuses the
    /// object.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// A user whose permissions change because another object does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Consequence {
    pub(super) namespace: String,
    pub(super) user: String,
    pub(super) permissions_gained: Vec<String>,
    pub(super) permissions_lost: Vec<String>,
    pub(super) because: String,
}

/// Accounts that no `User` in the files is about.
#[derive(Debug, Serialize)]
pub(super) struct Undeclared {
    pub(super) namespace: String,
    pub(super) accounts: usize,
}

impl PlanOutcome {
    /// Whether something is refused.
    pub(super) fn is_refused(&self) -> bool {
        !self.invalid.is_empty() || self.objects.iter().any(|row| !row.refused.is_empty())
    }
}

/// A store's contents, to be looked up.
struct View<'a> {
    contents: &'a Contents,
    by_id: HashMap<AccountId, &'a Account>,
    by_user: HashMap<(&'a str, &'a str), &'a Account>,
}

impl<'a> View<'a> {
    fn of(contents: &'a Contents) -> Self {
        let accounts = || contents.accounts.iter();
        Self {
            contents,
            by_id: accounts().map(|account| (account.id, account)).collect(),
            by_user: accounts()
                .map(|account| ((account.namespace.as_str(), account.owner.name.as_str()), account))
                .collect(),
        }
    }

    fn user(&self, namespace: &str, name: &str) -> Option<&'a Account> {
        self.by_user.get(&(namespace, name)).copied()
    }

    fn effective(&self, account: &'a Account) -> Permissions {
        let record = self.contents.records.get(&account.namespace);
        let group = record.and_then(|record| record.group(&account.content.group));
        let find = |name: &str| self.user(&account.namespace, name);
        inheritance::effective(account, group.as_ref(), find)
    }

    fn group(&self, key: &ObjectKey) -> Option<&'a GroupContent> {
        self.contents.records.get(&key.namespace)?.groups.get(&key.name)
    }

    fn listing(&self, key: &ObjectKey) -> Option<&'a Listing> {
        self.contents.records.get(&key.namespace)?.listings.get(&key.name)
    }
}

/// What rows are made from.
struct Comparison<'a> {
    before: View<'a>,
    after: View<'a>,
    policy: &'a WarningPolicy,
}

/// Returns what becomes of everything that is declared.
pub(super) fn compare(
    declared: &Manifests,
    before: &Contents,
    simulated: &SimulationResult,
    policy: &WarningPolicy,
) -> PlanOutcome {
    let compared =
        Comparison { before: View::of(before), after: View::of(&simulated.after), policy };
    let row = |declaration: &Declaration| {
        row(declaration, simulated.decisions.get(&declaration.key), &compared)
    };
    let mut objects: Vec<PlanRow> = declared.objects.iter().map(row).collect();
    objects.sort_by(|a, b| (&a.namespace, a.kind, &a.name).cmp(&(&b.namespace, b.kind, &b.name)));
    let users: BTreeSet<(&str, &str)> = declared
        .objects
        .iter()
        .filter(|declaration| declaration.key.kind == Kind::User)
        .map(|declaration| (declaration.key.namespace.as_str(), declaration.key.name.as_str()))
        .collect();
    // Of what the API server refuses, a row tells nothing else.
    let readable = declared
        .objects
        .iter()
        .filter(|declaration| matches!(declaration.object, Some(Object::User(_))));
    let declared_users = readable
        .map(|declaration| (declaration.key.namespace.as_str(), declaration.key.name.as_str()))
        .collect();
    let mut undeclared: BTreeMap<&str, usize> = BTreeMap::new();
    for account in &simulated.after.accounts {
        let named = users.contains(&(account.namespace.as_str(), account.owner.name.as_str()));
        *undeclared.entry(&account.namespace).or_default() += usize::from(!named);
    }
    let undeclared = undeclared.into_iter().filter(|(_, accounts)| *accounts > 0);
    let undeclared = undeclared
        .map(|(namespace, accounts)| Undeclared { namespace: namespace.to_owned(), accounts });
    PlanOutcome {
        objects,
        consequences: consequences(&compared.before, &compared.after, &declared_users),
        undeclared: undeclared.collect(),
        invalid: declared.invalid.iter().map(invalid).collect(),
    }
}

fn invalid(UnreadableDocument { place, message }: &UnreadableDocument) -> Invalid {
    Invalid { place: place.to_string(), message: message.clone() }
}

fn row(
    declaration: &Declaration,
    decision: Option<&Decision>,
    compared: &Comparison<'_>,
) -> PlanRow {
    let Comparison { before, after, .. } = compared;
    let Declaration { key, place, faults, object, notes, .. } = declaration;
    let mut row = PlanRow {
        namespace: key.namespace.clone(),
        kind: key.kind.into(),
        name: key.name.clone(),
        place: place.to_string(),
        action: Action::Unchanged,
        changes: vec![],
        permissions_gained: vec![],
        permissions_lost: vec![],
        refused: vec![],
        notes: notes.clone(),
    };
    let refused = faults.iter().map(|(place, fault)| {
        let field = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
        Refused { reason: "Invalid", message: format!("{place}: {field}{}", fault.message) }
    });
    row.refused.extend(refused);
    for why in decision.into_iter().flat_map(|decision| &decision.blocked) {
        match why {
            Blocked::Paused => row.notes.push(why.to_string()),
            why => row
                .refused
                .push(Refused { reason: why.reason().as_str(), message: why.to_string() }),
        }
    }
    match object {
        Some(Object::User(user)) => user_row(&mut row, user, compared),
        Some(Object::Group(_)) => part_row(
            &mut row,
            before.group(key).map(group_fields),
            after.group(key).map(group_fields),
        ),
        Some(Object::Domain(_)) => {
            part_row(
                &mut row,
                before.listing(key).map(listing_fields),
                after.listing(key).map(listing_fields),
            );
        }
        None => {}
    }
    if row.action == Action::Unchanged && !row.refused.is_empty() {
        row.action = Action::Refused;
    }
    row
}

fn user_row(row: &mut PlanRow, user: &User, compared: &Comparison<'_>) {
    let Comparison { before, after, policy } = compared;
    let account = after.user(&row.namespace, &row.name);
    let was = account.map_or_else(
        || before.user(&row.namespace, &row.name),
        |account| before.by_id.get(&account.id).copied(),
    );
    row.action = match (was, account) {
        (_, None) => Action::Unchanged,
        (None, Some(_)) => Action::Create,
        (Some(was), Some(account)) if was.owner.name != account.owner.name => Action::Adopt,
        (Some(was), Some(account)) if was.owner.uid != account.owner.uid => Action::TakeBack,
        (Some(was), Some(account))
            if was.content != account.content
                || has_password_of_secret(was) != has_password_of_secret(account) =>
        {
            Action::Change
        }
        (Some(_), Some(_)) => Action::Unchanged,
    };
    let fields = |account: Option<&Account>| account.map(account_fields).unwrap_or_default();
    row.changes = changes(fields(was.filter(|_| account.is_some())), fields(account));
    row.changes.extend(account.and_then(|account| first_password(&user.spec, was, account)));
    let held = |view: &View<'_>, account: Option<&Account>| {
        account
            .and_then(|account| view.by_id.get(&account.id))
            .map(|account| view.effective(account))
            .unwrap_or_default()
    };
    if account.is_some() {
        (row.permissions_gained, row.permissions_lost) =
            difference(&held(before, was), &held(after, account));
    }
    // An account that was let go of comes with a new User.
    let edited = was.filter(|was| {
        !matches!(row.action, Action::Adopt | Action::TakeBack) && !was.owner.uid.is_empty()
    });
    let old = edited.map(|account| user_before(user, account));
    row.notes.extend(policy.warnings(&json!(user), old.as_ref()));
    row.notes.extend(further_notes(&user.spec, was, account));
}

/// Returns the first password that comes from a Secret.
fn first_password(spec: &UserSpec, was: Option<&Account>, account: &Account) -> Option<Change> {
    let secret = &spec.password_secret_ref.as_ref()?.name;
    let is_first = has_password_of_secret(account) && !was.is_some_and(has_password_of_secret);
    let own = was.and_then(|was| was.credential.as_ref()).map(|_| "the member's own");
    is_first.then(|| Change {
        field: "password",
        before: json!(own),
        after: json!(format!("from the Secret {secret}")),
    })
}

/// Returns what is to be known beside what kubectl says.
fn further_notes(spec: &UserSpec, was: Option<&Account>, account: Option<&Account>) -> Vec<String> {
    let in_flight = was.filter(|was| was.transaction.in_flight()).map(|was| {
        let kind = was.transaction.kind.as_str();
        let is_taken_over = account.is_some_and(|account| account.owner.uid != was.owner.uid);
        let then = if is_taken_over {
            "the account is taken over at once if nothing else changes, else when it ends"
        } else {
            "what takes rights away is applied at once, the rest when it ends"
        };
        format!("the {kind} of the account is in flight: {then}")
    });
    let owner = was.zip(account).and_then(|(was, account)| owner_note(spec, was, account));
    [password_note(spec), in_flight, owner].into_iter().flatten().collect()
}

fn owner_note(spec: &UserSpec, was: &Account, account: &Account) -> Option<String> {
    let (before, after) = (&was.owner, &account.owner);
    let is_another = spec.username.as_ref().unwrap_or(&after.name) != was.login_name.parts().0;
    if before.uid == after.uid {
        let unnamed = is_another && spec.username.is_none();
        unnamed.then(|| {
            format!(
                "the account keeps its login name {}; a User that has spec.username can't lose it",
                was.login_name
            )
        })
    } else if before.name != after.name && !before.name.is_empty() && !before.uid.is_empty() {
        Some(format!(
            "the account {} is taken over only if its own User {} isn't in the cluster",
            was.id, before.name
        ))
    } else {
        is_another.then(|| format!("the account keeps its login name {}", was.login_name))
    }
}

fn password_note(spec: &UserSpec) -> Option<String> {
    let secret = &spec.password_secret_ref.as_ref()?.name;
    Some(format!(
        "planned as if a valid password stood in the Secret {secret}: Secrets aren't read"
    ))
}

fn part_row(row: &mut PlanRow, before: Option<Fields>, after: Option<Fields>) {
    row.action = match (&before, &after) {
        (None, Some(_)) => Action::Create,
        (Some(before), Some(after)) if before != after => Action::Change,
        _ => Action::Unchanged,
    };
    if after.is_some() {
        row.changes = changes(before.unwrap_or_default(), after.unwrap_or_default());
    }
}

/// The values of fields, in the order in which they are shown; null stands for none.
type Fields = Vec<(&'static str, Value)>;

fn account_fields(account: &Account) -> Fields {
    let content = &account.content;
    let source = content.source.as_ref().map(|source| match source {
        Source::Inherited { from, .. } => format!("inherits from {from}"),
        Source::Cloned(cloned) => format!("cloned from {}", cloned.from),
    });
    let mut fields = vec![
        ("loginName", json!(account.login_name.as_str())),
        ("email", json!(content.email.as_str())),
        ("state", json!(content.lifecycle)),
        ("group", json!(content.group)),
        ("grants", list(content.grants.iter().map(Permission::as_str))),
        ("source", json!(source)),
        ("role", json!(content.role)),
        ("teams", list(content.teams.iter().map(String::as_str))),
    ];
    // What is absent of a profile isn't in its JSON, and shows as null.
    let mut profile = json!(content.profile);
    fields.extend(Profile::NAMES.iter().map(|&name| (name, profile[name].take())));
    fields
}

fn group_fields(group: &GroupContent) -> Fields {
    vec![
        ("fullControl", json!(group.full_control)),
        ("permissions", list(group.permissions.iter().map(Permission::as_str))),
        ("selfService", list(group.self_service.iter().map(<&str>::from))),
    ]
}

fn listing_fields(listing: &Listing) -> Fields {
    vec![
        ("domain", json!(listing.domain.as_str())),
        ("includeSubdomains", json!(listing.include_subdomains)),
    ]
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() { Value::Null } else { json!(texts) }
}

fn changes(before: Fields, after: Fields) -> Vec<Change> {
    let mut before: HashMap<&str, Value> = before.into_iter().collect();
    let changed = after.into_iter().filter_map(|(field, after)| {
        let before = before.remove(field).unwrap_or_default();
        (before != after).then_some(Change { field, before, after })
    });
    changed.collect()
}

/// Returns what is gained and what is lost.
fn difference(before: &Permissions, after: &Permissions) -> (Vec<String>, Vec<String>) {
    let texts =
        |a: &Permissions, b: &Permissions| a.difference(b).map(ToString::to_string).collect();
    (texts(after, before), texts(before, after))
}

/// Returns whose permissions change though the account itself doesn't, or though no row tells of
/// it.
fn consequences(
    before: &View<'_>,
    after: &View<'_>,
    declared_users: &BTreeSet<(&str, &str)>,
) -> Vec<Consequence> {
    let mut found = vec![];
    for account in &after.contents.accounts {
        let Some(was) = before.by_id.get(&account.id) else { continue };
        // Whoever comes onto a loop keeps what they had, which changes the account of somebody whom
        // no file names.
        if was.content != account.content
            && declared_users.contains(&(account.namespace.as_str(), account.owner.name.as_str()))
        {
            continue;
        }
        let (gained, lost) = difference(&before.effective(was), &after.effective(account));
        if gained.is_empty() && lost.is_empty() {
            continue;
        }
        let own = |view: &View<'_>, account| {
            inheritance::own(account, |name| view.user(&was.namespace, name))
        };
        let because = match &account.content.source {
            Some(Source::Inherited { from, kept }) if own(before, was) != own(after, account) => {
                format!("inherits from {from}{}", if kept.is_some() { ", on a loop" } else { "" })
            }
            _ => format!("is in the group {}", account.content.group),
        };
        let (namespace, user) = (account.namespace.clone(), account.owner.name.clone());
        found.push(Consequence {
            namespace,
            user,
            permissions_gained: gained,
            permissions_lost: lost,
            because,
        });
    }
    found.sort_by(|a, b| (&a.namespace, &a.user).cmp(&(&b.namespace, &b.user)));
    found
}
