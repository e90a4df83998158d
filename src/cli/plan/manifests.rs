//! What manifests declare: objects of roster's kinds, each with where it stands and what a schema
//! says against it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::files::{Document, SourceLocation};
use super::schema::{Fault, Schemas};
use crate::api::user::{DesiredState, PermissionSource, PermissionsSpec, SourceMode, UserRef};
use crate::api::{CUSTOMER_ID, OrgEmailDomain, User, UserGroup, UserSpec};
use crate::cli::Failure;
use crate::cli::copy::resource_name;
use crate::domain::account::{Account, LoginState, Source};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::text::NOTHING_SEEN;

const API_VERSION: &str = "roster.rs/v1alpha1";

/// What manifests declare.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    /// The objects, in the order in which they stand there.
    pub(super) objects: Vec<Declaration>,
    /// The customer IDs that namespaces are labelled with.
    pub(super) customer_ids: BTreeMap<String, String>,
    /// What was left out, and why.
    pub(super) skipped: Vec<String>,
}

/// An object of roster's kinds.
#[derive(Debug)]
pub(super) struct Declaration {
    /// What it is called.
    pub(super) key: ObjectKey,
    /// Where it stands.
    pub(super) place: SourceLocation,
    /// What the API server would refuse it for, each with where that stands.
    pub(super) faults: Vec<(SourceLocation, Fault)>,
    /// What it would refuse only in a new `User`: an account may have that in force from before
    /// there was a rule.
    unseen: Vec<(SourceLocation, Fault)>,
    /// The object; nothing where it is refused.
    pub(super) object: Option<Object>,
    /// What is to be known about it.
    pub(super) notes: Vec<String>,
    /// Fields with a default that it doesn't name: whoever applies it again leaves them as they
    /// are.
    unnamed: Vec<&'static str>,
}

/// The fields of a `User` that stay as they are where a manifest doesn't name them.
const STATE: &str = "state";
const CHARGE_APPROVED: &str = "chargeApproved";

/// An object as roster reads it.
#[derive(Clone, Debug)]
pub(super) enum Object {
    User(Box<User>),
    Group(Box<UserGroup>),
    Domain(Box<OrgEmailDomain>),
}

impl Manifests {
    /// Returns the namespaces of the objects.
    pub(super) fn namespaces(&self) -> BTreeSet<&str> {
        self.objects.iter().map(|object| object.key.namespace.as_str()).collect()
    }

    /// Returns the keys of the objects that can be read, those that others depend on first, else as
    /// they stand there.
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        let readable = self.objects.iter().filter(|object| object.object.is_some());
        let mut keys: Vec<ObjectKey> = readable.map(|object| object.key.clone()).collect();
        keys.sort_by_key(|key| key.kind);
        keys
    }
}

impl Declaration {
    /// Takes a fault in: the API server refuses the object.
    fn refuse(&mut self, fault: Fault) {
        self.faults.push((self.place.clone(), fault));
        self.object = None;
    }

    /// Takes in that the object is to be a new one.
    fn refuse_unseen(&mut self) {
        if !self.unseen.is_empty() {
            self.faults.append(&mut self.unseen);
            self.object = None;
        }
    }
}

/// Judges by the accounts that are there what is only allowed for a new `User`, and lets an edit
/// keep what it doesn't name: their Users are taken to be there too, unless they were let go of.
pub(super) fn validate_edits(declared: &mut Manifests, accounts: &[Account], schemas: &Schemas) {
    let owned = accounts.iter().filter(|account| !account.owner.uid.is_empty());
    let owned: BTreeMap<(&str, &str), &Account> = owned
        .map(|account| ((account.namespace.as_str(), account.owner.name.as_str()), account))
        .collect();
    for declaration in &mut declared.objects {
        let Some(Object::User(user)) = &mut declaration.object else { continue };
        let key = &declaration.key;
        let Some(account) = owned.get(&(key.namespace.as_str(), key.name.as_str())) else {
            declaration.refuse_unseen();
            continue;
        };
        let kept = declaration
            .unseen
            .iter()
            .map(|(_, Fault { path, message })| format!("{path}: {message}: {KEPT}"));
        declaration.notes.extend(kept);
        if declaration.unnamed.contains(&CHARGE_APPROVED) {
            user.spec.charge_approved = true;
        }
        if declaration.unnamed.contains(&STATE) && account.content.lifecycle == LoginState::Disabled
        {
            user.spec.state = DesiredState::Disabled;
            declaration.notes.push(STAYS_DISABLED.to_owned());
        }
        let before = user_before(user, account);
        let faults = schemas.transition_faults(&serde_json::json!(user), &before);
        faults.into_iter().for_each(|fault| declaration.refuse(fault));
    }
}

/// Returns the `User` as it was before the manifest is applied, as far as its account tells; what
/// the store doesn't know is taken to be as the manifest has it.
pub(super) fn user_before(user: &User, account: &Account) -> Value {
    let mut before = user.clone();
    let UserSpec { username, copy_of, adopt, permissions, .. } = &mut before.spec;
    // An account that was adopted keeps the login name that it had, and one of a copy what was
    // copied: neither tells what the User names.
    if let Some(username) = username.as_mut().filter(|_| adopt.is_none()) {
        account.login_name.parts().0.clone_into(username);
    }
    if copy_of.is_some() {
        let copied = account.content.copied.as_ref();
        *copy_of = copied.map(|copied| UserRef { name: copied.from.clone() });
    }
    let source = account.content.source.as_ref().map(|source| PermissionSource {
        name: source.from().to_owned(),
        mode: match source {
            Source::Inherited { .. } => SourceMode::Inherit,
            Source::Cloned(_) => SourceMode::Clone,
        },
    });
    let grants = account.content.grants.iter().map(ToString::to_string).collect();
    *permissions = Some(PermissionsSpec { grants, from: source });
    before.spec.group_ref.name.clone_from(&account.content.group);
    before.spec.charge_approved = true;
    before.spec.state = match account.content.lifecycle {
        LoginState::Enabled => DesiredState::Enabled,
        LoginState::Disabled => DesiredState::Disabled,
    };
    serde_json::json!(before)
}

