//! A crate: of its own, or a member of the workspace `plugins`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{check, folder_of, outside};

const LIBRARY: &str = include_str!("rust/lib.rs.txt");
const MEMBER: &str = include_str!("rust/member.toml.txt");
const STANDALONE: &str = include_str!("rust/standalone.toml.txt");

/// A crate of its own at `directory/name`, which uses the SDK of the checkout `root`.
pub(in crate::plugin) fn standalone(name: &str, directory: &Path, root: &Path) -> Result<PathBuf> {
    check(name)?;
    let directory = outside(directory, root)?;
    let plugins = root.join("plugins").canonicalize()?;
    let workspace = fs::read_to_string(plugins.join("Cargo.toml"))?;
    let sdk = serde_json::Value::from(plugins.join("sdk").display().to_string());
    let mut manifest = STANDALONE.replace("{{name}}", name).replace("{{sdk}}", &sdk.to_string());
    for dependency in ["schemars", "serde", "serde_json"] {
        // The SDK's own lines: the derive macros must be of the versions that it knows.
        let start = format!("{dependency} = ");
        let line = workspace.lines().find(|line| line.starts_with(&start));
        let line = line.with_context(|| format!("{} does not say which {dependency}", plugins.display()))?;
        manifest = manifest.replace(&format!("{{{{{dependency}}}}}"), line);
    }
    let folder = crate_of(name, &directory, &manifest)?;
    // Versions that are known to fit together, and need no look at a registry.
    fs::copy(plugins.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// A member of the workspace `plugins`.
pub(super) fn member(name: &str, plugins: &Path) -> Result<PathBuf> {
    check(name)?;
    let path = plugins.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let text = with_member(&text, name)
        .with_context(|| format!("{} has no line `members = […]`; add \"{name}\" yourself", path.display()))?;
    let folder = crate_of(name, plugins, &MEMBER.replace("{{name}}", name))?;
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(folder)
}

fn crate_of(name: &str, directory: &Path, manifest: &str) -> Result<PathBuf> {
    let files = [("Cargo.toml".to_owned(), manifest), ("src/lib.rs".to_owned(), LIBRARY)];
    folder_of(directory, name, &files, &[("name", name)])
}

fn with_member(manifest: &str, name: &str) -> Option<String> {
    let start = manifest.find("\nmembers = [")?;
    let end = start + manifest.get(start..)?.find(']')?;
    let (before, after) = manifest.split_at_checked(end)?;
    Some(format!("{}, \"{name}\"{after}", before.trim_end().trim_end_matches(',')))
}

#[cfg(test)]
mod tests {
    use super::{member, standalone, with_member};
    use std::fs;

    #[test]
    fn a_member_joins_the_workspace() {
        for (members, with) in [
            ("\nmembers = [\"a\"]\n", "\nmembers = [\"a\", \"b\"]\n"),
            ("\nmembers = [\n  \"a\",\n]\n", "\nmembers = [\n  \"a\", \"b\"]\n"),
        ] {
            assert_eq!(with_member(members, "b").as_deref(), Some(with));
        }
        assert_eq!(with_member("[workspace]\n", "b"), None);

        let plugins = tempfile::tempdir().unwrap();
        fs::write(plugins.path().join("Cargo.toml"), "[workspace]\nmembers = [\"sdk\"]\n").unwrap();
        let folder = member("tool", plugins.path()).unwrap();
        assert!(fs::read_to_string(folder.join("Cargo.toml")).unwrap().contains("name = \"claiflow-plugin-tool\""));
        let workspace = fs::read_to_string(plugins.path().join("Cargo.toml")).unwrap();
        assert_eq!(workspace, "[workspace]\nmembers = [\"sdk\", \"tool\"]\n");
    }

    #[test]
    fn what_cannot_be_made_is_refused_before_a_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["", "Tool", "a_b", "../x", "-a", "a.b"] {
            let error = standalone(name, directory.path(), &crate::root()).unwrap_err();
            assert!(error.to_string().contains("cannot name a plugin"), "{name}: {error}");
        }
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
        fs::create_dir(directory.path().join("tool")).unwrap();
        let error = standalone("tool", directory.path(), &crate::root()).unwrap_err();
        assert!(error.to_string().contains("there already"), "{error}");
    }
}
