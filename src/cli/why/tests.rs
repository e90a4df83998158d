use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use uuid::Uuid;

use super::*;
use crate::domain::account::{
    AccountId, AccountSpec, Owner, Revision, Transaction, TransactionId, TransactionKind,
};
use crate::domain::email::Email;
use crate::domain::group::{ADMINISTRATORS, USERS};
use crate::domain::inheritance::{self, followed};
use crate::domain::organization::LoginName;
use crate::domain::permission::{Permissions, parse_all};
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn permissions(texts: &[&str]) -> Permissions {
    parse_all(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
}

fn inherits(from: &str) -> Option<Source> {
    Some(Source::Inherited { from: from.to_owned(), kept: None })
}

fn cloned(from: &str, held: &[&str]) -> Option<Source> {
    let (from, permissions) = (from.to_owned(), permissions(held));
    Some(Source::Cloned(Cloned { from, uid: "uid".to_owned(), generation: 3, permissions }))
}

/// Returns an account in the group `users`.
fn account(name: &str, grants: &[&str], source: Option<Source>) -> Account {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    Account {
        id: AccountId(id),
        namespace: "acme".to_owned(),
        revision: Revision(1),
        owner: Owner { name: name.to_owned(), uid: name.to_owned(), generation: 1 },
        login_name: LoginName::from_stored(format!("{name}.acme")),
        cloned: matches!(source, Some(Source::Cloned(_))).then_some(NOW),
        content: AccountSpec {
            email: Email::from_stored(format!("{name}@acme.example")),
            lifecycle: LoginState::Enabled,
            group: USERS.to_owned(),
            grants: permissions(grants),
            source,
            role: None,
            teams: BTreeSet::new(),
            profile: Profile::default(),
            copied: None,
            member: Overrides::default(),
        },
        created: NOW,
        transaction: Transaction {
            id: TransactionId(id),
            kind: TransactionKind::Create,
            revision: Revision(1),
            started: NOW,
            deadline: NOW,
            completed: Some(NOW),
        },
        credential: None,
        confirmed: BTreeMap::new(),
    }
}

fn asked(
    accounts: &[Account],
    name: &str,
    group: Option<&GroupContent>,
    asked: &Permission,
) -> WhyAnswer {
    let find = |name: &str| accounts.iter().find(|account| account.owner.name == name);
    explain(find(name).unwrap(), group, asked, &find)
}

/// Asks about alice, whose group gives nothing, and expects a text in the answer.
#[track_caller]
fn check(accounts: &[Account], held: bool, text: &str) {
    let answer = asked(
        accounts,
        "alice",
        Some(&GroupContent::default()),
        &Permission::parse("orders:read").unwrap(),
    );
    let said = answer.to_string();
    assert_eq!(answer.held, held, "{said}");
    assert!(said.contains(text), "{text:?} isn't in: {said}");
}

#[test]
fn every_path_is_named_with_everybody_on_it() {
    let own = account("alice", &["orders:read"], inherits("bob"));
    let bob = account("bob", &[], inherits("carol"));
    let clone = account("carol", &["orders:read"], cloned("dave", &["orders:read"]));
    let group = GroupContent {
        permissions: permissions(&["orders:read"]),
        full_control: true,
        ..GroupContent::default()
    };
    let answer = asked(
        &[own, bob, clone],
        "alice",
        Some(&group),
        &Permission::parse("orders:read").unwrap(),
    );
    assert_eq!(
        answer.to_string(),
        "alice of acme holds orders:read:\n  \
         alice, listed by alice\n  \
         alice -> bob -> carol, listed by carol\n  \
         alice -> bob -> carol, cloned by carol from dave (uid uid, generation 3, 1970-01-01T00:00:00Z)\n  \
         alice, in the group users, which lists it\n  \
         alice, in the group users, which has full control: * allows everything\n"
    );
}

#[test]
fn a_loop_is_named_where_something_is_kept_on_it_and_where_it_keeps_something_away() {
    let kept = |held: &[&str]| {
        Some(Source::Inherited { from: "bob".to_owned(), kept: Some(permissions(held)) })
    };
    let bob = account(
        "bob",
        &[],
        Some(Source::Inherited { from: "alice".to_owned(), kept: Some(permissions(&[])) }),
    );
    check(
        &[account("alice", &[], kept(&["orders:read"])), bob.clone()],
        true,
        "kept by alice on the loop alice -> bob -> alice",
    );
    check(
        &[account("alice", &[], kept(&[])), bob.clone()],
        false,
        "alice is on a loop (alice -> bob -> alice)",
    );
    let heir = account("alice", &[], inherits("carol"));
    let carol = account("carol", &[], kept(&[]));
    let bob = account(
        "bob",
        &[],
        Some(Source::Inherited { from: "carol".to_owned(), kept: Some(permissions(&[])) }),
    );
    check(&[heir, carol, bob], false, "alice -> carol: carol is on a loop (carol -> bob -> carol)");
}

#[test]
fn whoever_holds_nothing_is_told_why_and_what_would_help() {
    check(&[account("alice", &[], None)], false, "alice neither inherits nor cloned permissions");
    check(
        &[account("alice", &[], inherits("bob"))],
        false,
        "alice -> bob: the User bob has no account",
    );
    check(
        &[account("alice", &[], inherits("bob")), account("bob", &[], None)],
        false,
        "in spec.permissions.grants of alice or bob\n",
    );
    let clone = || account("alice", &[], cloned("bob", &[]));
    check(
        &[clone()],
        false,
        "alice cloned bob (generation 3, 1970-01-01T00:00:00Z), who didn't hold it then\n",
    );
    check(
        &[clone(), account("bob", &["orders:read"], None)],
        false,
        "bob holds it now, but a clone doesn't follow",
    );
    let mut line: Vec<Account> = (0..33)
        .map(|number| account(&format!("u{number}"), &[], inherits(&format!("u{}", number + 1))))
        .collect();
    line.push(account("u33", &["orders:read"], None));
    line.push(account("alice", &[], inherits("u1")));
    check(&line, false, "more than 32 ancestors");
    line.push(account("alice", &[], inherits("u2")));
    check(
        &line[..34].iter().chain(&line[35..]).cloned().collect::<Vec<_>>(),
        true,
        "u32 -> u33, listed by u33",
    );
}

#[test]
fn full_control_comes_from_a_group_alone_and_the_disabled_hold_what_they_hold() {
    let nobody = [account("alice", &[], None)];
    let none = asked(&nobody, "alice", Some(&GroupContent::default()), &Permission::full_control());
    assert_eq!((none.held, none.why_not.len(), none.cures.len()), (false, 1, 1));
    let mut disabled = account("alice", &["a"], None);
    disabled.content.lifecycle = LoginState::Disabled;
    let answer = asked(&[disabled], "alice", None, &Permission::parse("a").unwrap());
    assert!(answer.held && answer.notes[0].contains("can't log in"), "{answer}");
}

const SOME: [&str; 3] = ["a", "b", "c"];

/// A source among this many names, the last of which nobody has.
fn any_source(names: usize) -> impl Strategy<Value = Option<Source>> {
    (0..4, any::<Index>(), subsequence(&SOME[..], 0..=3)).prop_map(move |(kind, whom, held)| {
        let from = format!("u{}", whom.index(names));
        match kind {
            0 => None,
            1 => cloned(&from, &held),
            2 => Some(Source::Inherited { from, kept: Some(permissions(&held)) }),
            _ => inherits(&from),
        }
    })
}

/// A few accounts that follow each other in any way, and a long line that ends at one of them.
fn any_accounts() -> impl Strategy<Value = Vec<Account>> {
    let few = (1..6_usize).prop_flat_map(|count| {
        let one = (
            subsequence(&SOME[..], 0..=3),
            any_source(count + 1),
            prop::sample::select(vec![USERS, ADMINISTRATORS, "crew", "ghosts"]),
        );
        prop::collection::vec(one, count)
    });
    (few, 0..40_usize).prop_map(|(few, length)| {
        let few = few.into_iter().enumerate().map(|(number, (grants, source, group))| {
            let mut account = account(&format!("u{number}"), &grants, source);
            group.clone_into(&mut account.content.group);
            account
        });
        let next = |number: usize| {
            if number == 0 { "u0".to_owned() } else { format!("line{}", number - 1) }
        };
        few.chain(
            (0..length)
                .map(|number| account(&format!("line{number}"), &[], inherits(&next(number)))),
        )
        .collect()
    })
}

proptest! {
    #[test]
    fn there_is_a_path_exactly_for_what_is_in_effect(accounts in any_accounts()) {
        let by_user: HashMap<&str, &Account> = accounts.iter().map(|account| (account.owner.name.as_str(), account)).collect();
        let find = |name: &str| by_user.get(name).copied();
        let crew = GroupContent { permissions: permissions(&["b"]), ..GroupContent::default() };
        for account in &accounts {
            let group = GroupContent::built_in(&account.content.group).or_else(|| (account.content.group == "crew").then(|| crew.clone()));
            let effective = inheritance::effective(account, group.as_ref(), find);
            for permission in ["a", "b", "c", "d", "*"].map(|text| super::permission(text).unwrap()) {
                let answer = explain(account, group.as_ref(), &permission, &find);
                let is_it = |path: &Path| permission.as_str() == "*" || !matches!(path.end, PathEnd::FullControl { .. });
                prop_assert_eq!(answer.paths.iter().any(is_it), effective.contains(&permission), "{}", answer);
                prop_assert_eq!(answer.held, effective.contains(&permission) || effective.contains(&Permission::full_control()));
                prop_assert_eq!(answer.held, answer.why_not.is_empty() && answer.cures.is_empty());
                for Path { users, .. } in &answer.paths {
                    prop_assert!(users[0] == account.owner.name && users.len() <= MAX_DEPTH + 1);
                    prop_assert!(users.windows(2).all(|pair| followed(by_user[pair[0].as_str()]) == Some(&pair[1])));
                }
            }
        }
    }
}
