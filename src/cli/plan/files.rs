//! Manifests from files, folders and standard input, each with the line that it begins at.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Spanned};

use crate::cli::Failure;

/// How a folder's manifests end, as `kubectl apply -R -f` has it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// How much is read in all, in bytes. What is made of it takes many times as much memory.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How many values are read in all: each takes a few hundred bytes, however short it is.
const MAX_NODES: usize = 2_000_000;

/// How many files are read.
const MAX_FILES: usize = 50_000;

/// How many folders may lie within each other.
const MAX_DEPTH: usize = 64;

/// How long a pipe may have no writer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A document of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Where it stands.
    pub(super) file: String,
    /// What stands there.
    pub(super) value: Value,
    /// The line of each field, by its path, such as `spec.teams[0]`; its own under nothing.
    lines: BTreeMap<String, u64>,
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

    /// Returns the documents of which this one is a `List`, else itself.
    pub(super) fn items(self) -> Vec<Self> {
        let is_list = self.value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        let Some(items) = self.value["items"].as_array().filter(|_| is_list) else {
            return vec![self];
        };
        let item = |(number, value): (usize, &Value)| {
            let prefix = format!("items[{number}]");
            let below = |(path, line): (&String, &u64)| {
                let rest = path.strip_prefix(&prefix)?;
                let is_below = rest.is_empty() || rest.starts_with(['.', '[']);
                is_below.then(|| (rest.strip_prefix('.').unwrap_or(rest).to_owned(), *line))
            };
            let lines = self
                .lines
                .range(prefix.clone()..)
                .take_while(|(path, _)| path.starts_with(&prefix))
                .filter_map(below);
            Self { file: self.file.clone(), value: value.clone(), lines: lines.collect() }
        };
        items.iter().enumerate().map(item).collect()
    }
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

/// Reads the documents of files, of folders with what is below them, and of standard input (`-`),
/// in this order.
///
/// # Errors
/// When something can't be read, isn't YAML or JSON, or a folder has no manifest.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let (mut documents, mut left) =
        (vec![], ReadBudget { bytes: MAX_BYTES, files: MAX_FILES, nodes: MAX_NODES });
    for path in paths {
        let files =
            if path.as_os_str() == "-" { vec![path.clone()] } else { files_of(path, &mut left)? };
        for file in files {
            let text = text_of(&file, &mut left)?;
            documents.extend(parse(&file.display().to_string(), &text, &mut left.nodes)?);
        }
    }
    Ok(documents)
}

/// How much more may be read.
struct ReadBudget {
    bytes: usize,
    files: usize,
    nodes: usize,
}

fn files_of(path: &Path, left: &mut ReadBudget) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    if !path.metadata().map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = vec![];
    collect(path, MAX_DEPTH, left, &mut files)?;
    if files.is_empty() {
        return Err(format!(
            "{}: the folder has no file that ends in .yaml, .yml or .json",
            path.display()
        )
        .into());
    }
    Ok(files)
}

/// Collects the manifests below a folder, by name.
fn collect(
    folder: &Path,
    deeper: usize,
    left: &mut ReadBudget,
    files: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    if deeper == 0 {
        return Err(format!(
            "{}: more than {MAX_DEPTH} folders lie within each other: name one of them",
            folder.display()
        )
        .into());
    }
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries =
        folder.read_dir().map_err(unreadable)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort();
    // A mounted ConfigMap has its files in folders whose names begin so, and links to them beside
    // these.
    let is_hidden = |entry: &PathBuf| {
        entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
    };
    for entry in entries.into_iter().filter(|entry| !is_hidden(entry)) {
        // A link to a folder isn't followed: it may lead back.
        if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, deeper - 1, left, files)?;
        } else if !entry.is_dir()
            && entry.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
        {
            left.files = left.files.checked_sub(1).ok_or_else(|| {
                format!("{}: more than {MAX_FILES} manifests: plan them in parts, a folder after the other", folder.display())
            })?;
            files.push(entry);
        }
    }
    Ok(())
}

