//! `roster doctor` on the store alone: what it finds, and how it exits.

use jiff::SignedDuration;
use roster::clock::Clock;
use roster::domain::billing::BillingTimeZone;
use roster::store::Store;
use roster_test_support::plans::{self, account, at, commit, create, delete};
use serde_json::{Value, json};

use crate::{Place, execute};

/// Returns the offset of a clock that stands so many days after everything happened.
fn days_after(days: i64) -> String {
    minutes_after(days * 24 * 60)
}

fn minutes_after(minutes: i64) -> String {
    let happened = at(0).now.duration_since(Clock::SYSTEM.now());
    format!("{:+}m", happened.as_mins() + minutes)
}

/// What is found, in the words of a program, each with its severity and its object.
#[track_caller]
fn found(place: &Place, arguments: &[&str], code: i32) -> Vec<[String; 3]> {
    let said: Value =
        serde_json::from_str(&place.exits(&[&["doctor", "-o", "json"], arguments].concat(), code))
            .unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = said["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| ["severity", "finding", "object"].map(|field| text(finding, field)))
        .collect()
}

#[tokio::test]
async fn a_store_that_is_well_is_said_to_be_and_so_is_what_was_looked_at() {
    let place = Place::new();
    place.store_with(&["alice", "bob"]).await.close().await;
    let well = "Nothing is amiss. Looked at the store (2 accounts) alone (--store-only).\n";
    assert_eq!(
        place.exits(&["doctor", "--store-only", "--clock-offset", &minutes_after(5)], 0),
        well
    );
    let said: Value =
        serde_json::from_str(&place.exits(
            &["doctor", "--store-only", "-o", "json", "--clock-offset", &minutes_after(5)],
            0,
        ))
        .unwrap();
    assert_eq!(said, json!({"accounts": 2, "cluster": false, "findings": []}));
}

#[tokio::test]
async fn without_a_cluster_nobody_is_told_that_all_is_well_unless_they_asked_about_the_store_alone()
{
    let place = Place::new();
    place.fails(&["doctor", "--store-only"], "roster.db isn't there");
    place.store_with(&["alice"]).await.close().await;
    place.fails(&["doctor"], "look at the store alone with --store-only");
}

#[tokio::test]
async fn what_directories_dont_confirm_in_time_is_named_with_the_directories() {
    let place = Place::new();
    let store = place.store_with(&["bob"]).await;
    store.set_directories(&["ldap".to_owned(), "scim".to_owned()].into(), at(0).now).await.unwrap();
    let alice = account(commit(&store, create("alice", "alice@acme.example")).await);
    let bob = plans::find(&store, "bob").await.unwrap();
    plans::cases_unassigned(commit(&store, delete(&bob)).await, bob.id);
    execute(
        &place.file("roster.db"),
        "INSERT INTO confirmations (account_id, directory, revision) SELECT account_id, 'ldap', 9 FROM accounts",
    )
    .await;
    assert!(
        found(&place, &["--store-only", "--clock-offset", &minutes_after(5)], 0).is_empty(),
        "they are in time"
    );
    let overdue = |kind: &str, id: &str, user: &str| {
        ["Error", kind, &format!("account {id} of acme/{user}")].map(str::to_owned)
    };
    assert_eq!(
        found(&place, &["--store-only", "--clock-offset", &days_after(30)], 1),
        [
            overdue("TransactionOverdue", &alice.id.to_string(), "alice"),
            overdue("DeletionOverdue", &bob.id.to_string(), "bob")
        ]
    );
    let said = place.exits(&["doctor", "--store-only", "--clock-offset", &days_after(30)], 1);
    assert!(
        said.contains(
            "Create began 2027-01-15T08:00:00Z, was due 2027-01-15T08:20:00Z, and waits for scim\n"
        ),
        "{said}"
    );
    assert!(
        said.contains("Delete began 2027-01-15T08:00:00Z, was due 2027-01-15T08:20:00Z, and waits for ldap, scim\n"),
        "{said}"
    );
    assert!(
        said.ends_with("2 findings. Looked at the store (1 accounts) alone (--store-only).\n"),
        "{said}"
    );
    assert!(
        found(&place, &["--store-only", "--clock-offset", &days_after(30), "-n", "apex"], 0)
            .is_empty(),
        "another's aren't told"
    );
    store.close().await;
}

#[tokio::test]
async fn accounts_that_a_directory_has_older_or_in_doubt_are_one_finding_that_may_be_under_way() {
    let place = Place::new();
    let names = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
    let store = place.store_with(&names).await;
    store.set_directories(&["ldap".to_owned()].into(), at(0).now).await.unwrap();
    store.close().await;
    let database = place.file("roster.db");
    execute(&database, "UPDATE transactions SET completed_at = started_at").await;
    let confirmed = "INSERT INTO confirmations (account_id, directory, revision, fingerprint) \
                     SELECT account_id, 'ldap', revision, 'person.rights' FROM accounts";
    execute(&database, confirmed).await;
    let arguments = ["--store-only", "--clock-offset", &minutes_after(5)];
    assert!(found(&place, &arguments, 0).is_empty(), "the directory has everybody");

    execute(&database, "UPDATE accounts SET revision = revision + 1 WHERE owner_name <> 'grace'")
        .await;
    execute(&database, "UPDATE confirmations SET fingerprint = '/password' WHERE revision = 1")
        .await;
    let object =
        "the accounts of acme/alice, acme/bob, acme/carol, acme/dave, acme/erin and 2 more";
    assert_eq!(
        found(&place, &arguments, 0),
        [["Note", "DirectoryBehind", object].map(str::to_owned)]
    );
    let said = place.exits(&[&["doctor"], &arguments[..]].concat(), 0);
    assert!(
        said.contains("the directory ldap hasn't confirmed")
            && said.contains("may just be under way"),
        "{said}"
    );
}

#[tokio::test]
async fn a_row_that_cant_be_read_hides_no_other_and_shows_no_hash() {
    let place = Place::new();
    place.store_with(&["alice", "bob"]).await.close().await;
    execute(
        &place.file("roster.db"),
        "UPDATE accounts SET teams = 'nonsense', password_hash = '$argon2id$planted' WHERE owner_name = 'bob'",
    )
    .await;
    execute(
        &place.file("roster.db"),
        "UPDATE accounts SET owner_uid = '' WHERE owner_name = 'alice'",
    )
    .await;
    let findings = found(&place, &["--store-only", "--clock-offset", &minutes_after(5)], 1);
    let kinds: Vec<[&str; 2]> =
        findings.iter().map(|[severity, kind, _]| [severity.as_str(), kind]).collect();
    assert_eq!(kinds, [["Error", "Unreadable"], ["Note", "Retained"]]);
    assert!(findings[0][2].ends_with(" of acme/bob"));
    let said = place.exits(&["doctor", "--store-only", "--clock-offset", &minutes_after(5)], 1);
    assert!(
        said.contains("column teams") && !said.contains("argon2") && !said.contains("nonsense"),
        "{said}"
    );
}

#[tokio::test]
async fn an_account_that_was_let_go_of_on_purpose_is_a_note_and_no_fault() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    execute(&place.file("roster.db"), "UPDATE accounts SET owner_uid = ''").await;
    assert_eq!(found(&place, &["--store-only", "--clock-offset", &minutes_after(5)], 0).len(), 1);
}

