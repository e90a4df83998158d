//! The texts of files, folders and standard input, as `kubectl apply -R -f` reads them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::documents::Documents;
use crate::cli::Failure;

/// How a folder's manifests end, as `kubectl apply -R -f` has it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// How much is read in all, in bytes. What is made of it takes many times as much memory.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How many values are read in all: each takes a few hundred bytes, however short it is.
pub(super) const MAX_NODES: usize = 2_000_000;

/// How many files are read.
const MAX_FILES: usize = 50_000;

/// How many folders may lie within each other.
const MAX_DEPTH: usize = 64;

/// How long a pipe may have no writer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the documents of files, of folders with what is below them, and of standard input (`-`),
/// in this order.
///
/// # Errors
/// When something can't be read, a folder has no manifest, or nothing has an object.
pub(super) fn read(paths: &[PathBuf]) -> Result<Documents, Failure> {
    let mut documents = Documents::default();
    let mut left = ReadBudget { bytes: MAX_BYTES, files: MAX_FILES, nodes: MAX_NODES };
    for path in paths {
        let files =
            if path.as_os_str() == "-" { vec![path.clone()] } else { files_of(path, &mut left)? };
        for file in files {
            let text = text_of(&file, &mut left)?;
            documents.add(&file.display().to_string(), &text, &mut left.nodes)?;
        }
    }
    if documents.documents.is_empty() && documents.unreadable.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("{}: there is no object in it", names.join(", ")).into());
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
    let (mut bytes, mut part, mut byte_order) = (vec![], vec![0; 64 * 1024], None);
    loop {
        let read = match reader.read(&mut part).map_err(unreadable)? {
            0 => break,
            read => &part[..read],
        };
        if bytes.is_empty() {
            byte_order = ByteOrder::of(read);
        }
        if byte_order.is_none() && read.contains(&0) {
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
    let text = match byte_order {
        Some(order) => order.decode(&bytes),
        // What isn't UTF-8 becomes U+FFFD, as kubectl reads it.
        None => String::from_utf8_lossy(&bytes).into_owned(),
    };
    // Editors on Windows begin a file so.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The order of the bytes of a text in UTF-16, as the `>` of Windows PowerShell writes.
#[derive(Clone, Copy)]
enum ByteOrder {
    LittleEndian,
    BigEndian,
}

impl ByteOrder {
    /// Returns the order that a byte order mark tells, with which a text in UTF-16 begins.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, ..] => Some(Self::LittleEndian),
            [0xfe, 0xff, ..] => Some(Self::BigEndian),
            _ => None,
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        let unit = |pair: &[u8; 2]| match self {
            Self::LittleEndian => u16::from_le_bytes(*pair),
            Self::BigEndian => u16::from_be_bytes(*pair),
        };
        let units = bytes.as_chunks().0.iter().map(unit);
        char::decode_utf16(units)
            .map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
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
        Err(_) => Err(format!("{}: a pipe that nothing is written to", file.display()).into()),
    }
}

#[cfg(test)]
mod tests;
