//! Links and pages: everything that a page points at is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::{book, project, read};

/// The pages that GitHub shows, beside the book.
const BESIDE: [&str; 3] = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];

/// Returns a page without its code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
            kept.map(|it| if it == ' ' { '-' } else { it }).collect()
        })
        .collect()
}

/// Returns a path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
        plain
    })
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let pages: Vec<PathBuf> = BESIDE.iter().map(PathBuf::from).chain(book()).collect();
    let texts: BTreeMap<PathBuf, String> =
        pages.iter().map(|page| (page.clone(), read(page))).collect();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = vec![];
    for (page, text) in &texts {
        for found in link.captures_iter(&prose(text)) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = match file {
                "" => page.clone(),
                file => plain(&page.parent().unwrap().join(file)),
            };
            // The book has its own pages alone.
            let leaves_book = page.starts_with("docs") && !at.starts_with("docs");
            let is_there = project().join(&at).exists() && !leaves_book;
            let has_heading = anchor.is_empty()
                || texts.get(&at).is_some_and(|text| anchors(text).contains(anchor));
            if !is_there || !has_heading {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_page_stands_in_the_summary() {
    let summary = read("docs/SUMMARY.md");
    let is_missing = |page: &PathBuf| {
        let page = page.strip_prefix("docs").unwrap().display().to_string();
        page != "SUMMARY.md" && !summary.contains(&format!("]({page})"))
    };
    assert_eq!(book().into_iter().filter(is_missing).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

/// Returns the pages that a reader of the README reaches with two clicks, the README included.
fn within_two_clicks() -> BTreeSet<PathBuf> {
    let link = Regex::new(r"\]\(([^)\s#]+\.md)").unwrap();
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    for _ in 0..2 {
        let next = reached.iter().flat_map(|page| {
            let text = prose(&read(page));
            let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
            let targets = targets.filter(|target| !target.contains("://"));
            targets.map(|file| plain(&page.parent().unwrap().join(file))).collect::<Vec<_>>()
        });
        let next: Vec<PathBuf> = next.collect();
        reached.extend(next);
    }
    reached
}

#[test]
fn what_newcomers_ask_is_two_clicks_from_a_short_readme() {
    assert!(read("README.md").lines().count() <= 120, "the README has more than 120 lines");
    let reached = within_two_clicks();
    for (question, page, heading) in [
        ("how to install", "how-to/install.md", "install"),
        ("how to off-board from Git", "how-to/gitops.md", "a-leaver-off-boarding-in-two-commits"),
        ("what InheritanceCycle means", "reference/conditions.md", "inheritancecycle"),
        (
            "what the operator may read",
            "reference/operator-rights.md",
            "what-the-operator-may-do-in-the-cluster",
        ),
        (
            "what happens to accounts without CRDs",
            "how-to/uninstall.md",
            "what-happens-to-accounts-when-the-crds-are-deleted",
        ),
        ("how to restore", "how-to/backup-restore.md", "restore"),
    ] {
        let page = Path::new("docs").join(page);
        assert!(reached.contains(&page), "{question}: {} is too far", page.display());
        assert!(anchors(&read(&page)).contains(heading), "{question}: #{heading} is missing");
    }
}
