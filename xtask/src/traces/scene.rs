//! A server and an agent that send their spans to a collector and write their lines as JSON, and something to ask over HTTP.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::spans::{Span, spans};
use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    plugin::sha256,
    process::{Process, free_port, until},
};

/// Sent with each export; in no line and in no span.
pub(super) const AUTHORIZATION: &str = "Bearer collectors-own-secret";
/// Stands in a task's inputs.
pub(super) const PLANTED: &str = "planted-secret-of-a-task";
const ANSWER: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;

/// Stopped when dropped.
pub(super) struct Scene<'a> {
    pub(super) pair: Pair<'a>,
    pub(super) collector: Process,
    /// Where `ANSWER` is answered.
    pub(super) asked: String,
    grants: PathBuf,
    endpoint: String,
    /// Of the agent's `/metrics`.
    pub(super) health: u16,
    directory: &'a Path,
}

impl<'a> Scene<'a> {
    pub(super) fn open(built: &'a Built, directory: &'a Path) -> Result<Self> {
        let port = free_port(0)?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(built.program("examples/collector"));
        let collector = Process::start("collector", command.args([&port.to_string(), AUTHORIZATION]), directory)?;
        let config = json!({
            "logger": {"format": "json"},
            "delivery": {"backoff": "100ms"},
            "telemetry": {"otlp": {"endpoint": endpoint, "headers": [format!("authorization={AUTHORIZATION}")]}},
        });
        // JSON is YAML.
        let pair = Pair::start_with(built, directory, config.to_string(), (0, 0))?;
        pair.declare()?;
        let asked = answering()?;
        let digest = sha256(&fs::read(built.plugins.join("prometheus.wasm"))?);
        let http = json!([{"url": format!("http://{asked}"), "methods": ["GET"], "addresses": ["127.0.0.1/32"]}]);
        let grants = directory.join("grants.yaml");
        let granted =
            json!({"plugins": {"prometheus": {"sha256": digest, "commands": ["prometheus.*"], "http": http}}});
        fs::write(&grants, granted.to_string())?;
        let health = free_port(0)?;
        let mut scene = Self { pair, collector, asked, grants, endpoint, health, directory };
        scene.start_agent()?;
        Ok(scene)
    }

    /// Starts the agent; the same state directory each time.
    pub(super) fn start_agent(&mut self) -> Result<()> {
        let mut command = self.pair.agent_command(TOKEN);
        command
            .args(["--log-format", "json", "--otlp-endpoint", &self.endpoint])
            .arg("--grants")
            .arg(&self.grants)
            .arg("--health")
            .arg(format!("127.0.0.1:{}", self.health))
            .env("CLAIFLOW_OTLP_HEADERS", format!("authorization={AUTHORIZATION}"));
        self.pair.agent = Some(Process::start("agent", &mut command, self.directory)?);
        until("the plugins serve", Duration::from_secs(120), || {
            let plugins = self.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
            let is_ready = |plugin: &Value| plugin["name"] == "prometheus" && plugin["state"] == "ready";
            ensure!(plugins.as_array().is_some_and(|all| all.iter().any(is_ready)), "{plugins}");
            Ok(())
        })
    }

    /// Creates a task as a caller that traces and names its request does; the task's uuid.
    pub(super) fn create(&self, flow: &Value, inputs: &Value, traceparent: &str, request_id: &str) -> Result<String> {
        let template: String = sha256(flow.to_string().as_bytes()).chars().take(32).collect();
        if self.pair.call("GET", &format!("/api/v1/template/{template}"), None)?.0 == 404 {
            self.pair
                .post("/api/v1/template", &json!({"uuid": template, "name": "traced", "flow": flow.to_string()}))?;
        }
        let body = json!({"template_uuid": template, "cluster_uuids": [CLUSTER], "inputs": inputs});
        let mut answer = ureq::post(format!("{}/api/v1/service", self.pair.base()))
            .header("content-type", "application/json")
            .header("traceparent", traceparent)
            .header("x-request-id", request_id)
            .send(body.to_string())?;
        ensure!(answer.headers().get("x-request-id").is_some_and(|id| id == request_id), "{:?}", answer.headers());
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        ensure!(answer[0]["request_id"] == request_id, "{answer}");
        answer[0]["uuid"].as_str().map(str::to_owned).with_context(|| format!("no uuid in {answer}"))
    }

    /// The spans of a trace, once `is_whole` says so.
    pub(super) fn trace(&self, trace: &str, is_whole: impl Fn(&[Span]) -> bool) -> Result<Vec<Span>> {
        until("the trace is whole", Duration::from_secs(30), || {
            let mut spans = spans(&self.collector.said())?;
            spans.retain(|span| span.trace == trace);
            ensure!(is_whole(&spans), "{spans:#?}");
            Ok(spans)
        })
    }

    /// What both hosts said.
    pub(super) fn said(&self) -> (String, String) {
        (self.pair.server.said(), self.pair.agent.as_ref().map(Process::said).unwrap_or_default())
    }

    /// The last lines of both hosts.
    pub(super) fn tail(&self) -> String {
        let (server, agent) = self.said();
        let tail = |said: &str| {
            let lines: Vec<&str> = said.lines().collect();
            lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
        };
        format!("server:\n{}\nagent:\n{}", tail(&server), tail(&agent))
    }
}

/// Answers every request in the words of a Prometheus, until the program ends; host and port.
fn answering() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who hangs up is no concern of this.
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let bytes = ANSWER.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n{ANSWER}"
    )?;
    Ok(stream.flush()?)
}
