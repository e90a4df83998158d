//! The operator's own observe, decide and commit, on a copy of the store until nothing changes any
//! more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;

use super::manifests::{Manifests, Object};
use crate::api::{CUSTOMER_ID, FINALIZER, Lenient};
use crate::cli::Failure;
use crate::cli::progress::ProgressReport;
use crate::controller::cache::{ClusterCache, Origin};
use crate::controller::observe::{self, Snapshot};
use crate::controller::reconciler::decide;
use crate::domain::account::{Account, SecretPassword};
use crate::domain::object_key::ObjectKey;
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::password::PasswordHash;
use crate::plan::adoption::Adoption;
use crate::plan::user::PasswordFacts;
use crate::plan::{Decision, OrganizationRecord};
use crate::store::memory::{Extract, MemoryStore};
use crate::store::{CommitTime, Store};

/// How many objects are reconciled together.
const BATCH: usize = 256;

/// How long a transaction of the copy may take: it has no directory, so each ends where it begins.
const DEADLINE: Duration = Duration::from_secs(1200);

/// What a store has of some organizations.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// What is known of each, by namespace.
    pub(super) records: BTreeMap<String, OrganizationRecord>,
    /// The live accounts.
    pub(super) accounts: Vec<Account>,
}

/// A copy of a store, and what was in it.
pub(super) struct Copy {
    /// What was there, as it was.
    pub(super) before: Contents,
    organizations: Vec<Organization>,
    store: MemoryStore,
}

/// What became of the copy.
pub(super) struct SimulationResult {
    /// What is there now.
    pub(super) after: Contents,
    /// What was decided about each object at last, when nothing was left to be done.
    pub(super) decisions: HashMap<ObjectKey, Decision>,
}

/// Copies what a store has of the organizations that are declared. Transactions that are in flight
/// are taken to be over: what waits for their end is applied then.
pub(super) async fn copy_store(
    store: &impl Store,
    declared: &Manifests,
    now: Timestamp,
) -> Result<Copy, Failure> {
    let (mut before, mut extracts, mut organizations) = (Contents::default(), vec![], vec![]);
    for namespace in declared.namespaces() {
        let organization = organization_of(store, declared, namespace).await?;
        let records = store.organizations(std::slice::from_ref(&organization)).await?;
        let record = records.get(namespace).cloned().unwrap_or_default();
        let mut accounts = store.list(Some(namespace)).await?;
        before.accounts.extend(accounts.iter().cloned());
        before.records.insert(namespace.to_owned(), record.clone());
        for account in &mut accounts {
            account.transaction.completed.get_or_insert(now);
        }
        organizations.push(organization.clone());
        extracts.push(Extract { organization, record, accounts });
    }
    let adopted =
        declared.objects.iter().filter_map(|declaration| match declaration.object.as_ref()? {
            Object::User(user) => Adoption::parse(user.spec.adopt.as_deref()?).map(Adoption::id),
            Object::Group(_) | Object::Domain(_) => None,
        });
    let known = store.known_ids(&adopted.collect::<Vec<_>>()).await?;
    Ok(Copy { before, organizations, store: MemoryStore::copy_of(extracts, known) })
}

/// Returns an organization with the customer ID that its namespace is labelled with in the files,
/// else with the one that it has in the store, else with its name.
async fn organization_of(
    store: &impl Store,
    declared: &Manifests,
    namespace: &str,
) -> Result<Organization, Failure> {
    let by_name = CustomerId::parse(namespace)
        .map_err(|_| format!("{namespace}: a namespace's name is a DNS label such as acme"))?;
    let by_name = Organization { namespace: namespace.to_owned(), customer_id: by_name };
    let label =
        declared.customer_ids.get(namespace).and_then(|label| CustomerId::parse(label).ok());
    let customer_id = match label {
        Some(label) => Some(label),
        None => store
            .organizations(std::slice::from_ref(&by_name))
            .await?
            .remove(namespace)
            .and_then(|record| record.claimed),
    };
    Ok(Organization {
        customer_id: customer_id.unwrap_or_else(|| by_name.customer_id.clone()),
        ..by_name
    })
}

/// Lets the operator work on the copy until nothing changes any more.
pub(super) async fn run_until_unchanged(
    copy: Copy,
    declared: &Manifests,
    now: Timestamp,
    progress: &ProgressReport,
) -> Result<SimulationResult, Failure> {
    let Copy { before, organizations, store } = copy;
    let cache = cache(declared, &organizations, &before.accounts);
    let deadline = now.checked_add(DEADLINE).unwrap_or(now);
    let commit_time = CommitTime { now, deadline };
    let keys = declared.keys();
    // Each pass settles one object at least, and an edit that begins two transactions takes two.
    for pass in 1..2 * keys.len() + 3 {
        progress.step(format!("simulating, pass {pass}"), keys.len());
        let Pass { changed, refused, decisions } =
            run_once((&cache, &store), &keys, commit_time, progress).await?;
        if changed {
            continue;
        }
        if let Some((key, refusal)) = refused {
            return Err(format!(
                "the outcome of {}/{} is unknown: {refusal}",
                key.namespace, key.name
            )
            .into());
        }
        let records = store.organizations(&organizations).await?.into_iter().collect();
        let after = Contents { records, accounts: store.list(None).await? };
        return Ok(SimulationResult { after, decisions });
    }
    Err("these manifests change each other for ever, so their outcome is unknown".into())
}

