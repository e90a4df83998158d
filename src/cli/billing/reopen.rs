//! `roster billing reopen --after YYYY-MM [--confirm FIRST..LAST]`: the cure after a wrong clock
//! closed months too early.

use clap::Args;
use jiff::SignedDuration;
use kube::Config;

use crate::cli::run::{WRITE_TIMEOUT, client};
use crate::cli::{Failure, block_on, examples, open, print};
use crate::clock::Clock;
use crate::config::{StoreArgs, offset};
use crate::controller::clocks;
use crate::domain::billing::Month;
use crate::domain::clocks::ClockReadings;
use crate::store::Store;
use crate::store::sql::SqlStore;
use crate::store::sql::corrections::Correction;

/// Arguments of `roster billing reopen`.
#[derive(Debug, Args)]
#[command(after_help = examples(&[
    ("See which months would be reopened", "roster billing reopen --after 2026-11"),
    ("Reopen them", "roster billing reopen --after 2026-11 --confirm 2026-12..2027-01"),
]))]
pub(super) struct ReopenArgs {
    /// The last month that is really over: those after it are reopened.
    #[arg(long, value_name = "YYYY-MM")]
    after: Month,
    /// Reopens these months, which the same command without this option prints.
    #[arg(long, value_name = "FIRST..LAST")]
    confirm: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Refused here, also from the environment.
    #[arg(long, env = "ROSTER_CLOCK_OFFSET", value_parser = offset, hide = true, allow_hyphen_values = true)]
    clock_offset: Option<SignedDuration>,
}

/// Reopens months that were closed before they were over, and dates what is dated in the future to
/// the present.
pub(super) fn run(arguments: &ReopenArgs) -> Result<(), Failure> {
    let ReopenArgs { after, confirm, store, clock_offset } = arguments;
    if clock_offset.is_some_and(|offset| !offset.is_zero()) {
        return Err("a clock that is moved by --clock-offset says nothing of which months are over: leave it out".into());
    }
    block_on(async {
        let store = open(store).await?;
        let now = readings(&store).await?.agreed()?;
        let planned = store.correction(*after, now).await?;
        let months = months(&planned);
        let text = match confirm {
            None if planned.is_nothing() => {
                format!("Nothing is to be corrected: no month after {after} is closed.\n")
            }
            None => format!(
                "{}Nothing was changed. Take a backup, and do it with\n  roster billing reopen --after {after} --confirm {months}\n",
                describe(&planned, "would become")
            ),
            Some(confirmed) if *confirmed != months => {
                return Err(
                    format!("--confirm {confirmed} isn't what is to be opened: that is {months}; nothing was changed").into()
                );
            }
            Some(_) => describe(&store.correct(*after, now).await?, "became"),
        };
        store.close().await;
        Ok(print(&text)?)
    })
}

/// Reads all clocks. Which month is over is judged by all of them.
async fn readings(store: &SqlStore) -> Result<ClockReadings, Failure> {
    let config = Config::infer()
        .await
        .map_err(|error| format!("no cluster is known ({error}), whose clock has to confirm this machine's: set KUBECONFIG"))?;
    let api_server = clocks::read(&client(&config, WRITE_TIMEOUT)?).await;
    let api_server =
        Some(api_server.map_err(|error| format!("the API server's clock can't be read: {error}"))?);
    Ok(ClockReadings { own: Clock::SYSTEM.now(), api_server, store: store.time().await? })
}

fn months(correction: &Correction) -> String {
    match (correction.months.first(), correction.months.last()) {
        (Some(first), Some(last)) => format!("{}..{}", first.month, last.month),
        _ => "none".to_owned(),
    }
}

fn describe(correction: &Correction, became: &str) -> String {
    let Correction { months, instants } = correction;
    let mut text = String::new();
    for period in months {
        text += &format!(
            "{} ({}), which isn't over before {:.0}, {became} open again\n",
            period.month, period.time_zone, period.end
        );
    }
    for (column, count) in instants {
        text += &format!("{count} times in the future in {column} {became} the present time\n");
    }
    text
}
