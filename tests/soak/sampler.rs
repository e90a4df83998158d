//! Looks at the store and at the operators every moment, and has the oracles judge what there is.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roster_test_support::chaos::team::Roll;
use roster_test_support::cluster::replica::Pages;
use roster_test_support::cluster::run;
use roster_test_support::postgres::Database;
use serde_json::Value;
use sqlx::{Connection, PgConnection, Row as _};

use crate::ledger::{Ledger, back_by};
use crate::observer::Observer;
use crate::rules::{self, BOUND, Held, LAG};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(300);

/// The replicas of a team, and the namespaces that it works in.
pub(crate) struct Watched {
    pub(crate) roll: Roll,
    pub(crate) namespaces: Vec<String>,
}

/// Looks until told to stop.
pub(crate) struct Sampler<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) observer: &'a Observer,
    pub(crate) database: &'a Database,
    pub(crate) teams: Vec<Watched>,
    /// The organizations that have an administrator from the beginning to the end.
    pub(crate) controlled: BTreeSet<String>,
}

impl Sampler<'_> {
    pub(crate) fn run(&self, stop: &AtomicBool) {
        let (mut connection, mut waiting) = (None, VecDeque::new());
        let teams: HashMap<&str, usize> = self
            .teams
            .iter()
            .enumerate()
            .flat_map(|(team, watched)| {
                watched.namespaces.iter().map(move |name| (name.as_str(), team))
            })
            .collect();
        while !stop.load(Ordering::Relaxed) {
            let held = run(held(self.database, &mut connection));
            let works = self.teams.iter().map(|team| held.is_some() && self.one_works(&team.roll));
            self.ledger.works(works.collect());
            self.ledger.judged("O18 transitions", self.observer.complaints());
            if let Some(held) = held {
                self.ledger.judged("O20 control", rules::control(&held, &self.controlled));
                waiting.push_back((Instant::now(), held));
            }
            while waiting.front().is_some_and(|(at, _)| at.elapsed() > LAG) {
                let (at, held) = waiting.pop_front().expect("it is there");
                self.judge_rights(at, &held, &teams);
            }
            if let Some(connection) = &mut connection {
                self.judge_deadlines(connection);
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Whether a replica leads and is ready; complains of one that says that it isn't alive.
    fn one_works(&self, roll: &Roll) -> bool {
        let pages: Vec<Pages> = roll.lock().expect("no thread panics").clone();
        let mut works = false;
        for page in &pages {
            let code = page.page("/healthz").0;
            // Whoever had something done to meanwhile isn't on the roll any more.
            let still_well =
                roll.lock().expect("no thread panics").iter().any(|other| other.is(page));
            let sick = (code != 200 && code != 0 && still_well)
                .then(|| format!("/healthz answers with {code}"));
            self.ledger.judged("healthz", sick.into_iter().collect());
            works |= page.leads() && page.is_ready();
        }
        works
    }

    fn judge_rights(&self, at: Instant, held: &[Held], teams: &HashMap<&str, usize>) {
        let availability = self.ledger.availability();
        let from: Vec<Instant> =
            (0..self.teams.len()).map(|team| back_by(&availability, team, at, BOUND)).collect();
        // Of whom no team works for, nothing is expected.
        let held: Vec<Held> = held
            .iter()
            .filter(|held| teams.contains_key(held.namespace.as_str()))
            .cloned()
            .collect();
        let span = |held: &Held| (from[teams[held.namespace.as_str()]], at + LAG);
        self.ledger
            .judged("O7 rights", rules::rights(&held, &self.observer.seen().declarations, span));
    }

    fn judge_deadlines(&self, connection: &mut PgConnection) {
        let late = "SELECT a.namespace, a.owner_name FROM accounts AS a JOIN transactions AS t USING (account_id) \
                    WHERE t.completed_at IS NULL AND t.superseded_at IS NULL AND a.owner_name IS NOT NULL \
                    AND t.deadline_at < (EXTRACT(EPOCH FROM clock_timestamp()) - 60) * 1000000";
        let Ok(late) = run(sqlx::query_as::<_, (String, String)>(late).fetch_all(connection))
        else {
            return;
        };
        let told = self.observer.seen().overdue();
        self.ledger.judged("O23 deadlines", rules::overdue(&late, &told));
    }
}

/// Returns what everybody has in the store; nothing while it can't be reached.
pub(crate) async fn held(
    database: &Database,
    connection: &mut Option<PgConnection>,
) -> Option<Vec<Held>> {
    if connection.is_none() {
        *connection = PgConnection::connect(&database.url()).await.ok();
    }
    let held = "SELECT a.account_id, a.namespace, COALESCE(a.owner_name, ''), a.owner_uid, a.state, r.permissions \
                FROM accounts AS a JOIN roster_accounts AS r USING (account_id)";
    let rows = sqlx::query(held).fetch_all(connection.as_mut()?).await;
    let Ok(rows) = rows else {
        *connection = None;
        return None;
    };
    let permissions =
        |text: String| serde_json::from_str::<Value>(&text).expect("permissions are JSON");
    let held = rows.iter().map(|row| Held {
        account: row.get(0),
        namespace: row.get(1),
        owner: row.get(2),
        owner_uid: row.get(3),
        enabled: row.get::<String, _>(4) == "Enabled",
        permissions: permissions(row.get(5))
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
    });
    Some(held.collect())
}
