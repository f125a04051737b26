//! The world of one plugin, for compilers that import all of a world, used or not.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::root;

/// The contract's version that plugins are built for.
const CONTRACT: &str = "claiflow:plugin";
const VERSION: &str = "1.0.0";
/// What failures are made of.
pub(super) const TYPES: &str = "claiflow:plugin/types@1.0.0";
const HTTP: &str = "wasi:http/outgoing-handler@0.2.12";

/// Name of the world and of its package.
pub(super) const WORLD: &str = "claiflow:build/guest";

/// The interface of the contract behind a capability, with its version; of `http` it is WASI's.
fn interface(capability: &str) -> String {
    if capability == "http" { HTTP.to_owned() } else { format!("{CONTRACT}/{capability}@{VERSION}") }
}

/// Writes the WIT of a plugin with `capabilities` into the new folder `folder`; answers all of its text.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn write(capabilities: &[&str], folder: &Path) -> Result<String> {
    let own = text(capabilities);
    let mut files = vec![("world.wit".to_owned(), own)];
    for (from, to) in [("wit", "deps/plugin"), ("wit/deps", "deps")] {
        let from = root().join(from);
        for entry in fs::read_dir(&from).with_context(|| format!("{} cannot be read", from.display()))? {
            let path = entry?.path();
            if path.is_file() {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.push((format!("{to}/{name}"), fs::read_to_string(&path)?));
            }
        }
    }
    files.sort();
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(folder.join("deps/plugin"))?;
    let mut all = String::new();
    for (name, text) in files {
        fs::write(folder.join(&name), &text).with_context(|| format!("{name} cannot be written"))?;
        let _ = write!(all, "// {name}\n{text}");
    }
    Ok(all)
}

fn text(capabilities: &[&str]) -> String {
    let mut text = format!("package claiflow:build;\n\nworld guest {{\n  include {CONTRACT}/plugin@{VERSION};\n");
    for capability in capabilities {
        let _ = writeln!(text, "  import {};", interface(capability));
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::{text, write};

    #[test]
    fn a_world_has_what_the_manifest_asks_for_and_no_more() {
        assert_eq!(
            text(&["kubernetes", "http"]),
            "package claiflow:build;\n\nworld guest {\n  include claiflow:plugin/plugin@1.0.0;\n  \
             import claiflow:plugin/kubernetes@1.0.0;\n  import wasi:http/outgoing-handler@0.2.12;\n}\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let all = write(&[], &folder.path().join("wit")).unwrap();
        assert!(all.contains("world guest") && all.contains("interface handler") && all.contains("package wasi:http"));
        for file in ["world.wit", "deps/plugin/handler.wit", "deps/io.wit"] {
            assert!(folder.path().join("wit").join(file).is_file(), "{file}");
        }
    }
}
