//! `roster import` from a store: manifests that take the accounts over and change nothing about
//! them.

use roster::domain::account::{Account, Owner};
use roster::domain::email::Email;
use roster::domain::group::GroupContent;
use roster::domain::profile::SelfServiceField;
use roster::domain::self_service::ProfileChange;
use roster::plan::{AccountChange, Deleting, GroupPlan, MemberPlan, Plan};
use roster::store::Store;
use serde_json::{Value, json};

use roster_test_support::plans;

use crate::Place;

impl Place {
    /// Lets go of everybody's account, as `deletionPolicy: Retain` does.
    async fn let_go(&self) {
        let store = self.store().await;
        // Who is followed or in control goes like anybody else.
        for account in store.list(None).await.unwrap() {
            let change = AccountChange::Release { account: account.id, from: account.revision };
            let plan = plans::plan(plans::acme(), account.owner.clone(), change);
            plans::commit(&store, Plan::Account(Box::new(plan))).await.unwrap();
        }
        store.close().await;
    }

    #[track_caller]
    pub(crate) fn imported(&self) -> String {
        self.exits(&["import", "--all"], "", 0)
    }
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[track_caller]
fn of<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it =
        |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
    documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name} in {documents:?}"))
}

#[tokio::test]
async fn who_is_exported_and_planned_again_is_only_taken_back() {
    let place = Place::filled().await;
    let store = place.store().await;
    // Mary changed her phone, dave is a copy without an address of his own, and frank's username
    // isn't his User's name.
    let mary = plans::find(&store, "mary").await.unwrap();
    let changes = vec![ProfileChange::Phone(Some("1".to_owned()))];
    let plan =
        MemberPlan { namespace: "acme".to_owned(), account: mary.id, changes, password: None };
    plans::commit(&store, Plan::Member(plan)).await.unwrap();
    plans::commit(
        &store,
        plans::with_login(plans::create("frank", "frank@acme.example"), "f.miller"),
    )
    .await
    .unwrap();
    let mut copy = plans::content("bob@acme.example");
    copy.email = Email::from_stored("bob@acme.example".to_owned()).placeholder(1);
    copy.copied = plans::full_content("bob@acme.example").copied;
    copy.profile = copy.copied.as_ref().unwrap().profile.clone();
    (copy.role, copy.teams) = (Some("Driver".to_owned()), ["day-shift".to_owned()].into());
    plans::commit(&store, plans::create_in(plans::acme(), "dave", copy)).await.unwrap();
    store.close().await;
    let unchanged = place.planned(&place.imported(), 0);
    let actions = |planned: &Value, kind: &str| -> Vec<String> {
        let rows = planned["objects"].as_array().unwrap().iter().filter(|row| row["kind"] == kind);
        rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&unchanged, "User"), ["unchanged"; 8], "while their Users may be there");
    place.let_go().await;
    let before = place.accounts().await;
    let planned = place.planned(&place.imported(), 0);
    assert_eq!(actions(&planned, "User"), ["takeBack"; 8]);
    for kind in ["UserGroup", "OrgEmailDomain"] {
        assert_eq!(actions(&planned, kind), ["unchanged"]);
    }
    for row in planned["objects"].as_array().unwrap() {
        let nothing =
            ["changes", "permissionsGained", "permissionsLost", "refused"].map(|field| &row[field]);
        assert_eq!(nothing, [&json!([]); 4], "{row}");
    }
    assert_eq!((&planned["consequences"], &planned["undeclared"]), (&json!([]), &json!([])));
    assert_eq!(place.accounts().await, before);
}

#[tokio::test]
async fn a_manifest_says_what_its_account_has_and_what_is_to_be_known() {
    let place = Place::filled().await;
    let text = place.imported();
    let all = documents(&text);
    assert_eq!(all.len(), 9, "{text}");
    assert_eq!(of(&all, "Namespace", "acme")["metadata"]["labels"], Value::Null);
    assert_eq!(of(&all, "OrgEmailDomain", "acme")["spec"]["domain"], "acme.example");
    assert_eq!(
        of(&all, "UserGroup", "mechanics")["spec"],
        json!({"permissions": ["trucks:repair"], "selfService": ["Phone"], "fullControl": false})
    );
    let bob = &of(&all, "User", "bob")["spec"];
    assert_eq!(
        bob,
        &json!({
            "email": "bob@acme.example", "profile": {"displayName": "Bob Jones", "phone": "+1 602 555 0100"},
            "role": "Accountant", "teams": ["back-office"], "groupRef": {"name": "users"},
            "permissions": {"grants": ["orders:read", "orders:write"]}, "state": "Enabled", "chargeApproved": true,
            "deletionProtection": "Enabled", "deletionPolicy": "Retain",
        })
    );
    assert_eq!(of(&all, "User", "judy")["spec"]["state"], "Disabled");
    assert_eq!(
        of(&all, "User", "judy")["spec"]["permissions"],
        json!({"from": {"name": "ivan", "mode": "Inherit"}})
    );
    assert_eq!(
        of(&all, "User", "kim")["spec"]["permissions"],
        json!({"from": {"name": "bob", "mode": "Clone"}})
    );
    for comment in [
        "# The accounts that the store has: 6.\n",
        "#   roster plan -f FILE ",
        "  # Cloned from bob once, which gave orders:read. That stays; nothing is cloned anew.\n  permissions:\n",
        "  # Remove this line once all is settled.\n  deletionPolicy: Retain\n",
    ] {
        assert!(text.contains(comment), "{comment:?} isn't in: {text}");
    }
}

