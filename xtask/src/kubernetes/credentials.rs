//! Credentials from a task's inputs to a header and nowhere else: the four predefined templates over both stores, a plugin that uses
//! what they keep, and the change of the key.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::house::{ACCOUNT, House, NAMESPACE};
use crate::cluster_of_two::CLUSTER;

/// Seen by the server that it is for, and by nobody else.
const PLANTED: &str = "planted-5b1d0c77";
const SECRET: &str = "claiflow-credential";
/// On loopback, and not the API server's, which no plugin reaches.
const ADDRESS: &str = "127.0.0.2";

/// All of it, with a table of template, storage and result.
pub(super) fn run(house: &House<'_>) -> Result<()> {
    for manifest in manifests() {
        house.plane.apply(&manifest)?;
    }
    let server = Server::start()?;
    let grants = grants(house, server.port)?;
    house.grant(&grants, || {
        let plugins = house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
        let serves = |name: &str| {
            let mut all = plugins.as_array().into_iter().flatten();
            all.any(|plugin| plugin["name"] == name && plugin["state"] == "ready")
        };
        ensure!(serves("claiflow") && serves("probe"), "{plugins}");
        Ok(())
    })?;
    let mut table = Table { house, lines: String::new() };
    for storage in ["k8s/secret", "volume"] {
        let give =
            |data: String| json!({"credentials": {"shop": {"type": "grafana", "storage": storage, "data": data}}});
        let keys = json!({"credential_keys": [{"key": "shop", "storage": storage}]});
        table.row("add", storage, give(PLANTED.to_owned()))?;
        uses(house, &server, &format!("Bearer {PLANTED}"))?;
        let listed = table.row("get", storage, json!({}))?;
        ensure!(listed == json!([{"key": "shop", "storage": storage}]), "{listed}");
        table.row("update", storage, give(format!("{PLANTED}-new")))?;
        uses(house, &server, &format!("Bearer {PLANTED}-new"))?;
        if storage == "volume" {
            rekey(house)?;
            uses(house, &server, &format!("Bearer {PLANTED}-new"))?;
        }
        hidden(house, &table.lines)?;
        table.row("remove", storage, keys)?;
        let listed = table.row("get", storage, json!({}))?;
        ensure!(listed == json!([]), "{listed}");
    }
    eprint!("{}", table.lines);
    stolen(house)?;
    house.grant(&house.everything()?, || {
        let plugins = house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
        ensure!(!plugins.to_string().contains("of the agent itself"), "the grants still count");
        Ok(())
    })
}

/// What was run, and what it gave.
struct Table<'a> {
    house: &'a House<'a>,
    lines: String,
}

impl Table<'_> {
    fn row(&mut self, verb: &str, storage: &str, inputs: Value) -> Result<Value> {
        let result = template(self.house, verb, &inputs)?;
        writeln!(self.lines, "claiflow.credential.{verb:<7} {storage:<11} {result}")?;
        Ok(result)
    }
}

/// The Secret and the agent's right to it, as `deploy/` has them.
fn manifests() -> [Value; 3] {
    let metadata = json!({"name": SECRET, "namespace": NAMESPACE});
    let rule =
        json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get", "patch"]});
    let rbac = "rbac.authorization.k8s.io";
    let version = format!("{rbac}/v1");
    [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}),
        json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [rule]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
               "roleRef": {"apiGroup": rbac, "kind": "Role", "name": SECRET},
               "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]}),
    ]
}

fn grants(house: &House<'_>, port: u16) -> Result<Value> {
    let mut grants = house.everything()?;
    let plugins = grants.get_mut("plugins").and_then(Value::as_object_mut).context("no plugins")?;
    plugins.insert(
        "claiflow".to_owned(),
        json!({"sha256": house.digest("claiflow")?, "commands": ["claiflow.*", "credstor.*"],
               "system": ["credentials", "agent"]}),
    );
    let url = format!("http://{ADDRESS}:{port}");
    plugins.insert(
        "probe".to_owned(),
        json!({"sha256": house.digest("probe")?, "identity": "agent",
               "kubernetes": [{"groups": [""], "resources": ["pods"], "verbs": ["get"], "namespaces": ["default"]}],
               "http": [{"url": url, "methods": ["GET"], "addresses": [format!("{ADDRESS}/32")]}],
               "credentials": {"shop": {"hosts": [url], "methods": ["GET"]}}}),
    );
    Ok(grants)
}

