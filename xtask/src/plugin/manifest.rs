//! What a crate's own manifest says of the plugin in it, as cargo reads it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::is_name;

/// What a plugin can ask an operator for, by the names of the contract's interfaces.
const CAPABILITIES: [&str; 10] = [
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

/// A crate that is a plugin.
pub(super) struct Manifest {
    /// `Cargo.toml`, absolute.
    pub(super) path: PathBuf,
    /// The plugin's, not the crate's.
    pub(super) name: String,
    /// The file that cargo makes.
    pub(super) artifact: String,
    /// What it may import beside what every plugin has.
    pub(super) capabilities: Vec<String>,
}

impl Manifest {
    /// # Errors
    /// What is missing, and the lines to add.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("Cargo.toml");
        let path = path.canonicalize().with_context(|| {
            format!("{} is no plugin crate; `cargo xtask new-plugin NAME` makes one", folder.display())
        })?;
        let mut cargo = crate::process::cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&path);
        let said = cargo.output().context("cargo could not be started")?;
        if !said.status.success() {
            bail!("cargo cannot read {}:\n{}", path.display(), String::from_utf8_lossy(&said.stderr).trim_end());
        }
        let metadata: Value = serde_json::from_slice(&said.stdout).context("`cargo metadata` gave no JSON")?;
        Self::find(&metadata, path)
    }

    fn find(metadata: &Value, path: PathBuf) -> Result<Self> {
        let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
        let ours = |package: &&Value| {
            package.get("manifest_path").and_then(Value::as_str).is_some_and(|manifest| Path::new(manifest) == path)
        };
        let package = packages.into_iter().find(ours);
        let package = package.with_context(|| format!("{} has no `[package]`", path.display()))?;

        let name = package.pointer("/metadata/claiflow/name").and_then(Value::as_str);
        let Some(name) = name else {
            bail!(
                "{} names no plugin; add\n\n[package.metadata.claiflow]\nname = \"restart-tool\"\n\n\
                 with the name that `plugin!` gives it",
                path.display()
            );
        };
        if !is_name(name) {
            bail!(
                "{}: `{name}` cannot name a plugin; at most 63 lower-case letters, digits, and `-` between them",
                path.display()
            );
        }
        let capabilities = capabilities(package.pointer("/metadata/claiflow/capabilities"))
            .with_context(|| format!("{}: `capabilities` of `[package.metadata.claiflow]`", path.display()))?;
        let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
        let cdylib = |target: &&Value| {
            let types = target.get("crate_types").and_then(Value::as_array);
            types.is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
        };
        let library = targets.into_iter().find(cdylib).and_then(|target| target.get("name")?.as_str());
        let library = library.with_context(|| {
            format!("{} makes no component; add\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]", path.display())
        })?;
        let artifact = format!("{}.wasm", library.replace('-', "_"));
        Ok(Self { name: name.to_owned(), artifact, capabilities, path })
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
        bail!(
            "it uses {}, and {} does not say so; add to `[package.metadata.claiflow]`\n\ncapabilities = {all:?}",
            needed.join(", "),
            self.path.display()
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

    fn find(package: Value) -> Result<Manifest, String> {
        let mut package = package;
        package["manifest_path"] = "/tool/Cargo.toml".into();
        let metadata = json!({"packages": [{"manifest_path": "/other/Cargo.toml"}, package]});
        Manifest::find(&metadata, "/tool/Cargo.toml".into()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_names_its_plugin_and_its_file() {
        let manifest = find(json!({
            "metadata": {"claiflow": {"name": "tool"}},
            "targets": [{"name": "build", "crate_types": ["bin"]}, {"name": "a-tool", "crate_types": ["cdylib", "rlib"]}],
        }));
        let manifest = manifest.unwrap();
        assert_eq!((manifest.name.as_str(), manifest.artifact.as_str()), ("tool", "a_tool.wasm"));
        assert!(manifest.check(&[]).is_ok());
    }

    #[test]
    fn what_a_plugin_uses_stands_in_its_manifest() {
        let library = json!([{"name": "tool", "crate_types": ["cdylib"]}]);
        let with = |said: Value| {
            find(json!({"metadata": {"claiflow": {"name": "tool", "capabilities": said}}, "targets": library}))
        };
        let manifest = with(json!(["kubernetes", "http"])).unwrap();
        assert!(manifest.check(&["kubernetes"]).is_ok(), "it may say more than it uses");
        let error = manifest.check(&["kubernetes", "kubernetes-write"]).unwrap_err().to_string();
        assert!(error.contains(r#"capabilities = ["http", "kubernetes", "kubernetes-write"]"#), "{error}");
        for said in [json!("kubernetes"), json!([1]), json!(["kube"])] {
            assert!(with(said.clone()).is_err_and(|message| message.contains("`capabilities`")), "{said}");
        }
    }

    #[test]
    fn what_is_missing_is_shown_as_the_lines_to_add() {
        let library = json!([{"name": "tool", "crate_types": ["rlib"]}]);
        for (package, part) in [
            (json!({"metadata": null}), "[package.metadata.claiflow]\nname = "),
            (json!({"metadata": {"claiflow": {"name": "Tool"}}}), "lower-case"),
            (json!({"metadata": {"claiflow": {"name": "tool"}}, "targets": library}), "crate-type = [\"cdylib\""),
        ] {
            assert!(find(package.clone()).is_err_and(|message| message.contains(part)), "{package}");
        }
    }
}
