//! One control plane on loopback: etcd, API server, controllers, scheduler, and in the place of kubelets kwok, which says that
//! pods run, with a program of ours for exec and logs.

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::programs::Programs;
use crate::process::{Process, free_port, until};

const START_MAX: Duration = Duration::from_secs(90);

/// Stopped when dropped, the API server before its database.
pub(crate) struct ControlPlane {
    programs: Programs,
    directory: PathBuf,
    /// The API server's.
    pub(crate) port: u16,
    token: String,
    /// Its processes are to outlive this program.
    is_detached: bool,
    /// In the order of their start.
    processes: Vec<Process>,
}

impl ControlPlane {
    /// Starts one with `nodes` nodes that are ready; all it keeps is below `directory`.
    ///
    /// # Errors
    /// What did not start, with the end of what it said.
    pub(crate) fn start(programs: Programs, directory: &Path, nodes: usize) -> Result<Self> {
        Self::begin_all(programs, directory, nodes, false)
    }

    /// The same, to be left running: the terminal's Ctrl-C is not for its processes.
    pub(super) fn start_detached(programs: Programs, directory: &Path, nodes: usize) -> Result<Self> {
        Self::begin_all(programs, directory, nodes, true)
    }

    fn begin_all(programs: Programs, directory: &Path, nodes: usize, is_detached: bool) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let mut plane = Self {
            programs,
            directory: directory.to_owned(),
            port: free_port(0)?,
            token: random()?,
            is_detached,
            processes: Vec::new(),
        };
        plane.keys()?;
        plane.etcd()?;
        plane.api_server()?;
        plane.controllers()?;
        plane.kwok()?;
        plane.nodes(nodes)?;
        Ok(plane)
    }

    /// A file for kubectl and for kube: all rights.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// A kubeconfig of a ServiceAccount, whose token is asked for now.
    pub(crate) fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", account, "--namespace", namespace])?;
        let file = self.directory.join(format!("kubeconfig-{namespace}-{account}"));
        self.write_kubeconfig(&file, token.trim())?;
        Ok(file)
    }

    /// The program, told where this control plane is.
    pub(crate) fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.programs.path("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// What it complains about.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = self.kubectl_command().args(arguments).output().context("kubectl could not be started")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Server-side apply of a manifest, whoever owned its fields before.
    pub(crate) fn apply(&self, manifest: &Value) -> Result<String> {
        let file = self.directory.join("applied.json");
        fs::write(&file, manifest.to_string())?;
        let file = file.display().to_string();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &file])
    }

    /// Every request that reached the API server so far, as its audit log says: metadata, one JSON object each.
    pub(crate) fn audit(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.directory.join("audit.log"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Processes in the order of their start.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(Process::id)
    }

    /// Leaves the processes running.
    pub(super) fn leave(mut self) {
        for process in std::mem::take(&mut self.processes) {
            process.leave();
        }
    }

    fn begin(&mut self, name: &str, command: &mut Command) -> Result<()> {
        if self.is_detached {
            command.process_group(0);
        }
        let process = Process::start(name, command, &self.directory)?;
        super::interrupt::watch(process.id());
        self.processes.push(process);
        Ok(())
    }

    /// The end of what the last one said.
    fn said(&self) -> String {
        let said = self.processes.last().map(Process::said).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn keys(&self) -> Result<()> {
        let key = self.directory.join("accounts.key");
        let output = Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(&key)
            .arg("2048")
            .output()
            .context("openssl is missing: apt-get install openssl")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(self.directory.join("tokens.csv"), format!("{},admin,admin,system:masters\n", self.token))?;
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            // What the control plane's own programs do is of no interest.
            "rules": [
                {"level": "None", "users": ["system:apiserver"]},
                {"level": "None", "userGroups": ["system:nodes"]},
                {"level": "Metadata"},
            ],
        });
        Ok(fs::write(self.directory.join("audit-policy.json"), policy.to_string())?)
    }

    fn etcd(&mut self) -> Result<()> {
        let (client, peer) = (free_port(0)?, free_port(0)?);
        let (client_url, peer_url) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut etcd = Command::new(self.programs.path("etcd"));
        etcd.arg("--data-dir").arg(self.directory.join("etcd")).args([
            "--listen-client-urls",
            &client_url,
            "--advertise-client-urls",
            &client_url,
            "--listen-peer-urls",
            &peer_url,
            "--initial-advertise-peer-urls",
            &peer_url,
            "--initial-cluster",
            &format!("default={peer_url}"),
            // Nothing here outlives the machine.
            "--unsafe-no-fsync",
        ]);
        self.begin("etcd", &mut etcd)?;
        let health = format!("{client_url}/health");
        until("etcd starts", START_MAX, || Ok(ureq::get(&health).call().map(drop)?)).with_context(|| self.said())?;
        fs::write(self.directory.join("etcd.url"), client_url)?;
        Ok(())
    }

    fn api_server(&mut self) -> Result<()> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let mut server = Command::new(self.programs.path("kube-apiserver"));
        server.args([
            format!("--etcd-servers={}", fs::read_to_string(self.directory.join("etcd.url"))?),
            "--bind-address=127.0.0.1".into(),
            // It must not be a loopback address, and nobody uses it.
            "--advertise-address=192.0.2.1".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--secure-port={}", self.port),
            format!("--cert-dir={}", file("certificates")),
            format!("--service-account-key-file={}", file("accounts.key")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--allow-privileged".into(),
            // A node's name is no host here.
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--kubelet-client-certificate={}", file("certificates/apiserver.crt")),
            format!("--kubelet-client-key={}", file("certificates/apiserver.key")),
            format!("--audit-policy-file={}", file("audit-policy.json")),
            format!("--audit-log-path={}", file("audit.log")),
        ]);
        self.begin("kube-apiserver", &mut server)?;
        let certificate = self.directory.join("certificates/apiserver.crt");
        until("the API server makes its certificate", START_MAX, || Ok(fs::metadata(&certificate).map(drop)?))
            .with_context(|| self.said())?;
        self.write_kubeconfig(&self.kubeconfig(), &self.token)?;
        until("the API server is ready", START_MAX, || self.kubectl(&["get", "--raw", "/readyz"]))
            .with_context(|| self.said())?;
        Ok(())
    }

    fn controllers(&mut self) -> Result<()> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig().display());
        let mut manager = Command::new(self.programs.path("kube-controller-manager"));
        let key = self.directory.join("accounts.key");
        let root = self.directory.join("certificates/apiserver.crt");
        manager.args([&kubeconfig, "--secure-port=0", "--leader-elect=false"]);
        manager.arg(format!("--service-account-private-key-file={}", key.display()));
        manager.arg(format!("--root-ca-file={}", root.display()));
        self.begin("kube-controller-manager", &mut manager)?;
        let mut scheduler = Command::new(self.programs.path("kube-scheduler"));
        scheduler.args([&kubeconfig, "--secure-port=0", "--leader-elect=false"]);
        self.begin("kube-scheduler", &mut scheduler)
    }

    /// Answers exec and logs for every pod; its port.
    fn pods(&mut self) -> Result<u16> {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let (logs, work) = (self.directory.join("logs"), self.directory.join("work"));
        fs::create_dir_all(&logs)?;
        fs::create_dir_all(&work)?;
        // The format in which container runtimes keep logs.
        let line = "2026-01-01T00:00:00.000000000Z stdout F hello from this pod\n";
        fs::write(logs.join("default.log"), line)?;
        let port = free_port(0)?;
        let mut pods = Command::new(self.programs.pods());
        pods.arg(format!("--address=127.0.0.1:{port}"));
        pods.arg(format!("--certificate={}", at("certificates/apiserver.crt")));
        pods.arg(format!("--key={}", at("certificates/apiserver.key")));
        pods.args([format!("--logs={}", logs.display()), format!("--work={}", work.display())]);
        self.begin("pods", &mut pods)?;
        Ok(port)
    }

    fn kwok(&mut self) -> Result<()> {
        for file in self.programs.definitions()? {
            self.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()])?;
        }
        let mut config = String::new();
        for file in self.programs.stages()? {
            config.push_str(&fs::read_to_string(&file)?);
            config.push_str("\n---\n");
        }
        let file = self.directory.join("kwok.yaml");
        fs::write(&file, config)?;
        let pods = self.pods()?;
        let mut kwok = Command::new(self.programs.path("kwok"));
        // Else it reads a configuration in its user's home as well.
        kwok.env("KWOK_WORKDIR", self.directory.join("kwok"));
        kwok.arg(format!("--kubeconfig={}", self.kubeconfig().display())).arg(format!("--config={}", file.display()));
        kwok.args(["--manage-all-nodes=true", "--node-ip=127.0.0.1", &format!("--node-port={pods}")]);
        // Its own answers for pods are for nobody: they do not tell how a program ended.
        kwok.arg(format!("--server-address=127.0.0.1:{}", free_port(0)?));
        self.begin("kwok", &mut kwok)
    }

    fn nodes(&self, nodes: usize) -> Result<()> {
        let names: Vec<String> = (0..nodes).map(|index| format!("node-{index}")).collect();
        let made = names.iter().map(|name| {
            let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"});
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        });
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": made.collect::<Vec<_>>()}))?;
        for name in &names {
            self.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("node/{name}")])
                .with_context(|| self.said())?;
        }
        // Pods are refused until the controllers have made it.
        until("the default account is there", START_MAX, || self.kubectl(&["get", "serviceaccount", "default"]))?;
        Ok(())
    }

    fn write_kubeconfig(&self, file: &Path, token: &str) -> Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "claiflow",
            "clusters": [{"name": "claiflow", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.directory.join("certificates/apiserver.crt"),
            }}],
            "users": [{"name": "claiflow", "user": {"token": token}}],
            "contexts": [{"name": "claiflow", "context": {"cluster": "claiflow", "user": "claiflow", "namespace": "default"}}],
        });
        Ok(fs::write(file, serde_json::to_string_pretty(&config)?)?)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Whoever needs another goes first, or it waits in vain for an answer.
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
    }
}

/// 128 bits as hexadecimal digits.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
