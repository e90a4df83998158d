//! Whatever is asked of them, the reference and `SQLite` answer the same and hold the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use roster::domain::account::{Account, AccountId, Lifecycle, Revision, TransactionId, TransactionKind};
use roster::domain::email::{Domain, Email};
use roster::domain::organization::{LoginName, Organization};
use roster::plan::{AccountChange, AccountPlan, AddressMove, DomainPlan, GroupPlan, Leaving, Listing, Plan};
use roster::store::{AccountKey, Receipt, Refusal, Store};
use uuid::Uuid;

use crate::plans::{at, content, create_in, email, nobody_leaves, organization, owner, permissions, plan};
use crate::{Bench, InMemory, InSqlite};

const NAMESPACES: [&str; 2] = ["acme", "other"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const ADDRESSES: [&str; 5] = ["a@acme.example", "b@acme.example", "a@eu.acme.example", "b@eu.acme.example", "a@other.example"];
const DOMAINS: [&str; 3] = ["acme.example", "eu.acme.example", "other.example"];
const GROUPS: [&str; 3] = ["users", "administrators", "crew"];

/// What is asked, without the ids that differ between stores.
#[derive(Clone, Debug)]
enum Step {
    Create {
        who: Who,
        customer_id: &'static str,
        username: &'static str,
        wanted: Wanted,
        moves: Vec<Move>,
    },
    Update {
        who: Who,
        lag: i64,
        uid: &'static str,
        wanted: Wanted,
        kind: Option<TransactionKind>,
        moves: Vec<Move>,
    },
    Delete {
        who: Who,
        lag: i64,
        uid: &'static str,
        moves: Vec<Move>,
    },
    Group {
        namespace: &'static str,
        name: &'static str,
        put: Option<bool>,
    },
    Domain {
        namespace: &'static str,
        name: &'static str,
        put: Option<(&'static str, bool)>,
    },
    /// The plan that was sent so many plans ago, once more.
    Repeat(usize),
}

#[derive(Clone, Copy, Debug)]
struct Who {
    namespace: &'static str,
    name: &'static str,
}

#[derive(Clone, Debug)]
struct Wanted {
    address: &'static str,
    group: &'static str,
    lifecycle: Lifecycle,
}

#[derive(Clone, Debug)]
struct Move {
    name: &'static str,
    lag: i64,
    to: &'static str,
}

fn mostly_current() -> impl Strategy<Value = i64> {
    prop_oneof![19 => Just(0_i64), 1 => Just(1_i64)]
}

fn who() -> impl Strategy<Value = Who> {
    (prop_oneof![3 => Just("acme"), 1 => Just("other")], select(&NAMES[..])).prop_map(|(namespace, name)| Who { namespace, name })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let lifecycle = prop_oneof![Just(Lifecycle::Enabled), Just(Lifecycle::Disabled)];
    (select(&ADDRESSES[..]), select(&GROUPS[..]), lifecycle).prop_map(|(address, group, lifecycle)| Wanted {
        address,
        group,
        lifecycle,
    })
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (select(&NAMES[..]), mostly_current(), select(&ADDRESSES[..])).prop_map(|(name, lag, to)| Move { name, lag, to });
    prop_oneof![3 => Just(vec![]), 2 => vec(one, 1..3)]
}

fn uid() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just("1"), 1 => Just("2")]
}

fn step() -> impl Strategy<Value = Step> {
    let customer_id = prop_oneof![16 => Just("one"), 3 => Just("two"), 1 => Just("three")];
    let kind = prop_oneof![Just(None), Just(Some(TransactionKind::Disable)), Just(Some(TransactionKind::Enable))];
    let put_group = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    let put_domain = prop_oneof![1 => Just(None), 3 => (select(&DOMAINS[..]), any::<bool>()).prop_map(Some)];
    prop_oneof![
        6 => (who(), customer_id, select(&NAMES[..]), wanted(), moves())
            .prop_map(|(who, customer_id, username, wanted, moves)| Step::Create { who, customer_id, username, wanted, moves }),
        6 => (who(), mostly_current(), uid(), wanted(), kind, moves())
            .prop_map(|(who, lag, uid, wanted, kind, moves)| Step::Update { who, lag, uid, wanted, kind, moves }),
        2 => (who(), mostly_current(), uid(), moves()).prop_map(|(who, lag, uid, moves)| Step::Delete { who, lag, uid, moves }),
        1 => (select(&NAMESPACES[..]), select(&GROUPS[..]), put_group)
            .prop_map(|(namespace, name, put)| Step::Group { namespace, name, put }),
        2 => (select(&NAMESPACES[..]), select(&NAMES[..]), put_domain)
            .prop_map(|(namespace, name, put)| Step::Domain { namespace, name, put }),
        2 => (1..6_usize).prop_map(Step::Repeat),
    ]
}

