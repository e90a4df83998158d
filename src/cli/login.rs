//! `roster login LOGIN_OR_EMAIL [--organization ORG]`
//!
//! Why somebody is refused can't be told from what is printed, nor from how long it takes: whatever
//! the reason, one account is looked up, one hash is verified, and one failure is written down.
//!
//! Whoever has to wait after failures is turned away only then, after the hash: of logins that are
//! checked at the same time each is judged by the failures that were written down before it, so to
//! ask many at once gives no more tries.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::prompt::Entered;
use super::{Failure, block_on, print};
use crate::config::Shared;
use crate::domain::account::{Account, Lifecycle};
use crate::domain::email::Email;
use crate::domain::organization::LoginName;
use crate::domain::password::{Candidate, PasswordHash};
use crate::hashing::{Cost, Hashing};
use crate::plan::{Plan, RehashPlan};
use crate::store::logins::Logins;
use crate::store::sql::SqlStore;
use crate::store::{AccountKey, Occasion, Store};

/// Arguments of `roster login`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    claim: Claim,
}

/// Who somebody says they are.
#[derive(Clone, Debug, Args)]
pub(super) struct Claim {
    /// The login name such as `alice.acme`, or the email address; either in any case.
    #[arg(value_name = "LOGIN_OR_EMAIL")]
    login: String,
    /// The organization, by the name of its namespace; an email address needs it.
    #[arg(long, value_name = "ORG")]
    organization: Option<String>,
}

/// The login is refused; the text is the same for every reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoginRefused;

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "refused: login and password don't match, the account can't log in, or logins failed too often lately: then none is \
             heard for a while",
        )
    }
}

/// An email address can't be looked up without its organization.
#[derive(Debug, thiserror::Error)]
#[error("an email address is unique in its organization only: name it with --organization")]
pub(super) struct OrganizationMissing;

