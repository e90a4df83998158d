//! The documents of a text, split and read as `kubectl` does it, each with the lines of its fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Spanned};

use super::files::MAX_NODES;
use crate::cli::Failure;

/// A document of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Where it stands.
    pub(super) file: String,
    /// What stands there.
    pub(super) value: Value,
    /// What its author should know, though `kubectl` reads it.
    pub(super) notes: Vec<String>,
    /// The line of each field, by its path, such as `spec.teams[0]`; its own under nothing.
    lines: BTreeMap<String, u64>,
}

/// A document that can't be read, or that is no object of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnreadableDocument {
    pub(super) place: SourceLocation,
    pub(super) message: String,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) documents: Vec<Document>,
    pub(super) unreadable: Vec<UnreadableDocument>,
    /// What `kubectl` doesn't read of the files.
    pub(super) ignored: Vec<String>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceLocation {
    /// The file; `-` is standard input.
    pub(super) file: String,
    /// The line, from 1 on.
    pub(super) line: u64,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Document {
    /// Returns the file and the line that a field stands at, else the nearest one around it.
    pub(super) fn place(&self, path: &str) -> SourceLocation {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return SourceLocation { file: self.file.clone(), line: *line };
            }
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
            if path.is_empty() {
                return SourceLocation {
                    file: self.file.clone(),
                    line: self.lines.get("").copied().unwrap_or(1),
                };
            }
        }
    }

    /// Returns the documents of which this one is a list, else itself. `kubectl` takes each
    /// document with `items` for a list, whatever its kind, and gives the items of a typed list
    /// their kind.
    ///
    /// # Errors
    /// When a list has no items, or an item is no object.
    pub(super) fn items(self) -> Result<Vec<Self>, UnreadableDocument> {
        let text = |field: &str| self.value[field].as_str().unwrap_or_default().to_owned();
        let (kind, api_version) = (text("kind"), text("apiVersion"));
        let Some(items) = self.value["items"].as_array() else {
            if !kind.ends_with("List") {
                return Ok(vec![self]);
            }
            let message = format!("a {kind} has its objects in items, which is a list");
            return Err(UnreadableDocument { place: self.place("items"), message });
        };
        let item_kind = kind.strip_suffix("List").unwrap_or_default();
        let mut found = vec![];
        for (number, value) in items.iter().enumerate() {
            let path = format!("items[{number}]");
            let Some(fields) = value.as_object() else {
                let message = format!("{path} is no object of Kubernetes");
                return Err(UnreadableDocument { place: self.place(&path), message });
            };
            if fields.get("items").is_some_and(Value::is_array) {
                let message = format!("{path} is a list itself, which kubectl doesn't read");
                return Err(UnreadableDocument { place: self.place(&path), message });
            }
            let mut fields = fields.clone();
            if !item_kind.is_empty() {
                fields.entry("kind").or_insert_with(|| item_kind.into());
                fields.entry("apiVersion").or_insert_with(|| api_version.clone().into());
            }
            found.push(Self {
                file: self.file.clone(),
                value: fields.into(),
                notes: self.notes.clone(),
                lines: self.lines_below(&path),
            });
        }
        Ok(found)
    }

    /// Returns the lines of a part's fields, by their paths within it.
    fn lines_below(&self, part: &str) -> BTreeMap<String, u64> {
        let within = |(path, line): (&String, &u64)| {
            let rest = path.strip_prefix(part)?;
            let is_below = rest.is_empty() || rest.starts_with(['.', '[']);
            is_below.then(|| (rest.strip_prefix('.').unwrap_or(rest).to_owned(), *line))
        };
        let below = self.lines.range(part.to_owned()..);
        below.take_while(|(path, _)| path.starts_with(part)).filter_map(within).collect()
    }
}

