//! What manifests declare: objects of roster's kinds, each with where it stands and what a schema
//! says against it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::documents::{Document, Documents, SourceLocation, UnreadableDocument};
use super::metadata;
use super::schema::{Fault, Schemas, type_of};
use crate::api::user::{DesiredState, PermissionSource, PermissionsSpec, SourceMode, UserRef};
use crate::api::{CUSTOMER_ID, OrgEmailDomain, User, UserGroup, UserSpec};
use crate::cli::copy::resource_name;
use crate::domain::account::{Account, LoginState, Source};
use crate::domain::object_key::{Kind, ObjectKey};
use crate::domain::organization::CustomerId;
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
    /// What `kubectl` or the API server would refuse and that is no object of roster's kinds.
    pub(super) invalid: Vec<UnreadableDocument>,
    /// The namespaces whose manifest is refused, and where these stand.
    refused_namespaces: BTreeMap<String, SourceLocation>,
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
    /// Fields with a default that it doesn't name: applying it again leaves them as they are.
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
        let is_named = |object: &&Declaration| CustomerId::parse(&object.key.namespace).is_ok();
        self.objects.iter().filter(is_named).map(|object| object.key.namespace.as_str()).collect()
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
        let namespace = &declaration.key.namespace;
        if let Some(place) = declared.refused_namespaces.get(namespace)
            && !accounts.iter().any(|account| account.namespace == *namespace)
        {
            let message = format!(
                "the Namespace {namespace} at {place} is refused, and without it nothing is applied in it"
            );
            declaration.refuse(Fault { path: String::new(), message });
        }
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
pub(super) fn parse(read: Documents, namespace: &str, schemas: &Schemas) -> Manifests {
    let mut declared =
        Manifests { invalid: read.unreadable, skipped: read.ignored, ..Manifests::default() };
    for document in read.documents {
        match document.items() {
            Ok(items) => items
                .into_iter()
                .for_each(|item| add_document(&mut declared, item, namespace, schemas)),
            Err(unreadable) => declared.invalid.push(unreadable),
        }
    }
    declared.invalid.sort();
    refuse_repeated(&mut declared.objects);
    declared
}

/// Refuses each object that stands there before: which of them is meant can't be known.
fn refuse_repeated(objects: &mut [Declaration]) {
    let mut places: BTreeMap<ObjectKey, SourceLocation> = BTreeMap::new();
    for declaration in objects {
        let key = &declaration.key;
        if let Some(before) = places.get(key) {
            let kind: &str = key.kind.into();
            let message = format!(
                "the {kind} {} of {} stands at {before} already: leave one of them",
                key.name, key.namespace
            );
            declaration.refuse(Fault { path: String::new(), message });
        } else {
            places.insert(key.clone(), declaration.place.clone());
        }
    }
}

/// What a document is by its `apiVersion` and `kind`.
enum Declared {
    Object(Kind),
    Namespace,
    /// An object that nothing is planned for.
    Other,
}

/// Returns what a document is.
///
/// # Errors
/// With the field and what is the matter with it, when it is no object or of a kind that isn't
/// there.
fn declared_kind(value: &Value, notes: &mut Vec<String>) -> Result<Declared, Fault> {
    let fault = |path: &str, message: String| Fault { path: path.to_owned(), message };
    if !value.is_object() {
        let message = format!("not an object of Kubernetes: {} stands here", type_of(value));
        return Err(fault("", message));
    }
    let text = |field: &str| match &value[field] {
        Value::String(text) if !text.is_empty() => Ok(text.as_str()),
        Value::String(_) | Value::Null => {
            Err(fault("", format!("not an object of Kubernetes: it has no {field}")))
        }
        other => Err(fault(field, format!("a text is expected, not {}", type_of(other)))),
    };
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    if api_version.split('/').count() > 2 {
        let message = "a group and a version are expected, such as roster.rs/v1alpha1";
        return Err(fault("apiVersion", message.to_owned()));
    }
    if !api_version.starts_with("roster.rs/") {
        let is_namespace = (api_version, kind) == ("v1", "Namespace");
        return Ok(if is_namespace { Declared::Namespace } else { Declared::Other });
    }
    let known = [Kind::User, Kind::UserGroup, Kind::OrgEmailDomain];
    let is_called = |known: &&Kind| {
        let name: &str = (**known).into();
        name == kind || name.to_lowercase() == kind
    };
    let Some(found) = known.iter().find(is_called).filter(|_| api_version == API_VERSION) else {
        let message = format!(
            "there is no {kind} in {api_version}, but User, UserGroup and OrgEmailDomain in {API_VERSION}"
        );
        return Err(fault("kind", message));
    };
    let name: &str = (*found).into();
    if name != kind {
        notes.push(format!("kind: it is written {name}; server-side apply refuses {kind}"));
    }
    Ok(Declared::Object(*found))
}

fn add_document(
    declared: &mut Manifests,
    mut document: Document,
    namespace: &str,
    schemas: &Schemas,
) {
    let mut notes = std::mem::take(&mut document.notes);
    match declared_kind(&document.value, &mut notes) {
        Err(Fault { path, message }) => {
            let place = document.place(&path);
            let message = if path.is_empty() { message } else { format!("{path}: {message}") };
            declared.invalid.push(UnreadableDocument { place, message });
        }
        Ok(Declared::Namespace) => add_namespace(declared, &document),
        Ok(Declared::Other) => {
            let kind = document.value["kind"].as_str().unwrap_or_default();
            let name = document.value["metadata"]["name"].as_str().unwrap_or("without a name");
            let place = document.place("");
            declared.skipped.push(format!(
                "{place}: the {kind} {name} is left out: nothing is planned for this kind"
            ));
        }
        Ok(Declared::Object(kind)) => {
            add_object(declared, document, notes, (kind, namespace, schemas))
        }
    }
}

