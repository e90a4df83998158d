//! An organization whose accounts follow one source, and one whose accounts have the same
//! permissions written down.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster::domain::account::{Account, AccountSpec, LoginState, Owner, Source, TransactionId};
use roster::domain::email::{Domain, Email};
use roster::domain::organization::{CustomerId, LoginName, Organization};
use roster::domain::permission::{Permissions, parse_all};
use roster::domain::profile::Profile;
use roster::domain::self_service::Overrides;
use roster::plan::{AccountChange, AccountPlan, Deleting, DomainPlan, Listing, Plan};
use roster::store::sql::SqlStore;
use roster::store::{CommitTime, Receipt, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

/// How many plans go into one commit while a store is filled.
const TOGETHER: usize = 256;

/// Who follows whom.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Everybody follows the source.
    Star,
    /// Lines of so many lead to the source.
    Lines(usize),
    /// So many follow the source, so many each of them, and so on.
    Tree(usize),
}

impl Shape {
    /// Returns the number of the account that an heir follows; the source is 0, the heirs count
    /// from 1.
    fn followed_by(self, heir: usize) -> usize {
        match self {
            Self::Star => 0,
            Self::Lines(length) if (heir - 1).is_multiple_of(length) => 0,
            Self::Lines(_) => heir - 1,
            Self::Tree(fan) => (heir - 1) / fan,
        }
    }

    /// Returns the number of an heir that is as far from the source as any.
    pub fn deepest(self, heirs: usize) -> usize {
        match self {
            Self::Lines(length) => length.min(heirs),
            Self::Star | Self::Tree(_) => heirs,
        }
    }
}

/// Accounts that follow a source.
pub struct Followed {
    store: SqlStore,
    source: Account,
    reader: Reader,
}

impl Followed {
    /// Fills a store with a source and so many heirs.
    pub async fn new(below: &Path, shape: Shape, heirs: usize) -> Self {
        let reader = Reader::new(below, heirs);
        let store = reader.fill(|number| match number {
            0 => (permissions(0), None),
            heir => (
                Permissions::new(),
                Some(Source::Inherited { from: name(shape.followed_by(heir)), kept: None }),
            ),
        });
        let (store, source) = store.await;
        Self { store, source, reader }
    }

    /// Gives the source other permissions, sees that everybody has them and nobody the old ones,
    /// and returns how long the commit took.
    pub async fn change(&mut self, round: usize) -> Duration {
        let content = AccountSpec { grants: permissions(round), ..self.source.content.clone() };
        let change = AccountChange::Update {
            account: self.source.id,
            from: self.source.revision,
            transaction: None,
            content,
            password: None,
            adopts: false,
        };
        let plan = plan(self.source.owner.clone(), change);
        let begun = Instant::now();
        let answer = self.store.commit(&[plan], occasion()).await.unwrap().remove(0);
        let took = begun.elapsed();
        let Ok(Receipt::Account(source)) = answer else { panic!("not committed: {answer:?}") };
        self.source = *source;
        self.reader.all_have(round).await;
        took
    }

    /// The file, to read it as an application does.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

/// Accounts that have the source's permissions written down, so that a change of them rewrites
/// each.
pub struct WrittenDown {
    reader: Reader,
    connection: SqliteConnection,
}

impl WrittenDown {
    /// Fills a store with as many accounts as a source with so many heirs are.
    pub async fn new(below: &Path, heirs: usize) -> Self {
        let reader = Reader::new(below, heirs);
        let (store, _) = reader.fill(|_| (permissions(0), None)).await;
        store.close().await;
        let options = SqliteConnectOptions::new()
            .filename(reader.file())
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let connection = options.connect().await.unwrap();
        Self { reader, connection }
    }

    /// Rewrites the permissions of all in one transaction, sees that all have them, and returns how
    /// long it took.
    pub async fn change(&mut self, round: usize) -> Duration {
        let texts: Vec<String> = permissions(round).iter().map(ToString::to_string).collect();
        let texts = serde_json::to_string(&texts).unwrap();
        let begun = Instant::now();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let query = sqlx::query("UPDATE accounts SET grants = $1 WHERE namespace = 'acme'");
        query.bind(texts).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let took = begun.elapsed();
        self.reader.all_have(round).await;
        took
    }

