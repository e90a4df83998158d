//! What people type, paste and mount, with the verdict of each: the lines of `corpus.txt`, whose
//! head says how they are written.

/// A form that something was written in.
#[derive(Debug)]
pub struct Form {
    /// What it is a form of, such as `email`.
    pub kind: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What becomes of a form.
#[derive(Debug)]
pub enum Verdict {
    /// It is taken as it is.
    Taken,
    /// It is taken as this.
    As(String),
    /// It is refused because nobody sees anything of it.
    Unseen,
    /// It is refused with these words.
    Refused(String),
}

impl Form {
    /// Returns the form as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("only passwords have other bytes")
    }
}

/// Returns every form.
pub fn forms() -> Vec<Form> {
    let lines = include_str!("corpus.txt")
        .split('\n')
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(form).collect()
}

fn form(line: &'static str) -> Form {
    let mut parts = line.splitn(3, " | ");
    let (Some(kind), Some(verdict), Some(value)) = (parts.next(), parts.next(), parts.next())
    else {
        panic!("{line}: write KIND | VERDICT | VALUE")
    };
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a verdict is text");
    let verdict = match verdict.split_at(verdict.find(' ').unwrap_or(verdict.len())) {
        ("ok", "") => Verdict::Taken,
        ("unseen", "") => Verdict::Unseen,
        ("=", text) => Verdict::As(words(unescaped(&text[1..]))),
        ("!", text) => Verdict::Refused(words(unescaped(&text[1..]))),
        _ => panic!("{line}: there is no such verdict"),
    };
    Form { kind, verdict, bytes: unescaped(value) }
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (vec![], text);
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        rest = &rest[at..];
        if let Some((number, after)) =
            rest.strip_prefix("\\u{").and_then(|rest| rest.split_once('}'))
        {
            let number = u32::from_str_radix(number, 16).expect("a number in hexadecimal");
            bytes.extend(char::from_u32(number).expect("a character").to_string().bytes());
            rest = after;
        } else {
            let number =
                rest.strip_prefix("\\x").and_then(|rest| rest.get(..2)).expect("\\u{…} or \\xNN");
            bytes.push(u8::from_str_radix(number, 16).expect("a byte in hexadecimal"));
            rest = &rest[4..];
        }
    }
    bytes.extend(rest.bytes());
    bytes
}
