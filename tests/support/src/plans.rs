//! Plans and what is asked about their answers, in short words.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use roster::domain::account::{
    Account, AccountId, AccountSpec, Cloned, Confirmations, Copied, DeletedAccount, DirectoryAck,
    LoginState, Owner, Revision, SecretPassword, Source, TransactionId, TransactionKind,
};
use roster::domain::email::{Domain, Email};
use roster::domain::group::GroupContent;
use roster::domain::organization::{CustomerId, LoginName, Organization};
use roster::domain::password::PasswordHash;
use roster::domain::permission::{Permissions, parse_all};
use roster::domain::profile::SelfServiceField;
use roster::domain::profile::{PostalAddress, Profile};
use roster::domain::self_service::{Override, Overrides, ProfileChange};
use roster::plan::{
    AccountChange, AccountPlan, AddressMove, ConfirmPlan, Deleting, DomainPlan, FrozenPermissions,
    GroupPlan, Listing, MemberPlan, Plan, Precondition, RehashPlan,
};
use roster::store::{
    AccountKey, CommitTime, OrganizationRecord, Receipt, Refusal, Store, UserName,
};

pub fn at(second: i64) -> CommitTime {
    let time = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
    CommitTime { now: time(second), deadline: time(second + 1200) }
}

pub fn organization(namespace: &str, customer_id: &str) -> Organization {
    Organization {
        namespace: namespace.to_owned(),
        customer_id: CustomerId::parse(customer_id).unwrap(),
    }
}

/// The namespaces, nobody of which is being deleted.
pub fn nobody_leaves(namespaces: &[&str]) -> HashMap<String, Deleting> {
    namespaces.iter().map(|&namespace| (namespace.to_owned(), Deleting::default())).collect()
}

pub fn acme() -> Organization {
    organization("acme", "acme")
}

pub fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub fn permissions(texts: &[&str]) -> Permissions {
    parse_all(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
}

pub fn owner(name: &str) -> Owner {
    Owner { name: name.to_owned(), uid: format!("uid of {name}"), generation: 1 }
}

pub fn content(address: &str) -> AccountSpec {
    AccountSpec {
        email: email(address),
        lifecycle: LoginState::Enabled,
        group: "users".to_owned(),
        grants: permissions(&[]),
        source: None,
        role: None,
        teams: [].into(),
        profile: Profile { display_name: "Alice Smith".to_owned(), ..Profile::default() },
        copied: None,
        member: Overrides::default(),
    }
}

pub fn full_content(address: &str) -> AccountSpec {
    AccountSpec {
        email: email(address),
        lifecycle: LoginState::Disabled,
        group: "administrators".to_owned(),
        grants: permissions(&["orders:read", "cases:write"]),
        source: Some(Source::Cloned(Cloned {
            from: "bob".to_owned(),
            uid: "uid of bob".to_owned(),
            generation: 7,
            permissions: permissions(&["cases:read", "orders:read"]),
        })),
        role: Some("Dispatcher".to_owned()),
        teams: ["night-shift".to_owned(), "\"quoted\", and 'so' \\ on".to_owned()].into(),
        profile: Profile {
            display_name: "Ä'); DROP TABLE accounts; --".to_owned(),
            phone: Some("+1 602 555 0100".to_owned()),
            address: Some(PostalAddress {
                street: vec!["1 Main St".to_owned(), String::new()],
                locality: Some("Phoenix".to_owned()),
                region: None,
                postal_code: Some("85001".to_owned()),
                country: Some("US".to_owned()),
            }),
            time_zone: Some("America/Phoenix".to_owned()),
            notifications: ["CaseAssigned".to_owned()].into(),
        },
        copied: Some(Copied {
            from: "carol".to_owned(),
            uid: "uid of carol".to_owned(),
            generation: 2,
            role: Some("Driver".to_owned()),
            teams: ["day-shift".to_owned()].into(),
            profile: Profile { display_name: "Carol".to_owned(), ..Profile::default() },
        }),
        member: Overrides {
            phone: Some(Override { value: Some("+1 602 555 0100".to_owned()), base: None }),
            ..Overrides::default()
        },
    }
}

/// Another's permissions, followed.
pub fn inherited(from: &str) -> Option<Source> {
    Some(Source::Inherited { from: from.to_owned(), kept: None })
}

/// Another's permissions, not followed on a loop.
pub fn kept(from: &str, texts: &[&str]) -> Option<Source> {
    Some(Source::Inherited { from: from.to_owned(), kept: Some(permissions(texts)) })
}

/// Another's permissions, as they were.
pub fn cloned(of: &Account, texts: &[&str]) -> Option<Source> {
    let Owner { name, uid, generation } = of.owner.clone();
    Some(Source::Cloned(Cloned { from: name, uid, generation, permissions: permissions(texts) }))
}

/// A plan that concerns nobody else.
pub fn plan(organization: Organization, owner: Owner, change: AccountChange) -> AccountPlan {
    AccountPlan {
        organization,
        owner,
        change,
        moves: vec![],
        freezes: vec![],
        preconditions: vec![],
        leaving: Deleting::default(),
    }
}

pub fn create_in(organization: Organization, name: &str, content: AccountSpec) -> Plan {
    let owner = owner(name);
    let change = AccountChange::Create {
        id: None,
        transaction: TransactionId::of_create(&format!("{}/{}", organization.namespace, owner.uid)),
        login_name: LoginName::new(name, &organization.customer_id),
        content,
        password: None,
    };
    Plan::Account(Box::new(plan(organization, owner, change)))
}

pub fn create(name: &str, address: &str) -> Plan {
    create_in(acme(), name, content(address))
}

pub fn with_login(plan: Plan, username: &str) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    if let AccountChange::Create { login_name, .. } = &mut plan.change {
        *login_name = LoginName::new(username, &plan.organization.customer_id);
    }
    Plan::Account(plan)
}