/// Runs the predefined template of a verb.
fn template(house: &House<'_>, verb: &str, inputs: &Value) -> Result<Value> {
    let listed = house.pair.get("/api/v1/template?origin=system")?;
    let command = format!("\"claiflow.credential.{verb}\"");
    let found = listed.as_array().into_iter().flatten().find(|template| {
        template["flow"].as_str().map_or_else(|| template["flow"].to_string(), str::to_owned).contains(&command)
    });
    let uuid =
        found.and_then(|template| template["uuid"].as_str()).with_context(|| format!("no template of {command}"))?;
    let task = house.pair.create(uuid, inputs)?;
    let ended = house.pair.ended(&task)?;
    ensure!(ended["state"] == "succeeded", "{command}: {}: {}", ended["state"], ended["error"]);
    let answer = house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{task}/result"))?;
    Ok(serde_json::from_str(answer["result"].as_str().unwrap_or_default())?)
}

/// A plugin sends it, the server sees it, and the plugin does not.
fn uses(house: &House<'_>, server: &Server, expected: &str) -> Result<()> {
    let url = format!("http://{ADDRESS}:{}/x", server.port);
    let outcome = house.call("probe.run", &json!({"calls": [{"http": {"url": url, "credential": "shop"}}]}))?;
    let outcome = match outcome {
        Ok(outcome) => outcome.to_string(),
        Err(error) => bail!("{error}"),
    };
    ensure!(outcome.contains("got ***") && !outcome.contains(PLANTED), "the plugin got {outcome}");
    let seen = server.last();
    ensure!(seen == expected, "the server got another credential");
    Ok(())
}

/// Under a new key, while the agent runs.
fn rekey(house: &House<'_>) -> Result<()> {
    let state = house.state();
    let before = fs::read(state.join(".claiflow_credentials/shop"))?;
    let mut command = std::process::Command::new(house.program("claiflow-agent"));
    let output = command.args(["credential", "rekey", "--state"]).arg(&state).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && said.contains("1 were moved"), "{output:?}");
    ensure!(fs::read(state.join(".claiflow_credentials/shop"))? != before, "the file is as it was");
    Ok(())
}

/// It is in no answer, nowhere in what the agent said, and in no file of its own.
fn hidden(house: &House<'_>, answers: &str) -> Result<()> {
    let inventory = house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?.to_string();
    for (what, text) in [("an answer", answers.to_owned()), ("the log", house.said()), ("the inventory", inventory)] {
        ensure!(!text.contains(PLANTED), "it is in {what}");
    }
    in_files(&house.state())
}

fn in_files(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            in_files(&path)?;
        } else if let Ok(bytes) = fs::read(&path) {
            let is_there = bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes());
            ensure!(!is_there, "it is in {}", path.display());
        }
    }
    Ok(())
}

/// No plugin reads the Secret, whatever its grants say.
fn stolen(house: &House<'_>) -> Result<()> {
    let outcome = house.call("kubernetes.secrets.get.v1", &json!({"name": SECRET, "namespace": NAMESPACE}))?;
    ensure!(
        outcome.as_ref().is_err_and(|error| error.contains("the agent's own")),
        "it may be read: {}",
        outcome.is_ok()
    );
    Ok(())
}

/// Answers every request, and says what it got.
struct Server {
    port: u16,
    seen: Arc<Mutex<String>>,
}

impl Server {
    /// It ends with this program.
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((ADDRESS, 0))?;
        let (port, seen) = (listener.local_addr()?.port(), Arc::new(Mutex::new(String::new())));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut got = String::new();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some((name, value)) = line.trim_end().split_once(": ")
                        && name.eq_ignore_ascii_case("authorization")
                    {
                        value.clone_into(&mut got);
                    }
                    line.clear();
                }
                let body = format!("got {got}");
                kept.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&got);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                // Who goes away is not this server's matter.
                let _ = reader.get_mut().write_all((head + &body).as_bytes());
            }
        });
        Ok(Self { port, seen })
    }

    fn last(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
