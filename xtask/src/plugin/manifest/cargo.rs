//! A Rust crate's manifest, as cargo reads it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Manifest, Source};

const SECTION: &str = "[package.metadata.claiflow]";

pub(super) fn read(path: &Path) -> Result<(Manifest, Source)> {
    let mut cargo = crate::process::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(path);
    let said = cargo.output().context("cargo could not be started")?;
    if !said.status.success() {
        bail!("cargo cannot read {}:\n{}", path.display(), String::from_utf8_lossy(&said.stderr).trim_end());
    }
    let metadata: Value = serde_json::from_slice(&said.stdout).context("`cargo metadata` gave no JSON")?;
    find(&metadata, path)
}

fn find(metadata: &Value, path: &Path) -> Result<(Manifest, Source)> {
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let ours = |package: &&Value| {
        package.get("manifest_path").and_then(Value::as_str).is_some_and(|manifest| Path::new(manifest) == path)
    };
    let package = packages.into_iter().find(ours);
    let package = package.with_context(|| format!("{} has no `[package]`", path.display()))?;
    let said = package.pointer("/metadata/claiflow");
    let example = "[package.metadata.claiflow]\nname = \"restart-tool\"\n\nwith the name that `plugin!` gives it";
    let manifest = Manifest::of(path, SECTION, said, example)?;
    let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    let cdylib = |target: &&Value| {
        let types = target.get("crate_types").and_then(Value::as_array);
        types.is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
    };
    let library = targets.into_iter().find(cdylib).and_then(|target| target.get("name")?.as_str());
    let library = library.with_context(|| {
        format!("{} makes no component; add\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]", path.display())
    })?;
    Ok((manifest, Source::Rust { artifact: format!("{}.wasm", library.replace('-', "_")) }))
}

#[cfg(test)]
mod tests {
    use super::{Manifest, Source, find};
    use serde_json::{Value, json};
    use std::path::Path;

    fn crate_of(package: Value) -> Result<(Manifest, Source), String> {
        let mut package = package;
        package["manifest_path"] = "/tool/Cargo.toml".into();
        let metadata = json!({"packages": [{"manifest_path": "/other/Cargo.toml"}, package]});
        find(&metadata, Path::new("/tool/Cargo.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_names_its_plugin_and_its_file() {
        let (manifest, source) = crate_of(json!({
            "metadata": {"claiflow": {"name": "tool"}},
            "targets": [{"name": "build", "crate_types": ["bin"]}, {"name": "a-tool", "crate_types": ["cdylib", "rlib"]}],
        }))
        .unwrap();
        assert_eq!(manifest.name, "tool");
        assert!(matches!(source, Source::Rust { artifact } if artifact == "a_tool.wasm"));
    }

    #[test]
    fn what_is_missing_is_shown_as_the_lines_to_add() {
        let library = json!([{"name": "tool", "crate_types": ["rlib"]}]);
        for (package, part) in [
            (json!({"metadata": null}), "[package.metadata.claiflow]\nname = "),
            (json!({"metadata": {"claiflow": {"name": "Tool"}}}), "lower-case"),
            (json!({"metadata": {"claiflow": {"name": "tool"}}, "targets": library}), "crate-type = [\"cdylib\""),
        ] {
            assert!(crate_of(package.clone()).is_err_and(|message| message.contains(part)), "{package}");
        }
    }
}