/// A new account of this id.
pub fn with_id(plan: Plan, asked: AccountId) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    if let AccountChange::Create { id, .. } = &mut plan.change {
        *id = Some(asked);
    }
    Plan::Account(plan)
}

/// A new account in a group.
pub fn create_member(name: &str, address: &str, group: &str) -> Plan {
    let mut content = content(address);
    group.clone_into(&mut content.group);
    create_in(acme(), name, content)
}

/// A new account that has its own permissions from a source.
pub fn create_heir(organization: Organization, name: &str, source: Option<Source>) -> Plan {
    let content = AccountSpec { source, ..content(&format!("{name}@acme.example")) };
    create_in(organization, name, content)
}

/// A new account with the address of a copy.
pub fn create_copy(name: &str, of: &str) -> Plan {
    create_in(
        acme(),
        name,
        AccountSpec {
            email: Email::from_stored(of.to_owned()).placeholder(1),
            ..content("x@acme.example")
        },
    )
}

/// The Create of a `User` that was deleted and created again under the same name.
pub fn recreate(name: &str, address: &str) -> Plan {
    let Plan::Account(mut plan) = by_uid(create(name, address), "re-created") else {
        panic!("not an account's plan")
    };
    if let AccountChange::Create { transaction, .. } = &mut plan.change {
        *transaction = TransactionId::of_create("re-created");
    }
    Plan::Account(plan)
}

/// The plan, while the organization presents itself in another way.
pub fn presented(plan: Plan, organization: Organization) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    plan.organization = organization;
    Plan::Account(plan)
}

/// An update from the account as it is given, without a transaction.
pub fn update(account: &Account, edit: impl FnOnce(&mut AccountSpec)) -> Plan {
    let mut content = account.content.clone();
    edit(&mut content);
    change(
        account,
        AccountChange::Update {
            account: account.id,
            from: account.revision,
            transaction: None,
            content,
            password: None,
            adopts: false,
        },
    )
}

/// An update that is a transaction.
pub fn switch(account: &Account, kind: TransactionKind) -> Plan {
    let mut content = account.content.clone();
    content.lifecycle =
        if kind == TransactionKind::Disable { LoginState::Disabled } else { LoginState::Enabled };
    let transaction = Some((TransactionId::of_change(account.id, kind, account.revision), kind));
    change(
        account,
        AccountChange::Update {
            account: account.id,
            from: account.revision,
            transaction,
            content,
            password: None,
            adopts: false,
        },
    )
}