impl Documents {
    /// Adds the documents of a file, of which so many more values may be made. A message quotes
    /// nothing of it: it may hold a Secret.
    ///
    /// # Errors
    /// When there are too many values.
    pub(super) fn add(&mut self, file: &str, text: &str, left: &mut usize) -> Result<(), Failure> {
        for Part { line, content } in parts(text) {
            let place = |line| SourceLocation { file: file.to_owned(), line };
            match content {
                Content::Json(text) => {
                    self.add_part(place(line), &without_surrogates(text), left)?
                }
                Content::Yaml(text) => {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                    let (text, rest) = at_document_end(text);
                    if rest
                        .lines()
                        .any(|line| !line.trim().is_empty() && !line.starts_with(['#', '%']))
                    {
                        let place = place(line + count_lines(text));
                        self.ignored.push(format!("{place}: kubectl doesn't read what stands below the end of a document (...): begin it with a line ---"));
                    }
                    match go_yaml_refuses(text) {
                        Some((below, message)) => {
                            self.unreadable
                                .push(UnreadableDocument { place: place(line + below), message });
                        }
                        None => self.add_part(place(line), text, left)?,
                    }
                }
                Content::Refused(message) => {
                    self.unreadable.push(UnreadableDocument {
                        place: place(line),
                        message: message.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds the first document of a part; `kubectl` reads no other of it.
    fn add_part(
        &mut self,
        begin: SourceLocation,
        text: &str,
        left: &mut usize,
    ) -> Result<(), Failure> {
        let SourceLocation { file, line } = begin;
        let above = line - 1;
        let nodes = match parse_yaml(text, *left) {
            Ok(nodes) => nodes,
            Err(YamlError::TooLarge) => return Err(too_many(&file)),
            Err(YamlError::Malformed { line, message }) => {
                let place = SourceLocation { file, line: above + line };
                self.unreadable.push(UnreadableDocument { place, message });
                return Ok(());
            }
        };
        // With what its aliases stand for.
        let values = nodes.iter().map(|node| node.value.count()).sum();
        *left = left.checked_sub(values).ok_or_else(|| too_many(&file))?;
        let Some(node) = nodes.into_iter().find(|node| !node.value.is_null()) else {
            return Ok(());
        };
        let (mut lines, mut twice) = (BTreeMap::new(), vec![]);
        let value =
            value_of(node, String::new(), &mut Fields { lines: &mut lines, twice: &mut twice });
        lines.values_mut().for_each(|line| *line += above);
        let told = twice.into_iter().map(|(path, line)| {
            format!("{file}:{}: {path} stands there twice; kubectl takes the last", above + line)
        });
        let notes = told.collect();
        self.documents.push(Document { file, value, notes, lines });
        Ok(())
    }
}

fn too_many(file: &str) -> Failure {
    format!("{file}: with it, there are more than {MAX_NODES} values to read: plan it in parts")
        .into()
}

/// A part of a file, which begins at a line.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    line: u64,
    content: Content<'a>,
}

#[derive(Debug, PartialEq)]
enum Content<'a> {
    Json(&'a str),
    Yaml(&'a str),
    Refused(&'static str),
}

/// Splits a text as `kubectl` does (`YAMLOrJSONDecoder` of k8s.io/apimachinery): one JSON object
/// after another, or, where there is at most one of these, YAML between lines that begin with
/// `---`.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut begin) = (vec![], 0);
    let line_at = |at: usize| 1 + count_lines(&text[..at]);
    if text.trim_start().starts_with('{') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        while let Some(Ok(_)) = stream.next() {
            let end = stream.byte_offset();
            parts.push(Part { line: line_at(begin), content: Content::Json(&text[begin..end]) });
            begin = end;
        }
    }
    let rest = &text[begin..];
    if rest.trim().is_empty() {
        return parts;
    }
    if parts.len() > 1 {
        let message = "kubectl reads one JSON object after another here, and this isn't one: put the rest into a file of its own";
        let line = line_at(text.len() - rest.trim_start().len());
        parts.push(Part { line, content: Content::Refused(message) });
        return parts;
    }
    // What ends the line of the JSON object belongs to it.
    let skipped = match parts.is_empty() {
        true => 0,
        false => rest.find(|c: char| c == '\n' || !c.is_whitespace()).unwrap_or_default(),
    };
    let skipped = skipped + usize::from(!parts.is_empty() && rest[skipped..].starts_with('\n'));
    begin += skipped;
    parts.extend(yaml_parts(&text[begin..], line_at(begin)));
    parts
}

fn yaml_parts(text: &str, first_line: u64) -> Vec<Part<'_>> {
    let (mut parts, mut begin, mut begin_line, mut at, mut line) =
        (vec![], 0, first_line, 0, first_line);
    let mut close = |from: usize, to: usize, line: u64| {
        if from < to {
            parts.push(Part { line, content: Content::Yaml(&text[from..to]) });
        }
    };
    let mut refused = vec![];
    for content in text.split_inclusive('\n') {
        if let Some(rest) = content.strip_prefix("---") {
            close(begin, at, begin_line);
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                let message = "a line that begins with --- separates documents and holds nothing else but a comment: put the rest on a line of its own";
                refused.push(Part { line, content: Content::Refused(message) });
            }
            (begin, begin_line) = (at + content.len(), line + 1);
        }
        at += content.len();
        line += 1;
    }
    close(begin, text.len(), begin_line);
    parts.extend(refused);
    parts.sort_by_key(|part| part.line);
    parts
}

/// Splits a text at the line that ends its first document.
fn at_document_end(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.strip_prefix("...").is_some_and(|rest| rest.trim().is_empty()) {
            return (&text[..at], &text[at + line.len()..]);
        }
        at += line.len();
    }
    (text, "")
}

fn count_lines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// Returns a JSON text with U+FFFD for each escaped half of a surrogate pair that lacks the other,
/// as Go reads it.
fn without_surrogates(text: &str) -> std::borrow::Cow<'_, str> {
    let half = |at: usize| escaped_unit(text, at).filter(|unit| (0xd800..0xe000).contains(unit));
    let (mut out, mut kept) = (String::new(), 0);
    let mut escapes = escapes(text).peekable();
    while let Some(at) = escapes.next() {
        let Some(unit) = half(at) else { continue };
        let next = escapes.peek().copied().filter(|next| *next == at + 6).and_then(half);
        if unit < 0xdc00 && next.is_some_and(|low| low >= 0xdc00) {
            escapes.next();
            continue;
        }
        out += &text[kept..at];
        out += "\\ufffd";
        kept = at + 6;
    }
    if kept == 0 { text.into() } else { (out + &text[kept..]).into() }
}

/// Returns where the escapes of a text begin; a backslash that is escaped begins none.
fn escapes(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'\\')?;
        at += 2;
        Some(at - 2)
    })
}

