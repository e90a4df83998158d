//! `roster billing report [--month YYYY-MM] [-n NAMESPACE]`, and the cure after a wrong clock.

mod reopen;

use std::cell::Cell;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, SerializeStruct, Serializer};

use self::reopen::ReopenArgs;
use super::table::write_table;
use super::{Failure, NamespaceFilter, block_on, examples, open};
use crate::config::Shared;
use crate::domain::billing::{Bill, BillLine, BillingTimeZone, Calendar, Month, Period};
use crate::store::sql::SqlStore;
use crate::store::{Store, StoreError};

/// How many pieces may wait to be printed.
const WAITING: usize = 64;

/// How many lines a piece has.
const PIECE: usize = 256;

/// Arguments of `roster billing`.
#[derive(Debug, Args)]
pub(super) struct BillingArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints who is billed for a calendar month: every login that had an account at any instant of
    /// it, enabled or disabled.
    ///
    /// The report of a closed month never changes. Until then it is marked provisional; roster run
    /// closes a month when more than one clock confirms that it is over.
    Report(BillingReport),
    /// Reopens months that a wrong clock closed before they were over, and dates what it dated in
    /// the future to the present.
    ///
    /// Without --confirm prints what it would change. Refuses months that are over by this machine's
    /// clock, the API server's and, with PostgreSQL, the database server's. The table
    /// billing_corrections keeps what was changed.
    Reopen(ReopenArgs),
}

/// Arguments of `roster billing report`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("The bill of this month so far", "roster billing report"),
    ("The bill of a month for one organization", "roster billing report --month 2026-11 -n acme"),
    ("How many logins are billed", "roster billing report --month 2026-11 -o json | jq .total"),
]))]
struct BillingReport {
    /// The month [default: the current one, in the store's billing time zone]
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<Month>,
    #[command(flatten)]
    filter: NamespaceFilter,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// One line per login for spreadsheets.
    Csv,
    /// YAML for both.
    Yaml,
}

/// A line as it is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    organization: String,
    login_name: String,
    state: &'static str,
    from: String,
    to: Option<String>,
}

impl Row {
    fn new(line: &BillLine, period: &Period) -> Self {
        Self {
            organization: line.organization.clone(),
            login_name: line.login_name.to_string(),
            state: line.state.as_str(),
            from: period.written(line.from),
            to: line.to.map(|to| period.written(to)),
        }
    }
}

/// What is known before the first line.
#[derive(Debug)]
struct Heading {
    period: Period,
    provisional: bool,
}

/// A piece of what is read: lines, or that there are no more.
type Piece = Option<Vec<BillLine>>;

/// Prints the report of a month.
pub(super) fn run(arguments: &BillingArgs) -> Result<(), Failure> {
    let BillingReport { month, filter, output, shared } = match &arguments.command {
        Command::Report(report) => report,
        Command::Reopen(arguments) => return reopen::run(arguments),
    };
    let output = *output;
    block_on(async {
        let store = open(&shared.store).await?;
        let heading = heading(&store.calendar().await?, *month, shared.clock().now())?;
        let (send, pieces) = sync_channel(WAITING);
        let period = heading.period.clone();
        let printing = tokio::task::spawn_blocking(move || print(output, &heading, pieces));
        let read = read(&store, &period, filter.namespace.as_deref(), &send).await;
        drop(send);
        // Where reading failed, that is also why printing did.
        let printed = printing.await?;
        read?;
        printed
    })
}

/// Returns the period of a month, by default of the current one, and whether its report may still
/// change: only closing the month, which takes more than one clock, keeps commits out of it.
fn heading(calendar: &Calendar, month: Option<Month>, now: Timestamp) -> Result<Heading, Failure> {
    let zone = calendar.zone.clone().unwrap_or(BillingTimeZone::UTC);
    let month = month.unwrap_or_else(|| Month::containing(now, &zone));
    let period = calendar.period(month, &zone);
    let closed_until = calendar.closed_until().unwrap_or(Timestamp::MIN);
    if now.max(closed_until) < period.start {
        return Err(format!(
            "{month} hasn't begun yet: it begins at {}",
            period.written(period.start)
        )
        .into());
    }
    let provisional = closed_until < period.end;
    Ok(Heading { period, provisional })
}

