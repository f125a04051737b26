//! The story `examples/monitored-rollout`: Helm upgrades, Prometheus is asked, and what does badly is taken back.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    super::charts::{Repository, VERSIONS, ran},
    stage::{RELEASES, Stage},
};
use crate::{
    process::until,
    prometheus::{self, Monitor},
    stories::stories,
};

const STORY: &str = "monitored-rollout";
const RELEASE: &str = "watched";
/// As the story's files name them.
const NAMESPACE: &str = "shop";
const PROMETHEUS: &str = "http://prometheus.monitoring.svc:9090";
/// No grant reaches an address of the API server, which is 127.0.0.1.
const HOST: &str = "127.0.0.2";
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn watched(stage: &Stage<'_>, repository: &Repository) -> Result<()> {
    if let Some(why) = prometheus::missing() {
        bail!(why);
    }
    let story = stories()?.into_iter().find(|story| story.name == STORY).context("the story is gone")?;
    let directory = stage.directory.join("monitor");
    let monitor = Monitor::start(&directory, HOST, &format!("127.0.0.1:{}", stage.house.pair.http_port()))?;
    monitor.scrapes()?;
    let ground = story.ground.as_ref().context("the story names no grants")?;
    let (address, prefix) = monitor.address.split_once('/').context("no prefix")?;
    let grants = ground
        .pinned(|plugin| stage.house.digest(plugin))?
        .replace(&format!("namespaces: [{NAMESPACE}]"), &format!("namespaces: [{RELEASES}]"))
        .replace(PROMETHEUS, &format!("http://{address}"))
        .replace("paths: [\"/", &format!("paths: [\"/{prefix}/"))
        .replace("addresses: cluster", &format!("addresses: [{HOST}/32]"));
    fs::write(stage.grants(), grants)?;
    for plugin in ["kubernetes", "helm"] {
        stage.apply_roles(plugin)?;
    }
    stage.serves(&["helm", "kubernetes", "prometheus"])?;
    until("the story's grants count", PATIENCE, || {
        match stage.call("helm.list", &json!({"namespace": RELEASES}))? {
            Err(_) => Ok(()),
            Ok(_) => bail!("more is granted than the story says"),
        }
    })?;

    let kubeconfig = stage.house.plane.kubeconfig().display().to_string();
    let mut helm = Command::new(&stage.helm);
    helm.args(["install", RELEASE]).arg(repository.archive(VERSIONS[0]));
    ran(helm.args(["--namespace", RELEASES, "--kubeconfig", &kubeconfig]))?;
    for template in &story.templates {
        stage.house.pair.post("/api/v1/template", template)?;
    }
    let (request, _) = story.tasks.first().context("the story has no task")?;
    let cases = [
        ("vector(0) > 1", vec!["deployed Upgrade", "superseded Install"]),
        (
            "claiflow_agents_connected > 0",
            vec!["deployed Rollback", "superseded Upgrade", "superseded Upgrade", "superseded Install"],
        ),
    ];
    for (wrong_when, expected) in cases {
        let mut inputs = request["inputs"].clone();
        for (input, value) in [
            ("release", RELEASE),
            ("namespace", RELEASES),
            ("repository", &repository.url),
            ("version", VERSIONS[1]),
            ("deployment", RELEASE),
            ("prometheus", &format!("http://{}", monitor.address)),
            ("wrong_when", wrong_when),
        ] {
            inputs[input] = json!(value);
        }
        let template = request["template_uuid"].as_str().unwrap_or_default();
        let history = stage.ended(&stage.create(template, &inputs)?)?;
        let history = history.map_err(|error| anyhow::anyhow!("{wrong_when}: {error}\n{}", stage.said()))?;
        let told = short(&history);
        eprintln!("       {wrong_when:<32} {}", told.join(", "));
        ensure!(told == expected, "{wrong_when}: {history}");
    }
    Ok(())
}

/// Status and the description's first word of each revision, the newest first.
fn short(history: &Value) -> Vec<String> {
    let revisions = history.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |revision: &Value| {
        let description = revision["description"].as_str().unwrap_or_default();
        let word = description.split([' ', ':']).next().unwrap_or_default();
        format!("{} {word}", revision["status"].as_str().unwrap_or_default())
    };
    revisions.iter().map(one).collect()
}
