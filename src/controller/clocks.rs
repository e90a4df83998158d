//! Other clocks than this machine's: the API server's, by the `Date` of its answers, and the
//! database server's.
//!
//! A task of its own reads the API server's clock, so that nothing waits for an answer. Between two
//! readings this machine's steady clock, which nobody sets, adds the time that passed. It stands
//! still while the machine sleeps: after that the reading lags until the next one, and what can't
//! be undone waits for that.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::header::DATE;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;
use crate::domain::clocks::{ClockReadings, TOLERANCE};
use crate::redact::redact;
use crate::store::{Store, StoreError};

/// How often the API server's clock is read.
const INTERVAL: Duration = Duration::from_secs(60);

/// How soon it is read again where that failed.
const RETRY: Duration = Duration::from_secs(2);

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a reading can be extrapolated: a steady clock loses less than ten seconds in a day.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// How old a reading may be by which something is done that can't be undone.
const MAX_AGE_TO_CLOSE: Duration = Duration::from_secs(10);

/// Why the API server's clock can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It didn't answer in time.
    #[error("no answer within {TIMEOUT:?}")]
    Timeout,
    /// It can't be asked.
    #[error("{}", redact(.0))]
    Api(#[source] kube::Error),
    /// Its answer has no date that can be read: something is in between that takes it away.
    #[error("the answer has no Date")]
    NoDate,
}

/// Returns what the API server's clock shows, in whole seconds.
pub async fn read(client: &Client) -> Result<Timestamp, ReadError> {
    // Every client may get `/version`, and an answer that refuses has a `Date`, too.
    let request = Request::get("/version").body(Body::empty()).expect("the request is well-formed");
    let answer = timeout(TIMEOUT, client.send(request))
        .await
        .map_err(|_| ReadError::Timeout)?
        .map_err(ReadError::Api)?;
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    date.and_then(date_of).ok_or(ReadError::NoDate)
}

/// Reads a date as HTTP has it (RFC 9110, section 5.6.7).
fn date_of(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp())
}

/// What another clock showed, and when.
#[derive(Clone, Copy, Debug)]
struct Reading {
    shown: Timestamp,
    at: Instant,
}

impl Reading {
    fn new(shown: Timestamp) -> Self {
        Self { shown, at: Instant::now() }
    }

    /// Returns what the clock shows now, unless it was read too long ago.
    fn now(&self, max_age: Duration) -> Option<Timestamp> {
        let age = self.at.elapsed();
        let passed = SignedDuration::try_from(age).ok().filter(|_| age <= max_age)?;
        self.shown.checked_add(passed).ok()
    }
}

/// The API server's clock. All clones share the last reading.
#[derive(Clone, Debug)]
pub struct ServerClock {
    readings: watch::Receiver<Option<Reading>>,
    /// Whether the API server answered yet, with a date or without.
    answered: watch::Receiver<bool>,
    wanted: Arc<Notify>,
}

impl ServerClock {
    /// Returns a clock that was never read, and won't be.
    #[must_use]
    pub fn unread() -> Self {
        Self {
            readings: watch::channel(None).1,
            answered: watch::channel(false).1,
            wanted: Arc::default(),
        }
    }

    /// Reads the clock for as long as anybody has it.
    #[must_use]
    pub fn of(client: Client) -> Self {
        let (send, readings) = watch::channel(None);
        let (tell, answered) = watch::channel(false);
        let wanted = Arc::new(Notify::new());
        tokio::spawn(keep_reading(client, (send, tell), wanted.clone()));
        Self { readings, answered, wanted }
    }

    /// Has it read at once.
    fn refresh(&self) {
        self.wanted.notify_one();
    }

    /// Waits for the first answer of the API server. Returns whether there was a date in it: where
    /// something in between takes it away, waiting for another answer is of no use.
    pub async fn was_read(&self) -> bool {
        // An unread clock has no task, and its channel is closed.
        if self.answered.clone().wait_for(|answered| *answered).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.readings.borrow().is_some()
    }

    fn now(&self, max_age: Duration) -> Option<Timestamp> {
        self.readings.borrow().and_then(|reading| reading.now(max_age))
    }

    /// Returns a clock that was read once, just now.
    #[cfg(test)]
    pub(super) fn showing(shown: Timestamp) -> Self {
        let readings = watch::channel(Some(Reading::new(shown))).1;
        Self { readings, answered: watch::channel(true).1, wanted: Arc::default() }
    }
}

