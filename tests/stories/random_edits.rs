//! Random edits, rotations, restarts and days of a directory: what takes rights away never waits,
//! nothing is lost, and one transaction is in flight at a time.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use roster::domain::account::{Account, LoginState, Source};
use roster::domain::password::PasswordCandidate;
use roster::store::Store;
use roster_test_support::fake_cluster::Cluster;
use roster_test_support::flaky_store::FlakyStore;

const GRANTS: [&str; 3] = ["cases:read", "orders:read", "orders:write"];
const GROUPS: [(&str, &[&str]); 3] = [
    ("users", &[]),
    ("drivers", &["routes:read"]),
    ("dispatchers", &["routes:plan", "routes:read"]),
];
const PASSWORDS: [&str; 3] = [
    "umbrella lantern quartz pelican",
    "sixteen candles over a harbour",
    "eleven ravens beneath the bridge",
];

/// What Carol's User asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    grants: [bool; 3],
    group: usize,
    source: Option<bool>,
    disabled: bool,
    email: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Edit(Wish),
    Rotate(usize),
    Directory(&'static str),
    Restart,
    Minutes(u64),
}

fn wish() -> impl Strategy<Value = Wish> {
    (any::<[bool; 3]>(), 0..3_usize, any::<Option<bool>>(), any::<bool>(), 0..3_usize).prop_map(
        |(grants, group, source, disabled, email)| Wish { grants, group, source, disabled, email },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => wish().prop_map(Step::Edit),
        2 => (0..3_usize).prop_map(Step::Rotate),
        3 => prop_oneof![Just("good"), Just("silent"), Just("down")].prop_map(Step::Directory),
        1 => Just(Step::Restart),
        1 => (1..25_u64).prop_map(Step::Minutes),
    ]
}

impl Wish {
    fn yaml(self) -> String {
        let grants: Vec<&str> = GRANTS
            .iter()
            .zip(self.grants)
            .filter(|(_, granted)| *granted)
            .map(|(grant, _)| *grant)
            .collect();
        let from = self.source.map(|inherits| {
            format!(", from: {{name: bob, mode: {}}}", if inherits { "Inherit" } else { "Clone" })
        });
        format!(
            "kind: User\nmetadata: {{name: carol}}\nspec: {{email: carol{}@acme.example, profile: {{displayName: Carol}}, \
             groupRef: {{name: {}}}, permissions: {{grants: {grants:?}{}}}, state: {}, \
             passwordSecretRef: {{name: carol-password, key: password}}, chargeApproved: true}}",
            self.email,
            GROUPS[self.group].0,
            from.unwrap_or_default(),
            if self.disabled { "Disabled" } else { "Enabled" },
        )
    }

    fn grants(self) -> Vec<&'static str> {
        GRANTS
            .iter()
            .zip(self.grants)
            .filter(|(_, granted)| *granted)
            .map(|(grant, _)| *grant)
            .collect()
    }
}

/// Nothing is in force that the wish doesn't ask for, and nobody may log in who is to be disabled.
fn check_nothing_more(account: &Account, wish: Wish) -> Result<(), TestCaseError> {
    let content = &account.content;
    let asked = wish.grants();
    prop_assert!(
        content.grants.iter().all(|grant| asked.contains(&grant.as_str())),
        "{:?} of {asked:?}",
        content.grants
    );
    let gives = |group: &str| {
        GROUPS.iter().find(|(name, _)| *name == group).map(|(_, gives)| *gives).unwrap_or_default()
    };
    let wanted = gives(GROUPS[wish.group].0);
    prop_assert!(
        gives(&content.group).iter().all(|given| wanted.contains(given)),
        "{} for {wanted:?}",
        content.group
    );
    prop_assert!(wish.source.is_some() || content.source.is_none(), "{:?}", content.source);
    prop_assert!(!wish.disabled || content.lifecycle == LoginState::Disabled);
    Ok(())
}

