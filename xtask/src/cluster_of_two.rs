//! A server and an agent on loopback, and the calls that people make.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::{
    database::MariaDb,
    plugin,
    process::{Process, free_port, shown, until},
    root, target,
};

pub(crate) const CLUSTER: &str = "00000000000000000000000000000000";
pub(crate) const TOKEN: &str = "CLIENT_AUTHENTICATION_TOKEN";

/// Both hosts and the plugins, built once.
pub(crate) struct Built {
    programs: PathBuf,
    pub(crate) plugins: PathBuf,
}

impl Built {
    /// What tests run: beside the example the hostile plugin, the one that shows its effects, those that are built in, and the probe.
    pub(crate) fn for_tests() -> Result<Self> {
        Self::build(
            "debug",
            &["example", "hostile", "effects", "kubernetes", "prometheus", "claiflow", "helm", "probe"],
        )
    }

    /// What the fault harness runs: a plugin whose effects can be counted.
    pub(crate) fn for_faults() -> Result<Self> {
        Self::build("debug", &["effects"])
    }

    /// What the demo runs.
    pub(crate) fn for_demo() -> Result<Self> {
        Self::build("debug", &["example"])
    }

    /// What benchmarks run: optimised.
    pub(crate) fn for_benchmarks() -> Result<Self> {
        Self::build("release", &["example"])
    }

    /// The same with the plugin of the cluster's API.
    pub(crate) fn for_kubernetes_benchmarks() -> Result<Self> {
        Self::build("release", &["kubernetes"])
    }

    fn build(profile: &str, plugins: &[&str]) -> Result<Self> {
        let mut cargo = crate::process::cargo();
        // With the examples, which some benchmarks run, dependencies have the features that tests give them: without, cargo builds
        // many of them twice.
        cargo.current_dir(root()).args(["build", "--workspace", "--bins", "--examples"]);
        cargo.args((profile == "release").then_some("--release"));
        shown(&mut cargo)?;
        let dist = target().join("plugins/dist").join(plugins.join("+"));
        let crates: Vec<PathBuf> = plugins.iter().map(|name| root().join("plugins").join(name)).collect();
        plugin::build(&crates, &dist)?;
        Ok(Self { programs: target().join(profile), plugins: dist })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// An agent of a cluster; what it keeps goes below `directory`.
    pub(crate) fn agent(&self, grpc: u16, cluster: &str, token: &str, directory: &Path) -> Command {
        let mut command = Command::new(self.program("claiflow-agent"));
        command
            .args(["--server", &format!("127.0.0.1:{grpc}"), "--clusteruuid", cluster, "--token", token])
            .arg("--plugins")
            .arg(&self.plugins)
            .arg("--state")
            .arg(directory.join("agent"));
        command
    }
}

/// A server with its data, and at most one agent.
pub(crate) struct Pair<'a> {
    built: &'a Built,
    directory: &'a Path,
    http: u16,
    grpc: u16,
    config: Option<PathBuf>,
    /// The private MariaDB that it runs on; none: SQLite.
    pub(crate) database: Option<&'a MariaDb>,
    pub(crate) server: Process,
    pub(crate) agent: Option<Process>,
    /// Prints each POST before it is sent.
    pub(crate) prints: bool,
    /// What its callers show, where they must say who they are.
    bearer: Option<String>,
}

impl<'a> Pair<'a> {
    /// Starts a server on SQLite, or on MariaDB.
    pub(crate) fn start(
        built: &'a Built,
        directory: &'a Path,
        database: Option<&'a MariaDb>,
        ports: (u16, u16),
    ) -> Result<Self> {
        let config = database.map(MariaDb::config_here);
        Self::start_on(built, directory, config, database, ports)
    }

    /// Starts a server with a configuration of its own.
    pub(crate) fn start_with(built: &'a Built, directory: &'a Path, config: String, ports: (u16, u16)) -> Result<Self> {
        Self::start_on(built, directory, Some(config), None, ports)
    }

    fn start_on(
        built: &'a Built,
        directory: &'a Path,
        config: Option<String>,
        database: Option<&'a MariaDb>,
        ports: (u16, u16),
    ) -> Result<Self> {
        let (http, grpc) = (free_port(ports.0)?, free_port(ports.1)?);
        let config = match config {
            None => None,
            Some(config) => {
                let file = directory.join("config.yaml");
                fs::write(&file, config)?;
                Some(file)
            }
        };
        let server = server(built, directory, http, grpc, config.as_deref())?;
        let pair =
            Self { built, directory, http, grpc, config, database, server, agent: None, prints: false, bearer: None };
        pair.ready()?;
        Ok(pair)
    }

    /// Whoever calls from here on shows this token.
    pub(crate) fn called_with(mut self, bearer: &str) -> Self {
        self.bearer = Some(bearer.to_owned());
        self
    }

    fn ready(&self) -> Result<()> {
        until("the server is ready", Duration::from_secs(30), || self.get("/readyz").map(drop))
            .with_context(|| self.server.said())
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub(crate) fn http_port(&self) -> u16 {
        self.http
    }

    pub(crate) fn grpc_port(&self) -> u16 {
        self.grpc
    }

    pub(crate) fn restart_server(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server = server(self.built, self.directory, self.http, self.grpc, self.config.as_deref())?;
        self.ready()
    }

    /// Starts an agent; the same state directory each time.
    pub(crate) fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(Process::start("agent", &mut self.agent_command(TOKEN), self.directory)?);
        Ok(())
    }