async fn keep_reading(
    client: Client,
    (readings, answered): (watch::Sender<Option<Reading>>, watch::Sender<bool>),
    wanted: Arc<Notify>,
) {
    let mut failing = false;
    while !readings.is_closed() {
        let wait = match read(&client).await {
            Ok(shown) => {
                readings.send_replace(Some(Reading::new(shown)));
                answered.send_replace(true);
                failing = false;
                INTERVAL
            }
            Err(error) => {
                if matches!(error, ReadError::NoDate) {
                    answered.send_replace(true);
                }
                if !failing {
                    tracing::warn!(error = %error, "the API server's clock can't be read, trying again; no month is closed meanwhile");
                }
                failing = true;
                RETRY
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            // At most one reading in this time, however often a refresh is requested.
            () = wanted.notified() => sleep(RETRY / 4).await,
            () = readings.closed() => return,
        }
    }
}

/// This machine's clock beside the others.
#[derive(Clone, Debug)]
pub struct Clocks {
    own: Clock,
    server: ServerClock,
    store: Option<Reading>,
}

impl Clocks {
    /// Returns this machine's clock beside the API server's.
    #[must_use]
    pub fn new(own: Clock, server: ServerClock) -> Self {
        Self { own, server, store: None }
    }

    /// Reads the clock of the store's database server, where it has one.
    pub async fn read_store(&mut self, store: &impl Store) -> Result<(), StoreError> {
        self.store = store.time().await?.map(Reading::new);
        Ok(())
    }

    /// Returns the time to write down for what is done now, which no clock that is ahead of all
    /// others can move into the future.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let readings = self.readings(MAX_AGE);
        if readings.skews().any(|(_, skew)| skew.abs() > TOLERANCE) {
            self.server.refresh();
        }
        readings.bounded()
    }

    /// Returns what the clocks show, as it is known.
    #[must_use]
    pub fn known(&self) -> ClockReadings {
        self.readings(MAX_AGE)
    }

    /// Returns what the clocks show, of which the API server's was read just now. Where it wasn't,
    /// it isn't there, and is about to be read.
    #[must_use]
    pub fn fresh(&self) -> ClockReadings {
        let readings = self.readings(MAX_AGE_TO_CLOSE);
        if readings.api_server.is_none() {
            self.server.refresh();
        }
        readings
    }

    fn readings(&self, max_age: Duration) -> ClockReadings {
        // An offset of this machine's clock that is set on purpose applies to all clocks.
        let other = |shown: Option<Timestamp>| shown.map(|shown| self.own.moved(shown));
        ClockReadings {
            own: self.own.now(),
            api_server: other(self.server.now(max_age)),
            store: other(self.store.and_then(|reading| reading.now(max_age))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_http_has_it() {
        let expected: Timestamp = "2026-11-30T15:35:38Z".parse().unwrap();
        assert_eq!(date_of("Mon, 30 Nov 2026 15:35:38 GMT"), Some(expected));
        for bad in ["", "soon", "2026-11-30T15:35:38Z", "Mon, 31 Nov 2026 15:35:38 GMT"] {
            assert_eq!(date_of(bad), None, "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_goes_on_with_the_steady_clock_and_gets_too_old() {
        let start: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let server = ServerClock::showing(start);
        let clocks = Clocks::new(Clock::running_from(start), server);
        assert_eq!(clocks.fresh().api_server, Some(start));
        tokio::time::advance(MAX_AGE_TO_CLOSE + Duration::from_secs(1)).await;
        assert_eq!(clocks.fresh().api_server, None, "it may have been set since");
        assert_eq!(clocks.known().api_server, Some(clocks.own.now()));
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(clocks.known().api_server, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_under_a_clock_that_is_far_ahead_is_dated_by_the_others() {
        let start: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let ahead = start.checked_add(SignedDuration::from_hours(400 * 24)).unwrap();
        let server = ServerClock::showing(start);
        assert_eq!(Clocks::new(Clock::running_from(ahead), server.clone()).now(), start);
        assert_eq!(Clocks::new(Clock::running_from(start), server).now(), start);
        assert_eq!(
            Clocks::new(Clock::running_from(ahead), ServerClock::unread()).now(),
            ahead,
            "nothing says otherwise"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_moved_on_purpose_moves_the_others_too() {
        let offset = SignedDuration::from_hours(40 * 24);
        let shown = Clock::SYSTEM.now();
        let server = ServerClock::showing(shown);
        let clocks = Clocks::new(Clock::ahead_by(offset), server);
        let agreed =
            clocks.fresh().agreed().expect("they differ by nothing but what was asked for");
        assert_eq!(agreed, shown.checked_add(offset).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_a_date_holds_up_no_start() {
        let without = axum::Router::new().fallback(|| async { "{}" });
        let begun = Instant::now();
        assert!(!ServerClock::of(Client::new(without, "default")).was_read().await);
        let with = axum::Router::new()
            .fallback(|| async { ([(DATE, "Mon, 30 Nov 2026 15:35:38 GMT")], "{}") });
        assert!(ServerClock::of(Client::new(with, "default")).was_read().await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
