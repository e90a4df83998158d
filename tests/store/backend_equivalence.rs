//! Whatever is asked of them, the reference and both databases answer the same and hold the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use roster::domain::account::{
    Account, AccountId, AccountSpec, Cloned, Confirmations, DeletedAccount, DirectoryAck,
    EntryDigest, EntryHandle, LoginState, Revision, SecretPassword, Source, Transaction,
    TransactionId, TransactionKind,
};
use roster::domain::email::{Domain, Email};
use roster::domain::group::GroupContent;
use roster::domain::inheritance::{self, MAX_DEPTH};
use roster::domain::organization::{LoginName, Organization};
use roster::domain::password::PasswordHash;
use roster::domain::profile::SelfServiceField;
use roster::domain::self_service::ProfileChange;
use roster::plan::{
    AccountChange, AccountPlan, AddressMove, ConfirmPlan, Deleting, DomainPlan, FrozenPermissions,
    GroupPlan, Listing, MemberPlan, Plan, Precondition, RehashPlan,
};
use roster::store::{AccountKey, Receipt, Refusal, Store, UserName};
use roster_test_support::plans::{
    at, content, create_heir, from_secret, hash, inherited, organization, owner, permissions, plan,
};
use uuid::Uuid;

use crate::view::agrees_with_the_definition;
use crate::{Bench, Entry, InMemory, InPostgres, InSqlite};