/// Takes in a `Namespace`, of which nothing is planned but that says which customer ID it has.
fn add_namespace(declared: &mut Manifests, document: &Document) {
    let metadata = &document.value["metadata"];
    let mut faults = metadata::faults(&document.value);
    let fault = |path: &str, message: String| Fault { path: path.to_owned(), message };
    let name = metadata["name"].as_str().unwrap_or_default();
    if faults.is_empty() && CustomerId::parse(name).is_err() {
        faults.push(fault("metadata.name", NAMESPACE_RULE.to_owned()));
    }
    let fields = document.value.as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown = fields.filter(|field| {
        !["apiVersion", "kind", "metadata", "spec", "status"].contains(&field.as_str())
    });
    faults.extend(unknown.map(|field| fault(field, "there is no such field".to_owned())));
    let spec = document.value["spec"].as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown = spec.filter(|field| *field != "finalizers");
    faults.extend(
        unknown.map(|field| fault(&format!("spec.{field}"), "there is no such field".to_owned())),
    );
    if metadata["labels"].get(CUSTOMER_ID).is_some_and(Value::is_null) {
        declared.skipped.push(format!("{}: {CUSTOMER_ID} is null: kubectl apply takes it for absent, server-side apply refuses it: leave it out", document.place("metadata.labels")));
    }
    let label = metadata["labels"][CUSTOMER_ID].as_str();
    if faults.is_empty()
        && let Some(Err(error)) = label.map(CustomerId::parse)
    {
        faults.push(fault(&format!("metadata.labels.{CUSTOMER_ID}"), error.to_string()));
    }
    if faults.is_empty() {
        declared.customer_ids.extend(label.map(|label| (name.to_owned(), label.to_owned())));
        return;
    }
    declared.refused_namespaces.insert(name.to_owned(), document.place(""));
    let shown = if name.is_empty() { "Namespace".to_owned() } else { format!("Namespace {name}") };
    declared.invalid.extend(faults.into_iter().map(|Fault { path, message }| UnreadableDocument {
        place: document.place(&path),
        message: format!("the {shown}: {path}: {message}"),
    }));
}

/// What the name of a namespace is made of.
const NAMESPACE_RULE: &str = "a namespace's name is made of lower-case letters, digits and dashes, at most 63, and starts and ends with a letter or digit";

fn add_object(
    declared: &mut Manifests,
    mut document: Document,
    mut notes: Vec<String>,
    (known, namespace, schemas): (Kind, &str, &Schemas),
) {
    let place = document.place("");
    let kind: &str = known.into();
    notes.extend(metadata::server_side_notes(&document.value));
    let nulls = schemas.nulls(kind, &document.value);
    notes.extend(nulls.iter().map(|path| format!("{}: {path} is null: kubectl apply takes it for absent, server-side apply (Flux, Helm 4) refuses it: leave the field out", document.place(path))));
    let mut faults = metadata::faults(&document.value);
    let text = |field: &str| document.value["metadata"][field].as_str().unwrap_or_default();
    let name = text("name").to_owned();
    let is_judged =
        faults.iter().any(|fault| ["metadata", "metadata.name"].contains(&fault.path.as_str()));
    if !is_judged {
        let message = match name.is_empty() {
            true => Err("the object's name is required".to_owned()),
            false => resource_name(&name),
        };
        faults.extend(
            message.err().map(|message| Fault { path: "metadata.name".to_owned(), message }),
        );
    }
    let namespace = match text("namespace") {
        "" => namespace.to_owned(),
        named => named.to_owned(),
    };
    if CustomerId::parse(&namespace).is_err() {
        faults.push(Fault {
            path: "metadata.namespace".to_owned(),
            message: NAMESPACE_RULE.to_owned(),
        });
    }
    // One that is null is set back to its default.
    let is_unnamed = |field: &&str| document.value["spec"].get(*field).is_none();
    let unnamed = [STATE, CHARGE_APPROVED].into_iter().filter(is_unnamed).collect();
    faults.extend(schemas.faults(kind, &mut document.value));
    // What an account has in force from before the rule may stay, so a User is judged beside its
    // account, as the operator does.
    let is_unseen =
        |fault: &mut Fault| known == Kind::User && fault.message.starts_with(NOTHING_SEEN);
    let unseen: Vec<Fault> = faults.extract_if(.., is_unseen).collect();
    let object = if faults.is_empty() {
        document.value["metadata"]["namespace"] = namespace.clone().into();
        read(known, &document).map_err(|fault| faults.push(fault)).ok()
    } else {
        None
    };
    let placed = |faults: Vec<Fault>| {
        faults.into_iter().map(|fault| (document.place(&fault.path), fault)).collect()
    };
    let (faults, unseen) = (placed(faults), placed(unseen));
    let key = ObjectKey::new(known, namespace, &name);
    declared.objects.push(Declaration { key, place, faults, unseen, object, notes, unnamed });
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