/// A store on trial: what was sent to it, and its ids in the order in which it gave them.
struct Trial<B> {
    bench: B,
    sent: Vec<Plan>,
    ids: HashMap<AccountId, AccountId>,
    steps: u128,
}

impl<B: Bench> Trial<B> {
    async fn new(bench: B) -> Self {
        let mut plans: Vec<Plan> =
            NAMESPACES.map(|namespace| crate::plans::put_domain_in(namespace, "d", "*.acme.example")).into();
        for (name, address) in NAMES.into_iter().zip(ADDRESSES).take(3) {
            let mut plan = create_in(organization("acme", "acme-one"), name, content(address));
            if let Plan::Account(plan) = &mut plan {
                "1".clone_into(&mut plan.owner.uid);
            }
            plans.push(plan);
        }
        bench.store().commit(&plans, at(0)).await.unwrap();
        Self { bench, sent: vec![], ids: HashMap::new(), steps: 0 }
    }

    /// Commits the steps in one go and returns the answers, with ids that don't tell stores apart.
    async fn commit(&mut self, steps: &[Step]) -> Vec<Result<Receipt, Refusal>> {
        let mut plans = Vec::new();
        for step in steps {
            self.steps += 1;
            let plan = self.plan(step).await;
            self.sent.push(plan.clone());
            plans.push(plan);
        }
        let second = i64::try_from(self.steps).unwrap();
        let answers = self.bench.store().commit(&plans, at(second)).await.unwrap();
        answers.into_iter().map(|answer| answer.map(|receipt| self.anonymous(receipt))).collect()
    }

    async fn plan(&self, step: &Step) -> Plan {
        let transaction = TransactionId(Uuid::from_u128(self.steps));
        match step {
            Step::Create { who, customer_id, username, wanted, moves } => {
                let organization =
                    organization(who.namespace, &format!("{}-{customer_id}", who.namespace).replace("other-two", "acme-one"));
                let login_name = LoginName::new(username, &organization.customer_id);
                let change = AccountChange::Create { transaction, login_name, content: wanted.content() };
                self.account_plan(*who, organization, "1", change, moves).await
            }
            Step::Update { who, lag, uid, wanted, kind, moves } => {
                let (account, revision) = self.current(who.namespace, who.name).await;
                let transaction = kind.map(|kind| (transaction, kind));
                let change =
                    AccountChange::Update { account, from: Revision(revision - lag), transaction, content: wanted.content() };
                self.account_plan(*who, organization(who.namespace, "any"), uid, change, moves).await
            }
            Step::Delete { who, lag, uid, moves } => {
                let (account, revision) = self.current(who.namespace, who.name).await;
                let change = AccountChange::Delete { account, from: Revision(revision - lag), transaction };
                self.account_plan(*who, organization(who.namespace, "any"), uid, change, moves).await
            }
            Step::Group { namespace, name, put } => Plan::Group(group_plan(namespace, name, *put)),
            Step::Domain { namespace, name, put } => Plan::Domain(domain_plan(namespace, name, *put)),
            Step::Repeat(back) => match self.sent.len().checked_sub(*back) {
                Some(index) => self.sent[index].clone(),
                None => Plan::Group(group_plan("acme", "crew", Some(false))),
            },
        }
    }

    async fn account_plan(&self, who: Who, organization: Organization, uid: &str, change: AccountChange, moves: &[Move]) -> Plan {
        let mut owner = owner(who.name);
        uid.clone_into(&mut owner.uid);
        let mut movers = Vec::new();
        for Move { name, lag, to } in moves {
            let (account, revision) = self.current(who.namespace, name).await;
            movers.push(AddressMove { account, from: Revision(revision - lag), to: email(to) });
        }
        Plan::Account(Box::new(AccountPlan { moves: movers, ..plan(organization, owner, change) }))
    }

    /// The id and revision of an account, or ones that no account has.
    async fn current(&self, namespace: &str, name: &str) -> (AccountId, i64) {
        let key = AccountKey::Owner { namespace: namespace.to_owned(), name: name.to_owned() };
        let found = self.bench.store().find(std::slice::from_ref(&key)).await.unwrap();
        found.get(&key).map_or((AccountId(Uuid::nil()), 1), |account| (account.id, account.revision.0))
    }

    fn anonymous(&mut self, receipt: Receipt) -> Receipt {
        match receipt {
            Receipt::Account(account) => Receipt::Account(Box::new(self.anonymous_account(*account))),
            Receipt::Deleted { account, cases_unassigned, transaction } => {
                Receipt::Deleted { account: self.anonymous_id(account), cases_unassigned, transaction }
            }
            Receipt::Done => Receipt::Done,
        }
    }

    fn anonymous_account(&mut self, account: Account) -> Account {
        Account { id: self.anonymous_id(account.id), ..account }
    }

    fn anonymous_id(&mut self, id: AccountId) -> AccountId {
        let next = AccountId(Uuid::from_u128(self.ids.len() as u128));
        *self.ids.entry(id).or_insert(next)
    }