    pub(crate) fn agent_command(&self, token: &str) -> Command {
        self.built.agent(self.grpc, CLUSTER, token, self.directory)
    }

    /// A GET that must be answered with 200.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        match self.call("GET", path, None)? {
            (200, body) => Ok(body),
            (status, body) => bail!("GET {path}: {status} {body}"),
        }
    }

    /// A POST that must be answered with 200.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        if self.prints {
            println!("POST {path} {body}");
        }
        match self.call("POST", path, Some(&body.to_string()))? {
            (200, answer) => Ok(answer),
            (status, answer) => bail!("POST {path}: {status} {answer}"),
        }
    }

    /// Any call; the status and the JSON body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, Value)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base()));
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let mut response = match body {
            Some(body) => agent.run(request.header("content-type", "application/json").body(body)?)?,
            None => agent.run(request.body(())?)?,
        };
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Declares the cluster, its token and the three example templates.
    pub(crate) fn declare(&self) -> Result<()> {
        self.post("/api/v1/cluster", &json!({"uuid": CLUSTER, "name": "test cluster"}))?;
        let token = json!({"uuid": "00000000000000000000000000000001", "name": "test token", "cluster_uuid": CLUSTER, "token": TOKEN});
        self.post("/api/v1/cluster_token", &token)?;
        for (name, flow, _, _) in examples() {
            self.post(
                "/api/v1/template",
                &json!({"uuid": name, "name": name, "flow": flow.to_string(), "inputs": {}}),
            )?;
        }
        Ok(())
    }

    /// Creates a task; its uuid.
    pub(crate) fn create(&self, template: &str, inputs: &Value) -> Result<String> {
        let answer = self.post(
            "/api/v1/service",
            &json!({"template_uuid": template, "cluster_uuids": [CLUSTER], "inputs": inputs}),
        )?;
        answer
            .pointer("/0/uuid")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("no uuid in {answer}"))
    }

    /// Runs one command with a template of its own: the result, or the task's error.
    pub(crate) fn call_command(&self, command: &str, inputs: &Value) -> Result<Result<Value, String>> {
        let template: String = plugin::sha256(command.as_bytes()).chars().take(32).collect();
        let known = self.call("GET", &format!("/api/v1/template/{template}"), None)?;
        if known.0 == 404 {
            let flow = json!([{"$id": "step1", "$command": command, "inputs": "$inputs"}]);
            self.post("/api/v1/template", &json!({"uuid": template, "name": command, "flow": flow}))?;
        }
        self.result(&self.create(&template, inputs)?)
    }

    /// Waits until a task is final: its result, or its error.
    pub(crate) fn result(&self, uuid: &str) -> Result<Result<Value, String>> {
        let task = self.ended(uuid)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        match text(task.get("state")).as_str() {
            "succeeded" => {
                let answer = self.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
                Ok(Ok(serde_json::from_str(&text(answer.get("result")))?))
            }
            "failed" => Ok(Err(text(task.get("error")))),
            _ => bail!("{task}"),
        }
    }

    /// Waits until a task is final; the task.
    pub(crate) fn ended(&self, uuid: &str) -> Result<Value> {
        until("the task ends", Duration::from_secs(60), || {
            let task = self.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}"))?;
            if task.get("ended").is_some() { Ok(task) } else { bail!("the task is {task}") }
        })
    }
}

fn server(built: &Built, directory: &Path, http: u16, grpc: u16, config: Option<&Path>) -> Result<Process> {
    let mut command = Command::new(built.program("claiflow-server"));
    command
        .args(["--http-port", &http.to_string(), "--grpc-port", &grpc.to_string()])
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(config);
    if built.programs.ends_with("release") {
        // A load generator is one caller.
        command.env("CLAIFLOW_HTTP_RATELIMIT_PERSECOND", "0");
    }
    Process::start("server", &mut command, directory)
}

/// Name, flow, inputs and result of the three example templates.
pub(crate) fn examples() -> [(&'static str, Value, Value, &'static str); 3] {
    [
        (
            "example_simple",
            json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]),
            json!({"name": "world"}),
            r#""hello world""#,
        ),
        (
            "example_iter",
            json!([{"$id": "step1", "$range": "$inputs.x_list", "$steps": [{"$id": "step2", "$command": "math_pow", "inputs": {"x": "$step1.val", "y": 2}}]}]),
            json!({"x_list": [1, 2, 3, 4, 5]}),
            "[1,4,9,16,25]",
        ),
        (
            "example_pass_val",
            json!([
                {"$id": "step1", "$command": "swap_command", "inputs": {"param1": "$inputs.input1", "param2": "$inputs.input2"}},
                {"$id": "step2", "$command": "swap_command", "inputs": {"param1": "$step1.outputs.value1", "param2": "$step1.outputs.value2"}},
            ]),
            json!({"input1": "foo", "input2": "bar"}),
            r#"{"value1":"foo","value2":"bar"}"#,
        ),
    ]
}
