//! An agent of a cluster of its own, which may have Helm run, and what people ask of it over REST.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::super::house::{ACCOUNT, House, NAMESPACE};
use crate::{
    plugin::sha256,
    process::{Process, until},
};

const CLUSTER: &str = "00000000000000000000000000000005";
const TOKEN: &str = "TOKEN_OF_THE_HELM_CLUSTER";
/// Where releases may be.
pub(super) const RELEASES: &str = "helm-releases";
/// Charts are waited for, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// Stopped when dropped.
pub(super) struct Stage<'a> {
    pub(super) house: &'a House<'a>,
    pub(super) helm: PathBuf,
    pub(super) directory: PathBuf,
    registry: Option<String>,
    agent: Option<Process>,
}

impl<'a> Stage<'a> {
    /// Does what an operator does: grants, the roles that `inspect --rbac` prints, a role for what the charts need, a credential.
    pub(super) fn open(
        house: &'a House<'a>,
        helm: &Path,
        directory: &Path,
        credential: (&str, &str, &str),
        registry: Option<&str>,
    ) -> Result<Self> {
        let (name, login, host) = credential;
        let directory = directory.to_owned();
        fs::create_dir_all(directory.join("credentials"))?;
        fs::write(directory.join("credentials").join(name), login)?;
        let stage =
            Self { house, helm: helm.to_owned(), directory, registry: registry.map(str::to_owned), agent: None };
        let plugin = house.plugins().join("helm.wasm");
        let grants = json!({"plugins": {"helm": {
            "sha256": sha256(&fs::read(&plugin).with_context(|| plugin.display().to_string())?),
            "commands": ["helm.*"],
            "process": ["helm.install", "helm.upgrade", "helm.rollback", "helm.uninstall", "helm.history", "helm.status",
                        "helm.get_values", "helm.list", "helm.template", "helm.repo_add", "helm.repo_update", "helm.repo_list"],
            "credentials": {name: {"hosts": [host], "methods": ["GET"]}},
            "limits": {"wall": "10m", "host_calls": 2000, "cpu": "10s"},
        }}});
        fs::write(stage.grants(), grants.to_string())?;
        stage.apply_roles("helm")?;
        stage.may_install()?;
        house.pair.post("/api/v1/cluster", &json!({"uuid": CLUSTER, "name": "with Helm"}))?;
        let token = json!({"name": "helm", "cluster_uuid": CLUSTER, "token": TOKEN});
        house.pair.post("/api/v1/cluster_token", &token)?;
        Ok(stage)
    }