    /// Gives a case to each account.
    async fn assign_cases(&self) {
        for account in self.bench.store().list(None).await.unwrap() {
            let case = format!("{}/{}/{}", account.namespace, account.owner.name, account.revision.0);
            self.bench.assign_case(&case, account.id).await;
        }
    }

    /// Everything that the store tells, as text.
    async fn contents(&mut self) -> String {
        let store = self.bench.store();
        let mut keys = Vec::new();
        for namespace in NAMESPACES.map(str::to_owned) {
            keys.extend(NAMES.map(|name| AccountKey::Owner { namespace: namespace.clone(), name: name.to_owned() }));
            keys.extend(ADDRESSES.map(|address| AccountKey::Email { namespace: namespace.clone(), email: email(address) }));
            keys.extend(NAMES.map(|name| AccountKey::Login(LoginName::stored(format!("{name}.{namespace}-one")))));
        }
        let list = store.list(None).await.unwrap();
        let found = store.find(&keys).await.unwrap();
        let presented: Vec<Organization> = NAMESPACES.map(|namespace| organization(namespace, "acme-one")).into();
        let mut records = store.organizations(&presented).await.unwrap();
        let mut counts = store.counts(&nobody_leaves(&NAMESPACES)).await.unwrap();
        let list: Vec<Account> = list.into_iter().map(|account| self.anonymous_account(account)).collect();
        let found: Vec<Option<Account>> =
            keys.iter().map(|key| found.get(key).cloned().map(|account| self.anonymous_account(account))).collect();
        let rest = NAMESPACES.map(|namespace| (records.remove(namespace), counts.remove(namespace)));
        format!("{list:#?}\n{found:#?}\n{rest:#?}")
    }
}

impl Wanted {
    fn content(&self) -> roster::domain::account::Content {
        let mut content = content(self.address);
        self.group.clone_into(&mut content.group);
        content.lifecycle = self.lifecycle;
        content.grants = permissions(&[self.group]);
        content
    }
}

fn group_plan(namespace: &str, name: &str, put: Option<bool>) -> GroupPlan {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match put {
        Some(full_control) => {
            let content = roster::domain::group::GroupContent {
                full_control,
                permissions: permissions(&["cases:read"]),
                ..roster::domain::group::GroupContent::default()
            };
            GroupPlan::Put { namespace, name, content, leaving: Leaving::default() }
        }
        None => GroupPlan::Drop { namespace, name, leaving: Leaving::default() },
    }
}

fn domain_plan(namespace: &str, name: &str, put: Option<(&str, bool)>) -> DomainPlan {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match put {
        Some((domain, include_subdomains)) => {
            let listing = Listing { domain: Domain::parse(domain).unwrap(), include_subdomains };
            DomainPlan::Put { namespace, name, listing }
        }
        None => DomainPlan::Drop { namespace, name, leaving: Leaving::default() },
    }
}

/// No address of an organization, no login and no owner is there twice.
fn holds_together(accounts: &[Account]) {
    let mut emails: Vec<(&str, &Email)> = accounts.iter().map(|a| (a.namespace.as_str(), &a.content.email)).collect();
    emails.sort();
    emails.dedup();
    assert_eq!(emails.len(), accounts.len(), "an address is there twice");
}

/// The word for an answer.
fn word(answer: &Result<Receipt, Refusal>) -> &'static str {
    match answer {
        Ok(Receipt::Account(_)) => "Account",
        Ok(Receipt::Deleted { .. }) => "Deleted",
        Ok(Receipt::Done) => "Done",
        Err(refusal) => refusal.into(),
    }
}

/// Sends the batches to both stores and returns the answers.
async fn agree(batches: &[Vec<Step>]) -> Vec<Result<Receipt, Refusal>> {
    let mut memory = Trial::new(InMemory::default()).await;
    let mut sqlite = Trial::new(InSqlite::new().await).await;
    let mut answers = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let expected = memory.commit(batch).await;
        assert_eq!(sqlite.commit(batch).await, expected);
        answers.extend(expected);
        if number % 4 == 0 {
            memory.assign_cases().await;
            sqlite.assign_cases().await;
        }
        assert_eq!(sqlite.contents().await, memory.contents().await);
        holds_together(&memory.bench.store().list(None).await.unwrap());
    }
    answers
}

#[test]
fn both_stores_answer_the_same_and_hold_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = RefCell::new(BTreeMap::new());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let tried = TestRunner::new(config).run(&vec(vec(step(), 1..8), 1..24), |batches| {
        for answer in runtime.block_on(agree(&batches)) {
            *tally.borrow_mut().entry(word(&answer)).or_insert(0) += 1;
        }
        Ok(())
    });
    if let Err(difference) = tried {
        panic!("{difference}");
    }
    let tally = tally.into_inner();
    println!("{tally:?}");
    assert_eq!(tally.len(), 12, "some answer was never given: {tally:?}");
}