/// Reads a file as text, as far as there is room.
fn text_of(file: &Path, left: &mut ReadBudget) -> Result<String, Failure> {
    let failed = |what: &str| format!("{}: {what}", file.display());
    let unreadable = |error: std::io::Error| failed(&error.to_string());
    let mut reader: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(open(file)?),
    };
    let (mut bytes, mut part) = (vec![], vec![0; 64 * 1024]);
    loop {
        let read = match reader.read(&mut part).map_err(unreadable)? {
            0 => break,
            read => &part[..read],
        };
        if bytes.is_empty() && (read.starts_with(&[0xff, 0xfe]) || read.starts_with(&[0xfe, 0xff]))
        {
            return Err(failed(
                "in UTF-16, as the > of Windows PowerShell writes: save it as UTF-8",
            )
            .into());
        }
        if read.contains(&0) {
            return Err(failed(
                "not YAML or JSON: it has a byte that is zero, as what isn't text has",
            )
            .into());
        }
        left.bytes = left.bytes.checked_sub(read.len()).ok_or_else(|| {
            let most = MAX_BYTES / 1024 / 1024;
            failed(&format!("with it, there is more than {most} MiB to read: plan it in parts"))
        })?;
        bytes.extend_from_slice(read);
    }
    let text =
        String::from_utf8(bytes).map_err(|_| failed("not YAML or JSON: it isn't text in UTF-8"))?;
    // Editors on Windows begin a file so.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Opens a file; a pipe only where it has a writer.
fn open(file: &Path) -> Result<File, Failure> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", file.display());
    if !file.metadata().map_err(unreadable)?.file_type().is_fifo() {
        return Ok(File::open(file).map_err(unreadable)?);
    }
    let (opened, news) = mpsc::channel();
    let path = file.to_owned();
    std::thread::spawn(move || opened.send(File::open(path)));
    match news.recv_timeout(TIMEOUT) {
        Ok(opened) => Ok(opened.map_err(unreadable)?),
        Err(_) => Err(format!("{}: a pipe into which nobody writes", file.display()).into()),
    }
}

/// Parses the documents of a file. A message quotes nothing of it: it may hold a Secret.
fn parse(file: &str, text: &str, left: &mut usize) -> Result<Vec<Document>, Failure> {
    let (mut documents, mut above) = (vec![], 0);
    for object in objects(text).unwrap_or_else(|| vec![text]) {
        documents.extend(parse_yaml(file, object, (above, &mut *left))?);
        above += object.bytes().filter(|byte| *byte == b'\n').count() as u64;
    }
    Ok(documents)
}

/// Returns the parts of a text that is one JSON object after another, as `jq` prints them; together
/// they are the text.
fn objects(text: &str) -> Option<Vec<&str>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut parts, mut begin) = (vec![], 0);
    while let Some(object) = stream.next() {
        object.ok()?;
        parts.push(text.get(begin..stream.byte_offset())?);
        begin = stream.byte_offset();
    }
    Some(parts)
}

/// Parses the documents of a part of a file that has so many lines above it, of which so many more
/// values may be made.
fn parse_yaml(
    file: &str,
    text: &str,
    (above, left): (u64, &mut usize),
) -> Result<Vec<Document>, Failure> {
    // The text is at hand already, so what it may hold is bounded by its length.
    let most = text.len().max(1024);
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_documents: most,
            max_nodes: most.min(*left),
            max_events: most.saturating_mul(4),
            // An address may be everybody's; how much all aliases together stand for is bounded all
            // the same.
            enforce_alias_anchor_ratio: false,
        },
    };
    let too_many = || {
        format!("{file}: with it, there are more than {MAX_NODES} values to read: plan it in parts")
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| {
            let mut cause = error.without_snippet();
            // Of what an alias stands for.
            while let Error::AliasError { error, .. } = cause {
                cause = error;
            }
            if matches!(cause, Error::Budget { breach: BudgetBreach::Nodes { .. }, .. }) {
                return too_many();
            }
            let line = error.location().map_or(1, |location| location.line());
            format!("{file}:{}: {}", above + line, error.without_snippet())
        })?;
    // With what its aliases stand for.
    let values = nodes.iter().map(|node| node.value.count()).sum();
    *left = left.checked_sub(values).ok_or_else(too_many)?;
    let document = |node: Spanned<Node>| {
        let mut lines = BTreeMap::new();
        let value = value_of(node, String::new(), &mut lines);
        lines.values_mut().for_each(|line| *line += above);
        Document { file: file.to_owned(), value, lines }
    };
    Ok(nodes.into_iter().map(document).collect())
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
}

fn value_of(node: Spanned<Node>, path: String, lines: &mut BTreeMap<String, u64>) -> Value {
    lines.entry(path.clone()).or_insert(node.referenced.line());
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let item = |(number, item)| value_of(item, format!("{path}[{number}]"), lines);
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
                // A list or a map begins on the line after its key.
                lines.insert(below.clone(), key.referenced.line());
                object.insert(key.value, value_of(value, below, lines));
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
