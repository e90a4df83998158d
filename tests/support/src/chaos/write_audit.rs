//! A witness in the database: triggers that note who makes each write, and whose claim stands when
//! it is committed.

use sqlx::{PgConnection, Row as _};

/// A claim, in the order of their commits.
#[derive(Clone, Debug)]
pub struct Claim {
    pub application: String,
    pub epoch: i64,
}

/// A row that was written, in order.
#[derive(Clone, Debug)]
pub struct Write {
    pub transaction: i64,
    pub application: String,
    pub relation: String,
    pub operation: String,
    pub namespace: String,
    /// The epoch of the claim that stood for the namespace when the row was committed.
    pub epoch: Option<i64>,
    pub account: Option<String>,
    pub revision: Option<i64>,
    pub owner_uid: Option<String>,
    pub generation: Option<i64>,
}

/// Everything that was witnessed.
#[derive(Clone, Debug)]
pub struct Witness {
    pub claims: Vec<Claim>,
    pub writes: Vec<Write>,
}

impl Witness {
    /// Has the database note every write from now on. The store is there.
    pub async fn install(connection: &mut PgConnection) {
        sqlx::raw_sql(include_str!("write_audit.sql"))
            .execute(connection)
            .await
            .expect("the superuser may");
    }

    /// Returns everything that was witnessed so far.
    pub async fn read(connection: &mut PgConnection) -> Self {
        let claims = sqlx::query("SELECT application, epoch FROM witness.claims ORDER BY number");
        let claims = claims.fetch_all(&mut *connection).await.expect("the witness is there");
        let claim =
            |row: &sqlx::postgres::PgRow| Claim { application: row.get(0), epoch: row.get(1) };
        let writes = sqlx::query(
            "SELECT transaction, application, relation, operation, COALESCE(namespace, '') AS namespace, epoch, account_id, \
             revision, owner_uid, generation FROM witness.writes ORDER BY number",
        );
        let writes = writes.fetch_all(connection).await.expect("the witness is there");
        let write = |row: &sqlx::postgres::PgRow| Write {
            transaction: row.get(0),
            application: row.get(1),
            relation: row.get(2),
            operation: row.get(3),
            namespace: row.get(4),
            epoch: row.get(5),
            account: row.get(6),
            revision: row.get(7),
            owner_uid: row.get(8),
            generation: row.get(9),
        };
        Self {
            claims: claims.iter().map(claim).collect(),
            writes: writes.iter().map(write).collect(),
        }
    }

    /// Returns the number of the newest write of each namespace.
    pub async fn newest(connection: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let newest = "SELECT namespace, MAX(number) FROM witness.writes WHERE namespace IS NOT NULL GROUP BY namespace";
        sqlx::query_as(newest).fetch_all(connection).await
    }
}
