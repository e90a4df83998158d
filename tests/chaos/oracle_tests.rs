//! The oracles complain: a healthy store is spoilt by hand in every way that they are to find.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roster::store::claims::{Claim, CommitPosition};
use roster::store::sql::SqlStore;
use roster_test_support::chaos::content::Content;
use roster_test_support::chaos::oracles::{self, Billable, Declared, Said};
use roster_test_support::chaos::write_audit::Witness;
use roster_test_support::cluster::run;
use roster_test_support::plans::{commit, delete, done, find, people, put_group, switch, update};
use roster_test_support::postgres::Database;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};

/// A store with a witness, in which alice lives, bob is disabled, and carol was deleted.
struct Healthy(Database);

impl Healthy {
    async fn new() -> Self {
        let database = Database::new().await;
        SqlStore::open(&database.url()).await.unwrap().close().await;
        Witness::install(&mut database.connect().await).await;
        let healthy = Self(database);
        let store = healthy.operator("first").await;
        people(
            &store,
            [
                ("alice", "alice@acme.example"),
                ("bob", "bob@acme.example"),
                ("carol", "carol@acme.example"),
            ],
        )
        .await;
        done(commit(&store, put_group("dispatchers", false, &["routes:plan"])).await);
        let bob = find(&store, "bob").await.unwrap();
        commit(&store, switch(&bob, roster::domain::account::TransactionKind::Disable))
            .await
            .unwrap();
        let carol = find(&store, "carol").await.unwrap();
        commit(&store, update(&carol, |content| content.role = Some("Driver".to_owned())))
            .await
            .unwrap();
        let carol = find(&store, "carol").await.unwrap();
        commit(&store, delete(&carol)).await.unwrap();
        store.close().await;
        healthy
    }

    /// Returns a store under a name of its own, with the claim on `acme`.
    async fn operator(&self, name: &str) -> SqlStore {
        let mut store =
            SqlStore::open(&format!("{}?application_name={name}", self.0.url())).await.unwrap();
        let claim = Claim {
            namespaces: ["acme".to_owned()].into(),
            holder: name.to_owned(),
            cluster: "ours".to_owned(),
            known: CommitPosition::default(),
            accept_cluster: false,
            supersede: false,
            directories: None,
        };
        store.claim(&claim, Timestamp::UNIX_EPOCH).await.unwrap();
        store
    }

    /// Carries statements out under a name.
    async fn spoil(&self, name: &str, statements: &str) {
        let mut connection = self.0.connect().await;
        let all = format!("SET application_name = '{name}'; {statements}");
        sqlx::raw_sql(AssertSqlSafe(all))
            .execute(&mut connection)
            .await
            .expect("the statements are carried out");
        connection.close().await.unwrap();
    }

    async fn content(&self) -> Content {
        Content::read(&mut self.0.connect().await).await
    }
}

/// Expects that something that is done to a healthy store is complained of, by these oracles alone.
#[track_caller]
fn check(statements: &str, complaints: &[&str]) {
    run(async {
        let healthy = Healthy::new().await;
        assert_eq!(oracles::of_the_store(&healthy.content().await), Vec::<String>::new());
        healthy.spoil("first", statements).await;
        let found = oracles::of_the_store(&healthy.content().await);
        for complaint in complaints {
            assert!(
                found.iter().any(|found| found.contains(complaint)),
                "nobody says {complaint:?}: {found:#?}"
            );
        }
    });
}

#[test]
fn an_account_that_is_lost_is_missed() {
    check(
        "DELETE FROM accounts WHERE owner_name = 'alice'",
        &["alice.acme is lost", "alice.acme was taken away 1 times"],
    );
}

#[test]
fn an_account_that_lives_on_after_its_end_is_found() {
    check(
        "UPDATE lifetimes SET deleted_at = created_at WHERE login_name = 'alice.acme'",
        &["alice.acme lives, and its lifetime has ended", "alice.acme has 0 Deletes"],
    );
}

#[test]
fn an_account_that_is_doubled_is_found() {
    let twice = "ALTER TABLE accounts DROP CONSTRAINT accounts_login_name_key, DROP CONSTRAINT accounts_namespace_email_key, \
                 DROP CONSTRAINT accounts_namespace_owner_name_key; \
                 CREATE TEMP TABLE twin AS SELECT * FROM accounts WHERE owner_name = 'alice'; \
                 UPDATE twin SET account_id = 'twin'; \
                 INSERT INTO lifetimes SELECT 'twin', namespace, login_name, created_at FROM lifetimes WHERE login_name = 'alice.acme'; \
                 INSERT INTO accounts SELECT * FROM twin;";
    check(
        twice,
        &[
            "several accounts have the owner alice",
            "several accounts have the address alice@acme.example",
            "several accounts have the login alice.acme",
            "alice.acme lives more than once",
            "the journal of alice.acme has 0 Creates",
        ],
    );
}

