//! Promises that need a cluster: a control plane of this machine, and claiflow beside it.

mod manifests;
mod plane;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cluster::ControlPlane;

/// One promise, kept or broken.
type Promise = fn(&ControlPlane, &Path) -> Result<()>;

/// All of them; how many held.
pub(crate) fn run(plane: &ControlPlane, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ on a control plane of Kubernetes");
    let promises: [(&'static str, Promise); 3] = [
        ("the control plane runs what it is given", plane::runs),
        ("the control plane refuses what no role allows", plane::refuses),
        ("the manifests of deploy/ are taken as they are", manifests::taken),
    ];
    promises
        .into_iter()
        .map(|(name, promise)| {
            let outcome =
                std::fs::create_dir_all(directory).context("a directory").and_then(|()| promise(plane, directory));
            eprintln!("  {} Kubernetes: {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
            (name, outcome)
        })
        .collect()
}
