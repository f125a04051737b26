//! `docs/plugins.md`, followed: a plugin is made, run on the control plane, recorded, replayed, granted and packed.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{cluster::ControlPlane, readme, root, target};

/// The namespace that the page speaks of.
const NAMESPACE: &str = "shop";

pub(super) fn walked(plane: &ControlPlane, directory: &Path) -> Result<()> {
    plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))?;
    for name in ["web", "api"] {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
        });
        plane.apply(&service)?;
    }
    let mine = directory.join("mine");
    std::fs::create_dir_all(&mine).context("a folder for the plugin")?;
    let program = |name: &str| target().join("debug").join(name).display().to_string();
    let swaps = [
        ("/tmp/mine", mine.display().to_string()),
        ("~/.kube/config", plane.kubeconfig().display().to_string()),
        ("cargo xtask", program("xtask")),
        ("claiflow-agent ", format!("{} ", program("claiflow-agent"))),
    ];
    let walked = readme::walk(&root().join("docs/plugins.md"), &swaps, |_| Ok(()));
    plane.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    walked
}
