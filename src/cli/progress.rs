//! Progress of long work, on standard error: a bar on a terminal, else a line now and then.
//!
//! Short work shows nothing, so a script that reads standard error sees what it always saw.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

/// How long work takes before a terminal shows a bar.
const BAR_AFTER: Duration = Duration::from_millis(400);

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often is seen whether the work is done.
const TICK: Duration = Duration::from_millis(100);

/// A piece of work and how far it has come; what it shows goes when this is dropped.
#[derive(Clone)]
pub(super) struct ProgressReport(ProgressBar);

impl ProgressReport {
    /// Begins a work, whose lines are written to standard error.
    pub(super) fn start(step: impl Into<Cow<'static, str>>) -> Finishing {
        Self::with_lines(step, |line| eprintln!("roster: {line}"))
    }

    /// Begins a work, whose lines are logged.
    pub(super) fn start_logged(step: impl Into<Cow<'static, str>>) -> Finishing {
        Self::with_lines(step, |line| tracing::info!("{line}"))
    }

    fn with_lines(step: impl Into<Cow<'static, str>>, write: fn(&str)) -> Finishing {
        let report = Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        report.step(step, 0);
        let shown = report.0.clone();
        thread::spawn(
            move || if io::stderr().is_terminal() { draw(&shown) } else { tell(&shown, write) },
        );
        Finishing(report)
    }

    /// Begins a step of so many items; 0 for an unknown number.
    pub(super) fn step(&self, step: impl Into<Cow<'static, str>>, items: usize) {
        let template =
            if items == 0 { "{spinner} {msg} ({elapsed})" } else { "{msg} [{bar:30}] {pos}/{len}" };
        self.0.set_style(ProgressStyle::with_template(template).expect("it is well-formed"));
        self.0.set_message(step);
        self.0.set_position(0);
        if items == 0 { self.0.unset_length() } else { self.0.set_length(items as u64) }
    }

    /// Notes that so many more items are done.
    pub(super) fn advance(&self, items: usize) {
        self.0.inc(items as u64);
    }

    /// Writes a line to standard error without breaking the bar.
    pub(super) fn note(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    /// Removes what is shown.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// A work that ends when this is dropped.
pub(super) struct Finishing(ProgressReport);

impl std::ops::Deref for Finishing {
    type Target = ProgressReport;

    fn deref(&self) -> &ProgressReport {
        &self.0
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Draws the bar once the work takes long.
fn draw(bar: &ProgressBar) {
    thread::sleep(BAR_AFTER);
    if !bar.is_finished() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(TICK);
    }
}

/// Writes a line from time to time until the work is done.
fn tell(bar: &ProgressBar, write: fn(&str)) {
    let mut next = LINE_EVERY;
    while !bar.is_finished() {
        thread::sleep(TICK);
        if bar.elapsed() >= next && !bar.is_finished() {
            write(&line(&bar.message(), (bar.position(), bar.length()), bar.elapsed()));
            next += LINE_EVERY;
        }
    }
}

fn line(step: &str, (done, all): (u64, Option<u64>), elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match all {
        Some(all) => format!("{step}: {done} of {all}, after {seconds} s"),
        None => format!("{step}, after {seconds} s"),
    }
}

/// Runs a blocking copy's future while the bytes that a file has already are shown.
pub(super) async fn watching_size<T>(
    report: &ProgressReport,
    step: &'static str,
    (file, future): (&Path, impl Future<Output = T>),
) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        match tokio::time::timeout(BAR_AFTER, &mut future).await {
            Ok(done) => return done,
            Err(_) => {
                let size = file.metadata().map_or(0, |metadata| metadata.len());
                report.0.set_message(format!("{step}: {}", HumanBytes(size)));
            }
        }
    }
}

/// Standard error for logs, which a bar on it gives way to.
impl<'a> MakeWriter<'a> for ProgressReport {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for ProgressReport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_step_and_how_much_of_it_is_done() {
        let elapsed = Duration::from_millis(20_100);
        assert_eq!(line("simulating", (3, Some(7)), elapsed), "simulating: 3 of 7, after 20 s");
        assert_eq!(line("backing up", (0, None), elapsed), "backing up, after 20 s");
    }

    #[test]
    fn work_that_ends_shows_nothing_any_more() {
        let finishing = ProgressReport::start("reading");
        let report = finishing.clone();
        report.step("simulating", 2);
        report.advance(1);
        assert_eq!((report.0.position(), report.0.length()), (1, Some(2)));
        drop(finishing);
        assert!(report.0.is_finished());
    }
}
