//! Passwords: what one must be (NIST SP 800-63B-4, section 3.1.1), and what is kept of one.
//!
//! Two spellings of one password are the same after NFKC (section 3.1.1.2), so nothing but the
//! normalized text is judged, hashed or verified. What holds a password can't be printed, written
//! to JSON or cloned, and is overwritten when it is dropped.

use std::fmt;

use serde::Serialize;
use strum::IntoEnumIterator;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use super::email::Email;
use super::organization::LoginName;
use super::text::{CodePoint, is_unseen};

/// The fewest characters of a password.
pub const MINIMUM_LENGTH: usize = 15;

/// The most characters of a password.
pub const MAXIMUM_LENGTH: usize = 128;

/// The least zxcvbn score of a password, of 0 to 4.
pub const MINIMUM_SCORE: Score = Score::Three;

/// What a password must be, in the order in which unmet requirements are named.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(into = "&'static str")]
pub enum Requirement {
    /// It is UTF-8.
    Text,
    /// It isn't UTF-16.
    NotUtf16,
    /// It doesn't begin with a byte order mark.
    NoByteOrderMark,
    /// It is one line without control characters, of which this one was found; one line end after
    /// it isn't part of it.
    OneLine(Option<char>),
    /// It has no zero-width or direction characters, of which this one was found; a joiner between
    /// two signs is part of them.
    Visible(Option<char>),
    /// It isn't shorter than [`MINIMUM_LENGTH`].
    MinimumLength,
    /// It isn't longer than [`MAXIMUM_LENGTH`].
    MaximumLength,
    /// Its zxcvbn score is at least [`MINIMUM_SCORE`].
    HardToGuess,
    /// It isn't made of nothing but a name of the person.
    NotOwnName,
    /// It is the same where it is entered again.
    Confirmed,
}

/// The requirement as the rest of a sentence that begins with "a password".
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("must be text in UTF-8"),
            Self::NotUtf16 => f.write_str(
                "must not be saved in UTF-16, as Notepad's Unicode and the > of Windows PowerShell do: save it as UTF-8 without BOM",
            ),
            Self::NoByteOrderMark => f.write_str(
                "must not begin with a byte order mark, which editors on Windows write: save it as UTF-8 without BOM",
            ),
            Self::OneLine(None) => {
                f.write_str("must be one line without control characters; one line end after it is taken off")
            }
            Self::OneLine(Some(found)) => {
                let what = match found {
                    '\0' => "as binary data and UTF-16 have",
                    '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "a line break, as before a second line",
                    '\t' => "a tab, as between the columns of a table",
                    _ => "a control character, as terminals and binary data have",
                };
                let found = CodePoint(*found);
                write!(
                    f,
                    "must be one line without control characters, and has {found}, {what}: save it as one line of text; one line end after it is taken off"
                )
            }
            Self::Visible(None) => f.write_str(
                "must have no characters that nobody sees, such as zero-width spaces and direction characters, which come with text that is pasted",
            ),
            Self::Visible(Some(found)) => {
                let cure = match found {
                    '\u{200c}' | '\u{200d}' => "leave it out but between two characters that are seen",
                    // Keyboards have these two.
                    '\u{200e}' | '\u{200f}' => "leave it out",
                    _ => "type it, or paste it as plain text",
                };
                let found = CodePoint(*found);
                write!(
                    f,
                    "must have no characters that nobody sees, and has {found}, as text pasted from web pages, chats and documents has: {cure}"
                )
            }
            Self::MinimumLength => {
                write!(f, "must have at least {MINIMUM_LENGTH} characters, counted after Unicode normalization (NFKC)")
            }
            Self::MaximumLength => {
                write!(f, "must have at most {MAXIMUM_LENGTH} characters, counted after Unicode normalization (NFKC)")
            }
            Self::HardToGuess => {
                let score = u8::from(MINIMUM_SCORE);
                write!(
                    f,
                    "must be hard to guess, also for somebody who knows the person's names: a zxcvbn score of at least {score} of 4"
                )
            }
            Self::NotOwnName => f.write_str(
                "must not be the login name, the username or the email, alone or repeated, in any case; it may contain them",
            ),
            Self::Confirmed => f.write_str("must be the same where it is entered again"),
        }
    }
}

