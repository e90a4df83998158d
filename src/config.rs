//! Options that several subcommands share, each also as `ROSTER_…`.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::Deserialize;
use url::Url;

use crate::clock::Clock;

/// Where a working directory names its store.
const CONFIG_FILE: &str = "roster.toml";

/// The store of a working directory that names none.
const DEFAULT_FILE: &str = "roster.db";

/// Where the accounts are.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// The account store: `sqlite://FILE` or `postgres://USER@HOST/DATABASE` [default: `store` in
    /// roster.toml, else the file roster.db, both in the working directory]
    #[arg(long, env = "ROSTER_STORE", hide_env_values = true, value_name = "URL")]
    store: Option<String>,
}

/// Where the accounts are, and what time it is.
#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// Where the accounts are.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Moves the clock, such as `+40d` or `-90m`, and with it the clocks that it is compared with.
    /// For tests and rehearsals: months are closed by it.
    #[arg(long, env = "ROSTER_CLOCK_OFFSET", value_parser = offset, default_value = "0s", allow_hyphen_values = true, value_name = "DURATION")]
    pub clock_offset: SignedDuration,
}

/// Why no store is known. No message quotes `roster.toml`, which may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreArgsError {
    #[error(
        "no store is named, and there is no file roster.db in the working directory: give --store URL, set ROSTER_STORE, or write \
         store = \"URL\" into a roster.toml there"
    )]
    Missing,
    #[error("roster.toml: {0}")]
    Config(String),
    #[error(
        "roster.toml: the URL of the store holds a password: put it into the environment (PGPASSWORD) or into a file \
         (?password-file=PATH or PGPASSFILE)"
    )]
    Password,
}

/// What a `roster.toml` has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    store: Option<String>,
}

impl StoreArgs {
    /// Returns the URL of a store that is there: of `--store`, `ROSTER_STORE`, `roster.toml`, or of
    /// `roster.db`.
    ///
    /// # Errors
    /// When none of them names one.
    pub(crate) fn url(&self) -> Result<String, StoreArgsError> {
        let is_there = Path::new(DEFAULT_FILE).exists();
        self.named()?.or_else(|| is_there.then(default_url)).ok_or(StoreArgsError::Missing)
    }

    /// Returns the URL of a store that may have to be created.
    ///
    /// # Errors
    /// When `roster.toml` can't be used.
    pub(crate) fn url_to_create(&self) -> Result<String, StoreArgsError> {
        Ok(self.named()?.unwrap_or_else(default_url))
    }

    fn named(&self) -> Result<Option<String>, StoreArgsError> {
        if self.store.is_some() {
            return Ok(self.store.clone());
        }
        match std::fs::read_to_string(CONFIG_FILE) {
            Ok(text) => configured(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreArgsError::Config(error.to_string())),
        }
    }
}

fn default_url() -> String {
    format!("sqlite://{DEFAULT_FILE}?mode=rwc")
}

/// Returns the store that a `roster.toml` names.
fn configured(text: &str) -> Result<Option<String>, StoreArgsError> {
    let config: ConfigFile =
        toml::from_str(text).map_err(|error| StoreArgsError::Config(error.message().to_owned()))?;
    let has_password = |url: &String| Url::parse(url).is_ok_and(|url| url.password().is_some());
    if config.store.as_ref().is_some_and(has_password) {
        return Err(StoreArgsError::Password);
    }
    Ok(config.store)
}

impl Shared {
    /// Returns the clock to go by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        if !self.clock_offset.is_zero() {
            tracing::warn!(
                offset_s = self.clock_offset.as_secs(),
                "the clock is moved by --clock-offset"
            );
        }
        Clock::ahead_by(self.clock_offset)
    }
}

/// How a subcommand prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// YAML for both.
    Yaml,
}

/// Parses a length of time such as `10m` or `1h 30m`.
///
/// # Errors
/// When it is none, or isn't positive.
pub fn duration(text: &str) -> Result<Duration, String> {
    let signed = offset(text)?;
    Duration::try_from(signed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it must be more than nothing".to_owned())
}

/// Parses a length of time with or without a sign, such as `+40d`; a day has 24 hours.
///
/// # Errors
/// When it is none.
pub fn offset(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "a length of time is written like 10m, 1h 30m or +40d".to_owned())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "write it in days or less, like 40d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(offset("+40d"), Ok(SignedDuration::from_hours(960)));
        assert_eq!(offset("-90m"), Ok(SignedDuration::from_mins(-90)));
        assert!(duration("-1m").is_err());
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn a_config_file_names_the_store_and_nothing_of_it_is_quoted() {
        let url = "postgres://roster@localhost/roster";
        assert_eq!(configured(&format!("# ours\nstore = {url:?}\n")), Ok(Some(url.to_owned())));
        assert_eq!(configured(""), Ok(None));
        assert_eq!(
            configured("store = 'postgres://roster:planted@localhost/roster'"),
            Err(StoreArgsError::Password)
        );
        for bad in
            ["store = postgres://a:planted@b/c", "store = 1", "password = 'planted'", "store"]
        {
            let Err(StoreArgsError::Config(why)) = configured(bad) else { panic!("{bad}") };
            assert!(!why.contains("planted") && !why.is_empty(), "{why}");
        }
    }
}