#[test]
fn a_transaction_that_is_done_twice_is_found() {
    let again = |kind: &str, login: &str| {
        format!(
            "INSERT INTO transactions (transaction_id, account_id, type, started_at, deadline_at, completed_at, revision) \
             SELECT 'again', account_id, '{kind}', 1, 1, 1, 9 FROM lifetimes WHERE login_name = '{login}'"
        )
    };
    check(
        &again("Create", "alice.acme"),
        &["alice.acme has 2 Creates", "names another transaction"],
    );
    check(&again("Delete", "carol.acme"), &["carol.acme has 2 Deletes"]);
    check(&again("Disable", "bob.acme"), &["bob.acme was switched"]);
    check(
        "UPDATE transactions SET completed_at = NULL WHERE type = 'Disable'",
        &["neither completed nor was superseded"],
    );
}

#[test]
fn a_switch_without_a_transaction_is_found() {
    check(
        "UPDATE accounts SET state = 'Enabled' WHERE owner_name = 'bob'",
        &["bob.acme is Enabled, and was last switched"],
    );
    check("DELETE FROM switches", &["bob.acme was switched at None"]);
}

#[test]
fn a_write_that_is_lost_or_done_twice_is_found() {
    check(
        "UPDATE accounts SET revision = 3 WHERE owner_name = 'alice'",
        &["the revisions of alice.acme were written as [1, 3]"],
    );
    check(
        "UPDATE accounts SET revision = 1 WHERE owner_name = 'bob'",
        &["the revisions of bob.acme were written as [1, 2, 1]"],
    );
    check(
        "UPDATE accounts SET role = '1' WHERE owner_name = 'bob'",
        &["the revisions of bob.acme were written as [1, 2, 2]"],
    );
    let unseen = "ALTER TABLE accounts DISABLE TRIGGER witnessed; UPDATE accounts SET revision = 2 WHERE owner_name = 'alice'";
    check(unseen, &["alice.acme is at revision 2, and 1 were written"]);
}

