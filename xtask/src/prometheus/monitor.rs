//! A private Prometheus on loopback: Debian's package, or the program that `PROMETHEUS_BIN` names.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::process::{Process, free_port, until};

const PROGRAM: &str = "/usr/bin/prometheus";
/// Its paths begin with it, as behind an ingress.
pub(super) const PREFIX: &str = "/monitor";
/// What the scraped server is called.
pub(super) const JOB: &str = "claiflow";
/// It fires always.
pub(super) const ALERT: &str = "ClaiflowIsWatched";
/// What a rule records.
pub(super) const RECORD: &str = "job:agents:sum";
/// Where alerts are sent in vain.
pub(super) const ALERTMANAGER: &str = "http://127.0.0.1:9/api/v2/alerts";

/// Why there is none, and what would help.
pub(crate) fn missing() -> Option<String> {
    let program = program();
    let there = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    (!there)
        .then(|| format!("{} is missing: apt-get install prometheus, or name one in PROMETHEUS_BIN", program.display()))
}

fn program() -> PathBuf {
    env::var_os("PROMETHEUS_BIN").map_or_else(|| PROGRAM.into(), PathBuf::from)
}

/// Stopped when dropped.
pub(crate) struct Monitor {
    /// Host, port and prefix.
    pub(crate) address: String,
    process: Process,
}

impl Monitor {
    /// Listens at `host` and scrapes `target` (host and port) each second.
    pub(crate) fn start(directory: &Path, host: &str, target: &str) -> Result<Self> {
        Self::start_on(directory, host, &[(JOB, target)])
    }

    /// The same with several jobs, each with its target.
    pub(super) fn start_on(directory: &Path, host: &str, jobs: &[(&str, &str)]) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let job = |(name, target): &(&str, &str)| json!({"job_name": name, "static_configs": [{"targets": [target]}]});
        let listen = format!("{host}:{}", free_port(0)?);
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9"]}]}]},
            "scrape_configs": jobs.iter().map(job).collect::<Vec<_>>(),
        });
        let rules = json!({"groups": [{"name": "claiflow", "rules": [
            {"alert": ALERT, "expr": "vector(1)", "labels": {"severity": "none"}, "annotations": {"summary": "It is watched"}},
            {"record": RECORD, "expr": "sum by (job) (claiflow_agents_connected)"},
        ]}]});
        // JSON is YAML.
        fs::write(directory.join("prometheus.yaml"), config.to_string())?;
        fs::write(directory.join("rules.yaml"), rules.to_string())?;
        let mut command = Command::new(program());
        command
            .arg(format!("--config.file={}", directory.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={listen}"))
            .arg(format!("--web.external-url=http://{listen}{PREFIX}"))
            .arg("--log.level=warn");
        let process = Process::start("prometheus", &mut command, directory)?;
        Ok(Self { address: format!("{listen}{PREFIX}"), process })
    }

    /// Waits until it knows how many agents the server has.
    pub(crate) fn scrapes(&self) -> Result<()> {
        let scrapes = || {
            let agents = self.data("query?query=claiflow_agents_connected")?;
            ensure!(agents["result"][0]["value"][1].is_string(), "{agents}");
            Ok(())
        };
        until("Prometheus scrapes", Duration::from_secs(60), scrapes).with_context(|| self.process.said())
    }

    /// Waits until it has seen the server and its agent, and evaluated its rules.
    pub(super) fn watches(&self) -> Result<()> {
        let watches = || {
            let alerts = self.data("alerts")?;
            ensure!(alerts["alerts"][0]["state"] == "firing", "{alerts}");
            let recorded = self.data(&format!("query?query={RECORD}"))?;
            ensure!(recorded["result"][0]["value"][1] == "1", "{recorded}");
            // Long enough that it is known of the last seconds, too.
            let before = self.data("query?query=claiflow_agents_connected%20offset%204s")?;
            ensure!(before["result"][0]["value"][1] == "1", "{before}");
            Ok(())
        };
        until("Prometheus scrapes and its alert fires", Duration::from_secs(60), watches)
            .with_context(|| self.process.said())
    }

    /// What the API answers without claiflow: the member `data`.
    pub(super) fn data(&self, path: &str) -> Result<Value> {
        let text = ureq::get(format!("http://{}/api/v1/{path}", self.address)).call()?.body_mut().read_to_string()?;
        let mut answer: Value = serde_json::from_str(&text)?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].take())
    }
}
