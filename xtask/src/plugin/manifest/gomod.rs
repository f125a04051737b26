//! A Go module: go.mod is for Go, and what the plugin is stands in claiflow.json beside it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Manifest, Source};
use crate::plugin::golang::Module;

const FILE: &str = "claiflow.json";
const EXAMPLE: &str = "{\"name\": \"restart-tool\", \"version\": \"1.0.0\"}";

pub(super) fn read(path: &Path) -> Result<(Manifest, Source)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let said = folder.join(FILE);
    let text = fs::read_to_string(&said);
    let text = text.with_context(|| format!("{} cannot be read; make it with\n\n{EXAMPLE}", said.display()))?;
    let plugin = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", said.display()))?;
    find(&plugin, &said)
}

fn find(plugin: &Value, path: &Path) -> Result<(Manifest, Source)> {
    let manifest = Manifest::of(path, FILE, Some(plugin), EXAMPLE)?;
    let module = Module {
        version: plugin.get("version").and_then(Value::as_str).unwrap_or("0.0.0").to_owned(),
        folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        config: plugin.get("config").cloned(),
    };
    Ok((manifest, Source::Go(module)))
}

#[cfg(test)]
mod tests {
    use super::{Source, find, read};
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn a_module_has_its_plugin_beside_it() {
        let path = Path::new("/tool/claiflow.json");
        let said = json!({"name": "tool", "version": "1.2.0", "capabilities": ["http"], "config": {"type": "object"}});
        let (manifest, source) = find(&said, path).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.capabilities), ("tool", vec!["http".to_owned()]));
        let Source::Go(module) = source else { panic!("it is Go") };
        assert_eq!((module.version.as_str(), module.folder.as_path()), ("1.2.0", Path::new("/tool")));
        assert_eq!(module.config, Some(json!({"type": "object"})));
        let error = find(&json!({}), path).err().unwrap().to_string();
        assert!(error.contains("claiflow.json names no plugin; add\n\n{\"name\""), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let error = read(&folder.path().join("go.mod")).err().unwrap().to_string();
        assert!(error.contains("claiflow.json cannot be read; make it with"), "{error}");
    }
}