/// What happened when every object was reconciled once.
#[derive(Default)]
struct Pass {
    changed: bool,
    refused: Option<(ObjectKey, String)>,
    decisions: HashMap<ObjectKey, Decision>,
}

async fn run_once(
    (cache, store): (&ClusterCache, &MemoryStore),
    keys: &[ObjectKey],
    commit_time: CommitTime,
    progress: &ProgressReport,
) -> Result<Pass, Failure> {
    let mut pass = Pass::default();
    for group in keys.chunk_by(|a, b| a.kind == b.kind).flat_map(|kind| kind.chunks(BATCH)) {
        let mut observed = observe::observe(cache, store, group, commit_time.now).await?;
        observed.iter_mut().for_each(|(_, snapshot)| presume_password(snapshot));
        let (decided, later) = decide(observed, usize::MAX);
        pass.changed |= !later.is_empty();
        let plans: Vec<_> =
            decided.iter().filter_map(|(_, _, decision)| decision.plan.clone()).collect();
        let mut answers = store.commit(&plans, commit_time).await?.into_iter();
        for (key, _, decision) in decided {
            match decision.plan.as_ref().and_then(|_| answers.next()) {
                Some(Ok(_)) => pass.changed = true,
                Some(Err(refusal)) => pass.refused = Some((key.clone(), refusal.to_string())),
                None => {}
            }
            pass.decisions.insert(key, decision);
        }
        progress.advance(group.len());
    }
    Ok(pass)
}

/// No Secret is read, so a password is taken to be there and to be the same; where none came from a
/// Secret yet, it is new.
fn presume_password(snapshot: &mut Snapshot) {
    if let Snapshot::User(user) = snapshot
        && user.spec.password_secret_ref.is_some()
    {
        let is_known = user.account.as_ref().is_some_and(has_password_of_secret);
        let unread = || SecretPassword {
            hash: PasswordHash::from_stored(String::new()),
            version: String::new(),
        };
        user.password = if is_known { PasswordFacts::Same } else { PasswordFacts::New(unread()) };
    }
}

/// Whether a password of the account ever came from a Secret.
pub(super) fn has_password_of_secret(account: &Account) -> bool {
    account.credential.as_ref().is_some_and(|credential| credential.from_secret.is_some())
}

/// Returns the declared objects as a cluster would have them, held by our finalizer.
fn cache(
    declared: &Manifests,
    organizations: &[Organization],
    accounts: &[Account],
) -> ClusterCache {
    let mut cache = ClusterCache::default();
    cache.presumes_owners = true;
    for Organization { namespace, customer_id } in organizations {
        // A label that isn't a customer ID is refused as such.
        let label = declared
            .customer_ids
            .get(namespace)
            .cloned()
            .unwrap_or_else(|| customer_id.to_string());
        let labels = Some([(CUSTOMER_ID.to_owned(), label)].into());
        let metadata =
            ObjectMeta { name: Some(namespace.clone()), labels, ..ObjectMeta::default() };
        cache.upsert_namespace(&Namespace { metadata, ..Namespace::default() }, Origin::Anew);
    }
    let owners: HashMap<(&str, &str), &Account> = accounts
        .iter()
        .map(|account| ((account.namespace.as_str(), account.owner.name.as_str()), account))
        .collect();
    for declaration in &declared.objects {
        let key = &declaration.key;
        let owned = owners.get(&(key.namespace.as_str(), key.name.as_str())).copied();
        match declaration.object.clone() {
            Some(Object::User(mut user)) => {
                user.metadata = metadata_in_cluster(&user.metadata, key, owned);
                cache.upsert(Lenient::from(*user), Origin::Anew);
            }
            Some(Object::Group(mut group)) => {
                group.metadata = metadata_in_cluster(&group.metadata, key, None);
                cache.upsert(Lenient::from(*group), Origin::Anew);
            }
            Some(Object::Domain(mut domain)) => {
                domain.metadata = metadata_in_cluster(&domain.metadata, key, None);
                cache.upsert(Lenient::from(*domain), Origin::Anew);
            }
            None => {}
        }
    }
    cache
}

/// Returns an object's metadata as if it was there: as the owner of the account of its name, unless
/// that was let go of.
fn metadata_in_cluster(
    metadata: &ObjectMeta,
    key: &ObjectKey,
    owned: Option<&Account>,
) -> ObjectMeta {
    let owner = owned.map(|account| &account.owner).filter(|owner| !owner.uid.is_empty());
    let kind: &str = key.kind.into();
    ObjectMeta {
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        uid: Some(owner.map_or_else(
            || format!("{kind}/{}/{}", key.namespace, key.name),
            |owner| owner.uid.clone(),
        )),
        generation: Some(owner.map_or(1, |owner| owner.generation)),
        finalizers: Some(vec![FINALIZER.to_owned()]),
        annotations: metadata.annotations.clone(),
        ..ObjectMeta::default()
    }
}
