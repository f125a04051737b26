//! What operators watch both hosts with: metrics and their page, alert rules and their tests, the dashboard and its queries.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    families::{documented, families, names, promised},
    monitor::Monitor,
};
use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    plugin::sha256,
    process::{Process, free_port, until},
    root,
};

const PAGE: &str = "docs/observability.md";
const RULES: &str = "deploy/prometheus/alerts.rules.yaml";
const TESTS: &str = "deploy/prometheus/alerts.test.yaml";
const DASHBOARD: &str = "deploy/grafana/claiflow.json";
/// A cluster without an agent, so that something waits.
const LONELY: &str = "00000000000000000000000000000009";

/// Both hosts, after they have done a bit of everything, and a Prometheus that scrapes them. Stopped when dropped.
pub(super) struct Watched<'a> {
    pair: Pair<'a>,
    monitor: Monitor,
    health: u16,
    _agent: Process,
}

impl<'a> Watched<'a> {
    pub(super) fn open(built: &'a Built, directory: &'a Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let pair = Pair::start(built, directory, None, (0, 0))?;
        pair.declare()?;
        let health = free_port(0)?;
        let (server, agent) = (format!("127.0.0.1:{}", pair.http_port()), format!("127.0.0.1:{health}"));
        let targets = [("claiflow-server", server.as_str()), ("claiflow-agent", agent.as_str())];
        let monitor = Monitor::start_on(&directory.join("prometheus"), "127.0.0.1", &targets)?;
        let (host, _) = monitor.address.split_once('/').context("no prefix")?;
        let digest = |plugin: &str| Ok::<_, anyhow::Error>(sha256(&fs::read(built.plugins.join(plugin))?));
        let http = json!([{"url": format!("http://{host}"), "methods": ["GET"], "addresses": ["127.0.0.1/32"]}]);
        let grants = json!({"plugins": {
            "prometheus": {"sha256": digest("prometheus.wasm")?, "commands": ["prometheus.*"], "http": http},
            "hostile": {"sha256": digest("hostile.wasm")?, "commands": ["hostile.*"], "limits": {"cpu": "200ms"}},
        }});
        let file = directory.join("grants.yaml");
        fs::write(&file, grants.to_string())?;
        let mut command = pair.agent_command(TOKEN);
        command.arg("--grants").arg(&file).arg("--health").arg(format!("127.0.0.1:{health}"));
        let agent = Process::start("agent", &mut command, directory)?;
        until("the plugins serve", Duration::from_secs(120), || {
            let plugins = pair.get(&format!("/api/v1/cluster/{CLUSTER}/plugin"))?;
            let is_ready = |plugin: &Value| plugin["name"] == "prometheus" && plugin["state"] == "ready";
            ensure!(plugins.as_array().is_some_and(|all| all.iter().any(is_ready)), "{plugins}");
            Ok(())
        })?;
        let watched = Self { pair, monitor, health, _agent: agent };
        watched.do_a_bit_of_everything()?;
        Ok(watched)
    }

    /// A metric with labels is there once something was counted.
    fn do_a_bit_of_everything(&self) -> Result<()> {
        let url = format!("http://{}", self.monitor.address);
        let told = self.pair.call_command("prometheus.query.v1", &json!({"url": url, "query": "vector(1)"}))?;
        ensure!(told.is_ok(), "{told:?}");
        let ended = self.pair.call_command("hostile.spin", &json!({}))?;
        ensure!(ended.as_ref().is_err_and(|error| error.contains("CPU")), "{ended:?}");
        self.pair.post("/api/v1/cluster", &json!({"uuid": LONELY, "name": "nobody serves it"}))?;
        let task = json!({"template_uuid": "example_simple", "cluster_uuids": [LONELY], "inputs": {"name": "x"}});
        self.pair.post("/api/v1/service", &task)?;
        until("it is shown that the task waits", Duration::from_secs(60), || {
            let text = self.server()?;
            let waits = format!("claiflow_queue_agents{{cluster=\"{LONELY}\"}} 0");
            ensure!(text.contains(&waits) && text.contains("claiflow_queue_age_seconds{"), "{waits} is not there");
            Ok(())
        })
    }

    fn server(&self) -> Result<String> {
        Ok(self.pair.get("/metrics")?.as_str().unwrap_or_default().to_owned())
    }

    fn agent(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.health);
        Ok(ureq::get(url).call()?.body_mut().read_to_string()?)
    }
}

