//! An agent dies in the middle of a task: the next attempt goes on in the same trace.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{scene::Scene, spans::Span};
use crate::process::until;

const TRACE: &str = "33333333333333333333333333333333";
const CALLER: &str = "00f067aa0ba902b7";

pub(super) fn run(scene: &mut Scene<'_>) -> Result<()> {
    let wait = json!({"key": "traces", "wait_ms": 6_000});
    let flow = json!([{"$id": "a", "$command": "effect.read", "inputs": wait}]);
    let uuid = scene.create(&flow, &json!({}), &format!("00-{TRACE}-{CALLER}-01"), "takeover")?;
    until("the step runs", Duration::from_secs(30), || {
        let said = scene.said().1;
        ensure!(said.lines().any(|line| line.contains("effect begin") && line.contains(&uuid)), "not yet");
        Ok(())
    })?;
    scene.pair.agent.as_mut().context("no agent")?.kill()?;
    scene.start_agent()?;
    let task = scene.pair.ended(&uuid)?;
    ensure!(task["state"] == "succeeded" && task["attempt"] == 2, "{task}");

    let second = |span: &&Span| span.attributes["task.attempt"] == 2;
    let is_whole = |spans: &[Span]| {
        let is_there = |name| spans.iter().filter(second).any(|span| span.name == name);
        is_there("run") && is_there("queue")
    };
    let spans = scene.trace(TRACE, is_whole)?;
    let queues: Vec<&Span> = spans.iter().filter(|span| span.name == "queue").collect();
    let (Some(first), Some(next)) = (queues.iter().find(|span| !second(span)), queues.iter().find(|span| second(span)))
    else {
        anyhow::bail!("{spans:#?}");
    };
    // The first attempt's own span died with its agent; that of its wait is the server's.
    ensure!(first.parent == next.parent && first.links.is_empty(), "{spans:#?}");
    ensure!(next.links == [first.span.clone()], "{spans:#?}");
    let ran: Vec<&Span> = spans.iter().filter(|span| span.name == "run").collect();
    ensure!(ran.len() == 1 && ran.iter().all(|span| span.parent == next.span), "{spans:#?}");
    Ok(())
}
