//! Passwords: prompted for on a terminal without showing them, else read from standard input.

use std::io::{ErrorKind, IsTerminal, Read, stdin};

use rpassword::ConfigBuilder;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use super::Failure;

/// The most bytes that are read: more than any password has. Standard input fills a buffer of this
/// size directly, without a copy of its own that stays.
const MAX_BYTES: usize = 64 * 1024;

/// What a shell expects of a program that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// The lines that were entered.
pub(super) struct PromptedLines {
    bytes: Zeroizing<Vec<u8>>,
    length: usize,
}

impl PromptedLines {
    /// Reads as many lines as there are prompts, or to the end. A terminal prompts for each and
    /// shows nothing of what is typed.
    pub(super) fn read(prompts: &[&str]) -> Result<Self, Failure> {
        let mut entered = Self { bytes: Zeroizing::new(vec![0; MAX_BYTES]), length: 0 };
        if stdin().is_terminal() {
            entered.prompt(prompts)?;
        } else {
            entered.fill(prompts.len())?;
        }
        Ok(entered)
    }

    /// Prompts for each line on the terminal; Ctrl-C ends the process.
    fn prompt(&mut self, prompts: &[&str]) -> Result<(), Failure> {
        let interrupt = Interrupt::catch()?;
        for prompt in prompts {
            eprint!("{prompt}: ");
            let terminal = ConfigBuilder::new().input_file_path("/dev/stdin").output_discard();
            let typed = rpassword::read_password_with_config(terminal.build());
            eprintln!();
            match typed.map(Zeroizing::new) {
                Ok(line) => self.push_line(line.as_bytes())?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    std::process::exit(INTERRUPTED)
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(format!("standard input: {error}").into()),
            }
        }
        interrupt.exit_on_next();
        Ok(())
    }

    fn push_line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let end = self.length + line.len();
        let room =
            self.bytes.get_mut(self.length..=end).ok_or("standard input: a line is too long")?;
        room[..line.len()].copy_from_slice(line);
        room[line.len()] = b'\n';
        self.length = end + 1;
        Ok(())
    }

    /// Reads until there are so many lines, or the end.
    fn fill(&mut self, lines: usize) -> Result<(), Failure> {
        let room = MAX_BYTES / 2;
        while self.text().iter().filter(|byte| **byte == b'\n').count() < lines
            && self.length < room
        {
            let read = stdin().lock().read(&mut self.bytes[self.length..]);
            match read.map_err(|error| format!("standard input: {error}"))? {
                0 => break,
                more => self.length += more,
            }
        }
        Ok(())
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Returns a line without its line end; nothing where fewer were entered.
    pub(super) fn line(&self, number: usize) -> &[u8] {
        let line = self.text().split(|byte| *byte == b'\n').nth(number).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Catches SIGINT. `rpassword` raises it while the terminal is still raw: uncaught, it would end
/// the process before the terminal is restored.
struct Interrupt {
    runtime: Runtime,
    signal: Signal,
}

impl Interrupt {
    fn catch() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let signal = {
            let _entered = runtime.enter();
            signal(SignalKind::interrupt())?
        };
        Ok(Self { runtime, signal })
    }

    /// Lets Ctrl-C end the process again: a signal that was caught once has no default any more.
    fn exit_on_next(mut self) {
        std::thread::spawn(move || {
            self.runtime.block_on(self.signal.recv());
            std::process::exit(INTERRUPTED)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], lines: [&[u8]; 2]) {
        let entered = PromptedLines { bytes: Zeroizing::new(text.to_vec()), length: text.len() };
        assert_eq!([entered.line(0), entered.line(1)], lines);
    }

    #[test]
    fn a_line_is_taken_without_its_end() {
        check(b"", [b"", b""]);
        check(b"one", [b"one", b""]);
        check(b"one\n", [b"one", b""]);
        check(b"one\r\ntwo\n", [b"one", b"two"]);
        check(b"\n two \nthree", [b"", b" two "]);
    }

    #[test]
    fn typed_lines_are_kept_one_after_the_other() {
        let mut entered = PromptedLines { bytes: Zeroizing::new(vec![0; 8]), length: 0 };
        entered.push_line(b"one").unwrap();
        assert!(entered.push_line(b"four").is_err());
        entered.push_line(b"two").unwrap();
        assert_eq!(
            [entered.line(0), entered.line(1), entered.line(2)],
            [b"one" as &[u8], b"two", b""]
        );
    }
}