pub fn delete(account: &Account) -> Plan {
    let transaction =
        TransactionId::of_change(account.id, TransactionKind::Delete, account.revision);
    change(
        account,
        AccountChange::Delete { account: account.id, from: account.revision, transaction },
    )
}

pub fn change(account: &Account, change: AccountChange) -> Plan {
    let organization = organization(&account.namespace, "acme");
    Plan::Account(Box::new(plan(organization, account.owner.clone(), change)))
}

/// The plan, asked for by another `User` of the same name.
pub fn by_uid(plan: Plan, uid: &str) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    uid.clone_into(&mut plan.owner.uid);
    Plan::Account(plan)
}

/// The plan, while others move to other addresses.
pub fn moving(plan: Plan, moves: &[(&Account, &str)]) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    let one = |(account, to): &(&Account, &str)| AddressMove {
        account: account.id,
        from: account.revision,
        to: email(to),
    };
    plan.moves = moves.iter().map(one).collect();
    Plan::Account(plan)
}

/// The plan, made from others as they are given.
pub fn seeing(plan: Plan, others: &[&Account]) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    plan.preconditions = others
        .iter()
        .map(|other| Precondition { account: other.id, revision: other.revision })
        .collect();
    Plan::Account(plan)
}

/// The plan, while others keep something of theirs, or follow their source again.
pub fn making_keep(plan: Plan, keeps: &[(&Account, Option<&[&str]>)]) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    let one = |(account, kept): &(&Account, Option<&[&str]>)| FrozenPermissions {
        account: account.id,
        from: account.revision,
        kept: kept.map(permissions),
    };
    plan.freezes = keeps.iter().map(one).collect();
    Plan::Account(plan)
}

/// The plan, while `User`s of these names are being deleted.
pub fn while_leave(plan: Plan, names: &[&str]) -> Plan {
    leaving(plan, names.iter().map(|&name| name.to_owned()).collect())
}

/// The plan, while the namespace is being deleted, and in it all `User`s that there are but those
/// of these names.
pub fn while_all_leave_but(plan: Plan, names: &[&str]) -> Plan {
    let last = Arc::new(names.iter().map(|&name| name.to_owned()).collect());
    leaving(plan, Deleting { last: Some(last), ..Deleting::default() })
}

fn leaving(mut plan: Plan, all: Deleting) -> Plan {
    match &mut plan {
        Plan::Account(plan) => plan.leaving = all,
        Plan::Group(GroupPlan::Put { leaving, .. } | GroupPlan::Drop { leaving, .. })
        | Plan::Domain(DomainPlan::Drop { leaving, .. }) => *leaving = all,
        Plan::Domain(DomainPlan::Put { .. })
        | Plan::Member(_)
        | Plan::Rehash(_)
        | Plan::Confirm(_) => {
            panic!("nobody asks it who leaves")
        }
    }
    plan
}

/// What the member of an account changes of themselves.
pub fn by_member(account: &Account, changes: &[ProfileChange]) -> Plan {
    Plan::Member(MemberPlan {
        namespace: account.namespace.clone(),
        account: account.id,
        changes: changes.to_vec(),
        password: None,
    })
}

/// A member's new password.
pub fn password_by_member(account: &Account, password: &str) -> Plan {
    let (namespace, account, password) =
        (account.namespace.clone(), account.id, Some(hash(password)));
    Plan::Member(MemberPlan { namespace, account, changes: vec![], password })
}

/// Something that stands for the hash of a password.
pub fn hash(password: &str) -> PasswordHash {
    PasswordHash::from_stored(format!("$argon2id$of {password}"))
}

/// A password as version `1` of a Secret has it.
pub fn from_secret(password: &str) -> SecretPassword {
    SecretPassword { hash: hash(password), version: "1".to_owned() }
}

/// The plan, with a password from a Secret.
pub fn with_password(plan: Plan, set: SecretPassword) -> Plan {
    let Plan::Account(mut plan) = plan else { panic!("not an account's plan") };
    match &mut plan.change {
        AccountChange::Create { password, .. } | AccountChange::Update { password, .. } => {
            *password = Some(set)
        }
        AccountChange::Delete { .. } | AccountChange::Release { .. } => {
            panic!("it sets no password")
        }
    }
    Plan::Account(plan)
}