/// Everything that the wish asks for is in force.
fn check_everything(
    cluster: &Cluster<FlakyStore>,
    account: &Account,
    wish: Wish,
    password: usize,
) -> Result<(), TestCaseError> {
    let content = &account.content;
    let grants: Vec<&str> = content.grants.iter().map(|grant| grant.as_str()).collect();
    prop_assert_eq!(grants, wish.grants());
    prop_assert_eq!(&content.group, GROUPS[wish.group].0);
    prop_assert_eq!(
        content.source.as_ref().map(|source| matches!(source, Source::Inherited { .. })),
        wish.source
    );
    prop_assert_eq!(content.lifecycle == LoginState::Disabled, wish.disabled);
    prop_assert_eq!(content.email.as_str(), format!("carol{}@acme.example", wish.email));
    let tried = PasswordCandidate::new(PASSWORDS[password].as_bytes()).unwrap();
    prop_assert!(cluster.verifies(account, &tried), "the newest password logs in");
    prop_assert!(!account.transaction.in_flight());
    Ok(())
}

async fn carol(cluster: &Cluster<FlakyStore>) -> Option<Account> {
    let accounts = cluster.store.list(None).await.unwrap();
    accounts.into_iter().find(|account| account.owner.name == "carol")
}

async fn play(first: Wish, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(FlakyStore::default());
    cluster.apply(
        "kind: OrgEmailDomain\nmetadata: {name: acme}\nspec: {domain: acme.example}\n---\n\
         kind: UserGroup\nmetadata: {name: drivers}\nspec: {permissions: [routes:read]}\n---\n\
         kind: UserGroup\nmetadata: {name: dispatchers}\nspec: {permissions: [routes:plan, routes:read]}\n---\n\
         kind: User\nmetadata: {name: bob}\nspec: {email: bob@acme.example, profile: {displayName: Bob}, \
         permissions: {grants: [invoices:read]}, chargeApproved: true}",
    );
    cluster.set_directory("good").await;
    let (mut wish, mut password) = (first, 0);
    cluster.set_secret("carol-password", Some(PASSWORDS[password]));
    cluster.apply(&wish.yaml());
    for step in steps {
        match step {
            Step::Edit(next) => {
                wish = next;
                cluster.apply(&wish.yaml());
            }
            Step::Rotate(next) => {
                password = next;
                cluster.set_secret("carol-password", Some(PASSWORDS[password]));
            }
            Step::Directory(day) => cluster.set_directory(day).await,
            Step::Restart => cluster.restart(),
            Step::Minutes(minutes) => cluster.wait(minutes).await,
        }
        cluster.until_quiet().await;
        let Some(account) = carol(&cluster).await else { continue };
        check_nothing_more(&account, wish)?;
        let journal = cluster.store.inner.journal(account.id);
        let open = journal
            .iter()
            .filter(|(transaction, superseded)| transaction.in_flight() && !superseded)
            .count();
        prop_assert_eq!(open, usize::from(account.transaction.in_flight()), "{:?}", journal);
    }
    cluster.set_directory("good").await;
    // What a silent directory was brought is asked for again after a restart, as after its timeout.
    cluster.restart();
    cluster.wait(3).await;
    let account = carol(&cluster).await.expect("she has an account by now");
    check_everything(&cluster, &account, wish, password)?;
    let status = &cluster.objects()[&("User".to_owned(), "carol".to_owned())]["status"];
    prop_assert_eq!(&status["conditions"][0]["status"], "True", "{}", status);
    cluster.take_writes();
    cluster.resync().await;
    cluster.until_quiet().await;
    prop_assert_eq!(cluster.take_writes(), 0);
    Ok(())
}

#[test]
fn whatever_is_edited_and_whenever_the_directory_answers_the_end_is_what_was_asked_for_last() {
    let cases =
        std::env::var("ROSTER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome =
        runner.run(&(wish(), proptest::collection::vec(step(), 1..12)), |(first, steps)| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(play(first, steps))
        });
    outcome.unwrap();
}