const NAMESPACES: [&str; 2] = ["acme", "other"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const ADDRESSES: [&str; 5] = [
    "a@acme.example",
    "b@acme.example",
    "a@eu.acme.example",
    "b@eu.acme.example",
    "a@other.example",
];
const COPIES: [&str; 3] =
    ["a@acme.example (Copy 1)", "a@acme.example (Copy 2)", "a@acme.example (Copy 3)"];
/// Who is followed: others, those on a line that is there from the start, and nobody.
const SOURCES: [&str; 7] = ["a", "b", "c", "d", "l0", "l1", "ghost"];
const DOMAINS: [&str; 3] = ["acme.example", "eu.acme.example", "other.example"];
const GROUPS: [&str; 3] = ["users", "administrators", "crew"];
const DIRECTORIES: [&str; 3] = ["one", "two", "three"];
const PASSWORDS: [&str; 3] = ["first", "second", "third"];
const UIDS: [&str; 3] = ["1", "2", ""];

/// What is done to a store at once.
#[derive(Clone, Debug)]
enum Batch {
    Commit(Vec<Step>),
    UseDirectories(Names),
}

/// What is asked, without the ids that differ between stores.
#[derive(Clone, Debug)]
enum Step {
    Create {
        who: Who,
        customer_id: &'static str,
        username: &'static str,
        wanted: Wanted,
        password: Option<&'static str>,
        others: Others,
    },
    Update {
        who: Who,
        lag: i64,
        uid: &'static str,
        wanted: Wanted,
        kind: Option<TransactionKind>,
        password: Option<&'static str>,
        /// Whose account it is that is taken over, where it is another's, and whether the plan says
        /// so.
        of: Option<(&'static str, bool)>,
        others: Others,
    },
    Release {
        who: Who,
        lag: i64,
        uid: &'static str,
    },
    Delete {
        who: Who,
        lag: i64,
        uid: &'static str,
        others: Others,
    },
    Group {
        namespace: &'static str,
        name: &'static str,
        put: Option<(bool, BTreeSet<SelfServiceField>)>,
        leaving: Deleting,
    },
    Domain {
        namespace: &'static str,
        name: &'static str,
        put: Option<(&'static str, bool)>,
        leaving: Deleting,
    },
    Member {
        who: Who,
        changes: Vec<ProfileChange>,
        password: Option<&'static str>,
    },
    Rehash {
        who: Who,
        before: &'static str,
        after: &'static str,
    },
    /// Directories confirm the account as it is, or an older revision of it.
    Confirm {
        who: Who,
        confirmed: Vec<(&'static str, i64)>,
    },
    /// The same for the account that was deleted so many deletions ago.
    ConfirmDeleted {
        back: usize,
        confirmed: Vec<(&'static str, i64)>,
    },
    /// The plan that was sent so many plans ago, once more.
    Repeat(usize),
}

#[derive(Clone, Copy, Debug)]
struct Who {
    namespace: &'static str,
    name: &'static str,
}

/// The names of users.
type Names = BTreeSet<&'static str>;

#[derive(Clone, Debug)]
struct Wanted {
    address: &'static str,
    group: &'static str,
    lifecycle: LoginState,
    source: Option<(&'static str, Mode)>,
}

/// What becomes of another's permissions.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Follow,
    Keep,
    Clone,
}

/// What a plan does to others, knows of them, and says of them.
#[derive(Clone, Debug)]
struct Others {
    moves: Vec<Move>,
    keeps: Vec<(Seen, bool)>,
    seen: Vec<Seen>,
    leaving: Deleting,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    name: &'static str,
    lag: i64,
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
    let name = prop_oneof![20 => select(&NAMES[..]), 1 => Just("l0"), 1 => Just("l1")];
    (prop_oneof![3 => Just("acme"), 1 => Just("other")], name)
        .prop_map(|(namespace, name)| Who { namespace, name })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let address = prop_oneof![4 => select(&ADDRESSES[..]), 1 => select(&COPIES[..])];
    let lifecycle = prop_oneof![Just(LoginState::Enabled), Just(LoginState::Disabled)];
    let mode = prop_oneof![3 => Just(Mode::Follow), 1 => Just(Mode::Keep), 1 => Just(Mode::Clone)];
    let source = prop_oneof![1 => Just(None), 2 => (select(&SOURCES[..]), mode).prop_map(Some)];
    (address, select(&GROUPS[..]), lifecycle, source).prop_map(
        |(address, group, lifecycle, source)| Wanted { address, group, lifecycle, source },
    )
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (select(&NAMES[..]), mostly_current(), select(&ADDRESSES[..]))
        .prop_map(|(name, lag, to)| Move { name, lag, to });
    prop_oneof![3 => Just(vec![]), 2 => vec(one, 1..3)]
}

fn seen() -> impl Strategy<Value = Seen> {
    let name = prop_oneof![9 => select(&NAMES[..3]), 1 => select(&SOURCES[..])];
    (name, mostly_current()).prop_map(|(name, lag)| Seen { name, lag })
}

fn leaving() -> impl Strategy<Value = Deleting> {
    let some = || {
        vec(select(&NAMES[..]), 0..4)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    let all: Deleting = NAMES.into_iter().chain(["l0"]).map(str::to_owned).collect();
    let leaving = prop_oneof![3 => Just(Deleting::default()), 1 => some().prop_map(Deleting::from_iter), 1 => Just(all)];
    // Where the namespace goes, whoever isn't on the way out yet is named too.
    let last = prop_oneof![4 => Just(None), 1 => some().prop_map(|last| Some(Arc::new(last)))];
    (leaving, last).prop_map(|(leaving, last)| Deleting { last, ..leaving })
}

fn others() -> impl Strategy<Value = Others> {
    let keeps = prop_oneof![4 => Just(vec![]), 1 => vec((seen(), any::<bool>()), 1..3)];
    let seen = prop_oneof![2 => Just(vec![]), 1 => vec(seen(), 1..3)];
    let some = (moves(), keeps, seen, leaving());
    let nobody = leaving().prop_map(|leaving| (vec![], vec![], vec![], leaving));
    prop_oneof![2 => nobody, 1 => some].prop_map(|(moves, keeps, seen, leaving)| Others {
        moves,
        keeps,
        seen,
        leaving,
    })
}

fn uid() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just("1"), 1 => Just("2")]
}

fn self_change() -> impl Strategy<Value = ProfileChange> {
    let phone = prop_oneof![Just(None), Just(Some("1".to_owned())), Just(Some("2".to_owned()))];
    let address = select(&ADDRESSES[..])
        .prop_map(|address| ProfileChange::Email(Email::from_stored(address.to_owned())));
    prop_oneof![
        phone.prop_map(ProfileChange::Phone),
        address,
        Just(ProfileChange::Name("Al".to_owned()))
    ]
}

fn create() -> impl Strategy<Value = Step> {
    let customer_id = prop_oneof![14 => Just("one"), 5 => Just("two"), 1 => Just("three")];
    (who(), customer_id, select(&NAMES[..]), wanted(), password(), others()).prop_map(
        |(who, customer_id, username, wanted, password, others)| Step::Create {
            who,
            customer_id,
            username,
            wanted,
            password,
            others,
        },
    )
}

fn password() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), select(&PASSWORDS[..]).prop_map(Some)]
}

fn confirmed() -> impl Strategy<Value = Vec<(&'static str, i64)>> {
    prop_oneof![
        2 => Just(DIRECTORIES.map(|directory| (directory, 0)).into()),
        3 => vec((select(&DIRECTORIES[..]), prop_oneof![4 => Just(0), 2 => Just(1), 1 => Just(-1)]), 0..4),
    ]
}

fn update() -> impl Strategy<Value = Step> {
    let kinds =
        [TransactionKind::Disable, TransactionKind::Enable, TransactionKind::PasswordChange];
    let kind = prop_oneof![2 => Just(None), 3 => select(kinds.to_vec()).prop_map(Some)];
    let of = prop_oneof![5 => Just(None), 1 => (select(&NAMES[..]), prop_oneof![4 => Just(true), 1 => Just(false)]).prop_map(Some)];
    (who(), mostly_current(), uid(), wanted(), kind, password(), of, others()).prop_map(
        |(who, lag, uid, wanted, kind, password, of, others)| Step::Update {
            who,
            lag,
            uid,
            wanted,
            kind,
            password,
            of,
            others,
        },
    )
}

fn rehash() -> impl Strategy<Value = Step> {
    (who(), select(&PASSWORDS[..]), select(&PASSWORDS[..]))
        .prop_map(|(who, before, after)| Step::Rehash { who, before, after })
}

fn group() -> impl Strategy<Value = Step> {
    let details = prop_oneof![
        Just([].into()),
        Just([SelfServiceField::Phone, SelfServiceField::Email, SelfServiceField::Password].into())
    ];
    let put = prop_oneof![1 => Just(None), 2 => (any::<bool>(), details).prop_map(Some)];
    (select(&NAMESPACES[..]), select(&GROUPS[..]), put, leaving())
        .prop_map(|(namespace, name, put, leaving)| Step::Group { namespace, name, put, leaving })
}

fn domain() -> impl Strategy<Value = Step> {
    let put =
        prop_oneof![1 => Just(None), 3 => (select(&DOMAINS[..]), any::<bool>()).prop_map(Some)];
    (select(&NAMESPACES[..]), select(&NAMES[..]), put, leaving())
        .prop_map(|(namespace, name, put, leaving)| Step::Domain { namespace, name, put, leaving })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => create(),
        7 => update(),
        2 => (who(), mostly_current(), uid(), others()).prop_map(|(who, lag, uid, others)| Step::Delete { who, lag, uid, others }),
        2 => group(),
        2 => domain(),
        3 => (who(), vec(self_change(), 0..3), password())
            .prop_map(|(who, changes, password)| Step::Member { who, changes, password }),
        1 => (who(), mostly_current(), uid()).prop_map(|(who, lag, uid)| Step::Release { who, lag, uid }),
        1 => rehash(),
        4 => (who(), confirmed()).prop_map(|(who, confirmed)| Step::Confirm { who, confirmed }),
        2 => (1..4_usize, confirmed()).prop_map(|(back, confirmed)| Step::ConfirmDeleted { back, confirmed }),
        2 => (1..6_usize).prop_map(Step::Repeat),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let directories =
        vec(select(&DIRECTORIES[..]), 0..3).prop_map(|names| names.into_iter().collect());
    prop_oneof![5 => vec(step(), 1..8).prop_map(Batch::Commit), 1 => directories.prop_map(Batch::UseDirectories)]
}

/// A store on trial: what was sent to it, its ids in the order in which it gave them, and whom it
/// deleted.
struct Trial<B> {
    bench: B,
    sent: Vec<Plan>,
    ids: HashMap<AccountId, AccountId>,
    deleted: Vec<DeletedAccount>,
    steps: u128,
}

impl<B: Bench> Trial<B> {
    /// Sets a store up with a directory, an administrator, two who follow each other, and a line on
    /// which `l0` follows so many others.
    async fn new(bench: B, line: usize) -> Self {
        let mut plans: Vec<Plan> = NAMESPACES
            .map(|namespace| {
                roster_test_support::plans::put_domain_in(namespace, "d", "*.acme.example")
            })
            .into();
        let mut accounts = vec![
            ("a".to_owned(), inherited("b")),
            ("b".to_owned(), inherited("c")),
            ("c".to_owned(), inherited("b")),
        ];
        if line > 0 {
            accounts.extend(
                (0..=line)
                    .map(|number| (format!("l{number}"), inherited(&format!("l{}", number + 1)))),
            );
        }
        for (name, source) in accounts {
            let Plan::Account(mut plan) =
                create_heir(organization("acme", "acme-one"), &name, source)
            else {
                unreachable!()
            };
            "1".clone_into(&mut plan.owner.uid);
            if let AccountChange::Create { content, .. } = &mut plan.change
                && name == "a"
            {
                "administrators".clone_into(&mut content.group);
            }
            plans.push(Plan::Account(plan));
        }
        plans.push(roster_test_support::plans::put_self_service(
            "users",
            &[SelfServiceField::Phone, SelfServiceField::Email, SelfServiceField::Password],
        ));
        bench.store().set_directories(&["one".to_owned()].into(), at(0).now).await.unwrap();
        bench.store().commit(&plans, at(0)).await.unwrap();
        Self { bench, sent: vec![], ids: HashMap::new(), deleted: vec![], steps: 0 }
    }

    async fn run(&mut self, batch: &Batch) -> Vec<Result<Receipt, Refusal>> {
        match batch {
            Batch::Commit(steps) => Box::pin(self.commit(steps)).await,
            Batch::UseDirectories(directories) => {
                self.steps += 1;
                let names = directories.iter().map(|&name| name.to_owned()).collect();
                let second = i64::try_from(self.steps).unwrap();
                self.bench.store().set_directories(&names, at(second).now).await.unwrap();
                vec![]
            }
        }
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
        let set = |password: &Option<&str>| {
            password.map(|password| SecretPassword {
                version: self.steps.to_string(),
                ..from_secret(password)
            })
        };
        match step {
            Step::Create { who, customer_id, username, wanted, password, others } => {
                let organization = organization(
                    who.namespace,
                    &format!("{}-{customer_id}", who.namespace).replace("other-two", "acme-one"),
                );
                let login_name = LoginName::new(username, &organization.customer_id);
                let (content, password) = (wanted.content(), set(password));
                let change =
                    AccountChange::Create { id: None, transaction, login_name, content, password };
                self.account_plan(*who, organization, "1", change, others).await
            }
            Step::Update { who, lag, uid, wanted, kind, password, of, others } => {
                let (account, revision) =
                    self.current(who.namespace, of.map_or(who.name, |(name, _)| name)).await;
                let transaction = kind.map(|kind| (transaction, kind));
                let change = AccountChange::Update {
                    account,
                    from: Revision(revision - lag),
                    transaction,
                    content: wanted.content(),
                    password: set(password),
                    adopts: of.is_some_and(|(_, adopts)| adopts),
                };
                self.account_plan(*who, organization(who.namespace, "any"), uid, change, others)
                    .await
            }
            Step::Release { who, lag, uid } => {
                let (account, revision) = self.current(who.namespace, who.name).await;
                let change = AccountChange::Release { account, from: Revision(revision - lag) };
                self.account_plan(
                    *who,
                    organization(who.namespace, "any"),
                    uid,
                    change,
                    &Others::nobody(),
                )
                .await
            }
            Step::Delete { who, lag, uid, others } => {
                let (account, revision) = self.current(who.namespace, who.name).await;
                let change =
                    AccountChange::Delete { account, from: Revision(revision - lag), transaction };
                self.account_plan(*who, organization(who.namespace, "any"), uid, change, others)
                    .await
            }
            Step::Group { namespace, name, put, leaving } => {
                Plan::Group(group_plan([namespace, name], put.as_ref(), leaving))
            }
            Step::Domain { namespace, name, put, leaving } => {
                Plan::Domain(domain_plan([namespace, name], *put, leaving))
            }
            Step::Member { who, changes, password } => {
                let (account, _) = self.current(who.namespace, who.name).await;
                let (namespace, password) = (who.namespace.to_owned(), password.map(hash));
                Plan::Member(MemberPlan { namespace, account, changes: changes.clone(), password })
            }
            Step::Rehash { who, before, after } => {
                let (account, _) = self.current(who.namespace, who.name).await;
                Plan::Rehash(RehashPlan {
                    namespace: who.namespace.to_owned(),
                    account,
                    before: hash(before),
                    after: hash(after),
                })
            }
            Step::Confirm { who, confirmed } => {
                let (account, revision) = self.current(who.namespace, who.name).await;
                let confirmed = older(confirmed, revision);
                Plan::Confirm(ConfirmPlan {
                    namespace: who.namespace.to_owned(),
                    account,
                    confirmed,
                })
            }
            Step::ConfirmDeleted { back, confirmed } => {
                let gone = self.deleted.len().checked_sub(*back).map(|index| &self.deleted[index]);
                let (namespace, account) = gone
                    .map_or(("acme".to_owned(), AccountId(Uuid::nil())), |gone| {
                        (gone.namespace.clone(), gone.account)
                    });
                let confirmed =
                    older(confirmed, gone.map_or(1, |gone| gone.transaction.revision.0));
                Plan::Confirm(ConfirmPlan { namespace, account, confirmed })
            }
            Step::Repeat(back) => match self.sent.len().checked_sub(*back) {
                Some(index) => self.sent[index].clone(),
                None => Plan::Group(group_plan(
                    ["acme", "crew"],
                    Some(&(false, BTreeSet::new())),
                    &Deleting::default(),
                )),
            },
        }
    }

    async fn account_plan(
        &self,
        who: Who,
        organization: Organization,
        uid: &str,
        change: AccountChange,
        others: &Others,
    ) -> Plan {
        let mut owner = owner(who.name);
        uid.clone_into(&mut owner.uid);
        let mut plan =
            AccountPlan { leaving: others.leaving.clone(), ..plan(organization, owner, change) };
        for Move { name, lag, to } in &others.moves {
            let (account, revision) = self.current(who.namespace, name).await;
            plan.moves.push(AddressMove {
                account,
                from: Revision(revision - lag),
                to: Email::from_stored((*to).to_owned()),
            });
        }
        for (Seen { name, lag }, keeps) in &others.keeps {
            let (account, revision) = self.current(who.namespace, name).await;
            let kept = keeps.then(|| permissions(&["kept:read"]));
            plan.freezes.push(FrozenPermissions { account, from: Revision(revision - lag), kept });
        }
        for Seen { name, lag } in &others.seen {
            let (account, revision) = self.current(who.namespace, name).await;
            plan.preconditions.push(Precondition { account, revision: Revision(revision - lag) });
        }
        Plan::Account(Box::new(plan))
    }

    /// The id and revision of an account, or ones that no account has.
    async fn current(&self, namespace: &str, name: &str) -> (AccountId, i64) {
        let key = AccountKey::Owner { namespace: namespace.to_owned(), name: name.to_owned() };
        let found = self.bench.store().find(std::slice::from_ref(&key)).await.unwrap();
        found
            .get(&key)
            .map_or((AccountId(Uuid::nil()), 1), |account| (account.id, account.revision.0))
    }

    fn anonymous(&mut self, receipt: Receipt) -> Receipt {
        match receipt {
            Receipt::Account(account) => {
                Receipt::Account(Box::new(self.anonymous_account(*account)))
            }
            Receipt::Deleted(departure) => {
                if self.deleted.iter().all(|other| other.account != departure.account) {
                    self.deleted.push((*departure).clone());
                }
                Receipt::Deleted(Box::new(self.anonymous_departure(*departure)))
            }
            Receipt::Done => Receipt::Done,
        }
    }

    fn anonymous_departure(&mut self, departure: DeletedAccount) -> DeletedAccount {
        DeletedAccount { account: self.anonymous_id(departure.account), ..departure }
    }

    fn anonymous_account(&mut self, account: Account) -> Account {
        let transaction = without_the_id_of_a_member(account.id, account.transaction.clone());
        Account { id: self.anonymous_id(account.id), transaction, ..account }
    }

    /// The journal of every account that an answer told of, in the order in which they were told
    /// of.
    async fn journals(&self) -> Vec<Vec<Entry>> {
        let ids: BTreeMap<AccountId, AccountId> =
            self.ids.iter().map(|(id, anonymous)| (*anonymous, *id)).collect();
        let mut journals = vec![];
        for id in ids.into_values() {
            journals.push(self.bench.journal(id).await);
        }
        journals
    }

    /// What the store tells of those who are gone, and whom the others belong to, as text.
    async fn departures(&mut self) -> String {
        let store = self.bench.store();
        let mut owners = store.owners().await.unwrap();
        owners.sort();
        let mut newest = vec![];
        for uid in UIDS {
            let users: Vec<UserName> = NAMESPACES
                .iter()
                .flat_map(|at| NAMES.map(|name| ((*at).to_owned(), name.to_owned())))
                .collect();
            let users: Vec<_> = users.into_iter().map(|user| (user, uid.to_owned())).collect();
            let found: BTreeMap<_, _> =
                store.deleted_accounts(&users).await.unwrap().into_iter().collect();
            // Of two that one user deleted at the same instant, either is the newest.
            newest.push(
                found
                    .into_iter()
                    .map(|(user, gone)| (user, gone.transaction.started))
                    .collect::<Vec<_>>(),
            );
        }
        let unconfirmed = store.pending_deletions().await.unwrap();
        let unconfirmed = unconfirmed.into_iter().map(|gone| self.anonymous_departure(gone));
        let unconfirmed: BTreeMap<AccountId, DeletedAccount> =
            unconfirmed.map(|gone| (gone.account, gone)).collect();
        format!("{owners:#?}\n{newest:#?}\n{unconfirmed:#?}")
    }

    fn anonymous_id(&mut self, id: AccountId) -> AccountId {
        let next = AccountId(Uuid::from_u128(self.ids.len() as u128));
        *self.ids.entry(id).or_insert(next)
    }

    /// Gives a case to each account.
    async fn assign_cases(&self) {
        for account in self.bench.store().list(None).await.unwrap() {
            let case =
                format!("{}/{}/{}", account.namespace, account.owner.name, account.revision.0);
            self.bench.assign_case(&case, account.id).await;
        }
    }

    /// Everything that the store tells, as text.
    async fn contents(&mut self) -> String {
        let store = self.bench.store();
        let keys = all_keys();
        let list = store.list(None).await.unwrap();
        let found = store.find(&keys).await.unwrap();
        let found: Vec<Option<Account>> = keys.iter().map(|key| found.get(key).cloned()).collect();
        let presented: Vec<Organization> =
            NAMESPACES.map(|namespace| organization(namespace, "acme-one")).into();
        let records: BTreeMap<_, _> =
            store.organizations(&presented).await.unwrap().into_iter().collect();
        let users: Vec<UserName> = NAMESPACES
            .iter()
            .flat_map(|at| SOURCES.map(|name| ((*at).to_owned(), name.to_owned())))
            .collect();
        let lineage: BTreeMap<_, _> =
            store.inheritance_chain(&users).await.unwrap().into_iter().collect();
        let heirs: BTreeMap<_, _> = store.heirs(&users).await.unwrap().into_iter().collect();
        let administrators: BTreeMap<_, _> = store
            .administrators(&NAMESPACES.map(str::to_owned))
            .await
            .unwrap()
            .into_iter()
            .collect();
        let leaving = [
            ("acme", ["a", "l1"].map(str::to_owned).into_iter().collect()),
            ("other", Deleting::default()),
        ];
        let leaving = leaving.map(|(namespace, leaving)| (namespace.to_owned(), leaving)).into();
        let counts: BTreeMap<_, _> = store.counts(&leaving).await.unwrap().into_iter().collect();
        let credentials: Vec<_> = list.iter().map(credential).collect();
        let list: Vec<Account> =
            list.into_iter().map(|account| self.anonymous_account(account)).collect();
        let found: Vec<_> = found
            .into_iter()
            .map(|found| found.map(|account| self.anonymous_account(account)))
            .collect();
        let lineage: Vec<_> = lineage
            .into_iter()
            .map(|(user, account)| (user, self.anonymous_account(account)))
            .collect();
        let departures = self.departures().await;
        format!(
            "{list:#?}\n{credentials:#?}\n{found:#?}\n{records:#?}\n{lineage:#?}\n{heirs:#?}\n{administrators:#?}\n{counts:#?}\n\
             {departures}"
        )
    }
}

/// A transaction that a member began has an id made of the account's.
fn without_the_id_of_a_member(account: AccountId, transaction: Transaction) -> Transaction {
    let from = Revision(transaction.revision.0 - 1);
    let by_member =
        transaction.id == TransactionId::of_member(account, TransactionKind::PasswordChange, from);
    if by_member {
        Transaction { id: TransactionId(Uuid::nil()), ..transaction }
    } else {
        transaction
    }
}

/// What an account logs in with, which nothing else prints.
fn credential(account: &Account) -> Option<[Option<String>; 3]> {
    let text = |hash: &PasswordHash| Some(hash.as_str().to_owned());
    let credential = account.credential.as_ref()?;
    let from_secret = credential.from_secret.as_ref();
    Some([
        text(&credential.login),
        from_secret.and_then(|secret| text(&secret.hash)),
        from_secret.map(|secret| secret.version.clone()),
    ])
}

fn older(confirmed: &[(&str, i64)], revision: i64) -> Confirmations {
    let fingerprint = ["abc/def", "abc", "/def"]
        .get(usize::try_from(revision % 4).unwrap())
        .copied()
        .map(EntryDigest::from_stored);
    let handle = (revision % 3 != 0).then(|| EntryHandle(format!("entry {revision}")));
    let confirmation = |lag| DirectoryAck {
        revision: Revision(revision - lag),
        fingerprint: fingerprint.clone(),
        handle: handle.clone(),
    };
    confirmed.iter().map(|&(directory, lag)| (directory.to_owned(), confirmation(lag))).collect()
}

impl Others {
    fn nobody() -> Self {
        Self { moves: vec![], keeps: vec![], seen: vec![], leaving: Deleting::default() }
    }
}

fn all_keys() -> Vec<AccountKey> {
    let mut keys = Vec::new();
    for namespace in NAMESPACES.map(str::to_owned) {
        let addresses = ADDRESSES
            .into_iter()
            .chain(COPIES)
            .map(|address| Email::from_stored(address.to_owned()));
        keys.extend(
            NAMES.map(|name| AccountKey::Owner {
                namespace: namespace.clone(),
                name: name.to_owned(),
            }),
        );
        keys.extend(
            addresses.map(|email| AccountKey::Email { namespace: namespace.clone(), email }),
        );
        keys.extend(NAMES.map(|name| {
            AccountKey::Login(LoginName::from_stored(format!("{name}.{namespace}-one")))
        }));
    }
    keys
}

impl Wanted {
    fn content(&self) -> AccountSpec {
        let Self { address, group, lifecycle, source } = self;
        AccountSpec {
            email: Email::from_stored((*address).to_owned()),
            group: (*group).to_owned(),
            lifecycle: *lifecycle,
            grants: permissions(&[group]),
            source: source.map(|(from, mode)| sourced(from.to_owned(), mode)),
            ..content("x@acme.example")
        }
    }
}

fn sourced(from: String, mode: Mode) -> Source {
    match mode {
        Mode::Follow => Source::Inherited { from, kept: None },
        Mode::Keep => Source::Inherited { from, kept: Some(permissions(&["orders:read"])) },
        Mode::Clone => {
            let uid = format!("uid of {from}");
            Source::Cloned(Cloned {
                from,
                uid,
                generation: 1,
                permissions: permissions(&["cloned:read", "orders:read"]),
            })
        }
    }
}

fn group_plan(
    [namespace, name]: [&str; 2],
    put: Option<&(bool, BTreeSet<SelfServiceField>)>,
    leaving: &Deleting,
) -> GroupPlan {
    let (namespace, name, leaving) = (namespace.to_owned(), name.to_owned(), leaving.clone());
    match put {
        Some((full_control, self_service)) => {
            let content = GroupContent {
                full_control: *full_control,
                permissions: permissions(&["cases:read"]),
                self_service: self_service.clone(),
            };
            GroupPlan::Put { namespace, name, content, leaving }
        }
        None => GroupPlan::Drop { namespace, name, leaving },
    }
}

fn domain_plan(
    [namespace, name]: [&str; 2],
    put: Option<(&str, bool)>,
    leaving: &Deleting,
) -> DomainPlan {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match put {
        Some((domain, include_subdomains)) => {
            let listing = Listing { domain: Domain::parse(domain).unwrap(), include_subdomains };
            DomainPlan::Put { namespace, name, listing }
        }
        None => DomainPlan::Drop { namespace, name, leaving: leaving.clone() },
    }
}

/// No address of an organization, no login and no owner is there twice.
fn holds_together(accounts: &[Account]) {
    let mut emails: Vec<(&str, &Email)> =
        accounts.iter().map(|a| (a.namespace.as_str(), &a.content.email)).collect();
    emails.sort();
    emails.dedup();
    assert_eq!(emails.len(), accounts.len(), "an address is there twice");
}

/// The word for an answer.
fn word(answer: &Result<Receipt, Refusal>) -> &'static str {
    match answer {
        Ok(Receipt::Account(_)) => "account",
        Ok(Receipt::Deleted { .. }) => "deleted",
        Ok(Receipt::Done) => "done",
        Err(refusal) => refusal.into(),
    }
}

