//! A component for registries, as two OCI archives (the image layout of the OCI image specification in a tar file): an *artifact*
//! that agents pull by its digest, and an *image* for image volumes, which the kubelet mounts as a directory.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Built, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The same bytes serve every machine, but a kubelet looks for its own kind.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// What was written.
pub(crate) struct Archives {
    pub(crate) artifact: PathBuf,
    /// Of the artifact's manifest, `sha256:…`: what a grants file names.
    pub(crate) digest: String,
    pub(crate) image: PathBuf,
}

/// Writes both beside the component. The same component gives the same bytes.
pub(super) fn write(built: &Built) -> Result<Archives> {
    let component = fs::read(&built.file)?;
    let (artifact, image) = (built.file.with_extension("oci.tar"), built.file.with_extension("image.tar"));
    let version = built.description.as_ref().map_or("", |description| description.version.as_str());
    let annotations =
        json!({"org.opencontainers.image.title": built.name, "org.opencontainers.image.version": version});
    let digest = artifact_of(built, component.clone(), &annotations)?.write(&artifact)?;
    image_of(&built.name, &component, &annotations)?.write(&image)?;
    Ok(Archives { artifact, digest, image })
}

/// As the CNCF's wasm working group describes it: one layer `application/wasm`.
fn artifact_of(built: &Built, component: Vec<u8>, annotations: &Value) -> Result<Layout> {
    let mut layout = Layout::default();
    let layer = layout.put("application/wasm", component);
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer["digest"]],
        "component": {"exports": ["claiflow:plugin/handler@1.0.0"], "imports": built.imports},
    });
    let config = layout.put("application/vnd.wasm.config.v0+json", serde_json::to_vec(&config)?);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], "annotations": annotations,
    });
    layout.top = layout.put(MANIFEST, serde_json::to_vec(&manifest)?);
    Ok(layout)
}

/// One layer with one file.
fn image_of(name: &str, component: &[u8], annotations: &Value) -> Result<Layout> {
    let mut layout = Layout::default();
    let mut files = tar::Builder::new(Vec::new());
    append(&mut files, &format!("{name}.wasm"), component)?;
    let layer = layout.put("application/vnd.oci.image.layer.v1.tar", files.into_inner()?);
    let mut manifests = Vec::new();
    for architecture in ARCHITECTURES {
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let config = layout.put("application/vnd.oci.image.config.v1+json", serde_json::to_vec(&config)?);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let mut manifest = layout.put(MANIFEST, serde_json::to_vec(&manifest)?);
        manifest["platform"] = json!({"architecture": architecture, "os": "linux"});
        manifests.push(manifest);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": annotations});
    layout.top = layout.put(INDEX, serde_json::to_vec(&index)?);
    Ok(layout)
}

/// Blobs by digest, and the descriptor of what is at the top.
#[derive(Default)]
struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    top: Value,
}

impl Layout {
    /// Keeps a blob; its descriptor.
    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }

    /// Writes the archive; the digest of its top.
    fn write(self, path: &Path) -> Result<String> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut archive = tar::Builder::new(file);
        append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [self.top]});
        append(&mut archive, "index.json", &serde_json::to_vec(&index)?)?;
        for (digest, bytes) in &self.blobs {
            append(&mut archive, &format!("blobs/sha256/{digest}"), bytes)?;
        }
        archive.finish()?;
        Ok(self.top["digest"].as_str().unwrap_or_default().to_owned())
    }
}

/// A file that anyone may read, of no one and of no time.
fn append<W: std::io::Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(bytes.len())?);
    header.set_mode(0o444);
    header.set_mtime(0);
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}