/// Every metric of both hosts stands on the page with its type, its labels and its help, and nothing else does.
pub(super) fn page(watched: &Watched<'_>) -> Result<()> {
    let text = watched.server()? + &watched.agent()?;
    let (mut there, (told, sometimes)) = (families(&text), promised(&fs::read_to_string(root().join(PAGE))?));
    there.retain(|row| !sometimes.contains(row));
    ensure!(there.len() > 40, "only {} metrics were found", there.len());
    let rows = |rows: &mut dyn Iterator<Item = &String>| rows.map(|row| format!("\n{row}")).collect::<String>();
    let (missing, surplus) = (rows(&mut there.difference(&told)), rows(&mut told.difference(&there)));
    ensure!(missing.is_empty() && surplus.is_empty(), "{PAGE} lacks:{missing}\nand has besides:{surplus}");
    for (host, text) in [("server", watched.server()?), ("agent", watched.agent()?)] {
        let said = promtool(&["check", "metrics"], Some(&text)).err().map(|error| error.to_string());
        // Days are what partitions are counted in.
        let complaints = said.iter().flat_map(|said| said.lines()).filter(|line| !line.contains("_days_ahead"));
        let complaints: Vec<&str> = complaints.filter(|line| !line.trim().is_empty()).collect();
        ensure!(complaints.is_empty(), "the {host}'s metrics: {complaints:#?}");
    }
    Ok(())
}

/// The alerts parse, fire where they should, ask for metrics that are documented, and lead to a paragraph each.
pub(super) fn alerts(_: &Watched<'_>) -> Result<()> {
    for rules in [RULES, "deploy/prometheus/first-version.rules.yaml"] {
        promtool(&["check", "rules", rules], None)?;
    }
    promtool(&["test", "rules", TESTS], None)?;
    let (rules, tests) = (fs::read_to_string(root().join(RULES))?, fs::read_to_string(root().join(TESTS))?);
    let page = fs::read_to_string(root().join(PAGE))?;
    let told: BTreeSet<String> = documented(&page).iter().filter_map(|row| names(row).into_iter().next()).collect();
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    ensure!(alerts.len() >= 9, "only {} alerts were found", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default().trim();
        for part in ["summary: ", "description: ", "severity: "] {
            ensure!(alert.contains(part), "{name} has no {part}");
        }
        let anchor = name.to_lowercase();
        ensure!(alert.contains(&format!("runbook_url: {PAGE}#{anchor}\n")), "{name} leads to no paragraph");
        ensure!(page.contains(&format!("\n### {name}\n")), "{PAGE} has no paragraph {name}");
        ensure!(tests.contains(name), "{TESTS} has no test of {name}");
        let asks = alert.split("labels:").next().unwrap_or_default();
        let unknown: Vec<String> = names(asks).into_iter().filter(|metric| !told.contains(metric)).collect();
        ensure!(unknown.is_empty(), "{name} asks for {unknown:?}, which {PAGE} does not have");
    }
    Ok(())
}

/// A Prometheus that has scraped both hosts answers each query of the dashboard, and knows each metric in it.
pub(super) fn dashboard(watched: &Watched<'_>) -> Result<()> {
    let told = documented(&fs::read_to_string(root().join(PAGE))?);
    let told: BTreeSet<String> = told.iter().filter_map(|row| names(row).into_iter().next()).collect();
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(root().join(DASHBOARD))?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| Some((panel["title"].as_str()?, panel["targets"].as_array()?)));
    let mut count = 0;
    for (title, targets) in targets {
        for target in targets {
            let text = target["expr"].as_str().with_context(|| format!("{title}: no query"))?;
            let asked = names(text);
            ensure!(!asked.is_empty(), "{title}: {text} asks for no metric");
            let query = text.replace("$__rate_interval", "1m").replace("$cluster", ".*").replace("$plugin", ".*");
            ensure!(!query.contains('$'), "{title}: {query} has a variable that nobody sets");
            watched.ask(&query).with_context(|| format!("{title}: {query}"))?;
            for metric in asked {
                ensure!(told.contains(&metric), "{title}: {PAGE} has no {metric}");
                until("the metric is there", Duration::from_secs(30), || {
                    let found = watched.ask(&format!("count({{__name__=~\"{metric}(_bucket)?\"}})"))?;
                    ensure!(found["result"][0]["value"][1].is_string(), "{title}: nobody has {metric}");
                    Ok(())
                })?;
            }
            count += 1;
        }
    }
    ensure!(count > 20, "only {count} queries were found");
    Ok(())
}

impl Watched<'_> {
    fn ask(&self, query: &str) -> Result<Value> {
        let bytes = query.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        });
        self.monitor.data(&format!("query?query={}", bytes.collect::<String>()))
    }
}

/// Runs promtool in the checkout; what it says where it refuses.
fn promtool(arguments: &[&str], input: Option<&str>) -> Result<()> {
    let mut command = Command::new("promtool");
    command.current_dir(root()).args(arguments);
    let output = match input {
        None => command.output(),
        Some(text) => {
            let file = tempfile::tempfile()?;
            std::io::Write::write_all(&mut &file, text.as_bytes())?;
            std::io::Seek::rewind(&mut &file)?;
            command.stdin(file).output()
        }
    };
    let output = output.context("promtool is missing: apt-get install prometheus")?;
    if !output.status.success() {
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        bail!("{}\n{}", said(&output.stdout), said(&output.stderr));
    }
    Ok(())
}