/// A new password from a Secret, which is a transaction.
pub fn change_password(account: &Account, set: SecretPassword) -> Plan {
    let kind = TransactionKind::PasswordChange;
    let transaction = Some((TransactionId::of_change(account.id, kind, account.revision), kind));
    let (content, from) = (account.content.clone(), account.revision);
    let update = AccountChange::Update {
        account: account.id,
        from,
        transaction,
        content,
        password: Some(set),
        adopts: false,
    };
    change(account, update)
}

/// Another hash of the password that has the hash `before`.
pub fn rehash(account: &Account, before: &str, after: &str) -> Plan {
    let (namespace, account) = (account.namespace.clone(), account.id);
    Plan::Rehash(RehashPlan { namespace, account, before: hash(before), after: hash(after) })
}

/// What directories confirm of an account of `acme`.
pub fn confirm(account: AccountId, confirmed: &[(&str, i64)]) -> Plan {
    Plan::Confirm(ConfirmPlan {
        namespace: "acme".to_owned(),
        account,
        confirmed: revisions(confirmed),
    })
}

pub fn revisions(confirmed: &[(&str, i64)]) -> Confirmations {
    let confirmation =
        |revision| DirectoryAck { revision: Revision(revision), fingerprint: None, handle: None };
    confirmed
        .iter()
        .map(|&(directory, revision)| (directory.to_owned(), confirmation(revision)))
        .collect()
}

pub fn release(account: &Account) -> Plan {
    change(account, AccountChange::Release { account: account.id, from: account.revision })
}

/// The plan of a `User` of another name, which takes the account over.
pub fn adopt(account: &Account, name: &str) -> Plan {
    let Plan::Account(mut plan) = update(account, |_| ()) else { unreachable!() };
    plan.owner = owner(name);
    if let AccountChange::Update { adopts, .. } = &mut plan.change {
        *adopts = true;
    }
    Plan::Account(plan)
}

pub async fn use_directories(store: &impl Store, directories: &[&str], second: i64) {
    let directories: BTreeSet<String> = directories.iter().map(|&name| name.to_owned()).collect();
    store.set_directories(&directories, at(second).now).await.unwrap();
}

/// A group whose members may change this of themselves.
pub fn put_self_service(name: &str, details: &[SelfServiceField]) -> Plan {
    let content =
        GroupContent { self_service: details.iter().copied().collect(), ..GroupContent::default() };
    Plan::Group(GroupPlan::Put {
        namespace: "acme".to_owned(),
        name: name.to_owned(),
        content,
        leaving: Deleting::default(),
    })
}

pub fn put_group(name: &str, full_control: bool, texts: &[&str]) -> Plan {
    let content =
        GroupContent { full_control, permissions: permissions(texts), ..GroupContent::default() };
    Plan::Group(GroupPlan::Put {
        namespace: "acme".to_owned(),
        name: name.to_owned(),
        content,
        leaving: Deleting::default(),
    })
}

pub fn drop_group(name: &str) -> Plan {
    Plan::Group(GroupPlan::Drop {
        namespace: "acme".to_owned(),
        name: name.to_owned(),
        leaving: Deleting::default(),
    })
}

pub fn put_domain_in(namespace: &str, name: &str, domain: &str) -> Plan {
    let (domain, include_subdomains) =
        domain.strip_prefix("*.").map_or((domain, false), |domain| (domain, true));
    let listing = Listing { domain: Domain::parse(domain).unwrap(), include_subdomains };
    Plan::Domain(DomainPlan::Put {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        listing,
    })
}

/// Lists a domain; one that starts with `*.` includes its subdomains.
pub fn put_domain(name: &str, domain: &str) -> Plan {
    put_domain_in("acme", name, domain)
}

pub fn drop_domain(name: &str) -> Plan {
    Plan::Domain(DomainPlan::Drop {
        namespace: "acme".to_owned(),
        name: name.to_owned(),
        leaving: Deleting::default(),
    })
}

pub async fn commit(store: &impl Store, plan: Plan) -> Result<Receipt, Refusal> {
    commit_at(store, plan, 0).await
}

