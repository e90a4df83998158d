//! What a person enters on standard input that nobody else is to read.

use std::io::{IsTerminal, Read, stdin};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::Failure;

/// The most bytes that are read: more than any password has. Standard input fills a buffer of this
/// size directly, without a copy of its own that stays.
const MAX_BYTES: usize = 64 * 1024;

/// The lines that were entered.
pub(super) struct Entered {
    bytes: Zeroizing<Vec<u8>>,
    length: usize,
}

impl Entered {
    /// Reads as many lines as there are prompts, or to the end. A terminal prompts for each and
    /// shows nothing of what is typed.
    pub(super) fn read(prompts: &[&str]) -> Result<Self, Failure> {
        let mut entered = Self { bytes: Zeroizing::new(vec![0; MAX_BYTES]), length: 0 };
        let silence = if stdin().is_terminal() { Some(Silence::begin()?) } else { None };
        for (number, prompt) in prompts.iter().enumerate() {
            if silence.is_some() {
                eprint!("{prompt}: ");
            }
            entered.fill(number + 1)?;
            if silence.is_some() {
                eprintln!();
            }
        }
        Ok(entered)
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

/// A terminal that doesn't show what is typed, until this is dropped.
struct Silence;

impl Silence {
    fn begin() -> Result<Self, Failure> {
        stty("-echo").map_err(|error| {
            format!("the terminal would show the password (stty: {error}): use a pipe")
        })?;
        Ok(Self)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Err(error) = stty("echo") {
            eprintln!("roster: stty echo: {error}");
        }
    }
}

fn stty(argument: &str) -> std::io::Result<()> {
    let status = Command::new("stty")
        .arg(argument)
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("it failed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], lines: [&[u8]; 2]) {
        let entered = Entered { bytes: Zeroizing::new(text.to_vec()), length: text.len() };
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
}