#[tokio::test]
async fn what_the_groups_of_every_organization_give_is_printed_before_anything_that_has_them_created_empty()
 {
    let place = Place::filled().await;
    let store = place.store().await;
    let (permissions, self_service) =
        (plans::permissions(&["cases:read"]), [SelfServiceField::Phone].into());
    let content = GroupContent { permissions, self_service, ..GroupContent::default() };
    let (namespace, name, leaving) = ("acme".to_owned(), "users".to_owned(), Deleting::default());
    for group in [
        Plan::Group(GroupPlan::Put { namespace, name, content, leaving }),
        plans::put_group("administrators", true, &[]),
    ] {
        plans::commit(&store, group).await.unwrap();
    }
    store.close().await;
    let text = place.imported();
    let all = documents(&text);
    let kinds: Vec<&str> = all.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..5], ["Namespace", "UserGroup", "OrgEmailDomain", "UserGroup", "User"]);
    assert_eq!(
        (&all[1]["metadata"]["name"], &all[1]["spec"]),
        (
            &json!("users"),
            &json!({"permissions": ["cases:read"], "selfService": ["Phone"], "fullControl": false})
        )
    );
    let planned = place.planned(&text, 0);
    assert!(
        planned["objects"].as_array().unwrap().iter().all(|row| row["action"] == "unchanged"),
        "{planned}"
    );
}

#[tokio::test]
async fn an_account_that_no_user_ever_owned_is_adopted_under_a_name_of_its_username() {
    let place = Place::filled().await;
    let store = place.store().await;
    for name in ["b..b", "b.b"] {
        let plan = plans::create(
            &name.replace('.', "x"),
            &format!("{}@acme.example", name.replace('.', "x")),
        );
        plans::commit(&store, plans::with_login(plan, name)).await.unwrap();
    }
    store.close().await;
    let file = place.folder.path().join("roster.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(
        "UPDATE accounts SET owner_name = NULL, owner_uid = '' WHERE login_name LIKE 'b.%'",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let nobodys: Vec<Account> = place
        .accounts()
        .await
        .into_iter()
        .filter(|account| account.owner.name.is_empty())
        .collect();
    assert_eq!(
        nobodys.iter().map(|account| &account.owner).collect::<Vec<_>>(),
        [&Owner { name: String::new(), uid: String::new(), generation: 1 }; 2]
    );
    let text = place.imported();
    let all = documents(&text);
    let by_id = |account: &Account| {
        all.iter().find(|document| document["spec"]["adopt"] == account.id.to_string()).unwrap()
    };
    let names: Vec<(&str, Option<&str>)> = nobodys
        .iter()
        .map(|account| {
            (
                by_id(account)["metadata"]["name"].as_str().unwrap(),
                by_id(account)["spec"]["username"].as_str(),
            )
        })
        .collect();
    assert!(
        names == [("b.b", Some("b..b")), ("b.b-2", Some("b.b"))]
            || names == [("b.b", None), ("b.b-2", Some("b..b"))],
        "{names:?}"
    );
    let planned = place.planned(&text, 0);
    let adopted =
        planned["objects"].as_array().unwrap().iter().filter(|row| row["action"] == "adopt");
    assert!(adopted.inspect(|row| assert_eq!(row["changes"], json!([]))).count() == 2, "{planned}");
}

#[tokio::test]
async fn without_a_cluster_nobody_is_told_who_has_no_user_unless_they_ask_for_everybody() {
    let place = Place::filled().await;
    place.fails(&["import"], "", "print every account with --all");
    let nobody = place.exits(&["import", "--all", "--organization", "apex"], "", 0);
    assert_eq!(nobody, "# There is no account that the store has.\n");
    place.fails(&["import", "--link"], "", "--directory");
    place.fails(&["import", "--directory", "rehearsal:///x"], "", "--namespace");
}
