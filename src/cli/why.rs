//! `roster why -n NAMESPACE USER PERMISSION`: every path by which a `User` holds a permission, or why
//! it holds it by none.

use std::collections::HashMap;
use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Failure, accounts_of, block_on, examples, open, print, rendered};
use crate::config::{Output, StoreArgs};
use crate::domain::account::{Account, Cloned, LoginState, Source};
use crate::domain::group::GroupContent;
use crate::domain::inheritance::{Chain, ChainEnd, MAX_DEPTH, chain, inherits_from, own, reached};
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::permission::{FULL_CONTROL, Permission};
use crate::store::Store;

/// Arguments of `roster why`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("Why judy may read orders", "roster why -n acme judy orders:read"),
    ("Whether mary has full control, for a script", "roster why -n acme mary '*' > /dev/null && echo yes"),
]))]
pub(super) struct WhyArgs {
    /// The name of the User.
    user: String,
    /// The permission, such as `orders:read`, or `*` for full control.
    #[arg(value_parser = permission)]
    permission: Permission,
    /// The organization, by the name of its namespace.
    #[arg(short, long, alias = "organization", value_name = "NAMESPACE")]
    namespace: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    store: StoreArgs,
}

fn permission(text: &str) -> Result<Permission, String> {
    let rule = "a permission is lower-case words joined by colons, such as orders:read, of at most 125 characters; full control is *";
    if text == FULL_CONTROL {
        Ok(Permission::full_control())
    } else {
        Permission::parse(text).map_err(|_| rule.to_owned())
    }
}

/// Prints the paths: exit code 0 if the permission is held, 1 if not.
pub(super) fn run(arguments: &WhyArgs) -> Result<ExitCode, Failure> {
    let answer = block_on(answer(arguments))?;
    print(&rendered(arguments.output, &answer, WhyAnswer::to_string)?)?;
    Ok(if answer.held { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn answer(arguments: &WhyArgs) -> Result<WhyAnswer, Failure> {
    let WhyArgs { namespace, user, permission, output: _, store } = arguments;
    let store = open(store).await?;
    let accounts = accounts_of(&store, namespace, user).await?;
    let organization =
        Organization { namespace: namespace.clone(), customer_id: CustomerId::parse(namespace)? };
    let record = store.organizations(&[organization]).await?.remove(namespace).unwrap_or_default();
    let by_user: HashMap<&str, &Account> =
        accounts.iter().map(|account| (account.owner.name.as_str(), account)).collect();
    let group = record.group(&by_user[user.as_str()].content.group);
    Ok(explain(by_user[user.as_str()], group.as_ref(), permission, &|name| {
        by_user.get(name).copied()
    }))
}

/// Whether a `User` holds a permission, and why.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct WhyAnswer {
    organization: String,
    user: String,
    permission: String,
    held: bool,
    /// Every path by which it is held.
    paths: Vec<Path>,
    /// Why it isn't held, path by path.
    why_not: Vec<String>,
    /// What would give it.
    cures: Vec<String>,
    notes: Vec<String>,
}

/// A path by which a `User` holds a permission.
#[derive(Debug, PartialEq, Serialize)]
struct Path {
    /// Each inherits from the next one; the first is the `User` itself.
    users: Vec<String>,
    #[serde(flatten)]
    end: PathEnd,
}

/// How the last one on a path holds the permission, without inheriting it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "how", rename_all_fields = "camelCase")]
enum PathEnd {
    /// Its `User` lists it.
    Listed,
    /// Another `User` held it when it was cloned.
    Cloned { from: String, uid: String, generation: i64, clone_time: Option<String> },
    /// It is on a loop, and had it.
    KeptOnLoop {
        #[serde(rename = "loop")]
        around: Vec<String>,
    },
    /// Its group lists it.
    Group { group: String },
    /// Its group has full control.
    FullControl { group: String },
}

/// Looks an account of the organization up by the name of its `User`.
type Find<'f, 'a> = &'f dyn Fn(&str) -> Option<&'a Account>;

/// Explains whether the account, whose group is this one, holds a permission.
fn explain<'a>(
    account: &'a Account,
    group: Option<&GroupContent>,
    permission: &Permission,
    find: Find<'_, 'a>,
) -> WhyAnswer {
    let user = account.owner.name.clone();
    let mut paths = own_paths(account, permission, find);
    paths.extend(
        group
            .iter()
            .flat_map(|group| group_ends(account, group, permission))
            .map(|end| Path { users: vec![user.clone()], end }),
    );
    let held = !paths.is_empty();
    let mut notes = vec![];
    if held && account.content.lifecycle == LoginState::Disabled {
        notes.push(format!(
            "{user} is disabled: the permission is in effect, but the person can't log in"
        ));
    }
    if !held {
        let namespace = &account.namespace;
        notes.push(format!(
            "these are the applied permissions; kubectl get users.roster.rs {user} -n {namespace} -o wide shows what the User waits for, if anything"
        ));
    }
    let (why_not, cures) =
        if held { (vec![], vec![]) } else { missing(account, group, permission, find) };
    let (organization, permission) = (account.namespace.clone(), permission.to_string());
    WhyAnswer { organization, user, permission, held, paths, why_not, cures, notes }
}

/// Returns the paths by which the permission is the account's own.
fn own_paths<'a>(account: &'a Account, permission: &Permission, find: Find<'_, 'a>) -> Vec<Path> {
    let (mut users, mut paths) = (vec![], vec![]);
    let chain = chain(account, find);
    for holder in [account].into_iter().chain(chain.inherited().iter().copied()) {
        users.push(holder.owner.name.clone());
        paths.extend(
            ends(holder, permission, find)
                .into_iter()
                .map(|end| Path { users: users.clone(), end }),
        );
    }
    paths
}

