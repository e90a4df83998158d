use std::time::Instant;

use super::*;
use crate::domain::account::{AccountSpec, Owner, SecretPassword, TransactionId};
use crate::domain::email::Domain;
use crate::domain::organization::{CustomerId, Organization};
use crate::domain::password::{Password, PasswordContext};
use crate::domain::permission::Permissions;
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;
use crate::plan::{AccountChange, AccountPlan, Deleting, DomainPlan, Listing};
use crate::store::sql::SqlStore;

const PASSWORD: &str = "gate-Turnip-41-onward";

fn occasion() -> CommitTime {
    CommitTime { now: Timestamp::UNIX_EPOCH, deadline: Timestamp::UNIX_EPOCH }
}

fn claim(login: &str) -> LoginClaim {
    LoginClaim { login: login.to_owned(), namespace: Some("acme".to_owned()) }
}

fn create(name: &str, lifecycle: LoginState, hashing: Option<&Hashing>) -> Plan {
    let acme = CustomerId::parse("acme").unwrap();
    let login_name = LoginName::new(name, &acme);
    let email = Email::parse(&format!("{name}@acme.example")).unwrap();
    let password = Password::parse(
        PASSWORD.as_bytes(),
        &PasswordContext { login_name: &login_name, email: &email },
    )
    .unwrap();
    let hash = hashing.map(|hashing| hashing.hash(&password).unwrap());
    let content = AccountSpec {
        email,
        lifecycle,
        group: "users".to_owned(),
        grants: Permissions::default(),
        source: None,
        role: None,
        teams: [].into(),
        profile: Profile::default(),
        copied: None,
        member: Overrides::default(),
    };
    Plan::Account(Box::new(AccountPlan {
        organization: Organization { namespace: "acme".to_owned(), customer_id: acme },
        owner: Owner { name: name.to_owned(), uid: name.to_owned(), generation: 1 },
        change: AccountChange::Create {
            id: None,
            transaction: TransactionId::of_create(name),
            login_name,
            content,
            password: hash.map(|hash| SecretPassword { hash, version: "1".to_owned() }),
        },
        moves: vec![],
        freezes: vec![],
        preconditions: vec![],
        leaving: Deleting::default(),
    }))
}

/// Alice and dave may log in, bob is disabled, carol has no password.
async fn people(folder: &tempfile::TempDir, hashing: &Hashing) -> SqlStore {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("roster.db").display());
    let store = SqlStore::open(&url).await.unwrap();
    let listing =
        Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
    let domain = Plan::Domain(DomainPlan::Put {
        namespace: "acme".to_owned(),
        name: "acme.example".to_owned(),
        listing,
    });
    let alice = create("alice", LoginState::Enabled, Some(hashing));
    let bob = create("bob", LoginState::Disabled, Some(hashing));
    let carol = create("carol", LoginState::Enabled, None);
    let dave = create("dave", LoginState::Enabled, Some(hashing));
    let receipts = store.commit(&[domain, alice, bob, carol, dave], occasion()).await.unwrap();
    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    store
}

async fn attempt(
    store: &SqlStore,
    hashing: &Hashing,
    login: &str,
    password: &str,
) -> Option<Account> {
    attempt_at(store, hashing, (login, password), Timestamp::UNIX_EPOCH).await
}

async fn attempt_at(
    store: &SqlStore,
    hashing: &Hashing,
    (login, password): (&str, &str),
    now: Timestamp,
) -> Option<Account> {
    let (claim, candidate) = (claim(login), PasswordCandidate::new(password.as_bytes()));
    claim.admitted(store, hashing, (&claim.key().unwrap(), candidate.as_ref()), now).await.unwrap()
}

const REFUSALS: [(&str, &str); 5] = [
    ("nobody.acme", PASSWORD),
    ("bob.acme", PASSWORD),
    ("alice@acme.example", "wrong"),
    ("carol.acme", ""),
    // Who has to wait is turned away with the right password.
    ("dave.acme", PASSWORD),
];

/// A moment so much later that failures of before are forgotten.
fn later(number: usize) -> Timestamp {
    Timestamp::from_second(8 * 24 * 3600 * i64::try_from(number + 1).unwrap()).unwrap()
}

