use super::*;
use crate::controller::cluster_event::ClusterEvent;
use crate::controller::list_sync::FAILURE_WINDOW;
use crate::controller::object_writer::WriteResult;
use crate::domain::account::{AccountId, AccountSpec, LoginState, Owner, TransactionId};
use crate::domain::email::{Domain, Email};
use crate::domain::organization::{CustomerId, LoginName, Organization};
use crate::domain::profile::Profile;
use crate::domain::self_service::Overrides;
use crate::plan::{AccountChange, AccountPlan, Deleting, DomainPlan, Listing};
use crate::store::memory::MemoryStore;

const DIRECTORY: &str = "rehearsal:///directory";

fn reconciler(store: MemoryStore, namespace: Option<&str>) -> Reconciler<MemoryStore> {
    let settings = Settings {
        resync: Duration::from_secs(600),
        directory_resync: Duration::from_secs(6 * 3600),
        transaction_deadline: SignedDuration::from_mins(20),
        clock: Clock::SYSTEM,
        directories: [DIRECTORY.to_owned()].into(),
        billing_zone: BillingTimeZone::UTC,
    };
    let scope = Scope { kind: Kind::User, namespace: namespace.map(str::to_owned) };
    let mut reconciler =
        Reconciler::new(store, settings, vec![scope.clone()], Arc::new(Metrics::default()));
    reconciler.apply_event(ClusterEvent::ListStarted(scope.clone()));
    reconciler.apply_event(ClusterEvent::ListCompleted(scope));
    reconciler
}

/// Creates an account in a namespace and deletes it, and returns which it was; no directory has
/// confirmed that yet.
async fn departed(store: &MemoryStore, namespace: &str) -> AccountId {
    let occasion =
        CommitTime { now: jiff::Timestamp::UNIX_EPOCH, deadline: jiff::Timestamp::UNIX_EPOCH };
    let organization = Organization {
        namespace: namespace.to_owned(),
        customer_id: CustomerId::parse(namespace).unwrap(),
    };
    let owner =
        Owner { name: "alice".to_owned(), uid: format!("alice of {namespace}"), generation: 1 };
    let plan = |change| {
        let (organization, owner, leaving) =
            (organization.clone(), owner.clone(), Deleting::default());
        let plan = AccountPlan {
            organization,
            owner,
            change,
            moves: vec![],
            freezes: vec![],
            preconditions: vec![],
            leaving,
        };
        Plan::Account(Box::new(plan))
    };
    let listing =
        Listing { domain: Domain::parse("acme.example").unwrap(), include_subdomains: false };
    let listed =
        DomainPlan::Put { namespace: namespace.to_owned(), name: "acme".to_owned(), listing };
    let content = AccountSpec {
        email: Email::parse("alice@acme.example").unwrap(),
        lifecycle: LoginState::Enabled,
        group: "users".to_owned(),
        grants: [].into(),
        source: None,
        role: None,
        teams: BTreeSet::new(),
        profile: Profile::default(),
        copied: None,
        member: Overrides::default(),
    };
    let create = plan(AccountChange::Create {
        id: None,
        transaction: TransactionId::of_create(&owner.uid),
        login_name: LoginName::new("alice", &organization.customer_id),
        content,
        password: None,
    });
    let answers = store.commit(&[Plan::Domain(listed), create], occasion).await.unwrap();
    let Some(Ok(Receipt::Account(alice))) = answers.into_iter().next_back() else {
        panic!("alice isn't there")
    };
    let transaction = TransactionId::of_change(alice.id, TransactionKind::Delete, alice.revision);
    let delete =
        plan(AccountChange::Delete { account: alice.id, from: alice.revision, transaction });
    store.commit(&[delete], occasion).await.unwrap().remove(0).unwrap();
    alice.id
}

#[tokio::test(start_paused = true)]
async fn only_who_works_in_a_namespace_brings_directories_those_who_left_it_also_when_it_is_gone() {
    for (namespace, works_in) in
        [(Some("acme"), ["acme"].as_slice()), (Some("corp"), &[]), (None, &["acme", "bolt"])]
    {
        let store = MemoryStore::default();
        store
            .set_directories(&[DIRECTORY.to_owned()].into(), jiff::Timestamp::UNIX_EPOCH)
            .await
            .unwrap();
        let mut expected = BTreeSet::new();
        for other in ["acme", "bolt"] {
            let departed = departed(&store, other).await;
            expected.extend(works_in.contains(&other).then_some(departed));
        }
        let mut reconciler = reconciler(store, namespace);
        reconciler.run_once().await;
        let brought: BTreeSet<AccountId> = reconciler
            .provisioning_tasks()
            .await
            .into_iter()
            .map(|delivery| delivery.entry.account)
            .collect();
        assert_eq!(brought, expected, "by who works in {namespace:?}");
    }
}

