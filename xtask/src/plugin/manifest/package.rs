//! A JavaScript package's manifest.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Manifest, Source};
use crate::plugin::javascript::Package;

const SECTION: &str = "\"claiflow\"";

pub(super) fn read(path: &Path) -> Result<(Manifest, Source)> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let package = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    find(&package, path)
}

fn find(package: &Value, path: &Path) -> Result<(Manifest, Source)> {
    let manifest = Manifest::of(path, SECTION, package.get("claiflow"), "\"claiflow\": {\"name\": \"restart-tool\"}")?;
    let text = |pointer: &str| package.pointer(pointer).and_then(Value::as_str);
    let main = text("/exports/.").or_else(|| text("/exports")).or_else(|| text("/main")).unwrap_or("index.js");
    let main = path.parent().unwrap_or(Path::new(".")).join(main);
    let main = main.canonicalize().with_context(|| {
        format!(
            "{} says that the plugin is {}, which is not there; name its module with \"main\"",
            path.display(),
            main.display()
        )
    })?;
    let version = text("/version").unwrap_or("0.0.0").to_owned();
    let config = package.pointer("/claiflow/config").cloned();
    Ok((manifest, Source::JavaScript(Package { version, main, config })))
}

#[cfg(test)]
mod tests {
    use super::{Source, find};
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_package_names_its_plugin_and_its_module() {
        let folder = tempfile::tempdir().unwrap();
        let (path, module) = (folder.path().join("package.json"), folder.path().join("tool.js"));
        let package = json!({"version": "1.2.0", "main": "tool.js", "claiflow": {"name": "tool"}});
        assert!(find(&package, &path).is_err_and(|error| error.to_string().contains("\"main\"")));
        fs::write(&module, "").unwrap();
        let (manifest, source) = find(&package, &path).unwrap();
        assert_eq!(manifest.name, "tool");
        let Source::JavaScript(package) = source else { panic!("it is JavaScript") };
        assert_eq!((package.version.as_str(), package.main), ("1.2.0", module.canonicalize().unwrap()));
        let unnamed = find(&json!({"main": "tool.js"}), &path);
        assert!(unnamed.is_err_and(|error| error.to_string().contains("\"claiflow\": {\"name\"")));
    }
}
