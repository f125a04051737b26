//! `new-plugin`: a crate with one command and a test that needs no host, ready to be changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::root;

use super::is_name;

const LIBRARY: &str = include_str!("scaffold/lib.rs.txt");
const MEMBER: &str = include_str!("scaffold/member.toml.txt");
const STANDALONE: &str = include_str!("scaffold/standalone.toml.txt");

/// See [`crate::Task::NewPlugin`].
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask new-plugin restart-tool              a member of plugins/
  cargo xtask new-plugin restart-tool --dir ~/src  a crate of its own in ~/src/restart-tool")]
pub(crate) struct NewPlugin {
    /// Lower-case letters, digits, and `-` between them: it names the file, the grant and the ConfigMap.
    name: String,
    /// The folder to make it in, outside of this repository.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl NewPlugin {
    pub(crate) fn run(self) -> Result<()> {
        let folder = match &self.dir {
            Some(directory) => standalone(&self.name, directory, &root())?,
            None => member(&self.name, &root().join("plugins"))?,
        };
        // A path below the current folder is shorter, and right for who typed this command.
        let here = std::env::current_dir()?;
        let folder = folder.strip_prefix(&here).unwrap_or(&folder).display().to_string();
        let name = &self.name;
        println!(
            "{name} is in {folder}; its command is `{name}.greet`. Next:
  cargo test --manifest-path {folder}/Cargo.toml
  cargo xtask build-plugin {folder}
  cargo run -p claiflow-agent -- run plugins/dist/{name}.wasm {name}.greet --inputs '{{\"name\":\"world\"}}'"
        );
        Ok(())
    }
}

/// A crate of its own at `directory/name`, which uses the SDK of the checkout `root`.
pub(super) fn standalone(name: &str, directory: &Path, root: &Path) -> Result<PathBuf> {
    check(name)?;
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let directory = directory.canonicalize()?;
    let plugins = root.join("plugins").canonicalize()?;
    if directory.starts_with(&plugins) {
        bail!("{} is inside of this repository's plugins; leave out `--dir`", directory.display());
    }
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

fn check(name: &str) -> Result<()> {
    if !is_name(name) {
        bail!("`{name}` cannot name a plugin; at most 63 lower-case letters, digits, and `-` between them");
    }
    Ok(())
}

fn crate_of(name: &str, directory: &Path, manifest: &str) -> Result<PathBuf> {
    let folder = directory.join(name);
    if folder.exists() {
        bail!("{} is there already; take another name, or remove it", folder.display());
    }
    fs::create_dir_all(folder.join("src")).with_context(|| format!("{} cannot be made", folder.display()))?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), LIBRARY.replace("{{name}}", name))?;
    Ok(folder)
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