/// The shapes that followed permissions take.
fn shapes(accounts: &[Account]) -> BTreeSet<&'static str> {
    accounts.iter().filter_map(|account| shape(account, accounts)).collect()
}

fn shape(account: &Account, accounts: &[Account]) -> Option<&'static str> {
    let find = |name: &str| {
        accounts
            .iter()
            .find(|other| other.namespace == account.namespace && other.owner.name == name)
    };
    let followed = inheritance::followed(account)?;
    let mut trail = vec![followed];
    while let Some(next) = trail.last().and_then(|name| inheritance::followed(find(name)?)) {
        if next == account.owner.name {
            return Some("a loop");
        }
        if trail.len() > accounts.len() {
            return Some("a way into a loop");
        }
        trail.push(next);
    }
    match inheritance::chain(account, find).inherited().len() {
        0 if find(followed).is_some() => Some("a line that is too long"),
        0 => Some("nobody there"),
        MAX_DEPTH => Some("the longest line"),
        _ => Some("a line"),
    }
}

/// Sends the batches to the stores and returns the words for what they answered and held.
async fn agree(line: usize, batches: &[Batch], with_postgres: bool) -> Vec<&'static str> {
    let mut memory = Trial::new(InMemory::default(), line).await;
    let mut sqlite = Trial::new(InSqlite::new().await, line).await;
    let mut postgres =
        if with_postgres { Some(Trial::new(InPostgres::new().await, line).await) } else { None };
    let mut words = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let expected = memory.run(batch).await;
        assert_eq!(sqlite.run(batch).await, expected);
        if let Some(postgres) = &mut postgres {
            assert_eq!(postgres.run(batch).await, expected);
        }
        words.extend(expected.iter().map(word));
        if number % 4 == 0 {
            memory.assign_cases().await;
            sqlite.assign_cases().await;
            if let Some(postgres) = &mut postgres {
                postgres.assign_cases().await;
            }
        }
        let contents = memory.contents().await;
        assert_eq!(sqlite.contents().await, contents);
        if let Some(postgres) = &mut postgres {
            assert_eq!(postgres.contents().await, contents);
            agrees_with_the_definition(&postgres.bench).await;
        }
        let accounts = memory.bench.store().list(None).await.unwrap();
        holds_together(&accounts);
        agrees_with_the_definition(&sqlite.bench).await;
        words.extend(shapes(&accounts));
        words.extend(accounts.iter().filter_map(state));
        words.extend(
            memory
                .bench
                .store()
                .pending_deletions()
                .await
                .unwrap()
                .iter()
                .map(|_| "an unconfirmed departure"),
        );
    }
    let journals = memory.journals().await;
    assert_eq!(sqlite.journals().await, journals);
    if let Some(postgres) = &mut postgres {
        assert_eq!(postgres.journals().await, journals);
    }
    words.extend(
        journals
            .iter()
            .flatten()
            .filter(|entry| entry.superseded)
            .map(|_| "a superseded transaction"),
    );
    words
}

