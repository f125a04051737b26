//! claiflow beside a control plane: a server, and an agent whose plugins act through accounts of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cluster::ControlPlane,
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    plugin::sha256,
    process::{Process, until},
};

/// The agent's namespace.
pub(super) const NAMESPACE: &str = "claiflow-agent";
/// The agent's account.
pub(super) const ACCOUNT: &str = "claiflow-agent";
/// The account of the plugin `kubernetes`, as the agent names it where its grant says nothing.
pub(super) const PLUGIN_ACCOUNT: &str = "claiflow-plugin-kubernetes";

/// Stopped when dropped.
pub(super) struct House<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) pair: Pair<'a>,
    built: &'a Built,
    directory: PathBuf,
    agent: Process,
}

impl<'a> House<'a> {
    /// Does what an operator does: writes the grants, applies the roles that `inspect --rbac` prints, starts the agent.
    pub(super) fn open(plane: &'a ControlPlane, built: &'a Built, directory: &'a Path) -> Result<Self> {
        let of_agent = directory.join("agent-in-cluster");
        fs::create_dir_all(&of_agent)?;
        let named = |kind: &str, metadata: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        plane.apply(&named("Namespace", json!({"name": NAMESPACE})))?;
        plane.apply(&named("ServiceAccount", json!({"name": ACCOUNT, "namespace": NAMESPACE})))?;
        fs::write(of_agent.join("grants.yaml"), everything(built)?.to_string())?;
        let roles = inspect(built, &of_agent.join("grants.yaml"))?;
        fs::write(of_agent.join("roles.yaml"), roles)?;
        plane.kubectl(&["apply", "--server-side", "-f", &of_agent.join("roles.yaml").display().to_string()])?;

        let pair = Pair::start(built, directory, None, (0, 0))?;
        pair.declare()?;
        let kubeconfig = plane.kubeconfig_of(NAMESPACE, ACCOUNT)?;
        let mut command = built.agent(pair.grpc_port(), CLUSTER, TOKEN, &of_agent);
        command.arg("--grants").arg(of_agent.join("grants.yaml"));
        command.arg("--kubeconfig").arg(kubeconfig).args(["--namespace", NAMESPACE]);
        let agent = Process::start("agent", &mut command, &of_agent)?;
        let house = Self { plane, pair, built, directory: of_agent, agent };
        let plugins = format!("/api/v1/cluster/{CLUSTER}/plugin");
        until("the plugin serves", Duration::from_secs(120), || {
            let answer = house.pair.get(&plugins)?;
            let serves = answer.as_array().is_some_and(|all| {
                all.iter().any(|plugin| plugin["name"] == "kubernetes" && plugin["state"] == "ready")
            });
            if serves { Ok(()) } else { bail!("{answer}") }
        })
        .with_context(|| house.agent.said())?;
        Ok(house)
    }

    /// An agent of another cluster of this house, with plugins of its own and no grants.
    pub(super) fn agent(&self, cluster: &str, token: &str, state: &Path, plugins: &Path) -> Command {
        let mut command = Command::new(self.built.program("claiflow-agent"));
        command.args(["--server", &format!("127.0.0.1:{}", self.pair.grpc_port()), "--clusteruuid", cluster]);
        command.args(["--token", token]).arg("--plugins").arg(plugins).arg("--state").arg(state);
        command
    }

    /// The components of the tests' plugins.
    pub(super) fn plugins(&self) -> &Path {
        &self.built.plugins
    }

    /// A program of the checkout.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.built.program(name)
    }

    /// The agent's state directory.
    pub(super) fn state(&self) -> PathBuf {
        self.directory.join("agent")
    }

    /// Everything that the agent said.
    pub(super) fn said(&self) -> String {
        self.agent.said()
    }

    /// Changes the grants file as a ConfigMap's mount would, and waits until the agent follows.
    pub(super) fn grant(&self, grants: &Value, follows: impl Fn() -> Result<()>) -> Result<()> {
        self.grant_text(&grants.to_string(), follows)
    }

    /// As [`House::grant`], as a person writes them.
    pub(super) fn grant_text(&self, grants: &str, follows: impl Fn() -> Result<()>) -> Result<()> {
        let aside = self.directory.join("grants.yaml.part");
        fs::write(&aside, grants)?;
        fs::rename(&aside, self.directory.join("grants.yaml"))?;
        until("the agent takes other grants", Duration::from_secs(60), follows)
    }

    /// The component of a plugin that was built.
    pub(super) fn component(&self, plugin: &str) -> PathBuf {
        self.built.plugins.join(plugin).with_extension("wasm")
    }

    /// The digest of a plugin that the agent serves.
    pub(super) fn digest(&self, plugin: &str) -> Result<String> {
        let file = self.component(plugin);
        Ok(sha256(&fs::read(&file).with_context(|| file.display().to_string())?))
    }

    /// All that the tests need.
    pub(super) fn everything(&self) -> Result<Value> {
        everything(self.built)
    }

    /// Grants of one rule for the plugin `kubernetes`.
    pub(super) fn only(&self, rule: &Value) -> Result<Value> {
        let mut grants = everything(self.built)?;
        *grants.pointer_mut("/plugins/kubernetes/kubernetes").context("no rules")? = json!([rule]);
        Ok(grants)
    }

    /// Runs one command with a template of its own: the result, or the task's error.
    pub(super) fn call(&self, command: &str, inputs: &Value) -> Result<Result<Value, String>> {
        self.pair.call_command(command, inputs).with_context(|| self.said())
    }
}

/// Grants of the tests' plugin: all kinds, all verbs.
fn everything(built: &Built) -> Result<Value> {
    let component = fs::read(built.plugins.join("kubernetes.wasm"))?;
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "apply"];
    Ok(json!({"plugins": {"kubernetes": {
        "sha256": sha256(&component),
        "commands": ["kubernetes.*"],
        "kubernetes": [
            {"groups": ["*"], "resources": ["*"], "verbs": verbs, "namespaces": ["*"], "scope": "cluster", "dangerous": true},
            {"groups": [""], "resources": ["pods/exec"], "verbs": ["create"], "namespaces": ["*"], "dangerous": true},
            {"groups": [""], "resources": ["pods/eviction"], "verbs": ["create"], "namespaces": ["*"], "dangerous": true},
            {"groups": [""], "resources": ["pods/log"], "verbs": ["get"], "namespaces": ["*"]},
            {"groups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "update", "patch"], "namespaces": ["*"]},
        ],
        "limits": {"wall": "5m"},
    }}}))
}

/// The roles that `claiflow-agent inspect --rbac` prints.
fn inspect(built: &Built, grants: &Path) -> Result<String> {
    let mut command = Command::new(built.program("claiflow-agent"));
    command.arg("inspect").arg(built.plugins.join("kubernetes.wasm")).arg("--grants").arg(grants);
    let output = command.args(["--rbac", "--namespace", NAMESPACE, "--agent-account", ACCOUNT]).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