/// The names of the person whose password it is to be.
#[derive(Clone, Copy, Debug)]
pub struct PasswordContext<'a> {
    /// The login name, which begins with the username.
    pub login_name: &'a LoginName,
    /// The email address.
    pub email: &'a Email,
}

impl PasswordContext<'_> {
    /// Returns the names that a password must not be made of, in lower case; a placeholder counts
    /// as the address that it was made from, and a domain in A-labels also as people write it.
    fn names(&self) -> Vec<String> {
        let (username, _) = self.login_name.parts();
        let domain = self.email.domain();
        let at = |domain: &str| format!("{}@{domain}", self.local_part());
        vec![
            self.login_name.as_str().to_owned(),
            username.to_owned(),
            self.email.as_str().to_lowercase(),
            at(domain),
            at(&idna::domain_to_unicode(domain).0),
        ]
    }

    fn local_part(&self) -> &str {
        self.email.as_str().split('@').next().unwrap_or_default()
    }
}

/// A text that somebody claims to be their password, normalized.
pub struct PasswordCandidate(Zeroizing<String>);

/// The longest text that is looked at, in bytes. A character of a normalized password comes from
/// at most four, of at most four bytes each.
const MAX_BYTES: usize = MAXIMUM_LENGTH * 4 * 4;

impl PasswordCandidate {
    /// Takes the text as it was entered, without its line end; an empty one, one that isn't UTF-8
    /// and one that is far too long are nobody's password.
    #[must_use]
    pub fn new(entered: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(entered)
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= MAX_BYTES)?;
        Some(Self(normalized(text)))
    }

    /// Returns the bytes to hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for PasswordCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate(…)")
    }
}

/// A password that meets every requirement.
pub struct Password(PasswordCandidate);

impl Password {
    /// Takes a password for a person, as a file has it or as it was entered.
    ///
    /// # Errors
    /// Every requirement that it doesn't meet, each once and in their order.
    pub fn parse(entered: &[u8], person: &PasswordContext<'_>) -> Result<Self, Vec<Requirement>> {
        let line = without_line_end(entered);
        let text = Zeroizing::new(
            String::from_utf8_lossy(&line[..line.len().min(MAX_BYTES)]).into_owned(),
        );
        let password = normalized(&text);
        let length = password.chars().count();
        if is_utf16(entered) {
            // What its text is isn't known, so nothing else is said of it.
            return Err(vec![Requirement::NotUtf16]);
        }
        let unless = |is_met: bool, requirement| (!is_met).then_some(requirement);
        let unmet = |requirement| match requirement {
            Requirement::Text => unless(std::str::from_utf8(line).is_ok(), requirement),
            Requirement::NotUtf16 | Requirement::Confirmed => None,
            Requirement::NoByteOrderMark => unless(!line.starts_with(BYTE_ORDER_MARK), requirement),
            Requirement::OneLine(_) => {
                control_character(line).map(|found| Requirement::OneLine(Some(found)))
            }
            Requirement::Visible(_) => {
                hidden_character(line).map(|found| Requirement::Visible(Some(found)))
            }
            Requirement::MinimumLength => unless(length >= MINIMUM_LENGTH, requirement),
            Requirement::MaximumLength => {
                unless(length <= MAXIMUM_LENGTH && line.len() <= MAX_BYTES, requirement)
            }
            Requirement::HardToGuess => unless(is_hard_to_guess(&password, person), requirement),
            Requirement::NotOwnName => unless(!is_own_name(&password, person), requirement),
        };
        let unmet: Vec<Requirement> = Requirement::iter().filter_map(unmet).collect();
        if unmet.is_empty() { Ok(Self(PasswordCandidate(password))) } else { Err(unmet) }
    }

