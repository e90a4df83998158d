//! What only `PostgreSQL` says: addresses, sessions, and what its errors mean.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Error, Executor, PgPool, Postgres};
use url::Url;

use crate::store::{Refusal, StoreError};

/// How long it may take to get a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// How many connections there are at most.
const CONNECTIONS: u32 = 8;

/// Sets up a session. Whoever stops in the middle of a transaction keeps others waiting no longer
/// than this, and what is committed is on the disk. Statements are about a few rows among many,
/// which the planner can't tell from a list in a parameter: rows are looked up one by one, and
/// nothing is compiled that would take longer than to run it.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '8s'; \
     SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// What an address may say behind its question mark.
const PARAMETERS: [&str; 9] = [
    "application_name",
    "host",
    "options",
    "password-file",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
];

/// Where a store is.
#[derive(Clone)]
pub(super) struct PostgresAddress {
    options: PgConnectOptions,
}

/// Whether an address is one of a `PostgreSQL` store.
pub(super) fn is_address(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl PostgresAddress {
    /// Parses `postgres://USER@HOST:PORT/DATABASE`, optionally with parameters. The password comes
    /// from a file or the environment; only an address that stands in the environment itself may
    /// hold it.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let mut parsed =
            Url::parse(url).map_err(|error| refused(&format!("isn't one ({error})")))?;
        let is_argument = std::env::args().any(|argument| argument.contains(url));
        let in_environment =
            std::env::var("ROSTER_STORE").is_ok_and(|store| store == url) && !is_argument;
        if parsed.password().is_some() && !in_environment {
            return Err(refused(
                "holds a password, which everybody sees who may list processes: put it into the environment (PGPASSWORD), into a \
                 file (?password-file=PATH or PGPASSFILE), or give the whole address as ROSTER_STORE",
            ));
        }
        let parameters: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        if let Some((unknown, _)) =
            parameters.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str()))
        {
            // It may be a part of a password that isn't encoded.
            let is_name = unknown.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'-'));
            let unknown = if is_name { unknown } else { "" };
            return Err(refused(&format!(
                "has an unknown parameter {unknown}; there are {}",
                PARAMETERS.join(", ")
            )));
        }
        if parsed.path().contains('@') {
            return Err(refused(
                "has an @ behind the host: characters such as / ? # @ in a password are written as %2F %3F %23 %40",
            ));
        }
        let value = |wanted: &str| {
            parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
        };
        let password = value("password-file").map(password_in).transpose()?;
        parsed
            .query_pairs_mut()
            .clear()
            .extend_pairs(parameters.iter().filter(|(name, _)| name != "password-file"));
        let options = PgConnectOptions::from_str(parsed.as_str())
            .map_err(|error| refused(&format!("isn't one ({error})")))?;
        let options = match password {
            Some(password) => options.password(&password),
            None => options,
        };
        let options = if value("application_name").is_none() {
            options.application_name("roster")
        } else {
            options
        };
        let unsaid = value("sslmode").is_none() && std::env::var_os("PGSSLMODE").is_none();
        let options = if unsaid && !stays_here(&options) {
            options.ssl_mode(PgSslMode::VerifyFull)
        } else {
            options
        };
        Ok(Self { options: options.disable_statement_logging() })
    }

    /// Returns the error that the database is no use, and why.
    pub(super) fn problem(&self, what: &str) -> StoreError {
        StoreError::Unusable(format!("{} {what}", self.name()))
    }

    /// Returns the address for people: who asks, and whatever could be secret, is left out.
    pub(super) fn name(&self) -> String {
        let mut name = "the PostgreSQL database".to_owned();
        // Writing to a text can't fail.
        if let Some(database) = self.options.get_database() {
            let _ = write!(name, " {database}");
        }
        let _ = match self.options.get_socket() {
            Some(socket) => write!(name, " at {}", socket.display()),
            None => write!(name, " at {}:{}", self.options.get_host(), self.options.get_port()),
        };
        name
    }

    /// Connects for a look before the store is opened, and refuses what can't be one.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connecting = tokio::time::timeout(CONNECTING, self.options.connect());
        let mut connection = connecting
            .await
            .unwrap_or_else(|_| Err(no_answer()))
            .map_err(|error| self.said(error))?;
        let facts = sqlx::query_as::<_, (String, bool, Option<String>)>(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery(), CAST(current_schema() AS text)",
        );
        let (encoding, is_standby, schema) =
            facts.fetch_one(&mut connection).await.map_err(|error| self.said(error))?;
        if encoding != "UTF8" {
            return Err(self
                .problem(&format!("has the encoding {encoding}: create it with ENCODING 'UTF8'")));
        }
        if is_standby {
            // It may be one for a moment only, while another server takes over.
            return Err(self.said(Error::Io(io::Error::other(
                "it is a standby, which can only be read: name the primary",
            ))));
        }
        if schema.is_none() {
            return Err(self.problem(
                "has none of the schemas in search_path: create one, or set another search_path",
            ));
        }
        Ok(connection)
    }

    /// Says where an error comes from.
    pub(super) fn said(&self, error: Error) -> StoreError {
        match error {
            Error::PoolTimedOut | Error::Io(_) => {
                let why = if matches!(error, Error::PoolTimedOut) { no_answer() } else { error };
                Error::Io(io::Error::other(format!("{}: {why}", self.name()))).into()
            }
            Error::Tls(why) => self.problem(&format!(
                "can't be reached safely: {why}; sslrootcert names the CA's certificate"
            )),
            error => error.into(),
        }
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Address(format!("the store's address {why}"))
}

