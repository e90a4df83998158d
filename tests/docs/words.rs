//! The words: one for each idea, and every dependency with its reason.

use std::collections::BTreeSet;
use std::path::PathBuf;

use regex::Regex;
use serde_json::Value;

use super::{GENERATED, book, read};

/// Names that were replaced, as far as they mean nothing else.
const OLD_NAMES: &str = r"roster_(queue_objects|entries_waiting|deliveries|plans|api_writes)\w*|\b(courier|elector|tenure|deposed|dependants|brownfield|bad[ _]day|everything was listed, starting|a watch broke|may not work any more|left without an answer)\b";

/// Prose in which the doer has no name.
const NAMELESS: &str =
    r"\b(whoever|somebody|what is said|lets? go of|is left alone|are left alone)\b";

/// Returns the pages that people write.
fn written() -> impl Iterator<Item = (PathBuf, String)> {
    let beside = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(PathBuf::from);
    let all = book().into_iter().chain(beside).map(|page| (page.clone(), read(page)));
    // The demo's page is what programs print.
    all.filter(|(page, text)| !page.ends_with("demo.md") && !text.contains(GENERATED))
}

fn found(pattern: &str, pages: impl Iterator<Item = (PathBuf, String)>) -> Vec<String> {
    let pattern = Regex::new(&format!("(?i){pattern}")).unwrap();
    let mut all = vec![];
    for (page, text) in pages {
        for (number, line) in text.lines().enumerate() {
            let words = pattern.find_iter(line).map(|word| word.as_str().to_owned());
            all.extend(words.map(|word| format!("{}:{}: {word}", page.display(), number + 1)));
        }
    }
    all
}

#[test]
fn no_page_uses_a_name_that_was_replaced() {
    let pages = book().into_iter().map(|page| (page.clone(), read(page)));
    assert_eq!(found(OLD_NAMES, pages), Vec::<String>::new());
}

#[test]
fn written_pages_name_the_doer() {
    assert_eq!(found(NAMELESS, written()), Vec::<String>::new());
}

#[test]
fn every_dependency_has_its_reason() {
    let cargo = read("Cargo.toml");
    let mut named = BTreeSet::new();
    for section in ["dependencies", "dev-dependencies"] {
        let start = cargo.find(&format!("\n[{section}]\n")).unwrap() + section.len() + 4;
        let lines = cargo[start..].lines().take_while(|line| !line.starts_with('['));
        named.extend(
            lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()),
        );
    }
    let row = Regex::new(r"(?m)^\| ([a-z0-9_-]+) \| ").unwrap();
    let page = read("docs/decisions/0036-dependencies.md");
    let explained: BTreeSet<String> =
        row.captures_iter(&page).map(|row| row[1].to_owned()).filter(|it| it != "crate").collect();
    assert_eq!(named, explained);
}

#[test]
fn every_example_names_its_schema() {
    let modeline = Regex::new(r"(?m)^# yaml-language-server: \$schema=\.\./(\S+)$").unwrap();
    let folder = super::project().join("examples");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        for document in read(&file).split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            let schema = modeline.captures(document).map(|found| found[1].to_owned());
            let is_ours = object["apiVersion"] == "roster.rs/v1alpha1";
            let expected = is_ours.then(|| format!("schemas/{kind}.json"));
            assert_eq!(schema, expected, "{}", file.display());
        }
    }
}