/// Returns the code unit that an escape such as `\u00e4` stands for.
fn escaped_unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// Returns what Go's YAML refuses in double quotes though YAML 1.2 has it, with how many lines are
/// above it.
fn go_yaml_refuses(text: &str) -> Option<(u64, String)> {
    let odd = |at: &usize| {
        let surrogate =
            escaped_unit(text, *at).is_some_and(|unit| (0xd800..0xe000).contains(&unit));
        surrogate || text[*at..].starts_with("\\/")
    };
    for at in escapes(text).filter(odd) {
        // Outside of double quotes it is no escape: nothing is wrong with one that isn't known.
        let planted = format!("{}\\q{}", &text[..at], &text[at + 2..]);
        if parse_yaml(text, MAX_NODES).is_ok() && parse_yaml(&planted, MAX_NODES).is_err() {
            let message = match text[at..].starts_with("\\/") {
                true => "kubectl doesn't know the escape \\/ in YAML: write / alone",
                false => {
                    "kubectl doesn't know an escaped half of a surrogate pair in YAML: write the character itself, or \\U with its eight digits"
                }
            };
            return Some((count_lines(&text[..at]), message.to_owned()));
        }
    }
    None
}

/// Why a part can't be read.
enum YamlError {
    TooLarge,
    Malformed { line: u64, message: String },
}

/// Parses the documents of a part of a file, of which so many values may be made.
fn parse_yaml(text: &str, left: usize) -> Result<Vec<Spanned<Node>>, YamlError> {
    // The text is at hand already, so what it may hold is bounded by its length.
    let most = text.len().max(1024);
    let options = serde_saphyr::options! {
        with_snippet: false,
        // Go's YAML takes the last of them.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! {
            max_documents: most,
            max_nodes: most.min(left),
            max_events: most.saturating_mul(4),
            // An address may be everybody's; how much all aliases together stand for is bounded all
            // the same.
            enforce_alias_anchor_ratio: false,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let mut cause = error.without_snippet();
        // Of what an alias stands for.
        while let Error::AliasError { error, .. } = cause {
            cause = error;
        }
        if matches!(cause, Error::Budget { breach: BudgetBreach::Nodes { .. }, .. }) {
            return YamlError::TooLarge;
        }
        let line = error.location().map_or(1, |location| location.line());
        YamlError::Malformed { line, message: in_words(cause) }
    })
}

/// Returns what is wrong with a text, for who writes YAML.
fn in_words(cause: &Error) -> String {
    match cause {
        Error::NonFiniteFloat { .. } => {
            "a number that JSON doesn't have: quote it, if it is a text".to_owned()
        }
        Error::NullIntoString { .. } => "a field has no name: a null can't be one".to_owned(),
        Error::UnknownAnchor { .. } => {
            "an alias (*) of an anchor (&) that isn't above it".to_owned()
        }
        Error::Unexpected { .. } => "a field's name is a text, not a list or a map".to_owned(),
        Error::TaggedScalarCannotDeserializeIntoString { .. } => {
            "a tag (!!) that kubectl doesn't know here: leave it out, and quote what is a text"
                .to_owned()
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => "its aliases stand for too much".to_owned(),
        cause => {
            let text = cause.to_string();
            // The line stands before the message already.
            let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
            format!("not YAML: {text}")
        }
    }
}

/// A value and where its parts stand.
#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    /// Returns how many values it is, keys among them.
    fn count(&self) -> usize {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::List(items) => items.iter().map(|item| item.value.count()).sum::<usize>(),
            Self::Map(fields) => fields.iter().map(|(_, value)| 1 + value.value.count()).sum(),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(Value::Null))
    }
}

/// What is told of the fields of a document: the line of each, and which of them stand there twice.
struct Fields<'a> {
    lines: &'a mut BTreeMap<String, u64>,
    twice: &'a mut Vec<(String, u64)>,
}

fn value_of(node: Spanned<Node>, path: String, told: &mut Fields<'_>) -> Value {
    told.lines.entry(path.clone()).or_insert(node.referenced.line());
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let item = |(number, item)| value_of(item, format!("{path}[{number}]"), told);
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Node::Map(fields) => {
            let mut object = serde_json::Map::new();
            for (key, value) in fields {
                let below = if path.is_empty() {
                    key.value.clone()
                } else {
                    format!("{path}.{}", key.value)
                };
                let line = key.referenced.line();
                if object.contains_key(&key.value) {
                    told.twice.push((below.clone(), line));
                }
                // A list or a map begins on the line after its key.
                told.lines.insert(below.clone(), line);
                object.insert(key.value, value_of(value, below, told));
            }
            Value::Object(object)
        }
    }
}
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = vec![];
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = vec![];
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests;