    /// The file, to read it as an application does.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

/// A store's file, as an application reads it.
pub struct Reader {
    folder: TempDir,
    heirs: usize,
}

impl Reader {
    fn new(below: &Path, heirs: usize) -> Self {
        Self { folder: tempfile::tempdir_in(below).unwrap(), heirs }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("roster.db")
    }

    /// A connection of another process.
    pub async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file()).read_only(true).connect().await.unwrap()
    }

    /// Fills the store with accounts by their number, and returns it with the first of them.
    async fn fill(
        &self,
        given: impl Fn(usize) -> (Permissions, Option<Source>),
    ) -> (SqlStore, Account) {
        let store =
            SqlStore::open(&format!("sqlite://{}?mode=rwc", self.file().display())).await.unwrap();
        let listing =
            Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
        let listed = Plan::Domain(DomainPlan::Put {
            namespace: "acme".to_owned(),
            name: "acme".to_owned(),
            listing,
        });
        store.commit(&[listed], occasion()).await.unwrap().remove(0).unwrap();
        let mut source = None;
        let numbers: Vec<usize> = (0..=self.heirs).collect();
        for some in numbers.chunks(TOGETHER) {
            let plans: Vec<Plan> =
                some.iter().map(|number| create(*number, given(*number))).collect();
            for answer in store.commit(&plans, occasion()).await.unwrap() {
                let Ok(Receipt::Account(account)) = answer else {
                    panic!("not created: {answer:?}")
                };
                source.get_or_insert(*account);
            }
        }
        (store, source.unwrap())
    }

    /// Everybody has the permissions of this round, and no other.
    async fn all_have(&self, round: usize) {
        let expected: Vec<String> = permissions(round).iter().map(ToString::to_string).collect();
        let expected = serde_json::to_string(&expected).unwrap();
        let query = sqlx::query_scalar("SELECT permissions FROM roster_accounts");
        let found: Vec<String> = query.fetch_all(&mut self.connect().await).await.unwrap();
        assert_eq!(found.len(), self.heirs + 1);
        assert!(
            found.iter().all(|permissions| *permissions == expected),
            "somebody hasn't what the source has"
        );
    }
}

/// Returns the login name of an account by its number.
pub fn login_name(number: usize) -> String {
    format!("{}.acme", name(number))
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

/// Ten permissions, one of which is another in every round.
fn permissions(round: usize) -> Permissions {
    let same = (0..9).map(|number| format!("orders:area-{number}:read"));
    parse_all(&same.chain([format!("rounds:{round}")]).collect::<Vec<_>>())
}

fn create(number: usize, (grants, source): (Permissions, Option<Source>)) -> Plan {
    let name = name(number);
    let owner = Owner { uid: format!("uid of {name}"), generation: 1, name };
    let content = AccountSpec {
        email: Email::parse(&format!("{}@acme.example", owner.name)).unwrap(),
        lifecycle: LoginState::Enabled,
        group: "users".to_owned(),
        grants,
        source,
        role: Some("Dispatcher".to_owned()),
        teams: ["night-shift".to_owned()].into(),
        profile: Profile { display_name: format!("User {number}"), ..Profile::default() },
        copied: None,
        member: Overrides::default(),
    };
    let login_name = LoginName::new(&owner.name, &acme().customer_id);
    let change = AccountChange::Create {
        id: None,
        transaction: TransactionId::of_create(&owner.uid),
        login_name,
        content,
        password: None,
    };
    plan(owner, change)
}

fn plan(owner: Owner, change: AccountChange) -> Plan {
    let (moves, keeps, seen) = (vec![], vec![], vec![]);
    let leaving = Deleting::default();
    Plan::Account(Box::new(AccountPlan {
        organization: acme(),
        owner,
        change,
        moves,
        freezes: keeps,
        preconditions: seen,
        leaving,
    }))
}

fn acme() -> Organization {
    Organization { namespace: "acme".to_owned(), customer_id: CustomerId::parse("acme").unwrap() }
}

fn occasion() -> CommitTime {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    CommitTime { now, deadline: now }
}
