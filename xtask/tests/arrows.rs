//! The walls of `ARCHITECTURE.md`, checked: which crate may depend on which, and which room may name what. The rules are
//! data (`arrows.json`); a rule that could not fail is found by planting its violation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// Crate to the crates of ours that it may depend on; `*` stands for every guest.
    crates: BTreeMap<String, BTreeSet<String>>,
    foreign: Vec<Foreign>,
    walls: Vec<Wall>,
    exceptions: Vec<Exception>,
    /// What no module, file or crate is called.
    names: Vec<String>,
}

/// Crates that one crate does without, through all of its dependencies.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    #[serde(rename = "crate")]
    name: String,
    without: Vec<String>,
    why: String,
}

/// Paths that no file of these rooms names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wall {
    rooms: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    words: Vec<String>,
    why: String,
}

/// The paths behind a wall that a room may name all the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    room: String,
    word: String,
    only: Vec<String>,
    #[serde(rename = "why")]
    _why: String,
}

fn rules() -> Rules {
    serde_json::from_str(include_str!("arrows.json")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What cargo prints in a folder of the checkout.
fn cargo(folder: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).current_dir(root().join(folder)).args(arguments).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every Rust file below the folders that hold code, by its path in the checkout.
fn sources() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["flow", "proto", "host-server", "host-agent", "plugins", "xtask"].iter().map(|it| root().join(it)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                files.insert(name, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// The text with comments and the insides of string literals blanked; lines stay where they are.
fn code(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw_string(rest),
            '"' => string(rest),
            // A quote inside a character would open a string.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            _ => 0,
        };
        if skipped == 0 {
            kept.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            kept.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    kept
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the string literal that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of the raw string literal that `text` begins with; 0 where it is a raw identifier.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// Where `code` names the module, crate or type `word` as a part of a path: the line, and the path from there on.
fn mentions(code: &str, word: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(word) {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        if ends_in_word(before) || after.starts_with(is_word) {
            continue;
        }
        let (led, follows) = (before.trim_end(), after.trim_start());
        let named = match led.strip_suffix("::") {
            // `host::link` is somebody else's `link`.
            Some(root) => ["crate", "super", "self", "std"].iter().any(|it| root.ends_with(it)) || !ends_in_word(root),
            None => follows.starts_with("::") || follows.starts_with("as "),
        };
        if named || word.contains("::") || word.starts_with(char::is_uppercase) {
            let path = code[at..].chars().take_while(|c| is_word(*c) || *c == ':').collect();
            found.push((before.matches('\n').count() + 1, path));
        }
    }
    found
}

fn inside(file: &str, room: &str) -> bool {
    file.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || file.strip_suffix(".rs") == Some(room)
}

/// What stands on the wrong side of a wall, and which exceptions were used.
fn violations(rules: &Rules, sources: &BTreeMap<String, String>) -> (Vec<String>, BTreeSet<usize>) {
    let (mut found, mut used) = (Vec::new(), BTreeSet::new());
    for wall in &rules.walls {
        for (file, code) in sources {
            let here = wall.rooms.iter().any(|room| inside(file, room));
            if !here || wall.except.iter().any(|room| inside(file, room)) {
                continue;
            }
            for word in &wall.words {
                for (line, path) in mentions(code, word) {
                    let exception = rules.exceptions.iter().position(|exception| {
                        inside(file, &exception.room) && exception.word == *word && exception.only.contains(&path)
                    });
                    match exception {
                        Some(exception) => drop(used.insert(exception)),
                        None => found.push(format!("{file}:{line} names `{path}`: {}", wall.why)),
                    }
                }
            }
        }
    }
    (found, used)
}

#[test]
fn no_room_names_what_is_behind_its_walls() {
    let (rules, sources) = (rules(), sources());
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    let (found, used) = violations(&rules, &sources);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    for (at, exception) in rules.exceptions.iter().enumerate() {
        assert!(
            used.contains(&at),
            "nothing in {} names {:?} any more: drop the exception",
            exception.room,
            exception.only
        );
    }
}

#[test]
fn every_wall_stands_around_rooms_that_exist_and_holds_what_is_planted() {
    let (rules, sources) = (rules(), sources());
    for wall in &rules.walls {
        for room in wall.rooms.iter().chain(&wall.except) {
            assert!(sources.keys().any(|file| inside(file, room)), "{room} does not exist");
        }
        for (room, word) in wall.rooms.iter().flat_map(|room| wall.words.iter().map(move |word| (room, word))) {
            let file = format!("{room}/planted.rs");
            for text in [
                format!("use crate::{word};"),
                format!("use {{{word}::Thing as Other}};"),
                format!("fn f() {{ {word}::g() }}"),
            ] {
                let planted = BTreeMap::from([(file.clone(), code(&text))]);
                let (found, _) = violations(&rules, &planted);
                assert!(
                    found.iter().any(|it| it.starts_with(&format!("{file}:1 ")) && it.contains(&wall.why)),
                    "{text} in {room}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn words_of_comments_and_strings_are_not_code() {
    let text = "//! sqlx::a\n/* sqlx::b */ let s = \"sqlx::c\\\"sqlx::d\"; let r = r#\"sqlx::\"e\"#; let c = '\"';\nmy_sqlx::f(); sqlx_g::h();\nlet sqlx = 1;\nsqlx::query();";
    assert_eq!(mentions(&code(text), "sqlx"), [(5, "sqlx::query".to_owned())]);
}

/// Crates of ours by name, with the crates of ours that each depends on, in tests and builds too.
fn crates(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(folder, &["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    list(&metadata, "packages")
        .iter()
        .map(|package| {
            let ours = list(package, "dependencies").into_iter().filter(|dependency| dependency.get("path").is_some());
            let ours = ours.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().to_owned(), ours)
        })
        .collect()
}

#[test]
fn crates_depend_along_the_arrows_only() {
    let rules = rules();
    let hosts = crates(".");
    for (folder, found) in [(".", hosts), ("plugins", crates("plugins"))] {
        for (name, ours) in found {
            let allowed = rules.crates.get(&name).or_else(|| rules.crates.get("*").filter(|_| folder == "plugins"));
            let allowed = allowed.unwrap_or_else(|| panic!("{name} has no arrows in arrows.json"));
            let wrong: Vec<_> = ours.difference(allowed).collect();
            assert!(wrong.is_empty(), "{name} depends on {wrong:?}; it may depend on {allowed:?}");
        }
    }
}

#[test]
fn crates_do_without_what_would_weigh_them_down() {
    for rule in rules().foreign {
        let tree =
            cargo(".", &["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "--package", &rule.name]);
        let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(found.contains(rule.name.as_str()), "{tree}");
        for without in &rule.without {
            assert!(!found.contains(without.as_str()), "{} depends on {without}: {}", rule.name, rule.why);
        }
    }
}

#[test]
fn nothing_is_named_after_having_no_name() {
    let names = rules().names;
    let bad = |name: &str| names.iter().any(|bad| bad == name);
    for (file, code) in sources() {
        let part = file.trim_end_matches(".rs").split('/').find(|part| bad(part));
        assert!(part.is_none(), "{file}: say what it is for");
        for at in code.match_indices("mod ").map(|(at, _)| at + 4) {
            let name: String = code[at..].chars().take_while(|c| is_word(*c)).collect();
            assert!(!bad(&name), "{file}: `mod {name}`: say what it is for");
        }
    }
}
