//! The life of a plugin in a mounted ConfigMap: applied to a real API server, projected as a kubelet does it, changed, broken, repaired.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::house::{House, NAMESPACE};
use crate::{
    plugin::sha256,
    process::{Process, free_port, until},
    root,
};

/// This agent's cluster: the other one of the house serves another.
const CLUSTER: &str = "00000000000000000000000000000002";
const TOKEN: &str = "TOKEN_OF_THE_SECOND_CLUSTER";
const CONFIG_MAP: &str = "claiflow-plugin-example";
/// A change shows within a second; what is measured is told, not asserted.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of it, with what each change took.
pub(super) fn life(house: &House<'_>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mount = Mount { directory: directory.path().join("mount"), versions: 0.into() };
    fs::create_dir_all(&mount.directory)?;
    let dist = directory.path().join("dist");
    // As the README says, by the command that a user types.
    let mut build = Command::new(house.program("xtask"));
    build.current_dir(root()).args([
        "build-plugin",
        "plugins/example",
        "--configmap",
        "--namespace",
        NAMESPACE,
        "--out",
    ]);
    crate::process::shown(build.arg(&dist))?;
    let manifest: Value = serde_json::from_str(&fs::read_to_string(dist.join("example.configmap.json"))?)?;
    let first = component(&manifest)?;

    house.pair.post("/api/v1/cluster", &json!({"uuid": CLUSTER, "name": "of a ConfigMap"}))?;
    house.pair.post("/api/v1/cluster_token", &json!({"name": "second", "cluster_uuid": CLUSTER, "token": TOKEN}))?;
    house.plane.apply(&manifest)?;
    mount.project(house)?;
    let health = free_port(0)?;
    let mut command = house.agent(CLUSTER, TOKEN, &directory.path().join("agent"), &mount.directory);
    command.arg(format!("--health=127.0.0.1:{health}"));
    let agent = Process::start("agent", &mut command, directory.path())?;
    let view = View { house, agent: &agent, health };

    view.shows("ready", &first)?;
    let second = marked(&first);
    let took = view.after(&mount, &with(&manifest, &second), "ready", &second)?;
    eprintln!("       a changed ConfigMap serves {} ms after the kubelet's swap", took.as_millis());

    // Broken: the second version goes on, and everybody can see why.
    let broken = second.get(..second.len() / 2).unwrap_or_default().to_vec();
    view.after(&mount, &with(&manifest, &broken), "kept", &second)?;
    ensure!(agent.said().contains("the plugin is refused"), "the log says nothing: {}", agent.said());
    let metrics = view.ask("/metrics")?;
    ensure!(metrics.contains("claiflow_agent_plugin_state{plugin=\"example\",state=\"kept\"} 1"), "{metrics}");
    view.runs()?;

    let third = marked(&second);
    let took = view.after(&mount, &with(&manifest, &third), "ready", &third)?;
    eprintln!("       a repaired ConfigMap serves {} ms after the kubelet's swap", took.as_millis());
    view.runs()
}

/// The directory into which a kubelet projects a ConfigMap.
struct Mount {
    directory: PathBuf,
    versions: std::cell::Cell<u32>,
}

impl Mount {
    /// Reads the ConfigMap from the API server and swaps the directory's contents as one: files in a directory of their own, `..data`
    /// leading there, and for each file a link through `..data`, which is made anew under another name and renamed.
    fn project(&self, house: &House<'_>) -> Result<()> {
        let map = house.plane.kubectl(&["--namespace", NAMESPACE, "get", "configmap", CONFIG_MAP, "-o", "json"])?;
        let map: Value = serde_json::from_str(&map)?;
        let version = format!("..version-{}", self.versions.replace(self.versions.get() + 1));
        let there = self.directory.join(&version);
        fs::create_dir(&there)?;
        for (key, value) in map["binaryData"].as_object().context("no binaryData")? {
            fs::write(there.join(key), STANDARD.decode(value.as_str().unwrap_or_default())?)?;
            let link = self.directory.join(key);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(key), link)?;
            }
        }
        let (data, aside) = (self.directory.join("..data"), self.directory.join("..data_tmp"));
        let before = fs::read_link(&data).ok();
        symlink(&version, &aside)?;
        fs::rename(&aside, &data)?;
        if let Some(before) = before {
            fs::remove_dir_all(self.directory.join(before))?;
        }
        Ok(())
    }
}

/// What can be seen of the agent's plugin.
struct View<'a> {
    house: &'a House<'a>,
    agent: &'a Process,
    health: u16,
}

impl View<'_> {
    /// Applies another ConfigMap and waits for what everybody must then see; how long that took from the swap on.
    fn after(&self, mount: &Mount, manifest: &Value, state: &str, component: &[u8]) -> Result<Duration> {
        self.house.plane.apply(manifest)?;
        mount.project(self.house)?;
        let swapped = Instant::now();
        self.shows(state, component)?;
        Ok(swapped.elapsed())
    }

    /// The agent itself first, then the server.
    fn shows(&self, state: &str, component: &[u8]) -> Result<()> {
        let digest = sha256(component);
        let is_so = |plugins: &Value| {
            let found = plugins.as_array().and_then(|all| all.iter().find(|plugin| plugin["name"] == "example"));
            found.is_some_and(|plugin| {
                plugin["state"] == state
                    && plugin["sha256"] == digest.as_str()
                    && (state == "ready") == plugin["reason"].as_str().unwrap_or_default().is_empty()
            })
        };
        until("the agent shows it", PATIENCE, || {
            let plugins: Value = serde_json::from_str(&self.ask("/plugins")?)?;
            let plugins = plugins.get("plugins").unwrap_or(&plugins);
            if is_so(plugins) { Ok(()) } else { bail!("{plugins}") }
        })
        .with_context(|| self.agent.said())?;
        until("the server shows it", PATIENCE, || {
            let plugins = self.house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
            if is_so(&plugins) { Ok(()) } else { bail!("{plugins}") }
        })
    }

    fn ask(&self, path: &str) -> Result<String> {
        Ok(ureq::get(&format!("http://127.0.0.1:{}{path}", self.health)).call()?.body_mut().read_to_string()?)
    }

    /// A task of this cluster ends well.
    fn runs(&self) -> Result<()> {
        let request = json!({"template_uuid": "example_simple", "cluster_uuids": [CLUSTER], "inputs": {"name": "map"}});
        let created = self.house.pair.post("/api/v1/service", &request)?;
        let uuid = created.pointer("/0/uuid").and_then(Value::as_str).context("no uuid")?.to_owned();
        until("the task ends", PATIENCE, || {
            let task = self.house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}"))?;
            if task["state"] == "succeeded" { Ok(()) } else { bail!("{task}") }
        })
    }
}

fn component(manifest: &Value) -> Result<Vec<u8>> {
    let text = manifest.pointer("/binaryData/example.wasm").and_then(Value::as_str).context("no component")?;
    Ok(STANDARD.decode(text)?)
}

/// The manifest with another component; what it says of the digest goes with it.
fn with(manifest: &Value, component: &[u8]) -> Value {
    let mut manifest = manifest.clone();
    manifest["binaryData"]["example.wasm"] = json!(STANDARD.encode(component));
    manifest["metadata"]["annotations"] = json!({});
    manifest
}

/// The same component with one more custom section: another file that does the same.
fn marked(component: &[u8]) -> Vec<u8> {
    // Section 0, six bytes: a name of four, and one byte of data.
    [component, &[0, 6, 4, b'm', b'a', b'r', b'k', 1]].concat()
}
