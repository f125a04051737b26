//! A server, an agent with the plugin, and a Prometheus that watches the server.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{monitor::Monitor, stub::Stub};
use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    plugin::sha256,
    process::{Process, free_port, until},
};

/// Loopback is reached only where it is named.
const LOOPBACK: &str = "127.0.0.1/32";
/// Of a call; a slow server uses it up.
const WALL: &str = "5s";

/// Stopped when dropped.
pub(super) struct Scene<'a> {
    pub(super) pair: Pair<'a>,
    pub(super) monitor: Monitor,
    pub(super) stub: Stub,
    /// Host and port where nobody listens, though it is granted.
    pub(super) nobody: String,
    agent: Process,
}

impl<'a> Scene<'a> {
    pub(super) fn open(built: &'a Built, directory: &'a Path) -> Result<Self> {
        let of_agent = directory.join("agent-of-prometheus");
        fs::create_dir_all(&of_agent)?;
        let pair = Pair::start(built, directory, None, (0, 0))?;
        pair.declare()?;
        let monitor =
            Monitor::start(&directory.join("prometheus"), "127.0.0.1", &format!("127.0.0.1:{}", pair.http_port()))?;
        let (host, _) = monitor.address.split_once('/').context("no prefix")?;
        let stub = Stub::start(&format!("http://{}", monitor.address))?;
        let nobody = format!("127.0.0.1:{}", free_port(0)?);
        let digest = sha256(&fs::read(built.plugins.join("prometheus.wasm"))?);
        let grants = of_agent.join("grants.yaml");
        fs::write(&grants, granted(&digest, host, &[&stub.address, &nobody]).to_string())?;
        let mut command = built.agent(pair.grpc_port(), CLUSTER, TOKEN, &of_agent);
        let agent = Process::start("agent", command.arg("--grants").arg(&grants), &of_agent)?;
        let scene = Self { pair, monitor, stub, nobody, agent };
        until("the plugin serves", Duration::from_secs(120), || scene.serves()).with_context(|| scene.said())?;
        scene.monitor.watches()?;
        Ok(scene)
    }

    fn serves(&self) -> Result<()> {
        let plugins = self.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
        let is_ready = |plugin: &Value| plugin["name"] == "prometheus" && plugin["state"] == "ready";
        ensure!(plugins.as_array().is_some_and(|all| all.iter().any(is_ready)), "{plugins}");
        Ok(())
    }

    /// Runs one command by a template of a user's own: the result, or the task's error. Without a `url`, it asks the monitor.
    pub(super) fn call(&self, command: &str, mut inputs: Value) -> Result<Result<Value, String>> {
        if let Value::Object(inputs) = &mut inputs {
            inputs.entry("url").or_insert_with(|| json!(format!("http://{}", self.monitor.address)));
        }
        self.pair.call_command(command, &inputs).with_context(|| self.said())
    }

    /// Everything that the agent said.
    pub(super) fn said(&self) -> String {
        self.agent.said()
    }
}

/// What an operator would write for a Prometheus at `host`, and for others by GET alone.
fn granted(digest: &str, host: &str, others: &[&str]) -> Value {
    let prefix = super::monitor::PREFIX;
    let paths = |ends: &[&str]| -> Vec<String> { ends.iter().map(|end| format!("{prefix}/api/v1/{end}")).collect() };
    let url = format!("http://{host}");
    let mut http = vec![
        json!({"url": url, "methods": ["GET"], "paths": paths(&["*", "targets/metadata", "label/*/values"]), "addresses": [LOOPBACK]}),
        json!({"url": url, "methods": ["POST"], "paths": paths(&["query", "series", "labels"]), "reads": ["POST"], "addresses": [LOOPBACK]}),
    ];
    for other in others {
        http.push(json!({"url": format!("http://{other}"), "methods": ["GET"], "addresses": [LOOPBACK]}));
    }
    let commands = ["prometheus.*", "prometheus.*/*"];
    json!({"plugins": {"prometheus": {"sha256": digest, "commands": commands, "http": http, "limits": {"wall": WALL}}}})
}