/// Returns how an account has a permission without inheriting it.
fn ends<'a>(holder: &'a Account, permission: &Permission, find: Find<'_, 'a>) -> Vec<PathEnd> {
    let mut ends = vec![];
    if holder.content.grants.contains(permission) {
        ends.push(PathEnd::Listed);
    }
    match &holder.content.source {
        Some(Source::Cloned(Cloned { from, uid, generation, permissions }))
            if permissions.contains(permission) =>
        {
            let (from, uid, clone_time) = (from.clone(), uid.clone(), clone_time(holder));
            ends.push(PathEnd::Cloned { from, uid, generation: *generation, clone_time });
        }
        Some(Source::Inherited { kept: Some(permissions), .. })
            if permissions.contains(permission) =>
        {
            ends.push(PathEnd::KeptOnLoop { around: around(holder, find) });
        }
        Some(Source::Cloned(_) | Source::Inherited { .. }) | None => {}
    }
    ends
}

/// Returns how a group gives its members a permission.
fn group_ends(member: &Account, group: &GroupContent, permission: &Permission) -> Vec<PathEnd> {
    let name = &member.content.group;
    let listed =
        group.permissions.contains(permission).then(|| PathEnd::Group { group: name.clone() });
    let full_control = group.full_control.then(|| PathEnd::FullControl { group: name.clone() });
    listed.into_iter().chain(full_control).collect()
}

/// Returns the names of the loop that an account is on, back to its own; of a chain that doesn't
/// lead back, as far as it goes.
fn around<'a>(account: &'a Account, find: Find<'_, 'a>) -> Vec<String> {
    let next = |name: &&str| find(name).and_then(inherits_from);
    let mut names = reached([account.owner.name.as_str()], next);
    names.extend(names.last().and_then(next));
    names.into_iter().map(str::to_owned).collect()
}

/// Returns when the account's source was cloned, to the second, as its status says it.
fn clone_time(account: &Account) -> Option<String> {
    let time = account.cloned?;
    Some(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string())
}

/// Returns why nothing gives the permission, and what would.
fn missing<'a>(
    account: &'a Account,
    group: Option<&GroupContent>,
    permission: &Permission,
    find: Find<'_, 'a>,
) -> (Vec<String>, Vec<String>) {
    let (user, group_name) = (&account.owner.name, &account.content.group);
    if *permission == Permission::full_control() {
        let why =
            format!("the group {group_name} has no full control, which comes from a group alone");
        let cure = format!(
            "a group with fullControl: true in spec.groupRef of {user}, such as administrators"
        );
        return (vec![why], vec![cure]);
    }
    let Chain { ancestors, end } = chain(account, find);
    let chain: Vec<&Account> = [account].into_iter().chain(ancestors).collect();
    let names: Vec<&str> = chain.iter().map(|account| account.owner.name.as_str()).collect();
    let (no_source, cure) = not_inherited(&chain, end, permission, find);
    let not_in_group = match group {
        Some(_) => format!("the group {group_name} doesn't list it"),
        None => format!("the group {group_name} isn't in force"),
    };
    let listing = if end == ChainEnd::TooDeep { &names[..1] } else { &names[..] };
    let cures = [
        Some(format!("{permission} in spec.permissions.grants of {}", listing.join(" or "))),
        Some(format!(
            "{permission} in spec.permissions of the UserGroup {group_name}, which gives it to every member"
        )),
        cure,
    ];
    (
        vec![format!("{user} doesn't list it"), no_source, not_in_group],
        cures.into_iter().flatten().collect(),
    )
}

