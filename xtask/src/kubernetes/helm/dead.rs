//! Helm is killed with its agent in the middle of an upgrade, and the agent that comes back finishes the task.

use std::{fs, time::Duration};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    super::charts::{Repository, VERSIONS},
    stage::{RELEASES, Stage},
};
use crate::process::until;

const RELEASE: &str = "unlucky";
/// No node has it at first: an upgrade that asks for it waits.
const LABEL: &str = "helm-story";
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn resumed(stage: &mut Stage<'_>, repository: &Repository) -> Result<()> {
    let inputs = json!({
        "name": RELEASE, "namespace": RELEASES, "chart_name": "web", "repo_url": repository.url, "timeout": 3,
    });
    let mut first = inputs.clone();
    first["chart_version"] = json!(VERSIONS[0]);
    stage.done("helm.install", &first)?;
    let mut second = inputs;
    second["values"] = json!({"node": {LABEL: "open"}});
    let task = stage.create("20000000000000000000000000000003", &second)?;
    until("the upgrade is pending", PATIENCE, || {
        let selector = format!("owner=helm,name={RELEASE},status=pending-upgrade");
        let secrets =
            stage.house.plane.kubectl(&["--namespace", RELEASES, "get", "secrets", "-l", &selector, "-o", "name"])?;
        if secrets.trim().is_empty() { bail!("no revision is pending") } else { Ok(()) }
    })?;
    ensure!(helms() == 1, "{} Helms are at work", helms());
    stage.kill()?;
    until("Helm ends with its agent", PATIENCE, || if helms() == 0 { Ok(()) } else { bail!("it goes on") })?;
    stage.house.plane.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{LABEL}=open")])?;
    stage.start()?;
    let result = stage.ended(&task)?.map_err(|error| anyhow::anyhow!("{error}\n{}", stage.said()))?;
    ensure!(result["status"] == "deployed", "{result}");

    let history = stage.done("helm.history", &json!({"name": RELEASE, "namespace": RELEASES}))?;
    let told: Vec<(&str, &str)> = history
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| (it["status"].as_str().unwrap_or_default(), it["description"].as_str().unwrap_or_default()))
        .collect();
    eprintln!("       {history}");
    let is_repaired = told.iter().any(|(_, description)| description.contains("was left pending-upgrade"));
    ensure!(is_repaired, "nobody repaired it: {history}");
    let done: Vec<_> = told.iter().filter(|(_, description)| description.starts_with("Upgrade complete")).collect();
    ensure!(done.len() == 1 && told.first().is_some_and(|(status, _)| *status == "deployed"), "{history}");
    stage.done("helm.uninstall", &json!({"name": RELEASE, "namespace": RELEASES}))?;
    Ok(())
}

/// Helms of this release that run.
fn helms() -> usize {
    let of_release = |words: Vec<u8>| {
        let words: Vec<Value> =
            words.split(|byte| *byte == 0).map(|word| json!(String::from_utf8_lossy(word))).collect();
        words.iter().any(|word| word == "upgrade") && words.iter().any(|word| word == RELEASE)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| of_release(fs::read(entry.path().join("cmdline")).unwrap_or_default())).count()
}
