//! Manifests of the accounts that a store has and no `User` owns: applying them changes nothing
//! about the accounts.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use kube::Config;
use kube::api::ObjectMeta;

use super::manifest::{self, Remark, comment, document};
use super::names::{Names, valid_name};
use super::record;
use super::valid::valid;
use crate::api::user::{
    DeletionPolicy, DeletionProtection, DesiredState, GroupRef, PermissionSource, PermissionsSpec,
    SourceMode, UserRef,
};
use crate::api::{CUSTOMER_ID, User, UserSpec};
use crate::cli::Failure;
use crate::cli::doctor::none_if_code;
use crate::cli::plan::schema::Schemas;
use crate::cli::progress::ProgressReport;
use crate::cli::run::{WRITE_TIMEOUT, client};
use crate::controller::user_list::{DeclaredUser, declared_users};
use crate::domain::account::{Account, AccountId, Cloned, LoginState, Source};
use crate::domain::group::GroupContent;
use crate::domain::text;
use crate::plan::{OrganizationRecord, profile};
use crate::store::sql::SqlStore;
use crate::store::{Store, UserName};

/// Returns the manifests of the accounts of an organization, or of all, that no `User` in the
/// cluster owns; with `all` of every account, and no cluster is asked.
pub(super) async fn manifests(
    store: &SqlStore,
    organization: Option<&str>,
    all: bool,
    progress: &ProgressReport,
) -> Result<String, Failure> {
    let accounts =
        if all { store.list(organization).await? } else { unowned(store, organization).await? };
    let mut by_namespace: BTreeMap<&str, Vec<&Account>> = BTreeMap::new();
    accounts
        .iter()
        .for_each(|account| by_namespace.entry(&account.namespace).or_default().push(account));
    let schemas = Schemas::new()?;
    let mut text = head(accounts.len(), all);
    progress.step("writing manifests", accounts.len());
    for (namespace, accounts) in by_namespace {
        let record = record(store, namespace).await?;
        let owners = store
            .owners()
            .await?
            .into_iter()
            .filter(|(of, _)| of == namespace)
            .map(|(_, name)| name);
        let mut names = Names::without(owners);
        if all {
            text += &organization_of(namespace, &record)?;
        }
        text += &what_they_need(namespace, &record, &accounts)?;
        for account in accounts {
            text += &user(account, &mut names, &schemas)?;
            progress.advance(1);
        }
    }
    Ok(text)
}

/// Returns the accounts that no `User` in the cluster owns, of those that were there before the
/// cluster was read.
async fn unowned(store: &SqlStore, organization: Option<&str>) -> Result<Vec<Account>, Failure> {
    let before: BTreeSet<AccountId> =
        store.list(organization).await?.iter().map(|account| account.id).collect();
    let config = Config::infer().await.map_err(|error| {
        format!("no cluster is known ({error}): set KUBECONFIG; or print every account with --all, for a cluster that is lost")
    })?;
    let namespaces: Vec<String> = organization.map(str::to_owned).into_iter().collect();
    let users = declared_users(&client(&config, WRITE_TIMEOUT)?, &namespaces).await;
    // A cluster that doesn't know the kind has no User.
    let users: BTreeMap<UserName, DeclaredUser> = none_if_code(404, users)?.unwrap_or_default();
    let is_owned = |account: &Account| {
        users.contains_key(&(account.namespace.clone(), account.owner.name.clone()))
    };
    let mut accounts = store.list(organization).await?;
    accounts.retain(|account| before.contains(&account.id) && !is_owned(account));
    Ok(accounts)
}

fn head(accounts: usize, all: bool) -> String {
    let whose = if all { "that the store has" } else { "that no User in the cluster owns" };
    if accounts == 0 {
        return comment("", &format!("There is no account {whose}."));
    }
    [
        &*format!("The accounts {whose}: {accounts}."),
        "Applying this changes nothing about them but what a comment says: each User takes its account back, as it is.",
        "",
        "  roster plan -f FILE      says what would become of them",
        "  kubectl apply -f FILE    has each taken over; kubectl get users.roster.rs -A says so",
        "",
        "With deletionPolicy Retain an account stays where its User is deleted by mistake: remove the line once all is settled.",
        "Passwords stay as they are. To set one from now on, name its Secret in spec.passwordSecretRef.",
    ]
    .map(|line| comment("", line))
    .concat()
}

/// Returns the namespace, with the customer ID that its accounts have.
fn organization_of(namespace: &str, record: &OrganizationRecord) -> Result<String, Failure> {
    let claimed = record.claimed.as_ref().filter(|claimed| claimed.as_str() != namespace);
    let labels = claimed.map(|claimed| [(CUSTOMER_ID.to_owned(), claimed.to_string())].into());
    let metadata = ObjectMeta { name: Some(namespace.to_owned()), labels, ..ObjectMeta::default() };
    document(&[], &Namespace { metadata, ..Namespace::default() }, &[])
}