/// Tries every refusal once, beginning with another one in each round, and returns how long
/// each took, in seconds.
async fn round(store: &SqlStore, hashing: &Hashing, number: usize) -> [f64; REFUSALS.len()] {
    let mut times = [0.0; REFUSALS.len()];
    for step in 0..REFUSALS.len() {
        let kind = (number + step) % REFUSALS.len();
        let (login, password) = REFUSALS[kind];
        let now = if login == "dave.acme" { Timestamp::UNIX_EPOCH } else { later(number) };
        let started = Instant::now();
        assert!(attempt_at(store, hashing, (login, password), now).await.is_none());
        times[kind] = started.elapsed().as_secs_f64();
    }
    times
}

/// Returns how long each kind of refusal takes: the fastest, since a busy machine makes some
/// slower and none faster.
fn fastest(rounds: &[[f64; REFUSALS.len()]]) -> [f64; REFUSALS.len()] {
    std::array::from_fn(|kind| rounds.iter().map(|times| times[kind]).fold(f64::INFINITY, f64::min))
}

/// Returns by how much all kinds of refusals lie apart, in parts of the least.
fn spread(rounds: &[[f64; REFUSALS.len()]]) -> f64 {
    let fastest = fastest(rounds);
    let (least, most) = fastest
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    most / least - 1.0
}

#[tokio::test]
async fn why_somebody_is_refused_cant_be_told_from_how_long_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let hashing = Hashing::new(Cost::default()).unwrap();
    let store = people(&folder, &hashing).await;
    assert!(attempt(&store, &hashing, "alice.acme", PASSWORD).await.is_some());
    for _ in 0..6 {
        assert!(attempt(&store, &hashing, "dave.acme", "wrong").await.is_none());
    }
    // A difference between the reasons stays however often they are tried; what else the
    // machine does evens out.
    let mut rounds = vec![];
    while rounds.len() < 50 || (spread(&rounds) > 0.1 && rounds.len() < 400) {
        rounds.push(round(&store, &hashing, rounds.len()).await);
    }
    let apart = spread(&rounds);
    assert!(apart <= 0.1, "{} rounds lie {apart} apart: {:?}", rounds.len(), fastest(&rounds));
}

#[tokio::test]
async fn a_login_and_an_address_are_entered_in_any_case_and_with_blanks_around_them() {
    let folder = tempfile::tempdir().unwrap();
    let hashing = Hashing::new(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
    let store = people(&folder, &hashing).await;
    for login in [
        "alice.acme",
        "Alice.Acme",
        "ALICE.ACME",
        " alice.acme ",
        "Alice@ACME.example",
        " alice@acme.example\n",
    ] {
        assert!(attempt(&store, &hashing, login, PASSWORD).await.is_some(), "{login:?}");
    }
    for login in ["alice", "al ice.acme", "alice.acme.", ""] {
        assert!(attempt(&store, &hashing, login, PASSWORD).await.is_none(), "{login:?}");
    }
}

#[tokio::test]
async fn a_login_renews_an_outdated_hash_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let cheap = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let (before, now) =
        (Hashing::new(cheap).unwrap(), Hashing::new(Cost { passes: 2, ..cheap }).unwrap());
    let store = people(&folder, &before).await;
    let account = attempt(&store, &now, "alice.acme", PASSWORD).await.unwrap();
    let candidate = PasswordCandidate::new(PASSWORD.as_bytes()).unwrap();
    rehash_outdated(&store, &now, (&account, &candidate), Timestamp::UNIX_EPOCH).await;
    let renewed = attempt(&store, &now, "alice.acme", PASSWORD).await.unwrap();
    assert!(!now.is_outdated(login_hash(&renewed).unwrap()));
    assert_eq!(renewed.revision, account.revision);
    rehash_outdated(&store, &now, (&renewed, &candidate), Timestamp::UNIX_EPOCH).await;
    assert_eq!(attempt(&store, &now, "alice@acme.example", PASSWORD).await, Some(renewed));
}