    /// Takes a password that was entered twice.
    ///
    /// # Errors
    /// Every requirement that it doesn't meet, [`Requirement::Confirmed`] where the two differ.
    pub fn confirmed(
        entered: &[u8],
        again: &[u8],
        person: &PasswordContext<'_>,
    ) -> Result<Self, Vec<Requirement>> {
        let confirmed = if is_same(entered, again) { vec![] } else { vec![Requirement::Confirmed] };
        match Self::parse(entered, person) {
            Ok(password) if confirmed.is_empty() => Ok(password),
            Ok(_) => Err(confirmed),
            Err(unmet) => Err([unmet, confirmed].concat()),
        }
    }

    /// Returns the password as one that is tried, to see whether a hash is of it already.
    #[must_use]
    pub fn candidate(&self) -> &PasswordCandidate {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whether two entries are one password.
fn is_same(entered: &[u8], again: &[u8]) -> bool {
    let (entered, again) = (without_line_end(entered), without_line_end(again));
    let same =
        |(one, other): (PasswordCandidate, PasswordCandidate)| one.as_bytes() == other.as_bytes();
    entered == again
        || PasswordCandidate::new(entered).zip(PasswordCandidate::new(again)).is_some_and(same)
}

/// Returns what was entered without the one line end of a file.
pub fn without_line_end(entered: &[u8]) -> &[u8] {
    entered.strip_suffix(b"\r\n").or_else(|| entered.strip_suffix(b"\n")).unwrap_or(entered)
}

/// What some editors write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a file is in UTF-16: it says so, or every other byte of it is zero, as with letters of
/// ASCII.
fn is_utf16(file: &[u8]) -> bool {
    let zeros = |odd: usize| file.iter().skip(odd).step_by(2).all(|byte| *byte == 0);
    let is_marked = file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]);
    is_marked || file.len() > 3 && file.len().is_multiple_of(2) && zeros(0) != zeros(1)
}

/// Returns the first line break or other control character (general category Cc, or a line or
/// paragraph separator), also in what isn't UTF-8 as a whole.
fn control_character(line: &[u8]) -> Option<char> {
    let is_one = |c: &char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    line.utf8_chunks().find_map(|chunk| chunk.valid().chars().find(is_one))
}

/// Returns the first character after a byte order mark that nobody sees and nobody types: no blank,
/// none that picks the looks of a sign before it, as emoji have, and none that joins or parts two
/// signs, as Persian, Sinhala and emoji have.
fn hidden_character(line: &[u8]) -> Option<char> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let is_selector = |c: char| matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{180b}'..='\u{180d}' | '\u{e0020}'..='\u{e01ef}');
    let is_sign = |c: char| !is_unseen(c) || is_selector(c);
    let is_one = |c: char| is_unseen(c) && !c.is_control() && !c.is_whitespace() && !is_selector(c);
    line.utf8_chunks().find_map(|chunk| {
        let text = chunk.valid();
        let is_between = |at: usize, c: char| {
            let (before, after) =
                (text[..at].chars().next_back(), text[at + c.len_utf8()..].chars().next());
            before.is_some_and(is_sign) && after.is_some_and(is_sign)
        };
        let joins = |at, c| matches!(c, '\u{200c}' | '\u{200d}') && is_between(at, c);
        text.char_indices().find(|(at, c)| is_one(*c) && !joins(*at, *c)).map(|(_, c)| c)
    })
}

/// Returns the text in NFKC, in memory that was taken once and is overwritten afterwards.
fn normalized(text: &str) -> Zeroizing<String> {
    let length = text.nfkc().map(char::len_utf8).sum();
    let mut normalized = Zeroizing::new(String::with_capacity(length));
    normalized.extend(text.nfkc());
    normalized
}