pub async fn commit_at(store: &impl Store, plan: Plan, second: i64) -> Result<Receipt, Refusal> {
    store.commit(&[plan], at(second)).await.unwrap().pop().unwrap()
}

/// Creates accounts in `acme`, whose domain `acme.example` it lists, by name and address.
pub async fn people<const N: usize>(store: &impl Store, people: [(&str, &str); N]) -> [Account; N] {
    done(commit(store, put_domain("acme", "*.acme.example")).await);
    let plans: Vec<Plan> = people.iter().map(|(name, address)| create(name, address)).collect();
    let accounts: Vec<Account> =
        store.commit(&plans, at(0)).await.unwrap().into_iter().map(account).collect();
    accounts.try_into().unwrap()
}

pub async fn alice(store: &impl Store) -> Account {
    let [alice] = people(store, [("alice", "alice@acme.example")]).await;
    alice
}

pub async fn find(store: &impl Store, name: &str) -> Option<Account> {
    let key = AccountKey::Owner { namespace: "acme".to_owned(), name: name.to_owned() };
    store.find(std::slice::from_ref(&key)).await.unwrap().remove(&key)
}

/// Whose accounts there are on the lines of these users of `acme`.
pub async fn lineage(store: &impl Store, names: &[&str]) -> Vec<String> {
    let found = store.inheritance_chain(&users(names)).await.unwrap();
    assert!(found.iter().all(|((namespace, name), account)| account.namespace == *namespace
        && account.owner.name == *name));
    let mut names: Vec<String> =
        found.into_keys().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
    names.sort();
    names.into_iter().map(|name| name.trim_start_matches("acme/").to_owned()).collect()
}

/// Who follows a user of `acme`.
pub async fn heirs(store: &impl Store, name: &str) -> Option<Vec<String>> {
    store.heirs(&users(&[name])).await.unwrap().remove(&("acme".to_owned(), name.to_owned()))
}

fn users(names: &[&str]) -> Vec<UserName> {
    names.iter().map(|&name| ("acme".to_owned(), name.to_owned())).collect()
}

/// Who has full control of `acme`, as `group/user`.
pub async fn administrators(store: &impl Store) -> Vec<String> {
    let found = store.administrators(&["acme".to_owned()]).await.unwrap().remove("acme").unwrap();
    found
        .into_iter()
        .map(|administrator| format!("{}/{}", administrator.group, administrator.user))
        .collect()
}

/// The address of each account of `acme`, by owner.
pub async fn addresses(store: &impl Store) -> HashMap<String, String> {
    let accounts = store.list(Some("acme")).await.unwrap();
    accounts
        .into_iter()
        .map(|account| (account.owner.name, account.content.email.to_string()))
        .collect()
}

pub async fn record(store: &impl Store, organization: Organization) -> OrganizationRecord {
    store
        .organizations(std::slice::from_ref(&organization))
        .await
        .unwrap()
        .remove(&organization.namespace)
        .unwrap()
}

#[track_caller]
pub fn account(answer: Result<Receipt, Refusal>) -> Account {
    match answer {
        Ok(Receipt::Account(account)) => *account,
        other => panic!("no account: {other:?}"),
    }
}

#[track_caller]
pub fn done(answer: Result<Receipt, Refusal>) {
    assert_eq!(answer, Ok(Receipt::Done));
}

#[track_caller]
pub fn refused(answer: Result<Receipt, Refusal>, refusal: Refusal) {
    assert_eq!(answer, Err(refusal));
}

#[track_caller]
pub fn cases_unassigned(answer: Result<Receipt, Refusal>, gone: AccountId) -> i64 {
    match answer {
        Ok(Receipt::Deleted(departure)) if departure.account == gone => departure.cases_unassigned,
        other => panic!("not deleted: {other:?}"),
    }
}

#[track_caller]
pub fn deleted(answer: Result<Receipt, Refusal>) -> DeletedAccount {
    match answer {
        Ok(Receipt::Deleted(departure)) => *departure,
        other => panic!("not deleted: {other:?}"),
    }
}

#[track_caller]
pub fn have(found: &HashMap<String, String>, expected: &[(&str, &str)]) {
    let expected =
        expected.iter().map(|&(name, address)| (name.to_owned(), address.to_owned())).collect();
    assert_eq!(*found, expected);
}