/// Returns why the permission isn't inherited along a chain that ends so, and what would cure it.
fn not_inherited<'a>(
    chain: &[&'a Account],
    end: ChainEnd<'_>,
    permission: &Permission,
    find: Find<'_, 'a>,
) -> (String, Option<String>) {
    let names: Vec<&str> = chain.iter().map(|account| account.owner.name.as_str()).collect();
    let (user, last, way) = (names[0], chain[chain.len() - 1], names.join(" -> "));
    let led = if names.len() == 1 { String::new() } else { format!("{way}: ") };
    match (end, &last.content.source) {
        (ChainEnd::Missing(name), _) => (
            format!("{way} -> {name}: the User {name} has no account, so nothing comes from it"),
            Some(format!("the User {name} with an account that holds it")),
        ),
        (ChainEnd::TooDeep, _) => (
            format!(
                "{way}: the chain has more than {MAX_DEPTH} ancestors, so nothing is inherited along it"
            ),
            Some(format!(
                "a User nearer to where it is granted in spec.permissions.from of {user}"
            )),
        ),
        (ChainEnd::Loop, _) => (
            format!(
                "{led}{} is on a loop ({}), on which nothing new is inherited",
                last.owner.name,
                around(last, find).join(" -> ")
            ),
            Some(
                "another spec.permissions.from for one User of the loop, which ends it".to_owned(),
            ),
        ),
        (ChainEnd::End, Some(Source::Cloned(cloned))) => {
            not_cloned(last, cloned, &led, permission, find)
        }
        (ChainEnd::End, _) if names.len() == 1 => {
            (format!("{user} neither inherits nor cloned permissions"), None)
        }
        (ChainEnd::End, _) => (format!("{way}: no other User of the chain lists it"), None),
    }
}

fn not_cloned<'a>(
    last: &Account,
    cloned: &Cloned,
    led: &str,
    permission: &Permission,
    find: Find<'_, 'a>,
) -> (String, Option<String>) {
    let Cloned { from, generation, .. } = cloned;
    let user = &last.owner.name;
    let when = clone_time(last).map(|time| format!(", {time}")).unwrap_or_default();
    let why = format!(
        "{led}{user} cloned {from} (generation {generation}{when}), who didn't hold it then"
    );
    let holds_it_now = find(from).is_some_and(|source| own(source, find).contains(permission));
    if holds_it_now {
        let cure = format!("mode Inherit in spec.permissions.from of {user}, which follows {from}");
        return (format!("{why}; {from} holds it now, but a clone doesn't follow"), Some(cure));
    }
    (why, None)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.users.last().map(String::as_str).unwrap_or_default();
        write!(f, "{}, ", self.users.join(" -> "))?;
        match &self.end {
            PathEnd::Listed => write!(f, "listed by {last}"),
            PathEnd::Cloned { from, uid, generation, clone_time } => {
                write!(f, "cloned by {last} from {from} (uid {uid}, generation {generation}")?;
                clone_time.iter().try_for_each(|time| write!(f, ", {time}"))?;
                write!(f, ")")
            }
            PathEnd::KeptOnLoop { around } => {
                write!(f, "kept by {last} on the loop {}", around.join(" -> "))
            }
            PathEnd::Group { group } => write!(f, "in the group {group}, which lists it"),
            PathEnd::FullControl { group } => {
                write!(f, "in the group {group}, which has full control: * allows everything")
            }
        }
    }
}

impl fmt::Display for WhyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { organization, user, permission, held, paths, why_not, cures, notes } = self;
        let verb = if *held { "holds" } else { "doesn't hold" };
        writeln!(f, "{user} of {organization} {verb} {permission}:")?;
        paths.iter().try_for_each(|path| writeln!(f, "  {path}"))?;
        why_not.iter().try_for_each(|why| writeln!(f, "  {why}"))?;
        if !cures.is_empty() {
            writeln!(f, "What would give it:")?;
        }
        cures.iter().try_for_each(|cure| writeln!(f, "  {cure}"))?;
        notes.iter().try_for_each(|note| writeln!(f, "Note: {note}"))
    }
}

#[cfg(test)]
mod tests;
