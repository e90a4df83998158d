//! A quiet organization, in which one edit after the other is measured: how long after it was
//! acknowledged it is in force.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roster_test_support::chaos::driver::Past;
use roster_test_support::cluster::{Organization, Requester, With, domain, passed, run, user};
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::ledger::{Fault, Ledger};

const PERSON: &str = "quentin";

/// The organization, and where its edits come into force.
pub(crate) struct Quiet<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) database: &'a Database,
    pub(crate) ledger: &'a Ledger,
    /// The number of the team that works for it.
    pub(crate) team: usize,
}

impl Quiet<'_> {
    /// Declares whom everything is tried on.
    #[track_caller]
    pub(crate) fn declare(organization: &Organization) {
        let admin = organization.admin();
        passed(admin.create(&domain("acme.example")));
        passed(admin.create(&user("ada").with("/spec/groupRef/name", "administrators")));
        passed(admin.create(&user(PERSON)));
    }

    /// Edits and measures until told to stop.
    pub(crate) fn edit(&self, stop: &AtomicBool, past: &Past, dice: &mut Dice) {
        let admin = self.organization.admin();
        let (mut connection, mut number) = (None, 0);
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let grants = [format!("probe:n{number}"), "orders:read".to_owned()];
            let edits = [
                (
                    false,
                    json!({"permissions": {"grants": grants}}),
                    ("grants", json!(grants).to_string()),
                ),
                (
                    true,
                    json!({"permissions": {"grants": ["orders:read"]}}),
                    ("grants", json!(["orders:read"]).to_string()),
                ),
                (true, json!({"state": "Disabled"}), ("state", "Disabled".to_owned())),
                (false, json!({"state": "Enabled"}), ("state", "Enabled".to_owned())),
            ];
            for (revocation, spec, expected) in edits {
                // Held until it is in force: nobody puts the cluster back to before meanwhile.
                let past = past.read().unwrap_or_else(PoisonError::into_inner);
                self.measure(&admin, &mut connection, revocation, (&spec, &expected));
                drop(past);
                std::thread::sleep(dice.time(20..200));
            }
        }
    }

    fn measure(
        &self,
        admin: &Requester,
        connection: &mut Option<PgConnection>,
        revocation: bool,
        (spec, (column, value)): (&Value, &(&'static str, String)),
    ) {
        let beside: BTreeSet<Fault> = self.ledger.active();
        passed(admin.patch("User", PERSON, &json!({"spec": spec})));
        let begun = Instant::now();
        let what = format!("{column} of {PERSON} is {value}");
        let answer = self.ledger.awaited("O7 in force", &what, || {
            let now = run(self.value(connection, column));
            // The order of a list is the store's own.
            let same = now.as_ref().is_some_and(|now| {
                let sorted = |text: &str| {
                    let list = serde_json::from_str::<Vec<String>>(text)
                        .unwrap_or_else(|_| vec![text.to_owned()]);
                    list.into_iter().collect::<BTreeSet<String>>()
                };
                sorted(now) == sorted(value)
            });
            same.then_some(())
        });
        if answer.is_some() {
            self.ledger.measured(self.team, revocation, begun, beside);
        }
    }

    async fn value(&self, connection: &mut Option<PgConnection>, column: &str) -> Option<String> {
        if connection.is_none() {
            *connection = tokio::time::timeout(
                Duration::from_secs(5),
                PgConnection::connect(&self.database.url()),
            )
            .await
            .ok()?
            .ok();
        }
        let column = if column == "state" { "state" } else { "grants" };
        let query =
            format!("SELECT {column} FROM accounts WHERE namespace = $1 AND owner_name = $2");
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(query))
            .bind(&self.organization.name)
            .bind(PERSON);
        let value = query.fetch_optional(connection.as_mut()?).await;
        if value.is_err() {
            *connection = None;
        }
        value.ok()?
    }
}
