use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::api::user::UserSpec;
use crate::domain::account::{
    AccountSpec, DirectoryAck, EntryDigest, Owner, Revision, TransactionId, TransactionKind,
};
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::domain::permission::Permissions;
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;
use crate::plan::directories::{Behind, Lag};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Alice, of whom the directory `ldap` has confirmed an earlier revision.
fn alice() -> Account {
    let person = EntryDigest { person: "person".to_owned(), rights: None, password: None };
    let confirmed = DirectoryAck { revision: Revision(1), fingerprint: Some(person), handle: None };
    Account {
        id: AccountId(Uuid::from_u128(1)),
        namespace: "acme".to_owned(),
        revision: Revision(2),
        owner: Owner { name: "alice".to_owned(), uid: "uid".to_owned(), generation: 1 },
        login_name: LoginName::from_stored("alice.acme".to_owned()),
        cloned: None,
        content: AccountSpec {
            email: Email::from_stored("alice@acme.example".to_owned()),
            lifecycle: crate::domain::account::LoginState::Enabled,
            group: "users".to_owned(),
            grants: Permissions::default(),
            source: None,
            role: None,
            teams: BTreeSet::new(),
            profile: Profile::default(),
            copied: None,
            member: Overrides::default(),
        },
        created: NOW,
        transaction: Transaction {
            id: TransactionId(Uuid::from_u128(1)),
            kind: TransactionKind::Create,
            revision: Revision(1),
            started: NOW,
            deadline: NOW,
            completed: Some(NOW),
        },
        credential: None,
        confirmed: [("ldap".to_owned(), confirmed)].into(),
    }
}

fn declared(behind: Option<Behind>, time_zone: Option<&str>) -> BTreeMap<UserName, DeclaredUser> {
    let spec = json!({"email": "alice@acme.example", "profile": {"displayName": "Alice", "timeZone": time_zone}});
    let spec: UserSpec = serde_json::from_value(spec).unwrap();
    let user = DeclaredUser {
        uid: "uid".to_owned(),
        account: None,
        deleting: false,
        behind,
        doubtful: Some(Box::new(spec)),
    };
    [(("acme".to_owned(), "alice".to_owned()), user)].into()
}

#[track_caller]
fn check(first: &Account, after: &Account, between: Between, expected: Option<Severity>) {
    let directories = ["ldap".to_owned()].into();
    let before = [(first.id, Lacking::of(first, &directories))].into();
    let found = directories::unconfirmed([after].into_iter(), &directories, (&before, between));
    assert_eq!(found.first().map(|finding| finding.severity), expected, "{found:?}");
}

#[test]
fn a_directory_is_behind_where_it_lacks_the_same_revision_at_both_looks() {
    let alice = alice();
    check(&alice, &alice, Between::AWhile, Some(Severity::Warning));
    check(&alice, &alice, Between::Nothing, Some(Severity::Note));
    let mut current = alice.clone();
    current.confirmed.get_mut("ldap").unwrap().revision = Revision(2);
    check(&current, &current, Between::AWhile, None);
    check(&alice, &current, Between::AWhile, None);
    let edited = Account { revision: Revision(3), ..current.clone() };
    check(&current, &edited, Between::AWhile, None);
    check(&alice, &edited, Between::AWhile, None);
    let mut in_flight = alice.clone();
    in_flight.transaction.completed = None;
    check(&in_flight, &alice, Between::AWhile, None);
}

#[test]
fn whom_a_status_says_to_be_current_is_looked_at_in_the_store() {
    let behind = Behind { lag: Lag::Pending, message: String::new(), blocks: false };
    assert!(directories::is_told(&alice(), &declared(Some(behind.clone()), None)));
    assert!(!directories::is_told(&alice(), &declared(None, None)));
    let mut another = alice();
    another.owner.uid = "another".to_owned();
    assert!(!directories::is_told(&another, &declared(Some(behind), None)));
}

#[test]
fn a_value_that_cant_be_meant_is_found_unless_it_is_in_force() {
    let found = |users, accounts: &[Account]| {
        wrong(&users, accounts).iter().flat_map(unsupported).collect::<Vec<_>>()
    };
    let users = || declared(None, Some("America/Pheonix"));
    let findings = found(users(), &[alice()]);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(
        (finding.object.as_str(), finding.cure.as_str()),
        ("User acme/alice", "correct the value")
    );
    let begins = "spec.profile.timeZone (\"America/Pheonix\") isn't a name of the IANA time zone database (America/Phoenix?): ";
    assert!(finding.what.starts_with(begins), "{}", finding.what);
    assert_eq!(found(users(), &[]).len(), 1);
    let mut from_before = alice();
    from_before.content.profile.time_zone = Some("America/Pheonix".to_owned());
    assert!(found(users(), &[from_before]).is_empty());
    assert!(found(declared(None, Some("America/Phoenix")), &[alice()]).is_empty());
}