#[tokio::test]
async fn a_store_that_contradicts_itself_is_damaged() {
    let place = Place::new();
    place.store_with(&["alice"]).await.close().await;
    execute(&place.file("roster.db"), "DELETE FROM lifetimes").await;
    let findings = found(&place, &["--store-only", "--clock-offset", &minutes_after(5)], 1);
    assert_eq!(findings, [["Error", "StoreDamaged", "the store"].map(str::to_owned)]);
}

#[tokio::test]
async fn what_a_wrong_clock_did_to_bills_is_found_with_the_cure() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    let clock = ["--store-only", "--clock-offset", &minutes_after(-3 * 24 * 60)];
    assert_eq!(found(&place, &clock, 1), [["Error", "LivesAhead", "the bill"].map(str::to_owned)]);
    let far = at(0).now.checked_add(SignedDuration::from_hours(400 * 24)).unwrap();
    store.close_months(&BillingTimeZone::UTC, far).await.unwrap();
    let clock = ["--store-only", "--clock-offset", &minutes_after(5)];
    assert_eq!(
        found(&place, &clock, 1),
        [["Error", "MonthsClosedEarly", "the bill"].map(str::to_owned)]
    );
    let said = place.exits(&[&["doctor"], &clock[..]].concat(), 1);
    assert!(said.contains("2027-01 to 2028-01 were closed before they were over"), "{said}");
    assert!(said.contains("Cure: roster billing reopen --after 2026-12"), "{said}");
    store.close().await;
}

#[tokio::test]
async fn a_month_that_is_over_for_hours_and_open_is_found() {
    let place = Place::new();
    let store = place.store_with(&["alice"]).await;
    store.close_months(&BillingTimeZone::UTC, at(0).now).await.unwrap();
    assert!(found(&place, &["--store-only", "--clock-offset", &days_after(3)], 0).is_empty());
    let clock = ["--store-only", "--clock-offset", &days_after(30)];
    assert_eq!(
        found(&place, &clock, 1),
        [["Warning", "MonthNotClosed", "the bill"].map(str::to_owned)]
    );
    store.close().await;
}
