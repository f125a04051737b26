//! A ConfigMap that holds one component.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// What the API server lets a ConfigMap hold.
const MAX_BYTES: usize = 1 << 20;

/// Writes the manifest beside the component.
///
/// # Errors
/// Where it does not fit: what holds it instead.
pub(super) fn write(name: &str, namespace: &str, component: &Path) -> Result<PathBuf> {
    let manifest = manifest(name, namespace, &fs::read(component)?)?;
    let path = component.with_extension("configmap.json");
    fs::write(&path, manifest).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

fn manifest(name: &str, namespace: &str, component: &[u8]) -> Result<String> {
    if component.len() > MAX_BYTES {
        bail!(
            "{name} has {} bytes, and a ConfigMap holds at most {MAX_BYTES}: embed less data, or put the file into an \
             image and mount that as the agent's plugin directory",
            component.len()
        );
    }
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": format!("claiflow-plugin-{name}"),
            "namespace": namespace,
            "labels": {"claiflow.io/plugin": name},
        },
        "binaryData": {format!("{name}.wasm"): STANDARD.encode(component)},
    });
    Ok(serde_json::to_string_pretty(&manifest)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, manifest};
    use serde_json::Value;

    #[test]
    fn a_manifest_holds_the_file_under_its_name() {
        let manifest: Value = serde_json::from_str(&manifest("tool", "space", b"\0asm").unwrap()).unwrap();
        assert_eq!(manifest["metadata"]["namespace"], "space");
        assert_eq!(manifest["binaryData"]["tool.wasm"], "AGFzbQ==");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_advice() {
        assert!(manifest("tool", "space", &vec![0; MAX_BYTES]).is_ok());
        let error = manifest("tool", "space", &vec![0; MAX_BYTES + 1]).unwrap_err();
        assert!(error.to_string().contains("image"), "{error}");
    }
}
