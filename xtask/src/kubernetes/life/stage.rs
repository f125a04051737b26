//! A cluster of its own for one agent: its Deployment, its roles, its process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    PATIENCE,
    manifests::{ACCOUNT, CONFIG_MAP, DEPLOYMENT, NAMESPACE, deployment, grants},
};
use crate::{
    kubernetes::house::House,
    plugin::sha256,
    process::{Process, until},
};

const CLUSTER: &str = "00000000000000000000000000000003";
const TOKEN: &str = "TOKEN_OF_THE_THIRD_CLUSTER";

/// The predefined template of an upgrade.
pub(super) fn upgrade() -> &'static str {
    "99990000000000000000000000000002"
}

/// Its process is stopped when dropped.
pub(super) struct Stage<'a> {
    house: &'a House<'a>,
    directory: PathBuf,
    kubeconfig: PathBuf,
    pub(super) agent: Process,
    /// The state directory of the running one: a pod has its own.
    incarnation: String,
}

impl<'a> Stage<'a> {
    /// What an operator applies, and the agent in its first pod.
    pub(super) fn open(house: &'a House<'a>, directory: &Path) -> Result<Self> {
        let plane = house.plane;
        let of = |name: &str| json!({"name": name, "namespace": NAMESPACE});
        let named = |kind: &str, metadata: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        plane.apply(&named("Namespace", json!({"name": NAMESPACE})))?;
        plane.apply(&named("ServiceAccount", of(ACCOUNT)))?;
        let mut map = named("ConfigMap", of(CONFIG_MAP));
        map["data"] = json!({"from-map": "old", "other": "stays"});
        plane.apply(&map)?;
        plane.apply(&deployment())?;

        let mount = directory.join("plugins");
        fs::create_dir_all(&mount)?;
        for plugin in ["claiflow", "effects"] {
            fs::copy(house.component(plugin), mount.join(plugin).with_extension("wasm"))?;
        }
        let digest = sha256(&fs::read(mount.join("claiflow.wasm"))?);
        fs::write(directory.join("grants.yaml"), grants(&digest).to_string())?;
        let mut inspect = Command::new(house.program("claiflow-agent"));
        inspect.arg("inspect").arg(mount.join("claiflow.wasm")).arg("--grants").arg(directory.join("grants.yaml"));
        let output = inspect.args(["--rbac", "--namespace", NAMESPACE, "--agent-account", ACCOUNT]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let roles = directory.join("roles.yaml");
        fs::write(&roles, &output.stdout)?;
        plane.kubectl(&["apply", "--server-side", "-f", &roles.display().to_string()])?;
        let looks = |resource: &str, verb: &str| json!({"apiGroups": [""], "resources": [resource], "verbs": [verb]});
        plane.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": of("claiflow-client"),
            "rules": [looks("pods", "get"), looks("configmaps", "list")],
        }))?;
        plane.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": of("claiflow-client"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "claiflow-client"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        }))?;
        house.pair.post("/api/v1/cluster", &json!({"uuid": CLUSTER, "name": "an agent's life"}))?;
        house.pair.post("/api/v1/cluster_token", &json!({"name": "third", "cluster_uuid": CLUSTER, "token": TOKEN}))?;
        let kubeconfig = plane.kubeconfig_of(NAMESPACE, ACCOUNT)?;
        let pod = until("the agent's pod is there", PATIENCE, || one(&pods(house)?))?;
        let agent = process(house, directory, &kubeconfig, "first", &pod)?;
        let directory = directory.to_owned();
        let stage = Self { house, directory, kubeconfig, agent, incarnation: "first".to_owned() };
        stage.serves()?;
        Ok(stage)
    }

    pub(super) fn said(&self) -> String {
        let said = self.agent.said();
        let lines: Vec<&str> = said.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    fn serves(&self) -> Result<()> {
        let path = format!("/api/v1/cluster/{CLUSTER}/plugin");
        until("the plugin serves", PATIENCE, || {
            let answer = self.house.pair.get(&path)?;
            let serves = |plugin: &Value| plugin["name"] == "claiflow" && plugin["state"] == "ready";
            if answer.as_array().is_some_and(|all| all.iter().any(serves)) { Ok(()) } else { bail!("{answer}") }
        })
        .with_context(|| self.said())
    }

    /// Puts one more plugin into the agent's directory.
    pub(super) fn add_plugin(&self, name: &str) -> Result<()> {
        let (aside, file) = (self.directory.join("part"), self.directory.join("plugins").join(name));
        fs::copy(self.house.component(name), &aside)?;
        Ok(fs::rename(aside, file.with_extension("wasm"))?)
    }

    /// Where an agent keeps its journal.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The agent of a pod, with a journal of its own, beside the one that runs.
    pub(super) fn start(&mut self, name: &str, pod: &str) -> Result<Process> {
        name.clone_into(&mut self.incarnation);
        let agent = process(self.house, &self.directory, &self.kubeconfig, name, pod)?;
        until("it is connected", PATIENCE, || {
            if agent.said().contains(": connected") { Ok(()) } else { bail!("{}", agent.said()) }
        })?;
        Ok(agent)
    }

    /// The same container once more.
    pub(super) fn restart(&mut self) -> Result<()> {
        let pod = self.pod()?;
        self.start_as(&pod)
    }

    /// Once more with the same journal, as a pod.
    pub(super) fn start_as(&mut self, pod: &str) -> Result<()> {
        self.agent = process(self.house, &self.directory, &self.kubeconfig, &self.incarnation, pod)?;
        Ok(())
    }

    /// Waits until the agent says so.
    pub(super) fn says(&self, words: &str) -> Result<()> {
        until(words, PATIENCE, || if self.agent.said().contains(words) { Ok(()) } else { bail!("it does not say so") })
    }

    /// Runs one command to its result.
    pub(super) fn call(&self, command: &str, inputs: &Value) -> Result<Value> {
        let uuid = self.begin(command, inputs)?;
        let task = self.ended(&uuid)?;
        ensure!(task["state"] == "succeeded", "{task}");
        let answer = self.house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
        Ok(serde_json::from_str(answer["result"].as_str().unwrap_or_default())?)
    }

    /// Creates a task of one command with a template of its own; its uuid.
    pub(super) fn begin(&self, command: &str, inputs: &Value) -> Result<String> {
        let template: String = sha256(command.as_bytes()).chars().take(32).collect();
        if self.house.pair.call("GET", &format!("/api/v1/template/{template}"), None)?.0 == 404 {
            let flow = json!([{"$id": "step1", "$command": command, "inputs": "$inputs"}]);
            self.house.pair.post("/api/v1/template", &json!({"uuid": template, "name": command, "flow": flow}))?;
        }
        self.create(&template, inputs)
    }

    /// Creates a task; its uuid.
    pub(super) fn create(&self, template: &str, inputs: &Value) -> Result<String> {
        let request = json!({"template_uuid": template, "cluster_uuids": [CLUSTER], "inputs": inputs});
        let created = self.house.pair.post("/api/v1/service", &request)?;
        Ok(created.pointer("/0/uuid").and_then(Value::as_str).context("no uuid")?.to_owned())
    }

    pub(super) fn task(&self, uuid: &str) -> Result<Value> {
        self.house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}"))
    }

    /// Waits until a task is final.
    pub(super) fn ended(&self, uuid: &str) -> Result<Value> {
        until("the task ends", PATIENCE, || {
            let task = self.task(uuid)?;
            if task.get("ended").is_some() { Ok(task) } else { bail!("{task}") }
        })
    }

    /// The one pod of the Deployment.
    pub(super) fn pod(&self) -> Result<String> {
        until("there is one pod", PATIENCE, || one(&pods(self.house)?))
    }

    /// Waits for the pod that a rollout makes beside this one.
    pub(super) fn other_pod(&self, before: &str) -> Result<String> {
        until("the rollout makes a pod", PATIENCE, || {
            pods(self.house)?
                .into_iter()
                .find(|pod| pod != before)
                .context("there is none")
                .with_context(|| self.said())
        })
    }

    pub(super) fn gone(&self, pod: &str) -> Result<()> {
        let is_there = || Ok::<_, anyhow::Error>(pods(self.house)?.iter().any(|it| it == pod));
        until("the pod goes", PATIENCE, || if is_there()? { bail!("{pod} is there") } else { Ok(()) })
            .with_context(|| self.said())
    }

    /// Whether nodes take no new pods.
    pub(super) fn cordon(&self, no_pods: bool) -> Result<()> {
        let nodes = self.house.plane.kubectl(&["get", "nodes", "-o", "name"])?;
        for node in nodes.lines() {
            let node = node.trim_start_matches("node/");
            self.house.plane.kubectl(&[if no_pods { "cordon" } else { "uncordon" }, node])?;
        }
        Ok(())
    }

    /// Says of a pod what a kubelet says that finds no such image.
    pub(super) fn cannot_pull(&self, pod: &str) -> Result<()> {
        let waiting = json!({"reason": "ImagePullBackOff", "message": "Back-off pulling image"});
        let status = json!({"name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": waiting}});
        let patch = json!({"status": {"containerStatuses": [status]}}).to_string();
        let plane = self.house.plane;
        plane
            .kubectl(&["-n", NAMESPACE, "patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &patch])
            .map(drop)
    }

    /// The agent's container, as the Deployment has it.
    pub(super) fn container(&self) -> Result<Value> {
        let deployment = get(self.house, &["deployment", DEPLOYMENT])?;
        Ok(deployment.pointer("/spec/template/spec/containers/0").cloned().unwrap_or_default())
    }

    /// What the ConfigMap holds of which the environment is made.
    pub(super) fn config_map(&self) -> Result<Value> {
        Ok(get(self.house, &["configmap", CONFIG_MAP])?["data"].clone())
    }

    /// How often the Deployment was changed so far by the plugin's own account.
    pub(super) fn patches(&self) -> Result<usize> {
        let user = format!("system:serviceaccount:{NAMESPACE}:claiflow-plugin-claiflow");
        let is_patch = |entry: &&Value| {
            entry["verb"] == "patch"
                && entry["user"]["username"] == user.as_str()
                && entry["objectRef"]["resource"] == "deployments"
        };
        Ok(self.house.plane.audit()?.iter().filter(is_patch).count())
    }
}

fn process(house: &House<'_>, directory: &Path, kubeconfig: &Path, name: &str, pod: &str) -> Result<Process> {
    let mut command = house.agent(CLUSTER, TOKEN, &directory.join(name), &directory.join("plugins"));
    command.arg("--cache").arg(directory.join("compiled")).arg("--grants").arg(directory.join("grants.yaml"));
    command.arg("--kubeconfig").arg(kubeconfig).args(["--namespace", NAMESPACE, "--pod", pod]);
    Process::start(name, &mut command, directory)
}

fn get(house: &House<'_>, what: &[&str]) -> Result<Value> {
    let words = [&["-n", NAMESPACE, "get", "-o", "json"][..], what].concat();
    Ok(serde_json::from_str(&house.plane.kubectl(&words)?)?)
}

/// The Deployment's pods that are not going.
fn pods(house: &House<'_>) -> Result<Vec<String>> {
    let list = get(house, &["pods", "-l", "claiflow=client"])?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let there = items.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(there.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect())
}

fn one(pods: &[String]) -> Result<String> {
    match pods {
        [pod] => Ok(pod.clone()),
        _ => bail!("there are {pods:?}"),
    }
}
