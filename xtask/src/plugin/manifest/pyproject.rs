//! A Python project's manifest, as Python reads it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Manifest, Source};
use crate::plugin::python::{HOW_TO_INSTALL, Project};

const SECTION: &str = "[tool.claiflow]";
/// TOML is in the standard library from 3.11 on.
const AS_JSON: &str =
    "import json, sys, tomllib; json.dump(tomllib.load(open(sys.argv[1], 'rb')), sys.stdout, default=str)";

pub(super) fn read(path: &Path) -> Result<(Manifest, Source)> {
    let said = Command::new("python3").args(["-I", "-c", AS_JSON]).arg(path).output();
    let said = said.with_context(|| format!("python3 could not be started; {HOW_TO_INSTALL}"))?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        if why.contains("No module named 'tomllib'") {
            bail!("this python3 is older than 3.11; {HOW_TO_INSTALL}");
        }
        bail!("{} is no TOML: {}", path.display(), why.trim_end().lines().last().unwrap_or_default());
    }
    let project = serde_json::from_slice(&said.stdout).context("python3 gave no JSON")?;
    find(&project, path)
}

fn find(project: &Value, path: &Path) -> Result<(Manifest, Source)> {
    let said = project.pointer("/tool/claiflow");
    let manifest = Manifest::of(path, SECTION, said, "[tool.claiflow]\nname = \"restart-tool\"")?;
    let text = |pointer: &str| project.pointer(pointer).and_then(Value::as_str);
    let module = text("/tool/claiflow/module").map_or_else(|| manifest.name.replace('-', "_"), str::to_owned);
    let folder = path.parent().unwrap_or(Path::new("."));
    let source = folder.join("src");
    let source = if source.is_dir() { source } else { folder.to_owned() };
    if !source.join(format!("{module}.py")).is_file() && !source.join(&module).join("__init__.py").is_file() {
        bail!(
            "{} has neither {module}.py nor {module}/__init__.py; name the plugin's module with `module = \"…\"` in \
             `{SECTION}` of {}",
            source.display(),
            path.display()
        );
    }
    let dependencies = project.pointer("/project/dependencies").and_then(Value::as_array).into_iter().flatten();
    let dependencies = dependencies.filter_map(Value::as_str).map(str::to_owned);
    let project = Project {
        version: text("/project/version").unwrap_or("0.0.0").to_owned(),
        module,
        source,
        // The SDK is the checkout's own.
        dependencies: dependencies.filter(|line| !is_sdk(line)).collect(),
        config: said.and_then(|said| said.get("config")).cloned(),
    };
    Ok((manifest, Source::Python(project)))
}

fn is_sdk(requirement: &str) -> bool {
    let name = requirement.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter))).next();
    name == Some("claiflow")
}

#[cfg(test)]
mod tests {
    use super::{Source, find};
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_project_names_its_plugin_and_its_module() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pyproject.toml");
        let project = json!({
            "project": {"version": "1.2.0", "dependencies": ["claiflow", "semver>=3"]},
            "tool": {"claiflow": {"name": "a-tool"}},
        });
        assert!(find(&project, &path).is_err_and(|error| error.to_string().contains("a_tool.py")));
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/a_tool.py"), "").unwrap();
        let (manifest, source) = find(&project, &path).unwrap();
        assert_eq!(manifest.name, "a-tool");
        let Source::Python(project) = source else { panic!("it is Python") };
        assert_eq!((project.version.as_str(), project.module.as_str()), ("1.2.0", "a_tool"));
        assert_eq!((project.dependencies, project.source), (vec!["semver>=3".to_owned()], folder.path().join("src")));
        let unnamed = find(&json!({"project": {}}), &path);
        assert!(unnamed.is_err_and(|error| error.to_string().contains("[tool.claiflow]\nname")));
    }
}