/// The states of accounts that not every random history comes to.
fn state(account: &Account) -> Option<&'static str> {
    let from_secret =
        |account: &Account| Some(account.credential.as_ref()?.from_secret.as_ref()?.hash.clone());
    match account {
        _ if account.owner.uid.is_empty() => Some("released"),
        _ if account.transaction.in_flight() && !account.confirmed.is_empty() => {
            Some("half confirmed")
        }
        Account { credential: Some(credential), .. }
            if from_secret(account).is_some_and(|hash| hash != credential.login) =>
        {
            Some("a member's own password over the secret's")
        }
        _ => None,
    }
}

/// Every answer, and every shape.
const EVERYTHING: [&str; 26] = [
    "a line",
    "a line that is too long",
    "a loop",
    "a member's own password over the secret's",
    "a superseded transaction",
    "a way into a loop",
    "account",
    "an unconfirmed departure",
    "customer_id_changed",
    "customer_id_taken",
    "deleted",
    "domain_not_allowed",
    "domain_taken",
    "done",
    "email_taken",
    "group_not_found",
    "half confirmed",
    "in_transaction",
    "in_use",
    "last_administrator",
    "login_taken",
    "nobody there",
    "not_self_service",
    "released",
    "stale",
    "the longest line",
];

/// How many histories are tried; more with `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

#[test]
fn all_stores_answer_the_same_and_hold_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = RefCell::new(BTreeMap::new());
    let config =
        ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let lines = prop_oneof![2 => Just(0), 1 => select(&[31, 32, 33][..])];
    // A server takes ten times as long, so it has a part of the histories.
    let history = (lines, vec(batch(), 1..28), proptest::bool::weighted(0.25));
    // What is rare may not have come up yet.
    for _ in 0..5 {
        let tried =
            TestRunner::new(config.clone()).run(&history, |(line, batches, with_postgres)| {
                for word in runtime.block_on(agree(line, &batches, with_postgres)) {
                    *tally.borrow_mut().entry(word).or_insert(0) += 1;
                }
                Ok(())
            });
        if let Err(difference) = tried {
            panic!("{difference}");
        }
        if tally.borrow().len() >= EVERYTHING.len() {
            break;
        }
    }
    let tally = tally.into_inner();
    println!("{tally:?}");
    assert_eq!(tally.keys().copied().collect::<Vec<_>>(), EVERYTHING, "{tally:?}");
}
