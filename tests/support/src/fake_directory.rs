//! The stand-in for a directory, as a test sees it: a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

/// A folder that stands in for a directory.
pub struct Directory {
    folder: PathBuf,
}

impl Directory {
    /// Makes a folder for a directory.
    pub fn in_folder(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("the folder can be made");
        Self { folder }
    }

    /// Returns the address for `--directory`.
    pub fn url(&self) -> String {
        format!("rehearsal://{}", self.folder.display())
    }

    /// Sets how it behaves from now on.
    pub fn behaves(&self, behaviour: &Value) {
        let draft = self.folder.join("behaviour.draft");
        fs::write(&draft, behaviour.to_string()).expect("the folder can be written to");
        fs::rename(draft, self.folder.join("behaviour.json"))
            .expect("the folder can be written to");
    }

    /// Has it take everything and answer at once.
    pub fn has_a_good_day(&self) {
        self.behaves(&json!({}));
    }

    /// Returns what it has of an account.
    pub fn entry(&self, account: &str) -> Option<Value> {
        let text = fs::read(self.folder.join(format!("{account}.json"))).ok()?;
        Some(serde_json::from_slice(&text).expect("entries are put in place whole"))
    }

    /// Has somebody else put in what it has of an account, or take it out.
    pub fn put(&self, account: &str, entry: Option<&Value>) {
        let file = self.folder.join(format!("{account}.json"));
        match entry {
            Some(entry) => {
                fs::write(file, entry.to_string()).expect("the folder can be written to")
            }
            None => fs::remove_file(file).expect("it is there"),
        }
    }

    /// Returns its files by name, with what stands in them and when they were last written.
    pub fn files(&self) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
        let files =
            fs::read_dir(&self.folder).expect("the folder can be read").filter_map(Result::ok);
        let file = |file: fs::DirEntry| {
            let written = file.metadata().ok()?.modified().ok()?;
            Some((
                file.file_name().to_string_lossy().into_owned(),
                (written, fs::read(file.path()).ok()?),
            ))
        };
        files.filter_map(file).collect()
    }
}