/// What is to be known where a manifest says nothing of the state of a disabled account.
const STAYS_DISABLED: &str = "state isn't named, so it stays Disabled; kubectl makes it Enabled only where the file named it when it was applied before";

/// What is to be known where a `User` that is there has what is refused in a new one.
const KEPT: &str = "the API server takes that only where the User has it already";

/// Reads what documents declare; an object without a namespace is in `namespace`.
///
/// # Errors
/// When a document isn't an object, an object has no name, or two have the same.
pub(super) fn parse(
    documents: Vec<Document>,
    namespace: &str,
    schemas: &Schemas,
) -> Result<Manifests, Failure> {
    let mut declared = Manifests::default();
    for document in documents.into_iter().flat_map(Document::items) {
        add_document(&mut declared, document, namespace, schemas)?;
    }
    let mut places: BTreeMap<&ObjectKey, &SourceLocation> = BTreeMap::new();
    for Declaration { key, place, .. } in &declared.objects {
        if let Some(before) = places.insert(key, place) {
            let kind: &str = key.kind.into();
            let message = format!(
                "{place}: the {kind} {} of {} stands at {before} already: leave one of them",
                key.name, key.namespace
            );
            return Err(message.into());
        }
    }
    Ok(declared)
}

fn add_document(
    declared: &mut Manifests,
    mut document: Document,
    namespace: &str,
    schemas: &Schemas,
) -> Result<(), Failure> {
    let place = document.place("");
    let text =
        |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        return Err(
            format!("{place}: not an object of Kubernetes: it has no apiVersion and kind").into()
        );
    };
    let name = text("/metadata/name");
    let in_words = format!("the {kind} {}", name.as_deref().unwrap_or("without a name"));
    let known = match (api_version.as_str(), kind.as_str()) {
        ("v1", "Namespace") => {
            let label = document.value["metadata"]["labels"][CUSTOMER_ID].as_str();
            declared.customer_ids.extend(name.zip(label.map(str::to_owned)));
            return Ok(());
        }
        (API_VERSION, "User") => Kind::User,
        (API_VERSION, "UserGroup") => Kind::UserGroup,
        (API_VERSION, "OrgEmailDomain") => Kind::OrgEmailDomain,
        (other, _) if other.starts_with("roster.rs/") => {
            return Err(format!(
                "{place}: there is no {kind} in {other}, but User, UserGroup and OrgEmailDomain in {API_VERSION}"
            )
            .into());
        }
        _ => {
            declared
                .skipped
                .push(format!("{place}: {in_words} is left out: nothing is planned for this kind"));
            return Ok(());
        }
    };
    let Some(name) = name else {
        return Err(
            format!("{}: {in_words} needs a metadata.name", document.place("metadata")).into()
        );
    };
    let key = ObjectKey::new(
        known,
        text("/metadata/namespace").unwrap_or_else(|| namespace.to_owned()),
        &name,
    );
    if let Some(object) = document.value.as_object_mut() {
        // Applying a manifest doesn't write the status.
        object.remove("status");
    }
    // One that is null is set back to its default.
    let is_unnamed = |field: &&str| document.value["spec"].get(*field).is_none();
    let unnamed = [STATE, CHARGE_APPROVED].into_iter().filter(is_unnamed).collect();
    let mut faults = schemas.faults(&kind, &mut document.value);
    // What an account has in force from before the rule may stay, so a User is judged beside its
    // account, as the operator does.
    let is_unseen =
        |fault: &mut Fault| known == Kind::User && fault.message.starts_with(NOTHING_SEEN);
    let unseen: Vec<Fault> = faults.extract_if(.., is_unseen).collect();
    faults.extend(
        resource_name(&name)
            .err()
            .map(|message| Fault { path: "metadata.name".to_owned(), message }),
    );
    document.value["metadata"]["namespace"] = key.namespace.clone().into();
    let object = if faults.is_empty() {
        read(known, &document).map_err(|fault| faults.push(fault)).ok()
    } else {
        None
    };
    let placed = |faults: Vec<Fault>| {
        faults.into_iter().map(|fault| (document.place(&fault.path), fault)).collect()
    };
    let (faults, unseen) = (placed(faults), placed(unseen));
    declared.objects.push(Declaration {
        key,
        place,
        faults,
        unseen,
        object,
        notes: vec![],
        unnamed,
    });
    Ok(())
}

fn read(kind: Kind, document: &Document) -> Result<Object, Fault> {
    fn of<T: DeserializeOwned>(value: &Value) -> Result<Box<T>, Fault> {
        let fault = |error: serde_json::Error| Fault {
            path: "metadata".to_owned(),
            message: error.to_string(),
        };
        serde_json::from_value(value.clone()).map_err(fault)
    }
    let value = &document.value;
    Ok(match kind {
        Kind::UserGroup => {
            let mut value = value.clone();
            value
                .as_object_mut()
                .map(|object| object.entry("spec").or_insert_with(|| serde_json::json!({})));
            Object::Group(of(&value)?)
        }
        Kind::OrgEmailDomain => Object::Domain(of(value)?),
        Kind::User | Kind::Organization | Kind::Secret => Object::User(of(value)?),
    })
}