/// Returns the text in lower case, in memory that was taken once and is overwritten afterwards.
fn lower_case(text: &str) -> Zeroizing<String> {
    let length = text.chars().flat_map(char::to_lowercase).map(char::len_utf8).sum();
    let mut lower = Zeroizing::new(String::with_capacity(length));
    lower.extend(text.chars().flat_map(char::to_lowercase));
    lower
}

/// Whether a text is one of the person's names, or one of them repeated, with or without
/// separators between.
fn is_own_name(password: &str, person: &PasswordContext<'_>) -> bool {
    let password = lower_case(password);
    person.names().iter().any(|name| repeats(&password, name))
}

fn repeats(text: &str, name: &str) -> bool {
    let (mut rest, mut first) = (text, true);
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let between = &rest[..at];
        if between.chars().any(char::is_alphanumeric) || (first && at > 0) {
            return false;
        }
        (rest, first) = (&rest[at + name.len()..], false);
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// The most characters of any text that zxcvbn can be given: its numbers overflow on a walk of more
/// than 32 keys, and its work is exponential in the signs that may stand for letters.
const SCORED_AT_ONCE: usize = 32;

/// Whether a text is hard to guess. A long one that zxcvbn can't be given is if a part of it is.
fn is_hard_to_guess(password: &str, person: &PasswordContext<'_>) -> bool {
    let mut names = person.names();
    names.push(person.local_part().to_owned());
    names.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let known: Vec<&str> =
        names.iter().copied().filter(|name| name.len() <= SCORED_AT_ONCE).collect();
    let is_hard = |part: &str| zxcvbn(part, &known).score() >= MINIMUM_SCORE;
    if password.chars().count() <= SCORED_AT_ONCE {
        return is_hard(password);
    }
    let text = without_names(&lower_case(password), &names);
    if is_scored_whole(&text) { is_hard(&text) } else { parts(repeated_unit(&text)).any(is_hard) }
}

/// Whether zxcvbn can be given a long text: few of its signs may stand for letters, and it is no
/// longer walk over a keyboard, which has no blank and never stays on a key.
fn is_scored_whole(text: &str) -> bool {
    let letters: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let ambiguous = "4@8({[<3691!|705$+7%2".chars().filter(|sign| letters.contains(sign)).count();
    let is_pause = |pair: &[char]| pair[0] == pair[1] || !pair[0].is_ascii_graphic();
    let longest_walk =
        letters.windows(2).collect::<Vec<_>>().split(|pair| is_pause(pair)).map(<[_]>::len).max();
    ambiguous <= 8 && longest_walk.unwrap_or_default() < SCORED_AT_ONCE - 1
}

/// Returns what a text is a repetition of, itself where it is of nothing; the last one may be cut
/// short.
fn repeated_unit(text: &str) -> &str {
    let bytes = text.as_bytes();
    let units =
        text.char_indices().map(|(at, _)| at).skip(1).take_while(|at| at * 2 <= bytes.len());
    units
        .into_iter()
        .find(|at| bytes[*at..] == bytes[..bytes.len() - at])
        .map_or(text, |at| &text[..at])
}

/// Returns a text in lower case with a blank for each of the names, in their order: a name that
/// lies across two parts isn't known for one. Names of three letters and less are in many words.
fn without_names(text: &str, names: &[&str]) -> Zeroizing<String> {
    let telling = names.iter().filter(|name| name.len() > 3);
    telling
        .fold(Zeroizing::new(text.to_owned()), |text, name| Zeroizing::new(text.replace(name, " ")))
}

/// Returns the parts of a text that are scored, at most as many as the longest password has.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let most = MAXIMUM_LENGTH.div_ceil(SCORED_AT_ONCE);
    let starts = text.char_indices().map(|(at, _)| at).step_by(SCORED_AT_ONCE).take(most);
    starts.map(|start| {
        let part = &text[start..];
        part.char_indices().nth(SCORED_AT_ONCE).map_or(part, |(end, _)| &part[..end])
    })
}

/// A password's hash, as a PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash as somebody who hashed made it, or as a store has it.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash is as little to be read in a log as a password.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests;
