//! An application with the rights that it needs, which keeps `cases` or some rows locked.

use std::time::Duration;

use roster_test_support::cluster::run;
use roster_test_support::postgres::Database;
use roster_test_support::rng::Dice;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::ledger::{Fault, Ledger};

const RIGHTS: &str = "CREATE ROLE application LOGIN; GRANT USAGE ON SCHEMA public TO application; \
                      GRANT SELECT ON roster_accounts TO application; \
                      GRANT SELECT, INSERT, UPDATE, DELETE ON cases TO application";

const CASES: &str = "INSERT INTO cases (organization, title, owner_account_id) \
                     SELECT organization, 'a gate that sticks', account_id FROM roster_accounts ORDER BY random() LIMIT 8";

/// Gives the application its role.
pub(crate) fn admit(database: &Database) {
    run(async {
        let mut connection = database.connect().await;
        sqlx::raw_sql(RIGHTS).execute(&mut connection).await.expect("the superuser may");
        connection.close().await.expect("the connection closes");
    });
}

/// Has the application lock the table, or the rows of some people, for as long as it likes. It may
/// lose its connection.
pub(crate) fn strike(database: &Database, ledger: &Ledger, longest: Duration, dice: &mut Dice) {
    let longest = u64::try_from(longest.as_millis()).expect("some seconds");
    let time = dice.time(2000..longest.max(2001));
    let whole = dice.below(2) == 0;
    let (fault, statement) = if whole {
        (Fault::CasesLocked, "LOCK TABLE cases IN ACCESS EXCLUSIVE MODE".to_owned())
    } else {
        (Fault::RowsHeld, format!("{CASES}; SELECT 1 FROM cases FOR UPDATE"))
    };
    let options: PgConnectOptions = database.url().parse().expect("the URL is one");
    let options = options.username("application").disable_statement_logging();
    ledger.during(fault, || {
        let held: Result<(), sqlx::Error> = run(async {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(CASES).execute(&mut connection).await?;
            let begin = format!("BEGIN; SET LOCAL lock_timeout = '5s'; {statement}");
            sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await?;
            tokio::time::sleep(time).await;
            sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
            connection.close().await
        });
        if let Err(error) = held {
            ledger.tell(&format!("the application lost its lock: {error}"));
        }
    });
}