    /// Makes the account of a plugin, with the roles that `inspect --rbac` prints for the grants.
    pub(super) fn apply_roles(&self, plugin: &str) -> Result<()> {
        let mut inspect = Command::new(self.house.program("claiflow-agent"));
        inspect.arg("inspect").arg(self.house.component(plugin)).arg("--grants").arg(self.grants());
        let output = inspect.args(["--rbac", "--namespace", NAMESPACE, "--agent-account", ACCOUNT]).output()?;
        ensure!(output.status.success(), "{inspect:?}: {}", String::from_utf8_lossy(&output.stderr));
        let roles = self.directory.join(format!("roles-{plugin}.yaml"));
        fs::write(&roles, output.stdout)?;
        self.house
            .plane
            .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &roles.display().to_string()])
            .map(drop)
    }

    /// A role for what the charts need, in one namespace, which the plugin's account may also make.
    fn may_install(&self) -> Result<()> {
        let account = json!([{"kind": "ServiceAccount", "name": "claiflow-plugin-helm", "namespace": NAMESPACE}]);
        let group = "rbac.authorization.k8s.io";
        let bound = |kind: &str, role: &str, namespace: Value| {
            let metadata = json!({"name": format!("helm-{role}"), "namespace": namespace});
            json!({
                "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata, "subjects": account,
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            })
        };
        let namespaces = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "makes-namespaces"},
            "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create", "patch"]}],
        });
        self.house.plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASES}},
            namespaces,
            bound("RoleBinding", "admin", json!(RELEASES)),
            bound("ClusterRoleBinding", "makes-namespaces", Value::Null),
        ]}))?;
        Ok(())
    }

    /// Starts the agent, the same one each time.
    pub(super) fn start(&mut self) -> Result<()> {
        let kubeconfig = self.house.plane.kubeconfig_of(NAMESPACE, ACCOUNT)?;
        let mut command = self.house.agent(CLUSTER, TOKEN, &self.directory.join("state"), self.house.plugins());
        command.arg("--grants").arg(self.grants()).arg("--kubeconfig").arg(kubeconfig);
        command.args(["--namespace", NAMESPACE]).arg("--helm").arg(&self.helm);
        command.arg("--credentials").arg(self.directory.join("credentials"));
        command.args(self.registry.iter().flat_map(|registry| ["--registry-plain", registry]));
        self.agent = Some(Process::start("helm-agent", &mut command, &self.directory)?);
        self.serves(&["helm"])
    }

    /// Waits until these plugins are ready.
    pub(super) fn serves(&self, plugins: &[&str]) -> Result<()> {
        let path = format!("/api/v1/cluster/{CLUSTER}/plugin");
        until("the plugins serve", PATIENCE, || {
            let answer = self.house.pair.get(&path)?;
            let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            let is_ready = |name: &str| all.iter().any(|it| it["name"] == name && it["state"] == "ready");
            if plugins.iter().all(|name| is_ready(name)) { Ok(()) } else { bail!("{answer}") }
        })
        .with_context(|| self.said())
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.agent.take().context("no agent runs")?.kill()
    }

    /// Everything that the agent said, over all its lives.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.directory.join("helm-agent.log")).unwrap_or_default()
    }

    /// Creates a task of a template; its uuid.
    pub(super) fn create(&self, template: &str, inputs: &Value) -> Result<String> {
        let request = json!({"template_uuid": template, "cluster_uuids": [CLUSTER], "inputs": inputs});
        let created = self.house.pair.post("/api/v1/service", &request)?;
        Ok(created.pointer("/0/uuid").and_then(Value::as_str).context("no uuid")?.to_owned())
    }

    /// Waits for a task's end: its result, or its error.
    pub(super) fn ended(&self, uuid: &str) -> Result<Result<Value, String>> {
        let path = format!("/api/v1/cluster/{CLUSTER}/service/{uuid}");
        let task = until("the task ends", PATIENCE, || {
            let task = self.house.pair.get(&path)?;
            if task.get("ended").is_some() { Ok(task) } else { bail!("the task is {task}") }
        })
        .with_context(|| self.said())?;
        match task["state"].as_str() {
            Some("succeeded") => {
                let answer = self.house.pair.get(&format!("{path}/result"))?;
                Ok(Ok(serde_json::from_str(answer["result"].as_str().unwrap_or_default())?))
            }
            Some("failed") => Ok(Err(task["error"].as_str().unwrap_or_default().to_owned())),
            _ => bail!("{task}"),
        }
    }

    /// Runs one command with a template of its own.
    pub(super) fn call(&self, command: &str, inputs: &Value) -> Result<Result<Value, String>> {
        let template: String = sha256(command.as_bytes()).chars().take(32).collect();
        if self.house.pair.call("GET", &format!("/api/v1/template/{template}"), None)?.0 == 404 {
            let flow = json!([{"$id": "step1", "$command": command, "inputs": "$inputs"}]);
            self.house.pair.post("/api/v1/template", &json!({"uuid": template, "name": command, "flow": flow}))?;
        }
        self.ended(&self.create(&template, inputs)?)
    }

    /// The same, which must succeed.
    pub(super) fn done(&self, command: &str, inputs: &Value) -> Result<Value> {
        self.call(command, inputs)?.map_err(|error| anyhow::anyhow!("{command} {inputs}: {error}"))
    }

    /// The same, which must fail and say these things.
    pub(super) fn refused(&self, command: &str, inputs: &Value, parts: &[&str]) -> Result<String> {
        let Err(said) = self.call(command, inputs)? else { bail!("{command} {inputs} succeeded") };
        for part in parts {
            ensure!(said.contains(part), "{command} {inputs}: {part} is not in: {said}");
        }
        Ok(said)
    }

    /// The grants file.
    pub(super) fn grants(&self) -> PathBuf {
        self.directory.join("grants.yaml")
    }
}
