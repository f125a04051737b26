//! The pages for people name files and folders that are there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGES: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "deploy/README.md", "docs/plugins.md", "examples/README.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What stands between two backticks, outside of code blocks, and behind `](`.
fn spans(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| {
            let quoted = prose.split('`').skip(1).step_by(2);
            quoted.chain(prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
        })
        .collect()
}

/// The path that a span means, if it means one: its first part is a folder beside the page or of the checkout.
fn path(page: &Path, span: &str) -> Option<PathBuf> {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    let (first, _) = span.split_once('/').filter(|_| plain)?;
    [page.parent()?, root()]
        .into_iter()
        .find(|folder| !first.is_empty() && folder.join(first).is_dir())
        .map(|it| it.join(span))
}

#[test]
fn every_path_on_a_page_exists() {
    let (mut missing, mut found) = (BTreeSet::new(), 0);
    for page in PAGES {
        let file = root().join(page);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
        for span in spans(&text) {
            let Some(path) = path(&file, span) else { continue };
            found += 1;
            // A module is a file or a folder; what is built is nowhere yet.
            if !path.exists() && !path.with_extension("rs").exists() && !span.contains("/dist") {
                missing.insert(format!("{page}: {span}"));
            }
        }
    }
    assert!(found > 50, "only {found} paths were found");
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn a_path_that_is_not_there_is_seen() {
    let page = root().join("README.md");
    let all: Vec<_> = spans("`flow/nothing` and [a](xtask/none) but ```flow/code``` `POST /x` `a/b`")
        .into_iter()
        .filter_map(|span| path(&page, span))
        .collect();
    assert_eq!(all, [root().join("flow/nothing"), root().join("xtask/none")]);
}
