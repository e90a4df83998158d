//! An operator's store, into which new accounts are committed.

use jiff::Timestamp;
use roster::domain::account::{AccountSpec, LoginState, Owner, TransactionId};
use roster::domain::email::{Domain, Email};
use roster::domain::organization::{CustomerId, LoginName, Organization};
use roster::domain::permission::parse_all;
use roster::domain::profile::Profile;
use roster::domain::self_service::Overrides;
use roster::plan::{AccountChange, AccountPlan, Deleting, DomainPlan, Listing, Plan};
use roster::store::claims::{Claim, CommitPosition};
use roster::store::sql::SqlStore;
use roster::store::{CommitTime, Receipt, Store};

/// How many plans the operator puts into one commit at most.
pub(crate) const TOGETHER: usize = 256;

/// An operator's store, claimed for an organization of its own.
pub(crate) struct Writer {
    store: SqlStore,
    organization: Organization,
    created: usize,
}

impl Writer {
    /// Opens a store and claims it for the organization of this number.
    pub(crate) async fn start(url: &str, number: usize) -> Self {
        let (organization, mut store) = (organization(number), SqlStore::open(url).await.unwrap());
        let claim = Claim {
            namespaces: [organization.namespace.clone()].into(),
            holder: organization.namespace.clone(),
            cluster: "ours".to_owned(),
            known: CommitPosition::default(),
            accept_cluster: false,
            supersede: false,
            directories: None,
        };
        store.claim(&claim, occasion().now).await.unwrap();
        let listing =
            Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
        let namespace = organization.namespace.clone();
        let listed = Plan::Domain(DomainPlan::Put { namespace, name: "acme".to_owned(), listing });
        store.commit(&[listed], occasion()).await.unwrap().remove(0).unwrap();
        Self { store, organization, created: 0 }
    }

    /// Creates new accounts with one commit.
    pub(crate) async fn create(&mut self, accounts: usize) {
        let plans: Vec<Plan> =
            (0..accounts).map(|number| create(&self.organization, self.created + number)).collect();
        for answer in self.store.commit(&plans, occasion()).await.unwrap() {
            let Ok(Receipt::Account(_)) = answer else { panic!("not created: {answer:?}") };
        }
        self.created += accounts;
    }

    /// Returns how many accounts it has created.
    pub(crate) fn created(&self) -> usize {
        self.created
    }

    pub(crate) fn into_store(self) -> SqlStore {
        self.store
    }
}

/// Returns the organization of a number.
pub(crate) fn organization(number: usize) -> Organization {
    let name = format!("acme-{number}");
    Organization { customer_id: CustomerId::parse(&name).unwrap(), namespace: name }
}

/// Returns the name of the `User` of a number.
pub(crate) fn user_name(number: usize) -> String {
    format!("user-{number}")
}

fn create(organization: &Organization, number: usize) -> Plan {
    let name = user_name(number);
    let owner =
        Owner { uid: format!("uid of {name} in {}", organization.namespace), generation: 1, name };
    let content = AccountSpec {
        email: Email::parse(&format!("{}@acme.example", owner.name)).unwrap(),
        lifecycle: LoginState::Enabled,
        group: "users".to_owned(),
        grants: parse_all(&["orders:read", "cases:read", "cases:write"].map(str::to_owned)),
        source: None,
        role: Some("Dispatcher".to_owned()),
        teams: ["night-shift".to_owned()].into(),
        profile: Profile { display_name: format!("User {number}"), ..Profile::default() },
        copied: None,
        member: Overrides::default(),
    };
    let login_name = LoginName::new(&owner.name, &organization.customer_id);
    let change = AccountChange::Create {
        id: None,
        transaction: TransactionId::of_create(&owner.uid),
        login_name,
        content,
        password: None,
    };
    let (moves, keeps, seen, leaving) = (vec![], vec![], vec![], Deleting::default());
    Plan::Account(Box::new(AccountPlan {
        organization: organization.clone(),
        owner,
        change,
        moves,
        freezes: keeps,
        preconditions: seen,
        leaving,
    }))
}

fn occasion() -> CommitTime {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    CommitTime { now, deadline: now }
}