/// Tells of an object as the API server has it.
fn tell(
    reconciler: &mut Reconciler<MemoryStore>,
    kind: Kind,
    namespace: &str,
    name: &str,
    spec: &serde_json::Value,
) {
    let metadata = serde_json::json!({
        "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}"), "generation": 1, "resourceVersion": "1",
        "finalizers": [crate::api::FINALIZER],
    });
    let object = serde_json::json!({"metadata": metadata, "spec": spec});
    reconciler.apply_event(match kind {
        Kind::User => ClusterEvent::User(serde_json::from_value(object).unwrap()),
        Kind::UserGroup => ClusterEvent::Group(serde_json::from_value(object).unwrap()),
        Kind::OrgEmailDomain => ClusterEvent::Domain(serde_json::from_value(object).unwrap()),
        Kind::Organization | Kind::Secret => {
            ClusterEvent::Namespace(serde_json::from_value(object).unwrap())
        }
    });
}

fn organization(
    reconciler: &mut Reconciler<MemoryStore>,
    name: &str,
    users: usize,
    spec: impl Fn(usize) -> serde_json::Value,
) {
    tell(reconciler, Kind::Organization, "", name, &serde_json::json!({}));
    tell(
        reconciler,
        Kind::OrgEmailDomain,
        name,
        "acme",
        &serde_json::json!({"domain": "acme.example"}),
    );
    for number in 0..users {
        let mut user =
            serde_json::json!({"email": format!("u{number}@acme.example"), "chargeApproved": true});
        user["profile"] = serde_json::json!({"displayName": "A user"});
        user.as_object_mut().unwrap().extend(spec(number).as_object().unwrap().clone());
        tell(reconciler, Kind::User, name, &format!("u{number}"), &user);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_organization_is_served_in_the_next_round_however_much_another_one_asks_for() {
    let teams: Vec<String> = (0..64).map(|number| format!("{number:0128}")).collect();
    let next = |number: usize| format!("u{}", (number + 1) % 2000);
    let specs: [&dyn Fn(usize) -> serde_json::Value; 3] = [
        &|_| serde_json::json!({}),
        &|_| serde_json::json!({"teams": teams}),
        &|number| serde_json::json!({"permissions": {"from": {"name": next(number), "mode": "Inherit"}}}),
    ];
    for spec in specs {
        let mut reconciler = reconciler(MemoryStore::default(), None);
        organization(&mut reconciler, "noisy", 2000, spec);
        reconciler.run_once().await;
        organization(&mut reconciler, "quiet", 1, |_| serde_json::json!({}));
        reconciler.run_once().await;
        let accounts = reconciler.store.list(Some("quiet")).await.unwrap();
        assert_eq!(accounts.len(), 1);
        assert!(reconciler.queue.len() > 1000, "the other one is far from done");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_is_judged_by_the_groups_that_it_is_about_and_no_others() {
    let mut reconciler = reconciler(MemoryStore::default(), None);
    organization(&mut reconciler, "acme", 1, |_| serde_json::json!({"groupRef": {"name": "crew"}}));
    for number in 0..50 {
        tell(
            &mut reconciler,
            Kind::UserGroup,
            "acme",
            &format!("g{number}"),
            &serde_json::json!({"permissions": ["a:b"]}),
        );
    }
    tell(
        &mut reconciler,
        Kind::UserGroup,
        "acme",
        "crew",
        &serde_json::json!({"permissions": ["cases:read"]}),
    );
    reconciler.run_once().await;
    let keys =
        [ObjectKey::new(Kind::User, "acme", "u0"), ObjectKey::new(Kind::UserGroup, "acme", "g7")];
    let now = jiff::Timestamp::UNIX_EPOCH;
    let observed =
        observe::observe(&reconciler.cache, &reconciler.store, &keys, now).await.unwrap();
    let [(_, Snapshot::User(user)), (_, Snapshot::Group(group))] = &observed[..] else {
        panic!("{observed:?}")
    };
    assert_eq!(user.organization.record.groups.keys().collect::<Vec<_>>(), ["crew", "g7"]);
    assert_eq!(user.account.as_ref().map(|account| account.content.group.as_str()), Some("crew"));
    assert!(group.in_force.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operator_whose_watch_breaks_for_more_than_a_minute_is_not_up_to_date() {
    let scope = Scope { kind: Kind::User, namespace: None };
    let mut reconciler = reconciler(MemoryStore::default(), None);
    for _ in 0..3 {
        assert!(reconciler.is_up_to_date());
        reconciler.apply_event(ClusterEvent::WatchFailed(scope.clone()));
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    assert!(!reconciler.is_up_to_date());
    tokio::time::advance(FAILURE_WINDOW).await;
    assert!(reconciler.is_up_to_date());
    reconciler.apply_event(ClusterEvent::WatchFailed(scope));
    assert!(reconciler.is_up_to_date(), "one break after a quiet time begins anew");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_write_from_before_a_rollback_is_no_other_one() {
    let mut reconciler = reconciler(MemoryStore::default(), None);
    organization(&mut reconciler, "acme", 1, |_| serde_json::json!({}));
    let key = ObjectKey::new(Kind::User, "acme", "u0");
    reconciler.updates.begin(key.clone(), 500, Instant::now());
    reconciler.apply_event(ClusterEvent::RolledBack { kind: Kind::User, known: 500, found: 300 });
    let user = serde_json::json!({"metadata": {"namespace": "acme", "name": "u0", "uid": "acme/u0", "resourceVersion": "320"}});
    reconciler
        .on_write_result(key, WriteResult::User(Box::new(serde_json::from_value(user).unwrap())));
    assert_eq!(reconciler.take_relist(), None);
}