/// Reads the lines of a month and sends them, until there are no more or the receiver is gone.
async fn read(
    store: &SqlStore,
    period: &Period,
    organization: Option<&str>,
    send: &SyncSender<Piece>,
) -> Result<(), StoreError> {
    let mut bill = Bill::new(period);
    let mut lines = Vec::with_capacity(PIECE);
    let mut take = |life| {
        lines.extend(bill.take(life));
        let is_full = lines.len() == PIECE;
        let unwanted = is_full
            && send.send(Some(std::mem::replace(&mut lines, Vec::with_capacity(PIECE)))).is_err();
        if unwanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.lifetimes(period, organization, &mut take).await?;
    lines.extend(bill.finish());
    // The receiver may be gone.
    let _ = send.send(Some(lines)).and_then(|()| send.send(None));
    Ok(())
}

/// Prints a report. A closed pipe is no error: the reader has seen enough.
fn print(output: Format, heading: &Heading, pieces: Receiver<Piece>) -> Result<(), Failure> {
    let mut out = Printer { out: BufWriter::new(io::stdout().lock()), is_read: true };
    let lines = Lines { pieces, period: &heading.period, count: Cell::new(0) };
    let printed = match output {
        Format::Table => print_table(&mut out, heading, lines),
        Format::Json => print_json(&mut out, heading, lines),
        Format::Csv => print_csv(&mut out, heading, lines),
        Format::Yaml => {
            serde_saphyr::to_io_writer(&mut out, &Printed { heading, lines }).map_err(Into::into)
        }
    };
    let printed = printed.and_then(|()| Ok(out.flush()?));
    if out.is_read { printed } else { Ok(()) }
}

fn print_json(mut out: &mut impl Write, heading: &Heading, lines: Lines) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut out, &Printed { heading, lines })?;
    Ok(writeln!(out)?)
}

fn print_csv(out: &mut impl Write, heading: &Heading, lines: Lines) -> Result<(), Failure> {
    if heading.provisional {
        eprintln!("roster: {} isn't closed yet: this is provisional", heading.period.month);
    }
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["organization", "loginName", "state", "from", "to"])?;
    while let Some(piece) = lines.next()? {
        for line in piece {
            let Row { organization, login_name, state, from, to } = Row::new(&line, lines.period);
            out.write_record([
                organization.as_str(),
                &login_name,
                state,
                &from,
                to.as_deref().unwrap_or_default(),
            ])?;
        }
    }
    Ok(out.flush()?)
}

fn print_table(out: &mut impl Write, heading: &Heading, lines: Lines) -> Result<(), Failure> {
    let Heading { period, provisional } = heading;
    let mut all = vec![];
    while let Some(piece) = lines.next()? {
        all.extend(piece);
    }
    let state = if *provisional { "provisional" } else { "closed" };
    writeln!(out, "Month: {} ({}), {state}", period.month, period.time_zone)?;
    writeln!(out, "Total: {}\n", all.len())?;
    let rows = || {
        all.iter().map(|line| {
            let Row { organization, login_name, state, from, to } = Row::new(line, period);
            [organization, login_name, state.to_owned(), from, to.unwrap_or_default()]
        })
    };
    Ok(write_table(out, ["ORGANIZATION", "LOGIN", "STATE", "FROM", "TO"], rows)?)
}

/// Standard output, and whether its reader is there.
struct Printer<W> {
    out: W,
    is_read: bool,
}

impl<W: Write> Printer<W> {
    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.is_read = false;
        }
        outcome
    }
}

impl<W: Write> Write for Printer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.out.write(bytes);
        self.note(outcome)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.out.flush();
        self.note(outcome)
    }
}

/// Reading the lines broke off; the task that reads returns why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the lines broke off")]
struct BrokeOff;

/// The lines of a report as they are read, counted.
struct Lines<'a> {
    pieces: Receiver<Piece>,
    period: &'a Period,
    count: Cell<usize>,
}

impl Lines<'_> {
    fn next(&self) -> Result<Piece, BrokeOff> {
        let piece = self.pieces.recv().map_err(|_| BrokeOff)?;
        self.count.set(self.count.get() + piece.as_ref().map_or(0, Vec::len));
        Ok(piece)
    }
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        while let Some(piece) = self.next().map_err(S::Error::custom)? {
            for line in piece {
                list.serialize_element(&Row::new(&line, self.period))?;
            }
        }
        list.end()
    }
}

/// A whole report. The total is known once the lines were printed.
struct Printed<'a> {
    heading: &'a Heading,
    lines: Lines<'a>,
}

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Heading { period, provisional } = self.heading;
        let mut report = serializer.serialize_struct("Report", 5)?;
        report.serialize_field("month", &period.month.to_string())?;
        report.serialize_field("provisional", provisional)?;
        report.serialize_field("timeZone", &period.time_zone)?;
        report.serialize_field("lines", &self.lines)?;
        report.serialize_field("total", &self.lines.count.get())?;
        report.end()
    }
}