#[test]
fn a_write_of_somebody_whose_claim_has_ended_is_found_in_every_table() {
    let statements = [
        "UPDATE accounts SET role = '1' WHERE owner_name = 'alice'",
        "UPDATE lifetimes SET owner_uid = '1' WHERE login_name = 'carol.acme'",
        "UPDATE transactions SET superseded_at = NULL",
        "UPDATE switches SET switched_at = 1",
        "UPDATE groups SET permissions = '[]'",
        "UPDATE domains SET include_subdomains = false",
        "UPDATE organizations SET customer_id = 'other'",
        "UPDATE confirmations SET revision = 2",
    ];
    run(async {
        let healthy = Healthy::new().await;
        let second = healthy.operator("second").await;
        let confirm = "INSERT INTO directories (name) VALUES ('x'); INSERT INTO confirmations (account_id, directory, revision) SELECT account_id, 'x', 1 FROM lifetimes";
        healthy.spoil("second", confirm).await;
        assert_eq!(oracles::who_wrote(&healthy.content().await), Vec::<String>::new());
        for statement in statements {
            let before = oracles::who_wrote(&healthy.content().await).len();
            healthy.spoil("second", statement).await;
            assert_eq!(
                oracles::who_wrote(&healthy.content().await).len(),
                before,
                "{statement} of whoever may"
            );
            healthy.spoil("first", statement).await;
            let found = oracles::who_wrote(&healthy.content().await);
            assert!(found.len() > before, "{statement}: {found:?}");
            assert!(
                found.last().unwrap().starts_with(r#"Some("second") had claimed the namespace"#),
                "{found:?}"
            );
        }
        second.close().await;
    });
}

#[test]
fn a_write_that_is_committed_after_anothers_claim_is_found_whenever_it_began() {
    run(async {
        let healthy = Healthy::new().await;
        let mut late = healthy.0.connect().await;
        let begun = "SET application_name = 'first'; BEGIN; UPDATE accounts SET role = '1' WHERE owner_name = 'alice'";
        sqlx::raw_sql(begun).execute(&mut late).await.unwrap();
        healthy.operator("second").await.close().await;
        sqlx::raw_sql("COMMIT").execute(&mut late).await.unwrap();
        let found = oracles::who_wrote(&healthy.content().await);
        assert!(
            matches!(&found[..], [one] if one.starts_with(r#"Some("second") had claimed"#)),
            "{found:?}"
        );
    });
}

#[test]
fn a_write_of_nobody_and_an_epoch_that_is_given_twice_are_found() {
    check(
        "DELETE FROM operators; UPDATE accounts SET role = '1'",
        &["nobody had claimed the namespace"],
    );
    check("UPDATE operators SET token = 'x'", &["doesn't come after"]);
}

#[test]
fn what_a_user_says_is_compared_with_what_the_store_has() {
    run(async {
        let content = Healthy::new().await.content().await;
        let said = |name: &str, edit: &[(&str, Value)]| {
            let account = content.accounts.iter().find(|account| account.owner == name);
            let account = account.unwrap_or(&content.accounts[0]).clone();
            let mut user = json!({
                "metadata": {"name": name, "uid": account.owner_uid, "generation": account.generation},
                "spec": {"email": account.email, "state": account.state},
                "status": {
                    "observedGeneration": account.generation, "accountId": account.id, "transaction": {"id": account.transaction},
                    "conditions": [{"type": "Ready", "status": "True", "reason": "Reconciled"}],
                },
            });
            edit.iter()
                .for_each(|(pointer, value)| *user.pointer_mut(pointer).unwrap() = value.clone());
            Declared { namespace: "acme".to_owned(), user, refused: None }
        };
        let all = |alice: Declared| oracles::users(&[alice, said("bob", &[])], &content);
        assert_eq!(all(said("alice", &[])), Vec::<String>::new());
        for (pointer, value, complaint) in [
            ("/metadata/generation", json!(7), "isn't settled"),
            ("/status/conditions/0/status", json!("False"), "isn't settled"),
            ("/metadata/uid", json!("another"), "its uid is another"),
            ("/status/accountId", json!("another"), "its account is another"),
            ("/spec/email", json!("a@acme.example"), "its address is a@acme.example"),
            ("/spec/state", json!("Disabled"), "its state is Disabled"),
            ("/status/transaction/id", json!("another"), "its transaction is another"),
        ] {
            let found = all(said("alice", &[(pointer, value)]));
            assert!(found.iter().any(|found| found.contains(complaint)), "{complaint}: {found:?}");
        }
        let lost =
            oracles::users(&[said("alice", &[]), said("bob", &[]), said("dave", &[])], &content);
        assert_eq!(lost, ["dave of acme has 0 accounts"]);
        assert_eq!(
            oracles::users(&[said("alice", &[])], &content),
            ["the account of bob in acme has no User"]
        );
        let refused = Declared { refused: Some("DomainNotAllowed"), ..said("alice", &[]) };
        assert_eq!(all(refused).len(), 2, "it is Ready, and has an account");

        let committed = Said::by(&said("alice", &[]).user).unwrap();
        let unfounded = Said { generation: committed.generation + 1, ..committed.clone() };
        assert_eq!(
            oracles::what_was_said(&[committed.clone()].into(), &content.witness),
            Vec::<String>::new()
        );
        assert_eq!(
            oracles::what_was_said(&[committed, unfounded].into(), &content.witness).len(),
            1
        );
    });
}

#[test]
fn a_bill_with_one_line_too_many_or_too_few_is_found() {
    run(async {
        let content = Healthy::new().await.content().await;
        let all: Vec<String> = ["alice.acme", "bob.acme", "carol.acme"].map(str::to_owned).into();
        let asked_for: BTreeSet<String> = all.iter().cloned().collect();
        let billable = Billable { seen: asked_for.clone(), asked_for };
        let complaints = |lines: &[String]| oracles::bill(lines, &billable, &content);
        assert_eq!(complaints(&all), Vec::<String>::new());
        assert_eq!(
            complaints(&[all.clone(), vec!["bob.acme".to_owned()]].concat()),
            ["bob.acme is billed more than once"]
        );
        assert_eq!(
            complaints(&all[1..]),
            [
                "alice.acme lived and isn't billed",
                "alice.acme was seen to have an account and isn't billed"
            ]
        );
        assert_eq!(
            complaints(&[all.clone(), vec!["dave.acme".to_owned()]].concat()),
            ["dave.acme is billed and never lived", "dave.acme is billed, and nobody asked for it",]
        );
    });
}
