use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::api::Reason;
use crate::domain::account::{
    AccountId, AccountSpec, LoginState, Owner, Revision, Transaction, TransactionId,
    TransactionKind,
};
use crate::domain::email::Email;
use crate::domain::inheritance::MAX_DEPTH;
use crate::domain::organization::LoginName;
use crate::domain::permission::parse_all;
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;

fn permissions(texts: &str) -> Permissions {
    parse_all(&texts.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

fn account(name: &str, grants: &str, source: Option<Source>) -> Account {
    let time = Timestamp::UNIX_EPOCH;
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    Account {
        id: AccountId(id),
        namespace: "acme".to_owned(),
        revision: Revision(1),
        owner: Owner { name: name.to_owned(), uid: format!("uid of {name}"), generation: 3 },
        login_name: LoginName::from_stored(format!("{name}.acme")),
        content: AccountSpec {
            email: Email::from_stored(format!("{name}@acme.example")),
            lifecycle: LoginState::Enabled,
            group: "users".to_owned(),
            grants: permissions(grants),
            source,
            role: None,
            teams: BTreeSet::new(),
            profile: Profile::default(),
            copied: None,
            member: Overrides::default(),
        },
        created: time,
        cloned: None,
        transaction: Transaction {
            id: TransactionId(id),
            kind: TransactionKind::Create,
            revision: Revision(1),
            started: time,
            deadline: time,
            completed: Some(time),
        },
        credential: None,
        confirmed: BTreeMap::new(),
    }
}

fn follows(name: &str) -> Option<Source> {
    Some(Source::Inherited { from: name.to_owned(), kept: None })
}

fn keeps(name: &str, kept: &str) -> Option<Source> {
    Some(Source::Inherited { from: name.to_owned(), kept: Some(permissions(kept)) })
}

fn from(name: &str, mode: SourceMode) -> PermissionSource {
    PermissionSource { name: name.to_owned(), mode }
}

/// Everybody who has an account, as a relative.
fn people(accounts: &[Account]) -> SourceGraph {
    let relative = |account: &Account| SourceNode {
        account: Some(account.clone()),
        declared: Some(DeclaredSource {
            deleting: false,
            follows: super::leads_to(&SourceNode {
                account: Some(account.clone()),
                declared: None,
            })
            .map(str::to_owned),
        }),
    };
    accounts.iter().map(|account| (account.owner.name.clone(), relative(account))).collect()
}

#[track_caller]
fn decided(
    name: &str,
    relatives: &SourceGraph,
    asked: Option<(&str, SourceMode)>,
    grants: &str,
) -> SourceDecision {
    let account = relatives.get(name).and_then(|relative| relative.account.as_ref());
    let asked = asked.map(|(name, mode)| from(name, mode));
    let person = GraphUser { name, account, relatives };
    person.sourcing(asked.as_ref(), &permissions(grants))
}

fn kept_by(sourcing: &SourceDecision, name: &str) -> Option<Option<String>> {
    let id = account(name, "", None).id;
    let texts =
        |kept: &Permissions| kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    sourcing
        .freezes
        .iter()
        .find(|keep| keep.account == id)
        .map(|keep| keep.kept.as_ref().map(texts))
}

#[test]
fn whoever_closes_a_loop_says_what_everybody_on_it_keeps() {
    // carol -> bob -> alice, and now alice -> carol.
    let people = people(&[
        account("alice", "a x", None),
        account("bob", "b", follows("alice")),
        account("carol", "c", follows("bob")),
    ]);
    let closed = decided("alice", &people, Some(("carol", SourceMode::Inherit)), "a new");
    assert_eq!(
        closed.blocked,
        Some(Blocked::InheritanceCycle {
            users: ["alice", "carol", "bob"].map(str::to_owned).to_vec(),
            more: 0
        })
    );
    // x was taken from alice by the same edit, new was had by nobody, and alice never had b or
    // c.
    assert_eq!(closed.source, keeps("carol", ""));
    assert_eq!(kept_by(&closed, "bob"), Some(Some("a".to_owned())));
    assert_eq!(kept_by(&closed, "carol"), Some(Some("a b".to_owned())));
    assert_eq!(closed.seen.len(), 2);
}

#[test]
fn a_revocation_on_a_loop_is_for_everybody_on_it_and_what_is_granted_again_does_not_come_back() {
    let looped = |bob: &str| {
        people(&[
            account("alice", "", keeps("bob", "p q")),
            account("bob", bob, keeps("alice", "")),
        ])
    };
    let revoked = decided("bob", &looped("p q"), Some(("alice", SourceMode::Inherit)), "q");
    assert_eq!(kept_by(&revoked, "alice"), Some(Some("q".to_owned())));
    assert_eq!(revoked.source, keeps("alice", ""));
    let mut after = looped("q");
    after.get_mut("alice").unwrap().account.as_mut().unwrap().content.source = keeps("bob", "q");
    let granted_again = decided("bob", &after, Some(("alice", SourceMode::Inherit)), "p q");
    assert_eq!(kept_by(&granted_again, "alice"), None);
}

/// So many who follow each other in a ring and keep nothing, or in a line.
fn row(many: usize, is_ring: bool) -> SourceGraph {
    let follows = |number: usize| match (is_ring, number + 1 == many) {
        (true, last) => keeps(&format!("u{}", if last { 0 } else { number + 1 }), ""),
        (false, true) => None,
        (false, false) => follows(&format!("u{}", number + 1)),
    };
    people(
        &(0..many)
            .map(|number| account(&format!("u{number}"), "a", follows(number)))
            .collect::<Vec<_>>(),
    )
}

/// Returns how often somebody is looked at while everybody in such a row is judged.
fn work(many: usize, is_ring: bool) -> usize {
    let people = row(many, is_ring);
    visits::take();
    for number in 0..many {
        let name = format!("u{number}");
        let next = format!("u{}", (number + 1) % many);
        let asked = (is_ring || number + 1 < many).then_some((next.as_str(), SourceMode::Inherit));
        let sourcing = decided(&name, &people, asked, "a");
        assert_eq!(
            (sourcing.freezes, sourcing.seen, sourcing.absent),
            (vec![], vec![], Vec::<String>::new())
        );
        assert_eq!(sourcing.blocked.is_some(), is_ring || many - number > MAX_DEPTH + 1, "{name}");
    }
    visits::take()
}

#[test]
fn judging_four_times_as_many_on_a_loop_or_a_line_is_four_times_the_work() {
    for is_ring in [true, false] {
        let (few, many) = (work(1000, is_ring), work(4000, is_ring));
        assert!(many * 10 <= few * 4 * 11, "{few} for 1000, {many} for 4000 (ring: {is_ring})");
    }
}

#[test]
fn who_changes_nothing_of_a_loop_is_not_refused_when_others_on_it_change() {
    let people = people(&[
        account("alice", "a", keeps("bob", "b")),
        account("bob", "b", keeps("alice", "a")),
    ]);
    let settled = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
    assert_eq!((settled.source, settled.seen), (keeps("bob", "b"), vec![]));
    let granted = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a c");
    assert_eq!(granted.seen.len(), 1);
}

#[test]
fn what_is_kept_on_a_loop_settles() {
    let people = people(&[
        account("alice", "a", keeps("bob", "b")),
        account("bob", "b", keeps("alice", "")),
    ]);
    let again = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
    assert_eq!((again.source, again.freezes), (keeps("bob", "b"), vec![]));
    let ids = |sourcing: &SourceDecision| {
        sourcing.freezes.iter().map(|keep| keep.account).collect::<BTreeSet<_>>()
    };
    let unsettled = self::people(&[
        account("alice", "a", keeps("bob", "b")),
        account("bob", "b", keeps("alice", "gone")),
    ]);
    let mended = decided("alice", &unsettled, Some(("bob", SourceMode::Inherit)), "a");
    assert_eq!(
        (mended.source.clone(), ids(&mended), mended.seen.len()),
        (keeps("bob", "b"), self::ids(&["bob"]), 1)
    );
    assert_eq!(
        decided("bob", &unsettled, Some(("alice", SourceMode::Inherit)), "b").source,
        keeps("alice", "")
    );
}

#[test]
fn whoever_leaves_a_loop_lets_the_others_follow_each_other_again() {
    let people = people(&[
        account("alice", "", keeps("bob", "")),
        account("bob", "", keeps("carol", "")),
        account("carol", "", keeps("alice", "")),
        account("dave", "", None),
    ]);
    for asked in [
        None,
        Some(("dave", SourceMode::Inherit)),
        Some(("dave", SourceMode::Clone)),
        Some(("nobody", SourceMode::Inherit)),
    ] {
        let cut = decided("alice", &people, asked, "");
        assert_eq!(
            (kept_by(&cut, "bob"), kept_by(&cut, "carol")),
            (Some(None), Some(None)),
            "{asked:?}"
        );
    }
    let shorter = decided("carol", &people, Some(("bob", SourceMode::Inherit)), "");
    assert_eq!(kept_by(&shorter, "alice"), Some(None));
    assert_eq!(shorter.source, keeps("bob", ""));
}

#[test]
fn an_heir_outside_a_loop_is_not_on_it() {
    let people = people(&[
        account("alice", "a", keeps("bob", "")),
        account("bob", "b", keeps("alice", "a")),
    ]);
    let heir = decided("carol", &people, Some(("alice", SourceMode::Inherit)), "");
    assert_eq!((heir.source, heir.blocked), (follows("alice"), None));
}

#[test]
fn a_loop_through_a_user_without_an_account_is_one() {
    let mut people = people(&[account("alice", "", follows("bob"))]);
    let declared = DeclaredSource { deleting: false, follows: Some("alice".to_owned()) };
    people.insert("bob".to_owned(), SourceNode { account: None, declared: Some(declared) });
    let why = |name: &str, other: &str| {
        decided(name, &people, Some((other, SourceMode::Inherit)), "")
            .blocked
            .map(|why| why.reason())
    };
    assert_eq!(why("alice", "bob"), Some(Reason::InheritanceCycle));
    assert_eq!(why("bob", "alice"), Some(Reason::InheritanceCycle));
}

#[test]
fn nobody_inherits_or_clones_from_themselves() {
    let people = people(&[account("alice", "a", None)]);
    for mode in [SourceMode::Inherit, SourceMode::Clone] {
        let decided = decided("alice", &people, Some(("alice", mode)), "a");
        assert_eq!(
            decided.blocked,
            Some(Blocked::InheritanceCycle { users: vec!["alice".to_owned()], more: 0 })
        );
    }
}

#[test]
fn a_line_of_33_is_too_long() {
    let name = |number: usize| format!("u{number}");
    let line = |length: usize| -> Vec<Account> {
        (1..=length)
            .map(|number| {
                account(
                    &name(number),
                    "",
                    (number < length).then(|| follows(&name(number + 1))).flatten(),
                )
            })
            .collect()
    };
    assert_eq!(
        decided("u0", &people(&line(32)), Some(("u1", SourceMode::Inherit)), "").blocked,
        None
    );
    let too_long = decided("u0", &people(&line(33)), Some(("u1", SourceMode::Inherit)), "");
    assert_eq!(too_long.blocked, Some(Blocked::InheritanceTooDeep { user: "u1".to_owned() }));
}

#[test]
fn a_clone_of_an_heir_of_ones_own_counts_on_whom_one_follows_being_absent() {
    let people =
        people(&[account("alice", "", follows("carol")), account("bob", "b", follows("alice"))]);
    assert_eq!(decided("alice", &people, Some(("bob", SourceMode::Clone)), "").absent, ["carol"]);
}

#[test]
fn a_clone_is_taken_once_of_all_that_the_source_has_as_its_own() {
    let clone = |asked: &str, people: &SourceGraph| {
        decided("alice", people, Some((asked, SourceMode::Clone)), "")
    };
    let mut people = people(&[
        account("alice", "", None),
        account("bob", "b", follows("carol")),
        account("carol", "c", None),
    ]);
    let taken = clone("bob", &people);
    let Some(Source::Cloned(snapshot)) = &taken.source else { panic!("not cloned: {taken:?}") };
    assert_eq!(
        (&snapshot.permissions, snapshot.generation, snapshot.uid.as_str()),
        (&permissions("b c"), 3, "uid of bob")
    );
    assert_eq!(taken.seen.len(), 2);
    people.get_mut("alice").unwrap().account.as_mut().unwrap().content.source =
        taken.source.clone();
    people.get_mut("bob").unwrap().account.as_mut().unwrap().content.grants = permissions("other");
    assert_eq!(
        (clone("bob", &people).source, clone("bob", &people).seen),
        (taken.source.clone(), vec![])
    );
    people.remove("bob");
    assert_eq!(clone("bob", &people).source, taken.source);
    let retaken = clone("carol", &people);
    assert!(
        matches!(retaken.source, Some(Source::Cloned(clone)) if clone.permissions == permissions("c"))
    );
    let gone = clone("nobody", &people);
    assert_eq!(
        (gone.source, gone.blocked.map(|why| why.reason())),
        (None, Some(Reason::SourceNotFound))
    );
}

#[test]
fn a_user_on_its_way_out_keeps_its_heirs_and_gets_no_new_ones() {
    let mut people = people(&[
        account("alice", "", follows("bob")),
        account("bob", "b", None),
        account("carol", "", None),
    ]);
    people.get_mut("bob").unwrap().declared =
        Some(DeclaredSource { deleting: true, follows: None });
    let inherit = |name: &str| decided(name, &people, Some(("bob", SourceMode::Inherit)), "");
    assert_eq!((inherit("alice").source, inherit("alice").blocked), (follows("bob"), None));
    let late = inherit("carol");
    assert_eq!(
        (late.source, late.blocked.map(|why| why.reason())),
        (None, Some(Reason::SourceNotFound))
    );
}

#[test]
fn whom_nobody_can_follow_yet_is_followed_once_they_are_there() {
    let mut people = people(&[account("alice", "", None)]);
    let inherit = |people: &SourceGraph| {
        let decided = decided("alice", people, Some(("bob", SourceMode::Inherit)), "");
        (decided.source, decided.blocked.map(|why| why.reason()))
    };
    assert_eq!(inherit(&people), (follows("bob"), Some(Reason::SourceNotFound)));
    people.insert(
        "bob".to_owned(),
        SourceNode {
            account: None,
            declared: Some(DeclaredSource { deleting: false, follows: None }),
        },
    );
    assert_eq!(inherit(&people), (follows("bob"), Some(Reason::SourceNotReady)));
    people.get_mut("bob").unwrap().account = Some(account("bob", "b", None));
    assert_eq!(inherit(&people), (follows("bob"), None));
}

/// The people, while somebody deletes this one.
fn while_deleted(mut people: SourceGraph, name: &str) -> SourceGraph {
    people.get_mut(name).and_then(|relative| relative.declared.as_mut()).unwrap().deleting = true;
    people
}

fn ids(names: &[&str]) -> BTreeSet<AccountId> {
    names.iter().map(|name| account(name, "", None).id).collect()
}

#[test]
fn what_is_being_deleted_takes_no_new_heirs_though_it_would_be_on_a_loop() {
    let people = while_deleted(
        people(&[account("alice", "", None), account("bob", "b", follows("alice"))]),
        "bob",
    );
    let late = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "");
    assert_eq!(late.source, None);
    assert!(matches!(late.blocked, Some(Blocked::SourceNotFound { leaving: true, .. })));
}

#[test]
fn a_user_that_goes_without_an_account_is_on_no_loop() {
    let mut people = people(&[account("alice", "", follows("bob"))]);
    let bob = DeclaredSource { deleting: false, follows: Some("alice".to_owned()) };
    people.insert("bob".to_owned(), SourceNode { account: None, declared: Some(bob) });
    let people = while_deleted(people, "bob");
    let blocked = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "").blocked;
    assert!(matches!(blocked, Some(Blocked::SourceNotFound { leaving: true, .. })));
}