/// Checks a password as an application would: exit code 0 where the person may log in, 1 where not.
pub(super) fn run(shared: &Shared, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let key = arguments.claim.key()?;
    let entered = Entered::read(&["Password"])?;
    let candidate = Candidate::new(entered.line(0));
    let account = block_on(async {
        let store = SqlStore::open_existing(&shared.store).await?;
        let hashing = Hashing::new(Cost::default())?;
        let now = time(&store, shared).await?;
        let account =
            arguments.claim.admitted(&store, &hashing, (&key, candidate.as_ref()), now).await?;
        if let Some((account, candidate)) = account.as_ref().zip(candidate.as_ref()) {
            rehash_outdated(&store, &hashing, (account, candidate), now).await;
        }
        store.close().await;
        Ok(account)
    })?;
    match account {
        Some(Account { login_name, namespace, .. }) => {
            print(&format!("{login_name} of {namespace} may log in\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(refuse(LoginRefused)),
    }
}

/// Returns what the clock shows that all who log in go by: that of the store's server, where it has
/// one.
pub(super) async fn time(store: &impl Store, shared: &Shared) -> Result<Timestamp, Failure> {
    Ok(match store.time().await? {
        Some(shown) => shown.checked_add(shared.clock_offset)?,
        None => shared.clock().now(),
    })
}

/// Says that somebody is refused.
pub(super) fn refuse(why: impl fmt::Display) -> ExitCode {
    eprintln!("roster: {why}");
    ExitCode::from(1)
}

impl Claim {
    /// Returns what the account is looked up by. What can't be an address is looked up as a login
    /// name that nobody has.
    pub(super) fn key(&self) -> Result<AccountKey, OrganizationMissing> {
        let nobody = || AccountKey::Login(LoginName::stored(String::new()));
        if !self.login.contains('@') {
            return Ok(AccountKey::Login(LoginName::entered(&self.login)));
        }
        let namespace = self.organization.clone().ok_or(OrganizationMissing)?;
        Ok(Email::parse(self.login.trim())
            .map_or_else(|_| nobody(), |email| AccountKey::Email { namespace, email }))
    }

    /// Returns the account that a password lets in, unless too many logins failed before.
    pub(super) async fn admitted(
        &self,
        store: &(impl Store + Logins),
        hashing: &Hashing,
        (key, candidate): (&AccountKey, Option<&Candidate>),
        now: Timestamp,
    ) -> Result<Option<Account>, Failure> {
        let account = store.find(std::slice::from_ref(key)).await?.remove(key);
        let hash = account.as_ref().and_then(login_hash);
        let matches = match candidate.zip(hash) {
            Some((candidate, hash)) => hashing.verify(candidate, hash)?,
            None => hashing.refuse(candidate)?,
        };
        let meant = |account: &Account| {
            self.organization.as_ref().is_none_or(|organization| account.namespace == *organization)
        };
        let may = account
            .as_ref()
            .is_some_and(|account| matches && meant(account) && may_log_in(account));
        let admitted =
            store.judge_login(account.as_ref().map(|account| account.id), may, now).await?;
        Ok(account.filter(|_| may && admitted))
    }
}

/// Whether an account can be logged in to at all, with the right password.
fn may_log_in(account: &Account) -> bool {
    account.content.lifecycle == Lifecycle::Enabled && account.content.email.copy_number().is_none()
}

/// Returns the hash of the password that logs in.
pub(super) fn login_hash(account: &Account) -> Option<&PasswordHash> {
    account.credential.as_ref().map(|credential| &credential.login)
}

/// Hashes a password that was verified anew where its hash is outdated. Who logged in isn't kept
/// waiting for a store that can't take it now: the next login tries again.
async fn rehash_outdated(
    store: &impl Store,
    hashing: &Hashing,
    (account, verified): (&Account, &Candidate),
    now: Timestamp,
) {
    let Some(before) = login_hash(account).filter(|hash| hashing.is_outdated(hash)) else { return };
    let Ok(after) = hashing.rehash(verified) else { return };
    let (namespace, before) = (account.namespace.clone(), before.clone());
    let plan = Plan::Rehash(RehashPlan { namespace, account: account.id, before, after });
    let _ = store.commit(&[plan], Occasion { now, deadline: now }).await;
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::account::{Content, FromSecret, Owner, Profile, TransactionId};
    use crate::domain::email::Domain;
    use crate::domain::organization::{CustomerId, Organization};
    use crate::domain::password::{Password, Person};
    use crate::domain::permission::Permissions;
    use crate::domain::self_service::MemberValues;
    use crate::plan::{AccountChange, AccountPlan, DomainPlan, Leaving, Listing};

    const PASSWORD: &str = "gate-Turnip-41-onward";

    fn occasion() -> Occasion {
        Occasion { now: Timestamp::UNIX_EPOCH, deadline: Timestamp::UNIX_EPOCH }
    }

    fn claim(login: &str) -> Claim {
        Claim { login: login.to_owned(), organization: Some("acme".to_owned()) }
    }

    fn create(name: &str, lifecycle: Lifecycle, hashing: Option<&Hashing>) -> Plan {
        let acme = CustomerId::parse("acme").unwrap();
        let login_name = LoginName::new(name, &acme);
        let email = Email::parse(&format!("{name}@acme.example")).unwrap();
        let password = Password::parse(
            PASSWORD.as_bytes(),
            &Person { login_name: &login_name, email: &email },
        )
        .unwrap();
        let hash = hashing.map(|hashing| hashing.hash(&password).unwrap());
        let content = Content {
            email,
            lifecycle,
            group: "users".to_owned(),
            grants: Permissions::default(),
            source: None,
            role: None,
            teams: [].into(),
            profile: Profile::default(),
            copied: None,
            member: MemberValues::default(),
        };
        Plan::Account(Box::new(AccountPlan {
            organization: Organization { namespace: "acme".to_owned(), customer_id: acme },
            owner: Owner { name: name.to_owned(), uid: name.to_owned(), generation: 1 },
            change: AccountChange::Create {
                id: None,
                transaction: TransactionId::of_create(name),
                login_name,
                content,
                password: hash.map(|hash| FromSecret { hash, version: "1".to_owned() }),
            },
            moves: vec![],
            keeps: vec![],
            seen: vec![],
            leaving: Leaving::default(),
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
        let alice = create("alice", Lifecycle::Enabled, Some(hashing));
        let bob = create("bob", Lifecycle::Disabled, Some(hashing));
        let carol = create("carol", Lifecycle::Enabled, None);
        let dave = create("dave", Lifecycle::Enabled, Some(hashing));
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
        let (claim, candidate) = (claim(login), Candidate::new(password.as_bytes()));
        claim
            .admitted(store, hashing, (&claim.key().unwrap(), candidate.as_ref()), now)
            .await
            .unwrap()
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
        std::array::from_fn(|kind| {
            rounds.iter().map(|times| times[kind]).fold(f64::INFINITY, f64::min)
        })
    }

    /// Returns by how much all kinds of refusals lie apart, in parts of the least.
    fn spread(rounds: &[[f64; REFUSALS.len()]]) -> f64 {
        let fastest = fastest(rounds);
        let (least, most) = fastest.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), time| {
            (least.min(*time), most.max(*time))
        });
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
        let candidate = Candidate::new(PASSWORD.as_bytes()).unwrap();
        rehash_outdated(&store, &now, (&account, &candidate), Timestamp::UNIX_EPOCH).await;
        let renewed = attempt(&store, &now, "alice.acme", PASSWORD).await.unwrap();
        assert!(!now.is_outdated(login_hash(&renewed).unwrap()));
        assert_eq!(renewed.revision, account.revision);
        rehash_outdated(&store, &now, (&renewed, &candidate), Timestamp::UNIX_EPOCH).await;
        assert_eq!(attempt(&store, &now, "alice@acme.example", PASSWORD).await, Some(renewed));
    }
}