/// Returns the groups and domains of the accounts. Of the groups that every organization has those
/// that differ from what is built in, before everything else: the operator would create them empty
/// for an object that stands above them.
fn what_they_need(
    namespace: &str,
    record: &OrganizationRecord,
    accounts: &[&Account],
) -> Result<String, Failure> {
    let none = BTreeSet::new();
    let listed = accounts
        .iter()
        .filter_map(|account| record.listing_of(account.content.email.domain(), &none));
    let groups: BTreeSet<&String> = accounts.iter().map(|account| &account.content.group).collect();
    let is_default = |name: &str| GroupContent::built_in(name).is_some();
    let defaults = record
        .groups
        .iter()
        .filter(|(name, content)| GroupContent::built_in(name).is_some_and(|it| it != **content));
    let mut text = String::new();
    for (name, content) in defaults {
        text += &document(&[], &manifest::group(namespace, name, content)?, &[])?;
    }
    for name in listed.collect::<BTreeSet<&str>>() {
        text += &document(&[], &manifest::listing(namespace, name, &record.listings[name]), &[])?;
    }
    for name in groups.into_iter().filter(|name| !is_default(name)) {
        if let Some(content) = record.groups.get(name) {
            text += &document(&[], &manifest::group(namespace, name, content)?, &[])?;
        }
    }
    Ok(text)
}

fn user(account: &Account, names: &mut Names, schemas: &Schemas) -> Result<String, Failure> {
    let Account { id, namespace, owner, login_name, content, .. } = account;
    let (username, _) = login_name.parts();
    let owned = Some(&owner.name).filter(|name| !name.is_empty()).cloned();
    let name = owned
        .clone()
        .unwrap_or_else(|| names.give(&valid_name(username).unwrap_or_else(|_| "user".to_owned())));
    let placeholder = content.email.copy_number().is_some();
    let spec = UserSpec {
        username: (username != name).then(|| username.to_owned()),
        email: declared_email(account).filter(|_| !placeholder),
        profile: Some(profile::spec(content.member.declared(&content.profile))),
        role: content.role.clone(),
        teams: content.teams.iter().cloned().collect(),
        group_ref: GroupRef { name: content.group.clone() },
        permissions: permissions(account),
        // A person without an address of their own is still a copy.
        copy_of: content
            .copied
            .as_ref()
            .filter(|_| placeholder)
            .map(|copied| UserRef { name: copied.from.clone() }),
        adopt: owned.is_none().then(|| id.to_string()),
        state: match content.lifecycle {
            LoginState::Enabled => DesiredState::Enabled,
            LoginState::Disabled => DesiredState::Disabled,
        },
        password_secret_ref: None,
        charge_approved: true,
        deletion_protection: DeletionProtection::Enabled,
        deletion_policy: DeletionPolicy::Retain,
    };
    let remark = |field, line: String| Remark { field, lines: vec![line], instead: false };
    let mut remarks = vec![
        remark("chargeApproved", "It is billed already.".to_owned()),
        remark("deletionPolicy", "Remove this line once all is settled.".to_owned()),
    ];
    if let Some(Source::Cloned(cloned)) = &content.source {
        remarks.push(remark("permissions", clone_remark(cloned)));
    }
    let spec = creatable(spec, account, schemas, &mut remarks);
    let user = User { metadata: manifest::metadata(namespace, &name), spec, status: None };
    document(&[format!("Account {id}, {login_name}")], &user, &remarks)
}

/// Returns the spec without what an account may have from before there was a rule, and the API
/// server refuses in a new `User`.
fn creatable(
    mut spec: UserSpec,
    account: &Account,
    schemas: &Schemas,
    remarks: &mut Vec<Remark<'static>>,
) -> UserSpec {
    let name = spec.profile.as_mut().and_then(|profile| profile.display_name.as_mut());
    if let Some((name, why)) =
        name.and_then(|name| text::readable(name).err().map(|why| (name, why)))
    {
        let line = format!(
            "displayName is the login name from the take-over on: that of the account {why}"
        );
        remarks.push(Remark { field: "profile", lines: vec![line], instead: false });
        *name = account.login_name.to_string();
    }
    // `roster plan` reports everything else that is refused.
    valid(schemas, spec.clone(), |_| None, remarks).unwrap_or(spec)
}

/// A clone isn't taken again while the account has one of the same User.
fn clone_remark(Cloned { from, permissions, .. }: &Cloned) -> String {
    let permissions: Vec<String> = permissions.iter().map(ToString::to_string).collect();
    let permissions =
        if permissions.is_empty() { "nothing".to_owned() } else { permissions.join(", ") };
    format!(
        "Cloned from {from} once, which gave {permissions}. That stays; nothing is cloned anew."
    )
}

/// Returns the address that the `User` declares: a member's own stays over it.
fn declared_email(account: &Account) -> Option<String> {
    let own = account.content.member.email.as_ref().filter(|own| !own.base.is_empty());
    Some(own.map_or_else(|| account.content.email.to_string(), |own| own.base.clone()))
}

fn permissions(account: &Account) -> Option<PermissionsSpec> {
    let content = &account.content;
    let from = content.source.as_ref().map(|source| PermissionSource {
        name: source.from().to_owned(),
        mode: match source {
            Source::Inherited { .. } => SourceMode::Inherit,
            Source::Cloned(_) => SourceMode::Clone,
        },
    });
    let grants: Vec<String> = content.grants.iter().map(ToString::to_string).collect();
    (from.is_some() || !grants.is_empty()).then_some(PermissionsSpec { grants, from })
}