#[test]
fn who_closes_a_loop_is_refused_when_what_it_had_or_who_is_on_it_is_another_by_then() {
    let people = people(&[
        account("alice", "a", follows("carol")),
        account("bob", "b", keeps("alice", "")),
        account("carol", "c", follows("dave")),
    ]);
    let closed = decided("alice", &people, Some(("bob", SourceMode::Inherit)), "a");
    assert_eq!(
        closed.freezes.iter().map(|keep| keep.account).collect::<BTreeSet<_>>(),
        ids(&["bob"])
    );
    assert_eq!(
        closed.seen.iter().map(|seen| seen.account).collect::<BTreeSet<_>>(),
        ids(&["bob", "carol"])
    );
    assert_eq!(closed.absent, ["dave"]);
}

#[test]
fn who_moves_from_one_loop_to_another_frees_only_those_who_are_on_none_any_more() {
    let people = people(&[
        account("alice", "a", keeps("bob", "")),
        account("bob", "b", keeps("carol", "")),
        account("carol", "c", keeps("alice", "")),
        account("dave", "d", follows("carol")),
    ]);
    let moved = decided("alice", &people, Some(("dave", SourceMode::Inherit)), "a");
    let freed = moved.freezes.iter().filter(|keep| keep.kept.is_none()).map(|keep| keep.account);
    assert_eq!(freed.collect::<BTreeSet<_>>(), ids(&["bob"]));
    assert_eq!(moved.source, keeps("dave", ""));
}
