//! `roster doctor`: what is amiss in the store and in the cluster, and what helps.

mod clocks;
mod directories;
mod entries;
mod leases;
mod policies;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;
use kube::Config;
use serde::Serialize;
use tokio::time::sleep;

use self::clocks::{ServerTime, Times};
use self::directories::{Between, Lacking};
use self::entries::ListedDirectory;
use self::leases::Leases;
use super::run::startup::own_namespace;
use super::run::{WRITE_TIMEOUT, client, namespace};
use super::{Failure, block_on, examples, open, print, rendered};
use crate::api::lenient::UnreadableField;
use crate::config::{Output, Shared};
use crate::controller::policies::PolicyGap;
use crate::controller::user_list::{Declarations, DeclaredUser, Misread, declarations};
use crate::domain::account::{Account, AccountId, Confirmations, DeletedAccount, Transaction};
use crate::domain::object_key;
use crate::plan::unreadable::{consequence, wrong_values};
use crate::provisioning::Directory;
use crate::store::UserName;
use crate::store::claims::Operators;
use crate::store::sql::inspection::{Examination, UnreadableRow};

/// Arguments of `roster doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Check the store, the cluster and a directory", "roster doctor --directory 'scim+https://id.acme.example/v2?token-file=token'"),
    ("Check one organization of a store without a cluster", "roster doctor --store-only -n acme"),
    ("Print the errors alone", "roster doctor -o json | jq '.findings[] | select(.severity == \"Error\")'"),
]))]
pub(super) struct DoctorArgs {
    /// Checks the store alone, without the cluster.
    #[arg(long)]
    store_only: bool,
    /// Finds the entries of this directory that no account has, written as for roster run; may be
    /// given several times.
    #[arg(long = "directory", value_parser = Directory::open, value_name = "URL")]
    directories: Vec<Directory>,
    /// The namespace of the Lease for leader election, as for roster run, if the store is in
    /// PostgreSQL [default: the pod's own namespace, outside a cluster roster-system]
    #[arg(long, env = "ROSTER_LEASE_NAMESPACE", value_parser = namespace, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// Checks this namespace only; may be given several times. Without it, all.
    #[arg(short, long = "namespace", alias = "organization", value_parser = namespace, value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    shared: Shared,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Severity {
    /// Something doesn't work, or is lost.
    Error,
    /// Something will, or couldn't be read.
    Warning,
    /// Something is as somebody wanted it, and may be forgotten.
    Note,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
enum Kind {
    StoreDamaged,
    Unreadable,
    UsersUnknown,
    MonthsClosedEarly,
    LivesAhead,
    MonthNotClosed,
    ClocksDiffer,
    ClockUnread,
    EpochAbsurd,
    LeaseHolderUnknown,
    LeaseNotRenewed,
    LeasesUnknown,
    PolicyMissing,
    PolicyUnbound,
    PoliciesUnknown,
    PoliciesUnsupported,
    AccountLost,
    DirectoryRefused,
    DirectoryUnavailable,
    DirectoryPending,
    DirectoryBehind,
    UnsupportedValue,
    TransactionOverdue,
    DeletionOverdue,
    Orphan,
    OwnerDiffers,
    EntryWithoutAccount,
    DirectoryUnread,
    Retained,
    EntriesOfOthers,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Finding {
    severity: Severity,
    finding: Kind,
    /// The namespace of the organization; absent for what belongs to none.
    organization: Option<String>,
    object: String,
    what: String,
    cure: String,
}

/// What the cluster has, as far as it could be read.
#[derive(Debug)]
struct Cluster {
    /// Absent where it doesn't know the kind.
    declared: Option<Declarations>,
    policies: Vec<PolicyGap>,
    /// Absent where the store is in a file, whose operator needs none.
    leases: Option<Leases>,
    /// What its clock shows.
    time: ServerTime,
}

/// Everything that findings are made from.
#[derive(Debug)]
struct Evidence {
    /// The accounts before the cluster was looked at, each with what directories didn't have of it
    /// then.
    before: BTreeMap<AccountId, Lacking>,
    /// The cluster, unless only the store was read.
    cluster: Option<Cluster>,
    /// The store afterwards. What is seen in it and was there before was so all the while.
    store: Examination,
    /// Who worked on the store then.
    operators: Operators,
    times: Times,
    /// The directories that were given.
    directories: Vec<ListedDirectory>,
}

/// What was examined, and the findings.
#[derive(Debug, Serialize)]
struct Diagnosis {
    accounts: usize,
    cluster: bool,
    findings: Vec<Finding>,
}

/// Says what is amiss: exit code 0 where nothing is, 1 where something is. Notes don't count.
pub(super) fn run(arguments: &DoctorArgs) -> Result<ExitCode, Failure> {
    let shared = &arguments.shared;
    let evidence = block_on(gather_evidence(shared, arguments))?;
    let mut findings = findings(&evidence, shared.clock().now());
    let is_asked = |namespace: &str| {
        arguments.namespaces.is_empty()
            || arguments.namespaces.iter().any(|asked| asked == namespace)
    };
    findings.retain(|finding| finding.organization.as_deref().is_none_or(is_asked));
    let accounts =
        evidence.store.accounts.iter().filter(|account| is_asked(&account.namespace)).count();
    let diagnosis = Diagnosis { accounts, cluster: evidence.cluster.is_some(), findings };
    print(&rendered(arguments.output, &diagnosis, Diagnosis::to_string)?)?;
    let is_amiss = diagnosis.findings.iter().any(|finding| finding.severity < Severity::Note);
    Ok(if is_amiss { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn gather_evidence(shared: &Shared, arguments: &DoctorArgs) -> Result<Evidence, Failure> {
    let store_only = arguments.store_only;
    let store = open(&shared.store).await?;
    let first = store.examine().await?;
    let before = first
        .accounts
        .iter()
        .map(|account| (account.id, Lacking::of(account, &first.directories)))
        .collect();
    let looked = Instant::now();
    let directories = entries::list(&arguments.directories, &store, &first).await?;
    let cluster = if store_only {
        None
    } else {
        Some(read_cluster(arguments, &store.operators().await?).await?)
    };
    if cluster.is_some() && directories::is_any_behind(&before) {
        sleep(directories::APART.saturating_sub(looked.elapsed())).await;
    }
    let server_time = cluster.as_ref().map(|cluster| cluster.time.clone());
    let times = clocks::read(&store, server_time, shared.clock()).await?;
    let (after, operators) = (store.examine().await?, store.operators().await?);
    let evidence = Evidence { before, cluster, store: after, operators, times, directories };
    store.close().await;
    Ok(evidence)
}

async fn read_cluster(arguments: &DoctorArgs, operators: &Operators) -> Result<Cluster, Failure> {
    let DoctorArgs { namespaces, lease_namespace, .. } = arguments;
    let config = Config::infer().await.map_err(|error| {
        format!("no cluster is known ({error}): set KUBECONFIG, or look at the store alone with --store-only")
    })?;
    let client = client(&config, WRITE_TIMEOUT)?;
    let declared = none_if_code(404, declarations(&client, namespaces).await)?;
    let policies = crate::controller::policies::gaps(&client).await?;
    let lease_namespace = lease_namespace.clone().unwrap_or_else(own_namespace);
    let leases = match operators.is_shared {
        true => Some(leases::read(&client, &lease_namespace, operators, namespaces).await?),
        false => None,
    };
    Ok(Cluster { declared, policies, leases, time: clocks::ask(&client).await })
}

/// Returns what the API server answered; nothing where it refused with this status code.
pub(super) fn none_if_code<T>(
    code: u16,
    answer: Result<T, kube::Error>,
) -> Result<Option<T>, kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == code => Ok(None),
        answer => answer.map(Some),
    }
}

/// Returns everything that is amiss, the worst first.
fn findings(evidence: &Evidence, now: Timestamp) -> Vec<Finding> {
    let Evidence { before, cluster, store, operators, times, directories: listed } = evidence;
    let Examination { accounts, unreadable, departures, directories, damage } = store;
    let mut found: Vec<Finding> = damage.iter().map(|what| damaged(what)).collect();
    found.extend(unreadable.iter().map(self::unreadable));
    found.extend(accounts.iter().filter_map(|account| overdue(account, directories, now)));
    found.extend(
        departures.iter().filter_map(|departure| overdue_deletion(departure, directories, now)),
    );
    let leases = cluster.as_ref().and_then(|cluster| cluster.leases.as_ref());
    found.extend(leases::findings(leases, operators));
    found.extend(clocks::findings(times, leases));
    found.extend(listed.iter().flat_map(|listed| entries::findings(listed, store)));
    match cluster {
        Some(Cluster { declared, policies, leases: _, time: _ }) => {
            found.extend(policies.iter().filter_map(policies::finding));
            match declared {
                Some(Declarations { users, misread }) => {
                    found.extend(misread.iter().flat_map(unsupported));
                    found.extend(wrong(users, accounts).iter().flat_map(unsupported));
                    found.extend(
                        accounts.iter().filter_map(|account| whose(account, evidence, users)),
                    );
                    found.extend(lost(users, evidence));
                    found.extend(directories::status_findings(users));
                    let untold =
                        accounts.iter().filter(|account| !directories::is_told(account, users));
                    found.extend(directories::unconfirmed(
                        untold,
                        directories,
                        (before, Between::AWhile),
                    ));
                }
                None => found.push(no_users()),
            }
        }
        None => {
            found.extend(accounts.iter().filter(|account| is_retained(account)).map(retained));
            found.extend(directories::unconfirmed(
                accounts.iter(),
                directories,
                (before, Between::Nothing),
            ));
        }
    }
    found.sort();
    found
}

fn damaged(what: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        finding: Kind::StoreDamaged,
        organization: None,
        object: "the store".to_owned(),
        what: format!("it contradicts itself: {what}"),
        cure: "stop roster run and restore a backup; what is there now is kept beside it"
            .to_owned(),
    }
}

fn unreadable(row: &UnreadableRow) -> Finding {
    let UnreadableRow { account, namespace, user, error } = row;
    Finding {
        severity: Severity::Error,
        finding: Kind::Unreadable,
        organization: Some(namespace.clone()),
        object: format!("account {account} of {namespace}/{user}"),
        what: error.to_string(),
        cure: "somebody wrote to a table that is roster's: put the column back as it was, or restore a backup".to_owned(),
    }
}

fn overdue(account: &Account, directories: &BTreeSet<String>, now: Timestamp) -> Option<Finding> {
    let Account { id, namespace, owner, transaction, confirmed, .. } = account;
    transaction.is_overdue(now).then(|| Finding {
        severity: Severity::Error,
        finding: Kind::TransactionOverdue,
        organization: Some(namespace.clone()),
        object: format!("account {id} of {namespace}/{}", owner.name),
        what: lateness(transaction, confirmed, directories),
        cure: DIRECTORY_CURE.to_owned(),
    })
}

fn overdue_deletion(
    departure: &DeletedAccount,
    directories: &BTreeSet<String>,
    now: Timestamp,
) -> Option<Finding> {
    let DeletedAccount { account, namespace, owner, transaction, confirmed, .. } = departure;
    transaction.is_overdue(now).then(|| Finding {
        severity: Severity::Error,
        finding: Kind::DeletionOverdue,
        organization: Some(namespace.clone()),
        object: format!("account {account} of {namespace}/{}", owner.name),
        what: lateness(transaction, confirmed, directories),
        cure: DIRECTORY_CURE.to_owned(),
    })
}

const DIRECTORY_CURE: &str = "see that roster run is there and reaches the directory; its log names the account and what the \
    directory answers. A directory that is gone for good: start roster run without it";

/// Says since when a transaction is overdue, and who has yet to confirm it.
fn lateness(
    transaction: &Transaction,
    confirmed: &Confirmations,
    directories: &BTreeSet<String>,
) -> String {
    let Transaction { kind, revision, started, deadline, .. } = transaction;
    let has_it = |directory: &&String| {
        confirmed.get(*directory).is_some_and(|known| known.revision >= *revision)
    };
    let missing: Vec<&str> =
        directories.iter().filter(|directory| !has_it(directory)).map(String::as_str).collect();
    let whom = if missing.is_empty() {
        "nobody: roster run completes it".to_owned()
    } else {
        missing.join(", ")
    };
    format!("{} began {started:.0}, was due {deadline:.0}, and waits for {whom}", kind.as_str())
}

/// Returns a finding for each value of an object that this version doesn't understand.
fn unsupported(object: &Misread) -> Vec<Finding> {
    let Misread { kind, namespace, name, fields } = object;
    let kind = <&str>::from(*kind);
    let finding = |UnreadableField { field, path, value, problem }: &UnreadableField| Finding {
        severity: Severity::Error,
        finding: Kind::UnsupportedValue,
        organization: Some(namespace.clone()),
        object: format!("{kind} {namespace}/{name}"),
        what: match problem {
            Some(why) => format!("{path} {why}: {}", consequence(*field)),
            None => format!(
                "{path} is {value}, which this version of roster doesn't understand: {}",
                consequence(*field)
            ),
        },
        cure: match problem {
            Some(_) => "correct the value".to_owned(),
            None => "correct the value, or run a version of roster that knows it".to_owned(),
        },
    };
    fields.iter().map(finding).collect()
}

/// Returns which `User`s have values that can't be meant, but for what their accounts have in
/// force.
fn wrong(users: &BTreeMap<UserName, DeclaredUser>, accounts: &[Account]) -> Vec<Misread> {
    let doubtful =
        users.iter().filter_map(|(name, user)| Some((name, user, user.doubtful.as_deref()?)));
    let wrong = doubtful.map(|((namespace, name), user, spec)| {
        let account = accounts
            .iter()
            .find(|account| account.owner.uid == user.uid && account.namespace == *namespace);
        let (namespace, name) = (namespace.clone(), name.clone());
        Misread {
            kind: object_key::Kind::User,
            namespace,
            name,
            fields: wrong_values(spec, account),
        }
    });
    wrong.filter(|wrong| !wrong.fields.is_empty()).collect()
}

fn no_users() -> Finding {
    Finding {
        severity: Severity::Error,
        finding: Kind::UsersUnknown,
        organization: None,
        object: "users.roster.rs".to_owned(),
        what: "the cluster has no such kind, so no account has a User".to_owned(),
        cure: "kubectl apply -f crds/, then apply the Users again: each takes its account back"
            .to_owned(),
    }
}

fn is_retained(account: &Account) -> bool {
    account.owner.uid.is_empty()
}

fn retained(account: &Account) -> Finding {
    let Account { id, namespace, owner, content, .. } = account;
    Finding {
        severity: Severity::Note,
        finding: Kind::Retained,
        organization: Some(namespace.clone()),
        object: format!("account {id} of {namespace}/{}", owner.name),
        what: "it was let go of on purpose, belongs to no User, and is billed".to_owned(),
        cure: format!(
            "to have it again or delete it, apply a User named {} with groupRef {}, or one that adopts {id}",
            owner.name, content.group
        ),
    }
}

/// Returns what is amiss about whose an account is.
fn whose(
    account: &Account,
    evidence: &Evidence,
    users: &BTreeMap<UserName, DeclaredUser>,
) -> Option<Finding> {
    let Account { id, namespace, owner, content, .. } = account;
    let (what, cure, finding) = match users.get(&(namespace.clone(), owner.name.clone())) {
        _ if !evidence.before.contains_key(id) => return None,
        None if is_retained(account) => return Some(retained(account)),
        None => (
            "its User isn't in the cluster; nobody deletes the account, and it is billed"
                .to_owned(),
            format!(
                "apply the User {} again, which takes it back with groupRef {}; if it is to go, delete that User then",
                owner.name, content.group
            ),
            Kind::Orphan,
        ),
        Some(user) if user.uid != owner.uid => (
            "a User of its name is there that hasn't taken it over".to_owned(),
            format!("see why: kubectl get users.roster.rs {} -n {namespace} -o wide", owner.name),
            Kind::OwnerDiffers,
        ),
        Some(_) => return None,
    };
    let object = format!("account {id} of {namespace}/{}", owner.name);
    Some(Finding {
        severity: Severity::Warning,
        finding,
        organization: Some(namespace.clone()),
        object,
        what,
        cure,
    })
}

/// Returns which statuses name an account that the store had neither before nor after.
fn lost(users: &BTreeMap<UserName, DeclaredUser>, evidence: &Evidence) -> Vec<Finding> {
    let Evidence { before, cluster: _, store, operators: _, times: _, directories: _ } = evidence;
    let read = before
        .keys()
        .copied()
        .chain(store.accounts.iter().map(|account| account.id))
        .map(|id| id.to_string());
    let known: BTreeSet<String> =
        read.chain(store.unreadable.iter().map(|row| row.account.clone())).collect();
    // Who made the account that is there says so in its status before long.
    let made: BTreeSet<&str> =
        store.accounts.iter().map(|account| account.owner.uid.as_str()).collect();
    let is_lost = |user: &DeclaredUser, recorded: &String| {
        !user.deleting && !known.contains(recorded) && !made.contains(user.uid.as_str())
    };
    let lost = users.iter().filter_map(|(name, user)| {
        Some((name, user.account.as_ref().filter(|id| is_lost(user, id))?))
    });
    let finding = |((namespace, name), recorded): (&UserName, &String)| {
        Finding {
        severity: Severity::Error,
        finding: Kind::AccountLost,
        organization: Some(namespace.clone()),
        object: format!("user {namespace}/{name}"),
        what: format!("its status names the account {recorded}, which the store doesn't have"),
        cure:
            "restore a backup that has it; or give it up: set deletionProtection to Disabled, delete the User, and apply it again"
                .to_owned(),
    }
    };
    lost.map(finding).collect()
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, cluster, findings } = self;
        for Finding { severity, finding, organization: _, object, what, cure } in findings {
            let kind: &str = finding.into();
            writeln!(f, "{severity:?} {kind}: {object}\n  {what}\n  Cure: {cure}")?;
        }
        let mut looked = format!("the store ({accounts} accounts)");
        if *cluster {
            looked.write_str(" and the cluster")?;
        } else {
            looked.write_str(" alone (--store-only)")?;
        }
        match findings.len() {
            0 => writeln!(f, "Nothing is amiss. Looked at {looked}."),
            1 => writeln!(f, "1 finding. Looked at {looked}."),
            count => writeln!(f, "{count} findings. Looked at {looked}."),
        }
    }
}
