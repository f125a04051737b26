//! The collector is away.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::scene::Scene;
use crate::process::until;

pub(super) fn run(scene: &mut Scene<'_>) -> Result<()> {
    for name in ["claiflow_spans_exported_total", "claiflow_agent_spans_exported_total"] {
        ensure!(counted(scene, name)? > 0.0, "{name} is 0");
    }
    scene.collector.kill()?;
    let flow = json!([{"$id": "a", "$command": "helloworld", "inputs": "$inputs"}]);
    let traceparent = "00-44444444444444444444444444444444-00f067aa0ba902b7-01";
    let uuid = scene.create(&flow, &json!({"name": "x"}), traceparent, "nobody-listens")?;
    let task = scene.pair.ended(&uuid)?;
    ensure!(task["state"] == "succeeded", "{task}");
    for name in ["claiflow_spans_dropped_total", "claiflow_agent_spans_dropped_total"] {
        until("lost spans are counted", Duration::from_secs(60), || {
            ensure!(counted(scene, name)? > 0.0, "{name} is 0");
            Ok(())
        })?;
    }
    until("lost spans are told", Duration::from_secs(60), || {
        let (server, agent) = scene.said();
        for said in [server, agent] {
            let told = said.lines().filter(|line| line.contains("the collector did not take spans")).count();
            ensure!(told == 1, "it is told {told} times: {said}");
        }
        Ok(())
    })
}

/// The value of a counter without labels, of the host whose name it has.
fn counted(scene: &Scene<'_>, name: &str) -> Result<f64> {
    let text = if name.starts_with("claiflow_agent_") {
        ureq::get(format!("http://127.0.0.1:{}/metrics", scene.health)).call()?.body_mut().read_to_string()?
    } else {
        scene.pair.get("/metrics")?.as_str().unwrap_or_default().to_owned()
    };
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("there is no {name}"))?.trim().parse()?)
}
