//! An agent's own life: it leaves and comes back, and upgrades itself, as a Deployment of the control plane whose pods kwok plays. The
//! agent's process stands for its pod (`--pod`); what a kubelet does to processes, this does.

mod manifests;
mod stage;

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::house::House;
use manifests::IMAGE;
use stage::{Stage, upgrade};

const REBOUNCE: &str = "99990000000000000000000000000001";
/// The Deployment's pods are made and deleted within a second or two; the agent looks every two seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// One act: what somebody promises.
type Act = fn(&mut Stage<'_>) -> Result<()>;

/// All acts on one stage, one after the other, with what each took.
pub(super) fn lived(house: &House<'_>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut stage = Stage::open(house, directory.path())?;
    let acts: [(&str, Act); 5] = [
        ("claiflow.plugin.list and .reload tell which plugins there are", plugins),
        ("a rebounce lets what runs end, reports, leaves and comes back", rebounced),
        ("an upgrade sets image and environment, and is told when it is up", upgraded),
        ("an image that does not start is rolled back", rolled_back),
        ("killed in the middle, the next agent answers by verify", killed),
    ];
    let mut table = Vec::new();
    for (what, act) in acts {
        let began = Instant::now();
        act(&mut stage).with_context(|| format!("{what}\n{}", stage.said()))?;
        table.push(format!("       {:>6.1} s  {what}", began.elapsed().as_secs_f64()));
    }
    eprintln!("{}", table.join("\n"));
    Ok(())
}

fn plugins(stage: &mut Stage<'_>) -> Result<()> {
    let listed = stage.call("claiflow.plugin.list", &json!({}))?;
    let state = |answer: &Value, name: &str| {
        let plugins = answer["plugins"].as_array().cloned().unwrap_or_default();
        plugins.into_iter().find(|plugin| plugin["name"] == name).map_or(Value::Null, |plugin| plugin["state"].clone())
    };
    ensure!(state(&listed, "claiflow") == "ready" && state(&listed, "example").is_null(), "{listed}");
    stage.add_plugin("example")?;
    let reloaded = stage.call("claiflow.plugin.reload", &json!({}))?;
    ensure!(state(&reloaded, "example") == "ready", "{reloaded}");
    let said = stage.call("helloworld", &json!({"name": "again"}))?;
    ensure!(said == "hello again", "{said}");
    Ok(())
}

fn rebounced(stage: &mut Stage<'_>) -> Result<()> {
    let other = stage.begin("effect.never", &json!({"key": "beside", "wait_ms": 4_000}))?;
    stage.says("effect begin class=never key=beside")?;
    let rebounce = stage.create(REBOUNCE, &json!({}))?;
    let status = stage.agent.ended_within(PATIENCE)?.context("the agent did not leave")?;
    ensure!(status.success(), "it left with {status}");
    // Both were reported before it left: nobody else could do it since.
    for (what, uuid) in [("the other task", &other), ("the rebounce", &rebounce)] {
        let task = stage.task(uuid)?;
        ensure!(task["state"] == "succeeded", "{what}: {task}");
    }
    let log = stage.agent.said();
    ensure!(log.matches("effect done class=never key=beside").count() == 1, "it was lost or doubled: {log}");
    // As the kubelet does with a container that ended.
    stage.restart()?;
    let said = stage.call("helloworld", &json!({"name": "new"}))?;
    ensure!(said == "hello new", "{said}");
    Ok(())
}

fn upgraded(stage: &mut Stage<'_>) -> Result<()> {
    let before = stage.pod()?;
    let environment = json!({"FROM_MAP": "new", "DIRECT": "2"});
    let task = stage.create(upgrade(), &json!({"image_tag": "0.2.0", "timeout": 60, "env_configs": environment}))?;
    let after = stage.other_pod(&before)?;
    // Two agents of one cluster, as in every rollout; then the old pod goes, and its process with it.
    let second = stage.start("second", &after)?;
    stage.gone(&before)?;
    let mut first = std::mem::replace(&mut stage.agent, second);
    first.signal(Signal::TERM)?;
    let status = first.ended_within(PATIENCE)?.context("the first agent did not end")?;
    ensure!(status.success(), "it ended with {status}");
    let ended = stage.ended(&task)?;
    ensure!(ended["state"] == "succeeded", "{ended}");
    let container = stage.container()?;
    ensure!(container["image"] == format!("{IMAGE}:0.2.0"), "{container}");
    let direct = json!({"name": "DIRECT", "value": "2"});
    ensure!(container["env"].as_array().is_some_and(|list| list.contains(&direct)), "{container}");
    let map = stage.config_map()?;
    ensure!(map == json!({"from-map": "new", "other": "stays"}), "{map}");
    Ok(())
}

fn rolled_back(stage: &mut Stage<'_>) -> Result<()> {
    let (before, container, map) = (stage.pod()?, stage.container()?, stage.config_map()?);
    // No node takes pods: the new one stays where it can be said of it what a kubelet would say.
    stage.cordon(true)?;
    let environment = json!({"FROM_MAP": "worse", "DIRECT": "3"});
    let task = stage.create(upgrade(), &json!({"image_tag": "broken", "timeout": 60, "env_configs": environment}))?;
    let after = stage.other_pod(&before)?;
    stage.cannot_pull(&after)?;
    let ended = stage.ended(&task)?;
    let error = ended["error"].as_str().unwrap_or_default();
    ensure!(ended["state"] == "failed", "{ended}");
    for words in [format!("did not come up as {IMAGE}:broken").as_str(), "ImagePullBackOff", "rolled back"] {
        ensure!(error.contains(words), "the error says nothing of `{words}`: {error}");
    }
    ensure!(stage.container()? == container, "{} was {container}", stage.container()?);
    ensure!(stage.config_map()? == map, "{} was {map}", stage.config_map()?);
    stage.gone(&after)?;
    ensure!(stage.pod()? == before, "the agent's own pod was replaced");
    stage.cordon(false)
}

fn killed(stage: &mut Stage<'_>) -> Result<()> {
    let (before, patches) = (stage.pod()?, stage.patches()?);
    stage.cordon(true)?;
    let task = stage.create(upgrade(), &json!({"image_tag": "0.3.0", "timeout": 300}))?;
    let after = stage.other_pod(&before)?;
    stage.agent.kill()?;
    stage.cordon(false)?;
    stage.gone(&before)?;
    stage.start_as(&after)?;
    let ended = stage.ended(&task)?;
    ensure!(ended["state"] == "succeeded", "{ended}");
    ensure!(stage.container()?["image"] == format!("{IMAGE}:0.3.0"), "{}", stage.container()?);
    let made = stage.patches()? - patches;
    ensure!(made == 1, "the Deployment was patched {made} times");
    fs::metadata(stage.state("second")).context("its journal is gone").map(drop)
}
