//! Plugins that come from a registry: pulled by their digest, or mounted as an image.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    plugin::{self, Archives},
    process::{Process, shown, until},
    registry::{Registry, push},
    root,
};

/// All of them; how many held.
pub(crate) fn run(built: &Built, directory: &Path, registry: &Registry) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ plugins from a registry");
    let name = "a plugin is pulled by its digest, and mounted as an image";
    let outcome = stories(built, directory, registry);
    eprintln!("  {} {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    vec![(name, outcome)]
}

fn stories(built: &Built, directory: &Path, registry: &Registry) -> Result<()> {
    fs::create_dir_all(directory)?;
    let archives = plugin::archives(&root().join("plugins/example"), &directory.join("dist"))?;
    let pair = Pair::start(built, directory, None, (0, 0))?;
    pair.declare()?;
    pulled(built, &pair, directory, registry, &archives)?;
    mounted(built, &pair, directory, registry, &archives)
}

/// The grants file names the artifact; the agent's own directory is empty.
fn pulled(built: &Built, pair: &Pair<'_>, directory: &Path, registry: &Registry, archives: &Archives) -> Result<()> {
    push(&archives.artifact, registry, "tools/example:1")?;
    let directory = directory.join("pulled");
    let (plugins, grants) = (directory.join("plugins"), directory.join("grants.yaml"));
    fs::create_dir_all(&plugins)?;
    let artifact = format!("{}/tools/example@{}", registry.address, archives.digest);
    // JSON is YAML.
    fs::write(&grants, json!({"plugins": {"example": {"artifact": artifact, "commands": ["*"]}}}).to_string())?;
    let mut command = agent(built, pair, &plugins, &directory);
    command.arg("--grants").arg(&grants).args(["--registry-plain", &registry.address]);
    greets(pair, command, &directory)
}

/// The image is unpacked as a kubelet does for an image volume.
fn mounted(built: &Built, pair: &Pair<'_>, directory: &Path, registry: &Registry, archives: &Archives) -> Result<()> {
    push(&archives.image, registry, "tools/example-volume:1")?;
    let directory = directory.join("mounted");
    let (image, volume) = (directory.join("image"), directory.join("volume"));
    fs::create_dir_all(&volume)?;
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]);
    skopeo.arg(format!("docker://{}/tools/example-volume:1", registry.address)).arg(format!("dir:{}", image.display()));
    shown(&mut skopeo)?;
    let manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(image.join("manifest.json"))?)?;
    let layer = manifest.pointer("/layers/0/digest").and_then(serde_json::Value::as_str).context("no layer")?;
    let layer = image.join(layer.trim_start_matches("sha256:"));
    shown(Command::new("tar").arg("-xf").arg(layer).arg("-C").arg(&volume))?;
    let command = agent(built, pair, &volume, &directory);
    greets(pair, command, &directory)
}

fn agent(built: &Built, pair: &Pair<'_>, plugins: &Path, directory: &Path) -> Command {
    let mut command = Command::new(built.program("claiflow-agent"));
    command.args(["--server", &format!("127.0.0.1:{}", pair.grpc_port()), "--clusteruuid", CLUSTER, "--token", TOKEN]);
    command.arg("--plugins").arg(plugins).arg("--state").arg(directory.join("state"));
    command
}

/// The agent serves the plugin's command, and leaves.
fn greets(pair: &Pair<'_>, mut command: Command, directory: &Path) -> Result<()> {
    let mut agent = Process::start("agent", &mut command, directory)?;
    let uuid = pair.create("example_simple", &json!({"name": "registry"}))?;
    let task = pair.ended(&uuid).with_context(|| agent.said())?;
    ensure!(task["state"] == "succeeded", "{task}");
    agent.stop()?;
    let alive = format!("/api/v1/cluster/{CLUSTER}/session/alive");
    until("the agent has left", Duration::from_secs(30), || {
        ensure!(pair.get(&alive)?["alive"] == false, "it is there");
        Ok(())
    })
}
