//! What a folder's own manifest says of the plugin in it: its language, its name, and what it asks an operator for.

mod cargo;
mod gomod;
mod package;
mod pyproject;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{golang::Module, is_name, javascript::Package, python::Project};

/// What a plugin can ask an operator for, by the names of the contract's interfaces.
pub(super) const CAPABILITIES: [&str; 10] = [
    "agent",
    "agent-control",
    "credentials",
    "credentials-admin",
    "credentials-reveal",
    "http",
    "kubernetes",
    "kubernetes-exec",
    "kubernetes-write",
    "process",
];

/// How a manifest is read.
type Read = fn(&Path) -> Result<(Manifest, Source)>;

/// The manifests of the languages.
const LANGUAGES: [(&str, Read); 4] = [
    ("Cargo.toml", cargo::read),
    ("package.json", package::read),
    ("pyproject.toml", pyproject::read),
    ("go.mod", gomod::read),
];

/// A folder that is a plugin, in whichever language.
pub(super) struct Manifest {
    /// The manifest's file, absolute.
    pub(super) path: PathBuf,
    /// The plugin's, not that of the crate or package.
    pub(super) name: String,
    /// What it may import beside what every plugin has.
    pub(super) capabilities: Vec<String>,
    /// Where in the manifest this stands.
    section: &'static str,
}

/// What its compiler must know.
pub(super) enum Source {
    Rust {
        /// The file that cargo makes.
        artifact: String,
    },
    JavaScript(Package),
    Python(Project),
    Go(Module),
}

impl Manifest {
    /// # Errors
    /// What is missing, and the lines to add.
    pub(super) fn read(folder: &Path) -> Result<(Self, Source)> {
        let there: Vec<_> = LANGUAGES.iter().filter(|(file, _)| folder.join(file).is_file()).collect();
        // A crate may have a package.json for its tools: the plugin is where its name stands.
        let names = |file: &str| fs::read_to_string(folder.join(file)).is_ok_and(|text| text.contains("claiflow"));
        let (file, read) = there.iter().find(|(file, _)| names(file)).or(there.first()).with_context(|| {
            format!(
                "{} is no plugin: it has no Cargo.toml, package.json, pyproject.toml or go.mod; `cargo xtask \
                 new-plugin NAME` makes one",
                folder.display()
            )
        })?;
        read(&folder.join(file).canonicalize()?)
    }

    /// Of what the manifest says in `section`.
    fn of(path: &Path, section: &'static str, said: Option<&Value>, example: &str) -> Result<Self> {
        let Some(name) = said.and_then(|said| said.get("name")).and_then(Value::as_str) else {
            bail!("{} names no plugin; add\n\n{example}", path.display());
        };
        if !is_name(name) {
            bail!(
                "{}: `{name}` cannot name a plugin; at most 63 lower-case letters, digits, and `-` between them",
                path.display()
            );
        }
        let capabilities = capabilities(said.and_then(|said| said.get("capabilities")))
            .with_context(|| format!("{}: `capabilities` of `{section}`", path.display()))?;
        Ok(Self { path: path.to_owned(), name: name.to_owned(), capabilities, section })
    }

    /// Whether the component imports no more than the manifest says: who reviews it reads this line, not the code.
    ///
    /// # Errors
    /// The line that would allow what it imports.
    pub(super) fn check(&self, needed: &[&str]) -> Result<()> {
        let mut all = self.capabilities.clone();
        all.extend(
            needed.iter().filter(|need| !self.capabilities.iter().any(|said| said == *need)).map(|&it| it.into()),
        );
        if all.len() == self.capabilities.len() {
            return Ok(());
        }
        all.sort();
        all.dedup();
        let is_json = self.path.extension().is_some_and(|extension| extension == "json");
        let line = if is_json { format!("\"capabilities\": {all:?}") } else { format!("capabilities = {all:?}") };
        bail!(
            "it uses {}, and {} does not say so; add to `{}`\n\n{line}",
            needed.join(", "),
            self.path.display(),
            self.section
        )
    }
}

fn capabilities(said: Option<&Value>) -> Result<Vec<String>> {
    let Some(said) = said else { return Ok(Vec::new()) };
    let list = said.as_array().context("it is no list")?;
    let known = |name: &&str| CAPABILITIES.contains(name);
    list.iter()
        .map(|name| match name.as_str().filter(known) {
            Some(name) => Ok(name.to_owned()),
            None => bail!("{name} is none; there are {}", CAPABILITIES.join(", ")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Manifest;
    use serde_json::{Value, json};
    use std::{fs, path::Path};

    fn with(capabilities: Value) -> Result<Manifest, String> {
        let said = json!({"name": "tool", "capabilities": capabilities});
        Manifest::of(Path::new("/tool/Cargo.toml"), "[package.metadata.claiflow]", Some(&said), "")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_plugin_uses_stands_in_its_manifest() {
        let manifest = with(json!(["kubernetes", "http"])).unwrap();
        assert!(manifest.check(&[]).is_ok());
        assert!(manifest.check(&["kubernetes"]).is_ok(), "it may say more than it uses");
        let error = manifest.check(&["kubernetes", "kubernetes-write"]).unwrap_err().to_string();
        assert!(error.contains(r#"capabilities = ["http", "kubernetes", "kubernetes-write"]"#), "{error}");
        let manifest = Manifest { path: "/tool/claiflow.json".into(), ..manifest };
        let error = manifest.check(&["process"]).unwrap_err().to_string();
        assert!(error.ends_with(r#""capabilities": ["http", "kubernetes", "process"]"#), "{error}");
        for said in [json!("kubernetes"), json!([1]), json!(["kube"])] {
            assert!(with(said.clone()).is_err_and(|message| message.contains("`capabilities`")), "{said}");
        }
    }

    #[test]
    fn the_manifest_that_names_a_plugin_says_the_language() {
        let folder = tempfile::tempdir().unwrap();
        let error = Manifest::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("no Cargo.toml, package.json, pyproject.toml or go.mod"), "{error}");
        fs::write(folder.path().join("package.json"), r#"{"private": true}"#).unwrap();
        let error = Manifest::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("package.json names no plugin"), "{error}");
        fs::write(folder.path().join("Cargo.toml"), "# a claiflow plugin").unwrap();
        let error = Manifest::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("cargo cannot read"), "{error}");
    }
}