fn no_answer() -> Error {
    Error::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no connection within {} s", CONNECTING.as_secs()),
    ))
}

/// Returns the password that a file holds on one line.
fn password_in(path: &str) -> Result<String, StoreError> {
    let text = fs::read_to_string(path)
        .map_err(|error| refused(&format!("names the password-file {path}: {error}")))?;
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line))
        .to_owned())
}

/// Whether what is said to the database stays on this machine.
fn stays_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback =
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || is_loopback
}

/// An open database.
pub(super) struct PostgresDatabase {
    address: PostgresAddress,
    pool: PgPool,
}

impl PostgresDatabase {
    pub(super) fn connect(address: &PostgresAddress) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTING)
            // Whoever restarts a server or a proxy cuts connections that were in use a moment ago.
            .test_before_acquire(true)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) })
            })
            .connect_lazy_with(address.options.clone());
        Self { address: address.clone(), pool }
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.pool.acquire().await.map_err(|error| self.address.said(error))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a lock wasn't to be had in time.
pub(super) fn is_locked_out(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "55P03")
}

/// Whether a statement was ended because it took too long.
pub(super) fn is_cut_short(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "57014")
}

/// Whether the transaction lost against another one, so that it may be tried again at once: a
/// serialization failure or a deadlock.
pub(super) fn is_lost_race(error: &Error) -> bool {
    code(error).is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

fn code(error: &Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(DatabaseError::code)
}

/// Returns what a violated UNIQUE constraint means, if it means that a plan is refused.
pub(super) fn refusal_of(error: &Error) -> Option<Refusal> {
    let violated =
        error.as_database_error().filter(|error| error.is_unique_violation())?.constraint()?;
    match violated {
        "accounts_namespace_owner_name_key" => Some(Refusal::Stale),
        "accounts_namespace_email_key" => Some(Refusal::EmailTaken),
        "accounts_login_name_key" => Some(Refusal::LoginTaken),
        "lifetimes_pkey" => Some(Refusal::IdTaken),
        "organizations_pkey" => Some(Refusal::CustomerIdChanged),
        "organizations_customer_id_key" => Some(Refusal::CustomerIdTaken),
        "domains_namespace_domain_key" => Some(Refusal::DomainTaken),
        _ => None,
    }
}

/// Returns the tables of a database's first schema.
pub(super) async fn tables(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    let tables = sqlx::query_scalar(
        "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = current_schema()",
    );
    tables.fetch_all(connection).await
}
